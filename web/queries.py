"""What the screens and the API read: lists of cases, one page at a time, and everything that belongs to one case.

Both the inbox and ``/api/v1`` use these, so that a list means the same thing on both doors:

* ``find_cases(db, CaseFilter(...), sort=..., limit=..., cursor=...)`` -> ``CasePage(cases, next_cursor, total, …)``.
  The author, source, account, assignee, team, story and tags of each case are loaded. The number of queries does not
  depend on how many cases there are, but for words to be looked for: it grows with the logarithm of what is read.
* ``count_cases(db, filters, most)`` -> how many each would list, counted no farther than ``most``, in one query.
* ``all_numbers(db, CaseFilter(...), most)`` -> the numbers of all that are listed, whatever the pages.
* ``cases_among(db, numbers, CaseFilter(...))`` -> which of these it would list.
* ``cases_numbered(db, numbers)`` -> those cases.
* ``get_case(db, number)`` -> ``Case``, loaded the same way. Raises ``NotFoundError``.
* ``entries(db, case)`` -> mentions, replies, notes and events of a case in time order, each an ``Entry``.
* ``find_mentions(db, MentionFilter(...), limit=..., cursor=...)`` -> ``MentionPage``.
* ``find_lessons(db, limit=..., cursor=...)`` -> what people taught the judges.
* ``events_after(db, after, limit=...)`` -> the organisation's event stream.

All of them only read. Cursors are opaque texts, good for the same filter and sort; a bad one is ``InvalidInput``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, literal, or_, select, text, tuple_, union_all
from sqlalchemy.orm import Session, aliased, joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from errors import InvalidInput, NotFoundError
from models import (
    Case,
    CaseEvent,
    CaseStatus,
    CaseTag,
    Lesson,
    Mention,
    MentionSource,
    Note,
    Priority,
    Reply,
    Source,
    Story,
    Team,
    User,
    UTCDateTime,
)
from triage.watch import Operator
from web import operators
from web.operators import NOBODY, Asker
from web.search import FEW, Search, among, ask

MAX_LIMIT = 200
MAX_NUMBER = 2**63 - 1  # what both databases take as an id
EITHER = ("priority", "team", "tag", "source", "story")  # one of several will do, as of the fields of a filter
AT_FIRST, AT_MOST = 100, 5_000  # cases looked through at a time, for words that are in many
LOOKED_AT = 2_000  # cases; then a screen says how far back it has come
CONTEXT_LEVELS = 50  # how far above a case its thread is shown


class Sort(StrEnum):
    newest = "newest"  # last activity, latest first
    oldest = "oldest"  # last activity, earliest first
    urgent = "urgent"  # flagged, then who is due first, then by priority: see _stretches


@dataclass(frozen=True)
class CaseFilter:
    """What a list of cases is narrowed to; an empty field does not narrow.

    ``assignee``: an e-mail, or "none". ``urgency``, ``noise`` and ``category`` take "none" too, for cases without.
    """

    status: Sequence[str] = ()
    channel: Sequence[str] = ()
    priority: Sequence[str] = ()
    kind: Sequence[str] = ()
    sentiment: Sequence[str] = ()
    language: Sequence[str] = ()
    urgency: Sequence[str] = ()
    noise: Sequence[str] = ()
    category: Sequence[str] = ()
    wants_answer: bool | None = None
    tag: Sequence[str] = ()
    team: Sequence[str] = ()
    source: str | None = None  # any source that found one of its mentions
    assignee: str | None = None
    story: int | None = None
    due_before: datetime | None = None  # with a target that is missed by then
    flagged: bool = False
    asked: Sequence[Operator] = ()  # as search has them: each must hold, but of those in EITHER one of a name
    author: int | None = None  # who wrote something in it
    q: str | None = None  # a search: docs/search.md
    asker: Asker = NOBODY  # for what depends on who asks, when and where


@dataclass(frozen=True)
class CasePage:
    """``total``: over all pages; when ``more``, there are more than that. ``looked_until``: the search was broken off
    after a great many cases, the last of which was active then; the next page goes on from there."""

    cases: list[Case]
    next_cursor: str | None
    total: int
    more: bool = False
    looked_until: datetime | None = None


@dataclass(frozen=True)
class MentionFilter:
    channel: Sequence[str] = ()
    source: str | None = None
    case: int | None = None
    external_id: str | None = None
    q: str | None = None  # a search: docs/search.md
    asker: Asker = NOBODY


@dataclass(frozen=True)
class MentionPage:
    mentions: list[Mention]
    next_cursor: str | None


@dataclass(frozen=True)
class Entry:
    """One thing in the story of a case. ``context``: a message above the case, shown to understand it."""

    at: datetime
    item: Mention | Reply | Note | CaseEvent
    context: bool = False


def find_cases(
    db: Session,
    wanted: CaseFilter,
    *,
    sort: Sort = Sort.newest,
    limit: int = 50,
    cursor: str | None = None,
    most: int | None = None,
) -> CasePage:
    """One page of the cases wanted. Raises ``InvalidInput`` for a cursor or query that cannot be read.

    ``most``: for a screen, which need not know how many more there are than that.
    """
    search = ask(db, Case, wanted.q, wanted.asker)
    conditions = [*_case_conditions(db, wanted), *search.conditions]
    few = _few(db, wanted, search, conditions)
    if few is not None:  # looked through at once: then it is a list like others, and its length is known
        by_number = (*_status(wanted, indexed=False), among(Case.id, few, db))
        held = db.scalars(select(Case.id).where(*conditions, *by_number)).all()
        few, search = sorted(search.holding(held)), replace(search, words=())
    reading = _Reading(db, wanted, conditions, search, few, LOOKED_AT if most else None)
    rows = reading.page(sort, limit, cursor)
    next_cursor = _write_cursor(*rows[limit - 1][1:]) if len(rows) > limit else reading.broken_off
    found = {case.id: case for case in cases_numbered(db, [row[0] for row in rows[:limit]])}
    cases = [found[row[0]] for row in rows[:limit]]
    if most and search.words and few is None:
        return CasePage(cases, next_cursor, len(cases), next_cursor is not None or cursor is not None, reading.until)
    total = len(cases) if cursor is None and next_cursor is None else reading.count(most)
    if most is not None and total > most:
        return CasePage(cases, next_cursor, most, more=True)
    return CasePage(cases, next_cursor, total)


def all_numbers(db: Session, wanted: CaseFilter, most: int) -> list[int]:
    """The numbers of all cases wanted, the one with the latest activity first; no more than ``most``."""
    search = ask(db, Case, wanted.q, wanted.asker)
    conditions = [*_case_conditions(db, wanted), *search.conditions]
    reading = _Reading(db, wanted, conditions, search, _few(db, wanted, search, conditions), most=None)
    return [number for number, *_ in reading.page(Sort.newest, most, None)][:most]


def count_cases(db: Session, filters: Sequence[CaseFilter], most: int) -> list[int | None]:
    """None: it asks for words, which no index counts."""
    asked = [ask(db, Case, wanted.q, wanted.asker) for wanted in filters]
    counts = [
        select(func.count())
        .select_from(
            select(Case.id)
            .where(*_status(wanted), *_case_conditions(db, wanted), *search.conditions)
            .limit(most + 1)
            .subquery()
        )
        .scalar_subquery()
        for wanted, search in zip(filters, asked, strict=True)
        if not search.words
    ]
    counted = iter(db.execute(select(*counts)).one() if counts else ())
    return [None if search.words else next(counted) for search in asked]


def cases_among(db: Session, numbers: Sequence[int], wanted: CaseFilter) -> frozenset[int]:
    """Which of these cases ``find_cases`` would list."""
    search = ask(db, Case, wanted.q, wanted.asker)
    conditions = (*_status(wanted), *_case_conditions(db, wanted), *search.conditions)
    return search.holding(db.scalars(select(Case.id).where(Case.id.in_(numbers), *conditions)).all())


def cases_numbered(db: Session, numbers: Sequence[int]) -> list[Case]:
    """These cases, the one with the latest activity first."""
    if not numbers:
        return []
    order = (Case.last_activity_at.desc(), Case.id.desc())
    return list(db.scalars(select(Case).where(Case.id.in_(numbers)).options(*_case_options()).order_by(*order)))


def get_case(db: Session, number: int) -> Case:
    """The case of that number, with what is shown of it. Raises ``NotFoundError``."""
    found = db.scalar(select(Case).where(Case.id == number).options(*_case_options())) if number <= MAX_NUMBER else None
    if found is None:
        raise NotFoundError(f"There is no case {number}.")
    return found


def entries(db: Session, case: Case) -> list[Entry]:
    """Everything in a case, and the messages above it, in time order. Reposts count as spread and are not listed.

    A message of ours that was collected is listed as the reply it became, once.
    """
    replies = db.scalars(
        select(Reply).where(Reply.case_id == case.id).options(joinedload(Reply.user), joinedload(Reply.to_mention))
    ).all()
    ours = {reply.mention_id for reply in replies}
    found = [Entry(reply.sent_at or reply.created_at, reply) for reply in replies]
    mentions = db.scalars(
        select(Mention).where(Mention.case_id == case.id, Mention.repost.is_(False)).options(joinedload(Mention.author))
    )
    found += [Entry(mention.published_at, mention, mention.context) for mention in mentions if mention.id not in ours]
    above = [mention for mention in _above(db, case.id) if mention.id not in ours]
    found += [Entry(mention.published_at, mention, context=True) for mention in above]
    notes = db.scalars(select(Note).where(Note.case_id == case.id).options(joinedload(Note.user)))
    found += [Entry(note.created_at, note) for note in notes]
    events = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case.id))
    found += [Entry(event.at, event) for event in events]
    return sorted(found, key=lambda entry: (entry.at, _ORDER[type(entry.item)], entry.item.id))


def find_mentions(db: Session, wanted: MentionFilter, *, limit: int = 50, cursor: str | None = None) -> MentionPage:
    """One page of mentions, the one collected last first. Context and our own messages are among them, marked."""
    query = select(Mention).options(joinedload(Mention.author)).order_by(Mention.id.desc())
    if wanted.channel:
        query = query.where(Mention.channel.in_(wanted.channel))
    if wanted.source is not None:
        query = query.where(
            exists().where(
                MentionSource.mention_id == Mention.id,
                MentionSource.source_id == Source.id,
                Source.name == wanted.source,
            )
        )
    if wanted.case is not None:
        query = query.where(Mention.case_id == wanted.case)
    if wanted.external_id is not None:
        query = query.where(Mention.external_id == wanted.external_id)
    search = ask(db, Mention, wanted.q, wanted.asker)
    query = query.where(*search.conditions)
    if search.words and (few := search.few()) is not None:
        query = query.where(among(Mention.id, few, db))
    if cursor is not None:
        query = query.where(Mention.id < _read_cursor(cursor, {"mentions": [int]})[1][0])
    rows: list[Mention] = []
    size = AT_FIRST if search.words else limit + 1
    while True:
        read = db.scalars(query.limit(size)).all()
        holding = search.holding([mention.id for mention in read])
        rows += [mention for mention in read if mention.id in holding]
        if len(read) < size or len(rows) > limit:
            break
        query, size = query.where(Mention.id < read[-1].id), min(size * 4, AT_MOST)
    next_cursor = _write_cursor("mentions", [rows[limit - 1].id]) if len(rows) > limit else None
    return MentionPage(rows[:limit], next_cursor)


def find_lessons(db: Session, *, limit: int = 50, cursor: str | None = None) -> tuple[list[Lesson], str | None]:
    """What people taught the judges, the newest first, also what was taken back; and the cursor of the next page."""
    query = select(Lesson).options(joinedload(Lesson.mention), joinedload(Lesson.user))
    if cursor is not None:
        query = query.where(Lesson.id < _read_cursor(cursor, {"lessons": [int]})[1][0])
    rows = list(db.scalars(query.order_by(Lesson.id.desc()).limit(limit + 1)))
    return rows[:limit], _write_cursor("lessons", [rows[limit - 1].id]) if len(rows) > limit else None


def find_stories(
    db: Session,
    *,
    alarmed: bool = False,
    active_since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[list[Story], str | None]:
    """Stories that are told by somebody, the one told last first; and the cursor of the next page."""
    query = select(Story).where(Story.merged_into_id.is_(None), Story.size > 0)
    if alarmed:
        query = query.where(Story.alarmed_at.is_not(None))
    if active_since is not None:
        query = query.where(Story.last_at >= active_since)
    if cursor is not None:
        last_at, id = _read_cursor(cursor, {"stories": [datetime, int]})[1]
        query = query.where(tuple_(Story.last_at, Story.id) < tuple_(literal(last_at, UTCDateTime()), literal(id)))
    rows = list(db.scalars(query.order_by(Story.last_at.desc(), Story.id.desc()).limit(limit + 1)))
    more = _write_cursor("stories", [rows[limit - 1].last_at, rows[limit - 1].id]) if len(rows) > limit else None
    return rows[:limit], more


def events_after(db: Session, after: int, *, limit: int = MAX_LIMIT) -> list[CaseEvent]:
    """The next events of the organisation, oldest first. Whoever goes on from the last one misses none."""
    query = select(CaseEvent).where(CaseEvent.id > after).order_by(CaseEvent.id).limit(limit)
    events = list(db.scalars(query))
    if events and db.get_bind().dialect.name == "postgresql" and _numbers_missing(db, after, events):
        # Rolled back, or of a transaction not committed yet. This waits for the latter.
        db.execute(text("LOCK TABLE case_events IN SHARE MODE"))
        events = list(db.scalars(query))
    return events


def _numbers_missing(db: Session, after: int, events: Sequence[CaseEvent]) -> bool:
    """Whether there are numbers up to the last of these that no event bears. One left out for who asks bears its."""
    span = events[-1].id - after
    if len(events) == span:
        return False
    table = CaseEvent.__table__  # not the class, which would leave out the same again
    there = select(func.count()).select_from(table).where(table.c.id > after, table.c.id <= events[-1].id)
    return db.connection().scalar(there) != span


_ORDER: dict[type, int] = {Mention: 0, Reply: 1, Note: 2, CaseEvent: 3}  # of things at the same instant


def _case_options() -> tuple[ORMOption, ...]:
    return (
        joinedload(Case.author),
        joinedload(Case.source),
        joinedload(Case.account),
        joinedload(Case.assignee),
        joinedload(Case.team),
        joinedload(Case.story),
        selectinload(Case.tags),
    )


def _status(wanted: CaseFilter, *, indexed: bool = True) -> list[ColumnElement[bool]]:
    """``indexed`` False: SQLite shall not look for a status, which is little to go by; no more for what is due."""
    indexed = indexed and wanted.due_before is None
    status = Case.status if indexed else Case.status + ""  # an expression has no index
    return [status.in_(wanted.status)] if wanted.status else []


def _case_conditions(db: Session, wanted: CaseFilter) -> list[ColumnElement[bool]]:
    """All but the status, which a list is read by: see ``_read_stretch``. Raises ``InvalidInput``."""
    conditions: list[ColumnElement[bool]] = []
    for column, values in (
        (Case.channel, wanted.channel),
        (Case.priority, wanted.priority),
        (Case.kind, wanted.kind),
        (Case.sentiment, wanted.sentiment),
        (Case.language, wanted.language),
    ):
        if values:
            conditions.append(column.in_(values))
    for column, values in (
        (Case.urgency, wanted.urgency),
        (Case.noise, wanted.noise),
        (Case.category, wanted.category),
    ):
        if values:
            conditions.append(or_(column.in_(values), column.is_(None)) if "none" in values else column.in_(values))
    if wanted.wants_answer is not None:
        conditions.append(Case.wants_answer.is_(wanted.wants_answer))
    if wanted.story is not None:
        conditions.append(Case.story_id == wanted.story)
    if wanted.due_before is not None:
        conditions.append(Case.next_breach_at <= wanted.due_before)
    if wanted.flagged:
        conditions.append(Case.flag.is_not(None))
    if wanted.tag:
        conditions.append(exists().where(CaseTag.case_id == Case.id, CaseTag.tag.in_(wanted.tag)))
    if wanted.team:
        conditions.append(Case.team_id.in_(select(Team.id).where(Team.name.in_(wanted.team))))
    if wanted.source is not None:
        found = select(Source.id).where(Source.name == wanted.source).scalar_subquery()
        conditions.append(operators.found_by(MentionSource.source_id == found))
    if wanted.assignee == "none":
        conditions.append(Case.assignee_id.is_(None))
    elif wanted.assignee is not None:
        user = select(User.id).where(User.email == wanted.assignee.lower())
        conditions.append(Case.assignee_id == user.scalar_subquery())
    if wanted.author is not None:
        conditions.append(exists().where(Mention.case_id == Case.id, Mention.author_id == wanted.author))
    alike: dict[str, list[ColumnElement[bool]]] = {}
    for asked in wanted.asked:
        name = asked.name if asked.name in EITHER else f"{asked.name}:{asked.value}"
        alike.setdefault(name, []).append(operators.condition(db, asked, wanted.asker))
    return [*conditions, *(or_(*several) for several in alike.values())]


def _few(
    db: Session, wanted: CaseFilter, search: Search, conditions: Sequence[ColumnElement[bool]]
) -> list[int] | None:
    """The only cases that can be wanted, some more maybe, where an index names few: else a list is read to its end."""
    if wanted.flagged and len(conditions) > 1:  # alone it is read by its index anyway
        return list(db.scalars(select(Case.id).where(Case.flag.is_not(None))))
    named = select(Source.id).where(Source.name == wanted.source).scalar_subquery()
    by_mention = select(MentionSource.mention_id).where(MentionSource.source_id == named)
    narrow: list[tuple[object, Select[Any]]] = [
        (wanted.tag, select(CaseTag.case_id).where(CaseTag.tag.in_(wanted.tag))),
        (wanted.source, by_mention),
        (wanted.author, select(Mention.case_id).where(Mention.author_id == wanted.author)),
        (wanted.story, select(Case.id).where(Case.story_id == wanted.story)),
    ]
    known = [found] if search.words and (found := search.few()) is not None else []
    for asked, query in narrow:
        ids = db.scalars(query.limit(FEW + 1)).all() if asked else ()
        if asked and len(ids) <= FEW:
            if query is by_mention:
                ids = db.scalars(select(Mention.case_id).where(among(Mention.id, ids, db))).all()
            known.append(list({id for id in ids if id is not None}))
    return min(known, key=len, default=None)


@dataclass(frozen=True)
class _Stretch:
    """A part of a list, in the order of its keys, of which the last one is unique."""

    keys: list[ColumnElement[Any]]
    where: tuple[ColumnElement[bool], ...] = ()
    descending: bool = False
    by_status: bool = True
    merged: bool = False  # its order is that of the index of each status


def _stretches(sort: Sort, wanted: CaseFilter) -> list[_Stretch]:
    """A list, in stretches that follow one another, so that each can be read through an index of its own."""
    number, active = Case.id.expression, Case.last_activity_at.expression
    if sort is not Sort.urgent:
        return [_Stretch([active, number], descending=sort is Sort.newest, merged=True)]
    due = Case.next_breach_at.expression
    calm = Case.flag.is_(None)
    stretches = [
        _Stretch([_rank(), active, number], (Case.flag.is_not(None),), by_status=False),
        _Stretch([due, _rank(), number], (calm, due.is_not(None)), by_status=False),
        _Stretch([_rank(), active, number], (calm, due.is_(None))),
    ]
    return stretches[:1] if wanted.flagged else stretches


def _rank() -> ColumnElement[int]:
    """By priority; what is finished comes last."""
    return case(
        (Case.status.in_([CaseStatus.resolved, CaseStatus.closed, CaseStatus.ignored]), 5),
        (Case.priority == Priority.urgent, 1),
        (Case.priority == Priority.high, 2),
        (Case.priority == Priority.low, 4),
        else_=3,
    )


@dataclass
class _Reading:
    """A list being read in its order: directly, or so much at a time as it takes to find the words looked for.

    ``few``: the only cases they can be in, where the index knows. ``most``: cases looked at before it is broken off.
    """

    db: Session
    wanted: CaseFilter
    conditions: Sequence[ColumnElement[bool]]
    search: Search
    few: Sequence[int] | None
    most: int | None
    broken_off: str | None = None  # the cursor to go on with
    until: datetime | None = None

    def page(self, sort: Sort, limit: int, cursor: str | None) -> list[tuple[int, str, list[Any]]]:
        """Numbers of the cases, each with its stretch and its place there; one more than asked for if there is one."""
        stretches = _stretches(sort, self.wanted)
        first, place = _read_place(cursor, sort, stretches)
        rows: list[tuple[int, str, list[Any]]] = []
        looked = 0
        for at, stretch in enumerate(stretches[first:], first):
            size = AT_FIRST
            while True:
                size = size if self.search.words else limit + 1 - len(rows)
                read = self.db.execute(self._read(stretch, place, size)).all()
                holding = self.search.holding([row[0] for row in read])
                rows += [(row[0], f"{sort}{at}", list(row[1:])) for row in read if row[0] in holding]
                looked += len(read)
                if len(rows) > limit:
                    return rows
                place = list(read[-1][1:]) if len(read) == size else None
                if place is None:
                    break
                if self.most is not None and self.few is None and looked >= self.most:
                    self.broken_off = _write_cursor(f"{sort}{at}", place)
                    self.until = place[0] if isinstance(place[0], datetime) else None
                    return rows
                size = min(size * 4, AT_MOST)
        return rows

    def count(self, most: int | None) -> int:
        """Of all pages; no farther than one more than ``most``."""
        query = select(Case.id).where(*self._where(by_status=not self.wanted.flagged))
        if not self.search.words:
            counted = query if most is None else query.limit(most + 1)
            return self.db.scalar(select(func.count()).select_from(counted.subquery())) or 0
        found, last, size = 0, 0, AT_MOST if most is None else most
        while most is None or found <= most:
            ids = self.db.scalars(query.where(Case.id > last).order_by(Case.id).limit(size)).all()
            found += len(self.search.holding(ids))
            if len(ids) < size:
                break
            last = ids[-1]
        return found

    def _where(self, *, by_status: bool) -> list[ColumnElement[bool]]:
        """``by_status`` False: it shall be read in order, not by its status."""
        found = [*self.conditions, *_status(self.wanted, indexed=by_status and self.few is None)]
        if self.few is not None:
            found.append(among(Case.id, self.few, self.db))
        return found

    def _read(self, stretch: _Stretch, place: Sequence[Any] | None, size: int) -> Select[Any]:
        """The numbers of the cases wanted in a stretch, each with its keys, in order; those after a place.

        Several statuses are read each by itself, in order, by their index, and then merged.
        """
        by_status = stretch.by_status and not self.wanted.flagged
        query = select(Case.id, *stretch.keys).where(*stretch.where, *self._where(by_status=by_status))
        if place is not None:
            query = query.where(*_beyond(stretch, place))
        if not (stretch.merged and by_status and len(self.wanted.status) > 1 and self.few is None):
            return _ordered(query, stretch, stretch.keys).limit(size)
        each = [
            _ordered(query.where(Case.status == status), stretch, stretch.keys).limit(size).subquery()
            for status in dict.fromkeys(self.wanted.status)
        ]
        merged = union_all(*(select(*part.c) for part in each)).subquery()
        _number, *keys = merged.c
        return _ordered(select(*merged.c), stretch, keys).limit(size)


def _ordered(query: Select[Any], stretch: _Stretch, keys: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return query.order_by(*(key.desc() if stretch.descending else key for key in keys))


def _beyond(stretch: _Stretch, place: Sequence[Any]) -> tuple[ColumnElement[bool], ...]:
    """After this place in a stretch. The first key by itself as well, since that is what its index is read by."""
    there = [literal(value, key.type) for key, value in zip(stretch.keys, place, strict=True)]
    here, first = tuple_(*stretch.keys), stretch.keys[0]
    if stretch.descending:
        return (here < tuple_(*there), first <= there[0])
    return (here > tuple_(*there), first >= there[0])


def _above(db: Session, case_id: int) -> list[Mention]:
    """The messages above a case on the network that stand in no case, or in another one."""
    parent = aliased(Mention)
    elsewhere = or_(parent.case_id.is_(None), parent.case_id != case_id)
    climb = (
        select(Mention.channel, _parent_id(Mention).label("id"), literal(1).label("level"))
        .where(Mention.case_id == case_id, _parent_id(Mention).is_not(None))
        .cte("above", recursive=True)
    )
    climb = climb.union(
        select(parent.channel, _parent_id(parent), climb.c.level + 1)
        .join(climb, (parent.channel == climb.c.channel) & (parent.external_id == climb.c.id))
        .where(elsewhere, _parent_id(parent).is_not(None), climb.c.level < CONTEXT_LEVELS)
    )
    ids = select(parent.id).join(climb, (parent.channel == climb.c.channel) & (parent.external_id == climb.c.id))
    found = select(Mention).where(Mention.id.in_(ids.where(elsewhere, parent.repost.is_(False))))
    return list(db.scalars(found.options(joinedload(Mention.author))))


def _parent_id(mention: type[Mention]) -> ColumnElement[str | None]:
    """The external id right above; a comment right under an article may have only its thread."""
    return func.coalesce(mention.in_reply_to, func.nullif(mention.thread, mention.external_id))


def _write_cursor(name: str, keys: Sequence[Any]) -> str:
    values = [key.isoformat() if isinstance(key, datetime) else key for key in keys]
    return base64.urlsafe_b64encode(json.dumps([name, *values], separators=(",", ":")).encode()).decode().rstrip("=")


def _read_place(cursor: str | None, sort: Sort, stretches: Sequence[_Stretch]) -> tuple[int, list[Any] | None]:
    """In which stretch to go on, and after which keys; from the beginning without a cursor."""
    if cursor is None:
        return 0, None
    types = [[datetime if isinstance(key.type, UTCDateTime) else int for key in stretch.keys] for stretch in stretches]
    name, place = _read_cursor(cursor, {f"{sort}{number}": each for number, each in enumerate(types)})
    return int(name.removeprefix(sort)), place


def _read_cursor(cursor: str, known: Mapping[str, Sequence[type]]) -> tuple[str, list[Any]]:
    """The list it belongs to and the keys of the last row of the page before. It comes from outside: all is checked."""
    try:
        read = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(read, list) or not read or not isinstance(read[0], str) or read[0] not in known:
            raise _bad_cursor()
        name, values = read[0], [datetime.fromisoformat(key) if isinstance(key, str) else key for key in read[1:]]
    except (ValueError, RecursionError):
        raise _bad_cursor() from None
    if [type(value) for value in values] != list(known[name]):
        raise _bad_cursor()
    for value in values:
        if (isinstance(value, datetime) and value.tzinfo is None) or (
            isinstance(value, int) and abs(value) > MAX_NUMBER
        ):
            raise _bad_cursor()
    return name, values


def _bad_cursor() -> InvalidInput:
    message = "The cursor cannot be read; it is good only for the sort it came with."
    return InvalidInput(message, {"cursor": "give next_cursor of the page before, unchanged, with the same sort"})


__all__ = [
    "CaseFilter",
    "CasePage",
    "Entry",
    "MentionFilter",
    "MentionPage",
    "Sort",
    "all_numbers",
    "cases_among",
    "cases_numbered",
    "count_cases",
    "entries",
    "events_after",
    "find_cases",
    "find_lessons",
    "find_mentions",
    "find_stories",
    "get_case",
]
