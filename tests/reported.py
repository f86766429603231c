"""A week in a small house, known to the minute, for the tests of the reports; and how its files are read."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from sqlalchemy import select

from database import Database
from house import House, declare
from models import Case, Mention, Team, TeamMember, User
from reports.tables import REPORTS
from settings import Calendar, Sla
from tests.factories import MORNING, said, source, take, user
from triage import answering, cases, policy, reactions, samples

CALENDAR = {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["09:00-17:00"]}}
TARGETS = {"name": "standard", "calendar": "office", "first_response": "2h", "next_response": "4h", "resolution": "5h"}
EVENING = MORNING + timedelta(hours=9)  # of the same Tuesday, 18:00 in Stockholm
EVA, BO, MATS = "eva@storby.example", "bo@storby.example", "mats@storby.example"
ANSWERED, WAITING = 12, 2
GROUPED = tuple(name for name, kind in REPORTS.items() if kind.lines is None)  # reports whose lines one chooses
NEXT_WEEK = "from=2026-11-23&to=2026-11-30"


_prepared = tempfile.TemporaryDirectory(prefix="gensvar-week-")  # SQLite's, filled once for all tests of this process


def a_week(house: House) -> None:
    """Tuesday: 16 cases a minute apart from 9 o'clock on, seen at 9:30.

    Case 1 is answered after 20 minutes, case 2 after 40 … up to 12, the first ten by Eva, 11 and 12 by Bo; 13 and 14
    wait; 15 is ignored; 16 is history. 14 is Skydd's, whose cases only Eva sees, the others are Gata's. 1 and 2 are
    about snow, 1 about ice too. 1, 2 and 3 are resolved after an hour; the author of 3 writes again and is answered.
    """
    database, prepared = house.database, Path(_prepared.name) / "week.db"
    if not database.sqlite:
        _fill(house)
        return
    there = Path(str(database.url.database))
    if prepared.exists():
        database.close()
        shutil.copyfile(prepared, there)
    else:
        _fill(house)
        database.close()  # the last connection puts everything into the one file
        shutil.copyfile(there, prepared)


def _fill(house: House) -> None:
    database = house.database
    declare(house, MORNING - timedelta(days=40))
    with database.transaction() as db:
        eva, bo, _ = user(db, "eva"), user(db, "bo"), user(db, "mats", "manager")
        policy.put(db, "calendars", Calendar.model_validate(CALENDAR), by="test", at=MORNING - timedelta(days=30))
        policy.put(db, "sla", Sla.model_validate(TARGETS), by="test", at=MORNING - timedelta(days=30))
        gata, skydd = Team(name="Gata"), Team(name="Skydd", members_only=True, members=[TeamMember(email=EVA)])
        db.add_all([gata, skydd])
        net, other = source(db, "net"), source(db, "=other")
        seen = MORNING + timedelta(minutes=30)
        for number in range(1, 17):
            mention = said(f"m{number}", f"author{number}", text="Hej", minutes=number - 1)
            take(db, mention, at=seen, source_id=(net if number % 2 else other).id)
        for number in range(1, 17):
            cases.assign_team(db, number, team=skydd if number == 14 else gata, actor=EVA, at=seen)
            if number <= ANSWERED:
                cases.assign(db, number, assignee=eva if number <= 10 else bo, actor=EVA, at=seen)
        cases.classify(db, 1, tags=["snö", "halka"], kind="problem", actor=EVA, at=seen)
        cases.classify(db, 2, tags=["snö"], kind="question", actor=EVA, at=seen)
        db.get_one(Case, 16).imported = True
    reactions.react(database, seen)
    for number in range(1, ANSWERED + 1):
        answer(database, f"m{number}", published(database, f"m{number}") + timedelta(minutes=20 * number), number)
    with database.transaction() as db:
        for number in (1, 2, 3):
            at = MORNING + timedelta(minutes=61 + number)
            cases.change_status(db, number, target="resolved", actor=EVA, at=at)  # type: ignore[arg-type]
        cases.change_status(db, 15, target="ignored", actor=BO, at=EVENING)  # type: ignore[arg-type]
        take(db, said("again", "author3", to="m3", minutes=120), at=MORNING + timedelta(minutes=125))
    answer(database, "again", MORNING + timedelta(minutes=180), 3)
    with database.transaction() as db:
        samples.store_backlog(db, EVENING.date() + timedelta(days=1), EVENING + timedelta(hours=6))
    while reactions.react(database, EVENING):
        pass
    samples.catch_up(database, most=1000)


def answer(database: Database, external_id: str, at: datetime, number: int) -> None:
    """Eva says that she answered there; from case 11 on Bo."""
    with database.transaction() as db:
        who = db.scalars(select(User).where(User.email == (EVA if number <= 10 else BO))).one()
        to = db.scalars(select(Mention.id).where(Mention.external_id == external_id)).one()
        answering.answered_elsewhere(db, number, to_mention_id=to, url=None, replied_at=at, user=who, at=at)


def published(database: Database, external_id: str) -> datetime:
    with database.read() as db:
        return db.scalars(select(Mention.published_at).where(Mention.external_id == external_id)).one()


# -- XLSX ------------------------------------------------------------------------------------------------------------

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets(content: bytes) -> dict[str, list[list[str | float | bool | None]]]:
    """Name -> lines of what the cells of a workbook hold: texts, numbers, nothing."""
    with zipfile.ZipFile(BytesIO(content)) as packed:
        assert packed.testzip() is None
        book = ElementTree.fromstring(packed.read("xl/workbook.xml"))
        names = [sheet.attrib["name"] for sheet in book.iter(f"{MAIN}sheet")]
        return {
            name: _lines(packed.read(f"xl/worksheets/sheet{number}.xml")) for number, name in enumerate(names, start=1)
        }


def _lines(xml: bytes) -> list[list[str | float | bool | None]]:
    found = []
    for row in ElementTree.fromstring(xml).iter(f"{MAIN}row"):
        cells: list[str | float | bool | None] = []
        for cell in row.iter(f"{MAIN}c"):
            assert cell.find(f"{MAIN}f") is None, "a formula"
            cells += [None] * (_column(cell.attrib["r"]) - len(cells))
            cells.append(_cell(cell))
        found.append(cells)
    width = max((len(line) for line in found), default=0)
    return [line + [None] * (width - len(line)) for line in found]


def _cell(cell: ElementTree.Element) -> str | float | bool | None:
    if cell.attrib.get("t") == "inlineStr":
        return "".join(part.text or "" for part in cell.iter(f"{MAIN}t"))
    value = cell.findtext(f"{MAIN}v")
    if cell.attrib.get("t") == "b":
        return value == "1"
    return None if value is None else float(value)


def _column(address: str) -> int:
    found = 0
    for letter in address.rstrip("0123456789"):
        found = found * 26 + ord(letter) - ord("A") + 1
    return found - 1
