"""Search finds what the watch grammar says, on both databases alike."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from database import Database
from errors import InvalidInput
from models import Author, Case, CaseTag, Draft, Mention, Note, Read, Team, User
from tests import slow_watch
from triage import subject, watch
from triage.subject import Text
from web.operators import NOBODY, Asker
from web.queries import CaseFilter, MentionFilter, Sort, cases_among, find_cases, find_mentions
from web.search import MAX_LENGTH, MAX_TERMS, ask

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
    "привет", "post", "a_b", "x", "12:30", "https://www.nt.se/",
    "lang:sv", "lang:no", "NOT lang:sv", "lang:und", "author:anna", "author:ÖBERG*", 'author:"anna öberg"',
    "author:@anna.o", "author:anna.o", "author:ann*", "author:a", "NOT author:anna", "author:snö", "site:storby.se",
    "site:blogg.storby.se", "site:se", "site:by.se", "site:malmö.example", "NOT site:storby.se", "link:nt.se",
    "link:t.se", "link:nyheter/snökaos", "link:snö*", "link:felanmälan", "link:bild.example", "NOT link:nt.se",
    "followers>1000", "followers>=1200", "followers<1200", "NOT followers>0", "~snö", "~ligga", "~vägar",
    "~snöröjning", "~gata", "~svara NEAR/3 e-post", "NOT ~snö", "#~snö", "~skola",
    "(lang:sv OR followers>5) ~snö NOT site:se", "~haus", "lang:de ~haus",
]  # fmt: skip
NUMBERS = itertools.count()
LANGUAGES = ["sv", "sv", "sv", "da", "und", "nb", "sv", None, "en", "und"]
PEOPLE = [("anna", "Anna Öberg", "@Anna.O", 1200), ("bo", "SNÖ-Bo Annas", "bo", 5), ("eva", "Eva", None, None)]
URLS = [
    "https://blogg.storby.se/2026/1", "http://www.STORBY.se:8080", None, "https://anna@storby.se?x", "https://by.se/storby.se",
    "https://xn--malm-8qa.example/a", "https://Malmö.example", "storby.se", "https://se.storby.example/se", "https://storby.se.",
]  # fmt: skip
LINKS: dict[int, dict[str, Any]] = {
    1: {"text": "SNÖRÖJNINGEN, tack. Ingen #snö här https://www.nt.se/nyheter/sn%C3%B6kaos?utm=1 12:30"},
    2: {"html": '<p><a href="https://nt.se/felanm%C3%A4lan?a=1&amp;b=2">nt</a>'},
    4: {"attachments": [{"type": "link", "url": "https://bild.example/snö.jpg"}, {"type": "photo", "url": None}]},
    5: {"html": "<p>nt.se och snö, ingen adress</p>"},
    7: {"title": "Die Häuser"},
}


def holds(node: watch.Node, text: Text) -> bool:
    """The slow obvious way. Words are looked for in what is said, and in who says it."""
    match node:
        case watch.And(parts):
            return all(holds(part, text) for part in parts)
        case watch.Or(parts):
            return any(holds(part, text) for part in parts)
        case watch.Not(what):
            return not holds(what, text)
        case watch.Term() | watch.Near():
            return node.matches(text) or node.matches(Text.of(text.name, text.handle))
        case _:
            return node.matches(text)


def test_it_finds_what_the_grammar_finds(texts: Database) -> None:
    wrong = []
    with texts.read() as db:
        told = [subject.of(mention, mention.language) for mention in db.scalars(select(Mention).order_by(Mention.id))]
        for query in QUERIES:
            expected = {number for number, text in enumerate(told) if holds(watch.parse_search(query), text)}
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


@pytest.mark.parametrize(
    "q",
    [
        "(snö",
        '"snö',
        "AND",
        "- snö",
        "*",
        "x" * 201,
        "ord " * 17,
        "status:nw",
        "is:",
        "kind:fish",
        "after:tomorrow",
        "before:2026-13",
        "story:x",
        "snö OR colour:red",
        "has:fun",
    ],
)
def test_what_cannot_be_read_or_is_too_much_says_so_for_the_field(texts: Database, q: str) -> None:
    with texts.read() as db, pytest.raises(InvalidInput) as refused:
        ask(db, Case, q, NOBODY)
    assert set(refused.value.fields) == {"q"}


SNOW = {0, 1, 2, 4, 5, 7}  # in the text, or in the name of Bo
OPERATED: dict[str, set[int]] = {  # against the ten cases of ``texts``, as ``operated`` changes them
    "status:new": {0, 3, 4, 5, 6, 7, 8, 9}, "-status:new": {1, 2}, "status:resolved OR is:flagged": {2, 4},
    "assignee:me": {3}, "assignee:anna": {3}, "assignee:anna@storby.example": {3}, "assignee:bo": set(),
    "team:gata": {4}, 'team:"GATA"': {4}, "tag:Snö": {5}, "tag:none -tag:snö": {0, 1, 2, 3, 4, 6, 7, 8, 9},
    "category:Vägar": {6}, "kind:problem": {7}, "kind:none": {0, 1, 2, 3, 4, 5, 6, 8, 9}, "priority:urgent": {8},
    "sentiment:negative": {9}, "is:late": {0}, "-is:late is:flagged": {4}, "is:unread": {0, 1, 2, 3, 4, 5, 6, 7, 8},
    "is:snoozed": {1}, "has:note": {2}, "has:draft": {3}, "has:reply": {5}, "story:none": set(range(10)),
    "after:2026-11-24": {0, 1, 2, 3, 4, 5, 6, 8, 9}, "before:2026-11-24": {7}, "before:2026-11": set(),
    "after:2027": set(),
    "channel:api": set(range(10)), "source:källan": set(), "has:picture": {4}, "language:sv snö": {0, 1, 2},
    "snö (status:new OR is:snoozed)": {0, 1, 4, 5, 7},
    "snö -(status:new OR status:open)": {2}, "snö OR is:late": SNOW,
    "NOT (snö OR status:new)": set(), "status:pending snö": set(), "röjning": {1}, "snö NOT röjning": SNOW - {1},
    "assignee:none röjning": {1}, '"röjning"': set(), "is": {2, 5}, "author:bo röjning": {1}, "anteckning": {2},
}  # fmt: skip


def test_operators_narrow_what_words_find(operated: Database) -> None:
    wrong = []
    with operated.read() as db:
        asker = Asker(db.scalar(select(User).where(User.name == "Anna")), AT, ZoneInfo("Europe/Stockholm"))
        for query, expected in OPERATED.items():
            wanted = CaseFilter(q=query, asker=asker)
            pages = find_cases(db, wanted, most=1000), find_cases(db, wanted)
            found = [{int(case.subject.split("-")[1]) for case in page.cases} for page in pages]
            ids = db.scalars(select(Case.id)).all()
            among = len(cases_among(db, ids, wanted))
            totals = {pages[0].total, pages[1].total, among}
            if found != [expected, expected] or totals != {len(expected)}:
                wrong.append((query, expected, found, totals))
    assert not wrong


def test_common_words_are_paged_through_in_order(operated: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same whether the index names the cases or the list is walked through, and however it is cut."""
    for few in (10_000, 0):
        monkeypatch.setattr("web.search.FEW", few)
        with operated.read() as db:
            whole = [case.id for case in find_cases(db, CaseFilter(q="snö OR är OR och OR is")).cases]
            for sort in Sort:
                cursor, seen = None, []
                while True:
                    page = find_cases(db, CaseFilter(q="snö OR är OR och OR is"), sort=sort, limit=2, cursor=cursor)
                    seen += [case.id for case in page.cases]
                    assert page.total == len(whole)
                    if (cursor := page.next_cursor) is None:
                        break
                assert sorted(seen) == sorted(whole), (few, sort)
                assert len(set(seen)) == len(seen)
                assert seen == whole or sort is not Sort.newest


