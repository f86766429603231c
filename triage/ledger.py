"""The ledger of promises: proposed when an answer makes one, stood by, kept or dropped, counted.

A promise nobody has stood by is a proposal only: it brings nothing back and counts nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from errors import InvalidInput, InvalidTransition, NotFoundError
from models import Case, CaseEvent, CaseStatus, Mention, Promise, PromiseState, Reply, User
from settings import Calendar
from triage import cases, clock, judges, policy, promises, school

START_OF_DAY = time(8)
END_OF_DAY = time(17)  # a promise "on Friday" without a calendar
LAST_MINUTE = time(23, 59)  # and of a team that closes at midnight, which is Saturday already
LIVING = (PromiseState.proposed, PromiseState.open)


@dataclass(frozen=True)
class Counts:
    """Promises made in a period; ``late_now``: open although their day has passed."""

    made: int
    kept_in_time: int
    kept_late: int
    open: int
    late_now: int


# -- what follows from events -----------------------------------------------------------------------------------------


def propose(db: Session, event: CaseEvent, at: datetime) -> None:
    """An answer of ours went in: if it promises something, offer to stand by it."""
    reply = db.get(Reply, event.reply_id) if event.reply_id is not None else None
    if reply is None or (reply.mention_id is not None and db.get_one(Mention, reply.mention_id).imported):
        return  # what was promised in history is long past
    known = (Promise.reply_id == reply.id, Promise.state != PromiseState.dropped)  # dropped: perhaps it goes out yet
    if db.scalar(select(Promise.id).where(*known)) is not None:
        return
    case = cases.get(db, reply.case_id)  # where the answer is now: its case may have become part of another
    calendar, zone = policy.read(db).hours(case.team)
    written = (reply.sent_at or reply.created_at).astimezone(zone).date()
    found = promises.find(reply.body, _spoken(db, reply.body, case), written, is_open=_worked(calendar))
    if found is None or (due_at := _end_of(found.due, calendar, zone)) <= at:
        return
    db.add(
        Promise(
            case_id=case.id,
            reply_id=reply.id,
            words=found.words,
            due_at=due_at,
            back_at=_back(due_at, calendar, zone, at),
            owner_id=reply.user_id or case.assignee_id,
            state=PromiseState.proposed,
            made_at=reply.sent_at or reply.created_at,
        )
    )
    db.flush()


def _spoken(db: Session, body: str, case: Case) -> str:
    """The language of an answer: often, not always, the one it was asked in."""
    expected = {case.language: 1.0} if case.language else {}
    return judges.detect(body, expected=expected, lessons=school.lessons(db)).value


def _worked(calendar: Calendar | None) -> promises.IsOpen | None:
    return None if calendar is None else lambda day: bool(clock.day(calendar, day).openings)


def _end_of(day: date, calendar: Calendar | None, zone: ZoneInfo) -> datetime:
    """When the day is over for whoever promised: at closing time, or in the evening of a day that is not worked."""
    openings = clock.day(calendar, day).openings if calendar else ()
    if not openings:
        return datetime.combine(day, END_OF_DAY, zone).astimezone(UTC)
    return min(openings[-1][1], datetime.combine(day, LAST_MINUTE, zone).astimezone(UTC))


def _back(due_at: datetime, calendar: Calendar | None, zone: ZoneInfo, at: datetime) -> datetime:
    """When work begins on the day it is due; on the day it is made, an hour before that ends."""
    day = due_at.astimezone(zone).date()
    openings = clock.day(calendar, day).openings if calendar else ()
    begins = openings[0][0] if openings else datetime.combine(day, START_OF_DAY, zone).astimezone(UTC)
    return next(when for when in (min(begins, due_at), due_at - timedelta(hours=1), due_at) if when > at)


def withdraw(db: Session, event: CaseEvent, at: datetime) -> None:
    """An answer did not go out: what it would have promised was never said."""
    for promise in _locked(db, Promise.reply_id == event.reply_id, Promise.state.in_(LIVING)):
        stood_by = promise.state == PromiseState.open
        promise.state, promise.settled_at = PromiseState.dropped, at
        if stood_by:
            _settled(db, promise, kept=False, actor="outbox", at=at)


def resolved(db: Session, event: CaseEvent, at: datetime) -> None:
    """The matter is done, so what was promised in it is: unless the same answer makes the promise."""
    if event.to_status != CaseStatus.resolved or "@" not in event.actor:
        return
    stood_by = (Promise.case_id == event.case_id, Promise.state == PromiseState.open)
    for promise in _locked(db, *stood_by, Promise.made_at < event.at):
        _keep(db, promise, actor=event.actor, at=event.at)


def not_resolved(db: Session, event: CaseEvent, at: datetime) -> None:
    """That the matter was done has been undone, so what was thereby kept is still promised."""
    kept = (Promise.case_id == event.case_id, Promise.state == PromiseState.kept, Promise.settled_at == event.at)
    for promise in _locked(db, *kept):
        promise.state, promise.settled_at = PromiseState.open, None
        db.flush()
        if promise.owner is not None:
            cases.promise(db, promise.case_id, made=promise, owner=promise.owner, actor=event.actor, at=at)


def owners_due(db: Session, case_id: int, at: datetime) -> list[User]:
    """Whose promises in this case are due."""
    due = (Promise.case_id == case_id, Promise.state == PromiseState.open, Promise.back_at <= at)
    return list(db.scalars(select(User).where(User.id.in_(select(Promise.owner_id).where(*due)))))


# -- what people do ---------------------------------------------------------------------------------------------------


def accept(
    db: Session, promise_id: int, *, owner: User, due_at: datetime | None = None, actor: str, at: datetime
) -> Promise:
    """Somebody stands by it: the case comes back on its day. Raises ``InvalidTransition``, ``InvalidInput``."""
    promise = _get(db, promise_id)
    if promise.state != PromiseState.proposed:
        raise InvalidTransition(f"The promise is {promise.state}: it cannot be stood by any more.")
    if (due_at or promise.due_at) <= at:
        raise InvalidInput("The day of a promise lies in the future.", {"due_at": "must be later than now"})
    promise.state, promise.owner_id, promise.due_at = PromiseState.open, owner.id, due_at or promise.due_at
    calendar, zone = policy.read(db).hours(promise.case.team)
    promise.back_at = _back(promise.due_at, calendar, zone, at)
    db.flush()
    cases.promise(db, promise.case_id, made=promise, owner=owner, actor=actor, at=at)
    return promise


def keep(db: Session, promise_id: int, *, actor: str, at: datetime) -> Promise:
    """It was kept. Raises ``InvalidTransition`` unless somebody stood by it."""
    promise = _get(db, promise_id)
    if promise.state != PromiseState.open:
        raise InvalidTransition(f"The promise is {promise.state}: only one that somebody stands by can be kept.")
    _keep(db, promise, actor=actor, at=at)
    return promise


def drop(db: Session, promise_id: int, *, actor: str, at: datetime) -> Promise:
    """It was no promise, or is none any more."""
    promise = _get(db, promise_id)
    if promise.state not in LIVING:
        raise InvalidTransition(f"The promise is {promise.state} already.")
    stood_by = promise.state == PromiseState.open
    promise.state, promise.settled_at = PromiseState.dropped, at
    if stood_by:
        _settled(db, promise, kept=False, actor=actor, at=at)
    return promise


def _keep(db: Session, promise: Promise, *, actor: str, at: datetime) -> None:
    promise.state, promise.settled_at = PromiseState.kept, at
    _settled(db, promise, kept=True, actor=actor, at=at)


def _settled(db: Session, promise: Promise, *, kept: bool, actor: str, at: datetime) -> None:
    db.flush()
    cases.settle_promise(db, promise.case_id, made=promise, kept=kept, actor=actor, at=at)


def _get(db: Session, promise_id: int) -> Promise:
    case_id = db.scalar(select(Promise.case_id).where(Promise.id == promise_id))
    if case_id is None:
        raise NotFoundError(f"There is no promise {promise_id}.")
    cases.get(db, case_id)  # locked before what hangs on it
    return db.get_one(Promise, promise_id, with_for_update=True, populate_existing=True)


def _locked(db: Session, *which: ColumnElement[bool]) -> list[Promise]:
    """Those still so once their cases are locked, which comes first."""
    wanted = select(Promise.id).where(*which).order_by(Promise.id)
    found = [_get(db, id) for id in db.scalars(wanted).all()]
    still = set(db.scalars(wanted))
    return [promise for promise in found if promise.id in still]


# -- counting ---------------------------------------------------------------------------------------------------------


def counts(db: Session, since: datetime, until: datetime, at: datetime) -> Counts:
    """Of the promises made from ``since`` up to ``until`` that somebody stood by, as they stand at ``at``."""
    made = (Promise.made_at >= since, Promise.made_at < until)
    stood_by = Promise.state.in_((PromiseState.open, PromiseState.kept))

    def count(*what: ColumnElement[bool]) -> int:
        return db.scalar(select(func.count()).select_from(Promise).where(*made, stood_by, *what)) or 0

    kept, is_open = Promise.state == PromiseState.kept, Promise.state == PromiseState.open
    return Counts(
        made=count(),
        kept_in_time=count(kept, Promise.settled_at <= Promise.due_at),
        kept_late=count(kept, Promise.settled_at > Promise.due_at),
        open=count(is_open),
        late_now=count(is_open, Promise.due_at <= at),
    )


def due_today(db: Session, user: User, at: datetime, zone: ZoneInfo) -> int:
    """How many promises of one person are due before the day is over, or late."""
    midnight = datetime.combine(at.astimezone(zone).date() + timedelta(days=1), time(), zone)
    theirs = (Promise.state == PromiseState.open, Promise.due_at < midnight, Promise.owner_id == user.id)
    return db.scalar(select(func.count()).select_from(Promise).where(*theirs)) or 0


def of_case(db: Session, case: Case) -> list[Promise]:
    """Those of a case that are not dropped, the nearest first."""
    shown = (Promise.case_id == case.id, Promise.state != PromiseState.dropped)
    return list(db.scalars(select(Promise).where(*shown).order_by(Promise.due_at, Promise.id)))
