"""The commands, as a person types them: what they print, what they return, and what they say when it goes wrong."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask, Response
from sqlalchemy import select, text

import cli
from database import Database, newest_migration
from house import RUNNING
from models import Account, ApiToken, Case, CaseEvent, CaseStatus, Mention, Reply, Source, Then, User
from sandbox.base import serving
from tests.conftest import config
from triage import answering, cases

FEED = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Kim i Storby</title>
<link>https://kim.example/</link>
<item><guid>a1</guid><title>Snön ligger kvar</title><link>https://kim.example/1</link>
<pubDate>Mon, 05 Oct 2026 10:00:00 GMT</pubDate><description>Storby plogar inte.</description></item>
<item><guid>a2</guid><title>Om katter</title><link>https://kim.example/2</link>
<pubDate>Mon, 05 Oct 2026 11:00:00 GMT</pubDate><description>Bara katter.</description></item>
</channel></rss>"""


@dataclass
class Said:
    """What a command printed and returned."""

    status: int
    out: str
    err: str


Gensvar = Callable[..., Said]


@pytest.fixture
def blog() -> Iterator[str]:
    """A blog on loopback."""
    app = Flask("blog")
    app.add_url_rule("/feed", view_func=lambda: Response(FEED, content_type="application/rss+xml"))
    with serving(app) as address:
        yield address


@pytest.fixture
def parts(blog: str) -> dict[str, Any]:
    source = {"channel": "blog", "collect": "feed", "url": f"{blog}/feed", "since": "all"}
    return {
        "sources": [{**source, "name": "kim"}, {**source, "name": "lost", "url": f"{blog}/nothing", "enabled": False}]
    }


@pytest.fixture
def file(tmp_path: Path, database: Database, parts: dict[str, Any]) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path, database, **parts)))
    return path


