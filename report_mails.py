"""Reports that come by mail, every week or every month: which are due, for which period, what became of each.

``mail`` sends them, by the same rules as its other letters: claimed before the call with the time of the next attempt.
A period is told of once. Who was told is due again when the next one has ended; what was slept over is one letter, of
the period that ended last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from database import Database, lock
from models import ReportMail, Role, User
from triage import policy

WEEK, MONTH = "week", "month"
MORNING = time(7)  # of the Monday or the first of the month, in the organisation's time zone
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=3)  # since it was due; the next period is told of all the same
IN_A_PASS = 200
NO_SERVER = "no server"  # the error of what was due while no mail was sent
LEADS = (Role.manager, Role.admin)  # who reads reports by mail


@dataclass(frozen=True)
class Due:
    """A letter to be written: of a report, for the days from ``start`` to before ``end``."""

    id: int
    user: User
    title: str
    query: str
    every: str
    start: date
    end: date


def period_before(every: str, day: date) -> tuple[date, date]:
    """The last week or month that has ended when ``day`` begins; its end is the day after it."""
    if every == WEEK:
        end = day - timedelta(days=day.weekday())
        return end - timedelta(days=7), end
    end = day.replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def last_due(every: str, at: datetime, zone: ZoneInfo) -> datetime:
    """The latest morning, at or before ``at``, on which such a letter was due."""
    day = at.astimezone(zone).date()
    due = _morning(period_before(every, day)[1], zone)
    return due if due <= at else _morning(period_before(every, period_before(every, day)[0])[1], zone)


def next_due(every: str, at: datetime, zone: ZoneInfo) -> datetime:
    """The first such morning after ``at``: by the date on the wall, whatever the clocks do in between."""
    last = last_due(every, at, zone).astimezone(zone).date()
    following = last + timedelta(days=7) if every == WEEK else (last + timedelta(days=31)).replace(day=1)
    return _morning(following, zone)


def _morning(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, MORNING, zone).astimezone(UTC)


def anything(db: Session, at: datetime) -> bool:
    return db.scalar(select(ReportMail.id).where(ReportMail.due_at <= at).limit(1)) is not None


def waiting(db: Session, at: datetime) -> list[int]:
    """What is due, the longest waiting first."""
    found = select(ReportMail.id).where(ReportMail.due_at <= at).order_by(ReportMail.due_at, ReportMail.id)
    return list(db.scalars(found.limit(IN_A_PASS)))


def claim(database: Database, mail_id: int, at: datetime) -> Due | None:
    """Take it, so that nobody else does. None where it is gone, was sent meanwhile, or its reader gets none."""
    wanted = select(ReportMail).where(ReportMail.id == mail_id, ReportMail.due_at <= at)
    with database.transaction() as db:
        loaded = wanted.options(joinedload(ReportMail.user, innerjoin=True))
        found = db.scalar(loaded.with_for_update(of=ReportMail, skip_locked=True))
        if found is None:
            return None
        zone = policy.read(db).zone
        since = last_due(found.every, at, zone)
        told = found.mailed_at is not None and found.mailed_at >= since
        if told or found.user.disabled_at is not None or found.user.role not in LEADS:
            found.due_at = next_due(found.every, at, zone)
            return None
        found.due_at = _retry(found.every, at, zone)
        start, end = period_before(found.every, since.astimezone(zone).date())
        return Due(found.id, found.user, found.title, found.query, found.every, start, end)


def _retry(every: str, at: datetime, zone: ZoneInfo) -> datetime:
    """The pauses double, as the time since it was due does; never past the next period's morning."""
    pause = min(max(at - last_due(every, at, zone), FIRST_RETRY), LONGEST_RETRY)
    return min(at + pause, next_due(every, at, zone))


def sent(database: Database, due: Due, at: datetime) -> None:
    with database.transaction() as db:
        done = {"due_at": next_due(due.every, at, policy.read(db).zone), "mailed_at": at, "error": None}
        db.execute(update(ReportMail).where(ReportMail.id == due.id).values(done))


def failed(
    database: Database, due: Due, error: str, at: datetime, *, final: bool = False, everybody: bool = False
) -> datetime | None:
    """Write down why, for its reader to see; returns when it is tried again, None where this period is given up.

    ``final``: it never will be taken; ``everybody``: no other would be either, so that all wait as long.
    """
    with database.transaction() as db:
        zone = policy.read(db).zone
        mine = db.get(ReportMail, due.id)
        others = db.scalars(select(ReportMail).where(ReportMail.due_at <= at)).all() if everybody else []
        again_at: datetime | None = None
        for each in (*filter(None, [mine]), *others):  # mine may have been removed while it was on its way
            given_up = (final and each is mine) or at - last_due(each.every, at, zone) >= GIVE_UP_AFTER
            each.error = error
            each.due_at = next_due(each.every, at, zone) if given_up else _retry(each.every, at, zone)
            if each is mine:
                again_at = None if given_up else each.due_at
        return again_at


def forget(database: Database, at: datetime) -> None:
    """Where no mail is sent what is due is not sent weeks later when there is a server; the page says so."""
    with database.transaction() as db:
        zone = policy.read(db).zone
        for each in db.scalars(select(ReportMail).where(ReportMail.due_at <= at)):
            each.error, each.due_at = NO_SERVER, next_due(each.every, at, zone)


@dataclass(frozen=True)
class Failing:
    """Letters that did not go out: ``waiting`` are tried again, the others are not. ``error``: the latest, if any."""

    waiting: int
    given_up: int
    error: str | None


def failing(db: Session, at: datetime) -> Failing:
    """Of those who still get them. What is given up is tried again when the next period has ended."""
    zone = policy.read(db).zone
    wanted = select(ReportMail).join(ReportMail.user).where(ReportMail.error.is_not(None))
    wanted = wanted.where(User.disabled_at.is_(None), User.role.in_(LEADS)).order_by(ReportMail.due_at, ReportMail.id)
    found = db.scalars(wanted).all()
    waiting = sum(each.due_at < next_due(each.every, at, zone) for each in found)
    return Failing(waiting, len(found) - waiting, found[0].error if found else None)


def subscribe(db: Session, user: User, *, title: str, query: str, every: str, at: datetime) -> ReportMail | None:
    """From the next period's end on. None: it is sent already, also where it was asked for twice at once."""
    lock(db, f"report mails of {user.id}")
    same = (ReportMail.user_id == user.id, ReportMail.query == query, ReportMail.every == every)
    if db.scalar(select(ReportMail.id).where(*same)) is not None:
        return None
    due_at = next_due(every, at, policy.read(db).zone)
    made = ReportMail(user_id=user.id, title=title, query=query, every=every, due_at=due_at, created_at=at)
    db.add(made)
    return made
