"""The wall display of a support room: a few very big numbers that keep themselves up to date, and no names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any

from flask import Blueprint, g, render_template, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from models import Promise, PromiseState
from reports.figures import Asked, Clock, report
from reports.tables import Column, Unit
from triage.measures import Measure
from web import report_frame, report_words
from web.context import now, user, zone
from web.finding import wanted_cases
from web.i18n import age, number
from web.i18n import gettext as _
from web.login import WALL_LASTS
from web.queries import count_cases

pages = Blueprint("report_wall", __name__, url_prefix="/reports/wall")
report_frame.TABS.append(report_frame.Tab("report_wall.show", lambda: _("Wall display")))

MOST = 9_999  # beyond it a number says "more than"
TODAY = (Measure.received, Measure.answer, Measure.first_response)


@dataclass(frozen=True)
class Number:
    """``more``: what stands under it, smaller. ``address``: the list it counts, for who may see it."""

    name: str
    words: str
    label: str
    address: str | None
    more: str = ""
    color: str | None = None


@pages.get("")
def show() -> str:
    return render_template("reports_wall.html", days=WALL_LASTS.days, **_all())


@pages.get("/numbers")
def numbers() -> str:
    """The numbers alone, for a page that is open: asked for when something has happened, and every minute."""
    return render_template("_wall.html", **_all())


def _all() -> dict[str, Any]:
    today = now().astimezone(zone()).date()
    asked = Asked(today, today + timedelta(days=1))
    with report_frame.reading() as db:
        found = [*_waiting(db, asked), *_today(db, asked), _promised(db, asked)]
    return {"numbers": [replace(each, address=None) for each in found] if g.wall else found, "on_wall": g.wall}


def _waiting(db: Session, asked: Asked) -> list[Number]:
    total = report(db, asked, []).total
    lists: Mapping[str, dict[str, str]] = {
        "late": {"due": "late", "sort": "urgent"},
        "soon": {"due": "soon", "sort": "urgent"},
    }
    found = count_cases(db, [wanted_cases(MultiDict(args), user()) for args in lists.values()], MOST)
    late, soon = (each or 0 for each in found)
    oldest = _("the oldest for %(time)s", time=age(total.oldest, now())) if total.oldest else ""
    waiting = _behind(asked, "still_waiting")
    return [
        Number("waiting", number(total.still_waiting), _("Waiting for an answer"), waiting, oldest),
        Number("late", _counted(late), _("Late"), _inbox(lists["late"]), color="danger" if late else None),
        Number(
            "soon",
            _counted(soon),
            _("Late or due within two hours"),
            _inbox(lists["soon"]),
            color="warning" if soon else None,
        ),
    ]


def _today(db: Session, asked: Asked) -> list[Number]:
    total = report(db, asked, TODAY).total
    response = total.timing(Measure.first_response)
    open_ = report(db, replace(asked, clock=Clock.business), [Measure.first_response]).total
    in_hours = open_.timing(Measure.first_response).median_s
    more = _("%(time)s in opening hours", time=report_words.took(in_hours)) if in_hours is not None else ""
    return [
        Number("new", number(total.count(Measure.received)), _("New today"), _behind(asked, "", Measure.received)),
        Number("answers", number(total.count(Measure.answer)), _("Answers today"), _behind(asked, "", Measure.answer)),
        Number(
            "median",
            "–" if response.median_s is None else report_words.took(response.median_s),
            _("Median first response today"),
            _behind(asked, "", Measure.first_response) if response.n else None,
            more,
        ),
    ]


def _promised(db: Session, asked: Asked) -> Number:
    """Of everybody, as the list says that it leads to."""
    midnight = datetime.combine(asked.end, time(), zone())
    due = select(func.count(Promise.id)).where(Promise.state == PromiseState.open, Promise.due_at < midnight)
    n = db.scalar(due) or 0
    address = url_for("promises.overview", list="due", whose="all")
    return Number("promised", number(n), _("Promised for today, or late"), address, color="warning" if n else None)


def _behind(asked: Asked, name: str, measure: Measure | None = None) -> str | None:
    return report_frame.behind_address(asked, None, Column(name, Unit.count, lambda row: None, measure))


def _inbox(args: Mapping[str, Any]) -> str:
    return url_for("inbox.inbox", **args)


def _counted(n: int) -> str:
    return _("more than %(n)s", n=number(MOST)) if n > MOST else number(n)
