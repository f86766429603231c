"""Search: from what a person types to conditions on the tables, the same on both databases.

Case is told apart letter by letter in the pattern itself, since SQLite folds only ASCII and PostgreSQL only what its
locale knows.
"""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, and_, or_, select

from errors import InvalidInput
from models import Case, Mention

MAX_LENGTH = 200  # characters
MAX_WORDS = 16
NUMBER = re.compile(r"#?([0-9]{1,18})")


def found_in_case(q: str) -> ColumnElement[bool]:
    """Cases with that number, or whose subject or mentions hold it. Raises ``InvalidInput``."""
    number = NUMBER.fullmatch(q.strip())
    words = and_(*(_word_in_case(word) for word in _words(q)))
    return or_(Case.id == int(number[1]), words) if number else words


def found_in_mention(q: str) -> ColumnElement[bool]:
    """Mentions whose title or text hold it. Raises ``InvalidInput``."""
    return and_(*(_word_in_mention(word) for word in _words(q)))


def _words(q: str) -> list[str]:
    words = q.split()
    if len(q) > MAX_LENGTH or len(words) > MAX_WORDS:
        message = f"The search may have {MAX_LENGTH} characters and {MAX_WORDS} words at most."
        raise InvalidInput(message, {"q": "make it shorter"})
    return words


def _word_in_case(word: str) -> ColumnElement[bool]:
    holding = select(Mention.case_id).where(_word_in_mention(word), Mention.case_id.is_not(None))
    return or_(Case.subject.regexp_match(_pattern(word)), Case.id.in_(holding))


def _word_in_mention(word: str) -> ColumnElement[bool]:
    pattern = _pattern(word)
    return or_(Mention.text.regexp_match(pattern), Mention.title.regexp_match(pattern))


def _pattern(word: str) -> str:
    return "".join(_either(letter) for letter in word)


def _either(letter: str) -> str:
    lower, upper = letter.lower(), letter.upper()
    if len(lower) == len(upper) == 1 and lower != upper:
        return f"[{lower}{upper}]"
    return letter if letter.isalnum() else re.escape(letter)
