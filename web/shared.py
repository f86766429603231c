"""One answer for all: written once for a story, seen case by case before it is sent, and followed until it is there."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as BaseResponse

import channels
from errors import InvalidInput
from models import Case, Mention, Reply, ReplyStatus, SharedAnswer, SharedAnswerPart, Story, Then, User
from money import MICRO
from replies import shared
from replies import texts as prepared
from triage import storyteller
from web.context import as_number, house, now, user, whole_number
from web.i18n import gettext as _
from web.i18n import ngettext
from web.queries import MAX_NUMBER
from web.safe_html import is_web

pages = Blueprint("shared", __name__)

MANY = 25  # more than these are sent only when asked for twice
PAGE = 100
EARLIER = 5  # answers shown with their story
TROUBLE = (ReplyStatus.failed, ReplyStatus.uncertain, ReplyStatus.in_review)
# Why a case gets none that its network has no part in: no reason to go and answer there.
OURS = frozenset({"closed", "ignored", "noise", "too_long", "repeats", "budget", "stale", "not_possible"})


@dataclass(frozen=True)
class Draft:
    """The form as it was filled in.

    ``seen``: the cases that were shown with a box to tick -> their version then. ``previewed``: a digest of the texts
    they were shown with, so that nobody sends what nobody has looked at.
    """

    texts: Mapping[str, str]
    then: str
    key: str
    ticked: frozenset[int] = frozenset()
    seen: Mapping[int, int] | None = None
    previewed: str = ""
    error: str | None = None
    asking: bool = False  # so many at once are sent only when asked for twice


@dataclass(frozen=True)
class Sum:
    """What sending to the ticked cases means. ``last``: when the last one leaves, at the pace of the networks."""

    number: int
    usd: float
    last: datetime | None
    warnings: Sequence[str]


# -- writing ----------------------------------------------------------------------------------------------------------


@pages.get("/stories/<int:number>/answer")
def write(number: int) -> str | BaseResponse:
    """``like``: an answer sent before, whose texts are taken up; ``case``: for this case alone."""
    like, only = whole_number("like"), whole_number("case")
    with house().database.read() as db:
        story = storyteller.get(db, min(number, MAX_NUMBER))
        if story.id != number:
            return redirect(url_for("shared.write", number=story.id, like=like, case=only), 302)
        draft = Draft({}, Then.keep, secrets.token_urlsafe(16))
        if like is None:
            return _page(db, story, draft, None)
        earlier = shared.get(db, min(like, MAX_NUMBER))
        draft = replace(draft, texts=earlier.texts, then=earlier.then)
        if only is not None:
            others = select(Case.id, Case.version).where(Case.story_id == story.id)
            draft = replace(draft, seen={id: version for id, version in db.execute(others)}, ticked=frozenset({only}))
        return _page(db, story, *_looked_at(db, story, draft))


@pages.post("/stories/<int:number>/answer")
def take(number: int) -> BaseResponse | Response:
    """The form: looked at, or sent (``do=send``). What was typed is there again whatever happens."""
    draft = _draft()
    sending = request.form.get("do") == "send"
    as_seen = draft.previewed == _digest(draft.texts)
    with house().database.read() as db:
        story = storyteller.get(db, min(number, MAX_NUMBER))
        try:
            looked, parts = _looked_at(db, story, draft, only_seen=sending and as_seen)
        except InvalidInput as error:
            return make_response(_page(db, story, replace(draft, error=_problem_of(error)), None), 422)
        wanted = len(looked.ticked)
        if not sending:
            return make_response(_page(db, story, looked, parts))
        if not as_seen:
            looked = replace(looked, error=_("The text is not the one you looked at. Nothing was sent: look again."))
            return make_response(_page(db, story, looked, parts), 409)
        if not wanted:
            looked = replace(looked, error=_("No case is ticked. Nothing was sent."))
            return make_response(_page(db, story, looked, parts), 422)
        if wanted > MANY and whole_number("sure") != wanted:
            return make_response(_page(db, story, replace(looked, asking=True), parts))
    with house().database.transaction() as db:
        answer = shared.submit(
            db,
            house(),
            story.id,
            texts=draft.texts,
            chosen=looked.ticked,
            key=draft.key,
            then=Then(draft.then),
            user=db.get_one(User, user().id),
            at=now(),
            seen=draft.seen,
        )
        sent = answer.id
    return redirect(url_for("shared.show", number=sent), 303)


def _draft() -> Draft:
    form = request.form
    then = form.get("then", Then.keep)
    if then not in list(Then):
        abort(400)
    texts = {
        name.removeprefix("text-"): text.replace("\r\n", "\n")
        for name, text in form.items()
        if name.startswith("text-") and len(name) < 40
    }
    seen: dict[int, int] = {}
    for line in form.getlist("seen"):
        case, version = map(as_number, line.partition(":")[::2])
        if case is not None and version is not None:
            seen[case] = version
    ticked = frozenset(found for each in form.getlist("case") if (found := as_number(each)) is not None)
    key = form.get("key") or secrets.token_urlsafe(16)
    return Draft(texts, then, key[:100], ticked, seen if "previewed" in form else None, form.get("previewed", ""))


def _looked_at(db: Session, story: Story, draft: Draft, *, only_seen: bool = False) -> tuple[Draft, list[shared.Part]]:
    """The preview, and the draft with its ticks: those of the person, and of what nobody has seen those advised.

    ``only_seen``: without these.
    """

    def look(chosen: frozenset[int] | None) -> list[shared.Part]:
        me = db.get_one(User, user().id)
        return shared.preview(db, house(), story.id, draft.texts, user=me, at=now(), chosen=chosen)

    parts, seen = look(None), draft.seen or {}
    advised = frozenset(part.case.id for part in parts if part.advised)
    ticked = draft.ticked & seen.keys()
    if not only_seen:
        ticked |= advised - seen.keys()
    if ticked != advised:
        parts = look(ticked)
    possible = {part.case.id: part.case.version for part in parts if part.problem is None}
    seen = {id: seen.get(id, version) for id, version in possible.items()}
    return replace(draft, ticked=ticked & possible.keys(), seen=seen, previewed=_digest(draft.texts)), parts


def _digest(texts: Mapping[str, str]) -> str:
    written = {language: text.strip() for language, text in texts.items() if text.strip()}
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:16]


def _problem_of(error: InvalidInput) -> str:
    variable = (error.fields or {}).get("texts", "")
    if variable.startswith("{"):
        known = ", ".join(f"{{{name}}}" for name in prepared.VARIABLES)
        return _("%(variable)s means nothing here. There are %(known)s.", variable=variable, known=known)
    return _("Write something first.")


def _page(db: Session, story: Story, draft: Draft, parts: list[shared.Part] | None) -> str:
    living = (Case.story_id == story.id, Case.merged_into_id.is_(None))
    spoken: Counter[str] = Counter()
    reached: set[str] = set()
    for language, channel, n in db.execute(
        select(Case.language, Case.channel, func.count()).where(*living).group_by(Case.language, Case.channel)
    ):
        spoken[language or "und"] += n
        reached.add(channel)
    unsure = spoken.pop("und", 0)
    listed = [language for language, _n in spoken.most_common()] or [*house().settings.organisation.languages[:1]]
    listed += [language for language in draft.texts if language not in listed]
    limits = [(channel, channels.capabilities(channel).limit) for channel in sorted(reached)]
    to_send = [part for part in parts or () if part.case.id in draft.ticked]
    left_out = [part for part in parts or () if part.problem is not None]
    return render_template(
        "shared_answer.html",
        story=story,
        draft=draft,
        parts=parts,
        possible=[part for part in parts or () if part.problem is None],
        left_out=left_out,
        addresses=_addresses(db, [part.case.id for part in left_out if part.problem not in OURS]),
        languages=[(language, spoken[language]) for language in listed],
        unsure=unsure,
        limits=[(channel, limit) for channel, limit in limits if limit is not None],
        sum=_sum(to_send),
        thens=_thens(),
        usd=lambda micro: micro / MICRO,
    )


def _sum(parts: list[shared.Part]) -> Sum:
    warnings = {}
    for part in parts:
        warn = channels.capabilities(part.case.channel).warn
        if warn and (said := warn(part.body)):
            warnings[said] = True
    turns = [part.not_before for part in parts if part.not_before is not None]
    return Sum(len(parts), sum(part.micro_usd for part in parts) / MICRO, max(turns, default=None), list(warnings))


def _thens() -> list[tuple[str, str]]:
    """What becomes of each case when it has been answered."""
    return [
        (Then.keep, _("stays as it is")),
        (Then.wait, _("waits for its author")),
        (Then.resolve, _("is resolved")),
    ]


def _addresses(db: Session, numbers: Sequence[int]) -> dict[int, str]:
    """Where the latest message of each case stands on its network."""
    theirs = select(Mention.case_id, Mention.url).where(Mention.case_id.in_(numbers), ~Mention.ours, ~Mention.context)
    found = db.execute(theirs.order_by(Mention.published_at, Mention.id))
    return {number: url for number, url in found if number is not None and url is not None and is_web(url)}


# -- afterwards -------------------------------------------------------------------------------------------------------


@pages.get("/stories/answers/<int:number>")
def show(number: int) -> str:
    """``show``: all, or look (what needs somebody); ``after``: where to go on."""
    return _answer(number, "shared_sent.html")


@pages.get("/stories/answers/<int:number>/progress")
def progress(number: int) -> str:
    """What moves on the page, for one that is looking on."""
    return _answer(number, "_shared_progress.html")


@pages.post("/stories/answers/<int:number>/stop")
def stop(number: int) -> BaseResponse:
    with house().database.transaction() as db:
        undone = shared.stop(db, min(number, MAX_NUMBER), actor=user().email, at=now())
    flash(ngettext("Stopped. %(n)s answer was withdrawn.", "Stopped. %(n)s answers were withdrawn.", undone))
    return redirect(url_for("shared.show", number=number), 303)


def _answer(number: int, template: str) -> str:
    with house().database.read() as db:
        answer = shared.get(db, min(number, MAX_NUMBER))
        story = storyteller.get(db, answer.story_id)
        done = shared.progress(db, answer.id)
        trouble = done.failed + done.uncertain + sum(done.skipped.values())
        wanted = request.args.get("show") or ("look" if trouble else "all")
        rows = _rows(db, answer.id, wanted == "look", whole_number("after") or 0)
        shown = rows[:PAGE]
        return render_template(
            template,
            answer=answer,
            story=story,
            by=db.get(User, answer.user_id),
            done=done,
            trouble=trouble,
            wanted=wanted,
            rows=shown,
            after=shown[-1][1].id if len(rows) > PAGE else None,
            paged=whole_number("after"),
            addresses=_addresses(db, [case.id for part, case in shown if part.skipped and part.skipped not in OURS]),
            thens=dict(_thens()),
        )


def _rows(db: Session, answer_id: int, trouble: bool, after: int) -> list[tuple[SharedAnswerPart, Case]]:
    """One more than a page, by case."""
    query = (
        select(SharedAnswerPart, Case)
        .join(Case, Case.id == SharedAnswerPart.case_id)
        .outerjoin(Reply, Reply.id == SharedAnswerPart.reply_id)
        .where(SharedAnswerPart.shared_answer_id == answer_id, Case.id > after)
        .options(joinedload(SharedAnswerPart.reply), joinedload(Case.author))
    )
    if trouble:
        query = query.where(or_(SharedAnswerPart.skipped.is_not(None), Reply.status.in_(TROUBLE)))
    return [(part, case) for part, case in db.execute(query.order_by(Case.id).limit(PAGE + 1))]


# -- where it is offered ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earlier:
    answer: SharedAnswer
    by: str
    done: shared.Progress


def answers_of(story: Story) -> dict[str, Any]:
    """What ``_shared_answer.html`` shows with a story: its latest answers, and how many have come since the last."""
    with house().database.read() as db:
        found = shared.of_story(db, story.id, EARLIER)
        names = {each.id: each.name for each in db.scalars(select(User).where(User.id.in_({a.user_id for a in found})))}
        earlier = [Earlier(one, names.get(one.user_id, ""), shared.progress(db, one.id)) for one in found]
        last = next((one for one in found if one.stopped_at is None), None)
        return {"earlier": earlier, "last": last, "since": shared.newcomers(db, last, story.id) if last else 0}


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_offered.html`` shows beside a case: the answer its story has had and it has not."""
    return {"offered": shared.offered(db, case)}
