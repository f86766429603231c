"""Was it worth it: answers used again, people helped by one answer, and calls that were not needed.

What is assumed of calls is set here by managers; every version of it stays, with who set it and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

import audit
from errors import InvalidInput
from models import Case, Role, SharedAnswer, Story
from reports.figures import Asked
from reports.tables import REPORTS
from reports.value import Assumed, Kind, Sent, Texts, assumptions, made_of, people_of, value
from triage import policy
from triage.policy import Assumption
from web import report_frame
from web.context import house, is_at_least, needs, now, user, whole_number
from web.i18n import duration, number
from web.i18n import gettext as _
from web.queries import MAX_NUMBER

pages = Blueprint("report_value", __name__, url_prefix="/reports/value")
pages.register_error_handler(InvalidInput, report_frame.wrong)
report_frame.TABS.append(report_frame.Tab("report_value.show", lambda: _("Value")))

PAGE = 50
FIELDS = ("share", "minutes", "cost", "currency")
CURRENCIES = ("SEK", "DKK", "NOK", "EUR", "GBP", "USD")


@pages.get("")
def show() -> str:
    """``assumption``: compute with this version of it, not the one in force."""
    return _page({}, {})


def _page(typed: Mapping[str, str], problems: Mapping[str, str]) -> str:
    asked = report_frame.asked_from(request.args)
    with report_frame.reading(asked) as db:
        found, versions = value(db, asked), assumptions(db)
        chosen = _chosen(versions)
        return render_template(
            "reports_value.html",
            **report_frame.frame(db, asked),
            found=found,
            assumed=chosen,
            versions=versions,
            saved=found.saved(chosen.value) if chosen else None,
            names=report_frame.people(db),
            typed=typed or (_typed(chosen.value) if chosen else {"currency": CURRENCIES[0]}),
            problems=problems,
            may_set=is_at_least(Role.manager),
            currencies=CURRENCIES,
            behind=_behind(asked),
            spent=duration(timedelta(minutes=found.saved(chosen.value).minutes)) if chosen else "",
        )


def _chosen(versions: Sequence[Assumed]) -> Assumed | None:
    wanted = whole_number("assumption")
    if wanted is None:
        return next((each for each in versions if each.current), None)
    found = next((each for each in versions if each.id == wanted), None)
    if found is None:
        raise NotFound
    return found


def _behind(asked: Asked) -> dict[str, str | None]:
    """Where the cases behind what is counted of samples are listed."""
    columns = REPORTS["value"].columns(asked)
    return {column.name: report_frame.behind_address(asked, None, column) for column in columns}


def _typed(given: Assumption) -> dict[str, str]:
    return {name: plain(getattr(given, name)) for name in FIELDS}


def plain(given: float | str) -> str:
    """A number as it is typed into a field: without a part that is nothing."""
    return f"{given:.10g}" if isinstance(given, float | int) else given


# -- what was used again ----------------------------------------------------------------------------------------------


@pages.get("/answers")
def answers() -> str:
    """The answers that were used again. ``canned`` names one text, ``shared`` is the number of an answer for all;
    ``made``: all of a kind; without them all."""
    asked, texts = report_frame.asked_from(request.args), _texts()
    begins = whole_number("begins") or 0
    with report_frame.reading(asked) as db:
        made = made_of(db, asked, texts, begins=begins, most=PAGE)
        return _listed(db, asked, texts, made.total, begins, listed=_with_subjects(db, made.sent))


@pages.get("/people")
def people() -> str:
    """Whom these answers reached; asked for in the same way."""
    asked, texts = report_frame.asked_from(request.args), _texts()
    begins = whole_number("begins") or 0
    with report_frame.reading(asked) as db:
        total, helped = people_of(db, asked, texts, begins=begins, most=PAGE)
        return _listed(db, asked, texts, total, begins, helped=helped)


def _listed(db: Session, asked: Asked, texts: Texts, total: int, begins: int, **found: Any) -> str:
    chosen = {"canned": texts.canned, "shared": texts.shared, "made": texts.kind}
    return render_template(
        "reports_value.html",
        **report_frame.frame(db, asked),
        title=_title(db, texts, total),
        chosen={name: value for name, value in chosen.items() if value is not None},
        total=total,
        next=begins + PAGE if begins + PAGE < total else None,
        begins=begins,
        **found,
    )


def _texts() -> Texts:
    kind = request.args.get("made")
    if kind and kind not in list(Kind):
        raise InvalidInput(_("That cannot be chosen."), {"made": ", ".join(Kind)})
    shared = whole_number("shared")
    texts = Texts(
        request.args.get("canned"), None if shared is None else min(shared, MAX_NUMBER), Kind(kind) if kind else None
    )
    if not (texts.of_canned or texts.of_shared):
        raise InvalidInput(_("That cannot be chosen."), {"made": "one text, or all of a kind"})
    return texts


def _title(db: Session, texts: Texts, total: int) -> str:
    """The title of a story only where one sees answers of it."""
    if texts.canned is not None:
        return texts.canned
    if texts.shared is not None:
        told = select(Story.title).join(SharedAnswer, SharedAnswer.story_id == Story.id)
        return (db.scalar(told.where(SharedAnswer.id == texts.shared)) if total else "") or _("One answer for all")
    return {
        Kind.shared: _("One answer for all"),
        Kind.canned: _("Canned replies"),
        None: _("Written once, used again"),
    }[texts.kind]


def _with_subjects(db: Session, sent: Sequence[Sent]) -> list[tuple[Sent, str]]:
    cases = select(Case.id, Case.subject).where(Case.id.in_([each.case for each in sent]))
    subjects = {id: subject for id, subject in db.execute(cases)}
    return [(each, subjects.get(each.case, "")) for each in sent]


# -- what is assumed --------------------------------------------------------------------------------------------------


@pages.post("")
@needs(Role.manager)
def assume() -> BaseResponse:
    """Set it, in a new version; ``remove``: assume nothing from now on."""
    if "remove" in request.form:
        return _remove()
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    given, problems = _read(typed)
    if given is None:
        return make_response(_page(typed, problems), 422)
    with house().database.transaction() as db:
        old = _in_force(db)
        instead_of = policy.VALUE if old else None
        policy.put(db, policy.VALUE, given, instead_of=instead_of, by=user().email, at=now())
        changes = audit.difference(_body(old), _body(given))
        if changes:
            audit.record(
                db,
                actor=user().email,
                action="change" if old else "add",
                subject="value:calls",
                changes=changes,
                at=now(),
            )
    flash(_("Saved. What was assumed before can still be looked at."))
    return _back()


def _remove() -> BaseResponse:
    with house().database.transaction() as db:
        old = _in_force(db)
        if old is not None:
            policy.retire(db, policy.VALUE, policy.VALUE, at=now())
            changes = audit.difference(_body(old), None)
            audit.record(db, actor=user().email, action="remove", subject="value:calls", changes=changes, at=now())
    flash(_("Nothing is assumed any more."))
    return _back()


def _back() -> BaseResponse:
    kept: dict[str, Any] = {**report_frame.kept()}
    return redirect(url_for("report_value.show", **kept, _anchor="calls"), 303)


def _in_force(db: Session) -> Assumption | None:
    found = policy.entries(db, policy.VALUE)
    return Assumption.model_validate(found[0].value.model_dump()) if found else None


def _body(given: Assumption | None) -> dict[str, Any] | None:
    return {name: getattr(given, name) for name in FIELDS} if given else None


def _read(typed: Mapping[str, str]) -> tuple[Assumption | None, dict[str, str]]:
    """As people write numbers: a comma will do, spaces between thousands too."""
    values = {name: text.replace(",", ".").replace(" ", "").replace("\u00a0", "") for name, text in typed.items()}
    values["cost"] = values["cost"] or "0"
    try:
        return Assumption.model_validate(values), {}
    except ValidationError as error:
        return None, {str(each["loc"][0]): _problem(str(each["loc"][0])) for each in error.errors()}


def _problem(name: str) -> str:
    return {
        "share": _("Write a number above 0, at most 100."),
        "minutes": _("Write a number above 0, at most %(n)s.", n=number(600)),
        "cost": _("Write a number, or nothing."),
        "currency": _("Choose one of these."),
    }[name]
