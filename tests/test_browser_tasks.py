"""The tasks of a working day with the mouse unplugged, each done by keys alone, wide and at 400 % in the dark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import FilePayload, Locator, expect
from sqlalchemy import delete, select

from models import Case, CaseStatus, LoginSession, Note, Reply, ReplyStatus, Source, User
from tests import screens
from tests.conftest import Open
from tests.hands import Hands
from tests.test_pictures import png
from triage import cases, reactions

pytestmark = pytest.mark.browser

# A window of 1280 x 1024 at 400 %, in the dark, and one at its ease.
WINDOWS = [
    pytest.param({"viewport": {"width": 1280, "height": 800}}, id="wide"),
    pytest.param({"viewport": {"width": 320, "height": 256}, "scheme": "dark"}, id="zoomed-dark"),
]


@pytest.fixture(params=WINDOWS)
def hands(request: pytest.FixtureRequest, desk: Open) -> Hands:
    """Anna's, in the inbox."""
    return Hands(desk(**request.param))


@pytest.fixture
def wide(desk: Open) -> Hands:
    return Hands(desk())


def number_of(hands: Hands, external_id: str = "1003") -> int:
    return screens.case_of(hands.here.house, external_id).id


def case(hands: Hands, number: int) -> Case:
    with hands.here.house.database.read() as db:
        return db.get_one(Case, number)


def come_in(hands: Hands, how_many: int) -> list[int]:
    now = datetime.now(UTC)
    said = (screens.mention(4000 + n, f"Fråga nummer {n}", now - timedelta(seconds=n)) for n in range(how_many))
    return screens.collect(hands.here.house, *said, at=now)


def link(hands: Hands, number: int) -> Locator:
    return hands.page.locator(f"#case-{number} a.what")


def to_row(hands: Hands, number: int) -> None:
    """With j, as one would."""
    for _ in range(40):
        hands.press("j")
        if hands.on(link(hands, number)):
            return
    raise AssertionError(f"j does not come to {number}")


def open_case(hands: Hands, external_id: str = "1003") -> int:
    number = number_of(hands, external_id)
    to_row(hands, number)
    hands.press("Enter")
    expect(hands.page.locator(f"#case[data-case='{number}']")).to_be_visible()
    expect(hands.page.locator("#case-name")).to_be_focused()
    return number


def button(hands: Hands, name: str) -> Locator:
    return hands.page.get_by_role("button", name=name, exact=True)


def test_01_log_in(wide: Hands) -> None:
    page = wide.page
    wide.tab_to(button(wide, "Log out"))
    wide.press("Enter")
    mail, password = page.get_by_label("E-mail"), page.get_by_label("Password")
    expect(mail).to_have_attribute("autocomplete", "username")
    expect(password).to_have_attribute("autocomplete", "current-password")
    wide.tab_to(mail)
    wide.type(screens.PASSWORD)
    wide.press("Control+a", "Control+x")  # what a password manager would paste
    wide.type("anna@storby.example")
    wide.press("Tab")
    wide.stands_on(password)
    wide.press("Control+v")
    expect(password).to_have_value(screens.PASSWORD)
    wide.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("To do")


def test_02_skip_link_to_the_list(hands: Hands) -> None:
    hands.press("Tab")
    hands.stands_on(hands.page.get_by_role("link", name="Skip to the content"))
    hands.press("Enter")
    expect(hands.page.locator("#list")).to_be_focused()
    hands.press("Tab")
    assert hands.page.evaluate("document.getElementById('list').contains(document.activeElement)")


def test_03_move_through_20_rows_and_know_the_position(hands: Hands) -> None:
    come_in(hands, 25)
    hands.here.go("/?channel=twitter")
    rows = hands.page.locator("#cases .row")
    for at in range(20):
        hands.press("j")
        hands.stands_on(rows.nth(at).locator("a.what"))
    for at in (18, 17):
        hands.press("ArrowUp")
        hands.stands_on(rows.nth(at).locator("a.what"))
    expect(rows.nth(17)).to_have_attribute("aria-current", "true")
    expect(hands.page.locator(".row[aria-current]")).to_have_count(1)
    assert rows.nth(17).evaluate("row => row.matches('ol > li')"), "a screen reader could not say which of how many"


