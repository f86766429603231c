"""People: the same human behind several authors, joined by a person, never by Gensvar itself; and notes about them.

Who is one with whom is said in groups of author ids, so that a change can be taken back as long as nobody has changed
the same people since. The door to ``people``, ``authors.person_id`` and ``person_notes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session, joinedload

from database import lock
from errors import InvalidInput, NotFoundError, StaleCase
from models import Author, Person, PersonNote, SearchText, User
from triage import index
from triage.subject import fold

MOST_JOINED = 50  # authors of one person
FOUND = 20  # by a search
LOOKED_THROUGH = 10_000  # texts of the index that may be an author's
ALIKE = 5
MAX_NOTE = 5_000  # characters

Groups = tuple[tuple[int, ...], ...]  # author ids, each group one human


@dataclass(frozen=True)
class Regrouped:
    """Who was one with whom before a change, and after it."""

    before: Groups
    after: Groups


def authors_of(db: Session, author_id: int) -> list[Author]:
    """This author and those joined with them, the first known first. Raises ``NotFoundError``."""
    author = db.get(Author, author_id) if author_id < 2**63 else None
    if author is None:
        raise NotFoundError(f"There is no author {author_id}.")
    if author.person_id is None:
        return [author]
    return list(db.scalars(select(Author).where(Author.person_id == author.person_id).order_by(Author.id)))


def join(db: Session, author_id: int, other_id: int, at: datetime) -> Regrouped:
    """They are one, with everybody each of them was one with. Raises ``InvalidInput``, ``NotFoundError``."""
    lock(db, "people")
    one, other = _ids(authors_of(db, author_id)), _ids(authors_of(db, other_id))
    if one == other:
        raise InvalidInput("They are one person already.", {"other": "somebody else"})
    if len(one) + len(other) > MOST_JOINED:
        raise InvalidInput(f"A person has {MOST_JOINED} authors at most.", {"other": "too many"})
    return _regroup(db, (one, other), ((*one, *other),), at)


def part(db: Session, author_id: int, at: datetime) -> Regrouped:
    """This author is somebody else than those they were joined with. Raises ``InvalidInput``, ``NotFoundError``."""
    lock(db, "people")
    together = _ids(authors_of(db, author_id))
    rest = tuple(id for id in together if id != author_id)
    if not rest:
        raise InvalidInput("This author is joined with nobody.", {"author": "joined with nobody"})
    return _regroup(db, (together,), ((author_id,), rest), at)


def take_back(db: Session, done: Regrouped, at: datetime) -> Regrouped:
    """As it was before. Raises ``StaleCase`` where one of them has been joined or parted since."""
    lock(db, "people")
    for group in done.after:
        if _ids(authors_of(db, group[0])) != tuple(sorted(group)):
            raise StaleCase("Somebody has joined or parted them since.")
    return _regroup(db, done.after, done.before, at)


def _ids(authors: Iterable[Author]) -> tuple[int, ...]:
    return tuple(author.id for author in authors)


def _regroup(db: Session, before: Groups, after: Groups, at: datetime) -> Regrouped:
    """Each group of several gets a person, anew or the one its first had; a person nobody is left of is forgotten."""
    authors = {each.id: each for each in db.scalars(select(Author).where(Author.id.in_([*_flat(before)])))}
    persons = {each.person_id for each in authors.values() if each.person_id is not None}
    free = set(persons)
    for group in sorted(tuple(sorted(group)) for group in after):
        first = authors[group[0]]
        person_id = first.person_id if first.person_id in free else None
        if len(group) == 1:
            person_id = None
        elif person_id is None:
            person = Person(name=first.name, created_at=at)
            db.add(person)
            db.flush()
            person_id = person.id
        else:
            free.discard(person_id)
        for id in group:
            authors[id].person_id = person_id
    db.flush()
    left = select(Author.person_id).where(Author.person_id.in_(persons))
    db.execute(delete(Person).where(Person.id.in_(persons), Person.id.not_in(left)))
    return Regrouped(before, tuple(sorted(tuple(sorted(group)) for group in after)))


def _flat(groups: Groups) -> Iterable[int]:
    return (id for group in groups for id in group)


# -- who else it may be -----------------------------------------------------------------------------------------------


def alike(db: Session, authors: Sequence[Author]) -> list[Author]:
    """Others with exactly the same name, handle or address; nothing is guessed beyond that."""
    equal = [
        column.in_(known)
        for column in (Author.name, Author.handle, Author.url)
        if (known := {value for each in authors if (value := getattr(each, column.key))})
    ]
    others = select(Author).where(or_(*equal), Author.id.not_in(_ids(authors)))
    return list(db.scalars(others.order_by(Author.id).limit(ALIKE))) if equal else []


def find(db: Session, text: str, besides: Sequence[Author]) -> list[Author]:
    """Others whose name or handle holds these words, whatever their case, or whose address this is; where the words
    stand in very many texts only those named exactly so are sure to be found. One more than ``FOUND`` where there are
    more."""
    asked = text.strip()
    words = fold(asked.lstrip("@")).split()
    by = [Author.name == asked, Author.handle == asked.lstrip("@"), Author.url == asked]
    if holding := index.entries_with(db, words, LOOKED_THROUGH):
        parts = [SearchText.text.contains(word, autoescape=True) for word in words]
        named = (SearchText.author_id.is_not(None), SearchText.id.in_(holding), *parts)
        by.append(Author.id.in_(select(SearchText.author_id).where(*named)))
    others = select(Author).where(or_(*by), Author.id.not_in(_ids(besides)))
    return list(db.scalars(others.order_by(Author.id).limit(FOUND + 1)))


# -- notes ------------------------------------------------------------------------------------------------------------


def notes(db: Session, authors: Sequence[Author]) -> list[PersonNote]:
    """What colleagues wrote about them, the latest first."""
    about = select(PersonNote).where(PersonNote.author_id.in_(_ids(authors))).options(joinedload(PersonNote.user))
    return list(db.scalars(about.order_by(PersonNote.created_at.desc(), PersonNote.id.desc())))


def write_note(db: Session, author_id: int, body: str, user: User, at: datetime) -> PersonNote:
    """Raises ``InvalidInput``, ``NotFoundError``."""
    authors_of(db, author_id)
    body = body.strip()
    if not body or len(body) > MAX_NOTE:
        raise InvalidInput(f"A note has between 1 and {MAX_NOTE} characters.", {"body": "too long or empty"})
    note = PersonNote(author_id=author_id, user_id=user.id, body=body, created_at=at)
    db.add(note)
    db.flush()
    return note


def remove_note(db: Session, note: PersonNote) -> None:
    """It is gone for good."""
    db.delete(note)
