"""A day in Storby, told by those who live there: what has been said, and what goes on being said. See story.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

US = "us"  # the municipality itself, as an author


@dataclass(frozen=True)
class Person:
    """Somebody who is not us. Only X shows the handle and the followers."""

    name: str
    handle: str
    followers: int = 48


@dataclass(frozen=True)
class Message:
    """One thing said. ``at`` is minutes from the start of the demo, negative before it.

    ``to``, ``repost`` and ``quote`` name another message by its ``id``; at most one of them is given. A repost has no
    text. ``title``: it is an article.
    """

    id: str
    at: float
    where: str
    by: str
    language: str
    text: str
    title: str | None = None
    to: str | None = None
    repost: str | None = None
    quote: str | None = None


@dataclass(frozen=True)
class Story:
    people: Mapping[str, Person]
    past: tuple[Message, ...]
    live: tuple[Message, ...]
    chatter: tuple[Message, ...]
    follow_ups: Mapping[str, tuple[str, ...]]  # what an author says to an answer, by language
    pace: float  # seconds between two messages

    def from_now_on(self) -> Iterator[Message]:
        """What is said while the demo runs: the rest of the story, then chatter for ever."""
        yield from self.live
        while True:
            yield from self.chatter


def load() -> Story:
    """The story, as it stands in story.yaml beside this file."""
    told: dict[str, Any] = yaml.safe_load(files("sandbox").joinpath("story.yaml").read_text(encoding="utf-8"))
    pace = float(told["pace"])
    live = len(told["live"])
    return Story(
        people={key: Person(**person) for key, person in told["people"].items()},
        past=tuple(_message(item) for item in told["past"]),
        live=tuple(_message(item, at=pace * n / 60) for n, item in enumerate(told["live"], 1)),
        chatter=tuple(_message(item, at=pace * n / 60) for n, item in enumerate(told["chatter"], live + 1)),
        follow_ups={language: tuple(texts) for language, texts in told["follow_ups"].items()},
        pace=pace,
    )


def _message(item: Mapping[str, Any], at: float | None = None) -> Message:
    post = dict(item["post"])
    language = post.pop("lang")
    return Message(at=post.pop("at") if at is None else at, language=language, text=item.get("text", ""), **post)
