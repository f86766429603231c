"""An event as other systems get it: the API's event stream and webhooks give the same.

Times are RFC 3339 in UTC, persons are e-mail addresses, a case is its number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import WithJsonSchema
from typing_extensions import TypedDict  # pydantic reads the one in typing only from Python 3.12 on

from models import CaseEvent, CaseStatus

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]

# "from" is a word of Python, hence this form
EventShape = TypedDict(
    "EventShape",
    {
        "type": Literal["event"],
        "id": int,
        "case": int,
        "action": str,
        "actor": str,
        "from": NotRequired[CaseStatus | None],
        "to": NotRequired[CaseStatus | None],
        "changes": dict[str, list[Any]],
        "mention": int | None,
        "reply": int | None,
        "note": int | None,
        "at": Instant,
    },
)
EventShape.__doc__ = (
    "A change of a case. `from` and `to` are statuses, and absent where the status was not asked about."
)


def event_shape(event: CaseEvent) -> EventShape:
    shape: EventShape = {
        "type": "event",
        "id": event.id,
        "case": event.case_id,
        "action": event.action,
        "actor": event.actor,
        "changes": event.changes,
        "mention": event.mention_id,
        "reply": event.reply_id,
        "note": event.note_id,
        "at": rfc3339(event.at),
    }
    if event.from_status is not None or event.to_status is not None:
        shape["from"] = CaseStatus(event.from_status) if event.from_status else None
        shape["to"] = CaseStatus(event.to_status) if event.to_status else None
    return shape


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def maybe(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None
