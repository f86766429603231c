"""What a word or phrase says by itself, per language: the hand-written lists of ``triage/words``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from triage.cutting import cut

WORDS = Path(__file__).parent / "words"
LANGUAGES = ("sv", "da", "nb", "nn", "en")
# How a word feels is asked of the neighbours where its own language does not list it.
_NEIGHBOURS = {"da": ("nb", "nn"), "nb": ("nn", "da"), "nn": ("nb", "da")}
_NO_LETTERS = re.compile(r"[\d\u2000-\U0010ffff]")  # numbers and emoji, which a text is cut into differently
_LONGEST = 5  # words of a phrase


@dataclass(frozen=True)
class Lexicon:
    """``roles``: word or phrase → role → weight. ``starts``: first word of a phrase → words of the longest."""

    roles: dict[str, dict[str, float]]
    starts: dict[str, int]
    prefixes: tuple[str, ...]  # jätte-, kjempe-: make stronger what they are glued to

    def at(self, words: tuple[str, ...], place: int) -> tuple[int, dict[str, float]]:
        """What begins at ``place``: the words the longest phrase takes (1 for none), and role → weight.

        A phrase says more than the word it begins with.
        """
        word = words[place]
        roles = self.roles.get(word) or self._glued(word)
        for size in range(min(self.starts.get(word, 1), len(words) - place), 1, -1):
            found = self.roles.get(" ".join(words[place : place + size]))
            if found:
                return size, {**roles, **found}
        return 1, roles

    def _glued(self, word: str) -> dict[str, float]:
        if len(word) > 5 and word.startswith(self.prefixes):
            for prefix in self.prefixes:
                rest = self.roles.get(word.removeprefix(prefix), {})
                if "feeling" in rest and word.startswith(prefix):
                    return {"feeling": rest["feeling"] * 1.4}
        return {}


def lexicon(language: str) -> Lexicon:
    """The lists of a language; of all of them together for a language that has none."""
    return _read(language if language in LANGUAGES else "")


@cache
def _read(language: str) -> Lexicon:
    roles: dict[str, dict[str, float]] = {}
    prefixes: set[str] = set()
    own = (language,) if language else LANGUAGES
    for role, phrase, weight in (line for each in own for line in _lines(each)):
        if phrase[-1] == "-" and phrase[:-1].isalpha():
            prefixes.add(phrase[:-1])
        else:
            roles.setdefault(phrase, {}).setdefault(role, weight)
    for each in (*_NEIGHBOURS.get(language, ()), "en"):
        for role, phrase, weight in _lines(each):
            is_same_everywhere = not any(map(str.isalpha, phrase))  # emoji
            if role == "feeling" and (each != "en" or is_same_everywhere):
                roles.setdefault(phrase, {}).setdefault(role, weight)
    starts: dict[str, int] = {}
    for phrase in roles:
        first, *rest = phrase.split(" ")
        if rest:
            starts[first] = max(starts.get(first, 1), min(len(rest) + 1, _LONGEST))
    same: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}  # thousands of phrases have the same roles
    roles = {phrase: same.setdefault(tuple(entry.items()), entry) for phrase, entry in roles.items()}
    return Lexicon(roles, starts, tuple(sorted(prefixes, key=len, reverse=True)))


def _lines(language: str) -> Iterator[tuple[str, str, float]]:
    """(role, phrase, weight) of a language's own list and of the cues, cut as a text would be."""
    path = WORDS / f"words.{language}.tsv"
    for line in path.read_text(encoding="utf-8").splitlines():
        role, phrase, weight = line.split("\t")
        phrase = phrase.lower()
        if _NO_LETTERS.search(phrase):
            phrase = " ".join(cut(phrase).words)
        if phrase and not phrase.startswith("<"):
            yield role, phrase, float(weight)
    for line in (WORDS / "cues.tsv").read_text(encoding="utf-8").splitlines():
        role, of, phrases = line.split("\t")
        if of == language:
            for phrase in phrases.split(", "):
                yield role, phrase, 1.0
