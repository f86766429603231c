"""People: authors joined and parted by hand, what is taken back, who else it may be; and the page of a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from collectors.base import AuthorData
from database import Database
from errors import InvalidInput, NotFoundError, StaleCase
from house import House
from models import AuditEntry, Author, Case, Mention, Person, PersonNote, Team, User
from tests import screens
from tests.conftest import FakeClock
from tests.factories import MORNING, statements, user
from triage import people

if TYPE_CHECKING:
    from flask.testing import FlaskClient

Open = Callable[..., "FlaskClient"]


_numbers = count(1)


def author(db: Session, name: str, channel: str = "net", **more: str | None) -> int:
    made = Author(channel=channel, external_id=str(next(_numbers)), name=name, first_seen_at=MORNING, **more)
    db.add(made)
    db.flush()
    return made.id


def groups(db: Session) -> set[frozenset[int]]:
    """Who is one with whom, read from the tables themselves; nobody alone has a person, no person is nobody."""
    found: dict[str, set[int]] = {}
    for each in db.scalars(select(Author)):
        found.setdefault(f"person {each.person_id}" if each.person_id else f"author {each.id}", set()).add(each.id)
    assert all(len(group) > 1 for name, group in found.items() if name.startswith("person"))
    assert db.scalar(select(func.count()).select_from(Person)) == sum(name.startswith("person") for name in found)
    return {frozenset(group) for group in found.values()}


# -- joining ----------------------------------------------------------------------------------------------------------


def test_who_is_joined_is_one_with_all_the_other_was_one_with(database: Database) -> None:
    with database.transaction() as db:
        one, two, three, four = (author(db, name) for name in "abcd")
        people.join(db, one, two, MORNING)
        people.join(db, four, three, MORNING)
        assert groups(db) == {frozenset({one, two}), frozenset({three, four})}
        done = people.join(db, four, one, MORNING)
        assert groups(db) == {frozenset({one, two, three, four})}
        assert [each.id for each in people.authors_of(db, three)] == [one, two, three, four]
        people.take_back(db, done, MORNING)
        assert groups(db) == {frozenset({one, two}), frozenset({three, four})}


def test_of_two_one_who_is_somebody_else_leaves_nobody_joined(database: Database) -> None:
    with database.transaction() as db:
        one, two = author(db, "a"), author(db, "b")
        people.join(db, one, two, MORNING)
        done = people.part(db, one, MORNING)
        assert groups(db) == {frozenset({one}), frozenset({two})}
        people.take_back(db, done, MORNING)
        assert groups(db) == {frozenset({one, two})}


def test_what_others_have_changed_since_is_not_taken_back(database: Database) -> None:
    with database.transaction() as db:
        one, two, three = (author(db, name) for name in "abc")
        done = people.join(db, one, two, MORNING)
        people.join(db, two, three, MORNING)
        with pytest.raises(StaleCase):
            people.take_back(db, done, MORNING)
        assert groups(db) == {frozenset({one, two, three})}


def test_what_cannot_be_joined_or_parted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.transaction() as db:
        one, two = author(db, "a"), author(db, "b")
        with pytest.raises(InvalidInput):
            people.join(db, one, one, MORNING)
        with pytest.raises(InvalidInput):
            people.part(db, one, MORNING)
        for number in (two + 1, 2**70):
            with pytest.raises(NotFoundError):
                people.join(db, one, number, MORNING)
        monkeypatch.setattr(people, "MOST_JOINED", 1)
        with pytest.raises(InvalidInput):
            people.join(db, one, two, MORNING)
        assert groups(db) == {frozenset({one}), frozenset({two})}


moves = st.lists(
    st.tuples(st.sampled_from(["join", "part", "back"]), st.integers(0, 4), st.integers(0, 4)), max_size=12
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_whatever_is_done_the_tables_say_what_a_plain_partition_says(
    sqlite_opened: Database, given_moves: list[tuple[str, int, int]]
) -> None:
    with sqlite_opened.transaction() as db:
        db.execute(delete(Author))
        db.execute(delete(Person))
        ids = [author(db, f"author {n}") for n in range(5)]
        plain = {frozenset({id}) for id in ids}
        last: tuple[people.Regrouped, set[frozenset[int]]] | None = None
        for what, first, second in given_moves:
            one, other = (next(group for group in plain if ids[n] in group) for n in (first, second))
            before = set(plain)
            if what == "join" and one != other:
                last = (people.join(db, ids[first], ids[second], MORNING), before)
                plain = plain - {one, other} | {one | other}
            elif what == "part" and len(one) > 1:
                last = (people.part(db, ids[first], MORNING), before)
                plain = plain - {one} | {frozenset({ids[first]}), one - {ids[first]}}
            elif what == "back" and last is not None:
                people.take_back(db, last[0], MORNING)
                plain, last = last[1], None
            assert groups(db) == plain


@pytest.fixture
def sqlite_opened(sqlite_template: object, tmp_path: object) -> Database:
    import shutil
    from pathlib import Path

    path = Path(str(tmp_path)) / "people.db"
    shutil.copyfile(str(sqlite_template), path)
    return Database(f"sqlite:///{path}")


# -- who else it may be -----------------------------------------------------------------------------------------------


def test_only_what_is_equal_is_suggested(database: Database) -> None:
    with database.transaction() as db:
        me = author(db, "Karin Öst", handle="karin", url="https://karin.example/")
        same_name = author(db, "Karin Öst", "other")
        same_handle = author(db, "K", "other", handle="karin")
        same_url = author(db, "Kö", "other", url="https://karin.example/")
        author(db, "Karin Östberg", "other", handle="karin2", url="https://karin.example/2")
        author(db, "nobody", "other", handle=None, url=None)
        one = people.authors_of(db, me)
        assert [each.id for each in people.alike(db, one)] == [same_name, same_handle, same_url]
        people.join(db, me, same_name, MORNING)
        assert [each.id for each in people.alike(db, people.authors_of(db, me))] == [same_handle, same_url]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ÅSA", ["Åsa Ärlig"]),
        ("ärlig åsa", ["Åsa Ärlig"]),
        ("@snöplog", ["Per"]),
        ("per", ["Per", "Jesper"]),
        ("https://per.example/", ["Per"]),
        ("pe", []),
        ("50%", []),
        ("asa", []),
        ("", []),
    ],
)
def test_others_are_found_by_parts_of_name_and_handle(database: Database, text: str, found: list[str]) -> None:
    with database.transaction() as db:
        me = author(db, "Åsa Själv", handle="asa-sjalv-ej")
        author(db, "Åsa Ärlig")
        author(db, "Per", handle="snöplog", url="https://per.example/")
        author(db, "Jesper")
        db.execute(update(Author).where(Author.id == me).values(name="Jag", handle="jag"))
    with database.read() as db:
        assert [each.name for each in people.find(db, text, people.authors_of(db, me))] == found


def test_a_name_of_any_length_can_be_kept_and_compared(database: Database) -> None:
    with database.transaction() as db:
        name = "".join(chr(0x4E00 + n % 20_000) for n in range(9_000))
        me, other = author(db, name), author(db, name, "other")
        assert [each.id for each in people.alike(db, people.authors_of(db, me))] == [other]


# -- notes ------------------------------------------------------------------------------------------------------------


def test_notes_are_about_all_a_person_writes_as(database: Database) -> None:
    with database.transaction() as db:
        one, two = author(db, "a"), author(db, "b")
        eva = user(db, "eva")
        people.write_note(db, one, " Ring efter 17 ", eva, MORNING)
        people.write_note(db, two, "Hör illa", eva, MORNING + timedelta(hours=1))
        people.join(db, one, two, MORNING)
        kept = people.notes(db, people.authors_of(db, two))
        assert [(note.body, note.user.name if note.user else None) for note in kept] == [
            ("Hör illa", "Eva"),
            ("Ring efter 17", "Eva"),
        ]
        for wrong in ("", "  \n", "x" * (people.MAX_NOTE + 1)):
            with pytest.raises(InvalidInput):
                people.write_note(db, one, wrong, eva, MORNING)


# -- the page ---------------------------------------------------------------------------------------------------------


def text_of(response: object) -> str:
    return str(response.get_data(as_text=True))  # type: ignore[attr-defined]


def author_of(house: House, external_id: str) -> int:
    with house.database.read() as db:
        found = db.scalar(select(Mention.author_id).where(Mention.external_id == external_id))
        assert found is not None
        return found


@pytest.fixture
def two(storby: House, clock: FakeClock) -> tuple[int, int]:
    """Citizen 1 of the network, who writes as Karin on her blog."""
    return author_of(storby, "1001"), author_of(storby, "https://medborgare.example/2026/11/sno")


@pytest.mark.screens
def test_joined_authors_share_one_page(storby: House, browser: Open, two: tuple[int, int]) -> None:
    here, (one, other) = browser(), two
    assert "Karin på kanten" in text_of(here.get(f"/people/{one}?find=kanten"))
    said = here.post(f"/people/{one}/join", data={"other": other}, follow_redirects=True)
    page = text_of(said)
    assert "Citizen 1 and Karin på kanten are one person now." in page
    assert "Not the same person" in page
    assert "Vintern kom visst" in page
    assert "Plogen har inte varit" in page
    moved = here.get(f"/people/{max(two)}")
    assert (moved.status_code, moved.headers["Location"]) == (302, f"/people/{min(two)}")
    undo = re.search(r"/people/undo/\d+", page)
    assert undo is not None
    page = text_of(here.post(undo[0], follow_redirects=True))
    assert "It is as it was before." in page
    assert here.get(f"/people/{max(two)}").status_code == 200
    page = text_of(here.post(undo[0], follow_redirects=True))
    assert "It cannot be taken back" in page
    with storby.database.read() as db:
        done = db.execute(select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.id)).all()
        assert [tuple(each) for each in done] == [
            ("join", "anna@storby.example"),
            ("take_back", "anna@storby.example"),
        ]


@pytest.mark.screens
def test_a_second_click_joins_and_parts_nobody_twice(storby: House, browser: Open, two: tuple[int, int]) -> None:
    here, (one, other) = browser(), two
    for _ in range(2):
        assert here.post(f"/people/{one}/join", data={"other": other}).status_code == 303
    for _ in range(2):
        assert here.post(f"/people/{min(two)}/part", data={"author": max(two)}).status_code in (303, 400)
    with storby.database.read() as db:
        assert frozenset({one}) in groups(db)
    for wrong in ({}, {"other": "x"}):
        assert here.post(f"/people/{one}/join", data=wrong).status_code == 400
    assert here.post(f"/people/{one}/join", data={"other": 10**17}).status_code == 404
    assert here.get("/people/123456789").status_code == 404
    assert here.get(f"/people/{one}?before=yesterday").status_code == 400


@pytest.mark.screens
def test_undo_takes_back_nothing_but_this(storby: House, browser: Open, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        db.add(
            AuditEntry(at=clock(), actor="x", action="part", subject="team:Gata", changes={"authors": [["1"], ["1"]]})
        )
        db.add(AuditEntry(at=clock(), actor="x", action="take_back", subject="person:1", changes={}))
    assert [browser().post(f"/people/undo/{n}").status_code for n in (1, 2, 3)] == [404, 404, 404]


@pytest.mark.screens
def test_notes_are_removed_by_who_wrote_them_or_a_manager(
    storby: House, browser: Open, two: tuple[int, int], clock: FakeClock
) -> None:
    anna, one = browser(), two[0]
    assert anna.post(f"/people/{one}/notes", data={"body": "<b>Ring</b> efter 17"}).status_code == 303
    assert "&lt;b&gt;Ring&lt;/b&gt; efter 17" in text_of(anna.get(f"/people/{one}"))
    assert "Write something first" in text_of(anna.post(f"/people/{one}/notes", data={"body": " "}))
    with storby.database.transaction() as db:
        (note,) = db.scalars(select(PersonNote))
        note.user_id = db.scalars(select(User.id).where(User.email == "admin@storby.example")).one()
    remove = f"/people/{one}/notes/{note.id}/remove"
    assert "Remove the note" not in text_of(anna.get(f"/people/{one}"))
    assert anna.post(remove).status_code == 403
    assert browser("mats@storby.example").post(remove).status_code == 303
    assert browser("mats@storby.example").post(remove).status_code == 303, "a second click"
    with storby.database.read() as db:
        assert db.scalars(select(PersonNote)).all() == []
        told = db.scalars(select(AuditEntry).where(AuditEntry.action == "remove_note")).one()
        assert "Ring" not in f"{told.subject} {told.changes}", "what was removed is not kept elsewhere"


@pytest.mark.screens
def test_a_reader_reads_and_changes_nothing(storby: House, browser: Open, two: tuple[int, int]) -> None:
    with storby.database.transaction() as db:
        db.execute(update(User).where(User.email == "anna@storby.example").values(role="reader"))
    here = browser()
    page = text_of(here.get(f"/people/{two[0]}"))
    assert "Citizen 1" in page
    assert f"/people/{two[0]}/join" not in page
    assert "Keep the note" not in page
    for address, sent in (("join", {"other": two[1]}), ("part", {"author": two[0]}), ("notes", {"body": "x"})):
        assert here.post(f"/people/{two[0]}/{address}", data=sent).status_code == 403


@pytest.mark.screens
def test_cases_of_a_team_that_keeps_to_itself_are_not_shown(
    storby: House, browser: Open, two: tuple[int, int], clock: FakeClock
) -> None:
    number = screens.case_of(storby, "1001").id
    with storby.database.transaction() as db:
        db.add(Team(name="Socialtjänst", members_only=True))
        db.flush()
        team = db.scalars(select(Team.id)).one()
        db.execute(update(Case).where(Case.id == number).values(team_id=team))
    hidden = browser().get(f"/people/{two[0]}")  # who wrote nowhere else is nobody to somebody outside
    assert hidden.status_code == 404
    assert "Plogen" not in text_of(hidden)
    assert "Plogen" in text_of(browser("mats@storby.example").get(f"/people/{two[0]}"))


def many(house: House, at: datetime, number: int) -> list[int]:
    """Cases of one prolific citizen, a minute apart."""
    who = AuthorData("u1", "Citizen 1", "citizen1")
    said = [
        screens.mention(next(_numbers) + 500, f"Ärende nummer {n}.", at + timedelta(minutes=n), author=who)
        for n in range(number)
    ]
    return screens.collect(house, *said, at=at + timedelta(minutes=number))


@pytest.mark.screens
def test_all_cases_are_reached_page_by_page_each_once(
    storby: House, browser: Open, two: tuple[int, int], clock: FakeClock
) -> None:
    made = many(storby, clock(), 45)
    here, address, seen = browser(), f"/people/{two[0]}", []
    for _ in range(9):
        page = text_of(here.get(address))
        listed = page[page.index("cases-of") :]
        seen += [int(number) for number in re.findall(r'href="/cases/(\d+)"', listed)]
        onwards = re.search(r'rel="next" href="([^"]+)"', page)
        if onwards is None:
            break
        address = onwards[1].replace("&amp;", "&")
    assert seen == [*reversed(made), screens.case_of(storby, "1001").id]


@pytest.mark.screens
def test_beside_a_case_stand_the_earlier_ones_of_the_same_person(
    storby: House, browser: Open, two: tuple[int, int], clock: FakeClock
) -> None:
    made, here = many(storby, clock(), 5), browser()
    page = text_of(here.get(f"/cases/{made[-1]}"))
    assert "5 earlier cases" in page
    panel = page[page.index("The same person") :]
    assert re.findall(r"/cases/(\d+)", panel)[:3] == [str(number) for number in reversed(made[1:4])]
    here.post(f"/people/{two[0]}/join", data={"other": two[1]})
    assert "6 earlier cases" in text_of(here.get(f"/cases/{made[-1]}")), "those of the joined author too"
    here.post(f"/people/{two[1]}/notes", data={"body": "Ring efter 17"})
    assert "Ring efter 17" in text_of(here.get(f"/cases/{made[0]}"))
    assert "The same person" not in text_of(here.get(f"/cases/{screens.case_of(storby, '1003').id}"))


@pytest.mark.screens
def test_every_author_leads_to_their_page(storby: House, browser: Open, two: tuple[int, int]) -> None:
    page = text_of(browser().get(f"/cases/{screens.case_of(storby, '1001').id}"))
    thread, facts = page[page.index('id="thread"') :], page[page.index('id="facts"') :]
    assert f'href="/people/{two[0]}"' in thread
    assert f'href="/people/{author_of(storby, "1002")}"' in thread
    assert f'href="/people/{two[0]}"' in facts


@pytest.mark.screens
@pytest.mark.one_database
@pytest.mark.parametrize(("others", "words"), [(20, "20 found"), (21, "More than 20 found: write more of the name.")])
def test_a_name_that_very_many_bear_says_so(
    storby: House, browser: Open, two: tuple[int, int], others: int, words: str
) -> None:
    with storby.database.transaction() as db:
        for number in range(others):
            author(db, f"Snöröjare {number}")
    page = text_of(browser().get(f"/people/{two[0]}?find=snöröjare"))
    assert f"<p>{words}</p>" in page
    assert page.count('name="other"') == 20


@pytest.mark.screens
def test_however_much_somebody_writes_the_page_asks_as_often(
    storby: House, browser: Open, two: tuple[int, int], clock: FakeClock
) -> None:
    here = browser()

    def asks(address: str) -> int:
        with statements(storby.database) as asked:
            here.get(address)
        return len(asked)

    many(storby, clock(), 4)
    few = asks(f"/people/{two[0]}?find=citizen")
    many(storby, clock() + timedelta(hours=1), 30)
    assert asks(f"/people/{two[0]}?find=citizen") == few <= 20
