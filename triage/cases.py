"""The only door to a case: one function per action.

Each locks the case, asks the pure table in ``triage.states`` (else ``InvalidTransition``), updates ``WHERE status =
expected`` (0 rows: ``StaleCase``), and appends exactly one event with its pending reaction. None of them commits,
sends, or reads a clock: the caller owns the transaction, says who acts (``actor``: an e-mail address, or the name of
the part of the house) and when (``at``, UTC).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from database import lock, storable
from errors import InvalidInput, InvalidTransition, NotFoundError, StaleCase
from models import (
    Case,
    CaseEvent,
    CaseLink,
    CaseStatus,
    CaseTag,
    Draft,
    Follow,
    Mention,
    Note,
    PendingReaction,
    Picture,
    Priority,
    Promise,
    PromiseState,
    Reply,
    ReplyOrigin,
    ReplyStatus,
    Role,
    Team,
    Then,
    Urgency,
    User,
)
from triage import drafts
from triage.states import TRANSITIONS, Action, action_to, after

SUBJECT_LENGTH = 80
UNDO = "undo"
RISING = list(Priority)
URGENT = {  # what a case's priority becomes when one of its mentions is urgent
    Urgency.danger: Priority.urgent,
    Urgency.leak: Priority.urgent,
    Urgency.outage: Priority.high,
    Urgency.deadline: Priority.high,
}
# What an answer must not overlook: only these make a reply written against an older version stale (DESIGN 5.4).
SAID = (
    "opened",
    Action.author_wrote,
    "reply_seen",
    "note",
    "answered_elsewhere",
    "absorb",
    "reply_proposed",
    "reply_returned",
    Action.reply_keep,
    Action.reply_wait,
    Action.reply_resolve,
)


# -- looking ---------------------------------------------------------------------------------------------------------


def get(db: Session, case_id: int) -> Case:
    """The case, locked until the transaction ends. Raises ``NotFoundError``."""
    case = db.get(Case, case_id, with_for_update=True, populate_existing=True)
    if case is None:
        raise NotFoundError(f"There is no case number {case_id}.")
    return case


def hold(db: Session, numbers: Collection[int]) -> None:
    """Lock many cases, in the order in which all lock: intake holds many too, so whoever wants several waits for it."""
    for channel in sorted(db.scalars(select(Case.channel).where(Case.id.in_(numbers)).distinct())):
        lock(db, f"intake:{channel}")
    for number in sorted(numbers):
        get(db, number)


def check_version(db: Session, case_id: int, version: int) -> None:
    """Raises ``StaleCase`` when anything has changed since ``version``."""
    if get(db, case_id).version != version:
        raise StaleCase(f"Case {case_id} has changed since it was read. Nothing was written: look at it again.")


def check_nothing_said_since(db: Session, case_id: int, version: int) -> None:
    """Raises ``StaleCase`` when a mention, a reply or a note has come since ``version``; other changes do not count."""
    said = select(CaseEvent.id).where(
        CaseEvent.case_id == case_id, CaseEvent.version > version, CaseEvent.action.in_(SAID)
    )
    if db.scalar(said.limit(1)) is not None:
        raise StaleCase(
            f"Somebody has written in case {case_id} since it was read. Nothing was sent: read, then send again."
        )


# -- the one way to write --------------------------------------------------------------------------------------------


def _write(
    db: Session,
    case: Case,
    action: str,
    *,
    actor: str,
    at: datetime,
    to: CaseStatus | None = None,
    values: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    mention_id: int | None = None,
    reply_id: int | None = None,
    note_id: int | None = None,
    undoes: CaseEvent | None = None,
) -> CaseEvent:
    """Change the row if it still is as we read it, and append the event. ``to``: the status was asked about."""
    # Whoever waited for the lock may have read the clock before what it waited for: events keep the order of time.
    last = (CaseEvent.case_id == case.id, CaseEvent.version == case.version)
    at = max(at, db.scalar(select(CaseEvent.at).where(*last)) or at)
    values = dict(values or {})
    before = CaseStatus(case.status)
    if to is not None and to != before:
        values = _status_columns(to, at) | values
        if to is not CaseStatus.open:
            values.setdefault("flag", _doubt(db, case))  # somebody has dealt with the rest
    changes = _lost(case, values) | (changes or {})
    done = db.execute(
        update(Case)
        .where(Case.id == case.id, Case.status == before, Case.version == case.version)
        .values(version=Case.version + 1, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if done.rowcount == 0:
        raise StaleCase(f"Case {case.id} was changed by somebody else at the same moment. Nothing was written.")
    db.refresh(case)
    event = CaseEvent(
        case_id=case.id,
        version=case.version,
        action=str(action),
        actor=actor,
        from_status=None if to is None else before,
        to_status=to,
        changes=changes,
        mention_id=mention_id,
        reply_id=reply_id,
        note_id=note_id,
        undoes_id=undoes.id if undoes else None,
        at=at,
    )
    db.add(event)
    db.flush()
    db.add(PendingReaction(event_id=event.id))
    return event


def _lost(case: Case, values: Mapping[str, Any]) -> dict[str, Any]:
    """What else an action did to the case, and nothing but its event would still know."""
    lost = {}
    for name in ("flag", "follow_up_at", "resolved_at", "closed_at"):
        old = getattr(case, name)
        if name in values and values[name] != old and (old is not None or name in ("flag", "follow_up_at")):
            lost[name] = [_told(old), _told(values[name])]
    return lost


def _told(value: Any) -> Any:
    return stamp(value) if isinstance(value, datetime) else value


def _status_columns(to: CaseStatus, at: datetime) -> dict[str, Any]:
    columns: dict[str, Any] = {"status": to, "closed_at": at if to is CaseStatus.closed else None}
    if to is CaseStatus.resolved:
        columns["resolved_at"] = at
    elif to is not CaseStatus.closed:
        columns["resolved_at"] = None
    if to in (CaseStatus.closed, CaseStatus.ignored):
        columns["follow_up_at"] = None
    return columns


def _act(db: Session, case_id: int, action: Action, *, actor: str, at: datetime, **more: Any) -> CaseEvent:
    case = get(db, case_id)
    return _write(db, case, action, actor=actor, at=at, to=after(CaseStatus(case.status), action), **more)


# -- what people do --------------------------------------------------------------------------------------------------


def change_status(db: Session, case_id: int, *, target: CaseStatus, actor: str, at: datetime) -> CaseEvent | None:
    """Start, wait, resolve, reopen, close or ignore, by naming the status wanted. The same status is no change."""
    case = get(db, case_id)
    status = CaseStatus(case.status)
    if status == target:
        return None
    action = action_to(status, target)
    if action is Action.reopen and case.merged_into_id is not None:
        raise InvalidTransition(f"Case {case_id} was merged into case {case.merged_into_id}; work goes on there.")
    return _act(db, case_id, action, actor=actor, at=at)


def assign(db: Session, case_id: int, *, assignee: User | None, actor: str, at: datetime) -> CaseEvent | None:
    """Give the case to a person (a new one is thereby open), or to nobody. The same person is no change."""
    case = get(db, case_id)
    new_id = assignee.id if assignee else None
    if case.assignee_id == new_id:
        return None
    if assignee is not None and assignee.disabled_at is not None:
        raise InvalidInput(f"{assignee.email} is disabled and cannot be given cases.", {"assignee": "disabled"})
    if assignee is not None and assignee.role == Role.reader:
        raise InvalidInput(f"{assignee.email} only reads and cannot be given cases.", {"assignee": "a reader"})
    changes = {"assignee": [case.assignee.email if case.assignee else None, assignee.email if assignee else None]}
    if assignee is None:
        return _write(db, case, "unassign", actor=actor, at=at, values={"assignee_id": None}, changes=changes)
    return _act(db, case_id, Action.take, actor=actor, at=at, values={"assignee_id": new_id}, changes=changes)


def assign_team(db: Session, case_id: int, *, team: Team | None, actor: str, at: datetime) -> CaseEvent | None:
    """Give the case to a team, or to none; the status is not asked about."""
    case = get(db, case_id)
    new_id = team.id if team else None
    if case.team_id == new_id:
        return None
    changes = {"team": [case.team.name if case.team else None, team.name if team else None]}
    return _write(db, case, "assign_team", actor=actor, at=at, values={"team_id": new_id}, changes=changes)


def classify(
    db: Session,
    case_id: int,
    *,
    actor: str,
    at: datetime,
    kind: str | None = None,
    priority: str | None = None,
    sentiment: str | None = None,
    language: str | None = None,
    wants_answer: bool | None = None,
    urgency: str | None = None,
    noise: str | None = None,
    category: str | None = None,
    tags: Sequence[str] | None = None,
) -> CaseEvent | None:
    """Set what is given. None: leave as it is; ``"none"``: there is no urgency, noise, category. ``tags``: all of them.

    What has been set here, no judge changes again.
    """
    case = get(db, case_id)
    given = {
        "kind": kind,
        "priority": priority,
        "sentiment": sentiment,
        "language": language,
        "wants_answer": wants_answer,
        "urgency": urgency,
        "noise": noise,
        "category": category,
    }
    settled = {field: None if value == "none" else value for field, value in given.items() if value is not None}
    values: dict[str, Any] = {field: value for field, value in settled.items() if getattr(case, field) != value}
    changes: dict[str, Any] = {field: [getattr(case, field), value] for field, value in values.items()}
    if tags is not None:
        changes |= _set_tags(db, case, _clean_tags(tags))
    if not changes:
        return None
    values["settled"] = sorted({*case.settled, *settled})
    if values["settled"] != case.settled:
        changes["settled"] = [case.settled, values["settled"]]
    return _write(db, case, "classify", actor=actor, at=at, values=values, changes=changes)


def _set_tags(db: Session, case: Case, tags: Collection[str]) -> dict[str, Any]:
    """The change it is, if it is one."""
    old, new = sorted(tag.tag for tag in case.tags), sorted(tags)
    if old == new:
        return {}
    case.tags = [CaseTag(tag=tag) for tag in new]
    db.flush()
    return {"tags": [old, new]}


def _clean_tags(tags: Sequence[str]) -> list[str]:
    cleaned = sorted({" ".join(tag.split()).lower() for tag in tags} - {""})
    if any(len(tag) > 60 for tag in cleaned) or len(cleaned) > 50:
        raise InvalidInput("At most 50 tags of at most 60 characters each.", {"tags": "too many or too long"})
    return cleaned


def want_review(db: Session, case_id: int, *, wanted: bool, actor: str, at: datetime) -> CaseEvent | None:
    """From now on an answer here needs a second pair of eyes, or no longer."""
    case = get(db, case_id)
    if case.review_wanted == wanted:
        return None
    changes = {"review_wanted": [case.review_wanted, wanted]}
    return _write(db, case, "want_review", actor=actor, at=at, values={"review_wanted": wanted}, changes=changes)


def propose_reply(db: Session, case_id: int, *, name: str | None, actor: str, at: datetime) -> CaseEvent | None:
    """Offer a canned reply, by its name, as a draft to whoever opens the case."""
    case = get(db, case_id)
    if case.canned_reply == name:
        return None
    changes = {"canned_reply": [case.canned_reply, name]}
    return _write(db, case, "propose_reply", actor=actor, at=at, values={"canned_reply": name}, changes=changes)


def record(db: Session, case_id: int, action: str, *, actor: str, at: datetime, changes: dict[str, Any]) -> CaseEvent:
    """Something was done about the case that changes nothing in it: a colleague told, another system called."""
    return _write(db, get(db, case_id), action, actor=actor, at=at, changes=changes)


def snooze(db: Session, case_id: int, *, until: datetime | None, actor: str, at: datetime) -> CaseEvent | None:
    """Bring the case back at ``until`` (None: forget the follow-up). The status is not asked about."""
    case = get(db, case_id)
    if case.follow_up_at == until:
        return None
    if until is not None and until <= at:
        raise InvalidInput("A follow-up lies in the future.", {"follow_up_at": "must be later than now"})
    changes = {"follow_up_at": [stamp(case.follow_up_at), stamp(until)]}
    flag = None if case.flag == "follow_up_due" else case.flag
    return _write(db, case, "snooze", actor=actor, at=at, values={"follow_up_at": until, "flag": flag}, changes=changes)


def link(db: Session, case_id: int, *, other: int, linked: bool = True, actor: str, at: datetime) -> CaseEvent | None:
    """The two cases have to do with each other, or (``linked`` False) no longer. An event in each."""
    if case_id == other:
        raise InvalidInput("A case cannot be linked to itself.", {"other": "name another case"})
    hold(db, (case_id, other))
    if not _set_link(db, case_id, other, linked, at):
        return None
    action = "link" if linked else "unlink"
    written = {}
    for one, another in sorted(((case_id, other), (other, case_id))):
        changes = {"linked": [None, another] if linked else [another, None]}
        written[one] = _write(db, get(db, one), action, actor=actor, at=at, changes=changes)
    return written[case_id]


def _set_link(db: Session, case_id: int, other: int, linked: bool, at: datetime) -> bool:
    """False where it is so already."""
    low, high = sorted((case_id, other))
    found = db.get(CaseLink, (low, high))
    if (found is not None) == linked:
        return False
    if found is None:
        db.add(CaseLink(case_id=low, other_id=high, at=at))
    else:
        db.delete(found)
    db.flush()
    return True


class Following(StrEnum):
    """What somebody wants to hear of a case, whatever the reason would be."""

    follow = "follow"  # everything
    mute = "mute"  # nothing


def follow(
    db: Session, case_id: int, *, user: User, wanted: Following | None, actor: str, at: datetime
) -> CaseEvent | None:
    """Somebody follows the case, mutes it, or does neither any more."""
    case = get(db, case_id)
    before = following(db, case_id, user.id)
    if before == wanted:
        return None
    _set_following(db, case_id, user.id, wanted)
    named = {Following.follow: "follower", Following.mute: "muted"}
    changes: dict[str, Any] = {}
    if before is not None:
        changes[named[before]] = [user.email, None]
    if wanted is not None:
        changes[named[wanted]] = [None, user.email]
    return _write(db, case, wanted or "unfollow", actor=actor, at=at, changes=changes)


def following(db: Session, case_id: int, user_id: int) -> Following | None:
    muted = db.scalar(select(Follow.muted).where(Follow.case_id == case_id, Follow.user_id == user_id))
    return None if muted is None else Following.mute if muted else Following.follow


def _set_following(db: Session, case_id: int, user_id: int, wanted: Following | None) -> None:
    db.execute(delete(Follow).where(Follow.case_id == case_id, Follow.user_id == user_id))
    if wanted is not None:
        db.add(Follow(user_id=user_id, case_id=case_id, muted=wanted is Following.mute))
    db.flush()


def note(db: Session, case_id: int, *, body: str, user: User, at: datetime) -> Note:
    """A remark among colleagues; never leaves the house."""
    body = storable(body)
    if not body.strip():
        raise InvalidInput("The note is empty.", {"body": "write something"})
    case = get(db, case_id)
    written = Note(case_id=case.id, user_id=user.id, body=body, created_at=at)
    db.add(written)
    db.flush()
    _write(db, case, "note", actor=user.email, at=at, values={"last_activity_at": at}, note_id=written.id)
    return written


def merge(db: Session, case_id: int, *, into: int, actor: str, at: datetime) -> Case:
    """Move everything said in one case into another; the first is closed and points there. Returns the other.

    An unanswered case merged into a resolved one brings that back, as its mentions would have done there.
    """
    if case_id == into:
        raise InvalidInput("A case cannot be merged into itself.", {"into": "name another case"})
    hold(db, (case_id, into))
    case, target = get(db, case_id), get(db, into)
    history = (
        case.imported and target.imported and case.merged_into_id is None
    )  # both are put away, and belong together
    if target.status == CaseStatus.closed and target.merged_into_id is None and not history:
        raise InvalidTransition(f"Case {into} is closed: what is merged into it would not be seen. Reopen it first.")
    if target.merged_into_id is not None:
        raise InvalidTransition(f"Case {into} was itself merged into case {target.merged_into_id}.")
    unanswered, flag = case.status in (CaseStatus.new, CaseStatus.open), case.flag
    put_away = history and case.status == CaseStatus.closed
    to = None if put_away else after(CaseStatus(case.status), Action.merge)
    graver = _graver(case, target)
    moved = _move_everything(db, case_id, into)
    tags = sorted({tag.tag for tag in (*case.tags, *target.tags)})
    follow_ups = [when for when in (case.follow_up_at, target.follow_up_at) if when]
    _write(
        db,
        case,
        Action.merge,
        actor=actor,
        at=at,
        to=to,
        values={"merged_into_id": into, **_counted(db, case)},
        changes={"merged_into": [None, into], **moved},
    )
    brought = {
        "last_activity_at": max(case.last_activity_at, target.last_activity_at),
        "seen_at": min(case.seen_at, target.seen_at),
        **graver,
    }
    changes: dict[str, Any] = {"absorbed": [None, case_id]}
    for name, new in brought.items():
        if new != getattr(target, name):
            changes[name] = [_told(getattr(target, name)), _told(new)]
    values = (
        _counted(db, target) | brought | {"follow_up_at": min(follow_ups, default=None), "flag": target.flag or flag}
    )
    if target.assignee is None and case.assignee is not None:
        values["assignee_id"], changes["assignee"] = case.assignee_id, [None, case.assignee.email]
    changes |= _set_tags(db, target, tags)
    status = CaseStatus(target.status)
    back = after(status, Action.author_wrote) if unanswered and not history else None
    _write(db, target, "absorb", actor=actor, at=at, to=back, values=values, changes=changes)
    return target


# What lies in a case and moves with it: the word for it in an event's changes.
CONTENTS: Mapping[str, Any] = {
    "mentions": Mention, "replies": Reply, "notes": Note, "promises": Promise, "drafts": Draft, "pictures": Picture
}  # fmt: skip


def _move_everything(db: Session, case_id: int, into: int) -> dict[str, Any]:
    """Returns what moved, as changes."""
    moved = {}
    drafts.join(db, case_id, into)
    for name, table in CONTENTS.items():
        rows = db.scalars(select(table).where(table.case_id == case_id).order_by(table.id))
        ids = [row.id for row in rows]
        if ids:
            _move_rows(db, table, ids, into)
            moved[name] = [ids, []]
    return moved


def _move_rows(db: Session, table: Any, ids: Collection[int], to: int) -> None:
    db.execute(update(table).where(table.id.in_(ids)).values(case_id=to))


def _graver(case: Case, target: Case) -> dict[str, Any]:
    """What must not be lost when one case becomes part of another: never against what somebody has set there."""
    waits = case.wants_answer and case.waiting_since is not None
    values = {
        "priority": max(case.priority, target.priority, key=lambda each: RISING.index(Priority(each or Priority.low))),
        "urgency": target.urgency or case.urgency,
        "wants_answer": waits or target.wants_answer,
        "review_wanted": case.review_wanted or target.review_wanted,
    }
    return {
        field: new for field, new in values.items() if new != getattr(target, field) and field not in target.settled
    }


def split(db: Session, case_id: int, *, mention_id: int, actor: str, at: datetime) -> Case:
    """Take a mention, and what was written under it, out into a case of its own. Returns the new case."""
    case = get(db, case_id)
    mentions = list(db.scalars(select(Mention).where(Mention.case_id == case_id)))
    top = next((mention for mention in mentions if mention.id == mention_id), None)
    if top is None:
        raise NotFoundError(f"There is no mention {mention_id} in case {case_id}.")
    ids = [mention.id for mention in _with_what_is_under(mentions, {top.id})]
    if top.context or top.ours or top.repost:
        raise InvalidInput("Only a mention that concerns us can become a case.", {"mention": "choose another"})
    if not any(_counts(mention) for mention in mentions if mention.id not in ids):
        raise InvalidInput("Nothing would be left in the case.", {"mention": "choose another"})
    opened = _new_case(db, top, actor=actor, at=at, source_id=case.source_id, changes={"split_from": [None, case_id]})
    _move_with_answers(db, ids, opened.id)
    follow_up = _promised(db, opened.id, at)
    db.execute(update(Case).where(Case.id == opened.id).values(follow_up_at=follow_up, **_counted(db, opened)))
    values = _counted(db, case)
    if follow_up is not None and case.follow_up_at == follow_up:  # it comes back over there now
        values["follow_up_at"] = _promised(db, case_id, at)
    _write(db, case, "split", actor=actor, at=at, values=values, changes={"split": [None, opened.id]})
    db.refresh(opened)
    return opened


def _with_what_is_under(mentions: Sequence[Mention], tops: Collection[int]) -> list[Mention]:
    """Of these mentions the ones with those ids, and every answer to them."""
    moving = {mention.external_id for mention in mentions if mention.id in tops}
    while more := {m.external_id for m in mentions if m.in_reply_to in moving} - moving:
        moving |= more
    return [mention for mention in mentions if mention.external_id in moving]


def _move_with_answers(db: Session, mention_ids: Collection[int], to: int) -> None:
    """These mentions, what we answered to them, and what that promised."""
    _move_rows(db, Mention, mention_ids, to)
    db.execute(update(Reply).where(Reply.to_mention_id.in_(mention_ids)).values(case_id=to))
    answers = select(Reply.id).where(Reply.to_mention_id.in_(mention_ids))
    for table in (Promise, Picture):
        db.execute(update(table).where(table.reply_id.in_(answers)).values(case_id=to))
    drafts.follow(db, mention_ids, to)


# -- taking back -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undone:
    """``events``: what was written. ``kept``: the fields that are not as before, since somebody has changed them."""

    events: tuple[CaseEvent, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass
class _Back:
    """What putting back an event's changes comes to."""

    to: CaseStatus | None = None
    values: dict[str, Any] = dataclass_field(default_factory=dict)
    changes: dict[str, Any] = dataclass_field(default_factory=dict)
    kept: list[str] = dataclass_field(default_factory=list)


