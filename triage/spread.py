"""How a story spreads: who began, who carried it on, its reach, its growth, and when that is alarming."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from triage.fingerprints import Item, canonical

HOUR = timedelta(hours=1)
MENTIONS, AUTHORS = 5, 4  # in an hour; below that nothing is alarming
CHANCE = 0.001  # how likely an hour's mentions are by chance, at most, when it alarms
EVERYDAY = 0.5  # mentions an hour that are taken to be usual where nothing is known

Usual = Callable[[datetime], float] | Mapping[tuple[int, int], float]  # (weekday, Monday 0; hour) -> mentions that hour


@dataclass(frozen=True)
class Stage:
    """``article``, ``comment``, ``press`` or ``social``: when the story came there, with which mention, how many."""

    name: str
    at: datetime
    first: int
    mentions: int


@dataclass(frozen=True)
class Timeline:
    """``first``: the mention it began with; ``spreaders``: (author, mentions) without the one who began, most first;
    ``stages`` in the order they were reached; ``reach``: followers, each author once; ``hours``: (full hour, mentions),
    empty hours left out."""

    first: int
    author: str | None
    spreaders: tuple[tuple[str, int], ...]
    stages: tuple[Stage, ...]
    reach: int
    hours: tuple[tuple[datetime, int], ...]


@dataclass(frozen=True)
class Growth:
    """Mentions in the hour up to ``at``, in the hour before it, and what is usual for this hour of this weekday;
    ``chance``: how likely so many are when all is as usual (Poisson)."""

    at: datetime
    mentions: int
    before: int
    usual: float
    chance: float


@dataclass(frozen=True)
class Alarm:
    """Why, in numbers: mentions and authors of the last hour, what is usual, and when the first of them was written."""

    at: datetime
    mentions: int
    authors: int
    usual: float
    since: datetime


def timeline(
    items: Sequence[Item],
    followers: Mapping[str, int] | None = None,
    press: Collection[str] = (),
    sites: Collection[str] = (),
) -> Timeline:
    """Of one story's mentions, at least one. ``press``: hosts of newspapers, with all below them. ``sites``: channels
    whose mentions are articles and comments below those; all other channels are social."""
    ordered = sorted(items, key=lambda item: (item.at, item.id))
    top = ordered[0]
    authors = Counter(item.author for item in ordered if item.author)
    stages: dict[str, list[Item]] = {}
    for item in ordered:
        stages.setdefault(stage(item, press, sites), []).append(item)
    hours = Counter(item.at.replace(minute=0, second=0, microsecond=0) for item in ordered)
    return Timeline(
        first=top.id,
        author=top.author,
        spreaders=tuple((name, n) for name, n in authors.most_common() if name != top.author),
        stages=tuple(Stage(name, found[0].at, found[0].id, len(found)) for name, found in stages.items()),
        reach=sum((followers or {}).get(author, 0) for author in authors),
        hours=tuple(sorted(hours.items())),
    )


def stage(item: Item, press: Collection[str], sites: Collection[str]) -> str:
    """A newspaper is press wherever it writes on the web; only a mention's own address tells."""
    address = canonical(item.url + "/-") if item.url else None
    host = address.split("/")[0].split(":")[0] if address else ""
    if any(host == each or host.endswith("." + each) for each in press):
        return "comment" if item.quotes else "press"
    if item.channel in sites:
        return "comment" if item.quotes else "article"
    return "social"


def growth(times: Sequence[datetime], at: datetime, usual: Usual) -> Growth:
    """``times``: of a story's mentions, or of all. ``at`` in the organisation's time zone: weekday and hour are read
    from it. An hour that begins within a clock hour is compared with its share of both."""
    mentions = sum(at - HOUR < each <= at for each in times)
    before = sum(at - 2 * HOUR < each <= at - HOUR for each in times)
    share = (at.minute * 60 + at.second) / 3600
    expected = share * _usual(usual, at) + (1 - share) * _usual(usual, at - HOUR)
    return Growth(at, mentions, before, expected, _at_least(mentions, max(expected, EVERYDAY)))


def alarming(times: Sequence[datetime], authors: Sequence[str | None], at: datetime, usual: Usual) -> Alarm | None:
    """An alarm while it is still small: at least MENTIONS by AUTHORS within the hour, and so many by chance only once
    in a thousand such hours. ``authors`` beside ``times``; a mention without a known author is nobody's. What comes
    slowly never alarms."""
    now = growth(times, at, usual)
    lately = [(when, who) for when, who in zip(times, authors, strict=True) if at - HOUR < when <= at]
    people = {who for _, who in lately if who}
    if now.mentions < MENTIONS or len(people) < AUTHORS or now.chance > CHANCE:
        return None
    return Alarm(at, now.mentions, len(people), now.usual, min(when for when, _ in lately))


def _usual(usual: Usual, at: datetime) -> float:
    return usual(at) if callable(usual) else usual.get((at.weekday(), at.hour), 0.0)


def _at_least(n: int, mean: float) -> float:
    """The chance of n or more where ``mean`` come on average (Poisson)."""
    if n == 0:
        return 1.0
    first = math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))
    term, total, k = first, first, n
    while n > mean and term > total * 1e-9:  # upwards, where the terms shrink
        k += 1
        term *= mean / k
        total += term
    if n > mean:
        return min(1.0, total)
    return max(0.0, 1.0 - sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(n)))
