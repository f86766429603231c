"""One case: its thread, what can be done with it, and the composer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, flash, jsonify, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

import pictures
from database import storable
from errors import CannotReply, InvalidInput, InvalidTransition, StaleCase, TooLong
from models import (
    Case,
    CaseEvent,
    CaseStatus,
    Mention,
    Note,
    Priority,
    Reply,
    ReplyOrigin,
    ReplyStatus,
    Team,
    Then,
    User,
)
from replies import outbox
from triage import answering, cases, drafts, policy, states
from web import (
    acts,
    enclosed,
    hiding,
    judgements,
    labels,
    panes,
    people,
    promises,
    review,
    rows,
    shared,
    stories,
    targets,
)
from web import composer as composing
from web.acts import local_time
from web.composer import Composer
from web.context import house, now, user, whole_number, zone
from web.i18n import clock, language_name, number
from web.i18n import gettext as _
from web.inbox import listing, newest_event
from web.media import proxied
from web.queries import Entry, entries, get_case
from web.safe_html import clean, is_web, link_text

pages = Blueprint("cases", __name__, url_prefix="/cases")

MAX_NOTE = 20_000  # characters
AGAIN = (ReplyStatus.cancelled, ReplyStatus.draft, ReplyStatus.failed)  # answers whose text can be taken up again
LONG = 1_200  # characters; a longer message is folded
TWICE = timedelta(minutes=10)  # the same note by the same person within this time is the same click


# -- the page -------------------------------------------------------------------------------------------------------


# What stands beside the thread, in this order: template -> what it needs.
PANELS: Mapping[str, Callable[[Session, Case], dict[str, Any]]] = {
    "_work.html": acts.panel,
    "_review.html": review.panel,
    "_targets.html": targets.panel,
    "_person.html": people.panel,
    "_judgement.html": judgements.panel,
    "_story.html": stories.panel,
    "_offered.html": shared.panel,
    "_promises.html": promises.panel,
}


@pages.get("/<int:number>")
def show(number: int) -> str:
    draft = whole_number("draft")
    with house().database.read() as db:
        begun = Composer()
        if draft is not None:
            withdrawn = db.get(Reply, draft)
            if withdrawn and withdrawn.case_id == number and withdrawn.status in AGAIN:
                begun = Composer(withdrawn.body, withdrawn.to_mention_id, withdrawn.private)
        begun = replace(begun, to_mention=whole_number("to") or begun.to_mention, quote="quote" in request.args)
    return shown(number, begun, request.args.get("why"))


def shown(number: int, composer: Composer, why: str | None = None, focus: str | None = None) -> str:
    """The page of a case, which its reader thereby has read."""
    with house().database.read() as db:
        page = _page(db, number, composer, why, focus)
    with house().database.transaction() as db:
        rows.look(db, number, user().id, now())
    return page


@pages.get("/<int:number>/thread")
def thread(number: int) -> str:
    """What moves on a case's page, for one that is looking on: the thread, then the head and the facts."""
    with house().database.read() as db:
        case = get_case(db, number)
        writing = composing.others_writing(db, case)
        return render_template("_moving.html", **_thread(db, case), **_beside(db, case), **writing)


def _beside(db: Session, case: Case) -> dict[str, Any]:
    """What the head and the panels need."""
    needed = {"targets": _targets(case), "panels": list(PANELS), "zone": zone()}
    for panel in PANELS.values():
        needed |= panel(db, case)
    return needed


def _thread(db: Session, case: Case, since: int | None = None) -> dict[str, Any]:
    """What the thread's template needs. ``since``: a version; what came later is marked."""
    listed = entries(db, case)
    fresh = _came_since(db, case.id, since) if since is not None else set()
    people = db.execute(select(User.id, User.email, User.name, User.disabled_at).order_by(User.name)).all()
    return {
        "case": case,
        "last": newest_event(db),
        "entries": [entry for entry in listed if not isinstance(entry.item, CaseEvent) or _is_told(entry.item)],
        "history": [entry.item for entry in reversed(listed) if isinstance(entry.item, CaseEvent)],
        "people": [each for each in people if each.disabled_at is None],
        "names": {each.email: each.name for each in people},
        "fresh": fresh,
        "kind_of": kind_of,
        "body_of": body_of,
        "quiet": lambda mention: len(mention.text) > LONG,
        "why": {},
        "hidings": hiding.of(db, listed),
        "marked": judgements.marked,
        "picture": proxied,
        "is_web": is_web,
        "link_text": link_text,
        "host": lambda url: urlsplit(url).netloc.removeprefix("www."),
    }


