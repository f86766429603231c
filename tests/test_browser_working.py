"""Working with cases in a real browser: selecting several, undo, naming a colleague, putting off, the overview."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from models import Case, Note
from tests import screens
from tests.conftest import Desk, Open
from triage import cases

pytestmark = pytest.mark.browser


def column(here: Desk, name: str) -> list[object]:
    with here.house.database.read() as db:
        return list(db.scalars(select(getattr(Case, name)).where(Case.status == "new").order_by(Case.id)))


def test_several_are_selected_assigned_and_all_taken_back_by_keyboard(desk: Open) -> None:
    here = desk()
    page = here.page
    boxes, said = page.locator(".row .select"), page.locator("#said")
    boxes.nth(0).focus()
    page.keyboard.press("Space")
    boxes.nth(2).click(modifiers=["Shift"])
    expect(page.locator("#bulk-count")).to_have_text("3 cases selected")
    expect(page.locator("#status")).to_have_text("3 cases selected")
    page.locator("#bulk-panel > summary").focus()
    page.keyboard.press("Enter")
    page.locator("#bulk-assign").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("Assign to me: 3 cases.")
    expect(page.locator(".row .assignee", has_text="Anna")).to_have_count(3)
    said.get_by_role("button", name="Undo").press("Enter")
    expect(said).to_contain_text("Undone in 3 cases.")
    expect(page.locator(".row .assignee", has_text="Anna")).to_have_count(0)
    assert here.complaints == []


def test_all_in_the_view_asks_first_and_shows_how_far_it_is(desk: Open) -> None:
    here = desk()
    page, now = here.page, datetime.now(UTC)
    screens.collect(here.house, *(screens.mention(6000 + n, f"Fråga nummer {n}", now) for n in range(70)), at=now)
    here.go("/")
    page.locator("#bulk-panel > summary").click()
    page.get_by_label("All in this view").check()
    page.locator("#bulk-priority").select_option("high")
    page.get_by_role("button", name="Priority: Do it").click()
    expect(page.get_by_role("heading", name="Priority: High")).to_be_visible()
    sure = page.get_by_role("button", name="Do it in 75 cases")
    expect(sure).to_be_focused()
    assert "high" not in column(here, "priority"), "it was done before anybody said yes"
    sure.press("Enter")
    expect(page.locator("#said")).to_contain_text("Priority: High: 75 cases.")
    page.locator("#said").get_by_role("button", name="Undo").click()
    expect(page.locator("#said")).to_contain_text("Undone")
    assert "high" not in column(here, "priority")
    assert here.complaints == []


def test_a_selection_outlives_news_and_a_field_s_enter_does_what_stands_beside_it(desk: Open) -> None:
    here = desk()
    page = here.page
    number = page.locator(".row").first.get_attribute("id") or ""
    page.locator(f"#{number} .select").click()
    with here.house.database.transaction() as db:
        id = int(number.removeprefix("case-"))
        cases.classify(db, id, kind="idea", actor="bo@storby.example", at=datetime.now(UTC))
    expect(page.locator(f"#{number} .read")).to_contain_text("Idea")
    expect(page.locator(f"#{number} .select")).to_be_checked()
    page.locator("#bulk-panel > summary").click()
    page.locator("#bulk-tag").fill("snö")
    page.locator("#bulk-tag").press("Enter")
    expect(page.locator("#said")).to_contain_text("Add tags: snö")
    with here.house.database.read() as db:
        assert [tag.tag for tag in db.get_one(Case, id).tags] == ["snö"]


def test_a_colleague_is_named_while_typing_and_an_at_sign_stays_an_at_sign(desk: Open) -> None:
    here = desk()
    page, number = here.page, screens.case_of(here.house, "1004").id
    here.go(f"/cases/{number}")
    page.locator(".noting > summary").click()
    note = page.locator("#note")
    note.press_sequentially("mejla a@b.example, @")
    expect(page.locator("#named")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#named")).to_have_count(0)
    note.press_sequentially("ad")
    option = page.locator("#named li").first
    expect(option).to_contain_text("Ada Admin")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(note).to_have_value("mejla a@b.example, @Ada Admin ")
    note.press_sequentially("titta")
    page.get_by_role("button", name="Save the note").click()
    expect(page.locator("article.note").last).to_contain_text("@Ada Admin titta")
    with here.house.database.read() as db:
        assert db.scalars(select(Note.body)).one() == "mejla a@b.example, @Ada Admin titta"
    assert here.complaints == []


def test_a_case_is_put_off_tagged_and_linked_beside_it(desk: Open) -> None:
    here = desk()
    page = here.page
    number, other = (screens.case_of(here.house, id).id for id in ("1004", "1003"))
    here.go(f"/cases/{number}")
    page.locator("[data-action=tag]").fill("Bibliotek")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".tags")).to_contain_text("#bibliotek")
    page.locator("summary[data-action=link]").press("Enter")
    page.locator("#link-to").fill(str(other))
    page.locator("#link-to").press("Enter")
    expect(page.locator(".linked")).to_contain_text(f"#{other}")
    page.locator("summary[data-action=snooze]").press("Enter")
    page.get_by_role("button", name="The next working day").or_(
        page.get_by_role("button", name="When we open next")
    ).first.press("Enter")
    expect(page.locator("#said")).to_contain_text("Bring back")
    page.keyboard.press("z")
    expect(page.locator("#said")).to_contain_text("Undone.")
    with here.house.database.read() as db:
        assert db.get_one(Case, number).follow_up_at is None
    assert here.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_overview_bulk_and_work_fit(desk: Open, width: int, scheme: str) -> None:
    here = desk(width, scheme)
    here.go("/dashboard")
    expect(here.page.locator(".counts li")).to_have_count(8)
    assert here.sideways() <= 0
    here.go("/")
    here.page.locator("#bulk-panel > summary").click()
    assert here.sideways() <= 0
    box = here.page.locator(".row .select").first.bounding_box()
    assert box is not None and min(box["width"], box["height"]) >= 24
    assert here.complaints == []


def test_the_overview_changes_by_itself(desk: Open) -> None:
    here = desk()
    here.go("/dashboard")
    before = int(here.page.locator("#count-unassigned strong").inner_text())
    now = datetime.now(UTC)
    screens.collect(here.house, screens.mention(6500, "Fråga om sophämtning", now), at=now)
    expect(here.page.locator("#count-unassigned strong")).to_have_text(str(before + 1))
    here.page.locator("#count-unassigned a").click()
    expect(here.page.locator("#list-total")).to_have_text(str(before + 1))
