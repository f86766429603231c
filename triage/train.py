"""The judges' weights from the seed texts: ``python -m triage.train``.

Multinomial logistic regression with L2, by stochastic gradient descent in a fixed order: the same seeds and word lists
give the same file on every machine. Each judge is learnt by itself; what no judge needs is left out of the file.
"""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from triage import model, train_language
from triage.cutting import cut
from triage.features import letters, marks
from triage.lexicon import LANGUAGES, WORDS

EPOCHS = 14
AVERAGED = 5  # of the last epochs, whose weights are averaged
RATE = 1.2
RIDGE = 1e-5
LETTERS = 0.25  # how much less a run of letters counts than a whole mark
SEEN = 2  # seeds a mark must stand in
SEEN_LETTERS = 5
RARE = 2.0  # what a line counts that is urgent or noise: few are, and missing one is the worse mistake
EAGER = 1.2  # log-odds against "none": a danger overlooked costs more than a false alarm (cross-validation agrees)
# The seeds hold each kind about as often as the next; in what is written few propose something and most only talk.
PRIOR = {"idea": -0.4, "other": 0.2}  # log-odds
KEPT = 2  # of 127: a mark whose weights are all smaller is left out


@dataclass(frozen=True)
class Seed:
    """A line of a seed file: what a native reader said of a text."""

    language: str
    kind: str
    sentiment: str
    answer: str
    marks: frozenset[str]
    text: str

    def label(self, judge: str) -> str:
        if judge == "kind":
            return self.kind
        if judge == "sentiment":
            return self.sentiment
        if judge == "wants_answer":
            return self.answer
        return next((value for value in model.JUDGES[judge] if value in self.marks), "none")


def seeds(folder: Path = WORDS, languages: Iterable[str] = LANGUAGES) -> list[Seed]:
    """Every seed line, in the order of languages and files."""
    found = []
    for language in languages:
        for path in sorted(folder.glob(f"seeds*.{language}.tsv")):
            for line in path.read_text(encoding="utf-8").splitlines():
                kind, sentiment, answer, marked, text = line.split("\t")
                found.append(Seed(language, kind, sentiment, answer, frozenset(marked.split(",")), text))
    return found


def digest(folder: Path = WORDS) -> str:
    """Of all that is learnt from: seeds, lists and cues."""
    whole = hashlib.sha256()
    lists = [path for language in LANGUAGES for path in folder.glob(f"*.{language}.tsv")]
    for path in sorted((*lists, folder / "cues.tsv")):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


@dataclass(frozen=True)
class Example:
    """Numbers of a text's marks, those of letters apart, and the text's scale."""

    marks: array[int]
    letters: array[int]
    scale: float


