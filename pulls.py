"""One pass over one source: collector, intake, cursor, and how the source fares."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import channels
from collectors.base import Batch, Collector
from errors import ChannelError, CollectError, DatabaseError, GensvarError, Reason
from house import House
from models import Account, Source
from money import MICRO, spend, spent
from settings import SourceSettings
from triage import intake

log = logging.getLogger("gensvar.pulls")

JITTER = 0.1  # of the interval, either way, so that sources do not march in step
FIRST_BACK_OFF = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(hours=6)
PERMANENT_BACK_OFF = timedelta(hours=1)  # nothing mends it but a person; asked now and then whether that has happened

Now = Callable[[], datetime]


@dataclass
class Pulled:
    """What a pass gave. ``skipped`` says why nothing was tried; ``error`` is what ended it early."""

    source: str
    new: int = 0
    known: int = 0
    set_aside: int = 0
    unmatched: int = 0
    skipped: str | None = None
    error: GensvarError | None = None


def pull(house: House, source_id: int, *, now: Now, by_hand: bool = False) -> Pulled:
    """One pass, unless somebody else is at it. ``by_hand`` ignores an earlier back-off, never a stated reset.

    A failure ends up in ``Pulled.error`` and on the source; it is not raised. What was stored before it stays.
    """
    with house.database.holding(f"source-{source_id}") as mine:
        with house.database.read() as db:
            source = db.get_one(Source, source_id)
            account = source.account
        pulled = Pulled(source.name)
        pulled.skipped = "another process is reading it now" if not mine else _not_now(source, now(), by_hand)
        if pulled.skipped is None:
            _pull(house, source, account, pulled, now)
        return pulled


def _not_now(source: Source, at: datetime, by_hand: bool) -> str | None:
    if source.paused_at is not None:
        return "it is paused"
    if source.reset_at is not None and source.reset_at > at:
        return f"the network's limit is reached; it may be read again at {source.reset_at:%Y-%m-%d %H:%M:%S} UTC"
    if not by_hand and source.due_at is not None and source.due_at > at:
        return f"it is due at {source.due_at:%Y-%m-%d %H:%M:%S} UTC"
    if not by_hand and not source.enabled:
        return "it is not enabled"
    return None


def _pull(house: House, source: Source, account: Account | None, pulled: Pulled, now: Now) -> None:
    started = now()
    error: GensvarError | None = None
    every = FIRST_BACK_OFF
    try:
        given = house.source(source.definition)
        every = given.every
        within_budget(house, account, started)
        collector = collector_for(house, given)
        since = first_pass_from(given, started, house.settings.organisation.zone)
        for batch in collector.collect(source.cursor, since=since, now=started):
            _store(house, source.id, account, given, batch, pulled, now())
            within_budget(house, account, now())
    except GensvarError as foreseen:
        error = foreseen
        log.warning("%s: %s", source.name, foreseen)
    except Exception as unforeseen:  # one source must never stop the others; the log has the whole of it
        log.exception("%s: the pass broke off", source.name)
        error = CollectError(Reason.bad_payload, f"Unexpected {type(unforeseen).__name__}; the log has the details.")
    pulled.error = error
    try:
        with house.database.transaction() as db:
            stored = db.get_one(Source, source.id, with_for_update=True)
            _note_outcome(stored, pulled, error, every, started, now())
            if account is not None:
                _note_account(db.get_one(Account, account.id), error, now())
    except SQLAlchemyError as unwritten:
        log.exception("%s: how the pass went could not be written down", source.name)
        pulled.error = error or DatabaseError(
            f"The database did not take how the pass went: {type(unwritten).__name__}."
        )


def collector_for(house: House, given: SourceSettings) -> Collector:
    """The collector of a source. Its library is imported now and not before."""
    collects = channels.channel(given.channel).collects or {}
    account = house.account(given.account) if given.account else None
    collector: Collector = channels.load(collects[given.collect])(given, account, house.http)
    return collector


def first_pass_from(given: SourceSettings, at: datetime, zone: ZoneInfo) -> datetime | None:
    """How far back the first pass goes; None: as far as there is anything."""
    if isinstance(given.since, timedelta):
        return at - given.since
    if isinstance(given.since, date):
        return datetime.combine(given.since, time(), zone).astimezone(UTC)
    return None


def _store(
    house: House,
    source_id: int,
    account: Account | None,
    given: SourceSettings,
    batch: Batch,
    pulled: Pulled,
    at: datetime,
) -> None:
    """The batch and its cursor in one transaction: after a crash nothing is missing and nothing is passed over."""
    account_id = account.id if account else None
    with house.database.transaction() as db:
        taken = intake.take(
            db, batch, channel=given.channel, account_id=account_id, source_id=source_id, at=at, match=given.match
        )
        stored = db.get_one(Source, source_id)
        stored.cursor = dict(batch.cursor)
        if batch.facts:
            stored.facts = {**stored.facts, **batch.facts}
        charge(db, batch, account_id, source_id, at)
    pulled.new += taken.new
    pulled.known += taken.known
    pulled.set_aside += taken.set_aside
    pulled.unmatched += taken.unmatched


def charge(db: Session, batch: Batch, account_id: int | None, source_id: int, at: datetime) -> None:
    """Write down what reading the batch has cost."""
    if account_id is not None:
        for each in batch.charges:
            spend(
                db,
                account_id,
                source_id,
                operation=each.operation,
                units=each.units,
                micro_usd=each.micro_usd,
                at=at,
            )


def within_budget(house: House, account: Account | None, at: datetime) -> None:
    """Raises ``CollectError`` where the account has cost this month what it may."""
    if account is None or (budget := house.budget(account.name)) is None:
        return
    with house.database.read() as db:
        used = spent(db, account.id, at)
    if used >= budget * MICRO:
        raise CollectError(
            Reason.out_of_credit,
            f"The month's budget of {budget} USD for {account.name} is used up ({used / MICRO:.2f} USD). "
            "Nothing is lost: what comes is read when the month ends or monthly_budget_usd is raised.",
        )


# -- how it fares -----------------------------------------------------------------------------------------------------


def _note_outcome(
    source: Source, pulled: Pulled, error: GensvarError | None, every: timedelta, started: datetime, at: datetime
) -> None:
    source.last_attempt_at = started
    source.last_new, source.last_known, source.last_set_aside = pulled.new, pulled.known, pulled.set_aside
    source.reset_at = None
    if error is None:
        source.failures = 0
        source.error = source.error_reason = source.error_at = None
        source.last_success_at = at
        source.due_at = at + every * random.uniform(1 - JITTER, 1 + JITTER)
        return
    source.failures += 1
    source.error, source.error_at = str(error), at
    source.error_reason = error.reason if isinstance(error, ChannelError) else Reason.bad_request
    source.due_at = at + _back_off(source.failures, every, error)
    if isinstance(error, ChannelError) and error.retry_at is not None and error.retry_at > at:
        source.reset_at = source.due_at = error.retry_at


def _back_off(failures: int, every: timedelta, error: GensvarError) -> timedelta:
    """Twice as long after each failure in a row; an hour at least where only a person can mend it."""
    wait: timedelta = min(max(every, FIRST_BACK_OFF) * int(2 ** min(failures - 1, 12)), LONGEST_BACK_OFF)
    if isinstance(error, ChannelError) and error.permanent:
        wait = max(wait, PERMANENT_BACK_OFF)
    return max(wait, every) * random.uniform(1, 1 + JITTER)


def _note_account(account: Account, error: GensvarError | None, at: datetime) -> None:
    """An account is ill when its login, its permission or its credit is; a feed that is down says nothing of it."""
    if isinstance(error, ChannelError) and error.reason in (
        Reason.auth_expired,
        Reason.forbidden,
        Reason.out_of_credit,
    ):
        account.error, account.error_reason, account.error_at = str(error), error.reason, at
    elif error is None:
        account.error = account.error_reason = account.error_at = None


def due(db: Session, at: datetime) -> list[int]:
    """The sources whose time has come, the longest waiting first."""
    ready = (Source.enabled, Source.paused_at.is_(None), (Source.due_at.is_(None)) | (Source.due_at <= at))
    return list(db.scalars(select(Source.id).where(*ready).order_by(Source.due_at, Source.id)))
