"""Messages to other systems over real HTTP: delivered once, tried again for a day, never lost in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response, request
from sqlalchemy import select

import checkup
import events
import webhooks
from errors import Reason
from house import House, declare
from models import CaseEvent, Webhook
from outbound import NoAnswer
from sandbox.base import serving
from tests.conftest import FakeClock
from tests.factories import MORNING, said, take
from triage import reactions


@dataclass
class Receiver:
    """Somebody else's system: what it was sent, and the status it answers with."""

    answers: int = 204
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    slowly: threading.Event | None = None

    def app(self) -> Flask:
        app = Flask(__name__)

        @app.post("/hook/<token>")
        def hook(token: str) -> Response:
            self.got.append((dict(request.headers), request.get_json()))
            if self.slowly is not None:
                self.slowly.wait(5)
            return Response(status=self.answers, headers={"Location": "/elsewhere"})

        return app


@pytest.fixture
def told(make_house: Callable[..., House]) -> Iterator[tuple[House, Receiver]]:
    """A case was opened, and a rule wants its receiver to know."""
    with _told(make_house) as made:
        yield made


@contextmanager
def _told(make_house: Callable[..., House], **more: Any) -> Iterator[tuple[House, Receiver]]:
    receiver = Receiver()
    with serving(receiver.app()) as base:
        rule = {"name": "tell", "then": {"webhook": f"{base}/hook/s3cret"}}
        house = make_house(rules=[rule], **more)
        declare(house, MORNING)
        with house.database.transaction() as db:
            take(db, said("a", minutes=0), at=MORNING)
        while reactions.react(house.database, MORNING):
            pass
        yield house, receiver


def at(**delta: float) -> Callable[[], datetime]:
    return lambda: MORNING + timedelta(**delta)


def kept(house: House) -> Webhook:
    with house.database.read() as db:
        return db.scalars(select(Webhook)).one()


def test_the_event_as_the_stream_gives_it_and_once(told: tuple[House, Receiver]) -> None:
    house, receiver = told
    (called,) = webhooks.deliver(house, at(seconds=1))
    assert (called.host, called.error, called.again_at) == ("127.0.0.1", None, None)
    ((headers, body),) = receiver.got
    with house.database.read() as db:
        opened = db.scalars(select(CaseEvent).where(CaseEvent.action == "opened")).one()
        assert body == events.event_shape(opened)
    assert headers["Gensvar-Delivery"] == str(called.id)
    assert headers["Content-Type"] == "application/json"
    assert webhooks.deliver(house, at(days=2)) == []
    assert kept(house).delivered_at == MORNING + timedelta(seconds=1)


def test_tried_again_after_growing_pauses_for_a_day_then_given_up_and_said(told: tuple[House, Receiver]) -> None:
    house, receiver = told
    receiver.answers = 500
    now, tries = FakeClock(MORNING), 0
    while (called := webhooks.deliver(house, now)) and called[0].again_at is not None:
        assert called[0].error == "it answered 500"
        assert called[0].again_at > now()
        assert webhooks.deliver(house, now) == [], "not before its time"
        now.at, tries = called[0].again_at, tries + 1
    assert 8 <= tries <= 20
    assert timedelta(hours=20) <= now() - MORNING <= timedelta(hours=24)
    assert kept(house).due_at is None
    assert len({headers["Gensvar-Delivery"] for headers, _ in receiver.got}) == 1, "a receiver can tell it is the same"
    with house.database.read() as db:
        given_up = db.scalars(select(CaseEvent).where(CaseEvent.actor == webhooks.ACTOR)).one()
        assert given_up.action == "webhook_failed"
        assert "s3cret" not in str(given_up.changes)
        assert given_up.changes["webhook"] == [None, "127.0.0.1"]
    finding = checkup._webhooks(house, now())
    assert "1 of them given up" in finding.found
    assert finding.remedy


@pytest.mark.parametrize("status", [302, 404, 410])
def test_only_2xx_is_delivered(told: tuple[House, Receiver], status: int) -> None:
    house, receiver = told
    receiver.answers = status
    assert webhooks.deliver(house, at())[0].error == f"it answered {status}"
    assert len(receiver.got) == 1, "a message is not sent on to where a redirect leads"
    receiver.answers = 200
    assert webhooks.deliver(house, at(minutes=2))[0].error is None
    assert (kept(house).error, kept(house).attempts) == (None, 2)


def test_nobody_there(make_house: Callable[..., House]) -> None:
    with _told(make_house) as (house, _):
        pass
    (called,) = webhooks.deliver(house, at())
    assert called.error is not None
    assert "cannot be reached" in called.error
    assert called.again_at == MORNING + webhooks.FIRST_RETRY


def test_no_error_tells_the_address_however_it_is_spelt(
    told: tuple[House, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_args: Any, **_more: Any) -> None:
        raise NoAnswer(Reason.unavailable, "http://127.0.0.1:9/hook/s3cr%C3%A9t: no whole answer in time")

    monkeypatch.setattr(told[0].http, "fetch", fetch)
    (called,) = webhooks.deliver(told[0], at())
    assert called.error == "127.0.0.1: no whole answer in time"


def test_inside_our_own_network_only_where_it_is_allowed(make_house: Callable[..., House]) -> None:
    with _told(make_house, outbound={"allow_private_networks": False}) as (house, receiver):
        (called,) = webhooks.deliver(house, at())
        assert called.error is not None
        assert "no public address" in called.error
        assert "s3cret" not in called.error
        assert not receiver.got


def test_never_twice_at_once(told: tuple[House, Receiver]) -> None:
    house, receiver = told
    receiver.slowly = threading.Event()
    first = threading.Thread(target=webhooks.deliver, args=(house, at()))
    first.start()
    while not receiver.got:
        receiver.slowly.wait(0.01)
    assert webhooks.deliver(house, at(hours=5)) == [], "somebody is at it"
    receiver.slowly.set()
    first.join()
    assert len(receiver.got) == 1


def test_nothing_new_is_begun_while_stopping(told: tuple[House, Receiver]) -> None:
    house, receiver = told
    stopping = threading.Event()
    stopping.set()
    assert webhooks.deliver(house, at(), stopping) == []
    assert not receiver.got
    assert kept(house).attempts == 0
