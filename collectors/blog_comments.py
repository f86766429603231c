"""The comments of a WordPress site: by its REST API, threaded and whole; where there is none, by its comment feed.

REST lists comments by the time they were written, not by the time they were let through by a moderator. So each pass
reads again what was written in the last two weeks: a comment approved late is found, an edit and a deletion are seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from channels.blog import PER_PAGE, TIME, BlogAccount, NoRest, WordPress, comment_id, failure, instant
from collectors import feeds
from collectors.base import AuthorData, Batch, Cursor, MentionData, SetAside, Snapshot
from collectors.blog_entries import comment as comment_of_feed
from collectors.blog_entries import comment_parts, guest
from collectors.plain import clean, one_line, plain_text
from errors import ChannelError, CollectError, Reason
from outbound import Client

if TYPE_CHECKING:
    from collectors.feed_parser import Entry, Feed

WINDOW = timedelta(days=14)
BUSY = 5 * PER_PAGE  # more comments than this in the window: it is read whole once an hour only
WHOLE_EVERY = timedelta(hours=1)
OVERLAP = timedelta(minutes=2)  # comments of the same second, and a clock set back a little
FEEDS = ("comments/feed/", "?feed=comments-rss2")  # the second where a site has no permalinks
FEED_PAGES = 20
MARKUP_LIMIT = 100_000  # characters made into text; WordPress stores 65,525 bytes of a comment
_FIELDS = "id,post,parent,author,author_name,author_url,date_gmt,content,link,status,type,author_avatar_urls,_links"
_ARTICLE_FIELDS = "id,date_gmt,guid,link,title,content,comment_status,author"


class Comments:
    """All comments of one site. The cursor: ``since`` (where the first pass began), ``newest`` (everything up to
    here has been read), ``whole`` (when the window was last read whole), ``size`` (comments in it), ``threads``
    (articles commented lately), our name there (``us``), and for the feed ``seen`` (external ids lately
    listed) and ``etag``.
    """

    def __init__(self, http: Client, site: str, account: BlogAccount | None) -> None:
        self.http, self.account = http, account
        self.site = _site_of(site)
        self.rest = WordPress(http, self.site, account)

    def collect(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        state: dict[str, Any] = dict(cursor) if cursor else {"since": since.isoformat() if since else None}
        try:
            try:
                me = self.rest.me() if self.account else {}
                yield from self._by_rest({**state, "us": me.get("name")}, me.get("id"), now)
            except NoRest:
                yield from self._by_feed(state, now)
        except CollectError:
            raise
        except ChannelError as error:
            raise CollectError(error.reason, str(error), retry_at=error.retry_at, permanent=error.permanent) from error

    # -- REST -----------------------------------------------------------------------------------------------------

    def _by_rest(self, state: dict[str, Any], user: int | None, now: datetime) -> Iterator[Batch]:
        begin = datetime.fromisoformat(state["since"]) if state.get("since") else None
        newest = datetime.fromisoformat(state["newest"]) if state.get("newest") else None
        start, whole = self._start(state, begin, newest, now)
        seen: dict[int, MentionData | None] = {}
        articles: dict[int, _Article] = {}
        reached = newest
        ascending = True
        page, total, nothing_new = 1, 0, 0
        while True:
            items, total_now, last = self.page(start, page)
            batch = [item for item in items if item.get("id") not in seen] if items else []
            mentions, set_aside = self.read(batch, seen, articles, user, start)
            times = [one.published_at for one in mentions if not one.context]
            if times:
                ascending = ascending and (reached is None or page == 1 or min(times) >= reached)
                reached = max([*times, *([reached] if reached else [])])
            nothing_new = 0 if batch else nothing_new + 1
            if total_now is not None and total_now < total:  # deleted meanwhile: the pages after it moved up
                page, total = max(1, page - 1), total_now
            elif last:
                break
            else:
                page, total = page + 1, total_now or 0
            if nothing_new > 2:  # the site does not turn its pages: what it has beyond them is not known
                whole = False
                break
            progress = {**state, "newest": (reached - OVERLAP).isoformat()} if ascending and reached else state
            yield Batch(tuple(mentions), progress if state.get("newest") is None else state, tuple(set_aside))
        threads = dict(state.get("threads") or {})
        for one in seen.values():
            if one and one.thread:
                threads[one.thread] = max(threads.get(one.thread, ""), one.published_at.isoformat())
        state = {**state, "newest": reached.isoformat() if reached else state.get("newest")}
        snapshots: tuple[Snapshot, ...] = ()
        if whole:
            snapshots = _snapshots(threads, seen, articles, self.site, start)
            floor = (now - WINDOW).isoformat()
            threads = {thread: last for thread, last in threads.items() if last >= floor}
            state.update(whole=now.isoformat(), size=len(seen))
        yield Batch(tuple(mentions), {**state, "threads": threads}, tuple(set_aside), snapshots)

    def _start(
        self, state: Mapping[str, Any], begin: datetime | None, newest: datetime | None, now: datetime
    ) -> tuple[datetime | None, bool]:
        """From when on to read, and whether that covers the whole window."""
        if newest is None:
            return begin, True
        window = max(now - WINDOW, begin) if begin else now - WINDOW
        if state.get("whole") is None:  # the first pass did not come to its end: go on where it stopped
            return newest - OVERLAP, False
        if state.get("size", 0) > BUSY and now - datetime.fromisoformat(state["whole"]) < WHOLE_EVERY:
            return newest - OVERLAP, False
        return min(window, newest - OVERLAP), True

    def page(self, start: datetime | None, page: int) -> tuple[list[dict[str, Any]], int | None, bool]:
        """The items of a page, the number of comments where it is told, and whether it is the last page.

        A page may hold less than it could and not be the last: WordPress leaves out what we may not read.
        """
        query = {"per_page": PER_PAGE, "page": page, "order": "asc", "orderby": "date_gmt", "_fields": _FIELDS}
        # WordPress leaves out what was written in the very second it is given.
        after = (start - timedelta(seconds=1)).strftime(f"{TIME}Z") if start else None
        try:
            found, answer = self.rest.get("wp/v2/comments", {**query, "after": after})
        except ChannelError as error:
            if page > 1 and error.reason is Reason.bad_request:  # some versions refuse a page past the end
                return [], None, True
            raise
        if not isinstance(found, list):
            raise CollectError(Reason.bad_payload, f"{self.site}: a list of comments was expected")
        total, pages = (answer.headers.get(f"x-wp-{name}", "") for name in ("total", "totalpages"))
        last = page >= int(pages) if pages.isdigit() else not found
        return clean(found), int(total) if total.isdigit() else None, last

    def read(
        self,
        items: list[dict[str, Any]],
        seen: dict[int, MentionData | None],
        articles: dict[int, _Article],
        user: int | None,
        start: datetime | None,
    ) -> tuple[list[MentionData], list[SetAside]]:
        """The items as mentions, oldest first, with the articles and parents they need before them."""
        good, set_aside = [], []
        for item in items:
            try:
                if _is_comment(item):
                    good.append(item)
                    continue
                number = item.get("id") if isinstance(item, dict) else None
                if isinstance(number, int):
                    seen[number] = None
                set_aside.append(SetAside("not a whole comment", item, comment_id(self.site, number or 0)))
            except (ValueError, TypeError) as error:
                set_aside.append(SetAside(f"cannot be read: {error}", item))
        context = self._articles(good, articles, user)
        known = seen.keys() | {item["id"] for item in good}
        parents = self._parents(good, known) if start else []
        mentions = []
        for item in sorted([*parents, *good], key=lambda item: (item["date_gmt"], item["id"])):
            if item["id"] in seen:
                continue
            made = self._mention(item, articles.get(item["post"]), user, context=item in parents)
            seen[item["id"]] = made
            mentions.append(made)
        return [*context, *mentions], set_aside

    def _parents(self, items: list[dict[str, Any]], known: set[int]) -> list[dict[str, Any]]:
        """What was answered and lies before the time we read from, up to the top."""
        found: list[dict[str, Any]] = []
        wanted = {item["parent"] for item in items if item["parent"]} - known
        while wanted and len(found) < PER_PAGE:
            numbers = ",".join(map(str, sorted(wanted)[:PER_PAGE]))
            got, _ = self.rest.get("wp/v2/comments", {"include": numbers, "per_page": PER_PAGE, "_fields": _FIELDS})
            got = [item for item in got if _is_comment(item)] if isinstance(got, list) else []
            found += got
            known = known | wanted | {item["id"] for item in got}
            wanted = {item["parent"] for item in got if item["parent"]} - known
        return found

    def _articles(
        self, items: list[dict[str, Any]], articles: dict[int, _Article], user: int | None
    ) -> list[MentionData]:
        """The articles commented on that were not brought along yet, as context."""
        kinds: dict[str, set[int]] = {}
        for item in items:
            if item["post"] and item["post"] not in articles:
                kinds.setdefault(_kind(item), set()).add(item["post"])
        made = []
        for kind, numbers in kinds.items():
            include = ",".join(map(str, sorted(numbers)))
            query = {"include": include, "per_page": PER_PAGE, "_fields": _ARTICLE_FIELDS}
            try:
                found, _ = self.rest.get(f"wp/v2/{kind}", query)
            except ChannelError as error:
                if error.reason in (Reason.unavailable, Reason.rate_limited, Reason.auth_expired):
                    raise
                found = []  # not ours to read; the comments are
            for item in found if isinstance(found, list) else []:
                if isinstance(item, dict) and item.get("id") in numbers:
                    article = articles[item["id"]] = _Article(item, self.site, ours=self.account is not None)
                    if article.mention:
                        made.append(article.mention)
            for number in numbers - articles.keys():
                articles[number] = _Article({"id": number}, self.site, ours=False)
        return made

    def _mention(
        self, item: Mapping[str, Any], article: _Article | None, user: int | None, *, context: bool
    ) -> MentionData:
        number, name = item["id"], one_line(str(item.get("author_name") or ""))
        html = str((item.get("content") or {}).get("rendered") or "")
        by = item.get("author") or 0
        url = str(item.get("author_url") or "") or None
        if by:
            author: AuthorData | None = AuthorData(comment_id(self.site, f"by/#{by}"), name or f"#{by}", url=url)
        else:
            author = guest(self.site, name, url) if name else None
        reason = self._why_not(article)
        return MentionData(
            external_id=comment_id(self.site, number),
            author=author,
            text=plain_text(html[:MARKUP_LIMIT]),
            published_at=instant(item["date_gmt"]),
            url=str(item.get("link") or "") or None,
            html=html,
            in_reply_to=comment_id(self.site, item["parent"]) if item["parent"] else None,
            thread=article.guid if article else f"{self.site}/?p={item['post']}",
            ours=bool(user) and by == user,
            context=context,
            can_reply=reason is None,
            can_reply_reason=reason,
            reply_address={"post": item["post"], "parent": number},
            hidden=False if item.get("status") == "approved" else None,
            raw=dict(item),
        )

    def _why_not(self, article: _Article | None) -> str | None:
        if self.account is None:
            return "no_account"
        return "comments_closed" if article and article.closed else None

    # -- the comment feed -------------------------------------------------------------------------------------------

    def _by_feed(self, state: dict[str, Any], now: datetime) -> Iterator[Batch]:
        begin = datetime.fromisoformat(state["since"]) if state.get("since") else None
        seen = set(state.get("seen") or ())
        found: dict[str, MentionData] = {}
        set_aside: list[SetAside] = []
        address, etag, feed = self.find_feed(state.get("etag"))
        if feed is None:
            yield Batch((), state)
            return
        title = feed["title"]
        for page in range(2, FEED_PAGES + 2):
            before = len(found)
            for entry in feed["entries"]:
                self.take(entry, found, set_aside, state.get("us"), now)
            listed = set(found)
            oldest = min((one.published_at for one in found.values()), default=now)
            if len(found) == before or listed & seen or (begin and oldest < begin):
                break  # nothing more, or nothing that has not been read
            answer = self.http.fetch(f"{address}{'&' if '?' in address else '?'}paged={page}")
            if answer.status != 200:
                break
            feed = feeds.parse(answer.body, answer.content_type, answer.url)
        mentions = [one for one in found.values() if not begin or one.published_at >= begin]
        mentions.sort(key=lambda one: (one.published_at, one.external_id))
        lately = sorted(found, key=lambda key: found[key].published_at)[-200:]
        yield Batch(
            tuple(mentions),
            {**state, "seen": lately, "etag": etag},
            tuple(set_aside),
            facts={"title": title, "way": "comment feed"},
        )

    def find_feed(self, etag: str | None) -> tuple[str, str | None, Feed | None]:
        """The comment feed's address, its ETag, and its first page; None when that has not changed."""
        unlike: list[str] = []
        for name in FEEDS:
            address = f"{self.site}/{name}"
            answer = self.http.fetch(address, headers={"If-None-Match": etag} if etag else {})
            if answer.status == 304:
                return address, etag, None
            if answer.status == 200:
                try:
                    found = feeds.parse(answer.body, answer.content_type, answer.url)
                    return address, answer.headers.get("etag"), found
                except CollectError as error:
                    if error.reason is not Reason.bad_payload:
                        raise
                    unlike.append(str(error))
            elif answer.status == 429 or answer.status >= 500:
                raise failure(answer)
            else:
                unlike.append(str(answer.status))
        words = f"{self.site} has neither a REST API nor a comment feed for us ({unlike[0]})"
        raise CollectError(Reason.gone, words, permanent=False)

    def take(
        self, entry: Entry, found: dict[str, MentionData], set_aside: list[SetAside], us: str | None, now: datetime
    ) -> None:
        """``us``: our name on the site, which is all a feed tells of an author."""
        parts = comment_parts(entry, self.site)
        if parts is None:
            set_aside.append(SetAside("not a WordPress comment", entry["raw"], entry["id"]))
            return
        made = comment_of_feed(entry, parts, now, None if self.account else "no_account")
        names = (self.account.username, us) if self.account else ()
        ours = made.author is not None and made.author.name in names
        found.setdefault(made.external_id, replace(made, ours=ours))


