"""What corrections teach: at once, on texts like theirs, whatever their order, and gone when taken back."""

from __future__ import annotations

import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import judges, kind, sentiment, urgency
from triage.learning import NOTHING, Lesson, Lessons, verdict
from triage.train import seeds

LESSONS = (
    Lesson(1, "kind", "idea", "Belysningen vid Lillsjön, tack", "sv"),
    Lesson(2, "kind", "problem", "Kvarndammen ser ut som ärtsoppa", "sv"),
    Lesson(3, "kind", "praise", "Belysningen vid torget, där satt den", "sv"),
    Lesson(4, "sentiment", "negative", "Så var det med den saken", "sv"),
    Lesson(5, "urgency", "danger", "Grinden vid Kvarndammen står på glänt", "sv"),
)
PROBES = (
    "Kvarndammen idag",
    "Belysningen vid Lillsjön",
    "Så var det med den grinden",
    "Ny belysning vid torget och Kvarndammen?",
)


def said(lessons: Lessons) -> list[object]:
    """Everything the judges say about the probes, confidences included."""
    return [judges.judge(probe, expected={"sv": 1.0}, lessons=lessons) for probe in PROBES]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.value)
def test_a_lesson_is_obeyed_at_once_on_its_own_text(lesson: Lesson) -> None:
    after = verdict(lesson.judge, lesson.text, lesson.language, NOTHING.plus(lesson))
    assert after.value == lesson.value
    assert after.because


@pytest.mark.parametrize("value", ["question", "problem", "idea", "praise", "other"])
@pytest.mark.parametrize(
    "text,language",
    [
        ("Tusen tack för fin service!", "sv"),
        ("When do you open on Sunday?", "en"),
        ("Bussen er forsinket igen", "da"),
        ("👍", "nb"),
        ("Kvifor ikkje setje opp fleire benkar?", "nn"),
    ],
)
def test_no_shipped_verdict_is_too_sure_to_be_corrected(text: str, language: str, value: str) -> None:
    taught = NOTHING.plus(Lesson(1, "kind", value, text, language))
    assert kind.judge(text, language, taught).value == value


def test_a_lesson_reaches_texts_like_its_own() -> None:
    text, like = "Kvarndammen ser ut som ärtsoppa", "Kvarndammen liknar ärtsoppa"
    taught = NOTHING.plus(Lesson(1, "kind", "problem", text, "sv"))
    before, after = kind.judge(like, "sv"), kind.judge(like, "sv", taught)
    assert before.value != "problem"
    assert after.value == "problem"
    assert any("ärtsoppa" in word for word in after.because), "the word that was taught is not named"


def test_a_lesson_can_say_that_there_is_no_urgency() -> None:
    text = "Det brinner i containern bakom skolan, ring 112!"
    assert urgency.judge(text, "sv") is not None
    assert urgency.judge(text, "sv", NOTHING.plus(Lesson(1, "urgency", "none", text, "sv"))) is None


def test_a_lesson_about_the_language_holds_for_the_next_text() -> None:
    name = "Tivoli Friheden Billund"
    taught = NOTHING.plus(Lesson(1, "language", "da", name, "und"))
    assert judges.detect(name, lessons=taught).value == "da"
    assert judges.detect(f"{name} Aarhus", lessons=taught).value == "da"
    assert judges.detect("I bought a ticket on your website", lessons=taught).value == "en"


def test_the_order_of_lessons_does_not_matter() -> None:
    first = said(Lessons.of(LESSONS))
    for order in list(permutations(LESSONS))[::17]:
        assert said(Lessons.of(order)) == first
    one_by_one = NOTHING
    for lesson in reversed(LESSONS):
        one_by_one = one_by_one.plus(lesson)
    assert said(one_by_one) == first
    assert one_by_one == Lessons.of(LESSONS)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: f"without {lesson.value}")
