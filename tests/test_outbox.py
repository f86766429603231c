"""A reply is sent once or somebody is asked: the outbox over the wire, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from errors import CannotReply, InvalidInput, ReplyUncertain, StaleCase, TooLong
from models import Mention, Reply, Then
from replies.outbox import Outbox
from sandbox.base import Fault
from tests.town import Town, town
from triage import answering


@pytest.fixture
def storby(make_house: Any) -> Iterator[Town]:
    with town(make_house) as made:
        yield made


@pytest.fixture
def asked(storby: Town) -> str:
    """The id of a question that has been collected."""
    question = storby.network.write("Anna", "@storby när plogas Solgatan?")
    storby.collect()
    return question


def test_held_then_sent_once_and_seen_in_its_thread(storby: Town, asked: str) -> None:
    reply = storby.answer(asked, "I kväll, senast klockan 20.", then=Then.resolve)
    assert storby.send() == []
    assert storby.reply(reply).status == "held"
    storby.forward(seconds=11)
    (delivered,) = storby.send()
    assert (delivered.reply_id, delivered.status) == (reply, "sent")
    assert storby.send() == []
    answer = storby.network.posts()[-1]
    assert (answer.text, answer.in_reply_to, answer.ours) == ("I kväll, senast klockan 20.", asked, True)
    assert storby.reply(reply).external_id == answer.external_id
    case = storby.case(asked)
    assert (case.status, case.reply_count, case.first_response_at) == ("resolved", 1, storby.at)
    storby.collect()  # our own answer comes back, and is known
    assert storby.case(asked).reply_count == 1
    storby.network.write("Anna", "@storby den är fortfarande inte plogad!!", in_reply_to=answer.external_id)
    storby.collect()
    assert (storby.case(asked).status, storby.case(asked).mention_count) == ("open", 2)


def test_the_same_key_is_the_same_answer(storby: Town, asked: str) -> None:
    first = storby.answer(asked, "Ja", idempotency_key="k")
    assert storby.answer(asked, "Ja", idempotency_key="k") == first
    storby.forward(seconds=11)
    storby.send()
    assert storby.answer(asked, "Ja", idempotency_key="k") == first
    assert storby.seen_outside() == ["Ja"]


def test_what_cannot_succeed_is_refused_at_once(storby: Town, asked: str) -> None:
    stranger = storby.network.write("Bo", "Snö överallt i Storby")
    storby.collect("search")
    with pytest.raises(CannotReply) as caught:
        storby.answer(stranger, "Vi plogar")
    assert caught.value.reason == "not_summoned"
    with pytest.raises(TooLong):
        storby.answer(asked, "å" * 281)
    with pytest.raises(InvalidInput, match="empty"):
        storby.answer(asked, "  ")
    with pytest.raises(CannotReply, match="private"):
        storby.answer(asked, "Hej", private=True)
    version = storby.case(asked).version
    storby.network.write("Anna", "@storby hallå?", in_reply_to=asked)
    storby.collect()
    with pytest.raises(StaleCase):
        storby.answer(asked, "Ja", version=version)
    with storby.house.database.read() as db:
        assert db.scalars(select(Reply)).all() == []


@pytest.mark.parametrize("fault", [Fault.accept_then_cut, Fault.accept_then_hang])
def test_accepted_and_never_answered_is_looked_up_and_not_sent_again(storby: Town, asked: str, fault: Fault) -> None:
    storby.network.faults.hang_seconds = 2
    storby.network.faults.on(fault, 1)
    reply = storby.answer(asked, "Ja, i kväll.")
    storby.forward(seconds=11)
    (delivered,) = storby.send()
    assert delivered.status == "uncertain"
    assert storby.case(asked).flag == "reply_uncertain"
    (delivered,) = storby.send()
    assert delivered.status == "sent"
    assert storby.seen_outside() == ["Ja, i kväll."]
    assert (storby.case(asked).flag, storby.case(asked).reply_count) == (None, 1)
    assert storby.reply(reply).external_id == storby.network.posts()[-1].external_id


def test_seen_on_the_network_while_the_call_still_hangs(storby: Town, asked: str) -> None:
    storby.network.faults.hang_seconds = 2
    storby.network.faults.on(Fault.accept_then_hang, 1)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    sending = threading.Thread(target=storby.send)
    sending.start()
    while not storby.seen_outside():
        time.sleep(0.01)
    storby.collect()
    assert storby.reply(reply).status == "sent"
    sending.join()
    assert (storby.reply(reply).status, storby.case(asked).reply_count, storby.case(asked).flag) == ("sent", 1, None)


@pytest.mark.slow
def test_what_is_not_found_stays_with_a_person(storby: Town, asked: str) -> None:
    storby.network.faults.on(Fault.html_error, 1)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    assert storby.send()[0].status == "uncertain"
    looked = 0
    for _ in range(60):
        looked += len(storby.send())
        storby.forward(minutes=30)
    assert 10 < looked < 60
    found = storby.reply(reply)
    assert (found.status, found.next_lookup_at) == ("uncertain", None)
    assert storby.seen_outside() == []
    with storby.house.database.transaction() as db:
        answering.send_again(db, reply, actor="eva@storby.example", at=storby.at)
    assert storby.send()[0].status == "sent"
    assert storby.seen_outside() == ["Ja"]


def test_a_person_who_has_looked_says_it_is_there(storby: Town, asked: str) -> None:
    storby.network.faults.on(Fault.html_error, 1)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    storby.send()
    with storby.house.database.transaction() as db:
        answering.confirm_sent(db, reply, url="https://x.com/storby/status/1", actor="eva@storby.example", at=storby.at)
    assert storby.reply(reply).status == "sent"
    assert storby.case(asked).first_response_at == storby.reply(reply).called_at
    assert storby.send() == []


@pytest.mark.parametrize("fault", [Fault.rate_limited, Fault.rate_limited_silent])
def test_a_rate_limit_is_a_definite_no_and_waits(storby: Town, asked: str, fault: Fault) -> None:
    storby.network.faults.on(fault, 1)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    assert storby.send()[0].status == "queued"
    assert storby.reply(reply).error_reason == "rate_limited"
    assert storby.send() == []
    storby.forward(minutes=16)
    assert storby.send()[0].status == "sent"
    assert storby.seen_outside() == ["Ja"]


def test_a_stated_reset_is_when_it_goes_out(storby: Town, asked: str) -> None:
    storby.network.reset_after = timedelta(seconds=15)
    storby.network.faults.on(Fault.rate_limited, 1)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    storby.send()
    due = storby.reply(reply).not_before
    assert due is not None and due <= storby.at + timedelta(seconds=15)
    storby.forward(seconds=15)
    assert storby.send()[0].status == "sent"


def test_a_reset_that_is_over_already_is_not_hammered(storby: Town, asked: str) -> None:
    storby.network.reset_after = timedelta(minutes=-1)
    storby.network.faults.on(Fault.rate_limited)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    storby.send()
    due = storby.reply(reply).not_before
    assert due is not None and due >= storby.at + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("fault", "reason"), [(Fault.unauthorized, "auth_expired"), (Fault.out_of_credit, "out_of_credit")]
)
def test_a_refusal_for_good_flags_the_case_and_brings_it_back(
    storby: Town, asked: str, fault: Fault, reason: str
) -> None:
    storby.network.faults.on(fault)
    reply = storby.answer(asked, "Ja", then=Then.resolve)
    storby.forward(seconds=11)
    storby.send()
    storby.forward(days=2)
    storby.send()
    found, case = storby.reply(reply), storby.case(asked)
    assert (found.status, found.error_reason) == ("failed", reason)
    assert (case.status, case.flag) == ("open", "reply_failed")
    assert found.error and "Bearer" not in found.error


def test_nobody_there_is_a_definite_no(make_house: Any) -> None:
    with town(make_house) as storby:
        question = storby.network.write("Anna", "@storby hallå?")
        storby.collect()
        reply = storby.answer(question, "Ja")
        storby.forward(seconds=11)
    storby.send()  # the network has gone
    assert (storby.reply(reply).status, storby.reply(reply).error_reason) == ("queued", "unavailable")


def test_two_workers_send_each_answer_once(storby: Town, asked: str) -> None:
    replies = [storby.answer(asked, f"Svar {number}") for number in range(12)]
    storby.forward(seconds=11)
    with Outbox(storby.house, storby.now) as one, Outbox(storby.house, storby.now) as two:
        assert one.name != two.name
        threads = [threading.Thread(target=worker.run) for worker in (one, two, one)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {storby.reply(reply).status for reply in replies} == {"sent"}
    assert sorted(storby.seen_outside()) == sorted(f"Svar {number}" for number in range(12))


def test_a_call_whose_worker_died_becomes_uncertain_and_only_then(storby: Town, asked: str) -> None:
    reply = storby.answer(asked, "Ja", idempotency_key="x")
    with Outbox(storby.house, storby.now) as living:
        with storby.house.database.transaction() as db:
            db.execute(update(Reply).values(status="queued", not_before=storby.at))
            answering.reply_called(db, reply, worker=living.name, at=storby.at)
        storby.send()
        assert storby.reply(reply).status == "calling"
    storby.send()  # another worker, after the first is gone
    assert storby.reply(reply).status == "uncertain"
    assert storby.seen_outside() == []


def test_an_unforeseen_error_in_the_call_is_uncertain_too(
    storby: Town, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("token=secret")

    monkeypatch.setattr("replies.twitter.TwitterReplier.send", broken)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    storby.send()
    found = storby.reply(reply)
    assert (found.status, "secret" in (found.error or "")) == ("uncertain", False)
    assert issubclass(ReplyUncertain, Exception)


def test_the_default_is_the_latest_mention_that_can_be_answered(storby: Town, asked: str) -> None:
    later = storby.network.write("Bo", "@storby samma här", in_reply_to=asked)
    storby.collect()
    number = storby.case(asked).id
    with storby.house.database.transaction() as db:
        reply = storby_submit(db, storby, number)
        assert db.get_one(Mention, reply.to_mention_id).external_id == later


def storby_submit(db: Any, storby: Town, number: int) -> Reply:
    from replies.outbox import submit
    from tests.factories import user

    return submit(db, storby.house, number, body="Hej", user=user(db), at=storby.at)


def test_hold_is_as_long_as_the_channel_says(make_house: Any) -> None:
    with town(make_house, replies={"hold": "10s", "twitter": "30s"}) as storby:
        question = storby.network.write("Anna", "@storby hallå?")
        storby.collect()
        reply = storby.answer(question, "Ja")
        assert storby.reply(reply).not_before == storby.at + timedelta(seconds=30)
    with town(make_house, replies={"hold": "0s"}) as storby:
        question = storby.network.write("Anna", "@storby hallå igen?")
        storby.collect()
        assert storby.reply(storby.answer(question, "Ja")).status == "queued"


def test_a_look_up_that_breaks_off_waits_for_its_next_time(
    storby: Town, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storby.network.faults.on(Fault.html_error, 1)
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    storby.send()

    def broken(*_: object) -> None:
        raise KeyError("data")

    monkeypatch.setattr("replies.twitter.TwitterReplier.find", broken)
    assert len(storby.send()) == 1
    assert storby.send() == []
    assert storby.reply(reply).status == "uncertain"


def test_a_login_that_is_gone_from_the_configuration_is_a_failure_and_no_doubt(storby: Town, asked: str) -> None:
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    storby.house = replace(storby.house, settings=storby.house.settings.model_copy(update={"accounts": ()}))
    storby.send()
    assert storby.reply(reply).status == "failed"


def test_its_own_worker_finds_what_it_left_calling(storby: Town, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = storby.answer(asked, "Ja")
    storby.forward(seconds=11)
    with Outbox(storby.house, storby.now) as outbox:
        with monkeypatch.context() as patched:

            def locked(*_: object, **__: object) -> None:
                raise OperationalError("UPDATE", {}, Exception("database is locked"))

            patched.setattr("triage.answering.reply_sent", locked)
            assert outbox.run() == []
        assert storby.reply(reply).status == "calling"
        assert [delivered.status for delivered in outbox.run()] == ["sent"]
    assert storby.seen_outside() == ["Ja"]
