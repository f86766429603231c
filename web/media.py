"""Pictures from elsewhere, through our own proxy: the reader's browser asks nobody but us.

Only addresses that we have signed are fetched, so nobody can use the proxy as his own.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import Blueprint, Response, abort, request, url_for

from errors import ChannelError
from web.context import house, secret
from web.safe_html import is_web

pages = Blueprint("media", __name__)
MAX_BYTES = 5 * 1024 * 1024
TYPES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"}  # not SVG: it can hold scripts
CSP = "default-src 'none'; form-action 'none'; sandbox"


def _signature(url: str) -> str:
    return hmac.new(secret(), b"media:" + url.encode(), hashlib.sha256).hexdigest()[:32]


def proxied(url: str) -> str:
    """The address of our copy of a picture."""
    return url_for("media.picture", u=url, s=_signature(url))


@pages.get("/media")
def picture() -> Response:
    url = request.args.get("u", "")
    if not hmac.compare_digest(request.args.get("s", "").encode(), _signature(url).encode()) or not is_web(url):
        abort(404)
    try:
        fetched = house().http.fetch(url, headers={"Accept": ", ".join(sorted(TYPES))}, limit=MAX_BYTES)
    except ChannelError:
        abort(404)
    kind = next((value for name, value in fetched.headers.items() if name.lower() == "content-type"), "")
    kind = kind.partition(";")[0].strip().lower()
    if fetched.status != 200 or kind not in TYPES:
        abort(404)
    return Response(
        fetched.body,
        content_type=kind,
        headers={
            "Content-Security-Policy": CSP,
            "Cache-Control": "private, max-age=86400",
            "Content-Disposition": "inline",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
    )
