"""What the organisation has laid down: calendars, SLA policies, rules, categories, canned replies, teams.

The one door to ``definitions``: what config.yaml declares comes through ``declare``, what is made in the admin screens
through ``put``, ``retire`` and ``order``. An edit retires the old version and adds a new one; nothing is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar, cast
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

import settings
from database import Remembered
from errors import InvalidInput, NotFoundError
from models import Case, Definition, Team, TeamMember
from settings import (
    RESERVED_WHY,
    Calendar,
    CannedReply,
    Category,
    Organisation,
    RuleSettings,
    Settings,
    Sla,
    Strict,
    TeamSettings,
    is_reserved,
)
from triage import cases
from triage.watchlist import Watchlist

PARTS = ("calendars", "sla", "rules", "categories", "canned_replies")  # teams have a table of their own
ORGANISATION = "organisation"  # kept beside them: its time zone is asked for where no calendar says more
VALUE = "value"  # and what a manager assumes of calls that were not needed: ``reports.value``
TEAMS = "teams"
BEHIND_TARGETS = ("calendars", "sla")  # and the calendars of teams: when they change, open cases are looked at again
CONFIG = "config.yaml"  # who has made what is declared there
REFERS = {  # the fields by which one part names another
    "calendar": "calendars",
    "team": TEAMS,
    "category": "categories",
    "parent": "categories",
    "draft": "canned_replies",
}


class Assumption(Strict):
    """Of a hundred cases settled with an answer ``share`` would else have been calls, each of so many minutes.

    ``cost``: of an hour, in ``currency``; 0: money is not spoken of.
    """

    name: Literal["value"] = "value"
    share: Annotated[float, Field(gt=0, le=100)]
    minutes: Annotated[float, Field(gt=0, le=600)]
    cost: Annotated[float, Field(ge=0, le=1_000_000)] = 0
    currency: Literal["SEK", "DKK", "NOK", "EUR", "GBP", "USD"] = "SEK"


@dataclass(frozen=True)
class Entry:
    """A definition in force. ``id`` names this version of it for ever; of a team it is the team's."""

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
    def watched_categories(self) -> Watchlist[Category]:
        """Those with a query, the finer ones before those they are part of."""
        ordered = sorted(self.categories, key=lambda category: category.parent is None)
        return Watchlist({one: one.match for one in ordered if one.match is not None})

    @cached_property
    def canned_replies(self) -> dict[str, CannedReply]:
        return {entry.name: cast(CannedReply, entry.value) for entry in self.parts["canned_replies"]}

    @cached_property
    def zone(self) -> ZoneInfo:
        """The organisation's time zone."""
        organisations = [cast(Organisation, entry.value) for entry in self.parts[ORGANISATION]]
        return organisations[0].zone if organisations else ZoneInfo("UTC")

    def calendar(self, *names: str | None) -> Calendar | None:
        """The first of ``names`` there is, else the first calendar of all (DESIGN 5.2). None: always open."""
        for name in names:
            if name is not None and name in self.calendars:
                return self.calendars[name]
        return next(iter(self.calendars.values()), None)

    def hours(self, team: Team | None) -> tuple[Calendar | None, ZoneInfo]:
        """When a team works, and where its days begin and end."""
        calendar = self.calendar(team.calendar if team else None)
        return calendar, self.zone_of(calendar)

    def zone_of(self, calendar: Calendar | None) -> ZoneInfo:
        """The organisation's where no calendar says more."""
        return ZoneInfo(calendar.timezone) if calendar else self.zone


def read(db: Session) -> Policy:
    """What is in force now. Read anew only when something was changed: otherwise one small query."""
    return _in_mind.get(db, select(*_newest()))


def _newest() -> list[Any]:
    """What is different whenever something was changed."""
    order = func.sum(Definition.position * Definition.id)  # differs in every order: ``order`` only raises positions
    retired = (func.count(Definition.retired_at), func.max(Definition.retired_at))
    return [func.max(Definition.id), func.max(Definition.created_at), *retired, order]


def _read(db: Session) -> Policy:
    parts: dict[str, list[Entry]] = {part: [] for part in (*PARTS, ORGANISATION, VALUE)}
    in_force = select(Definition).where(Definition.retired_at.is_(None)).order_by(Definition.position, Definition.id)
    for row in db.scalars(in_force):
        value = _model(row.part).model_validate(row.body)
        parts[row.part].append(Entry(row.id, row.name, row.declared, value))
    return Policy({part: tuple(entries) for part, entries in parts.items()})


_in_mind = Remembered(_read)


