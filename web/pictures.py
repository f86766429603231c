"""Pictures in the composer: added, described, removed; kept with the draft until the answer goes out."""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, make_response, render_template, request
from sqlalchemy.orm import undefer
from werkzeug.wrappers import Response as BaseResponse

import channels
import pictures
from errors import InvalidInput
from models import Picture
from web import composer, drafts, enclosed
from web.cases import back
from web.context import house, now, user
from web.i18n import gettext as _
from web.media import CSP
from web.queries import get_case

pages = Blueprint("pictures", __name__)

BESIDE = 1_000_000  # bytes of a form that are not the file


@pages.post("/cases/<int:number>/pictures")
def add(number: int) -> BaseResponse:
    """A file for the answer that is being written. A script gets the part that shows them; else the draft is kept."""
    request.max_content_length = BESIDE + max(
        each.size for name in channels.CHANNELS if (each := channels.capabilities(name).pictures) is not None
    )
    error = told = None
    try:
        file = request.files.get("file")
        enclosed.keep_words()
        with house().database.transaction() as db:
            get_case(db, number)
            case = composer.living(db, number)
            data = file.read() if file is not None else b""
            if not data:
                raise InvalidInput(_("Choose a picture first."))
            takes = channels.capabilities(case.channel).pictures
            made = pictures.add(db, case_id=case.id, user_id=user().id, data=data, takes=takes, at=now())
            if made[1]:
                told = _("Where, when and with what the picture was taken has been left out of it.")
    except InvalidInput as wrong:
        error = enclosed.words(wrong)
    if request.headers.get("HX-Request"):
        return _part(number, error, told)
    if said := error or told:
        flash(said)
    return drafts.keep(number)


@pages.post("/cases/<int:number>/pictures/<int:picture_id>")
def describe(number: int, picture_id: int) -> Response:
    """The words for it, kept while they are typed."""
    enclosed.keep_words()
    return Response(status=204)


@pages.post("/cases/<int:number>/pictures/<int:picture_id>/remove")
def remove(number: int, picture_id: int) -> BaseResponse:
    enclosed.keep_words()
    with house().database.transaction() as db:
        pictures.remove(db, picture_id, user_id=user().id)
    if request.headers.get("HX-Request"):
        return _part(number, None, _("The picture is removed."))
    return back(number, "pictures")


@pages.get("/pictures/<int:picture_id>")
def file(picture_id: int) -> Response:
    """The file itself: of an answer to whoever may see the case, of a draft to whoever writes it."""
    with house().database.read() as db:
        found = db.get(Picture, picture_id, options=[undefer(Picture.body)])
        if found is None or (found.reply_id is None and found.user_id != user().id):
            abort(404)
    headers = {
        "Content-Security-Policy": CSP,
        "Cache-Control": "private, max-age=86400",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(found.body, content_type=found.media_type, headers=headers)


def _part(number: int, error: str | None, told: str | None) -> BaseResponse:
    with house().database.read() as db:
        case = get_case(db, number)
    page = render_template("_pictures.html", case=case, held=enclosed.held(case, error, told))
    return make_response(page, 422 if error else 200)
