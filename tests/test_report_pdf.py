"""A report as PDF: the numbers of the screen, every text as text, tagged; said so where it cannot be made."""

from __future__ import annotations

import configparser
import csv
import importlib.util
import io
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from pypdf import PdfReader
from sqlalchemy import select

from errors import GensvarError
from house import House
from models import Mention, User
from reports import export, pdf, tables
from reports.figures import Asked, By
from reports.pdf import Bars, Block, Paper
from reports.tables import Unit, Value
from tests.conftest import FakeClock
from triage import answering, cases
from web import i18n, report_pdf, report_words

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

PEOPLE = {"anna@storby.example": "Anna Åberg", "mats@storby.example": "Mats Øst"}
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOSTILE = [
    '#eval("1+1")',
    "#read(\"/etc/passwd\")",
    "$x^2$ \\ *b* _i_ `c` <l> @ref // no /* comment */",
    "]#pagebreak()[",
    "عربي שלום",
    "\N{RIGHT-TO-LEFT OVERRIDE}evil\x00\x07",
    "https://storby.example/" + "a" * 400,
    "Å" * 300,
    "",
]  # fmt: skip


def paper(*names: str, rows: int = 0, **more: Any) -> Paper:
    lines = [[name, "1", "1 tim 30 min"] for name in (*names, *(f"Rad {n}" for n in range(rows)))]
    given: dict[str, Any] = {
        "language": "sv",
        "organisation": "Storby kommun",
        "title": "Svarstider",
        "facts": [("Period", "2–8 november 2026")],
        "notes": ["Importerad historik är inte med."],
        "chart": Bars("Första svar", [(name, words, 0.5) for name, _n, words in lines[:30]]) if lines else None,
        "tables": [Block("Första svar", ["Team", "Antal", "Median"], lines, ["Totalt", "7", "2 tim"])],
        "defined": "Definitioner, version 1",
        "definitions": [("Första svar", "Från publicering till svar.")],
        "made": "24 nov. 2026",
        "page": "Sida {page} av {pages}",
        "strange": "Visas som {sign}.",
    }
    return Paper(**{**given, **more})


def read(made: bytes) -> str:
    """All that is written in it, as another program finds it."""
    return flat("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(made)).pages))


def flat(text: str) -> str:
    """Without what only says where a line may end."""
    return " ".join(text.replace("\N{ZERO WIDTH SPACE}", "").split())


def tags(made: bytes) -> list[str]:
    return [kind.decode() for kind in re.findall(rb"/StructElem/S/(\w+)", made)]


# -- setting it -------------------------------------------------------------------------------------------------------


def test_what_it_says_stands_in_it() -> None:
    text = read(pdf.make(paper("Gata & park"), NOON))
    for part in ("Storby kommun Svarstider Period: 2–8 november 2026", "Gata & park 1 1 tim 30 min", "Totalt 7 2 tim"):
        assert part in text
    assert "Första svar: Från publicering till svar." in text
    assert "24 nov. 2026 Sida 1 av 1" in text


def test_a_text_is_never_markup() -> None:
    text = read(pdf.make(paper(*HOSTILE, title=HOSTILE[0], organisation=HOSTILE[2]), NOON))
    for words in (*HOSTILE[:4], HOSTILE[6]):
        assert flat(words).replace(" ", "") in text.replace(" ", ""), words
    assert "Visas som" not in text, "all of these can be set"
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert len(PdfReader(io.BytesIO(pdf.make(paper(*HOSTILE), NOON))).pages) < 5, "a long word costs no page"


def test_every_letter_that_is_kept_has_a_picture() -> None:
    everything = "".join(chr(n) for n in range(32, 0x2100) if not pdf.PLAIN.match(chr(n)))
    assert "Visas som" not in read(pdf.make(paper(*(everything[n : n + 12] for n in range(0, 800, 12))), NOON))


def test_where_a_letter_has_none_it_says_so_and_the_rest_stands() -> None:
    made = pdf.make(paper("Snö ❄\N{VARIATION SELECTOR-16} 😀 漢字 och is"), NOON)
    text = read(made)
    assert "Visas som \N{REPLACEMENT CHARACTER}." in text
    assert "och is 1 1 tim 30 min" in text
    assert "pdfuaid" in made.decode("latin-1")


def test_it_can_be_read_aloud_and_kept() -> None:
    made = pdf.make(paper("Gata", "Park"), NOON)
    reader = PdfReader(io.BytesIO(made))
    assert reader.trailer["/Root"]["/Lang"] == "sv"  # type: ignore[index]
    assert reader.metadata is not None
    assert reader.metadata.title == "Svarstider"
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]  # type: ignore[index]
    assert tags(made).count("TH") == 3
    assert {"H1", "H2", "P", "Table", "THead", "TR", "TD"} <= set(tags(made))
    about = made.decode("latin-1")
    assert "<pdfuaid:part>1<" in about
    assert "<pdfaid:part>2<" in about


