"""Bringing in history: asked for on a source's page, confirmed with what it may cost, followed while it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

import imports
from channels import History
from errors import GensvarError, InvalidInput
from models import Heartbeat, Import, ImportState, Source
from web.context import house, now, only_admins, user, zone
from web.i18n import clock
from web.i18n import gettext as _
from web.inbox import collecting

pages = Blueprint("history", __name__, url_prefix="/admin")
pages.before_request(only_admins)

SHOWN = 100  # imports on the list
COLOURS = {ImportState.done: "success", ImportState.failed: "danger", ImportState.paused: "warning"}


@dataclass(frozen=True)
class Past:
    """What a source's page says of its history. ``reach`` None: the network tells nothing of it."""

    reach: str | None
    last: Import | None
    under_way: bool


def past(db: Session, source: Source) -> Past:
    told, last = imports.history(source), imports.latest(db, source.id)
    reach = told.reach if told is not None else None
    return Past(reach, last, last is not None and last.state in imports.UNDER_WAY)


@pages.get("/imports")
def listing() -> str:
    wanted = select(Import).options(joinedload(Import.source)).order_by(Import.id.desc()).limit(SHOWN)
    with house().database.read() as db:
        return render_template("imports.html", listed=db.scalars(wanted).all(), state=state, colours=COLOURS)


@pages.route("/sources/<int:source_id>/import", methods=["GET", "POST"])
def ask(source_id: int) -> BaseResponse:
    """What it may cost and what becomes of it; a POST begins it."""
    with house().database.read() as db:
        source = db.get(Source, source_id) or abort(404)
        told, going = imports.history(source), imports.under_way(db, source_id)
    if going is not None:
        return redirect(url_for("history.show", number=going.id), 303)
    if told is None:
        abort(404)
    keep_open = bool(request.values.get("keep_open"))
    typed, error = request.values.get("since", "").strip(), None
    try:
        since = imports.beginning(_day(typed), zone())
        if request.method == "POST":
            return _begin(source_id, since, keep_open)
        if since is not None and since > now():
            raise InvalidInput(_("History lies in the past: choose an earlier day."))
    except InvalidInput as wrong:
        error = str(wrong)
    return _confirm(source, told, typed, keep_open, error)


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError:
        raise InvalidInput(_("Write the day as a date.")) from None


def _begin(source_id: int, since: datetime | None, keep_open: bool) -> BaseResponse:
    who = user()
    with house().database.transaction() as db:
        source = db.get_one(Source, source_id)
        made = imports.ask(db, source, since=since, keep_open=keep_open, user_id=who.id, actor=who.email, at=now())
    return redirect(url_for("history.show", number=made.id), 303)


def _confirm(source: Source, told: History, typed: str, keep_open: bool, error: str | None) -> BaseResponse:
    try:
        cost = imports.cost(house(), source, now())
    except GensvarError as wrong:  # its account does not stand in the configuration any more
        cost, error = None, error or str(wrong)
    page = render_template(
        "import_ask.html", source=source, reach=told.reach, since=typed, keep_open=keep_open, cost=cost, error=error
    )
    return make_response(page, 422 if error else 200)


@pages.get("/imports/<int:number>")
def show(number: int) -> str:
    """The whole page; the part that moves when htmx asks for it, with what has changed for those who cannot see it."""
    with house().database.read() as db:
        found, heartbeat = imports.get(db, number), db.get(Heartbeat, "scheduler")
    told = state(found)
    changed = request.headers.get("HX-Request") and request.args.get("was") != found.state
    return render_template(
        "_import_progress.html" if request.headers.get("HX-Request") else "import.html",
        found=found,
        since=found.since and found.since.astimezone(zone()).date(),
        told=told,
        colour=COLOURS.get(ImportState(found.state), "neutral"),
        says=told if changed else None,
        under_way=found.state in imports.UNDER_WAY,
        collecting=collecting(heartbeat, now()),
    )


def state(found: Import) -> str:
    """How it stands, in a few words."""
    if found.cancel_wanted and found.state in imports.UNDER_WAY:
        return _("Stops after this page")
    if found.state == ImportState.paused and found.resumes_at is not None:
        return _("Paused, goes on at %(time)s", time=clock(found.resumes_at, now()))
    return {
        ImportState.waiting: _("Begins in a moment"),
        ImportState.running: _("Reading"),
        ImportState.paused: _("Paused"),
        ImportState.done: _("Done"),
        ImportState.cancelled: _("Cancelled"),
        ImportState.failed: _("Broke off"),
    }[ImportState(found.state)]


@pages.post("/imports/<int:number>/cancel")
def cancel(number: int) -> BaseResponse:
    imports.cancel(house(), number, actor=user().email, at=now())
    flash(_("No more is read. What has come stays."))
    return redirect(url_for("history.show", number=number), 303)


@pages.post("/imports/<int:number>/again")
def again(number: int) -> BaseResponse:
    with house().database.transaction() as db:
        imports.again(db, number, actor=user().email, at=now())
    flash(_("It goes on where it stopped."))
    return redirect(url_for("history.show", number=number), 303)
