"""The snow-storm: 300 mentions in an hour on three networks become a handful of stories, each answered with one answer.

The look-alikes are served, the collectors, the reactions and the outbox are the real ones; only the clock is passed.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy import func, select

import channels
import pulls
from database import Database
from house import House, build, declare
from models import (
    Case,
    CaseEvent,
    Mention,
    PendingReaction,
    Reply,
    ReplyStatus,
    SharedAnswer,
    SharedAnswerPart,
    Source,
    Then,
)
from replies import shared
from replies.outbox import AT_ONCE, Outbox
from sandbox import storm
from sandbox.base import Clock, serving
from sandbox.story import US, Message
from sandbox.story import Story as Tale
from sandbox.town import Town
from tests.conftest import config
from tests.factories import user
from tests.test_kill import Kills, slowly
from triage import reactions
from triage.states import replay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OURS = (
    Message("fb-snow", -60, "facebook", US, "sv", "Nu snöar det på allvar i Storby."),
    Message("wp-snow", -60, "storbybloggen", US, "sv", "Så plogar vi.", title="Snöoväder på väg in"),
)
STORM = storm.load(below={"facebook": "fb-snow", "storbybloggen": "wp-snow"})
MATTERS = {"snow", "bus", "power", "water", "school", "login"}
TEXTS = {
    "sv": "Hej {name}! Vi har läst det du skriver och arbetar med det. Ärende {case}. /{agent}",
    "da": "Hej {name}! Vi har læst, hvad du skriver, og arbejder på det. Sag {case}. /{agent}",
    "nb": "Hei {name}! Vi har lest det du skriver, og jobber med det. Sak {case}. /{agent}",
    "nn": "Hei {name}! Vi har lese det du skriv, og arbeider med det. Sak {case}. /{agent}",
    "en": "Hello {name}! We have read what you write and are working on it. Case {case}. /{agent}",
}


@dataclass
class Storby:
    town: Town
    house: House
    at: datetime
    config_file: Path
    matter: dict[tuple[str, str], str]  # channel and external id -> what it is about

    def now(self) -> datetime:
        return self.at

    def collect(self) -> None:
        with self.house.database.read() as db:
            sources = list(db.scalars(select(Source.id)))
        for source in sources:
            pulled = pulls.pull(self.house, source, now=self.now, by_hand=True)
            assert pulled.error is None and pulled.set_aside == 0, pulled
        while reactions.react(self.house.database, self.at):
            pass
        with self.house.database.read() as db:
            assert db.scalars(select(PendingReaction.error)).all() == []

    def stories(self) -> dict[int, list[Mention]]:
        found: dict[int, list[Mention]] = {}
        with self.house.database.read() as db:
            for mention in db.scalars(select(Mention).where(Mention.story_id.is_not(None))):
                found.setdefault(mention.story_id or 0, []).append(mention)
        return found

    def answer_all(self) -> None:
        """One answer in each story, to everybody in it."""
        for story, members in self.stories().items():
            with self.house.database.transaction() as db:
                shared.submit(
                    db,
                    self.house,
                    story,
                    texts=TEXTS,
                    chosen={mention.case_id for mention in members if mention.case_id},
                    key=f"story-{story}",
                    then=Then.wait,
                    user=user(db),
                    at=self.at,
                )

    def replies(self, *where: Any) -> list[Reply]:
        with self.house.database.read() as db:
            return list(db.scalars(select(Reply).where(*where).order_by(Reply.not_before, Reply.id)))

    def outside(self) -> Counter[str]:
        """What we have said on the networks, each text with how often."""
        return Counter(post.text for network in self.town.networks.values() for post in network.posts() if post.ours)


@contextmanager
def after_the_storm(database: Database, folder: Path, messages: int = 300) -> Iterator[Storby]:
    """All of it has been said, the clock stands an hour after it began, and nothing is collected yet."""
    with ExitStack() as stack:
        town = Town(Tale(STORM.people, OURS, (), (), {}, 1.0))
        at = datetime.now(UTC)
        for message in (*OURS, *STORM.messages[:messages]):
            town.say(message, at + timedelta(minutes=message.at - 60))
        addresses = {name: stack.enter_context(serving(network.app)) for name, network in town.networks.items()}
        every = {"every": "2m", "since": "all"}
        given = config(
            folder,
            database,
            accounts=town.accounts(addresses),
            sources=[
                {"name": "x-mentions", "account": "storby-x", "collect": "mentions", **every},
                {"name": "x-search", "account": "storby-x", "collect": "search", "query": "#storby", **every},
                {"name": "page", "account": "storby-page", "collect": "page", **every},
                {"name": "comments", "account": "storby-blog", "collect": "comments", **every},
            ],
            replies={"hold": "0s"},
        )
        config_file = folder / "config.yaml"
        config_file.write_text(yaml.safe_dump(given, allow_unicode=True))
        matter = {}
        for message in STORM.messages[:messages]:
            site = f"{urlsplit(addresses[message.where]).netloc}/" if message.where == "storbybloggen" else ""
            of = town.networks[message.where].name, f"{site}{town.said[message.id]}"
            matter[of] = STORM.matters[message.id]
        storby = Storby(town, build(given, database), at, config_file, matter)
        town.x.clock = Clock(storby.now)
        declare(storby.house, at)
        yield storby


def test_it_becomes_a_handful_of_stories_answered_with_one_answer_each(database: Database, tmp_path: Path) -> None:
    with after_the_storm(database, tmp_path) as storby:
        storby.collect()
        everything = _all_300_are_there(storby)
        _a_handful_of_stories(storby)
        storby.answer_all()
        _queued_once_by_two_workers_at_once(storby)
        _delivered_at_the_pace(storby)
        _each_answered_once(storby, everything)


def _all_300_are_there(storby: Storby) -> list[Mention]:
    with storby.house.database.read() as db:
        mentions = list(db.scalars(select(Mention).where(~Mention.ours)))
    assert {(mention.channel, mention.external_id) for mention in mentions} == set(storby.matter)
    assert len(mentions) == 300
    assert len({mention.case_id for mention in mentions}) == 300, "each is a case of its own"
    assert {mention.channel for mention in mentions} == {"twitter", "facebook", "blog"}
    languages = Counter(mention.language for mention in mentions)
    assert all(languages[each] >= 20 for each in ("sv", "da", "nb", "nn", "en")), languages
    return mentions


def _a_handful_of_stories(storby: Storby) -> None:
    stories = storby.stories()
    told = {id: Counter(storby.matter[m.channel, m.external_id] for m in members) for id, members in stories.items()}
    large = {id: matters for id, matters in told.items() if matters.total() >= 10}
    assert len(large) == len(MATTERS) and len(stories) <= 12, told
    assert {matters.most_common(1)[0][0] for matters in large.values()} == MATTERS, "one large story for each matter"
    inside = sum(matters.total() for matters in told.values())
    right = sum(matters.most_common(1)[0][1] for matters in told.values())
    assert right / inside >= 0.97, f"{inside - right} of {inside} stand in a story of another matter: {told}"
    matters = Counter(storby.matter.values())
    covered = sum(matters_.most_common(1)[0][1] for matters_ in large.values())
    whole = matters.total() - matters[""]
    assert covered / whole >= 0.85, f"the large stories hold {covered} of {whole}: {told}"
    for id in large:
        assert {mention.channel for mention in stories[id]} == {"twitter", "facebook", "blog"}
        assert len({mention.language for mention in stories[id]}) >= 4


def _queued_once_by_two_workers_at_once(storby: Storby) -> None:
    with ThreadPoolExecutor(2) as pool:
        queued = [pool.submit(shared.work_off, storby.house, storby.at) for _worker in range(2)]
    assert sum(each.result() for each in queued) == len(storby.replies())
    assert shared.work_off(storby.house, storby.at) == 0


def _delivered_at_the_pace(storby: Storby) -> None:
    """Two workers, woken whenever somebody's turn has come."""
    unsent = Reply.status.in_((ReplyStatus.held, ReplyStatus.queued))
    began = storby.at
    with Outbox(storby.house, storby.now) as one, Outbox(storby.house, storby.now) as other:
        while waiting := storby.replies(unsent):
            storby.at = max(storby.at, waiting[0].not_before or storby.at)
            with ThreadPoolExecutor(2) as pool:
                for passed in [pool.submit(one.run), pool.submit(other.run)]:
                    passed.result()
            assert storby.at < began + timedelta(hours=1), "it does not end"
    by_account: dict[int | None, list[Reply]] = {}
    for reply in storby.replies():
        by_account.setdefault(reply.account_id, []).append(reply)
    assert len(by_account) == 3
    for replies in by_account.values():
        pace = channels.capabilities(replies[0].channel).pace
        called = sorted(reply.called_at for reply in replies if reply.called_at)
        gaps = [later - earlier for earlier, later in pairwise(called)]
        assert min(gaps) >= pace - timedelta(milliseconds=1), f"{replies[0].channel}: {min(gaps)}"
        assert max(called) - min(called) <= len(replies) * pace, "and no slower than that"
    with storby.house.database.read() as db:
        refused = db.scalar(select(func.count()).select_from(CaseEvent).where(CaseEvent.action == "reply_postponed"))
    assert refused == 0, "a network told us to slow down"


