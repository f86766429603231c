"""The one door by which a reply leaves: accepted here, claimed once, called once, and what is unknown is looked up.

(``in_review`` →) ``held`` (may be undone) → ``queued`` → ``calling`` (committed before the network call) → ``sent`` |
``failed`` | ``uncertain``. A process that dies while calling leaves ``calling`` behind; whoever finds it makes it
uncertain. An uncertain reply is looked up on the network, and otherwise shown to a person: it is never sent again by
itself.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import select, update
from sqlalchemy.orm import Session

import channels
import pictures
from database import Database, lock, storable
from errors import (
    CannotReply,
    GensvarError,
    InvalidInput,
    InvalidTransition,
    NotFoundError,
    Reason,
    ReplyError,
    ReplyUncertain,
)
from house import House
from models import Account, Case, Mention, Reply, ReplyOrigin, ReplyStatus, Then, User
from money import spend
from replies import hiding
from replies.base import Enclosed, Outgoing, Receipt, Replier
from triage import answering, cases

log = logging.getLogger("gensvar.outbox")

ACTOR = "outbox"
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)  # passing errors and look-ups; then a person decides
AT_ONCE = 4  # replies on their way at the same time, so that one slow network does not hold up the others

Now = Callable[[], datetime]


# -- accepting --------------------------------------------------------------------------------------------------------


def submit(
    db: Session,
    house: House,
    case_id: int,
    *,
    body: str,
    user: User,
    at: datetime,
    to_mention_id: int | None = None,
    then: Then = Then.keep,
    private: bool = False,
    idempotency_key: str | None = None,
    version: int | None = None,
    not_before: datetime | None = None,
    picture_ids: Collection[int] = (),
) -> Reply:
    """Accept an answer, or refuse it now if it cannot succeed; a second pair of eyes may have to approve it.

    ``to_mention_id`` None: the latest mention by somebody else that can be answered. ``version``: of the case as the
    writer saw it. ``not_before``: its turn among many; it may be undone until then. ``picture_ids``: of the writer's
    draft. Raises ``InvalidInput``, ``TooLong``, ``CannotReply``, ``StaleCase``, ``InvalidTransition``,
    ``NotFoundError``.
    """
    case = cases.get(db, case_id)
    if idempotency_key is not None:
        known = db.scalar(select(Reply).where(Reply.idempotency_key == idempotency_key))
        if known is not None and known.case_id == case_id:
            return known
        if known is not None:
            raise InvalidInput("This key was used for an answer in another case.", {"idempotency_key": "use a new one"})
    body = storable(body).strip()
    if not body:
        raise InvalidInput("The answer is empty.", {"body": "write something"})
    if version is not None:
        cases.check_nothing_said_since(db, case_id, version)
    mention = answered_mention(db, case, to_mention_id, private)
    account = db.get(Account, mention.account_id) if mention.account_id else None
    if account is None:
        raise CannotReply(
            "no_account", "No account of ours can answer there. Answer on the network, then note it here."
        )
    replier(house, mention.channel, account).check(outgoing(mention, body, private, at))
    takes = None if private else channels.capabilities(mention.channel).pictures
    enclosed = pictures.chosen(db, case_id, user.id, picture_ids, takes)
    made = answering.reply(
        db,
        case_id,
        body=body,
        to_mention_id=mention.id,
        user=user,
        then=then,
        private=private,
        hold=max(house.settings.replies.hold_for(mention.channel), (not_before or at) - at),
        idempotency_key=idempotency_key,
        account_id=account.id,
        at=at,
    )
    pictures.go_with(db, enclosed, made)
    return made


def approve(db: Session, house: House, reply_id: int, *, user: User, at: datetime, version: int | None = None) -> Reply:
    """A second pair of eyes lets an answer go. ``version``: of the case as they saw it.

    Raises ``StaleCase``, ``InvalidTransition``, ``NotFoundError``.
    """
    waiting = db.get(Reply, reply_id)
    if waiting is None:
        raise NotFoundError(f"There is no reply {reply_id}.")
    cases.get(db, waiting.case_id)  # locked: from here on nobody writes in it
    if version is not None:
        cases.check_nothing_said_since(db, waiting.case_id, version)
    hold = house.settings.replies.hold_for(waiting.channel)
    return answering.approve_reply(db, reply_id, hold=hold, user=user, at=at)


def answered_mention(db: Session, case: Case, mention_id: int | None, private: bool) -> Mention:
    theirs = select(Mention).where(
        Mention.case_id == case.id, ~Mention.ours, ~Mention.repost, Mention.deleted_at.is_(None)
    )
    if mention_id is not None:
        found = db.scalar(theirs.where(Mention.id == mention_id))
        if found is None:
            raise InvalidInput("There is no such mention to answer in this case.", {"to_mention": "choose another"})
    else:
        latest = theirs.where(~Mention.context).order_by(Mention.published_at.desc(), Mention.id.desc())
        able = Mention.can_reply_privately if private else Mention.can_reply
        found = db.scalar(latest.where(able).limit(1)) or db.scalar(latest.limit(1))
        if found is None:
            raise CannotReply("gone", "Everything in this case has been deleted on the network.")
    if private and not found.can_reply_privately:
        raise CannotReply("not_privately", "The network does not take a private answer to this.")
    if not private and not found.can_reply:
        reason = found.can_reply_reason or "no_network"
        raise CannotReply(
            reason, "The network does not take an answer to this from here. Answer there, then note it here."
        )
    return found


def outgoing(mention: Mention, body: str, private: bool, since: datetime | None, *, again: bool = False) -> Outgoing:
    return Outgoing(body, mention.external_id, private, mention.reply_address, since, again)


def replier(house: House, channel: str, account: Account) -> Replier:
    path = channels.channel(channel).replier
    if path is None:
        raise CannotReply(
            "no_network", "This channel has no network to answer on. Answer elsewhere, then note it here."
        )
    made: Replier = channels.load(path)(house.account(account.name), house.http)
    return made


def _hold_back(db: Session, postponed: Reply, until: datetime) -> None:
    """An account that is told to wait waits with everything it has: the others follow one by one at its pace."""
    lock(db, f"pace-{postponed.account_id}")
    waiting = (
        Reply.account_id == postponed.account_id,
        Reply.status.in_((ReplyStatus.held, ReplyStatus.queued)),
        Reply.id != postponed.id,
    )
    pace = channels.capabilities(postponed.channel).pace
    turn = until
    for other in db.scalars(select(Reply).where(*waiting).order_by(Reply.not_before, Reply.id)):
        turn += pace
        if other.not_before is None or other.not_before >= turn:
            break
        other.not_before = turn


# -- sending ----------------------------------------------------------------------------------------------------------


def anything(database: Database, at: datetime) -> bool:
    """Is there anything to do? Mostly not, and finding that out costs four look-ups in indexes."""
    if hiding.anything(database, at):
        return True
    with database.read() as db:
        return any(
            db.scalar(select(Reply.id).where(*what).limit(1)) is not None
            for what in (
                (Reply.status.in_((ReplyStatus.held, ReplyStatus.queued)), Reply.not_before <= at),
                (Reply.status == ReplyStatus.uncertain, Reply.next_lookup_at <= at),
                (Reply.status == ReplyStatus.calling,),
            )
        )


@dataclass(frozen=True)
class Delivered:
    """What became of one reply in a pass."""

    reply_id: int
    case_id: int
    status: ReplyStatus
    error: str | None


class Outbox:
    """A worker that delivers. While it lives it holds a lock by its name, so that others can tell when it died."""

    def __init__(self, house: House, now: Now) -> None:
        self.house, self.now = house, now
        self.name = ""
        self.stopping = threading.Event()  # no new call is begun once it is set
        self._holding = ExitStack()
        self._under_way: set[int] = set()

    def __enter__(self) -> Self:
        names = (f"worker-{number}" for number in itertools.count())  # the first that no living worker bears
        self.name = next(name for name in names if self._holding.enter_context(self.house.database.holding(name)))
        self._bury(self.name)  # whoever bore the name before is gone
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holding.close()

    def run(self) -> list[Delivered]:
        """One pass: what is past its hold is sent, what is uncertain and due is looked up, what others wrote is hidden.

        Waits for the outcomes.
        """
        if not anything(self.house.database, self.now()):
            return []
        self._find_the_dead()
        with self.house.database.transaction() as db:
            at = self.now()
            held = (Reply.status == ReplyStatus.held, Reply.not_before <= at)
            db.execute(update(Reply).where(*held).values(status=ReplyStatus.queued))
            unsure = (Reply.status == ReplyStatus.uncertain, Reply.next_lookup_at <= at)
            queued = (Reply.status == ReplyStatus.queued, Reply.not_before <= at)
            to_find = list(db.scalars(select(Reply.id).where(*unsure).order_by(Reply.id)))
            to_send = list(db.scalars(select(Reply.id).where(*queued).order_by(Reply.not_before, Reply.id)))
        work = [(self._look_up, reply_id) for reply_id in to_find] + [(self._send, reply_id) for reply_id in to_send]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="outbox") as pool:
            hidden = pool.submit(hiding.deliver, self.house, self.now, replier, self.stopping)
            delivered = [outcome for outcome in pool.map(self._one, work) if outcome is not None]
            hidden.result()
            return delivered

    def _one(self, work: tuple[Callable[[int], Delivered | None], int]) -> Delivered | None:
        """One reply; what goes wrong with it does not keep the others back. Left calling, it is buried next time."""
        do, reply_id = work
        if self.stopping.is_set():
            return None
        self._under_way.add(reply_id)
        try:
            return do(reply_id)
        except Exception:
            log.exception("reply %s: what became of it could not be written down", reply_id)
            return None
        finally:
            self._under_way.discard(reply_id)

    def _find_the_dead(self) -> None:
        """A reply left in ``calling`` by a process that is gone: nobody knows how far its call came."""
        with self.house.database.read() as db:
            calling = select(Reply.worker).where(Reply.status == ReplyStatus.calling, Reply.worker.is_not(None))
            workers = {str(worker) for worker in db.scalars(calling)}
        self._bury(self.name)
        for worker in workers - {self.name}:
            with self.house.database.holding(worker) as dead:
                if dead:
                    self._bury(worker)

    def _bury(self, worker: str) -> None:
        with self.house.database.read() as db:
            calling = select(Reply.id).where(Reply.status == ReplyStatus.calling, Reply.worker == worker)
            left = set(db.scalars(calling)) - self._under_way
        for reply_id in sorted(left):
            self._uncertain(reply_id, "Gensvar was stopped in the middle of the call.")

    def _send(self, reply_id: int) -> Delivered | None:
        house = self.house
        with house.database.transaction() as db:  # committed before the call: from here on it may be out
            if not answering.reply_called(db, reply_id, worker=self.name, at=self.now()):
                return None  # another worker was first
            reply = db.get_one(Reply, reply_id)
            mention = db.get_one(Mention, reply.to_mention_id)
            account = db.get_one(Account, reply.account_id)
            sending = outgoing(mention, reply.body, reply.private, reply.created_at, again=reply.attempts > 1)
            enclosed = [Enclosed(each.media_type, each.body, each.alt) for each in pictures.of_reply(db, reply_id)]
            sending = replace(sending, pictures=tuple(enclosed))
        try:
            network = replier(house, reply.channel, account)
            network.check(sending)
        except GensvarError as error:  # nothing has been called yet
            self._failed(reply_id, Reason.bad_request, str(error))
            return self._outcome(reply_id)
        try:
            receipt = network.send(sending)
        except ReplyUncertain as error:
            self._uncertain(reply_id, str(error))
        except ReplyError as error:
            self._refused(reply, error)
        except Exception as error:  # after the call may have begun, anything unforeseen leaves the outcome unknown
            log.exception("reply %s: the call broke off", reply_id)
            self._uncertain(reply_id, f"Unexpected {type(error).__name__}; the log has the details.")
        else:
            self._sent(reply_id, account.id, receipt)
        return self._outcome(reply_id)

    def _look_up(self, reply_id: int) -> Delivered | None:
        house = self.house
        with house.database.read() as db:
            reply = db.get_one(Reply, reply_id)
            mention = db.get_one(Mention, reply.to_mention_id)
            account = db.get_one(Account, reply.account_id)
        if reply.status != ReplyStatus.uncertain:
            return None
        if not channels.capabilities(reply.channel).lookup:
            self._next_look_up(reply_id, None)
            return None
        since = reply.created_at  # not of the last call: an earlier one may have been the one that went out
        try:
            receipt = replier(house, reply.channel, account).find(outgoing(mention, reply.body, reply.private, since))
        except GensvarError as error:
            log.warning("reply %s: the look-up failed: %s", reply_id, error)
            receipt = None
        except Exception:  # a look-up that breaks off must wait for its next time like one that fails
            log.exception("reply %s: the look-up broke off", reply_id)
            receipt = None
        if receipt is not None and not self._is_another(reply, receipt):
            self._sent(reply_id, account.id, receipt)
        else:
            self._next_look_up(reply_id, reply.called_at)
        return self._outcome(reply_id)

    def _is_another(self, reply: Reply, receipt: Receipt) -> bool:
        """The same words may have been answered before, to the same message."""
        same = (Reply.channel == reply.channel, Reply.external_id == receipt.external_id, Reply.id != reply.id)
        written_here = Reply.origin != ReplyOrigin.network  # what was collected may be this very one
        with self.house.database.read() as db:
            return db.scalar(select(Reply.id).where(*same, written_here)) is not None

    def _next_look_up(self, reply_id: int, called_at: datetime | None) -> None:
        """At growing intervals for a day; after that a person decides."""
        at = self.now()
        with self.house.database.transaction() as db:
            answering.reply_in_doubt(db, reply_id, actor=ACTOR, at=at)
            reply = db.get_one(Reply, reply_id)
            reply.lookups += 1
            due = at + min(FIRST_RETRY * 2 ** min(reply.lookups, 12), LONGEST_RETRY)
            too_late = called_at is None or due > called_at + GIVE_UP_AFTER
            reply.next_lookup_at = None if too_late else due

    def _sent(self, reply_id: int, account_id: int, receipt: Receipt) -> None:
        at = self.now()
        with self.house.database.transaction() as db:
            answering.reply_sent(
                db,
                reply_id,
                external_id=receipt.external_id,
                url=receipt.url,
                awaiting_moderation=receipt.awaiting_moderation,
                sent_at=receipt.published_at or at,
                actor=ACTOR,
                at=at,
            )
            if receipt.micro_usd:
                spend(db, account_id, None, operation="reply", units=1, micro_usd=receipt.micro_usd, at=at)

    def _refused(self, reply: Reply, error: ReplyError) -> None:
        """A definite no: for good, or until the network says or a growing pause is over; a day at most."""
        at = self.now()
        until = at + min(FIRST_RETRY * 2 ** min(reply.attempts - 1, 12), LONGEST_RETRY)
        if error.retry_at is not None and error.retry_at > at:
            until = error.retry_at
        if error.permanent or until > reply.created_at + GIVE_UP_AFTER:
            self._failed(reply.id, error.reason, str(error))
            return
        with self._settling(reply.id) as db:
            answering.reply_postponed(
                db, reply.id, until=until, reason=error.reason, error=str(error), actor=ACTOR, at=at
            )
        if error.reason == Reason.rate_limited:
            with self.house.database.transaction() as db:
                _hold_back(db, reply, until)

    def _failed(self, reply_id: int, reason: str, error: str) -> None:
        with self._settling(reply_id) as db:
            answering.reply_failed(db, reply_id, reason=reason, error=error, actor=ACTOR, at=self.now())

    def _uncertain(self, reply_id: int, error: str) -> None:
        at = self.now()
        with self._settling(reply_id) as db:
            answering.reply_uncertain(db, reply_id, error=error, lookup_at=at, actor=ACTOR, at=at)

    @contextmanager
    def _settling(self, reply_id: int) -> Iterator[Session]:
        """It may have been collected from the network while we waited for an answer: then it is known to be sent."""
        try:
            with self.house.database.transaction() as db:
                yield db
        except InvalidTransition:
            log.info("reply %s was settled meanwhile", reply_id)

    def _outcome(self, reply_id: int) -> Delivered:
        with self.house.database.read() as db:
            reply = db.get_one(Reply, reply_id)
            return Delivered(reply.id, reply.case_id, ReplyStatus(reply.status), reply.error)