class _Article:
    """What comments hang on: its guid, whether it takes more of them, and itself as context where it can be read."""

    def __init__(self, item: Mapping[str, Any], site: str, *, ours: bool) -> None:
        guid = item.get("guid")
        rendered = guid.get("rendered") if isinstance(guid, dict) else None
        self.guid = str(rendered or f"{site}/?p={item['id']}")
        self.closed = item.get("comment_status") == "closed"
        self.mention: MentionData | None = None
        title, content = _rendered(item.get("title")), _rendered(item.get("content"))
        try:
            published = instant(str(item.get("date_gmt")))
        except ValueError:
            return
        self.mention = MentionData(
            external_id=self.guid,
            author=None,
            text=plain_text(content[:MARKUP_LIMIT]),
            published_at=published,
            url=str(item.get("link") or "") or None,
            title=one_line(title) or None,
            html=content or None,
            thread=self.guid,
            ours=ours,
            context=True,
            can_reply_reason="article",
            raw=dict(item),
        )


def _rendered(value: Any) -> str:
    return str(value.get("rendered") or "") if isinstance(value, dict) else ""


def _is_comment(item: Any) -> bool:
    """Has it what no comment can do without? Raises ``ValueError`` for a date that is none."""
    if not isinstance(item, dict) or not all(isinstance(item.get(key), int) for key in ("id", "post", "parent")):
        return False
    instant(str(item.get("date_gmt")))
    return isinstance(item.get("content"), dict)


