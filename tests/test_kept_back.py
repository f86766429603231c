"""What is kept back of persons cannot be worked out from what is told, whoever is asked for together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.orm import Session

from house import House
from models import CaseTag, Sample
from reports import figures
from reports.figures import FEW_OF_A_PERSON, NONE, Asked, By, report
from tests.factories import MORNING, said, take, user
from triage.measures import Measure

MONTH = Asked(date(2026, 11, 1), date(2026, 12, 1))
FIRST = Measure.first_response


def subsets(of: Collection[Any]) -> Iterable[tuple[Any, ...]]:
    return (some for size in range(1, len(of) + 1) for some in combinations(of, size))


def known(told: Sequence[Sequence[int]], wanted: Sequence[int]) -> bool:
    """Whether adding and subtracting what is told gives what is wanted: its sum, and with that its mean."""
    rows = [[Fraction(each) for each in row] for row in told]
    left = [Fraction(each) for each in wanted]
    for place in range(len(left)):
        pivot = next((row for row in rows if row[place] and not any(row[:place])), None)
        if pivot is None:
            if left[place]:
                return False
            continue
        rows = [_without(row, pivot, place) for row in rows if row is not pivot]
        left = _without(left, pivot, place)
    return not any(left)


def _without(row: list[Fraction], pivot: list[Fraction], place: int) -> list[Fraction]:
    factor = row[place] / pivot[place]
    return [each - factor * other for each, other in zip(row, pivot, strict=True)]


def test_what_adds_up_is_known() -> None:
    assert known([[1, 1, 1], [0, 1, 0], [0, 0, 1]], [1, 0, 0]), "the total without the others"
    assert known([[1, 1, 0], [0, 1, 1], [1, 0, 1]], [0, 1, 0])
    assert not known([[1, 1, 1], [0, 0, 1]], [1, 0, 0])
    assert not known([], [1])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 4, 9]), min_size=2, max_size=5), st.sampled_from([0, 0, 1, 2, 5]))
def test_whoever_is_asked_for_together_nobody_with_too_few_is_found_out(times: list[int], of_nobody: int) -> None:
    """Every line of persons, the total, and whatever is narrowed to some of them: all of it put together."""
    many: dict[int | None, int] = {None: of_nobody, **dict(enumerate(times))}
    there = [each for each, n in many.items() if n]
    back = figures.kept_back(many)
    told = [some for some in subsets(there) if figures.told(some, many)]
    assert {some[0] for some in told if len(some) == 1} == set(there) - back, "alone, and in a line of the report"
    everything = [[1] * len(there), *([int(each in some) for each in there] for some in told)]
    for some in subsets(there):
        n = sum(many[each] for each in some)
        if some == (None,) or n >= FEW_OF_A_PERSON or len(some) == len(there):
            continue  # nobody's, enough, or the total of all, which is no figure of a person
        if any(each is not None and many[each] < FEW_OF_A_PERSON for each in some):
            assert not known(everything, [int(each in some) for each in there]), (many, some)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_no_more_is_kept_back_than_must_be(times: list[int]) -> None:
    many: dict[int | None, int] = dict(enumerate(times))
    back = figures.kept_back(many)
    few = {each for each, n in many.items() if 0 < n < FEW_OF_A_PERSON}
    assert few <= back and (back == set()) == (few == set())
    others = back - few
    assert len(others) <= 2, "one more, or two where three persons have one each"
    if others and len(few) >= 2:
        assert sum(many[each] for each in few) < FEW_OF_A_PERSON
    told = [n for each, n in many.items() if n and each not in back]
    assert max((many[each] for each in others), default=0) <= min(told, default=99), "those with the fewest"


@pytest.fixture
def ids(house: House) -> dict[str, int]:
    with house.database.transaction() as db:
        for number, tags in enumerate([(), ("snö",), ("snö", "is"), ("is",)]):
            take(db, said(f"m{number}"), at=MORNING)
            db.add_all(CaseTag(case_id=number + 1, tag=tag) for tag in tags)
        return {name: user(db, name).id for name in ("eva", "ola", "mia")}


def fill(db: Session, chance: Random, ids: dict[str, int]) -> list[dict[str, Any]]:
    rows = [
        {
            "case_id": chance.choice([1, 1, 1, 2, 3, 4]), "measure": FIRST.value, "hour": 9, "how": "gensvar", "n": 1,
            "day": date(2026, 11, chance.choice([2, 3, 4])).toordinal(), "started_at": MORNING, "imported": False,
            "at": MORNING + timedelta(hours=1), "seconds": chance.randrange(9999), "business": 60, "provisional": False,
            "user_id": who, "channel": chance.choice(["net", "press"]),
        }
        for who, most in [(None, 4), *zip(ids.values(), (3, 6, 20), strict=True)]
        for _ in range(chance.randrange(1, most))
    ]  # fmt: skip
    if rows:
        db.execute(insert(Sample.__table__), rows)  # type: ignore[arg-type]
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_in_no_report_a_line_that_is_kept_back_can_be_worked_out(house: House, ids: dict[str, int], seed: int) -> None:
    emails = {id: f"{name}@storby.example" for name, id in ids.items()}
    tags = {1: ["none"], 2: ["snö"], 3: ["is", "snö"], 4: ["is"]}
    hidden = 0
    with house.database.transaction() as db:
        rows = fill(db, Random(seed), ids)
        for some in [(), *subsets([None, *ids.values()])]:
            mine = [row for row in rows if not some or row["user_id"] in some]
            for by in (None, By.assignee, By.day, By.channel, By.tag):

                def keys(row: dict[str, Any], by: By | None = by) -> list[str]:
                    day = date.fromordinal(row["day"]).isoformat()
                    of = {By.day: [day], By.channel: [row["channel"]], By.tag: tags[row["case_id"]]}
                    return of.get(by, [emails.get(row["user_id"], NONE)])  # type: ignore[arg-type]

                made = report(db, replace(MONTH, by=by, assignee=tuple(emails.get(id, NONE) for id in some)), [FIRST])
                lines = {line.key: [int(line.key in keys(row)) for row in mine] for line in made.rows}
                assert {key: sum(line) for key, line in lines.items()} == {
                    line.key: line.timing(FIRST).n for line in made.rows
                }
                told = [lines[line.key] for line in made.rows if not line.timing(FIRST).hidden]
                if not made.total.timing(FIRST).hidden:
                    told.append([1] * len(mine))
                for line in (line for line in made.rows if line.timing(FIRST).hidden):
                    whole = sum(lines[line.key]) == len(mine)  # all there is, and the total tells it
                    assert whole or not known(told, lines[line.key]), (some, by, line.key)
                    hidden += 1
    assert hidden > 5