def test_04_open_read_the_whole_thread_and_back_to_the_same_row(hands: Hands) -> None:
    page = hands.page
    number = open_case(hands, "1001")
    messages = page.locator(".thread article")
    for at in range(messages.count()):
        hands.press("]")
        hands.stands_on(messages.nth(at))
    hands.press("u")
    expect(page.locator("#case")).to_be_hidden()
    hands.stands_on(link(hands, number))


def test_05_filter_by_channel_and_tag_and_clear(hands: Hands) -> None:
    page, number = hands.page, number_of(hands)
    with hands.here.house.database.transaction() as db:
        cases.classify(db, number, tags=["strøm"], actor="t", at=datetime.now(UTC))
    hands.here.go("/")
    hands.tab_to(page.locator("details.filters > summary"))
    hands.press("Enter")
    hands.tab_to(page.locator("select[name=channel]"))
    hands.type("X")
    hands.tab_to(page.locator("input[name=tag]"))
    hands.type("strøm")
    hands.press("Enter")
    expect(page.locator(".chips .chip")).to_have_count(2)
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(f"#case-{number}")).to_be_visible()
    hands.tab_to(page.get_by_role("link", name="Clear the filter"))
    hands.press("Enter")
    expect(page.locator(".chips .chip")).to_have_count(0)


def test_06_search(hands: Hands) -> None:
    page = hands.page
    hands.press("/")
    hands.stands_on(page.locator("#q"))
    hands.type("förskolan")
    hands.press("Enter")
    expect(page.locator(".row mark").first).to_have_text("förskolan")
    hands.press("j")
    hands.stands_on(page.locator(".row a.what").first)


def test_07_select_three_assign_them_undo(hands: Hands) -> None:
    page = hands.page
    hands.press("j", "x")
    hands.told("1 case selected")
    hands.press("j", "x", "J")
    hands.told("3 cases selected")
    hands.press("a")
    hands.stands_on(page.locator("#bulk-assign"))
    hands.type("Me")
    hands.press("Enter")
    hands.told("Assign to me: 3 cases.")
    expect(page.locator(".row .assignee", has_text="Anna")).to_have_count(3)
    expect(page.locator(".row[aria-current] a.what")).to_be_focused()
    hands.press("z")
    hands.told("Undone in 3 cases.")
    expect(page.locator(".row .assignee", has_text="Anna")).to_have_count(0)


def test_08_reply_with_a_picture_send_and_undo(hands: Hands) -> None:
    page = hands.page
    page.on("filechooser", lambda _: None)  # watched for from here on: told just before the key is too late
    open_case(hands)
    hands.press("r")
    hands.stands_on(page.locator("#body"))
    hands.type("Strømmen er tilbake kl. 18")
    expect(page.locator("#reply-form .saved")).to_contain_text("Saved")
    hands.tab_to(page.locator("#picture-file"))
    with page.expect_file_chooser() as chooser:
        hands.press("Enter")
    chooser.value.set_files([FilePayload(name="kart.png", mimeType="image/png", buffer=png())])
    hands.stands_on(page.get_by_label("What picture 1 shows"))
    hands.type("Kart over Fjellveien")
    hands.press("Control+Enter")
    expect(page.locator("article.reply img")).to_have_attribute("alt", "Kart over Fjellveien")
    hands.tab_to(button(hands, "Undo").first)
    hands.press("Enter")
    expect(page.locator("#body")).to_have_value("Strømmen er tilbake kl. 18")
    hands.stands_on(page.locator("#body"))
    with hands.here.house.database.read() as db:
        assert db.scalars(select(Reply.status)).all() == [ReplyStatus.cancelled]


