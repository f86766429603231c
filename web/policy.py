"""What is laid down: rules, calendars, response targets, categories, prepared answers, teams. Managers may read.

Every page shows one part of config.yaml as ``triage.policy`` holds it: what the file declares is read-only here; what
is made here is edited in a form made of its settings model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

import audit
import channels
import settings
from errors import ConfigError, ConfigProblem, InvalidInput, NotFoundError
from house import channel_rules
from models import CaseTag, Definition, Role, Source, User
from settings import RuleEffects
from triage import policy, watch
from triage.policy import Entry
from web import form_words, forms, labels, trials
from web.context import house, is_at_least, managers_read_admins_change, now, user
from web.forms import Choice, Choices, Control, Posted
from web.i18n import gettext as _

pages = Blueprint("policy", __name__, url_prefix="/admin")
pages.before_request(managers_read_admins_change)

PARTS = '<any(rules, calendars, sla, categories, "canned-replies", teams):slug>'
ORDERED = ("rules", "calendars", "sla", "categories", "canned_replies")  # teams stand by name
MOST_TAGS = 40  # offered to tick
LANGUAGES = ("sv", "da", "nb", "nn", "en", "fi", "de")


@dataclass(frozen=True)
class Page:
    """One definition on the screen. ``entry`` None: a new one; ``old``: a version no longer in force."""

    part: str
    posted: Posted
    entry: Entry | None = None
    old: Definition | None = None
    problems: Sequence[ConfigProblem] = ()
    trial: trials.Trial | None = None
    notice: str | None = None

    @property
    def editable(self) -> bool:
        return is_at_least(Role.admin) and self.old is None and not (self.entry and self.entry.declared)


# -- the list ----------------------------------------------------------------------------------------------------------


@pages.get(f"/{PARTS}")
def listing(slug: str) -> str:
    part = _part(slug)
    with house().database.read() as db:
        found = policy.entries(db, part)
        choices = _choices(db)
    shown = [(entry, _controls(part, _as_posted(entry.value), choices)) for entry in found]
    by_hand = [entry.id for entry in found if not entry.declared]
    return render_template(
        "policy_list.html",
        slug=slug,
        part=part,
        shown=shown,
        by_hand=by_hand,
        ordered=part in ORDERED,
        title=form_words.part(part),
        about=form_words.about(part),
    )


@pages.post(f"/{PARTS}/<int:entry_id>/move")
def move(slug: str, entry_id: int) -> BaseResponse:
    """One up or one down among those made here."""
    part, by = _part(slug), {"up": -1, "down": 1}.get(request.form.get("by", ""))
    if by is None or part not in ORDERED:
        abort(400)
    with house().database.transaction() as db:
        names = [entry.name for entry in policy.entries(db, part) if not entry.declared]
        place = names.index(_made_here(db, part, entry_id).name)
        other = min(max(place + by, 0), len(names) - 1)
        names[place], names[other] = names[other], names[place]
        policy.order(db, part, names)
        _written(db, "move", part, names[other])
    return redirect(url_for("policy.listing", slug=slug, _anchor=f"entry-{entry_id}"), 303)


@pages.post(f"/{PARTS}/<int:entry_id>/switch")
def switch(slug: str, entry_id: int) -> BaseResponse:
    """A rule on or off."""
    with house().database.transaction() as db:
        entry = _made_here(db, _part(slug), entry_id)
        if not isinstance(entry.value, settings.RuleSettings):
            abort(400)
        other = entry.value.model_copy(update={"enabled": not entry.value.enabled})
        policy.put(db, "rules", other, instead_of=entry.name, by=user().email, at=now())
        _written(db, "enable" if other.enabled else "disable", "rules", entry.name)
    flash(_("%(name)s is on.", name=entry.name) if other.enabled else _("%(name)s is off.", name=entry.name))
    return redirect(url_for("policy.listing", slug=slug), 303)


@pages.get(f"/{PARTS}/<int:entry_id>/remove")
def confirm_removal(slug: str, entry_id: int) -> str:
    part = _part(slug)
    if not is_at_least(Role.admin):
        abort(403)
    with house().database.read() as db:
        entry = _made_here(db, part, entry_id)
        users = policy.uses(db, part, entry.name)
    named = [(form_words.part(where), name) for where, name in users]
    return render_template("policy_remove.html", slug=slug, part=part, entry=entry, users=named)


@pages.post(f"/{PARTS}/<int:entry_id>/remove")
def remove(slug: str, entry_id: int) -> BaseResponse:
    part = _part(slug)
    try:
        with house().database.transaction() as db:
            entry = _made_here(db, part, entry_id)
            policy.retire(db, part, entry.name, at=now())
            _written(db, "remove", part, entry.name, audit.difference(_body(entry.value), None))
    except InvalidInput:
        flash(_("%(name)s stays: cases or other definitions still name it.", name=entry.name))
        return redirect(url_for("policy.listing", slug=slug), 303)
    flash(_("%(name)s is removed.", name=entry.name))
    return redirect(url_for("policy.listing", slug=slug), 303)


# -- one of them -------------------------------------------------------------------------------------------------------


@pages.get(f"/{PARTS}/new")
def new(slug: str) -> str:
    if not is_at_least(Role.admin):
        abort(403)
    part = _part(slug)
    return _page(Page(part, _as_posted(_blank(part))))


@pages.get(f"/{PARTS}/<int:entry_id>")
def show(slug: str, entry_id: int) -> str:
    """One in force, or a version that no longer is."""
    part = _part(slug)
    with house().database.read() as db:
        entry = _in_force(db, part, entry_id)
        old = None if entry else _old(db, part, entry_id)
        value = entry.value if entry else policy.value_of(db, entry_id)
        trial = trials.of(db, value, request.args.get("example", ""), now())
    return _page(Page(part, _as_posted(value), entry, old, trial=trial))


@pages.post(f"/{PARTS}/new")
def add(slug: str) -> str | Response | BaseResponse:
    return _take(Page(_part(slug), request.form.copy()))


@pages.post(f"/{PARTS}/<int:entry_id>")
def save(slug: str, entry_id: int) -> str | Response | BaseResponse:
    part = _part(slug)
    with house().database.read() as db:
        entry = _in_force(db, part, entry_id)
        newest = None if entry else policy.history(db, part, _old(db, part, entry_id).name)[0]
        theirs = _in_force(db, part, newest.id) if newest else None
    if newest is not None:
        said = _("Somebody else changed it meanwhile. What you typed stands below; saving replaces theirs.")
        return make_response(_page(Page(part, request.form.copy(), theirs, notice=said)), 409)
    if entry is not None and entry.declared:
        abort(403)
    return _take(Page(part, request.form.copy(), entry))


def _take(page: Page) -> str | Response | BaseResponse:
    """Check what was typed; then try it without keeping it, or keep it."""
    instead_of = page.entry.name if page.entry else None
    definition = forms.read(settings.PARTS[page.part], page.posted)
    name = definition["name"]
    with house().database.read() as db:
        known = _known(db, {page.part: instead_of})
    rules: dict[str, Any] = {"known": known, "channels": channel_rules(), "check_query": watch.parse}
    try:
        value = settings.read_part(page.part, definition, **rules)
        if name in known[page.part]:
            raise ConfigError([ConfigProblem("name", name, _("There is already one of this name."))])
        if policy.is_reserved_in(value, page.entry.value if page.entry else None):
            place = "then.tags" if page.part == "rules" else "name"
            raise ConfigError([ConfigProblem(place, name, labels.reserved())])
        if request.form.get("do") == "try":
            with house().database.read() as db:
                trial = _trial(db, value, instead_of)
            return _page(replace(page, trial=trial))
        with house().database.transaction() as db:
            policy.put(db, page.part, value, instead_of=instead_of, by=user().email, at=now())
            changes = audit.difference(_body(page.entry.value) if page.entry else None, _body(value))
            if changes:
                _written(db, "change" if page.entry else "add", page.part, name, changes)
    except ConfigError as error:
        problems = forms.relative(error.problems, page.part, name)
        return make_response(_page(replace(page, problems=problems)), 422)
    except InvalidInput:
        problem = ConfigProblem("name", name, _("Others still use the old name; change those first."))
        return make_response(_page(replace(page, problems=[problem])), 422)
    flash(_("%(name)s is in force.", name=name))
    return redirect(url_for("policy.listing", slug=_slug(page.part)), 303)


def _written(db: Session, action: str, part: str, name: str, changes: audit.Changes | None = None) -> None:
    audit.record(db, actor=user().email, action=action, subject=f"{part}:{name}", changes=changes, at=now())


def _body(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _trial(db: Session, value: settings.Strict, instead_of: str | None) -> trials.Trial | None:
    if isinstance(value, settings.RuleSettings):
        return trials.of_rule(db, value, instead_of, now())
    return trials.of(db, value, request.form.get("example", ""), now())


def _page(page: Page) -> str:
    with house().database.read() as db:
        controls = _controls(page.part, page.posted, _choices(db), page.problems)
        named = page.entry.name if page.entry else page.old.name if page.old else None
        versions = policy.history(db, page.part, named) if named else []
        people = {each.email: each.name for each in db.scalars(select(User))}
    return render_template(
        "policy_edit.html",
        page=page,
        slug=_slug(page.part),
        controls=controls,
        wrong=forms.wrong(controls),
        problems=forms.unplaced(controls, page.problems),
        versions=versions,
        people=people,
        title=form_words.part(page.part),
        heading=named or form_words.new(page.part),
        zones=_zones(),
    )


def _blank(part: str) -> BaseModel:
    """What a new form begins with: the defaults, and what is most often meant."""
    week = dict.fromkeys(settings.DAYS[:5], (settings.span("08:00-16:00"),))
    usual: dict[str, Any] = {
        "rules": {"then": RuleEffects()},
        "calendars": {"timezone": house().settings.organisation.timezone, "hours": week},
        "canned_replies": {"texts": {}},
    }
    return settings.PARTS[part].model_construct(name="", **usual.get(part, {}))


@cache
def _zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if zone.startswith(("Europe/", "Atlantic/")))


# -- what is known -----------------------------------------------------------------------------------------------------


def _part(slug: str) -> str:
    return slug.replace("-", "_")


def _slug(part: str) -> str:
    return part.replace("_", "-")


def _as_posted(value: BaseModel) -> Posted:
    posted = forms.as_posted(type(value), value.model_dump(mode="json", by_alias=True))
    if not is_at_least(Role.admin) and (address := posted.get("then.webhook")):
        posted["then.webhook"] = urlsplit(address).hostname or ""  # the rest of an address is often a secret
    return posted


def _controls(part: str, posted: Posted, choices: Choices, problems: Sequence[ConfigProblem] = ()) -> list[Control]:
    return forms.controls(settings.PARTS[part], part, posted, choices, problems)


def _in_force(db: Session, part: str, entry_id: int) -> Entry | None:
    return next((entry for entry in policy.entries(db, part) if entry.id == entry_id), None)


def _old(db: Session, part: str, entry_id: int) -> Definition:
    """A version that was in force once. Raises ``NotFoundError``."""
    found = None if part == policy.TEAMS else db.get(Definition, entry_id)
    if found is None or found.part != part:
        raise NotFoundError("There is none of that number.")
    return found


def _made_here(db: Session, part: str, entry_id: int) -> Entry:
    entry = _in_force(db, part, entry_id)
    if entry is None or entry.declared:
        raise NotFoundError("There is none of that number that could be changed here.")
    return entry


def _known(db: Session, without: dict[str, str | None]) -> dict[str, list[str]]:
    """Part -> the names there are, but for the one that is being replaced."""
    return {
        part: [entry.name for entry in policy.entries(db, part) if entry.name != without.get(part)]
        for part in settings.PARTS
    }


def _choices(db: Session) -> Choices:
    """What there is to choose from: the names in force, people, channels, sources, tags, languages."""
    names = {part: [Choice(each, each) for each in found] for part, found in _known(db, {}).items()}
    people = db.execute(select(User.email, User.name).where(User.disabled_at.is_(None)).order_by(User.name))
    used = func.count().label("used")
    tags = select(CaseTag.tag).group_by(CaseTag.tag).order_by(used.desc(), CaseTag.tag).limit(MOST_TAGS)
    spoken = dict.fromkeys((*house().settings.organisation.languages, *LANGUAGES))
    return {
        **names,
        "people": [Choice(email, f"{name} ({email})") for email, name in people],
        "channels": [Choice(each.name, each.label) for each in channels.CHANNELS.values()],
        "sources": [Choice(each, each) for each in db.scalars(select(Source.name).order_by(Source.name))],
        "tags": [Choice(each, each) for each in sorted(db.scalars(tags))],
        "languages": [Choice(tag, form_words.language(tag)) for tag in spoken],
    }
