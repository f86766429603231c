"""A pass over a source: what it stores, how it fares, when it comes again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

import pulls
from models import Case, Mention, MentionSource, SetAsideItem, Source, Spending
from sandbox.base import Fault
from tests.town import Town, town


@pytest.fixture
def storby(make_house: Any) -> Iterator[Town]:
    with town(make_house) as made:
        yield made


def counts(storby: Town) -> tuple[int, int]:
    with storby.house.database.read() as db:
        mentions = db.scalar(select(func.count()).select_from(Mention))
        return mentions or 0, db.scalar(select(func.count()).select_from(Case)) or 0


def test_twice_brings_nothing_new(storby: Town) -> None:
    for number in range(7):
        storby.network.write(f"Person {number}", f"@storby fråga {number} om snö?")
    assert storby.collect().new == 7
    again = storby.collect()
    assert (again.new, again.known, again.error) == (0, 0, None)
    assert counts(storby) == (7, 7)


def test_two_sources_that_find_the_same_make_one_mention(storby: Town) -> None:
    storby.network.write("Anna", "@storby snö överallt")
    assert (storby.collect("mentions").new, storby.collect("search").new) == (1, 0)
    assert counts(storby) == (1, 1)
    with storby.house.database.read() as db:
        assert db.scalar(select(func.count()).select_from(MentionSource)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.malformed_item, Fault.repeated_item, Fault.reversed_pages])
def test_odd_lists_are_right_all_the_same(storby: Town, fault: Fault) -> None:
    first = storby.network.write("Anna", "@storby ett")
    for number in range(116):
        first = storby.network.write("Anna", f"@storby fråga {number}", in_reply_to=first if number % 3 else None)
    storby.network.faults.on(fault)
    pulled = storby.collect()
    assert pulled.error is None
    mentions, made = counts(storby)
    if fault is Fault.malformed_item:
        assert pulled.set_aside > 0
        with storby.house.database.read() as db:
            assert db.scalars(select(SetAsideItem)).first() is not None
    else:
        assert (mentions, made) == (117, 40)
    storby.network.faults.off()
    again = storby.collect()
    assert again.error is None
    assert counts(storby) == (mentions, made)


def test_a_stated_reset_is_kept_even_by_hand(storby: Town) -> None:
    storby.network.write("Anna", "@storby hallå?")
    storby.network.faults.on(Fault.rate_limited, 1)
    assert storby.collect().error is not None
    source = storby.source()
    assert source.error_reason == "rate_limited"
    assert source.reset_at is not None and source.due_at == source.reset_at
    skipped = storby.collect()
    assert skipped.skipped is not None and "may be read again at" in skipped.skipped
    storby.at = source.reset_at
    assert storby.collect().new == 1
    assert (storby.source().error, storby.source().reset_at) == (None, None)


def test_a_reset_that_is_over_already_is_no_leave_to_come_back_at_once(storby: Town) -> None:
    storby.network.reset_after = timedelta(minutes=-1)
    storby.network.faults.on(Fault.rate_limited)
    storby.collect()
    source = storby.source()
    assert source.reset_at is None
    assert source.due_at is not None and source.due_at - storby.at >= timedelta(minutes=1)


def test_without_a_reset_it_waits_longer_each_time_and_by_hand_it_is_tried(storby: Town) -> None:
    storby.network.faults.on(Fault.rate_limited_silent)
    waits = []
    for _ in range(3):
        storby.collect()
        source = storby.source()
        assert source.due_at is not None and source.reset_at is None
        waits.append(source.due_at - storby.at)
    assert waits == sorted(waits) and waits[2] > 3 * waits[0]
    assert storby.collect(by_hand=False).skipped is not None
    storby.network.faults.off()
    storby.network.write("Anna", "@storby hallå?")
    assert storby.collect().new == 1


def test_a_revoked_token_is_told_on_source_and_account_until_it_is_mended(storby: Town) -> None:
    storby.network.faults.on(Fault.unauthorized)
    storby.collect()
    source = storby.source()
    assert (source.error_reason, source.failures) == ("auth_expired", 1)
    assert source.due_at is not None and source.due_at - storby.at >= timedelta(hours=1)
    assert storby.account().error_reason == "auth_expired"
    storby.network.faults.off()
    storby.collect()
    assert (storby.source().error, storby.account().error) == (None, None)


def test_the_budget_stops_the_reading_before_it_costs(make_house: Any) -> None:
    with town(make_house) as storby:
        (account,) = storby.house.settings.accounts
        poor = {"accounts": (account.model_copy(update={"monthly_budget_usd": 0.001}),)}
        storby.house = replace(storby.house, settings=storby.house.settings.model_copy(update=poor))
        storby.network.write("Anna", "@storby hallå?")
        assert storby.collect().new == 1
        pulled = storby.collect()
        assert pulled.error is not None and "budget of 0.001 USD" in str(pulled.error)
        assert storby.source().error_reason == "out_of_credit"


def test_what_it_cost_is_counted(storby: Town) -> None:
    storby.network.write("Anna", "@storby hallå?")
    storby.collect()
    with storby.house.database.read() as db:
        rows = db.scalars(select(Spending)).all()
        assert sum(row.micro_usd for row in rows) > 0
        assert {row.source_id for row in rows} == {storby.source().id}


def test_never_twice_at_once(storby: Town) -> None:
    number = storby.source().id
    with storby.house.database.holding(f"source-{number}"):
        assert storby.collect().skipped == "another process is reading it now"
    assert storby.collect().skipped is None


def test_one_that_hangs_does_not_hold_up_another(storby: Town) -> None:
    hanging = threading.Thread(target=storby.collect, args=("mentions",))
    storby.network.faults.hang_seconds = 1
    storby.network.write("Anna", "snö")
    hanging.start()
    assert storby.collect("search").new == 1
    hanging.join()


def test_due_are_those_whose_time_has_come(storby: Town) -> None:
    with storby.house.database.read() as db:
        assert len(pulls.due(db, storby.at)) == 2
    storby.collect()
    with storby.house.database.read() as db:
        assert pulls.due(db, storby.at) == [storby.source("search").id]
        assert len(pulls.due(db, storby.at + timedelta(minutes=3))) == 2
    with storby.house.database.transaction() as db:
        for source in db.scalars(select(Source)):
            source.paused_at = storby.at
    with storby.house.database.read() as db:
        assert pulls.due(db, storby.at + timedelta(days=1)) == []
    assert storby.collect().skipped == "it is paused"


def test_an_unforeseen_error_is_kept_on_the_source_and_not_raised(
    storby: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Bearer secret")

    monkeypatch.setattr("collectors.twitter.mentions", broken)
    pulled = storby.collect()
    assert pulled.error is not None
    assert "secret" not in (storby.source().error or "")
