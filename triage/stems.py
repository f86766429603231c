"""Which words are forms of one word: ``plogar`` and ``plogade`` of ``ploga``, in the languages we answer in.

By the stemmers of the Snowball project. Those leave short words and a few endings alone that matter here (``gatan``,
``veien``), so a word has a second stem where one of ``ENDINGS`` is taken off; two words are forms of one word when they
share a stem.
"""

from __future__ import annotations

from functools import lru_cache

# Bokmål and nynorsk have one stemmer. Its name stands for the language in what is kept of a text.
STEMMERS = {
    "sv": "swedish",
    "da": "danish",
    "nb": "norwegian",
    "nn": "norwegian",
    "en": "english",
    "de": "german",
    "fi": "finnish",
}
ALL = tuple(dict.fromkeys(STEMMERS.values()))
# Stemmer -> (ending, what stands instead of it, letters that must be left).
ENDINGS = {
    "swedish": (("an", "a", 3), ("ans", "a", 3), ("de", "", 3), ("t", "", 5)),
    "norwegian": (
        ("te", "", 3),
        ("ene", "", 3),
        ("ens", "", 3),
        ("en", "", 3),
        ("et", "", 3),
        ("er", "", 3),
        ("a", "", 3),
    ),
}


def stemmers(language: str | None) -> tuple[str, ...]:
    """The stemmers for a text in ``language``; all of them when it is unknown or none of ours."""
    return (STEMMERS[language],) if language in STEMMERS else ALL


@lru_cache(maxsize=65_536)
def stems(stemmer: str, word: str) -> frozenset[str]:
    """The stems of a word in small letters."""
    import snowballstemmer  # when somebody asks for it: it brings the languages of half the world

    stem = snowballstemmer.stemmer(stemmer).stemWord  # one of our own: it keeps the word it is at work on
    found = {stem(word)}
    for ending, instead, least in ENDINGS.get(stemmer, ()):
        if word.endswith(ending) and len(word) - len(ending) >= least:
            found.add(stem(word.removesuffix(ending) + instead))
    return frozenset(found)
