"""What is new in the house, looked for once per process and told to every window that is open.

One thread looks at the database, at most twice a second and only while a window is open. What it finds it puts into
the mailboxes of the windows; a stream waits on its mailbox and holds no connection, no transaction and no lock. A hint
says only that something is new; the window asks for what it shows.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from database import Database
from errors import GensvarError
from models import Case, CaseEvent, Heartbeat, Notice, User
from web import login, presence
from web.access import hidden_teams
from web.inbox import collecting, newest_event
from web.presence import Somebody
from web.queries import CaseFilter, cases_among

log = logging.getLogger("gensvar.web")

PACE = 0.5  # seconds between two looks, at least
LOGINS = timedelta(seconds=5)  # how often it is asked whether the logins behind the streams still hold
STREAMS = 250  # a process; a window too many asks every two seconds
POLLED = 10.0  # seconds a window that asks is open after it asked
MOST = 200  # events told one by one; after a longer sleep the whole list is asked for
COMMITTED = timedelta(seconds=5)  # PostgreSQL: by then a number that is missing among the events stays missing

Hint = dict[str, Any]
There = dict[int, tuple[Somebody, ...]]


@dataclass(eq=False)
class Window:
    """A window that is open. ``wanted``: the list it shows; ``last``: the newest event it knows, None: it knows none.

    ``gone``: whether its connection is known to be cut. ``asked_at``: when it asked last by ``time.monotonic``, if it
    has no stream but asks from time to time; None: it waits on its mailbox.
    """

    name: str
    user: User
    login: int
    case: int | None = None
    wanted: CaseFilter | None = None
    last: int | None = None
    gone: Callable[[], bool] = lambda: False
    asked_at: float | None = None
    ahead: set[int] = field(default_factory=set)  # events after ``last`` that it knows too
    told: Hint = field(default_factory=dict)  # what it knows of that which has no event
    there: There | None = None  # None: it knows nothing of who is where
    mailbox: SimpleQueue[Hint | None] = field(default_factory=SimpleQueue)

    @property
    def streams(self) -> bool:
        return self.asked_at is None

    def next(self, seconds: float) -> Hint | None:
        """The next hint, an empty one when there is none within this time, None at the end of the stream."""
        try:
            return self.mailbox.get(timeout=seconds)
        except Empty:
            return {}


@dataclass(frozen=True)
class State:
    """What one look at the database gives."""

    newest: int
    collecting: str
    restarts: int
    unseen: Mapping[int, list[int]]  # user -> notices not seen yet: how many, and the newest
    there: There

    @classmethod
    def read(cls, db: Session, users: Collection[int], at: datetime) -> State:
        heartbeat = db.get(Heartbeat, "scheduler")
        unseen = select(Notice.user_id, func.count(), func.max(Notice.id)).where(
            Notice.user_id.in_(users), Notice.seen_at.is_(None)
        )
        return cls(
            newest=newest_event(db),
            collecting=collecting(heartbeat, at),
            restarts=heartbeat.restarts if heartbeat else 0,
            unseen={user_id: [count, newest] for user_id, count, newest in db.execute(unseen.group_by(Notice.user_id))},
            there=presence.everywhere(db, at),
        )


class Hub:
    """The windows of one process. Its thread lives while there are any."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._lock = threading.Lock()
        self._windows: dict[str, Window] = {}
        self._kept: dict[str, tuple[int, int, datetime]] = {}  # as the table has it: window -> user, case, when
        self._asked_at: datetime | None = None  # about the logins and what they may see
        self._hidden: dict[int, frozenset[int]] = {}  # user -> teams whose cases they do not see
        self._thread: threading.Thread | None = None
        self._closed = False

    def open(self, window: Window) -> bool:
        """False: there is no room for another stream. A window of the same name is replaced."""
        with self._lock:
            before = self._windows.get(window.name)
            streams = sum(each.streams for each in self._windows.values() if each is not before)
            if self._closed or (window.streams and streams >= STREAMS):
                return False
            if before is not None:
                before.mailbox.put(None)
            self._windows[window.name] = window
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
                self._thread.start()
        return True

    def close(self, window: Window) -> None:
        with self._lock:
            if self._windows.get(window.name) is window:
                del self._windows[window.name]
        window.mailbox.put(None)

    def shut(self) -> None:
        """Ends all streams; no more are taken."""
        with self._lock:
            self._closed = True
        self._end(self._open())

    def _open(self) -> list[Window]:
        with self._lock:
            return list(self._windows.values())

    def _end(self, windows: Iterable[Window]) -> None:
        for window in windows:
            self.close(window)

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self.look()
            except SQLAlchemyError as error:  # the windows find out themselves, by asking
                log.error("what is new cannot be looked for: %s", " ".join(str(error).split())[:300])
                self._end(self._open())
            except Exception:
                log.exception("what is new cannot be looked for")
                self._end(self._open())
            with self._lock:
                if not self._windows and not self._kept:
                    self._thread = None
                    return
            took = time.monotonic() - began
            time.sleep(max(PACE - took, took))

    def look(self) -> None:
        """One look: who is there is written down and read, and whoever does not know the newest is told."""
        at = self._clock()
        self._dismiss(at)
        windows = self._open()
        self._keep_presence(windows, at)
        with self._database.read() as db:
            state = State.read(db, {each.user.id for each in windows}, at)
            for user in {each.user.id: each.user for each in windows if each.user.id not in self._hidden}.values():
                self._hidden[user.id] = hidden_teams(db, user)
            for window, hint in Telling(db, state, self._hidden, at).to(each for each in windows if each.streams):
                window.mailbox.put(hint)

    def _dismiss(self, at: datetime) -> None:
        """Windows whose connection is cut, who have not asked for long, or whose login has ended."""
        windows = self._open()
        silent = time.monotonic() - POLLED
        over = [each for each in windows if each.gone() or (each.asked_at is not None and each.asked_at < silent)]
        if self._asked_at is None or at - self._asked_at >= LOGINS:
            self._asked_at, self._hidden = at, {}
            with self._database.read() as db:
                valid = login.valid(db, {each.login for each in windows}, at)
            over += [each for each in windows if each.login not in valid]
        self._end(over)

    def _keep_presence(self, windows: list[Window], at: datetime) -> None:
        """Written when it changes and refreshed now and then, in one transaction for all windows."""
        shown = {each.name: (each.user.id, each.case) for each in windows if each.case is not None}
        left = {name: kept[2] for name, kept in self._kept.items() if name not in shown}
        changed = any(self._kept.get(name, ())[:2] != here for name, here in shown.items())
        stale = any(at - kept[2] >= presence.REFRESH for kept in self._kept.values())
        if not (left or changed or stale):
            return
        with self._database.transaction() as db:
            presence.leave(db, left)
            presence.keep(db, shown, at)
        self._kept = {name: (*here, at) for name, here in shown.items()}


