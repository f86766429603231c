"""Files for people: each report, and one line for each case; who gets what, and that it is written down."""

from __future__ import annotations

import collections
import csv
import gc
import io
import tracemalloc
from collections.abc import Callable
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update

from house import House
from models import AuditEntry, Case, Sample, User
from reports import export, rows
from reports.figures import Asked
from reports.tables import REPORTS
from tests import screens
from tests.conftest import FakeClock
from tests.reported import BO, EVA, EVENING, MATS, NEXT_WEEK, a_week, sheets
from triage.measures import Measure
from web import create_app, passwords

pytestmark = [pytest.mark.screens, pytest.mark.one_database]
Get = Callable[..., Any]


@pytest.fixture
def get(house: House, clock: FakeClock, quick_passwords: None) -> Get:
    """``get("volume.csv", "by=team", who=EVA)``"""
    clock.at = EVENING
    a_week(house)
    with house.database.transaction() as db:
        db.execute(update(User).values(password_hash=passwords.hash_password(screens.PASSWORD)))
    app = create_app(house, clock=clock)
    clients: dict[str, Any] = {}

    def got(path: str, query: str = "", *, who: str = MATS, status: int = 200, period: str = NEXT_WEEK) -> Any:
        if who not in clients:
            clients[who] = app.test_client()
            clients[who].environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
            assert clients[who].post("/login", data={"email": who, "password": screens.PASSWORD}).status_code == 303
        response = clients[who].get(f"/reports/{path}?{period}&{query}")
        assert response.status_code == status, response.text[:500]
        return response

    return got


def lines_of(response: Any) -> list[dict[str, str]]:
    text = response.data.decode()
    assert text.startswith(export.BOM)
    return list(csv.DictReader(io.StringIO(text.removeprefix(export.BOM))))


# -- each report -----------------------------------------------------------------------------------------------------


def test_each_report_is_a_file_of_both_kinds_with_the_same_in_it(get: Get) -> None:
    for name in REPORTS:
        text, book = get(f"{name}.csv", "by=team"), sheets(get(f"{name}.xlsx", "by=team").data)
        assert text.headers["Content-Disposition"] == f'attachment; filename="{name}-2026-11-23-2026-11-29.csv"'
        same(list(csv.reader(io.StringIO(text.data.decode().removeprefix(export.BOM)))), book["Data"])
    get("nothing.csv", status=404)
    get("volume.csv", "by=hour", status=422)
    get("volume.csv", "team=Gatan", status=422)


def same(text: list[list[str]], book: list[list[Any]]) -> None:
    """What a CSV and a sheet of Excel hold, where both can hold it alike."""
    assert text[0] == book[0]
    assert len(text) == len(book)
    for line, cells in zip(text[1:], book[1:], strict=True):
        for name, written, cell in zip(text[0], line, cells, strict=True):
            if cell is None:
                assert written == "", name
            elif isinstance(cell, str):
                assert written == export.harmless(cell), name
            elif isinstance(cell, bool):
                assert written == str(cell).lower(), name
            elif ":" not in written:  # else an instant, or a time to be read
                assert float(written) == cell, name


def test_times_stand_there_by_both_clocks_the_other_one_at_the_end(get: Get, house: House) -> None:
    with house.database.transaction() as db:  # the week passed within opening hours
        db.execute(update(Sample).where(Sample.seconds.is_not(None)).values(business=Sample.seconds - 60))
    for name in ("response-times", "resolution", "team"):
        calendar = lines_of(get(f"{name}.csv", "by=assignee"))
        business = lines_of(get(f"{name}.csv", "by=assignee&clock=business"))
        columns = list(calendar[0])
        others = columns[columns.index("definitions") + 1 :]
        assert others and all(each.endswith(("_business_s", "_business")) for each in others), name
        for other in others:
            plain, mirrored = other.replace("_business", ""), other.replace("_business", "_calendar")
            assert [line[other] for line in calendar] == [line[plain] for line in business], (name, other)
            assert [line[mirrored] for line in business] == [line[plain] for line in calendar], (name, other)
            differs = any(line[other] != line[plain] for line in calendar)
            assert differs or not any(line[plain] for line in calendar), (name, other)
    assert "first_response_median_business_s" in lines_of(get("response-times.csv"))[0]


