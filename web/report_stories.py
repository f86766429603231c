"""Stories that were told in a period: how far they reached, and who was first, we or the press."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, request, url_for

from errors import InvalidInput, NotFoundError
from models import Story
from reports.stories import COUNTED, SOME, Told, cases_of, stories
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
    """``after``: the story after which the page begins; ``only``: those that one of the numbers counts."""
    asked, only = report_frame.asked_from(request.args), request.args.get("only")
    if only and only not in SOME:
        raise InvalidInput(_("That cannot be chosen."), {"only": ", ".join(SOME)})
    with report_frame.reading(asked) as db:
        found = stories(db, asked)
        listed = found.only(only) if only else found
        after = whole_number("after")
        begins = next((n for n, each in enumerate(listed.told, 1) if each.id == after), 0)
        return render_template(
            "reports_stories.html",
            **report_frame.frame(db, asked),
            found=found,
            table=listed,
            only=only,
            shown=listed.told[begins : begins + PAGE],
            begins=begins,
            more=begins + PAGE < len(listed.told),
            head_start=head_start,
            apart=apart,
            cases_address=cases_address,
        )


@pages.get("/answered")
def answered() -> str:
    """The cases that have a public answer, in the order in which they got it: of a ``story``, or of all of the period.

    ``begins``: the page.
    """
    return _cases(answered=True)


@pages.get("/cases")
def cases() -> str:
    """All of them, in the order in which they began."""
    return _cases(answered=False)


def _cases(*, answered: bool) -> str:
    asked = report_frame.asked_from(request.args)
    story, begins = whole_number("story"), whole_number("begins") or 0
    with report_frame.reading(asked) as db:
        told = None if story is None else db.get(Story, min(story, MAX_NUMBER))
        if story is not None and told is None:
            raise NotFoundError(f"There is no story {story}.")
        found = list(db.scalars(cases_of(db, asked, story, answered=answered).offset(begins).limit(PAGE + 1)))
        return render_template(
            "reports_stories.html",
            **report_frame.frame(db, asked),
            story=told,
            answered=answered,
            listed=[(each, each.first_response_at if answered else each.opened_at) for each in found[:PAGE]],
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
