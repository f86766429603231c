"""Reports as files: JSON, CSV, XLSX, and lines for a terminal; all from the same table, so that all say the same.

The names of columns never change and are in no language; times are seconds in ``…_s`` and, in files, once more as
hours:minutes:seconds beside it. docs/exports.md tells what to do with them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import IO, Any
from zoneinfo import ZoneInfo

from events import rfc3339
from reports import backlog
from reports.figures import FEW_FOR_P90, FEW_OF_A_PERSON, FILTERS, Asked, Clock, Row, Timing
from reports.tables import Column, Table, Unit, Value
from triage.measures import VERSION, Measure

CSV, XLSX = "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TOTAL = "total"  # what the last line is called
CASES = "cases"  # what the lines of single cases are called among the reports
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # Excel reads a CSV file without it in the letters of the 1990s
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")  # with one of these a spreadsheet takes a text for a formula
MOST_LINES = 1_000_000  # of a sheet; XLSX ends at 1,048,576
READ_AT_ONCE = 64 * 1024

Field = tuple[str, Unit]
Words = Callable[[str], str]


@dataclass(frozen=True)
class Sheet:
    """A report with what has to be said beside it.

    ``waiting``: cases in which something is not counted yet; ``other``: the times by the clock that was not asked for.
    """

    name: str
    table: Table
    zone: ZoneInfo
    waiting: int = 0
    other: Table | None = None

    @property
    def asked(self) -> Asked:
        return self.table.report.asked


def file_name(name: str, asked: Asked) -> str:
    """Without its ending; the days are the first and the last."""
    return f"{name}-{asked.start.isoformat()}-{(asked.end - timedelta(days=1)).isoformat()}"


# -- JSON ------------------------------------------------------------------------------------------------------------


def as_json(sheet: Sheet) -> dict[str, Any]:
    """The object of the API. That of the response times has a form of its own, since others rely on it."""
    asked = sheet.asked
    told: dict[str, Any] = {
        "report": sheet.name,
        "definitions": sheet.table.report.definitions,
        "clock": asked.clock.value,
        "from": asked.start.isoformat(),
        "to": asked.end.isoformat(),
        "by": asked.by.value if asked.by else None,
        "start": "seen" if asked.seen else "published",
        "imported": "include" if asked.imported else "exclude",
        "filters": filters(asked),
        "not_yet_counted": sheet.waiting,
    }
    if sheet.name == "backlog":
        told["missing_midnights"] = [day.isoformat() for day in sheet.table.report.missing]
    write = _times if sheet.name == "response-times" else _plain(sheet.table)
    if sheet.name != "response-times":
        told["columns"] = [{"name": column.name, "unit": column.unit.value} for column in sheet.table.columns]
    rows = [{"key": row.key, **write(asked, row)} for row in sheet.table.report.rows]
    return {**told, "rows": rows, "total": write(asked, sheet.table.report.total)}


def cases_as_json(
    asked: Asked, columns: Sequence[Field], rows: Iterable[Sequence[Value]], waiting: int
) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """One line for each case: what is said of all of them, and the lines."""
    told: dict[str, Any] = {
        "report": CASES,
        "definitions": VERSION,
        "from": asked.start.isoformat(),
        "to": asked.end.isoformat(),
        "imported": "include" if asked.imported else "exclude",
        "filters": filters(asked),
        "not_yet_counted": waiting,
        "columns": [{"name": name, "unit": unit.value} for name, unit in columns],
    }
    names = [name for name, _ in columns]
    return told, (dict(zip(names, map(_json, row), strict=True)) for row in rows)


def written(told: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The same as text, line by line, so that any number of them needs little memory."""
    begun = json.dumps({**told, "next_cursor": None}, ensure_ascii=False, indent=2)
    yield f'{begun.removesuffix("}").rstrip()},\n  "rows": ['
    for place, row in enumerate(rows):
        yield f"{',' if place else ''}\n    {json.dumps(row, ensure_ascii=False)}"
    yield "\n  ]\n}\n"


def _json(value: Value) -> Value:
    return rfc3339(value) if isinstance(value, datetime) else value


