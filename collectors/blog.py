"""Blogs: any feed, and the comments of a WordPress site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from channels.blog import BlogAccount, retry_at
from collectors import feeds
from collectors.base import Batch, Collector, Cursor, MentionData, SetAside
from collectors.blog_comments import Comments
from collectors.blog_entries import comment, comment_parts, external_id, mention, site_of_comments
from errors import ChannelError, CollectError, Reason
from outbound import Client, Fetched, without_secrets

if TYPE_CHECKING:
    from collectors.feed_parser import Feed as FeedData
    from settings import SourceSettings

ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
AT_ONCE = 100  # mentions in a batch


def feed(source: SourceSettings, account: BaseModel | None, http: Client) -> Collector:
    """The feed at ``source.url``."""
    if not source.url:
        raise CollectError(Reason.bad_request, f"{source.name}: a feed needs a url")
    return Feed(http, source.url, has_account=account is not None)


def comments(source: SourceSettings, account: BaseModel | None, http: Client) -> Collector:
    """All comments of a WordPress site: the account's, whose password goes nowhere else, or that at ``source.url``."""
    blog = account if isinstance(account, BlogAccount) else None
    site = blog.site if blog else source.url
    if not site:
        raise CollectError(Reason.bad_request, f"{source.name}: comments need an account or a url")
    return Comments(http, site, blog)


def as_collect_error(error: ChannelError) -> CollectError:
    return CollectError(error.reason, str(error), retry_at=error.retry_at, permanent=error.permanent)


def refusal(answer: Fetched) -> CollectError:
    """What a status that is neither 200 nor 304 means for a page or a feed."""
    told = f"{without_secrets(answer.url)} answers {answer.status}"
    if answer.status == 429:
        return CollectError(Reason.rate_limited, told, retry_at=retry_at(answer))
    if answer.status == 410:
        return CollectError(Reason.gone, f"{told}: it is gone for good")
    if answer.status == 404:
        return CollectError(Reason.gone, f"{told}: there is nothing at this address", permanent=False)
    if answer.status in (401, 403):
        return CollectError(Reason.forbidden, f"{told}: it is not open to everybody", permanent=False)
    if answer.status == 503 and (when := retry_at(answer)):
        return CollectError(Reason.unavailable, told, retry_at=when)
    return CollectError(Reason.unavailable if answer.status >= 500 else Reason.bad_payload, told)


class Feed:
    """One feed. The cursor holds ``for`` (the address as configured), ``url`` (where it has moved to for good),
    ``etag`` and ``modified``, and ``old``: the entries that were too old at the first pass and are still listed.
    """

    def __init__(self, http: Client, url: str, *, has_account: bool) -> None:
        self.http, self.url = http, url
        self.reason = "article" if has_account else "no_account"

    def collect(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        state: dict[str, Any] = dict(cursor or {})
        if state.get("for", self.url) != self.url:
            state = {"old": state.get("old", [])}
        url = state.get("url") or self.url
        try:
            answer = self.http.fetch(url, headers={"Accept": ACCEPT, **_conditions(state)})
        except ChannelError as error:
            raise as_collect_error(error) from error
        if answer.status == 304:
            yield Batch((), state)
            return
        if answer.status != 200:
            raise refusal(answer)
        found = feeds.parse(answer.body, answer.content_type, answer.url)
        mentions, set_aside, remarks = self.read(found, answer.url, now)
        old = set(state.get("old", ()))
        if cursor is None and since:
            old |= {key for key, made in mentions.items() if made.published_at < since}
        fresh = sorted((one for key, one in mentions.items() if key not in old), key=lambda one: one.published_at)
        state = {"for": self.url, "url": answer.moved_to or state.get("url"), "old": sorted(old & mentions.keys())}
        while len(fresh) > AT_ONCE:  # a long feed is stored bit by bit, so that others can write meanwhile
            yield Batch(tuple(fresh[:AT_ONCE]), state)
            fresh = fresh[AT_ONCE:]
        if found["whole"]:  # else what is missing is asked for again, whatever the site says of changes
            state = {**state, "etag": answer.headers.get("etag"), "modified": answer.headers.get("last-modified")}
        yield Batch(
            tuple(fresh),
            state,
            tuple(set_aside),
            facts={
                "title": found["title"],
                **({"site": found["link"]} if found["link"] else {}),
                **({"url": answer.moved_to} if answer.moved_to else {}),
                **({"dates": f"{len(remarks)} of {len(mentions)} entries: {remarks[0]}"} if remarks else {}),
            },
        )

    def read(
        self, found: FeedData, url: str, now: datetime
    ) -> tuple[dict[str, MentionData], list[SetAside], list[str]]:
        """Its entries as mentions by their ids, those that make no sense, and remarks about dates."""
        set_aside = [SetAside(item["reason"], item["raw"]) for item in found["set_aside"]]
        mentions: dict[str, MentionData] = {}
        remarks: list[str] = []
        site = site_of_comments(url)
        for entry in found["entries"]:
            key = external_id(entry)
            if key is None:
                set_aside.append(SetAside("an entry with neither id, link, title nor text", entry["raw"]))
                continue
            remark = None
            if parts := comment_parts(entry, site):
                made = comment(entry, parts, now, "no_account")  # whoever has one collects comments through it
                key = made.external_id
            else:
                made, remark = mention(entry, key, url, now, self.reason)
            if key in mentions:
                if (mentions[key].title, mentions[key].text) != (made.title, made.text):
                    set_aside.append(SetAside("another entry of this feed has the same id", entry["raw"], key))
                continue
            mentions[key] = made
            if remark:
                remarks.append(remark)
        return mentions, set_aside, remarks


def _conditions(state: Mapping[str, Any]) -> dict[str, str]:
    """Headers that let the site answer "as before"."""
    told = {"If-None-Match": state.get("etag"), "If-Modified-Since": state.get("modified")}
    return {name: value for name, value in told.items() if value}
