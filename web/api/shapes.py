"""What the API answers, as types, and how rows become them. The OpenAPI document is made from these types.

Times are RFC 3339 in UTC, persons are e-mail addresses, a case is its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NotRequired, cast

from typing_extensions import TypedDict  # pydantic reads the one in typing only from Python 3.12 on

from events import Day, EventShape, Instant, event_shape, maybe, rfc3339
from models import (
    Author,
    Case,
    CaseEvent,
    CaseStatus,
    Kind,
    Lesson,
    Mention,
    Noise,
    Note,
    Priority,
    Reply,
    ReplyOrigin,
    ReplyStatus,
    Sentiment,
    SharedAnswer,
    Story,
    Then,
    Urgency,
    User,
)
from replies.shared import Progress
from reports.figures import By, Clock
from triage.stories import Timeline
from web.queries import Entry
from web.story_facts import Glance

Breach = Literal["first_response", "next_response", "resolution"]


class AuthorShape(TypedDict):
    """Who wrote a mention on the network."""

    name: str
    handle: str | None
    url: str | None


class PersonShape(TypedDict):
    """One of us. No e-mail: an answer written in the network's own app, by somebody the network names or not."""

    name: str | None
    email: str | None


class StoryShape(TypedDict):
    id: int
    title: str
    size: int


class StageShape(TypedDict):
    """Where a story was told: ``article``, ``comment``, ``press`` or ``social``, since when, and how often."""

    name: str
    at: Instant
    mentions: int


class HourShape(TypedDict):
    at: Instant
    mentions: int


class AlarmShape(TypedDict):
    """So many mentions by so many authors within an hour; `usual`: mentions of any kind then; `size`: of the story."""

    mentions: int
    authors: int
    usual: float
    size: int
    since: Instant


class WholeStoryShape(StoryShape):
    """`alarm`: the figures behind it. `unanswered`: cases where somebody waits for an answer."""

    authors: int
    reach: int
    opened_at: Instant
    last_at: Instant
    alarmed_at: Instant | None
    alarm: AlarmShape | None
    channels: list[str]
    languages: list[str]
    cases: int
    unanswered: int
    mentions_last_hour: int
    mentions_usual: float
    url: str


class StoryWithTimelineShape(WholeStoryShape):
    """`hours`: full hours in which it was told; those without are left out."""

    began_with: int | None
    stages: list[StageShape]
    hours: list[HourShape]


class StoriesShape(TypedDict):
    stories: list[WholeStoryShape]
    next_cursor: str | None


class CaseShape(TypedDict):
    number: int
    subject: str
    status: CaseStatus
    kind: Kind | None
    sentiment: Sentiment | None
    language: str | None
    priority: Priority | None
    wants_answer: bool | None
    urgency: Urgency | None
    noise: Noise | None
    category: str | None
    channel: str
    source: str | None
    assignee: str | None
    team: str | None
    tags: list[str]
    author: AuthorShape | None
    opened_at: Instant
    seen_at: Instant
    last_activity_at: Instant
    first_response_due_at: Instant | None
    first_response_at: Instant | None
    next_response_due_at: Instant | None
    resolution_due_at: Instant | None
    next_breach_at: Instant | None
    breach_kind: Breach | None
    resolved_at: Instant | None
    follow_up_at: Instant | None
    flag: str | None
    review_wanted: bool
    mention_count: int
    reply_count: int
    spread: int
    story: StoryShape | None
    follows: int | None
    merged_into: int | None
    version: int
    url: str


class VerdictShape(TypedDict):
    """What a judge said: how sure, from 0 to 1, and the words of the text that decided, the most telling first."""

    value: str
    confidence: float
    because: list[str]


class AttachmentShape(TypedDict):
    type: str
    url: str | None
    text: str | None
    author: str | None


class MentionShape(TypedDict):
    type: Literal["mention"]
    id: int
    external_id: str
    channel: str
    url: str | None
    author: AuthorShape | None
    title: str | None
    text: str
    html: str | None
    language: str | None
    judgement: dict[str, VerdictShape] | None
    published_at: Instant
    collected_at: Instant
    in_reply_to: str | None
    edited_at: Instant | None
    hidden_at: Instant | None
    deleted_at: Instant | None
    can_reply: bool
    can_reply_reason: str | None
    can_reply_privately: bool
    attachments: list[AttachmentShape]
    context: bool
    repost: bool
    ours: bool
    case: int | None


