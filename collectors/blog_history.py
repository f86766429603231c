"""What a blog still has of the past: the earlier pages of a feed, and all comments of a WordPress site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from channels.blog import NoRest, WordPress, instant
from collectors import blog, feeds
from collectors.base import Batch, Cursor, Historian, MentionData, SetAside
from collectors.blog_comments import Comments
from errors import ChannelError, CollectError
from outbound import Client, Fetched

if TYPE_CHECKING:
    from collectors.feed_parser import Feed
    from settings import SourceSettings

PAGES = 5000  # of a feed; more of them lead in a circle
KEYS = 500


def feed(source: SourceSettings, account: BaseModel | None, http: Client) -> Historian:
    collector = blog.feed(source, account, http)
    assert isinstance(collector, blog.Feed)
    return FeedHistorian(collector)


def comments(source: SourceSettings, account: BaseModel | None, http: Client) -> Historian:
    collector = blog.comments(source, account, http)
    assert isinstance(collector, Comments)
    return CommentHistorian(collector)


class FeedHistorian:
    """From the newest page backwards: by the link to the earlier one (RFC 5005), else as WordPress numbers its pages.

    The cursor: ``url`` of the page to read, its number (``paged``), and the ``keys`` of the page before. A site that
    has no pages gives the same one again, or none.
    """

    def __init__(self, collector: blog.Feed) -> None:
        self._feed, self._http = collector, collector.http

    def page(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        here: dict[str, Any] = dict(cursor or {"url": self._feed.url, "paged": 1, "keys": []})
        found, answer = _fetched(self._http, here)
        if found is None:
            yield Batch((), here, last=True)
            return
        mentions, set_aside, _ = self._feed.read(found, answer.url, now)
        yield _paged(here, mentions, set_aside, found["earlier"], self._feed.url, since)


class CommentHistorian:
    """From the oldest on, by REST; the cursor: ``after`` (the second of the newest comment read), the numbers of
    those ``seen`` of that second, ``page`` when one second fills more than one, and ``user``, our number there.
    Where there is no REST, backwards through the pages of the comment feed, as ``FeedHistorian`` does.
    """

    def __init__(self, collector: Comments) -> None:
        self._comments = collector

    def page(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        try:
            try:
                if cursor is not None and "url" in cursor:
                    yield self._by_feed(dict(cursor), since, now)
                else:
                    yield self._by_rest(cursor, since)
            except NoRest:
                address, _, _ = self._comments.find_feed(None)
                yield self._by_feed({"url": address, "paged": 1, "keys": [], "first": address}, since, now)
        except CollectError:
            raise
        except ChannelError as error:
            raise blog.as_collect_error(error) from error

    def _by_rest(self, cursor: Cursor | None, since: datetime | None) -> Batch:
        rest: WordPress = self._comments.rest
        here: dict[str, Any] = dict(
            cursor or {"after": since and since.isoformat(), "seen": [], "page": 1, "user": None}
        )
        if cursor is None and self._comments.account is not None:
            here["user"] = rest.me()["id"]
        start = datetime.fromisoformat(here["after"]) if here["after"] else None
        items, _, last = self._comments.page(start, here["page"])
        fresh = [item for item in items if item.get("id") not in here["seen"]]
        mentions, set_aside = self._comments.read(fresh, {}, {}, here["user"], since)
        seconds = {item["id"]: when for item in items if (when := _second(item)) is not None}
        newest = max(seconds.values(), default=None)
        if newest is None or (start is not None and newest <= start):  # one second fills the page, or nothing is a date
            after = {**here, "page": here["page"] + 1, "seen": [*here["seen"], *seconds]}
        else:
            at_last = [number for number, when in seconds.items() if when == newest]
            after = {**here, "after": newest.isoformat(), "page": 1, "seen": at_last}
        return Batch(tuple(mentions), after, tuple(set_aside), last=last)

    def _by_feed(self, here: dict[str, Any], since: datetime | None, now: datetime) -> Batch:
        found, _ = _fetched(self._comments.http, here)
        if found is None:
            return Batch((), here, last=True)
        mentions: dict[str, MentionData] = {}
        set_aside: list[SetAside] = []
        for entry in found["entries"]:
            self._comments.take(entry, mentions, set_aside, None, now)
        return _paged(here, mentions, set_aside, found["earlier"], here["first"], since)


def _second(item: Mapping[str, Any]) -> datetime | None:
    try:
        return instant(str(item["date_gmt"])) if isinstance(item.get("id"), int) else None
    except (KeyError, ValueError):
        return None


def _fetched(http: Client, here: Mapping[str, Any]) -> tuple[Feed | None, Fetched]:
    """The feed at this page; None where there is no such page."""
    try:
        answer = http.fetch(here["url"], headers={"Accept": blog.ACCEPT})
    except ChannelError as error:
        raise blog.as_collect_error(error) from error
    if here["paged"] > 1 and answer.status in (400, 404, 410):
        return None, answer
    if answer.status != 200:
        raise blog.refusal(answer)
    return feeds.parse(answer.body, answer.content_type, answer.url), answer


def _paged(
    here: Mapping[str, Any],
    mentions: Mapping[str, MentionData],
    set_aside: list[SetAside],
    earlier: str | None,
    first: str,
    since: datetime | None,
) -> Batch:
    """The page as a batch, and where the one before it is."""
    number = here["paged"] + 1
    url = earlier if earlier and earlier != here["url"] else f"{first}{'&' if '?' in first else '?'}paged={number}"
    new = mentions.keys() - set(here["keys"])
    too_old = since is not None and all(mentions[key].published_at < since for key in mentions)
    by_link = here.get("by_link", False)  # a site that links its pages says itself which is the last
    last = not new or too_old or number > PAGES or (by_link and not earlier)
    after = {**here, "url": url, "paged": number, "keys": sorted(mentions)[:KEYS], "by_link": earlier is not None}
    wanted = [one for one in mentions.values() if since is None or one.published_at >= since]
    wanted.sort(key=lambda one: (one.published_at, one.external_id))
    return Batch(tuple(wanted), after, tuple(set_aside), last=last)
