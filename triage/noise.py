"""What nobody needs to answer: spam, job ads, campaigns, bots. Noise is shown as such, never dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass

from triage import learning
from triage.learning import NOTHING, Lessons
from triage.verdicts import Verdict


@dataclass(frozen=True)
class Author:
    """What is known of who wrote a text."""

    handle: str = ""
    name: str = ""
    followers: int | None = None


NOBODY = Author()

# What a name says of itself, in log-odds; no name decides alone.
_NAMES = (
    (re.compile(r"(?<![a-z])(?:ro)?bot(?![a-z])|bot$", re.IGNORECASE), "bot", 2.0),
    (
        re.compile(r"(?<![a-zåäöæø])(?:jobb?|jobs?|stilling|karri[äe]r|careers?|rekry|rekrut)", re.IGNORECASE),
        "job",
        1.5,
    ),
    (re.compile(r"\d{5,}$"), "spam", 0.5),
)


def judge(text: str, language: str, *, author: Author = NOBODY, lessons: Lessons = NOTHING) -> Verdict | None:
    """spam, job, campaign or bot; None for what a person wrote to be read."""
    verdict = learning.verdict("noise", text, language, lessons, _said_by(author))
    return None if verdict.value == "none" else verdict


def _said_by(author: Author) -> dict[str, float]:
    extra: dict[str, float] = {}
    for pattern, value, weight in _NAMES:
        if pattern.search(author.handle) or pattern.search(author.name):
            extra[value] = weight
    if author.followers is not None and author.followers < 3:
        extra["spam"] = extra.get("spam", 0.0) + 0.5
    return extra
