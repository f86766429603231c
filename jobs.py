"""What the clock has done, and where: in this process's threads, or by Procrastinate workers on PostgreSQL.

A job may run twice or be cut off at any point: sources and replies guard themselves (locks, cursor, outbox).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import inspect

import imports
import mail
import pulls
import webhooks
from database import lock
from house import House
from replies import outbox, shared
from replies.outbox import Outbox
from triage import reactions, samples, upkeep

if TYPE_CHECKING:
    from procrastinate import App

log = logging.getLogger("gensvar.jobs")

PULLS_AT_ONCE = 32  # a source that hangs until its time-out must not delay the others
IMPORTS_AT_ONCE = 2  # history waits for its turn, and never keeps a source from its own
DRAIN = timedelta(seconds=20)


def utcnow() -> datetime:
    return datetime.now(UTC)


class Jobs(Protocol):
    """Hand work over; returns at once, or when it is done, as suits the engine."""

    def pull(self, source_id: int) -> None: ...
    def import_page(self, import_id: int) -> None: ...
    def send(self) -> None: ...
    def call(self) -> None: ...
    def mail(self) -> None: ...
    def react(self) -> None: ...
    def tick(self) -> None: ...
    def stop(self) -> None: ...


class Embedded:
    """Here and now: pulls in a pool of threads, the rest in the thread that calls."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._open = ExitStack()
        self._outbox = self._open.enter_context(Outbox(house, utcnow))
        self._pulls = ThreadPoolExecutor(PULLS_AT_ONCE, thread_name_prefix="pull")
        self._imports = ThreadPoolExecutor(IMPORTS_AT_ONCE, thread_name_prefix="import")
        self._running: dict[str, Future[object]] = {}
        self._lock = threading.Lock()

    def pull(self, source_id: int) -> None:
        self._begin(self._pulls, f"source {source_id}", pulls.pull, source_id)

    def import_page(self, import_id: int) -> None:
        self._begin(self._imports, f"import {import_id}", imports.turn, import_id)

    def _begin(self, pool: ThreadPoolExecutor, name: str, work: Callable[..., object], number: int) -> None:
        """Unless it is under way already."""
        with self._lock:
            if name in self._running:
                return
            future: Future[object] = pool.submit(work, self.house, number, now=utcnow)
            self._running[name] = future
        future.add_done_callback(lambda done: self._done(name, done))  # perhaps at once, and it wants the lock

    def _done(self, name: str, done: Future[object]) -> None:
        with self._lock:
            self._running.pop(name, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("%s: how it went could not be recorded", name, exc_info=error)

    def send(self) -> None:
        shared.work_off(self.house, utcnow())
        self._outbox.run()

    def call(self) -> None:
        webhooks.deliver(self.house, utcnow, self._outbox.stopping)

    def mail(self) -> None:
        mail.deliver(self.house, utcnow, self._outbox.stopping)

    def react(self) -> None:
        reactions.react(self.house.database, utcnow())
        samples.catch_up(self.house.database)

    def tick(self) -> None:
        upkeep.tick(self.house.database, utcnow())

    def stop(self) -> None:
        """Begin nothing new; what is under way has ``DRAIN`` to end, and loses nothing if it does not."""
        self._outbox.stopping.set()
        for pool in (self._pulls, self._imports):
            pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = list(self._running.values())
        wait(running, timeout=DRAIN.total_seconds())
        self._open.close()


class Queued:
    """Through Procrastinate's tables, to be taken by ``gensvar worker`` on any machine. One of each waits at most."""

    def __init__(self, house: House) -> None:
        self._open = ExitStack()
        self._house, self._database = house, house.database
        self._app = self._open.enter_context(queue(house).open())

    def pull(self, source_id: int) -> None:
        self._defer("pull", f"source-{source_id}", source_id=source_id)

    def import_page(self, import_id: int) -> None:
        self._defer("import_page", f"import-{import_id}", import_id=import_id)

    def send(self) -> None:
        if shared.anything(self._house) or outbox.anything(self._database, utcnow()):
            self._defer("send", "send")

    def call(self) -> None:
        if webhooks.anything(self._database, utcnow()):
            self._defer("call", "call")

    def mail(self) -> None:
        if mail.anything(self._database, utcnow()):
            self._defer("mail", "mail")

    def react(self) -> None:
        if reactions.anything(self._database):
            self._defer("react", "react")

    def tick(self) -> None:
        self._defer("tick", "tick")

    def stop(self) -> None:
        self._open.close()

    def _defer(self, task: str, only_one: str, **arguments: int) -> None:
        from procrastinate.exceptions import AlreadyEnqueued

        try:
            self._app.configure_task(task, queueing_lock=only_one).defer(**arguments)
        except AlreadyEnqueued:
            log.debug("%s is waiting already", only_one)


def queue(house: House) -> App:
    """Procrastinate on the house's PostgreSQL, with the tasks it can run."""
    import procrastinate

    address = house.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=address))

    @app.task(name="pull")
    def pull(source_id: int) -> None:
        pulls.pull(house, source_id, now=utcnow)

    @app.task(name="import_page")
    def import_page(import_id: int) -> None:
        imports.turn(house, import_id, now=utcnow)

    @app.task(name="send")
    def send() -> None:
        shared.work_off(house, utcnow())
        with Outbox(house, utcnow) as outbox:
            outbox.run()

    @app.task(name="call")
    def call() -> None:
        webhooks.deliver(house, utcnow)

    @app.task(name="mail")
    def send_mail() -> None:
        mail.deliver(house, utcnow)

    @app.task(name="react")
    def react() -> None:
        reactions.react(house.database, utcnow())
        samples.catch_up(house.database)

    @app.task(name="tick")
    def tick() -> None:
        upkeep.tick(house.database, utcnow())

    return app


def prepare_queue(house: House) -> None:
    """Make Procrastinate's tables if the house uses them and they are not there yet."""
    if house.settings.jobs.engine != "procrastinate":
        return
    with house.database.transaction() as db:
        lock(db, "procrastinate-schema")
        there = inspect(db.connection()).has_table("procrastinate_jobs")
        if not there:
            with queue(house).open() as app:
                app.schema_manager.apply_schema()


def work(house: House) -> None:
    """Take jobs from the queue until SIGTERM or Ctrl-C."""
    queue(house).run_worker(
        concurrency=PULLS_AT_ONCE // 4, wait=True, install_signal_handlers=True, delete_jobs="always"
    )


def engine(house: House) -> Jobs:
    """The engine the configuration names."""
    return Queued(house) if house.settings.jobs.engine == "procrastinate" else Embedded(house)
