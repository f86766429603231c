"""Tables, enums and constraints. No transitions (``triage.states``), no network, no web."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UTCDateTime(TypeDecorator[datetime]):
    """An instant. Only aware values go in, UTC comes out; SQLite keeps it as text without zone, which sorts right."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CaseStatus(StrEnum):
    new = "new"  # nobody has touched it
    open = "open"  # being worked on
    pending = "pending"  # waiting for the author
    resolved = "resolved"  # answered, done
    closed = "closed"  # resolved long enough ago, or merged
    ignored = "ignored"  # spam, or not about us


class Priority(StrEnum):
    low = "low"
    normal = "normal"
    high = "high"
    urgent = "urgent"


class Kind(StrEnum):
    question = "question"
    problem = "problem"
    idea = "idea"
    praise = "praise"
    other = "other"


class Sentiment(StrEnum):
    negative = "negative"
    neutral = "neutral"
    positive = "positive"


class Urgency(StrEnum):
    danger = "danger"  # to people or property
    deadline = "deadline"
    outage = "outage"
    leak = "leak"  # of personal data


class Noise(StrEnum):
    spam = "spam"
    job = "job"  # a job ad
    campaign = "campaign"
    bot = "bot"


class PromiseState(StrEnum):
    proposed = "proposed"  # found in an answer; nobody has said yes yet
    open = "open"
    kept = "kept"
    dropped = "dropped"  # it was no promise, or no longer one


class Role(StrEnum):
    reader = "reader"  # sees everything an agent sees, changes nothing
    agent = "agent"
    manager = "manager"
    admin = "admin"


class ReplyStatus(StrEnum):
    """Where a reply stands; ``replies.outbox`` moves it from held on."""

    draft = "draft"
    in_review = "in_review"
    held = "held"  # may still be undone, until not_before
    queued = "queued"  # free to be claimed at not_before
    calling = "calling"  # committed before the network call starts
    sent = "sent"  # the network returned an id, or it was found there
    failed = "failed"  # certainly not published
    uncertain = "uncertain"  # nobody knows; looked up, or a person decides
    cancelled = "cancelled"


class ReplyOrigin(StrEnum):
    gensvar = "gensvar"  # written here, sent by the outbox
    network = "network"  # written in the network's own app, collected
    elsewhere = "elsewhere"  # a person says: I answered there


class ImportState(StrEnum):
    waiting = "waiting"  # to be begun, or to go on, by the collecting side
    running = "running"
    paused = "paused"  # a rate limit, until ``resumes_at``
    done = "done"
    cancelled = "cancelled"
    failed = "failed"


class Then(StrEnum):
    """What becomes of the case when a reply is given."""

    keep = "keep"
    wait = "wait"
    resolve = "resolve"


def _among(column: str, values: type[StrEnum], *, null: bool = False) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    clause = f"{column} IN ({listed})" + (f" OR {column} IS NULL" if null else "")
    return CheckConstraint(clause, name=column)


Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UTCDateTime(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        str: Text(),
    }


# -- people ---------------------------------------------------------------------------------------------------------


