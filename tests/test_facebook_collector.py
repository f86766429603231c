"""A Facebook page as the collector sees it, against the look-alike."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response
from pydantic import SecretStr, ValidationError

from channels.facebook import FacebookAccount, probe
from channels.facebook import Graph as Client
from collectors.base import Batch, Cursor, MentionData, Snapshot
from collectors.facebook import CHUNK, page
from errors import ChannelError, CollectError, Reason
from outbound import Client as Http
from sandbox.base import Clock, Fault, serving
from sandbox.facebook import Graph, error

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN = "EAATokenNobodyMaySee"
SECRET = "secretOfTheApp"


def ago(**how: float) -> datetime:
    return NOW - timedelta(**how)


class Desk:
    """The look-alike, and a collector of its page that goes on from where it was."""

    def __init__(self, graph: Graph, base: str) -> None:
        self.graph = graph
        self.http = Http(allow_private_networks=True, read_timeout=5)
        self.account = FacebookAccount(
            name="page",
            channel="facebook",
            page_id=graph.page_id,
            api_base=base,
            page_token=SecretStr(TOKEN),
            app_secret=SecretStr(SECRET),
        )
        self.cursor: Cursor | None = None

    def passing(self, *, since: datetime | None = None, now: datetime = NOW) -> Generator[Batch, None, None]:
        """A pass whose batches are stored one by one."""
        for batch in page(None, self.account, self.http).collect(self.cursor, since=since, now=now):
            self.cursor = json.loads(json.dumps(batch.cursor))
            yield batch

    def collect(self, *, since: datetime | None = None, now: datetime = NOW) -> list[Batch]:
        return list(self.passing(since=since, now=now))

    def mentions(self, *, since: datetime | None = None, now: datetime = NOW) -> dict[str, MentionData]:
        return {m.external_id: m for batch in self.collect(since=since, now=now) for m in batch.mentions}


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Flask, str]]:
    """One server for all tests here; each puts a look-alike of its own behind it."""
    app = Flask(__name__)
    with serving(app) as base:
        yield app, base


@pytest.fixture
def desk(front: tuple[Flask, str]) -> Desk:
    app, base = front
    graph = Graph(page_token=TOKEN, app_secret=SECRET, clock=Clock(lambda: NOW))
    app.wsgi_app = graph.app.wsgi_app  # type: ignore[method-assign]
    return Desk(graph, base)


def snapshots(batches: list[Batch]) -> dict[str, Snapshot]:
    return {snapshot.thread: snapshot for batch in batches for snapshot in batch.snapshots}


# -- what is found --------------------------------------------------------------------------------------------------


def test_posts_tags_and_comments_at_every_level_become_mentions(desk: Desk) -> None:
    graph = desk.graph
    graph.levels = 4
    ours = graph.write_as_us("Vi plogar i natt.", at=ago(hours=5))
    visitors = graph.write("Åsa Öberg", "Hål i Storgatan!", at=ago(hours=4))
    tagged = graph.tag("Leo", "Titta här, Storby kommun", at=ago(hours=3))
    first = graph.write("Bo", "Når?", in_reply_to=ours, at=ago(hours=2))
    second = graph.write_as_us("Klockan fyra.", in_reply_to=first, at=ago(minutes=50))
    third = graph.write("Bo", "Tack!", in_reply_to=second, at=ago(minutes=40))

    found = desk.mentions()

    assert set(found) == {ours, visitors, tagged, first, second, third}
    assert {id: m.in_reply_to for id, m in found.items()} == {
        ours: None, visitors: None, tagged: None, first: ours, second: first, third: second,
    }  # fmt: skip
    assert {m.thread for id, m in found.items() if id in (ours, first, second, third)} == {ours}
    assert {id for id, m in found.items() if m.ours} == {ours, second}
    assert found[visitors].text == "Hål i Storgatan!"
    assert found[visitors].published_at == ago(hours=4)
    author = found[visitors].author
    assert author is not None
    assert author.name == "Åsa Öberg"
    assert "reply_comment_id=" in str(found[third].url)
    assert found[first].reply_address["comment"] == first
    assert found[third].reply_address["parent"] == second
    assert found[visitors].reply_address["post"] == visitors


def test_comments_that_are_not_given_flat_are_asked_for_level_by_level(desk: Desk) -> None:
    graph = desk.graph
    graph.levels, graph.flattens = 5, False
    above = graph.write("Anna", "0", at=ago(hours=3))
    expected = {above}
    for level in range(1, 5):
        above = graph.write("Bo", str(level), in_reply_to=above, at=ago(hours=2) + timedelta(minutes=level))
        expected.add(above)
    assert set(desk.mentions()) == expected


def test_answers_are_asked_for_where_no_comment_tells_how_many_it_has(desk: Desk) -> None:
    collector = page(None, desk.account, desk.http)
    at = {"created_time": "2026-11-21T10:00:00+0000"}
    lists = {"1_2/comments": [{"id": "2_3", **at}], "2_3/comments": [{"id": "2_4", **at}], "2_4/comments": []}
    collector._graph.pages = lambda path, **args: iter([lists[path]])  # type: ignore[method-assign]
    found, _, _ = collector._comments(collector._post({"id": "1_2", **at}))
    assert [(comment.id, comment.parent) for comment in found] == [("2_3", None), ("2_4", "2_3")]


@pytest.mark.parametrize("code, subcode", [(100, None), (100, 33), (10, None)])
def test_a_page_that_may_not_list_its_tags_is_read_all_the_same(desk: Desk, code: int, subcode: int | None) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=1))
    collector = page(None, desk.account, desk.http)
    real = collector._graph.pages

    def refusing(path: str, **args: str) -> Iterator[list[Any]]:
        if path.endswith("/tagged"):
            desk.graph.answer_once(error(code, "no tags here", subcode=subcode))
        return real(path, **args)

    collector._graph.pages = refusing  # type: ignore[method-assign]
    batches = list(collector.collect(None, since=None, now=NOW))
    assert [m.external_id for batch in batches for m in batch.mentions] == [post]
    (aside,) = [item for batch in batches for item in batch.set_aside]
    assert "tag the page" in aside.reason and "no tags here" in aside.reason
    assert batches[-1].cursor["first"] is False, "the pass came to its end"


def test_somebody_without_a_name_is_somebody_and_never_us(desk: Desk) -> None:
    post = desk.graph.write("Okänd", "Vem är jag?", nameless=True, at=ago(hours=1))
    found = desk.mentions()[post]
    assert found.author is None
    assert not found.ours
    assert found.can_reply


def test_a_picture_without_a_word_is_a_mention_with_a_photo(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "", at=ago(hours=2))
    comment = desk.graph.write("Bo", "", in_reply_to=post, at=ago(hours=1))
    found = desk.mentions()
    for id in (post, comment):
        assert found[id].text == ""
        assert [(a.type, (a.url or "")[:8]) for a in found[id].attachments] == [("photo", "https://")]


def test_closed_comments_cannot_be_answered_and_say_why(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=2))
    comment = desk.graph.write("Bo", "Hej du", in_reply_to=post, at=ago(hours=1))
    desk.graph.close(post)
    for mention in desk.mentions().values():
        assert (mention.can_reply, mention.can_reply_reason) == (False, "comments_closed")
    assert comment


def test_private_answers_are_possible_for_seven_days_and_not_to_ourselves(desk: Desk) -> None:
    old = desk.graph.write("Åsa", "Gammalt", at=ago(days=8))
    new = desk.graph.write("Åsa", "Nytt", in_reply_to=old, at=ago(days=1))
    ours = desk.graph.write_as_us("Svar", in_reply_to=new, at=ago(hours=1))
    found = desk.mentions(now=NOW)
    assert found[new].can_reply_privately
    assert found[new].reply_address["private_until"] == (ago(days=1) + timedelta(days=7)).isoformat()
    assert not found[ours].can_reply_privately
    assert found[ours].reply_address["private_until"] is None
    assert found[old].reply_address["private_until"] == ago(days=1).isoformat()  # over, which the replier sees


# -- order, pages, bad items ------------------------------------------------------------------------------------------


def fill(graph: Graph, posts: int = 3, comments: int = 130) -> set[str]:
    expected = set()
    for p in range(posts):
        post = graph.write(f"Visitor {p}", f"Post {p}", at=ago(days=posts - p))
        expected.add(post)
        above = post
        for c in range(comments):
            at = ago(days=posts - p) + timedelta(minutes=c + 1)
            above = graph.write(f"Person {c}", f"Comment {c}", in_reply_to=post if c % 3 else above, at=at)
            expected.add(above)
    return expected


@pytest.mark.parametrize("fault", [None, Fault.reversed_pages, Fault.repeated_item])
def test_many_pages_in_any_order_with_items_twice_give_each_once_parents_first(desk: Desk, fault: Fault | None) -> None:
    expected = fill(desk.graph, posts=2, comments=230)
    if fault:
        desk.graph.faults.on(fault)
    batches = desk.collect()
    given = [m for batch in batches for m in batch.mentions]
    assert {m.external_id for m in given} == expected
    assert len(given) == len(expected)
    assert all(len(batch.mentions) <= CHUNK for batch in batches)
    seen: set[str] = set()
    for mention in given:
        assert mention.in_reply_to is None or mention.in_reply_to in seen, "an answer came before what it answers"
        seen.add(mention.external_id)


def test_more_posts_than_a_page_holds_are_all_found(desk: Desk) -> None:
    expected = {desk.graph.write("Åsa", f"Nr {n}", at=ago(hours=200 - n)) for n in range(120)}
    assert set(desk.mentions()) == expected


def test_a_full_page_with_a_cursor_and_no_link_is_not_the_last(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=300))
    expected = [desk.graph.write("Bo", f"Nr {n}", in_reply_to=post, at=ago(hours=200 - n)) for n in range(51)]
    graph = Client(desk.account, desk.http)
    real = graph.get

    def without_next(path: str, **args: str) -> dict[str, Any]:
        answer = real(path, **args)
        answer.get("paging", {}).pop("next", None)
        return answer

    graph.get = without_next  # type: ignore[method-assign]
    pages = list(graph.pages(f"{post}/comments", limit="50"))
    assert {item["id"] for items in pages for item in items} == set(expected)
    assert len(pages) == 2


def test_an_item_that_makes_no_sense_is_set_aside_and_the_others_stay(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=3))
    comments = {desk.graph.write("Bo", str(n), in_reply_to=post, at=ago(hours=2)) for n in range(3)}
    desk.graph.faults.on(Fault.malformed_item)
    batches = desk.collect()
    assert {m.external_id for batch in batches for m in batch.mentions} == {post, *comments}
    aside = [item for batch in batches for item in batch.set_aside]
    assert {item.external_id for item in aside} == {"damaged_1"}
    assert all("message" in item.reason for item in aside)
    assert "damaged_1" in snapshots(batches)[post].ids, "what cannot be read has not been deleted"


def test_a_comment_nobody_can_identify_makes_no_snapshot(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=3))
    collector = page(None, desk.account, desk.http)
    items = iter([[{"created_time": "2026-11-21T10:00:00+0000", "message": "who am I"}]])
    collector._graph.pages = lambda path, **args: items  # type: ignore[method-assign]
    found, damaged, whole = collector._comments(
        collector._post({"id": post, "created_time": "2026-11-21T09:00:00+0000"})
    )
    assert (found, len(damaged), whole) == ([], 1, False)


def test_without_the_moderate_task_the_link_tells_a_comments_id() -> None:
    collector = page(None, account(), Http())
    post = collector._post({"id": "1_22", "created_time": "2026-11-21T09:00:00+0000"})
    link = "https://www.facebook.com/1/posts/22/?comment_id=33"
    times = {"created_time": "2026-11-21T09:00:00+0000"}
    assert collector._comment({**times, "permalink_url": link}, post, None).id == "22_33"
    answer = collector._comment({**times, "permalink_url": f"{link}&reply_comment_id=44"}, post, None)
    assert (answer.id, answer.parent) == ("22_44", "22_33")


@pytest.mark.parametrize(
    "item",
    [
        None,
        "text",
        [],
        {},
        {"id": "1"},
        {"id": {}, "created_time": 5},
        {"id": "1", "created_time": "yesterday"},
        {"id": "1", "created_time": "2026-11-21T09:00:00"},
        {"id": "1", "created_time": "2026-11-21T09:00:00Z", "message": 5},
    ],
)
def test_what_is_no_item_is_a_value_error_and_nothing_else(item: Any) -> None:
    with pytest.raises(ValueError):
        page(None, account(), Http())._post(item)


@pytest.mark.parametrize(
    "item",
    [
        {"from": "Åsa", "message_tags": {"0": []}, "attachments": [], "comments": None},
        {"from": {"name": "Åsa"}, "message": None, "attachments": {"data": [None, {"media": "x", "type": None}]}},
        {"from": {"id": 7}, "permalink_url": "javascript:alert(1)", "full_picture": 5, "comments": {"summary": 3}},
        {"attachments": {"data": [{"type": "album", "subattachments": {"data": "x"}}]}, "is_hidden": "yes"},
    ],
)
def test_optional_fields_of_any_shape_do_no_harm(item: dict[str, Any]) -> None:
    collector = page(None, account(), Http())
    post = collector._post({"id": "1_2", "created_time": "2026-11-21T09:00:00+0000", **item})
    mention = collector._mention(post, post)
    assert mention.url == "https://www.facebook.com/1_2"
    assert not mention.hidden


def test_an_album_is_its_pictures() -> None:
    collector = page(None, account(), Http())
    pictures = [{"type": "photo", "media": {"image": {"src": f"https://x.example/{n}.jpg"}}} for n in range(3)]
    album = {"data": [{"type": "album", "title": "Snö", "subattachments": {"data": pictures}}]}
    post = collector._post({"id": "1_2", "created_time": "2026-11-21T09:00:00+0000", "attachments": album})
    urls = [attachment.url for attachment in collector._mention(post, post).attachments]
    assert urls == [f"https://x.example/{n}.jpg" for n in range(3)]


# -- from pass to pass ------------------------------------------------------------------------------------------------


def test_a_second_pass_gives_nothing_new_and_reads_no_quiet_post_again(desk: Desk) -> None:
    fill(desk.graph, posts=2, comments=5)
    first = set(desk.mentions(now=NOW + timedelta(days=3)))
    desk.graph.requests.clear()
    again = desk.mentions(now=NOW + timedelta(days=3, minutes=2))
    assert set(again) <= first
    assert [r for r in desk.graph.requests if r.endswith("/comments")] == []


def test_a_new_comment_on_an_old_post_is_found_in_the_next_pass(desk: Desk) -> None:
    post = desk.graph.write_as_us("Gammalt", at=ago(days=20))
    desk.mentions()
    comment = desk.graph.write("Bo", "Gäller det än?", in_reply_to=post, at=ago(minutes=1))
    assert comment in desk.mentions()


def test_an_answer_to_an_answer_on_an_old_post_is_found(desk: Desk) -> None:
    post = desk.graph.write_as_us("Gammalt", at=ago(days=20))
    comment = desk.graph.write("Bo", "Fråga", in_reply_to=post, at=ago(days=19))
    desk.mentions()
    answer = desk.graph.write("Cia", "Samma här", in_reply_to=comment, at=ago(minutes=1))
    assert answer in desk.mentions()


def test_edits_and_hiding_are_seen_though_nothing_else_changed(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(minutes=30))
    comment = desk.graph.write("Bo", "Före", in_reply_to=post, at=ago(minutes=20))
    desk.mentions()
    desk.graph.edit(comment, "Efter")
    desk.graph.hide(comment)
    later = desk.mentions(now=NOW + timedelta(minutes=5))
    assert later[comment].text == "Efter"
    assert later[comment].hidden
    desk.graph.edit(post, "Hej igen")
    desk.graph.hide(post)
    later = desk.mentions(now=NOW + timedelta(minutes=6))
    assert later[post].text == "Hej igen"
    assert later[post].hidden


def test_an_edit_under_a_post_of_yesterday_is_seen_in_the_next_pass(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=30))
    comment = desk.graph.write("Bo", "Före", in_reply_to=post, at=ago(hours=29))
    desk.mentions()
    desk.graph.edit(comment, "Efter")
    assert desk.mentions(now=NOW + timedelta(minutes=2))[comment].text == "Efter"


def test_an_edit_under_a_quiet_post_is_seen_within_six_hours(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(days=20))
    comment = desk.graph.write("Bo", "Före", in_reply_to=post, at=ago(days=19))
    desk.mentions()
    desk.graph.edit(comment, "Efter")
    assert comment not in desk.mentions(now=NOW + timedelta(hours=5))
    assert desk.mentions(now=NOW + timedelta(hours=6, minutes=1))[comment].text == "Efter"


def test_a_deleted_comment_is_missing_in_the_snapshot(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(days=3))
    kept, lost = (desk.graph.write("Bo", text, in_reply_to=post, at=ago(days=2)) for text in ("stannar", "går"))
    assert snapshots(desk.collect())[post].ids == {post, kept, lost}
    desk.graph.delete(lost)
    assert snapshots(desk.collect())[post] == Snapshot(post, frozenset({post, kept}))


def test_a_deleted_post_is_told_once_with_everything_under_it(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(days=3))
    desk.graph.write("Bo", "Hej", in_reply_to=post, at=ago(days=2))
    other = desk.graph.write("Cia", "Jag stannar", at=ago(days=1))
    desk.collect()
    desk.graph.delete(post)
    batches = desk.collect()
    assert snapshots(batches) == {post: Snapshot(post, frozenset())}
    assert [(m.external_id, m.deleted, m.can_reply) for b in batches for m in b.mentions] == [(post, True, False)]
    again = desk.collect()
    assert snapshots(again) == {}
    assert [m for b in again for m in b.mentions if m.external_id != other] == []


def test_a_post_we_may_no_longer_see_is_forgotten_and_not_called_deleted(desk: Desk) -> None:
    post = desk.graph.tag("Leo", "Hej Storby", at=ago(days=3))
    desk.collect()
    desk.graph.delete(post)
    collector = page(None, desk.account, desk.http)
    real = collector._graph.get

    def refusing(path: str, **args: str) -> dict[str, Any]:
        if path == post:
            desk.graph.answer_once(error(10, "(#10) not allowed", status=403))
        return real(path, **args)

    collector._graph.get = refusing  # type: ignore[method-assign]
    batches = list(collector.collect(desk.cursor, since=None, now=NOW))
    assert [batch for batch in batches if batch.mentions or batch.snapshots] == []
    assert batches[-1].cursor["posts"] == {}


def test_the_deletion_of_a_post_older_than_wanted_opens_nothing(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Gammalt", at=ago(days=9))
    desk.collect(since=ago(days=2))
    desk.graph.delete(post)
    assert desk.mentions(since=ago(days=2)) == {}


def test_since_bounds_the_first_pass_but_not_what_stands_above(desk: Desk) -> None:
    old = desk.graph.write("Åsa", "Gammal och tyst", at=ago(days=10))
    post = desk.graph.write("Åsa", "Gammal", at=ago(days=9))
    above = desk.graph.write("Bo", "Gammal kommentar", in_reply_to=post, at=ago(days=8))
    beside = desk.graph.write("Cia", "En annan", in_reply_to=post, at=ago(days=8))
    new = desk.graph.write("Bo", "Ny", in_reply_to=above, at=ago(hours=5))
    found = desk.mentions(since=ago(days=2))
    assert {id: m.context for id, m in found.items()} == {post: True, above: True, new: False}
    assert f"GET /{old}/comments" not in desk.graph.requests, "nothing has happened there since"
    # The floor stays: later passes bring no history either.
    desk.graph.write("Dan", "Nyare", in_reply_to=post, at=ago(hours=1))
    later = desk.mentions(since=ago(days=2))
    assert not {old, beside} & set(later)


def test_all_history_is_read_once_and_then_the_window_only(desk: Desk) -> None:
    ancient = [desk.graph.write("Åsa", f"{n}", at=ago(days=400 - n)) for n in range(5)]
    recent = desk.graph.write("Åsa", "Nyss", at=ago(days=3))
    assert set(desk.mentions()) == {*ancient, recent}
    assert desk.cursor is not None
    assert set(desk.cursor["posts"]) == {recent}, "the cursor stays as small as the window"
    assert desk.mentions() == {}


def test_a_history_read_half_is_read_on_from_there(desk: Desk) -> None:
    posts = [desk.graph.write("Åsa", f"{n}", at=ago(days=400 - n)) for n in range(4)]
    passing = desk.passing()
    for _ in range(3):
        next(passing)
    passing.close()
    assert set(desk.mentions()) == set(posts[2:]), "the last one stored is read again, in case of a tie, and the rest"


def test_parents_come_first_even_where_the_clocks_say_otherwise() -> None:
    collector = page(None, account(), Http())
    post = collector._post({"id": "1_2", "created_time": "2026-11-21T09:00:00+0000"})
    chain = ["2_5", "2_4", "2_3"]
    pages = [[{"id": id, "created_time": f"2026-11-21T{10 + n}:00:00+0000"} for n, id in enumerate(chain)]]
    pages[0][0]["parent"], pages[0][1]["parent"] = {"id": "2_4"}, {"id": "2_3"}  # type: ignore[assignment]
    pages[0].append({"id": "2_9", "created_time": "2026-11-21T08:00:00+0000", "parent": {"id": "2_9"}})  # type: ignore[dict-item]
    collector._graph.pages = lambda path, **args: iter(pages)  # type: ignore[method-assign]
    assert [comment.id for comment in collector._comments(post)[0]] == ["2_9", "2_3", "2_4", "2_5"]


def test_a_date_further_back_than_the_window_widens_it(desk: Desk) -> None:
    post = desk.graph.write_as_us("Remiss", at=ago(days=80))
    desk.mentions(since=ago(days=90))
    comment = desk.graph.write("Bo", "Synpunkt", in_reply_to=post, at=ago(minutes=1))
    assert comment in desk.mentions(since=ago(days=90))


@pytest.mark.slow
@pytest.mark.parametrize("since", [None, ago(days=2), ago(days=100)])
def test_stopping_after_any_batch_loses_nothing(desk: Desk, since: datetime | None) -> None:
    graph = desk.graph
    for n in range(4):
        post = graph.write("Åsa", f"Post {n}", at=ago(days=60 - 15 * n))
        for c in range(CHUNK + 20 if n == 2 else 40):
            graph.write("Bo", f"{n}/{c}", in_reply_to=post, at=ago(hours=30 - n))
    graph.tag("Leo", "Hej Storby", at=ago(hours=3))
    whole = set(desk.mentions(since=since))
    batches = len(page_batches(desk, since))
    assert batches > 3
    for stop in range(1, batches):
        desk.cursor = None
        stored: set[str] = set()
        passing = desk.passing(since=since)
        for _ in range(stop):
            stored |= {m.external_id for m in next(passing).mentions}
        passing.close()
        stored |= set(desk.mentions(since=since))
        assert stored == whole, f"stopped after batch {stop}"


def page_batches(desk: Desk, since: datetime | None) -> list[Batch]:
    return list(page(None, desk.account, desk.http).collect(None, since=since, now=NOW))


def test_a_post_whose_comments_cannot_be_read_is_collected_all_the_same(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=1))
    passing = page(None, desk.account, desk.http)
    real = passing._graph.pages

    def refusing(path: str, **args: str) -> Iterator[list[Any]]:
        if path.endswith("/comments"):
            desk.graph.answer_once(error(100, "(#100) does not support this operation", subcode=33))
        return real(path, **args)

    passing._graph.pages = refusing  # type: ignore[method-assign]
    batches = list(passing.collect(None, since=None, now=NOW))
    assert [m.external_id for batch in batches for m in batch.mentions] == [post]
    assert [item.raw for batch in batches for item in batch.set_aside] == [{"post": post}]
    assert snapshots(batches) == {}


def test_one_post_too_heavy_for_facebook_does_not_hold_up_the_others(desk: Desk) -> None:
    heavy = desk.graph.write("Åsa", "Tung", at=ago(hours=2))
    light = desk.graph.write("Bo", "Lätt", at=ago(hours=1))
    passing = page(None, desk.account, desk.http)
    real = passing._graph.pages

    def failing(path: str, **args: str) -> Iterator[list[Any]]:
        if path.startswith(heavy):
            desk.graph.answer_once(error(1, "Please reduce the amount of data you're asking for", status=500))
        return real(path, **args)

    passing._graph.pages = failing  # type: ignore[method-assign]
    given: list[str] = []
    with pytest.raises(CollectError) as caught:
        for batch in passing.collect(None, since=None, now=NOW):
            given += [m.external_id for m in batch.mentions]
    assert caught.value.reason is Reason.unavailable
    assert given == [light]


# -- what Facebook says when it does not do as asked ------------------------------------------------------------------


ERRORS = [
    (1, None, Reason.unavailable, False),
    (2, None, Reason.unavailable, False),
    (3, None, Reason.forbidden, True),
    (10, None, Reason.forbidden, True),
    (200, None, Reason.forbidden, True),
    (299, None, Reason.forbidden, True),
    (4, None, Reason.rate_limited, False),
    (17, None, Reason.rate_limited, False),
    (32, None, Reason.rate_limited, False),
    (613, None, Reason.rate_limited, False),
    (341, None, Reason.rate_limited, False),
    (80001, None, Reason.rate_limited, False),
    (100, None, Reason.bad_request, True),
    (100, 33, Reason.gone, True),
    (102, None, Reason.auth_expired, True),
    (190, 463, Reason.auth_expired, True),
    (368, None, Reason.forbidden, True),
    (506, None, Reason.bad_request, True),
]


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize("code, subcode, reason, permanent", ERRORS)
def test_every_error_is_told_by_its_cause_whatever_the_http_status(
    desk: Desk, code: int, subcode: int | None, reason: Reason, permanent: bool, status: int
) -> None:
    desk.graph.answer_once(error(code, "as Facebook says", subcode=subcode, status=status))
    with pytest.raises(CollectError, match="as Facebook says") as caught:
        desk.collect()
    assert (caught.value.reason, caught.value.permanent) == (reason, permanent)
    assert desk.cursor is None


@pytest.mark.parametrize(
    "response, reason",
    [
        (Response("<html>502</html>", 502, content_type="text/html"), Reason.unavailable),
        (Response("<html>hello</html>", 200, content_type="text/html"), Reason.bad_payload),
        (Response("<html>hello</html>", 200, content_type="application/json"), Reason.bad_payload),
        (Response('{"data": [', 200, content_type="application/json"), Reason.bad_payload),
        (Response("", 204), Reason.bad_payload),
        (Response("[]", 200, content_type="application/json"), Reason.bad_payload),
        (Response('{"data": "x"}', 200, content_type="application/json"), Reason.bad_payload),
        (Response('{"error": "x"}', 503, content_type="application/json"), Reason.unavailable),
        (Response("{}", 500, content_type="application/json"), Reason.unavailable),
        (Response("[" * 100_000, 200, content_type="application/json"), Reason.bad_payload),
        (Response("", 302, {"Location": "/v26.0/elsewhere"}), Reason.bad_payload),
        (Response("", 429), Reason.rate_limited),
    ],
)
def test_an_answer_that_is_none_is_a_typed_error(desk: Desk, response: Response, reason: Reason) -> None:
    desk.graph.answer_once(response)
    with pytest.raises(CollectError) as caught:
        desk.collect()
    assert caught.value.reason is reason


@pytest.mark.parametrize("content_type", [None, "text/javascript; charset=UTF-8"])
def test_a_missing_or_odd_content_type_does_not_matter(desk: Desk, content_type: str | None) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=1))
    desk.graph.content_type = content_type
    assert set(desk.mentions()) == {post}


def test_pages_that_lead_in_a_circle_end(desk: Desk) -> None:
    circle = {"data": [], "paging": {"next": "https://graph.facebook.com/v26.0/x/feed?after=same"}}
    for _ in range(3):
        desk.graph.answer_once(Response(json.dumps(circle), content_type="application/json"))
    with pytest.raises(CollectError, match="circle"):
        desk.collect()


def test_a_rate_limit_tells_when_to_come_back_if_facebook_does(desk: Desk) -> None:
    desk.graph.faults.on(Fault.rate_limited, times=1)
    with pytest.raises(CollectError) as caught:
        desk.collect()
    assert caught.value.retry_at is not None
    wait = caught.value.retry_at - datetime.now(UTC)
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)
    desk.graph.faults.on(Fault.rate_limited_silent, times=1)
    with pytest.raises(CollectError) as caught:
        desk.collect()
    assert (caught.value.reason, caught.value.retry_at) == (Reason.rate_limited, None)


def test_at_a_hundred_percent_it_stops_by_itself_and_goes_on_the_next_time(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej", at=ago(hours=1))
    desk.graph.usage, desk.graph.regain_minutes = 99, 0
    assert set(desk.mentions()) == {post}
    desk.graph.usage, desk.graph.regain_minutes = 100, 7
    desk.graph.requests.clear()
    with pytest.raises(CollectError) as caught:
        desk.collect()
    assert caught.value.reason is Reason.rate_limited
    assert caught.value.retry_at is not None
    assert len(desk.graph.requests) == 1
    desk.graph.usage = None
    desk.collect()


def test_an_expired_token_says_who_must_do_what_and_not_the_token(desk: Desk) -> None:
    desk.graph.page_token = "another"
    with pytest.raises(CollectError) as caught:
        desk.collect()
    assert caught.value.reason is Reason.auth_expired
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_nobody_there_is_an_error_without_the_token(desk: Desk) -> None:
    closed = desk.account.model_copy(update={"api_base": "http://127.0.0.1:9"})
    with pytest.raises(CollectError) as caught:
        list(page(None, closed, desk.http).collect(None, since=None, now=NOW))
    assert caught.value.reason is Reason.unavailable
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_no_log_line_holds_the_token_however_talkative(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.graph.write("Åsa", "Hej", at=ago(hours=1))
    desk.collect()
    assert TOKEN not in caplog.text


def test_no_payload_holds_the_token(desk: Desk) -> None:
    item = {"id": "1_2", "next": f"https://graph.facebook.com/x?access_token={TOKEN}&after=1", "secret": SECRET}
    kept = str(page(None, desk.account, desk.http)._without_secrets(item))
    assert TOKEN not in kept
    assert SECRET not in kept
    assert "after=1" in kept


# -- the client -------------------------------------------------------------------------------------------------------


def account(**more: Any) -> FacebookAccount:
    return FacebookAccount(**({"name": "page", "channel": "facebook", "page_id": "1", "page_token": TOKEN} | more))


def test_the_account_has_the_real_address_and_a_living_version() -> None:
    assert (account().api_base, account().api_version) == ("https://graph.facebook.com", "v26.0")
    assert TOKEN not in repr(account())


@pytest.mark.parametrize("wrong", [{"api_version": "26"}, {"api_base": "graph"}, {"page_token": ""}, {"pageid": "1"}])
def test_a_wrong_account_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        account(**wrong)


def test_without_the_app_secret_the_proof_is_missing_and_facebook_says_so(desk: Desk) -> None:
    bare = desk.account.model_copy(update={"app_secret": None})
    with pytest.raises(ChannelError, match="appsecret_proof"):
        probe(bare, desk.http)
    assert probe(desk.account, desk.http) == "Storby kommun"


def test_a_token_of_another_page_is_found_out(desk: Desk) -> None:
    other = desk.account.model_copy(update={"page_id": "42"})
    with pytest.raises(ChannelError, match="page_token must be the token of that page"):
        probe(other, desk.http)


def test_the_version_asked_for_is_the_one_that_is_called(desk: Desk) -> None:
    future = desk.account.model_copy(update={"api_version": "v99.0"})
    with pytest.raises(ChannelError, match="Unknown path components: /v99"):
        Client(future, desk.http).get("me")


@pytest.mark.slow
def test_the_old_library_is_imported_without_a_warning() -> None:
    code = "import sys; sys.dont_write_bytecode = True; sys.pycache_prefix = 'nowhere'; import channels.facebook"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
