"""Reports as files for people: each table, and one line for each case; as CSV and for Excel.

``/reports/NAME.csv`` and ``.xlsx`` take what the page takes; ``/reports/cases.csv`` what ``/reports/cases`` takes, and
without a ``measure`` it is all cases that came in. What one may not see is in none of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from urllib.parse import unquote_plus

from flask import Blueprint, abort, request, stream_with_context
from werkzeug.wrappers import Response
from werkzeug.wsgi import FileWrapper

import audit
from errors import InvalidInput
from models import Role
from reports import behind, export, rows, tables
from reports.behind import Wanted
from reports.figures import NONE, Asked, By
from triage import samples
from web import reports
from web.context import house, is_at_least, now, user, zone
from web.i18n import gettext as _
from web.i18n import number

pages = Blueprint("report_files", __name__, url_prefix="/reports")
pages.register_error_handler(InvalidInput, reports.wrong)

KINDS = {"csv": f"{export.CSV}; charset=utf-8", "xlsx": export.XLSX}
MOST_UNCOUNTED = 10**6
MOST_IN_EXCEL = 100_000  # cases: about a minute of work, in which nothing has left yet


@pages.get("/<name>.csv", defaults={"ending": "csv"})
@pages.get("/<name>.xlsx", defaults={"ending": "xlsx"})
def table(name: str, ending: str) -> Response:
    if name not in tables.REPORTS:
        abort(404)
    asked = reports.asked_from(request.args)
    with reports.reading() as db:
        tables.check_names(db, asked)
        made = tables.build(db, name, asked, now())
        waiting = samples.waiting(db, MOST_UNCOUNTED)
    sheet = export.Sheet(name, replace(made, report=reports.own_lines(made.report)), zone(), waiting)
    return _file(name, sheet.asked, ending, export.fields(sheet), export.lines(sheet), waiting)


@pages.get("/cases.csv", defaults={"ending": "csv"})
@pages.get("/cases.xlsx", defaults={"ending": "xlsx"})
def cases(ending: str) -> Response:
    asked = reports.asked_from(request.args)
    args = request.args
    wanted = behind.wanted(asked, args, args.getlist("how")) if args.get("measure") else rows.received(asked)
    leads = is_at_least(Role.manager)
    if asked.by is By.assignee and wanted.key not in (None, NONE, user().email) and not leads:
        abort(403, _("Only managers see the figures of other people."))
    with reports.reading() as db:
        tables.check_names(db, asked)
        waiting = samples.waiting(db, MOST_UNCOUNTED)
        if ending == "xlsx" and (many := rows.count(db, wanted, now())) > MOST_IN_EXCEL:
            raise InvalidInput(
                _("%(many)s cases are too many for an Excel file, which holds %(most)s here. Take CSV, or fewer days.",
                  many=number(many), most=number(MOST_IN_EXCEL))
            )  # fmt: skip
    _write_down(wanted, ending)
    only = None if leads else user().email
    found = rows.lines(house().database.read, wanted, str(house().settings.base_url), now(), only)
    return _file("cases", asked, ending, rows.FIELDS, found, waiting)


def _write_down(wanted: Wanted, ending: str) -> None:
    """Whole lists of what people said leave the house here: who took them, and which."""
    days = f"{wanted.asked.start.isoformat()} – {(wanted.asked.end - timedelta(days=1)).isoformat()}"
    query = unquote_plus(request.query_string.decode(errors="replace"))
    with house().database.transaction() as db:
        told = {"query": [None, query or None], "format": [None, ending]}
        audit.record(db, actor=user().email, action="export", subject=f"cases:{days}", changes=told, at=now())


def _file(
    name: str,
    asked: Asked,
    ending: str,
    columns: Sequence[export.Field],
    lines: Iterator[list[tables.Value]],
    waiting: int,
) -> Response:
    """A CSV leaves while it is still being read; an Excel file has to be whole first, and waits on the disk."""
    response = Response(content_type=KINDS[ending])
    if ending == "csv":
        first = next(lines, None)  # what goes wrong is said before anything has left
        text = export.as_csv(columns, chain(() if first is None else (first,), lines), zone(), bom=True)
        response.response = stream_with_context(part.encode() for part in text)
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been sent
        about = export.about(name, asked, now(), zone(), waiting, _words)
        export.as_xlsx(file, columns, lines, about, zone())
        response.content_length = file.tell()
        file.seek(0)
        response.response = FileWrapper(file)
        response.call_on_close(file.close)
    called = f"{export.file_name(name, asked)}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{called}"'
    return response


def _words(english: str) -> str:
    """What ``export.about`` says, in the language of the reader."""
    return {
        "Report": _("Report"),
        "First day": _("First day"),
        "Last day": _("Last day"),
        "Time zone": _("Time zone"),
        "Time is counted": _("Time is counted"),
        "around the clock": _("around the clock"),
        "in opening hours": _("in opening hours"),
        "First response from": _("First response from"),
        "publication": _("publication"),
        "when we saw it": _("when we saw it"),
        "Imported history": _("Imported history"),
        "is left out": _("is left out"),
        "is counted too": _("is counted too"),
        "Definitions, version": _("Definitions, version"),
        "Written at": _("Written at"),
        "Grouped by": _("Grouped by"),
        "Only": _("Only"),
        "Cases not counted yet": _("Cases not counted yet"),
    }.get(english, english)
