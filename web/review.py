"""A second pair of eyes: answers that wait for a colleague, who approves them or returns them with a note."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput, InvalidTransition, StaleCase
from models import Case, CaseEvent, Mention, Note, Reply, ReplyStatus, Role, User
from replies import outbox
from triage import answering, cases
from triage.states import Action
from web.context import house, is_at_least, now, user, whole_number
from web.i18n import gettext as _

pages = Blueprint("review", __name__)

SHOWN = 100  # in the list of what waits


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_review.html`` shows: answers to look at, the reader's own that came back, and the notes they bear."""
    # By the case alone: SQLite else looks through all answers the reader has ever given.
    of_it = select(Reply).where(Reply.case_id == case.id).options(joinedload(Reply.user)).order_by(Reply.id)
    replies = db.scalars(of_it).all()
    returned = [each for each in replies if each.status == ReplyStatus.draft and each.user_id == user().id]
    notes = (
        select(CaseEvent.reply_id, Note)
        .join(Note, Note.id == CaseEvent.note_id)
        .where(CaseEvent.reply_id.in_([reply.id for reply in returned]))
        .options(joinedload(Note.user))
        .order_by(CaseEvent.id)
    )
    in_review = [each for each in replies if each.status == ReplyStatus.in_review]
    return {
        "in_review": in_review,
        "overtaken": _overtaken(db, [case.id], in_review),
        "returned": returned,
        "returned_because": {reply_id: note for reply_id, note in db.execute(notes)} if returned else {},
        "may_lift_review": is_at_least(Role.manager),
        "may_approve": not user().needs_review,
    }


@pages.get("/approvals")
def waiting() -> str:
    """Every answer that waits for a colleague, the one that has waited longest first."""
    with house().database.read() as db:
        proposed = select(Reply).where(Reply.status == ReplyStatus.in_review).order_by(Reply.created_at, Reply.id)
        what = (joinedload(Reply.user), joinedload(Reply.case), joinedload(Reply.to_mention).joinedload(Mention.author))
        found = list(db.scalars(proposed.options(*what).limit(SHOWN)))
        by_case = {reply.case_id: reply.case for reply in found if reply.case is not None}
        return render_template(
            "approvals.html",
            waiting=found,
            total=len(found),
            overtaken=_overtaken(db, list(by_case), found),
            may_approve=not user().needs_review,
        )


def waiting_count() -> int:
    """How many answers wait for the reader to look at: not their own."""
    others = (Reply.status == ReplyStatus.in_review, Reply.user_id.is_distinct_from(user().id))
    with house().database.read() as db:
        return db.scalar(select(func.count()).select_from(Reply).where(*others)) or 0


def _overtaken(db: Session, case_ids: list[int], in_review: list[Reply]) -> set[int]:
    """The answers that somebody outside has written something after."""
    if not in_review:
        return set()
    wrote = (CaseEvent.case_id.in_(case_ids), CaseEvent.action == Action.author_wrote)
    newest = select(CaseEvent.case_id, func.max(CaseEvent.version)).where(*wrote).group_by(CaseEvent.case_id)
    last: dict[int, int] = {case_id: version for case_id, version in db.execute(newest)}
    proposed = select(CaseEvent.reply_id, CaseEvent.case_id, func.max(CaseEvent.version)).where(
        CaseEvent.case_id.in_(case_ids),
        CaseEvent.action == "reply_proposed",
        CaseEvent.reply_id.in_([reply.id for reply in in_review]),
    )
    each = db.execute(proposed.group_by(CaseEvent.reply_id, CaseEvent.case_id))
    return {id for id, case_id, version in each if id is not None and version < last.get(case_id, 0)}


@pages.post("/cases/<int:number>/review")
def want(number: int) -> BaseResponse:
    """Ask for a second pair of eyes; only a manager says that none is needed any more."""
    wanted = request.form.get("wanted") == "1"
    if not wanted and not is_at_least(Role.manager):
        abort(403)
    with house().database.transaction() as db:
        cases.want_review(db, number, wanted=wanted, actor=user().email, at=now())
    return _back(number)


@pages.post("/cases/<int:number>/replies/<int:reply_id>/approve")
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


@pages.post("/cases/<int:number>/replies/<int:reply_id>/return")
def give_back(number: int, reply_id: int) -> BaseResponse:
    comment = request.form.get("comment", "").replace("\r\n", "\n")
    if not comment.strip():
        raise InvalidInput(_("Say what should be different."), {"comment": "what should be different"})
    try:
        with house().database.transaction() as db:
            _check(db, number, reply_id)
            me = db.get_one(User, user().id)
            answering.return_reply(db, reply_id, comment=comment, user=me, at=now())
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
    """To the list of what waits, when it was done there; else to the case."""
    if request.form.get("from") == "approvals":
        return redirect(url_for("review.waiting"), 303)
    return redirect(url_for("cases.show", number=number, _anchor="review"), 303)
