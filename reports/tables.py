"""Reports as tables: what a screen, a file, the API and the command show of the same figures.

A report has a name (``REPORTS``); ``build`` gives its table for a period. Column names are what files head their
columns with and never change; a screen puts words for them, and formats by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy.orm import Session

from reports.figures import Asked, Report, Row, report
from triage.measures import Measure

Value = int | float | str | datetime | None


class Unit(Enum):
    text = "text"
    count = "count"
    seconds = "seconds"
    share = "share"  # from 0 to 1
    instant = "instant"
    money = "money"


@dataclass(frozen=True)
class Column:
    """``measure``: which samples lie behind a figure, so that it can be opened; ``hows``: which of them, all if none.

    ``late``: only those that were, or were not, after their target.
    """

    name: str
    unit: Unit
    value: Callable[[Row], Value]
    measure: Measure | None = None
    hows: tuple[str, ...] = ()
    late: bool | None = None


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    report: Report

    def values(self, row: Row) -> list[Value]:
        return [column.value(row) for column in self.columns]


def _timed(name: str, measure: Measure) -> tuple[Column, ...]:
    """Number, median, p90, share in time; the mean only beside them."""
    return (
        Column(f"{name}_n", Unit.count, lambda row: row.timing(measure).n, measure),
        Column(f"{name}_median_s", Unit.seconds, lambda row: row.timing(measure).median_s, measure),
        Column(f"{name}_p90_s", Unit.seconds, lambda row: row.timing(measure).p90_s, measure),
        Column(f"{name}_within_target", Unit.share, lambda row: row.timing(measure).within_target, measure, late=False),
        Column(f"{name}_mean_s", Unit.seconds, lambda row: row.timing(measure).mean_s, measure),
    )


def _response_times(asked: Asked) -> tuple[Column, ...]:
    return (
        Column("received", Unit.count, lambda row: row.count(Measure.received), Measure.received),
        Column("answered", Unit.count, lambda row: row.timing(asked.first).n, asked.first),
        Column("still_waiting", Unit.count, lambda row: row.still_waiting),
        Column("oldest_waiting_since", Unit.instant, lambda row: row.oldest),
        *_timed("first_response", asked.first),
        *_timed("next_response", Measure.next_response),
        *_timed("resolution", Measure.resolution),
    )


REPORTS: Mapping[str, tuple[Callable[[Asked], tuple[Column, ...]], tuple[Measure, ...]]] = {
    "response-times": (
        _response_times,
        (Measure.received, Measure.first_response, Measure.next_response, Measure.resolution),
    ),
}


def build(db: Session, name: str, asked: Asked) -> Table:
    """The table of one report; ``name`` is one of ``REPORTS``."""
    columns, measures = REPORTS[name]
    return Table(columns(asked), report(db, asked, measures))
