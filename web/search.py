"""Search: one query over what is said in cases, who says it, and what a case is; the same answer on both databases.

A query is read by ``triage.watch`` and taken apart: what asks only for what a case is (``status:new``, ``lang:sv``)
becomes a condition; what asks for words is left over. The index names the few cases that may hold a rare word; of
common words it only says that there are many, and then the list is read in its order and looked through. Either way
Python has the last word, on texts it has folded itself: neither database knows every letter.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    bindparam,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from errors import InvalidInput, QueryError
from models import Author, Case, Mention, Note, Reply, SearchText
from triage import index, stems, watch
from web import labels, operators
from web.i18n import gettext as _
from web.i18n import number
from web.operators import Asker

MAX_LENGTH = 200  # characters
MAX_TERMS = 16
FEW = 3_000  # entries of the index; more are many
NUMBER = re.compile(r"#?([0-9]{1,18})")

Condition = ColumnElement[bool]
Key = InstrumentedAttribute[Any]  # a number


class Entry(NamedTuple):
    """A text of something that belongs to what is looked for: the ``row``."""

    row: int
    kind: str  # mention, author, reply, note
    id: int
    language: str | None
    text: str


@dataclass(frozen=True)
class Search:
    """A query, ready to be asked. ``conditions``: of the rows; ``words``: what is left for the texts, all of them.

    ``of``: what is looked for, cases or mentions.
    """

    db: Session
    of: type[Case] | type[Mention]
    asker: Asker
    conditions: tuple[Condition, ...]
    words: tuple[watch.Node, ...]
    number: int | None = None

    def few(self) -> list[int] | None:
        """Every row the words can be found in, and some more; None when they are many."""
        few: list[int] | None = None
        for node in sorted(self.words, key=_promise, reverse=True):
            found = self._few(node)
            if found is not None and (few is None or len(found) < len(few)):
                few = found
            if few is not None and len(few) < FEW / 10:
                break
        return few if few is None or self.number is None else [*few, self.number]

    def holding(self, ids: Sequence[int]) -> frozenset[int]:
        """Which of these the words are found in."""
        if not self.words or not ids:
            return frozenset(ids)
        every = frozenset(ids)
        leaves = {leaf for node in self.words for leaf, _wanted in watch.leaves(node)}
        entries = _told(self.db, self.of, ids, leaves)

        def holding(node: watch.Node) -> frozenset[int]:
            match node:
                case watch.And(parts):
                    return frozenset.intersection(*map(holding, parts))
                case watch.Or(parts):
                    return frozenset.union(*map(holding, parts))
                case watch.Not(what):
                    return every - holding(what)
                case _:
                    row = _of_the_row(self.db, self.of, node, self.asker)
                    if row is None:
                        return _saying(entries, node)
                    return frozenset(self.db.scalars(select(self.of.id).where(among(self.of.id, ids, self.db), row)))

        return every & (holding(watch.And(self.words)) | {self.number})

    def _few(self, node: watch.Node) -> list[int] | None:
        match node:
            case watch.Not():
                return None
            case watch.And(parts):
                found = [few for part in parts if (few := self._few(part)) is not None]
                return min(found, key=len, default=None)
            case watch.Or(parts):
                every: set[int] = set()
                for part in parts:
                    one = self._few(part)
                    if one is None or len(every) > FEW:
                        return None
                    every |= set(one)
                return list(every)
            case _:
                return self._rows(node)

    def _rows(self, leaf: watch.Leaf) -> list[int] | None:
        """The rows of the entries that hold the letters of a leaf."""
        entries: set[int] = set()
        choices = _letters(leaf)
        for words in choices:  # each by itself: the index is not asked for either of two things
            found = index.entries_with(self.db, words, FEW + 1)
            if found is None or len(entries := entries | set(found)) > FEW:
                return None
        if not choices:
            return None
        keys = (SearchText.mention_id, SearchText.author_id, SearchText.reply_id, SearchText.note_id)
        rows = self.db.execute(select(*keys).where(among(SearchText.id, entries, self.db))).all()
        mentions, authors, replies, notes = ([id for row in rows if (id := row[at]) is not None] for at in range(4))
        wanted: list[Select[Any]] = []
        whose = Mention.case_id if self.of is Case else Mention.id
        for key, ids in ((Mention.id, mentions), (Mention.author_id, authors)):
            if ids:
                wanted.append(select(whose).where(among(key, ids, self.db)))
        if self.of is Case:
            for table, ids in ((Reply, replies), (Note, notes)):
                if ids:
                    wanted.append(select(table.case_id).where(among(table.id, ids, self.db)))
        return self._ids(wanted)

    def _ids(self, wanted: Sequence[Select[Any]]) -> list[int] | None:
        """None when an author among them has written too much to be few."""
        found: set[int] = set()
        for each in wanted:
            found |= {id for id in self.db.scalars(each.distinct().limit(FEW + 1)) if id is not None}
            if len(found) > FEW:
                return None
        return list(found)


def ask(db: Session, of: type[Case] | type[Mention], q: str | None, asker: Asker) -> Search:
    """Raises ``InvalidInput`` that points at the place, with the message in the reader's language."""
    if not q or not q.strip():
        return Search(db, of, asker, (), ())
    if len(q) > MAX_LENGTH or len(q.split()) > MAX_TERMS:
        message = _(
            "A search may have %(letters)s characters and %(words)s words at most.",
            letters=number(MAX_LENGTH),
            words=number(MAX_TERMS),
        )
        raise InvalidInput(message, {"q": "make it shorter"})
    try:
        node = watch.parse_search(q)
        parts = node.parts if isinstance(node, watch.And) else (node,)
        conditions = [(part, _condition(db, of, part, asker)) for part in parts]
        for part in parts:
            for leaf, _wanted in watch.leaves(part):
                _of_the_row(db, of, leaf, asker)  # that its value can be read
    except QueryError as error:
        raise InvalidInput(
            labels.query_problem(error), {"q": f"{error} (at character {error.position + 1})"}
        ) from error
    words = tuple(part for part, found in conditions if found is None)
    named = NUMBER.fullmatch(q.strip()) if of is Case else None
    return Search(
        db,
        of,
        asker,
        tuple(found for _part, found in conditions if found is not None),
        words,
        int(named[1]) if named else None,
    )


