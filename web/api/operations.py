"""Every operation of ``/api/v1``: its address, what it takes, what it may answer, and the few lines that do it.

The table ``OPERATIONS`` is the only list of them: the routes and the OpenAPI document are both made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

import audit
import channels
from collectors.base import AuthorData, Batch, MentionData
from errors import InvalidInput, NotFoundError
from events import event_shape
from house import House
from models import CaseStatus, Mention, Reply, Role, SharedAnswer, Story, Team, User
from replies import hiding, outbox, shared
from reports import export, rows, tables
from reports.figures import Asked
from triage import answering, cases, intake, merging, policy, samples, school, storyteller
from web import access, queries, safe_html, story_facts
from web.api import bodies, shapes
from web.downloads import download
from web.operators import Asker

CHANNEL = "api"  # the channel without a network, that POST /mentions writes to
CLOCK_SKEW = timedelta(minutes=5)  # how far ahead another system's clock may be
CLASSIFIED = (
    "kind", "priority", "sentiment", "language", "wants_answer", "urgency", "noise", "category", "tags",
)  # fmt: skip
MAY_LACK = ("urgency", "noise", "category")
ASLEEP = (CaseStatus.closed, CaseStatus.ignored)
JSON = "application/json"
FILES = {export.CSV: "csv", export.XLSX: "xlsx"}
CAUGHT_UP = 1000  # cases measured before a report is given; of more it says how many there are


@dataclass(frozen=True)
class Call:
    """One request: who asks, when, and what, already checked. ``accepts``: JSON, or one of ``Operation.files``."""

    house: House
    db: Session
    user: User
    at: datetime
    query: Any
    body: Any
    accepts: str = JSON

    @property
    def base_url(self) -> str:
        return str(self.house.settings.base_url)


@dataclass(frozen=True)
class Operation:
    """``answers``: status -> type of the JSON (None: no body). ``errors``: what not every operation may answer.

    ``files``: media types it gives too, to who accepts one of them rather than JSON.
    """

    method: str
    path: str
    summary: str
    run: Callable[..., tuple[Any, int]]
    answers: Mapping[int, Any]
    query: type[bodies.Asked] | None = None
    body: type[bodies.Asked] | None = None
    errors: tuple[int, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def of_a_case(self) -> bool:
        return self.path.startswith("/cases/<int:number>")

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status it may answer with, errors included."""
        errors = {400, 401, 405, 429, 500, 503, *self.errors}
        if self.query or self.body:
            errors.add(422)
        if self.body:
            errors |= {413, 415}
        if self.writes:
            errors.add(403)
        return (*self.answers, *sorted(errors))


OPERATIONS: list[Operation] = []

Run = Callable[..., tuple[Any, int]]


def _operation(method: str, path: str, summary: str, **more: Any) -> Callable[[Run], Run]:
    def declare(run: Run) -> Run:
        OPERATIONS.append(Operation(method, path, summary, run, **more))
        return run

    return declare


# -- cases ----------------------------------------------------------------------------------------------------------


@_operation("GET", "/cases", "Cases, a page at a time", query=bodies.CasesQuery, answers={200: shapes.CasesShape})
def list_cases(call: Call) -> tuple[shapes.CasesShape, int]:
    asked: bodies.CasesQuery = call.query
    wanted = queries.CaseFilter(
        status=asked.status,
        channel=asked.channel,
        kind=asked.kind,
        sentiment=asked.sentiment,
        language=asked.language,
        urgency=asked.urgency,
        noise=asked.noise,
        category=asked.category,
        wants_answer=asked.wants_answer,
        tag=asked.tag,
        team=asked.team,
        story=asked.story,
        source=asked.source,
        assignee=call.user.email if asked.assignee == "me" else asked.assignee,
        q=asked.q,
        asker=_asker(call),
    )
    page = queries.find_cases(call.db, wanted, sort=asked.sort, limit=asked.limit, cursor=asked.cursor)
    listed = [shapes.case_shape(case, call.base_url) for case in page.cases]
    return {"cases": listed, "next_cursor": page.next_cursor, "total": page.total}, 200


@_operation(
    "GET",
    "/cases/<int:number>",
    "A case with everything in it, in time order",
    answers={200: shapes.CaseWithEntriesShape},
    errors=(404,),
)
def get_case(call: Call, number: int) -> tuple[shapes.CaseWithEntriesShape, int]:
    case = queries.get_case(call.db, number)
    return shapes.case_with_entries(case, queries.entries(call.db, case), call.base_url, _clean), 200