def _each_answered_once(storby: Storby, everything: list[Mention]) -> None:
    with storby.house.database.read() as db:
        rows = db.execute(select(SharedAnswerPart.case_id, SharedAnswerPart.skipped))
        left_out: dict[int, str | None] = {case: skipped for case, skipped in rows}
        noise = set(db.scalars(select(Case.id).where(Case.noise.is_not(None))))
        told = [shared.progress(db, number) for number in db.scalars(select(SharedAnswer.id))]
    answers = Counter(reply.case_id for reply in storby.replies())
    outside = storby.outside()
    for mention in everything:
        case = mention.case_id or 0
        if mention.story_id is None:
            assert case not in left_out and answers[case] == 0
        elif case in noise:
            assert left_out[case] == "noise" and answers[case] == 0
        elif not mention.can_reply:
            assert left_out[case] == "not_summoned" and answers[case] == 0
        else:
            assert left_out[case] is None and answers[case] == 1, mention.text
    assert {reply.status for reply in storby.replies()} == {"sent"}
    assert all(outside[reply.body] == 1 for reply in storby.replies())
    assert outside.total() == len(storby.replies()) + len(OURS), "nothing else was said"
    assert sum(each.sent for each in told) == len(storby.replies()) >= 200
    assert sum(each.waiting + each.failed + each.uncertain + each.undone for each in told) == 0


