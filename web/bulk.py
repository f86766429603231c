"""One action in many cases: those that were selected, or all in a view as it stood when it was looked at.

What is to be done is kept with the batch, so any process can go on with it, a part at a time; the page asks for the
next part. More than ``ASKS_ABOVE`` cases are only touched when that has been confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from errors import GensvarError, InvalidInput, InvalidTransition, NotFoundError
from models import Batch, Case, CaseEvent, CaseStatus, Kind, Priority, User
from triage import batches, cases
from web import acts, labels, working
from web.context import as_number, house, now, safe_next, user
from web.finding import wanted_cases
from web.i18n import gettext as _
from web.i18n import ngettext
from web.queries import all_numbers
from web.search import among

pages = Blueprint("bulk", __name__, url_prefix="/bulk")

ASKS_ABOVE = 25
AT_MOST = 10_000
AT_ONCE = 50  # cases in one transaction
TOLD = 100  # of what failed, at most so many one by one
CHANGED = "changed"  # the code for a case that has moved since the view was looked at


@pages.post("")
def begin() -> BaseResponse | str:
    """``case`` (several), or ``all`` with the list's filters as ``view`` and its newest event as ``until``."""
    form = request.form
    (action, value), back = _asked(form), safe_next(form.get("back"))
    if not action or not value:
        flash(_("Choose what is to be done."))
        return redirect(back, 303)
    if action not in acts.ACTS:
        abort(400)
    with house().database.read() as db:
        words = acts.in_words(db, action, value, now())
        if action == "snooze" and value != acts.NOBODY:
            value = acts.local_time(value).isoformat()
        numbers, left_out = _all_in_view(db, form) if "all" in form else (_selected(form), [])
    numbers = [number for number in numbers if str(number) != value or action not in ("merge", "link")]
    if not numbers:
        flash(_("No case was selected.") if not left_out else _("Every one of them has changed meanwhile: look again."))
        return redirect(back, 303)
    if len(numbers) > AT_MOST:
        flash(_("That is more than %(most)s cases at once. Narrow the list first.", most=AT_MOST))
        return redirect(back, 303)
    work = {"action": action, "value": value, "words": words, "todo": numbers, "total": len(numbers), "back": back}
    work["failed"] = [[number, CHANGED] for number in left_out]
    with house().database.transaction() as db:
        batch = batches.start(db, user(), action, now())
        batch.work = work
        number = batch.id
    if len(numbers) > ASKS_ABOVE and "sure" not in form:
        return redirect(url_for("bulk.show", batch_id=number), 303)
    return go_on(number)


FIELDS = {"untag": "value-tag", "until": "value-until", "merge": "value-other", "link": "value-other"}


def _asked(form: MultiDict[str, str]) -> tuple[str, str]:
    """Action and value: from ``action`` alone ("follow:mute"), or with the field that goes with it."""
    action, _colon, fixed = form.get("action", "").partition(":")
    value = fixed or form.get("value") or form.get(FIELDS.get(action, f"value-{action}"), "")
    return "snooze" if action == "until" else action, value.strip().removeprefix("#")


def _selected(form: MultiDict[str, str]) -> list[int]:
    found = {as_number(number) for number in form.getlist("case")}
    if None in found:
        abort(400)
    return sorted(number for number in found if number is not None)


def _all_in_view(db: Session, form: MultiDict[str, str]) -> tuple[list[int], list[int]]:
    """The numbers, and those left out since something has happened in them after ``until``."""
    until = as_number(form.get("until", ""))
    if until is None:
        abort(400)
    wanted = wanted_cases(MultiDict(parse_qsl(form.get("view", ""))), user())
    numbers = sorted(all_numbers(db, wanted, AT_MOST + 1))
    opened = func.max(case((CaseEvent.action == "opened", 1), else_=0))
    since = select(CaseEvent.case_id, opened).where(CaseEvent.id > until, among(CaseEvent.case_id, numbers, db))
    changed = {number: bool(came) for number, came in db.execute(since.group_by(CaseEvent.case_id))}
    left_out = [number for number, came in changed.items() if not came]
    return [number for number in numbers if number not in changed], sorted(left_out)


# -- what is offered --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    action: str
    label: str
    values: list[tuple[str, str]]


@dataclass(frozen=True)
class Offers:
    choices: list[Choice]


@pages.app_context_processor
def known() -> dict[str, Any]:
    return {"bulk_offers": offers}


