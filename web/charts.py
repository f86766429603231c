"""Charts as SVG, worked out here and drawn by ``templates/_chart.html``: no script, no library, no style of their own.

Everything is laid out in per cent of the place there is, so letters keep the reader's size. Series differ by pattern
and outline, never by colour alone; the table of the same figures goes with every chart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from math import ceil, floor, log10

from web.i18n import gettext as _
from web.i18n import ngettext, number
from web.report_words import took

HEADROOM = 0.92  # of the height: above is room for what is written over a bar
NAMED = 5  # places named under a chart
LABELLED = 8  # bars, up to which each bears its value


@dataclass(frozen=True)
class Series:
    """``words``: each value as it is written; ``addresses``: of what lies behind it. A value may be unknown."""

    name: str
    values: Sequence[float | None]
    words: Sequence[str]
    addresses: Sequence[str | None] = ()

    def address(self, place: int) -> str | None:
        return self.addresses[place] if place < len(self.addresses) else None


@dataclass(frozen=True)
class Mark:
    """A bar, or a point where ``height`` is nothing, in per cent. ``series``: which pattern."""

    series: int
    x: str
    y: str
    width: str
    height: str
    words: str
    middle: str = ""


@dataclass(frozen=True)
class Hit:
    """The place of one mark, that leads to what lies behind it when it is clicked; the keyboard has the table."""

    x: str
    y: str
    width: str
    height: str
    address: str
    words: str


@dataclass(frozen=True)
class Named:
    """A place named under the chart. ``rare``: left out where it is narrow."""

    x: str
    anchor: str
    words: str
    rare: bool


@dataclass(frozen=True)
class Chart:
    """``head``: what the places are (days, weeks …), over the first column of the table."""

    id: str
    title: str
    description: str
    head: str
    labels: Sequence[str]
    series: Sequence[Series]
    ticks: Sequence[str]  # at the top, in the middle, at the bottom
    marks: Sequence[Mark]
    lines: Sequence[tuple[int, str]]  # which series, points of 100 × 100
    named: Sequence[Named]
    hits: Sequence[Hit]
    labelled: bool  # each bar bears its value
    unknown: Sequence[str] = ()  # the places of which nothing is known, which is not that nothing was there

    @property
    def empty(self) -> bool:
        return not any(value for each in self.series for value in each.values)


def columns(
    id: str, title: str, head: str, labels: Sequence[str], series: Sequence[Series],
    *, short: Sequence[str] | None = None, tick: Callable[[float], str] | None = None,
) -> Chart:  # fmt: skip
    """Bars side by side, over time."""
    top = nice(max((value or 0 for each in series for value in each.values), default=0))
    room = 100 / max(len(labels), 1)
    gap = room * 0.12
    wide = (room - 2 * gap) / max(len(series), 1)
    marks = [
        _bar(n, place * room + gap + (n + 0.03) * wide, wide * 0.94, 0, value / top, each.words[place])
        for n, each in enumerate(series)
        for place, value in enumerate(each.values)
        if value
    ]
    hits = [
        hit
        for place in range(len(labels))
        for n in range(len(series))
        for hit in _hit(labels, series, n, place, place * room + gap + n * wide, wide)
    ]
    few = len(labels) * len(series) <= LABELLED
    return _chart(id, title, head, labels, series, top, marks, (), hits, short, tick, labelled=few)


def stacked(
    id: str, title: str, head: str, labels: Sequence[str], series: Sequence[Series],
    *, short: Sequence[str] | None = None, tick: Callable[[float], str] | None = None,
) -> Chart:  # fmt: skip
    """Bars on top of one another, over time."""
    sums = [sum(each.values[place] or 0 for each in series) for place in range(len(labels))]
    top = nice(max(sums, default=0))
    room = 100 / max(len(labels), 1)
    marks: list[Mark] = []
    hits: list[Hit] = []
    for place in range(len(labels)):
        under = 0.0
        for n, each in enumerate(series):
            if value := each.values[place]:
                x, wide = place * room + room * 0.12, room * 0.76
                marks.append(_bar(n, x, wide, under / top, value / top, each.words[place]))
                high = 100 * HEADROOM * value / top
                hits += _hit(labels, series, n, place, x, wide, 100 - 100 * HEADROOM * under / top - high, high)
                under += value
    return _chart(id, title, head, labels, series, top, marks, (), hits, short, tick)


def lines(
    id: str, title: str, head: str, labels: Sequence[str], series: Sequence[Series],
    *, short: Sequence[str] | None = None, tick: Callable[[float], str] | None = None,
) -> Chart:  # fmt: skip
    """A line over time; where a value is unknown it is broken. A point stands where nothing is beside it, too."""
    known = [value for each in series for value in each.values if value is not None]
    top = nice(max(known, default=0), time=tick is duration_tick)
    room = 100 / max(len(labels), 1)
    drawn: list[tuple[int, str]] = []
    marks: list[Mark] = []
    points_of: dict[int, list[tuple[float, int]]] = {}
    for n, each in enumerate(series):
        places = [
            (place * room + room / 2, 100 - 100 * HEADROOM * value / top, each.words[place]) if value is not None
            else None
            for place, value in enumerate(each.values)
        ]  # fmt: skip
        for place, point in enumerate(places):
            if point is not None:
                points_of.setdefault(place, []).append((point[1], n))
        for there, run in groupby(places, key=lambda point: point is not None):
            if there:
                points = [point for point in run if point is not None]
                drawn.append((n, " ".join(f"{x:.2f},{y:.2f}" for x, y, _words in points)))
                marks += [Mark(n, f"{x:.2f}%", f"{y:.2f}%", "", "", words) for x, y, words in points]
    hits = [
        hit
        for place, points in sorted(points_of.items())
        for n, above, below in _nearest(points)
        for hit in _hit(labels, series, n, place, place * room, room, above, below - above)
    ]
    return _chart(id, title, head, labels, series, top, marks, drawn, hits, short, tick)


def _nearest(points: Sequence[tuple[float, int]]) -> Iterator[tuple[int, float, float]]:
    """Of points over one another (height, series): the series, and from where to where each is the nearest."""
    found = sorted(points)
    edges = [0.0, *((above + below) / 2 for (above, _a), (below, _b) in pairwise(found)), 100.0]
    for (_y, n), (above, below) in zip(found, pairwise(edges), strict=True):
        yield n, above, below


def _hit(
    labels: Sequence[str], series: Sequence[Series], n: int, place: int,
    x: float, width: float, y: float = 0, height: float = 100,
) -> Iterator[Hit]:  # fmt: skip
    """What leads to the cases of this very series; nothing where none lie behind it."""
    each = series[n]
    if address := each.address(place):
        words = each.words[place] if len(series) == 1 else f"{each.name} {each.words[place]}"
        yield Hit(
            f"{x:.2f}%", f"{y:.2f}%", f"{width:.2f}%", f"{height:.2f}%", address, f"{labels[place]}: {words}"
        )  # fmt: skip


def with_unknown(chart: Chart, places: Sequence[int]) -> Chart:
    """These places bear a question mark, and the description says how many they are."""
    if not places:
        return chart
    room = 100 / max(len(chart.labels), 1)
    said = ngettext("Of %(n)s nothing is known.", "Of %(n)s nothing is known.", len(places))
    middles = [f"{place * room + room / 2:.2f}%" for place in places]
    return replace(chart, unknown=middles, description=f"{chart.description} {said}")


def _bar(n: int, x: float, width: float, under: float, share: float, words: str) -> Mark:
    height = 100 * HEADROOM * share
    y = 100 - 100 * HEADROOM * under - height
    middle = f"{x + width / 2:.2f}%"
    return Mark(n, f"{x:.2f}%", f"{y:.2f}%", f"{width:.2f}%", f"{height:.2f}%", words, middle)


def _chart(
    id: str, title: str, head: str, labels: Sequence[str], series: Sequence[Series], top: float,
    marks: Sequence[Mark], drawn: Sequence[tuple[int, str]], hits: Sequence[Hit], short: Sequence[str] | None,
    tick: Callable[[float], str] | None, *, labelled: bool = False,
) -> Chart:  # fmt: skip
    tick = tick or _plain
    return Chart(
        id, title, _described(labels, series), head, labels, series, (tick(top), tick(top / 2), tick(0)),
        marks, drawn, _named(short or labels), hits, labelled,
    )  # fmt: skip


def _described(labels: Sequence[str], series: Sequence[Series]) -> str:
    """What one sees at a glance, in words: of each series its highest and its last value."""
    found = []
    for each in series:
        known = [(value, -place) for place, value in enumerate(each.values) if value is not None]
        if not known or not max(known)[0]:
            found.append(_("%(name)s: nothing.", name=each.name))
            continue
        most, last = -max(known)[1], -known[-1][1]
        found.append(
            _(
                "%(name)s: at most %(most)s (%(when)s), at last %(last)s (%(end)s).",
                name=each.name, most=each.words[most], when=labels[most], last=each.words[last], end=labels[last],
            )
        )  # fmt: skip
    return " ".join(found)


def _named(labels: Sequence[str]) -> list[Named]:
    """Some of the places, evenly: all of them where they are few."""
    n = len(labels)
    room = 100 / max(n, 1)
    step = max(ceil(n / NAMED), 1)
    found = []
    for at, place in enumerate(range(0, n, step)):
        middle = place * room + room / 2
        anchor = "start" if middle < 8 and n > 3 else "end" if middle > 92 and n > 3 else "middle"
        x = 0.0 if anchor == "start" else 100.0 if anchor == "end" else middle
        found.append(Named(f"{x:.2f}%", anchor, labels[place], rare=at % 2 == 1 and n > 3))
    return found


def nice(most: float, *, time: bool = False) -> float:
    """A round number at or above, so that a scale can be read; of times, seconds that make whole minutes, hours …"""
    if most <= 0:
        return 1
    if time:
        steps = (60, 120, 600, 1200, 3600, 7200, 4 * 3600, 8 * 3600, 12 * 3600, 86400, 2 * 86400)
        if most <= steps[-1]:
            return next(step for step in steps if most <= step)
        return ceil(most / (2 * 86400)) * 2 * 86400
    scale = 10 ** floor(log10(most))
    found = float(next(step * scale for step in (1, 2, 4, 6, 8, 10) if most <= step * scale))
    return max(found, 2)


def _plain(value: float) -> str:
    return number(int(value) if value == int(value) else value)


def duration_tick(seconds: float) -> str:
    return took(int(seconds))


# -- bars that lie ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A line of a table with a bar in it."""

    label: str
    value: float | None
    words: str
    address: str | None = None
    also: Sequence[str] = ()  # further columns


@dataclass(frozen=True)
class Lying:
    item: Item
    width: str


def bars(items: Sequence[Item]) -> list[Lying]:
    most = max((item.value or 0 for item in items), default=0) or 1
    return [Lying(item, f"{100 * (item.value or 0) / most:.2f}%") for item in items]


# -- a table with shades ---------------------------------------------------------------------------------------------

SHADES = 5


def shade(value: int, most: int) -> int:
    """From 0, which is nothing, to ``SHADES``."""
    return 0 if not value else min(SHADES, 1 + (value - 1) * SHADES // most)