def _times(asked: Asked, row: Row) -> dict[str, Any]:
    return {
        "received": row.count(Measure.received),
        "answered": row.timing(asked.first).n,
        "still_waiting": row.still_waiting,
        "oldest_waiting_since": None if row.oldest is None else rfc3339(row.oldest),
        "first_response": _timing(row.timing(asked.first)),
        "next_response": _timing(row.timing(Measure.next_response)),
        "resolution": _timing(row.timing(Measure.resolution)),
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "n": timing.n,
        "median_s": timing.median_s,
        "p90_s": timing.p90_s,
        "mean_s": timing.mean_s,
        "within_target": timing.within_target,
        "with_target": None if timing.hidden else timing.targeted,
        "outside_hours": None if timing.hidden else timing.outside_hours,
        "hidden": timing.hidden,
    }


def _plain(table: Table) -> Callable[[Asked, Row], dict[str, Any]]:
    def write(_asked: Asked, row: Row) -> dict[str, Any]:
        values = zip(table.columns, table.values(row), strict=True)
        return {column.name: _json(value) for column, value in values}

    return write


def days(asked: Asked) -> str:
    """The first and the last."""
    return f"{asked.start.isoformat()} – {(asked.end - timedelta(days=1)).isoformat()}"


def query(asked: Asked) -> str:
    """What a list of cases was asked for, as an address would say it."""
    found = [("from", asked.start.isoformat()), ("to", asked.end.isoformat())]
    found += [("imported", "include")] if asked.imported else []
    found += [(name, value) for name, values in filters(asked).items() for value in values]
    return "&".join(f"{name}={value}" for name, value in found)


def filters(asked: Asked) -> dict[str, list[str]]:
    return {name: list(values) for name in FILTERS if (values := getattr(asked, name))}


# -- lines of a file -------------------------------------------------------------------------------------------------


def fields(sheet: Sheet) -> list[Field]:
    """The columns of the file: the key, the figures, and what they mean without the page they came from.

    At the end the times by the other clock, which have its name in theirs.
    """
    figures = [(column.name, column.unit) for column in sheet.table.columns]
    texts = [(name, Unit.text) for name in ("from", "to", "clock", "definitions")]
    others = []
    if sheet.other is not None:
        clock = sheet.other.report.asked.clock.value
        others = [(f"{each.name.removesuffix('_s')}_{clock}_s", each.unit) for each in _times_of(sheet.other)]
    return [(sheet.table.key, Unit.text), *figures, *texts, *others]


def _times_of(table: Table) -> list[Column]:
    return [column for column in table.columns if column.unit is Unit.seconds]


def lines(sheet: Sheet) -> Iterator[list[Value]]:
    """One for each key, and the total."""
    asked = sheet.asked
    texts = [asked.start.isoformat(), asked.end.isoformat(), asked.clock.value, sheet.table.report.definitions]
    beside: dict[str | None, Row] = {}
    if sheet.other is not None:
        beside = {row.key: row for row in (*sheet.other.report.rows, sheet.other.report.total)}
    for row in (*sheet.table.report.rows, sheet.table.report.total):
        twin = beside.get(row.key, Row(row.key))
        others = [column.value(twin) for column in _times_of(sheet.other)] if sheet.other is not None else []
        yield [TOTAL if row.key is None else row.key, *sheet.table.values(row), *texts, *others]


def headings(columns: Sequence[Field]) -> list[str]:
    """Seconds stand twice: as a number, and as hours, minutes and seconds."""
    found = []
    for name, unit in columns:
        found += [name, name.removesuffix("_s")] if unit is Unit.seconds else [name]
    return found


