"""One line for each case: of those received in a period, or of those behind a figure. Read-only.

Read a page at a time, each page in a session of its own: however many there are, little memory is needed, and no
transaction stays open while somebody's browser loads slowly. What happens meanwhile may be in it; no case is twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from models import Author, Case, CaseTag, Sample, Source, Team, User
from reports import behind
from reports.behind import Wanted
from reports.export import Field
from reports.figures import Asked
from reports.tables import Unit, Value
from triage.measures import How, Measure
from triage.states import ALIVE

PAGE = 500
MOST_IN_EXCEL = 100_000  # while somebody waits for the file: about a minute of work, in which nothing has left yet
COMMAND = "gensvar report cases --from … --to … --format xlsx --output cases.xlsx"  # it has no such limit
Read = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class _Line:
    """A case with its samples."""

    case: Any
    handle: str | None
    author: str | None
    tags: Sequence[str]
    samples: Mapping[str, Sequence[Any]]
    names: _Names
    at: datetime

    def of(self, measure: Measure) -> Sequence[Any]:
        return self.samples.get(measure, ())

    def one(self, measure: Measure) -> Any:
        """The first of them; there is one of most."""
        return next(iter(self.of(measure)), None)

    def late(self, measure: Measure, due: datetime | None, waits: bool) -> bool | None:
        """As it was measured; of what is still to come only that it is late by now. None: no target, or not yet."""
        taken = self.of(measure)
        if any(each.late for each in taken) or (waits and due is not None and due < self.at):
            return True
        return False if any(each.late is False for each in taken) else None


@dataclass(frozen=True)
class _Names:
    base_url: str
    sources: Mapping[int, str]
    teams: Mapping[int, str]
    people: Mapping[int, str]

    @classmethod
    def read(cls, db: Session, base_url: str, only: str | None) -> _Names:
        def known(asked: Any) -> dict[int, str]:
            return {number: name for number, name in db.execute(asked)}

        sources, teams = known(select(Source.id, Source.name)), known(select(Team.id, Team.name))
        people = select(User.id, User.email).where(literal(True) if only is None else User.email == only)
        return cls(base_url.rstrip("/"), sources, teams, known(people))


Get = Callable[[_Line], Value]


def _of_case(name: str) -> Get:
    return lambda line: getattr(line.case, name)


def _took(name: str, measure: Measure) -> tuple[tuple[str, Unit, Get], ...]:
    """By both clocks. Where there are several, the longest."""

    def longest(column: str) -> Get:
        return lambda line: max(
            (took for each in line.of(measure) if (took := getattr(each, column)) is not None), default=None
        )

    return (
        (f"{name}_s", Unit.seconds, longest("seconds")),
        (f"{name}_business_s", Unit.seconds, longest("business")),
    )


def _when(measure: Measure) -> Get:
    return lambda line: None if (sample := line.one(measure)) is None else sample.at


def _answers(*hows: How) -> Get:
    return lambda line: sum(not hows or each.how in hows for each in line.of(Measure.answer))


def _how(line: _Line) -> Value:
    first = line.one(Measure.first_response) or line.one(Measure.answer)
    return None if first is None else first.how


def _reopened(line: _Line) -> Value:
    return sum(each.how is not None for each in line.of(Measure.closing))


def _first_late(line: _Line) -> Value:
    case = line.case
    waits = case.waiting_since is not None and case.first_response_at is None
    return line.late(Measure.first_response, case.first_response_due_at, waits)


def _next_late(line: _Line) -> Value:
    case = line.case
    waits = case.waiting_since is not None and case.first_response_at is not None
    return line.late(Measure.next_response, case.next_response_due_at, waits)


def _end_late(line: _Line) -> Value:
    return line.late(Measure.resolution, line.case.resolution_due_at, line.case.status in ALIVE)


COLUMNS: tuple[tuple[str, Unit, Get], ...] = (
    ("number", Unit.count, _of_case("id")),
    ("address", Unit.text, lambda line: f"{line.names.base_url}/cases/{line.case.id}"),
    ("channel", Unit.text, _of_case("channel")),
    ("source", Unit.text, lambda line: line.names.sources.get(line.case.source_id)),
    ("author", Unit.text, lambda line: line.author),
    ("author_handle", Unit.text, lambda line: line.handle),
    ("team", Unit.text, lambda line: line.names.teams.get(line.case.team_id)),
    ("assignee", Unit.text, lambda line: line.names.people.get(line.case.assignee_id)),
    ("kind", Unit.text, _of_case("kind")),
    ("tags", Unit.text, lambda line: ", ".join(line.tags) or None),
    ("category", Unit.text, _of_case("category")),
    ("language", Unit.text, _of_case("language")),
    ("sentiment", Unit.text, _of_case("sentiment")),
    ("priority", Unit.text, _of_case("priority")),
    ("status", Unit.text, _of_case("status")),
    ("ignored", Unit.flag, lambda line: line.case.status == "ignored"),
    ("imported", Unit.flag, _of_case("imported")),
    ("published_at", Unit.instant, _of_case("opened_at")),
    ("seen_at", Unit.instant, _of_case("seen_at")),
    ("assigned_at", Unit.instant, _when(Measure.assigned)),
    ("first_response_at", Unit.instant, _when(Measure.first_response)),
    ("waiting_since", Unit.instant, _of_case("waiting_since")),
    ("first_resolved_at", Unit.instant, _when(Measure.first_resolution)),
    ("resolved_at", Unit.instant, _when(Measure.resolution)),
    ("closed_at", Unit.instant, _of_case("closed_at")),
    ("ignored_at", Unit.instant, _when(Measure.ignored)),
    ("last_activity_at", Unit.instant, _of_case("last_activity_at")),
    ("mentions", Unit.count, _of_case("mention_count")),
    ("answers", Unit.count, _answers()),
    ("answers_gensvar", Unit.count, _answers(How.gensvar)),
    ("answers_network", Unit.count, _answers(How.network)),
    ("answers_elsewhere", Unit.count, _answers(How.elsewhere)),
    ("answers_shared", Unit.count, _answers(How.shared)),
    ("first_answered", Unit.text, _how),
    ("closings", Unit.count, lambda line: len(line.of(Measure.closing))),
    ("reopenings", Unit.count, _reopened),
    *_took("first_response", Measure.first_response),
    *_took("first_response_seen", Measure.first_response_seen),
    ("next_responses", Unit.count, lambda line: len(line.of(Measure.next_response))),
    *_took("next_response_longest", Measure.next_response),
    *_took("assigned", Measure.assigned),
    *_took("first_resolution", Measure.first_resolution),
    *_took("resolution", Measure.resolution),
    *_took("active", Measure.active),
    ("first_response_due_at", Unit.instant, _of_case("first_response_due_at")),
    ("first_response_late", Unit.flag, _first_late),
    ("next_response_due_at", Unit.instant, _of_case("next_response_due_at")),
    ("next_response_late", Unit.flag, _next_late),
    ("resolution_due_at", Unit.instant, _of_case("resolution_due_at")),
    ("resolution_late", Unit.flag, _end_late),
)
FIELDS: tuple[Field, ...] = tuple((name, unit) for name, unit, _ in COLUMNS)


def received(asked: Asked) -> Wanted:
    """All cases that were first seen in the period."""
    return Wanted(asked, Measure.received)


def count(db: Session, wanted: Wanted, at: datetime) -> int:
    """How many lines there will be."""
    if not isinstance(wanted.what, Measure):
        return behind.page(db, wanted, at, most=1).total
    cases = select(func.count(Sample.case_id.distinct())).where(*behind.counted(db, wanted, wanted.what, at))
    return db.scalar(cases) or 0


def lines(read: Read, wanted: Wanted, base_url: str, at: datetime, only: str | None = None) -> Iterator[list[Value]]:
    """In the order in which they came, or were what is counted; of what is so now, those who waited longest first.

    ``only``: nobody else is named as assignee, for those who may not see the figures of other people.
    """
    with read() as db:
        names = _Names.read(db, base_url, only)
    seen: set[int] = set()
    cursor: str | None = ""
    while cursor is not None:
        with read() as db:
            numbers, cursor = _numbers(db, wanted, at, cursor, PAGE)
            fresh = [number for number in dict.fromkeys(numbers) if number not in seen]
            seen.update(fresh)
            yield from _lines(_cases(db, fresh, names, at), fresh)


def page(
    db: Session, asked: Asked, base_url: str, at: datetime, *, cursor: str, most: int, only: str | None = None
) -> tuple[list[list[Value]], str | None]:
    """Some of the lines of what was received, from a cursor on, and the cursor of the next."""
    numbers, after = _numbers(db, received(asked), at, cursor, most)
    return list(_lines(_cases(db, numbers, _Names.read(db, base_url, only), at), numbers)), after


def _numbers(db: Session, wanted: Wanted, at: datetime, cursor: str, most: int) -> tuple[Sequence[int], str | None]:
    """The cases of a page, some of them more than once, and where the next one begins."""
    if not isinstance(wanted.what, Measure):
        page = behind.page(db, wanted, at, cursor=cursor, most=most)
        return [entry.case.id for entry in page.entries], page.next_cursor
    where = behind.counted(db, wanted, wanted.what, at)
    order = (Sample.day, Sample.id)  # as the index has it: each page is found where the last one ended
    if cursor:
        where.append(behind.beyond(order, cursor, up=True))
    rows = select(Sample.day, Sample.id, Sample.case_id).where(*where).order_by(*order).limit(most + 1)
    found = db.execute(rows).all()
    after = behind.write_cursor(found[most - 1][:2]) if len(found) > most else None
    return [case_id for _, _, case_id in found[:most]], after


def _lines(found: Mapping[int, _Line], numbers: Sequence[int]) -> Iterator[list[Value]]:
    for number in numbers:
        if number in found:  # else it is gone, or not for who asks
            yield [get(found[number]) for _, _, get in COLUMNS]


_CASE = (
    Case.id, Case.channel, Case.source_id, Case.team_id, Case.assignee_id, Case.kind, Case.category, Case.language,
    Case.sentiment, Case.priority, Case.status, Case.imported, Case.opened_at, Case.seen_at, Case.first_response_at,
    Case.waiting_since, Case.closed_at, Case.last_activity_at, Case.mention_count, Case.first_response_due_at,
    Case.next_response_due_at, Case.resolution_due_at,
)  # fmt: skip
_TOLD = [each.value for each in Measure if each not in (Measure.received, Measure.mention, Measure.promise)]
_SAMPLE = (Sample.case_id, Sample.measure, Sample.at, Sample.seconds, Sample.business, Sample.how, Sample.late)


def _cases(db: Session, numbers: Sequence[int], names: _Names, at: datetime) -> dict[int, _Line]:
    """A bounded number of statements."""
    if not numbers:
        return {}
    author = Author.__table__  # of a case that is seen, so is its author
    cases: Any = select(*_CASE, author.c.name.label("author"), author.c.handle)
    cases = cases.outerjoin(author, author.c.id == Case.author_id).where(Case.id.in_(numbers))
    tags: dict[int, list[str]] = defaultdict(list)
    tagged = select(CaseTag.case_id, CaseTag.tag).where(CaseTag.case_id.in_(numbers)).order_by(CaseTag.tag)
    for number, tag in db.execute(tagged):
        tags[number].append(tag)
    samples: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    taken = select(*_SAMPLE).where(Sample.case_id.in_(numbers))  # asked for measures too, SQLite reads all of those
    for sample in db.execute(taken.order_by(Sample.at, Sample.id)):
        if sample.measure in _TOLD:
            samples[sample.case_id][sample.measure].append(sample)
    return {
        row.id: _Line(row, row.handle, row.author, tags.get(row.id, ()), samples.get(row.id, {}), names, at)
        for row in db.execute(cases)
    }
