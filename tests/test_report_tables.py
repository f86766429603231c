"""The tables of the reports: every one by every key, on both databases; and what each figure of them counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from database import Database
from reports.figures import Asked, By
from reports.tables import REPORTS, build
from tests.factories import MORNING

WEEK = Asked(date(2026, 11, 23), date(2026, 11, 30))


@pytest.mark.parametrize("name", REPORTS)
def test_an_empty_house_has_nothing_in_any_table(database: Database, name: str) -> None:
    with database.read() as db:
        for by in (None, *By):
            table = build(db, name, replace(WEEK, by=by), MORNING)
            assert table.report.rows == (), by
            assert not any(table.values(table.report.total)), by
