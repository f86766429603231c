"""What a judge weighs in a text: marks, each at the word it stands on, so that a verdict can name its words.

    =word       the word                         ab cd      two words in a row
    bcd         three to five letters of <word>  ^word ?^word $word  opens a sentence, opens a question, closes the text
    ~role       a role of the word lists         ~wish+you  two roles in a row
    ~me>loss>us the last two or three roles of a sentence, whatever stands between them; ^~me  the first, ^~me>loss
    &me wish    two roles somewhere in the text
    f+2 b-1     the word feels good or bad, so much at least; ``b`` where a "but" follows
    #…          of the whole text: its length, its feelings together, question marks, addresses

Roles are the same in all languages, so what is learnt in one helps the others.
"""

from __future__ import annotations

from triage.cutting import STOPS, Cut
from triage.lexicon import Lexicon, lexicon

_SILENT = {"feeling", "negator", "booster", "damper", "function", "telling"}  # roles that are no mark of their own
_UNSAID = _SILENT - {"negator"}
_GRADED = {"danger", "deadline", "outage", "leak", "spam", "job", "campaign", "bot", "asks"}
_LENGTHS = (2, 4, 7, 11, 17, 26, 40, 70)


def letters(word: str) -> tuple[str, ...]:
    """Each three to five letters in a row of ``<word>``, once."""
    if not word[0].isalpha() or len(word) < 3:
        return ()
    whole = f"<{word[:24]}>"
    return tuple(dict.fromkeys(whole[at : at + size] for size in (3, 4, 5) for at in range(len(whole) - size + 1)))


def marks(cut: Cut, language: str) -> list[tuple[int, str]]:
    """Every mark but the single words and their letters, with the place of its word; -1: of the whole text."""
    words = cut.words
    lists = lexicon(language)
    here = [lists.at(words, place) for place in range(len(words))]
    found: list[tuple[int, str]] = []
    found += [(place, f"{words[place - 1]} {words[place]}") for place in range(1, len(words))]
    found += _sentences(words)
    before = ""
    for start, (size, roles) in enumerate(here):
        place = start + size - 1  # a phrase says it with its last word
        role = ""
        for each, weight in roles.items():
            if each in _GRADED:
                found += [(place, f"~{each}{step}") for step in range(1, min(3, round(weight)) + 1)]
            elif each not in _SILENT:
                found.append((place, f"~{each}"))
                role = role or each
                if before:
                    found.append((place, f"~{before}+{each}"))
            elif each == "negator":
                found.append((place, "~negator"))
                role = "negator"
                if before:
                    found.append((place, f"~{before}+negator"))
        before = role
    found += _patterns(words, here)
    found += _feelings(cut, here)
    found += [(-1, mark) for mark in _whole(cut)]
    return found


def _patterns(words: tuple[str, ...], here: list[tuple[int, dict[str, float]]]) -> list[tuple[int, str]]:
    """Roles as they follow each other in a sentence, other words between them or not, and which a text has together."""
    found = []
    chain: list[str] = []  # the roles of the sentence so far; strong feelings are roles here
    seen = {"?"} if any(word.startswith("?") for word in words) else set()
    covered = 0  # words that a phrase has spoken for
    for place, (size, roles) in enumerate(here):
        if words[place] in STOPS:
            chain = []
        if place < covered:
            continue
        role = next((each for each in roles if each not in _GRADED and each not in _UNSAID), "")
        if not role and abs(roles.get("feeling", 0)) >= 1:
            role = "good" if roles["feeling"] > 0 else "bad"
        if not role:
            continue
        covered = place + size
        chain.append(role)
        seen.add(role)
        opens = "^" if len(chain) < 3 else ""
        found.append((covered - 1, f"{opens}~{'>'.join(chain[-3:])}"))
        if len(chain) > 1:
            found.append((covered - 1, f"~{'>'.join(chain[-2:])}"))
    has = sorted(seen)
    found += [(-1, f"&{one} {other}") for at, one in enumerate(has) for other in has[at + 1 :]]
    return found


