"""What people are writing: one answer and one note for each person in each case, kept while they type.

A draft lives until its text has been sent or thrown away, whatever becomes of the case. Every function is called by
whoever holds the case (``cases.get``), so that nothing happens to its drafts at the same time.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from database import storable
from errors import GensvarError
from models import Case, Draft, User

KINDS = ("reply", "note")


class Overtaken(GensvarError):
    """Another window of the same person has kept, sent or thrown away the draft since: ``there`` is what stands now."""

    def __init__(self, there: Draft | None) -> None:
        self.there = there
        super().__init__("Another window has written here too. Nothing was overwritten.")


def of(db: Session, case_id: int, user_id: int, kind: str) -> Draft | None:
    """The draft of that kind which somebody has in a case."""
    return db.scalar(select(Draft).where(Draft.case_id == case_id, Draft.user_id == user_id, Draft.kind == kind))


def keep(
    db: Session,
    case: Case,
    kind: str,
    *,
    body: str,
    user: User,
    version: int,
    at: datetime,
    case_version: int | None = None,
    to_mention_id: int | None = None,
    private: bool = False,
) -> Draft | None:
    """Keep a text in place of the one of ``version`` (0: there was none); a text of nothing is kept as none.

    ``case_version``: of the case as the writer saw it; None: now. Raises ``Overtaken`` when the draft is no longer the
    one of ``version`` and says something else.
    """
    body = storable(body)
    there = of(db, case.id, user.id, kind)
    if there is not None and there.body == body:
        version = there.version
    if (there.version if there else 0) != version:
        raise Overtaken(there)
    if not without_signature(body, user):
        if there is not None:
            db.delete(there)
            db.flush()
        return None
    if there is None:
        seen = case.version if case_version is None else case_version
        there = Draft(case_id=case.id, user_id=user.id, kind=kind, case_version=seen, version=_first())
        db.add(there)
    else:
        there.version += 1
    there.body, there.to_mention_id, there.private, there.updated_at = body, to_mention_id, private, at
    db.flush()
    return there


def _first() -> int:
    """A draft begins anywhere, so that a window which knows an earlier one does not take it for that."""
    return 1 + secrets.randbelow(2**30)


def sent(db: Session, case: Case, kind: str, *, body: str, user: User, version: int) -> None:
    """Its text is out, or stored as a note: the draft goes, if it holds that text or what that text grew from."""
    there = of(db, case.id, user.id, kind)
    if there is not None and (there.version == version or there.body.strip() == body.strip()):
        db.delete(there)
        db.flush()


def add(
    db: Session,
    case: Case,
    kind: str,
    *,
    body: str,
    user: User,
    at: datetime,
    to_mention_id: int | None = None,
    private: bool = False,
) -> Draft:
    """Put a text there that comes from elsewhere (an answer undone, a colleague's draft); nothing written is lost."""
    there = of(db, case.id, user.id, kind)
    if there is None:
        there = Draft(case_id=case.id, user_id=user.id, kind=kind, body="", case_version=case.version, version=_first())
        db.add(there)
    there.body, there.version, there.updated_at = _joined(there.body, body, user), there.version + 1, at
    there.to_mention_id, there.private = to_mention_id or there.to_mention_id, private
    db.flush()
    return there


def _joined(one: str, other: str, user: User) -> str:
    """Both texts, one under the other, signed once; a text that the other holds already is not said twice."""
    first, second = without_signature(one, user), without_signature(other, user)
    if second in first:
        return one
    if first in second:
        return other
    signed = user.signature and any(text.rstrip().endswith(user.signature) for text in (one, other))
    return "\n\n".join((first, second, user.signature) if signed and user.signature else (first, second))


def without_signature(text: str, user: User) -> str:
    """What somebody has written, without what was there when they began."""
    return text.rstrip().removesuffix(user.signature or "").strip()


# -- what becomes of cases (called by triage.cases) ------------------------------------------------------------------


def join(db: Session, case_id: int, into: int) -> None:
    """One case becomes part of another: who had a draft in both has both texts in one, there."""
    for draft in db.scalars(select(Draft).where(Draft.case_id == case_id)):
        there = of(db, into, draft.user_id, draft.kind)
        if there is not None:
            _add_to(db, there, draft)
    db.flush()


def follow(db: Session, mention_ids: Collection[int], to: int) -> None:
    """An answer that was being written to what moves to another case moves with it."""
    moving = select(Draft).where(Draft.to_mention_id.in_(mention_ids), Draft.case_id != to)
    for draft in db.scalars(moving):
        there = of(db, to, draft.user_id, draft.kind)
        if there is None:
            draft.case_id = to
        else:
            _add_to(db, there, draft)
    db.flush()


def _add_to(db: Session, there: Draft, draft: Draft) -> None:
    there.body, there.version = _joined(there.body, draft.body, draft.user), there.version + 1
    there.updated_at = max(there.updated_at, draft.updated_at)
    db.delete(draft)
