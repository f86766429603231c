"""The grammar of watch queries, word for word, and against a slow obvious evaluator."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import QueryError
from triage import watch

TEXT = "Storby kommun plogar inte: SNÖRÖJNING saknas på #Snö gatan, e-post till storby.se förgäves. Väglag and is"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("storby", True),
        ("STORBY", True),
        ("stor", False),
        ("stor*", True),
        ("röjning*", False),
        ("snöröjning", True),
        ("snoröjning", False),
        ("snö", True),
        ("#snö", True),
        ("#storby", False),
        ("#sn*", True),
        ('"storby kommun"', True),
        ('"kommun storby"', False),
        ("kommun storby", True),
        ("kommun AND nej", False),
        ("kommun OR nej", True),
        ("nej OR ja OR kommun", True),
        ("NOT nej", True),
        ("NOT NOT kommun", True),
        ("kommun NOT plogar", False),
        ("kommun NOT nej", True),
        ("and", True),  # a word, in small letters
        ("or", False),
        ("nej AND nej OR kommun", True),  # AND binds tighter than OR
        ("kommun OR nej AND nej", True),
        ("(kommun OR nej) AND nej", False),
        ("NOT nej AND kommun", True),  # NOT tightest
        ("NOT kommun OR kommun", True),
        ("storby NEAR/0 kommun", True),
        ("kommun NEAR/0 storby", True),
        ("storby NEAR/1 plogar", True),
        ("storby NEAR/0 plogar", False),
        ('"storby kommun" NEAR/2 saknas', False),
        ('"storby kommun" NEAR/3 saknas', True),
        ("stor* NEAR/1 plog*", True),
        ("e-post", True),
        ("storby.se", True),
        ("storby AND (snö* OR väg*)", True),
        ("väg*", True),
        ("(((kommun)))", True),
    ],
)
def test_what_is_found(query: str, found: bool) -> None:
    assert watch.matches(query, None, TEXT) is found


def test_letters_of_their_own_also_when_written_in_two_parts() -> None:
    assert watch.matches("åsa", "A\u030asa")
    assert not watch.matches("asa", "Åsa")
    assert watch.matches("øl", "ØL") and not watch.matches("ol", "øl")


def test_title_and_body_are_looked_at_and_no_phrase_reaches_across() -> None:
    assert watch.matches("snö AND is", "snö", "is")
    assert not watch.matches('"snö is"', "snö", "is")
    assert not watch.matches("snö NEAR/5 is", "snö", "is")


@pytest.mark.parametrize(
    ("query", "position", "says"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("snö AND", 7, "ends"),
        ("OR snö", 0, "not OR"),
        ("snö OR OR is", 7, "not OR"),
        ("(snö", 0, "no closing )"),
        ("snö)", 3, "without its ("),
        ("()", 1, "not )"),
        ('snö "is', 4, "no closing"),
        ('""', 0, "no word"),
        ("snö -is", 4, "NOT"),
        ("s*ö", 1, "end of a word"),
        ("NEAR/3 snö", 0, "not NEAR/3"),
        ("a NEAR/3 (b OR c)", 0, "not groups"),
        ("a NEAR/1 b NEAR/1 c", 11, "AND"),
        ("NOT", 3, "ends"),
        ("!!!", 0, "no word"),
        ("x" * 2001, 2000, "longer"),
        ("(" * 60 + "a" + ")" * 60, 50, "parentheses"),
    ],
)
def test_an_error_points_at_the_place(query: str, position: int, says: str) -> None:
    with pytest.raises(QueryError, match=re.escape(says)) as caught:
        watch.parse(query)
    assert caught.value.position == position


WORDS = ["snö", "is", "väg", "vägen", "storby"]
texts = st.lists(st.sampled_from([*WORDS, "#snö", "och"]), max_size=8)
leaves = st.sampled_from([*WORDS, "väg*", "#snö", '"snö is"', "snö NEAR/1 väg"])
queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} OR {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} AND {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} {two[1]})"),
        inner.map(lambda one: f"(NOT {one})"),
    ),
    max_leaves=8,
)


@given(queries, texts)
def test_the_same_as_the_slow_obvious_way(query: str, words: list[str]) -> None:
    assert watch.matches(query, " ".join(words)) is slowly(query, words)


def slowly(query: str, words: list[str]) -> bool:
    """Each leaf is replaced by whether it is found, and Python reads the rest."""
    plain = [word.removeprefix("#") for word in words]
    close = [(a, b) for i, a in enumerate(plain) for b in plain[i + 1 : i + 3]]
    facts = {
        "snö NEAR/1 väg": ("snö", "väg") in close or ("väg", "snö") in close,
        '"snö is"': ("snö", "is") in itertools.pairwise(plain),
        "väg*": any(word.startswith("väg") for word in plain),
        "#snö": "#snö" in words,
        **{word: word in plain for word in WORDS},
    }
    for number, leaf in enumerate(facts):
        query = re.sub(rf"(?<![\w#\"@]){re.escape(leaf)}(?![\w*\"@])", f"@{number}@", query)
    query = re.sub(r"(?<=[@)]) (?=[@(])", " and ", query)
    for number, found in enumerate(facts.values()):
        query = query.replace(f"@{number}@", str(found))
    return bool(eval(query.replace("OR", "or").replace("AND", "and").replace("NOT", "not")))


@given(st.text(max_size=60))
def test_whatever_is_typed_is_understood_or_refused_with_a_place(query: str) -> None:
    try:
        position = int(watch.parse(query).matches(watch.Text.of(TEXT)))
    except QueryError as error:
        position = error.position
    assert 0 <= position <= max(len(query), 1)
