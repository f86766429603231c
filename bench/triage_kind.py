"""How well kind, sentiment, urgency and noise are judged, how fast, and what corrections teach.

The measured sets were made by others and are nowhere learnt from. One half of each may be looked at when the judges are
mended; only the other half is measured. None has our kinds in our languages, so kind is also measured on our own seeds:
what three quarters of them teach about the fourth, and what the other languages teach about one. Beside each: always
the commonest value, and a logistic regression over bare words learnt from the same seeds.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import re
import subprocess
import sys
import time
import tracemalloc
from array import array
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from triage import judges, model, train
from triage.cutting import cut
from triage.learning import NOTHING, Lesson, Lessons, verdict
from triage.lexicon import LANGUAGES

FOLDS = 4  # of which one is judged
LEFT_OUT = "en"  # judged by what the other languages teach, which are not its relatives
MOST = 2_000  # texts of a set
CORRECTIONS, NEXT, TRIALS = 50, 200, 6
TIMED = 3_000


REST = "rest"
_SHORT = {"neg": "negative", "neu": "neutral", "pos": "positive"}
_LOWER = {"negative": "negative", "neutral": "neutral", "positive": "positive"}
_CAPITAL = {"Negative": "negative", "Neutral": "neutral", "Positive": "positive"}
_APPS = {"bug report": "problem", "feature request": "idea", "rating": REST, "user experience": REST}


def may_be_looked_at(name: str) -> bool:
    """Half of all rows, by a hash of what their document is called: ``12-1`` and ``12-2`` are of document 12."""
    return hashlib.sha256(re.split("[_-]", name)[0].encode()).digest()[0] % 2 == 0


@dataclass(frozen=True, eq=False)
class Measured:
    """A set of others: where it lies, and which of our values its labels stand for (``REST``: any other)."""

    name: str
    language: str
    judge: str
    proxy: str  # for what it stands
    file: str
    id: str  # column
    text: str  # column
    label: str  # column
    means: dict[str, str]

    def read(self, corpus: Path) -> list[tuple[str, str]]:
        """(text, the value it should get) of the rows that are only measured, in an order of chance."""
        with (corpus / "text" / self.file).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if not may_be_looked_at(row[self.id])]
        random.Random(1).shuffle(rows)
        return [(row[self.text].strip('"'), self.means[row[self.label]]) for row in rows]

    def said(self, value: str) -> str:
        """What a value of ours is called here."""
        return value if value in self.means.values() else REST


SETS = (
    Measured(
        *("airline tweets", "en", "sentiment", "to customer service"),
        *("airline_tweets/tweets.csv", "tweet_id", "text", "airline_sentiment"),
        means=_LOWER,
    ),
    Measured(
        *("Swedish social", "sv", "sentiment", "chat with emoji"),
        *("swe_sentiment_social/swe.csv", "text", "text", "label"),
        means=_SHORT,
    ),
    Measured(
        *("Danish social", "da", "sentiment", "political debate"),
        *("dan_social_sentiment/sentences.csv", "n", "text", "label3"),
        means=_SHORT,
    ),
    Measured(
        *("Norwegian reviews", "nb", "sentiment", "sentences of newspaper reviews, far from messages"),
        *("norec_sentence/norec3.csv", "sent_id", "text", "label"),
        means=_CAPITAL,
    ),
    Measured(
        *("complaint tweets", "en", "kind", "a complaint is a problem"),
        *("complaint_tweets/complaints.csv", "tweet_id", "text", "complaint"),
        means={"1": "problem", "0": REST},
    ),
    Measured(
        *("suggestions", "en", "kind", "a suggestion is an idea; sentences of a developers' forum"),
        *("suggestion_semeval2019t9/suggestions.csv", "id", "sentence", "suggestion"),
        means={"1": "idea", "0": REST},
    ),
    Measured(
        *("app reviews", "en", "kind", "bug = problem, feature = idea, rating and experience = the rest"),
        *("app_reviews/app_reviews.csv", "id", "review", "label"),
        means=_APPS,
    ),
)


# -- scores -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    accuracy: float
    f1: dict[str, float]

    @property
    def macro(self) -> float:
        return mean(self.f1.values())

    def __str__(self) -> str:
        each = "  ".join(f"{value} {f1:.2f}" for value, f1 in self.f1.items())
        return f"accuracy {self.accuracy:.3f}  macro-F1 {self.macro:.3f}  {each}"


def score(truth: Sequence[str], said: Sequence[str]) -> Score:
    pairs = Counter(zip(truth, said, strict=True))
    f1 = {}
    for value in dict.fromkeys(sorted(truth)):
        right = pairs[value, value]
        f1[value] = 2 * right / (truth.count(value) + said.count(value))
    return Score(sum(pairs[value, value] for value in f1) / len(truth), f1)


def always(truth: Sequence[str]) -> Score:
    commonest = Counter(truth).most_common(1)[0][0]
    return score(truth, [commonest] * len(truth))


# -- the same regression over bare words ------------------------------------------------------------------------------


class BareWords:
    """Multinomial logistic regression over the words as they stand, no lists, no letters, no order."""

    def __init__(self, lines: Sequence[train.Seed], judge: str) -> None:
        self.values = model.JUDGES[judge]
        count = Counter(word for line in lines for word in set(cut(line.text).words))
        kept = sorted(word for word, seen in count.items() if seen >= train.SEEN)
        self.numbers = {word: number for number, word in enumerate(kept)}
        labels = [self.values.index(line.label(judge)) for line in lines]
        examples = [self._example(line.text) for line in lines]
        self.fit = train.fit(examples, labels, len(self.values), len(self.numbers), set())

    def _example(self, text: str) -> train.Example:
        pieces = cut(text)
        known = array("l", (self.numbers[word] for word in pieces.words if word in self.numbers))
        return train.Example(known, array("l"), model.scale(pieces))

    def says(self, text: str) -> str:
        scores = self.fit.scores(self._example(text))
        return self.values[scores.index(max(scores))]


# -- what is printed --------------------------------------------------------------------------------------------------


def main(corpus: Path) -> None:
    lines = train.seeds()
    sets = {one: one.read(corpus) for one in SETS}
    print(f"kind, sentiment, urgency, noise: learnt from {len(lines)} seed texts of our own")
    print("\nSets made by others, never learnt from. Half of each (by a hash of the id) may be looked at; the other")
    print(f"is only measured, at most {MOST} texts of it; each text read as of the set's language:")
    bare = {judge: BareWords(lines, judge) for judge in ("kind", "sentiment")}
    for one, half in sets.items():
        texts = half[:MOST]
        truth = [label for _, label in texts]
        print(f"  {one.judge} · {one.name} ({one.language}, {len(texts)} of {len(half)} texts; {one.proxy})")
        print(f"    commonest   {always(truth)}")
        print(f"    bare words  {score(truth, [one.said(bare[one.judge].says(text)) for text, _ in texts])}")
        print(f"    ours        {score(truth, [one.said(says(one, text)) for text, _ in texts])}")
    print(f"\nOur seeds: what {FOLDS - 1} of {FOLDS} texts teach about the last, and four languages about {LEFT_OUT}")
    crossed(lines)
    print(
        f"\n{CORRECTIONS} corrections of wrong verdicts, then the next {NEXT} texts of the same set; mean of {TRIALS}"
    )
    for one, texts in sets.items():
        before, after = zip(*(taught(one, texts, trial) for trial in range(TRIALS)), strict=True)
        gain = mean(after) - mean(before)
        print(f"  {one.judge} · {one.name:18} right before {mean(before):.3f}, after {mean(after):.3f}: {gain:+.3f}")
    costs([text for texts in sets.values() for text, _ in texts])


def says(one: Measured, text: str, lessons: Lessons = NOTHING) -> str:
    return verdict(one.judge, text, one.language, lessons).value


def crossed(lines: Sequence[train.Seed]) -> None:
    """Learns without some lines and judges them, twice at a time; prints per judge, and per language where many."""
    every = tuple(model.JUDGES)
    tasks = [
        (f"every {FOLDS}th", [at % FOLDS == 0 for at in range(len(lines))], every),
        (LEFT_OUT, [line.language == LEFT_OUT for line in lines], ("kind", "sentiment")),
    ]
    with ProcessPoolExecutor(2) as workers:
        answers = workers.map(_without, *zip(*((lines, asked, names) for _, asked, names in tasks), strict=True))
        for (title, asked, names), said in zip(tasks, answers, strict=True):
            chosen = [line for line, is_asked in zip(lines, asked, strict=True) if is_asked]
            for name in names:
                ours, bare = said[name]
                truth = [line.label(name) for line in chosen]
                print(f"  {name}, {title}, {len(truth)} texts: commonest   {always(truth)}")
                print(f"  {name}, {title}: bare words  {score(truth, bare)}")
                print(f"  {name}, {title}: ours        {score(truth, ours)}")
                for language in LANGUAGES if names == every else ():
                    here = [at for at, line in enumerate(chosen) if line.language == language]
                    print(f"    {language}  {score([truth[at] for at in here], [ours[at] for at in here])}")


def _without(
    lines: Sequence[train.Seed], asked: Sequence[bool], names: tuple[str, ...]
) -> dict[str, tuple[list[str], list[str]]]:
    """Judge → what ours says of each line asked about, and what bare words say; learnt from the others."""
    rest = [line for line, is_asked in zip(lines, asked, strict=True) if not is_asked]
    chosen = [line for line, is_asked in zip(lines, asked, strict=True) if is_asked]
    numbers, fits = train.learn(rest, names)
    examples = [train.example(line.text, line.language, numbers) for line in chosen]
    said = {}
    for name in names:
        scores = map(fits[name].scores, examples)
        words = BareWords(rest, name)
        ours = [model.JUDGES[name][each.index(max(each))] for each in scores]
        said[name] = ours, [words.says(line.text) for line in chosen]
    return said


def taught(one: Measured, texts: list[tuple[str, str]], trial: int) -> tuple[float, float]:
    """The share of the next texts judged right before and after an agent corrected the first wrong verdicts."""
    coming = random.Random(trial).sample(texts, len(texts))
    values = model.JUDGES[one.judge]
    lessons: list[Lesson] = []
    while len(lessons) < CORRECTIONS:
        text, label = coming.pop()
        if one.said(says(one, text)) != label:
            scores = dict(zip(values, model.weigh(text, one.language).scores[one.judge], strict=True))
            right = max((value for value in values if one.said(value) == label), key=scores.__getitem__)
            lessons.append(Lesson(len(lessons), one.judge, right, text, one.language))
    knowing = Lessons.of(lessons)
    coming = coming[:NEXT]
    before = mean(one.said(says(one, text)) == label for text, label in coming)
    after = mean(one.said(says(one, text, knowing)) == label for text, label in coming)
    return before, after


def costs(texts: list[str]) -> None:
    """Time (of the processor) and memory of all judges together, language included."""
    chosen = random.Random(1).sample(texts, TIMED)
    words = mean(len(cut(text).words) for text in chosen)
    first = float(_fresh(_FIRST, []))
    print(f"\nAll judges together, {TIMED} texts of {words:.0f} words on average:")
    print(f"  the first text of a process {first * 1000:.0f} ms, with reading all tables")
    began = time.process_time()
    for text in chosen:
        judges.judge(text)
    print(f"  {(time.process_time() - began) / TIMED * 1e6:.0f} µs a mention, words not seen before among them")
    again = [f"{text} " for text in chosen]  # the same words, another text
    began = time.process_time()
    for text in again:
        judges.judge(text)
    print(f"  {(time.process_time() - began) / TIMED * 1e6:.0f} µs a mention, every word seen before")
    tracemalloc.start()
    peaks = []
    for text in [f"{text}  " for text in chosen[:300]]:
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        judges.judge(text)
        peaks.append(tracemalloc.get_traced_memory()[1] - held)
    tracemalloc.stop()
    print(f"  {mean(peaks):.0f} bytes a mention while it is judged")
    print(f"  {int(_fresh(_HELD, chosen)) / 1e6:.1f} MB for good, tables and remembered words together")


_FIRST = """
import time
began = time.process_time()
from triage import judges
judges.judge("Hej")
print(time.process_time() - began)
"""
_HELD = """
import json, sys, psutil
texts = json.load(sys.stdin)
before = psutil.Process().memory_info().rss
from triage import judges
for text in texts:
    judges.judge(text)
print(psutil.Process().memory_info().rss - before)
"""


def _fresh(code: str, texts: list[str]) -> str:
    """What a process of its own prints, that knows nothing yet."""
    asked = [sys.executable, "-c", code]
    return subprocess.run(asked, input=json.dumps(texts), capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
