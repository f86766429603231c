"""Small things many tests need: mentions as a collector would hand them over, and the people of the house."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from collectors.base import AuthorData, Batch, MentionData
from database import Database
from models import Account, Case, Mention, Source, User
from triage import intake

MORNING = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
_numbers = count(1)


def said(
    id: str, author: str | None = "anna", *, text: str | None = None, to: str | None = None, thread: str | None = None,
    minutes: float | None = None, **more: Any,
) -> MentionData:  # fmt: skip
    """A mention with this id; ``minutes`` after ``MORNING`` (by default in the order they are made)."""
    who = AuthorData(author, author.capitalize(), handle=author) if author else None
    at = MORNING + timedelta(minutes=next(_numbers) / 1000 if minutes is None else minutes)
    return MentionData(
        external_id=id, author=who, text=f"text of {id}" if text is None else text, published_at=at, in_reply_to=to,
        thread=thread, url=f"https://net.example/{id}", can_reply=True, reply_address={"id": id}, **more,
    )  # fmt: skip


def ours(id: str, **more: Any) -> MentionData:
    return said(id, "us", ours=True, **more)


def take(
    db: Session, *mentions: MentionData, at: datetime | None = None, channel: str = "net", **more: Any
) -> intake.Taken:
    """Through the door, as one batch."""
    batch = Batch(tuple(mentions), cursor={})
    given: dict[str, Any] = {"account_id": None, "source_id": None} | more
    return intake.take(db, batch, channel=channel, at=at or MORNING + timedelta(hours=1), **given)


def user(db: Session, name: str = "eva", role: str = "agent") -> User:
    email = f"{name}@storby.example"
    found = db.scalar(select(User).where(User.email == email))
    if found is None:
        found = User(email=email, name=name.capitalize(), role=role, created_at=MORNING)
        db.add(found)
        db.flush()
    return found


def account(db: Session, name: str = "storby", channel: str = "net") -> Account:
    made = Account(name=name, channel=channel)
    db.add(made)
    db.flush()
    return made


def source(db: Session, name: str = "source", channel: str = "net", **definition: Any) -> Source:
    made = Source(name=name, channel=channel, definition=definition, created_at=MORNING)
    db.add(made)
    db.flush()
    return made


def case_of(db: Session, external_id: str) -> int | None:
    """The number of the case a mention is in."""
    return db.scalar(select(Mention.case_id).where(Mention.external_id == external_id))


def grouping(db: Session) -> set[frozenset[str]]:
    """Which mentions concerning us are together: cases as sets of external ids, merged ones not counted."""
    groups: dict[int, set[str]] = {}
    for mention in db.scalars(select(Mention).where(Mention.case_id.is_not(None), ~Mention.context)):
        assert mention.case_id is not None
        groups.setdefault(mention.case_id, set()).add(mention.external_id)
    return {frozenset(group) for group in groups.values()}


def living_cases(db: Session) -> list[Case]:
    return list(db.scalars(select(Case).where(Case.merged_into_id.is_(None)).order_by(Case.id)))


def ids(mentions: Iterable[MentionData]) -> list[str]:
    return [mention.external_id for mention in mentions]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Everything that is said to the database meanwhile."""
    found: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        found.append(statement)

    event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", hear)
