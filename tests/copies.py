"""All that a database holds, kept to be put into another: quicker than doing again what led to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, text

from database import Database
from models import Base

Copy = list[tuple[Any, list[dict[str, Any]]]]


def take(database: Database) -> Copy:
    """The rows of each table that has some."""
    with database.read() as db:
        rows = [(table, [dict(row) for row in db.execute(select(table)).mappings()]) for table in _tables()]
    return [(table, found) for table, found in rows if found]


def put(database: Database, copy: Copy) -> None:
    """Into an empty database of the same kind; what is made there next gets the next number."""
    with database.transaction() as db:
        # Rows name one another, also those that come later.
        later = "PRAGMA defer_foreign_keys = ON" if database.sqlite else "SET LOCAL session_replication_role = replica"
        db.execute(text(later))
        for table, rows in copy:
            db.execute(insert(table), rows)
            if not database.sqlite and "id" in table.c and isinstance(rows[0]["id"], int):
                last = max(row["id"] for row in rows)
                db.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {last})"))


def _tables() -> list[Any]:
    return list(Base.metadata.sorted_tables)
