"""X, backwards: a page at a time below the lowest id read so far.

X gives the 800 newest mentions of an account and 3,200 of its own posts; its search goes a week back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import outbound
from channels import twitter as x
from collectors import twitter
from collectors.base import Batch, Cursor
from errors import ChannelError, CollectError, Reason
from settings import SourceSettings


def mentions(source: SourceSettings, account: x.TwitterAccount, http: outbound.Client) -> TwitterHistorian:
    return TwitterHistorian(account, twitter.about_us(account, http))


def search(source: SourceSettings, account: x.TwitterAccount, http: outbound.Client) -> TwitterHistorian:
    return TwitterHistorian(account, twitter.found_by(source, account, http))


class TwitterHistorian:
    """One list after the other. The cursor: which of them (``list``), and below which id to go on (``below``).

    An id and no page token: a page token may have run out when an import goes on after days.
    """

    def __init__(self, account: x.TwitterAccount, lists: tuple[twitter._List, ...]) -> None:
        self._collector, self._lists = twitter.TwitterCollector(account, lists), lists

    def page(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        number, below = (cursor["list"], cursor["below"]) if cursor else (0, None)
        one = self._lists[number]
        read = twitter._Read()
        try:
            try:
                page = self._ask(one, below, since, now)
            except ChannelError as error:
                if one.instead is None or error.reason is not Reason.gone:
                    raise
                page = self._ask(one.instead, below, since, now)
        except ChannelError as error:
            raise CollectError(error.reason, str(error), retry_at=error.retry_at, permanent=error.permanent) from error
        self._collector.take(page, one, read)
        meta = page.get("meta")
        lowest = min(read.posts, default=None)
        if lowest is not None and isinstance(meta, Mapping) and meta.get("next_token"):
            after: dict[str, Any] = {"list": number, "below": str(lowest)}
        else:
            after = {"list": number + 1, "below": None}
        batches = list(self._collector.hand_over(read, {}))
        for batch in batches[:-1]:  # should it end here, the page is read again
            yield replace(batch, cursor=cursor or {"list": 0, "below": None})
        yield replace(batches[-1], cursor=after, last=after["list"] == len(self._lists))

    def _ask(self, one: twitter._List, below: str | None, since: datetime | None, now: datetime) -> Mapping[str, Any]:
        bounds: dict[str, Any] = {"until_id": below} if below else {}
        earliest = now - one.reaches + twitter.MARGIN if one.reaches else None
        start = max(filter(None, (since, earliest)), default=None)
        if start is not None:
            bounds["start_time"] = start
        fields = {**twitter.FIELDS, **bounds}
        return next(x.pages(one.method, *one.args, next_as=one.next_as, max_results=twitter.PAGE, **fields))
