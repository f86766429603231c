"""Who has a case before them, and who writes there: what the table ``presence`` says, and how it is kept true.

Each window is a row, written when it opens a case and when somebody begins or stops writing there, refreshed by the
process that serves it and deleted when it closes. A row that nobody refreshes (a process was killed) counts no more
after ``ALIVE``. So it works with any number of web processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models import Case, Presence, User

ALIVE = timedelta(seconds=25)
REFRESH = timedelta(seconds=10)


@dataclass(frozen=True, order=True)
class Somebody:
    """A colleague at a case. ``writing``: in any of their windows."""

    user_id: int
    name: str
    writing: bool


def everywhere(db: Session, at: datetime) -> dict[int, tuple[Somebody, ...]]:
    """Case -> who is there at this instant. One query."""
    query = (
        select(Presence.case_id, Presence.user_id, User.name, Presence.writing)
        .join(User, User.id == Presence.user_id)
        .where(Presence.at > at - ALIVE)
        .order_by(Presence.case_id, Presence.user_id, Presence.writing)
    )
    found: dict[int, dict[int, Somebody]] = {}
    for case_id, user_id, name, writing in db.execute(query):
        found.setdefault(case_id, {})[user_id] = Somebody(user_id, name, writing)
    return {case_id: tuple(people.values()) for case_id, people in found.items()}


def keep(db: Session, windows: Mapping[str, tuple[int, int]], at: datetime) -> None:
    """These windows, window -> (user, case), are open now. In one statement; a window that changed case writes no more.

    What was left behind long ago goes. A case that is no longer there has nobody.
    """
    db.execute(delete(Presence).where(Presence.at <= at - 2 * ALIVE))
    cases = set(db.scalars(select(Case.id).where(Case.id.in_({case_id for _, case_id in windows.values()}))))
    rows = [
        {"window": window, "user_id": user_id, "case_id": case_id, "writing": False, "at": at}
        for window, (user_id, case_id) in sorted(windows.items())
        if case_id in cases
    ]
    if not rows:
        return
    insert = (postgresql if db.get_bind().dialect.name == "postgresql" else sqlite).insert(Presence).values(rows)
    new = insert.excluded
    still = and_(Presence.writing, Presence.case_id == new.case_id)
    changed = {"user_id": new.user_id, "case_id": new.case_id, "writing": still, "at": new.at}
    db.execute(insert.on_conflict_do_update(index_elements=[Presence.window], set_=changed))


def leave(db: Session, windows: Mapping[str, datetime]) -> None:
    """These windows, window -> when it was written down last, are closed, unless another process has it by now."""
    for window, at in windows.items():
        db.execute(delete(Presence).where(Presence.window == window, Presence.at <= at))


def write(db: Session, window: str, user_id: int, case_id: int, writing: bool) -> bool:
    """Somebody begins or stops writing in a window that shows the case. False: that is not written down (yet)."""
    here = (Presence.window == window, Presence.user_id == user_id, Presence.case_id == case_id)
    found = db.scalars(update(Presence).where(*here).values(writing=writing).returning(Presence.window))
    return found.first() is not None
