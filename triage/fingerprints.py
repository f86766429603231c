"""What a mention is about, small enough to keep beside it, and how much two of them have to do with each other.

Values in, values out. ``docs/stories.md`` says how the figures below were chosen and what they reach.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from triage.matters import empty, is_thing, matters

Rarity = Callable[[str], float]  # feature -> what sharing it is worth, 0 and up

SKETCH = 64  # pairs of words kept of a text; nearly every mention fits whole
TELLING = 48  # words kept
ALIKE = 0.6  # share of two texts' word pairs that are common to both, from which they are near-equal
WITHIN = 0.8  # the same for a shortened copy: common pairs against those of the shorter text
SHORTEST = 5  # word pairs below which a text is not taken for part of another
SAME_WORDS = 0.35  # likeness of two single mentions, from which the same words are a reason
NAME = 1.5  # a name weighs this much more than another word
MATTER, THING = 5.0, 2.0  # what a shared matter (power cut) and a shared thing (power) are worth at most
APART = 0.5  # what is left of the likeness where both name a street, line, day or matter, and none is the same
TOLD_APART = ("street ", "line ", "day ", "matter ")

_TRACKING = re.compile(
    r"utm_|fb_|mc_|pk_|at_|ns_|hsa_|_hs"
    r"|(?:fbclid|gclid|dclid|msclkid|igshid|yclid|twclid|si|ref|ref_src|ref_url|cmpid|cmp|s_cid|mkt_tok)$"
)
_MOBILE = re.compile(r"^(?:www\d?|m|mobile|mobil|amp|touch)\.")
_ADDRESS = re.compile(r"https?://[^\s<>\"']*|\bwww\.\S+", re.IGNORECASE)
_PASSED_ON = re.compile(r"(?:\b(?:rt|via)\s+)?@\w+:?", re.IGNORECASE)
_CUT = re.compile(r"(?<!\S)\S*(?:…|\.\.\.)")  # a word cut off says nothing; tried once a word, however long it is
_WORD = re.compile(r"[#]?[^\W_]+(?:[-'’][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?:\n\"“”«»–]\s*$|^\s*$")
_STREET = re.compile(
    r"\w{2,}(?:gatan|gata|vägen|gränd|torget|backen|gade|vej|vejen|veien|vegen|gaten|alléen|allén|plads|plass)$"
)
_STREET_WORD = frozenset(["street", "road", "avenue", "lane"])
_LINE_WORD = re.compile(r"(?:linj|lini|line|rout|rute|ruta|buss|bus|spårvagn|sporvogn|trikk|tram)[a-zæøå]*$")
_MONTH = re.compile(r"(?:jan|feb|mar|apr|ma[ijy]|jun|jul|aug|sep|o[kc]t|nov|de[cs])[a-z]*$")
_CLOCK = re.compile(r"\b\d{1,2}[:.]\d{2}\b")
_ENDING = re.compile(  # leftmost is longest; four letters stay
    r"(?<=....)(?:arnas|ernas|ornas|arna|erna|orna|anna|heten|heter|elser|elsen|ingar|ingen|inger|inga|ings|ing|ende|ande|aste"
    r"|ade|ede|ene|ane|erne|ens|ets|ers|ed|es|en|et|er|ar|or|a|e|s|t)$"
)


@dataclass(frozen=True)
class Item:
    """A mention as stories see it. ``at`` in UTC. ``links``: addresses beside the text; those in it are found.
    ``quotes``: the network's ids of what it quotes, answers or passes on, without our own posts: below those people
    write about anything. ``thread``: the id of its thread's top, which is itself where it quotes nothing. ``url``
    and ``own``: its own address and network id."""

    id: int
    at: datetime
    text: str
    title: str | None
    language: str | None
    links: tuple[str, ...]
    quotes: tuple[str, ...]
    thread: str | None
    author: str | None
    channel: str
    url: str | None = None
    own: str | None = None


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a mention. ``keys`` are equal only for the same link or item. ``text`` is equal for equal texts,
    0 for next to none. ``pairs`` are word pairs, hashed, smallest first. ``concepts``: see ``triage.matters``.
    ``marks`` are what events are told apart by: ``street …``, ``line …``, ``day …``, ``number …``."""

    keys: tuple[str, ...]
    text: int
    pairs: tuple[int, ...]
    words: tuple[str, ...]
    names: tuple[str, ...]
    concepts: tuple[str, ...]
    marks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Lists of strings and whole numbers."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Fingerprint:
        return cls(
            text=kept["text"], **{name: tuple(kept[name]) for name in cls.__dataclass_fields__ if name != "text"}
        )

    def features(self) -> Iterator[tuple[str, float]]:
        """Each with its own factor; a rarity makes it a weight. Concepts bear a ``¤``."""
        names = set(self.names)
        for word in self.words:
            yield word, NAME if word in names else 1.0
        for concept in self.concepts:
            yield "¤" + concept, 1.0

    def told_apart(self) -> tuple[str, ...]:
        """The marks and matters of which two that differ speak against one story. Numbers alone do not."""
        marks = tuple(mark for mark in self.marks if not mark.startswith("number "))
        return marks + tuple(f"matter {each}" for each in self.concepts if not is_thing(each))


