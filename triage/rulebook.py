"""Rules at work: what an event or the passing of time starts, done through ``triage.cases`` with the rule as the actor.

No loops: an event that a rule made starts no rule, and each rule acts at most once on an event. A rule on time acts
once for each span of waiting, which the event ``unanswered`` records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from database import Database
from models import (
    CONCERNS_US,
    Author,
    Case,
    CaseEvent,
    CaseStatus,
    Mention,
    MentionSource,
    Source,
    Story,
    Team,
    User,
    Webhook,
)
from settings import RuleConditions, RuleSettings
from triage import cases, notices, policy, rules, subject
from triage.rules import Fired, Known, Situation
from triage.states import ALIVE

BY_RULE = "rule:"  # how the actor of what a rule does begins
UNANSWERED, NOTIFIED, CALLED = "unanswered", "notified", "webhook"
AT_ONCE = 200  # cases looked at in one query
ASKS_AGAIN = timedelta(days=7)  # so long after its time was up a rule still looks whether the rest has come to hold
ON_THE_CASE = ("channel", "kind", "priority", "language", "sentiment", "urgency", "noise", "category")


def apply(db: Session, event: CaseEvent, at: datetime) -> None:
    """Do what the rules say about an event."""
    if event.actor.startswith(BY_RULE):
        return
    mention = db.get(Mention, event.mention_id) if event.mention_id is not None else None
    # Where the mention is now: meanwhile its case may have become part of another.
    case = mention.case if mention is not None and mention.case is not None else event.case
    by_author = mention is not None and is_by_author(mention, case)
    happened = rules.triggers(event.action, event.from_status, event.to_status, by_author=by_author)
    listening = rules.wanted(policy.read(db).rules, happened) if happened else []
    if not listening or case.imported:  # history is no news
        return
    case = cases.get(db, case.id)
    situation = situations(db, [case], event.at)[case.id]
    if mention is not None:
        joined = not by_author and (event.action != "opened" or event.case_id != case.id)
        situation = came_in(situation, mention, joined=joined)
    for fired in rules.decide(listening, situation, known(db, listening)):
        _carry_out(db, case, fired, event, at)


# -- what is known -----------------------------------------------------------------------------------------------------


def situations(db: Session, listed: Sequence[Case], at: datetime) -> dict[int, Situation]:
    """What is known of some cases, in a few queries whatever their number."""
    numbers = [case.id for case in listed]
    laid_down = policy.read(db)
    sources: dict[int, set[str]] = {number: set() for number in numbers}
    found_by = select(Mention.case_id, Source.name).join(MentionSource, MentionSource.mention_id == Mention.id)
    for number, name in db.execute(
        found_by.join(Source, Source.id == MentionSource.source_id).where(Mention.case_id.in_(numbers))
    ):
        sources[number or 0].add(name)
    said, sizes = _said(db, numbers), _story_sizes(db, listed)
    hours = {case.id: laid_down.hours(case.team) for case in listed}
    return {
        case.id: Situation(
            at=at,
            channel=case.channel,
            status=case.status,
            sources=frozenset(sources[case.id]),
            kind=case.kind,
            priority=case.priority,
            team=case.team.name if case.team else None,
            language=case.language,
            tags=frozenset(tag.tag for tag in case.tags),
            sentiment=case.sentiment,
            urgency=case.urgency,
            noise=case.noise,
            category=case.category,
            wants_answer=case.wants_answer,
            assignee=case.assignee.email if case.assignee else None,
            answered=case.first_response_at is not None,
            review=case.review_wanted,
            draft=case.canned_reply,
            texts=tuple(subject.of(mention, mention.language) for mention in said.get(case.id, ())),
            author=_names(case.author),
            followers=case.author.followers if case.author else None,
            messages=case.mention_count,
            spread=case.spread,
            story=sizes.get(case.story_id or 0, 0),
            waiting_since=case.waiting_since,
            calendar=hours[case.id][0],
            zone=hours[case.id][1],
        )
        for case in listed
    }


def came_in(now: Situation, mention: Mention, *, joined: bool) -> Situation:
    """The same where a mention has just come in: then it is this one that is asked about, and who wrote it."""
    return replace(
        now,
        texts=(subject.of(mention, mention.language),),
        author=_names(mention.author),
        followers=mention.author.followers if mention.author else None,
        joined=joined,
    )


def is_by_author(mention: Mention, case: Case) -> bool:
    """Whether who wrote it began the case; who is not known did not."""
    return mention.author_id is not None and mention.author_id == case.author_id


def _names(author: Author | None) -> frozenset[str]:
    names = (author.handle, author.name) if author else ()
    return frozenset(name.lstrip("@").lower() for name in names if name)


def _said(db: Session, numbers: Sequence[int]) -> dict[int, list[Mention]]:
    """What each case began with and, where that is another, the last thing said in it."""
    rising, falling = (Mention.published_at, Mention.id), (Mention.published_at.desc(), Mention.id.desc())
    ranked = (
        select(
            Mention.id,
            func.row_number().over(partition_by=Mention.case_id, order_by=rising).label("first"),
            func.row_number().over(partition_by=Mention.case_id, order_by=falling).label("last"),
        )
        .where(Mention.case_id.in_(numbers), CONCERNS_US)
        .subquery()
    )
    wanted = select(Mention).join(ranked, ranked.c.id == Mention.id).where(or_(ranked.c.first == 1, ranked.c.last == 1))
    said: dict[int, list[Mention]] = {}
    for mention in db.scalars(wanted.options(joinedload(Mention.author)).order_by(Mention.published_at, Mention.id)):
        said.setdefault(mention.case_id or 0, []).append(mention)
    return said


def _story_sizes(db: Session, listed: Iterable[Case]) -> dict[int, int]:
    stories = {case.story_id for case in listed if case.story_id is not None}
    if not stories:
        return {}
    return {id: size for id, size in db.execute(select(Story.id, Story.size).where(Story.id.in_(stories)))}


def known(db: Session, named_by: Iterable[RuleSettings]) -> Known:
    """Of the teams, colleagues and canned replies that these rules name: those there are."""
    effects = [rule.effects for rule in named_by]
    teams = {each.team for each in effects if each.team is not None}
    people = {email for each in effects for email in (*each.notify, *([each.assignee] if each.assignee else ()))}
    return Known(
        frozenset(db.scalars(select(Team.name).where(Team.name.in_(teams)))) if teams else frozenset(),
        frozenset(db.scalars(select(User.email).where(User.email.in_(people), User.disabled_at.is_(None))))
        if people
        else frozenset(),
        frozenset(policy.read(db).canned_replies),
    )


# -- what is done ------------------------------------------------------------------------------------------------------


def _carry_out(db: Session, case: Case, fired: Fired, event: CaseEvent, at: datetime) -> None:
    """Each effect an event of its own, but for what is one classification. ``event``: what the rule answers to."""
    changes = {name: after for name, (_, after) in fired.changes.items()}
    by: dict[str, Any] = {"actor": BY_RULE + fired.rule.name, "at": at}
    if changes.keys() & {"kind", "priority", "tags"}:
        cases.classify(
            db,
            case.id,
            kind=changes.get("kind"),
            priority=changes.get("priority"),
            tags=sorted(changes["tags"]) if "tags" in changes else None,
            **by,
        )
    if "team" in changes:
        team = db.scalars(select(Team).where(Team.name == changes["team"])).one()
        cases.assign_team(db, case.id, team=team, **by)
    if "assignee" in changes:
        assignee = db.scalars(select(User).where(User.email == changes["assignee"])).one()
        cases.assign(db, case.id, assignee=assignee, **by)
    if "draft" in changes:
        cases.propose_reply(db, case.id, name=changes["draft"], **by)
    if "review" in changes:
        cases.want_review(db, case.id, wanted=True, **by)
    if "notify" in changes:
        _notify(db, case, changes["notify"], fired.rule.name, by)
    if "webhook" in changes:
        host = urlsplit(changes["webhook"]).hostname  # the rest of an address is often a secret
        cases.record(db, case.id, CALLED, changes={"webhook": [None, host]}, **by)
        db.add(Webhook(event_id=event.id, rule=fired.rule.name, url=changes["webhook"], due_at=at))
    if "status" in changes:
        cases.change_status(db, case.id, target=CaseStatus(changes["status"]), **by)
    for effect, why in fired.refused.items():
        cases.not_done(db, case.id, effect, why, **by)


def _notify(db: Session, case: Case, emails: Sequence[str], rule: str, by: dict[str, Any]) -> None:
    told = cases.record(db, case.id, NOTIFIED, changes={"notified": [None, list(emails)]}, **by)
    for user in db.scalars(select(User).where(User.email.in_(emails)).order_by(User.id)):
        notices.tell(db, user, NOTIFIED, told.at, event=told, detail={"rule": rule})


# -- time --------------------------------------------------------------------------------------------------------------


def tick(database: Database, at: datetime) -> int:
    """Let the rules on time act where somebody has waited long enough. Returns on how many cases they did."""
    with database.read() as db:
        listening = rules.wanted(policy.read(db).rules, frozenset({"time"}))
    return sum(_let_act(database, rule, at) for rule in listening)


def _let_act(database: Database, rule: RuleSettings, at: datetime) -> int:
    done, last = 0, 0
    while True:
        with database.read() as db:
            page = list(db.scalars(_waiting_for(rule, at).where(Case.id > last).order_by(Case.id).limit(AT_ONCE)))
            looked = situations(db, page, at)
            fitting = [case.id for case in page if rules.fits(rule.conditions, looked[case.id])]
        for number in fitting:
            with database.transaction() as db:
                done += _act_in_time(db, rule, number, at)
        if len(page) < AT_ONCE:
            return done
        last = page[-1].id


def _waiting_for(rule: RuleSettings, at: datetime) -> Select[Any]:
    """Cases that have waited so long, and on which the rule has not acted since, by the index (status, waiting_since).

    What is a column of the case is asked of the database; ``rules.fits`` has the last word.
    """
    when = rule.conditions
    assert when.unanswered_for is not None, "settings see to that"
    acted = (
        select(CaseEvent.id)
        .where(CaseEvent.case_id == Case.id, CaseEvent.action == UNANSWERED, CaseEvent.actor == BY_RULE + rule.name)
        .where(CaseEvent.at >= Case.waiting_since)
    )
    columns = [_asks(when, name) for name in ON_THE_CASE]
    return (
        select(Case)
        .where(Case.status.in_(when.status or ALIVE), ~Case.imported)
        .where(Case.waiting_since.between(at - when.unanswered_for - ASKS_AGAIN, at - when.unanswered_for))
        .where(*(clause for clause in columns if clause is not None), ~acted.exists())
        .options(joinedload(Case.author), joinedload(Case.team), joinedload(Case.assignee), selectinload(Case.tags))
    )


def _asks(when: RuleConditions, name: str) -> ColumnElement[bool] | None:
    values, column = getattr(when, name), getattr(Case, name)
    if not values:
        return None
    among: ColumnElement[bool] = column.in_(values)
    return or_(among, column.is_(None)) if rules.NONE in values else among


def _act_in_time(db: Session, rule: RuleSettings, case_id: int, at: datetime) -> bool:
    """Under the lock, look once more; then say that it waited, and what follows."""
    cases.get(db, case_id)
    case = db.scalar(_waiting_for(rule, at).where(Case.id == case_id))
    if case is None:
        return False
    situation = situations(db, [case], at)[case_id]
    for fired in rules.decide([rule], situation, known(db, [rule])):
        changes = {"waiting_since": [None, cases.stamp(case.waiting_since)]}
        event = cases.record(db, case_id, UNANSWERED, actor=BY_RULE + rule.name, at=at, changes=changes)
        _carry_out(db, case, fired, event, at)
        return True
    return False
