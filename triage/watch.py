"""Watch queries: the one grammar for ``match`` on sources, categories and rules, and for search.

    query := and (OR and)*          and := not (AND? not)*          not := NOT? primary
    primary := ( query ) | "phrase" | word | word* | ~word | #tag | primary NEAR/n primary | field
    field := lang:sv | author:name | site:host | link:words | followers>1000 (also >= < <=); a value may be "quoted"
    search has besides: not := (NOT | -)? primary; field := … | status:new and the other OPERATORS, asked of the case

AND binds tighter than OR, NOT tightest; words side by side mean AND; operators in capitals only. Case-blind; å ä ö æ ø
are letters of their own. ``snö`` also finds ``#snö``; ``#snö`` only the hashtag. ``~ploga`` finds plogar, plogade.

In search (``parse_search``) a bare word of three or more letters is also found inside longer ones: snö in nysnö.

When a colon makes a field: after the name of one, always. After three or more other small letters a-z, when two letters
or a quote follow: then the name is wrong. Any other colon stands among words: 12:30, https://…, kl:12, SVT:s, Obs:is.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from errors import QueryError
from triage import stems
from triage.language import LANGUAGES, UNSURE
from triage.subject import WORD, fold, handle_of, host_of, readable
from triage.subject import Text as Text  # what a query is asked of, for those who ask

FIELDS = ("lang", "author", "site", "link", "followers")
OPERATORS = (
    "status", "assignee", "channel", "source", "team", "priority", "kind", "sentiment", "tag", "category", "story",
    "has", "is", "before", "after",
)  # fmt: skip


def _tokens(minus: str, fields: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        r'\s*(?:(?P<near>NEAR/\d+)(?![^\s()"])|(?P<op>(?:AND|OR|NOT)(?![^\s()"])' + minus + ")"
        r'|(?P<paren>[()])|(?P<quote>")'
        r"|(?P<field>(?i:" + "|".join(fields) + r")(?::|[<>]=?|=)|[a-z]{3,}(?::(?=\"|[^\W\d_]{2})|[<>]=?(?=\d)))"
        r'|(?P<chunk>[^\s()"]+))'
    )


_WATCH = _tokens("", FIELDS)
_SEARCH = _tokens(r"|-(?=[^\s-])", (*FIELDS, "language", *OPERATORS))
_SITE = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_LONGEST = 2_000  # characters; a longer query is a mistake
_DEEPEST = 50  # parentheses within one another
_SHORTEST = 3  # letters of a word whose forms are wanted, or that is found inside others

# What may stand after lang: and which judged languages that means.
SPOKEN = {**{language: (language,) for language in (*LANGUAGES, UNSURE)}, "no": ("nb", "nn")}
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class Term:
    """Words in a row; ``prefix`` lets the last one go on, ``inflected`` change its form; ``tag`` wants a hashtag.

    ``inside``: the one word may also be part of a longer one.
    """

    words: tuple[str, ...]
    prefix: bool = False
    tag: bool = False
    inflected: bool = False
    inside: bool = False

    def spans(self, text: Text) -> list[tuple[int, int]]:
        """Where it stands, as positions of words."""
        size = len(self.words)
        if self.inside:
            lasts: Iterable[str] = [word for word in text.places if self.words[0] in word]
        elif self.prefix:
            lasts = text.beginning(self.words[-1])
        else:
            lasts = self.forms(text) if self.inflected else self.words[-1:]
        ends = (at + 1 for word in lasts for at in text.places.get(word, ()))
        return [
            (end - size, end)
            for end in ends
            if text.words[max(end - size, 0) : end - 1] == self.words[:-1] and (not self.tag or end - size in text.tags)
        ]

    def forms(self, text: Text) -> set[str]:
        """The words of the text that are forms of the last word."""
        found = set()
        for stemmer in stems.stemmers(text.language):
            wanted = stems.stems(stemmer, self.words[-1])
            for head in {head for stem in wanted for head in stems.heads(stemmer, stem)}:
                found |= {word for word in text.beginning(head) if not wanted.isdisjoint(stems.stems(stemmer, word))}
        return found

    def matches(self, text: Text) -> bool:
        return bool(self.spans(text))


@dataclass(frozen=True)
class Lang:
    languages: tuple[str, ...]

    def matches(self, text: Text) -> bool:
        return text.language in self.languages


@dataclass(frozen=True)
class Author:
    """The handle, or words in a row in the name; ``prefix`` lets either go on."""

    handle: str
    name: Term

    def matches(self, text: Text) -> bool:
        handle = text.handle or ""
        same = handle.startswith(self.handle) if self.name.prefix else handle == self.handle
        return same or self.name.matches(text.named)


@dataclass(frozen=True)
class Site:
    """A host, and everything below it."""

    host: str

    def matches(self, text: Text) -> bool:
        return self.host in text.sites


@dataclass(frozen=True)
class Link:
    """Words in a row in an address that is linked to."""

    words: Term

    def matches(self, text: Text) -> bool:
        return self.words.matches(text.links)


@dataclass(frozen=True)
class Followers:
    """Not known is neither more nor less."""

    sign: str
    count: int

    def matches(self, text: Text) -> bool:
        return text.followers is not None and COMPARE[self.sign](text.followers, self.count)


@dataclass(frozen=True)
class Operator:
    """What search asks of a case, not of a text; ``at``: where the value stands in the query."""

    name: str
    value: str
    at: int

    def matches(self, text: Text) -> bool:
        raise TypeError(f"a text has no {self.name}")


@dataclass(frozen=True)
class Near:
    """Two terms with at most ``gap`` words between them, in either order."""

    left: Term
    right: Term
    gap: int

    def matches(self, text: Text) -> bool:
        """Only the nearest after and before each are looked at: farther ones have as much between them, and more."""
        starts, size = sorted(start for start, _ in self.right.spans(text)), len(self.right.words)
        for start, end in self.left.spans(text):
            after, before = bisect_left(starts, end), bisect_right(starts, start - size) - 1
            if after < len(starts) and starts[after] - end <= self.gap and text.together(start, starts[after]):
                return True
            if before >= 0 and start - starts[before] - size <= self.gap and text.together(start, starts[before]):
                return True
        return False


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


Field = Lang | Author | Site | Link | Followers | Operator
Leaf = Term | Near | Field
Node = Leaf | Not | And | Or


@lru_cache(maxsize=8192)
def parse(query: str) -> Node:
    """The query as a tree with ``matches(Text)``. Raises ``QueryError`` that points at the place."""
    return _Parser(query).whole()


@lru_cache(maxsize=1024)
def parse_search(query: str) -> Node:
    """The same for search: words also inside others, ``-`` for NOT, ``Operator`` leaves whose values are not read."""
    return _Parser(query, search=True).whole()


def matches(query: str, *parts: str | None) -> bool:
    """Does the query find the text? ``parts`` are title and body."""
    return parse(query).matches(Text.of(*parts))


def leaves(node: Node, *, wanted: bool = True) -> Iterator[tuple[Leaf, bool]]:
    """What the query is made of, each with whether it is wanted or excluded by NOT."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part, wanted=wanted)
        case Not(what):
            yield from leaves(what, wanted=not wanted)
        case _:
            yield node, wanted


