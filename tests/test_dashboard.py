"""The overview: every number is that of the list it leads to, and costs the same whatever there is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from house import House
from models import Case, User
from tests import screens
from tests.conftest import FakeClock
from tests.factories import statements
from triage import cases, reactions

pytestmark = pytest.mark.screens
Browser = Callable[[str | None], FlaskClient]


@pytest.fixture
def anna(browser: Browser) -> FlaskClient:
    return browser("anna@storby.example")


def figures(page: str) -> dict[str, tuple[str, str | None]]:
    found = re.findall(
        r'<li id="count-(\w+)"><\w+ class="figure"(?: id="[^"]*" href="([^"]*)")?[^>]*><strong>([^<]*)</strong>', page
    )
    return {name: (n, address.replace("&amp;", "&") or None) for name, address, n in found}


def test_each_number_is_that_of_its_list(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        some = list(db.scalars(select(Case.id).where(Case.status == "new").order_by(Case.id).limit(3)))
        me = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        for number in some[:2]:
            cases.assign(db, number, assignee=me, actor=me.email, at=clock())
        cases.set_targets(db, some[2], {"next_breach_at": clock(), "breach_kind": "first_response"})
    shown = figures(anna.get("/dashboard").get_data(as_text=True))
    assert shown["mine"][0] == "2"
    assert shown["late"][0] == shown["soon"][0] == "1"
    for name in ("mine", "unassigned", "late", "soon", "flagged"):
        n, address = shown[name]
        assert address is not None
        page = anna.get(address).get_data(as_text=True)
        assert re.search(rf'id="list-total">{n}<', page), f"{name}: {n} on the overview, not in its list"
    for name in ("promised", "approval"):
        assert anna.get(shown[name][1] or "").status_code == 200


def test_a_note_that_names_one_stands_there(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    assert "None that you have not seen." in anna.get("/dashboard").get_data(as_text=True)
    with storby.database.transaction() as db:
        boss = db.scalars(select(User).where(User.email == "admin@storby.example")).one()
        number = screens.case_of(storby, "1004").id
        made = cases.note(db, number, body="@anna: ser du?", user=boss, at=clock())
    reactions.react(storby.database, clock())
    assert f'href="/cases/{number}#note-{made.id}"' in anna.get("/dashboard/numbers").get_data(as_text=True)


def test_it_costs_the_same_whatever_there_is(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    anna.get("/dashboard")
    with statements(storby.database) as few:
        anna.get("/dashboard/numbers")
    screens.collect(storby, *(screens.mention(7000 + n, f"Fråga {n}", clock()) for n in range(40)), at=clock())
    with statements(storby.database) as many:
        anna.get("/dashboard/numbers")
    assert len(many) == len(few) <= 16


def test_no_number_reads_every_case(anna: FlaskClient, storby: House) -> None:
    if not storby.database.sqlite:
        return
    with statements(storby.database) as asked:
        anna.get("/dashboard/numbers")
    counts = [statement for statement in asked if "count(" in statement and "FROM cases" in statement]
    assert counts
    with storby.database.engine.connect() as connection:
        for statement in counts:
            bound = ["x"] * statement.count("?")
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, tuple(bound)).all()
            scans = [row[3] for row in plan if re.match(r"SCAN cases(?! USING (COVERING )?INDEX)", row[3])]
            assert scans == [], statement
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_an_agent_sees_troubled_sources_without_a_way_into_the_administration(
    anna: FlaskClient, browser: Browser, storby: House, clock: FakeClock
) -> None:
    with storby.database.transaction() as db:
        db.execute(text("UPDATE sources SET error = 'no', error_reason = 'unavailable'"))
        sources = db.execute(text("SELECT count(*) FROM sources")).scalar()
    assert figures(anna.get("/dashboard").get_data(as_text=True))["sources"] == (str(sources), None)
    boss = figures(browser("admin@storby.example").get("/dashboard").get_data(as_text=True))
    assert boss["sources"] == (str(sources), "/admin/sources")
