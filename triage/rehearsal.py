"""A rule rehearsed: what would have been different, had it been in force. Nothing is written.

What happened is taken from the events, and each case is put back to what it was then by undoing what came later. As
they are now: followers, stories, sources, and how opening hours are laid down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from models import CONCERNS_US, Case, CaseEvent, Mention, Reply, ReplyStatus
from settings import RuleSettings
from triage import dispatch, policy, rulebook, rules
from triage.rules import Fired, Known, Situation, Trigger
from triage.states import ALIVE, Action

LOOKED_AT = 20_000  # events, and cases for rules on time
SHOWN = 100
TIME: frozenset[Trigger] = frozenset({"time"})
_UNDONE = {  # what an event's changes call it -> what a situation does
    "kind": "kind",
    "priority": "priority",
    "tags": "tags",
    "sentiment": "sentiment",
    "language": "language",
    "wants_answer": "wants_answer",
    "urgency": "urgency",
    "noise": "noise",
    "category": "category",
    "team": "team",
    "assignee": "assignee",
    "review_wanted": "review",
    "canned_reply": "draft",
}
Wait = tuple[datetime, datetime | None]  # from the first thing said until it was answered, if it was
T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """In a case, at an instant: field -> (without the rule or its edit, with it). ``notify`` and ``webhook`` are fields
    here; ``refused``: effect -> why it would not have been allowed."""

    case_id: int
    subject: str
    at: datetime
    changes: Mapping[str, tuple[Any, Any]]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Rehearsal:
    """The latest differences. ``whole``: there are no others; False: either limit was reached, and there may be."""

    found: list[Difference]
    looked_at: int  # events, and cases for rules on time
    whole: bool


def rehearsal(
    db: Session,
    rule: RuleSettings,
    *,
    instead_of: str | None = None,
    since: datetime,
    until: datetime,
    shown: int = SHOWN,
    looked_at: int = LOOKED_AT,
) -> Rehearsal:
    """As ``rehearse``, for a screen: at most ``shown`` differences among at most ``looked_at`` events."""
    found: list[Difference] = []
    count = 0
    for difference in _looks(db, rule, instead_of, since, until):
        if count == looked_at or (difference is not None and len(found) == shown):
            return Rehearsal(found, count, whole=False)
        count += 1
        if difference is not None:
            found.append(difference)
    return Rehearsal(found, count, whole=True)


def rehearse(
    db: Session, rule: RuleSettings, *, instead_of: str | None = None, since: datetime, until: datetime
) -> Iterator[Difference]:
    """What would have been different with the rule, as if it were switched on; latest first, what time brings last.

    ``instead_of``: the rule in force that this is an edit of, whose effects count as there already; None: a new one,
    tried after all others.
    """
    return (found for found in _looks(db, rule, instead_of, since, until) if found is not None)


@dataclass(frozen=True)
class _Stage:
    """``before``: the rules tried before it; ``old``: what it replaces."""

    before: tuple[RuleSettings, ...]
    old: RuleSettings | None
    new: RuleSettings
    known: Known
    since: datetime
    until: datetime

    @property
    def versions(self) -> list[RuleSettings]:
        return [rule for rule in (self.old, self.new) if rule is not None]

    def ask_how_long(self) -> bool:
        return any(rule.conditions.unanswered_for is not None for rule in (*self.before, *self.versions))

    def compare(self, case: Case, happened: frozenset[Trigger], now: Situation) -> Difference | None:
        for fired in rules.decide(rules.wanted(self.before, happened), now, self.known):
            now = fired.left
        return _difference(case, now.at, self._fired(self.old, happened, now), self._fired(self.new, happened, now))

    def _fired(self, rule: RuleSettings | None, happened: frozenset[Trigger], now: Situation) -> Fired | None:
        listening = rules.wanted([rule] if rule else [], happened)
        return next(rules.decide(listening, now, self.known), None)


def _looks(
    db: Session, rule: RuleSettings, instead_of: str | None, since: datetime, until: datetime
) -> Iterator[Difference | None]:
    """Everything that the rule, or the one it replaces, looks at; with the difference it makes."""
    in_force = policy.read(db).rules
    place = next((at for at, each in enumerate(in_force) if each.name == instead_of), None)
    old = in_force[place] if place is not None and in_force[place].enabled else None
    before = in_force if place is None else in_force[:place]
    new = rule.model_copy(update={"enabled": True})
    known = rulebook.known(db, [*before, *([old] if old else []), new])
    stage = _Stage(before, old, new, known, since, until)
    listens = {trigger for each in stage.versions for trigger in each.when}
    if listens - TIME:
        yield from _at_events(db, stage, listens)
    if listens & TIME:
        yield from _in_time(db, stage)


# -- what happened -----------------------------------------------------------------------------------------------------


def _at_events(db: Session, stage: _Stage, listens: Iterable[Trigger]) -> Iterator[Difference | None]:
    moved = and_(CaseEvent.from_status.is_not(None), CaseEvent.from_status != CaseEvent.to_status)
    said = CaseEvent.action.in_(("opened", Action.author_wrote))
    interesting = [*([moved] if "status" in listens else []), *([said] if {"mention", "answer"} & {*listens} else [])]
    events = (
        select(CaseEvent)
        .join(Case, Case.id == CaseEvent.case_id)
        .where(CaseEvent.at >= stage.since, CaseEvent.at < stage.until, or_(*interesting), ~Case.imported)
        .where(~CaseEvent.actor.startswith(rulebook.BY_RULE))
    )
    last: int | None = None
    while True:
        older = events if last is None else events.where(CaseEvent.id < last)
        page = list(db.scalars(older.order_by(CaseEvent.id.desc()).limit(rulebook.AT_ONCE)))
        yield from _compare_events(db, stage, page)
        if len(page) < rulebook.AT_ONCE:
            return
        last = page[-1].id


def _compare_events(db: Session, stage: _Stage, page: Sequence[CaseEvent]) -> Iterator[Difference | None]:
    past = _Past(db, {event.case_id for event in page}, stage.until, waits=stage.ask_how_long())
    ids = [event.mention_id for event in page if event.mention_id is not None]
    wanted = select(Mention).where(Mention.id.in_(ids)).options(joinedload(Mention.author))
    mentions = {mention.id: mention for mention in db.scalars(wanted)}
    for event in page:
        case = past.cases[event.case_id]
        mention = mentions.get(event.mention_id or 0)
        by_author = mention is not None and rulebook.is_by_author(mention, case)
        happened = rules.triggers(event.action, event.from_status, event.to_status, by_author=by_author)
        now = past.situation(case, event.at, lambda later, event=event: later.version > event.version)  # type: ignore[misc]
        if mention is not None:
            now = rulebook.came_in(now, mention, joined=not by_author and event.action != "opened")
        yield stage.compare(case, happened, now)


# -- time that passed --------------------------------------------------------------------------------------------------


def _in_time(db: Session, stage: _Stage) -> Iterator[Difference | None]:
    spans = [rule.conditions.unanswered_for for rule in stage.versions if rule.conditions.unanswered_for is not None]
    active = select(Case.id).where(Case.last_activity_at >= stage.since - max(spans), ~Case.imported)
    last: int | None = None
    while True:
        older = active if last is None else active.where(Case.id < last)
        numbers = list(db.scalars(older.order_by(Case.id.desc()).limit(rulebook.AT_ONCE)))
        past = _Past(db, set(numbers), stage.until, waits=True)
        for number in numbers:
            yield from _compare_waits(stage, past, past.cases[number])
        if len(numbers) < rulebook.AT_ONCE:
            return
        last = numbers[-1]


def _compare_waits(stage: _Stage, past: _Past, case: Case) -> Iterator[Difference | None]:
    for wait in reversed(past.waits[case.id]):
        moments = {}
        for name, rule in (("old", stage.old), ("new", stage.new)):
            at = _act_at(rule, wait, stage)
            if rule is not None and at is not None:
                now = past.situation(case, at, lambda later, at=at: later.at > at)  # type: ignore[misc]
                if now.status in (rule.conditions.status or ALIVE):
                    moments[name] = (at, next(rules.decide([rule], now, stage.known), None))
        if moments:
            at = max(at for at, _ in moments.values())
            old, new = (moments[name][1] if name in moments else None for name in ("old", "new"))
            yield _difference(case, at, old, new)
    if not past.waits[case.id]:
        yield None


def _act_at(rule: RuleSettings | None, wait: Wait, stage: _Stage) -> datetime | None:
    """When a rule on time would have looked at a case that waited."""
    if rule is None or "time" not in rule.when or rule.conditions.unanswered_for is None:
        return None
    at = wait[0] + rule.conditions.unanswered_for
    return at if stage.since <= at < stage.until and (wait[1] is None or at < wait[1]) else None


# -- how it was --------------------------------------------------------------------------------------------------------


class _Past:
    """Some cases with their events, latest first, and with ``waits`` the spans in which they waited for an answer."""

    def __init__(self, db: Session, numbers: set[int], until: datetime, *, waits: bool) -> None:
        related = (joinedload(Case.author), joinedload(Case.team), joinedload(Case.assignee), selectinload(Case.tags))
        listed = list(db.scalars(select(Case).where(Case.id.in_(numbers)).options(*related)))
        self.cases = {case.id: case for case in listed}
        self.now = rulebook.situations(db, listed, until)
        events = select(CaseEvent).where(CaseEvent.case_id.in_(numbers)).order_by(CaseEvent.version.desc())
        self.events = _grouped(((event.case_id, event) for event in db.scalars(events)), numbers)
        self.waits = _waits(db, numbers) if waits else {}

    def situation(self, case: Case, at: datetime, later: Callable[[CaseEvent], bool]) -> Situation:
        """The case as it was at an instant, before what is ``later``."""
        now = self.now[case.id]
        values: dict[str, Any] = {"messages": now.messages, "spread": now.spread}
        for event in self.events[case.id]:
            if not later(event):
                break
            if event.actor == dispatch.ACTOR and event.action != Action.take:
                continue  # sorted in before the rules were asked
            for name, change in event.changes.items():
                if name in _UNDONE:
                    values[_UNDONE[name]] = change[0]
            if event.from_status is not None:
                values["status"] = event.from_status
            values["messages"] -= event.action == Action.author_wrote
            values["spread"] -= event.action == "repost"
        if "tags" in values:
            values["tags"] = frozenset(values["tags"] or ())
        answered = case.first_response_at is not None and case.first_response_at <= at
        waiting = next(
            (start for start, end in self.waits.get(case.id, ()) if start <= at and (end is None or end > at)), None
        )
        return replace(now, at=at, answered=answered, waiting_since=waiting, **values)


def _waits(db: Session, numbers: set[int]) -> dict[int, list[Wait]]:
    sent = (Reply.status == ReplyStatus.sent, ~Reply.private)
    asked = db.execute(select(Mention.case_id, Mention.published_at).where(Mention.case_id.in_(numbers), CONCERNS_US))
    answered = db.execute(select(Reply.case_id, Reply.sent_at).where(Reply.case_id.in_(numbers), *sent))
    rows = [(number or 0, (at, False)) for number, at in asked]
    rows += [(number, (at, True)) for number, at in answered if at is not None]
    return {number: waits(sorted(each)) for number, each in _grouped(rows, numbers).items()}


def waits(said: Iterable[tuple[datetime, bool]]) -> list[Wait]:
    """The spans in which somebody waited, from (when, was it an answer of ours) in order."""
    found: list[Wait] = []
    start: datetime | None = None
    for at, answer in said:
        if not answer:
            start = start or at
        elif start is not None:
            found.append((start, at))
            start = None
    return [*found, (start, None)] if start is not None else found


def _grouped(rows: Iterable[tuple[int, T]], numbers: Iterable[int]) -> dict[int, list[T]]:
    groups: dict[int, list[T]] = {number: [] for number in numbers}
    for number, row in rows:
        groups[number].append(row)
    return groups


# -- what differs ------------------------------------------------------------------------------------------------------


def _difference(case: Case, at: datetime, old: Fired | None, new: Fired | None) -> Difference | None:
    """What the new one does and the old did not, and the other way round."""
    without, with_it = (fired.changes if fired else {} for fired in (old, new))
    changes = {}
    for name in {**with_it, **without}:
        start = (with_it.get(name) or without[name])[0]
        pair = (without.get(name, (start, start))[1], with_it.get(name, (start, start))[1])
        if pair[0] != pair[1]:
            changes[name] = pair
    refused = dict(new.refused) if new else {}
    if old is not None and dict(old.refused) == refused:
        refused = {}
    return Difference(case.id, case.subject, at, changes, refused) if changes or refused else None
