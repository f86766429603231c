"""The figures of a period: what screens, exports, the API and the command all read, so that all say the same.

Everything is counted or ranked from ``samples`` (``triage.measures`` says what each is), but for what is waiting now,
which is read from the living cases. Which instant puts a sample into a period: its ``day``, METRICS in docs/figures.md.

The database gives whole columns at once as JSON arrays: a hundred thousand rows one by one would cost ten times that.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, func, literal, null, or_, select, union_all
from sqlalchemy.orm import Session

from errors import InvalidInput
from models import Base, Case, CaseTag, Sample, Source, Team, User
from triage import policy
from triage.measures import VERSION, How, Measure
from triage.states import ALIVE

FEW_OF_A_PERSON = 3  # below, nothing is said of how long one person took
FEW_FOR_P90 = 10
WEEK = timedelta(weeks=1)
NONE = "none"  # the key of what has no team, no assignee …
CREDITED = frozenset(  # to whoever did it, not to whom the case belongs
    {
        Measure.first_response, Measure.first_response_seen, Measure.next_response, Measure.answer, Measure.assigned,
        Measure.first_resolution, Measure.resolution, Measure.active, Measure.closing, Measure.ignored,
        Measure.promise,
    }
)  # fmt: skip
TIMED = frozenset(
    {
        Measure.first_response, Measure.first_response_seen, Measure.next_response, Measure.assigned,
        Measure.first_resolution, Measure.resolution, Measure.active,
    }
)  # fmt: skip
BUCKETS = (3600, 4 * 3600, 8 * 3600, 24 * 3600)  # seconds; the last is without end


class By(StrEnum):
    channel = "channel"
    source = "source"
    team = "team"
    assignee = "assignee"
    kind = "kind"
    tag = "tag"
    category = "category"
    language = "language"
    sentiment = "sentiment"
    day = "day"
    week = "week"  # by its Monday
    month = "month"  # by its first day


DATED = (By.day, By.week, By.month)
NARROWED = (By.channel, By.source, By.team, By.assignee, By.kind, By.category, By.language)
FILTERS = (*(by.value for by in NARROWED), By.tag.value)  # the fields of ``Asked`` that narrow it


class Clock(StrEnum):
    calendar = "calendar"
    business = "business"


@dataclass(frozen=True)
class Asked:
    """A period (``start`` inclusive, ``end`` exclusive, days of the organisation's zone) and what it is narrowed to.

    Filters name: sources, teams and tags by name, people by e-mail; "none" is without. ``seen``: the first response
    from when we saw it, else from publication.
    """

    start: date
    end: date
    by: By | None = None
    clock: Clock = Clock.calendar
    seen: bool = False
    imported: bool = False
    channel: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    assignee: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    language: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InvalidInput("The period is empty: `to` must be later than `from`.", {"to": "must be later"})

    @property
    def first(self) -> Measure:
        return Measure.first_response_seen if self.seen else Measure.first_response

    def previous(self) -> Asked:
        """The period before: whole months before whole months, else as many days.

        The beginning of a month, a quarter, a year or a week is compared with the same days of the one before.
        """
        if self.start.day == self.end.day == 1:
            months = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
            return replace(self, start=_months_back(self.start, months), end=self.start)
        days = self.end - self.start
        for months in (1, 3, 12):
            begins = self.start.day == 1 and self.start.month % months == 1 % months
            if begins and self.end <= _months_back(self.start, -months):
                return self._back(months)
        if self.start.weekday() == 0 and timedelta(days=1) < days < WEEK:
            return replace(self, start=self.start - WEEK, end=self.end - WEEK)
        return replace(self, start=self.start - days, end=self.start)

    def year_ago(self) -> Asked:
        return self._back(12)

    def _back(self, months: int) -> Asked:
        end = _months_back(self.end, months)
        if end.day != self.end.day:  # up to the 28th of a leap year's February is up to the 28th
            end += timedelta(days=1)
        return replace(self, start=_months_back(self.start, months), end=end)


def _months_back(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


@dataclass(frozen=True)
class Timing:
    """How long something took, in seconds. ``targeted`` of ``n`` had a target, ``within`` of those were in time.

    ``outside_hours`` of ``n`` lay wholly outside opening hours: these took no business time, though time passed.

    ``spread``: how many took at most each of ``BUCKETS``, and the last: more.

    A figure that is kept back, since it would tell of one person or of too few, is None: ``hidden`` says so.
    """

    n: int = 0
    median_s: int | None = None
    p90_s: int | None = None
    mean_s: int | None = None
    targeted: int = 0
    within: int = 0
    outside_hours: int = 0
    hidden: bool = False
    spread: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)

    @property
    def within_target(self) -> float | None:
        """The share in time, of those that had a target."""
        return round(self.within / self.targeted, 4) if self.targeted and not self.hidden else None


@dataclass(frozen=True)
class Row:
    """One line of a report. ``counts``: measure, or "measure:how", -> how many; ``oldest``: since when one waits."""

    key: str | None
    timings: Mapping[Measure, Timing] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    still_waiting: int = 0
    oldest: datetime | None = None

    def timing(self, measure: Measure) -> Timing:
        return self.timings.get(measure, Timing())

    def count(self, measure: Measure, *hows: str) -> int:
        """Of all, or of those that were done in one of these ways."""
        if not hows:
            return self.counts.get(measure, 0)
        return sum(self.counts.get(f"{measure}:{how}", 0) for how in hows)


@dataclass(frozen=True)
class Report:
    asked: Asked
    rows: tuple[Row, ...]
    total: Row
    definitions: str = VERSION
    missing: tuple[date, ...] = ()  # of the backlog: the midnights of which nothing is known


RESPONSE_TIMES = (Measure.received, Measure.first_response, Measure.next_response, Measure.resolution)


def report(db: Session, asked: Asked, measures: Iterable[Measure] = RESPONSE_TIMES) -> Report:
    """The figures of a period, for each key of ``asked.by`` and in all.

    A case with two tags is in both their lines, and once in the total; other lines add up to it. The number of queries
    depends neither on the measures nor on what they find.
    """
    return reports(db, {asked: measures}, waiting=(asked,))[asked]


def reports(
    db: Session, wanted: Mapping[Asked, Iterable[Measure]], waiting: Collection[Asked] = ()
) -> dict[Asked, Report]:
    """The same period asked in several ways, by this and by that, with either clock: its samples are read once for all.

    ``waiting``: in which of them it is said who waits for an answer now.
    """
    views = [
        (asked, [asked.first if each is Measure.first_response else each for each in measures])
        for asked, measures in wanted.items()
    ]
    by_tag = _Samples(db, [view for view in views if view[0].by is By.tag])
    whole = _Samples(db, [(replace(asked, by=None) if asked.by is By.tag else asked, each) for asked, each in views])
    called = {by: names_of(db, by) for by in {asked.by for asked, _ in views}}
    found = {}
    for asked, measures in views:
        waiting_by, in_all = _waiting(db, asked) if asked in waiting else ({}, NOBODY)
        samples = by_tag if asked.by is By.tag else whole
        rows = samples.rows(asked, measures, waiting_by, called[asked.by]) if asked.by else []
        rows.sort(key=lambda row: (row.key == NONE, (row.key or "").casefold(), row.key or ""))
        found[asked] = Report(asked, tuple(rows), whole.total(asked, measures, in_all))
    return found


Waiting = tuple[int, datetime | None]  # how many, the oldest since
NOBODY: Waiting = (0, None)


def _waiting(db: Session, asked: Asked) -> tuple[dict[Any, Waiting], Waiting]:
    """Who waits for an answer now, since before the end of the period: by key, and in all. Nobody waits on a day."""
    by = None if asked.by in DATED else asked.by
    found = {} if by is None else _waiting_by(db, asked, by)
    if by is None or by is By.tag:
        return found, _waiting_by(db, asked, None).get(None, NOBODY)
    oldest = [since for _, since in found.values() if since]
    return found, (sum(n for n, _ in found.values()), min(oldest)) if oldest else NOBODY


def _waiting_by(db: Session, asked: Asked, by: By | None) -> dict[Any, Waiting]:
    key = case_key(by)
    found = select(key, func.count(), func.min(Case.waiting_since)).where(*waits(db, asked))
    if by is By.tag:
        found = found.outerjoin(CaseTag, CaseTag.case_id == Case.id)
    return {raw: (n, oldest) for raw, n, oldest in db.execute(found.group_by(key) if by else found) if n}


View = tuple[Asked, Sequence[Measure]]


class _Samples:
    """The samples of a period, as columns: for each measure one value of each column for each sample, in one order."""

    def __init__(self, db: Session, views: Sequence[View]) -> None:
        wanted: dict[Measure, dict[str, ColumnElement[Any]]] = {}
        for asked, measures in views:
            for measure in measures:
                columns = wanted.setdefault(measure, {"code": _code(measure)})
                if measure in TIMED:
                    columns[asked.clock] = _took(asked.clock)
                if asked.by:
                    columns[_column(asked.by)] = key_of(asked.by, measure)
        self._columns = gathered(db, views[0][0], wanted) if wanted else {}
        self._totals: dict[tuple[Measure, Clock | None], _Counted] = {}

    def rows(
        self, asked: Asked, measures: Sequence[Measure], waiting: Mapping[Any, Waiting], name: Callable[[Any], str]
    ) -> list[Row]:
        parts = {measure: self._parted(asked, measure) for measure in measures}
        found = []
        for key in {*waiting, *(key for part in parts.values() for key in part)}:
            called = name(key)
            of = {measure: part.get(key, _NOTHING) for measure, part in parts.items()}
            found.append(_row(called, of, _few(asked, called), waiting.get(key, NOBODY)))
        return found

    def _parted(self, asked: Asked, measure: Measure) -> dict[Any, _Counted]:
        columns = self._columns[measure]
        keys = columns[_column(asked.by)]
        if asked.by is By.month:
            months = {day: month_of(day) for day in set(keys)}
            keys = [months[day] for day in keys]
        codes = _split(keys, columns["code"])
        took = _split(keys, columns[asked.clock]) if measure in TIMED else {}
        return {key: _Counted(Counter(codes[key]), sorted(took.get(key, ()))) for key in codes}

    def total(self, asked: Asked, measures: Sequence[Measure], waiting: Waiting) -> Row:
        return _row(None, {each: self._in_all(each, asked.clock) for each in measures}, _few(asked), waiting)

    def _in_all(self, measure: Measure, clock: Clock) -> _Counted:
        known = (measure, clock if measure in TIMED else None)
        if known not in self._totals:
            columns = self._columns[measure]
            self._totals[known] = _Counted(Counter(columns["code"]), sorted(columns.get(clock, ())))
        return self._totals[known]


@dataclass(frozen=True)
class _Counted:
    """Of one measure: how many samples have which code (``_code``), and how long they took, in order."""

    codes: Mapping[int, int]
    took: Sequence[int]


_NOTHING = _Counted({}, ())


def _split(keys: Sequence[Any], values: Sequence[int]) -> dict[Any, list[int]]:
    found = defaultdict(list)
    for key, value in zip(keys, values, strict=True):
        found[key].append(value)
    return found


def _column(by: By | None) -> str:
    """Days are made months here."""
    return By.day if by is By.month else str(by)


def _few(asked: Asked, key: str | None = None) -> int:
    """Below how many nothing is said of how long it took: in the line of one person, and wherever people were asked
    for. The total of all is not kept back: it stands there as well where nobody asks for persons.
    """
    if asked.by is By.assignee and key is not None:
        return FEW_OF_A_PERSON if key != NONE else 0
    return FEW_OF_A_PERSON if any(each != NONE for each in asked.assignee) else 0


def _row(name: str | None, of: Mapping[Measure, _Counted], few: int, waiting: Waiting) -> Row:
    counts: Counter[str] = Counter()
    timings = {}
    for measure, counted in of.items():
        kinds: Counter[int] = Counter()
        for code, samples in counted.codes.items():
            what, how = divmod(code, len(_HOWS))
            n = samples if measure in TIMED else samples * what
            counts[measure] += n
            if how:
                counts[f"{measure}:{_HOWS[how]}"] += n
            kinds[what] += samples
        if measure in TIMED:
            outside = sum(n for what, n in kinds.items() if what % 2)
            within, late = (kinds[each * 2] + kinds[each * 2 + 1] for each in (1, 2))
            timings[measure] = _timing(counted.took, within, late, outside, few)
    return Row(name, timings, dict(counts), *waiting)


def _timing(ordered: Sequence[int], within: int, late: int, outside: int, few: int) -> Timing:
    n = len(ordered)
    if n == 0 or n < few:
        return Timing(n, hidden=0 < n < few)
    up_to = [0, *(bisect_right(ordered, most) for most in BUCKETS), n]
    return Timing(
        n,
        median_s=rank(ordered, 50),
        p90_s=rank(ordered, 90) if n >= FEW_FOR_P90 else None,
        mean_s=round(sum(ordered) / n),
        targeted=within + late,
        within=within,
        outside_hours=outside,
        spread=tuple(more - fewer for fewer, more in pairwise(up_to)),
    )


def rank(ordered: Sequence[int], percent: int) -> int:
    """The percentile by nearest rank: the smallest value that so many per cent are not above."""
    return ordered[max(-(-percent * len(ordered) // 100), 1) - 1]


# -- what is asked of the database -----------------------------------------------------------------------------------


_HOWS: tuple[str | None, ...] = (None, *How)
OUTSIDE_HOURS = and_(Sample.business == 0, Sample.seconds > 0)  # it was closed all the time
_HOW: ColumnElement[int] = case({how: place for place, how in enumerate(_HOWS) if how}, value=Sample.how, else_=0)
_IN_TIME = case((Sample.late.is_(None), 0), (Sample.late.is_(True), 4), else_=2) + case((OUTSIDE_HOURS, 1), else_=0)


def _code(measure: Measure) -> ColumnElement[int]:
    """What is counted of a sample, in one number: its place in ``_HOWS``, and above that …

    of what took time, whether it lay outside opening hours (1) and was in time (2), late (4) or without a target; else
    ``n``.
    """
    return (_IN_TIME if measure in TIMED else Sample.n) * len(_HOWS) + _HOW


def _took(clock: Clock) -> ColumnElement[Any]:
    return (Sample.business if clock is Clock.business else Sample.seconds).expression


def gathered(
    db: Session, asked: Asked, wanted: Mapping[Measure, Mapping[str, ColumnElement[Any]]]
) -> dict[Measure, dict[str, list[Any]]]:
    """For each measure these columns of its samples, each as a list, in no order but all in the same: one statement."""
    postgresql = db.get_bind().dialect.name == "postgresql"
    gather: Callable[[Any], Any] = func.json_agg if postgresql else func.json_group_array
    most = max(map(len, wanted.values()))
    parts = []
    for measure, columns in wanted.items():
        blank = [null()] * (most - len(columns))  # all parts of one statement are equally wide
        if postgresql and measure not in TIMED:  # SQLite would have to sort them for it, which takes longer
            known: Mapping[str, ColumnElement[Any]] = _added_up(db, asked, measure, columns)
            part = select(literal(measure.value, Text()), *_arrays(gather, known), *blank)
        else:
            part = select(literal(measure.value, Text()), *_arrays(gather, columns), *blank).select_from(Sample)
            part = with_tags(part.where(*conditions(db, asked, measure)), asked.by)
        parts.append(part)
    return {
        Measure(name): {
            column: [] if text is None else json.loads(text)
            for column, text in zip(wanted[Measure(name)], texts, strict=False)
        }
        for name, *texts in db.execute(union_all(*parts))
    }


def _arrays(gather: Callable[[Any], Any], columns: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [cast(gather(each), Text) for each in columns.values()]


def _added_up(
    db: Session, asked: Asked, measure: Measure, columns: Mapping[str, ColumnElement[Any]]
) -> dict[str, ColumnElement[Any]]:
    """The same of what is only counted, where the database adds up first what has the same keys."""
    keys = {name: column for name, column in columns.items() if name != "code"}
    alike = select(func.sum(Sample.n).label("n"), _HOW.label("how"), *(each.label(name) for name, each in keys.items()))
    alike = with_tags(alike.where(*conditions(db, asked, measure)), asked.by)
    added = alike.group_by(_HOW, *keys.values()).subquery().c
    return {"code": added.n * len(_HOWS) + added.how, **{name: added[name] for name in keys}}


def with_tags(asking: Select[Any], by: By | None) -> Select[Any]:
    return asking.outerjoin(CaseTag, CaseTag.case_id == Sample.case_id) if by is By.tag else asking


def conditions(db: Session, asked: Asked, measure: Measure) -> list[ColumnElement[bool]]:
    """On ``Sample``: those that count for this measure."""
    first, last = asked.start.toordinal(), asked.end.toordinal() - 1
    found = [Sample.measure == measure.value, Sample.day.between(first, last)]
    if not asked.imported:
        found.append(Sample.imported.is_(False))
    person = Sample.user_id if measure in CREDITED else Sample.assignee_id
    return [*found, *narrowed(asked, Sample, person), *tagged(asked, Sample.case_id)]


def waits(db: Session, asked: Asked) -> list[ColumnElement[bool]]:
    """On ``Case``: those in which somebody waits for an answer now, since before the end of the period."""
    end = midnight(asked.end, policy.read(db).zone)
    return [Case.status.in_(ALIVE), Case.waiting_since < end, *case_conditions(asked)]


def case_conditions(asked: Asked) -> list[ColumnElement[bool]]:
    """The same on ``Case``, for what is read from living cases."""
    history = [] if asked.imported else [Case.imported.is_(False)]
    return [*history, *narrowed(asked, Case, Case.assignee_id), *tagged(asked, Case.id)]


def narrowed(asked: Asked, table: type[Base], person: Any) -> Iterator[ColumnElement[bool]]:
    """What is asked for, but tags, on a table that has what a case is grouped by; ``person``: its column of people."""
    for by in NARROWED:
        names: tuple[str, ...] = getattr(asked, by.value)
        if not names:
            continue
        column: Any = person if by is By.assignee else getattr(table, column_of(by))
        known = {By.source: (Source.id, Source.name), By.team: (Team.id, Team.name), By.assignee: (User.id, User.email)}
        values: Any = select(known[by][0]).where(known[by][1].in_(names)) if by in known else names
        wanted: ColumnElement[bool] = column.in_(values)
        yield or_(wanted, column.is_(None)) if NONE in names else wanted


def tagged(asked: Asked, case_id: Any) -> Iterator[ColumnElement[bool]]:
    if asked.tag:
        one_of_them = case_id.in_(select(CaseTag.case_id).where(CaseTag.tag.in_(asked.tag)))
        yield or_(one_of_them, case_id.not_in(select(CaseTag.case_id))) if NONE in asked.tag else one_of_them


def column_of(by: By) -> str:
    """What it is called in the tables that have what a case is grouped by: ``Sample``, ``Case``, ``Backlog``."""
    return {By.source: "source_id", By.team: "team_id", By.assignee: "assignee_id"}.get(by, by.value)


def key_of(by: By | None, measure: Measure) -> ColumnElement[Any]:
    """By what samples are put into lines; people by who is credited."""
    if by is None:
        return literal(None, Text())
    if by is By.tag:
        return CaseTag.tag.expression
    if by is By.assignee:
        return (Sample.user_id if measure in CREDITED else Sample.assignee_id).expression
    if by is By.week:
        return Sample.day - (Sample.day - 1) % 7
    column: ColumnElement[Any] = getattr(Sample, "day" if by is By.month else column_of(by)).expression
    return column


def case_key(by: By | None) -> ColumnElement[Any]:
    if by is None:
        return literal(None, Text())
    if by is By.tag:
        return CaseTag.tag.expression
    column: ColumnElement[Any] = getattr(Case, column_of(by)).expression
    return column


def names_of(db: Session, by: By | None) -> Callable[[Any], str]:
    """From a key as it is stored to what it is called: a name, an e-mail, a date."""
    table: dict[By, Any] = {
        By.source: select(Source.id, Source.name),
        By.team: select(Team.id, Team.name),
        By.assignee: select(User.id, User.email),
    }
    known = {id: name for id, name in db.execute(table[by])} if by in table else None

    def name(key: Any) -> str:
        if key is None:
            return NONE
        if by in DATED:
            return date.fromordinal(key).isoformat()
        return str(known.get(key, NONE)) if known is not None else str(key)

    return name


@lru_cache(maxsize=4096)
def month_of(day: int | None) -> int | None:
    return None if day is None else date.fromordinal(day).replace(day=1).toordinal()


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)


# -- pictures of it --------------------------------------------------------------------------------------------------


def heat(db: Session, asked: Asked, measure: Measure) -> list[list[int]]:
    """How many on each weekday (Monday first) in each hour of the clock on the wall: 7 × 24."""
    weekday = (Sample.day - 1) % 7
    asking = select(weekday, Sample.hour, func.sum(Sample.n)).where(*conditions(db, asked, measure))
    found = [[0] * 24 for _ in range(7)]
    for day, hour, n in db.execute(asking.group_by(weekday, Sample.hour)):
        found[day][hour] = int(n)
    return found
