"""For whoever watches over the installation: alive, ready, and numbers for Prometheus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from house import House
from models import Case, CaseStatus, Heartbeat, Mention, Reply, ReplyStatus, Source
from web.api import tokens

HEARTBEAT = timedelta(seconds=60)
FREE = 0.10  # of the disk
CLOCK = "scheduler"  # the part of the house whose heartbeat is asked for
PASSED_ON = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
_WATCHED = (Source.enabled.is_(True), Source.paused_at.is_(None))


def blueprint(house: House) -> Blueprint:
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def healthz() -> Response:
        """The process answers; nothing else is asked."""
        return _json({"status": "ok"}, 200)

    @pages.get("/readyz")
    def readyz() -> Response:
        """200 when work gets done; 503 with the reasons when it does not."""
        reasons = [*_database(house, g.now), *_disk(Path(house.settings.data_dir))]
        return _json({"status": "not ready" if reasons else "ok", "reasons": reasons}, 503 if reasons else 200)

    @pages.get("/metrics")
    def metrics() -> Response:
        """Numbers only, no personal data; for this machine, or with an API token."""
        if not _from_this_machine() and not _has_token(house):
            return Response("Ask from the machine itself, or with an API token.\n", 403, mimetype="text/plain")
        with house.database.read() as db:
            lines = list(_metrics(db, g.now))
        return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")

    return pages


def _database(house: House, now: datetime) -> list[str]:
    """What is wrong with the database, or with what it tells."""
    try:
        with house.database.transaction() as db:
            db.add(Heartbeat(part="readyz", at=now))
            db.flush()  # it can be written to
            db.rollback()
        with house.database.read() as db:
            return [*_clock(db, now), *_sources(db)]
    except SQLAlchemyError:
        return ["database: cannot be written to"]


def _clock(db: Session, now: datetime) -> Iterator[str]:
    beat = db.get(Heartbeat, CLOCK)
    if beat is None:
        yield "scheduler: has never run"
    elif now - beat.at > HEARTBEAT:
        yield f"scheduler: silent for {int((now - beat.at).total_seconds())} seconds"


def _sources(db: Session) -> Iterator[str]:
    """A channel is out when every source on it fails; one feed that is down is for the inbox to show."""
    working = select(Source.channel, Source.name, Source.failures, Source.error_reason).where(*_WATCHED)
    channels: dict[str, list[tuple[str, int, str | None]]] = {}
    for channel, name, failures, reason in db.execute(working.order_by(Source.channel, Source.name)):
        channels.setdefault(channel, []).append((name, failures, reason))
    for channel, sources in channels.items():
        if all(failures for _, failures, _ in sources):
            named = ", ".join(f"{name} ({reason or 'failed'})" for name, _, reason in sources)
            yield f"sources: nothing is collected from {channel}: {named}"


def _disk(folder: Path) -> Iterator[str]:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    usage = shutil.disk_usage(there)
    if usage.free < FREE * usage.total:
        yield f"disk: {100 * usage.free // usage.total} % free"


def _metrics(db: Session, now: datetime) -> Iterator[str]:
    by_status = {status: n for status, n in db.execute(select(Case.status, func.count()).group_by(Case.status))}
    yield from _gauge("gensvar_cases", "Cases by status.", {s: by_status.get(s, 0) for s in CaseStatus}, "status")
    mentions = db.scalar(select(func.count()).select_from(Mention)) or 0
    yield from _gauge("gensvar_mentions", "Mentions stored.", {"": mentions})
    outbox = {status: n for status, n in db.execute(select(Reply.status, func.count()).group_by(Reply.status))}
    yield from _gauge("gensvar_replies", "Replies by status.", {s: outbox.get(s, 0) for s in ReplyStatus}, "status")
    failing = select(func.count()).select_from(Source).where(*_WATCHED, Source.failures > 0)
    yield from _gauge("gensvar_sources_failing", "Sources whose last pass failed.", {"": db.scalar(failing) or 0})
    beat = db.get(Heartbeat, CLOCK)
    if beat is not None:
        age = {"": (now - beat.at).total_seconds()}
        yield from _gauge("gensvar_scheduler_heartbeat_age_seconds", "Since the clock last said it is alive.", age)


def _gauge(name: str, help: str, values: Mapping[str, float], label: str = "") -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} gauge"
    for value, number in values.items():
        yield f'{name}{{{label}="{value}"}} {number}' if label else f"{name} {number}"


def _from_this_machine() -> bool:
    """Not what a proxy on this machine passes on for somebody else."""
    passed_on = any(name in request.headers for name in PASSED_ON)
    return not passed_on and request.remote_addr is not None and ip_address(request.remote_addr).is_loopback


def _has_token(house: House) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    with house.database.read() as db:
        return scheme.lower() == "bearer" and tokens.find(db, token.strip()) is not None


def _json(body: dict[str, object], status: int) -> Response:
    return Response(json.dumps(body), status=status, mimetype="application/json")