def among(column: Key, ids: Collection[int], db: Session) -> Condition:
    """As one parameter, however many they are."""
    if db.get_bind().dialect.name == "sqlite":
        listed = "[" + ",".join(map(str, ids)) + "]"
        return column.in_(select(func.json_each(listed).table_valued("value").c.value))
    return column == any_(bindparam(None, list(ids), type_=ARRAY(BigInteger)))


def _condition(db: Session, of: type[Case] | type[Mention], node: watch.Node, asker: Asker) -> Condition | None:
    """None: it asks for words."""
    match node:
        case watch.And(parts) | watch.Or(parts):
            found = [_condition(db, of, part, asker) for part in parts]
            if any(each is None for each in found):
                return None
            known = [each for each in found if each is not None]
            return and_(*known) if isinstance(node, watch.And) else or_(*known)
        case watch.Not(what):
            inner = _condition(db, of, what, asker)
            return None if inner is None else not_(inner)
        case _:
            return _of_the_row(db, of, node, asker)


def _of_the_row(db: Session, of: type[Case] | type[Mention], leaf: watch.Leaf, asker: Asker) -> Condition | None:
    """What the columns answer; None: the texts do."""
    match leaf:
        case watch.Operator():
            holds = operators.condition(db, leaf, asker)
            if of is Case:
                return holds
            return and_(Mention.case_id.is_not(None), Mention.case_id.in_(select(Case.id).where(holds)))
        case watch.Lang(languages):
            said = and_(Mention.language.is_not(None), Mention.language.in_(languages))
            if of is Mention:
                return said
            judged = and_(Case.language.is_not(None), Case.language.in_(languages))  # a person may have set it right
            return or_(judged, select(Mention.id).where(Mention.case_id == Case.id, said).exists())
        case watch.Followers(sign, count):
            followed = watch.COMPARE[sign](Author.followers, count)
            by = and_(Mention.author_id == Author.id, Author.followers.is_not(None), followed)
            if of is Mention:
                return select(Author.id).where(by).exists()
            return select(Mention.id).where(Mention.case_id == Case.id).join(Author, by).exists()
        case _:
            return None


# -- what the texts say ------------------------------------------------------------------------------------------------


def _told(
    db: Session, of: type[Case] | type[Mention], ids: Sequence[int], leaves: Collection[watch.Leaf]
) -> list[Entry]:
    """The texts of these rows in which one of the leaves may hold, in one query."""
    own = Mention.case_id if of is Case else Mention.id
    here = among(own, ids, db)
    text, unknown = SearchText.text, null()
    parts: list[Any] = [
        select(own, literal("mention"), Mention.id, Mention.language, text).join(
            SearchText, SearchText.mention_id == Mention.id
        ),
        select(own, literal("author"), Mention.author_id, unknown, text)
        .join(SearchText, SearchText.author_id == Mention.author_id)
        .distinct(),
    ]
    parts = [part.where(here) for part in parts]
    if of is Case:
        for name, table, key in (("reply", Reply, SearchText.reply_id), ("note", Note, SearchText.note_id)):
            part = select(table.case_id, literal(name), table.id, unknown, text).join(SearchText, key == table.id)
            parts.append(part.where(among(table.case_id, ids, db)))
    choices = [words for leaf in leaves for words in _letters(leaf)]
    if choices:  # the texts are folded, so that both databases find letters in them alike
        holds = or_(*(and_(*(_contains(db, word) for word in words)) for words in choices))
        parts = [part.where(holds) for part in parts]
    return [Entry(*row) for row in db.execute(union_all(*parts)).all()]