def _page(db: Session, number: int, composer: Composer, why: str | None = None, focus: str | None = None) -> str:
    """The list with the case beside it, or the case's pane alone where only that was asked for.

    ``why``: what is judged of the case whose reasons are marked in the thread. ``focus``: the id of the part where the
    reader goes on, None: at the first message they have not seen.
    """
    case = get_case(db, number)
    context = _thread(db, case, composer.version if composer.stale else None) | _beside(db, case)
    reasons = next((each for each in context["judged"] if each.field == why and each.because), None)
    if reasons is not None:
        context["why"] = {reasons.mention_id: reasons.because}
    mentions = [entry.item for entry in context["entries"] if isinstance(entry.item, Mention) and not entry.context]
    theirs = [mention for mention in mentions if not mention.ours]
    looked = rows.last_looked(db, [number], user().id).get(number)
    context |= composing.context(db, case, composer, theirs)
    context |= {
        "teams": db.scalars(select(Team).order_by(Team.name)).all(),
        "priorities": list(Priority),
        "unseen": next((each.id for each in theirs if looked is not None and each.collected_at > looked), None),
        "known": looked is not None,
        "focus": focus,
    }
    if panes.only_case():
        return render_template("_pane.html", **context)
    return render_template("inbox.html", **(listing(db) | context))


def _targets(case: Case) -> list[CaseStatus]:
    """The statuses a person can give the case now."""
    return states.targets(CaseStatus(case.status)) if case.merged_into_id is None else []


def _came_since(db: Session, case_id: int, version: int) -> set[str]:
    """The anchors of the messages, answers and notes that came after a version of the case."""
    found = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case_id, CaseEvent.version > version))
    anchors = set()
    for event in found:
        for kind, item in (("mention", event.mention_id), ("reply", event.reply_id), ("note", event.note_id)):
            if item is not None:
                anchors.add(f"{kind}-{item}")
    return anchors


def _is_told(event: CaseEvent) -> bool:
    """Whether an event gets a line of its own in the thread: changes of status that no message shows."""
    moved = event.from_status != event.to_status
    return moved and not (event.reply_id or event.mention_id or event.note_id)


def kind_of(entry: Entry) -> str:
    return type(entry.item).__name__.lower().removeprefix("case")


def body_of(mention: Mention) -> Markup:
    """What somebody wrote, harmless: sanitised HTML where there is some, else the text with its links."""
    if mention.html:
        return Markup('<div class="html">{}</div>').format(clean(mention.html, proxied))
    return Markup('<p class="plain">{}</p>').format(link_text(mention.text))


@pages.get("/tags")
def tags() -> str:
    """Tags that begin so, as choices of the field that asks."""
    with house().database.read() as db:
        return render_template("_options.html", options=acts.known_tags(db, request.args.get("value", "")))


@pages.get("/colleagues")
def colleagues() -> Response:
    """Whom a note can name."""
    with house().database.read() as db:
        return jsonify({"named": acts.colleagues(db, user())})


# -- while one writes -----------------------------------------------------------------------------------------------


@pages.post("/<int:number>/canned")
def take_canned(number: int) -> str:
    """A prepared answer in the composer, under what has been written there already."""
    with house().database.read() as db:
        case, typed = get_case(db, number), composing.typed()
        prepared = policy.read(db).canned_replies.get(request.form.get("canned", ""))
        text = composing.canned(db, case, prepared).text if prepared else ""
        return _page(db, number, replace(typed, body=composing.under(typed.body, text, user())))


@pages.get("/<int:number>/canned")
def canned(number: int) -> Response:
    """Every prepared answer as it would stand in an answer here."""
    with house().database.read() as db:
        case = get_case(db, number)
        offered = [composing.canned(db, case, reply) for reply in policy.read(db).canned_replies.values()]
    found = [{"name": each.name, "text": each.text, "language": language_name(each.language)} for each in offered]
    return jsonify({"canned": sorted(found, key=lambda each: each["name"].lower())})


