"""The one door to a notice: who hears of what, and in which way.

Everybody chooses for each kind: not at all, in Gensvar, by mail besides at once or every morning. Where somebody has
not chosen, ``USUAL`` holds. Who has muted a case hears nothing of it. ``mail`` takes what is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import CaseEvent, Follow, Notice, Role, Team, User
from triage import policy

MORNING = time(8)  # when the daily mail goes out, in the organisation's time zone
CHOSEN = "notices"  # where the choices stand in ``User.preferences``: kind -> Way


class Way(StrEnum):
    off = "off"
    page = "page"
    mail = "mail"  # at once, and in the page
    daily = "daily"  # in the morning, and in the page


# In the order in which they are listed. By mail unless chosen otherwise: what goes wrong while nobody looks.
USUAL: Mapping[str, Way] = {
    "take": Way.page,
    "author_wrote": Way.page,
    "mentioned": Way.page,  # in a note of a colleague
    "note": Way.page,  # in a case one follows
    "reply_proposed": Way.page,
    "reply_returned": Way.page,
    "follow_up_due": Way.page,
    "sla_warning": Way.page,
    "sla_breached": Way.mail,
    "reply_failed": Way.mail,
    "reply_uncertain": Way.mail,
    "hide_failed": Way.mail,
    "queue_alarm": Way.page,
    "story_alarm": Way.mail,
    "notified": Way.mail,
}


def way(preferences: Mapping[str, Any], kind: str) -> Way:
    """What somebody chose for a kind, else what is usual."""
    chosen = preferences.get(CHOSEN)
    found = chosen.get(kind) if isinstance(chosen, Mapping) else None
    return Way(found) if found in list(Way) else USUAL.get(kind, Way.page)


def mail_at(chosen: Way, at: datetime, zone: ZoneInfo) -> datetime | None:
    """When a notice of ``at`` goes out by mail; None: not at all."""
    if chosen == Way.mail:
        return at
    if chosen == Way.daily:
        local = at.astimezone(zone)
        day = local.date() + timedelta(days=local.time() >= MORNING)
        return datetime.combine(day, MORNING, zone).astimezone(UTC)
    return None


def tell(
    db: Session,
    user: User,
    kind: str,
    at: datetime,
    *,
    event: CaseEvent | None = None,
    story_id: int | None = None,
    team_id: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Let a colleague know, in the way they chose; of one event once, whatever the reasons."""
    chosen = way(user.preferences, kind)
    if event is not None and not may_see(user, event.case.team):
        return
    if chosen == Way.off or (event is not None and (_is_muted(db, user, event) or _knows(db, user, event))):
        return
    db.add(
        Notice(
            user_id=user.id,
            event_id=event.id if event is not None else None,
            story_id=story_id,
            team_id=team_id,
            kind=kind,
            detail=dict(detail or {}),
            at=at,
            mail_at=mail_at(chosen, at, policy.read(db).zone) if chosen in (Way.mail, Way.daily) else None,
        )
    )


def may_see(user: User, team: Team | None) -> bool:
    """Whether somebody sees the cases of this team."""
    if team is None or not team.members_only or user.role in (Role.manager, Role.admin):
        return True
    return any(member.email == user.email for member in team.members)


def _is_muted(db: Session, user: User, event: CaseEvent) -> bool:
    follow = db.get(Follow, (user.id, event.case_id))
    return follow is not None and follow.muted


def _knows(db: Session, user: User, event: CaseEvent) -> bool:
    told = select(Notice.id).where(Notice.user_id == user.id, Notice.event_id == event.id)
    return db.scalar(told) is not None
