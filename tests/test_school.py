"""Corrections are lessons: kept with who and when, in force at once, taken back when they were wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from database import Database
from errors import NotFoundError
from models import Case, CaseEvent, Lesson, Mention
from tests.factories import MORNING, case_of, said, source, take, user
from triage import cases, judges, reactions, school

ODD = "Flaggspelet vajar vid kajplats sju"


def number(db: Session, id: str) -> int:
    found = case_of(db, id)
    assert found is not None
    return found


def follow(database: Database) -> None:
    while reactions.react(database, MORNING):
        pass


def correct(database: Database, id: str, *, actor: str = "eva@storby.example", **values: object) -> None:
    with database.transaction() as db:
        user(db)
        cases.classify(db, number(db, id), actor=actor, at=MORNING, **values)  # type: ignore[arg-type]
    follow(database)


def lessons(database: Database) -> list[tuple[str, str | None, str, bool]]:
    with database.read() as db:
        rows = db.scalars(select(Lesson).order_by(Lesson.id))
        return [(row.judge, row.was, row.value, row.withdrawn_at is None) for row in rows]


def kind_of(database: Database, id: str, text: str) -> str | None:
    with database.transaction() as db:
        take(db, said(id, id, text=text))
        return db.get_one(Case, number(db, id)).kind


def test_every_mention_that_concerns_us_is_judged_on_its_way_in(database: Database) -> None:
    with database.transaction() as db:
        take(
            db,
            said("top", text="Här är vägen stängd i dag", context=True),
            said("a", text="När öppnar badhuset på lördagar?", to="top"),
            said("us", "us", text="Vi svarar snart", ours=True, to="a"),
        )
        found = {mention.external_id: mention for mention in db.scalars(select(Mention))}
        case = db.get_one(Case, number(db, "a"))
        opened = db.scalars(select(CaseEvent).where(CaseEvent.action == "opened")).one()
    assert found["top"].judgement is None
    assert found["us"].judgement is None
    judged = found["a"].judgement
    assert judged is not None
    assert (judged["kind"][0], judged["language"][0]) == ("question", "sv")
    assert judged["kind"][2], "the words that decided"
    assert (case.kind, case.language, case.wants_answer) == ("question", "sv", True)
    assert opened.changes["kind"] == [None, "question"]


def test_a_correction_is_a_lesson_and_holds_at_once(database: Database) -> None:
    before = kind_of(database, "a", ODD)
    other = "idea" if before != "idea" else "praise"
    correct(database, "a", kind=other)
    assert lessons(database) == [("kind", before, other, True)]
    assert kind_of(database, "b", ODD + " igen") == other
    assert kind_of(database, "c", "När öppnar badhuset på lördagar?") == "question", "the rest is not spoilt"


def test_a_lesson_taken_back_is_as_if_it_had_never_been(database: Database) -> None:
    untaught = judges.judge(ODD + " igen").kind.value
    before = kind_of(database, "a", ODD)
    correct(database, "a", kind="idea" if before != "idea" else "praise")
    with database.transaction() as db:
        school.withdraw(db, 1, at=MORNING)
        assert school.lessons(db).taught("kind", ODD, "sv") is None
    assert kind_of(database, "b", ODD + " igen") == untaught
    with database.transaction() as db, pytest.raises(NotFoundError):
        school.withdraw(db, 99, at=MORNING)


def test_setting_it_back_takes_the_lesson_back(database: Database) -> None:
    before = kind_of(database, "a", ODD)
    other = "idea" if before != "idea" else "praise"
    correct(database, "a", kind=other)
    correct(database, "a", kind=before)
    assert lessons(database) == [("kind", before, other, False)]


def test_rules_and_routing_teach_nothing(database: Database) -> None:
    before = kind_of(database, "a", ODD)
    correct(database, "a", actor="rule:flags", kind="idea" if before != "idea" else "praise")
    assert lessons(database) == []


def test_what_a_person_has_set_no_judge_changes(database: Database) -> None:
    kind_of(database, "a", "Tack för fin service på biblioteket!")
    correct(database, "a", sentiment="neutral", urgency="outage", noise="none")
    with database.transaction() as db:
        take(db, said("b", "a", text="Det här är skandal, jag är så arg!!", to="a"))
        case = db.get_one(Case, number(db, "a"))
        assert (case.sentiment, case.urgency) == ("neutral", "outage")


def test_each_judge_can_be_corrected(database: Database) -> None:
    kind_of(database, "a", ODD)
    with database.read() as db:
        case = db.get_one(Case, number(db, "a"))
        wants = not case.wants_answer
    correct(database, "a", language="nb", wants_answer=wants, sentiment="negative", urgency="danger", noise="bot")
    found = {judge: value for judge, _, value, _ in lessons(database)}
    assert found["wants_answer"] == ("yes" if wants else "no")
    assert {"urgency", "noise", "language"} <= found.keys()
    with database.transaction() as db:
        again = judges.judge(ODD, lessons=school.lessons(db))
    assert again.noise is not None
    assert again.noise.value == "bot"


def test_the_languages_of_author_and_source_help(database: Database) -> None:
    with database.transaction() as db:
        from_source = source(db)
        for n in range(30):
            take(
                db,
                said(f"n{n}", "kari", text="Eg veit ikkje kva tid bussen kjem, men dei seier det berre er å vente"),
                source_id=from_source.id,
            )
        mention = db.scalars(select(Mention).where(Mention.external_id == "n29")).one()
        assert mention.author is not None
        assert mention.author.languages == {"nn": 30}
        assert from_source.languages == {"nn": 30}
        assert school.expected(mention.author.languages, from_source.languages) == {"nn": 1.0}


def test_small_talk_does_not_take_the_wish_for_an_answer_back(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", text="När öppnar badhuset på lördagar?", minutes=0))
        take(db, said("b", "bo", text="Haha, fint väder i dag", to="a", minutes=1))
        case = db.get_one(Case, number(db, "a"))
        small_talk = db.scalars(select(Mention).where(Mention.external_id == "b")).one()
        assert small_talk.judgement is not None
        assert small_talk.judgement["wants_answer"][0] == "no"
        assert case.wants_answer is True
        take(db, said("us", "us", text="Klockan nio", ours=True, to="a", minutes=2))
        take(db, said("c", text="Haha, fint väder i dag", to="us", minutes=3))
        db.refresh(case)
        assert case.wants_answer is False, "what was asked has been answered"


def test_an_urgent_mention_raises_the_priority_and_never_lowers_it(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", text="Lekplatsen är fin"))
        case = db.get_one(Case, number(db, "a"))
        assert case.priority == "normal"
        take(db, said("b", "a", text="HJÄLP det brinner i huset på Storgatan, folk är kvar inne!", to="a", minutes=9))
        db.refresh(case)
        assert (case.urgency, case.priority) == ("danger", "urgent")
        take(db, said("c", "a", text="Lekplatsen är fin", to="a", minutes=19), at=MORNING + timedelta(hours=2))
        db.refresh(case)
        assert (case.urgency, case.priority) == ("danger", "urgent")
