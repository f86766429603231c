"""What is measured of a case, and counted: pure, from what happened to it to samples. ``docs/figures.md`` publishes it.

Each sample lies between two instants, or at one. Turning that into seconds of the calendar and of opening hours, and
into a day of the organisation's zone, is ``triage.samples``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, cast

from models import CaseStatus, PromiseState
from triage.states import TRANSITIONS, Action

VERSION = "1"  # of the definitions; a figure names it


class Measure(StrEnum):
    """The value is what a sample records."""

    received = "received"  # a case, when we first saw it
    mention = "mention"  # something said that concerns us, when we saw it; ``n`` of them in that hour
    first_response = "first_response"  # from publication to the first public answer
    first_response_seen = "first_response_seen"  # the same from when we saw it
    next_response = "next_response"  # from the first thing said that was unanswered to the answer: one a turn
    answer = "answer"  # a public answer; ``how`` it was given
    assigned = "assigned"  # from when we saw it until somebody had it
    first_resolution = "first_resolution"  # from publication to the first close
    resolution = "resolution"  # to the last close, if it is closed now; ``how`` many answers it took
    active = "active"  # the part of that time in which it was our turn
    closing = "closing"  # each close; ``how`` it ended
    ignored = "ignored"  # instead of all response times
    promise = "promise"  # from the day it was made to the day it was for; ``how`` it was kept


class How(StrEnum):
    """What else is counted of an answer, a resolution, a closing or a promise."""

    gensvar = "gensvar"  # written here
    shared = "shared"  # as part of one answer for all
    network = "network"  # in the network's own app, collected
    elsewhere = "elsewhere"  # a person says: I answered there
    zero_touch = "zero_touch"  # closed without a public answer
    one_touch = "one_touch"  # with exactly one, and not opened again
    reopened = "reopened"  # within ``REOPENED_WITHIN``
    touchless = "touchless"  # opened again by a citizen and closed without an answer within ``THANKS_WITHIN``
    kept = "kept"
    kept_late = "kept_late"
    dropped = "dropped"
    open = "open"


REOPENED_WITHIN = timedelta(days=14)
THANKS_WITHIN = timedelta(hours=24)
DONE = (CaseStatus.resolved, CaseStatus.closed)
FAILS = (Action.reply_failed, "reply_in_doubt")
BY_ITSELF = (*FAILS, Action.follow_up_due)  # nobody has opened it again: neither a citizen nor one of us
OUR_TURN = (CaseStatus.new, CaseStatus.open)

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True)
class Said:
    """Something that concerns us: neither ours nor context, repost or history."""

    at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Answer:
    """A public answer that is out. ``at``: as the network confirms it; ``user_id``: who sent it, where known."""

    at: datetime
    user_id: int | None
    how: How
    reply_id: int | None = None  # which the events of its case know it by


@dataclass(frozen=True)
class Step:
    """An event, as far as anything is measured by it."""

    id: int
    at: datetime
    action: str
    actor: str
    before: str | None
    after: str | None
    reply_id: int | None = None
    undoes_id: int | None = None
    assigns: bool = False  # it says who has the case
    assignee: str | None = None  # whom it was given to
    until: datetime | None = None  # it was put away until then

    @classmethod
    def of(cls, event: Any) -> Step:
        """From a ``CaseEvent``, or a row with its columns."""
        changes: Mapping[str, Sequence[Any]] = event.changes
        until = changes.get("follow_up_at", (None, None))[1] if event.action == "snooze" else None
        return cls(
            event.id,
            event.at,
            event.action,
            event.actor,
            event.from_status,
            event.to_status,
            event.reply_id,
            event.undoes_id,
            "assignee" in changes,
            changes.get("assignee", (None, None))[1],
            None if until is None else datetime.fromisoformat(until),
        )


@dataclass(frozen=True)
class Promised:
    made_at: datetime
    due_at: datetime
    settled_at: datetime | None
    state: str
    owner_id: int | None


@dataclass(frozen=True)
class Moved:
    """Given from one team to another, by their names of then."""

    at: datetime
    before: str | None
    after: str | None


@dataclass(frozen=True)
class History:
    """All that is known of a case. ``steps`` in order; ``people``: e-mail -> id of a user."""

    status: str
    seen_at: datetime
    merged: bool
    said: Sequence[Said]
    answers: Sequence[Answer]
    steps: Sequence[Step]
    promises: Sequence[Promised] = ()
    people: Mapping[str, int] | None = None
    moves: Sequence[Moved] = ()


@dataclass(frozen=True)
class Measured:
    """One sample. ``stretches``: the time that counts, where it is not all of it. ``user_id``: who is credited."""

    measure: Measure
    at: datetime
    started_at: datetime | None = None
    user_id: int | None = None
    how: How | None = None
    stretches: tuple[Stretch, ...] | None = None

    @property
    def counted(self) -> tuple[Stretch, ...]:
        if self.stretches is not None:
            return self.stretches
        return ((self.started_at, self.at),) if self.started_at is not None else ()


def outside_hours(seconds: int | None, business: int | None) -> bool:
    """Whether time passed, but none of it in opening hours: the mark of such a 0."""
    return bool(seconds) and business == 0


def measure(case: History) -> Iterator[Measured]:
    """Every sample of a case. A case that was merged into another has none: what was said in it is measured there."""
    if case.merged:
        return
    yield Measured(Measure.received, case.seen_at)
    for each in case.said:
        yield Measured(Measure.mention, each.seen_at)
    for answer in case.answers:
        yield Measured(Measure.answer, answer.at, user_id=answer.user_id, how=answer.how)
    for promise in case.promises:
        yield from _promise(promise)
    steps = lasting(case.steps)
    if case.status == CaseStatus.ignored:  # counted, so that lateness cannot hide there
        yield from _ignored(case, steps)
        return
    yield from _responses(case)
    yield from _assigned(case)
    yield from _closings(case, steps)


def waits(case: History) -> tuple[Said, datetime | None, bool, Answer | None] | None:
    """The turn that has no answer yet, or None."""
    return next((turn for turn in _turns(case) if turn[1] is None), None)


def _ignored(case: History, steps: Sequence[Step]) -> Iterator[Measured]:
    """Who put it there, and when: not what has been said in it since."""
    status: str | None = None
    put: Step | None = None
    for step in steps:
        if step.after == CaseStatus.ignored and status != CaseStatus.ignored:
            put = step
        status = step.after or status
    if put is not None:
        yield Measured(Measure.ignored, put.at, user_id=_person(case, put.actor))


# -- answers ---------------------------------------------------------------------------------------------------------


def _turns(case: History) -> Iterator[tuple[Said, datetime | None, bool, Answer | None]]:
    """(the first thing said that was unanswered, when it was answered, whether as the first, by which answer).

    Where we spoke first there is no first response, only next ones.
    """
    waiting: Said | None = None
    spoken = False
    items: list[Said | Answer] = [*case.said, *case.answers]  # sorting keeps that order at the same instant
    for item in sorted(items, key=lambda item: item.at):
        if isinstance(item, Said):
            waiting = waiting or item
            continue
        if waiting is not None:
            yield waiting, item.at, not spoken, item
        waiting, spoken = None, True
    if waiting is not None:
        yield waiting, None, not spoken, None


def _responses(case: History) -> Iterator[Measured]:
    for said, answered_at, first, answer in _turns(case):
        if answered_at is None or answer is None:
            continue
        by: dict[str, Any] = {"user_id": answer.user_id, "how": answer.how}
        if first:
            yield Measured(Measure.first_response, answered_at, said.at, **by)
            # collected after it was answered in the network's own app: nobody here has waited
            yield Measured(Measure.first_response_seen, answered_at, min(said.seen_at, answered_at), **by)
        else:
            yield Measured(Measure.next_response, answered_at, said.at, **by)


def _assigned(case: History) -> Iterator[Measured]:
    taken_back = {step.undoes_id for step in case.steps if step.assigns}
    given = next(
        (
            step
            for step in case.steps
            if step.assignee is not None and step.undoes_id is None and step.id not in taken_back
        ),
        None,
    )
    if given is not None and given.assignee is not None:
        started = min(case.seen_at, given.at)
        yield Measured(Measure.assigned, given.at, started, user_id=_person(case, given.assignee))


# -- being done ------------------------------------------------------------------------------------------------------


@dataclass
class _Closing:
    at: datetime
    actor: str
    opened_again: Step | None = None


def lasting(steps: Sequence[Step]) -> list[Step]:
    """Without what was taken back, and without what an answer did to the status that then did not go out.

    That it failed stays: what had been put away before it was written is open from then on. What was done meanwhile
    counts as what it would have done to the status as it was without.
    """
    snoozes = {step.id for step in steps if step.action == "snooze"}
    undoing = {step.id: step.undoes_id for step in steps if step.after is not None or step.undoes_id in snoozes}
    undone = {undoes for undoes in undoing.values() if undoes is not None}
    unsent = {step.reply_id for step in steps if step.action in (*FAILS, "reply_cancelled")} - {None}
    kept: list[Step] = []
    status: str | None = None
    for step in steps:
        by_unsent = step.after is not None and step.reply_id in unsent and step.action not in FAILS
        if by_unsent or step.id in undone or undoing.get(step.id) is not None:
            continue
        if step.after is not None:
            after = _would(status, step) if step.before == step.after else step.after
            step, status = replace(step, before=status, after=after), after
        kept.append(step)
    return kept


def _would(status: str | None, step: Step) -> str | None:
    """What an action that changed no status would have made of this one."""
    action = Action.author_wrote if step.action == "absorb" else step.action
    return TRANSITIONS.get((cast(CaseStatus, status), cast(Action, action)), cast(CaseStatus, step.after))


def _closings(case: History, steps: Sequence[Step]) -> Iterator[Measured]:
    begun = min((each.at for each in case.said), default=case.seen_at)
    closings: list[_Closing] = []
    done = False
    for step in steps:
        if step.after is None or step.action in (Action.merge, Action.imported):
            continue
        if step.after in DONE and not done:
            closings.append(_Closing(step.at, step.actor))
        elif done and step.after not in DONE and step.action not in BY_ITSELF:
            closings[-1].opened_again = step
        done = step.after in DONE
    if not closings:
        return
    for closing, following in pairwise((*closings, None)):
        assert closing is not None
        how = _ended(case, closing, following)
        yield Measured(Measure.closing, closing.at, user_id=_person(case, closing.actor), how=how)
    first, last = closings[0], closings[-1]
    yield Measured(Measure.first_resolution, first.at, min(begun, first.at), user_id=_person(case, first.actor))
    if case.status in DONE and done:
        by = _person(case, last.actor)
        started = min(begun, last.at)
        again = any(closing.opened_again is not None for closing in closings)
        yield Measured(Measure.resolution, last.at, started, user_id=by, how=_touches(len(case.answers), again))
        active = tuple(_our_turn(steps, started, last.at))
        yield Measured(Measure.active, last.at, started, user_id=by, stretches=active)


def _ended(case: History, closing: _Closing, following: _Closing | None) -> How | None:
    again = closing.opened_again
    if again is None or again.at - closing.at > REOPENED_WITHIN:
        return None
    thanked = again.action == Action.author_wrote
    if thanked and following is not None and following.at - again.at <= THANKS_WITHIN:
        return How.reopened if _answered(case, again.at, following.at) else How.touchless
    return How.reopened


def _answered(case: History, since: datetime, until: datetime) -> bool:
    """Was an answer decided on or out in that time? What closes a case by an answer is decided before that is out."""
    out = {answer.reply_id for answer in case.answers} - {None}
    decided = [step.at for step in case.steps if step.after is not None and step.reply_id in out]
    return any(since <= at <= until for at in (*decided, *(answer.at for answer in case.answers)))


def _touches(answers: int, again: bool) -> How | None:
    if answers == 0:
        return How.zero_touch
    return How.one_touch if answers == 1 and not again else None


def _our_turn(steps: Sequence[Step], start: datetime, end: datetime) -> Iterator[Stretch]:
    """From ``start`` to ``end`` without what ``rests`` says."""
    at = start
    for since, until in rests(steps):
        if since > at:
            yield at, min(since, end)
        at = max(at, end if until is None else until)
        if at >= end:
            return
    if at < end:
        yield at, end


BRINGS_BACK = ("snooze", Action.author_wrote, Action.follow_up_due)
FORGETS = (CaseStatus.closed, CaseStatus.ignored)  # they take away the day a case was put away until
RESTS_BY = (*BRINGS_BACK, "undo", "reply_cancelled")  # what ``rests`` reads besides whatever asks about the status


def rests(steps: Sequence[Step]) -> tuple[tuple[datetime, datetime | None], ...]:
    """While it waited for its author, was put away or done: spans in order that do not overlap.

    That it is done now is no rest yet: it becomes one when the case comes back.
    """
    status: str | None = None
    resting: datetime | None = None
    put_away: Stretch | None = None  # since, until
    spans: list[tuple[datetime, datetime | None]] = []
    for step in lasting(steps):
        if put_away is not None and (step.action in BRINGS_BACK or step.after in FORGETS):
            spans.append((put_away[0], min(put_away[1], step.at)))
            put_away = None
        if step.action == "snooze" and step.until is not None:
            put_away = (step.at, step.until)
        if step.after not in (None, status):
            status = step.after
            if resting is not None:
                spans.append((resting, step.at))
            resting = None if status in OUR_TURN else step.at
    if put_away is not None:
        spans.append(put_away)
    if resting is not None and status == CaseStatus.pending:
        spans.append((resting, None))
    return _merged(spans)


def _merged(spans: list[tuple[datetime, datetime | None]]) -> tuple[tuple[datetime, datetime | None], ...]:
    whole: list[tuple[datetime, datetime | None]] = []
    for since, until in sorted(spans, key=lambda span: span[0]):
        if whole and (last := whole[-1])[1] is None:
            break
        if whole and last[1] is not None and since <= last[1]:
            whole[-1] = (last[0], None if until is None else max(last[1], until))
        else:
            whole.append((since, until))
    return tuple(whole)


# -- promises --------------------------------------------------------------------------------------------------------


def _promise(promise: Promised) -> Iterator[Measured]:
    if promise.state == PromiseState.proposed:
        return
    how = How(promise.state)
    if how is How.kept and promise.settled_at is not None and promise.settled_at > promise.due_at:
        how = How.kept_late
    yield Measured(Measure.promise, promise.due_at, promise.made_at, user_id=promise.owner_id, how=how)


def _person(case: History, email: str) -> int | None:
    return (case.people or {}).get(email)