class User(Base):
    """Staff. ``email`` is stored in lower case and is how a person is named in the API and in events."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str | None]
    language: Mapped[str | None]
    signature: Mapped[str | None]  # ends every answer of theirs: "/Anna"
    needs_review: Mapped[bool] = mapped_column(default=False)  # a colleague approves their answers
    preferences: Mapped[dict[str, Any]] = mapped_column(default=dict)  # as ``web.preferences`` reads them
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    __table_args__ = (_among("role", Role),)


class LoginSession(Base):
    """A browser that is logged in; the cookie holds a random token, here lies only its digest.

    ``wall``: it shows the wall display, and may see nothing else.
    """

    __tablename__ = "login_sessions"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    token_digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    wall: Mapped[bool] = mapped_column(default=False)
    user: Mapped[User] = relationship()


class LoginFailure(Base):
    __tablename__ = "login_failures"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    email: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime]
    __table_args__ = (Index(None, "email", "at"), Index(None, "address", "at"))


class ApiToken(Base):
    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    token_digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    user: Mapped[User] = relationship()


class Team(Base):
    """``declared``: stands in config.yaml and is read-only here. ``was``: the names and calendars it has had before.

    Oldest first, each with the instant ``until`` which it had them: what is measured late asks for those of then.
    """

    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    calendar: Mapped[str | None]
    routing: Mapped[str | None] = mapped_column(
        String(20)
    )  # round_robin, least_loaded; None: people take for themselves
    ceiling: Mapped[int | None]  # open cases a member may have before routing passes over them
    queue_alarm: Mapped[int | None]  # so many cases without an assignee alarm
    queue_alarmed_at: Mapped[datetime | None]  # None: the queue has been below since
    members_only: Mapped[bool] = mapped_column(default=False)  # its cases: for members, managers and administrators
    declared: Mapped[bool] = mapped_column(default=False)
    was: Mapped[list[Any]] = mapped_column(default=list)  # {"until", "name", "calendar"}
    members: Mapped[list[TeamMember]] = relationship(cascade="all, delete-orphan")


class TeamMember(Base):
    """By e-mail, since the configuration may name people before they have been added."""

    __tablename__ = "team_members"
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True)
    email: Mapped[str] = mapped_column(primary_key=True)
    last_given_at: Mapped[datetime | None]  # by routing: whose turn it is


class Absence(Base):
    """When a colleague is away: routing gives them nothing. ``ends_at`` None: until they say they are back."""

    __tablename__ = "absences"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]


class Definition(Base):
    """One version of a calendar, SLA policy, rule, category or canned reply: ``body`` is its settings model as JSON.

    Never changed: an edit retires it and adds the next, so that a figure can name what it was computed with.
    ``declared``: stands in config.yaml and is read-only here. Written only by ``triage.policy``.
    """

    __tablename__ = "definitions"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    part: Mapped[str] = mapped_column(
        String(20)
    )  # as in config.yaml: calendars, sla, rules, categories, canned_replies
    name: Mapped[str]
    position: Mapped[int]  # the order in which they are tried
    declared: Mapped[bool]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    retired_at: Mapped[datetime | None]
    __table_args__ = (
        Index("uq_definitions_part_name", "part", "name", unique=True,
              sqlite_where=text("retired_at IS NULL"), postgresql_where=text("retired_at IS NULL")),
    )  # fmt: skip


# -- accounts and sources -------------------------------------------------------------------------------------------


class Account(Base):
    """One of our logins on a network. Secrets stay in config.yaml; here is what we learnt about it."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[str] = mapped_column(String(40))
    declared: Mapped[bool] = mapped_column(default=True)  # False: no longer in config.yaml, kept for its history
    error_reason: Mapped[str | None]
    error: Mapped[str | None]
    error_at: Mapped[datetime | None]


class Source(Base):
    """Something collected regularly. ``definition`` is a ``settings.SourceSettings`` as JSON."""

    __tablename__ = "sources"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    definition: Mapped[dict[str, Any]]
    declared: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    example: Mapped[bool] = mapped_column(default=False)  # invented content: may be removed with all its cases
    created_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]  # by a person; collected no more until resumed
    cursor: Mapped[dict[str, Any] | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    due_at: Mapped[datetime | None]  # next pass; None: at once
    last_attempt_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_new: Mapped[int] = mapped_column(default=0)
    last_known: Mapped[int] = mapped_column(default=0)
    last_set_aside: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    error_reason: Mapped[str | None]
    error: Mapped[str | None]
    error_at: Mapped[datetime | None]
    languages: Mapped[dict[str, Any]] = mapped_column(default=dict)  # language -> mentions judged to be in it
    reset_at: Mapped[datetime | None]  # a rate limit's stated reset; never called before it, not even by hand
    account: Mapped[Account | None] = relationship()
    __table_args__ = (Index(None, "enabled", "due_at"),)


class SetAsideItem(Base):
    """An item that could not be understood, kept as it came."""

    __tablename__ = "set_aside_items"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))  # of the raw item, so that each is kept once
    external_id: Mapped[str | None]
    reason: Mapped[str]
    raw: Mapped[bytes] = mapped_column(LargeBinary)  # zlib
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("source_id", "digest"),)


class Import(Base):
    """History of a source from before its first pass, read in pages by ``imports``. The counts are its progress."""

    __tablename__ = "imports"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), index=True)
    since: Mapped[datetime | None]  # None: as far back as the network gives
    keep_open: Mapped[bool] = mapped_column(default=False)  # else its cases are closed at once
    state: Mapped[str] = mapped_column(String(20))
    cursor: Mapped[dict[str, Any] | None]
    read: Mapped[int] = mapped_column(default=0)
    new: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    set_aside: Mapped[int] = mapped_column(default=0)
    oldest_at: Mapped[datetime | None]  # publication of the oldest item read so far
    resumes_at: Mapped[datetime | None]
    cancel_wanted: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    source: Mapped[Source] = relationship()
    __table_args__ = (_among("state", ImportState), Index(None, "state", "resumes_at"))