def _sentences(words: tuple[str, ...]) -> list[tuple[int, str]]:
    """What opens and closes sentences; greetings and @names in front are no opening."""
    found = []
    start = 0
    for place, word in enumerate(words):
        if word in STOPS or place == len(words) - 1:
            opening = start
            while opening < place and words[opening] in (
                "<at>",
                ",",
                "hej",
                "hei",
                "hi",
                "hello",
                "hallo",
                '"',
                "-",
                "å",
            ):
                opening += 1
            found.append((opening, f"^{words[opening]}"))
            if opening + 1 < len(words):
                found.append((opening, f"^{words[opening]} {words[opening + 1]}"))
            if word.startswith("?"):
                found.append((opening, f"?^{words[opening]}"))
            start = place + 1
    if words:
        found.append((len(words) - 1, f"${words[-1]}"))
        if words[-1] in STOPS and len(words) > 1:
            found.append((len(words) - 2, f"${words[-2]}"))
    return found


def feelings(cut: Cut, lists: Lexicon) -> list[tuple[int, float]]:
    """(place, -4…4) of each word that feels, with what is denied or made stronger near it already counted in."""
    return _weighed(cut, [lists.at(cut.words, place) for place in range(len(cut.words))])


def _weighed(cut: Cut, here: list[tuple[int, dict[str, float]]]) -> list[tuple[int, float]]:
    words = cut.words
    found = []
    covered = 0  # words that a phrase has spoken for
    for place, (size, roles) in enumerate(here):
        value = roles.get("feeling")
        if value is None or place < covered:
            continue
        covered = place + size
        for back in range(place - 1, max(-1, place - 3), -1):
            if words[back] in STOPS or words[back] == ",":
                break
            value *= here[back][1].get("booster", 1.0) * here[back][1].get("damper", 1.0)
        if _denied(words, here, place, size):
            value *= -0.6
        if len(cut.shown[place]) > 2 and cut.shown[place].isupper():
            value *= 1.2
        found.append((covered - 1, max(-4.0, min(4.0, value))))
    return found


def _denied(words: tuple[str, ...], here: list[tuple[int, dict[str, float]]], place: int, size: int) -> bool:
    """A negator up to four words before, or right after ("gillar inte"), in the same clause; two cancel out."""
    count = 0
    for step in range(place - 1, max(-1, place - 5), -1):
        if words[step] in STOPS or words[step] == "," or "but" in here[step][1]:
            break
        count += "negator" in here[step][1]
    after = place + size
    if not count and after < len(words):
        count += "negator" in here[after][1]
    return count % 2 == 1


def _feelings(cut: Cut, here: list[tuple[int, dict[str, float]]]) -> list[tuple[int, str]]:
    turn = max((place for place, (_, roles) in enumerate(here) if "but" in roles), default=-1)
    felt = _weighed(cut, here)
    found = []
    sums = {"+": 0.0, "-": 0.0}
    last = ""
    for place, value in felt:
        sign = "+" if value > 0 else "-"
        sums[sign] += abs(value) * (0.5 if place < turn else 1.0)
        letter = "b" if place < turn else "f"
        found += [(place, f"{letter}{sign}{step}") for step in range(1, max(1, round(abs(value))) + 1)]
        last = sign
    net = sums["+"] - sums["-"]
    found += [(-1, f"#net{'+' if net > 0 else '-'}{step}") for step in (0.3, 1, 2, 3.5, 6) if abs(net) >= step]
    if not felt:
        found.append((-1, "#unfelt"))
    else:
        found.append((-1, f"#last{last}"))
    if sums["+"] and sums["-"]:
        found.append((-1, "#mixed"))
    return found


def _whole(cut: Cut) -> list[str]:
    words = cut.words
    count = len(words)
    found = [f"#long{step}" for step in _LENGTHS if count >= step]
    questions = sum(word.startswith("?") for word in words)
    if questions:
        found.append("#asked")
        found += ["#asked2"] * (questions > 1)
    if words and words[-1].startswith("?"):
        found.append("#ends?")
    if any(word in ("!", "!!", "?!") for word in words):
        found.append("#!")
    for mark in ("<url>", "<at>", "<num>"):
        found += [f"#{mark}"] * (mark in words)
    tags = sum(shown.startswith("#") for shown in cut.shown)
    found += [f"#tags{step}" for step in (1, 2, 4) if tags >= step]
    shouted = sum(len(shown) > 2 and shown.isupper() for shown in cut.shown)
    found += [f"#shouted{step}" for step in (1, 3) if shouted >= step]
    if words and words[0] == "<at>":
        found.append("#to")
    return found
