"""A Facebook page, backwards: some posts at a time, each with everything said under it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from channels.facebook import FacebookAccount, Graph, GraphError
from collectors.base import Batch, Cursor, MentionData, SetAside
from collectors.facebook import CHUNK, POST_FIELDS, WINDOW, PageCollector
from errors import ChannelError, CollectError, Reason
from outbound import Client

POSTS = 5  # in a page: each of them costs a call or more for its comments
LISTS = ("feed", "tagged")


def page(source: object, account: FacebookAccount, http: Client) -> PageHistorian:
    return PageHistorian(account, http)


class PageHistorian:
    """The page's feed, then what tags it elsewhere. The cursor: which of them (``list``), and what to ask for to get
    its next page (``next``)."""

    def __init__(self, account: FacebookAccount, http: Client) -> None:
        self._us = account.page_id
        self._collector, self._graph = PageCollector(account, http), Graph(account, http)

    def page(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        here: dict[str, Any] = dict(cursor or {"list": 0, "next": None})
        try:
            yield from self._page(here, since)
        except ChannelError as error:
            raise CollectError(error.reason, str(error), retry_at=error.retry_at, permanent=error.permanent) from error

    def _page(self, here: Cursor, since: datetime | None) -> Iterator[Batch]:
        args = {"fields": POST_FIELDS, "limit": str(POSTS), "include_hidden": "true", **(here["next"] or {})}
        if since is not None:
            args["since"] = str(int((since - WINDOW).timestamp()))  # something new may stand under an older post
        try:
            items, following = self._graph.page(f"{self._us}/{LISTS[here['list']]}", **args)
        except GraphError as error:
            # What is said elsewhere takes a permission that a page may do without.
            if not here["list"] or error.reason not in (Reason.gone, Reason.bad_request, Reason.forbidden):
                raise
            refused = SetAside(f"Posts that tag the page cannot be read: {error}", {"page": self._us})
            yield Batch((), here, (refused,), last=True)
            return
        posts, damaged = self._collector.posts(items)
        mentions: list[MentionData] = []
        for post in sorted(posts, key=lambda post: (post.at, post.id)):
            said, odd = self._collector.thread(post, since)
            mentions += said
            damaged += odd
            while len(mentions) > CHUNK:  # should it end here, the page is read again
                yield Batch(tuple(mentions[:CHUNK]), here)
                del mentions[:CHUNK]
        turned = following is not None and following != here["next"] and bool(items)
        after = {**here, "next": following} if turned else {"list": here["list"] + 1, "next": None}
        yield Batch(tuple(mentions), after, tuple(damaged), last=after["list"] == len(LISTS))
