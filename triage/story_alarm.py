"""A story that grows faster than is usual at this hour of the week is told of while it is still small."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from models import Case, Mention, Role, Story, Team, TeamMember, User
from triage import cases, notices, stories

STORY_ALARM = "story_alarm"
WEEKS = 8  # looked back at, for what is usual
HOUR = timedelta(hours=1)
STALE = timedelta(hours=6)  # what was last written about longer ago is no news
AGAIN = 3  # times as large as at its alarm: told of once more
REMEMBERED = 64  # hours

_usual: WeakKeyDictionary[Engine, dict[datetime, float]] = WeakKeyDictionary()


def look(db: Session, story: Story, at: datetime) -> None:
    """Alarm if there is reason to. Judged at the story's latest mention, since sources are read at intervals."""
    if story.alarm is not None and story.size < AGAIN * story.alarm["size"]:
        return
    moment = min(at, story.last_at)
    if at - moment > STALE:
        return
    alarm = stories.alarming(*_lately(db, story, moment), moment, lambda hour: usual(db, hour))
    if alarm is None:
        return
    story.alarmed_at = at
    story.alarm = {
        "mentions": alarm.mentions,
        "authors": alarm.authors,
        "usual": round(alarm.usual, 1),
        "size": story.size,
        "since": cases.stamp(alarm.since),
    }
    for user in _concerned(db, story):
        notices.tell(db, user, STORY_ALARM, at, story_id=story.id, detail={"story": story.title, **story.alarm})


def growth(db: Session, story: Story, at: datetime) -> stories.Growth:
    times, _ = _lately(db, story, at)
    return stories.growth(times, at, lambda hour: usual(db, hour))


def _lately(db: Session, story: Story, at: datetime) -> tuple[list[datetime], list[str | None]]:
    """When, and by whom, it was told in the last two hours."""
    told = select(Mention.published_at, Mention.author_id).where(
        Mention.story_id == story.id, Mention.published_at > at - 2 * HOUR, Mention.published_at <= at
    )
    rows = db.execute(told.order_by(Mention.published_at)).all()
    return [when for when, _ in rows], [str(author) if author is not None else None for _, author in rows]


def usual(db: Session, at: datetime) -> float:
    """Mentions in this hour of this weekday: the median of the last ``WEEKS`` weeks since there are any. A storm last
    week, or a first pass over a source, makes nothing usual."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    known = _usual.setdefault(db.get_bind().engine, {})
    if hour not in known:  # it lies weeks back, and changes no more
        if len(known) >= REMEMBERED:
            known.clear()
        known[hour] = _median(db, hour)
    return known[hour]


def _median(db: Session, hour: datetime) -> float:
    """Over the index of ``collected_at``: bounded by what was collected in these hours."""
    first = db.scalar(select(func.min(Mention.collected_at)))
    starts = [hour - timedelta(weeks=week) for week in range(1, WEEKS + 1)]
    counts = [
        db.scalar(
            select(func.count())
            .select_from(Mention)
            .where(Mention.collected_at >= start, Mention.collected_at < start + HOUR)
            .where(~Mention.ours, ~Mention.context, ~Mention.imported)
        )
        or 0
        for start in starts
        if first is not None and start >= first
    ]
    return float(median(counts)) if counts else 0.0


def _concerned(db: Session, story: Story) -> list[User]:
    """Managers, administrators, and the teams that have cases in it."""
    teams = select(Team.id).where(Team.id.in_(select(Case.team_id).where(Case.story_id == story.id)))
    members = select(TeamMember.email).where(TeamMember.team_id.in_(teams))
    users = select(User).where(
        User.disabled_at.is_(None), or_(User.role.in_((Role.manager, Role.admin)), User.email.in_(members))
    )
    return list(db.scalars(users.order_by(User.id)))
