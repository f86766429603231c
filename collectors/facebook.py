"""What is said on a Facebook page: our posts, visitors' posts, posts that tag us, and the comments under them.

Graph has no list of new comments. So each pass lists the posts of a window and reads the comments of those that have
changed; since not every change shows on the post (an edited or hidden comment does not), the others are read again too:
in every pass while they are lively, and now and then later.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.facebook import UNKNOWN_ERRORS, FacebookAccount, Graph, GraphError
from collectors.base import Attachment, AuthorData, Batch, Cursor, MentionData, SetAside, Snapshot
from errors import ChannelError, CollectError, Reason
from outbound import Client

WINDOW = timedelta(days=30)  # how old a post may be and still be looked at for new comments
# Facebook's allowance grows with those who take part, so what is lively may be read in every pass.
LIVELY = timedelta(days=2)
REREAD_AFTER = timedelta(hours=6)
PRIVATE_WINDOW = timedelta(days=7)  # within which Facebook allows one private answer
CHUNK = 200  # mentions in one batch, so that no transaction gets long
POST_FIELDS = (
    "id,message,created_time,updated_time,from,permalink_url,full_picture,attachments,message_tags,parent_id,"
    "status_type,is_hidden,is_published,comments.filter(stream).limit(0).summary(true)"
)
COMMENT_FIELDS = (
    "id,message,created_time,from,parent,permalink_url,comment_count,attachment,message_tags,is_hidden,is_private,"
    "can_comment,can_hide,can_reply_privately"
)


def page(source: object, account: FacebookAccount, http: Client) -> PageCollector:
    """The collector of ``collect: page``: everything it must know stands in the account."""
    return PageCollector(account, http)


class PageCollector:
    def __init__(self, account: FacebookAccount, http: Client) -> None:
        self._us = account.page_id
        self._graph = Graph(account, http)

    def collect(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        memory = _Memory(floor=since) if cursor is None else _Memory.from_cursor(cursor)
        try:
            yield from self._pass(memory, now)
        except ChannelError as error:
            raise CollectError(error.reason, str(error), retry_at=error.retry_at, permanent=error.permanent) from error

    def _pass(self, memory: _Memory, now: datetime) -> Iterator[Batch]:
        memory.forget_before(memory.horizon(now))
        listed: set[str] = set()
        failed: GraphError | None = None
        for connection in ("feed", "tagged"):
            try:
                posts, damaged = self._list(connection, memory.begin(now), listed)
            except GraphError as error:
                # The feed holds most tags; what this list adds takes a permission that a page may do without.
                refused = error.reason in (Reason.gone, Reason.bad_request, Reason.forbidden)
                if connection != "tagged" or not refused:
                    raise
                posts, damaged = [], [SetAside(f"Posts that tag the page cannot be read: {error}", {"page": self._us})]
            if damaged:
                yield Batch((), memory.cursor(), set_aside=tuple(damaged))
            for post in posts:
                if memory.is_known(post, now):
                    continue
                if memory.is_unwanted(post):
                    memory.remember(post, now)
                    continue
                try:
                    yield from self._read(post, memory, now, strangers=connection == "tagged")
                except GraphError as error:
                    # A single post may be more than Facebook can handle; that must not keep the others from being read.
                    if error.code not in UNKNOWN_ERRORS or failed is not None:
                        raise
                    failed = error
        for post_id in [post_id for post_id in memory.posts if post_id not in listed]:
            yield from self._look_up(post_id, memory, now)
        if failed is not None:
            raise failed
        memory.first = False
        memory.older = None
        yield Batch((), memory.cursor())

    def _list(self, connection: str, begin: datetime | None, listed: set[str]) -> tuple[list[_Item], list[SetAside]]:
        """The posts published since ``begin``, oldest first; their ids go into ``listed``, which are left out here."""
        args = {"fields": POST_FIELDS, "limit": "50", "include_hidden": "true"}
        if begin is not None:
            args["since"] = str(int(begin.timestamp()))
        posts: dict[str, _Item] = {}
        damaged: list[SetAside] = []
        for items in self._graph.pages(f"{self._us}/{connection}", **args):
            understood, not_understood = self.posts(items)
            damaged += not_understood
            listed.update(filter(None, [item.external_id for item in not_understood]))
            for post in understood:
                if post.id not in listed and (begin is None or post.at >= begin):
                    posts[post.id] = post
        listed.update(posts)
        return sorted(posts.values(), key=lambda post: (post.at, post.id)), damaged

    def posts(self, items: list[Any]) -> tuple[list[_Item], list[SetAside]]:
        """Those of a page that are public, and those that make no sense."""
        posts, damaged = [], []
        for raw in items:
            try:
                post = self._post(raw)
            except ValueError as error:
                damaged.append(self._set_aside(raw, error))
                continue
            if raw.get("is_published") is not False:  # drafts and planned posts are not public
                posts.append(post)
        return posts, damaged

    def _look_up(self, post_id: str, memory: _Memory, now: datetime) -> Iterator[Batch]:
        """A post that was listed once and is not any more: deleted, or only left out by Facebook's choice."""
        try:
            post = self._post(self._graph.get(post_id, fields=POST_FIELDS))
        except GraphError as error:
            if error.reason in (Reason.forbidden, Reason.bad_request):  # no longer for us to see, which is not deleted
                del memory.posts[post_id]
                return
            if error.reason is not Reason.gone:
                raise
            published_at = datetime.fromtimestamp(memory.posts.pop(post_id)["published"], UTC)
            mentions = (_deleted(post_id, published_at),) if published_at >= (memory.floor or published_at) else ()
            yield Batch(mentions, memory.cursor(), snapshots=(Snapshot(post_id, frozenset()),))
            return
        except ValueError:
            return  # set aside when it was listed, or it will be
        if post.raw.get("is_published") is False:
            del memory.posts[post_id]
        elif not memory.is_known(post, now):
            yield from self._read(post, memory, now, strangers=True)

    def _read(self, post: _Item, memory: _Memory, now: datetime, *, strangers: bool) -> Iterator[Batch]:
        comments, damaged, is_whole = self._comments_if_any(post, strangers=strangers)
        mentions = self._mentions(post, comments, memory.floor)
        while len(mentions) > CHUNK:
            yield Batch(tuple(mentions[:CHUNK]), memory.cursor())
            del mentions[:CHUNK]
        snapshots: tuple[Snapshot, ...] = ()
        if is_whole:
            ids = {post.id, *(comment.id for comment in comments), *(item.external_id or "" for item in damaged)}
            snapshots = (Snapshot(post.id, frozenset(ids)),)
        memory.remember(post, now)
        yield Batch(tuple(mentions), memory.cursor(), set_aside=tuple(damaged), snapshots=snapshots)

    def thread(self, post: _Item, floor: datetime | None) -> tuple[list[MentionData], list[SetAside]]:
        """The post with everything said under it since ``floor``; and what makes no sense."""
        comments, damaged, _ = self._comments_if_any(post, strangers=not post.id.startswith(f"{self._us}_"))
        return self._mentions(post, comments, floor), damaged

    def _mentions(self, post: _Item, comments: list[_Item], floor: datetime | None) -> list[MentionData]:
        wanted = _since([post, *comments], floor)
        return [replace(self._mention(item, post), context=context) for item, context in wanted]

    def _comments_if_any(self, post: _Item, *, strangers: bool) -> tuple[list[_Item], list[SetAside], bool]:
        """As ``_comments``. ``strangers``: the post may stand where we may not read the comments."""
        try:
            return self._comments(post)
        except GraphError as error:
            # Some posts have no comments to read (some kinds; other people's); the post itself is still wanted.
            refused = error.reason in (Reason.gone, Reason.bad_request)
            if not refused and not (strangers and error.reason is Reason.forbidden):
                raise
            damaged = [] if strangers else [SetAside(f"Its comments cannot be read: {error}", {"post": post.id})]
            return [], damaged, False

    def _comments(self, post: _Item) -> tuple[list[_Item], list[SetAside], bool]:
        """All comments at every level, parents first and otherwise oldest first; those that make no sense; and whether
        it is known of each of these which comment it is.

        ``filter=stream`` should give every level. Where fewer answers came than a comment says it has, or none came and
        it does not say, they are asked for one by one.
        """
        found: dict[str, _Item] = {}
        damaged: list[SetAside] = []

        def read(node: str, above: str | None) -> list[_Item]:
            new = []
            args = {"fields": COMMENT_FIELDS, "limit": "100", "filter": "stream", "order": "chronological"}
            for items in self._graph.pages(f"{node}/comments", **args):
                for raw in items:
                    try:
                        comment = self._comment(raw, post, above)
                    except ValueError as error:
                        damaged.append(self._set_aside(raw, error))
                        continue
                    if comment.id not in found:
                        found[comment.id] = comment
                        new.append(comment)
            return new

        waiting = read(post.id, None)
        while waiting:
            answers = Counter(comment.parent for comment in found.values())
            lacking = [one for one in waiting if answers[one.id] < (1 if one.answers is None else one.answers)]
            waiting = []
            for comment in lacking:
                try:
                    waiting += read(comment.id, comment.id)
                except GraphError as error:
                    if error.reason not in (Reason.gone, Reason.bad_request):
                        raise
        return _parents_first(found), damaged, all(item.external_id for item in damaged)

    # -- what an item says --------------------------------------------------------------------------------------------

    def _post(self, raw: Any) -> _Item:
        """Raises ``ValueError``, saying what is wrong."""
        return self._item(raw, _id(raw), parent=None)

    def _comment(self, raw: Any, post: _Item, above: str | None) -> _Item:
        """A comment under ``post``; ``above`` is the comment whose answers were asked for."""
        prefix = post.id.rpartition("_")[2]
        # Without the MODERATE task a comment comes without its id; the link to it tells.
        number, above_number = _numbers(raw)
        id = _id(raw, f"{prefix}_{number}" if number else None)
        parent = raw.get("parent")
        if isinstance(parent, dict) and parent.get("id"):
            above = str(parent["id"])
        elif above is None and above_number:
            above = f"{prefix}_{above_number}"
        return self._item(raw, id, parent=above)

    def _item(self, raw: Mapping[str, Any], id: str, *, parent: str | None) -> _Item:
        if not isinstance(raw.get("message") or "", str):
            raise ValueError("its message is not a text")
        answers = raw.get("comment_count")
        return _Item(id, raw, _instant(raw.get("created_time")), parent, answers if isinstance(answers, int) else None)

    def _mention(self, item: _Item, post: _Item) -> MentionData:
        raw, is_post = item.raw, item is post
        author = _author(raw.get("from"))
        ours = author is not None and author.external_id == self._us
        if is_post:
            can_comment = _summary(raw).get("can_comment")
            # Facebook does not tell it of posts: what a visitor writes on our page can be answered privately.
            private = raw.get("can_reply_privately", item.id.startswith(f"{self._us}_"))
        else:
            can_comment, private = raw.get("can_comment"), raw.get("can_reply_privately", True)
        until = item.at + PRIVATE_WINDOW if private is True and not ours else None
        address: dict[str, Any] = {
            "post" if is_post else "comment": item.id,
            "private_until": until and until.isoformat(),
        }
        if raw.get("can_hide") is False:
            address["can_hide"] = False
        if item.parent is not None:
            address["parent"] = item.parent
        return MentionData(
            external_id=item.id,
            author=author,
            text=raw.get("message") or "",
            published_at=item.at,
            url=_web(raw.get("permalink_url")) or f"https://www.facebook.com/{item.id}",
            in_reply_to=None if is_post else item.parent or post.id,
            thread=post.id,
            ours=ours,
            can_reply=can_comment is not False,
            can_reply_reason="comments_closed" if can_comment is False else None,
            can_reply_privately=until is not None,
            reply_address=address,
            attachments=tuple(_attachments(raw)),
            hidden=raw.get("is_hidden") is True,
            raw=self._without_secrets(raw),
        )

    def _set_aside(self, raw: Any, error: ValueError) -> SetAside:
        id = raw.get("id") if isinstance(raw, dict) else None
        return SetAside(f"Not understood: {error}", self._without_secrets(raw), str(id) if id else None)

    def _without_secrets(self, raw: Any) -> Any:
        """Links to further pages inside an item bear our token."""
        return json.loads(self._graph.without_secrets(json.dumps(raw, ensure_ascii=False)))


