"""Reports by mail: who gets which, how often, and whether the last one went out. Everybody's own; admins see all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response

import audit
import report_mails
from errors import InvalidInput
from models import ReportMail, Role, User
from reports.figures import FILTERS, NONE, By, Clock
from web import report_frame, report_words
from web.context import house, is_at_least, now, safe_next, user
from web.i18n import gettext as _
from web.i18n import number

pages = Blueprint("report_mails", __name__, url_prefix="/reports/mails")

MOST = 20  # of one person
LONGEST = 2000  # characters of an address
DATES = ("period", "from", "to", "until")  # a letter is about the period that has just ended
EVERY = (report_mails.WEEK, report_mails.MONTH)


@dataclass(frozen=True)
class Shown:
    """``address``: the report, for the last period there is; ``narrowed``: to what, as its address says it."""

    mail: ReportMail
    address: str
    narrowed: str


@pages.before_request
def _only_who_leads() -> None:
    if not is_at_least(Role.manager):
        abort(403, _("Only managers get reports by mail."))


@pages.get("")
def listing() -> str:
    return _page({})


def _page(form: Mapping[str, str], error: str | None = None) -> str:
    kept = select(ReportMail).options(joinedload(ReportMail.user)).join(User)
    mine = (ReportMail.user_id == user().id,)
    with house().database.read() as db:
        wanted = kept if is_at_least(Role.admin) else kept.where(*mine)
        found = db.scalars(wanted.order_by(ReportMail.user_id != user().id, User.name, ReportMail.id)).all()
    return render_template(
        "reports_mails.html",
        shown=[Shown(each, _address(each), _narrowed(each.query)) for each in found],
        choices=[(url_for(tab.endpoint), tab.words()) for tab in report_frame.TABS],
        every=EVERY,
        form=form,
        error=error,
        no_server=report_mails.NO_SERVER,
        served=house().settings.mail is not None,
    )


def _address(kept: ReportMail) -> str:
    period = "last-week" if kept.every == report_mails.WEEK else "last-month"
    return f"{kept.query}{'&' if '?' in kept.query else '?'}period={period}"


def _narrowed(query: str) -> str:
    """What the address of a report asks for besides, in words."""
    args = parse_qs(urlsplit(query).query)
    found = []
    if args.get("by", [""])[0] in list(By):
        found.append(f"{_('Group by')}: {report_words.by(By(args['by'][0]))}")
    for name in FILTERS:
        if name in args:
            values = [_("Me") if each == "me" else report_words.key(By(name), each) for each in args[name]]
            found.append(f"{report_words.by(By(name))}: {', '.join(values)}")
    if args.get("clock") == [Clock.business]:
        found.append(report_words.clock(Clock.business))
    if args.get("start") == ["seen"]:
        found.append(f"{_('First response is counted from')}: {_('when we saw it')}")
    if args.get("imported") == ["include"]:
        found.append(_("Imported history is included."))
    return "; ".join(found)


@pages.post("")
def add() -> Response:
    """``query``: the address of a report; its days are left out."""
    every = request.form.get("every", "")
    try:
        title, query = _report(request.form.get("query", ""))
        if every not in EVERY:
            raise InvalidInput(_("Choose how often."))
        with house().database.transaction() as db:
            _add(db, title, query, every)
    except InvalidInput as error:
        return make_response(_page(request.form, str(error)), 422)
    if house().settings.mail is None:
        flash(_("Saved. No mail is sent until a mail server is named in the configuration."))
    else:
        flash(_("Saved. The first one comes when the week or month is over."))
    return redirect(url_for("report_mails.listing"), 303)


def _report(address: str) -> tuple[str, str]:
    """The name of a report and its address without days. Raises ``InvalidInput``."""
    parts = urlsplit(safe_next(address))
    title = next((tab.words() for tab in report_frame.TABS if url_for(tab.endpoint) == parts.path), None)
    if title is None:
        raise InvalidInput(_("Choose a report."))
    args = parse_qs(parts.query)
    asked = {name: args[name] for name in report_frame.NAMED if name in args and name not in DATES}
    if any(who not in ("me", NONE) for who in asked.get("assignee", [])):
        raise InvalidInput(_("A report about single persons is not sent by mail. Take the filter for them away."))
    query = f"{parts.path}?{urlencode(asked, doseq=True)}" if asked else parts.path
    if len(query) > LONGEST:
        raise InvalidInput(_("It is narrowed to too much: choose fewer."))
    return title, query


def _add(db: Session, title: str, query: str, every: str) -> None:
    mine = select(func.count()).select_from(ReportMail).where(ReportMail.user_id == user().id)
    if (db.scalar(mine) or 0) >= MOST:
        raise InvalidInput(_("You have %(n)s already. Stop one first.", n=number(MOST)))
    made = report_mails.subscribe(db, user(), title=title, query=query, every=every, at=now())
    if made is not None:
        _record(db, "add", made, {"query": [None, query], "every": [None, every]})


def _record(db: Session, action: str, kept: ReportMail, changes: Mapping[str, list[str | None]]) -> None:
    subject = f"report:{kept.title}"
    audit.record(db, actor=user().email, action=action, subject=subject, changes=changes, at=now())


# -- stopping it ------------------------------------------------------------------------------------------------------


def _kept(db: Session, mail_id: int) -> ReportMail | None:
    """Mine; an administrator's are all."""
    found = db.get(ReportMail, mail_id) if mail_id < 2**63 else None
    return found if found is not None and (found.user_id == user().id or is_at_least(Role.admin)) else None


@pages.get("/<int:mail_id>/stop")
def asking(mail_id: int) -> str:
    """Where the link in a letter leads. Opening it changes nothing yet: mail programs open links by themselves."""
    with house().database.read() as db:
        kept = _kept(db, mail_id)
        whose = db.get_one(User, kept.user_id) if kept is not None else None
    return render_template("reports_mail_stop.html", kept=kept, whose=whose, weekly=report_mails.WEEK)


@pages.post("/<int:mail_id>/stop")
def stop(mail_id: int) -> Response:
    with house().database.transaction() as db:
        kept = _kept(db, mail_id)
        if kept is not None:
            of = db.get_one(User, kept.user_id).email
            _record(db, "remove", kept, {"query": [kept.query, None], "every": [f"{kept.every}, {of}", None]})
            db.delete(kept)
    flash(_("It is not sent any more."))
    return redirect(url_for("report_mails.listing"), 303)