class Spending(Base):
    """Money spent on a network, summed per account, source, UTC day and operation."""

    __tablename__ = "spending"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    source_id: Mapped[int | None] = mapped_column(ForeignKey("sources.id", ondelete="SET NULL"), index=True)
    day: Mapped[str] = mapped_column(String(10))
    operation: Mapped[str]
    units: Mapped[int]
    micro_usd: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (Index(None, "account_id", "day"),)


# -- what people say ------------------------------------------------------------------------------------------------


class Person(Base):
    """The same human over several authors, joined by hand."""

    __tablename__ = "people"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]
    authors: Mapped[list[Author]] = relationship(back_populates="person", order_by="Author.id")


class PersonNote(Base):
    """What colleagues should know about who writes: the author, or the person it was joined with."""

    __tablename__ = "person_notes"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    body: Mapped[str]
    created_at: Mapped[datetime]
    user: Mapped[User | None] = relationship()


class Author(Base):
    """Who wrote a mention; not a user."""

    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    channel: Mapped[str] = mapped_column(String(40))
    external_id: Mapped[str]
    name: Mapped[str]
    handle: Mapped[str | None]
    url: Mapped[str | None]
    avatar_url: Mapped[str | None]
    followers: Mapped[int | None] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime]
    languages: Mapped[dict[str, Any]] = mapped_column(default=dict)  # language -> mentions judged to be in it
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id", ondelete="SET NULL"), index=True)
    person: Mapped[Person | None] = relationship(back_populates="authors")
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        *(Index(None, equal, postgresql_using="hash") for equal in ("name", "handle", "url")),  # whose else it may be
    )


class Mention(Base):
    """One public item, unique by (channel, external_id).

    ``ours``: written by our account. ``context``: shown in the thread, not counted, no clock. ``repost``: spread.
    """

    __tablename__ = "mentions"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    channel: Mapped[str] = mapped_column(String(40))
    external_id: Mapped[str]
    case_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)  # through which it was found
    ours: Mapped[bool] = mapped_column(default=False)
    context: Mapped[bool] = mapped_column(default=False)
    repost: Mapped[bool] = mapped_column(default=False)
    title: Mapped[str | None]
    text: Mapped[str]
    html: Mapped[str | None]
    url: Mapped[str | None]
    language: Mapped[str | None] = mapped_column(String(20))
    published_at: Mapped[datetime]
    collected_at: Mapped[datetime]
    in_reply_to: Mapped[str | None]
    thread: Mapped[str | None]
    can_reply: Mapped[bool] = mapped_column(default=False)
    can_reply_reason: Mapped[str | None]
    can_reply_privately: Mapped[bool] = mapped_column(default=False)
    reply_address: Mapped[dict[str, Any]] = mapped_column(default=dict)
    attachments: Mapped[list[Any]] = mapped_column(default=list)
    edited_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    imported: Mapped[bool] = mapped_column(default=False)
    judgement: Mapped[dict[str, Any] | None]  # judge -> [value, confidence, [the words that decided]]
    story_id: Mapped[int | None] = mapped_column(ForeignKey("stories.id"))
    author: Mapped[Author | None] = relationship()
    case: Mapped[Case | None] = relationship(foreign_keys=[case_id])
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        Index(None, "channel", "in_reply_to"),
        Index(None, "channel", "thread"),
        Index(None, "case_id", "published_at"),
        Index(None, "collected_at"),
        Index(None, "story_id", "published_at"),
    )


# What counts as somebody's word to us: in ``mention_count``, for the clocks, the judges and the reports.
CONCERNS_US = and_(~Mention.ours, ~Mention.context, ~Mention.repost)


class MentionAlias(Base):
    """Another id under which the network knows the same item (X gives a new one at each edit)."""

    __tablename__ = "mention_aliases"
    channel: Mapped[str] = mapped_column(String(40), primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), index=True)


class MentionVersion(Base):
    """What a mention said before it was edited at the source, as far as we saw it."""

    __tablename__ = "mention_versions"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), index=True)
    title: Mapped[str | None]
    text: Mapped[str]
    html: Mapped[str | None]
    replaced_at: Mapped[datetime]


