"""The life of an answer, and what each step of it does to its case (by the door, ``triage.cases``).

As there: nothing here commits, sends or reads a clock. ``replies.outbox`` sends, and says here what became of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from database import storable
from errors import InvalidInput, InvalidTransition, NotFoundError
from models import (
    CaseEvent,
    CaseStatus,
    Mention,
    Note,
    Picture,
    Reply,
    ReplyOrigin,
    ReplyStatus,
    Then,
    User,
)
from triage import cached, cases
from triage.states import Action, after

# -- written, looked at, withdrawn ------------------------------------------------------------------------------------


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
    case = cases.get(db, case_id)
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
    values = {"last_activity_at": at, "flag": cached.doubt(db, case)}
    if reviewed:
        cases.write(db, case, "reply_proposed", actor=user.email, at=at, reply_id=written.id)
    else:
        cases.write(db, case, ANSWERS[then], actor=user.email, at=at, to=to, values=values, reply_id=written.id)
    return written


def approve_reply(db: Session, reply_id: int, *, hold: timedelta, user: User, at: datetime) -> Reply:
    """A second pair of eyes finds it good: from here on it is an answer like any other."""
    found = _in_review(db, reply_id, user)
    if user.needs_review:
        raise InvalidTransition("Whose own answers are looked at does not approve those of others.")
    case = cases.get(db, found.case_id)
    to = after(CaseStatus(case.status), ANSWERS[Then(found.then)])
    status = ReplyStatus.held if hold else ReplyStatus.queued
    values = {"status": status, "not_before": at + hold, "status_before": case.status}
    _move(db, found, (ReplyStatus.in_review,), values)
    case = cases.get(db, found.case_id)
    changed = {"last_activity_at": at, "flag": cached.doubt(db, case)}
    cases.write(db, case, "reply_approved", actor=user.email, at=at, to=to, values=changed, reply_id=reply_id)
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
    case, values = cases.get(db, found.case_id), {"last_activity_at": at}
    cases.write(
        db, case, "reply_returned", actor=user.email, at=at, values=values, reply_id=reply_id, note_id=written.id
    )
    return found


def _in_review(db: Session, reply_id: int, user: User) -> Reply:
    found = _reply(db, reply_id)
    if found.status != ReplyStatus.in_review:
        raise InvalidTransition(f"The answer is {found.status}: nobody has to look at it.")
    if found.user_id == user.id:
        raise InvalidTransition("Another pair of eyes is wanted than that of whoever wrote it.")
    return found


def cancel_reply(db: Session, reply_id: int, *, queued: bool = False, actor: str, at: datetime) -> Reply:
    """Undo an answer that is still held, and what it did to the status, unless that has changed since.

    ``queued``: also one whose hold is over, as long as nobody has claimed it. What waits for a second pair of eyes, or
    came back from them, has done nothing yet.
    """
    found = _reply(db, reply_id)
    case = cases.get(db, found.case_id)
    undone = (ReplyStatus.held, ReplyStatus.in_review, ReplyStatus.draft, *([ReplyStatus.queued] if queued else []))
    _move(db, found, undone, {"status": ReplyStatus.cancelled})
    _give_pictures_back(db, reply_id, db.scalar(select(User.id).where(User.email == actor)) or found.user_id)
    by = (CaseEvent.reply_id == reply_id, CaseEvent.to_status.is_not(None))
    queued_by = db.scalar(select(CaseEvent).where(*by).order_by(CaseEvent.id).limit(1))
    same_case = queued_by is not None and queued_by.case_id == case.id and found.status_before is not None
    if queued_by is None or not same_case or "status" in cases.changed_since(db, queued_by):
        cases.write(db, case, "reply_cancelled", actor=actor, at=at, reply_id=reply_id)
    else:
        flag, since = queued_by.changes.get("flag", (case.flag, case.flag))
        values = {"flag": flag if case.flag == since else case.flag}
        to = CaseStatus(found.status_before or case.status)
        cases.write(
            db, case, "reply_cancelled", actor=actor, at=at, to=to, values=values, reply_id=reply_id, undoes=queued_by
        )
    return found


def _give_pictures_back(db: Session, reply_id: int, user_id: int | None) -> None:
    """The answer does not go out: its pictures lie in the draft that its text goes back to."""
    given = {"reply_id": None, **({} if user_id is None else {"user_id": user_id})}
    db.execute(update(Picture).where(Picture.reply_id == reply_id).values(given))


# -- given outside Gensvar --------------------------------------------------------------------------------------------


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
        case = cases.get(db, case_id)
        values = cached.answered(db, case)
        cases.write(db, case, "reply_confirmed", actor=actor, at=at, values=values, reply_id=reported.id)
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


def _said(db: Session, case_id: int, reply: Reply, action: str, *, actor: str, at: datetime, old: bool = False) -> None:
    """A sent reply that did not pass through the outbox: a new case is thereby being worked on, others stay.

    ``old``: an import has found it, and it says nothing about whether anybody works on the case now.
    """
    case = cases.get(db, case_id)
    db.add(reply)
    db.flush()
    untouched = case.status == CaseStatus.new and not old
    to = after(CaseStatus.new, Action.reply_keep) if untouched else None
    cases.write(db, case, action, actor=actor, at=at, to=to, values=cached.answered(db, case), reply_id=reply.id)


def _mention_in(db: Session, case_id: int, mention_id: int) -> Mention:
    mention = db.get(Mention, mention_id)
    if mention is None or mention.case_id != case_id:
        raise NotFoundError(f"There is no mention {mention_id} in case {case_id}.")
    return mention


# -- what became of it (called by replies.outbox) ---------------------------------------------------------------------


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
    case = cases.get(db, found.case_id)
    values = cached.answered(db, case) | {"flag": cached.flag_left(db, case)}
    return cases.write(db, case, "reply_sent", actor=actor, at=at, values=values, reply_id=reply_id)


def _absorb_twin(db: Session, reply: Reply, external_id: str) -> None:
    """It was collected before its call returned, and taken for one written on the network: it is this one."""
    same = (Reply.channel == reply.channel, Reply.external_id == external_id, Reply.origin == ReplyOrigin.network)
    twin = db.scalar(select(Reply).where(*same))
    if twin is not None:
        mention_id = twin.mention_id
        gone = {"status": ReplyStatus.cancelled, "external_id": None, "mention_id": None}
        _move(db, twin, (ReplyStatus.sent,), gone)
        reply.mention_id = mention_id
        db.flush()


def reply_failed(db: Session, reply_id: int, *, reason: str, error: str, actor: str, at: datetime) -> CaseEvent:
    """Certainly not published, and trying again would not help: the case is flagged and, if it was put away, open."""
    values = {"status": ReplyStatus.failed, "error": error, "error_reason": reason, "next_lookup_at": None}
    froms = (ReplyStatus.queued, ReplyStatus.calling, ReplyStatus.uncertain)
    return _not_sent(db, reply_id, Action.reply_failed, values, froms=froms, flag="reply_failed", actor=actor, at=at)


def reply_postponed(
    db: Session, reply_id: int, *, until: datetime, reason: str, error: str, actor: str, at: datetime
) -> CaseEvent:
    """Certainly not published, and it will be tried again at ``until``."""
    values = {"status": ReplyStatus.queued, "not_before": until, "error": error, "error_reason": reason}
    changes = {"not_before": [None, cases.stamp(until)]}
    return _not_sent(db, reply_id, "reply_postponed", values, changes=changes, actor=actor, at=at)


def reply_uncertain(
    db: Session, reply_id: int, *, error: str, lookup_at: datetime | None, actor: str, at: datetime
) -> CaseEvent:
    """Nobody knows whether it was published: looked up at ``lookup_at``, shown, and never sent again by itself."""
    values = {"status": ReplyStatus.uncertain, "error": error, "error_reason": "uncertain", "next_lookup_at": lookup_at}
    return _not_sent(db, reply_id, "reply_uncertain", values, flag="reply_uncertain", actor=actor, at=at)


def _not_sent(
    db: Session,
    reply_id: int,
    action: str,
    values: dict[str, Any],
    *,
    froms: tuple[ReplyStatus, ...] = (ReplyStatus.calling,),
    flag: str | None = None,
    changes: dict[str, Any] | None = None,
    actor: str,
    at: datetime,
) -> CaseEvent:
    """The call did not succeed: the answer is moved, and an event of its case says so, with the error."""
    found = _reply(db, reply_id)
    _move(db, found, froms, values)
    case = cases.get(db, found.case_id)
    return cases.write(
        db,
        case,
        action,
        actor=actor,
        at=at,
        to=after(CaseStatus(case.status), action) if isinstance(action, Action) else None,
        values={"flag": flag} if flag else None,
        changes={**(changes or {}), "error": [None, values["error"]]},
        reply_id=reply_id,
    )


def reply_in_doubt(db: Session, reply_id: int, *, actor: str, at: datetime) -> CaseEvent | None:
    """It was looked for and not found: a person has to look, so a case that was put away is open again."""
    found = _reply(db, reply_id)
    case = cases.get(db, found.case_id)
    to = after(CaseStatus(case.status), Action.reply_failed)
    if found.status != ReplyStatus.uncertain or to == case.status:
        return None
    return cases.write(
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
    case = cases.get(db, found.case_id)
    values = {"flag": cached.flag_left(db, case)}
    cases.write(db, case, "reply_again", actor=actor, at=at, values=values, reply_id=reply_id)
    return found


# -- the one way to change an answer's status -------------------------------------------------------------------------


def _reply(db: Session, reply_id: int) -> Reply:
    """The reply, locked after its case: whoever holds a case may want its replies, never the other way round."""
    case_id = db.scalar(select(Reply.case_id).where(Reply.id == reply_id))
    if case_id is not None:
        cases.get(db, case_id)
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
