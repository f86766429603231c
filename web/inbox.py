"""The inbox: the list of cases, and what is new in it while one looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from errors import InvalidInput, QueryError
from models import Case, CaseEvent, Heartbeat, Source
from web import finding, notices, panes
from web.context import house, now, user
from web.finding import wanted_cases
from web.i18n import gettext as _
from web.queries import CaseFilter, CasePage, Sort, find_cases
from web.rows import rows
from web.views import default_address, views

pages = Blueprint("inbox", __name__)

PAGE = 50
COUNTED = 1_000  # cases; a list that holds more says so
FLAGGED = 50  # at most so many on top
ALIVE = timedelta(seconds=15)  # older than this, and the collecting side is down


@pages.get("/")
def inbox() -> str | Response:
    with house().database.read() as db:
        if not request.args and (start := default_address(db, user())):
            return redirect(start)
        return render_template("inbox.html", **listing(db))


def listing(db: Session) -> dict[str, Any]:
    """What the navigation and the list need."""
    me, args = user(), panes.list_args()
    problem = None
    try:
        flagged, page = _listed(db)
    except InvalidInput as error:
        if "q" not in error.fields and not isinstance(error, QueryError):
            raise
        flagged = page = CasePage([], None, 0)
        problem = finding.problem(error, args.get("q", ""))
    rest = _without(page, flagged)
    last = newest_event(db)
    listed = rows(db, [*flagged.cases, *rest], me, args.get("q") if problem is None else None)
    read = select(Source.name, Source.error, Source.paused_at).where(Source.enabled).order_by(Source.name)
    sources = db.execute(read).all()
    heartbeat = db.get(Heartbeat, "scheduler")
    told, told_in_all = notices.unseen(db, me.id)
    navigation = views(db, args, me)
    return {
        "urgent": listed[: len(flagged.cases)],
        "rows": listed[len(flagged.cases) :],
        "total": page.total,
        "more": page.more,
        "looked_until": page.looked_until,
        "problem": problem,
        "next_cursor": page.next_cursor,
        "last": last,
        "views": navigation,
        "view": next((view for view in navigation if view.current), None),
        "sources": sources,
        "troubled": [source for source in sources if source.error],
        **finding.known(db, args),
        "notices": told,
        "notice_count": told_in_all,
        "sorts": sort_names(),
        "sort": finding.sort_of(args),
        "args": args,
        "args_without_cursor": {name: values for name, values in panes.here().items() if name != "cursor"},
        "filtered": any(args.get(name) for name in finding.NARROWING),
        "any_case": bool(listed) or db.scalar(select(Case.id).limit(1)) is not None,
        "collecting": collecting(heartbeat, now()),
        "restarts": heartbeat.restarts if heartbeat else 0,
    }


def _listed(db: Session) -> tuple[CasePage, CasePage]:
    """What stands on top of the list the reader has before them, and the page under it."""
    args = panes.list_args()
    wanted, cursor = wanted_cases(args, user()), args.get("cursor")
    sort = finding.sort_of(args)
    plain = cursor is None and sort is Sort.newest and not wanted.q
    on_top = _flagged(db, wanted) if plain else CasePage([], None, 0)
    return on_top, find_cases(db, wanted, sort=sort, limit=PAGE, cursor=cursor, most=COUNTED)


def _without(page: CasePage, flagged: CasePage) -> list[Case]:
    on_top = {found.id for found in flagged.cases}
    return [found for found in page.cases if found.id not in on_top]


def following(db: Session, number: int) -> int | None:
    """The case under this one in the list; after the last, or where it is not listed, the first. None: no other."""
    flagged, page = _listed(db)
    listed = [found.id for found in [*flagged.cases, *_without(page, flagged)]]
    below = listed[listed.index(number) + 1 :] if number in listed else []
    return next((each for each in [*below, *listed] if each != number), None)


def sort_names() -> dict[Sort, str]:
    return {Sort.newest: _("Newest first"), Sort.oldest: _("Oldest first"), Sort.urgent: _("Most urgent first")}


def _flagged(db: Session, wanted: CaseFilter) -> CasePage:
    """What needs a person before anything else: a failed or uncertain answer, a promise that is due."""
    return find_cases(db, replace(wanted, flagged=True), sort=Sort.urgent, limit=FLAGGED, most=FLAGGED)


def newest_event(db: Session) -> int:
    return db.scalar(select(CaseEvent.id).order_by(CaseEvent.id.desc()).limit(1)) or 0


def collecting(heartbeat: Heartbeat | None, at: datetime) -> str:
    """Whether anybody collects and sends: "ok", or "down"."""
    return "ok" if heartbeat and at - heartbeat.at <= ALIVE else "down"
