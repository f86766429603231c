"""What search and the filters of a list ask of a case: ``status:new``, ``is:late``, ``after:2026-11-01``, each as a
condition. Names and values are English in every language; a value that cannot be is a ``QueryError`` at its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, exists, false, select
from sqlalchemy.orm import InstrumentedAttribute, Session

import channels
from errors import QueryError
from models import (
    Case,
    CaseStatus,
    CaseTag,
    Draft,
    Kind,
    Mention,
    MentionSource,
    Note,
    Priority,
    Promise,
    Read,
    Reply,
    ReplyStatus,
    Sentiment,
    Source,
    Team,
    User,
)
from triage.subject import fold
from triage.watch import Operator

Condition = ColumnElement[bool]
FLAGS = ("late", "unread", "flagged", "snoozed", "approval")  # after is:
HELD = ("draft", "reply", "note", "picture", "promise")  # after has:
NONE = "none"


@dataclass(frozen=True)
class Asker:
    """Who asks, when, and where: for ``me``, ``is:late``, and what day it is. Nobody: a program of the house."""

    user: User | None = None
    at: datetime | None = None
    zone: tzinfo = UTC


NOBODY = Asker()


def condition(db: Session, asked: Operator, asker: Asker) -> Condition:
    """Raises ``QueryError``."""
    return _CONDITIONS[asked.name](db, asked, asker)


def values(name: str) -> list[str] | None:
    """What may stand after an operator; None: anything."""
    enums: dict[str, Iterable[str]] = {
        "status": CaseStatus,
        "priority": Priority,
        "kind": [*Kind, NONE],
        "sentiment": [*Sentiment, NONE],
        "channel": channels.CHANNELS,
        "is": FLAGS,
        "has": HELD,
    }
    return [str(each) for each in enums[name]] if name in enums else None


def _known(asked: Operator) -> str:
    known = values(asked.name) or []
    value = fold(asked.value)
    if value not in known:
        raise QueryError(
            "After %(name)s: may stand %(known)s, not %(value)s.",
            asked.at,
            name=asked.name,
            known=", ".join(known),
            value=asked.value,
        )
    return value


def _column(column: InstrumentedAttribute[Any]) -> Callable[[Session, Operator, Asker], Condition]:
    def holds(db: Session, asked: Operator, asker: Asker) -> Condition:
        value = _known(asked)
        return column.is_(None) if value == NONE else and_(column.is_not(None), column == value)

    return holds


def _assignee(db: Session, asked: Operator, asker: Asker) -> Condition:
    """``me``, ``none``, an e-mail address or what stands before its @."""
    value = fold(asked.value)
    if value == NONE:
        return Case.assignee_id.is_(None)
    if value == "me":
        return _is(Case.assignee_id, [asker.user.id] if asker.user else [])
    emails = db.execute(select(User.id, User.email))
    return _is(Case.assignee_id, [id for id, email in emails if value in (email, email.partition("@")[0])])


def _team(db: Session, asked: Operator, asker: Asker) -> Condition:
    if fold(asked.value) == NONE:
        return Case.team_id.is_(None)
    return _is(Case.team_id, _named(db, Team, asked.value))


def _source(db: Session, asked: Operator, asker: Asker) -> Condition:
    """Any source that found one of its mentions."""
    return found_by(MentionSource.source_id.in_(_named(db, Source, asked.value)))


def found_by(which: Condition) -> Condition:
    """A source found one of its mentions. One within the other: SQLite else reads all that the source has found."""
    return exists().where(Mention.case_id == Case.id, exists().where(MentionSource.mention_id == Mention.id, which))


def _named(db: Session, table: type[Team] | type[Source], value: str) -> list[int]:
    return [id for id, name in db.execute(select(table.id, table.name)) if fold(name) == fold(value)]


def _is(column: InstrumentedAttribute[Any], ids: list[int]) -> Condition:
    """Never null, so that NOT means what it says."""
    return and_(column.is_not(None), column.in_(ids)) if ids else false()


def _tag(db: Session, asked: Operator, asker: Asker) -> Condition:
    if fold(asked.value) == NONE:
        return ~exists().where(CaseTag.case_id == Case.id)
    return exists().where(CaseTag.case_id == Case.id, CaseTag.tag == fold(asked.value))


def _category(db: Session, asked: Operator, asker: Asker) -> Condition:
    if fold(asked.value) == NONE:
        return Case.category.is_(None)
    given = db.scalars(select(Case.category).where(Case.category.is_not(None)).distinct())
    return and_(
        Case.category.is_not(None), Case.category.in_([each for each in given if fold(each or "") == fold(asked.value)])
    )


def _story(db: Session, asked: Operator, asker: Asker) -> Condition:
    if fold(asked.value) in (NONE, "any"):
        return Case.story_id.is_(None) if fold(asked.value) == NONE else Case.story_id.is_not(None)
    if not re.fullmatch(r"[0-9]{1,18}", asked.value):
        raise QueryError("After story: stands its number, any or none.", asked.at)
    return and_(Case.story_id.is_not(None), Case.story_id == int(asked.value))


def _flag(db: Session, asked: Operator, asker: Asker) -> Condition:
    match _known(asked):
        case "late":
            return and_(Case.next_breach_at.is_not(None), Case.next_breach_at <= asker.at) if asker.at else false()
        case "unread":
            read = exists().where(Read.user_id == _me(asker), Read.case_id == Case.id, Read.at >= Case.last_activity_at)
            return ~read
        case "flagged":
            return Case.flag.is_not(None)
        case "snoozed":
            return Case.follow_up_at.is_not(None)
        case _:
            return Case.id.in_(select(Reply.case_id).where(Reply.status == ReplyStatus.in_review))


def _held(db: Session, asked: Operator, asker: Asker) -> Condition:
    match _known(asked):
        case "draft":
            return Case.id.in_(select(Draft.case_id).where(Draft.user_id == _me(asker), Draft.body != ""))
        case "reply":
            return Case.reply_count > 0
        case "note":
            return exists().where(Note.case_id == Case.id)
        case "promise":
            return exists().where(Promise.case_id == Case.id)
        case _:
            return exists().where(Mention.case_id == Case.id, cast(Mention.attachments, Text).like('%"photo"%'))


def is_personal(asked: Operator) -> bool:
    """Whether the answer depends on who asks."""
    return fold(asked.value) in {"me", "unread", "draft"}


def _me(asker: Asker) -> int:
    return asker.user.id if asker.user else 0


def _before(db: Session, asked: Operator, asker: Asker) -> Condition:
    return Case.last_activity_at < midnight(asked, asker.zone)


def _after(db: Session, asked: Operator, asker: Asker) -> Condition:
    """On that day or later."""
    return Case.last_activity_at >= midnight(asked, asker.zone)


def midnight(asked: Operator, zone: tzinfo) -> datetime:
    """When the day begins that is written as 2026-11-24, 2026-11 or 2026, in the organisation's time zone. UTC."""
    found = re.fullmatch(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?", asked.value)
    try:
        if found is None:
            raise ValueError
        year, month, day = (int(part) if part else 1 for part in found.groups())
        return datetime.combine(date(year, month, day), time(), zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QueryError("Write the day as 2026-11-24, the month as 2026-11.", asked.at) from None


_CONDITIONS: dict[str, Callable[[Session, Operator, Asker], Condition]] = {
    "status": _column(Case.status),
    "priority": _column(Case.priority),
    "kind": _column(Case.kind),
    "sentiment": _column(Case.sentiment),
    "channel": _column(Case.channel),
    "assignee": _assignee,
    "team": _team,
    "source": _source,
    "tag": _tag,
    "category": _category,
    "story": _story,
    "is": _flag,
    "has": _held,
    "before": _before,
    "after": _after,
}
