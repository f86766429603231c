"""Administration: what is collected and how it fares, our accounts, the people. For administrators only."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

import audit
import channels
import mail
import money
import pulls
from collectors.base import MentionData
from collectors.blog_discovery import Found, Preview, discover
from errors import ChannelError, ConfigError, GensvarError, InvalidInput, NotFoundError, QueryError
from models import (
    Account,
    Case,
    Heartbeat,
    Reply,
    ReplyStatus,
    SetAsideItem,
    Source,
    User,
)
from settings import RESERVED_WHY, SourceSettings, is_reserved
from triage import language, watch
from web import first_steps, history, labels
from web.context import house, now, only_admins, user
from web.i18n import gettext as _
from web.i18n import number
from web.inbox import collecting

pages = Blueprint("admin", __name__, url_prefix="/admin")
pages.before_request(only_admins)

SHOWN = 100  # set-aside items on the page
TRIED = 5  # mentions shown when a source is tried
RAW_SHOWN = 4_000  # characters of a set-aside item
NAME = re.compile(r"[^a-z0-9åäöæø]+")
# The channel whose feeds need no login of ours: what an address typed here becomes a source of.
FEEDS = next(channel.name for channel in channels.CHANNELS.values() if "feed" in channel.accountless)


@pages.get("")
def overview() -> str:
    with house().database.read() as db:
        heartbeat = db.get(Heartbeat, "scheduler")
        stuck = db.scalars(
            select(Reply)
            .where(Reply.status.in_([ReplyStatus.failed, ReplyStatus.uncertain]))
            .order_by(Reply.created_at.desc())
            .limit(20)
        ).all()
        return render_template(
            "admin.html",
            settings=house().settings,
            heartbeat=heartbeat,
            collecting=collecting(heartbeat, now()),
            mailing=mail.failing(db, now()),
            sources=_sources(db),
            stuck=stuck,
            users=db.scalar(select(func.count()).select_from(User).where(User.disabled_at.is_(None))),
            cases=db.scalar(select(func.max(Case.id))) or 0,
            open_steps=[step for step in first_steps.steps(db, user()) if step.open],
        )


# -- sources --------------------------------------------------------------------------------------------------------


def _sources(db: Session) -> list[Source]:
    return list(db.scalars(select(Source).options(joinedload(Source.account)).order_by(Source.name)))


def health(source: Source, at: datetime) -> tuple[str, str]:
    """How a source fares: a word and a colour of the design system."""
    if source.paused_at is not None:
        return _("Paused"), "neutral"
    if not source.enabled:
        return _("Switched off"), "neutral"
    if source.reset_at is not None and source.reset_at > at:
        return _("Waiting for the network"), "warning"
    if source.error is not None:
        return labels.reason(source.error_reason), "danger"
    if source.last_success_at is None:
        return _("Not read yet"), "neutral"
    return _("Works"), "success"


def next_pull(source: Source, at: datetime) -> datetime | None:
    """When it is read next; None: not at all, or at once (``due_at`` has passed)."""
    if source.paused_at is not None or not source.enabled:
        return None
    due = max(filter(None, (source.due_at, source.reset_at)), default=None)
    return due if due is not None and due > at else None


@dataclass(frozen=True)
class Draft:
    """A blog about to be added: what was typed, what was found there, what is wrong."""

    url: str = ""
    name: str = ""
    match: str = ""
    every: str = "15m"
    found: Found | None = None
    kept: list[bool] | None = None  # of the previewed items: whether the watch query lets them through
    error: str | None = None
    query_error: str | None = None
    position: int | None = None


@pages.get("/sources")
def sources() -> str:
    return _sources_page(Draft())


def _sources_page(draft: Draft) -> str:
    with house().database.read() as db:
        counted = select(SetAsideItem.source_id, func.count()).group_by(SetAsideItem.source_id)
        set_aside = {source_id: n for source_id, n in db.execute(counted)}
        heartbeat = db.get(Heartbeat, "scheduler")
        return render_template(
            "sources.html",
            sources=_sources(db),
            set_aside=set_aside,
            costs=money.monthly(db, now())[1],
            draft=draft,
            health=health,
            next_pull=next_pull,
            collecting=collecting(heartbeat, now()),
        )


@pages.post("/sources/preview")
def preview() -> str | Response:
    """What stands at an address, before it becomes a source; drawn anew as the watch query is typed."""
    if request.headers.get("HX-Trigger-Name") == "match" and not request.form.get("url", "").strip():
        return ""  # the query is written before the address: nothing to say of that yet
    draft = _preview()
    if request.headers.get("HX-Request"):
        return render_template("_preview.html", draft=draft)
    return _sources_page(draft)


def _preview() -> Draft:
    form = {name: value.strip() for name, value in request.form.items()}
    url = form.get("url", "")
    if url and "://" not in url:
        url = f"https://{url}"
    typed = Draft(url, form.get("name", ""), form.get("match", ""), form.get("every") or "15m")
    query = None
    try:
        query = watch.parse(typed.match) if typed.match else None
    except QueryError as error:
        typed = replace(typed, query_error=labels.query_problem(error), position=error.position)
    if not url:
        return replace(typed, error=_("Write the address of the blog."))
    try:
        found = discover(url, house().http)
    except ChannelError as error:
        return replace(typed, error=f"{labels.reason(error.reason)}: {error}")
    kept = [query.matches(_text(item, asked=watch.asks_language(query))) for item in found.items] if query else None
    named = NAME.sub("-", (found.title or url.partition("://")[2]).lower()).strip("-")[:40]
    return replace(typed, name=typed.name or named, found=found, kept=kept)


def _text(item: Preview, *, asked: bool) -> watch.Text:
    """An entry as a watch query sees it; ``asked``: whether its language matters."""
    spoken = language.detect(f"{item.title}\n{item.text}").value if asked else None
    return watch.Text.of(item.title, item.text, language=spoken, name=item.author, url=item.url)


@pages.post("/sources/add")
def add_source() -> BaseResponse | Response:
    """A feed with a watch query over it, and the site's comments if they are wanted too."""
    form = request.form
    name, every = form.get("name", "").strip(), form.get("every", "").strip() or "15m"
    wanted = [{"name": name, "collect": "feed", "url": form.get("feed", "").strip()}]
    if form.get("comments"):
        wanted.append({"name": f"{name}-comments", "collect": "comments", "url": form["comments"]})
    match = {"match": form["match"].strip()} if form.get("match", "").strip() else {}
    try:
        given = [house().source({"channel": FEEDS, "every": every, **match, **each}) for each in wanted]
    except ConfigError as error:
        message = " ".join(f"{problem.path}: {problem.remedy}." for problem in error.problems)
        return make_response(_sources_page(replace(_preview(), error=message)), 422)
    try:
        with house().database.transaction() as db:
            for each in given:
                _add(db, each)
    except InvalidInput as error:
        return make_response(_sources_page(replace(_preview(), error=str(error))), 422)
    flash(_("%(name)s is added, and is read within the minute.", name=name))
    return redirect(url_for("admin.sources"), 303)