def _model(part: str) -> type[Strict]:
    own: dict[str, type[Strict]] = {ORGANISATION: Organisation, VALUE: Assumption}
    return own.get(part) or settings.PARTS[part]


def entries(db: Session, part: str) -> tuple[Entry, ...]:
    """What is in force of one part, in order; the teams too, by name."""
    if part != TEAMS:
        return read(db).parts[part]
    teams = db.scalars(select(Team).options(selectinload(Team.members)).order_by(Team.name))
    return tuple(Entry(team.id, team.name, team.declared, _as_given(team)) for team in teams)


def _as_given(team: Team) -> TeamSettings:
    kept = ("name", "calendar", "routing", "ceiling", "queue_alarm", "members_only")
    fields = {name: getattr(team, name) for name in kept}
    return TeamSettings.model_validate({**fields, "members": sorted(member.email for member in team.members)})


def history(db: Session, part: str, name: str) -> list[Definition]:
    """Every version there has been under a name, the newest first. Of teams: ``Team.was``."""
    versions = select(Definition).where(Definition.part == part, Definition.name == name)
    return list(db.scalars(versions.order_by(Definition.id.desc())))


def uses(db: Session, part: str, name: str) -> list[tuple[str, str]]:
    """What else in force names it, as (part, name)."""
    every = ((where, entry) for where in (*PARTS, TEAMS) for entry in entries(db, where))
    return [
        (where, entry.name)
        for where, entry in every
        if (where, entry.name) != (part, name) and _names(entry.value.model_dump(mode="json"), part, name)
    ]


