"""A watch query tried on what is already collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from collectors.base import AuthorData
from house import House
from tests import screens
from tests.conftest import FakeClock
from tests.factories import MORNING, ours, said, take
from triage import watch
from web import preview

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

Browser = Callable[[str], FlaskClient]


@pytest.fixture
def storby(make_house: Callable[..., House], clock: FakeClock, quick_passwords: None) -> House:
    """Twelve times Swedish, once Danish, and an answer of ours."""
    house = screens.storby(make_house, clock())
    known = AuthorData("n", "Nils Berg", handle="nils", followers=5000)
    danish = said("nils", text="x " * 200 + "Vejen er ikke ryddet, og der er <b>glat</b>", title="Glat på vejen")
    swedish = [
        said(f"m{number}", text=f"Gatan är inte plogad och det är halt. Nummer {number}") for number in range(12)
    ]
    with house.database.transaction() as db:
        take(db, *swedish, ours("us", text="Vi plogar gatan"), replace(danish, author=known), at=MORNING)
    return house


def asked(client: FlaskClient, **query: str) -> str:
    answer = client.get("/admin/preview", query_string=query, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


def test_it_says_how_many_would_have_been_found_and_marks_the_first_ten(browser: Browser) -> None:
    page = asked(browser("mats@storby.example"), match="lang:sv ~plogat")
    assert "Would have found 12 of the last 13 mentions" in page, "ours are not among them"
    assert page.count("<mark>plogad</mark>") == page.count("<li>") == 10
    assert "The latest 10 are shown." in page
    assert "<html" not in page


def test_a_mark_far_into_a_text_is_shown_and_nothing_remote_is_trusted(browser: Browser) -> None:
    page = asked(browser("mats@storby.example"), match="author:berg followers>1000 glat vejen")
    assert "<strong><mark>Glat</mark> på <mark>vejen</mark></strong>" in page
    assert "…" in page and "<mark>Vejen</mark> er ikke ryddet" in page
    assert "&lt;b&gt;<mark>glat</mark>" in page


def test_an_unfinished_query_points_at_the_place(browser: Browser) -> None:
    page = asked(browser("mats@storby.example"), match="gatan AND (is")
    assert "This ( has no closing )." in page
    assert "gatan AND (is\n          ^</pre>" in page
    swedish = browser("mats@storby.example")
    swedish.environ_base["HTTP_ACCEPT_LANGUAGE"] = "sv"
    assert "Det här ( saknar" in asked(swedish, match="gatan AND (is")


def test_without_javascript_it_is_a_page_with_a_form(browser: Browser) -> None:
    page = str(browser("admin@storby.example").get("/admin/preview?if.match=~plogat&name=x").get_data(as_text=True))
    assert 'name="match" value="~plogat"' in page and "Would have found 12 " in page
    sources = str(browser("admin@storby.example").get("/admin/sources").get_data(as_text=True))
    assert 'formaction="/admin/preview" formmethod="get"' in sources


def test_nothing_asked_nothing_said_and_agents_may_not(browser: Browser) -> None:
    assert asked(browser("mats@storby.example"), match="  ").strip() == ""
    assert browser("anna@storby.example").get("/admin/preview?match=is").status_code == 403


def test_its_cost_is_bounded(storby: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "LOOKED", 5)
    statements: list[str] = []
    event.listen(storby.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with storby.database.read() as db:
        tried = preview.attempt(db, "gatan OR vejen")
        assert (tried.looked, tried.found) == (4, 4), "one of the last five is ours"
        monkeypatch.setattr(preview, "READ", 60)
        assert preview.attempt(db, "gatan").looked < 4
    assert len([each for each in statements if each.startswith("SELECT")]) == 2


def test_marks_stand_where_they_are_cut() -> None:
    text = "ett " * 100 + "SNÖ två " + "tre " * 100
    pieces = preview.marked(watch.parse("snö två*"), text, "sv")
    assert [piece for piece, wanted in pieces if wanted] == ["SNÖ", "två"]
    assert "".join(piece for piece, _ in pieces).strip("…") in text
    assert preview.marked(watch.parse("NOT snö"), "utan", None) == [("utan", False)]