def _add(db: Session, given: SourceSettings) -> None:
    there = db.scalar(select(Source).where(Source.name == given.name))
    if there is None:
        if is_reserved(given.name):
            raise InvalidInput(labels.reserved(), {"name": RESERVED_WHY})
        definition = given.model_dump(mode="json")
        db.add(Source(name=given.name, channel=given.channel, definition=definition, created_at=now(), facts={}))
        _written(
            db, "add", f"source:{given.name}", audit.difference(None, given.model_dump(mode="json", exclude_unset=True))
        )
    elif there.definition.get("url") != given.url:  # else the form was sent twice
        raise InvalidInput(_("There is a source of that name already."), {"name": "choose another"})


def _source(db: Session, source_id: int) -> Source:
    found = db.get(Source, source_id, options=[joinedload(Source.account)])
    if found is None:
        raise NotFoundError(_("There is no such source."))
    return found


@pages.get("/sources/<int:source_id>")
def source(source_id: int) -> str:
    return _source_page(source_id)


def _source_page(source_id: int, tried: list[MentionData] | None = None, problem: GensvarError | None = None) -> str:
    with house().database.read() as db:
        found = _source(db, source_id)
        items = db.scalars(
            select(SetAsideItem)
            .where(SetAsideItem.source_id == source_id)
            .order_by(SetAsideItem.last_at.desc(), SetAsideItem.id.desc())
            .limit(SHOWN)
        ).all()
        return render_template(
            "source.html",
            source=found,
            items=[(item, raw_text(item.raw)) for item in items],
            tried=tried,
            problem=problem,
            health=health(found, now()),
            next_pull=next_pull(found, now()),
            past=history.past(db, found),
        )


