"""From any page of a blog to its feeds: what the page names, what WordPress says, what is usual."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests.utils

from collectors import feeds
from collectors.blog import ACCEPT, as_collect_error, refusal
from errors import ChannelError, CollectError, Reason
from outbound import MIB, Client, Fetched

if TYPE_CHECKING:
    from collectors.feed_parser import Feed

_TYPES = ("application/rss+xml", "application/atom+xml", "application/feed+json")
_USUAL = ("feed/", "feed", "rss", "rss.xml", "atom.xml", "feed.xml", "index.xml", "feed.json")
_PREVIEW = 5
LIMIT = 5 * MIB
_PAGE_LIMIT = 2 * MIB  # links stand at the beginning


@dataclass(frozen=True)
class Preview:
    """One entry as it would be collected."""

    title: str
    published_at: datetime | None
    url: str | None
    author: str | None
    text: str  # its beginning


@dataclass(frozen=True)
class Found:
    """What stands behind an address. ``rest_url``: the site's WordPress REST API, where comments come whole."""

    feed_url: str
    title: str
    items: tuple[Preview, ...]
    comment_feed_url: str | None = None
    rest_url: str | None = None
    site: str | None = None  # what ``collect: comments`` takes as ``url``


class _Links(HTMLParser):
    """The ``<link>`` elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.base: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and given.get("href"):
            self.found.append(given)
        elif tag == "base" and given.get("href") and self.base is None:
            self.base = given["href"]


def discover(url: str, http: Client) -> Found:
    """The feed at or behind ``url``, with a preview. Raises ``CollectError`` in words a person understands."""
    if "://" not in url:
        url = f"https://{url}"
    page = _get(http, url)
    if page.status != 200:
        raise refusal(page)
    try:
        return _found(page.url, feeds.parse(page.body, page.content_type, page.url))
    except CollectError as error:
        if error.reason is not Reason.bad_payload:
            raise
    named, comments, rest = _named(page)
    seen: set[str] = set()
    for candidate in [*named, *(urljoin(root, name) for root in _roots(page.url) for name in _USUAL)]:
        if candidate in seen or len(seen) >= 12:
            continue
        seen.add(candidate)
        try:
            answer = _get(http, candidate)
            if answer.status != 200:
                continue
            found = _found(answer.url, feeds.parse(answer.body, answer.content_type, answer.url))
        except CollectError as error:
            if candidate in named and error.reason in (Reason.refused_address, Reason.rate_limited):
                raise
            continue
        site = rest.partition("/wp-json")[0].partition("/?rest_route")[0] if rest else None
        return Found(found.feed_url, found.title, found.items, comments or found.comment_feed_url, rest, site)
    raise CollectError(
        Reason.bad_payload, f"No feed was found at {urlsplit(page.url).netloc}: neither named nor usual."
    )


def _get(http: Client, url: str) -> Fetched:
    try:
        return http.fetch(url, headers={"Accept": f"text/html, {ACCEPT}"}, limit=LIMIT)
    except ChannelError as error:
        raise as_collect_error(error) from error


def _roots(url: str) -> list[str]:
    """The folder of the page, and the root of its site."""
    return list(dict.fromkeys((urljoin(url, "."), urljoin(url, "/"))))


def _named(page: Fetched) -> tuple[list[str], str | None, str | None]:
    """Feeds a page names, best first; its comment feed; its REST API."""
    reader = _Links()
    # Only the tags that matter reach the parser: whole pages are made to cost it hours.
    text = re.sub(r"<!--.*?(?:-->|\Z)", "", page.body[:_PAGE_LIMIT].decode("utf-8", "replace"), flags=re.DOTALL)
    reader.feed("".join(re.findall(r"<(?:link|base)\b[^<>]{0,2000}>", text, re.IGNORECASE)))
    base = urljoin(page.url, reader.base or "")
    links = [{**one, "href": urljoin(base, one["href"])} for one in reader.found]
    for one in requests.utils.parse_header_links(page.headers.get("link", "")):
        links.append({**one, "href": urljoin(page.url, one.get("url", ""))})
    named: list[str] = []
    comments: list[str] = []
    rest = None
    for one in links:
        rel, kind = one.get("rel", "").lower().split(), one.get("type", "").lower().partition(";")[0].strip()
        if "https://api.w.org/" in rel:
            rest = one["href"]
        elif "alternate" in rel and kind in _TYPES:
            about = (urlsplit(one["href"]).path + one.get("title", "")).lower()
            (comments if "comment" in about or "kommentar" in about else named).append(one["href"])
    of_site = [one for one in comments if urlsplit(one).path.rstrip("/").endswith("comments/feed")]
    return named, next(iter(of_site or comments), None), rest


def _found(url: str, feed: Feed) -> Found:
    previews = tuple(
        Preview(
            title=entry["title"] or "",
            published_at=datetime.fromisoformat(entry["published"]) if entry["published"] else None,
            url=entry["link"],
            author=entry["author"]["name"] if entry["author"] else None,
            text=entry["text"][:300],
        )
        for entry in feed["entries"][:_PREVIEW]
    )
    comment_feed = next((entry["comment_feed"] for entry in feed["entries"] if entry["comment_feed"]), None)
    return Found(url, feed["title"], previews, comment_feed_url=comment_feed)
