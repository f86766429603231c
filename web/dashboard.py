"""What there is to do, in numbers, each leading to its list: counted over indexes, in a bounded number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.datastructures import MultiDict

from models import CaseEvent, Import, ImportState, Notice, Reply, ReplyStatus, Role, Source
from triage import ledger
from triage.reactions import NAMED
from web import report_checks
from web.context import house, is_at_least, now, user, zone
from web.finding import wanted_cases
from web.i18n import gettext as _
from web.i18n import number
from web.queries import count_cases

pages = Blueprint("dashboard", __name__, url_prefix="/dashboard")

MOST = 9_999  # beyond it a number says "more than"
NAMED_IN = 10  # notes shown that name the reader


@dataclass(frozen=True)
class Count:
    """One number: what it counts, and the address of the list behind it (None: not for this reader)."""

    name: str
    label: str
    n: int
    address: str | None
    color: str | None = None

    @property
    def words(self) -> str:
        return _("more than %(n)s", n=number(MOST)) if self.n > MOST else number(self.n)


@pages.get("")
def show() -> str:
    return render_template("dashboard.html", **_all())


@pages.get("/numbers")
def numbers() -> str:
    """The numbers alone, for a page that is open: asked for when something has happened."""
    return render_template("_numbers.html", **_all())


def _all() -> dict[str, object]:
    with house().database.read() as db:
        waiting = (Notice.user_id == user().id, Notice.kind == NAMED, Notice.seen_at.is_(None))
        named = select(Notice).where(*waiting).options(joinedload(Notice.event).joinedload(CaseEvent.case))
        notices = db.scalars(named.order_by(Notice.id.desc()).limit(NAMED_IN)).all()
        return {"counts": [*_of_cases(db), *_of_the_rest(db)], "named": [notice for notice in notices if notice.event]}


def _of_cases(db: Session) -> list[Count]:
    """Each is the list at its address."""
    lists: list[tuple[str, str, dict[str, Any], str | None]] = [
        ("mine", _("Mine"), {"assignee": "me"}, None),
        ("unassigned", _("Nobody's"), {"assignee": "none"}, None),
        ("late", _("Late"), {"due": "late", "sort": "urgent"}, "danger"),
        ("soon", _("Late or due within two hours"), {"due": "soon", "sort": "urgent"}, "warning"),
        (
            "flagged",
            _("Answers that failed or are uncertain, follow-ups due"),
            {"is": "flagged", "status": "all"},
            "danger",
        ),
    ]
    found = count_cases(db, [wanted_cases(MultiDict(args), user()) for _name, _label, args, _color in lists], MOST)
    return [
        Count(name, label, n or 0, url_for("inbox.inbox", **args), color if n else None)
        for (name, label, args, color), n in zip(lists, found, strict=True)
    ]


def _of_the_rest(db: Session) -> list[Count]:
    approval = select(Reply.id).where(Reply.status == ReplyStatus.in_review, Reply.user_id != user().id)
    trouble = select(Source.id).where(Source.error.is_not(None), Source.paused_at.is_(None))
    running = select(Import.id).where(Import.state.in_((ImportState.waiting, ImportState.running, ImportState.paused)))
    (approvals, troubled, imports) = (
        db.scalar(select(func.count()).select_from(each.limit(MOST + 1).subquery())) or 0
        for each in (approval, trouble, running)
    )
    sources = url_for("admin.sources") if is_at_least(Role.admin) else None
    found = [
        Count(
            "promised",
            _("Promised for today, or late"),
            ledger.due_today(db, user(), now(), zone()),
            url_for("promises.overview"),
            "warning",
        ),
        Count(
            "approval",
            _("Answers that wait for your approval"),
            0 if user().needs_review else approvals,
            url_for("review.waiting"),
            "warning",
        ),
        Count("sources", _("Sources in trouble"), troubled, sources, "danger"),
    ]
    compared = report_checks.latest(db) if is_at_least(Role.admin) else None
    if compared is not None and compared.different:
        checks = url_for("report_checks.listing")
        found.append(Count("figures", _("Figures that differed last night"), compared.different, checks, "danger"))
    if imports:
        found.append(Count("imports", _("Imports under way"), imports, url_for("history.listing") if sources else None))
    return found