def _kind(item: Mapping[str, Any]) -> str:
    """Where the article of a comment is read: posts, pages, or the name of another kind."""
    links = item.get("_links")
    up = links.get("up") if isinstance(links, dict) else None
    href = str(up[0].get("href") or "") if isinstance(up, list) and up and isinstance(up[0], dict) else ""
    kind = href.partition("wp/v2/")[2].partition("/")[0]
    return kind if kind.replace("-", "").replace("_", "").isalnum() else "posts"


def _snapshots(
    threads: Mapping[str, str],
    seen: Mapping[int, MentionData | None],
    articles: Mapping[int, _Article],
    site: str,
    start: datetime | None,
) -> tuple[Snapshot, ...]:
    """What stands under each article commented lately; what could not be read stands there too."""
    unread = {comment_id(site, number) for number, one in seen.items() if one is None}
    standing: dict[str, set[str]] = {thread: {thread} for thread in threads}
    for one in seen.values():
        if one and one.thread:
            standing.setdefault(one.thread, {one.thread}).add(one.external_id)
    return tuple(Snapshot(thread, frozenset(ids | unread), start, hidden_too=False) for thread, ids in standing.items())


def _site_of(address: str) -> str:
    """The site, from its address or that of its comment feed."""
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    for ending in ("/comments/feed", "/feed", "/wp-json"):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}"
