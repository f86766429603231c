"""The screens of the reports: what is asked for, the frame they share, and the figures as tables and charts.

Every figure comes from ``reports.figures``; every one that counts something opens what it counted (``/reports/cases``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, g, make_response, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from models import Role, User
from reports import behind, figures, tables
from reports.backlog import STATES, midnight_of
from reports.figures import FILTERS, NONE, Asked, By, Clock, Report, Row
from reports.tables import Column, Table, Unit, Value
from triage import samples
from triage.measures import VERSION, Measure
from web import charts, finding, report_words
from web.context import house, is_at_least, now, user, whole_number, zone
from web.i18n import day_name, ngettext, number, percent
from web.i18n import gettext as _

pages = Blueprint("reports", __name__, url_prefix="/reports")

CAUGHT_UP = 200  # cases measured before a page is drawn; the rest is said to be still counted
MANY = 1000  # "more than"
LINES = 200  # of a table on a page
NAMED = ("by", "clock", "start", "imported", "compare", "period", "from", "to", "until", *FILTERS)
FIRST_YEAR, LAST_YEAR = 2000, 2200


@dataclass(frozen=True)
class Tab:
    """``managers``: only they see it."""

    endpoint: str
    words: Callable[[], str]
    managers: bool = False


TABS: list[Tab] = [  # other modules of reports add theirs here
    Tab("reports.overview", lambda: _("Overview")),
    Tab("reports.response_times", lambda: _("Response times")),
    Tab("reports.resolution", lambda: _("Resolution")),
    Tab("reports.volume", lambda: _("Volume")),
    Tab("reports.team", lambda: _("Team")),
    Tab("reports.sla", lambda: _("Targets")),
    Tab("reports.backlog_page", lambda: _("Backlog")),
    Tab("reports.promises", lambda: _("Promises")),
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


def again(**changes: Any) -> str:
    """This address with something else in it; None takes it out."""
    given = request.args.to_dict(flat=False) | changes
    return url_for(request.endpoint or "", **{name: value for name, value in given.items() if value is not None})


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
        "again": again,
        "as_args": as_args,
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
    with house().database.read() as db:
        known = frame(db, None)
    shown = render_template("reports_wrong.html", **known, message=str(error), fields_wrong=error.fields)
    return make_response(shown, 422)


def people(db: Session) -> dict[str, str]:
    """E-mail -> name."""
    return {email: name for email, name in db.execute(select(User.email, User.name))}


def own_lines(report: Report) -> Report:
    """By person, whoever is no manager sees their own line and the total."""
    return report if is_at_least(Role.manager) else tables.own_lines(report, user().email)


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


@dataclass(frozen=True)
class Part:
    """Which lines of many a page shows, and from which the next one would."""

    first: int
    last: int
    whole: int
    more: int | None


def part_of(report: Report) -> Part:
    """``rows`` in the address: from which line on."""
    whole = len(report.rows)
    start = min(whole_number("rows") or 0, whole)
    end = min(start + LINES, whole)
    return Part(start + 1, end, whole, end if end < whole else None)


def grids(table: Table, other: Table | None = None, *, names: Mapping[str, str] | None = None) -> list[Grid]:
    """A table of ``reports.tables`` in blocks: one for each time, one for what is counted.

    ``other``: the same with the other clock; then each time stands there twice, side by side. ``names``: ``people``.
    """
    asked = table.report.asked
    part = part_of(table.report)
    rows = [*table.report.rows[part.first - 1 : part.last], table.report.total]
    beside = {row.key: row for row in (*other.report.rows, other.report.total)} if other else {}
    found = []
    for block, together in groupby(table.figures, key=lambda column: column.block):
        columns = list(together)
        known = {row.key for row in table.lines_of(columns)} | {None}
        lines = []
        for row in (each for each in rows if each.key in known):
            cells: list[Cell] = []
            for column in columns:
                address = behind_address(asked, row.key, column, night_of(row)) if column.value(row) else None
                given = [column.value(row)]
                if column.unit is Unit.seconds and other:
                    twin = beside.get(row.key)
                    given = _both(asked, given[0], column.value(twin) if twin else None)
                cells += [Cell(_written(column, each, row), address if each is not None else None) for each in given]
            lines.append(Line(report_words.line(table, row, names), cells))
        found.append(
            Grid(
                (block or columns[0].name).replace("_", "-"),
                report_words.block(block),
                report_words.first(table),
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
        of = (column.name, column.block)
        words, anchor = report_words.column(*of), report_words.anchor(*of)
        if column.unit is Unit.seconds and both:
            for clock in Clock:
                yield Head(words, anchor, report_words.clock(clock))
        else:
            yield Head(words, anchor)


def _written(column: Column, given: Value, row: Row) -> str:
    if given is None and column.measure and row.timing(column.measure).hidden:
        return _("kept back")
    return report_words.figure_of(column, given, now())


def behind_address(asked: Asked, key: str | None, column: Column, night: date | None = None) -> str | None:
    """Where what a figure counts is listed; None for what counts no cases."""
    found = behind.of_column(asked, key, column, night)
    return behind_of(found) if found else None


def behind_of(wanted: behind.Wanted) -> str:
    if "cases_at" not in g:  # a page has hundreds of these
        g.cases_at = url_for("reports.cases")
    return f"{g.cases_at}?{urlencode(as_args(wanted.asked, **behind.as_args(wanted)), doseq=True)}"


# -- compared --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Then:
    """A figure of an earlier period, and how it went since."""

    words: str
    change: str
    address: str | None = None


@dataclass(frozen=True)
class Compared:
    """One figure now and then."""

    words: str
    anchor: str
    now: str
    address: str | None
    then: Sequence[Then]


def earlier(asked: Asked) -> list[Asked]:
    """The period before, and the same a year ago; none where they are not wanted."""
    if request.args.get("compare") == "off":
        return []
    return [replace(asked.previous(), by=None), replace(asked.year_ago(), by=None)]


# What is so now was never so then; answered is the number of first responses; the mean is not to be looked at alone.
NOT_COMPARED = (
    "answered", "still_waiting", "oldest_waiting_since", "late_now", "overdue_now", "midnight", "oldest_since",
)  # fmt: skip


def compared(table: Table, before: Sequence[Table]) -> list[Compared]:
    """The totals of a table beside those of earlier periods."""
    found = []
    for column, *others in zip(table.columns, *(each.columns for each in before), strict=True):
        if column.name in NOT_COMPARED or column.name.endswith("_mean_s"):
            continue
        row, timed = table.report.total, column.block
        given = column.value(row)
        then = [
            _then(column, given, other.value(each.report.total), each)
            for other, each in zip(others, before, strict=True)
        ]
        words = report_words.column(column.name)
        if timed:
            words = f"{report_words.block(timed)}: {words}"
        address = behind_address(table.report.asked, None, column, night_of(row)) if given else None
        found.append(Compared(words, report_words.anchor(column.name), _written(column, given, row), address, then))
    return found


def _then(column: Column, given: Value, was: Value, table: Table) -> Then:
    if any(each.name == "midnight" for each in table.columns) and night_of(table.report.total) is None:
        was = None  # nothing was stored then, which is not that nothing lay there
    words = _written(column, was, table.report.total)
    change = ""
    if isinstance(given, int | float) and isinstance(was, int | float):
        change = report_words.change(column.unit, given, was)
    total = table.report.total
    return Then(words, change, behind_address(table.report.asked, None, column, night_of(total)) if was else None)


def night_of(row: Row) -> date | None:
    """The midnight that a line of the backlog is about."""
    found = midnight_of(row)
    return date.fromisoformat(found) if found else None


# -- over time -------------------------------------------------------------------------------------------------------


def step(asked: Asked) -> By:
    """What a chart of the period has along its foot."""
    days = (asked.end - asked.start).days
    return By.day if days <= 45 else By.week if days <= 200 else By.month


def steps(by: By, rows: Sequence[Row], asked: Asked) -> list[date]:
    """Every day, week or month of the period; in one far longer than its figures: as far as they reach."""
    known = sorted(date.fromisoformat(row.key) for row in rows if row.key)
    first, last = asked.start, asked.end - timedelta(days=1)
    if by is By.month and (last - first).days > 366 * 5:
        first, last = (known[0], known[-1]) if known else (last, last)
    found, at = [], _begin(by, first)
    while at <= last:
        found.append(at)
        at = _begin(by, at + timedelta(days={By.day: 1, By.week: 7}.get(by, 31)))
    return found


def _begin(by: By, on: date) -> date:
    if by is By.month:
        return on.replace(day=1)
    return on - timedelta(days=on.weekday()) if by is By.week else on


Draw = Callable[..., charts.Chart]


def over_time(
    draw: Draw,
    id: str,
    title: str,
    report: Report,
    *shown: tuple[str, Column],
    nights: bool = False,
    tick: Callable[[float], str] | None = None,
) -> charts.Chart:
    """A chart of a report by day, week or month: of each ``shown`` its name and its column. Gaps count as nothing,
    or, of times and of midnights, as not known."""
    asked, by = report.asked, report.asked.by
    assert by is not None
    rows = {row.key: row for row in report.rows}
    days = steps(by, report.rows, asked)
    blank: dict[str, Row] = {day.isoformat(): Row(day.isoformat()) for day in days}
    series = []
    for name, column in shown:
        timed = column.unit is Unit.seconds or nights
        values: list[float | None] = []
        words: list[str] = []
        addresses: list[str | None] = []
        for day in days:
            row = rows.get(day.isoformat())
            given = column.value(row or blank[day.isoformat()]) if row or not timed else None
            values.append(given if isinstance(given, int | float) else None)
            nothing = _("not stored") if row and nights else _("none")
            words.append(_written(column, given, row or blank[day.isoformat()]) or nothing)
            night = night_of(row) if row and nights else None
            addresses.append(behind_address(asked, day.isoformat(), column, night) if given else None)
        series.append(charts.Series(name, values, words, addresses))
    labels = [report_words.dated(by, day) for day in days]
    short = [report_words.dated_short(by, day) for day in days]
    chart = draw(id, title, report_words.by(by), labels, series, short=short, tick=tick)
    absent = {key for key, row in rows.items() if nights and night_of(row) is None}
    return charts.with_unknown(chart, [place for place, day in enumerate(days) if day.isoformat() in absent])


# -- the pages -------------------------------------------------------------------------------------------------------


def _column(table_of: str, asked: Asked, name: str) -> Column:
    """A column of a table, for what is drawn of it."""
    return next(column for column in tables.REPORTS[table_of].columns(asked) if column.name == name)


def both(db: Session, name: str, asked: Asked) -> tuple[Table, Table | None]:
    """The table, and the same with the other clock where it has times that were measured."""
    table = tables.build(db, name, asked, now())
    table = replace(table, report=own_lines(table.report))
    timed = [column.measure for column in table.columns if column.unit is Unit.seconds and column.measure]
    if not timed:
        return table, None
    asked = table.report.asked
    other = Clock.calendar if asked.clock is Clock.business else Clock.business
    return table, replace(table, report=figures.report(db, replace(asked, clock=other), dict.fromkeys(timed)))


@dataclass(frozen=True)
class Kind:
    """A report that has a page. ``usual``: what it is grouped by unless one says otherwise."""

    title: Callable[[], str]
    about: Callable[[], str]
    usual: By
    charts: Callable[[Session, Asked, Table], dict[str, Any]]


def _page(name: str) -> str:
    kind = KINDS[name]
    asked = asked_from(request.args)
    if asked.by is None:
        asked = replace(asked, by=kind.usual)
    with reading() as db:
        table, other = both(db, name, asked)
        before = earlier(asked)
        were = [tables.build(db, name, each, now()) for each in before]
        return render_template(
            "reports_table.html",
            **frame(db, asked, groups=list(By)),
            name=name,
            title=kind.title(),
            about=kind.about(),
            grids=grids(table, other, names=people(db) if asked.by is By.assignee else None),
            compared=compared(table, were) if were else [],
            before=before,
            part=part_of(table.report),
            only_own=asked.by is By.assignee and not is_at_least(Role.manager),
            **kind.charts(db, asked, table),
        )


def _by_step(db: Session, asked: Asked, table: Table, *measures: Measure) -> Report:
    """What a chart over time is made of: the table itself, where that is by the same steps."""
    by = step(asked)
    return table.report if asked.by is by else figures.report(db, replace(asked, by=by), measures)


def _draw_response_times(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    times = _by_step(db, asked, table, asked.first)
    one = partial(_column, "response-times", asked)
    shown = _ranked(times, one("first_response_median_s"), one("first_response_p90_s"))
    chart = over_time(charts.lines, "response", _("First response over time"), times, *shown, tick=charts.duration_tick)
    hidden = table.report.total.timing(asked.first).hidden
    return {"charts": [chart], "spread": None if hidden else _spread(db, asked)}


def _ranked(times: Report, median: Column, p90: Column) -> list[tuple[str, Column]]:
    """What a line is drawn of: the 90th percentile only where most days have one, else it is a few lonely points."""
    known = [[row for row in times.rows if column.value(row) is not None] for column in (median, p90)]
    often = len(known[1]) * 2 > len(known[0])
    return [(_("Median"), median), *([(_("90th percentile"), p90)] if often else [])]


def _spread(db: Session, asked: Asked) -> dict[str, Any]:
    """How many first responses took how long."""
    found = figures.buckets(db, asked, asked.first)
    whole = sum(found)
    items = [
        charts.Item(
            label,
            n,
            number(n),
            behind_of(behind.Wanted(replace(asked, by=None), asked.first, bucket=place)) if n else None,
            (percent(n / whole) if whole else "",),
        )
        for place, (label, n) in enumerate(zip(report_words.buckets(), found, strict=True))
    ]
    return {"title": _("How long first responses took"), "lines": charts.bars(items)}


def _draw_resolution(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    times = _by_step(db, asked, table, Measure.resolution, Measure.closing)
    one = partial(_column, "resolution", asked)
    shown = _ranked(times, one("resolution_median_s"), one("resolution_p90_s"))
    took = over_time(
        charts.lines, "resolution-time", _("Full resolution over time"), times, *shown, tick=charts.duration_tick
    )
    closed = over_time(
        charts.columns, "closed", _("Closed, and opened again"), times,
        (_("Closed"), one("closings")), (_("Opened again"), one("reopened")),
    )  # fmt: skip
    return {"charts": [took, closed]}


def _draw_volume(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    times = _by_step(db, asked, table, Measure.received, Measure.answer)
    one = partial(_column, "volume", asked)
    chart = over_time(
        charts.columns, "received", _("Received and answered over time"), times,
        (_("Received"), one("received")), (_("Answers"), one("answers")),
    )  # fmt: skip
    return {"charts": [chart], "heat": _heat(db, asked)}


def _heat(db: Session, asked: Asked) -> dict[str, Any]:
    """What was received, on each weekday in each hour."""
    asked = replace(asked, by=None)
    found = figures.heat(db, asked, Measure.received)
    most = max(max(row) for row in found) or 1
    wanted = behind.Wanted(asked, Measure.received)

    def cell(n: int, **where: Any) -> dict[str, Any]:
        address = behind_of(replace(wanted, **where)) if n else None
        return {"n": n, "shade": charts.shade(n, most), "address": address}

    rows = [
        (day_name(day), [cell(n, weekday=day, hour=hour) for hour, n in enumerate(row)], cell(sum(row), weekday=day))
        for day, row in enumerate(found)
    ]
    hours = [cell(sum(row[hour] for row in found), hour=hour) for hour in range(24)]
    return {"rows": rows, "hours": hours, "total": cell(sum(map(sum, found)))}


def _draw_team(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    times = _by_step(db, asked, table, Measure.answer, Measure.closing)
    one = partial(_column, "team", asked)
    chart = over_time(
        charts.columns, "done", _("Answers and closed cases over time"), times,
        (_("Answers"), one("answers")), (_("Closed"), one("closings")),
    )  # fmt: skip
    return {"charts": [chart]}


def _draw_sla(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    asked = table.report.asked
    timed = (Measure.first_response, Measure.next_response, Measure.resolution)
    times = _by_step(db, asked, table, *timed)
    one = partial(_column, "sla", asked)
    return {
        "charts": [
            over_time(
                charts.stacked, f"targets-{each.value}", report_words.measure(each), times,
                (_("In time"), one(f"{each.value}_met")), (_("Late"), one(f"{each.value}_missed")),
            )
            for each in timed
        ]
    }  # fmt: skip


def _draw_backlog(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    times = tables.build(db, "backlog", replace(asked, by=step(asked)), now()).report
    one = partial(_column, "backlog", asked)
    chart = over_time(
        charts.stacked, "midnights", _("Unfinished at midnight"), times,
        *((report_words.column(state), one(state)) for state in STATES), nights=True,
    )  # fmt: skip
    return {"charts": [chart], "missing": table.report.missing}


def _draw_promises(db: Session, asked: Asked, table: Table) -> dict[str, Any]:
    times = _by_step(db, asked, table, Measure.promise)
    one = partial(_column, "promises", asked)
    chart = over_time(
        charts.stacked, "kept", _("Promises by the day they were for"), times,
        *((report_words.column(name), one(name)) for name in ("kept", "kept_late", "dropped", "still_open")),
    )  # fmt: skip
    return {"charts": [chart]}


KINDS: Mapping[str, Kind] = {
    "response-times": Kind(
        lambda: _("Response times"),
        lambda: _("Answers count on the day they were given, resolutions on the day of the close."),
        By.channel,
        _draw_response_times,
    ),
    "resolution": Kind(
        lambda: _("Resolution"),
        lambda: _("Counts on the day of the close."),
        By.channel,
        _draw_resolution,
    ),
    "volume": Kind(
        lambda: _("Volume"),
        lambda: _("Counts on the day we saw it; answers on the day they were given."),
        By.channel,
        _draw_volume,
    ),
    "team": Kind(
        lambda: _("Team"),
        lambda: _("Answers are credited to whoever sent them, closed cases to whoever closed them."),
        By.assignee,
        _draw_team,
    ),
    "sla": Kind(
        lambda: _("Targets"),
        lambda: _("What had a target, on the day it was answered or closed."),
        By.team,
        _draw_sla,
    ),
    "backlog": Kind(
        lambda: _("Backlog"),
        lambda: _("What was unfinished at midnight, as it was stored then. Days are not added up."),
        By.team,
        _draw_backlog,
    ),
    "promises": Kind(
        lambda: _("Promises"),
        lambda: _("Promises count on the day they were for."),
        By.team,
        _draw_promises,
    ),
}


@pages.get("/response-times")
def response_times() -> str:
    return _page("response-times")


@pages.get("/resolution")
def resolution() -> str:
    return _page("resolution")


@pages.get("/volume")
def volume() -> str:
    return _page("volume")


@pages.get("/team")
def team() -> str:
    return _page("team")


@pages.get("/sla")
def sla() -> str:
    return _page("sla")


@pages.get("/backlog")
def backlog_page() -> str:
    return _page("backlog")


@pages.get("/promises")
def promises() -> str:
    return _page("promises")


# -- the overview ----------------------------------------------------------------------------------------------------

OVERVIEW = (
    Measure.received, Measure.answer, Measure.first_response, Measure.next_response, Measure.resolution,
    Measure.closing,
)  # fmt: skip
TOP = 8  # lines of a group on the overview


@dataclass(frozen=True)
class Big:
    """A large number. ``also``: the same with the other clock; ``n``: of how many."""

    title: str
    anchor: str
    words: str
    address: str | None
    then: Sequence[tuple[str, Then]]
    also: str = ""
    n: str = ""
    waits: bool = False


@pages.get("")
def overview() -> str:
    asked = replace(asked_from(request.args), by=None)
    with reading() as db:
        times = figures.report(db, replace(asked, by=step(asked)), OVERVIEW)
        whole = Report(asked, (), times.total)
        other = Clock.calendar if asked.clock is Clock.business else Clock.business
        timed = [measure for measure in OVERVIEW if measure in figures.TIMED]
        beside = figures.report(db, replace(asked, clock=other), timed).total
        before = [figures.report(db, each, OVERVIEW) for each in earlier(asked)]
        one = partial(_column, "response-times", asked)
        return render_template(
            "reports.html",
            **frame(db, asked),
            bigs=_bigs(whole, beside, before, other),
            nothing=not any(report.total.counts for report in (whole, *before)),
            waiting=whole.total.still_waiting,
            oldest=whole.total.oldest,
            waiting_at=behind_of(behind.Wanted(asked, behind.Now.waiting)),
            charts=[
                over_time(
                    charts.columns, "received", _("Received and answered over time"), times,
                    (_("Received"), one("received")), (_("Answered"), one("answered")),
                ),
                over_time(
                    charts.lines, "response", _("First response over time"), times,
                    (_("Median"), one("first_response_median_s")), tick=charts.duration_tick,
                ),
            ],
            tops=[_top(db, asked, by) for by in (By.channel, By.kind, By.category, By.tag)],
        )  # fmt: skip


def _bigs(whole: Report, beside: Row, before: Sequence[Report], other: Clock) -> list[Big]:
    asked = whole.asked
    named = (_("the period before"), _("a year ago"))
    found = []
    wanted = [
        _column("response-times", asked, "received"),
        _column("response-times", asked, "first_response_median_s"),
        _column("response-times", asked, "first_response_within_target"),
        _column("response-times", asked, "next_response_median_s"),
        _column("response-times", asked, "resolution_median_s"),
        _column("resolution", asked, "closings"),
    ]
    for column in wanted:
        given, timed = column.value(whole.total), column.block
        title = report_words.column(column.name)
        if timed:
            title = (
                report_words.block(timed) if column.unit is Unit.seconds else f"{report_words.block(timed)}: {title}"
            )
        then = [
            (name, _then(column, given, column.value(report.total), Table((column,), report)))
            for name, report in zip(named, before, strict=False)
        ]
        also = n = ""
        if column.unit is Unit.seconds and column.measure and given is not None:
            also = f"{report_words.value(column.unit, column.value(beside), now())} {report_words.clock_in(other)}"
            n = ngettext("median of %(n)s", "median of %(n)s", whole.total.timing(column.measure).n)
        found.append(
            Big(
                title,
                report_words.anchor(column.name),
                _written(column, given, whole.total) or _("none"),
                behind_address(asked, None, column) if given else None,
                then,
                also,
                n,
                waits=column.unit is Unit.seconds,
            )
        )
    return found


def _top(db: Session, asked: Asked, by: By) -> dict[str, Any]:
    """The lines of a group in which most was received."""
    found = figures.report(db, replace(asked, by=by), (Measure.received,))
    rows = sorted(found.rows, key=lambda row: -row.count(Measure.received))
    rows = [row for row in rows if row.count(Measure.received)]
    whole = found.total.count(Measure.received)
    column = _column("volume", found.asked, "received")
    items = [
        charts.Item(
            report_words.key(by, row.key),
            n := row.count(Measure.received),
            number(n),
            behind_address(found.asked, row.key, column),
            (percent(n / whole),),
        )
        for row in rows[:TOP]
    ]
    return {
        "by": by,
        "lines": charts.bars(items),
        "more": len(rows) - len(items),
        "empty": all(row.key == NONE for row in rows),
    }


# -- the cases behind a figure ---------------------------------------------------------------------------------------


@pages.get("/cases")
def cases() -> str:
    """``order``: newest, slowest; ``cursor``: where to go on."""
    asked = asked_from(request.args)
    wanted = behind.Wanted(asked, Measure.received)  # without a measure: all that came in
    if request.args.get("measure"):
        wanted = behind.wanted(asked, request.args, request.args.getlist("how"))
    if asked.by is By.assignee and wanted.key not in (None, NONE, user().email) and not is_at_least(Role.manager):
        abort(403, _("Only managers see the figures of other people."))
    order = behind.Order.slowest if request.args.get("order") == "slowest" else behind.Order.newest
    with reading() as db:
        page = behind.page(db, wanted, now(), order=order, cursor=request.args.get("cursor"))
        names = people(db)
        by_id = {id: name for id, name in db.execute(select(User.id, User.name))}
        return render_template(
            "reports_cases.html",
            **frame(db, asked),
            wanted=wanted,
            behind_args=behind.as_args(wanted),
            page=page,
            order=order,
            timed=wanted.what in figures.TIMED,
            facts=report_words.behind(wanted, names),
            names=by_id,
            shows_people=is_at_least(Role.manager),
        )


@pages.get("/definitions")
def definitions() -> str:
    return render_template("reports_definitions.html", **frame(None, None), meanings=report_words.meanings())
