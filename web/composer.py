"""What stands in the composer when a case is drawn, and what is said of a text while it is being written."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import request
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

import channels
from models import Case, CaseEvent, Draft, Mention, Note, Reply, User
from money import MICRO
from replies import texts
from settings import CannedReply
from triage import cases, drafts, judges, policy, school
from web import labels
from web.context import as_number, house, now, user
from web.i18n import clock, language_name
from web.i18n import gettext as _

TELLING = 4  # words; what is shorter may be of any language
SURE = 0.9  # how sure the judge has to be before a language is said to be another one
EXCERPT = 280  # characters of what was said since
MOST_SINCE = 20  # of that, the latest; the rest stands in the thread


@dataclass(frozen=True)
class Composer:
    """What stands in the composer. ``draft``, ``note_draft``: the versions of the drafts the window knows; 0: none.

    ``version``: of the case as the writer saw it; None: now. ``typed``: the texts come from the browser, not from
    the drafts. ``other``: another text of the same writer, kept beside.
    """

    body: str = ""
    to_mention: int | None = None
    private: bool = False
    key: str = ""
    version: int | None = None
    draft: int = 0
    note: str = ""
    note_draft: int = 0
    typed: bool = False
    other: str | None = None
    quote: bool = False  # what is answered is to stand in it
    error: str | None = None
    stale: bool = False


@dataclass(frozen=True)
class Said:
    """Something that was said in the case since: by whom, what it was, how it begins, and where it stands."""

    who: str
    what: str
    words: str
    at: datetime
    anchor: str


def context(db: Session, case: Case, composer: Composer, theirs: Sequence[Mention]) -> dict[str, Any]:
    """What ``_composer.html`` needs. ``theirs``: what others have written in the case, oldest first."""
    me = user()
    answerable = [mention for mention in theirs if mention.can_reply and not mention.deleted_at]
    reply, note = (drafts.of(db, case.id, me.id, kind) for kind in drafts.KINDS)
    begun = reply is not None and not composer.typed and not composer.body
    composer = _with_drafts(composer, reply, note, me)
    chosen = next((found for found in answerable if found.id == composer.to_mention), None)
    if composer.quote and chosen is not None:
        composer = replace(composer, body=under(quoted(chosen.text), composer.body.strip(), me))
    since = composer.version if composer.stale else reply.case_version if begun and reply else None
    abilities = channels.capabilities(case.channel)
    return {
        "composer": composer,
        "key": composer.key or secrets.token_urlsafe(16),
        "version": case.version,
        "answerable": answerable,
        "theirs": theirs,
        "chosen": chosen or (answerable[-1] if answerable else None),
        "latest": theirs[-1] if theirs else None,
        "limit": abilities.limit,
        "private_limit": abilities.private_limit,
        "count": count_of(db, case, composer.body, composer.private),
        "hold": house().settings.replies.hold_for(case.channel),
        "proposed": proposed(db, case),
        "canned": sorted(policy.read(db).canned_replies),
        "since": said_since(db, case, since) if since is not None else [],
        "reply_draft": reply,
        "note_draft": note,
        "to_be_approved": case.review_wanted or me.needs_review,
        "spoken": language_name(case.language) if case.language not in (None, "und") else None,
        **others_writing(db, case),
    }


def _with_drafts(composer: Composer, reply: Draft | None, note: Draft | None, me: User) -> Composer:
    """What was kept, where the browser has sent nothing; a new answer begins with the writer's signature."""
    if composer.typed:
        return composer
    if note is not None:
        composer = replace(composer, note=note.body, note_draft=note.version)
    if reply is None:
        return replace(composer, body=composer.body or _signed(me))
    if composer.body and composer.body != reply.body:  # an answer that came back is taken up again
        return replace(composer, draft=reply.version, other=reply.body)
    return replace(
        composer,
        body=reply.body,
        draft=reply.version,
        to_mention=composer.to_mention or reply.to_mention_id,
        private=reply.private,
    )


