"""Invented mentions to try the inbox on: brought in like history, so that they start no clocks and tell nobody, and
removed again without a trace, with everything that was done with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, delete, exists, select, update
from sqlalchemy.orm import Session

from collectors.base import AuthorData, Batch, MentionData
from database import lock
from errors import InvalidInput
from models import Author, Base, BatchEvent, Case, Mention, MentionSource, Person, Source, Story
from models import Batch as Click
from triage import intake, storyteller

NAME = "examples"
OTHER = "en"  # spoken where none of the organisation's languages has examples
# language -> author, what they write, minutes ago; what begins with ">" answers the one before.
TEXTS: dict[str, Sequence[tuple[str, str, int]]] = {
    "sv": (
        ("Karin Exempel", "Gatlyktan utanför förskolan på Almgatan har varit släckt i två veckor. När lagas den?", 35),
        ("Ali Exempel", "> Samma sak på Björkvägen, det är kolmörkt när vi hämtar barnen.", 20),
        ("Maja Exempel", "Vilka tider har återvinningscentralen öppet på lördagar?", 120),
        ("Olle Exempel", "Tack till personalen på badhuset, ni gjorde min dotters födelsedag!", 300),
        ("Sara Exempel", "Förslag: sätt en bänk vid hållplatsen, många äldre väntar där.", 1500),
    ),
    "da": (
        ("Mette Eksempel", "Skraldespanden i parken er ikke blevet tømt i tre uger. Hvornår kommer I?", 40),
        ("Jens Eksempel", "> Den flyder over, og der er rotter nu.", 15),
        ("Lone Eksempel", "Hvordan skriver jeg mit barn op til svømning efter ferien?", 150),
        ("Bo Eksempel", "Stor ros til bibliotekaren, der hjalp mig med MitID i går.", 320),
    ),
    "nb": (
        ("Kari Eksempel", "Fortauet ved skolen er ikke strødd, og to elever har falt i dag. Hvem har ansvaret?", 30),
        ("Ola Eksempel", "> Det er like glatt på den andre siden av veien.", 12),
        ("Nina Eksempel", "Når åpner søknaden om barnehageplass?", 200),
        ("Per Eksempel", "Takk for fin service på innbyggertorget!", 400),
    ),
    "nn": (
        ("Eli Døme", "Bussen til skulen kom ikkje i dag heller. Kven kan eg snakke med?", 25),
        ("Nils Døme", "> Hjå oss kom han tretti minutt for seint.", 10),
        ("Torunn Døme", "Er det ope på biblioteket i haustferien?", 180),
    ),
    "en": (
        ("Jo Example", "The street light outside the nursery has been out for two weeks. When will it be mended?", 45),
        ("Sam Example", "> Same here, it is pitch dark when we pick up the children.", 18),
        ("Kim Example", "What are your opening hours on Saturdays?", 210),
        ("Lee Example", "Thank you for the kind help at the front desk today!", 360),
    ),
}
# What points at something that goes, and stays itself. Where the database says SET NULL, it lets go by itself.
LETS_GO = (
    ("cases", "follows_id"),
    ("cases", "merged_into_id"),
    ("cases", "story_id"),
    ("mentions", "story_id"),
    ("stories", "merged_into_id"),
)


def source(db: Session) -> Source | None:
    """Where the examples come from, while they are there."""
    return db.scalar(select(Source).where(Source.example).order_by(Source.id).limit(1))


def put(db: Session, *, channel: str, languages: Sequence[str], at: datetime) -> int:
    """A handful of cases in these languages. Returns how many mentions; 0 where they are there already."""
    lock(db, NAME)
    if source(db) is not None:
        return 0
    if db.scalar(select(Source.id).where(Source.name == NAME)) is not None:
        raise InvalidInput(f"There is a source named {NAME} already.", {"name": "taken"})
    made = Source(
        name=NAME, channel=channel, definition={"name": NAME, "collect": "feed"}, enabled=False, example=True,
        created_at=at, facts={},
    )  # fmt: skip
    db.add(made)
    db.flush()
    spoken = [language for language in languages if language in TEXTS] or [OTHER]
    mentions = [mention for language in spoken for mention in _mentions(language, at)]
    batch = Batch(tuple(mentions), cursor={})
    taken = intake.take(
        db, batch, channel=channel, account_id=None, source_id=made.id, at=at, imported=True, keep_open=True
    )
    return taken.new


def _mentions(language: str, at: datetime) -> Iterable[MentionData]:
    above = None
    for number, (name, said, minutes) in enumerate(TEXTS[language]):
        id = f"{NAME}/{language}/{number}"
        answers = said.startswith(">")
        yield MentionData(
            external_id=id,
            author=AuthorData(f"{NAME}/{name}", name),
            text=said.removeprefix("> "),
            published_at=at - timedelta(minutes=minutes),
            in_reply_to=above if answers else None,
            can_reply_reason="no_network",
            raw={"example": id},
        )
        above = above if answers else id


# -- removing ---------------------------------------------------------------------------------------------------------


def remove(db: Session) -> int:
    """The examples, their authors, and all that was done with them. Returns how many cases.

    A case with a mention of another source in it stays, with all that is in it.
    """
    lock(db, NAME)
    sources = set(db.scalars(select(Source.id).where(Source.example)))
    if not sources:
        return 0
    real = exists().where(MentionSource.mention_id == Mention.id, MentionSource.source_id.not_in(sources))
    mixed = set(db.scalars(select(Mention.case_id).where(Mention.case_id.is_not(None), real)))
    cases = set(db.scalars(select(Case.id).where(Case.source_id.in_(sources)))) - mixed
    found_there = exists().where(MentionSource.mention_id == Mention.id, MentionSource.source_id.in_(sources))
    gone = Mention.case_id.in_(cases) | (Mention.case_id.is_(None) & found_there & ~real)
    doomed = _Doomed(db)
    mentions = set(db.scalars(select(Mention.id).where(gone)))
    stories, authors = _stories(db, mentions), _authors(db, mentions, cases)
    doomed.add(_table(Source), sources)
    doomed.add(_table(Case), cases)
    doomed.add(_table(Mention), mentions)
    doomed.add(_table(Story), {story.id for story, alone in stories if alone})
    doomed.add(_table(Author), authors)
    doomed.add(_table(Person), _people(db, authors))
    doomed.delete()
    empty = select(Click.id).where(~exists().where(BatchEvent.batch_id == Click.id))
    db.execute(delete(Click).where(Click.id.in_(empty)).execution_options(synchronize_session=False))
    db.expire_all()
    for story, alone in stories:
        if not alone:
            storyteller.count(db, story)
    return len(cases)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _stories(db: Session, mentions: set[int]) -> list[tuple[Story, bool]]:
    """The stories they are told in, and whether nobody else tells them."""
    told = set(db.scalars(select(Mention.story_id).where(Mention.id.in_(mentions), Mention.story_id.is_not(None))))
    others = select(Mention.story_id).where(Mention.story_id.in_(told), Mention.id.not_in(mentions))
    still = set(db.scalars(others))
    return [(story, story.id not in still) for story in db.scalars(select(Story).where(Story.id.in_(told)))]


def _authors(db: Session, mentions: set[int], cases: set[int]) -> set[int]:
    """Those who wrote nothing else."""
    theirs = set(db.scalars(select(Mention.author_id).where(Mention.id.in_(mentions), Mention.author_id.is_not(None))))
    elsewhere = select(Mention.author_id).where(Mention.author_id.in_(theirs), Mention.id.not_in(mentions))
    owning = select(Case.author_id).where(Case.author_id.in_(theirs), Case.id.not_in(cases))
    return {id for id in theirs if id is not None} - set(db.scalars(elsewhere)) - set(db.scalars(owning))


def _people(db: Session, authors: set[int]) -> set[int]:
    joined = set(db.scalars(select(Author.person_id).where(Author.id.in_(authors), Author.person_id.is_not(None))))
    others = select(Author.person_id).where(Author.person_id.in_(joined), Author.id.not_in(authors))
    return {id for id in joined if id is not None} - set(db.scalars(others))


class _Doomed:
    """Rows that go, and with each all that points at it, whatever tables there are."""

    def __init__(self, db: Session) -> None:
        self._db = db
        self._rows: dict[Table, set[int]] = {}  # with an id
        self._hanging: list[tuple[Table, ColumnElement[bool]]] = []  # without: by what they point at

    def add(self, table: Table, ids: set[int]) -> None:
        new = ids - self._rows.setdefault(table, set())
        if not new:
            return
        self._rows[table] |= new
        for other in Base.metadata.tables.values():
            for key in other.foreign_keys:
                stays = key.ondelete == "SET NULL" or (other.name, key.parent.name) in LETS_GO
                if key.column.table is not table or stays:
                    continue
                pointing = key.parent.in_(new)
                if "id" in other.c:
                    self.add(other, set(self._db.scalars(select(other.c.id).where(pointing))))
                else:
                    self._hanging.append((other, pointing))

    def delete(self) -> None:
        for name, column in LETS_GO:
            key = Base.metadata.tables[name].c[column]
            (of,) = (foreign.column.table for foreign in key.foreign_keys)
            self._db.execute(update(key.table).where(key.in_(self._rows.get(of, set()))).values({column: None}))
        for table, pointing in self._hanging:
            self._db.execute(delete(table).where(pointing))
        for table in reversed(Base.metadata.sorted_tables):
            if self._rows.get(table):
                self._db.execute(delete(table).where(table.c.id.in_(self._rows[table])))
