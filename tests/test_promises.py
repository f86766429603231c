"""What our answers promise, and by when: found in five languages, and not found where nothing is promised."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import promises

TUESDAY = date(2026, 11, 24)
# An answer and the day it promises something for, as the month and day; None: it promises nothing.
SAID: dict[str, list[tuple[str, str | None]]] = {
    "sv": [
        ("Hej! Vi återkommer på fredag.", "11-27"),
        ("Tack för tipset. Hålet ska vara lagat senast den 3 december.", "12-03"),
        ("Vi tittar på det inom 14 dagar /Anna", "12-08"),
        ("Hej Anna, jag hör av mig imorgon.", "11-25"),
        ("Vi plogar gatan idag eller i morgon.", "11-25"),
        ("Återkommer nästa vecka!", "12-04"),
        ("Vi hör av oss på måndag nästa vecka", "11-30"),
        ("Vi lagar det 12/12.", "12-12"),
        ("Vi räknar med att det är klart om två veckor.", "12-08"),
        ("Lagas senast 2026-12-01.", "12-01"),
        ("Belysningen kommer att åtgärdas inom fem arbetsdagar.", "12-01"),
        ("Du får svar senast på torsdag.", "11-26"),
        ("Det ska vara fixat före helgen.", "11-27"),
        ("Vi skickar ut någon under eftermiddagen.", "11-24"),
        ("Tack! Vi kollar med driften och återkopplar i övermorgon.", "11-26"),
        ("Jag ringer dig imorrn bitti.", "11-25"),
        ("Gungan beräknas vara klar den 15 januari.", "01-15"),
        ("Vi byter lampan inom en månad.", "12-24"),
        ("Vattnet är tillbaka senast i kväll.", "11-24"),
        ("Vi sandar där nästa fredag.", "12-04"),
        ("Kan du återkomma på fredag?", None),
        ("Biblioteket öppnar på fredag.", None),
        ("Du kan ringa oss på fredag så hjälper vi dig.", None),
        ("Vi lagade hålet i fredags.", None),
        ("Vi tittar på det.", None),
        ("Tack för att du hörde av dig!", None),
        ("Om du ringer oss imorgon så ska vi titta på det.", None),
        ("Vi kan inte lova att det blir klart i veckan.", None),
        ("Det kostar 12.50 och vi ska kolla det.", None),
        ("Mötet är den 3 december.", None),
        ("Vi har lagat lampan idag.", None),
        ("Ring oss på 0123-45 67 89 imorgon.", None),
    ],
    "da": [
        ("Vi vender tilbage inden for 5 arbejdsdage.", "12-01"),
        ("Hullet bliver repareret i næste uge.", "12-04"),
        ("Vi kigger på det i morgen.", "11-25"),
        ("Du hører fra os senest fredag.", "11-27"),
        ("Det skal være udbedret inden den 10. december.", "12-10"),
        ("Jeg ringer til dig i eftermiddag.", "11-24"),
        ("Vi sender en mand ud i løbet af ugen.", "11-27"),
        ("Lampen udbedres senest om to uger.", "12-08"),
        ("Vi regner med at være færdige den 1/12.", "12-01"),
        ("I får svar inden weekenden.", "11-27"),
        ("Vender tilbage på mandag!", "11-30"),
        ("Kan du vende tilbage på fredag?", None),
        ("Svømmehallen åbner på fredag.", None),
        ("Hvis du ringer i morgen, skal vi nok hjælpe.", None),
        ("Vi reparerede den i fredags.", None),
        ("Tak for tippet!", None),
        ("Vi kan ikke love, at det sker i denne uge.", None),
        ("Du skal søge senest den 1. december.", None),
        ("Kontakt os gerne i morgen.", None),
        ("Vi har ryddet vejen i dag.", None),
    ],
    "nb": [
        ("Vi kommer tilbake til deg innen fredag.", "11-27"),
        ("Lyktestolpen skal være fikset innen 3 uker.", "12-15"),
        ("Vi ser på det i morgen.", "11-25"),
        ("Du får svar i løpet av uken.", "11-27"),
        ("Veien brøytes senest i kveld.", "11-24"),
        ("Vi regner med at det er klart 1. desember.", "12-01"),
        ("Jeg sjekker og gir beskjed på mandag.", "11-30"),
        ("Hullet vil bli utbedret innen to virkedager.", "11-26"),
        ("Vi tar kontakt neste uke.", "12-04"),
        ("Det skal være ordnet før helga.", "11-27"),
        ("Vi kommer innom neste torsdag.", "12-03"),
        ("Kan dere svare innen fredag?", None),
        ("Biblioteket åpner på fredag.", None),
        ("Hvis du ringer i morgen skal vi hjelpe deg.", None),
        ("Vi reparerte den forrige fredag.", None),
        ("Takk for at du sier fra!", None),
        ("Vi kan ikke love at det blir denne uka.", None),
        ("Du må søke innen 1. desember.", None),
        ("Vi har brøytet i dag.", None),
        ("Møtet er torsdag 3. desember.", None),
    ],
    "nn": [
        ("Vi kjem tilbake til deg i morgon.", "11-25"),
        ("Vegen blir brøytt i løpet av veka.", "11-27"),
        ("Me tek kontakt på fredag.", "11-27"),
        ("Holet skal vere utbetra innan to veker.", "12-08"),
        ("Eg ringjer deg i ettermiddag.", "11-24"),
        ("Du får svar seinast 3. desember.", "12-03"),
        ("Vi reknar med at det er klart neste veke.", "12-04"),
        ("Vi ser på det på måndag.", "11-30"),
        ("Vi sender nokon ut i morgon tidleg.", "11-25"),
        ("Lampa vert bytt innan fem arbeidsdagar.", "12-01"),
        ("Kan de svare innan fredag?", None),
        ("Biblioteket opnar på fredag.", None),
        ("Viss du ringjer i morgon, skal vi hjelpe deg.", None),
        ("Takk for at du seier frå!", None),
        ("Vi kan ikkje love at det skjer denne veka.", None),
        ("Du må søkje innan 1. desember.", None),
        ("Vi har brøytt i dag.", None),
        ("Møtet er torsdag 3. desember.", None),
    ],
    "en": [
        ("Sorry! We will fix it within 14 days.", "12-08"),
        ("We'll get back to you by Friday", "11-27"),
        ("It should be fixed by 3 December.", "12-03"),
        ("We’ll have it done in the next two weeks", "12-08"),
        ("We will reply by December 5th, 2026.", "12-05"),
        ("Our team will look at it tomorrow.", "11-25"),
        ("The light will be repaired before the weekend.", "11-27"),
        ("You will hear from us within three working days.", "11-27"),
        ("I'll check and get back to you this afternoon.", "11-24"),
        ("Expect a reply next week.", "12-04"),
        ("We aim to have it cleared by the end of the month.", "11-30"),
        ("Water should be back on by 15 January.", "01-15"),
        ("We'll be there next Monday.", "11-30"),
        ("Our crew is going to grit it tonight.", "11-24"),
        ("If you call us on Friday we will help.", None),
        ("We fixed it last Friday.", None),
        ("We will look into it.", None),
        ("Can you come back on Friday?", None),
        ("The library opens on Friday.", None),
        ("You need to apply by 1 December.", None),
        ("We cannot promise it will be done this week.", None),
        ("We have repaired it today.", None),
        ("Thanks for letting us know!", None),
        ("Please call us tomorrow.", None),
        ("The meeting is on 3 December.", None),
    ],
}
EACH = [(language, *each) for language, said in SAID.items() for each in said]


def day(given: str | None) -> date | None:
    if given is None:
        return None
    month, of_month = map(int, given.split("-"))
    return date(2026 + (month < 11), month, of_month)


@pytest.mark.parametrize(("language", "text", "due"), EACH)
def test_each_answer(language: str, text: str, due: str | None) -> None:
    found = promises.find(text, language, TUESDAY)
    assert (found.due if found else None) == day(due)


@pytest.mark.parametrize(("language", "text", "due"), [each for each in EACH if each[2] is not None])
def test_the_language_need_not_be_known(language: str, text: str, due: str) -> None:
    found = promises.find(text, None, TUESDAY)
    assert found is not None
    assert found.due == day(due)


def test_the_words_are_the_sentence_and_the_nearest_promise_counts() -> None:
    text = "Hej Maria!\nTråkigt. Vi tittar på det inom 14 dagar. Jag ringer dig på torsdag!\n/Anna"
    assert promises.find(text, "sv", TUESDAY) == promises.Promised("Jag ringer dig på torsdag!", date(2026, 11, 26))


def test_working_days_are_those_of_the_team() -> None:
    holidays = {date(2026, 11, 26), date(2026, 11, 27)}
    found = promises.find(
        "Vi svarar inom två arbetsdagar.", "sv", TUESDAY, is_open=lambda day: day.weekday() < 5 and day not in holidays
    )
    assert found is not None
    assert found.due == date(2026, 11, 30)


@pytest.mark.parametrize("weekday", range(7))
def test_a_weekday_is_the_next_one(weekday: int) -> None:
    written = TUESDAY + timedelta(days=weekday)
    found = promises.find("Vi svarar på fredag.", "sv", written)
    assert found is not None
    assert found.due.weekday() == 4
    assert timedelta() < found.due - written <= timedelta(days=7)


@given(st.text(max_size=300), st.sampled_from([None, *SAID]), st.dates(date(2025, 1, 1), date(2028, 12, 31)))
def test_no_text_is_too_odd_and_no_promise_lies_in_the_past(text: str, language: str | None, written: date) -> None:
    found = promises.find(f"Vi återkommer {text}", language, written)
    assert found is None or written <= found.due <= written + promises.FARTHEST


def test_a_date_that_is_none_is_no_promise() -> None:
    assert promises.find("Vi svarar den 31 februari.", "sv", TUESDAY) is None
    assert promises.find("Vi svarar om 999 månader.", "sv", TUESDAY) is None