@_operation(
    "PATCH",
    "/cases/<int:number>",
    "Change a case: everything named, or nothing",
    body=bodies.CaseChange,
    answers={200: shapes.CaseShape},
    errors=(404, 409),
)
def change_case(call: Call, number: int) -> tuple[shapes.CaseShape, int]:
    asked: bodies.CaseChange = call.body
    given = asked.model_fields_set
    status = queries.get_case(call.db, number).status
    cases.check_version(call.db, number, asked.version)
    who: dict[str, Any] = {"actor": call.user.email, "at": call.at}
    wake_first = status in ASLEEP  # a case that is asleep can be given to nobody before it is reopened
    if "status" in given and wake_first:
        cases.change_status(call.db, number, target=asked.status, **who)
    if "assignee" in given:
        cases.assign(call.db, number, assignee=_user(call.db, asked.assignee), **who)
    if "team" in given:
        cases.assign_team(call.db, number, team=_team(call.db, asked.team), **who)
    judged = {field: getattr(asked, field) for field in CLASSIFIED if field in given}
    if judged:
        if asked.category is not None:
            _category(call.db, asked.category)
        judged |= {field: "none" for field in MAY_LACK if field in given and judged[field] is None}
        cases.classify(call.db, number, **judged, **who)
    if "follow_up_at" in given:
        cases.snooze(call.db, number, until=asked.follow_up_at, **who)
    if "status" in given and not wake_first:
        cases.change_status(call.db, number, target=asked.status, **who)
    return _case(call, number), 200


@_operation(
    "POST",
    "/cases/<int:number>/replies",
    "Answer; it leaves when the time to undo it is over",
    body=bodies.NewReply,
    answers={202: shapes.ReplyShape},
    errors=(404, 409),
)
def create_reply(call: Call, number: int) -> tuple[shapes.ReplyShape, int]:
    asked: bodies.NewReply = call.body
    queries.get_case(call.db, number)
    reply = outbox.submit(
        call.db,
        call.house,
        number,
        body=asked.body,
        user=call.user,
        at=call.at,
        to_mention_id=asked.to_mention,
        then=asked.then,
        private=asked.private,
        # a key is good within the case and for the person, so that two systems cannot hit upon the same
        idempotency_key=f"{call.user.id}/{number}/{asked.idempotency_key}",
        version=asked.version,
    )
    return _reply(call, reply.id), 202


@_operation(
    "DELETE",
    "/replies/<int:reply_id>",
    "Undo a reply that is still held or waits for approval",
    answers={204: None},
    errors=(404, 409),
)
def cancel_reply(call: Call, reply_id: int) -> tuple[None, int]:
    _known(reply_id, "reply")
    answering.cancel_reply(call.db, reply_id, actor=call.user.email, at=call.at)
    return None, 204


@_operation(
    "POST",
    "/replies/<int:reply_id>/approve",
    "As a second pair of eyes, let a reply go; it leaves when the time to undo it is over",
    body=bodies.Approval,
    answers={202: shapes.ReplyShape},
    errors=(404, 409),
)
def approve_reply(call: Call, reply_id: int) -> tuple[shapes.ReplyShape, int]:
    _known(reply_id, "reply")
    outbox.approve(call.db, call.house, reply_id, user=call.user, at=call.at, version=call.body.version)
    return _reply(call, reply_id), 202


@_operation(
    "POST",
    "/replies/<int:reply_id>/return",
    "As a second pair of eyes, give a reply back to its writer, with a note that says why",
    body=bodies.Return,
    answers={200: shapes.ReplyShape},
    errors=(404, 409),
)
def return_reply(call: Call, reply_id: int) -> tuple[shapes.ReplyShape, int]:
    _known(reply_id, "reply")
    answering.return_reply(call.db, reply_id, comment=call.body.comment, user=call.user, at=call.at)
    return _reply(call, reply_id), 200


@_operation(
    "POST",
    "/cases/<int:number>/notes",
    "Write a remark among colleagues",
    body=bodies.NewNote,
    answers={201: shapes.NoteShape},
    errors=(404, 409),
)
def create_note(call: Call, number: int) -> tuple[shapes.NoteShape, int]:
    _known(number, "case")
    note = cases.note(call.db, number, body=call.body.body, user=call.user, at=call.at)
    call.db.refresh(note, ["user"])
    return shapes.note_shape(note), 201


