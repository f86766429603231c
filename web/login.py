"""Who is there: login, logout, the first administrator, and the sessions behind the cookie."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

import audit
from database import lock
from errors import InvalidInput
from models import LoginFailure, LoginSession, Role, User
from web import context as req
from web.i18n import gettext as _
from web.passwords import MIN_LENGTH, hash_password, matches

pages = Blueprint("login", __name__)

# OWASP's common idle time for low-risk applications is 15 to 30 minutes; an inbox is read all day, typed text is kept.
IDLE = timedelta(minutes=60)
ABSOLUTE = timedelta(hours=8)
WALL_LASTS = timedelta(days=90)  # nobody sits at it, and it shows nothing but numbers
SEEN_EVERY = timedelta(minutes=1)  # how often the use of a session is written down
WINDOW = timedelta(minutes=15)
MAX_PER_ACCOUNT = 10
MAX_PER_ADDRESS = 50
WELCOME_LASTS = timedelta(hours=72)

OPEN = {"login.login", "login.setup", "login.welcome", "static"}  # pages for people who are not logged in
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


# Asked by a window itself, as everything of the blueprint "live".
UNATTENDED = {"me.login_ends", "dashboard.numbers", "report_wall.numbers"}
# All that a browser on the wall may see.
WALL = {"report_wall.show", "report_wall.numbers", "login.logout", "static"}


def install(app: Flask) -> None:
    app.register_blueprint(pages)
    app.before_request(_guard)


def cookie_name() -> str:
    """``__Host-`` ties the cookie to exactly this host and to https; browsers refuse it without."""
    return "__Host-session" if _https() else "session"


def _https() -> bool:
    return str(req.house().settings.base_url).startswith("https://")


def _guard() -> BaseResponse | None:
    """Before every page: no changes from other sites, and nothing without a login but what is meant to be open."""
    if request.path.startswith("/api/") or request.endpoint is None or not _is_page(request.endpoint):
        return None
    if request.method not in req.SAFE_METHODS and req.of_another_site():
        abort(403)
    g.wall = False
    g.user = _who()
    if g.wall and request.endpoint not in WALL:
        return redirect(url_for("report_wall.show")) if request.method == "GET" else abort(403)
    if g.user is not None or request.endpoint in OPEN:
        return None
    if request.headers.get("HX-Request") or request.blueprint == "live":
        abort(401)
    back = request.full_path.rstrip("?") if request.method == "GET" else _referring_path()
    if request.method != "GET":
        flash(_("Your login had ended. What you wrote is kept in this browser: log in and send it again."))
    return redirect(url_for("login.login", next=back if back != "/" else None))


def _is_page(endpoint: str) -> bool:
    return not endpoint.startswith(("api.", "health."))


def _referring_path() -> str:
    return req.safe_next("/" + (request.referrer or "").partition("://")[2].partition("/")[2])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _who() -> User | None:
    token = request.cookies.get(cookie_name())
    if not token:
        return None
    database, at = req.house().database, req.now()
    with database.read() as db:
        session = db.scalar(
            select(LoginSession)
            .where(LoginSession.token_digest == _digest(token))
            .options(joinedload(LoginSession.user))
        )
    if session is None:
        return None
    ended = _is_over(session, at)
    g.login_id, g.wall = session.id, session.wall and not ended
    g.login_lasts = session.created_at + (WALL_LASTS if session.wall else ABSOLUTE)
    g.login_ends = g.login_lasts if session.wall else min(session.last_seen_at + IDLE, g.login_lasts)
    # A window that asks for news by itself is not somebody at work.
    alone = request.blueprint == "live" or request.endpoint in UNATTENDED
    if not ended and (at - session.last_seen_at < SEEN_EVERY or alone):
        return session.user
    with database.transaction() as db:
        if ended:
            db.execute(delete(LoginSession).where(LoginSession.id == session.id))
            return None
        found = db.get(LoginSession, session.id)
        if found is not None:
            found.last_seen_at = at
            g.login_ends = min(at + IDLE, g.login_lasts)
            db.get_one(User, found.user_id).last_seen_at = at
    return session.user


def _is_over(session: LoginSession, at: datetime) -> bool:
    idle, age = at - session.last_seen_at, at - session.created_at
    over = age > WALL_LASTS if session.wall else idle > IDLE or age > ABSOLUTE
    return over or session.user.disabled_at is not None


def valid(db: Session, logins: Collection[int], at: datetime) -> set[int]:
    """Which of these logins still hold. One query."""
    query = select(LoginSession).where(LoginSession.id.in_(logins)).options(joinedload(LoginSession.user))
    return {session.id for session in db.scalars(query) if not _is_over(session, at)}


def _begin(db: Session, user: User, response: BaseResponse, *, wall: bool = False) -> None:
    """A new session with a new id; what the browser had before is no longer valid.

    A screen on the wall is started anew by nobody who could log in: its cookie outlives the browser.
    """
    token, at = secrets.token_urlsafe(32), req.now()
    old = request.cookies.get(cookie_name())
    if old:
        db.execute(delete(LoginSession).where(LoginSession.token_digest == _digest(old)))
    db.execute(delete(LoginSession).where(LoginSession.created_at < at - ABSOLUTE, ~LoginSession.wall))
    db.execute(delete(LoginSession).where(LoginSession.created_at < at - WALL_LASTS))
    db.add(LoginSession(token_digest=_digest(token), user_id=user.id, created_at=at, last_seen_at=at, wall=wall))
    db.get_one(User, user.id).last_seen_at = at
    lasts = WALL_LASTS if wall else None
    response.set_cookie(cookie_name(), token, max_age=lasts, httponly=True, secure=_https(), samesite="Lax", path="/")


def _no_users(db: Session) -> bool:
    return db.scalar(select(User.id).limit(1)) is None


@pages.get("/login")
def login() -> Response | BaseResponse:
    target = req.safe_next(request.args.get("next"))
    if g.user is not None:
        return redirect(target)
    with req.house().database.read() as db:
        if _no_users(db):
            return redirect(url_for("login.setup"))
    return _form(target)


def _form(target: str, email: str = "", error: str | None = None, status: int = 200) -> Response:
    page = render_template("login.html", target=target, email=email, error=error)
    return make_response(page, status)


@pages.post("/login", endpoint="login_post")
def login_post() -> Response | BaseResponse:
    email = request.form.get("email", "").strip().lower()
    password = request.form.get("password", "")
    target = req.safe_next(request.values.get("next"))
    address, at = request.remote_addr or "", req.now()
    database = req.house().database
    with database.read() as db:
        wait = _blocked_until(db, email, address, at)
        user = db.scalar(select(User).where(User.email == email))
    if wait is not None:
        seconds = max(1, math.ceil((wait - at).total_seconds()))
        minutes = math.ceil(seconds / 60)
        message = _("Too many failed logins. Try again in %(minutes)s minutes.", minutes=minutes)
        response = _form(target, email, message, 429)
        response.headers["Retry-After"] = str(seconds)
        return response
    if not matches(password, user.password_hash if user else None) or user is None or user.disabled_at:
        with database.transaction() as db:
            db.execute(delete(LoginFailure).where(LoginFailure.at < at - WINDOW))
            db.add(LoginFailure(email=email, address=address, at=at))
            db.flush()
            if user is not None and _blocked_until(db, email, address, at) is not None:
                _written(db, "login", "block", user, {"address": [None, address]})
        return _form(target, email, _("The e-mail address or the password is not right."), 401)
    response = make_response(redirect(target, 303))
    with database.transaction() as db:
        db.execute(delete(LoginFailure).where(LoginFailure.email == email))
        _begin(db, user, response)
    return response


OPEN.add("login.login_post")


def _blocked_until(db: Session, email: str, address: str, at: datetime) -> datetime | None:
    """When the next attempt is allowed, None when it is now."""
    until: list[datetime] = []
    for column, value, most in (
        (LoginFailure.email, email, MAX_PER_ACCOUNT),
        (LoginFailure.address, address, MAX_PER_ADDRESS),
    ):
        decisive = db.scalar(
            select(LoginFailure.at)
            .where(column == value, LoginFailure.at > at - WINDOW)
            .order_by(LoginFailure.at.desc())
            .offset(most - 1)
            .limit(1)
        )
        if decisive is not None:
            until.append(decisive.astimezone(UTC) + WINDOW)
    return max(until, default=None)


@pages.post("/logout")
def logout() -> BaseResponse:
    token = request.cookies.get(cookie_name(), "")
    with req.house().database.transaction() as db:
        db.execute(delete(LoginSession).where(LoginSession.token_digest == _digest(token)))
    response = redirect(url_for("login.login", next=request.form.get("next")), 303)
    response.delete_cookie(cookie_name(), path="/", secure=_https(), httponly=True, samesite="Lax")
    return response


@pages.post("/wall")
def wall() -> BaseResponse:
    """From now on this browser shows the wall display, and may see nothing else."""
    response = redirect(url_for("report_wall.show"), 303)
    with req.house().database.transaction() as db:
        _begin(db, req.user(), response, wall=True)
        _written(db, req.user().email, "wall", req.user())
    return response


@pages.route("/setup", methods=["GET", "POST"])
def setup() -> Response | BaseResponse:
    """First run: makes the first administrator, while there is no user at all."""
    database = req.house().database
    with database.read() as db:
        if not _no_users(db):
            if request.method == "GET" and req.is_at_least(Role.admin):
                return redirect(url_for("first_steps.listing"))
            abort(404)
    if request.method == "GET":
        return make_response(render_template("setup.html", form={}, error=None, min_length=MIN_LENGTH))
    form = {name: request.form.get(name, "").strip() for name in ("email", "name")}
    try:
        user = new_user(form["email"], form["name"], Role.admin, request.form.get("password", ""), req.now())
    except InvalidInput as error:
        page = render_template("setup.html", form=form, error=str(error), min_length=MIN_LENGTH)
        return make_response(page, 422)
    response = make_response(redirect(url_for("first_steps.listing"), 303))
    with database.transaction() as db:
        lock(db, "setup")
        if not _no_users(db):
            abort(404)
        db.add(user)
        db.flush()
        _written(db, user.email, "add", user, {"role": [None, user.role]})
        _begin(db, user, response)
    return response


def _written(db: Session, actor: str, action: str, about: User, changes: audit.Changes | None = None) -> None:
    audit.record(db, actor=actor, action=action, subject=f"user:{about.email}", changes=changes, at=req.now())


def new_user(email: str, name: str, role: str, password: str | None, at: datetime) -> User:
    """A user who is not in the database yet. Raises ``InvalidInput``."""
    email = email.strip().lower()
    if not EMAIL.fullmatch(email):
        raise InvalidInput(_("Write an e-mail address, such as anna@example.org."), {"email": "not an e-mail address"})
    if role not in list(Role):
        raise InvalidInput(_("Choose a role."), {"role": "agent, manager or admin"})
    if password is not None and len(password) < MIN_LENGTH:
        message = _("The password must have %(n)s characters or more.", n=MIN_LENGTH)
        raise InvalidInput(message, {"password": "too short"})
    return User(
        email=email,
        name=name.strip() or email.partition("@")[0],
        role=role,
        password_hash=hash_password(password) if password is not None else None,
        created_at=at,
    )


# -- one-time links -------------------------------------------------------------------------------------------------


def _signer(user: User) -> URLSafeTimedSerializer:
    """What is signed depends on the present password, so that a link works once: it ends when one is chosen."""
    return URLSafeTimedSerializer(req.secret(), salt=f"welcome:{user.id}:{user.password_hash}")


def welcome_link(user: User) -> str:
    """An address under which the user chooses a password, once, within 72 hours."""
    return str(req.house().settings.base_url).rstrip("/") + url_for(
        "login.welcome", user_id=user.id, token=_signer(user).dumps(user.id)
    )


@pages.route("/welcome/<int:user_id>/<token>", methods=["GET", "POST"])
def welcome(user_id: int, token: str) -> Response | BaseResponse:
    database = req.house().database
    with database.read() as db:
        user = db.get(User, user_id)
    if user is None or user.disabled_at or not _is_valid(user, token):
        abort(404, _("This link has been used, or is older than 72 hours. Ask an administrator for a new one."))
    error = None
    if request.method == "POST":
        try:
            hashed = hash_password(request.form.get("password", ""))
        except InvalidInput:
            error = _("The password must have %(n)s characters or more.", n=MIN_LENGTH)
        else:
            response = make_response(redirect("/", 303))
            with database.transaction() as db:
                found = db.get_one(User, user_id)
                if found.password_hash != user.password_hash:
                    abort(404)
                found.password_hash = hashed
                _written(db, found.email, "password", found)
                db.execute(delete(LoginSession).where(LoginSession.user_id == user_id))
                _begin(db, found, response)
            return response
    page = render_template("welcome.html", person=user, error=error, min_length=MIN_LENGTH)
    return make_response(page, 422 if error else 200)


def _is_valid(user: User, token: str) -> bool:
    try:
        return bool(_signer(user).loads(token, max_age=int(WELCOME_LASTS.total_seconds())) == user.id)
    except BadData:
        return False


def change_password(user: User, password: str, response: BaseResponse) -> None:
    """The new password is in force, and every login but this browser's has ended. Raises ``InvalidInput``."""
    with req.house().database.transaction() as db:
        found = db.get_one(User, user.id)
        found.password_hash = hash_password(password)
        _written(db, found.email, "password", found)
        db.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
        _begin(db, found, response)