def vocabulary(texts: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The marks that stand in enough of the (text, language) given → their numbers."""
    whole: Counter[str] = Counter()
    part: Counter[str] = Counter()
    for text, language in texts:
        pieces = cut(text)
        whole.update({mark for _, mark in marks(pieces, language)} | {"=" + word for word in pieces.words})
        part.update({each for word in pieces.words for each in letters(word)})
    kept = sorted(mark for mark, count in whole.items() if count >= SEEN)
    kept += sorted(mark for mark, count in part.items() if count >= SEEN_LETTERS)
    return {mark: number for number, mark in enumerate(kept)}


def example(text: str, language: str, numbers: dict[str, int]) -> Example:
    pieces = cut(text)
    whole = [mark for _, mark in marks(pieces, language)] + ["=" + word for word in pieces.words]
    part = [each for word in pieces.words for each in letters(word)]
    return Example(
        array("l", (numbers[mark] for mark in whole if mark in numbers)),
        array("l", (numbers[mark] for mark in part if mark in numbers)),
        model.scale(pieces),
    )


@dataclass(frozen=True)
class Fit:
    """``weights[value][mark]`` and ``start[value]``, letters already made smaller."""

    weights: list[list[float]]
    start: list[float]

    def scores(self, one: Example) -> list[float]:
        return [
            start + one.scale * (sum(map(row.__getitem__, one.marks)) + sum(map(row.__getitem__, one.letters)))
            for row, start in zip(self.weights, self.start, strict=True)
        ]


def fit(
    examples: Sequence[Example], labels: Sequence[int], values: int, size: int, parts: set[int], worth: float = 1.0
) -> Fit:
    """``parts``: the runs of letters, which count less. ``worth``: of a line of another than the first value."""
    rows = [[0.0] * size for _ in range(values)]
    start = [0.0] * values
    sums = [[0.0] * size for _ in range(values)]
    start_sums = [0.0] * values
    shrunk = 1.0  # the weights are rows × shrunk: decay costs one multiplication
    order = list(range(len(examples)))
    step = 0
    for epoch in range(EPOCHS):
        random.Random(epoch).shuffle(order)
        for number in order:
            one, label = examples[number], labels[number]
            rate = RATE / (1 + 4 * step / (EPOCHS * len(order)))
            step += 1
            by = one.scale * shrunk
            scores = [
                start[value]
                + by * (sum(map(row.__getitem__, one.marks)) + LETTERS * sum(map(row.__getitem__, one.letters)))
                for value, row in enumerate(rows)
            ]
            top = max(scores)
            powers = [math.exp(score - top) for score in scores]
            total = sum(powers)
            shrunk *= 1 - rate * RIDGE
            for value, row in enumerate(rows):
                wrong = (powers[value] / total - (value == label)) * (worth if label else 1.0)
                if abs(wrong) < 0.004:
                    continue
                start[value] -= 0.05 * rate * wrong
                move = rate * wrong * one.scale / shrunk
                for at in one.marks:
                    row[at] -= move
                move *= LETTERS
                for at in one.letters:
                    row[at] -= move
        if epoch >= EPOCHS - AVERAGED:
            for value, row in enumerate(rows):
                sums[value] = [a + shrunk * b for a, b in zip(sums[value], row, strict=True)]
                start_sums[value] += start[value]
    weights = [[each / AVERAGED for each in row] for row in sums]
    for row in weights:
        for at in parts:
            row[at] *= LETTERS
    return Fit(weights, [each / AVERAGED for each in start_sums])


def learn(lines: Sequence[Seed], judges: Iterable[str] = model.JUDGES) -> tuple[dict[str, int], dict[str, Fit]]:
    """The marks and, per judge, their weights."""
    numbers = vocabulary([(line.text, line.language) for line in lines])
    examples = [example(line.text, line.language, numbers) for line in lines]
    parts = {at for one in examples for at in one.letters}
    fits = {}
    for judge in judges:
        values = model.JUDGES[judge]
        labels = [values.index(line.label(judge)) for line in lines]
        is_rare = values[0] == "none"
        fits[judge] = fit(examples, labels, len(values), len(numbers), parts, RARE if is_rare else 1.0)
        fits[judge].start[0] -= EAGER if is_rare else 0.0
        for value, odds in PRIOR.items() if judge == "kind" else ():
            fits[judge].start[values.index(value)] += odds
    return numbers, fits


def build(lines: Sequence[Seed]) -> bytes:
    """The content of the weights file."""
    numbers, fits = learn(lines)
    columns = [row for judge in model.JUDGES for row in fits[judge].weights]
    start = [each for judge in model.JUDGES for each in fits[judge].start]
    step = []
    for judge in model.JUDGES:
        largest = max(abs(each) for row in fits[judge].weights for each in row)
        step += [largest / 127] * len(model.JUDGES[judge])
    rounded = {}
    for mark, at in numbers.items():
        row = [round(column[at] / each) for column, each in zip(columns, step, strict=True)]
        if max(map(abs, row)) >= KEPT:
            rounded[mark] = bytes(max(0, min(255, each + 128)) for each in row)
    return model.write(rounded, start, step, digest())


def main() -> None:
    model.FILE.write_bytes(build(seeds()))
    train_language.main()


if __name__ == "__main__":
    main()