def test_a_long_search_is_broken_off_and_goes_on(operated: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.search.FEW", 0)
    monkeypatch.setattr("web.queries.AT_FIRST", 2)
    monkeypatch.setattr("web.queries.AT_MOST", 2)
    monkeypatch.setattr("web.queries.LOOKED_AT", 4)
    with operated.read() as db:
        first = find_cases(db, CaseFilter(q="röjning"), most=100)
        assert first.next_cursor
        assert first.looked_until is not None
        cursor: str | None = first.next_cursor
        seen = [case.id for case in first.cases]
        while cursor:
            page = find_cases(db, CaseFilter(q="röjning"), most=100, cursor=cursor)
            cursor, seen = page.next_cursor, seen + [case.id for case in page.cases]
        assert len(seen) == 1


def test_operators_find_mentions_by_their_case(operated: Database) -> None:
    with operated.read() as db:
        found = find_mentions(db, MentionFilter(q="snö -status:new")).mentions
    assert {each.external_id for each in found} == {"1", "2"}


@pytest.fixture
def operated(texts: Database) -> Database:
    with texts.transaction() as db:
        anna = User(email="anna@storby.example", name="Anna", role="agent", created_at=AT)
        team = Team(name="Gata")
        db.add_all([anna, team])
        db.flush()
        case = {int(each.subject.split("-")[1]): each for each in db.scalars(select(Case))}
        case[0].next_breach_at = AT - timedelta(minutes=1)
        case[1].status, case[1].follow_up_at = "open", AT + timedelta(days=1)
        case[2].status = "resolved"
        db.add(Note(case_id=case[2].id, user_id=anna.id, body="En ANTECKNING", created_at=AT))
        case[3].assignee_id = anna.id
        db.add(Draft(case_id=case[3].id, user_id=anna.id, kind="reply", body="Hej", case_version=0, updated_at=AT))
        case[4].team_id, case[4].flag = team.id, "reply_failed"
        db.add(CaseTag(case_id=case[5].id, tag="snö"))
        case[5].reply_count = 1
        case[6].category, case[7].kind, case[8].priority, case[9].sentiment = "vägar", "problem", "urgent", "negative"
        case[7].last_activity_at = datetime(2026, 11, 23, 22, 59, tzinfo=UTC)  # the evening before, in Stockholm
        db.add(Read(user_id=anna.id, case_id=case[9].id, at=AT))
        mention = db.scalars(select(Mention).where(Mention.external_id == "4")).one()
        mention.attachments = [{"type": "photo", "url": None}]
    return texts


def test_a_language_that_a_person_set_right_is_found(texts: Database) -> None:
    with texts.transaction() as db:
        case = db.scalars(select(Case).where(Case.subject == "subject-7")).one()
        case.language = "fi"
    with texts.read() as db:
        assert [found.id for found in find_cases(db, CaseFilter(q="lang:fi")).cases] == [case.id]


@pytest.mark.slow
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_it_finds_what_the_grammar_finds_whatever_is_asked_and_said(database: Database, data: st.DataObject) -> None:
    with database.transaction() as db:
        for told in data.draw(st.lists(slow_watch.told, min_size=10, max_size=10)):
            number = str(next(NUMBERS))
            handle, url = told.handle and f"@{told.handle.upper()}", told.host and f"http://www.{told.host}:80/x"
            author = Author(channel="api", external_id=number, name=told.name or "-", handle=handle, first_seen_at=AT)
            author.followers = told.followers
            text, title, *_ = (*told.parts, "", "")
            mention = Mention(
                channel="api", external_id=number, text=text, title=title, language=told.language, url=url
            )
            mention.author, mention.html = author, " ".join(f'<a href="{link}">' for link in told.links)
            mention.published_at = mention.collected_at = AT
            db.add(mention)
    with database.read() as db:
        said = {each.id: subject.of(each, each.language) for each in db.scalars(select(Mention))}
        short = slow_watch.asked.map(slow_watch.written).filter(lambda query: len(query) <= MAX_LENGTH)
        short = short.filter(lambda query: len(query.split()) <= MAX_TERMS)
        for query in data.draw(st.lists(short, min_size=10, max_size=10)):
            found = {each.id for each in find_mentions(db, MentionFilter(q=query), limit=200).mentions}
            assert found == {id for id, text in said.items() if holds(watch.parse_search(query), text)}, query


@pytest.fixture
def texts(database: Database) -> Database:
    with database.transaction() as db:
        for number, text in enumerate(TEXTS):
            case = Case(
                channel="api", subject=f"subject-{number}", status="new", opened_at=AT, seen_at=AT, last_activity_at=AT
            )
            id, name, handle, followers = PEOPLE[number % 3]
            author = db.scalar(select(Author).where(Author.external_id == id)) or Author(
                channel="api", external_id=id, name=name, handle=handle, followers=followers, first_seen_at=AT
            )
            db.add_all([case, author])
            db.flush()
            mention = _mention(case, str(number), text)
            mention.language, mention.author, mention.url = LANGUAGES[number], author if number else None, URLS[number]
            for field, value in LINKS.get(number, {}).items():
                setattr(mention, field, value)
            db.add(mention)
    return database


def _mention(case: Case, external_id: str, text: str) -> Mention:
    return Mention(channel="api", external_id=external_id, case_id=case.id, text=text, published_at=AT, collected_at=AT)
