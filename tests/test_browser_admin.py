"""The administration in a real browser: nothing wider than the window, accessible, first steps by keyboard alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

import audit
from models import Definition, User
from tests import screens
from tests.accessibility import violations
from tests.conftest import Desk, Open
from triage import cases, examples
from web.first_steps import INVENTED

pytestmark = pytest.mark.browser
ADMIN = "admin@storby.example"
SCREENS = (
    "/admin", "/admin/users", "/admin/users/2", "/admin/tags", "/admin/languages", "/admin/audit", "/setup/steps",
    "/admin/accounts", "/admin/sources",
)  # fmt: skip
PICTURES = os.environ.get("GENSVAR_PICTURES")  # a folder: what the screens look like is put there


def fill(here: Desk) -> None:
    """People with cases, tags, changes, examples."""
    now = datetime.now(UTC)
    with here.house.database.transaction() as db:
        for number in (1, 2, 3):
            cases.classify(
                db, number, tags=["halka", "vinterväghållning"][:number], actor="anna@storby.example", at=now
            )
        for number in range(60):
            audit.record(
                db,
                actor=ADMIN if number % 2 else audit.CLI,
                action="change",
                subject="rules:halka på gångvägar och cykelbanor",
                changes={"then.priority": ["normal", "urgent"], "if.match": [None, "halk* OR is"]},
                at=now - timedelta(hours=number),
            )
        examples.put(db, channel=INVENTED, languages=("sv",), at=now)


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_the_screens_fit_and_are_accessible(desk: Open, width: int, scheme: str) -> None:
    here = desk(width, scheme, ADMIN)
    wrong = []
    for state in ("empty", "full"):
        if state == "full":
            fill(here)
        for path in SCREENS:
            here.go(path)
            if here.sideways() > 0:
                wrong.append(f"{path} ({state}) is {here.sideways()} px too wide")
            wrong += [f"{path} ({state}): {each}" for each in violations(here.page)]
            if PICTURES:
                name = f"{path.strip('/').replace('/', '-')}-{state}-{width}-{scheme}.png"
                here.page.screenshot(path=Path(PICTURES) / name, full_page=True)
    assert wrong == []
    assert here.complaints == []


def test_what_was_wrong_is_said_and_what_was_typed_stays(desk: Open) -> None:
    here = desk(320, "light", ADMIN)
    here.go("/admin/users#add")
    here.page.get_by_label("Name", exact=True).fill("Anna igen")
    here.page.get_by_label("E-mail", exact=True).fill("anna@storby.example")
    here.page.locator("#add").get_by_role("button", name="Add", exact=True).click()
    expect(here.page.get_by_role("alert")).to_contain_text("There is a user with that e-mail address already")
    expect(here.page.get_by_label("Name", exact=True)).to_have_value("Anna igen")
    assert violations(here.page) == []
    here.go("/admin/languages")
    here.page.get_by_label("File (.po)").set_input_files(
        {"name": "x.po", "mimeType": "text/plain", "buffer": b'msgid "Inbox"\nmsgstr "%(n)s"\n'}
    )
    here.page.get_by_role("button", name="Import", exact=True).click()
    expect(here.page.get_by_role("alert")).to_contain_text("Nothing was taken over")
    assert violations(here.page) == []
    assert here.sideways() <= 0


def press_to(here: Desk, name: str, role: str) -> None:
    """Tab until the control of that name has the focus, then Enter."""
    wanted = here.page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    for _ in range(80):
        if wanted.evaluate("each => each === document.activeElement"):
            here.page.keyboard.press("Enter")
            return
        here.page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {name}")


def test_the_first_steps_are_taken_by_keyboard_alone(desk: Open) -> None:
    here = desk(1280, "light", ADMIN)
    here.go("/setup/steps")
    press_to(here, "They are right", "button")
    expect(here.page.locator("#step-organisation")).to_contain_text("Done")
    press_to(here, "Skip Opening hours", "button")
    expect(here.page.locator("#step-calendar")).to_contain_text("Skipped")
    press_to(here, "Take up again Opening hours", "button")
    expect(here.page.locator("#step-calendar")).to_contain_text("Open")
    press_to(here, "Add a calendar", "link")
    expect(here.page.get_by_role("heading", level=1)).to_have_text("New calendar")
    here.page.get_by_label("Name", exact=True).focus()
    here.page.keyboard.type("Kontoret")
    press_to(here, "Save", "button")
    expect(here.page.locator("#said")).to_contain_text("Kontoret is in force")
    with here.house.database.read() as db:
        assert db.scalars(select(Definition.name).where(Definition.part == "calendars")).all() == ["Kontoret"]
    here.go("/setup/steps")
    press_to(here, "Show me with invented examples", "button")
    expect(here.page.locator("#said")).to_contain_text("invented messages")  # the judges wake up
    expect(here.page.get_by_text("Gatlyktan utanför").first).to_be_visible()
    here.go("/setup/steps")
    press_to(here, "Remove the examples", "button")
    expect(here.page.locator("#said")).to_contain_text("The examples are gone")
    assert here.complaints == []


def test_somebody_leaves_and_the_cases_stay_with_a_colleague(desk: Open) -> None:
    here = desk(1280, "light", ADMIN)
    numbers = screens.a_morning(here.house, datetime.now(UTC))
    with here.house.database.transaction() as db:
        person = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        anna = person.id
        cases.assign(db, numbers[0], assignee=person, actor=ADMIN, at=datetime.now(UTC))
    here.go(f"/admin/users/{anna}")
    here.page.get_by_label("open case of theirs goes to").select_option(label="Mats Øst")
    here.page.get_by_role("button", name="Disable", exact=True).click()
    expect(here.page.locator("h1")).to_contain_text("Disabled")
    here.go("/admin/audit?kind=user")
    expect(here.page.locator("tbody tr").first).to_contain_text("handed over the cases of")
