"""Watch queries: the one grammar for ``match`` on sources, rules and search.

    query := and (OR and)*          and := not (AND? not)*          not := NOT? primary
    primary := ( query ) | "phrase" | word | word* | #tag | primary NEAR/n primary

AND binds tighter than OR, NOT tightest; words side by side mean AND; operators in capitals only. Case-blind; å ä ö æ ø
are letters of their own. ``snö`` also finds ``#snö``; ``#snö`` only the hashtag.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from errors import QueryError

_WORD = re.compile(r"#?\w+")
_TOKEN = re.compile(
    r'\s*(?:(?P<near>NEAR/\d+)(?![^\s()"])|(?P<op>AND|OR|NOT)(?![^\s()"])|(?P<paren>[()])|(?P<quote>")|(?P<chunk>[^\s()"]+))'
)
_LONGEST = 2_000  # characters; a longer query is a mistake
_DEEPEST = 50  # parentheses within one another


@dataclass(frozen=True)
class Text:
    """A text cut into folded words, each with whether a ``#`` stood before it."""

    words: tuple[str, ...]
    tags: frozenset[int]  # positions of hashtags

    @classmethod
    def of(cls, *parts: str | None) -> Text:
        """Several parts (title, body) are kept apart: no phrase reaches from one into the next."""
        words: list[str] = []
        tags: set[int] = set()
        for part in parts:
            for found in _WORD.findall(_fold(part or "")):
                if found.startswith("#"):
                    tags.add(len(words))
                words.append(found.removeprefix("#"))
            words.append("")  # a wall no word equals
        return cls(tuple(words), frozenset(tags))


@dataclass(frozen=True)
class Term:
    """Words in a row; ``prefix`` lets the last one go on, ``tag`` wants a hashtag."""

    words: tuple[str, ...]
    prefix: bool = False
    tag: bool = False

    def spans(self, text: Text) -> list[tuple[int, int]]:
        size = len(self.words)
        return [(at, at + size) for at in range(len(text.words) - size + 1) if self._stands(text, at, size)]

    def _stands(self, text: Text, at: int, size: int) -> bool:
        if self.tag and at not in text.tags:
            return False
        here = text.words[at : at + size]
        if here[:-1] != self.words[:-1]:
            return False
        return here[-1].startswith(self.words[-1]) if self.prefix else here[-1] == self.words[-1]

    def matches(self, text: Text) -> bool:
        return bool(self.spans(text))


@dataclass(frozen=True)
class Near:
    """Two terms with at most ``gap`` words between them, in either order."""

    left: Term
    right: Term
    gap: int

    def matches(self, text: Text) -> bool:
        rights = self.right.spans(text)
        return any(
            (0 <= there[0] - here[1] <= self.gap or 0 <= here[0] - there[1] <= self.gap)
            and "" not in text.words[min(here[0], there[0]) : max(here[1], there[1])]
            for here in self.left.spans(text)
            for there in rights
        )


@dataclass(frozen=True)
class Not:
    what: Node

    def matches(self, text: Text) -> bool:
        return not self.what.matches(text)


@dataclass(frozen=True)
class And:
    parts: tuple[Node, ...]

    def matches(self, text: Text) -> bool:
        return all(part.matches(text) for part in self.parts)


@dataclass(frozen=True)
class Or:
    parts: tuple[Node, ...]

    def matches(self, text: Text) -> bool:
        return any(part.matches(text) for part in self.parts)


Node = Term | Near | Not | And | Or


@lru_cache(maxsize=8192)
def parse(query: str) -> Node:
    """The query as a tree with ``matches(Text)``. Raises ``QueryError`` that points at the place."""
    if len(query) > _LONGEST:
        raise QueryError(f"The query is longer than {_LONGEST} characters.", _LONGEST)
    return _Parser(query).whole()


def matches(query: str, *parts: str | None) -> bool:
    """Does the query find the text? ``parts`` are title and body."""
    return parse(query).matches(Text.of(*parts))


