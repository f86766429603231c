"""X: what mentions us, what we posted ourselves, and what a search finds.

X gives lists newest first, so a pass reads every page down to where it was, puts the posts in order, and only then
hands them over, oldest first. So the cursor never stands past a post not yet handed over, in whatever order pages come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import outbound
from channels import twitter as x
from collectors.base import Attachment, AuthorData, Batch, Charge, Cursor, MentionData, SetAside
from errors import ChannelError, CollectError, Reason
from settings import SourceSettings

BATCH = 100
PAGE = 100
WEEK = timedelta(days=7)  # as far back as the recent search goes
MARGIN = timedelta(minutes=1)  # X refuses what is a second too old
EPOCH_MS = 1288834974657  # X's ids hold the millisecond they were made in, counted from here

FIELDS: Mapping[str, list[str]] = {
    "tweet_fields": [
        "author_id", "conversation_id", "created_at", "referenced_tweets", "entities", "attachments", "note_tweet",
        "edit_history_tweet_ids",
    ],
    # Each user is billed, so only writers are asked for.
    "expansions": ["author_id", "referenced_tweets.id", "referenced_tweets.id.author_id", "attachments.media_keys"],
    "user_fields": ["id", "name", "username", "profile_image_url", "protected", "public_metrics"],
    "media_fields": ["media_key", "type", "url", "preview_image_url", "alt_text"],
}  # fmt: skip


def mentions(source: SourceSettings, account: x.TwitterAccount, http: outbound.Client) -> TwitterCollector:
    """What mentions the account, and what it posted itself, so that answers given in X's own app are known."""
    return TwitterCollector(account, about_us(account, http))


def about_us(account: x.TwitterAccount, http: outbound.Client) -> tuple[_List, ...]:
    client = x.client(account, http)
    by_us = (f"from:{account.handle}",)
    searched = _List("own", client.search_recent_tweets, by_us, "next_token", "read_own_post", reaches=WEEK)
    return (
        _List("mentions", client.get_users_mentions, (account.user_id,), price="read_post"),
        _List("own", client.get_users_tweets, (account.user_id,), price="read_own_post", instead=searched),
    )


def search(source: SourceSettings, account: x.TwitterAccount, http: outbound.Client) -> TwitterCollector:
    """What X's recent search finds for the source's query."""
    return TwitterCollector(account, found_by(source, account, http))


def found_by(source: SourceSettings, account: x.TwitterAccount, http: outbound.Client) -> tuple[_List, ...]:
    method = x.client(account, http).search_recent_tweets
    return (_List("search", method, (source.query,), "next_token", "read_post", reaches=WEEK),)


@dataclass(frozen=True)
class _List:
    """One list of posts of X. ``reaches``: how far back X gives it."""

    name: str  # its place in the cursor
    method: Callable[..., Any]
    args: tuple[Any, ...]
    next_as: str = "pagination_token"
    price: str = "read_post"
    reaches: timedelta | None = None
    instead: _List | None = None  # where this one is not there, as behind a gateway that passes on only some calls


@dataclass
class _Read:
    """What the pages of a pass held, each thing once."""

    posts: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    lists: dict[int, set[str]] = field(default_factory=dict)  # where a post stood
    users: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    referred: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    media: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    nameless: list[SetAside] = field(default_factory=list)  # items without a usable id
    prices: dict[str, str] = field(default_factory=dict)  # id of a post -> operation it is charged as

    def forget(self, name: str) -> None:
        """Leave out what only this list held: it was not read to its end, and its cursor may not move."""
        for number, names in list(self.lists.items()):
            names.discard(name)
            if not names:
                del self.lists[number], self.posts[number]

    def charges(self) -> tuple[Charge, ...]:
        units = dict.fromkeys(x.PRICES, 0)
        for operation in self.prices.values():
            units[operation] += 1
        units["read_user"] = len(self.users)
        return tuple(Charge(name, count, count * x.PRICES[name]) for name, count in units.items() if count)