def test_a_long_table_has_its_head_on_every_page_and_takes_little_time() -> None:
    began = time.monotonic()
    made = pdf.make(paper(rows=600), NOON)
    assert time.monotonic() - began < 15
    pages = [flat(page.extract_text()) for page in PdfReader(io.BytesIO(made)).pages]
    assert len(pages) > 10
    assert all("Team Antal Median" in page for page in pages[1:-1])
    assert [f"Sida {n} av {len(pages)}" in page for n, page in enumerate(pages, 1)] == [True] * len(pages)
    assert sum(f"Rad {n} 1 1 tim 30 min" in page for n in range(600) for page in pages) >= 600


def test_an_empty_report_is_a_report() -> None:
    assert "Totalt 7 2 tim" in read(pdf.make(paper(), NOON))


def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "WAITS", 0.01)
    with pdf._one_at_a_time, pytest.raises(pdf.Busy):
        pdf.make(paper(), NOON)
    assert pdf.make(paper(), NOON)


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "LONGEST", 0.01)
    with pytest.raises(GensvarError, match="within 0 seconds"):
        pdf.make(paper(rows=50), NOON)
    monkeypatch.undo()
    assert pdf.make(paper(), NOON), "and the next has its turn"


def test_it_has_only_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MEMORY", 64 * 1024 * 1024)
    with pytest.raises(GensvarError, match="could not be set"):
        pdf.make(paper(rows=600), NOON)


# -- asking for it ----------------------------------------------------------------------------------------------------


@pytest.fixture
def mats(browser: Callable[..., FlaskClient], storby: House, clock: FakeClock) -> FlaskClient:
    """A manager, an hour after two of the cases were answered."""
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        for number in (1, 2):
            said = db.scalars(select(Mention.id).where(Mention.case_id == number).order_by(Mention.id)).first()
            assert said is not None
            by: dict[str, Any] = {"user": anna, "replied_at": clock(), "at": clock()}
            answering.answered_elsewhere(db, number, to_mention_id=said, url=None, **by)
        cases.classify(db, 1, tags=["❄ #snö $1"], actor="test", at=clock())
    clock.forward(hours=1)
    return browser("mats@storby.example")


def shown(unit: Unit, value: Value) -> str:
    """As on screen, but an instant with its date: it is read on another day."""
    return (i18n.when(value, "medium") if isinstance(value, datetime) else report_words.value(unit, value, NOON)) or "–"


@pytest.mark.parametrize("by", ["", "tag", "assignee", "day"])
def test_the_numbers_are_those_of_the_table(mats: FlaskClient, storby: House, clock: FakeClock, by: str) -> None:
    asked = Asked(date(2026, 11, 1), date(2026, 11, 25), by=By(by) if by else None)
    for name in tables.REPORTS:
        answer = mats.get(f"/reports/{name}.pdf?by={by}&period=this-month")
        assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
        assert f'filename="{name}-2026-11-01-2026-11-24.pdf"' in answer.headers["Content-Disposition"]
        text = read(answer.data).replace(" ", "")
        with storby.database.read() as db:
            table = tables.build(db, name, asked, clock())
        with i18n.speaking("en", ZoneInfo("Europe/Stockholm")):
            for row in (*table.report.rows, table.report.total):
                label = report_words.key(asked.by, row.key, PEOPLE)
                cells = [shown(each.unit, each.value(row)) for each in table.columns if each.name != "midnight"]
                assert all(flat(cell).replace(" ", "") in text for cell in cells), (name, row.key)
                if name == "volume":  # without times, so that each line stands there as it is
                    assert flat("".join([label, *cells])).replace(" ", "") in text, (name, row.key)
        assert "Importedhistoryisleftout." in text
        assert "definitions,version" in text


