"""Promises of stored answers: proposed, stood by, back on their day, kept or late, counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from database import Database
from errors import InvalidInput, InvalidTransition, NotFoundError
from house import House, declare
from models import Case, CaseEvent, CaseStatus, Mention, Notice, Promise, Reply, Team, Then
from tests.factories import MORNING, case_of, ours, said, take, user
from triage import answering, cases, ledger, merging, reactions, upkeep

# MORNING is Tuesday 24 November 2026, 09:00 in Stockholm.
FRIDAY = datetime(2026, 11, 27, 14, 0, tzinfo=UTC)  # 15:00 there, when the office closes
BACK = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)  # when it opens
OFFICE = {
    "name": "office",
    "timezone": "Europe/Stockholm",
    "hours": {"mon-thu": ["08:00-16:30"], "fri": ["08:00-15:00"]},
}


@pytest.fixture
def storby(make_house: Callable[..., House]) -> Database:
    house = make_house(calendars=[OFFICE])
    declare(house, MORNING)
    with house.database.transaction() as db:
        take(db, said("a", text="När lagas lyktan på Storgatan?"))
    return house.database


def follow(database: Database, at: datetime = MORNING) -> None:
    while reactions.react(database, at):
        pass


def answer(database: Database, body: str, *, then: Then = Then.keep, at: datetime = MORNING) -> int:
    with database.transaction() as db:
        mention = db.scalars(select(Mention).where(Mention.external_id == "a")).one()
        assert mention.case_id is not None
        reply = answering.reply(
            db, mention.case_id, body=body, to_mention_id=mention.id, user=user(db), then=then, private=False,
            hold=timedelta(minutes=1), idempotency_key=None, account_id=None, at=at,
        )  # fmt: skip
        number = reply.id
    follow(database, at)
    return number


def the_promise(db: Session) -> Promise:
    return db.scalars(select(Promise)).one()


def accepted(database: Database) -> None:
    answer(database, "Vi lagar den på fredag.")
    with database.transaction() as db:
        ledger.accept(db, the_promise(db).id, owner=user(db), actor="eva@storby.example", at=MORNING)
    follow(database)


def test_an_answer_that_promises_proposes_the_day_and_the_owner(storby: Database) -> None:
    answer(storby, "Hej! Vi lagar den på fredag. /Eva")
    with storby.read() as db:
        promise = the_promise(db)
        assert (promise.words, promise.due_at, promise.state) == ("Vi lagar den på fredag.", FRIDAY, "proposed")
        assert promise.owner is not None
        assert promise.owner.name == "Eva"
        assert db.get_one(Case, promise.case_id).follow_up_at is None, "nothing comes back that nobody stands by"


def test_one_that_promises_nothing_proposes_nothing(storby: Database) -> None:
    answer(storby, "Tack, vi tittar på det!")
    with storby.read() as db:
        assert db.scalars(select(Promise)).all() == []


def test_what_we_promised_in_the_networks_own_app_counts_too(storby: Database) -> None:
    with storby.transaction() as db:
        take(db, ours("r", text="Vi lagar den på fredag", to="a", minutes=5))
    follow(storby)
    with storby.read() as db:
        assert the_promise(db).due_at == FRIDAY


def test_an_answer_that_never_went_out_promised_nothing(storby: Database) -> None:
    reply = answer(storby, "Vi lagar den på fredag.")
    with storby.transaction() as db:
        answering.cancel_reply(db, reply, actor="eva@storby.example", at=MORNING)
    follow(storby)
    with storby.read() as db:
        assert the_promise(db).state == "dropped"


def test_stood_by_it_comes_back_on_its_day_and_its_owner_is_told(storby: Database) -> None:
    accepted(storby)
    with storby.read() as db:
        number = the_promise(db).case_id
        assert db.get_one(Case, number).follow_up_at == BACK
        event = db.scalars(select(CaseEvent).where(CaseEvent.action == "promise")).one()
        assert event.changes["owner"] == [None, "eva@storby.example"]
    upkeep.tick(storby, BACK - timedelta(minutes=1))
    with storby.read() as db:
        assert db.get_one(Case, number).flag is None
    upkeep.tick(storby, BACK)
    follow(storby, BACK)
    with storby.read() as db:
        case = db.get_one(Case, number)
        assert (case.status, case.flag) == ("open", "follow_up_due")
        assert [notice.kind for notice in db.scalars(select(Notice))] == ["follow_up_due"]
        assert ledger.counts(db, MORNING, FRIDAY, FRIDAY + timedelta(hours=1)) == ledger.Counts(1, 0, 0, 1, 1)
        assert ledger.due_today(db, user(db), FRIDAY - timedelta(hours=9), ZoneInfo("Europe/Stockholm")) == 1
        assert ledger.due_today(db, user(db), FRIDAY - timedelta(hours=16), ZoneInfo("Europe/Stockholm")) == 0


@pytest.mark.parametrize(("hours", "wanted"), [(-1, ledger.Counts(1, 1, 0, 0, 0)), (1, ledger.Counts(1, 0, 1, 0, 0))])
def test_kept_in_time_or_late(storby: Database, hours: int, wanted: ledger.Counts) -> None:
    accepted(storby)
    at = FRIDAY + timedelta(hours=hours)
    upkeep.tick(storby, at)
    with storby.transaction() as db:
        promise = ledger.keep(db, the_promise(db).id, actor="eva@storby.example", at=at)
        case = db.get_one(Case, promise.case_id)
        assert (case.follow_up_at, case.flag) == (None, None)
        assert ledger.counts(db, MORNING, FRIDAY, at) == wanted
        with pytest.raises(InvalidTransition):
            ledger.keep(db, promise.id, actor="eva@storby.example", at=at)


def test_settling_the_matter_keeps_what_was_promised_before_but_not_what_the_same_answer_promises(
    storby: Database,
) -> None:
    accepted(storby)
    answer(storby, "Nu är den lagad. Vi ringer dig i morgon!", then=Then.resolve, at=MORNING + timedelta(hours=5))
    with storby.read() as db:
        assert [promise.state for promise in db.scalars(select(Promise).order_by(Promise.id))] == ["kept", "proposed"]


def test_another_day_can_be_agreed_on_but_not_a_past_one(storby: Database) -> None:
    answer(storby, "Vi lagar den på fredag.")
    with storby.transaction() as db:
        eva, promise = user(db), the_promise(db).id
        with pytest.raises(InvalidInput):
            ledger.accept(db, promise, owner=eva, due_at=MORNING, actor=eva.email, at=MORNING)
        later = FRIDAY + timedelta(days=3)
        assert ledger.accept(db, promise, owner=eva, due_at=later, actor=eva.email, at=MORNING).due_at == later
        with pytest.raises(InvalidTransition):
            ledger.accept(db, promise, owner=eva, actor=eva.email, at=MORNING)
        with pytest.raises(NotFoundError):
            ledger.keep(db, 99, actor=eva.email, at=MORNING)


def test_dropped_it_counts_nowhere_and_brings_nothing_back(storby: Database) -> None:
    accepted(storby)
    with storby.transaction() as db:
        promise = ledger.drop(db, the_promise(db).id, actor="eva@storby.example", at=MORNING)
        assert db.get_one(Case, promise.case_id).follow_up_at is None
        assert ledger.counts(db, MORNING, FRIDAY, FRIDAY) == ledger.Counts(0, 0, 0, 0, 0)


def test_promises_go_where_their_answer_goes(storby: Database) -> None:
    accepted(storby)
    with storby.transaction() as db:
        take(db, said("z", "bo", text="Lyktan på Storgatan är trasig"))
        into, old = case_of(db, "z"), case_of(db, "a")
        assert into is not None
        assert old is not None
        merging.merge(db, old, into=into, actor="eva@storby.example", at=MORNING)
        assert the_promise(db).case_id == into
        assert db.get_one(Case, into).follow_up_at == BACK
        mention = db.scalars(select(Mention).where(Mention.external_id == "a")).one()
        apart = merging.split(db, into, mention_id=mention.id, actor="eva@storby.example", at=MORNING)
        assert the_promise(db).case_id == apart.id
        assert db.scalars(select(Reply)).one().case_id == apart.id


def test_closing_by_age_keeps_no_promise(storby: Database) -> None:
    accepted(storby)
    with storby.transaction() as db:
        cases.change_status(db, the_promise(db).case_id, target=CaseStatus.resolved, actor="rule:x", at=MORNING)
    follow(storby)
    with storby.read() as db:
        assert the_promise(db).state == "open"


def test_of_two_promises_each_brings_the_case_back(storby: Database) -> None:
    accepted(storby)
    answer(storby, "Vi ringer dig på måndag.", at=MORNING + timedelta(minutes=5))
    with storby.transaction() as db:
        second = db.scalars(select(Promise).where(Promise.state == "proposed")).one()
        number, monday = second.case_id, second.back_at
        ledger.accept(db, second.id, owner=user(db), actor="eva@storby.example", at=MORNING)
        assert db.get_one(Case, number).follow_up_at == BACK
    upkeep.tick(storby, FRIDAY)
    with storby.transaction() as db:
        assert db.get_one(Case, number).follow_up_at == monday
        ledger.keep(
            db, db.scalars(select(Promise.id).order_by(Promise.id)).first() or 0, actor="eva@storby.example", at=FRIDAY
        )
        assert db.get_one(Case, number).follow_up_at == monday
    upkeep.tick(storby, monday)
    with storby.read() as db:
        assert db.get_one(Case, number).flag == "follow_up_due"


def test_the_nearer_promise_kept_early_leaves_the_other(storby: Database) -> None:
    accepted(storby)
    answer(storby, "Vi ringer dig på måndag.", at=MORNING + timedelta(minutes=5))
    with storby.transaction() as db:
        first, second = db.scalars(select(Promise).order_by(Promise.id))
        ledger.accept(db, second.id, owner=user(db), actor="eva@storby.example", at=MORNING)
        ledger.keep(db, first.id, actor="eva@storby.example", at=MORNING)
        assert db.get_one(Case, second.case_id).follow_up_at == second.back_at


def test_split_off_a_promise_still_brings_its_case_back(storby: Database) -> None:
    accepted(storby)
    with storby.transaction() as db:
        take(db, said("b", "bo", to="a", text="Och vägen?", minutes=-5))
        number = case_of(db, "a")
        assert number is not None
        top = db.scalars(select(Mention).where(Mention.external_id == "b")).one()
        apart = merging.split(db, number, mention_id=top.id, actor="eva@storby.example", at=MORNING)
        assert (db.get_one(Case, number).follow_up_at, apart.follow_up_at) == (BACK, None)
    with storby.transaction() as db:
        merging.merge(db, apart.id, into=number, actor="eva@storby.example", at=MORNING)
        mention = db.scalars(select(Mention).where(Mention.external_id == "a")).one()
        assert mention.case_id == number
        mention.in_reply_to = None
    with storby.transaction() as db:
        top = db.scalars(select(Mention).where(Mention.external_id == "b")).one()
        top.in_reply_to = None  # so that the one with the promise can go alone
        again = merging.split(db, number, mention_id=mention.id, actor="eva@storby.example", at=MORNING)
        assert (db.get_one(Case, number).follow_up_at, again.follow_up_at) == (None, BACK)


def test_what_is_sent_after_all_promises_after_all(storby: Database) -> None:
    reply = answer(storby, "Vi lagar den på fredag.")
    with storby.transaction() as db:
        db.get_one(Reply, reply).status = "queued"
        answering.reply_called(db, reply, worker="w", at=MORNING + timedelta(minutes=1))
        answering.reply_failed(db, reply, reason="gone", error="no", actor="outbox", at=MORNING)
    follow(storby)
    with storby.transaction() as db:
        assert [promise.state for promise in db.scalars(select(Promise))] == ["dropped"]
        answering.send_again(db, reply, actor="eva@storby.example", at=MORNING)
    follow(storby)
    with storby.read() as db:
        assert [promise.state for promise in db.scalars(select(Promise).order_by(Promise.id))] == [
            "dropped",
            "proposed",
        ]


def test_a_promise_goes_where_its_answer_has_gone(storby: Database) -> None:
    with storby.transaction() as db:
        take(db, said("b", "bo", text="Lyktan är trasig på Storgatan"))
        mention = db.scalars(select(Mention).where(Mention.external_id == "a")).one()
        first, other = mention.case_id, case_of(db, "b")
        assert first is not None and other is not None
        answering.reply(
            db, first, body="Vi lagar den på fredag.", to_mention_id=mention.id, user=user(db), then=Then.keep,
            private=False, hold=timedelta(minutes=1), idempotency_key=None, account_id=None, at=MORNING,
        )  # fmt: skip
        merging.merge(db, first, into=other, actor="eva@storby.example", at=MORNING)
    follow(storby)
    with storby.read() as db:
        assert the_promise(db).case_id == other, "the promise stays behind in a case that nobody opens again"


@pytest.mark.parametrize("body", ["Vi återkommer på fredag.", "We will come back to you on Friday."])
def test_an_answer_need_not_be_in_the_language_it_was_asked_in(storby: Database, body: str) -> None:
    answer(storby, body)
    with storby.transaction() as db:
        assert the_promise(db).words == body


def test_friday_is_friday_for_a_team_that_never_closes(make_house: Callable[..., House]) -> None:
    round_the_clock = {"name": "duty", "timezone": "Europe/Stockholm", "hours": {"mon-sun": ["00:00-24:00"]}}
    house = make_house(calendars=[round_the_clock], teams=[{"name": "Gata", "calendar": "duty"}])
    declare(house, MORNING)
    with house.database.transaction() as db:
        take(db, said("a", text="När lagas lyktan på Storgatan?"))
        number = db.scalars(select(Case.id)).one()
        cases.assign_team(db, number, team=db.scalars(select(Team)).one(), actor="anna@storby.example", at=MORNING)
    answer(house.database, "Vi återkommer på fredag.")
    with house.database.transaction() as db:
        assert the_promise(db).due_at == datetime(2026, 11, 27, 22, 59, tzinfo=UTC)


def test_what_is_promised_for_today_comes_back_an_hour_before_the_day_ends(storby: Database) -> None:
    answer(storby, "Vi ringer dig i eftermiddag!")
    closing = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    with storby.transaction() as db:
        promise = ledger.accept(db, the_promise(db).id, owner=user(db), actor="eva@storby.example", at=MORNING)
        assert (promise.due_at, promise.back_at) == (closing, closing - timedelta(hours=1))
        assert db.get_one(Case, promise.case_id).follow_up_at == promise.back_at
