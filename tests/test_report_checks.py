"""The nightly comparisons: on their page, on the overview of administrators, and in ``gensvar check``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

import checkup
from house import House
from models import Case, FigureCheck, Sample
from tests import screens
from tests.conftest import FakeClock
from tests.factories import MORNING
from tests.test_report_stories import answer, come
from triage import reactions, samples
from web import report_checks

pytestmark = [pytest.mark.screens, pytest.mark.one_database]
Browser = Callable[[str | None], FlaskClient]
ADMIN = "admin@storby.example"


def text_of(client: FlaskClient, address: str) -> str:
    page = client.get(address).get_data(as_text=True).partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def compared(house: House, at: Any, different: int = 0, differences: list[Any] | None = None) -> None:
    with house.database.transaction() as db:
        db.add(FigureCheck(at=at, last_case=1, cases=6, different=different, differences=differences or []))


def test_a_night_without_and_one_with_differences(storby: House, browser: Browser, clock: FakeClock) -> None:
    admin = browser(ADMIN)
    assert "Nothing has been compared yet" in text_of(admin, "/reports/checks")
    assert browser("mats@storby.example").get("/reports/checks").status_code == 403
    with storby.database.transaction() as db:
        number = come(db, "a", 0)
        answer(db, number, 10)
    reactions.react(storby.database, MORNING + timedelta(hours=1))
    samples.catch_up(storby.database)
    samples.check(storby.database, MORNING + timedelta(hours=15))
    assert "No difference" in text_of(admin, "/reports/checks")
    assert "Figures that differed" not in text_of(admin, "/dashboard")
    with storby.database.transaction() as db:
        db.execute(update(Sample).where(Sample.measure == "first_response", Sample.case_id == number).values(seconds=1))
        db.execute(update(Case).where(Case.id == number).values(mention_count=9))
    samples.check(storby.database, MORNING + timedelta(hours=39))
    page = text_of(admin, "/reports/checks")
    assert "2 differences" in page
    assert f"#{number} First response Tue 24 Nov, 1 sec, 10 mins in opening hours, Written here" in page
    assert "Tue 24 Nov, 10 mins, 10 mins in opening hours, Written here" in page
    assert f"#{number} Messages 9 1" in page
    assert "Figures that differed last night" in text_of(admin, "/dashboard")
    assert "Figures that differed last night" not in text_of(browser("mats@storby.example"), "/dashboard")


def test_older_nights_and_what_was_not_kept(
    storby: House, browser: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_checks, "PAGE", 2)
    told = {"case": 1, "what": "status", "stored": "new", "computed": "open"}
    for n in range(3):
        compared(storby, MORNING + timedelta(days=n), 300 if n == 0 else 0, [told] if n == 0 else [])
    admin = browser(ADMIN)
    page = admin.get("/reports/checks").get_data(as_text=True)
    assert "No difference" in page and page.count("<tr><td><time") == 2
    following = re.findall(r'rel="next" href="([^"]+)"', page)[0]
    assert "night=1" in admin.get(following).get_data(as_text=True)
    page = text_of(admin, "/reports/checks?night=1")
    assert "The first 1 of 300 are kept." in page and "Status New Open" in page
    assert admin.get("/reports/checks?night=99").status_code == 404


def found(house: House, at: Any) -> checkup.Finding:
    return next(each for each in checkup.examine(house, at) if each.what == "figures")


def test_gensvar_check_says_it_too(storby: House, clock: FakeClock) -> None:
    assert found(storby, clock()).remedy is None, "nothing has been compared yet: there was no night"
    compared(storby, clock())
    assert found(storby, clock()).remedy is None
    later = clock.forward(days=3)
    assert found(storby, later).remedy is None, "the scheduler does not run"
    screens.beat(storby.database, later)
    late = found(storby, later)
    assert late.remedy is not None and "log" in late.remedy
    compared(storby, later, 2)
    differs = found(storby, later)
    assert "2 differences" in differs.found and "/reports/checks" in (differs.remedy or "")
