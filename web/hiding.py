"""What stands at a message of others about hiding it on its network: how it is, what is wanted, why it cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

import channels
from models import Hiding, Mention
from replies import hiding
from web import labels
from web.queries import Entry


@dataclass(frozen=True)
class Shown:
    """``wish``: the last one, if there ever was one. ``why_not``, ``seen_by``: in words; one of the two is empty."""

    wish: Hiding | None
    why_not: str
    seen_by: str

    @property
    def by_us(self) -> bool:
        """Whether it is the wish of somebody here that hid it, where it is hidden."""
        wish = self.wish
        return wish is not None and wish.hide and wish.due_at is None and wish.error is None


def of(db: Session, entries: Iterable[Entry]) -> dict[int, Shown]:
    """Of every message in a thread."""
    messages = [each.item for each in entries if isinstance(each.item, Mention)]
    wanted = select(Hiding).where(Hiding.mention_id.in_([each.id for each in messages]))
    wishes = {each.mention_id: each for each in db.scalars(wanted.options(joinedload(Hiding.user)))}
    why_not = hiding.why_not(db, messages)
    return {each.id: _shown(each, wishes.get(each.id), why_not[each.id]) for each in messages}


def _shown(mention: Mention, wish: Hiding | None, code: str | None) -> Shown:
    hides = channels.capabilities(mention.channel).hides
    if code is not None or hides is None:
        return Shown(wish, labels.cannot_hide(code or "no_network"), "")
    return Shown(wish, "", labels.seen_by(hides.seen_by))
