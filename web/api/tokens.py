"""API tokens: made once, shown once, kept only as a digest; and how often each may call."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from models import ApiToken, User

WINDOW = 60.0  # seconds


def create(db: Session, user: User, name: str, at: datetime) -> str:
    """A new token for ``user``, 256 random bits. This is the only time anybody sees it."""
    token = "gsv_" + secrets.token_urlsafe(32)
    db.add(ApiToken(token_digest=_digest(token), name=name, user_id=user.id, created_at=at))
    return token


def find(db: Session, token: str) -> ApiToken | None:
    """The token, with its user; None when it is unknown or revoked, or the user is disabled.

    A plain look-up by digest: an attacker who could measure it would learn about a digest, not about a token.
    """
    found = db.scalar(
        select(ApiToken).where(ApiToken.token_digest == _digest(token)).options(joinedload(ApiToken.user))
    )
    if found is None or found.revoked_at is not None or found.user.disabled_at is not None:
        return None
    return found


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


class RateLimit:
    """So many calls a minute for each token, in windows that start with its first call.

    Counted in this process: several web processes behind a proxy allow that many each.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._windows: dict[int, tuple[float, int]] = {}  # token id -> start of its window, calls in it
        self._lock = threading.Lock()

    def take(self, token_id: int) -> int | None:
        """Count one call: None when it may go on, else the seconds to wait."""
        now = self._clock()
        with self._lock:
            start, calls = self._windows.get(token_id, (now, 0))
            if now - start >= WINDOW:
                start, calls = now, 0
            if calls >= self.per_minute:
                return math.ceil(start + WINDOW - now)
            self._windows[token_id] = (start, calls + 1)
        return None