def asks_language(node: Node) -> bool:
    """Whether the answer depends on the language of the text."""
    return any(isinstance(leaf, Lang) or inflected(leaf) for leaf, _ in leaves(node))


def asks_links(node: Node) -> bool:
    return any(isinstance(leaf, Link) for leaf, _ in leaves(node))


def inflected(leaf: Leaf) -> bool:
    return any(term.inflected for term in _terms(leaf))


def _terms(leaf: Leaf) -> tuple[Term, ...]:
    if isinstance(leaf, Near):
        return leaf.left, leaf.right
    return (leaf,) if isinstance(leaf, Term) else ()


def marks(node: Node, text: str, language: str | None) -> list[tuple[int, int]]:
    """Which characters of a text (normalised as NFC) the query is after, in order, none twice."""
    folded = fold(text)
    if len(folded) != len(text):
        return []
    read = Text.of(text, language=language)
    places = [found.span() for found in WORD.finditer(folded)]
    wanted = [term for leaf, wanted in leaves(node) if wanted for term in _terms(leaf)]
    return [places[at] for at in sorted({at for term in wanted for span in term.spans(read) for at in range(*span)})]


@dataclass(frozen=True)
class _Token:
    kind: str  # near, op, paren, leaf, end
    text: str
    at: int
    leaf: Term | Field | None = None


