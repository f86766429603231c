"""What an installation has been taught, and what it adds to the shipped weights.

Lessons move the weights of the marks in their texts by as little as makes each of them come out as taught, with a
margin (a large-margin fit around the shipped weights, a fixed number of rounds in the order of the lessons' numbers).
So the outcome is a function of the set of lessons alone: the order they came in does not matter, and one taken back
leaves exactly what would be without it. Little words hardly count, so texts that share no more than those with a lesson
stay as they were.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from triage import language as languages
from triage import model
from triage.cutting import cut
from triage.features import marks
from triage.lexicon import lexicon
from triage.verdicts import Verdict

ROUNDS = 5
MARGIN = 1.5  # how far ahead the taught value shall be, in log-odds
MOST = 12.0  # how far one lesson may move the scores of its own text, each way; lessons that contradict stop there
# What a mark counts where a word that says something counts 1. What stands in every other text must count little:
# corrections are made where a verdict was wrong, and would else drive its kind of text away where it was right.
_LITTLE, _EMOJI, _PAIR, _GENERAL = 0.15, 0.3, 0.4, 0.1
_STEM = 5  # letters that words of one stem begin with


@dataclass(frozen=True)
class Lesson:
    """An agent's correction: this judge should have said this value of this text. ``id`` is its own alone."""

    id: int
    judge: str
    value: str
    text: str
    language: str

    def __post_init__(self) -> None:
        if self.value not in VALUES[self.judge]:
            raise ValueError(f"{self.judge} never says {self.value!r}")


VALUES: Mapping[str, tuple[str, ...]] = {**model.JUDGES, "language": (*languages.LANGUAGES, "und")}


@dataclass(frozen=True)
class Taught:
    """What lessons add to a text's scores: in all per value, and at each word per value (log-odds)."""

    shift: Mapping[str, float]
    places: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class _Subject:
    """All lessons for one judge, by number."""

    lessons: tuple[Lesson, ...]

    @cached_property
    def weights(self) -> Mapping[str, Mapping[str, float]]:
        """Mark → value → what it adds."""
        return _learnt(self.lessons)


@dataclass(frozen=True)
class Lessons:
    """All lessons of an installation. Immutable: ``plus`` and ``minus`` give another."""

    _subjects: Mapping[str, _Subject] = field(default_factory=dict)

    @classmethod
    def of(cls, lessons: Iterable[Lesson]) -> Lessons:
        sorted_in: dict[str, dict[int, Lesson]] = {}
        for lesson in lessons:
            sorted_in.setdefault(lesson.judge, {})[lesson.id] = lesson
        return cls({judge: _Subject(_in_order(of.values())) for judge, of in sorted_in.items()})

    def plus(self, lesson: Lesson) -> Lessons:
        """With one more; a lesson of the same number gives way."""
        kept = self.minus(lesson.id)._subjects
        others = kept[lesson.judge].lessons if lesson.judge in kept else ()
        return Lessons({**kept, lesson.judge: _Subject(_in_order((*others, lesson)))})

    def minus(self, lesson_id: int) -> Lessons:
        """Without the one of this number, if there is one."""
        subjects = dict(self._subjects)
        for judge, subject in self._subjects.items():
            left = tuple(lesson for lesson in subject.lessons if lesson.id != lesson_id)
            if not left:
                del subjects[judge]
            elif len(left) < len(subject.lessons):
                subjects[judge] = _Subject(left)
        return Lessons(subjects)

    def taught(self, judge: str, text: str, language: str) -> Taught | None:
        """What the lessons for this judge add on this text; None where there are none."""
        subject = self._subjects.get(judge)
        if subject is None:
            return None
        vector = _vector(text, _listed(judge, language))
        shift = dict.fromkeys(VALUES[judge], 0.0)
        places = [dict.fromkeys(VALUES[judge], 0.0) for _ in range(vector.size)]
        for place, mark, weight in vector.at:
            for value, each in subject.weights.get(mark, {}).items():
                shift[value] += each * weight
                if place >= 0:
                    places[place][value] += each * weight
        return Taught(shift, tuple(places))


NOTHING = Lessons()


