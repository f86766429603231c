"""The page of a person: who they are on the networks, what they have written to us, what colleagues should know.

``/people/N``, N being any of their authors; the one with the smallest number is the address of all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy import Select, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

import audit
from errors import InvalidInput, StaleCase
from models import AuditEntry, Author, Case, Mention, PersonNote, Role, UTCDateTime
from triage import people
from triage.people import Groups, Regrouped
from web import access
from web.context import house, is_at_least, now, user, whole_number
from web.i18n import gettext as _
from web.safe_html import is_web, link_text

pages = Blueprint("people", __name__, url_prefix="/people")

PAGE = 20  # cases
LATEST = 3  # earlier cases beside a case
DONE = ("join", "part")  # what can be taken back


# -- beside a case ----------------------------------------------------------------------------------------------------


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_person.html`` shows: earlier cases of whoever began this one, and whether there are notes about them."""
    if case.author is None:
        return {"earlier": [], "earlier_count": 0, "person_notes": []}
    authors = people.authors_of(db, case.author.id) if case.author.person_id is not None else [case.author]
    before = or_(
        Case.opened_at < case.opened_at,
        (Case.opened_at == case.opened_at) & (Case.id < case.id),
    )
    theirs = (Case.author_id.in_([each.id for each in authors]), Case.merged_into_id.is_(None), before)
    latest = select(Case).where(*theirs).order_by(Case.opened_at.desc(), Case.id.desc()).limit(LATEST)
    earlier = list(db.scalars(latest))
    count = select(func.count()).select_from(Case).where(*theirs)
    return {
        "earlier": earlier,
        "earlier_count": len(earlier) if len(earlier) < LATEST else db.scalar(count),
        "person_notes": people.notes(db, authors),
    }


# -- the page ---------------------------------------------------------------------------------------------------------


@pages.get("/<int:author_id>")
def show(author_id: int) -> str | BaseResponse:
    """``find``: a name, handle or address to join them with; ``before``: where the list of cases goes on."""
    with house().database.read() as db:
        first = people.authors_of(db, author_id)[0].id
        if author_id != first:
            return redirect(url_for("people.show", author_id=first))
        return _page(db, author_id)


def _page(db: Session, author_id: int, error: str | None = None, written: str = "") -> str:
    authors = people.authors_of(db, author_id)
    ids = [each.id for each in authors]
    wrote = (Mention.author_id.in_(ids), Mention.context.is_(False))
    counted = select(Mention.author_id, func.count()).where(*wrote).group_by(Mention.author_id)
    mentions = {id: count for id, count in db.execute(counted)}
    in_cases = select(Mention.case_id).where(*wrote, Mention.case_id.is_not(None))
    cases, further = _cases(db, in_cases)
    sought = request.args.get("find", "").strip()
    languages: Counter[str] = Counter()
    for each in authors:
        languages.update({tag: int(count) for tag, count in each.languages.items()})
    return render_template(
        "person.html",
        authors=authors,
        name=authors[0].name,
        first_seen=min(each.first_seen_at for each in authors),
        mentions=mentions,
        languages=[tag for tag, _count in languages.most_common()],
        cases=cases,
        case_count=db.scalar(select(func.count(Mention.case_id.distinct())).where(*wrote)) or 0,
        further=further,
        notes=people.notes(db, authors),
        sought=sought,
        found=people.find(db, sought, authors) if sought else [],
        most_found=people.FOUND,
        alike=people.alike(db, authors),
        error=error,
        written=written,
        max_note=people.MAX_NOTE,
        may_remove=may_remove,
        is_web=is_web,
        link_text=link_text,
    )


def _cases(db: Session, numbers: Select[Any]) -> tuple[Sequence[Case], str | None]:
    """The cases they wrote in, the latest activity first; and where it goes on."""
    place = _place(request.args.get("before", ""))
    key = (Case.last_activity_at, Case.id)
    query = select(Case).where(Case.id.in_(numbers)).order_by(*(each.desc() for each in key))
    if place is not None:
        query = query.where(tuple_(*key) < tuple_(literal(place[0], UTCDateTime()), literal(place[1])))
    found = db.scalars(query.limit(PAGE + 1)).all()
    last = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], f"{last.last_activity_at.isoformat()}~{last.id}" if last is not None else None


def _place(text: str) -> tuple[datetime, int] | None:
    """Where a page ended; 400 for what is none."""
    if not text:
        return None
    at, _tilde, number = text.partition("~")
    if not re.fullmatch(r"[0-9]{1,18}", number):
        abort(400)
    try:
        return datetime.fromisoformat(at).astimezone(UTC), int(number)
    except (ValueError, OverflowError):
        abort(400)


