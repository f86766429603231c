"""History: read page by page beside the regular passes, and nobody is disturbed by it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import func, select

import cli
import imports
import pulls
from errors import InvalidInput, InvalidTransition
from house import House, declare
from models import (
    AuditEntry,
    Case,
    CaseEvent,
    CaseStatus,
    Import,
    ImportState,
    Mention,
    Notice,
    PendingReaction,
    Promise,
    Reply,
    ReplyOrigin,
    Source,
    Spending,
    Story,
    Team,
    Webhook,
)
from sandbox import blog, facebook
from sandbox.base import Fault, serving
from tests.conftest import config
from tests.factories import case_of, said, take, user
from tests.town import Town, town
from triage import reactions
from triage.states import replay

LONG_AGO = timedelta(days=40)


@pytest.fixture
def storby(make_house: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setattr("collectors.twitter.PAGE", 10)
    with town(make_house) as made:
        yield made


def asked(storby: Town, name: str = "mentions", **more: Any) -> int:
    given: dict[str, Any] = {"since": None, "keep_open": False, "user_id": None, "actor": "ada@storby.example"} | more
    with storby.house.database.transaction() as db:
        source = db.scalars(select(Source).where(Source.name == name)).one()
        return imports.ask(db, source, at=storby.at, **given).id


def through(storby: Town, number: int, pages: int = 100) -> Import:
    """Page after page, until it ends or has to wait."""
    for _ in range(pages):
        found = imports.turn(storby.house, number, now=storby.now)
        if found.state != ImportState.running:
            break
        storby.forward(seconds=imports.PACE.total_seconds())
    return found


def reacted(storby: Town) -> None:
    while reactions.react(storby.house.database, storby.at):
        pass


def count(storby: Town, table: Any, *where: Any) -> int:
    with storby.house.database.read() as db:
        return db.scalar(select(func.count()).select_from(table).where(*where)) or 0


def past(storby: Town, number: int, **ago: float) -> list[str]:
    """So many mentions of us, from long ago."""
    begin = storby.at - (timedelta(**ago) if ago else LONG_AGO)
    return [
        storby.network.write(f"Person {n % 3}", f"@storby När plogas gata {n}?", at=begin + timedelta(minutes=n))
        for n in range(number)
    ]


# -- what it brings, and whom it leaves alone -------------------------------------------------------------------------


def test_it_reads_backwards_page_by_page_and_counts(storby: Town) -> None:
    past(storby, 25)
    number = asked(storby)
    first = imports.turn(storby.house, number, now=storby.now)
    assert (first.state, first.read, first.new, first.known) == ("running", 10, 10, 0)
    assert imports.turn(storby.house, number, now=storby.now).read == 10, "the next page has its time"
    done = through(storby, number)
    assert (done.state, done.read, done.new, done.known, done.set_aside) == ("done", 25, 25, 0, 0)
    assert done.oldest_at is not None and storby.at - done.oldest_at > timedelta(days=39)
    assert done.finished_at is not None and done.resumes_at is None
    assert count(storby, Case, Case.imported, Case.status == CaseStatus.closed) == 25
    assert count(storby, Mention, ~Mention.imported) == 0


def test_what_is_older_than_asked_for_stays_away(storby: Town) -> None:
    past(storby, 5, days=300)
    past(storby, 7, days=20)
    assert through(storby, asked(storby, since=storby.at - timedelta(days=30))).new == 7


def test_the_sources_own_cursor_and_its_passes_do_not_notice(storby: Town) -> None:
    past(storby, 30)
    storby.network.write("Anna", "@storby hallå?")
    storby.collect()
    before = storby.source()
    number = asked(storby)
    done = through(storby, number)
    assert (done.new, done.known) == (30, 1)
    after = storby.source()
    assert (after.cursor, after.due_at, after.failures) == (before.cursor, before.due_at, before.failures)
    storby.network.write("Bo", "@storby och jag?")
    assert (storby.collect().new, storby.collect().new) == (1, 0)


def test_cases_start_no_clock_and_tell_nobody(storby: Town) -> None:
    with storby.house.database.transaction() as db:
        db.add(Team(name="Gata", routing="round_robin"))
        user(db)
    for n in range(12):  # an avalanche of the same words, as recent as history can be
        at = storby.at - timedelta(minutes=20 - n)
        storby.network.write(f"Person {n}", "@storby Bron över ån har rasat, akut fara, ring 112!", at=at)
    through(storby, asked(storby))
    reacted(storby)
    assert count(storby, Case) == 12
    assert count(storby, Case, Case.next_breach_at.is_not(None) | Case.sla_id.is_not(None)) == 0
    assert (count(storby, Notice), count(storby, Webhook), count(storby, Story), count(storby, Promise)) == (0, 0, 0, 0)
    assert count(storby, PendingReaction) == 0
    with storby.house.database.read() as db:
        case = db.scalars(select(Case)).first()
        assert case is not None and case.kind is not None and case.language == "sv", "filters and search find it"
        events = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id)).all()
        assert [event.action for event in events][:2] == ["opened", "imported"]
        assert replay((event.from_status, event.to_status) for event in events) == case.status == "closed"


def test_kept_open_they_wait_in_the_inbox_and_still_disturb_nobody(storby: Town) -> None:
    past(storby, 3)
    through(storby, asked(storby, keep_open=True))
    reacted(storby)
    assert count(storby, Case, Case.status == CaseStatus.new, Case.imported) == 3
    assert count(storby, Case, Case.next_breach_at.is_not(None)) == 0


def test_our_old_answers_become_replies_and_promise_nothing(storby: Town) -> None:
    at = storby.at - timedelta(days=3)
    asked_there = storby.network.write("Anna", "@storby när plogar ni?", at=at)
    ours = storby.network.write_as_us("Vi plogar på fredag.", in_reply_to=asked_there, at=at + timedelta(hours=1))
    storby.network.write("Anna", "@storby tack!", in_reply_to=ours, at=at + timedelta(hours=2))
    through(storby, asked(storby))
    reacted(storby)
    case = storby.case(asked_there)
    assert (count(storby, Case, Case.merged_into_id.is_(None)), case.mention_count, case.reply_count) == (1, 2, 1)
    assert case.status == CaseStatus.closed
    with storby.house.database.read() as db:
        reply = db.scalars(select(Reply)).one()
        assert (reply.origin, reply.body) == (ReplyOrigin.network, "@Anna Vi plogar på fredag.")
    assert count(storby, Promise) == 0


def test_a_thread_that_falls_on_two_pages_is_one_case(storby: Town) -> None:
    top = storby.network.write("Anna", "@storby vad är det för ljud?", at=storby.at - LONG_AGO)
    past(storby, 15, days=39)
    for n, who in enumerate(("Bo", "Cia", "Bo")):
        at = storby.at - timedelta(days=1) + timedelta(minutes=n)
        storby.network.write(who, "@storby det hör jag också", in_reply_to=top, at=at)
    through(storby, asked(storby))
    case = storby.case(top)
    assert (case.mention_count, case.status, count(storby, Case, Case.merged_into_id.is_(None))) == (4, "closed", 16)
    assert case.opened_at < storby.at - timedelta(days=39)


def test_who_writes_in_history_now_gets_a_case_of_today(storby: Town) -> None:
    for keep_open in (False, True):
        old = storby.network.write(f"Anna {keep_open}", "@storby när?", at=storby.at - LONG_AGO)
        through(storby, asked(storby, keep_open=keep_open))
        new = storby.network.write(f"Anna {keep_open}", "@storby nå?", in_reply_to=old)
        more = storby.network.write(f"Anna {keep_open}", "@storby hallå?", in_reply_to=new)
        storby.at = datetime.now(UTC) + timedelta(minutes=1)
        storby.collect()
        today = storby.case(new)
        assert (today.follows_id, today.imported, today.status) == (storby.case(old).id, False, "new")
        assert storby.case(more).id == today.id
        assert today.waiting_since is not None and today.waiting_since > storby.at - timedelta(hours=1)


def test_what_belongs_to_a_living_thread_takes_its_place_and_nothing_else(storby: Town) -> None:
    old = storby.network.write("Anna", "@storby min väg är oplogad", at=storby.at - LONG_AGO)
    late = storby.network.write("Anna", "@storby fortfarande!", in_reply_to=old, at=storby.at - timedelta(minutes=5))
    with storby.house.database.transaction() as db:
        source = db.scalars(select(Source).where(Source.name == "mentions")).one()
        source.cursor = {"start": (storby.at - timedelta(minutes=10)).isoformat()}
    storby.collect()
    before = storby.case(late)
    assert before.mention_count == 1
    through(storby, asked(storby))
    after = storby.case(late)
    assert storby.case(old).id == after.id or storby.case(old).imported
    assert (after.status, after.opened_at, after.waiting_since, after.next_breach_at, after.imported) == (
        before.status,
        before.opened_at,
        before.waiting_since,
        before.next_breach_at,
        False,
    )


def test_a_resolved_case_is_not_reopened_by_what_was_said_long_ago(storby: Town) -> None:
    from triage import cases

    old = storby.network.write("Anna", "@storby en fråga", at=storby.at - timedelta(days=5))
    again = storby.network.write("Bo", "@storby samma här", in_reply_to=old, at=storby.at - timedelta(days=4))
    with storby.house.database.transaction() as db:
        take(db, said(old, "anna", thread=old), channel="twitter")
        number = case_of(db, old)
        assert number is not None
        cases.change_status(db, number, target=CaseStatus.resolved, actor="eva@storby.example", at=storby.at)
    through(storby, asked(storby))
    case = storby.case(again)
    assert (case.id, case.status, case.mention_count, case.imported) == (number, "resolved", 2, False)


# -- limits, errors, people -------------------------------------------------------------------------------------------


def test_a_rate_limit_pauses_it_until_the_hour_the_network_names(storby: Town) -> None:
    past(storby, 15)
    number = asked(storby)
    through(storby, number, pages=1)
    storby.network.faults.on(Fault.rate_limited, 1)
    paused = imports.turn(storby.house, number, now=storby.now)
    assert (paused.state, paused.read) == ("paused", 10)
    assert paused.resumes_at is not None and timedelta(minutes=10) < paused.resumes_at - storby.at
    assert "wait until" in (paused.error or "")
    with storby.house.database.read() as db:
        assert imports.due(db, storby.at) == [] and imports.due(db, paused.resumes_at) == [number]
    storby.at = paused.resumes_at
    done = through(storby, number)
    assert (done.state, done.new, done.error) == ("done", 15, None)


def test_a_limit_the_sources_own_pass_met_holds_for_it_too(storby: Town) -> None:
    past(storby, 5)
    storby.network.faults.on(Fault.rate_limited, 1)
    storby.collect()
    paused = imports.turn(storby.house, asked(storby), now=storby.now)
    assert (paused.state, paused.resumes_at) == ("paused", storby.source().reset_at)


def test_an_ill_network_is_asked_again_by_itself(storby: Town) -> None:
    past(storby, 5)
    storby.network.faults.on(Fault.html_error, 1)
    number = asked(storby)
    paused = imports.turn(storby.house, number, now=storby.now)
    assert (paused.state, paused.resumes_at) == ("paused", storby.at + imports.ILL)
    storby.forward(minutes=5)
    assert through(storby, number).new == 5


def test_what_needs_a_person_is_said_and_tried_again_from_there(storby: Town) -> None:
    past(storby, 15)
    number = asked(storby)
    through(storby, number, pages=1)
    storby.network.faults.on(Fault.unauthorized)
    failed = imports.turn(storby.house, number, now=storby.now)
    assert failed.state == "failed" and "keys" in (failed.error or "") and failed.finished_at is not None
    storby.network.faults.off()
    with storby.house.database.transaction() as db:
        imports.again(db, number, actor="ada@storby.example", at=storby.at)
        with pytest.raises(InvalidTransition):
            imports.again(db, number, actor="ada@storby.example", at=storby.at)
    done = through(storby, number)
    assert (done.state, done.read, done.new) == ("done", 15, 15)


def test_an_unforeseen_error_is_told_without_its_secrets(storby: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Bearer secret")

    monkeypatch.setattr("collectors.twitter_history.mentions", broken)
    failed = imports.turn(storby.house, asked(storby), now=storby.now)
    assert failed.state == "failed" and "secret" not in (failed.error or "")


def test_cancelled_it_reads_no_further_and_what_came_stays(storby: Town) -> None:
    past(storby, 25)
    number = asked(storby)
    through(storby, number, pages=1)
    imports.cancel(storby.house, number, actor="ada@storby.example", at=storby.at)
    cancelled = imports.turn(storby.house, number, now=storby.now)
    assert (cancelled.state, cancelled.read, count(storby, Mention)) == ("cancelled", 10, 10)
    assert cancelled.finished_at is not None


def test_cancelled_within_a_page_it_ends_with_that_page(storby: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    past(storby, 25)
    number = asked(storby)
    ask_again = imports._historian

    def while_it_reads(*given: Any) -> Any:
        imports.cancel(storby.house, number, actor="ada@storby.example", at=storby.at)
        return ask_again(*given)

    monkeypatch.setattr(imports, "_historian", while_it_reads)
    cancelled = imports.turn(storby.house, number, now=storby.now)
    assert (cancelled.state, cancelled.read) == ("cancelled", 10)


def test_two_workers_at_once_read_each_page_once(storby: Town) -> None:
    past(storby, 25)
    number = asked(storby)
    for _ in range(4):
        both = [threading.Thread(target=imports.turn, args=(storby.house, number), kwargs={"now": storby.now})] * 1
        both.append(threading.Thread(target=imports.turn, args=(storby.house, number), kwargs={"now": storby.now}))
        for each in both:
            each.start()
        for each in both:
            each.join()
        storby.forward(seconds=imports.PACE.total_seconds())
    done = through(storby, number)
    assert (done.state, done.read, done.new, done.known, count(storby, Mention)) == ("done", 25, 25, 0, 25)


def test_a_page_another_one_has_read_is_not_counted_twice(storby: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    past(storby, 25)
    number = asked(storby)
    ask_again = imports._historian

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(imports, "_historian", ask_again)
        monkeypatch.setattr(imports, "_lock", lambda _: "a lock that was lost")
        imports.turn(storby.house, number, now=storby.now)
        return ask_again(*given)

    monkeypatch.setattr(imports, "_historian", meanwhile)
    first = imports.turn(storby.house, number, now=storby.now)
    assert (first.state, first.read, first.new, count(storby, Mention)) == ("running", 10, 10, 10)


def test_asked_for_once_at_a_time_and_written_down(storby: Town) -> None:
    number = asked(storby)
    with pytest.raises(InvalidInput, match="under way"):
        asked(storby)
    with pytest.raises(InvalidInput, match="past"):
        asked(storby, "search", since=storby.at + timedelta(days=1))
    imports.cancel(storby.house, number, actor="ada@storby.example", at=storby.at)
    with storby.house.database.transaction() as db:
        imports.again(db, number, actor="ada@storby.example", at=storby.at)
    with storby.house.database.read() as db:
        written = db.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)).all()
    assert [tuple(row) for row in written] == [
        ("import", "history:mentions"),
        ("cancel", "history:mentions"),
        ("resume", "history:mentions"),
    ]


# -- money ------------------------------------------------------------------------------------------------------------


def test_it_is_counted_and_leaves_a_part_of_the_budget_to_what_comes(storby: Town) -> None:
    past(storby, 25)
    (account,) = storby.house.settings.accounts
    poor = {"accounts": (account.model_copy(update={"monthly_budget_usd": 0.09}),)}
    storby.house = replace(storby.house, settings=storby.house.settings.model_copy(update=poor))
    told = imports.cost(storby.house, storby.source(), storby.at)
    assert told is not None and (told.item, told.all) == (0.015, 60.0)
    assert told.left == pytest.approx(0.072)
    number = asked(storby)
    failed = through(storby, number)
    assert (failed.state, failed.read) == ("failed", 10), "a page costs 10 posts and 3 writers: 0.08 USD"
    assert "the rest is kept for what comes" in (failed.error or "")
    with storby.house.database.read() as db:
        assert sum(row.micro_usd for row in db.scalars(select(Spending))) == 80_000
    assert storby.collect().error is None, "the regular pass has its part"


def test_where_reading_is_free_there_is_no_cost(make_house: Any) -> None:
    with facebook_town(make_house) as here:
        assert imports.cost(here.house, here.source(), here.at) is None


# -- the networks -----------------------------------------------------------------------------------------------------


@dataclass
class Place:
    """A network on loopback and one source that listens to it."""

    network: Any
    house: House
    at: datetime

    def source(self) -> Source:
        with self.house.database.read() as db:
            return db.scalars(select(Source)).one()

    def bring(self, since: datetime | None = None, pages: int = 200) -> Import:
        with self.house.database.transaction() as db:
            source = db.scalars(select(Source)).one()
            made = imports.ask(db, source, since=since, keep_open=False, user_id=None, actor="cli", at=self.at)
        for _ in range(pages):
            found = imports.turn(self.house, made.id, now=lambda: self.at)
            if found.state != ImportState.running:
                break
            self.at += imports.PACE
        return found

    def pull(self) -> pulls.Pulled:
        return pulls.pull(self.house, self.source().id, now=lambda: self.at, by_hand=True)

    def texts(self) -> list[str]:
        with self.house.database.read() as db:
            said = select(Mention).where(~Mention.context).order_by(Mention.published_at, Mention.id)
            return [mention.text for mention in db.scalars(said)]


@contextmanager
def facebook_town(make_house: Any, **parts: Any) -> Iterator[Place]:
    network = facebook.Graph()
    with serving(network.app) as base:
        account = {"name": "page", "channel": "facebook", "page_id": network.page_id, "api_base": base}
        house = make_house(
            accounts=[account | {"page_token": network.page_token}],
            sources=[{"name": "page", "account": "page", "collect": "page"}],
            **parts,
        )
        at = datetime.now(UTC)
        declare(house, at)
        yield Place(network, house, at)


def test_a_facebook_page_with_its_comments_and_our_answers(make_house: Any) -> None:
    with facebook_town(make_house) as here:
        begin = here.at - timedelta(days=400)
        for n in range(12):
            at = begin + timedelta(days=n)
            ours = here.network.write_as_us(f"Nyhet {n}", at=at)
            asked_there = here.network.write("Anna", f"När {n}?", in_reply_to=ours, at=at + timedelta(hours=1))
            here.network.write_as_us(f"Snart {n}", in_reply_to=asked_there, at=at + timedelta(hours=2))
        here.network.tag("Cia", "Titta här", at=begin)
        done = here.bring()
        assert (done.state, done.read, done.new, done.error) == ("done", 37, 37, None)
        with here.house.database.read() as db:
            cases = db.scalars(select(Case)).all()
            assert len(cases) == 13 and {case.status for case in cases} == {"closed"}
            assert sum(case.reply_count for case in cases) == 12
        assert here.pull().new == 0, "the regular pass has its own beginning"


def test_facebook_since_a_day_and_while_it_is_limited(make_house: Any) -> None:
    with facebook_town(make_house) as here:
        for days in (300, 200, 100, 90, 80, 70, 60, 50):
            here.network.write("Anna", f"För {days} dagar sedan", at=here.at - timedelta(days=days))
        here.network.faults.on(Fault.rate_limited, 1)
        paused = here.bring(here.at - timedelta(days=100, hours=1))
        assert paused.state == "paused" and paused.resumes_at is not None and paused.resumes_at > here.at
        here.at = paused.resumes_at
        for _ in range(10):
            done = imports.turn(here.house, paused.id, now=lambda: here.at)
            here.at += imports.PACE
        assert (done.state, done.new) == ("done", 6)


@contextmanager
def wordpress_town(make_house: Any, **source: Any) -> Iterator[Place]:
    network = blog.WordPress(articles=[("Snöröjning", "Vi plogar.")])
    with serving(network.app) as base:
        login = {"username": network.username, "application_password": network.password}
        account = {"name": "blog", "channel": "blog", "site": base, **login}
        given = source or {"name": "ours", "account": "blog", "collect": "comments"}
        given = {key: value.format(base=base) for key, value in given.items()}
        house = make_house(accounts=[account], sources=[given])
        at = datetime.now(UTC)
        declare(house, at)
        yield Place(network, house, at)


def test_all_comments_of_a_wordpress_site(make_house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.blog_comments.PER_PAGE", 5)
    with wordpress_town(make_house) as here:
        begin = here.at - timedelta(days=200)
        for n in range(30):  # more of a second than a page holds
            one = here.network.write(f"Person {n}", f"kommentar {n}", at=begin + timedelta(seconds=n // 12))
        here.network.write_as_us("tack", in_reply_to=one, at=begin + timedelta(hours=1))
        done = here.bring()
        assert (done.state, done.read, done.new, done.known) == ("done", 31, 31, 0)
        assert here.bring(here.at - timedelta(days=300)).known == 31
        assert here.pull().new == 0


def test_comments_by_the_pages_of_the_comment_feed_where_there_is_no_rest(make_house: Any) -> None:
    with wordpress_town(make_house) as here:
        here.network.rest = False
        for n in range(25):
            here.network.write(f"Person {n}", f"kommentar {n}", at=here.at - timedelta(days=60 - n))
        done = here.bring(here.at - timedelta(days=57, hours=1))
        assert (done.state, done.new, done.known) == ("done", 22, 0)


def test_the_numbered_pages_of_a_wordpress_feed(make_house: Any) -> None:
    source = {"name": "feed", "channel": "blog", "collect": "feed", "url": "{base}/feed/"}
    with wordpress_town(make_house, **source) as here:
        for n in range(34):
            here.network.publish(f"Artikel {n}", "Om snö.", at=here.at - timedelta(days=100 - n))
        assert here.pull().new == 1
        done = here.bring()
        assert (done.state, done.new, done.known) == ("done", 34, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["feed/", "feed/atom/", "feed.json"])
def test_a_feed_that_links_its_earlier_pages_and_one_that_has_none(make_house: Any, kind: str) -> None:
    for paged in (True, False):
        network = blog.Blog("Medborgaren")
        network.paged = paged
        at = datetime.now(UTC)
        for n in range(45):
            network.write("Karin", f"Artikel {n} om snö", at=at - timedelta(days=100 - n))
        with serving(network.app) as base:
            name = f"{kind.strip('/').replace('/', '-').replace('.', '-')}-{'paged' if paged else 'short'}"
            house = make_house(sources=[{"name": name, "channel": "blog", "collect": "feed", "url": f"{base}/{kind}"}])
            declare(house, at)
            with house.database.transaction() as db:
                source = db.scalars(select(Source).where(Source.name == name)).one()
                number = imports.ask(db, source, since=None, keep_open=False, user_id=None, actor="cli", at=at).id
            for page in range(10):
                done = imports.turn(house, number, now=lambda: at + page * imports.PACE)  # noqa: B023
            assert (done.state, done.new) == ("done", 45 if paged else 20), f"{kind} {paged}"


def test_a_search_says_that_it_goes_a_week_back_and_does(storby: Town) -> None:
    told = imports.history(storby.source("search"))
    assert told is not None and told.reach == "week"
    storby.network.write("Anna", "snö!", at=storby.at - timedelta(days=6))
    storby.network.write("Bo", "snö?", at=storby.at - timedelta(days=8))
    assert through(storby, asked(storby, "search")).new == 1


def test_a_network_that_tells_nothing_of_the_past_is_not_asked(storby: Town) -> None:
    with storby.house.database.transaction() as db:
        made = Source(name="api", channel="api", definition={"collect": "api"}, created_at=storby.at)
        db.add(made)
        db.flush()
        with pytest.raises(InvalidInput, match="tells nothing of the past"):
            imports.ask(db, made, since=None, keep_open=False, user_id=None, actor="cli", at=storby.at)


# -- by hand, and killed ----------------------------------------------------------------------------------------------


@pytest.fixture
def command(storby: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``command("mentions", …)`` runs ``gensvar import`` in this process; returns its exit status."""
    accounts = [storby.network.account("storby-x", str(storby.house.settings.accounts[0].api_base))]
    source = {"name": "mentions", "account": "storby-x", "collect": "mentions"}
    given = config(tmp_path, storby.house.database, accounts=accounts, sources=[source])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(given, allow_unicode=True))
    monkeypatch.setattr(imports, "PACE", timedelta(0))

    def run(*arguments: str) -> int:
        return cli.main(["--config", str(tmp_path / "config.yaml"), "import", *arguments])

    return run


