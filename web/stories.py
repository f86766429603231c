"""Stories: which are told, how fast they grow, who tells them; taken apart and put together by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from errors import InvalidInput
from models import Case, Mention, Story, User
from triage import storycraft, storyteller
from web import story_facts, story_words
from web.context import as_number, house, now, user, whole_number, zone
from web.i18n import gettext as _
from web.queries import MAX_NUMBER, find_stories
from web.safe_html import is_web

pages = Blueprint("stories", __name__, url_prefix="/stories")

PAGE = 30
MEMBERS = 50
ACTIVE = timedelta(days=2)  # told within this time
CHART = (600, 80)  # its own units: the screen gives it its size
CHOICES = 20  # other stories one may be joined with


@pages.get("")
def overview() -> str:
    """``show``: active (the default), alarm or all; ``cursor``."""
    show = request.args.get("show", "active")
    show = show if show in ("active", "alarm", "all") else "active"
    cursor = request.args.get("cursor") or None
    with house().database.read() as db:
        found, next_cursor = find_stories(
            db,
            alarmed=show == "alarm",
            active_since=now() - ACTIVE if show == "active" else None,
            limit=PAGE,
            cursor=cursor,
        )
        glances = story_facts.glances(db, found, now())
    lists = (("active", _("Told now")), ("alarm", _("Alarmed")), ("all", _("All")))
    return render_template(
        "stories.html",
        glances=glances,
        next_cursor=next_cursor,
        cursor=cursor,
        show=show,
        lists=lists,
        words=story_words,
    )


@pages.get("/<int:number>")
def show(number: int) -> str | BaseResponse:
    with house().database.read() as db:
        story = _get(db, number)
        if story.id != number:
            return redirect(url_for("stories.show", number=story.id), 302)
        told = story_facts.told(db, story)
        first = told.timeline.first if told else 0
        members, after = story_facts.members(db, story, first, whole_number("after"), MEMBERS)
        chart, hourly = story_facts.bars(told.timeline, zone()) if told else ([], True)
        others, _cursor = find_stories(db, limit=CHOICES + 1)
        return render_template(
            "story.html",
            story=story,
            glance=story_facts.glances(db, [story], now())[0],
            told=told,
            members=members,
            after=after,
            paged=whole_number("after") is not None,
            bars=chart,
            hourly=hourly,
            chart=CHART,
            most=max((bar.mentions for bar in chart), default=1),
            others=[other for other in others if other.id != story.id][:CHOICES],
            acts=storycraft.acts(db, story.id),
            words=story_words,
            is_web=is_web,
            zone=zone(),
        )


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_story.html`` shows beside a case: its story if it has one, and why its author is heard."""
    story = storyteller.get(db, case.story_id) if case.story_id is not None else None
    found: dict[str, Any] = {
        "words": story_words,
        "told_in": story_facts.glances(db, [story], now())[0] if story else None,
        "heard": story_facts.reasons(db, case.author, story) if case.author else [],
        "belongs": None,
    }
    if story is not None:
        said = select(Mention).where(Mention.case_id == case.id, Mention.story_id == story.id)
        earliest = select(func.min(Mention.id)).where(
            Mention.story_id == story.id, Mention.published_at == story.opened_at
        )
        mention = db.scalar(said.order_by(Mention.published_at, Mention.id).limit(1))
        if mention is not None:
            found["belongs"] = story_facts.why(db, mention, db.scalar(earliest) or 0)
    return found


def _get(db: Session, number: int) -> Story:
    return storyteller.get(db, min(number, MAX_NUMBER))


# -- by hand ----------------------------------------------------------------------------------------------------------


@pages.post("/<int:number>/split")
def split(number: int) -> BaseResponse:
    """The ticked mentions, with their cases, are another matter."""
    made = _by_hand(lambda db, me: storycraft.split_out(db, number, _ticked(), me, now()))
    if made is not None:
        flash(_("Taken out. They are a story of their own now: %(title)s", title=made.title))
    else:
        flash(_("Taken out. By themselves they are no story."))
    return _back(number)


@pages.post("/<int:number>/move")
def move(number: int) -> BaseResponse:
    to = _other("to")
    made = _by_hand(lambda db, me: storycraft.move(db, number, _ticked(), to, me, now()))
    flash(_("Moved to: %(title)s", title=made.title))
    return _back(number)


@pages.post("/<int:number>/join")
def join(number: int) -> BaseResponse:
    other = _other("other")
    _by_hand(lambda db, me: storycraft.join(db, number, other, me, now()))
    flash(_("Both are one story now."))
    return _back(number)


@pages.post("/<int:number>/undo")
def undo(number: int) -> BaseResponse:
    lesson = whole_number("lesson") or 0
    _by_hand(lambda db, me: storycraft.withdraw(db, lesson, me, now()))
    flash(_("Taken back. What was still where it had been put is where it was before."))
    return _back(number)


def _by_hand(do: Callable[[Session, User], Any]) -> Any:
    try:
        with house().database.transaction() as db:
            return do(db, db.get_one(User, user().id))
    except InvalidInput:
        message = _("Nothing was changed. Tick some of the mentions but not all, and choose another story.")
        raise InvalidInput(message, {"mention": "tick some, not all"}) from None


def _ticked() -> list[int]:
    return [found for id in request.form.getlist("mention") if (found := as_number(id)) is not None]


def _other(name: str) -> int:
    return whole_number(name) or 0


def _back(number: int) -> BaseResponse:
    return redirect(url_for("stories.show", number=number), 303)
