"""What one click of a person did, in one case or in many, and taking it back as a whole.

    with batches.begin(db, user, "assign", at):
        cases.assign(db, number, assignee=anna, actor=user.email, at=at)

Every event the person wrote in the block belongs to the batch. ``undo`` takes them back, the last one first, each by
``triage.undoing.undo``; large batches a part at a time, so that nobody waits long for the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select
from sqlalchemy.orm import Session

from errors import NotFoundError
from models import Batch, BatchEvent, CaseEvent, User
from triage import cases, undoing


@dataclass
class Recorded:
    """``id``: of the batch, None as long as nothing was changed. ``events``: what this block wrote, in order."""

    id: int | None = None
    events: list[CaseEvent] = field(default_factory=list)


@dataclass(frozen=True)
class Undone:
    """``cases``: how many are as before, all or part. ``not_undone``: (number of a case, what stayed in it: a field, or
    an action). ``left``: events not looked at yet."""

    cases: int
    not_undone: list[tuple[int, str]]
    left: int = 0


@contextmanager
def begin(db: Session, user: User, action: str, at: datetime, *, onto: int | None = None) -> Iterator[Recorded]:
    """The events that ``user`` writes in the block are one batch; ``onto``: one that was begun earlier."""
    recorded = Recorded(onto)

    def collect(session: Session, _context: object) -> None:
        mine = (row for row in session.new if isinstance(row, CaseEvent) and row.actor == user.email)
        recorded.events.extend(mine)

    sqlalchemy_event.listen(db, "after_flush", collect)
    try:
        yield recorded
        db.flush()
    finally:
        sqlalchemy_event.remove(db, "after_flush", collect)
    recorded.events = [event for event in recorded.events if event in db]  # not what a savepoint took back
    if not recorded.events:
        return
    if recorded.id is None:
        recorded.id = start(db, user, action, at).id
    db.add_all(BatchEvent(batch_id=recorded.id, event_id=event.id) for event in recorded.events)
    db.flush()


def start(db: Session, user: User, action: str, at: datetime) -> Batch:
    """An empty one, for what is done in several transactions."""
    batch = Batch(user_id=user.id, action=action, at=at)
    db.add(batch)
    db.flush()
    return batch


def last_of(db: Session, user: User) -> int | None:
    """The latest batch of a person that has not been undone."""
    mine = select(Batch.id).where(Batch.user_id == user.id, Batch.undone_at.is_(None))
    did = select(BatchEvent.batch_id).where(BatchEvent.batch_id == Batch.id).exists()
    return db.scalar(mine.where(did).order_by(Batch.at.desc(), Batch.id.desc()).limit(1))


def undo(db: Session, batch_id: int, user: User, at: datetime, *, at_most: int | None = None) -> Undone:
    """Take back what one's own batch did; ``at_most``: so many of its events now, the rest when it is asked again.

    Undone already: nothing happens. Raises ``NotFoundError`` for what is not one's own.
    """
    batch = db.get(Batch, batch_id, with_for_update=True, populate_existing=True)
    if batch is None or batch.user_id != user.id:
        raise NotFoundError(f"There is nothing of yours to undo under number {batch_id}.")
    if batch.undone_at is not None:
        return Undone(0, [])
    work = batch.work or {}
    before = (work.get("undone_to"),) if "undone_to" in work else ()
    theirs = select(CaseEvent.id, CaseEvent.case_id).join(BatchEvent, BatchEvent.event_id == CaseEvent.id)
    theirs = theirs.where(BatchEvent.batch_id == batch_id, *(CaseEvent.id < id for id in before))
    todo = db.execute(theirs.order_by(CaseEvent.id.desc())).all()
    now = todo[:at_most]
    cases.hold(db, {case_id for _, case_id in now})
    changed: set[int] = set()
    kept: dict[tuple[int, str], None] = {}
    for event_id, case_id in now:
        done = undoing.undo(db, event_id, actor=user.email, at=at)
        changed |= {event.case_id for event in done.events}
        kept |= dict.fromkeys((case_id, name) for name in done.kept)
    left = len(todo) - len(now)
    if left:
        batch.work = {**work, "undone_to": now[-1][0]}
    else:
        batch.undone_at = at
    db.flush()
    return Undone(len(changed), list(kept), left)
