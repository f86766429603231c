"""What is unfinished: at each midnight, as it was stored then, and what is late by now. Read-only.

A stock, not a flow: days are never added up. By day, week or month a line is the midnight with which that began; by
anything else it is the last midnight of the period, and so is the total. A midnight at which nothing ran was not stored
and is never made up: by day its line is empty, and ``Report.missing`` has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, Text, and_, func, literal, or_, select
from sqlalchemy.orm import Session

from models import Backlog, Case, CaseTag, Sample
from reports.figures import (
    DATED,
    NONE,
    Asked,
    By,
    Report,
    Row,
    case_key,
    column_of,
    conditions,
    key_of,
    month_of,
    names_of,
    narrowed,
    waits,
    with_tags,
)
from triage import policy
from triage.measures import How, Measure

STATES = ("open", "waiting", "snoozed")  # waiting: for the author
OF_A_CASE = (By.tag, By.sentiment)  # not stored with a midnight: as they are now
MIDNIGHT = "midnight"  # in ``Row.counts``: the day, as ``date.toordinal()``
AT_ONCE = 500  # cases asked for in one statement


@dataclass
class Lying:
    """How many in each of ``STATES``, and since when the oldest."""

    states: Counter[str] = field(default_factory=Counter)
    oldest: datetime | None = None

    def add(self, state: str, n: int, oldest: datetime) -> None:
        self.states[state] += n
        self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)

    @property
    def n(self) -> int:
        return sum(self.states.values())


@dataclass
class Midnight:
    """``by``: the same by key, where something else than days is asked for; a case with two tags is in both."""

    day: date
    total: Lying = field(default_factory=Lying)
    by: dict[str, Lying] = field(default_factory=dict)


def midnights(db: Session, asked: Asked, days: Collection[int]) -> dict[int, Midnight]:
    """Those of these days, which were stored; one at which nothing lay there is among them.

    The database adds up what lay there by night, state and key: there are about as many rows as cases.
    """
    names = names_of(db, asked.by)
    key = _key(asked.by)
    one_by_one = bool(asked.tag) or asked.by in OF_A_CASE
    summed = (func.sum(Backlog.n).label("n"), func.min(Backlog.oldest_at).label("oldest_at"))
    grouped = (Backlog.day, Backlog.state, key.label("key"))
    singly: Select[Any] = select(Backlog.day, Backlog.state, Backlog.n, Backlog.oldest_at, key, Backlog.cases)
    added: Select[Any] = select(Backlog.day, Backlog.state, *summed, key.label("key"))
    added = added.group_by(*grouped if _kept(asked.by) else grouped[:2])
    rows = db.execute(
        (singly if one_by_one else added).where(Backlog.day.in_(days), *narrowed(asked, Backlog, Backlog.assignee_id))
    ).all()
    cases = _cases(db, {number for row in rows for number in row.cases}) if one_by_one else {}
    found = {day: Midnight(date.fromordinal(day)) for day in days}
    for row in rows:
        lying: list[tuple[int, datetime, tuple[str | None, ...]]] = [(int(row.n), row.oldest_at, (row[4],))]
        if one_by_one:
            lying = [(1, opened_at, keys) for _, opened_at, keys in _single(asked, row, cases)]
        for n, oldest, keys in lying:
            if n == 0:
                continue
            found[row.day].total.add(row.state, n, oldest)
            if asked.by is None or asked.by in DATED:
                continue
            for each in keys:
                found[row.day].by.setdefault(names(each), Lying()).add(row.state, n, oldest)
    return found


def report(db: Session, asked: Asked, at: datetime) -> Report:
    """In each line ``counts`` of ``STATES``, ``oldest`` and ``midnight_of``; a line without a midnight is not known."""
    days = _days(db, asked)
    missing = _missing(db, asked, days, at)
    begun: dict[str, int] = {}
    absent: dict[str, None] = {}
    if asked.by is not None and asked.by in DATED:
        for day in days:
            begun.setdefault(_begins(asked.by, date.fromordinal(day)), day)
        absent = {key: None for day in missing if (key := _begins(asked.by, day)) not in begun}
    rows = [Row(key) for key in absent]
    total = Row(None)
    if days:
        nights = midnights(db, asked, {*begun.values(), days[-1]})
        last = nights[days[-1]]
        rows += [_row(key, nights[day].day, nights[day].total) for key, day in begun.items()]
        rows += [_row(key, last.day, lying) for key, lying in last.by.items()]
        total = _row(None, last.day, last.total)
    rows.sort(key=lambda row: (row.key == NONE, (row.key or "").casefold(), row.key or ""))
    return Report(asked, tuple(rows), total, missing=missing)


_STORED = cast(Table, Backlog.__table__).c.day  # the table: that something was stored is known to all who see reports


def _days(db: Session, asked: Asked) -> list[int]:
    """Which midnights of the period were stored, in order."""
    first, last = asked.start.toordinal(), asked.end.toordinal() - 1
    stored = select(_STORED).where(_STORED.between(first, last)).distinct().order_by(_STORED)
    return list(db.scalars(stored))


def _missing(db: Session, asked: Asked, days: Collection[int], at: datetime) -> tuple[date, ...]:
    """The midnights at which nothing ran: none before the first that was ever stored, and none that may still be."""
    first = db.scalar(select(func.min(_STORED)))
    if first is None:
        return ()
    today = at.astimezone(policy.read(db).zone).date().toordinal()  # stored whenever something runs on that day
    whole = range(max(first, asked.start.toordinal()), min(today, asked.end.toordinal()))
    return tuple(date.fromordinal(day) for day in sorted(set(whole).difference(days)))


def runs(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Days in order, as the first and the last of those that follow one another."""
    for _, run in groupby(enumerate(days), key=lambda one: one[1].toordinal() - one[0]):
        together = [day for _, day in run]
        yield together[0], together[-1]


