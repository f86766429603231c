"""Views: the lists everybody has, those somebody has saved for all or for oneself, and how many cases they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

import audit
from errors import InvalidInput
from models import Role, User
from models import View as Saved
from web import finding, preferences
from web.context import as_number, came_from, house, is_at_least, now, user
from web.i18n import gettext as _
from web.i18n import number
from web.queries import CaseFilter, count_cases

pages = Blueprint("views", __name__, url_prefix="/views")

COUNTED = 999  # cases; beyond, the navigation says so with a +
MOST = 40  # saved views of one kind
LONGEST = 60  # characters of a name
Args = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class View:
    """One choice in the navigation: a name, its address, and how many cases it holds (None: not counted)."""

    label: str
    args: Args
    current: bool
    count: str | None = None
    shared: bool | None = None  # None: everybody has it


def views(db: Session, args: MultiDict[str, str], me: User) -> list[View]:
    """The navigation, with all its counts in one query."""
    kept = saved(db, me)
    choices: list[tuple[str, Args, bool, bool | None]] = [
        *((label, chosen, counted, None) for label, chosen, counted in built_in(has_default(kept, me))),
        *((each.name, parse_qs(each.query), True, each.owner_id is None) for each in kept),
    ]
    filters = [_filter(chosen, me) for _label, chosen, counted, _shared in choices if counted]
    counts = iter(counts_of(db, filters))
    here = _same(args)
    return [
        View(label, chosen, _same(chosen) == here, next(counts) if counted else None, shared)
        for label, chosen, counted, shared in choices
    ]


def counted(db: Session, me: User) -> dict[str, CaseFilter]:
    """The views that are counted: the address of each in the navigation, and its cases."""
    kept = saved(db, me)
    choices: list[dict[str, Any]] = [dict(args) for _label, args, counts in built_in(has_default(kept, me)) if counts]
    choices += [parse_qs(each.query) for each in kept]
    return {url_for("inbox.inbox", **chosen): _filter(chosen, me) for chosen in choices}


def built_in(default_is_another: bool) -> list[tuple[str, Args, bool]]:
    """What everybody has, each with whether it is counted."""
    todo: Args = {"status": list(finding.TO_DO)} if default_is_another else {}
    return [
        (_("To do"), todo, True),
        (_("Mine"), {"assignee": ["me"]}, True),
        (_("Nobody's"), {"assignee": ["none"]}, True),
        (_("Late"), {"due": ["late"]}, True),
        (_("Waiting for the author"), {"status": ["pending"]}, True),
        (_("Put off"), {"is": ["snoozed"], "status": ["all"]}, True),
        (_("Approvals"), {"is": ["approval"], "status": ["all"]}, True),
        (_("Drafts"), {"has": ["draft"], "status": ["all"]}, True),
        (_("Sent"), {"has": ["reply"], "status": ["all"]}, False),
        (_("Resolved"), {"status": ["resolved"]}, False),
        (_("Closed"), {"status": ["closed"]}, False),
        (_("Ignored"), {"status": ["ignored"]}, False),
        (_("All"), {"status": ["all"]}, False),
    ]


def saved(db: Session, me: User) -> list[Saved]:
    """Those for all first, each kind in the order somebody gave it."""
    mine = or_(Saved.owner_id.is_(None), Saved.owner_id == me.id)
    order = (Saved.owner_id.is_not(None), Saved.position, Saved.id)
    return list(db.scalars(select(Saved).where(mine).order_by(*order)))


def default_address(db: Session, me: User) -> str | None:
    """Where the inbox begins for somebody who has chosen a view of their own; None: with what is to be done."""
    chosen = preferences.of(me).view
    found = next((each for each in saved(db, me) if each.id == chosen), None) if chosen else None
    return f"{url_for('inbox.inbox')}?{found.query}" if found else None


def has_default(kept: Sequence[Saved], me: User) -> bool:
    chosen = preferences.of(me).view
    return any(each.id == chosen for each in kept)


def _filter(args: Args, me: User) -> CaseFilter:
    return finding.wanted_cases(MultiDict({name: list(values) for name, values in args.items()}), me)


def counts_of(db: Session, filters: Sequence[CaseFilter]) -> list[str | None]:
    """How many cases each holds, as the navigation says it; None: not counted."""
    try:
        found = count_cases(db, filters, COUNTED)
    except InvalidInput:  # somebody has saved what can no longer be read: count the others, each by itself
        found = [_count(db, each) for each in filters]
    return [None if n is None else f"{number(COUNTED)}+" if n > COUNTED else number(n) for n in found]


def _count(db: Session, wanted: CaseFilter) -> int | None:
    try:
        return count_cases(db, [wanted], COUNTED)[0]
    except InvalidInput:
        return None


def _same(args: Args | MultiDict[str, str]) -> dict[str, list[str]]:
    """An address as it is compared: what is to be done needs no status."""
    pairs = args.lists() if isinstance(args, MultiDict) else args.items()
    found = {name: sorted(filter(None, values)) for name, values in pairs if name != "cursor"}
    if found.get("status") == sorted(finding.TO_DO):
        del found["status"]
    if found.get("sort") == ["newest"]:
        del found["sort"]
    return {name: values for name, values in found.items() if values}


# -- the page where they are kept -------------------------------------------------------------------------------------


@pages.get("")
def show() -> str:
    with house().database.read() as db:
        kept = saved(db, user())
    manager = is_at_least(Role.manager)
    return render_template("views.html", kept=kept, chosen=preferences.of(user()).view, may_share=manager)


@pages.post("/own")
def own() -> Response:
    """Save the list for oneself."""
    return _save(user().id)


@pages.post("/shared")
def shared() -> Response:
    """Save the list for all."""
    if not is_at_least(Role.manager):
        abort(403)
    return _save(None)


def _save(owner_id: int | None) -> Response:
    name = _name()
    query = _clean(request.form.get("query", ""))
    with house().database.transaction() as db:
        kept = db.scalar(select(func.count()).select_from(Saved).where(_of(owner_id))) or 0
        if kept >= MOST:
            raise InvalidInput(_("There are %(n)s saved views already; delete one first.", n=number(MOST)))
        last = db.scalar(select(func.max(Saved.position)).where(_of(owner_id))) or 0
        me = user().email
        db.add(Saved(owner_id=owner_id, name=name, query=query, position=last + 1, created_by=me, created_at=now()))
        if owner_id is None:
            audit.record(db, actor=me, action="add", subject=f"view:{name}", changes={"query": [None, query]}, at=now())
    flash(_("The view “%(name)s” is saved.", name=name))
    return redirect(f"{url_for('inbox.inbox')}?{query}", 303)


@pages.post("/own/<int:number>")
def own_change(number: int) -> Response:
    """``do``: rename (with ``name``), up, down, delete; start: the inbox begins with it, also with a shared one."""
    return _change(number, user().id)


@pages.post("/shared/<int:number>")
def shared_change(number: int) -> Response:
    if not is_at_least(Role.manager):
        abort(403)
    return _change(number, None)


@pages.post("/own/start")
def own_start() -> Response:
    """The inbox begins with this view; without one, with what is to be done."""
    chosen = request.form.get("view", type=as_number)
    with house().database.transaction() as db:
        if chosen is not None and chosen not in [each.id for each in saved(db, user())]:
            abort(404)
        preferences.change(db, user(), view=chosen)
    flash(_("Saved."))
    return redirect(url_for("views.show"), 303)


def _change(number: int, owner_id: int | None) -> Response:
    do = request.form.get("do")
    with house().database.transaction() as db:
        kept = list(db.scalars(select(Saved).where(_of(owner_id)).order_by(Saved.position, Saved.id)))
        found = next((each for each in kept if each.id == number), None)
        if found is None:
            abort(404)
        before: dict[str, Any] = {"name": found.name, "query": found.query}
        if do == "rename":
            found.name = _name()
        elif do == "delete":
            db.delete(found)
        elif do in ("up", "down"):
            at = kept.index(found)
            kept.insert(max(at - 1, 0) if do == "up" else at + 1, kept.pop(at))
            for position, each in enumerate(kept, 1):
                each.position = position
        else:
            abort(400)
        if owner_id is None and do in ("rename", "delete"):
            after = {} if do == "delete" else {"name": found.name, "query": found.query}
            action = "remove" if do == "delete" else "change"
            changes = audit.difference(before, after)
            audit.record(
                db, actor=user().email, action=action, subject=f"view:{before['name']}", changes=changes, at=now()
            )
    return redirect(came_from() if "/views" in came_from() else url_for("views.show"), 303)


def _of(owner_id: int | None) -> ColumnElement[bool]:
    return Saved.owner_id.is_(None) if owner_id is None else Saved.owner_id == owner_id


def _name() -> str:
    name = " ".join(request.form.get("name", "").split())
    if not name or len(name) > LONGEST:
        raise InvalidInput(
            _("A view needs a name of at most %(n)s characters.", n=number(LONGEST)), {"name": "required"}
        )
    return name


def _clean(query: str) -> str:
    """What narrows and sorts, nothing else that may stand in an address."""
    read = parse_qs(query[:2000])
    kept = {name: values for name, values in read.items() if name in (*finding.NARROWING, "status", "sort")}
    return urlencode(kept, doseq=True)
