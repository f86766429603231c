"""The one door for mentions: what collectors hand over becomes stored mentions and cases.

Here each is stored once, and what has changed since is noted; which case it belongs to is for ``triage.threads``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from collectors.base import OLDEST, Attachment, AuthorData, Batch, MentionData, SetAside, Snapshot
from database import identifier, lock, storable
from errors import GensvarError
from models import (
    Author,
    Mention,
    MentionAlias,
    MentionSource,
    MentionVersion,
    Payload,
    SetAsideItem,
    Source,
)
from triage import cases, school, subject, watch
from triage.threads import ACTOR, Threads
from triage.threads import living as living  # for who asks at this door
from triage.threads import same_words as same_words

log = logging.getLogger("gensvar.intake")

JUST_HIDDEN = timedelta(minutes=10)  # what was read before a message was hidden may come in after it, as still shown


@dataclass
class Taken:
    """What became of a batch. ``unmatched``: read, but the source's watch query does not want it."""

    new: int = 0
    known: int = 0
    set_aside: int = 0
    unmatched: int = 0


def take(
    db: Session,
    batch: Batch,
    *,
    channel: str,
    account_id: int | None,
    source_id: int | None,
    at: datetime,
    match: str | None = None,
    imported: bool = False,
    keep_open: bool = False,
) -> Taken:
    """Store a batch: dedupe, make cases, note edits and deletions. The caller commits, together with the cursor.

    ``imported``: it is history. What is known stays as it is, new cases are put away at once unless ``keep_open``, and
    nobody is told of anything.
    """
    lock(db, f"intake:{channel}")  # two workers on one thread would make two cases of it
    intake = _Intake(db, channel, account_id, source_id, at, match, imported=imported, keep_open=keep_open)
    for item in batch.set_aside:
        intake.set_aside(item)
    mentions = [_storable(data) for data in batch.mentions]
    intake.load(mentions)
    for data in _parents_first(mentions):
        intake.take_or_set_aside(data)
    for snapshot in batch.snapshots:
        intake.compare(snapshot)
    db.flush()
    return intake.taken


def find(db: Session, channel: str, external_id: str) -> Mention | None:
    """The mention the network knows by this id, now or before it was edited."""
    found = db.scalar(select(Mention).where(Mention.channel == channel, Mention.external_id == external_id))
    if found is None:
        alias = db.get(MentionAlias, (channel, external_id))
        found = db.get(Mention, alias.mention_id) if alias else None
    return found


