"""The one door to a case: no sequence of actions leaves the table, and the events tell the whole story."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from database import Database
from errors import InvalidInput, InvalidTransition, NotFoundError, StaleCase
from models import (
    Account,
    Case,
    CaseEvent,
    CaseStatus,
    Kind,
    Mention,
    PendingReaction,
    Priority,
    Reply,
    ReplyStatus,
    Team,
    Then,
)
from tests.factories import MORNING, account, living_cases, ours, said, take, user
from triage import answering, cached, cases, merging
from triage.states import TRANSITIONS, Action, replay

HOLD = timedelta(seconds=10)


def opened(db: Session, id: str = "a") -> Case:
    us = db.scalar(select(Account.id)) or account(db, f"us-{id}").id
    take(db, said(id), account_id=us)
    mention = db.scalars(select(Mention).where(Mention.external_id == id)).one()
    assert mention.case_id is not None
    return db.get_one(Case, mention.case_id)


def answer(db: Session, case: Case, *, then: Then = Then.keep, hold: timedelta = HOLD, **more: Any) -> Reply:
    mention = db.scalars(select(Mention).where(Mention.case_id == case.id, ~Mention.ours)).first()
    if mention is None:
        raise NotFoundError("everything has moved away")
    given: dict[str, Any] = {
        "private": False,
        "idempotency_key": None,
        "account_id": case.account_id,
        "at": MORNING,
    } | more
    return answering.reply(
        db, case.id, body="svar", to_mention_id=mention.id, user=user(db), then=then, hold=hold, **given
    )


def events(db: Session, case: Case) -> list[CaseEvent]:
    return list(db.scalars(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id)))


# -- the property ----------------------------------------------------------------------------------------------------


def _status(target: CaseStatus, db: Session, number: int, at: datetime) -> object:
    return cases.change_status(db, number, target=target, actor="t", at=at)


def _answer(then: Then, db: Session, number: int, at: datetime) -> object:
    return answer(db, db.get_one(Case, number), then=then, at=at)


STEPS: dict[str, Callable[[Session, int, datetime], object]] = {
    **{f"status {target}": partial(_status, target) for target in CaseStatus},
    "take": lambda db, n, at: cases.assign(db, n, assignee=user(db, f"agent{at.second}"), actor="t", at=at),
    "untake": lambda db, n, at: cases.assign(db, n, assignee=None, actor="t", at=at),
    "tag": lambda db, n, at: cases.classify(db, n, actor="t", at=at, tags=[f"t{at.second}"], kind=Kind.idea),
    "note": lambda db, n, at: cases.note(db, n, body="obs", user=user(db), at=at),
    "snooze": lambda db, n, at: cases.snooze(db, n, until=at + timedelta(days=1), actor="t", at=at),
    "due": lambda db, n, at: cases.follow_up_due(db, n, actor="t", at=at),
    "close": lambda db, n, at: cases.close(db, n, actor="t", at=at),
    "author writes": lambda db, n, at: take(db, said(f"m{at.timestamp()}", to=_some(db, n))),
    "we write outside": lambda db, n, at: take(db, ours(f"o{at.timestamp()}", to=_some(db, n))),
    "elsewhere": lambda db, n, at: answering.answered_elsewhere(
        db, n, to_mention_id=_some_id(db, n), url=None, replied_at=at, user=user(db), at=at
    ),
    **{f"reply then {then}": partial(_answer, then) for then in Then},
    "undo": lambda db, n, at: answering.cancel_reply(db, _reply(db, n), actor="t", at=at),
    "call": lambda db, n, at: _call(db, n, at),
    "sent": lambda db, n, at: answering.reply_sent(
        db, _reply(db, n), external_id=f"r{at.timestamp()}", url=None, sent_at=at, actor="t", at=at
    ),
    "failed": lambda db, n, at: answering.reply_failed(
        db, _reply(db, n), reason="forbidden", error="no", actor="t", at=at
    ),
    "uncertain": lambda db, n, at: answering.reply_uncertain(
        db, _reply(db, n), error="?", lookup_at=None, actor="t", at=at
    ),
    "it is there": lambda db, n, at: answering.confirm_sent(db, _reply(db, n), url=None, actor="t", at=at),
    "send again": lambda db, n, at: answering.send_again(db, _reply(db, n), actor="t", at=at),
    "merge": lambda db, n, at: merging.merge(db, n, into=opened(db, f"x{at.timestamp()}").id, actor="t", at=at),
    "absorb": lambda db, n, at: merging.merge(db, opened(db, f"y{at.timestamp()}").id, into=n, actor="t", at=at),
}


def _some_id(db: Session, number: int) -> int:
    found = db.scalar(select(Mention.id).where(Mention.case_id == number).order_by(Mention.id))
    if found is None:
        raise NotFoundError("everything has moved away")
    return found


def _some(db: Session, number: int) -> str:
    return db.get_one(Mention, _some_id(db, number)).external_id


def _reply(db: Session, number: int) -> int:
    found = db.scalar(select(Reply.id).where(Reply.case_id == number).order_by(Reply.id.desc()))
    if found is None:
        raise NotFoundError("nothing has been answered")
    return found


def _call(db: Session, number: int, at: datetime) -> None:
    db.execute(
        update(Reply)
        .where(Reply.id == _reply(db, number), Reply.status == "held")
        .values(status="queued", not_before=at)
    )
    answering.reply_called(db, _reply(db, number), worker="w", at=at)


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=3, max_size=14))
def test_no_sequence_of_actions_leaves_the_table_and_the_events_replay_to_the_state(
    database: Database, steps: list[str]
) -> None:
    with database.transaction() as db:
        try:
            check_walk(db, steps)
        finally:
            db.rollback()


def check_walk(db: Session, steps: list[str]) -> None:
    case = opened(db)
    for second, step in enumerate(steps):
        at = MORNING + timedelta(seconds=second + 1)
        before = len(events(db, case))
        try:
            with db.begin_nested():
                STEPS[step](db, case.id, at)
        except (InvalidTransition, InvalidInput, NotFoundError):
            assert len(events(db, case)) == before, f"{step} was refused and still left an event"
        db.refresh(case)
        history = events(db, case)
        assert replay((event.from_status, event.to_status) for event in history) == case.status
        assert [event.version for event in history] == list(range(1, len(history) + 1))
        assert case.version == len(history)
        for event in history:
            if event.action in set(Action) and event.to_status is not None and event.from_status is not None:
                assert TRANSITIONS[CaseStatus(event.from_status), Action(event.action)] == event.to_status
        assert (case.closed_at is not None) == (case.status == "closed")
        assert (case.resolved_at is not None) == (case.status in ("resolved", "closed")) or case.merged_into_id
        recounted = cached.counted(db, case)
        for field in ("mention_count", "reply_count", "first_response_at"):
            assert getattr(case, field) == recounted[field], f"{field} after {step}"


# -- single promises -------------------------------------------------------------------------------------------------


def test_events_cannot_be_rewritten(database: Database) -> None:
    with database.transaction() as db:
        opened(db)
    for change in ("UPDATE case_events SET actor = 'x'", "DELETE FROM case_events"):
        with pytest.raises(DBAPIError, match="append-only"), database.transaction() as db:
            db.execute(text("DELETE FROM pending_reactions"))
            db.execute(text(change))


def test_each_event_waits_for_its_reactions(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        cases.note(db, case.id, body="x", user=user(db), at=MORNING)
        assert [p.event_id for p in db.scalars(select(PendingReaction))] == [event.id for event in events(db, case)]


def test_events_of_a_case_keep_the_order_of_time(database: Database) -> None:
    with database.transaction() as db:
        case, anna = opened(db), user(db)
        later = events(db, case)[-1].at + HOLD
        cases.note(db, case.id, body="x", user=anna, at=later)
        cases.change_status(db, case.id, target=CaseStatus.resolved, actor="system", at=later - HOLD)  # had to wait
        assert [event.at for event in events(db, case)][-2:] == [later, later]
        assert case.resolved_at == later


def test_two_at_once_the_second_is_told(database: Database) -> None:
    with database.transaction() as db:
        number = opened(db).id
    with database.read() as early:
        version = early.get_one(Case, number).version
    with database.transaction() as db:
        cases.assign(db, number, assignee=user(db), actor="t", at=MORNING)
    with database.transaction() as db, pytest.raises(StaleCase, match="Nothing was written"):
        cases.check_version(db, number, version)


def test_only_what_is_said_makes_an_answer_stale(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        seen = case.version
        cases.classify(db, case.id, actor="t", at=MORNING, priority=Priority.high, tags=["Snö ", "snö"])
        cases.check_nothing_said_since(db, case.id, seen)
        cases.note(db, case.id, body="jag tar den", user=user(db), at=MORNING)
        with pytest.raises(StaleCase):
            cases.check_nothing_said_since(db, case.id, seen)
        cases.check_nothing_said_since(db, case.id, case.version)


@pytest.mark.parametrize("then", list(Then))
def test_undo_puts_the_status_back(database: Database, then: Then) -> None:
    with database.transaction() as db:
        case = opened(db)
        reply = answer(db, case, then=then)
        assert (reply.status, reply.not_before) == ("held", MORNING + HOLD)
        answering.cancel_reply(db, reply.id, actor="t", at=MORNING)
        db.refresh(case)
        assert (case.status, reply.status) == ("new", "cancelled")
        with pytest.raises(InvalidTransition, match="cancelled"):
            answering.cancel_reply(db, reply.id, actor="t", at=MORNING)


def test_undo_leaves_a_status_that_has_changed_since(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        reply = answer(db, case, then=Then.resolve)
        take(db, said("b", to="a"))
        answering.cancel_reply(db, reply.id, actor="t", at=MORNING)
        db.refresh(case)
        assert case.status == "open"


def test_a_failed_answer_brings_the_case_back_with_a_flag(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        reply = answer(db, case, then=Then.resolve, hold=timedelta(0))
        answering.reply_called(db, reply.id, worker="w", at=MORNING)
        answering.reply_failed(db, reply.id, reason="forbidden", error="not allowed", actor="outbox", at=MORNING)
        db.refresh(case)
        assert (case.status, case.flag, case.reply_count, case.first_response_at) == ("open", "reply_failed", 0, None)
        answering.send_again(db, reply.id, actor="t", at=MORNING)
        db.refresh(case)
        db.refresh(reply)
        assert (case.flag, reply.status) == (None, ReplyStatus.queued)


def test_a_private_answer_does_not_stop_the_clock(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        reply = answer(db, case, private=True, hold=timedelta(0))
        answering.reply_called(db, reply.id, worker="w", at=MORNING)
        answering.reply_sent(db, reply.id, external_id="r", url=None, sent_at=MORNING, actor="t", at=MORNING)
        db.refresh(case)
        assert (case.reply_count, case.first_response_at) == (1, None)


def test_merge_moves_everything_said_and_closes_the_first(database: Database) -> None:
    with database.transaction() as db:
        first, second = opened(db, "a"), opened(db, "b")
        cases.note(db, first.id, body="obs", user=user(db), at=MORNING)
        cases.classify(db, first.id, actor="t", at=MORNING, tags=["snö"])
        cases.change_status(db, second.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        merging.merge(db, first.id, into=second.id, actor="t", at=MORNING)
        db.refresh(first)
        db.refresh(second)
        assert (first.status, first.merged_into_id, first.mention_count) == ("closed", second.id, 0)
        assert (second.status, second.mention_count, [tag.tag for tag in second.tags]) == ("open", 2, ["snö"])
        with pytest.raises(InvalidTransition, match="merged"):
            cases.change_status(db, first.id, target=CaseStatus.open, actor="t", at=MORNING)
        with pytest.raises(InvalidTransition, match="merged"):
            merging.merge(db, opened(db, "c").id, into=first.id, actor="t", at=MORNING)
        take(db, said("d", to="a"))
        db.refresh(second)
        assert second.mention_count == 3


def test_split_takes_a_mention_and_what_is_under_it(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        take(db, said("b", "bo", to="a"), said("c", "cia", to="b"), said("d", "dan", to="a"))
        mention = db.scalars(select(Mention).where(Mention.external_id == "b")).one()
        new = merging.split(db, case.id, mention_id=mention.id, actor="t", at=MORNING)
        db.refresh(case)
        assert (case.mention_count, new.mention_count, new.subject) == (2, 2, "text of b")
        take(db, said("e", to="c"))
        assert db.scalars(select(Mention).where(Mention.external_id == "e")).one().case_id == new.id
        root = db.scalars(select(Mention).where(Mention.external_id == "a")).one()
        with pytest.raises(InvalidInput, match="left"):
            merging.split(db, case.id, mention_id=root.id, actor="t", at=MORNING)


def test_answered_elsewhere_stops_the_clock_and_is_joined_with_what_is_then_seen(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        mention = db.scalars(select(Mention)).one()
        at = mention.published_at + timedelta(minutes=4)
        answering.answered_elsewhere(
            db, case.id, to_mention_id=mention.id, url="https://net.example/o", replied_at=at, user=user(db), at=at
        )
        db.refresh(case)
        assert (case.status, case.first_response_at, case.reply_count) == ("open", at, 1)
        with pytest.raises(InvalidInput, match="future"):
            answering.answered_elsewhere(
                db, case.id, to_mention_id=mention.id, url=None, replied_at=at + HOLD, user=user(db), at=at
            )
        take(db, ours("o", to="a"))
        db.refresh(case)
        assert case.reply_count == 1
        assert db.scalars(select(Reply)).one().external_id == "o"


def test_a_follow_up_comes_back_on_top(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        cases.change_status(db, case.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        cases.snooze(db, case.id, until=MORNING + HOLD, actor="t", at=MORNING)
        cases.follow_up_due(db, case.id, actor="t", at=MORNING + HOLD)
        db.refresh(case)
        assert (case.status, case.flag, case.follow_up_at) == ("open", "follow_up_due", None)


def test_teams_and_persons_are_named_in_the_events(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        team = Team(name="Gata")
        db.add(team)
        db.flush()
        cases.assign_team(db, case.id, team=team, actor="t", at=MORNING)
        cases.assign(db, case.id, assignee=user(db), actor="t", at=MORNING)
        assert [event.changes for event in events(db, case)][1:] == [
            {"team": [None, "Gata"]},
            {"assignee": [None, "eva@storby.example"]},
        ]
        assert cases.assign(db, case.id, assignee=user(db), actor="t", at=MORNING) is None
        assert living_cases(db)[0].version == 3


def test_doubt_about_an_answer_outlives_other_actions(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        reply = answer(db, case, then=Then.resolve, hold=timedelta(0))
        answering.reply_called(db, reply.id, worker="w", at=MORNING)
        answering.reply_uncertain(db, reply.id, error="cut", lookup_at=None, actor="t", at=MORNING)
        assert (case.status, case.flag) == ("resolved", "reply_uncertain")
        answer(db, case)
        db.refresh(case)
        assert case.flag == "reply_uncertain"
        cases.change_status(db, case.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        db.refresh(case)
        assert case.flag == "reply_uncertain"
        answering.reply_in_doubt(db, reply.id, actor="t", at=MORNING)
        db.refresh(case)
        assert (case.status, case.flag) == ("open", "reply_uncertain")
        target = opened(db, "z")
        merging.merge(db, case.id, into=target.id, actor="t", at=MORNING)
        db.refresh(target)
        assert target.flag == "reply_uncertain"


def test_a_merged_case_takes_its_urgency_along(database: Database) -> None:
    with database.transaction() as db:
        grave, other, third = (opened(db, id) for id in "abc")
        cases.classify(db, grave.id, urgency="danger", priority="urgent", wants_answer=True, actor="t", at=MORNING)
        cases.want_review(db, grave.id, wanted=True, actor="rule:law", at=MORNING)
        merging.merge(db, grave.id, into=other.id, actor="intake", at=MORNING)
        assert (other.urgency, other.priority, other.review_wanted) == ("danger", "urgent", True)
        assert other.wants_answer is True
        assert events(db, other)[-1].changes["priority"] == ["normal", "urgent"]
        cases.classify(db, third.id, priority="low", actor="t", at=MORNING)
        merging.merge(db, other.id, into=third.id, actor="t", at=MORNING)
        assert (third.priority, third.urgency) == ("low", "danger"), "somebody had set its priority"


def test_undo_in_a_case_it_was_merged_into_leaves_that_ones_status(database: Database) -> None:
    with database.transaction() as db:
        first, second = opened(db, "a"), opened(db, "b")
        cases.change_status(db, second.id, target=CaseStatus.open, actor="t", at=MORNING)
        reply = answer(db, first, then=Then.resolve)
        merging.merge(db, first.id, into=second.id, actor="t", at=MORNING)
        answering.cancel_reply(db, reply.id, actor="t", at=MORNING)
        db.refresh(second)
        assert second.status == "open"


def test_what_was_put_off_is_not_claimed_from_a_stale_list(database: Database) -> None:
    with database.transaction() as db:
        reply = answer(db, opened(db), hold=timedelta(0))
        answering.reply_called(db, reply.id, worker="one", at=MORNING)
        answering.reply_postponed(
            db, reply.id, until=MORNING + HOLD, reason="rate_limited", error="429", actor="t", at=MORNING
        )
        assert not answering.reply_called(db, reply.id, worker="two", at=MORNING)
        assert answering.reply_called(db, reply.id, worker="two", at=MORNING + HOLD)
