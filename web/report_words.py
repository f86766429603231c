"""The words of the reports: columns, measures, groupings, keys and what each figure means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from models import Kind, Sentiment
from reports.figures import NONE, By, Clock
from reports.tables import Unit, Value
from triage.measures import How, Measure
from web import labels
from web.i18n import clock as instant
from web.i18n import day as long_day
from web.i18n import duration, money, month, number, percent, seconds, short_day
from web.i18n import gettext as _

LONG = 100 * 3600  # seconds; above, minutes tell nothing

# -- values ----------------------------------------------------------------------------------------------------------


def took(time: float) -> str:
    """How long, of seconds: "40 s", "4 h 30 min", "130 h"."""
    if 0 < time < 60:
        return seconds(int(time))
    return duration(timedelta(seconds=round(time / 3600) * 3600 if time >= LONG else time))


def value(unit: Unit, given: Value, now: datetime) -> str:
    """A figure as a screen writes it; an empty text where there is none."""
    if given is None:
        return ""
    if isinstance(given, datetime):
        return instant(given, now)
    if isinstance(given, str):
        return given
    return {Unit.seconds: took, Unit.share: share, Unit.money: money}.get(unit, number)(given)


def share(part: float) -> str:
    return percent(part)


# -- what they are grouped by ----------------------------------------------------------------------------------------


def by(value: By) -> str:
    return {
        By.channel: _("Channel"),
        By.source: _("Source"),
        By.team: _("Team"),
        By.assignee: _("Person"),
        By.kind: _("Kind"),
        By.tag: _("Tag"),
        By.category: _("Category"),
        By.language: _("Language"),
        By.sentiment: _("Tone"),
        By.day: _("Day"),
        By.week: _("Week"),
        By.month: _("Month"),
    }[value]


def key(grouped: By | None, name: str | None, people: Mapping[str, str] | None = None) -> str:
    """What a line is called. ``people``: e-mail -> name."""
    if grouped is None or name is None:
        return _("Total")
    if grouped in DATED:
        return dated(grouped, date.fromisoformat(name))
    if name == NONE:
        return nothing(grouped)
    if grouped is By.assignee:
        return (people or {}).get(name, name)
    if grouped is By.kind and name in list(Kind):
        return labels.kind(name)
    if grouped is By.sentiment and name in list(Sentiment):
        return labels.sentiment(name)
    return {By.channel: labels.channel, By.language: labels.spoken}.get(grouped, str)(name)


DATED = (By.day, By.week, By.month)


def dated(grouped: By, on: date) -> str:
    if grouped is By.month:
        return month(on)
    return _("Week from %(day)s", day=long_day(on)) if grouped is By.week else long_day(on)


def dated_short(grouped: By, on: date) -> str:
    """The same under a chart."""
    return month(on) if grouped is By.month else short_day(on)


def nothing(grouped: By) -> str:
    return {
        By.source: _("No source"),
        By.team: _("No team"),
        By.assignee: _("Nobody, or not known"),
        By.kind: _("Not judged"),
        By.tag: _("No tag"),
        By.category: _("No category"),
        By.language: _("Not judged"),
        By.sentiment: _("Not judged"),
    }.get(grouped, _("None"))


def clock(value: Clock) -> str:
    return _("In opening hours") if value is Clock.business else _("Around the clock")


def clock_short(value: Clock) -> str:
    return _("open") if value is Clock.business else _("all")


# -- columns ---------------------------------------------------------------------------------------------------------


def measure(value: Measure) -> str:
    return {
        Measure.received: _("Received"),
        Measure.mention: _("Mentions"),
        Measure.first_response: _("First response"),
        Measure.first_response_seen: _("First response, from when we saw it"),
        Measure.next_response: _("Next response"),
        Measure.answer: _("Answers"),
        Measure.assigned: _("Time to assign"),
        Measure.first_resolution: _("First resolution"),
        Measure.resolution: _("Full resolution"),
        Measure.active: _("Active time"),
        Measure.closing: _("Closed"),
        Measure.ignored: _("Ignored"),
        Measure.promise: _("Promises"),
    }[value]


def how(value: How) -> str:
    return {
        How.gensvar: _("Written here"),
        How.shared: _("As part of one answer for all"),
        How.network: _("Written in the network’s own app"),
        How.elsewhere: _("Answered elsewhere"),
        How.zero_touch: _("Closed without an answer"),
        How.one_touch: _("Closed with one answer"),
        How.reopened: _("Opened again"),
        How.touchless: _("Opened again by a thank-you"),
        How.kept: _("Kept in time"),
        How.kept_late: _("Kept late"),
        How.dropped: _("Dropped"),
        How.open: _("Still open"),
    }[value]


PARTS: Mapping[str, Callable[[], str]] = {  # of a time: the ends of its columns' names
    "_n": lambda: _("Number"),
    "_median_s": lambda: _("Median"),
    "_p90_s": lambda: _("90th percentile"),
    "_within_target": lambda: _("Within target"),
    "_mean_s": lambda: _("Mean"),
}
COLUMNS: Mapping[str, Callable[[], str]] = {  # the others
    "received": lambda: _("Received"),
    "answered": lambda: _("Answered"),
    "still_waiting": lambda: _("Still waiting"),
    "oldest_waiting_since": lambda: _("Oldest waits since"),
}


def split(name: str) -> tuple[str, str]:
    """The name of a column -> what is timed ("" if nothing is) and which figure of it."""
    for end in PARTS:
        if name.endswith(end) and name[: -len(end)] in TIMES:
            return name[: -len(end)], end
    return "", name


TIMES: Mapping[str, Measure] = {each.value: each for each in Measure}


def block(timed: str) -> str:
    """What heads the columns of one time."""
    return measure(TIMES[timed]) if timed else _("Cases")


def column(name: str) -> str:
    """What heads a column within its block."""
    timed, part = split(name)
    if timed:
        return PARTS[part]()
    return COLUMNS[name]() if name in COLUMNS else name.replace("_", " ").capitalize()


def anchor(name: str) -> str:
    """Where on the page of definitions a column is explained."""
    timed, _part = split(name)
    return (timed or ABOUT.get(name, name)).replace("_", "-")


ABOUT: Mapping[str, str] = {"answered": "first_response", "oldest_waiting_since": "still_waiting"}


# -- what each figure means ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meaning:
    """``anchor``: its place on the page, and in docs/figures.md."""

    anchor: str
    name: str
    says: tuple[str, ...]


def compared(unit: Unit, now: float, then: float) -> str:
    """Which way a figure went, in a word; empty where it did not."""
    if now == then:
        return ""
    less = now < then
    if unit is Unit.seconds:
        return _("faster") if less else _("slower")
    if unit is Unit.share:
        return _("lower") if less else _("higher")
    return _("fewer") if less else _("more")
