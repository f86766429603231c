"""Views, filters and search on the screens: saved, counted, combined, taken off one by one; never more queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from house import House
from models import AuditEntry, Case, CaseTag, Mention, View
from tests import screens
from tests.conftest import FakeClock
from tests.factories import statements

pytestmark = pytest.mark.screens

Open = Callable[..., FlaskClient]


def text_of(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.get_data(as_text=True)[:500]
    return unescape(answer.get_data(as_text=True))


def listed(page: str) -> set[int]:
    return {int(number) for number in re.findall(r'<li class="row[^>]*id="case-(\d+)"', page)}


def counts(page: str) -> dict[str, str]:
    found = re.findall(r'<a href="/[^>]*><span>([^<]*)</span>(?: <span class="count">([^<]*)</span>)?</a>', page)
    return dict(found)


@pytest.fixture
def anna(browser: Open) -> FlaskClient:
    return browser("anna@storby.example")


@pytest.fixture
def manager(browser: Open) -> FlaskClient:
    return browser("mats@storby.example")


def test_search_finds_inside_words_and_marks_the_hit(anna: FlaskClient, storby: House) -> None:
    page = text_of(anna.get("/search?q=förskol"))
    case = screens.case_of(storby, "1001")
    assert listed(page) == {case.id}
    assert "<mark>förskolan</mark>" in page
    opened = text_of(anna.get(f"/cases/{case.id}?q=förskol&status=all"))
    assert re.search(r'<div class="said".*<mark>förskolan</mark>', opened, re.DOTALL)


def test_search_without_words_is_one_field_with_what_may_be_written(anna: FlaskClient) -> None:
    page = text_of(anna.get("/search"))
    assert page.count('type="search"') == 1
    for each in ("status:", "assignee:", "before:", "has:", "-is"):
        assert each in page


def test_a_search_that_finds_nothing_says_so_and_keeps_the_words(anna: FlaskClient) -> None:
    page = text_of(anna.get("/search?q=xylofon"))
    assert listed(page) == set()
    assert 'value="xylofon"' in page
    assert "Nothing matches" in page


@pytest.mark.parametrize(("q", "rest"), [("snö (is", "(is"), ("status:nw snö", "nw snö"), ('is "väg', '"väg')])
def test_what_cannot_be_read_is_said_where_it_stands(anna: FlaskClient, q: str, rest: str) -> None:
    page = text_of(anna.get("/search", query_string={"q": q}))
    assert 'role="alert"' in page
    assert f"<mark>{rest}</mark>" in page
    assert 'aria-invalid="true"' in page


def test_filters_combine_and_are_taken_off_one_by_one(anna: FlaskClient, storby: House) -> None:
    with storby.database.transaction() as db:
        for case in db.scalars(select(Case)):
            case.priority, case.language = "high", "sv" if case.id % 2 else "nb"
        expected = {case.id for case in db.scalars(select(Case)) if case.id % 2 and case.status in ("new", "open")}
    page = text_of(anna.get("/?priority=high&language=sv&since=2026-01-01&is=unread"))
    assert listed(page) == expected
    chips = re.findall(r'<a class="chip" href="([^"]*)"', page)
    assert len(chips) == 4
    assert all(sum(name in chip for name in ("priority", "language", "since", "is=unread")) == 3 for chip in chips)


def test_what_we_answered_is_a_view_of_its_own_the_newest_first(anna: FlaskClient, storby: House) -> None:
    with storby.database.transaction() as db:
        for case in db.scalars(select(Case).limit(2)):
            case.reply_count = 1
    page = text_of(anna.get("/"))
    address = re.search(r'<a href="([^"]*)"><span>Sent</span></a>', page)
    assert address, "without a number: nothing there waits for anybody"
    shown = text_of(anna.get(address[1]))
    with storby.database.read() as db:
        order = select(Case.id).where(Case.reply_count > 0).order_by(Case.last_activity_at.desc(), Case.id.desc())
        answered = db.scalars(order).all()
    assert re.findall(r'<li class="row[^>]*id="case-(\d+)"', shown) == [str(number) for number in answered]
    assert 'aria-current="page"><span>Sent</span>' in shown


def test_a_view_is_saved_counted_renamed_moved_and_deleted(anna: FlaskClient, storby: House) -> None:
    more = "q=snö+OR+plog&status=all&sort=oldest&cursor=x&evil=1"
    for name, query in (("Snow", more), ("Norwegian", "language=nb")):
        assert anna.post("/views/own", data={"name": name, "query": query}).status_code == 303
    page = text_of(anna.get("/"))
    assert counts(page)["Norwegian"].isdigit()
    assert counts(page)["Snow"] == "", "no index counts words"
    with storby.database.read() as db:
        snow, norwegian = db.scalars(select(View).order_by(View.id)).all()
    assert snow.query == "q=sn%C3%B6+OR+plog&status=all&sort=oldest"
    assert 'aria-current="page"><span>Snow</span>' in text_of(anna.get(f"/?{snow.query}"))
    anna.post(f"/views/own/{norwegian.id}", data={"do": "up"})
    anna.post(f"/views/own/{snow.id}", data={"do": "rename", "name": "Winter"})
    assert list(counts(text_of(anna.get("/"))))[-2:] == ["Norwegian", "Winter"]
    anna.post(f"/views/own/{snow.id}", data={"do": "delete"})
    assert "Winter" not in counts(text_of(anna.get("/")))


def test_ones_own_views_are_ones_own_and_shared_ones_the_managers(
    anna: FlaskClient, manager: FlaskClient, storby: House
) -> None:
    anna.post("/views/own", data={"name": "Mine alone", "query": "kind=idea"})
    assert "Mine alone" not in text_of(manager.get("/"))
    assert anna.post("/views/shared", data={"name": "For us", "query": "kind=idea"}).status_code == 403
    manager.post("/views/shared", data={"name": "For us", "query": "kind=idea"})
    assert "For us" in text_of(anna.get("/"))
    with storby.database.read() as db:
        own, shared = db.scalars(select(View).order_by(View.id)).all()
        assert "view:For us" in db.scalars(select(AuditEntry.subject)).all()
    assert manager.post(f"/views/own/{own.id}", data={"do": "delete"}).status_code == 404
    assert anna.post(f"/views/shared/{shared.id}", data={"do": "delete"}).status_code == 403
    assert anna.post(f"/views/own/{shared.id}", data={"do": "delete"}).status_code == 404


def test_the_inbox_begins_with_the_view_somebody_chose(anna: FlaskClient, storby: House) -> None:
    anna.post("/views/own", data={"name": "Norwegian", "query": "language=nb"})
    with storby.database.read() as db:
        number = db.scalars(select(View.id)).one()
    anna.post("/views/own/start", data={"view": number})
    assert anna.get("/").headers["Location"].endswith("/?language=nb")
    assert 'aria-current="page"><span>To do</span>' in text_of(anna.get("/?status=new&status=open"))
    anna.post(f"/views/own/{number}", data={"do": "delete"})
    assert anna.get("/").status_code == 200


def test_a_view_that_can_no_longer_be_read_spoils_nothing(anna: FlaskClient) -> None:
    anna.post("/views/own", data={"name": "Broken", "query": "is=nonsense"})
    page = text_of(anna.get("/"))
    assert counts(page)["Broken"] == ""
    assert counts(page)["To do"].isdigit()
    assert 'role="alert"' in text_of(anna.get("/?is=nonsense"))


SCREENS = [
    "/", "/?status=all", "/?assignee=me&kind=problem&tag=x", "/?sort=urgent", "/search?q=förskolan", "/search?q=the",
    "/search?q=is:unread+plog", "/views",
]  # fmt: skip


@pytest.mark.parametrize("address", SCREENS)
def test_a_screen_asks_no_more_of_many_cases_than_of_few(
    anna: FlaskClient, storby: House, clock: FakeClock, address: str
) -> None:
    asked = []
    for numbers in (range(3), range(3, 200)):
        with storby.database.transaction() as db:
            some = db.scalars(select(Mention).where(Mention.external_id == "1001")).one()
            for number in numbers:
                times = dict.fromkeys(("opened_at", "seen_at", "last_activity_at"), clock() - timedelta(minutes=number))
                case = Case(channel=some.channel, subject=f"the {number}", status="open", kind="problem", **times)
                case.author_id, case.tags = some.author_id, [CaseTag(tag="x")]
                db.add(case)
                db.flush()
                mention = Mention(channel=some.channel, external_id=f"many-{number}", case_id=case.id)
                mention.text, mention.author_id = "the plog förskolan", some.author_id
                mention.published_at = mention.collected_at = clock()
                db.add(mention)
        anna.get(address)
        with statements(storby.database) as told:
            text_of(anna.get(address))
        asked.append(told)
    few, many = asked
    # A list that goes on is counted. A search reads its list a hundred cases at a time, then four hundred; its hits are
    # counted to two hundred.
    assert len(many) <= len(few) + 1 + 4 * ("q=" in address), "\n".join(sorted(set(many) - set(few)))
    assert len(many) <= 45
