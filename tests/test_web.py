"""The screens, through the door a browser uses."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from channels import CHANNELS
from collectors.base import AuthorData, SetAside
from house import House
from models import (
    Case,
    CaseEvent,
    Lesson,
    LoginSession,
    Mention,
    Note,
    Notice,
    Reply,
    ReplyStatus,
    SetAsideItem,
    Source,
    Team,
    User,
)
from sandbox.base import serving
from tests import screens
from tests.conftest import FakeClock
from tests.factories import statements
from triage import answering, cases, dispatch, reactions, targets
from triage.states import Action
from web import STATIC, create_app, labels, panes
from web.i18n import LANGUAGES, catalogue
from web.judgements import KEYS, marked
from web.safe_html import clean, link_text

FIXED_KEYS = {"step", "leave", "send", "palette", "select-all"}  # keys.js and composer.js listen to these by themselves
TEMPLATES = [path.read_text() for path in (STATIC.parent / "templates").glob("*.html")]
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}

pytestmark = [pytest.mark.screens, pytest.mark.one_database, pytest.mark.usefixtures("quick_passwords")]


Browser = Callable[[str | None], FlaskClient]


@pytest.fixture
def anna(browser: Browser) -> FlaskClient:
    return browser("anna@storby.example")


@pytest.fixture
def admin(browser: Browser) -> FlaskClient:
    return browser("admin@storby.example")


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"the page has no field {name}"
    return found[1]


def answer(client: FlaskClient, number: int, body: str = "Vi kommer i kväll.", **more: str) -> Any:
    page = text_of(client.get(f"/cases/{number}"))
    form = {"key": hidden(page, "key"), "version": hidden(page, "version"), "body": body, "then": "keep", **more}
    return client.post(f"/cases/{number}/reply", data=form)


def replies(house: House) -> list[Reply]:
    with house.database.read() as db:
        return list(db.scalars(select(Reply).order_by(Reply.id)))


# -- log in ---------------------------------------------------------------------------------------------------------


def test_who_is_not_logged_in_is_sent_to_the_login_and_back(browser: Browser) -> None:
    client = browser(None)
    for path in ("/", "/cases/1", "/me", "/admin/sources", "/media?u=http://x.example&s=1"):
        assert client.get(path).headers["Location"].startswith("/login"), path
    assert client.get("/cases/1?draft=2").headers["Location"] == "/login?next=/cases/1?draft%3D2"
    sent = client.post(
        "/login?next=/cases/1", data={"email": "ANNA@storby.example", "password": screens.PASSWORD, "next": "/cases/1"}
    )
    assert (sent.status_code, sent.headers["Location"]) == (303, "/cases/1")


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/ok\nLocation: x", "\t//e"],
)
def test_the_login_leads_nowhere_else(browser: Browser, target: str) -> None:
    form = {"email": "anna@storby.example", "password": screens.PASSWORD, "next": target}
    assert browser(None).post("/login", data=form).headers["Location"] == "/"


def test_the_cookie_is_for_this_site_only_and_new_at_each_login(browser: Browser, storby: House) -> None:
    client = browser(None)
    form = {"email": "anna@storby.example", "password": screens.PASSWORD}
    first = client.post("/login", data=form).headers["Set-Cookie"]
    assert "HttpOnly" in first
    assert "SameSite=Lax" in first
    second = client.post("/login", data=form).headers["Set-Cookie"]
    assert first.split(";")[0] != second.split(";")[0]
    with storby.database.read() as db:
        assert db.scalar(select(func.count()).select_from(LoginSession)) == 1, "the old session still works"


def test_over_https_the_cookie_is_tied_to_the_host(make_house: Callable[..., House], clock: FakeClock) -> None:
    house = screens.storby(make_house, clock(), base_url="https://svar.storby.example")
    client = create_app(house, clock=clock).test_client()
    response = client.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    assert response.headers["Set-Cookie"].startswith("__Host-session=")
    assert "Secure" in response.headers["Set-Cookie"]


def test_ten_failures_close_an_account_for_a_while_and_say_how_long(browser: Browser, clock: FakeClock) -> None:
    client = browser(None)
    wrong = {"email": "anna@storby.example", "password": "guess"}
    assert [client.post("/login", data=wrong).status_code for _ in range(10)] == [401] * 10
    refused = client.post("/login", data={**wrong, "password": screens.PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    other = client.post("/login", data={"email": "mats@storby.example", "password": screens.PASSWORD})
    assert other.status_code == 303, "one account's failures closed another's"
    clock.forward(minutes=15, seconds=1)
    assert client.post("/login", data={**wrong, "password": screens.PASSWORD}).status_code == 303


def test_fifty_failures_close_an_address(browser: Browser) -> None:
    client = browser(None)
    for number in range(50):
        client.post("/login", data={"email": f"nobody{number}@storby.example", "password": "x"})
    form = {"email": "anna@storby.example", "password": screens.PASSWORD}
    assert client.post("/login", data=form).status_code == 429
    elsewhere = client.post("/login", data=form, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 303


def test_a_window_may_ask_when_the_login_ends_and_a_person_puts_it_off(anna: FlaskClient, clock: FakeClock) -> None:
    begun = clock()
    clock.forward(minutes=50)
    asked = anna.get("/me/login", headers={"HX-Request": "true"})
    assert asked.status_code == 204
    assert asked.headers["X-Login-Ends"] == (begun + timedelta(hours=1)).isoformat()
    assert asked.headers["X-Login-Lasts"] == (begun + timedelta(hours=8)).isoformat()
    stayed = anna.post("/me/login", headers={"HX-Request": "true"})
    assert stayed.headers["X-Login-Ends"] == (clock() + timedelta(hours=1)).isoformat()
    clock.forward(minutes=50)
    assert anna.get("/me").status_code == 200


def test_choices_for_the_screens_are_kept_and_others_left_alone(anna: FlaskClient) -> None:
    assert anna.post("/me/screens", data={"theme": "dark", "density": "compact"}).status_code == 303
    assert anna.post("/me/panes", data={"pane": "nav", "folded": "1"}, headers={"Referer": "http://localhost/cases/1?x=1"}).location == "/cases/1?x=1"  # fmt: skip  # noqa: E501
    page = text_of(anna.get("/"))
    assert 'data-color-scheme="dark"' in page and 'data-density="compact"' in page and "data-folded-nav" in page
    anna.post("/me/panes", data={"pane": "nav"})
    assert "data-folded-nav" not in text_of(anna.get("/"))
    assert anna.post("/me/screens", data={"theme": "pink"}).status_code == 400
    assert anna.post("/me/panes", data={"pane": "list"}).status_code == 400


def test_a_session_ends_after_an_idle_hour_and_after_eight(
    anna: FlaskClient, browser: Browser, clock: FakeClock
) -> None:
    clock.forward(minutes=59)
    assert anna.get("/").status_code == 200
    clock.forward(minutes=59)
    assert anna.get("/").status_code == 200, "use did not prolong the session"
    clock.forward(minutes=61)
    assert anna.get("/").status_code == 302
    again = browser("anna@storby.example")
    for _ in range(9):
        clock.forward(minutes=50)
        last = again.get("/").status_code
    assert last == 200
    clock.forward(minutes=50)
    assert again.get("/").status_code == 302, "the session outlived eight hours"


def test_a_window_that_only_looks_on_does_not_keep_the_session_alive(anna: FlaskClient, clock: FakeClock) -> None:
    for _ in range(4):
        clock.forward(minutes=16)
        last = anna.get("/live?after=0").status_code
    assert last == 401


def test_logout_ends_the_session_on_the_server(anna: FlaskClient) -> None:
    cookie = anna.get_cookie("session")
    assert cookie is not None
    anna.post("/logout")
    anna.set_cookie("session", cookie.value)
    assert anna.get("/").status_code == 302


def test_who_is_disabled_is_out_at_once(anna: FlaskClient, admin: FlaskClient, storby: House) -> None:
    with storby.database.read() as db:
        number = db.scalar(select(User.id).where(User.email == "anna@storby.example"))
    assert admin.post(f"/admin/users/{number}", data={"do": "disable"}).status_code == 303
    assert anna.get("/").status_code == 302
    form = {"email": "anna@storby.example", "password": screens.PASSWORD}
    assert anna.post("/login", data=form).status_code == 401


def test_the_first_run_makes_one_administrator_and_only_once(house: House, clock: FakeClock) -> None:
    client = create_app(house, clock=clock).test_client()
    assert client.get("/login").headers["Location"] == "/setup"
    assert client.get("/setup").status_code == 200
    form = {"email": "First@storby.example", "name": "Första", "password": "short"}
    assert client.post("/setup", data=form).status_code == 422
    assert client.post("/setup", data={**form, "password": screens.PASSWORD}).status_code == 303
    assert client.get("/admin").status_code == 200, "the first administrator is not logged in"
    assert client.get("/setup").headers["Location"] == "/setup/steps"
    assert create_app(house, clock=clock).test_client().get("/setup").status_code == 404
    assert client.post("/setup", data={**form, "password": screens.PASSWORD}).status_code == 404


# -- other sites ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_other_sites_change_nothing(anna: FlaskClient, storby: House, headers: dict[str, str], allowed: bool) -> None:
    response = anna.post("/cases/1/note", data={"body": "från en annan sida"}, headers=headers)
    assert response.status_code == (303 if allowed else 403)
    with storby.database.read() as db:
        assert db.scalar(select(func.count()).select_from(Note)) == int(allowed)


def test_every_page_carries_the_policy(anna: FlaskClient) -> None:
    for path in ("/", "/cases/1", "/nowhere", "/login"):
        policy = anna.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    page = text_of(anna.get("/cases/1"))
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|<style", page), "something is inline"
    assert not re.search(r'(?:src|href)="https?://(?!x\.com)[^"]*\.(?:js|css|png|jpg)', page)


def test_our_files_travel_packed_and_once(browser: Browser) -> None:
    client = browser(None)
    page = text_of(client.get("/login"))
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        plain = client.get(address, headers={"Accept-Encoding": "identity"})
        packed = client.get(address, headers={"Accept-Encoding": "gzip, br"})
        assert "immutable" in packed.headers["Cache-Control"], address
        assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding"), address
        assert gzip.decompress(packed.data) == plain.data, address
        assert "Content-Encoding" not in plain.headers, address
    assert "immutable" not in client.get("/static/icons/chevron.svg").headers["Cache-Control"], "no digest, no for ever"
    assert client.get("/static/no/such.css?v=1").status_code == 404


# -- what Gensvar makes of a case ------------------------------------------------------------------------------------

OFFICE = {
    "name": "office",
    "timezone": "Europe/Stockholm",
    "holidays": "SE",
    "hours": {"mon-fri": ["08:00-12:00", "13:00-17:00"]},
    "exceptions": {"2026-12-28": [], "2026-12-29": ["10:00-12:00"]},
}


def events(house: House, number: int) -> list[CaseEvent]:
    with house.database.read() as db:
        return list(db.scalars(select(CaseEvent).where(CaseEvent.case_id == number).order_by(CaseEvent.version)))


def in_force(house: House) -> list[tuple[str, str]]:
    with house.database.read() as db:
        found = select(Lesson).where(Lesson.withdrawn_at.is_(None)).order_by(Lesson.id)
        return [(lesson.judge, lesson.value) for lesson in db.scalars(found)]


def chosen(page: str, field: str) -> str:
    """What a select on the page shows as chosen: the last of that name, since filters stand before the case."""
    selects = re.findall(rf'<select[^>]* name="{field}".*?</select>', page, re.DOTALL)
    assert selects, f"the page has no choice of {field}"
    found = re.search(r'<option value="([^"]*)" selected>', selects[-1])
    assert found, f"nothing is chosen for {field}"
    return found[1]


def test_what_was_judged_stands_beside_the_case_with_its_words(anna: FlaskClient, storby: House) -> None:
    case = screens.case_of(storby, "1003")
    page = text_of(anna.get(f"/cases/{case.id}"))
    assert chosen(page, "kind") == case.kind
    assert chosen(page, "language") == "nb"
    assert re.search(r"(sure|unsure) \(\d\d%\)", page), "it does not say how sure it is"
    assert "<q>" in page, "the words that decided are not shown"
    with storby.database.read() as db:
        said = db.scalars(select(Mention).where(Mention.external_id == "1003")).one().judgement
    assert said is not None
    word = said["language"][2][0]
    marked = text_of(anna.get(f"/cases/{case.id}?why=language"))
    assert f"<mark>{word}</mark>" in marked
    assert "<mark>" not in page
    assert "<mark>" not in text_of(anna.get(f"/cases/{case.id}?why=nonsense"))


def test_words_are_marked_where_they_stand_and_nothing_else_gets_in() -> None:
    assert marked("Is <b>på vägen</b>, is!", ("is", "på vägen")) == (
        "Is &lt;b&gt;<mark>på vägen</mark>&lt;/b&gt;, <mark>is</mark>!"
    )
    assert marked("visst, is", ("is",)) == "visst, <mark>is</mark>", "a part of a word was marked"
    assert marked("<i>", ()) == "&lt;i&gt;"
    assert marked("(.*) ???", ("???", ".*")) == "(<mark>.*</mark>) <mark>???</mark>"


@pytest.mark.parametrize(
    ("key", "field", "first", "second"),
    [
        ("1", "kind", "question", "question"),
        ("5", "kind", "other", "other"),
        ("+", "sentiment", "positive", "positive"),
        ("0", "sentiment", "neutral", "neutral"),
        ("6", "urgency", "danger", None),
        ("9", "urgency", "leak", None),
        ("!", "noise", "spam", None),
        ("l", "language", "sv", "en"),
    ],
)
def test_one_key_corrects_and_what_it_gave_it_takes_away(
    anna: FlaskClient, storby: House, clock: FakeClock, key: str, field: str, first: str, second: str | None
) -> None:
    number = screens.case_of(storby, "1003").id  # a Norwegian question about the power
    with storby.database.transaction() as db:
        cases.classify(
            db, number, kind="idea", sentiment="negative", urgency="none", noise="none", actor="t", at=clock()
        )
    for expected in (first, second):
        assert anna.post(f"/cases/{number}/classify", data={"key": key}).status_code == 303
        assert getattr(screens.case_of(storby, "1003"), field) == expected
    assert events(storby, number)[-1].actor == "anna@storby.example"


def test_a_key_that_means_nothing_is_refused(anna: FlaskClient) -> None:
    for data in ({"key": "q"}, {"key": ""}, {"kind": "complaint"}, {"sentiment": "none"}, {"category": "<b>"}):
        assert anna.post("/cases/1/classify", data=data).status_code == 400, data
    assert anna.post("/cases/999/classify", data={"key": "1"}).status_code == 404


def test_a_correction_is_a_lesson_and_undone_it_is_forgotten(
    anna: FlaskClient, storby: House, clock: FakeClock
) -> None:
    case = screens.case_of(storby, "1004")  # praise, in Norwegian
    assert case.kind == "praise"
    said = text_of(anna.post(f"/cases/{case.id}/classify", data={"key": "1"}, headers={"HX-Request": "true"}))
    assert "Kind: Question." in " ".join(said.split())
    assert "Gensvar has learnt from this." in said
    reactions.react(storby.database, clock())
    assert in_force(storby) == [("kind", "question")]
    page = text_of(anna.get(f"/cases/{case.id}"))
    assert "set by Anna Åberg" in page
    assert "Gensvar had said: Praise" in page
    way_back = re.findall(r'action="(/batches/\d+/undo)"', said)
    undone = anna.post(way_back[0], headers={"HX-Request": "true"})
    assert "Undone." in text_of(undone)
    reactions.react(storby.database, clock())
    assert in_force(storby) == []
    assert screens.case_of(storby, "1004").kind == "praise"
    again = text_of(anna.post(f"/cases/{case.id}/classify", data={"key": "4"}, headers={"HX-Request": "true"}))
    assert "It says so already." in again


def test_without_a_script_the_way_back_stands_on_the_page(anna: FlaskClient, storby: House) -> None:
    page = text_of(anna.post("/cases/1/classify", data={"key": "4"}, follow_redirects=True))
    assert "Gensvar has learnt from this." in page
    assert re.search(r'action="/batches/\d+/undo"', page)
    assert "Gensvar has learnt from this." not in text_of(anna.get("/cases/1")), "it is said twice"


def test_the_keys_are_told_and_clash_with_no_other(anna: FlaskClient) -> None:
    page = text_of(anna.get("/cases/1"))
    keys = [key for told in re.findall(r'data-keys="([^"]*)"', page) for key in told.split("\n")]
    assert len(keys) == len(set(keys)), "a key does two things"
    assert set(re.findall(r'data-judge="([^"]*)"', page)) == set(KEYS)
    script = (STATIC / "js/keys.js").read_text()
    templates = "".join(map(str, TEMPLATES))
    for does in re.findall(r'data-does="([^"]*)" data-keys="[^"]*">', page):
        known = does in FIXED_KEYS or re.search(rf'^    "?{does}"?: ', script, re.MULTILINE)
        assert known or f'data-action="{does}"' in templates, f"nothing does {does}"


def test_a_target_is_told_in_words_and_its_calculation_day_by_day(
    make_house: Callable[..., House], clock: FakeClock
) -> None:
    clock.at = datetime(2026, 12, 23, 14, 0, tzinfo=UTC)  # the day before Christmas Eve, 15:00 in Stockholm
    sla = {"name": "standard", "calendar": "office", "first_response": "3h", "resolution": "3d"}
    house = screens.storby(make_house, clock(), calendars=[OFFICE], sla=[sla])
    number = screens.collect(house, screens.mention(1, "När kommer ni?", clock()), at=clock())[0]
    reactions.react(house.database, clock())
    client = create_app(house, clock=clock).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    client.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    page = " ".join(text_of(client.get(f"/cases/{number}")).split())
    # The 23rd is a half-day and over; then Christmas, a weekend, a day off of our own, and two hours on the 29th.
    assert "within 3 hrs of opening time" in page
    assert "Due Wed 30 Dec 09:00." in page
    for told in (
        "half-day: closes early",
        "holiday: Juldagen",
        "closed on this weekday",
        "own exception: closed",
        "10:00–12:00 · own exception",
        "Policy standard",
        "opening hours of office",
    ):
        assert told in page, told
    assert "Reply due 30 Dec 09:00" in page
    clock.at = datetime(2026, 12, 30, 7, 30, tzinfo=UTC)
    client.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    assert "Reply due 09:00,\nin 30 mins" in text_of(client.get("/"))
    clock.at = datetime(2026, 12, 30, 10, 0, tzinfo=UTC)
    client.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    assert "2 hrs late" in text_of(client.get("/"))
    assert "2 hrs late: it was due 09:00" in text_of(client.get(f"/cases/{number}"))
    assert numbers(text_of(client.get("/?due=late"))) == [number]
    assert "Nothing matches the filter" in text_of(client.get("/?due=late&kind=praise"))


def test_the_inbox_is_filtered_by_what_was_judged(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    spam, hurry = screens.case_of(storby, "1004").id, screens.case_of(storby, "1003").id
    with storby.database.transaction() as db:
        cases.classify(db, spam, noise="spam", wants_answer=False, actor="t", at=clock())
        cases.classify(db, hurry, urgency="danger", language="nb", sentiment="negative", actor="t", at=clock())
        for number in {1, 2, 3, 4, 5} - {hurry}:
            cases.classify(db, number, urgency="none", language="sv", sentiment="neutral", actor="t", at=clock())
    page = text_of(anna.get("/"))
    assert spam in numbers(page), "noise is not shown"
    assert ">Spam</span>" in page
    assert "wants no answer" in page
    assert "Danger to people or property" in page
    assert numbers(text_of(anna.get("/?noise=any"))) == [spam]
    assert spam not in numbers(text_of(anna.get("/?noise=none")))
    assert numbers(text_of(anna.get("/?urgency=any"))) == [hurry]
    assert numbers(text_of(anna.get("/?urgency=danger&language=nb&sentiment=negative"))) == [hurry]
    assert numbers(text_of(anna.get("/?wants_answer=no&noise=spam"))) == [spam]
    assert numbers(text_of(anna.get("/?language=nonsense&story=x&due=never&team=%FF"))) == []
    for urgency, listed in (("danger", True), ("leak", False)):
        [row] = anna.get(f"/live/rows?case={hurry}&urgency={urgency}").get_json()["rows"]
        assert row["in"] is listed


def test_a_proposed_answer_is_offered_in_the_authors_language_and_overwrites_nothing(
    make_house: Callable[..., House], clock: FakeClock
) -> None:
    canned = {"name": "ploughing", "texts": {"en": "We plough.", "sv": "Vi plogar.", "nb": "Vi brøyter."}}
    house = screens.storby(make_house, clock(), canned_replies=[canned])
    screens.a_morning(house, clock())
    app = create_app(house, clock=clock)
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    client.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    number = screens.case_of(house, "1001").id
    assert "Proposed answer" not in text_of(client.get(f"/cases/{number}"))
    with house.database.transaction() as db:
        cases.propose_reply(db, number, name="ploughing", actor="rule:Snow", at=clock())
    for language, text in [("sv", "Vi plogar."), ("nn", "Vi brøyter."), ("da", "Vi brøyter."), ("fi", "Vi plogar.")]:
        with house.database.transaction() as db:
            cases.classify(db, number, language=language, actor="t", at=clock())
        page = text_of(client.get(f"/cases/{number}"))
        assert f'data-insert="{text}"' in page, language
    form = {"body": "Hej Eva!", "key": "k1", "version": hidden(page, "version")}
    taken = text_of(client.post(f"/cases/{number}/canned", data={**form, "canned": "ploughing"}))
    assert "Hej Eva!\n\nVi plogar.</textarea>" in taken
    with house.database.transaction() as db:
        cases.propose_reply(db, number, name="no longer there", actor="rule:Snow", at=clock())
    assert "Proposed answer" not in text_of(client.get(f"/cases/{number}"))


def test_what_somebody_should_know_stands_on_top_until_it_is_seen(
    anna: FlaskClient, browser: Browser, storby: House, clock: FakeClock
) -> None:
    mats = browser("mats@storby.example")
    assert "For you to know" not in text_of(mats.get("/"))
    number = screens.case_of(storby, "1001").id
    with storby.database.transaction() as db:
        me = db.scalars(select(User).where(User.email == "mats@storby.example")).one()
        cases.assign(db, number, assignee=me, actor="anna@storby.example", at=clock())
        team = Team(name="Gata")
        db.add(team)
        db.flush()
        waiting = {"team": "Gata", "waiting": 12}
        db.add(Notice(user_id=me.id, team_id=team.id, kind=dispatch.QUEUE_ALARM, detail=waiting, at=clock()))
        for _ in range(9):
            db.add(Notice(user_id=me.id, team_id=team.id, kind="notified", detail={"rule": "Snow"}, at=clock()))
    reactions.react(storby.database, clock())
    page = text_of(mats.get("/"))
    assert "The case was assigned to you: #1 @storby Plogen" in page
    shown = page.partition('class="notices"')[2].partition("</section>")[0]
    assert "Rule Snow wants you to see this" in shown
    assert shown.count("<li>") == 5, "a long list pushes the cases out of sight"
    assert int(re.findall(r'<span class="quiet">(\d+)</span>', shown)[0]) >= 11
    assert "For you to know" not in text_of(anna.get("/")), "a colleague's notices are shown"
    anna.post("/notices/seen", data={"until": hidden(shown, "until")})
    assert "For you to know" in text_of(mats.get("/")), "a colleague has seen it instead"
    mats.post("/notices/seen", data={"until": hidden(shown, "until")})
    assert "For you to know" not in text_of(mats.get("/"))


# -- the inbox ------------------------------------------------------------------------------------------------------


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="case-(\d+)"', page)]


def test_the_inbox_shows_what_is_to_be_done_newest_first(anna: FlaskClient, storby: House) -> None:
    page = text_of(anna.get("/"))
    with storby.database.read() as db:
        newest = list(db.scalars(select(Case.id).order_by(Case.last_activity_at.desc(), Case.id.desc())))
    assert numbers(page) == newest
    assert "glashalt utanför förskolan" in page, "the latest message is not shown"
    assert "Karin på kanten" in page
    assert 'aria-current="page"' in page


def test_a_channel_is_drawn_beside_its_name(anna: FlaskClient, storby: House) -> None:
    """Every channel names a drawing that there is; one nobody knows any more has the common one."""
    rows = text_of(anna.get("/"))
    for name in ("twitter", "blog"):
        assert f'data-sign="{labels.channel_sign(name)}">{labels.channel(name)}</span>' in rows
    styles = (STATIC / "gensvar.css").read_text()
    for sign in {channel.sign for channel in CHANNELS.values()} | {labels.channel_sign("gone")}:
        drawing = f"icons/signs/{sign}.svg"
        assert f'[data-sign="{sign}"]::before {{ mask-image: url("{drawing}"); }}' in styles
        assert (STATIC / drawing).is_file()


def test_filters_narrow_the_list(anna: FlaskClient, storby: House) -> None:
    blog = screens.case_of(storby, "https://medborgare.example/2026/11/sno").id
    first = screens.case_of(storby, "1001").id
    assert numbers(text_of(anna.get("/?channel=blog"))) == [blog]
    assert numbers(text_of(anna.get("/?source=citizen-blog"))) == [blog]
    anna.post(f"/cases/{first}/take")
    assert numbers(text_of(anna.get("/?assignee=me"))) == [first]
    assert first not in numbers(text_of(anna.get("/?assignee=none")))
    anna.post(f"/cases/{first}/status", data={"status": "resolved"})
    assert first not in numbers(text_of(anna.get("/")))
    assert numbers(text_of(anna.get("/?status=resolved"))) == [first]
    assert len(numbers(text_of(anna.get("/?status=all")))) == 5
    nothing = text_of(anna.get("/?channel=api"))
    assert "Nothing matches the filter" in nothing
    assert numbers(text_of(anna.get("/?status=%27--&channel=%00&assignee=x&source=%FF"))) == []


def test_a_long_list_comes_in_pages_that_do_not_overlap(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    at = clock() - timedelta(days=2)
    screens.collect(storby, *(screens.mention(100 + n, f"Fråga {n}", at) for n in range(120)), at=at)
    seen: list[int] = []
    path: str | None = "/"
    while path:
        page = text_of(anna.get(path))
        seen += numbers(page)
        more = re.search(r'rel="next" href="([^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == len(set(seen)) == 125
    assert anna.get("/?cursor=nonsense").status_code == 422


def test_the_number_of_queries_does_not_grow_with_the_list(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    anna.get("/")  # what is laid down is read once
    with statements(storby.database) as few:
        anna.get("/")
    at = clock() - timedelta(days=2)
    screens.collect(storby, *(screens.mention(100 + n, f"Fråga {n}", at) for n in range(45)), at=at)
    with statements(storby.database) as many:
        anna.get("/")
    assert len(many) == len(few) <= 35  # the views, filters and counts beside the list among them


def test_the_empty_inbox_says_why_it_is_empty(make_house: Callable[..., House], clock: FakeClock) -> None:
    house = make_house()
    screens.people(house.database, clock())
    client = create_app(house, clock=clock).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    client.post("/login", data={"email": "admin@storby.example", "password": screens.PASSWORD})
    page = text_of(client.get("/"))
    assert "Nothing is connected yet" in page
    assert "/admin/sources#add" in page


def test_all_done_is_said_when_everything_is(anna: FlaskClient, storby: House) -> None:
    for number in numbers(text_of(anna.get("/"))):
        anna.post(f"/cases/{number}/status", data={"status": "resolved"})
    assert "All done" in text_of(anna.get("/"))


def test_a_case_with_a_failed_answer_stands_on_top(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    blog = screens.case_of(storby, "1001").id
    answer(anna, blog)
    with storby.database.transaction() as db:
        db.execute(update(Reply).values(status=ReplyStatus.calling))
        answering.reply_failed(
            db, replies(storby)[0].id, reason="auth_expired", error="401", actor="outbox", at=clock()
        )
    page = text_of(anna.get("/"))
    assert numbers(page)[0] == blog
    assert "Answer not sent" in page
    thread = text_of(anna.get(f"/cases/{blog}"))
    assert "Nothing was published." in thread
    assert "Send again" in thread


def test_the_screens_say_when_nobody_collects(anna: FlaskClient, clock: FakeClock) -> None:
    assert "Nothing is being collected" not in re.sub(r'data-\w+="[^"]*"', "", text_of(anna.get("/")))
    clock.forward(seconds=16)
    assert "Nothing is being collected" in re.sub(r'data-\w+="[^"]*"', "", text_of(anna.get("/")))


# -- a case ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_held_and_can_be_withdrawn_into_the_composer(anna: FlaskClient, storby: House) -> None:
    number = screens.case_of(storby, "1003").id
    assert answer(anna, number, "Strömmen är tillbaka kl. 18.", then="resolve").status_code == 303
    reply = replies(storby)[0]
    page = text_of(anna.get(f"/cases/{number}"))
    assert reply.status == ReplyStatus.held
    assert "Undo" in page
    assert "Resolved" in page
    back = anna.post(f"/cases/{number}/replies/{reply.id}/cancel")
    again = text_of(anna.get(back.headers["Location"]))
    assert re.search(r"<textarea[^>]*>\s*Strömmen är tillbaka kl. 18.</textarea>", again), "the text is gone"
    assert screens.case_of(storby, "1003").status == "new"
    assert anna.post(f"/cases/{number}/replies/{reply.id}/cancel").status_code == 303, "a second click on undo fails"


def test_a_form_posted_twice_answers_once(anna: FlaskClient, storby: House) -> None:
    number = screens.case_of(storby, "1003").id
    page = text_of(anna.get(f"/cases/{number}"))
    form = {"key": hidden(page, "key"), "version": hidden(page, "version"), "body": "Ja.", "then": "keep"}
    assert [anna.post(f"/cases/{number}/reply", data=form).status_code for _ in range(2)] == [303, 303]
    assert len(replies(storby)) == 1


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("note", {"body": "Ring Gata"}),
        ("take", {}),
        ("status", {"status": "resolved"}),
        ("answered", {"to_mention": "1", "url": "https://x.com/storby/1"}),
        ("follow-up", {"until": "2027-01-04T08:00"}),
        ("details", {"tags": "Snö, Vägar", "was_tags": ""}),
        ("merge", {"into": "2"}),
        ("split", {"mention": "2"}),
    ],
)
def test_every_form_posted_twice_does_its_work_once(
    anna: FlaskClient, storby: House, path: str, form: dict[str, str]
) -> None:
    with storby.database.read() as db:
        before = db.scalar(select(func.count()).select_from(CaseEvent)) or 0
    codes = []
    counts = []
    for _ in range(2):
        codes.append(anna.post(f"/cases/1/{path}", data=form).status_code)
        with storby.database.read() as db:
            counts.append((db.scalar(select(func.count()).select_from(CaseEvent)) or 0) - before)
    assert codes == [303, 303]
    assert counts[0] >= 1, "nothing happened the first time"
    assert counts[0] == counts[1], "something happened the second time"


def test_an_answer_is_stopped_when_something_came_in_and_sent_when_meant(
    anna: FlaskClient, browser: Browser, storby: House, clock: FakeClock
) -> None:
    number = screens.case_of(storby, "1001").id
    page = text_of(anna.get(f"/cases/{number}"))
    browser("mats@storby.example").post(f"/cases/{number}/note", data={"body": "Jag ringer henne"})
    form = {"key": hidden(page, "key"), "version": hidden(page, "version"), "body": "Min långa text", "then": "keep"}
    stopped = anna.post(f"/cases/{number}/reply", data=form)
    told = text_of(stopped)
    assert stopped.status_code == 409
    assert replies(storby) == []
    assert re.search(r"<textarea[^>]*>\s*Min långa text</textarea>", told)
    assert "Send anyway" in told
    assert re.search(r'class="entry note"[^>]*data-fresh', told), "what came in is not marked"
    anyway = {**form, "version": hidden(told, "version"), "key": hidden(told, "key")}
    assert anna.post(f"/cases/{number}/reply", data=anyway).status_code == 303
    assert [reply.body for reply in replies(storby)] == ["Min långa text"]


def test_too_long_an_answer_is_refused_and_kept(anna: FlaskClient, storby: House) -> None:
    number = screens.case_of(storby, "1003").id
    counted = text_of(anna.post(f"/cases/{number}/count", data={"body": "ö" * 285}))
    assert "285 / 280" in counted
    assert "5 characters too many" in counted
    refused = answer(anna, number, "ö" * 285)
    assert refused.status_code == 422
    assert "ö" * 285 in text_of(refused)
    assert answer(anna, number, "   ").status_code == 422
    assert replies(storby) == []


def test_where_no_answer_can_go_it_says_why_and_takes_note_of_one_given_there(
    anna: FlaskClient, storby: House, clock: FakeClock
) -> None:
    case = screens.case_of(storby, "1005")
    page = text_of(anna.get(f"/cases/{case.id}"))
    assert "only lets us answer posts that mention us" in page
    assert "Open on x.com" in page
    assert 'id="body"' not in page
    form = {"to_mention": hidden(page, "to_mention"), "url": "javascript:alert(1)"}
    assert anna.post(f"/cases/{case.id}/answered", data=form).status_code == 422
    form["url"] = "https://x.com/storby/status/77"
    assert anna.post(f"/cases/{case.id}/answered", data=form).status_code == 303
    assert screens.case_of(storby, "1005").first_response_at == clock()
    assert "Answered there" in text_of(anna.get(f"/cases/{case.id}"))


def test_an_uncertain_answer_asks_a_person_and_takes_either_word(
    anna: FlaskClient, storby: House, clock: FakeClock
) -> None:
    number = screens.case_of(storby, "1003").id
    for word, outcome in (("again", ReplyStatus.queued), ("there", ReplyStatus.sent)):
        answer(anna, number, f"Svar {word}")
        reply = replies(storby)[-1]
        with storby.database.transaction() as db:
            db.execute(update(Reply).where(Reply.id == reply.id).values(status=ReplyStatus.calling))
            answering.reply_uncertain(db, reply.id, error="cut", lookup_at=None, actor="outbox", at=clock())
        page = text_of(anna.get(f"/cases/{number}"))
        assert "We do not know whether this was posted." in page
        assert "Look on x.com" in page
        for _ in range(2):
            assert anna.post(f"/cases/{number}/replies/{reply.id}/{word}").status_code == 303
        assert replies(storby)[-1].status == outcome


def test_an_action_says_whose_case_it_changes(anna: FlaskClient, browser: Browser, storby: House) -> None:
    told = 'title="Mats Øst has this case: it changes for them too"'
    mats = browser("mats@storby.example")
    assert told not in text_of(anna.get("/cases/1"))
    mats.post("/cases/1/take")
    page = text_of(anna.get("/cases/1"))
    for action in ("resolved", "next", "ignored", "take"):
        assert f'data-action="{action}" {told}' in page, f"{action} does not say whom it touches"
    assert "it changes for them too" not in text_of(mats.get("/cases/1")), "one's own case is no news"


def test_two_people_do_not_undo_each_others_details(anna: FlaskClient, browser: Browser, storby: House) -> None:
    mats = browser("mats@storby.example")
    with storby.database.read() as db:
        me = db.scalar(select(User.id).where(User.email == "mats@storby.example"))
    seen = {"was_assignee": "", "was_priority": "normal", "was_tags": ""}
    mats.post("/cases/1/details", data={**seen, "assignee": str(me), "priority": "normal", "tags": ""})
    anna.post("/cases/1/details", data={**seen, "assignee": "", "priority": "urgent", "tags": "snö"})
    case = screens.case_of(storby, "1001")
    assert (case.assignee_id, case.priority) == (me, "urgent")
    assert anna.post("/cases/1/details", data={"was_priority": "", "priority": "<b>"}).status_code == 422
    judged = {"was_kind": "problem", "kind": "idea", "was_sentiment": "negative", "sentiment": "negative"}
    mats.post("/cases/1/classify", data={"was_sentiment": "negative", "sentiment": "positive"})
    anna.post("/cases/1/classify", data=judged)
    case = screens.case_of(storby, "1001")
    assert (case.kind, case.sentiment) == ("idea", "positive")


def test_what_is_not_there_is_404(anna: FlaskClient, storby: House) -> None:
    answer(anna, 2)
    for path in ("/cases/999", "/cases/0", "/cases/99999999999999999999", "/cases/1/thread/x", "/media?u=x&s=y"):
        assert anna.get(path).status_code == 404, path
    assert anna.post("/cases/999/note", data={"body": "x"}).status_code == 404
    assert anna.post("/cases/1/replies/1/cancel").status_code == 404, "another case's answer was withdrawn"
    assert anna.post("/cases/1/status", data={"status": "gone"}).status_code == 400
    assert anna.post("/cases/1/status", data={"status": "closed"}).status_code == 409


# -- roles ----------------------------------------------------------------------------------------------------------


def test_administration_is_for_administrators(browser: Browser) -> None:
    paths = ["/admin", "/admin/sources", "/admin/sources/1", "/admin/accounts", "/admin/users"]
    for who in ("anna@storby.example", "mats@storby.example"):
        client = browser(who)
        assert [client.get(path).status_code for path in paths] == [403] * len(paths)
        assert client.post("/admin/users", data={"email": "x@y.z", "role": "admin"}).status_code == 403
        assert client.post("/admin/sources/1/pause").status_code == 403
        assert 'href="/admin"' not in text_of(client.get("/"))
    client = browser("admin@storby.example")
    assert [client.get(path).status_code for path in paths] == [200] * len(paths)


def test_a_colleague_gets_a_link_that_works_once(admin: FlaskClient, browser: Browser, clock: FakeClock) -> None:
    page = text_of(admin.post("/admin/users", data={"email": "Ny@storby.example", "name": "Ny", "role": "agent"}))
    link = re.search(r"http://127.0.0.1:8000(/welcome/[^\"]+)", page)
    assert link
    guest = browser(None)
    assert guest.get(link[1]).status_code == 200
    assert guest.post(link[1], data={"password": "kort"}).status_code == 422
    assert guest.post(link[1], data={"password": screens.PASSWORD}).status_code == 303
    assert guest.get("/").status_code == 200
    assert browser(None).get(link[1]).status_code == 404, "the link works twice"
    twice = admin.post("/admin/users", data={"email": "ny@storby.example", "name": "Ny", "role": "agent"})
    assert twice.status_code == 422


def test_an_administrator_does_not_lock_himself_out(admin: FlaskClient, storby: House) -> None:
    with storby.database.read() as db:
        me = db.scalar(select(User.id).where(User.email == "admin@storby.example"))
    for form in ({"do": "disable"}, {"do": "save", "role": "agent"}):
        assert admin.post(f"/admin/users/{me}", data=form).status_code == 422
    assert admin.get("/admin").status_code == 200


def test_sources_show_how_they_fare_and_can_be_paused(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    screens.collect(storby, at=clock(), aside=(SetAside("no date", {"id": "<script>alert(1)</script>"}, "77"),))
    with storby.database.transaction() as db:
        found = db.scalars(select(Source).where(Source.name == "citizen-blog")).one()
        found.error, found.error_reason, found.error_at = "HTTP 404", "gone", clock()
        aside = db.scalars(select(SetAsideItem)).one()
    page = text_of(admin.get("/admin/sources"))
    assert "No longer there" in page
    assert "1 set aside" in page
    detail = text_of(admin.get(f"/admin/sources/{aside.source_id}"))
    assert "no date" in detail
    assert "<script>alert" not in detail
    assert "&lt;script&gt;alert" in detail
    admin.post(f"/admin/sources/{found.id}/pause")
    assert "Paused" in text_of(admin.get("/admin/sources"))
    admin.post(f"/admin/sources/{found.id}/resume")
    assert "Paused" not in text_of(admin.get("/admin/sources"))


FEED = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Karin på kanten</title>
<link>{base}</link><item><title>Snö igen</title><link>{base}/1</link><guid>{base}/1</guid>
<pubDate>Mon, 23 Nov 2026 07:00:00 GMT</pubDate><description>Storby plogar inte</description></item>
<item><title>Kaffe</title><link>{base}/2</link><guid>{base}/2</guid>
<pubDate>Mon, 23 Nov 2026 06:00:00 GMT</pubDate><description>&lt;img src=x onerror=alert(1)&gt;</description></item>
</channel></rss>"""


