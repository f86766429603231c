"""What the targets of stored cases do when something changes: policies, calendars, teams, the case itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from house import House, declare
from models import Case, CaseEvent, CaseStatus, Team
from settings import Calendar, Sla, TeamSettings
from tests.factories import MORNING, case_of, said, take
from triage import cases, policy, reactions, upkeep

OFFICE = {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["08:00-12:00", "13:00-17:00"]}}
ROUND = {"name": "round", "timezone": "Europe/Stockholm", "hours": {"mon-sun": ["00:00-24:00"]}}
STANDARD = {"name": "standard", "first_response": "4h", "resolution": "5d", "warn_before": "30m"}
BY = "eva@storby.example"
# MORNING is Tuesday 24 November 2026, 09:00 in Stockholm.
DUE = MORNING + timedelta(hours=5)  # four opening hours and lunch


def hour(n: float) -> datetime:
    return MORNING + timedelta(hours=n)


def opened(make_house: Callable[..., House], **parts: Any) -> tuple[House, int]:
    house = make_house(**{"calendars": [OFFICE], "sla": [STANDARD], **parts})
    declare(house, MORNING)
    with house.database.transaction() as db:
        take(db, said("a", minutes=0, text="När öppnar badet?"))
        number = case_of(db, "a")
        assert number is not None
    follow(house, MORNING)
    return house, number


def follow(house: House, at: datetime) -> None:
    while reactions.react(house.database, at):
        pass


def now(house: House, at: datetime) -> None:
    upkeep.tick(house.database, at)
    follow(house, at)


def first_due(house: House, number: int) -> datetime | None:
    with house.database.read() as db:
        return db.get_one(Case, number).first_response_due_at


def said_of(house: House, number: int) -> list[tuple[str, str]]:
    with house.database.read() as db:
        alerts = select(CaseEvent).where(CaseEvent.case_id == number, CaseEvent.action.like("sla_%"))
        return [(event.action, event.changes["target"][1]) for event in db.scalars(alerts.order_by(CaseEvent.version))]


# -- what targets rest on changes -------------------------------------------------------------------------------------


def put(house: House, part: str, value: Any, instead_of: str | None = None) -> None:
    with house.database.transaction() as db:
        policy.put(db, part, value, instead_of=instead_of, by=BY, at=hour(1))


def test_a_policy_that_comes_changes_and_goes_is_followed_by_open_cases(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house, sla=[])
    assert first_due(house, number) is None
    put(house, "sla", Sla.model_validate(STANDARD))
    now(house, hour(1))
    assert first_due(house, number) == DUE
    put(house, "sla", Sla.model_validate({**STANDARD, "first_response": "2h"}), "standard")
    now(house, hour(1))
    assert first_due(house, number) == hour(2)
    put(house, "sla", Sla.model_validate({**STANDARD, "name": "never", "first_response": "1h"}))
    now(house, hour(1))
    assert first_due(house, number) == hour(2), "the first that fits still counts"
    with house.database.transaction() as db:
        policy.order(db, "sla", ["never", "standard"])
    now(house, hour(1))
    assert first_due(house, number) == hour(1)
    with house.database.transaction() as db:
        policy.retire(db, "sla", "never", at=hour(1))
        policy.retire(db, "sla", "standard", at=hour(1))
    now(house, hour(1))
    with house.database.read() as db:
        case = db.get_one(Case, number)
        assert (case.sla_id, case.next_breach_at, case.next_alert_at) == (None, None, None)


def test_a_changed_calendar_moves_what_is_due(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house, calendars=[], sla=[])
    put(house, "sla", Sla.model_validate(STANDARD))
    now(house, MORNING)
    assert first_due(house, number) == hour(4)
    put(house, "calendars", Calendar.model_validate(OFFICE))
    now(house, hour(1))
    assert first_due(house, number) == DUE
    today_off = {**OFFICE, "exceptions": {"2026-11-24": []}}
    put(house, "calendars", Calendar.model_validate(today_off), "office")
    now(house, hour(1))
    assert first_due(house, number) == hour(27), "Wednesday at noon"


def test_a_team_that_works_other_hours_now_has_other_due_times(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house, calendars=[OFFICE, ROUND])
    put(house, "teams", TeamSettings(name="Gata", calendar="round"))
    with house.database.transaction() as db:
        cases.assign_team(db, number, team=db.scalars(select(Team)).one(), actor=BY, at=MORNING)
    follow(house, MORNING)
    assert first_due(house, number) == hour(4)
    put(house, "teams", TeamSettings(name="Gata", calendar="office"), "Gata")
    now(house, hour(1))
    assert first_due(house, number) == DUE


def test_what_the_file_says_otherwise_at_the_next_start_holds_for_open_cases(make_house: Callable[..., House]) -> None:
    _, number = opened(make_house)
    again = make_house(calendars=[OFFICE], sla=[{**STANDARD, "first_response": "2h"}])
    declare(again, hour(1))
    now(again, hour(1))
    assert first_due(again, number) == hour(2)
    with again.database.read() as db:
        before = db.get_one(Case, number).next_alert_at
    declare(again, hour(1))  # the same once more: nothing to look at
    with again.database.read() as db:
        assert db.get_one(Case, number).next_alert_at == before


def test_what_is_done_keeps_the_targets_it_was_measured_by(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house)
    with house.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.resolved, actor=BY, at=hour(1))
    follow(house, hour(1))
    put(house, "calendars", Calendar.model_validate(ROUND))
    now(house, hour(1))
    assert first_due(house, number) == DUE


@pytest.mark.parametrize("first", [["b", "c", "a"], ["c", "a", "b"], ["a", "c", "b"]])
def test_every_new_order_is_seen(make_house: Callable[..., House], first: list[str]) -> None:
    house = make_house(calendars=[], sla=[])
    for name in "abc":
        put(house, "sla", Sla.model_validate({**STANDARD, "name": name}))
    for names in (first, ["b", "c", "a"], ["c", "a", "b"], ["b", "a", "c"], ["c"]):
        with house.database.transaction() as db:
            policy.order(db, "sla", names)
        with house.database.read() as db:
            assert [sla.name for _, sla in policy.read(db).sla][: len(names)] == names


# -- the case itself changes ------------------------------------------------------------------------------------------


def resolution_due(house: House, number: int) -> datetime | None:
    with house.database.read() as db:
        return db.get_one(Case, number).resolution_due_at


def test_what_is_ignored_is_not_put_away_any_more(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house)
    with house.database.transaction() as db:
        cases.snooze(db, number, until=hour(24 * 6), actor=BY, at=hour(1))
        cases.change_status(db, number, target=CaseStatus.ignored, actor=BY, at=hour(2))
        cases.change_status(db, number, target=CaseStatus.open, actor=BY, at=hour(3))
    follow(house, hour(3))
    assert resolution_due(house, number) == hour(24 * 7 + 2), "an hour put away, an hour ignored"


def test_a_thank_you_for_what_was_resolved_in_time_is_not_late(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house)
    with house.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.pending, actor=BY, at=hour(1))
        cases.change_status(db, number, target=CaseStatus.resolved, actor=BY, at=hour(2))
    follow(house, hour(2))
    assert resolution_due(house, number) == hour(24 * 7 + 1), "the hour we waited for them"
    with house.database.transaction() as db:
        take(db, said("b", to="a", minutes=60 * 24 * 9, text="Tack!"), at=hour(24 * 9))
    now(house, hour(24 * 9))
    assert ("sla_breached", "resolution") not in said_of(house, number)
    assert resolution_due(house, number) == hour(24 * 15 + 8), "what was left of the five days, from now on"


def test_a_missed_target_is_not_missed_again_because_it_should_have_been_met_even_earlier(
    make_house: Callable[..., House],
) -> None:
    escalating = {**STANDARD, "resolution": None, "escalate": {"team": "Jour"}}
    house, number = opened(
        make_house, calendars=[OFFICE, ROUND], teams=[{"name": "Jour", "calendar": "round"}], sla=[escalating]
    )
    for hours in (5, 6, 7):
        now(house, hour(hours))
    assert first_due(house, number) == hour(4), "the team that has it now never closes"
    assert said_of(house, number).count(("sla_breached", "first_response")) == 1
    with house.database.transaction() as db:
        cases.assign_team(db, number, team=None, actor=BY, at=hour(7))
    now(house, hour(7))
    assert first_due(house, number) == DUE
    assert said_of(house, number).count(("sla_breached", "first_response")) == 1


def test_what_was_given_more_time_can_be_missed_once_more(make_house: Callable[..., House]) -> None:
    house, number = opened(make_house, sla=[])
    put(house, "sla", Sla.model_validate({**STANDARD, "resolution": None}))
    now(house, hour(6))
    put(house, "sla", Sla.model_validate({**STANDARD, "resolution": None, "first_response": "8h"}), "standard")
    for hours in (6, 23.6, 24, 25, 26):
        now(house, hour(hours))
    assert said_of(house, number) == [
        ("sla_breached", "first_response"),
        ("sla_warning", "first_response"),
        ("sla_breached", "first_response"),
    ]
