"""Mail to colleagues: what is due goes out in one letter each, at least once, through a server that may misbehave."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

import checkup
import mail
from house import House, declare
from models import CaseEvent, Follow, Mention, Notice, Team, User
from settings import Mail
from tests import mailserver, screens
from tests.conftest import FakeClock
from tests.factories import MORNING, case_of, said, take, user
from tests.mailserver import DROP, HANG, MailServer
from triage import cases, dispatch, notices, reactions, rulebook, story_alarm
from triage.notices import Way
from web import create_app, mails, preferences

STOCKHOLM = ZoneInfo("Europe/Stockholm")
FROM = "Storby kommun <gensvar@storby.example>"
MakeHouse = Callable[..., House]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mailserver.running() as running:
        yield running


@pytest.fixture
def house(make_house: MakeHouse, server: MailServer) -> House:
    return with_mail(make_house, server)


def with_mail(make_house: MakeHouse, server: MailServer, **more: Any) -> House:
    parts = {"smtp": server.address, "security": server.tls, "from": FROM, **more.pop("mail", {})}
    outbound = {"allow_private_networks": True, "read_timeout": "1s", "connect_timeout": "1s"}
    house = make_house(**{"mail": parts, "outbound": outbound, **more})
    declare(house, MORNING)
    with house.database.transaction() as db:
        user(db, "anna")
        user(db, "bo")
    return house


def settings_of(house: House) -> Mail:
    assert house.settings.mail is not None
    return house.settings.mail


def at(**delta: float) -> Callable[[], datetime]:
    return lambda: MORNING + timedelta(**delta)


def chooses(house: House, name: str = "anna", **ways: str) -> None:
    with house.database.transaction() as db:
        user(db, name).preferences = {"notices": ways}


def assigned(house: House, *ids: str, to: str = "anna", when: datetime = MORNING) -> list[int]:
    """Cases that somebody else gives to a colleague, who is told of it."""
    numbers = []
    with house.database.transaction() as db:
        for id in ids:
            text = "Hemlig text av en medborgare"
            said = Mention(channel="net", external_id=id, text=text, published_at=when, collected_at=when)
            db.add(said)
            db.flush()
            case = cases.open_case(db, said, source_id=None, actor="intake", at=when)
            given = cases.assign(db, case.id, assignee=user(db, to), actor="mats@storby.example", at=when)
            notices.tell(db, user(db, to), "take", when, event=given)
            numbers.append(case.id)
    return numbers


def kept(house: House) -> list[Notice]:
    with house.database.read() as db:
        return list(db.scalars(select(Notice).order_by(Notice.id)))


def body(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text


# -- who hears of what, when ------------------------------------------------------------------------------------------


@given(st.timedeltas(timedelta(0), timedelta(days=800)).map(lambda after: MORNING + after))
def test_the_daily_mail_goes_out_the_next_morning_at_eight(when: datetime) -> None:
    due = notices.mail_at(Way.daily, when, STOCKHOLM)
    assert due is not None
    assert due.astimezone(STOCKHOLM).strftime("%H:%M") == "08:00"
    assert timedelta(0) < due - when <= timedelta(hours=25), "at the change of the clocks a day has 25 hours"


@pytest.mark.parametrize(("way", "due"), [(Way.mail, MORNING), (Way.page, None), (Way.off, None)])
def test_at_once_or_not_at_all(way: Way, due: datetime | None) -> None:
    assert notices.mail_at(way, MORNING, STOCKHOLM) == due


@pytest.mark.parametrize("chosen", [None, [], "mail", {"take": "by pigeon"}, {"take": None}])
def test_what_nobody_chose_is_as_usual(chosen: object) -> None:
    assert notices.way({"notices": chosen}, "take") == Way.page
    assert notices.way({"notices": chosen}, "reply_failed") == Way.mail


def test_every_kind_of_notice_can_be_chosen_and_has_its_words() -> None:
    from web import labels

    told = {"take", "author_wrote", "follow_up_due", rulebook.NOTIFIED, dispatch.QUEUE_ALARM, story_alarm.STORY_ALARM}
    assert told <= set(notices.USUAL)
    for kind in notices.USUAL:
        assert "_" not in labels.notice(kind, {"rule": "r", "waiting": 1, "team": "t"}), kind


@pytest.mark.parametrize(("way", "told"), [("off", 0), ("daily", 1)])
def test_a_notice_by_the_way_its_reader_chose(house: House, way: str, told: int) -> None:
    chooses(house, take=way)
    with house.database.transaction() as db:
        take(db, said("a"), at=MORNING)
        number = case_of(db, "a")
        assert number is not None
        cases.assign(db, number, assignee=user(db, "anna"), actor="mats@storby.example", at=MORNING)
    while reactions.react(house.database, MORNING):
        pass
    assert len(kept(house)) == told
    assert all(notice.mail_at == MORNING + timedelta(hours=23) for notice in kept(house))


def test_who_has_muted_a_case_hears_nothing_of_it(house: House) -> None:
    (number,) = assigned(house, "a")
    with house.database.transaction() as db:
        db.add(Follow(user_id=user(db, "anna").id, case_id=number, muted=True))
        given = cases.assign(db, number, assignee=None, actor="mats@storby.example", at=MORNING)
        notices.tell(db, user(db, "anna"), "take", MORNING, event=given)
        notices.tell(db, user(db, "bo"), "take", MORNING, event=given)
    with house.database.read() as db:
        assert list(db.scalars(select(User.name).join(Notice).order_by(Notice.id))) == ["Anna", "Bo"]


def test_of_one_event_once_whatever_the_reasons(house: House) -> None:
    assigned(house, "a")
    with house.database.transaction() as db:
        (notice,) = db.scalars(select(Notice))
        notices.tell(db, user(db, "anna"), "take", MORNING, event=notice.event)
    assert len(kept(house)) == 1


# -- the letter -------------------------------------------------------------------------------------------------------


def test_all_that_is_due_in_one_letter_without_a_word_of_a_citizen(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    first, second = assigned(house, "a", "b")
    (posted,) = mail.deliver(house, at(seconds=5))
    assert (posted.notices, posted.error) == (2, None)
    (letter,) = server.letters
    assert server.envelopes == [("gensvar@storby.example", "anna@storby.example")]
    assert letter["Subject"] == "Gensvar: 2 saker att känna till"
    for kind in ("plain", "html"):
        text = body(letter, kind)
        assert f"#{first} Ärendet tilldelades dig" in text
        assert f"http://127.0.0.1:8000/cases/{second}" in text
        assert "http://127.0.0.1:8000/me/notifications" in text
    raw = letter.as_string() + body(letter) + body(letter, "html")
    for secret in ("Hemlig", "medborgare", "Anna", "mats", "net.example"):
        assert secret not in raw.replace("anna@storby.example", ""), "mail leaves the house"
    assert all(notice.mailed_at and not notice.mail_at for notice in kept(house))
    assert mail.deliver(house, at(hours=1)) == [], "once"


def test_headers_say_that_a_machine_wrote_it(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    (number,) = assigned(house, "a")
    mail.deliver(house, at())
    (letter,) = server.letters
    assert letter["Subject"] == f"Gensvar: #{number} Ärendet tilldelades dig"
    assert letter["From"] == FROM
    assert letter["To"] == "anna@storby.example"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["List-Unsubscribe"] == "<http://127.0.0.1:8000/me/notifications>"
    assert letter["Message-ID"].endswith("@storby.example>")
    assert letter["Date"].datetime == MORNING


def test_in_the_language_of_the_reader(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    with house.database.transaction() as db:
        user(db, "anna").language = "nn"
    assigned(house, "a", when=MORNING)
    mail.deliver(house, at())
    assert "Saka vart tildelt deg" in body(server.letters[0]) or "tildel" in body(server.letters[0])
    assert "tilldelades" not in body(server.letters[0])


def test_many_notices_are_listed_so_far_and_then_counted(
    house: House, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mails, "LISTED", 3)
    chooses(house, take="mail")
    assigned(house, *(f"m{n}" for n in range(6)))
    mail.deliver(house, at())
    assert body(server.letters[0]).count("/cases/") == mails.LISTED
    assert "och 3 till" in body(server.letters[0])
    assert mail.deliver(house, at(hours=1)) == []


@pytest.mark.screens
def test_a_queue_and_a_story_have_their_addresses(storby: House, browser: Callable[..., Any]) -> None:
    here = browser()
    number = kept_case(storby)
    for notice in (
        Notice(kind="take", detail={}, event=CaseEvent(case_id=number)),
        Notice(kind="queue_alarm", detail={"team": "Gata & park", "waiting": 4}),
    ):
        assert here.get(mails.address(notice)).status_code == 200
    assert mails.address(Notice(kind="story_alarm", story_id=4, detail={})) == "/stories/4"
    assert here.get(mails.CHOICES).status_code == 200


def kept_case(house: House) -> int:
    with house.database.read() as db:
        found = db.scalar(select(CaseEvent.case_id).limit(1))
        assert found is not None
        return found


@pytest.mark.parametrize("what", ["to", "subject"])
def test_no_header_can_be_smuggled_in(house: House, what: str) -> None:
    values = {"to": "anna@storby.example", "subject": "s", what: "x@y.example\r\nBcc: eve@evil.example"}
    letter = mail.Letter(text="t", html="h", id="<1@x>", unsubscribe="http://127.0.0.1/me", **values)
    if what == "to":
        with pytest.raises(mail.Refused, match="no address"):
            mail.compose(settings_of(house), letter, MORNING)
    else:
        made = mail.compose(settings_of(house), letter, MORNING)
        assert (made["Bcc"], made["Subject"]) == (None, "x@y.example Bcc: eve@evil.example")


@pytest.mark.parametrize(
    "address", ["år@storby.example", "two words@x.example", "a@", "<a@b.example>", "a,b@c.example"]
)
def test_an_address_no_server_takes_is_given_up(house: House, server: MailServer, address: str) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    with house.database.transaction() as db:
        db.execute(update(User).where(User.email == "anna@storby.example").values(email=address))
    (posted,) = mail.deliver(house, at())
    assert posted.error is not None
    assert posted.again_at is None
    assert server.letters == []


def test_a_domain_of_other_letters_is_written_to(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    with house.database.transaction() as db:
        db.execute(update(User).where(User.email == "anna@storby.example").values(email="anna@åre.example"))
    mail.deliver(house, at())
    assert server.envelopes == [("gensvar@storby.example", "anna@xn--re-xia.example")]


# -- when and whether -------------------------------------------------------------------------------------------------


def test_at_most_one_letter_a_minute_each(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    chooses(house, "bo", take="mail")
    assigned(house, "a")
    mail.deliver(house, at())
    assigned(house, "b", "c", when=MORNING + timedelta(seconds=10))
    assigned(house, "d", to="bo", when=MORNING + timedelta(seconds=10))
    mail.deliver(house, at(seconds=30))
    assert [to for _, to in server.envelopes] == ["anna@storby.example", "bo@storby.example"]
    mail.deliver(house, at(seconds=61))
    assert len(server.letters) == 3
    assert body(server.letters[2]).count("/cases/") == 2


@pytest.mark.parametrize("why", ["seen", "chosen otherwise", "disabled"])
def test_what_is_no_news_any_more_is_not_mailed(house: House, server: MailServer, why: str) -> None:
    chooses(house, take="daily")
    assigned(house, "a")
    with house.database.transaction() as db:
        if why == "seen":
            db.execute(update(Notice).values(seen_at=MORNING))
        elif why == "disabled":
            user(db, "anna").disabled_at = MORNING
    if why == "chosen otherwise":
        chooses(house, take="page")
    assert mail.deliver(house, at(hours=22)) == []
    assert mail.deliver(house, at(hours=24)) == []
    assert [notice.mail_at for notice in kept(house)] == [None]
    assert server.commands == []


def test_without_a_server_nothing_is_lost_and_nothing_comes_late(make_house: MakeHouse) -> None:
    house = make_house()
    with house.database.transaction() as db:
        user(db, "anna").preferences = {"notices": {"take": "mail"}}
    assigned(house, "a")
    assert mail.deliver(house, at()) == []
    (notice,) = kept(house)
    assert (notice.mail_at, notice.seen_at) == (None, None)
    assert not mail.anything(house.database, MORNING)


# -- a server that misbehaves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "how"),
    [
        ("hello", "421 too busy"),
        ("EHLO", "451 later, please"),
        ("MAIL", DROP),
        ("RCPT", "451 4.3.0 grey list"),
        ("RCPT", "421 going down"),
        ("DATA", "451 later, please"),
        (".", "452 no room"),
        (".", DROP),
    ],
)
def test_a_passing_fault_is_tried_again(house: House, server: MailServer, where: str, how: str) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    server.answers[where] = [how] * (2 if where == "EHLO" else 1)  # after a refused EHLO, HELO is tried
    if where == "EHLO":
        server.answers["HELO"] = [how]
    (posted,) = mail.deliver(house, at())
    assert posted.error is not None
    assert posted.error.startswith(server.address)
    assert posted.again_at == MORNING + mail.FIRST_RETRY
    assert mail.deliver(house, at(seconds=30)) == [], "not before its time"
    server.answers.clear()
    assert [each.error for each in mail.deliver(house, at(seconds=60))] == [None]
    (notice,) = kept(house)
    assert (notice.mail_error, notice.mail_at, notice.mail_attempts) == (None, None, 2)
    ids = {letter["Message-ID"] for letter in server.letters}
    assert len(ids) == 1, "what may have come through twice is the same letter for a mail program"
    assert len(server.letters) == (2 if (where, how) == (".", DROP) else 1)


@pytest.mark.parametrize("where", ["RCPT", "."])
def test_a_letter_refused_for_good_is_given_up_and_shown(house: House, server: MailServer, where: str) -> None:
    chooses(house, take="mail")
    chooses(house, "bo", take="mail")
    assigned(house, "a")
    assigned(house, "b", to="bo")
    server.answers[where] = ["550 5.1.1 no such\r\n"]
    first, second = mail.deliver(house, at())
    assert (first.again_at, second.error) == (None, None), "what one is refused does not hold up the other"
    assert first.error is not None
    assert "550 5.1.1 no such" in first.error
    assert mail.deliver(house, at(days=1)) == []
    found = {each.what: each for each in checkup._mail(house, MORNING, known=True)}
    assert found["mail"].remedy is None
    assert "0 notices wait after a failed attempt, 1 were given up" in found["mail sent"].found


@pytest.mark.slow
@pytest.mark.parametrize("where", ["hello", "."])
def test_a_server_that_hangs_holds_nobody_up_for_ever(house: House, server: MailServer, where: str) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    server.answers[where] = HANG
    (posted,) = mail.deliver(house, at())
    assert posted.again_at is not None


@pytest.mark.slow
def test_a_server_that_drips_is_cut_off(house: House, server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "LONGEST_CALL", 0.5)
    server.answers["hello"] = "\r\n".join(["220-still there"] * 3)  # and never the last line

    def drip(self: Any, house: MailServer, words: str) -> None:
        for _ in range(200):
            self.wfile.write(b"220-still there\r\n")
            if house.let_go.wait(0.05):
                return

    monkeypatch.setattr(mailserver._Handler, "_say", drip)
    chooses(house, take="mail")
    assigned(house, "a")
    began = datetime.now(UTC)
    (posted,) = mail.deliver(house, at())
    assert posted.error is not None
    assert datetime.now(UTC) - began < timedelta(seconds=5)


def test_where_nobody_listens_all_wait_and_are_not_tried_one_by_one(make_house: MakeHouse) -> None:
    with mailserver.running() as server:
        house = with_mail(make_house, server)
    for name in ("anna", "bo"):
        chooses(house, name, take="mail")
        assigned(house, name, to=name)
    (posted,) = mail.deliver(house, at())
    assert posted.error is not None
    assert "cannot be reached" in posted.error
    waiting = [(notice.mail_at, notice.mail_attempts, notice.mail_error) for notice in kept(house)]
    assert waiting == [(MORNING + mail.FIRST_RETRY, 1, posted.error)] * 2


@pytest.mark.slow
def test_the_pauses_grow_and_after_days_it_is_given_up_for_all_to_see(make_house: MakeHouse) -> None:
    with mailserver.running() as server:
        house = with_mail(make_house, server)
    for name in ("anna", "bo"):
        chooses(house, name, take="mail")
        assigned(house, name, to=name)
    clock, pauses = FakeClock(MORNING), []
    while (posted := mail.deliver(house, clock)) and posted[0].again_at is not None:
        pauses.append(posted[0].again_at - clock.at)
        clock.at = posted[0].again_at
    now = clock.at
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (mail.FIRST_RETRY, mail.LONGEST_RETRY)
    assert now - MORNING > mail.GIVE_UP_AFTER
    assert [notice.mail_at for notice in kept(house)] == [None, None]
    (_, sent) = checkup._mail(house, now, known=True)
    assert "0 notices wait after a failed attempt, 2 were given up" in sent.found
    assert sent.remedy


# -- never two at once, never lost in between -------------------------------------------------------------------------


def test_a_second_worker_takes_nothing_while_the_first_sends(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    server.answers["."] = HANG
    first = threading.Thread(target=mail.deliver, args=(house, at()))
    first.start()
    while "DATA" not in server.commands:
        server.let_go.wait(0.01)
    assert mail.deliver(house, at(hours=5)) == [], "somebody is at it"
    server.let_go.set()
    first.join()


def test_what_is_claimed_is_nobody_elses_and_comes_again_after_a_crash(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    with house.database.read() as db:
        anna = db.scalars(select(User.id).where(User.email == "anna@storby.example")).one()
    assert mail._claim(house, anna, MORNING) is not None
    assert mail._claim(house, anna, MORNING) is None, "and here its worker dies"
    assert mail.deliver(house, at(seconds=59)) == []
    assert [each.error for each in mail.deliver(house, at(seconds=60))] == [None]
    assert len(server.letters) == 1


def test_nothing_new_is_begun_while_stopping(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    assigned(house, "a")
    stopping = threading.Event()
    stopping.set()
    assert mail.deliver(house, at(), stopping) == []
    assert server.commands == []
    assert len(mail.deliver(house, at())) == 1


# -- the connection ---------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ssl.create_default_context

    def trusting(*args: Any, **more: Any) -> ssl.SSLContext:
        context = real(*args, **more)
        if not args:
            mailserver.authority().configure_trust(context)
        return context

    monkeypatch.setattr(ssl, "create_default_context", trusting)


LOGIN = {"username": "gensvar", "password": "hunter2-åäö"}


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.usefixtures("trusted")
def test_encrypted_and_logged_in(make_house: MakeHouse, security: str) -> None:
    with mailserver.running(tls=security, login=("gensvar", "hunter2")) as server:
        house = with_mail(make_house, server, mail={"username": "gensvar", "password": "hunter2"})
        chooses(house, take="mail")
        assigned(house, "a")
        assert [each.error for each in mail.deliver(house, at())] == [None]
        assert len(server.letters) == 1
        found = mail.probe(house, settings_of(house))
        assert "login as gensvar accepted" in found
        assert server.commands[-2:] == ["AUTH", "QUIT"], "nothing is sent to try it"


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_told_without_telling_it(
    make_house: MakeHouse, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with mailserver.running(tls="starttls", login=("gensvar", "right")) as server:
        house = with_mail(make_house, server, mail={"username": "gensvar", "password": "hunter2"})
        chooses(house, take="mail")
        assigned(house, "a")
        (posted,) = mail.deliver(house, at())
        (found,) = [each for each in checkup._mail(house, MORNING, known=False)]
    assert posted.again_at is not None
    assert found.remedy
    told = f"{posted.error} {found} {caplog.text} {capfd.readouterr()} {house.settings!r}"
    assert "535 5.7.8 who are you" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for_is_refused(make_house: MakeHouse, security: str) -> None:
    with mailserver.running(tls=security) as server:
        house = with_mail(make_house, server)
        with pytest.raises(mail.Refused, match="no secure connection: unable to get local issuer certificate"):
            mail.probe(house, settings_of(house))
        assert "MAIL" not in server.commands


def test_a_server_that_will_not_encrypt_gets_nothing(make_house: MakeHouse, server: MailServer) -> None:
    house = with_mail(make_house, server, mail={"security": "starttls"})
    with pytest.raises(mail.Refused, match="STARTTLS"):
        mail.probe(house, settings_of(house))
    assert "MAIL" not in server.commands


def test_inside_our_own_network_only_where_it_is_allowed(make_house: MakeHouse, server: MailServer) -> None:
    house = with_mail(make_house, server, outbound={"allow_private_networks": False})
    with pytest.raises(mail.Refused, match="no public address"):
        mail.probe(house, settings_of(house))
    assert server.commands == []
    house = with_mail(make_house, server, outbound={"allow_hosts": [server.address]})
    assert server.address in mail.probe(house, settings_of(house))


def test_check_says_so_where_no_mail_is_sent(make_house: MakeHouse) -> None:
    (found,) = checkup._mail(make_house(), MORNING, known=True)
    assert found.remedy is None
    assert "no server" in found.found


def test_what_a_reader_may_no_longer_see_is_not_mailed(house: House, server: MailServer) -> None:
    chooses(house, take="mail")
    hidden, seen = assigned(house, "a", "b")
    with house.database.transaction() as db:
        team = Team(name="Socialtjänst", members_only=True)
        db.add(team)
        db.flush()
        cases.assign_team(db, hidden, team=team, actor="mats@storby.example", at=MORNING)
    mail.deliver(house, at())
    assert f"/cases/{seen}" in body(server.letters[0])
    assert f"/cases/{hidden}" not in body(server.letters[0])


# -- the settings -----------------------------------------------------------------------------------------------------


@pytest.mark.screens
def test_everybody_chooses_for_each_kind(storby: House, browser: Callable[..., Any]) -> None:
    here = browser()
    page = here.get("/me/notifications").get_data(as_text=True)
    assert "Mail cannot be chosen" in page
    assert page.count("<select") == len(notices.USUAL)
    sent = {"way-take": "off", "way-sla_warning": "daily", "browser-take": "1"}
    assert here.post("/me/notifications", data=sent).status_code == 303
    with storby.database.read() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        assert notices.way(anna.preferences, "take") == Way.off
        assert notices.way(anna.preferences, "reply_failed") == Way.mail, "what was not sent stays as it was"
        assert preferences.of(anna).silent == {"sla_warning"}
    page = here.get("/me/notifications").get_data(as_text=True)
    assert '<option value="daily" selected>' in page
    assert here.post("/me/notifications", data={"way-take": "by pigeon"}).status_code == 400


@pytest.mark.screens
def test_the_administration_shows_what_could_not_be_mailed(
    make_house: MakeHouse, server: MailServer, quick_passwords: None
) -> None:
    house = make_house(mail={"smtp": server.address, "security": "none", "from": FROM})
    screens.people(house.database, MORNING)
    chooses(house, "mats", take="mail")
    assigned(house, "a", to="mats")
    server.answers["RCPT"] = ["550 5.1.1 no such mailbox"]
    mail.deliver(house, at())
    client = create_app(house, clock=at(hours=1)).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    client.post("/login", data={"email": "admin@storby.example", "password": screens.PASSWORD})
    page = client.get("/admin").get_data(as_text=True)
    assert "no such mailbox" in page
    assert "1 was given up" in page
