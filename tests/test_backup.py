"""Backup and restore: everything comes back, on either database; what is damaged or in use is refused."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text

import backup
from database import Database, newest_migration
from errors import DatabaseError, InvalidInput
from house import RUNNING, House
from models import Account, Author, Base, Case, CaseEvent, Mention, Payload, Source, User
from tests.conftest import MakeHouse
from tests.postgres import PostgreSQL

AT = datetime(2026, 11, 24, 8, 30, 15, 123456, tzinfo=UTC)


def fill(house: House) -> None:
    """A little of everything that is hard to carry over: references both ways, JSON, nothing, instants, bytes."""
    with house.database.transaction() as db:
        user = User(email="anna@storby.example", name="Anna Ö", role="agent", created_at=AT)
        account = Account(name="x", channel="api")
        db.add_all([user, account])
        db.flush()
        db.add(Source(name="s", channel="api", account_id=account.id, definition={"name": "s", "å": [1, None]},
                      created_at=AT, cursor=None, facts={}))  # fmt: skip
        author = Author(channel="api", external_id="1", name="Kari", first_seen_at=AT)
        db.add(author)
        db.flush()
        first = Case(channel="api", subject="Snön!", status="closed", closed_at=AT, opened_at=AT, seen_at=AT,
                     last_activity_at=AT, author_id=author.id)  # fmt: skip
        second = Case(channel="api", subject="Två", status="new", opened_at=AT, seen_at=AT, last_activity_at=AT)
        db.add_all([first, second])
        db.flush()
        first.merged_into_id, second.follows_id = second.id, first.id
        mention = Mention(channel="api", external_id="m", case_id=first.id, text="Blåbær 🫐", published_at=AT,
                          collected_at=AT, reply_address={"a": {"b": 1.5}}, attachments=[{"type": "link"}])  # fmt: skip
        db.add(mention)
        db.flush()
        db.add(Payload(mention_id=mention.id, raw=b"\x00\xff"))
        db.add(
            CaseEvent(case_id=first.id, version=1, action="opened", actor="system", changes={"x": [None, "é"]}, at=AT)
        )
    house.settings.data_dir.mkdir(parents=True, exist_ok=True)
    (house.settings.data_dir / "secret.key").write_bytes(b"the key")
    (house.settings.data_dir / "uploads" / "a").mkdir(parents=True)
    (house.settings.data_dir / "uploads" / "a" / "b.png").write_bytes(b"picture")


def content(database: Database) -> dict[str, list[Any]]:
    with database.read() as db:
        tables = Base.metadata.sorted_tables
        return {
            table.name: [tuple(row) for row in db.execute(select(table).order_by(*table.primary_key))]
            for table in tables
        }


@pytest.fixture
def filled(make_house: MakeHouse) -> House:
    house = make_house()
    fill(house)
    return house


def test_everything_comes_back(filled: House, tmp_path: Path) -> None:
    before = content(filled.database)
    made = backup.make(filled, tmp_path / "b.gensvar", AT)
    assert made.rows["cases"] == 2
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    with filled.database.transaction() as db:
        db.execute(text("DELETE FROM payloads"))
        db.execute(text("UPDATE mentions SET text = 'gone'"))
    (filled.settings.data_dir / "secret.key").write_bytes(b"another")
    shutil.rmtree(filled.settings.data_dir / "uploads")

    aside = backup.restore(filled, made.path, AT)

    assert content(filled.database) == before
    assert (filled.settings.data_dir / "secret.key").read_bytes() == b"the key"
    assert (filled.settings.data_dir / "uploads" / "a" / "b.png").read_bytes() == b"picture"
    assert "before-restore-20261124-083015" in aside
    assert (filled.settings.data_dir / "before-restore-20261124-083015" / "secret.key").read_bytes() == b"another"
    with filled.database.transaction() as db:
        new = Case(channel="api", subject="Ny", status="new", opened_at=AT, seen_at=AT, last_activity_at=AT)
        db.add(new)
        db.flush()
        assert new.id == 3, "numbers must go on after the restored ones"
    with pytest.raises(Exception, match="append-only"), filled.database.transaction() as db:
        db.execute(text("DELETE FROM case_events"))


def test_the_old_data_are_moved_aside_not_lost(filled: House, tmp_path: Path) -> None:
    made = backup.make(filled, tmp_path / "b.gensvar", AT)
    with filled.database.transaction() as db:
        db.execute(text("UPDATE mentions SET text = 'written after the backup'"))
    backup.restore(filled, made.path, AT)
    if filled.database.sqlite:
        old = Database(f"sqlite:///{filled.settings.data_dir}/before-restore-20261124-083015/gensvar.db")
        with old.read() as db:
            kept = db.scalar(text("SELECT text FROM mentions"))
        old.close()
    else:
        with filled.database.read() as db:
            kept = db.scalar(text("SELECT text FROM before_restore_20261124_083015.mentions"))
    assert kept == "written after the backup"


@pytest.mark.slow
def test_a_backup_moves_from_one_kind_of_database_to_the_other(
    filled: House, make_house: MakeHouse, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    made = backup.make(filled, tmp_path / "b.gensvar", AT)
    with postgresql.fresh() as url:
        other = Database(url if filled.database.sqlite else f"sqlite:///{tmp_path}/other.db")
        other.migrate()
        moved = House(filled.settings, other, filled.http)
        backup.restore(moved, made.path, AT)
        assert content(other) == content(filled.database)
        other.close()


def test_it_is_refused_while_gensvar_runs(filled: House, tmp_path: Path) -> None:
    made = backup.make(filled, tmp_path / "b.gensvar", AT)
    running = Database(filled.database.url.render_as_string(hide_password=False))
    with running.holding(RUNNING, shared=True), pytest.raises(DatabaseError, match="Gensvar is running"):
        backup.restore(filled, made.path, AT)
    running.close()
    assert not list(filled.settings.data_dir.glob("before-restore-*"))
    backup.restore(filled, made.path, AT)


def test_it_is_refused_while_somebody_is_connected(filled: House, tmp_path: Path) -> None:
    """Whose lock ended when the server was started anew."""
    made = backup.make(filled, tmp_path / "b.gensvar", AT)
    if filled.database.sqlite:
        assert not filled.database.others_connected()
        return
    url = filled.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, application_name="gensvar elsewhere"), pytest.raises(DatabaseError, match="is running"):
        backup.restore(filled, made.path, AT)


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty", "missing", "manifest", "rows"])
def test_a_damaged_file_is_refused_and_nothing_changes(filled: House, tmp_path: Path, damage: str) -> None:
    made = backup.make(filled, tmp_path / "b.gensvar", AT)
    before, data = content(filled.database), made.path.read_bytes()
    match damage:
        case "cut":
            made.path.write_bytes(data[: len(data) // 2])
        case "flipped":
            at = 10  # when the first part was written, which a ZIP asks nobody about
            made.path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        case "text":
            made.path.write_text("hello")
        case "empty":
            made.path.write_bytes(b"")
        case "missing":
            made.path.unlink()
        case "manifest" | "rows":
            with zipfile.ZipFile(made.path) as old:
                parts = {name: old.read(name) for name in old.namelist()}
            manifest = json.loads(parts.pop("manifest.json"))
            manifest["rows"]["cases"] += 1
            if damage == "rows":
                parts["manifest.json"] = json.dumps(manifest).encode()
            with made.path.open("w+b") as file:
                with zipfile.ZipFile(file, "w") as new:
                    for name, content_ in parts.items():
                        new.writestr(name, content_)
                    new.comment = bytes(backup.SEAL)
                backup.seal(file)
    with pytest.raises(DatabaseError, match="damaged or not a backup|no file"):
        backup.restore(filled, made.path, AT)
    assert content(filled.database) == before
    assert not list(filled.settings.data_dir.glob("before-restore-*"))
    assert not list(tmp_path.glob(".gensvar-*")), "something was left lying about"


def test_a_backup_never_overwrites_what_is_none(filled: House, tmp_path: Path) -> None:
    precious = tmp_path / "config.yaml"
    precious.write_text("precious")
    with pytest.raises(InvalidInput, match="not a backup"):
        backup.make(filled, precious, AT)
    assert precious.read_text() == "precious"
    backup.make(filled, tmp_path / "b.gensvar", AT)
    assert backup.make(filled, tmp_path / "b.gensvar", AT).rows["mentions"] == 1


def test_where_it_cannot_be_written_it_says_so(filled: House, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no folder"):
        backup.make(filled, tmp_path / "nowhere" / "b.gensvar", AT)
    with pytest.raises(DatabaseError, match="The backup was not made"):
        backup.make(filled, Path("/proc/b.gensvar"), AT)


def test_work_goes_on_during_a_backup(filled: House, tmp_path: Path) -> None:
    with filled.database.transaction() as db:
        db.add(User(email="bo@storby.example", name="Bo", role="agent", created_at=AT))
        db.flush()
        made = backup.make(filled, tmp_path / "b.gensvar", AT)
    assert made.rows["users"] == 1, "what is not committed is not in the backup"
    with filled.database.read() as db:
        assert db.scalar(select(func.count()).select_from(User)) == 2


def test_before_a_migration_there_is_a_backup_if_there_is_anything(
    filled: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backup.before_migration(filled, AT) is None, "nothing to migrate, nothing to back up"
    monkeypatch.setattr(backup, "migrations", lambda: [newest_migration(), "9999"])
    made = backup.before_migration(filled, AT)
    assert made is not None
    assert made.parent == filled.settings.data_dir / "backups"
    with backup.opened(made) as (found, _):
        assert found.rows["cases"] == 2
