"""The migrations lead to what models.py says, on both databases, however many processes start at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from database import Database, migrations, newest_migration
from errors import DatabaseError
from models import Base
from tests.postgres import PostgreSQL

ROOT = Path(__file__).parent.parent


def test_the_migrations_lead_to_what_the_models_say(database: Database) -> None:
    assert database.version() == newest_migration()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    assert differences == [], "models.py and the migrations say different things"


def test_checks_are_in_the_database(database: Database) -> None:
    """Autogeneration does not look at CHECK constraints."""
    found = inspect(database.engine)
    for table in Base.metadata.sorted_tables:
        wanted = {str(each.name) for each in table.constraints if each.__visit_name__ == "check_constraint"}
        assert wanted <= {str(each["name"]) for each in found.get_check_constraints(table.name)}, table.name


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
