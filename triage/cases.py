"""The only door to a case: ``write``, and one function per action.

Each locks the case, asks the pure table in ``triage.states`` (else ``InvalidTransition``), updates ``WHERE status =
expected`` (0 rows: ``StaleCase``), and appends exactly one event with its pending reaction. None of them commits,
sends, or reads a clock: the caller owns the transaction, says who acts (``actor``: an e-mail address, or the name of
the part of the house) and when (``at``, UTC).

Four rooms do their actions by the same door, and nothing else may: ``triage.answering`` (the life of an answer),
``triage.merging`` (which cases are one), ``triage.hiding`` and ``triage.undoing``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from database import lock, storable
from errors import InvalidInput, InvalidTransition, NotFoundError, StaleCase
from models import (
    Case,
    CaseEvent,
    CaseStatus,
    CaseTag,
    Follow,
    Mention,
    Note,
    PendingReaction,
    Priority,
    Promise,
    Role,
    Team,
    Urgency,
    User,
)
from settings import LONGEST_TAG, MOST_TAGS, RESERVED_WHY, clean_tag, is_reserved
from triage import cached
from triage.states import ALIVE, TRANSITIONS, Action, action_to, after

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
REFUSED = "rule_refused"  # what somebody laid down could not be done


# -- looking ---------------------------------------------------------------------------------------------------------


def get(db: Session, case_id: int) -> Case:
    """The case, locked until the transaction ends. Raises ``NotFoundError``."""
    case = db.get(Case, case_id, with_for_update=True, populate_existing=True)
    if case is None:
        raise NotFoundError(f"There is no case number {case_id}.")
    return case


def hold(db: Session, numbers: Collection[int]) -> None:
    """Lock many cases, in the order in which all lock."""
    wait_for_intake(db, Case.id.in_(numbers))
    for number in sorted(numbers):
        get(db, number)


def wait_for_intake(db: Session, *which: ColumnElement[bool]) -> None:
    """It holds many cases, in an order of its own: whoever wants several of these waits until it is done with them."""
    for channel in sorted(db.scalars(select(Case.channel).where(*which).distinct())):
        lock(db, f"intake:{channel}")


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


def changed_since(db: Session, event: CaseEvent) -> set[str]:
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


# -- the one way to write --------------------------------------------------------------------------------------------


def write(
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
            values.setdefault("flag", cached.doubt(db, case))  # somebody has dealt with the rest
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
            lost[name] = [told(old), told(values[name])]
    return lost


def told(value: Any) -> Any:
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


def act(db: Session, case_id: int, action: Action, *, actor: str, at: datetime, **more: Any) -> CaseEvent:
    case = get(db, case_id)
    return write(db, case, action, actor=actor, at=at, to=after(CaseStatus(case.status), action), **more)


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
    return act(db, case_id, action, actor=actor, at=at)


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
        return write(db, case, "unassign", actor=actor, at=at, values={"assignee_id": None}, changes=changes)
    return act(db, case_id, Action.take, actor=actor, at=at, values={"assignee_id": new_id}, changes=changes)


def assign_team(db: Session, case_id: int, *, team: Team | None, actor: str, at: datetime) -> CaseEvent | None:
    """Give the case to a team, or to none; the status is not asked about."""
    case = get(db, case_id)
    new_id = team.id if team else None
    if case.team_id == new_id:
        return None
    changes = {"team": [case.team.name if case.team else None, team.name if team else None]}
    return write(db, case, "assign_team", actor=actor, at=at, values={"team_id": new_id}, changes=changes)


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
        changes |= set_tags(db, case, _clean_tags(tags, {each.tag for each in case.tags}))
    if not changes:
        return None
    values["settled"] = sorted({*case.settled, *settled})
    if values["settled"] != case.settled:
        changes["settled"] = [case.settled, values["settled"]]
    return write(db, case, "classify", actor=actor, at=at, values=values, changes=changes)


def set_tags(db: Session, case: Case, tags: Collection[str]) -> dict[str, Any]:
    """The change it is, if it is one."""
    old, new = sorted(tag.tag for tag in case.tags), sorted(tags)
    if old == new:
        return {}
    case.tags = [CaseTag(tag=tag) for tag in new]
    db.flush()
    return {"tags": [old, new]}


def _clean_tags(tags: Sequence[str], had: Collection[str]) -> list[str]:
    cleaned = sorted({clean_tag(tag) for tag in tags} - {""})
    if reserved := [tag for tag in cleaned if tag not in had and is_reserved(tag)]:
        raise InvalidInput(f"No tag can be named {reserved[0]}: {RESERVED_WHY}.", {"tags": RESERVED_WHY})
    if any(len(tag) > LONGEST_TAG for tag in cleaned) or len(cleaned) > MOST_TAGS:
        message = f"At most {MOST_TAGS} tags of at most {LONGEST_TAG} characters each."
        raise InvalidInput(message, {"tags": "too many or too long"})
    return cleaned


def want_review(db: Session, case_id: int, *, wanted: bool, actor: str, at: datetime) -> CaseEvent | None:
    """From now on an answer here needs a second pair of eyes, or no longer."""
    case = get(db, case_id)
    if case.review_wanted == wanted:
        return None
    changes = {"review_wanted": [case.review_wanted, wanted]}
    return write(db, case, "want_review", actor=actor, at=at, values={"review_wanted": wanted}, changes=changes)


def propose_reply(db: Session, case_id: int, *, name: str | None, actor: str, at: datetime) -> CaseEvent | None:
    """Offer a canned reply, by its name, as a draft to whoever opens the case."""
    case = get(db, case_id)
    if case.canned_reply == name:
        return None
    changes = {"canned_reply": [case.canned_reply, name]}
    return write(db, case, "propose_reply", actor=actor, at=at, values={"canned_reply": name}, changes=changes)


def record(db: Session, case_id: int, action: str, *, actor: str, at: datetime, changes: dict[str, Any]) -> CaseEvent:
    """Something was done about the case that changes nothing in it: a colleague told, another system called."""
    return write(db, get(db, case_id), action, actor=actor, at=at, changes=changes)


def not_done(db: Session, case_id: int, effect: str, why: str, *, actor: str, at: datetime) -> CaseEvent:
    """What a rule, a policy or a category wanted and could not have: in the history, with the reason."""
    return record(db, case_id, REFUSED, actor=actor, at=at, changes={"effect": [None, effect], "why": [None, why]})


def snooze(db: Session, case_id: int, *, until: datetime | None, actor: str, at: datetime) -> CaseEvent | None:
    """Bring the case back at ``until`` (None: forget the follow-up). The status is not asked about."""
    case = get(db, case_id)
    if case.follow_up_at == until:
        return None
    if until is not None and until <= at:
        raise InvalidInput("A follow-up lies in the future.", {"follow_up_at": "must be later than now"})
    changes = {"follow_up_at": [stamp(case.follow_up_at), stamp(until)]}
    flag = None if case.flag == "follow_up_due" else case.flag
    return write(db, case, "snooze", actor=actor, at=at, values={"follow_up_at": until, "flag": flag}, changes=changes)


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
    set_following(db, case_id, user.id, wanted)
    named = {Following.follow: "follower", Following.mute: "muted"}
    changes: dict[str, Any] = {}
    if before is not None:
        changes[named[before]] = [user.email, None]
    if wanted is not None:
        changes[named[wanted]] = [None, user.email]
    return write(db, case, wanted or "unfollow", actor=actor, at=at, changes=changes)


def following(db: Session, case_id: int, user_id: int) -> Following | None:
    muted = db.scalar(select(Follow.muted).where(Follow.case_id == case_id, Follow.user_id == user_id))
    return None if muted is None else Following.mute if muted else Following.follow


def set_following(db: Session, case_id: int, user_id: int, wanted: Following | None) -> None:
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
    write(db, case, "note", actor=user.email, at=at, values={"last_activity_at": at}, note_id=written.id)
    return written


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
    case = new_case(db, mention, actor=actor, at=at, source_id=source_id, follows=follows, thread=thread)
    mention.case_id = case.id
    return case


def new_case(
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
        subject=cached.subject(mention),
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
        "waiting_since": cached.waiting_since(db, case),
    }
    if mention.published_at < case.opened_at:  # collected later, written earlier: the matter began here
        values |= {
            "opened_at": mention.published_at,
            "author_id": mention.author_id,
            "subject": cached.subject(mention),
        }
        values["first_response_at"] = cached.answered(db, case, mention.published_at)["first_response_at"]
    to = after(CaseStatus(case.status), Action.author_wrote)
    return write(
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
    return write(db, case, Action.imported, actor=actor, at=at, to=to)


def found_in_history(db: Session, case_id: int, mention: Mention, *, actor: str, at: datetime) -> CaseEvent:
    """An import has found what was said in this case long ago: it takes its place, and no status or clock hears."""
    case = get(db, case_id)
    mention.case_id = case_id
    db.flush()
    judged = _judged(case, mention) if case.imported else {}
    if judged and mention.judgement and mention.published_at < case.opened_at and "kind" not in case.settled:
        judged["kind"] = mention.judgement["kind"][0]  # history may come backwards: the matter began here
    values = cached.counted(db, case) | judged
    values["last_activity_at"] = max(values["last_activity_at"], mention.published_at)
    return write(db, case, Action.imported, actor=actor, at=at, values=values, mention_id=mention.id)


def reposted(db: Session, case_id: int, mention: Mention, *, actor: str, at: datetime) -> CaseEvent:
    """Somebody passed it on: spread, nothing more."""
    case = get(db, case_id)
    mention.case_id = case_id
    values = {"spread": case.spread + 1}
    return write(db, case, "repost", actor=actor, at=at, values=values, mention_id=mention.id)


def mention_changed(db: Session, case_id: int, mention: Mention, what: str, *, actor: str, at: datetime) -> CaseEvent:
    """``what``: mention_edited, mention_deleted, mention_restored, mention_hidden, mention_shown."""
    return write(db, get(db, case_id), what, actor=actor, at=at, mention_id=mention.id)


# -- the clock -------------------------------------------------------------------------------------------------------


def close(db: Session, case_id: int, *, actor: str, at: datetime) -> CaseEvent:
    """Resolved long enough ago."""
    return act(db, case_id, Action.close, actor=actor, at=at)


def follow_up_due(db: Session, case_id: int, *, actor: str, at: datetime) -> CaseEvent:
    """The day of the promise has come: the case is open and on top of the inbox."""
    values = {"follow_up_at": cached.promised(db, case_id, at), "flag": "follow_up_due", "last_activity_at": at}
    return act(db, case_id, Action.follow_up_due, actor=actor, at=at, values=values)


def set_targets(db: Session, case_id: int, targets: Mapping[str, Any]) -> None:
    """What ``triage.sla`` computed: caches, so no event, and nobody's copy of the case is stale by it.

    ``targets``: sla_id, first_response_due_at, next_response_due_at, resolution_due_at, next_breach_at, breach_kind,
    next_alert_at.
    """
    db.execute(update(Case).where(Case.id == case_id).values(targets).execution_options(synchronize_session="fetch"))


def look_again(db: Session) -> None:
    """What targets rest on has changed: at the next tick those of every living case are computed anew."""
    living = (Case.status.in_(ALIVE), ~Case.imported)
    wait_for_intake(db, *living)
    db.execute(select(Case.id).where(*living).order_by(Case.id).with_for_update())  # in the order in which all lock
    long_due = update(Case).where(*living).values(next_alert_at=Case.opened_at)
    db.execute(long_due.execution_options(synchronize_session=False))


def alert(
    db: Session, case_id: int, action: str, *, target: str, due_at: datetime, sla: str, actor: str, at: datetime
) -> CaseEvent:
    """``action``: sla_warning before a target is missed, sla_breached when it was. ``target``: first_response …"""
    changes = {"target": [None, target], "due_at": [None, stamp(due_at)], "sla": [None, sla]}
    return write(db, get(db, case_id), action, actor=actor, at=at, changes=changes)


# -- stories and promises --------------------------------------------------------------------------------------------


def join_story(db: Session, case_id: int, *, story_id: int | None, actor: str, at: datetime) -> CaseEvent | None:
    """What it says belongs to a story, to another one, or to none."""
    case = get(db, case_id)
    if case.story_id == story_id:
        return None
    changes = {"story": [case.story_id, story_id]}
    return write(db, case, "join_story", actor=actor, at=at, values={"story_id": story_id}, changes=changes)


def promise(db: Session, case_id: int, *, made: Promise, owner: User, actor: str, at: datetime) -> None:
    """Somebody stands by what an answer promised: the case comes back while it can still be kept."""
    case = get(db, case_id)
    earlier = case.follow_up_at is not None and case.follow_up_at < made.back_at
    values = {} if earlier else {"follow_up_at": made.back_at}
    changes = {"promise": [None, made.words], "due_at": [None, stamp(made.due_at)], "owner": [None, owner.email]}
    write(db, case, "promise", actor=actor, at=at, values=values, changes=changes)


def settle_promise(db: Session, case_id: int, *, made: Promise, kept: bool, actor: str, at: datetime) -> None:
    """It was kept, or it was none: the case need not come back for it."""
    case = get(db, case_id)
    values: dict[str, Any] = {}
    if case.flag == "follow_up_due":
        values["flag"] = None
    if case.follow_up_at == made.back_at:
        values["follow_up_at"] = cached.promised(db, case_id, at)
    action = "promise_kept" if kept else "promise_dropped"
    write(db, case, action, actor=actor, at=at, values=values, changes={"promise": [made.words, None]})


def stamp(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None
