"""Cases find their team and their person: by category, in turn or by load, never when closed, away or full."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from house import House, declare
from models import Absence, Case, CaseEvent, Notice, Team, TeamMember, User
from tests.factories import MORNING, case_of, said, take, user
from triage import cases, dispatch, reactions, routing, upkeep

OFFICE = {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["08:00-12:00", "13:00-16:30"]}}
ROADS = {"name": "Väg", "match": "hål* OR asfalt*", "team": "Gata"}
SNOW = {"name": "Snö", "parent": "Väg", "match": "snö*", "team": "Gata"}
members = st.builds(
    routing.Member,
    email=st.sampled_from([f"{name}@storby.example" for name in "abcdefgh"]),
    load=st.integers(0, 5),
    last_given_at=st.none() | st.integers(0, 9).map(lambda n: MORNING + timedelta(hours=n)),
    absent=st.booleans(),
)


# -- whose turn -------------------------------------------------------------------------------------------------------


@given(st.lists(members, unique_by=lambda one: one.email), st.none() | st.integers(1, 5), st.randoms())
def test_the_order_of_the_members_decides_nothing_and_nobody_is_overburdened(
    team: list[routing.Member], ceiling: int | None, random: Any
) -> None:
    shuffled = random.sample(team, len(team))
    for method in ("round_robin", "least_loaded"):
        chosen = routing.pick(team, method, ceiling)
        assert chosen == routing.pick(shuffled, method, ceiling)
        able = [one for one in team if not one.absent and (ceiling is None or one.load < ceiling)]
        assert (chosen is None) == (not able)
        if chosen is not None:
            assert chosen in able
            if method == "least_loaded":
                assert chosen.load == min(one.load for one in able)


def test_in_turn_everybody_gets_the_same_number() -> None:
    team = {name: routing.Member(name, 0, None) for name in ("a", "b", "c")}
    given_to = []
    for hour in range(9):
        chosen = routing.pick(list(team.values()), "round_robin", None)
        assert chosen is not None
        given_to.append(chosen.email)
        team[chosen.email] = routing.Member(chosen.email, 0, MORNING + timedelta(hours=hour))
    assert given_to == ["a", "b", "c"] * 3


# -- stored cases -----------------------------------------------------------------------------------------------------


def storby(make_house: Callable[..., House], **team: Any) -> House:
    people = [f"{name}@storby.example" for name in ("anna", "bo")]
    gata = {"name": "Gata", "calendar": "office", "members": people, "routing": "round_robin", **team}
    house = make_house(calendars=[OFFICE], teams=[gata], categories=[ROADS, SNOW])
    declare(house, MORNING)
    with house.database.transaction() as db:
        for name in ("anna", "bo"):
            user(db, name)
    return house


def come(house: House, at: datetime, **texts: str) -> None:
    with house.database.transaction() as db:
        take(db, *(said(id, id, text=text) for id, text in texts.items()), at=at)
    follow(house, at)


def follow(house: House, at: datetime) -> None:
    while reactions.react(house.database, at):
        pass


def state(house: House, id: str) -> tuple[str | None, str | None, str | None]:
    with house.database.read() as db:
        case = db.get_one(Case, case_of(db, id))
        return case.category, case.team.name if case.team else None, case.assignee.name if case.assignee else None


def test_a_new_case_finds_its_category_team_and_person(make_house: Callable[..., House]) -> None:
    house = storby(make_house)
    come(
        house, MORNING, a="Snön ligger kvar på gatan", b="Stort hål i asfalten", c="Vackert väder i dag", d="Snö igen!"
    )
    assert state(house, "a") == ("Snö", "Gata", "Anna"), "the finer category before the one it is part of"
    assert state(house, "b") == ("Väg", "Gata", "Bo")
    assert state(house, "c") == (None, None, None)
    assert state(house, "d") == ("Snö", "Gata", "Anna")
    with house.database.read() as db:
        events = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case_of(db, "a")).order_by(CaseEvent.id))
        assert [(event.action, event.actor) for event in events][1:] == [
            ("classify", "routing"),
            ("assign_team", "routing"),
            ("take", "routing"),
        ]


def test_a_category_whose_team_is_gone_says_so(make_house: Callable[..., House]) -> None:
    house = storby(make_house)
    with house.database.transaction() as db:
        db.scalars(select(Team)).one().name = "Gator"
    come(house, MORNING, a="Snön ligger kvar på gatan")
    assert state(house, "a") == ("Snö", None, None)
    with house.database.read() as db:
        events = db.scalars(select(CaseEvent).where(CaseEvent.actor == "routing").order_by(CaseEvent.id))
        assert [(event.action, event.changes) for event in events][1:] == [
            ("rule_refused", {"effect": [None, "team"], "why": [None, "unknown"]})
        ]


def test_outside_opening_hours_it_waits_for_the_morning(make_house: Callable[..., House]) -> None:
    house = storby(make_house)
    night = MORNING + timedelta(hours=12)
    come(house, night, a="Snö på gatan")
    assert state(house, "a") == ("Snö", "Gata", None)
    upkeep.tick(house.database, MORNING + timedelta(hours=22))
    assert state(house, "a")[2] is None, "seven in the morning: still closed"
    upkeep.tick(house.database, MORNING + timedelta(hours=24))
    assert state(house, "a")[2] == "Anna"


def test_nobody_gets_more_than_the_ceiling_or_while_away(make_house: Callable[..., House]) -> None:
    house = storby(make_house, ceiling=1)
    with house.database.transaction() as db:
        away = Absence(user_id=user(db, "anna").id, starts_at=MORNING - timedelta(days=1), ends_at=None)
        db.add(away)
    come(house, MORNING, a="Snö ett", b="Snö två")
    assert (state(house, "a")[2], state(house, "b")[2]) == ("Bo", None)
    with house.database.transaction() as db:
        db.get_one(Absence, 1).ends_at = MORNING + timedelta(hours=1)
    upkeep.tick(house.database, MORNING + timedelta(minutes=59))
    assert state(house, "b")[2] is None
    upkeep.tick(house.database, MORNING + timedelta(hours=1))
    assert state(house, "b")[2] == "Anna"


def test_the_least_loaded_comes_first(make_house: Callable[..., House]) -> None:
    house = storby(make_house, routing="least_loaded")
    come(house, MORNING, a="Snö ett")
    with house.database.transaction() as db:
        number = case_of(db, "a")
        assert number is not None
        cases.assign(db, number, assignee=db.scalar(select(User).where(User.name == "Bo")), actor="t", at=MORNING)
    come(house, MORNING + timedelta(minutes=1), b="Snö två", c="Snö tre")
    assert state(house, "b")[2] == "Anna", "who has none"
    assert state(house, "c")[2] == "Bo", "in turn among equals"


def test_noise_is_given_to_nobody(make_house: Callable[..., House]) -> None:
    house = storby(make_house)
    with house.database.transaction() as db:
        take(db, said("a", text="Snö ett"))
        number = case_of(db, "a")
        assert number is not None
        cases.classify(db, number, noise="campaign", actor="t", at=MORNING)
    follow(house, MORNING)
    assert state(house, "a") == ("Snö", "Gata", None)


def test_a_category_set_by_hand_stays(make_house: Callable[..., House]) -> None:
    house = storby(make_house)
    with house.database.transaction() as db:
        take(db, said("a", text="Snö ett"))
        number = case_of(db, "a")
        assert number is not None
        cases.classify(db, number, category="Annat", actor="eva@storby.example", at=MORNING)
        cases.classify(db, number, category="none", actor="eva@storby.example", at=MORNING)
    follow(house, MORNING)
    assert state(house, "a") == (None, None, None)


def test_a_queue_that_fills_up_alarms_once(make_house: Callable[..., House]) -> None:
    house = storby(make_house, routing=None, queue_alarm=2)
    come(house, MORNING, a="Snö ett")
    for minutes, more, wanted in ((0, {}, 0), (1, {"b": "Snö två"}, 2), (2, {"c": "Snö tre"}, 2), (60 * 25, {}, 4)):
        at = MORNING + timedelta(minutes=minutes)
        come(house, at, **more)
        dispatch.tick(house.database, at)
        with house.database.read() as db:
            notices = list(db.scalars(select(Notice).where(Notice.kind == "queue_alarm")))
        assert len(notices) == wanted, "each of the two members once, and once more when a day has passed"
    assert notices[0].detail == {"team": "Gata", "waiting": 2}


def test_what_was_given_last_is_remembered_over_a_new_start(make_house: Callable[..., House]) -> None:
    house = storby(make_house)
    come(house, MORNING, a="Snö ett")
    declare(house, MORNING)  # config.yaml is read again
    come(house, MORNING + timedelta(minutes=1), b="Snö två")
    assert (state(house, "a")[2], state(house, "b")[2]) == ("Anna", "Bo")
    with house.database.read() as db:
        assert db.query(TeamMember).count() == 2


def test_two_given_at_once_count_for_each_other(make_house: Callable[..., House]) -> None:
    house = storby(make_house, ceiling=1, members=["anna@storby.example"])
    come(house, MORNING + timedelta(hours=12), a="Snö ett", b="Snö två")  # at night: both wait
    at = MORNING + timedelta(hours=24)

    def give(id: str) -> None:
        with house.database.transaction() as db:
            dispatch.give(db, case_of(db, id) or 0, at)

    with ThreadPoolExecutor() as pool:
        with house.database.transaction() as db:
            dispatch.give(db, case_of(db, "a") or 0, at)
            other = pool.submit(give, "b")
            wait([other], timeout=0.3)
        other.result()
    assert (state(house, "a")[2], state(house, "b")[2]) == ("Anna", None)
