"""What a person can do to a case, by name and value: the same for the one that is open and for many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from errors import InvalidInput
from models import Case, CaseLink, CaseStatus, CaseTag, Kind, Priority, Role, Team, User
from settings import RESERVED_WHY, clean_tag, is_reserved
from triage import cases, merging, policy, snoozing
from triage.cases import Following
from triage.snoozing import Preset
from web import labels
from web.context import now, user, zone
from web.i18n import clock, ngettext, weekday
from web.i18n import gettext as _
from web.queries import get_case

Do = Callable[[Session, int, str, User, datetime], object]
NOBODY = "none"


def do(db: Session, name: str, number: int, value: str, me: User, at: datetime) -> None:
    """Raises ``InvalidInput`` for a value that means nothing, and what ``triage.cases`` raises."""
    ACTS[name](db, number, value, me, at)


def _assign(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    whom = None if value == NOBODY else db.get_one(User, me.id) if value == "me" else _found(db, User, value)
    cases.assign(db, number, assignee=whom, actor=me.email, at=at)


def _team(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    team = None if value == NOBODY else _found(db, Team, value)
    cases.assign_team(db, number, team=team, actor=me.email, at=at)


def _status(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    cases.change_status(db, number, target=_one_of(CaseStatus, value), actor=me.email, at=at)


def _priority(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    cases.classify(db, number, priority=_one_of(Priority, value), actor=me.email, at=at)


def _kind(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    cases.classify(db, number, kind=_one_of(Kind, value), actor=me.email, at=at)


def _tag(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    tags, new = [each.tag for each in get_case(db, number).tags], value.split(",")
    if any(is_reserved(each) for each in new if clean_tag(each) not in tags):
        raise InvalidInput(labels.reserved(), {"value": RESERVED_WHY})
    cases.classify(db, number, tags=[*tags, *new], actor=me.email, at=at)


def _untag(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    gone = {clean_tag(tag) for tag in value.split(",")}
    tags = [each.tag for each in get_case(db, number).tags if each.tag not in gone]
    cases.classify(db, number, tags=tags, actor=me.email, at=at)


def _snooze(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    until = None if value == NOBODY else local_time(value)
    if until is not None and until <= at:
        raise InvalidInput(_("Choose a time that is still to come."), {"until": "a time in the future"})
    cases.snooze(db, number, until=until, actor=me.email, at=at)


def _merge(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    into = _number(value)
    if number != into and get_case(db, number).merged_into_id != into:
        merging.merge(db, number, into=get_case(db, into).id, actor=me.email, at=at)


def _link(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    other = _number(value)
    if other != number:
        merging.link(db, number, other=get_case(db, other).id, actor=me.email, at=at)


def _unlink(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    merging.link(db, number, other=get_case(db, _number(value)).id, linked=False, actor=me.email, at=at)


def _follow(db: Session, number: int, value: str, me: User, at: datetime) -> None:
    wanted = None if value == NOBODY else _one_of(Following, value)
    cases.follow(db, number, user=db.get_one(User, me.id), wanted=wanted, actor=me.email, at=at)


ACTS: Mapping[str, Do] = {
    "assign": _assign,
    "team": _team,
    "status": _status,
    "priority": _priority,
    "kind": _kind,
    "tag": _tag,
    "untag": _untag,
    "snooze": _snooze,
    "merge": _merge,
    "link": _link,
    "unlink": _unlink,
    "follow": _follow,
}


def local_time(text: str) -> datetime:
    """A ``datetime-local`` field in the organisation's time zone, or a full instant."""
    try:
        found = datetime.fromisoformat(text)
        if not 1900 < found.year < 9000:  # near either end of what a clock can say no zone can be reckoned with
            raise ValueError
    except ValueError:
        raise InvalidInput(_("That is not a date and time."), {"at": "2026-11-23T08:00"}) from None
    return found if found.tzinfo else found.replace(tzinfo=zone())


def _found(db: Session, table: type[Any], value: str) -> Any:
    found = db.get(table, _number(value))
    if found is None:
        raise InvalidInput(_("That is not there any more."), {"value": "one that exists"})
    return found


def _number(value: str) -> int:
    text = value.strip().removeprefix("#")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(_("Write the number of another case."), {"value": "the number of another case"})
    return int(text)


def _one_of(values: type[StrEnum], value: str) -> Any:
    if value not in list(values):
        raise InvalidInput(_("Choose one of what is offered."), {"value": "one of what is offered"})
    return values(value)


# -- what can be chosen from ----------------------------------------------------------------------------------------


def people(db: Session, me: User) -> list[tuple[str, str]]:
    """Me first, then nobody, then the colleagues."""
    others = select(User.id, User.name).where(User.disabled_at.is_(None), User.id != me.id, User.role != Role.reader)
    listed = [(str(each.id), each.name) for each in db.execute(others.order_by(User.name))]
    return [("me", _("Me")), (NOBODY, _("Nobody")), *listed]


