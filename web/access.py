"""Who may see and change what, decided here for every page, list and change, so that none of them can forget it.

* Readers change nothing but what is their own (``OWN``): asked before every request.
* The cases of a team that is ``members_only`` are there for its members, managers and administrators alone. For
  others each question to the database leaves them out, with all that belongs to them: lists, counts, searches, pages,
  and authors and stories that are nowhere but in such cases.
  A change of such a case is refused when its event is written, whatever route it came by.

Only while a request is answered: what the house does by itself sees everything, unless it says with ``look_as`` for
whom it looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from flask import Flask, abort, g, has_request_context, request
from sqlalchemy import ColumnElement, and_, event, exists, or_, select
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from werkzeug.exceptions import Forbidden

from database import Database
from errors import NotFoundError
from models import (
    Author,
    Backlog,
    Base,
    Case,
    CaseEvent,
    CaseLink,
    Mention,
    Notice,
    PersonNote,
    Promise,
    Role,
    SharedAnswer,
    Story,
    Team,
    TeamMember,
    User,
)
from web.context import SAFE_METHODS, house
from web.i18n import gettext as _

# What readers may post to: their own settings and views, what they have seen, logging in and out.
OWN = ("login.", "me.", "notices.seen", "views.own")

LOOKING_AS, ONLY_SEEN = "hidden teams", "only what is seen"
# ``event.contains`` knows a target by its address in memory, which one that is gone may have had before.
_guarded: WeakSet[Database] = WeakSet()
_cases, _events, _mentions = Case.__table__.alias(), CaseEvent.__table__.alias(), Mention.__table__.alias()
_hanging = [mapper.class_ for mapper in Base.registry.mappers if "case_id" in mapper.columns]


def install(app: Flask, database: Database) -> None:
    """After the login, which says who asks."""
    app.before_request(_readers_change_nothing)
    app.before_request(_only_visible_cases)
    if database in _guarded:
        return
    event.listen(database.reading, "do_orm_execute", _leave_out_hidden)
    event.listen(database.writing, "do_orm_execute", _leave_out_if_asked)
    event.listen(database.writing, "before_flush", _refuse_hidden)
    _guarded.add(database)


# -- readers ----------------------------------------------------------------------------------------------------------


def may_write(user: User | None) -> bool:
    return user is not None and user.role != Role.reader


def _readers_change_nothing() -> None:
    user: User | None = g.get("user")
    if user is None or request.method in SAFE_METHODS or may_write(user):
        return
    if not (request.endpoint or "").startswith(OWN):
        abort(403, _("You may read everything here and change nothing. Ask an administrator if you need to."))


def refuse_readers(user: User) -> None:
    """The same for the API. Raises ``Forbidden``."""
    if not may_write(user):
        raise Forbidden("The user of this token may read and change nothing.")


# -- what only a team sees --------------------------------------------------------------------------------------------


def hidden_teams(db: Session, user: User) -> frozenset[int]:
    """The teams whose cases this user does not see; for managers and administrators none. One small query."""
    if user.role in (Role.manager, Role.admin):
        return frozenset()
    member = exists().where(TeamMember.team_id == Team.id, TeamMember.email == user.email)
    table = select(Team.id).where(Team.members_only, ~member)
    return frozenset(db.connection().execute(table).scalars())


def visible_to(db: Session, user: User) -> tuple[ColumnElement[bool], ...]:
    """Conditions on ``Case`` that leave out what this user does not see; none where everything is seen."""
    hidden = hidden_teams(db, user)
    return (_visible(hidden),) if hidden else ()


def _visible(hidden: frozenset[int]) -> ColumnElement[bool]:
    return or_(Case.team_id.is_(None), Case.team_id.not_in(hidden))


def look_as(db: Session, hidden: frozenset[int]) -> None:
    """What is read with this session is read as somebody reads it who does not see these teams."""
    db.info[LOOKING_AS] = hidden


def _hidden(db: Session) -> frozenset[int]:
    """For whoever asks in this request, read once."""
    if LOOKING_AS in db.info:
        looking: frozenset[int] = db.info[LOOKING_AS]
        return looking
    user: User | None = g.get("user") if has_request_context() else None
    if user is None:
        return frozenset()
    if g.get("hidden_from") != user.id:
        g.hidden_teams, g.hidden_from = hidden_teams(db, user), user.id
    hidden: frozenset[int] = g.hidden_teams
    return hidden


def _leave_out_hidden(asked: ORMExecuteState) -> None:
    if asked.is_select and not asked.is_column_load and (hidden := _hidden(asked.session)):
        asked.statement = asked.statement.options(*_criteria(hidden))


def only_seen(db: Session) -> None:
    """From now on this writing session reads as who asks does: for what takes its cases from a question."""
    db.info[ONLY_SEEN] = True


def _leave_out_if_asked(asked: ORMExecuteState) -> None:
    if asked.session.info.get(ONLY_SEEN):
        _leave_out_hidden(asked)


def _criteria(hidden: frozenset[int]) -> Iterable[Any]:
    yield with_loader_criteria(Case, _visible(hidden))
    yield with_loader_criteria(Backlog, or_(Backlog.team_id.is_(None), Backlog.team_id.not_in(hidden)))
    theirs = _cases.c.team_id.in_(hidden)
    for model in _hanging:
        yield with_loader_criteria(model, ~exists().where(_cases.c.id == model.case_id, theirs))
    yield with_loader_criteria(Backlog, or_(Backlog.team_id.is_(None), Backlog.team_id.not_in(hidden)))
    linked = exists().where(_cases.c.id == CaseLink.other_id, theirs)
    yield with_loader_criteria(CaseLink, ~linked)
    of_theirs = exists().where(_events.c.id == Notice.event_id, _cases.c.id == _events.c.case_id, theirs)
    told_in = or_(Notice.story_id.is_(None), _is_elsewhere(_mentions.c.story_id == Notice.story_id, hidden))
    yield with_loader_criteria(Notice, and_(~of_theirs, told_in))
    for model, same in (
        (Author, _mentions.c.author_id == Author.id),
        (PersonNote, _mentions.c.author_id == PersonNote.author_id),
        (Story, _mentions.c.story_id == Story.id),
        (SharedAnswer, _mentions.c.story_id == SharedAnswer.story_id),
    ):
        yield with_loader_criteria(model, _is_elsewhere(same, hidden))


def _is_elsewhere(same: ColumnElement[bool], hidden: frozenset[int]) -> ColumnElement[bool]:
    """Of the mentions that have this author or story one is seen, or there are none."""
    theirs = exists().where(_cases.c.id == _mentions.c.case_id, _cases.c.team_id.in_(hidden))
    return or_(exists().where(same, ~theirs), ~exists().where(same))


def _refuse_hidden(db: Session, flushing: UOWTransaction, instances: object) -> None:
    written = [each for each in db.new if isinstance(each, CaseEvent)]
    if not written or not (hidden := _hidden(db)):
        return
    names = set(db.connection().execute(select(Team.name).where(Team.id.in_(hidden))).scalars())
    for each in written:
        was_in, _now_in = each.changes.get("team") or (_team_of(db, each.case_id), None)
        if each.actor == g.user.email and was_in in names:  # giving a case to such a team is allowed
            raise NotFoundError(f"There is no case {each.case_id}.")


def _team_of(db: Session, case_id: int | None) -> str | None:
    team = select(Team.name).join(_cases, _cases.c.team_id == Team.id).where(_cases.c.id == case_id)
    return db.connection().execute(team).scalar()


def _only_visible_cases() -> None:
    """Every address with the number of a case, an author, a story, its answer or a promise, whatever is done there."""
    args = request.view_args or {}
    number = args.get("number", args.get("author_id"))
    if not isinstance(number, int) or g.user is None:
        return
    if request.path.startswith("/cases/"):
        check_visible(number)
    elif request.path.startswith("/promises/"):
        check_seen(Promise, number)
    elif request.path.startswith("/stories/answers/"):
        check_seen(SharedAnswer, number)
    elif request.path.startswith(("/people/", "/stories/")):
        check_seen(Author if "author_id" in args else Story, number)


def check_seen(model: type[Base], number: int) -> None:
    """Raises ``NotFoundError`` for a message, an author, a story or its answer that who asks does not see."""
    with house().database.read() as db:
        if _hidden(db) and (number >= 2**63 or db.get(model, number) is None):
            raise NotFoundError(f"There is no {model.__name__} {number}.")


def check_visible(number: int) -> None:
    """Raises ``NotFoundError`` for a case that who asks does not see: as if there were none."""
    with house().database.read() as db:
        hidden = _hidden(db)
        found = select(_cases.c.team_id).where(_cases.c.id == min(number, 2**63 - 1))
        if hidden and db.connection().execute(found).scalar() in hidden:
            raise NotFoundError(f"There is no case {number}.")