PUT_BACK = (
    "kind", "priority", "sentiment", "language", "wants_answer", "urgency", "noise", "category", "review_wanted",
    "canned_reply", "flag", "follow_up_at", "last_activity_at", "seen_at", "resolved_at", "closed_at", "assignee",
    "team",
)  # fmt: skip
UNTOLD = ("flag", "last_activity_at", "seen_at", "resolved_at", "closed_at")  # nobody is told that these stayed
WITH_STATUS = ("resolved_at", "closed_at")


def undo(db: Session, event_id: int, *, actor: str, at: datetime) -> Undone:
    """Put back what an event changed, where nobody has changed it since; by an event that names the one undone.

    The status goes back also where the table has no such action. What was undone already is left as it is. A merge, a
    split or a link is undone in both its cases.
    """
    event = db.get(CaseEvent, event_id)
    if event is None:
        raise NotFoundError(f"There is no event {event_id}.")
    hold(db, {event.case_id, *_other_cases(event)})
    named = (CaseEvent.case_id == event.case_id, CaseEvent.undoes_id == event.id)
    if db.scalar(select(CaseEvent.id).where(*named)) is not None:
        return Undone()
    by: dict[str, Any] = {"actor": actor, "at": at}
    if event.action == Action.merge:
        return _unmerge(db, event, _other_half(db, event, "absorb"), **by)
    if event.action == "absorb":
        return _unmerge(db, _other_half(db, event, Action.merge), event, **by)
    if event.action == "split":
        return _unsplit(db, event, _other_half(db, event, "opened"), **by)
    if event.action == "opened" and "split_from" in event.changes:
        return _unsplit(db, _other_half(db, event, "split"), event, **by)
    if event.action in ("link", "unlink"):
        return _unlink(db, event, _other_half(db, event, event.action), **by)
    if event.action in (*Following, "unfollow"):
        return _unfollow(db, event, **by)
    if event.action in (*ANSWERS.values(), "reply_proposed", "reply_approved"):
        return _unsay(db, event, **by)
    case = get(db, event.case_id)
    back = _back(db, case, event)
    if back.to is None and not back.changes:
        return Undone(kept=tuple(back.kept) or (event.action,) * (not event.changes))
    return Undone((_undo_event(db, case, event, back, **by),), tuple(back.kept))


