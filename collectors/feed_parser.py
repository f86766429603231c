"""Bytes to a feed: RSS and Atom of every kind by feedparser, JSON Feed 1.x by hand.

Runs in a process of its own (``feed_worker``), for the time and memory a hostile feed can cost; everything that goes
in or comes out is JSON or bytes.
"""

from __future__ import annotations

import gzip
import html
import io
import json
import re
import xml.sax
import zlib
from datetime import datetime
from typing import Any, TypedDict
from urllib.parse import urljoin, urlsplit

import feedparser

from collectors.feed_dates import date_handler, from_parsed, parse_date
from collectors.plain import clean, one_line, plain_text

LIMIT = 5 * 1024 * 1024  # bytes, also of what was packed

LARGE = 512 * 1024  # bytes; from here on feedparser's own cleaning of markup would take longer than the reading

feedparser.registerDateHandler(date_handler)
# An id is an id, also when it looks like an address without its beginning (RFC 4287, 4.2.6).
feedparser.mixin._FeedParserMixin.can_be_relative_uri.discard("id")


class Refused(Exception):
    """The bytes are no feed we read. ``reason`` is a code: html, not_a_feed, empty, entities, too_large, damaged."""

    def __init__(self, reason: str, message: str, hint: str | None = None) -> None:
        self.reason, self.hint = reason, hint
        super().__init__(message)


class Entry(TypedDict):
    """One entry. ``published`` and ``updated`` are ISO instants, None where there is none that can be read."""

    id: str | None
    link: str | None
    title: str | None
    html: str | None
    text: str
    author: dict[str, str] | None  # name, url
    published: str | None
    updated: str | None
    date_text: str | None  # what stood where the date should be
    attachments: list[dict[str, str]]
    in_reply_to: str | None
    comment_feed: str | None
    raw: dict[str, Any]


class Feed(TypedDict):
    kind: str  # rss20, atom10, json11 …
    title: str
    link: str | None
    earlier: str | None  # the page with what came before (RFC 5005; JSON Feed's next_url)
    entries: list[Entry]
    whole: bool  # False where it is not well-formed: it may have been cut off
    set_aside: list[dict[str, Any]]  # reason, raw


_NOT_TEXT = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)
_WIDE = re.compile(r"(utf|ucs|iso-10646-ucs)-?_?(16|32|2|4)", re.IGNORECASE)


def parse(body: bytes, content_type: str, url: str) -> Feed:
    """The feed in ``body``, which came from ``url``. Raises ``Refused``."""
    found: Feed = clean(_parse(body, content_type, url))
    return found


def _parse(body: bytes, content_type: str, url: str) -> Feed:
    body = _unpacked(body)
    if not body.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise Refused("empty", "the answer is empty")
    if _looks_like_json(body, content_type):
        return _json_feed(body, url)
    if declares_entities(body):
        raise Refused("entities", "it declares entities of its own (DTD), which is refused")
    return _xml_feed(body, content_type, url)