def _signed(me: User) -> str:
    return f"\n\n{me.signature}" if me.signature else ""


def typed() -> Composer:
    """The composer as the browser has sent it, with its answer or its note in ``body``."""
    form = request.form
    numbers = {name: as_number(form.get(name, "")) for name in ("to_mention", "version", "draft")}
    return Composer(
        body=body(),
        to_mention=numbers["to_mention"],
        private=bool(form.get("private")),
        key=form.get("key", "")[:100],
        version=numbers["version"],
        draft=numbers["draft"] or 0,
        typed=True,
    )


def keep(number: int, typed: Composer) -> Composer:
    """Keep as drafts what the browser has sent. Returns the composer to show, with another window's text beside."""
    with house().database.transaction() as db:
        case = living(db, number)
        what: dict[str, Any] = {"user": user(), "at": now(), "case_version": typed.version}
        if typed.note:
            try:
                note = drafts.keep(db, case, "note", body=typed.note, version=typed.note_draft, **what)
            except drafts.Overtaken as error:
                note = error.there
            typed = replace(typed, note_draft=note.version if note else 0)
        if not typed.typed:
            return typed
        where: dict[str, Any] = {"to_mention_id": mention_in(db, case, typed.to_mention), "private": typed.private}
        try:
            reply = drafts.keep(db, case, "reply", body=typed.body, version=typed.draft, **what, **where)
        except drafts.Overtaken as error:
            if case.id == number:
                reply, typed = error.there, replace(typed, other=error.there.body if error.there else None)
            else:  # merged: nothing is written on its page any more, so both texts are kept where it went
                reply = drafts.add(db, case, "reply", body=typed.body, user=user(), at=now(), **where)
        return replace(typed, draft=reply.version if reply else 0)


def living(db: Session, number: int) -> Case:
    """The case, or the one it has become part of since, locked until the transaction ends. Raises ``NotFoundError``."""
    case = cases.get(db, number)
    while case.merged_into_id is not None:
        case = cases.get(db, case.merged_into_id)
    return case


def mention_in(db: Session, case: Case, mention_id: int | None) -> int | None:
    """The id, if it is that of a mention in the case."""
    return db.scalar(select(Mention.id).where(Mention.id == mention_id, Mention.case_id == case.id))


def body() -> str:
    """The text field; browsers send line ends as CR LF, networks count a line end as one."""
    return request.form.get("body", "").replace("\r\n", "\n")