class TwitterCollector:
    """One pass over some lists of X. The cursor: for each list the greatest id handed over, and where it all began."""

    def __init__(self, account: x.TwitterAccount, lists: tuple[_List, ...]) -> None:
        self._account = account
        self._lists = lists

    def collect(self, cursor: Cursor | None, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """As ``collectors.base.Collector`` says. A list that fails takes nothing away from those before it."""
        position = dict(cursor) if cursor is not None else {"start": since.isoformat() if since else None}
        read = _Read()
        failed: ChannelError | None = None
        for one in self._lists:
            try:
                self._read_or_instead(one, position, now, read)
            except ChannelError as error:
                failed = error
                read.forget(one.name)
                break
        if failed is None or read.prices or read.users:
            yield from self.hand_over(read, position)
        if failed is not None:
            raise CollectError(
                failed.reason, str(failed), retry_at=failed.retry_at, permanent=failed.permanent
            ) from failed

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read_or_instead(self, one: _List, position: Cursor, now: datetime, read: _Read) -> None:
        try:
            self._read(one, position, now, read)
        except ChannelError as error:
            if one.instead is None or error.reason is not Reason.gone:
                raise
            self._read(one.instead, position, now, read)

    def _read(self, one: _List, position: Cursor, now: datetime, read: _Read) -> None:
        bounds = self._bounds(one, position, now)
        for page in x.pages(one.method, *one.args, next_as=one.next_as, max_results=PAGE, **FIELDS, **bounds):
            self.take(page, one, read)

    def take(self, page: Mapping[str, Any], one: _List, read: _Read) -> None:
        """What a page of a list holds."""
        includes = page.get("includes")
        includes = includes if isinstance(includes, Mapping) else {}
        _index(includes.get("users"), "id", read.users)
        _index(includes.get("media"), "media_key", read.media)
        brought: dict[str, Mapping[str, Any]] = {}
        _index(x.either(includes, "tweets"), "id", brought)
        read.referred |= brought
        for referred, post in brought.items():
            ours = str(post.get("author_id")) == self._account.user_id
            read.prices.setdefault(referred, "read_own_post" if ours else "read_post")
        for post in page.get("data") or ():
            number = _number(post)
            if number is None:
                read.nameless.append(SetAside("a post without an id that is a number", post))
                continue
            read.posts.setdefault(number, post)
            read.lists.setdefault(number, set()).add(one.name)
            read.prices[str(number)] = one.price

    def _bounds(self, one: _List, position: Cursor, now: datetime) -> dict[str, Any]:
        since_id = position.get(one.name)
        earliest = now - one.reaches + MARGIN if one.reaches else None
        if since_id and not (earliest and _made_before(int(since_id), earliest)):
            return {"since_id": since_id}
        start = datetime.fromisoformat(position["start"]) if position.get("start") else None
        if since_id:  # older than the list reaches: X refuses it, so take all there is
            start = None
        if earliest and (start is None or start < earliest):
            start = earliest
        return {"start_time": start} if start else {}

    # -- handing over -----------------------------------------------------------------------------------------------

    def hand_over(self, read: _Read, position: dict[str, Any]) -> Iterator[Batch]:
        found: list[MentionData] = []
        set_aside = list(read.nameless)
        charges = read.charges()
        shown: set[str] = set()  # context that was brought along already
        for number in sorted(read.posts):
            together: list[MentionData] = []
            try:
                together = [*self._context(read.posts[number], read, shown), self._mention(read.posts[number], read)]
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                reason = f"a post that cannot be read: {type(error).__name__}: {error}"
                set_aside.append(SetAside(reason, read.posts[number], str(number)))
            if len(found) + len(together) > BATCH:
                yield Batch(tuple(found), dict(position), tuple(set_aside), charges=charges)
                found, set_aside, charges = [], [], ()
            found += together
            shown.update(mention.external_id for mention in together)
            for name in read.lists[number]:
                position[name] = str(max(number, int(position.get(name) or 0)))
        yield Batch(tuple(found), dict(position), tuple(set_aside), charges=charges)

    def _context(self, post: Mapping[str, Any], read: _Read, shown: set[str]) -> list[MentionData]:
        """What the post refers to and X sent along, unless it is handed over for its own sake."""
        context = []
        for number in x.references(post).values():
            referred = read.referred.get(number)
            if referred is None or number in shown or int(number) in read.posts:
                continue
            try:
                context.append(self._mention(referred, read, context=True))
            except (KeyError, TypeError, ValueError, AttributeError, IndexError):
                continue  # only brought along; the post it explains is not worse for it
        return context

    def _mention(self, post: Mapping[str, Any], read: _Read, *, context: bool = False) -> MentionData:
        number = str(post["id"])
        author_id = str(post["author_id"]) if post.get("author_id") else None
        user = read.users.get(author_id or "", {})
        refers = x.references(post)
        ours = author_id == self._account.user_id or (author_id is None and "own" in read.lists.get(int(number), ()))
        ids = [str(one) for one in x.either(post, "edit_history_tweet_ids") or [number]]
        created = _time(post["created_at"])
        answerable, why_not = self._answerable(post, user, refers, read, ours)
        return MentionData(
            external_id=number,
            author=_author(author_id, user) if author_id else None,
            text=x.readable(post),
            published_at=_first_made(ids, created),
            url=x.post_url(number, user.get("username")),
            in_reply_to=refers.get("retweeted") or refers.get("replied_to"),
            thread=str(post["conversation_id"]) if post.get("conversation_id") else None,
            repost="retweeted" in refers,
            ours=ours,
            context=context,
            can_reply=answerable,
            can_reply_reason=why_not,
            reply_address={"tweet": number},
            attachments=self._attachments(post, refers, read),
            earlier_ids=tuple(one for one in ids if one != number),
            edited_at=created if len(ids) > 1 else None,
            raw=post,
        )

    def _answerable(
        self, post: Mapping[str, Any], user: Mapping[str, Any], refers: Mapping[str, str], read: _Read, ours: bool
    ) -> tuple[bool, str | None]:
        """X takes an answer only when the post's writer named us with @ or quoted one of our posts."""
        if ours:
            return False, "ours"
        if "retweeted" in refers:
            return False, "repost"
        if user.get("protected"):
            return False, "protected"
        quoted = read.referred.get(refers.get("quoted", "")) or read.posts.get(int(refers.get("quoted", 0)), {})
        if x.names(post, self._account.handle, self._account.user_id):
            return True, None
        return (True, None) if str(quoted.get("author_id")) == self._account.user_id else (False, "not_summoned")

    def _attachments(self, post: Mapping[str, Any], refers: Mapping[str, str], read: _Read) -> tuple[Attachment, ...]:
        hanging = []
        for key in (post.get("attachments") or {}).get("media_keys") or ():
            media = read.media.get(str(key), {})
            kind = "photo" if media.get("type", "photo") == "photo" else "video"
            hanging.append(Attachment(kind, media.get("url") or media.get("preview_image_url"), media.get("alt_text")))
        if "quoted" in refers:
            quoted = read.referred.get(refers["quoted"]) or read.posts.get(int(refers["quoted"]), {})
            writer = read.users.get(str(quoted.get("author_id")), {}).get("username")
            words = x.readable(quoted) if quoted.get("text") else None
            hanging.append(Attachment("quote", x.post_url(refers["quoted"], writer), words, writer))
        return tuple(hanging)


def _index(items: object, key: str, into: dict[str, Mapping[str, Any]]) -> None:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get(key), str | int):
            into[str(item[key])] = item


