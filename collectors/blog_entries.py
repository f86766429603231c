"""Entries of a feed as mentions: their ids, their dates, and WordPress's comments among them."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from channels.blog import comment_id
from collectors.base import OLDEST, Attachment, AuthorData, MentionData
from collectors.plain import plain_text

if TYPE_CHECKING:
    from collectors.feed_parser import Entry

# The guid WordPress gives a comment: the article's guid and the comment's number.
_COMMENT_GUID = re.compile(
    r"^(?P<site>https?://[^?#]+?)/?\?(?:[^#]*&)?p(?:age_id)?=(?P<post>\d+)[^#]*#comment-(?P<n>\d+)$"
)
# An article made by a program (an import, XML-RPC, wp-cli) has its permalink as its guid: no numbers but the comment's.
_COMMENT_LINK = re.compile(r"^https?://[^#]+#comment-(?P<n>\d+)$")
_COMMENT_FEED = re.compile(
    r"^(?P<site>https?://[^?#]+?)(?:/index\.php)?/(?:comments/feed\b|(?:index\.php)?\?feed=comments-)"
)
# What WordPress writes before an answer in its comment feeds, in whatever language.
_IN_REPLY_TO = re.compile(
    r"""\A\s*<p>[^<]{0,80}<a href="[^"]*\#comment-(\d+)"[^>]*>.{0,200}?</a>[^<]{0,40}</p>\s*""", re.S
)


def published_at(entry: Entry, now: datetime) -> tuple[datetime, str | None]:
    """When it was published, and a remark where that had to be guessed: nothing is later than ``now``."""
    if entry["published"] is None:
        said = f" (it says “{entry['date_text'][:60]}”)" if entry["date_text"] else ""
        return now, f"no readable date{said}: the time of collection is used"
    found = datetime.fromisoformat(entry["published"])
    if found < OLDEST:
        return now, f"dated {found:%Y-%m-%d}: the time of collection is used"
    if found > now + timedelta(minutes=5):
        return now, f"dated {found:%Y-%m-%d %H:%M} UTC, in the future: the time of collection is used"
    return min(found, now), None


def external_id(entry: Entry) -> str | None:
    """The entry's id, else its link, else a digest of title and date; None when it has none of them."""
    if entry["id"] or entry["link"]:
        return entry["id"] or entry["link"]
    if not entry["title"] and not entry["text"]:
        return None
    said = f"{entry['title'] or entry['text']}\n{entry['published'] or entry['date_text'] or ''}"
    return f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def comment_parts(entry: Entry, site: str | None = None) -> tuple[str, int | None, int] | None:
    """A WordPress comment's site, article number (None: it does not tell) and own number; None for everything else.

    ``site``: whose comments these are, where that is known.
    """
    addresses = [address for address in (entry["id"], entry["link"]) if address]
    for address in addresses:
        if found := _COMMENT_GUID.match(address):
            return site or found["site"], int(found["post"]), int(found["n"])
    for address in addresses if site else ():
        if found := _COMMENT_LINK.match(address):
            return site or "", None, int(found["n"])
    return None


def site_of_comments(feed_url: str) -> str | None:
    """The site whose comment feed this is, by its address; None where it is another feed."""
    found = _COMMENT_FEED.match(feed_url)
    return found["site"] if found else None


def _edited_at(entry: Entry, published: datetime, now: datetime) -> datetime | None:
    updated = datetime.fromisoformat(entry["updated"]) if entry["updated"] else None
    return updated if updated and published < updated <= now else None


def mention(entry: Entry, key: str, feed_url: str, now: datetime, reason: str) -> tuple[MentionData, str | None]:
    """An article (or anything else in a feed) and a remark about its date. ``reason``: why it cannot be answered."""
    published, remark = published_at(entry, now)
    author = entry["author"]
    host = urlsplit(feed_url).hostname or ""
    return MentionData(
        external_id=key,
        author=AuthorData(
            external_id=author.get("url") or f"{host}/author/{author['name'].casefold()}",
            name=author["name"],
            url=author.get("url"),
        )
        if author
        else None,
        text=entry["text"],
        published_at=published,
        url=_web_address(entry["link"], feed_url),
        title=entry["title"],
        html=entry["html"],
        in_reply_to=entry["in_reply_to"],
        can_reply_reason=reason,
        attachments=tuple(Attachment(type=found["type"], url=found["url"]) for found in entry["attachments"]),
        edited_at=_edited_at(entry, published, now),
        raw={**entry["raw"], **({"gensvar_date": remark} if remark else {})},
    ), remark


def _web_address(link: str | None, base: str) -> str | None:
    try:
        found = urljoin(base, link) if link else ""
        return found if urlsplit(found).scheme in ("http", "https") else None
    except ValueError:
        return None


def comment(entry: Entry, parts: tuple[str, int | None, int], now: datetime, reason: str | None) -> MentionData:
    """A comment out of a WordPress comment feed, with the ids its REST API would give. ``parts``: ``comment_parts``;
    ``reason``: why it cannot be answered, None when it can.
    """
    site, post, number = parts
    html, text, parent = entry["html"] or "", entry["text"], 0
    if answer := _IN_REPLY_TO.match(html):
        html, parent = html[answer.end() :], int(answer[1])
        text = plain_text(html)
    published, _ = published_at(entry, now)
    name = entry["author"]["name"] if entry["author"] else ""
    return MentionData(
        external_id=comment_id(site, number),
        author=guest(site, name, (entry["author"] or {}).get("url")) if name else None,
        text=text,
        published_at=published,
        url=entry["link"],
        html=html,
        in_reply_to=comment_id(site, parent) if parent else None,
        thread=(entry["id"] or entry["link"] or "").partition("#")[0],
        can_reply=reason is None,
        can_reply_reason=reason,
        reply_address={"parent": number} if post is None else {"post": post, "parent": number},
        raw=entry["raw"],
    )


def guest(site: str, name: str, url: str | None) -> AuthorData:
    """Somebody who wrote without logging in: on one site, the same name is the same person, for want of better."""
    return AuthorData(external_id=comment_id(site, f"by/{name.casefold()}"), name=name, url=url)