@pytest.fixture
def gensvar(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gensvar:
    def run(*arguments: str, stdin: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            status = cli.main(["--config", str(file), *arguments])
        except SystemExit as wrong:  # argparse
            status = int(wrong.code or 0)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return run


def add_anna(gensvar: Gensvar) -> None:
    who = ("anna@storby.example", "--name", "Anna", "--role", "admin", "--password-stdin")
    assert gensvar("user", "add", *who, stdin="correct horse battery\n").status == 0


# -- collecting and looking -------------------------------------------------------------------------------------------


def test_collect_prints_a_line_per_source_and_twice_gives_nothing_new(gensvar: Gensvar) -> None:
    first = gensvar("collect")
    assert (first.status, first.err) == (0, "")
    assert first.out == "kim: 2 new, 0 known, 0 set aside\n"
    assert gensvar("collect").out.startswith("kim: 0 new, ")


def test_a_source_that_fails_is_told_on_both_streams_and_the_others_go_on(gensvar: Gensvar) -> None:
    said = gensvar("collect", "--source", "lost", "--source", "kim")
    assert said.status == 1
    lost, kim = said.out.splitlines()
    assert lost.startswith("lost: 0 new, 0 known, 0 set aside, error: ")
    assert kim == "kim: 2 new, 0 known, 0 set aside"
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("gensvar: lost: ")


def test_an_unknown_source_is_wrong_usage(gensvar: Gensvar) -> None:
    said = gensvar("collect", "--source", "kin")
    assert said.status == 2
    assert "did you mean kim?" in said.err


def test_cases_are_listed_and_shown(gensvar: Gensvar) -> None:
    gensvar("collect")
    listed = gensvar("case", "list", "--status", "new")
    assert listed.status == 0
    assert "Snön ligger kvar" in listed.out
    assert listed.out.splitlines()[-1] == "2 of 2"
    number = next(line.split()[0] for line in listed.out.splitlines() if "Snön" in line)
    shown = gensvar("case", "show", number)
    assert shown.status == 0
    assert "Storby plogar inte." in shown.out
    assert "status: new" in shown.out
    assert "https://kim.example/1" in shown.out
    assert gensvar("case", "list", "--q", "katter").out.splitlines()[-1] == "1 of 1"
    wrong = gensvar("case", "list", "--status", "opne")
    assert (wrong.status, wrong.err) == (2, "gensvar: There is no status named opne; did you mean open?\n")


def test_a_case_that_is_not_there_is_one_line(gensvar: Gensvar) -> None:
    said = gensvar("case", "show", "99")
    assert (said.status, said.err) == (1, "gensvar: There is no case 99.\n")


def test_what_strangers_wrote_does_not_steer_the_terminal(
    gensvar: Gensvar, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    gensvar("collect")
    with database.transaction() as db:
        mention = db.scalars(select(Mention)).first()
        assert mention is not None
        mention.text = "red \x1b[31m and \x07 bell \x9b2J"
        number = mention.case_id
    shown = gensvar("case", "show", str(number))
    assert not [letter for letter in shown.out if not letter.isprintable() and letter != "\n"]


def test_sources_are_listed_tested_and_added(gensvar: Gensvar, blog: str, database: Database) -> None:
    assert "not enabled" in gensvar("source", "list").out
    tested = gensvar("source", "test", "kim")
    assert tested.status == 0
    assert "2 found on the first page; newest, 2026-10-05 11:00 UTC: Om katter" in tested.out
    with database.read() as db:
        assert db.scalars(select(Mention)).all() == [], "a test stores nothing"
    added = ("source", "add", "more", "--channel", "blog", "--collect", "feed", "--url", f"{blog}/feed")
    assert gensvar(*added, "--match", "plog* AND NOT katt*", "--since", "all").status == 0
    assert "1 new" in gensvar("collect", "--source", "more").out
    again = gensvar(*added)
    assert (again.status, again.err) == (2, "gensvar: There is a source named more already.\n")
    wrong = gensvar("source", "add", "x", "--channel", "blog", "--collect", "feeds", "--url", "foo")
    assert wrong.status == 2
    assert len(wrong.err.splitlines()) == 2, "both mistakes are told"


# -- answering --------------------------------------------------------------------------------------------------------


def test_send_and_tick_say_when_there_is_nothing_to_do(gensvar: Gensvar) -> None:
    assert gensvar("send").out == "Nothing was waiting to be sent.\n"
    nothing = "0 cases changed, 0 replies handled, 0 events reacted to, 0 webhooks called, 0 mails sent\n"
    assert gensvar("tick").out == nothing


def test_tick_does_what_is_due(gensvar: Gensvar, database: Database) -> None:
    gensvar("collect")
    with database.transaction() as db:
        then = datetime(2026, 11, 20, tzinfo=UTC)
        cases.snooze(db, 1, until=then, actor="cli", at=then - timedelta(days=1))
    said = gensvar("tick")
    assert said.out.startswith("1 cases changed")
    with database.read() as db:
        assert cases.get(db, 1).status == CaseStatus.open


def test_one_tick_reacts_to_what_has_come_and_tells_what_is_late(
    tmp_path: Path, database: Database, gensvar: Gensvar
) -> None:
    """Category, team, rule, target and its breach, from what config.yaml declares, in a single tick."""
    parts = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    parts |= {
        "calendars": [{"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-sun": ["00:00-24:00"]}}],
        "teams": [{"name": "Gata", "calendar": "office"}],
        "categories": [{"name": "Vinter", "match": "snö*", "team": "Gata"}],
        "rules": [{"name": "snow first", "if": {"match": "snö*"}, "then": {"priority": "high"}}],
        "sla": [{"name": "quick", "calendar": "office", "first_response": "1h"}],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(parts, allow_unicode=True), encoding="utf-8")
    gensvar("collect")
    assert gensvar("tick").status == 0
    with database.read() as db:
        snow = db.scalars(select(Case).where(Case.subject == "Snön ligger kvar")).one()
        assert (snow.category, snow.team.name if snow.team else None, snow.priority) == ("Vinter", "Gata", "high")
        assert snow.first_response_due_at == snow.opened_at + timedelta(hours=1)
        events = db.scalars(select(CaseEvent).where(CaseEvent.case_id == snow.id))
        assert {(event.action, event.actor) for event in events} >= {
            ("classify", "rule:snow first"),
            ("assign_team", "routing"),
            ("sla_breached", "sla"),
        }


def test_send_fails_when_a_reply_did_not_go_out(gensvar: Gensvar, database: Database) -> None:
    """A reply whose account is gone from the configuration cannot be sent, and that is told."""
    add_anna(gensvar)
    gensvar("collect")
    with database.transaction() as db:
        user, mention = db.scalars(select(User)).one(), db.scalars(select(Mention)).first()
        assert mention is not None
        assert mention.case_id is not None
        account = Account(name="gone", channel="blog")
        db.add(account)
        db.flush()
        answering.reply(
            db, mention.case_id, body="Hej", to_mention_id=mention.id, user=user, then=Then.keep, private=False,
            hold=timedelta(0), idempotency_key=None, account_id=account.id, at=datetime(2026, 11, 20, tzinfo=UTC),
        )  # fmt: skip
    said = gensvar("send")
    assert said.status == 1
    assert said.out.startswith("reply 1 in case ")
    with database.read() as db:
        assert db.scalars(select(Reply.status)).one() in ("failed", "uncertain")


# -- people -----------------------------------------------------------------------------------------------------------


def test_users_are_added_listed_and_disabled(gensvar: Gensvar, database: Database) -> None:
    add_anna(gensvar)
    with database.read() as db:
        user = db.scalars(select(User)).one()
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$")
    assert "anna@storby.example  Anna  admin  active" in gensvar("user", "list").out
    assert gensvar("user", "disable", "Anna@Storby.example").status == 0
    assert "disabled" in gensvar("user", "list").out
    assert gensvar("user", "disable", "bo@storby.example").status == 1


def test_a_short_password_or_a_second_user_is_refused(gensvar: Gensvar) -> None:
    who = ("user", "add", "bo@storby.example", "--name", "Bo", "--role", "agent", "--password-stdin")
    short = gensvar(*who, stdin="elevenchars\n")
    assert short.status == 2
    assert "12 characters" in short.err
    add_anna(gensvar)
    again = gensvar("user", "add", "ANNA@storby.example", *who[3:], stdin="correct horse battery\n")
    assert (again.status, again.err) == (2, "gensvar: There is a user anna@storby.example already.\n")
    assert gensvar("user", "add", "bo", *who[3:], stdin="correct horse battery\n").status == 2
    assert gensvar("user", "add", "bo@storby.example", "--name", "Bo", "--role", "king", "--password-stdin").status == 2


def test_a_token_is_printed_alone_and_kept_as_a_digest(gensvar: Gensvar, database: Database) -> None:
    add_anna(gensvar)
    said = gensvar("token", "create", "anna@storby.example", "--name", "script")
    token = said.out.strip()
    assert said.out == token + "\n"
    assert len(token) > 30
    with database.read() as db:
        assert token not in repr(db.scalars(select(ApiToken.token_digest)).one())
    gensvar("user", "disable", "anna@storby.example")
    assert gensvar("token", "create", "anna@storby.example", "--name", "x").status == 2


# -- keeping the house ------------------------------------------------------------------------------------------------


def test_backup_and_restore(gensvar: Gensvar, tmp_path: Path, database: Database) -> None:
    add_anna(gensvar)
    file = str(tmp_path / "b.gensvar")
    made = gensvar("backup", file)
    assert made.status == 0
    assert "1 users" in made.out
    gensvar("user", "disable", "anna@storby.example")
    unasked = gensvar("restore", file)
    assert unasked.status == 2
    assert "say --yes" in unasked.err
    with database.holding(RUNNING, shared=True):
        busy = gensvar("restore", file, "--yes")
    assert busy.status == 1
    assert "Gensvar is running" in busy.err
    restored = gensvar("restore", file, "--yes")
    assert (restored.status, restored.err) == (0, "")
    assert "before-restore-" in restored.out
    assert "active" in gensvar("user", "list").out
    damaged = tmp_path / "damaged"
    damaged.write_bytes(Path(file).read_bytes()[:-100])
    assert gensvar("restore", str(damaged), "--yes").status == 1


def test_check_finds_what_is_wrong_and_says_how_to_mend_it(gensvar: Gensvar, file: Path, blog: str) -> None:
    well = gensvar("check")
    assert well.status == 0, well.out
    assert well.out.splitlines()[-1] == "All is well."
    assert "ok     source kim: 2 found on the first page" in well.out
    file.write_text(file.read_text().replace("enabled: false", "enabled: true"))
    ill = gensvar("check")
    assert ill.status == 1
    assert "WRONG  source lost: " in ill.out
    assert "       mend it: " in ill.out
    assert ill.out.splitlines()[-1] == "1 wrong"


def test_migrate_says_where_the_database_stands(gensvar: Gensvar) -> None:
    assert gensvar("migrate").out == f"The database is at version {newest_migration()}.\n"


def test_a_database_made_by_a_newer_gensvar_is_left_alone(gensvar: Gensvar, database: Database) -> None:
    with database.transaction() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for command in ("collect", "migrate", "run"):
        said = gensvar(command)
        assert said.status == 1, command
        assert "Nothing was changed" in said.err
        assert len(said.err.splitlines()) == 1
    assert gensvar("check").status == 1


# -- mistakes ---------------------------------------------------------------------------------------------------------


def test_every_mistake_in_the_configuration_is_a_line_and_status_2(gensvar: Gensvar, file: Path) -> None:
    file.write_text("organisation: {name: Storby, timezone: Mars}\nlistn: x\n")
    said = gensvar("collect")
    assert (said.status, said.out) == (2, "")
    assert len(said.err.splitlines()) == 2
    assert all(line.startswith("gensvar: ") for line in said.err.splitlines())


def test_an_unreachable_database_is_one_line(gensvar: Gensvar, file: Path) -> None:
    written = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**written, "database_url": "postgresql+psycopg://u:hemlig@127.0.0.1:9/none"}))
    for command in (("collect",), ("restore", "backup", "--yes")):
        said = gensvar(*command)
        assert said.status == 1
        assert len(said.err.splitlines()) == 1
        assert "Cannot reach the database" in said.err
        assert "hemlig" not in said.err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"data_dir": "config.yaml"}, "data_dir, "),
        ({"database_url": "sqlite:///config.yaml/gensvar.db"}, "Cannot make the folder "),
        ({"listen": "no.such.host.invalid:8000"}, "Cannot listen on no.such.host.invalid:8000"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(
    gensvar: Gensvar, file: Path, wrong: dict[str, str], told: str
) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **wrong}))
    said = gensvar("web")
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert said.err.startswith(f"gensvar: {told}")


