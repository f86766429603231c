"""What every judge answers with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """A judge's answer: the value, how sure of it, and the words that decided.

    ``confidence`` runs from 0 to 1. ``because`` holds at most five words or phrases as they stand in the text, the most
    telling first.
    """

    value: str
    confidence: float
    because: tuple[str, ...] = ()
