"""Forms as no browser of ours sends them, and as it sends them when a colleague was quicker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from house import House
from models import Draft, Note, User
from tests import screens
from tests.conftest import FakeClock
from triage import cases, drafts, merging

pytestmark = [pytest.mark.screens, pytest.mark.one_database]
Browser = Callable[[str], FlaskClient]
ANNA = "anna@storby.example"


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


@pytest.mark.parametrize("number", ["²", "9" * 30, "9" * 5000, "-1", "１"], ids=["², too", "30", "5000", "-1", "wide"])
def test_what_is_no_number_breaks_no_form(browser: Browser, storby: House, number: str) -> None:
    anna, case = browser(ANNA), screens.case_of(storby, "1001").id
    for path, form in (
        (f"/cases/{case}/draft", {"body": "x", "version": number, "draft": number, "to_mention": number}),
        (f"/cases/{case}/reply", {"body": "x", "version": number, "draft": number, "to_mention": number}),
        (f"/cases/{case}/reply", {"body": "x", "picture": number, f"alt-{number}": "x"}),
        (f"/cases/{case}/note", {"body": "x", "draft": number}),
        ("/stories/1/answer", {"seen": f"{number}:{number}", "case": number}),
        ("/stories/1/split", {"mention": number}),
        ("/bulk", {"case": number, "action": "assign", "value": "me"}),
        ("/bulk", {"all": "", "until": number, "action": "assign", "value": "me"}),
    ):
        assert anna.post(path, data=form).status_code < 500, path
    for path in (f"/?story={number}", f"/?author={number}", f"/live/rows?case={number}"):
        assert anna.get(path).status_code < 500, path
    assert anna.get("/live?after=0", headers={"Last-Event-ID": number}).status_code < 500


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "9999-12-31"])
def test_the_ends_of_time_are_refused(browser: Browser, storby: House, time: str) -> None:
    anna, case = browser(ANNA), screens.case_of(storby, "1001").id
    for path, form in (
        (f"/cases/{case}/do", {"action": "snooze", "value": time}),
        ("/bulk", {"case": str(case), "action": "snooze", "value": time}),
        (f"/cases/{case}/answered", {"to_mention": "1", "at": time}),
        ("/promises/1/accept", {"day": time}),
    ):
        assert anna.post(path, data=form).status_code == 422, path
    place = f"/people/1?before={time}~1".replace("+", "%2B")
    assert anna.get(place).status_code < 500


def test_a_window_that_knows_more_than_there_is_looks_anew(browser: Browser) -> None:
    """A backup has been restored while it was open: it must not be deaf until as much has happened again."""
    told = browser(ANNA).get("/live?after=999999&list=1").get_json()
    assert told["many"] and told["last"] < 999999


def test_a_long_text_is_kept_whole(browser: Browser, storby: House) -> None:
    anna, case = browser(ANNA), screens.case_of(storby, "1001").id
    text = "Hej! " * 40_000
    assert anna.post(f"/cases/{case}/draft", data={"body": text, "draft": "0"}).status_code == 303
    assert anna.post(f"/cases/{case}/reply", data={"body": text + "!", "draft": "0"}).status_code == 422
    with storby.database.read() as db:
        assert db.scalars(select(Draft.body)).one() == text


@pytest.fixture
def merged(storby: House, clock: FakeClock) -> tuple[int, int]:
    """A case that went into another, in which Anna has written already."""
    gone, into = screens.case_of(storby, "1003").id, screens.case_of(storby, "1004").id
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == ANNA)).one()
        for kind in drafts.KINDS:
            drafts.keep(db, cases.get(db, into), kind, body="Since yesterday", user=anna, version=0, at=clock())
        merging.merge(db, gone, into=into, actor="mats@storby.example", at=clock())
    return gone, into


def test_an_answer_to_a_case_that_was_merged_meanwhile_is_kept_beside_what_is_there(
    browser: Browser, storby: House, merged: tuple[int, int]
) -> None:
    gone, into = merged
    refused = browser(ANNA).post(f"/cases/{gone}/reply", data={"body": "Just typed", "draft": "0", "key": "k"})
    assert refused.status_code in (409, 422)
    with storby.database.read() as db:
        kept = db.scalars(select(Draft).where(Draft.kind == "reply")).one()
        assert kept.case_id == into
        assert "Since yesterday" in kept.body and "Just typed" in kept.body


def test_a_note_on_it_is_where_it_went_and_its_draft_is_gone(
    browser: Browser, storby: House, merged: tuple[int, int]
) -> None:
    gone, into = merged
    with storby.database.read() as db:
        version = db.scalars(select(Draft.version).where(Draft.kind == "note")).one()
    written = browser(ANNA).post(f"/cases/{gone}/note", data={"body": "Since yesterday", "draft": str(version)})
    assert written.status_code == 303 and f"/cases/{into}" in written.location
    with storby.database.read() as db:
        assert db.scalars(select(Note.case_id)).all() == [into]
        assert not db.scalars(select(Draft).where(Draft.kind == "note")).all()
