"""Time bugs that really happened, in other products: none of them may happen in a report of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from collectors.feed_dates import parse_date
from house import House, declare
from models import Case, CaseEvent, CaseStatus, Mention, Sample
from reports.figures import Asked, By, Clock, Timing, report
from tests.factories import MORNING, case_of, said, take, user
from tests.slow_figures import STOCKHOLM, wall
from triage import answering, cases, reactions, samples, snoozing, upkeep
from triage.measures import How, Measure

# What a clock says does not hang on the kind of database; that both count the same is test_figures' to show.
pytestmark = pytest.mark.one_database

DAY_SHIFT: dict[str, Any] = {"mon-fri": ["08:00-17:00"]}
LUNCH = {"mon-fri": ["08:00-12:00", "13:00-17:00"]}
ROUND = {"mon-sun": ["00:00-24:00"]}
HOUR = timedelta(hours=1)
Make = Callable[..., House]


def house(make_house: Make, hours: dict[str, Any] | None = None, **more: Any) -> House:
    calendar = {"name": "office", "timezone": "Europe/Stockholm", "hours": hours or DAY_SHIFT, **more}
    made = make_house(calendars=[calendar], sla=[{"name": "standard", "first_response": "1h"}])
    declare(made, wall("2025-01-01T00:00"))
    return made


def asked_and_answered(made: House, id: str, asked: datetime, answered: datetime, seen: datetime | None = None) -> int:
    with made.database.transaction() as db:
        take(db, said(id, minutes=(asked - MORNING) / timedelta(minutes=1)), at=seen or asked)
        number = case_of(db, id)
        assert number is not None
        mention = db.scalars(select(Mention.id).where(Mention.external_id == id)).one()
        answering.answered_elsewhere(
            db,
            number,
            to_mention_id=mention,
            url=None,
            replied_at=answered,
            user=user(db),
            at=max(answered, seen or asked),
        )
    measured(made, answered)
    return number


def measured(made: House, at: datetime) -> None:
    while reactions.react(made.database, at):
        pass
    samples.catch_up(made.database)


def timing(
    made: House, on: datetime, clock: Clock = Clock.business, measure: Measure = Measure.first_response, days: int = 1
) -> Timing:
    day = on.astimezone(STOCKHOLM).date()
    with made.database.read() as db:
        asked = Asked(day, day + timedelta(days=days), clock=clock)
        return report(db, asked, [measure]).total.timing(measure)


# -- daylight saving --------------------------------------------------------------------------------------------------


def test_the_offset_of_today_is_not_applied_to_the_past(make_house: Make) -> None:
    """fivetran/dbt_zendesk 25. A summer's case, measured in winter: opened at eight of its own time."""
    made = house(make_house)
    asked_and_answered(made, "a", wall("2026-07-01T07:30"), wall("2026-07-01T08:15"))
    measured(made, wall("2026-12-01T12:00"))
    assert timing(made, wall("2026-07-01T08:15")).median_s == 15 * 60
    late = asked_and_answered(made, "b", wall("2026-06-30T23:10"), wall("2026-06-30T23:50"))
    with made.database.read() as db:
        day = db.scalars(select(Sample.day).where(Sample.case_id == late, Sample.measure == "first_response")).one()
    assert date.fromordinal(day) == date(2026, 6, 30), "not the first of July, as winter time would say"


@pytest.mark.parametrize("day", ["2026-01-14", "2026-07-15", "2026-03-30", "2026-10-26"])
def test_opening_hours_are_not_anchored_to_january(make_house: Make, day: str) -> None:
    """Rocket.Chat 40077: wrong by an hour half the year."""
    made = house(make_house)
    asked_and_answered(made, "a", wall(f"{day}T07:00"), wall(f"{day}T09:00"))
    assert timing(made, wall(f"{day}T09:00")).median_s == 3600
    assert timing(made, wall(f"{day}T09:00"), Clock.calendar).median_s == 7200


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_as_many_hours_as_it_has(make_house: Make, day: str, hours: int) -> None:
    made = house(make_house, ROUND)
    end = wall(f"{date.fromisoformat(day) + timedelta(days=1)}T00:00")
    asked_and_answered(made, "a", wall(f"{day}T00:00"), end)
    for clock in Clock:
        assert timing(made, end, clock).median_s == hours * 3600


