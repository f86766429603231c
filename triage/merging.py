"""Which cases are one matter, and which have to do with each other: merge, split, link.

Each writes by the door (``triage.cases``), one event in either case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from errors import InvalidInput, InvalidTransition, NotFoundError
from models import (
    Case,
    CaseEvent,
    CaseLink,
    CaseStatus,
    Draft,
    Mention,
    Note,
    Picture,
    Priority,
    Promise,
    Reply,
)
from triage import cached, cases, drafts
from triage.cases import RISING
from triage.states import OUR_TURN, Action, after


def merge(db: Session, case_id: int, *, into: int, actor: str, at: datetime) -> Case:
    """Move everything said in one case into another; the first is closed and points there. Returns the other.

    An unanswered case merged into a resolved one brings that back, as its mentions would have done there. What is no
    history makes the other none either: what an import had brought into it stays what it is, and starts no clock.
    """
    if case_id == into:
        raise InvalidInput("A case cannot be merged into itself.", {"into": "name another case"})
    cases.hold(db, (case_id, into))
    case, target = cases.get(db, case_id), cases.get(db, into)
    # both are put away, and belong together
    history = case.imported and target.imported and case.merged_into_id is None
    if target.status == CaseStatus.closed and target.merged_into_id is None and not history:
        raise InvalidTransition(f"Case {into} is closed: what is merged into it would not be seen. Reopen it first.")
    if target.merged_into_id is not None:
        raise InvalidTransition(f"Case {into} was itself merged into case {target.merged_into_id}.")
    unanswered, flag = case.status in OUR_TURN, case.flag
    put_away = history and case.status == CaseStatus.closed
    to = None if put_away else after(CaseStatus(case.status), Action.merge)
    graver = _graver(case, target)
    moved = move_everything(db, case_id, into)
    tags = sorted({tag.tag for tag in (*case.tags, *target.tags)})
    follow_ups = [when for when in (case.follow_up_at, target.follow_up_at) if when]
    cases.write(
        db,
        case,
        Action.merge,
        actor=actor,
        at=at,
        to=to,
        values={"merged_into_id": into, **cached.counted(db, case)},
        changes={"merged_into": [None, into], **moved},
    )
    brought = {
        "last_activity_at": max(case.last_activity_at, target.last_activity_at),
        "seen_at": min(case.seen_at, target.seen_at),
        "imported": target.imported and case.imported,
        **graver,
    }
    changes: dict[str, Any] = {"absorbed": [None, case_id]}
    for name, new in brought.items():
        if new != getattr(target, name):
            changes[name] = [cases.told(getattr(target, name)), cases.told(new)]
    target.imported = brought["imported"]  # by which it is counted
    values = cached.counted(db, target) | brought
    values |= {"follow_up_at": min(follow_ups, default=None), "flag": target.flag or flag}
    if target.assignee is None and case.assignee is not None:
        values["assignee_id"], changes["assignee"] = case.assignee_id, [None, case.assignee.email]
    changes |= cases.set_tags(db, target, tags)
    status = CaseStatus(target.status)
    back = after(status, Action.author_wrote) if unanswered and not history else None
    cases.write(db, target, "absorb", actor=actor, at=at, to=back, values=values, changes=changes)
    return target


# What lies in a case and moves with it: the word for it in an event's changes.
CONTENTS: Mapping[str, Any] = {
    "mentions": Mention, "replies": Reply, "notes": Note, "promises": Promise, "drafts": Draft, "pictures": Picture
}  # fmt: skip


def move_everything(db: Session, case_id: int, into: int) -> dict[str, Any]:
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
    case = cases.get(db, case_id)
    mentions = list(db.scalars(select(Mention).where(Mention.case_id == case_id)))
    top = next((mention for mention in mentions if mention.id == mention_id), None)
    if top is None:
        raise NotFoundError(f"There is no mention {mention_id} in case {case_id}.")
    ids = [mention.id for mention in with_what_is_under(mentions, {top.id})]
    if top.context or top.ours or top.repost:
        raise InvalidInput("Only a mention that concerns us can become a case.", {"mention": "choose another"})
    if not any(_counts(mention) for mention in mentions if mention.id not in ids):
        raise InvalidInput("Nothing would be left in the case.", {"mention": "choose another"})
    opened = cases.new_case(
        db, top, actor=actor, at=at, source_id=case.source_id, changes={"split_from": [None, case_id]}
    )
    move_with_answers(db, ids, opened.id)
    follow_up = cached.promised(db, opened.id, at)
    db.execute(update(Case).where(Case.id == opened.id).values(follow_up_at=follow_up, **cached.counted(db, opened)))
    values = cached.counted(db, case)
    if follow_up is not None and case.follow_up_at == follow_up:  # it comes back over there now
        values["follow_up_at"] = cached.promised(db, case_id, at)
    cases.write(db, case, "split", actor=actor, at=at, values=values, changes={"split": [None, opened.id]})
    db.refresh(opened)
    return opened


def with_what_is_under(mentions: Sequence[Mention], tops: Collection[int]) -> list[Mention]:
    """Of these mentions the ones with those ids, and every answer to them."""
    moving = {mention.external_id for mention in mentions if mention.id in tops}
    while more := {m.external_id for m in mentions if m.in_reply_to in moving} - moving:
        moving |= more
    return [mention for mention in mentions if mention.external_id in moving]


def move_with_answers(db: Session, mention_ids: Collection[int], to: int) -> None:
    """These mentions, what we answered to them, and what that promised."""
    _move_rows(db, Mention, mention_ids, to)
    db.execute(update(Reply).where(Reply.to_mention_id.in_(mention_ids)).values(case_id=to))
    answers = select(Reply.id).where(Reply.to_mention_id.in_(mention_ids))
    for table in (Promise, Picture):
        db.execute(update(table).where(table.reply_id.in_(answers)).values(case_id=to))
    drafts.follow(db, mention_ids, to)


def _counts(mention: Mention) -> bool:
    return not (mention.ours or mention.context or mention.repost)


def link(db: Session, case_id: int, *, other: int, linked: bool = True, actor: str, at: datetime) -> CaseEvent | None:
    """The two cases have to do with each other, or (``linked`` False) no longer. An event in each."""
    if case_id == other:
        raise InvalidInput("A case cannot be linked to itself.", {"other": "name another case"})
    cases.hold(db, (case_id, other))
    if not set_link(db, case_id, other, linked, at):
        return None
    action = "link" if linked else "unlink"
    written = {}
    for one, another in sorted(((case_id, other), (other, case_id))):
        changes = {"linked": [None, another] if linked else [another, None]}
        written[one] = cases.write(db, cases.get(db, one), action, actor=actor, at=at, changes=changes)
    return written[case_id]


def set_link(db: Session, case_id: int, other: int, linked: bool, at: datetime) -> bool:
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
