"""The tags there are: how many cases bear each; renamed, which merges two, and removed. For administrators only."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, literal, select, tuple_
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

import audit
from errors import InvalidInput
from models import Case, CaseTag
from settings import RESERVED_WHY, is_reserved
from triage import cases, policy
from web import labels
from web.context import house, now, only_admins, user
from web.i18n import gettext as _
from web.i18n import ngettext

pages = Blueprint("tags", __name__, url_prefix="/admin/tags")
pages.before_request(only_admins)

PAGE = 100
AT_ONCE = 100  # cases changed in one transaction
MOST = 2_000  # at one click


@pages.get("")
def listing() -> str:
    """``q``: part of a tag; ``after``: where to go on, in the order of the alphabet."""
    q, after = request.args.get("q", "").strip(), request.args.get("after", "")
    used = func.count()
    wanted = select(CaseTag.tag, used).group_by(CaseTag.tag).order_by(CaseTag.tag).limit(PAGE + 1)
    if q:
        wanted = wanted.where(CaseTag.tag.contains(q.lower(), autoescape=True))
    if after:
        wanted = wanted.where(tuple_(CaseTag.tag) > tuple_(literal(after)))
    with house().database.read() as db:
        found = [(tag, count) for tag, count in db.execute(wanted)]
        named = _named_by(db)
    return render_template(
        "tags.html",
        tags=found[:PAGE],
        more=found[PAGE - 1][0] if len(found) > PAGE else None,
        most=MOST,
        named=named,
        q=q,
    )


def _named_by(db: Session) -> dict[str, list[str]]:
    """Tag -> the rules that give it."""
    named: dict[str, list[str]] = {}
    for rule in policy.read(db).rules:
        for tag in rule.effects.tags:
            named.setdefault(tag, []).append(rule.name)
    return named


@pages.post("")
def change() -> Response:
    """``tag`` becomes ``to``; where a case bears that already, one is left. Without ``to`` it is taken off."""
    tag = request.form.get("tag", "")
    to = " ".join(request.form.get("to", "").lower().split()) or None
    if "remove" in request.form:
        to = None
    elif to is None:
        raise InvalidInput(_("Write the new name."), {"to": "empty"})
    if to == tag:
        return redirect(url_for("tags.listing"), 303)
    if to is not None and is_reserved(to):
        raise InvalidInput(labels.reserved(), {"to": RESERVED_WHY})
    done = retag(tag, to)
    with house().database.read() as db:
        left = db.scalar(select(func.count()).where(CaseTag.tag == tag)) or 0
    if not done:
        flash(_("No case bears %(tag)s any more.", tag=tag))
    else:
        with house().database.transaction() as db:
            told: dict[str, list[Any]] = {"name": [tag, to], "cases": [None, done]}
            action = "change" if to else "remove"
            audit.record(db, actor=user().email, action=action, subject=f"tag:{tag}", changes=told, at=now())
        flash(ngettext("%(n)s case is changed.", "%(n)s cases are changed.", done))
        if left:
            flash(
                ngettext(
                    "%(n)s case still bears %(tag)s: do it again.",
                    "%(n)s cases still bear %(tag)s: do it again.",
                    left,
                    tag=tag,
                )
            )
    return redirect(url_for("tags.listing", q=tag if left else None), 303)


def retag(tag: str, to: str | None) -> int:
    """Through the door of the cases, an event each, a part at a time. Returns how many cases."""
    done = 0
    while done < MOST:
        with house().database.transaction() as db:
            bearing = select(Case.id).join(CaseTag, CaseTag.case_id == Case.id).where(CaseTag.tag == tag)
            numbers = db.scalars(bearing.order_by(Case.id).limit(AT_ONCE)).all()
            for number in numbers:
                rest = {each.tag for each in cases.get(db, number).tags} - {tag}
                tags = sorted(rest | {to} if to else rest)
                cases.classify(db, number, tags=tags, actor=user().email, at=now())
        done += len(numbers)
        if len(numbers) < AT_ONCE:
            break
    return done
