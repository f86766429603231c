"""What Gensvar makes of a case, with its reasons, and how a person corrects it: by a key, or by the form beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from markupsafe import Markup, escape
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from models import CONCERNS_US, Case, CaseEvent, Kind, Mention, Noise, Sentiment, Urgency
from triage import batches, cases, policy, school
from triage.learning import VALUES
from web import labels
from web.context import house, now, user
from web.i18n import gettext as _
from web.queries import get_case

pages = Blueprint("judgements", __name__, url_prefix="/cases")

FIELDS = ("kind", "wants_answer", "sentiment", "language", "urgency", "noise", "category")
MAY_LACK = ("urgency", "noise", "category")
# One key each. What a case may lack, the key that gave it takes away; "l" goes through the organisation's languages.
KEYS: Mapping[str, tuple[str, str]] = {
    "1": ("kind", Kind.question),
    "2": ("kind", Kind.problem),
    "3": ("kind", Kind.idea),
    "4": ("kind", Kind.praise),
    "5": ("kind", Kind.other),
    "w": ("wants_answer", "yes"),
    "-": ("sentiment", Sentiment.negative),
    "0": ("sentiment", Sentiment.neutral),
    "+": ("sentiment", Sentiment.positive),
    "l": ("language", ""),
    "6": ("urgency", Urgency.danger),
    "7": ("urgency", Urgency.deadline),
    "8": ("urgency", Urgency.outage),
    "9": ("urgency", Urgency.leak),
    "!": ("noise", Noise.spam),
}


WORDS: Mapping[str, Callable[[str], str]] = {
    "kind": labels.kind,
    "wants_answer": lambda value: labels.wants_answer(value == "yes"),
    "sentiment": labels.sentiment,
    "language": labels.spoken,
    "urgency": labels.urgency,
    "noise": labels.noise,
    "category": str,
}


@dataclass(frozen=True)
class Judged:
    """One thing that is said of a case.

    ``sure``, ``because`` and ``mention_id``: of the judge that says the same; ``otherwise``: what it says instead, in
    words; ``set_by``: the event of the person or the rule that set it.
    """

    field: str
    value: str  # as the form has it
    choices: list[tuple[str, str]]
    keys: list[str]
    set_by: CaseEvent | None = None
    sure: float | None = None
    because: tuple[str, ...] = ()
    mention_id: int | None = None
    otherwise: str | None = None


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_judgement.html`` shows beside a case."""
    said = (Mention.case_id == case.id, CONCERNS_US)
    spoken = select(Mention.id, Mention.judgement).where(*said, Mention.judgement.is_not(None))
    judgements = [(id, judgement) for id, judgement in db.execute(spoken.order_by(Mention.published_at, Mention.id))]
    events = select(CaseEvent).where(CaseEvent.case_id == case.id, CaseEvent.action == "classify")
    set_by = {field: event for event in db.scalars(events.order_by(CaseEvent.version)) for field in event.changes}
    names = [category.name for category in policy.read(db).categories]
    return {
        "judged": [
            replace(
                _judged(field, as_field(case, field), judgements),
                choices=_choices(field, as_field(case, field), names),
                set_by=set_by.get(field) if field in case.settled else None,
            )
            for field in FIELDS
            if field != "category" or names
        ]
    }


def _judged(field: str, value: str, judgements: Sequence[tuple[int, Mapping[str, Any]]]) -> Judged:
    """What the judge said of the message that the case has it from: its kind from the first, language and feeling from
    the last, and what holds on once it was found (triage.cases) from the last that has it."""
    said = [(id, *judgement[field]) for id, judgement in reversed(judgements) if field in judgement]
    said = said[-1:] if field == "kind" else said[:1] if field in ("language", "sentiment") else said
    keys = [key for key, (judge, _value) in KEYS.items() if judge == field]
    for id, verdict, sure, because in said:
        if verdict == value:
            return Judged(field, value, [], keys, sure=sure, because=tuple(because), mention_id=id)
    return Judged(field, value, [], keys, otherwise=WORDS[field](said[0][1]) if said else None)


def as_field(case: Case, field: str) -> str:
    return _written(field, getattr(case, field))


def _written(field: str, value: object) -> str:
    """A value as forms write it: what a case may lack is "none", what nobody has judged yet is empty."""
    if value is None:
        return "none" if field in MAY_LACK else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _choices(field: str, value: str, categories: Sequence[str]) -> list[tuple[str, str]]:
    known = categories if field == "category" else [each for each in VALUES[field] if each != "none"]
    offered = [*known, value] if value not in (*known, "", "none") else known  # a category that is no more
    first = [("none", _("None"))] if field in MAY_LACK else [("", _("Not judged"))] if not value else []
    return [*first, *((each, WORDS[field](each)) for each in offered)]


def marked(text: str, words: Iterable[str]) -> Markup:
    """The text with these words of it marked."""
    longest_first = sorted(words, key=len, reverse=True)
    pattern = "|".join(r"\s*".join(map(re.escape, each.split())) for each in longest_first if each.strip())
    if not pattern:
        return escape(text)
    pieces, end = [], 0
    for found in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text):
        pieces += [escape(text[end : found.start()]), Markup("<mark>{}</mark>").format(found[0])]
        end = found.end()
    return Markup().join([*pieces, escape(text[end:])])


# -- correcting -----------------------------------------------------------------------------------------------------


@pages.post("/<int:number>/classify")
def classify(number: int) -> BaseResponse | str:
    """What a person says that Gensvar said otherwise: a ``key``, or the fields of the form that were changed."""
    form = request.form
    with house().database.transaction() as db, batches.begin(db, user(), "classify", now()) as batch:
        case = get_case(db, number)
        given = _by_key(case, form["key"]) if "key" in form else _by_form(db, form)
        event = cases.classify(db, number, **given, actor=user().email, at=now()) if given else None
        changes = {field: change for field, change in event.changes.items() if field in FIELDS} if event else {}
    learnt = any(field in school.JUDGES for field in changes)
    said = Markup(
        render_template("_learnt.html", number=number, changes=changes, batch=batch.id, learnt=learnt).strip()
    )
    if request.headers.get("HX-Request"):
        return said
    flash(said)
    return redirect(url_for("cases.show", number=number), 303)


def _by_key(case: Case, key: str) -> dict[str, Any]:
    if key not in KEYS:
        abort(400)
    field, value = KEYS[key]
    if field == "language":
        return {field: _next_language(case.language)}
    if field == "wants_answer":
        return {field: not case.wants_answer}
    has = as_field(case, field)
    if field == "noise" and has != "none":
        return {field: "none"}  # whatever noise it was taken for
    return {field: "none" if field in MAY_LACK and has == value else value}


def _next_language(spoken: str | None) -> str:
    ours = [each for each in house().settings.organisation.languages if each in VALUES["language"]] or ["und"]
    return ours[(ours.index(spoken) + 1) % len(ours)] if spoken in ours else ours[0]


def _by_form(db: Session, form: MultiDict[str, str]) -> dict[str, Any]:
    """Only what this form changed, so that two people do not undo each other."""
    given: dict[str, Any] = {}
    for field in FIELDS:
        value = form.get(field, "")
        if not value or value == form.get(f"was_{field}"):
            continue
        known = [category.name for category in policy.read(db).categories] if field == "category" else VALUES[field]
        if value not in known and not (value == "none" and field in MAY_LACK):
            abort(400)
        given[field] = value == "yes" if field == "wants_answer" else value
    return given
