"""The cases of a team that keeps to itself: there for its members, managers and administrators, for nobody else."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from database import Database
from house import House
from models import (
    Case,
    CaseEvent,
    Mention,
    Notice,
    PersonNote,
    Promise,
    Reply,
    SharedAnswer,
    SharedAnswerPart,
    Story,
    Team,
    TeamMember,
    User,
)
from tests import screens
from tests.conftest import FakeClock
from triage import cases, merging, notices
from web import access, create_app
from web.access import visible_to
from web.api import tokens
from web.login import new_user

pytestmark = pytest.mark.screens
Browser = Callable[[str], FlaskClient]
SECRET = "Plogen har inte varit"


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


@pytest.fixture
def number(storby: House, clock: FakeClock) -> int:
    """A case of a team that only Eva is in."""
    with storby.database.transaction() as db:
        team = Team(name="Skydd", members_only=True, members=[TeamMember(email="eva@storby.example")])
        db.add(team)
        db.add(new_user("eva@storby.example", "Eva", "agent", screens.PASSWORD, clock()))
        db.flush()
        number = screens.case_of(storby, "1001").id
        cases.assign_team(db, number, team=team, actor="admin@storby.example", at=clock())
        return number


def test_it_is_there_for_those_who_may_and_for_nobody_else(browser: Browser, number: int) -> None:
    for who, may in (("anna", False), ("eva", True), ("mats", True), ("admin", True)):
        client = browser(f"{who}@storby.example")
        assert client.get(f"/cases/{number}").status_code == (200 if may else 404), who
        for page in ("/", "/?status=all", "/?q=plogen", "/?sort=urgent", f"/?q={number}"):
            assert (SECRET in text_of(client.get(page))) == may, (who, page)


def test_it_is_not_counted_either(browser: Browser, number: int) -> None:
    def count(who: str) -> str:
        return text_of(browser(f"{who}@storby.example").get("/?status=all")).split('id="list-name"')[1][:200]

    assert count("anna") != count("eva")


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every way to do something with a case by its number: the method and the address."""
    found = []
    for rule in app.url_map.iter_rules():
        if "<int:number>" in rule.rule and "/cases/" in rule.rule:
            found += [(method, rule.rule) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]
    return found


def test_no_route_with_its_number_knows_it(
    browser: Browser, storby: House, number: int, clock: FakeClock, chest: Callable[[], Any]
) -> None:
    app = create_app(storby, clock=clock)
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        key = {"Authorization": f"Bearer {tokens.create(db, anna, 'test', clock())}"}
    client, before = browser("anna@storby.example"), chest()
    asked = 0
    for method, rule in routes(app):
        path = rule.replace("<int:number>", str(number))
        path = path.replace("<int:", "<").replace("<", "").replace(">", "")
        path = "/".join(step if not step.isidentifier() or step.islower() else "1" for step in path.split("/"))
        headers = key if rule.startswith("/api/") else {}
        sent = {"json": {"version": 1, "body": "x", "idempotency_key": "k", "mention": 1, "into": 1, "to_mention": 1}}
        more: dict[str, Any] = (sent if headers and method != "GET" else {}) if headers else {"data": {"body": "x"}}
        response = client.open(path, method=method, headers=headers, **more)
        assert response.status_code == 404, f"{method} {rule}: {response.status_code}"
        assert SECRET not in text_of(response)
        asked += 1
    assert asked > 20
    assert chest() == before, "something was written in a case that is not seen"


@pytest.fixture
def chest(storby: House) -> Callable[[], Any]:
    """What is written in cases, to be compared."""

    def look() -> Any:
        with storby.database.read() as db:
            versions = db.execute(select(Case.id, Case.version).order_by(Case.id)).all()
            return versions, db.scalars(select(CaseEvent.id)).all(), db.scalars(select(Reply.id)).all()

    return look


