"""The index of search follows whatever is stored, changed, moved or deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from database import Database
from models import Author, Case, Mention, Note, Reply, SearchText, User
from triage import index
from web.queries import CaseFilter, find_cases

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture
def said(database: Database) -> Database:
    """Case 1 with a mention, an answer and a note; case 2 with nothing in it."""
    with database.transaction() as db:
        times = {"opened_at": AT, "seen_at": AT, "last_activity_at": AT}
        db.add_all([Case(id=n, channel="api", subject="-", status="new", **times) for n in (1, 2)])
        author = Author(channel="api", external_id="a", name="Åsa Öberg", handle="@asa", first_seen_at=AT)
        mention = Mention(
            channel="api",
            external_id="1",
            case_id=1,
            text="SNÖRÖJNINGEN",
            author=author,
            published_at=AT,
            collected_at=AT,
        )
        user = User(email="e@storby.example", name="Eva", role="agent", created_at=AT)
        db.add_all([mention, user])
        db.flush()
        db.add(Reply(case_id=1, channel="api", body="Plogbilen kommer", status="sent", created_at=AT))
        db.add(Note(case_id=1, user_id=user.id, body="Ring entreprenören", created_at=AT))
    return database


def found(database: Database, q: str) -> list[int]:
    with database.read() as db:
        return [case.id for case in find_cases(db, CaseFilter(q=q)).cases]


@pytest.mark.parametrize("q", ["röjning", "SNÖ", "plogbil", "entreprenör", "åsa", "öber", "author:asa", '"åsa öberg"'])
def test_everything_said_in_a_case_is_found(said: Database, q: str) -> None:
    assert found(said, q) == [1]


@pytest.mark.parametrize("q", ["sno", "asas", "oberg", '"röjning"', "röjning*", "#snöröjningen", "author:ring"])
def test_letters_are_letters_and_quotes_are_words(said: Database, q: str) -> None:
    assert found(said, q) == []


def test_what_is_edited_is_found_by_its_new_words_alone(said: Database) -> None:
    with said.transaction() as db:
        db.scalars(select(Mention)).one().text = "Halkbekämpning"
        db.scalars(select(Author)).one().name = "Berit"
    assert (found(said, "halk"), found(said, "berit"), found(said, "röjning"), found(said, "öberg")) == (
        [1],
        [1],
        [],
        [],
    )


def test_what_moves_to_another_case_is_found_there(said: Database) -> None:
    with said.transaction() as db:
        for table in (Mention, Reply, Note):
            db.execute(update(table).values(case_id=2))
    for q in ("röjning", "plogbil", "entreprenör", "åsa"):
        assert found(said, q) == [2], q


CHANGES: dict[str, Callable[[Session], object]] = {
    "deleted": lambda db: db.delete(db.scalars(select(Mention)).one()),
    "emptied": lambda db: setattr(db.scalars(select(Mention)).one(), "text", ""),
    "emptied past the session": lambda db: db.execute(update(Mention).values(text="")),
    "deleted past the session": lambda db: db.execute(text("DELETE FROM mentions")),
}


@pytest.mark.parametrize("how", CHANGES)
def test_nothing_is_left_of_what_is_erased(said: Database, how: str) -> None:
    with said.transaction() as db:
        CHANGES[how](db)
    assert found(said, "röjning") == []
    with said.read() as db:
        assert not [each for each in db.scalars(select(SearchText.text)) if "snö" in each]
        assert index.entries_with(db, ["snöröj"], 10) == []
        if said.sqlite:
            assert not db.execute(text("""SELECT rowid FROM search_index WHERE search_index MATCH '"snö"'""")).all()


def test_what_was_changed_past_the_session_is_caught_up_with(said: Database) -> None:
    with said.transaction() as db:
        db.execute(update(Mention).values(text="Halt på torget"))
        assert index.missing(db) == 1
    assert index.catch_up(said) == 1
    assert index.catch_up(said) == 0
    assert found(said, "torg") == [1]


def test_the_address_and_links_are_no_words_of_the_text(said: Database) -> None:
    with said.transaction() as db:
        mention = db.scalars(select(Mention)).one()
        mention.url, mention.html = "https://www.storby.se/x", '<a href="https://nt.se/felanm%C3%A4lan">'
    assert (found(said, "storby"), found(said, "felanmälan")) == ([], [])
    assert (found(said, "site:storby.se"), found(said, "link:felanmälan")) == ([1], [1])


@pytest.mark.slow
def test_a_migration_fills_it_with_what_was_there(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/old.db")
    database.migrate("0003")
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO authors (id, channel, external_id, name, first_seen_at, languages) "
                "VALUES (1, 'api', 'a', 'Åsa', '2026-01-01', '{}')"
            )
        )
        for n in range(1, 2 * index.AT_ONCE + 2):
            connection.execute(
                text(
                    "INSERT INTO mentions (id, channel, external_id, author_id, ours, context, repost, text, "
                    "published_at, collected_at, can_reply, can_reply_privately, reply_address, attachments, imported) "
                    f"VALUES ({n}, 'api', '{n}', 1, false, false, false, 'SNÖ', '2026-01-01', '2026-01-01', false, "
                    "false, '{}', :links, false)"
                ),
                {"links": json.dumps([{"url": "https://nt.se/å"}])},
            )
    database.migrate()
    with database.read() as db:
        assert index.missing(db) == 0
        assert len(index.entries_with(db, ["snö"], 100_000) or ()) == 2 * index.AT_ONCE + 1
    database.close()