def verdict(
    judge: str, text: str, language: str, lessons: Lessons, extra: Mapping[str, float] = MappingProxyType({})
) -> Verdict:
    """What a judge of the shared weights says of a text, with its lessons.

    ``extra``: value → log-odds added for what does not stand in the text.
    """
    weighed = model.weigh(text, language)
    scores = {
        value: score + extra.get(value, 0.0)
        for value, score in zip(model.JUDGES[judge], weighed.scores[judge], strict=True)
    }
    taught = lessons.taught(judge, text, language)
    if taught is not None:
        for value, shift in taught.shift.items():
            scores[value] += shift
    best = max(scores, key=scores.__getitem__)
    sure = dict(zip(scores, model.likelihoods(list(scores.values())), strict=True))[best]
    if best == "none":
        return Verdict(best, round(sure, 3))
    shares = weighed.shares(judge, best)
    if taught is not None:
        shares = [share + place[best] for share, place in zip(shares, taught.places, strict=True)]
    return Verdict(best, round(sure, 3), model.telling(weighed.cut, shares, language))


def _in_order(lessons: Iterable[Lesson]) -> tuple[Lesson, ...]:
    return tuple(sorted(lessons, key=lambda lesson: lesson.id))


def _listed(judge: str, language: str) -> str:
    """Whose word lists tell little words from others; while the language itself is judged, nobody's."""
    return "und" if judge == "language" else language


def shipped(judge: str, text: str, language: str) -> Mapping[str, float]:
    """The scores a text has without any lesson, per value."""
    if judge == "language":
        return spread(languages.detect(text))
    return dict(zip(model.JUDGES[judge], model.weigh(text, language).scores[judge], strict=True))


@lru_cache(maxsize=8)
def _learnt(lessons: tuple[Lesson, ...]) -> Mapping[str, Mapping[str, float]]:
    """The fit itself. Remembered, so that a lesson for one judge does not make the others learn anew."""
    added: dict[str, dict[str, float]] = {}
    moved = [dict.fromkeys(VALUES[lesson.judge], 0.0) for lesson in lessons]
    studied = [_studied(lesson) for lesson in lessons]
    for _ in range(ROUNDS):
        for lesson, (text, base), spent in zip(lessons, studied, moved, strict=True):
            scores = dict(base)
            for mark, weight in text.items():
                for value, each in added.get(mark, {}).items():
                    scores[value] += each * weight
            rival = max((value for value in scores if value != lesson.value), key=scores.__getitem__)
            step = (MARGIN - scores[lesson.value] + scores[rival]) / 2
            step = max(-spent[rival], min(MOST - sum(spent.values()), step))
            if step:
                spent[rival] += step
                for mark, weight in text.items():
                    row = added.setdefault(mark, {})
                    row[lesson.value] = row.get(lesson.value, 0.0) + step * weight
                    row[rival] = row.get(rival, 0.0) - step * weight
    return added


@lru_cache(maxsize=2_048)
def _studied(lesson: Lesson) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The marks of a lesson's text and the scores it has without any lesson: the same whatever else is taught."""
    vector = _vector(lesson.text, _listed(lesson.judge, lesson.language))
    return vector.weights, shipped(lesson.judge, lesson.text, lesson.language)


def spread(verdict: Verdict) -> dict[str, float]:
    """Scores that would give this verdict on the language: the rest of the likelihood is shared by the others."""
    values = VALUES["language"]
    sure = min(max(verdict.confidence, 0.01), 0.99)
    rest = math.log((1 - sure) / (len(values) - 1))
    return {value: math.log(sure) if value == verdict.value else rest for value in values}


@dataclass(frozen=True)
class _Vector:
    """The marks of a text as lessons see them: at their words, and in all; of length 1."""

    size: int
    at: tuple[tuple[int, str, float], ...]
    weights: Mapping[str, float]


@lru_cache(maxsize=64)
def _vector(text: str, language: str) -> _Vector:
    pieces = cut(text)
    lists = lexicon(language)
    found: dict[tuple[int, str], float] = {}
    for place, word in enumerate(pieces.words):
        if not word[0].isalpha():
            found[place, "=" + word] = _EMOJI if word[0] > "\u2000" else _LITTLE
        elif "function" in lists.roles.get(word, ()):
            found[place, "=" + word] = _LITTLE
        else:
            found[place, "=" + word] = 1.0
            if len(word) > _STEM:
                found[place, "<" + word[:_STEM]] = 0.6
    for place, mark in marks(pieces, language):
        found[place, mark] = _PAIR if " " in mark and place >= 0 else _GENERAL
    times = Counter(mark for _, mark in found)
    total = {mark: weight for (_, mark), weight in found.items()}  # once, however often it stands there
    length = math.sqrt(sum(weight * weight for weight in total.values())) or 1.0
    return _Vector(
        len(pieces.words),
        tuple((place, mark, weight / times[mark] / length) for (place, mark), weight in found.items()),
        {mark: weight / length for mark, weight in total.items()},
    )