def test_whatever_the_route_a_change_of_it_is_refused_and_giving_it_away_is_not(
    storby: House, number: int, clock: FakeClock
) -> None:
    from flask import g

    from errors import NotFoundError

    app = create_app(storby, clock=clock)
    with storby.database.read() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        team = db.scalars(select(Team)).one()
        other = screens.case_of(storby, "1003").id
    with app.test_request_context("/"):
        g.user = anna
        for act in (
            lambda db: cases.classify(db, number, tags=["x"], actor=anna.email, at=clock()),
            lambda db: cases.assign_team(db, number, team=None, actor=anna.email, at=clock()),
            lambda db: merging.merge(db, other, into=number, actor=anna.email, at=clock()),
        ):
            with pytest.raises(NotFoundError), storby.database.transaction() as db:
                act(db)
        with storby.database.transaction() as db:
            cases.assign_team(db, other, team=db.merge(team), actor=anna.email, at=clock())
        with storby.database.read() as db:
            assert db.get(Case, other) is None, "it is seen after it was given away"


def test_the_api_leaves_it_out(browser: Browser, storby: House, number: int, clock: FakeClock) -> None:
    client = create_app(storby, clock=clock).test_client()
    seen = {}
    for who in ("anna", "eva"):
        with storby.database.transaction() as db:
            user = db.scalars(select(User).where(User.email == f"{who}@storby.example")).one()
            headers = {"Authorization": f"Bearer {tokens.create(db, user, 'test', clock())}"}
        listed = client.get("/api/v1/cases", headers=headers).get_json()
        mentions = client.get("/api/v1/mentions?limit=200", headers=headers).get_json()["mentions"]
        events = client.get("/api/v1/events?after=0&limit=200", headers=headers).get_json()["events"]
        seen[who] = (
            listed["total"],
            number in {case["number"] for case in listed["cases"]},
            number in {mention["case"] for mention in mentions},
            number in {event["case"] for event in events},
        )
    assert seen["eva"][1:] == (True, True, True)
    assert seen["anna"][1:] == (False, False, False)
    assert seen["anna"][0] == seen["eva"][0] - 1


