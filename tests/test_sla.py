"""Targets: which policy, due when, warned and missed once each; a new assignee resets nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

import checkup
from database import Database
from house import House, declare
from models import Case, CaseEvent, CaseStatus, Team, Then
from settings import Calendar, Sla
from tests.factories import MORNING, case_of, said, take, user
from triage import answering, cases, policy, reactions, sla, targets, upkeep

OFFICE = {
    "name": "office",
    "timezone": "Europe/Stockholm",
    "hours": {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["08:00-15:00"]},
}
ROUND = {"name": "round", "timezone": "Europe/Stockholm", "hours": {"mon-sun": ["00:00-24:00"]}}
STANDARD = {
    "name": "standard",
    "calendar": "office",
    "first_response": "4h",
    "next_response": "8h",
    "resolution": "5d",
    "warn_before": "30m",
}
# MORNING is Tuesday 24 November 2026, 08:00 UTC, which is 09:00 in Stockholm.
DUE = MORNING + timedelta(hours=5)  # four opening hours and lunch


def facts(**more: Any) -> sla.Facts:
    known: dict[str, Any] = {
        "channel": "net", "sources": frozenset(), "status": "open", "kind": None, "priority": None, "team": None,
        "language": None, "tags": frozenset(), "opened_at": MORNING, "waiting_since": MORNING,
        "first_response_at": None, "resolved_at": None,
    }  # fmt: skip
    return sla.Facts(**(known | more))


def due(name: str, case: sla.Facts, **changed: Any) -> datetime | None:
    given, calendar = Sla.model_validate({**STANDARD, **changed}), Calendar.model_validate(OFFICE)
    return next(target.due_at for target in sla.targets(given, calendar, case) if target.name == name)


def test_the_first_policy_that_fits_counts() -> None:
    policies = [
        (1, Sla.model_validate({**STANDARD, "name": "a", "when": {"kind": ["problem"], "channel": "net"}})),
        (2, Sla.model_validate({**STANDARD, "name": "b", "when": {"tag": ["snö", "halka"]}})),
        (3, Sla.model_validate({**STANDARD, "name": "c"})),
    ]
    for case, wanted in (
        (facts(kind="problem"), 1),
        (facts(kind="problem", channel="other"), 3),
        (facts(tags=frozenset({"snö"})), 2),
        (facts(), 3),
    ):
        chosen = sla.choose(policies, case)
        assert chosen is not None
        assert chosen[0] == wanted
    assert sla.choose(policies, facts(imported=True)) is None, "history starts no clocks"


def test_opening_time_or_the_calendar() -> None:
    assert due(sla.FIRST, facts()) == DUE
    assert due(sla.FIRST, facts(), clock="calendar") == MORNING + timedelta(hours=4)
    assert due(sla.RESOLUTION, facts()) == MORNING + timedelta(days=7)
    assert due(sla.RESOLUTION, facts(), clock="calendar") == MORNING + timedelta(days=5)


def test_the_next_response_is_due_from_the_first_thing_unanswered() -> None:
    asked = MORNING + timedelta(hours=6)
    case = facts(first_response_at=MORNING + timedelta(hours=1), waiting_since=asked)
    assert due(sla.NEXT, case) == MORNING + timedelta(days=1, hours=6.5)  # 1.5 h on Tuesday, 6.5 on Wednesday
    answered = sla.targets(Sla.model_validate(STANDARD), None, facts(first_response_at=MORNING, waiting_since=None))
    assert [target.name for target in answered] == [sla.FIRST, sla.RESOLUTION]


def test_the_resolution_stands_still_while_we_wait_and_the_answer_does_not() -> None:
    pause = (MORNING + timedelta(hours=1), MORNING + timedelta(hours=2))
    case = facts(pauses=(pause,))
    assert due(sla.RESOLUTION, case) == MORNING + timedelta(days=7, hours=1)
    assert due(sla.FIRST, case) == DUE
    assert due(sla.RESOLUTION, facts(pauses=((pause[0], None),), status="pending")) is None
    night = (MORNING + timedelta(hours=9), MORNING + timedelta(hours=20))  # closed: nothing stood still
    assert due(sla.RESOLUTION, facts(pauses=(night,))) == MORNING + timedelta(days=7)


def test_what_was_put_away_unanswered_is_not_late() -> None:
    for status in ("resolved", "ignored", "closed"):
        found = sla.targets(Sla.model_validate(STANDARD), None, facts(status=status))
        assert sla.nearest(found) is None


def test_a_warning_comes_in_opening_time() -> None:
    given, calendar = Sla.model_validate({**STANDARD, "warn_before": "2h"}), Calendar.model_validate(OFFICE)
    late = facts(opened_at=datetime(2026, 11, 24, 14, 30, tzinfo=UTC))  # 15:30: an hour today, three tomorrow
    target = sla.targets(given, calendar, late)[0]
    assert target.due_at == datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
    assert sla.warn_at(given, calendar, target) == datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
    short = Sla.model_validate({**STANDARD, "first_response": "1h", "warn_before": "3h"})
    first = sla.targets(short, calendar, facts())[0]
    assert sla.warn_at(short, calendar, first) == MORNING, "not before the clock started"


# -- stored cases -----------------------------------------------------------------------------------------------------


def laid_down(make_house: Callable[..., House], **standard: Any) -> House:
    house = make_house(
        calendars=[OFFICE, ROUND],
        teams=[{"name": "Gata", "calendar": "office"}, {"name": "Vatten", "calendar": "round"}],
        sla=[{**STANDARD, **standard}],
    )
    declare(house, MORNING)
    return house


def opened(house: House) -> int:
    with house.database.transaction() as db:
        take(db, said("a", minutes=0, text="När öppnar badet?"))
        number = case_of(db, "a")
        assert number is not None
    follow(house.database, MORNING)
    return number


def follow(database: Database, at: datetime) -> None:
    while reactions.react(database, at):
        pass


def alerts(db: Session, number: int) -> list[tuple[str, str]]:
    events = db.query(CaseEvent).filter(CaseEvent.case_id == number).order_by(CaseEvent.version)
    return [(event.action, event.changes["target"][1]) for event in events if event.action.startswith("sla_")]


def test_targets_are_kept_on_the_case(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house)
    number = opened(house)
    with house.database.read() as db:
        case = db.get_one(Case, number)
        assert (case.first_response_due_at, case.next_breach_at, case.breach_kind) == (DUE, DUE, sla.FIRST)
        assert case.next_alert_at == DUE - timedelta(minutes=30)
        assert case.resolution_due_at == MORNING + timedelta(days=7)
        assert policy.value_of(db, case.sla_id or 0) == house.settings.sla[0]


def test_warned_once_missed_once(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house, resolution=None)
    number = opened(house)
    for minutes, wanted in (
        (-31, []),
        (-30, [("sla_warning", sla.FIRST)]),
        (-29, [("sla_warning", sla.FIRST)]),
        (0, [("sla_warning", sla.FIRST), ("sla_breached", sla.FIRST)]),
        (600, [("sla_warning", sla.FIRST), ("sla_breached", sla.FIRST)]),
    ):
        at = DUE + timedelta(minutes=minutes)
        upkeep.tick(house.database, at)
        follow(house.database, at)
        with house.database.read() as db:
            assert alerts(db, number) == wanted, minutes


def test_nobody_is_warned_of_what_is_late_already(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house, resolution=None)
    number = opened(house)
    upkeep.tick(house.database, DUE + timedelta(hours=1))
    with house.database.read() as db:
        assert alerts(db, number) == [("sla_breached", sla.FIRST)]


def test_an_answer_in_time_ends_it(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house, resolution=None)
    number = opened(house)
    at = MORNING + timedelta(hours=1)
    with house.database.transaction() as db:
        mention = db.get_one(Case, number)
        reply = answering.reply(
            db, number, body="Klockan nio.", to_mention_id=_first_mention(db, mention), user=user(db), then=Then.keep,
            private=False, hold=timedelta(), idempotency_key=None, account_id=None, at=at,
        )  # fmt: skip
        answering.reply_called(db, reply.id, worker="w", at=at)
        answering.reply_sent(db, reply.id, external_id="r", url=None, sent_at=at, actor="outbox", at=at)
    follow(house.database, at)
    with house.database.read() as db:
        case = db.get_one(Case, number)
        assert (case.next_breach_at, case.next_alert_at, case.waiting_since) == (None, None, None)
        assert case.first_response_due_at == DUE
    with house.database.transaction() as db:  # they ask again: the next answer is due
        take(db, said("b", to="a", minutes=120), at=MORNING + timedelta(hours=2))
    follow(house.database, MORNING + timedelta(hours=2))
    with house.database.read() as db:
        case = db.get_one(Case, number)
        assert case.breach_kind == sla.NEXT
        assert case.next_breach_at == case.next_response_due_at


def _first_mention(db: Session, case: Case) -> int:
    from models import Mention

    return db.query(Mention).filter(Mention.case_id == case.id).order_by(Mention.id).first().id  # type: ignore[union-attr]


def test_reassigning_resets_nothing(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house)
    number = opened(house)
    at = MORNING + timedelta(hours=3)
    with house.database.transaction() as db:
        cases.assign(db, number, assignee=user(db), actor="t", at=at)
        cases.assign(db, number, assignee=user(db, "bo"), actor="t", at=at)
        cases.assign_team(db, number, team=db.query(Team).filter(Team.name == "Vatten").one(), actor="t", at=at)
    follow(house.database, at)
    with house.database.read() as db:
        assert db.get_one(Case, number).first_response_due_at == DUE


def test_the_policy_may_name_no_calendar_then_the_teams_counts(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house, calendar=None)
    number = opened(house)
    with house.database.transaction() as db:
        assert db.get_one(Case, number).first_response_due_at == DUE, "without a team: the first calendar"
        cases.assign_team(db, number, team=db.query(Team).filter(Team.name == "Vatten").one(), actor="t", at=MORNING)
    follow(house.database, MORNING)
    with house.database.read() as db:
        assert db.get_one(Case, number).first_response_due_at == MORNING + timedelta(hours=4)


def test_a_missed_target_is_escalated_once(make_house: Callable[..., House]) -> None:
    house = laid_down(
        make_house, resolution=None, escalate={"notify": ["bo@storby.example"], "team": "Vatten", "priority": "urgent"}
    )
    with house.database.transaction() as db:
        bo = user(db, "bo").id
    number = opened(house)
    for hours in (0, 1):
        upkeep.tick(house.database, DUE + timedelta(hours=hours))
        follow(house.database, DUE + timedelta(hours=hours))
    with house.database.read() as db:
        from models import Notice

        case = db.get_one(Case, number)
        assert (case.priority, case.team.name if case.team else None) == ("urgent", "Vatten")
        assert [notice.kind for notice in db.query(Notice).filter(Notice.user_id == bo)] == ["sla_breached"]
        by = db.query(CaseEvent).filter(CaseEvent.case_id == number, CaseEvent.actor == "sla:standard")
        assert sorted(event.action for event in by) == ["assign_team", "classify"]


def test_a_team_that_is_gone_is_told_of(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house, resolution=None, escalate={"team": "Vatten"})
    number = opened(house)
    with house.database.transaction() as db:
        db.query(Team).filter(Team.name == "Vatten").one().name = "Vatten och avlopp"
    upkeep.tick(house.database, DUE)
    follow(house.database, DUE)
    with house.database.read() as db:
        by = db.query(CaseEvent).filter(CaseEvent.case_id == number, CaseEvent.actor == "sla:standard").one()
        assert (by.action, by.changes) == ("rule_refused", {"effect": [None, "team"], "why": [None, "unknown"]})
    (finding,) = checkup._reactions(house, DUE)
    assert finding.found.endswith(f"by sla:standard in case {number}: team")
    assert finding.remedy
    (finding,) = checkup._reactions(house, DUE + timedelta(days=8))
    assert not finding.remedy, "what is a week old has been seen or is forgotten"


def test_pauses_are_read_from_the_events(make_house: Callable[..., House]) -> None:
    house = laid_down(make_house)
    number = opened(house)

    def hour(n: float) -> datetime:
        return MORNING + timedelta(hours=n)

    with house.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.pending, actor="t", at=hour(1))
        cases.change_status(db, number, target=CaseStatus.open, actor="t", at=hour(2))
        cases.snooze(db, number, until=hour(6), actor="t", at=hour(3))
        cases.snooze(db, number, until=None, actor="t", at=hour(4))
        cases.change_status(db, number, target=CaseStatus.pending, actor="t", at=hour(5))
        assert targets.pauses(db, number) == ((hour(1), hour(2)), (hour(3), hour(4)), (hour(5), None))
    follow(house.database, hour(5))
    with house.database.read() as db:
        assert db.get_one(Case, number).resolution_due_at is None, "it stands still"
