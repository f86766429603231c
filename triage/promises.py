"""Promises in our own answers: "vi återkommer på fredag", "we will fix it within 14 days".

A promise is a sentence that says what *we* will do, or what will be done, and by when. Pure: the text, its language,
the day it was written and the days that are worked go in; the words and the last day of the promise come out. The
words that tell stand in ``words/promises.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

FARTHEST = timedelta(days=400)  # what is promised for later than that is a plan
LONGEST = 20_000  # characters of an answer that are looked at

IsOpen = Callable[[date], bool]

_COUNTED = (
    "en ett et ein eitt eit a an one én ét", "två to two", "tre three", "fyra fire four", "fem five", "sex seks six",
    "sju syv seven", "åtta otte åtte eight", "nio ni nine", "tio ti ten", "elva elleve eleven", "tolv twelve",
    "tretton tretten thirteen", "fjorton fjorten fourteen",
)  # fmt: skip
_NUMBERS = {word: number for number, words in enumerate(_COUNTED, start=1) for word in words.split()}
_NUMBER = r"(?P<count>\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")( ?[-–] ?(?P<to>\d{1,3}))?"
_SENTENCE_END = re.compile(r"(?<=[.!?…])(?<!\b\d\.)(?<!\b\d\d\.)\s+|\n+")


@dataclass(frozen=True)
class Promised:
    """``words``: the sentence, as it stands in the answer. ``due``: the last day on which it is kept in time."""

    words: str
    due: date


def find(text: str, language: str | None, written: date, *, is_open: IsOpen | None = None) -> Promised | None:
    """The promise in an answer that is due first; None where there is none that says when.

    ``written``: the day of the answer, in the organisation's own time zone. ``is_open``: for "working days"; without it
    Monday to Friday. A language that is not known is tried as each of them.
    """
    tongues = _tongues()
    spoken = [tongues[language]] if language in tongues else list(tongues.values())
    found: list[Promised] = []
    for sentence in (part.strip() for part in _SENTENCE_END.split(text[:LONGEST])):
        dues = [tongue.due(sentence.lower(), written, is_open or _weekday) for tongue in spoken]
        if any(dues):
            found.append(Promised(sentence, max(due for due in dues if due is not None)))
    return min(found, key=lambda promised: promised.due, default=None)


def _weekday(day: date) -> bool:
    return day.weekday() < 5


class _Tongue:
    """One language's words, compiled."""

    def __init__(self, words: dict[str, list[str] | str]) -> None:
        self.we, self.not_ = (re.compile("|".join(words[name])) for name in ("we", "not"))
        self.soon = [re.compile(rf"\b(?:{each})\b") for each in words["soon"]]
        self.weekdays = [re.compile(rf"\b{day}(?:en|s)?\b") for day in words["weekdays"]]
        self.next = [re.compile(r"\b" + str(words["next"]).replace("{day}", day)) for day in words["weekdays"]]
        units = "|".join(f"(?P<u{number}>{unit})" for number, unit in enumerate(words["units"]))
        self.amount = re.compile(rf"\b{words['within']} (en |the )?{_NUMBER} ?({units})\b")
        months = "|".join(words["months"])
        self.months = list(words["months"])
        year = r"(?:,? (?P<year>20\d\d))?"
        self.dates = [
            re.compile(rf"\b(?P<day>\d{{1,2}})(?:\.|:e|:a|st|nd|rd|th)?(?: of)? (?P<month>{months})\w*{year}"),
            re.compile(rf"\b(?P<month>{months})\w* (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b{year}"),
        ]

    def due(self, said: str, written: date, is_open: IsOpen) -> date | None:
        """The last day a sentence in lower case promises something for."""
        if not self.we.search(said) or self.not_.search(said):
            return None
        days = (*self._soon(said, written), *self._amounts(said, written, is_open), *self._dates(said, written))
        coming = [day for day in days if written <= day <= written + FARTHEST]
        return max(coming, default=None)  # "i dag eller i morgon": the last of them still keeps it

    def _soon(self, said: str, written: date) -> Iterator[date]:
        monday = written - timedelta(days=written.weekday())
        for number, (named, next_one) in enumerate(zip(self.weekdays, self.next, strict=True)):
            if next_one.search(said):
                said = next_one.sub(" ", said)
                yield monday + timedelta(days=7 + number)
            elif named.search(said):
                said = named.sub(" ", said)
                yield written + timedelta(days=(number - written.weekday()) % 7 or 7)
        when = (_same, _tomorrow, _after_tomorrow, _friday, _next_friday, _month_end)
        for pattern, day in reversed(list(zip(self.soon, when, strict=True))):  # "övermorgon" before "morgon"
            if pattern.search(said):
                said = pattern.sub(" ", said)
                yield day(written)

    def _amounts(self, said: str, written: date, is_open: IsOpen) -> Iterator[date]:
        for found in self.amount.finditer(said):
            count = int(found["to"] or _NUMBERS.get(found["count"], 0) or found["count"])
            hours, working, days, weeks, _ = (found[f"u{number}"] for number in range(5))
            if hours:
                yield written + timedelta(days=(count + 7) // 24)  # asked at noon, eight hours lead to the evening
            elif working:
                yield _working(written, count, is_open)
            elif days or weeks:
                yield written + timedelta(days=count * (7 if weeks else 1))
            else:
                month = written.month - 1 + count
                last = _month_end(date(written.year + month // 12, month % 12 + 1, 1))
                yield min(last, last.replace(day=min(written.day, last.day)))

    def _dates(self, said: str, written: date) -> Iterator[date]:
        for iso in re.finditer(r"\b(20\d\d)-(\d\d)-(\d\d)\b", said):
            yield from _day(int(iso[1]), int(iso[2]), int(iso[3]))
        for pattern in self.dates:
            for found in pattern.finditer(said):
                month = self.months.index(found["month"]) + 1
                yield from _coming(int(found["day"]), month, found["year"], written)
        for short in re.finditer(r"\b(?P<day>\d{1,2})(?:/|\.)(?P<month>\d{1,2})(?![\d:]|\.\d)", said):
            yield from _coming(int(short["day"]), int(short["month"]), None, written)


@cache
def _tongues() -> dict[str, _Tongue]:
    words = tomllib.loads((Path(__file__).parent / "words" / "promises.toml").read_text(encoding="utf-8"))
    return {language: _Tongue(each) for language, each in words.items()}


def _same(day: date) -> date:
    return day


def _tomorrow(day: date) -> date:
    return day + timedelta(days=1)


def _after_tomorrow(day: date) -> date:
    return day + timedelta(days=2)


def _friday(day: date) -> date:
    """Of this week; said on a weekend, of the next."""
    return day + timedelta(days=(4 - day.weekday()) % 7)


def _next_friday(day: date) -> date:
    return day + timedelta(days=11 - day.weekday())


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _working(day: date, count: int, is_open: IsOpen) -> date:
    last = day + FARTHEST
    while count and day < last:
        day += timedelta(days=1)
        count -= is_open(day)
    return day


def _coming(day: int, month: int, year: str | None, written: date) -> list[date]:
    """The next such date; of the year said, if one was."""
    if year is not None:
        return _day(int(year), month, day)
    dates = [found for ahead in (0, 1) for found in _day(written.year + ahead, month, day) if found >= written]
    return dates[:1]


def _day(year: int, month: int, day: int) -> list[date]:
    try:
        return [date(year, month, day)]
    except ValueError:  # 31 February: no date, and no promise
        return []
