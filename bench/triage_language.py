"""How well the language of a text is told, how fast, and in how much memory.

The measured sets were made by others and are nowhere learnt from. Beside ours: always the commonest language, a
logistic regression over bare words learnt from the same texts, and lingua, the best ready-made library, if it is there.
"und" counts as wrong wherever the text has one of our languages; where it has another, "und" is the right answer.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import sys
import time
import tracemalloc
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bench.triage_kind import always, score
from triage import language, model, train, train_language
from triage.cutting import cut
from triage.language import LANGUAGES, UNSURE

FOLDS = 5
SHORT = 5  # words
USUAL = 0.9  # of what a source wrote earlier is in its language

Labelled = list[tuple[str, str]]  # language, text
Tells = Callable[[str], str]

_LINGUA = {
    "sv": "SWEDISH",
    "da": "DANISH",
    "nb": "BOKMAL",
    "nn": "NYNORSK",
    "en": "ENGLISH",
    "fi": "FINNISH",
    "de": "GERMAN",
}
_NORDIAL = {"bokmål": "nb", "nynorsk": "nn"}


def main(corpus: Path) -> None:
    folder = corpus / "text"
    texts, lists = train_language.read_texts(), train_language.read_lists(train_language.Smoothing())
    count = {name: len(texts[name]) for name in LANGUAGES}
    others = sum(map(len, texts.values())) - sum(count.values())
    print(f"language: learnt from our own texts, {count}, and {others} in other languages")
    bare, lingua = BareWords(texts), _lingua()
    sets = labelled(folder)
    print("\nSets made by others, never learnt from:")
    for name, rows in sets.items():
        truth = [of for of, _ in rows]
        print(f"  {name} ({len(rows)} texts)")
        print(f"    commonest   {always(truth)}")
        print(f"    bare words  {score(truth, [bare.tells(text) for _, text in rows])}")
        if lingua:
            print(f"    lingua      {score(truth, list(map(lingua, (text for _, text in rows))))}")
        said = [_tells(text) for _, text in rows]
        print(f"    ours        {score(truth, said)}")
        answered = [(of, value) for of, value in zip(truth, said, strict=True) if value != UNSURE]
        if UNSURE not in truth:
            right = sum(of == value for of, value in answered) / len(answered)
            print(f"                answers {len(answered) / len(rows):.3f} of them, {right:.3f} of these right")
    if not lingua:
        print("  lingua is not installed; beside this project: pip install --target FOLDER lingua-language-detector,")
        print("  then PYTHONPATH=FOLDER make bench-triage")
    _origins(folder)
    _dialect(folder)
    _confidence(sets["social: by origin, with some texts in another language than their set's"])
    _expected(sets["social: by origin, with some texts in another language than their set's"])
    _crossed(texts, lists)
    _costs([text for rows in sets.values() for _, text in rows])


def labelled(folder: Path) -> dict[str, Labelled]:
    formal = _rows(folder / "langid/lingua_formal.csv")
    social = _rows(folder / "langid/social.csv")
    found = {}
    for kind in ("sentences", "word-pairs", "single-words"):
        here = [row for row in formal if row["kind"] == kind]
        found[f"formal {kind}"] = [(row["lang"], row["text"]) for row in here if row["lang"] in LANGUAGES]
        found[f"formal {kind} in is nl fr pl es"] = [
            (UNSURE, row["text"]) for row in here if row["lang"] not in LANGUAGES
        ]
    found["social: by origin, with some texts in another language than their set's"] = [
        (row["lang"], row["text"]) for row in social if row["lang"] in LANGUAGES
    ]
    found["nordial: bokmål and nynorsk told apart, in tweets"] = [
        (_NORDIAL[row["category"]], row["text"])
        for row in _rows(folder / "nordial_tweets/nordial.csv")
        if row["category"] in _NORDIAL
    ]
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _tells(text: str) -> str:
    return language.detect(text).value


class BareWords:
    """Multinomial logistic regression over the words as they stand; every language that is not ours is "und"."""

    def __init__(self, texts: train_language.Texts) -> None:
        self.values = (*LANGUAGES, UNSURE)
        lines = [(name if name in LANGUAGES else UNSURE, text) for name, each in texts.items() for text in each]
        words = Counter(word for _, text in lines for word in set(cut(text).words))
        self.numbers = {
            word: number for number, word in enumerate(sorted(w for w, n in words.items() if n >= train.SEEN))
        }
        labels = [self.values.index(name) for name, _ in lines]
        self.fit = train.fit([self._example(t) for _, t in lines], labels, len(self.values), len(self.numbers), set())

    def _example(self, text: str) -> train.Example:
        pieces = cut(text)
        known = array("l", (self.numbers[word] for word in pieces.words if word in self.numbers))
        return train.Example(known, array("l"), model.scale(pieces))

    def tells(self, text: str) -> str:
        scores = self.fit.scores(self._example(text))
        return self.values[scores.index(max(scores))]


def _lingua() -> Tells | None:
    """lingua, knowing all its languages, with what is not ours as "und"."""
    if importlib.util.find_spec("lingua") is None:
        return None
    library: Any = importlib.import_module("lingua")
    detector = library.LanguageDetectorBuilder.from_all_languages().build()
    ours = {getattr(library.Language, name): code for code, name in _LINGUA.items()}
    return lambda text: ours.get(detector.detect_language_of(text), UNSURE)


def _origins(folder: Path) -> None:
    print("\nBy where a set comes from (some of its texts are in another language; Norwegian: either norm):")
    for name, text, right in (
        ("swe_sentiment_social/swe.csv", "text", {"sv"}),
        ("dan_social_sentiment/sentences.csv", "text", {"da"}),
        ("norec_sentence/norec3.csv", "text", {"nb", "nn"}),
        ("airline_tweets/tweets.csv", "text", {"en"}),
        ("complaint_tweets/complaints.csv", "text", {"en"}),
        ("app_reviews/app_reviews.csv", "review", {"en"}),
        ("suggestion_semeval2019t9/suggestions.csv", "sentence", {"en"}),
    ):
        said = Counter(_tells(row[text]) for row in _rows(folder / name))
        share = sum(said[value] for value in right) / said.total()
        print(f"  {name:42} {share:.3f} of {said.total()}, {said[UNSURE] / said.total():.3f} und")


def _dialect(folder: Path) -> None:
    print("\nHow sure on Norwegian tweets (dialect is neither norm, so nobody should be):")
    sure: dict[str, list[float]] = defaultdict(list)
    for row in _rows(folder / "nordial_tweets/nordial.csv"):
        sure[row["category"]].append(language.detect(row["text"]).confidence)
    for category, each in sure.items():
        print(f"  {category:10} {len(each):4} texts, {mean(one > 0.9 for one in each):.3f} surer than 0.9")


def _confidence(rows: Labelled) -> None:
    print("\nIs the confidence true? Social texts by what it said:")
    by: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for of, text in rows:
        verdict = language.detect(text)
        if verdict.value != UNSURE:
            by[min(9, int(verdict.confidence * 10))].append((verdict.confidence, verdict.value == of))
    for step, each in sorted(by.items()):
        said, right = mean(one for one, _ in each), mean(one for _, one in each)
        print(f"  {step / 10:.1f}–{(step + 1) / 10:.1f}  {len(each):4} texts, said {said:.3f}, right {right:.3f}")


def _expected(rows: Labelled) -> None:
    print(f"\nThe first three words of social texts, then {USUAL:.0%} of what the source wrote being in its language:")
    short = [(of, " ".join(word for word, _ in language.words(text)[:3])) for of, text in rows]
    truth = [of for of, _ in short]
    print(f"  text alone  {score(truth, [_tells(text) for _, text in short])}")
    said = [language.detect(text, expected={of: USUAL, "en": 1 - USUAL}).value for of, text in short]
    print(f"  expected    {score(truth, said)}")


def _crossed(texts: train_language.Texts, lists: train_language.Lists) -> None:
    print(f"\nOur own texts, {FOLDS}-fold, what the others teach about each fifth; whole, and {SHORT} words of each:")
    said: list[tuple[str, str, str]] = []
    shipped = language.table
    for fold in range(FOLDS):
        rest = {name: [t for at, t in enumerate(each) if at % FOLDS != fold] for name, each in texts.items()}
        learnt = train_language.learn(rest, lists, train_language.Smoothing())
        _use(lambda learnt=learnt: learnt)
        for name in LANGUAGES:
            for text in texts[name][fold::FOLDS]:
                short = " ".join(word for word, _ in language.words(text)[:SHORT])
                said.append((name, _tells(text), _tells(short)))
    _use(shipped)
    print(f"  whole       {score([name for name, _, _ in said], [whole for _, whole, _ in said])}")
    print(f"  {SHORT} words     {score([name for name, _, _ in said], [short for _, _, short in said])}")


def _use(table: Any) -> None:
    language.table = table
    language.score.cache_clear()


def _costs(texts: Sequence[str]) -> None:
    words = mean(len(language.words(text)) for text in texts)
    language.table.cache_clear()
    tracemalloc.start()
    began = time.perf_counter()
    language.table()
    reading = time.perf_counter() - began
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(
        f"\nCost: table read in {reading * 1000:.0f} ms, {held / 1e6:.1f} MB; {len(texts)} texts of {words:.0f} words"
    )
    language.score.cache_clear()
    began = time.perf_counter()
    for text in texts:
        _tells(text)
    print(f"  {(time.perf_counter() - began) / len(texts) * 1e6:.0f} µs a text, no word remembered at first")
    seen = texts[-1000:]
    began = time.perf_counter()
    for text in seen:
        _tells(text)
    print(f"  {(time.perf_counter() - began) / len(seen) * 1e6:.0f} µs a text, every word remembered")
    language.score.cache_clear()
    tracemalloc.start()
    for text in texts:
        _tells(text)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"  {held / 1e6:.1f} MB of remembered words at the most")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
