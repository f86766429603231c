"""What a collector hands over, and what it promises.

A collector is built for one source and run for one pass at a time. It yields batches; after each, everything in it
is stored together with ``Batch.cursor`` in one transaction, so the cursor may never stand past something not yet
handed over. Nothing is retried within a pass: a failure is raised as ``errors.CollectError`` and the batches before
it stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

Cursor = Mapping[str, Any]  # JSON; only the collector that wrote it reads it
OLDEST = datetime(1995, 1, 1, tzinfo=UTC)  # before anything was said here: an older date says that there is none


@dataclass(frozen=True)
class AuthorData:
    """Who wrote a mention, as the network tells it now. ``external_id`` is stable on the network."""

    external_id: str
    name: str
    handle: str | None = None
    url: str | None = None
    avatar_url: str | None = None
    followers: int | None = None


@dataclass(frozen=True)
class Attachment:
    """Something that hangs on a mention. ``type``: photo, video, link, quote."""

    type: str
    url: str | None = None
    text: str | None = None  # alt text of a picture, title of a link, text of a quoted post
    author: str | None = None  # of a quoted post


@dataclass(frozen=True)
class MentionData:
    """One public item, as found on a network. Times are aware UTC; ids are the network's own, as text."""

    external_id: str
    author: AuthorData | None
    text: str  # plain text, as a person reads it; may be empty (a picture only)
    published_at: datetime
    url: str | None = None
    title: str | None = None  # of an article; posts and comments have none
    html: str | None = None  # as the network sent it, not sanitised
    in_reply_to: str | None = None  # external id of the message right above, None at the top
    thread: str | None = None  # external id of the top of the thread, where the network tells it
    repost: bool = False  # somebody passes on ``in_reply_to`` without a word: spread, not a message
    ours: bool = False  # written by our own account
    context: bool = False  # brought along to understand another one; does not itself concern us
    can_reply: bool = False  # through the API, by this account
    can_reply_reason: str | None = None  # code, when it cannot: see web/labels.py for the texts
    can_reply_privately: bool = False
    reply_address: Mapping[str, Any] = field(default_factory=dict)  # what the replier of this channel needs
    attachments: tuple[Attachment, ...] = ()
    earlier_ids: tuple[str, ...] = ()  # ids this same item had before it was edited (X gives a new one)
    edited_at: datetime | None = None  # where the network tells it
    hidden: bool | None = None  # hidden at the source by us or by the network; None: the network does not tell
    deleted: bool = False  # the network says it is gone
    raw: Mapping[str, Any] | str = field(default_factory=dict)  # as received, kept compressed


@dataclass(frozen=True)
class SetAside:
    """An item that could not be understood: kept with its reason, shown, never silently dropped."""

    reason: str
    raw: Any
    external_id: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """A complete list: everything under ``thread`` published at or after ``since`` that exists now.

    Stored mentions with that thread (``MentionData.thread``) and age that are not in ``ids`` were deleted at the
    source. Only given when the list was read to its end, malformed items included in ``ids``. ``hidden_too``: what is
    hidden stands in the list all the same; else nothing is known of it.
    """

    thread: str
    ids: frozenset[str]
    since: datetime | None = None
    hidden_too: bool = True


@dataclass(frozen=True)
class Charge:
    """Money a pass has spent on a network: ``units`` of ``operation``, in millionths of a US dollar altogether."""

    operation: str
    units: int
    micro_usd: int


@dataclass(frozen=True)
class Batch:
    """Some mentions, oldest first and parents before answers where known, and where to go on from when stored."""

    mentions: tuple[MentionData, ...]
    cursor: Cursor
    set_aside: tuple[SetAside, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    charges: tuple[Charge, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)  # what was learnt about the source: its title, its new URL
    last: bool = False  # of history: there is nothing before it


class Collector(Protocol):
    def collect(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """One pass. ``since`` bounds the first pass (None: everything there is); ``cursor`` is None then.

        Raises ``errors.CollectError``.
        """
        ...


class Historian(Protocol):
    """Reads what was there before a source was made, page by page, in whatever direction the network goes."""

    def page(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """One page, as batches. Each bears where to go on from once it is stored; the last of all says ``Batch.last``.

        ``cursor``: None at first, and never that of the source's regular passes. ``since``: what is older is not wanted
        (None: everything there is). Raises ``errors.CollectError``.
        """
        ...
