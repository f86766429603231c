"""What makes one case, in whatever order things come; nothing twice; nothing lost."""

from __future__ import annotations

import itertools
import json
import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from collectors.base import Attachment, AuthorData, Batch, SetAside, Snapshot
from database import Database
from errors import InvalidTransition
from models import (
    Case,
    CaseEvent,
    CaseStatus,
    Mention,
    MentionSource,
    MentionVersion,
    Payload,
    Reply,
    SetAsideItem,
    Then,
)
from tests.factories import MORNING, account, case_of, grouping, living_cases, ours, said, source, take, user
from triage import answering, cases, intake, merging, threads


def test_a_thread_of_others_is_one_case(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a"), said("b", "bo", to="a"), said("c", "cia", to="b"))
        assert grouping(db) == {frozenset("abc")}
        (case,) = living_cases(db)
        assert (case.mention_count, case.status, case.subject) == (3, "new", "text of a")
        assert case.author is not None and case.author.handle == "anna"


def test_under_something_we_published_each_top_level_comment_is_one_case(database: Database) -> None:
    with database.transaction() as db:
        take(db, ours("post"), said("a", to="post"), said("b", "bo", to="post"), said("c", "cia", to="a"))
        assert grouping(db) == {frozenset("ac"), frozenset("b")}
        assert case_of(db, "post") is None


def test_our_answer_does_not_cut_the_chain_once_a_case_holds_it(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", minutes=0), ours("b", to="a", minutes=7), said("c", to="b", minutes=9))
        assert grouping(db) == {frozenset("abc")}
        (case,) = living_cases(db)
        assert (case.mention_count, case.reply_count) == (2, 1)
        assert case.first_response_at == MORNING + timedelta(minutes=7)
        assert case.status == CaseStatus.open


THREADS = {
    "a question, our answer, thanks": [
        said("a", thread="a", minutes=0),
        ours("b", to="a", thread="a", minutes=1),
        said("c", to="b", thread="a", minutes=2),
        said("d", "dan", to="c", thread="a", minutes=3),
    ],
    "two citizens under our post, one answered": [
        ours("p", thread="p", minutes=0),
        said("a", to="p", thread="p", minutes=1),
        said("b", "bo", to="p", thread="p", minutes=2),
        ours("r", to="a", thread="p", minutes=3),
        said("c", to="r", thread="p", minutes=4),
    ],
    "a stranger joins below our answer": [
        said("a", thread="a", minutes=0),
        ours("b", to="a", thread="a", minutes=1),
        said("x", "xi", to="b", thread="a", minutes=2),
        ours("y", to="x", thread="a", minutes=3),
        said("z", "zoe", to="y", thread="a", minutes=4),
    ],
}


THREADS["our answer to somebody whose earlier words we have, over a gap"] = [
    said("a", thread="a", minutes=0),
    said("c", to="gap", thread="a", context=True, minutes=2),
    ours("d", to="c", thread="a", minutes=3),
    said("e", to="d", thread="a", minutes=4),
]


def figures(case: Case) -> tuple[int, int, str, str]:
    return case.mention_count, case.reply_count, str(case.opened_at), str(case.first_response_at)


@pytest.mark.parametrize("name", THREADS)
def test_the_order_of_arrival_does_not_matter(database: Database, name: str) -> None:
    """One by one, as by several sources, in every order: the same mentions end up together."""
    mentions = THREADS[name]
    with database.transaction() as db:
        take(db, *mentions)
        expected = grouping(db)
        counts = sorted(map(figures, living_cases(db)))
        db.rollback()
    orders = list(itertools.permutations(mentions))
    for order in random.Random(name).sample(orders, 12):
        with database.transaction() as db:
            for mention in order:
                take(db, mention)
            where = " ".join(mention.external_id for mention in order)
            assert grouping(db) == expected, where
            got = sorted(map(figures, living_cases(db)))
            assert got == counts, where
            db.rollback()


def test_twice_and_by_two_sources_is_one_mention(database: Database) -> None:
    with database.transaction() as db:
        first, second = source(db, "first"), source(db, "second")
        assert take(db, said("a"), source_id=first.id).new == 1
        again = take(db, said("a"), said("a"), source_id=second.id)
        assert (again.new, again.known) == (0, 1)
        assert db.scalar(select(func.count()).select_from(Mention)) == 1
        assert db.scalar(select(func.count()).select_from(MentionSource)) == 2
        (case,) = living_cases(db)
        assert (case.source_id, case.mention_count) == (first.id, 1)


def test_two_feeds_that_number_their_entries_lose_nothing(database: Database) -> None:
    one = replace(said("1"), url="https://one.example/1", reply_address={})
    other = replace(said("1", "bo"), url="https://other.example/1", reply_address={})
    with database.transaction() as db:
        first, second = source(db, "first"), source(db, "second")
        for _ in range(2):
            take(db, one, source_id=first.id)
            take(db, other, source_id=second.id)
        assert set(db.scalars(select(Mention.external_id))) == {"1", "other.example/1"}


def test_where_the_chain_is_not_known_a_case_is_thread_and_author(database: Database) -> None:
    with database.transaction() as db:
        take(
            db,
            said("c", to="lost1", thread="t"),
            said("d", to="lost2", thread="t"),
            said("e", "eva", to="lost1", thread="t"),
        )
        assert grouping(db) == {frozenset("cd"), frozenset("e")}


def test_the_closed_case_is_followed_by_a_new_one(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a"))
        (case,) = living_cases(db)
        cases.change_status(db, case.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        cases.close(db, case.id, actor="t", at=MORNING)
        take(db, said("b", to="a"))
        take(db, said("c", "cia", to="a"), said("d", to="b"))
        new = db.get_one(Case, case_of(db, "b"))
        assert (new.follows_id, new.status, new.mention_count) == (case.id, "new", 3)
        assert case_of(db, "c") == case_of(db, "d") == new.id


@pytest.mark.parametrize(
    ("status", "after"), [("resolved", "open"), ("pending", "open"), ("ignored", "ignored"), ("new", "new")]
)
def test_whoever_writes_brings_a_resolved_case_back(database: Database, status: str, after: str) -> None:
    with database.transaction() as db:
        take(db, said("a"))
        (case,) = living_cases(db)
        if status != "new":
            cases.change_status(db, case.id, target=CaseStatus(status), actor="t", at=MORNING)
        take(db, said("b", "somebody else", to="a"))
        db.refresh(case)
        assert case.status == after


def test_a_repost_opens_nothing_and_counts_as_spread(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("r1", "rolf", to="a", repost=True))
        assert living_cases(db) == []
        take(db, said("a"))
        take(db, said("r2", "rut", to="a", repost=True))
        take(db, said("r2", "rut", to="a", repost=True))
        (case,) = living_cases(db)
        assert (case.spread, case.mention_count) == (2, 1)


def test_context_is_shown_and_starts_no_clock(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("top", "xi", context=True, minutes=0), said("a", to="top", minutes=5))
        (case,) = living_cases(db)
        assert (case.mention_count, case.opened_at) == (1, MORNING + timedelta(minutes=5))
        assert case_of(db, "top") == case.id
        take(db, said("top", "xi", minutes=0))  # found by a search: now it concerns us itself
        db.refresh(case)
        assert (case.mention_count, case.opened_at) == (2, MORNING)
        assert case.author is not None and case.author.handle == "xi"


def test_context_and_the_thing_itself_in_one_batch(database: Database) -> None:
    with database.transaction() as db:
        taken = take(db, said("a", context=True, minutes=0), said("b", "bo", to="a", minutes=1), said("a", minutes=0))
        assert taken.new == 2
        (case,) = living_cases(db)
        assert case.mention_count == 2


def test_what_we_write_in_the_networks_app_is_a_reply_and_opens_nothing(database: Database) -> None:
    with database.transaction() as db:
        take(db, ours("post"), ours("self-reply", to="post"), ours("elsewhere", to="unknown"))
        assert living_cases(db) == []


def test_the_echo_of_an_answer_sent_from_here_is_that_answer(database: Database) -> None:
    with database.transaction() as db:
        eva, us = user(db), account(db)
        take(db, said("a", minutes=0), account_id=us.id)
        (case,) = living_cases(db)
        mention = db.scalars(select(Mention)).one()
        reply = _queued(db, case.id, mention.id, eva, us.id)
        assert answering.reply_called(db, reply.id, worker="w", at=MORNING)
        answering.reply_sent(
            db, reply.id, external_id="r", url=None, sent_at=MORNING + timedelta(minutes=3), actor="t", at=MORNING
        )
        take(db, ours("r", to="a", text="the answer", minutes=3))
        assert db.scalars(select(Reply)).one().mention_id is not None
        db.refresh(case)
        assert case.reply_count == 1
        take(db, said("b", to="r", minutes=4))
        assert case_of(db, "b") == case.id


@pytest.mark.parametrize("status", ["calling", "uncertain"])
def test_an_answer_whose_fate_was_unknown_is_recognised_when_it_is_seen(database: Database, status: str) -> None:
    with database.transaction() as db:
        eva, us = user(db), account(db)
        take(db, said("a", minutes=0), account_id=us.id)
        (case,) = living_cases(db)
        reply = _queued(db, case.id, db.scalars(select(Mention)).one().id, eva, us.id)
        assert answering.reply_called(db, reply.id, worker="w", at=MORNING)
        if status == "uncertain":
            answering.reply_uncertain(db, reply.id, error="cut", lookup_at=MORNING, actor="t", at=MORNING)
        take(db, ours("other", to="a", text="something else", minutes=2))
        db.refresh(reply)
        assert reply.status == status
        take(db, ours("r", to="a", text="@anna The  answer https://t.co/x", minutes=3))
        db.refresh(reply)
        db.refresh(case)
        assert (reply.status, reply.external_id) == ("sent", "r")
        assert (case.reply_count, case.flag) == (2, None)


def test_an_answer_of_ours_is_known_by_its_id_where_the_network_tells_no_author(database: Database) -> None:
    with database.transaction() as db:
        us, eva = account(db), user(db)
        take(db, said("a"), account_id=us.id)
        (case,) = living_cases(db)
        reply = _queued(db, case.id, db.scalars(select(Mention)).one().id, eva, us.id)
        assert answering.reply_called(db, reply.id, worker="w", at=MORNING)
        answering.reply_sent(db, reply.id, external_id="r", url=None, sent_at=MORNING, actor="t", at=MORNING)
        status = case.status
        take(db, said("r", None, to="a", minutes=3), account_id=us.id)
        assert grouping(db) == {frozenset("ar")}
        assert (case.status, case.mention_count, case.reply_count) == (status, 1, 1)
        assert db.scalars(select(Mention).where(Mention.external_id == "r")).one().ours


def _queued(db, case_id, mention_id, eva, account_id) -> Reply:  # type: ignore[no-untyped-def]
    return answering.reply(
        db, case_id, body="the answer", to_mention_id=mention_id, user=eva, then=Then.keep, private=False,
        hold=timedelta(0), idempotency_key=None, account_id=account_id, at=MORNING,
    )  # fmt: skip


def test_edits_are_recorded_as_seen(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", text="befor"))
        take(db, said("a2", text="before", earlier_ids=("a",)))
        take(db, said("a2", text="before", earlier_ids=("a",)))
        take(db, said("a", text="befor"))  # the old version turns up again, through a slow index
        mention = db.scalars(select(Mention)).one()
        assert (mention.external_id, mention.text) == ("a", "before")
        assert mention.edited_at is not None
        assert [version.text for version in db.scalars(select(MentionVersion))] == ["befor"]
        take(db, said("b", "bo", to="a2"))
        assert case_of(db, "b") == mention.case_id
        actions = [event.action for event in db.scalars(select(CaseEvent).order_by(CaseEvent.id))]
        assert actions == ["opened", "mention_edited", "author_wrote"]


def test_what_is_gone_from_a_complete_list_was_deleted(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("p", thread="p"), said("a", to="p", thread="p"), said("b", to="p", thread="p"))
        snapshot = Snapshot(thread="p", ids=frozenset({"b"}))
        batch = Batch((), cursor={}, snapshots=(snapshot,))
        intake.take(db, batch, channel="net", account_id=None, source_id=None, at=MORNING)
        gone = {mention.external_id: mention.deleted_at for mention in db.scalars(select(Mention))}
        assert gone == {"p": None, "a": MORNING, "b": None}
        take(db, said("a", to="p", thread="p"))
        assert db.scalars(select(Mention).where(Mention.external_id == "a")).one().deleted_at is None


def test_what_makes_no_sense_is_set_aside_once_with_its_reason(database: Database) -> None:
    with database.transaction() as db:
        made = source(db)
        for _ in range(2):
            batch = Batch((said("a"),), cursor={}, set_aside=(SetAside("no id", {"text": "å"}),))
            taken = intake.take(db, batch, channel="net", account_id=None, source_id=made.id, at=MORNING)
            assert taken.set_aside == 1
        item = db.scalars(select(SetAsideItem)).one()
        assert (item.reason, json.loads(zlib.decompress(item.raw))) == ("no id", {"text": "å"})


def test_the_payload_is_kept_as_it_came(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", raw={"id": "a", "odd": "Ж\ud800"}))
        packed = db.scalars(select(Payload)).one().raw
        assert json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass")) == {"id": "a", "odd": "Ж\ud800"}


def test_characters_no_database_keeps_are_left_out(database: Database) -> None:
    odd = said("a\0", "bo\0", text="h\0ej \ud800du", title="\0", attachments=(Attachment("link", text="\0x"),))
    with database.transaction() as db:
        take(db, odd, odd)
        mention = db.scalars(select(Mention)).one()
        assert (mention.external_id, mention.text, mention.title) == ("a", "hej du", "")
        assert mention.author is not None and mention.author.external_id == "bo"
        assert mention.attachments[0]["text"] == "x"


def test_the_watch_query_chooses_what_opens_a_case_and_leaves_threads_whole(database: Database) -> None:
    with database.transaction() as db:
        taken = take(
            db,
            said("a", text="snö på vägen"),
            said("b", text="annat"),
            said("c", to="a", text="håller med"),
            match="snö*",
        )
        assert (taken.new, taken.unmatched) == (2, 1)
        assert grouping(db) == {frozenset("ac")}


def test_a_thread_of_thousands_is_put_in_order_without_recursion() -> None:
    chain = [said("0")] + [said(str(n), to=str(n - 1), minutes=-n) for n in range(1, 3000)]
    assert [data.external_id for data in intake._parents_first(chain)] == [str(n) for n in range(3000)]


def test_a_long_climb_ends_in_one_case(database: Database) -> None:
    above = [said("0", context=True)] + [said(str(n), to=str(n - 1), context=True) for n in range(1, 60)]
    with database.transaction() as db:
        take(db, *above, said("last", to="59"))
        assert case_of(db, "0") == case_of(db, "last")
        assert living_cases(db)[0].mention_count == 1


def test_a_case_that_was_followed_reopened_and_absorbed_its_follower_leads_nowhere_in_circles(
    database: Database,
) -> None:
    with database.transaction() as db:
        take(db, said("a"))
        (first,) = living_cases(db)
        cases.change_status(db, first.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        cases.close(db, first.id, actor="t", at=MORNING)
        take(db, said("b", to="a"))
        second = case_of(db, "b")
        assert second is not None
        cases.change_status(db, first.id, target=CaseStatus.open, actor="t", at=MORNING)
        merging.merge(db, second, into=first.id, actor="t", at=MORNING)
        cases.change_status(db, first.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        cases.close(db, first.id, actor="t", at=MORNING)
        take(db, said("c", to="b"))
        third = db.get_one(Case, case_of(db, "c"))
        assert (third.status, third.follows_id) == ("new", first.id)


def test_what_is_unanswered_is_never_joined_to_a_closed_case(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", thread="a"))
        (first,) = living_cases(db)
        cases.change_status(db, first.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        cases.close(db, first.id, actor="t", at=MORNING)
        take(db, said("c", "cia", to="m", thread="a"))
        take(db, ours("m", to="a", thread="a"))
        assert db.get_one(Case, case_of(db, "c")).status == "new"
        with pytest.raises(InvalidTransition, match="Reopen it first"):
            merging.merge(db, case_of(db, "c") or 0, into=first.id, actor="t", at=MORNING)


def test_context_of_a_closed_case_that_concerns_us_after_all_opens_a_new_one(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("top", "xi", context=True), said("a", to="top"))
        (first,) = living_cases(db)
        cases.change_status(db, first.id, target=CaseStatus.resolved, actor="t", at=MORNING)
        cases.close(db, first.id, actor="t", at=MORNING)
        assert take(db, said("top", "xi")).new == 1
        assert db.get_one(Case, case_of(db, "top")).follows_id == first.id


def test_one_item_that_cannot_be_stored_keeps_no_other_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = threads.Threads.place

    def broken(self: Any, mention: Mention, ids: list[str]) -> None:
        whole(self, mention, ids)
        if mention.external_id == "b":
            raise InvalidTransition("it does not fit")

    monkeypatch.setattr(threads.Threads, "place", broken)
    with database.transaction() as db:
        taken = take(db, said("a"), said("b", "anna"), said("c", "anna"), source_id=source(db).id)
        assert (taken.new, taken.set_aside) == (2, 1)
        assert set(db.scalars(select(Mention.external_id))) == {"a", "c"}
        assert db.scalars(select(SetAsideItem)).one().reason == "it could not be stored: it does not fit"


def test_an_absurdly_long_id_is_kept_as_its_digest(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("x" * 5000, "y" * 5000), said("b", to="x" * 5000))
        take(db, said("x" * 5000, "y" * 5000))
        (case,) = living_cases(db)
        assert case.mention_count == 2
        assert max(len(id) for id in db.scalars(select(Mention.external_id))) < 100


def test_an_answer_in_a_thread_we_follow_is_wanted_though_its_parent_is_not_stored(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", text="snö", thread="a"), match="snö")
        taken = take(db, said("c", "cia", to="filtered", thread="a", text="håller med"), match="snö")
        assert (taken.new, taken.unmatched) == (1, 0)


@pytest.mark.parametrize(
    ("written", "seen"),
    [("It's done - see storby.se/snö ...", "It’s done – see https://storby.se/snö …"), ("Hej!", "@anna Hej !")],
)
def test_networks_change_marks_and_links_not_words(written: str, seen: str) -> None:
    assert intake.same_words(written, seen)
    assert not intake.same_words(written, seen + " inte")


def test_an_echo_hung_elsewhere_in_the_thread_is_still_ours(database: Database) -> None:
    with database.transaction() as db:
        eva, us = user(db), account(db)
        take(db, said("a", minutes=0), said("b", "bo", to="a", minutes=1), account_id=us.id)
        (case,) = living_cases(db)
        below = db.scalars(select(Mention).where(Mention.external_id == "b")).one()
        reply = _queued(db, case.id, below.id, eva, us.id)
        assert answering.reply_called(db, reply.id, worker="w", at=MORNING)
        take(db, ours("r", to="a", text="the answer", minutes=3))  # hung under the top
        db.refresh(case)
        db.refresh(reply)
        assert (reply.status, case.reply_count) == ("sent", 1)


def test_an_echo_taken_for_another_is_absorbed_when_the_call_returns(database: Database) -> None:
    with database.transaction() as db:
        eva, us = user(db), account(db)
        take(db, said("a", minutes=0), account_id=us.id)
        (case,) = living_cases(db)
        reply = _queued(db, case.id, db.scalars(select(Mention)).one().id, eva, us.id)
        assert answering.reply_called(db, reply.id, worker="w", at=MORNING)
        take(db, ours("r", to="a", text="shortened by the network", minutes=3))
        answering.reply_sent(
            db, reply.id, external_id="r", url=None, sent_at=MORNING + timedelta(minutes=3), actor="t", at=MORNING
        )
        db.refresh(case)
        assert case.reply_count == 1


def test_what_a_person_found_there_is_not_counted_again_when_it_is_seen(database: Database) -> None:
    with database.transaction() as db:
        eva, us = user(db), account(db)
        take(db, said("a", minutes=0), account_id=us.id)
        (case,) = living_cases(db)
        reply = _queued(db, case.id, db.scalars(select(Mention)).one().id, eva, us.id)
        assert answering.reply_called(db, reply.id, worker="w", at=MORNING)
        answering.reply_uncertain(db, reply.id, error="cut", lookup_at=None, actor="t", at=MORNING)
        answering.confirm_sent(db, reply.id, url=None, actor="eva", at=MORNING)
        take(db, ours("r", to="a", text="the answer", minutes=3))
        db.refresh(case)
        db.refresh(reply)
        assert (case.reply_count, reply.external_id) == (1, "r")


def test_a_watch_query_asks_for_language_author_followers_and_links(database: Database) -> None:
    swedish, danish = "Gatan är inte plogad och det är halt överallt", "Vejen er ikke ryddet, og der er glat overalt"
    known = AuthorData("n", "Nils Berg", handle="nils", followers=5000)
    sent = [
        said("1", text=swedish),
        said("2", text=danish),
        replace(said("3", text=f"{danish} https://www.storby.se/vinter"), author=known),
    ]

    def found(match: str) -> set[str]:
        with database.transaction() as db:  # a channel of its own, so that nothing is known yet
            take(db, *sent, match=match, channel=match)
            return set(db.scalars(select(Mention.external_id).where(Mention.channel == match)))

    assert found("lang:sv") == {"1"}
    assert found("lang:da") == {"2", "3"}
    assert found("~gator") == {"1"}
    assert found("author:anna NOT lang:sv") == {"2"}
    assert found("author:berg followers>1000") == {"3"}
    assert found("link:storby.se OR ~ploga") == {"1", "3"}


def test_what_is_dated_before_there_was_anything_is_from_when_it_was_seen(database: Database) -> None:
    seen = MORNING + timedelta(hours=1)
    with database.transaction() as db:
        take(db, replace(said("old"), published_at=datetime(1, 1, 1, tzinfo=UTC)), at=seen)
        assert db.scalars(select(Mention.published_at)).one() == seen
        assert db.scalars(select(Case.opened_at)).one() == seen