class ReplyShape(TypedDict):
    type: Literal["reply"]
    id: int
    case: int
    to_mention: int | None
    body: str
    status: ReplyStatus
    origin: ReplyOrigin
    private: bool
    external_id: str | None
    url: str | None
    author: PersonShape
    created_at: Instant
    not_before: Instant | None
    sent_at: Instant | None
    awaiting_moderation: bool
    error: str | None


class NoteShape(TypedDict):
    type: Literal["note"]
    id: int
    case: int
    body: str
    author: PersonShape
    created_at: Instant


class CaseWithEntriesShape(CaseShape):
    entries: list[MentionShape | ReplyShape | NoteShape | EventShape]


class CasesShape(TypedDict):
    cases: list[CaseShape]
    next_cursor: str | None
    total: int


class MentionsShape(TypedDict):
    mentions: list[MentionShape]
    next_cursor: str | None


class MentionTakenShape(TypedDict):
    mention: MentionShape
    case: int | None


class EventsShape(TypedDict):
    events: list[EventShape]
    next_after: int


class TimingShape(TypedDict):
    """In seconds. `within_target`: from 0 to 1, of the `with_target` that had one. `hidden`: too few of one person.

    `outside_hours`: so many took no time in opening hours, since all of it lay outside them.
    """

    n: int
    median_s: int | None
    p90_s: int | None
    mean_s: int | None
    within_target: float | None
    with_target: int | None
    outside_hours: int | None
    hidden: bool


class TimesShape(TypedDict):
    received: int
    answered: int
    still_waiting: int
    oldest_waiting_since: Instant | None
    first_response: TimingShape
    next_response: TimingShape
    resolution: TimingShape


class TimesRowShape(TimesShape):
    """`key`: a name, an e-mail address, a date (of a week its Monday, of a month its first), or `none`."""

    key: str


# "from" is a word of Python, hence this form
_AnyReportShape = TypedDict(
    "_AnyReportShape",
    {
        "report": str,
        "definitions": str,
        "clock": Clock,
        "from": Day,
        "to": Day,
        "by": By | None,
        "start": Literal["published", "seen"],
        "imported": Literal["include", "exclude"],
        "filters": dict[str, list[str]],
        "not_yet_counted": int,
    },
)


class ResponseTimesShape(_AnyReportShape):
    """`from` is the first day, `to` the one after the last. `not_yet_counted`: cases."""

    rows: list[TimesRowShape]
    total: TimesShape


class ColumnShape(TypedDict):
    """A share goes from 0 to 1, an instant is RFC 3339."""

    name: str
    unit: Literal["text", "count", "seconds", "share", "instant", "money", "flag"]


Figure = int | float | str | None


class ReportShape(_AnyReportShape):
    """In each row `key`, and a figure for each of the `columns`; null where there is none."""

    columns: list[ColumnShape]
    missing_midnights: NotRequired[list[Day]]  # of the backlog: nothing ran then, and nothing is known
    rows: list[dict[str, Figure]]
    total: dict[str, Figure]


CaseLinesShape = TypedDict(
    "CaseLinesShape",
    {
        "report": Literal["cases"],
        "definitions": str,
        "from": str,
        "to": str,
        "imported": Literal["include", "exclude"],
        "filters": dict[str, list[str]],
        "not_yet_counted": int,
        "columns": list[ColumnShape],
        "rows": list[dict[str, Figure]],
        "next_cursor": str | None,
    },
)
CaseLinesShape.__doc__ = "In each row a value for each of the `columns`; null where there is none."


class SharedAnswerShape(TypedDict):
    """One answer for all in a story. ``left_out``: reason -> how many cases; ``until``: when the last one leaves."""

    id: int
    story: int
    texts: dict[str, str]
    then: Then
    user: str
    created_at: Instant
    stopped_at: Instant | None
    total: int
    waiting: int
    sent: int
    failed: int
    uncertain: int
    undone: int
    left_out: dict[str, int]
    until: Instant | None


