"""The reports over the API: as the design has them, on both databases; who may see what; and as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pydantic import TypeAdapter
from sqlalchemy import delete, select

from database import Database
from house import House
from models import AuditEntry, CaseEvent, PendingReaction, Unmeasured, User
from reports import export
from reports.figures import By
from reports.tables import REPORTS
from tests.conftest import FakeClock
from tests.reported import ANSWERED, BO, EVA, EVENING, GROUPED, MATS, NEXT_WEEK, WAITING, a_week, sheets
from web import create_app
from web.api import PREFIX, tokens
from web.api.operations import OPERATIONS

pytestmark = pytest.mark.screens
Ask = Callable[..., Any]
CSV, XLSX = export.CSV, export.XLSX


@pytest.fixture
def app(house: House, clock: FakeClock) -> Flask:
    clock.at = EVENING
    a_week(house)
    return create_app(house, clock=clock)


@pytest.fixture
def ask(app: Flask, database: Database) -> Ask:
    """``ask("volume", "by=team", who=EVA, accept=…)``: the JSON, or what came."""
    keys: dict[str, str] = {}

    def asked(
        name: str, query: str = "", *, who: str = MATS, accept: str = "", status: int = 200, period: str = NEXT_WEEK
    ) -> Any:
        if who not in keys:
            with database.transaction() as db:
                user = db.scalars(select(User).where(User.email == who)).one()
                keys[who] = tokens.create(db, user, "test", EVENING)
        headers = {"Authorization": f"Bearer {keys[who]}"} | ({"Accept": accept} if accept else {})
        response = app.test_client().get(f"{PREFIX}/reports/{name}?{period}&{query}", headers=headers)
        assert response.status_code == status, response.text[:500]
        if accept and status == 200:
            return response
        told = response.get_json()
        operation = next((each for each in OPERATIONS if each.path == f"/reports/{name}"), None)
        if operation and status == 200:
            TypeAdapter(operation.answers[200]).validate_python(told, extra="forbid")
        return told

    return asked


def by_key(told: Any) -> dict[str, Any]:
    return {row["key"]: row for row in told["rows"]}


# -- response times, as the design has them ---------------------------------------------------------------------------


def test_response_times_of_a_week_known_to_the_minute(ask: Ask) -> None:
    told = ask("response-times", "by=team")
    assert (told["definitions"], told["clock"], told["by"]) == ("1", "calendar", "team")
    assert (told["from"], told["to"], told["imported"], told["not_yet_counted"]) == (
        "2026-11-23", "2026-11-30", "exclude", 0,
    )  # fmt: skip
    total = told["total"]
    assert (total["received"], total["answered"], total["still_waiting"]) == (15, ANSWERED, WAITING)
    assert total["oldest_waiting_since"] == "2026-11-24T08:12:00Z"
    assert total["first_response"] == {
        "n": 12, "median_s": 6 * 1200, "p90_s": 11 * 1200, "mean_s": 7800, "within_target": 0.5, "with_target": 12,
        "outside_hours": 0, "hidden": False,
    }  # fmt: skip
    assert (total["next_response"]["n"], total["next_response"]["median_s"]) == (1, 3600)
    assert (total["resolution"]["n"], total["resolution"]["within_target"]) == (2, 1.0)
    rows = by_key(told)
    assert list(rows) == ["Gata", "Skydd"]
    assert (rows["Skydd"]["received"], rows["Skydd"]["first_response"]["median_s"]) == (1, None)
    for figure in ("received", "answered", "still_waiting"):
        assert sum(row[figure] for row in rows.values()) == total[figure]


def test_by_every_key_the_lines_add_up_but_for_tags(ask: Ask) -> None:
    for by in By:
        told = ask("response-times", f"by={by}")
        received = sum(row["received"] for row in told["rows"])
        assert told["total"]["received"] == 15, by
        assert received == (16 if by is By.tag else 15), by
    tags = by_key(ask("response-times", "by=tag"))
    assert {key: row["received"] for key, row in tags.items()} == {"halka": 1, "snö": 2, "none": 13}


@pytest.mark.one_database
def test_both_clocks_both_starts_and_history(ask: Ask) -> None:
    assert ask("response-times", "clock=business")["total"]["first_response"]["median_s"] == 6 * 1200
    seen = ask("response-times", "start=seen")
    assert (seen["start"], seen["total"]["first_response"]["n"]) == ("seen", 12)
    # case 1 was answered before it was collected; 6 was published at 9:05, seen at 9:30 and answered at 11:05
    assert seen["total"]["first_response"]["median_s"] == 95 * 60
    assert ask("response-times", "imported=include")["total"]["received"] == 16


@pytest.mark.one_database
def test_filters_narrow_and_may_be_given_several_times(ask: Ask) -> None:
    def received(query: str) -> int:
        return int(ask("response-times", query)["total"]["received"])

    assert received("source=net") == 8
    assert received("source=net&source==other".replace("==", "=%3D")) == 15
    assert received("team=Skydd") == 1
    assert received("assignee=none") == 3
    assert received(f"assignee={EVA}") == 10
    assert received("kind=problem&kind=question") == 2
    assert received("tag=halka") == 1
    assert received("tag=none&tag=halka") == 14
    assert received("channel=net") == 15
    assert received("channel=none") == 0
    assert ask("response-times", "tag=halka&source=net")["filters"] == {"source": ["net"], "tag": ["halka"]}


@pytest.mark.one_database
def test_a_period_without_anything_has_no_lines_and_no_medians(ask: Ask) -> None:
    told = ask("response-times", "by=channel", period="from=2025-01-01&to=2025-02-01")
    assert told["rows"] == []
    assert (told["total"]["received"], told["total"]["still_waiting"]) == (0, 0)
    assert told["total"]["first_response"]["median_s"] is None


@pytest.mark.one_database
def test_what_is_asked_wrongly_names_the_field(ask: Ask) -> None:
    for name in REPORTS:
        for query, fields in [
            ("", {"from", "to"}),
            ("from=2026-11-01", {"to"}),
            ("from=2026-11-01&to=2026-11-31", {"to"}),
            ("from=1790000000&to=2026-11-30", {"from"}),
            ("from=0001-01-01&to=9999-12-31", {"from", "to"}),
            ("from=2026-11-30&to=2026-11-30", {"to"}),
            (f"{NEXT_WEEK}&by=hour", {"by"}),
            (f"{NEXT_WEEK}&clock=sun", {"clock"}),
            (f"{NEXT_WEEK}&start=now", {"start"}),
            (f"{NEXT_WEEK}&kind=complaint", {"kind"}),
            (f"{NEXT_WEEK}&team=Gatan", {"team"}),
            (f"{NEXT_WEEK}&source=nett", {"source"}),
            (f"{NEXT_WEEK}&assignee=nobody@storby.example", {"assignee"}),
            (f"{NEXT_WEEK}&colour=red", {"colour"}),
        ]:
            told = ask(name, period=query, status=422)
            assert set(told["error"]["fields"]) == fields, (name, query)
    ask("nothing", status=404)


# -- who may see what -------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_by_person_an_agent_sees_their_own_line_and_a_manager_everybody(ask: Ask) -> None:
    assert list(by_key(ask("response-times", "by=assignee"))) == [BO, EVA, "none"]
    mine = ask("response-times", "by=assignee", who=BO)
    assert list(by_key(mine)) == [BO, "none"]
    assert ask("response-times", "assignee=me", who=BO)["total"]["answered"] == 2
    for name in REPORTS:
        ask(name, f"assignee={EVA}", who=BO, status=403)
        ask(name, f"assignee={EVA}&assignee={BO}", who=BO, status=403)
        ask(name, f"by=assignee&assignee={EVA}", who=BO, accept=CSV, status=403)
        ask(name, f"assignee={BO}", who=BO)


@pytest.mark.one_database
def test_of_one_person_too_few_tell_nothing(ask: Ask) -> None:
    bo = by_key(ask("response-times", "by=assignee"))[BO]["first_response"]
    assert bo == {
        "n": 2, "median_s": None, "p90_s": None, "mean_s": None, "within_target": None, "with_target": None,
        "outside_hours": None, "hidden": True,
    }  # fmt: skip
    assert by_key(ask("sla", "by=assignee"))[BO]["first_response_met"] is None
    for query in (f"assignee={BO}", f"assignee={BO}&by=team", f"assignee={BO}&by=day"):
        told = ask("response-times", query)
        for row in (told["total"], *told["rows"]):
            assert row["first_response"]["median_s"] is None, query


def test_what_a_team_keeps_to_itself_is_in_no_figure_of_others(ask: Ask) -> None:
    for by in (By.team, By.tag, By.assignee, By.day):
        everything = ask("response-times", f"by={by}", who=EVA)["total"]
        seen = ask("response-times", f"by={by}", who=BO)
        assert (everything["received"], everything["still_waiting"]) == (15, 2), by
        assert (seen["total"]["received"], seen["total"]["still_waiting"]) == (14, 1), by
        assert "Skydd" not in by_key(seen)
    assert ask("response-times", "team=Skydd", who=BO)["total"]["received"] == 0
    for name, figure, all, others in (
        ("volume", "mentions", 16, 15), ("sla", "late_now", 2, 1), ("backlog", "unfinished", 12, 11),
    ):  # fmt: skip
        for key in ("team", "tag"):
            assert ask(name, f"by={key}", who=MATS)["total"][figure] == all, (name, key)
            assert ask(name, f"by={key}", who=BO)["total"][figure] == others, (name, key)


# -- the others ------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_every_report_has_its_columns_in_each_line(ask: Ask) -> None:
    for name in REPORTS:
        if name == "response-times":
            continue
        told = ask(name, "by=team")
        columns = [column["name"] for column in told["columns"]]
        assert list(told["total"]) == columns, name
        for row in told["rows"]:
            assert list(row) == ["key", *columns], name


@pytest.mark.one_database
def test_what_has_just_happened_is_in_it_and_what_is_not_yet_is_said(
    ask: Ask, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as db:
        db.execute(delete(PendingReaction))
        db.add_all(Unmeasured(case_id=number) for number in range(1, 11))
    monkeypatch.setattr("web.api.operations.CAUGHT_UP", 4)
    assert ask("volume")["not_yet_counted"] == 6
    assert ask("volume")["not_yet_counted"] == 2
    assert ask("volume")["not_yet_counted"] == 0
    with database.read() as db:
        assert db.scalars(select(CaseEvent.id)).first() is not None


# -- one row for each case ---------------------------------------------------------------------------------------------


def test_page_by_page_each_case_comes_once_and_is_the_line_of_the_file(ask: Ask) -> None:
    for query, many in (("", 15), ("imported=include", 16), ("tag=snö", 2), ("assignee=none", 3)):
        found, cursor = [], ""
        for _ in range(20):
            told = ask("cases", f"{query}&limit=4&cursor={cursor}")
            assert len(told["rows"]) <= 4
            found += told["rows"]
            cursor = told["next_cursor"]
            if cursor is None:
                break
        assert len(found) == len({row["number"] for row in found}) == many, query
        lines = list(csv.DictReader(io.StringIO(ask("cases", query, accept=CSV).text)))
        assert [float(line["number"]) for line in lines] == [row["number"] for row in found]
        for line, row in zip(lines, found, strict=True):
            for column in told["columns"]:
                written, value = line[column["name"]], row[column["name"]]
                if column["unit"] == "flag":
                    assert written == ("" if value is None else str(value).lower())
                elif column["unit"] in ("count", "seconds"):
                    assert written == ("" if value is None else str(value))
                elif column["unit"] == "text":
                    assert written == export.harmless(value or "")
                else:
                    assert bool(written) == bool(value)


@pytest.mark.one_database
def test_of_cases_too_everybody_gets_what_they_may_see(ask: Ask, database: Database) -> None:
    assert 14 in [row["number"] for row in ask("cases", who=EVA)["rows"]]
    seen = ask("cases", who=BO)["rows"]
    assert 14 not in [row["number"] for row in seen] and {row["assignee"] for row in seen} == {BO, None}
    assert "/cases/14," not in ask("cases", who=BO, accept=CSV).text, "while the file is sent, too"
    ask("cases", f"assignee={EVA}", who=BO, status=403)
    for wrong in ("cursor=x", "cursor=1~2~3", "limit=201", "by=team", "team=Gatan"):
        ask("cases", wrong, status=422)
    with database.read() as db:
        written = list(db.scalars(select(AuditEntry).where(AuditEntry.action == "export").order_by(AuditEntry.id)))
    assert [(each.actor, each.changes["format"][1]) for each in written] == [(EVA, "json"), (BO, "json"), (BO, "csv")]


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_who_accepts_csv_or_xlsx_gets_it_with_the_figures_of_the_json(ask: Ask) -> None:
    for name in GROUPED:
        for by in (By.tag, By.assignee, By.source):
            told = ask(name, f"by={by}")
            csv_file, xlsx_file = (ask(name, f"by={by}", accept=accept) for accept in (CSV, XLSX))
            assert csv_file.content_type == "text/csv; charset=utf-8"
            assert xlsx_file.content_type == XLSX
            assert f"{name}-2026-11-23-2026-11-29.csv" in csv_file.headers["Content-Disposition"]
            header, *lines = csv.reader(io.StringIO(csv_file.text))
            book = sheets(xlsx_file.data)
            assert book["Data"][0] == header, name
            rows = [*told["rows"], {"key": "total", **told["total"]}]
            assert len(lines) == len(book["Data"]) - 1 == len(rows)
            for line, packed, row in zip(lines, book["Data"][1:], rows, strict=True):
                texts = dict(zip(header, line, strict=True))
                cells = dict(zip(header, packed, strict=True))
                assert (texts[by], cells[by]) == (export.harmless(row["key"]), row["key"])
                for column, value in flat(row).items():
                    written = texts[column]
                    if value is None:
                        assert (written, cells[column]) == ("", None), (name, column)
                    elif column.endswith(("_since", "midnight")):
                        assert written, (name, column)
                    else:
                        assert float(written) == cells[column] == value, (name, column)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """As the columns of the files are called."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            inner = {key: each for key, each in value.items() if key not in ("hidden", "with_target")}
            found |= {f"{name}_{key}": each for key, each in inner.items()}
        elif name != "key":
            found[name] = value
    return found


