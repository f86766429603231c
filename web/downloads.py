"""Tables that leave as files, from the screens and from the API: a CSV while it is still read, an Excel file whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from zoneinfo import ZoneInfo

from flask import stream_with_context
from werkzeug.wrappers import Response
from werkzeug.wsgi import FileWrapper

from reports import export
from reports.tables import Value

KINDS = {"csv": f"{export.CSV}; charset=utf-8", "xlsx": export.XLSX}


def download(
    called: str,
    ending: str,
    columns: Sequence[export.Field],
    lines: Iterator[list[Value]],
    about: Iterable[tuple[str, str]],
    zone: ZoneInfo,
    *,
    bom: bool = False,
) -> Response:
    """``called``: the file, without its ending. An Excel file has to be whole first, and waits on the disk."""
    response = Response(content_type=KINDS[ending])
    if ending == "csv":
        first = next(lines, None)  # what goes wrong is said before anything has left
        text = export.as_csv(columns, chain(() if first is None else (first,), lines), zone, bom=bom)
        response.response = stream_with_context(part.encode() for part in text)
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been sent
        export.as_xlsx(file, columns, lines, about, zone)
        response.content_length = file.tell()
        file.seek(0)
        response.response = FileWrapper(file)
        response.call_on_close(file.close)
    response.headers["Content-Disposition"] = f'attachment; filename="{called}.{ending}"'
    return response
