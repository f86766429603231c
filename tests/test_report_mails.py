"""Reports by mail: once for each period that has ended, to who still leads, and nothing of a person in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import checkup
import mail
import report_mails
from house import House
from models import AuditEntry, Mention, ReportMail, Role
from tests import mailserver, screens
from tests.factories import user
from tests.mailserver import DROP, HANG, MailServer
from tests.test_mail import FROM, body
from triage import answering, cases
from web import create_app

STOCKHOLM = ZoneInfo("Europe/Stockholm")
TUESDAY = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
MONDAY = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)  # 07:00 in Stockholm
FIRST = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
MakeHouse = Callable[..., House]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mailserver.running() as running:
        yield running


@pytest.fixture
def house(make_house: MakeHouse, server: MailServer, quick_passwords: None) -> House:
    """Storby with a mail server, where the manager has asked for the response times every week."""
    outbound = {"allow_private_networks": True, "read_timeout": "1s", "connect_timeout": "1s"}
    parts = {"smtp": server.address, "security": "none", "from": FROM}
    house = screens.storby(make_house, TUESDAY, mail=parts, outbound=outbound)
    asked_for(house)
    return house


def asked_for(house: House, name: str = "mats", every: str = "week", query: str = "/reports?by=team") -> None:
    with house.database.transaction() as db:
        report_mails.subscribe(db, user(db, name), title="Svarstider", query=query, every=every, at=TUESDAY)


def at(instant: datetime, **delta: float) -> Callable[[], datetime]:
    return lambda: instant + timedelta(**delta)


def kept(house: House) -> list[ReportMail]:
    with house.database.read() as db:
        return list(db.scalars(select(ReportMail).order_by(ReportMail.id)))


# -- when -------------------------------------------------------------------------------------------------------------

INSTANTS = st.timedeltas(timedelta(0), timedelta(days=1500)).map(lambda after: TUESDAY + after)


@pytest.mark.parametrize("every", ["week", "month"])
@given(INSTANTS)
def test_due_at_seven_on_the_wall_when_a_period_has_ended(every: str, when: datetime) -> None:
    due, last = (find(every, when, STOCKHOLM) for find in (report_mails.next_due, report_mails.last_due))
    assert last <= when < due
    for each in (last, due):
        local = each.astimezone(STOCKHOLM)
        assert (local.hour, local.minute) == (7, 0), "whatever the clocks do in between"
        assert local.weekday() == 0 if every == "week" else local.day == 1
    assert report_mails.next_due(every, last, STOCKHOLM) == due, "none is left out"
    assert report_mails.last_due(every, due - timedelta(microseconds=1), STOCKHOLM) == last


@pytest.mark.parametrize(
    ("every", "day", "period"),
    [
        ("week", date(2026, 11, 30), (date(2026, 11, 23), date(2026, 11, 30))),
        ("week", date(2026, 12, 3), (date(2026, 11, 23), date(2026, 11, 30))),
        ("month", date(2027, 1, 1), (date(2026, 12, 1), date(2027, 1, 1))),
        ("month", date(2028, 3, 31), (date(2028, 2, 1), date(2028, 3, 1))),
    ],
)
def test_it_is_about_what_has_just_ended(every: str, day: date, period: tuple[date, date]) -> None:
    assert report_mails.period_before(every, day) == period


# -- the letter -------------------------------------------------------------------------------------------------------


def test_the_link_and_a_few_numbers_of_all(house: House, server: MailServer) -> None:
    screens.a_morning(house, TUESDAY)
    with house.database.transaction() as db:
        cases.assign(db, 1, assignee=user(db, "anna"), actor="anna@storby.example", at=TUESDAY)
    assert mail.deliver(house, at(MONDAY, seconds=-1)) == []
    (posted,) = mail.deliver(house, at(MONDAY))
    assert posted.error is None
    (letter,) = server.letters
    assert letter["To"] == "mats@storby.example"
    assert letter["Subject"].startswith("Gensvar: Svarstider, mån")
    assert letter["List-Unsubscribe"] == "<http://127.0.0.1:8000/reports/mails/1/stop>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content_type() == "text/plain", "nothing in it that could be loaded, so nothing that could tell"
    text = body(letter)
    assert "http://127.0.0.1:8000/reports?by=team&from=2026-11-23&to=2026-11-30" in text
    assert "http://127.0.0.1:8000/reports/mails/1/stop" in text
    numbers = [line.rpartition(": ")[2] for line in text.splitlines() if line.startswith("* ")]
    assert numbers == ["5 (0)", "0 (0)", "5"], "received, answered, waiting; in brackets the week before"
    raw = letter.as_string() + text
    for secret in ("Plogen", "Citizen", "Anna", "anna@", "Mats"):
        assert secret not in raw, "mail leaves the house"


@pytest.mark.one_database
def test_in_the_language_of_its_reader(house: House, server: MailServer) -> None:
    with house.database.transaction() as db:
        user(db, "mats").language = "en"
    mail.deliver(house, at(MONDAY))
    text = body(server.letters[0])
    assert "Mon 23 Nov 2026 – Sun 29 Nov 2026" in text
    assert "* Cases received: 0 (0)" in text
    assert "You asked for this every week. Stop it: http" in text


@pytest.mark.one_database
@pytest.mark.parametrize(("answers", "told"), [(9, False), (10, True)])
def test_the_median_is_left_out_where_it_may_be_one_persons(
    house: House, server: MailServer, answers: int, told: bool
) -> None:
    said = [screens.mention(n, f"Hej {n}", TUESDAY) for n in range(answers)]
    numbers = screens.collect(house, *said, at=TUESDAY)
    with house.database.transaction() as db:
        user(db, "mats").language = "en"
        for number in numbers:
            later = TUESDAY + timedelta(minutes=90)
            said_in = db.scalars(select(Mention.id).where(Mention.case_id == number)).one()
            by: dict[str, Any] = {"user": user(db, "anna"), "replied_at": later, "at": later}
            answering.answered_elsewhere(db, number, to_mention_id=said_in, url=None, **by)
    mail.deliver(house, at(MONDAY))
    assert ("* Time to the first answer, median: 1 hr 30 min" in body(server.letters[0])) == told
    assert f"* First answers: {answers} (0)" in body(server.letters[0])


# -- once -------------------------------------------------------------------------------------------------------------


def test_one_letter_for_each_week(house: House, server: MailServer) -> None:
    for hours in (0, 1, 24, 24 * 6, 24 * 7, 24 * 7 + 1, 24 * 20):
        mail.deliver(house, at(MONDAY, hours=hours))
    days = [body(letter).split("&from=")[1][:10] for letter in server.letters]
    assert days == ["2026-11-23", "2026-11-30", "2026-12-07"], "and of two weeks slept over one, the last"
    assert len({letter["Message-ID"] for letter in server.letters}) == 3


@pytest.mark.one_database
def test_every_month_on_the_first(house: House, server: MailServer) -> None:
    asked_for(house, every="month", query="/reports/volume")
    assert len(mail.deliver(house, at(MONDAY))) == 1
    assert len(mail.deliver(house, at(FIRST))) == 1
    assert "/reports/volume?from=2026-11-01&to=2026-12-01" in body(server.letters[1])


@pytest.mark.one_database
def test_a_machine_that_slept_sends_one_letter_of_the_last_week(house: House, server: MailServer) -> None:
    assert len(mail.deliver(house, at(MONDAY, days=32))) == 1
    assert mail.deliver(house, at(MONDAY, days=33)) == []
    assert "from=2026-12-21&to=2026-12-28" in body(server.letters[0])


def test_a_second_worker_takes_nothing_while_the_first_sends(house: House, server: MailServer) -> None:
    server.answers["."] = HANG
    first = threading.Thread(target=mail.deliver, args=(house, at(MONDAY)))
    first.start()
    while "DATA" not in server.commands:
        server.let_go.wait(0.01)
    assert mail.deliver(house, at(MONDAY, hours=5)) == [], "somebody is at it"
    server.let_go.set()
    first.join()


def test_what_is_claimed_is_nobody_elses_and_comes_again_after_a_crash(house: House, server: MailServer) -> None:
    assert report_mails.claim(house.database, 1, MONDAY) is not None
    assert report_mails.claim(house.database, 1, MONDAY) is None, "and here its worker dies"
    assert mail.deliver(house, at(MONDAY, seconds=59)) == []
    assert len(mail.deliver(house, at(MONDAY, seconds=60))) == 1
    assert mail.deliver(house, at(MONDAY, days=6)) == []


@pytest.mark.one_database
@pytest.mark.parametrize(("where", "how"), [("RCPT", "451 grey list"), (".", DROP)])
def test_a_passing_fault_is_tried_again_as_the_same_letter(
    house: House, server: MailServer, where: str, how: str
) -> None:
    server.answers[where] = [how]
    (posted,) = mail.deliver(house, at(MONDAY))
    assert posted.error is not None
    assert posted.again_at == MONDAY + report_mails.FIRST_RETRY
    assert kept(house)[0].error == posted.error
    assert [each.error for each in mail.deliver(house, at(MONDAY, seconds=60))] == [None]
    (row,) = kept(house)
    assert (row.error, row.due_at) == (None, MONDAY + timedelta(days=7))
    assert len({letter["Message-ID"] for letter in server.letters}) == 1


@pytest.mark.one_database
def test_refused_for_good_waits_for_the_next_week(house: House, server: MailServer) -> None:
    asked_for(house, "admin")
    server.answers["RCPT"] = ["550 5.1.1 no such mailbox"]
    first, second = mail.deliver(house, at(MONDAY))
    assert (first.again_at, second.error) == (None, None), "what one is refused does not hold up the other"
    assert [each.due_at for each in kept(house)] == [MONDAY + timedelta(days=7)] * 2
    assert mail.deliver(house, at(MONDAY, days=7))[0].error is None


def test_where_nobody_listens_all_wait_and_the_pauses_grow(make_house: MakeHouse, quick_passwords: None) -> None:
    with mailserver.running() as server:
        parts = {"smtp": server.address, "security": "none", "from": FROM}
    house = screens.storby(make_house, TUESDAY, mail=parts)
    for name in ("mats", "admin"):
        asked_for(house, name)
    now, pauses = MONDAY, []
    while (posted := mail.deliver(house, at(now))) and posted[0].again_at is not None:
        assert len(posted) == 1, "they are not tried one by one"
        assert len({(each.due_at, each.error) for each in kept(house)}) == 1
        pauses.append(posted[0].again_at - now)
        now = posted[0].again_at
    assert (pauses[0], pauses[-1]) == (report_mails.FIRST_RETRY, report_mails.LONGEST_RETRY)
    assert pauses == sorted(pauses)
    assert now - MONDAY >= report_mails.GIVE_UP_AFTER
    assert {each.due_at for each in kept(house)} == {MONDAY + timedelta(days=7)}


@pytest.mark.one_database
@pytest.mark.parametrize("why", ["disabled", "agent", "reader"])
def test_who_does_not_lead_any_more_gets_none(house: House, server: MailServer, why: str) -> None:
    with house.database.transaction() as db:
        mats = user(db, "mats")
        if why == "disabled":
            mats.disabled_at = TUESDAY
        else:
            mats.role = Role(why)
    assert mail.deliver(house, at(MONDAY)) == []
    assert server.commands == []
    assert kept(house)[0].due_at == MONDAY + timedelta(days=7)


@pytest.mark.one_database
def test_without_a_server_nothing_comes_weeks_later(make_house: MakeHouse, quick_passwords: None) -> None:
    house = screens.storby(make_house, TUESDAY)
    asked_for(house)
    assert mail.deliver(house, at(MONDAY)) == []
    (row,) = kept(house)
    assert (row.error, row.due_at) == (report_mails.NO_SERVER, MONDAY + timedelta(days=7))
    (found,) = checkup._report_mails(house, MONDAY)
    assert found.found.endswith("1 were given up for their period; no mail server is configured")
    assert found.remedy and found.remedy.startswith("configure mail, or stop them at ")


# -- what is wrong is said by ``gensvar check`` -----------------------------------------------------------------------


@pytest.mark.one_database
def test_a_report_that_did_not_go_out_is_said_by_the_check_until_one_does(house: House, server: MailServer) -> None:
    def found(when: datetime) -> list[checkup.Finding]:
        return list(checkup._report_mails(house, when))

    assert found(MONDAY) == []
    server.answers["RCPT"] = ["451 later", "451 later"]
    (posted,) = mail.deliver(house, at(MONDAY))
    waiting = next(each for each in checkup.examine(house, MONDAY) if each.what == "reports by mail")
    assert waiting.found.startswith("1 wait after a failed attempt, 0 were given up for their period; the latest: ")
    assert waiting.found.endswith(str(posted.error))
    assert waiting.remedy and "/reports/mails" in waiting.remedy
    thursday = MONDAY + timedelta(days=3, hours=1)
    mail.deliver(house, at(thursday))
    assert "0 wait after a failed attempt, 1 were given up" in found(thursday)[0].found
    with house.database.transaction() as db:
        user(db, "mats").disabled_at = thursday
    assert found(thursday) == [], "who gets none any more misses none"
    with house.database.transaction() as db:
        user(db, "mats").disabled_at = None
    server.answers.clear()
    (posted,) = mail.deliver(house, at(MONDAY, days=7))
    assert posted.error is None and found(MONDAY + timedelta(days=7)) == []


# -- the page ---------------------------------------------------------------------------------------------------------


def window(house: House, who: str = "mats@storby.example", when: datetime = TUESDAY) -> Any:
    client = create_app(house, clock=lambda: when).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    client.post("/login", data={"email": who, "password": screens.PASSWORD})
    return client


@pytest.mark.screens
@pytest.mark.one_database
def test_asked_for_and_stopped_with_an_entry_in_the_audit_log(house: House) -> None:
    here = window(house)
    sent = {"query": "/reports?by=team&team=Gata&from=2026-01-01&to=2026-02-01&evil=1", "every": "month"}
    for _ in range(2):
        assert here.post("/reports/mails", data=sent).status_code == 303
    weekly, monthly = kept(house)
    assert monthly.query == "/reports?by=team&team=Gata", "without its days, and without what is no report's"
    assert monthly.due_at == FIRST
    page = here.get("/reports/mails").get_data(as_text=True)
    assert "/reports?by=team&amp;team=Gata&amp;period=last-month" in page
    assert "Group by: Team; Team: Gata" in page
    asking = here.get(f"/reports/mails/{monthly.id}/stop").get_data(as_text=True)
    assert "every month" in asking
    assert len(kept(house)) == 2, "opening the link changes nothing"
    assert here.post(f"/reports/mails/{monthly.id}/stop").status_code == 303
    assert here.get(f"/reports/mails/{monthly.id}/stop").status_code == 200
    assert [each.id for each in kept(house)] == [weekly.id]
    with house.database.read() as db:
        entries = db.execute(select(AuditEntry.action, AuditEntry.subject)).all()
    assert [entry for entry in entries if entry.subject.startswith("report:")] == [
        ("add", "report:Overview"), ("remove", "report:Overview"),
    ]  # fmt: skip


def test_asked_for_twice_at_once_it_comes_once(house: House) -> None:
    with ThreadPoolExecutor(1) as pool:
        with house.database.transaction() as db:
            mats = user(db, "mats")
            again: dict[str, Any] = {"title": "Svarstider", "query": "/reports/sla", "every": "week", "at": TUESDAY}
            assert report_mails.subscribe(db, mats, **again) is not None
            second = pool.submit(asked_for, house, query="/reports/sla")
            wait([second], timeout=0.3)
        second.result(timeout=30)
    assert [each.query for each in kept(house)].count("/reports/sla") == 1


@pytest.mark.screens
@pytest.mark.one_database
def test_asked_for_from_the_report_itself(house: House) -> None:
    for who, offered in (("mats@storby.example", True), ("anna@storby.example", False)):
        page = window(house, who).get("/reports/volume?by=team&period=this-week").get_data(as_text=True)
        field = '<input type="hidden" name="query" value="/reports/volume?by=team&amp;period=this-week">'
        assert (field in page) == offered
        assert 'href="/reports/volume.pdf?by=team&amp;period=this-week"' in page
    sent = {"query": "/reports/volume?by=team&period=this-week", "every": "week"}
    window(house).post("/reports/mails", data=sent)
    assert kept(house)[1].query == "/reports/volume?by=team"


@pytest.mark.screens
@pytest.mark.one_database
@pytest.mark.parametrize(
    "wrong",
    [
        {"every": "day"},
        {"query": ""},
        {"query": "https://evil.example/reports"},
        {"query": "//evil.example/reports"},
        {"query": "/admin"},
        {"query": "/reports?assignee=anna@storby.example"},
        {"query": "/reports?tag=" + "x" * 3000},
    ],
    ids=lambda wrong: "-".join(wrong) + str(len(str(wrong))),
)
def test_what_cannot_be_asked_for(house: House, wrong: dict[str, str]) -> None:
    answer = window(house).post("/reports/mails", data={"query": "/reports", "every": "week", **wrong})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.get_data(as_text=True)
    assert len(kept(house)) == 1


@pytest.mark.screens
@pytest.mark.one_database
def test_who_may_see_and_stop_which(house: House) -> None:
    agent = window(house, "anna@storby.example")
    for path in ("/reports/mails", "/reports/mails/1/stop"):
        assert agent.get(path).status_code == 403
    assert agent.post("/reports/mails/1/stop").status_code == 403
    with house.database.transaction() as db:
        user(db, "anna").role = Role.manager
    assert "Svarstider" not in agent.get("/reports/mails").get_data(as_text=True), "each manager sees their own"
    agent.post("/reports/mails/1/stop")
    assert len(kept(house)) == 1
    admin = window(house, "admin@storby.example")
    assert "To Mats Øst" in admin.get("/reports/mails").get_data(as_text=True)
    admin.post("/reports/mails/1/stop")
    assert kept(house) == []


@pytest.mark.screens
@pytest.mark.one_database
def test_the_page_tells_what_went_wrong(house: House, server: MailServer, make_house: MakeHouse) -> None:
    server.answers["RCPT"] = ["550 5.1.1 no such mailbox"]
    mail.deliver(house, at(MONDAY))
    page = window(house, when=MONDAY).get("/reports/mails").get_data(as_text=True)
    assert "no such mailbox" in page
    mute = make_house(accounts=screens.ACCOUNTS, sources=screens.SOURCES)
    mail.deliver(mute, at(MONDAY, days=7))
    page = window(mute, when=MONDAY + timedelta(days=7)).get("/reports/mails").get_data(as_text=True)
    assert page.count("no mail server is named") == 2
