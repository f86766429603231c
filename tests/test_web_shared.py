"""One answer for all on screen: written, looked at case by case, sent once, followed, stopped; and through the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from collectors.base import AuthorData
from house import House
from models import Case, CaseStatus, Mention, Reply, SharedAnswer, Story, Then, User
from replies import shared
from tests.conftest import FakeClock
from tests.factories import user
from tests.screens import collect, mention
from tests.test_api import Api
from triage import answering, cases
from web import create_app
from web.api import tokens

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

Browser = Callable[[str | None], FlaskClient]
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
TEXTS: dict[str, Any] = {"text-sv": "Hej {name}! Vi plogar nu, ärende {case}.", "text-en": "Hello {name}, case {case}."}


@pytest.fixture
def snow(storby: House, clock: FakeClock) -> int:
    """A story with a case of each of three people: two in Swedish, one in English. Gives its number."""
    return tell(storby, clock, "Anna", "Bo", "Cleo", languages={"Cleo": "en"})


def tell(house: House, clock: FakeClock, *people: str, languages: dict[str, str] | None = None) -> int:
    number = 700 + _count(house, Mention)
    for n, who in enumerate(people, number):
        author = AuthorData(f"p{n}", who, who.lower())
        (case,) = collect(house, mention(n, f"@storby Plogas det inte hos {who}?", clock(), author=author), at=clock())
        with house.database.transaction() as db:
            story = db.scalars(select(Story)).first() or Story(title="Snö", opened_at=clock(), last_at=clock())
            db.add(story)
            db.flush()
            cases.classify(db, case, language=(languages or {}).get(who, "sv"), noise="none", actor="t", at=clock())
            cases.join_story(db, case, story_id=story.id, actor="stories", at=clock())
    with house.database.read() as db:
        return db.scalars(select(Story.id)).one()


def texts(**by_language: str) -> dict[str, Any]:
    return {f"text-{language}": text for language, text in by_language.items()}


def _count(house: House, table: type) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


def fields(page: str) -> dict[str, list[str]]:
    """The hidden fields and the ticked boxes of the form."""
    given: dict[str, list[str]] = {}
    inside = re.search(r'<form [^>]*id="shared-form".*?</form>', page, re.S)
    assert inside, page
    for tag in re.findall(r"<input [^>]*>", inside[0]):
        found = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        if found["type"] == "hidden" or re.search(r"\bchecked\b", tag):
            given.setdefault(found["name"], []).append(unescape(found.get("value", "")))
    return given


def post(client: FlaskClient, story: int, page: str, status: int = 200, **form: Any) -> str:
    answer = client.post(f"/stories/{story}/answer", data={**fields(page), "then": "keep", **form}, headers=SAME_SITE)
    assert answer.status_code == status, answer.text
    return answer.text if status != 303 else answer.headers["Location"]


def begin(client: FlaskClient, story: int, **query: int) -> str:
    answer = client.get(f"/stories/{story}/answer", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.text


def numbers(house: House) -> list[int]:
    with house.database.read() as db:
        return list(db.scalars(select(Case.id).where(Case.story_id.is_not(None)).order_by(Case.id)))


def test_from_the_story_to_the_answers(storby: House, browser: Browser, clock: FakeClock, snow: int) -> None:
    anna = browser("anna@storby.example")
    blank = begin(anna, snow)
    assert "2 cases" in blank
    assert 'name="text-sv"' in blank
    assert 'name="text-en"' in blank
    assert "X takes 280 characters" in blank

    looked = post(anna, snow, blank, **TEXTS)
    one, two, three = numbers(storby)
    assert f"Hej Anna! Vi plogar nu, ärende {one}." in looked
    assert f"Hello Cleo, case {three}." in looked
    assert fields(looked)["case"] == [str(one), str(two), str(three)], "what is advised is ticked"
    assert "3 answers" in looked
    assert "costs US$0.03" in looked
    assert _count(storby, SharedAnswer) == 0, "nothing is sent by looking"

    there = post(anna, snow, looked, 303, do="send", **TEXTS)
    assert post(anna, snow, looked, 303, do="send", **TEXTS) == there, "a second click"
    assert _count(storby, SharedAnswer) == 1
    waiting = anna.get(there).text
    assert "Sent 0 of 3" in waiting
    assert "3 wait for their turn" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    shared.work_off(storby, clock())
    assert "Not sent yet" in anna.get(f"{there}/progress?show=all").text


def test_what_is_unticked_gets_nothing(storby: House, browser: Browser, snow: int, clock: FakeClock) -> None:
    anna = browser("anna@storby.example")
    looked = post(anna, snow, begin(anna, snow), **TEXTS)
    one, _two, three = map(str, numbers(storby))
    again = post(anna, snow, looked, case=[one, three], **TEXTS)
    assert fields(again)["case"] == [one, three], "the person's ticks stay"
    assert "2 answers" in again
    tell(storby, clock, "Dora")
    newer = post(anna, snow, again, **TEXTS)
    assert len(fields(newer)["case"]) == 3, "who came meanwhile is advised"
    none = post(anna, snow, newer, 422, do="send", case=[], **TEXTS)
    assert "No case is ticked" in none
    tell(storby, clock, "Eva")  # whom nobody has seen yet
    there = post(anna, snow, newer, 303, do="send", case=[one], **TEXTS)
    shared.work_off(storby, clock())
    with storby.database.read() as db:
        assert [reply.case_id for reply in db.scalars(select(Reply))] == [int(one)]
    assert "Sent 0 of 1" in anna.get(there).text


def test_what_was_typed_is_there_again(browser: Browser, snow: int) -> None:
    anna = browser("anna@storby.example")
    blank = begin(anna, snow)
    assert "Write something first." in post(anna, snow, blank, 422, **texts(sv="  "))
    refused = unescape(post(anna, snow, blank, 422, then="wait", **texts(sv="Hej {namn}!", fi="Hei")))
    assert "{namn} means nothing here" in refused
    assert ">Hej {namn}!</textarea>" in refused
    assert ">Hei</textarea>" in refused, "in a language nobody there speaks, too"
    assert '<option value="wait" selected>' in refused


def test_only_what_was_looked_at_is_sent(storby: House, browser: Browser, snow: int, clock: FakeClock) -> None:
    anna = browser("anna@storby.example")
    blank = begin(anna, snow)
    unseen = post(anna, snow, blank, 409, do="send", **TEXTS)
    assert len(fields(unseen)["case"]) == 3
    looked = post(anna, snow, blank, **TEXTS)
    changed = post(anna, snow, looked, 409, do="send", **texts(sv="Något annat, {name} {case}."))
    assert "Något annat, Anna" in changed
    assert _count(storby, SharedAnswer) == 0

    with storby.database.transaction() as db:  # somebody answers between looking and sending
        asked = db.scalars(select(Mention).where(Mention.case_id == numbers(storby)[0])).one()
        answering.reply(
            db, numbers(storby)[0], body="Vi kommer", to_mention_id=asked.id, user=user(db), then=Then.keep,
            private=False, hold=timedelta(), idempotency_key=None, account_id=None, at=clock(),
        )  # fmt: skip
    there = post(anna, snow, looked, 303, do="send", **TEXTS)
    shared.work_off(storby, clock())
    left = unescape(anna.get(there).text)
    assert "1 left out" in left
    assert "Somebody has written there since it was looked at." in left


def test_who_cannot_be_answered_is_named_with_the_way_there(storby: House, browser: Browser, snow: int) -> None:
    one, two, three = numbers(storby)
    with storby.database.transaction() as db:
        asked = db.scalars(select(Mention).where(Mention.case_id == one)).one()
        asked.can_reply, asked.can_reply_reason = False, "not_summoned"
        cases.change_status(db, two, target=CaseStatus.ignored, actor="t", at=asked.collected_at)
    anna = browser("anna@storby.example")
    looked = unescape(post(anna, snow, begin(anna, snow), **TEXTS))
    assert "The network only lets us answer posts that mention us" in looked
    assert "The case is ignored." in looked
    assert looked.count("Open on the network") == 1
    assert fields(looked)["case"] == [str(three)]
    long = unescape(post(anna, snow, looked, **texts(sv="å" * 300, en="b" * 281)))
    assert "281 of 280 characters" in long
    shorter = post(anna, snow, long, **TEXTS)
    assert fields(shorter)["case"] == [str(three)], "what was too long is ticked again when it is not"


def test_many_at_once_are_sent_only_when_asked_for_twice(
    storby: House, browser: Browser, clock: FakeClock, snow: int
) -> None:
    tell(storby, clock, *(f"Person {n}" for n in range(24)))
    anna = browser("anna@storby.example")
    looked = post(anna, snow, begin(anna, snow), **TEXTS)
    asked = post(anna, snow, looked, do="send", **TEXTS)
    assert "This sends 27 answers. Send them all?" in asked
    assert _count(storby, SharedAnswer) == 0
    fewer = post(anna, snow, asked, do="send", case=fields(asked)["case"][:26], **TEXTS)
    assert "This sends 26 answers." in fewer, "another number is asked for anew"
    post(anna, snow, fewer, 303, do="send", **TEXTS)
    assert _count(storby, SharedAnswer) == 1


def test_stopped_on_screen(storby: House, browser: Browser, clock: FakeClock, snow: int) -> None:
    anna = browser("anna@storby.example")
    there = post(anna, snow, post(anna, snow, begin(anna, snow), **TEXTS), 303, do="send", **TEXTS)
    shared.work_off(storby, clock())
    stopped = anna.post(f"{there}/stop", headers=SAME_SITE)
    assert stopped.status_code == 303
    page = anna.get(there).text
    assert "Stopped. 3 answers were withdrawn." in page
    assert "3 withdrawn" in page
    assert "every 2s" not in page
    assert anna.post("/stories/answers/99/stop", headers=SAME_SITE).status_code == 404
    assert anna.get("/stories/answers/99").status_code == 404


def test_who_joins_later_is_offered_it(storby: House, browser: Browser, clock: FakeClock, snow: int) -> None:
    anna = browser("anna@storby.example")
    post(anna, snow, post(anna, snow, begin(anna, snow), **TEXTS), 303, do="send", **TEXTS)
    shared.work_off(storby, clock())
    tell(storby, clock, "Dora")
    late = numbers(storby)[-1]
    case = unescape(anna.get(f"/cases/{late}").text)
    assert "An answer for all was sent in this story; this case has not had it." in case
    (offer,) = re.findall(rf'href="(/stories/{snow}/answer\?[^"]*)"', case)
    form = anna.get(offer).text
    assert "Hej Dora! Vi plogar nu" in form
    assert fields(form)["case"] == [str(late)]
    assert "this case has not had it" not in anna.get(f"/cases/{numbers(storby)[0]}").text


# -- through the API --------------------------------------------------------------------------------------------------


@pytest.fixture
def api(storby: House, clock: FakeClock) -> Api:
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        return Api(create_app(storby, clock=clock), tokens.create(db, anna, "test", clock()))


def test_sent_followed_and_stopped_through_the_api(storby: House, api: Api, clock: FakeClock, snow: int) -> None:
    body = {"texts": {"sv": "Hej {name}! Ärende {case}.", "en": "Hello {name}, {case}."}, "idempotency_key": "1"}
    sent = api.call("POST", f"/stories/{snow}/answers", body, status=202)
    assert (sent["story"], sent["total"], sent["waiting"], sent["then"]) == (snow, 3, 3, "keep")
    assert sent["user"] == "anna@storby.example"
    assert api.call("POST", f"/stories/{snow}/answers", body, status=202)["id"] == sent["id"], "the same key"
    shared.work_off(storby, clock())
    waiting = api.call("GET", f"/answers/{sent['id']}")
    assert waiting["until"] is not None
    assert waiting["left_out"] == {}
    api.call("DELETE", f"/answers/{sent['id']}", status=204)
    stopped = api.call("GET", f"/answers/{sent['id']}")
    assert (stopped["undone"], stopped["waiting"]) == (3, 0)
    assert stopped["stopped_at"] is not None


def test_what_the_api_refuses(storby: House, api: Api, snow: int) -> None:
    one, _two, _three = numbers(storby)
    body = {"texts": {"sv": "Hej {name}"}, "idempotency_key": "1"}
    chosen = api.call("POST", f"/stories/{snow}/answers", {**body, "cases": [one]}, status=202)
    assert chosen["total"] == 1
    wrongs: list[dict[str, Any]] = [{"texts": {}}, {"texts": {"sv": "Hej {namn}"}}, {"cases": []}, {"then": "perhaps"}]
    for wrong in wrongs:
        body = {"texts": {"sv": "Hej {name}"}, "idempotency_key": "2"}
        api.refused("POST", f"/stories/{snow}/answers", {**body, **wrong}, status=422, code="invalid")
    api.refused("POST", "/stories/99/answers", body, status=404, code="not_found")
    api.refused("GET", "/answers/99", status=404, code="not_found")
    api.refused("DELETE", "/answers/99", status=404, code="not_found")
