"""Reports as tables: what a screen, a file, the API and the command show of the same figures.

A report has a name (``REPORTS``); ``build`` gives its table for a period. Column names are what files head their
columns with and never change; a screen puts words for them, and formats by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from errors import InvalidInput
from models import Source, Team, User
from reports import backlog
from reports.figures import NONE, Asked, By, Report, Row, report
from triage.measures import How, Measure

Value = int | float | str | datetime | None
LATE_NOW, OVERDUE = "late_now", "overdue_now"  # counted of what is so now, whatever the period


class Unit(Enum):
    text = "text"
    count = "count"
    seconds = "seconds"
    share = "share"  # from 0 to 1
    instant = "instant"
    money = "money"
    flag = "flag"


@dataclass(frozen=True)
class Column:
    """``measure``: which samples lie behind a figure, so that it can be opened; ``hows``: which of them, all if none.

    ``late``: only those that were, or were not, after their target. ``outside``: those wholly outside opening hours.
    """

    name: str
    unit: Unit
    value: Callable[[Row], Value]
    measure: Measure | None = None
    hows: tuple[str, ...] = ()
    late: bool | None = None
    outside: bool = False


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    report: Report

    def values(self, row: Row) -> list[Value]:
        return [column.value(row) for column in self.columns]


def _timed(name: str, measure: Measure) -> tuple[Column, ...]:
    """Number, median, p90, share in time; the mean only beside them, and how many count as nothing in opening hours."""

    def outside(row: Row) -> Value:
        timing = row.timing(measure)
        return None if timing.hidden else timing.outside_hours

    return (
        Column(f"{name}_n", Unit.count, lambda row: row.timing(measure).n, measure),
        Column(f"{name}_median_s", Unit.seconds, lambda row: row.timing(measure).median_s, measure),
        Column(f"{name}_p90_s", Unit.seconds, lambda row: row.timing(measure).p90_s, measure),
        Column(f"{name}_within_target", Unit.share, lambda row: row.timing(measure).within_target, measure, late=False),
        Column(f"{name}_mean_s", Unit.seconds, lambda row: row.timing(measure).mean_s, measure),
        Column(f"{name}_outside_hours", Unit.count, outside, measure, outside=True),
    )


def _spent(name: str, measure: Measure) -> tuple[Column, ...]:
    """The same of what has no target."""
    return tuple(column for column in _timed(name, measure) if column.late is None)


def _targets(name: str, measure: Measure) -> tuple[Column, ...]:
    """Of those that had a target: in time or not. Nothing where the times of one person are kept back."""

    def met(row: Row) -> Value:
        return None if row.timing(measure).hidden else row.timing(measure).within

    def missed(row: Row) -> Value:
        timing = row.timing(measure)
        return None if timing.hidden else timing.targeted - timing.within

    def targeted(row: Row) -> Value:
        return None if row.timing(measure).hidden else row.timing(measure).targeted

    return (
        Column(f"{name}_with_target", Unit.count, targeted),
        Column(f"{name}_met", Unit.count, met, measure, late=False),
        Column(f"{name}_missed", Unit.count, missed, measure, late=True),
        Column(f"{name}_within_target", Unit.share, lambda row: row.timing(measure).within_target, measure, late=False),
    )


def _count(name: str, measure: Measure, *hows: str) -> Column:
    return Column(name, Unit.count, lambda row: row.count(measure, *hows), measure, hows)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


WAITING = (
    Column("still_waiting", Unit.count, lambda row: row.still_waiting),
    Column("oldest_waiting_since", Unit.instant, lambda row: row.oldest),
)


def _response_times(asked: Asked) -> tuple[Column, ...]:
    return (
        _count("received", Measure.received),
        Column("answered", Unit.count, lambda row: row.timing(asked.first).n, asked.first),
        *WAITING,
        *_timed("first_response", asked.first),
        *_timed("next_response", Measure.next_response),
        *_timed("resolution", Measure.resolution),
    )


def _volume(asked: Asked) -> tuple[Column, ...]:
    def ignored(row: Row) -> Value:
        """Who put a case away is not to whom it was given: of what was received by a person it is no share."""
        if asked.by is By.assignee and row.key is not None:
            return None
        return _share(row.count(Measure.ignored), row.count(Measure.received))

    return (
        _count("received", Measure.received),
        _count("mentions", Measure.mention),
        _count("ignored", Measure.ignored),
        Column("ignored_share", Unit.share, ignored, Measure.ignored),
        _count("answers", Measure.answer),
        _count("answers_gensvar", Measure.answer, How.gensvar),
        _count("answers_network", Measure.answer, How.network),
        _count("answers_elsewhere", Measure.answer, How.elsewhere),
        _count("answers_shared", Measure.answer, How.shared),
    )


def _team(asked: Asked) -> tuple[Column, ...]:
    return (
        _count("received", Measure.received),
        _count("answers", Measure.answer),
        _count("closings", Measure.closing),
        _count("ignored", Measure.ignored),
        *WAITING,
        *_spent("assigned", Measure.assigned),
        *_spent("active", Measure.active),
    )


def _sla(asked: Asked) -> tuple[Column, ...]:
    return (
        *_targets("first_response", Measure.first_response),
        *_targets("next_response", Measure.next_response),
        *_targets("resolution", Measure.resolution),
        Column(LATE_NOW, Unit.count, lambda row: row.counts.get(LATE_NOW, 0)),
        *WAITING,
    )


def _resolution(asked: Asked) -> tuple[Column, ...]:
    def touched(how: How) -> Callable[[Row], Value]:
        return lambda row: _share(row.count(Measure.resolution, how), row.count(Measure.resolution))

    def reopened(row: Row) -> Value:
        return _share(row.count(Measure.closing, How.reopened), row.count(Measure.closing))

    zero, one = (How.zero_touch,), (How.one_touch,)
    return (
        *_spent("first_resolution", Measure.first_resolution),
        *_timed("resolution", Measure.resolution),
        *_spent("active", Measure.active),
        _count("zero_touch", Measure.resolution, *zero),
        Column("zero_touch_share", Unit.share, touched(How.zero_touch), Measure.resolution, zero),
        _count("one_touch", Measure.resolution, *one),
        Column("one_touch_share", Unit.share, touched(How.one_touch), Measure.resolution, one),
        _count("closings", Measure.closing),
        _count("reopened", Measure.closing, How.reopened),
        Column("reopen_rate", Unit.share, reopened, Measure.closing, (How.reopened,)),
        _count("touchless_reopened", Measure.closing, How.touchless),
    )


def _backlog(asked: Asked) -> tuple[Column, ...]:
    """No measure: what lay there then is in ``Backlog.cases``."""
    return (
        Column("midnight", Unit.text, backlog.midnight_of),
        Column("unfinished", Unit.count, lambda row: _lying(row, *backlog.STATES)),
        *(Column(state, Unit.count, partial(_state, state)) for state in backlog.STATES),
        Column("oldest_since", Unit.instant, lambda row: row.oldest),
    )


def _state(state: str, row: Row) -> Value:
    return _lying(row, state)


def _lying(row: Row, *states: str) -> Value:
    """None where nothing was stored: nobody knows what lay there then."""
    if backlog.midnight_of(row) is None:
        return None
    return sum(row.counts.get(state, 0) for state in states)


def _promises(asked: Asked) -> tuple[Column, ...]:
    def overdue(row: Row) -> int:
        return row.counts.get(OVERDUE, 0)

    def kept(row: Row) -> Value:
        return _share(row.count(Measure.promise, How.kept), _settled(row) + overdue(row))

    def _settled(row: Row) -> int:
        return row.count(Measure.promise, How.kept, How.kept_late, How.dropped)

    return (
        _count("promises", Measure.promise),
        _count("kept", Measure.promise, How.kept),
        _count("kept_late", Measure.promise, How.kept_late),
        _count("dropped", Measure.promise, How.dropped),
        _count("still_open", Measure.promise, How.open),
        Column("overdue_now", Unit.count, overdue),  # of those still open
        Column("kept_share", Unit.share, kept, Measure.promise, (How.kept,)),
    )


REPORTS: Mapping[str, tuple[Callable[[Asked], tuple[Column, ...]], tuple[Measure, ...]]] = {
    "response-times": (
        _response_times,
        (Measure.received, Measure.first_response, Measure.next_response, Measure.resolution),
    ),
    "volume": (_volume, (Measure.received, Measure.mention, Measure.ignored, Measure.answer)),
    "team": (
        _team,
        (Measure.received, Measure.answer, Measure.closing, Measure.ignored, Measure.assigned, Measure.active),
    ),
    "sla": (_sla, (Measure.first_response, Measure.next_response, Measure.resolution)),
    "resolution": (_resolution, (Measure.first_resolution, Measure.resolution, Measure.active, Measure.closing)),
    "backlog": (_backlog, ()),
    "promises": (_promises, (Measure.promise,)),
}


def build(db: Session, name: str, asked: Asked, at: datetime) -> Table:
    """The table of one report; ``name`` is one of ``REPORTS``. ``at``: now, for what is late by now."""
    columns, measures = REPORTS[name]
    if name == "sla":  # targets run from publication, whatever else is looked at
        asked = replace(asked, seen=False)
    if name == "backlog":
        return Table(columns(asked), backlog.report(db, asked, at))
    found = report(db, asked, measures)
    if name == "sla":
        found = _also(found, LATE_NOW, backlog.late_now(db, asked, at))
    if name == "promises":
        found = _also(found, OVERDUE, backlog.overdue(db, asked, at))
    return Table(columns(asked), found)


def _also(found: Report, name: str, counts: Mapping[str | None, int]) -> Report:
    """With one more figure in each line; None: in all."""

    def add(row: Row) -> Row:
        return replace(row, counts={**row.counts, name: counts.get(row.key, 0)})

    return replace(found, rows=tuple(add(row) for row in found.rows), total=add(found.total))


def own_lines(report: Report, email: str) -> Report:
    """By person, what is shown to whoever leads nobody: their own line, what is nobody's, and the total."""
    if report.asked.by is not By.assignee:
        return report
    return replace(report, rows=tuple(row for row in report.rows if row.key in (email, NONE)))


def check_names(db: Session, asked: Asked) -> None:
    """Raises ``InvalidInput`` where a report is narrowed to what there is not: its figures would be wrongly nothing."""
    for field, names, known in (
        ("source", asked.source, Source.name),
        ("team", asked.team, Team.name),
        ("assignee", asked.assignee, User.email),
    ):
        if missing := set(names) - {NONE, *db.scalars(select(known).where(known.in_(names)))}:
            listed = ", ".join(sorted(missing))
            raise InvalidInput(f"There is no {field} named {listed}.", {field: f"there is no {listed}"})