def test_the_overview_leaves_as_a_file_and_on_paper_too(mats: FlaskClient) -> None:
    page = mats.get("/reports?period=this-month").get_data(as_text=True)
    links = {
        ending: unescape(re.findall(rf'href="(/reports/overview\.{ending}[^"]*)"', page)[0])
        for ending in ("csv", "xlsx", "pdf")
    }
    text = read(mats.get(links["pdf"]).data)
    assert "Overview" in text and "Against earlier periods" in text
    told = mats.get(links["csv"]).data.decode().removeprefix(export.BOM)
    days = list(csv.DictReader(io.StringIO(told)))
    times = mats.get("/reports/response-times.csv?period=this-month").data.decode().removeprefix(export.BOM)
    (total,) = csv.DictReader(io.StringIO(times))
    both = days[-1].keys() & total.keys() - {"key"}
    assert {name: days[-1][name] for name in both} == {name: total[name] for name in both}
    assert {"received", "answers", "closings", "first_response_median_business_s", "day"} <= days[-1].keys()
    assert sum(int(line["received"]) for line in days[:-1]) == int(total["received"]) > 0, "a line for each day"


def test_filters_and_period_stand_on_it(mats: FlaskClient) -> None:
    text = read(
        mats.get("/reports/response-times.pdf?by=team&from=2026-11-01&to=2026-11-08&kind=problem&imported=include").data
    )
    for words in (
        "Sun 1 Nov 2026 – Sat 7 Nov 2026",
        "Europe/Stockholm",
        "Group by: Team",
        "Kind: ",
        "Imported history is included.",
    ):
        assert words in text


def test_earlier_periods_stand_beside_it_unless_they_are_not_wanted(mats: FlaskClient) -> None:
    path = "/reports/response-times.pdf?from=2026-11-01&to=2026-11-25"
    text = read(mats.get(path).data)
    _, title, compared = text.partition("Against earlier periods")
    assert title and "The period before Thu 1 Oct 2026 – Sat 24 Oct 2026" in compared
    assert "A year ago Sat 1 Nov 2025 – Mon 24 Nov 2025" in compared
    received = re.search(r"Change since Received (\d+) 0 (\d+) more 0 (\d+) more ", compared)
    assert received and len(set(received.groups())) == 1, compared[:300]
    assert "Against earlier periods" not in read(mats.get(f"{path}&compare=off").data)


def test_of_single_persons_only_as_on_screen(browser: Callable[..., FlaskClient], mats: FlaskClient) -> None:
    path = "/reports/team.pdf?by=assignee&period=this-month"
    assert "Anna Åberg" in read(mats.get(path).data)
    bo = browser("anna@storby.example")
    assert "Mats Øst" not in read(bo.get(path).data)
    assert bo.get(path + "&assignee=mats@storby.example").status_code == 403
    assert browser(None).get(path).status_code == 302


@pytest.mark.parametrize(
    ("path", "status"),
    [("/reports/nothing.pdf", 404), ("/reports/../etc.pdf", 404), ("/reports/team.pdf?from=2026-13-01", 422),
     ("/reports/team.pdf?from=2026-02-01&to=2026-01-01", 422), ("/reports/team.pdf?by=evil", 422)],
)  # fmt: skip
def test_what_is_none_is_said(mats: FlaskClient, path: str, status: int) -> None:
    assert mats.get(path).status_code == status


def test_without_typst_the_page_says_how_to_have_it(mats: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    answer = mats.get("/reports/team.pdf")
    assert answer.status_code == 503
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    wanted = setup["options.extras_require"]["pdf"].strip()
    assert f"pip install {wanted}" in answer.get_data(as_text=True)


def test_what_is_left_out_is_said(mats: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_pdf, "LINES", 1)
    monkeypatch.setattr(report_pdf, "BARS", 1)
    text = read(mats.get("/reports/volume.pdf?by=source&period=this-month").data)
    assert "These are the first 1 of 2 lines" in text