@dataclass(frozen=True)
class Kin:
    """How two mentions belong together: ``link``, ``quote``, ``text`` or ``words``, and which."""

    strength: float  # 0..1
    reason: str
    words: tuple[str, ...] = ()


def canonical(link: str) -> str | None:
    """A link without what changes nothing: scheme, tracking, mobile host, fragment, order of parameters. None for what
    names no single thing: a front page, something that is not http(s). A shortener's link stays as it is: nothing is
    ever followed."""
    try:
        parts = urlsplit(link if "://" in link else "https://" + link)
        host = (parts.hostname or "").encode("idna").decode("ascii") if parts.hostname else ""
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "." not in host:
        return None
    while _MOBILE.match(host) and host.count(".") > 1:
        host = _MOBILE.sub("", host)
    path = re.sub(r"/(?:amp|index\.(?:html?|php))?/*$", "", parts.path)
    kept = sorted(pair for pair in parse_qsl(parts.query) if not _TRACKING.match(pair[0].lower()))
    if not path and not kept:
        return None
    return host + (f":{port}" if port not in (None, 80, 443) else "") + path + ("?" + urlencode(kept) if kept else "")


def fingerprint(item: Item) -> Fingerprint:
    text = unicodedata.normalize("NFKC", f"{item.title}\n{item.text}" if item.title else item.text)
    links = {canonical(link) for link in (*item.links, *_ADDRESS.findall(text), *([item.url] if item.url else []))}
    top = [item.thread] if item.thread and not item.quotes else []
    ids = {f"{item.channel}:{each}" for each in (*item.quotes, *top, *([item.own] if item.own else []))}
    plain = _CUT.sub(" ", _PASSED_ON.sub(" ", _ADDRESS.sub(" ", text)))
    spoken = [(found.group().lstrip("#"), found.start(), found.group()[0] == "#") for found in _WORD.finditer(plain)]
    folded = [word.casefold() for word, _, _ in spoken]
    shouting = sum(word.isupper() for word, _, _ in spoken) * 2 > len(spoken)
    marks = _marks(_CLOCK.sub(" ", plain))
    words: dict[str, None] = {}
    names: dict[str, None] = {}
    for (word, start, tag), fold in zip(spoken, folded, strict=True):
        if fold in empty() or len(fold) < 2 or fold.isdigit():
            continue
        stem_ = stem(fold)
        words[stem_] = None
        if tag or (word[0].isupper() and not shouting and not _SENTENCE.search(plain[max(0, start - 3) : start])):
            names[stem_] = None
    kept = tuple(words)[:TELLING]
    return Fingerprint(
        keys=tuple(sorted(f"link {link}" for link in links if link) + sorted(f"item {each}" for each in ids)),
        text=_hash(" ".join([*folded, "", *marks])) if len(folded) > 2 else 0,
        pairs=tuple(sorted({_hash(f"{a} {b}") for a, b in pairwise(folded)})[:SKETCH]),
        words=kept,
        names=tuple(name for name in names if name in words)[:TELLING],
        concepts=tuple(sorted(matters(folded, item.language))),
        marks=marks,
    )


