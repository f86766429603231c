"""The words of the reports: columns, measures, groupings, keys and what each figure means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from models import Kind, Sentiment
from reports.backlog import runs
from reports.behind import Now, Wanted
from reports.figures import BUCKETS, FILTERS, NONE, Asked, By, Clock, Row
from reports.tables import Column, Table, Unit, Value
from triage.measures import How, Measure
from web import labels
from web.i18n import clock as instant
from web.i18n import day as long_day
from web.i18n import day_name, day_of_month, duration, money, month, number, percent, seconds
from web.i18n import gettext as _

LONG = 100 * 3600  # seconds; above, minutes tell nothing

# -- values ----------------------------------------------------------------------------------------------------------


def took(time: float) -> str:
    """How long, of seconds: "40 s", "4 h 30 min", "130 h", "−5 min"."""
    if time < 0:
        return f"−{took(-time)}"
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


def figure_of(column: Column, given: Value, now: datetime) -> str:
    """The same where a column says more than its unit does."""
    said = SAID.get(column.name)
    return value(column.unit, given, now) if said is None or given is None else said(given)


SAID: Mapping[str, Callable[[Any], str]] = {
    "midnight": lambda day: long_day(date.fromisoformat(day)),
    "text_kind": lambda kind: _("One answer for all") if kind == "shared" else _("Canned reply"),
    "assumed_share": lambda share: percent(share, exact=True),  # as it was typed
    **dict.fromkeys(("first_answer_case", "press_case"), lambda number: f"#{number}"),
}


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
    return month(on) if grouped is By.month else day_of_month(on)


def first(table: Table) -> str:
    """What heads the first column of a table."""
    return LINES[table.lines]() if table.lines else by(table.report.asked.by) if table.report.asked.by else ""


def line(table: Table, row: Row, people: Mapping[str, str] | None = None) -> str:
    """What a line of a table is called."""
    if table.lines is None or row.key is None:
        return key(table.report.asked.by, row.key, people)
    return table.named(row) or _("(no text)")


LINES: Mapping[str, Callable[[], str]] = {"story": lambda: _("Story"), "text": lambda: _("Text")}


def not_stored(days: Sequence[date]) -> str:
    """Which midnights nothing is known of; empty where there are none."""
    if not days:
        return ""
    listed = ", ".join(span(first, last + timedelta(days=1)) for first, last in runs(days))
    return _("Gensvar did not run at midnight, so that what was unfinished then is not known: %(days)s.", days=listed)


def span(start: date, end: date) -> str:
    """A period, ``end`` exclusive."""
    last = end - timedelta(days=1)
    return long_day(start) if last == start else f"{long_day(start)} – {long_day(last)}"


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


def clock_in(value: Clock) -> str:
    """In a sentence."""
    return _("in opening hours") if value is Clock.business else _("around the clock")


def buckets() -> list[str]:
    """How long something took, by ``reports.figures.BUCKETS``."""
    hours = [seconds // 3600 for seconds in BUCKETS]
    spans = [_("%(from)s–%(to)s h", **{"from": number(low), "to": number(high)}) for low, high in pairwise((0, *hours))]
    return [*spans, _("more than %(n)s h", n=number(hours[-1]))]


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
    "_with_target": lambda: _("With a target"),
    "_met": lambda: _("In time"),
    "_missed": lambda: _("Late"),
    "_within_target": lambda: _("Share in time"),
    "_mean_s": lambda: _("Mean"),
    "_outside_hours": lambda: _("Outside opening hours"),
}
COLUMNS: Mapping[str, Callable[[], str]] = {  # the others
    "received": lambda: _("Received"),
    "mentions": lambda: _("Mentions"),
    "ignored": lambda: _("Ignored"),
    "ignored_share": lambda: _("Share ignored"),
    "answered": lambda: _("Answered"),
    "answers": lambda: _("Answers"),
    "answers_gensvar": lambda: _("Written here"),
    "answers_network": lambda: _("In the network’s own app"),
    "answers_elsewhere": lambda: _("Answered elsewhere"),
    "answers_shared": lambda: _("One answer for all"),
    "still_waiting": lambda: _("Still waiting"),
    "oldest_waiting_since": lambda: _("Oldest waits since"),
    "late_now": lambda: _("Late now"),
    "closings": lambda: _("Closed"),
    "zero_touch": lambda: _("Closed without an answer"),
    "zero_touch_share": lambda: _("Share without an answer"),
    "one_touch": lambda: _("Closed with one answer"),
    "one_touch_share": lambda: _("Share with one answer"),
    "reopened": lambda: _("Opened again"),
    "reopen_rate": lambda: _("Share opened again"),
    "touchless_reopened": lambda: _("Opened again by a thank-you"),
    "midnight": lambda: _("Midnight"),
    "unfinished": lambda: _("Unfinished"),
    "open": lambda: _("Open"),
    "waiting": lambda: _("Waiting for the author"),
    "snoozed": lambda: _("Put off"),
    "oldest_since": lambda: _("Oldest since"),
    "promises": lambda: _("Promises"),
    "kept": lambda: _("Kept in time"),
    "kept_late": lambda: _("Kept late"),
    "dropped": lambda: _("Dropped"),
    "still_open": lambda: _("Still open"),
    "overdue_now": lambda: _("Late now"),
    "kept_share": lambda: _("Share kept in time"),
}
OF_STORIES: Mapping[str, Callable[[], str]] = {
    "stories": lambda: _("Stories told"),
    "in_the_press": lambda: _("Of these in the press"),
    "answered_before": lambda: _("We had answered before"),
    "press_first": lambda: _("The press was first"),
    "press_unanswered": lambda: _("In the press, not answered"),
    "began_at": lambda: _("Began"),
    "mentions": lambda: _("Mentions"),
    "authors": lambda: _("Authors"),
    "reach": lambda: _("Followers reached"),
    "cases": lambda: _("Cases"),
    "answered": lambda: _("Answered"),
    "answered_share": lambda: _("Share answered"),
    "answer_for_all": lambda: _("One answer for all"),
    "first_answer_at": lambda: _("First answer"),
    "first_answer_case": lambda: _("Case"),
    "press": lambda: _("First in the press"),
    "press_at": lambda: _("When"),
    "press_case": lambda: _("Case"),
    "head_start_s": lambda: _("Head start"),
}
OF_VALUE: Mapping[str, Callable[[], str]] = {
    "text_kind": lambda: _("Kind"),
    "written_at": lambda: _("Written"),
    "written_by": lambda: _("By"),
    "answers": lambda: _("Answers that went out"),
    "reused": lambda: _("With a text used before"),
    "reused_share": lambda: _("Share"),
    "answers_shared": lambda: _("Part of one answer for all"),
    "answers_canned": lambda: _("Made of a canned reply"),
    "people": lambda: _("People helped"),
    "people_shared": lambda: _("People helped by answers for all"),
    "people_for_one": lambda: _("People helped by one answer for all"),
    "resolved": lambda: _("Resolved"),
    "resolved_unanswered": lambda: _("Closed without an answer"),
    "settled": lambda: _("Settled with an answer"),
    "assumed_share": lambda: _("Assumed: share that would have been calls"),
    "assumed_minutes": lambda: _("Assumed: minutes of a call"),
    "assumed_hour_cost": lambda: _("Assumed: cost of an hour"),
    "currency": lambda: _("Currency"),
    "assumed_at": lambda: _("Assumed since"),
    "assumed_by": lambda: _("Set by"),
    "calls_spared": lambda: _("Calls not needed"),
    "time_spared_s": lambda: _("Time on the phone not needed"),
    "cost_spared": lambda: _("What that would have cost"),
}


@dataclass(frozen=True)
class Block:
    """Of what is no time: what heads its columns, what they are called, and where they are explained."""

    title: Callable[[], str]
    columns: Mapping[str, Callable[[], str]] = field(default_factory=lambda: COLUMNS)
    anchor: str | None = None


BLOCKS: Mapping[str, Block] = {
    "": Block(lambda: _("Cases")),
    "we_and_the_press": Block(lambda: _("We and the press"), OF_STORIES, "stories"),
    "stories": Block(lambda: _("The stories, the largest first"), OF_STORIES, "stories"),
    "who_was_first": Block(lambda: _("Head start"), OF_STORIES, "stories"),
    "used_again": Block(lambda: _("Written once, used again"), OF_VALUE, "value"),
    "without_a_call": Block(lambda: _("Settled without a phone call"), OF_VALUE, "value"),
}
TIMES: Mapping[str, Measure] = {each.value: each for each in Measure}


def split(name: str) -> tuple[str, str]:
    """The name of a column -> what is timed ("" if nothing is) and which figure of it."""
    for end in PARTS:
        if name.endswith(end) and name[: -len(end)] in TIMES:
            return name[: -len(end)], end
    return "", name


def block(name: str) -> str:
    """What heads the columns of a block."""
    return measure(TIMES[name]) if name in TIMES else BLOCKS[name].title()


def column(name: str, of: str = "") -> str:
    """What heads a column within its block."""
    timed, part = split(name)
    if timed:
        return PARTS[part]()
    words = BLOCKS[of].columns
    return words[name]() if name in words else name.replace("_", " ").capitalize()


def anchor(name: str, of: str = "") -> str:
    """Where on the page of definitions, and in docs/figures.md, a column is explained."""
    if of in BLOCKS and (explained := BLOCKS[of].anchor):
        return explained
    timed, part = split(name)
    if part in ("_with_target", "_met", "_missed", "_within_target"):
        return "within-target"
    if part == "_outside_hours":
        return "opening-hours"
    return (timed or ABOUT.get(name, name)).replace("_", "-")


ABOUT: Mapping[str, str] = {  # columns that are explained under another name
    "answered": "first_response",
    "mentions": "mention",
    "answers": "answer",
    "answers_gensvar": "answer",
    "answers_network": "answer",
    "answers_elsewhere": "answer",
    "answers_shared": "answer",
    "ignored_share": "ignored",
    "oldest_waiting_since": "still_waiting",
    "late_now": "still_waiting",
    "closings": "closing",
    "reopened": "reopen",
    "reopen_rate": "reopen",
    "touchless_reopened": "reopen",
    "zero_touch_share": "zero_touch",
    "one_touch_share": "one_touch",
    **dict.fromkeys(("midnight", "unfinished", "open", "waiting", "snoozed", "oldest_since"), "backlog"),
    **dict.fromkeys(("promises", "kept", "kept_late", "dropped", "still_open", "overdue_now", "kept_share"), "promise"),
}


# -- earlier periods -------------------------------------------------------------------------------------------------


def change(unit: Unit, now: float, then: float) -> str:
    """How a figure went since then, absolutely and in per cent, in words: more, fewer, faster, slower."""
    if now == then:
        return _("the same")
    less, by = now < then, abs(now - then)
    if unit is Unit.share:
        points = number(round(by * 100, 1))
        return _("%(n)s percentage points lower", n=points) if less else _("%(n)s percentage points higher", n=points)
    if unit is Unit.seconds:
        said = _("%(time)s faster", time=took(by)) if less else _("%(time)s slower", time=took(by))
    else:
        said = _("%(n)s fewer", n=number(by)) if less else _("%(n)s more", n=number(by))
    return f"{said} ({'−' if less else '+'}{percent(by / then)})" if then else said


# -- the cases behind a figure --------------------------------------------------------------------------------------


def figure(what: Measure | Now) -> str:
    """The name of what was counted."""
    if isinstance(what, Measure):
        return measure(what)
    return {
        Now.waiting: _("Waiting for an answer now"),
        Now.late: _("Waiting for an answer, and late by now"),
        Now.backlog: _("Unfinished at midnight"),
    }[what]


def behind(wanted: Wanted, people: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a figure was counted of, besides the period: label, words."""
    found: list[tuple[str, str]] = []
    asked = wanted.asked
    if wanted.night is not None:
        found.append((_("Midnight"), long_day(wanted.night)))
    if wanted.key is not None and asked.by is not None:
        found.append((by(asked.by), key(asked.by, wanted.key, people)))
    if wanted.hows:
        found.append((_("Only"), ", ".join(how_named(each) for each in wanted.hows)))
    if wanted.targeted:
        found.append((_("Target"), _("had one")))
    if wanted.late is not None:
        found.append((_("Target"), _("late") if wanted.late else _("in time")))
    if wanted.outside:
        found.append((_("Only"), _("wholly outside opening hours")))
    if wanted.answered:
        found.append((_("Only"), _("Settled with an answer")))
    if wanted.overdue:
        found.append((_("Promises"), _("late now")))
    if wanted.bucket is not None:
        found.append((clock(asked.clock), buckets()[wanted.bucket]))
    if wanted.weekday is not None:
        found.append((_("Weekday"), day_name(wanted.weekday)))
    if wanted.hour is not None:
        found.append((_("Hour"), hour(wanted.hour)))
    return [*found, *narrowed(asked, people)]


def narrowed(asked: Asked, people: Mapping[str, str]) -> list[tuple[str, str]]:
    """The filters: label, words."""
    return [
        (by(By(name)), ", ".join(key(By(name), value, people) for value in values))
        for name in FILTERS
        if (values := getattr(asked, name))
    ]


def unusual(asked: Asked, people: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a report is asked for besides its period that is not the usual: a figure cannot be read without it."""
    found = narrowed(asked, people)
    if asked.clock is not Clock.calendar:
        found.append((_("Time is counted"), clock(asked.clock)))
    if asked.seen:
        found.append((_("First response is counted from"), _("when we saw it")))
    return found


def hour(of: int) -> str:
    return f"{of:02}–{(of + 1) % 24:02}"


def how_named(name: str) -> str:
    if name in list(How) and name != How.open:
        return how(How(name))
    return column(name)
