"""Feeds, parsed by workers that may be killed: whatever a feed costs, it costs it there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errors import CollectError, Reason

if TYPE_CHECKING:  # the parser's libraries are loaded in the workers only
    from collectors.feed_parser import Feed

WALL_SECONDS = 20.0  # for one feed, also when the machine is busy; the worker limits its own processor time
START_SECONDS = 30.0
WORKERS = 2  # at once; one hostile feed does not hold up the others
_ANSWER_LIMIT = 64 * 1024 * 1024

_REASONS = {"too_large": Reason.too_large}


class _Worker:
    """One process. ``ask`` gives None when it had already gone home before the question came."""

    def __init__(self) -> None:
        inherited = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT")  # and no secrets
        self.process = subprocess.Popen(
            [sys.executable, "-m", "collectors.feed_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parent.parent,
            env={name: os.environ[name] for name in inherited if name in os.environ} | {"PYTHONUTF8": "1"},
        )
        if self._timed(START_SECONDS, self._line) != b"ready\n":
            self.close()
            raise CollectError(Reason.unavailable, "the feed parser does not start")

    def _line(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.readline(_ANSWER_LIMIT)

    def _timed(self, seconds: float, action: Any) -> bytes:
        """What it says, or nothing when it dies or is killed because its time is over."""
        self.expired = False

        def expire() -> None:
            self.expired = True
            self.process.kill()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            said: bytes = action()
            return said
        except OSError:
            return b""
        finally:
            timer.cancel()

    def ask(self, body: bytes, content_type: str, url: str) -> dict[str, Any] | None:
        head = json.dumps({"length": len(body), "content_type": content_type, "url": url}).encode()

        def converse() -> bytes:
            assert self.process.stdin
            self.process.stdin.write(head + b"\n" + body)
            self.process.stdin.flush()
            return self._line()

        said = self._timed(WALL_SECONDS, converse)
        if said.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(said)
            return answer
        self.process.kill()
        code = self.process.wait()
        self.close()
        if self.expired or code == -signal.SIGXCPU:
            raise CollectError(Reason.too_large, "the feed takes too long to read")
        if code == 0 and not said:
            return None
        raise CollectError(Reason.bad_payload, "the feed cannot be read: its parser gave up")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    continue  # what was still to be written has nobody to read it


_idle: list[_Worker] = []
_places = threading.BoundedSemaphore(WORKERS)


def parse(body: bytes, content_type: str, url: str) -> Feed:
    """The feed in ``body``, which came from ``url``.

    Raises ``CollectError``: bad_payload with words that say what it is instead, or too_large.
    """
    answer = ask(body, content_type, url)
    if "refused" in answer:
        hint = f". The page names a feed: {answer['hint']}" if answer.get("hint") else ""
        raise CollectError(_REASONS.get(answer["refused"], Reason.bad_payload), f"{answer['message']}{hint}")
    feed: Feed = answer["feed"]
    return feed


def ask(body: bytes, content_type: str, url: str) -> dict[str, Any]:
    """The worker's own answer: ``feed``, or ``refused`` (a code), ``message`` and ``hint``; and ``peak_kib``."""
    with _places:
        while True:
            worker = _idle.pop() if _idle else _Worker()
            if not worker.alive:
                worker.close()
                continue
            answer = worker.ask(body, content_type, url)
            if answer is not None:
                _idle.append(worker)
                return answer
