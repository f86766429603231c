"""A text is as long as X counts it: by weight, on NFC, with links of one length and an emoji sequence as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.twitter import CAPABILITIES, LIMIT, length, links
from sandbox.twitter import weighted_length


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", 0),
        ("Hello, world! 👋", 16),
        ("a" * 281, 281),
        ("åäöæøÅÄÖÆØ", 10),
        ("a\u030ao\u0308", 2),  # å and ö written as two code points each
        ("“citat” – och…", 15),  # curly quotes and dashes are light, the ellipsis is not
        ("€…™→✓", 10),
        ("日本語", 6),
        ("👨‍👩‍👧‍👦", 2),
        ("🇸🇪🇩🇰🇳🇴", 6),
        ("👍🏽", 2),
        ("❤️", 2),
        ("1️⃣2️⃣", 4),
        ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", 2),
        ("#1 av 10 *", 10),
        ("©", 1),
        ("©️", 2),
        ("https://storby.example/" + "x" * 200, 23),
        ("example.com", 23),
        ("www.storby.se", 23),
        ("Se storby.se/sno.", 3 + 23 + 1),
        ("http://a.se och http://b.se", 23 + 5 + 23),
        ("kl.10 kostar 1.5 kr, t.ex.", 26),
        ("anna@storby.se", 14),
        ("@storby hej", 11),  # a name the writer put there counts; X adds none to our answers
    ],
)
def test_it_counts_as_x_does(text: str, expected: int) -> None:
    assert length(text) == expected


@given(
    st.text(alphabet=st.characters(codec="utf-8", max_codepoint=0x24FF), max_size=60), st.text("ab å€日👋", max_size=60)
)
def test_length_of_two_lines_is_the_sum_of_their_lengths(first: str, second: str) -> None:
    assert length(f"{first} \n {second}") == length(first) + 3 + length(second)


@given(
    st.lists(st.sampled_from(["a", "å", " ", "€", "…", "日", "👋", "👍🏽", "👩‍🚒", "🇸🇪"]), max_size=200).map("".join)
)
def test_the_look_alike_counts_the_same_by_its_own_means(text: str) -> None:
    assert length(text) == weighted_length(text)


def test_a_link_is_warned_about_since_it_costs_money() -> None:
    assert CAPABILITIES.limit == LIMIT == 280
    assert CAPABILITIES.warn is not None
    assert "0.20" in (CAPABILITIES.warn("Läs mer på storby.se") or "")
    assert CAPABILITIES.warn("Vi plogar nu.") is None


def test_it_knows_where_links_stand() -> None:
    text = "Se (https://storby.se/a) eller nytt.app"
    assert [text[start:end] for start, end in links(text)] == ["https://storby.se/a", "nytt.app"]