def _undo_event(db: Session, case: Case, event: CaseEvent, back: _Back, *, actor: str, at: datetime) -> CaseEvent:
    return _write(
        db, case, UNDO, actor=actor, at=at, to=back.to, values=back.values, changes=back.changes, undoes=event
    )


def _other_cases(event: CaseEvent) -> list[int]:
    """The cases that an event is about besides its own."""
    named = ("merged_into", "absorbed", "split", "split_from", "linked")
    return [number for name in named for number in event.changes.get(name, ()) if number is not None]


def _other_half(db: Session, event: CaseEvent, action: str) -> CaseEvent:
    """The event that the same action left in the other case: the nearest one after or before it."""
    (other,) = _other_cases(event)
    theirs = select(CaseEvent).where(CaseEvent.case_id == other, CaseEvent.action == action)
    later = db.scalars(theirs.where(CaseEvent.id > event.id).order_by(CaseEvent.id).limit(1)).first()
    earlier = db.scalars(theirs.where(CaseEvent.id < event.id).order_by(CaseEvent.id.desc()).limit(1)).first()
    found = [half for half in (later, earlier) if half is not None and event.case_id in _other_cases(half)]
    return min(found, key=lambda half: abs(half.id - event.id))


def _changed_since(db: Session, event: CaseEvent) -> set[str]:
    """The fields that later events have changed and that have not been put back again; ``status`` among them."""
    later = db.scalars(select(CaseEvent).where(CaseEvent.case_id == event.case_id, CaseEvent.version > event.version))
    events = later.all()
    undone = {each.undoes_id for each in events}
    changed: set[str] = set()
    for each in events:
        if each.undoes_id is None and each.id not in undone:
            changed |= each.changes.keys() | ({"status"} if _moves(each, event.from_status) else set())
    return changed