def test_a_case_of_the_missing_hour_and_of_the_doubled_hour(make_house: Make) -> None:
    made = house(make_house, {"mon-sun": ["02:00-03:00"]})
    missing = wall("2026-03-29T02:30")  # no clock ever showed it: an hour of winter time is meant
    asked_and_answered(made, "a", missing, missing + HOUR)
    assert timing(made, missing).median_s == 0, "that hour was not there to be open"
    for fold, seconds in ((0, 90 * 60), (1, 30 * 60)):
        asked = wall("2026-10-25T02:30", fold=fold)
        number = asked_and_answered(made, f"b{fold}", asked, wall("2026-10-25T09:00"))
        with made.database.read() as db:
            found = db.scalars(select(Sample).where(Sample.case_id == number, Sample.measure == "first_response")).one()
            received = db.scalars(select(Sample).where(Sample.case_id == number, Sample.measure == "received")).one()
        assert found.business == seconds
        assert (found.seconds, received.hour) == ((wall("2026-10-25T09:00") - asked).total_seconds(), 2)


# -- calendars --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("holidays", "seconds"), [(None, 9 * 3600), ("SE", 0)])
def test_no_holiday_is_counted_that_the_calendar_does_not_say(
    make_house: Make, holidays: str | None, seconds: int
) -> None:
    """Zammad 390: two holidays nobody expected. Without holidays Epiphany is a Tuesday."""
    made = house(make_house, DAY_SHIFT, **({} if holidays is None else {"holidays": holidays}))
    asked_and_answered(made, "a", wall("2026-01-06T07:00"), wall("2026-01-06T18:00"))
    assert timing(made, wall("2026-01-06T18:00")).median_s == seconds


def test_nothing_is_due_or_brought_back_at_midnight(make_house: Make) -> None:
    """Zammad 4432, GLPI 22678: reminders and escalations at 00:00. A target that ends with the day ends at closing."""
    made = house(make_house)
    with made.database.transaction() as db:
        take(
            db,
            said("a", minutes=(wall("2026-11-24T16:30") - MORNING) / timedelta(minutes=1)),
            at=wall("2026-11-24T16:30"),
        )
        number = case_of(db, "a")
    measured(made, wall("2026-11-24T16:30"))
    for at in (wall("2026-11-25T00:00"), wall("2026-11-25T08:29")):
        upkeep.tick(made.database, at)
        with made.database.read() as db:
            breached = db.scalars(
                select(CaseEvent.at).where(CaseEvent.case_id == number, CaseEvent.action == "sla_breached")
            ).all()
        assert breached == [], at
    upkeep.tick(made.database, wall("2026-11-25T08:30"))
    with made.database.read() as db:
        assert db.get_one(Case, number).first_response_due_at == wall("2026-11-25T08:30")
        breached = db.scalars(
            select(CaseEvent.at).where(CaseEvent.case_id == number, CaseEvent.action == "sla_breached")
        ).all()
    assert breached == [wall("2026-11-25T08:30")]
    calendar = made.settings.calendars[0]
    offered = snoozing.presets(calendar, STOCKHOLM, wall("2026-11-24T16:30"))
    assert all(when.astimezone(STOCKHOLM).hour >= 8 for when in offered.values())


def test_a_break_at_lunch_is_no_opening_time(make_house: Make) -> None:
    """osTicket 6847."""
    made = house(make_house, LUNCH)
    asked_and_answered(made, "a", wall("2026-11-24T11:30"), wall("2026-11-24T13:30"))
    found = timing(made, wall("2026-11-24T13:30"))
    assert (found.median_s, found.within, found.targeted) == (3600, 1, 1), "an hour, and that was the target"