# -- killed in the middle ---------------------------------------------------------------------------------------------


def test_killed_while_it_queues_and_while_it_sends(database: Database, tmp_path: Path) -> None:
    with after_the_storm(database, tmp_path, messages=90) as storby:
        storby.collect()
        storby.answer_all()
        gensvar = Kills(storby.config_file)
        house = storby.house
        with house.database.read() as db:
            wanted = db.scalar(select(func.count()).select_from(SharedAnswerPart)) or 0
        assert wanted >= 40

        assert gensvar.kill_in_the_middle("send", lambda: len(storby.replies()) >= 5), "it was too quick to be killed"
        assert len(storby.replies()) < wanted
        gensvar.run("send")
        with house.database.read() as db:
            assert db.scalar(select(func.count()).select_from(SharedAnswerPart).where(*shared.OPEN)) == 0
        _one_each(storby)

        with house.database.transaction() as db:  # an hour later everybody's turn has come
            for reply in db.scalars(select(Reply).where(Reply.status == ReplyStatus.held)):
                reply.not_before = (reply.not_before or storby.at) - timedelta(hours=1)
        storby.town.x.app.wsgi_app = slowly(storby.town.x.app.wsgi_app)  # type: ignore[method-assign]
        sent = len(storby.replies(Reply.status == ReplyStatus.sent))
        assert gensvar.kill_in_the_middle("send", lambda: len(storby.replies(Reply.status == "sent")) >= sent + 5)
        both = [subprocess.Popen([*gensvar.command, "send"], stdout=subprocess.DEVNULL) for _worker in range(2)]
        for process in both:
            assert process.wait(120) in (0, 1)
        gensvar.run("send")
        outside = storby.outside()
        for reply in storby.replies():
            assert outside[reply.body] == (reply.status == ReplyStatus.sent), f"{reply.status}: {reply.body}"
            assert reply.status in (ReplyStatus.sent, ReplyStatus.uncertain), "settled, or shown to a person"
        assert len(storby.replies(Reply.status == ReplyStatus.uncertain)) <= AT_ONCE
        _one_each(storby)


def _one_each(storby: Storby) -> None:
    replies = Counter(reply.case_id for reply in storby.replies())
    assert max(replies.values()) == 1
    assert max(storby.outside().values()) == 1
    with storby.house.database.read() as db:
        for case in db.scalars(select(Case)):
            events = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id))
            assert replay((event.from_status, event.to_status) for event in events) == case.status
