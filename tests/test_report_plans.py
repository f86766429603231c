"""How a report is read: all of it from one index, in as many statements however much there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

import house as house_module
from bench import years
from bench.inbox import statements
from database import Database
from house import House
from reports import figures, tables
from reports.figures import Asked, By
from tests.reported import GROUPED
from triage import samples
from triage.measures import Measure

MOST = 9  # statements of a report, with the names of its lines
EVERYTHING = Asked(date(2026, 9, 1), date(2026, 12, 1))
A_DAY = Asked(date(2026, 11, 20), date(2026, 11, 21))
OF_SAMPLES = [name for name in GROUPED if name != "backlog"]


@pytest.fixture
def busy(make_house: Callable[..., House]) -> Database:
    """A house with 200 cases of two months."""
    given = {name: value for name, value in years.POLICY.items() if name != "organisation"}
    house = make_house(**given)
    house_module.declare(house, years.AT - timedelta(days=70))
    years.fill(house.database, 200, years=0.16)
    assert samples.catch_up(house.database, most=200) == 200
    return house.database


def told(database: Database, ask: Callable[[Any], Any]) -> list[tuple[str, Any]]:
    with database.read() as db:
        ask(db)  # what is kept in mind is
    with statements(database) as found, database.read() as db:
        ask(db)
    return found


def plan(database: Database, statement: str, parameters: Any) -> list[str]:
    with database.engine.execution_options(reading=True).connect() as connection:
        if not database.sqlite:  # a few rows it would rather read whole
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        prefix = "EXPLAIN QUERY PLAN " if database.sqlite else "EXPLAIN "
        return [str(row[-1]).strip() for row in connection.exec_driver_sql(prefix + statement, parameters)]


def build(name: str, asked: Asked) -> Callable[[Any], Any]:
    return lambda db: tables.build(db, name, asked, years.AT)


def test_figures_are_read_from_their_index_alone(busy: Database) -> None:
    groups = [None, By.channel, By.day]
    if busy.sqlite:  # PostgreSQL weighs how few cases have a tag, and may go by those
        groups.append(By.tag)
    asked = [build(name, replace(EVERYTHING, by=by)) for name in OF_SAMPLES for by in groups]
    asked.append(lambda db: figures.heat(db, EVERYTHING, Measure.mention))
    for ask in asked:
        for statement, parameters in told(busy, ask):
            lines = plan(busy, statement, parameters)
            reading = [
                line for line in lines if line.split(" samples")[0].split()[-1:] in (["SEARCH"], ["SCAN"], ["on"])
            ]
            if "FROM samples" in statement:
                assert reading, lines
            if "samples.at <" in statement:  # promises that are overdue by now: few
                continue
            index = "COVERING INDEX ix_samples_figures" if busy.sqlite else "ix_samples_figures"
            wrong = [line for line in reading if index not in line and "Bitmap Heap Scan" not in line]
            assert wrong == [], (statement, lines)


@pytest.mark.one_database
def test_as_many_statements_for_a_day_as_for_everything(busy: Database) -> None:
    for name in tables.REPORTS:
        for by in (None, *By) if name in GROUPED else (None,):
            few = told(busy, build(name, replace(A_DAY, by=by)))
            many = told(busy, build(name, replace(EVERYTHING, by=by)))
            assert len(few) == len(many) <= MOST, (name, by, [statement for statement, _ in many])


@pytest.mark.one_database
def test_a_page_reads_its_period_once(busy: Database) -> None:
    """A case may have several tags: by tag its samples are read once more."""
    for by, reads in ((None, 1), (By.channel, 1), (By.week, 1), (By.tag, 2)):
        asked = replace(EVERYTHING, by=by)

        def page(db: Any, asked: Asked = asked) -> Any:
            return tables.page(db, "response-times", asked, years.AT, By.week, [Measure.first_response])

        assert sum("FROM samples" in statement for statement, _ in told(busy, page)) == reads, by


def test_asked_in_several_ways_at_once_is_as_asked_one_by_one(busy: Database) -> None:
    ways = [replace(EVERYTHING, by=by, clock=clock) for by in (None, *By) for clock in figures.Clock]
    measures = [Measure.received, Measure.mention, Measure.first_response, Measure.resolution]
    with busy.read() as db:
        together = figures.reports(db, dict.fromkeys(ways, measures), waiting=ways)
        for asked in ways:
            assert together[asked] == figures.report(db, asked, measures), asked


@pytest.mark.one_database
def test_a_filter_takes_no_statement_of_its_own(busy: Database) -> None:
    narrow = replace(EVERYTHING, team=("Team 2",), assignee=(years.EMAILS[0],), source=("source-3",), tag=("snö",))
    assert len(told(busy, build("volume", narrow))) == len(told(busy, build("volume", EVERYTHING)))


def test_whether_anything_waits_is_not_asked_of_all_events(busy: Database) -> None:
    for statement, parameters in told(busy, lambda db: samples.waiting(db, 1)):
        lines = plan(busy, statement, parameters)
        assert not any(line.startswith(("SCAN case_events", "Seq Scan on case_events")) for line in lines), lines


def test_what_a_case_is_measured_by_is_found_by_case(busy: Database) -> None:
    """On SQLite, which knows nothing of how much there is, a status must not look like a short way to a few rows."""
    for statement, parameters in told(busy, lambda db: samples.of_case(db, 7)):
        large = ("SEARCH replies", "SCAN replies", "SCAN mentions", "SCAN case_events", "SCAN samples")
        lines = [line for line in plan(busy, statement, parameters) if line.startswith(large)]
        assert [line for line in lines if "case_id=?" not in line] == [], statement
