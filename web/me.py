"""Oneself: how the screens look and speak, whether keys act, how one signs, one's password. Each part is a form."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, flash, g, make_response, redirect, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from models import LoginSession, Role, User
from triage import notices as told_of
from web import login, preferences, shortcuts
from web.context import came_from, house, user
from web.i18n import LANGUAGES
from web.i18n import gettext as _
from web.passwords import MIN_LENGTH, matches
from web.preferences import Density, Pane, Theme

pages = Blueprint("me", __name__, url_prefix="/me")

MAILED = (told_of.Way.mail, told_of.Way.daily)
MAX_SIGNATURE = 60  # characters; it goes with every answer


@pages.get("")
def page() -> str:
    return _page()


def _page(error: str | None = None, keys_error: InvalidInput | None = None) -> str:
    sessions = select(func.count()).select_from(LoginSession).where(LoginSession.user_id == user().id)
    with house().database.read() as db:
        return render_template(
            "me.html", languages=LANGUAGES, error=error, sessions=db.scalar(sessions), min_length=MIN_LENGTH,
            max_signature=MAX_SIGNATURE, themes=themes(), densities=densities(), keys_error=keys_error,
            form=request.form,
        )  # fmt: skip


@pages.get("/accessibility")
def accessibility() -> str:
    """What can be relied on, what is not known, and whom to tell: the statement, for whoever works here."""
    wanted = select(User).where(User.role == Role.admin, User.disabled_at.is_(None)).order_by(User.name)
    with house().database.read() as db:
        return render_template("accessibility.html", administrators=db.scalars(wanted).all())


def themes() -> dict[Theme, str]:
    return {Theme.auto: _("As the system says"), Theme.light: _("Light"), Theme.dark: _("Dark")}


def densities() -> dict[Density, str]:
    return {
        Density.compact: _("Compact: one line each"),
        Density.normal: _("Normal: two lines each"),
        Density.roomy: _("Roomy: three lines each"),
    }


@pages.post("/screens")
def screens() -> BaseResponse:
    """Language, theme and density."""
    form = request.form
    chosen = {"theme": form.get("theme", Theme.auto), "density": form.get("density", Density.normal)}
    if chosen["theme"] not in list(Theme) or chosen["density"] not in list(Density):
        abort(400)
    language = form.get("language", "")
    with house().database.transaction() as db:
        db.get_one(User, user().id).language = language if language in LANGUAGES else None
        preferences.change(db, user(), **chosen)
    return _saved("screens")


@pages.post("/keyboard")
def keyboard() -> BaseResponse | Response:
    """Whether single keys act, and which does what. ``only``: the keys stay as they are; ``usual``: as at first."""
    form = request.form
    chosen: dict[str, Any] = {"shortcuts": "shortcuts" in form}
    if "only" not in form:
        try:
            chosen["keys"] = {} if "usual" in form else shortcuts.read(form)
        except InvalidInput as error:
            return make_response(_page(keys_error=error), 422)
    with house().database.transaction() as db:
        preferences.change(db, user(), **chosen)
    if "only" in form:
        flash(_("Single keys are on.") if chosen["shortcuts"] else _("Single keys are off."))
        return redirect(came_from(), 303)
    return _saved("keyboard")


@pages.post("/signature")
def signature() -> BaseResponse:
    written = " ".join(request.form.get("signature", "").split())[:MAX_SIGNATURE]
    with house().database.transaction() as db:
        db.get_one(User, user().id).signature = written or None
    return _saved("signature")


@pages.post("/password")
def password() -> BaseResponse | Response:
    new, error = request.form.get("password", ""), None
    if not matches(request.form.get("old", ""), user().password_hash):
        error = _("The present password is not right.")
    elif len(new) < MIN_LENGTH:
        error = _("The password must have %(n)s characters or more.", n=MIN_LENGTH)
    if error:
        return make_response(_page(error), 422)
    response = _saved("password", _("The password is changed. You are logged out everywhere else."))
    login.change_password(user(), new, response)
    return response


@pages.get("/notifications")
def notifications() -> str:
    return render_template(
        "notifications.html", usual=told_of.USUAL, ways=list(told_of.Way), by_mail=MAILED, way=told_of.way,
        mail=house().settings.mail,
    )  # fmt: skip


@pages.post("/notifications")
def choose_notifications() -> BaseResponse:
    """How one hears of each kind, and of which the browser shows nothing. A kind that is not sent stays as it was."""
    form, kept = request.form, preferences.of(user())
    chosen = {kind: form[f"way-{kind}"] for kind in told_of.USUAL if f"way-{kind}" in form}
    if not set(chosen.values()) <= set(told_of.Way):
        abort(400)
    silent = kept.silent.difference(chosen) | {kind for kind in chosen if f"browser-{kind}" not in form}
    with house().database.transaction() as db:
        preferences.change(db, user(), notices={**kept.notices, **chosen}, silent=silent)
    flash(_("Saved."))
    return redirect(url_for("me.notifications"), 303)


@pages.post("/panes")
def panes() -> BaseResponse:
    """Fold a pane away, or open it again; the screens' script does it at once and tells it here."""
    chosen = request.form.get("pane", "")
    if chosen not in list(Pane):
        abort(400)
    folded = preferences.of(user()).folded
    now_folded = folded | {Pane(chosen)} if request.form.get("folded") else folded - {Pane(chosen)}
    with house().database.transaction() as db:
        preferences.change(db, user(), folded=now_folded)
    if request.headers.get("HX-Request"):
        return Response(status=204)
    return redirect(came_from(), 303)


@pages.get("/login")
def login_ends() -> Response:
    """When the login ends, for a window that warns of it: ``X-Login-Ends``, and at the latest ``X-Login-Lasts``."""
    headers = {"X-Login-Ends": g.login_ends.isoformat(), "X-Login-Lasts": g.login_lasts.isoformat()}
    return Response(status=204, headers=headers)


@pages.post("/login")
def stay() -> BaseResponse:
    """Somebody is here still."""
    return login_ends() if request.headers.get("HX-Request") else redirect(came_from(), 303)


def _saved(anchor: str, said: str | None = None) -> BaseResponse:
    flash(said or _("Saved."))
    return redirect(url_for("me.page", _anchor=anchor), 303)