@pages.post("/<int:number>/count")
def count(number: int) -> str:
    with house().database.read() as db:
        found = composing.count_of(db, get_case(db, number), composing.body(), bool(request.form.get("private")))
    return render_template("_count.html", count=found)


# -- answering ------------------------------------------------------------------------------------------------------


@pages.post("/<int:number>/reply")
def reply(number: int) -> BaseResponse | Response:
    me, typed = user(), composing.typed()
    then = request.form.get("then", Then.keep)
    if then not in list(Then):
        abort(400)
    enclosed.keep_words()
    try:
        with house().database.transaction() as db:
            case = get_case(db, number)
            if wrong := composing.meaningless(typed.body):
                raise InvalidInput(wrong)
            text = composing.filled(case, typed.body if drafts.without_signature(typed.body, me) else "")
            made = outbox.submit(
                db,
                house(),
                number,
                body=text,
                user=me,
                at=now(),
                to_mention_id=typed.to_mention,
                then=Then(then),
                private=typed.private,
                idempotency_key=typed.key or None,
                version=typed.version,
                picture_ids=enclosed.chosen(),
            )
            if made.body != storable(text).strip():  # the same form was sent before, with another text
                typed = replace(typed, key="")
                raise InvalidInput(_("This form has been sent already, with another text: see the thread. Send again."))
            drafts.sent(db, case, "reply", body=typed.body, user=me, version=typed.draft)
    except StaleCase:
        return _again(number, typed, stale=True, status=409)
    except TooLong as error:
        over = number_over(error)
        return _again(number, typed, error=over, status=422)
    except CannotReply as error:
        return _again(number, typed, error=labels.cannot_reply(error.reason), status=409)
    except InvalidTransition:
        message = _("The case is %(status)s: reopen it first. Nothing was sent.", status=_status_of(number))
        return _again(number, typed, error=message, status=409)
    except pictures.Refused as error:
        return _again(number, typed, error=enclosed.words(error), status=422)
    except InvalidInput as error:
        message = str(error) if drafts.without_signature(typed.body, me) else _("Write something first.")
        return _again(number, typed, error=message, status=422)
    if made.status == ReplyStatus.held and made.not_before:
        flash(_("Your answer goes out at %(time)s.", time=clock(made.not_before, now())))
    return back(number, f"review-{made.id}" if made.status == ReplyStatus.in_review else f"reply-{made.id}")


def _status_of(number: int) -> str:
    with house().database.read() as db:
        return labels.status(get_case(db, number).status).lower()


def number_over(error: TooLong) -> str:
    over = number(error.length - error.limit)
    return _("The answer is %(over)s characters too long for the network. Nothing was sent.", over=over)


def _again(number: int, typed: Composer, *, status: int, stale: bool = False, error: str | None = None) -> Response:
    """The page once more with what was written, and why it was not taken; what was written is kept."""
    kept = composing.keep(number, typed)
    with house().database.read() as db:
        focus = "since" if stale else "note" if typed.note else "body"
        return make_response(_page(db, number, replace(kept, error=error, stale=stale), focus=focus), status)


@pages.post("/<int:number>/replies/<int:reply_id>/cancel")
def cancel(number: int, reply_id: int) -> BaseResponse | Response:
    """Undo: only while it is held. The text goes back into the composer, as a draft of whoever undoes it."""
    try:
        with house().database.transaction() as db:
            undone = _reply_of(db, number, reply_id)
            answering.cancel_reply(db, reply_id, actor=user().email, at=now())
            where: dict[str, Any] = {"to_mention_id": undone.to_mention_id, "private": undone.private}
            drafts.add(db, cases.get(db, number), "reply", body=undone.body, user=user(), at=now(), **where)
    except (InvalidTransition, StaleCase):
        with house().database.read() as db:
            status = _reply_of(db, number, reply_id).status
        if status != ReplyStatus.cancelled:  # a second click on undo is no news
            flash(_("It was too late to withdraw the answer: it is on its way or already there."))
            return back(number, f"reply-{reply_id}")
    else:
        flash(_("The answer was withdrawn. Nothing was sent; the text is in the composer."))
    return back(number, "body")


