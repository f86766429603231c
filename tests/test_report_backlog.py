"""Midnights at which nothing ran: not made up, and said wherever the backlog is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from house import House
from models import Backlog, Unmeasured, User
from reports import backlog, export
from reports.figures import Asked, By
from reports.tables import build
from tests.conftest import FakeClock
from tests.factories import MORNING
from tests.reported import BO, EVA, EVENING, MATS, a_week, sheets
from tests.screens import PASSWORD
from tests.slow_figures import STOCKHOLM, wall
from triage import samples
from web import create_app, passwords

pytestmark = pytest.mark.one_database
Browser = Callable[[str], FlaskClient]
WEEKS = Asked(date(2026, 11, 9), date(2026, 12, 14))
STORED = [25, 26, 29, 30]  # of November; nothing ran from 27 to 28, and on 1 December
NOW = wall("2026-12-02T10:00")
SAID = "is not known: Fri 27 Nov 2026 – Sat 28 Nov 2026, Tue 1 Dec 2026."
LOST = ("2026-11-27", "2026-11-28", "2026-12-01")


@pytest.fixture
def with_gaps(house: House) -> House:
    a_week(house)
    with house.database.transaction() as db:
        for day in STORED[1:]:
            samples.store_backlog(db, date(2026, 11, day), EVENING + timedelta(days=day - 24))
    return house


@pytest.fixture
def browse(with_gaps: House, clock: FakeClock, quick_passwords: None) -> Browser:
    clock.at = NOW
    app = create_app(with_gaps, clock=clock)
    with with_gaps.database.transaction() as db:
        db.execute(update(User).values(password_hash=passwords.hash_password(PASSWORD)))

    def opened(who: str) -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
        client.post("/login", data={"email": who, "password": PASSWORD})
        return client

    return opened


def test_a_midnight_that_was_missed_is_named_and_is_not_nothing(with_gaps: House) -> None:
    with with_gaps.database.read() as db:

        def told(by: By | None, at: object = NOW) -> dict[str | None, object]:
            table = build(db, "backlog", replace(WEEKS, by=by), at)  # type: ignore[arg-type]
            assert [day.isoformat() for day in table.report.missing] == list(LOST)
            (column,) = [column for column in table.columns if column.name == "unfinished"]
            return {row.key: column.value(row) for row in (*table.report.rows, table.report.total)}

        by_day = told(By.day)
        assert {key for key, value in by_day.items() if value is None} == set(LOST)
        assert by_day[None] == 12, "the last midnight that was stored"
        assert list(told(By.week)) == ["2026-11-23", "2026-11-30", None]
        assert told(By.team)["Gata"] == 11
        table = build(db, "backlog", replace(WEEKS, by=By.day), NOW)
        sheet = export.Sheet("backlog", table, STOCKHOLM)
        assert export.as_json(sheet)["missing_midnights"] == list(LOST)
        assert "2026-11-27 – 2026-11-28, 2026-12-01" in " ".join(export.footnote(sheet))


def test_a_midnight_is_not_missing_before_the_first_one_nor_while_it_may_still_be_stored(with_gaps: House) -> None:
    with with_gaps.database.transaction() as db:
        early = backlog.report(db, WEEKS, MORNING)
        assert early.missing == (), "nothing was stored yet"
        assert backlog.report(db, WEEKS, wall("2026-11-27T23:59")).missing == ()
        assert backlog.report(db, WEEKS, wall("2026-11-28T00:01")).missing == (date(2026, 11, 27),)
        db.execute(delete(Backlog))
        assert backlog.report(db, WEEKS, NOW).missing == (), "a house that never ran at midnight has missed none"


@pytest.mark.screens
def test_the_screen_and_its_chart_say_which_days_are_missing(browse: Browser) -> None:
    shown = browse(MATS).get("/reports/backlog?from=2026-11-20&to=2026-12-14&by=day").text
    text = " ".join(re.sub(r"<[^>]+>", " ", shown).split())
    assert SAID in text, text
    (chart,) = re.findall(r'<svg class="area".*?</svg>', shown, re.DOTALL)
    assert chart.count(">?</text>") == 3 and "Of 3 nothing is known." in chart
    assert text.count("not stored") == 3 * 3, "each state of each missed day, in the table of the chart"
    whole = browse(MATS).get("/reports/backlog?from=2026-11-25&to=2026-11-27").text
    assert "is not known" not in whole and ">?</text>" not in whole


@pytest.mark.screens
def test_no_midnight_is_called_missed_because_one_may_not_see_what_lay_there(with_gaps: House, browse: Browser) -> None:
    with with_gaps.database.transaction() as db:
        db.execute(delete(Backlog).where(Backlog.team_id == 1))  # what is left of each night is the team Skydd's
        assert {each.day - date(2026, 11, 1).toordinal() + 1 for each in db.scalars(select(Backlog))} == set(STORED)
    for email in (EVA, BO):
        text = browse(email).get("/reports/backlog?from=2026-11-09&to=2026-12-14").text
        assert SAID in " ".join(text.split()), email


def test_what_is_still_to_be_counted_is_said_only_where_it_may_change_a_figure(
    with_gaps: House, browse: Browser
) -> None:
    with with_gaps.database.transaction() as db:
        db.add(Unmeasured(case_id=1, error="OverflowError"))
    mats = browse(MATS)
    days = f"from={WEEKS.start}&to={WEEKS.end}"
    said = {
        path: "1 case is still being counted" in mats.get(f"/reports/{path}{days}").text
        for path in ("backlog?", "volume?", "cases?measure=waiting&", "cases?measure=received&")
    }
    assert said == {
        "backlog?": False,  # what lay there at a midnight was stored then
        "volume?": True,
        "cases?measure=waiting&": False,
        "cases?measure=received&": True,
    }
    written = {
        name: ["Cases not counted yet", "1"] in sheets(mats.get(f"/reports/{name}.xlsx?{days}").data)["About"]
        for name in ("backlog", "volume")
    }
    assert written == {"backlog": False, "volume": True}
