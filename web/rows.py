"""The rows of a list of cases: what each begins with, and what of it concerns the reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from models import Case, CaseEvent, Draft, Mention, Notice, Read, User
from triage.states import ALIVE
from web.finding import hits
from web.preview import Marked

PREVIEW = 220  # characters
LEAD = 90  # characters
SENTENCE = re.compile(r"(?<=\w{3})[.!?…]+ ")  # not after an abbreviation of a letter or two


@dataclass(frozen=True)
class Row:
    """``subject`` and ``text``: the first line of a row and what stands under it.

    ``unread``: somebody has written since the reader last looked, in a case that is not finished. ``draft``: the
    reader has begun an answer or a note; ``drafts``: the names of colleagues who have.
    """

    case: Case
    subject: str
    text: str
    unread: bool = False
    draft: bool = False
    drafts: Sequence[str] = ()
    hit: Marked | None = None  # where the words stand that are looked for


def rows(db: Session, cases: Sequence[Case], me: User, q: str | None = None) -> list[Row]:
    """The cases with the beginning of the latest message by somebody else. Three queries; four more for a search."""
    numbers = [found.id for found in cases]
    latest = (
        select(func.max(Mention.id))
        .where(
            Mention.case_id.in_(numbers),
            Mention.context.is_(False),
            Mention.repost.is_(False),
            Mention.ours.is_(False),
        )
        .group_by(Mention.case_id)
    )
    said = db.execute(
        select(Mention.case_id, func.substr(Mention.text, 1, PREVIEW * 2), Mention.collected_at).where(
            Mention.id.in_(latest)
        )
    )
    told = {case_id: (" ".join(text.split()), at) for case_id, text, at in said}
    looked = last_looked(db, numbers, me.id)
    found = hits(db, q, numbers)
    begun: dict[int, list[User]] = {}
    for draft in db.scalars(select(Draft).where(Draft.case_id.in_(numbers)).options(joinedload(Draft.user))):
        begun.setdefault(draft.case_id, []).append(draft.user)
    return [
        Row(
            each,
            **_said(each, text),
            unread=each.status in ALIVE and _is_news(at, looked.get(each.id)),
            draft=any(who.id == me.id for who in begun.get(each.id, ())),
            drafts=sorted({who.name for who in begun.get(each.id, ()) if who.id != me.id}),
            hit=found.get(each.id),
        )
        for each in cases
        for text, at in [told.get(each.id, ("", None))]
    ]


def _is_news(said: datetime | None, looked: datetime | None) -> bool:
    return said is not None and (looked is None or said > looked)


def _said(found: Case, text: str) -> Mapping[str, Any]:
    """A subject that only is the beginning of the message is not said twice: then the message itself is cut in two."""
    subject = " ".join(found.subject.split())
    if text.startswith(subject.rstrip("…").rstrip()):
        subject, text = lead(text)
    return {"subject": subject, "text": text[:PREVIEW]}


def lead(text: str) -> tuple[str, str]:
    """The first sentence and the rest; of a long one as many words as a line holds."""
    if len(text) <= LEAD:
        return text, ""
    end = max((found.end() for found in SENTENCE.finditer(text[: LEAD + 1])), default=0)
    end = end or text.rfind(" ", 0, LEAD) + 1 or LEAD
    return text[:end].rstrip(), text[end:].lstrip()


# -- what somebody has looked at --------------------------------------------------------------------------------------


def last_looked(db: Session, numbers: Sequence[int], user_id: int) -> dict[int, datetime]:
    """When somebody last looked at each of these cases; those never looked at are left out."""
    found = db.execute(select(Read.case_id, Read.at).where(Read.user_id == user_id, Read.case_id.in_(numbers)))
    return {case_id: at for case_id, at in found}


def look(db: Session, number: int, user_id: int, at: datetime) -> None:
    """Somebody has the case before their eyes now, and thereby knows what they were told of it."""
    db.merge(Read(user_id=user_id, case_id=number, at=at))
    of_it = Notice.event_id.in_(select(CaseEvent.id).where(CaseEvent.case_id == number))
    db.execute(update(Notice).where(Notice.user_id == user_id, Notice.seen_at.is_(None), of_it).values(seen_at=at))
