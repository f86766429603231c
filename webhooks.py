"""Messages to other systems: what rules want told is posted, again after growing pauses for a day, then given up.

The body is the event as ``GET /api/v1/events`` gives it. A receiver may get the same twice, when its answer was lost;
the header ``Gensvar-Delivery`` is the same then.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import Select, select

from database import Database
from errors import ChannelError
from events import EventShape, event_shape
from house import House
from models import CaseEvent, Webhook
from outbound import without_secrets
from triage import cases

log = logging.getLogger("gensvar.webhooks")

ACTOR = "webhooks"
GIVEN_UP = "webhook_failed"
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=1)
AT_ONCE = 4  # calls at the same time, so that one slow receiver does not hold up the others
IN_A_PASS = 200
ANSWER_BYTES = 64 * 1024  # nothing in an answer is read but its status

_ADDRESS = re.compile(r"https?://\S*[^\s:]", re.IGNORECASE)  # in a message it may be spelt otherwise than it was given

Now = Callable[[], datetime]


@dataclass(frozen=True)
class Called:
    """What became of one message in a pass. With an error: tried again at ``again_at``, or (None) given up."""

    id: int
    host: str
    error: str | None
    again_at: datetime | None


def anything(database: Database, at: datetime) -> bool:
    """Is there anything to deliver? Mostly not, and finding that out costs one look-up in an index."""
    with database.read() as db:
        return db.scalar(_due(at).limit(1)) is not None


def _due(at: datetime) -> Select[int]:
    return select(Webhook.id).where(Webhook.due_at <= at).order_by(Webhook.due_at, Webhook.id)


def deliver(house: House, now: Now, stopping: threading.Event | None = None) -> list[Called]:
    """One pass over what is due. While another one is at it, wherever that is, nothing is done."""
    if not anything(house.database, now()):
        return []
    with house.database.holding(ACTOR) as mine:
        if not mine:
            return []
        with house.database.read() as db:
            waiting = list(db.scalars(_due(now()).limit(IN_A_PASS)))
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
            done = pool.map(lambda id: None if stopping and stopping.is_set() else _call(house, id, now), waiting)
            return [called for called in done if called is not None]


def _call(house: House, id: int, now: Now) -> Called:
    with house.database.transaction() as db:  # written down first: whoever dies in the call is not at it again at once
        message = db.get_one(Webhook, id)
        event = db.get_one(CaseEvent, message.event_id)
        message.attempts += 1
        again_at = now() + min(FIRST_RETRY * 2 ** min(message.attempts - 1, 12), LONGEST_RETRY)
        message.due_at = again_at
    error = _post(house, message, event_shape(event))
    host = urlsplit(message.url).hostname or ""  # the rest of an address is often a secret
    too_late = again_at > event.at + GIVE_UP_AFTER
    with house.database.transaction() as db:
        message = db.get_one(Webhook, id)
        message.error = error
        if error is None:
            message.delivered_at = now()
        if error is None or too_late:
            message.due_at = None
        if error is not None and too_late:
            changes = {"webhook": [None, host], "error": [None, error]}
            cases.record(db, event.case_id, GIVEN_UP, actor=ACTOR, at=now(), changes=changes)
    return Called(id, host, error, None if error is None or too_late else again_at)


def _post(house: House, message: Webhook, body: EventShape) -> str | None:
    """None: the receiver has it. Else why not, in words without the address."""
    headers = {"Gensvar-Delivery": str(message.id)}
    try:
        answer = house.http.fetch(message.url, method="POST", headers=headers, json=body, limit=ANSWER_BYTES)
    except ChannelError as error:
        host = urlsplit(message.url).hostname or ""
        return _ADDRESS.sub(host, str(error).replace(without_secrets(message.url), host))
    return None if 200 <= answer.status < 300 else f"it answered {answer.status}"
