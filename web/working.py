"""What people do with the case that is open, each a click that can be taken back; and taking it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from models import CaseStatus, Mention, User
from replies import hiding
from triage import batches, cases, merging
from triage.batches import Recorded
from web import acts, labels
from web.cases import back, to_list
from web.cases import pages as case_pages
from web.context import house, now, safe_next, user, whole_number
from web.i18n import gettext as _
from web.inbox import following
from web.queries import get_case

pages = Blueprint("working", __name__)

AT_ONCE = 100  # events taken back while the database is held
KEPT = 5  # at most so many are told one by one


@contextmanager
def acting(action: str) -> Iterator[tuple[Session, Recorded]]:
    """A transaction in which everything that who asks does is one batch."""
    with house().database.transaction() as db, batches.begin(db, db.get_one(User, user().id), action, now()) as batch:
        yield db, batch


def done(text: str, batch: Recorded) -> Markup:
    """The message with its way back."""
    return Markup(render_template("_done.html", text=text, batch=batch.id).strip())


# -- one thing at a time ----------------------------------------------------------------------------------------------


@case_pages.post("/<int:number>/do")
def act(number: int) -> BaseResponse | Response:
    """``action`` and ``value``, as ``web.acts`` knows them."""
    action, value = request.form.get("action", ""), request.form.get("value", "")
    if action not in acts.ACTS:
        abort(400)
    with acting(action) as (db, batch):
        get_case(db, number)
        acts.do(db, action, number, value, user(), now())
        words = acts.in_words(db, action, value, now())
    flash(done(f"{words}.", batch) if batch.id else _("It says so already."))
    return back(int(value) if action == "merge" else number)


@case_pages.post("/<int:number>/status")
def status(number: int) -> BaseResponse | Response:
    """``next``: and then on to the next case of the list."""
    target = request.form.get("status", "")
    if target not in list(CaseStatus):
        abort(400)
    with acting("status") as (db, batch):
        onwards = following(db, number) if "next" in request.form else None
        if get_case(db, number).status != target:
            cases.change_status(db, number, target=CaseStatus(target), actor=user().email, at=now())
    if "next" not in request.form:
        flash(done(_("The case is now: %(status)s.", status=labels.status(target)), batch))
        return back(number)
    flash(done(_("#%(number)s is now: %(status)s.", number=number, status=labels.status(target)), batch))
    return to_list() if onwards is None else back(onwards)


@case_pages.post("/<int:number>/take")
def take(number: int) -> BaseResponse | Response:
    with acting("assign") as (db, batch):
        if get_case(db, number).assignee_id != user().id:
            cases.assign(db, number, assignee=db.get_one(User, user().id), actor=user().email, at=now())
    flash(done(_("The case is yours."), batch))
    return back(number)


@case_pages.post("/<int:number>/details")
def details(number: int) -> BaseResponse | Response:
    """Assignee, team, priority, tags: only what this form changed, so that two people do not undo each other."""
    form, at = request.form, now()
    given: dict[str, Any] = {}

    def changed(name: str) -> bool:
        return name in form and form[name] != form.get(f"was_{name}", "")

    with acting("details") as (db, batch):
        get_case(db, number)
        for name, action in (("assignee", "assign"), ("team", "team"), ("priority", "priority")):
            if changed(name):
                acts.do(db, action, number, form[name] or acts.NOBODY, user(), at)
        if changed("tags"):
            given["tags"] = form["tags"].split(",")
            cases.classify(db, number, **given, actor=user().email, at=at)
    flash(done(_("Saved."), batch))
    return back(number)


@case_pages.post("/<int:number>/follow-up")
def follow_up(number: int) -> BaseResponse | Response:
    text = (request.form.get("preset") or request.form.get("until", "")).strip()
    with acting("snooze") as (db, batch):
        get_case(db, number)
        acts.do(db, "snooze", number, text or acts.NOBODY, user(), now())
        words = acts.in_words(db, "snooze", text or acts.NOBODY, now())
    flash(done(f"{words}.", batch))
    return back(number)


@case_pages.post("/<int:number>/merge")
def merge(number: int) -> BaseResponse | Response:
    into = whole_number("into")
    if into is None or into == number:
        raise InvalidInput(_("Write the number of another case."), {"into": "the number of another case"})
    with acting("merge") as (db, batch):
        acts.do(db, "merge", number, str(into), user(), now())
    flash(done(_("Case %(number)s now is part of this one.", number=number), batch))
    return back(into)


@case_pages.post("/<int:number>/split")
def split(number: int) -> BaseResponse | Response:
    mention_id = whole_number("mention")
    if mention_id is None:
        abort(400)
    with acting("split") as (db, batch):
        mention = db.get(Mention, mention_id)
        if mention is None:
            abort(404)
        made = mention.case_id or number
        if made == number:  # else the form was sent twice: it has moved already
            made = merging.split(db, number, mention_id=mention_id, actor=user().email, at=now()).id
    flash(done(_("The message has a case of its own now."), batch))
    return back(made)


@case_pages.post("/<int:number>/mentions/<int:mention_id>/hide")
def hide(number: int, mention_id: int) -> BaseResponse | Response:
    """``reason``: why a message of somebody else is hidden on its network."""
    reason = request.form.get("reason", "")
    if not reason.strip():
        raise InvalidInput(_("Write why it is hidden."), {"reason": "write something"})
    return _hide(number, mention_id, reason)


@case_pages.post("/<int:number>/mentions/<int:mention_id>/show")
def show_again(number: int, mention_id: int) -> BaseResponse | Response:
    return _hide(number, mention_id, None)


def _hide(number: int, mention_id: int, reason: str | None) -> BaseResponse | Response:
    with acting("hide") as (db, batch):
        mention = db.get(Mention, mention_id)
        if mention is None or mention.case_id != number:
            abort(404)
        me = db.get_one(User, user().id)
        hiding.submit(db, mention_id, hide=reason is not None, reason=reason, user=me, at=now())
        network = labels.channel(mention.channel)
    if reason is not None:
        words = _("It is being hidden on %(network)s.", network=network)
    else:
        words = _("It is being shown again on %(network)s.", network=network)
    flash(done(words, batch) if batch.id else _("It says so already."))
    return back(number, f"mention-{mention_id}")


# -- taking back ------------------------------------------------------------------------------------------------------


@pages.post("/undo")
def undo_last() -> BaseResponse | Response | str:
    """The last thing that who asks did, and has not undone."""
    with house().database.read() as db:
        last = batches.last_of(db, user())
    return undo(last) if last is not None else _undone(batches.Undone(0, []), 0)


@pages.post("/batches/<int:batch_id>/undo")
def undo(batch_id: int) -> BaseResponse | Response | str:
    """All of it; of many cases a part, and the page asks for the next."""
    with house().database.transaction() as db:
        found = batches.undo(db, batch_id, db.get_one(User, user().id), now(), at_most=AT_ONCE)
    return _undone(found, batch_id)


def _undone(found: batches.Undone, batch_id: int) -> BaseResponse | str:
    kept = [acts.kept(number, name) for number, name in found.not_undone[:KEPT]]
    said = Markup(render_template("_undone.html", done=found, batch=batch_id, kept=kept).strip())
    if request.headers.get("HX-Request"):
        return said
    flash(said)
    came_from = urlsplit(request.referrer or "")
    return redirect(safe_next(came_from.path + (f"?{came_from.query}" if came_from.query else "")), 303)
