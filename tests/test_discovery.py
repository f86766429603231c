"""From any page of a blog to its feeds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask, Response

import outbound
from collectors.blog_discovery import discover
from errors import CollectError, Reason
from sandbox.base import serving
from sandbox.blog import Blog, WordPress

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def http() -> outbound.Client:
    return outbound.Client(allow_private_networks=True, connect_timeout=1, read_timeout=2)


@pytest.fixture
def wordpress() -> Iterator[str]:
    site = WordPress("Storbybloggen")
    site.publish("Så plogar vi", "Stora gatorna först.", at=AT)
    site.write("Gunnel", "Hur länge?", at=AT)
    with serving(site.app) as url:
        yield url


@pytest.mark.parametrize("path", ["", "/", "/?p=1", "/feed/"])
def test_a_wordpress_site_from_any_page(wordpress: str, http: outbound.Client, path: str) -> None:
    found = discover(wordpress + path, http)
    assert found.feed_url == f"{wordpress}/feed/"
    assert found.title == "Storbybloggen"
    assert [(one.title, one.published_at, one.text) for one in found.items] == [
        ("Så plogar vi", AT, "Stora gatorna först.")
    ]
    if path != "/feed/":
        assert found.comment_feed_url == f"{wordpress}/comments/feed/"
        assert found.rest_url == f"{wordpress}/wp-json/"
        assert found.site == wordpress


@pytest.mark.parametrize("path", ["/", "/1-sn-/", "/feed/atom/", "/feed.json"])
def test_a_plain_blog_from_any_page(http: outbound.Client, path: str) -> None:
    blog = Blog("Grannbloggen")
    blog.write("Annika", "Text", title="Snö", at=AT)
    with serving(blog.app) as url:
        found = discover(url + path, http)
    assert found.title == "Grannbloggen"
    assert [one.author for one in found.items] == ["Annika"]
    assert (found.rest_url, found.comment_feed_url) == (None, None)


def site(pages: dict[str, Response]) -> Flask:
    app = Flask("tests.pages")
    app.add_url_rule("/<path:path>", view_func=lambda path: pages.get(path, Response("", 404)))
    app.add_url_rule("/", endpoint="root", view_func=lambda: pages.get("", Response("", 404)))
    return app


RSS = '<rss version="2.0"><channel><title>T</title><item><title>A</title><guid>1</guid></item></channel></rss>'


LINK = '<link rel="alternate" type="application/rss+xml" href="{}">'
EMPTY = "<html></html>"


@pytest.mark.parametrize(
    ("pages", "feed"),
    [
        ({"": Response(EMPTY), "rss.xml": Response(RSS)}, "/rss.xml"),
        (
            {
                "": Response(EMPTY, headers={"Link": '</x>; rel="alternate"; type="application/rss+xml"'}),
                "x": Response(RSS),
            },
            "/x",
        ),
        ({"a/b/": Response(EMPTY), "a/b/feed": Response(RSS)}, "/a/b/feed"),
        ({"": Response(f'<base href="/sub/">{LINK.format("f")}'), "sub/f": Response(RSS)}, "/sub/f"),
        ({"": Response(LINK.format("/gone")), "feed": Response(RSS)}, "/feed"),
    ],
    ids=["usual name", "Link header", "folder of the page", "base of the page", "named one is gone"],
)
def test_where_feeds_hide(http: outbound.Client, pages: dict[str, Response], feed: str) -> None:
    start = next(iter(pages))
    with serving(site(pages)) as url:
        assert discover(f"{url}/{start}", http).feed_url == url + feed


def test_a_page_without_a_feed_says_so(http: outbound.Client) -> None:
    with serving(site({"": Response("<html><title>Hej</title></html>")})) as url:
        with pytest.raises(CollectError, match="No feed was found") as caught:
            discover(url, http)
        assert caught.value.reason is Reason.bad_payload
        with pytest.raises(CollectError, match="answers 404"):
            discover(f"{url}/nothing", http)


def test_a_feed_at_a_private_address_is_not_fetched(wordpress: str) -> None:
    with pytest.raises(CollectError) as caught:
        discover(wordpress, outbound.Client())
    assert caught.value.reason is Reason.refused_address


@pytest.mark.parametrize("piece", ["<!--", "<link ", "<base <", "<title>", "<![CDATA["])
def test_a_page_made_to_be_slow_is_not(http: outbound.Client, piece: str) -> None:
    with serving(site({"": Response("<html>" + piece * (1_000_000 // len(piece)))})) as url:
        started = time.monotonic()
        with pytest.raises(CollectError):
            discover(url, http)
    assert time.monotonic() - started < 3