class MentionSource(Base):
    """Which sources found a mention."""

    __tablename__ = "mention_sources"
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True, index=True)
    found_at: Mapped[datetime]


class Payload(Base):
    """The item as the network sent it: JSON or text, zlib."""

    __tablename__ = "payloads"
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)


# -- cases ----------------------------------------------------------------------------------------------------------


class Case(Base):
    """Our unit of work; ``id`` is the number people see. Changed only by ``triage.cases``.

    Counts and the ``*_at`` columns are caches of the events, mentions and replies, kept by that door.
    """

    __tablename__ = "cases"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    channel: Mapped[str] = mapped_column(String(40))
    source_id: Mapped[int | None] = mapped_column(ForeignKey("sources.id", ondelete="SET NULL"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id"), index=True)
    subject: Mapped[str]
    status: Mapped[str] = mapped_column(String(20))
    priority: Mapped[str | None] = mapped_column(String(20))
    kind: Mapped[str | None] = mapped_column(String(20))
    sentiment: Mapped[str | None] = mapped_column(String(20))
    language: Mapped[str | None] = mapped_column(String(20))
    wants_answer: Mapped[bool | None]
    urgency: Mapped[str | None] = mapped_column(String(20))
    noise: Mapped[str | None] = mapped_column(String(20))
    category: Mapped[str | None]
    settled: Mapped[list[Any]] = mapped_column(default=list)  # fields a person or a rule has set: no judge touches them
    story_id: Mapped[int | None] = mapped_column(ForeignKey("stories.id"), index=True)
    review_wanted: Mapped[bool] = mapped_column(default=False)  # an answer needs a second pair of eyes
    canned_reply: Mapped[str | None]  # proposed as a draft by a rule
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"))
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]  # when we collected its first mention
    last_activity_at: Mapped[datetime]
    waiting_since: Mapped[datetime | None]  # the first thing said to us that has no answer yet
    sla_id: Mapped[int | None] = mapped_column(ForeignKey("definitions.id"))
    first_response_due_at: Mapped[datetime | None]
    next_response_due_at: Mapped[datetime | None]
    resolution_due_at: Mapped[datetime | None]
    next_breach_at: Mapped[datetime | None]  # the nearest target not met yet, past or to come
    breach_kind: Mapped[str | None] = mapped_column(String(20))  # which: first_response, next_response, resolution
    next_alert_at: Mapped[datetime | None]  # when the clock has to look: a warning or a breach
    first_response_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    follow_up_at: Mapped[datetime | None]
    flag: Mapped[str | None] = mapped_column(String(40))  # reply_failed, reply_uncertain, follow_up_due
    mention_count: Mapped[int] = mapped_column(default=0)
    reply_count: Mapped[int] = mapped_column(default=0)
    spread: Mapped[int] = mapped_column(default=0)
    follows_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)
    thread: Mapped[str | None]  # the network's thread, for cases whose chain above is not known
    imported: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=0)
    author: Mapped[Author | None] = relationship()
    source: Mapped[Source | None] = relationship()
    account: Mapped[Account | None] = relationship()
    assignee: Mapped[User | None] = relationship()
    team: Mapped[Team | None] = relationship()
    story: Mapped[Story | None] = relationship()
    tags: Mapped[list[CaseTag]] = relationship(order_by="CaseTag.tag", cascade="all, delete-orphan")
    __table_args__ = (
        _among("status", CaseStatus),
        _among("priority", Priority, null=True),
        _among("kind", Kind, null=True),
        _among("sentiment", Sentiment, null=True),
        _among("urgency", Urgency, null=True),
        _among("noise", Noise, null=True),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed_at"),
        Index(None, "last_activity_at", "id"),
        Index(None, "status", "last_activity_at", "id"),
        Index(None, "channel", "last_activity_at", "id"),
        Index(None, "assignee_id", "status", "last_activity_at", "id"),
        Index(None, "team_id", "status", "opened_at"),
        Index(None, "follow_up_at"),
        Index(None, "next_alert_at"),
        Index(None, "next_breach_at", "id"),
        Index(
            None, "flag", sqlite_where=text("flag IS NOT NULL"), postgresql_where=text("flag IS NOT NULL")
        ),  # what is flagged is little
        Index(None, "status", "waiting_since"),
        Index(None, "status", "resolved_at"),
    )


