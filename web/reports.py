"""The screens of the reports: what is asked for, the frame they share, and the figures as tables and charts.

Every figure comes from ``reports.figures``; every one that counts something opens what it counted (``/reports/cases``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, abort, make_response, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from models import Role, User
from reports.figures import NONE, Asked, By, Clock, Report, Row
from reports.tables import Column, Table, Unit, Value
from triage import samples
from triage.measures import VERSION
from web import finding, report_words
from web.context import house, is_at_least, now, user, zone
from web.i18n import gettext as _

pages = Blueprint("reports", __name__, url_prefix="/reports")

CAUGHT_UP = 200  # cases measured before a page is drawn; the rest is said to be still counted
MANY = 1000  # "more than"
FILTERS = ("channel", "source", "team", "assignee", "kind", "tag", "category", "language")
NAMED = ("by", "clock", "start", "imported", "compare", "period", "from", "to", "until", *FILTERS)
FIRST_YEAR, LAST_YEAR = 2000, 2200


@dataclass(frozen=True)
class Tab:
    """``managers``: only they see it."""

    endpoint: str
    words: Callable[[], str]
    managers: bool = False


TABS: list[Tab] = [
    Tab("reports.overview", lambda: _("Overview")),
]


# -- what is asked for -----------------------------------------------------------------------------------------------

PERIODS: Mapping[str, Callable[[], str]] = {
    "last-30-days": lambda: _("Last 30 days"),
    "this-week": lambda: _("This week"),
    "last-week": lambda: _("Last week"),
    "this-month": lambda: _("This month"),
    "last-month": lambda: _("Last month"),
    "this-quarter": lambda: _("This quarter"),
    "this-year": lambda: _("This year"),
}


def period(name: str, today: date) -> tuple[date, date]:
    """The first day, and the day after the last; what is not over yet goes to today."""
    tomorrow = today + timedelta(days=1)
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    return {
        "last-30-days": (tomorrow - timedelta(days=30), tomorrow),
        "this-week": (monday, tomorrow),
        "last-week": (monday - timedelta(days=7), monday),
        "this-month": (first, tomorrow),
        "last-month": ((first - timedelta(days=1)).replace(day=1), first),
        "this-quarter": (first.replace(month=(first.month - 1) // 3 * 3 + 1), tomorrow),
        "this-year": (today.replace(month=1, day=1), tomorrow),
    }[name]


def asked_from(args: MultiDict[str, str]) -> Asked:
    """What an address asks for: a ``period`` by name, or ``from`` and ``to`` (``until``: the same, inclusive) …

    Raises ``InvalidInput``; ``Forbidden`` where it is about another person and who asks may not see that.
    """
    start, end = _days(args)
    chosen: dict[str, Any] = {name: tuple(dict.fromkeys(filter(None, args.getlist(name)))) for name in FILTERS}
    chosen["assignee"] = tuple(user().email if each == "me" else each for each in chosen["assignee"])
    asked = Asked(
        start,
        end,
        by=_one(args, "by", By),
        clock=_one(args, "clock", Clock) or Clock.calendar,
        seen=args.get("start") == "seen",
        imported=args.get("imported") == "include",
        **chosen,
    )
    if any(each != user().email for each in asked.assignee) and not is_at_least(Role.manager):
        abort(403, _("Only managers see the figures of other people."))
    return asked


def _days(args: MultiDict[str, str]) -> tuple[date, date]:
    today = now().astimezone(zone()).date()
    begins, ends, last = (_day(args, name) for name in ("from", "to", "until"))
    if begins is None and ends is None and last is None:
        name = args.get("period") or next(iter(PERIODS))
        if name not in PERIODS:
            raise InvalidInput(_("There is no such period."), {"period": ", ".join(PERIODS)})
        return period(name, today)
    end = ends or (last + timedelta(days=1) if last else today + timedelta(days=1))
    start = begins or end - timedelta(days=30)
    if end <= start:
        raise InvalidInput(_("The period is empty: its last day lies before its first."), {"to": _("must be later")})
    return start, end


def _day(args: MultiDict[str, str], name: str) -> date | None:
    text = args.get(name, "").strip()
    if not text:
        return None
    try:
        given = date.fromisoformat(text)
        if not FIRST_YEAR <= given.year < LAST_YEAR:
            raise ValueError
    except ValueError:
        raise InvalidInput(_("That is not a date."), {name: "2026-11-27"}) from None
    return given


def _one(args: MultiDict[str, str], name: str, kind: Any) -> Any:
    text = args.get(name)
    if not text:
        return None
    if text not in list(kind):
        raise InvalidInput(_("That cannot be chosen."), {name: ", ".join(kind)})
    return kind(text)


def as_args(asked: Asked, **more: Any) -> dict[str, Any]:
    """What asks for the same, as ``url_for`` takes it: its days, not the name of the period."""
    found: dict[str, Any] = {"from": asked.start.isoformat(), "to": asked.end.isoformat()}
    found |= {name: list(values) for name in FILTERS if (values := getattr(asked, name))}
    found |= {"by": asked.by.value} if asked.by else {}
    found |= {"clock": "business"} if asked.clock is Clock.business else {}
    found |= {"start": "seen"} if asked.seen else {}
    found |= {"imported": "include"} if asked.imported else {}
    return found | more


def kept(*without: str) -> dict[str, list[str]]:
    """What this address asks for, for another report: a period that has a name keeps it."""
    lists = request.args.to_dict(flat=False)
    return {
        name: [value for value in values if value]
        for name, values in lists.items()
        if name in NAMED and name not in without and any(values)
    }


# -- the frame -------------------------------------------------------------------------------------------------------


@contextmanager
def reading() -> Iterator[Session]:
    """A session in which what has just happened is measured."""
    samples.catch_up(house().database, most=CAUGHT_UP)
    with house().database.read() as db:
        yield db


def frame(db: Session | None, asked: Asked | None, *, groups: Sequence[By] = ()) -> dict[str, Any]:
    """What ``reports_base.html`` wants. ``groups``: what the page can be grouped by."""
    uncounted = samples.waiting(db, MANY + 1) if db is not None else 0
    return {
        "asked": asked,
        "kept": kept,
        "tabs": [tab for tab in TABS if not tab.managers or is_at_least(Role.manager)],
        "periods": {name: words() for name, words in PERIODS.items()},
        "chosen_period": _chosen_period(),
        "groups": groups,
        "fields": _fields(db) if db is not None else [],
        "uncounted": uncounted,
        "many": MANY,
        "definitions": VERSION,
        "words": report_words,
        "last_day": asked.end - timedelta(days=1) if asked else None,
        "As": {"By": By, "Clock": Clock},
    }


def _chosen_period() -> str:
    """The name of the period asked for; empty for days of one's own."""
    if any(request.args.get(name) for name in ("from", "to", "until")):
        return ""
    return request.args.get("period") or next(iter(PERIODS))