def test_09_meet_a_collision_warning_and_resolve_it(hands: Hands) -> None:
    page = hands.page
    number = open_case(hands, "1001")
    hands.press("r")
    hands.type("Plogen kommer i kväll")
    with hands.here.house.database.transaction() as db:
        mats = db.scalars(select(User).where(User.email == "mats@storby.example")).one()
        cases.note(db, number, body="Plogen är trasig", user=mats, at=datetime.now(UTC))
    hands.press("Control+Enter")
    since = page.locator("#since")
    expect(since).to_contain_text("Plogen är trasig")
    hands.stands_on(since)
    expect(page.locator("#body")).to_have_value("Plogen kommer i kväll")
    hands.tab_to(button(hands, "Send anyway"))
    hands.press("Enter")
    expect(page.locator("article.reply")).to_contain_text("Plogen kommer i kväll")


def test_10_write_a_note_and_mention_a_colleague(hands: Hands) -> None:
    page = hands.page
    open_case(hands)
    hands.press("n")
    hands.stands_on(page.locator("#note"))
    hands.type("Titta på det här, @ad")
    expect(page.locator("#named li").first).to_contain_text("Ada Admin")
    hands.press("Enter")
    hands.type("snälla")
    hands.press("Control+Enter")
    expect(page.locator("article.note")).to_contain_text("@Ada Admin snälla")
    hands.seen()
    with hands.here.house.database.read() as db:
        assert db.scalars(select(Note.body)).one() == "Titta på det här, @Ada Admin snälla"


def test_11_snooze_to_a_custom_date(hands: Hands) -> None:
    page = hands.page
    number = open_case(hands)
    hands.press("s")
    hands.seen()
    hands.tab_to(page.locator("#about [name=until]"))
    hands.type("12122027")
    hands.press("ArrowRight")
    hands.type("0900a")  # where the clock of the browser has twelve hours
    hands.press("Enter")
    hands.told("Bring back")
    hands.seen()
    at = case(hands, number).follow_up_at
    assert at is not None and at.isoformat() == "2027-12-12T08:00:00+00:00"


def test_12_tag_and_add_a_new_tag(hands: Hands) -> None:
    page = hands.page
    with hands.here.house.database.transaction() as db:
        cases.classify(db, number_of(hands, "1004"), tags=["strøm"], actor="t", at=datetime.now(UTC))
    number = open_case(hands)
    for tag in ("strøm", "Mørklagt"):
        hands.press("t")
        hands.stands_on(page.locator("#add-tag"))
        hands.type(tag)
        hands.press("Enter")
        expect(page.locator("ul.tags")).to_contain_text(f"#{tag.lower()}")
        hands.told(tag)
        hands.seen()
    with hands.here.house.database.read() as db:
        tags = [each.tag for each in db.get_one(Case, number).tags]
    assert sorted(tags) == ["mørklagt", "strøm"]


def test_13_assign(hands: Hands) -> None:
    number = open_case(hands)
    hands.press("a")
    hands.stands_on(hands.page.locator("[data-action=assign]"))
    hands.type("Mats")
    hands.press("Enter")
    expect(hands.page.locator("#casehead")).to_contain_text("assigned to Mats Øst")
    hands.seen()
    assert case(hands, number).assignee_id


def test_14_merge_two_cases(hands: Hands) -> None:
    page, other = hands.page, number_of(hands, "1004")
    number = open_case(hands)
    hands.tab_to(page.locator("#about summary", has_text="Merge or split"))
    hands.press("Enter")
    hands.tab_to(page.locator("[name=into]"))
    hands.type(str(other))
    hands.press("Enter")
    expect(page.locator(f"#case[data-case='{other}']")).to_be_visible()
    hands.told("part of this one")
    assert case(hands, number).merged_into_id == other


def test_15_mark_spam_find_it_restore_it(hands: Hands) -> None:
    page, number = hands.page, number_of(hands, "1004")
    to_row(hands, number)
    hands.press("!")
    hands.told("Ignore")
    expect(page.locator(f"#case-{number}")).to_have_count(0)
    expect(page.locator(".row[aria-current] a.what")).to_be_focused()
    hands.press("/")
    hands.type("status:ignored bibliotekaren")
    hands.press("Enter")
    expect(page.locator(f"#case-{number}")).to_be_visible()
    hands.press("j", "o")
    expect(page.locator(f"#case[data-case='{number}']")).to_be_visible()
    hands.tab_to(page.locator("#casehead [data-action=new], #casehead [data-action=open]").first)
    hands.press("Enter")
    expect(page.locator("#casehead .tag").first).to_have_text("Open")
    hands.seen()
    assert case(hands, number).status == CaseStatus.open


