"""Feeds as they really come: parsed apart, under limits, and each failure saying what it is."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from flask import Flask, Response, redirect, request

import outbound
from collectors import feeds
from collectors.base import Batch, Cursor
from collectors.blog import feed
from collectors.feed_dates import parse_date
from collectors.plain import clean, one_line, plain_text
from errors import CollectError, Reason
from sandbox.base import Fault, serving
from sandbox.blog import Blog, WordPress
from settings import SourceSettings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rss(*items: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> str:
    return f'{head}<rss version="2.0"><channel><title>Grannbloggen</title>{"".join(items)}</channel></rss>'


def item(
    title: str = "Snö",
    date: str = "Mon, 02 Mar 2026 10:00:00 +0000",
    text: str = "Text",
    id: str = "http://b.example/1",
) -> str:
    named = f"<title>{title}</title><guid>{id}</guid>"
    return f"<item>{named}<pubDate>{date}</pubDate><description>{text}</description></item>"


class Site:
    """A server that answers with whatever the test wants."""

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.headers: dict[str, str] = {"Content-Type": "application/rss+xml"}
        self.asked: list[dict[str, str]] = []
        self.app = Flask("tests.site")
        self.app.add_url_rule("/feed", view_func=self.answer)
        self.app.add_url_rule("/old", view_func=lambda: redirect("/feed", 301))

    def answer(self) -> Response:
        self.asked.append(dict(request.headers))
        return Response(self.body, self.status, self.headers)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def base(site: Site) -> Iterator[str]:
    with serving(site.app) as url:
        yield url


@pytest.fixture
def http() -> outbound.Client:
    return outbound.Client(allow_private_networks=True, connect_timeout=1, read_timeout=2)


def collect(
    http: outbound.Client, url: str, cursor: Cursor | None = None, *, since: datetime | None = None, now: datetime = NOW
) -> Batch:
    source = SourceSettings(name="s", channel="blog", collect="feed", url=url)
    (batch,) = feed(source, None, http).collect(cursor, since=since, now=now)
    return batch


def refused(body: bytes, content_type: str = "application/rss+xml") -> CollectError:
    with pytest.raises(CollectError) as caught:
        feeds.parse(body, content_type, "http://b.example/feed")
    return caught.value


def pages(
    http: outbound.Client, url: str, cursor: Cursor | None = None, since: datetime | None = None
) -> Iterator[Batch]:
    source = SourceSettings(name="s", channel="blog", collect="feed", url=url)
    return feed(source, None, http).collect(cursor, since=since, now=NOW)


# -- collecting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/feed/", "/feed/atom/", "/feed.json"])
def test_every_kind_of_feed_says_the_same(http: outbound.Client, path: str) -> None:
    blog = Blog("Grannbloggen")
    blog.write("Annika", 'Mamma ramlade. "Ingen" plogade...\n\nDet är <halt>.', title="Snö & is", at=NOW - HOUR)
    with serving(blog.app) as url:
        batch = collect(http, f"{url}{path}")
    (found,) = batch.mentions
    assert found.title == "Snö & is"
    assert found.text == "Mamma ramlade. “Ingen” plogade…\n\nDet är <halt>."
    assert found.published_at == NOW - HOUR
    assert found.external_id == found.url == f"{url}/1-sn-is/"
    assert found.author is not None
    assert found.author.name == "Annika"
    assert (found.can_reply, found.can_reply_reason) == (False, "no_account")
    assert batch.facts["title"] == "Grannbloggen"


def test_what_has_not_changed_is_not_read_again(http: outbound.Client) -> None:
    blog = Blog()
    blog.write("A", "ett", at=NOW - HOUR)
    with serving(blog.app) as url:
        first = collect(http, f"{url}/feed/")
        assert collect(http, f"{url}/feed/", first.cursor).mentions == ()
        blog.write("A", "två", at=NOW)
        assert [one.text for one in collect(http, f"{url}/feed/", first.cursor).mentions] == ["ett", "två"]


def test_a_long_feed_is_handed_over_bit_by_bit(site: Site, base: str, http: outbound.Client) -> None:
    dates = [format_datetime(NOW - number * HOUR) for number in range(1, 351)]
    site.body = rss(*(item(f"nr {n}", date, id=f"http://b.example/{n}") for n, date in enumerate(dates))).encode()
    site.headers["ETag"] = '"1"'
    passing = pages(http, f"{base}/feed", since=NOW - 320 * HOUR)
    first = next(passing)
    assert len(first.mentions) == 100
    broken_off = list(pages(http, f"{base}/feed", first.cursor))
    assert "If-None-Match" not in site.asked[-1], "the rest would never be read"
    assert {one.title for batch in broken_off for one in batch.mentions} == {f"nr {n}" for n in range(320)}
    assert all(len(batch.mentions) <= 100 for batch in broken_off)
    assert [batch.mentions for batch in pages(http, f"{base}/feed", broken_off[-1].cursor)][-1]
    assert site.asked[-1]["If-None-Match"] == '"1"'


def test_a_feed_that_was_cut_off_is_asked_for_again(site: Site, base: str, http: outbound.Client) -> None:
    whole = rss(item("ett", id="http://b.example/1"), item("två", id="http://b.example/2")).encode()
    site.headers["ETag"] = '"1"'
    site.body = whole[: whole.index(b"tv")]
    first = collect(http, f"{base}/feed")
    site.body = whole
    assert "två" in {one.title for one in collect(http, f"{base}/feed", first.cursor).mentions}
    assert "If-None-Match" not in site.asked[-1]


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("120", 120),
        (timedelta(minutes=7), 420),
        (timedelta(minutes=-7), 0),
        ("9" * 30, 24 * 3600),
        ("soon", None),
        ("²", None),
    ],
)
def test_when_to_come_back(
    site: Site, base: str, http: outbound.Client, said: str | timedelta, wait: int | None
) -> None:
    if isinstance(said, timedelta):  # a date is made here: one in the parameters would name the test anew each second
        said = format_datetime(datetime.now(UTC) + said, usegmt=True)
    site.status, site.headers["Retry-After"] = 429, said
    with pytest.raises(CollectError) as caught:
        collect(http, f"{base}/feed")
    assert caught.value.reason is Reason.rate_limited
    if wait is None:
        assert caught.value.retry_at is None
    else:
        assert caught.value.retry_at is not None
        assert abs((caught.value.retry_at - datetime.now(UTC)).total_seconds() - wait) < 60


def test_since_bounds_the_first_pass_only(http: outbound.Client) -> None:
    blog = Blog()
    blog.write("A", "gammal", at=NOW - 50 * HOUR)
    blog.write("A", "ny", at=NOW - HOUR)
    with serving(blog.app) as url:
        first = collect(http, f"{url}/feed/", since=NOW - 48 * HOUR)
        assert [one.text for one in first.mentions] == ["ny"]
        blog.write("A", "efterdaterad", at=NOW - 60 * HOUR)  # published now, dated back
        assert [one.text for one in collect(http, f"{url}/feed/", first.cursor).mentions] == ["efterdaterad", "ny"]


def test_an_address_that_moved_for_good_is_kept(site: Site, base: str, http: outbound.Client) -> None:
    site.body = rss(item()).encode()
    batch = collect(http, f"{base}/old")
    assert batch.facts["url"] == batch.cursor["url"] == f"{base}/feed"
    collect(http, f"{base}/old", batch.cursor)
    assert collect(http, f"{base}/feed", {**batch.cursor, "url": f"{base}/nowhere"}).mentions, "another address given"


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (410, Reason.gone, True),
        (404, Reason.gone, False),
        (403, Reason.forbidden, False),
        (429, Reason.rate_limited, False),
        (503, Reason.unavailable, False),
    ],
)
def test_a_status_says_what_to_do(
    site: Site, base: str, http: outbound.Client, status: int, reason: Reason, permanent: bool
) -> None:
    site.status, site.headers = status, {"Retry-After": "120"}
    with pytest.raises(CollectError) as caught:
        collect(http, f"{base}/feed")
    assert (caught.value.reason, caught.value.permanent) == (reason, permanent)
    assert (caught.value.retry_at is not None) == (status in (429, 503))


def test_nobody_there_is_an_error_of_the_source(http: outbound.Client) -> None:
    with pytest.raises(CollectError) as caught:
        collect(http, "http://127.0.0.1:1/feed")
    assert caught.value.reason is Reason.unavailable


def test_a_private_address_is_an_error_of_the_source(base: str) -> None:
    with pytest.raises(CollectError) as caught:
        collect(outbound.Client(), f"{base}/feed")
    assert caught.value.reason is Reason.refused_address


@pytest.mark.parametrize("fault", [Fault.malformed_item, Fault.repeated_item, Fault.reversed_pages])
def test_an_odd_item_costs_no_other(http: outbound.Client, fault: Fault) -> None:
    blog = Blog()
    for number in range(3):
        blog.write("A", f"nr {number}", at=NOW - (3 - number) * HOUR)
    blog.faults.on(fault)
    with serving(blog.app) as url:
        batch = collect(http, f"{url}/feed/")
    assert [one.text for one in batch.mentions] == ["nr 0", "nr 1", "nr 2"]
    assert len(batch.set_aside) == (fault is Fault.malformed_item)


def test_two_entries_with_one_id_are_not_taken_for_one(site: Site, base: str, http: outbound.Client) -> None:
    site.body = rss(item("Ett"), item("Två")).encode()
    batch = collect(http, f"{base}/feed")
    assert [one.title for one in batch.mentions] == ["Ett"]
    assert [(one.external_id, one.reason) for one in batch.set_aside] == [
        ("http://b.example/1", "another entry of this feed has the same id")
    ]


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("<item><title>T</title><guid isPermaLink='false'>a-1</guid><link>http://b.example/1</link></item>", "a-1"),
        ("<item><title>T</title><link>http://b.example/1</link></item>", "http://b.example/1"),
        ("<item><title>T</title><pubDate>Mon, 02 Mar 2026 10:00:00 +0000</pubDate></item>", "sha256:"),
    ],
)
def test_an_entry_has_the_best_id_there_is(site: Site, base: str, http: outbound.Client, entry: str, key: str) -> None:
    site.body = rss(entry).encode()
    (first,), (again,) = collect(http, f"{base}/feed").mentions, collect(http, f"{base}/feed", now=NOW + HOUR).mentions
    assert first.external_id.startswith(key)
    assert first.external_id == again.external_id


def test_a_wordpress_comment_has_the_same_id_in_any_feed(http: outbound.Client) -> None:
    site = WordPress()
    site.publish("A", "text", at=NOW - 2 * HOUR)
    site.write("Gunnel", "hej", at=NOW - HOUR)
    with serving(site.app) as url:
        (found,) = collect(http, f"{url}/comments/feed/").mentions
        (article,) = collect(http, f"{url}/feed/").mentions
    assert found.external_id == f"{url.partition('//')[2]}/comment/1"
    assert found.thread == article.external_id == f"{url}/?p=1"


# -- dates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("Sat, 21 Nov 2026 20:27:33 CET", "2026-11-21T19:27:33"),
        ("Sun, 21 Jun 2026 20:27:33 CEST", "2026-06-21T18:27:33"),
        ("lör, 21 nov 2026 20:27:33 +0100", "2026-11-21T19:27:33"),
        ("den 3 maj 2026 kl. 12.00", "2026-05-03T12:00:00"),
        ("Tir, 21 Okt 2025 20:27:33 GMT", "2025-10-21T20:27:33"),
        ("5. desember 2025 08:00 EET", "2025-12-05T06:00:00"),
        ("2026-11-21 20:27:33 CET", "2026-11-21T19:27:33"),
    ],
)
def test_dates_as_they_are_written_here(written: str, utc: str) -> None:
    assert parse_date(written) == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    (entry,) = feeds.parse(rss(item(date=written)).encode(), "", "http://b.example/")["entries"]
    assert entry["published"] == f"{utc}+00:00"


@pytest.mark.parametrize(
    "written",
    [
        "igår",
        "",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "0001-01-01T00:00:00Z",
        "Mon, 02 Mar 2099 10:00:00 GMT",
    ],
)
def test_a_date_that_is_none_is_the_time_of_collection(
    site: Site, base: str, http: outbound.Client, written: str
) -> None:
    site.body = rss(item(date=written)).encode()
    batch = collect(http, f"{base}/feed", since=NOW - HOUR)
    assert [one.published_at for one in batch.mentions] == [NOW]
    assert "the time of collection is used" in batch.facts["dates"]


def test_a_date_nobody_can_read_is_no_date() -> None:
    for written in ("31 feb 2026 10:00", "21 nov 2026 20:27 XYZ", "99 nov 2026", "21 nov 2026 25:00"):
        assert parse_date(written) is None


# -- encodings and other damage -------------------------------------------------------------------------------------

TITLE = "Blåbärsgröt på Øresund – æøå"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (rss(item(TITLE)).encode(), "application/rss+xml"),
        (rss(item(TITLE), head='<?xml version="1.0" encoding="windows-1252"?>').encode("cp1252"), "text/xml"),
        (rss(item(TITLE), head='<?xml version="1.0" encoding="UTF-16"?>').encode(), "application/xml"),
        (rss(item(TITLE)).encode(), "text/xml; charset=utf-16"),
        (rss(item(TITLE), head='<?xml version="1.0" encoding="UTF-16"?>').encode("utf-16"), "application/xml"),
        (rss(item(TITLE), head='<?xml version="1.0" encoding="UTF-8"?>').encode("cp1252"), "application/xml"),
        (b"\n  " + rss(item(TITLE)).encode(), "application/xml"),
        (gzip.compress(rss(item(TITLE)).encode()), "application/xml"),
        (rss(item(TITLE, text="<media:odd>x</media:odd>")).encode(), "application/xml"),
        (rss(item(TITLE)).encode()[:-40], "application/xml"),
        (rss(item(TITLE)).encode() + b"<item><description><![CDATA[cut", "application/xml"),
        (rss(item(TITLE + "\x08")).encode(), "application/xml"),
    ],
    ids=[
        "plain", "charset in the prolog only", "says UTF-16, is UTF-8", "header says UTF-16", "really UTF-16",
        "says UTF-8, is not", "blank before the prolog", "gzip unannounced", "unknown namespace", "cut short",
        "cut in CDATA", "control character",
    ],
)  # fmt: skip
def test_damage_that_can_be_read_past(body: bytes, content_type: str) -> None:
    found = feeds.parse(body, content_type, "http://b.example/feed")
    assert found["entries"][0]["title"] == TITLE


def test_a_latin_1_feed_keeps_its_letters() -> None:
    body = rss(item("Brøndby slår FCK"), head='<?xml version="1.0" encoding="ISO-8859-1"?>').encode("iso-8859-1")
    assert feeds.parse(body, "text/xml", "http://b.example/")["entries"][0]["title"] == "Brøndby slår FCK"


ENTITIES = '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_dtd_with_entities_is_refused(encoding: str) -> None:
    body = f'<?xml version="1.0"?>{ENTITIES}<rss version="2.0"><channel><title>&b;</title></channel></rss>'
    assert "entities" in str(refused(body.encode(encoding)))


def test_a_dtd_without_entities_is_not(base: str) -> None:
    head = '<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://b.example/rss.dtd">'
    assert feeds.parse(rss(item(), head=head).encode(), "", base)["entries"]
    text = rss(item(text=f"<![CDATA[How to write <pre>{ENTITIES}</pre>]]>"))
    assert feeds.parse(text.encode(), "", base)["entries"], "an article about DTDs declares nothing"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<!doctype html><html><head><title>Logga in</title></head><body></body></html>", "HTML page (“Logga in”)"),
        (b"<html><link rel=alternate type=application/rss+xml href=/flode.xml></html>", "http://b.example/flode.xml"),
        (b"hello", "neither RSS, Atom nor JSON Feed"),
        (b'{"posts": []}', "no JSON Feed"),
        (b'{"version": "https://jsonfeed.org/version/1.1", "items": [', "cannot be read"),
        (gzip.compress(b"\0" * 6_000_000), "larger than 5 MiB"),
        (gzip.compress(rss(item()).encode())[:-20], "damaged"),
    ],
)
def test_what_is_no_feed_says_what_it_is(body: bytes, words: str) -> None:
    assert words in str(refused(body))


def test_a_json_feed_with_a_bad_item_gives_the_others() -> None:
    items = [{"id": 7, "content_text": "hej", "date_published": "2026-03-02T10:00:00+01:00"}, "nonsense", None]
    body = json.dumps({"version": "https://jsonfeed.org/version/1", "title": "T", "items": items}).encode()
    found = feeds.parse(body, "application/feed+json", "http://b.example/")
    assert [(one["id"], one["text"], one["published"]) for one in found["entries"]] == [
        ("7", "hej", "2026-03-02T09:00:00+00:00")
    ]
    assert len(found["set_aside"]) == 2


def test_a_large_feed_is_read_in_time() -> None:
    text = "&lt;p&gt;" + 'Snön ligger kvar. &lt;a href="/s"&gt;här&lt;/a&gt; ' * 75
    body = rss(*(item(f"nr {n}", text=text, id=f"http://b.example/{n}") for n in range(300))).encode()
    assert 1_000_000 < len(body) < 5_000_000
    started = time.monotonic()
    found = feeds.parse(body, "application/rss+xml", "http://b.example/feed")
    assert len(found["entries"]) == 300
    assert 'href="http://b.example/s"' in (found["entries"][0]["html"] or "")
    assert time.monotonic() - started < 5


def test_a_feed_that_takes_too_long_is_ended_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "WALL_SECONDS", 0.001)
    body = rss(*(item(f"nr {n}", id=f"http://b.example/{n}") for n in range(2000))).encode()
    error = refused(body)
    assert error.reason is Reason.too_large
    monkeypatch.setattr(feeds, "WALL_SECONDS", 5.0)
    assert feeds.parse(rss(item()).encode(), "", "http://b.example/")["entries"]


def test_a_worker_that_went_home_is_replaced() -> None:
    feeds.parse(rss(item()).encode(), "", "http://b.example/")
    for worker in feeds._idle:
        assert worker.process.stdin
        worker.process.stdin.close()
        assert worker.process.wait(5) == 0
    assert feeds.parse(rss(item()).encode(), "", "http://b.example/")["entries"]


def test_the_worker_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FB_PAGE_TOKEN", "do-not-tell")
    worker = feeds._Worker()
    try:
        with open(f"/proc/{worker.process.pid}/environ", "rb") as environment:
            assert b"do-not-tell" not in environment.read()
    finally:
        worker.close()


# -- HTML to text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Ett.</p><p>Två<br>rader</p>", "Ett.\n\nTvå\nrader"),
        ("a &amp; b", "a & b"),
        ("1 < 2", "1 < 2"),
        ("<ul><li>ett<li>två</ul>", "• ett\n• två"),
        ("<script>alert(1)</script>kvar<style>p{}</style>", "kvar"),
        ('hej <img src=x alt="😊">', "hej 😊"),
        ("  mycket \n luft  ", "mycket luft"),
    ],
)
def test_html_as_a_person_reads_it(html: str, text: str) -> None:
    assert plain_text(html) == text
    assert "\n" not in one_line(html)


def test_what_cannot_be_stored_is_left_out() -> None:
    assert clean({"a\0": ["b\ud800c", 1, None, "ö\n"]}) == {"a": ["bc", 1, None, "ö\n"]}
