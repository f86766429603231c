"""Cases find their team, and in it their person: by category, then by the way the team shares its work.

Nobody is given a case outside the team's opening hours, while away, or above the ceiling: then it waits in the team's
queue until the clock finds somebody, and a queue that grows too long is told to everybody in the team.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from database import Database, lock
from models import Absence, Case, Mention, Role, Team, TeamMember, User
from triage import cases, clock, notices, policy, routing, rules, subject
from triage.states import ALIVE, OUR_TURN

ACTOR = "routing"
QUEUE_ALARM = "queue_alarm"
AT_ONCE = 200


def sort_in(db: Session, case_id: int, mention: Mention, at: datetime) -> None:
    """Put a new case under the category whose query finds it, and give it to the team that answers for that."""
    case = cases.get(db, case_id)
    if case.category is not None or "category" in case.settled:
        return
    found = next(iter(policy.read(db).watched_categories.matching(subject.of(mention, mention.language))), None)
    if found is None:
        return
    cases.classify(db, case_id, category=found.name, actor=ACTOR, at=at)
    if case.team_id is None and found.team is not None:
        team = db.scalar(select(Team).where(Team.name == found.team))
        if team is not None:
            cases.assign_team(db, case_id, team=team, actor=ACTOR, at=at)
        else:
            cases.not_done(db, case_id, "team", rules.UNKNOWN, actor=ACTOR, at=at)


def give(db: Session, case_id: int, at: datetime) -> None:
    """Give a case that nobody has to whoever's turn it is in its team."""
    case = cases.get(db, case_id)
    team = case.team
    if team is None or team.routing is None or case.assignee_id is not None or case.status not in OUR_TURN:
        return
    if case.noise or case.imported:
        return
    if not clock.is_open(policy.read(db).calendar(team.calendar), at):
        return
    lock(db, ACTOR)  # else two that are given at once are not counted for each other
    chosen = routing.pick(members(db, team, at), cast(routing.Method, team.routing), team.ceiling)
    if chosen is None:
        return
    user = db.scalars(select(User).where(User.email == chosen.email)).one()
    cases.assign(db, case_id, assignee=user, actor=ACTOR, at=at)
    db.get_one(TeamMember, (team.id, chosen.email)).last_given_at = at


def members(db: Session, team: Team, at: datetime) -> list[routing.Member]:
    """Those of a team who can log in, with what they have on their hands."""
    absent = select(Absence.user_id).where(
        Absence.starts_at <= at, or_(Absence.ends_at.is_(None), Absence.ends_at > at)
    )
    team_is = select(TeamMember, User).join(User, User.email == TeamMember.email)
    can_work = (User.disabled_at.is_(None), User.role != Role.reader)
    rows = db.execute(team_is.where(TeamMember.team_id == team.id, *can_work)).all()
    ids = [user.id for _, user in rows]
    theirs = select(Case.assignee_id, func.count()).where(Case.assignee_id.in_(ids), Case.status.in_(ALIVE))
    loads = {id: count for id, count in db.execute(theirs.group_by(Case.assignee_id))}
    away = set(db.scalars(absent))
    return [routing.Member(one.email, loads.get(user.id, 0), one.last_given_at, user.id in away) for one, user in rows]


def tick(database: Database, at: datetime) -> int:
    """Give what has been waiting for opening time or free hands; tell of queues that are too long."""
    with database.read() as db:
        teams = list(db.scalars(select(Team.id).where(Team.routing.is_not(None))))
        watched = list(db.scalars(select(Team.id).where(Team.queue_alarm.is_not(None))))
    given = sum(_work_off(database, team_id, at) for team_id in teams)
    for team_id in watched:
        with database.transaction() as db:
            _watch_queue(db, db.get_one(Team, team_id, with_for_update=True), at)
    return given


def _queue(team_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Case.team_id == team_id, Case.assignee_id.is_(None), Case.status.in_(OUR_TURN), ~Case.imported)


def _work_off(database: Database, team_id: int, at: datetime) -> int:
    waiting = select(Case.id).where(*_queue(team_id), Case.noise.is_(None)).order_by(Case.opened_at, Case.id)
    with database.read() as db:
        numbers = list(db.scalars(waiting.limit(AT_ONCE)))
    for done, number in enumerate(numbers):
        with database.transaction() as db:
            give(db, number, at)
            if cases.get(db, number).assignee_id is None:
                return done  # closed, or nobody is free: so it is for the rest
    return len(numbers)


def _watch_queue(db: Session, team: Team, at: datetime) -> None:
    """Once when it fills up; again only after it had been below, or after a day."""
    assert team.queue_alarm is not None
    waiting = db.scalar(select(func.count()).select_from(Case).where(*_queue(team.id))) or 0
    if waiting < team.queue_alarm:
        team.queue_alarmed_at = None
    elif team.queue_alarmed_at is None or team.queue_alarmed_at <= at - timedelta(days=1):
        team.queue_alarmed_at = at
        users = select(User).join(TeamMember, TeamMember.email == User.email)
        detail = {"team": team.name, "waiting": waiting}
        for user in db.scalars(users.where(TeamMember.team_id == team.id, User.disabled_at.is_(None))):
            notices.tell(db, user, QUEUE_ALARM, at, team_id=team.id, detail=detail)