class _Intake:
    """One batch on its way in."""

    def __init__(
        self,
        db: Session,
        channel: str,
        account_id: int | None,
        source_id: int | None,
        at: datetime,
        match: str | None,
        *,
        imported: bool,
        keep_open: bool,
    ) -> None:
        self.db, self.channel, self.account_id, self.source_id, self.at = db, channel, account_id, source_id, at
        self.imported = imported
        self.query = watch.parse(match) if match else None
        self.source = db.get(Source, source_id) if source_id is not None else None
        self.threads = Threads(db, channel, source_id, at, self._find, imported=imported, keep_open=keep_open)
        self.taken = Taken()
        self.mentions: dict[str, Mention] = {}  # by every id met in this batch
        self.absent: set[str] = set()  # ids known not to be stored
        self.authors: dict[str, Author] = {}

    # -- finding ------------------------------------------------------------------------------------------------

    def load(self, batch: Sequence[MentionData]) -> None:
        """Everything the batch refers to that is stored already, in a few queries."""
        wanted = {
            id
            for data in batch
            for id in (data.external_id, data.in_reply_to, data.thread, *data.earlier_ids)
            if id is not None
        }
        self.absent = set(wanted)
        for some in _chunks(sorted(wanted)):
            stored = select(Mention).where(Mention.channel == self.channel, Mention.external_id.in_(some))
            for mention in self.db.scalars(stored):
                self._remember(mention.external_id, mention)
            aliases = select(MentionAlias.external_id, Mention).join(Mention, Mention.id == MentionAlias.mention_id)
            for alias, mention in self.db.execute(
                aliases.where(MentionAlias.channel == self.channel, MentionAlias.external_id.in_(some))
            ):
                self._remember(alias, mention)
        people = sorted({data.author.external_id for data in batch if data.author})
        for some in _chunks(people):
            known = select(Author).where(Author.channel == self.channel, Author.external_id.in_(some))
            self.authors |= {author.external_id: author for author in self.db.scalars(known)}

    def _remember(self, id: str, mention: Mention) -> None:
        self.mentions[id] = mention
        self.absent.discard(id)

    def _find(self, id: str) -> Mention | None:
        if id not in self.mentions and id not in self.absent:
            found = find(self.db, self.channel, id)
            if found is None:
                self.absent.add(id)
            else:
                self._remember(id, found)
        return self.mentions.get(id)

    # -- taking one ---------------------------------------------------------------------------------------------

    def take_or_set_aside(self, data: MentionData) -> None:
        """One item that cannot be stored must not keep the others out, in this pass and in every later one."""
        taken = replace(self.taken)
        try:
            with self.db.begin_nested():
                self.take(data)
                self.db.flush()
        except (GensvarError, IntegrityError, DataError, ValueError) as error:
            log.exception("%s: an item could not be stored", data.external_id)
            self.taken = taken
            self.mentions, self.absent, self.authors = {}, set(), {}  # what was met may have been rolled back
            what = str(error).splitlines()[0][:300]
            self.set_aside(SetAside(f"it could not be stored: {what}", data.raw, data.external_id))

    def take(self, data: MentionData) -> None:
        known = self._known(data)
        if known is not None and self._is_another(known, data):
            data = replace(data, external_id=f"{_host(data.url)}/{data.external_id}")
            known = self._known(data)
        if known is not None:
            self._see_again(known, data)
        elif not self._wanted(data):
            self.taken.unmatched += 1
        else:
            self._store(data)

    def _known(self, data: MentionData) -> Mention | None:
        return next((m for id in (data.external_id, *data.earlier_ids) if (m := self._find(id)) is not None), None)

    def _is_another(self, known: Mention, data: MentionData) -> bool:
        """Feeds that number their entries 1, 2, 3 use the same ids: told apart by source and host."""
        if self.source_id is None or data.reply_address or not re.fullmatch(r"[\w.-]{1,24}", data.external_id):
            return False
        hosts = {_host(known.url), _host(data.url)} - {None}
        return len(hosts) == 2 and self.db.get(MentionSource, (known.id, self.source_id)) is None

    def _wanted(self, data: MentionData) -> bool:
        """A watch query chooses what opens a case; what is said in a thread we follow always belongs to it."""
        if self.query is None or data.ours or data.context or data.repost:
            return True
        if self.query.matches(subject.of(data, self._language(data))):
            return True
        above = [mention for id in (data.in_reply_to, data.thread) if id and (mention := self._find(id)) is not None]
        if any(mention.case_id is not None for mention in above):
            return True
        return data.in_reply_to is not None and self.threads.reply_sent(data.in_reply_to) is not None

    def _language(self, data: MentionData) -> str | None:
        """Judged before it is stored, and only when the source's query asks for it."""
        if self.query is None or not watch.asks_language(self.query):
            return None
        author = self.authors.get(data.author.external_id) if data.author else None
        return school.language(self.db, data.title, data.text, author, self.source)

    def _store(self, data: MentionData) -> None:
        if data.author is None and self.threads.reply_sent(data.external_id) is not None:
            data = replace(data, ours=True)  # our own answer, though the network does not tell who wrote it
        mention = Mention(
            channel=self.channel,
            external_id=data.external_id,
            account_id=self.account_id,
            author=self._author(data.author) if data.author else None,
            ours=data.ours,
            context=data.context and not data.ours,
            repost=data.repost,
            title=data.title,
            text=data.text,
            html=data.html,
            url=data.url,
            published_at=data.published_at if data.published_at >= OLDEST else self.at,
            collected_at=self.at,
            in_reply_to=data.in_reply_to,
            thread=data.thread,
            can_reply=data.can_reply,
            can_reply_reason=None if data.can_reply else data.can_reply_reason,
            can_reply_privately=data.can_reply_privately,
            reply_address=dict(data.reply_address),
            attachments=[asdict(attachment) for attachment in data.attachments],
            edited_at=data.edited_at,
            hidden_at=self.at if data.hidden else None,
            deleted_at=self.at if data.deleted else None,
            imported=self.imported,
        )
        self.db.add(mention)
        self.db.flush()
        self.db.add(Payload(mention_id=mention.id, raw=_packed(data.raw)))
        self._remember(data.external_id, mention)
        self._note_ids(mention, data.earlier_ids)
        if self.source_id is not None:
            self.db.add(MentionSource(mention_id=mention.id, source_id=self.source_id, found_at=self.at))
        if not data.context:
            self.taken.new += 1
        if not (data.ours or data.context or data.repost):
            school.judge(self.db, mention, self.source)
        self.threads.place(mention, [data.external_id, *data.earlier_ids])

    def _see_again(self, mention: Mention, data: MentionData) -> None:
        """Found by another source, or again: what has changed at the source is recorded as seen."""
        self._note_ids(mention, (data.external_id, *data.earlier_ids))
        if data.context:  # brought along with another mention: says nothing about whether we wanted it
            if not self.imported:
                self._refresh_words(mention, data)
            return
        self.taken.known += 1
        if self.imported:
            history = mention.case is None or mention.case.imported
            if mention.context and history and not data.ours:  # until now shown for the sake of another page of it
                mention.imported = True
                self._concerns_us_after_all(mention)
            return
        self._found_by_source(mention)
        if data.author is not None:
            mention.author = self._author(data.author)
        if mention.account_id in (None, self.account_id) or (data.can_reply and not mention.can_reply):
            mention.account_id = self.account_id  # through which it can be answered
            mention.can_reply = data.can_reply
            mention.can_reply_reason = None if data.can_reply else data.can_reply_reason
            mention.can_reply_privately = data.can_reply_privately
            mention.reply_address = dict(data.reply_address)
        self._refresh_words(mention, data)
        just = mention.hidden_at is not None and self.at - mention.hidden_at < JUST_HIDDEN
        for happened, was, changed in (
            (
                None if just and not data.hidden else data.hidden,
                mention.hidden_at,
                ("mention_hidden", "mention_shown", "hidden_at"),
            ),
            (data.deleted, mention.deleted_at, ("mention_deleted", "mention_restored", "deleted_at")),
        ):
            if happened is not None and happened != (was is not None):
                setattr(mention, changed[2], self.at if happened else None)
                self._changed(mention, changed[0] if happened else changed[1])
        if mention.context and not data.ours:  # shown until now for another's sake; now it concerns us itself
            self._concerns_us_after_all(mention)

    def _refresh_words(self, mention: Mention, data: MentionData) -> None:
        if data.deleted and not data.text:
            return  # the network only tells that it is gone; what it said stays, as the retention policy has it
        if (mention.title, mention.text) == (data.title, data.text):
            return
        if {data.external_id, *data.earlier_ids} < set(self.threads.ids(mention)):
            return  # an earlier version, seen late
        self.db.add(
            MentionVersion(
                mention_id=mention.id, title=mention.title, text=mention.text, html=mention.html, replaced_at=self.at
            )
        )
        mention.title, mention.text, mention.html = data.title, data.text, data.html
        mention.edited_at = data.edited_at or self.at
        payload = self.db.get(Payload, mention.id)
        if payload is not None:
            payload.raw = _packed(data.raw)
        self._changed(mention, "mention_edited")

    def _changed(self, mention: Mention, what: str) -> None:
        if mention.case_id is not None:
            cases.mention_changed(self.db, mention.case_id, mention, what, actor=ACTOR, at=self.at)

    def _note_ids(self, mention: Mention, ids: Iterable[str]) -> None:
        for id in ids:
            if id != mention.external_id and self._find(id) is None:
                self.db.add(MentionAlias(channel=self.channel, external_id=id, mention_id=mention.id))
                self._remember(id, mention)

    def _found_by_source(self, mention: Mention) -> None:
        if self.source_id is not None and self.db.get(MentionSource, (mention.id, self.source_id)) is None:
            self.db.add(MentionSource(mention_id=mention.id, source_id=self.source_id, found_at=self.at))

    def _author(self, data: AuthorData) -> Author:
        author = self.authors.get(data.external_id) or self.db.scalar(
            select(Author).where(Author.channel == self.channel, Author.external_id == data.external_id)
        )
        self.authors |= {data.external_id: author} if author else {}
        if author is None:
            author = Author(
                channel=self.channel,
                external_id=data.external_id,
                name=data.name,
                handle=data.handle,
                url=data.url,
                avatar_url=data.avatar_url,
                followers=data.followers,
                first_seen_at=self.at,
            )
            self.db.add(author)
            self.db.flush()
            self.authors[data.external_id] = author
            return author
        if data.name and data.name != data.external_id:  # a network that tells no name gives the id
            author.name = data.name
        for field in ("handle", "url", "avatar_url", "followers"):
            if (value := getattr(data, field)) is not None:
                setattr(author, field, value)
        return author

    def _concerns_us_after_all(self, mention: Mention) -> None:
        mention.context = False
        school.judge(self.db, mention, self.source)
        self.db.flush()
        self.taken.known -= 1
        self.taken.new += 1
        if mention.case_id is None:
            self.threads.place(mention, self.threads.ids(mention))
        else:
            self.threads.wrote_in(mention.case_id, mention)

    # -- set aside, deleted -------------------------------------------------------------------------------------

    def set_aside(self, item: SetAside) -> None:
        self.taken.set_aside += 1
        raw = _packed(item.raw)
        digest = hashlib.sha256(zlib.decompress(raw)).hexdigest()
        same = (SetAsideItem.source_id == self.source_id, SetAsideItem.digest == digest)
        kept = self.db.scalar(select(SetAsideItem).where(*same))
        if kept is not None:
            kept.last_at, kept.reason = self.at, _storable(item.reason)
        elif self.source_id is not None:
            self.db.add(
                SetAsideItem(
                    source_id=self.source_id,
                    digest=digest,
                    external_id=_storable(item.external_id),
                    reason=_storable(item.reason),
                    raw=raw,
                    first_at=self.at,
                    last_at=self.at,
                )
            )
            self.db.flush()

    def compare(self, snapshot: Snapshot) -> None:
        """What is stored but no longer in a complete list was deleted at the source."""
        stored = select(Mention).where(
            Mention.channel == self.channel, Mention.thread == snapshot.thread, Mention.deleted_at.is_(None)
        )
        if snapshot.since is not None:
            stored = stored.where(Mention.published_at >= snapshot.since)
        for mention in self.db.scalars(stored):
            unlisted = mention.hidden_at is not None and not snapshot.hidden_too  # it may still be there
            if mention.external_id not in snapshot.ids and mention.external_id != snapshot.thread and not unlisted:
                mention.deleted_at = self.at
                self._changed(mention, "mention_deleted")