class LessonShape(TypedDict):
    """What somebody taught a judge by correcting it; it counts until it is taken back."""

    id: int
    judge: str
    was: str | None
    value: str
    mention: int
    case: int | None
    text: str
    user: str | None
    at: Instant
    withdrawn_at: Instant | None


class LessonsShape(TypedDict):
    lessons: list[LessonShape]
    next_cursor: str | None


class ErrorDetail(TypedDict):
    code: str
    message: str
    fields: NotRequired[dict[str, str]]


class ErrorShape(TypedDict):
    error: ErrorDetail


Clean = Callable[[str], str]  # the sanitiser for HTML


def case_shape(case: Case, base_url: str) -> CaseShape:
    return {
        "number": case.id,
        "subject": case.subject,
        "status": CaseStatus(case.status),
        "kind": Kind(case.kind) if case.kind else None,
        "sentiment": Sentiment(case.sentiment) if case.sentiment else None,
        "language": case.language,
        "priority": Priority(case.priority) if case.priority else None,
        "wants_answer": case.wants_answer,
        "urgency": Urgency(case.urgency) if case.urgency else None,
        "noise": Noise(case.noise) if case.noise else None,
        "category": case.category,
        "channel": case.channel,
        "source": case.source.name if case.source else None,
        "assignee": case.assignee.email if case.assignee else None,
        "team": case.team.name if case.team else None,
        "tags": [tag.tag for tag in case.tags],
        "author": author_shape(case.author),
        "opened_at": rfc3339(case.opened_at),
        "seen_at": rfc3339(case.seen_at),
        "last_activity_at": rfc3339(case.last_activity_at),
        "first_response_due_at": maybe(case.first_response_due_at),
        "first_response_at": maybe(case.first_response_at),
        "next_response_due_at": maybe(case.next_response_due_at),
        "resolution_due_at": maybe(case.resolution_due_at),
        "next_breach_at": maybe(case.next_breach_at),
        "breach_kind": cast(Breach | None, case.breach_kind),
        "resolved_at": maybe(case.resolved_at),
        "follow_up_at": maybe(case.follow_up_at),
        "flag": case.flag,
        "review_wanted": case.review_wanted,
        "mention_count": case.mention_count,
        "reply_count": case.reply_count,
        "spread": case.spread,
        "story": story_shape(case.story),
        "follows": case.follows_id,
        "merged_into": case.merged_into_id,
        "version": case.version,
        "url": f"{base_url.rstrip('/')}/cases/{case.id}",
    }


def case_with_entries(case: Case, entries: Sequence[Entry], base_url: str, clean: Clean) -> CaseWithEntriesShape:
    return {**case_shape(case, base_url), "entries": [_entry_shape(entry, clean) for entry in entries]}


def mention_shape(mention: Mention, clean: Clean, *, context: bool = False) -> MentionShape:
    return {
        "type": "mention",
        "id": mention.id,
        "external_id": mention.external_id,
        "channel": mention.channel,
        "url": mention.url,
        "author": author_shape(mention.author),
        "title": mention.title,
        "text": mention.text,
        "html": None if mention.html is None else clean(mention.html),
        "language": mention.language,
        "judgement": mention.judgement
        and {
            judge: {"value": value, "confidence": confidence, "because": because}
            for judge, (value, confidence, because) in mention.judgement.items()
        },
        "published_at": rfc3339(mention.published_at),
        "collected_at": rfc3339(mention.collected_at),
        "in_reply_to": mention.in_reply_to,
        "edited_at": maybe(mention.edited_at),
        "hidden_at": maybe(mention.hidden_at),
        "deleted_at": maybe(mention.deleted_at),
        "can_reply": mention.can_reply,
        "can_reply_reason": mention.can_reply_reason,
        "can_reply_privately": mention.can_reply_privately,
        "attachments": [
            {"type": one["type"], "url": one.get("url"), "text": one.get("text"), "author": one.get("author")}
            for one in mention.attachments
        ],
        "context": context or mention.context,
        "repost": mention.repost,
        "ours": mention.ours,
        "case": mention.case_id,
    }