def test_two_weekdays_are_either_and_not_both(make_house: Make) -> None:
    """osTicket 6739: a rule for Monday and Thursday that wanted a day to be both."""
    made = house(make_house, {"mon,thu": ["09:00-10:00"]})
    asked_and_answered(made, "a", wall("2026-11-23T00:00"), wall("2026-11-30T00:00"))
    assert timing(made, wall("2026-11-30T00:00")).median_s == 2 * 3600


def test_opening_hours_may_run_over_midnight(make_house: Make) -> None:
    made = house(make_house, {"mon-sun": ["00:00-02:00", "22:00-24:00"]})
    asked_and_answered(made, "a", wall("2026-11-24T21:00"), wall("2026-11-25T01:00"))
    assert timing(made, wall("2026-11-25T01:00")).median_s == 3 * 3600


def test_time_on_hold_is_not_added_to_the_creation(make_house: Make) -> None:
    """frappe/helpdesk PR 2449."""
    made = house(make_house, ROUND)
    start = wall("2026-11-24T09:00")
    number = asked_and_answered(made, "a", start, start + HOUR)
    with made.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.pending, actor="eva@storby.example", at=start + 2 * HOUR)
        take(db, said("b", to="a", minutes=(start - MORNING) / timedelta(minutes=1) + 600), at=start + 10 * HOUR)
        cases.change_status(db, number, target=CaseStatus.resolved, actor="eva@storby.example", at=start + 11 * HOUR)
    measured(made, start + 11 * HOUR)
    assert timing(made, start, measure=Measure.first_response).median_s == 3600
    assert timing(made, start, measure=Measure.resolution).median_s == 11 * 3600
    assert timing(made, start, measure=Measure.active).median_s == 3 * 3600


# -- the edges of periods ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-11-24", "2026-12-31"])
def test_every_instant_is_in_one_period_and_no_other(make_house: Make, day: str) -> None:
    """Chatwoot 13312. The last minute of a day and the first of the next, in the organisation's time."""
    made = house(make_house)
    midnight = wall(f"{date.fromisoformat(day) + timedelta(days=1)}T00:00")
    for name, at in (("last", midnight - timedelta(minutes=1)), ("first", midnight)):
        asked_and_answered(made, name, at - HOUR, at)
    assert [timing(made, midnight - HOUR).n, timing(made, midnight).n] == [1, 1]
    assert timing(made, midnight - HOUR, days=2).n == 2
    with made.database.read() as db:
        for by in (By.day, By.week, By.month):
            start = date.fromisoformat(day) - timedelta(days=40)
            made_of = report(db, Asked(start, start + timedelta(days=80), by=by), [Measure.first_response])
            assert sum(row.timing(Measure.first_response).n for row in made_of.rows) == 2, by


def test_an_answer_counts_when_it_was_given_and_a_case_when_it_was_seen(make_house: Make) -> None:
    made = house(make_house)
    published, seen, answered = wall("2026-10-31T23:00"), wall("2026-11-01T00:10"), wall("2026-11-02T09:00")
    asked_and_answered(made, "a", published, answered, seen=seen)
    with made.database.read() as db:

        def n(start: date, measure: Measure) -> int:
            return report(db, Asked(start, start + timedelta(days=1)), [measure]).total.count(measure)

        assert [n(date(2026, 10, 31), each) for each in (Measure.received, Measure.first_response)] == [0, 0]
        assert [n(date(2026, 11, 1), each) for each in (Measure.received, Measure.first_response)] == [1, 0]
        assert [n(date(2026, 11, 2), each) for each in (Measure.received, Measure.first_response)] == [0, 1]


# -- two clocks, and where they start ---------------------------------------------------------------------------------


