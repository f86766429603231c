"""Many watch queries against one text, without trying each.

A query can hold only where something it needs stands: one of its words, the beginning of one, a stem, a name, a host.
Such a set, of which at least one must be there, is a query's *anchors*. They are looked up in a dictionary, and only
the queries found so are tried. Of several sets that would do, the one that fewest queries share is taken: if each of
them asks for the town's name, none is anchored there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from triage import stems, watch
from triage.subject import Text

K = TypeVar("K", bound=Hashable)
Anchor = tuple[str, ...]  # what kind of thing, and what it must be
Anchors = frozenset[Anchor]

KNOWN: Anchor = ("followers",)  # how many there are is known
VAGUE = ("lang", *KNOWN)  # true of so many texts that anything else is better


class Watchlist(Generic[K]):
    """``matching`` gives exactly the keys whose query matches, in the order in which they were given.

    ``everywhere``: the keys of queries that need nothing (``NOT x``) and are tried on every text.
    """

    def __init__(self, queries: Mapping[K, str]) -> None:
        """Raises ``errors.QueryError`` for the first query that cannot be read."""
        self._keys = list(queries)
        self._nodes = [watch.parse(query) for query in queries.values()]
        shared = Counter(anchor for node in self._nodes for anchor in _possible(node))
        self._found: dict[Anchor, list[int]] = {}
        self._everywhere: list[int] = []
        for number, node in enumerate(self._nodes):
            best = _best(node, shared)
            if best is None:
                self._everywhere.append(number)
            for anchor in best or ():
                self._found.setdefault(anchor, []).append(number)
        self._beginnings = sorted({len(anchor[1]) for anchor in self._found if anchor[0] == "begins"})
        self._kinds = {anchor[0] for anchor in self._found}

    @cached_property
    def everywhere(self) -> tuple[K, ...]:
        return tuple(self._keys[number] for number in self._everywhere)

    def matching(self, text: Text) -> list[K]:
        numbers = set(self._everywhere)
        for anchor in self._present(text):
            numbers.update(self._found.get(anchor, ()))
        return [self._keys[number] for number in sorted(numbers) if self._nodes[number].matches(text)]

    def _present(self, text: Text) -> Iterator[Anchor]:
        """Everything about a text that could be some query's anchor."""
        kinds = self._kinds
        if "word" in kinds:
            yield from (("word", word) for word in text.places)
        if "begins" in kinds:
            yield from {("begins", word[:size]) for word in text.places for size in self._beginnings}
        if "stem" in kinds:
            yield from (("stem", *pair) for pair in text.stemmed)
        if "lang" in kinds and text.language is not None:
            yield ("lang", text.language)
        if "author" in kinds:
            yield from (("author", word) for word in text.named.places)
            if text.handle:
                yield ("author", text.handle)
        if "author begins" in kinds:
            for word in (*text.named.places, text.handle or ""):
                yield from (("author begins", word[:size]) for size in range(1, len(word) + 1))
        if "site" in kinds:
            yield from (("site", host) for host in text.sites)
        if "link" in kinds:
            yield from (("link", word) for word in text.links.places)
        if "link begins" in kinds:
            for word in text.links.places:
                yield from (("link begins", word[:size]) for size in range(1, len(word) + 1))
        if KNOWN[0] in kinds and text.followers is not None:
            yield KNOWN


def _possible(node: watch.Node) -> set[Anchor]:
    """Every anchor the query could have."""
    return {anchor for leaf, wanted in watch.leaves(node) if wanted for choice in _sets(leaf) for anchor in choice}


def _best(node: watch.Node, shared: Counter[Anchor], *, wanted: bool = True) -> Anchors | None:
    """The rarest set of which at least one member must be there for the query to hold; None where it needs nothing."""
    match node:
        case watch.Not(what):
            return _best(what, shared, wanted=not wanted)
        case watch.And(parts) | watch.Or(parts):
            each = [_best(part, shared, wanted=wanted) for part in parts]
            if isinstance(node, watch.And) is wanted:  # all of them hold
                return _rarest((anchors for anchors in each if anchors is not None), shared)
            needed = [anchors for anchors in each if anchors is not None]
            return frozenset().union(*needed) if len(needed) == len(each) else None
        case _:
            return _rarest(_sets(node), shared) if wanted else None


def _rarest(choices: Iterable[Anchors], shared: Counter[Anchor]) -> Anchors | None:
    """By how many queries share it; among equals by longer words, which are rarer in texts. A language is common."""

    def commonness(anchors: Anchors) -> tuple[int, int]:
        vague = sum(anchor[0] in VAGUE for anchor in anchors)
        return sum(shared[anchor] for anchor in anchors) + 1_000_000 * vague, -min(len(each[-1]) for each in anchors)

    return min(choices, key=commonness, default=None)


def _sets(leaf: watch.Leaf) -> Iterator[Anchors]:
    """The sets that would do for one leaf."""
    match leaf:
        case watch.Near(left, right):
            yield from _term(left, "word", "begins")
            yield from _term(right, "word", "begins")
        case watch.Term():
            yield from _term(leaf, "word", "begins")
        case watch.Lang(languages):
            yield frozenset(("lang", language) for language in languages)
        case watch.Author(handle, name):
            for choice in _term(name, "author", "author begins"):
                yield choice | {("author begins" if name.prefix else "author", handle)}
        case watch.Site(host):
            yield frozenset({("site", host)})
        case watch.Link(words):
            yield from _term(words, "link", "link begins")
        case watch.Followers():
            yield frozenset({KNOWN})


def _term(term: watch.Term, whole: str, begins: str) -> Iterator[Anchors]:
    """Each of its words will do."""
    *firsts, last = term.words
    for word in firsts:
        yield frozenset({(whole, word)})
    if term.inflected:
        yield frozenset(("stem", kind, stem) for kind in stems.ALL for stem in stems.stems(kind, last))
    else:
        yield frozenset({(begins if term.prefix else whole, last)})
