"""Who is away, so that routing gives them nothing. Managers may read."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

import audit
from errors import InvalidInput
from models import Absence, User
from web.context import house, managers_read_admins_change, now, user, whole_number, zone
from web.i18n import gettext as _

pages = Blueprint("absences", __name__, url_prefix="/admin/absences")
pages.before_request(managers_read_admins_change)


@pages.get("")
def listing() -> str:
    return _page({})


def _page(form: dict[str, str], error: str | None = None) -> str:
    with house().database.read() as db:
        current = select(Absence, User).join(User, User.id == Absence.user_id)
        current = current.where(or_(Absence.ends_at.is_(None), Absence.ends_at > now()))
        away = db.execute(current.order_by(Absence.starts_at, User.name)).all()
        people = db.scalars(select(User).where(User.disabled_at.is_(None)).order_by(User.name)).all()
    shown = [(absence, person, _last_day(absence.ends_at)) for absence, person in away]
    today = now().astimezone(zone()).date()
    return render_template(
        "absences.html", shown=shown, people=people, form=form, error=error, today=today, zone=zone()
    )


def _last_day(ends_at: datetime | None) -> date | None:
    """The last day somebody is away; an absence ends with a day, or in the middle of it."""
    return (ends_at - timedelta(microseconds=1)).astimezone(zone()).date() if ends_at else None


@pages.post("")
def add() -> Response | BaseResponse:
    """From the morning of one day to the end of another, or until they are back."""
    form = {name: request.form.get(name, "").strip() for name in ("person", "first", "last")}
    try:
        with house().database.transaction() as db:
            _add(db, form)
    except InvalidInput as error:
        return make_response(_page(form, str(error)), 422)
    flash(_("Saved."))
    return redirect(url_for("absences.listing"), 303)


def _add(db: Session, form: dict[str, str]) -> None:
    number = whole_number("person")
    person = db.get(User, number) if number is not None else None
    if person is None:
        raise InvalidInput(_("Choose a colleague."))
    try:
        first = date.fromisoformat(form["first"])
        last = date.fromisoformat(form["last"]) if form["last"] else None
    except ValueError:
        raise InvalidInput(_("Write the days as 2026-12-23.")) from None
    if last is not None and last < first:
        raise InvalidInput(_("The last day comes before the first."))
    ends_at = _midnight(last + timedelta(days=1)) if last else None
    db.add(Absence(user_id=person.id, starts_at=_midnight(first), ends_at=ends_at))
    days = {"first": [None, first.isoformat()], "last": [None, last.isoformat() if last else None]}
    audit.record(db, actor=user().email, action="add", subject=f"absence:{person.email}", changes=days, at=now())


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time(0), zone())


@pages.post("/<int:absence_id>/end")
def end(absence_id: int) -> BaseResponse:
    """Back now; what had not begun is as if it had never been said."""
    with house().database.transaction() as db:
        absence = db.get(Absence, absence_id)
        if absence is None:
            abort(404)
        of = db.get_one(User, absence.user_id).email
        audit.record(db, actor=user().email, action="remove", subject=f"absence:{of}", at=now())
        if absence.starts_at >= now():
            db.delete(absence)
        elif absence.ends_at is None or absence.ends_at > now():
            absence.ends_at = now()
    flash(_("Saved."))
    return redirect(url_for("absences.listing"), 303)
