"""Backup and restore: one file with the database, the secret key and the uploads.

The file is a ZIP with a manifest; the database in it is always an SQLite file, whichever kind it came from, so that a
backup can be looked into with any tool and restored into either kind. Nothing counts as a backup before it has been
read back and counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    MetaData,
    NullPool,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from database import Database, migrations
from errors import DatabaseError, InvalidInput
from house import RUNNING, House
from models import Reply, ReplyStatus

NOBODY = "restored"  # a worker's name that nobody ever bears

FORMAT = 1
MANIFEST, DATABASE, KEY, UPLOADS = "manifest.json", "database.sqlite", "secret.key", "uploads"
ROWS_AT_ONCE = 1000
SEAL = 64  # bytes: the hexadecimal SHA-256 of all that stands before them in the file
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Backup:
    """What a backup file holds. ``version`` is the migration its database stands at."""

    path: Path
    made_at: datetime
    version: str
    rows: dict[str, int]

    def __str__(self) -> str:
        size = self.path.stat().st_size / 1024**2
        counts = ", ".join(f"{self.rows.get(table, 0)} {table}" for table in ("cases", "mentions", "replies", "users"))
        return f"{self.path}: {counts}; {size:.1f} MB, made {self.made_at:%Y-%m-%d %H:%M} UTC"


def make(house: House, path: Path, at: datetime) -> Backup:
    """Write a backup (mode 0600) and read it back. Other parts of Gensvar may go on working meanwhile.

    Raises ``InvalidInput`` where something else lies at ``path`` or there is no such folder, ``DatabaseError`` where it
    cannot be written.
    """
    if path.exists() and not _is_backup(path):
        raise InvalidInput(f"{path} exists and is not a backup; it was left alone. Choose another name.")
    if not path.parent.is_dir():
        raise InvalidInput(f"There is no folder {path.parent}. Make it, or choose another.")
    version = house.database.version()
    if version is None:
        raise DatabaseError("There is nothing to back up: the database is empty.")
    with _readable_failures("The backup was not made"), _workshop(path.parent) as folder:
        _dump(house.database, folder / DATABASE, version)
        files = {DATABASE: folder / DATABASE} | _own_files(house.settings.data_dir)
        rows = _count(folder / DATABASE)
        new = folder / "new"
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as target:
            _pack(target, files, {"format": FORMAT, "made_at": at.isoformat(), "version": version, "rows": rows})
        with opened(new):
            os.replace(new, path)
    return Backup(path, at, version, rows)


def before_migration(house: House, at: datetime) -> Path | None:
    """A backup into ``data_dir/backups`` if the database holds something and is about to change; else None."""
    version = house.database.version()
    if version is None or version not in migrations()[:-1]:
        return None
    folder = house.settings.data_dir / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    return make(house, folder / f"before-{migrations()[-1]}-{at:%Y%m%d-%H%M%S}.gensvar", at).path


def restore(house: House, path: Path, at: datetime) -> str:
    """Put back what the backup holds; returns where the data that was there lies now.

    Raises ``DatabaseError`` and changes nothing while Gensvar runs or when the file is damaged.
    """
    if not house.database.sqlite:  # an SQLite file may be broken beyond opening: it is replaced
        house.database.check()
    with house.database.holding(RUNNING) as alone:
        if not alone or house.database.others_connected():
            raise DatabaseError("Gensvar is running. Stop it, then restore. Nothing was changed.")
        beside = Path(str(house.database.url.database)).parent if house.database.sqlite else house.settings.data_dir
        beside.mkdir(
            parents=True, exist_ok=True
        )  # on the same disk, so that putting it in place cannot run out of room
        with _readable_failures("The backup was not restored"), opened(path, beside) as (found, folder):
            if found.version not in migrations():
                raise DatabaseError(
                    f"{path} was made by a newer Gensvar (database version {found.version}). Nothing was changed. "
                    "Install that version, then restore."
                )
            aside = house.settings.data_dir / f"before-restore-{at:%Y%m%d-%H%M%S}"
            aside.mkdir(parents=True)
            where = str(aside)
            if house.database.sqlite:
                house.database.close()
                _replace_sqlite(Path(str(house.database.url.database)), folder / DATABASE, aside)
            else:
                where += f" and the schema {_replace_postgresql(house.database, folder / DATABASE, found, at)}"
            for name in (KEY, UPLOADS):
                _replace(house.settings.data_dir / name, folder / name, aside)
            house.database.migrate()
            _doubt_what_was_waiting(house, at)
            return where


def _doubt_what_was_waiting(house: House, at: datetime) -> None:
    """An answer that waited when the backup was made may have gone out since: it is looked up, not sent."""
    waiting = Reply.status.in_((ReplyStatus.held, ReplyStatus.queued))
    left = {"status": ReplyStatus.calling, "worker": NOBODY, "called_at": at}  # as by a worker that died in the call
    with house.database.transaction() as db:
        db.execute(update(Reply).where(waiting).values(**left))


@contextmanager
def opened(path: Path, beside: Path | None = None) -> Iterator[tuple[Backup, Path]]:
    """Unpack a backup into a folder of its own (in ``beside``, else next to it) and check all of it.

    Raises ``DatabaseError`` where it is damaged.
    """
    if not path.is_file():
        raise DatabaseError(f"There is no file {path}.")
    with _workshop(beside or path.parent) as folder:
        try:
            if not _sealed(path):
                raise ValueError("it is not what was written")
            with zipfile.ZipFile(path) as archive:
                manifest = json.loads(archive.read(MANIFEST))
                for name in manifest["files"]:
                    _unpack(archive, name, folder)
            rows = manifest["rows"]
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format {manifest['format']} is unknown")
            _check(folder / DATABASE, rows)
            found = Backup(path, datetime.fromisoformat(manifest["made_at"]), str(manifest["version"]), rows)
        except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, sqlite3.Error) as error:
            raise DatabaseError(f"{path} is damaged or not a backup ({error}). Nothing was changed.") from error
        yield found, folder


# -- the file -------------------------------------------------------------------------------------------------------


def _pack(target: BinaryIO, files: dict[str, Path], manifest: dict[str, Any]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files.items():
            with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as packed:
                shutil.copyfileobj(source, packed, CHUNK)
        archive.writestr(MANIFEST, json.dumps({**manifest, "files": list(files)}, indent=1))
        archive.comment = bytes(SEAL)
    seal(target)
    os.fsync(target.fileno())


def seal(target: BinaryIO) -> None:
    """Write over the comment that ends the ZIP what all before it adds up to."""
    size = target.seek(-SEAL, os.SEEK_END)
    adds_up = _adds_up(target, size)
    target.seek(size)
    target.write(adds_up)
    target.flush()


def _sealed(path: Path) -> bool:
    """Whether it is to the last bit what was written; a ZIP by itself leaves much of its headers unguarded."""
    with path.open("rb") as file:
        size = max(path.stat().st_size - SEAL, 0)
        return _adds_up(file, size) == file.read()


def _adds_up(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while size and (chunk := file.read(min(CHUNK, size))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest().encode()


def _unpack(archive: zipfile.ZipFile, name: str, folder: Path) -> None:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} would lie outside")
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as packed, open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        shutil.copyfileobj(packed, out, CHUNK)


def _own_files(data_dir: Path) -> dict[str, Path]:
    found = [data_dir / KEY, *sorted((data_dir / UPLOADS).rglob("*"))]
    return {path.relative_to(data_dir).as_posix(): path for path in found if path.is_file()}


def _is_backup(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A private folder on the same disk, gone when done."""
    made = Path(tempfile.mkdtemp(prefix=".gensvar-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _readable_failures(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise DatabaseError(f"{what}: {reason}") from error


# -- SQLite ---------------------------------------------------------------------------------------------------------


def _dump(database: Database, path: Path, version: str) -> None:
    """The database as one SQLite file at the same migration, as of one moment."""
    if database.sqlite:
        with closing(sqlite3.connect(str(database.url.database))) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
    else:
        _empty(path, version)
        with _plain(database).connect() as source, _plain(path).begin() as target:
            source.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            _copy(source, target)


def _empty(path: Path, version: str) -> None:
    fresh = Database(f"sqlite:///{path}")
    fresh.migrate(version)
    fresh.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    shutil.rmtree(f"{path}.locks", ignore_errors=True)


def _check(path: Path, rows: dict[str, int]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        if (verdict := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise ValueError(f"its database is broken: {verdict}")
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise ValueError("its database refers to rows that are not there")
    if _count(path) != rows:
        raise ValueError("its database does not hold as many rows as were written")


def _count(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        names = sorted(name for (name,) in tables)
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608


def _replace(here: Path, by: Path, aside: Path) -> None:
    if here.exists():
        shutil.move(here, aside / here.name)
    if by.exists():
        shutil.move(by, here)


def _replace_sqlite(here: Path, by: Path, aside: Path) -> None:
    here.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("-wal", "-shm"):  # they belong to the old file, and would be read into the new one
        beside = here.with_name(here.name + suffix)
        if beside.exists():
            shutil.move(beside, aside / beside.name)
    _replace(here, by, aside)


# -- PostgreSQL -----------------------------------------------------------------------------------------------------


def _replace_postgresql(database: Database, dump: Path, found: Backup, at: datetime) -> str:
    """The old schema is renamed, a new one filled; when that fails the old one comes back. Returns the old's name."""
    old = f"before_restore_{at:%Y%m%d_%H%M%S}"
    with database.engine.begin() as connection:
        connection.execute(text(f"ALTER SCHEMA public RENAME TO {old}"))
        connection.execute(text("CREATE SCHEMA public"))
    try:
        database.migrate(found.version)
        with _plain(dump).connect() as source, _plain(database).begin() as target:
            target.execute(text("SET LOCAL TIME ZONE 'UTC'"))
            _copy(source, target)
            _number_on(target)
    except BaseException:
        with database.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text(f"ALTER SCHEMA {old} RENAME TO public"))
        raise
    return old


def _plain(where: Database | Path) -> Engine:
    """An engine that hands JSON through as it is written."""
    url = f"sqlite:///{where}" if isinstance(where, Path) else where.url
    engine = create_engine(url, poolclass=NullPool, json_serializer=lambda value: value, json_deserializer=_as_text)
    if not isinstance(where, Path):
        event.listen(engine, "connect", _speak_utc)
    return engine


def _as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _speak_utc(connection: Any, _record: object) -> None:
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _tables(connection: Connection) -> dict[str, Table]:
    metadata = MetaData()

    @event.listens_for(metadata, "column_reflect")
    def _null_stays_null(_inspector: object, _table: object, column: Any) -> None:
        if isinstance(column["type"], JSON):
            column["type"] = JSON(none_as_null=True)

    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables if table.name != "alembic_version"}


def _copy(source: Connection, target: Connection) -> None:
    """All rows of every table both have, parents first; what refers to its own table is filled in afterwards."""
    theirs, ours = _tables(source), _tables(target)
    for name, table in ours.items():
        if name not in theirs:
            continue
        own = [column.name for column in table.columns for key in column.foreign_keys if key.column.table is table]
        keys = list(table.primary_key.columns)
        rows = source.execution_options(yield_per=ROWS_AT_ONCE).execute(
            select(theirs[name]).order_by(*theirs[name].primary_key)
        )
        for part in rows.mappings().partitions(ROWS_AT_ONCE):
            target.execute(table.insert(), [{**row, **dict.fromkeys(own)} for row in part])
        for column in own:
            given = select(theirs[name]).where(theirs[name].c[column].is_not(None))
            for row in source.execute(given).mappings().all():
                same = [key == row[key.name] for key in keys]
                target.execute(table.update().where(*same).values({column: row[column]}))


def _number_on(target: Connection) -> None:
    """New rows get numbers after the restored ones."""
    for name, table in _tables(target).items():
        for column in table.primary_key.columns:
            sequence = target.scalar(select(func.pg_get_serial_sequence(name, column.name)))
            if sequence is not None and (last := target.scalar(select(func.max(column)))) is not None:
                target.execute(select(func.setval(sequence, last)))
