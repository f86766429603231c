"""A watch query tried on what is already collected, while it is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Blueprint, make_response, render_template, request
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from errors import QueryError
from models import CONCERNS_US, Author, Mention, Role
from triage import watch
from triage.subject import Text
from web import labels
from web.context import house, needs

pages = Blueprint("preview", __name__, url_prefix="/admin/preview")

LOOKED = 2_000  # mentions, the ones collected last
READ = 2_000_000  # characters of them; long articles end it sooner
SHOWN = 10
EXCERPT = 240  # characters
BEFORE = 60  # of them, before the first mark
FIELDS = ("match", "if.match")  # what the forms call it

Marked = list[tuple[str, bool]]  # a text in pieces, each with whether the query is after it


@dataclass(frozen=True)
class Shown:
    """A mention the query finds."""

    mention: Row[Any]
    title: Marked
    text: Marked


@dataclass
class Tried:
    """What a query would have found of the last ``looked`` mentions; ``since``: when the first was collected."""

    query: str
    problem: str | None = None
    position: int = 0
    looked: int = 0
    found: int = 0
    since: datetime | None = None
    shown: list[Shown] = field(default_factory=list)


@pages.get("")
@needs(Role.manager)
def page() -> Any:
    query = next((request.args[name] for name in FIELDS if name in request.args), "").strip()
    with house().database.read() as db:
        tried = attempt(db, query)
    partly = request.headers.get("HX-Request") is not None
    answer = make_response(render_template("_tried.html" if partly else "preview.html", tried=tried))
    answer.vary.add("HX-Request")
    return answer


def attempt(db: Session, query: str) -> Tried:
    """Bounded whatever the archive's size: it looks at the last mentions only, and says how far back."""
    tried = Tried(query)
    if not query:
        return tried
    try:
        node = watch.parse(query)
    except QueryError as error:
        tried.problem, tried.position = labels.query_problem(error), error.position
        return tried
    for mention in _last(db, html=watch.asks_links(node)):
        tried.looked, tried.since = tried.looked + 1, mention.collected_at
        if node.matches(_text(mention)):
            tried.found += 1
            if tried.found <= SHOWN:
                tried.shown.append(_shown(node, mention))
    return tried


def _last(db: Session, *, html: bool) -> Iterator[Row[Any]]:
    """What others said, latest first; HTML, which may be long, only where links are looked for in it."""
    newest = select(Mention.id).order_by(Mention.id.desc()).limit(LOOKED).subquery()
    columns = [
        *(Mention.case_id, Mention.channel, Mention.title, Mention.text, Mention.url, Mention.language),
        *(Mention.published_at, Mention.collected_at, Mention.attachments, Mention.html if html else None),
        *(Author.name, Author.handle, Author.followers),
    ]
    query = select(*(column for column in columns if column is not None)).join(newest, newest.c.id == Mention.id)
    query = query.outerjoin(Author, Author.id == Mention.author_id)
    query = query.where(CONCERNS_US).order_by(Mention.id.desc())
    read = 0
    for row in db.execute(query.execution_options(yield_per=100)):
        read += len(row.text) + len(row.title or "") + len(getattr(row, "html", None) or "")
        yield row
        if read >= READ:
            return


def _text(mention: Row[Any]) -> Text:
    links = (each.get("url") for each in mention.attachments)
    return Text.of(
        mention.title,
        mention.text,
        language=mention.language,
        name=mention.name,
        handle=mention.handle,
        url=mention.url,
        followers=mention.followers,
        more=(getattr(mention, "html", None), *links),
    )


def _shown(node: watch.Node, mention: Row[Any]) -> Shown:
    title, text = (marked(node, part or "", mention.language) for part in (mention.title, mention.text))
    return Shown(mention, title, text)


def marked(node: watch.Node, text: str, language: str | None) -> Marked:
    """A piece of a text with what the query is after in it, from shortly before the first."""
    text = unicodedata.normalize("NFC", text)
    marks = watch.marks(node, text, language)
    start = max(marks[0][0] - BEFORE, 0) if marks and marks[0][0] > EXCERPT - BEFORE else 0
    end = min(start + EXCERPT, len(text))
    pieces: Marked = [("…", False)] if start else []
    at = start
    for first, last in marks:
        if start <= first and last <= end:
            pieces += [(text[at:first], False), (text[first:last], True)]
            at = last
    pieces += [(text[at:end], False), ("…" if end < len(text) else "", False)]
    return [piece for piece in pieces if piece[0]]
