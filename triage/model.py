"""The shipped weights, and how they weigh a text.

A judge is a row of columns, one per value; a text's score for a value is a start plus the weights of its marks, divided
by the root of its length. All columns of a mark lie side by side in one whole number, so that one addition adds them
all: 32 bits each, which no text of ``cutting.MOST`` words can overrun.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path

from triage.cutting import Cut, cut
from triage.features import letters, marks
from triage.lexicon import lexicon

FILE = Path(__file__).parent / "words" / "judges.weights"
JUDGES: Mapping[str, tuple[str, ...]] = {
    "kind": ("question", "problem", "idea", "praise", "other"),
    "wants_answer": ("yes", "no"),
    "sentiment": ("negative", "neutral", "positive"),
    "urgency": ("none", "danger", "deadline", "outage", "leak"),
    "noise": ("none", "spam", "job", "campaign", "bot"),
}
COLUMNS = sum(map(len, JUDGES.values()))
_FIRST = dict(zip(JUDGES, accumulate(map(len, JUDGES.values()), initial=0), strict=False))  # judge → its first column
_LANES = struct.Struct(f"<{COLUMNS}I")
_HALF = 1 << 31
_LANE = (1 << 32) - 1
_OFFSET = sum(_HALF << (32 * column) for column in range(COLUMNS))  # makes every lane positive before it is cut out
_REASONS = 5
_LITTLE = frozenset({"function", "telling", "aux", "me", "us", "others"})  # roles of words that say nothing alone
_SAYS = {"": 1.0}  # a word in no list says something
_MUTE = frozenset('.,;:-_/()*"')  # no reason a person could read


@dataclass(frozen=True)
class Weights:
    """``table``: mark → its weights, packed. ``start`` and ``step`` per column: a score is start + step × sum."""

    table: dict[str, int]
    start: tuple[float, ...]
    step: tuple[float, ...]
    seeds: str  # digest of what they were learnt from


def pack(row: bytes) -> int:
    """A row of weights, one byte each with 128 for nothing."""
    return sum((byte - 128) << (32 * column) for column, byte in enumerate(row) if byte != 128)


def unpack(total: int) -> tuple[int, ...]:
    return tuple(lane - _HALF for lane in _LANES.unpack((total + _OFFSET).to_bytes(4 * COLUMNS, "little")))


@cache
def shipped() -> Weights:
    """The weights of ``FILE``: a line of JSON, the marks one a line, an empty line, and the rows; all compressed."""
    head, names, rows = zlib.decompress(FILE.read_bytes()).split(b"\n\n", 2)
    about = json.loads(head)
    lanes = bytearray(4 * len(rows))
    lanes[::4] = rows
    wide = 4 * COLUMNS
    nothing = sum(128 << (32 * column) for column in range(COLUMNS))
    packed = (int.from_bytes(lanes[at : at + wide], "little") - nothing for at in range(0, len(lanes), wide))
    table = dict(zip(names.decode().split("\n"), packed, strict=True))
    return Weights(table, tuple(about["start"]), tuple(about["step"]), about["seeds"])


def write(weights: Mapping[str, bytes], start: list[float], step: list[float], seeds: str) -> bytes:
    """The content of ``FILE``."""
    head = json.dumps({"start": start, "step": step, "seeds": seeds}).encode()
    names = sorted(weights)
    rows = b"".join(weights[name] for name in names)
    return zlib.compress(b"\n\n".join((head, "\n".join(names).encode(), rows)), 9)


def scale(cut: Cut) -> float:
    """What the sum of a text's marks is multiplied by: long texts are not surer for being long."""
    return 1 / math.sqrt(len(cut.words) + 4)


@lru_cache(maxsize=20_000)
def _of_word(word: str) -> int:
    table = shipped().table
    return sum(table.get(part, 0) for part in letters(word)) + table.get("=" + word, 0)


@dataclass(frozen=True)
class Weighed:
    """A text with its scores: ``scores`` per judge and value, ``places`` the packed share of each word in them."""

    cut: Cut
    scores: Mapping[str, tuple[float, ...]]
    places: tuple[int, ...]

    def shares(self, judge: str, value: str) -> list[float]:
        """What each word adds to the score of the value."""
        at = _FIRST[judge] + JUDGES[judge].index(value)
        by = scale(self.cut) * shipped().step[at]
        lane = 32 * at
        return [by * (((place + _OFFSET >> lane) & _LANE) - _HALF) for place in self.places]


@lru_cache(maxsize=64)
def weigh(text: str, language: str) -> Weighed:
    """One pass for all judges; they ask one after the other, so the last texts are remembered."""
    weights = shipped()
    pieces = cut(text)
    places = [_of_word(word) for word in pieces.words]
    places.append(0)  # of the whole text
    for place, mark in marks(pieces, language):
        value = weights.table.get(mark)
        if value is not None:
            places[place] += value
    by = scale(pieces)
    sums = unpack(sum(places))
    flat = [start + by * step * each for start, step, each in zip(weights.start, weights.step, sums, strict=True)]
    scores = {judge: tuple(flat[at : at + len(JUDGES[judge])]) for judge, at in _FIRST.items()}
    return Weighed(pieces, scores, tuple(places[:-1]))


def likelihoods(scores: Sequence[float]) -> list[float]:
    """The softmax of scores."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def telling(cut: Cut, shares: Sequence[float], language: str) -> tuple[str, ...]:
    """The words with the largest positive shares, those in a row as one phrase, the most telling first.

    Little words by themselves ("is", "har") tell a reader nothing and are left out where there is more to name.
    """
    floor = 0.2 * max(shares, default=0)
    ranked = sorted(range(len(shares)), key=lambda place: (-shares[place], place))
    best = [at for at in ranked if shares[at] > max(floor, 0) and cut.words[at] not in _MUTE][: _REASONS + 2]
    chosen = set(best)
    roles = lexicon(language).roles
    found: dict[str, bool] = {}
    for first in best:
        last = first
        while first - 1 in chosen:
            first -= 1
        while last + 1 in chosen:
            last += 1
        little = all(_LITTLE.issuperset(roles.get(word, _SAYS)) for word in cut.words[first : last + 1])
        found[" ".join(cut.shown[first : last + 1])] = not little
    return tuple(words for words, tells in found.items() if tells or not any(found.values()))[:_REASONS]