class CaseTag(Base):
    __tablename__ = "case_tags"
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True, index=True)


class CaseEvent(Base):
    """One audited change of a case. Append-only: the database refuses updates and deletions.

    ``from_status``/``to_status`` are given only when the status was asked about; other changes are
    ``{field: [old, new]}`` with persons as e-mail addresses. ``version`` is the case's after the event.
    ``undoes_id``: the earlier event of the case that this one took back.
    """

    __tablename__ = "case_events"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    version: Mapped[int]
    action: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str]
    from_status: Mapped[str | None] = mapped_column(String(20))
    to_status: Mapped[str | None] = mapped_column(String(20))
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    mention_id: Mapped[int | None] = mapped_column(ForeignKey("mentions.id"), index=True)
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("replies.id"), index=True)
    note_id: Mapped[int | None] = mapped_column(ForeignKey("notes.id"), index=True)
    undoes_id: Mapped[int | None] = mapped_column(Key)
    at: Mapped[datetime]
    case: Mapped[Case] = relationship()
    __table_args__ = (UniqueConstraint("case_id", "version"), Index(None, "at"))


class PendingReaction(Base):
    """An event whose consequences have not been drawn yet. Written with the event, taken by ``triage.reactions``."""

    __tablename__ = "pending_reactions"
    event_id: Mapped[int] = mapped_column(ForeignKey("case_events.id"), primary_key=True)
    error: Mapped[str | None]  # why it could not be reacted to: passed over, and shown by ``gensvar check``


class Reply(Base):
    """Something we said in public (or privately) in a case: written here, or seen on the network, or reported."""

    __tablename__ = "replies"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    channel: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    to_mention_id: Mapped[int | None] = mapped_column(ForeignKey("mentions.id"), index=True)
    mention_id: Mapped[int | None] = mapped_column(ForeignKey("mentions.id"), unique=True)  # as collected again
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    author_name: Mapped[str | None]  # as the network tells it, where no user of ours is known
    origin: Mapped[str] = mapped_column(String(20), default=ReplyOrigin.gensvar)
    body: Mapped[str]
    private: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(20))
    then: Mapped[str] = mapped_column("then_case", String(20), default=Then.keep)  # THEN is a word of SQL
    status_before: Mapped[str | None] = mapped_column(String(20))  # of the case, to put back when cancelled
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(36))  # the process that made the call
    attempts: Mapped[int] = mapped_column(default=0)
    called_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    external_id: Mapped[str | None]
    url: Mapped[str | None]
    awaiting_moderation: Mapped[bool] = mapped_column(default=False)
    error_reason: Mapped[str | None]
    error: Mapped[str | None]
    lookups: Mapped[int] = mapped_column(default=0)
    next_lookup_at: Mapped[datetime | None]
    user: Mapped[User | None] = relationship()
    to_mention: Mapped[Mention | None] = relationship(foreign_keys=[to_mention_id])
    case: Mapped[Case] = relationship()
    __table_args__ = (
        _among("status", ReplyStatus),
        _among("origin", ReplyOrigin),
        _among("then_case", Then),
        Index("uq_replies_channel_external_id", "channel", "external_id", unique=True,
              sqlite_where=text("external_id IS NOT NULL"), postgresql_where=text("external_id IS NOT NULL")),
        Index(None, "status", "not_before"),
        Index(None, "status", "next_lookup_at"),
    )  # fmt: skip


class Hiding(Base):
    """What we last wanted of somebody else's message on its network: that it is hidden there, or shown again.

    ``due_at``: when the network is asked (again); None: it has done so (``Mention.hidden_at``), or said no (``error``).
    """

    __tablename__ = "hidings"
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True)
    hide: Mapped[bool]
    reason: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    error_reason: Mapped[str | None]
    error: Mapped[str | None]
    user: Mapped[User | None] = relationship()


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    body: Mapped[str]
    created_at: Mapped[datetime]
    user: Mapped[User | None] = relationship()


