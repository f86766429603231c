"""Charts: where each bar and point lies, what is said of them in words, and what they are drawn with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import charts
from web.charts import HEADROOM, SHADES, Chart, Item, Series, bars, columns, lines, nice, shade, stacked

DAYS = ["Mon", "Tue", "Wed"]
TEMPLATES = Path(__file__).parent.parent / "web" / "templates"


def series(name: str, *values: float | None) -> Series:
    return Series(name, values, [str(value) for value in values], [f"/{name}/{n}" for n in range(len(values))])


def drawn(chart: Chart, of: int = 0) -> list[tuple[float, ...]]:
    return [
        tuple(float(each.rstrip("%")) for each in (mark.x, mark.y, mark.width, mark.height))
        for mark in chart.marks
        if mark.series == of
    ]


def test_a_bar_is_as_high_as_its_value_and_stands_on_the_ground() -> None:
    chart = columns("c", "Received", "Day", DAYS, [series("a", 10, 0, 5)])
    assert chart.ticks == ("10", "5", "0")
    high, low = drawn(chart)
    assert high[3] == pytest.approx(100 * HEADROOM)
    assert low[3] == pytest.approx(high[3] / 2)
    assert all(y + height == pytest.approx(100, abs=0.02) for _x, y, _width, height in (high, low)), "nothing floats"
    assert 0 < high[0] < high[0] + high[2] < 100 / 3
    assert 200 / 3 < low[0] < low[0] + low[2] < 100


def test_bars_of_two_series_stand_side_by_side() -> None:
    chart = columns("c", "t", "Day", DAYS, [series("a", 1, 2, 3), series("b", 3, 2, 1)])
    for first, second in zip(drawn(chart, 0), drawn(chart, 1), strict=True):
        assert first[0] + first[2] <= second[0]


def test_few_bars_bear_their_values() -> None:
    few = columns("c", "t", "Day", DAYS, [series("a", 1, 2, 3)])
    assert few.labelled
    assert [mark.middle for mark in few.marks] == ["16.67%", "50.00%", "83.33%"]
    assert not columns("c", "t", "Day", [*"123456789"], [series("a", *range(9))]).labelled


def test_stacked_bars_touch_and_add_up() -> None:
    chart = stacked("c", "t", "Day", ["Mon"], [series("a", 3), series("b", 2), series("c", 5)])
    one, two, three = drawn(chart, 0)[0], drawn(chart, 1)[0], drawn(chart, 2)[0]
    assert chart.ticks[0] == "10"
    assert one[1] + one[3] == pytest.approx(100, abs=0.02)
    for under, over in pairwise((one, two, three)):
        assert over[1] + over[3] == pytest.approx(under[1], abs=0.02)
    assert one[3] + two[3] + three[3] == pytest.approx(100 * HEADROOM, abs=0.05)


def test_a_line_is_broken_where_nothing_is_known() -> None:
    chart = lines("c", "t", "Day", ["1", "2", "3", "4"], [series("a", 1, None, 2, 2)])
    assert [len(points.split()) for _series, points in chart.lines] == [1, 2]
    assert len(chart.marks) == 3, "a value beside gaps has a point"


def test_nothing_is_no_chart() -> None:
    for draw in (columns, stacked, lines):
        empty = draw("c", "t", "Day", DAYS, [series("a", 0, 0, 0)])
        assert empty.empty
        assert draw("c", "t", "Day", [], [Series("a", (), ())]).empty
        assert empty.description == "a: nothing."


def test_what_one_sees_is_said_in_words() -> None:
    chart = columns("c", "t", "Day", DAYS, [series("Received", 3, 9, 4)])
    assert chart.description == "Received: at most 9 (Tue), at last 4 (Wed)."
    both = columns("c", "t", "Day", DAYS, [series("a", 1, 2, 3), series("b", 3, 2, 1)])
    assert next((hit.address, hit.words) for hit in both.hits) == ("/a/0", "Mon: a 1")


@pytest.mark.parametrize("draw", [columns, stacked, lines])
def test_each_mark_leads_to_its_own_cases(draw: Callable[..., Chart]) -> None:
    chart = draw("c", "t", "Day", DAYS, [series("a", 4, 1, None), series("b", 2, 3, 2)])
    marks = [mark for mark in chart.marks if mark.height != "0.00%"]
    assert len(marks) == 5
    for mark in marks:
        x, y, wide, high = (float(each.rstrip("%") or 0) for each in (mark.x, mark.y, mark.width, mark.height))
        over = [hit for hit in chart.hits if within(hit, x + wide / 2, y + high / 2)]
        place = int((x + wide / 2) * len(DAYS) / 100)
        assert [hit.address for hit in over] == [f"/{'ab'[mark.series]}/{place}"]
        assert over[0].words == f"{DAYS[place]}: {'ab'[mark.series]} {mark.words}"


def within(hit: charts.Hit, x: float, y: float) -> bool:
    left, top, wide, high = (float(each.rstrip("%")) for each in (hit.x, hit.y, hit.width, hit.height))
    return left <= x < left + wide and top <= y < top + high


@pytest.mark.parametrize("n", [0, 1, 3, 7, 31, 366])
def test_few_places_are_named_however_many_there_are(n: int) -> None:
    labels = [str(day) for day in range(n)]
    chart = columns("c", "t", "Day", labels, [series("a", *range(n))])
    assert len(chart.named) <= charts.NAMED
    assert [each.words for each in chart.named][:1] == labels[:1]
    often = [float(each.x.rstrip("%")) for each in chart.named if not each.rare]
    assert all(after - before >= 12 for before, after in pairwise(often)), "they have room on a telephone"


@given(st.integers(1, 10**9))
def test_a_scale_ends_on_a_round_number_not_far_above(most: int) -> None:
    top = nice(most)
    assert most <= top <= max(2 * most, 2)
    assert re.fullmatch(r"[1-9]0*", str(int(top)))


@given(st.integers(1, 10**8))
def test_a_scale_of_times_ends_on_whole_minutes(most: int) -> None:
    top = nice(most, time=True)
    assert most <= top
    assert top % 60 == 0
    assert top <= 60 or top <= 6 * most


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_shades_and_lying_bars_keep_the_order(values: Sequence[int]) -> None:
    most = max(values) or 1
    shades = [shade(value, most) for value in sorted(values)]
    assert shades == sorted(shades)
    assert set(shades) <= set(range(SHADES + 1))
    assert all((found == 0) == (value == 0) for found, value in zip(shades, sorted(values), strict=True))
    wide = [float(each.width.rstrip("%")) for each in bars([Item("x", value, str(value)) for value in sorted(values)])]
    assert wide == sorted(wide)
    assert wide[-1] == (100 if max(values) else 0)


def test_they_are_drawn_without_styles_and_scripts() -> None:
    """The content security policy forbids both; colours come from the sheet, so that dark and forced ones work."""
    source = (TEMPLATES / "_chart.html").read_text()
    for forbidden in (" style=", "<style", "<script", ' fill="#', ' stroke="', " on"):
        found = re.findall(rf"<[^>]*{re.escape(forbidden)}", source)
        assert not found, f"{forbidden}: {found}"