def test_the_command_tells_how_far_it_is(
    storby: Town, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    past(storby, 25)
    assert command("mentions", "--since", "90d") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Imported cases start no clocks and are left out of response-time reports."
    assert told[1].startswith("10 read, 10 new, 0 known already, 0 set aside, back to 20")
    assert told[-1] == "done." and "25 read, 25 new" in told[-2]
    assert command("mentions", "--since", "yesterday") == 2
    assert command("mention") == 2
    said = capsys.readouterr().err
    assert "90d, or all" in said and "did you mean mentions?" in said


def test_the_command_goes_on_where_it_failed(
    storby: Town, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    past(storby, 25)
    storby.network.faults.on(Fault.unauthorized)
    assert command("mentions") == 1
    storby.network.faults.off()
    assert command("mentions") == 0
    assert "Import 1 of mentions goes on where it was." in capsys.readouterr().out
    assert count(storby, Import) == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_again_and_again_it_loses_nothing_and_reads_nothing_twice(
    storby: Town, command: Callable[..., int], tmp_path: Path
) -> None:
    past(storby, 200)
    run = [sys.executable, "-c", "import sys; import collectors.twitter as t, imports, cli, datetime\n"
           "t.PAGE = 10; imports.PACE = datetime.timedelta(0)\nsys.exit(cli.main(sys.argv[1:]))",
           "--config", str(tmp_path / "config.yaml"), "import", "mentions"]  # fmt: skip
    killed = 0
    for number in range(5):
        process = subprocess.Popen(
            run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path(cli.__file__).parent
        )
        seen, wanted = count(storby, Mention), random.Random(number).randrange(5, 35)
        while process.poll() is None and count(storby, Mention) < seen + wanted:
            time.sleep(0.005)
        process.kill()
        killed += process.wait() == -9
    assert killed >= 4
    assert command("mentions") == 0
    with storby.house.database.read() as db:
        (done,) = db.scalars(select(Import))
        assert (done.state, done.read, done.new, done.known) == ("done", 200, 200, 0)
    assert (count(storby, Mention), count(storby, Case)) == (200, 200)
    assert count(storby, CaseEvent) == 400
