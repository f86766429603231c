"""What ``gensvar check`` goes over: each thing with what was found and, where something is wrong, how to mend it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

import channels
import mail
import pulls
import report_mails
from database import newest_migration
from errors import ChannelError, GensvarError, Reason
from house import House
from models import CaseEvent, FigureCheck, Heartbeat, PendingReaction, Role, Source, User, Webhook
from settings import SourceSettings, duration_text
from triage import index
from triage.cases import REFUSED
from triage.rules import UNKNOWN

FREE_BYTES = 1024**3
BUILT = datetime(2026, 11, 1, tzinfo=UTC)  # a clock before this is wrong
SLIP = timedelta(minutes=5)
AT_ONCE = 8
LATELY = timedelta(days=7)  # what went wrong before has been seen or is forgotten
FIGURES_OLD = timedelta(days=2)  # a comparison that should have been followed by another
BEATS = timedelta(minutes=5)  # within them the scheduler has said that it runs

REMEDIES = {
    Reason.auth_expired: "log in again on the network and put the new token into the configuration",
    Reason.forbidden: "give the account the permission the network names, or another plan",
    Reason.out_of_credit: "buy credit from the network, raise the budget, or read less often",
    Reason.rate_limited: "wait; it goes on by itself",
    Reason.gone: "see whether the address or the page still exists, and correct it",
    Reason.bad_request: "correct the account or source in the configuration",
    Reason.bad_payload: "see whether the address really is what it should be (a feed, an API)",
    Reason.refused_address: "name the host under outbound.allow_hosts if it is meant",
    Reason.too_large: "choose an address with less behind it",
    Reason.unavailable: "see whether this machine reaches it; otherwise wait, it may pass",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``remedy`` None: all is well."""

    what: str
    found: str
    remedy: str | None = None


def examine(house: House, at: datetime) -> Iterator[Finding]:
    """Goes over everything but the configuration itself, which was read to get here. Writes nothing."""
    settings = house.settings
    counts = f"{len(settings.accounts)} accounts, {len(settings.sources)} sources"
    yield Finding("configuration", f"{settings.path} can be read: {counts}")
    yield _time_zones(house)
    yield _disk(settings.data_dir)
    database = _database(house)
    yield database
    known = database.remedy is None and house.database.version() is not None
    yield _clock(house, at) if known else Finding("clock", f"{at:%Y-%m-%d %H:%M} UTC")
    if known:
        yield _users(house)
        yield from _reactions(house, at)
        yield _webhooks(house, at)
        yield _search(house)
        yield _figures(house, at)
    yield from _mail(house, at, known)
    if known:
        yield from _report_mails(house, at)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda account: _account(house, account.name), settings.accounts)
        yield from pool.map(lambda source: _source(house, source, at), _sources(house, known))


def _time_zones(house: House) -> Finding:
    try:
        for name in {house.settings.organisation.timezone, *(each.timezone for each in house.settings.calendars)}:
            ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        return Finding("time zones", str(error), "install the package tzdata")
    return Finding("time zones", f"{house.settings.organisation.timezone} is known")


def _clock(house: House, at: datetime) -> Finding:
    with house.database.read() as db:
        last = db.scalar(select(func.max(CaseEvent.at)))
    remedy = "set this machine's clock, and let it follow a time server"
    if at < BUILT:
        return Finding("clock", f"it says {at:%Y-%m-%d %H:%M} UTC, which is past", remedy)
    if last is not None and last > at + SLIP:
        return Finding(
            "clock", f"it says {at:%Y-%m-%d %H:%M} UTC, but something happened at {last:%H:%M} already", remedy
        )
    return Finding("clock", f"{at:%Y-%m-%d %H:%M} UTC")


def _disk(folder: Path) -> Finding:
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("disk", f"{folder} cannot be written to", f"let this user write to {there}, or change data_dir")
    usage = shutil.disk_usage(there)
    found = f"{usage.free / 1024**3:.1f} of {usage.total / 1024**3:.1f} GB free under {folder}"
    if usage.free < FREE_BYTES:
        return Finding("disk", found, "make room, or move data_dir")
    return Finding("disk", found)


