"""What every look-alike network has in common: posts, faults, and a server on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


class Fault(StrEnum):
    """What can be made to go wrong. Each network shows it in its own words."""

    rate_limited = "rate_limited"  # 429 or its like, telling when it ends
    rate_limited_silent = "rate_limited_silent"  # the same without a reset header
    unauthorized = "unauthorized"
    out_of_credit = "out_of_credit"
    html_error = "html_error"  # a 5xx with a page for people
    accept_then_hang = "accept_then_hang"  # what was written is stored, the answer never comes
    accept_then_cut = "accept_then_cut"  # the same, the connection is closed
    malformed_item = "malformed_item"  # one item of a list makes no sense
    repeated_item = "repeated_item"  # an item stands on two pages
    reversed_pages = "reversed_pages"  # lists come in the opposite order


@dataclass
class Faults:
    """Which faults are on, and for how many more requests (None: until switched off)."""

    hang_seconds: float = 60.0
    _left: dict[Fault, int | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, fault: Fault, times: int | None = None) -> None:
        with self._lock:
            self._left[fault] = times

    def off(self, fault: Fault | None = None) -> None:
        with self._lock:
            if fault is None:
                self._left.clear()
            else:
                self._left.pop(fault, None)

    def active(self) -> set[Fault]:
        with self._lock:
            return set(self._left)

    def take(self, fault: Fault) -> bool:
        """Is it on? Counts this request as one of its times."""
        with self._lock:
            if fault not in self._left:
                return False
            left = self._left[fault]
            if left is not None:
                if left <= 1:
                    del self._left[fault]
                else:
                    self._left[fault] = left - 1
            return True

    def after_accepting(self) -> None:
        """Call when a write has been stored: hangs or cuts the line if that fault is on."""
        if self.take(Fault.accept_then_hang):
            time.sleep(self.hang_seconds)
        if self.take(Fault.accept_then_cut):
            request.environ["werkzeug.socket"].shutdown(2)


@dataclass(frozen=True)
class Post:
    """One thing said on a network, as "the outside" page shows it."""

    external_id: str
    author: str
    text: str
    at: datetime
    in_reply_to: str | None
    ours: bool
    private: bool = False
    title: str | None = None
    deleted: bool = False


class Network(Protocol):
    """A look-alike: a web application that speaks the network's API, and a door for people."""

    name: str  # the channel's
    label: str
    app: Flask
    faults: Faults

    def write(self, author: str, text: str, *, in_reply_to: str | None = None, at: datetime | None = None) -> str:
        """As a member of the public: post, or answer a post. Returns its external id."""
        ...

    def posts(self) -> list[Post]:
        """Everything said there, oldest first."""
        ...


class Clock:
    """The sandbox's time; it can be set, so that a whole day can be told at once."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self.now = now or (lambda: datetime.now(UTC))


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing: a look-alike that talks on the terminal hides what Gensvar says there."""


@contextmanager
def serving(app: Flask, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve on loopback in threads while the block runs; yields the base URL without a slash at the end."""
    server: BaseWSGIServer = make_server(host, port, app, threaded=True, request_handler=_QuietHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]  # of ThreadedWSGIServer; a hanging request must not hold us
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


HTML_ERROR = Response("<html><body><h1>502 Bad Gateway</h1></body></html>", status=502, content_type="text/html")
