"""Hiding what somebody else wrote on its network, and showing it again (by the door, ``triage.cases``).

What we want is written down first, and done by ``replies.hiding``, which says here what came of it. The case's status
is not asked about. Nothing is deleted, neither there nor here: that is a matter of the archive.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from database import storable
from errors import InvalidInput, NotFoundError
from models import CaseEvent, Hiding, Mention, User
from triage import cases

HIDE, SHOW = "hide", "show_again"  # what somebody wants; done, it is mention_hidden or mention_shown


def want(
    db: Session,
    mention_id: int,
    *,
    hide: bool,
    reason: str | None = None,
    user: User | None,
    actor: str,
    at: datetime,
    undoes: CaseEvent | None = None,
) -> CaseEvent | None:
    """Somebody wants it hidden, or shown again; what is so already, or about to be, is no change.

    ``reason``: why it is hidden. None keeps the one given before. Raises ``InvalidInput`` where there is none.
    """
    mention = _mention(db, mention_id)
    case = cases.get(db, mention.case_id or 0)
    db.refresh(mention, ["hidden_at"])  # the network may have answered while we waited for the case
    wish = db.get(Hiding, mention_id, with_for_update=True, populate_existing=True)
    if hide == (wish.hide if wish is not None and wish.due_at is not None else mention.hidden_at is not None):
        return None
    reason = storable(reason or "").strip() or (wish.reason if wish is not None else "")
    if hide and not reason:
        raise InvalidInput("Say why it is hidden.", {"reason": "write something"})
    wish = wish or Hiding(mention_id=mention_id)
    wish.hide, wish.reason, wish.user_id = hide, reason, user.id if user else None
    wish.asked_at, wish.due_at, wish.error, wish.error_reason = at, at, None, None
    db.add(wish)
    changes = {"hidden": [not hide, hide]} | ({"reason": [None, reason]} if hide else {})
    action = "undo" if undoes else HIDE if hide else SHOW
    return cases.write(db, case, action, actor=actor, at=at, changes=changes, mention_id=mention_id, undoes=undoes)


def done(db: Session, mention_id: int, *, hide: bool, actor: str, at: datetime) -> CaseEvent:
    """The network has hidden it, or shows it again. Where the opposite has been asked for meanwhile, that is next."""
    mention, case, wish = _wish(db, mention_id)
    mention.hidden_at = at if hide else None
    if wish.hide == hide:
        wish.due_at = wish.error = wish.error_reason = None
    db.flush()
    what = "mention_hidden" if hide else "mention_shown"
    return cases.mention_changed(db, case.id, mention, what, actor=actor, at=at)


def postponed(db: Session, mention_id: int, *, hide: bool, until: datetime, reason: str, error: str) -> None:
    """It did not work, and will be tried again ``until`` then: nothing has happened in the case."""
    _, _, wish = _wish(db, mention_id)
    if wish.hide == hide:
        wish.due_at, wish.error_reason, wish.error = until, reason, error


def failed(
    db: Session, mention_id: int, *, hide: bool, reason: str, error: str, actor: str, at: datetime
) -> CaseEvent | None:
    """The network says no, and asking again would not help: whoever wanted it is told."""
    mention, case, wish = _wish(db, mention_id)
    if wish.hide != hide:
        return None
    wish.due_at, wish.error_reason, wish.error = None, reason, error
    changes: dict[str, Any] = {"error": [None, error]}
    return cases.write(db, case, "hide_failed", actor=actor, at=at, changes=changes, mention_id=mention.id)


def _mention(db: Session, mention_id: int) -> Mention:
    mention = db.get(Mention, mention_id)
    if mention is None or mention.case_id is None:
        raise NotFoundError(f"There is no mention {mention_id}.")
    return mention


def _wish(db: Session, mention_id: int) -> Any:
    """The message, its case, and what is wanted, locked in the order in which all lock."""
    mention = _mention(db, mention_id)
    case = cases.get(db, mention.case_id or 0)
    return mention, case, db.get_one(Hiding, mention_id, with_for_update=True, populate_existing=True)
