"""Targets: which policy holds for a case, when each of its targets is due, and what of it to say when.

Pure: facts of a case in, targets out. The response clocks never stop before the answer; that of the resolution stands
still while we wait for the author, have put the case away, or hold it to be done. Who is assigned changes nothing:
every clock starts where the matter did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from settings import Calendar, Conditions, OpeningTime, Sla
from triage import clock
from triage.states import ALIVE

FIRST, NEXT, RESOLUTION = "first_response", "next_response", "resolution"


@dataclass(frozen=True)
class Facts:
    """What targets depend on. ``pauses``: (from, to) while it was pending, put away or done; to None: it still is."""

    channel: str
    sources: frozenset[str]
    status: str
    kind: str | None
    priority: str | None
    team: str | None
    language: str | None
    tags: frozenset[str]
    opened_at: datetime
    waiting_since: datetime | None
    first_response_at: datetime | None
    resolved_at: datetime | None
    pauses: tuple[tuple[datetime, datetime | None], ...] = ()
    imported: bool = False


@dataclass(frozen=True)
class Target:
    """``due_at`` None: its clock stands still. ``met_at``: when it was reached, in time or not."""

    name: str
    amount: OpeningTime
    started_at: datetime
    due_at: datetime | None
    met_at: datetime | None = None
    lapsed: bool = False  # the case was put away without it: nothing is due any more
    paused: timedelta = timedelta()  # the opening time its clock stood still

    @property
    def is_due(self) -> bool:
        return self.due_at is not None and self.met_at is None and not self.lapsed


class Sorted(Protocol):
    """What policies and rules both ask of a case."""

    @property
    def channel(self) -> str: ...
    @property
    def sources(self) -> frozenset[str]: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def priority(self) -> str | None: ...
    @property
    def team(self) -> str | None: ...
    @property
    def language(self) -> str | None: ...
    @property
    def tags(self) -> frozenset[str]: ...


def fits(when: Conditions, case: Sorted) -> bool:
    """Does the case meet every condition that is given?"""
    return all(
        not wanted or bool(has & set(wanted))
        for wanted, has in (
            (when.channel, {case.channel}),
            (when.source, set(case.sources)),
            (when.kind, {case.kind}),
            (when.priority, {case.priority}),
            (when.team, {case.team}),
            (when.tag, set(case.tags)),
            (when.language, {case.language}),
        )
    )


def choose(policies: Sequence[tuple[int, Sla]], case: Facts) -> tuple[int, Sla] | None:
    """The first policy that fits, with the id of its definition."""
    if case.imported:
        return None  # history starts no clocks
    return next(((id, sla) for id, sla in policies if fits(sla.when, case)), None)


def targets(sla: Sla, calendar: Calendar | None, case: Facts) -> list[Target]:
    """Every target of the policy that this case has had or has. ``calendar``: of the policy, or of the team."""
    hours = None if sla.clock == "calendar" else calendar
    alive = case.status in ALIVE
    found: list[Target] = []
    if sla.first_response:
        due = clock.add(hours, case.opened_at, sla.first_response)
        met = case.first_response_at
        found.append(Target(FIRST, sla.first_response, case.opened_at, due, met, lapsed=met is None and not alive))
    if sla.next_response and case.waiting_since is not None and case.first_response_at is not None:
        due = clock.add(hours, case.waiting_since, sla.next_response)
        found.append(Target(NEXT, sla.next_response, case.waiting_since, due, lapsed=not alive))
    if sla.resolution:
        found.append(_resolution(sla.resolution, hours, case, alive))
    return found


def _resolution(amount: OpeningTime, hours: Calendar | None, case: Facts, alive: bool) -> Target:
    due, stood_still = resolution_due(amount, hours, case.opened_at, case.pauses)
    lapsed = due is not None and case.resolved_at is None and not alive
    return Target(RESOLUTION, amount, case.opened_at, due, case.resolved_at, lapsed, stood_still)


def resolution_due(
    amount: OpeningTime,
    hours: Calendar | None,
    opened_at: datetime,
    pauses: Sequence[tuple[datetime, datetime | None]],
) -> tuple[datetime | None, timedelta]:
    """When a case has to be done, None while its clock stands still; and the opening time it has stood still."""
    due = clock.add(hours, opened_at, amount)
    stood_still = timedelta()
    for since, until in pauses:
        since = max(since, opened_at)
        if since >= due:
            break
        if until is None:
            return None, stood_still
        pause = clock.between(hours, since, until)
        stood_still += pause
        due = clock.add(hours, due, OpeningTime(0, pause))
    return due, stood_still


def nearest(found: Sequence[Target]) -> Target | None:
    """The target that is due first, past or to come."""
    due = [(target.due_at, target) for target in found if target.is_due and target.due_at is not None]
    return min(due, key=lambda pair: pair[0])[1] if due else None


def warn_at(sla: Sla, calendar: Calendar | None, target: Target) -> datetime | None:
    """When to warn of a target: ``warn_before`` of the policy's own time ahead, not before the clock started."""
    if sla.warn_before is None or target.due_at is None:
        return None
    hours = None if sla.clock == "calendar" else calendar
    return clock.subtract(hours, target.due_at, sla.warn_before, since=target.started_at)
