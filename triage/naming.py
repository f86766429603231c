"""Whom a note names: ``@anna``, ``@anna@storby.example``, ``@Anna Berg``; and teams, ``@Gata``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_AT = re.compile(r"(?<![\w@.])@(?=\w)")
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Named:
    """``people``: e-mail addresses; ``teams``: names."""

    people: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()


def named(text: str, people: Iterable[tuple[str, str]], teams: Iterable[str]) -> Named:
    """``people``: (e-mail, name). The longest name behind the @ counts; two of the same name are both meant."""
    called: dict[str, tuple[set[str], set[str]]] = {}
    for email, name in people:
        for handle in (email, email.partition("@")[0], name):
            called.setdefault(_folded(handle), (set(), set()))[0].add(email)
    for team in teams:
        called.setdefault(_folded(team), (set(), set()))[1].add(team)
    longest_first = sorted(filter(None, called), key=len, reverse=True)
    found_people, found_teams = set[str](), set[str]()
    for at in _AT.finditer(text):
        behind = _folded(text[at.end() : at.end() + 200])
        for handle in longest_first:
            if behind.startswith(handle) and not _goes_on(behind[len(handle) :]):
                found_people |= called[handle][0]
                found_teams |= called[handle][1]
                break
    return Named(frozenset(found_people), frozenset(found_teams))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split(" "))


def _goes_on(rest: str) -> bool:
    """``@annan`` does not name Anna, nor does ``@anna@elsewhere.example``; a full stop may end the sentence."""
    return bool(_WORD.match(rest)) or bool(re.match(r"[@.\-]\w", rest))
