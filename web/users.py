"""Who may log in, as what, in which teams; invited, and locked out again. For administrators only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, delete, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session, selectinload
from werkzeug.wrappers import Response as BaseResponse

import audit
from errors import InvalidInput
from house import House
from models import ApiToken, Case, LoginSession, Role, Team, TeamMember, User
from settings import TeamSettings
from triage import cases, policy
from triage.states import ALIVE
from web.context import as_number, house, now, only_admins, user, whole_number
from web.i18n import gettext as _
from web.login import new_user, welcome_link

pages = Blueprint("users", __name__, url_prefix="/admin/users")
pages.before_request(only_admins)

PAGE = 50
AT_ONCE = 100  # cases that change hands in one transaction
SHOWN = ("active", "disabled", "all")


@pages.get("")
def listing() -> str:
    return _listing({})


def _listing(form: dict[str, str], error: str | None = None, link: tuple[User, str] | None = None) -> str:
    """``q``: part of a name or an address; ``show``: active, disabled, all; ``after``: where to go on."""
    q, show = request.args.get("q", "").strip(), request.args.get("show", "active")
    show = show if show in SHOWN else "active"
    wanted = select(User).order_by(User.name, User.id).limit(PAGE + 1)
    if show != "all":
        wanted = wanted.where(User.disabled_at.is_(None) if show == "active" else User.disabled_at.is_not(None))
    if q:
        spelt = {q, q.lower(), q.title()}  # SQLite knows no capital Å
        named = [User.name.icontains(each, autoescape=True) for each in sorted(spelt)]
        wanted = wanted.where(or_(User.email.icontains(q, autoescape=True), *named))
    with house().database.read() as db:
        last = db.get(User, whole_number("after") or 0)
        if last is not None:
            wanted = wanted.where(tuple_(User.name, User.id) > tuple_(literal(last.name), literal(last.id)))
        found = list(db.scalars(wanted))
        people = found[:PAGE]
        return render_template(
            "users.html",
            people=people,
            after=found[PAGE - 1].id if len(found) > PAGE else None,
            total=db.scalar(select(func.count()).select_from(User)) or 0,
            teams=_teams_of(db, people),
            q=q,
            show=show,
            shows=(("active", _("Active")), ("disabled", _("Disabled")), ("all", _("All"))),
            roles=list(Role),
            form=form,
            error=error,
            link=link,
        )


def _teams_of(db: Session, people: list[User]) -> dict[str, list[str]]:
    """E-mail -> the names of the teams one is in."""
    emails = {person.email for person in people}
    found: dict[str, list[str]] = {email: [] for email in emails}
    for team in db.scalars(select(Team).options(selectinload(Team.members)).order_by(Team.name)):
        for member in team.members:
            if member.email in emails:
                found[member.email].append(team.name)
    return found


@pages.post("")
def add() -> str | Response:
    """With a password, or without one: then a one-time link is shown to be passed on."""
    form = {name: request.form.get(name, "").strip() for name in ("email", "name", "role")}
    password = request.form.get("password") or None
    try:
        with house().database.transaction() as db:
            added = invite(db, form, password, by=user().email, at=now())
    except InvalidInput as error:
        return make_response(_listing(form, str(error)), 422)
    if password is not None:
        flash(_("%(name)s is added.", name=added.name))
    return _listing({}, link=None if password is not None else (added, welcome_link(added)))


def invite(db: Session, form: dict[str, str], password: str | None, *, by: str, at: datetime) -> User:
    """A new user; without a password one who needs ``welcome_link``. Raises ``InvalidInput``."""
    added = new_user(form["email"], form["name"], form["role"], password, at)
    if db.scalar(select(User.id).where(User.email == added.email)) is not None:
        raise InvalidInput(_("There is a user with that e-mail address already."), {"email": "taken"})
    db.add(added)
    audit.record(db, actor=by, action="add", subject=f"user:{added.email}", changes={"role": [None, added.role]}, at=at)
    return added


# -- one of them ------------------------------------------------------------------------------------------------------


@pages.get("/<int:user_id>")
def show(user_id: int) -> str:
    return _page(user_id)


def _page(user_id: int, link: str | None = None) -> str:
    with house().database.read() as db:
        person = _person(db, user_id)
        others = select(User).where(*_may_take_over(user_id)).order_by(User.name)
        return render_template(
            "user.html",
            person=person,
            roles=list(Role),
            teams=db.scalars(select(Team).options(selectinload(Team.members)).order_by(Team.name)).all(),
            is_in=set(db.scalars(select(TeamMember.team_id).where(TeamMember.email == person.email))),
            open_cases=_count(db, person),
            colleagues=db.scalars(others).all(),
            tokens=db.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id)).all(),
            sessions=db.scalar(select(func.count()).select_from(LoginSession).where(LoginSession.user_id == user_id)),
            link=link,
        )


def _person(db: Session, user_id: int) -> User:
    found = db.get(User, user_id) if user_id < 2**63 else None
    if found is None:
        abort(404)
    return found


def _count(db: Session, person: User) -> int:
    theirs = select(func.count()).select_from(Case).where(Case.assignee_id == person.id, Case.status.in_(ALIVE))
    return db.scalar(theirs) or 0


@pages.post("/<int:user_id>")
def change(user_id: int) -> str | BaseResponse:
    """``do``: save, link, disable, enable, hand_over, log_out, revoke. Nobody locks himself out."""
    do = request.form.get("do", "")
    if do not in DO:
        abort(400)
    if user_id == user().id and do in ("disable", "hand_over"):
        raise InvalidInput(_("You cannot take your own access away; ask another administrator."))
    heir = _heir(user_id) if do in ("disable", "hand_over") else None
    with house().database.transaction() as db:
        person = _person(db, user_id)
        DO[do](db, person)
    if do == "link":
        return _page(user_id, welcome_link(person))
    if heir is not None:
        hand_over(house(), person, heir, by=user().email, at=now())
    flash(_("Saved."))
    return redirect(url_for("users.show", user_id=user_id), 303)


def _written(db: Session, action: str, person: User, changes: audit.Changes | None = None) -> None:
    audit.record(db, actor=user().email, action=action, subject=f"user:{person.email}", changes=changes, at=now())


def _save(db: Session, person: User) -> None:
    """Name, role, whether answers are approved first, teams made here."""
    role, name = request.form.get("role", person.role), request.form.get("name", "").strip() or person.name
    if role not in list(Role):
        abort(400)
    if person.id == user().id and role != person.role:
        raise InvalidInput(_("You cannot take your own access away; ask another administrator."))
    given: dict[str, Any] = {"name": name, "role": role, "needs_review": "needs_review" in request.form}
    changes = audit.difference({field: getattr(person, field) for field in given}, given)
    for field, value in given.items():
        setattr(person, field, value)
    if changes:
        _written(db, "change", person, changes)
    if "teams" in request.form:  # an empty one says that the list was there
        _join(db, person, set(request.form.getlist("teams")))


def _join(db: Session, person: User, wanted: set[str]) -> None:
    for entry in policy.entries(db, policy.TEAMS):
        value = entry.value
        if (
            entry.declared
            or not isinstance(value, TeamSettings)
            or (entry.name in wanted) == (person.email in value.members)
        ):
            continue
        rest = [email for email in value.members if email != person.email]
        members = (*rest, person.email) if entry.name in wanted else tuple(rest)
        policy.put(
            db, policy.TEAMS, value.model_copy(update={"members": members}), instead_of=entry.name, by=user().email,
            at=now(),
        )  # fmt: skip
        changes = {"members": [list(value.members), list(members)]}
        audit.record(db, actor=user().email, action="change", subject=f"teams:{entry.name}", changes=changes, at=now())


def _disable(db: Session, person: User) -> None:
    person.disabled_at = person.disabled_at or now()
    db.execute(delete(LoginSession).where(LoginSession.user_id == person.id))
    for token in db.scalars(select(ApiToken).where(ApiToken.user_id == person.id, ApiToken.revoked_at.is_(None))):
        token.revoked_at = now()
    _written(db, "disable", person)


def _enable(db: Session, person: User) -> None:
    person.disabled_at = None
    _written(db, "enable", person)


def _link(db: Session, person: User) -> None:
    _written(db, "invite", person)


def _log_out(db: Session, person: User) -> None:
    db.execute(delete(LoginSession).where(LoginSession.user_id == person.id))
    _written(db, "log_out", person)


def _revoke(db: Session, person: User) -> None:
    token = db.get(ApiToken, whole_number("token") or 0)
    if token is None or token.user_id != person.id:
        abort(404)
    token.revoked_at = token.revoked_at or now()
    audit.record(
        db, actor=user().email, action="remove", subject=f"api:{person.email}", changes={"name": [token.name, None]},
        at=now(),
    )  # fmt: skip


def _nothing_more(db: Session, person: User) -> None:
    """The cases change hands afterwards, in transactions of their own."""


DO = {
    "save": _save,
    "link": _link,
    "disable": _disable,
    "enable": _enable,
    "hand_over": _nothing_more,
    "log_out": _log_out,
    "revoke": _revoke,
}


# -- what becomes of their cases --------------------------------------------------------------------------------------


def _may_take_over(user_id: int) -> tuple[ColumnElement[bool], ...]:
    return User.disabled_at.is_(None), User.role != Role.reader, User.id != user_id


def _heir(user_id: int) -> User | str | None:
    """Who gets the open cases: a colleague, "nobody", or None when they stay where they are."""
    to = request.form.get("cases", "")
    if to in ("", "keep"):
        return None
    if to == "nobody":
        return to
    with house().database.read() as db:
        found = db.scalar(select(User).where(User.id == as_number(to), *_may_take_over(user_id)))
    if found is None:
        raise InvalidInput(_("Choose a colleague."))
    return found


def hand_over(here: House, person: User, heir: User | str, *, by: str, at: datetime) -> int:
    """Gives what they are working on to somebody else or to nobody, a part at a time; returns how many cases."""
    theirs = select(Case.id).where(Case.assignee_id == person.id, Case.status.in_(ALIVE)).order_by(Case.id)
    done = 0
    while True:
        with here.database.transaction() as db:
            numbers = db.scalars(theirs.limit(AT_ONCE)).all()
            to = db.get_one(User, heir.id) if isinstance(heir, User) else None
            for number in numbers:
                cases.assign(db, number, assignee=to, actor=by, at=at)
            done += len(numbers)
            if len(numbers) < AT_ONCE:
                given = {"cases": [done, heir.email if isinstance(heir, User) else None]}
                audit.record(db, actor=by, action="hand_over", subject=f"user:{person.email}", changes=given, at=at)
                return done
