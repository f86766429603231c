"""What was changed in the administration, by whom and when; newest first. For administrators only."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy import ColumnElement, select

import audit
from models import AuditEntry, User
from web import form_words, labels
from web.context import house, only_admins, whole_number, zone
from web.i18n import gettext as _

pages = Blueprint("audit", __name__, url_prefix="/admin/audit")
pages.before_request(only_admins)

PAGE = 50
MOST_ROWS = 10_000  # in a file


@pages.get("")
def listing() -> str | Response:
    """``actor``, ``action``, ``kind``, ``q`` (in the name), ``from``, ``to`` (days), ``before`` (where to go on),
    ``format=csv``."""
    if request.args.get("format") == "csv":
        return _file()
    before = whole_number("before")
    wanted = _wanted() if before is None else [*_wanted(), AuditEntry.id < before]
    with house().database.read() as db:
        found = list(db.scalars(select(AuditEntry).where(*wanted).order_by(AuditEntry.id.desc()).limit(PAGE + 1)))
        names = {email: name for email, name in db.execute(select(User.email, User.name).order_by(User.name))}
    args = request.args.to_dict()
    return render_template(
        "audit.html",
        entries=found[:PAGE],
        more=found[PAGE - 1].id if len(found) > PAGE else None,
        args=args,
        filters={name: value for name, value in args.items() if name != "before" and value},
        names=names,
        actions=actions(),
        kinds=kinds(),
        about=about,
        field=field,
        value=value,
        actor=actor,
    )


def _wanted() -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    for name, column in (("actor", AuditEntry.actor), ("action", AuditEntry.action)):
        if given := request.args.get(name, "").strip():
            wanted.append(column == given)
    if kind := request.args.get("kind"):
        wanted.append(AuditEntry.subject.startswith(f"{kind}:", autoescape=True))
    if q := request.args.get("q", "").strip():
        wanted.append(AuditEntry.subject.icontains(q, autoescape=True))
    if (first := _day("from")) is not None:
        wanted.append(AuditEntry.at >= datetime.combine(first, time(), zone()))
    if (last := _day("to")) is not None:
        wanted.append(AuditEntry.at < datetime.combine(last + timedelta(days=1), time(), zone()))
    return wanted


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None


def _file() -> Response:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("at", "actor", "action", "subject", "changes"))
    with house().database.read() as db:
        found = select(AuditEntry).where(*_wanted()).order_by(AuditEntry.id.desc()).limit(MOST_ROWS)
        for entry in db.scalars(found):
            changes = json.dumps(entry.changes, ensure_ascii=False) if entry.changes else ""
            rows.writerow((entry.at.isoformat(), *map(_cell, (entry.actor, entry.action, entry.subject, changes))))
    response = make_response(text.getvalue())
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


def _cell(text: str) -> str:
    """What a spreadsheet would take for a formula is told to be text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


# -- words ------------------------------------------------------------------------------------------------------------


def actions() -> dict[str, str]:
    """Every action that is written down -> its words."""
    return {
        "add": _("added"),
        "change": _("changed"),
        "remove": _("removed"),
        "move": _("moved"),
        "enable": _("enabled"),
        "disable": _("disabled"),
        "pause": _("paused"),
        "resume": _("resumed"),
        "cancel": _("cancelled"),
        "invite": _("made a one-time link for"),
        "password": _("changed the password of"),
        "log_out": _("logged out"),
        "wall": _("left a window on the wall, logged in as"),
        "block": _("stopped the logins of"),
        "hand_over": _("handed over the cases of"),
        "import": _("imported"),
        "join": _("joined"),
        "part": _("took apart"),
        "take_back": _("took back a change of"),
        "export": _("exported"),
        "remove_note": _("removed a note about"),
    }


def kinds() -> dict[str, str]:
    """Every kind of thing that is changed -> its words."""
    parts = ("rules", "calendars", "sla", "categories", "canned_replies", "teams")
    return {
        "user": _("user"),
        "api": _("API token of"),
        "absence": _("absence of"),
        "source": _("source"),
        "history": _("history of"),
        "lesson": _("lesson"),
        "tag": _("tag"),
        "view": _("view"),
        "translation": _("translation"),
        "examples": _("examples"),
        "report": _("report by mail"),
        "value": _("what is assumed of"),
        "setup": _("first steps"),
        "person": _("person"),
        "cases": _("cases of"),
        **{part: form_words.part(part) for part in parts},
    }


def about(subject: str, names: Mapping[str, str]) -> tuple[str, str]:
    """What kind of thing it is, and its name."""
    kind, _colon, name = subject.partition(":")
    if kind == "value":
        name = _("calls that were not needed")
    return kinds().get(kind, kind), names.get(name, name)


def actor(who: str, names: Mapping[str, str]) -> str:
    if who == audit.CLI:
        return _("Command line")
    return _("Login") if who == "login" else names.get(who, who)


def field(subject: str, name: str) -> str:
    """The words for what was changed in ``subject``: those of the form it is changed in."""
    known = {
        "role": _("role"),
        "name": _("name"),
        "needs_review": _("approval by a colleague"),
        "members": _("members"),
        "cases": _("cases"),
        "address": _("address"),
        "first": _("first day"),
        "last": _("last day"),
        "authors": _("authors"),
        "url": _("Address"),
        "collect": _("What is collected"),
        "query": _("Query"),
        "every": _("How often"),
        "since": _("First pass from"),
        "share": _("share"),
        "minutes": _("minutes"),
        "cost": _("cost of an hour"),
        "currency": _("currency"),
    }
    return known.get(name) or form_words.words(subject.partition(":")[0], name).label


def value(name: str, stored: Any) -> str:
    if stored is None or stored == "" or stored == []:
        return _("none")
    if isinstance(stored, bool):
        return labels.wants_answer(stored)
    if isinstance(stored, list):
        return ", ".join(str(each) for each in stored)
    return labels.role(stored) if name == "role" else str(stored)
