"""Search: the watch grammar as conditions on the tables, the same on both databases.

Every word becomes a regular expression that spells out its letters in both cases and what a letter is, since SQLite
folds only ASCII and PostgreSQL only what its locale knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from errors import InvalidInput, QueryError
from models import Case, Mention
from triage import watch

MAX_LENGTH = 200  # characters
MAX_TERMS = 16
MAX_GAP = 255  # words in a NEAR: the most PostgreSQL repeats

NUMBER = re.compile(r"#?([0-9]{1,18})")
# What a word is made of: \w depends on the locale in PostgreSQL, so the scripts are named.
LETTERS = "0-9A-Za-z_ªµºÀ-ÖØ-öø-\u1fff\u2c00-\u2dff\u3040-\ud7ff\uf900-\ufdff"
LETTER, OTHER = f"[{LETTERS}]", f"[^{LETTERS}]"

Condition = ColumnElement[bool]


def found_in_case(q: str) -> Condition:
    """Cases with that number, or with the words in their subject or any mention. Raises ``InvalidInput``."""
    words = _condition(_parse(q), _in_case)
    number = NUMBER.fullmatch(q.strip())
    return or_(Case.id == int(number[1]), words) if number else words


def found_in_mention(q: str) -> Condition:
    """Mentions that hold the words in title or text. Raises ``InvalidInput``."""
    return _condition(_parse(q), _in_mention)


def _parse(q: str) -> watch.Node:
    if len(q) > MAX_LENGTH or len(q.split()) > MAX_TERMS:
        message = f"A search may have {MAX_LENGTH} characters and {MAX_TERMS} words at most."
        raise InvalidInput(message, {"q": "make it shorter"})
    try:
        return watch.parse(q)
    except QueryError as error:
        raise InvalidInput(str(error), {"q": f"{error} (at character {error.position + 1})"}) from error


def _condition(node: watch.Node, holds: Callable[[str, str], Condition]) -> Condition:
    """``holds(pattern, word)``: where the pattern is found, and ``word`` with it, which is quicker to look for."""
    match node:
        case watch.And(parts):
            return and_(*(_condition(part, holds) for part in parts))
        case watch.Or(parts):
            return or_(*(_condition(part, holds) for part in parts))
        case watch.Not(what):
            return not_(_condition(what, holds))
        case watch.Near(left, right, gap):
            pattern = f"{_near(left, right, gap)}|{_near(right, left, gap)}"
            return holds(pattern, max((*left.words, *right.words), key=len))
        case watch.Term():
            return holds(_begin(node) + _words(node) + _end(node), max(node.words, key=len))


def _in_case(pattern: str, word: str) -> Condition:
    holding = select(Mention.case_id).where(_in_mention(pattern, word), Mention.case_id.is_not(None))
    return or_(_in_text(Case.subject, pattern, word), Case.id.in_(holding))


def _in_mention(pattern: str, word: str) -> Condition:
    return or_(_in_text(Mention.text, pattern, word), _in_text(func.coalesce(Mention.title, ""), pattern, word))


def _in_text(text: ColumnElement[str] | InstrumentedAttribute[str], pattern: str, word: str) -> Condition:
    """The databases compare ASCII alike and fast; for any other letter stands "any one character" until the pattern."""
    like = "".join(letter if letter.isascii() else "_" for letter in word)
    return and_(text.ilike(f"%{like}%"), text.regexp_match(pattern))


def _near(first: watch.Term, second: watch.Term, gap: int) -> str:
    between = f"({OTHER}+{LETTER}+){{0,{min(gap, MAX_GAP)}}}" + (f"{OTHER}*#" if second.tag else f"{OTHER}+")
    return (
        _begin(first) + _words(first) + (f"{LETTER}*" if first.prefix else "") + between + _words(second) + _end(second)
    )


def _begin(term: watch.Term) -> str:
    return "#" if term.tag else f"(^|{OTHER})"


def _words(term: watch.Term) -> str:
    return f"{OTHER}+".join("".join(map(_either_case, word)) for word in term.words)


def _end(term: watch.Term) -> str:
    return "" if term.prefix else f"({OTHER}|$)"


def _either_case(letter: str) -> str:
    upper = letter.upper()
    return f"[{letter}{upper}]" if len(upper) == 1 and upper != letter else letter
