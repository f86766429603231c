"""Writing, in a real browser: nothing typed is lost, and nothing goes out that nobody meant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select, update
from werkzeug.serving import make_server

from house import House
from models import Draft, Reply, User
from settings import CannedReply
from tests import screens
from tests.conftest import Desk, Open
from triage import cases, merging, policy
from web import create_app

pytestmark = pytest.mark.browser


def number_of(here: Desk, external_id: str = "1003") -> int:
    return screens.case_of(here.house, external_id).id


def drafts_of(house: House) -> list[str]:
    with house.database.read() as db:
        return list(db.scalars(select(Draft.body).order_by(Draft.id)))


def sent_in(house: House) -> list[str]:
    with house.database.read() as db:
        return list(db.scalars(select(Reply.body).where(Reply.status != "cancelled").order_by(Reply.id)))


def someone(here: Desk, name: str, **values: object) -> None:
    with here.house.database.transaction() as db:
        db.execute(update(User).where(User.email == f"{name}@storby.example").values(**values))


def prepared(here: Desk, name: str, **texts: str) -> None:
    with here.house.database.transaction() as db:
        given = CannedReply.model_validate({"name": name, "texts": texts})
        policy.put(db, "canned_replies", given, by="admin@storby.example", at=datetime.now(UTC))


def typed(page: Page, text: str) -> None:
    page.locator("#body").press_sequentially(text)


def quarrels(here: Desk) -> list[str]:
    """What the browser complained about; that the server does not know a new window yet is told it by a status."""
    return [said for said in here.complaints if "409" not in said]


def saved(page: Page, form: str = "#reply-form") -> None:
    expect(page.locator(f"{form} .saved")).to_contain_text("Saved")


# -- drafts -----------------------------------------------------------------------------------------------------------


def test_what_is_typed_is_on_the_server_a_moment_later_and_in_every_window(desk: Open) -> None:
    here = desk()
    path = f"/cases/{number_of(here)}"
    here.go(path)
    typed(here.page, "Halvskrivet svar")
    saved(here.page)
    assert drafts_of(here.house) == ["Halvskrivet svar"]
    there = desk()
    there.go(path)
    expect(there.page.locator("#body")).to_have_value("Halvskrivet svar")
    there.go("/drafts")
    expect(there.page.get_by_role("main")).to_contain_text("Halvskrivet svar")
    here.page.get_by_role("button", name="Send", exact=True).click()
    expect(here.page.locator("article.reply")).to_contain_text("Halvskrivet svar")
    expect(here.page.locator("#body")).to_have_value("")
    here.page.reload()
    expect(here.page.locator("#body")).to_have_value("")
    assert drafts_of(here.house) == []
    assert quarrels(here) == []


def test_a_case_left_while_one_types_has_the_text_when_one_comes_back(desk: Open) -> None:
    here = desk()
    here.go("/")
    row = here.page.locator(f"#case-{number_of(here)} a.what")
    row.click()
    typed(here.page, "Halvskrivet")
    here.page.evaluate("history.back()")  # no moment to pause in
    expect(here.page.locator("#body")).to_have_count(0)
    row.click()
    expect(here.page.locator("#body")).to_have_value("Halvskrivet")
    with here.page.expect_response("**/draft"):
        typed(here.page, " svar")
        here.page.locator("#body").blur()
    expect(here.page.locator("#reply-form .other")).to_be_hidden()
    assert drafts_of(here.house) == ["Halvskrivet svar"]


def test_what_is_typed_in_a_hurry_is_sent_whole_and_leaves_nothing_behind(desk: Open) -> None:
    here = desk()
    here.go(f"/cases/{number_of(here)}")
    typed(here.page, "Vi kommer")
    saved(here.page)
    typed(here.page, " i kväll")
    here.page.locator("#body").press("Control+Enter")
    expect(here.page.locator("article.reply")).to_contain_text("Vi kommer i kväll")
    expect(here.page.locator("#body")).to_have_value("")
    assert sent_in(here.house) == ["Vi kommer i kväll"]
    assert drafts_of(here.house) == []


def test_the_same_case_twice_the_other_text_is_offered_beside(desk: Open) -> None:
    here = desk()
    path = f"/cases/{number_of(here)}"
    here.go(path)
    other = here.page.context.new_page()
    other.goto(here.base + path)
    typed(here.page, "Första fönstret")
    saved(here.page)
    typed(other, "Andra fönstret")
    beside = other.locator("#reply-form .other")
    expect(beside).to_contain_text("Första fönstret")
    expect(other.locator("#body")).to_have_value("Andra fönstret")
    assert drafts_of(here.house) == ["Första fönstret"]
    beside.get_by_role("button", name="Put it under mine").click()
    expect(other.locator("#body")).to_have_value("Andra fönstret\n\nFörsta fönstret")
    saved(other)
    assert drafts_of(here.house) == ["Andra fönstret\n\nFörsta fönstret"]


def test_the_login_ends_while_one_writes(desk: Open) -> None:
    here = desk()
    path = f"/cases/{number_of(here)}"
    here.go(path)
    here.page.context.clear_cookies()
    typed(here.page, "Halvskrivet svar")
    expect(here.page.locator("#reply-form .saved")).to_contain_text("Your login has ended")
    here.go("/login")
    here.page.get_by_label("E-mail").fill("anna@storby.example")
    here.page.get_by_label("Password").fill(screens.PASSWORD)
    here.page.get_by_role("button", name="Log in").click()
    here.go(path)
    expect(here.page.locator("#body")).to_have_value("Halvskrivet svar")
    saved(here.page)
    assert drafts_of(here.house) == ["Halvskrivet svar"]


@contextmanager
def served(house: House, port: int = 0) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server that can be killed: its address, and what kills it."""
    server = make_server("127.0.0.1", port, create_app(house), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def kill() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    yield f"http://127.0.0.1:{server.server_port}", kill
    if thread.is_alive():
        kill()


def test_the_server_is_killed_while_one_types(desk: Open) -> None:
    here = desk()
    page, path = here.page, f"/cases/{number_of(here)}"
    with served(here.house) as (base, kill):
        page.goto(base + path)  # a cookie knows no ports
        typed(page, "Skrivet före")
        saved(page)
        kill()
        typed(page, " och efter")
        expect(page.locator("#reply-form .saved")).to_contain_text("Kept in this browser")
    assert drafts_of(here.house) == ["Skrivet före"]
    with served(here.house, int(base.rpartition(":")[2])):
        expect(page.locator("#reply-form .saved")).to_contain_text("Saved")
        assert drafts_of(here.house) == ["Skrivet före och efter"]
        page.reload()
        expect(page.locator("#body")).to_have_value("Skrivet före och efter")


def test_a_colleague_sees_who_has_begun_and_takes_a_copy(desk: Open) -> None:
    anna, mats = desk(), desk(who="mats@storby.example")
    number = number_of(anna)
    mats.go(f"/cases/{number}")
    anna.go(f"/cases/{number}")
    typed(anna.page, "Annas början")
    saved(anna.page)
    mats.go(f"/cases/{number}")
    expect(mats.page.locator("#writing")).to_contain_text("Anna Åberg has begun an answer")
    assert "Annas början" not in mats.page.content()
    mats.page.get_by_role("button", name="Copy it into my answer").click()
    expect(mats.page.locator("#body")).to_have_value("Annas början")
    assert drafts_of(anna.house) == ["Annas början", "Annas början"]


def test_it_is_merged_away_under_the_hands(desk: Open) -> None:
    here = desk()
    one, other = number_of(here, "1003"), number_of(here, "1004")
    here.go(f"/cases/{one}")
    typed(here.page, "Om strömmen")
    saved(here.page)
    with here.house.database.transaction() as db:
        merging.merge(db, one, into=other, actor="mats@storby.example", at=datetime.now(UTC))
    typed(here.page, " i Fjellveien")
    expect(here.page.locator("#body")).to_have_value("Om strömmen i Fjellveien")
    here.go("/")
    for _ in range(50):
        if drafts_of(here.house) == ["Om strömmen i Fjellveien"]:
            break
        here.page.wait_for_timeout(100)
    here.go(f"/cases/{other}")
    expect(here.page.locator("#body")).to_have_value("Om strömmen i Fjellveien")
    assert drafts_of(here.house) == ["Om strömmen i Fjellveien"]


def test_other_work_on_the_case_takes_nothing_away(desk: Open) -> None:
    here = desk()
    here.go(f"/cases/{number_of(here)}")
    typed(here.page, "Jag skriver")
    here.page.get_by_role("button", name="Assign to me").click()
    expect(here.page.get_by_text("The case is yours").first).to_be_visible()
    expect(here.page.locator("#body")).to_have_value("Jag skriver")
    assert drafts_of(here.house) == ["Jag skriver"]


def test_an_answer_that_is_undone_is_a_draft_again(desk: Open) -> None:
    here = desk()
    here.go(f"/cases/{number_of(here)}")
    typed(here.page, "Strömmen är tillbaka.")
    here.page.get_by_role("button", name="Send", exact=True).click()
    here.page.get_by_role("button", name="Undo").click()
    expect(here.page.locator("#body")).to_have_value("Strömmen är tillbaka.")
    assert drafts_of(here.house) == ["Strömmen är tillbaka."]


# -- what one is told while writing -----------------------------------------------------------------------------------


def test_an_answer_to_what_has_changed_is_stopped_and_the_change_is_shown(desk: Open) -> None:
    here = desk()
    number = number_of(here, "1001")
    here.go(f"/cases/{number}")
    typed(here.page, "Plogen kommer i kväll")
    with here.house.database.transaction() as db:
        mats = db.scalars(select(User).where(User.email == "mats@storby.example")).one()
        cases.note(db, number, body="Svara inte än: plogen är trasig", user=mats, at=datetime.now(UTC))
    here.page.get_by_role("button", name="Send", exact=True).click()
    since = here.page.locator("#since")
    expect(since).to_contain_text("Mats Øst wrote a note")
    expect(since).to_contain_text("plogen är trasig")
    expect(since).to_be_focused()
    expect(here.page.locator("#body")).to_have_value("Plogen kommer i kväll")
    assert sent_in(here.house) == []
    here.page.get_by_role("button", name="Send anyway").click()
    expect(here.page.locator("article.reply")).to_contain_text("Plogen kommer i kväll")
    assert drafts_of(here.house) == []


def test_cost_and_language_are_said_before_sending(desk: Open) -> None:
    here = desk()
    here.go(f"/cases/{number_of(here, '1001')}")
    expect(here.page.locator("#spoken")).to_contain_text("They write Swedish")
    typed(here.page, "We will clear the snow in your street tonight")
    count = here.page.locator("#count")
    expect(count).to_contain_text("Costs US$0.01")
    expect(count).to_contain_text("seems to be in English; they write Swedish")
    here.page.locator("#body").fill("Vi plogar gatan i kväll, se https://storby.example/sno")
    expect(count).to_contain_text("Costs US$0.20 because of the link")
    expect(count).not_to_contain_text("seems to be")


def test_a_variable_that_means_nothing_does_not_go_out(desk: Open) -> None:
    here = desk()
    here.go(f"/cases/{number_of(here)}")
    typed(here.page, "Hei {namn}!")
    expect(here.page.locator("#count")).to_contain_text("{namn} means nothing here")
    here.page.get_by_role("button", name="Send", exact=True).click()
    expect(here.page.locator(".composer .banner").first).to_contain_text("{namn} means nothing here")
    expect(here.page.locator("#body")).to_have_value("Hei {namn}!")
    assert sent_in(here.house) == []


def test_any_message_can_be_answered_and_quoted(desk: Open) -> None:
    here = desk()
    here.go(f"/cases/{number_of(here, '1001')}")
    first = here.page.locator("article.theirs").first
    first.get_by_role("link", name="Quote").click()
    body = here.page.locator("#body")
    expect(body).to_have_value("> @storby Plogen har inte varit på Björkvägen på tre dagar. Min mamma kommer inte ut med rullatorn. När kommer ni?\n\n")  # fmt: skip  # noqa: E501
    expect(body).to_be_focused()
    chosen = here.page.locator("select[name=to_mention]").first
    assert "Björkvägen" in chosen.evaluate("field => field.selectedOptions[0].text")
    typed(here.page, "I kväll.")
    assert body.input_value().endswith("ni?\n\nI kväll.")


# -- prepared texts and signature -------------------------------------------------------------------------------------


def test_canned_replies_are_found_by_typing(desk: Open) -> None:
    here = desk()
    prepared(here, "Snö", sv="Hej {first_name}! Vi plogar.", nb="Hei {first_name}! Vi brøyter. /{agent}")
    prepared(here, "Strøm", nb="Strømmen kommer tilbake, se sak {case}.")
    number = number_of(here)
    here.go(f"/cases/{number}")
    body, options = here.page.locator("#body"), here.page.locator(".canned-list [role=option]")
    typed(here.page, "Hei\n/")
    expect(options).to_have_count(2)
    typed(here.page, "snö")
    expect(options).to_have_count(1)
    expect(options.first).to_have_attribute("aria-selected", "true")
    body.press("Escape")
    expect(options).to_have_count(0)
    expect(body).to_have_value("Hei\n/snö")
    body.fill("")
    typed(here.page, "/")
    body.press("ArrowDown")
    body.press("ArrowDown")
    body.press("ArrowUp")
    body.press("Enter")
    expect(body).to_have_value("Hei Citizen! Vi brøyter. /Anna Åberg")
    body.fill("")
    here.page.get_by_role("button", name="Canned replies").click()
    options.nth(1).click()
    expect(body).to_have_value(f"Strømmen kommer tilbake, se sak {number}.")
    assert quarrels(here) == []


def test_a_signature_typed_by_hand_is_no_question(desk: Open) -> None:
    here = desk()
    prepared(here, "Snö", sv="Annars plogar vi i morgon.")
    someone(here, "anna", signature="/Anna")
    here.go(f"/cases/{number_of(here)}")
    here.page.locator("#body").focus()
    typed(here.page, "Vi kommer.\n/Anna\nHej")
    expect(here.page.locator("#body")).to_have_value("Vi kommer.\n/Anna\nHej\n\n/Anna")


def test_the_signature_stands_there_is_counted_and_can_be_taken_away(desk: Open) -> None:
    here = desk()
    someone(here, "anna", signature="/Anna")
    number = number_of(here)
    here.go(f"/cases/{number}")
    body = here.page.locator("#body")
    expect(body).to_have_value("\n\n/Anna")
    body.focus()
    typed(here.page, "Strømmen er tilbake.")
    expect(body).to_have_value("Strømmen er tilbake.\n\n/Anna")
    expect(here.page.locator("#count")).to_contain_text("27 / 280")
    saved(here.page)
    here.go(f"/cases/{number}")
    expect(body).to_have_value("Strømmen er tilbake.\n\n/Anna")
    here.page.get_by_role("button", name="Send", exact=True).click()
    expect(here.page.locator("article.reply")).to_be_visible()
    assert sent_in(here.house) == ["Strømmen er tilbake.\n\n/Anna"]
    assert drafts_of(here.house) == []


def test_nothing_is_triggered_by_the_letters_of_the_north(desk: Open) -> None:
    here = desk()
    prepared(here, "Snö", sv="Vi plogar.")
    here.go(f"/cases/{number_of(here)}")
    letters = "å ä ö æ ø Å Ä Ö @ { } [ ] € $ £ | \\ # ! ? j k e r n / z"
    typed(here.page, letters)
    expect(here.page.locator("#body")).to_have_value(letters)
    expect(here.page.locator("#body")).to_be_focused()
    expect(here.page.locator(".canned-list")).to_have_count(0)
    assert quarrels(here) == []


# -- a second pair of eyes --------------------------------------------------------------------------------------------


def test_one_proposes_and_another_approves_from_the_list(desk: Open) -> None:
    anna, mats = desk(), desk(who="mats@storby.example")
    someone(anna, "anna", needs_review=True)
    anna.go(f"/cases/{number_of(anna)}")
    typed(anna.page, "Strømmen er tilbake kl. 18.")
    anna.page.get_by_role("button", name="Propose to a colleague").click()
    expect(anna.page.locator("#review")).to_contain_text("A colleague has to look at it")
    assert drafts_of(anna.house) == []
    mats.go("/approvals")
    expect(mats.page.get_by_role("main")).to_contain_text("Strømmen er tilbake kl. 18.")
    mats.page.get_by_role("button", name="Approve and send").click()
    expect(mats.page.get_by_text("Approved: the answer goes out.")).to_be_visible()
    with anna.house.database.read() as db:
        assert db.scalars(select(Reply.status)).all() == ["held"]


# -- how it looks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_its_window(desk: Open, width: int, scheme: str) -> None:
    here = desk(width, scheme)
    prepared(here, "Ett mycket långt namn på ett standardsvar som ingen orkar läsa", sv="Vi plogar. " * 30)
    number = number_of(here, "1001")
    here.go(f"/cases/{number}")
    here.page.locator("#body").fill("Ettlångtordutanmellanslag" * 20)
    expect(here.page.locator("#count .over")).to_be_visible()
    assert here.sideways() <= 0
    here.page.locator("#body").fill("/")
    expect(here.page.locator(".canned-list")).to_be_visible()
    assert here.sideways() <= 0
    here.go("/drafts")
    assert here.sideways() <= 0
    here.go("/approvals")
    assert here.sideways() <= 0