def _database(house: House) -> Finding:
    try:
        version = house.database.version()
    except GensvarError as error:
        return Finding("database", str(error), "start it, or correct database_url")
    where = house.database.url.render_as_string(hide_password=True)
    if version is None:
        return Finding("database", f"{where} is empty; the first start fills it")
    if version != newest_migration():
        newer = version > newest_migration()
        remedy = "install the newer Gensvar it was made by" if newer else "run: gensvar migrate"
        return Finding("database", f"{where} is at version {version}, this Gensvar needs {newest_migration()}", remedy)
    try:
        with house.database.transaction() as db:
            db.scalar(select(func.count()).select_from(User))
    except SQLAlchemyError as error:
        return Finding("database", f"{where} cannot be written to: {error}", "let this user write to it")
    return Finding("database", f"{where} is at version {version}")


def _users(house: House) -> Finding:
    with house.database.read() as db:
        admins = db.scalar(select(func.count()).where(User.role == Role.admin, User.disabled_at.is_(None)))
    if not admins:
        return Finding("users", "nobody is an admin yet: the first visit to the address asks for one")
    return Finding("users", f"{admins} admin" + ("s" if admins > 1 else ""))


def _search(house: House) -> Finding:
    with house.database.read() as db:
        behind = index.missing(db)
    if behind:
        remedy = "nothing to do while Gensvar runs: within the hour it catches up"
        return Finding("search", f"{behind} texts are not in the index yet", remedy)
    return Finding("search", "every text is in the index")


def _figures(house: House, at: datetime) -> Finding:
    """The nightly comparison of what reports show with what the events say."""
    with house.database.read() as db:
        last = db.scalars(select(FigureCheck).order_by(FigureCheck.id.desc()).limit(1)).first()
        beat = db.scalar(select(Heartbeat.at).where(Heartbeat.part == "scheduler"))
    if last is None:
        return Finding("figures", "not compared with their events yet; that is done after midnight")
    differences = f"{last.different or 'no'} difference" + ("" if last.different == 1 else "s")
    found = f"{last.cases} cases compared on {last.at:%Y-%m-%d}: {differences}"
    if last.different:
        where = f"{str(house.settings.base_url).rstrip('/')}/reports/checks"
        return Finding("figures", found, f"see what differed at {where}, and report it as a fault")
    if last.at < at - FIGURES_OLD and beat is not None and beat > at - BEATS:
        return Finding("figures", found, "see in the log why the nightly comparison does not come through")
    return Finding("figures", found)


def _reactions(house: House, at: datetime) -> Iterator[Finding]:
    """What should have followed from what happened, and did not."""
    lately, latest = CaseEvent.at >= at - LATELY, CaseEvent.id.desc()
    failed = select(PendingReaction).join(CaseEvent, CaseEvent.id == PendingReaction.event_id)
    with house.database.read() as db:
        stuck = db.scalars(failed.where(PendingReaction.error.is_not(None), lately).order_by(latest)).all()
        refused = db.scalars(select(CaseEvent).where(CaseEvent.action == REFUSED, lately).order_by(latest)).all()
    missing = [event for event in refused if event.changes["why"][1] == UNKNOWN]
    if stuck:
        found = f"{len(stuck)} events could not be reacted to; the latest, number {stuck[0].event_id}: {stuck[0].error}"
        yield Finding("reactions", found, "see in the log what went wrong, and report it as a fault")
    if missing:
        last = missing[0]
        found = f"{len(missing)} times what was named is not there; the latest, by {last.actor} in case {last.case_id}"
        remedy = "name in rules, response targets and categories only what there is"
        yield Finding("reactions", f"{found}: {last.changes['effect'][1]}", remedy)
    if not stuck and not missing:
        yield Finding("reactions", "none has failed")


def _webhooks(house: House, at: datetime) -> Finding:
    lately = CaseEvent.at >= at - LATELY
    with house.database.read() as db:
        failing = db.execute(
            select(Webhook.rule, Webhook.error, Webhook.due_at)
            .join(CaseEvent, CaseEvent.id == Webhook.event_id)
            .where(Webhook.error.is_not(None), Webhook.delivered_at.is_(None), lately)
            .order_by(Webhook.id.desc())
        ).all()
    if not failing:
        return Finding("webhooks", "none is failing")
    given_up = sum(due_at is None for _, _, due_at in failing)
    rule, error, _ = failing[0]
    found = f"{len(failing)} could not be delivered, {given_up} of them given up; the latest, of rule {rule}: {error}"
    return Finding("webhooks", found, "correct the address in the rule, or mend the system that is called")


