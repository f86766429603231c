"""History: what was said before a source was made, read a page at a time beside the regular passes.

An import has a cursor of its own, stored with each page in one transaction: stopped or killed anywhere, it goes on
where it was. It never touches the source's cursor. What it brings is marked ``imported`` and disturbs nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

import audit
import channels
import pulls
from channels import History
from collectors.base import Batch, Historian
from errors import ChannelError, CollectError, GensvarError, InvalidInput, InvalidTransition, NotFoundError, Reason
from house import House
from models import Account, Import, ImportState, Source
from money import MICRO, spent
from settings import Since, SourceSettings
from triage import intake

log = logging.getLogger("gensvar.imports")

PACE = timedelta(seconds=4)  # between two pages: under half of what X allows, so that the regular passes have the rest
SHARE = 0.8  # of an account's monthly budget; the rest is left for what comes
LIMITED = timedelta(minutes=15)  # a rate limit that names no end
ILL = timedelta(minutes=5)  # a network that is not well
UNDER_WAY = (ImportState.waiting, ImportState.running, ImportState.paused)

_SINCE: TypeAdapter[timedelta | date | None] = TypeAdapter(Since)

Now = Callable[[], datetime]


def history(source: Source) -> History | None:
    """What the network tells of the source's past; None: nothing."""
    return channels.channel(source.channel).history.get(source.definition.get("collect", ""))


@dataclass(frozen=True)
class Cost:
    """What an import may cost, in US dollars: an item at most, all of it at most (None: nobody knows how many there
    are), and of the month's budget what is left for imports (None: there is no budget)."""

    item: float
    all: float | None
    left: float | None


def cost(house: House, source: Source, at: datetime) -> Cost | None:
    """None where reading costs nothing."""
    told = history(source)
    if told is None or not told.price:
        return None
    left = None
    with house.database.read() as db:
        account = db.get(Account, source.account_id) if source.account_id is not None else None
        if account is not None and (budget := house.budget(account.name)) is not None:
            left = max(0.0, budget * SHARE - spent(db, account.id, at) / MICRO)
    return Cost(told.price / MICRO, None if told.most is None else told.most * told.price / MICRO, left)


# -- what people do ---------------------------------------------------------------------------------------------------


def day(text: str, at: datetime) -> date | None:
    """What a person writes: a date, so far back (``90d``), or ``all`` (None). Raises ``InvalidInput``."""
    try:
        found = _SINCE.validate_python(text.strip() or "all")
    except ValidationError:
        words = "Write how far back: a date such as 2026-01-31, 90d, or all."
        raise InvalidInput(words, {"since": "a date, 90d, or all"}) from None
    return (at - found).date() if isinstance(found, timedelta) else found


def beginning(since: date | None, zone: ZoneInfo) -> datetime | None:
    """The instant a day begins."""
    return None if since is None else datetime.combine(since, time(), zone).astimezone(UTC)


def ask(
    db: Session,
    source: Source,
    *,
    since: datetime | None,
    keep_open: bool,
    user_id: int | None,
    actor: str,
    at: datetime,
) -> Import:
    """Have the history of a source read, back to ``since`` (None: all there is). Raises ``InvalidInput``."""
    if history(source) is None:
        raise InvalidInput(f"The network tells nothing of the past of {source.name}.")
    if since is not None and since > at:
        raise InvalidInput("History lies in the past.", {"since": "choose an earlier day"})
    if (other := under_way(db, source.id)) is not None:
        raise InvalidInput(f"Import {other.id} of {source.name} is under way already.")
    made = Import(
        source_id=source.id,
        since=since,
        keep_open=keep_open,
        state=ImportState.waiting,
        user_id=user_id,
        created_at=at,
    )
    db.add(made)
    db.flush()
    changes: audit.Changes = {"since": [None, since and since.isoformat()], "keep_open": [None, keep_open]}
    audit.record(db, actor=actor, action="import", subject=f"history:{source.name}", changes=changes, at=at)
    return made


