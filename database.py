"""The database: opening it, transactions, bringing it to this version. SQLite and PostgreSQL alike."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Executable, Pool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from errors import DatabaseError

log = logging.getLogger("gensvar.database")
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 30_000
T = TypeVar("T")
LONGEST_ID = 500  # characters; PostgreSQL cannot index much longer ones
PROCESS = f"gensvar {uuid.uuid4().hex}"  # how PostgreSQL knows the connections of this process


class Database:
    """One database, many transactions. ``transaction`` writes, ``read`` never blocks a writer."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        if self.sqlite and self.url.database in (None, "", ":memory:"):
            raise DatabaseError("A database in memory would be gone at the end: name a file, sqlite:///var/gensvar.db.")
        if self.sqlite and self.url.database:
            folder = Path(self.url.database).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DatabaseError(
                    f"Cannot make the folder {folder} of the database: {error.strerror}. "
                    "Check database_url in the configuration."
                ) from error
        named = {} if self.sqlite else {"application_name": PROCESS}
        self.engine: Engine = create_engine(
            self.url, pool_pre_ping=not self.sqlite, pool_size=10, max_overflow=90, connect_args=named
        )
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._here = threading.local()
        self.reading = sessionmaker(self.engine.execution_options(reading=True), expire_on_commit=False)
        self.writing = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commits when the block ends, rolls back when it raises. On SQLite it holds the write lock from the start."""
        with self._turn(), self.writing() as session, session.begin():
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite takes one writer at a time and lets the others guess when; here they queue up, in all processes."""
        if not self.sqlite:
            yield
            return
        if getattr(self._here, "writing", False):
            raise RuntimeError("a transaction within a transaction would wait for itself")
        with self._lock_file("writer").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._here.writing = True
            try:
                yield
            finally:
                self._here.writing = False

    def _lock_file(self, name: str) -> Path:
        folder = Path(f"{self.url.database}.locks")
        folder.mkdir(exist_ok=True)
        return folder / name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; nothing is written. What was read may be used after it."""
        with self.reading() as session:
            yield session  # closing it ends the transaction; a rollback() would first forget what was read

    @contextmanager
    def holding(self, name: str, *, shared: bool = False) -> Iterator[bool]:
        """Hold the lock ``name`` while the block runs, if nobody else holds it; yields whether it is held.

        The operating system (SQLite) or the server (PostgreSQL) frees it when the process dies, however it dies, so
        nothing is ever left locked. ``shared`` holders do not exclude one another.
        """
        if self.sqlite:
            with self._lock_file(name).open("a") as file:
                try:
                    fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield False
                else:
                    yield True
        else:
            kind = "_shared" if shared else ""
            with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                held = connection.execute(text(f"SELECT pg_try_advisory_lock{kind}(hashtext(:name))"), {"name": name})
                mine = bool(held.scalar())
                try:
                    yield mine
                finally:
                    if mine:
                        with suppress(OperationalError):  # the server went away, and the lock with it
                            connection.execute(
                                text(f"SELECT pg_advisory_unlock{kind}(hashtext(:name))"), {"name": name}
                            )

    def others_connected(self) -> bool:
        """Whether another process of Gensvar is connected. PostgreSQL only: its locks end when it is started anew."""
        if self.sqlite:
            return False
        theirs = text(
            "SELECT 1 FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'gensvar %' AND application_name <> :me"
        )
        with self.engine.connect() as connection:
            return connection.execute(theirs, {"me": PROCESS}).first() is not None

    def check(self) -> None:
        """Raises ``DatabaseError`` when it cannot be reached."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise DatabaseError(self._cannot("reach", error)) from error

    def version(self) -> str | None:
        """The migration the database stands at, None when it is empty. Costs one query, no Alembic."""
        try:
            with self.engine.execution_options(reading=True).connect() as connection:
                if not inspect(connection).has_table("alembic_version"):
                    return None
                return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except SQLAlchemyError as error:
            raise DatabaseError(self._cannot("reach", error)) from error

    def migrate(self, to: str | None = None) -> str | None:
        """Bring it to this version; returns the version it stood at before, or None if it was empty or up to date.

        ``to`` names an earlier one, for what was made there (a backup).
        Two processes that start together take turns: the second finds nothing left to do.
        """
        before = self.version()
        if before == (to or newest_migration()):
            return None
        if before is not None and before not in migrations():
            raise DatabaseError(
                f"The database is at version {before}, which this Gensvar does not know: it was made by a newer one. "
                "Nothing was changed. Start the newer version, or restore a backup made with this one."
            )
        from alembic import command  # only when there is something to do: it costs start-up time and memory
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        try:
            with self.engine.execution_options(migrating=True).connect() as connection, connection.begin():
                if not self.sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(72057594037927)"))
                config.attributes["connection"] = connection
                command.upgrade(config, to or "head")
                if self.sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise DatabaseError("After the migration some rows would point nowhere. Nothing was changed.")
            self.engine.dispose()  # a connection that has migrated does not check foreign keys
        except SQLAlchemyError as error:
            raise DatabaseError(self._cannot("migrate", error)) from error
        return before

    def close(self) -> None:
        self.engine.dispose()

    def _cannot(self, what: str, error: Exception) -> str:
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0]
        return (
            f"Cannot {what} the database {self.url.render_as_string(hide_password=True)}: {reason}. "
            "Nothing was changed. Check database_url in the configuration, "
            "and that the server runs or the folder is writable."
        )


def migrations() -> list[str]:
    """The revisions this version knows, oldest first: the files are named NNNN_what.py and NNNN is the revision."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def newest_migration() -> str:
    return migrations()[-1]


def lock(db: Session, name: str) -> None:
    """Hold ``name`` until the transaction ends; another holder waits. On SQLite the write lock already does that."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


class Remembered(Generic[T]):
    """What was read last from each database, read anew only when ``state``, one small query, gives another row.

    The row must differ after every change, also where a transaction was rolled back and its ids are given out again:
    let it hold the instants of the changes, not only counts and ids. A cache and nothing more.
    """

    def __init__(self, read: Callable[[Session], T]) -> None:
        self._read = read
        self._kept: WeakKeyDictionary[Pool, tuple[object, T]] = WeakKeyDictionary()

    def get(self, db: Session, state: Executable) -> T:
        bind = db.get_bind()
        reading = bind.get_execution_options().get("reading")
        if reading and self in db.info:  # it sees one state throughout
            known: T = db.info[self]
            return known
        pool = bind.engine.pool  # one for reading and writing, where the engines are two
        now = tuple(db.execute(state).one())
        kept = self._kept.get(pool)
        if kept is None or kept[0] != now:
            kept = self._kept[pool] = (now, self._read(db))
        if reading:
            db.info[self] = kept[1]
        return kept[1]


def storable(text: str) -> str:
    """The same without the characters no database keeps: NUL and halves of surrogate pairs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def identifier(text: str) -> str:
    """A network's id, storable; an absurdly long one as its digest."""
    text = storable(text)
    return text if len(text) <= LONGEST_ID else "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event says BEGIN, not the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a committed answer survives power loss
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("migrating"):  # a table that is made anew is dropped first, with everything pointing at it
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    reading = options.get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
