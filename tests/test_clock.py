"""Opening hours against the slow obvious way: look at the clock on the wall, minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settings import Calendar, OpeningTime, Span
from triage import clock

ZONES = {"SE": "Europe/Stockholm", "DK": "Europe/Copenhagen", "NO": "Europe/Oslo"}
MINUTE = timedelta(minutes=1)
FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 12, 28, tzinfo=UTC)
# Both changes of the clock in each year, Christmas, Easter, Midsummer: where the arithmetic can go wrong.
TRICKY = [
    datetime(*day, tzinfo=UTC)
    for day in (
        (2025, 3, 29), (2025, 10, 25), (2026, 3, 28), (2026, 10, 24), (2027, 3, 27), (2027, 10, 30), (2028, 3, 25),
        (2028, 10, 28), (2026, 4, 1), (2026, 6, 18), (2026, 12, 22), (2027, 12, 30), (2026, 5, 13), (2028, 2, 28),
    )
]  # fmt: skip


def office(country: str = "SE", **more: object) -> Calendar:
    hours = {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["08:00-15:00"]}
    return Calendar.model_validate(
        {"name": "office", "timezone": ZONES[country], "holidays": country, "hours": hours, **more}
    )


def wall(country: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONES[country])).astimezone(UTC)


def open_by_the_wall(calendar: Calendar, at: datetime) -> bool:
    """The oracle: nothing of the code under test but which days are special."""
    local = at.astimezone(ZoneInfo(calendar.timezone))
    spans = calendar.hours.get(local.strftime("%a").lower(), ())
    if local.date() in calendar.exceptions:
        spans = calendar.exceptions[local.date()]
    elif calendar.holidays:
        shut, early = clock._special(calendar.holidays, local.year)
        if local.date() in shut:
            return False
        if local.date() in early and calendar.half_days_end and local.time() >= calendar.half_days_end:
            return False
    return any(span.start <= local.time() and (span.end == time(0) or local.time() < span.end) for span in spans)


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    cuts = sorted(draw(st.sets(st.integers(0, 96), max_size=6)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [Span(time(a // 4, a % 4 * 15), time(b // 4 % 24, b % 4 * 15)) for a, b in pairs]


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    country = draw(st.sampled_from(sorted(ZONES)))
    week = {day: tuple(draw(spans())) for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    week["tue"] = week["tue"] or (Span(time(9), time(12)),)
    special = draw(st.dictionaries(st.dates(date(2025, 1, 1), date(2028, 12, 31)), spans().map(tuple), max_size=3))
    return Calendar.model_construct(
        name="random",
        timezone=ZONES[country],
        holidays=draw(st.sampled_from([None, country])),
        half_days_end=draw(st.sampled_from([None, time(12), time(13, 30)])),
        hours=week,
        exceptions=special,
    )


@st.composite
def instants(draw: st.DrawFn) -> datetime:
    base = draw(st.sampled_from(TRICKY) | st.integers(0, 1450).map(lambda n: FIRST + timedelta(days=n)))
    return base.replace(second=0, microsecond=0) + timedelta(minutes=draw(st.integers(0, 2 * 1440)))


def counted(calendar: Calendar, start: datetime, end: datetime) -> int:
    minutes = int((end - start) / MINUTE)
    return sum(open_by_the_wall(calendar, start + n * MINUTE) for n in range(minutes))


@settings(max_examples=60, deadline=None)
@given(calendars(), instants(), st.integers(0, 4 * 1440))
def test_opening_time_is_what_the_wall_clock_says_minute_by_minute(
    calendar: Calendar, start: datetime, length: int
) -> None:
    end = start + length * MINUTE
    assert clock.between(calendar, start, end) == counted(calendar, start, end) * MINUTE


@settings(max_examples=60, deadline=None)
@given(calendars(), instants(), st.integers(1, 600))
def test_an_amount_is_used_up_when_so_many_open_minutes_have_passed(
    calendar: Calendar, start: datetime, amount: int
) -> None:
    end = clock.add(calendar, start, OpeningTime(0, amount * MINUTE))
    assert clock.between(calendar, start, end) == amount * MINUTE
    assert open_by_the_wall(calendar, end - MINUTE), "it ends with an open minute, not after a closed one"


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(calendars(), st.lists(instants(), min_size=3, max_size=3))
def test_it_adds_up_and_is_never_more_than_the_calendar_says(calendar: Calendar, three: list[datetime]) -> None:
    a, b, c = sorted(three)
    whole = clock.between(calendar, a, c)
    assert whole == clock.between(calendar, a, b) + clock.between(calendar, b, c)
    assert timedelta() <= whole <= c - a
    if c - a < timedelta(days=60):
        assert sum((step.counted for step in clock.steps(calendar, a, c)), timedelta()) == whole


@pytest.mark.parametrize("country", sorted(ZONES))
def test_every_day_of_four_years_against_the_wall_clock(country: str) -> None:
    """Quarter by quarter, for an office with a lunch gap and a night service that is open while the clock changes."""
    night = office(country, hours={"mon-sun": ["00:00-02:30", "02:45-05:00", "22:00-24:00"]}, holidays=None)
    for calendar in (office(country), night):
        at = datetime(2025, 1, 1, tzinfo=UTC)
        while at < LAST:
            tricky = any(abs(at - day) < timedelta(days=3) for day in TRICKY)
            if tricky or at.day % 9 == 0:
                for quarter in range(96):
                    moment = at + quarter * 15 * MINUTE
                    assert clock.is_open(calendar, moment) == open_by_the_wall(calendar, moment), moment
            at += timedelta(days=1)


def test_the_hour_that_summer_time_takes_is_not_there_and_the_one_it_gives_back_counts_twice() -> None:
    night = office(hours={"mon-sun": ["01:00-04:00"]}, holidays=None)
    spring, autumn = wall("SE", "2026-03-29T00:00"), wall("SE", "2026-10-25T00:00")
    assert clock.between(night, spring, spring + timedelta(hours=23)) == timedelta(hours=2)
    assert clock.between(night, autumn, autumn + timedelta(hours=25)) == timedelta(hours=4)


@pytest.mark.parametrize(
    ("start", "amount", "due"),
    [
        ("2026-03-02T09:00", OpeningTime(0, timedelta(hours=4)), "2026-03-02T14:00"),  # over lunch
        ("2026-03-02T12:30", OpeningTime(0, timedelta(hours=1)), "2026-03-02T14:00"),  # begins in the gap
        ("2026-03-06T14:00", OpeningTime(0, timedelta(hours=2)), "2026-03-09T09:00"),  # over a weekend
        ("2026-03-02T16:30", OpeningTime(1, timedelta()), "2026-03-04T08:00"),  # after hours: from the next morning
        ("2026-03-05T16:00", OpeningTime(1, timedelta()), "2026-03-06T15:00"),  # Friday closes earlier
        ("2026-03-02T10:00", OpeningTime(5, timedelta()), "2026-03-09T10:00"),
        ("2026-04-02T10:00", OpeningTime(0, timedelta(hours=4)), "2026-04-07T10:00"),  # Maundy Thursday, Easter
        ("2026-06-18T16:00", OpeningTime(0, timedelta(hours=1)), "2026-06-22T08:30"),  # Midsummer Eve
        ("2026-12-23T10:00", OpeningTime(0, timedelta(hours=3)), "2026-12-28T09:00"),
        ("2026-03-02T10:00", OpeningTime(1, timedelta(hours=1)), "2026-03-03T11:00"),
    ],
)
def test_when_it_is_due(start: str, amount: OpeningTime, due: str) -> None:
    assert clock.add(office(), wall("SE", start), amount) == wall("SE", due)


def test_holidays_of_each_country() -> None:
    for country, shut, early in (
        ("SE", ["2026-01-06", "2026-05-14", "2026-06-19", "2026-12-24"], ["2026-01-05", "2026-04-02", "2026-04-30"]),
        ("DK", ["2026-05-14", "2026-05-25", "2026-12-24"], ["2026-06-05", "2026-12-31"]),
        ("NO", ["2027-05-17", "2026-05-14", "2026-05-25"], ["2026-04-01", "2026-12-24", "2026-12-31"]),
    ):
        calendar = office(country)
        for day in shut:
            assert not clock.day(calendar, date.fromisoformat(day)).openings, (country, day)
            assert clock.day(calendar, date.fromisoformat(day)).why == "holiday"
        for day in early:
            assert clock.day(calendar, date.fromisoformat(day)).openings[-1][1] == wall(country, f"{day}T12:00")
            assert clock.day(office(country, half_days_end="none"), date.fromisoformat(day)).why is None


@pytest.mark.parametrize(("country", "year"), [("SE", 1950), ("NO", 1850), ("SE", 2150), ("DK", 2150), ("NO", 2150)])
def test_in_a_year_of_which_no_holidays_are_known_every_weekday_is_as_usual(country: str, year: int) -> None:
    """What is published on the network may be dated as its author likes."""
    first, last = wall(country, f"{year}-04-01T00:00"), wall(country, f"{year}-05-01T00:00")
    usual = office(country, holidays=None)
    assert clock.between(office(country), first, last) == clock.between(usual, first, last) > timedelta()
    assert clock.add(office(country), first, OpeningTime(5, timedelta())) == clock.add(
        usual, first, OpeningTime(5, timedelta())
    )
    assert clock.day(office(country), date(year, 12, 24)).why is None


def test_an_exception_wins_over_a_holiday() -> None:
    calendar = office(exceptions={"2026-12-24": ["09:00-11:00"], "2026-12-28": []})
    assert clock.between(calendar, wall("SE", "2026-12-24T00:00"), wall("SE", "2026-12-25T00:00")) == timedelta(hours=2)
    assert not clock.is_open(calendar, wall("SE", "2026-12-28T10:00"))


def test_a_calendar_that_never_opens_again_is_an_error_and_no_endless_loop() -> None:
    empty = Calendar.model_construct(
        name="empty", timezone="Europe/Oslo", holidays=None, half_days_end=None, hours={}, exceptions={}
    )
    assert clock.between(empty, FIRST, LAST) == timedelta()
    with pytest.raises(ValueError, match="never open"):
        clock.add(empty, FIRST, OpeningTime(0, MINUTE))
    with pytest.raises(ValueError, match="never open"):
        clock.next_opening(empty, FIRST)


def test_without_a_calendar_it_is_always_open() -> None:
    assert clock.between(None, FIRST, LAST) == LAST - FIRST
    assert clock.add(None, FIRST, OpeningTime(1, timedelta(hours=2))) == FIRST + timedelta(hours=26)
    assert clock.is_open(None, FIRST)
    assert clock.next_opening(None, FIRST) == FIRST


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(calendars(), instants(), st.integers(1, 600), st.integers(0, 4 * 1440))
def test_backwards_it_is_the_last_moment_from_which_so_much_is_open(
    calendar: Calendar, end: datetime, amount: int, before: int
) -> None:
    since = end - before * MINUTE
    start = clock.subtract(calendar, end, OpeningTime(0, amount * MINUTE), since=since)
    wanted = end
    left = amount
    while left and wanted > since:
        wanted -= MINUTE
        left -= open_by_the_wall(calendar, wanted)
    assert start == wanted


@pytest.mark.parametrize(
    ("end", "amount", "start"),
    [
        ("2026-03-09T08:20", OpeningTime(0, timedelta(minutes=30)), "2026-03-06T14:50"),  # back over a weekend
        ("2026-03-09T10:00", OpeningTime(1, timedelta()), "2026-03-06T10:00"),  # an opening day, not 24 hours of it
        ("2026-03-09T16:00", OpeningTime(1, timedelta(hours=1)), "2026-03-06T14:00"),  # Friday closes earlier
        ("2026-12-28T10:00", OpeningTime(5, timedelta()), "2026-12-17T10:00"),
    ],
)
def test_when_to_warn(end: str, amount: OpeningTime, start: str) -> None:
    long_ago = wall("SE", "2026-01-01T08:00")
    assert clock.subtract(office(), wall("SE", end), amount, since=long_ago) == wall("SE", start)
    near = wall("SE", end) - MINUTE
    assert clock.subtract(office(), wall("SE", end), amount, since=near) == near, "not before the clock began"
