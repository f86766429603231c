"""What colleagues taught the judges by correcting them, and the way to take a wrong lesson back. Managers may read."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as BaseResponse

import audit
from models import Lesson
from triage import school
from web import labels
from web.context import house, managers_read_admins_change, now, user, whole_number
from web.i18n import gettext as _

pages = Blueprint("lessons", __name__, url_prefix="/admin/lessons")
pages.before_request(managers_read_admins_change)

PAGE = 50


@pages.get("")
def listing() -> str:
    before = whole_number("before")
    query = select(Lesson).options(joinedload(Lesson.mention), joinedload(Lesson.user))
    if before is not None:
        query = query.where(Lesson.id < before)
    with house().database.read() as db:
        found = list(db.scalars(query.order_by(Lesson.id.desc()).limit(PAGE + 1)))
        in_force = db.scalar(select(func.count()).select_from(Lesson).where(Lesson.withdrawn_at.is_(None))) or 0
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return render_template("lessons.html", lessons=found[:PAGE], more=more, in_force=in_force, said=said)


def said(judge: str, value: str | None) -> str:
    """What a judge said, or should have said."""
    if value in (None, "none"):
        return _("none")
    if judge == "wants_answer":
        return _("yes") if value == "yes" else _("no")
    return labels.value(judge, value, {})


@pages.post("/<int:lesson_id>/withdraw")
def withdraw(lesson_id: int) -> BaseResponse:
    with house().database.transaction() as db:
        school.withdraw(db, lesson_id, at=now())
        audit.record(db, actor=user().email, action="remove", subject=f"lesson:{lesson_id}", at=now())
    flash(_("The lesson is taken back: from now on it is as if it had never been."))
    return redirect(url_for("lessons.listing", before=request.form.get("page") or None), 303)
