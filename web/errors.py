"""Exceptions become HTTP here and nowhere else: a page for people, JSON under /api/."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, make_response, render_template, request
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from errors import (
    CannotReply,
    ChannelError,
    DatabaseError,
    GensvarError,
    InvalidInput,
    InvalidTransition,
    NotFoundError,
    StaleCase,
    TooLong,
)
from web.i18n import gettext as _

log = logging.getLogger("gensvar.web")

# The first that fits: subclasses before their bases.
STATUS: list[tuple[type[Exception], int, str]] = [
    (NotFoundError, 404, "not_found"),
    (InvalidTransition, 409, "invalid_transition"),
    (StaleCase, 409, "stale"),
    (CannotReply, 409, "cannot_reply"),
    (TooLong, 422, "too_long"),
    (InvalidInput, 422, "invalid"),
    (ChannelError, 502, "network"),
    (DatabaseError, 503, "database"),
    (OperationalError, 503, "database"),
    (GensvarError, 400, "refused"),
]
HTTP_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    503: "unavailable",
}


def install(app: Flask) -> None:
    app.register_error_handler(GensvarError, _foreseen)
    app.register_error_handler(OperationalError, _foreseen)
    app.register_error_handler(HTTPException, _http)


def _foreseen(error: Exception) -> Response:
    status, code = next((status, code) for kind, status, code in STATUS if isinstance(error, kind))
    if isinstance(error, OperationalError):
        log.error("database: %s", error.orig)
    message = str(error) if request.path.startswith("/api/") and code != "database" else _in_words(code, error)
    return answer(status, code, message, error.fields if isinstance(error, InvalidInput) else None)


def _in_words(code: str, error: Exception) -> str:
    """For people, in their language; what has no general words says it itself."""
    return {
        "not_found": _("There is nothing here (any more)."),
        "invalid_transition": _("This cannot be done with the case now. Look again: somebody may have been first."),
        "stale": _("Somebody else changed the case at the same moment. Nothing was written: look at it again."),
        "database": _("The database does not answer. Nothing was changed. Try again in a moment."),
    }.get(code, str(error))  # fmt: skip


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400 or error.response is not None:  # a redirect, or an answer already made
        return make_response(error.get_response())
    response = answer(status, HTTP_CODES.get(status, "error"), _message(status, error))
    for name, value in error.get_headers():
        if name in {"Retry-After", "Allow", "WWW-Authenticate"}:
            response.headers[name] = value
    return response


def _message(status: int, error: HTTPException) -> str:
    if request.path.startswith("/api/"):
        return error.description or error.name
    if error.description != type(error).description and error.description:
        return error.description  # said by the page itself, in the reader's language
    return {
        401: _("You are not logged in."),
        403: _("You may not do this. Ask an administrator if you need to."),
        404: _("There is no such page."),
        405: _("That cannot be done here."),
        413: _("That is too much text."),
        500: _("Something went wrong on our side. It has been written to the log. Nothing was changed."),
    }.get(status, error.description or error.name)


def answer(status: int, code: str, message: str, fields: dict[str, str] | None = None) -> Response:
    """The error as the asker can read it."""
    if request.path.startswith("/api/"):
        body: dict[str, object] = {"code": code, "message": message}
        if fields:
            body["fields"] = fields
        return make_response(jsonify({"error": body}), status)
    if request.headers.get("HX-Request"):  # for a page that stays: a line of it
        return make_response(render_template("_trouble.html", message=message), status)
    return make_response(render_template("error.html", status=status, message=message), status)