def offers() -> Offers:
    """What can be chosen from, for all cases alike; times by the first calendar."""
    with house().database.read() as db:
        choices = [
            Choice("assign", _("Assign to"), acts.people(db, user())),
            Choice("team", _("Team"), acts.teams(db)),
            Choice("status", _("Status"), [(each, labels.status(each)) for each in CaseStatus]),
            Choice("priority", _("Priority"), [(each, labels.priority(each)) for each in Priority]),
            Choice("kind", _("Kind"), [(each, labels.kind(each)) for each in Kind]),
            Choice("snooze", _("Put off until"), acts.times(db, None, now())),
        ]
    return Offers(choices)


# -- a part at a time -------------------------------------------------------------------------------------------------


@pages.get("/<int:batch_id>")
def show(batch_id: int) -> str:
    """What is asked, how far it is, what failed."""
    with house().database.read() as db:
        return render_template("bulk.html", **_standing(_mine(db, batch_id)))


@pages.post("/<int:batch_id>")
def go_on(batch_id: int) -> BaseResponse | str:
    """The next part; the first one says yes."""
    with house().database.transaction() as db:
        batch = _mine(db, batch_id)
        _some(db, batch)
        standing = _standing(batch)
    if standing["left"]:
        if request.headers.get("HX-Request"):
            return render_template("_progress.html", **standing)
        return redirect(url_for("bulk.show", batch_id=batch_id), 303)
    said = _said(standing)
    if standing["failed"] and standing["total"] > ASKS_ABOVE:
        return _to(url_for("bulk.show", batch_id=batch_id))
    flash(said)
    return _to(standing["back"])


@pages.post("/<int:batch_id>/stop")
def stop(batch_id: int) -> BaseResponse:
    """What is not done yet stays as it is."""
    with house().database.transaction() as db:
        batch = _mine(db, batch_id)
        batch.work = {**(batch.work or {}), "todo": []}
        back = _standing(batch)["back"]
    return _to(back)


def _to(address: str) -> BaseResponse:
    if request.headers.get("HX-Request"):
        answer = redirect(address, 204)
        answer.headers["HX-Redirect"] = address
        return answer
    return redirect(address, 303)


def _mine(db: Session, batch_id: int) -> Batch:
    batch = db.get(Batch, batch_id, with_for_update=db.in_transaction() or None)
    if batch is None or batch.user_id != user().id or batch.work is None or "words" not in batch.work:
        raise NotFoundError(f"There is no bulk action {batch_id} of yours.")
    return batch


def _some(db: Session, batch: Batch) -> None:
    """The next cases, all of them locked in the order in which all lock; each fails by itself."""
    work: dict[str, Any] = dict(batch.work or {})
    some, work["todo"] = work["todo"][:AT_ONCE], work["todo"][AT_ONCE:]
    me = db.get_one(User, user().id)
    also = [int(work["value"])] if work["action"] in ("merge", "link") else []
    there = set(db.scalars(select(Case.id).where(Case.id.in_([*some, *also]))))
    cases.hold(db, there)
    failed = list(work["failed"])
    with batches.begin(db, me, work["action"], now(), onto=batch.id):
        for number in some:
            try:
                with db.begin_nested():
                    acts.do(db, work["action"], number, work["value"], me, now())
            except GensvarError as error:
                db.expire_all()
                failed.append([number, _code(error)])
    batch.work = {**work, "failed": failed}
    db.flush()


def _code(error: GensvarError) -> str:
    if isinstance(error, NotFoundError):
        return "gone"
    return (
        "status" if isinstance(error, InvalidTransition) else str(error) if isinstance(error, InvalidInput) else "other"
    )


def _standing(batch: Batch) -> dict[str, Any]:
    work = batch.work or {}
    failed: Sequence[tuple[int, str]] = [(number, why(code)) for number, code in work["failed"]]
    left = len(work["todo"])
    return {
        "batch": batch.id,
        "words": work["words"],
        "total": work["total"],
        "left": left,
        "done": work["total"] - left,
        "changed": work["total"] - left - sum(code != CHANGED for _number, code in work["failed"]),
        "failed": failed[:TOLD],
        "unlisted": max(0, len(failed) - TOLD),
        "back": work["back"],
        "begun": left < work["total"],
        "undone": batch.undone_at is not None,
    }


def why(code: str) -> str:
    """Why a case was left as it is."""
    return {
        CHANGED: _("has changed since you looked at the list"),
        "gone": _("is not there any more"),
        "status": _("cannot be changed that way in its status"),
        "other": _("could not be changed"),
    }.get(code, code)


def _said(standing: dict[str, Any]) -> Markup:
    text = ngettext("%(what)s: %(n)s case.", "%(what)s: %(n)s cases.", standing["changed"], what=standing["words"])
    failed = "; ".join(f"#{number} {reason}" for number, reason in standing["failed"])
    if failed:
        text += " " + _("Not done: %(failed)s.", failed=failed)
    return working.done(text, batches.Recorded(standing["batch"] if standing["changed"] else None))
