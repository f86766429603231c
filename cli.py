"""``gensvar …``: every command. What a command needs is imported when it runs, so that each starts fast."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from errors import ConfigError, GensvarError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from sqlalchemy.orm import Session

    from house import House
    from mail import Posted
    from models import Case, User
    from reports.export import Field, Sheet
    from reports.figures import Asked
    from reports.tables import Value
    from web.queries import Entry
    from webhooks import Called

VERSION = "0.1.0"
OK, FAILED, USAGE = 0, 1, 2
AT_ONCE = 8  # sources collected side by side, so that one that hangs does not hold up the others

Command = Callable[[argparse.Namespace], int]
Argument = tuple[tuple[str, ...], dict[str, Any]]

GROUPS = {"source": "what is collected", "user": "who may log in", "token": "API tokens", "case": "look at cases"}
COMMANDS: list[tuple[str, str, Sequence[Argument], Command]] = []  # in the order of the help


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Also the console script."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=_log_level(given))
    for talkative in ("urllib3", "oauthlib", "requests_oauthlib", "tweepy", "waitress", "alembic"):
        logging.getLogger(talkative).setLevel(logging.WARNING)  # some of them would log requests with their tokens
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # that a job still runs when it is due again is no news
    try:
        status: int = given.command(given)
        sys.stdout.flush()
        return status
    except (ConfigError, InvalidInput) as error:
        return _fail(error, USAGE, given.debug)
    except GensvarError as error:
        return _fail(error, FAILED, given.debug)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `gensvar case list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - a person gets one line; --debug gives the traceback
        what = " ".join(str(error).split())[:300]
        return _fail(
            GensvarError(f"Unexpected {type(error).__name__}: {what} (--debug tells more)"), FAILED, given.debug
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gensvar", description="One inbox for what people say about you in public.")
    default = Path(os.environ.get("GENSVAR_CONFIG") or "config.yaml")
    parser.add_argument("--config", type=Path, default=default, metavar="FILE", help=f"configuration ({default})")
    parser.add_argument("--debug", action="store_true", help="log everything, and show tracebacks")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, Any] = {}
    for words, help, arguments, run in COMMANDS:
        group, _, name = words.rpartition(" ")
        if group and group not in groups:
            made = commands.add_parser(group, help=GROUPS[group])
            groups[group] = made.add_subparsers(metavar="ACTION", required=True)
        one = groups.get(group, commands).add_parser(name, help=help, description=help)
        one.set_defaults(command=run)
        for names, more in arguments:
            one.add_argument(*names, **more)
    return parser


def _command(words: str, help: str, *arguments: Argument) -> Callable[[Command], Command]:
    """``gensvar WORDS ARGUMENTS`` runs what stands below."""

    def add(run: Command) -> Command:
        COMMANDS.append((words, help, arguments, run))
        return run

    return add


def _arg(*names: str, **more: Any) -> Argument:
    """As ``ArgumentParser.add_argument`` takes it."""
    return names, more


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text) if len(text) == len("2026-11-24") else None
    except ValueError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is not a day, as in 2026-11-24")
    if not 1970 <= found.year <= 9000:
        raise argparse.ArgumentTypeError(f"{text} does not lie between the years 1970 and 9000")
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10**6):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to a million")
    return int(text)


def _log_level(given: argparse.Namespace) -> int:
    """What runs for long tells its story in the log; what a person waits for answers in plain lines instead."""
    if given.debug:
        return logging.DEBUG
    return logging.INFO if given.command in (run, demo, web, scheduler, worker) else logging.CRITICAL


def _fail(error: Exception, status: int, debug: bool) -> int:
    if debug:
        logging.getLogger("gensvar").error("the command failed", exc_info=sys.exception() or error)
    for line in str(error).splitlines():
        print(f"gensvar: {line}", file=sys.stderr)
    return status


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _house(
    given: argparse.Namespace, *, declare: bool = False, current: bool = True, at_work: bool = False
) -> Iterator[House]:
    """The house the configuration names. ``current``: its database must be of this version (an empty one is made so);
    ``declare``: what the configuration declares is brought into it; ``at_work``: nothing may be restored meanwhile."""
    import house
    from database import newest_migration
    from errors import DatabaseError

    opened = house.open_house(given.config)
    try:
        if current:
            version = opened.database.version()
            if version is None:
                opened.database.migrate()
            elif version != newest_migration():
                raise DatabaseError(
                    f"The database is at version {version}, this Gensvar needs {newest_migration()}. "
                    "Nothing was changed: run `gensvar migrate`."
                )
            if declare:
                house.declare(opened, _now())
        with house.at_work(opened.database) if at_work else nullcontext():
            yield opened
    finally:
        opened.close()


# -- running --------------------------------------------------------------------------------------------------------


def _migrated(house: House) -> None:
    """Bring the database to this version, after a backup when there is something to lose."""
    import backup
    import jobs

    if (made := backup.before_migration(house, _now())) is not None:
        print(f"Backed up to {made}.")
    before = house.database.migrate()
    if before is not None:
        print(f"The database was at version {before}; it is now at {house.database.version()}.")
    jobs.prepare_queue(house)


@_command("run", "everything in one: web, collecting, answering")
def run(given: argparse.Namespace) -> int:
    import supervisor

    with _house(given, current=False) as house:
        from house import declare

        _migrated(house)
        declare(house, _now())
        address = house.settings.base_url
        supervisor.run(house, given.config, lambda: print(f"Gensvar is at {address} (Ctrl-C ends it)", flush=True))
    return OK


@_command(
    "demo",
    "the whole thing on invented networks, in a database of its own",
    _arg("--port", type=int, help="of the inbox"),
    _arg("--outside-port", type=int, help="of the page where one writes as a citizen"),
    _arg("--data", type=Path, metavar="FOLDER", help="where it lies (var/demo), made anew at each start"),
)
def demo(given: argparse.Namespace) -> int:
    from sandbox import demo

    return demo.main(given.port, given.outside_port, given.data)


@_command("web", "the screens and the API alone")
def web(given: argparse.Namespace) -> int:
    import supervisor

    with _house(given, declare=True) as house:
        supervisor.serve(house)
    return OK


@_command("scheduler", "the clock alone")
def scheduler(given: argparse.Namespace) -> int:
    import jobs
    import scheduler
    import supervisor

    supervised = os.environ.get("GENSVAR_SUPERVISED") == "1"
    with _house(given, declare=not supervised, at_work=True) as house:
        jobs.prepare_queue(house)
        with supervisor.signalled() as stop:
            if supervised:
                supervisor.stop_when_orphaned(stop)
            scheduler.run(house, stop)
    return OK


@_command("worker", "one that takes jobs from the queue (jobs.engine: procrastinate)")
def worker(given: argparse.Namespace) -> int:
    import jobs

    with _house(given, declare=True, at_work=True) as house:
        if house.settings.jobs.engine != "procrastinate":
            raise InvalidInput("There is nothing for a worker to do: jobs.engine is embedded in the configuration.")
        jobs.prepare_queue(house)
        jobs.work(house)
    return OK


@_command("migrate", "bring the database to this version, after a backup")
def migrate(given: argparse.Namespace) -> int:
    with _house(given, current=False) as house:
        from house import declare

        _migrated(house)
        declare(house, _now())
        print(f"The database is at version {house.database.version()}.")
    return OK


# -- one pass now ---------------------------------------------------------------------------------------------------


@_command(
    "collect",
    "collect now, once, from all enabled sources or the named ones",
    _arg("--source", action="append", default=[], metavar="NAME"),
)
def collect(given: argparse.Namespace) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from sqlalchemy import select

    import pulls
    from models import Source

    with _house(given, declare=True, at_work=True) as house:
        with house.database.read() as db:
            sources = {source.name: source for source in db.scalars(select(Source).order_by(Source.id))}
        for name in given.source:
            _known(name, sources, "source")
        wanted = given.source or [name for name, each in sources.items() if each.enabled and each.paused_at is None]
        if not wanted:
            print("No source is enabled; nothing was collected.")
        failed = False
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for pulled in pool.map(lambda name: pulls.pull(house, sources[name].id, now=_now, by_hand=True), wanted):
                line = f"{pulled.source}: {pulled.new} new, {pulled.known} known, {pulled.set_aside} set aside"
                if pulled.unmatched:
                    line += f", {pulled.unmatched} not matched"
                if pulled.skipped:
                    line = f"{pulled.source}: skipped: {pulled.skipped}"
                if pulled.error is not None:
                    failed = True
                    line += f", error: {_line(pulled.error)}"
                    print(f"gensvar: {pulled.source}: {_line(pulled.error)}", file=sys.stderr)
                print(line, flush=True)
    return FAILED if failed else OK


@_command(
    "import",
    "bring in what was said before a source was made",
    _arg("source", metavar="SOURCE"),
    _arg("--since", default="all", metavar="D", help="a date, how far back (90d), or all (the default)"),
    _arg("--keep-open", action="store_true", help="leave the cases open, to go through them"),
)
def import_history(given: argparse.Namespace) -> int:
    """In the foreground; stopped, it is gone on with by the clock, or by the same command."""
    import time

    from sqlalchemy import select

    import audit
    import imports
    from models import ImportState, Source

    with _house(given, declare=True, at_work=True) as house:
        since = imports.beginning(imports.day(given.since, _now()), house.settings.organisation.zone)
        with house.database.transaction() as db:
            sources = {source.name: source for source in db.scalars(select(Source))}
            source = sources[_known(given.source, sources, "source")]
            found = imports.latest(db, source.id)
            if found is not None and found.state == ImportState.failed:
                imports.again(db, found.id, actor=audit.CLI, at=_now())
            if found is None or found.state not in imports.UNDER_WAY:
                asked = {"since": since, "keep_open": given.keep_open, "user_id": None, "actor": audit.CLI}
                found = imports.ask(db, source, at=_now(), **asked)
            else:
                print(f"Import {found.id} of {source.name} goes on where it was.")
        print("Imported cases start no clocks and are left out of response-time reports.", flush=True)
        told = None
        while True:
            now = imports.turn(house, found.id, now=_now)
            line = f"{now.read} read, {now.new} new, {now.known} known already, {now.set_aside} set aside"
            if now.oldest_at is not None:
                line += f", back to {now.oldest_at:%Y-%m-%d}"
            if now.state == ImportState.paused:
                line += f"; {_line(now.error)} Goes on at {_at(now.resumes_at)}"
            if line != told:
                print(line, flush=True)
            told = line
            if now.state not in imports.UNDER_WAY:
                break
            wait = (now.resumes_at - _now()).total_seconds() if now.resumes_at else 1
            time.sleep(min(max(wait, 0.1), 60))
        if now.state == ImportState.failed:
            raise GensvarError(f"{source.name}: {now.error} What came before it is kept: the same again goes on there.")
        print(f"{now.state}.")
    return OK


@_command("send", "send what waits in the outbox now, and wait for the outcome")
def send(given: argparse.Namespace) -> int:
    import mail
    import webhooks
    from models import ReplyStatus
    from replies import shared
    from replies.outbox import Outbox

    with _house(given, at_work=True) as house:
        shared.work_off(house, _now())
        with Outbox(house, _now) as outbox:
            delivered = outbox.run()
        called = webhooks.deliver(house, _now)
        mailed = mail.deliver(house, _now)
        for each in delivered:
            print(
                f"reply {each.reply_id} in case {each.case_id}: {each.status}"
                + (f": {each.error}" if each.error else "")
            )
        for call in called:
            print(f"webhook {call.id} to {call.host}: {_became(call)}")
        for letter in mailed:
            print(f"mail to user {letter.user_id}: {_became(letter)}")
        if not delivered and not called and not mailed:
            print("Nothing was waiting to be sent.")
    failed = any(each.status in (ReplyStatus.failed, ReplyStatus.uncertain) for each in delivered)
    failed = failed or any(call.error for call in called) or any(letter.error for letter in mailed)
    return FAILED if failed else OK


def _became(called: Called | Posted) -> str:
    if called.error is None:
        return "delivered"
    return f"{called.error}; " + (f"again at {_at(called.again_at)}" if called.again_at else "given up")


@_command("tick", "everything the clock would do now")
def tick(given: argparse.Namespace) -> int:
    import mail
    import webhooks
    from replies import shared
    from replies.outbox import Outbox
    from triage import upkeep

    with _house(given, at_work=True) as house:
        reacted = _react(house)  # what has happened comes before what time brings about
        changed = upkeep.tick(house.database, _now())
        shared.work_off(house, _now())
        with Outbox(house, _now) as outbox:
            delivered = len(outbox.run())
        reacted += _react(house)
        called = len(webhooks.deliver(house, _now))
        mailed = sum(each.error is None for each in mail.deliver(house, _now))
        print(
            f"{changed} cases changed, {delivered} replies handled, {reacted} events reacted to, "
            f"{called} webhooks called, {mailed} mails sent"
        )
    return OK


def _react(house: House) -> int:
    """To everything that has happened; returns to how many events."""
    from triage import reactions

    reacted = 0
    while taken := reactions.react(house.database, _now()):
        reacted += taken
    return reacted


# -- sources --------------------------------------------------------------------------------------------------------


@_command("source list", "all sources and how they fare")
def source_list(given: argparse.Namespace) -> int:
    from sqlalchemy import select

    from models import Source

    with _house(given, declare=True) as house, house.database.read() as db:
        rows = [("NAME", "CHANNEL", "COLLECTS", "FROM", "EVERY", "STATE")]
        for source in db.scalars(select(Source).order_by(Source.name)):
            what = source.definition
            state = "ok" if source.last_success_at else "not read yet"
            if source.error:
                state = f"{source.error_reason}: {_line(source.error)}"
            if source.paused_at is not None:
                state = "paused"
            if not source.enabled:
                state = "not enabled"
            where = what.get("account") or what.get("url") or ""
            rows.append((source.name, source.channel, what.get("collect", ""), where, what.get("every", ""), state))
    _table(rows)
    return OK


@_command("source test", "read the first page of a source, store nothing", _arg("name", metavar="NAME"))
def source_test(given: argparse.Namespace) -> int:
    from sqlalchemy import select

    import checkup
    from models import Source

    with _house(given, declare=True) as house:
        with house.database.read() as db:
            sources = {source.name: source for source in db.scalars(select(Source))}
        definition = sources[_known(given.name, sources, "source")].definition
        print(f"{given.name}: {checkup.sample(house, house.source(definition), _now())}; nothing was stored")
    return OK


@_command(
    "source add",
    "collect something more",
    _arg("name", metavar="NAME"),
    _arg("--collect", required=True, metavar="WHAT", help="what to collect, as in config.yaml"),
    *(_arg(f"--{option}") for option in ("account", "channel", "url", "query", "match", "every", "since")),
)
def source_add(given: argparse.Namespace) -> int:
    from sqlalchemy import select

    import audit
    from models import Account, Source
    from settings import RESERVED_WHY, is_reserved

    fields = ("name", "channel", "account", "collect", "url", "query", "match", "every", "since")
    with _house(given, declare=True) as house:
        source = house.source({key: getattr(given, key) for key in fields if getattr(given, key) is not None})
        with house.database.transaction() as db:
            if db.scalar(select(Source.id).where(Source.name == source.name)) is not None:
                raise InvalidInput(f"There is a source named {source.name} already.")
            if is_reserved(source.name):
                raise InvalidInput(f"No source can be named {source.name}: {RESERVED_WHY}.")
            account = db.scalar(select(Account.id).where(Account.name == source.account)) if source.account else None
            db.add(Source(name=source.name, channel=source.channel, account_id=account, enabled=True,
                          definition=source.model_dump(mode="json"), created_at=_now()))  # fmt: skip
            told = audit.difference(None, source.model_dump(mode="json", exclude_unset=True))
            subject = f"source:{source.name}"
            audit.record(db, actor=audit.CLI, action="add", subject=subject, changes=told, at=_now())
        print(f"{source.name} is collected from now on, every {source.model_dump(mode='json')['every']}.")
    return OK


# -- people ---------------------------------------------------------------------------------------------------------


@_command(
    "user add",
    "add a user",
    _arg("email", metavar="EMAIL"),
    _arg("--name", required=True, metavar="N"),
    _arg("--role", required=True, choices=("reader", "agent", "manager", "admin")),
    _arg("--password-stdin", action="store_true", required=True, help="read it from standard input"),
)
def user_add(given: argparse.Namespace) -> int:
    from sqlalchemy import select

    import audit
    from models import User
    from web.login import new_user

    password = sys.stdin.readline().rstrip("\r\n")
    with _house(given) as house, house.database.transaction() as db:
        user = new_user(given.email, given.name, given.role, password, _now())
        if db.scalar(select(User.id).where(User.email == user.email)) is not None:
            raise InvalidInput(f"There is a user {user.email} already.")
        db.add(user)
        db.flush()
        audit.record(
            db,
            actor=audit.CLI,
            action="add",
            subject=f"user:{user.email}",
            changes={"role": [None, user.role]},
            at=_now(),
        )
        print(f"{user.email} is {user.role}.")
    return OK


@_command("user list", "all users")
def user_list(given: argparse.Namespace) -> int:
    from sqlalchemy import select

    from models import User

    with _house(given) as house, house.database.read() as db:
        rows = [("E-MAIL", "NAME", "ROLE", "STATE")]
        for user in db.scalars(select(User).order_by(User.email)):
            rows.append((user.email, user.name, user.role, "disabled" if user.disabled_at else "active"))
    _table(rows)
    return OK


@_command("user disable", "lock a user out", _arg("email", metavar="EMAIL"))
def user_disable(given: argparse.Namespace) -> int:
    from sqlalchemy import delete

    import audit
    from models import LoginSession

    with _house(given) as house, house.database.transaction() as db:
        user = _user(db, given.email)
        user.disabled_at = user.disabled_at or _now()
        db.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
        audit.record(db, actor=audit.CLI, action="disable", subject=f"user:{user.email}", at=_now())
        print(f"{user.email} is disabled and logged out.")
    return OK


@_command(
    "token create",
    "make an API token, shown once",
    _arg("email", metavar="EMAIL"),
    _arg("--name", required=True, metavar="N"),
)
def token_create(given: argparse.Namespace) -> int:
    import audit
    from web.api import tokens

    with _house(given) as house:
        with house.database.transaction() as db:
            user = _user(db, given.email)
            if user.disabled_at is not None:
                raise InvalidInput(f"{user.email} is disabled; a token would not work.")
            token = tokens.create(db, user, given.name, _now())
            audit.record(
                db,
                actor=audit.CLI,
                action="add",
                subject=f"api:{user.email}",
                changes={"name": [None, given.name]},
                at=_now(),
            )
        print(token)
    return OK


def _user(db: Session, email: str) -> User:
    from sqlalchemy import select

    from errors import NotFoundError
    from models import User

    user = db.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise NotFoundError(f"There is no user {email}. `gensvar user list` shows all.")
    return user


# -- cases ----------------------------------------------------------------------------------------------------------


@_command("case show", "one case, whole", _arg("number", type=int, metavar="N"))
def case_show(given: argparse.Namespace) -> int:
    from web import queries

    with _house(given) as house, house.database.read() as db:
        case = queries.get_case(db, given.number)
        _print_case(case)
        for entry in queries.entries(db, case):
            _print_entry(entry)
    return OK


@_command(
    "case list",
    "cases, latest activity first",
    *(_arg(f"--{option}", action="append", default=[]) for option in ("status", "channel", "kind", "tag", "team")),
    _arg("--source"),
    _arg("--assignee", metavar="EMAIL", help="an e-mail address, or none"),
    _arg("--q", metavar="QUERY", help="words, as in the search of the inbox"),
    _arg("--sort", choices=("newest", "oldest", "urgent"), default="newest"),
    _arg("--limit", type=_count, default=50, metavar="N"),
)
def case_list(given: argparse.Namespace) -> int:
    from channels import CHANNELS
    from models import CaseStatus, Kind
    from web import queries

    for what, names, known in (
        ("status", given.status, list(CaseStatus)),
        ("kind", given.kind, list(Kind)),
        ("channel", given.channel, CHANNELS),
    ):
        for name in names:
            _known(name, known, what)
    wanted = queries.CaseFilter(
        status=given.status, channel=given.channel, kind=given.kind, tag=given.tag, team=given.team,
        source=given.source, assignee=given.assignee, q=given.q,
    )  # fmt: skip
    with _house(given) as house, house.database.read() as db:
        page = queries.find_cases(db, wanted, sort=queries.Sort(given.sort), limit=given.limit)
        rows = [("CASE", "STATUS", "CHANNEL", "AUTHOR", "ASSIGNEE", "LAST ACTIVITY", "SUBJECT")]
        for case in page.cases:
            author, assignee = case.author.name if case.author else "", case.assignee.email if case.assignee else ""
            rows.append(
                (str(case.id), case.status, case.channel, author, assignee, _at(case.last_activity_at), case.subject)
            )
    _table(rows)
    print(f"{len(rows) - 1} of {page.total}")
    return OK


def _print_case(case: Case) -> None:
    about = {
        "status": case.status,
        "channel": case.channel,
        "source": case.source.name if case.source else None,
        "author": case.author.name if case.author else None,
        "assignee": case.assignee.email if case.assignee else None,
        "team": case.team.name if case.team else None,
        "kind": case.kind,
        "priority": case.priority,
        "tags": ", ".join(tag.tag for tag in case.tags),
        "opened": _at(case.opened_at),
        "first response": _at(case.first_response_at),
        "resolved": _at(case.resolved_at),
        "follow-up": _at(case.follow_up_at),
        "merged into": case.merged_into_id,
        "follows": case.follows_id,
        "flag": case.flag,
    }
    print(f"Case {case.id}: {_line(case.subject)}")
    for name, value in about.items():
        if value:
            print(f"  {name}: {_line(value)}")


def _print_entry(entry: Entry) -> None:
    from models import CaseEvent, Mention, Note, Reply

    match entry.item:
        case Mention() as mention:
            author = _line(mention.author.name) if mention.author else "somebody"
            print(f"\n{_at(entry.at)}  {author}{' (context)' if entry.context else ''}:")
            _print_text(mention.text, mention.url)
        case Reply() as reply:
            by = _line(reply.user.name if reply.user else reply.author_name or "us")
            print(f"\n{_at(entry.at)}  answer by {by} ({reply.status}{', private' if reply.private else ''}):")
            _print_text(reply.body, reply.url, reply.error)
        case Note() as note:
            print(f"\n{_at(entry.at)}  note by {note.user.name if note.user else 'somebody'}:")
            _print_text(note.body)
        case CaseEvent() as event:
            status = f": {event.from_status} → {event.to_status}" if event.to_status else ""
            changes = "; ".join(f"{field} {old} → {new}" for field, (old, new) in event.changes.items())
            print(f"{_at(entry.at)}  {event.action} by {event.actor}{status}{' (' + changes + ')' if changes else ''}")


def _print_text(*parts: str | None) -> None:
    for part in parts:
        for line in (part or "").splitlines():
            print(f"    {_line(line)}")


# -- reports --------------------------------------------------------------------------------------------------------


@_command(
    "report",
    "the figures of a period, as a table or a file",
    _arg(
        "name",
        metavar="NAME",
        help="response-times, volume, team, sla, resolution, backlog, promises, stories, value, "
        "or cases: a line for each",
    ),
    _arg("--from", dest="begin", type=_day, metavar="D", help="the first day (the first of this month)"),
    _arg("--to", type=_day, metavar="D", help="the day after the last (tomorrow)"),
    _arg(
        "--by",
        metavar="X",
        help="what the lines are by: channel, source, team, assignee, kind, tag, category, language, sentiment, "
        "day, week or month",
    ),
    _arg("--clock", choices=("calendar", "business"), default="calendar", help="all hours, or opening hours"),
    _arg("--start", choices=("published", "seen"), default="published", help="of the first response"),
    _arg("--imported", choices=("include", "exclude"), default="exclude", help="imported history"),
    _arg("--format", choices=("table", "json", "csv", "xlsx"), help="table; of cases csv"),
    _arg("--output", type=Path, metavar="F", help="a file to write, instead of the terminal"),
    *(
        _arg(f"--{option}", action="append", default=[], metavar="NAME", help="only this; several times: any")
        for option in ("channel", "source", "team", "assignee", "kind", "tag", "category", "language")
    ),
)
def report(given: argparse.Namespace) -> int:
    """What has just happened is measured first, all of it."""
    from datetime import timedelta

    import channels
    from reports import export, tables
    from reports.figures import FILTERS, Asked, By, Clock
    from triage import policy, samples

    one_by_one = given.name == export.CASES
    _known(given.name, (*tables.REPORTS, export.CASES), "report")
    if given.by is not None:
        _known(given.by, list(By), "grouping")
    format = given.format or ("csv" if one_by_one else "table")
    if format == "xlsx" and given.output is None:
        raise InvalidInput("An Excel file is not for the terminal: say where it goes with --output FILE.")
    if one_by_one and format == "table":
        raise InvalidInput("A line for each case is too wide for a terminal: take --format csv, json or xlsx.")
    if one_by_one and given.by is not None:
        raise InvalidInput("There is a line for each case, and nothing to group: leave out --by.")
    now = _now()
    with _house(given) as house:
        samples.catch_up(house.database, most=sys.maxsize)
        with house.database.read() as db:
            zone = policy.read(db).zone
            today = now.astimezone(zone).date()
            narrowed = {name: tuple(getattr(given, name)) for name in FILTERS}
            asked = Asked(
                given.begin or today.replace(day=1),
                given.to or today + timedelta(days=1),
                by=By(given.by) if given.by else None,
                clock=Clock(given.clock),
                seen=given.start == "seen",
                imported=given.imported == "include",
                **narrowed,
            )
            tables.check_names(db, asked, channels.CHANNELS)
            waiting = samples.waiting(db, 10**6) if one_by_one else tables.uncounted(db, given.name, 10**6)
            if not one_by_one:
                table = tables.build(db, given.name, asked, now)
                sheet = export.Sheet(given.name, table, zone, waiting, tables.by_other_clock(db, table))
        if one_by_one:
            columns, lines, text = _cases(house, asked, format, waiting, zone, now)
        else:
            asked, columns, lines = sheet.asked, export.fields(sheet), export.lines(sheet)
            text = _report_text(sheet, format)
        if format == "xlsx":
            about = export.about(given.name, asked, now, zone, waiting)
            with _written(given.output) as file:
                export.as_xlsx(file, columns, lines, about, zone)
        elif given.output is None:
            sys.stdout.writelines(text)
        else:
            with _written(given.output) as file:
                file.writelines(part.encode() for part in text)
    return OK


def _cases(
    house: House, asked: Asked, format: str, waiting: int, zone: ZoneInfo, now: datetime
) -> tuple[Sequence[Field], Iterator[list[Value]], Iterator[str]]:
    """Columns, lines, and these as text. They are read while they are written, however many there are."""
    import audit
    from reports import export, rows

    with house.database.transaction() as db:
        told = {"days": export.days(asked), "query": export.query(asked), "format": format}
        audit.record_export(db, actor=audit.CLI, at=now, **told)
    lines = rows.lines(house.database.read, rows.received(asked), str(house.settings.base_url), now)
    if format == "json":
        return rows.FIELDS, lines, export.written(*export.cases_as_json(asked, rows.FIELDS, lines, waiting))
    return rows.FIELDS, lines, export.as_csv(rows.FIELDS, lines, zone)


def _report_text(sheet: Sheet, format: str) -> Iterator[str]:
    import json

    from reports import export

    if format == "json":
        yield json.dumps(export.as_json(sheet), ensure_ascii=False, indent=2) + "\n"
    elif format == "csv":
        yield from export.as_csv(export.fields(sheet), export.lines(sheet), sheet.zone)
    else:
        for title, rows in export.as_text(sheet):
            yield f"{title}\n"
            yield from (f"  {line}\n" for line in _aligned(rows))
            yield "\n"
        for note in export.footnote(sheet):
            yield f"{_line(note)}\n"


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise GensvarError(f"Cannot write {path}: {error.strerror}.") from error


# -- keeping the house ----------------------------------------------------------------------------------------------


@_command("backup", "write a backup: database, secret key, uploads", _arg("file", type=Path, metavar="FILE"))
def make_backup(given: argparse.Namespace) -> int:
    import backup

    with _house(given, current=False) as house:
        print(backup.make(house, given.file.absolute(), _now()))
    return OK


@_command(
    "restore",
    "put a backup back; what was there is moved aside",
    _arg("file", type=Path, metavar="FILE"),
    _arg("--yes", action="store_true", help="do not ask"),
)
def restore(given: argparse.Namespace) -> int:
    import backup

    with _house(given, current=False) as house:
        if not given.yes:
            with backup.opened(given.file.absolute()) as (found, _):
                print(found)
            if not sys.stdin.isatty():
                raise InvalidInput(
                    "Restoring replaces all data: say --yes, or run it on a terminal. Nothing was changed."
                )
            if input("Replace all data of this Gensvar by that? (yes/no) ").strip().lower() != "yes":
                raise InvalidInput("Nothing was changed.")
        aside = backup.restore(house, given.file.absolute(), _now())
        print(f"Restored. What was there before lies in {aside}.")
    return OK


@_command("check", "go over everything: what is wrong and how to mend it")
def check(given: argparse.Namespace) -> int:
    import checkup

    wrong = 0
    with _house(given, current=False) as house:
        for finding in checkup.examine(house, _now()):
            if finding.remedy is None:
                print(f"ok     {finding.what}: {finding.found}", flush=True)
            else:
                wrong += 1
                print(f"WRONG  {finding.what}: {_line(finding.found)}\n       mend it: {finding.remedy}", flush=True)
    print(f"{wrong} wrong" if wrong else "All is well.")
    return FAILED if wrong else OK


@_command("version", "which Gensvar this is")
def version(given: argparse.Namespace) -> int:
    from database import newest_migration

    print(f"gensvar {VERSION} (database version {newest_migration()})")
    return OK


# -- words ----------------------------------------------------------------------------------------------------------


def _at(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M}Z" if when else ""


def _line(text: object) -> str:
    """On one line, and without what would steer the terminal: much of it was written by strangers."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(str(text).split()))


def _known(name: str, known: Collection[str], what: str) -> str:
    import difflib

    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise InvalidInput(f"There is no {what} named {name}" + (f"; did you mean {close[0]}?" if close else "."))
    return name


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    for line in _aligned(rows):
        print(line)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(_line(row[column])) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in [tuple(_line(cell) for cell in row) for row in rows]:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()


if __name__ == "__main__":
    sys.exit(main())