def test_16_close_and_next(hands: Hands) -> None:
    page = hands.page
    hands.here.go("/?channel=twitter")
    rows = [int(each.removeprefix("case-")) for each in page.locator(".row").evaluate_all("all => all.map(r => r.id)")]
    hands.press("j", "e")
    expect(page.locator(f"#case-{rows[0]}")).to_have_count(0)
    hands.stands_on(link(hands, rows[1]))
    hands.press("Enter")
    expect(page.locator("#case-name")).to_be_focused()
    hands.press("E")
    expect(page.locator(f"#case[data-case='{rows[2]}']")).to_be_visible()
    hands.stands_on(link(hands, rows[2]) if page.evaluate("innerWidth") > 900 else page.locator("#case-name"))
    assert [case(hands, each).status for each in rows[:2]] == [CaseStatus.resolved] * 2


def test_17_palette_open_choose_close_the_focus_returns(wide: Hands) -> None:
    page, field = wide.page, wide.page.locator("#palette-q")
    open_case(wide)
    wide.press("r")
    wide.type("Hei på deg")
    wide.press("ArrowLeft", "ArrowLeft", "ArrowLeft", "Control+k")
    wide.stands_on(field)
    wide.press("Escape")
    wide.stands_on(page.locator("#body"))
    wide.type("!")
    expect(page.locator("#body")).to_have_value("Hei på !deg")
    wide.press("Escape", ".")
    wide.stands_on(field)
    wide.type("to the overview")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("go to the overview")
    expect(page.locator("#palette-list [aria-selected=true] kbd")).to_have_text(["g", "o"])
    wide.press("Enter")
    expect(page).to_have_url(f"{wide.here.base}/dashboard")


def test_18_help_switch_the_keys_off_and_remap_one(wide: Hands) -> None:
    page, rows = wide.page, wide.page.locator(".row")
    wide.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    wide.tab_to(button(wide, "Switch single keys off"))
    wide.press("Enter")
    wide.told("Single keys are off.")
    wide.press("j")
    expect(page.locator(".row[aria-current]")).to_have_count(0)
    wide.press("Control+k")
    wide.type("this help")
    wide.press("Enter")
    wide.tab_to(button(wide, "Switch single keys on"))
    wide.press("Enter")
    wide.told("Single keys are on.")
    wide.press("?")
    wide.tab_to(page.get_by_role("link", name="Choose other keys"))
    wide.press("Enter")
    wide.tab_to(page.locator("#keyboard summary"))
    wide.press("Enter")
    wide.tab_to(page.locator("#key-next"))
    wide.press("Control+a")
    wide.press("v")
    wide.press("Enter")
    wide.told("Saved")
    wide.press("g", "i")
    expect(rows.first).to_be_visible()
    wide.press("j")
    expect(page.locator(".row[aria-current]")).to_have_count(0)
    wide.press("v")
    wide.stands_on(rows.first.locator("a.what"))


def test_19_the_letters_of_the_north_trigger_nothing(wide: Hands) -> None:
    page, letters = wide.page, "å ä ö æ ø Å Ä Ö Æ Ø @ { } [ ] € $ £ | \\ ! # ? jkxeisatz/g i.12-+"
    address = page.url
    for key, field in (("/", "#q"), ("Control+k", "#palette-q")):
        wide.press(key)
        wide.type(letters)
        expect(page.locator(field)).to_have_value(letters)
        expect(page.locator(field)).to_be_focused()
        wide.press("Escape")
    assert page.url == address
    number = open_case(wide)
    before = case(wide, number).version
    for key, field in (("r", "#body"), ("Escape", ""), ("n", "#note")):
        wide.press(key)
        if field:
            wide.type(letters)
            expect(page.locator(field)).to_have_value(letters)
            expect(page.locator(field)).to_be_focused()
    assert case(wide, number).version == before
    assert [said for said in wide.here.complaints if "409" not in said] == []


