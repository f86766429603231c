"""Watch queries the slow obvious way: a query as a tree of tuples, how it is written, and whether it holds.

Written apart from ``triage.watch``: no tokens, no places, no regular expressions; every word beside every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from triage import stems
from triage.subject import Text

Asked = tuple[Any, ...]  # (what, …)

WORDS = ["snö", "is", "väg", "vägen", "gata", "gatan", "ål", "ÆRE", "øl", "Åsa", "e", "a1", "storby"]
ENDS = ["", "", "", "n", "en", "ö"]
HANDLES = ["anna_o", "storby.se", "øl", "snö"]
HOSTS = ["storby.se", "blogg.storby.se", "se", "snö.example"]


@dataclass(frozen=True)
class Told:
    """What is said, as parts."""

    parts: tuple[str, ...]
    language: str | None
    name: str | None
    handle: str | None
    host: str | None
    followers: int | None
    paths: tuple[str, ...]

    @property
    def links(self) -> list[str]:
        return [f"https://{path}" for path in self.paths]

    @property
    def text(self) -> Text:
        return Text.of(
            *self.parts,
            language=self.language,
            name=self.name,
            handle=self.handle and f"@{self.handle.upper()}",
            url=self.host and f"http://www.{self.host}:80/x",
            followers=self.followers,
            more=(" ".join(f'<a href="{link}">' for link in self.links),),
        )


# -- making them ---------------------------------------------------------------------------------------------------

word = st.sampled_from(WORDS).flatmap(lambda base: st.sampled_from(ENDS).map(base.__add__))
said = st.lists(
    st.one_of(word, word, word.map("#".__add__), st.sampled_from(["-", "och", "?!", "Å_Ä", "(is)", "is,snö"])),
    max_size=9,
).map(" ".join)
scribbled = st.text(alphabet="aåÅäöæøÆØ snge#.-_1\n", max_size=20)
told = st.builds(
    Told,
    st.lists(st.one_of(said, scribbled), max_size=2).map(tuple),
    st.sampled_from([None, "und", "sv", "nb", "nn", "da", "de"]),
    st.one_of(st.none(), said),
    st.one_of(st.none(), st.sampled_from(HANDLES)),
    st.one_of(st.none(), st.sampled_from(HOSTS)),
    st.one_of(st.none(), st.integers(0, 5)),
    st.lists(st.sampled_from(["storby.se/snö/is", "is.se", "storby.se?väg=is", "snö-väg.se/#is"]), max_size=2).map(
        tuple
    ),
)

term = st.one_of(
    st.tuples(st.just("word"), word, st.booleans()),  # whether as a hashtag
    st.tuples(st.just("begins"), word),
    st.tuples(st.just("row"), st.lists(word, min_size=2, max_size=3).map(tuple)),
    st.tuples(st.just("forms"), word.filter(lambda each: len(each) > 2)),
)
leaf = st.one_of(
    term,
    st.tuples(st.just("near"), term, term, st.integers(0, 3)),
    st.tuples(st.just("lang"), st.sampled_from(["sv", "nb", "no", "und", "de"])),
    st.tuples(st.just("author"), st.sampled_from([*HANDLES, "snö väg", "is"]), st.booleans()),  # whether it may go on
    st.tuples(st.just("site"), st.sampled_from(HOSTS)),
    st.tuples(st.just("link"), st.sampled_from(["storby.se", "snö", "snö/is", "se?väg=is", "torby"]), st.booleans()),
    st.tuples(st.just("followers"), st.sampled_from([">", ">=", "<", "<="]), st.integers(0, 5)),
)
asked: st.SearchStrategy[Asked] = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["and", "or", "beside"]), inner, inner), st.tuples(st.just("not"), inner)
    ),
    max_leaves=6,
)


# -- writing them --------------------------------------------------------------------------------------------------

BINDS = {"or": 1, "and": 2, "beside": 2, "not": 3}


def written(query: Asked, outside: int = 0) -> str:
    """With parentheses only where the grammar needs them."""
    kind, *rest = query
    if kind in BINDS:
        joint = {"or": " OR ", "and": " AND ", "beside": " ", "not": "NOT "}[kind]
        parts = [written(part, BINDS[kind]) for part in rest]
        text = joint + parts[0] if kind == "not" else joint.join(parts)
        return f"({text})" if BINDS[kind] < outside else text
    match query:
        case ("word", word, tag):
            return f"#{word}" if tag else str(word)
        case ("begins", word):
            return f"{word}*"
        case ("row", words):
            return f'"{" ".join(words)}"'
        case ("forms", word):
            return f"~{word}"
        case ("near", left, right, gap):
            return f"{written(left)} NEAR/{gap} {written(right)}"
        case ("author" | "link" as field, value, more):
            return f'{field}:"{value}"' if " " in value else f"{field}:{value}{'*' * more}"
        case ("lang" | "site" as field, value):
            return f"{field}:{value}"
        case (field, sign, count):
            return f"{field}{sign}{count}"
    raise AssertionError(query)


# -- whether they hold ---------------------------------------------------------------------------------------------


def holds(query: Asked, told: Told) -> bool:
    match query:
        case ("and" | "beside", left, right):
            return holds(left, told) and holds(right, told)
        case ("or", left, right):
            return holds(left, told) or holds(right, told)
        case ("not", what):
            return not holds(what, told)
        case ("near", left, right, gap):
            return any(_close(part, told.language, left, right, gap) for part in told.parts)
        case ("lang", value):
            return told.language in ({"nb", "nn"} if value == "no" else {value})
        case ("author", value, more):
            goes_on = more and " " not in value
            handle, value = told.handle or "", value.lower()
            named = _somewhere(told.name or "", cut(value), goes_on)
            return named or handle == value or (goes_on and bool(handle) and handle.startswith(value))
        case ("site", value):
            return told.host is not None and f".{told.host}".endswith(f".{value}")
        case ("link", value, more):
            return any(_somewhere(link, cut(value), more) for link in told.links)
        case ("followers", sign, count):
            return told.followers is not None and bool(eval(f"{told.followers} {sign} {count}"))
        case _:
            return any(_places(part, told.language, query) for part in told.parts)


def cut(text: str) -> list[str]:
    """Words in small letters, a hashtag with its #."""
    words, current = [], ""
    for letter in text.lower() + " ":
        if letter.isalnum() or letter == "_":
            current += letter
        else:
            if current.strip("#"):
                words.append(current)
            current = "#" if letter == "#" else ""
    return words


