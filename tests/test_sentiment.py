"""How texts feel: words, what denies and strengthens them, turns, emoji."""

from __future__ import annotations

import pytest

from triage import sentiment
from triage.cutting import cut
from triage.features import feelings
from triage.lexicon import lexicon


@pytest.mark.parametrize(
    "value,language,text",
    [
        ("positive", "sv", "Vilken underbar personal ni har!"),
        ("positive", "da", "Fantastisk oplevelse, vi kommer gerne igen"),
        ("positive", "nb", "Strålende service, veldig fornøyd"),
        ("positive", "nn", "Framifrå hjelp, eg er kjempefornøgd"),
        ("positive", "en", "Absolutely love it, great job"),
        ("negative", "sv", "Helt värdelöst, så jävla dåligt"),
        ("negative", "da", "Elendig service, aldrig mere"),
        ("negative", "nb", "Dette er bare trist og skuffende"),
        ("negative", "nn", "Dette er berre trist og skuffande"),
        ("negative", "en", "Worst customer service ever, so disappointed"),
        ("neutral", "sv", "Jag tar bussen till jobbet imorgon"),
        ("neutral", "da", "Hvornår åbner biblioteket på lørdag?"),
        ("neutral", "nb", "Møtet er flyttet til rom 204"),
        ("neutral", "nn", "Kva tid går den siste ferja?"),
        ("neutral", "en", "Which platform does the 10:15 leave from?"),
        ("positive", "en", "😍😍"),
        ("negative", "en", "😡😡"),
    ],
)
def test_plain_feelings(value: str, language: str, text: str) -> None:
    assert sentiment.judge(text, language).value == value


@pytest.mark.parametrize(
    "language,good,bad",
    [
        ("sv", "Det var bra", "Det var inte bra"),
        ("da", "Det var godt", "Det var ikke godt"),
        ("nb", "Det var bra", "Det var ikke bra"),
        ("nn", "Det var bra", "Det var ikkje bra"),
        ("en", "That was good", "That was not good"),
    ],
)
def test_a_negator_turns_a_feeling(language: str, good: str, bad: str) -> None:
    (_, plain), *_ = feelings(cut(good), lexicon(language))
    (_, denied), *_ = feelings(cut(bad), lexicon(language))
    assert plain > 0 > denied
    assert sentiment.judge(good, language).value == "positive"
    assert sentiment.judge(bad, language).value == "negative"


def test_a_negator_reaches_no_further_than_its_clause() -> None:
    ((_, value),) = feelings(cut("Jag kan inte komma. Underbart"), lexicon("sv"))
    assert value > 0


@pytest.mark.parametrize("plain,strong", [("bra", "väldigt bra"), ("dåligt", "riktigt dåligt"), ("bra", "jättebra")])
def test_a_booster_makes_a_feeling_stronger(plain: str, strong: str) -> None:
    ((_, before),) = feelings(cut(plain), lexicon("sv"))
    ((_, after),) = feelings(cut(strong), lexicon("sv"))
    assert abs(after) > abs(before) and after * before > 0


def test_a_damper_makes_a_feeling_weaker() -> None:
    ((_, before),) = feelings(cut("bra"), lexicon("sv"))
    ((_, after),) = feelings(cut("ganska bra"), lexicon("sv"))
    assert 0 < after < before


def test_emoji_are_the_same_in_all_languages_and_skins() -> None:
    for language in ("sv", "da", "nb", "nn", "en"):
        assert [value for _, value in feelings(cut("❤️ 👍🏿"), lexicon(language))] == [
            value for _, value in feelings(cut("❤ 👍"), lexicon("en"))
        ]


def test_neighbours_lend_feelings_but_swedish_borrows_no_english_word() -> None:
    assert "feeling" not in lexicon("sv").roles.get("slut", {}) or lexicon("sv").roles["slut"]["feeling"] > -2.5
    assert lexicon("nn").roles.get("koselig") or lexicon("nn").roles.get("hyggelig")


@pytest.mark.parametrize(
    "language,text,said",
    [
        ("sv", "Helt underbar personal på Norrby bad", "underbar"),
        ("da", "Sikke en elendig betjening i butikken", "elendig"),
        ("en", "The staff on platform two were awful today", "awful"),
    ],
)
def test_the_word_that_decided_is_named(language: str, text: str, said: str) -> None:
    assert any(said in words for words in sentiment.judge(text, language).because[:2])
