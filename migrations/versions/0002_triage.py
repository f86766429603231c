"""Triage that thinks: judgements and lessons, definitions and targets, stories, one answer for all, promises."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models

revision = "0002"
down_revision = "0001"

NEW_CHECKS = {
    "urgency": "urgency IN ('danger', 'deadline', 'outage', 'leak') OR urgency IS NULL",
    "noise": "noise IN ('spam', 'job', 'campaign', 'bot') OR noise IS NULL",
}
CHECKS = [  # SQLite makes the table anew, and does not tell which checks it had
    sa.CheckConstraint(clause, name=op.f(f"ck_cases_{name}"))
    for name, clause in {
        "status": "status IN ('new', 'open', 'pending', 'resolved', 'closed', 'ignored')",
        "priority": "priority IN ('low', 'normal', 'high', 'urgent') OR priority IS NULL",
        "kind": "kind IN ('question', 'problem', 'idea', 'praise', 'other') OR kind IS NULL",
        "sentiment": "sentiment IN ('negative', 'neutral', 'positive') OR sentiment IS NULL",
        "closed_at": "(status = 'closed') = (closed_at IS NOT NULL)",
        **NEW_CHECKS,
    }.items()
]


def upgrade() -> None:
    op.create_table(
        "definitions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("part", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("declared", sa.Boolean(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("retired_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_definitions")),
    )
    with op.batch_alter_table("definitions") as batch_op:
        batch_op.create_index(
            "uq_definitions_part_name",
            ["part", "name"],
            unique=True,
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        )

    op.create_table(
        "stories",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("opened_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("last_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("reach", sa.BigInteger(), nullable=False),
        sa.Column("alarmed_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("alarm", sa.JSON(), nullable=True),
        sa.Column("merged_into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["merged_into_id"], ["stories.id"], name=op.f("fk_stories_merged_into_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stories")),
    )
    with op.batch_alter_table("stories") as batch_op:
        batch_op.create_index(batch_op.f("ix_stories_merged_into_id"), ["merged_into_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_stories_merged_into_id_last_at_id"), ["merged_into_id", "last_at", "id"], unique=False
        )

    op.create_table(
        "absences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("ends_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_absences_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absences")),
    )
    with op.batch_alter_table("absences") as batch_op:
        batch_op.create_index(batch_op.f("ix_absences_user_id"), ["user_id"], unique=False)

    op.create_table(
        "shared_answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("story_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("then_case", sa.String(length=20), nullable=False),
        sa.Column("created_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("then_case IN ('keep', 'wait', 'resolve')", name=op.f("ck_shared_answers_then_case")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_shared_answers_story_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_shared_answers_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_answers")),
        sa.UniqueConstraint("key", name=op.f("uq_shared_answers_key")),
    )
    with op.batch_alter_table("shared_answers") as batch_op:
        batch_op.create_index(batch_op.f("ix_shared_answers_story_id"), ["story_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shared_answers_user_id"), ["user_id"], unique=False)

    op.create_table(
        "fingerprints",
        sa.Column("mention_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("because", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mention_id"], ["mentions.id"], name=op.f("fk_fingerprints_mention_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mention_id", name=op.f("pk_fingerprints")),
    )
    with op.batch_alter_table("fingerprints") as batch_op:
        batch_op.create_index(batch_op.f("ix_fingerprints_at"), ["at"], unique=False)

    op.create_table(
        "lessons",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("judge", sa.String(length=20), nullable=False),
        sa.Column("mention_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("was", sa.Text(), nullable=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["mention_id"], ["mentions.id"], name=op.f("fk_lessons_mention_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_lessons_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lessons")),
    )
    with op.batch_alter_table("lessons") as batch_op:
        batch_op.create_index(batch_op.f("ix_lessons_mention_id"), ["mention_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lessons_user_id"), ["user_id"], unique=False)

    op.create_table(
        "story_lessons",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("one_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("together", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["one_id"], ["mentions.id"], name=op.f("fk_story_lessons_one_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["other_id"], ["mentions.id"], name=op.f("fk_story_lessons_other_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_story_lessons_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story_lessons")),
    )
    with op.batch_alter_table("story_lessons") as batch_op:
        batch_op.create_index(batch_op.f("ix_story_lessons_one_id"), ["one_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_story_lessons_other_id"), ["other_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_story_lessons_user_id"), ["user_id"], unique=False)

    op.create_table(
        "promises",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("due_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("back_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("made_at", models.UTCDateTime(timezone=True), nullable=False),
        sa.Column("settled_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('proposed', 'open', 'kept', 'dropped')", name=op.f("ck_promises_state")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_promises_case_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_promises_owner_id")),
        sa.ForeignKeyConstraint(["reply_id"], ["replies.id"], name=op.f("fk_promises_reply_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promises")),
    )
    with op.batch_alter_table("promises") as batch_op:
        batch_op.create_index(batch_op.f("ix_promises_case_id"), ["case_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promises_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promises_reply_id"), ["reply_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promises_state_due_at"), ["state", "due_at"], unique=False)

    op.create_table(
        "shared_answer_parts",
        sa.Column("shared_answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("skipped", sa.String(length=40), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_shared_answer_parts_case_id")),
        sa.ForeignKeyConstraint(["reply_id"], ["replies.id"], name=op.f("fk_shared_answer_parts_reply_id")),
        sa.ForeignKeyConstraint(
            ["shared_answer_id"], ["shared_answers.id"], name=op.f("fk_shared_answer_parts_shared_answer_id")
        ),
        sa.PrimaryKeyConstraint("shared_answer_id", "case_id", name=op.f("pk_shared_answer_parts")),
        sa.UniqueConstraint("reply_id", name=op.f("uq_shared_answer_parts_reply_id")),
    )
    with op.batch_alter_table("shared_answer_parts") as batch_op:
        batch_op.create_index(batch_op.f("ix_shared_answer_parts_case_id"), ["case_id"], unique=False)

    op.create_table(
        "webhooks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", models.UTCDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["case_events.id"], name=op.f("fk_webhooks_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    with op.batch_alter_table("webhooks") as batch_op:
        batch_op.create_index(batch_op.f("ix_webhooks_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_webhooks_event_id"), ["event_id"], unique=False)

    with op.batch_alter_table("authors") as batch_op:
        batch_op.add_column(sa.Column("languages", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))

    with op.batch_alter_table("cases", table_args=CHECKS) as batch_op:
        batch_op.add_column(sa.Column("urgency", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("noise", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("category", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("settled", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
        batch_op.add_column(sa.Column("story_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.add_column(sa.Column("review_wanted", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("canned_reply", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("waiting_since", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("sla_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.add_column(sa.Column("next_response_due_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("resolution_due_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("next_breach_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("breach_kind", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("next_alert_at", models.UTCDateTime(timezone=True), nullable=True))
        batch_op.drop_index(batch_op.f("ix_cases_team_id"))
        batch_op.create_index(
            batch_op.f("ix_cases_team_id_status_opened_at"), ["team_id", "status", "opened_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_cases_next_alert_at"), ["next_alert_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_cases_next_breach_at_id"), ["next_breach_at", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_cases_flag"),
            ["flag"],
            unique=False,
            sqlite_where=sa.text("flag IS NOT NULL"),
            postgresql_where=sa.text("flag IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_cases_status_waiting_since"), ["status", "waiting_since"], unique=False)
        batch_op.create_index(batch_op.f("ix_cases_story_id"), ["story_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_cases_story_id"), "stories", ["story_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_cases_sla_id"), "definitions", ["sla_id"], ["id"])

    with op.batch_alter_table("mentions") as batch_op:
        batch_op.add_column(sa.Column("judgement", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("story_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_mentions_story_id_published_at"), ["story_id", "published_at"], unique=False
        )
        batch_op.create_foreign_key(batch_op.f("fk_mentions_story_id"), "stories", ["story_id"], ["id"])

    with op.batch_alter_table("notices") as batch_op:
        batch_op.add_column(sa.Column("story_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.add_column(sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch_op.add_column(sa.Column("detail", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.alter_column(
            "event_id", existing_type=sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        )
        batch_op.create_index(batch_op.f("ix_notices_story_id"), ["story_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_notices_team_id"), ["team_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_notices_team_id"), "teams", ["team_id"], ["id"], ondelete="CASCADE")
        batch_op.create_foreign_key(batch_op.f("fk_notices_story_id"), "stories", ["story_id"], ["id"])

    with op.batch_alter_table("sources") as batch_op:
        batch_op.add_column(sa.Column("languages", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))

    with op.batch_alter_table("team_members") as batch_op:
        batch_op.add_column(sa.Column("last_given_at", models.UTCDateTime(timezone=True), nullable=True))

    with op.batch_alter_table("teams") as batch_op:
        batch_op.add_column(sa.Column("routing", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("ceiling", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("queue_alarm", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("queue_alarmed_at", models.UTCDateTime(timezone=True), nullable=True))

    if op.get_bind().dialect.name == "postgresql":
        for name, clause in NEW_CHECKS.items():
            op.create_check_constraint(op.f(f"ck_cases_{name}"), "cases", clause)

    last_answer = (
        "(SELECT max(r.sent_at) FROM replies r WHERE r.case_id = cases.id AND r.status = 'sent' AND NOT r.private)"
    )
    op.execute(  # what new cases are born with
        "UPDATE cases SET waiting_since = (SELECT min(m.published_at) FROM mentions m WHERE m.case_id = cases.id "
        f"AND NOT m.ours AND NOT m.context AND NOT m.repost AND ({last_answer} IS NULL OR m.published_at > {last_answer}))"
    )
