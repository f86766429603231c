"""What cannot wait, and what needs no answer."""

from __future__ import annotations

import pytest

from triage import noise, urgency
from triage.noise import Author

URGENT = [
    ("danger", "sv", "En elledning har ramlat ner över gångvägen vid skolan och det gnistrar!"),
    ("danger", "da", "Det lugter kraftigt af gas i hele opgangen, hvad gør vi?"),
    ("danger", "nb", "Kumlokk mangler i Storgata, barn kan falle ned!"),
    ("danger", "en", "There is a live wire hanging over the playground, someone will get hurt"),
    ("outage", "sv", "Är det strömavbrott i hela Norrby? Allt är svart"),
    ("outage", "da", "Er jeres hjemmeside nede for alle? Ingen kan logge ind"),
    ("outage", "nb", "Hele nettet er nede på Nordstrand, ingen har dekning"),
    ("outage", "en", "Is the whole network down? No signal for anyone in town"),
    ("leak", "sv", "När jag loggar in ser jag en annan persons personnummer och journal"),
    ("leak", "da", "Jeg har fået en mail med andre borgeres cpr-numre"),
    ("leak", "nb", "Jeg kan se andres personnummer og fakturaer når jeg logger inn"),
    ("leak", "en", "Your email showed everyone's personal data, I can see other customers' addresses"),
    ("deadline", "sv", "Ansökan stänger ikväll kl 23.59 och sidan går inte att skicka"),
    ("deadline", "da", "Fristen er i dag kl. 12 og jeg kan ikke sende ansøgningen"),
    ("deadline", "en", "The application deadline is midnight tonight and the form won't submit"),
]  # fmt: skip

CALM = [
    ("sv", "Tack för en fin dag på badhuset"),
    ("sv", "När öppnar biblioteket på måndag?"),
    ("da", "Det kunne være rart med flere bænke i parken"),
    ("nb", "Appen er litt treg av og til, men helt grei"),
    ("nn", "Takk for hjelpa i går"),
    ("en", "Love the new design of the app"),
    ("en", "Could you add a vegetarian dish to the menu?"),
]


def test_nearly_everything_that_cannot_wait_is_seen_for_what_it_is() -> None:
    """None of these is in a seed file, and a judge of texts misses some."""
    said = [(text, value, urgency.judge(text, language)) for value, language, text in URGENT]
    missed = [text for text, value, verdict in said if verdict is None or verdict.value != value]
    assert len(missed) <= 2, missed
    assert all(verdict.because for _, _, verdict in said if verdict)


@pytest.mark.parametrize("language,text", CALM)
def test_what_can_wait_is_left_alone(language: str, text: str) -> None:
    assert urgency.judge(text, language) is None
    assert noise.judge(text, language) is None


@pytest.mark.parametrize(
    "value,language,text",
    [
        ("spam", "en", "FREE gift card for the first 100, claim yours before midnight http://gift.example"),
        ("spam", "sv", "Vinn en ny iPhone GRATIS, klicka på länken nu http://vinn.example"),
        ("job", "sv", "Vi söker en undersköterska till vårt team, sök tjänsten senast 1 mars"),
        ("job", "da", "Vi søger en pædagog til fast stilling, send din ansøgning senest fredag"),
        ("job", "nb", "Ledig stilling: vi søker sykepleier i 100 % fast stilling. Søk her"),
    ],
)
def test_noise_is_known(value: str, language: str, text: str) -> None:
    verdict = noise.judge(text, language)
    assert verdict is not None and verdict.value == value


def test_a_name_helps_but_does_not_decide() -> None:
    robot = Author(handle="trafikbot", name="Trafikbot Storby")
    calm = "Tack för en fin dag på badhuset, mormor var så glad"
    assert noise.judge(calm, "sv", author=robot) is None
    report = "Linje 4: normal trafik. 12:30"
    before, after = noise.judge(report, "sv"), noise.judge(report, "sv", author=robot)
    assert after is not None and after.value == "bot"
    assert before is None or before.value != "bot" or before.confidence < after.confidence


@pytest.mark.parametrize("handle", ["botilda", "jobst", ""])
def test_names_that_only_contain_such_letters_say_nothing(handle: str) -> None:
    text = "Fint väder idag"
    assert noise.judge(text, "sv", author=Author(handle=handle)) == noise.judge(text, "sv")
