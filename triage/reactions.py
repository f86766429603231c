"""What follows from events, pulled and not pushed: takes events not yet reacted to, in order, and does what follows.

A crash loses no consequence, since an event waits in ``pending_reactions`` until its reactions are committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from database import Database, lock
from errors import GensvarError
from models import (
    CaseEvent,
    Follow,
    Hiding,
    Mention,
    Note,
    Notice,
    PendingReaction,
    Reply,
    Role,
    Team,
    TeamMember,
    User,
)
from settings import Sla
from triage import (
    cases,
    dispatch,
    ledger,
    naming,
    notices,
    policy,
    rulebook,
    samples,
    school,
    story_memory,
    storyteller,
    targets,
    undoing,
)
from triage.cases import Following
from triage.rules import UNKNOWN
from triage.states import Action

log = logging.getLogger("gensvar.reactions")
BATCH = 100
NAMED = "mentioned"  # the kind of notice for whom a note names
OUT_OF_TURN = ("40P01", "40001")  # PostgreSQL ended a deadlock at our cost: nothing is wrong with the event

Reaction = Callable[[Session, CaseEvent, datetime], None]


def react(database: Database, at: datetime) -> int:
    """React to up to ``BATCH`` events, oldest first, each in a transaction of its own. Returns how many were taken."""
    if anything(database):
        story_memory.warm(database)
    taken = 0
    while taken < BATCH and _react_to_next(database, at):
        taken += 1
    return taken


def anything(database: Database) -> bool:
    """Is there an event to react to?"""
    with database.read() as db:
        return db.scalar(_waiting()) is not None


def _react_to_next(database: Database, at: datetime) -> bool:
    if not anything(database):  # the common case, which must not take the write lock
        return False
    with database.transaction() as db:
        lock(db, "reactions")  # one at a time, so that the order holds
        pending = db.scalar(_waiting())
        if pending is None:
            return False
        event = db.get_one(CaseEvent, pending.event_id)
        try:
            with db.begin_nested():
                _follow(db, event, at)
        except (GensvarError, SQLAlchemyError, ValueError, OverflowError) as error:  # the last: a date near year 9999
            if getattr(getattr(error, "orig", None), "sqlstate", None) in OUT_OF_TURN:
                log.warning(
                    "the reaction to event %s (%s) got in another's way and is tried again", event.id, event.action
                )
                return False
            # One event that cannot be reacted to must not hold up the others; it stays, is shown, and is logged once.
            log.exception("the reaction to event %s (%s) failed", event.id, event.action)
            pending.error = f"{type(error).__name__}: {error}"
            samples.mark(db, [event.case_id])  # what happened counts all the same
        else:
            db.delete(pending)
        return True


def react_within(db: Session, at: datetime) -> None:
    """The same for all there is, in the transaction of a caller who is alone at work: what goes wrong is raised."""
    while (pending := db.scalar(_waiting())) is not None:
        _follow(db, db.get_one(CaseEvent, pending.event_id), at)
        db.delete(pending)
        db.flush()


def _follow(db: Session, event: CaseEvent, at: datetime) -> None:
    for reaction in (*REACTIONS.get(event.action, ()), *ALWAYS, *LAST.get(event.action, ())):
        reaction(db, event, at)


def _waiting() -> Select[PendingReaction]:
    return select(PendingReaction).where(PendingReaction.error.is_(None)).order_by(PendingReaction.event_id).limit(1)


def _tell_assignee(db: Session, event: CaseEvent, at: datetime) -> None:
    assignee = event.case.assignee
    if assignee is not None and assignee.email != event.actor:
        _tell(db, assignee, event, at)


def _tell_writer(db: Session, event: CaseEvent, at: datetime) -> None:
    reply = db.get(Reply, event.reply_id) if event.reply_id else None
    if reply is not None and reply.user is not None:
        _tell(db, reply.user, event, at)


def _tell_who_hid(db: Session, event: CaseEvent, at: datetime) -> None:
    wish = db.get(Hiding, event.mention_id)
    if wish is not None and wish.user is not None:
        _tell(db, wish.user, event, at)


def _tell_reviewers(db: Session, event: CaseEvent, at: datetime) -> None:
    """An answer waits for a second pair of eyes: those of the team, or where there is none of whoever leads."""
    case = event.case
    in_team = select(TeamMember.email).where(TeamMember.team_id == case.team_id)
    whose = User.role.in_((Role.manager, Role.admin)) if case.team_id is None else User.email.in_(in_team)
    for user in db.scalars(
        select(User).where(whose, User.role != Role.reader, User.disabled_at.is_(None), User.email != event.actor)
    ):
        _tell(db, user, event, at)


def _tell_those_who_promised(db: Session, event: CaseEvent, at: datetime) -> None:
    """The day has come: the assignee is told, and whoever stood by a promise."""
    told = {user.id: user for user in ledger.owners_due(db, event.case_id, at)}
    if (assignee := event.case.assignee) is not None:
        told[assignee.id] = assignee
    for user in told.values():
        if user.email != event.actor and user.disabled_at is None:
            _tell(db, user, event, at)


def _tell(db: Session, user: User, event: CaseEvent, at: datetime) -> None:
    notices.tell(db, user, event.action, at, event=event)


def _sort_in(db: Session, event: CaseEvent, at: datetime) -> None:
    if event.mention_id is not None:
        dispatch.sort_in(db, event.case_id, db.get_one(Mention, event.mention_id), at)


def _give(db: Session, event: CaseEvent, at: datetime) -> None:
    dispatch.give(db, event.case_id, at)


def _follow_targets(db: Session, event: CaseEvent, at: datetime) -> None:
    targets.follow(db, event)


def _mark(db: Session, event: CaseEvent, at: datetime) -> None:
    samples.mark(db, [event.case_id])


def _escalate(db: Session, event: CaseEvent, at: datetime) -> None:
    """A target was missed: what its policy wants done then."""
    case = event.case
    if case.sla_id is None:
        return
    given = cast(Sla, policy.value_of(db, case.sla_id))
    actor = f"sla:{given.name}"
    for user in db.scalars(select(User).where(User.email.in_(given.escalate.notify), User.disabled_at.is_(None))):
        if user.id != case.assignee_id:
            _tell(db, user, event, at)
    if given.escalate.priority is not None:
        cases.classify(db, case.id, priority=given.escalate.priority, actor=actor, at=at)
    if given.escalate.team is not None:
        team = db.scalar(select(Team).where(Team.name == given.escalate.team))
        if team is not None:
            cases.assign_team(db, case.id, team=team, actor=actor, at=at)
        else:
            cases.not_done(db, case.id, "team", UNKNOWN, actor=actor, at=at)


def _take_back(db: Session, event: CaseEvent, at: datetime) -> None:
    """What had followed from an event that was undone: notices nobody has seen, promises it kept, stories it joined."""
    undone = db.get(CaseEvent, event.undoes_id)
    assert undone is not None
    db.execute(delete(Notice).where(Notice.event_id == undone.id, Notice.seen_at.is_(None)))
    if undone.action == "classify":
        school.learn(db, event, at)
    elif undone.action == Action.resolve:
        ledger.not_resolved(db, undone, at)
    elif undone.action in (Action.merge, "absorb"):
        storyteller.unmerged(db, undone, at)
    elif undone.action in ("split", "opened"):
        storyteller.follow_case(db, event, at)


def _tell_named(db: Session, event: CaseEvent, at: datetime) -> None:
    """Whom a note names hears of it, and of what follows in the case; of a team everybody, this once."""
    note = db.get(Note, event.note_id)
    if note is None or "@" not in note.body:
        return
    users = list(db.scalars(select(User).where(User.disabled_at.is_(None), User.email != event.actor)))
    teams = {team.name: team for team in db.scalars(select(Team))}
    found = naming.named(note.body, [(user.email, user.name) for user in users], teams)
    through_team = {member.email for name in found.teams for member in teams[name].members}
    for user in users:
        if user.email not in found.people | through_team or not notices.may_see(user, event.case.team):
            continue
        notices.tell(db, user, NAMED, at, event=event)
        if user.email in found.people and cases.following(db, event.case_id, user.id) is None:
            cases.follow(db, event.case_id, user=user, wanted=Following.follow, actor=event.actor, at=at)


def _tell_followers(db: Session, event: CaseEvent, at: datetime) -> None:
    follow = select(User).join(Follow, Follow.user_id == User.id).where(Follow.case_id == event.case_id)
    heard = (~Follow.muted, User.email != event.actor, User.disabled_at.is_(None))
    for user in db.scalars(follow.where(*heard)):
        notices.tell(db, user, event.action, at, event=event)


REACTIONS: Mapping[str, tuple[Reaction, ...]] = {
    "opened": (storyteller.tell, _sort_in),  # stories first: they lock many cases, and nothing is locked yet
    "classify": (school.learn,),
    undoing.UNDO: (_take_back,),
    "note": (_tell_named, _tell_followers),
    Action.take: (_tell_assignee,),
    Action.author_wrote: (storyteller.tell, _tell_assignee, _tell_followers),
    "repost": (storyteller.tell,),
    "absorb": (storyteller.follow_case,),
    Action.merge: (storyteller.follow_case,),
    Action.follow_up_due: (_tell_those_who_promised,),
    Action.reply_keep: (ledger.propose,),
    Action.reply_wait: (ledger.propose,),
    Action.reply_resolve: (ledger.propose, ledger.resolved),
    "reply_proposed": (_tell_reviewers,),
    "reply_approved": (ledger.propose, ledger.resolved),
    "reply_returned": (_tell_writer,),
    Action.resolve: (ledger.resolved,),
    "reply_seen": (ledger.propose,),
    "reply_confirmed": (ledger.propose,),
    "reply_again": (ledger.propose,),
    "reply_cancelled": (ledger.withdraw,),
    Action.reply_failed: (_tell_writer, ledger.withdraw),
    "reply_uncertain": (_tell_writer,),
    "hide_failed": (_tell_who_hid,),
    targets.WARNING: (_tell_assignee,),
    targets.BREACHED: (_tell_assignee, _escalate),
}
ALWAYS: tuple[Reaction, ...] = (rulebook.apply, _follow_targets, _mark)
LAST: Mapping[str, tuple[Reaction, ...]] = {  # when the rules have had their say about whose it is
    "opened": (_give,),
    "assign_team": (_give,),
    Action.author_wrote: (_give,),
}