def _somewhere(text: str, wanted: list[str], goes_on: bool) -> bool:
    words = [each.lstrip("#") for each in cut(text)]
    for at in range(len(words)):
        here = words[at : at + len(wanted)]
        if here == wanted or (goes_on and len(here) == len(wanted) and here[:-1] == wanted[:-1]
                              and here[-1].startswith(wanted[-1])):  # fmt: skip
            return True
    return False


def _places(part: str, language: str | None, wanted: Asked) -> list[tuple[int, int]]:
    """Where it stands, from word to word."""
    words = cut(part)
    plain = [each.lstrip("#") for each in words]
    match wanted:
        case ("word", word, tag):
            wanted_word = f"#{word}" if tag else word
            return [
                (at, at + 1) for at in range(len(words)) if wanted_word.lower() in ({words[at]} if tag else {plain[at]})
            ]
        case ("begins", word):
            return [(at, at + 1) for at, each in enumerate(plain) if each.startswith(word.lower())]
        case ("row", row):
            row = [each.lower() for each in row]
            return [(at, at + len(row)) for at in range(len(plain)) if plain[at : at + len(row)] == row]
        case (_, word):
            return [(at, at + 1) for at, each in enumerate(plain) if _forms_of_one(each, word.lower(), language)]
    raise AssertionError(wanted)


def _close(part: str, language: str | None, left: Asked, right: Asked, gap: int) -> bool:
    for a in _places(part, language, left):
        for b in _places(part, language, right):
            first, second = sorted([a, b])
            if first[1] <= second[0] <= first[1] + gap:
                return True
    return False


def _forms_of_one(one: str, other: str, language: str | None) -> bool:
    spoken = [stems.STEMMERS[language]] if language in stems.STEMMERS else stems.STEMMERS.values()
    return any(stems.stems(each, one) & stems.stems(each, other) for each in spoken)
