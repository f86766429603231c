"""Reports as tables: what a screen, a file, the API and the command show of the same figures.

A report has a name (``REPORTS``); ``build`` gives its table for a period. Column names are what files head their
columns with and never change; a screen puts words for them, and formats by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

from sqlalchemy import Text, exists, literal, select, union_all
from sqlalchemy.orm import Session

from errors import InvalidInput
from models import Case, CaseTag, Source, Team, User
from reports import backlog, stories, value
from reports.figures import FILTERS, NONE, Asked, By, Clock, Report, Row, column_of, report, reports
from triage import policy, samples
from triage.learning import VALUES
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
    ``block``: of the columns that go together; the name of what was timed, where it is a time.
    """

    name: str
    unit: Unit
    value: Callable[[Row], Value]
    measure: Measure | None = None
    hows: tuple[str, ...] = ()
    late: bool | None = None
    outside: bool = False
    block: str = ""


@dataclass(frozen=True)
class Table:
    """``lines``, ``label``: as ``Kind`` has them."""

    columns: Sequence[Column]
    report: Report
    lines: str | None = None
    label: str | None = None

    @property
    def key(self) -> str:
        """What the keys of the lines are."""
        return self.lines or (self.report.asked.by.value if self.report.asked.by else "key")

    @property
    def figures(self) -> list[Column]:
        """The columns without the one that only names the line."""
        return [column for column in self.columns if column.name != self.label]

    def lines_of(self, columns: Sequence[Column]) -> list[Row]:
        """Those of which something is known in these columns."""
        return [row for row in self.report.rows if any(column.value(row) is not None for column in columns)]

    def named(self, row: Row) -> str | None:
        """What a line is called by its own column; None: by its key."""
        found = next((column.value(row) for column in self.columns if column.name == self.label), None)
        return found if isinstance(found, str) else None

    def values(self, row: Row) -> list[Value]:
        return [column.value(row) for column in self.columns]


