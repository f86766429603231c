"""What the look-alikes have in common, and the page that shows them from the outside."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page

from sandbox.base import Fault, Faults, serving
from sandbox.facebook import Graph
from sandbox.outside import FAULTS, Column, Place, ago, create_app, threads
from sandbox.twitter import X


def columns(x: X, graph: Graph) -> list[Column]:
    return [
        Column("x", "X", "Write a post", "Name @storby.", (Place("x", "X", x),), FAULTS, limit=280),
        Column("facebook", "Facebook", "Write on the page", "", (Place("facebook", "The page", graph),), FAULTS),
    ]


@pytest.fixture
def networks() -> tuple[X, Graph]:
    return X(), Graph()


@pytest.fixture
def outside(networks: tuple[X, Graph]) -> Iterator[FlaskClient]:
    app = create_app(columns(*networks), organisation="Storby kommun", inbox="http://127.0.0.1:8000")
    with app.test_client() as client:
        yield client


def test_a_fault_lasts_as_often_as_asked() -> None:
    faults = Faults()
    faults.on(Fault.html_error, times=2)
    assert [faults.take(Fault.html_error) for _ in range(3)] == [True, True, False]
    faults.on(Fault.html_error)
    assert all(faults.take(Fault.html_error) for _ in range(5))
    faults.off(Fault.html_error)
    assert not faults.take(Fault.html_error) and not faults.active()


def test_serving_ends_with_its_block() -> None:
    app = Flask("bare")
    app.add_url_rule("/", view_func=lambda: "here")
    with serving(app) as url:
        assert url.startswith("http://127.0.0.1:")
        assert requests.get(url, timeout=30).text == "here"
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=30)


def test_a_hanging_request_does_not_hold_the_server_back() -> None:
    app, asked, release = Flask("slow"), threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> str:
        asked.set()
        return str(release.wait(20))

    app.add_url_rule("/", view_func=lambda: "here")
    with serving(app) as url:
        hanging = threading.Thread(target=lambda: requests.get(f"{url}/slow", timeout=20))
        hanging.start()
        assert asked.wait(30)
        assert requests.get(url, timeout=30).text == "here"
        release.set()
        hanging.join(30)
    assert not hanging.is_alive()


def test_every_fault_has_words() -> None:
    assert set(FAULTS) == set(Fault)


def test_a_thread_is_told_from_its_top_with_answers_below_what_they_answer(networks: tuple[X, Graph]) -> None:
    _, graph = networks
    start = datetime(2026, 1, 12, 8, tzinfo=UTC)
    top = graph.write_as_us("Nu snöar det.", at=start)
    first = graph.write("Anna", "Hos oss med", in_reply_to=top, at=start + timedelta(minutes=1))
    graph.write("Bo", "Inte här", in_reply_to=top, at=start + timedelta(minutes=2))
    graph.write_as_us("Vi kommer, Anna", in_reply_to=first, at=start + timedelta(minutes=3))
    (thread,) = threads(Place("facebook", "The page", graph))
    assert [(line.depth, line.post.text) for line in thread.lines] == [
        (0, "Nu snöar det."),
        (1, "Hos oss med"),
        (2, "Vi kommer, Anna"),
        (1, "Inte här"),
    ]
    assert thread.last == start + timedelta(minutes=3)


def test_one_writes_as_a_citizen_and_answers(outside: FlaskClient, networks: tuple[X, Graph]) -> None:
    x, _ = networks
    new = {"column": "x", "place": "x", "to": "", "name": "Malin", "text": "@storby när plogas Kvarngatan?"}
    assert outside.post("/write", data=new).status_code == 303
    (post,) = x.posts()
    assert (post.author, post.text, post.ours) == ("Malin", "@storby när plogas Kvarngatan?", False)
    x.write_as_us("I eftermiddag.", in_reply_to=post.external_id)
    answer = x.posts()[-1]
    again = new | {"to": answer.external_id, "text": "Tack!"}
    assert outside.post("/write", data=again).status_code == 303
    assert x.posts()[-1].in_reply_to == answer.external_id

    page = outside.get("/columns/x").text
    assert page.index("plogas Kvarngatan") < page.index("I eftermiddag.") < page.index("Tack!")
    ours = re.search(r'<li class="post[^"]* ours[^>]*>.*?</li>', page, re.S)
    assert ours and "Official answer" in ours.group() and "I eftermiddag." in ours.group()


def test_markup_in_a_text_stays_text(outside: FlaskClient, networks: tuple[X, Graph]) -> None:
    networks[0].write("<b>Bo</b>", "@storby <script>alert(1)</script>")
    page = outside.get("/")
    assert "<script>alert" not in page.text and "&lt;script&gt;alert(1)" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"(?:href|src|action)=\"https?://(?!127\.0\.0\.1)", page.text), "another host is named"
    assert not re.search(r"<(?:style|script(?! src))|\sstyle=|\son\w+=", page.text), "inline code"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"name": " "}, 422, "Write a name and a text."),
        ({"text": ""}, 422, "Write a name and a text."),
        ({"text": "snö " * 100}, 422, "takes 280 characters"),
        ({"to": "1234"}, 409, "no longer there"),
    ],
)
def test_what_cannot_be_written_is_refused_and_kept_in_the_form(
    outside: FlaskClient, networks: tuple[X, Graph], change: dict[str, str], status: int, words: str
) -> None:
    form = {"column": "x", "place": "x", "to": "", "name": "Malin", "text": "@storby hej"} | change
    answer = outside.post("/write", data=form)
    assert answer.status_code == status and words in answer.text
    assert not networks[0].posts()
    kept = form["text"].strip() or form["name"]
    assert kept in answer.text


def test_no_other_page_in_the_browser_may_write(outside: FlaskClient, networks: tuple[X, Graph]) -> None:
    form = {"column": "x", "place": "x", "name": "Malin", "text": "@storby hej"}
    assert outside.post("/write", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert not networks[0].posts()


def test_a_fault_is_switched_on_and_off(outside: FlaskClient, networks: tuple[X, Graph]) -> None:
    _, graph = networks
    switch = {"column": "facebook", "fault": "html_error"}
    assert outside.post("/faults", data=switch | {"on": "1"}).status_code == 303
    assert graph.faults.active() == {Fault.html_error}
    assert 'aria-pressed="true"' in outside.get("/").text
    assert outside.post("/faults", data=switch | {"on": "0"}).status_code == 303
    assert not graph.faults.active()
    assert outside.post("/faults", data=switch | {"fault": "earthquake", "on": "1"}).status_code == 404


def test_answering_works_without_javascript(outside: FlaskClient, networks: tuple[X, Graph]) -> None:
    id = networks[0].write("Malin", "@storby hej")
    page = outside.get(f"/?place=x&to={id}").text
    assert f'name="to" value="{id}"' in page


def test_ago_says_it_shortly() -> None:
    now = datetime(2026, 1, 12, 8, tzinfo=UTC)
    waits = [timedelta(seconds=20), timedelta(minutes=5), timedelta(hours=3), timedelta(days=2)]
    assert [ago(now - wait, now) for wait in waits] == ["now", "5 min", "3 h", "2 d"]


@pytest.fixture
def page(chromium: Browser, networks: tuple[X, Graph]) -> Iterator[Page]:
    """The outside in a browser; anything it complains about fails the test."""
    app = create_app(columns(*networks), organisation="Storby kommun", inbox="http://127.0.0.1:8000")
    complaints: list[str] = []
    with serving(app) as url:
        page = chromium.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(url)
        yield page
        page.close()
    assert complaints == []


@pytest.mark.browser
def test_what_is_being_typed_stays_while_new_posts_come_in(page: Page, networks: tuple[X, Graph]) -> None:
    x, _ = networks
    page.fill("#x [name=name]", "Malin")
    page.fill("#x [name=text]", "@storby när pl")
    first = x.write("Bo", "@storby hallå?")
    page.get_by_text("@storby hallå?").wait_for(timeout=30_000)
    page.keyboard.type("ogas Kvarngatan?")
    assert page.input_value("#x [name=text]") == "@storby när plogas Kvarngatan?"

    page.get_by_label("Answer Bo").click()
    page.fill("#x [name=text]", "samma här")
    x.write_as_us("Vi kommer.", in_reply_to=first)
    x.write("Eva", "@storby en annan sak")
    page.locator(".ours", has_text="Vi kommer.").get_by_text("Official answer").wait_for(timeout=30_000)
    page.get_by_text("@storby en annan sak").wait_for(timeout=30_000)
    assert page.input_value("#x [name=text]") == "samma här"
    assert page.evaluate("document.activeElement.name") == "text"
    page.get_by_role("button", name="Publish").first.click()
    page.locator(".thread", has_text="Vi kommer.").get_by_text("samma här").wait_for(timeout=30_000)
    assert x.posts()[-1].in_reply_to == first
    assert page.input_value("#x [name=text]") == "" and page.input_value("#x [name=name]") == "Malin"


@pytest.mark.browser
def test_faults_are_switched_with_the_keyboard(page: Page, networks: tuple[X, Graph]) -> None:
    _, graph = networks
    page.locator("#facebook summary").press("Enter")
    switch = page.locator("#facebook").get_by_role("button", name=FAULTS[Fault.html_error])
    switch.press("Enter")
    page.locator("#facebook .count", has_text="1 on").wait_for()
    assert graph.faults.active() == {Fault.html_error} and switch.get_attribute("aria-pressed") == "true"
    switch.press("Enter")
    page.locator("#facebook [aria-pressed=true]").wait_for(state="detached")
    assert not graph.faults.active()


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 640, 1280])
def test_nothing_sticks_out_at_any_width(page: Page, networks: tuple[X, Graph], width: int) -> None:
    id = networks[0].write("Malin", "@storby https://example.org/" + "ett-mycket-langt-ord" * 8)
    for _ in range(4):
        id = networks[0].write("Bo", "svar " * 30, in_reply_to=id)
    page.set_viewport_size({"width": width, "height": 800})
    page.reload()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