def _moves(event: CaseEvent, before: str | None) -> bool:
    """Whether it changed the status, or would have done so to a case still as it was ``before``."""
    if event.to_status is None:
        return False
    would = before and TRANSITIONS.get((CaseStatus(before), cast(Action, event.action)), before)
    return event.from_status != event.to_status or would != before


def _back(db: Session, case: Case, event: CaseEvent) -> _Back:
    back, since = _Back(), _changed_since(db, event)
    if event.from_status is not None and event.from_status != event.to_status:
        if "status" in since or case.status != event.to_status:
            back.kept.append("status")
        else:
            back.to = CaseStatus(event.from_status)
            back.values = {"flag": case.flag, "follow_up_at": case.follow_up_at}  # not what else goes with a status
            if back.to in (CaseStatus.resolved, CaseStatus.closed):
                back.values["resolved_at"] = case.resolved_at
    for name in PUT_BACK:
        if name not in event.changes or (name in WITH_STATUS and back.to is None):
            continue
        old, new = event.changes[name]
        if name in since or _as_told(case, name) != new:
            back.kept += [name] * (name not in UNTOLD)
            continue
        column, value = _stored(db, name, old)
        back.values[column], back.changes[name] = value, [new, old]
    for name in ("tags", "settled"):
        old, new = (set(side or ()) for side in event.changes.get(name, ((), ())))
        gone, added = old - new, new - old - since
        has = {tag.tag for tag in case.tags} if name == "tags" else set(case.settled)
        if name == "tags":
            back.changes |= _set_tags(db, case, (has - (new - old)) | gone)
        elif has & added:
            back.values[name] = sorted(has - added)
            back.changes[name] = [sorted(has), back.values[name]]
    return back


def _as_told(case: Case, name: str) -> Any:
    """A field as events have it."""
    if name == "assignee":
        return case.assignee.email if case.assignee else None
    if name == "team":
        return case.team.name if case.team else None
    return _told(getattr(case, name))


def _stored(db: Session, name: str, told: Any) -> tuple[str, Any]:
    """The column, and its value for what an event has."""
    if name == "assignee":
        return "assignee_id", db.scalar(select(User.id).where(User.email == told, User.disabled_at.is_(None)))
    if name == "team":
        return "team_id", db.scalar(select(Team.id).where(Team.name == told))
    return name, datetime.fromisoformat(told) if name.endswith("_at") and told is not None else told


