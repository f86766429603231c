"""A report as a PDF: the tables, words and numbers of the screen, on A4."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, make_response, request, url_for
from werkzeug.wrappers import Response

from errors import GensvarError, InvalidInput
from models import Role
from reports import pdf, tables
from reports.figures import Asked, By, Row
from reports.tables import Column, Table, Unit
from triage.measures import VERSION
from web import report_frame, report_words, reports
from web.context import house, is_at_least, now, zone
from web.i18n import gettext as _
from web.i18n import language, ngettext, number, when
from web.report_meanings import meanings

log = logging.getLogger("gensvar.web")

pages = Blueprint("report_pdf", __name__, url_prefix="/reports")
pages.register_error_handler(InvalidInput, report_frame.wrong)

LINES = 500  # of a report on paper; what is left out is said, and stands in the files
BARS = 30  # of the chart; the table has all
SHORT = 16  # characters
NOTHING = "–"


@pages.get("/<name>.pdf")
def download(name: str) -> Response:
    if name not in tables.REPORTS:
        abort(404)
    asked = report_frame.asked_from(request.args)
    try:
        made = pdf.make(_paper(name, asked), now())
    except pdf.Missing:
        words = _("A PDF cannot be made here: Typst is not installed. An administrator installs it on the server with:")
        abort(503, f"{words} {pdf.INSTALL}")
    except pdf.Busy:
        abort(503, _("Another PDF is being made. Try again in a moment."))
    except GensvarError as error:
        log.error("report %s as PDF: %s", name, error)
        abort(503, _("The PDF could not be made. Why has been written to the log. The figures can be had as a file."))
    response = make_response(made)
    response.mimetype = "application/pdf"
    called = f"{name}-{asked.start}-{asked.end - timedelta(days=1)}.pdf"
    response.headers["Content-Disposition"] = f'attachment; filename="{called}"'
    return response


def _paper(name: str, asked: Asked) -> pdf.Paper:
    with report_frame.reading(asked) as db:
        table, other = reports.both(db, name, asked)
        people = report_frame.people(db)
        before = report_frame.earlier(asked) if tables.REPORTS[name].lines is None else []
        were = [tables.build(db, name, each, now()) for each in before]
        uncounted = tables.uncounted(db, name, report_frame.MANY + 1)
    shown = _on_paper(table)
    grids = reports.grids(shown, _on_paper(other) if other else None, names=people)
    explained = {head.anchor for grid in grids for head in grid.heads}
    return pdf.Paper(
        language=language(),
        organisation=house().settings.organisation.name,
        title=title(name),
        facts=list(_facts(table.report.asked, people)),
        notes=list(_notes(table, uncounted)),
        chart=_chart(shown, people),
        tables=[
            pdf.Block(
                grid.title,
                [grid.first, *(f"{head.words}\n{head.clock}" if head.clock else head.words for head in grid.heads)],
                [[line.label, *_cells(line)] for line in grid.lines],
                [grid.total.label, *_cells(grid.total)],
            )
            for grid in grids
        ]
        + ([_earlier(report_frame.compared(table, were), before)] if were else []),
        defined=_("What the figures mean (definitions, version %(version)s)", version=VERSION),
        definitions=[(meaning.name, " ".join(meaning.says)) for meaning in meanings() if meaning.anchor in explained],
        made=_("Made %(time)s", time=when(now(), "medium")),
        page=_("Page %(page)s of %(pages)s", page="{page}", pages="{pages}"),
        strange=_("Letters for which this document has no picture are shown as %(sign)s.", sign="{sign}"),
    )


def _cells(line: reports.Line) -> Iterator[str]:
    return (_cell(cell.words) for cell in line.cells)


def _cell(words: str) -> str:
    """A short figure stays in one line."""
    return (words.replace(" ", "\N{NO-BREAK SPACE}") if len(words) <= SHORT else words) or NOTHING


def _earlier(lines: Sequence[report_frame.Compared], before: Sequence[Asked]) -> pdf.Block:
    """The totals beside those of earlier periods, as on screen."""
    head = [_("Figure"), _("This period")]
    for name, asked in zip((_("The period before"), _("A year ago")), before, strict=True):
        head += [f"{name}\n{report_words.span(asked.start, asked.end)}", _("Change since")]
    rows = [
        [line.words, _cell(line.now), *(_cell(words) for then in line.then for words in (then.words, then.change))]
        for line in lines
    ]
    return pdf.Block(_("Against earlier periods"), head, rows)


def _on_paper(table: Table) -> Table:
    """As many lines as paper takes; instants with their date, since it is read on another day."""
    columns = [_dated(column) if column.unit is Unit.instant else column for column in table.columns]
    return replace(table, columns=columns, report=replace(table.report, rows=table.report.rows[:LINES]))


def _dated(column: Column) -> Column:
    def written(row: Row) -> str | None:
        at = column.value(row)
        return when(at, "medium") if isinstance(at, datetime) else None

    return replace(column, unit=Unit.text, value=written)


def title(name: str) -> str:
    """As its page is called."""
    page = "/reports" if name == tables.OVERVIEW else f"/reports/{name}"
    found = (tab.words() for tab in report_frame.TABS if url_for(tab.endpoint) == page)
    return next(found, name.replace("-", " ").capitalize())


@pages.app_context_processor
def known() -> dict[str, object]:
    return {"pdf_address": address}


def address() -> str | None:
    """Of the PDF of the report that is asked for; None where there is none."""
    name = request.path.removeprefix("/reports").removeprefix("/") or tables.OVERVIEW
    given: dict[str, Any] = report_frame.kept()
    return url_for("report_pdf.download", name=name, **given) if name in tables.REPORTS else None


def _facts(asked: Asked, people: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield _("Period"), report_words.span(asked.start, asked.end)
    yield _("Time zone"), zone().key
    if asked.by:
        yield _("Group by"), report_words.by(asked.by)
    yield from report_words.unusual(asked, people)


def _notes(table: Table, uncounted: int) -> Iterator[str]:
    asked = table.report.asked
    yield _("Imported history is included.") if asked.imported else _("Imported history is left out.")
    if asked.by is By.assignee and not is_at_least(Role.manager):
        yield _("Of single persons only your own figures are shown.")
    if len(table.report.rows) > LINES:
        yield _(
            "These are the first %(shown)s of %(all)s lines; the file has all of them. The total is of all.",
            shown=number(LINES),
            all=number(len(table.report.rows)),
        )
    if table.report.missing:
        yield report_words.not_stored(table.report.missing)
    if uncounted:
        yield ngettext("%(n)s case is still being counted.", "%(n)s cases are still being counted.", uncounted)


def _chart(table: Table, people: dict[str, str]) -> pdf.Bars | None:
    """Bars of the first time there is, else of the first number."""
    asked, rows = table.report.asked, table.report.rows[:BARS]
    column = _charted(table.figures, rows)
    if column is None:
        return None
    values = [column.value(row) for row in rows]
    numbers = [value if isinstance(value, int | float) else 0 for value in values]
    longest = max(numbers)
    if not longest:
        return None
    bars = [
        (report_words.line(table, row, people), _words(column, row), n / longest)
        for row, n in zip(rows, numbers, strict=True)
    ]
    about = [report_words.block(column.block)] if column.block else []
    about += [report_words.column(column.name, column.block)]
    about += [report_words.clock(asked.clock)] if column.unit is Unit.seconds else []
    left_out = len(table.report.rows) - len(rows)
    more = ngettext("%(n)s more line is in the table.", "%(n)s more lines are in the table.", left_out)
    return pdf.Bars(
        ": ".join(about[:2]) + "".join(f" ({each})" for each in about[2:]), bars, [more] if left_out else []
    )


def _charted(columns: Sequence[Column], rows: Sequence[Row]) -> Column | None:
    """None where there are no lines, or nothing is known of them."""
    timed = [column for column in columns if column.unit is Unit.seconds and column.measure]
    found = (*timed, *(column for column in columns if column.unit is Unit.count))
    return next((column for column in found if any(column.value(row) is not None for row in rows)), None)


def _words(column: Column, row: Row) -> str:
    return report_words.value(column.unit, column.value(row), now()) or NOTHING
