"""Stories and Value say the same wherever they are read: on the screen, in files, by the API and by the command."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from pypdf import PdfReader
from sqlalchemy import select

import cli
from house import House
from models import User
from reports import export
from tests.conftest import FakeClock, config
from tests.factories import MORNING
from tests.reported import sheets
from tests.test_report_stories import answer, come, paper, told
from tests.test_report_value import canned, for_all
from triage import policy
from triage.policy import Assumption
from web.api import PREFIX, tokens

pytestmark = [pytest.mark.screens, pytest.mark.one_database]
DAY = "from=2026-11-24&to=2026-11-25"
MATS = "mats@storby.example"


@dataclass(frozen=True)
class Read:
    """A report as it is read everywhere. ``lines``: those of the CSV, the total last; ``page``: without its tags.

    ``printed``: the PDF; ``terminal``: the command without a format.
    """

    told: dict[str, Any]
    lines: list[dict[str, str]]
    page: str
    printed: str
    terminal: str
    facts: dict[str, str]

    @property
    def total(self) -> dict[str, Any]:
        found: dict[str, Any] = self.told["total"]
        return found


@pytest.fixture
def read(
    browser: Callable[[str | None], FlaskClient],
    storby: House,
    clock: FakeClock,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Read]:
    """Three stories: of one we were first, of one the press, one was never in it; and texts that were used again."""
    canned(storby.database)
    for_all(storby.database, "a", "b")
    with storby.database.transaction() as db:
        one, other = come(db, "c", 0), come(db, "d", 2)
        told(db, one, other, paper(db, "p", 60))
        told(db, come(db, "e", 3, text="=1+1"), paper(db, "q", 10))
        answer(db, one, 20, "Hej! Plogen kommer till din gata i dag, ärende 1.")
        answer(db, other, 25, "Nej.")
        late = come(db, "f", 1)
        told(db, late, paper(db, "r", 5))
        answer(db, late, 45)
        policy.put(db, policy.VALUE, Assumption(share=50, minutes=6.5, cost=450), by="mats", at=MORNING)
        user = db.scalars(select(User).where(User.email == MATS)).one()
        key = tokens.create(db, user, "test", MORNING)
    clock.forward(hours=9)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config(tmp_path, storby.database)))
    monkeypatch.setattr(cli, "_now", clock)
    client = browser(MATS)

    def api(name: str, accept: str) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Accept": accept}
        answered = client.get(f"{PREFIX}/reports/{name}?{DAY}", headers=headers)
        assert answered.status_code == 200, answered.text
        return answered

    def command(name: str, format: str, *more: str) -> str:
        capsys.readouterr()
        asked = ("report", name, "--from", "2026-11-24", "--to", "2026-11-25", "--format", format, *more)
        assert cli.main(["--config", str(file), *asked]) == 0
        return capsys.readouterr().out

    def everywhere(name: str) -> Read:
        page = client.get(f"/reports/{name}?{DAY}")
        assert page.status_code == 200
        shown = page.get_data(as_text=True)
        for ending in ("csv", "xlsx", "pdf"):
            assert f"/reports/{name}.{ending}" in shown, "each file is one click away"
        json_told = api(name, "*/*").get_json()
        assert json.loads(command(name, "json")) == json_told
        text, book = (client.get(f"/reports/{name}.{ending}?{DAY}") for ending in ("csv", "xlsx"))
        assert text.headers["Content-Disposition"] == f'attachment; filename="{name}-2026-11-24-2026-11-24.csv"'
        written = text.data.decode().removeprefix(export.BOM)
        assert written == api(name, export.CSV).text == command(name, "csv")
        kept = tmp_path / "x.xlsx"
        command(name, "xlsx", "--output", str(kept))
        data = sheets(book.data)["Data"]
        assert data == sheets(api(name, export.XLSX).data)["Data"] == sheets(kept.read_bytes())["Data"]
        lines = list(csv.DictReader(io.StringIO(written)))
        assert [line[0] for line in data[1:]] == [next(iter(line.values())) for line in lines]
        for line, row in zip(lines, [*json_told["rows"], json_told["total"]], strict=True):
            for column in json_told["columns"]:
                same(line[column["name"]], row[column["name"]], column["unit"])
        paper = PdfReader(io.BytesIO(client.get(f"/reports/{name}.pdf?{DAY}").data))
        printed = " ".join(" ".join(page.extract_text() for page in paper.pages).split())
        facts = {key: " ".join(plain(value)) for key, value in re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", shown)}
        return Read(json_told, lines, " ".join(plain(shown)), printed, command(name, "table"), facts)

    return everywhere


def plain(markup: str) -> list[str]:
    return re.sub(r"<[^>]+>", " ", markup).split()


def same(written: str, value: Any, unit: str) -> None:
    if value is None:
        assert written == ""
    elif unit in ("count", "share", "seconds"):
        assert float(written) == value
    elif unit == "text":
        assert written == export.harmless(value)
    else:
        assert written.endswith("+01:00")


def test_stories_are_the_same_everywhere(read: Callable[[str], Read]) -> None:
    found = read("stories")
    total = found.total
    assert (found.told["by"], found.told["clock"]) == (None, "calendar"), "it is grouped by nothing"
    assert {
        "Stories told": total["stories"], "Of these in the press": total["in_the_press"],
        "We had answered before": total["answered_before"], "The press was first": total["press_first"],
        "In the press, not answered": total["press_unanswered"],
    } == {name: int(words) for name, words in found.facts.items() if words.isdigit()}  # fmt: skip
    assert [total[each] for each in ("stories", "in_the_press", "answered_before", "press_first")] == [4, 3, 1, 1]
    assert found.facts["Median of the head start"] == "40 mins after the press"
    assert total["head_start_s"] == -40 * 60
    ours = next(row for row in found.told["rows"] if row["head_start_s"] == 40 * 60)
    assert (ours["press"], ours["mentions"], ours["answered"], ours["answer_for_all"]) == ("SVT", 3, 2, 0)
    assert "40 mins before the press" in found.page
    assert "Stories told Of these in the press" in found.printed and "Total 4 3 1 1 1" in found.printed
    assert "SVT 24 Nov 2026, 10:00:00 #10 40 mins" in found.printed and "−40 mins" in found.printed
    assert re.search(r"text of c .* SVT +2026-11-24 10:00 +10 +40 min", found.terminal)
    for figure in ("mentions", "authors", "cases", "answered", "answer_for_all"):
        assert sum(row[figure] for row in found.told["rows"]) == total[figure], figure
    assert [line["head_start"] for line in found.lines] == ["0:40:00", "", "", "-0:40:00", "-0:40:00"]


def test_value_is_the_same_everywhere(read: Callable[[str], Read]) -> None:
    found = read("value")
    total = found.total
    for label, name in (
        ("Answers that went out", "answers"), ("Of these, with a text used before", "reused"),
        ("Part of one answer for all", "answers_shared"), ("Made of a canned reply", "answers_canned"),
        ("People helped", "people"), ("People helped by one answer for all", "people_for_one"),
    ):  # fmt: skip
        assert float(found.facts[label].split()[0]) == total[name], label
    assert [(row["key"], row["reused"], row["people"]) for row in found.told["rows"]] == [
        ("shared:1", 2, 2), ("canned:plogning", 1, 1),
    ]  # fmt: skip
    assert (total["answers"], total["reused"], total["reused_share"]) == (5, 3, 0.6)
    assert (total["settled"], total["calls_spared"], total["time_spared_s"], total["cost_spared"]) == (
        5,
        2,
        13 * 60,
        98,
    )
    assert (total["assumed_share"], total["assumed_by"], total["currency"]) == (0.5, "mats", "SEK")
    assert "5 cases × 50% = 2 calls" in found.page and "= 98 SEK" in found.page
    assert found.lines[-1]["time_spared"] == "0:13:00"
    assert "plogning Canned reply" in found.printed and "13 mins 98" in found.printed
    assert re.search(r"total +5 +0 +5 +50 % +6\.5 ", found.terminal)
