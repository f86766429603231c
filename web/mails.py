"""What stands in a mail to a colleague: no word of a citizen and no name, since mail leaves the house.

The number of a case, what happened, when an answer is due, and where to read the rest. Of a report: where it stands,
and a few numbers of the whole organisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from urllib.parse import urlencode

from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

import mail
from models import Case, Notice, User
from report_mails import WEEK, Due
from reports.figures import FEW_FOR_P90, Asked, Row, report
from settings import Settings
from triage import policy
from triage.measures import Measure
from web import i18n, labels
from web.access import visible_to
from web.i18n import gettext as _
from web.i18n import ngettext
from web.report_words import span, took

LISTED = 50  # notices in one letter; the rest is only counted
CHOICES = "/me/notifications"  # where a reader chooses what comes by mail


def still_to_tell(db: Session, user: User, found: Sequence[Notice]) -> list[Notice]:
    """Those about what the reader may still see."""
    numbers = {each.event.case_id for each in found if each.event is not None}
    seen = set(db.scalars(select(Case.id).where(Case.id.in_(numbers), *visible_to(db, user))))
    return [each for each in found if each.event is None or each.event.case_id in seen]


def of_notices(settings: Settings, user: User, told: Sequence[Notice], at: datetime) -> mail.Letter:
    """One letter for all that somebody wants to hear of by mail, the oldest first."""
    assert settings.mail is not None
    language = _language(settings, user)
    with i18n.speaking(language, settings.organisation.zone):
        base = str(settings.base_url).rstrip("/")
        items = [(_words(each), _due(each), base + address(each)) for each in told[:LISTED]]
        more = ngettext("and %(n)s more", "and %(n)s more", len(told) - LISTED) if len(told) > LISTED else None
        if len(told) == 1:
            subject = f"Gensvar: {items[0][0]}"
        else:
            subject = "Gensvar: " + ngettext("%(n)s thing for you to know", "%(n)s things for you to know", len(told))
        foot = _("What is said in the cases, and by whom, stands only in Gensvar.")
        why = _("You get this by mail as your settings say. Change them:")
        return mail.Letter(
            to=user.email,
            subject=subject,
            text=_text(items, more, f"{foot}\n{why} {base}{CHOICES}"),
            html=_html(language, items, more, foot, why, base + CHOICES),
            id=mail.message_id([each.id for each in told], settings.mail),
            unsubscribe=base + CHOICES,
        )


def _language(settings: Settings, user: User) -> str:
    return next(filter(None, map(i18n.supported, (user.language, *settings.organisation.languages))), i18n.DEFAULT)


def of_report(db: Session, settings: Settings, due: Due) -> mail.Letter:
    """The link, and what all of the organisation has had to do in that time: nothing that one person did."""
    assert settings.mail is not None
    with i18n.speaking(_language(settings, due.user), policy.read(db).zone):
        asked = Asked(due.start, due.end)
        measures = (Measure.received, Measure.first_response)
        numbers = _numbers(report(db, asked, measures).total, report(db, asked.previous(), measures).total)
        base = str(settings.base_url).rstrip("/")
        stop = f"{base}/reports/mails/{due.id}/stop"
        before = _("in brackets: the week before") if due.every == WEEK else _("in brackets: the month before")
        why = (
            _("You asked for this every week. Stop it:")
            if due.every == WEEK
            else _("You asked for this every month. Stop it:")
        )
        told = [
            f"{due.title}\n{span(due.start, due.end)}",
            "\n".join([f"{_('The whole organisation')} ({before})", *(f"* {each}" for each in numbers)]),
            f"{_('The report:')} {base}{report_address(due.query, due.start, due.end)}",
        ]
        foot = _("Figures of single persons, and what citizens have said, stand only in Gensvar.")
        return mail.Letter(
            to=due.user.email,
            subject=f"Gensvar: {due.title}, {span(due.start, due.end)}",
            text="\n\n".join([*told, f"-- \n{foot}\n{why} {stop}\n"]),
            html=None,
            id=mail.identify(f"report {due.id} of {due.start}", settings.mail),
            unsubscribe=stop,
        )


def _numbers(now: Row, before: Row) -> list[str]:
    """``FEW_FOR_P90``: a median of fewer may be one person's."""
    first, first_before = now.timing(Measure.first_response), before.timing(Measure.first_response)
    counted = [
        (_("Cases received"), now.count(Measure.received), before.count(Measure.received)),
        (_("First answers"), first.n, first_before.n),
    ]
    found = [f"{name}: {i18n.number(n)} ({i18n.number(then)})" for name, n, then in counted]
    if first.median_s is not None and first.n >= FEW_FOR_P90:
        then = first_before.median_s if first_before.n >= FEW_FOR_P90 else None
        name = _("Time to the first answer, median")
        found.append(f"{name}: {took(first.median_s)}" + (f" ({took(then)})" if then is not None else ""))
    return [*found, f"{_('Waiting for an answer now')}: {i18n.number(now.still_waiting)}"]


def report_address(query: str, start: date, end: date) -> str:
    """A report's address for these days; ``query``: without any."""
    return f"{query}{'&' if '?' in query else '?'}{urlencode({'from': start, 'to': end})}"


def address(notice: Notice) -> str:
    """Where it is to be seen, below the house's own address."""
    if notice.event is not None:
        return f"/cases/{notice.event.case_id}"
    if notice.story_id is not None:
        return f"/stories/{notice.story_id}"
    return "/?" + urlencode({"team": notice.detail.get("team", ""), "assignee": "none"})


def _words(notice: Notice) -> str:
    words = labels.notice(notice.kind, notice.detail)
    return f"#{notice.event.case_id} {words}" if notice.event is not None else words


def _due(notice: Notice) -> str | None:
    case = notice.event.case if notice.event is not None else None
    if case is None or case.next_breach_at is None:
        return None
    time = i18n.when(case.next_breach_at, "medium")
    if case.breach_kind == "resolution":
        return _("resolution due %(time)s", time=time)
    return _("answer due %(time)s", time=time)


Item = tuple[str, str | None, str]


def _text(items: Sequence[Item], more: str | None, foot: str) -> str:
    told = ["\n".join(filter(None, (words, due, where))) for words, due, where in items]
    return "\n\n".join([*told, *filter(None, [more]), f"-- \n{foot}\n"])


def _html(language: str, items: Sequence[Item], more: str | None, foot: str, why: str, choices: str) -> str:
    told = Markup("").join(
        Markup('<li><a href="{}">{}</a>{}</li>').format(where, words, Markup("<br>{}").format(due) if due else "")
        for words, due, where in items
    )
    rest = Markup("<p>{}</p>").format(more) if more else ""
    return str(
        Markup(
            '<!doctype html><html lang="{}"><head><meta charset="utf-8"><title>Gensvar</title></head>'
            '<body><ul>{}</ul>{}<p>{} {} <a href="{}">{}</a></p></body></html>'
        ).format(language, told, rest, foot, why, choices, choices)
    )
