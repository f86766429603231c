"""Search finds what the watch grammar says, on both databases alike."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from database import Database
from errors import InvalidInput
from models import Case, Mention
from triage import watch
from web.queries import CaseFilter, MentionFilter, find_cases, find_mentions
from web.search import found_in_case

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)

TEXTS = [
    "Snön ligger kvar på Ågatan!",
    "SNÖRÖJNINGEN, tack. Ingen #snö här",
    "snö\noch is på vägen till skolan",
    "Ære være bæsjeposene",
    "storby.se ligger nere igjen",
    "is och snö",
    "Vem svarar på e-post?",
    "Ingenting alls",
    "a_b 100 % c\\d [x] ^y$",
    "Привет из Стурбю",
]
QUERIES = [
    "snö", "SNÖ", "snö*", "#snö", "#SNÖ*", "ågatan", "ÆRE", "ære være", '"ære være"', "NOT snö", "snö AND is", "snö is",
    "snö OR nere", "snö AND NOT is", '"is på vägen"', '"is vägen"', "is NEAR/2 snö", "is NEAR/0 snö", "snö NEAR/1 is",
    "is NEAR/1 #snö", "ingen NEAR/0 #snö", "snö* NEAR/1 tack", "storby.se", "e-post", "(snö OR ære) NOT tack", "100",
    "привет", "post", "a_b", "x",
]  # fmt: skip


def test_it_finds_what_the_grammar_finds(texts: Database) -> None:
    wrong = []
    with texts.read() as db:
        for query in QUERIES:
            expected = {number for number, text in enumerate(TEXTS) if watch.matches(query, text)}
            mentions = {int(mention.external_id) for mention in find_mentions(db, MentionFilter(q=query)).mentions}
            cases = {int(case.subject.split("-")[1]) for case in find_cases(db, CaseFilter(q=query)).cases}
            if not mentions == cases == expected:
                wrong.append((query, expected, mentions, cases))
    assert not wrong


def test_a_number_finds_the_case_of_that_number(texts: Database) -> None:
    with texts.read() as db:
        number = db.scalar(select(Case.id).where(Case.subject == "subject-3"))
        for q in (str(number), f"#{number}", f"  {number} "):
            assert number in [case.id for case in find_cases(db, CaseFilter(q=q)).cases], q


def test_words_may_stand_in_different_mentions_of_one_case(texts: Database) -> None:
    with texts.transaction() as db:
        case = db.scalars(select(Case).where(Case.subject == "subject-7")).one()
        db.add(_mention(case, "later", "Zebra"))
    with texts.read() as db:
        assert [found.id for found in find_cases(db, CaseFilter(q="zebra ingenting")).cases] == [case.id]
        assert case.id not in [found.id for found in find_cases(db, CaseFilter(q="ingenting NOT zebra")).cases]


@pytest.mark.parametrize("q", ["(snö", '"snö', "AND", "-snö", "*", "x" * 201, "ord " * 17])
def test_what_cannot_be_read_or_is_too_much_says_so_for_the_field(q: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        found_in_case(q)
    assert set(refused.value.fields) == {"q"}


@pytest.fixture
def texts(database: Database) -> Database:
    with database.transaction() as db:
        for number, text in enumerate(TEXTS):
            case = Case(
                channel="api", subject=f"subject-{number}", status="new", opened_at=AT, seen_at=AT, last_activity_at=AT
            )
            db.add(case)
            db.flush()
            db.add(_mention(case, str(number), text))
    return database


def _mention(case: Case, external_id: str, text: str) -> Mention:
    return Mention(channel="api", external_id=external_id, case_id=case.id, text=text, published_at=AT, collected_at=AT)
