"""What is counted: samples of cases, the backlog at midnight, the nightly comparison, reports by mail. And messages of
others that we want hidden on their network."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models

revision = "0005"
down_revision = "0004"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("teams", schema=None) as batch_op:
        batch_op.add_column(sa.Column("was", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wall", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "backlog",
        sa.Column("id", KEY, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("oldest_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("cases", sa.JSON(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=True),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backlog")),
    )
    op.create_index(op.f("ix_backlog_day"), "backlog", ["day"], unique=False)
    op.create_table(
        "figure_checks",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("last_case", sa.Integer(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("different", sa.Integer(), nullable=False),
        sa.Column("differences", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_figure_checks")),
    )
    op.create_index(op.f("ix_figure_checks_at"), "figure_checks", ["at"], unique=False)
    op.create_table(
        "report_mails",
        sa.Column("id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("every", sa.String(length=10), nullable=False),
        sa.Column("due_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("mailed_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("every IN ('week', 'month')", name=op.f("ck_report_mails_every")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_report_mails_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_mails")),
    )
    op.create_index(op.f("ix_report_mails_due_at"), "report_mails", ["due_at"], unique=False)
    op.create_index(op.f("ix_report_mails_user_id"), "report_mails", ["user_id"], unique=False)
    op.create_table(
        "samples",
        sa.Column("id", KEY, nullable=False),
        sa.Column("case_id", KEY, nullable=False),
        sa.Column("measure", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("started_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=True),
        sa.Column("business", sa.BigInteger(), nullable=True),
        sa.Column("calendar_id", sa.Integer(), nullable=True),
        sa.Column("due_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("how", sa.String(length=20), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=True),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=20), nullable=True),
        sa.Column("sentiment", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_samples_case_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
    )
    op.create_index(op.f("ix_samples_case_id"), "samples", ["case_id"], unique=False)
    figures = [
        "measure",
        "day",
        "id",
        "imported",
        "channel",
        "source_id",
        "team_id",
        "assignee_id",
        "user_id",
        "kind",
        "category",
        "language",
        "sentiment",
        "seconds",
        "business",
        "late",
        "how",
        "n",
        "hour",
        "case_id",
    ]
    op.create_index("ix_samples_figures", "samples", figures, unique=False)
    op.create_table(
        "unmeasured",
        sa.Column("case_id", KEY, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_unmeasured_case_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_unmeasured")),
    )
    op.execute("INSERT INTO unmeasured (case_id) SELECT id FROM cases")
    op.create_table(
        "hidings",
        sa.Column("mention_id", KEY, nullable=False),
        sa.Column("hide", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("asked_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("due_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mention_id"], ["mentions.id"], name=op.f("fk_hidings_mention_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_hidings_user_id")),
        sa.PrimaryKeyConstraint("mention_id", name=op.f("pk_hidings")),
    )
    op.create_index(op.f("ix_hidings_due_at"), "hidings", ["due_at"], unique=False)
    op.create_index(op.f("ix_hidings_user_id"), "hidings", ["user_id"], unique=False)