def test_people_get_their_own_line(get: Get) -> None:
    assert [line["assignee"] for line in lines_of(get("volume.csv", "by=assignee", who=BO))] == [BO, "none", "total"]
    assert EVA in [line["assignee"] for line in lines_of(get("volume.csv", "by=assignee"))]
    get("volume.csv", f"assignee={EVA}", who=BO, status=403)


# -- one line for each case -------------------------------------------------------------------------------------------


def test_a_line_for_each_case_that_came_in(get: Get, house: House) -> None:
    found = lines_of(get("cases.csv"))
    assert [line["number"] for line in found] == [str(number) for number in range(1, 16)]
    first = found[0]
    assert first | {
        "address": "http://127.0.0.1:8000/cases/1", "channel": "net", "source": "net", "author": "Author1",
        "author_handle": "author1", "team": "Gata", "assignee": EVA, "kind": "problem", "tags": "halka, snö",
        "status": "resolved", "ignored": "false", "imported": "false",
        "published_at": "2026-11-24T09:00:00+01:00", "seen_at": "2026-11-24T09:30:00+01:00",
        "first_response_at": "2026-11-24T09:20:00+01:00", "resolved_at": "2026-11-24T10:02:00+01:00",
        "answers": "1", "answers_elsewhere": "1", "first_answered": "elsewhere", "closings": "1", "reopenings": "0",
        "first_response_s": "1200", "first_response": "0:20:00", "first_response_business_s": "1200",
        "first_response_seen_s": "0", "resolution_s": "3720", "resolution": "1:02:00", "first_response_late": "false",
        "resolution_late": "false", "next_responses": "0", "next_response_longest_s": "",
    } == first  # fmt: skip
    by_number = {line["number"]: line for line in found}
    assert by_number["12"]["first_response_late"] == "true"
    assert by_number["12"]["assignee"] == BO
    assert by_number["13"]["first_response_late"] == "true", "it waits, and its target is past"
    assert (by_number["13"]["first_response_s"], by_number["13"]["waiting_since"]) == ("", "2026-11-24T09:12:00+01:00")
    assert (by_number["3"]["next_response_longest_s"], by_number["3"]["reopenings"]) == ("3600", "1")
    assert (by_number["15"]["ignored"], by_number["15"]["ignored_at"]) == ("true", "2026-11-24T18:00:00+01:00")
    assert by_number["2"]["source"] == "'=other", "no formula"
    assert len(lines_of(get("cases.csv", "imported=include"))) == 16


def test_both_kinds_of_file_hold_the_same(get: Get) -> None:
    book = sheets(get("cases.xlsx").data)
    same(list(csv.reader(io.StringIO(get("cases.csv").data.decode().removeprefix(export.BOM)))), book["Data"])
    assert book["Data"][0] == export.headings(rows.FIELDS)
    about = {line[0]: line[1] for line in book["About"]}
    assert (about["First day"], about["Imported history"]) == ("2026-11-23", "is left out")


def test_behind_a_figure_are_as_many_as_it_says(get: Get) -> None:
    def numbers(query: str) -> list[int]:
        return [int(line["number"]) for line in lines_of(get("cases.csv", query))]

    (total,) = lines_of(get("sla.csv"))
    assert len(numbers("measure=first_response&late=yes")) == int(total["first_response_missed"]) == 6
    assert numbers("measure=next_response") == [3]
    assert numbers("measure=closing") == [1, 2, 3]
    assert numbers("measure=closing&how=reopened") == [3]
    assert numbers("measure=waiting") == [13, 14]
    assert numbers("measure=received&by=team&key=Skydd") == [14]
    assert numbers("measure=received&tag=snö") == [1, 2]
    assert sorted(numbers("measure=backlog&night=2026-11-25")) == [3, *range(4, 15)]
    get("cases.csv", "measure=nothing", status=422)


