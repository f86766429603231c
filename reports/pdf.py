"""A report as a PDF for those who meet around a table: A4, tagged, to be read aloud and kept for ever.

What stands in it comes in words already, in the reader's language (``Paper``). It is set by Typst, which is not
installed everywhere: ``Missing``.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from errors import GensvarError

STANDARDS = ("ua-1", "a-2a")  # PDF/UA-1: whoever cannot see it can read it; PDF/A-2a: an archive takes it
LONGEST = 30.0  # seconds
MEMORY = 1024 * 1024 * 1024  # bytes; 500 lines of four tables need a fifth of it
WAITS = 20.0  # seconds until it is one's turn
TYPESET = Path(__file__).parent / "typeset.py"
CANNOT_SHOW = 3
LONG_WORD = 18  # characters; a longer one may break anywhere, or it would lie over the next column
INSTALL = "pip install typst==0.15.2"
# Letters that our fonts have; where one is missing that stands in a text, only these are kept.
PLAIN = re.compile(
    "[^\n -~\xa0-\u024f\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u03ff\u0400-\u045f"
    "\u200b\u2010-\u2015\u2018-\u201e\u2022\u2026\u20ac]"
)
STRANGE = "\N{REPLACEMENT CHARACTER}"


class Missing(GensvarError):
    """Typst is not installed."""


class Busy(GensvarError):
    """Another one is being made and takes its time."""


@dataclass(frozen=True)
class Bars:
    """(label, value in words, from 0 to 1 of the longest)."""

    title: str
    bars: Sequence[tuple[str, str, float]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Block:
    """A table: the first column names the lines. ``total``: the last line, where there is one."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()


@dataclass(frozen=True)
class Paper:
    """``page``: "Page {page} of {pages}" in words; ``defined``: what heads the definitions; ``strange``: what is said
    where a letter of the data could not be set."""

    language: str
    organisation: str
    title: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    chart: Bars | None
    tables: Sequence[Block]
    defined: str
    definitions: Sequence[tuple[str, str]]
    made: str
    page: str
    strange: str


_one_at_a_time = threading.Lock()


def installed() -> bool:
    return importlib.util.find_spec("typst") is not None


def make(paper: Paper, at: datetime) -> bytes:
    """The PDF. One at a time. Raises ``Missing``, ``Busy``."""
    if not installed():
        raise Missing(f"Typst is not installed: {INSTALL}")
    if not _one_at_a_time.acquire(timeout=WAITS):
        raise Busy("Another report is being set.")
    try:
        given = _harmless(asdict(paper))
        made = _typeset(given, at)
        if made is None:  # no font of ours has such a letter: an emoji in a tag
            plain = _plain(given)
            plain["notes"] = [*plain["notes"], _plain(paper.strange.replace("{sign}", STRANGE))]
            made = _typeset(plain, at)
        if made is None:
            raise GensvarError("The report could not be set: no font has its letters.")
        return made
    finally:
        _one_at_a_time.release()


def _typeset(paper: Any, at: datetime) -> bytes | None:
    """None where a letter cannot be shown."""
    asked = {"paper": paper, "standards": STANDARDS, "made": int(at.timestamp()), "memory": MEMORY}
    command = [sys.executable, "-P", str(TYPESET)]
    try:
        done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise GensvarError(f"The report could not be set within {LONGEST:.0f} seconds.") from None
    if done.returncode == CANNOT_SHOW:
        return None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
        raise GensvarError(f"The report could not be set: {why[-1][:300]}")
    return done.stdout


def _harmless(value: Any) -> Any:
    """Texts without signs that steer instead of saying something, long words with places to break."""
    if isinstance(value, dict):
        return {key: _harmless(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(each) for each in value]
    if not isinstance(value, str):
        return value
    steers = {letter for letter in set(value) if unicodedata.category(letter) in STEERING} - {"\n"}
    seen = "".join(" " if letter in steers else letter for letter in value)
    return re.sub(rf"\S{{{LONG_WORD},}}", _may_break, seen)


STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, direction, halves of letters, ends of lines


def _may_break(word: re.Match[str]) -> str:
    return "\N{ZERO WIDTH SPACE}".join(word[0])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return PLAIN.sub(STRANGE, value) if isinstance(value, str) else value
