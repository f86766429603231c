"""What one process remembers of the stored fingerprints, so that a new mention is compared with all of them at once.

A cache and nothing more: the stories are what ``mentions.story_id`` says. It is read anew when it is not there, when a
person has taught something, or when what it holds was rolled back, and takes over what other processes have placed.
10 000 mentions take about 25 MB, and 2–4 s to read, which happens while nobody is kept waiting (``warm``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Select, event, func, select
from sqlalchemy.orm import Session

from database import Database
from models import CaseEvent, Fingerprint, Mention, Story, StoryLesson
from triage import stories
from triage.stories import Gatherer, Placing

MOST = 10_000  # mentions read; twice as many may come before it is read anew
LESSONS = 5_000  # the latest
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_memories: WeakKeyDictionary[Engine, Memory] = WeakKeyDictionary()
_turn = threading.Lock()


class Memory:
    """Bounded by ``MOST``. Used under the lock of the reactions, by one at a time."""

    def __init__(self) -> None:
        self.gatherer = Gatherer()
        self.story: dict[int, int] = {}  # mention -> its row in stories
        self.placed_at = LONG_AGO  # of the latest fingerprint known here
        self.event = 0  # the latest event known here
        self.taught: tuple[Any, ...] = ()
        self._of_case: dict[int, int] = {}  # case -> its latest mention
        self._of_story: dict[int, int] = {}

    def add(self, mention: Mention, print: stories.Fingerprint) -> tuple[Placing, frozenset[int]]:
        """Place a new mention. Returns how, and all remembered mentions it is now together with, itself included."""
        assert mention.case_id is not None
        self._bind(mention.id, mention.case_id)
        placing = self.gatherer.add(mention.id, when(mention.published_at, mention.collected_at), print)
        return placing, self.gatherer.beside(mention.id)

    def keep(self, mentions: Iterable[int], story: int) -> None:
        """These are stored as members of that story now."""
        for id in mentions:
            self.story[id], self._of_story[story] = story, id

    def merged(self, story: int, into: int) -> None:
        self.keep([id for id, row in self.story.items() if row == story], into)

    def catch_up(self, db: Session) -> bool:
        """Take over what other processes have placed since; False when they undid something, and all is to be read."""
        last = db.scalar(select(func.max(CaseEvent.id))) or 0
        self._read(db, _stored().where(Fingerprint.at > self.placed_at))
        joined = select(CaseEvent.case_id).where(
            CaseEvent.id > self.event, CaseEvent.id <= last, CaseEvent.action == "join_story"
        )
        changed = set(db.scalars(joined))
        self.event = last
        members = (
            db.execute(select(Mention.id, Mention.story_id).where(Mention.case_id.in_(changed))) if changed else ()
        )
        moved = {id: story for id, story in members if id in self.gatherer and self.story.get(id) != story}
        left = {self.story[id] for id in moved if id in self.story}
        gone = set(db.scalars(select(Story.id).where(Story.id.in_(left), Story.merged_into_id.is_not(None))))
        if left - gone or None in moved.values():
            return False
        for id, story in moved.items():
            assert story is not None
            self.gatherer.unite(id, self._of_story.get(story, id))
            self.keep([id], story)
        return True

    def read(self, db: Session) -> None:
        """Everything there is to know, up to ``MOST`` mentions."""
        self.taught, self.event = taught(db), db.scalar(select(func.max(CaseEvent.id))) or 0
        lessons = select(StoryLesson).where(StoryLesson.withdrawn_at.is_(None)).order_by(StoryLesson.id.desc())
        for lesson in reversed(db.scalars(lessons.limit(LESSONS)).all()):
            say = self.gatherer.together if lesson.together else self.gatherer.apart
            say(lesson.one_id, lesson.other_id)
        oldest = db.scalar(select(Fingerprint.at).order_by(Fingerprint.at.desc()).offset(MOST).limit(1))
        self._read(db, _stored().where(Fingerprint.at > (oldest or LONG_AGO)))

    def _read(self, db: Session, stored: Select[Any]) -> None:
        for at, id, body, published_at, collected_at, case_id, story in db.execute(stored):
            self.placed_at = at
            if not body or case_id is None:
                continue
            self._bind(id, case_id)
            beside = self._of_story.get(story)
            print = stories.Fingerprint.from_json(body)
            self.gatherer.restore(id, when(published_at, collected_at), print, beside)
            if story is not None:
                self.keep([id], story)

    def _bind(self, id: int, case_id: int) -> None:
        """What is said in one case is one matter."""
        if (earlier := self._of_case.get(case_id)) is not None and earlier != id:
            self.gatherer.together(id, earlier)
        self._of_case[case_id] = id


def _stored() -> Select[Any]:
    return (
        select(
            Fingerprint.at,
            Fingerprint.mention_id,
            Fingerprint.body,
            Mention.published_at,
            Mention.collected_at,
            Mention.case_id,
            Mention.story_id,
        )
        .join(Mention, Mention.id == Fingerprint.mention_id)
        .order_by(Fingerprint.at)
        .execution_options(yield_per=500)
    )


def when(published_at: datetime, collected_at: datetime) -> datetime:
    """A date in the future, which some sites give, would make everything before it look long past."""
    return min(published_at, collected_at)


def taught(db: Session) -> tuple[Any, ...]:
    """Changes whenever a person teaches something or takes it back."""
    return tuple(db.execute(select(func.count(), func.max(StoryLesson.id), func.count(StoryLesson.withdrawn_at))).one())


def warm(database: Database) -> None:
    """Read what is to be remembered before the lock is taken that keeps everybody else waiting."""
    with database.read() as db:
        _current(db, database.engine)


def current(db: Session) -> Memory:
    """The memory as the database stands now; to be called with the lock of the reactions held."""
    engine = db.get_bind().engine
    memory = _current(db, engine)
    if not memory.catch_up(db):
        forget(engine)
        memory = _current(db, engine)
    event.listen(db, "after_soft_rollback", lambda *_: forget(engine), once=True)
    return memory


def _current(db: Session, engine: Engine) -> Memory:
    with _turn:
        memory = _memories.get(engine)
        if memory is None or memory.taught != taught(db) or len(memory.gatherer) > 2 * MOST:
            memory = Memory()
            memory.read(db)
            _memories[engine] = memory
        return memory


def forget(engine: Engine) -> None:
    _memories.pop(engine, None)


def next_place(memory: Memory, at: datetime) -> datetime:
    """Fingerprints are placed one after the other: no two at the same instant."""
    memory.placed_at = max(at, memory.placed_at + timedelta(microseconds=1))
    return memory.placed_at
