"""Learns the table that ``triage.language`` reads, from the texts and word lists in triage/words.

Two things are counted for each language: whole words, and which letter follows which letters in its different words.
Neighbours (bokmål, nynorsk, Danish …) share most words, and whether one of them happened to occur says little: so each
word counts as seen a little more often than it was, the more so the better its letters suit the language.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from triage import language
from triage.language import DIALECT, LANGUAGES, SPOKEN, STEP

WORDS = language.TABLE.parent
MORE = (
    WORDS / "language.more.tsv"
)  # language, text: learned prose, Norwegian as spoken, and the languages that are not ours


@dataclass(frozen=True)
class Smoothing:
    """Found by cross-validation over the seeds, whole and cut to pieces of one, two and four words."""

    unseen: float = 0.3  # how often a word counts as seen in the language its letters suit best; less in the others
    letters: float = 0.5  # how much of what the letters say is believed
    listed: float = 3.0  # how often a listed little word, or a telling one of weight 1, counts as seen
    louder: float = 0.6  # how far a language with few texts is made as large as the largest: 0 not at all, 1 wholly
    spoken: int = 15  # how often a word of the dialect texts counts, beside the shared words of the written norms
    rare: int = 3  # a run of four letters or more must occur in so many words


Texts = Mapping[str, list[str]]  # by language
Lists = Mapping[str, Mapping[str, float]]  # language -> word -> how many times it counts as seen


def read_texts(folder: Path = WORDS) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("seeds*.tsv")):
        for row in _rows(path):
            texts[path.suffixes[0][1:]].append(row[4])
    if (folder / MORE.name).exists():
        for row in _rows(folder / MORE.name):
            texts[row[0]].append(row[1])
    return {name: texts[name] for name in [*LANGUAGES, *sorted(set(texts) - set(LANGUAGES))]}


def read_lists(smoothing: Smoothing, folder: Path = WORDS) -> dict[str, dict[str, float]]:
    """Every listed word is a word of its language; the little words and the telling ones count for more."""
    lists: dict[str, dict[str, float]] = defaultdict(dict)
    for path in sorted(folder.glob("words.*.tsv")):
        listed = lists[path.suffixes[0][1:]]
        for role, phrase, weight in _rows(path):
            times = smoothing.listed * float(weight) if role in ("function", "telling") else 1.0
            for _, word in language.words(phrase):
                listed[word] = max(times, listed.get(word, 0.0))
    return lists


def _rows(path: Path) -> Iterable[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def digest(folder: Path = WORDS) -> str:
    """Of all that is learnt from: the table says which seeds it holds."""
    paths = [*sorted(folder.glob("seeds*.tsv")), *sorted(folder.glob("words.*.tsv")), folder / MORE.name]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths if path.exists())).hexdigest()


def learn(texts: Texts, lists: Lists, smoothing: Smoothing, seeds: str = "") -> language.Table:
    languages = tuple(texts)
    counts = [Counter(word for text in texts[name] for _, word in language.words(text)) for name in languages]
    for count, name in zip(counts, languages, strict=True):
        for word, times in lists.get(name, {}).items():
            count[word] += times  # type: ignore[assignment]
    if DIALECT in languages:
        _add_written(dict(zip(languages, counts, strict=True)), smoothing)
    letters = _letters(counts, smoothing)
    rows: dict[int, bytes] = {}
    for run, chances in letters.items():
        if len(run) == 1 or _tells(chances, letters.get(run[1:])):
            rows.setdefault(
                zlib.crc32(run.encode()), _row([smoothing.letters * math.log(chance) for chance in chances])
            )
    sizes = [sum(count.values()) for count in counts]
    largest = max(sizes)
    scales = [(largest / size) ** smoothing.louder for size in sizes]
    for word in sorted(set().union(*counts)):
        spelt = _spelt(word, letters)
        best = max(spelt)
        chances = [
            count[word] * scale + smoothing.unseen * (chance / best) ** smoothing.letters
            for count, scale, chance in zip(counts, scales, spelt, strict=True)
        ]
        rows[zlib.crc32(f"^{word}$$".encode())] = _row([math.log(chance) for chance in chances])
    keys = sorted(rows)
    return language.Table(languages, seeds, array("I", keys), b"".join(rows[key] for key in keys))


def _add_written(counts: Mapping[str, Counter[str]], smoothing: Smoothing) -> None:
    """Who writes as he speaks still shares most words with both ways of writing."""
    spoken = counts[DIALECT]
    for word in spoken:
        spoken[word] *= smoothing.spoken
    for written in SPOKEN:
        for word, times in counts[written].items():
            spoken[word] += times / len(SPOKEN)  # type: ignore[assignment]


def _letters(counts: list[Counter[str]], smoothing: Smoothing) -> dict[str, list[float]]:
    """Run of letters -> for each language, how likely its last letter is after those before (Witten and Bell, 1991)."""
    seen: list[Counter[str]] = []
    for count in counts:
        runs: Counter[str] = Counter()
        for word in count:
            for ending in language.runs(word):
                runs.update(ending)
        seen.append(runs)
    everywhere: Counter[str] = Counter()
    for runs in seen:
        everywhere.update(runs)
    kept = sorted(
        (run for run, times in everywhere.items() if len(run) < 4 or times >= smoothing.rare),
        key=lambda run: (len(run), run),
    )
    after: list[Counter[str]] = [Counter() for _ in counts]  # how often a run is followed by anything
    kinds: list[Counter[str]] = [Counter() for _ in counts]  # and by how many different letters
    for runs, total, kind in zip(seen, after, kinds, strict=True):
        for run, times in runs.items():
            total[run[:-1]] += times
            kind[run[:-1]] += 1
    alphabet = sum(len(run) == 1 for run in kept)
    chances: dict[str, list[float]] = {}
    for run in kept:
        before = run[:-1]
        chances[run] = [
            (runs[run] + kind[before] * shorter) / (total[before] + kind[before]) if total[before] else shorter
            for runs, total, kind, shorter in zip(
                seen, after, kinds, chances.get(run[1:], [1 / alphabet] * len(counts)), strict=True
            )
        ]
    return chances


def _spelt(word: str, letters: Mapping[str, list[float]]) -> list[float]:
    """How likely each language makes the word, letter by letter."""
    rows = [next(letters[run] for run in ending if run in letters) for ending in language.runs(word)]
    return [math.prod(column) for column in zip(*rows, strict=True)]


def _tells(chances: list[float], shorter: list[float] | None) -> bool:
    """Does a run say anything that the same run without its first letter does not?"""
    if shorter is None:
        return True
    gains = [math.log(a / b) for a, b in zip(chances, shorter, strict=True)]
    return max(gains) - min(gains) > 0.25


def _row(logarithms: list[float]) -> bytes:
    best = max(logarithms)
    return bytes(min(255, round((best - value) * STEP)) for value in logarithms)


def write(table: language.Table, path: Path = language.TABLE) -> None:
    about = {"languages": table.languages, "seeds": table.seeds, "rows": len(table.keys)}
    path.write_bytes(json.dumps(about).encode() + b"\n" + zlib.compress(table.keys.tobytes() + table.rows, 9))


def train(folder: Path = WORDS) -> language.Table:
    smoothing = Smoothing()
    return learn(read_texts(folder), read_lists(smoothing, folder), smoothing, digest(folder))


def main() -> None:
    write(train())


if __name__ == "__main__":
    main()
