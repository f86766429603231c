"""The grammar of watch queries, word for word, and against a slow obvious evaluator."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import QueryError
from settings import Category
from tests import slow_watch
from triage import policy, stems, watch
from triage.subject import Text
from triage.watchlist import Watchlist
from web.i18n import LANGUAGES, catalogue

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


SAID = Text.of(
    "Gatan är inte plogad",
    "Läs https://www.nt.se/nyheter/sn%C3%B6kaos-2026?utm=1 och svara, kl 12:30",
    language="sv",
    name="Anna Öberg",
    handle="@Anna_O",
    url="https://Blogg.Storby.example:8080/2026/11/",
    followers=1200,
    more=('<p><a href="https://storby.example/felanm%C3%A4lan?a=1&amp;b=2">hit</a></p>', "https://bild.example/1.jpg"),
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("lang:sv", True),
        ("LANG:SV", True),
        ("lang:no", False),
        ("NOT lang:da", True),
        ("author:anna_o", True),
        ("author:@ANNA_O", True),
        ("author:anna", True),  # a word of the name
        ('author:"anna öberg"', True),
        ('author:"öberg anna"', False),
        ("author:ann", False),
        ("author:ann*", True),
        ("site:storby.example", True),
        ("site:blogg.storby.example", True),
        ("site:www.storby.example", True),
        ("site:by.example", False),
        ("site:example", True),
        ("link:nt.se", True),
        ("link:t.se", False),
        ("link:https://www.nt.se/nyheter", True),
        ("link:nyheter/snökaos", True),
        ("link:sn%C3%B6kaos", True),
        ("link:snö*", True),
        ("link:storby.example/felanmälan", True),
        ("link:a=1&b=2", True),
        ("link:bild.example", True),
        ("link:plogad", False),
        ("followers>1000", True),
        ("followers>1200", False),
        ("followers>=1200", True),
        ("followers<1200", False),
        ("followers<=1200", True),
        ("~gata", True),
        ("~gator", True),
        ("~ploga", True),
        ("~snöröja", False),
        ("~gata NEAR/2 plogad", True),
        ("(lang:sv OR lang:nb) followers>1000 NOT author:storby", True),
        ("kl:13", False),  # a colon among words: they stand in a row
        ("kl:12", True),
        ("12:30", True),
        ("kl NEAR/0 12:30", True),
        ("https://www.nt.se/nyheter", True),
        ("utm:1", True),
        ('"lang:sv"', False),
        ("Gatan:är", True),
    ],
)
def test_fields_and_forms(query: str, found: bool) -> None:
    assert watch.parse(query).matches(SAID) is found


def test_what_is_not_known_is_not_so_and_its_contrary_is() -> None:
    nothing = Text.of("snö")
    for field in ("lang:sv", "author:anna", "site:storby.se", "link:storby.se", "followers>0", "followers<=9"):
        assert not watch.parse(field).matches(nothing), field
        assert watch.parse(f"NOT {field}").matches(nothing), field


@pytest.mark.parametrize(
    ("language", "word", "forms", "others"),
    [
        ("sv", "gata", "gatan gator gatorna gatans", "gått gaturum"),
        ("sv", "snöröja", "snöröjer snöröjde snöröjt", "snöröjning snö"),
        ("da", "vej", "vejen veje vejene vejens", "vejr"),
        ("nb", "vei", "veien veier veiene", "veiarbeid"),
        ("nn", "veg", "vegen vegar vegane", "vegg"),
        ("en", "plough", "ploughs ploughed ploughing", "plow"),
        ("de", "haus", "häuser hauses", "hausmeister"),
        ("fi", "koulu", "koulun koulut kouluja", "koulutus"),
    ],
)
def test_forms_of_a_word_in_each_language(language: str, word: str, forms: str, others: str) -> None:
    query = watch.parse(f"~{word}")
    found = [form for form in f"{word} {forms} {others}".split() if query.matches(Text.of(form, language=language))]
    assert found == [word, *forms.split()]
    assert all(query.matches(Text.of(form, language="und")) for form in forms.split()), "unknown: any language's forms"


@pytest.mark.parametrize(
    ("query", "position", "says"),
    [
        ("snö språk:sv", 4, None),  # not a-z: words
        ("snö language:sv", 4, "no field language. The fields are lang:, author:, site:, link: and followers>"),
        ('snö OR from:"a b"', 7, "no field from"),
        ("friends>10", 0, "no field friends"),
        ("a AND lang:", 11, "lang:sv"),
        ("lang: sv", 5, "lang:sv"),
        ('author:""', 8, "author:anna"),
        ("lang:se", 5, "se is no language"),
        ('is lang:"svenska"', 9, "svenska is no language"),
        ('author:"anna', 7, "no closing"),
        ("author:-anna", 7, "NOT"),
        ("author:a*b", 8, "end of a word"),
        ("author:~anna", 7, "not in a field"),
        ("site:https://storby.se/x", 5, "link:"),
        ("site:storby.*", 5, "link:"),
        ("link:/", 5, "no word"),
        ("followers:1000", 0, "followers>1000"),
        ("followers=1000", 0, "followers>1000"),
        ("followers>10k", 10, "digits"),
        ("followers > 1000", 10, "comparison"),
        ("snö > 5", 4, "comparison"),
        ("lang>sv", 0, "colon"),
        ("snö NEAR/2 lang:sv", 0, "fields"),
        ("~is", 0, "at least 3"),
        ("~snö*", 0, "not both"),
        ('~"snö is"', 0, "no word"),
    ],
)
def test_an_error_in_a_field_points_at_the_place(query: str, position: int, says: str | None) -> None:
    if says is None:
        watch.parse(query)
        return
    with pytest.raises(QueryError, match=re.escape(says)) as caught:
        watch.parse(query)
    assert caught.value.position == position


@pytest.mark.parametrize(
    "query", ["kl:12", "SVT:s", "cv:t", "obs:", "obs: is", "Obs:viktigt", "https://a.se", "x>5", "a->is"]
)
def test_a_colon_that_makes_no_field_stands_among_words(query: str) -> None:
    words = tuple(re.findall(r"\w+", query.lower()))
    assert watch.matches(query, " ".join(words))


def test_marks_are_the_places_of_what_is_wanted() -> None:
    text = "Gatan är ÅTER isig, inte plogad; ingen #is"
    found = watch.marks(watch.parse('~gata is ("åter isig" OR x) NOT plogad lang:sv'), text, "sv")
    assert [text[start:end] for start, end in found] == ["Gatan", "ÅTER", "isig", "#is"]


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_what_is_wrong_with_a_query_is_said_in_each_language(language: str) -> None:
    book = catalogue(language)
    tree = ast.parse(Path(watch.__file__).read_text())
    texts = [
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "QueryError"
        if isinstance(node.args[0], ast.Constant)
    ]
    assert len(texts) == Path(watch.__file__).read_text().count("raise QueryError("), "each with its text in place"
    missing = []
    for text in texts:
        entry = book.get(text)
        wanted = set(re.findall(r"%\(\w+\)s", str(text)))
        if not entry or not entry.string or set(re.findall(r"%\(\w+\)s", str(entry.string))) != wanted:
            missing.append(text)
    assert not missing


def test_a_text_made_to_take_long_takes_no_time() -> None:
    text = "snö " * 10_000 + "x " * 100 + "väg " * 10_000
    started = time.monotonic()
    assert not watch.matches("snö NEAR/3 väg", text)
    assert watch.matches("snö NEAR/100 väg", text)
    assert time.monotonic() - started < 3, "every word was held beside every other"


# -- against a slow obvious way, written apart ---------------------------------------------------------------------


@given(slow_watch.asked, slow_watch.told)
def test_the_same_as_the_slow_obvious_way(asked: slow_watch.Asked, told: slow_watch.Told) -> None:
    query = slow_watch.written(asked)
    assert watch.parse(query).matches(told.text) is slow_watch.holds(asked, told), query


@given(st.lists(slow_watch.asked, max_size=12), slow_watch.told)
def test_a_watchlist_answers_as_each_query_by_itself(asked: list[slow_watch.Asked], told: slow_watch.Told) -> None:
    queries = {number: slow_watch.written(each) for number, each in enumerate(asked)}
    found = Watchlist(queries).matching(told.text)
    assert found == [number for number, each in enumerate(asked) if slow_watch.holds(each, told)]


def test_a_watchlist_tries_only_what_may_hold() -> None:
    queries = {f"{number}": f"storby AND (ord{number} OR annat{number}) lang:sv" for number in range(500)}
    watched = Watchlist({**queries, "all": "NOT snö", "any": "NOT (NOT storby)"})
    assert watched.everywhere == ("all",)
    assert watched.matching(Text.of("Storby annat7", language="sv")) == ["7", "all", "any"]
    assert len(watched._whole["word"]["storby"]) == 1, "what all ask for is nobody's anchor who has another"


def test_the_finer_categories_come_first_and_ask_for_fields() -> None:
    categories = [
        Category(name="Roads", match="~gata OR ~väg"),
        Category(name="Snow", parent="Roads", match="~gata lang:sv plog*"),
        Category(name="By hand"),
    ]
    entries = tuple(policy.Entry(number, each.name, False, each) for number, each in enumerate(categories))
    watched = policy.Policy({"categories": entries}).watched_categories
    assert [each.name for each in watched.matching(Text.of("Gatan är inte plogad", language="sv"))] == ["Snow", "Roads"]
    assert [each.name for each in watched.matching(Text.of("Gatan är inte plogad", language="nb"))] == []


@pytest.mark.parametrize("stemmer", stems.ALL)
@given(word=st.text(alphabet="abdegiklmnoprstuvyåäöæøüß", min_size=3, max_size=12))
def test_a_word_begins_as_words_with_its_stem_may(stemmer: str, word: str) -> None:
    assert all(word.startswith(stems.heads(stemmer, stem)) for stem in stems.stems(stemmer, word))


@given(st.text(max_size=60))
def test_whatever_is_typed_is_understood_or_refused_with_a_place(query: str) -> None:
    try:
        position = int(watch.parse(query).matches(watch.Text.of(TEXT)))
    except QueryError as error:
        position = error.position
    assert 0 <= position <= max(len(query), 1)
