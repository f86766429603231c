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
UMLAUTS = str.maketrans("aou", "äöü")
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


@lru_cache(maxsize=4_096)
def heads(stemmer: str, stem: str) -> tuple[str, ...]:
    """How a word with this stem may begin: those that begin so are looked for first, and only they are stemmed.

    The Nordic stemmers only take endings off. The English one may change the last two letters, the Finnish one makes
    one of two consonants before the last vowels, the German one turns ä into a, oe into o, ß into ss.
    """
    if stemmer == "german":
        head = stem.partition("ss")[0]
        found = next((head[: at + 1] for at, letter in enumerate(head) if letter in "aou"), head)
        return tuple(dict.fromkeys((found, found.translate(UMLAUTS))))
    if stemmer == "english":
        return (stem[: 1 if stem in ("die", "lie", "tie") else max(2, len(stem) - 2)],)  # dying
    if stemmer == "finnish":
        return (stem[: max(1, min(len(stem) - 2, len(stem.rstrip("aeiouyäö"))))],)
    return (stem,)
