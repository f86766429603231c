"""Taking back what was done to a case: what an event changed, where nobody has changed it since.

Written by the door (``triage.cases``), as an event that names the one undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from errors import InvalidTransition, NotFoundError
from models import Case, CaseEvent, CaseStatus, Draft, Mention, Team, User
from triage import answering, cached, cases, hiding, merging
from triage.cases import Following
from triage.states import OUR_TURN, Action, after

UNDO = "undo"


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
    "canned_reply", "imported", "flag", "follow_up_at", "last_activity_at", "seen_at", "resolved_at", "closed_at",
    "assignee", "team",
)  # fmt: skip
# nobody is told that these stayed
UNTOLD = ("imported", "flag", "last_activity_at", "seen_at", "resolved_at", "closed_at")
WITH_STATUS = ("resolved_at", "closed_at")


def undo(db: Session, event_id: int, *, actor: str, at: datetime) -> Undone:
    """Put back what an event changed, where nobody has changed it since; by an event that names the one undone.

    The status goes back also where the table has no such action. What was undone already is left as it is. A merge, a
    split or a link is undone in both its cases.
    """
    event = db.get(CaseEvent, event_id)
    if event is None:
        raise NotFoundError(f"There is no event {event_id}.")
    cases.hold(db, {event.case_id, *_other_cases(event)})
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
    if event.action in (*answering.ANSWERS.values(), "reply_proposed", "reply_approved"):
        return _unsay(db, event, **by)
    if event.action in (hiding.HIDE, hiding.SHOW):
        return _unhide(db, event, **by)
    case = cases.get(db, event.case_id)
    back = _back(db, case, event)
    if back.to is None and not back.changes:
        return Undone(kept=tuple(back.kept) or (event.action,) * (not event.changes))
    return Undone((_undo_event(db, case, event, back, **by),), tuple(back.kept))


def _undo_event(db: Session, case: Case, event: CaseEvent, back: _Back, *, actor: str, at: datetime) -> CaseEvent:
    return cases.write(
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


def _back(db: Session, case: Case, event: CaseEvent) -> _Back:
    back, since = _Back(), cases.changed_since(db, event)
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
            back.changes |= cases.set_tags(db, case, (has - (new - old)) | gone)
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
    return cases.told(getattr(case, name))


def _stored(db: Session, name: str, told: Any) -> tuple[str, Any]:
    """The column, and its value for what an event has."""
    if name == "assignee":
        return "assignee_id", db.scalar(select(User.id).where(User.email == told, User.disabled_at.is_(None)))
    if name == "team":
        return "team_id", db.scalar(select(Team.id).where(Team.name == told))
    return name, datetime.fromisoformat(told) if name.endswith("_at") and told is not None else told


def _unmerge(db: Session, merged: CaseEvent, absorbed: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """What came along goes back, with what has been written under it since."""
    case, target = cases.get(db, merged.case_id), cases.get(db, absorbed.case_id)
    if case.merged_into_id != target.id or target.merged_into_id is not None:
        return Undone(kept=("merged_into",))
    going = {name: set(merged.changes[name][0]) for name in merging.CONTENTS if name in merged.changes}
    news = (CaseEvent.case_id == target.id, CaseEvent.id > absorbed.id, CaseEvent.mention_id.is_not(None))
    since = set(db.scalars(select(CaseEvent.mention_id).where(*news)))
    there = list(db.scalars(select(Mention).where(Mention.case_id == target.id)))
    came = going.get("mentions", set())
    under = {mention.id for mention in merging.with_what_is_under(there, came)}
    going["mentions"] = {mention.id for mention in there} & (came | (under & since))
    drafts = {tuple(row) for row in db.execute(select(Draft.user_id, Draft.kind).where(Draft.case_id == case.id))}
    for draft in db.scalars(select(Draft).where(Draft.id.in_(going.get("drafts", ())))):
        if (draft.user_id, draft.kind) in drafts:
            going["drafts"].remove(draft.id)
    for name, ids in going.items():
        table = merging.CONTENTS[name]
        db.execute(update(table).where(table.id.in_(ids), table.case_id == target.id).values(case_id=case.id))
    merging.move_with_answers(db, going["mentions"], case.id)
    first = _back(db, case, merged)
    first.values |= {"merged_into_id": None, **cached.counted(db, case)}
    first.changes |= {
        "merged_into": [target.id, None],
        **{name: [[], sorted(ids)] for name, ids in going.items() if ids},
    }
    second = _back(db, target, absorbed)
    target.imported = second.values.get("imported", target.imported)  # by which it is counted
    second.values = cached.counted(db, target) | second.values
    second.changes["absorbed"] = [case.id, None]
    written = (
        _undo_event(db, case, merged, first, actor=actor, at=at),
        _undo_event(db, target, absorbed, second, actor=actor, at=at),
    )
    return Undone(written, tuple(dict.fromkeys((*first.kept, *second.kept))))


def _unsplit(db: Session, split_out: CaseEvent, opened: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """Back into the case it came from, unless somebody else has worked on it since."""
    case, made = cases.get(db, split_out.case_id), cases.get(db, opened.case_id)
    others = (CaseEvent.case_id == made.id, CaseEvent.actor.contains("@"), CaseEvent.actor != actor)
    taken_up = db.scalar(select(CaseEvent.id).where(*others, CaseEvent.id > opened.id).limit(1)) is not None
    if taken_up or made.merged_into_id is not None or case.status == CaseStatus.closed:
        return Undone(kept=("split",))
    unanswered = made.status in OUR_TURN
    moved = merging.move_everything(db, made.id, case.id)
    there = _Back(CaseStatus.closed if made.status != CaseStatus.closed else None)
    there.values = {"merged_into_id": case.id, **cached.counted(db, made)}
    there.changes = {"merged_into": [None, case.id], **moved}
    here = _back(db, case, split_out)
    here.values = cached.counted(db, case) | here.values
    here.changes["split"] = [made.id, None]
    if unanswered and "status" in cases.changed_since(db, split_out):  # what comes back must not be overlooked
        here.to = after(CaseStatus(case.status), Action.author_wrote)
    written = (
        _undo_event(db, case, split_out, here, actor=actor, at=at),
        _undo_event(db, made, opened, there, actor=actor, at=at),
    )
    return Undone(written, tuple(here.kept))


def _unlink(db: Session, event: CaseEvent, half: CaseEvent, *, actor: str, at: datetime) -> Undone:
    (other,) = _other_cases(event)
    if not merging.set_link(db, event.case_id, other, event.action == "unlink", at):
        return Undone(kept=("linked",))
    written = []
    for each in sorted((event, half), key=lambda one: one.case_id):
        back = _Back(changes={"linked": each.changes["linked"][::-1]})
        written.append(_undo_event(db, cases.get(db, each.case_id), each, back, actor=actor, at=at))
    return Undone(tuple(written))


def _unfollow(db: Session, event: CaseEvent, *, actor: str, at: datetime) -> Undone:
    email = next(side for change in event.changes.values() for side in change if side)
    user = db.scalars(select(User).where(User.email == email)).one()
    muted, follows = (event.changes.get(name, (None, None)) for name in ("muted", "follower"))
    before, wanted = (Following.mute if muted[side] else Following.follow if follows[side] else None for side in (0, 1))
    if cases.following(db, event.case_id, user.id) != wanted:
        return Undone(kept=("follower",))
    cases.set_following(db, event.case_id, user.id, before)
    back = _Back(changes={name: change[::-1] for name, change in event.changes.items()})
    return Undone((_undo_event(db, cases.get(db, event.case_id), event, back, actor=actor, at=at),))


def _unhide(db: Session, event: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """The network is asked for the opposite, unless somebody has done that already, or it never did as asked."""
    mention = db.get_one(Mention, event.mention_id)
    user = db.scalar(select(User).where(User.email == actor))
    if mention.case_id != event.case_id:  # it has gone to another case
        return Undone(kept=("hidden",))
    written = hiding.want(db, mention.id, hide=event.action == hiding.SHOW, user=user, actor=actor, at=at, undoes=event)
    return Undone((written,)) if written else Undone(kept=("hidden",))


def _unsay(db: Session, event: CaseEvent, *, actor: str, at: datetime) -> Undone:
    """An answer is withdrawn as long as it can be."""
    assert event.reply_id is not None
    try:
        answering.cancel_reply(db, event.reply_id, actor=actor, at=at)
    except InvalidTransition:
        return Undone(kept=("reply",))
    last = (CaseEvent.case_id == event.case_id, CaseEvent.action == "reply_cancelled")
    return Undone(tuple(db.scalars(select(CaseEvent).where(*last).order_by(CaseEvent.id.desc()).limit(1))))