def may_remove(note: PersonNote) -> bool:
    return note.user_id == user().id or is_at_least(Role.manager)


# -- joining ----------------------------------------------------------------------------------------------------------


@pages.post("/<int:author_id>/join")
def join(author_id: int) -> BaseResponse | Response:
    other = whole_number("other")
    if other is None:
        abort(400)
    access.check_seen(Author, other)
    try:
        with house().database.transaction() as db:
            done = people.join(db, author_id, other, now())
            entry = _written_down(db, "join", done)
            said = _("%(name)s and %(other)s are one person now.", **_names(db, author_id, other))
    except InvalidInput:
        flash(_("They are one person already, or would be too many in one."))
    else:
        flash(_undoable(said, entry))
    return redirect(url_for("people.show", author_id=author_id), 303)


@pages.post("/<int:author_id>/part")
def part(author_id: int) -> BaseResponse:
    """``author``: who is somebody else."""
    author = whole_number("author")
    if author is None:
        abort(400)
    try:
        with house().database.transaction() as db:
            if author not in {each.id for each in people.authors_of(db, author_id)}:
                abort(400)
            done = people.part(db, author, now())
            entry = _written_down(db, "part", done)
            name = people.authors_of(db, author)[0].name
    except InvalidInput:
        flash(_("They were taken apart already."))
        return redirect(url_for("people.show", author_id=author_id), 303)
    flash(_undoable(_("%(name)s stands alone now.", name=name), entry))
    rest = next(id for group in done.after for id in group if id != author)
    return redirect(url_for("people.show", author_id=rest), 303)


@pages.post("/undo/<int:entry_id>")
def undo(entry_id: int) -> BaseResponse:
    with house().database.transaction() as db:
        entry = db.get(AuditEntry, entry_id)
        if entry is None or entry.action not in DONE or not entry.subject.startswith("person:"):
            abort(404)
        before, after = (_groups(side) for side in entry.changes["authors"])
        try:
            _written_down(db, "take_back", people.take_back(db, Regrouped(before, after), now()))
        except StaleCase:
            flash(_("It cannot be taken back: somebody has joined or parted them since."))
        else:
            flash(_("It is as it was before."))
    return redirect(url_for("people.show", author_id=before[0][0]), 303)


def _written_down(db: Session, action: str, done: Regrouped) -> int:
    """In the audit log, where undo finds it: authors by number, those that are one as ``1+2``."""
    sides = [["+".join(map(str, group)) for group in side] for side in (done.before, done.after)]
    subject = f"person:{min(id for group in done.before for id in group)}"
    entry = audit.record(db, actor=user().email, action=action, subject=subject, changes={"authors": sides}, at=now())
    db.flush()
    return entry.id


def _groups(side: Sequence[str]) -> Groups:
    return tuple(tuple(map(int, group.split("+"))) for group in side)


def _names(db: Session, one: int, other: int) -> dict[str, str]:
    return {"name": db.get_one(Author, one).name, "other": db.get_one(Author, other).name}


def _undoable(text: str, entry: int) -> Markup:
    return Markup(render_template("_regrouped.html", text=text, entry=entry).strip())


# -- notes ------------------------------------------------------------------------------------------------------------


@pages.post("/<int:author_id>/notes")
def write_note(author_id: int) -> BaseResponse | Response:
    body = request.form.get("body", "").replace("\r\n", "\n")
    try:
        with house().database.transaction() as db:
            people.write_note(db, author_id, body, user(), now())
    except InvalidInput:
        said = _("That is too long for a note.") if body.strip() else _("Write something first.")
        with house().database.read() as db:
            return make_response(_page(db, author_id, said, body), 422)
    flash(_("The note is kept."))
    return redirect(url_for("people.show", author_id=author_id, _anchor="notes"), 303)


@pages.post("/<int:author_id>/notes/<int:note_id>/remove")
def remove_note(author_id: int, note_id: int) -> BaseResponse:
    """By who wrote it, or a manager; it is gone for good."""
    with house().database.transaction() as db:
        note = db.get(PersonNote, note_id)
        if note is not None:
            if not may_remove(note):
                abort(403)
            subject = f"person:{note.author_id}"
            audit.record(db, actor=user().email, action="remove_note", subject=subject, at=now())
            people.remove_note(db, note)
    flash(_("The note is removed."))
    return redirect(url_for("people.show", author_id=author_id, _anchor="notes"), 303)