class Notice(Base):
    """Something a colleague should know about: made by ``triage.reactions``, shown in the inbox."""

    __tablename__ = "notices"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("case_events.id"), index=True)
    story_id: Mapped[int | None] = mapped_column(ForeignKey("stories.id"), index=True)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)  # figures and names that its words need
    at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    mail_at: Mapped[datetime | None]  # when it goes out by mail; None: not, or it has
    mailed_at: Mapped[datetime | None]
    mail_attempts: Mapped[int] = mapped_column(default=0)
    mail_error: Mapped[str | None]  # why the last attempt failed; with no ``mail_at`` left: given up
    event: Mapped[CaseEvent | None] = relationship()
    user: Mapped[User] = relationship()
    __table_args__ = (
        UniqueConstraint("user_id", "event_id"),
        Index(None, "user_id", "seen_at"),
        Index(None, "mail_at", sqlite_where=text("mail_at IS NOT NULL"), postgresql_where=text("mail_at IS NOT NULL")),
        Index(None, "mailed_at", sqlite_where=text("mailed_at IS NOT NULL"),
              postgresql_where=text("mailed_at IS NOT NULL")),
        Index(None, "at", sqlite_where=text("mail_error IS NOT NULL"), postgresql_where=text("mail_error IS NOT NULL")),
    )  # fmt: skip


class Webhook(Base):
    """A message to another system, made by ``triage.reactions``; ``webhooks`` delivers it."""

    __tablename__ = "webhooks"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("case_events.id"), index=True)
    rule: Mapped[str]
    url: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]  # None: delivered, or given up
    delivered_at: Mapped[datetime | None]
    error: Mapped[str | None]
    __table_args__ = (Index(None, "due_at"),)


class SearchText(Base):
    """What search looks through: one text of one thing, folded by Python, so that both databases compare the same.

    Written only by ``triage.index``, which says what stands in ``text``. The index over it is made by the migration.
    """

    __tablename__ = "search_texts"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    mention_id: Mapped[int | None] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), unique=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id", ondelete="CASCADE"), unique=True)
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("replies.id", ondelete="CASCADE"), unique=True)
    note_id: Mapped[int | None] = mapped_column(ForeignKey("notes.id", ondelete="CASCADE"), unique=True)
    text: Mapped[str]


# -- working together ------------------------------------------------------------------------------------------------


class View(Base):
    """A saved list of cases: ``query`` is what stands behind ``/?``. Without an owner it is everybody's."""

    __tablename__ = "views"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    query: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class Draft(Base):
    """What somebody is writing in a case: one answer and one note each. ``case_version``: when it was begun.

    ``version`` counts how often it was kept, so that two windows of one person cannot overwrite each other unseen.
    """

    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))  # reply, note
    body: Mapped[str]
    to_mention_id: Mapped[int | None] = mapped_column(ForeignKey("mentions.id", ondelete="SET NULL"), index=True)
    private: Mapped[bool] = mapped_column(default=False)
    case_version: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]
    user: Mapped[User] = relationship()
    __table_args__ = (
        CheckConstraint("kind IN ('reply', 'note')", name="kind"),
        UniqueConstraint("case_id", "user_id", "kind"),
        Index(None, "user_id", "updated_at"),
    )


class Picture(Base):
    """A picture for an answer, with what it shows in words; first of a draft, then of the reply it is sent with."""

    __tablename__ = "pictures"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("replies.id"), index=True)  # None: still of a draft
    alt: Mapped[str]
    media_type: Mapped[str] = mapped_column(String(40))
    width: Mapped[int]
    height: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime]


class Presence(Base):
    """A window that shows a case, alive as long as ``at`` is fresh. ``writing``: somebody types there."""

    __tablename__ = "presence"
    window: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    writing: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime] = mapped_column(index=True)
    user: Mapped[User] = relationship()


class Read(Base):
    """When somebody last looked at a case; what has happened in it since is unread for them."""

    __tablename__ = "reads"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True, index=True)
    at: Mapped[datetime]


class Follow(Base):
    """A colleague wants to hear of a case, or (``muted``) no longer, whatever the reason was."""

    __tablename__ = "follows"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True, index=True)
    muted: Mapped[bool] = mapped_column(default=False)


class CaseLink(Base):
    """Two cases that have to do with each other; the smaller number is ``case_id``."""

    __tablename__ = "case_links"
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True, index=True)
    at: Mapped[datetime]
    __table_args__ = (CheckConstraint("case_id < other_id", name="order"),)


class Batch(Base):
    """What one click of a person did, in one case or in many: what undo takes back as a whole.

    ``work``: of many cases, what is still to be done and what failed, as ``web.bulk`` and ``triage.batches`` read it.
    """

    __tablename__ = "batches"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    action: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    work: Mapped[dict[str, Any] | None]
    __table_args__ = (Index(None, "user_id", "at"),)


