"""All judges on one text: what intake asks, once per mention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from triage import kind, language, learning, model, noise, sentiment, urgency
from triage.cutting import cut
from triage.learning import NOTHING, Lessons
from triage.noise import NOBODY, Author
from triage.verdicts import Verdict


@dataclass(frozen=True)
class Judgement:
    """A verdict per judge; ``urgency`` and ``noise`` are None where there is none."""

    language: Verdict
    kind: Verdict
    wants_answer: Verdict
    sentiment: Verdict
    urgency: Verdict | None
    noise: Verdict | None


def judge(
    text: str,
    *,
    title: str | None = None,
    expected: Mapping[str, float] = MappingProxyType({}),
    author: Author = NOBODY,
    lessons: Lessons = NOTHING,
) -> Judgement:
    """``expected``: language → share in what the source and the author wrote earlier, between 0 and 1."""
    whole = f"{title}\n{text}" if title else text
    spoken = detect(whole, expected=expected, lessons=lessons)
    what = kind.judge(whole, spoken.value, lessons)
    return Judgement(
        language=spoken,
        kind=what,
        wants_answer=kind.wants_answer(whole, spoken.value, what, lessons),
        sentiment=sentiment.judge(whole, spoken.value, lessons),
        urgency=urgency.judge(whole, spoken.value, lessons),
        noise=noise.judge(whole, spoken.value, author=author, lessons=lessons),
    )


def detect(text: str, *, expected: Mapping[str, float] = MappingProxyType({}), lessons: Lessons = NOTHING) -> Verdict:
    """The language of a text, with the lessons about languages, which ``language.detect`` knows nothing of."""
    spoken = language.detect(text, expected=expected)
    taught = lessons.taught("language", text, "und")
    if taught is None:
        return spoken
    scores = {value: score + taught.shift[value] for value, score in learning.spread(spoken).items()}
    best = max(scores, key=scores.__getitem__)
    if best == spoken.value:
        return spoken
    sure = dict(zip(scores, model.likelihoods(list(scores.values())), strict=True))
    shares = [place[best] for place in taught.places]
    return Verdict(best, round(sure[best], 3), model.telling(cut(text), shares, best))