@_operation(
    "POST",
    "/cases/<int:number>/merge",
    "Merge this case into another one; answers with this one, closed",
    body=bodies.Merge,
    answers={200: shapes.CaseShape},
    errors=(404, 409),
)
def merge_case(call: Call, number: int) -> tuple[shapes.CaseShape, int]:
    _known(number, "case")
    merging.merge(call.db, number, into=call.body.into, actor=call.user.email, at=call.at)
    return _case(call, number), 200


@_operation(
    "POST",
    "/cases/<int:number>/split",
    "Take a mention, and what stands under it, out into a case of its own; answers with the new one",
    body=bodies.Split,
    answers={201: shapes.CaseShape},
    errors=(404, 409),
)
def split_case(call: Call, number: int) -> tuple[shapes.CaseShape, int]:
    _known(number, "case")
    opened = merging.split(call.db, number, mention_id=call.body.mention, actor=call.user.email, at=call.at)
    return _case(call, opened.id), 201


@_operation(
    "POST",
    "/cases/<int:number>/answered-elsewhere",
    "Say that it was answered on the network itself",
    body=bodies.AnsweredElsewhere,
    answers={202: shapes.ReplyShape},
    errors=(404, 409),
)
def answered_elsewhere(call: Call, number: int) -> tuple[shapes.ReplyShape, int]:
    asked: bodies.AnsweredElsewhere = call.body
    queries.get_case(call.db, number)
    mention = call.db.get(Mention, asked.to_mention)
    if mention is None or mention.case_id != number:
        raise InvalidInput(
            "There is no such mention in this case.", {"to_mention": "give the id of one of its mentions"}
        )
    reply = answering.answered_elsewhere(
        call.db,
        number,
        to_mention_id=asked.to_mention,
        url=asked.url,
        replied_at=asked.at or call.at,
        user=call.user,
        at=call.at,
    )
    return _reply(call, reply.id), 202


def _asker(call: Call) -> Asker:
    return Asker(call.user, call.at, call.house.settings.organisation.zone)


# -- mentions and events --------------------------------------------------------------------------------------------


@_operation(
    "GET",
    "/mentions",
    "Mentions, the one collected last first, a page at a time",
    query=bodies.MentionsQuery,
    answers={200: shapes.MentionsShape},
)
def list_mentions(call: Call) -> tuple[shapes.MentionsShape, int]:
    asked: bodies.MentionsQuery = call.query
    wanted = queries.MentionFilter(
        channel=asked.channel,
        source=asked.source,
        case=asked.case,
        external_id=asked.external_id,
        q=asked.q,
        asker=_asker(call),
    )
    page = queries.find_mentions(call.db, wanted, limit=asked.limit, cursor=asked.cursor)
    listed = [shapes.mention_shape(mention, _clean) for mention in page.mentions]
    return {"mentions": listed, "next_cursor": page.next_cursor}, 200


@_operation(
    "POST",
    "/mentions",
    "Hand in a mention from a form, a shop or another system; 200 when it is known already",
    body=bodies.NewMention,
    answers={201: shapes.MentionTakenShape, 200: shapes.MentionTakenShape},
)
def create_mention(call: Call) -> tuple[shapes.MentionTakenShape, int]:
    asked: bodies.NewMention = call.body
    published_at = asked.published_at or call.at
    if published_at > call.at + CLOCK_SKEW:
        raise InvalidInput("A mention cannot come from the future.", {"published_at": "must not be later than now"})
    new = _handed_in(call.db, asked.external_id) is None
    if new:
        author = asked.author
        data = MentionData(
            external_id=asked.external_id,
            author=AuthorData(
                # without a handle or an address nobody can tell two people of the same name apart
                external_id=author.handle or author.url or f"{author.name} ({asked.external_id})",
                name=author.name,
                handle=author.handle,
                url=author.url,
            ),
            text=asked.text,
            published_at=min(published_at, call.at),
            url=asked.url,
            in_reply_to=asked.in_reply_to,
            can_reply_reason="no_network",
            raw=asked.model_dump(mode="json", exclude_unset=True),
        )
        taken = intake.take(
            call.db, Batch((data,), cursor={}), channel=CHANNEL, account_id=None, source_id=None, at=call.at
        )
        new = taken.new > 0  # another process may have been first
    mention = _handed_in(call.db, asked.external_id)
    if mention is None:
        raise NotFoundError("The mention was set aside and not stored.")
    shape = shapes.mention_shape(mention, _clean)
    return {"mention": shape, "case": shape["case"]}, 201 if new else 200


