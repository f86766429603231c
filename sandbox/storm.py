"""The snow-storm: three hundred people write within an hour, on three networks. See snowstorm.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from sandbox.story import Message, Person

# Where they write, in turn. On X most name us; some only use our hashtag: those are found, but may not be answered.
PLACES = ("x", "facebook", "x", "x", "storbybloggen", "facebook", "x", "x", "facebook", "storbybloggen")
UNNAMED = 8  # one in so many on X


@dataclass(frozen=True)
class Storm:
    """``at`` of a message is minutes after the storm began. ``matters``: id of a message -> what it is about, or ""."""

    people: Mapping[str, Person]
    messages: tuple[Message, ...]
    matters: Mapping[str, str]


def load(below: Mapping[str, str]) -> Storm:
    """The storm as it stands in snowstorm.yaml beside this file.

    ``below``: network -> id of the message of ours they write their comments under.
    """
    told: list[dict[str, Any]] = yaml.safe_load(files("sandbox").joinpath("snowstorm.yaml").read_text("utf-8"))
    return Storm(
        {one["author"]: _person(one["author"]) for one in told},
        tuple(_message(number, one, below) for number, one in enumerate(told)),
        {f"storm-{number}": one["matter"] for number, one in enumerate(told)},
    )


def _person(handle: str) -> Person:
    return Person(re.sub(r"[._]", " ", handle).title(), handle)


def _message(number: int, one: Mapping[str, Any], below: Mapping[str, str]) -> Message:
    """What passes on a link is said on X, where links are at home."""
    where = "x" if "link" in one else PLACES[number % len(PLACES)]
    text = str(one["text"])
    if where == "x" and "@storby" not in text:
        text += " #storby" if number % UNNAMED == 3 else " @storby"
    if "link" in one:
        text += f"\n{one['link']}"
    return Message(f"storm-{number}", one["minutes"], where, one["author"], one["language"], text, to=below.get(where))
