"""Stories that were told in a period: how far they reached, and who was first, we or the press."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select

from errors import InvalidInput, NotFoundError
from models import Case, Story
from reports.stories import COUNTED, COUNTS, Told, stories
from web import report_frame
from web.context import whole_number
from web.i18n import duration, length
from web.i18n import gettext as _
from web.queries import MAX_NUMBER

pages = Blueprint("report_stories", __name__, url_prefix="/reports/stories")
pages.register_error_handler(InvalidInput, report_frame.wrong)
report_frame.TABS.append(report_frame.Tab("report_stories.show", lambda: _("Stories")))

PAGE = 50
EXACT = timedelta(hours=48)  # beyond it the days are enough


@pages.get("")
def show() -> str:
    """``after``: the story after which the page begins."""
    asked = report_frame.asked_from(request.args)
    with report_frame.reading(asked) as db:
        found = stories(db, asked)
        after = whole_number("after")
        begins = next((n for n, each in enumerate(found.told, 1) if each.id == after), 0)
        return render_template(
            "reports_stories.html",
            **report_frame.frame(db, asked),
            found=found,
            shown=found.told[begins : begins + PAGE],
            begins=begins,
            more=begins + PAGE < len(found.told),
            head_start=head_start,
            apart=apart,
            cases_address=cases_address,
        )


@pages.get("/answered")
def answered() -> str:
    """The cases of a story that have a public answer, in the order in which they got it. ``begins``: the page."""
    asked = report_frame.asked_from(request.args)
    story, begins = whole_number("story") or 0, whole_number("begins") or 0
    with report_frame.reading(asked) as db:
        told = db.get(Story, min(story, MAX_NUMBER))
        if told is None:
            raise NotFoundError(f"There is no story {story}.")
        of_it = (Case.story_id == told.id, *COUNTS, Case.first_response_at.is_not(None))
        listed = select(Case).where(*of_it).order_by(Case.first_response_at, Case.id)
        found = list(db.scalars(listed.offset(begins).limit(PAGE + 1)))
        return render_template(
            "reports_stories.html",
            **report_frame.frame(db, asked),
            story=told,
            listed=found[:PAGE],
            begins=begins,
            next=begins + PAGE if len(found) > PAGE else None,
        )


def head_start(told: Told) -> str:
    """Who was first, in words."""
    if told.press is None:
        return _("not in the press")
    if told.head_start is None:
        return _("not answered")
    return apart(told.head_start)


def apart(found: timedelta) -> str:
    if abs(found) < timedelta(minutes=1):
        return _("at the same time as the press")
    took = duration(abs(found)) if abs(found) < EXACT else length(found)
    if found > timedelta(0):
        return _("%(time)s before the press", time=took)
    return _("%(time)s after the press", time=took)


def cases_address(story_id: int) -> str:
    """The cases that are counted: what was ignored is not."""
    return url_for("inbox.inbox", story=story_id, status=[status.value for status in COUNTED])