@dataclass(frozen=True)
class _Item:
    """A post or a comment. ``parent``: the comment it answers. ``answers``: how many it says it has itself, if so."""

    id: str
    raw: Mapping[str, Any]
    at: datetime
    parent: str | None
    answers: int | None = None

    @property
    def state(self) -> str | None:
        """Of a post: another one when something is known to have changed there; None where Facebook does not tell."""
        updated, number = self.raw.get("updated_time"), _summary(self.raw).get("total_count")
        if updated is None or number is None:
            return None
        told = [updated, number, *map(self.raw.get, ("message", "is_hidden")), _summary(self.raw).get("can_comment")]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    @property
    def has_comments(self) -> bool:
        """Of a post; also where Facebook does not tell."""
        return _summary(self.raw).get("total_count") != 0

    @property
    def active_at(self) -> datetime:
        """Of a post: when something last happened there."""
        try:
            return _instant(self.raw.get("updated_time"))
        except ValueError:
            return self.at


@dataclass
class _Memory:
    """What the cursor holds: which posts of the window have been read, and in which state they were then.

    ``floor``: what is older is not wanted. ``first``: the first pass has not come to its end. ``older``: it has read
    the posts before this (seconds since 1970) that are too old for the window.
    """

    floor: datetime | None = None
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)  # id: published, read (both as ``older``), state
    first: bool = True
    older: float | None = None

    @classmethod
    def from_cursor(cls, cursor: Cursor) -> _Memory:
        floor = cursor["floor"]
        return cls(
            floor=None if floor is None else datetime.fromisoformat(floor),
            posts={post_id: dict(post) for post_id, post in cursor["posts"].items()},
            first=cursor["first"],
            older=cursor["older"],
        )

    def cursor(self) -> Cursor:
        floor = None if self.floor is None else self.floor.isoformat()
        posts = {post_id: dict(post) for post_id, post in self.posts.items()}
        return {"floor": floor, "posts": posts, "first": self.first, "older": self.older}

    def horizon(self, now: datetime) -> datetime:
        """Posts older than this are not remembered."""
        recent = now - WINDOW
        return recent if self.floor is None else min(recent, self.floor)

    def begin(self, now: datetime) -> datetime | None:
        """Posts older than this are not listed; None: all are."""
        return None if self.first and self.floor is None else self.horizon(now)

    def forget_before(self, horizon: datetime) -> None:
        self.posts = {id: post for id, post in self.posts.items() if post["published"] >= horizon.timestamp()}

    def is_known(self, post: _Item, now: datetime) -> bool:
        """Has it been read as it is now, and not too long ago?"""
        kept = self.posts.get(post.id)
        if kept is None:
            return self.older is not None and post.at.timestamp() < self.older
        if post.state is None or kept["state"] != post.state:
            return False
        if not post.has_comments:
            return True
        since_read = now - datetime.fromtimestamp(kept["read"], UTC)
        return now - post.active_at >= LIVELY and since_read < REREAD_AFTER

    def is_unwanted(self, post: _Item) -> bool:
        """Is it seen for the first time, older than the floor, and nobody has said anything?"""
        unseen = post.id not in self.posts and not post.has_comments
        return unseen and self.floor is not None and post.active_at < self.floor

    def remember(self, post: _Item, now: datetime) -> None:
        published = post.at.timestamp()
        if post.at >= self.horizon(now):
            self.posts[post.id] = {"published": published, "read": now.timestamp(), "state": post.state}
        else:
            self.older = max(self.older or published, published)