@_operation(
    "POST",
    "/mentions/<int:mention_id>/hide",
    "Have a message of somebody else hidden on its network, where the network lets us; the events say when it is",
    body=bodies.Hide,
    answers={202: shapes.MentionShape},
    errors=(404, 409),
)
def hide_mention(call: Call, mention_id: int) -> tuple[shapes.MentionShape, int]:
    return _hide(call, mention_id, hide=True, reason=call.body.reason), 202


@_operation(
    "POST",
    "/mentions/<int:mention_id>/show",
    "Have a hidden message shown again on its network",
    answers={202: shapes.MentionShape},
    errors=(404, 409),
)
def show_mention(call: Call, mention_id: int) -> tuple[shapes.MentionShape, int]:
    return _hide(call, mention_id, hide=False), 202


def _hide(call: Call, mention_id: int, *, hide: bool, reason: str | None = None) -> shapes.MentionShape:
    _known(mention_id, "mention")
    access.check_seen(Mention, mention_id)  # the answer holds the message, even where nothing is written
    hiding.submit(call.db, mention_id, hide=hide, reason=reason, user=call.user, at=call.at)
    return shapes.mention_shape(call.db.get_one(Mention, mention_id), _clean)


@_operation(
    "GET",
    "/stories",
    "Stories, the one told last first, a page at a time",
    query=bodies.StoriesQuery,
    answers={200: shapes.StoriesShape},
)
def list_stories(call: Call) -> tuple[shapes.StoriesShape, int]:
    asked: bodies.StoriesQuery = call.query
    found, next_cursor = queries.find_stories(
        call.db, alarmed=asked.alarmed, active_since=asked.active_since, limit=asked.limit, cursor=asked.cursor
    )
    glances = story_facts.glances(call.db, found, call.at)
    return {
        "stories": [shapes.whole_story_shape(glance, call.base_url) for glance in glances],
        "next_cursor": next_cursor,
    }, 200


@_operation(
    "GET",
    "/stories/<int:number>",
    "A story and how it went; one that was made part of another gives that",
    answers={200: shapes.StoryWithTimelineShape},
    errors=(404,),
)
def get_story(call: Call, number: int) -> tuple[shapes.StoryWithTimelineShape, int]:
    _known(number, "story")
    story = storyteller.get(call.db, number)
    (glance,) = story_facts.glances(call.db, [story], call.at)
    told = story_facts.told(call.db, story)
    return shapes.story_with_timeline(glance, told.timeline if told else None, call.base_url), 200


@_operation(
    "GET",
    "/events",
    "What has happened since, for other systems: oldest first, go on with next_after",
    query=bodies.EventsQuery,
    answers={200: shapes.EventsShape},
)
def list_events(call: Call) -> tuple[shapes.EventsShape, int]:
    asked: bodies.EventsQuery = call.query
    events = queries.events_after(call.db, asked.after, limit=asked.limit)
    listed = [event_shape(event) for event in events]
    return {"events": listed, "next_after": events[-1].id if events else asked.after}, 200


# -- reports --------------------------------------------------------------------------------------------------------


def _report_operation(name: str, summary: str, shape: Any) -> None:
    def run(call: Call) -> tuple[Any, int]:
        return _report(call, name), 200

    run.__name__ = f"report_{name.replace('-', '_')}"
    more: dict[str, Any] = {"query": bodies.ReportQuery, "answers": {200: shape}, "errors": (403,)}
    more["files"] = tuple(FILES)
    _operation("GET", f"/reports/{name}", summary, **more)(run)


_report_operation(
    "response-times", "Times to the first and the next response and to the end", shapes.ResponseTimesShape
)
for _name, _summary in (
    ("overview", "What came in, what was done, and how long it took: the numbers of the overview"),
    ("volume", "What came in, what was ignored, how it was answered"),
    ("team", "Answers, closings and time spent"),
    ("sla", "Targets met and missed"),
    ("resolution", "Closing, reopening, and the time in which it was our turn"),
    ("backlog", "What was unfinished at midnight"),
    ("promises", "Promises kept and broken"),
    ("stories", "Stories, how far they reached, and whether we or the press were first: a row for each"),
    ("value", "Whether it was worth it: a row for each text used again, and the calls that were not needed"),
):
    _report_operation(_name, _summary, shapes.ReportShape)


