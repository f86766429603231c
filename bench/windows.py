"""What open windows cost: 200 of them on ``gensvar run`` with a fresh database, idle and while mentions arrive.

The windows are connections of another process that do what the browsers' script does: a stream each, and a question
for the rows they show when a hint names them; then the same windows asking every two seconds, for comparison.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import multiprocessing
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import yaml

from bench.idle import CLI, page_comes
from house import House, open_house
from models import LoginSession, Role
from web.login import new_user

USERS = 50
ASK = 2.0  # seconds between two questions of a window without a stream, as in live.js
PACE = 1.0  # seconds between two questions for rows, as in news.js
Times = list[tuple[str, float, int]]  # "hint" or "row", when (monotonic), the case


@dataclass
class Phase:
    """What a stretch of time cost and how long things took in it."""

    name: str
    cpu: float  # percent of one core, the web's process
    others: float  # the same, of the collecting side
    requests: float  # a second
    hints: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)

    def told(self) -> str:
        cost = f"web {self.cpu:5.1f} %, collecting {self.others:4.1f} %, {self.requests:6.1f} requests/s"
        parts = [f"{self.name:58} {cost}"]
        for label, found in (("hint", self.hints), ("row shown", self.rows)):
            if found:
                p95 = sorted(found)[int(len(found) * 0.95)]
                middle = statistics.median(found)
                parts.append(f"{label} after {middle:.2f} s, 95 % {p95:.2f} s, at most {max(found):.2f} s")
        return "\n    ".join(parts)


# -- the windows, in a process of their own ---------------------------------------------------------------------------


class Windows:
    """``number`` windows of ``cookies``' users; what they hear and fetch is noted with its instant."""

    def __init__(self, address: str, cookies: list[str], number: int, last: int, shown: set[int]) -> None:
        self._address, self._cookies, self._number = address, cookies, number
        self._last = [last] * number
        self._state = [""] * number
        self._shown = shown  # cases whose rows every window shows
        self._changed: list[set[int]] = [set() for _ in range(number)]
        self._busy = [False] * number
        self.requests = 0
        self.times: Times = []
        self._pool = ThreadPoolExecutor(16)
        self._here = threading.local()

    def stream(self, stop: Any) -> None:
        heard = selectors.DefaultSelector()
        host, _, port = self._address.partition(":")
        for window in range(self._number):
            query = urlencode({"window": f"window{window:06}", "list": 1, "after": self._last[window]})
            connection = socket.create_connection((host, int(port)))
            head = f"GET /live/stream?{query} HTTP/1.1\r\nHost: x\r\nCookie: {self._cookie(window)}\r\n\r\n"
            connection.sendall(head.encode())
            heard.register(connection, selectors.EVENT_READ, [window, b""])
            self.requests += 1
        while not stop.is_set():
            for key, _ in heard.select(timeout=0.1):
                assert isinstance(key.fileobj, socket.socket)
                part = key.fileobj.recv(65536)
                assert part, "the server has ended a stream"
                *lines, key.data[1] = (key.data[1] + part).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        self._heed(key.data[0], json.loads(line[6:]))

    def ask(self, stop: Any) -> None:
        def one(window: int) -> None:
            query = urlencode({"window": f"window{window:06}", "list": 1, "after": self._last[window], "state": self._state[window]})  # fmt: skip  # noqa: E501
            if (answer := self._get(window, f"/live?{query}")) is not None:
                self._state[window] = answer["state"]
                self._heed(window, answer)

        began = time.monotonic()
        due = [began + ASK * window / self._number for window in range(self._number)]
        while not stop.is_set():
            now = time.monotonic()
            for window in [each for each in range(self._number) if due[each] <= now]:
                due[window] += ASK
                self._pool.submit(one, window)
            time.sleep(0.005)

    def _cookie(self, window: int) -> str:
        return self._cookies[window % len(self._cookies)]

    def _heed(self, window: int, hint: dict[str, Any]) -> None:
        now = time.monotonic()
        self._last[window] = max(self._last[window], hint["last"])
        for case in hint.get("cases", ()):
            self.times.append(("hint", now, case))
            if case in self._shown:
                self._changed[window].add(case)
        if self._changed[window] and not self._busy[window]:
            self._busy[window] = True
            self._pool.submit(self._fetch, window)

    def _fetch(self, window: int) -> None:
        while changed := self._changed[window]:
            began, self._changed[window] = time.monotonic(), set()
            self._get(window, f"/live/rows?{urlencode([('case', case) for case in changed])}")
            self.times += [("row", time.monotonic(), case) for case in changed]
            time.sleep(max(0, PACE - (time.monotonic() - began)) if self._changed[window] else 0)
        self._busy[window] = False

    def _get(self, window: int, path: str) -> Any:
        connection = getattr(self._here, "connection", None)
        if connection is None:
            connection = self._here.connection = http.client.HTTPConnection(self._address, timeout=30)
        connection.request("GET", path, headers={"Cookie": self._cookie(window), "HX-Request": "true"})
        answer = connection.getresponse()
        body = answer.read()
        self.requests += 1
        assert answer.status in (200, 204), (answer.status, body[:300])
        return json.loads(body) if answer.status == 200 else None


def be_windows(pipe: Any, stop: Any, how: str, *given: Any) -> None:
    """The other process: sends what it has counted and noted whenever it is asked for it."""
    windows = Windows(*given)
    threading.Thread(target=getattr(windows, how), args=(stop,), daemon=True).start()
    while pipe.recv():
        pipe.send((windows.requests, windows.times))
        windows.requests, windows.times = 0, []


