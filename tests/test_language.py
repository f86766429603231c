"""The language of a text: what is told, what is left open, what tips the scale, and what the table was learnt from."""

from __future__ import annotations

import string
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import language, train_language
from triage.language import LANGUAGES, UNSURE, detect


@pytest.mark.parametrize(
    "text, told",
    [
        ("Varför är bussen alltid sen nuförtiden?", "sv"),
        ("ngn som vet när dom öppnar imorn", "sv"),
        ("jag fattar ingenting av denna räkning", "sv"),
        ("Hvorfor er bussen altid forsinket om morgenen?", "da"),
        ("er der nogen der ved hvornår I åbner", "da"),
        ("jeg kan ikke finde ud af det her", "da"),
        ("Hvorfor er bussen alltid forsinket om morgenen?", "nb"),
        ("er det noen som vet når dere åpner", "nb"),
        ("jeg skjønner ingenting av denne regningen", "nb"),
        ("Kvifor er bussen alltid forseinka om morgonen?", "nn"),
        ("er det nokon som veit når de opnar", "nn"),
        ("eg skjønar ingenting av denne rekninga", "nn"),
        ("why is the bus allways late", "en"),
        ("pls fix ur app its broken", "en"),
        ("miksi bussi on aina myöhässä", "fi"),
        ("wann macht ihr denn morgen auf", "de"),
    ],
)
def test_short_texts_as_people_write_them(text: str, told: str) -> None:
    assert detect(text).value == told


@pytest.mark.parametrize(
    "text",
    [
        "Ikkje ring meg i helga",
        "Korleis er vegen over fjellet i dag?",
        "eg tok bussen til sentrum",
        "Det var noko rart med bilen",
        "Dei kom og henta bilen i dag",
    ],
)
def test_one_clear_word_of_nynorsk_makes_a_norwegian_text_nynorsk(text: str) -> None:
    assert detect(text).value == "nn"


@pytest.mark.parametrize(
    "text",
    [
        "¿Por qué el autobús siempre llega tarde?",
        "Waarom komt de bus altijd te laat?",
        "Dlaczego autobus zawsze się spóźnia?",
        "Pourquoi le bus est-il toujours en retard ?",
        "Почему автобус всегда опаздывает?",
        "لماذا تتأخر الحافلة دائما؟",
        "ทำไมรถเมล์มาสาย",
    ],
)
def test_a_language_that_is_not_ours_is_unsure(text: str) -> None:
    assert detect(text).value == UNSURE


@pytest.mark.parametrize(
    "text", ["", "   ", "😀😀", "123 456", "https://storby.example/jeg/er/her", "@storby_kommun", "?!"]
)
def test_a_text_without_words_is_unsure_whatever_was_expected(text: str) -> None:
    assert detect(text, expected={"sv": 1.0}).value == UNSURE


def test_addresses_names_and_tags_say_nothing_of_the_language() -> None:
    bare = detect("jeg venter stadig på svar fra jer")
    dressed = detect(
        "@why_not_me jeg venter stadig på svar fra jer https://what.example/is/this #theweather a.b@mail.example"
    )
    assert (dressed.value, dressed.confidence) == (bare.value, bare.confidence)


def test_a_tag_is_read_where_there_is_nothing_else() -> None:
    assert detect("#försenat #igen #tack").value == "sv"


def test_what_was_written_earlier_decides_a_text_that_could_be_several_languages() -> None:
    text = "Takk for hjelpen"
    assert detect(text, expected={"nb": 1.0}).value == "nb"
    assert detect("Hei hei", expected={"nb": 1.0}).value == "nb"
    assert detect("Hei hei", expected={"fi": 1.0}).value == "fi"


def test_what_was_written_earlier_does_not_outshout_a_clear_text() -> None:
    assert detect("Jag undrar när ni tänker laga gatlyktan utanför skolan", expected={"da": 1.0}).value == "sv"
    assert detect("Eg veit ikkje kva de held på med, men no må de gjere noko", expected={"nb": 1.0}).value == "nn"


def test_dialect_is_neither_norm_for_certain_until_earlier_texts_say_which() -> None:
    text = "æ skjønne ikkje ka dokker meine med det der"
    assert detect(text).confidence < 0.9
    for norm in ("nb", "nn"):
        assert detect(text, expected={norm: 1.0}).value == norm


def test_the_words_that_decided_stand_as_in_the_text_the_most_telling_first() -> None:
    verdict = detect("Eg har IKKJE fått svar på e-posten")
    assert verdict.value == "nn"
    assert verdict.because[0] in ("IKKJE", "Eg")
    assert set(verdict.because) >= {"IKKJE", "Eg"} and len(verdict.because) <= 5


def test_drawn_out_letters_are_the_same_word() -> None:
    assert detect("sååååå trööööött på eraaa bussar").value == "sv"


def test_a_text_without_end_is_read_in_no_time() -> None:
    began = time.process_time()
    for text in ("ab" * 50_000, "a.b@" * 25_000, "www." * 25_000, "#ab" * 30_000, "a'" * 50_000, "jeg " * 25_000):
        detect(text)
    assert time.process_time() - began < 2


@given(st.text(max_size=80), st.dictionaries(st.sampled_from(LANGUAGES), st.floats(0, 1), max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_text_gets_a_verdict(text: str, expected: dict[str, float]) -> None:
    verdict = detect(text, expected=expected)
    assert verdict.value in (*LANGUAGES, UNSURE)
    assert 0 <= verdict.confidence <= 1
    assert len(verdict.because) <= 5
    assert set(verdict.because) <= {word for word, _ in language.words(text)}


@given(st.lists(st.text(alphabet=string.ascii_lowercase + "åäöæø", min_size=1, max_size=9), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_order_and_case_of_words_change_nothing(words: list[str]) -> None:
    plain = detect(" ".join(words))
    turned = detect(" ".join(reversed(words)).upper())
    assert (plain.value, plain.confidence) == (turned.value, turned.confidence)


def test_the_shipped_table_was_learnt_from_the_texts_beside_it() -> None:
    assert language.table().seeds == train_language.digest(), "run: python -m triage.train"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few lines of the shipped texts in every language, and a small list."""
    for path in train_language.WORDS.glob("seeds.*.tsv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / path.name).write_text("".join(lines[:60]), encoding="utf-8")
    (tmp_path / "words.nn.tsv").write_text("telling\tikkje\t3\nfunction\teg\t1\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def _shipped_again() -> Iterator[None]:
    yield
    language.score.cache_clear()


@pytest.mark.slow
def test_learning_again_gives_the_same_table_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train_language.write(train_language.train(folder), first)
    train_language.write(train_language.train(folder), second)
    assert first.read_bytes() == second.read_bytes()
    assert language.Table.read(first) == train_language.train(folder)


@pytest.mark.usefixtures("_shipped_again")
def test_a_listed_word_tells_its_language(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = train_language.train(folder)
    monkeypatch.setattr(language, "table", lambda: learnt)
    language.score.cache_clear()
    assert min(zip(language.score("ikkje"), learnt.languages, strict=True))[1] == "nn"


def test_a_table_read_fast_and_held_small() -> None:
    table = language.table()
    assert len(table.keys) * 4 + len(table.rows) < 4_000_000
    assert language.TABLE.stat().st_size < 2_500_000
