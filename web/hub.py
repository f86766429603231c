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
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from database import Database
from errors import GensvarError
from models import CaseEvent, Heartbeat, Notice, User
from web import login, presence
from web.access import hidden_teams, look_as
from web.inbox import collecting, newest_event
from web.operators import NOBODY, is_personal
from web.presence import Somebody
from web.queries import CaseFilter, cases_among
from web.views import counts_of

log = logging.getLogger("gensvar.web")

PACE = 0.5  # seconds between two looks, at least
LOGINS = timedelta(seconds=5)  # how often it is asked whether the logins behind the streams still hold
STREAMS = 250  # a process; a window too many asks every two seconds
POLLED = 10.0  # seconds a window that asks is open after it asked
MOST = 200  # events told one by one; after a longer sleep the whole list is asked for
COUNT = 1.0  # seconds between two counts of the views, at least; ten times what the last one took, if that is more
RECOUNT = 30.0  # what the time alone changes: lateness, what was put off
AT_ONCE = 40  # views counted by one question
COMMITTED = timedelta(seconds=5)  # PostgreSQL: by then a number that is missing among the events stays missing

Hint = dict[str, Any]
There = dict[int, tuple[Somebody, ...]]


class Asked(NamedTuple):
    """What a window wants to know of cases; ``key`` is equal where the same cases are meant, whoever asks."""

    key: tuple[str, int]
    wanted: CaseFilter

    @classmethod
    def of(cls, wanted: CaseFilter) -> Asked:
        user, at = wanted.asker.user, wanted.asker.at
        personal = wanted.q is not None or any(is_personal(each) for each in wanted.asked)
        ahead = wanted.due_before - at if wanted.due_before and at else None
        plain = replace(wanted, due_before=None, asker=NOBODY)
        return cls((repr((plain, ahead)), user.id if user and personal else 0), wanted)

    def as_of(self, at: datetime) -> CaseFilter:
        """What was late when the window was opened is not all that is late now."""
        asker = self.wanted.asker
        due = self.wanted.due_before
        if due is not None and asker.at is not None:
            due += at - asker.at
        return replace(self.wanted, due_before=due, asker=replace(asker, at=at))


@dataclass(eq=False)
class Window:
    """A window that is open. ``wanted``: the list it shows, ``counted``: those its navigation counts, by address.

    ``last``: the newest event it knows, None: it knows none. ``gone``: whether its connection is known to be cut.
    ``asked_at``: when it asked last by ``time.monotonic``, if it has no stream but asks from time to time; None: it
    waits on its mailbox.
    """

    name: str
    user: User
    login: int
    case: int | None = None
    wanted: Asked | None = None
    counted: Mapping[str, Asked] = field(default_factory=dict)
    last: int | None = None
    gone: Callable[[], bool] = lambda: False
    asked_at: float | None = None
    ahead: set[int] = field(default_factory=set)  # events after ``last`` that it knows too
    told: Hint = field(default_factory=dict)  # what it knows of that which has no event
    there: There | None = None  # None: it knows nothing of who is where
    counts: dict[str, str | None] = field(default_factory=dict)
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
        self._there: dict[frozenset[int], There] = {}
        self._counted = (-1, 0.0, 0.0)  # the newest event then, when, and until when that is enough (monotonic)
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
        streams: dict[frozenset[int], list[Window]] = {}  # by what they do not see
        began = time.monotonic()
        with self._database.read() as db:
            newest = newest_event(db)
            for each in windows:
                if each.user.id not in self._hidden:
                    self._hidden[each.user.id] = hidden_teams(db, each.user)
                if each.streams:
                    streams.setdefault(self._hidden[each.user.id], []).append(each)
        last, counted, enough = self._counted
        count = began >= enough and (newest != last or began - counted >= RECOUNT)
        for hidden, those in streams.items():
            with self._database.read() as db:
                look_as(db, hidden)
                state = State.read(db, {each.user.id for each in those}, at)
                if state.there == self._there.get(hidden):  # the same object says at once that nobody has moved
                    state = replace(state, there=self._there[hidden])
                self._there[hidden] = state.there
                for window, hint in Telling(db, state, at, count=count).to(those):
                    window.mailbox.put(hint)
        if count:
            now = time.monotonic()
            self._counted = (newest, began, now + max(COUNT, 10 * (now - began)))

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
    """What is new to each of some windows whose users see the same cases. What they have in common is asked once."""

    def __init__(self, db: Session, state: State, at: datetime, *, count: bool) -> None:
        self._db, self._state, self._at, self._count = db, state, at, count
        self._postgresql = db.get_bind().dialect.name == "postgresql"
        self._events: dict[int, list[tuple[int, int, datetime]]] = {}
        self._among: dict[tuple[Any, ...], list[int]] = {}
        self._moved: dict[int, Hint] = {}

    def to(self, windows: Collection[Window]) -> Iterator[tuple[Window, Hint]]:
        """The windows that are to be told something, each with its hint, which they know from then on."""
        counts = self._counts(windows) if self._count else {}
        for window in windows:
            hint = self._news(window) | self._people(window)
            known = {address: counts[each.key] for address, each in window.counted.items()} if counts else window.counts
            if known != window.counts:
                hint["counts"] = window.counts = known
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
        if window.last > self._state.newest:  # a backup has been restored, or what it saw is not for it any more
            window.last = self._state.newest
            return {"cases": [], "in": [], "many": True}
        if window.last == self._state.newest:
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
        cases = sorted(new)
        return {"cases": cases, "in": self._listed(window, cases)} if cases else {}

    def _since(self, last: int) -> list[tuple[int, int, datetime]]:
        if last not in self._events:
            query = select(CaseEvent.id, CaseEvent.case_id, CaseEvent.at).where(CaseEvent.id > last)
            found = self._db.execute(query.order_by(CaseEvent.id).limit(MOST + 1))
            self._events[last] = [(number, case, at) for number, case, at in found]
        return self._events[last]

    def _listed(self, window: Window, cases: list[int]) -> list[int]:
        if window.wanted is None:
            return []
        key = (window.wanted.key, *cases)
        if key not in self._among:
            try:
                self._among[key] = sorted(cases_among(self._db, cases, window.wanted.as_of(self._at)))
            except GensvarError:  # the list itself has said what is wrong with what it was asked for
                self._among[key] = []
        return self._among[key]

    def _counts(self, windows: Collection[Window]) -> dict[tuple[str, int], str | None]:
        """How many cases the views of these windows hold, as the navigation says it."""
        views = {each.key: each for window in windows for each in window.counted.values()}
        keys, counts = list(views), list[str | None]()
        for first in range(0, len(keys), AT_ONCE):
            some = [views[key].as_of(self._at) for key in keys[first : first + AT_ONCE]]
            counts += counts_of(self._db, some)
        return dict(zip(keys, counts, strict=True))

    def _people(self, window: Window) -> Hint:
        """``there``: case -> who is there now, as [user, name, writing], where that changed; ``whole``: everywhere."""
        now, before = self._state.there, window.there
        if now is before:
            return {}
        window.there = now
        if id(before) not in self._moved:  # most windows know the same
            known = before or {}
            changed = [case for case in now.keys() | known.keys() if now.get(case) != known.get(case)]
            there = {case: [[each.user_id, each.name, each.writing] for each in now.get(case, ())] for case in changed}
            whole = {"whole": True} if before is None else {}
            self._moved[id(before)] = {"there": there, **whole} if changed or whole else {}
        return self._moved[id(before)]


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
