"""A house with years behind it: cases as people have worked on them, with every event, answer and turn. Seeded.

What a report is measured and tested on. Rows go into the tables in bulk, as the doors of the house would have left
them; their samples are taken by ``triage.samples``, like everybody's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

import channels
from bench.inbox import vocabulary
from database import Database
from models import (
    Author,
    Backlog,
    Base,
    Case,
    CaseEvent,
    CaseStatus,
    CaseTag,
    Definition,
    Kind,
    Mention,
    Promise,
    PromiseState,
    Reply,
    ReplyOrigin,
    ReplyStatus,
    Sentiment,
    SharedAnswer,
    SharedAnswerPart,
    Source,
    Story,
    Team,
    User,
)
from triage import samples
from triage.states import ALIVE, Action

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
YEARS = 3
SEED = 11
AT_ONCE = 10_000
AGENTS, TEAMS, SOURCES, SHARED = 50, 8, 20, 60
EMAILS = [f"agent{n}@storby.example" for n in range(1, AGENTS + 1)]
TAGS = ("snö", "väg", "skola", "buss", "park", "vatten", "sopor", "lyse", "bygge", "vård", "bibliotek", "sällan")
CATEGORIES = (None, "Gata", "Skola", "Vård", "Vatten", "Bygge", "Kultur")
LANGUAGES = ("sv", "sv", "sv", "en", "fi", "ar")
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 9, 9, 8, 8, 8, 7, 7, 7, 7, 7, 6, 6, 5, 4, 3, 2)
WEEKDAYS = (10, 10, 9, 9, 8, 5, 4)
_GROUPED = [getattr(Case, name) for name in (*samples.GROUPED_BY, "imported")]
POLICY = {
    "organisation": {"name": "Storby kommun", "timezone": "Europe/Stockholm", "languages": ["sv"]},
    "calendars": [
        {"name": "office", "timezone": "Europe/Stockholm", "holidays": "SE",
         "hours": {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["08:00-15:00"]}},
        {"name": "long", "timezone": "Europe/Stockholm", "hours": {"mon-sun": ["07:00-22:00"]}},
    ],
    "sla": [
        {"name": "standard", "calendar": "office", "when": {"kind": ["question", "problem"]},
         "first_response": "4h", "next_response": "8h", "resolution": "5d"},
        {"name": "rest", "first_response": "8h"},
    ],
}  # fmt: skip
Row = tuple[Any, ...]


def fill(database: Database, cases: int, *, at: datetime = AT, years: float = YEARS) -> None:
    """So many cases, ten mentions for every three, up to ``at``; everything is marked as unmeasured afterwards.

    The policy of the house (``POLICY``) has been declared.
    """
    chance = random.Random(SEED)
    begun = at - timedelta(days=365.25 * years)
    with database.read() as db:
        policies = _policies(db)
    with database.engine.begin() as connection:
        if database.sqlite:
            connection.exec_driver_sql("PRAGMA cache_size=-400000")
        into = _Into(connection)
        _people(into, begun)
        opened = sorted(_instants(chance, cases, begun, at))
        words = " ".join(chance.choices(vocabulary(chance)[:3000], k=40_000))
        writer = _Writer(chance, at, words, policies)
        for start in range(0, cases, AT_ONCE):
            for number, begins in enumerate(opened[start : start + AT_ONCE], start + 1):
                writer.case(number, begins)
            authors = range(start // 2 + 1, max(min(start + AT_ONCE, cases) // 2, 1) + 1)
            into.rows(Author, _AUTHOR, ((n, "api", str(n), f"Author {n}", f"h{n}", begun, {}) for n in authors))
            writer.flush(into)
        _midnights(into, at)
        into.advance()
        connection.execute(text("INSERT INTO unmeasured (case_id) SELECT id FROM cases"))
    settle(database)


def settle(database: Database) -> None:
    """What PostgreSQL does by itself after a while. SQLite is never told how much there is, here as in a house."""
    if not database.sqlite:
        with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _midnights(into: _Into, at: datetime) -> None:
    """The backlog of every night, from the events, as ``triage.samples.store_backlog`` would have stored it."""
    zone = ZoneInfo("Europe/Stockholm")
    keys = {row.id: row for row in into.connection.execute(select(Case.id, Case.opened_at, *_GROUPED))}
    moved = select(CaseEvent.case_id, CaseEvent.at, CaseEvent.to_status).where(CaseEvent.to_status.is_not(None))
    nights: dict[tuple[Any, ...], list[int]] = {}
    told: list[Any] = [
        tuple(row) for row in into.connection.execute(moved.order_by(CaseEvent.case_id, CaseEvent.version))
    ]
    for (number, since, status), (following, until, _) in pairwise([*told, (0, at, None)]):
        if status not in ALIVE or keys[number].imported:
            continue
        state = "waiting" if status == CaseStatus.pending else "open"
        first = since.astimezone(zone).date().toordinal() + 1
        last = (until if following == number else at).astimezone(zone).date().toordinal()
        for day in range(first, last + 1):
            nights.setdefault((day, state, *keys[number][2:-1]), []).append(number)
    into.rows(
        Backlog,
        ("id", "n", "oldest_at", "cases", "day", "state", *samples.GROUPED_BY),
        (
            (id, len(cases), min(keys[each].opened_at for each in cases), cases, *group)
            for id, (group, cases) in enumerate(sorted(nights.items(), key=lambda one: one[0][0]), 1)
        ),
    )


def _policies(db: Session) -> dict[str, int]:
    asked = select(Definition.name, Definition.id).where(Definition.part == "sla", Definition.retired_at.is_(None))
    return {name: number for name, number in db.execute(asked)}


def _instants(chance: random.Random, cases: int, begun: datetime, at: datetime) -> Iterator[datetime]:
    """More of them as time goes by, in the hours and on the days on which people write."""
    days = [begun.date() + timedelta(days=n) for n in range((at - begun).days)] or [date(2026, 11, 23)]
    weights = [WEEKDAYS[day.weekday()] * (1 + place / len(days)) for place, day in enumerate(days)]
    hours = chance.choices(range(24), HOURS, k=cases)
    for day, hour in zip(chance.choices(days, weights, k=cases), hours, strict=True):
        yield datetime(day.year, day.month, day.day, hour, chance.randrange(60), chance.randrange(60), tzinfo=UTC)


def _people(into: _Into, begun: datetime) -> None:
    users: list[Row] = [
        (n, email, f"Agent {n}", "admin" if n == 1 else "manager" if n == 2 else "agent", False, begun, {})
        for n, email in enumerate(EMAILS, 1)
    ]
    into.rows(User, ("id", "email", "name", "role", "needs_review", "created_at", "preferences"), users)
    calendars = [None, "office", "long"]
    teams = [(n, f"Team {n}", calendars[n % 3], False, False) for n in range(1, TEAMS + 1)]
    into.rows(Team, ("id", "name", "calendar", "members_only", "declared"), teams)
    names = ("id", "name", "channel", "definition", "declared", "enabled", "example", "created_at", "facts",
             "last_new", "last_known", "last_set_aside", "failures", "languages")  # fmt: skip
    into.rows(
        Source,
        names,
        [(n, f"source-{n}", _channel(n), {}, False, True, False, begun, {}, 0, 0, 0, 0, {}) for n in _to(SOURCES)],
    )
    stories = [(n, f"Story {n}", begun, begun, 9, 9, 900) for n in range(1, SHARED + 1)]
    into.rows(Story, ("id", "title", "opened_at", "last_at", "size", "authors", "reach"), stories)
    answers: list[Row] = [(n, n, n % AGENTS + 1, f"key {n}", {}, "keep", begun) for n in range(1, SHARED + 1)]
    into.rows(SharedAnswer, ("id", "story_id", "user_id", "key", "texts", "then_case", "created_at"), answers)


def _to(most: int) -> range:
    return range(1, most + 1)


def _channel(source: int) -> str:
    known = list(channels.CHANNELS)
    return known[source % len(known)]


# -- one case --------------------------------------------------------------------------------------------------------

_AUTHOR = ("id", "channel", "external_id", "name", "handle", "first_seen_at", "languages")
_CASE = ("id", "channel", "source_id", "author_id", "subject", "status", "priority", "kind", "sentiment", "language",
         "category", "settled", "review_wanted", "assignee_id", "team_id", "opened_at", "seen_at", "last_activity_at",
         "waiting_since", "sla_id", "first_response_at", "resolved_at", "closed_at", "follow_up_at", "mention_count",
         "reply_count", "spread", "imported", "version")  # fmt: skip
_MENTION = ("id", "channel", "external_id", "case_id", "author_id", "ours", "context", "repost", "text", "published_at",
            "collected_at", "can_reply", "can_reply_privately", "reply_address", "attachments", "imported")  # fmt: skip
_EVENT = ("id", "case_id", "version", "action", "actor", "from_status", "to_status", "changes", "mention_id",
          "reply_id", "at")  # fmt: skip
_REPLY = ("id", "case_id", "channel", "to_mention_id", "user_id", "origin", "body", "private", "status", "then_case",
          "created_at", "attempts", "sent_at", "awaiting_moderation", "lookups")  # fmt: skip
_PROMISE = ("id", "case_id", "reply_id", "words", "due_at", "back_at", "owner_id", "state", "made_at", "settled_at")
_TAG = ("case_id", "tag")
_PART = ("shared_answer_id", "case_id", "body", "version", "reply_id")


@dataclass
class _Life:
    """A case while it is being written down."""

    number: int
    channel: str
    status: str | None = None
    version: int = 0
    mentions: int = 0
    spread: int = 0
    opened_at: datetime | None = None
    seen_at: datetime | None = None
    waiting_since: datetime | None = None
    first_response_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    follow_up_at: datetime | None = None
    assignee: int | None = None
    team: int | None = None
    replies: int = 0
    last_mention: int = 0
    last: datetime = field(default=AT)


class _Ended(Exception):
    """The rest of this life is still to come."""


class _Writer:
    """Lives, as rows of their tables."""

    def __init__(self, chance: random.Random, at: datetime, words: str, policies: dict[str, int]) -> None:
        self.chance, self.at, self.words, self.policies = chance, at, words, policies
        self.tables: dict[Any, list[Row]] = {
            table: [] for table in (Case, CaseTag, Mention, Reply, CaseEvent, Promise, SharedAnswerPart)
        }
        self.ids = dict.fromkeys(self.tables, 0)

    def flush(self, into: _Into) -> None:
        columns = {Case: _CASE, CaseTag: _TAG, Mention: _MENTION, Reply: _REPLY, CaseEvent: _EVENT, Promise: _PROMISE,
                   SharedAnswerPart: _PART}  # fmt: skip
        for table, rows in self.tables.items():
            into.rows(table, columns[table], rows)
            rows.clear()

    def case(self, number: int, opened: datetime) -> None:
        chance = self.chance
        source = chance.randrange(SOURCES) + 1
        life = _Life(number, _channel(source))
        kind = chance.choice(list(Kind)).value
        imported = chance.random() < 0.03
        try:
            if imported:
                self.said(life, opened, imported=True)
                self.event(life, opened + timedelta(days=1), Action.imported, "import", to=CaseStatus.closed)
            else:
                self.live(life, opened)
        except _Ended:
            pass
        sla = self.policies.get("standard" if kind in ("question", "problem") else "rest")
        done = life.status in (CaseStatus.resolved, CaseStatus.closed)
        assert life.opened_at and life.seen_at and life.status
        row: Row = (
            number, life.channel, source, number // 2 or 1, self.text(60), life.status, "normal", kind,
            chance.choice(list(Sentiment)).value, chance.choice(LANGUAGES), chance.choice(CATEGORIES), [], False,
            life.assignee, life.team, life.opened_at, life.seen_at, life.last, life.waiting_since,
            None if imported else sla, life.first_response_at, life.resolved_at if done else None, life.closed_at,
            life.follow_up_at, life.mentions, life.replies, life.spread, imported, life.version,
        )  # fmt: skip
        self.tables[Case].append(row)
        for tag in chance.sample(TAGS, chance.choices((0, 1, 2), (75, 20, 5))[0]):
            self.tables[CaseTag].append((number, tag))

    def live(self, life: _Life, opened: datetime) -> None:
        chance = self.chance
        at = opened
        seen = self.said(life, at)
        if chance.random() < 0.7:
            life.team = chance.randrange(TEAMS) + 1
            self.event(life, seen, "assign_team", "rule:teams", changes={"team": [None, f"Team {life.team}"]})
        at = self.later(seen, 2)
        if chance.random() < 0.05:
            self.event(life, at, Action.ignore, EMAILS[chance.randrange(AGENTS)], to=CaseStatus.ignored)
            return
        if chance.random() < 0.6:
            self.take(life, at)
        if chance.random() < 0.3:
            self.event(life, at, "classify", EMAILS[0], changes={"kind": ["other", "question"]})
        for turn in range(chance.choices((0, 1, 2, 3, 4), (6, 34, 34, 18, 8))[0]):
            if turn:
                at = self.later(at, 5)
                self.said(life, at)
            while chance.random() < 0.41:  # the same again, or somebody else with the same matter
                at += timedelta(minutes=chance.randrange(1, 90))
                self.said(life, at)
            if chance.random() < 0.1:
                self.passed_on(life, at)
            at = self.later(at, 3)
            self.answer(life, at, chance.choices(("keep", "wait", "resolve"), (30, 25, 45))[0])
        if chance.random() < 0.03:
            at = self.later(at, 1)
            life.follow_up_at = at + timedelta(days=chance.randrange(1, 9))
            told = [None, life.follow_up_at.isoformat()]
            self.event(life, at, "snooze", EMAILS[3], changes={"follow_up_at": told})
            at = life.follow_up_at
            self.reached(at)
            life.follow_up_at = None
            self.event(life, at, Action.follow_up_due, "scheduler", to=CaseStatus.open)
        if life.status != CaseStatus.resolved:
            at = self.later(at, 20)
            self.event(life, at, Action.resolve, self.owner(life), to=CaseStatus.resolved)
        if chance.random() < 0.09:
            at = self.later(at, 30)
            self.said(life, at)
            at = self.later(at, 4)
            if chance.random() < 0.6:
                self.answer(life, at, "resolve")
            else:
                self.event(life, at, Action.resolve, self.owner(life), to=CaseStatus.resolved)
        at += timedelta(days=14)
        self.event(life, at, Action.close, "scheduler", to=CaseStatus.closed)

    def later(self, at: datetime, hours: float) -> datetime:
        """Mostly some hours, seldom days; at night and at weekends less often."""
        found = at + timedelta(seconds=int(self.chance.lognormvariate(0, 1.1) * hours * 3600) + 20)
        if found.hour not in range(6, 20) and self.chance.random() < 0.8:
            found += timedelta(hours=10)
        return found

    def reached(self, at: datetime) -> None:
        if at > self.at:
            raise _Ended

    def owner(self, life: _Life) -> str:
        return EMAILS[(life.assignee or self.chance.randrange(AGENTS) + 1) - 1]

    def text(self, length: int) -> str:
        start = self.chance.randrange(len(self.words) - length)
        return self.words[start : start + length]

    def next(self, table: Any) -> int:
        self.ids[table] += 1
        return self.ids[table]

    def event(
        self, life: _Life, at: datetime, action: str, actor: str, *, to: str | None = None,
        changes: dict[str, Any] | None = None, mention: int | None = None, reply: int | None = None,
    ) -> None:  # fmt: skip
        self.reached(at)
        life.version += 1
        before = None if to is None else life.status
        row = (self.next(CaseEvent), life.number, life.version, str(action), actor, before, to, changes or {}, mention,
               reply, at)  # fmt: skip
        self.tables[CaseEvent].append(row)
        life.last = at
        if to is not None:
            life.status = str(to)
            life.closed_at = at if to == CaseStatus.closed else None
            life.resolved_at = at if to == CaseStatus.resolved else life.resolved_at

    def said(self, life: _Life, at: datetime, *, imported: bool = False) -> datetime:
        """Returns when it was seen. What is not seen yet was not said."""
        seen = at + timedelta(seconds=self.chance.randrange(30, 600))
        first = life.opened_at is None
        if not first:
            self.reached(seen)
        number = self.mention(life, at, seen, imported=imported)
        life.mentions += 1
        life.last_mention = number
        life.waiting_since = life.waiting_since or at
        if first:
            life.opened_at, life.seen_at = at, seen
            life.last = at
            self.event(life, min(seen, self.at), "opened", "collector", to=CaseStatus.new, mention=number)
        else:
            back = life.status in (CaseStatus.pending, CaseStatus.resolved)
            to = CaseStatus.open if back else life.status
            self.event(life, seen, Action.author_wrote, "collector", to=to, mention=number)
        return seen

    def passed_on(self, life: _Life, at: datetime) -> None:
        self.reached(at)
        number = self.mention(life, at, at, repost=True)
        life.spread += 1
        self.event(life, at, "repost", "collector", mention=number)

    def mention(
        self, life: _Life, at: datetime, seen: datetime, *, repost: bool = False, imported: bool = False
    ) -> int:
        number = self.next(Mention)
        row: Row = (number, life.channel, str(number), life.number, life.number // 2 or 1, False, False, repost,
               self.text(150), at, seen, True, False, {}, [], imported)  # fmt: skip
        self.tables[Mention].append(row)
        return number

    def take(self, life: _Life, at: datetime) -> None:
        self.reached(at)
        before = None if life.assignee is None else EMAILS[life.assignee - 1]
        life.assignee = self.chance.randrange(AGENTS) + 1
        to = CaseStatus.open if life.status == CaseStatus.new else life.status
        who = EMAILS[life.assignee - 1]
        self.event(life, at, Action.take, who, to=to, changes={"assignee": [before, who]})

    def answer(self, life: _Life, at: datetime, then: str) -> None:
        self.reached(at)
        chance = self.chance
        number = self.next(Reply)
        user = life.assignee or chance.randrange(AGENTS) + 1
        origin = chance.choices(list(ReplyOrigin), (87, 8, 5))[0]
        here = origin is ReplyOrigin.gensvar
        to = {"keep": CaseStatus.open, "wait": CaseStatus.pending, "resolve": CaseStatus.resolved}[then]
        sent = at + timedelta(seconds=12 if here else 0)
        out = sent <= self.at
        row: Row = (number, life.number, life.channel, life.last_mention, user if here else None, origin.value,
               self.text(140), False, (ReplyStatus.sent if out else ReplyStatus.held).value, then, at, 1,
               sent if out else None, False, 0)  # fmt: skip
        self.tables[Reply].append(row)
        if here:
            self.event(life, at, f"reply_{then}", EMAILS[user - 1], to=to, reply=number)
        if not out:
            raise _Ended
        life.replies += 1
        life.waiting_since = None
        life.first_response_at = life.first_response_at or sent
        if here:
            self.event(life, sent, "reply_sent", "outbox", reply=number)
        else:
            action = "reply_seen" if origin is ReplyOrigin.network else "answered_elsewhere"
            begun = CaseStatus.open if life.status == CaseStatus.new else None
            self.event(life, at, action, "collector", to=begun, reply=number)
        if here and chance.random() < 0.07 and life.replies == 1:
            shared = chance.randrange(SHARED) + 1
            self.tables[SharedAnswerPart].append((shared, life.number, "", life.version, number))
        if chance.random() < 0.03:
            self.promise(life, number, user, sent)

    def promise(self, life: _Life, reply: int, user: int, at: datetime) -> None:
        due = at + timedelta(days=self.chance.randrange(1, 15))
        state, settled = PromiseState.open, None
        if due < self.at - timedelta(days=5):
            state = self.chance.choices((PromiseState.kept, PromiseState.dropped, PromiseState.open), (85, 10, 5))[0]
            settled = None if state is PromiseState.open else due + timedelta(hours=self.chance.randrange(-40, 15))
        self.tables[Promise].append(
            (self.next(Promise), life.number, reply, "i morgon", due, due, user, state.value, at, settled)
        )


# -- into the database -----------------------------------------------------------------------------------------------


class _Into:
    """Many rows at once, past the conversions that go value by value."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.postgresql = connection.dialect.name == "postgresql"

    def rows(self, table: Any, columns: Sequence[str], rows: Iterable[Row]) -> None:
        names = ", ".join(columns)
        told = (tuple(map(self._value, row)) for row in rows)
        cursor: Any = self.connection.connection.cursor()
        if self.postgresql:
            with cursor.copy(f"COPY {table.__tablename__} ({names}) FROM STDIN") as copy:
                for row in told:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(columns))
            cursor.executemany(f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})", told)  # noqa: S608
        cursor.close()

    def _value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value if self.postgresql else value.replace(tzinfo=None).isoformat(" ", "microseconds")
        if isinstance(value, (dict, list)):
            return json.dumps(value)
        return value

    def advance(self) -> None:
        """PostgreSQL counts on behind what was given."""
        if not self.postgresql:
            return
        for table in Base.metadata.sorted_tables:
            if "id" in table.columns and table.columns["id"].autoincrement:
                self.connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"  # noqa: S608
                    " HAVING max(id) IS NOT NULL"
                )