def test_one_product_has_one_clock_for_targets_and_reports(make_house: Make) -> None:
    """Libredesk, Chatwoot 11057: the target in opening hours, the report by the clock on the wall."""
    made = house(make_house)
    start = wall("2026-11-24T16:30")
    number = asked_and_answered(made, "a", start, wall("2026-11-25T08:30"))  # 16 hours, one of them open
    with made.database.read() as db:
        assert db.get_one(Case, number).first_response_due_at == wall("2026-11-25T08:30")
    business, calendar = (timing(made, wall("2026-11-25T08:30"), clock) for clock in (Clock.business, Clock.calendar))
    assert (business.median_s, calendar.median_s) == (3600, 16 * 3600)
    assert (business.within, calendar.within) == (1, 1), "in time is in time, whichever clock is shown"
    asked_and_answered(made, "b", start, wall("2026-11-25T08:31"))
    assert timing(made, wall("2026-11-25T08:31")).within == 1, "and the other was a minute late"


def test_asked_and_answered_outside_opening_hours_took_none_of_them(make_house: Make) -> None:
    made = house(make_house)
    asked_and_answered(made, "a", wall("2026-11-28T10:00"), wall("2026-11-28T12:00"))  # a Saturday
    business, calendar = (timing(made, wall("2026-11-28T12:00"), clock) for clock in (Clock.business, Clock.calendar))
    assert (business.median_s, calendar.median_s, business.n) == (0, 2 * 3600, 1)


def test_the_two_beginnings_of_the_clock(make_house: Make) -> None:
    """From publication, and from when we saw it; never less than nothing."""
    made = house(make_house, ROUND)
    start = wall("2026-11-24T10:00")
    asked_and_answered(made, "a", start, start + 3 * HOUR, seen=start + 2 * HOUR)
    asked_and_answered(made, "b", start, start + HOUR, seen=start + 2 * HOUR)  # before anybody here saw it
    with made.database.read() as db:
        found = {}
        for seen in (False, True):
            asked = Asked(date(2026, 11, 24), date(2026, 11, 25), seen=seen)
            found[seen] = report(db, asked, [Measure.first_response]).total.timing(asked.first)
    assert [(each.median_s, each.mean_s) for each in found.values()] == [(3600, 2 * 3600), (0, 1800)]


def test_opened_again_after_time_alone_had_closed_it(make_house: Make) -> None:
    """Chatwoot PR 12058: the first response is that of the beginning, whoever closed the case and however often."""
    made = house(make_house, ROUND)
    start = wall("2026-11-02T09:00")
    number = asked_and_answered(made, "a", start, start + HOUR)
    with made.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.resolved, actor="eva@storby.example", at=start + 2 * HOUR)
    upkeep.tick(made.database, start + timedelta(days=15))
    with made.database.transaction() as db:
        assert db.get_one(Case, number).status == "closed", "by itself"
        cases.change_status(
            db, number, target=CaseStatus.open, actor="eva@storby.example", at=start + timedelta(days=16)
        )
        mention = db.scalars(select(Mention.id)).one()
        at = start + timedelta(days=16, hours=1)
        answering.answered_elsewhere(db, number, to_mention_id=mention, url=None, replied_at=at, user=user(db), at=at)
    measured(made, at)
    assert timing(made, start, days=30).median_s == 3600
    with made.database.read() as db:
        total = report(db, Asked(date(2026, 11, 1), date(2026, 12, 1)), [Measure.closing, Measure.next_response]).total
    assert total.count(Measure.closing) == 1, "put away for good is not closed once more"
    assert total.count(Measure.closing, How.reopened) == 0, "opened again after more than 14 days"
    assert total.count(Measure.next_response) == 0, "nobody had asked again"


@pytest.mark.parametrize(("written", "minutes"), [("24 Nov 2026 09:00:00 CET", 30), ("24 Jul 2026 09:00:00 CEST", 30)])
def test_what_a_feed_calls_cet_is_no_utc(make_house: Make, written: str, minutes: int) -> None:
    """feedparser reads it as UTC: the question would have come an hour later than it did, or after its answer."""
    made = house(make_house)
    asked = parse_date(written)
    assert asked is not None
    answered = asked.astimezone(STOCKHOLM).replace(hour=9, minute=minutes)
    asked_and_answered(made, "a", asked, answered.astimezone(UTC))
    assert timing(made, answered).median_s == minutes * 60
