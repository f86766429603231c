"""The clock: APScheduler says when, ``jobs`` says where. One clock at a time, however many machines there are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import OperationalError

import imports
import jobs
import pulls
from house import House, begin_anew
from models import Heartbeat
from triage import index

log = logging.getLogger("gensvar.scheduler")

LOOK_FOR_DUE = 1.0  # seconds between looks for sources that are due, and at the outbox, the webhooks and the mail
REACT = 0.5  # consequences follow within a second
TICK = 15.0
CATCH_UP = 3600.0  # texts that were changed past the session come back into the index of search
BEAT = 5.0
TAKE_OVER = 5.0  # how often a spare clock asks whether the first has died


def run(house: House, stop: threading.Event) -> None:
    """Be the clock until ``stop`` is set. Where another one is running, wait until it dies."""
    while not stop.is_set():
        with house.database.holding("clock") as elected:
            if elected:
                _run(house, stop)
                return
        log.info("another clock is running; waiting to take over")
        stop.wait(TAKE_OVER)


def _run(house: House, stop: threading.Event) -> None:
    work = jobs.engine(house)
    options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    clock = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(8)}, job_defaults=options)
    beat(house)
    begin_anew(house)
    for job, seconds in (
        (lambda: beat(house), BEAT),
        (lambda: pull_due(house, work), LOOK_FOR_DUE),
        (lambda: import_due(house, work), LOOK_FOR_DUE),
        (work.send, LOOK_FOR_DUE),
        (work.call, LOOK_FOR_DUE),
        (work.mail, LOOK_FOR_DUE),
        (work.react, REACT),
        (work.tick, TICK),
        (lambda: catch_up(house), CATCH_UP),
    ):
        clock.add_job(_logged(job), "interval", seconds=seconds, next_run_time=jobs.utcnow())
    clock.start()
    stop.wait()
    clock.pause()
    work.stop()
    clock.shutdown(wait=False)


def pull_due(house: House, work: jobs.Jobs) -> None:
    with house.database.read() as db:
        waiting = pulls.due(db, jobs.utcnow())
    for source_id in waiting:
        work.pull(source_id)


def catch_up(house: House) -> None:
    index.catch_up(house.database)


def import_due(house: House, work: jobs.Jobs) -> None:
    with house.database.read() as db:
        waiting = imports.due(db, jobs.utcnow())
    for import_id in waiting:
        work.import_page(import_id)


def beat(house: House) -> None:
    """Say that the clock is alive; the screens and ``/readyz`` look at it."""
    with house.database.transaction() as db:
        part = db.get(Heartbeat, "scheduler") or Heartbeat(part="scheduler", restarts=0)
        part.at = jobs.utcnow()
        db.add(part)


def _logged(job: Callable[[], None]) -> Callable[[], None]:
    """A job that fails is logged and tried again at its next time: the clock itself goes on."""

    def run() -> None:
        try:
            job()
        except OperationalError as error:  # the database is away: every job will say so, until it is back
            log.error("a job of the clock failed: %s", " ".join(str(error.orig).split()))
        except Exception:
            log.exception("a job of the clock failed")

    return run
