"""Bringing in history, as an administrator sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

import imports
from house import House
from models import Import, ImportState, Source
from tests.conftest import FakeClock

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

Browser = Callable[[str | None], "FlaskClient"]
ADA = "admin@storby.example"


@pytest.fixture
def ada(browser: Browser) -> FlaskClient:
    return browser(ADA)


def source(house: House, name: str) -> Source:
    with house.database.read() as db:
        return db.scalars(select(Source).where(Source.name == name)).one()


def only(house: House) -> Import:
    with house.database.read() as db:
        return db.scalars(select(Import)).one()


def test_it_is_asked_for_confirmed_with_its_price_and_followed(ada: FlaskClient, storby: House) -> None:
    number = source(storby, "x-mentions").id
    page = ada.get(f"/admin/sources/{number}").get_data(as_text=True)
    assert "800 newest mentions" in page and "See what it takes" in page and "The test failed" not in page
    page = ada.get(f"/admin/sources/{number}/import?since=2026-01-31&keep_open=on").get_data(as_text=True)
    assert "0.015 USD for each post" in page and "at most 60 USD" in page and "40 USD are left" in page
    assert "Imported cases start no clocks and are left out of response-time reports." in page
    assert 'value="2026-01-31"' in page and "checked" in page
    answer = ada.post(f"/admin/sources/{number}/import", data={"since": "2026-01-31", "keep_open": "on"})
    made = only(storby)
    assert (answer.status_code, answer.location) == (303, f"/admin/imports/{made.id}")
    assert made.keep_open and made.since is not None and made.since.isoformat() == "2026-01-30T23:00:00+00:00"
    page = ada.get(answer.location).get_data(as_text=True)
    assert "Begins in a moment" in page and "Cancel" in page and "back to Sat 31 Jan 2026" in page
    assert "How far it is" in ada.get(f"/admin/sources/{number}").get_data(as_text=True)
    assert ada.post(f"/admin/sources/{number}/import", data={}).location == f"/admin/imports/{made.id}", "not twice"
    assert "x-mentions" in ada.get("/admin/imports").get_data(as_text=True)


def test_where_it_costs_nothing_that_is_said(ada: FlaskClient, storby: House) -> None:
    page = ada.get(f"/admin/sources/{source(storby, 'citizen-blog').id}/import").get_data(as_text=True)
    assert "Reading costs nothing." in page


@pytest.mark.parametrize("since", ["31/1", "2030-01-01"])
def test_a_day_that_is_none_is_told_and_asked_again(ada: FlaskClient, storby: House, since: str) -> None:
    answer = ada.post(f"/admin/sources/{source(storby, 'x-mentions').id}/import", data={"since": since})
    assert answer.status_code == 422 and 'role="alert"' in answer.get_data(as_text=True)
    with storby.database.read() as db:
        assert db.scalar(select(Import)) is None


def test_a_network_without_a_past_says_so_instead_of_a_button(
    ada: FlaskClient, storby: House, clock: FakeClock
) -> None:
    with storby.database.transaction() as db:
        made = Source(name="shop", channel="api", definition={"collect": "api", "every": "5m"}, created_at=clock())
        db.add(made)
        db.flush()
        number = made.id
    page = ada.get(f"/admin/sources/{number}").get_data(as_text=True)
    assert "This network tells nothing of the past" in page and "See what it takes" not in page
    assert ada.get(f"/admin/sources/{number}/import").status_code == 404


def test_progress_comes_by_itself_and_a_change_is_said_once(ada: FlaskClient, storby: House, clock: FakeClock) -> None:
    ada.post(f"/admin/sources/{source(storby, 'x-mentions').id}/import")
    number = only(storby).id
    with storby.database.transaction() as db:
        found = db.get_one(Import, number)
        found.state, found.read, found.new = ImportState.paused, 1200, 1100
        found.resumes_at, found.error = clock() + timedelta(minutes=10), "X asks us to wait."
    part = ada.get(f"/admin/imports/{number}?was=waiting", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert "Paused, goes on at 09:10" in part and "1,200" in part and 'hx-trigger="every 2s"' in part
    assert 'role="status"' in part and "<html" not in part
    part = ada.get(f"/admin/imports/{number}?was=paused", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert 'role="status"' not in part
    with storby.database.transaction() as db:
        db.get_one(Import, number).state = ImportState.done
    part = ada.get(f"/admin/imports/{number}?was=paused", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert "Done" in part and "every 2s" not in part


def test_it_is_cancelled_and_gone_on_with(ada: FlaskClient, storby: House) -> None:
    ada.post(f"/admin/sources/{source(storby, 'x-mentions').id}/import")
    number = only(storby).id
    assert "No more is read." in ada.post(f"/admin/imports/{number}/cancel", follow_redirects=True).get_data(
        as_text=True
    )
    assert only(storby).state == ImportState.cancelled
    page = ada.get(f"/admin/imports/{number}").get_data(as_text=True)
    assert "Go on" in page and "every 2s" not in page
    ada.post(f"/admin/imports/{number}/again")
    assert only(storby).state == ImportState.waiting
    assert ada.post(f"/admin/imports/{number}/again").status_code == 409
    with storby.database.holding(imports._lock(number)):
        page = ada.post(f"/admin/imports/{number}/cancel", follow_redirects=True).get_data(as_text=True)
    assert "Stops after this page" in page and only(storby).cancel_wanted


def test_only_administrators(browser: Browser, storby: House) -> None:
    mats = browser("mats@storby.example")
    number = source(storby, "x-mentions").id
    assert {mats.get(path).status_code for path in ("/admin/imports", f"/admin/sources/{number}/import")} == {403}
    assert mats.post(f"/admin/sources/{number}/import").status_code == 403


def test_what_is_not_there(ada: FlaskClient) -> None:
    assert ada.get("/admin/imports/7").status_code == 404
    assert ada.get("/admin/sources/77/import").status_code == 404
    assert "No history has been brought in" in ada.get("/admin/imports").get_data(as_text=True)
