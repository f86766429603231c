"""Who writes matters: reasons that can be checked, and none for nearly everybody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.influence import MANY, Facts, Reason, hosts, press, reasons

ANYBODY = Facts(followers=120, usual=[80, 100, 120, 150] * 5, started=0, joined=0, urls=["https://x.example/anna"])


def test_of_nearly_everybody_there_is_nothing_to_say() -> None:
    assert reasons(ANYBODY) == []


def test_followers_are_compared_with_what_is_usual_there() -> None:
    assert reasons(replace(ANYBODY, followers=2200)) == [Reason("followers", {"followers": 2200, "times": 20})]
    assert reasons(replace(ANYBODY, followers=2200, usual=[100_000] * 20)) == []
    assert reasons(replace(ANYBODY, followers=2200, usual=[5] * 3)) == [], "too few are known to say what is usual"


def test_earlier_stories_and_the_press() -> None:
    found = reasons(replace(ANYBODY, started=2, joined=3, urls=["https://www.svt.se/nyheter/1"]))
    assert [reason.code for reason in found] == ["press", "started", "joined"]
    assert found[0].values == {"name": "SVT"}
    assert [reason.code for reason in reasons(replace(ANYBODY, started=2, joined=2))] == ["started"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.nrk.no/vestland/1", "NRK"),
        ("https://sport.dr.dk", "DR"),
        ("https://evil-nrk.no.example/", None),
        ("https://notnrk.no/", None),
        ("", None),
        (None, None),
        ("http://[", None),
    ],
)
def test_the_press_is_known_by_its_host(url: str | None, name: str | None) -> None:
    assert press(url) == name


def test_the_list_of_the_press_is_well_formed() -> None:
    assert len(hosts()) >= 60
    assert all(host == host.lower() and "." in host and "/" not in host for host in hosts())
    assert all(hosts().values())


@given(st.integers(0, 10**7), st.lists(st.integers(0, 10**6), max_size=30), st.integers(0, 9), st.integers(0, 9))
def test_more_is_never_less_of_a_reason(followers: int, usual: list[int], started: int, joined: int) -> None:
    facts = Facts(followers, usual, started, joined, [])
    codes = {reason.code for reason in reasons(facts)}
    assert codes <= {reason.code for reason in reasons(replace(facts, followers=followers * MANY + MANY))}
