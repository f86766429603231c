"""A second pair of eyes: nothing goes out that only its writer has seen."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from errors import InvalidInput, InvalidTransition, StaleCase
from models import CaseEvent, LoginSession, Note, Notice, Role, Team, TeamMember, Then, User
from replies import outbox
from tests.factories import user
from tests.town import Town, town
from triage import answering, cases, reactions
from web import create_app, login
from web.api import tokens


@pytest.fixture
def storby(make_house: Any) -> Iterator[Town]:
    with town(make_house) as made:
        yield made


@pytest.fixture
def asked(storby: Town) -> str:
    """The id of a question; answers to it want a second pair of eyes."""
    question = storby.network.write("Anna", "@storby när plogas Solgatan?")
    storby.collect()
    with storby.house.database.transaction() as db:
        cases.want_review(db, storby.case(question).id, wanted=True, actor="rule:snow", at=storby.at)
    return question


def approve(storby: Town, reply_id: int, name: str = "bo", **more: Any) -> None:
    with storby.house.database.transaction() as db:
        outbox.approve(db, storby.house, reply_id, user=user(db, name), at=storby.at, **more)


def give_back(storby: Town, reply_id: int, comment: str, name: str = "bo") -> None:
    with storby.house.database.transaction() as db:
        answering.return_reply(db, reply_id, comment=comment, user=user(db, name), at=storby.at)


def actions(storby: Town, number: int) -> list[str]:
    with storby.house.database.read() as db:
        events = select(CaseEvent.action).where(CaseEvent.case_id == number).order_by(CaseEvent.version)
        return list(db.scalars(events))


def told(storby: Town) -> list[tuple[str, str]]:
    while reactions.react(storby.house.database, storby.at):
        pass
    with storby.house.database.read() as db:
        notices = select(User.email, Notice.kind).join(Notice, Notice.user_id == User.id).order_by(Notice.id)
        return [(email.partition("@")[0], kind) for email, kind in db.execute(notices)]


def test_it_waits_until_somebody_else_approves_it(storby: Town, asked: str) -> None:
    reply = storby.answer(asked, "I kväll.", then=Then.resolve)
    storby.forward(days=1)
    assert storby.send() == []
    case = storby.case(asked)
    assert (storby.reply(reply).status, case.status) == ("in_review", "new"), "nothing has happened to the case yet"
    with pytest.raises(InvalidTransition, match="Another pair"):
        approve(storby, reply, "eva")
    approve(storby, reply)
    case = storby.case(asked)
    assert (storby.reply(reply).status, case.status) == ("held", "resolved"), "what was to become of it does so now"
    assert storby.send() == [], "it can be undone"
    storby.forward(seconds=11)
    (sent,) = storby.send()
    assert sent.status == "sent"
    assert storby.seen_outside() == ["I kväll."]
    assert actions(storby, case.id)[-3:] == ["reply_proposed", "reply_approved", "reply_sent"]
    with pytest.raises(InvalidTransition):
        approve(storby, reply)


def test_returned_with_a_note_and_written_anew(storby: Town, asked: str) -> None:
    reply = storby.answer(asked, "Nej.")
    with pytest.raises(InvalidInput):
        give_back(storby, reply, "  ")
    with pytest.raises(InvalidTransition):
        give_back(storby, reply, "Bra!", "eva")
    give_back(storby, reply, "Vänligare, tack.")
    assert (storby.reply(reply).status, storby.case(asked).status) == ("draft", "new")
    with storby.house.database.read() as db:
        returned = db.scalars(select(CaseEvent).where(CaseEvent.action == "reply_returned")).one()
        assert returned.reply_id == reply
        assert db.get_one(Note, returned.note_id).body == "Vänligare, tack."
    again = storby.answer(asked, "Tyvärr inte i dag, men i morgon bitti.")
    assert (storby.reply(reply).status, storby.reply(again).status) == ("cancelled", "in_review")
    approve(storby, again)
    storby.forward(seconds=11)
    storby.send()
    assert storby.seen_outside() == ["Tyvärr inte i dag, men i morgon bitti."]


@pytest.mark.parametrize("status", ["in_review", "draft", "held"])
def test_it_can_be_withdrawn_and_leaves_no_trace_on_the_status(storby: Town, asked: str, status: str) -> None:
    reply = storby.answer(asked, "I kväll.", then=Then.resolve)
    if status == "draft":
        give_back(storby, reply, "Nej")
    if status == "held":
        approve(storby, reply)
    assert storby.reply(reply).status == status
    with storby.house.database.transaction() as db:
        answering.cancel_reply(db, reply, actor="eva@storby.example", at=storby.at)
    assert (storby.reply(reply).status, storby.case(asked).status) == ("cancelled", "new")
    storby.forward(minutes=1)
    assert storby.send() == []


def test_what_was_said_meanwhile_is_read_first(storby: Town, asked: str) -> None:
    reply = storby.answer(asked, "I kväll.")
    version = storby.case(asked).version
    storby.network.write("Anna", "@storby glöm det, det är löst", in_reply_to=asked)
    storby.collect()
    with pytest.raises(StaleCase):
        approve(storby, reply, version=version)
    approve(storby, reply, version=storby.case(asked).version)


def test_without_the_wish_nothing_changes(storby: Town, asked: str) -> None:
    with storby.house.database.transaction() as db:
        cases.want_review(db, storby.case(asked).id, wanted=False, actor="eva@storby.example", at=storby.at)
    assert storby.reply(storby.answer(asked, "I kväll.")).status == "held"


def test_who_is_told(storby: Town, asked: str) -> None:
    with storby.house.database.transaction() as db:
        user(db, "chef", Role.manager), user(db, "bo"), user(db)
    first = storby.answer(asked, "I kväll.")
    assert told(storby) == [("chef", "reply_proposed")], "without a team: whoever leads"
    give_back(storby, first, "Nej")
    assert told(storby)[1:] == [("eva", "reply_returned")]
    with storby.house.database.transaction() as db:
        team = Team(name="Gata", members=[TeamMember(email=f"{name}@storby.example") for name in ("bo", "eva")])
        db.add(team)
        db.flush()
        cases.assign_team(db, storby.case(asked).id, team=team, actor="chef@storby.example", at=storby.at)
    storby.answer(asked, "I morgon.")
    assert told(storby)[2:] == [("bo", "reply_proposed")], "the team, but for the writer"


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(storby: Town) -> Flask:
    return create_app(storby.house, clock=storby.now)


def as_user(storby: Town, name: str) -> dict[str, str]:
    with storby.house.database.transaction() as db:
        return {"Authorization": f"Bearer {tokens.create(db, user(db, name), 'test', storby.at)}"}


def test_the_api_approves_and_returns(storby: Town, asked: str, app: Flask) -> None:
    client = app.test_client()
    eva, bo = (as_user(storby, name) for name in ("eva", "bo"))
    number = storby.case(asked).id
    body = {"body": "I kväll.", "idempotency_key": "k", "then": "wait"}
    made = client.post(f"/api/v1/cases/{number}/replies", json=body, headers=eva)
    assert (made.status_code, made.json and made.json["status"]) == (202, "in_review")
    reply = made.json and made.json["id"]
    assert client.post(f"/api/v1/replies/{reply}/approve", json={}, headers=eva).status_code == 409
    assert client.post(f"/api/v1/replies/{reply}/return", json={"comment": ""}, headers=bo).status_code == 422
    returned = client.post(f"/api/v1/replies/{reply}/return", json={"comment": "Nej"}, headers=bo)
    assert (returned.status_code, returned.json and returned.json["status"]) == (200, "draft")
    second = client.post(f"/api/v1/cases/{number}/replies", json=body | {"idempotency_key": "l"}, headers=eva)
    reply = second.json and second.json["id"]
    approved = client.post(f"/api/v1/replies/{reply}/approve", json={}, headers=bo)
    assert (approved.status_code, approved.json and approved.json["status"]) == (202, "held")
    assert storby.case(asked).status == "pending"
    assert client.post("/api/v1/replies/999/approve", json={}, headers=bo).status_code == 404
    assert client.delete(f"/api/v1/replies/{reply}", headers=eva).status_code == 204


def logged_in(app: Flask, storby: Town, name: str, role: str = "agent") -> FlaskClient:
    client = app.test_client()
    with storby.house.database.transaction() as db:
        me = user(db, name, role)
        me.language = "en"
        token = secrets.token_urlsafe()
        digest = login._digest(token)
        db.add(LoginSession(token_digest=digest, user_id=me.id, created_at=storby.at, last_seen_at=storby.at))
    client.set_cookie("session", token)
    return client


def test_the_page_of_the_case(storby: Town, asked: str, app: Flask) -> None:
    number = storby.case(asked).id
    reply = storby.answer(asked, "I kväll.")
    eva, bo = (logged_in(app, storby, name) for name in ("eva", "bo"))
    page = eva.get(f"/cases/{number}").text
    assert "A colleague has to look at it." in page
    assert f"/replies/{reply}/approve" not in page, "not one's own"
    page = bo.get(f"/cases/{number}").text
    assert "Eva wants to answer" in page
    assert "Somebody has written since then" not in page
    storby.network.write("Anna", "@storby hallå?", in_reply_to=asked)
    storby.collect()
    assert "Somebody has written since then" in bo.get(f"/cases/{number}").text
    assert bo.post(f"/cases/{number}/replies/{reply}/return", data={"comment": " "}).status_code == 422
    assert bo.post(f"/cases/{number}/replies/{reply}/return", data={"comment": "Kortare"}).status_code == 303
    page = eva.get(f"/cases/{number}").text
    assert "Your answer came back" in page
    assert "Kortare" in page
    assert "I kväll." in eva.get(f"/cases/{number}?draft={reply}").text.partition("<textarea")[2]
    again = storby.answer(asked, "Kl 20.")
    assert bo.post(f"/cases/{number}/replies/{again}/approve", data={"version": "1"}).status_code == 303
    assert storby.reply(again).status == "in_review", "somebody had written since version 1"
    assert bo.post(f"/cases/{number + 1}/replies/{again}/approve").status_code == 404
    bo.post(f"/cases/{number}/replies/{again}/approve", data={"version": str(storby.case(asked).version)})
    assert storby.reply(again).status == "held"


def test_asking_for_it_and_lifting_it(storby: Town, asked: str, app: Flask) -> None:
    number = storby.case(asked).id
    bo, chef = logged_in(app, storby, "bo"), logged_in(app, storby, "chef", "manager")
    assert bo.post(f"/cases/{number}/review", data={"wanted": "0"}).status_code == 403
    assert chef.post(f"/cases/{number}/review", data={"wanted": "0"}).status_code == 303
    assert not storby.case(asked).review_wanted
    assert bo.post(f"/cases/{number}/review", data={"wanted": "1"}).status_code == 303
    assert storby.case(asked).review_wanted
