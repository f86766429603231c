"""One answer for all: personal, checked, paced, within the budget, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import channels
from errors import InvalidInput, NotFoundError
from house import House, declare
from models import Account, Case, CaseStatus, Mention, Reply, SharedAnswer, SharedAnswerPart, Story, Then
from money import spend
from replies import shared
from tests.factories import MORNING, case_of, ours, said, take, user
from tests.screens import ACCOUNTS
from triage import answering, cases

X = "twitter"
PACE = channels.capabilities(X).pace
TEXTS = {"sv": "Hej {name}! Vi plogar nu. /{agent}", "en": "Hello {name}, we are ploughing now."}


@pytest.fixture
def storby(make_house: Callable[..., House]) -> House:
    house = make_house(accounts=ACCOUNTS, replies={"hold": "10s"})
    declare(house, MORNING)
    return house


def storm(house: House, *people: str, language: str = "sv", **more: Any) -> int:
    """A story with a case of each of these people, on X; returns its number."""
    with house.database.transaction() as db:
        account = db.scalars(select(Account)).one().id
        story = db.scalars(select(Story)).first() or Story(title="Snö", opened_at=MORNING, last_at=MORNING)
        db.add(story)
        db.flush()
        for who in people:
            take(db, said(who, who, text="Plogas det inte?", **more), channel=X, account_id=account)
            number = case_of(db, who)
            assert number is not None
            cases.classify(db, number, language=language, noise="none", actor="t", at=MORNING)
            cases.join_story(db, number, story_id=story.id, actor="stories", at=MORNING)
        return story.id


def preview(house: House, story: int, texts: dict[str, str] = TEXTS) -> list[shared.Part]:
    with house.database.transaction() as db:
        return shared.preview(db, house, story, texts, user=user(db), at=MORNING)


def send(house: House, story: int, *, key: str = "k", then: Then = Then.keep, only: set[int] | None = None) -> int:
    with house.database.transaction() as db:
        chosen = {case.id for case in db.scalars(select(Case))} if only is None else only
        answer = shared.submit(
            db, house, story, texts=TEXTS, chosen=chosen, key=key, then=then, user=user(db), at=MORNING
        )
        return answer.id


def replies(db: Session) -> list[Reply]:
    return list(db.scalars(select(Reply).order_by(Reply.not_before, Reply.id)))


def problems(parts: list[shared.Part]) -> list[str | None]:
    return [part.problem for part in parts]


# -- looking ahead ----------------------------------------------------------------------------------------------------


def test_each_gets_it_in_their_language_by_their_name_at_their_turn(storby: House) -> None:
    story = storm(storby, "anna", "bo")
    storm(storby, "carl", language="fi")
    storm(storby, "dorthe", language="da")
    parts = preview(storby, story)
    assert [part.body for part in parts] == [
        "Hej Anna! Vi plogar nu. /Eva",
        "Hej Bo! Vi plogar nu. /Eva",
        "Hello Carl, we are ploughing now.",
        "Hej Dorthe! Vi plogar nu. /Eva",
    ]
    first = MORNING + timedelta(seconds=10)
    assert [part.not_before for part in parts] == [first + n * PACE for n in range(4)]
    assert {part.micro_usd for part in parts} == {10_000}
    assert all(part.limit == 280 and part.length == len(part.body) for part in parts)
    with storby.database.read() as db:
        assert db.scalar(select(func.count()).select_from(Reply)) == 0, "nothing is written"


def test_what_cannot_be_sent_says_why(storby: House) -> None:
    story = storm(storby, "anna")
    storm(storby, "bo", "carl", "dina", "erik")
    with storby.database.transaction() as db:
        asked = db.scalars(select(Mention).where(Mention.external_id == "bo")).one()
        asked.can_reply, asked.can_reply_reason = False, "not_summoned"
        bot, not_us = case_of(db, "carl"), case_of(db, "dina")
        assert bot is not None
        assert not_us is not None
        cases.classify(db, bot, noise="bot", actor="t", at=MORNING)
        cases.change_status(db, not_us, target=CaseStatus.ignored, actor="t", at=MORNING)
    assert problems(preview(storby, story)) == [None, "not_summoned", "noise", "ignored", None]
    assert problems(preview(storby, story, {"sv": "å" * 281})) == [
        "too_long", "not_summoned", "noise", "ignored", "too_long",
    ]  # fmt: skip


def test_the_network_refuses_the_same_words_twice(storby: House) -> None:
    story = storm(storby, "anna", "bo")
    assert problems(preview(storby, story, {"sv": "Vi plogar nu."})) == [None, "repeats"]
    assert problems(preview(storby, story)) == [None, None]


def test_who_was_answered_meanwhile_is_not_advised(storby: House) -> None:
    story = storm(storby, "anna", "bo")
    with storby.database.transaction() as db:
        account = db.scalars(select(Account)).one().id
        take(db, ours("r", text="Vi kommer", to="anna", minutes=9), channel=X, account_id=account)
    assert [(part.problem, part.advised) for part in preview(storby, story)] == [(None, False), (None, True)]


def test_the_budget_is_not_overdrawn(make_house: Callable[..., House]) -> None:
    house = make_house(accounts=[{**ACCOUNTS[0], "monthly_budget_usd": 1}], replies={"hold": "10s"})
    declare(house, MORNING)
    story = storm(house, "anna", "bo", "carl")
    with house.database.transaction() as db:
        account = db.scalars(select(Account)).one().id
        spend(db, account, None, operation="reply", units=1, micro_usd=975_000, at=MORNING)
    assert problems(preview(house, story)) == [None, None, "budget"]
    send(house, story, only={1, 2})
    shared.work_off(house, MORNING)
    with house.database.transaction() as db:
        again = shared.preview(db, house, story, TEXTS, user=user(db), at=MORNING)
    assert problems(again) == ["budget"] * 3, "what waits to be sent is spoken for"


def test_only_who_is_chosen_takes_a_turn_and_of_the_budget(make_house: Callable[..., House]) -> None:
    house = make_house(accounts=[{**ACCOUNTS[0], "monthly_budget_usd": 1}], replies={"hold": "10s"})
    declare(house, MORNING)
    story = storm(house, "anna", "bo", "carl")
    with house.database.transaction() as db:
        account = db.scalars(select(Account)).one().id
        spend(db, account, None, operation="reply", units=1, micro_usd=985_000, at=MORNING)
        parts = shared.preview(db, house, story, TEXTS, user=user(db), at=MORNING, chosen={3})
    assert problems(parts) == [None, None, None]
    assert [part.not_before for part in parts] == [None, None, MORNING + timedelta(seconds=10)]
    number = send(house, story, only={3})
    assert shared.work_off(house, MORNING) == 1
    with house.database.read() as db:
        assert dict(shared.progress(db, number).skipped) == {}


@pytest.mark.parametrize("texts", [{}, {"sv": "  "}, {"sv": "Hej {namn}!"}])
def test_a_text_that_says_nothing_or_asks_for_too_much(storby: House, texts: dict[str, str]) -> None:
    story = storm(storby, "anna")
    with pytest.raises(InvalidInput):
        preview(storby, story, texts)


def test_nobody_is_greeted_by_an_empty_name(storby: House) -> None:
    story = storm(storby, "anna")
    with storby.database.transaction() as db:
        case = db.scalars(select(Case)).one()
        assert case.author is not None
        case.author.name = ""
    assert preview(storby, story, {"sv": "Hej {name}! Vi plogar."})[0].body == "Hej! Vi plogar."


# -- sending ----------------------------------------------------------------------------------------------------------


def test_each_case_gets_one_ordinary_reply_however_often_it_is_asked_for(storby: House) -> None:
    story = storm(storby, "anna", "bo", "carl")
    number = send(storby, story, then=Then.resolve)
    assert send(storby, story) == number, "the same form sent again"
    assert shared.anything(storby)
    assert shared.work_off(storby, MORNING) == 3
    assert shared.work_off(storby, MORNING) == 0
    assert not shared.anything(storby)
    first = MORNING + timedelta(seconds=10)
    with storby.database.read() as db:
        found = replies(db)
        assert [reply.not_before for reply in found] == [first + n * PACE for n in range(3)]
        assert {reply.status for reply in found} == {"held"}
        assert {reply.idempotency_key for reply in found} == {f"shared-{number}-{n}" for n in (1, 2, 3)}
        assert {case.status for case in db.scalars(select(Case))} == {"resolved"}
        assert shared.progress(db, number).waiting == 3


def test_only_the_chosen_get_it(storby: House) -> None:
    story = storm(storby, "anna", "bo", "carl")
    send(storby, story, only={2})
    shared.work_off(storby, MORNING)
    with storby.database.read() as db:
        assert [reply.case_id for reply in replies(db)] == [2]
    with storby.database.transaction() as db, pytest.raises(InvalidInput):
        shared.submit(db, storby, story, texts=TEXTS, chosen=[], key="other", then=Then.keep, user=user(db), at=MORNING)
    with storby.database.transaction() as db, pytest.raises(NotFoundError):
        shared.submit(db, storby, 99, texts=TEXTS, chosen=[1], key="z", then=Then.keep, user=user(db), at=MORNING)


def test_who_was_answered_between_looking_and_sending_gets_it_not(storby: House) -> None:
    story = storm(storby, "anna", "bo")
    number = send(storby, story)
    with storby.database.transaction() as db:
        account = db.scalars(select(Account)).one().id
        take(db, ours("r", text="Vi kommer", to="anna", minutes=9), channel=X, account_id=account)
    shared.work_off(storby, MORNING)
    with storby.database.read() as db:
        assert [part.skipped for part in db.scalars(select(SharedAnswerPart))] == ["stale", None]
        done = shared.progress(db, number)
        assert (done.waiting, dict(done.skipped)) == (1, {"stale": 1})


def test_stopped_in_the_middle_undoes_what_has_not_left(storby: House) -> None:
    story = storm(storby, "anna", "bo", "carl")
    number = send(storby, story, then=Then.resolve)
    shared.work_off(storby, MORNING)
    with storby.database.transaction() as db:
        one = replies(db)[0]
        one.status = "queued"
        db.flush()
        answering.reply_called(db, one.id, worker="w", at=one.not_before or MORNING)
        answering.reply_sent(db, one.id, external_id="r", url=None, sent_at=MORNING, actor="outbox", at=MORNING)
    with storby.database.transaction() as db:
        assert shared.stop(db, number, actor="eva@storby.example", at=MORNING) == 2
    with storby.database.read() as db:
        done = shared.progress(db, number)
        assert (done.sent, done.undone, done.waiting) == (1, 2, 0)
        assert [case.status for case in db.scalars(select(Case).order_by(Case.id))] == ["resolved", "new", "new"]


def test_stopped_what_waits_for_a_rate_limit_is_undone_too(storby: House) -> None:
    number = send(storby, storm(storby, "anna", "bo"))
    shared.work_off(storby, MORNING)
    with storby.database.transaction() as db:
        for reply in replies(db):
            reply.status = "queued"
    with storby.database.transaction() as db:
        assert shared.stop(db, number, actor="eva@storby.example", at=MORNING) == 2
    with storby.database.read() as db:
        assert {reply.status for reply in replies(db)} == {"cancelled"}


def test_stopped_before_it_was_queued_sends_nothing(storby: House) -> None:
    number = send(storby, storm(storby, "anna"))
    with storby.database.transaction() as db:
        shared.stop(db, number, actor="eva@storby.example", at=MORNING)
    assert shared.work_off(storby, MORNING) == 0
    with storby.database.read() as db:
        done = shared.progress(db, number)
        assert (done.waiting, done.undone) == (0, 1)


def test_what_was_written_since_it_was_previewed_counts(storby: House) -> None:
    story = storm(storby, "anna", "bo")
    seen = {part.case.id: part.case.version for part in preview(storby, story)}
    with storby.database.transaction() as db:
        take(db, said("more", "anna", text="Och nu då?", to="anna", minutes=9), channel=X, account_id=1)
        shared.submit(
            db, storby, story, texts=TEXTS, chosen=None, key="k", then=Then.keep, user=user(db), at=MORNING, seen=seen
        )
    assert shared.work_off(storby, MORNING) == 1
    with storby.database.read() as db:
        assert [part.skipped for part in db.scalars(select(SharedAnswerPart))] == ["stale", None]


def test_the_next_answer_waits_for_the_one_before(storby: House) -> None:
    story = storm(storby, "anna", "bo")
    send(storby, story, only={1})
    shared.work_off(storby, MORNING)
    send(storby, story, only={2}, key="second")
    shared.work_off(storby, MORNING)
    with storby.database.read() as db:
        turns = [reply.not_before for reply in replies(db)]
    assert turns[0] is not None
    assert turns[1] == turns[0] + PACE


def test_who_joins_the_story_later_is_offered_it(storby: House) -> None:
    story = storm(storby, "anna")
    number = send(storby, story)
    storm(storby, "bo")
    with storby.database.read() as db:
        offered = {case.id: shared.offered(db, case) for case in db.scalars(select(Case))}
        assert offered[1] is None
        assert isinstance(offered[2], SharedAnswer)
        assert offered[2].id == number
        assert shared.newcomers(db, offered[2], story) == 1


def test_an_account_that_is_no_longer_declared_holds_nobody_up(storby: House) -> None:
    story = storm(storby, "anna")
    answer = send(storby, story)
    without = replace(storby, settings=storby.settings.model_copy(update={"accounts": ()}))
    assert problems(preview(without, story)) == ["no_account"]
    assert shared.work_off(without, MORNING) == 0
    with storby.database.read() as db:
        assert shared.progress(db, answer).skipped == {"no_account": 1}
