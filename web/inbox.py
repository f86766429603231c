"""The inbox: the list of cases, and what is new in it while one looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import Blueprint, Response, abort, jsonify, make_response, render_template, request
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
    Mention,
    Noise,
    Sentiment,
    Source,
    Team,
    Urgency,
    User,
)
from triage import policy
from triage.learning import VALUES
from web import labels, notices
from web.context import house, now, user
from web.i18n import gettext as _
from web.queries import CaseFilter, CasePage, Sort, cases_among, cases_numbered, find_cases

pages = Blueprint("inbox", __name__)

PAGE = 50
PREVIEW = 220  # characters
TO_DO = (CaseStatus.new, CaseStatus.open)
NARROWING = (
    "channel", "assignee", "source", "q", "kind", "sentiment", "language", "wants_answer", "urgency", "noise",
    "category", "due", "team", "story",
)  # fmt: skip
FLAGGED = 50  # at most so many on top
MAX_NEWS = 200  # events told one by one; after a longer sleep the whole list is asked for
ALIVE = timedelta(seconds=15)  # older than this, and the collecting side is down


@dataclass(frozen=True)
class View:
    """One choice in the navigation: a name, its query string, and how many cases it holds (None: not counted)."""

    label: str
    args: dict[str, str]
    current: bool
    count: int | None = None


@dataclass(frozen=True)
class Row:
    """``subject`` on its own line, ``text`` under it; without a subject the text has both lines."""

    case: Case
    subject: str
    text: str


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
    me, args = user(), request.args
    wanted = wanted_cases(args, me)
    sort = Sort(args["sort"]) if args.get("sort") in list(Sort) else Sort.newest
    cursor = args.get("cursor") or None
    with house().database.read() as db:
        last = newest_event(db)
        page = find_cases(db, wanted, sort=sort, limit=PAGE, cursor=cursor)
        flagged = _flagged(db, wanted) if cursor is None and sort is Sort.newest else CasePage([], None, 0)
        on_top = {found.id for found in flagged.cases}
        rest = [found for found in page.cases if found.id not in on_top]
        rows = _rows(db, [*flagged.cases, *rest])
        sources = db.execute(select(Source.name, Source.error, Source.paused_at).order_by(Source.name)).all()
        filters = _filters(db)
        people = db.scalars(select(User).where(User.disabled_at.is_(None)).order_by(User.name)).all()
        heartbeat = db.get(Heartbeat, "scheduler")
        views = _views(db, args, me)
        told, told_in_all = notices.unseen(db, me.id)
        any_case = bool(rows) or db.scalar(select(Case.id).limit(1)) is not None
    return render_template(
        "inbox.html",
        urgent=rows[: len(flagged.cases)],
        rows=rows[len(flagged.cases) :],
        total=page.total,
        next_cursor=page.next_cursor,
        last=last,
        views=views,
        sources=sources,
        troubled=[source for source in sources if source.error],
        people=people,
        filters=filters,
        notices=told,
        notice_count=told_in_all,
        channels=channels.CHANNELS.values(),
        sorts=sort_names(),
        sort=sort,
        args=args,
        args_without_cursor={name: values for name, values in args.to_dict(flat=False).items() if name != "cursor"},
        filtered=any(args.get(name) for name in NARROWING),
        any_case=any_case,
        collecting=collecting(heartbeat, now()),
        restarts=heartbeat.restarts if heartbeat else 0,
    )


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


def _rows(db: Session, cases: list[Case]) -> list[Row]:
    """The cases with the beginning of the latest message by somebody else. One query."""
    latest = (
        select(func.max(Mention.id))
        .where(
            Mention.case_id.in_([found.id for found in cases]),
            Mention.context.is_(False),
            Mention.repost.is_(False),
            Mention.ours.is_(False),
        )
        .group_by(Mention.case_id)
    )
    found = db.execute(select(Mention.case_id, func.substr(Mention.text, 1, PREVIEW * 2)).where(Mention.id.in_(latest)))
    previews = {case_id: " ".join(text.split()) for case_id, text in found}
    return [_row(each, previews.get(each.id, "")) for each in cases]


def _row(found: Case, text: str) -> Row:
    """A subject that only is the beginning of the message is not said twice."""
    subject = " ".join(found.subject.split())
    if text.startswith(subject.rstrip("…").rstrip()):
        subject = ""
    return Row(found, subject, text[:PREVIEW])


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
    return db.scalar(select(func.max(CaseEvent.id))) or 0


def collecting(heartbeat: Heartbeat | None, at: datetime) -> str:
    """Whether anybody collects and sends: "ok", or "down"."""
    return "ok" if heartbeat and at - heartbeat.at <= ALIVE else "down"


@pages.get("/live")
def live() -> Response:
    """What has changed since an event: 204 when nothing has. Asked for every two seconds by every open window."""
    me = user()
    after = request.args.get("after", "")
    if not after.isdigit() or len(after) > 18:
        abort(400)
    with house().database.read() as db:
        heartbeat = db.get(Heartbeat, "scheduler")
        last = newest_event(db)
        if last <= int(after):
            response = make_response("", 204)
        else:
            response = jsonify({"last": last, **_news(db, int(after), me)})
    response.headers["X-Collecting"] = collecting(heartbeat, now())
    response.headers["X-Restarts"] = str(heartbeat.restarts if heartbeat else 0)
    return response


def _news(db: Session, after: int, me: User) -> dict[str, object]:
    """The rows of the changed cases as they are now; ``in`` tells whether the list asked for would hold them."""
    changed = list(
        db.scalars(select(CaseEvent.case_id).where(CaseEvent.id > after).order_by(CaseEvent.id).limit(MAX_NEWS + 1))
    )
    if len(changed) > MAX_NEWS:
        return {"rows": [], "many": True, "cases": []}
    numbers = sorted(set(changed))
    found = cases_numbered(db, numbers)
    wanted = wanted_cases(request.args, me)
    shown = cases_among(db, numbers, wanted)
    rows = [
        {
            "case": row.case.id,
            "in": row.case.id in shown,
            "html": render_template("_row.html", row=row, gone=row.case.id not in shown),
        }
        for row in _rows(db, found)
    ]
    return {"rows": rows, "many": False, "cases": numbers}
