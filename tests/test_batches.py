"""What one click did is taken back as a whole: everything it changed, and nothing that others have changed since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from database import Database
from errors import InvalidInput, InvalidTransition, NotFoundError
from models import (
    Account,
    Case,
    CaseEvent,
    CaseLink,
    CaseStatus,
    Draft,
    Follow,
    Kind,
    Mention,
    Note,
    Notice,
    Priority,
    Promise,
    Reply,
    Story,
    Team,
    TeamMember,
    Then,
    User,
)
from tests.factories import MORNING, account, said, take, user
from triage import answering, batches, cases, merging, reactions
from triage.cases import Following
from triage.states import replay

SECOND = timedelta(seconds=1)
Step = Callable[[Session, User, int, datetime], object]


def opened(db: Session, id: str = "a", *more: str) -> Case:
    us = db.scalar(select(Account.id)) or account(db, f"us-{id}").id
    take(db, said(id), *(said(each, to=id) for each in more), account_id=us)
    number = db.scalars(select(Mention.case_id).where(Mention.external_id == id)).one()
    assert number is not None
    return db.get_one(Case, number)


def team(db: Session, name: str = "Gata") -> Team:
    found = db.scalar(select(Team).where(Team.name == name))
    if found is None:
        found = Team(name=name)
        db.add(found)
        db.flush()
    return found


def did(db: Session, me: User, at: datetime, *steps: Callable[[], object]) -> int:
    with batches.begin(db, me, "test", at) as batch:
        for step in steps:
            step()
    assert batch.id is not None
    return batch.id


SAID = (".last_activity_at", ".replies")
CACHES = ("version", "sla_id", "first_response_due_at", "next_response_due_at", "resolution_due_at", "next_alert_at")


def state(db: Session, *numbers: int) -> dict[str, Any]:
    """All that is stored of these cases, but for the caches of their targets."""
    db.flush()
    db.expire_all()
    columns = [column.key for column in Case.__table__.columns if column.key not in CACHES]
    found: dict[str, Any] = {}
    for number in numbers:
        case = db.get_one(Case, number)
        found |= {f"{number}.{name}": getattr(case, name) for name in columns}
        found[f"{number}.tags"] = [tag.tag for tag in case.tags]
        for table in (Mention, Reply, Note, Draft):
            ids = select(table.id).where(table.case_id == number).order_by(table.id)
            found[f"{number}.{table.__tablename__}"] = list(db.scalars(ids))
        follows = select(Follow.user_id, Follow.muted).where(Follow.case_id == number).order_by(Follow.user_id)
        found[f"{number}.follows"] = [tuple(row) for row in db.execute(follows)]
    found["links"] = sorted(tuple(row) for row in db.execute(select(CaseLink.case_id, CaseLink.other_id)))
    return found


def check_history(db: Session, number: int) -> None:
    history = list(db.scalars(select(CaseEvent).where(CaseEvent.case_id == number).order_by(CaseEvent.version)))
    case = db.get_one(Case, number)
    assert replay((event.from_status, event.to_status) for event in history) == case.status
    assert case.version == len(history)


# -- the property ------------------------------------------------------------------------------------------------------


def _to(target: CaseStatus) -> Step:
    return lambda db, me, n, at: cases.change_status(db, n, target=target, actor=me.email, at=at)


def _classify(**given: Any) -> Step:
    return lambda db, me, n, at: cases.classify(db, n, actor=me.email, at=at, **given)


def _follow(wanted: Following | None) -> Step:
    return lambda db, me, n, at: cases.follow(db, n, user=me, wanted=wanted, actor=me.email, at=at)


def _other(db: Session, number: int) -> int:
    return db.scalars(select(Case.id).where(Case.id != number).order_by(Case.id)).first() or 0


def _answer(db: Session, me: User, number: int, at: datetime) -> object:
    mention = db.scalars(select(Mention).where(Mention.case_id == number, ~Mention.ours).order_by(Mention.id)).first()
    if mention is None:
        raise NotFoundError("everything has moved away")
    return answering.reply(
        db, number, body="svar", to_mention_id=mention.id, user=me, then=Then.resolve, private=False,
        hold=timedelta(minutes=5), idempotency_key=None, account_id=mention.account_id, at=at,
    )  # fmt: skip


def _split(db: Session, me: User, number: int, at: datetime) -> object:
    last = db.scalar(select(Mention.id).where(Mention.case_id == number).order_by(Mention.id.desc()).limit(1))
    if last is None:
        raise NotFoundError("everything has moved away")
    return merging.split(db, number, mention_id=last, actor=me.email, at=at)


STEPS: dict[str, Step] = {
    **{f"status {target}": _to(target) for target in CaseStatus},
    "take": lambda db, me, n, at: cases.assign(db, n, assignee=me, actor=me.email, at=at),
    "give": lambda db, me, n, at: cases.assign(db, n, assignee=user(db, "bo"), actor=me.email, at=at),
    "unassign": lambda db, me, n, at: cases.assign(db, n, assignee=None, actor=me.email, at=at),
    "team": lambda db, me, n, at: cases.assign_team(db, n, team=team(db), actor=me.email, at=at),
    "no team": lambda db, me, n, at: cases.assign_team(db, n, team=None, actor=me.email, at=at),
    "idea": _classify(kind=Kind.idea, tags=["snö"]),
    "praise": _classify(kind=Kind.praise, priority=Priority.high, urgency="danger"),
    "calm": _classify(urgency="none", wants_answer=False, tags=["a", "b"]),
    "snooze": lambda db, me, n, at: cases.snooze(db, n, until=at + timedelta(days=1), actor=me.email, at=at),
    "no follow-up": lambda db, me, n, at: cases.snooze(db, n, until=None, actor=me.email, at=at),
    "follow": _follow(Following.follow),
    "mute": _follow(Following.mute),
    "unfollow": _follow(None),
    "link": lambda db, me, n, at: merging.link(db, n, other=_other(db, n), actor=me.email, at=at),
    "unlink": lambda db, me, n, at: merging.link(db, n, other=_other(db, n), linked=False, actor=me.email, at=at),
    "merge": lambda db, me, n, at: merging.merge(db, n, into=_other(db, n), actor=me.email, at=at),
    "absorb": lambda db, me, n, at: merging.merge(db, _other(db, n), into=n, actor=me.email, at=at),
    "split": _split,
    "answer": _answer,
}


@pytest.mark.timeout(300)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.booleans()), min_size=1, max_size=6),
    due=st.booleans(),
)
def test_any_actions_undone_in_reverse_leave_the_stored_state_as_it_was(
    database: Database, steps: list[tuple[str, bool]], due: bool
) -> None:
    """Each step in one of two cases; ``due``: the first has a flag and a follow-up behind it."""
    with database.transaction() as db:
        try:
            check_walk(db, steps, due)
        finally:
            db.rollback()


def check_walk(db: Session, steps: list[tuple[str, bool]], due: bool) -> None:
    me = user(db)
    first, second = opened(db, "a", "b", "c").id, opened(db, "other").id
    db.add(Draft(case_id=first, user_id=me.id, kind="note", body="x", case_version=1, updated_at=MORNING))
    cases.note(db, first, body="obs", user=user(db, "bo"), at=MORNING)
    if due:
        cases.snooze(db, first, until=MORNING + SECOND, actor="bo@storby.example", at=MORNING)
        cases.follow_up_due(db, first, actor="scheduler", at=MORNING + 2 * SECOND)
    at = MORNING + timedelta(hours=2)
    before: list[tuple[int, dict[str, Any]]] = []
    for step, there in steps:
        at += SECOND
        number = second if there and step not in ("merge", "absorb", "link", "unlink") else first
        was = state(db, first, second)
        try:
            with batches.begin(db, me, step, at) as batch, db.begin_nested():
                STEPS[step](db, me, number, at)
        except (InvalidTransition, InvalidInput, NotFoundError):
            continue
        if batch.id is not None:
            before.append((batch.id, was))
    for number, was in reversed(before):
        at += SECOND
        undone = batches.undo(db, number, me, at)
        assert undone.not_undone == []
        now = state(db, first, second)
        if any(step == "answer" for step, _ in steps):  # it stays there, withdrawn: something was done
            was, now = ({k: v for k, v in each.items() if not k.endswith(SAID)} for each in (was, now))
        assert now == was
        assert batches.undo(db, number, me, at) == batches.Undone(0, [])
    for number in (first, second):
        check_history(db, number)


# -- single promises ---------------------------------------------------------------------------------------------------


def test_what_another_has_changed_since_stays_and_is_told(database: Database) -> None:
    with database.transaction() as db:
        me, bo = user(db), user(db, "bo")
        one, two = opened(db, "a"), opened(db, "other")
        batch = did(
            db, me, MORNING,
            lambda: cases.classify(db, one.id, kind=Kind.idea, priority=Priority.high, actor=me.email, at=MORNING),
            lambda: cases.change_status(db, one.id, target=CaseStatus.resolved, actor=me.email, at=MORNING),
            lambda: cases.assign(db, two.id, assignee=me, actor=me.email, at=MORNING),
        )  # fmt: skip
        cases.classify(db, one.id, priority=Priority.urgent, actor=bo.email, at=MORNING)
        cases.assign(db, two.id, assignee=bo, actor=me.email, at=MORNING)
        undone = batches.undo(db, batch, me, MORNING + SECOND)
        assert (one.status, one.kind, one.priority) == ("new", "other", "urgent")
        assert (two.assignee_id, two.status) == (bo.id, "open")
        assert undone.cases == 1
        assert undone.not_undone == [(two.id, "status"), (two.id, "assignee"), (one.id, "priority")]
        assert one.settled == ["priority"]


def test_changed_there_and_back_again_is_changed(database: Database) -> None:
    with database.transaction() as db:
        me, case = user(db), opened(db)
        batch = did(
            db,
            me,
            MORNING,
            lambda: cases.change_status(db, case.id, target=CaseStatus.resolved, actor=me.email, at=MORNING),
        )
        take(db, said("b", to="a"))
        cases.change_status(db, case.id, target=CaseStatus.resolved, actor="bo@storby.example", at=MORNING)
        assert batches.undo(db, batch, me, MORNING).not_undone == [(case.id, "status")]
        assert case.status == "resolved"


def test_a_message_that_came_meanwhile_does_not_hinder(database: Database) -> None:
    with database.transaction() as db:
        me, case = user(db), opened(db)
        batch = did(
            db,
            me,
            MORNING,
            lambda: cases.change_status(db, case.id, target=CaseStatus.open, actor=me.email, at=MORNING),
        )
        take(db, said("b", to="a"))
        assert batches.undo(db, batch, me, MORNING).not_undone == []
        db.refresh(case)
        assert (case.status, case.mention_count) == ("new", 2)


def test_only_ones_own_is_undone_and_only_once(database: Database) -> None:
    with database.transaction() as db:
        me, bo, case = user(db), user(db, "bo"), opened(db)
        batch = did(db, me, MORNING, lambda: cases.assign(db, case.id, assignee=bo, actor=me.email, at=MORNING))
        with pytest.raises(NotFoundError):
            batches.undo(db, batch, bo, MORNING)
        assert batches.last_of(db, me) == batch
        assert batches.undo(db, batch, me, MORNING) == batches.Undone(1, [])
        assert batches.last_of(db, me) is None
        version = case.version
        assert batches.undo(db, batch, me, MORNING) == batches.Undone(0, [])
        assert case.version == version


def test_the_event_that_undoes_names_the_one_undone(database: Database) -> None:
    with database.transaction() as db:
        me, case = user(db), opened(db)
        batch = did(db, me, MORNING, lambda: cases.assign(db, case.id, assignee=me, actor=me.email, at=MORNING))
        batches.undo(db, batch, me, MORNING)
        took, undid = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id)).all()[1:]
        assert (took.action, undid.action, undid.undoes_id) == ("take", "undo", took.id)
        assert (undid.from_status, undid.to_status) == ("open", "new"), "no row of the table leads there"
        assert undid.changes == {"assignee": [me.email, None]}


def test_what_has_been_written_under_a_merged_message_goes_back_with_it(database: Database) -> None:
    with database.transaction() as db:
        me, first, second = user(db), opened(db, "a"), opened(db, "other")
        note = cases.note(db, first.id, body="obs", user=me, at=MORNING)
        draft = Draft(case_id=first.id, user_id=me.id, kind="reply", body="x", case_version=1, updated_at=MORNING)
        db.add(draft)
        batch = did(db, me, MORNING, lambda: merging.merge(db, first.id, into=second.id, actor=me.email, at=MORNING))
        db.refresh(draft)
        assert draft.case_id == second.id
        take(db, said("b", to="a"), said("c", to="other"))
        later = cases.note(db, second.id, body="nytt", user=me, at=MORNING)
        assert batches.undo(db, batch, me, MORNING) == batches.Undone(2, [])
        for row in (first, second, note, later, draft):
            db.refresh(row)
        where = {m.external_id: m.case_id for m in db.scalars(select(Mention))}
        assert where == {"a": first.id, "b": first.id, "other": second.id, "c": second.id}
        assert (first.status, first.merged_into_id, first.mention_count, second.mention_count) == ("new", None, 2, 2)
        assert (note.case_id, draft.case_id, later.case_id) == (first.id, first.id, second.id)


def test_a_merge_that_was_merged_on_stays(database: Database) -> None:
    with database.transaction() as db:
        me, first, second, third = user(db), opened(db, "a"), opened(db, "other"), opened(db, "third")
        batch = did(db, me, MORNING, lambda: merging.merge(db, first.id, into=second.id, actor=me.email, at=MORNING))
        merging.merge(db, second.id, into=third.id, actor="bo@storby.example", at=MORNING)
        assert batches.undo(db, batch, me, MORNING) == batches.Undone(
            0, [(second.id, "merged_into"), (first.id, "merged_into")]
        )


def test_a_split_goes_back_unless_a_colleague_has_taken_it_up(database: Database) -> None:
    with database.transaction() as db:
        me, case = user(db), opened(db, "a", "b")
        top = db.scalars(select(Mention.id).where(Mention.external_id == "b")).one()

        def split() -> tuple[int, Case]:
            with batches.begin(db, me, "split", MORNING) as batch:
                made = merging.split(db, case.id, mention_id=top, actor=me.email, at=MORNING)
            assert batch.id is not None
            return batch.id, made

        batch, made = split()
        assert batches.undo(db, batch, me, MORNING).not_undone == []
        db.refresh(made)
        db.refresh(case)
        assert (case.mention_count, made.mention_count, made.merged_into_id) == (2, 0, case.id)
        batch, made = split()
        cases.assign(db, made.id, assignee=user(db, "bo"), actor="bo@storby.example", at=MORNING)
        assert batches.undo(db, batch, me, MORNING).not_undone == [(case.id, "split"), (made.id, "split")]
        check_history(db, case.id)
        check_history(db, made.id)


def test_what_failed_inside_a_savepoint_is_no_part_of_the_batch(database: Database) -> None:
    with database.transaction() as db:
        me, one, two = user(db), opened(db, "a"), opened(db, "other")
        with batches.begin(db, me, "bulk", MORNING) as batch:
            cases.assign(db, one.id, assignee=me, actor=me.email, at=MORNING)
            with pytest.raises(InvalidInput), db.begin_nested():
                cases.assign(db, two.id, assignee=me, actor=me.email, at=MORNING)
                cases.snooze(db, two.id, until=MORNING, actor=me.email, at=MORNING)
        assert [event.case_id for event in batch.events] == [one.id]
        db.refresh(two)
        assert two.assignee_id is None


def test_a_large_batch_is_undone_a_part_at_a_time(database: Database) -> None:
    with database.transaction() as db:
        me = user(db)
        numbers = [opened(db, f"m{n}").id for n in range(5)]
        batch = batches.start(db, me, "bulk", MORNING)
        for part in (numbers[:3], numbers[3:]):
            with batches.begin(db, me, "bulk", MORNING, onto=batch.id):
                for number in part:
                    cases.assign(db, number, assignee=me, actor=me.email, at=MORNING)
        parts = [batches.undo(db, batch.id, me, MORNING, at_most=2) for _ in range(4)]
        assert [(part.cases, part.left) for part in parts] == [(2, 3), (2, 1), (1, 0), (0, 0)]
        assert set(db.scalars(select(Case.assignee_id).where(Case.id.in_(numbers)))) == {None}
        assert batch.undone_at is not None


def test_an_answer_that_is_out_stays(database: Database) -> None:
    with database.transaction() as db:
        me, case = user(db), opened(db)
        batch = did(db, me, MORNING, lambda: _answer(db, me, case.id, MORNING))
        reply = db.scalars(select(Reply)).one()
        reply.status = "sent"
        db.flush()
        assert batches.undo(db, batch, me, MORNING) == batches.Undone(0, [(case.id, "reply")])


# -- what follows ------------------------------------------------------------------------------------------------------


def seen_by(db: Session, who: User) -> list[str]:
    return [notice.kind for notice in db.scalars(select(Notice).where(Notice.user_id == who.id).order_by(Notice.id))]


def test_whom_a_note_names_hears_of_it_and_follows(database: Database) -> None:
    with database.transaction() as db:
        me, bo, eva = user(db, "anna"), user(db, "bo"), user(db, "eva")
        gata = team(db)
        gata.members = [TeamMember(email=eva.email), TeamMember(email=me.email)]
        number = opened(db).id
    reactions.react(database, MORNING)
    with database.transaction() as db:
        cases.note(db, number, body="@bo och @Gata: titta", user=me, at=MORNING)
    reactions.react(database, MORNING)
    with database.transaction() as db:
        assert (seen_by(db, bo), seen_by(db, eva), seen_by(db, me)) == (["mentioned"], ["mentioned"], [])
        assert [follow.user_id for follow in db.scalars(select(Follow))] == [bo.id], "a team does not follow"
        take(db, said("b", to="a"))
    reactions.react(database, MORNING)
    with database.transaction() as db:
        assert (seen_by(db, bo), seen_by(db, eva)) == (["mentioned", "author_wrote"], ["mentioned"])
        cases.follow(db, number, user=bo, wanted=Following.mute, actor=bo.email, at=MORNING)
        cases.note(db, number, body="@bo?", user=me, at=MORNING)
        take(db, said("c", to="a"))
    reactions.react(database, MORNING)
    with database.read() as db:
        assert seen_by(db, bo) == ["mentioned", "author_wrote"], "muted"


def test_a_closed_team_s_case_is_told_to_nobody_outside(database: Database) -> None:
    with database.transaction() as db:
        me, bo, boss = user(db, "anna"), user(db, "bo"), user(db, "boss", "manager")
        closed = team(db)
        closed.members_only, closed.members = True, [TeamMember(email=me.email)]
        number = opened(db).id
        cases.assign_team(db, number, team=closed, actor=me.email, at=MORNING)
        cases.note(db, number, body="@bo @boss", user=me, at=MORNING)
    reactions.react(database, MORNING)
    with database.read() as db:
        assert (seen_by(db, bo), seen_by(db, boss)) == ([], ["mentioned"])


def test_a_notice_that_nobody_has_seen_goes_with_what_is_undone(database: Database) -> None:
    with database.transaction() as db:
        me, bo = user(db), user(db, "bo")
        number = opened(db).id
        batch = did(db, me, MORNING, lambda: cases.assign(db, number, assignee=bo, actor=me.email, at=MORNING))
    reactions.react(database, MORNING)
    with database.transaction() as db:
        assert seen_by(db, bo) == ["take"]
        batches.undo(db, batch, me, MORNING)
    reactions.react(database, MORNING)
    with database.read() as db:
        assert seen_by(db, bo) == []


def test_a_promise_kept_by_resolving_is_open_again(database: Database) -> None:
    with database.transaction() as db:
        me = user(db)
        number = opened(db).id
        reply = _answer(db, me, number, MORNING)
        assert isinstance(reply, Reply)
        cases.change_status(db, number, target=CaseStatus.open, actor=me.email, at=MORNING)
        made = Promise(
            case_id=number, reply_id=reply.id, words="imorgon", due_at=MORNING + timedelta(days=1),
            back_at=MORNING + timedelta(hours=20), owner_id=me.id, state="open",
            made_at=MORNING + timedelta(minutes=61),
        )  # fmt: skip
        db.add(made)
        db.flush()
        at = MORNING + timedelta(hours=2)
        batch = did(
            db, me, at, lambda: cases.change_status(db, number, target=CaseStatus.resolved, actor=me.email, at=at)
        )
    reactions.react(database, MORNING)
    with database.transaction() as db:
        assert db.get_one(Promise, made.id).state == "kept"
        batches.undo(db, batch, me, MORNING + timedelta(hours=3))
    reactions.react(database, MORNING + timedelta(hours=3))
    with database.read() as db:
        assert db.get_one(Promise, made.id).state == "open"
        case = db.get_one(Case, number)
        assert (case.status, case.follow_up_at) == ("open", MORNING + timedelta(hours=20))


def test_a_story_that_a_merge_ended_is_one_again(database: Database) -> None:
    with database.transaction() as db:
        me = user(db)
        snow = "Plogen har inte varit på Almgatan på tre dagar, bussen kommer inte fram till skolan"
        us = account(db, "us").id
        take(db, said("a", "ada", text=snow), said("b", "bea", text=snow), account_id=us)
        one, two = (db.scalars(select(Mention.case_id).where(Mention.external_id == id)).one() for id in "ab")
    reactions.react(database, MORNING)
    assert one is not None and two is not None
    with database.transaction() as db:
        before = [db.get_one(Case, number).story_id for number in (one, two)]
        assert before[0] is not None and before[0] == before[1]
        batch = did(db, me, MORNING, lambda: merging.merge(db, one, into=two, actor=me.email, at=MORNING))
    reactions.react(database, MORNING)
    with database.transaction() as db:
        batches.undo(db, batch, me, MORNING)
    reactions.react(database, MORNING)
    with database.read() as db:
        assert [db.get_one(Case, number).story_id for number in (one, two)] == before
        assert db.scalars(select(Story.size).where(Story.id == before[0])).one() == 2