class _Parser:
    def __init__(self, query: str, *, search: bool = False) -> None:
        if len(query) > _LONGEST:
            raise QueryError("The query is longer than %(longest)s characters.", _LONGEST, longest=_LONGEST)
        self.search = search
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
            found = (_SEARCH if self.search else _WATCH).match(query, at)
            assert found and found.lastgroup, "every character begins some token"
            kind, text, start = found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
            at = found.end()
            if kind == "quote":
                phrase, at = _quoted(query, start)
                yield _Token("leaf", query[start:at], start, _term(phrase, start, phrase=True))
            elif kind == "field":
                quoted = query.startswith('"', at)
                bare = re.match(r'[^\s()"]*', query[at:])
                value, end = _quoted(query, at) if quoted or not bare else (bare[0], at + bare.end())
                leaf = self._operator(text, start, value, at + quoted) or self._field(text, start, value, at, quoted)
                yield _Token("leaf", query[start:end], start, leaf)
                at = end
            elif kind == "chunk":
                yield _Token("leaf", text, start, self._chunk(text, start))
            else:
                yield _Token(kind, text, start)
        yield _Token("end", "", len(query))

    def _chunk(self, text: str, at: int) -> Term:
        term = _term(text, at, phrase=False)
        plain = len(term.words) == 1 and not (term.prefix or term.tag or term.inflected)
        inside = self.search and plain and len(term.words[0]) >= _SHORTEST and not term.words[0].isdigit()
        return replace(term, inside=True) if inside else term

    def _operator(self, text: str, start: int, value: str, at: int) -> Operator | None:
        """None: it is a field of watch queries."""
        name = text.rstrip(":<>=").lower()
        if not self.search or name not in OPERATORS:
            return None
        if not text.endswith(":"):
            raise QueryError("A colon stands after %(name)s: %(example)s.", start, name=name, example=f"{name}:…")
        if not value.strip():
            raise QueryError("Here a value should stand, as in %(example)s.", at, example=f"{name}:…")
        return Operator(name, value.strip(), at)

    def _field(self, text: str, start: int, value: str, at: int, quoted: bool) -> Field:
        known: tuple[str, ...] = FIELDS[:-1]
        if self.search:
            text = re.sub("^language", "lang", text, flags=re.IGNORECASE)
            known = ("language", *known, *OPERATORS)
        return _field(text, start, value, at + quoted, quoted, known)

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
        while self._is("NOT", "-"):
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
            raise QueryError("NEAR joins words or phrases, not groups in parentheses or fields.", start)
        return Near(left, right, int(near.text.removeprefix("NEAR/")))

    def _primary(self) -> Node:
        token = self._take()
        if token.leaf is not None:
            return token.leaf
        if token.text == "(":
            self.depth += 1
            if self.depth > _DEEPEST:
                raise QueryError("More than %(deepest)s parentheses within one another.", token.at, deepest=_DEEPEST)
            node = self._or()
            if not self._is(")"):
                raise QueryError("This ( has no closing ).", token.at)
            self._take()
            self.depth -= 1
            return node
        if token.kind == "end":
            raise QueryError("The query ends where a word should stand.", token.at)
        raise QueryError("A word should stand here, not %(what)s.", token.at, what=token.text)