def under_way(db: Session, source_id: int) -> Import | None:
    wanted = select(Import).where(Import.source_id == source_id, Import.state.in_(UNDER_WAY))
    return db.scalar(wanted.order_by(Import.id).limit(1))


def latest(db: Session, source_id: int) -> Import | None:
    return db.scalar(select(Import).where(Import.source_id == source_id).order_by(Import.id.desc()).limit(1))


def get(db: Session, import_id: int) -> Import:
    """Raises ``NotFoundError``."""
    options = [joinedload(Import.source).joinedload(Source.account)]
    found = db.get(Import, import_id, options=options, populate_existing=True)
    if found is None:
        raise NotFoundError(f"There is no import {import_id}.")
    return found


def cancel(house: House, import_id: int, *, actor: str, at: datetime) -> None:
    """Read no further: at once where nobody is at it, else after the page that is being read. What came stays."""
    with house.database.holding(_lock(import_id)) as idle, house.database.transaction() as db:
        found = _held(db, import_id)
        if found.state not in UNDER_WAY or found.cancel_wanted:
            return
        found.cancel_wanted = True
        if idle:
            _end(found, ImportState.cancelled, at)
        audit.record(db, actor=actor, action="cancel", subject=f"history:{found.source.name}", at=at)


def again(db: Session, import_id: int, *, actor: str, at: datetime) -> None:
    """Go on where it broke off. Raises ``InvalidTransition``."""
    found = _held(db, import_id)
    if found.state not in (ImportState.failed, ImportState.cancelled):
        raise InvalidTransition(f"Import {import_id} is {found.state}: it need not be begun again.")
    if (other := under_way(db, found.source_id)) is not None:
        raise InvalidTransition(f"Import {other.id} of {found.source.name} is under way already.")
    found.state, found.cancel_wanted = ImportState.waiting, False
    found.error = found.resumes_at = found.finished_at = None
    audit.record(db, actor=actor, action="resume", subject=f"history:{found.source.name}", at=at)


# -- reading ----------------------------------------------------------------------------------------------------------


def due(db: Session, at: datetime) -> list[int]:
    """The imports whose next page may be read, the longest waiting first."""
    ready = (Import.state.in_(UNDER_WAY), or_(Import.resumes_at.is_(None), Import.resumes_at <= at))
    return list(db.scalars(select(Import.id).where(*ready).order_by(Import.resumes_at, Import.id)))


def turn(house: House, import_id: int, *, now: Now) -> Import:
    """Read one page, if it is time for it and nobody else is at it. Returns how the import stands now.

    What goes wrong is written down, not raised: a rate limit or an ill network pauses it, the rest waits for a person.
    """
    with house.database.holding(_lock(import_id)) as mine:
        with house.database.read() as db:
            found = get(db, import_id)
        if mine and found.state in UNDER_WAY and (found.resumes_at is None or found.resumes_at <= now()):
            try:
                _read_a_page(house, found, now)
            except ChannelError as error:
                _stopped(house, found.id, error, now())
            except GensvarError as error:
                _settle(house, found.id, ImportState.failed, now(), error=str(error))
            except Exception as error:  # the log has the whole of it; whoever asked for it is told
                log.exception("import %s broke off", found.id)
                words = f"Unexpected {type(error).__name__}; the log has the details."
                _settle(house, found.id, ImportState.failed, now(), error=words)
    with house.database.read() as db:
        return get(db, import_id)


def _read_a_page(house: House, found: Import, now: Now) -> None:
    at, source = now(), found.source
    if found.cancel_wanted:
        _settle(house, found.id, ImportState.cancelled, at)
        return
    if source.reset_at is not None and source.reset_at > at:
        raise CollectError(Reason.rate_limited, "The network's limit is reached.", retry_at=source.reset_at)
    given = house.source(source.definition)
    _within_share(house, source.account, at)
    here = found.cursor
    for batch in _historian(house, source, given).page(here, since=found.since, now=at):
        try:
            if not _store(house, found, given, batch, here, now()):
                return
        except _Overtaken:
            return
        here = dict(batch.cursor)


