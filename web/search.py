"""Search: the watch grammar as conditions on the tables, the same on both databases.

Every word becomes a regular expression that spells out its letters in both cases and what a letter is, since SQLite
folds only ASCII and PostgreSQL only what its locale knows. What no expression can say (the forms of a word, addresses
linked to) is asked of the database as nearly as it can and then of the watch query itself, so that the answer is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlalchemy import BindParameter, ColumnElement, Text, and_, bindparam, cast, false, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from errors import InvalidInput, QueryError
from models import Author, Case, Mention
from triage import stems, subject, watch
from web import labels
from web.i18n import gettext as _
from web.i18n import number

MAX_LENGTH = 200  # characters
MAX_TERMS = 16
MAX_GAP = 255  # words in a NEAR: the most PostgreSQL repeats
MAX_ASKED = 50_000  # texts that are read to see whether they are meant

NUMBER = re.compile(r"#?([0-9]{1,18})")
# What a word is made of: \w depends on the locale in PostgreSQL, so the scripts are named.
LETTERS = "0-9A-Za-z_ªµºÀ-ÖØ-öø-\u1fff\u2c00-\u2dff\u3040-\ud7ff\uf900-\ufdff"
LETTER, OTHER = f"[{LETTERS}]", f"[^{LETTERS}]"

Condition = ColumnElement[bool]
Column = ColumnElement[str] | InstrumentedAttribute[str]
Known = InstrumentedAttribute[str | None]  # or not


def found_in_case(db: Session, q: str) -> Condition:
    """Cases with that number, or with the words in their subject or any mention. Raises ``InvalidInput``."""
    words = _condition(_parse(q), lambda leaf: _in_case(db, leaf))
    named = NUMBER.fullmatch(q.strip())
    return or_(Case.id == int(named[1]), words) if named else words


def found_in_mention(db: Session, q: str) -> Condition:
    """Mentions that hold the words in title or text. Raises ``InvalidInput``."""
    return _condition(_parse(q), lambda leaf: _in_mention(db, leaf))


def _parse(q: str) -> watch.Node:
    if len(q) > MAX_LENGTH or len(q.split()) > MAX_TERMS:
        message = _(
            "A search may have %(letters)s characters and %(words)s words at most.",
            letters=number(MAX_LENGTH),
            words=number(MAX_TERMS),
        )
        raise InvalidInput(message, {"q": "make it shorter"})
    try:
        return watch.parse(q)
    except QueryError as error:
        raise InvalidInput(
            labels.query_problem(error), {"q": f"{error} (at character {error.position + 1})"}
        ) from error


def _condition(node: watch.Node, holds: Callable[[watch.Leaf], Condition]) -> Condition:
    match node:
        case watch.And(parts):
            return and_(*(_condition(part, holds) for part in parts))
        case watch.Or(parts):
            return or_(*(_condition(part, holds) for part in parts))
        case watch.Not(what):
            return not_(_condition(what, holds))
        case _:
            return holds(node)


def _in_case(db: Session, leaf: watch.Leaf) -> Condition:
    """In its subject, or in any of its mentions."""
    holding = select(Mention.case_id).where(_in_mention(db, leaf), Mention.case_id.is_not(None))
    return or_(_in_subject(db, leaf), Case.id.in_(holding))


def _in_subject(db: Session, leaf: watch.Leaf) -> Condition:
    match leaf:
        case watch.Term() | watch.Near():
            if not watch.inflected(leaf):
                return _in_text(Case.subject, leaf)
            near = _in_its_language(Case.language, leaf, Case.subject)
            rows = db.execute(select(Case.id, Case.subject, Case.language).where(near).limit(MAX_ASKED + 1)).all()
            texts = [(id, watch.Text.of(title, language=language)) for id, title, language in rows]
            return Case.id.in_(_meant(leaf, texts))
        case watch.Lang(languages):  # a person may have set it right
            return and_(Case.language.is_not(None), Case.language.in_(languages))
        case _:
            return false()


def _in_mention(db: Session, leaf: watch.Leaf) -> Condition:
    match leaf:
        case watch.Term() | watch.Near():
            columns = (Mention.text, func.coalesce(Mention.title, ""))
            if not watch.inflected(leaf):
                return or_(*(_in_text(column, leaf) for column in columns))
            return _asked(db, leaf, _in_its_language(Mention.language, leaf, *columns))
        case watch.Lang(languages):
            return and_(Mention.language.is_not(None), Mention.language.in_(languages))
        case watch.Author(handle, name):
            return _by(or_(_in_handle(handle, name.prefix), _in_text(Author.name, name)))
        case watch.Followers(sign, count):
            return _by(watch.COMPARE[sign](Author.followers, count))
        case watch.Site(host):
            return _on_site(host)
        case watch.Link(words):
            return _asked(db, leaf, _linking(words))


def _by(author: Condition) -> Condition:
    return and_(Mention.author_id.is_not(None), Mention.author_id.in_(select(Author.id).where(author)))


def _in_handle(handle: str, prefix: bool) -> Condition:
    column = func.coalesce(Author.handle, "")
    return and_(_like(column, handle), column.regexp_match(f"^@?{_spelt(handle)}" + ("" if prefix else "$")))


def _on_site(host: str) -> Condition:
    """As ``subject.host_of`` takes it from an address."""
    column = func.coalesce(Mention.url, "")
    spellings = subject.spellings(host)
    spelt = "|".join(map(_spelt, spellings))
    pattern = f"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#@]*@)?([^/?#:]+[.])?({spelt})[.]*([:/?#]|$)"
    return and_(or_(*(_like(column, each) for each in spellings)), column.regexp_match(pattern))


def _linking(words: watch.Term) -> Condition:
    """Where the words stand after what an address begins with, in this order; beyond ASCII anything may stand."""
    first = words.words[0]
    begins = any(each.startswith(first) for each in ("http", "https", "www"))
    rest = "%".join(_plainly(word, "%") for word in words.words)
    patterns = [f"%{rest}%"] if begins else [f"%://%{rest}%", f"%www.%{rest}%"]
    holding = (Mention.text, Mention.title, Mention.html, cast(Mention.attachments, Text))
    return or_(*(func.coalesce(column, "").ilike(each) for column in holding for each in patterns))


def _asked(db: Session, leaf: watch.Leaf, near: Condition) -> Condition:
    """Of the mentions that come near, those the watch query finds."""
    columns = (Mention.id, Mention.title, Mention.text, Mention.language)
    more = (Mention.html, Mention.attachments) if isinstance(leaf, watch.Link) else ()
    rows = db.execute(select(*columns, *more).where(near).limit(MAX_ASKED + 1).execution_options(yield_per=500))

    def texts() -> Iterator[tuple[int, watch.Text]]:
        for id, title, text, language, *links in rows:
            html, attachments = links or (None, ())
            addresses = (each.get("url") for each in attachments)
            yield id, watch.Text.of(title, text, language=language, more=(html, *addresses))

    return Mention.id.in_(_meant(leaf, texts()))


def _meant(leaf: watch.Leaf, texts: Iterable[tuple[int, watch.Text]]) -> BindParameter[list[int]]:
    """The ids of the texts that are meant. Raises ``InvalidInput`` when there are too many to ask."""
    ids = []
    for asked, (id, text) in enumerate(texts):
        if asked == MAX_ASKED:
            message = _("More than %(n)s texts would have to be read for this.", n=number(MAX_ASKED))
            raise InvalidInput(message, {"q": "choose a longer or rarer word"})
        if leaf.matches(text):
            ids.append(id)
    return bindparam(None, ids, expanding=True, literal_execute=True)


def _in_its_language(language: Known, leaf: watch.Term | watch.Near, *texts: Column) -> Condition:
    """Where a text begins a word as its language forms it, or any language when it is not known."""
    spoken = {each: [tag for tag, stemmer in stems.STEMMERS.items() if stemmer == each] for each in stems.ALL}
    unknown = or_(language.is_(None), language.not_in(list(stems.STEMMERS)))
    return or_(
        *(
            and_(language.in_(tags), or_(*(_in_text(text, leaf, each) for text in texts)))
            for each, tags in spoken.items()
        ),
        and_(unknown, or_(*(_in_text(text, leaf, *stems.ALL) for text in texts))),
    )


def _in_text(text: Column, leaf: watch.Term | watch.Near, *stemmers: str) -> Condition:
    """Quickly the longest word, then the pattern. Of the forms of a word: whatever begins like one."""
    if isinstance(leaf, watch.Near):
        left, right, gap = leaf.left, leaf.right, leaf.gap
        pattern = f"{_near(left, right, gap, stemmers)}|{_near(right, left, gap, stemmers)}"
        terms = [left, right]
    else:
        pattern, terms = _begin(leaf) + _words(leaf, stemmers) + _end(leaf), [leaf]
    words = [word for term in terms for word in (term.words[:-1] if term.inflected else term.words)]
    quickly = [max(words, key=len)] if words else _heads(terms[0], stemmers)
    return and_(or_(*(_like(text, word) for word in quickly)), text.regexp_match(pattern))


def _like(text: Column, word: str) -> Condition:
    """The databases compare ASCII alike and fast; for any other letter stands "any one character"."""
    return text.ilike(f"%{_plainly(word, '_')}%")


def _plainly(word: str, other: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else other for letter in word)


def _near(first: watch.Term, second: watch.Term, gap: int, stemmers: Sequence[str]) -> str:
    between = f"({OTHER}+{LETTER}+){{0,{min(gap, MAX_GAP)}}}" + (f"{OTHER}*#" if second.tag else f"{OTHER}+")
    goes_on = f"{LETTER}*" if first.prefix or first.inflected else ""
    return _begin(first) + _words(first, stemmers) + goes_on + between + _words(second, stemmers) + _end(second)


def _begin(term: watch.Term) -> str:
    return "#" if term.tag else f"(^|{OTHER})"


def _words(term: watch.Term, stemmers: Sequence[str]) -> str:
    *firsts, last = map(_spelt, term.words)
    if term.inflected:
        last = f"({'|'.join(map(_spelt, _heads(term, stemmers)))})"
    return f"{OTHER}+".join([*firsts, last])


def _heads(term: watch.Term, stemmers: Sequence[str]) -> list[str]:
    """How the forms of its last word may begin."""
    word = term.words[-1]
    heads = {head for each in stemmers for stem in stems.stems(each, word) for head in stems.heads(each, stem)}
    return sorted(head for head in heads if not any(head.startswith(other) for other in heads - {head}))


def _end(term: watch.Term) -> str:
    return "" if term.prefix or term.inflected else f"({OTHER}|$)"


def _spelt(word: str) -> str:
    """Letter by letter in both cases."""
    return "".join(_either_case(letter) if letter.isalnum() else re.escape(letter) for letter in word)


def _either_case(letter: str) -> str:
    upper = letter.upper()
    return f"[{letter}{upper}]" if len(upper) == 1 and upper != letter else letter