def _asked(call: Call) -> Asked:
    """What a report is asked for; what has just happened is measured."""
    asked: Asked = call.query.asked(call.user.email)
    if not _leads(call) and set(asked.assignee) - {call.user.email}:
        raise Forbidden("The figures of other people are for managers and administrators.")
    samples.catch_up(call.house.database, most=CAUGHT_UP)
    tables.check_names(call.db, asked, channels.CHANNELS)
    return asked


def _leads(call: Call) -> bool:
    return call.user.role in (Role.manager, Role.admin)


def _report(call: Call, name: str) -> Any:
    table = tables.build(call.db, name, _asked(call), call.at)
    if not _leads(call):
        table = replace(table, report=tables.own_lines(table.report, call.user.email))
    sheet = export.Sheet(name, table, policy.read(call.db).zone, tables.uncounted(call.db, name, queries.MAX_NUMBER))
    if call.accepts == JSON:
        return export.as_json(sheet)
    sheet = replace(sheet, other=tables.by_other_clock(call.db, table))
    return _file(call, name, sheet.asked, export.fields(sheet), export.lines(sheet), sheet.waiting)


@_operation(
    "GET",
    "/reports/cases",
    "One row for each case that came in, with all its times: JSON a page at a time, a file whole",
    query=bodies.CaseLinesQuery,
    answers={200: shapes.CaseLinesShape},
    errors=(403,),
    files=tuple(FILES),
)
def report_cases(call: Call) -> tuple[Any, int]:
    asked, base_url = _asked(call), call.base_url
    only = None if _leads(call) else call.user.email
    waiting = samples.waiting(call.db, queries.MAX_NUMBER)
    if (
        FILES.get(call.accepts) == "xlsx"
        and (many := rows.count(call.db, rows.received(asked), call.at)) > rows.MOST_IN_EXCEL
    ):
        few = f"at most {rows.MOST_IN_EXCEL} while you wait. Take CSV, fewer days, or {rows.COMMAND}"
        raise InvalidInput(f"{many} cases are too many for an Excel file, {few}")
    if not call.query.cursor:
        taken = {"days": export.days(asked), "query": export.query(asked), "format": FILES.get(call.accepts, "json")}
        with call.house.database.transaction() as db:
            audit.record_export(db, actor=call.user.email, at=call.at, **taken)
    if call.accepts == JSON:
        cursor, most = call.query.cursor or "", call.query.limit
        lines, after = rows.page(call.db, asked, base_url, call.at, cursor=cursor, most=most, only=only)
        told, found = export.cases_as_json(asked, rows.FIELDS, lines, waiting)
        return {**told, "rows": list(found), "next_cursor": after}, 200
    read = rows.lines(call.house.database.read, rows.received(asked), base_url, call.at, only)
    return _file(call, export.CASES, asked, rows.FIELDS, read, waiting), 200


def _file(
    call: Call, name: str, asked: Asked, columns: Sequence[export.Field], lines: Iterator[list[Any]], waiting: int
) -> Response:
    """A report as the file that was accepted, which says what it is."""
    zone = policy.read(call.db).zone
    about = export.about(name, asked, call.at, zone, waiting)
    return download(export.file_name(name, asked), FILES[call.accepts], columns, lines, about, zone)


# -- what was taught ------------------------------------------------------------------------------------------------


@_operation(
    "GET",
    "/lessons",
    "What people taught the judges by correcting them, the newest first; for managers",
    query=bodies.LessonsQuery,
    answers={200: shapes.LessonsShape},
    errors=(403,),
)
def list_lessons(call: Call) -> tuple[shapes.LessonsShape, int]:
    _for_managers(call.user)
    lessons, next_cursor = queries.find_lessons(call.db, limit=call.query.limit, cursor=call.query.cursor)
    return {"lessons": [shapes.lesson_shape(lesson) for lesson in lessons], "next_cursor": next_cursor}, 200


