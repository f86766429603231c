"""The screens and the API, for the staff's browsers and for other systems."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from flask import Flask, Response, current_app, g, request, url_for

from house import House
from models import Role
from web import (
    absences,
    access,
    admin,
    api,
    audit_log,
    bulk,
    cases,
    dashboard,
    drafts,
    enclosed,
    errors,
    finding,
    first_steps,
    history,
    i18n,
    inbox,
    judgements,
    labels,
    languages,
    lessons,
    live,
    login,
    me,
    media,
    notices,
    panes,
    people,
    pictures,
    policy,
    preferences,
    preview,
    promises,
    report_case,
    report_checks,
    report_files,
    report_mails,
    report_pdf,
    report_stories,
    report_value,
    report_wall,
    reports,
    review,
    shared,
    shortcuts,
    stories,
    tags,
    users,
    views,
    working,
)
from web.context import is_at_least, secret_key

STATIC = Path(__file__).parent / "static"
MAX_FORM_BYTES = 1024 * 1024
PACKABLE = (".css", ".js", ".svg")
SMALL = 1400  # bytes: one packet, packed or not
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SCREENS = (
    views,
    inbox,
    working,
    bulk,
    cases,
    dashboard,
    drafts,
    judgements,
    promises,
    stories,
    shared,
    review,
    reports,
    report_mails,
    report_stories,
    report_value,
    report_wall,
    report_case,
    report_checks,
    report_files,
    report_pdf,
    admin,
    policy,
    preview,
    absences,
    lessons,
    media,
    notices,
    people,
    users,
    pictures,
    audit_log,
    history,
    me,
    languages,
    first_steps,
    tags,
)


def create_app(house: House, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Flask:
    """The WSGI application. ``clock`` gives the instant a request is answered at, aware UTC."""
    app = Flask(__name__)
    app.extensions["gensvar"] = house
    app.extensions["gensvar.secret"] = secret_key(Path(house.settings.data_dir))
    app.config.update(
        SECRET_KEY=app.extensions["gensvar.secret"],
        SESSION_COOKIE_NAME="said",  # what flash() says once; the login is another cookie
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=str(house.settings.base_url).startswith("https://"),
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    i18n.install(app.jinja_env)
    i18n.imported_in(languages.folder(Path(house.settings.data_dir)))
    zone = house.settings.organisation.zone

    @app.before_request
    def begin() -> None:
        g.now, g.zone, g.user = clock(), zone, None

    login.install(app)

    @app.before_request
    def speak() -> None:
        g.language = i18n.choose(g.user.language if g.user else None, request, house.settings.organisation.languages)

    access.install(app, house.database)
    for screen in SCREENS:
        app.register_blueprint(screen.pages)
    finding.install(app)
    live.install(app, house, clock)
    api.register(app, house)
    errors.install(app)
    app.after_request(_packed_page)  # these are called from the last to the first
    app.after_request(_headers)
    app.after_request(_static)

    @app.context_processor
    def known() -> dict[str, object]:
        return {
            "now": g.get("now"),
            "user": g.get("user"),
            "language": i18n.language(),
            "organisation": house.settings.organisation.name,
            "time_zone": zone.key,
            "labels": labels,
            "preferences": preferences.of(g.get("user")),
            "login_ends": g.get("login_ends"),
            "asset": asset,
            "pictures_held": enclosed.held,
            "pictures_in": enclosed.sent_in,
            "picture_address": enclosed.address,
            "case_address": panes.case_address,
            "here": panes.here,
            "list_query": panes.list_query,
            "is_admin": is_at_least(Role.admin),
            "is_manager": is_at_least(Role.manager),
            "may_write": access.may_write(g.get("user")),
            "promises_due": promises.waiting,
            "approvals_waiting": review.waiting_count,
            "answers_of": shared.answers_of,
            "shortcuts": lambda: shortcuts.table(g.get("user")),
        }

    return app


def asset(name: str) -> str:
    """The address of a static file, new whenever the file is."""
    return url_for("static", filename=name, v=_digest(name))


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def _static(response: Response) -> Response:
    """Our own files travel packed, and once: an address that holds the digest stands for one content for ever."""
    if request.endpoint != "static" or response.status_code != 200:
        return response
    name = (request.view_args or {})["filename"]
    if request.args.get("v"):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers.pop("Expires", None)
    if name.endswith(PACKABLE):
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"]:
            response.close()  # the file on disk, opened by Flask
            response.direct_passthrough = False
            response.set_data(_packed(name))
            response.headers["Content-Encoding"] = "gzip"
            response.headers.pop("Accept-Ranges", None)
            response.headers.pop("ETag", None)  # of the file as it lies
    return response


@cache
def _packed(name: str) -> bytes:
    return gzip.compress((STATIC / name).read_bytes(), mtime=0)


def _packed_page(response: Response) -> Response:
    """Pages travel packed too: a list is mostly the same words again. Nothing secret stands in them (BREACH)."""
    wanted = request.accept_encodings["gzip"] and response.mimetype in ("text/html", "application/json")
    if wanted and not response.is_streamed and not response.content_encoding and len(response.data) > SMALL:
        response.set_data(gzip.compress(response.data, compresslevel=5))
        response.headers["Content-Encoding"] = "gzip"
        response.vary.add("Accept-Encoding")
    return response


def _headers(response: Response) -> Response:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint == "static":  # the rest is for pages, and there are many of these
        return response
    headers.setdefault("Content-Security-Policy", CSP)
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Vary", "Cookie, Accept-Language")
    if current_app.config["SESSION_COOKIE_SECURE"]:  # served over https, by us or by a proxy before us
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
