"""Which case a mention belongs to (docs/cases.md, "What makes one case"), found by climbing its thread.

Right in whatever order things come: when a message that was missing turns up later, what hangs below it is joined to
where it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models import Case, CaseStatus, Mention, MentionAlias, Reply, ReplyOrigin, ReplyStatus
from triage import answering, cases, merging

ACTOR = "intake"


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


@dataclass(frozen=True)
class _Above:
    """What stands above a mention: a case or none, context that has no case yet, whether the chain is known."""

    case_id: int | None
    context: list[Mention]
    known: bool
    parent: Mention | None


class Threads:
    """The threads of one batch on its way in. ``find``: what the network knows by an id, if it is stored."""

    def __init__(
        self,
        db: Session,
        channel: str,
        source_id: int | None,
        at: datetime,
        find: Callable[[str], Mention | None],
        *,
        imported: bool,
        keep_open: bool,
    ) -> None:
        self.db, self.channel, self.source_id, self.at, self._find = db, channel, source_id, at, find
        self.imported, self.keep_open = imported, keep_open

    def place(self, mention: Mention, ids: list[str]) -> None:
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
            self.wrote_in(case_id, mention)
        else:
            self._open(mention, thread=None if above.known else mention.thread or mention.in_reply_to)

    def wrote_in(self, case_id: int, mention: Mention) -> None:
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
                reply = self.reply_sent(parent_id)
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

    def reply_sent(self, external_id: str) -> Reply | None:
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
        reply = self.reply_sent(mention.external_id) or self._unsure_reply(mention, above)
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
                waiting.append((context, self._below(context, self.ids(context))))
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
                    waiting.append((child, self._below(child, self.ids(child))))

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

    def ids(self, mention: Mention) -> list[str]:
        """Every id the network has known it by."""
        aliases = select(MentionAlias.external_id).where(MentionAlias.mention_id == mention.id)
        return [mention.external_id, *self.db.scalars(aliases)]


def _case_below(below: list[Mention]) -> int | None:
    """The case of an answer that came first: the matter began above it."""
    return next((m.case_id for m in below if m.case_id is not None and not m.ours and not m.repost), None)


def same_words(one: str, other: str) -> bool:
    """Equal but for what networks change: links, leading @names, spaces, quotation marks and dashes, case."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    text = re.sub(r"https?://\S+|\S*\w\.\w\S*", "", text)
    text = re.sub(r"^(\s*@\w+)+", "", text)
    return re.sub(r"[\W_]+", "", text).casefold()