@_operation(
    "DELETE",
    "/lessons/<int:lesson_id>",
    "Take a lesson back: it counts no more; for managers",
    answers={204: None},
    errors=(403, 404),
)
def withdraw_lesson(call: Call, lesson_id: int) -> tuple[None, int]:
    _for_managers(call.user)
    _known(lesson_id, "lesson")
    school.withdraw(call.db, lesson_id, at=call.at)
    audit.record(call.db, actor=call.user.email, action="remove", subject=f"lesson:{lesson_id}", at=call.at)
    return None, 204


# -- one answer for all ----------------------------------------------------------------------------------------------


@_operation(
    "POST",
    "/stories/<int:number>/answers",
    "Send one answer to the cases of a story, personal in each, at the pace the networks allow",
    body=bodies.NewSharedAnswer,
    answers={202: shapes.SharedAnswerShape},
    errors=(404,),
)
def answer_story(call: Call, number: int) -> tuple[shapes.SharedAnswerShape, int]:
    _known(number, "story")
    access.check_seen(Story, number)
    access.only_seen(call.db)
    asked: bodies.NewSharedAnswer = call.body
    answer = shared.submit(
        call.db,
        call.house,
        storyteller.get(call.db, number).id,
        texts=asked.texts,
        chosen=None if asked.cases is None else set(asked.cases),
        key=f"{call.user.id}/{number}/{asked.idempotency_key}",
        then=asked.then,
        user=call.user,
        at=call.at,
    )
    return get_shared_answer(call, answer.id)[0], 202


@_operation(
    "GET",
    "/answers/<int:answer_id>",
    "How far one answer for all has come",
    answers={200: shapes.SharedAnswerShape},
    errors=(404,),
)
def get_shared_answer(call: Call, answer_id: int) -> tuple[shapes.SharedAnswerShape, int]:
    _known(answer_id, "answer")
    answer = shared.get(call.db, answer_id)
    user = call.db.get_one(User, answer.user_id)
    return shapes.shared_answer_shape(answer, user, shared.progress(call.db, answer_id)), 200


@_operation(
    "DELETE",
    "/answers/<int:answer_id>",
    "Send no more of it: what has not left is withdrawn",
    answers={204: None},
    errors=(404,),
)
def stop_shared_answer(call: Call, answer_id: int) -> tuple[None, int]:
    _known(answer_id, "answer")
    access.check_seen(SharedAnswer, answer_id)
    shared.stop(call.db, answer_id, actor=call.user.email, at=call.at)
    return None, 204


# -- what several need ----------------------------------------------------------------------------------------------


def _case(call: Call, number: int) -> shapes.CaseShape:
    call.db.flush()
    call.db.expire_all()
    return shapes.case_shape(queries.get_case(call.db, number), call.base_url)


def _reply(call: Call, reply_id: int) -> shapes.ReplyShape:
    call.db.flush()
    call.db.expire_all()
    return shapes.reply_shape(
        call.db.scalars(select(Reply).where(Reply.id == reply_id).options(joinedload(Reply.user))).one()
    )


def _known(number: int, what: str) -> None:
    """A number no database can hold belongs to nothing."""
    if number > queries.MAX_NUMBER:
        raise NotFoundError(f"There is no {what} {number}.")


def _handed_in(db: Session, external_id: str) -> Mention | None:
    same = (Mention.channel == CHANNEL, Mention.external_id == external_id)
    return db.scalar(select(Mention).where(*same).options(joinedload(Mention.author)))


def _user(db: Session, email: str | None) -> User | None:
    if email is None:
        return None
    found = db.scalar(select(User).where(User.email == email.lower()))
    if found is None:
        raise InvalidInput(f"There is no user {email}.", {"assignee": "give the e-mail address of a user, or null"})
    return found


def _team(db: Session, name: str | None) -> Team | None:
    if name is None:
        return None
    found = db.scalar(select(Team).where(Team.name == name))
    if found is None:
        raise InvalidInput(f"There is no team {name!r}.", {"team": "give the name of a team, or null"})
    return found


def _for_managers(user: User) -> None:
    if user.role in (Role.reader, Role.agent):
        raise Forbidden("Managers and administrators only.")


def _category(db: Session, name: str) -> None:
    if name not in {category.name for category in policy.read(db).categories}:
        raise InvalidInput(f"There is no category {name!r}.", {"category": "give the name of a category, or null"})


def _clean(html: str) -> str:
    return str(safe_html.clean(html, picture=lambda url: url))
