"""The cached columns of a case: each counted anew from what lies in the case. Nothing is written here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from models import CONCERNS_US, Case, Mention, Promise, PromiseState, Reply, ReplyStatus

SUBJECT_LENGTH = 80


def subject(mention: Mention) -> str:
    """What the list shows: the title, else how the text begins. Empty when there are no words."""
    words = " ".join((mention.title or mention.text).split())
    if len(words) <= SUBJECT_LENGTH:
        return words
    cut = words[:SUBJECT_LENGTH].rpartition(" ")[0] or words[:SUBJECT_LENGTH]
    return cut.rstrip(" .,:;!?…–-") + "…"


def counted(db: Session, case: Case) -> dict[str, Any]:
    """The cached columns, from the mentions and replies the case has now."""
    concerning = (Mention.case_id == case.id, CONCERNS_US)
    first = db.scalar(
        select(Mention).where(*concerning, *_of_now(case)).order_by(Mention.published_at, Mention.id).limit(1)
    )
    values: dict[str, Any] = {
        "mention_count": db.scalar(select(func.count()).select_from(Mention).where(*concerning)),
        "spread": db.scalar(
            select(func.count()).select_from(Mention).where(Mention.case_id == case.id, Mention.repost)
        ),
    }
    if first is not None:
        values |= {"opened_at": first.published_at, "author_id": first.author_id, "subject": subject(first)}
    return values | answered(db, case, values.get("opened_at", case.opened_at))


def _of_now(case: Case) -> tuple[ColumnElement[bool], ...]:
    """What an import adds to a case that is no history itself does not make it begin or wait since long ago."""
    return () if case.imported else (~Mention.imported,)


def answered(db: Session, case: Case, opened_at: datetime | None = None) -> dict[str, Any]:
    """``reply_count``, and ``first_response_at``: the first public answer since the case was opened (METRICS 4.1)."""
    sent = (Reply.case_id == case.id, Reply.status == ReplyStatus.sent)
    public = (*sent, ~Reply.private, Reply.sent_at >= (opened_at or case.opened_at))
    count, last = db.execute(select(func.count(), func.max(Reply.sent_at)).where(*sent)).one()
    return {
        "reply_count": count,
        "first_response_at": db.scalar(select(func.min(Reply.sent_at)).where(*public)),
        "last_activity_at": max(case.last_activity_at, last) if last else case.last_activity_at,
        "waiting_since": waiting_since(db, case),
    }


def waiting_since(db: Session, case: Case) -> datetime | None:
    """Publication of the first thing said to us that no public answer has followed yet (METRICS 4.4)."""
    answers = (Reply.case_id == case.id, Reply.status == ReplyStatus.sent, ~Reply.private)
    last = db.scalar(select(func.max(Reply.sent_at)).where(*answers))
    said = select(func.min(Mention.published_at)).where(Mention.case_id == case.id, CONCERNS_US, *_of_now(case))
    return db.scalar(said if last is None else said.where(Mention.published_at > last))


def promised(db: Session, case_id: int, at: datetime) -> datetime | None:
    """When the next of the promises that somebody stands by brings the case back."""
    coming = (Promise.case_id == case_id, Promise.state == PromiseState.open, Promise.back_at > at)
    return db.scalar(select(func.min(Promise.back_at)).where(*coming))


def flag_left(db: Session, case: Case) -> str | None:
    """The flag a case keeps when one answer has been settled: that of another one that still needs a person."""
    return doubt(db, case) if case.flag in ("reply_failed", "reply_uncertain") else case.flag


def doubt(db: Session, case: Case) -> str | None:
    """No other action settles it that nobody knows whether an answer is out."""
    uncertain = select(Reply.id).where(Reply.case_id == case.id, Reply.status == ReplyStatus.uncertain).limit(1)
    return "reply_uncertain" if db.scalar(uncertain) is not None else None