def _timed(name: str, measure: Measure) -> tuple[Column, ...]:
    """Number, median, p90, share in time; the mean only beside them, and how many count as nothing in opening hours."""

    def outside(row: Row) -> Value:
        timing = row.timing(measure)
        return None if timing.hidden else timing.outside_hours

    of = partial(Column, measure=measure, block=name)
    return (
        of(f"{name}_n", Unit.count, lambda row: row.timing(measure).n),
        of(f"{name}_median_s", Unit.seconds, lambda row: row.timing(measure).median_s),
        of(f"{name}_p90_s", Unit.seconds, lambda row: row.timing(measure).p90_s),
        of(f"{name}_within_target", Unit.share, lambda row: row.timing(measure).within_target, late=False),
        of(f"{name}_mean_s", Unit.seconds, lambda row: row.timing(measure).mean_s),
        of(f"{name}_outside_hours", Unit.count, outside, outside=True),
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

    of = partial(Column, block=name)
    return (
        of(f"{name}_with_target", Unit.count, targeted),
        of(f"{name}_met", Unit.count, met, measure=measure, late=False),
        of(f"{name}_missed", Unit.count, missed, measure=measure, late=True),
        of(
            f"{name}_within_target",
            Unit.share,
            lambda row: row.timing(measure).within_target,
            measure=measure,
            late=False,
        ),
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


def _overview(asked: Asked) -> tuple[Column, ...]:
    return (
        _count("received", Measure.received),
        _count("answers", Measure.answer),
        _count("closings", Measure.closing),
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


# -- what is not made of samples -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known(Row):
    """A line of what is known of something, and what is known of all: by the name of the column."""

    facts: Mapping[str, Value] = field(default_factory=dict)


def _facts(block: str, *names: str, **units: Unit) -> tuple[Column, ...]:
    """Columns of ``Known``; those without a unit are counted."""

    def known(name: str, row: Row) -> Value:
        return row.facts.get(name) if isinstance(row, Known) else None

    both = {**dict.fromkeys(names, Unit.count), **units}
    return tuple(Column(name, unit, partial(known, name), block=block) for name, unit in both.items())


def _stories(asked: Asked) -> tuple[Column, ...]:
    return (
        *_facts("we_and_the_press", "stories", "in_the_press", "answered_before", "press_first", "press_unanswered"),
        *_facts("stories", title=Unit.text, began_at=Unit.instant),
        *_facts("stories", "mentions", "authors", "reach", "cases", "answered"),
        *_facts("stories", answered_share=Unit.share),
        *_facts("stories", "answer_for_all"),
        *_facts("who_was_first", first_answer_at=Unit.instant),
        *_facts("who_was_first", "first_answer_case"),
        *_facts("who_was_first", press=Unit.text, press_at=Unit.instant),
        *_facts("who_was_first", "press_case"),
        *_facts("who_was_first", head_start_s=Unit.seconds),
    )


def _read_stories(db: Session, asked: Asked, at: datetime) -> Report:
    found = stories.stories(db, asked)
    total: dict[str, Value] = {
        each: found.sum_of(each) for each in ("mentions", "authors", "reach", "cases", "answered")
    }
    total |= {
        "stories": len(found.told),
        "in_the_press": found.in_the_press,
        "answered_before": found.first,
        "press_first": found.after,
        "press_unanswered": found.silent,
        "answer_for_all": found.for_all,
        "head_start_s": _seconds(found.head_start),
    }
    return Report(asked, tuple(map(_told, found.told)), Known(None, facts=total))


def _told(each: stories.Told) -> Known:
    answer, press = each.answer, each.press
    facts: dict[str, Value] = {
        "title": each.title or None,
        "began_at": each.opened_at,
        "mentions": each.mentions,
        "authors": each.authors,
        "reach": each.reach,
        "cases": each.cases,
        "answered": each.answered,
        "answered_share": each.answered_share,
        "answer_for_all": int(each.for_all),
        "head_start_s": _seconds(each.head_start),
    }
    facts |= {"first_answer_at": answer.at, "first_answer_case": answer.case} if answer else {}
    facts |= {"press": press.name, "press_at": press.at, "press_case": press.case} if press else {}
    return Known(str(each.id), facts=facts)


def _seconds(time: timedelta | None) -> int | None:
    return None if time is None else round(time.total_seconds())


def _value(asked: Asked) -> tuple[Column, ...]:
    def behind(column: Column) -> Column:
        """With what lies behind the figure of all."""
        measure, hows = {
            "answers": (Measure.answer, ()),
            "answers_shared": (Measure.answer, (How.shared,)),
            "resolved": (Measure.resolution, ()),
            "resolved_unanswered": (Measure.resolution, (How.zero_touch,)),
        }.get(column.name, (None, ()))
        return replace(column, measure=measure, hows=hows)

    used = (
        *_facts("used_again", title=Unit.text, text_kind=Unit.text, written_at=Unit.instant, written_by=Unit.text),
        *_facts("used_again", "answers", "reused", reused_share=Unit.share),
        *_facts("used_again", "answers_shared", "answers_canned", "people", "people_shared", "people_for_one"),
    )
    calls = (
        *_facts("without_a_call", "resolved", "resolved_unanswered", "settled", assumed_share=Unit.share),
        *_facts("without_a_call", assumed_minutes=Unit.count, assumed_hour_cost=Unit.count, currency=Unit.text),
        *_facts("without_a_call", assumed_at=Unit.instant, assumed_by=Unit.text),
        *_facts("without_a_call", "calls_spared", time_spared_s=Unit.seconds, cost_spared=Unit.count),
    )
    return tuple(map(behind, (*used, *calls)))


def _read_value(db: Session, asked: Asked, at: datetime) -> Report:
    """A line for each text that was used again; the answers of the total are all that went out."""
    found = value.value(db, asked)
    total: dict[str, Value] = {
        "answers": found.answers,
        "reused": found.reused,
        "reused_share": found.reused_share,
        "answers_shared": found.from_all,
        "answers_canned": found.from_prepared,
        "people": found.people,
        "people_shared": found.people_for_all,
        "people_for_one": found.people_for_one,
        "resolved": found.resolved,
        "resolved_unanswered": found.unanswered,
        "settled": found.settled,
    }
    assumed = next((each for each in value.assumptions(db) if each.current), None)
    if assumed is not None:
        saved, given = found.saved(assumed.value), assumed.value
        total |= {
            "assumed_share": given.share / 100,
            "assumed_minutes": given.minutes,
            "assumed_hour_cost": given.cost or None,
            "currency": given.currency if given.cost else None,
            "assumed_at": assumed.since,
            "assumed_by": assumed.by,
            "calls_spared": saved.calls,
            "time_spared_s": saved.minutes * 60,
            "cost_spared": saved.money,
        }
    return Report(asked, tuple(map(_used, found.used)), Known(None, facts=total))


def _used(each: value.Used) -> Known:
    facts: dict[str, Value] = {"title": each.title or None, "reused": each.answers, "people": each.people}
    if each.shared is None:
        return Known(f"canned:{each.title}", facts=facts | {"text_kind": "canned", "answers_canned": each.answers})
    facts |= {"text_kind": "shared", "answers_shared": each.answers, "people_shared": each.people}
    facts |= {"written_at": each.shared.at, "written_by": each.shared.by}
    return Known(f"shared:{each.shared.id}", facts=facts)


# -- every report ----------------------------------------------------------------------------------------------------


Read = Callable[[Session, Asked, datetime], Report]
More = Callable[[Session, Report, datetime], Report]


def _late_now(db: Session, found: Report, at: datetime) -> Report:
    return _also(found, LATE_NOW, backlog.late_now(db, found.asked, at))


def _overdue(db: Session, found: Report, at: datetime) -> Report:
    return _also(found, OVERDUE, backlog.overdue(db, found.asked, at))


def _no_more(db: Session, found: Report, at: datetime) -> Report:
    return found


@dataclass(frozen=True)
class Kind:
    """A report of these measures, and what is so by now (``more``); or one that is read in its own way.

    ``fixed``: what of a question plays no part in it, and how it is then.
    ``lines``: what its lines are, where they are always the same and nothing can be grouped; ``label``: the column that
    says to people what such a line is called. ``sampled``: what is still to be measured may change it.
    """

    columns: Callable[[Asked], tuple[Column, ...]]
    measures: tuple[Measure, ...] = ()
    more: More = _no_more
    read: Read | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    lines: str | None = None
    label: str | None = None
    sampled: bool = True


ITS_OWN: Mapping[str, Any] = {"by": None, "clock": Clock.calendar, "seen": False}
OVERVIEW = "overview"
REPORTS: Mapping[str, Kind] = {
    OVERVIEW: Kind(
        _overview,
        (
            Measure.received,
            Measure.answer,
            Measure.closing,
            Measure.first_response,
            Measure.next_response,
            Measure.resolution,
        ),
    ),
    "response-times": Kind(
        _response_times,
        (Measure.received, Measure.first_response, Measure.next_response, Measure.resolution),
    ),
    "volume": Kind(_volume, (Measure.received, Measure.mention, Measure.ignored, Measure.answer)),
    "team": Kind(
        _team,
        (Measure.received, Measure.answer, Measure.closing, Measure.ignored, Measure.assigned, Measure.active),
    ),
    "sla": Kind(
        _sla,
        (Measure.first_response, Measure.next_response, Measure.resolution),
        _late_now,
        fixed={"seen": False},  # targets run from publication
    ),
    "resolution": Kind(_resolution, (Measure.first_resolution, Measure.resolution, Measure.active, Measure.closing)),
    "backlog": Kind(_backlog, read=backlog.report, sampled=False),
    "promises": Kind(_promises, (Measure.promise,), _overdue),
    "stories": Kind(_stories, read=_read_stories, fixed=ITS_OWN, lines="story", label="title"),
    "value": Kind(
        _value, (Measure.answer, Measure.resolution), read=_read_value, fixed=ITS_OWN, lines="text", label="title"
    ),
}


def build(db: Session, name: str, asked: Asked, at: datetime) -> Table:
    """The table of one report; ``name`` is one of ``REPORTS``. ``at``: now, for what is late by now."""
    kind = REPORTS[name]
    asked = replace(asked, **kind.fixed)
    found = kind.read(db, asked, at) if kind.read else kind.more(db, report(db, asked, kind.measures), at)
    return Table(kind.columns(asked), found, kind.lines, kind.label)


def page(
    db: Session, name: str, asked: Asked, at: datetime, by: By | None, drawn: Collection[Measure] = ()
) -> tuple[Table, Table | None, Report]:
    """What stands on one page, its samples read once: the table, its times by the other clock, ``drawn`` by ``by``.

    No other clock where nothing was timed.
    """
    kind = REPORTS[name]
    asked = replace(asked, **kind.fixed)
    steps = replace(asked, by=by)
    if kind.read:
        table = build(db, name, asked, at)
        return table, None, table.report if steps == asked else build(db, name, steps, at).report
    columns = kind.columns(asked)
    timed, other = _timed_of(columns), _by_other_clock(asked)
    found = reports(db, {steps: drawn, other: timed, asked: kind.measures}, waiting=(asked,))
    table = Table(columns, kind.more(db, found[asked], at), kind.lines, kind.label)
    return table, replace(table, report=found[other]) if timed else None, found[steps]


def totals(db: Session, name: str, asked: Asked, at: datetime) -> Table:
    """The table of an earlier period, without who waits now."""
    kind = REPORTS[name]
    if kind.read:
        return build(db, name, asked, at)
    asked = replace(asked, **kind.fixed)
    found = reports(db, {asked: kind.measures})[asked]
    return Table(kind.columns(asked), kind.more(db, found, at), kind.lines, kind.label)


def by_other_clock(db: Session, table: Table) -> Table | None:
    """Its times by the clock that was not asked for; None where it has none that were measured."""
    timed = _timed_of(table.columns)
    return replace(table, report=report(db, _by_other_clock(table.report.asked), timed)) if timed else None


def _timed_of(columns: Sequence[Column]) -> list[Measure]:
    return list(dict.fromkeys(each.measure for each in columns if each.unit is Unit.seconds and each.measure))


def _by_other_clock(asked: Asked) -> Asked:
    return replace(asked, clock=Clock.calendar if asked.clock is Clock.business else Clock.business)


def uncounted(db: Session, name: str, most: int) -> int:
    """How many cases are still to be measured, where that may change the report; counted no farther than ``most``."""
    return samples.waiting(db, most) if REPORTS[name].sampled else 0


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


def check_names(db: Session, asked: Asked, channels: Collection[str]) -> None:
    """Raises ``InvalidInput`` where a report is narrowed to what there is not: its figures would be wrongly nothing."""
    for what, missing in unknown(db, asked, channels).items():
        raise InvalidInput(f"There is no {what} named {missing}.", {what: f"there is no {missing}"})


def unknown(db: Session, asked: Asked, channels: Collection[str]) -> dict[str, str]:
    """What a report is narrowed to and there is not, by filter. ``channels``: those that can be had.

    What a case has counts as known, also where it can no longer be chosen.
    """
    known: dict[str, Collection[str]] = {"channel": channels, "kind": VALUES["kind"], "language": VALUES["language"]}
    if asked.category:
        known["category"] = [each.name for each in policy.read(db).categories]
    found = {}
    for name in FILTERS:
        unsure = set(getattr(asked, name)) - {NONE, *known.get(name, ())}
        if unsure and (missing := unsure - _there(db, By(name), sorted(unsure))):
            found[name] = ", ".join(sorted(missing))
    return found


def _there(db: Session, by: By, names: Sequence[str]) -> set[str]:
    """Those of these names that something has."""
    named = {By.source: Source.name, By.team: Team.name, By.assignee: User.email, By.tag: CaseTag.tag}
    column: Any = named[by] if by in named else getattr(Case, column_of(by))
    one_by_one = (select(literal(each, Text())).where(exists().where(column == each)) for each in names)
    return set(db.scalars(union_all(*one_by_one)))
