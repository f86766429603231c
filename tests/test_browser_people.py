"""The page of a person and the choice of notifications in a real browser: by keyboard, narrow, wide, light, dark."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from models import Mention, User
from tests import accessibility, screens
from tests.conftest import Desk, Open
from triage import notices, people
from web import preferences

pytestmark = pytest.mark.browser

BLOG = "https://medborgare.example/2026/11/sno"


def author_of(here: Desk, external_id: str) -> int:
    with here.house.database.read() as db:
        found = db.scalar(select(Mention.author_id).where(Mention.external_id == external_id))
        assert found is not None
        return found


def test_from_a_case_to_the_person_and_back_joined_and_undone_by_keyboard(desk: Open) -> None:
    here = desk()
    page = here.page
    here.go(f"/cases/{screens.case_of(here.house, '1001').id}")
    page.locator("#thread").get_by_role("link", name="Citizen 1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Citizen 1")).to_be_visible()
    page.get_by_label("Also writes as").focus()
    page.keyboard.type("kanten")
    page.keyboard.press("Enter")
    join = page.get_by_role("button", name=re.compile("The same person.*Karin på kanten"))
    expect(join).to_be_visible()
    join.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Citizen 1 and Karin på kanten are one person now.")).to_be_visible()
    expect(page.get_by_role("link", name="Vintern kom visst som en överraskning i år också")).to_be_visible()
    page.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is as it was before.")).to_be_visible()
    expect(page.get_by_role("link", name="Vintern kom visst")).to_have_count(0)
    assert here.complaints == []


def test_a_note_stands_beside_the_case_until_it_is_removed(desk: Open) -> None:
    here = desk()
    page, one = here.page, author_of(here, "1003")
    here.go(f"/people/{one}")
    page.get_by_label("What colleagues should know").fill("Ring efter klockan 17")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.get_by_text("The note is kept.")).to_be_visible()
    here.go(f"/cases/{screens.case_of(here.house, '1003').id}")
    expect(page.locator("#about").get_by_text("Ring efter klockan 17")).to_be_visible()
    here.go(f"/people/{one}")
    page.locator("#notes summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove the note").click()
    expect(page.get_by_text("The note is removed.")).to_be_visible()
    expect(page.get_by_text("Ring efter klockan 17")).to_have_count(0)
    assert here.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_nothing_is_wider_than_the_window_and_axe_finds_nothing(desk: Open, width: int, scheme: str) -> None:
    here = desk(width, scheme)
    one, two = author_of(here, "1001"), author_of(here, BLOG)
    with here.house.database.transaction() as db:
        people.join(db, one, two, datetime.now(UTC))
        me = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        people.write_note(db, one, "Å" * 300, me, datetime.now(UTC))
    for path in (f"/people/{min(one, two)}", f"/people/{min(one, two)}?find=citizen", "/me/notifications"):
        here.go(path)
        assert here.sideways() <= 0, path
        assert accessibility.violations(here.page) == []
        small = here.page.evaluate(
            "[...document.querySelectorAll('main button, main select, main input:not([type=hidden])')]"
            ".filter(e => e.checkVisibility() && e.type != 'checkbox')"
            ".map(e => e.getBoundingClientRect()).filter(r => r.height < 24 || r.width < 24).length"
        )
        assert small == 0, f"{small} targets on {path} are too small to hit"
    assert here.complaints == []


def test_how_one_hears_of_things_is_chosen_without_a_mouse(desk: Open) -> None:
    here = desk()
    page = here.page
    here.go("/me/notifications")
    expect(page.get_by_text("Mail cannot be chosen")).to_be_visible()
    choice = page.get_by_label("A case is assigned to me", exact=True)
    expect(choice.locator("option[value=mail]")).to_be_disabled()
    choice.focus()
    page.keyboard.press("O")  # Off
    page.get_by_label("Browser: A follow-up is due").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(choice).to_have_value("off")
    with here.house.database.read() as db:
        me = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        assert notices.way(me.preferences, "take") == "off"
        assert notices.way(me.preferences, "reply_failed") == "mail", (
            "chosen by nobody, and kept while there is no server"
        )
        assert preferences.of(me).silent == {"follow_up_due"}
    assert here.complaints == []