def _unmerge(db: Session, merged: CaseEvent, absorbed: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """What came along goes back, with what has been written under it since."""
    case, target = get(db, merged.case_id), get(db, absorbed.case_id)
    if case.merged_into_id != target.id or target.merged_into_id is not None:
        return Undone(kept=("merged_into",))
    going = {name: set(merged.changes[name][0]) for name in CONTENTS if name in merged.changes}
    news = (CaseEvent.case_id == target.id, CaseEvent.id > absorbed.id, CaseEvent.mention_id.is_not(None))
    since = set(db.scalars(select(CaseEvent.mention_id).where(*news)))
    there = list(db.scalars(select(Mention).where(Mention.case_id == target.id)))
    came = going.get("mentions", set())
    under = {mention.id for mention in _with_what_is_under(there, came)}
    going["mentions"] = {mention.id for mention in there} & (came | (under & since))
    drafts = {tuple(row) for row in db.execute(select(Draft.user_id, Draft.kind).where(Draft.case_id == case.id))}
    for draft in db.scalars(select(Draft).where(Draft.id.in_(going.get("drafts", ())))):
        if (draft.user_id, draft.kind) in drafts:
            going["drafts"].remove(draft.id)
    for name, ids in going.items():
        table = CONTENTS[name]
        db.execute(update(table).where(table.id.in_(ids), table.case_id == target.id).values(case_id=case.id))
    _move_with_answers(db, going["mentions"], case.id)
    first = _back(db, case, merged)
    first.values |= {"merged_into_id": None, **_counted(db, case)}
    first.changes |= {
        "merged_into": [target.id, None],
        **{name: [[], sorted(ids)] for name, ids in going.items() if ids},
    }
    second = _back(db, target, absorbed)
    second.values = _counted(db, target) | second.values
    second.changes["absorbed"] = [case.id, None]
    written = (
        _undo_event(db, case, merged, first, actor=actor, at=at),
        _undo_event(db, target, absorbed, second, actor=actor, at=at),
    )
    return Undone(written, tuple(dict.fromkeys((*first.kept, *second.kept))))


def _unsplit(db: Session, split_out: CaseEvent, opened: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """Back into the case it came from, unless somebody else has worked on it since."""
    case, made = get(db, split_out.case_id), get(db, opened.case_id)
    others = (CaseEvent.case_id == made.id, CaseEvent.actor.contains("@"), CaseEvent.actor != actor)
    taken_up = db.scalar(select(CaseEvent.id).where(*others, CaseEvent.id > opened.id).limit(1)) is not None
    if taken_up or made.merged_into_id is not None or case.status == CaseStatus.closed:
        return Undone(kept=("split",))
    unanswered = made.status in (CaseStatus.new, CaseStatus.open)
    moved = _move_everything(db, made.id, case.id)
    there = _Back(CaseStatus.closed if made.status != CaseStatus.closed else None)
    there.values = {"merged_into_id": case.id, **_counted(db, made)}
    there.changes = {"merged_into": [None, case.id], **moved}
    here = _back(db, case, split_out)
    here.values = _counted(db, case) | here.values
    here.changes["split"] = [made.id, None]
    if unanswered and "status" in _changed_since(db, split_out):  # what comes back must not be overlooked
        here.to = after(CaseStatus(case.status), Action.author_wrote)
    written = (
        _undo_event(db, case, split_out, here, actor=actor, at=at),
        _undo_event(db, made, opened, there, actor=actor, at=at),
    )
    return Undone(written, tuple(here.kept))


def _unlink(db: Session, event: CaseEvent, half: CaseEvent, *, actor: str, at: datetime) -> Undone:
    (other,) = _other_cases(event)
    if not _set_link(db, event.case_id, other, event.action == "unlink", at):
        return Undone(kept=("linked",))
    written = []
    for each in sorted((event, half), key=lambda one: one.case_id):
        back = _Back(changes={"linked": each.changes["linked"][::-1]})
        written.append(_undo_event(db, get(db, each.case_id), each, back, actor=actor, at=at))
    return Undone(tuple(written))


def _unfollow(db: Session, event: CaseEvent, *, actor: str, at: datetime) -> Undone:
    email = next(side for change in event.changes.values() for side in change if side)
    user = db.scalars(select(User).where(User.email == email)).one()
    muted, follows = (event.changes.get(name, (None, None)) for name in ("muted", "follower"))
    before, wanted = (Following.mute if muted[side] else Following.follow if follows[side] else None for side in (0, 1))
    if following(db, event.case_id, user.id) != wanted:
        return Undone(kept=("follower",))
    _set_following(db, event.case_id, user.id, before)
    back = _Back(changes={name: change[::-1] for name, change in event.changes.items()})
    return Undone((_undo_event(db, get(db, event.case_id), event, back, actor=actor, at=at),))


def _unsay(db: Session, event: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """An answer is withdrawn as long as it can be."""
    assert event.reply_id is not None
    try:
        cancel_reply(db, event.reply_id, actor=actor, at=at)
    except InvalidTransition:
        return Undone(kept=("reply",))
    last = (CaseEvent.case_id == event.case_id, CaseEvent.action == "reply_cancelled")
    return Undone(tuple(db.scalars(select(CaseEvent).where(*last).order_by(CaseEvent.id.desc()).limit(1))))


# -- what the public does (called by triage.intake) ------------------------------------------------------------------


def open_case(
    db: Session,
    mention: Mention,
    *,
    source_id: int | None,
    actor: str,
    at: datetime,
    follows: int | None = None,
    thread: str | None = None,
) -> Case:
    """A new case that begins with this mention."""
    case = _new_case(db, mention, actor=actor, at=at, source_id=source_id, follows=follows, thread=thread)
    mention.case_id = case.id
    return case


def _new_case(
    db: Session,
    mention: Mention,
    *,
    actor: str,
    at: datetime,
    source_id: int | None,
    follows: int | None = None,
    thread: str | None = None,
    changes: dict[str, Any] | None = None,
) -> Case:
    case = Case(
        settled=[],
        waiting_since=mention.published_at,
        channel=mention.channel,
        source_id=source_id,
        account_id=mention.account_id,
        author_id=mention.author_id,
        subject=subject(mention),
        status=CaseStatus.new,
        priority=Priority.normal,
        opened_at=mention.published_at,
        seen_at=mention.collected_at,
        last_activity_at=mention.published_at,
        mention_count=1,
        follows_id=follows,
        thread=thread,
        imported=mention.imported,
        version=1,
    )
    judged = _judged(case, mention)
    for field, value in judged.items():
        setattr(case, field, value)
    db.add(case)
    db.flush()
    event = CaseEvent(
        case_id=case.id,
        version=1,
        action="opened",
        actor=actor,
        to_status=CaseStatus.new,
        changes={field: [None, value] for field, value in judged.items() if value is not None} | (changes or {}),
        mention_id=mention.id,
        at=at,
    )
    db.add(event)
    db.flush()
    db.add(PendingReaction(event_id=event.id))
    return case


def _judged(case: Case, mention: Mention) -> dict[str, Any]:
    """What the judges say of the case now that this has been said: never what a person or a rule has set.

    Its kind is that of what it began with; language and feeling are those of the last word. It wants an answer as long
    as anything does that has had none.
    """
    if mention.judgement is None:
        return {}
    said = {judge: verdict[0] for judge, verdict in mention.judgement.items()}
    values: dict[str, Any] = {
        "language": said["language"],
        "sentiment": said["sentiment"],
        "wants_answer": said["wants_answer"] == "yes" or bool(case.wants_answer and case.waiting_since),
        "kind": case.kind or said["kind"],
        "noise": case.noise or said.get("noise"),
        "urgency": said.get("urgency") or case.urgency,
    }
    raised = URGENT.get(said.get("urgency", ""))
    if raised and RISING.index(raised) > RISING.index(Priority(case.priority or Priority.normal)):
        values["priority"] = raised
    return {field: value for field, value in values.items() if field not in case.settled}


def author_wrote(db: Session, case_id: int, mention: Mention, *, actor: str, at: datetime) -> CaseEvent:
    """Somebody else than us wrote in the case's thread: a resolved or waiting case is open again."""
    case = get(db, case_id)
    mention.case_id = case_id
    db.flush()
    judged = {field: value for field, value in _judged(case, mention).items() if getattr(case, field) != value}
    values: dict[str, Any] = judged | {
        "mention_count": case.mention_count + 1,
        "last_activity_at": max(case.last_activity_at, mention.published_at),
        "waiting_since": _waiting_since(db, case),
    }
    if mention.published_at < case.opened_at:  # collected later, written earlier: the matter began here
        values |= {"opened_at": mention.published_at, "author_id": mention.author_id, "subject": subject(mention)}
        values["first_response_at"] = _answered(db, case, mention.published_at)["first_response_at"]
    to = after(CaseStatus(case.status), Action.author_wrote)
    return _write(
        db,
        case,
        Action.author_wrote,
        actor=actor,
        at=at,
        to=to,
        values=values,
        changes={field: [getattr(case, field), value] for field, value in judged.items()},
        mention_id=mention.id,
    )


def imported(db: Session, case_id: int, *, keep_open: bool, actor: str, at: datetime) -> CaseEvent:
    """A case that an import has opened: history, so it is put away at once unless somebody wants to go through it."""
    case = get(db, case_id)
    to = None if keep_open else after(CaseStatus(case.status), Action.imported)
    return _write(db, case, Action.imported, actor=actor, at=at, to=to)


def found_in_history(db: Session, case_id: int, mention: Mention, *, actor: str, at: datetime) -> CaseEvent:
    """An import has found what was said in this case long ago: it takes its place, and no status or clock hears."""
    case = get(db, case_id)
    mention.case_id = case_id
    db.flush()
    judged = _judged(case, mention) if case.imported else {}
    if judged and mention.judgement and mention.published_at < case.opened_at and "kind" not in case.settled:
        judged["kind"] = mention.judgement["kind"][0]  # history may come backwards: the matter began here
    values = _counted(db, case) | judged
    values["last_activity_at"] = max(values["last_activity_at"], mention.published_at)
    return _write(db, case, Action.imported, actor=actor, at=at, values=values, mention_id=mention.id)


def reposted(db: Session, case_id: int, mention: Mention, *, actor: str, at: datetime) -> CaseEvent:
    """Somebody passed it on: spread, nothing more."""
    case = get(db, case_id)
    mention.case_id = case_id
    values = {"spread": case.spread + 1}
    return _write(db, case, "repost", actor=actor, at=at, values=values, mention_id=mention.id)


def mention_changed(db: Session, case_id: int, mention: Mention, what: str, *, actor: str, at: datetime) -> CaseEvent:
    """``what``: mention_edited, mention_deleted, mention_restored, mention_hidden, mention_shown."""
    return _write(db, get(db, case_id), what, actor=actor, at=at, mention_id=mention.id)


def reply_seen(
    db: Session,
    case_id: int,
    mention: Mention,
    *,
    to_mention_id: int | None,
    author_name: str | None,
    actor: str,
    at: datetime,
) -> Reply:
    """Our own account answered outside Gensvar: it becomes a reply in the thread and stops the clock."""
    mention.case_id = case_id
    unseen = (Reply.case_id == case_id, Reply.origin == ReplyOrigin.elsewhere, Reply.external_id.is_(None))
    told = db.scalars(select(Reply).where(*unseen).order_by(Reply.id)).all()
    reported = next((reply for reply in told if _is_it(reply, mention, to_mention_id)), None)
    if reported is not None:  # a person had already said so: now we have seen it
        reported.external_id, reported.mention_id, reported.body = mention.external_id, mention.id, mention.text
        reported.url = mention.url
        reported.sent_at = mention.published_at
        db.flush()
        case = get(db, case_id)
        _write(db, case, "reply_confirmed", actor=actor, at=at, values=_answered(db, case), reply_id=reported.id)
        return reported
    reply = Reply(
        case_id=case_id,
        channel=mention.channel,
        account_id=mention.account_id,
        to_mention_id=to_mention_id,
        mention_id=mention.id,
        author_name=author_name,
        origin=ReplyOrigin.network,
        body=mention.text,
        status=ReplyStatus.sent,
        created_at=at,
        sent_at=mention.published_at,
        external_id=mention.external_id,
        url=mention.url,
    )
    _said(db, case_id, reply, "reply_seen", actor=actor, at=at, old=mention.imported)
    return reply


def _is_it(reported: Reply, seen: Mention, to_mention_id: int | None) -> bool:
    """Is what a person reported what has now been seen? The address may have been copied with something behind it."""
    if reported.url is not None and reported.url == seen.url:
        return True
    if reported.to_mention_id != to_mention_id:
        return False
    return reported.url is None or (
        seen.url is not None and reported.url.partition("?")[0] == seen.url.partition("?")[0]
    )


# -- answers ---------------------------------------------------------------------------------------------------------


def answered_elsewhere(
    db: Session, case_id: int, *, to_mention_id: int, url: str | None, replied_at: datetime, user: User, at: datetime
) -> Reply:
    """A person says: I answered there. The clock stops at ``replied_at``."""
    mention = _mention_in(db, case_id, to_mention_id)
    if replied_at > at:
        raise InvalidInput("The answer cannot lie in the future.", {"at": "must not be later than now"})
    if replied_at < mention.published_at:
        raise InvalidInput("The answer cannot be older than what it answers.", {"at": "must be later than the mention"})
    reply = Reply(
        case_id=case_id,
        channel=mention.channel,
        account_id=mention.account_id,
        to_mention_id=mention.id,
        user_id=user.id,
        origin=ReplyOrigin.elsewhere,
        body="",
        status=ReplyStatus.sent,
        created_at=at,
        sent_at=replied_at,
        url=url,
    )
    _said(db, case_id, reply, "answered_elsewhere", actor=user.email, at=at)
    return reply


def _said(db: Session, case_id: int, reply: Reply, action: str, *, actor: str, at: datetime, old: bool = False) -> None:
    """A sent reply that did not pass through the outbox: a new case is thereby being worked on, others stay.

    ``old``: an import has found it, and it says nothing about whether anybody works on the case now.
    """
    case = get(db, case_id)
    db.add(reply)
    db.flush()
    untouched = case.status == CaseStatus.new and not old
    to = after(CaseStatus.new, Action.reply_keep) if untouched else None
    _write(db, case, action, actor=actor, at=at, to=to, values=_answered(db, case), reply_id=reply.id)


ANSWERS = {Then.keep: Action.reply_keep, Then.wait: Action.reply_wait, Then.resolve: Action.reply_resolve}


def reply(
    db: Session,
    case_id: int,
    *,
    body: str,
    to_mention_id: int,
    user: User,
    then: Then,
    private: bool,
    hold: timedelta,
    idempotency_key: str | None,
    account_id: int | None,
    at: datetime,
) -> Reply:
    """Queue an answer and do to the status what ``then`` says. ``replies.outbox.submit`` has checked that it can go.

    It may be undone for ``hold``. Where a second pair of eyes is wanted, in the case or for the writer, it waits
    for them instead, and the status of the case with it. The same ``idempotency_key`` again gives the same reply.
    """
    case = get(db, case_id)
    before = case.status
    to = after(CaseStatus(before), ANSWERS[then])
    mention = _mention_in(db, case_id, to_mention_id)
    reviewed = case.review_wanted or user.needs_review
    written = Reply(
        case_id=case.id,
        channel=mention.channel,
        account_id=account_id,
        to_mention_id=mention.id,
        user_id=user.id,
        body=body,
        private=private,
        status=ReplyStatus.in_review if reviewed else ReplyStatus.held if hold else ReplyStatus.queued,
        then=then,
        status_before=before,
        idempotency_key=idempotency_key,
        created_at=at,
        not_before=None if reviewed else at + hold,
    )
    db.add(written)
    returned = (Reply.case_id == case.id, Reply.user_id == user.id, Reply.status == ReplyStatus.draft)
    db.execute(update(Reply).where(*returned).values(status=ReplyStatus.cancelled))  # it has been written anew
    db.flush()
    values = {"last_activity_at": at, "flag": _doubt(db, case)}
    if reviewed:
        _write(db, case, "reply_proposed", actor=user.email, at=at, reply_id=written.id)
    else:
        _write(db, case, ANSWERS[then], actor=user.email, at=at, to=to, values=values, reply_id=written.id)
    return written


def approve_reply(db: Session, reply_id: int, *, hold: timedelta, user: User, at: datetime) -> Reply:
    """A second pair of eyes finds it good: from here on it is an answer like any other."""
    found = _in_review(db, reply_id, user)
    if user.needs_review:
        raise InvalidTransition("Whose own answers are looked at does not approve those of others.")
    case = get(db, found.case_id)
    to = after(CaseStatus(case.status), ANSWERS[Then(found.then)])
    status = ReplyStatus.held if hold else ReplyStatus.queued
    values = {"status": status, "not_before": at + hold, "status_before": case.status}
    _move(db, found, (ReplyStatus.in_review,), values)
    case = get(db, found.case_id)
    changed = {"last_activity_at": at, "flag": _doubt(db, case)}
    _write(db, case, "reply_approved", actor=user.email, at=at, to=to, values=changed, reply_id=reply_id)
    return found


def return_reply(db: Session, reply_id: int, *, comment: str, user: User, at: datetime) -> Reply:
    """A second pair of eyes wants it otherwise: a draft again, with a note that says what."""
    comment = storable(comment)
    if not comment.strip():
        raise InvalidInput("Say what should be different.", {"comment": "write something"})
    found = _in_review(db, reply_id, user)
    _move(db, found, (ReplyStatus.in_review,), {"status": ReplyStatus.draft})
    _give_pictures_back(db, reply_id, found.user_id)
    written = Note(case_id=found.case_id, user_id=user.id, body=comment, created_at=at)
    db.add(written)
    db.flush()
    case, values = get(db, found.case_id), {"last_activity_at": at}
    _write(db, case, "reply_returned", actor=user.email, at=at, values=values, reply_id=reply_id, note_id=written.id)
    return found


def _give_pictures_back(db: Session, reply_id: int, user_id: int | None) -> None:
    """The answer does not go out: its pictures lie in the draft that its text goes back to."""
    given = {"reply_id": None, **({} if user_id is None else {"user_id": user_id})}
    db.execute(update(Picture).where(Picture.reply_id == reply_id).values(given))


def _in_review(db: Session, reply_id: int, user: User) -> Reply:
    found = _reply(db, reply_id)
    if found.status != ReplyStatus.in_review:
        raise InvalidTransition(f"The answer is {found.status}: nobody has to look at it.")
    if found.user_id == user.id:
        raise InvalidTransition("Another pair of eyes is wanted than that of whoever wrote it.")
    return found


def _mention_in(db: Session, case_id: int, mention_id: int) -> Mention:
    mention = db.get(Mention, mention_id)
    if mention is None or mention.case_id != case_id:
        raise NotFoundError(f"There is no mention {mention_id} in case {case_id}.")
    return mention


def cancel_reply(db: Session, reply_id: int, *, queued: bool = False, actor: str, at: datetime) -> Reply:
    """Undo an answer that is still held, and what it did to the status, unless that has changed since.

    ``queued``: also one whose hold is over, as long as nobody has claimed it. What waits for a second pair of eyes, or
    came back from them, has done nothing yet.
    """
    found = _reply(db, reply_id)
    case = get(db, found.case_id)
    undone = (ReplyStatus.held, ReplyStatus.in_review, ReplyStatus.draft, *([ReplyStatus.queued] if queued else []))
    _move(db, found, undone, {"status": ReplyStatus.cancelled})
    _give_pictures_back(db, reply_id, db.scalar(select(User.id).where(User.email == actor)) or found.user_id)
    by = (CaseEvent.reply_id == reply_id, CaseEvent.to_status.is_not(None))
    queued_by = db.scalar(select(CaseEvent).where(*by).order_by(CaseEvent.id).limit(1))
    same_case = queued_by is not None and queued_by.case_id == case.id and found.status_before is not None
    if queued_by is None or not same_case or "status" in _changed_since(db, queued_by):
        _write(db, case, "reply_cancelled", actor=actor, at=at, reply_id=reply_id)
    else:
        flag, since = queued_by.changes.get("flag", (case.flag, case.flag))
        values = {"flag": flag if case.flag == since else case.flag}
        to = CaseStatus(found.status_before or case.status)
        _write(
            db, case, "reply_cancelled", actor=actor, at=at, to=to, values=values, reply_id=reply_id, undoes=queued_by
        )
    return found


# -- what became of an answer (called by replies.outbox) --------------------------------------------------------------


def reply_called(db: Session, reply_id: int, *, worker: str, at: datetime) -> bool:
    """Claim a queued reply; False when another worker was first. To be committed before the network call."""
    return _moved(
        db,
        reply_id,
        (ReplyStatus.queued,),
        {"status": ReplyStatus.calling, "worker": worker, "called_at": at, "attempts": Reply.attempts + 1},
        Reply.not_before <= at,  # it may have been put off since it was listed
    )


def reply_sent(
    db: Session,
    reply_id: int,
    *,
    external_id: str | None,
    url: str | None,
    awaiting_moderation: bool = False,
    sent_at: datetime,
    actor: str,
    at: datetime,
) -> CaseEvent | None:
    """The network has it. None when that was known already."""
    found = _reply(db, reply_id)
    if external_id is not None and found.status in (ReplyStatus.calling, ReplyStatus.uncertain):
        _absorb_twin(db, found, external_id)
    moved = _moved(
        db,
        reply_id,
        (ReplyStatus.calling, ReplyStatus.uncertain),
        {
            "status": ReplyStatus.sent,
            "external_id": external_id,
            "url": url,
            "sent_at": sent_at,
            "error": None,
            "error_reason": None,
            "next_lookup_at": None,
            "awaiting_moderation": awaiting_moderation,
        },
    )
    if not moved:
        return None
    case = get(db, found.case_id)
    values = _answered(db, case) | {"flag": _flag_left(db, case)}
    return _write(db, case, "reply_sent", actor=actor, at=at, values=values, reply_id=reply_id)


def _absorb_twin(db: Session, reply: Reply, external_id: str) -> None:
    """It was collected before its call returned, and taken for one written on the network: it is this one."""
    same = (Reply.channel == reply.channel, Reply.external_id == external_id, Reply.origin == ReplyOrigin.network)
    twin = db.scalar(select(Reply).where(*same))
    if twin is not None:
        mention_id = twin.mention_id
        twin.external_id, twin.mention_id, twin.status = None, None, ReplyStatus.cancelled
        db.flush()
        reply.mention_id = mention_id
        db.flush()


def reply_failed(db: Session, reply_id: int, *, reason: str, error: str, actor: str, at: datetime) -> CaseEvent:
    """Certainly not published, and trying again would not help: the case is flagged and, if it was put away, open."""
    found = _reply(db, reply_id)
    _move(
        db,
        found,
        (ReplyStatus.queued, ReplyStatus.calling, ReplyStatus.uncertain),
        {"status": ReplyStatus.failed, "error": error, "error_reason": reason, "next_lookup_at": None},
    )
    return _act(
        db,
        found.case_id,
        Action.reply_failed,
        actor=actor,
        at=at,
        values={"flag": "reply_failed"},
        changes={"error": [None, error]},
        reply_id=reply_id,
    )


def reply_postponed(
    db: Session, reply_id: int, *, until: datetime, reason: str, error: str, actor: str, at: datetime
) -> CaseEvent:
    """Certainly not published, and it will be tried again at ``until``."""
    found = _reply(db, reply_id)
    _move(
        db,
        found,
        (ReplyStatus.calling,),
        {"status": ReplyStatus.queued, "not_before": until, "error": error, "error_reason": reason},
    )
    changes = {"not_before": [None, stamp(until)], "error": [None, error]}
    return _write(db, get(db, found.case_id), "reply_postponed", actor=actor, at=at, changes=changes, reply_id=reply_id)


def reply_uncertain(
    db: Session, reply_id: int, *, error: str, lookup_at: datetime | None, actor: str, at: datetime
) -> CaseEvent:
    """Nobody knows whether it was published: looked up at ``lookup_at``, shown, and never sent again by itself."""
    found = _reply(db, reply_id)
    _move(
        db,
        found,
        (ReplyStatus.calling,),
        {"status": ReplyStatus.uncertain, "error": error, "error_reason": "uncertain", "next_lookup_at": lookup_at},
    )
    case = get(db, found.case_id)
    return _write(
        db,
        case,
        "reply_uncertain",
        actor=actor,
        at=at,
        values={"flag": "reply_uncertain"},
        changes={"error": [None, error]},
        reply_id=reply_id,
    )


def reply_in_doubt(db: Session, reply_id: int, *, actor: str, at: datetime) -> CaseEvent | None:
    """It was looked for and not found: a person has to look, so a case that was put away is open again."""
    found = _reply(db, reply_id)
    case = get(db, found.case_id)
    to = after(CaseStatus(case.status), Action.reply_failed)
    if found.status != ReplyStatus.uncertain or to == case.status:
        return None
    return _write(
        db, case, "reply_in_doubt", actor=actor, at=at, to=to, values={"flag": "reply_uncertain"}, reply_id=reply_id
    )


def confirm_sent(db: Session, reply_id: int, *, url: str | None, actor: str, at: datetime) -> Reply:
    """A person has looked: it is there."""
    found = _reply(db, reply_id)
    if found.status != ReplyStatus.uncertain:
        raise InvalidTransition("Only an answer whose fate is unknown can be confirmed.")
    reply_sent(
        db,
        reply_id,
        external_id=found.external_id,
        url=url or found.url,
        sent_at=found.called_at or at,
        actor=actor,
        at=at,
    )
    db.refresh(found)
    return found


def send_again(db: Session, reply_id: int, *, actor: str, at: datetime) -> Reply:
    """A person has looked and it is not there, or has mended what made it fail: it is queued once more."""
    found = _reply(db, reply_id)
    _move(
        db,
        found,
        (ReplyStatus.uncertain, ReplyStatus.failed),
        {
            "status": ReplyStatus.queued,
            "not_before": at,
            "error": None,
            "error_reason": None,
            "next_lookup_at": None,
            "lookups": 0,
        },
    )
    case = get(db, found.case_id)
    _write(db, case, "reply_again", actor=actor, at=at, values={"flag": _flag_left(db, case)}, reply_id=reply_id)
    return found


def _reply(db: Session, reply_id: int) -> Reply:
    """The reply, locked after its case: whoever holds a case may want its replies, never the other way round."""
    case_id = db.scalar(select(Reply.case_id).where(Reply.id == reply_id))
    if case_id is not None:
        get(db, case_id)
    found = db.get(Reply, reply_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFoundError(f"There is no reply {reply_id}.")
    return found


def _moved(
    db: Session, reply_id: int, froms: tuple[ReplyStatus, ...], values: dict[str, Any], *more: ColumnElement[bool]
) -> bool:
    done = db.execute(
        update(Reply)
        .where(Reply.id == reply_id, Reply.status.in_(froms), *more)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    db.expire_all()
    return done.rowcount == 1


def _move(db: Session, found: Reply, froms: tuple[ReplyStatus, ...], values: dict[str, Any]) -> None:
    before = found.status
    if not _moved(db, found.id, froms, values):
        raise InvalidTransition(f"The answer is {before}: that can no longer be done with it.")
    db.refresh(found)


# -- the clock -------------------------------------------------------------------------------------------------------


def close(db: Session, case_id: int, *, actor: str, at: datetime) -> CaseEvent:
    """Resolved long enough ago."""
    return _act(db, case_id, Action.close, actor=actor, at=at)


def follow_up_due(db: Session, case_id: int, *, actor: str, at: datetime) -> CaseEvent:
    """The day of the promise has come: the case is open and on top of the inbox."""
    values = {"follow_up_at": _promised(db, case_id, at), "flag": "follow_up_due", "last_activity_at": at}
    return _act(db, case_id, Action.follow_up_due, actor=actor, at=at, values=values)


def set_targets(db: Session, case_id: int, targets: Mapping[str, Any]) -> None:
    """What ``triage.sla`` computed: caches, so no event, and nobody's copy of the case is stale by it.

    ``targets``: sla_id, first_response_due_at, next_response_due_at, resolution_due_at, next_breach_at, breach_kind,
    next_alert_at.
    """
    db.execute(update(Case).where(Case.id == case_id).values(targets).execution_options(synchronize_session="fetch"))


def look_again(db: Session) -> None:
    """What targets rest on has changed: at the next tick those of every living case are computed anew."""
    living = (Case.status.in_((CaseStatus.new, CaseStatus.open, CaseStatus.pending)), ~Case.imported)
    for channel in sorted(db.scalars(select(Case.channel).where(*living).distinct())):
        lock(db, f"intake:{channel}")  # as in ``merge``
    db.execute(select(Case.id).where(*living).order_by(Case.id).with_for_update())  # in the order in which all lock
    long_due = update(Case).where(*living).values(next_alert_at=Case.opened_at)
    db.execute(long_due.execution_options(synchronize_session=False))


def alert(
    db: Session, case_id: int, action: str, *, target: str, due_at: datetime, sla: str, actor: str, at: datetime
) -> CaseEvent:
    """``action``: sla_warning before a target is missed, sla_breached when it was. ``target``: first_response …"""
    changes = {"target": [None, target], "due_at": [None, stamp(due_at)], "sla": [None, sla]}
    return _write(db, get(db, case_id), action, actor=actor, at=at, changes=changes)


# -- stories and promises --------------------------------------------------------------------------------------------


def join_story(db: Session, case_id: int, *, story_id: int | None, actor: str, at: datetime) -> CaseEvent | None:
    """What it says belongs to a story, to another one, or to none."""
    case = get(db, case_id)
    if case.story_id == story_id:
        return None
    changes = {"story": [case.story_id, story_id]}
    return _write(db, case, "join_story", actor=actor, at=at, values={"story_id": story_id}, changes=changes)


def promise(db: Session, case_id: int, *, made: Promise, owner: User, actor: str, at: datetime) -> None:
    """Somebody stands by what an answer promised: the case comes back while it can still be kept."""
    case = get(db, case_id)
    earlier = case.follow_up_at is not None and case.follow_up_at < made.back_at
    values = {} if earlier else {"follow_up_at": made.back_at}
    changes = {"promise": [None, made.words], "due_at": [None, stamp(made.due_at)], "owner": [None, owner.email]}
    _write(db, case, "promise", actor=actor, at=at, values=values, changes=changes)


def settle_promise(db: Session, case_id: int, *, made: Promise, kept: bool, actor: str, at: datetime) -> None:
    """It was kept, or it was none: the case need not come back for it."""
    case = get(db, case_id)
    values: dict[str, Any] = {}
    if case.flag == "follow_up_due":
        values["flag"] = None
    if case.follow_up_at == made.back_at:
        values["follow_up_at"] = _promised(db, case_id, at)
    action = "promise_kept" if kept else "promise_dropped"
    _write(db, case, action, actor=actor, at=at, values=values, changes={"promise": [made.words, None]})


def _promised(db: Session, case_id: int, at: datetime) -> datetime | None:
    """When the next of the promises that somebody stands by brings the case back."""
    coming = (Promise.case_id == case_id, Promise.state == PromiseState.open, Promise.back_at > at)
    return db.scalar(select(func.min(Promise.back_at)).where(*coming))


# -- caches, recomputed ----------------------------------------------------------------------------------------------


def subject(mention: Mention) -> str:
    """What the list shows: the title, else how the text begins. Empty when there are no words."""
    words = " ".join((mention.title or mention.text).split())
    if len(words) <= SUBJECT_LENGTH:
        return words
    cut = words[:SUBJECT_LENGTH].rpartition(" ")[0] or words[:SUBJECT_LENGTH]
    return cut.rstrip(" .,:;!?…–-") + "…"


def _counts(mention: Mention) -> bool:
    return not (mention.ours or mention.context or mention.repost)


def _counted(db: Session, case: Case) -> dict[str, Any]:
    """The cached columns, from the mentions and replies the case has now."""
    concerning = (Mention.case_id == case.id, ~Mention.ours, ~Mention.context, ~Mention.repost)
    first = db.scalar(
        select(Mention).where(*concerning, *_of_now(case)).order_by(Mention.published_at, Mention.id).limit(1)
    )
    values: dict[str, Any] = {
        "mention_count": db.scalar(select(func.count()).select_from(Mention).where(*concerning)),
        "spread": db.scalar(
            select(func.count()).select_from(Mention).where(Mention.case_id == case.id, Mention.repost)
        ),
    }
    if first is not None:
        values |= {"opened_at": first.published_at, "author_id": first.author_id, "subject": subject(first)}
    return values | _answered(db, case, values.get("opened_at", case.opened_at))


def _of_now(case: Case) -> tuple[ColumnElement[bool], ...]:
    """What an import adds to a case that is no history itself does not make it begin or wait since long ago."""
    return () if case.imported else (~Mention.imported,)


def _answered(db: Session, case: Case, opened_at: datetime | None = None) -> dict[str, Any]:
    """``reply_count``, and ``first_response_at``: the first public answer since the case was opened (METRICS 4.1)."""
    sent = (Reply.case_id == case.id, Reply.status == ReplyStatus.sent)
    public = (*sent, ~Reply.private, Reply.sent_at >= (opened_at or case.opened_at))
    count, last = db.execute(select(func.count(), func.max(Reply.sent_at)).where(*sent)).one()
    return {
        "reply_count": count,
        "first_response_at": db.scalar(select(func.min(Reply.sent_at)).where(*public)),
        "last_activity_at": max(case.last_activity_at, last) if last else case.last_activity_at,
        "waiting_since": _waiting_since(db, case),
    }


def _waiting_since(db: Session, case: Case) -> datetime | None:
    """Publication of the first thing said to us that no public answer has followed yet (METRICS 4.4)."""
    answers = (Reply.case_id == case.id, Reply.status == ReplyStatus.sent, ~Reply.private)
    last = db.scalar(select(func.max(Reply.sent_at)).where(*answers))
    said = select(func.min(Mention.published_at)).where(
        Mention.case_id == case.id, ~Mention.ours, ~Mention.context, ~Mention.repost, *_of_now(case)
    )
    return db.scalar(said if last is None else said.where(Mention.published_at > last))


def _flag_left(db: Session, case: Case) -> str | None:
    """The flag a case keeps when one answer has been settled: that of another one that still needs a person."""
    return _doubt(db, case) if case.flag in ("reply_failed", "reply_uncertain") else case.flag


def _doubt(db: Session, case: Case) -> str | None:
    """No other action settles it that nobody knows whether an answer is out."""
    uncertain = select(Reply.id).where(Reply.case_id == case.id, Reply.status == ReplyStatus.uncertain).limit(1)
    return "reply_uncertain" if db.scalar(uncertain) is not None else None


def stamp(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None
