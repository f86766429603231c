"""Stories in a period: what is counted of each, who was first, we or the press, and what the page says of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database import Database
from house import House
from models import Author, CaseStatus, Mention, SharedAnswer, SharedAnswerPart, Story, Team, TeamMember, Then
from reports.figures import Asked
from reports.stories import Stories, Told, stories
from tests.conftest import FakeClock
from tests.factories import MORNING, case_of, said, take, user
from triage import answering, cases, storyteller
from web import create_app, report_stories
from web.access import look_as

DAY = Asked(date(2026, 11, 24), date(2026, 11, 25))
PAPER = "https://www.svt.se/nyheter/plogen"
Browser = Callable[[str | None], FlaskClient]


def told(db: Session, *numbers: int) -> Story:
    """These cases are one story."""
    story = storyteller.begin(db, MORNING)
    storyteller.assign(db, numbers, story.id, actor="t", at=MORNING)
    storyteller.count(db, story)
    return story


def come(db: Session, id: str, minutes: float, **more: Any) -> int:
    take(db, said(id, id, minutes=minutes, **more), at=MORNING + timedelta(minutes=minutes))
    number = case_of(db, id)
    assert number is not None
    return number


def paper(db: Session, id: str, minutes: float, url: str = PAPER, **more: Any) -> int:
    mention = said(id, id, minutes=minutes, **more)
    take(db, type(mention)(**{**vars(mention), "url": url}))
    number = case_of(db, id)
    assert number is not None
    return number


def answer(db: Session, number: int, minutes: float, body: str = "Vi plogar nu.", *, private: bool = False) -> int:
    """An answer that is out."""
    at = MORNING + timedelta(minutes=minutes)
    mention = db.scalars(select(Mention.id).where(Mention.case_id == number).limit(1)).one()
    reply = answering.reply(
        db, number, body=body, to_mention_id=mention, user=user(db), then=Then.resolve, private=private,
        hold=timedelta(), idempotency_key=None, account_id=None, at=at,
    )  # fmt: skip
    answering.reply_called(db, reply.id, worker="w", at=at)
    answering.reply_sent(db, reply.id, external_id=f"r{reply.id}", url=None, sent_at=at, actor="outbox", at=at)
    return reply.id


def told_in(database: Database, asked: Asked = DAY) -> Stories:
    with database.read() as db:
        return stories(db, asked)


def only(database: Database) -> Told:
    (found,) = told_in(database).told
    return found


def test_what_is_counted_of_a_story(database: Database) -> None:
    with database.transaction() as db:
        one, other, spam = come(db, "a", 0), come(db, "b", 10), come(db, "c", 20)
        take(db, said("d", "a", to="a", minutes=30))
        db.execute(update(Author).where(Author.name.in_(("A", "B"))).values(followers=50))
        told(db, one, other, spam)
        cases.change_status(db, spam, target=CaseStatus.ignored, actor="t", at=MORNING)
        answer(db, other, 25)
    found = only(database)
    assert (found.mentions, found.authors, found.reach) == (4, 3, 100), "each author's followers once"
    assert (found.cases, found.answered, found.answered_share) == (2, 1, 0.5), "what was ignored waits for no answer"
    assert found.answer is not None
    assert (found.answer.case, found.answer.at) == (other, MORNING + timedelta(minutes=25))
    assert found.press is None and found.head_start is None and not found.for_all


def test_a_story_in_which_every_case_was_ignored_is_none(database: Database) -> None:
    with database.transaction() as db:
        numbers = come(db, "a", 0), come(db, "b", 10)
        told(db, *numbers)
        cases.change_status(db, numbers[0], target=CaseStatus.ignored, actor="t", at=MORNING)
    assert only(database).cases == 1
    with database.transaction() as db:
        cases.change_status(db, numbers[1], target=CaseStatus.ignored, actor="t", at=MORNING)
    assert told_in(database).told == ()


@pytest.mark.parametrize(("answered", "head_start"), [(20, 40), (60, 0), (90, -30)])
def test_the_head_start_is_from_our_first_answer_to_the_first_article(
    database: Database, answered: int, head_start: int
) -> None:
    with database.transaction() as db:
        one, other = come(db, "a", 0), come(db, "b", 5)
        told(db, one, other, paper(db, "late", 200), paper(db, "first", 60))
        answer(db, one, 300)
        answer(db, other, answered)
    found = told_in(database)
    (story,) = found.told
    assert story.head_start == timedelta(minutes=head_start)
    assert story.press is not None and story.press.name == "SVT"
    assert (found.in_the_press, found.first, found.after, found.silent) == (1, head_start > 0, head_start <= 0, 0)


def test_only_an_article_of_a_newspaper_is_press(database: Database) -> None:
    with database.transaction() as db:
        told(
            db,
            come(db, "a", 0, text=f"read {PAPER}"),
            paper(db, "blog", 5, "https://svt.se.example/nyheter"),
            paper(db, "comment", 10, PAPER + "#c1", to="x", thread="x"),
            paper(db, "none", 15, "https://plogsvt.se/"),
        )
    assert only(database).press is None


def test_a_private_answer_is_no_public_one(database: Database) -> None:
    with database.transaction() as db:
        one = come(db, "a", 0)
        told(db, one, come(db, "b", 5), paper(db, "p", 60))
        answer(db, one, 20, private=True)
    found = told_in(database)
    assert found.told[0].answer is None and (found.in_the_press, found.silent) == (1, 1)


def test_a_story_is_in_each_period_in_which_it_was_told(database: Database) -> None:
    with database.transaction() as db:
        told(db, come(db, "a", 0), come(db, "b", 2 * 24 * 60))
    during = [bool(told_in(database, Asked(day, day + timedelta(1))).told) for day in map(november, range(23, 28))]
    assert during == [False, True, False, True, False]


def november(day: int) -> date:
    return date(2026, 11, day)


def test_a_filter_leaves_the_stories_with_such_a_case(database: Database) -> None:
    with database.transaction() as db:
        told(db, come(db, "a", 0), come(db, "b", 1))
        take(db, said("c", "c", minutes=2), channel="other")
        told(db, come(db, "d", 3), case_of(db, "c") or 0)
    assert len(told_in(database).told) == 2
    narrowed = told_in(database, Asked(DAY.start, DAY.end, channel=("other",)))
    assert [each.cases for each in narrowed.told] == [2], "its figures are of the whole story"


def test_the_sums_are_those_of_the_list(database: Database) -> None:
    with database.transaction() as db:
        for n in range(3):
            told(db, come(db, f"a{n}", n), come(db, f"b{n}", n), come(db, f"c{n}", n))
    found = told_in(database)
    assert [each.mentions for each in found.told] == [3, 3, 3]
    assert (found.sum_of("mentions"), found.sum_of("cases")) == (9, 9)


def test_one_answer_for_all_is_said_once_it_went_out(database: Database) -> None:
    with database.transaction() as db:
        one = come(db, "a", 0)
        story = told(db, one, come(db, "b", 1))
        sent = SharedAnswer(story_id=story.id, user_id=user(db).id, key="k", texts={}, then="keep", created_at=MORNING)
        db.add(sent)
        db.flush()
        part = SharedAnswerPart(shared_answer_id=sent.id, case_id=one, body="x", version=1)
        db.add(part)
    assert not only(database).for_all, "nothing has been sent yet"
    with database.transaction() as db:
        reply = answer(db, one, 9)
        db.scalars(select(SharedAnswerPart)).one().reply_id = reply
    assert only(database).for_all


def test_what_is_not_seen_is_not_counted(storby: House) -> None:
    create_app(storby)  # which puts up the guard
    with storby.database.transaction() as db:
        team = Team(name="Skydd", members_only=True, members=[TeamMember(email="eva@storby.example")])
        db.add(team)
        db.flush()
        one, other = come(db, "a", 0), come(db, "b", 1)
        cases.assign_team(db, one, team=team, actor="t", at=MORNING)
        story, theirs = told(db, one, other, paper(db, "p", 60)).id, told(db, come(db, "c", 2)).id
        cases.assign_team(db, case_of(db, "c") or 0, team=team, actor="t", at=MORNING)
        answer(db, one, 20)
        hidden = frozenset({team.id})
    with storby.database.read() as db:
        look_as(db, hidden)
        seen = {each.id: each for each in stories(db, DAY).told}
    assert theirs not in seen, "a story that is nowhere but in cases of a team that keeps to itself"
    assert (seen[story].cases, seen[story].mentions, seen[story].answer) == (2, 2, None)


# -- on screen --------------------------------------------------------------------------------------------------------


@pytest.mark.screens
@pytest.mark.one_database
def test_the_page_says_who_was_first_and_by_which_rule(browser: Browser, storby: House, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        one = come(db, "a", 0)
        story = told(db, one, come(db, "b", 5), paper(db, "p", 60)).id
        other = told(db, come(db, "c", 7), paper(db, "q", 10, "https://www.dn.se/plog")).id
        answer(db, one, 20)
    clock.forward(hours=9)
    client = browser("anna@storby.example")
    page = client.get("/reports/stories").get_data(as_text=True)
    assert "40 mins before the press" in page and "SVT" in page
    assert "not answered" in page and "Dagens Nyheter" in page
    figures = re.findall(r"<dt>([^<]+)</dt><dd>(?:<a[^>]+>)?(\d+)", page)
    assert dict(figures) | {
        "Of these in the press": "2", "We had answered before": "1", "The press was first": "0",
        "In the press, not answered": "1",
    } == dict(figures)  # fmt: skip
    assert f"/?story={story}&amp;status=new" in page and "status=ignored" not in page
    assert "known to Gensvar, by its own address" in page, "the rule stands on the page"
    behind = client.get(f"/reports/stories/answered?story={story}").get_data(as_text=True)
    assert f'href="/cases/{one}"' in behind and behind.count("<time") == 1
    assert client.get(f"/reports/stories/answered?story={other}").status_code == 200
    assert client.get("/reports/stories/answered?story=999").status_code == 404
    named = re.findall(r"<dd><a href=.([^\"]+only=[^\"]+)#told.>(\d+)</a></dd>", page)
    assert [n for _, n in named] == ["2", "1", "1"], "each number of stories leads to those stories"
    for address, n in named:
        assert client.get(unescape(address)).get_data(as_text=True).count('<th scope="row"><a') == int(n), address
    total = page[page.index("<tfoot>") :]
    for address, n in re.findall(r"<a href=.(/reports/stories/[^\"]+).>(\d+)</a>", total):
        assert client.get(unescape(address)).get_data(as_text=True).count('<li><a href="/cases/') == int(n), address
    assert [n for _, n in re.findall(r"(/reports/stories/\w+)[^>]*>(\d+)</a>", total)] == ["5", "1"]
    assert client.get("/reports/stories?only=nothing").status_code == 422
    assert client.get("/reports/stories?from=never").status_code == 422


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (130, "2 hrs 10 mins before the press"),
        (-40, "40 mins after the press"),
        (0, "at the same time as the press"),
        (3 * 24 * 60, "3 days before the press"),
    ],
)
@pytest.mark.screens
def test_the_head_start_in_words(minutes: int, words: str) -> None:
    assert report_stories.apart(timedelta(minutes=minutes)) == words


@pytest.mark.screens
@pytest.mark.one_database
def test_more_stories_than_a_page_holds_are_summed_up_on_each(
    browser: Browser, storby: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_stories, "PAGE", 2)
    with storby.database.transaction() as db:
        for n in range(3):
            told(db, come(db, f"a{n}", n), come(db, f"b{n}", n))
    clock.forward(hours=9)
    client = browser("anna@storby.example")
    first = client.get("/reports/stories").get_data(as_text=True)
    assert first.count('<th scope="row"><a') == 2 and "3 stories" in first and '<td class="n">6</td>' in first
    following = re.findall(r'rel="next" href="([^"]+)"', first)[0].replace("&amp;", "&")
    assert client.get(following).get_data(as_text=True).count('<th scope="row"><a') == 1
