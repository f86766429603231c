"""The figures of a period: what screens, exports, the API and the command all read, so that all say the same.

Everything is counted or ranked from ``samples`` (``triage.measures`` says what each is), but for what is waiting now,
which is read from the living cases. Which instant puts a sample into a period: its ``day``, METRICS in docs/figures.md.

The database gives whole columns at once as JSON arrays: a hundred thousand rows one by one would cost ten times that.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, func, literal, or_, select, union_all
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
    wanted = [asked.first if each is Measure.first_response else each for each in measures]
    lines = _Lines(asked)
    lines.read(db, wanted)
    lines.read_waiting(db)
    names = names_of(db, asked.by)
    total = _Lines(replace(asked, by=None))
    if asked.by is By.tag:
        total.read(db, wanted)
        total.read_waiting(db)
    else:
        lines.into(total)
    rows = [lines.row(key, names(key)) for key in lines.found()]
    rows.sort(key=lambda row: (row.key == NONE, (row.key or "").casefold(), row.key or ""))
    return Report(asked, tuple(rows) if asked.by else (), total.row(None, None))


class _Lines:
    """What has been read, by key."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        # Nothing tells of one person where too little is known: in their own line, and wherever people were asked for.
        # The total of all is not kept back: it stands there as well where nobody asks for persons.
        self.of_persons = asked.by is By.assignee or any(each != NONE for each in asked.assignee)
        self.seconds: dict[Measure, dict[Any, list[int]]] = {}
        self.targets: dict[Measure, Counter[tuple[Any, int]]] = {}
        self.outside: dict[Measure, Counter[Any]] = {}
        self.counts: dict[Any, Counter[str]] = defaultdict(Counter)
        self.waiting: dict[Any, tuple[int, datetime]] = {}

    def read(self, db: Session, measures: Sequence[Measure]) -> None:
        self._count(db, [each for each in measures if each not in TIMED])
        self._time(db, [each for each in measures if each in TIMED])

    def _count(self, db: Session, measures: Sequence[Measure]) -> None:
        """What is only counted, the database counts: all of it in one statement."""
        if not measures:
            return
        parts = []
        for measure in measures:
            name, key = literal(measure.value, Text()), key_of(self.asked.by, measure)
            grouped = select(name, key.label("key"), Sample.how, func.sum(Sample.n))
            grouped = with_tags(grouped.where(*conditions(db, self.asked, measure)), self.asked.by)
            parts.append(grouped.group_by(key, Sample.how) if self.asked.by else grouped.group_by(Sample.how))
        for name, raw, how, n in db.execute(union_all(*parts)):
            self._add(self._key(raw), name, how, int(n))

    def _time(self, db: Session, measures: Sequence[Measure]) -> None:
        """What took time is ranked here: each row comes as its key, its seconds, and what else is counted of it."""
        value = Sample.business if self.asked.clock is Clock.business else Sample.seconds
        wanted = [(key_of(self.asked.by, each),) if self.asked.by else () for each in measures]
        columns = [(*key, value, _COUNTED) for key in wanted]
        for measure, (*keyed, seconds, counted) in zip(
            measures, gathered(db, self.asked, measures, columns), strict=True
        ):
            if self.asked.by is None:
                by_key = {None: seconds} if seconds else {}
                many = Counter((None, each) for each in counted)
            else:
                raws = keyed[0]
                if self.asked.by is By.month:
                    raws = [month_of(raw) for raw in raws]
                by_key = defaultdict(list)
                for raw, took in zip(raws, seconds, strict=True):
                    by_key[raw].append(took)
                many = Counter(zip(raws, counted, strict=True))
            self.seconds[measure] = by_key
            targets = self.targets[measure] = Counter()
            outside = self.outside[measure] = Counter()
            for (key, code), n in many.items():
                rest, closed = divmod(code, 2)
                how, late = divmod(rest, 3)
                outside[key] += n * closed
                self._add(key, measure, _HOWS[how], n)
                if late:
                    targets[key, late == 2] += n

    def _add(self, key: Any, measure: str, how: str | None, n: int) -> None:
        self.counts[key][measure] += n
        if how is not None:
            self.counts[key][f"{measure}:{how}"] += n

    def read_waiting(self, db: Session) -> None:
        """Who waits for an answer now, since before the end of the period."""
        if self.asked.by in DATED:
            key: ColumnElement[Any] = literal(None, Text())  # nobody waits on a day
        else:
            key = case_key(self.asked.by)
        found = select(key, func.count(), func.min(Case.waiting_since)).where(*waits(db, self.asked))
        if self.asked.by is By.tag:
            found = found.outerjoin(CaseTag, CaseTag.case_id == Case.id)
        dated = self.asked.by in DATED
        for raw, n, oldest in db.execute(found.group_by(key) if not dated and self.asked.by else found):
            if n:
                self.waiting[None if dated else raw] = (n, oldest)

    def _key(self, raw: Any) -> Any:
        return month_of(raw) if self.asked.by is By.month else raw

    def found(self) -> list[Any]:
        waiting = set() if self.asked.by in DATED else self.waiting.keys()
        return list({*self.counts, *waiting})

    def into(self, total: _Lines) -> None:
        for measure, by_key in self.seconds.items():
            total.seconds[measure] = {None: [each for many in by_key.values() for each in many]}
            total.targets[measure] = Counter()
            for (_, late), n in self.targets[measure].items():
                total.targets[measure][None, late] += n
            total.outside[measure] = Counter({None: self.outside[measure].total()})
        for counts in self.counts.values():
            total.counts[None].update(counts)
        if self.waiting:
            n = sum(n for n, _ in self.waiting.values())
            total.waiting[None] = (n, min(oldest for _, oldest in self.waiting.values()))

    def row(self, key: Any, name: str | None) -> Row:
        nobody = self.asked.by is By.assignee and name == NONE
        timings = {
            measure: _timing(
                by_key.get(key, []),
                self.targets[measure][key, False],
                self.targets[measure][key, True],
                self.outside[measure][key],
                FEW_OF_A_PERSON if self.of_persons and not nobody else 0,
            )
            for measure, by_key in self.seconds.items()
        }
        waiting, oldest = self.waiting.get(key, (0, None))
        return Row(name, timings, dict(self.counts.get(key, {})), waiting, oldest)


