"""The tables of the reports: every one by every key, on both databases; and what each figure of them counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from database import Database
from house import House
from models import Promise, PromiseState, Reply
from reports import rows
from reports.figures import Asked, By, Clock
from reports.tables import REPORTS, Table, build
from tests.factories import MORNING
from tests.reported import BO, EVA, EVENING, GROUPED, a_week
from triage import samples
from triage.measures import Measure

WEEK = Asked(date(2026, 11, 23), date(2026, 11, 30))


def figures(table: Table, key: str | None = None) -> dict[str, Any]:
    row = next(row for row in (*table.report.rows, table.report.total) if row.key == key)
    return dict(zip((column.name for column in table.columns), table.values(row), strict=True))


def test_an_empty_house_has_nothing_in_any_table(database: Database) -> None:
    with database.read() as db:
        for name in REPORTS:
            for by in (None, By.tag, By.month):
                table = build(db, name, replace(WEEK, by=by), MORNING)
                assert table.report.rows == (), (name, by)
                assert not any(table.values(table.report.total)), (name, by)


def test_every_figure_of_a_week_known_to_the_minute(house: House) -> None:
    a_week(house)
    promise(house)
    with house.database.read() as db:

        def total(name: str, **more: Any) -> dict[str, Any]:
            return figures(build(db, name, replace(WEEK, **more), EVENING))

        assert total("volume") == {
            "received": 15, "mentions": 16, "ignored": 1, "ignored_share": 0.0667, "answers": 13,
            "answers_gensvar": 0, "answers_network": 0, "answers_elsewhere": 13, "answers_shared": 0,
        }  # fmt: skip
        assert total("sla") | {"first_response_met": 6, "late_now": 2, "still_waiting": 2} == total("sla")
        assert total("sla") == total("sla", seen=True), "targets run from publication"
        done = total("resolution")
        assert [done[name] for name in ("closings", "reopened", "reopen_rate", "touchless_reopened")] == [
            3, 1, 0.3333, 0,
        ]  # fmt: skip
        assert [done[name] for name in ("zero_touch", "one_touch", "one_touch_share")] == [0, 2, 1.0]
        assert (done["first_resolution_n"], done["resolution_n"], done["active_n"]) == (3, 2, 2)
        work = total("team")
        assert [work[name] for name in ("answers", "closings", "ignored", "assigned_n")] == [13, 3, 1, 12]
        assert total("backlog") == {
            "midnight": "2026-11-25", "unfinished": 12, "open": 12, "waiting": 0, "snoozed": 0,
            "oldest_since": MORNING + timedelta(minutes=2),
        }  # fmt: skip
        kept = total("promises")
        assert [kept[name] for name in ("promises", "kept", "still_open", "overdue_now", "kept_share")] == [
            3, 1, 2, 1, 0.5,
        ]  # fmt: skip
        for name in GROUPED:
            whole = total(name, clock=Clock.business)
            for by in (By.source, By.tag, By.sentiment, By.month):
                table = build(db, name, replace(WEEK, by=by, clock=Clock.business), EVENING)
                assert figures(table) == whole, (name, by, "the total is the same")
            of_people = figures(build(db, name, replace(WEEK, by=By.assignee, clock=Clock.business), EVENING))
            assert {each: value for each, value in of_people.items() if value is not None}.items() <= whole.items(), (
                name
            )

        by_tag = build(db, "backlog", replace(WEEK, by=By.tag), EVENING)
        assert figures(by_tag, "none")["unfinished"] == 12
        assert total("backlog", tag=("none",))["unfinished"] == 12
        assert total("backlog", tag=("snö",))["unfinished"] == 0
        assert total("backlog", team=("Skydd",))["unfinished"] == 1
        people = build(db, "team", replace(WEEK, by=By.assignee), EVENING)
        assert (figures(people, EVA)["answers"], figures(people, BO)["answers"]) == (11, 2)
        assert figures(people, BO)["active_median_s"] is None
        assert figures(build(db, "volume", replace(WEEK, by=By.assignee), EVENING), BO)["ignored_share"] is None


def promise(house: House) -> None:
    """One that was kept, one whose day has come, one for tomorrow."""
    with house.database.transaction() as db:
        reply = db.scalars(select(Reply).where(Reply.case_id == 1)).one()
        for due, state in ((-2, PromiseState.kept), (-1, PromiseState.open), (20, PromiseState.open)):
            at = EVENING + timedelta(hours=due)
            settled = at - timedelta(hours=1) if state is PromiseState.kept else None
            db.add(
                Promise(
                    case_id=1, reply_id=reply.id, words="vi kommer", due_at=at, back_at=at, owner_id=reply.user_id,
                    state=state, made_at=MORNING + timedelta(hours=1), settled_at=settled,
                )
            )  # fmt: skip
        db.flush()
        samples.mark(db, [1])
    samples.catch_up(house.database)


def test_before_any_midnight_was_stored_there_is_no_backlog_and_days_are_never_added_up(house: House) -> None:
    a_week(house)
    with house.database.transaction() as db:
        samples.store_backlog(db, date(2026, 11, 27), EVENING + timedelta(days=2))
    with house.database.read() as db:
        table = build(db, "backlog", replace(WEEK, by=By.day), EVENING)
        assert table.report.missing == (), "the evening of the first of them has not come"
        table = build(db, "backlog", replace(WEEK, by=By.day), EVENING + timedelta(days=5))
        days = [f"2026-11-{day}" for day in range(25, 29)]
        assert [row.key for row in table.report.rows] == days, "none before the first that was stored"
        assert figures(table, "2026-11-26")["unfinished"] is None, "not known, which is not nothing"
        assert figures(table, "2026-11-25")["unfinished"] == 12
        assert figures(table)["midnight"] == "2026-11-27"
        assert figures(table)["unfinished"] == figures(table, "2026-11-27")["unfinished"] == 12
        weeks = build(db, "backlog", replace(WEEK, by=By.week), EVENING)
        assert [(row.key, figures(weeks, row.key)["midnight"]) for row in weeks.report.rows] == [
            ("2026-11-23", "2026-11-25")
        ]
        before = build(db, "backlog", Asked(date(2026, 11, 1), date(2026, 11, 24)), EVENING)
        assert set(figures(before).values()) == {None}


def test_columns_have_one_name_each_and_what_counts_samples_says_which() -> None:
    for name, kind in REPORTS.items():
        made = kind.columns(WEEK)
        assert len({column.name for column in made}) == len(made), name
        for column in made:
            assert column.measure is None or column.measure in kind.measures, (name, column.name)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_documented(name: str) -> None:
    assert f"`{name}`" in (Path(__file__).parent.parent / "docs" / "exports.md").read_text()


def test_a_line_for_each_case_page_by_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both databases, since where a page goes on is said in SQL."""
    a_week(house)
    monkeypatch.setattr(rows, "PAGE", 4)
    for wanted, many in ((rows.received(WEEK), 15), (replace(rows.received(WEEK), what=Measure.mention), 15)):
        found = list(rows.lines(house.database.read, wanted, "http://here/", EVENING))
        assert len(found) == len({line[0] for line in found}) == many
        with house.database.read() as db:
            assert rows.count(db, wanted, EVENING) == many