class _Overtaken(Exception):
    """Another one has read this page: the lock was lost, which a database server that is started anew does."""


def _historian(house: House, source: Source, given: SourceSettings) -> Historian:
    told = history(source)
    if told is None:
        raise CollectError(Reason.bad_request, f"The network tells nothing of the past of {source.name}.")
    account = house.account(given.account) if given.account else None
    made: Historian = channels.load(told.reader)(given, account, house.http)
    return made


def _within_share(house: House, account: Account | None, at: datetime) -> None:
    """The regular passes must not stand still because history was dear."""
    if account is None or (budget := house.budget(account.name)) is None:
        return
    with house.database.read() as db:
        used = spent(db, account.id, at)
    if used >= budget * SHARE * MICRO:
        raise CollectError(
            Reason.out_of_credit,
            f"Of the month's budget of {budget:g} USD for {account.name}, {used / MICRO:.2f} USD are used: the rest is "
            "kept for what comes. Try again when the month ends or monthly_budget_usd is raised.",
        )


def _store(
    house: House, found: Import, given: SourceSettings, batch: Batch, here: dict[str, Any] | None, at: datetime
) -> bool:
    """The batch, the counts and the cursor in one transaction. False: it ends here. Raises ``_Overtaken``."""
    source = found.source
    with house.database.transaction() as db:
        taken = intake.take(
            db,
            batch,
            channel=given.channel,
            account_id=source.account_id,
            source_id=source.id,
            at=at,
            match=given.match,
            imported=True,
            keep_open=found.keep_open,
        )
        pulls.charge(db, batch, source.account_id, source.id, at)
        stored = _held(db, found.id)
        if stored.cursor != here or stored.state not in UNDER_WAY:
            raise _Overtaken
        said = [mention.published_at for mention in batch.mentions if not mention.context]
        stored.read += len(said) + len(batch.set_aside)
        stored.new += taken.new
        stored.known += taken.known
        stored.set_aside += taken.set_aside
        stored.oldest_at = min(filter(None, [stored.oldest_at, *said]), default=None)
        stored.cursor, stored.state, stored.error = dict(batch.cursor), ImportState.running, None
        stored.resumes_at = at + PACE
        if batch.last or stored.cancel_wanted:
            _end(stored, ImportState.done if batch.last else ImportState.cancelled, at)
        return stored.state in UNDER_WAY


def _stopped(house: House, import_id: int, error: ChannelError, at: datetime) -> None:
    """A limit or an illness passes by itself; the rest needs a person."""
    wait = {Reason.rate_limited: LIMITED, Reason.unavailable: ILL}.get(error.reason)
    if error.retry_at is not None and error.retry_at > at:
        _settle(house, import_id, ImportState.paused, at, error=str(error), resumes_at=error.retry_at)
    elif wait is not None:
        _settle(house, import_id, ImportState.paused, at, error=str(error), resumes_at=at + wait)
    else:
        _settle(house, import_id, ImportState.failed, at, error=str(error))


def _settle(
    house: House,
    import_id: int,
    state: ImportState,
    at: datetime,
    *,
    error: str | None = None,
    resumes_at: datetime | None = None,
) -> None:
    with house.database.transaction() as db:
        stored = _held(db, import_id)
        stored.error = error
        if state is ImportState.paused:
            stored.state, stored.resumes_at = state, resumes_at
        else:
            _end(stored, state, at)


def _end(stored: Import, state: ImportState, at: datetime) -> None:
    stored.state, stored.finished_at, stored.resumes_at = state, at, None


def _held(db: Session, import_id: int) -> Import:
    """The import, locked until the transaction ends. Raises ``NotFoundError``."""
    found = db.get(Import, import_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFoundError(f"There is no import {import_id}.")
    return found


def _lock(import_id: int) -> str:
    return f"import-{import_id}"
