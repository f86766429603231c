"""Prepared texts: the right language, and no variable that goes out unfilled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replies import texts

WHO: dict[str, Any] = {"author": "Karin  Berg", "case": 7, "agent": "Anna", "organisation": "Storby kommun"}


def test_every_variable_is_filled() -> None:
    every = " ".join(f"{{{name}}}" for name in texts.VARIABLES)
    assert texts.fill(every, **WHO) == "Karin Berg Karin 7 Anna Storby kommun"


def test_whose_name_is_not_known_is_greeted_without_it() -> None:
    assert texts.fill("Hej {first_name}! Tack , {agent}", **{**WHO, "author": None}) == "Hej! Tack, Anna"
    assert texts.fill("Tack , {agent}", **{**WHO, "author": None}) == "Tack , Anna", "no name was asked for"


@pytest.mark.parametrize(
    ("text", "names"),
    [("Hej {namn}, {name}", ["namn"]), ("{a} {b} {a}", ["a", "b"]), ("{ } {} { [ €", []), ("Hej {first_name}", [])],
)
def test_what_means_nothing_is_named_and_left_as_it_is(text: str, names: list[str]) -> None:
    assert texts.unknown(text) == names
    filled = texts.fill(text, **WHO)
    assert all(f"{{{name}}}" in filled for name in names)


@given(st.text(), st.text())
def test_a_name_is_only_a_name(name: str, text: str) -> None:
    """What somebody calls themselves is never taken for a variable."""
    assert texts.fill("{name}", **{**WHO, "author": "{agent}"}) == "{agent}"
    assert texts.fill(text.replace("{", ""), **{**WHO, "author": name}) == text.replace("{", "")


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        ("nn", ("sv", "nb", "nn"), "nn"),
        ("nn", ("sv", "nb"), "nb"),
        ("da", ("sv", "en", "nn"), "nn"),
        ("fi", ("en", "sv"), "sv"),
        (None, ("en", "da"), "en"),
        ("fi", ("da",), "da"),
    ],
)
def test_the_nearest_language(wanted: str | None, there: tuple[str, ...], found: str) -> None:
    assert texts.nearest(wanted, there, "sv", "en") == found