def test_what_somebody_may_not_see_is_not_in_it(get: Get) -> None:
    assert "14" in [line["number"] for line in lines_of(get("cases.csv", who=EVA))]
    for query in ("", "measure=waiting", "measure=backlog&night=2026-11-25", "measure=mention"):
        found = lines_of(get("cases.csv", query, who=BO))
        assert found
        assert "14" not in [line["number"] for line in found], query
        assert {line["assignee"] for line in found} <= {BO, ""}, "times of other people"
    book = sheets(get("cases.xlsx", who=BO).data)["Data"]
    assert 14.0 not in [line[0] for line in book]
    get("cases.csv", f"assignee={EVA}", who=BO, status=403)
    get("cases.csv", f"measure=answer&by=assignee&key={EVA}", who=BO, status=403)


def test_who_took_them_is_written_down(get: Get, house: House) -> None:
    get("cases.csv", "tag=snö&team=Gata")
    get("volume.csv")
    with house.database.read() as db:
        entry = db.scalars(select(AuditEntry).where(AuditEntry.action == "export")).one()
    assert (entry.actor, entry.subject) == (MATS, "cases:2026-11-23 – 2026-11-29")
    assert "tag=snö&team=Gata" in entry.changes["query"][1]


def test_a_period_without_cases_is_a_line_of_headings(get: Get) -> None:
    assert lines_of(get("cases.csv", period="from=2025-01-01&to=2025-02-01")) == []
    assert len(sheets(get("cases.xlsx", period="from=2025-01-01&to=2025-02-01").data)["Data"]) == 1


def test_pages_lose_none_and_give_none_twice(get: Get, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 4, 15):
        monkeypatch.setattr(rows, "PAGE", size)
        for query, many in (("", 15), ("measure=mention", 15), ("measure=waiting", 2)):
            found = [line["number"] for line in lines_of(get("cases.csv", query))]
            assert len(found) == len(set(found)) == many, (size, query)


def test_too_many_for_excel_are_refused_with_words_and_come_as_csv(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_IN_EXCEL", 14)
    refused = get("cases.xlsx", status=422).text
    assert "15 cases are too many for an Excel file" in refused
    assert "gensvar report cases --from" in refused, "the way without the limit"
    assert len(lines_of(get("cases.csv"))) == 15
    for query, many in (("measure=waiting", 2), ("measure=mention", 15), ("team=Gata", 14)):
        monkeypatch.setattr(rows, "MOST_IN_EXCEL", many - 1)
        get("cases.xlsx", query, status=422)
        monkeypatch.setattr(rows, "MOST_IN_EXCEL", many)
        assert len(sheets(get("cases.xlsx", query).data)["Data"]) == many + 1


def test_any_number_of_cases_needs_little_memory(get: Get, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the cases, the same memory."""
    monkeypatch.setattr(rows, "PAGE", 50)
    monkeypatch.setattr(export, "READ_AT_ONCE", 8 * 1024)
    many = 1200
    with house.database.transaction() as db:
        case, sample = db.get_one(Case, 4), db.scalars(select(Sample).where(Sample.case_id == 4)).first()
        assert sample is not None
        alike = {c.key: getattr(case, c.key) for c in Case.__table__.columns if c.key != "id"}
        taken = {c.key: getattr(sample, c.key) for c in Sample.__table__.columns if c.key != "id"}
        taken |= {"measure": Measure.received.value, "day": sample.day}
        db.execute(insert(Case), [{**alike, "id": 100 + number} for number in range(many)])
        db.execute(insert(Sample), [{**taken, "case_id": 100 + number} for number in range(many)])
    asked = Asked(EVENING.date().replace(day=23), EVENING.date().replace(day=30))
    zone = ZoneInfo("Europe/Stockholm")

    def peak(most: int) -> int:
        read = rows.lines(house.database.read, rows.received(asked), "http://x", EVENING)
        text = export.as_csv(rows.FIELDS, islice(read, most), zone)
        seldom = gc.get_threshold()
        gc.set_threshold(700)  # as it is where Gensvar runs
        tracemalloc.start()
        collections.deque(text, maxlen=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        gc.set_threshold(*seldom)
        return found

    peak(200)
    assert peak(many) < peak(many // 4) * 1.5