def test_what_nobody_foresaw_is_one_line_and_a_traceback_only_with_debug(
    gensvar: Gensvar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a\nbug")

    monkeypatch.setattr("house.open_house", broken)
    said = gensvar("collect")
    assert (said.status, said.err) == (1, "gensvar: Unexpected RuntimeError: a bug (--debug tells more)\n")


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("case", "show", "x"), ("source",), ("user", "add", "a@b.example")]
)
def test_wrong_usage_is_status_2(gensvar: Gensvar, arguments: tuple[str, ...]) -> None:
    said = gensvar(*arguments)
    assert said.status == 2
    assert "usage: gensvar" in said.err


def test_the_configuration_may_be_named_by_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENSVAR_CONFIG", str(file))
    assert cli.main(["source", "list"]) == 0
    assert "kim" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"gensvar {cli.VERSION} ")


# -- running ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_run_serves_collects_and_ends_when_told(file: Path, database: Database) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    written = yaml.safe_load(file.read_text())
    base = f"http://127.0.0.1:{port}"
    file.write_text(yaml.safe_dump({**written, "listen": f"127.0.0.1:{port}", "base_url": base}))
    command = [sys.executable, str(Path(cli.__file__)), "--config", str(file)]
    running = subprocess.Popen([*command, "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == f"Gensvar is at {base} (Ctrl-C ends it)\n"
        assert urllib.request.urlopen(f"{base}/healthz", timeout=30).status == 200
        assert urllib.request.urlopen(f"{base}/metrics", timeout=30).status == 200
        passed_on = urllib.request.Request(f"{base}/metrics", headers={"X-Forwarded-For": "192.0.2.7"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(passed_on, timeout=30)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with database.read() as db:
                if db.scalar(select(Source.last_success_at).where(Source.name == "kim")) is not None:
                    break
            time.sleep(0.2)
        else:
            pytest.fail("nothing was collected within 30 s")
        refused = subprocess.run([*command, "restore", str(file), "--yes"], capture_output=True, text=True, timeout=30)
        assert refused.returncode == 1
        running.send_signal(signal.SIGTERM)
        _, told = running.communicate(timeout=30)
        assert running.returncode == 0, told
        assert "Traceback" not in told
        assert "Fatal" not in told
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"{base}/healthz", timeout=1)
    finally:
        running.kill()
        running.wait()