def _deleted(post_id: str, published_at: datetime) -> MentionData:
    return MentionData(
        external_id=post_id,
        author=None,
        text="",
        published_at=published_at,
        thread=post_id,
        can_reply_reason="deleted",
        reply_address={"post": post_id},
        deleted=True,
    )


def _since(items: list[_Item], floor: datetime | None) -> Iterator[tuple[_Item, bool]]:
    """The items published since ``floor``, and what stands above them: that is context (True). Parents come first."""
    if floor is None:
        yield from ((item, False) for item in items)
        return
    by_id = {item.id: item for item in items}
    above: set[str] = set()
    for item in reversed(items):  # so that every item is met after what hangs on it
        if item.at >= floor or item.id in above:
            above.add(items[0].id)
            if item.parent in by_id:
                above.add(item.parent)
    yield from ((item, item.at < floor) for item in items if item.at >= floor or item.id in above)


def _parents_first(found: Mapping[str, _Item]) -> list[_Item]:
    placed: dict[str, _Item] = {}
    for item in sorted(found.values(), key=lambda item: (item.at, item.id)):
        chain: list[_Item] = []
        step: _Item | None = item
        while step is not None and step.id not in placed and step not in chain:
            chain.append(step)
            step = found.get(step.parent) if step.parent is not None else None
        placed.update((link.id, link) for link in reversed(chain))
    return list(placed.values())