def quoted(text: str) -> str:
    """As mail programs quote, which every network shows."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines()) + "\n"


def under(text: str, more: str, me: User) -> str:
    """``more`` under what is written already, and the signature under both."""
    written, signed = drafts.without_signature(text, me), text.rstrip().endswith(me.signature or "\0")
    return "\n\n".join(filter(None, (written, more, me.signature if signed else "")))


def others_writing(db: Session, case: Case) -> dict[str, Any]:
    """``_writing.html``: which colleagues have begun an answer here."""
    begun = select(Draft).where(Draft.case_id == case.id, Draft.kind == "reply", Draft.user_id != user().id)
    return {"others": list(db.scalars(begun.options(joinedload(Draft.user)).order_by(Draft.updated_at.desc())))}


def said_since(db: Session, case: Case, version: int) -> list[Said]:
    """What was said in a case since a version of it, the latest last: what an answer must not overlook."""
    here = (CaseEvent.case_id == case.id, CaseEvent.version > version, CaseEvent.action.in_(cases.SAID))
    latest = select(CaseEvent).where(*here).order_by(CaseEvent.version.desc()).limit(MOST_SINCE)
    events = list(db.scalars(latest))[::-1]
    if not events:
        return []
    by_author = joinedload(Mention.author)
    mentions = _by_id(db, select(Mention).options(by_author), Mention, [event.mention_id for event in events])
    notes = _by_id(db, select(Note), Note, [event.note_id for event in events])
    replies = _by_id(db, select(Reply), Reply, [event.reply_id for event in events])
    names = {found.email: found.name for found in db.scalars(select(User))}
    said = []
    for event in events:
        mention, note = mentions.get(event.mention_id), notes.get(event.note_id)
        reply = replies.get(event.reply_id)
        who = mention.author.name if mention and mention.author else labels.actor(event.actor, names)
        what = _("wrote") if mention else labels.action(event.action)
        words = mention.text if mention else note.body if note else reply.body if reply else ""
        kinds = (("mention", mention), ("note", note), ("reply", reply), ("event", event))
        anchor = next(f"{kind}-{found.id}" for kind, found in kinds if found)
        said.append(Said(who, what, _excerpt(words), event.at, anchor))
    return said


def _by_id(db: Session, asked: Select[Any], table: Any, ids: Sequence[int | None]) -> dict[int | None, Any]:
    wanted = [each for each in ids if each is not None]
    return {found.id: found for found in db.scalars(asked.where(table.id.in_(wanted)))} if wanted else {}


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else line[:EXCERPT].rsplit(" ", 1)[0] + " …"


# -- prepared texts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Canned:
    """A canned reply as it would stand in an answer here."""

    name: str
    language: str
    text: str


def canned(db: Session, case: Case, reply: CannedReply) -> Canned:
    """In the language of who wrote, or the nearest there is."""
    language = texts.nearest(case.language, reply.texts, *house().settings.organisation.languages)
    return Canned(reply.name, language, filled(case, reply.texts[language]))


def proposed(db: Session, case: Case) -> Canned | None:
    """The one that a rule proposed."""
    found = policy.read(db).canned_replies.get(case.canned_reply) if case.canned_reply else None
    return canned(db, case, found) if found else None


def filled(case: Case, text: str) -> str:
    """The text with its variables filled in for this case."""
    if "{" not in text:
        return text
    author, organisation = case.author.name if case.author else None, house().settings.organisation.name
    return texts.fill(text, author=author, case=case.id, agent=user().name, organisation=organisation)


def meaningless(text: str) -> str:
    """What to say of the variables in a text that mean nothing; empty when there are none."""
    wrong = ", ".join(f"{{{name}}}" for name in texts.unknown(text))
    known = ", ".join(f"{{{name}}}" for name in texts.VARIABLES)
    return _("%(variable)s means nothing here. There are %(known)s.", variable=wrong, known=known) if wrong else ""


# -- counting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How long a text is as the network counts it, what it costs, and what else to say about it."""

    length: int
    limit: int | None
    over: int
    usd: float = 0
    usd_less: float | None = None  # what it would cost without its link
    warnings: Sequence[str] = ()


def count_of(db: Session, case: Case, text: str, private: bool) -> Count:
    abilities = channels.capabilities(case.channel)
    text = filled(case, text).strip()
    limit = abilities.private_limit if private and abilities.private_limit is not None else abilities.limit
    length = abilities.count(text)
    price = abilities.price(text) if abilities.price and text else 0
    least = abilities.price("") if abilities.price and text else 0
    return Count(
        length,
        limit,
        max(0, length - limit) if limit is not None else 0,
        price / MICRO,
        least / MICRO if least < price else None,
        [warning for warning in (meaningless(text), _other_language(db, case, text)) if warning],
    )


def _other_language(db: Session, case: Case, text: str) -> str:
    """When an answer is plainly in another language than the question; it is never in the way of sending it."""
    if case.language in (None, "und"):
        return ""
    own = "\n".join(line for line in text.splitlines() if not line.startswith(">"))
    if len(own.split()) < TELLING:
        return ""
    spoken = judges.detect(own, expected={case.language: 1.0}, lessons=school.lessons(db))
    if spoken.value in (case.language, "und") or spoken.confidence < SURE:
        return ""
    names = {"answer": language_name(spoken.value), "question": language_name(case.language)}
    return _("Your answer seems to be in %(answer)s; they write %(question)s.", **names)


def saved(at: datetime) -> str:
    return _("Saved %(time)s", time=clock(at, now()))
