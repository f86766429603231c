"""The migrations lead to what models.py says, on both databases, however many processes start at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from database import Database, migrations, newest_migration
from errors import DatabaseError
from models import Base, Case
from tests.postgres import PostgreSQL
from triage import cases

ROOT = Path(__file__).parent.parent


def test_the_migrations_lead_to_what_the_models_say(database: Database) -> None:
    assert database.version() == newest_migration()
    with database.engine.connect() as connection:
        # The index of search is of another kind on each database, and therefore in the migration alone.
        opts = {"compare_type": True, "include_name": lambda name, *_: not (name or "").startswith("search_index")}
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, Base.metadata)
    assert differences == [], "models.py and the migrations say different things"


def test_checks_are_in_the_database(database: Database) -> None:
    """Autogeneration does not look at CHECK constraints."""
    found = inspect(database.engine)
    for table in Base.metadata.sorted_tables:
        wanted = {str(each.name) for each in table.constraints if each.__visit_name__ == "check_constraint"}
        there = found.get_check_constraints(table.name)
        assert wanted <= {str(each["name"]) for each in there}, table.name
        alike = {(each["name"], each["sqltext"]) for each in there}
        assert len(alike) == len({name for name, _sql in alike}), f"an older check of {table.name} is still in force"


def test_numbers_follow_one_another() -> None:
    assert migrations() == [f"{number:04}" for number in range(1, len(migrations()) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_start_together_take_turns(kind: str, tmp_path: Path, postgresql: PostgreSQL) -> None:
    code = "import sys; from database import Database; Database(sys.argv[1]).migrate()"
    with postgresql.fresh() as url:
        if kind == "postgresql":
            emptied = Database(url)
            with emptied.engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
            emptied.close()
        else:
            url = f"sqlite:///{tmp_path}/new.db"
        started = [
            subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        told = [process.communicate(timeout=60)[1] for process in started]
        assert [process.returncode for process in started] == [0, 0, 0], told
        database = Database(url)
        assert database.version() == newest_migration()
        database.close()


def test_migrating_again_does_nothing(database: Database) -> None:
    assert database.migrate() is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_an_earlier_version_stored_is_kept_and_goes_on(kind: str, tmp_path: Path, postgresql: PostgreSQL) -> None:
    with postgresql.fresh() as url:
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path}/old.db"
        database = Database(url)
        if kind == "postgresql":
            with database.engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
        database.migrate("0001")
        at = {"at": "2026-11-24 08:00:00.000000", "later": "2026-11-24 09:00:00.000000"}
        with database.engine.begin() as connection:
            for statement in FROM_0001:
                connection.execute(text(statement), at)
        assert database.migrate() == "0001"
        with database.transaction() as db:
            asked, answered = (db.get_one(Case, number) for number in (1, 2))
            assert asked.waiting_since == datetime(2026, 11, 24, 8, tzinfo=UTC)
            assert answered.waiting_since is None
            assert (asked.settled, asked.review_wanted, asked.status) == ([], False, "new")
            cases.classify(db, 1, urgency="leak", actor="t", at=datetime(2026, 11, 24, 10, tzinfo=UTC))
        with pytest.raises(DBAPIError), database.transaction() as db:
            db.execute(text("UPDATE cases SET status = 'odd' WHERE id = 1"))
        database.close()


FROM_0001 = [
    "INSERT INTO users (id, email, name, role, created_at) VALUES (1, 'eva@storby.example', 'Eva', 'agent', :at)",
    "INSERT INTO authors (id, channel, external_id, name, first_seen_at) VALUES (1, 'net', 'a', 'Anna', :at)",
    *(
        "INSERT INTO cases (id, channel, subject, status, opened_at, seen_at, last_activity_at, mention_count, "
        f"reply_count, spread, imported, version) VALUES ({n}, 'net', 's', 'new', :at, :at, :at, 1, 0, 0, false, 1)"
        for n in (1, 2)
    ),
    *(
        "INSERT INTO mentions (id, channel, external_id, case_id, author_id, ours, context, repost, text, "
        "published_at, collected_at, can_reply, can_reply_privately, reply_address, attachments, imported) VALUES "
        f"({n}, 'net', 'm{n}', {n}, 1, false, false, false, 't', :at, :at, true, false, '{{}}', '[]', false)"
        for n in (1, 2)
    ),
    "INSERT INTO replies (id, case_id, channel, to_mention_id, origin, body, private, status, then_case, created_at, "
    "attempts, sent_at, awaiting_moderation, lookups) VALUES (1, 2, 'net', 2, 'gensvar', 'b', false, 'sent', 'keep', "
    ":later, 1, :later, false, 0)",
    "INSERT INTO case_events (id, case_id, version, action, actor, to_status, changes, mention_id, at) "
    "VALUES (900, 1, 1, 'opened', 'intake', 'new', '{}', 1, :at)",
    "INSERT INTO notices (id, user_id, event_id, kind, at) VALUES (1, 1, 900, 'opened', :at)",
]


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    with database.transaction() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="made by a newer one"):
        database.migrate()
    assert database.version() == "9999"


@pytest.mark.parametrize("change", ["UPDATE case_events SET action = 'x'", "DELETE FROM case_events"])
def test_the_database_itself_refuses_to_change_an_event(database: Database, change: str) -> None:
    with database.transaction() as db:
        db.execute(
            text(
                "INSERT INTO cases (id, channel, subject, status, opened_at, seen_at, last_activity_at, mention_count, "
                "reply_count, spread, imported, version) VALUES (1, 'api', 's', 'new', '2026-01-01', '2026-01-01', "
                "'2026-01-01', 0, 0, 0, false, 1)"
            )
        )
        db.execute(
            text(
                "INSERT INTO case_events (id, case_id, version, action, actor, changes, at) "
                "VALUES (1, 1, 1, 'opened', 'system', '{}', '2026-01-01')"
            )
        )
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as db:
        db.execute(text(change))
