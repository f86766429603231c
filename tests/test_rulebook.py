"""Rules at work on stored cases: what they do, once, under their own name, and that they come to an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database import Database
from house import House, declare
from models import Case, CaseEvent, CaseStatus, Mention, Notice, Reply, Then, Webhook
from tests.factories import MORNING, case_of, said, take, user
from triage import cases, reactions, upkeep

OFFICE = {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["08:00-17:00"]}}
TEAMS = [{"name": "Gata", "members": ["eva@storby.example"], "routing": "round_robin"}, {"name": "Vatten"}]
CANNED = [{"name": "thanks", "texts": {"sv": "Tack!"}}]

Laid = Callable[..., House]


@pytest.fixture
def laid_down(make_house: Callable[..., House]) -> Laid:
    """A house with these rules."""

    def make(*rules: dict[str, Any]) -> House:
        listed = [{"name": f"rule {n}", **rule} for n, rule in enumerate(rules)]
        house = make_house(calendars=[OFFICE], teams=TEAMS, canned_replies=CANNED, rules=listed)
        declare(house, MORNING)
        with house.database.transaction() as db:
            user(db), user(db, "bo")
        return house

    return make


def follow(database: Database, at: datetime = MORNING) -> None:
    while reactions.react(database, at):
        pass


def came(house: House, id: str = "a", *, at: datetime = MORNING, **more: Any) -> int:
    """A mention comes in, and what follows from it follows; the number of its case."""
    with house.database.transaction() as db:
        minutes = (at - MORNING).total_seconds() / 60
        take(db, said(id, **({"minutes": minutes} | more)), at=at)
        number = case_of(db, id)
        assert number is not None
    follow(house.database, at)
    return number


def case_(house: House, number: int) -> Case:
    with house.database.read() as db:
        case = db.get_one(Case, number)
        assert (case.team, case.assignee, case.tags) is not None
        return case


def done(house: House, number: int) -> list[tuple[str, str, dict[str, Any]]]:
    """What rules did: (rule, action, changes)."""
    with house.database.read() as db:
        events = select(CaseEvent).where(CaseEvent.case_id == number, CaseEvent.actor.like("rule:%"))
        return [
            (event.actor.removeprefix("rule:"), event.action, event.changes)
            for event in db.scalars(events.order_by(CaseEvent.version))
        ]


def test_every_effect_bears_the_name_of_its_rule(laid_down: Laid) -> None:
    house = laid_down(
        {
            "if": {"match": "plog*"},
            "then": {
                "kind": "idea", "priority": "urgent", "tags": ["Snö"], "team": "Vatten", "draft": "thanks",
                "assignee": "eva@storby.example", "review": True, "notify": ["bo@storby.example"],
                "webhook": "https://hooks.example/secret/token",
            },
        }
    )  # fmt: skip
    number = came(house, text="När plogas gatan?")
    assert came(house, "b", text="Badet är öppet") and not done(house, number + 1)
    case = case_(house, number)
    assert (case.kind, case.priority, [tag.tag for tag in case.tags]) == ("idea", "urgent", ["snö"])
    assert case.team and case.team.name == "Vatten"
    assert case.assignee and (case.assignee.email, case.status) == ("eva@storby.example", "open")
    assert (case.canned_reply, case.review_wanted) == ("thanks", True)
    did = done(house, number)
    assert {rule for rule, _, _ in did} == {"rule 0"}
    assert [action for _, action, _ in did] == [
        "classify", "assign_team", "take", "propose_reply", "want_review", "notified", "webhook",
    ]  # fmt: skip
    assert did[-1][2] == {"webhook": [None, "hooks.example"]}, "the secret part of the address stays out of the history"
    with house.database.read() as db:
        bo = user(db, "bo").id
        notice = db.scalars(select(Notice).where(Notice.user_id == bo)).one()
        assert (notice.kind, notice.detail) == ("notified", {"rule": "rule 0"})
        hook = db.scalars(select(Webhook)).one()
        assert (hook.url, hook.rule, hook.due_at) == ("https://hooks.example/secret/token", "rule 0", MORNING)
        assert db.get_one(CaseEvent, hook.event_id).action == "opened"


def test_tags_are_added(laid_down: Laid) -> None:
    house = laid_down({"when": "answer", "then": {"tags": ["again"]}})
    number = came(house)
    with house.database.transaction() as db:
        cases.classify(db, number, tags=["first"], actor="eva@storby.example", at=MORNING)
    came(house, "b", to="a")
    assert [tag.tag for tag in case_(house, number).tags] == ["again", "first"]