def _number(post: object) -> int | None:
    number = post.get("id") if isinstance(post, Mapping) else None
    return int(number) if isinstance(number, str | int) and str(number).isascii() and str(number).isdigit() else None


def _author(author_id: str, user: Mapping[str, Any]) -> AuthorData:
    """Where X does not say who it is, the id stands for the name."""
    handle = user.get("username")
    return AuthorData(
        external_id=author_id,
        name=str(user.get("name") or handle or author_id),
        handle=handle,
        url=f"https://x.com/{handle}" if handle else f"https://x.com/i/user/{author_id}",
        avatar_url=user.get("profile_image_url"),
        followers=(user.get("public_metrics") or {}).get("followers_count"),
    )


def _time(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError(f"the time {value} has no zone")
    return found.astimezone(UTC)


def _made_at(number: int) -> datetime:
    return datetime.fromtimestamp(((number >> 22) + EPOCH_MS) / 1000, UTC)


def _made_before(number: int, at: datetime) -> bool:
    return _made_at(number) < at


def _first_made(ids: list[str], created: datetime) -> datetime:
    """When a post was first published: an edit makes a new one, with its own time, within the hour."""
    if len(ids) < 2:
        return created
    first = _made_at(min(int(one) for one in ids))
    return first if created - timedelta(days=1) < first < created else created
