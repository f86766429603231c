"""What a definition would mean, before anybody relies on it: days, examples, effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import User
from settings import Calendar, OpeningTime, RuleSettings, Sla, Strict, duration_text, opening_text
from triage import clock, policy, rehearsal, sla
from web import labels
from web.i18n import day
from web.i18n import gettext as _

DAYS_AHEAD = 60
DAYS_BACK = 30
MOST_LINES = 80  # of a calculation; a target of many months is not followed day by day


@dataclass(frozen=True)
class Line:
    """A day: when it is open, why it differs (exception, holiday, half_day), what a calculation counts of it."""

    day: clock.Day
    hours: str
    counted: str = ""


@dataclass(frozen=True)
class Example:
    """One target for something that came in at a moment."""

    name: str
    amount: str
    due: str
    warning: str | None
    lines: list[Line]
    left_out: int = 0


@dataclass(frozen=True)
class Change:
    """What a rule would have done to a case, in words: (field, before, after), and what it could not do (what, why)."""

    case_id: int
    subject: str
    at: datetime
    changes: list[tuple[str, str, str]]
    refused: list[tuple[str, str]]


@dataclass(frozen=True)
class Trial:
    """``days``: of a calendar. ``examples``: of a policy, for a case that began ``at``; all times in ``zone``.
    ``changes``: of a rule in the last days, among ``looked_at`` events; ``whole``: there are no more."""

    days: list[Line] | None = None
    examples: list[Example] | None = None
    at: datetime | None = None
    start: str = ""
    zone: str = ""
    calendar: str | None = None
    changes: list[Change] | None = None
    looked_at: int = 0
    whole: bool = True


def of(db: Session, value: Strict, example: str, at: datetime) -> Trial | None:
    """What is shown of a definition, in force or not; ``example``: the moment a person chose, local time."""
    if isinstance(value, Calendar):
        return Trial(days=list(_days(value, at)), zone=value.timezone)
    if isinstance(value, Sla):
        return _examples(policy.read(db), value, example, at)
    return None


def of_rule(db: Session, rule: RuleSettings, instead_of: str | None, at: datetime) -> Trial:
    """What it would have done lately, compared with the one it takes the place of."""
    found = rehearsal.rehearsal(db, rule, instead_of=instead_of, since=at - DAYS_BACK * clock.DAY, until=at)
    people = {user.email: user.name for user in db.scalars(select(User))}
    changes = [_change(each, people) for each in found.found]
    return Trial(changes=changes, looked_at=found.looked_at, whole=found.whole)


def _change(found: rehearsal.Difference, people: Mapping[str, str]) -> Change:
    pairs = ((name, _value(name, old, people), _value(name, new, people)) for name, (old, new) in found.changes.items())
    changes = [(_field(name), old, new) for name, old, new in pairs]
    refused = [(_field(name), labels.refusal(why)) for name, why in found.refused.items()]
    return Change(found.case_id, found.subject, found.at, changes, refused)


def _field(name: str) -> str:
    return labels.field("review_wanted" if name == "review" else name)


def _value(name: str, value: Any, people: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    several = isinstance(value, (frozenset, tuple))
    return labels.value(name, sorted(people.get(each, each) for each in value) if several else value, people)


def _days(calendar: Calendar, at: datetime) -> Iterator[Line]:
    today = at.astimezone(ZoneInfo(calendar.timezone)).date()
    for ahead in range(DAYS_AHEAD):
        yield _line(calendar, clock.day(calendar, today + ahead * clock.DAY))


def _line(calendar: Calendar, on: clock.Day, counted: str = "") -> Line:
    local = ZoneInfo(calendar.timezone)
    spans = (f"{opens.astimezone(local):%H:%M}–{_end(closes.astimezone(local))}" for opens, closes in on.openings)
    return Line(on, ", ".join(spans), counted)


def _end(closes: datetime) -> str:
    return "24:00" if (closes.hour, closes.minute) == (0, 0) else f"{closes:%H:%M}"


def _examples(laid_down: policy.Policy, given: Sla, example: str, at: datetime) -> Trial:
    calendar = None if given.clock == "calendar" else laid_down.calendar(given.calendar)
    local = laid_down.zone_of(calendar)
    try:
        start = datetime.fromisoformat(example).replace(tzinfo=local).astimezone(at.tzinfo)
    except ValueError:
        start = at.replace(second=0, microsecond=0)
    targets = ((name, getattr(given, name)) for name in (sla.FIRST, sla.NEXT, sla.RESOLUTION))
    found = [_example(given, calendar, name, amount, start, local) for name, amount in targets if amount]
    return Trial(
        examples=found,
        at=start.astimezone(local),
        start=_told(start, local),
        zone=local.key,
        calendar=calendar.name if calendar else None,
    )


def _told(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{day(local.date())} {local:%H:%M}"


def _example(
    given: Sla, calendar: Calendar | None, name: str, amount: OpeningTime, start: datetime, local: ZoneInfo
) -> Example:
    due = clock.add(calendar, start, amount)
    warning = sla.warn_at(given, calendar, sla.Target(name, amount, start, due))
    lines = list(_lines(calendar, start, amount, due)) if calendar else []
    shown = lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], lines[-1]]
    return Example(
        name,
        opening_text(amount),
        _told(due, local),
        _told(warning, local) if warning else None,
        shown,
        len(lines) - len(shown),
    )


def _lines(calendar: Calendar, start: datetime, amount: OpeningTime, due: datetime) -> Iterator[Line]:
    """Day by day: first the opening days are counted, then the opening hours, as ``clock.add`` does."""
    from_hours = clock.add(calendar, start, OpeningTime(amount.days, timedelta()))
    if amount.days:
        first = clock.next_opening(calendar, start)
        passed = 0
        for step in clock.steps(calendar, start, from_hours):
            later = bool(step.day.openings) and step.day.openings[0][0] > first
            passed += later
            yield _line(calendar, step.day, _("day %(n)s of %(of)s", n=passed, of=amount.days) if later else "")
    if amount.time:
        for step in clock.steps(calendar, from_hours, due):
            yield _line(calendar, step.day, duration_text(step.counted) if step.counted else "")