def _names(value: object, part: str, name: str, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(_names(inner, part, name, step) for step, inner in value.items())
    return REFERS.get(key) == part and (value == name or (isinstance(value, list) and name in value))


def value_of(db: Session, definition_id: int) -> Strict:
    """A definition as it was when something was computed with it, retired or not. Raises ``NotFoundError``."""
    row = db.get(Definition, definition_id)
    if row is None:
        raise NotFoundError(f"There is no definition {definition_id}.")
    return _model(row.part).model_validate(row.body)


@dataclass(frozen=True)
class Version:
    """A calendar as it was from ``since`` on, up to ``until``; ``position``: of the first, who names none has it."""

    id: int
    since: datetime
    until: datetime | None
    position: int
    calendar: Calendar

    def held(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


def calendar_versions(db: Session) -> Mapping[str, Sequence[Version]]:
    """Every calendar there has been, by name, the oldest version first."""
    return _calendars_in_mind.get(db, select(*_newest()).where(Definition.part == "calendars"))


def _read_calendars(db: Session) -> Mapping[str, Sequence[Version]]:
    found: dict[str, list[Version]] = {}
    for row in db.scalars(select(Definition).where(Definition.part == "calendars").order_by(Definition.id)):
        calendar = cast(Calendar, _model(row.part).model_validate(row.body))
        version = Version(row.id, row.created_at, row.retired_at, row.position, calendar)
        found.setdefault(row.name, []).append(version)
    return found


_calendars_in_mind = Remembered(_read_calendars)


# -- changing --------------------------------------------------------------------------------------------------------


def declare(db: Session, given: Settings, at: datetime) -> None:
    """Bring what config.yaml declares into force, before what was made by hand, in the order of the file."""
    before = _behind_targets(db)
    for part in (*PARTS, ORGANISATION):
        entries: Sequence[Any] = (given.organisation,) if part == ORGANISATION else getattr(given, part)
        in_force = {row.name: row for row in _in_force(db, part)}
        for row in in_force.values():
            if row.declared and row.name not in {entry.name for entry in entries}:
                row.retired_at = at
        for position, entry in enumerate(entries):
            _put(db, part, entry, in_force.get(entry.name), declared=True, position=position - 10_000, by=CONFIG, at=at)
    if _behind_targets(db) != before:
        cases.look_again(db)


def _behind_targets(db: Session) -> list[tuple[str, int]]:
    db.flush()
    return [(part, row.id) for part in BEHIND_TARGETS for row in _in_force(db, part)]


def put(db: Session, part: str, value: Strict, *, instead_of: str | None = None, by: str, at: datetime) -> None:
    """Bring a checked definition into force, as a new one or in place of ``instead_of``.

    Raises ``InvalidInput`` for a name that is taken, declared in config.yaml, or given up while others use it, and
    ``NotFoundError``.
    """
    name: str = value.name  # type: ignore[attr-defined]  # every part has one
    before = next((entry.value for entry in entries(db, part) if entry.name == instead_of), None)
    if is_reserved_in(value, before):
        raise InvalidInput(f"{name} is not brought into force: {RESERVED_WHY}.", {"name": RESERVED_WHY})
    if instead_of is not None and name != instead_of:
        _not_used(db, part, instead_of)
    if part == TEAMS:
        _put_team(db, cast(TeamSettings, value), instead_of, at)
        return
    in_force = {row.name: row for row in _in_force(db, part)}
    if name != instead_of and name in in_force:
        raise InvalidInput(f"There is already one named {name}.", {"name": "choose another name"})
    old = _made_by_hand(in_force.get(instead_of), instead_of) if instead_of is not None else None
    position = old.position if old else max((row.position for row in in_force.values()), default=0) + 1
    _put(db, part, value, old, declared=False, position=max(position, 0), by=by, at=at)
    if part in BEHIND_TARGETS:
        cases.look_again(db)


def is_reserved_in(value: Strict, before: Strict | None) -> bool:
    """Whether it gives a name that reports use themselves; what was so named ``before`` may stay."""
    return any(map(is_reserved, _named_in_reports(value) - _named_in_reports(before)))


def _named_in_reports(value: Strict | None) -> set[str]:
    if isinstance(value, TeamSettings | Category):
        return {value.name}
    return set(value.effects.tags) if isinstance(value, RuleSettings) else set()


def retire(db: Session, part: str, name: str, *, at: datetime) -> None:
    """Out of force from now on. A team that has had cases stays, since they name it.

    Raises ``NotFoundError``, and ``InvalidInput`` when config.yaml declares it or others use it.
    """
    _not_used(db, part, name)
    if part == TEAMS:
        _retire_team(db, name)
        return
    _made_by_hand(next((row for row in _in_force(db, part) if row.name == name), None), name).retired_at = at
    db.flush()
    if part in BEHIND_TARGETS:
        cases.look_again(db)


def order(db: Session, part: str, names: Iterable[str]) -> None:
    """Try what was made by hand in this order, after what config.yaml declares."""
    turn = {name: number for number, name in enumerate(names)}
    mine = [row for row in _in_force(db, part) if not row.declared]
    highest = max((row.position for row in mine), default=0)
    for position, row in enumerate(sorted(mine, key=lambda row: turn.get(row.name, len(turn))), start=highest + 1):
        row.position = position
    db.flush()
    if part in BEHIND_TARGETS:
        cases.look_again(db)


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


D = TypeVar("D", Definition, Team)


def _made_by_hand(row: D | None, name: str | None) -> D:
    if row is None:
        raise NotFoundError(f"There is none named {name}.")
    if row.declared:
        raise InvalidInput(f"{name} stands in config.yaml; change it there.", {"name": "declared in config.yaml"})
    return row


def _not_used(db: Session, part: str, name: str) -> None:
    if users := uses(db, part, name):
        raise InvalidInput(f"{name} is used by {', '.join(user for _, user in users)}.", {"name": "change those first"})


# -- teams -----------------------------------------------------------------------------------------------------------


def write_team(db: Session, team: Team, given: TeamSettings, *, declared: bool, at: datetime) -> None:
    """A row of its own and its members; whose turn it is stays with who stays."""
    if team.id is not None and (team.name, team.calendar) != (given.name, given.calendar):
        cases.look_again(db)
        team.was = [*team.was, {"until": at.isoformat(), "name": team.name, "calendar": team.calendar}]
    team.name, team.calendar, team.declared = given.name, given.calendar, declared
    team.routing, team.ceiling, team.queue_alarm = given.routing, given.ceiling, given.queue_alarm
    team.members_only = given.members_only
    there = {member.email: member for member in team.members}
    team.members = [there.get(email) or TeamMember(email=email) for email in dict.fromkeys(given.members)]
    db.add(team)
    db.flush()


def _put_team(db: Session, given: TeamSettings, instead_of: str | None, at: datetime) -> None:
    if given.name != instead_of and _team(db, given.name) is not None:
        raise InvalidInput(f"There is already one named {given.name}.", {"name": "choose another name"})
    old = _made_by_hand(_team(db, instead_of), instead_of) if instead_of is not None else Team()
    write_team(db, old, given, declared=False, at=at)


def _retire_team(db: Session, name: str) -> None:
    team = _made_by_hand(_team(db, name), name)
    if db.scalar(select(Case.id).where(Case.team_id == team.id).limit(1)) is not None:
        raise InvalidInput(f"{name} has cases, which keep their team.", {"name": "take its members out instead"})
    db.delete(team)
    db.flush()


def _team(db: Session, name: str) -> Team | None:
    return db.scalar(select(Team).where(Team.name == name).options(selectinload(Team.members)))
