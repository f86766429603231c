"""What a window hears while it is open: a stream of hints, or the same by asking; and what it fetches then.

* ``GET /live/stream`` server-sent events. ``GET /live`` the same hint as JSON, 204 when there is none.
  Both take ``after`` (the newest event the window knows; none: from now on), ``window`` (its name, 8 to 40 letters and
  digits), ``case`` (which it shows), and ``list=1`` with what the address of its list says. See ``web.hub`` for a hint.
* ``GET /live/rows?case=N…`` the rows of these cases as they are now. ``GET /live/notices`` what the reader should know.
* ``POST /live/writing`` somebody begins (``writing=1``) or stops writing in the window.

None of these counts as somebody at work: a login is not kept alive by a window that is left open.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from flask import Blueprint, Flask, Response, abort, current_app, g, jsonify, make_response, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from errors import InvalidInput
from house import House
from models import Case
from web import notices, panes, preferences, presence, views
from web.context import as_number, house, now, user, whole_number
from web.finding import wanted_cases
from web.hub import Asked, Hub, State, Telling, Window, written
from web.inbox import newest_event
from web.queries import CaseFilter, cases_among, cases_numbered
from web.rows import rows

pages = Blueprint("live", __name__, url_prefix="/live")

HEARTBEAT = 15.0  # seconds; proxies cut what is silent for long
LONGEST = 600.0  # seconds; then the browser comes back, and what depends on the time of day is judged anew
ROWS = 50  # at most so many at once
STILL = "event: still\ndata:\n\n"  # not a comment: the window is to know that it is connected
NAME = re.compile(r"[0-9a-z]{8,40}")


def install(app: Flask, house: House, clock: Callable[[], datetime]) -> None:
    app.extensions["gensvar.hub"] = Hub(house.database, clock)
    app.register_blueprint(pages)


def shut(app: Flask) -> None:
    """Ends the streams: the server is about to stop."""
    hub: Hub = app.extensions["gensvar.hub"]
    hub.shut()


def _hub() -> Hub:
    found: Hub = current_app.extensions["gensvar.hub"]
    return found


def _window(*, streams: bool) -> Window:
    """The window that asks. Raises 400 where it does not say what it should. A list that cannot be read has no news."""
    name, args = request.args.get("window", ""), request.args
    if not NAME.fullmatch(name) and (name or streams):
        abort(400)
    back = as_number(request.headers.get("Last-Event-ID", ""))
    after = [number for number in (whole_number("after"), back) if number is not None]
    case = whole_number("case")
    with house().database.read() as db:
        wanted = _list(db) if args.get("list") else None
        counted = views.counted(db, user()) if wanted is not None else {}
        if case is not None and db.scalar(select(Case.id).where(Case.id == case)) is None:
            case = None
    return Window(
        name=f"{user().id}.{name}" if name else "",
        user=user(),
        login=g.login_id,
        case=case,
        wanted=Asked.of(wanted) if wanted else None,
        counted={address: Asked.of(each) for address, each in counted.items()},
        last=max(after, default=None),
        gone=request.environ.get("waitress.client_disconnected", lambda: False) if streams else lambda: False,
        asked_at=None if streams else time.monotonic(),
    )


def _list(db: Session) -> CaseFilter | None:
    wanted = wanted_cases(panes.list_args(), user())
    try:
        cases_among(db, [0], wanted)
    except InvalidInput:  # the page itself says what is wrong with it
        return None
    return wanted


@pages.get("/stream")
def stream() -> Response:
    """503 when there are too many: the window asks from time to time then."""
    hub, window = _hub(), _window(streams=True)
    if not hub.open(window):
        abort(503)
    response = Response(_said(window), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
    response.call_on_close(partial(hub.close, window))
    return response


def _said(window: Window) -> Iterator[str]:
    end = time.monotonic() + LONGEST
    yield ": here\n\n"
    while time.monotonic() < end and (hint := window.next(HEARTBEAT)) is not None:
        yield written(hint) if hint else STILL


@pages.get("")
def news() -> Response:
    """For a window without a stream. One that gives no name is nowhere: nobody looks at it."""
    window, at = _window(streams=False), now()
    if window.name:
        _hub().open(window)
    with house().database.read() as db:
        state = State.read(db, [window.user.id], at)
        [(_, hint)] = Telling(db, state, at, count=(window.last or 0) < state.newest).to([window])
    known = json.dumps([window.told, hint.get("there")], sort_keys=True)
    hint["state"] = hashlib.sha256(known.encode()).hexdigest()[:12]
    if not hint.get("cases") and not hint.get("many") and hint["state"] == request.args.get("state"):
        return make_response("", 204)
    return jsonify(hint)


@pages.get("/rows")
def changed() -> Response:
    """The rows of cases as they are now; ``in`` tells whether the list asked for would hold them."""
    asked = (as_number(text) for text in request.args.getlist("case"))
    numbers = [number for number in asked if number is not None][:ROWS]
    with house().database.read() as db:
        last = newest_event(db)
        shown = cases_among(db, numbers, wanted_cases(panes.list_args(), user()))
        found = rows(db, cases_numbered(db, numbers), user())
        told = [
            {
                "case": row.case.id,
                "in": row.case.id in shown,
                "html": render_template("_row.html", row=row, gone=row.case.id not in shown),
            }
            for row in found
        ]
    return jsonify({"last": last, "rows": told})


@pages.get("/notices")
def noticed() -> Response:
    """What the reader should know, drawn anew; ``new``: what has come after the notice ``after``, the latest first."""
    after = whole_number("after") or 0
    with house().database.read() as db:
        told, count = notices.unseen(db, user().id)
    silent = preferences.of(user()).silent  # told, but not shown by the browser
    new = [{"id": each.id, "words": each.words, "about": each.about, "address": each.address,
            "silent": each.kind in silent} for each in told if each.id > after]  # fmt: skip
    html = render_template("_notices.html", notices=told, notice_count=count)
    return jsonify({"count": count, "html": html, "new": new})


@pages.post("/writing")
def writing() -> Response:
    """202 when the window is not written down yet as showing the case: it says so again in a moment."""
    window, case = request.form.get("window", ""), whole_number("case")
    if not NAME.fullmatch(window) or case is None:
        abort(400)
    name = f"{user().id}.{window}"
    with house().database.transaction() as db:
        known = presence.write(db, name, user().id, case, request.form.get("writing") == "1")
    return make_response("", 204 if known else 202)
