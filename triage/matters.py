"""Everyday matters and what they are called in the languages around us: ``words/concepts.tsv``, and the words that say
nothing: ``words/empty.txt``. So that "strømmen er væk" and "power cut" are the same matter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

NEAR = 12  # words between a thing and its trouble at most

_WORDS = Path(__file__).parent / "words"
# Neighbours read each other's words, and nobody's language is known for sure in five words.
_GROUP = {"sv": "nordic", "da": "nordic", "nb": "nordic", "nn": "nordic", "no": "nordic"}


@dataclass(frozen=True)
class Dictionary:
    words: dict[str, dict[str, tuple[str, ...]]]  # language group -> word or prefix* -> matters
    phrases: dict[str, dict[str, list[tuple[tuple[str, ...], str]]]]  # group -> first word -> (words, matter)
    made: dict[str, list[tuple[str, str]]]  # thing -> (trouble, the matter they make together)
    troubles: frozenset[str]  # nothing by themselves
    longest: int  # letters of a word


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    words: dict[str, dict[str, tuple[str, ...]]] = {}
    phrases: dict[str, dict[str, list[tuple[tuple[str, ...], str]]]] = {}
    made: dict[str, list[tuple[str, str]]] = {}
    for line in (_WORDS / "concepts.tsv").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        matter, language, said = line.split("\t")
        group = _GROUP.get(language, language)
        for each in said.split(", "):
            if language == "=":
                thing, trouble = each.split(" + ")
                made.setdefault(thing, []).append((trouble, matter))
            elif " " in each:
                parts = tuple(each.split(" "))
                phrases.setdefault(group, {}).setdefault(parts[0], []).append((parts, matter))
            else:
                known = words.setdefault(group, {})
                known[each] = tuple(dict.fromkeys((*known.get(each, ()), matter)))
    troubles = frozenset(trouble for both in made.values() for trouble, _ in both) - made.keys()
    return Dictionary(words, phrases, made, troubles, max(len(each) for known in words.values() for each in known))


@lru_cache(maxsize=1)
def empty() -> frozenset[str]:
    lines = (_WORDS / "empty.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def is_thing(matter: str) -> bool:
    """Something that can have different troubles (the power, a bus): sharing it says less than sharing its trouble."""
    return matter in dictionary().made


def matters(words: list[str], language: str | None) -> set[str]:
    """What these words (lower case, in order) name, read in that language, or in any when it is not known."""
    known = dictionary()
    spoken = _GROUP.get(language or "", language or "")
    at: dict[str, list[int]] = {}
    for group in [spoken] if spoken in known.words else known.words:
        phrases = known.phrases.get(group, {})
        for place, word in enumerate(words):
            for matter in _named(word, group):
                at.setdefault(matter, []).append(place)
            for parts, matter in phrases.get(word, ()):
                if _stands(parts, words[place : place + len(parts)]):
                    at.setdefault(matter, []).append(place)
    for thing in at.keys() & known.made.keys():
        for trouble, matter in known.made[thing]:
            if trouble in at and any(abs(x - y) <= NEAR for x in at[thing] for y in at[trouble]):
                at.setdefault(matter, [])
    return at.keys() - known.troubles


def _stands(parts: tuple[str, ...], there: list[str]) -> bool:
    return len(parts) == len(there) and all(
        word.startswith(part[:-1]) if part.endswith("*") else word == part
        for part, word in zip(parts, there, strict=True)
    )


@lru_cache(maxsize=20_000)
def _named(word: str, group: str) -> tuple[str, ...]:
    """What one word names: itself, else its longest known beginning of three letters or more."""
    table = dictionary().words[group]
    bare = re.split("['’]", word)[0]  # the power's, app'en
    beginnings = (bare[:end] + "*" for end in range(min(len(bare), dictionary().longest), 2, -1))
    return (
        table.get(word.replace("’", "'"))
        or table.get(bare)
        or next((table[each] for each in beginnings if each in table), ())
    )