def _mail(house: House, at: datetime, known: bool) -> Iterator[Finding]:
    """Does the server take us, and did it take what there was to send?"""
    given = house.settings.mail
    if given is None:
        yield Finding("mail", "no server is configured; colleagues are told in Gensvar only")
        return
    try:
        yield Finding("mail", mail.probe(house, given))
    except mail.Refused as error:
        yield Finding("mail", str(error), "correct mail in the configuration, or mend the server")
    if known:
        with house.database.read() as db:
            failing = mail.failing(db, at)
        if failing.error is not None:
            found = f"{failing.waiting} notices wait after a failed attempt, {failing.given_up} were given up"
            yield Finding("mail sent", f"{found}; the latest: {failing.error}", "see what the mail server says of it")


def _report_mails(house: House, at: datetime) -> Iterator[Finding]:
    """Reports that were to come by mail and did not; each of their readers sees it on the page of reports by mail."""
    with house.database.read() as db:
        failing = report_mails.failing(db, at)
    if failing.error is None:
        return
    where = f"{str(house.settings.base_url).rstrip('/')}/reports/mails"
    found = f"{failing.waiting} wait after a failed attempt, {failing.given_up} were given up for their period"
    if failing.error == report_mails.NO_SERVER:
        remedy = f"configure mail, or stop them at {where}"
        yield Finding("reports by mail", f"{found}; no mail server is configured", remedy)
    else:
        remedy = f"see what the mail server says of it, and who misses which report at {where}"
        yield Finding("reports by mail", f"{found}; the latest: {failing.error}", remedy)


def _account(house: House, name: str) -> Finding:
    what = f"account {name}"
    account = house.account(name)
    probe = channels.channel(getattr(account, "channel", "")).probe
    if probe is None:
        return Finding(what, "nothing to log in to")
    try:
        return Finding(what, str(channels.load(probe)(account, house.http)))
    except ChannelError as error:
        return Finding(what, str(error), REMEDIES[error.reason])


def _sources(house: House, known: bool) -> list[SourceSettings]:
    """Those of the configuration and, where the database can be read, those made by hand."""
    by_hand = []
    if known:
        with house.database.read() as db:
            kept = db.scalars(select(Source).where(~Source.declared, Source.enabled, Source.paused_at.is_(None)))
            by_hand = [SourceSettings.model_validate(source.definition) for source in kept]
    return [*house.settings.sources, *by_hand]


def _source(house: House, source: SourceSettings, at: datetime) -> Finding:
    """Read the beginning of it. What needs an account is not read, since that may cost money: its account was asked."""
    what = f"source {source.name}"
    if not source.enabled:
        return Finding(what, "not enabled")
    if source.account is not None:
        return Finding(what, f"{source.collect}, every {duration_text(source.every)} through {source.account}")
    try:
        found = sample(house, source, at)
    except ChannelError as error:
        return Finding(what, str(error), REMEDIES[error.reason])
    except GensvarError as error:
        return Finding(what, str(error), "correct the source")
    return Finding(what, found)


def sample(house: House, source: SourceSettings, at: datetime) -> str:
    """Read the first page of a source, store nothing, say what was found. Raises ``GensvarError``."""
    since = pulls.first_pass_from(source, at, house.settings.organisation.zone)
    batches = list(islice(pulls.collector_for(house, source).collect(None, since=since, now=at), 1))
    mentions = [mention for batch in batches for mention in batch.mentions]
    set_aside = sum(len(batch.set_aside) for batch in batches)
    found = f"{len(mentions)} found on the first page"
    if set_aside:
        found += f", {set_aside} set aside ({batches[0].set_aside[0].reason})"
    if mentions:
        newest = max(mentions, key=lambda mention: mention.published_at)
        title = " ".join((newest.title or newest.text).split())
        found += f"; newest, {newest.published_at:%Y-%m-%d %H:%M} UTC: {title[:60]}"
    return found