def _id(raw: Any, otherwise: str | None = None) -> str:
    if not isinstance(raw, dict):
        raise ValueError("it is not an object")
    id = raw.get("id") or otherwise
    if not isinstance(id, str | int):
        raise ValueError("it has no id")
    return str(id)


def _numbers(raw: Any) -> tuple[str | None, str | None]:
    """Of a comment, after its link: its own number, and that of the comment it answers."""
    link = raw.get("permalink_url") if isinstance(raw, dict) else None
    query = parse_qs(urlsplit(link).query) if isinstance(link, str) else {}
    top, answer = (query.get(name, [""])[0] for name in ("comment_id", "reply_comment_id"))
    if not top.isdigit() or not (answer.isdigit() or not answer):
        return None, None
    return (answer, top) if answer else (top, None)


def _instant(value: Any) -> datetime:
    """``2026-08-10T18:45:03+0000``"""
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a time") from None
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} is a time without a zone")
    return instant.astimezone(UTC)


def _author(value: Any) -> AuthorData | None:
    """None where Facebook does not tell who it is, which is common."""
    if not isinstance(value, dict) or not value.get("id"):
        return None
    return AuthorData(external_id=str(value["id"]), name=str(value.get("name") or value["id"]))


def _summary(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(_object(raw.get("comments")).get("summary"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _web(value: Any) -> str | None:
    return value if isinstance(value, str) and re.match(r"https?://", value) else None


def _attachments(raw: Mapping[str, Any]) -> Iterator[Attachment]:
    held = _object(raw.get("attachments"))
    found = list(_flat(held.get("data", [raw.get("attachment")])))
    for item in found:
        media = _object(item.get("media"))
        image = _object(media.get("image"))
        link = _web(item.get("unshimmed_url")) or _web(item.get("url"))
        title = item.get("title") if isinstance(item.get("title"), str) else None
        kind = str(item.get("type") or item.get("media_type"))
        if "video" in kind:
            yield Attachment("video", link or _web(media.get("source")), title)
        elif any(word in kind for word in ("photo", "sticker", "animated_image", "cover", "profile_media")):
            yield Attachment("photo", _web(image.get("src")) or link, title)
        elif link:
            yield Attachment("link", link, title)
    if not found and _web(raw.get("full_picture")):
        yield Attachment("photo", _web(raw["full_picture"]))


def _flat(items: Any) -> Iterable[dict[str, Any]]:
    """An album holds its pictures one level down."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            inner = _object(item.get("subattachments")).get("data")
            yield from [each for each in inner if isinstance(each, dict)] if isinstance(inner, list) else [item]
