"""The screens of the reports: the figures as tables and charts, the overview, and the cases behind a figure.

Every figure comes from ``reports.figures``; ``web.report_frame`` says what an address asks for and stands around them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from flask import Blueprint, abort, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from errors import InvalidInput
from models import Role, User
from reports import behind, figures, tables
from reports.backlog import STATES
from reports.figures import NONE, Asked, By, Clock, Report, Row, Timing
from reports.tables import Column, Table, Unit, Value
from triage.measures import Measure
from web import charts, report_words
from web.context import is_at_least, now, user, whole_number
from web.i18n import day_name, ngettext, number, percent
from web.i18n import gettext as _
from web.report_frame import (
    Then,
    asked_from,
    behind_address,
    behind_of,
    compared,
    earlier,
    frame,
    leads,
    night_of,
    own_lines,
    people,
    reading,
    then_and_since,
    written,
    wrong,
)
from web.report_meanings import meanings

pages = Blueprint("reports", __name__, url_prefix="/reports")
pages.register_error_handler(InvalidInput, wrong)

LINES = 200  # of a table on a page


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
                given = [column.value(row)]
                address = behind_address(asked, row.key, column, night_of(row)) if leads(column, given[0]) else None
                if column.unit is Unit.seconds and other:
                    twin = beside.get(row.key)
                    given = _both(asked, given[0], column.value(twin) if twin else None)
                cells += [Cell(written(column, each, row), address if each is not None else None) for each in given]
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
            words.append(written(column, given, row or blank[day.isoformat()]) or nothing)
            night = night_of(row) if row and nights else None
            addresses.append(behind_address(asked, day.isoformat(), column, night) if leads(column, given) else None)
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
    return _read(db, name, asked, asked.by)[:2]


def _read(
    db: Session, name: str, asked: Asked, by: By | None, drawn: Collection[Measure] = ()
) -> tuple[Table, Table | None, Report]:
    """As ``tables.page`` does, for who looks at it."""
    table, other, times = tables.page(db, name, asked, now(), by, drawn)
    return replace(table, report=own_lines(table.report)), other, times


@dataclass(frozen=True)
class Kind:
    """A report that has a page. ``usual``: what it is grouped by unless one says otherwise.

    ``drawn``: the measures that its charts are made of.
    """

    title: Callable[[], str]
    about: Callable[[], str]
    usual: By
    charts: Callable[[Session, Table, Report], dict[str, Any]]
    drawn: tuple[Measure, ...] = ()


def _page(name: str) -> str:
    kind = KINDS[name]
    asked = asked_from(request.args)
    if asked.by is None:
        asked = replace(asked, by=kind.usual)
    with reading(asked) as db:
        table, other, times = _read(db, name, asked, step(asked), kind.drawn)
        before = earlier(asked)
        were = {each: tables.totals(db, name, each, now()) for each in set(before)}
        return render_template(
            "reports_table.html",
            **frame(db, asked, groups=list(By), sampled=tables.REPORTS[name].sampled),
            name=name,
            title=kind.title(),
            about=kind.about(),
            grids=grids(table, other, names=people(db) if asked.by is By.assignee else None),
            compared=compared(table, [were[each] for each in before]) if were else [],
            before=before,
            part=part_of(table.report),
            only_own=asked.by is By.assignee and not is_at_least(Role.manager),
            **kind.charts(db, table, times),
        )


def _draw_response_times(db: Session, table: Table, times: Report) -> dict[str, Any]:
    asked = table.report.asked
    one = partial(_column, "response-times", asked)
    shown = _ranked(times, one("first_response_median_s"), one("first_response_p90_s"))
    chart = over_time(charts.lines, "response", _("First response over time"), times, *shown, tick=charts.duration_tick)
    timing = table.report.total.timing(asked.first)
    return {"charts": [chart], "spread": None if timing.hidden else _spread(asked, timing)}


def _ranked(times: Report, median: Column, p90: Column) -> list[tuple[str, Column]]:
    """What a line is drawn of: the 90th percentile only where most days have one, else it is a few lonely points."""
    known = [[row for row in times.rows if column.value(row) is not None] for column in (median, p90)]
    often = len(known[1]) * 2 > len(known[0])
    return [(_("Median"), median), *([(_("90th percentile"), p90)] if often else [])]


def _spread(asked: Asked, timing: Timing) -> dict[str, Any]:
    """How many first responses took how long."""
    items = [
        charts.Item(
            label,
            n,
            number(n),
            behind_of(behind.Wanted(replace(asked, by=None), asked.first, bucket=place)) if n else None,
            (percent(n / timing.n) if timing.n else "",),
        )
        for place, (label, n) in enumerate(zip(report_words.buckets(), timing.spread, strict=True))
    ]
    return {"title": _("How long first responses took"), "lines": charts.bars(items)}


def _draw_resolution(db: Session, table: Table, times: Report) -> dict[str, Any]:
    one = partial(_column, "resolution", table.report.asked)
    shown = _ranked(times, one("resolution_median_s"), one("resolution_p90_s"))
    took = over_time(
        charts.lines, "resolution-time", _("Full resolution over time"), times, *shown, tick=charts.duration_tick
    )
    closed = over_time(
        charts.columns, "closed", _("Closed, and opened again"), times,
        (_("Closed"), one("closings")), (_("Opened again"), one("reopened")),
    )  # fmt: skip
    return {"charts": [took, closed]}


def _draw_volume(db: Session, table: Table, times: Report) -> dict[str, Any]:
    asked = table.report.asked
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


def _draw_team(db: Session, table: Table, times: Report) -> dict[str, Any]:
    one = partial(_column, "team", table.report.asked)
    chart = over_time(
        charts.columns, "done", _("Answers and closed cases over time"), times,
        (_("Answers"), one("answers")), (_("Closed"), one("closings")),
    )  # fmt: skip
    return {"charts": [chart]}


def _draw_sla(db: Session, table: Table, times: Report) -> dict[str, Any]:
    one = partial(_column, "sla", table.report.asked)
    return {
        "charts": [
            over_time(
                charts.stacked, f"targets-{each.value}", report_words.measure(each), times,
                (_("In time"), one(f"{each.value}_met")), (_("Late"), one(f"{each.value}_missed")),
            )
            for each in TARGETED
        ]
    }  # fmt: skip


def _draw_backlog(db: Session, table: Table, times: Report) -> dict[str, Any]:
    one = partial(_column, "backlog", table.report.asked)
    chart = over_time(
        charts.stacked, "midnights", _("Unfinished at midnight"), times,
        *((report_words.column(state), one(state)) for state in STATES), nights=True,
    )  # fmt: skip
    return {"charts": [chart], "missing": table.report.missing}


def _draw_promises(db: Session, table: Table, times: Report) -> dict[str, Any]:
    one = partial(_column, "promises", table.report.asked)
    chart = over_time(
        charts.stacked, "kept", _("Promises by the day they were for"), times,
        *((report_words.column(name), one(name)) for name in ("kept", "kept_late", "dropped", "still_open")),
    )  # fmt: skip
    return {"charts": [chart]}


TARGETED = (Measure.first_response, Measure.next_response, Measure.resolution)
KINDS: Mapping[str, Kind] = {
    "response-times": Kind(
        lambda: _("Response times"),
        lambda: _("Answers count on the day they were given, resolutions on the day of the close."),
        By.channel,
        _draw_response_times,
        (Measure.first_response,),
    ),
    "resolution": Kind(
        lambda: _("Resolution"),
        lambda: _("Counts on the day of the close."),
        By.channel,
        _draw_resolution,
        (Measure.resolution, Measure.closing),
    ),
    "volume": Kind(
        lambda: _("Volume"),
        lambda: _("Counts on the day we saw it; answers on the day they were given."),
        By.channel,
        _draw_volume,
        (Measure.received, Measure.answer),
    ),
    "team": Kind(
        lambda: _("Team"),
        lambda: _("Answers are credited to whoever sent them, closed cases to whoever closed them."),
        By.assignee,
        _draw_team,
        (Measure.answer, Measure.closing),
    ),
    "sla": Kind(
        lambda: _("Targets"),
        lambda: _("What had a target, on the day it was answered or closed."),
        By.team,
        _draw_sla,
        TARGETED,
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
        (Measure.promise,),
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
TOPS = (By.channel, By.kind, By.category, By.tag)


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
    with reading(asked) as db:
        steps, groups = replace(asked, by=step(asked)), [replace(asked, by=by) for by in TOPS]
        other = replace(asked, clock=Clock.calendar if asked.clock is Clock.business else Clock.business)
        timed = [measure for measure in OVERVIEW if measure in figures.TIMED]
        wanted = {steps: OVERVIEW, other: timed, **dict.fromkeys(groups, (Measure.received,))}
        found = figures.reports(db, wanted, waiting=(steps,))
        times = found[steps]
        whole = Report(asked, (), times.total)
        then = {each: figures.reports(db, {each: OVERVIEW})[each] for each in set(earlier(asked))}
        before = [then[each] for each in earlier(asked)]
        one = partial(_column, "response-times", asked)
        return render_template(
            "reports.html",
            **frame(db, asked),
            step=step(asked).value,
            bigs=_bigs(whole, found[other].total, before, other.clock),
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
            tops=[_top(found[each]) for each in groups],
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
            (name, then_and_since(column, given, column.value(report.total), Table((column,), report)))
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
                written(column, given, whole.total),
                behind_address(asked, None, column) if leads(column, given) else None,
                then,
                also,
                n,
                waits=column.unit is Unit.seconds,
            )
        )
    return found


def _top(found: Report) -> dict[str, Any]:
    """The lines of a group in which most was received."""
    by = found.asked.by
    assert by is not None
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
    with reading(asked) as db:
        page = behind.page(db, wanted, now(), order=order, cursor=request.args.get("cursor"))
        names = people(db)
        by_id = {id: name for id, name in db.execute(select(User.id, User.name))}
        return render_template(
            "reports_cases.html",
            **frame(db, asked, sampled=isinstance(wanted.what, Measure)),
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
    return render_template("reports_definitions.html", **frame(None, None), meanings=meanings())