def _contains(db: Session, letters: str) -> Condition:
    place = func.instr if db.get_bind().dialect.name == "sqlite" else func.strpos
    return place(SearchText.text, letters) > 0


def _saying(entries: Sequence[Entry], leaf: watch.Leaf) -> frozenset[int]:
    """The rows in one of whose texts it holds."""
    return frozenset(entry.row for entry in entries if _says(entry, leaf))


def _says(entry: Entry, leaf: watch.Leaf) -> bool:
    parts = entry.text.split(index.BREAK)
    match leaf:
        case watch.Author():
            if entry.kind != "author":
                return False
            return leaf.matches(watch.Text.of(name=parts[0], handle=parts[1]))
        case watch.Site(host):
            return entry.kind == "mention" and f".{parts[2]}".endswith(f".{host}")
        case watch.Link(words):
            return entry.kind == "mention" and words.matches(watch.Text.of(*parts[3:]))
        case watch.Term(inside=True):
            return any(leaf.words[0] in part for part in _spoken(entry, parts))
        case watch.Term(words, inflected=False):
            return any(words[0] in part and _stands(leaf, part) for part in _spoken(entry, parts))
        case _:
            spoken = _spoken(entry, parts)
            if not any(all(word in part for word in words) for words in _letters(leaf) for part in spoken):
                return False  # quickly
            return leaf.matches(watch.Text.of(*spoken, language=entry.language))


def _stands(term: watch.Term, part: str) -> bool:
    """What ``term.spans`` looks for, without cutting the text into words."""
    pattern = _pattern(term)
    if term.tag or len(term.words) > 1:
        return pattern.search(part) is not None
    return any(not _ends_in_word(part, found.start()) for found in pattern.finditer(part))


def _ends_in_word(part: str, at: int) -> bool:
    return at > 0 and (part[at - 1].isalnum() or part[at - 1] == "_")


@lru_cache(maxsize=1024)
def _pattern(term: watch.Term) -> re.Pattern[str]:
    """Of one word without what must not stand before it: a pattern that begins with a letter is found far quicker."""
    begin = "#" if term.tag else r"(?<!\w)" if len(term.words) > 1 else ""
    return re.compile(begin + r"\W+".join(map(re.escape, term.words)) + ("" if term.prefix else r"(?!\w)"))


def _spoken(entry: Entry, parts: Sequence[str]) -> Sequence[str]:
    """Without where it stands and what it links to."""
    return parts[:2] if entry.kind == "mention" else parts


def _letters(leaf: watch.Leaf) -> list[list[str]]:
    """What must stand in a text for the leaf to hold: all of one of these."""
    match leaf:
        case watch.Term(words, inflected=inflected):
            if not inflected:
                return [list(words)]
            return [[*words[:-1], head] for head in _heads(words[-1])]
        case watch.Near(left, right):
            return [[*one, *other] for one in _letters(left) for other in _letters(right)]
        case watch.Author(handle, name):
            return [list(name.words), [handle]] if handle else [list(name.words)]
        case watch.Site(host):
            return [[host]]
        case watch.Link(words):
            return _letters(words)
        case _:
            return []


def _heads(word: str) -> list[str]:
    """How the forms of a word may begin, in whatever language."""
    heads = {head for each in stems.ALL for stem in stems.stems(each, word) for head in stems.heads(each, stem)}
    return sorted(head for head in heads if not any(head.startswith(other) for other in heads - {head}))


def _promise(node: watch.Node) -> int:
    """Long words are asked for first: they are rare."""
    return max(
        (len("".join(words)) for leaf, wanted in watch.leaves(node) if wanted for words in _letters(leaf)), default=0
    )


def where_it_says(db: Session, node: watch.Node, cases: Sequence[int]) -> dict[str, list[int]]:
    """Of each case the latest that holds one of the words wanted: mention, reply, note -> ids. One query."""
    wanted = [leaf for leaf, is_wanted in watch.leaves(node) if is_wanted and isinstance(leaf, watch.Term | watch.Near)]
    found: dict[str, list[int]] = {"mention": [], "reply": [], "note": []}
    told: dict[int, list[Entry]] = defaultdict(list)
    for entry in _told(db, Case, cases, wanted) if wanted else ():
        told[entry.row].append(entry)
    for entries in told.values():
        for kind, ids in found.items():
            said = [each.id for each in entries if each.kind == kind and any(_says(each, leaf) for leaf in wanted)]
            if said:
                ids.append(max(said))
                break
    return found


__all__ = ["Asker", "Search", "among", "ask", "where_it_says"]
