"""The comments of a WordPress site, collected from the look-alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import outbound
from channels.blog import BlogAccount, comment_id, probe, site_key
from collectors.base import Batch, Cursor, MentionData
from collectors.blog import comments
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
