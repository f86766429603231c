"""The inbox: the list of cases, and what is new in it while one looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

import channels
from models import (
    Case,
    CaseEvent,
    CaseStatus,
    Heartbeat,
    Kind,
    Noise,
    Sentiment,
    Source,
    Team,
    Urgency,
    User,
)
from triage import policy
from triage.learning import VALUES
from web import labels, notices, panes
from web.context import house, now, user
from web.i18n import gettext as _
from web.queries import CaseFilter, CasePage, Sort, find_cases
from web.rows import rows

pages = Blueprint("inbox", __name__)

PAGE = 50
TO_DO = (CaseStatus.new, CaseStatus.open)
NARROWING = (
    "channel", "assignee", "source", "q", "kind", "sentiment", "language", "wants_answer", "urgency", "noise",
    "category", "due", "team", "story",
)  # fmt: skip
FLAGGED = 50  # at most so many on top
ALIVE = timedelta(seconds=15)  # older than this, and the collecting side is down


@dataclass(frozen=True)
class View:
    """One choice in the navigation: a name, its query string, and how many cases it holds (None: not counted)."""

    label: str
    args: dict[str, str]
    current: bool
    count: int | None = None


def wanted_cases(args: MultiDict[str, str], me: User) -> CaseFilter:
    """What the address asks for. Without a status: what is to be done. Unknown values match nothing."""
    status = [value for value in args.getlist("status") if value]
    if not status:
        status = list(TO_DO)
    elif "all" in status:
        status = []
    assignee = args.get("assignee") or None

    def several(name: str) -> list[str]:
        return [value for value in args.getlist(name) if value]

    return CaseFilter(
        status=status,
        channel=several("channel"),
        kind=several("kind"),
        sentiment=several("sentiment"),
        language=several("language"),
        urgency=[*Urgency] if "any" in several("urgency") else several("urgency"),
        noise=[*Noise] if "any" in several("noise") else several("noise"),
        category=several("category"),
        wants_answer={"yes": True, "no": False}.get(args.get("wants_answer", "")),
        team=several("team"),
        story=args.get("story", type=int),
        due_before={"late": now(), "soon": now() + labels.SOON}.get(args.get("due", "")),
        source=args.get("source") or None,
        assignee=me.email if assignee == "me" else assignee,
        q=args.get("q", "").strip() or None,
    )


@pages.get("/")
def inbox() -> str:
    with house().database.read() as db:
        return render_template("inbox.html", **listing(db))


def listing(db: Session) -> dict[str, Any]:
    """What the navigation and the list need."""
    me, args = user(), panes.list_args()
    sort = Sort(args["sort"]) if args.get("sort") in list(Sort) else Sort.newest
    flagged, page = _listed(db)
    rest = _without(page, flagged)
    last = newest_event(db)
    listed = rows(db, [*flagged.cases, *rest], me)
    sources = db.execute(select(Source.name, Source.error, Source.paused_at).order_by(Source.name)).all()
    heartbeat = db.get(Heartbeat, "scheduler")
    told, told_in_all = notices.unseen(db, me.id)
    views = _views(db, args, me)
    return {
        "urgent": listed[: len(flagged.cases)],
        "rows": listed[len(flagged.cases) :],
        "total": page.total,
        "next_cursor": page.next_cursor,
        "last": last,
        "views": views,
        "view": next((view for view in views if view.current), None),
        "sources": sources,
        "troubled": [source for source in sources if source.error],
        "people": db.scalars(select(User).where(User.disabled_at.is_(None)).order_by(User.name)).all(),
        "filters": _filters(db),
        "notices": told,
        "notice_count": told_in_all,
        "channels": channels.CHANNELS.values(),
        "sorts": sort_names(),
        "sort": sort,
        "args": args,
        "args_without_cursor": {name: values for name, values in panes.here().items() if name != "cursor"},
        "filtered": any(args.get(name) for name in NARROWING),
        "any_case": bool(listed) or db.scalar(select(Case.id).limit(1)) is not None,
        "collecting": collecting(heartbeat, now()),
        "restarts": heartbeat.restarts if heartbeat else 0,
    }


def _listed(db: Session) -> tuple[CasePage, CasePage]:
    """What stands on top of the list the reader has before them, and the page under it."""
    args = panes.list_args()
    wanted, cursor = wanted_cases(args, user()), args.get("cursor")
    sort = Sort(args["sort"]) if args.get("sort") in list(Sort) else Sort.newest
    on_top = _flagged(db, wanted) if cursor is None and sort is Sort.newest else CasePage([], None, 0)
    return on_top, find_cases(db, wanted, sort=sort, limit=PAGE, cursor=cursor)


def _without(page: CasePage, flagged: CasePage) -> list[Case]:
    on_top = {found.id for found in flagged.cases}
    return [found for found in page.cases if found.id not in on_top]


def following(db: Session, number: int) -> int | None:
    """The case under this one in the list; after the last, or where it is not listed, the first. None: no other."""
    flagged, page = _listed(db)
    listed = [found.id for found in [*flagged.cases, *_without(page, flagged)]]
    below = listed[listed.index(number) + 1 :] if number in listed else []
    return next((each for each in [*below, *listed] if each != number), None)


Choices = list[tuple[str, str]]  # value in the address -> words


def _filters(db: Session) -> list[tuple[str, str, Choices]]:
    """What else a list can be narrowed to: name in the address, label, choices. What has none to offer is left out."""
    teams = list(db.scalars(select(Team.name).order_by(Team.name)))
    categories = [category.name for category in policy.read(db).categories]
    either: Choices = [("any", _("Any")), ("none", _("None"))]
    judged: dict[str, Choices] = {
        "kind": [(each, labels.kind(each)) for each in Kind],
        "sentiment": [(each, labels.sentiment(each)) for each in Sentiment],
        "language": [(each, labels.spoken(each)) for each in VALUES["language"]],
        "wants_answer": [("yes", _("Yes")), ("no", _("No"))],
        "urgency": [*either, *((each, labels.urgency(each)) for each in Urgency)],
        "noise": [*either, *((each, labels.noise(each)) for each in Noise)],
        "category": [*((each, each) for each in categories), *either[1:]] if categories else [],
    }
    found = [(name, labels.judge(name), choices) for name, choices in judged.items()]
    found.append(("due", _("Due"), [("late", _("Late")), ("soon", _("Late or within two hours"))]))
    found.append(("team", _("Team"), [(each, each) for each in teams]))
    return [(name, label, choices) for name, label, choices in found if choices]


def sort_names() -> dict[Sort, str]:
    return {Sort.newest: _("Newest first"), Sort.oldest: _("Oldest first"), Sort.urgent: _("Most urgent first")}


def _flagged(db: Session, wanted: CaseFilter) -> CasePage:
    """What needs a person before anything else: a failed or uncertain answer, a promise that is due."""
    return find_cases(db, replace(wanted, flagged=True), sort=Sort.urgent, limit=FLAGGED)


def _views(db: Session, args: MultiDict[str, str], me: User) -> list[View]:
    """The navigation. What is unfinished is counted, in one query over an index; what is done is not."""
    whose = case((Case.assignee_id.is_(None), "none"), (Case.assignee_id == me.id, "me"), else_="others")
    counted = db.execute(
        select(Case.status, whose, func.count())
        .where(Case.status.in_([CaseStatus.new, CaseStatus.open, CaseStatus.pending]))
        .group_by(Case.status, whose)
    ).all()

    def count(statuses: tuple[str, ...], owner: str | None = None) -> int:
        return sum(n for status, who, n in counted if status in statuses and owner in (None, who))

    choices: list[tuple[str, dict[str, str], int | None]] = [
        (_("To do"), {}, count(TO_DO)),
        (_("Mine"), {"assignee": "me"}, count(TO_DO, "me")),
        (_("Nobody's"), {"assignee": "none"}, count(TO_DO, "none")),
        (_("Waiting for the author"), {"status": "pending"}, count((CaseStatus.pending,))),
        (_("Resolved"), {"status": "resolved"}, None),
        (_("Closed"), {"status": "closed"}, None),
        (_("Ignored"), {"status": "ignored"}, None),
        (_("All"), {"status": "all"}, None),
    ]
    here = {name: args.get(name, "") for name in ("status", "assignee") if args.get(name)}
    return [View(label, chosen, chosen == here, n) for label, chosen, n in choices]


def newest_event(db: Session) -> int:
    return db.scalar(select(CaseEvent.id).order_by(CaseEvent.id.desc()).limit(1)) or 0


def collecting(heartbeat: Heartbeat | None, at: datetime) -> str:
    """Whether anybody collects and sends: "ok", or "down"."""
    return "ok" if heartbeat and at - heartbeat.at <= ALIVE else "down"
