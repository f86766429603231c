"""Opening hours as arithmetic: how much opening time lies between two instants, and when an amount of it is used up.

A minute is open when the clock on the wall shows a time within the day's opening hours. So the hour that summer time
takes is not there to be open, and the hour it gives back is open twice. Everything in and out is an aware instant.
Without a calendar (None) it is always open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from settings import DAYS, Calendar, OpeningTime, Span

DAY = timedelta(days=1)
FAR = 366 * 3  # days; a calendar that is not open within them never will be
MIDNIGHT = time(0)

Opening = tuple[datetime, datetime]

# What the holiday library does not know as public holidays, as (month, day) or days from Easter Sunday: the days on
# which offices in the country close early, and those on which they do not open at all.
_EARLY: dict[str, tuple[tuple[int, int] | int, ...]] = {
    "SE": ((1, 5), -3, (4, 30), 38, (12, 23)),  # Twelfth Night, Maundy Thursday, Walpurgis, before Ascension
    "DK": ((6, 5), (12, 31)),  # Constitution Day
    "NO": (-4, (12, 24), (12, 31)),  # the Wednesday before Maundy Thursday
}
_SHUT: dict[str, dict[tuple[int, int], str]] = {
    "SE": {(12, 24): "Julafton", (12, 31): "Nyårsafton"},  # and Midsummer Eve
    "DK": {(12, 24): "Juleaften"},
    "NO": {},
}
_LANGUAGE = {"SE": "sv", "DK": "da", "NO": "no"}  # else the library takes that of the machine


@dataclass(frozen=True)
class Day:
    """One date of a calendar. ``why`` it differs from its weekday: exception, holiday, half_day, or nothing."""

    date: date
    openings: tuple[Opening, ...]
    why: str | None = None
    name: str | None = None  # of the holiday, in the language of the country


@dataclass(frozen=True)
class Step:
    """A day of a calculation: ``counted`` of its opening time were used."""

    day: Day
    counted: timedelta


@lru_cache(maxsize=20_000)
def day(calendar: Calendar, on: date) -> Day:
    """When it is open on this date of its own time zone, as UTC instants in order."""
    spans, why, name = _hours(calendar, on)
    zone = ZoneInfo(calendar.timezone)
    return Day(on, tuple(opening for span in spans for opening in _instants(zone, on, span)), why, name)


def is_open(calendar: Calendar | None, at: datetime) -> bool:
    if calendar is None:
        return True
    return any(start <= at < end for start, end in day(calendar, _date(calendar, at)).openings)


def next_opening(calendar: Calendar | None, at: datetime) -> datetime:
    """``at`` where it is open then, else when it next opens. Raises ``ValueError`` if that is never."""
    if calendar is None:
        return at
    return max(at, next(_openings(calendar, at))[0])


def between(calendar: Calendar | None, start: datetime, end: datetime) -> timedelta:
    """The opening time from ``start`` to ``end``; nothing where ``end`` is not later."""
    if end <= start:
        return timedelta()
    if calendar is None:
        return end - start
    total = timedelta()
    for opens, closes in _openings(calendar, start, until=end):
        total += min(closes, end) - max(opens, start)
    return total


def add(calendar: Calendar | None, start: datetime, amount: OpeningTime) -> datetime:
    """When ``amount`` of opening time has passed since ``start``.

    Hours are opening hours. A day leads to the same time of the next day that opens at all, or, where that day is not
    open then, to the nearest moment of it that is: at its opening, or at the last closing before. Days go first.
    """
    if calendar is None:
        return start + amount.days * DAY + amount.time
    at = start
    if amount.days:
        at = _add_days(calendar, next_opening(calendar, start), amount.days)
    left = amount.time
    if not left:
        return at
    for opens, closes in _openings(calendar, at):
        here = closes - max(opens, at)
        if here >= left:
            return max(opens, at) + left
        left -= here
    raise AssertionError("openings never end")


def subtract(calendar: Calendar | None, end: datetime, amount: OpeningTime, *, since: datetime) -> datetime:
    """The same backwards: the last moment from which ``amount`` leads to ``end``, but not before ``since``."""
    if calendar is None:
        return max(since, end - amount.days * DAY - amount.time)
    at, first = end, _date(calendar, since)
    if amount.days:
        local = end.astimezone(ZoneInfo(calendar.timezone))
        on, days = local.date(), amount.days
        while days:
            on -= DAY
            if on < first:
                return since
            days -= bool(day(calendar, on).openings)
        at = _nearest(day(calendar, on).openings, datetime.combine(on, local.time(), local.tzinfo).astimezone(UTC))
    left, on = amount.time, _date(calendar, at)
    while left and on >= first:
        for opens, closes in reversed(day(calendar, on).openings):
            here = max(min(closes, at) - opens, timedelta())
            if left and here >= left:
                at, left = min(closes, at) - left, timedelta()
            left -= min(here, left)
        on -= DAY
    return since if left else max(since, at)


def steps(calendar: Calendar, start: datetime, end: datetime) -> list[Step]:
    """The same day by day, for people to follow: every date touched, also those that were not open."""
    found: list[Step] = []
    on, last = _date(calendar, start), _date(calendar, end)
    while on <= last:
        today = day(calendar, on)
        parts = ((max(opens, start), min(closes, end)) for opens, closes in today.openings)
        found.append(Step(today, sum((b - a for a, b in parts if b > a), timedelta())))
        on += DAY
    return found


# -- one day ---------------------------------------------------------------------------------------------------------


def _hours(calendar: Calendar, on: date) -> tuple[tuple[Span, ...], str | None, str | None]:
    if on in calendar.exceptions:
        return calendar.exceptions[on], "exception", None
    usual = calendar.hours.get(DAYS[on.weekday()], ())
    if calendar.holidays is None:
        return usual, None, None
    shut, early = _special(calendar.holidays, on.year)
    if on in shut:
        return (), "holiday", shut[on]
    if on in early and calendar.half_days_end is not None:
        return tuple(_cut(usual, calendar.half_days_end)), "half_day", None
    return usual, None, None


def _cut(spans: tuple[Span, ...], end: time) -> Iterator[Span]:
    for span in spans:
        if span.start < end:
            yield span if span.end != MIDNIGHT and span.end <= end else Span(span.start, end)


@lru_cache(maxsize=256)
def _special(country: str, year: int) -> tuple[dict[date, str], frozenset[date]]:
    """The days it is shut, each with its name, and those on which it closes early: nothing where none are known."""
    import holidays  # 80 ms, and only calendars with holidays need it

    public = holidays.country_holidays(country, years=year, language=_LANGUAGE[country])
    shut: dict[date, str] = dict(public.items())
    sundays = (day for day in _sundays(year) if day + timedelta(days=1) in shut and day - timedelta(days=2) in shut)
    easter = next(sundays, None)
    if easter is None:  # the library's tables begin late and end somewhere: of such a year no holidays are known
        return {}, frozenset()
    for on, name in _SHUT[country].items():
        shut.setdefault(date(year, *on), name)
    if country == "SE":
        eve = next(date(year, 6, n) for n in range(19, 26) if date(year, 6, n).weekday() == 4)  # seven days: one Friday
        shut.setdefault(eve, "Midsommarafton")
    early = frozenset(_when(year, easter, each) for each in _EARLY[country]) - shut.keys()
    return shut, early


def _when(year: int, easter: date, given: tuple[int, int] | int) -> date:
    return easter + timedelta(days=given) if isinstance(given, int) else date(year, *given)


def _sundays(year: int) -> Iterator[date]:
    """Those Easter can fall on."""
    return (found for n in range(35) if (found := date(year, 3, 22) + timedelta(days=n)).weekday() == 6)


def _instants(zone: ZoneInfo, on: date, span: Span) -> Iterator[Opening]:
    """The time during which the clock on the wall is within the span on that date."""
    start = datetime.combine(on, span.start)
    end = datetime.combine(on + DAY if span.end == MIDNIGHT else on, span.end)
    for since, until, offset in _offsets(zone, on):
        opens, closes = max((start - offset).replace(tzinfo=UTC), since), min((end - offset).replace(tzinfo=UTC), until)
        if opens < closes:
            yield opens, closes


@lru_cache(maxsize=20_000)
def _offsets(zone: ZoneInfo, on: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """(from, to, offset from UTC) around a date: one, or two where summer time begins or ends nearby."""
    since = datetime.combine(on, MIDNIGHT, UTC) - DAY
    until = since + 3 * DAY
    before, after = _offset(zone, since), _offset(zone, until)
    if before == after:
        return ((since, until, before),)
    early, late = since, until  # to the minute: zones change on whole minutes
    while late - early > timedelta(minutes=1):
        middle = early + timedelta(minutes=int((late - early).total_seconds()) // 120)
        early, late = (middle, late) if _offset(zone, middle) == before else (early, middle)
    return ((since, late, before), (late, until, after))


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


# -- many days -------------------------------------------------------------------------------------------------------


def _date(calendar: Calendar, at: datetime) -> date:
    return at.astimezone(ZoneInfo(calendar.timezone)).date()


def _openings(calendar: Calendar, since: datetime, *, until: datetime | None = None) -> Iterator[Opening]:
    """Every opening that ends after ``since``, up to ``until`` or for ever. Raises ``ValueError`` if none comes."""
    on, empty = _date(calendar, since), 0
    while until is None or on <= _date(calendar, until):
        openings = day(calendar, on).openings
        empty = 0 if openings else empty + 1
        if until is None and empty > FAR:
            raise ValueError(f"the calendar {calendar.name} is never open after {on}")
        for opens, closes in openings:
            if closes > since and (until is None or opens < until):
                yield opens, closes
        on += DAY


def _add_days(calendar: Calendar, start: datetime, days: int) -> datetime:
    zone = ZoneInfo(calendar.timezone)
    local = start.astimezone(zone)
    on = local.date()
    empty = 0
    while days:
        on += DAY
        opens = bool(day(calendar, on).openings)
        days, empty = (days - 1, 0) if opens else (days, empty + 1)
        if empty > FAR:
            raise ValueError(f"the calendar {calendar.name} is never open after {on}")
    return _nearest(day(calendar, on).openings, datetime.combine(on, local.time(), zone).astimezone(UTC))


def _nearest(openings: tuple[Opening, ...], wanted: datetime) -> datetime:
    found = openings[0][0]
    for opens, closes in openings:
        if opens <= wanted:
            found = min(wanted, closes)
    return found
