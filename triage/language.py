"""Which language a text is in: Swedish, Danish, bokmål, nynorsk, English, Finnish, German, or "und" when unsure.

Each word has a score for each language, and a text's score is the sum over its words. A word seen in training has its
score in the table; any other is scored letter by letter, by the longest run of letters that the table knows. Languages
we do not answer in (Dutch, Polish, Spanish …) are in the table too, only so that they win their own texts: "und".

The table is learnt by ``triage.train_language``; docs/triage-language.md tells how.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import add
from pathlib import Path
from types import MappingProxyType

from triage.verdicts import Verdict

LANGUAGES = ("sv", "da", "nb", "nn", "en", "fi", "de")
UNSURE = "und"
TABLE = Path(__file__).parent / "words" / "language.table"

LONGEST = 4  # letters in a run
STEP = 16  # steps of a score to one natural logarithm; scores are whole numbers, so that sums are exact everywhere

# Found by cross-validation over the seeds.
BELIEF = 0.7  # how much of a sum of scores is believed,
TIRING = 0.2  # the less the more words there are
OTHERS_SHARE = 1.0  # how likely all languages that are not ours are together, beside one of ours
SURE_ENOUGH = 0.5  # below this the answer is "und"
# However one-sided the earlier texts were, a language is never held to be less likely than this beside them.
LEAST_EXPECTED = 0.04

# Norwegian written as it is spoken is learnt by itself and is as much the one as the other, so both get its share.
DIALECT = "no"
SPOKEN = ("nb", "nn")
SPOKEN_TIMES = 3.0

_ADDRESSES = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]{0,64}@[\w.-]+|&#?\w+;", re.IGNORECASE)
_SOFT_HYPHEN = "\u00ad"
_TAGS = re.compile(r"#\w+")
_WORD = re.compile(r"[^\W\d_]+(?:['’´][^\W\d_]+)*")
_LONGEST_WORD = 60  # letters; what is longer is no word
_DRAWN_OUT = re.compile(r"(.)\1{2,}")
_LATIN = re.compile(r"[a-zß-öø-ɏ'’´]+")


@dataclass(frozen=True)
class Table:
    """Scores of words and runs of letters. ``keys`` are sorted checksums; row i holds one byte a language."""

    languages: tuple[str, ...]
    seeds: str  # digest of what it was learnt from
    keys: array[int]
    rows: bytes

    @classmethod
    def read(cls, path: Path) -> Table:
        head, _, body = path.read_bytes().partition(b"\n")
        about = json.loads(head)
        plain = zlib.decompress(body)
        keys = array("I")
        keys.frombytes(plain[: 4 * about["rows"]])
        return cls(tuple(about["languages"]), about["seeds"], keys, plain[4 * about["rows"] :])

    def row(self, run: str) -> bytes | None:
        key = zlib.crc32(run.encode())
        at = bisect_left(self.keys, key)
        if at == len(self.keys) or self.keys[at] != key:
            return None
        return self.rows[at * len(self.languages) : (at + 1) * len(self.languages)]


@cache
def table() -> Table:
    return Table.read(TABLE)


def words(text: str) -> list[tuple[str, str]]:
    """The words of a text as they stand and as they are looked up. Addresses and @names are no language's; #tags are
    read only where there is nothing else."""
    plain = _ADDRESSES.sub(" ", unicodedata.normalize("NFC", text).replace(_SOFT_HYPHEN, ""))
    found = _WORD.findall(_TAGS.sub(" ", plain)) or _WORD.findall(plain)
    return [(word, folded(word)) for word in found if len(word) <= _LONGEST_WORD]


def folded(word: str) -> str:
    """Lower case, one apostrophe, and "sååå" as "så"."""
    return _DRAWN_OUT.sub(r"\1", word.lower().replace("’", "'").replace("´", "'"))


def runs(word: str) -> list[list[str]]:
    """For each letter of a word and its end, the runs of letters that end there, longest first."""
    padded = f"^{word}$"
    return [
        [padded[max(0, end - size) : end] for size in range(min(LONGEST, end), 0, -1)]
        for end in range(2, len(padded) + 1)
    ]


@lru_cache(maxsize=16_384)
def score(word: str) -> tuple[int, ...]:
    """A folded word's score for each language of the table, in steps below that of the language it suits best."""
    whole = table().row(f"^{word}$$")
    if whole is not None:
        return tuple(whole)
    total = (0,) * len(table().languages)
    for ending in runs(word):
        row = next(filter(None, map(table().row, ending)), None)
        if row is not None:
            total = tuple(map(add, total, row))
    return total


def detect(text: str, *, expected: Mapping[str, float] = MappingProxyType({})) -> Verdict:
    """The language of a text, with the words that speak most for it and against the next likely one.

    ``expected``: language -> share of what the source and the author wrote earlier, which tips the scale of a text that
    could be several languages. The confidence of "und" is how unlikely each of ours is.
    """
    found = words(text)
    latin = [(word, lookup) for word, lookup in found if _LATIN.fullmatch(lookup)]
    if 2 * len(latin) < len(found):
        return Verdict(UNSURE, 1.0, tuple(word for word, _ in found if _LATIN.fullmatch(word.lower()) is None)[:5])
    penalties = [score(lookup) for _, lookup in latin]
    likely = _likelihoods([sum(column) for column in zip(*penalties, strict=True)], len(latin), expected)
    value, second = sorted(likely, key=likely.__getitem__, reverse=True)[:2]
    if not latin or value not in LANGUAGES or likely[value] < SURE_ENOUGH:
        return Verdict(UNSURE, 1.0 - max(likely[ours] for ours in LANGUAGES) if latin else 1.0)
    return Verdict(value, likely[value], _telling(latin, penalties, value, second))


def _likelihoods(penalties: list[int], words: int, expected: Mapping[str, float]) -> dict[str, float]:
    """How likely each language of the table is; they sum to 1."""
    languages = table().languages
    others = OTHERS_SHARE / (len(languages) - len(LANGUAGES))
    before = {name: LEAST_EXPECTED + expected.get(name, 0.0) for name in LANGUAGES}
    spoken = {name: before[name] / sum(map(before.__getitem__, SPOKEN)) for name in SPOKEN}
    least = min(penalties, default=0)
    belief = BELIEF / max(1, words) ** TIRING / STEP
    weights = {
        name: before.get(name, others * LEAST_EXPECTED) * math.exp(belief * (least - penalty))
        for name, penalty in zip(languages, penalties or [0] * len(languages), strict=True)
    }
    dialect = weights.pop(DIALECT, 0.0) * SPOKEN_TIMES
    for name, share in spoken.items():
        weights[name] += dialect * share
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _telling(
    found: list[tuple[str, str]], penalties: list[tuple[int, ...]], value: str, second: str
) -> tuple[str, ...]:
    """The words that speak most for a language against the second, at most five."""
    best, next_best = map(table().languages.index, (value, second))
    gains = {lookup: (p[next_best] - p[best], word) for (word, lookup), p in zip(found, penalties, strict=True)}
    strongest = sorted((pair for pair in gains.values() if pair[0] > 0), key=lambda pair: -pair[0])
    return tuple(word for _, word in strongest[:5])