def teams(db: Session) -> list[tuple[str, str]]:
    named = db.execute(select(Team.id, Team.name).order_by(Team.name))
    return [(NOBODY, _("None")), *((str(id), name) for id, name in named)]


def times(db: Session, team: Team | None, at: datetime) -> list[tuple[str, str]]:
    """When a case can come back, by the working hours of its team, with the time in words."""
    words = {
        Preset.later: _("In three working hours"),
        Preset.opening: _("When we open next"),
        Preset.tomorrow: _("The next working day"),
        Preset.next_week: _("Next week"),
    }
    offered = snoozing.presets(*policy.read(db).hours(team), at)
    return [
        (until.isoformat(), _("%(preset)s: %(time)s", preset=words[preset], time=moment(until, at)))
        for preset, until in offered.items()
    ]


def moment(until: datetime, at: datetime) -> str:
    """With the weekday, unless it is today."""
    same = until.astimezone(zone()).date() == at.astimezone(zone()).date()
    return clock(until, at) if same else weekday(until)


SUGGESTED = 12  # tags


def known_tags(db: Session, begun: str) -> list[str]:
    """The first tags in use that begin so: each asked for by the index, however many cases bear it."""
    begins = clean_tag(begun)
    found: list[str] = []
    while len(found) < SUGGESTED:
        next_one = select(func.min(CaseTag.tag)).where(CaseTag.tag > found[-1] if found else CaseTag.tag >= begins)
        tag = db.scalar(next_one)
        if tag is None or not tag.startswith(begins):
            break
        found.append(tag)
    return found


def colleagues(db: Session, me: User) -> list[dict[str, str]]:
    """Whom a note can name: how it is written, and who that is."""
    users = list(db.scalars(select(User).where(User.disabled_at.is_(None), User.id != me.id).order_by(User.name)))
    names = Counter(user.name.casefold() for user in users)
    people = [
        {"insert": user.name if names[user.name.casefold()] == 1 else user.email, "name": user.name, "more": user.email}
        for user in users
    ]
    shared = db.scalars(select(Team.name).order_by(Team.name))
    return [*people, *({"insert": team, "name": team, "more": _("Team")} for team in shared)]


def panel(db: Session, case: Case) -> dict[str, Any]:
    """What ``_work.html`` shows beside a case."""
    pairs = select(CaseLink).where(or_(CaseLink.case_id == case.id, CaseLink.other_id == case.id))
    others = [link.other_id if link.case_id == case.id else link.case_id for link in db.scalars(pairs)]
    linked = db.scalars(select(Case).where(Case.id.in_(others)).order_by(Case.id)).all() if others else []
    return {
        "times": times(db, case.team, now()),
        "following": cases.following(db, case.id, user().id),
        "links": linked,
    }


# -- in words -------------------------------------------------------------------------------------------------------


def in_words(db: Session, name: str, value: str, at: datetime) -> str:
    """What is done, as a heading: "Assign to Anna", "Status: Resolved"."""
    if name == "assign":
        if value == NOBODY:
            return _("Assign to nobody")
        return _("Assign to me") if value == "me" else _("Assign to %(name)s", name=_found(db, User, value).name)
    if name == "team":
        return _("No team") if value == NOBODY else _("Give to %(team)s", team=_found(db, Team, value).name)
    if name == "snooze":
        if value == NOBODY:
            return _("No follow-up")
        return _("Bring back %(time)s", time=moment(local_time(value), at))
    if name == "follow":
        following = {Following.follow: _("Follow"), Following.mute: _("Mute")}
        return _("Neither follow nor mute") if value == NOBODY else following[_one_of(Following, value)]
    if name in ("merge", "link"):
        number = _number(value)
        return (
            _("Merge into #%(number)s", number=number) if name == "merge" else _("Link to #%(number)s", number=number)
        )
    words: dict[str, Callable[[], str]] = {
        "status": lambda: _("Status: %(status)s", status=labels.status(_one_of(CaseStatus, value))),
        "priority": lambda: _("Priority: %(level)s", level=labels.priority(_one_of(Priority, value))),
        "kind": lambda: _("Kind: %(kind)s", kind=labels.kind(_one_of(Kind, value))),
        "tag": lambda: _("Add tags: %(tags)s", tags=value),
        "untag": lambda: _("Remove tags: %(tags)s", tags=value),
        "unlink": lambda: _("Remove the link to #%(number)s", number=_number(value)),
    }
    return words[name]()


def kept(number: int, name: str) -> str:
    """Why something was not undone, or not wholly."""
    words = {
        "merged_into": _("it has been merged on since"),
        "split": _("somebody has worked on it since"),
        "reply": _("the answer is on its way or already there"),
        "linked": _("the link has been changed since"),
        "follower": _("it has been changed since"),
    }
    what = words.get(name) or _("%(field)s has been changed since", field=labels.field(name))
    return _("#%(number)s: %(what)s", number=number, what=what)


def many(n: int) -> str:
    return ngettext("%(n)s case", "%(n)s cases", n)