def _timing(values: list[int], within: int, late: int, outside: int, few: int) -> Timing:
    n = len(values)
    if n == 0 or n < few:
        return Timing(n, hidden=0 < n < few)
    ordered = sorted(values)
    return Timing(
        n,
        median_s=rank(ordered, 50),
        p90_s=rank(ordered, 90) if n >= FEW_FOR_P90 else None,
        mean_s=round(sum(ordered) / n),
        targeted=within + late,
        within=within,
        outside_hours=outside,
    )


def rank(ordered: Sequence[int], percent: int) -> int:
    """The percentile by nearest rank: the smallest value that so many per cent are not above."""
    return ordered[max(-(-percent * len(ordered) // 100), 1) - 1]


# -- what is asked of the database -----------------------------------------------------------------------------------


_HOWS: tuple[str | None, ...] = (None, *How)
OUTSIDE_HOURS = and_(Sample.business == 0, Sample.seconds > 0)  # it was closed all the time
# Of what took time: how it was done; whether in time (1), late (2) or without a target; whether outside opening hours.
_COUNTED = (
    case({how: place * 6 for place, how in enumerate(_HOWS) if how is not None}, value=Sample.how, else_=0)
    + case((Sample.late.is_(None), 0), (Sample.late.is_(True), 4), else_=2)
    + case((OUTSIDE_HOURS, 1), else_=0)
)


def gathered(
    db: Session, asked: Asked, measures: Sequence[Measure], columns: Sequence[Sequence[Any]]
) -> list[list[list[Any]]]:
    """For each measure these columns of its samples, each as a list, in no order but all in the same: one statement."""
    if not measures:
        return []
    postgresql = db.get_bind().dialect.name == "postgresql"
    gather: Callable[[Any], Any] = func.json_agg if postgresql else func.json_group_array
    parts = []
    for measure, wanted in zip(measures, columns, strict=True):
        arrays: list[ColumnElement[str]] = [cast(gather(each), Text) for each in wanted]
        part: Select[Any] = select(literal(measure.value, Text()), *arrays).select_from(Sample)  # type: ignore[assignment]  # of a length it cannot know
        parts.append(with_tags(part.where(*conditions(db, asked, measure)), asked.by))
    found = {
        row[0]: [[] if text is None else json.loads(text) for text in row[1:]] for row in db.execute(union_all(*parts))
    }
    return [found[measure.value] for measure in measures]


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


def buckets(db: Session, asked: Asked, measure: Measure) -> list[int]:
    """How many took at most each of ``BUCKETS``, and the last: more."""
    value = Sample.business if asked.clock is Clock.business else Sample.seconds
    ((seconds,),) = gathered(db, replace(asked, by=None), [measure], [[value]])
    found = [0] * (len(BUCKETS) + 1)
    for took in seconds:
        found[bisect_left(BUCKETS, took)] += 1
    return found


def heat(db: Session, asked: Asked, measure: Measure) -> list[list[int]]:
    """How many on each weekday (Monday first) in each hour of the clock on the wall: 7 × 24."""
    weekday = (Sample.day - 1) % 7
    asking = select(weekday, Sample.hour, func.sum(Sample.n)).where(*conditions(db, asked, measure))
    found = [[0] * 24 for _ in range(7)]
    for day, hour, n in db.execute(asking.group_by(weekday, Sample.hour)):
        found[day][hour] = int(n)
    return found