def test_what_hangs_on_it_is_not_seen_either(browser: Browser, storby: House, number: int, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        said = db.scalars(select(CaseEvent).where(CaseEvent.case_id == number)).first()
        assert said is not None
        db.add(Notice(user_id=anna.id, event_id=said.id, kind="sla_warning", at=clock()))
        reply = Reply(case_id=number, channel="twitter", origin="gensvar", body="x", status="sent", created_at=clock())
        db.add(reply)
        db.flush()
        db.add(
            Promise(case_id=number, reply_id=reply.id, words="HEMLIGT", due_at=clock(), back_at=clock(),
                    owner_id=anna.id, state="open", made_at=clock())
        )  # fmt: skip
    client = browser("anna@storby.example")
    assert f"#{number} " not in text_of(client.get("/"))
    assert "HEMLIGT" not in text_of(client.get("/promises?whose=all"))
    assert "HEMLIGT" in text_of(browser("mats@storby.example").get("/promises?whose=all"))
    for act in ("accept", "keep", "drop"):
        assert client.post(f"/promises/1/{act}").status_code == 404, act


def test_what_the_house_does_by_itself_sees_everything(storby: House, number: int) -> None:
    with storby.database.read() as db:
        assert db.get(Case, number) is not None
        eva = db.scalars(select(User).where(User.email == "eva@storby.example")).one()
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        assert visible_to(db, eva) == ()
        hidden = db.scalars(select(Case.id).where(*visible_to(db, anna))).all()
        assert number not in hidden
        assert len(hidden) == 4


def test_nobody_is_told_of_what_they_do_not_see(storby: House, number: int, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        people = {user.email.partition("@")[0]: user for user in db.scalars(select(User))}
        event = db.scalars(select(CaseEvent).where(CaseEvent.case_id == number)).first()
        for who in ("anna", "eva", "mats"):
            notices.tell(db, people[who], "note", clock(), event=event)
        assert set(db.scalars(select(Notice.user_id))) == {people["eva"].id, people["mats"].id}


@pytest.fixture
def alone(storby: House, number: int, clock: FakeClock) -> dict[str, int]:
    """An author, a note about them, a story and its answer: all of them nowhere but in that case and its like."""
    with storby.database.transaction() as db:
        case, eva = db.get_one(Case, number), db.scalars(select(User).where(User.name == "Eva")).one()
        story = Story(title="HEMLIG STORY", opened_at=clock(), last_at=clock(), size=2, authors=2, reach=98765)
        db.add(story)
        db.flush()
        case.story_id = story.id
        for mention in db.scalars(select(Mention).where(Mention.case_id == number)):
            mention.story_id = story.id
        answer = SharedAnswer(user_id=eva.id, key="k", story_id=story.id, texts={"sv": "HEMLIGT SVAR"}, then="keep",
                              created_at=clock())  # fmt: skip
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        db.add_all(
            [answer, PersonNote(user_id=eva.id, author_id=case.author_id, body="HEMLIG NOT", created_at=clock())]
        )
        db.add(Notice(user_id=anna.id, story_id=story.id, kind="story_alarm", detail={"story": "HEMLIG STORY"},
                      at=clock()))  # fmt: skip
        db.flush()
        assert case.author_id is not None
        return {"author": case.author_id, "story": story.id, "answer": answer.id}


def test_nor_are_authors_stories_and_answers_that_are_nowhere_else(browser: Browser, alone: dict[str, int]) -> None:
    author, story, answer = alone["author"], alone["story"], alone["answer"]
    pages = (f"/people/{author}", f"/stories/{story}", f"/stories/{story}/answer", f"/stories/answers/{answer}")
    lists = ("/", "/stories?show=all", f"/?status=all&story={story}", f"/?status=all&author={author}")
    other = author + 2  # of a case that everybody sees
    for who, may in (("eva", True), ("anna", False)):
        client = browser(f"{who}@storby.example")
        for page in pages:
            assert client.get(page).status_code == (200 if may else 404), (who, page)
        if not may:
            assert client.get(f"/people/{other}").status_code == 200
            for page in (*lists, f"/people/{other}?find=citizen1", "/live/notices?after=0"):
                said = text_of(client.get(page))
                assert "HEMLIG" not in said and "98,765" not in said and "@citizen1<" not in said, page
            for path, form in (
                (f"/people/{author}/notes", {"body": "x"}),
                (f"/people/{other}/join", {"other": str(author)}),
                (f"/stories/{story}/join", {"other": "1"}),
                (f"/stories/answers/{answer}/stop", {}),
            ):
                assert client.post(path, data=form).status_code == 404, path


def test_the_api_neither_tells_nor_answers_a_story_of_theirs(
    storby: House, alone: dict[str, int], clock: FakeClock
) -> None:
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        headers = {"Authorization": f"Bearer {tokens.create(db, anna, 'test', clock())}"}
    client = create_app(storby, clock=clock).test_client()
    assert client.get("/api/v1/stories", headers=headers).get_json()["stories"] == []
    body = {"texts": {"sv": "Hej"}, "idempotency_key": "x"}
    for method, path in (
        ("GET", f"/stories/{alone['story']}"),
        ("POST", f"/stories/{alone['story']}/answers"),
        ("GET", f"/answers/{alone['answer']}"),
        ("DELETE", f"/answers/{alone['answer']}"),
    ):
        more: dict[str, Any] = {"json": body} if method == "POST" else {}
        assert client.open(f"/api/v1{path}", method=method, headers=headers, **more).status_code == 404, path
    with storby.database.transaction() as db:  # a story that is theirs in part: the rest of it is answered
        seen = screens.case_of(storby, "1003").id
        db.get_one(Case, seen).story_id = alone["story"]
        db.scalars(select(Mention).where(Mention.case_id == seen)).one().story_id = alone["story"]
    sent = client.post(f"/api/v1/stories/{alone['story']}/answers", headers=headers, json=body)
    assert sent.status_code == 202, sent.get_json()
    with storby.database.read() as db:
        parts = select(SharedAnswerPart.case_id).where(SharedAnswerPart.shared_answer_id != alone["answer"])
        assert db.scalars(parts).all() == [seen]


def test_each_database_is_guarded_whatever_lay_at_its_place_in_memory_before(tmp_path: Path) -> None:
    gc.freeze()  # what other tests have left need not be looked through each time
    try:
        for number in range(10):
            database = Database(f"sqlite:///{tmp_path}/{number}.db")
            access.install(Flask("a house"), database)
            assert list(database.reading().dispatch.do_orm_execute), f"the {number + 1}. is not"
            del database
            gc.collect()
    finally:
        gc.unfreeze()
