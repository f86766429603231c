"""What the keys do, and what they leave alone: while somebody types, after Back, in another language, for readers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import select, update

from models import Case, Hiding, Role, User
from tests import accessibility, screens
from tests.conftest import Desk, Open
from tests.hands import Hands
from triage import cases, hiding
from web import preferences

pytestmark = pytest.mark.browser

# What a browser says when @ { [ and the like are typed with AltGr (Linux, Windows) or Option (Mac).
ALTGR = """keys => {
  const ways = [{ modifierAltGraph: true }, { modifierAltGraph: true, ctrlKey: true, altKey: true }, { altKey: true }];
  const left = (key, held) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...held }));
  return keys.every((key) => ways.every((held) => left(key, held)));
}"""


@pytest.fixture
def hands(desk: Open) -> Hands:
    return Hands(desk())


def prefer(here: Desk, **values: object) -> None:
    with here.house.database.transaction() as db:
        preferences.change(db, db.scalars(select(User).where(User.email == "anna@storby.example")).one(), **values)


def anna(here: Desk, **values: object) -> None:
    with here.house.database.transaction() as db:
        db.execute(update(User).where(User.email == "anna@storby.example").values(**values))


def state(here: Desk) -> list[tuple[object, ...]]:
    """All that keys could change of the cases."""
    with here.house.database.read() as db:
        return [
            (case.status, case.assignee_id, case.priority, case.kind, case.follow_up_at, case.version)
            for case in db.scalars(select(Case).order_by(Case.id))
        ]


def rows(hands: Hands) -> Locator:
    return hands.page.locator("#cases .row")


def shown(hands: Hands, at: int) -> None:
    """The case of that row is open."""
    number = (rows(hands).nth(at).get_attribute("id") or "").removeprefix("case-")
    expect(hands.page.locator(f"#case[data-case='{number}']")).to_be_visible()
    expect(hands.page.locator("#case-name")).to_be_focused()


def test_alt_and_altgr_do_nothing_in_list_or_case(hands: Hands) -> None:
    page, before, address = hands.page, state(hands.here), hands.page.url
    keys = [*"abcdefghijklmnopqrstuvwxyz@{[]}$€\\|~!#?/.-+123456789", "K", "Enter"]
    hands.press("j")
    for _ in range(2):
        assert page.evaluate(ALTGR, keys[:-1]), "a key held with AltGr or Alt was taken from whoever types"
        for key in "aeisxzrnk":
            hands.press(f"Alt+{key}")
        expect(page.locator("dialog[open]")).to_have_count(0)
        assert page.url == address
        hands.press("o")
        shown(hands, 0)
        address = page.url
    assert state(hands.here) == before


def test_a_key_on_a_swedish_layout_is_known_by_what_it_writes(hands: Hands) -> None:
    # / lies on Shift+7 there, ? beside the 0, and [ ] need AltGr: < and > do the same.
    page = hands.page
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " { key: '/', code: 'Digit7', shiftKey: true, bubbles: true, cancelable: true }))"
    )
    expect(page.locator("#q")).to_be_focused()
    hands.press("Escape")
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " { key: '?', code: 'Minus', shiftKey: true, bubbles: true, cancelable: true }))"
    )
    expect(page.locator("#help")).to_be_visible()


def test_back_and_forth_in_the_messages_from_end_to_end(hands: Hands) -> None:
    number = screens.case_of(hands.here.house, "1001").id
    hands.here.go(f"/cases/{number}")
    messages = hands.page.locator(".thread article")
    for keys in ("[]", "<>"):
        for _ in range(3):
            hands.press(keys[0])
        hands.stands_on(messages.first)
        for _ in range(3):
            hands.press(keys[1])
        hands.stands_on(messages.last)


def test_the_list_has_ends_and_all_of_it_can_be_selected(hands: Hands) -> None:
    page, last = hands.page, rows(hands).count() - 1
    for key, at in (("k", 0), ("k", 0), ("j", 1), ("j", 2)):
        hands.press(key)
        hands.stands_on(rows(hands).nth(at).locator("a.what"))
    for _ in range(last + 2):
        hands.press("j")
    hands.stands_on(rows(hands).nth(last).locator("a.what"))
    hands.press("K", "K")
    hands.told("3 cases selected")
    hands.press("x")
    hands.told("2 cases selected")
    hands.press("Control+a")
    hands.told(f"{last + 1} cases selected")
    assert page.evaluate("getSelection().toString()") == "", "the text of the page was selected instead"


@pytest.mark.parametrize(
    ("keys", "column"), [("e", "status"), ("!", "status"), ("i", "assignee_id"), ("pHigh\n", "priority")]
)
def test_what_is_selected_is_worked_on_by_one_key_and_taken_back_by_another(
    hands: Hands, keys: str, column: str
) -> None:
    def of_all() -> list[object]:
        with hands.here.house.database.read() as db:
            return [getattr(case, column) for case in db.scalars(select(Case).order_by(Case.id))]

    before = of_all()
    hands.press("j", "x", "J")
    hands.type(keys)
    hands.told("2 cases.")
    assert len([1 for was, is_now in zip(before, of_all(), strict=True) if was != is_now]) == 2
    expect(hands.page.locator(".row[aria-current] a.what")).to_be_focused()
    hands.press("z")
    hands.told("Undone in 2 cases.")
    assert of_all() == before


def test_several_are_put_off_and_tagged_by_keys(hands: Hands) -> None:
    page = hands.page
    hands.press("j", "x", "J", "s")
    hands.stands_on(page.locator("#bulk-snooze"))
    hands.press("Escape")
    hands.stands_on(page.locator(".row[aria-current] a.what"))
    expect(page.locator("#bulk-panel")).not_to_have_attribute("open", "")
    hands.press("t")
    hands.stands_on(page.locator("#bulk-tag"))
    hands.type("snö, väg")
    hands.press("Enter")
    hands.told("2 cases.")
    expect(page.locator(".row", has_text="#snö")).to_have_count(2)
    hands.press("z")
    hands.told("Undone in 2 cases.")


@pytest.mark.parametrize(
    ("key", "goal"),
    [("a", "[data-action=assign]"), ("p", "[data-action=priority]"), ("t", "#add-tag"), ("s", "#about [name=preset]")],
)
def test_a_key_leads_into_the_details_and_escape_back(hands: Hands, key: str, goal: str) -> None:
    prefer(hands.here, folded=("about",))
    hands.here.go(f"/cases/{screens.case_of(hands.here.house, '1003').id}")
    hands.press("]")
    message = hands.page.locator(".thread article").first
    hands.stands_on(message)
    hands.press(key)
    hands.stands_on(hands.page.locator(goal).first)
    hands.press("Escape")
    hands.stands_on(message)
    expect(hands.page.locator("#case-name")).to_be_visible()


@pytest.mark.parametrize("key", ["i", "e", "m", "3", "!"])
def test_z_takes_back_what_a_key_did_to_the_open_case(hands: Hands, key: str) -> None:
    before = state(hands.here)
    hands.press("j", "o")
    shown(hands, 0)
    hands.press(key)
    expect(hands.page.locator("#said")).not_to_be_empty()
    hands.press("z")
    hands.told("Undone.")
    hands.seen()
    assert [each[:-1] for each in state(hands.here)] == [each[:-1] for each in before]


def test_z_takes_back_an_answer_while_it_is_held(hands: Hands) -> None:
    page = hands.page
    hands.here.go(f"/cases/{screens.case_of(hands.here.house, '1003').id}")
    hands.press("r")
    hands.type("Strømmen er tilbake")
    hands.press("Control+Enter")
    expect(page.locator("article.reply")).to_be_focused()
    hands.seen()
    hands.told("Your answer goes out")
    hands.press("z")
    expect(page.locator("#body")).to_have_value("Strømmen er tilbake")
    expect(page.locator("#body")).to_be_focused()


def test_keys_go_on_after_a_pane_was_swapped_after_back_and_after_a_dialog(hands: Hands) -> None:
    page = hands.page
    hands.press("j", "o")
    shown(hands, 0)
    hands.press("j", "Enter")
    shown(hands, 1)
    page.go_back()
    shown(hands, 0)
    hands.press("?", "Escape", "Control+k", "Escape", "j", "o")
    shown(hands, 1)
    hands.press("u", "r")
    expect(page.locator("#body")).to_be_focused()
    hands.type("j")
    expect(page.locator("#body")).to_have_value("j")
    hands.press("Escape", "u")
    expect(page.locator("#case")).to_be_hidden()
    for keys, path in (("gd", "/drafts"), ("go", "/dashboard"), ("gm", "/?assignee=me"), ("gi", "/"), ("g,", "/me")):
        hands.press(*keys)
        expect(page).to_have_url(hands.here.base + path)


@pytest.mark.parametrize("language", ["sv", "da", "nb", "nn"])
def test_keys_are_the_same_in_every_language(hands: Hands, language: str) -> None:
    anna(hands.here, language=language)
    hands.here.go("/")
    hands.press("j", "o")
    shown(hands, 0)
    hands.press("?")
    expect(hands.page.get_by_role("dialog")).to_be_visible()
    hands.press("Escape", "i")
    expect(hands.page.locator("#casehead")).to_contain_text("Anna Åberg")


def test_escape_loses_no_text(hands: Hands) -> None:
    page = hands.page
    hands.press("/")
    hands.type("snö")
    hands.press("Escape")
    expect(page.locator("#q")).to_have_value("snö")
    number = screens.case_of(hands.here.house, "1003").id
    hands.here.go(f"/cases/{number}")
    for key, field in (("r", "#body"), ("n", "#note"), ("t", "#add-tag")):
        hands.press(key)
        hands.type("kvar")
        hands.press("Escape", "Control+k", "Escape", "?", "Escape")
        expect(page.locator(field)).to_have_value("kvar")
        expect(page.locator(f"#case[data-case='{number}']")).to_be_visible()


def test_keys_that_were_switched_off_do_nothing_but_arrows_and_escape_still_do(hands: Hands) -> None:
    prefer(hands.here, shortcuts=False)
    before = state(hands.here)
    hands.here.go("/")
    hands.tab_to(rows(hands).first.locator("a.what"))
    hands.press(*"jjexi!?", "z", "ArrowDown")
    hands.stands_on(rows(hands).nth(1).locator("a.what"))
    hands.press("Enter")
    shown(hands, 1)
    hands.press("Escape")
    expect(hands.page.locator("#case")).to_be_hidden()
    assert state(hands.here) == before


def test_readers_are_offered_no_key_that_changes_anything(hands: Hands) -> None:
    anna(hands.here, role=Role.reader)
    before, page = state(hands.here), hands.page
    hands.here.go("/")
    offered = set(page.locator("#help [data-does]").evaluate_all("all => all.map((each) => each.dataset.does)"))
    assert {"next", "open", "search", "newer-message", "palette", "go-inbox"} <= offered
    assert not offered & {"assign", "take", "resolve", "reply", "note", "undo", "select", "tag", "ignore", "danger"}
    hands.press("j", *"xeaistpm!z1-", "o")
    shown(hands, 0)
    hands.press(*"rneaistpm!z1-")
    shown(hands, 0)
    hands.press("Control+k")
    hands.type("assign to me")
    expect(page.locator("#palette-list li")).to_have_count(0)
    assert state(hands.here) == before
    assert hands.here.complaints == [], "something was asked of the server that a reader may not"


def test_news_and_a_thread_drawn_anew_take_no_focus(hands: Hands) -> None:
    number = screens.case_of(hands.here.house, "1003").id
    hands.here.go(f"/cases/{number}")
    hands.press("t")
    with hands.here.house.database.transaction() as db:
        cases.classify(db, number, kind="idea", actor="bo@storby.example", at=datetime.now(UTC))
    hands.type("lys")
    expect(hands.page.locator("#judged-kind")).to_have_value("idea")
    expect(hands.page.locator("#add-tag")).to_be_focused()
    expect(hands.page.locator("#add-tag")).to_have_value("lys")


def test_a_message_is_hidden_by_key_with_a_reason(desk: Open) -> None:
    """The message in focus, else the last of others; where it cannot be hidden the key says why."""
    here, now = desk(), datetime.now(UTC)
    post = screens.mention(80, "Vi plogar i natt.", now, ours=True, thread="1080")
    answers = [screens.mention(n, f"Ring {n}!", now, in_reply_to=str(999 + n), thread="1080") for n in (81, 82)]
    number = screens.collect(here.house, post, *answers, at=now)[-1]
    hands, page = Hands(here), here.page
    here.go(f"/cases/{number}")
    page.locator("#case-name").focus()
    hands.press("#")
    expect(page.locator(".thread article", has_text="Ring 82!").get_by_label("Why is it hidden?")).to_be_focused()
    hands.seen()
    found = accessibility.violations(page)
    hands.press("Escape")
    expect(page.locator("#case-name")).to_be_focused()
    first = page.locator(".thread article", has_text="Ring 81!")
    first.evaluate("part => { part.tabIndex = -1; part.focus(); }")  # as the keys of the thread do
    hands.press("#")
    expect(first.get_by_label("Why is it hidden?")).to_be_focused()
    hands.type("Personuppgifter")
    hands.press("Enter")
    expect(page.locator("#said")).to_contain_text("It is being hidden on X.")
    expect(first).to_contain_text("It is being hidden on X.")
    expect(first).to_be_focused()
    with here.house.database.transaction() as db:
        hidden = db.scalars(select(Hiding.mention_id)).one()
        hiding.done(db, hidden, hide=True, actor="outbox", at=now)
    expect(first).to_contain_text("Hidden on X by")
    expect(first).to_be_focused()
    page.locator("#said").get_by_role("button", name="Undo").press("Enter")
    here.go(f"/cases/{screens.case_of(here.house, '1003').id}")
    hands.press("#")
    expect(page.get_by_text("This cannot be hidden from here.")).to_be_focused()
    assert (found, here.complaints) == ([], [])
