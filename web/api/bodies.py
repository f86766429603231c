"""What the API is asked, as types: bodies and query parameters. Unknown fields are refused, so that a typo is seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from models import CaseStatus, Kind, Noise, Priority, Sentiment, Then, Urgency
from reports import figures
from triage.learning import VALUES
from web.queries import MAX_LIMIT, MAX_NUMBER, Sort
from web.safe_html import is_web

D = TypeVar("D", bound=date)


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold the character U+0000")
    return value


def _utc(value: datetime) -> datetime:
    return _of_our_time(value).astimezone(UTC)


def _of_our_time(value: D) -> D:
    if not 1970 <= value.year <= 9000:
        raise ValueError("must lie between the years 1970 and 9000")
    return value


def _web_address(value: str) -> str:
    if not is_web(value):
        raise ValueError("must be a whole address that begins with http:// or https://")
    return value


def _given(value: Any) -> Any:
    """``?status=&status=new``: what is empty was not given."""
    return [one for one in value if one != ""] if isinstance(value, list) else value


def _language(value: str) -> str:
    if value not in VALUES["language"]:
        raise ValueError(f"must be one of {', '.join(VALUES['language'])}")
    return value


def _day(value: Any) -> date:
    """Of the calendar; pydantic would take a number of seconds too."""
    try:
        given = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-11-24") else None
    except ValueError:
        given = None
    if given is None:
        raise ValueError("must be a day, as in 2026-11-24")
    return _of_our_time(given)


ABSENT: Any = None  # for fields that may be left out, and may not be null

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_storable)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=100_000, pattern=r"\S"), AfterValidator(_storable)]
Query = Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
Address = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=2000),
    AfterValidator(_storable),
    AfterValidator(_web_address),
]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
Day = Annotated[date, BeforeValidator(_day)]
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Several = Annotated[list[Line], Field(max_length=50), BeforeValidator(_given)]
Nothing = Literal["none"]
Language = Annotated[str, AfterValidator(_language)]


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# -- query parameters -----------------------------------------------------------------------------------------------


class CasesQuery(Asked):
    status: Annotated[list[CaseStatus], BeforeValidator(_given)] = []
    channel: Several = []
    kind: Annotated[list[Kind], BeforeValidator(_given)] = []
    sentiment: Annotated[list[Sentiment], BeforeValidator(_given)] = []
    language: Annotated[list[Language], BeforeValidator(_given)] = []
    urgency: Annotated[list[Urgency | Nothing], BeforeValidator(_given)] = []
    noise: Annotated[list[Noise | Nothing], BeforeValidator(_given)] = []
    category: Several = Field([], description="names, or none")
    wants_answer: bool | None = None
    tag: Several = []
    team: Several = []
    story: Number | None = None
    source: Line | None = Field(None, description="any source that found one of its mentions")
    assignee: Line | None = Field(None, description="me, none, or an e-mail address")
    q: Query | None = Field(None, description="a search: a case number, or words and operators")
    sort: Sort = Sort.newest
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Line | None = None


class StoriesQuery(Asked):
    alarmed: bool = Field(False, description="only those that grew faster than is usual")
    active_since: Instant | None = Field(None, description="only those told since")
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Line | None = None


class MentionsQuery(Asked):
    channel: Several = []
    source: Line | None = None
    case: Number | None = None
    external_id: Line | None = None
    q: Query | None = Field(None, description="a search: words and operators")
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Line | None = None


class EventsQuery(Asked):
    after: int = Field(0, ge=0, le=MAX_NUMBER, description="id of the last event already known")
    limit: int = Field(MAX_LIMIT, ge=1, le=MAX_LIMIT)


class LessonsQuery(Asked):
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Line | None = None


class PeriodQuery(Asked):
    begin: Day = Field(alias="from", description="the first day, of the organisation's time zone")
    to: Day = Field(description="the day after the last one")
    imported: Literal["include", "exclude"] = Field("exclude", description="history that was imported")
    channel: Several = []
    source: Several = Field([], description="names, or none")
    team: Several = Field([], description="names, or none")
    assignee: Several = Field([], description="me, none, or e-mail addresses; those of others are for managers")
    kind: Annotated[list[Kind | Nothing], BeforeValidator(_given)] = []
    tag: Several = []
    category: Several = Field([], description="names, or none")
    language: Annotated[list[Language | Nothing], BeforeValidator(_given)] = []

    def asked(self, me: str) -> figures.Asked:
        return figures.Asked(
            self.begin,
            self.to,
            imported=self.imported == "include",
            channel=tuple(self.channel),
            source=tuple(self.source),
            team=tuple(self.team),
            assignee=tuple(me if each == "me" else each.lower() for each in self.assignee),
            kind=tuple(self.kind),
            tag=tuple(self.tag),
            category=tuple(self.category),
            language=tuple(self.language),
        )


class ReportQuery(PeriodQuery):
    by: figures.By | None = Field(None, description="what the lines are by; without, there is the total alone")
    clock: figures.Clock = figures.Clock.calendar
    start: Literal["published", "seen"] = Field("published", description="from when the first response is measured")

    def asked(self, me: str) -> figures.Asked:
        return replace(super().asked(me), by=self.by, clock=self.clock, seen=self.start == "seen")


class CaseLinesQuery(PeriodQuery):
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Line | None = None


# -- bodies ---------------------------------------------------------------------------------------------------------


class CaseChange(Asked):
    """What is absent stays as it is; null takes away assignee, team, urgency, noise, category and follow-up."""

    version: int = Field(ge=0, le=MAX_NUMBER, description="the case's version as it was read")
    status: CaseStatus = Field(ABSENT, description="the status wanted")
    assignee: Line | None = None
    team: Line | None = None
    kind: Kind = Field(ABSENT)
    sentiment: Sentiment = Field(ABSENT)
    language: Language = Field(ABSENT)
    wants_answer: bool = Field(ABSENT)
    urgency: Urgency | None = None
    noise: Noise | None = None
    category: Line | None = None
    priority: Priority = Field(ABSENT)
    tags: list[Line] = Field(ABSENT, max_length=50, description="all of them")
    follow_up_at: Instant | None = None


class NewReply(Asked):
    body: Words
    to_mention: Number | None = Field(
        None, description="id of the mention that is answered; else the latest by somebody else that can be answered"
    )
    then: Then = Then.keep
    private: bool = False
    idempotency_key: Line = Field(description="a text of your own for this reply: the same again gives the same reply")
    version: int | None = Field(None, ge=0, le=MAX_NUMBER, description="refuse when somebody has written since")


class NewSharedAnswer(Asked):
    texts: dict[Language, Words] = Field(
        min_length=1, max_length=50, description="language -> text; {name}, {case} and {agent} are filled in"
    )
    cases: list[Number] | None = Field(None, max_length=10_000, description="which cases; else all that wait for it")
    then: Then = Then.keep
    idempotency_key: Line = Field(description="a text of your own for this answer: the same again gives the same one")


class Approval(Asked):
    version: int | None = Field(None, ge=0, le=MAX_NUMBER, description="refuse when somebody has written since")


class Return(Asked):
    comment: Words


class NewNote(Asked):
    body: Words


class Merge(Asked):
    into: Number


class Split(Asked):
    mention: Number


class AnsweredElsewhere(Asked):
    to_mention: Number
    url: Address | None = None
    at: Instant | None = Field(None, description="when it was answered there; else now")


class Hide(Asked):
    reason: Line = Field(description="why; it stays with the case")


class MentionAuthor(Asked):
    name: Line
    handle: Line | None = None
    url: Address | None = None


class NewMention(Asked):
    external_id: Line
    author: MentionAuthor
    text: Words
    url: Address | None = None
    published_at: Instant | None = None
    in_reply_to: Line | None = None
