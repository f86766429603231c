"""Reactions to events: what goes wrong with one is shown, what merely got in the way is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

import checkup
from database import Database
from house import House, declare
from models import Case, CaseEvent, PendingReaction, Sample
from settings import Calendar, Sla
from tests.factories import MORNING, case_of, said, take
from tests.reported import CALENDAR, TARGETS
from triage import policy, reactions, samples


class Deadlock(Exception):
    sqlstate = "40P01"


@pytest.mark.parametrize(("why", "left"), [(Deadlock(), 0), (Exception("no such thing"), 1)])
def test_a_deadlock_loses_no_consequence(
    database: Database, monkeypatch: pytest.MonkeyPatch, why: Exception, left: int
) -> None:
    with database.transaction() as db:
        take(db, said("a"))
    goes_wrong = [True]

    def react(db: Session, event: CaseEvent, at: datetime) -> None:
        if goes_wrong.pop() if goes_wrong else False:
            raise OperationalError("SELECT", {}, why)

    monkeypatch.setattr(reactions, "ALWAYS", (react,))
    reactions.react(database, MORNING)
    reactions.react(database, MORNING)
    with database.read() as db:
        assert len(db.scalars(select(PendingReaction)).all()) == left


@pytest.mark.one_database
def test_a_date_at_the_end_of_time_stops_nothing_and_is_shown(house: House) -> None:
    declare(house, MORNING)
    with house.database.transaction() as db:
        policy.put(db, "calendars", Calendar.model_validate(CALENDAR), by="test", at=MORNING - timedelta(days=1))
        policy.put(db, "sla", Sla.model_validate(TARGETS), by="test", at=MORNING - timedelta(days=1))
        strange = replace(said("strange", "b"), published_at=datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
        take(db, said("before", "a", minutes=0), strange, said("after", "c", minutes=1))
    while reactions.react(house.database, MORNING):
        pass
    samples.catch_up(house.database)
    with house.database.read() as db:
        (shown,) = db.scalars(select(PendingReaction))
        assert db.get_one(CaseEvent, shown.event_id).case_id == case_of(db, "strange")
        assert str(shown.error).startswith("OverflowError: ")
        due = {each.id for each in db.scalars(select(Case).where(Case.first_response_due_at.is_not(None)))}
        assert due == {case_of(db, "before"), case_of(db, "after")}, "the others have their targets"
        received = set(db.scalars(select(Sample.case_id).where(Sample.measure == "received")))
        assert received == {*due, case_of(db, "strange")}, "none is missing in the figures"
    (finding,) = checkup._reactions(house, MORNING)
    assert "OverflowError: " in finding.found
    assert finding.remedy