@pytest.fixture
def blog() -> Iterator[str]:
    """A blog on loopback whose front page names its feed."""
    site = Flask("blog")

    @site.get("/")
    def front() -> str:
        return (
            '<html><head><link rel="alternate" type="application/rss+xml" href="/flode"></head><body>Hej</body></html>'
        )

    @site.get("/flode")
    def feed() -> Response:
        return Response(FEED.replace("{base}", request.host_url.rstrip("/")), content_type="application/rss+xml")

    with serving(site) as base:
        yield base


def test_a_blog_is_added_by_its_address_after_a_look_at_it(admin: FlaskClient, storby: House, blog: str) -> None:
    form = {"url": blog, "match": "stor* AND snö", "every": "15m"}
    seen = text_of(admin.post("/admin/sources/preview", data=form, headers={"HX-Request": "true"}))
    assert "Karin på kanten" in seen
    assert "Snö igen" in seen
    assert (seen.count("matches"), seen.count("left out")) == (1, 1)
    assert Dangers(seen).found == []
    wrong = text_of(admin.post("/admin/sources/preview", data={**form, "match": "snö AND ("}))
    assert "cannot be read here" in wrong
    add = {**form, "feed": hidden(seen, "feed"), "name": "karin"}
    assert admin.post("/admin/sources/add", data={**add, "every": "ofta"}).status_code == 422
    assert [admin.post("/admin/sources/add", data=add).status_code for _ in range(2)] == [303, 303]
    taken = admin.post("/admin/sources/add", data={**add, "feed": f"{blog}/annat"})
    assert taken.status_code == 422
    assert "There is a source of that name already" in text_of(taken)
    assert hidden(text_of(taken), "feed"), "the form is still there, to be given another name"
    with storby.database.read() as db:
        added = db.scalars(select(Source).where(Source.name == "karin")).all()
    assert [source.definition["match"] for source in added] == ["stor* AND snö"]
    number = added[0].id
    assert "Kaffe" in text_of(admin.post(f"/admin/sources/{number}/test"))
    admin.post(f"/admin/sources/{number}/collect")
    assert "Read: 1 new" in text_of(admin.get("/admin/sources"))


