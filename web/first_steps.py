"""The first steps after the first administrator: the organisation, a source, opening hours, colleagues, examples.

Each can be taken, skipped, taken up again and done anew; what is open stands on the overview of the administration too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

import audit
import channels
from models import Source, User
from triage import examples, policy
from web import i18n, preferences
from web.context import house, now, only_admins, user
from web.i18n import gettext as _
from web.i18n import ngettext

pages = Blueprint("first_steps", __name__, url_prefix="/setup/steps")
pages.before_request(only_admins)

# The channel of the examples: one that can be read without an account of ours, so that nothing can be sent there.
INVENTED = next(channel.name for channel in channels.CHANNELS.values() if "feed" in channel.accountless)


@dataclass(frozen=True)
class Step:
    """``address``: where it is done; None: on the page of the steps itself."""

    name: str
    title: str
    about: str
    address: str | None
    act: str
    done: bool
    skipped: bool = False

    @property
    def open(self) -> bool:
        return not (self.done or self.skipped)


def steps(db: Session, me: User) -> list[Step]:
    skipped = preferences.of(me).skipped
    sources = db.scalar(select(func.count()).select_from(Source).where(~Source.example, Source.enabled)) or 0
    calendars = len(policy.entries(db, "calendars"))
    users = db.scalar(select(func.count()).select_from(User)) or 0
    found = (
        Step("administrator", _("Administrator"), _("That is you."), None, "", True),
        Step(
            "organisation",
            _("Organisation"),
            _("Name, time zone and languages stand in config.yaml. Are they right?"),
            None,
            _("They are right"),
            "organisation" in skipped,  # there is nothing to do but to look
        ),
        Step(
            "source",
            _("First source"),
            ngettext("%(n)s source is read.", "%(n)s sources are read.", sources)
            if sources
            else _("Where people talk about you: a blog or a newspaper by its address, with a look at what is there."),
            url_for("admin.sources", _anchor="add"),
            _("Add a source"),
            sources > 0,
        ),
        Step(
            "calendar",
            _("Opening hours"),
            ngettext("%(n)s calendar is laid down.", "%(n)s calendars are laid down.", calendars)
            if calendars
            else _("When people work, with holidays: answers are due within opening hours."),
            url_for("policy.new", slug="calendars"),
            _("Add a calendar"),
            calendars > 0,
        ),
        Step(
            "colleagues",
            _("Colleagues"),
            ngettext("%(n)s person may log in.", "%(n)s people may log in.", users)
            if users > 1
            else _("Each gets a link that works once."),
            url_for("users.listing", _anchor="add"),
            _("Invite a colleague"),
            users > 1,
        ),
        Step(
            "examples",
            _("Examples"),
            _("Invented messages to try everything on. They start no clocks, tell nobody, and go at one click."),
            None,
            _("Show me with invented examples"),
            examples.source(db) is not None,
        ),
    )
    return [replace(step, skipped=step.name in skipped and not step.done) for step in found]


@pages.get("")
def listing() -> str:
    with house().database.read() as db:
        me = db.get_one(User, user().id)
        found = steps(db, me)
    organisation = house().settings.organisation
    return render_template(
        "first_steps.html",
        steps=found,
        remaining=[step for step in found if step.open],
        organisation_languages=[i18n.language_name(tag) for tag in organisation.languages],
        settings=house().settings,
    )


@pages.post("/skip")
def skip() -> BaseResponse:
    """A step that is not wanted now, or (``back``) is wanted again."""
    name = request.form.get("step", "")
    with house().database.transaction() as db:
        me = db.get_one(User, user().id)
        if name not in {step.name for step in steps(db, me)}:
            abort(400)
        skipped = preferences.of(me).skipped
        preferences.change(db, me, skipped=skipped - {name} if request.form.get("back") else skipped | {name})
    return redirect(url_for("first_steps.listing", _anchor=f"step-{name}"), 303)


@pages.post("/examples")
def put_examples() -> BaseResponse:
    with house().database.transaction() as db:
        languages = house().settings.organisation.languages
        new = examples.put(db, channel=INVENTED, languages=languages, at=now())
        if new:
            _written(db, "add")
    if new:
        flash(ngettext("%(n)s invented message is in the inbox.", "%(n)s invented messages are in the inbox.", new))
    return redirect(url_for("inbox.inbox"), 303)


@pages.post("/examples/remove")
def remove_examples() -> BaseResponse:
    with house().database.transaction() as db:
        gone = examples.remove(db)
        if gone:
            _written(db, "remove")
    flash(_("The examples are gone, with everything that was done with them."))
    return redirect(url_for("first_steps.listing", _anchor="step-examples"), 303)


def _written(db: Session, action: str) -> None:
    audit.record(db, actor=user().email, action=action, subject="examples:", at=now())