def numbers(db: Session, asked: Asked, states: Collection[str] = (), key: str | None = None) -> list[int]:
    """The cases that lay there at the one midnight asked for, in these states (or any), in the line of this key."""
    where = [Backlog.day == asked.start.toordinal(), *narrowed(asked, Backlog, Backlog.assignee_id)]
    if states:
        where.append(Backlog.state.in_(states))
    columns = (Backlog.day, Backlog.cases, Backlog.n, Backlog.oldest_at, _key(asked.by))
    rows = db.execute(select(*columns).where(*where)).all()
    names = names_of(db, asked.by)
    if asked.tag or asked.by in OF_A_CASE:
        cases = _cases(db, {number for row in rows for number in row.cases})
        lying = [each for row in rows for each in _single(asked, row, cases)]
    else:
        lying = [(number, row.oldest_at, (row[4],)) for row in rows for number in row.cases]
    return [number for number, _, keys in lying if key is None or key in {names(each) for each in keys}]


def midnight_of(row: Row) -> str | None:
    """The day that began then."""
    return date.fromordinal(row.counts[MIDNIGHT]).isoformat() if MIDNIGHT in row.counts else None


def _row(key: str | None, day: date, lying: Lying) -> Row:
    return Row(key, counts={**lying.states, MIDNIGHT: day.toordinal()}, oldest=lying.oldest)


def _begins(by: By, day: date) -> str:
    number = day.toordinal()
    if by is By.week:
        number -= (number - 1) % 7
    return date.fromordinal((month_of(number) or number) if by is By.month else number).isoformat()


def _kept(by: By | None) -> bool:
    """Whether a midnight was stored by it."""
    return by is not None and by not in DATED and by not in OF_A_CASE


def _key(by: By | None) -> ColumnElement[Any]:
    if by is None or not _kept(by):
        return literal(None, Text())
    column: ColumnElement[Any] = getattr(Backlog, column_of(by)).expression
    return column


@dataclass(frozen=True)
class _Case:
    opened_at: datetime
    sentiment: str | None
    tags: tuple[str, ...]


def _cases(db: Session, numbers: Collection[int]) -> dict[int, _Case]:
    """Those that are still there, for who asks."""
    wanted = sorted(numbers)
    tags: dict[int, list[str]] = {}
    found: dict[int, _Case] = {}
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        tagged = select(CaseTag.case_id, CaseTag.tag).where(CaseTag.case_id.in_(part)).order_by(CaseTag.tag)
        for number, tag in db.execute(tagged):
            tags.setdefault(number, []).append(tag)
        for number, opened_at, sentiment in db.execute(
            select(Case.id, Case.opened_at, Case.sentiment).where(Case.id.in_(part))
        ):
            found[number] = _Case(opened_at, sentiment, tuple(tags.get(number, ())))
    return found


def _single(
    asked: Asked, row: Any, cases: Mapping[int, _Case]
) -> Iterable[tuple[int, datetime, tuple[str | None, ...]]]:
    """The cases of a stored row one by one: number, since when, in which lines."""
    for number in row.cases:
        case = cases.get(number)
        if case is None or (asked.tag and not set(asked.tag) & set(case.tags or (NONE,))):
            continue
        if asked.by is By.tag:
            yield number, case.opened_at, case.tags or (None,)
        elif asked.by is By.sentiment:
            yield number, case.opened_at, (case.sentiment,)
        else:
            yield number, case.opened_at, (row[4],)


# -- late by now -----------------------------------------------------------------------------------------------------


def is_late(at: datetime) -> ColumnElement[bool]:
    """On ``Case``: an answer is owed, and its target is past."""
    return or_(
        and_(Case.first_response_at.is_(None), Case.first_response_due_at < at),
        and_(Case.first_response_at.is_not(None), Case.next_response_due_at < at),
    )


def late_now(db: Session, asked: Asked, at: datetime) -> dict[str | None, int]:
    """Of those who wait for an answer since before the end of the period: whose target is past. None: all of them."""
    late = (*waits(db, asked), is_late(at))
    found: dict[str | None, int] = {None: db.scalar(select(func.count(Case.id)).where(*late)) or 0}
    if asked.by is None or asked.by in DATED:
        return found
    key, names = case_key(asked.by), names_of(db, asked.by)
    grouped = select(key, func.count(Case.id)).where(*late).group_by(key)
    if asked.by is By.tag:
        grouped = grouped.outerjoin(CaseTag, CaseTag.case_id == Case.id)
    for raw, n in db.execute(grouped):
        found[names(raw)] = n
    return found


def overdue(db: Session, asked: Asked, at: datetime) -> dict[str | None, int]:
    """The promises for a day of the period that are neither kept nor dropped, and whose day has come. None: all."""
    past = (*conditions(db, asked, Measure.promise), Sample.how == How.open.value, Sample.at < at)
    found: dict[str | None, int] = {None: db.scalar(select(func.count(Sample.id)).where(*past)) or 0}
    if asked.by is None:
        return found
    key, names = key_of(asked.by, Measure.promise), names_of(db, asked.by)
    grouped = select(key, func.count(Sample.id)).where(*past).group_by(key)
    for raw, n in db.execute(with_tags(grouped, asked.by)):
        name = names(month_of(raw) if asked.by is By.month else raw)
        found[name] = found.get(name, 0) + n
    return found
