"""The cases behind a figure are as many as it says: each column, each line, each bar, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event, select

from database import Database
from errors import InvalidInput
from house import House
from models import Promise, PromiseState, Reply, User
from reports import behind, figures
from reports.backlog import midnight_of
from reports.behind import Now, Wanted
from reports.figures import BUCKETS, Asked, By, Clock, Row
from reports.tables import Column, Table, Unit, build
from tests.reported import EVA, EVENING, a_week
from tests.reported import GROUPED as REPORTS
from triage import samples
from triage.measures import Measure

WEEK = Asked(date(2026, 11, 23), date(2026, 11, 30))
NARROWED = (
    WEEK,
    replace(WEEK, tag=("snö",)),
    replace(WEEK, kind=("problem", "none"), team=("Gata",)),
    replace(WEEK, assignee=(EVA,)),
    replace(WEEK, seen=True, clock=Clock.business, imported=True),
)


@pytest.fixture
def week(house: House) -> Database:
    a_week(house)
    return house.database


GROUPED = (None, By.channel, By.source, By.team, By.assignee, By.tag, By.sentiment, By.week, By.month)


def promises(database: Database) -> None:
    with database.transaction() as db:
        reply = db.scalars(select(Reply).order_by(Reply.id)).first()
        assert reply is not None
        eva = db.scalars(select(User.id).where(User.email == EVA)).one()
        hour = timedelta(hours=1)
        for state, due in (("open", EVENING - hour), ("open", EVENING + hour), ("kept", EVENING), ("dropped", EVENING)):
            db.add(
                Promise(
                    case_id=reply.case_id, reply_id=reply.id, words=f"{state} {due}", due_at=due, back_at=due,
                    owner_id=eva, state=PromiseState(state), made_at=EVENING - 9 * hour,
                    settled_at=None if state == "open" else EVENING,
                )
            )  # fmt: skip
        samples.mark(db, [reply.case_id])
    samples.catch_up(database)


def counted(table: Table, row: Row, column: Column) -> int:
    """How many cases a figure tells of."""
    value = column.value(row)
    if column.unit is Unit.count:
        assert isinstance(value, int)
        return value
    if column.unit is Unit.instant:
        return row.still_waiting if column.name == "oldest_waiting_since" else sum(
            row.counts.get(state, 0) for state in ("open", "waiting", "snoozed")
        )  # fmt: skip
    assert column.measure is not None
    if column.late is False:
        return row.timing(column.measure).within
    if column.unit is Unit.share:
        return row.count(column.measure, *column.hows)
    return row.timing(column.measure).n


def figures_of(table: Table) -> Iterator[tuple[Row, Column, Wanted]]:
    """Every figure that is shown, with what is to be opened by it."""
    for row in (*table.report.rows, table.report.total):
        night = midnight_of(row)
        for column in table.columns:
            if column.value(row) in (None, 0) or column.name == "midnight":
                continue
            wanted = behind.of_column(table.report.asked, row.key, column, date.fromisoformat(night) if night else None)
            assert wanted is not None, f"{column.name} cannot be opened"
            yield row, column, wanted


def test_every_figure_of_every_report_opens_as_many_cases_as_it_says(week: Database) -> None:
    promises(week)
    opened: dict[Wanted, int] = {}
    wrong = []
    with week.read() as db:
        for place, asked in enumerate(NARROWED):
            for by in GROUPED if place == 0 else (None, By.assignee):
                for name in REPORTS:
                    table = build(db, name, replace(asked, by=by), EVENING)
                    for row, column, wanted in figures_of(table):
                        if wanted not in opened:
                            opened[wanted] = behind.page(db, wanted, EVENING, most=1).total
                        if opened[wanted] != counted(table, row, column):
                            wrong.append((name, by, row.key, column.name, column.value(row), opened[wanted]))
    assert wrong == []
    assert len(opened) > 300


def test_every_bar_and_every_shade_opens_as_many_cases_as_it_says(week: Database) -> None:
    with week.read() as db:
        for clock in Clock:
            asked = replace(WEEK, clock=clock)
            bars = figures.report(db, asked, [Measure.first_response]).total.timing(Measure.first_response).spread
            assert sum(bars) == 12
            for place in range(len(BUCKETS) + 1):
                wanted = Wanted(asked, Measure.first_response, bucket=place)
                assert behind.page(db, wanted, EVENING).total == bars[place], (clock, place)
        shades = figures.heat(db, WEEK, Measure.received)
        assert sum(map(sum, shades)) == 15
        for weekday, hours in enumerate(shades):
            for hour, n in enumerate(hours):
                if n or hour == 9:
                    wanted = Wanted(WEEK, Measure.received, weekday=weekday, hour=hour)
                    assert behind.page(db, wanted, EVENING).total == n, (weekday, hour)


def test_page_by_page_every_case_comes_once(week: Database) -> None:
    newest, slowest = behind.Order
    for what, order in (
        (Measure.first_response, newest),
        (Measure.first_response, slowest),
        (Measure.received, slowest),
        (Now.waiting, newest),
        (Now.backlog, newest),
    ):
        night = EVENING.date() + timedelta(days=1) if what is Now.backlog else None
        found = all_pages(week, Wanted(WEEK, what, night=night), order)
        took = [entry.sample.seconds or 0 for entry in found if entry.sample]
        at = [entry.sample.at for entry in found if entry.sample]
        if (what, order) == (Measure.first_response, slowest):
            assert took == sorted(took, reverse=True)
        else:
            assert at == sorted(at, reverse=True), (what, order)


def all_pages(database: Database, wanted: Wanted, order: behind.Order) -> list[behind.Entry]:
    found: list[behind.Entry] = []
    cursor, most = None, 5 if wanted.what is not Now.waiting else 1
    with database.read() as db:
        while True:
            page = behind.page(db, wanted, EVENING, order=order, cursor=cursor, most=most)
            found += page.entries
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
            assert len(page.entries) == most
        numbers = [entry.case.id for entry in found]
        assert len(set(numbers)) == len(numbers) == page.total > 1, (wanted.what, order)
    return found


def test_what_is_wanted_survives_its_address() -> None:
    asked = replace(WEEK, by=By.kind)
    for wanted in (
        Wanted(asked, Measure.resolution, "problem", ("one_touch", "zero_touch"), late=False),
        Wanted(asked, Measure.promise, None, ("open",), overdue=True),
        Wanted(asked, Measure.first_response, bucket=0),
        Wanted(asked, Measure.received, weekday=0, hour=23),
        Wanted(asked, Now.backlog, "none", ("waiting",), night=date(2026, 11, 25)),
        Wanted(asked, Measure.next_response, targeted=True),
        Wanted(asked, Measure.resolution, answered=True),
    ):
        args = behind.as_args(wanted)
        text = {name: str(value) for name, value in args.items() if name != "how"}
        assert behind.wanted(asked, text, args.get("how", [])) == wanted


@pytest.mark.parametrize(
    "args",
    [{}, {"measure": "happiness"}, {"measure": "received", "hour": "24"}, {"measure": "received", "hour": "²"},
     {"measure": "answer", "late": "maybe"}, {"measure": "backlog"}, {"measure": "backlog", "night": "yesterday"},
     {"measure": "answer", "how": "\0"}],
    ids=["nothing", "no measure", "no hour", "odd digit", "late", "no night", "no date", "no way"],
)  # fmt: skip
def test_what_is_no_figure_is_refused(args: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        behind.wanted(WEEK, args, [args["how"]] if "how" in args else [])


def test_what_a_database_does_not_take_is_refused_before_it_is_asked(database: Database) -> None:
    """PostgreSQL takes no NUL and, for a number, none that is too long for its column."""
    named = behind.wanted(replace(WEEK, by=By.tag), {"measure": "received", "key": "sn\0ö"}, [])
    assert named.key == "snö"
    with database.read() as db:
        assert behind.page(db, named, EVENING).total == 0
        with pytest.raises(InvalidInput):
            behind.page(db, Wanted(WEEK, Measure.first_response), EVENING, cursor=f"{2**62}~2026-01-01~1")
        with pytest.raises(InvalidInput):
            slowest = behind.Order.slowest
            behind.page(db, Wanted(WEEK, Measure.first_response), EVENING, order=slowest, cursor=f"1~{2**63}")


@pytest.mark.one_database
@pytest.mark.parametrize(
    "cursor", ["x", "1", "1~2", "1~2026-11-24~9" * 2, "99999999999999999999~2026-11-24~1", "1~2~3"]
)
def test_a_cursor_that_is_not_ours_is_refused(database: Database, cursor: str) -> None:
    with database.read() as db, pytest.raises(InvalidInput):
        behind.page(db, Wanted(WEEK, Measure.received), EVENING, cursor=cursor)


@pytest.mark.one_database
def test_it_costs_the_same_however_many_there_are(week: Database) -> None:
    asked: list[str] = []
    with week.read() as db:
        behind.page(db, Wanted(WEEK, Measure.received), EVENING, most=1)
        db.expunge_all()
        event.listen(week.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        page = behind.page(db, Wanted(WEEK, Measure.received), EVENING)
        assert [entry.case.author is not None for entry in page.entries] == [True] * 15
    assert len(asked) == 2