def raw_text(packed: bytes) -> str:
    """A set-aside item as it came, readable."""
    text = zlib.decompress(packed).decode("utf-8", "replace")
    with suppress(ValueError):  # it need not be JSON
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return text if len(text) <= RAW_SHOWN else text[:RAW_SHOWN] + "\n…"


@pages.post("/sources/<int:source_id>/test")
def test_source(source_id: int) -> str:
    """Read its first page now, and store nothing."""
    with house().database.read() as db:
        found = _source(db, source_id)
    try:
        given = house().source(found.definition)
        since = pulls.first_pass_from(given, now(), house().settings.organisation.zone)
        batches = pulls.collector_for(house(), given).collect(None, since=since, now=now())
        read = [mention for batch in islice(batches, 1) for mention in batch.mentions]
    except GensvarError as error:
        return _source_page(source_id, problem=error)
    newest_first = sorted(read, key=lambda mention: mention.published_at, reverse=True)
    return _source_page(source_id, tried=newest_first[:TRIED])


@pages.post("/sources/<int:source_id>/collect")
def collect(source_id: int) -> BaseResponse:
    with house().database.read() as db:
        _source(db, source_id)
    pulled = pulls.pull(house(), source_id, now=now, by_hand=True)
    if pulled.skipped:
        flash(_("Not read: %(why)s.", why=pulled.skipped))
    elif pulled.error:
        flash(_("The pass broke off: %(why)s", why=pulled.error))
    else:
        flash(
            _(
                "Read: %(new)s new, %(known)s known, %(aside)s set aside.",
                new=number(pulled.new),
                known=number(pulled.known),
                aside=number(pulled.set_aside),
            )
        )
    return _back()


@pages.post("/sources/<int:source_id>/pause")
def pause(source_id: int) -> BaseResponse:
    with house().database.transaction() as db:
        found = _source(db, source_id)
        if found.paused_at is None:
            found.paused_at = now()
            _written(db, "pause", f"source:{found.name}")
    flash(_("%(name)s is paused.", name=found.name))
    return _back()


@pages.post("/sources/<int:source_id>/resume")
def resume(source_id: int) -> BaseResponse:
    with house().database.transaction() as db:
        found = _source(db, source_id)
        if found.paused_at is not None or not found.enabled:
            _written(db, "resume", f"source:{found.name}")
        found.paused_at, found.due_at, found.failures = None, None, 0
        if not found.declared:
            found.enabled = True
    flash(_("%(name)s is read again.", name=found.name))
    return _back()


def _written(db: Session, action: str, subject: str, changes: audit.Changes | None = None) -> None:
    audit.record(db, actor=user().email, action=action, subject=subject, changes=changes, at=now())


def _back() -> BaseResponse:
    """To the page the button stood on."""
    inside = request.view_args if request.form.get("from") == "source" else None
    return redirect(url_for("admin.source", **inside) if inside else url_for("admin.sources"), 303)


# -- accounts -------------------------------------------------------------------------------------------------------


@pages.get("/accounts")
def accounts() -> str:
    with house().database.read() as db:
        found = db.scalars(select(Account).order_by(Account.name)).all()
        costs, _by_source = money.monthly(db, now())
    budgets = {account.name: house().budget(account.name) for account in house().settings.accounts}
    return render_template("accounts.html", accounts=found, costs=costs, budgets=budgets)


@pages.post("/accounts/<int:account_id>/test")
def test_account(account_id: int) -> BaseResponse:
    """Log in on the network and say as whom."""
    with house().database.read() as db:
        account = db.get(Account, account_id)
    if account is None:
        abort(404)
    probe = channels.channel(account.channel).probe
    try:
        if probe is None:
            flash(_("There is nothing to test for this channel."))
        else:
            flash(f"{account.name}: {channels.load(probe)(house().account(account.name), house().http)}")
    except GensvarError as error:
        flash(f"{account.name}: {error}")
    return redirect(url_for("admin.accounts"), 303)
