"""What our answers promised: on the case they were made in, and all of them on one page."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, literal, select, tuple_
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from models import Case, Promise, PromiseState, User, UTCDateTime
from triage import ledger
from web.context import house, now, user, whole_number, zone
from web.i18n import gettext as _

pages = Blueprint("promises", __name__)

PAGE = 50
LISTS = ("due", "coming", "proposed", "kept")


@pages.get("/promises")
def overview() -> str:
    """``list``: due (late or today), coming, proposed, kept. ``whose``: mine or all. ``after``: where to go on."""
    wanted = request.args.get("list", "due")
    wanted = wanted if wanted in LISTS else "due"
    mine = request.args.get("whose") != "all"
    with house().database.read() as db:
        found = _page(db, wanted, mine, whole_number("after"))
        return render_template(
            "promises.html",
            promises=found[:PAGE],
            zone=zone(),
            after=found[PAGE - 1].id if len(found) > PAGE else None,
            wanted=wanted,
            mine=mine,
            lists=(
                ("due", _("Today and late")),
                ("coming", _("Coming")),
                ("proposed", _("Not stood by yet")),
                ("kept", _("Kept")),
            ),
            counts=ledger.counts(db, now() - timedelta(days=30), now(), now()),
        )


def _page(db: Session, wanted: str, mine: bool, after: int | None) -> list[Promise]:
    """One more than a page, in the order of their days (kept ones: the latest first), by key."""
    midnight = datetime.combine(now().astimezone(zone()).date() + timedelta(days=1), time(), zone())
    state, more = {
        "due": (PromiseState.open, Promise.due_at < midnight),
        "coming": (PromiseState.open, Promise.due_at >= midnight),
        "proposed": (PromiseState.proposed, None),
        "kept": (PromiseState.kept, None),
    }[wanted]
    where: list[ColumnElement[bool]] = [Promise.state == state]
    if more is not None:
        where.append(more)
    if mine:
        where.append(Promise.owner_id == user().id)
    last = db.get(Promise, after) if after is not None else None
    if last is not None:
        here = tuple_(Promise.due_at, Promise.id)
        there = tuple_(literal(last.due_at, UTCDateTime()), last.id)
        where.append(here < there if wanted == "kept" else here > there)
    order = (Promise.due_at.desc(), Promise.id.desc()) if wanted == "kept" else (Promise.due_at, Promise.id)
    rows = select(Promise).where(*where).order_by(*order).limit(PAGE + 1)
    return list(db.scalars(rows.options(joinedload(Promise.case), joinedload(Promise.owner))))


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_promises.html`` shows beside a case."""
    return {"promises": ledger.of_case(db, case), "story_id": case.story_id, "zone": zone()}


def waiting() -> int:
    """How many promises of whoever is logged in are due today or late: the number beside the link to them."""
    with house().database.read() as db:
        return ledger.due_today(db, user(), now(), zone())


@pages.post("/promises/<int:number>/accept")
def accept(number: int) -> BaseResponse:
    """Stand by it, on its own day or on the ``day`` given."""
    with house().database.transaction() as db:
        promise = ledger.accept(
            db, number, owner=db.get_one(User, user().id), due_at=_day(), actor=user().email, at=now()
        )
        case_id = promise.case_id
    flash(_("You stand by it: the case comes back on its day."))
    return _back(case_id)


@pages.post("/promises/<int:number>/keep")
def keep(number: int) -> BaseResponse:
    with house().database.transaction() as db:
        case_id = ledger.keep(db, number, actor=user().email, at=now()).case_id
    flash(_("Kept."))
    return _back(case_id)


@pages.post("/promises/<int:number>/drop")
def drop(number: int) -> BaseResponse:
    with house().database.transaction() as db:
        case_id = ledger.drop(db, number, actor=user().email, at=now()).case_id
    flash(_("It counts as no promise."))
    return _back(case_id)


def _day() -> datetime | None:
    text = request.form.get("day", "").strip()
    if not text:
        return None
    try:
        given = datetime.fromisoformat(text)
        if not 1900 < given.year < 9000:
            raise ValueError
    except ValueError:
        raise InvalidInput(_("That is not a date."), {"day": "2026-11-27"}) from None
    return datetime.combine(given.date(), ledger.END_OF_DAY, zone())


def _back(case_id: int) -> BaseResponse:
    return redirect(url_for("cases.show", number=case_id, _anchor="promises"), 303)