class BatchEvent(Base):
    __tablename__ = "batch_events"
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[int] = mapped_column(
        ForeignKey("case_events.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class AuditEntry(Base):
    """Something was changed in the administration. Append-only: the database refuses updates and deletions.

    ``subject``: what was changed, as ``kind:name``; ``changes``: field -> [old, new], never a secret.
    """

    __tablename__ = "audit_entries"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str]
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)


# -- what is learnt, what belongs together, what was promised -----------------------------------------------------


class Lesson(Base):
    """A judgement that a person corrected. ``withdrawn_at``: it was wrong, and counts no more."""

    __tablename__ = "lessons"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    judge: Mapped[str] = mapped_column(String(20))
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), index=True)
    was: Mapped[str | None]
    value: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    mention: Mapped[Mention] = relationship()
    user: Mapped[User | None] = relationship()


class Story(Base):
    """Mentions that spread one matter. The counts are caches, kept by ``triage.storyteller``."""

    __tablename__ = "stories"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    title: Mapped[str]
    opened_at: Mapped[datetime]  # publication of its first mention
    last_at: Mapped[datetime]
    size: Mapped[int] = mapped_column(default=0)  # mentions
    authors: Mapped[int] = mapped_column(default=0)
    reach: Mapped[int] = mapped_column(BigInteger, default=0)  # followers, each author once
    alarmed_at: Mapped[datetime | None]
    alarm: Mapped[dict[str, Any] | None]  # the figures behind it
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("stories.id"), index=True)
    __table_args__ = (Index(None, "merged_into_id", "last_at", "id"),)


class Fingerprint(Base):
    """What is compared when stories are looked for, as ``triage.stories`` makes it."""

    __tablename__ = "fingerprints"
    mention_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime]
    body: Mapped[dict[str, Any]]
    because: Mapped[list[Any]]  # [other mention, strength, reason, words] for each it was joined by
    __table_args__ = (Index(None, "at"),)


class StoryLesson(Base):
    """A person says that two mentions belong together, or apart."""

    __tablename__ = "story_lessons"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    one_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), index=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("mentions.id", ondelete="CASCADE"), index=True)
    together: Mapped[bool]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class SharedAnswer(Base):
    """One answer for all in a story: ``texts`` is language -> text with variables. Each reply is an ordinary one.

    Written only by ``replies.shared``. ``key``: the form it was sent with, so that a second click makes no second one.
    """

    __tablename__ = "shared_answers"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    key: Mapped[str] = mapped_column(unique=True)
    texts: Mapped[dict[str, Any]]
    then: Mapped[str] = mapped_column("then_case", String(20), default=Then.keep)
    created_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    __table_args__ = (_among("then_case", Then),)


class SharedAnswerPart(Base):
    """What one case gets of it: ``body``, as it was previewed when the case was at ``version``.

    Then its reply, or why it got none (``skipped``: a reason code). Neither: it is still to be queued.
    """

    __tablename__ = "shared_answer_parts"
    shared_answer_id: Mapped[int] = mapped_column(ForeignKey("shared_answers.id"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True, index=True)
    body: Mapped[str]
    version: Mapped[int]
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("replies.id"), unique=True)
    skipped: Mapped[str | None] = mapped_column(String(40))
    reply: Mapped[Reply | None] = relationship()
    shared_answer: Mapped[SharedAnswer] = relationship()


class Promise(Base):
    """What an answer of ours promises. Late is what is open after ``due_at``, or was kept after it.

    ``back_at``: when its case comes back, while there is still time to keep it.
    """

    __tablename__ = "promises"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    reply_id: Mapped[int] = mapped_column(ForeignKey("replies.id"), index=True)
    words: Mapped[str]  # of the answer, that promise
    due_at: Mapped[datetime]
    back_at: Mapped[datetime]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    state: Mapped[str] = mapped_column(String(20))
    made_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    case: Mapped[Case] = relationship()
    owner: Mapped[User | None] = relationship()
    reply: Mapped[Reply] = relationship()
    __table_args__ = (_among("state", PromiseState), Index(None, "state", "due_at"))


# -- what is counted ------------------------------------------------------------------------------------------------


