"""What the organisation has laid down: calendars, SLA policies, rules, categories, canned replies, teams.

The one door to ``definitions``: what config.yaml declares comes through ``declare``, what is made in the admin screens
through ``put``, ``retire`` and ``order``. An edit retires the old version and adds a new one; nothing is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import settings
from errors import InvalidInput, NotFoundError
from models import Definition
from settings import Calendar, CannedReply, Category, Organisation, RuleSettings, Settings, Sla, Strict

PARTS = ("calendars", "sla", "rules", "categories", "canned_replies")  # teams have a table of their own
ORGANISATION = "organisation"  # kept beside them: its time zone is asked for where no calendar says more
CONFIG = "config.yaml"  # who has made what is declared there


@dataclass(frozen=True)
class Entry:
    """A definition in force. ``id`` names this version of it for ever."""

    id: int
    name: str
    declared: bool
    value: Strict


@dataclass(frozen=True)
class Policy:
    """Everything in force at one moment, in the order in which it is tried."""

    parts: Mapping[str, tuple[Entry, ...]]

    @cached_property
    def calendars(self) -> dict[str, Calendar]:
        return {entry.name: cast(Calendar, entry.value) for entry in self.parts["calendars"]}

    @cached_property
    def sla(self) -> tuple[tuple[int, Sla], ...]:
        """Each with the id of its definition."""
        return tuple((entry.id, cast(Sla, entry.value)) for entry in self.parts["sla"])

    @cached_property
    def rules(self) -> tuple[RuleSettings, ...]:
        return tuple(cast(RuleSettings, entry.value) for entry in self.parts["rules"])

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        return tuple(cast(Category, entry.value) for entry in self.parts["categories"])

    @cached_property
    def canned_replies(self) -> dict[str, CannedReply]:
        return {entry.name: cast(CannedReply, entry.value) for entry in self.parts["canned_replies"]}

    @cached_property
    def zone(self) -> ZoneInfo:
        """The organisation's time zone."""
        organisations = [cast(Organisation, entry.value) for entry in self.parts[ORGANISATION]]
        return ZoneInfo(organisations[0].timezone if organisations else "UTC")

    def calendar(self, *names: str | None) -> Calendar | None:
        """The first of ``names`` there is, else the first calendar of all (DESIGN 5.2). None: always open."""
        for name in names:
            if name is not None and name in self.calendars:
                return self.calendars[name]
        return next(iter(self.calendars.values()), None)


_last: tuple[object, Policy] | None = None  # what was read last, with what it was read from


def read(db: Session) -> Policy:
    """What is in force now. Read anew only when something was changed: otherwise one small query."""
    global _last
    bind = db.get_bind()
    newest, retired = db.execute(select(func.max(Definition.id), func.count(Definition.retired_at))).one()
    key = (str(bind.engine.url), id(bind.engine), newest, retired, _positions(db))
    if _last is None or _last[0] != key:
        _last = (key, _read(db))
    return _last[1]


def _positions(db: Session) -> int | None:
    """Changes whenever the order does."""
    weighed = func.sum(Definition.position * Definition.id)
    return db.scalar(select(weighed).where(Definition.retired_at.is_(None)))


def _read(db: Session) -> Policy:
    parts: dict[str, list[Entry]] = {part: [] for part in (*PARTS, ORGANISATION)}
    in_force = select(Definition).where(Definition.retired_at.is_(None)).order_by(Definition.position, Definition.id)
    for row in db.scalars(in_force):
        value = _model(row.part).model_validate(row.body)
        parts[row.part].append(Entry(row.id, row.name, row.declared, value))
    return Policy({part: tuple(entries) for part, entries in parts.items()})


def _model(part: str) -> type[Strict]:
    return Organisation if part == ORGANISATION else settings.PARTS[part]


def value_of(db: Session, definition_id: int) -> Strict:
    """A definition as it was when something was computed with it, retired or not. Raises ``NotFoundError``."""
    row = db.get(Definition, definition_id)
    if row is None:
        raise NotFoundError(f"There is no definition {definition_id}.")
    return _model(row.part).model_validate(row.body)


# -- changing --------------------------------------------------------------------------------------------------------


def declare(db: Session, given: Settings, at: datetime) -> None:
    """Bring what config.yaml declares into force, before what was made by hand, in the order of the file."""
    for part in (*PARTS, ORGANISATION):
        entries: Sequence[Any] = (given.organisation,) if part == ORGANISATION else getattr(given, part)
        in_force = {row.name: row for row in _in_force(db, part)}
        for row in in_force.values():
            if row.declared and row.name not in {entry.name for entry in entries}:
                row.retired_at = at
        for position, entry in enumerate(entries):
            _put(db, part, entry, in_force.get(entry.name), declared=True, position=position - 10_000, by=CONFIG, at=at)


def put(db: Session, part: str, value: Strict, *, instead_of: str | None = None, by: str, at: datetime) -> None:
    """Bring a checked definition into force, as a new one or in place of ``instead_of``.

    Raises ``InvalidInput`` for a name that is taken or declared in config.yaml, ``NotFoundError``.
    """
    name: str = value.name  # type: ignore[attr-defined]  # every part has one
    in_force = {row.name: row for row in _in_force(db, part)}
    if name != instead_of and name in in_force:
        raise InvalidInput(f"There is already one named {name}.", {"name": "choose another name"})
    old = _made_by_hand(in_force.get(instead_of), instead_of) if instead_of is not None else None
    position = old.position if old else max((row.position for row in in_force.values()), default=0) + 1
    _put(db, part, value, old, declared=False, position=max(position, 0), by=by, at=at)


def retire(db: Session, part: str, name: str, *, at: datetime) -> None:
    """Out of force from now on. Raises ``NotFoundError``, ``InvalidInput`` when config.yaml declares it."""
    _made_by_hand(next((row for row in _in_force(db, part) if row.name == name), None), name).retired_at = at
    db.flush()


def order(db: Session, part: str, names: Iterable[str]) -> None:
    """Try what was made by hand in this order, after what config.yaml declares."""
    wanted = list(names)
    for row in _in_force(db, part):
        if not row.declared:
            row.position = wanted.index(row.name) if row.name in wanted else len(wanted) + row.position
    db.flush()


def _put(
    db: Session, part: str, value: Any, old: Definition | None, *, declared: bool, position: int, by: str, at: datetime
) -> None:
    body = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if old is not None:
        if old.body == body and old.declared == declared and old.name == value.name:
            old.position = position
            return
        old.retired_at = at
        db.flush()  # before the next of its name
    new = Definition(
        part=part, name=value.name, position=position, declared=declared, body=body, created_at=at, created_by=by
    )
    db.add(new)
    db.flush()


def _in_force(db: Session, part: str) -> list[Definition]:
    rows = select(Definition).where(Definition.part == part, Definition.retired_at.is_(None))
    return list(db.scalars(rows.order_by(Definition.position, Definition.id)))


def _made_by_hand(row: Definition | None, name: str | None) -> Definition:
    if row is None:
        raise NotFoundError(f"There is none named {name}.")
    if row.declared:
        raise InvalidInput(f"{name} stands in config.yaml; change it there.", {"name": "declared in config.yaml"})
    return row
