"""The nightly comparisons: whether what is stored is still what the events say, and where it is not."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, abort, render_template
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import FigureCheck
from triage.measures import How, Measure
from web import labels, report_words
from web.context import house, now, only_admins, whole_number
from web.i18n import clock, number, short_day
from web.i18n import gettext as _
from web.queries import MAX_NUMBER

pages = Blueprint("report_checks", __name__, url_prefix="/reports/checks")
pages.before_request(only_admins)

PAGE = 30


@dataclass(frozen=True)
class Difference:
    case: int
    what: str
    stored: list[str]
    computed: list[str]


@pages.get("")
def listing() -> str:
    """``before``: older nights than this one; ``night``: whose differences are shown, else the latest."""
    before, night = whole_number("before"), whole_number("night")
    with house().database.read() as db:
        last = latest(db)
        nights = select(FigureCheck).order_by(FigureCheck.id.desc()).limit(PAGE + 1)
        found = list(db.scalars(nights if before is None else nights.where(FigureCheck.id < min(before, MAX_NUMBER))))
        shown = last if night is None else db.get(FigureCheck, min(night, MAX_NUMBER))
    if night is not None and shown is None:
        abort(404)
    return render_template(
        "reports_checks.html",
        last=last,
        nights=found[:PAGE],
        more=found[PAGE - 1].id if len(found) > PAGE else None,
        shown=shown,
        differences=[_difference(each) for each in shown.differences] if shown else [],
    )


def latest(db: Session) -> FigureCheck | None:
    return db.scalar(select(FigureCheck).order_by(FigureCheck.id.desc()).limit(1))


def _difference(each: Mapping[str, Any]) -> Difference:
    what = str(each["what"])
    return Difference(int(each["case"]), _what(what), _told(what, each["stored"]), _told(what, each["computed"]))


def _what(name: str) -> str:
    """A measure, or what is cached on the case."""
    if name in list(Measure):
        return report_words.measure(Measure(name))
    return {
        "opened_at": _("Opened"),
        "first_response_at": _("First answer"),
        "waiting_since": _("Waiting since"),
        "mention_count": _("Messages"),
        "status": _("Status"),
        "details": _("What it is grouped by"),
    }.get(name, name)


def _told(name: str, value: Any) -> list[str]:
    """Line by line; what cannot be read is shown as it stands."""
    if name in list(Measure):
        return [_sample(each) for each in value] or [_("nothing")]
    if value is None:
        return [_("nothing")]
    if name == "details":
        return [_("%(n)s samples", n=number(value))]
    if name == "status":
        return [labels.status(value)]
    if isinstance(value, str):
        return [clock(datetime.fromisoformat(value), now())]
    return [number(value)]


def _sample(text: str) -> str:
    """Of ``triage.samples``: day, seconds, business seconds, how, n."""
    try:
        day, seconds, business, how, n = ast.literal_eval(text)
        parts = [short_day(date.fromordinal(day))]
    except (ValueError, SyntaxError, TypeError):
        return text
    if seconds is not None:
        parts.append(report_words.took(seconds))
        parts.append(_("%(time)s in opening hours", time=report_words.took(business)))
    if how is not None:
        parts.append(report_words.how(How(how)))
    return ", ".join([*parts, *([f"× {number(n)}"] if n != 1 else [])])
