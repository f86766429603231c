"""Whether it was worth it: answers used again, people reached, and calls, with what is assumed and who assumed it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from database import Database
from house import House
from models import AuditEntry, Author, CaseStatus, Person, SharedAnswer, SharedAnswerPart, Team, TeamMember
from reports.figures import Asked, report
from reports.value import Kind, Saved, Texts, Value, assumptions, made_of, people_of, value
from settings import CannedReply
from tests.conftest import FakeClock
from tests.factories import MORNING, case_of, said, take, user
from tests.test_report_stories import answer, come, told
from triage import cases, policy, reactions, samples
from triage.measures import Measure
from triage.policy import Assumption
from web import create_app
from web.access import look_as

DAY = Asked(date(2026, 11, 24), date(2026, 11, 25))
PLOUGHED = "Hej {name}! Plogen kommer till din gata i dag, ärende {case}."
Browser = Callable[[str | None], FlaskClient]


def canned(database: Database, text: str = PLOUGHED, name: str = "plogning") -> None:
    with database.transaction() as db:
        policy.put(db, "canned_replies", CannedReply(name=name, texts={"sv": text}), by="t", at=MORNING)


def of(database: Database, asked: Asked = DAY) -> Value:
    reactions.react(database, MORNING + timedelta(hours=9))
    samples.catch_up(database)
    with database.read() as db:
        return value(db, asked)


@pytest.mark.parametrize(
    ("body", "made_of_it"),
    [
        ("Hej Anna! Plogen kommer till din gata i dag, ärende 7.", True),
        ("Hej! Plogen kommer till din gata i dag, ärende 7.\n\n/Eva", True),
        ("Hej Bo! Plogen kommer till din gata i dag, ärende 7. Tack för att du sade till.", True),
        ("Hej Bo! Plogen kommer till din gata i morgon, ärende 7.", False),
        ("Hej Bo! Plogen kommer till din gata i dag, ärende 7. " + "Det här är en lång historia. " * 9, False),
        ("Hej!", False),
    ],
)
def test_an_answer_is_from_a_canned_reply_when_its_words_are(database: Database, body: str, made_of_it: bool) -> None:
    canned(database)
    with database.transaction() as db:
        answer(db, come(db, "a", 0), 5, body)
    found = of(database)
    assert (found.answers, found.from_prepared, found.reused) == (1, made_of_it, made_of_it)
    assert [each.title for each in found.prepared] == ["plogning"] * made_of_it


def test_a_canned_reply_that_was_changed_since_counts_as_it_was(database: Database) -> None:
    canned(database)
    with database.transaction() as db:
        answer(db, come(db, "a", 0), 5, "Hej Anna! Plogen kommer till din gata i dag, ärende 1.")
        new = CannedReply(name="plogning", texts={"sv": "Något helt annat, som ingen har skrivit."})
        policy.put(db, "canned_replies", new, instead_of="plogning", by="t", at=MORNING)
    assert of(database).from_prepared == 1


def for_all(database: Database, *people: str, minutes: float = 30) -> None:
    """One answer for all that went out to a case of each of them."""
    with database.transaction() as db:
        numbers = [case_of(db, id) or come(db, id, 0) for id in people]
        story = told(db, *numbers)
        shared = SharedAnswer(
            story_id=story.id, user_id=user(db).id, key="k", texts={}, then="keep", created_at=MORNING
        )
        db.add(shared)
        db.flush()
        for number in numbers:
            reply = answer(db, number, minutes, "Vi plogar.")
            part = SharedAnswerPart(shared_answer_id=shared.id, case_id=number, body="", version=1, reply_id=reply)
            db.add(part)


def test_whom_an_answer_for_all_reached(database: Database) -> None:
    for_all(database, "a", "b", "c")
    with database.transaction() as db:
        take(db, said("later", "eve", to="a", minutes=50), said("early", "fay", to="b", minutes=10))
    found = of(database)
    (one,) = found.for_all
    assert one.shared is not None
    assert (one.answers, one.people, one.shared.by) == (3, 4, "Eva"), "who wrote in these cases before the answer"
    assert (found.reused, found.reused_share, found.people_for_one) == (3, 1.0, 4.0)


def test_the_answers_made_of_a_text_are_as_many_as_it_says_the_latest_first(database: Database) -> None:
    canned(database)
    for_all(database, "a", "b", "c")
    with database.transaction() as db:
        numbers = [come(db, id, 0) for id in ("x", "y")]
        for minutes, number in zip((5, 40), numbers, strict=True):
            answer(db, number, minutes, "Hej! Plogen kommer till din gata i dag, ärende 1.")
    found = of(database)
    with database.read() as db:
        (one,) = found.for_all
        assert one.shared is not None
        for_each = made_of(db, DAY, Texts(shared=one.shared.id), begins=1)
        assert (for_each.total, len(for_each.sent)) == (one.answers, 2)
        prepared = made_of(db, DAY, Texts(canned="plogning"))
        assert [each.case for each in prepared.sent] == numbers[::-1]
        assert [each.at - MORNING for each in prepared.sent] == [timedelta(minutes=40), timedelta(minutes=5)]
        assert (prepared.total, made_of(db, DAY, Texts(canned="nothing")).total) == (found.from_prepared, 0)


def test_every_number_of_answers_and_people_opens_as_many(database: Database) -> None:
    canned(database)
    canned(database, "Vi återkommer till dig i morgon.", "senare")
    for_all(database, "a", "b", "c")
    with database.transaction() as db:
        take(db, said("early", "fay", to="b", minutes=10))
        for id in ("x", "y"):
            answer(db, come(db, id, 0), 5, "Hej! Plogen kommer till din gata i dag, ärende 1.")
        answer(db, case_of(db, "a") or 0, 50, "Vi återkommer till dig i morgon.")
        answer(db, come(db, "anew", 0), 5, "Det vet vi inte än.")
    found = of(database)
    wanted = {
        Texts(): (found.reused, found.people),
        Texts(kind=Kind.shared): (found.from_all, found.people_for_all),
        Texts(kind=Kind.canned): (found.from_prepared, 3),
        Texts(canned="nothing"): (0, 0),
    }
    wanted |= {
        Texts(shared=each.shared.id) if each.shared else Texts(canned=each.title): (each.answers, each.people)
        for each in found.used
    }
    assert len(wanted) == 7 and wanted[Texts()] == (6, 6)
    with database.read() as db:
        for texts, (answers, people) in wanted.items():
            made, (n, helped) = made_of(db, DAY, texts), people_of(db, DAY, texts)
            assert (made.total, len(made.sent), n, len(helped)) == (answers, answers, people, people), texts
            assert len(set(helped)) == people, "nobody twice"
            rest = people_of(db, DAY, texts, begins=1)[1]
            assert rest == helped[1:]


def test_what_is_not_seen_is_not_counted(storby: House) -> None:
    create_app(storby)  # which puts up the guard
    canned(storby.database)
    for_all(storby.database, "a", "b")
    text = "Hej! Plogen kommer till din gata i dag, ärende 1."
    with storby.database.transaction() as db:
        team = Team(name="Skydd", members_only=True, members=[TeamMember(email="eva@storby.example")])
        db.add(team)
        db.flush()
        for id in ("x", "y"):
            answer(db, come(db, id, 0), 5, text)
        for id in ("a", "x"):
            cases.assign_team(db, case_of(db, id) or 0, team=team, actor="t", at=MORNING)
        hidden = frozenset({team.id})
    everything = of(storby.database)
    with storby.database.read() as db:
        look_as(db, hidden)
        seen = value(db, DAY)
        listed = [len(made_of(db, DAY, what).sent) for what in (Texts(canned="plogning"), Texts(shared=1))]
        people = [len(people_of(db, DAY, what)[1]) for what in (Texts(canned="plogning"), Texts(shared=1))]
    for found, n in ((everything, 2), (seen, 1)):
        assert (found.answers, found.people, found.from_prepared, found.from_all, found.people_for_all) == (
            2 * n, 2 * n, n, n, n,
        )  # fmt: skip
        assert [each.people for each in found.used] == [n, n]
    assert listed == people == [1, 1]


def test_one_human_over_several_authors_is_one(database: Database) -> None:
    for_all(database, "a", "b")
    with database.transaction() as db:
        human = Person(name="A", created_at=MORNING)
        db.add(human)
        db.flush()
        for author in db.scalars(select(Author)):
            author.person_id = human.id
    assert of(database).people == 1


def test_whom_an_answer_written_anew_reached_is_not_helped_by_one_used_again(database: Database) -> None:
    canned(database)
    for_all(database, "a", "b")
    with database.transaction() as db:
        answer(db, come(db, "anew", 0), 5, "Det vet vi inte än, vi frågar.")
    assert (of(database).answers, of(database).people) == (3, 2)
    with database.transaction() as db:
        answer(db, come(db, "c", 0), 5, "Hej! Plogen kommer till din gata i dag, ärende 1.")
        answer(db, case_of(db, "a") or 0, 50, "Hej! Plogen kommer till din gata i dag, ärende 1.")
    found = of(database)
    assert (found.people_for_all, [each.people for each in found.prepared]) == (2, [2])
    assert found.people == 3, "whom both reached is one"


def test_only_what_went_out_in_the_period_counts(database: Database) -> None:
    for_all(database, "a", "b", minutes=24 * 60)
    assert (of(database).answers, of(database).for_all) == (0, ())
    assert of(database, Asked(DAY.end, DAY.end + timedelta(1))).from_all == 2


def test_as_many_answers_as_every_report_counts(database: Database) -> None:
    with database.transaction() as db:
        one = come(db, "a", 0)
        answer(db, one, 5)
        answer(db, one, 5, "två på samma gång")
        spam = come(db, "b", 0)
        answer(db, spam, 6)
        answer(db, come(db, "c", 0), 7, private=True)
        cases.change_status(db, spam, target=CaseStatus.open, actor="t", at=MORNING)
        cases.change_status(db, spam, target=CaseStatus.ignored, actor="t", at=MORNING)
    found = of(database)
    with database.read() as db:
        assert found.answers == report(db, DAY, [Measure.answer]).total.count(Measure.answer) >= 2


def test_only_what_was_resolved_with_an_answer_might_have_been_a_call(database: Database) -> None:
    with database.transaction() as db:
        answer(db, come(db, "a", 0), 5)
        cases.change_status(db, come(db, "b", 0), target=CaseStatus.resolved, actor="t", at=MORNING)
    found = of(database)
    assert (found.resolved, found.unanswered, found.settled) == (2, 1, 1)


@pytest.mark.parametrize(
    ("cases_", "assumed", "calls", "minutes", "money"),
    [
        (412, Assumption(share=30, minutes=6, cost=450), 124, 744, 5580),
        (412, Assumption(share=30, minutes=6), 124, 744, None),
        (0, Assumption(share=30, minutes=6, cost=450), 0, 0, 0),
        (1, Assumption(share=40, minutes=6, cost=450), 0, 0, 0),
    ],
)
def test_the_calculation_of_calls(
    cases_: int, assumed: Assumption, calls: int, minutes: int, money: int | None
) -> None:
    saved = Saved(cases_, assumed)
    assert (saved.calls, saved.minutes, saved.money) == (calls, minutes, money)


def test_an_assumption_keeps_its_versions(database: Database) -> None:
    with database.transaction() as db:
        assert assumptions(db) == []
        policy.put(db, policy.VALUE, Assumption(share=30, minutes=6), by="mats", at=MORNING)
    with database.transaction() as db:
        later = MORNING + timedelta(days=1)
        policy.put(db, policy.VALUE, Assumption(share=20, minutes=6), instead_of=policy.VALUE, by="ada", at=later)
    with database.read() as db:
        now, before = assumptions(db)
        assert (now.value.share, now.by, now.current) == (20, "ada", True)
        assert (before.value.share, before.by, before.until) == (30, "mats", later)
        assert policy.read(db).calendars == {}, "what is laid down can be read beside it"


# -- on screen --------------------------------------------------------------------------------------------------------


def text_of(client: FlaskClient, address: str) -> str:
    """Without its tags."""
    page = client.get(address).get_data(as_text=True)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.screens
@pytest.mark.one_database
def test_nothing_is_invented_and_a_manager_sets_what_is_assumed(
    browser: Browser, storby: House, clock: FakeClock
) -> None:
    with storby.database.transaction() as db:
        for n in range(10):
            answer(db, come(db, f"a{n}", 0), 5)
    clock.forward(hours=9)
    agent, manager = browser("anna@storby.example"), browser("mats@storby.example")
    page = text_of(agent, "/reports/value")
    assert "nothing has been assumed" in page and "Calls not needed" not in page
    given = {"share": "30", "minutes": "6,5", "cost": "4 50", "currency": "SEK"}
    assert agent.post("/reports/value", data=given).status_code == 403
    refused = manager.post("/reports/value", data={**given, "share": "130", "minutes": "never"})
    assert refused.status_code == 422 and 'value="never"' in refused.get_data(as_text=True)
    assert manager.post("/reports/value", data=given).status_code == 303
    page = text_of(agent, "/reports/value")
    assert "10 cases × 30% = 3 calls" in page
    assert "3 calls × 6.5 min = 20 mins" in page
    assert "20 mins × 450 SEK an hour = 150 SEK" in page
    assert "rests on what Mats Øst assumed" in page and "was not measured" in page


@pytest.mark.screens
@pytest.mark.one_database
def test_every_version_is_kept_and_written_down(browser: Browser, storby: House, clock: FakeClock) -> None:
    manager = browser("mats@storby.example")
    for share in ("30", "20"):
        clock.forward(hours=1)
        manager.post("/reports/value", data={"share": share, "minutes": "6", "currency": "DKK"})
    manager.post("/reports/value", data={"share": "20", "minutes": "6", "currency": "DKK"})  # nothing new
    with storby.database.read() as db:
        _, before = assumptions(db)
        written = list(db.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [(each.action, each.actor) for each in written] == [
        ("add", "mats@storby.example"), ("change", "mats@storby.example"),
    ]  # fmt: skip
    assert written[1].changes == {"share": [30, 20]}
    assert "0 cases × 20%" in text_of(manager, "/reports/value")
    old = text_of(manager, f"/reports/value?assumption={before.id}")
    assert "0 cases × 30%" in old and "no longer in force" in old
    assert manager.get("/reports/value?assumption=999").status_code == 404
    assert manager.post("/reports/value", data={"remove": "1"}).status_code == 303
    assert "nothing has been assumed" in text_of(manager, "/reports/value")
    assert "calls that were not needed" in text_of(browser("admin@storby.example"), "/admin/audit")


@pytest.mark.screens
@pytest.mark.one_database
def test_each_text_leads_to_the_answers_made_of_it(browser: Browser, storby: House, clock: FakeClock) -> None:
    canned(storby.database)
    for_all(storby.database, "a", "b")
    with storby.database.transaction() as db:
        number = come(db, "c", 0)
        answer(db, number, 5, "Hej! Plogen kommer till din gata i dag, ärende 1.")
        shared = db.scalars(select(SharedAnswer.id)).one()
        ones = [case_of(db, "a"), case_of(db, "b")]
    clock.forward(hours=9)
    client = browser("anna@storby.example")
    page = client.get("/reports/value").get_data(as_text=True)
    assert f"shared={shared}" in page and "canned=plogning" in page
    behind = client.get("/reports/value/answers?canned=plogning").get_data(as_text=True)
    assert re.findall(r'href="/cases/(\d+)"', behind) == [str(number)]
    behind = client.get(f"/reports/value/answers?shared={shared}").get_data(as_text=True)
    assert sorted(re.findall(r'href="/cases/(\d+)"', behind)) == sorted(map(str, ones))
    assert "0 answers were made" in text_of(client, "/reports/value/answers?canned=nothing")
    with storby.database.transaction() as db:
        cases.change_status(db, come(db, "d", 1), target=CaseStatus.resolved, actor="t", at=MORNING)
    page = client.get("/reports/value").get_data(as_text=True)
    numbers = re.findall(r'<a href="(/reports/[^"]+)">(\d+)(?: people)?</a>', page)
    opened = {address.partition("?")[0] for address, _ in numbers}
    assert opened == {"/reports/cases", "/reports/value/answers", "/reports/value/people"} and len(numbers) > 10
    settled = re.findall(r'<a href="([^"]+)">Those with an answer', page)
    for address, n in (*numbers, *((each, "3") for each in settled)):
        behind = text_of(client, unescape(address))
        assert re.search(rf" {n} (answer|person|people)|: {n} ·", behind), (address, n)
    assert "3 cases were settled with an answer" in text_of(client, "/reports/value") and settled
    for wrong in ("made=nothing", "shared=x", "canned=x&shared=1", "canned=x&made=shared", "shared=1&made=canned"):
        assert client.get(f"/reports/value/people?{wrong}").status_code in (400, 422)