@pages.post("/<int:number>/replies/<int:reply_id>/there")
def there(number: int, reply_id: int) -> BaseResponse | Response:
    """A person has looked and found the answer on the network."""
    url = _url_field("url")
    with house().database.transaction() as db:
        if _reply_of(db, number, reply_id).status == ReplyStatus.sent:
            return back(number, f"reply-{reply_id}")
        answering.confirm_sent(db, reply_id, url=url, actor=user().email, at=now())
    return back(number, f"reply-{reply_id}")


@pages.post("/<int:number>/replies/<int:reply_id>/again")
def again(number: int, reply_id: int) -> BaseResponse | Response:
    """A person has looked, and the answer is not there; or what stopped it has been mended."""
    with house().database.transaction() as db:
        if _reply_of(db, number, reply_id).status not in (ReplyStatus.failed, ReplyStatus.uncertain):
            return back(number, f"reply-{reply_id}")
        answering.send_again(db, reply_id, actor=user().email, at=now())
    return back(number, f"reply-{reply_id}")


def _reply_of(db: Session, number: int, reply_id: int) -> Reply:
    found = db.get(Reply, reply_id)
    if found is None or found.case_id != number:
        abort(404)
    return found


@pages.post("/<int:number>/answered")
def answered(number: int) -> BaseResponse | Response:
    """ "I answered there": on the network itself, by whatever door it has."""
    to_mention, url = whole_number("to_mention"), _url_field("url")
    written = request.form.get("at", "").strip()
    at = local_time(written) if written else now()
    if at > now() + timedelta(minutes=1):
        raise InvalidInput(_("The answer cannot lie in the future."), {"at": "a time that has passed"})
    if to_mention is None:
        abort(400)
    with house().database.transaction() as db:
        told = select(Reply.id).where(
            Reply.case_id == number,
            Reply.origin == ReplyOrigin.elsewhere,
            Reply.to_mention_id == to_mention,
            Reply.url == url if url else Reply.url.is_(None),
            Reply.user_id == user().id,
            Reply.created_at > now() - TWICE,
        )
        if db.scalar(told) is None:  # else the form was sent twice
            answering.answered_elsewhere(
                db, number, to_mention_id=to_mention, url=url, replied_at=at, user=user(), at=now()
            )
    return back(number, "end")


# -- working --------------------------------------------------------------------------------------------------------


@pages.post("/<int:number>/note")
def note(number: int) -> BaseResponse | Response:
    body = composing.body()
    if not body.strip() or len(body) > MAX_NOTE:
        message = _("Write something first.") if not body.strip() else _("That is too long for a note.")
        typed = composing.typed()
        return _again(number, Composer(note=body, note_draft=typed.draft), error=message, status=422)
    with house().database.transaction() as db:
        case = composing.living(db, number)  # where it went, if it was merged meanwhile
        same = select(Note.id).where(
            Note.case_id == case.id, Note.user_id == user().id, Note.body == body, Note.created_at > now() - TWICE
        )
        written = db.scalar(same)  # where the form was sent twice
        if written is None:
            written = cases.note(db, case.id, body=body, user=user(), at=now()).id
        drafts.sent(db, case, "note", body=body, user=user(), version=composing.typed().draft)
    flash(_("Saved."))
    return back(case.id, f"note-{written}")


# -- reading forms --------------------------------------------------------------------------------------------------


def _url_field(name: str) -> str | None:
    url = request.form.get(name, "").strip()
    if url and not is_web(url):
        raise InvalidInput(_("The link must begin with http:// or https://."), {name: "a link to a web page"})
    return url or None


def to_list() -> BaseResponse | Response:
    """To the list alone: there is no other case in it."""
    address = url_for("inbox.inbox", **panes.here())
    return make_response("", 204, {"HX-Redirect": address}) if panes.only_case() else redirect(address, 303)


def back(number: int, anchor: str | None = None) -> BaseResponse | Response:
    """To the case, beside the list that stood there. ``anchor``: the part of it where the reader goes on."""
    if panes.only_case():
        return make_response(shown(number, Composer(), focus=anchor))
    return redirect(panes.case_address(number, _anchor=anchor), 303)
