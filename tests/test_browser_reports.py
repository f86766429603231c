"""The reports in a real browser: the chart as a table by key, a bar that opens its cases, narrow and on paper."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests import accessibility
from tests.conftest import Desk, Open
from triage import reactions

pytestmark = pytest.mark.browser
MATS = "mats@storby.example"


def counted(here: Desk) -> None:
    """What has come in is measured."""
    reactions.react(here.house.database, datetime.now(UTC))


def test_to_the_reports_by_key_the_charts_as_tables_and_into_the_cases(desk: Open) -> None:
    here = desk(1280, who=MATS)
    counted(here)
    page = here.page
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/reports")
    table = page.locator("#received table")
    expect(table).to_be_hidden()
    page.keyboard.press("d")
    expect(table).to_be_visible()
    expect(page.locator("#received summary")).to_be_focused()
    page.keyboard.press("d")
    expect(table).to_be_hidden()
    page.keyboard.press("d")
    link = table.locator("tbody tr:last-child td:nth-child(2) a")
    received = link.inner_text()
    link.press("Enter")
    expect(page.locator("h1")).to_have_text(f"Received: {received}")
    assert page.locator("table.cases tbody tr").count() == int(received) > 0
    page.locator("table.cases tbody a").first.click()
    page.wait_for_url("**/cases/*")
    assert here.complaints == []


def test_a_bar_opens_its_cases_too(desk: Open) -> None:
    here = desk(1280, who=MATS)
    counted(here)
    here.go("/reports")
    here.page.locator("#received .hits a").last.click()
    expect(here.page.locator("h1")).to_contain_text("Received: ")
    assert here.complaints == [], "the policy lets everything be drawn"


def test_the_period_is_chosen_without_a_mouse_and_kept_in_other_reports(desk: Open) -> None:
    here = desk(1280, who=MATS)
    here.go("/reports")
    period = here.page.locator("[name=period]")
    period.select_option("this-year")
    here.page.get_by_role("button", name="Show", exact=True).press("Enter")
    here.page.wait_for_url("**period=this-year**")
    here.page.get_by_role("navigation", name="Reports").get_by_role("link", name="Volume").click()
    here.page.wait_for_url("**/reports/volume?period=this-year")
    expect(here.page.locator("[name=period]")).to_have_value("this-year")
    expect(here.page.locator(".period")).to_contain_text("1 Jan")


@pytest.mark.parametrize("width, colours", [(320, "none"), (1280, "active")], ids=["narrow", "forced colours"])
def test_charts_and_tables_keep_their_place_and_axe_finds_nothing(desk: Open, width: int, colours: str) -> None:
    here = desk(width, who=MATS, forced_colors=colours)
    counted(here)
    for path in ("/reports", "/reports/volume", "/reports/cases?measure=received"):
        here.go(path)
        here.page.keyboard.press("d")
        assert here.sideways() <= 0, path
        assert accessibility.violations(here.page) == [], path


def test_on_paper_it_is_the_report_alone(desk: Open) -> None:
    here = desk(1280, who=MATS)
    counted(here)
    here.go("/reports/volume")
    here.page.emulate_media(media="print")
    for left_out in (".top", ".tabs", "form.asked", ".downloads"):
        for each in here.page.locator(left_out).all():
            expect(each).to_be_hidden()
    expect(here.page.locator("h1")).to_have_text("Volume")
    expect(here.page.get_by_text("Definitions of the figures, version")).to_be_visible()
    shows = "(all) => all.map((each) => getComputedStyle(each).overflowX)"
    overflow = here.page.locator(".scroll").evaluate_all(shows)
    assert set(overflow) == {"visible"}, "tables are whole on paper"