def _storable(value: Any) -> Any:
    """A mention with every text and id as the database keeps it. The payload has them as they came."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, MentionData | AuthorData):
        changed = {f.name: _storable(getattr(value, f.name)) for f in fields(value) if f.name != "raw"}
        for name in ("external_id", "in_reply_to", "thread"):
            if changed.get(name) is not None:
                changed[name] = identifier(changed[name])
        return replace(value, **changed)
    if isinstance(value, Attachment):
        return replace(value, **{f.name: _storable(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, tuple):
        return tuple(_storable(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _storable(item) for key, item in value.items()}
    return value


def _host(url: str | None) -> str | None:
    return urlsplit(url).hostname if url else None


def _packed(raw: Any) -> bytes:
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    return zlib.compress(text.encode("utf-8", "surrogatepass"))


def _chunks(items: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _parents_first(batch: Sequence[MentionData]) -> list[MentionData]:
    """By time, but never an answer before what it answers, whatever the clocks of the network say."""
    by_id: dict[str, MentionData] = {}
    for data in batch:  # an item may stand there twice, once for its own sake and once as context of another
        if data.external_id not in by_id or not data.context:
            by_id[data.external_id] = data
    ordered: list[MentionData] = []
    placed: set[str] = set()
    for data in sorted(by_id.values(), key=lambda data: data.published_at):
        chain: list[MentionData] = []
        current: MentionData | None = data
        while current is not None and current.external_id not in placed:
            placed.add(current.external_id)
            chain.append(current)
            current = by_id.get(current.in_reply_to or current.thread or "")
        ordered += reversed(chain)
    return ordered
