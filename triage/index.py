"""The index of search: what is said and who says it, folded, kept true by one piece.

Whenever a mention, an author, a reply or a note is stored or changed, its ``SearchText`` follows in the same flush;
what is deleted takes its text along. Where a text was changed past the session (a bulk update), a trigger of the
database has thrown the old entry away, and ``catch_up`` writes it anew. Merging and splitting change nothing here: an
entry knows what it is the text of, not the case.

The text of an entry is cut by ``BREAK``: of a mention title, text, host and the addresses linked to; of an author name
and handle; of a reply or note what it says.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, event, func, insert, select, text
from sqlalchemy import Text as String
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.attributes import get_history

from database import Database
from models import Author, Base, Mention, Note, Reply, SearchText
from triage.subject import Text, fold, handle_of

log = logging.getLogger("gensvar.index")

BREAK = "\x1e"
AT_ONCE = 2_000
Indexed = Mention | Author | Reply | Note
# What is indexed -> the column of SearchText that points there, and the attributes its text is made of.
KEYS: dict[type[Base], str] = {Mention: "mention_id", Author: "author_id", Reply: "reply_id", Note: "note_id"}
PARTS: dict[type[Base], tuple[str, ...]] = {
    Mention: ("title", "text", "html", "url", "attachments"),
    Author: ("name", "handle"),
    Reply: ("body",),
    Note: ("body",),
}


def folded(kind: type[Base], parts: Sequence[Any]) -> str:
    """The text of an entry; ``parts`` in the order of ``PARTS``."""
    if kind is Mention:
        title, said, html, url, attachments = parts
        links = (each.get("url") for each in attachments or ())
        read = Text.of(title, said, url=url, more=(html, *links))
        pieces = [fold(title or ""), fold(said), read.host or "", *read.addresses]
    elif kind is Author:
        name, handle = parts
        pieces = [fold(name), handle_of(handle) or ""]
    else:
        pieces = [fold(parts[0])]
    return BREAK.join(piece.replace(BREAK, " ") for piece in pieces)


def _store(mapper: Mapper[Any], connection: Connection, target: Indexed) -> None:
    kind = type(target)
    told = folded(kind, [getattr(target, name) for name in PARTS[kind]])
    connection.execute(insert(SearchText), {KEYS[kind]: target.id, "text": told})


def _follow(mapper: Mapper[Any], connection: Connection, target: Indexed) -> None:
    kind = type(target)
    if any(get_history(target, name).has_changes() for name in PARTS[kind]):
        connection.execute(delete(SearchText).where(getattr(SearchText, KEYS[kind]) == target.id))
        _store(mapper, connection, target)


for each in KEYS:
    event.listen(each, "after_insert", _store)
    event.listen(each, "after_update", _follow)


def missing(db: Session) -> int:
    """How many texts have no entry."""
    return sum(
        (db.scalar(select(func.count()).select_from(kind)) or 0)
        - (db.scalar(select(func.count(getattr(SearchText, key)))) or 0)
        for kind, key in KEYS.items()
    )


def catch_up(database: Database) -> int:
    """Write the entries that are missing, some at a time; returns how many."""
    with database.read() as db:
        if not missing(db):
            return 0
    done = 0
    for kind in KEYS:
        last = 0
        while True:
            with database.transaction() as db:
                ids = _lacking(db.connection(), kind, last)
                done += len(ids)
                _write(db.connection(), kind, ids)
            if not ids:
                break
            last = ids[-1]
    return done


def fill(connection: Connection) -> None:
    """Every entry that is missing, in the transaction of a migration, with its progress in the log."""
    for kind in KEYS:
        name, last, done = kind.__tablename__, 0, 0
        total = connection.scalar(select(func.count()).select_from(kind)) or 0
        while ids := _lacking(connection, kind, last):
            _write(connection, kind, ids)
            last, done = ids[-1], done + len(ids)
            if done % (25 * AT_ONCE) == 0 or done == total:
                log.info("The index of search: %s of %s %s.", done, total, name)


def _lacking(connection: Connection, kind: type[Base], after: int) -> list[int]:
    table, key = kind.__table__, SearchText.__table__.c[KEYS[kind]]
    known = select(key).where(key == table.c.id).exists()
    return list(
        connection.scalars(select(table.c.id).where(table.c.id > after, ~known).order_by(table.c.id).limit(AT_ONCE))
    )


def _write(connection: Connection, kind: type[Base], ids: Sequence[int]) -> None:
    if ids:
        table = kind.__table__
        columns = [table.c[name] for name in PARTS[kind]]
        within = (table.c.id >= ids[0], table.c.id <= ids[-1], table.c.id.in_(ids))
        rows = connection.execute(select(table.c.id, *columns).where(*within)).all()
        entries = [{KEYS[kind]: id, "text": folded(kind, parts)} for id, *parts in rows]
        connection.execute(insert(SearchText), entries)


# -- looking things up ------------------------------------------------------------------------------------------------


def grams(word: str) -> list[str]:
    """Every three letters of a folded word, each once; none when it is shorter."""
    return list(dict.fromkeys(word[at : at + 3] for at in range(len(word) - 2)))


def entries_with(db: Session, words: Sequence[str], most: int) -> Sequence[int] | None:
    """The entries in whose text each of these stands, perhaps some more, at most so many. None: too short to ask."""
    wanted = list(dict.fromkeys(gram for word in words for gram in grams(word)))
    if not wanted:
        return None
    if db.get_bind().dialect.name == "sqlite":
        asked = " AND ".join('"{}"'.format(gram.replace('"', '""')) for gram in wanted)
        found = text("SELECT rowid FROM search_index WHERE search_index MATCH :grams LIMIT :most")
        return db.scalars(found, {"grams": asked, "most": most}).all()
    holding = func.search_grams(SearchText.text, type_=ARRAY(String)).contains(wanted)
    return db.scalars(select(SearchText.id).where(holding).limit(most)).all()


__all__ = ["BREAK", "KEYS", "catch_up", "entries_with", "fill", "folded", "grams", "missing"]
