"""What a colleague should know of: on top of the inbox until they say that they have seen it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, url_for
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

from models import CaseEvent, Notice
from web import labels
from web.context import house, now, user, whole_number

pages = Blueprint("notices", __name__)

MOST = 5  # shown at a time


@dataclass(frozen=True)
class Told:
    """``about``: the subject of the case or story, or the team; ``address``: where it is to be seen."""

    id: int
    kind: str
    words: str
    about: str
    address: str
    at: datetime


def unseen(db: Session, user_id: int) -> tuple[list[Told], int]:
    """The latest of what somebody has not seen yet, and how much there is in all."""
    waiting = (Notice.user_id == user_id, Notice.seen_at.is_(None))
    latest = select(Notice).where(*waiting).options(joinedload(Notice.event).joinedload(CaseEvent.case))
    found = db.scalars(latest.order_by(Notice.id.desc()).limit(MOST)).all()
    count = len(found) if len(found) < MOST else db.scalar(select(func.count()).select_from(Notice).where(*waiting))
    return [_told(notice) for notice in found], count or 0


def _told(notice: Notice) -> Told:
    detail: Mapping[str, Any] = notice.detail
    words = labels.notice(notice.kind, detail)
    if notice.event is not None:
        case = notice.event.case
        about, address = f"#{case.id} {case.subject}", url_for("cases.show", number=case.id)
    elif notice.story_id is not None:
        about, address = str(detail.get("story", "")), url_for("stories.show", number=notice.story_id)
    else:
        about, address = "", url_for("inbox.inbox", team=detail.get("team"), assignee="none")
    return Told(notice.id, notice.kind, words, about, address, notice.at)


@pages.post("/notices/seen")
def seen() -> BaseResponse:
    """All of what has come until the one shown last."""
    until = whole_number("until") or 0
    mine = (Notice.user_id == user().id, Notice.id <= until, Notice.seen_at.is_(None))
    with house().database.transaction() as db:
        db.execute(update(Notice).where(*mine).values(seen_at=now()))
    return redirect(url_for("inbox.inbox"), 303)
