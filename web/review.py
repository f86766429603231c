"""A second pair of eyes: answers that wait for a colleague, who approves them or returns them with a note."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput, InvalidTransition, StaleCase
from models import Case, CaseEvent, Note, Reply, ReplyStatus, Role, User
from replies import outbox
from triage import cases
from triage.states import Action
from web.context import house, is_at_least, now, user, whole_number
from web.i18n import gettext as _

pages = Blueprint("review", __name__, url_prefix="/cases")


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_review.html`` shows: answers to look at, the reader's own that came back, and the notes they bear."""
    waiting = (Reply.case_id == case.id, Reply.status == ReplyStatus.in_review)
    mine = (Reply.case_id == case.id, Reply.status == ReplyStatus.draft, Reply.user_id == user().id)
    returned = list(db.scalars(select(Reply).where(*mine).order_by(Reply.id)))
    notes = (
        select(CaseEvent.reply_id, Note)
        .join(Note, Note.id == CaseEvent.note_id)
        .where(CaseEvent.reply_id.in_([reply.id for reply in returned]))
        .options(joinedload(Note.user))
        .order_by(CaseEvent.id)
    )
    in_review = list(db.scalars(select(Reply).where(*waiting).options(joinedload(Reply.user)).order_by(Reply.id)))
    return {
        "in_review": in_review,
        "overtaken": _overtaken(db, case, in_review) if in_review else set(),
        "returned": returned,
        "returned_because": {reply_id: note for reply_id, note in db.execute(notes)} if returned else {},
        "may_lift_review": is_at_least(Role.manager),
    }


def _overtaken(db: Session, case: Case, in_review: list[Reply]) -> set[int]:
    """The answers that somebody outside has written something after."""
    here = (CaseEvent.case_id == case.id,)
    last = db.scalar(select(func.max(CaseEvent.version)).where(*here, CaseEvent.action == Action.author_wrote)) or 0
    proposed = select(CaseEvent.reply_id, func.max(CaseEvent.version)).where(
        *here, CaseEvent.action == "reply_proposed", CaseEvent.reply_id.in_([reply.id for reply in in_review])
    )
    return {
        id for id, version in db.execute(proposed.group_by(CaseEvent.reply_id)) if id is not None and version < last
    }


@pages.post("/<int:number>/review")
def want(number: int) -> BaseResponse:
    """Ask for a second pair of eyes; only a manager says that none is needed any more."""
    wanted = request.form.get("wanted") == "1"
    if not wanted and not is_at_least(Role.manager):
        abort(403)
    with house().database.transaction() as db:
        cases.want_review(db, number, wanted=wanted, actor=user().email, at=now())
    return _back(number)


@pages.post("/<int:number>/replies/<int:reply_id>/approve")
def approve(number: int, reply_id: int) -> BaseResponse:
    try:
        with house().database.transaction() as db:
            _check(db, number, reply_id)
            me = db.get_one(User, user().id)
            outbox.approve(db, house(), reply_id, user=me, at=now(), version=whole_number("version"))
    except StaleCase:
        flash(_("Somebody has written meanwhile. Nothing was sent: read it, then approve the answer again."))
    except InvalidTransition:
        flash(_("The answer no longer waits for you: somebody else was first, or it was withdrawn."))
    else:
        flash(_("Approved: the answer goes out."))
    return _back(number)


@pages.post("/<int:number>/replies/<int:reply_id>/return")
def give_back(number: int, reply_id: int) -> BaseResponse:
    comment = request.form.get("comment", "").replace("\r\n", "\n")
    if not comment.strip():
        raise InvalidInput(_("Say what should be different."), {"comment": "what should be different"})
    try:
        with house().database.transaction() as db:
            _check(db, number, reply_id)
            me = db.get_one(User, user().id)
            cases.return_reply(db, reply_id, comment=comment, user=me, at=now())
    except InvalidTransition:
        flash(_("The answer no longer waits for you: somebody else was first, or it was withdrawn."))
    else:
        flash(_("Returned with your note. Nothing was sent."))
    return _back(number)


def _check(db: Session, number: int, reply_id: int) -> None:
    found = db.get(Reply, reply_id)
    if found is None or found.case_id != number:
        abort(404)


def _back(number: int) -> BaseResponse:
    return redirect(url_for("cases.show", number=number, _anchor="review"), 303)
