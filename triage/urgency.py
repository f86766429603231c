"""What cannot wait: danger to people or property, a date that runs out, a service down for many, a leak of data."""

from __future__ import annotations

from triage import learning
from triage.learning import NOTHING, Lessons
from triage.verdicts import Verdict


def judge(text: str, language: str, lessons: Lessons = NOTHING) -> Verdict | None:
    """danger, deadline, outage or leak; None where a text can wait."""
    verdict = learning.verdict("urgency", text, language, lessons)
    return None if verdict.value == "none" else verdict
