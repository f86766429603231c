"""When a case is due, in words, and how that was calculated, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models import Case
from settings import Calendar, OpeningTime
from triage import clock, targets
from triage.sla import RESOLUTION, Target
from web import labels
from web.context import now
from web.i18n import clock as shown
from web.i18n import duration, length, ngettext
from web.i18n import gettext as _

MOST_DAYS = 60  # listed of a calculation; what is due later than that is due long from now


@dataclass(frozen=True)
class Due:
    """One target of a case. ``days``: those its opening time is counted over; none where it is open at all times."""

    target: Target
    words: str
    colour: str
    amount: str
    days: list[clock.Step]
    more_days: int
    pauses: tuple[tuple[datetime, datetime | None], ...]


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_targets.html`` shows beside a case."""
    computed = targets.compute(db, case)
    if computed is None:
        return {"due": [], "policy": None}
    hours = None if computed.given.clock == "calendar" else computed.calendar
    pauses = targets.pauses(db, case.id)
    return {
        "due": [_due(target, hours, pauses, now()) for target in computed.targets],
        "policy": computed.given,
        "hours": hours,
    }


def _due(
    target: Target, hours: Calendar | None, pauses: tuple[tuple[datetime, datetime | None], ...], at: datetime
) -> Due:
    words, colour = _in_words(target, at)
    end = target.due_at
    steps = clock.steps(hours, target.started_at, end) if hours is not None and end is not None else []
    stood = tuple(pause for pause in pauses if pause[1] is None or pause[1] > target.started_at)
    return Due(
        target,
        words,
        colour,
        amount_of(target.amount, hours),
        steps[:MOST_DAYS],
        max(0, len(steps) - MOST_DAYS),
        stood if target.name == RESOLUTION else (),
    )


def _in_words(target: Target, at: datetime) -> tuple[str, str]:
    """Where it stands, and the colour that goes with it."""
    due, met = target.due_at, target.met_at
    if met is not None:
        if due is None or met <= due:
            return _("in time, %(time)s", time=shown(met, at)), "success"
        return _("%(late)s late, %(time)s", late=length(met - due), time=shown(met, at)), "danger"
    if target.lapsed:
        return _("no longer asked for: the case was put away"), "neutral"
    if due is None:
        return _("stands still while we wait for the author"), "neutral"
    if due <= at:
        return _("%(late)s late: it was due %(time)s", late=length(at - due), time=shown(due, at)), "danger"
    words = _("due %(time)s, in %(left)s", time=shown(due, at), left=length(due - at))
    return words, "warning" if due - at <= labels.SOON else "neutral"


def amount_of(amount: OpeningTime, hours: Calendar | None) -> str:
    """ "2 opening days and 4 h" """
    if hours is None:
        parts = (length(amount.days * clock.DAY) if amount.days else "", duration(amount.time) if amount.time else "")
        return " ".join(filter(None, parts))
    days = ngettext("%(n)s opening day", "%(n)s opening days", amount.days) if amount.days else ""
    time = _("%(time)s of opening time", time=duration(amount.time)) if amount.time else ""
    return _("%(days)s and %(time)s", days=days, time=time) if days and time else days or time