def kinship(a: Fingerprint, b: Fingerprint, rarity: Rarity) -> Kin | None:
    """The strongest thing that joins the two, or None."""
    shared = set(a.keys) & set(b.keys)
    if any(key.startswith("link ") for key in shared):
        return Kin(1.0, "link", tuple(sorted(key[5:] for key in shared if key.startswith("link "))))
    if shared:
        return Kin(0.95, "quote", tuple(sorted(key[5:] for key in shared)))
    likeness = near_equal(a, b)
    if likeness:
        return Kin(round(0.9 * likeness, 4), "text")
    mine, yours = _weights(a, rarity), _weights(b, rarity)
    common = mine.keys() & yours.keys()
    if not common:
        return None
    strength = sum(mine[each] * yours[each] for each in common) / (_length(mine) * _length(yours))
    if contrary(dict.fromkeys(a.told_apart(), 1), dict.fromkeys(b.told_apart(), 1)):
        strength *= APART
    if strength < SAME_WORDS:
        return None
    return Kin(round(min(strength, 0.85), 4), "words", tuple(sorted(common, key=lambda each: (-mine[each], each))[:5]))


def near_equal(a: Fingerprint, b: Fingerprint) -> float:
    """How near, 0 for not near enough. Texts that differ in numbers, streets, lines or days are two messages."""
    if a.text and a.text == b.text:
        return 1.0
    first, second = set(a.pairs), set(b.pairs)
    least = min(len(first), len(second))
    if not least or (set(a.marks) - set(b.marks) and set(b.marks) - set(a.marks)):
        return 0.0
    if len(first) == SKETCH and len(second) == SKETCH:  # both cut: compare where both sketches reach
        reach = min(max(first), max(second))
        first, second = {each for each in first if each <= reach}, {each for each in second if each <= reach}
    common = len(first & second)
    alike = common / len(first | second)
    within = common / least if least >= SHORTEST and max(len(first), len(second)) < SKETCH else 0.0
    return max(alike if alike >= ALIKE else 0.0, within if within >= WITHIN else 0.0)


def contrary(a: Mapping[str, int], b: Mapping[str, int]) -> list[tuple[int, int]]:
    """For each of street, line, day, matter that both name, and none the same: how often each names its commonest."""
    found = []
    for kind in TOLD_APART:
        mine, yours = ({mark: n for mark, n in marks.items() if mark.startswith(kind)} for marks in (a, b))
        if mine and yours and not mine.keys() & yours.keys():
            found.append((max(mine.values()), max(yours.values())))
    return found


def worth(feature: str, seen: int, among: int) -> float:
    """Rarity of a feature that ``seen`` of ``among`` mentions have. 300 imagined mentions keep the first real ones from
    being all common or all rare. Concepts have a ceiling: a matter outweighs a word, a thing does not."""
    rare = max(0.1, math.log((among + 300) / (seen + 1)))
    if feature.startswith("¤"):
        return min(THING if is_thing(feature[1:]) else MATTER, rare)
    return rare


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Without its ending, if four letters or more are left; crude, and the same for five languages."""
    return _ENDING.sub("", word.replace("'", "").replace("’", ""))


def _marks(text: str) -> tuple[str, ...]:
    marks: dict[str, None] = {}
    words = [word.casefold() for word in re.findall(r"[^\W_]+", text)]
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word.isdigit() and len(word) < 5:
            if _LINE_WORD.match(before):
                marks[f"line {int(word)}"] = None
            elif _MONTH.match(after) and int(word) < 32:
                marks[f"day {int(word)} {_month(after)}"] = None
            elif _MONTH.match(before) and int(word) < 32:
                marks[f"day {int(word)} {_month(before)}"] = None
            else:
                marks[f"number {int(word)}"] = None
        elif word.isdigit():
            marks[f"number {int(word)}"] = None
        elif _STREET.match(word):
            marks[f"street {stem(word)}"] = None
        elif word in _STREET_WORD and before and before not in empty():
            marks[f"street {before} {word}"] = None
    return tuple(marks)[:TELLING]


def _month(word: str) -> str:
    return {"oct": "okt", "dec": "dec", "des": "dec", "mai": "maj", "may": "maj"}.get(word[:3], word[:3])


def _weights(of: Fingerprint, rarity: Rarity) -> dict[str, float]:
    return {feature: factor * rarity(feature) for feature, factor in of.features()}


def _length(weights: dict[str, float]) -> float:
    return math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big")
