"""How every figure of one case was worked out, step by step: from when to when, by which calendar, for which day.

Taken anew from its history while the page is made (``triage.samples.of_case``), with what the stored figures were
measured with: so that what stands here is what the reports count, and where it is not, the page says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from flask import Blueprint, render_template
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import CaseStatus, Role, Sample, User
from settings import Calendar
from triage import clock, policy, samples
from triage.measures import DONE, Measure, Stretch, outside_hours, rests
from triage.measures import Step as Happened
from triage.samples import Taken
from web import report_frame, report_words
from web.context import is_at_least, now, user
from web.i18n import gettext as _
from web.i18n import weekday
from web.queries import get_case
from web.targets import amount_of

pages = Blueprint("report_case", __name__, url_prefix="/reports/case")

FEW = 10  # days that are shown at once; more are folded away
AMOUNTS = {
    Measure.first_response: "first_response",
    Measure.next_response: "next_response",
    Measure.resolution: "resolution",
}


@dataclass(frozen=True)
class Days:
    """One day of a calculation, or several in a row of which nothing counts."""

    first: date
    last: date
    step: clock.Step


@dataclass(frozen=True)
class Counted:
    """A stretch that counts, with the opening time of each of its days."""

    since: datetime
    until: datetime
    days: Sequence[Days]


@dataclass(frozen=True)
class LeftOut:
    since: datetime
    until: datetime
    why: str


@dataclass(frozen=True)
class Target:
    """``stood``: while it stood still. ``late``: after it. ``calendar``: its own, if the time has another."""

    policy: str
    amount: str
    calendar: str | None
    due_at: datetime
    late: bool
    stood: Sequence[LeftOut]


@dataclass(frozen=True)
class Figure:
    """A time that was measured. ``version``: since when its calendar has been as it is here.

    ``outside_hours``: it was closed from its beginning to its end, which is why it took no time in opening hours.
    """

    measure: Measure
    name: str
    starts: str
    started_at: datetime
    ends: str
    at: datetime
    seconds: int
    business: int
    calendar: Calendar | None
    version: datetime | None
    counted: Sequence[Counted]
    left_out: Sequence[LeftOut]
    target: Target | None
    outside_hours: bool
    credited: str | None
    how: str | None
    day: date


@dataclass(frozen=True)
class Tally:
    """Something that is only counted."""

    name: str
    at: datetime
    n: int
    how: str | None
    credited: str | None
    day: date
    from_to: str = ""


@pages.get("/<int:number>")
def show(number: int) -> str:
    with report_frame.reading() as db:
        case = get_case(db, number)
        taken = samples.of_case(db, number)
        seen = select(User.id, User.name)
        if not is_at_least(Role.manager):  # as in the lists: who did it, only where it was who asks
            seen = seen.where(User.id == user().id)
        names = {id: name for id, name in db.execute(seen)}
        emails = {email: id for id, email in db.execute(select(User.id, User.email))}
        history = samples.histories_of(db, [number], emails)[number]
        told = _Told(db, list(history.steps), names, now())
        return render_template(
            "reports_case.html",
            case=case,
            figures=[told.figure(each) for each in taken if each.row["seconds"] is not None],
            tallies=sorted(
                (told.tally(each) for each in taken if each.row["seconds"] is None), key=lambda each: each.at
            ),
            may_have_targets=AMOUNTS,
            differs=_differs(db, number, taken),
            ignored=case.status == CaseStatus.ignored,
            imported=case.imported,
            waiting=case.waiting_since,
            words=report_words,
            few=FEW,
            zone_of=policy.read(db).zone.key,
        )


class _Told:
    """What is needed to tell the figures of one case."""

    def __init__(self, db: Session, steps: list[Happened], names: Mapping[int, str], at: datetime) -> None:
        self._steps, self._names, self._now = steps, names, at
        versions = policy.calendar_versions(db)
        self._since = {version.id: version.since for found in versions.values() for version in found}

    def figure(self, taken: Taken) -> Figure:
        row, measured = taken.row, taken.measured
        assert measured.started_at is not None
        starts, ends = ENDS[measured.measure]()
        stretches = measured.counted
        return Figure(
            measured.measure,
            report_words.measure(measured.measure),
            starts,
            measured.started_at,
            ends,
            measured.at,
            row["seconds"],
            row["business"],
            taken.calendar,
            self._since.get(row["calendar_id"]),
            [Counted(since, until, _days(taken.calendar, since, until)) for since, until in stretches],
            [LeftOut(*gap, self._why(*gap)) for gap in _gaps(stretches, measured.started_at, measured.at)],
            self._target(taken),
            outside_hours(row["seconds"], row["business"]),
            self._names.get(row["user_id"]),
            report_words.how(measured.how) if measured.how else None,
            date.fromordinal(row["day"]),
        )

    def tally(self, taken: Taken) -> Tally:
        row, measured = taken.row, taken.measured
        made = ""
        if measured.started_at is not None:  # a promise
            made = _("made %(made)s for %(due)s", made=self._on(measured.started_at), due=self._on(measured.at))
        return Tally(
            report_words.measure(measured.measure),
            measured.at,
            row["n"],
            report_words.how(measured.how) if measured.how else None,
            self._names.get(row["user_id"]),
            date.fromordinal(row["day"]),
            made,
        )

    def _target(self, taken: Taken) -> Target | None:
        due_at, measured, laid_down = taken.row["due_at"], taken.measured, taken.target
        if due_at is None or laid_down is None:
            return None
        stood: list[LeftOut] = []
        if measured.measure is Measure.resolution:
            pauses = rests([step for step in self._steps if step.at <= measured.at])
            begun = measured.started_at or measured.at
            spans = [(max(since, begun), min(until or measured.at, measured.at)) for since, until in pauses]
            stood = [LeftOut(*span, self._why(*span)) for span in spans if span[0] < span[1]]
        amount = amount_of(laid_down.amount, laid_down.hours)
        hours = laid_down.hours.name if laid_down.hours else None
        calendar = hours if taken.calendar is None or taken.calendar.name != hours else None
        return Target(laid_down.policy.name, amount, calendar, due_at, bool(taken.row["late"]), stood)

    def _on(self, at: datetime) -> str:
        return weekday(at, self._now)

    def _why(self, since: datetime, until: datetime) -> str:
        """What had happened when it began to rest."""
        reasons: dict[str, None] = {}
        for step in self._steps:
            if not since <= step.at < until:
                continue
            if step.until is not None:
                reasons[_("put away until %(time)s", time=self._on(step.until))] = None
            elif step.after == CaseStatus.pending:
                reasons[_("waiting for the author")] = None
            elif step.after in DONE:
                reasons[_("done, and opened again later")] = None
            elif step.after == CaseStatus.ignored:
                reasons[_("ignored")] = None
        return ", ".join(reasons)


def _gaps(counted: Sequence[Stretch], start: datetime, end: datetime) -> Iterator[Stretch]:
    at = start
    for since, until in counted:
        if since > at:
            yield at, since
        at = max(at, until)
    if at < end:
        yield at, end


def _days(calendar: Calendar | None, since: datetime, until: datetime) -> list[Days]:
    """Days on which it is closed as on every such weekday stand together, where they follow each other."""
    if calendar is None:
        return []
    found: list[Days] = []
    steps = clock.steps(calendar, since, until)
    for closed, together in groupby(steps, key=lambda step: not step.day.openings and step.day.why is None):
        run = list(together)
        parts = [run] if closed else [[step] for step in run]
        found += [Days(part[0].day.date, part[-1].day.date, part[0]) for part in parts]
    return found


def _differs(db: Session, number: int, taken: Sequence[Taken]) -> bool:
    """Whether what is stored says something else."""
    shown = ("measure", "day", "seconds", "business", "how", "n", "late")
    columns = [getattr(Sample, name) for name in shown]
    stored = Counter(tuple(row) for row in db.execute(select(*columns).where(Sample.case_id == number)))
    return stored != Counter(tuple(each.row[name] for name in shown) for each in taken)


def _seen_first() -> str:
    return _("Gensvar saw its first message")


def _published() -> str:
    return _("its first message was published")


ENDS = {  # from what to what
    Measure.first_response: lambda: (_published(), _("our first public answer was out")),
    Measure.first_response_seen: lambda: (_seen_first(), _("our first public answer was out")),
    Measure.next_response: lambda: (_("the first message without an answer was published"), _("it was answered")),
    Measure.assigned: lambda: (_seen_first(), _("somebody had it")),
    Measure.first_resolution: lambda: (_published(), _("it was resolved for the first time")),
    Measure.resolution: lambda: (_published(), _("it was resolved for the last time")),
    Measure.active: lambda: (_published(), _("it was resolved for the last time")),
}