def _quoted(query: str, start: int) -> tuple[str, int]:
    """What stands between the quote at ``start`` and the next, and where the rest begins."""
    end = query.find('"', start + 1)
    if end < 0:
        raise QueryError('The phrase that begins here has no closing ".', start)
    return query[start + 1 : end], end + 1


def _term(text: str, at: int, *, phrase: bool) -> Term:
    """A chunk such as ``e-post`` or ``storby.se`` is its words in a row, as it is when found in a text."""
    if not phrase and text.startswith("-"):
        raise QueryError("Write NOT before a word to exclude it, not a minus.", at)
    if not phrase and text[0] in "<>=":
        raise QueryError("A comparison stands together with its field: followers>1000.", at)
    words = WORD.findall(fold(text))
    if not words:
        raise QueryError("There is no word here to look for.", at)
    inflected = not phrase and text.startswith("~")
    prefix = not phrase and text.endswith("*")
    if "*" in (text.removesuffix("*") if prefix else text):
        raise QueryError("A * stands only at the end of a word.", at + text.index("*"))
    if inflected and prefix:
        raise QueryError("Write ~ before a word or * after it, not both.", at)
    if inflected and len(words[-1].removeprefix("#")) < _SHORTEST:
        raise QueryError("~ needs a word of at least %(shortest)s letters.", at, shortest=_SHORTEST)
    plain = tuple(word.removeprefix("#") for word in words)
    return Term(plain, prefix=prefix, tag=words[0].startswith("#"), inflected=inflected)


def _field(text: str, start: int, value: str, at: int, quoted: bool, others: Iterable[str]) -> Field:
    """``text`` is the name with its sign; ``at`` is where the value stands; ``others``: to name where it is wrong."""
    sign = text.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    name = text.removesuffix(sign).lower()
    if name not in FIELDS:
        known = ", ".join(f"{field}:" for field in others)
        raise QueryError(
            "There is no field %(name)s. The fields are %(known)s and followers>. Quotes make it words to look for.",
            start,
            name=name,
            known=known,
        )
    if name == "followers" and sign not in COMPARE:
        raise QueryError("Compare a number of followers by > >= < or <=: followers>1000.", start)
    if name != "followers" and sign != ":":
        raise QueryError("A colon stands after %(name)s: %(example)s.", start, name=name, example=_EXAMPLES[name])
    if not value.strip():
        raise QueryError("Here a value should stand, as in %(example)s.", at, example=_EXAMPLES[name])
    if value.startswith("~"):
        raise QueryError("A ~ stands before a word to look for, not in a field.", at)
    match name:
        case "lang":
            return Lang(_languages(value.strip(), at))
        case "author":
            words = _term(value, at, phrase=quoted)
            return Author(handle_of(value.strip().removesuffix("*" if words.prefix else "")) or "", words)
        case "site":
            return Site(_site(value.strip(), at))
        case "link":
            return Link(_term(readable(value), at, phrase=quoted))
        case _:
            if not re.fullmatch(r"[0-9]{1,15}", value.strip()):
                raise QueryError("Write the number in digits only: followers>1000.", at)
            return Followers(sign, int(value))


_EXAMPLES = {
    "lang": "lang:sv",
    "author": "author:anna",
    "site": "site:storby.se",
    "link": "link:storby.se/snow",
    "followers": "followers>1000",
}


def _languages(value: str, at: int) -> tuple[str, ...]:
    found = SPOKEN.get(value.lower())
    if found is None:
        known = ", ".join(sorted(SPOKEN))
        raise QueryError(
            "%(value)s is no language we tell apart. Write one of %(known)s.", at, value=value, known=known
        )
    return found


def _site(value: str, at: int) -> str:
    host = host_of(f"https://{value}")
    if host is None or not _SITE.fullmatch(fold(value).rstrip(".")):
        raise QueryError(
            "site: takes a host such as storby.se, which finds all below it; for part of an address: link:.", at
        )
    return host
