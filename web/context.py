"""What a screen needs to know while it answers: the house, who asks, what time it is."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import abort, current_app, g, request
from werkzeug.exceptions import BadRequest

from house import House
from models import Role, User

P = ParamSpec("P")
R = TypeVar("R")
RANK = {Role.reader: 0, Role.agent: 1, Role.manager: 2, Role.admin: 3}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def house() -> House:
    found: House = current_app.extensions["gensvar"]
    return found


def secret() -> bytes:
    """The key of this installation, for what is signed: one-time links, addresses of pictures, what is said once."""
    key: bytes = current_app.extensions["gensvar.secret"]
    return key


def secret_key(data_dir: Path) -> bytes:
    """The key in ``secret.key``, made at first use and readable by its owner only."""
    path = data_dir / "secret.key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
    except FileExistsError:
        pass
    return path.read_bytes().strip()


def now() -> datetime:
    """The instant this request is answered at, the same throughout. UTC."""
    at: datetime = g.now
    return at


def zone() -> ZoneInfo:
    """The organisation's time zone."""
    found: ZoneInfo = g.zone
    return found


def user() -> User:
    """Who is logged in. Only to be asked where the login is required, that is everywhere but the few open pages."""
    found: User | None = g.user
    if found is None:
        abort(401)
    return found


def is_at_least(role: Role) -> bool:
    found: User | None = g.user
    return found is not None and RANK[Role(found.role)] >= RANK[role]


def needs(role: Role) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Only for users of this role or a higher one; others get 403."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not is_at_least(role):
                abort(403)
            return view(*args, **kwargs)

        return guarded

    return decorate


def only_admins() -> None:
    """Before every request to a page for administrators; others get 403."""
    if not is_at_least(Role.admin):
        abort(403)


def managers_read_admins_change() -> None:
    """Before every request to a page of what is laid down; others get 403."""
    if not is_at_least(Role.manager if request.method in ("GET", "HEAD") else Role.admin):
        abort(403)


def whole_number(name: str) -> int | None:
    """A field of the form as a number, None when it is empty. Raises 400 for anything else."""
    text = request.values.get(name, "").strip()
    if not text:
        return None
    found = as_number(text)
    if found is None:
        raise BadRequest(f"{name} is not a number.")
    return found


def as_number(text: str) -> int | None:
    """What a database takes as a number, None for anything else (``str.isdigit`` takes ² too, and any length)."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def safe_next(target: str | None) -> str:
    """Where to go afterwards: only a path of this house, else the inbox."""
    parts = urlsplit(target or "")
    outside = parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith("//")
    if not target or outside or "\\" in target or any(ord(letter) < 32 for letter in target):
        return "/"
    return target


def came_from() -> str:
    """The page of this house that a form was sent from, with its query; the inbox where that is not known."""
    parts = urlsplit(request.referrer or "")
    return safe_next(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def of_another_site() -> bool:
    """Whether this request that changes something was sent by a page that is not ours (CSRF).

    Browsers say so themselves in Sec-Fetch-Site; older ones send Origin. What sends neither is not a browser, and
    carries no cookies it was not given.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc not in {request.host, urlsplit(str(house().settings.base_url)).netloc}
