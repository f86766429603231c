"""What all screens of reports share: what an address asks for, the frame around it, links, and earlier periods.

Every figure that counts something opens what it counted (``/reports/cases``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import abort, g, make_response, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

import channels
from database import storable
from errors import InvalidInput
from models import Role, Team, User
from reports import behind, tables
from reports.backlog import midnight_of
from reports.figures import FILTERS, Asked, By, Clock, Report, Row
from reports.tables import Column, Table, Unit, Value
from triage import samples
from triage.measures import VERSION
from web import finding, report_words
from web.access import hidden_teams
from web.context import house, is_at_least, now, user, zone
from web.i18n import gettext as _
from web.i18n import number

CAUGHT_UP = 200  # cases measured before a page is drawn; the rest is said to be still counted
MANY = 1000  # "more than"
NAMED = ("by", "clock", "start", "imported", "compare", "period", "from", "to", "until", *FILTERS)
DAYS = ("from", "to", "until")
MOST_CHOSEN = 50  # of one filter, as in the API
FIRST_YEAR, LAST_YEAR = 1995, 2199  # before it nothing was said anywhere that is read here


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
    chosen: dict[str, Any] = {name: _several(args, name) for name in FILTERS}
    chosen["assignee"] = tuple(user().email if each == "me" else each.lower() for each in chosen["assignee"])
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


def _several(args: MultiDict[str, str], name: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, map(storable, args.getlist(name)))))
    if len(found) > MOST_CHOSEN:
        raise InvalidInput(_("It is narrowed to too much: choose fewer."), {name: f"≤ {number(MOST_CHOSEN)}"})
    return found


def _days(args: MultiDict[str, str]) -> tuple[date, date]:
    today = now().astimezone(zone()).date()
    if name := _named(args):
        if name not in PERIODS:
            raise InvalidInput(_("There is no such period."), {"period": ", ".join(PERIODS)})
        return period(name, today)
    begins, ends, last = (_day(args, name) for name in DAYS)
    end = ends or (last + timedelta(days=1) if last else today + timedelta(days=1))
    start = begins or end - timedelta(days=30)
    if end <= start:
        raise InvalidInput(_("The period is empty: its last day lies before its first."), {"to": _("must be later")})
    return start, end


def _named(args: MultiDict[str, str]) -> str:
    """The period that is chosen by its name; empty for days of one's own.

    A name wins over days, unless it is still the one the form came with (``was``): then the days were typed after it.
    """
    name, days = args.get("period", ""), any(args.get(each, "").strip() for each in DAYS)
    return "" if days and name in ("", args.get("was")) else name or next(iter(PERIODS))


def _day(args: MultiDict[str, str], name: str) -> date | None:
    text = args.get(name, "").strip()
    if not text:
        return None
    try:
        given = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(_("That is not a date."), {name: "2026-11-27"}) from None
    if not FIRST_YEAR <= given.year <= LAST_YEAR:
        limits = {"first": str(FIRST_YEAR), "last": str(LAST_YEAR)}
        raise InvalidInput(_("Reports are of days in the years %(first)s to %(last)s.", **limits), {name: "2026-11-27"})
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
    without += DAYS if _named(request.args) else ("period",)
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
def reading(asked: Asked | None = None) -> Iterator[Session]:
    """A session in which what has just happened is measured. Raises ``InvalidInput`` for names that there are not."""
    samples.catch_up(house().database, most=CAUGHT_UP)
    with house().database.read() as db:
        if asked and (unknown := tables.unknown(db, asked, channels.CHANNELS)):
            raise InvalidInput(_("Nothing of that name."), unknown)
        yield db


def frame(
    db: Session | None, asked: Asked | None, *, groups: Sequence[By] = (), sampled: bool = True
) -> dict[str, Any]:
    """What ``reports_base.html`` wants. ``groups``: what the page can be grouped by.

    ``sampled``: it is counted of samples, so that what is still to be measured may change it.
    """
    uncounted = samples.waiting(db, MANY + 1) if db is not None and sampled else 0
    return {
        "asked": asked,
        "kept": kept,
        "again": again,
        "as_args": as_args,
        "tabs": [tab for tab in TABS if not tab.managers or is_at_least(Role.manager)],
        "periods": {name: words() for name, words in PERIODS.items()},
        "chosen_period": _named(request.args),
        "groups": groups,
        "fields": _fields(db) if db is not None else [],
        "uncounted": uncounted,
        "many": MANY,
        "definitions": VERSION,
        "words": report_words,
        "unusual": report_words.unusual(asked, people(db) if asked.assignee else {}) if asked and db else [],
        "last_day": asked.end - timedelta(days=1) if asked else None,
        "As": {"By": By, "Clock": Clock},
    }


def _fields(db: Session) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What a report can be narrowed to: name in the address, label, choices."""
    found = [each for each in finding.filters(db) if each[0] in FILTERS]
    if is_at_least(Role.manager):
        return found
    hidden = set(db.scalars(select(Team.name).where(Team.id.in_(hidden_teams(db, user())))))
    mine = [(name, label, choices[:1] if name == "assignee" else choices) for name, label, choices in found]  # me alone
    return [
        (name, label, [each for each in choices if name != "team" or each[0] not in hidden])
        for name, label, choices in mine
    ]


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


# -- links -----------------------------------------------------------------------------------------------------------


def behind_address(asked: Asked, key: str | None, column: Column, night: date | None = None) -> str | None:
    """Where what a figure counts is listed; None for what counts no cases."""
    found = behind.of_column(asked, key, column, night)
    return behind_of(found) if found else None


def behind_of(wanted: behind.Wanted) -> str:
    if "cases_at" not in g:  # a page has hundreds of these, of a few periods
        g.cases_at = {}
    if wanted.asked not in g.cases_at:
        g.cases_at[wanted.asked] = f"{url_for('reports.cases')}?{urlencode(as_args(wanted.asked), doseq=True)}"
    return f"{g.cases_at[wanted.asked]}&{urlencode(behind.as_args(wanted), doseq=True)}"


def written(column: Column, given: Value, row: Row) -> str:
    """A figure in words; an empty text where there is none."""
    if given is None and column.measure and row.timing(column.measure).hidden:
        return _("kept back")
    return report_words.figure_of(column, given, now())


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
            then_and_since(column, given, other.value(each.report.total), each)
            for other, each in zip(others, before, strict=True)
        ]
        words = report_words.column(column.name)
        if timed:
            words = f"{report_words.block(timed)}: {words}"
        address = behind_address(table.report.asked, None, column, night_of(row)) if leads(column, given) else None
        found.append(Compared(words, report_words.anchor(column.name), written(column, given, row), address, then))
    return found


def leads(column: Column, value: Value) -> bool:
    """Whether cases lie behind a figure: behind a time also where it is 0."""
    return value is not None and (bool(value) or column.unit is Unit.seconds)


def then_and_since(column: Column, given: Value, was: Value, table: Table) -> Then:
    if any(each.name == "midnight" for each in table.columns) and night_of(table.report.total) is None:
        was = None  # nothing was stored then, which is not that nothing lay there
    words = written(column, was, table.report.total)
    change = ""
    if isinstance(given, int | float) and isinstance(was, int | float):
        change = report_words.change(column.unit, given, was)
    total = table.report.total
    address = behind_address(table.report.asked, None, column, night_of(total)) if leads(column, was) else None
    return Then(words, change, address)


def night_of(row: Row) -> date | None:
    """The midnight that a line of the backlog is about."""
    found = midnight_of(row)
    return date.fromisoformat(found) if found else None
