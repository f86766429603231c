"""Who writes matters: what is worth knowing of an author before one answers. Reasons, never a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

MANY = 5  # times as many followers as is usual on the channel
FEW_KNOWN = 10  # authors known on a channel, below which nothing is usual there


@dataclass(frozen=True)
class Facts:
    """``usual``: followers of other authors on the channel, a sample. ``started``: earlier stories that began with
    them; ``joined``: earlier stories they took part in, those included. ``urls``: theirs, and of what they wrote."""

    followers: int | None
    usual: Sequence[int]
    started: int
    joined: int
    urls: Sequence[str]


@dataclass(frozen=True)
class Reason:
    """``code``: press, followers, started, joined; ``values`` for its words."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)


def reasons(facts: Facts) -> list[Reason]:
    """What makes this author more heard than others, the strongest first; empty for nearly everybody."""
    found = []
    paper = next((name for url in facts.urls if (name := press(url)) is not None), None)
    if paper is not None:
        found.append(Reason("press", {"name": paper}))
    if facts.followers is not None and len(facts.usual) >= FEW_KNOWN:
        usual = max(median(facts.usual), 1)
        if facts.followers >= MANY * usual:
            found.append(Reason("followers", {"followers": facts.followers, "times": round(facts.followers / usual)}))
    if facts.started:
        found.append(Reason("started", {"stories": facts.started}))
    if facts.joined > facts.started:
        found.append(Reason("joined", {"stories": facts.joined}))
    return found


def press(url: str | None) -> str | None:
    """The newspaper or broadcaster that publishes at this address, None for all others."""
    try:
        host = (urlsplit(url or "").hostname or "").lower()
    except ValueError:
        return None
    while host:
        if (name := hosts().get(host)) is not None:
            return name
        host = host.partition(".")[2]
    return None


@lru_cache(maxsize=1)
def hosts() -> dict[str, str]:
    """``triage/words/press.tsv``: host -> name."""
    lines = (Path(__file__).parent / "words" / "press.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {host: name for host, _, name in rows}
