"""Invented examples: there at a click, without clocks, and gone at another, with everything that was done with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from database import Database
from models import (
    Author,
    Base,
    Case,
    CaseEvent,
    CaseLink,
    CaseStatus,
    Draft,
    Follow,
    Lesson,
    Mention,
    Note,
    Notice,
    Person,
    PersonNote,
    Presence,
    Promise,
    Read,
    Reply,
    Source,
    Story,
)
from tests.factories import MORNING, said, source, take, user
from triage import answering, cases, examples, merging, policy, reactions, upkeep

LANGUAGES = ("sv", "nb", "fi")


def contents(database: Database) -> dict[str, list[Any]]:
    with database.read() as db:
        return {
            table.name: sorted(map(repr, db.execute(select(table)).all())) for table in Base.metadata.tables.values()
        }


def put(database: Database, languages: tuple[str, ...] = LANGUAGES) -> int:
    with database.transaction() as db:
        return examples.put(db, channel="blog", languages=languages, at=MORNING)


def remove(database: Database) -> int:
    with database.transaction() as db:
        return examples.remove(db)


def test_they_come_in_the_languages_of_the_organisation_and_only_once(database: Database) -> None:
    assert put(database) == len(examples.TEXTS["sv"]) + len(examples.TEXTS["nb"])
    assert put(database) == 0
    with database.read() as db:
        spoken = set(db.scalars(select(Case.language)))
        assert {"sv", "nb"} <= spoken | {"da", "nn"}
        assert set(db.scalars(select(Case.status))) == {"new"}
        longest = max(db.scalars(select(Case.mention_count)))
    assert longest == 2, "none has an answer under it"
    remove(database)
    assert put(database, ("fi",)) == len(examples.TEXTS[examples.OTHER])


def test_they_start_no_clock_and_tell_nobody(database: Database) -> None:
    from settings import read_part

    with database.transaction() as db:
        eva = user(db)
        rules: dict[str, Any] = {"known": {}, "channels": {}, "check_query": lambda _: None}
        sla = read_part("sla", {"name": "s", "clock": "calendar", "first_response": "1h"}, **rules)
        policy.put(db, "sla", sla, by=eva.email, at=MORNING)
    put(database)
    while reactions.react(database, MORNING):
        pass
    upkeep.tick(database, MORNING + timedelta(days=2))
    while reactions.react(database, MORNING + timedelta(days=2)):
        pass
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Notice)) == 0
        assert db.scalar(select(func.count()).where(Case.next_breach_at.is_not(None))) == 0


def worked_on(database: Database) -> None:
    """Everything that people do with cases, done with the examples."""
    with database.transaction() as db:
        eva, bo = user(db), user(db, "bo")
        one, two, three, four = db.scalars(select(Case.id).where(Case.imported).order_by(Case.id).limit(4))
        first = db.scalars(select(Mention).where(Mention.case_id == one).order_by(Mention.id)).first()
        assert first is not None
        who: dict[str, Any] = {"actor": eva.email, "at": MORNING}
        cases.assign(db, one, assignee=bo, **who)
        cases.classify(db, one, tags=["a", "b"], kind="idea", **who)
        cases.note(db, one, body="@bo", user=eva, at=MORNING)
        merging.merge(db, two, into=one, **who)
        cases.change_status(db, three, target=CaseStatus.resolved, **who)
        answering.answered_elsewhere(
            db, four, to_mention_id=db.scalars(select(Mention.id).where(Mention.case_id == four)).first() or 0,
            url=None, replied_at=MORNING, user=eva, at=MORNING,
        )  # fmt: skip
        event = db.scalars(select(CaseEvent).where(CaseEvent.case_id == one)).first()
        reply = db.scalars(select(Reply)).first()
        assert event is not None
        assert reply is not None
        story = Story(title="x", opened_at=MORNING, last_at=MORNING, size=1)
        person = Person(name="Karin", created_at=MORNING)
        db.add_all([story, person])
        db.flush()
        first.story_id = story.id
        author = db.get_one(Author, first.author_id)
        author.person_id = person.id
        db.get_one(Case, one).story_id = story.id
        db.add_all(
            [
                Notice(user_id=bo.id, event_id=event.id, kind="note", at=MORNING),
                Notice(user_id=bo.id, story_id=story.id, kind="story_alarm", at=MORNING),
                Draft(case_id=one, user_id=bo.id, kind="reply", body="x", case_version=1, updated_at=MORNING),
                Presence(window="w", user_id=bo.id, case_id=one, at=MORNING),
                Read(user_id=bo.id, case_id=one, at=MORNING),
                Follow(user_id=bo.id, case_id=one),
                CaseLink(case_id=one, other_id=three, at=MORNING),
                Lesson(judge="kind", mention_id=first.id, was="idea", value="problem", user_id=eva.id, at=MORNING),
                PersonNote(author_id=author.id, user_id=eva.id, body="x", created_at=MORNING),
                Promise(case_id=four, reply_id=reply.id, words="x", due_at=MORNING, back_at=MORNING, owner_id=bo.id,
                        state="open", made_at=MORNING),
            ]
        )  # fmt: skip


def test_they_leave_nothing_behind(database: Database) -> None:
    with database.transaction() as db:
        user(db), user(db, "bo")
        real = source(db, "real", "blog")
        take(db, said("r1", text="Det här är en riktig fråga?"), channel="blog", source_id=real.id)
    before = contents(database)
    put(database)
    worked_on(database)
    assert contents(database) != before
    assert remove(database) > 3
    after = contents(database)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    with database.read() as db:
        if database.sqlite:
            assert db.execute(text("PRAGMA foreign_key_check")).all() == []
    assert remove(database) == 0, "there is nothing more to remove"


def test_what_real_people_wrote_stays(database: Database) -> None:
    put(database)
    with database.transaction() as db:
        eva, real = user(db), source(db, "real", "blog")
        take(db, said("r1", text="Det här är en riktig fråga?"), channel="blog", source_id=real.id)
        theirs = db.scalars(select(Case.id).where(Case.source_id == real.id)).one()
        invented = db.scalars(select(Case.id).where(Case.source_id != real.id).order_by(Case.id)).first()
        assert invented is not None
        merging.merge(db, theirs, into=invented, actor=eva.email, at=MORNING)  # a real message among invented ones
        cases.note(db, invented, body="x", user=eva, at=MORNING)
    remove(database)
    with database.read() as db:
        assert set(db.scalars(select(Case.id))) == {theirs, invented}
        assert "r1" in db.scalars(select(Mention.external_id)).all()
        assert db.scalars(select(Note.body)).all() == ["x"]
        assert db.scalars(select(Source.name)).all() == ["real"]


def test_events_of_real_cases_cannot_be_deleted(database: Database) -> None:
    from sqlalchemy.exc import DBAPIError

    with database.transaction() as db:
        real = source(db, "real", "blog")
        take(db, said("r1"), channel="blog", source_id=real.id)
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as db:
        db.execute(text("DELETE FROM case_events"))