def test_a_lesson_taken_back_leaves_what_would_be_without_it(lesson: Lesson) -> None:
    others = [other for other in LESSONS if other != lesson]
    left = Lessons.of(LESSONS).minus(lesson.id)
    assert left == Lessons.of(others)
    assert said(left) == said(Lessons.of(others))


def test_all_taken_back_is_nothing() -> None:
    lessons = Lessons.of(LESSONS)
    for lesson in LESSONS:
        lessons = lessons.minus(lesson.id)
    assert lessons == NOTHING
    assert said(lessons) == said(NOTHING)
    assert NOTHING.minus(7) == NOTHING


def test_a_lesson_corrected_again_gives_way() -> None:
    first = Lesson(1, "kind", "idea", "Kvarndammen", "sv")
    second = Lesson(1, "kind", "praise", "Kvarndammen", "sv")
    assert NOTHING.plus(first).plus(second) == NOTHING.plus(second)


def test_an_unknown_value_is_refused() -> None:
    with pytest.raises(ValueError, match="never says"):
        Lesson(1, "kind", "rant", "text", "sv")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(seeds()[::37]), min_size=1, max_size=6, unique=True), st.randoms())
def test_any_lessons_in_any_order_are_the_same(chosen: list[object], chance: object) -> None:
    lessons = [
        Lesson(number, "kind", "praise" if number % 2 else "idea", line.text, line.language)  # type: ignore[attr-defined]
        for number, line in enumerate(chosen)
    ]
    mixed = list(lessons)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    probe = lessons[0].text
    assert kind.judge(probe, "sv", Lessons.of(mixed)) == kind.judge(probe, "sv", Lessons.of(lessons))


@pytest.mark.slow
def test_lessons_spoil_nothing_that_is_unlike_them() -> None:
    """Fifty wrong lessons on snow leave what is said of everything else: under one verdict in fifty changes."""
    snow = [f"Plogbilen på {street}gatan" for street in ("Björk", "Ek", "Alm", "Tall", "Gran")]
    lessons = Lessons.of(
        Lesson(number, judge, value, text, "sv")
        for number, (judge, value, text) in enumerate(
            (judge, value, f"{text} {word}")
            for judge, value in (("kind", "praise"), ("sentiment", "positive"))
            for text in snow
            for word in ("kör", "står", "låter", "syns", "väntar")
        )
    )
    others = [
        line for line in seeds() if not any(word in line.text.lower() for word in ("plog", "plow", "snö", "gata"))
    ][::11]
    changed = sum(
        (kind.judge(line.text, line.language).value != kind.judge(line.text, line.language, lessons).value)
        + (sentiment.judge(line.text, line.language).value != sentiment.judge(line.text, line.language, lessons).value)
        for line in others
    )
    assert changed / (2 * len(others)) < 0.02, f"{changed} verdicts of {2 * len(others)} changed"


@pytest.mark.slow
def test_thousand_lessons_are_learnt_within_a_second_or_two() -> None:
    """Counted in this process's own time, for a machine that does something else as well."""
    lines = seeds()[::8][:1000]
    lessons = [Lesson(number, "kind", line.kind, line.text, line.language) for number, line in enumerate(lines)]
    kind.judge("warm", "sv")
    began = time.process_time()
    kind.judge("Kvarndammen", "sv", Lessons.of(lessons))
    assert time.process_time() - began < 3


def test_a_lesson_for_one_judge_does_not_make_another_learn_anew() -> None:
    lines = seeds()[::8][:1000]
    lessons = [Lesson(number, "kind", line.kind, line.text, line.language) for number, line in enumerate(lines)]
    kind.judge("Kvarndammen", "sv", Lessons.of(lessons))
    began = time.process_time()
    more = Lessons.of([*lessons, Lesson(9_000, "urgency", "none", "Kvarndammen", "sv")])
    kind.judge("Kvarndammen", "sv", more)
    assert time.process_time() - began < 0.3
