"""Two people with Gensvar open: what each sees of the other and of what comes in, and what happens to the line."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from models import Presence, User
from tests import screens
from tests.conftest import Desk
from triage import cases, notices
from web import hub, live

pytestmark = pytest.mark.browser

Open = Callable[..., Desk]
MATS = "mats@storby.example"
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of these tests learns that a browser has gone when it says something."""
    monkeypatch.setattr(hub, "PACE", 0.1)
    monkeypatch.setattr(live, "HEARTBEAT", 1.0)


def come_in(here: Desk, number: int, text: str, **more: Any) -> int:
    at = datetime.now(UTC)
    return screens.collect(here.house, screens.mention(number, text, at, **more), at=at)[0]


def row(here: Desk, number: int) -> Any:
    return here.page.locator(f"#case-{number}")


def test_a_colleague_is_seen_reading_then_writing_then_no_more(desk: Open) -> None:
    anna, mats = desk(), desk(who=MATS)
    number = screens.case_of(anna.house, "1003").id
    anna.go(f"/cases/{number}")
    expect(row(mats, number).locator(".there")).to_have_text("Anna Åberg is reading")
    mats.go(f"/cases/{number}")
    expect(anna.page.locator("#casehead .there")).to_have_text("Mats Øst is reading")
    mats.page.locator("#body").press_sequentially("Strømmen")
    expect(anna.page.locator("#casehead .there")).to_have_text("Mats Øst is writing")
    expect(row(anna, number).locator(".there")).to_have_text("Mats Øst is writing")
    expect(mats.page.locator("#casehead .there")).to_have_text("Anna Åberg is reading")
    mats.page.context.close()
    expect(anna.page.locator("#casehead .there")).to_have_text("")
    assert anna.complaints == []


def test_another_case_in_the_pane_is_told_and_the_old_one_is_free(desk: Open) -> None:
    anna, mats = desk(), desk(who=MATS)
    one, two = (screens.case_of(anna.house, external_id).id for external_id in ("1003", "1004"))
    row(anna, one).locator("a.what").click()
    expect(row(mats, one).locator(".there")).to_have_text("Anna Åberg is reading")
    row(anna, two).locator("a.what").click()
    expect(row(mats, two).locator(".there")).to_have_text("Anna Åberg is reading")
    expect(row(mats, one).locator(".there")).to_have_text("")


def test_an_answer_to_a_case_that_changed_is_stopped_and_both_texts_are_kept(desk: Open) -> None:
    anna, mats = desk(), desk(who=MATS)
    number = screens.case_of(anna.house, "1003").id
    for each, text in ((anna, "Annas svar"), (mats, "Mats svar")):
        each.go(f"/cases/{number}")
        each.page.locator("#body").fill(text)
    mats.page.get_by_role("button", name="Send", exact=True).click()
    expect(mats.page.get_by_text("Goes out in")).to_be_visible()
    expect(anna.page.locator("#case button.news")).to_be_visible()
    expect(anna.page.locator("#body")).to_have_value("Annas svar")
    anna.page.get_by_role("button", name="Send", exact=True).click()
    expect(anna.page.get_by_text("something has come in since you began")).to_be_visible()
    expect(anna.page.locator("#body")).to_have_value("Annas svar")
    expect(anna.page.locator("#thread")).to_contain_text("Mats svar")


def test_new_cases_wait_behind_a_button_and_rows_change_where_they_stand(desk: Open) -> None:
    anna = desk()
    before = anna.page.locator(".row").all_inner_texts()
    number = come_in(anna, 50, "Var är bussen?")
    news = anna.page.locator("#list button.news")
    expect(news).to_have_text("1 new case")
    expect(anna.page.locator("#status")).to_have_text("1 new case")
    assert len(anna.page.locator(".row").all()) == len(before), "the list has moved under the hand"
    expect(anna.page.locator('#nav a[href="/"] .count')).to_have_text("6")
    known = screens.case_of(anna.house, "1004").id
    place = anna.page.locator(".row").nth(2).get_attribute("id")
    come_in(anna, 51, "Takk igjen, og hils!", in_reply_to="1004")
    expect(row(anna, known)).to_contain_text("2 messages")
    assert anna.page.locator(".row").nth(2).get_attribute("id") == place
    news.click()
    expect(row(anna, number).locator("a.what")).to_be_focused()
    expect(news).to_be_hidden()
    expect(anna.page.locator("#list-total")).to_have_text("6")
    assert anna.complaints == []