@pytest.mark.one_database
def test_the_workbook_says_what_its_figures_are(ask: Ask) -> None:
    book = sheets(ask("response-times", "by=day&clock=business&tag=snö", accept=XLSX).data)
    about = {str(line[0]): line[1] for line in book["About"]}
    assert about["Imported history"] == "is left out"
    assert about["Time is counted"] == "in opening hours"
    assert about["Definitions, version"] == "1"
    assert (about["First day"], about["Last day"]) == ("2026-11-23", "2026-11-29")
    assert about["Only: tag"] == "snö"
    assert about["Time zone"] == "Europe/Stockholm"


@pytest.mark.one_database
def test_durations_stand_there_as_seconds_and_to_be_read(ask: Ask) -> None:
    header, *_, total = csv.reader(io.StringIO(ask("response-times", accept=CSV).text))
    figures = dict(zip(header, total, strict=True))
    assert (figures["first_response_median_s"], figures["first_response_median"]) == ("7200", "2:00:00")
    book = sheets(ask("response-times", accept=XLSX).data)["Data"]
    packed = dict(zip(book[0], book[-1], strict=True))
    assert packed["first_response_median"] == pytest.approx(7200 / 86400)


@pytest.mark.one_database
def test_who_accepts_anything_gets_json(ask: Ask) -> None:
    for accept in ("*/*", "application/json", "text/html, */*;q=0.8", "image/png"):
        assert ask("volume", accept=accept).is_json, accept
    assert not ask("volume", accept="text/csv, */*;q=0.1").is_json


@pytest.mark.one_database
def test_what_looks_like_a_formula_is_text(ask: Ask) -> None:
    lines = list(csv.reader(io.StringIO(ask("volume", "by=source", accept=CSV).text)))
    assert [line[0] for line in lines[1:]] == ["'=other", "net", "total"]
    assert [line[0] for line in sheets(ask("volume", "by=source", accept=XLSX).data)["Data"][1:]] == [
        "=other", "net", "total",
    ]  # fmt: skip
