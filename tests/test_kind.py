"""Kind, and whether an answer is wanted: on texts that are in no seed file."""

from __future__ import annotations

import re
import time

import pytest

from triage import judges, kind, model, train
from triage.cutting import MOST, cut
from triage.verdicts import Verdict

TEXTS = [
    ("question", "sv", "Hej, när har återvinningen i Norrby öppet under jul?"),
    ("question", "da", "Hvornår kører den sidste bus fra stationen fredag aften?"),
    ("question", "nb", "Noen som vet hvor man får kjøpt billett til museet?"),
    ("question", "nn", "Korleis søkjer ein om barnehageplass hos dykk?"),
    ("question", "en", "what time does the pool open on saturdays"),
    ("problem", "sv", "Appen kraschar varje gång jag försöker betala. Har testat att installera om."),
    ("problem", "da", "Toget er forsinket igen, tredje gang i denne uge"),
    ("problem", "nb", "Dere har trukket meg dobbelt for månedskortet, og ingen svarer på telefon"),
    ("problem", "nn", "Straumen er borte att, og de svarer ikkje på telefonen"),
    ("problem", "en", "Still waiting for my refund, three weeks now and nobody replies"),
    ("idea", "sv", "Ni borde sätta upp en papperskorg vid busshållplatsen"),
    ("idea", "da", "Det ville være rart med en mørk tilstand i appen"),
    ("idea", "nb", "Kan dere ikke legge til mulighet for å betale med Vipps?"),
    ("idea", "nn", "Det hadde vore fint om de kunne setja opp fleire sykkelstativ"),
    ("idea", "en", "Please add a dark mode, would be great on the night shift"),
    ("praise", "sv", "Stort tack till er chaufför på fyran som väntade in mormor, vilken hjälte!"),
    ("praise", "da", "Tusind tak for hurtig og venlig hjælp i går, I er fantastiske"),
    ("praise", "nb", "Kjempefornøyd med hjelpen jeg fikk, anbefales på det varmeste"),
    ("praise", "nn", "Tusen takk for framifrå hjelp på biblioteket i dag 😊"),
    ("praise", "en", "Love this app, easy to use and the support is brilliant"),
]


@pytest.mark.parametrize("value,language,text", TEXTS)
def test_plain_texts_are_known_for_what_they_are(value: str, language: str, text: str) -> None:
    assert kind.judge(text, language).value == value


@pytest.mark.parametrize("value,language,text", TEXTS)
def test_who_asks_or_complains_wants_an_answer_and_who_thanks_does_not(value: str, language: str, text: str) -> None:
    if value in ("question", "problem", "praise"):
        answer = kind.wants_answer(text, language, kind.judge(text, language))
        assert answer.value == ("no" if value == "praise" else "yes")


def test_these_texts_are_in_no_seed_file() -> None:
    seeds = {line.text for line in train.seeds()}
    assert not seeds & {text for _, _, text in TEXTS}


@pytest.mark.parametrize("text", [text for _, _, text in TEXTS])
def test_the_reasons_stand_in_the_text(text: str) -> None:
    judged = judges.judge(text)
    for verdict in (judged.kind, judged.wants_answer, judged.sentiment):
        assert 0 < verdict.confidence <= 1
        assert len(verdict.because) <= 5
        for words in verdict.because:
            pieces = [re.escape(piece) for piece in words.split(" ")]
            assert re.search(r"\s*".join(pieces), text), f"{words!r} does not stand in the text"


def test_a_question_names_what_asks() -> None:
    verdict = kind.judge("När öppnar simhallen på lördag?", "sv")
    assert verdict.value == "question"
    assert any(word.startswith("När") or "?" in word for word in verdict.because)


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "😂" * 500, "a" * 10_000, "?!" * 300, "\u202e\x00", "<b>", "@a #b http://c.d"]
)
def test_any_text_gets_a_verdict(text: str) -> None:
    judged = judges.judge(text, title=text)
    assert judged.kind.value in model.JUDGES["kind"]
    assert judged.sentiment.value in model.JUDGES["sentiment"]
    assert judged.wants_answer.value in ("yes", "no")


def test_no_text_is_too_long_for_the_lanes() -> None:
    """The strongest weights in all of the longest text, and still no column runs into the next."""
    strongest = max(model.shipped().table, key=lambda mark: max(map(abs, model.unpack(model.shipped().table[mark]))))
    weight = model.shipped().table[strongest]
    many = 100 * MOST
    assert model.unpack(many * weight) == tuple(many * each for each in model.unpack(weight))


def test_packing_is_undone_by_unpacking() -> None:
    row = tuple((37 * at) % 255 - 127 for at in range(model.COLUMNS))
    assert model.unpack(model.pack(bytes(each + 128 for each in row))) == row


def test_a_title_is_read_with_its_text() -> None:
    plain = judges.judge("Se bilden.", expected={"sv": 1.0})
    titled = judges.judge("Se bilden.", title="När lagar ni hålet i vägen?", expected={"sv": 1.0})
    assert titled.kind.value != plain.kind.value or titled.kind.confidence != plain.kind.confidence


def test_language_unknown_is_judged_all_the_same() -> None:
    assert kind.judge("Why does the app crash when I try to pay?", "und").value in ("problem", "question")
    assert kind.judge("Danke schön!", "de").value in model.JUDGES["kind"]


def test_cutting_folds_what_decides_nothing() -> None:
    assert cut("Sååååå BRA!!! @storby 12:30 https://a.se/x #Snö 👍🏽").words == (
        "såå", "bra", "!!", "<at>", "<num>", "<url>", "snö", "👍",
    )  # fmt: skip
    assert cut("Sååååå BRA").shown == ("Sååååå", "BRA")


def test_the_shipped_weights_are_those_of_the_seeds_beside_them() -> None:
    assert model.shipped().seeds == train.digest(), "the seeds or lists changed: python -m triage.train"


@pytest.mark.slow
def test_training_gives_the_same_weights_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "EPOCHS", 2)
    monkeypatch.setattr(train, "AVERAGED", 1)
    lines = train.seeds()[::40]
    assert train.build(lines) == train.build(list(lines))


def test_the_weights_are_small_and_quickly_read() -> None:
    assert model.FILE.stat().st_size < 1_000_000
    model.shipped.cache_clear()
    began = time.process_time()
    model.shipped()
    assert time.process_time() - began < 0.5


def test_a_mention_is_judged_in_well_under_a_millisecond() -> None:
    """Generous, for a machine that does something else as well: bench-triage measures properly."""
    texts = [f"{line.text} {number}" for number, line in enumerate(train.seeds()[::20])]
    for text in texts:
        judges.judge(text)
    began = time.process_time()
    for text in texts:
        judges.judge(text + " ")
    assert (time.process_time() - began) / len(texts) < 0.002


def test_seed_lines_are_well_formed() -> None:
    lines = train.seeds()
    for line in lines:
        assert line.kind in model.JUDGES["kind"], line
        assert line.sentiment in model.JUDGES["sentiment"], line
        assert line.answer in model.JUDGES["wants_answer"], line
        assert line.marks <= {"-", *model.JUDGES["urgency"], *model.JUDGES["noise"]} - {"none"}, line
    for language in {line.language for line in lines}:
        kinds = [line.kind for line in lines if line.language == language]
        assert min(kinds.count(value) for value in model.JUDGES["kind"]) > 250, language


def test_a_verdict_is_a_value() -> None:
    assert Verdict("idea", 0.9, ("borde",)) == Verdict("idea", 0.9, ("borde",))