def test_an_address_without_a_feed_says_so(admin: FlaskClient) -> None:
    for url in ("", "http://127.0.0.1:9/", "ftp://x.example", "not an address"):
        page = admin.post("/admin/sources/preview", data={"url": url})
        assert page.status_code == 200, url
        assert 'role="alert"' in text_of(page), url


def test_accounts_show_no_secret(admin: FlaskClient) -> None:
    page = text_of(admin.get("/admin/accounts"))
    assert "storby-x" in page
    assert "50.00" in page
    for path in ("/admin", "/admin/accounts", "/admin/sources/1"):
        assert "bearer" not in text_of(admin.get(path)).lower()


# -- hostile text ---------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><script>alert(1)</script>',
    "'onmouseover='alert(1)",
    '<a href="javascript:alert(1)">klicka</a>',
    '<a href=" jAvAsCrIpT\t:alert(1)">x</a>',
    '<a href="data:text/html;base64,PHNjcmlwdD4=">x</a>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<form action=https://evil.example><button>Logga in</button></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    '<div style="background:url(https://evil.example/x)">x</div>',
    "{{ 7*7 }}{% raw %}${7*7}",
    "javascript:alert(1)//https://ok.example",
    "\u202e<b>bakvänt\u0000</b>",
]
FORBIDDEN = {"iframe", "object", "embed", "base", "svg", "math", "style", "noscript", "mglyph"}


