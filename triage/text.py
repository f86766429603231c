"""Text as databases can keep it."""

from __future__ import annotations

import hashlib

LONGEST_ID = 500  # characters; PostgreSQL cannot index much longer ones


def storable(text: str) -> str:
    """The same without the characters no database keeps: NUL and halves of surrogate pairs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def identifier(text: str) -> str:
    """A network's id, storable; an absurdly long one as its digest."""
    text = storable(text)
    return text if len(text) <= LONGEST_ID else "sha256:" + hashlib.sha256(text.encode()).hexdigest()