class Sample(Base):
    """One thing that was measured or counted in a case: every figure of a report is a number or a rank of these.

    A cache of events, mentions and replies: ``triage.measures`` says what they are, ``triage.samples`` keeps them.
    ``day``: the date of the organisation's zone in which it counts, as ``date.toordinal()``; ``hour``: of its clock.
    ``seconds`` from ``started_at`` to ``at``, ``business``: those within the opening hours of ``calendar_id``, the
    version of a calendar it was measured with. ``due_at``: the target of that time. ``user_id``: who is credited.
    What it is grouped by is the case's: kept here so that a report reads no other table. Ids without a foreign key: no
    case has a team that is removed, a source or a person stays, and a calendar is retired.
    """

    __tablename__ = "samples"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    measure: Mapped[str] = mapped_column(String(20))
    day: Mapped[int]
    hour: Mapped[int]
    started_at: Mapped[datetime | None]
    at: Mapped[datetime]
    seconds: Mapped[int | None] = mapped_column(BigInteger)  # what is said to be of 1950 took more than an Integer
    business: Mapped[int | None] = mapped_column(BigInteger)
    calendar_id: Mapped[int | None]
    due_at: Mapped[datetime | None]
    late: Mapped[bool | None]  # after due_at; None: there was no target
    user_id: Mapped[int | None]
    how: Mapped[str | None] = mapped_column(String(20))
    n: Mapped[int] = mapped_column(default=1)  # of what is only counted
    provisional: Mapped[bool] = mapped_column(default=False)  # taken before the reactions to what had happened
    imported: Mapped[bool] = mapped_column(default=False)
    channel: Mapped[str] = mapped_column(String(40))
    source_id: Mapped[int | None]
    team_id: Mapped[int | None]
    assignee_id: Mapped[int | None]
    kind: Mapped[str | None] = mapped_column(String(20))
    category: Mapped[str | None]
    language: Mapped[str | None] = mapped_column(String(20))
    sentiment: Mapped[str | None] = mapped_column(String(20))
    case: Mapped[Case] = relationship()
    __table_args__ = (  # all that figures are made of: a report reads it from end to end, and never the rows
        Index(
            "ix_samples_figures", "measure", "day", "id", "imported", "channel", "source_id", "team_id", "assignee_id",
            "user_id", "kind", "category", "language", "sentiment", "seconds", "business", "late", "how", "n", "hour",
            "case_id",
        ),
    )  # fmt: skip


class Unmeasured(Base):
    """A case in which something has happened since its samples were taken.

    ``error``: why they cannot be. It is tried again by night, and when something happens in it.
    """

    __tablename__ = "unmeasured"
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    error: Mapped[str | None]


class Backlog(Base):
    """What was unfinished at midnight, when ``day`` began: stored then, never reconstructed.

    ``state``: open, waiting (for the author), snoozed. One row for each way to group; ``cases``: their numbers.
    """

    __tablename__ = "backlog"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    day: Mapped[int] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(String(10))
    n: Mapped[int]
    oldest_at: Mapped[datetime]
    cases: Mapped[list[Any]]
    channel: Mapped[str] = mapped_column(String(40))
    source_id: Mapped[int | None]
    team_id: Mapped[int | None]
    assignee_id: Mapped[int | None]
    kind: Mapped[str | None] = mapped_column(String(20))
    category: Mapped[str | None]
    language: Mapped[str | None] = mapped_column(String(20))


class FigureCheck(Base):
    """A nightly comparison of what is stored with what the events say. ``last_case``: where the next one goes on.

    ``differences``: [{case, what, stored, computed}], at most ``triage.samples.SHOWN`` of the ``different`` there were.
    """

    __tablename__ = "figure_checks"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    last_case: Mapped[int]
    cases: Mapped[int]
    different: Mapped[int]
    differences: Mapped[list[Any]]


class ReportMail(Base):
    """A report that comes by mail: a link and no figures of persons. ``query``: its address behind the base URL."""

    __tablename__ = "report_mails"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    title: Mapped[str]
    query: Mapped[str]
    every: Mapped[str] = mapped_column(String(10))  # week, month
    due_at: Mapped[datetime] = mapped_column(index=True)
    mailed_at: Mapped[datetime | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    user: Mapped[User] = relationship()
    __table_args__ = (CheckConstraint("every IN ('week', 'month')", name="every"),)


# -- the house ------------------------------------------------------------------------------------------------------


class Heartbeat(Base):
    """When a part of the house last said it is alive (``scheduler``), and what it had to say."""

    __tablename__ = "heartbeats"
    part: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    detail: Mapped[str | None]
    restarts: Mapped[int] = mapped_column(default=0)