def _unpacked(body: bytes) -> bytes:
    """Some servers hand out a packed file as it lies there, without saying so."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            body = packed.read(LIMIT + 1)
    except (OSError, EOFError, zlib.error):
        raise Refused("damaged", "it is packed with gzip and damaged") from None
    if len(body) > LIMIT:
        raise Refused("too_large", f"it is larger than {LIMIT // (1024 * 1024)} MiB when unpacked")
    return body


def declares_entities(body: bytes) -> bool:
    """Does a document type definition in here declare entities? Whatever the encoding: zero bytes are left out."""
    text = body.replace(b"\0", b"").decode("latin-1")
    if not re.search(r"<!ENTITY", text, re.IGNORECASE):
        return False
    return bool(re.search(r"<!ENTITY", _NOT_TEXT.sub("", text), re.IGNORECASE))


# -- RSS and Atom ---------------------------------------------------------------------------------------------------


_HTML = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)


def _xml_feed(body: bytes, content_type: str, url: str) -> Feed:
    text = _decoded(body[:500_000])
    start = text[:4096].lstrip("\ufeff")
    if _HTML.match(start) and not re.search(r"<(rss|feed|rdf:rdf|channel)\b", start, re.IGNORECASE):
        raise Refused("html", f"an HTML page{_page_title(text)} where a feed should be", _feed_in_page(text, url))
    found = _feedparser(body, content_type, url)
    if not found.entries and not found.version and not re.search(r"<channel\b", text[:4096], re.IGNORECASE):
        if re.search(r"<\s*(!doctype\s+html|html|head|body)\b", text[:4096], re.IGNORECASE):
            raise Refused("html", f"an HTML page{_page_title(text)} where a feed should be", _feed_in_page(text, url))
        why = f" ({found.bozo_exception})" if found.get("bozo") else ""
        raise Refused("not_a_feed", f"neither RSS, Atom nor JSON Feed{why}")
    entries, set_aside = [], []
    for item in found.entries:
        try:
            entries.append(_entry(item))
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
            set_aside.append({"reason": f"cannot be read: {error}", "raw": repr(item)[:20_000]})
    return Feed(
        kind=found.version or "unknown",
        title=_title(found.feed),
        link=_web_address(found.feed.get("link")),
        earlier=_earlier(found.feed.get("links") or ()),
        entries=entries,
        whole=not isinstance(found.get("bozo_exception"), xml.sax.SAXException),
        set_aside=set_aside,
    )


def _feedparser(body: bytes, content_type: str, url: str) -> Any:
    headers = {"content-location": url, "content-type": content_type or "application/xml"}
    claims = content_type + body[:200].decode("latin-1")
    if b"\0" not in body[:200] and _WIDE.search(claims):
        # Said to be UTF-16 and plainly is not: a common mistake, and not one byte of it would be read.
        headers["content-type"] = f"application/xml; charset={_narrow_charset(body)}"
    lean = len(body) > LARGE
    found = feedparser.parse(body, response_headers=headers, sanitize_html=not lean, resolve_relative_uris=not lean)
    if lean:
        for item in found.entries:
            for form in item.get("content") or ():
                form["value"] = _absolute(form.get("value") or "", form.get("base") or url)
            if item.get("summary"):
                item["summary"] = _absolute(item["summary"], (item.get("summary_detail") or {}).get("base") or url)
    return found


def _absolute(markup: str, base: str) -> str:
    """Links in the markup made absolute; what is no link to the letter stays as it is, for the sanitiser to judge."""

    def resolve(found: re.Match[str]) -> str:
        try:
            return f"{found[1]}{urljoin(base, found[2])}{found[3]}"
        except ValueError:
            return found[0]

    return re.sub(r"""(\s(?:href|src)=")(?![a-z]+:|\#)([^"<>]*)(")""", resolve, markup, flags=re.IGNORECASE)


def _narrow_charset(body: bytes) -> str:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"


def _decoded(body: bytes) -> str:
    return body.replace(b"\0", b"").decode(_narrow_charset(body), "replace")


def _page_title(text: str) -> str:
    found = re.search(r"<title[^<>]*>(.*?)</title>", text[:20_000], re.IGNORECASE | re.DOTALL)
    title = one_line(found[1])[:80] if found else ""
    return f" (“{title}”)" if title else ""


def _feed_in_page(text: str, url: str) -> str | None:
    for tag in re.findall(r"<link\b[^<>]{0,2000}>", text[:500_000], re.IGNORECASE):
        if re.search(r"application/(rss|atom|feed)\+", tag, re.IGNORECASE):
            href = re.search(r"""href\s*=\s*["']?([^"'\s>]+)""", tag, re.IGNORECASE)
            if href:
                return str(urljoin(url, href[1]))
    return None


def _web_address(value: Any) -> str | None:
    address = str(value or "").strip()
    try:
        return address if urlsplit(address).scheme in ("http", "https") else None
    except ValueError:
        return None


def _earlier(links: Any) -> str | None:
    by_rel = {str(link.get("rel")).rpartition("/")[2]: link.get("href") for link in links}
    return _web_address(by_rel.get("prev-archive") or by_rel.get("next"))


def _entry(item: Any) -> Entry:
    markup, text = _content(item)
    published = from_parsed(item.get("published_parsed") or item.get("created_parsed"))
    updated = from_parsed(item.get("updated_parsed"))
    reply = item.get("thr_in-reply-to")
    return Entry(
        id=str(item.get("id") or "").strip() or None,
        link=str(item.get("link") or "").strip() or None,
        title=_title(item) or None,
        html=markup,
        text=text,
        author=_author(item),
        published=_iso(published or updated),
        updated=_iso(updated),
        date_text=str(item.get("published") or item.get("updated") or item.get("created") or "") or None,
        attachments=_attachments(item),
        in_reply_to=(str(reply.get("ref") or "") or None) if isinstance(reply, dict) else None,
        comment_feed=_web_address(item.get("wfw_commentrss")),
        raw=_plain(item),
    )


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _title(item: Any) -> str:
    """One line. What is said to be plain text may hold a < of its own."""
    value = str(item.get("title") or "")
    plain = (item.get("title_detail") or {}).get("type") == "text/plain" and not re.search(r"</[a-zA-Z]", value)
    return " ".join(html.unescape(value).split()) if plain else one_line(value)


def _content(item: Any) -> tuple[str | None, str]:
    """The fullest form the entry has, as HTML (None where there is only text) and as text."""
    forms = [form for form in item.get("content") or () if form.get("value")]
    if not forms and item.get("summary"):
        forms.append({"type": (item.get("summary_detail") or {}).get("type"), "value": item["summary"]})
    if not forms:
        return None, ""
    best = next((form for form in forms if "html" in (form.get("type") or "")), forms[0])
    value = str(best["value"])
    return (None, value.strip()) if best.get("type") == "text/plain" else (value, plain_text(value))