class Dangers(HTMLParser):
    """Reads a page as a browser would, and collects what could run, load or lead astray."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            target = re.sub(r"[\s\x00]", "", value or "").lower()
            leads = name in {"href", "src", "action", "formaction", "srcdoc", "data"}
            if name.startswith("on") or name in {"style", "srcdoc", "http-equiv"}:
                self.found.append(f"<{tag} {name}>")
            elif (leads and target.startswith(("javascript:", "data:", "vbscript:"))) or (
                name in {"src", "action"} and not target.startswith("/")
            ):
                self.found.append(f"<{tag} {name}={value}>")
        if tag in FORBIDDEN or (tag == "script" and not dict(attrs).get("src")):
            self.found.append(f"<{tag}>")


@pytest.mark.slow
def test_hostile_text_is_harmless_on_every_screen(
    anna: FlaskClient, admin: FlaskClient, storby: House, clock: FakeClock
) -> None:
    for number, text in enumerate(HOSTILE):
        clean_text = text.replace("\u0000", "")
        author = AuthorData(f"h{number}", clean_text, clean_text, clean_text)
        data = screens.mention(
            200 + number, clean_text, clock(), author=author, title=clean_text, html=clean_text, url=clean_text
        )
        case = screens.collect(storby, data, at=clock())[0]
        anna.post(f"/cases/{case}/note", data={"body": clean_text})
        anna.post(f"/cases/{case}/details", data={"was_tags": "", "tags": clean_text[:50]})
        assert Dangers(text_of(anna.get(f"/cases/{case}"))).found == [], repr(text)
    for page in ("/", f"/live/rows?case={case}", '/?channel=<script>alert(1)</script>&status="><script>'):
        response = anna.get(page)
        html = "".join(row["html"] for row in response.get_json()["rows"]) if response.is_json else text_of(response)
        assert Dangers(html).found == [], page


@pytest.mark.parametrize("text", HOSTILE)
def test_the_sanitiser_lets_nothing_through(text: str) -> None:
    for out in (str(clean(text, lambda url: "/media?u=x")), str(link_text(text))):
        assert Dangers(out).found == [], out


def test_the_sanitiser_keeps_what_people_mean() -> None:
    html = (
        '<p>Se <a href="https://storby.example/x" target="_blank">här</a> <strong>nu</strong></p>'
        '<img src="https://b.example/a.jpg" alt="Snö" width=9>'
    )
    out = str(clean(html, lambda url: f"/media?u={url}"))
    assert '<a href="https://storby.example/x" rel="noopener nofollow ugc">här</a>' in out
    assert "<strong>nu</strong>" in out
    assert 'src="/media?u=https://b.example/a.jpg"' in out
    assert str(clean('<img src="/inside.png">', lambda url: "/media")) == '<img loading="lazy">'


def test_links_in_plain_text() -> None:
    out = str(link_text("Se storby.example/snö & https://exämple.se/a?b=1&c=2, ja."))
    assert '<a href="https://exämple.se/a?b=1&amp;c=2"' in out or 'href="https://xn--' in out
    assert out.endswith(", ja.")
    assert "snö &amp; " in out


# -- languages ------------------------------------------------------------------------------------------------------


def test_the_language_is_the_users_the_browsers_then_the_organisations(browser: Browser) -> None:
    client = browser("anna@storby.example")

    def spoken(header: str) -> str:
        found = re.search(r'<html lang="(\w+)"', text_of(client.get("/", headers={"Accept-Language": header})))
        assert found
        return found[1]

    assert spoken("da-DK, en;q=0.5") == "da"
    assert spoken("no") == "nb"
    assert spoken("fi, zh") == "sv", "the organisation's first"
    client.post("/me/screens", data={"language": "nn"})
    assert spoken("en") == "nn"


def texts_in_use() -> Iterator[tuple[str, ...]]:
    """Every text of the screens, as (one, many) or (text,)."""
    from babel.messages.extract import extract_from_dir

    import web

    folder = web.STATIC.parent
    keywords: Any = {"_": None, "gettext": None, "ngettext": (1, 2)}
    methods = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
    options = {"**/templates/**.html": {"trimmed": "false"}}
    for _file, _line, message, _comments, _context in extract_from_dir(folder, methods, options, keywords):
        yield message if isinstance(message, tuple) else (message,)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_text_is_translated(language: str) -> None:
    book = catalogue(language)
    missing = set()
    for message in texts_in_use():
        entry = book.get(message[0])
        string = entry.string if entry else ()
        forms = [string] if isinstance(string, str) else list(string or ())
        if len(forms) != len(message) or not all(forms) or (entry and entry.fuzzy):
            missing.add(message[0])
            continue
        for form in forms:
            wanted = {name for text in message for name in re.findall(r"%\((\w+)\)s|\{(\w+)\}", text)}
            assert set(re.findall(r"%\((\w+)\)s|\{(\w+)\}", form)) <= wanted, (
                f"{language}: {form!r} asks for something else"
            )
    assert not missing, f"{language} lacks {len(missing)}: {sorted(missing)[:5]}"


def test_every_code_the_house_uses_has_words(storby: House, clock: FakeClock) -> None:
    root = STATIC.parent.parent
    code = "\n".join(
        path.read_text() for room in ("collectors", "replies", "triage") for path in (root / room).glob("*.py")
    )
    reasons = set(re.findall(r'CannotReply\(\s*"(\w+)"|can_reply_reason="(\w+)"|return False, "(\w+)"', code))
    app = create_app(storby, clock=clock)
    with app.test_request_context("/"):
        unknown = labels.cannot_reply("no such code")
        wordless = {next(filter(None, found)) for found in reasons if labels.cannot_reply("".join(found)) == unknown}
        assert reasons
        assert not wordless
        recorded = re.findall(r'record\(\s*db, [\w.]+, "(\w+)"', code)
        written = re.findall(
            r'(?:\bwrite|_said|_not_sent)\(\s*db,\s*\w+(?:\(db, [\w.]+\))?,\s*(?:reply,\s*)?"(\w+)"', code
        )
        changed = re.findall(r'"(mention_\w+)"', (root / "triage" / "intake.py").read_text())
        assert {"classify", "absorb", "reply_sent"} <= set(written)
        assert changed
        actions = {*recorded, *written, *changed, *Action, targets.WARNING, targets.BREACHED}
        assert {action for action in actions if labels.action(action) == action.replace("_", " ")} == set()


def test_times_are_the_organisations(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    page = text_of(anna.get(f"/cases/{screens.case_of(storby, '1003').id}"))
    shown = (clock() - timedelta(minutes=12)).astimezone(UTC)
    assert f'datetime="{shown.isoformat()}"' in page
    assert "8:48" in page, "08:00 UTC less twelve minutes is 08:48 in Stockholm in winter"


def test_now_is_when_the_request_came(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    anna.post("/cases/1/note", data={"body": "Klockan"})
    with storby.database.read() as db:
        assert db.scalar(select(Note.created_at)) == clock()
        assert db.scalar(select(func.count()).select_from(Mention)) == 6
    assert datetime.now(UTC) != clock()


def test_the_browser_knows_as_we_do_what_in_an_address_is_no_filter() -> None:
    script = (STATIC / "js" / "core.js").read_text()
    listed = re.search(r"own: \[(.*?)\]", script)
    assert listed
    assert frozenset(re.findall(r'"(\w+)"', listed[1])) == panes.OWN
