"""Targets of stored cases: computed when something has happened to a case, looked at when they fall due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from database import Database
from models import Case, CaseEvent, Mention, MentionSource, Source
from settings import Calendar, Sla
from triage import cases, measures, policy, sla
from triage.states import Action

ACTOR = "sla"
WARNING, BREACHED = "sla_warning", "sla_breached"
AT_ONCE = 200
LEAVE_IT = frozenset({Action.take, "unassign", "join_story", "note", "propose_reply", "want_review", WARNING, BREACHED})


def facts(db: Session, case: Case) -> sla.Facts:
    """What a case's targets depend on, as it is stored now."""
    found_by = (
        select(Source.name)
        .join(MentionSource, MentionSource.source_id == Source.id)
        .join(Mention, Mention.id == MentionSource.mention_id)
        .where(Mention.case_id == case.id)
    )
    return sla.Facts(
        channel=case.channel,
        sources=frozenset(db.scalars(found_by)),
        status=case.status,
        kind=case.kind,
        priority=case.priority,
        team=case.team.name if case.team else None,
        language=case.language,
        tags=frozenset(tag.tag for tag in case.tags),
        opened_at=case.opened_at,
        waiting_since=case.waiting_since,
        first_response_at=case.first_response_at,
        resolved_at=case.resolved_at,
        pauses=pauses(db, case.id),
        imported=case.imported,
    )


def pauses(db: Session, case_id: int) -> tuple[tuple[datetime, datetime | None], ...]:
    """While it waited for its author, was put away or done, from the events: spans in order that do not overlap."""
    events = select(CaseEvent).where(
        CaseEvent.case_id == case_id, or_(CaseEvent.to_status.is_not(None), CaseEvent.action.in_(measures.RESTS_BY))
    )  # not each time it was passed on
    return measures.rests([measures.Step.of(event) for event in db.scalars(events.order_by(CaseEvent.version))])


@dataclass(frozen=True)
class Computed:
    """The policy in force for a case (``id``: of its definition), its calendar, and the case's targets."""

    id: int
    given: Sla
    calendar: Calendar | None
    targets: list[sla.Target]


def compute(db: Session, case: Case) -> Computed | None:
    """None where no policy fits."""
    laid_down = policy.read(db)
    known = facts(db, case)
    chosen = sla.choose(laid_down.sla, known)
    if chosen is None:
        return None
    id, given = chosen
    calendar = laid_down.calendar(given.calendar, case.team.calendar if case.team else None)
    return Computed(id, given, calendar, sla.targets(given, calendar, known))


def follow(db: Session, event: CaseEvent) -> None:
    """Something has happened to a case: its targets anew, unless it is nothing that they depend on."""
    if event.action not in LEAVE_IT:
        refresh(db, event.case_id)


def refresh(db: Session, case_id: int) -> None:
    """Compute a case's targets anew and keep them on it."""
    case = cases.get(db, case_id)
    computed = compute(db, case)
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    if computed is not None:
        due = {f"{target.name}_due_at": target.due_at for target in computed.targets}
        alerts = _alerts(db, case_id, computed)
        values |= {"sla_id": computed.id, **due, "next_alert_at": alerts[0][0] if alerts else None}
        if (first := sla.nearest(computed.targets)) is not None:
            values |= {"next_breach_at": first.due_at, "breach_kind": first.name}
    if any(getattr(case, column) != value for column, value in values.items()):
        cases.set_targets(db, case_id, values)


COLUMNS = (
    "sla_id",
    "first_response_due_at",
    "next_response_due_at",
    "resolution_due_at",
    "next_breach_at",
    "breach_kind",
    "next_alert_at",
)


def _alerts(db: Session, case_id: int, computed: Computed) -> list[tuple[datetime, str, sla.Target]]:
    """What is still to be said about the targets, and when: each warning and each breach once per due time.

    A target that was missed is not missed again because it turns out that it was due even earlier.
    """
    events = select(CaseEvent.action, CaseEvent.changes, CaseEvent.at).where(
        CaseEvent.case_id == case_id, CaseEvent.action.in_((WARNING, BREACHED))
    )
    rows = db.execute(events.order_by(CaseEvent.version))
    said = [(action, changes["target"][1], changes["due_at"][1], at) for action, changes, at in rows]
    warned = {(target, due) for action, target, due, _ in said if action == WARNING}
    missed = {target: at for action, target, _, at in said if action == BREACHED}
    wanted: list[tuple[datetime, str, sla.Target]] = []
    for target in computed.targets:
        if not target.is_due or target.due_at is None:
            continue
        breached = target.name in missed and target.due_at <= missed[target.name]
        early = sla.warn_at(computed.given, computed.calendar, target)
        if early is not None and not breached and (target.name, cases.stamp(target.due_at)) not in warned:
            wanted.append((early, WARNING, target))
        if not breached:
            wanted.append((target.due_at, BREACHED, target))
    return sorted(wanted, key=lambda alert: alert[0])


def tick(database: Database, at: datetime) -> int:
    """Warn of what is about to be late, and say what is. Returns how many cases were looked at."""
    due = select(Case.id).where(Case.next_alert_at <= at).order_by(Case.next_alert_at).limit(AT_ONCE)
    done = 0
    while True:
        with database.read() as db:
            numbers = list(db.scalars(due))
        for number in numbers:
            with database.transaction() as db:
                _look_at(db, number, at)
        done += len(numbers)
        if len(numbers) < AT_ONCE:
            return done


def _look_at(db: Session, case_id: int, at: datetime) -> None:
    case = cases.get(db, case_id)
    computed = compute(db, case)
    if computed is not None:
        now = [alert for alert in _alerts(db, case_id, computed) if alert[0] <= at]
        late = {target.name for _, action, target in now if action == BREACHED}
        for _, action, target in now:
            if action == WARNING and target.name in late:
                continue  # nobody was there to warn: what is late is said, not that it will be
            assert target.due_at is not None
            policy_name = computed.given.name
            cases.alert(
                db, case_id, action, target=target.name, due_at=target.due_at, sla=policy_name, actor=ACTOR, at=at
            )
    refresh(db, case_id)
