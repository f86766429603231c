"""Reports as files for people: each table, and one line for each case; as CSV and for Excel.

``/reports/NAME.csv`` and ``.xlsx`` take what the page takes; ``/reports/cases.csv`` what ``/reports/cases`` takes, and
without a ``measure`` it is all cases that came in. What one may not see is in none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote_plus

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

import audit
from errors import InvalidInput
from models import Role
from reports import behind, export, rows, tables
from reports.figures import NONE, Asked, By
from triage import samples
from web import report_frame
from web.context import house, is_at_least, now, user, zone
from web.downloads import download
from web.i18n import gettext as _
from web.i18n import number

pages = Blueprint("report_files", __name__, url_prefix="/reports")
pages.register_error_handler(InvalidInput, report_frame.wrong)

MOST_UNCOUNTED = 10**6


@pages.get("/<name>.csv", defaults={"ending": "csv"})
@pages.get("/<name>.xlsx", defaults={"ending": "xlsx"})
def table(name: str, ending: str) -> Response:
    if name not in tables.REPORTS:
        abort(404)
    asked = report_frame.asked_from(request.args)
    with report_frame.reading(asked) as db:
        made = tables.build(db, name, asked, now())
        other, waiting = tables.by_other_clock(db, made), tables.uncounted(db, name, MOST_UNCOUNTED)
    sheet = export.Sheet(name, replace(made, report=report_frame.own_lines(made.report)), zone(), waiting, other)
    return _file(name, sheet.asked, ending, export.fields(sheet), export.lines(sheet), waiting)


@pages.get("/cases.csv", defaults={"ending": "csv"})
@pages.get("/cases.xlsx", defaults={"ending": "xlsx"})
def cases(ending: str) -> Response:
    asked = report_frame.asked_from(request.args)
    args = request.args
    wanted = behind.wanted(asked, args, args.getlist("how")) if args.get("measure") else rows.received(asked)
    leads = is_at_least(Role.manager)
    if asked.by is By.assignee and wanted.key not in (None, NONE, user().email) and not leads:
        abort(403, _("Only managers see the figures of other people."))
    with report_frame.reading(asked) as db:
        waiting = samples.waiting(db, MOST_UNCOUNTED)
        if ending == "xlsx" and (many := rows.count(db, wanted, now())) > rows.MOST_IN_EXCEL:
            too_many = _(
                "%(many)s cases are too many for an Excel file, which holds %(most)s here. Take CSV, or fewer days.",
                many=number(many),
                most=number(rows.MOST_IN_EXCEL),
            )
            on_the_server = _("Without this limit it is made on the server by %(command)s", command=rows.COMMAND)
            raise InvalidInput(f"{too_many} {on_the_server}")
    _write_down(asked, ending)
    only = None if leads else user().email
    found = rows.lines(house().database.read, wanted, str(house().settings.base_url), now(), only)
    return _file(export.CASES, asked, ending, rows.FIELDS, found, waiting)


def _write_down(asked: Asked, ending: str) -> None:
    query = unquote_plus(request.query_string.decode(errors="replace"))
    told = {"days": export.days(asked), "query": query, "format": ending}
    with house().database.transaction() as db:
        audit.record_export(db, actor=user().email, at=now(), **told)


def _file(
    name: str,
    asked: Asked,
    ending: str,
    columns: Sequence[export.Field],
    lines: Iterator[list[tables.Value]],
    waiting: int,
) -> Response:
    about = export.about(name, asked, now(), zone(), waiting, _words)
    return download(export.file_name(name, asked), ending, columns, lines, about, zone(), bom=True)


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
