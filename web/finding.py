"""What a list is narrowed to: the filters of its address as a ``CaseFilter``, as fields and as chips; hits marked."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, render_template, url_for
from markupsafe import Markup
from sqlalchemy import null, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

import channels
from errors import InvalidInput, QueryError
from models import (  # fmt: skip
    Author,
    CaseStatus,
    Kind,
    Mention,
    Noise,
    Note,
    Priority,
    Reply,
    Sentiment,
    Source,
    Story,
    Team,
    Urgency,
    User,
)
from triage import policy, watch
from triage.learning import VALUES
from triage.watch import Operator
from web import labels, operators, panes, search
from web.context import as_number, house, now, user, zone
from web.i18n import gettext as _
from web.operators import Asker
from web.preview import Marked, marked
from web.queries import CaseFilter, Sort

pages = Blueprint("finding", __name__)

TO_DO = (CaseStatus.new, CaseStatus.open)
# Names in the address that stand for one operator each.
OPERATORS = {"is": "is", "has": "has", "since": "after", "until": "before"}
NARROWING = (
    "q", "channel", "assignee", "team", "source", "priority", "kind", "tag", "category", "language", "sentiment",
    "wants_answer", "urgency", "noise", "due", "story", "author", *OPERATORS,
)  # fmt: skip
Choices = list[tuple[str, str]]  # value in the address -> words


@dataclass(frozen=True)
class Chip:
    """One thing the list is narrowed to. ``args``: the address without it."""

    label: str
    words: str
    args: dict[str, list[str]]


@dataclass(frozen=True)
class Problem:
    """Why a search cannot be read, with the query cut at the place."""

    message: str
    before: str
    after: str


def wanted_cases(args: MultiDict[str, str], me: User) -> CaseFilter:
    """What the address asks for. Without a status: what is to be done. Unknown values match nothing."""
    status = _several(args, "status")
    if not status:
        status = list(TO_DO)
    elif "all" in status:
        status = []
    assignee = args.get("assignee") or None
    urgency, noise = _several(args, "urgency"), _several(args, "noise")
    return CaseFilter(
        status=status,
        channel=_several(args, "channel"),
        kind=_several(args, "kind"),
        sentiment=_several(args, "sentiment"),
        language=_several(args, "language"),
        priority=_several(args, "priority"),
        urgency=[*Urgency] if "any" in urgency else urgency,
        noise=[*Noise] if "any" in noise else noise,
        category=_several(args, "category"),
        wants_answer={"yes": True, "no": False}.get(args.get("wants_answer", "")),
        tag=[tag.strip().lower() for tag in _several(args, "tag")],
        team=_several(args, "team"),
        story=args.get("story", type=as_number),
        author=args.get("author", type=as_number),
        due_before={"late": now(), "soon": now() + labels.SOON}.get(args.get("due", "")),
        source=args.get("source") or None,
        assignee=me.email if assignee == "me" else assignee,
        asked=[Operator(op, value, 0) for name, op in OPERATORS.items() for value in _several(args, name)],
        q=args.get("q", "").strip() or None,
        asker=asker(me),
    )


def asker(me: User) -> Asker:
    return Asker(me, now(), zone())


def sort_of(args: MultiDict[str, str]) -> Sort:
    return Sort(args["sort"]) if args.get("sort") in list(Sort) else Sort.newest


def _several(args: MultiDict[str, str], name: str) -> list[str]:
    return [value for value in args.getlist(name) if value]


def problem(error: InvalidInput, q: str) -> Problem:
    cause = error.__cause__
    at = cause.position if isinstance(cause, QueryError) else len(q)
    return Problem(str(error), q[:at], q[at:])


# -- fields and chips -------------------------------------------------------------------------------------------------


def filters(db: Session) -> list[tuple[str, str, Choices]]:
    """What a list can be narrowed to: name in the address, label, choices. What has none to offer is left out."""
    either: Choices = [("any", _("Any")), ("none", _("None"))]
    people = db.execute(select(User.email, User.name).where(User.disabled_at.is_(None)).order_by(User.name)).all()
    categories = [category.name for category in policy.read(db).categories]
    found: list[tuple[str, str, Choices]] = [
        ("channel", _("Channel"), [(each.name, each.label) for each in channels.CHANNELS.values()]),
        (
            "assignee",
            _("Assigned to"),
            [("me", _("Me")), ("none", _("Nobody")), *((mail, name) for mail, name in people if mail != user().email)],
        ),
        ("team", _("Team"), _same(db.scalars(select(Team.name).order_by(Team.name)).all())),
        ("source", _("Source"), _same(db.scalars(select(Source.name).order_by(Source.name)).all())),
        ("priority", _("Priority"), [(each, labels.priority(each)) for each in reversed(Priority)]),
        ("due", _("Due"), [("late", _("Late")), ("soon", _("Late or within two hours"))]),
        ("is", _("Is"), [(each, flag(each)) for each in operators.FLAGS if each != "late"]),
        ("has", _("Has"), [(each, held(each)) for each in operators.HELD]),
    ]
    judged: dict[str, Choices] = {
        "kind": [(each, labels.kind(each)) for each in Kind],
        "sentiment": [(each, labels.sentiment(each)) for each in Sentiment],
        "language": [(each, labels.spoken(each)) for each in VALUES["language"]],
        "wants_answer": [("yes", _("Yes")), ("no", _("No"))],
        "urgency": [*either, *((each, labels.urgency(each)) for each in Urgency)],
        "noise": [*either, *((each, labels.noise(each)) for each in Noise)],
        "category": [*_same(categories), *either[1:]] if categories else [],
    }
    found += [(name, labels.judge(name), choices) for name, choices in judged.items()]
    return [(name, label, choices) for name, label, choices in found if choices]


def _same(values: Sequence[str]) -> Choices:
    return [(value, value) for value in values]


def flag(value: str) -> str:
    return {
        "late": _("Late"),
        "unread": _("Unread"),
        "flagged": _("Needs somebody now"),
        "snoozed": _("Put off"),
        "approval": _("Waiting for approval"),
    }[value]


def held(value: str) -> str:
    return {
        "draft": _("Your draft"),
        "reply": _("An answer"),
        "note": _("A note"),
        "picture": _("A picture"),
        "promise": _("A promise"),
    }[value]


def chips(db: Session, args: MultiDict[str, str], known: Sequence[tuple[str, str, Choices]]) -> list[Chip]:
    """What the list is narrowed to, each to be taken off by itself."""
    labelled = {name: label for name, label, _choices in known}
    labelled |= {"q": _("Search"), "tag": _("Tag"), "story": _("Story"), "author": _("Author"),
                 "since": _("Active since"), "until": _("Active before")}  # fmt: skip
    words = {(name, value): said for name, _label, choices in known for value, said in choices}
    found = []
    for name in NARROWING:
        for value in _several(args, name):
            said = words.get((name, value)) or _name_of(db, name, value) or value
            found.append(Chip(labelled.get(name, name), said, _without(args, name, value)))
    return found


def _name_of(db: Session, name: str, value: str) -> str | None:
    if as_number(value) is None:
        return None
    column = {"story": (Story.title, Story.id), "author": (Author.name, Author.id)}.get(name)
    return db.scalar(select(column[0]).where(column[1] == int(value))) if column else None


def _without(args: MultiDict[str, str], name: str, value: str) -> dict[str, list[str]]:
    left = {each: [one for one in args.getlist(each) if (each, one) != (name, value)] for each in args}
    return {each: values for each, values in left.items() if values and each != "cursor"}


def hidden(args: MultiDict[str, str], *shown: str) -> list[tuple[str, str]]:
    """What else stands in the address, for a form that shows only some of it."""
    return [(name, value) for name, value in args.items(multi=True) if name not in (*shown, "cursor") and value]


# -- search ------------------------------------------------------------------------------------------------------------


@pages.get("/search")
def show() -> str:
    """The list of what is found, of all cases unless the address says which; without words: the field alone."""
    from web.inbox import listing

    args = panes.list_args()
    if not args.get("status"):
        args["status"] = "all"
    with house().database.read() as db:
        if not args.get("q", "").strip():
            return render_template("search.html", args=args, search_help=help_rows())
        return render_template("inbox.html", **listing(db))


def help_rows() -> list[tuple[str, str]]:
    """What may be written, and what it finds. The operators are English in every language."""
    person = _("name")
    return [
        ("snö", _("the word, also inside longer ones; capitals do not matter")),
        ('"snö på vägen"', _("exactly these words in a row")),
        ("snö -is", _("the first without the second; NOT says the same")),
        ("snö OR (is väg*)", _("either; words side by side must all be there; * lets a word go on; ~ finds its forms")),
        ("status:" + " ".join(operators.values("status") or ()), _("where the case stands")),
        (f"assignee:me none {person}@…", _("who has it")),
        (f"author:{person}", _("who wrote")),
        ("channel:" + " ".join(operators.values("channel") or ()), _("the network")),
        (
            "source:… team:… tag:… category:… story:1",
            _("by name; quotes go round names with spaces; none where there is none"),
        ),
        ("kind:" + " ".join(operators.values("kind") or ()), _("what it is about")),
        ("sentiment:" + " ".join(operators.values("sentiment") or ()), _("its tone")),
        ("priority:" + " ".join(operators.values("priority") or ()), _("its priority")),
        ("language:sv", _("the language: sv da nb nn en fi de, no for both kinds of Norwegian")),
        ("is:" + " ".join(operators.FLAGS), _("what is the matter with it")),
        ("has:" + " ".join(operators.HELD), _("what is in it; a draft of yours")),
        ("after:2026-11-24 before:2026-12", _("last active on that day or later; before that day")),
        ("link:… site:… followers>1000", _("what it links to, where it stands, how many follow the author")),
        ("1234", _("the case of that number")),
    ]


def completions() -> list[str]:
    """Operators with their values, for the field to offer."""
    return [f"{name}:{value}" for name in watch.OPERATORS for value in (operators.values(name) or [""])]


# -- hits marked -------------------------------------------------------------------------------------------------------


def hits(db: Session, q: str | None, numbers: Sequence[int]) -> dict[int, Marked]:
    """For each case where the words stand in something said: the newest of it, cut out around them. Four queries."""
    try:
        node = watch.parse_search(q) if q else None
    except QueryError:
        return {}
    if node is None or not numbers:
        return {}
    found: dict[int, Marked] = {}
    for kind, ids in search.where_it_says(db, node, numbers).items():
        said: Any = {
            "mention": select(Mention.case_id, Mention.text, Mention.title, Mention.language).where(
                Mention.id.in_(ids)
            ),
            "reply": select(Reply.case_id, Reply.body, null(), null()).where(Reply.id.in_(ids)),
            "note": select(Note.case_id, Note.body, null(), null()).where(Note.id.in_(ids)),
        }[kind]
        for case_id, text, title, language in db.execute(said) if ids else ():
            pieces = marked(node, " ".join(text.split()), language)
            if title and not any(hit for _piece, hit in pieces):
                pieces = marked(node, title, language)
            found[case_id] = pieces
    return found


def mark(text: str) -> Markup:
    """A text, or HTML that is known to be safe, with what the search of this page is after marked."""
    q = panes.list_args().get("q")
    try:
        node = watch.parse_search(q) if q else None
    except QueryError:
        node = None
    if node is None:
        return Markup.escape(text)
    pieces = re.split(r"(<[^>]*>)", str(Markup.escape(text)))
    return Markup("").join(
        Markup(piece) if at % 2 else _mark(node, html.unescape(piece)) for at, piece in enumerate(pieces)
    )


def _mark(node: watch.Node, text: str) -> Markup:
    text = unicodedata.normalize("NFC", text)
    done, at = Markup(""), 0
    for first, last in watch.marks(node, text, None):
        done += Markup.escape(text[at:first]) + Markup("<mark>{}</mark>").format(text[first:last])
        at = last
    return done + Markup.escape(text[at:])


def install(app: Flask) -> None:
    app.jinja_env.filters["hits"] = mark
    app.jinja_env.globals["hidden_args"] = hidden
    app.register_blueprint(pages)


def known(db: Session, args: MultiDict[str, str]) -> dict[str, Any]:
    """What the templates of the list's head need."""
    fields = filters(db)
    return {
        "filters": fields,
        "chips": chips(db, args, fields),
        "search_help": help_rows(),
        "completions": completions(),
        "clear_address": url_for("inbox.inbox", status=args.getlist("status")),
    }


__all__ = ["NARROWING", "TO_DO", "Chip", "Problem", "hits", "known", "problem", "sort_of", "wanted_cases"]
