"""Gensvar as it runs: web and collecting side, kept alive, drained, and on PostgreSQL spread over several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from sqlalchemy import select

from database import Database
from house import build
from jobs import utcnow
from models import Heartbeat, Mention, Reply
from replies.outbox import submit
from sandbox.base import serving
from sandbox.twitter import X
from tests.conftest import config
from tests.factories import user

CLI = Path(__file__).parent.parent / "cli.py"
PATIENCE = 40.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def until(what: Callable[[], Any], why: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    pytest.fail(f"after {PATIENCE:.0f} s still not: {why}")


class Running:
    """A configuration whose commands can be started, and the network it listens to."""

    def __init__(self, network: X, base: str, database: Database, tmp_path: Path, **parts: Any) -> None:
        self.network, self.database, self.port = network, database, _free_port()
        source = {"name": "mentions", "account": "storby-x", "collect": "mentions", "every": "1s", "since": "all"}
        given: dict[str, Any] = {
            "accounts": [network.account("storby-x", base)],
            "sources": [source],
            "replies": {"hold": "0s"},
            "listen": f"127.0.0.1:{self.port}",
            "base_url": f"http://127.0.0.1:{self.port}",
        }
        self.config = config(tmp_path, database, **(given | parts))
        self.file = tmp_path / "config.yaml"
        self.file.write_text(yaml.safe_dump(self.config, allow_unicode=True))

    @contextmanager
    def started(self, command: str) -> Iterator[psutil.Popen]:
        process = psutil.Popen(
            [sys.executable, str(CLI), "--config", str(self.file), command], stdout=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            for each in [*process.children(recursive=True), process] if process.is_running() else []:
                each.kill()
            process.wait(10)

    def page(self, path: str = "/healthz") -> int:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, allow_redirects=False).status_code
        except requests.ConnectionError:
            return 0

    def collected(self) -> list[str]:
        with self.database.read() as db:
            return list(db.scalars(select(Mention.external_id).where(~Mention.ours)))

    def heartbeat(self) -> Heartbeat | None:
        with self.database.read() as db:
            return db.get(Heartbeat, "scheduler")

    def answer(self, external_id: str) -> None:
        with self.database.transaction() as db:
            mention = db.scalars(select(Mention).where(Mention.external_id == external_id)).one()
            assert mention.case_id is not None
            submit(db, build(self.config, self.database), mention.case_id, body="Svar", user=user(db), at=utcnow())

    def replies(self) -> list[str]:
        with self.database.read() as db:
            return list(db.scalars(select(Reply.status)))


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def network() -> Iterator[tuple[X, str]]:
    x = X()
    with serving(x.app) as base:
        yield x, base


def collecting_side(process: psutil.Process) -> psutil.Process | None:
    children = [child for child in process.children() if "scheduler" in child.cmdline()]
    return children[0] if children else None


def test_run_collects_answers_and_keeps_its_collecting_side_alive(
    network: tuple[X, str], database: Database, tmp_path: Path
) -> None:
    x, base = network
    running = Running(x, base, database, tmp_path)
    first = x.write("Anna", "@storby ett")
    with running.started("run") as process:
        until(lambda: first in running.collected(), "the first mention collected")
        assert running.page() == 200
        child = until(lambda: collecting_side(process), "a collecting side")
        child.send_signal(signal.SIGKILL)
        until(lambda: (beat := running.heartbeat()) and beat.restarts == 1, "the death noted")
        second = x.write("Bo", "@storby två")
        until(lambda: second in running.collected(), "collecting again after the kill")
        running.answer(second)
        until(lambda: running.replies() == ["sent"], "the answer sent")
        assert [post.text for post in x.posts() if post.ours] == ["Svar"]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
        assert time.monotonic() - began < 25


def test_nothing_is_left_when_the_parent_is_killed(network: tuple[X, str], database: Database, tmp_path: Path) -> None:
    running = Running(*network, database, tmp_path)
    with running.started("run") as process:
        child = until(lambda: collecting_side(process), "a collecting side")
        until(lambda: running.heartbeat(), "a heartbeat")
        process.kill()
        gone = until(
            lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the collecting side ended"
        )
        assert gone


def test_several_processes_share_the_work(network: tuple[X, str], postgresql: Any, tmp_path: Path) -> None:
    """Two clocks of which one is elected, two workers, a web: each mention once, each answer once."""
    x, base = network
    with postgresql.fresh() as url:
        database = Database(url)
        running = Running(x, base, database, tmp_path, jobs={"engine": "procrastinate"})
        asked = [x.write(f"Person {number}", f"@storby fråga {number}") for number in range(12)]
        with (
            running.started("scheduler") as clock,
            running.started("scheduler"),
            running.started("worker"),
            running.started("worker"),
            running.started("web"),
        ):
            until(lambda: len(running.collected()) == 12, "twelve mentions collected")
            until(lambda: running.page() == 200, "pages served")
            for external_id in asked:
                running.answer(external_id)
            until(lambda: running.replies() == ["sent"] * 12, "twelve answers sent")
            assert [post.text for post in x.posts() if post.ours] == ["Svar"] * 12
            clock.kill()
            later = x.write("Sen", "@storby sist")
            until(lambda: later in running.collected(), "the other clock taking over")
        assert sorted(running.collected()) == sorted([*asked, later])
        database.close()


def test_web_alone_does_no_background_work(network: tuple[X, str], database: Database, tmp_path: Path) -> None:
    x, base = network
    running = Running(x, base, database, tmp_path)
    x.write("Anna", "@storby ett")
    with running.started("web"):
        until(lambda: running.page() == 200, "pages served")
        time.sleep(2)
    assert running.collected() == []
    assert running.heartbeat() is None


def test_a_port_that_is_taken_is_one_clear_line(network: tuple[X, str], database: Database, tmp_path: Path) -> None:
    running = Running(*network, database, tmp_path)
    with running.started("web"):
        until(lambda: running.page() == 200, "pages served")
        command = [sys.executable, str(CLI), "--config", str(running.file), "run"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    lines = [line for line in second.stderr.splitlines() if line.startswith("gensvar: ")]
    assert second.returncode == 1
    assert len(lines) == 1 and "Cannot listen" in lines[0], second.stderr
