"""The list and the case beside it: one page, two addresses.

``/?FILTERS`` is a list, ``/cases/N?FILTERS`` the same list with a case beside it. What the browser asks for with the
case's pane alone (the header ``HX-Target: case``) is answered with that pane alone.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import g, request, url_for
from werkzeug.datastructures import MultiDict

# What an address holds besides the filters of its list.
OWN = frozenset({"after", "case", "draft", "list", "state", "to", "why", "window"})


def only_case() -> bool:
    return request.headers.get("HX-Target") == "case"


def list_args() -> MultiDict[str, str]:
    """The filters of the list that the reader has before them: of this address, or of the page that asks."""
    if "list_args" not in g:
        asked: MultiDict[str, str] = request.args
        page = request.headers.get("HX-Current-URL") if only_case() else None
        if page is None and request.method not in ("GET", "HEAD"):
            page = request.referrer or ""
        if page is not None:
            asked = MultiDict(parse_qs(urlsplit(page).query))
        g.list_args = MultiDict((name, value) for name, value in asked.items(multi=True) if name not in OWN and value)
    found: MultiDict[str, str] = g.list_args
    return found


def here() -> dict[str, Any]:
    """The filters as ``url_for`` takes them."""
    return list_args().to_dict(flat=False)


def case_address(number: int, **more: Any) -> str:
    """A case beside the list the reader has before them. ``_anchor`` and what else ``url_for`` takes may be given."""
    return url_for("cases.show", number=number, **(here() | more))


def list_query() -> str:
    """The filters as they stand behind the question mark."""
    return urlencode(here(), doseq=True)
