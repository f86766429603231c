"""The one door for mentions: what collectors hand over becomes stored mentions and cases.

Right in whatever order things come: what makes one case (DESIGN 3, "What makes one case") is found by climbing the
thread, and when a message that was missing turns up later, what hangs below it is joined to where it belongs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Select, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from collectors.base import OLDEST, Attachment, AuthorData, Batch, MentionData, SetAside, Snapshot
from database import identifier, lock, storable
from errors import GensvarError
from models import (
    Author,
    Case,
    CaseStatus,
    Mention,
    MentionAlias,
    MentionSource,
    MentionVersion,
    Payload,
    Reply,
    ReplyOrigin,
    ReplyStatus,
    SetAsideItem,
    Source,
)
from triage import answering, cases, merging, school, subject, watch

log = logging.getLogger("gensvar.intake")

ACTOR = "intake"


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


def living(db: Session, case_id: int) -> Case:
    """Where work on this case goes on: what it was merged into, or the one opened after it was put away, or itself."""
    case = cases.get(db, case_id)
    seen = {case.id}
    while True:
        follower = case.merged_into_id
        if follower is None and (case.status == CaseStatus.closed or case.imported):
            after = (Case.follows_id == case.id, Case.merged_into_id.is_(None))
            follower = db.scalar(select(Case.id).where(*after).order_by(Case.id.desc()).limit(1))
        if follower is None or follower in seen:
            return case
        seen.add(follower)
        case = cases.get(db, follower)


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
        self.imported, self.keep_open = imported, keep_open
        self.query = watch.parse(match) if match else None
        self.source = db.get(Source, source_id) if source_id is not None else None
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
        return data.in_reply_to is not None and self._reply_sent(data.in_reply_to) is not None

    def _language(self, data: MentionData) -> str | None:
        """Judged before it is stored, and only when the source's query asks for it."""
        if self.query is None or not watch.asks_language(self.query):
            return None
        author = self.authors.get(data.author.external_id) if data.author else None
        return school.language(self.db, data.title, data.text, author, self.source)

    def _store(self, data: MentionData) -> None:
        if data.author is None and self._reply_sent(data.external_id) is not None:
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
        self._place(mention, [data.external_id, *data.earlier_ids])

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
        for happened, was, changed in (
            (data.hidden, mention.hidden_at, ("mention_hidden", "mention_shown", "hidden_at")),
            (data.deleted, mention.deleted_at, ("mention_deleted", "mention_restored", "deleted_at")),
        ):
            if happened != (was is not None):
                setattr(mention, changed[2], self.at if happened else None)
                self._changed(mention, changed[0] if happened else changed[1])
        if mention.context and not data.ours:  # shown until now for another's sake; now it concerns us itself
            self._concerns_us_after_all(mention)

    def _refresh_words(self, mention: Mention, data: MentionData) -> None:
        if data.deleted and not data.text:
            return  # the network only tells that it is gone; what it said stays, as the retention policy has it
        if (mention.title, mention.text) == (data.title, data.text):
            return
        if {data.external_id, *data.earlier_ids} < set(self._ids(mention)):
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

    def _ids(self, mention: Mention) -> list[str]:
        """Every id the network has known it by."""
        aliases = select(MentionAlias.external_id).where(MentionAlias.mention_id == mention.id)
        return [mention.external_id, *self.db.scalars(aliases)]

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

    # -- which case ---------------------------------------------------------------------------------------------

    def _place(self, mention: Mention, ids: list[str]) -> None:
        """Find or open the case of a mention, and join what was waiting below it. ``ids``: all it is known by."""
        above, below = self._climb(mention), self._below(mention, ids)
        if mention.ours:
            self._place_ours(mention, above)
        elif mention.context:
            mention.case_id = above.case_id
        elif mention.repost:
            self._spread(mention, above.case_id)
        else:
            self._place_concerning(mention, above, below)
        if mention.case_id is not None:
            for context in above.context:
                context.case_id = mention.case_id
        self._adopt(mention, below)

    def _place_concerning(self, mention: Mention, above: _Above, below: list[Mention]) -> None:
        case_id = above.case_id or _case_below(below) or self._case_waiting_for(mention)
        if case_id is not None:
            self._wrote_in(case_id, mention)
        else:
            self._open(mention, thread=None if above.known else mention.thread or mention.in_reply_to)

    def _wrote_in(self, case_id: int, mention: Mention) -> None:
        case = self._goes_on_in(case_id)
        if self.imported:
            cases.found_in_history(self.db, case.id, mention, actor=ACTOR, at=self.at)
        elif case.status == CaseStatus.closed or case.imported:  # put away is put away: a new case, linked to the old
            self._open(mention, follows=case.id)
        else:
            cases.author_wrote(self.db, case.id, mention, actor=ACTOR, at=self.at)

    def _goes_on_in(self, case_id: int) -> Case:
        """Where what is said in this case belongs: new words where work on it goes on, old ones where they fell."""
        if not self.imported:
            return living(self.db, case_id)
        case = cases.get(self.db, case_id)
        while case.merged_into_id is not None:
            case = cases.get(self.db, case.merged_into_id)
        return case

    def _open(self, mention: Mention, *, follows: int | None = None, thread: str | None = None) -> None:
        opened = cases.open_case(
            self.db, mention, source_id=self.source_id, actor=ACTOR, at=self.at, follows=follows, thread=thread
        )
        if self.imported:
            cases.imported(self.db, opened.id, keep_open=self.keep_open, actor=ACTOR, at=self.at)

    def _concerns_us_after_all(self, mention: Mention) -> None:
        mention.context = False
        school.judge(self.db, mention, self.source)
        self.db.flush()
        self.taken.known -= 1
        self.taken.new += 1
        if mention.case_id is None:
            self._place(mention, self._ids(mention))
        else:
            self._wrote_in(mention.case_id, mention)

    def _climb(self, mention: Mention) -> _Above:
        """Towards the root: up to something that has a case, or to the last message before ours or the top."""
        context: list[Mention] = []
        seen = {mention.id}
        current = mention
        while True:
            parent_id = current.in_reply_to
            if parent_id is None and current.thread != current.external_id:
                parent_id = current.thread  # a comment right under an article: the network gives only the thread
                if parent_id is not None and self._find(parent_id) is None:
                    return _Above(None, context, True, None)  # at the top of what the network calls the thread
            if parent_id is None:
                return _Above(None, context, True, None)
            parent = self._find(parent_id)
            if parent is None:
                reply = self._reply_sent(parent_id)
                if reply is not None:
                    return _Above(reply.case_id, context, True, None)
                return _Above(self._case_by_thread(current), context, False, None)
            if parent.case_id is not None or parent.id in seen or (parent.ours and self._published(parent)):
                return _Above(parent.case_id, context, True, parent)
            if parent.ours:
                return _Above(self._case_by_thread(current), context, False, parent)
            context.append(parent)
            seen.add(parent.id)
            current = parent

    def _published(self, ours: Mention) -> bool:
        """Did we say it unasked? An answer of ours may yet find the case it belongs to."""
        current: Mention | None = ours
        while current is not None and current.ours:
            if current.in_reply_to is None:
                return True
            current = self._find(current.in_reply_to)
        return False

    def _reply_sent(self, external_id: str) -> Reply | None:
        """An answer of ours that went out from here and has not been collected again yet."""
        return self.db.scalar(select(Reply).where(Reply.channel == self.channel, Reply.external_id == external_id))

    def _below(self, mention: Mention, ids: list[str]) -> list[Mention]:
        """Stored before it: answers to it, and comments that name it only as their thread."""
        here = (Mention.channel == self.channel, Mention.id != mention.id)
        direct = self.db.scalars(select(Mention).where(*here, Mention.in_reply_to.in_(ids)))
        nowhere = Mention.in_reply_to.concat("").is_(None)  # not by its index: most of an archive answers nothing
        under = self.db.scalars(select(Mention).where(*here, Mention.thread.in_(ids), nowhere))
        return sorted((*direct, *under), key=lambda each: (each.published_at, each.id))

    def _case_by_thread(self, mention: Mention) -> int | None:
        """Where the chain above is not known, a case is (thread, author)."""
        same = self._same_thread_and_author(mention)
        return None if same is None else self.db.scalar(same.where(~Mention.repost, Mention.case_id.is_not(None)))

    def _case_waiting_for(self, mention: Mention) -> int | None:
        """The top of a thread: the case its author already has there because the way up to here was not known."""
        same = self._same_thread_and_author(mention) if mention.external_id == mention.thread else None
        return (
            None
            if same is None
            else self.db.scalar(same.join(Case, Case.id == Mention.case_id).where(Case.thread.is_not(None)))
        )

    def _same_thread_and_author(self, mention: Mention) -> Select[int | None] | None:
        if mention.author_id is None or mention.ours or (mention.thread or mention.in_reply_to) is None:
            return None
        where = Mention.thread == mention.thread if mention.thread else Mention.in_reply_to == mention.in_reply_to
        same = (
            Mention.channel == self.channel,
            where,
            Mention.author_id == mention.author_id,
            Mention.id != mention.id,
        )
        return select(Mention.case_id).where(*same).order_by(Mention.published_at, Mention.id).limit(1)

    # -- ours, spread, and what was waiting ---------------------------------------------------------------------

    def _place_ours(self, mention: Mention, above: _Above) -> None:
        """Our own message: the echo of an answer sent from here, or one written in the network's own app."""
        reply = self._reply_sent(mention.external_id) or self._unsure_reply(mention, above)
        if reply is not None:
            mention.case_id = reply.case_id
            reply.mention_id = mention.id
            if reply.status == ReplyStatus.sent and reply.external_id is None:
                reply.external_id, reply.url = mention.external_id, mention.url
            self.db.flush()
            answering.reply_sent(
                self.db,
                reply.id,
                external_id=mention.external_id,
                url=mention.url,
                sent_at=mention.published_at,
                actor=ACTOR,
                at=self.at,
            )
        elif above.case_id is not None:
            self._answered(mention, above.case_id, above.context[0] if above.context else above.parent)

    def _answered(self, mention: Mention, case_id: int, parent: Mention | None) -> None:
        known = parent is not None and parent.case_id is not None
        case = cases.get(self.db, case_id) if known else self._goes_on_in(case_id)
        answering.reply_seen(
            self.db,
            case.id,
            mention,
            to_mention_id=parent.id if parent and not parent.ours else None,
            author_name=mention.author.name if mention.author else None,
            actor=ACTOR,
            at=self.at,
        )

    def _unsure_reply(self, mention: Mention, above: _Above) -> Reply | None:
        """An answer in this case whose fate was unknown, or that a person found there: the same words, seen now.

        Networks move an answer to an answer to where they hang such, so the message right above need not be the same.
        """
        if above.case_id is None:
            return None
        unsure = Reply.status.in_((ReplyStatus.calling, ReplyStatus.uncertain))
        confirmed = (Reply.status == ReplyStatus.sent) & (Reply.origin == ReplyOrigin.gensvar)
        candidates = select(Reply).where(
            Reply.case_id == above.case_id, ~Reply.private, Reply.external_id.is_(None), unsure | confirmed
        )
        same = [
            reply for reply in self.db.scalars(candidates.order_by(Reply.id)) if same_words(reply.body, mention.text)
        ]
        right_above = [reply for reply in same if above.parent is not None and reply.to_mention_id == above.parent.id]
        return next(iter(right_above or same), None)

    def _spread(self, mention: Mention, case_id: int | None) -> None:
        if case_id is not None:
            cases.reposted(self.db, case_id, mention, actor=ACTOR, at=self.at)

    def _adopt(self, mention: Mention, below: list[Mention]) -> None:
        """What came before the message it answers, or before its author had a case, now finds its place."""
        waiting = [(mention, below)]
        if mention.case_id is not None and not (mention.ours or mention.context or mention.repost):
            for context in self._context_by_thread(mention):
                context.case_id = mention.case_id
                waiting.append((context, self._below(context, self._ids(context))))
        while waiting:
            top, below = waiting.pop()
            for child in below:
                if child.case_id is not None:
                    self._join(child, top)
                elif top.case_id is not None and child.repost:
                    self._spread(child, top.case_id)
                elif top.case_id is not None and (child.ours or child.context):
                    if child.ours:
                        self._answered(child, top.case_id, top)
                    else:
                        child.case_id = top.case_id
                    waiting.append((child, self._below(child, self._ids(child))))

    def _context_by_thread(self, mention: Mention) -> list[Mention]:
        """What the same author wrote in the thread, brought along with an answer of ours, at an unknown place."""
        if mention.author_id is None or mention.thread is None:
            return []
        same = (
            Mention.channel == self.channel,
            Mention.thread == mention.thread,
            Mention.author_id == mention.author_id,
        )
        orphans = select(Mention).where(*same, Mention.context, Mention.case_id.is_(None))
        return [orphan for orphan in self.db.scalars(orphans) if not self._climb(orphan).known]

    def _join(self, child: Mention, top: Mention) -> None:
        """The child opened a case of its own because what it answers was not known then."""
        if child.ours or child.repost or child.case_id is None or child.case_id == top.case_id:
            return
        if top.case_id is None:
            if not top.ours:
                top.case_id = child.case_id  # something above it that does not itself concern us
            return
        case, target = cases.get(self.db, child.case_id), self._goes_on_in(top.case_id)
        if target.id == case.id or case.thread is None or case.imported != target.imported:
            return  # put apart by a person, or one of them history: stays as it is
        if CaseStatus.closed in (case.status, target.status) and not case.imported:
            return  # closed by a person or by age
        merging.merge(self.db, case.id, into=target.id, actor=ACTOR, at=self.at)

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
            if mention.external_id not in snapshot.ids and mention.external_id != snapshot.thread:
                mention.deleted_at = self.at
                self._changed(mention, "mention_deleted")


@dataclass(frozen=True)
class _Above:
    """What stands above a mention: a case or none, context that has no case yet, whether the chain is known."""

    case_id: int | None
    context: list[Mention]
    known: bool
    parent: Mention | None


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


def _case_below(below: list[Mention]) -> int | None:
    """The case of an answer that came first: the matter began above it."""
    return next((m.case_id for m in below if m.case_id is not None and not m.ours and not m.repost), None)


def same_words(one: str, other: str) -> bool:
    """Equal but for what networks change: links, leading @names, spaces, quotation marks and dashes, case."""
    return _bare(one) == _bare(other)


def _host(url: str | None) -> str | None:
    return urlsplit(url).hostname if url else None


def _bare(text: str) -> str:
    text = re.sub(r"https?://\S+|\S*\w\.\w\S*", "", text)
    text = re.sub(r"^(\s*@\w+)+", "", text)
    return re.sub(r"[\W_]+", "", text).casefold()


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
