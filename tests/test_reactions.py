"""Reactions to events: what goes wrong with one is shown, what merely got in the way is tried again."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from database import Database
from models import CaseEvent, PendingReaction
from tests.factories import MORNING, said, take
from triage import reactions


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
