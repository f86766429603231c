"""The languages of the screens: how complete they are, a catalogue out and in as a file. For administrators only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response as BaseResponse

import audit
from errors import InvalidInput
from models import User
from web import i18n, translating
from web.context import house, now, only_admins, user
from web.i18n import gettext as _
from web.i18n import ngettext

pages = Blueprint("languages", __name__, url_prefix="/admin/languages")
pages.before_request(only_admins)


@dataclass(frozen=True)
class Spoken:
    """A language of the screens. ``changed``: texts of an imported catalogue; None: nothing is imported."""

    tag: str
    name: str
    texts: int
    changed: int | None
    users: int


def folder(data_dir: Path) -> Path:
    return data_dir / "translations"


def _here() -> Path:
    return folder(Path(house().settings.data_dir))


@pages.get("")
def listing() -> str:
    return _page()


def _page(error: str | None = None, problems: list[str] | None = None, chosen: str | None = None) -> str:
    with house().database.read() as db:
        counted = select(User.language, func.count()).where(User.disabled_at.is_(None)).group_by(User.language)
        users = {language: n for language, n in db.execute(counted)}
    spoken = []
    for tag, name in i18n.LANGUAGES.items():
        book = i18n.imported(tag)
        changed = len(book) if book is not None else None
        spoken.append(Spoken(tag, name, len(i18n.catalogue(tag)), changed, users.get(tag, 0)))
    return render_template(
        "languages.html",
        spoken=spoken,
        organisation_languages=[i18n.language_name(tag) for tag in house().settings.organisation.languages],
        translated=translating.TRANSLATED,
        names=i18n.LANGUAGES,
        error=error,
        problems=problems or [],
        chosen=chosen,
    )


@pages.get("/<language>.po")
def export(language: str) -> Response:
    if language not in translating.TRANSLATED:
        abort(404)
    response = make_response(translating.exported(language))
    response.headers["Content-Type"] = "text/x-gettext-translation; charset=utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="gensvar-{language}.po"'
    return response


@pages.post("")
def take() -> Response | BaseResponse:
    """A catalogue of one language; nothing is taken from one with a mistake."""
    language, file = request.form.get("language", ""), request.files.get("file")
    content = file.read() if file else b""
    try:
        if not content:
            raise InvalidInput(_("Choose a file."), {"file": "missing"})
        given = translating.read_import(language, content)
    except InvalidInput as error:
        return make_response(_page(str(error), chosen=language), 422)
    if given.problems:
        said = _("Nothing was taken over: these translations would not work.")
        return make_response(_page(said, given.problems[: translating.MOST_PROBLEMS], language), 422)
    translating.keep(_here(), language, given)
    with house().database.transaction() as db:
        told = {"texts": [None, given.changed]}
        audit.record(db, actor=user().email, action="import", subject=f"translation:{language}", changes=told, at=now())
    said = ngettext("%(n)s text says something else now.", "%(n)s texts say something else now.", given.changed)
    if given.unknown:
        said += " " + ngettext("%(n)s is not known here.", "%(n)s are not known here.", given.unknown)
    flash(said)
    return redirect(url_for("languages.listing"), 303)


@pages.post("/<language>/remove")
def remove(language: str) -> BaseResponse:
    if language not in translating.TRANSLATED:
        abort(404)
    if translating.forget(_here(), language):
        with house().database.transaction() as db:
            audit.record(db, actor=user().email, action="remove", subject=f"translation:{language}", at=now())
    flash(_("The texts are again as they are shipped."))
    return redirect(url_for("languages.listing"), 303)
