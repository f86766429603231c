"""How a text feels, whatever it wants: a question may be angry, and a complaint polite."""

from __future__ import annotations

from triage import learning
from triage.learning import NOTHING, Lessons
from triage.verdicts import Verdict


def judge(text: str, language: str, lessons: Lessons = NOTHING) -> Verdict:
    """negative, neutral or positive."""
    return learning.verdict("sentiment", text, language, lessons)
