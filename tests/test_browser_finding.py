"""Finding, in a real browser: the field by its key, a hit marked, chips taken off, a view saved; narrow and wide."""

from __future__ import annotations

import pytest

from tests.conftest import Open

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [320, 1280])
def test_a_search_by_key_then_a_view_then_a_chip_off(desk: Open, width: int) -> None:
    opened = desk(width)
    page = opened.page
    opened.go("/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("förskol -is:flagged")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**")
    assert page.locator(".row mark").first.inner_text() == "förskolan"
    assert page.locator("#q").input_value() == "förskol -is:flagged"
    assert opened.sideways() <= 0, "the page runs out of its window"
    page.locator(".saving summary").click()
    page.get_by_label("Name of the view").fill("Preschools")
    page.get_by_role("button", name="Save for me").click()
    page.wait_for_load_state()
    assert (page.locator('#nav a[aria-current="page"]').text_content() or "").strip().startswith("Preschools")
    page.locator(".chip").first.click()
    page.wait_for_load_state()
    assert page.locator(".chip").count() == 0
    assert opened.complaints == []
