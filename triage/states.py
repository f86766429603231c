"""The transition table of a case: pure, and the only place that says what may follow what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from errors import InvalidTransition
from models import CaseStatus

new, open_, pending, resolved, closed, ignored = CaseStatus
ALIVE = (new, open_, pending)  # it is not done with
OUR_TURN = (new, open_)  # nobody but us is waited for


class Action(StrEnum):
    """What can be done to a case that its status has a say in. The value is what the event records."""

    start = "start"
    take = "take"  # assign to a person
    reply_keep = "reply_keep"
    reply_wait = "reply_wait"
    reply_resolve = "reply_resolve"
    reply_failed = "reply_failed"
    author_wrote = "author_wrote"  # anybody but us wrote in its thread
    wait = "wait"
    resolve = "resolve"
    reopen = "reopen"
    close = "close"
    ignore = "ignore"
    merge = "merge"
    follow_up_due = "follow_up_due"
    imported = "imported"  # history, put away as it comes in


def _rows(to: CaseStatus | None, *froms: CaseStatus) -> dict[CaseStatus, CaseStatus]:
    return {status: status if to is None else to for status in froms}


_TABLE: dict[Action, dict[CaseStatus, CaseStatus]] = {
    Action.start: _rows(open_, new),
    Action.take: _rows(open_, new, open_) | _rows(None, pending, resolved),
    Action.reply_keep: _rows(open_, new, open_, pending, resolved),
    Action.reply_wait: _rows(pending, new, open_, pending, resolved),
    Action.reply_resolve: _rows(resolved, new, open_, pending, resolved),
    Action.reply_failed: _rows(open_, pending, resolved) | _rows(None, new, open_, closed, ignored),
    # closed is not here: who writes after that opens a new case, linked to the old (triage.intake)
    Action.author_wrote: _rows(None, new, open_, ignored) | _rows(open_, pending, resolved),
    Action.wait: _rows(pending, new, open_),
    Action.resolve: _rows(resolved, new, open_, pending),
    Action.reopen: _rows(open_, resolved, closed, ignored) | _rows(open_, pending),
    Action.close: _rows(closed, resolved),
    Action.ignore: _rows(ignored, new, open_, pending),
    Action.merge: _rows(closed, new, open_, pending, resolved, ignored),
    Action.follow_up_due: _rows(open_, new, open_, pending, resolved) | _rows(None, closed, ignored),
    Action.imported: _rows(closed, new),
}

TRANSITIONS: Mapping[tuple[CaseStatus, Action], CaseStatus] = MappingProxyType(
    {(before, action): after for action, rows in _TABLE.items() for before, after in rows.items()}
)

# Which action leads from one status to another when a person names only the target.
_NAMED: Mapping[tuple[CaseStatus, CaseStatus], Action] = MappingProxyType(
    {
        (new, open_): Action.start,
        (pending, open_): Action.reopen,
        (resolved, open_): Action.reopen,
        (closed, open_): Action.reopen,
        (ignored, open_): Action.reopen,
        (new, pending): Action.wait,
        (open_, pending): Action.wait,
        (new, resolved): Action.resolve,
        (open_, resolved): Action.resolve,
        (pending, resolved): Action.resolve,
        (resolved, closed): Action.close,
        (new, ignored): Action.ignore,
        (open_, ignored): Action.ignore,
        (pending, ignored): Action.ignore,
    }
)


def after(status: CaseStatus, action: Action) -> CaseStatus:
    """The status a case has after the action. Raises ``InvalidTransition`` where the table has no row."""
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise InvalidTransition(f"A case that is {status} cannot {_words(action)}.") from None


def action_to(status: CaseStatus, target: CaseStatus) -> Action:
    """The action that leads from ``status`` to ``target`` (which differs). Raises ``InvalidTransition``."""
    try:
        return _NAMED[status, target]
    except KeyError:
        raise InvalidTransition(f"A case that is {status} cannot become {target}.") from None


def targets(status: CaseStatus) -> list[CaseStatus]:
    """What a person may turn a case of this status into, in the order of the life of a case."""
    return [target for target in CaseStatus if (status, target) in _NAMED]


def _words(action: Action) -> str:
    return "be changed that way: " + action.value.replace("_", " ")


def replay(steps: Iterable[tuple[str | None, str | None]]) -> CaseStatus | None:
    """The status that the (from, to) pairs of a case's events lead to; None before the first.

    Raises ``ValueError`` where an event does not begin where the one before it ended: then the history is not whole.
    """
    status: str | None = None
    for before, then in steps:
        if then is None:
            continue  # the status was not asked about
        if before != status:
            raise ValueError(f"an event begins at {before}, but the case was {status}")
        status = then
    return None if status is None else CaseStatus(status)
