"""Drafts: kept while somebody types, shown in a list, taken over by a colleague."""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, jsonify, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

import pictures
from models import Case, Draft, Reply, ReplyStatus
from triage import cases, drafts
from web import composer
from web.cases import back
from web.context import house, now, user, whole_number
from web.i18n import clock
from web.i18n import gettext as _
from web.queries import get_case

pages = Blueprint("drafts", __name__)

SHOWN = 200  # in the list of one's own


@pages.get("/drafts")
def mine() -> str:
    """The reader's own, the latest first."""
    with house().database.read() as db:
        return render_template("drafts.html", drafts=_mine(db), throw=whole_number("throw"))


def _mine(db: Session) -> list[tuple[Draft, Case]]:
    own = select(Draft, Case).join(Case, Case.id == Draft.case_id).where(Draft.user_id == user().id)
    latest = own.options(joinedload(Case.author)).order_by(Draft.updated_at.desc(), Draft.id.desc()).limit(SHOWN)
    return [(draft, case) for draft, case in db.execute(latest)]


@pages.post("/cases/<int:number>/draft")
def keep(number: int) -> Response | BaseResponse:
    """What somebody is typing. A script gets JSON: 409 with the other text where another window was faster.

    ``version`` in the answers is the draft's: what the window has to name the next time.
    """
    kind = _kind()
    typed = composer.typed()
    with house().database.transaction() as db:
        get_case(db, number)
        case = composer.living(db, number)
        if _was_sent(db, typed):  # the answer itself was quicker than what was left behind in a browser
            return jsonify({"case": case.id, "version": 0, "said": ""})
        try:
            kept = drafts.keep(
                db,
                case,
                kind,
                body=typed.body,
                user=user(),
                version=typed.draft,
                at=now(),
                case_version=typed.version if case.id == number else None,
                to_mention_id=composer.mention_in(db, case, typed.to_mention),
                private=typed.private,
            )
        except drafts.Overtaken as error:
            return _overtaken(case.id, typed, kind, error.there)
        told = {"case": case.id, "version": kept.version if kept else 0, "said": composer.saved(now()) if kept else ""}
    if request.headers.get("HX-Request"):
        return jsonify(told)
    flash(_("The draft is saved."))
    return back(number, "body")


def _was_sent(db: Session, typed: composer.Composer) -> bool:
    """Whether the form that holds this text has been sent since, with this text or what became of it."""
    known = select(Reply.body).where(Reply.idempotency_key == typed.key, Reply.status != ReplyStatus.cancelled)
    body = db.scalar(known) if typed.key else None
    return body is not None and body.startswith(typed.body.strip())


def _overtaken(number: int, typed: composer.Composer, kind: str, there: Draft | None) -> Response:
    body, version = (there.body, there.version) if there else ("", 0)
    if request.headers.get("HX-Request"):
        at = clock(there.updated_at, now()) if there else ""
        return make_response(jsonify({"case": number, "version": version, "body": body, "at": at}), 409)
    texts = {"mine": typed.body, "other": body, "kind": kind, "version": version, "number": number}
    return make_response(render_template("draft_two.html", **texts), 409)


@pages.post("/cases/<int:number>/draft/discard")
def discard(number: int) -> BaseResponse:
    """Thrown away by its owner, who has been shown it and asked: nothing brings it back."""
    with house().database.transaction() as db:
        thrown = drafts.of(db, cases.get(db, number).id, user().id, _kind())
        if thrown is not None and thrown.version == whole_number("draft"):
            if thrown.kind == "reply":
                pictures.throw_away(db, thrown.case_id, thrown.user_id)
            db.delete(thrown)
            flash(_("Thrown away."))
    return redirect(url_for("drafts.mine"), 303)


@pages.post("/cases/<int:number>/drafts/<int:draft_id>/take")
def take(number: int, draft_id: int) -> BaseResponse | Response:
    """A copy of what a colleague has begun, as one's own draft. The colleague keeps theirs, and it is told."""
    with house().database.transaction() as db:
        get_case(db, number)
        case = cases.get(db, number)
        theirs = db.scalar(select(Draft).where(Draft.id == draft_id, Draft.case_id == number, Draft.kind == "reply"))
        if theirs is None:
            flash(_("The draft is no longer there: it was sent or thrown away."))
        elif theirs.user_id == user().id:
            abort(400)
        else:
            to, private = theirs.to_mention_id, theirs.private
            drafts.add(db, case, "reply", body=theirs.body, user=user(), at=now(), to_mention_id=to, private=private)
            changes = {"draft_of": [None, theirs.user.email]}
            cases.record(db, number, "draft_taken", actor=user().email, at=now(), changes=changes)
            flash(_("The text of %(name)s is in your composer.", name=theirs.user.name))
    return back(number, "body")


def _kind() -> str:
    kind = request.form.get("kind", "reply")
    if kind not in drafts.KINDS:
        abort(400)
    return kind
