"""`gensvar report`: the figures of the API, to be read, to be worked on, and as a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import delete, select

import cli
from database import Database
from house import House
from models import AuditEntry, CaseTag, Sample, Unmeasured, User
from reports import rows
from reports.figures import By
from reports.tables import REPORTS
from tests.conftest import FakeClock, config
from tests.reported import EVENING, MATS, NEXT_WEEK, a_week, sheets
from web import create_app
from web.api import PREFIX, tokens

pytestmark = pytest.mark.one_database
WEEK = ("--from", "2026-11-23", "--to", "2026-11-30")


class Gensvar:
    def __init__(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.capsys, self.err = file, capsys, ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        self.capsys.readouterr()
        try:
            returned = cli.main(["--config", str(self.file), "report", *arguments])
        except SystemExit as wrong:  # argparse
            returned = int(wrong.code or 0)
        said = self.capsys.readouterr()
        self.err = said.err
        assert returned == status, said.err
        return said.out


@pytest.fixture
def gensvar(
    house: House,
    database: Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Gensvar:
    a_week(house)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path, database)))
    monkeypatch.setattr(cli, "_now", lambda: EVENING)
    return Gensvar(path, capsys)


def test_the_command_gives_what_the_api_gives(
    gensvar: Gensvar, house: House, database: Database, clock: FakeClock
) -> None:
    clock.at = EVENING
    client = create_app(house, clock=clock).test_client()
    with database.transaction() as db:
        user = db.scalars(select(User).where(User.email == MATS)).one()
        key = tokens.create(db, user, "test", EVENING)

    def api(name: str, accept: str, query: str) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Accept": accept}
        response = client.get(f"{PREFIX}/reports/{name}?{NEXT_WEEK}&{query}", headers=headers)
        assert response.status_code == 200, response.text
        return response

    for name in REPORTS:
        by = By.tag if name == "response-times" else By.team
        more = ("--by", by, "--clock", "business", "--start", "seen", "--team", "Gata", "--team", "Skydd")
        query = f"by={by}&clock=business&start=seen&team=Gata&team=Skydd"
        assert json.loads(gensvar(name, *WEEK, *more, "--format", "json")) == api(name, "*/*", query).get_json()
        assert gensvar(name, *WEEK, *more, "--format", "csv") == api(name, "text/csv", query).text
        file = gensvar.file.parent / f"{name}.xlsx"
        assert gensvar(name, *WEEK, *more, "--format", "xlsx", "--output", str(file)) == ""
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        assert sheets(file.read_bytes()) == sheets(api(name, kind, query).data)


def test_a_line_for_each_case_is_what_the_api_gives(
    gensvar: Gensvar, house: House, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.at = EVENING
    client = create_app(house, clock=clock).test_client()
    with database.transaction() as db:
        user = db.scalars(select(User).where(User.email == MATS)).one()
        key = tokens.create(db, user, "test", EVENING)
    monkeypatch.setattr(rows, "PAGE", 4)
    monkeypatch.setattr(rows, "MOST_IN_EXCEL", 3)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def api(query: str, accept: str = "*/*", status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Accept": accept}
        response = client.get(f"{PREFIX}/reports/cases?{NEXT_WEEK}&{query}", headers=headers)
        assert response.status_code == status, response.text
        return response

    for more, query, many in (((), "", 15), (("--team", "Gata", "--tag", "none"), "team=Gata&tag=none", 12)):
        assert gensvar("cases", *WEEK, *more) == api(query, "text/csv").text, "CSV unless one says otherwise"
        told = json.loads(gensvar("cases", *WEEK, *more, "--format", "json"))
        assert told == api(f"{query}&limit=200").get_json()
        assert (len(told["rows"]), told["next_cursor"]) == (many, None)
        file = gensvar.file.parent / "cases.xlsx"
        assert gensvar("cases", *WEEK, *more, "--format", "xlsx", "--output", str(file)) == ""
        data = sheets(file.read_bytes())["Data"]
        assert len(data) == many + 1, "the command has no limit"
        assert "gensvar report cases" in api(query, kind, 422).get_json()["error"]["message"]
        monkeypatch.setattr(rows, "MOST_IN_EXCEL", many)
        assert sheets(api(query, kind).data)["Data"] == data
        monkeypatch.setattr(rows, "MOST_IN_EXCEL", 3)
    with database.read() as db:
        taken = list(db.scalars(select(AuditEntry).where(AuditEntry.actor == "cli", AuditEntry.action == "export")))
    assert [each.changes["format"][1] for each in taken] == ["csv", "json", "xlsx"] * 2
    assert taken[-1].changes["query"][1] == "from=2026-11-23&to=2026-11-30&team=Gata&tag=none"


def test_a_table_to_be_read(gensvar: Gensvar) -> None:
    told = gensvar("response-times", *WEEK, "--by", "team")
    lines = told.splitlines()
    start = lines.index("First response")
    assert lines[start + 1].split() == ["TEAM", "N", "MEDIAN", "P90", "WITHIN", "TARGET"]
    assert lines[start + 2].split() == ["Gata", "12", "2", "h", "3", "h", "40", "min", "50", "%"]
    assert lines[start + 3].split() == ["Skydd", "0", "-", "-", "-"]
    assert len({line.index(word) for line, word in ((lines[start + 1], "MEDIAN"), (lines[start + 2], "2 h"))}) == 1
    assert "Imported history is left out." in told
    assert "Definitions 1." in told


def test_without_days_it_is_this_month_until_today(gensvar: Gensvar) -> None:
    told = json.loads(gensvar("volume", "--format", "json"))
    assert (told["from"], told["to"], told["total"]["received"]) == ("2026-11-01", "2026-11-25", 15)


def test_what_waits_to_be_measured_is_measured_first(gensvar: Gensvar, database: Database) -> None:

    with database.transaction() as db:
        db.execute(delete(Sample))
        db.add_all(Unmeasured(case_id=number) for number in range(1, 17))
    told = json.loads(gensvar("volume", *WEEK, "--format", "json"))
    assert (told["total"]["received"], told["not_yet_counted"]) == (15, 0)


def test_a_file_is_written_and_what_cannot_be_written_is_said(gensvar: Gensvar, tmp_path: Path) -> None:
    file = tmp_path / "volume.csv"
    assert gensvar("volume", *WEEK, "--format", "csv", "--output", str(file)) == ""
    assert next(csv.reader(io.StringIO(file.read_text())))[:2] == ["key", "received"]
    gensvar("volume", *WEEK, "--output", str(tmp_path / "nowhere" / "x"), status=1)
    assert "Cannot write" in gensvar.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("volumes",),
        ("volume", "--by", "hour"),
        ("volume", "--from", "2026-11-31"),
        ("volume", "--from", "yesterday"),
        ("volume", "--from", "2026-11-30", "--to", "2026-11-30"),
        ("volume", "--format", "xlsx"),
        ("volume", "--format", "pdf"),
        ("volume", "--clock", "sun"),
        ("volume", "--team", "Gatan"),
        ("volume", "--assignee", "nobody@storby.example"),
        ("cases", "--format", "table"),
        ("cases", "--format", "xlsx"),
        ("cases", "--by", "team"),
    ],
    ids=" ".join,
)
def test_what_is_asked_wrongly_is_refused_in_a_line(gensvar: Gensvar, arguments: tuple[str, ...]) -> None:
    assert gensvar(*arguments, status=2) == ""
    assert gensvar.err.splitlines()[-1].startswith("gensvar")


def test_a_tag_does_not_steer_the_terminal(gensvar: Gensvar, database: Database) -> None:

    with database.transaction() as db:
        db.add(CaseTag(case_id=4, tag="\x1b[2J\x07is"))
    assert "\x1b" not in gensvar("volume", *WEEK, "--by", "tag")
