"""What no address alone shows: forms sent wrong, everything unfolded, dialogs, other roles. axe finds nothing there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete, update

from models import LoginSession, Role, User
from settings import CannedReply
from tests import screens
from tests.conftest import Desk, Open
from tests.test_accessibility import ADMIN, LONG, WIDTHS, check, everything, visit
from triage import cases, policy

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ANNA = "anna@storby.example"
SEND = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action: path, hidden: true });
  for (const [name, value] of fields) form.append(Object.assign(document.createElement("input"), { name, value }));
  document.body.append(form);
  form.submit();
}"""
EMPTY = [
    "/admin/users", "/admin/absences", "/admin/sources/preview", "/admin/sources/add", "/me/password", "/views/own",
    *(f"/admin/{part}/new" for part in ("rules", "calendars", "sla", "categories", "canned-replies", "teams")),
]  # fmt: skip
UNFOLDED = ["/?tag=sn%C3%B6", "/cases/1", "/me", "/stories/1", "/people/1", "/admin/tags", "/admin/rules/new"]
MAIN = ["/", "/cases/1", "/search?q=sn%C3%B6", "/dashboard", "/stories/1", "/people/1", "/promises", "/drafts", "/me"]


def send(here: Desk, path: str, *fields: tuple[str, Any]) -> None:
    """As a browser without scripts would: the answer is the page."""
    with here.page.expect_navigation():
        here.page.evaluate(SEND, [path, [[name, str(value)] for name, value in fields]])


def none(found: list[str]) -> None:
    assert not found, "\n".join(found)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_door_the_welcome_and_the_first_run(empty_desk: Open, width: int) -> None:
    here = empty_desk(width, who=ADMIN)
    send(here, "/admin/users", ("name", "Bo Ek"), ("email", "bo@storby.example"), ("role", "agent"))
    found = check(here, "a one-time link")
    welcome = here.page.locator("[data-select]").input_value().partition("/welcome/")[2]
    here.page.context.clear_cookies()
    found += visit(here, [f"/welcome/{welcome}"])
    send(here, f"/welcome/{welcome}", ("password", "kort"))
    found += check(here, "a password that is too short")
    here.go("/login")
    send(here, "/login", ("email", ANNA), ("password", "fel"))
    found += check(here, "a wrong password")
    with here.house.database.transaction() as db:
        db.execute(delete(LoginSession))
        db.execute(delete(User))
    found += visit(here, ["/setup"])
    send(here, "/setup")
    none(found + check(here, "an empty first run"))


@pytest.mark.parametrize("width", WIDTHS)
def test_forms_sent_wrong_say_so_accessibly(desk: Open, width: int) -> None:
    here, now = desk(width, who=ADMIN), datetime.now(UTC)
    found = []
    for path in EMPTY:
        here.go("/me")
        send(here, path)
        found += check(here, f"{path} sent empty")
    here.go("/me")
    send(here, "/me/keyboard", ("shortcuts", 1), ("key-help", "x"), ("key-search", "x"))
    found += check(here, "one key for two things")
    number = screens.case_of(here.house, "1003").id
    here.go(f"/cases/{number}")
    here.page.locator("#body").fill("å" * 300)
    here.page.get_by_role("button", name="Send", exact=True).click()
    expect(here.page.locator("#composer [role=alert]")).to_be_visible()
    found += check(here, "an answer that is too long")
    here.page.locator("#body").fill("Kort")
    with here.house.database.transaction() as db:
        cases.classify(db, number, priority="high", actor="t", at=now)
        later = screens.mention(80, "Nu er det mørkt", now, in_reply_to="1003")
    screens.collect(here.house, later, at=now)
    here.page.get_by_role("button", name="Send", exact=True).click()
    expect(here.page.locator("#composer .meanwhile")).to_be_visible()
    found += check(here, "an answer that came too late")
    numbers = screens.collect(here.house, *(screens.mention(6000 + n, f"Fråga {n}", now) for n in range(28)), at=now)
    here.go("/")
    selected = [("case", each) for each in numbers]
    send(here, "/bulk", ("action", "merge"), ("value", "99999"), *selected)
    found += check(here, "many at once, asked first")
    here.page.get_by_role("button", name="Do it in").click()
    expect(here.page.get_by_role("heading", name="Left as they are")).to_be_visible()
    none(found + check(here, "many at once, some left as they are"))


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_unfolded_every_dialog_and_list(desk: Open, width: int) -> None:
    here, now = desk(width, who=ADMIN), datetime.now(UTC)
    everything(here.house, now)
    with here.house.database.transaction() as db:
        for name in ("bussar", "halka"):
            policy.put(db, "canned_replies", CannedReply(name=name, texts={"sv": LONG}), by=ADMIN, at=now)
    found, page = [], here.page
    for path in UNFOLDED:
        here.go(path)
        page.evaluate("document.querySelectorAll('details:not(.seldom)').forEach((each) => { each.open = true; })")
        found += check(here, f"{path}, everything unfolded")
    here.go("/cases/1")
    page.evaluate("""() => {
      document.querySelectorAll(".seldom").forEach((menu) => { menu.open = true; });
      document.querySelectorAll(".reading > *").forEach((covered) => { covered.hidden = true; }); // it lies over them
    }""")
    found += check(here, "the menu of what is seldom done")
    here.go("/")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    found += check(here, "the help")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    found += check(here, "the palette")
    page.keyboard.press("Escape")
    page.locator(".row .select").first.check()
    screens.collect(here.house, screens.mention(95, "Var är bussen?", now), at=now)
    expect(page.locator(".news:visible")).to_be_visible()
    found += check(here, "selected, and something new")
    here.go(f"/cases/{screens.case_of(here.house, '1003').id}")
    page.locator("#body").press_sequentially("/")
    expect(page.locator(".canned-list")).to_be_visible()
    found += check(here, "canned replies")
    page.keyboard.press("Escape")
    page.locator(".noting > summary").click()
    page.locator("#note").press_sequentially("@an")
    expect(page.locator("#named")).to_be_visible()
    found += check(here, "colleagues to be named")
    page.locator("#note").fill("Ring henne")
    page.get_by_role("button", name="Save the note").click()
    expect(page.locator("article.note")).to_be_visible()
    none(found + check(here, "a note was saved"))


@pytest.mark.parametrize("role", [Role.reader, Role.agent])
def test_the_main_screens_of_other_roles(desk: Open, role: Role) -> None:
    here = desk(who=ANNA)
    everything(here.house, datetime.now(UTC))
    with here.house.database.transaction() as db:
        db.execute(update(User).where(User.email == ANNA).values(role=role))
    none(visit(here, [*MAIN, "/admin/users"]))
