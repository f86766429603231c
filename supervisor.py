"""Long-running Gensvar: the web server, the collecting side as a child process that is started again when it dies."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import waitress
from waitress.server import BaseWSGIServer, MultiSocketServer

import web
from database import Database
from errors import GensvarError
from house import House, at_work
from models import Heartbeat
from web import live
from web.hub import STREAMS

log = logging.getLogger("gensvar.supervisor")

THREADS = 16  # that answer; each stream of news has one more
CONNECTIONS = 2000  # a browser keeps up to six open
FILES = 4096  # open at once, where the system allows it
DRAIN_SECONDS = 25
UNACKNOWLEDGED = 15_000  # milliseconds after which a browser that has vanished is given up (sleep, a lost network)
LONGEST_PAUSE = 30.0  # seconds before the collecting side is started again
SETTLED = 60.0  # seconds after which a start counts as good
CLI = Path(__file__).with_name("cli.py")
SOCKET_OPTIONS = [(socket.SOL_TCP, socket.TCP_NODELAY, 1)]
if sys.platform == "linux":
    SOCKET_OPTIONS.append((socket.SOL_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED))


def _allow_files() -> None:
    """Each connection is a file, and many systems allow 1024 unless asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@contextmanager
def signalled() -> Iterator[threading.Event]:
    """Set by SIGTERM and Ctrl-C while the block runs."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class WebServer:
    """Waitress in a thread. Listens when the constructor returns."""

    def __init__(self, house: House) -> None:
        listen = house.settings.listen
        _allow_files()
        try:
            self._app = web.create_app(house)
        except OSError as error:  # its secret key lies there
            raise GensvarError(
                f"data_dir, {house.settings.data_dir}, cannot be used: {error.strerror}. Nothing was started: "
                "let this user write to it, or choose another data_dir in the configuration."
            ) from error
        try:
            self._server: BaseWSGIServer | MultiSocketServer = waitress.create_server(
                self._app,
                host=listen.host,
                port=listen.port,
                threads=THREADS + STREAMS,
                connection_limit=CONNECTIONS,
                asyncore_use_poll=True,  # select() takes no more than 1024 files
                channel_request_lookahead=1,  # so that a stream learns that its browser has gone
                ident=None,
                clear_untrusted_proxy_headers=False,  # they tell /metrics that a proxy passed it on; nobody trusts them
            )
        except (OSError, ValueError) as error:  # ValueError: no such host
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            raise GensvarError(
                f"Cannot listen on {listen}: {reason}. Nothing was started: stop what listens there, "
                "or choose another address as listen in the configuration."
            ) from error
        self._server.adj.socket_options = SOCKET_OPTIONS  # there is no argument for it
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._server.run()
        except OSError:  # waitress waits on its sockets while ``stop`` closes them
            if not self._stopping:
                raise

    def stop(self) -> None:
        """Answers what has been asked, takes no more. Streams end at once; their browsers come back by themselves."""
        live.shut(self._app)
        self._server.task_dispatcher.shutdown(cancel_pending=False, timeout=DRAIN_SECONDS)
        self._stopping = True
        self._server.close()
        self._thread.join(1)


def started_server(house: House) -> WebServer:
    """What is loaded by now stays for good, so garbage is not looked for in it: that took a sixth of every answer."""
    server = WebServer(house)
    gc.collect()
    gc.freeze()
    return server


def serve(house: House) -> None:
    """The web alone, until SIGTERM."""
    with at_work(house.database), signalled() as stop:
        server = started_server(house)
        stop.wait()
        server.stop()


def run(
    house: House, config: Path, started: Callable[[], None], first: Callable[[threading.Event], object] | None = None
) -> None:
    """Web here, collecting in a child process, until SIGTERM. ``started`` is called when pages are served.

    ``first``: what is to be done before anything is collected, while pages are served already. It ends when the event
    it is given is set.
    """
    with at_work(house.database), signalled() as stop:
        server = started_server(house)
        started()
        if first is not None:
            first(stop)
        keeper = threading.Thread(target=_keep_collecting, args=(house.database, config, stop), name="supervisor")
        keeper.start()
        while not stop.wait(1):
            if not keeper.is_alive():
                raise GensvarError("The supervisor of the collecting side has died; the log has the details.")
        server.stop()
        keeper.join(DRAIN_SECONDS)


def _keep_collecting(database: Database, config: Path, stop: threading.Event) -> None:
    pause = 1.0
    while not stop.is_set():
        born = time.monotonic()
        child = start_collecting(config)
        while child.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            _end(child)
            return
        pause = 1.0 if time.monotonic() - born > SETTLED else min(pause * 2, LONGEST_PAUSE)
        log.error("the collecting side ended with %s; starting it again in %.0f s", child.returncode, pause)
        _note_death(database, child.returncode)
        stop.wait(pause)


def start_collecting(config: Path) -> subprocess.Popen[bytes]:
    """``gensvar scheduler`` as a child that ends when we do, even if we are killed: its standard input closes."""
    command = [sys.executable, str(CLI), "--config", str(config), "scheduler"]
    environment = os.environ | {"GENSVAR_SUPERVISED": "1"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)


def stop_when_orphaned(stop: threading.Event) -> None:
    """In the child: end when the supervisor is gone."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):  # not through sys.stdin: its lock would be held when we end
            pass
        stop.set()

    threading.Thread(target=watch, name="orphaned", daemon=True).start()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        log.warning("the collecting side did not end in time and is killed; it loses nothing")
        child.kill()
        child.wait()


def _note_death(database: Database, code: int | None) -> None:
    """For the screens: the collecting side died, and how."""
    how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit status {code}"
    try:
        with database.transaction() as db:
            at = datetime.now(UTC)
            part = db.get(Heartbeat, "scheduler") or Heartbeat(part="scheduler", at=at, restarts=0)
            part.restarts += 1
            part.detail = f"{at.isoformat(timespec='seconds')} {how}"
            db.add(part)
    except Exception:  # telling about it must not keep it from being started again
        log.exception("the death of the collecting side could not be noted")