def _fields(db: Session) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What a report can be narrowed to: name in the address, label, choices."""
    found = [each for each in finding.filters(db) if each[0] in FILTERS]
    if is_at_least(Role.manager):
        return found
    return [(name, label, choices[:1] if name == "assignee" else choices) for name, label, choices in found]  # me alone


@pages.errorhandler(InvalidInput)
def wrong(error: InvalidInput) -> BaseResponse:
    """The page without figures, what was typed, and what is wrong with it."""
    shown = render_template("reports_wrong.html", **frame(None, None), message=str(error), fields_wrong=error.fields)
    return make_response(shown, 422)


def people(db: Session) -> dict[str, str]:
    """E-mail -> name."""
    return {email: name for email, name in db.execute(select(User.email, User.name))}


def own_lines(report: Report) -> Report:
    """By person, whoever is no manager sees their own line and the total."""
    if report.asked.by is not By.assignee or is_at_least(Role.manager):
        return report
    return replace(report, rows=tuple(row for row in report.rows if row.key in (user().email, NONE)))


# -- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """Of a column. ``anchor``: where it is explained. ``clock``: of two columns of one time, in which it is counted."""

    words: str
    anchor: str
    clock: str | None = None


@dataclass(frozen=True)
class Cell:
    words: str
    address: str | None = None


@dataclass(frozen=True)
class Line:
    label: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Grid:
    """A table as a page shows it: the lines of a report for the columns that go together."""

    id: str
    title: str
    first: str
    heads: Sequence[Head]
    lines: Sequence[Line]
    total: Line


def grids(table: Table, other: Table | None = None, *, names: Mapping[str, str] | None = None) -> list[Grid]:
    """A table of ``reports.tables`` in blocks: one for each time, one for what is counted.

    ``other``: the same with the other clock; then each time stands there twice, side by side. ``names``: ``people``.
    """
    asked = table.report.asked
    rows = [*table.report.rows, table.report.total]
    beside = {row.key: row for row in (*other.report.rows, other.report.total)} if other else {}
    found = []
    for timed, together in groupby(table.columns, key=lambda column: report_words.split(column.name)[0]):
        columns = list(together)
        lines = []
        for row in rows:
            cells: list[Cell] = []
            for column in columns:
                address = behind_address(asked, row.key, column) if column.value(row) else None
                given = [column.value(row)]
                if column.unit is Unit.seconds and other:
                    twin = beside.get(row.key)
                    given = _both(asked, given[0], column.value(twin) if twin else None)
                cells += [Cell(_written(column, each, row), address if each is not None else None) for each in given]
            lines.append(Line(report_words.key(asked.by, row.key, names), cells))
        found.append(
            Grid(
                (timed or columns[0].name).replace("_", "-"),
                report_words.block(timed),
                report_words.by(asked.by) if asked.by else "",
                list(_heads(columns, both=other is not None)),
                lines[:-1],
                lines[-1],
            )
        )
    return found


def _both(asked: Asked, mine: Value, theirs: Value) -> list[Value]:
    """Around the clock first."""
    return [mine, theirs] if asked.clock is Clock.calendar else [theirs, mine]


def _heads(columns: Sequence[Column], *, both: bool) -> Iterator[Head]:
    for column in columns:
        words, anchor = report_words.column(column.name), report_words.anchor(column.name)
        if column.unit is Unit.seconds and both:
            for clock in Clock:
                yield Head(words, anchor, report_words.clock(clock))
        else:
            yield Head(words, anchor)


def _written(column: Column, given: Value, row: Row) -> str:
    if given is None and column.measure and row.timing(column.measure).hidden:
        return _("kept back")
    return report_words.value(column.unit, given, now())


def behind_address(asked: Asked, key: str | None, column: Column) -> str | None:
    """Where what lies behind a figure is listed; None for what is no number of cases."""
    return None


@pages.get("")
def overview() -> str:
    asked = asked_from(request.args)
    with reading() as db:
        return render_template("reports.html", **frame(db, asked))


@pages.get("/definitions")
def definitions() -> str:
    return render_template("reports_definitions.html", **frame(None, None))