# -- the server and what is measured ----------------------------------------------------------------------------------


@contextmanager
def running(config: Path, address: str) -> Iterator[psutil.Process]:
    command = [sys.executable, str(CLI), "--config", str(config), "run"]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not page_comes(f"http://{address}/login"):
            assert started.poll() is None, "gensvar run did not start"
            time.sleep(0.05)
        yield psutil.Process(started.pid)
    finally:
        began = time.monotonic()
        started.terminate()
        started.wait(60)
        print(f"stopped in {time.monotonic() - began:.1f} s")


def people(house: House) -> tuple[str, list[str]]:
    """Makes the users, logged in; the address of the first, and everybody's cookies."""
    at, tokens = datetime.now(UTC), [f"token{each}" for each in range(USERS)]
    made = [new_user(f"{token}@storby.example", token, Role.agent, None, at) for token in tokens]
    with house.database.transaction() as db:
        db.add_all(made)
        db.flush()
        for user, token in zip(made, tokens, strict=True):
            digest = hashlib.sha256(token.encode()).hexdigest()
            db.add(LoginSession(token_digest=digest, user_id=user.id, created_at=at, last_seen_at=at))
    return made[0].email, [f"session={token}" for token in tokens]


def hand_in(address: str, token: str, number: int, under: str | None = None) -> tuple[float, int]:
    """A mention by the API; when it was sent, and its case."""
    mention = {
        "external_id": f"m{number}",
        "author": {"name": f"Medborgare {number}"},
        "text": f"Plogen har inte varit på väg nummer {number}. När kommer den?",
        **({"in_reply_to": under} if under else {}),
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}/api/v1/mentions", json.dumps(mention).encode(), headers)
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=30) as answer:
        return began, int(json.load(answer)["case"])


def measure(name: str, server: psutil.Process, pipe: Any, seconds: float, posts: Any = None) -> Phase:
    """``posts``: hands in one mention, called every second."""
    family = server.children(recursive=True)

    def used() -> tuple[float, float]:
        return sum(server.cpu_times()[:2]), sum(sum(each.cpu_times()[:2]) for each in family)

    pipe.send(True)
    pipe.recv()
    before, began, sent = used(), time.monotonic(), []
    while (now := time.monotonic()) < began + seconds:
        if posts:
            sent.append(posts())
        time.sleep(max(0, now + 1 - time.monotonic()))
    took, after = time.monotonic() - began, used()
    time.sleep(2.5)  # what is on its way arrives
    pipe.send(True)
    requests, times = pipe.recv()
    web, collecting = (100 * (b - a) / took for a, b in zip(before, after, strict=True))
    phase = Phase(name, web, collecting, requests / took)
    for what, at, case in times:
        asked = [when for when, of in sent if of == case and when <= at]
        if asked:
            (phase.hints if what == "hint" else phase.rows).append(at - asked[-1])
    return phase


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        config = Path(folder) / "config.yaml"
        parts = {"organisation": {"name": "Storby kommun"}, "listen": address, "base_url": f"http://{address}", "data_dir": f"{folder}/var", "database_url": f"sqlite:///{folder}/var/gensvar.db"}  # fmt: skip  # noqa: E501
        config.write_text(yaml.safe_dump(parts, allow_unicode=True))
        house = open_house(config)
        house.database.migrate()
        email, cookies = people(house)
        house.close()
        made = subprocess.run([sys.executable, str(CLI), "--config", str(config), "token", "create", email, "--name", "bench"], capture_output=True, text=True, check=True)  # fmt: skip  # noqa: E501
        token = made.stdout.strip()
        with running(config, address) as server:
            for number in range(60):
                _, case = hand_in(address, token, number)
            time.sleep(5)
            print(f"{given.windows} windows of {USERS} people, {given.seconds:.0f} s each; percent of one core")
            print(f"memory before: {memory(server):.0f} MB (the web's process)")
            numbers = iter(range(100, 10**6))
            for how, label in (("stream", "streams"), ("ask", "asking every 2 s")):
                ours, theirs = multiprocessing.Pipe()
                stop = multiprocessing.Event()
                windows = (address, cookies, given.windows, newest(config), {case})
                child = multiprocessing.Process(target=be_windows, args=(theirs, stop, how, *windows), daemon=True)
                child.start()
                time.sleep(15)  # until all have their streams
                for phase, post in (
                    ("idle", None),
                    ("a new case a second", lambda: hand_in(address, token, next(numbers))),
                    ("a message a second in a case all show", lambda: hand_in(address, token, next(numbers), "m59")),
                ):
                    print(measure(f"{label}, {phase}", server, ours, given.seconds, post).told(), flush=True)
                print(f"memory with {given.windows} windows: {memory(server):.0f} MB, {server.num_threads()} threads")
                if how == "ask":
                    break
                stop.set()
                ours.send(False)
                child.join(10)
            child.kill()
    return 0


def newest(config: Path) -> int:
    from web.inbox import newest_event

    house = open_house(config)
    with house.database.read() as db:
        found = newest_event(db)
    house.close()
    return found


def memory(server: psutil.Process) -> float:
    return float(server.memory_full_info().pss / 1024**2)


if __name__ == "__main__":
    sys.exit(main())
