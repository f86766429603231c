"""Hiding what others wrote: which messages a network lets us hide, and asking it to.

What is wanted is committed first (``Hiding``). Asking a network twice for the same does no harm, so unlike an answer
it is simply asked again until it has said yes or no: after a crash, after a time-out, after an error that passes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

import channels
from database import Database
from errors import ChannelError, GensvarError, InvalidTransition, NotFoundError, Reason
from house import House
from models import Account, CaseEvent, Hiding, Mention, User
from replies.base import Replier
from triage import hiding

log = logging.getLogger("gensvar.hiding")

ACTOR = "outbox"
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
OF_ALL = frozenset({Reason.rate_limited, Reason.out_of_credit, Reason.unavailable})  # says so to every call just now

Now = Callable[[], datetime]
Network = Callable[[House, str, Account], Replier]


def why_not(db: Session, mentions: Collection[Mention]) -> dict[int, str | None]:
    """Of each message why it cannot be hidden on its network, a code, or None when it can."""
    tops: dict[str, set[str]] = {}
    for each in mentions:
        tops.setdefault(each.channel, set()).add(each.thread or "")
    began = {
        (channel, external_id)
        for channel, threads in tops.items()
        for external_id in db.scalars(
            select(Mention.external_id).where(
                Mention.channel == channel, Mention.external_id.in_(threads), Mention.ours
            )
        )
    }
    return {each.id: _why_not(each, (each.channel, each.thread) in began) for each in mentions}


def _why_not(mention: Mention, began: bool) -> str | None:
    hides = channels.capabilities(mention.channel).hides
    if hides is None:
        return "no_network"
    if mention.ours or mention.repost:
        return "not_theirs"
    if mention.deleted_at is not None:
        return "deleted"
    if mention.account_id is None:
        return "no_account"
    return hides.why_not(mention.reply_address, began)


def submit(
    db: Session, mention_id: int, *, hide: bool, reason: str | None = None, user: User, at: datetime
) -> CaseEvent | None:
    """Accept the wish to hide a message or to show it again, or refuse it now if it cannot succeed.

    Raises ``InvalidInput`` without a reason to hide it, ``InvalidTransition``, ``NotFoundError``.
    """
    mention = db.get(Mention, mention_id)
    if mention is None or mention.context or mention.repost:
        raise NotFoundError(f"There is no mention {mention_id}.")
    # What we have hidden we may show again, whatever has come since.
    ours = not hide and db.get(Hiding, mention_id) is not None
    if not ours and (code := why_not(db, [mention])[mention_id]):
        raise InvalidTransition(f"The network does not let us hide this message ({code}).")
    return hiding.want(db, mention_id, hide=hide, reason=reason, user=user, actor=user.email, at=at)


def anything(database: Database, at: datetime) -> bool:
    with database.read() as db:
        return db.scalar(select(Hiding.mention_id).where(Hiding.due_at <= at).limit(1)) is not None


def deliver(house: House, now: Now, network: Network, stopping: threading.Event) -> None:
    """One pass over what is due, in the order in which it was wanted. One worker at a time, so that *show again* never
    overtakes *hide*; who holds the lock and dies has lost nothing."""
    with house.database.holding("hiding") as mine:
        if not mine:
            return
        with house.database.read() as db:
            due = list(db.scalars(select(Hiding.mention_id).where(Hiding.due_at <= now()).order_by(Hiding.asked_at)))
        deaf: dict[int, ChannelError] = {}
        for mention_id in due:
            if stopping.is_set():
                return
            try:
                _ask(house, now, network, mention_id, deaf)
            except Exception:  # one that cannot be written down does not keep the others back
                log.exception("message %s: what became of hiding it could not be written down", mention_id)


def _ask(house: House, now: Now, network: Network, mention_id: int, deaf: dict[int, ChannelError]) -> None:
    """``deaf``: what accounts were told in this pass that holds for all they ask; they ask no more in it, since each
    call may hang."""
    with house.database.read() as db:
        wish, mention = db.get_one(Hiding, mention_id), db.get_one(Mention, mention_id)
        account = db.get(Account, mention.account_id) if mention.account_id else None
    if account is None:
        _refused(house, now, wish, ChannelError(Reason.forbidden, "The account it was found through is gone."))
        return
    if account.id in deaf:
        _refused(house, now, wish, deaf[account.id])
        return
    try:
        network(house, mention.channel, account).hide(mention.external_id, mention.reply_address, wish.hide)
    except ChannelError as error:
        if error.reason in OF_ALL:
            deaf[account.id] = error
        _refused(house, now, wish, error)
    except GensvarError as error:  # nothing has been called: the account is not in the configuration any more
        _refused(house, now, wish, ChannelError(Reason.bad_request, str(error)))
    except Exception as error:
        log.exception("message %s: asking the network to hide it broke off", mention_id)
        words = f"Unexpected {type(error).__name__}; the log has the details."
        _refused(house, now, wish, ChannelError(Reason.bad_payload, words))
    else:
        with house.database.transaction() as db:
            hiding.done(db, mention_id, hide=wish.hide, actor=ACTOR, at=now())


def _refused(house: House, now: Now, wish: Hiding, error: ChannelError) -> None:
    """For good, or until the network says or a growing pause is over; a day at most."""
    at = now()
    until = at + max(FIRST_RETRY, min(at - wish.asked_at, LONGEST_RETRY))
    if error.retry_at is not None and error.retry_at > at:
        until = error.retry_at
    with house.database.transaction() as db:
        if error.permanent or until > wish.asked_at + GIVE_UP_AFTER:
            hiding.failed(
                db, wish.mention_id, hide=wish.hide, reason=error.reason, error=str(error), actor=ACTOR, at=at
            )
        else:
            hiding.postponed(db, wish.mention_id, hide=wish.hide, until=until, reason=error.reason, error=str(error))