def as_csv(
    columns: Sequence[Field], rows: Iterable[Sequence[Value]], zone: ZoneInfo, *, bom: bool = False
) -> Iterator[str]:
    """A few lines at a time. ``bom``: for people, who open it in Excel; programs are better off without."""
    text = io.StringIO()
    writer = csv.writer(text)
    text.write(BOM if bom else "")
    writer.writerow(headings(columns))
    for row in rows:
        cells: list[Any] = []
        for (_, unit), value in zip(columns, row, strict=True):
            cells += _cells(unit, value, zone)
        writer.writerow(cells)
        if text.tell() > READ_AT_ONCE:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cells(unit: Unit, value: Value, zone: ZoneInfo) -> list[Any]:
    if unit is Unit.seconds:
        return [value, _clock(value)]
    if isinstance(value, datetime):
        return [value.astimezone(zone).isoformat(timespec="seconds")]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [harmless(value) if isinstance(value, str) else value]


def harmless(text: str) -> str:
    """What a spreadsheet would take for a formula is told to be text: strangers wrote some of it."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def _clock(seconds: Value) -> str | None:
    if not isinstance(seconds, int):
        return None
    if seconds < 0:
        return f"-{_clock(-seconds)}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def as_xlsx(
    file: IO[bytes],
    columns: Sequence[Field],
    rows: Iterable[Sequence[Value]],
    about: Iterable[tuple[str, str]],
    zone: ZoneInfo,
) -> None:
    """Written line by line, so that any number of them needs little memory. ``about``: a sheet of its own, the last.

    Everything that is text is written as text, whatever it looks like.
    """
    import xlsxwriter  # only when there is something to do: it costs start-up time and memory

    settings = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(file, settings) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        formats = {
            Unit.seconds: book.add_format({"num_format": "[h]:mm:ss"}),
            Unit.share: book.add_format({"num_format": "0.0%"}),
            Unit.instant: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            Unit.money: book.add_format({"num_format": "#,##0.00"}),
        }
        page: Any = None
        at = MOST_LINES
        for row in rows:
            if at >= MOST_LINES:
                page, at = _new_page(book, columns, bold), 1
            column = 0
            for (_, unit), value in zip(columns, row, strict=True):
                if value is not None:
                    _write(page, at, column, unit, value, formats.get(unit), zone)
                column += 2 if unit is Unit.seconds else 1
            at += 1
        if page is None:
            _new_page(book, columns, bold)
        sheet = book.add_worksheet("About")
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 80)
        for line, (label, text) in enumerate(about):
            sheet.write_string(line, 0, label, bold)
            sheet.write_string(line, 1, text)


def _new_page(book: Any, columns: Sequence[Field], bold: Any) -> Any:
    page = book.add_worksheet("Data" if not book.worksheets() else f"Data {len(book.worksheets()) + 1}")
    page.freeze_panes(1, 1)
    for column, name in enumerate(headings(columns)):
        page.set_column(column, column, max(len(name) + 2, 12))
        page.write_string(0, column, name, bold)
    return page


def _write(page: Any, line: int, column: int, unit: Unit, value: Any, shown: Any, zone: ZoneInfo) -> None:
    if unit is Unit.seconds:
        page.write_number(line, column, value)
        if value < 0:  # Excel shows no time below nothing
            page.write_string(line, column + 1, _clock(value))
        else:
            page.write_number(line, column + 1, value / 86400, shown)
    elif isinstance(value, bool):
        page.write_boolean(line, column, value)
    elif isinstance(value, datetime):
        page.write_datetime(line, column, value.astimezone(zone).replace(tzinfo=None), shown)
    elif isinstance(value, str):
        page.write_string(line, column, value)
    else:
        page.write_number(line, column, value, shown)


def about(
    name: str, asked: Asked, at: datetime, zone: ZoneInfo, waiting: int = 0, words: Words = str
) -> list[tuple[str, str]]:
    """What a figure needs beside it. ``words``: into the language of the reader."""
    imported = "is counted too" if asked.imported else "is left out"
    clock = "in opening hours" if asked.clock is Clock.business else "around the clock"
    found = [
        (words("Report"), name),
        (words("First day"), asked.start.isoformat()),
        (words("Last day"), (asked.end - timedelta(days=1)).isoformat()),
        (words("Time zone"), zone.key),
        (words("Time is counted"), words(clock)),
        (words("First response from"), words("when we saw it" if asked.seen else "publication")),
        (words("Imported history"), words(imported)),
        (words("Definitions, version"), VERSION),
        (words("Written at"), at.astimezone(zone).isoformat(timespec="seconds")),
    ]
    if asked.by:
        found.append((words("Grouped by"), asked.by.value))
    found += [(f"{words('Only')}: {each}", ", ".join(values)) for each, values in filters(asked).items()]
    if waiting:
        found.append((words("Cases not counted yet"), str(waiting)))
    return found


# -- a terminal ------------------------------------------------------------------------------------------------------

HIDDEN = "-"


def as_text(sheet: Sheet) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """The tables of a report, each with its title and headings: one for what is counted, one for each time.

    A line of which nothing is known in one of them is left out there.
    """
    report = sheet.table.report
    first = "" if sheet.table.key == "key" else sheet.table.key.upper()
    for block, together in groupby(sheet.table.figures, key=lambda column: column.block):
        beside = ("_mean_s",) if sheet.asked.clock is Clock.business else ("_mean_s", "_outside_hours")
        columns = [column for column in together if not column.name.endswith(beside)]
        names = [column.name.removeprefix(f"{block}_").removesuffix("_s").replace("_", " ") for column in columns]
        table = [(first, *(name.upper() for name in names))]
        for row in (*sheet.table.lines_of(columns), report.total):
            shown = (_shown(column, row, sheet.zone) for column in columns)
            table.append((TOTAL if row.key is None else sheet.table.named(row) or row.key, *shown))
        yield (block or sheet.name).replace("_", " ").replace("-", " ").capitalize(), table


def _shown(column: Column, row: Row, zone: ZoneInfo) -> str:
    value = column.value(row)
    if value is None:
        return HIDDEN
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
    if column.unit is Unit.seconds and isinstance(value, int):
        return spelled(value)
    return _per_cent(column, value) if column.unit is Unit.share and isinstance(value, float) else str(value)


def _per_cent(column: Column, share: float) -> str:
    """Whole, as on the screens; what somebody typed stays as it was typed."""
    if column.name == "assumed_share":
        return f"{share * 100:.10g} %"
    return f"{round(Decimal(str(share)) * 100)} %"


def spelled(seconds: int) -> str:
    """40 s, 12 min, 1 h 20 min, 130 h, -5 min; a minute that is not over is left out, as on the screens."""
    if seconds < 0:
        return f"-{spelled(-seconds)}"
    if 0 < seconds < 60:
        return f"{seconds} s"
    hours, rest = divmod(seconds // 60, 60)
    if hours >= 100:
        return f"{round(seconds / 3600)} h"
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else "") if part
    )


def spans_of(days: Sequence[date]) -> str:
    """2026-11-03, 2026-11-05 – 2026-11-09."""
    return ", ".join(
        first.isoformat() if first == last else f"{first.isoformat()} – {last.isoformat()}"
        for first, last in backlog.runs(days)
    )


def footnote(sheet: Sheet) -> list[str]:
    """Under a table: what it counts, and what it does not."""
    asked = sheet.asked
    narrowed = "; ".join(f"{name}: {', '.join(values)}" for name, values in filters(asked).items())
    clock = "in opening hours" if asked.clock is Clock.business else "around the clock"
    start = "from when we saw it" if asked.seen else "from publication"
    imported = "Imported history is counted too." if asked.imported else "Imported history is left out."
    missing = sheet.table.report.missing
    return [
        f"From {asked.start.isoformat()} to {(asked.end - timedelta(days=1)).isoformat()}, days of {sheet.zone.key}; "
        f"times {clock}, the first response {start}. {imported} Definitions {sheet.table.report.definitions}.",
        *([f"Only {narrowed}."] if narrowed else []),
        f"{HIDDEN}: nothing, or too few to tell: p90 from {FEW_FOR_P90} on, of one person from {FEW_OF_A_PERSON} on.",
        *([f"{sheet.waiting} cases are not counted yet."] if sheet.waiting else []),
        *([f"Not stored, since nothing ran: the midnights {spans_of(missing)}."] if missing else []),
    ]
