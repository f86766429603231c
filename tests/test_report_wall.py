"""The wall display: its numbers are those of their lists, it keeps itself up to date, and it says when it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from house import House
from tests import screens
from tests.conftest import FakeClock, Open
from tests.test_report_stories import answer, come

Browser = Callable[[str | None], FlaskClient]
ANNA = "anna@storby.example"


def numbers(client: FlaskClient) -> dict[str, str]:
    """What stands in each tile: the number and what is under it."""
    page = client.get("/reports/wall/numbers").get_data(as_text=True)
    tiles = re.findall(r'<li id="wall-(\w+)".*?<strong[^>]*>(.*?)</strong>(.*?)</li>', page, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", "", f"{big} {more}").split()) for name, big, more in tiles}


@pytest.mark.screens
@pytest.mark.one_database
def test_what_stands_on_it(storby: House, browser: Browser, clock: FakeClock) -> None:
    client = browser(ANNA)
    assert numbers(client)["median"] == "–"
    with storby.database.transaction() as db:
        come(db, "b", 30)
        answer(db, come(db, "a", 0), 10)
    clock.forward(minutes=50)
    shown = numbers(client)
    assert shown["new"] == "7" and shown["answers"] == "1"
    assert shown["median"] == "10 mins 10 mins in opening hours"
    assert shown["waiting"] == "6 the oldest for 1 day"
    assert (shown["late"], shown["promised"]) == ("0", "0")


@pytest.mark.screens
@pytest.mark.one_database
def test_each_number_leads_to_its_list_and_no_name_stands_there(browser: Browser) -> None:
    client = browser(ANNA)
    page = client.get("/reports/wall").get_data(as_text=True)
    tiles = page.partition('id="wall"')[2].partition("</ul>")[0]
    addresses = [each.replace("&amp;", "&") for each in re.findall(r'href="([^"]+)"', tiles)]
    assert len(addresses) >= 5
    for address in addresses:
        assert client.get(address).status_code == 200, address
    assert "Citizen" not in tiles and "Anna" not in tiles
    assert "every 60s" in page and "gensvar:news" in page


@pytest.mark.screens
@pytest.mark.one_database
def test_a_window_left_on_the_wall_stays_and_shows_nothing_else(browser: Browser, clock: FakeClock) -> None:
    client, other = browser(ANNA), browser("mats@storby.example")
    before = client.get_cookie("session")
    assert client.post("/wall").headers["Location"] == "/reports/wall"
    now = client.get_cookie("session")
    assert before and now and before.value != now.value, "who had the old cookie has nothing"
    assert now.max_age == 90 * 24 * 3600, "it outlives the browser"
    clock.forward(days=89)
    browser("admin@storby.example")  # a login elsewhere clears away those that are over
    page = client.get("/reports/wall")
    assert page.status_code == 200 and 'href="/cases' not in page.text and "Back to the reports" not in page.text
    assert "Anna" not in page.text, "who logged in there is nobody's business"
    assert "<a class=" not in client.get("/reports/wall/numbers").text, "where it leads to may not be seen"
    for path in (
        "/",
        "/cases/1",
        "/reports",
        "/me",
        "/live/rows?case=1",
        "/live?list=1&q=sn%C3%B6&after=0",
        "/live/stream?window=abcdefgh",
    ):
        refused = client.get(path)
        assert (refused.status_code, refused.headers["Location"]) == (302, "/reports/wall"), path
    assert client.post("/cases/1/take").status_code == 403
    assert other.get("/").status_code == 302, "any other login has ended by then"
    clock.forward(days=2)
    assert client.get("/reports/wall").headers["Location"] == "/login?next=/reports/wall"


@pytest.mark.screens
@pytest.mark.one_database
def test_a_window_left_on_the_wall_is_written_down_and_can_be_logged_out(browser: Browser) -> None:
    client = browser(ANNA)
    client.post("/wall")
    audit = browser("admin@storby.example").get("/admin/audit").text
    assert "left a window on the wall, logged in as" in audit
    client.post("/logout")
    assert client.get("/reports/wall").status_code == 302


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 320])
def test_it_changes_by_itself_and_says_when_it_cannot(desk: Open, width: int) -> None:
    here = desk(width)
    here.go("/reports/wall")
    new = here.page.locator("#wall-new strong")
    before = int(new.inner_text())
    at = datetime.now(UTC)
    screens.collect(here.house, screens.mention(70, "Vattnet är brunt", at), at=at)
    here.page.locator("#wall-new strong", has_text=str(before + 1)).wait_for()
    assert not here.page.locator(".top").is_visible(), "who is logged in is nobody's business on a wall"
    assert here.sideways() <= 0
    here.page.get_by_role("link", name="Back to the reports").focus()
    here.page.keyboard.press("Tab")
    here.page.keyboard.press("Tab")
    assert here.page.evaluate("document.activeElement.id").startswith("to-"), "the keyboard goes on to the numbers"
    here.page.context.set_offline(True)
    here.page.locator("#trouble", has_text="Not connected").wait_for()
    assert not [each for each in here.complaints if "ERR_INTERNET_DISCONNECTED" not in each]


@pytest.mark.browser
def test_left_on_the_wall_it_goes_on_changing_by_itself(desk: Open) -> None:
    here = desk(1280)
    here.go("/reports/wall")
    before = int(here.page.locator("#wall-new strong").inner_text())
    here.page.get_by_role("button", name="Leave this browser on the wall").click()
    here.page.get_by_role("button", name="Log out").wait_for()
    at = datetime.now(UTC)
    screens.collect(here.house, screens.mention(70, "Vattnet är brunt", at), at=at)
    here.page.locator("#wall-new strong", has_text=str(before + 1)).wait_for()
    assert here.complaints == []
    here.page.context.set_offline(True)
    here.page.locator("#trouble", has_text="Not connected since").wait_for()
    here.page.context.set_offline(False)
    here.page.locator("#trouble", has_text="Not connected since").wait_for(state="hidden")