def _fold(text: str) -> str:
    # NFC first, so that a + ring is the letter å; lower and not casefold, so that nothing changes length within a word
    return unicodedata.normalize("NFC", text).lower()


@dataclass(frozen=True)
class _Token:
    kind: str  # near, op, paren, term, end
    text: str
    at: int
    term: Term | None = None


class _Parser:
    def __init__(self, query: str) -> None:
        self.tokens = list(self._cut(query))
        self.next = 0
        self.depth = 0

    def whole(self) -> Node:
        if self._peek().kind == "end":
            raise QueryError("The query is empty: write at least one word.", 0)
        node = self._or()
        token = self._peek()
        if token.kind != "end":
            raise QueryError("There is a ) without its (.", token.at)
        return node

    def _cut(self, query: str) -> Iterable[_Token]:
        at = 0
        while query[at:].strip():
            found = _TOKEN.match(query, at)
            assert found and found.lastgroup, "every character begins some token"
            kind, text, start = found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
            at = found.end()
            if kind == "quote":
                end = query.find('"', at)
                if end < 0:
                    raise QueryError('The phrase that begins here has no closing ".', start)
                yield _Token("term", query[start : end + 1], start, _term(query[at:end], start, phrase=True))
                at = end + 1
            elif kind == "chunk":
                yield _Token("term", text, start, _term(text, start, phrase=False))
            else:
                yield _Token(kind, text, start)
        yield _Token("end", "", len(query))

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def _is(self, *texts: str) -> bool:
        return self._peek().kind in ("op", "paren") and self._peek().text in texts

    def _or(self) -> Node:
        parts = [self._and()]
        while self._is("OR"):
            self._take()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Node:
        parts = [self._not()]
        while True:
            if self._is("AND"):
                self._take()
            elif self._peek().kind == "end" or self._is("OR", ")"):
                break
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self) -> Node:
        nots = 0
        while self._is("NOT"):
            self._take()
            nots += 1
        node = self._near()
        return Not(node) if nots % 2 else node

    def _near(self) -> Node:
        start = self._peek().at
        left = self._primary()
        if self._peek().kind != "near":
            return left
        near = self._take()
        right = self._primary()
        if self._peek().kind == "near":
            raise QueryError("NEAR joins two terms; join more with AND.", self._peek().at)
        if not isinstance(left, Term) or not isinstance(right, Term):
            raise QueryError("NEAR joins words or phrases, not groups in parentheses.", start)
        return Near(left, right, int(near.text.removeprefix("NEAR/")))

    def _primary(self) -> Node:
        token = self._take()
        if token.term is not None:
            return token.term
        if token.text == "(":
            self.depth += 1
            if self.depth > _DEEPEST:
                raise QueryError(f"More than {_DEEPEST} parentheses within one another.", token.at)
            node = self._or()
            if not self._is(")"):
                raise QueryError("This ( has no closing ).", token.at)
            self._take()
            self.depth -= 1
            return node
        if token.kind == "end":
            raise QueryError("The query ends where a word should stand.", token.at)
        raise QueryError(f"A word should stand here, not {token.text}.", token.at)


def _term(text: str, at: int, *, phrase: bool) -> Term:
    """A chunk such as ``e-post`` or ``storby.se`` is its words in a row, as it is when found in a text."""
    if not phrase and text.startswith("-"):
        raise QueryError("Write NOT before a word to exclude it, not a minus.", at)
    words = _WORD.findall(_fold(text))
    if not words:
        raise QueryError("There is no word here to look for.", at)
    prefix = not phrase and text.endswith("*")
    if "*" in (text.removesuffix("*") if prefix else text):
        raise QueryError("A * stands only at the end of a word.", at + text.index("*"))
    return Term(tuple(word.removeprefix("#") for word in words), prefix=prefix, tag=words[0].startswith("#"))