def reply_shape(reply: Reply) -> ReplyShape:
    return {
        "type": "reply",
        "id": reply.id,
        "case": reply.case_id,
        "to_mention": reply.to_mention_id,
        "body": reply.body,
        "status": ReplyStatus(reply.status),
        "origin": ReplyOrigin(reply.origin),
        "private": reply.private,
        "external_id": reply.external_id,
        "url": reply.url,
        "author": _person_shape(reply.user, reply.author_name),
        "created_at": rfc3339(reply.created_at),
        "not_before": maybe(reply.not_before),
        "sent_at": maybe(reply.sent_at),
        "awaiting_moderation": reply.awaiting_moderation,
        "error": reply.error,
    }


def note_shape(note: Note) -> NoteShape:
    return {
        "type": "note",
        "id": note.id,
        "case": note.case_id,
        "body": note.body,
        "author": _person_shape(note.user, None),
        "created_at": rfc3339(note.created_at),
    }


def shared_answer_shape(answer: SharedAnswer, user: User, done: Progress) -> SharedAnswerShape:
    return {
        "id": answer.id,
        "story": answer.story_id,
        "texts": answer.texts,
        "then": Then(answer.then),
        "user": user.email,
        "created_at": rfc3339(answer.created_at),
        "stopped_at": maybe(answer.stopped_at),
        "total": done.total,
        "waiting": done.waiting,
        "sent": done.sent,
        "failed": done.failed,
        "uncertain": done.uncertain,
        "undone": done.undone,
        "left_out": dict(done.skipped),
        "until": maybe(done.until),
    }


def lesson_shape(lesson: Lesson) -> LessonShape:
    return {
        "id": lesson.id,
        "judge": lesson.judge,
        "was": lesson.was,
        "value": lesson.value,
        "mention": lesson.mention_id,
        "case": lesson.mention.case_id,
        "text": lesson.mention.text,
        "user": lesson.user.email if lesson.user else None,
        "at": rfc3339(lesson.at),
        "withdrawn_at": maybe(lesson.withdrawn_at),
    }


def whole_story_shape(glance: Glance, base_url: str) -> WholeStoryShape:
    story = glance.story
    return {
        "id": story.id,
        "title": story.title,
        "size": story.size,
        "authors": story.authors,
        "reach": story.reach,
        "opened_at": rfc3339(story.opened_at),
        "last_at": rfc3339(story.last_at),
        "alarmed_at": maybe(story.alarmed_at),
        "alarm": AlarmShape(**story.alarm) if story.alarm else None,  # type: ignore[typeddict-item]
        "channels": glance.channels,
        "languages": glance.languages,
        "cases": glance.cases,
        "unanswered": glance.unanswered,
        "mentions_last_hour": glance.growth.mentions,
        "mentions_usual": round(glance.growth.usual, 1),
        "url": f"{base_url.rstrip('/')}/stories/{story.id}",
    }


def story_with_timeline(glance: Glance, line: Timeline | None, base_url: str) -> StoryWithTimelineShape:
    stages = line.stages if line else ()
    hours = line.hours if line else ()
    return {
        **whole_story_shape(glance, base_url),
        "began_with": line.first if line else None,
        "stages": [{"name": each.name, "at": rfc3339(each.at), "mentions": each.mentions} for each in stages],
        "hours": [{"at": rfc3339(at), "mentions": n} for at, n in hours],
    }


def story_shape(story: Story | None) -> StoryShape | None:
    return {"id": story.id, "title": story.title, "size": story.size} if story else None


def author_shape(author: Author | None) -> AuthorShape | None:
    return {"name": author.name, "handle": author.handle, "url": author.url} if author else None


def _person_shape(user: User | None, name: str | None) -> PersonShape:
    return {"name": user.name, "email": user.email} if user else {"name": name, "email": None}


def _entry_shape(entry: Entry, clean: Clean) -> MentionShape | ReplyShape | NoteShape | EventShape:
    match entry.item:
        case Mention():
            return mention_shape(entry.item, clean, context=entry.context)
        case Reply():
            return reply_shape(entry.item)
        case Note():
            return note_shape(entry.item)
        case CaseEvent():
            return event_shape(entry.item)
