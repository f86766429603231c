"""The page that follows the calculation of one case: its arithmetic, its words, and what has no figures."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from house import House
from models import Case, CaseStatus, Sample, Team
from settings import Calendar, Sla
from tests.conftest import FakeClock
from tests.factories import MORNING, case_of, said, take
from tests.test_report_stories import answer, come
from triage import cases, merging, policy, reactions, samples
from web import report_case

pytestmark = [pytest.mark.screens, pytest.mark.one_database]
Browser = Callable[[str | None], FlaskClient]
ANNA, MATS = "anna@storby.example", "mats@storby.example"  # an agent, a manager
FRIDAY = datetime(2026, 12, 18, 14, 0, tzinfo=UTC)  # 15:00 in Stockholm
MONDAY_AFTER_CHRISTMAS = datetime(2026, 12, 28, 8, 30, tzinfo=UTC)


def office(**more: Any) -> Calendar:
    given: dict[str, Any] = {
        "name": "Kontoret", "timezone": "Europe/Stockholm", "holidays": "SE", "hours": {"mon-fri": ["08:00-16:00"]},
    }  # fmt: skip
    return Calendar.model_validate(given | more)


@pytest.fixture
def open_hours(storby: House) -> House:
    """A house with a calendar and a target of four opening hours."""
    with storby.database.transaction() as db:
        policy.put(db, "calendars", office(), by="t", at=MORNING)
        given = {"name": "standard", "calendar": "Kontoret", "first_response": "4h", "resolution": "2d"}
        policy.put(db, "sla", Sla.model_validate(given), by="t", at=MORNING)
    return storby


def page(client: FlaskClient, number: int) -> str:
    """Its text, without tags."""
    shown = client.get(f"/reports/case/{number}").get_data(as_text=True).partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())


def asked_and_answered(house: House, asked: datetime, answered: datetime) -> int:
    with house.database.transaction() as db:
        minutes = (asked - MORNING) / timedelta(minutes=1)
        take(db, said("a", minutes=minutes), at=asked)
        number = case_of(db, "a")
        assert number is not None
    reactions.react(house.database, asked)
    with house.database.transaction() as db:
        answer(db, number, (answered - MORNING) / timedelta(minutes=1))
    reactions.react(house.database, answered)
    samples.catch_up(house.database)
    return number


def test_a_response_over_christmas_is_followed_day_by_day(
    open_hours: House, browser: Browser, clock: FakeClock
) -> None:
    number = asked_and_answered(open_hours, FRIDAY, MONDAY_AFTER_CHRISTMAS)
    clock.at = MONDAY_AFTER_CHRISTMAS + timedelta(hours=1)
    text = page(browser(MATS), number)
    # 15-16 on Friday, 8 h on Monday and Tuesday, 4 h on the day before Christmas Eve, 8:00-9:30 on Monday
    assert "First response: 234 hrs 22 hrs 30 mins in opening hours" in text
    assert "From Fri 18 Dec 15:00, when its first message was published," in text
    assert "to Mon 28 Dec 09:30, when our first public answer was out." in text
    assert "within the opening hours of Kontoret as they have been laid down since Tue 24 Nov 09:00" in text
    assert "Fri 18 Dec 08:00–16:00 1 hr" in text
    assert "Sat 19 Dec – Sun 20 Dec closed on this weekday –" in text, "days of which nothing counts stand together"
    assert "Wed 23 Dec 08:00–12:00 · half-day: closes early 4 hrs" in text
    assert "holiday: Julafton" in text and "holiday: Juldagen" in text
    assert "Target: within 4 hrs of opening time, by standard. Due Mon 21 Dec 11:00. Late" in text
    assert "It counts on Mon 28 Dec 2026, to the credit of Eva, as: Written here." in text
    assert "It counts on Mon 28 Dec 2026, as: Written here." in page(browser(ANNA), number), "not whose it is"


def test_what_lay_outside_opening_hours_is_marked_wherever_it_counts_as_nothing(
    open_hours: House, browser: Browser, clock: FakeClock
) -> None:
    saturday, sunday = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)
    number = asked_and_answered(open_hours, saturday, sunday)
    clock.at = MONDAY_AFTER_CHRISTMAS
    client = browser(ANNA)
    text = page(client, number)
    assert "First response: 24 hrs 0 mins in opening hours Outside opening hours" in text
    assert "It was closed all the time. It counts as 0 in opening hours, and among those outside opening hours." in text
    asked = f"from={saturday.date()}&to={sunday.date() + timedelta(days=1)}&clock=business"
    shown = client.get(f"/reports/response-times?{asked}").get_data(as_text=True)
    links = re.findall(r'href="([^"]*measure=first_response&amp;outside=yes[^"]*)">([^<]+)<', shown)
    assert {words for _, words in links} == {"1"}, "beside the times, and it opens what it counts"
    listed = client.get(html.unescape(links[0][0])).get_data(as_text=True)
    assert f"/reports/case/{number}" in listed and "wholly outside opening hours" in listed


def test_a_target_that_counts_by_another_calendar_names_it_and_another_year_is_written(
    open_hours: House, browser: Browser, clock: FakeClock
) -> None:
    with open_hours.database.transaction() as db:
        policy.put(db, "calendars", office(name="Jouren", hours={"mon-sun": ["00:00-24:00"]}), by="t", at=MORNING)
        duty = {"name": "standard", "calendar": "Jouren", "first_response": "4h"}
        policy.put(db, "sla", Sla.model_validate(duty), instead_of="standard", by="t", at=MORNING)
    number = asked_and_answered(open_hours, FRIDAY, FRIDAY + timedelta(hours=5))
    clock.at = datetime(2027, 1, 4, 12, 0, tzinfo=UTC)
    text = page(browser(ANNA), number)
    assert "within the opening hours of Kontoret" in text
    assert "by standard. Counted in the opening hours of Jouren. Due Fri 18 Dec 2026 19:00. Late" in text
    assert "From Fri 18 Dec 2026 15:00, when" in text and "Fri 18 Dec 2026 08:00–16:00 1 hr" in text


def test_the_days_of_every_figure_add_up_to_it(open_hours: House, browser: Browser) -> None:
    number = asked_and_answered(open_hours, FRIDAY, MONDAY_AFTER_CHRISTMAS)
    with open_hours.database.read() as db:
        told = report_case._Told(db, [], {}, MONDAY_AFTER_CHRISTMAS)
        figures = [told.figure(each) for each in samples.of_case(db, number) if each.row["seconds"] is not None]
    assert len(figures) >= 4
    for each in figures:
        counted = sum((day.step.counted for part in each.counted for day in part.days), timedelta())
        assert counted.total_seconds() == each.business, each.name


def test_a_calendar_that_was_changed_since_is_the_one_it_was(
    open_hours: House, browser: Browser, clock: FakeClock
) -> None:
    number = asked_and_answered(open_hours, FRIDAY, FRIDAY + timedelta(minutes=30))
    with open_hours.database.transaction() as db:
        later = FRIDAY + timedelta(days=1)
        shut = office(hours={"mon": ["08:00-09:00"]})
        policy.put(db, "calendars", shut, instead_of="Kontoret", by="t", at=later)
        strict = {"name": "standard", "calendar": "Kontoret", "first_response": "10m"}
        policy.put(db, "sla", Sla.model_validate(strict), instead_of="standard", by="t", at=later)
    while reactions.react(open_hours.database, later):
        pass
    clock.at = FRIDAY + timedelta(days=3)
    text = page(browser(ANNA), number)
    assert "First response: 30 mins 30 mins in opening hours" in text and "since Tue 24 Nov 09:00" in text
    assert "Target: within 4 hrs of opening time, by standard. Due Mon 21 Dec 11:00. In time" in text


def test_what_was_not_our_turn_is_left_out_and_says_why(storby: House, browser: Browser, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        number = come(db, "a", 0)
        cases.change_status(db, number, target=CaseStatus.open, actor=ANNA, at=MORNING + timedelta(minutes=5))
        cases.change_status(db, number, target=CaseStatus.pending, actor=ANNA, at=MORNING + timedelta(minutes=10))
        take(db, said("b", "a", to="a", minutes=40), at=MORNING + timedelta(minutes=40))
        answer(db, number, 60)
    clock.at = MORNING + timedelta(hours=5)
    text = page(browser(ANNA), number)
    assert "Full resolution: 1 hr" in text and "Active time: 30 mins" in text
    assert "Left out, since it was not our turn: Tue 24 Nov 09:10 – Tue 24 Nov 09:40: waiting for the author" in text
    assert "No calendar is laid down, so that every hour counts" in text
    assert "There was no target" in text


def test_a_case_that_has_no_figures_says_why(storby: House, browser: Browser, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        spam, old, one, other = (come(db, id, n) for n, id in enumerate("abcd"))
        cases.change_status(db, spam, target=CaseStatus.ignored, actor="t", at=MORNING)
        db.execute(update(Case).where(Case.id == old).values(imported=True))
        merging.merge(db, one, into=other, actor="t", at=MORNING)
    clock.at = MORNING + timedelta(hours=5)
    client = browser(ANNA)
    assert "This case was ignored: it has no response times" in page(client, spam)
    assert "came with imported history" in page(client, old)
    merged = page(client, one)
    assert "became part of another" in merged and f"Case {other}" in merged and "Received" not in merged
    assert "Somebody has waited for an answer since Tue 24 Nov 09:02" in page(client, other)
    assert client.get("/reports/case/999").status_code == 404


def test_what_is_stored_and_differs_is_said(storby: House, browser: Browser, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        number = come(db, "a", 0)
        answer(db, number, 10)
    reactions.react(storby.database, MORNING + timedelta(hours=1))
    samples.catch_up(storby.database)
    with storby.database.transaction() as db:
        db.execute(update(Sample).where(Sample.measure == "first_response").values(business=1))
    clock.at = MORNING + timedelta(hours=5)
    assert "What is stored, and shown in reports, differs" in page(browser(ANNA), number)


def test_the_case_leads_to_it(browser: Browser) -> None:
    assert 'href="/reports/case/1"' in browser(ANNA).get("/cases/1").get_data(as_text=True)


def test_a_case_of_a_team_that_keeps_to_itself_is_not_there(storby: House, browser: Browser) -> None:
    with storby.database.transaction() as db:
        team = Team(name="Skydd", members_only=True)
        db.add(team)
        db.flush()
        cases.assign_team(db, 1, team=team, actor="t", at=MORNING)
    assert browser(ANNA).get("/reports/case/1").status_code == 404
    assert browser("mats@storby.example").get("/reports/case/1").status_code == 200