class Telling:
    """What is new to each of some windows. What they have in common is asked once.

    ``hidden``: user -> the teams whose cases they do not see, see ``web.access``.
    """

    def __init__(self, db: Session, state: State, hidden: Mapping[int, frozenset[int]], at: datetime) -> None:
        self._db, self._state, self._hidden, self._at = db, state, hidden, at
        self._postgresql = db.get_bind().dialect.name == "postgresql"
        self._events: dict[int, list[tuple[int, int, datetime]]] = {}
        self._teams: dict[int, int | None] = {}
        self._there: dict[frozenset[int], There] = {}
        self._among: dict[tuple[Any, ...], list[int]] = {}

    def to(self, windows: Iterable[Window]) -> Iterator[tuple[Window, Hint]]:
        """The windows that are to be told something, each with its hint, which they know from then on."""
        for window in windows:
            hint = self._news(window) | self._people(window)
            rest = {
                "collecting": self._state.collecting,
                "restarts": self._state.restarts,
                "unseen": self._state.unseen.get(window.user.id, [0, 0]),
            }
            if rest != window.told:
                hint, window.told = hint | rest | {"at": int(self._at.timestamp() * 1000)}, rest
            if hint:
                yield window, {"last": window.last, **hint}

    def _news(self, window: Window) -> Hint:
        """``cases`` whose events the window does not know; ``in``: those of them its list holds now."""
        if window.last is None:
            window.last = self._state.newest
            return {"cases": [], "in": []}
        if window.last >= self._state.newest:
            return {}
        since = self._since(window.last)
        new = {case for number, case, _ in since if number not in window.ahead}
        many = len(since) > MOST
        if many or not self._postgresql:  # SQLite's events become visible in the order of their numbers
            window.last = self._state.newest
        else:
            window.last = settled(window.last, since, self._at)
        window.ahead = {number for number, _, _ in since if number > window.last}
        if many:
            return {"cases": [], "in": [], "many": True}
        cases = sorted(self._visible(window, new))
        return {"cases": cases, "in": self._listed(window, cases)} if cases else {}

    def _since(self, last: int) -> list[tuple[int, int, datetime]]:
        if last not in self._events:
            query = select(CaseEvent.id, CaseEvent.case_id, CaseEvent.at).where(CaseEvent.id > last)
            found = self._db.execute(query.order_by(CaseEvent.id).limit(MOST + 1))
            self._events[last] = [(number, case, at) for number, case, at in found]
        return self._events[last]

    def _visible(self, window: Window, cases: Collection[int]) -> Collection[int]:
        hidden = self._hidden.get(window.user.id)
        if not hidden:
            return cases
        unknown = set(cases) - self._teams.keys()
        if unknown:
            found = self._db.execute(select(Case.id, Case.team_id).where(Case.id.in_(unknown)))
            self._teams.update(dict.fromkeys(unknown) | {case: team for case, team in found})
        return [case for case in cases if self._teams[case] not in hidden]

    def _listed(self, window: Window, cases: list[int]) -> list[int]:
        if window.wanted is None:
            return []
        key = (repr(window.wanted), *cases)
        if key not in self._among:
            try:
                self._among[key] = sorted(cases_among(self._db, cases, window.wanted))
            except GensvarError:  # the list itself has said what is wrong with what it was asked for
                self._among[key] = []
        return self._among[key]

    def _people(self, window: Window) -> Hint:
        """``there``: case -> who is there now, as [user, name, writing], where that changed; ``whole``: everywhere."""
        hidden = self._hidden.get(window.user.id, frozenset())
        if hidden not in self._there:
            self._there[hidden] = {case: self._state.there[case] for case in self._visible(window, self._state.there)}
        now, before = self._there[hidden], window.there
        if now == before:
            return {}
        window.there = now
        changed = [case for case in now.keys() | (before or {}).keys() if now.get(case) != (before or {}).get(case)]
        there = {case: [[each.user_id, each.name, each.writing] for each in now.get(case, ())] for case in changed}
        return {"there": there, "whole": True} if before is None else {"there": there}


def settled(last: int, since: Iterable[tuple[int, int, datetime]], at: datetime) -> int:
    """The event after ``last`` up to which none can come any more; ``since``: number, case and instant of each.

    On PostgreSQL a number that is missing was taken back, or belongs to a transaction that is not committed yet.
    """
    for number, _, happened in since:
        if number != last + 1 and at - happened < COMMITTED:
            break
        last = number
    return last


def written(hint: Hint) -> str:
    """A hint as an event of a stream; its id is what the browser sends when it comes back."""
    return f"id: {hint['last']}\ndata: {json.dumps(hint, separators=(',', ':'), ensure_ascii=False)}\n\n"
