"""The index of search: the folded texts, and what finds three letters in them on either database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from triage import index

revision = "0004"
down_revision = "0003"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNERS = {
    "mention_id": ("mentions", ("title", "text", "html", "url", "attachments")),
    "author_id": ("authors", ("name", "handle")),
    "reply_id": ("replies", ("body",)),
    "note_id": ("notes", ("body",)),
}


def upgrade() -> None:
    op.create_table(
        "search_texts",
        sa.Column("id", KEY, nullable=False),
        *(sa.Column(column, KEY, nullable=True) for column in OWNERS),
        sa.Column("text", sa.Text(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_search_texts_{column}"), ondelete="CASCADE"
            )
            for column, (table, _) in OWNERS.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_texts")),
        *(sa.UniqueConstraint(column, name=op.f(f"uq_search_texts_{column}")) for column in OWNERS),
    )
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()
    index.fill(op.get_bind())


def _sqlite() -> None:
    """The trigrams of search_texts, without a copy of it; the triggers keep them true."""
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(text, content='search_texts', content_rowid='id', "
        "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"
    )
    remove = "INSERT INTO search_index(search_index, rowid, text) VALUES ('delete', old.id, old.text);"
    add = "INSERT INTO search_index(rowid, text) VALUES (new.id, new.text);"
    op.execute(f"CREATE TRIGGER search_texts_insert AFTER INSERT ON search_texts BEGIN {add} END")
    op.execute(f"CREATE TRIGGER search_texts_delete AFTER DELETE ON search_texts BEGIN {remove} END")
    op.execute(f"CREATE TRIGGER search_texts_update AFTER UPDATE ON search_texts BEGIN {remove} {add} END")
    for column, (table, parts) in OWNERS.items():
        changed = " OR ".join(f"old.{part} IS NOT new.{part}" for part in parts)
        op.execute(
            f"CREATE TRIGGER {table}_forget_text AFTER UPDATE OF {', '.join(parts)} ON {table} WHEN {changed} "
            f"BEGIN DELETE FROM search_texts WHERE {column} = old.id; END"  # noqa: S608
        )


def _postgresql() -> None:
    op.execute(
        "CREATE FUNCTION search_grams(said text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
        "$$ SELECT array_agg(DISTINCT substr(said, at, 3)) FROM generate_series(1, length(said) - 2) at $$"
    )
    op.execute("CREATE INDEX search_index ON search_texts USING gin (search_grams(text))")
    op.execute(
        "CREATE FUNCTION forget_text() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "EXECUTE format('DELETE FROM search_texts WHERE %I = $1', TG_ARGV[0]) USING OLD.id; RETURN NULL; END $$"
    )
    for column, (table, parts) in OWNERS.items():
        changed = " OR ".join(f"OLD.{part}{_text(part)} IS DISTINCT FROM NEW.{part}{_text(part)}" for part in parts)
        op.execute(
            f"CREATE TRIGGER {table}_forget_text AFTER UPDATE OF {', '.join(parts)} ON {table} FOR EACH ROW "
            f"WHEN ({changed}) EXECUTE FUNCTION forget_text('{column}')"
        )


def _text(part: str) -> str:
    return "::text" if part == "attachments" else ""  # PostgreSQL compares no JSON
