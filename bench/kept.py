"""Databases that a measurement builds, which may stay for the next one; and what was worked meanwhile."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from database import Database
from tests.postgres import PostgreSQL

NAME = "reports"  # of the database in PostgreSQL


@contextmanager
def opened(name: str, keep: Path | None) -> Iterator[tuple[Database, Path]]:
    """A migrated database, "sqlite" or "postgresql", and its folder; in ``keep`` it stays and is used again."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)  # PostgreSQL runs as somebody else
        folder = (keep or Path(scratch)) / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        if name == "sqlite":
            database = Database(f"sqlite:///{folder}/gensvar.db")
            database.migrate()
            yield database, folder
            database.close()
            return
        server = _Kept(folder)
        server.begin()
        try:
            database = Database(server.url(NAME))
            database.migrate()
            yield database, folder
            database.close()
        finally:
            server.stop()


class _Kept(PostgreSQL):
    """A server whose folder may stay, and whose work is counted."""

    def begin(self) -> None:
        if not self.data.exists():
            self.start()
            with self._administer() as connection:
                connection.execute(f"CREATE DATABASE {NAME}")
        elif not (self.data / "postmaster.pid").exists():
            options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c synchronous_commit=off"
            self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", "fast", "stop")


class Meter:
    """Seconds of work and of the clock between two moments, and MB held at most beyond what was held."""

    def __init__(self, database: Database) -> None:
        self._server = None if database.sqlite else Path(str(database.url.query["host"])) / "data" / "postmaster.pid"
        self.work = self.clock = self.memory = 0.0

    def __enter__(self) -> Meter:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._held, self._worked, self._began = _status("VmRSS"), self._work(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.clock, self.work = time.perf_counter() - self._began, self._work() - self._worked
        self.memory = max(_status("VmHWM") - self._held, 0) / 1024

    def _work(self) -> float:
        """Ours, and that of the server with all its processes, also those that have ended."""
        ours = time.process_time()
        if self._server is None:
            return ours
        head = self._server.read_text().split("\n", 1)[0]
        ticks = 0
        for pid in [head, *Path(f"/proc/{head}/task/{head}/children").read_text().split()]:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(each) for each in fields[11 : 15 if pid == head else 13])
        return ours + ticks / os.sysconf("SC_CLK_TCK")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)