def test_20_the_login_expires_while_writing(wide: Hands) -> None:
    page = wide.page
    number = open_case(wide)
    wide.press("r")
    wide.type("Halvskrevet svar")
    expect(page.locator("#reply-form .saved")).to_contain_text("Saved")
    with wide.here.house.database.transaction() as db:
        db.execute(delete(LoginSession))
    wide.type(", og mer")
    again = page.locator("#trouble").get_by_role("link", name="Log in again")
    expect(again).to_be_visible()
    expect(page.locator("#body")).to_be_focused()
    wide.tab_to(again, back=True)
    wide.press("Enter")
    wide.tab_to(page.get_by_label("E-mail"))
    wide.type("anna@storby.example")
    wide.press("Tab")
    wide.type(screens.PASSWORD)
    wide.press("Enter")
    expect(page).to_have_url(f"{wide.here.base}/cases/{number}")
    expect(page.locator("#body")).to_have_value("Halvskrevet svar, og mer")


def test_21_live_updates_move_no_focus_and_can_be_paused(wide: Hands) -> None:
    page = wide.page
    wide.press("j", "j")
    at = page.locator(".row[aria-current] a.what")
    now = datetime.now(UTC)
    screens.collect(wide.here.house, screens.mention(70, "Var är bussen?", now), at=now)
    expect(page.locator("#list button.news")).to_be_visible(timeout=6000)
    wide.told("1 new case")
    wide.stands_on(at)
    live = page.locator("#list-live")
    wide.tab_to(live)
    wide.press("Space")
    expect(live).not_to_be_checked()
    wide.told("The list stands still")
    wide.stands_on(live)


def test_22_the_chart_of_a_story_as_a_table_and_the_overview(wide: Hands) -> None:
    page = wide.page
    now, snow = datetime.now(UTC), "Oplogat på hela Björkdalsvägen, tredje snöfallet i rad @storby"
    said = [screens.mention(200 + n, snow, now - timedelta(minutes=10 * n)) for n in range(6)]
    screens.collect(wide.here.house, *said, at=now)
    while reactions.react(wide.here.house.database, now):
        pass
    wide.tab_to(page.get_by_role("link", name="Stories"))
    wide.press("Enter")
    wide.tab_to(page.locator("main h2 a, main .thing a").first)
    wide.press("Enter")
    table = page.locator("#hours table")
    expect(table).to_be_hidden()
    wide.press("d")
    expect(table).to_be_visible()
    expect(table.get_by_role("columnheader")).to_have_text(["From", "Mentions"])
    assert sum(int(each) for each in table.locator("td:last-child").all_inner_texts()) > 0
    wide.press("g", "o")
    figure = page.locator("#count-unassigned a")
    wide.tab_to(figure)
    how_many = figure.locator("strong").inner_text()
    wide.press("Enter")
    expect(page.locator("#list-total")).to_have_text(how_many)


def test_23_add_a_channel_see_and_cancel_a_back_fill(desk: Open) -> None:
    hands = Hands(desk(who="admin@storby.example"))
    page = hands.page
    hands.tab_to(page.get_by_role("link", name="Administration"))
    hands.press("Enter")
    hands.tab_to(page.get_by_role("link", name="Sources").first)
    hands.press("Enter")
    hands.tab_to(page.get_by_role("link", name="Add a blog"))
    hands.press("Enter")
    hands.tab_to(page.locator("#add input:visible").first)
    hands.seen()
    with hands.here.house.database.read() as db:
        number = db.scalars(select(Source.id).where(Source.name == "x-mentions")).one()
    hands.tab_to(page.locator("h2 a", has_text="x-mentions"))
    hands.press("Enter")
    expect(page).to_have_url(f"{hands.here.base}/admin/sources/{number}")
    hands.tab_to(button(hands, "See what it takes"))
    hands.press("Enter")
    hands.tab_to(button(hands, "Bring it in"))
    hands.press("Enter")
    expect(page.get_by_text("Begins in a moment")).to_be_visible()
    hands.tab_to(button(hands, "Cancel"))
    hands.press("Enter")
    expect(page.get_by_text("No more is read.")).to_be_visible()
