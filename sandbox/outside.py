"""The outside: the networks as a citizen sees them, on one page, where one can also write, and make them fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Flask, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from sandbox.base import Fault, Network, Post

SHOWN = 60  # threads of a column; older ones have been forgotten by everybody but us
DEEPEST = 3  # answers to answers are not moved further in than this

FAULTS: Mapping[Fault, str] = {
    Fault.rate_limited: "Answers “too many requests” and says when that ends",
    Fault.rate_limited_silent: "Answers “too many requests” and does not say until when",
    Fault.unauthorized: "Refuses the organisation’s login",
    Fault.out_of_credit: "Says that the account has no credit left",
    Fault.html_error: "Is down, and shows a page for people instead of data",
    Fault.accept_then_hang: "Publishes the organisation’s answer, then says nothing",
    Fault.accept_then_cut: "Publishes the organisation’s answer, then cuts the line",
    Fault.malformed_item: "Puts one item that makes no sense among the others",
    Fault.repeated_item: "Shows the same item on two pages of a list",
    Fault.reversed_pages: "Gives lists in the opposite order",
}


@dataclass(frozen=True)
class Place:
    """Somewhere to write. ``name`` is shown beside its threads where a column has several places; ``answers``: one
    can answer there."""

    key: str
    name: str
    network: Network
    answers: bool = True


@dataclass(frozen=True)
class Column:
    """Some places side by side. What starts a thread is written in ``places[0]``, or, where that takes a title, by
    ``publish(author, title, text)``."""

    key: str
    title: str
    start: str  # what writing something new is called
    hint: str  # what one should know before
    places: Sequence[Place]
    faults: Mapping[Fault, str]
    limit: int | None = None  # characters
    publish: Callable[[str, str, str], object] | None = None

    @property
    def titled(self) -> bool:
        return self.publish is not None


@dataclass(frozen=True)
class Line:
    """A post in its thread."""

    post: Post
    depth: int
    to: str | None  # who is answered


@dataclass(frozen=True)
class Thread:
    place: Place
    lines: tuple[Line, ...]
    last: datetime

    @property
    def key(self) -> str:
        return f"{self.place.key}-{self.lines[0].post.external_id}"

    @property
    def version(self) -> str:
        """Another one whenever anything in the thread has changed."""
        return f"{hash(self.lines) & 0xFFFFFFFF:x}"


def threads(place: Place) -> list[Thread]:
    """What has been said there, each thread from its top down, answers below what they answer."""
    posts = place.network.posts()
    by_id = {post.external_id: post for post in posts}
    below: dict[str | None, list[Post]] = defaultdict(list)
    for post in posts:
        below[post.in_reply_to if post.in_reply_to in by_id else None].append(post)

    def told(post: Post, depth: int) -> Iterable[Line]:
        above = by_id.get(post.in_reply_to or "")
        yield Line(post, min(depth, DEEPEST), above.author if above and depth > 1 else None)
        for answer in below[post.external_id]:
            yield from told(answer, depth + 1)

    found = []
    for top in below[None]:
        lines = tuple(told(top, 0))
        found.append(Thread(place, lines, max(line.post.at for line in lines)))
    return found


def create_app(columns: Sequence[Column], *, organisation: str, inbox: str) -> Flask:
    """The page. ``inbox`` is the address of the other side."""
    app = Flask(__name__)
    by_key = {column.key: column for column in columns}
    places = {place.key: (column, place) for column in columns for place in column.places}

    @app.before_request
    def refuse_other_pages() -> None:
        """No other page open in the same browser may write here."""
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            abort(403)

    @app.after_request
    def strict(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response

    def latest(column: Column) -> list[Thread]:
        found = [thread for place in column.places for thread in threads(place)]
        return sorted(found, key=lambda thread: thread.last, reverse=True)[:SHOWN]

    def switched_on(column: Column) -> set[Fault]:
        return set().union(*(place.network.faults.active() for place in column.places))

    def page(*, wrong: str | None = None, status: int = 200) -> tuple[str, int]:
        typed = {name: request.form.get(name, "") for name in ("column", "place", "to", "name", "title", "text")}
        if not typed["to"] and (asked := request.args.get("to")):  # the way without JavaScript
            column, _ = places.get(request.args.get("place", ""), (None, None))
            typed |= {"column": column.key if column else "", "place": request.args.get("place", ""), "to": asked}
        return render_template(
            "outside.html",
            columns=[(column, latest(column), switched_on(column)) for column in columns],
            organisation=organisation,
            inbox=inbox,
            typed=typed,
            wrong=wrong,
            ago=ago,
            hue=hue,
            now=datetime.now(UTC),
        ), status

    @app.get("/")
    def show() -> tuple[str, int]:
        return page()

    @app.get("/columns/<key>")
    def show_column(key: str) -> str:
        column = by_key.get(key) or abort(404)
        return render_template("column.html", column=column, threads=latest(column), ago=ago, hue=hue,
                               organisation=organisation, now=datetime.now(UTC))  # fmt: skip

    @app.post("/write")
    def write() -> Answer | tuple[str, int]:
        """As a citizen: something new, or an answer."""
        column, place = places.get(request.form.get("place", "")) or abort(400)
        name, title, text = (request.form.get(field, "").strip() for field in ("name", "title", "text"))
        text, to = text.replace("\r\n", "\n"), request.form.get("to") or None
        if not name or not text or (column.titled and not to and not title):
            missing = "a name, a title and a text" if column.titled and not to else "a name and a text"
            return page(wrong=f"Write {missing}.", status=422)
        if column.limit and len(text) > column.limit:
            return page(wrong=f"{column.title} takes {column.limit} characters; these are {len(text)}.", status=422)
        if to is None and column.publish:
            column.publish(name, title, text)
        elif to is None:
            place.network.write(name, text)
        elif place.answers and any(post.external_id == to and not post.deleted for post in place.network.posts()):
            place.network.write(name, text, in_reply_to=to)
        else:
            return page(wrong="What you answer is no longer there.", status=409)
        return redirect(f"/#{column.key}", 303)

    @app.post("/faults")
    def switch() -> Answer:
        """A fault on or off, for every place of a column."""
        column = by_key.get(request.form.get("column", "")) or abort(404)
        fault = request.form.get("fault", "")
        if fault not in set(column.faults):
            abort(404)
        for place in column.places:
            if request.form.get("on") == "1":
                place.network.faults.on(Fault(fault))
            else:
                place.network.faults.off(Fault(fault))
        return redirect(f"/#{column.key}", 303)

    return app


def ago(at: datetime, now: datetime) -> str:
    """How long ago, as one says it: now, 5 min, 3 h, 2 d."""
    minutes = int((now - at).total_seconds() // 60)
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def hue(name: str) -> int:
    """One of eight colours for a person, always the same."""
    return sum(map(ord, name)) % 8
