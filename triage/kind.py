"""What a text is: a question, a problem, an idea, praise or none of these; and does its writer want an answer?"""

from __future__ import annotations

from triage import learning
from triage.learning import NOTHING, Lessons
from triage.verdicts import Verdict

# How much a kind speaks for an answer (log-odds), by itself: who asks or complains wants one, who thanks needs none.
_WANTS = {"question": 1.0, "problem": 0.7, "idea": 0.3, "praise": -0.7, "other": -1.0}


def judge(text: str, language: str, lessons: Lessons = NOTHING) -> Verdict:
    """question, problem, idea, praise or other."""
    return learning.verdict("kind", text, language, lessons)


def wants_answer(text: str, language: str, kind: Verdict, lessons: Lessons = NOTHING) -> Verdict:
    """yes or no, given what the text is held to be."""
    extra = _WANTS[kind.value] * kind.confidence
    return learning.verdict("wants_answer", text, language, lessons, {"yes": extra / 2, "no": -extra / 2})