def test_the_list_stands_still_while_it_is_paused_also_after_a_reload(desk: Open) -> None:
    anna = desk()
    anna.page.get_by_role("switch", name="Updates by itself").uncheck()
    expect(anna.page.locator("#status")).to_have_text("The list stands still until you switch it on again.")
    anna.page.reload()
    switch = anna.page.get_by_role("switch", name="Updates by itself")
    expect(switch).not_to_be_checked()
    known = screens.case_of(anna.house, "1004").id
    come_in(anna, 50, "Var är bussen?")
    come_in(anna, 51, "Takk igjen!", in_reply_to="1004")
    anna.page.wait_for_timeout(2500)
    expect(anna.page.locator("#list button.news")).to_be_hidden()
    expect(row(anna, known)).not_to_contain_text("2 messages")
    expect(anna.page.locator('#nav a[href="/"] .count')).to_have_text("5")
    switch.check()
    expect(anna.page.locator("#list button.news")).to_have_text("1 new case")
    expect(row(anna, known)).to_contain_text("2 messages")
    expect(anna.page.locator('#nav a[href="/"] .count')).to_have_text("6")


def test_a_lost_line_is_told_and_what_was_missed_comes_when_it_is_back(desk: Open) -> None:
    anna = desk()
    anna.page.context.set_offline(True)
    expect(anna.page.locator("#trouble")).to_contain_text("Not connected since")
    come_in(anna, 50, "Var är bussen?")
    anna.page.context.set_offline(False)
    expect(anna.page.locator("#trouble")).to_be_hidden()
    expect(anna.page.locator("#list button.news")).to_have_text("1 new case")


def test_a_window_nobody_looks_at_is_nowhere_and_up_to_date_when_it_is_looked_at_again(desk: Open) -> None:
    anna, mats = desk(), desk(who=MATS)
    number = screens.case_of(anna.house, "1003").id
    anna.go(f"/cases/{number}")
    expect(row(mats, number).locator(".there")).to_have_text("Anna Åberg is reading")
    asked: list[str] = []
    anna.page.evaluate(HIDE, True)
    expect(row(mats, number).locator(".there")).to_have_text("")
    anna.page.on("request", lambda request: asked.append(request.url))
    come_in(anna, 50, "Var är bussen?")
    anna.page.wait_for_timeout(2500)
    assert asked == [], "a hidden window asks rarely"
    anna.page.evaluate(HIDE, False)
    expect(anna.page.locator("#list button.news")).to_have_text("1 new case")
    expect(row(mats, number).locator(".there")).to_have_text("Anna Åberg is reading")


def test_without_a_stream_the_window_asks(desk: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "STREAMS", 0)
    anna, mats = desk(), desk(who=MATS)
    number = screens.case_of(anna.house, "1003").id
    anna.go(f"/cases/{number}")
    expect(row(mats, number).locator(".there")).to_have_text("Anna Åberg is reading")
    come_in(anna, 50, "Var är bussen?")
    expect(anna.page.locator("#list button.news")).to_have_text("1 new case")
    expect(anna.page.locator("#trouble")).to_be_hidden()


def test_what_one_should_know_arrives_and_stands_in_the_title(desk: Open) -> None:
    anna = desk()
    number, at = screens.case_of(anna.house, "1003").id, datetime.now(UTC)
    with anna.house.database.transaction() as db:
        who = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        found = cases.assign(db, number, assignee=who, actor=MATS, at=at)
        notices.tell(db, who, "take", at, event=found)
    expect(anna.page.locator("#notices")).to_contain_text("The case was assigned to you")
    expect(anna.page).to_have_title(re.compile(r"^\(1\) "))
    anna.page.locator("#notices").get_by_role("button", name="Seen").click()
    expect(anna.page).to_have_title(re.compile(r"^[^(]"))


ASKED = """
  window.asked = 0;
  window.answer = "default";
  Object.defineProperty(Notification, "permission", { get: () => answer });
  Notification.requestPermission = async () => { asked += 1; answer = "granted"; return answer; };
"""


def test_the_browser_is_asked_for_notices_only_by_a_button(desk: Open) -> None:
    anna = desk()
    anna.page.add_init_script(ASKED)
    anna.go("/me/notifications")
    state = anna.page.locator("#browser-notices .state")
    expect(state).to_have_text("Off in this browser.")
    assert anna.page.evaluate("asked") == 0
    anna.page.get_by_role("button", name="Show notices in this browser").click()
    expect(state).to_contain_text("This browser shows a notice")
    assert anna.page.evaluate("asked") == 1
    anna.page.get_by_role("button", name="Show no more notices in this browser").click()
    expect(state).to_have_text("Off in this browser.")


def test_the_table_is_empty_when_all_have_gone(desk: Open) -> None:
    anna = desk()
    anna.go(f"/cases/{screens.case_of(anna.house, '1003').id}")

    def rows() -> int:
        with anna.house.database.read() as db:
            return len(db.scalars(select(Presence)).all())

    for wanted in (1, 0):
        for _ in range(400):  # a window whose stream was cut and that asked once more is there for ten seconds
            if rows() == wanted:
                break
            anna.page.wait_for_timeout(100)
        assert rows() == wanted
        anna.go("/promises")
