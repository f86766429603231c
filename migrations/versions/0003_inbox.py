"""The inbox as a workplace: drafts, presence, views, undo, people, imports, audit, mail for notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models

revision = "0003"
down_revision = "0002"

ROLES = "role IN ('reader', 'agent', 'manager', 'admin')"
OF_AN_EXAMPLE = "(SELECT s.example FROM cases c JOIN sources s ON s.id = c.source_id WHERE c.id = OLD.case_id)"


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    with op.batch_alter_table("audit_entries") as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entries_at"), ["at"], unique=False)

    op.create_table(
        "people",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("undone_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("work", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_batches_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    with op.batch_alter_table("batches") as batch_op:
        batch_op.create_index(batch_op.f("ix_batches_user_id_at"), ["user_id", "at"], unique=False)

    op.create_table(
        "views",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_views_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_views")),
    )
    with op.batch_alter_table("views") as batch_op:
        batch_op.create_index(batch_op.f("ix_views_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("keep_open", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=True),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("set_aside", sa.Integer(), nullable=False),
        sa.Column("oldest_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("resumes_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("cancel_wanted", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'paused', 'done', 'cancelled', 'failed')", name=op.f("ck_imports_state")
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_imports_source_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_imports_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    with op.batch_alter_table("imports") as batch_op:
        batch_op.create_index(batch_op.f("ix_imports_source_id"), ["source_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_imports_state_resumes_at"), ["state", "resumes_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_imports_user_id"), ["user_id"], unique=False)

    op.create_table(
        "person_notes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"], ["authors.id"], name=op.f("fk_person_notes_author_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_person_notes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_notes")),
    )
    with op.batch_alter_table("person_notes") as batch_op:
        batch_op.create_index(batch_op.f("ix_person_notes_author_id"), ["author_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_person_notes_user_id"), ["user_id"], unique=False)

    op.create_table(
        "case_links",
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("case_id < other_id", name=op.f("ck_case_links_order")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_links_case_id")),
        sa.ForeignKeyConstraint(["other_id"], ["cases.id"], name=op.f("fk_case_links_other_id")),
        sa.PrimaryKeyConstraint("case_id", "other_id", name=op.f("pk_case_links")),
    )
    with op.batch_alter_table("case_links") as batch_op:
        batch_op.create_index(batch_op.f("ix_case_links_other_id"), ["other_id"], unique=False)

    op.create_table(
        "follows",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("muted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_follows_case_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_follows_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "case_id", name=op.f("pk_follows")),
    )
    with op.batch_alter_table("follows") as batch_op:
        batch_op.create_index(batch_op.f("ix_follows_case_id"), ["case_id"], unique=False)

    op.create_table(
        "presence",
        sa.Column("window", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("writing", sa.Boolean(), nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_presence_case_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_presence_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("window", name=op.f("pk_presence")),
    )
    with op.batch_alter_table("presence") as batch_op:
        batch_op.create_index(batch_op.f("ix_presence_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_presence_case_id"), ["case_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_presence_user_id"), ["user_id"], unique=False)

    op.create_table(
        "reads",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_reads_case_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reads_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "case_id", name=op.f("pk_reads")),
    )
    with op.batch_alter_table("reads") as batch_op:
        batch_op.create_index(batch_op.f("ix_reads_case_id"), ["case_id"], unique=False)

    op.create_table(
        "drafts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("to_mention_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("case_version", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('reply', 'note')", name=op.f("ck_drafts_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_drafts_case_id")),
        sa.ForeignKeyConstraint(
            ["to_mention_id"], ["mentions.id"], name=op.f("fk_drafts_to_mention_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_drafts_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("case_id", "user_id", "kind", name=op.f("uq_drafts_case_id_user_id_kind")),
    )
    with op.batch_alter_table("drafts") as batch_op:
        batch_op.create_index(batch_op.f("ix_drafts_to_mention_id"), ["to_mention_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_drafts_user_id_updated_at"), ["user_id", "updated_at"], unique=False)

    op.create_table(
        "pictures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("alt", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_pictures_case_id")),
        sa.ForeignKeyConstraint(["reply_id"], ["replies.id"], name=op.f("fk_pictures_reply_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_pictures_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
    )
    with op.batch_alter_table("pictures") as batch_op:
        batch_op.create_index(batch_op.f("ix_pictures_case_id"), ["case_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pictures_reply_id"), ["reply_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pictures_user_id"), ["user_id"], unique=False)

    op.create_table(
        "batch_events",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_batch_events_batch_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["case_events.id"], name=op.f("fk_batch_events_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "event_id", name=op.f("pk_batch_events")),
    )
    with op.batch_alter_table("batch_events") as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_events_event_id"), ["event_id"], unique=False)

    # not as a batch: that would make the table, and its triggers, anew
    op.add_column(
        "case_events", sa.Column("undoes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )

    with op.batch_alter_table("authors") as batch_op:
        batch_op.add_column(sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.create_index(batch_op.f("ix_authors_person_id"), ["person_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_authors_person_id"), "people", ["person_id"], ["id"], ondelete="SET NULL"
        )
        for column in ("name", "handle", "url"):  # any length: what is equal is looked for, nothing else
            batch_op.create_index(batch_op.f(f"ix_authors_{column}"), [column], unique=False, postgresql_using="hash")

    with op.batch_alter_table("notices") as batch_op:
        batch_op.add_column(sa.Column("mail_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("mailed_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("mail_attempts", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("mail_error", sa.Text(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_notices_mail_at"),
            ["mail_at"],
            unique=False,
            sqlite_where=sa.text("mail_at IS NOT NULL"),
            postgresql_where=sa.text("mail_at IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_notices_mailed_at"),
            ["mailed_at"],
            unique=False,
            sqlite_where=sa.text("mailed_at IS NOT NULL"),
            postgresql_where=sa.text("mailed_at IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_notices_at"),
            ["at"],
            unique=False,
            sqlite_where=sa.text("mail_error IS NOT NULL"),
            postgresql_where=sa.text("mail_error IS NOT NULL"),
        )

    with op.batch_alter_table("sources") as batch_op:
        batch_op.add_column(sa.Column("example", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("teams") as batch_op:
        batch_op.add_column(sa.Column("members_only", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("users") as batch_op:
        batch_op.drop_constraint(op.f("ck_users_role"), type_="check")
        batch_op.create_check_constraint(op.f("ck_users_role"), ROLES)
        batch_op.add_column(sa.Column("last_seen_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("signature", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("needs_review", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("preferences", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))

    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'audit_entries is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit()"
        )
        op.execute("DROP TRIGGER case_events_append_only ON case_events")
        op.execute(
            "CREATE TRIGGER case_events_no_update BEFORE UPDATE ON case_events "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(  # PL/pgSQL, since the condition of a trigger may not ask other tables
            "CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {OF_AN_EXAMPLE} IS NOT TRUE THEN RAISE EXCEPTION 'case_events is append-only'; END IF; "
            "RETURN OLD; END $$"
        )
        op.execute(
            "CREATE TRIGGER case_events_no_delete BEFORE DELETE ON case_events "
            "FOR EACH ROW EXECUTE FUNCTION refuse_deletion()"
        )
    else:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_entries_no_{change.lower()} BEFORE {change} ON audit_entries "
                "BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END"
            )
        op.execute("DROP TRIGGER case_events_no_delete")
        op.execute(
            f"CREATE TRIGGER case_events_no_delete BEFORE DELETE ON case_events WHEN {OF_AN_EXAMPLE} IS NOT 1 "
            "BEGIN SELECT RAISE(ABORT, 'case_events is append-only'); END"
        )
