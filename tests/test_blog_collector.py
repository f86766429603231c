"""The comments of a WordPress site, collected from the look-alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from flask import Flask, request

import outbound
from channels.blog import BlogAccount, comment_id, probe, site_key
from collectors.base import Batch, Cursor, MentionData
from collectors.blog import comments, feed
from errors import ChannelError, CollectError, Reason
from sandbox.base import Fault, serving
from sandbox.blog import PASSWORD, USERNAME, WordPress
from settings import SourceSettings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def site() -> WordPress:
    made = WordPress("Storbybloggen", now=lambda: NOW)
    made.publish("Så plogar vi", "Vi börjar med de stora gatorna.\n\nSedan tar vi resten.", at=NOW - 5 * HOUR)
    return made


@pytest.fixture
def base(site: WordPress) -> Iterator[str]:
    with serving(site.app) as url:
        yield url


@pytest.fixture
def http() -> outbound.Client:
    return outbound.Client(allow_private_networks=True, connect_timeout=1, read_timeout=2)


def account_of(base: str, password: str = PASSWORD) -> BlogAccount:
    return BlogAccount.model_validate(
        {"name": "b", "site": base, "username": USERNAME, "application_password": password}
    )


class Pass:
    """Passes over a source, one after another, each from where the last stopped."""

    def __init__(self, base: str, http: outbound.Client, *, account: bool = True, password: str = PASSWORD) -> None:
        ours = account_of(base, password) if account else None
        source = SourceSettings(name="s", channel="blog", collect="comments", url=None if account else base)
        self.collector = comments(source, ours, http)
        self.cursor: Cursor | None = None
        self.batches: list[Batch] = []

    def __call__(self, now: datetime = NOW, since: datetime | None = None) -> dict[str, MentionData]:
        self.batches = list(self.collector.collect(self.cursor, since=since, now=now))
        self.cursor = self.batches[-1].cursor
        return {one.external_id: one for batch in self.batches for one in batch.mentions}

    def deleted(self, thread: str, known: set[str]) -> set[str]:
        found = [one for batch in self.batches for one in batch.snapshots if one.thread == thread]
        return known - found[0].ids if found else set()


def test_a_thread_comes_whole(site: WordPress, base: str, http: outbound.Client) -> None:
    top = site.write("Gunnel", 'Hur länge "dröjer" det?\n\nHär är det halt.', at=NOW - 3 * HOUR)
    ours = site.write_as_us("Till kvällen.", in_reply_to=top, at=NOW - 2 * HOUR)
    site.write("Gunnel", "Tack!", in_reply_to=ours, at=NOW - HOUR)
    found = Pass(base, http)()
    host = site_key(base)
    assert list(found) == [f"{base}/?p=1", f"{host}/comment/1", f"{host}/comment/2", f"{host}/comment/3"]
    article, first, second, third = found.values()
    assert (article.context, article.ours, article.title, article.can_reply) == (True, True, "Så plogar vi", False)
    assert article.text == "Vi börjar med de stora gatorna.\n\nSedan tar vi resten."
    assert first.text == "Hur länge “dröjer” det?\n\nHär är det halt."
    assert first.author is not None
    assert first.author.name == "Gunnel"
    assert (first.in_reply_to, first.thread, first.ours) == (None, f"{base}/?p=1", False)
    assert (first.can_reply, first.can_reply_reason) == (True, None)
    assert first.reply_address == {"post": 1, "parent": 1}
    assert first.url is not None
    assert first.url.endswith("#comment-1")
    assert (second.in_reply_to, second.ours) == (first.external_id, True)
    assert (third.in_reply_to, third.author) == (second.external_id, first.author)
    assert first.published_at == NOW - 3 * HOUR


def test_the_comment_feed_gives_the_same(site: WordPress, base: str, http: outbound.Client) -> None:
    top = site.write("Gunnel", "Hur länge dröjer det?", at=NOW - 3 * HOUR)
    site.write("Rolf", "Länge.\n\nMycket länge.", in_reply_to=top, at=NOW - 2 * HOUR)
    by_rest = Pass(base, http, account=False)()
    site.rest = False
    by_feed = Pass(base, http, account=False)()
    for key, one in by_feed.items():
        other = by_rest[key]
        for name in ("text", "author", "published_at", "url", "in_reply_to", "thread", "can_reply", "reply_address"):
            assert getattr(one, name) == getattr(other, name), name
    assert by_feed.keys() == by_rest.keys() - {f"{base}/?p=1"}


def test_we_are_known_in_the_comment_feed_too(site: WordPress, base: str, http: outbound.Client) -> None:
    top = site.write("Gunnel", "Hur länge dröjer det?", at=NOW - 3 * HOUR)
    site.write_as_us("Till kvällen.", in_reply_to=top, at=NOW - 2 * HOUR)
    collect = Pass(base, http)
    by_rest = collect()
    site.rest = False
    by_feed = collect()
    assert [one.ours for one in by_feed.values()] == [False, True]
    assert [by_rest[key].ours for key in by_feed] == [False, True]


def test_nothing_is_read_twice_as_new_and_nothing_missed(site: WordPress, base: str, http: outbound.Client) -> None:
    collect = Pass(base, http)
    site.write("A", "ett", at=NOW - HOUR)
    first = collect()
    assert collect(NOW).keys() == first.keys()
    site.write("B", "två", at=NOW - HOUR)  # the very second of the one before
    assert len(collect(NOW).keys() - first.keys()) == 1


def test_a_comment_let_through_late_is_found(site: WordPress, base: str, http: outbound.Client) -> None:
    collect = Pass(base, http)
    site.moderation = True
    waiting = site.write("A", "får vänta", at=NOW - 3 * HOUR)
    site.moderation = False
    site.write("B", "syns genast", at=NOW - HOUR)
    assert "får vänta" not in {one.text for one in collect().values()}
    site.set_status(waiting, "approved")
    assert "får vänta" in {one.text for one in collect(NOW + HOUR).values()}


def test_deletions_and_edits_are_seen(site: WordPress, base: str, http: outbound.Client) -> None:
    collect = Pass(base, http)
    ids = [site.write("A", text, at=NOW - HOUR) for text in ("ett", "två")]
    known = set(collect())
    site.set_status(ids[0], "trash")
    site.edit(ids[1], "tvåan")
    found = collect(NOW + HOUR)
    assert collect.deleted(f"{base}/?p=1", known) == {comment_id(base, 1)}
    assert found[comment_id(base, 2)].text == "tvåan"
    site.set_status(ids[1], "trash")  # the last one under its article
    collect(NOW + HOUR)
    assert collect.deleted(f"{base}/?p=1", known) == {comment_id(base, 1), comment_id(base, 2)}


def test_since_bounds_the_first_pass_and_stays(site: WordPress, base: str, http: outbound.Client) -> None:
    old = site.write("A", "gammal", at=NOW - 4 * HOUR)
    site.write("A", "också gammal", at=NOW - 4 * HOUR)
    site.write("B", "ny", in_reply_to=old, at=NOW - HOUR)
    collect = Pass(base, http)
    for found in (collect(since=NOW - 2 * HOUR), collect(NOW + HOUR, since=None)):
        assert {(one.text, one.context) for one in found.values() if not one.title} == {("gammal", True), ("ny", False)}


@pytest.mark.parametrize("fault", [None, Fault.reversed_pages, Fault.repeated_item, Fault.malformed_item])
def test_many_pages(site: WordPress, base: str, http: outbound.Client, fault: Fault | None) -> None:
    for number in range(250):
        site.write(f"P{number}", f"nr {number}", at=NOW - 2 * HOUR + timedelta(seconds=number // 3))
    if fault:
        site.faults.on(fault)
    collect = Pass(base, http)
    texts = [one.text for one in collect().values() if not one.context]
    aside = [one for batch in collect.batches for one in batch.set_aside]
    assert len(texts) == len(set(texts))
    assert len(texts) + len(aside) == 250
    assert len(aside) == (3 if fault is Fault.malformed_item else 0)
    assert all(one.external_id for one in aside)
    site.faults.off()
    assert len([one for one in collect(NOW).values() if not one.context]) == 250


def test_a_pass_cut_short_goes_on_where_it_stopped(site: WordPress, base: str, http: outbound.Client) -> None:
    for number in range(350):
        site.write("A", f"nr {number}", at=NOW - 4 * HOUR + timedelta(seconds=10 * number))
    collect = Pass(base, http)
    passing = collect.collector.collect(None, since=None, now=NOW)
    first = next(passing)
    collect.cursor = first.cursor
    rest = collect(NOW)
    texts = {one.text for one in (*first.mentions, *rest.values()) if not one.context}
    assert len(texts) == 350
    assert "nr 0" not in {one.text for one in rest.values()}, "it began again from the start"


def test_a_comment_deleted_between_two_pages_hides_no_other(site: WordPress, base: str, http: outbound.Client) -> None:
    for number in range(150):
        site.write("A", f"nr {number}", at=NOW - 4 * HOUR + timedelta(seconds=10 * number))
    found: dict[str, MentionData] = {}
    for batch in Pass(base, http).collector.collect(None, since=None, now=NOW):
        if not found:
            for number in range(1, 6):
                site.set_status(f"comment/{number}", "trash")
        found |= {one.external_id: one for one in batch.mentions}
    assert len([one for one in found.values() if not one.context]) == 150


def test_who_has_no_login_cannot_answer(site: WordPress, base: str, http: outbound.Client) -> None:
    site.write("A", "hej", at=NOW - HOUR)
    article, found = Pass(base, http, account=False)().values()
    assert (found.can_reply, found.can_reply_reason) == (False, "no_account")
    assert not article.ours


def test_closed_comments_cannot_be_answered(site: WordPress, base: str, http: outbound.Client) -> None:
    site.write("A", "hej", at=NOW - HOUR)
    site.close("post/1")
    _, found = Pass(base, http)().values()
    assert (found.can_reply, found.can_reply_reason) == (False, "comments_closed")


def test_a_comment_feed_longer_than_its_page(site: WordPress, base: str, http: outbound.Client) -> None:
    site.rest = False
    collect = Pass(base, http, account=False)
    site.write("A", "först", at=NOW - 4 * HOUR)
    collect()
    for number in range(25):
        site.write("A", f"nr {number}", at=NOW - 3 * HOUR + timedelta(seconds=number))
    assert len(collect().keys()) >= 25
    assert collect() == {}, "the site says that nothing has changed"


@pytest.mark.parametrize(
    ("fault", "reason", "dated"),
    [
        (Fault.rate_limited, Reason.rate_limited, True),
        (Fault.rate_limited_silent, Reason.rate_limited, False),
        (Fault.html_error, Reason.unavailable, False),
        (Fault.unauthorized, Reason.auth_expired, False),
    ],
)
def test_faults_are_told_apart(
    site: WordPress, base: str, http: outbound.Client, fault: Fault, reason: Reason, dated: bool
) -> None:
    site.faults.on(fault)
    with pytest.raises(CollectError) as caught:
        Pass(base, http)()
    assert caught.value.reason is reason
    assert (caught.value.retry_at is not None) is dated


def test_a_wrong_password_is_noticed(base: str, http: outbound.Client) -> None:
    with pytest.raises(CollectError) as caught:
        Pass(base, http, password="wrong")()
    assert caught.value.reason is Reason.auth_expired
    assert caught.value.permanent
    with pytest.raises(ChannelError):
        probe(account_of(base, "wrong"), http)
    assert probe(account_of(base), http).startswith("Storbybloggen (user 2) on 127.0.0.1:")


def test_a_site_without_either_door_says_so(http: outbound.Client) -> None:
    from sandbox.blog import Blog

    with serving(Blog().app) as url, pytest.raises(CollectError, match="neither a REST API nor a comment feed"):
        Pass(url, http, account=False)()


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://blogg.storby.example", "blogg.storby.example"),
        ("https://Storby.example:443/blogg/", "storby.example/blogg"),
        ("http://127.0.0.1:8099", "127.0.0.1:8099"),
    ],
)
def test_a_site_has_one_name(address: str, key: str) -> None:
    assert site_key(address) == key


@pytest.mark.parametrize("site", ["blogg.example", "ftp://blogg.example", "https://", "https://b.example/?x=1"])
def test_an_account_needs_a_sites_address(site: str) -> None:
    given: dict[str, Any] = {"name": "b", "site": site, "username": "u", "application_password": "p"}
    with pytest.raises(ValueError, match="site"):
        BlogAccount.model_validate(given)


class OddSite:
    """A WordPress that differs from the look-alike, as real ones do, in what a test sets."""

    def __init__(self, comments: int = 0) -> None:
        self.comments = [self.comment(number) for number in range(1, comments + 1)]
        self.rest = "/wp-json/"  # or ?rest_route=, or none
        self.off = (404, "<html><title>Not found</title></html>")  # what stands where there is no REST
        self.past_the_end = (200, "[]")
        self.totals = True
        self.unreadable: set[int] = set()  # on pages, yet left out of them
        self.turns_pages = True
        self.feed_at = "/comments/feed/"
        self.guid = "{base}/2026/03/plogning/#comment-{n}"
        self.app = Flask("odd")
        self.app.add_url_rule("/", "root", self.answer)
        self.app.add_url_rule("/<path:path>", "any", self.answer)

    def comment(self, number: int, parent: int = 0) -> dict[str, Any]:
        at = (NOW - HOUR + timedelta(seconds=number // 3)).strftime("%Y-%m-%dT%H:%M:%S")
        content = {"rendered": f"<p>nr {number}</p>"}
        return {"id": number, "post": 1, "parent": parent, "author": 0, "author_name": "A", "date_gmt": at,
                "content": content, "status": "approved"}  # fmt: skip

    def answer(self, path: str = "") -> Any:
        route = request.args.get("rest_route", "").lstrip("/")
        if self.rest == "/wp-json/" and path.startswith("wp-json/"):
            route = path.removeprefix("wp-json/")
        if self.rest != "none" and route:
            return self.api(route)
        if self.feed_at in (f"/{path}", f"/{path}?feed={request.args.get('feed')}"):
            return self.feed()
        return self.off[1], self.off[0]

    def api(self, route: str) -> Any:
        if route != "wp/v2/comments":
            return {"code": "rest_no_route", "message": "No route", "data": {"status": 404}}, 404
        page = int(request.args["page"]) if self.turns_pages else 1
        listed = self.comments[100 * (page - 1) : 100 * page]
        if not listed and page > 1:
            return self.past_the_end[1], self.past_the_end[0]
        totals = {"X-WP-Total": str(len(self.comments)), "X-WP-TotalPages": str(-(-len(self.comments) // 100))}
        readable = [one for one in listed if one["id"] not in self.unreadable]
        return json.dumps(readable), 200, totals if self.totals else {}

    def feed(self) -> Any:
        items = []
        if request.args.get("paged", "1") == "1":
            for one in reversed(self.comments[-10:]):
                guid = self.guid.format(base=request.url_root.rstrip("/"), n=one["id"])
                date = format_datetime(datetime.fromisoformat(f"{one['date_gmt']}+00:00"))
                items.append(
                    f"<item><title>Comment by A</title><dc:creator>A</dc:creator><pubDate>{date}</pubDate>"
                    f"<link>{request.url_root}2026/03/plogning/#comment-{one['id']}</link>"
                    f"<guid>{guid}</guid><description>nr {one['id']}</description></item>"
                )
        head = '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Kommentarer</title>'
        return f"{head}{''.join(items)}</channel></rss>", 200, {"Content-Type": "application/rss+xml"}


def said_by(found: dict[str, MentionData]) -> set[str]:
    return {one.text for one in found.values() if not one.context}


@pytest.mark.parametrize("totals", [True, False])
@pytest.mark.parametrize("end", [(200, "[]"), (400, '{"code": "rest_post_invalid_page_number", "message": "No"}')])
def test_the_last_page_is_full(http: outbound.Client, totals: bool, end: tuple[int, str]) -> None:
    odd = OddSite(200)
    odd.totals, odd.past_the_end = totals, end
    with serving(odd.app) as url:
        assert len(said_by(Pass(url, http, account=False)())) == 200


@pytest.mark.parametrize("totals", [True, False])
def test_what_we_may_not_read_ends_no_list(http: outbound.Client, totals: bool) -> None:
    odd = OddSite(250)
    odd.totals, odd.unreadable = totals, {7, 8, 120}
    with serving(odd.app) as url:
        assert len(said_by(Pass(url, http, account=False)())) == 247


def test_a_site_that_does_not_turn_its_pages_is_left_after_a_while(http: outbound.Client) -> None:
    odd = OddSite(100)
    odd.turns_pages = odd.totals = False
    with serving(odd.app) as url:
        collect = Pass(url, http, account=False)
        assert len(said_by(collect())) == 100
        assert not any(batch.snapshots for batch in collect.batches), "what lies further on is not known to be deleted"


@pytest.mark.parametrize("status", [200, 404])
def test_rest_without_permalinks(http: outbound.Client, status: int) -> None:
    odd = OddSite(3)
    odd.rest, odd.off = "?rest_route=", (status, "<html>Our front page</html>")
    with serving(odd.app) as url:
        assert said_by(Pass(url, http, account=False)()) == {"nr 1", "nr 2", "nr 3"}


@pytest.mark.parametrize(
    "off",
    [
        (200, "<html><title>Our front page</title></html>"),
        (401, '{"code": "rest_cannot_access", "message": "Only authenticated users can access the REST API."}'),
        (401, '{"code": "rest_not_logged_in", "message": "You are not currently logged in."}'),
        (403, '{"code": "rest_api_disabled", "message": "REST is off."}'),
        (403, "<html>Forbidden</html>"),
        (404, "<html>Not found</html>"),
    ],
)
@pytest.mark.parametrize("feed_at", ["/comments/feed/", "/?feed=comments-rss2"])
@pytest.mark.parametrize("guid", ["{base}/?p=1#comment-{n}", "{base}/2026/03/plogning/#comment-{n}"])
def test_rest_switched_off_and_on_again(http: outbound.Client, off: tuple[int, str], feed_at: str, guid: str) -> None:
    odd = OddSite(5)
    odd.rest, odd.off, odd.feed_at, odd.guid = "none", off, feed_at, guid
    with serving(odd.app) as url:
        collect = Pass(url, http, account=False)
        by_feed = collect()
        odd.rest = "/wp-json/"
        by_rest = collect()
        assert said_by(by_feed) == {f"nr {number}" for number in range(1, 6)}
        assert by_rest.keys() == by_feed.keys() == {comment_id(url, number) for number in range(1, 6)}
        assert {one.reply_address["parent"] for one in by_feed.values()} == {1, 2, 3, 4, 5}


def test_a_comment_feed_read_as_a_feed_has_the_same_ids(http: outbound.Client) -> None:
    odd = OddSite(2)
    with serving(odd.app) as url:
        source = SourceSettings(name="s", channel="blog", collect="feed", url=f"{url}/comments/feed/")
        (batch,) = feed(source, None, http).collect(None, since=None, now=NOW)
        assert {one.external_id for one in batch.mentions} == {comment_id(url, 1), comment_id(url, 2)}
        assert {one.can_reply_reason for one in batch.mentions} == {"no_account"}
