"""The workplace: panes and their addresses, the way back, densities, themes, small windows, what is unread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select, update

from models import Case, CaseStatus, Draft, LoginSession, Read, Source, User
from tests import screens
from tests.conftest import Desk, Open
from triage import cases
from web import preferences

pytestmark = pytest.mark.browser

TWITTER = "/?channel=twitter&status=all"


def case_in(here: Desk, external_id: str) -> int:
    return screens.case_of(here.house, external_id).id


def address(here: Desk) -> str:
    parts = urlsplit(here.page.url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def prefer(here: Desk, **values: object) -> None:
    with here.house.database.transaction() as db:
        preferences.change(db, db.scalars(select(User).where(User.email == "anna@storby.example")).one(), **values)


def open_row(page: Page, number: int) -> None:
    page.locator(f"#case-{number} a.what").click()
    expect(page.locator(f"#case[data-case='{number}']")).to_be_visible()


def test_a_click_opens_the_case_beside_its_list_and_the_history_leads_through_both(desk: Open) -> None:
    here = desk()
    page, first, second = here.page, case_in(here, "1003"), case_in(here, "1004")
    here.go(TWITTER)
    page.evaluate("window.same = 'page'")
    open_row(page, first)
    expect(page).to_have_url(f"{here.base}/cases/{first}?channel=twitter&status=all")
    expect(page).to_have_title(
        "@storby er strømmen snart tilbake i Fjellveien? Har to små hjemme og det… · Storby kommun"
    )
    expect(page.locator("#case-name")).to_be_focused()
    expect(page.locator(f"#case-{first}")).to_have_attribute("aria-current", "true")
    expect(page.locator("#list .row")).to_have_count(4)
    open_row(page, second)
    page.go_back()
    expect(page.locator(f"#case[data-case='{first}']")).to_be_visible()
    page.go_back()
    expect(page.locator("#case")).to_be_hidden()
    assert address(here) == TWITTER
    page.go_forward()
    expect(page.locator(f"#case[data-case='{first}']")).to_be_visible()
    page.locator("#back").click()
    expect(page.locator("#case")).to_be_hidden()
    expect(page.locator(f"#case-{first} a.what")).to_be_focused()
    assert address(here) == TWITTER
    assert page.evaluate("window.same") == "page", "the page was loaded anew"
    assert here.complaints == []


def test_the_address_of_a_case_is_a_whole_page_with_the_same_list(desk: Open) -> None:
    here = desk()
    number = case_in(here, "1003")
    here.go(f"/cases/{number}?channel=twitter&status=all")
    expect(here.page.locator("#list .row")).to_have_count(4)
    expect(here.page.locator("#nav")).to_be_visible()
    expect(here.page.locator("#about")).to_be_visible()
    assert here.page.locator("#back").get_attribute("href") == TWITTER


def test_everything_can_be_reached_without_javascript(desk: Open) -> None:
    here = desk(java_script_enabled=False)
    page, number = here.page, case_in(here, "1003")
    here.go(TWITTER)
    page.locator(f"#case-{number} a.what").click()
    assert address(here) == f"/cases/{number}?channel=twitter&status=all"
    page.get_by_role("button", name="Details").click()
    expect(page.locator("#about")).to_be_hidden()
    page.get_by_role("button", name="Assign to me").click()
    assert address(here) == f"/cases/{number}?channel=twitter&status=all", "the list is another one"
    expect(page.locator("#casehead")).to_contain_text("assigned to Anna Åberg")
    page.locator("#back").click()
    assert address(here) == TWITTER


def test_on_a_phone_one_pane_at_a_time_and_back_leads_where_one_was(desk: Open) -> None:
    here = desk(390)
    page, number = here.page, case_in(here, "1003")
    here.go(TWITTER)
    panes = page.locator("#nav, #list, #case, #about")
    expect(panes.filter(visible=True)).to_have_count(1)
    page.get_by_role("link", name="Views").click()
    expect(page.locator("#nav")).to_be_visible()
    expect(page.locator("#list")).to_be_hidden()
    page.go_back()
    expect(page.locator("#list")).to_be_visible()
    open_row(page, number)
    expect(page.locator("#list")).to_be_hidden()
    page.reload()
    expect(page.locator("#case")).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator("#list")).to_be_visible()
    assert address(here) == TWITTER
    assert here.sideways() <= 0 and here.complaints == []


@pytest.mark.parametrize(("density", "height"), [("compact", 32), ("normal", 44), ("roomy", 64)])
def test_rows_have_the_height_that_was_chosen_whatever_they_hold(desk: Open, density: str, height: int) -> None:
    here = desk()
    with here.house.database.transaction() as db:
        number = db.scalar(select(Case.id).limit(1)) or 0
        tags = ["vinterväghållning", "skola och förskola", "kollektivtrafik"]
        cases.classify(db, number, tags=tags, actor="t", at=datetime.now(UTC))
    here.go("/me")
    here.page.locator(f"input[name=density][value={density}]").check()
    here.page.locator("#screens button").click()
    here.go("/?status=all")
    heights = here.page.locator(".row").evaluate_all("rows => rows.map(row => Math.round(row.offsetHeight))")
    assert set(heights) == {height}
    text = here.page.locator(f"#case-{number}").inner_text()
    assert all(f"#{tag}" in text for tag in tags)


@pytest.mark.parametrize("chosen", ["light", "dark"])
def test_a_chosen_theme_holds_against_the_systems(desk: Open, chosen: str) -> None:
    here = desk(scheme="light" if chosen == "dark" else "dark")
    prefer(here, theme=chosen)
    here.go("/")
    background = here.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (chosen == "light")


def test_in_forced_colours_the_current_row_and_view_are_told_by_lines(desk: Open) -> None:
    here = desk(forced_colors="active")
    here.go(f"/cases/{case_in(here, '1003')}")
    edges = here.page.evaluate(
        "[getComputedStyle(document.querySelector('.row[data-open]')).borderInlineStartWidth,"
        " getComputedStyle(document.querySelector('#nav [aria-current]')).outlineWidth]"
    )
    assert all(float(edge.removesuffix("px")) >= 2 for edge in edges), edges


@pytest.mark.parametrize("size", [(320, 640), (320, 200), (900, 700), (1100, 700), (1920, 1000)])
def test_nothing_is_cut_off_or_wider_than_the_window(desk: Open, size: tuple[int, int]) -> None:
    # 320 x 200 is a window of 1280 x 800 at 400 %.
    here = desk(viewport={"width": size[0], "height": size[1]})
    for path in ("/", f"/cases/{case_in(here, '1001')}", "/me"):
        here.go(path)
        assert here.sideways() <= 0, f"{path} is wider than {size[0]} px"
    here.go(f"/cases/{case_in(here, '1001')}")
    here.page.locator("#about summary").last.scroll_into_view_if_needed()
    expect(here.page.locator("#about summary").last).to_be_in_viewport()
    here.page.get_by_role("button", name="Send", exact=True).scroll_into_view_if_needed()
    expect(here.page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport()


def test_larger_letters_of_the_reader_move_the_limits(desk: Open) -> None:
    here = desk()
    client = here.page.context.new_cdp_session(here.page)
    here.go(f"/cases/{case_in(here, '1001')}")
    wide = here.page.locator("#list, #case").filter(visible=True).count()
    client.send(
        "Emulation.setDeviceMetricsOverride", {"width": 320, "height": 200, "deviceScaleFactor": 4, "mobile": False}
    )
    assert (wide, here.page.locator("#list, #case").filter(visible=True).count()) == (2, 1)
    assert here.sideways() <= 0


def test_folded_panes_stay_folded_for_who_folded_them(desk: Open) -> None:
    here = desk()
    number = case_in(here, "1003")
    here.go(f"/cases/{number}")
    page = here.page
    details = page.get_by_role("button", name="Details")
    expect(details).to_have_attribute("aria-expanded", "true")
    details.click()
    expect(details).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#about")).to_be_hidden()
    with page.expect_response("**/me/panes"):
        page.get_by_role("button", name="Views").click()
    page.reload()
    expect(page.locator("#about")).to_be_hidden()
    expect(page.locator("#nav")).to_be_hidden()
    mats = desk(who="mats@storby.example")
    mats.go(f"/cases/{number}")
    expect(mats.page.locator("#about")).to_be_visible()
    page.get_by_role("button", name="Details").click()
    expect(page.locator("#about")).to_be_visible()


def test_what_nobody_has_read_is_said_in_words_until_it_is_opened(desk: Open) -> None:
    here = desk()
    page, number = here.page, case_in(here, "1003")
    here.go("/")
    row = page.locator(f"#case-{number}")
    expect(row).to_contain_text("Unread")
    open_row(page, number)
    expect(row).not_to_contain_text("Unread")
    here.go("/")
    expect(row).not_to_contain_text("Unread")
    later = screens.mention(80, "Nu er det mørkt igjen", datetime.now(UTC), in_reply_to="1003")
    screens.collect(here.house, later, at=datetime.now(UTC))
    here.go("/")
    expect(row).to_contain_text("Unread")
    mats = desk(who="mats@storby.example")
    expect(mats.page.locator(f"#case-{number}")).to_contain_text("Unread")
    open_row(page, number)
    expect(page.locator("#unseen")).to_have_text("New since you looked")


def test_drafts_of_mine_and_of_others_are_named_in_the_row(desk: Open) -> None:
    here = desk()
    number, at = case_in(here, "1003"), datetime.now(UTC)
    with here.house.database.transaction() as db:
        for email in ("anna@storby.example", "mats@storby.example"):
            who = db.scalars(select(User).where(User.email == email)).one()
            db.add(Draft(case_id=number, user_id=who.id, kind="reply", body="Hei", case_version=1, updated_at=at))
    here.go("/")
    expect(here.page.locator(f"#case-{number}")).to_contain_text("Your draft")
    expect(here.page.locator(f"#case-{number}")).to_contain_text("Draft: Mats Øst")


def test_done_and_next_opens_the_row_below_and_stands_on_it(desk: Open) -> None:
    here = desk()
    page = here.page
    here.go("/?channel=twitter")
    rows = page.locator(".row").evaluate_all("rows => rows.map(row => row.id)")
    open_row(page, int(rows[1].removeprefix("case-")))
    page.locator("#done-and-next").click()
    below = rows[2].removeprefix("case-")
    expect(page.locator(f"#case[data-case='{below}']")).to_be_visible()
    expect(page).to_have_url(f"{here.base}/cases/{below}?channel=twitter")
    expect(page.locator(f"#{rows[2]} a.what")).to_be_focused()
    with here.house.database.read() as db:
        assert db.get_one(Case, int(rows[1].removeprefix("case-"))).status == CaseStatus.resolved


def test_what_is_done_in_the_pane_leaves_the_list_where_it_is(desk: Open) -> None:
    here = desk(viewport={"width": 1280, "height": 620})
    page = here.page
    many = [screens.mention(200 + number, f"Nummer {number}", datetime.now(UTC)) for number in range(30)]
    screens.collect(here.house, *many, at=datetime.now(UTC))
    here.go("/")
    row = page.locator(".row").nth(20)
    row.scroll_into_view_if_needed()
    before = row.bounding_box()
    open_row(page, int((row.get_attribute("id") or "").removeprefix("case-")))
    after = row.bounding_box()
    assert before and after and abs(before["y"] - after["y"]) < 3, "the row moved from under the pointer"
    scrolled = page.evaluate("document.getElementById('list').scrollTop")
    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator("#casehead")).to_contain_text("assigned to Anna Åberg")
    assert abs(page.evaluate("document.getElementById('list').scrollTop") - scrolled) < 3


Change = Callable[[Desk], None]


def _nothing_collected(here: Desk) -> None:
    with here.house.database.transaction() as db:
        db.execute(update(Case).values(status=CaseStatus.ignored))


def _source_broken(here: Desk) -> None:
    with here.house.database.transaction() as db:
        db.execute(update(Source).where(Source.name == "citizen-blog").values(error="404", error_reason="gone"))


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        ("/", _nothing_collected, "All done"),
        ("/?channel=api", None, "Nothing matches the filter"),
        ("/?status=ignored", None, "No cases here"),
        ("/", _source_broken, "1 source cannot be read right now: citizen-blog."),
    ],
)
def test_an_empty_list_says_why(desk: Open, path: str, change: Change | None, words: str) -> None:
    here = desk()
    if change:
        change(here)
    here.go(path)
    expect(here.page.locator("#list")).to_contain_text(words)


def test_a_login_that_ends_is_told_of_and_the_text_is_there_after_the_next(desk: Open) -> None:
    here = desk()
    page, number = here.page, case_in(here, "1003")
    with here.house.database.transaction() as db:
        db.execute(update(LoginSession).values(created_at=datetime.now(UTC) - timedelta(hours=7, minutes=57)))
    page.clock.install()
    here.go(f"/cases/{number}")
    page.locator("#body").fill("Halvveis")
    page.clock.run_for(16000)
    expect(page.locator("#ending")).to_contain_text("Your login ends at")
    expect(page.locator("#reply-form .saved")).to_contain_text("Saved")
    page.get_by_role("button", name="Log in again").click()
    page.get_by_label("E-mail").fill("anna@storby.example")
    page.get_by_label("Password").fill(screens.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#body")).to_have_value("Halvveis")
    expect(page.locator("#ending")).to_be_hidden()


def test_the_first_page_travels_light(desk: Open) -> None:
    here = desk()
    weight: list[int] = []
    client = here.page.context.new_cdp_session(here.page)
    client.send("Network.enable")
    client.send("Network.setCacheDisabled", {"cacheDisabled": True})
    client.on("Network.loadingFinished", lambda told: weight.append(told["encodedDataLength"]))
    here.go(f"/cases/{case_in(here, '1001')}")
    expect(here.page.locator("#case")).to_be_visible()
    assert sum(weight) < 120_000


def test_a_case_that_is_gone_from_the_list_can_still_be_opened(desk: Open) -> None:
    here = desk()
    number = case_in(here, "1003")
    with here.house.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.resolved, actor="t", at=datetime.now(UTC))
        db.execute(delete(Read))
    here.go(f"/cases/{number}")
    expect(here.page.locator("#case")).to_be_visible()
    expect(here.page.locator(f"#case-{number}")).to_have_count(0)
