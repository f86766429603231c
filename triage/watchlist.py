"""Many watch queries against one text, without trying each.

A query can hold only where something it needs stands: one of its words, the beginning of one, a name, a host.
Such a set, of which at least one must be there, is a query's *anchors*. They are looked up in a dictionary, and only
the queries found so are tried. Of several sets that would do, the one that fewest queries share is taken: if each of
them asks for the town's name, none is anchored there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from triage import stems, watch
from triage.subject import Text

K = TypeVar("K", bound=Hashable)
Anchor = tuple[
    str, bool, str
]  # what kind of thing, whether it is only how it begins, and what  # what kind of thing, and what it must be
Anchors = frozenset[Anchor]

VAGUE = ("lang", "followers")  # true of so many texts that anything else is better


class Watchlist(Generic[K]):
    """``matching`` gives exactly the keys whose query matches, in the order in which they were given.

    ``everywhere``: the keys of queries that need nothing (``NOT x``) and are tried on every text.
    """

    def __init__(self, queries: Mapping[K, str]) -> None:
        """Raises ``errors.QueryError`` for the first query that cannot be read."""
        self._keys = list(queries)
        self._nodes = [watch.parse(query) for query in queries.values()]
        shared = Counter(anchor for node in self._nodes for anchor in _possible(node))
        self._whole: dict[str, dict[str, list[int]]] = {}  # kind -> what must be there -> numbers of queries
        self._begins: dict[str, _Beginnings] = {}  # kind -> how a word must begin
        self._everywhere: list[int] = []
        for number, node in enumerate(self._nodes):
            best = _best(node, shared)
            if best is None:
                self._everywhere.append(number)
            for kind, begins, what in best or ():
                if begins:
                    self._begins.setdefault(kind, _Beginnings()).add(what, number)
                else:
                    self._whole.setdefault(kind, {}).setdefault(what, []).append(number)
        self._kinds = {*self._whole, *self._begins}

    @cached_property
    def everywhere(self) -> tuple[K, ...]:
        return tuple(self._keys[number] for number in self._everywhere)

    def matching(self, text: Text) -> list[K]:
        tried = set(self._everywhere)
        for numbers in self._anchored(text):
            tried.update(numbers)
        return [self._keys[number] for number in sorted(tried) if self._nodes[number].matches(text)]

    def _anchored(self, text: Text) -> Iterator[list[int]]:
        """The queries one of whose anchors is there."""
        yield from self._among("word", text.places)
        for stemmer in stems.stemmers(text.language):
            yield from self._among(stemmer, text.places)
        if "author" in self._kinds:
            yield from self._among("author", [*text.named.places, text.handle or ""])
        if "link" in self._kinds:
            yield from self._among("link", text.links.places)
        yield from self._among("site", text.sites)
        yield from self._among("lang", [text.language or ""])
        if text.followers is not None:
            yield from self._among("followers", [""])

    def _among(self, kind: str, words: Collection[str]) -> Iterator[list[int]]:
        if whole := self._whole.get(kind):
            yield from (whole[word] for word in words if word in whole)
        if begins := self._begins.get(kind):
            yield from begins.of(words)


class _Beginnings:
    """How words begin, found by the words: by their first letters first, since most words are none of them."""

    FIRST = 3

    def __init__(self) -> None:
        self._found: dict[str, list[int]] = {}
        self._sizes: dict[str, set[int]] = {}  # the first letters -> how long those are that begin so
        self._short: set[int] = set()

    def add(self, beginning: str, number: int) -> None:
        self._found.setdefault(beginning, []).append(number)
        if len(beginning) < self.FIRST:
            self._short.add(len(beginning))
        else:
            self._sizes.setdefault(beginning[: self.FIRST], set()).add(len(beginning))

    def of(self, words: Collection[str]) -> Iterator[list[int]]:
        for word in words:
            for size in (*self._short, *self._sizes.get(word[: self.FIRST], ())):
                if (numbers := self._found.get(word[:size])) is not None:
                    yield numbers


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
            yield from _term(left, "word")
            yield from _term(right, "word")
        case watch.Term():
            yield from _term(leaf, "word")
        case watch.Lang(languages):
            yield frozenset(("lang", False, language) for language in languages)
        case watch.Author(handle, name):
            for choice in _term(name, "author"):
                yield choice | {("author", name.prefix, handle)}
        case watch.Site(host):
            yield frozenset({("site", False, host)})
        case watch.Link(words):
            yield from _term(words, "link")
        case watch.Followers():
            yield frozenset({("followers", False, "")})


def _term(term: watch.Term, kind: str) -> Iterator[Anchors]:
    """Each of its words will do."""
    *firsts, last = term.words
    for word in firsts:
        yield frozenset({(kind, False, word)})
    if term.inflected:
        every = ((stemmer, stem) for stemmer in stems.ALL for stem in stems.stems(stemmer, last))
        yield frozenset((stemmer, True, head) for stemmer, stem in every for head in stems.heads(stemmer, stem))
    else:
        yield frozenset({(kind, term.prefix, last)})
