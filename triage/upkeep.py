"""What time alone brings about: follow-ups that are due, targets missed, cases resolved long enough ago."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from database import Database
from models import Case, CaseStatus
from triage import cases, dispatch, rulebook, samples, storyteller, targets

ACTOR = "scheduler"
CLOSE_AFTER = timedelta(days=14)  # resolved and quiet for so long: closed; who writes then opens a new case
AT_ONCE = 200  # cases looked up at a time


def tick(database: Database, at: datetime) -> int:
    """Bring up what is due, tell of what is late, give out what waits, close what is done. Returns how many cases."""
    done = targets.tick(database, at) + rulebook.tick(database, at) + dispatch.tick(database, at)
    while changed := _follow_up(database, at) + _close(database, at):
        done += changed
    storyteller.tick(database, at)
    samples.catch_up(database)
    samples.tick(database, at)
    return done


def _follow_up(database: Database, at: datetime) -> int:
    due = select(Case.id).where(Case.follow_up_at <= at).order_by(Case.follow_up_at).limit(AT_ONCE)
    with database.read() as db:
        numbers = list(db.scalars(due))
    for number in numbers:  # each by itself: nobody else is kept waiting, and nobody waits in a circle
        with database.transaction() as db:
            case = cases.get(db, number)
            if case.follow_up_at is not None and case.follow_up_at <= at:
                cases.follow_up_due(db, number, actor=ACTOR, at=at)
    return len(numbers)


def _close(database: Database, at: datetime) -> int:
    done = (Case.status == CaseStatus.resolved, Case.resolved_at <= at - CLOSE_AFTER, Case.follow_up_at.is_(None))
    old = select(Case.id).where(*done, Case.last_activity_at <= at - CLOSE_AFTER).order_by(Case.resolved_at)
    with database.read() as db:
        numbers = list(db.scalars(old.limit(AT_ONCE)))
    for number in numbers:
        with database.transaction() as db:
            if cases.get(db, number).status == CaseStatus.resolved:
                cases.close(db, number, actor=ACTOR, at=at)
    return len(numbers)