def _author(item: Any) -> dict[str, str] | None:
    detail = item.get("author_detail") or {}
    name = one_line(str(detail.get("name") or item.get("author") or detail.get("email") or ""))
    if not name:
        return None
    address = _web_address(detail.get("href"))
    return {"name": name, **({"url": address} if address else {})}


def _attachments(item: Any) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    enclosures = [link for link in item.get("links") or () if link.get("rel") == "enclosure"]
    media = [*enclosures, *(item.get("media_content") or ())]
    for medium in media:
        url = _web_address(medium.get("href") or medium.get("url"))
        kind = str(medium.get("type") or medium.get("medium") or "").partition("/")[0]
        if url:
            found.setdefault(url, {"type": {"image": "photo", "video": "video"}.get(kind, "link"), "url": url})
    for medium in item.get("media_thumbnail") or ():
        url = _web_address(medium.get("url"))
        if url and not found:
            found[url] = {"type": "photo", "url": url}
    return list(found.values())


def _plain(value: Any) -> Any:
    """feedparser's objects as JSON, without the dates it has already read."""
    if isinstance(value, dict):
        # dict's own items: feedparser's dictionaries compute some of theirs, and stumble
        return {str(key): _plain(part) for key, part in dict.items(value) if not str(key).endswith("_parsed")}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


# -- JSON Feed ------------------------------------------------------------------------------------------------------


def _looks_like_json(body: bytes, content_type: str) -> bool:
    start = body.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    return start == b"{" or (start == b"[" and "json" in content_type)


def _json_feed(body: bytes, url: str) -> Feed:
    """https://www.jsonfeed.org/version/1.1/, read with patience."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("damaged", f"JSON that cannot be read ({str(error)[:100]})") from None
    version = str(found.get("version") or "") if isinstance(found, dict) else ""
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list) or not (version.startswith("https://jsonfeed.org/") or "home_page_url" in found):
        if not version.startswith(("https://jsonfeed.org/", "http://jsonfeed.org/")):
            raise Refused("not_a_feed", "JSON, but no JSON Feed")
        items = items if isinstance(items, list) else []
    entries, set_aside = [], []
    for item in items:
        try:
            entries.append(_json_entry(item, found, url))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            set_aside.append({"reason": f"cannot be read: {error}", "raw": item})
    return Feed(
        kind=f"json{version.rpartition('/')[2].replace('.', '') or '1'}",
        title=one_line(_words(found.get("title"))),
        link=_web_address(found.get("home_page_url")),
        earlier=_web_address(urljoin(url, _words(found.get("next_url")))) if found.get("next_url") else None,
        entries=entries,
        whole=True,
        set_aside=set_aside,
    )


def _words(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _json_entry(item: Any, feed: dict[str, Any], url: str) -> Entry:
    if not isinstance(item, dict):
        raise TypeError("an item that is no object")
    markup = _words(item.get("content_html")) or None
    text = plain_text(markup) if markup else (_words(item.get("content_text")) or _words(item.get("summary"))).strip()
    link = urljoin(url, _words(item.get("url")) or _words(item.get("external_url"))) if item else ""
    published, updated = _json_date(item.get("date_published")), _json_date(item.get("date_modified"))
    picture = _web_address(item.get("image"))
    attachments = [{"type": "photo", "url": picture}] if picture else []
    for attached in item.get("attachments") or ():
        address = _web_address(attached.get("url")) if isinstance(attached, dict) else None
        if address:
            kind = _words(attached.get("mime_type")).partition("/")[0]
            attachments.append({"type": {"image": "photo", "video": "video"}.get(kind, "link"), "url": address})
    return Entry(
        id=_words(item.get("id")).strip() or None,
        link=link if link != url else None,
        title=one_line(_words(item.get("title"))) or None,
        html=markup,
        text=text,
        author=_json_author(item) or _json_author(feed),
        published=_iso(published or updated),
        updated=_iso(updated),
        date_text=_words(item.get("date_published") or item.get("date_modified")) or None,
        attachments=attachments,
        in_reply_to=None,
        comment_feed=None,
        raw=item,
    )


def _json_author(holder: dict[str, Any]) -> dict[str, str] | None:
    listed = holder.get("authors")
    author = listed[0] if isinstance(listed, list) and listed else holder.get("author")
    if not isinstance(author, dict) or not _words(author.get("name")):
        return None
    address = _web_address(author.get("url"))
    return {"name": one_line(_words(author["name"])), **({"url": address} if address else {})}


def _json_date(value: Any) -> datetime | None:
    text = _words(value).strip()
    return (from_parsed(feedparser.datetimes._parse_date(text)) or parse_date(text)) if text else None
