"""The cases behind a figure: by the same conditions as ``reports.figures``, so they are as many as it says. Read-only.

What is asked for is put into an address by ``as_args`` and read from it by ``wanted``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session, joinedload

from database import storable
from errors import InvalidInput
from models import Case, CaseTag, Sample, Source, Team, User, UTCDateTime
from reports import backlog, figures
from reports.figures import BUCKETS, CREDITED, DATED, NONE, TIMED, Asked, By, Clock, column_of
from reports.tables import Column
from triage.measures import How, Measure

PAGE = 50
FLAGS = ("targeted", "outside", "overdue", "answered")  # of ``Wanted``, as an address has them


class Now(StrEnum):
    """What is not counted of samples."""

    waiting = "waiting"  # for an answer
    late = "late_now"  # of those, beyond the target
    backlog = "backlog"  # at a midnight


class Order(StrEnum):
    newest = "newest"
    slowest = "slowest"  # by the clock that is asked for


@dataclass(frozen=True)
class Wanted:
    """One figure. ``key``: of ``asked.by``, else all. ``late``: those after their target, or those in time.

    ``targeted``: those that had one. ``outside``: those wholly outside opening hours. ``bucket``: how long it took, by
    ``figures.BUCKETS``. ``overdue``: promises whose day has come. ``answered``: resolved with an answer. ``weekday``
    (Monday is 0) and ``hour``: a cell of ``figures.heat``. ``night``: which midnight.
    """

    asked: Asked
    what: Measure | Now
    key: str | None = None
    hows: tuple[str, ...] = ()
    late: bool | None = None
    targeted: bool = False
    outside: bool = False
    bucket: int | None = None
    overdue: bool = False
    answered: bool = False
    weekday: int | None = None
    hour: int | None = None
    night: date | None = None


@dataclass(frozen=True)
class Entry:
    """A case, and the sample by which it counts; ``since``: what it has waited, or lain, since."""

    case: Case
    sample: Sample | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Page:
    """``total``: the figure. ``gone``: so many of the page are not there any more, or not for who asks."""

    total: int
    entries: Sequence[Entry]
    next_cursor: str | None
    gone: int = 0


# -- addresses -------------------------------------------------------------------------------------------------------


def of_column(asked: Asked, key: str | None, column: Column, night: date | None = None) -> Wanted | None:
    """What a column of ``reports.tables`` counts; None where it counts no cases."""
    name = column.name
    if column.measure is not None:
        return Wanted(asked, column.measure, key, column.hows, column.late, outside=column.outside)
    if name in ("still_waiting", "oldest_waiting_since"):
        return Wanted(asked, Now.waiting, None if asked.by in DATED else key)
    if name == "late_now":
        return Wanted(asked, Now.late, None if asked.by in DATED else key)
    if name == "overdue_now":
        return Wanted(asked, Measure.promise, key, (How.open.value,), overdue=True)
    if name == "settled":
        return Wanted(asked, Measure.resolution, key, answered=True)
    if name.endswith("_with_target"):
        return Wanted(asked, Measure(name.removesuffix("_with_target")), key, targeted=True)
    if night is not None and name in ("unfinished", "oldest_since", *backlog.STATES):
        state = (name,) if name in backlog.STATES else ()
        return Wanted(asked, Now.backlog, None if asked.by in DATED else key, state, night=night)
    return None


def as_args(wanted: Wanted) -> dict[str, Any]:
    """What distinguishes it beyond ``asked``."""
    found: dict[str, Any] = {"measure": wanted.what.value, "how": list(wanted.hows), "key": wanted.key}
    found |= {"late": None if wanted.late is None else "yes" if wanted.late else "no"}
    found |= {name: "yes" if getattr(wanted, name) else None for name in FLAGS}
    found |= {"bucket": wanted.bucket, "weekday": wanted.weekday, "hour": wanted.hour}
    found |= {"night": wanted.night.isoformat() if wanted.night else None}
    return {name: value for name, value in found.items() if value not in (None, [])}


def wanted(asked: Asked, args: Mapping[str, str], hows: Sequence[str]) -> Wanted:
    """From an address. Raises ``InvalidInput``."""
    name = args.get("measure", "")
    if name not in (*Measure, *Now):
        raise InvalidInput("There is no such figure.", {"measure": ", ".join((*Measure, *Now))})
    what = Now(name) if name in list(Now) else Measure(name)
    flags = dict.fromkeys(FLAGS, ("yes",))
    for given, known in (("late", ("yes", "no")), *flags.items()):
        if args.get(given) and args[given] not in known:
            raise InvalidInput("There is no such figure.", {given: ", ".join(known)})
    late = {"yes": True, "no": False}.get(args.get("late", ""))
    if unknown := set(filter(None, hows)).difference(How, backlog.STATES):
        raise InvalidInput("There is no such figure.", {"how": ", ".join(sorted(map(storable, unknown))[:3])})
    lay = _date("night", args["night"]) if args.get("night") else None
    if what is Now.backlog and lay is None:
        raise InvalidInput("Say which midnight.", {"night": "2026-11-27"})
    keyed = asked.by is not None and not (asked.by in DATED and what in list(Now))  # nobody waits on a day
    return Wanted(
        asked,
        what,
        storable(args.get("key", "")) or None if keyed else None,
        tuple(dict.fromkeys(filter(None, hows))),
        late,
        targeted=bool(args.get("targeted")),
        outside=bool(args.get("outside")),
        bucket=_number(args, "bucket", len(BUCKETS) + 1),
        overdue=bool(args.get("overdue")),
        answered=bool(args.get("answered")),
        weekday=_number(args, "weekday", 7),
        hour=_number(args, "hour", 24),
        night=lay,
    )


def _date(name: str, text: str) -> date:
    try:
        given = date.fromisoformat(text)
        if not date.min.year < given.year < date.max.year:  # what follows on it is a date too
            raise ValueError
    except ValueError:
        raise InvalidInput("That is not a date.", {name: "2026-11-27"}) from None
    return given


def _number(args: Mapping[str, str], name: str, end: int) -> int | None:
    text = args.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 3 and int(text) < end):
        raise InvalidInput("There is no such figure.", {name: f"0 – {end - 1}"})
    return int(text)


# -- the cases -------------------------------------------------------------------------------------------------------


def page(
    db: Session,
    asked: Wanted,
    at: datetime,
    *,
    order: Order = Order.newest,
    cursor: str | None = None,
    most: int = PAGE,
) -> Page:
    """``at``: now, for what is late by now. The number of statements does not grow with what is found."""
    if asked.what is Now.backlog:
        return _lying(db, asked, cursor, most)
    if isinstance(asked.what, Now):
        return _waiting(db, asked, at, cursor, most)
    return _samples(db, asked, asked.what, at, order, cursor, most)


def _samples(
    db: Session, wanted: Wanted, measure: Measure, at: datetime, order: Order, cursor: str | None, most: int
) -> Page:
    where = counted(db, wanted, measure, at)
    total = db.scalar(select(func.coalesce(func.sum(Sample.n), 0)).where(*where)) or 0
    value = Sample.business if wanted.asked.clock is Clock.business else Sample.seconds
    slowest = order is Order.slowest and measure in TIMED
    keys: tuple[Any, ...] = (value, Sample.id) if slowest else (Sample.day, Sample.at, Sample.id)
    if cursor:
        where.append(beyond(keys, cursor))
    rows = select(Sample, value).where(*where).order_by(*(key.desc() for key in keys)).limit(most + 1)
    read = db.execute(rows.options(joinedload(Sample.case).joinedload(Case.author))).all()
    found = [sample for sample, _took in read]
    marks: list[Any] = []
    if len(found) > most:
        last, longest = read[most - 1]
        marks = [longest, last.id] if slowest else [last.day, last.at.isoformat(), last.id]
    entries = [Entry(each.case, each) for each in found[:most]]
    return Page(int(total), entries, write_cursor(marks) if marks else None)


def counted(db: Session, wanted: Wanted, measure: Measure, at: datetime) -> list[ColumnElement[bool]]:
    """On ``Sample``: those that make the figure."""
    return [*figures.conditions(db, wanted.asked, measure), *_narrowed(db, wanted, measure, at)]


def _narrowed(db: Session, wanted: Wanted, measure: Measure, at: datetime) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.key is not None and wanted.asked.by is not None:
        found.append(_in_line(db, wanted.asked.by, wanted.key, measure))
    if wanted.hows:
        found.append(Sample.how.in_(wanted.hows))
    if wanted.late is not None:
        found.append(Sample.late.is_(wanted.late))
    if wanted.targeted:
        found.append(Sample.late.is_not(None))
    if wanted.outside:
        found.append(figures.OUTSIDE_HOURS)
    if wanted.overdue:
        found.append(Sample.at < at)
    if wanted.answered:
        found.append(or_(Sample.how.is_(None), Sample.how != How.zero_touch.value))
    if wanted.bucket is not None:
        value = Sample.business if wanted.asked.clock is Clock.business else Sample.seconds
        if wanted.bucket > 0:
            found.append(value > BUCKETS[wanted.bucket - 1])
        if wanted.bucket < len(BUCKETS):
            found.append(value <= BUCKETS[wanted.bucket])
    if wanted.weekday is not None:
        found.append((Sample.day - 1) % 7 == wanted.weekday)
    if wanted.hour is not None:
        found.append(Sample.hour == wanted.hour)
    return found


def _in_line(db: Session, by: By, key: str, measure: Measure) -> ColumnElement[bool]:
    """On ``Sample``: those that a line of a report has in it."""
    if by in DATED:
        first, last = _days(by, key)
        return Sample.day.between(first, last)
    if by is By.tag:
        return _tagged(Sample.case_id, key)
    credited = by is By.assignee and measure in CREDITED
    return _is(db, Sample.user_id if credited else getattr(Sample, column_of(by)), by, key)


def _of_case(db: Session, by: By, key: str) -> ColumnElement[bool]:
    """The same on ``Case``."""
    if by is By.tag:
        return _tagged(Case.id, key)
    return _is(db, getattr(Case, column_of(by)), by, key)


def _is(db: Session, column: Any, by: By, key: str) -> ColumnElement[bool]:
    if key == NONE:
        none: ColumnElement[bool] = column.is_(None)
        return none
    ids = {
        By.source: select(Source.id).where(Source.name == key),
        By.team: select(Team.id).where(Team.name == key),
        By.assignee: select(User.id).where(User.email == key),
    }.get(by)
    value: Any = key if ids is None else db.scalar(ids)
    same: ColumnElement[bool] = literal(False) if value is None else column == value
    return same


def _tagged(case_id: Any, key: str) -> ColumnElement[bool]:
    if key == NONE:
        return ~exists().where(CaseTag.case_id == case_id)
    return exists().where(and_(CaseTag.case_id == case_id, CaseTag.tag == key))


def _days(by: By, key: str) -> tuple[int, int]:
    first = _date("key", key)
    begins = first.toordinal()
    if by is By.day:
        return begins, begins
    if by is By.week:
        return begins, begins + 6
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return begins, following.toordinal() - 1


# -- what waits now --------------------------------------------------------------------------------------------------


def _waiting(db: Session, wanted: Wanted, at: datetime, cursor: str | None, most: int) -> Page:
    """Those who have waited longest first."""
    where = figures.waits(db, wanted.asked)
    if wanted.what is Now.late:
        where.append(backlog.is_late(at))
    if wanted.key is not None and wanted.asked.by is not None:
        where.append(_of_case(db, wanted.asked.by, wanted.key))
    total = db.scalar(select(func.count(Case.id)).where(*where)) or 0
    keys: tuple[Any, ...] = (Case.waiting_since, Case.id)
    if cursor:
        where.append(beyond(keys, cursor, up=True))
    rows = select(Case).where(*where).order_by(*keys).limit(most + 1).options(joinedload(Case.author))
    found = list(db.scalars(rows))
    last = found[most - 1] if len(found) > most else None
    marks = write_cursor([last.waiting_since.isoformat(), last.id]) if last and last.waiting_since else None
    return Page(total, [Entry(each, since=each.waiting_since) for each in found[:most]], marks)


def _lying(db: Session, wanted: Wanted, cursor: str | None, most: int) -> Page:
    """What was unfinished at a midnight: by number, as it was stored then."""
    assert wanted.night is not None
    numbers = sorted(
        backlog.numbers(
            db, replace(wanted.asked, start=wanted.night, end=wanted.night + timedelta(days=1)), wanted.hows, wanted.key
        )
    )
    (begun,) = _read(cursor, int) if cursor else (0,)
    rest = [number for number in numbers if number > begun]
    here = rest[:most]
    loaded = select(Case).where(Case.id.in_(here)).order_by(Case.id).options(joinedload(Case.author))
    found = list(db.scalars(loaded))
    entries = [Entry(each, since=each.opened_at) for each in found]
    return Page(len(numbers), entries, write_cursor([here[-1]]) if len(rest) > most else None, len(here) - len(found))


# -- where a page goes on --------------------------------------------------------------------------------------------


def write_cursor(values: Sequence[Any]) -> str:
    return "~".join(str(each) for each in values)


def beyond(keys: Sequence[Any], cursor: str, *, up: bool = False) -> ColumnElement[bool]:
    kinds = [datetime if isinstance(key.type, UTCDateTime) else int for key in keys]
    values = _read(cursor, *kinds)
    for key, value in zip(keys, values, strict=True):
        if isinstance(value, int) and abs(value) >= (2**63 if isinstance(key.type, BigInteger) else 2**31):
            raise _not_ours(cursor)
    there = [literal(value, key.type) for key, value in zip(keys, values, strict=True)]
    here = tuple_(*keys)
    return here > tuple_(*there) if up else here < tuple_(*there)


def _read(cursor: str, *kinds: type) -> list[Any]:
    parts = cursor.split("~")
    try:
        if len(parts) != len(kinds):
            raise ValueError
        found = [
            datetime.fromisoformat(part).astimezone(UTC) if kind is datetime else int(part)
            for part, kind in zip(parts, kinds, strict=True)
        ]
    except (ValueError, OverflowError):
        raise _not_ours(cursor) from None
    return found


def _not_ours(cursor: str) -> InvalidInput:
    return InvalidInput("The cursor is not one of ours.", {"cursor": storable(cursor)})
