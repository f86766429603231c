"""What was changed in the administration: written down by whoever changes it, never rewritten.

``record(db, actor=…, action=…, subject="kind:name", changes={field: [old, new]}, at=…)`` stands in the transaction of
the change; ``difference(old, new)`` gives the changes of a definition. Secrets are cut out here, whatever comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from models import AuditEntry

CLI = "cli"  # who acts on the command line of the server
HIDDEN = "…"
SECRET = ("password", "token", "secret", "key")  # a field with one of these in its name is not written down
LONGEST = 500  # characters of a value; a definition may hold whole texts

Changes = Mapping[str, list[Any]]


def record(
    db: Session, *, actor: str, action: str, subject: str, changes: Changes | None = None, at: datetime
) -> AuditEntry:
    """``actor``: an e-mail address or a part of Gensvar; ``subject``: ``kind:name``."""
    told = {field: [_harmless(field, value) for value in pair] for field, pair in (changes or {}).items()}
    entry = AuditEntry(at=at, actor=actor, action=action, subject=subject, changes=told)
    db.add(entry)
    return entry


def record_export(db: Session, *, actor: str, days: str, query: str, format: str, at: datetime) -> None:
    """Whole lists of what people said leave the house: who took them, and which."""
    changes = {"query": [None, query or None], "format": [None, format]}
    record(db, actor=actor, action="export", subject=f"cases:{days}", changes=changes, at=at)


def difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Field -> [old, new] of what differs; a field within a field by its path, ``then.priority``."""
    before, after = _flat(old or {}), _flat(new or {})
    fields = dict.fromkeys((*before, *after))
    return {field: [before.get(field), after.get(field)] for field in fields if before.get(field) != after.get(field)}


def _flat(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{path}{key}.") if isinstance(inner, dict) else {f"{path}{key}": inner}
    return found


def _harmless(field: str, value: Any) -> Any:
    """Of an address only where it leads: what stands behind it may be a key."""
    if isinstance(value, dict):
        return {key: _harmless(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(field, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if any(word in field.lower() for word in SECRET):
        return HIDDEN
    text = str(value)
    if "://" in text and not any(letter.isspace() for letter in text):
        return _place(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + HIDDEN


def _place(address: str) -> str:
    try:
        parts = urlsplit(address)
        host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:  # a port that is no number
        return HIDDEN
    return f"{parts.scheme}://{host}/{HIDDEN}" if parts.path.strip("/") or parts.query else f"{parts.scheme}://{host}"
