"""A look-alike of X: API v2 with the names of specification 2.166, so that an unmodified tweepy works against it.

It keeps X's rules: who may be answered (only who mentioned or quoted us), no duplicate texts, lengths by weight,
unknown keys refused, rate limits that count down, OAuth 1.0a signatures checked.
"""

from __future__ import annotations

import itertools
import re
import secrets
import threading
import unicodedata
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from flask import Flask, Response, jsonify, request
from oauthlib.common import Request as SignedRequest
from oauthlib.oauth1.rfc5849 import signature
from werkzeug.exceptions import HTTPException

from sandbox.base import HTML_ERROR, Clock, Fault, Faults, Post

PROBLEMS = "https://api.twitter.com/2/problems/"
WINDOW = timedelta(minutes=15)
EPOCH_MS = 1288834974657  # of X's ids, which hold the millisecond they were made in
LONGEST = 280

_LINK = re.compile(r"https?://\S+|\b(?:[a-z0-9-]+\.)+(?:se|dk|no|fi|com|org|net|eu|nu|example|app)\b(?:/\S*)?", re.I)
_MENTION = re.compile(r"(?<![A-Za-z0-9_@])@([A-Za-z0-9_]{1,20})\b")
_HASHTAG = re.compile(r"(?<!\w)#(\w*[^\W\d]\w*)")
_EMOJI_GLUE = re.compile("\u200d.|[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]", re.S)
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")

_LIST_PARAMETERS = frozenset({
    "since_id", "until_id", "start_time", "end_time", "max_results", "expansions", "tweet.fields", "post.fields",
    "user.fields", "media.fields", "place.fields", "poll.fields",
})  # fmt: skip
_BODY_KEYS = frozenset({
    "text", "reply", "media", "poll", "quote_tweet_id", "reply_settings", "for_super_followers_only", "geo",
    "direct_message_deep_link", "nullcast", "card_uri", "community_id", "share_with_followers", "edit_options",
    "made_with_ai", "paid_partnership",
})  # fmt: skip
_MEDIA_KEYS = frozenset({"media_ids", "tagged_user_ids"})
_REPLY_KEYS = frozenset({"in_reply_to_tweet_id", "exclude_reply_user_ids", "auto_populate_reply_metadata"})
_LIMITS = {"search": 450, "mentions": 450, "tweets": 900, "lookup": 3500, "create": 100, "delete": 50, "me": 75,
           "hide": 50}  # fmt: skip

NEWER_NAMES = {  # what specification 2.167 calls them
    "referenced_tweets": "referenced_posts",
    "edit_history_tweet_ids": "edit_history_post_ids",
    "tweets": "posts",
    "retweet_count": "repost_count",
    "note_tweet": "note_post",
}


def snowflake(at: datetime, sequence: int = 0) -> int:
    """An id as X makes them: later posts have greater ones."""
    return ((int(at.timestamp() * 1000) - EPOCH_MS) << 22) + sequence


def weighted_length(text: str) -> int:
    """As X counts, simply: links 23, emoji and what lies far from the Latin script 2, all else 1."""
    text, links = _LINK.subn("", unicodedata.normalize("NFC", text))
    text = _FLAG.sub("\u4e00", _EMOJI_GLUE.sub("", text))
    light = ((0, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
    return 23 * links + sum(1 if any(a <= ord(c) <= b for a, b in light) else 2 for c in text)


@dataclass
class User:
    id: str
    username: str
    name: str
    protected: bool = False
    own: bool = False  # one of the organisation's accounts, which has keys
    followers: int = 48


@dataclass
class Tweet:
    id: int
    author: User
    written: str  # as its author wrote it
    at: datetime
    parent: int | None = None
    quoted: int | None = None
    reposted: int | None = None
    conversation: int = 0
    media: tuple[tuple[str, str], ...] = ()  # (address, alternative text)
    history: list[int] = field(default_factory=list)  # its ids, oldest first
    deleted: bool = False
    text: str = ""  # as the API gives it: links shortened, &<> escaped, the answered one named in front
    entities: dict[str, Any] = field(default_factory=dict)
    mentioned: frozenset[str] = frozenset()  # handles, lower case


@dataclass(frozen=True)
class Loaded:
    """A post to be loaded as it once was. ``author`` is a handle."""

    id: int
    author: str
    text: str
    at: datetime
    parent: int | None = None


class Refusal(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}
        super().__init__(status)


def _problem(status: int, title: str, detail: str, kind: str = "about:blank", **more: Any) -> Refusal:
    kind = kind if kind == "about:blank" else PROBLEMS + kind
    return Refusal(status, {"title": title, "detail": detail, "type": kind, "status": status, **more})


def _invalid(parameter: str, value: object, message: str) -> Refusal:
    return Refusal(400, {
        "errors": [{"parameters": {parameter: [str(value)]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": PROBLEMS + "invalid-request",
    })  # fmt: skip


def _not_found(parameter: str, value: str, kind: str = "tweet") -> dict[str, Any]:
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": PROBLEMS + "resource-not-found",
    }


class X:
    """The whole network: its people, its posts, its API (``app``), and doors for those who use it with their hands.

    ``newer_names``: answer with the names of specification 2.167. ``check_signatures``: refuse a wrong OAuth 1.0a one.
    """

    name = "twitter"
    label = "X"

    def __init__(
        self,
        handle: str = "storby",
        user_id: str = "2244994945",
        title: str = "Storby kommun",
        *,
        clock: Clock | None = None,
        newer_names: bool = False,
        check_signatures: bool = True,
    ) -> None:
        self.clock = clock or Clock()
        self.faults = Faults()
        self.newer_names = newer_names
        self.check_signatures = check_signatures
        self.reset_after = WINDOW  # what a rate limit that was switched on says
        self.requests: list[str] = []  # method and path of every request, for those who count calls
        self._lock = threading.RLock()
        self._sequence = itertools.count(1)
        self._tweets: dict[int, Tweet] = {}  # also under the ids they had before an edit
        self._order: list[int] = []
        self._by_author: dict[str, list[int]] = defaultdict(list)
        self._by_mention: dict[str, list[int]] = defaultdict(list)
        self._users: dict[str, User] = {}
        self._handles: dict[str, User] = {}
        self.hidden: set[str] = set()  # ids of what was hidden by who began its conversation
        self.uploaded: dict[str, tuple[bytes, str]] = {}  # id of a picture -> the file as it came, what it shows
        self._spent: dict[tuple[str, str], tuple[datetime, int]] = {}
        self.us = self.add_account(handle, user_id, title)
        self.app = self._build()

    # -- people, and what they do with their hands ------------------------------------------------------------------

    def add_account(self, handle: str, user_id: str, title: str) -> User:
        """An account of the organisation: it has keys."""
        return self._add(User(user_id, handle, title, own=True))

    def account(self, name: str, api_base: str, handle: str | None = None) -> dict[str, Any]:
        """What stands in config.yaml for one of the organisation's accounts (the first, unless a handle is given)."""
        user = self._handles[handle.lower()] if handle else self.us
        keys = ("bearer_token", "consumer_key", "consumer_secret", "access_token", "access_token_secret")
        return {
            "name": name,
            "channel": self.name,
            "handle": user.username,
            "user_id": user.id,
            "api_base": api_base,
            **{key: self._key(user, key) for key in keys},
        }

    def person(self, name: str) -> User:
        """The user of that name or handle; made at the first call."""
        wanted = name.strip().removeprefix("@")
        plain = unicodedata.normalize("NFKD", wanted.translate(str.maketrans("øØæÆ", "oOaA")))
        handle = re.sub(r"[^A-Za-z0-9_]", "", plain.encode("ascii", "ignore").decode())[:15] or "nobody"
        with self._lock:
            known = self._handles.get(handle.lower())
            return known or self._add(User(str(4_000_000_000 + len(self._users)), handle, name.strip()))

    def write(
        self,
        author: str,
        text: str,
        *,
        in_reply_to: str | None = None,
        at: datetime | None = None,
        quote: str | None = None,
        media: Iterable[tuple[str, str]] = (),
    ) -> str:
        """As a member of the public: post, answer or quote a post. Returns its id."""
        return self._write(self.person(author), text, in_reply_to, at, quote=quote, media=media)

    def write_as_us(self, text: str, *, in_reply_to: str | None = None, at: datetime | None = None) -> str:
        """As the organisation, in X's own app."""
        return self._write(self.us, text, in_reply_to, at)

    def repost(self, author: str, post_id: str, *, at: datetime | None = None) -> str:
        """As a member of the public: pass a post on without a word."""
        original = self._tweets[int(post_id)]
        text = f"RT @{original.author.username}: {original.written}"
        return self._write(self.person(author), text[:139] + "…" if len(text) > 140 else text, None, at, repost=post_id)

    def edit(self, post_id: str, text: str, *, at: datetime | None = None) -> str:
        """As its author: change a post. It gets a new id and keeps the old one in its history."""
        with self._lock:
            old = self._tweets[int(post_id)]
            self._forget(old)
            new = self._make(old.author, text, at, parent=old.parent, quoted=old.quoted, media=old.media)
            new.history = [*old.history, new.id]
            new.conversation = old.conversation if old.parent else old.id
            self._store(new)
            for earlier in old.history:
                self._tweets[earlier] = new
            return str(new.id)

    def delete(self, post_id: str) -> None:
        """As its author: take a post away."""
        with self._lock:
            tweet = self._tweets[int(post_id)]
            self._forget(tweet)
            tweet.deleted = True

    def posts(self) -> list[Post]:
        """Everything said there, oldest first."""
        with self._lock:
            seen = {id(tweet): tweet for tweet in self._tweets.values()}.values()
            return [
                Post(
                    str(tweet.id),
                    tweet.author.name,
                    tweet.written,
                    tweet.at,
                    str(tweet.parent) if tweet.parent else None,
                    tweet.author.own,
                    deleted=tweet.deleted,
                )
                for tweet in sorted(seen, key=lambda tweet: tweet.id)
            ]

    def load(self, posts: Iterable[Loaded]) -> None:
        """Many posts at once, as they once were. Ids are taken as they are and should grow with time."""
        with self._lock:
            for post in sorted(posts, key=lambda post: post.id):
                author = self._handles.get(post.author.lower())
                author = author or self._add(User(str(5_000_000_000 + len(self._users)), post.author, post.author))
                tweet = Tweet(post.id, author, post.text, post.at, post.parent, history=[post.id])
                self._finish(tweet, loaded=True)
                self._store(tweet)

    # -- keeping posts ----------------------------------------------------------------------------------------------

    def _add(self, user: User) -> User:
        self._users[user.id] = self._handles[user.username.lower()] = user
        return user

    def _key(self, user: User, kind: str) -> str:
        return sha256(f"{user.id} {kind}".encode()).hexdigest()[:32]

    def _write(
        self,
        author: User,
        text: str,
        in_reply_to: str | None,
        at: datetime | None,
        *,
        quote: str | None = None,
        media: Iterable[tuple[str, str]] = (),
        repost: str | None = None,
    ) -> str:
        with self._lock:
            parent = self._tweets[int(in_reply_to)].id if in_reply_to else None
            tweet = self._make(author, text, at, parent=parent, quoted=int(quote) if quote else None,
                               reposted=int(repost) if repost else None, media=tuple(media))  # fmt: skip
            self._store(tweet)
            return str(tweet.id)

    def _make(self, author: User, text: str, at: datetime | None, **more: Any) -> Tweet:
        at = at or self.clock.now()
        number = snowflake(at, next(self._sequence) % (1 << 22))
        tweet = Tweet(number, author, text, at, history=[number], **more)
        self._finish(tweet)
        return tweet

    def _finish(self, tweet: Tweet, *, loaded: bool = False) -> None:
        """Work out what the API says about it: text, entities, conversation. X puts those talked with in front."""
        text = tweet.written
        parent = self._tweets.get(tweet.parent) if tweet.parent else None
        tweet.conversation = parent.conversation if parent else tweet.id
        if parent and not loaded:
            talking = [parent.author.username, *(one["username"] for one in parent.entities.get("mentions", ()))]
            present = {tweet.author.username.lower(), *(name.lower() for name in _MENTION.findall(text))}
            in_front = [f"@{name}" for name in dict.fromkeys(talking) if name.lower() not in present]
            text = " ".join([*in_front, text])
        urls: list[dict[str, Any]] = []

        def shorten(found: re.Match[str]) -> str:
            link = found.group()
            urls.append({
                "url": f"https://t.co/{sha256(f'{tweet.id} {len(urls)}'.encode()).hexdigest()[:10]}",
                "expanded_url": link if "://" in link else f"http://{link}",
                "display_url": link.partition("://")[2] or link,
            })  # fmt: skip
            return str(urls[-1]["url"])

        text = _LINK.sub(shorten, text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        quoted = self._tweets.get(tweet.quoted) if tweet.quoted else None
        if quoted:
            link = f"https://twitter.com/{quoted.author.username}/status/{quoted.id}"
            urls.append({"url": f"https://t.co/q{quoted.id % 10**9}", "expanded_url": link, "display_url": link[8:]})
            text = f"{text} {urls[-1]['url']}"
        for number in range(len(tweet.media)):
            link = f"https://twitter.com/{tweet.author.username}/status/{tweet.id}/photo/{number + 1}"
            urls.append({"url": f"https://t.co/m{tweet.id % 10**8}{number}", "expanded_url": link,
                         "display_url": "pic.twitter.com/x", "media_key": f"3_{tweet.id}{number}"})  # fmt: skip
            text = f"{text} {urls[-1]['url']}"
        for url in urls:
            url["start"] = text.index(url["url"])
            url["end"] = url["start"] + len(url["url"])
        mentions = []
        for found in _MENTION.finditer(text):
            user = self._handles.get(found.group(1).lower())
            mention = {"start": found.start(), "end": found.end(), "username": found.group(1)}
            mentions.append(mention | ({"id": user.id} if user else {}))
        hashtags = [{"start": t.start(), "end": t.end(), "tag": t.group(1)} for t in _HASHTAG.finditer(text)]
        named = (("urls", urls), ("mentions", mentions), ("hashtags", hashtags))
        tweet.entities = {kind: found for kind, found in named if found}
        tweet.text = text
        tweet.mentioned = frozenset(str(mention["username"]).lower() for mention in mentions)

    def _store(self, tweet: Tweet) -> None:
        self._tweets[tweet.id] = tweet
        for ids in self._lists(tweet):
            insort(ids, tweet.id)

    def _forget(self, tweet: Tweet) -> None:
        for ids in self._lists(tweet):
            if tweet.id in ids:
                ids.remove(tweet.id)

    def _lists(self, tweet: Tweet) -> list[list[int]]:
        return [self._order, self._by_author[tweet.author.id], *(self._by_mention[name] for name in tweet.mentioned)]

    # -- the API ----------------------------------------------------------------------------------------------------

    def _build(self) -> Flask:
        app = Flask("x")
        app.json.sort_keys = False  # type: ignore[attr-defined]
        routes: tuple[tuple[str, str, str, Callable[..., dict[str, Any]]], ...] = (
            ("GET", "/2/tweets/search/recent", "search", self._search),
            ("GET", "/2/users/<user_id>/mentions", "mentions", self._mentions),
            ("GET", "/2/users/<user_id>/tweets", "tweets", self._own),
            ("GET", "/2/tweets", "lookup", self._lookup),
            ("GET", "/2/tweets/<tweet_id>", "lookup", self._lookup_one),
            ("POST", "/2/tweets", "create", self._create),
            ("DELETE", "/2/tweets/<tweet_id>", "delete", self._delete),
            ("PUT", "/2/tweets/<tweet_id>/hidden", "hide", self._hide),
            ("POST", "/2/media/upload", "upload", self._upload),
            ("POST", "/2/media/metadata", "upload", self._describe),
            ("GET", "/2/users/me", "me", self._me),
            ("GET", "/2/users/by/username/<username>", "users", self._username),
        )
        for method, rule, name, answer in routes:
            app.add_url_rule(rule, f"{method} {rule}", self._endpoint(name, answer), methods=[method])

        @app.errorhandler(Refusal)
        def refused(refusal: Refusal) -> Response:
            response = jsonify(refusal.body)
            response.status_code = refusal.status
            response.headers.update(refusal.headers)
            return response

        @app.errorhandler(HTTPException)
        def unknown(error: HTTPException) -> Response:
            status = error.code or 500
            response = jsonify({"title": error.name, "detail": error.name, "type": "about:blank", "status": status})
            response.status_code = status
            return response

        return app

    def _endpoint(self, name: str, answer: Callable[..., dict[str, Any]]) -> Callable[..., Response]:
        def endpoint(**path: str) -> Response:
            self.requests.append(f"{request.method} {request.path}")
            if self.faults.take(Fault.html_error):
                return Response(HTML_ERROR.get_data(), HTML_ERROR.status_code, content_type="text/html")
            writes = name in ("create", "delete", "hide", "me", "upload")
            user = self._who(writes)
            limits = self._count_down(name, user)
            with self._lock:
                body = answer(user, **path)
            if name in ("create", "hide"):
                self.faults.after_accepting()
            response = jsonify(_renamed(body) if self.newer_names else body)
            response.status_code = 201 if name == "create" else 200
            response.headers.update(limits | {"x-access-level": "read-write", "x-response-time": "12"})
            return response

        return endpoint

    def _who(self, user_context: bool) -> User:
        """The account whose keys came with the request."""
        unauthorized = _problem(401, "Unauthorized", "Unauthorized")
        if self.faults.take(Fault.unauthorized):
            raise unauthorized
        if self.faults.take(Fault.out_of_credit):
            raise _problem(402, "CreditsDepleted", "Your account has no credits left for this request.", "credits")
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        own = [user for user in self._users.values() if user.own]
        if scheme == "Bearer":
            for user in own:
                if secrets.compare_digest(rest, self._key(user, "bearer_token")):
                    if user_context:
                        raise _problem(
                            403,
                            "Unsupported Authentication",
                            "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.  Supported "
                            "authentication types are [OAuth 1.0a User Context, OAuth 2.0 User Context].",
                            "unsupported-authentication",
                        )
                    return user
        if scheme == "OAuth":
            given = dict(signature.collect_parameters(headers={"Authorization": f"OAuth {rest}"}))
            for user in own:
                if given.get("oauth_token") == self._key(user, "access_token") and self._signed(user):
                    return user
        raise unauthorized

    def _signed(self, user: User) -> bool:
        if not self.check_signatures:
            return True
        headers = {"Authorization": request.headers["Authorization"]}
        query = request.query_string.decode()
        signed = SignedRequest(request.url, request.method)
        signed.params = signature.collect_parameters(uri_query=query, headers=headers)
        everything = signature.collect_parameters(headers=headers, exclude_oauth_signature=False)
        signed.signature = dict(everything).get("oauth_signature", "")
        secret, token = self._key(user, "consumer_secret"), self._key(user, "access_token_secret")
        return bool(signature.verify_hmac_sha1(signed, secret, token))

    def _count_down(self, name: str, user: User) -> dict[str, str]:
        now = self.clock.now()
        limit = _LIMITS.get(name, 300)
        too_many = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
        if self.faults.take(Fault.rate_limited_silent):
            raise Refusal(429, too_many)
        with self._lock:
            ends, used = self._spent.get((user.id, name), (now + WINDOW, 0))
            if ends <= now:
                ends, used = now + WINDOW, 0
            forced = self.faults.take(Fault.rate_limited)
            if forced:
                ends, used = now + self.reset_after, limit
            headers = {
                "x-rate-limit-limit": str(limit),
                "x-rate-limit-remaining": str(max(0, limit - used - 1)),
                "x-rate-limit-reset": str(int(ends.timestamp())),
            }
            if used >= limit:
                raise Refusal(429, too_many, headers)
            self._spent[user.id, name] = ends, used + 1
        return headers

    # -- reading ----------------------------------------------------------------------------------------------------

    def _search(self, user: User) -> dict[str, Any]:
        query = request.args.get("query", "")
        if not query.strip() or len(query) > 512:
            raise _invalid("query", query, "The query must have 1 to 512 characters.")
        matches = _Query(query).matches
        week_ago = self.clock.now() - timedelta(days=7)
        start = _time("start_time")
        if start and start < week_ago:
            raise _invalid("start_time", request.args["start_time"], "'start_time' must be on or after a week ago.")
        since = request.args.get("since_id", "")
        if since.isdigit() and int(since) < snowflake(week_ago):
            raise _invalid("since_id", since, "'since_id' must be a tweet id created after a week ago.")
        found = [number for number in self._order[bisect_left(self._order, snowflake(week_ago)) :]
                 if self._tweets[number].reposted is None and matches(self._tweets[number])]  # fmt: skip
        return self._list(found, "next_token", 10, {"query", "sort_order"})

    def _mentions(self, user: User, user_id: str) -> dict[str, Any]:
        return self._list(self._by_mention[self._known(user_id).username.lower()], "pagination_token", 5)

    def _own(self, user: User, user_id: str) -> dict[str, Any]:
        return self._list(self._by_author[self._known(user_id).id], "pagination_token", 5, {"exclude"})

    def _known(self, user_id: str) -> User:
        if user_id not in self._users:
            raise Refusal(200, {"errors": [_not_found("id", user_id, "user")]})
        return self._users[user_id]

    def _list(self, ids: list[int], token_name: str, least: int, more: Iterable[str] = ()) -> dict[str, Any]:
        self._check_parameters(_LIST_PARAMETERS | {token_name} | set(more))
        size = request.args.get("max_results", "10")
        if not size.isdigit() or not least <= int(size) <= 100:
            raise _invalid("max_results", size, f"The `max_results` query parameter value [{size}] is not between "
                                                f"{least} and 100.")  # fmt: skip
        start, end = _time("start_time"), _time("end_time")
        since, until = request.args.get("since_id", ""), request.args.get("until_id", "")
        low = bisect_right(ids, int(since)) if since.isdigit() else 0
        high = bisect_left(ids, int(until)) if until.isdigit() else len(ids)
        wanted = [
            number
            for number in ids[low:high]
            if (not start or self._tweets[number].at >= start) and (not end or self._tweets[number].at < end)
        ]
        if Fault.reversed_pages not in self.faults.active():
            wanted.reverse()
        token = request.args.get(token_name)
        position = 0
        if token:
            last = int(token.removeprefix("after"), 36)
            position = next((i + 1 for i, number in enumerate(wanted) if number == last), len(wanted))
        page = wanted[position : position + int(size)]
        repeated = wanted[position - 1 : position] if position and Fault.repeated_item in self.faults.active() else []
        data: list[dict[str, Any]] = [self._show(self._tweets[number]) for number in [*repeated, *page]]
        body: dict[str, Any] = {}
        if data and self.faults.take(Fault.malformed_item):
            data.insert(len(data) // 2, {"id": {"not": "an id"}, "text": 17})
        if data:
            body["data"] = data
            body |= self._includes([self._tweets[number] for number in page])
        meta: dict[str, Any] = {"result_count": len(data)}
        if page:
            meta = {"newest_id": str(max(page)), "oldest_id": str(min(page))} | meta
        if position + len(page) < len(wanted):
            meta["next_token"] = "after" + _base36(page[-1])
        return body | {"meta": meta}

    def _check_parameters(self, allowed: Iterable[str]) -> None:
        for name, value in request.args.items():
            if name not in allowed:
                raise _invalid(name, value, f"The query parameter [{name}] is not one of [{','.join(sorted(allowed))}]")

    def _lookup(self, user: User) -> dict[str, Any]:
        self._check_parameters({"ids"} | _LIST_PARAMETERS)
        ids = request.args.get("ids", "").split(",")
        if not 1 <= len(ids) <= 100 or not all(number.isdigit() for number in ids):
            raise _invalid("ids", request.args.get("ids", ""), "`ids` takes 1 to 100 ids of posts.")
        there = [self._tweets[int(n)] for n in ids if int(n) in self._tweets and not self._tweets[int(n)].deleted]
        missing = [n for n in ids if int(n) not in self._tweets or self._tweets[int(n)].deleted]
        body: dict[str, Any] = {}
        if there:
            body = {"data": [self._show(tweet) for tweet in there]} | self._includes(there)
        if missing:
            body.setdefault("errors", []).extend(_not_found("ids", number) for number in missing)
        return body

    def _lookup_one(self, user: User, tweet_id: str) -> dict[str, Any]:
        tweet = self._tweets.get(int(tweet_id)) if tweet_id.isdigit() else None
        if tweet is None or tweet.deleted:
            return {"errors": [_not_found("id", tweet_id)]}
        return {"data": self._show(tweet)} | self._includes([tweet])

    def _me(self, user: User) -> dict[str, Any]:
        return {"data": {"id": user.id, "name": user.name, "username": user.username}}

    def _username(self, user: User, username: str) -> dict[str, Any]:
        found = self._handles.get(username.lower())
        return {"data": self._show_user(found)} if found else {"errors": [_not_found("username", username, "user")]}

    def _fields(self, kind: str, always: str) -> set[str]:
        asked = request.args.get(f"{kind}.fields") or (request.args.get("post.fields") if kind == "tweet" else None)
        return set((asked or "").split(",")) | set(always.split(","))

    def _show(self, tweet: Tweet) -> dict[str, Any]:
        refers = (("replied_to", tweet.parent), ("quoted", tweet.quoted), ("retweeted", tweet.reposted))
        answered = self._tweets[tweet.parent].author.id if tweet.parent in self._tweets else None
        everything: dict[str, Any] = {
            "id": str(tweet.id),
            "text": tweet.text,
            "author_id": tweet.author.id,
            "conversation_id": str(tweet.conversation),
            "created_at": f"{tweet.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{tweet.at.microsecond // 1000:03d}Z",
            "in_reply_to_user_id": answered,
            "referenced_tweets": [{"type": kind, "id": str(number)} for kind, number in refers if number],
            "entities": tweet.entities,
            "attachments": {"media_keys": [f"3_{tweet.id}{i}" for i in range(len(tweet.media))]} if tweet.media else {},
            "lang": "und",
            "possibly_sensitive": False,
            "reply_settings": "everyone",
            "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0},
            "edit_history_tweet_ids": [str(number) for number in tweet.history],
        }
        if weighted_length(tweet.text) > LONGEST:
            everything["note_tweet"] = {"text": tweet.text, "entities": tweet.entities}
            everything["text"] = tweet.text[: LONGEST - 3] + "…"
        asked = self._fields("tweet", "id,text,edit_history_tweet_ids")
        return {name: value for name, value in everything.items() if name in asked and value not in (None, [], {})}

    def _show_user(self, user: User) -> dict[str, Any]:
        everything = {
            "id": user.id,
            "name": user.name,
            "username": user.username,
            "protected": user.protected,
            "verified": user.own,
            "public_metrics": {
                "followers_count": user.followers,
                "following_count": 90,
                "tweet_count": 12,
                "listed_count": 0,
            },
        }
        asked = self._fields("user", "id,name,username")
        return {name: value for name, value in everything.items() if name in asked}

    def _includes(self, tweets: list[Tweet]) -> dict[str, Any]:
        asked = set(request.args.get("expansions", "").split(","))
        numbers = {n for tweet in tweets for n in (tweet.parent, tweet.quoted, tweet.reposted) if n}
        referred = [self._tweets[n] for n in sorted(numbers) if n in self._tweets and not self._tweets[n].deleted]
        gone = sorted(n for n in numbers if n not in self._tweets or self._tweets[n].deleted)
        users: dict[str, User] = {}
        if "author_id" in asked:
            users |= {tweet.author.id: tweet.author for tweet in tweets}
        if "referenced_tweets.id.author_id" in asked:
            users |= {tweet.author.id: tweet.author for tweet in referred}
        body: dict[str, Any] = {}
        if users:
            body["users"] = [self._show_user(user) for user in users.values()]
        if referred and "referenced_tweets.id" in asked:
            body["tweets"] = [self._show(tweet) for tweet in referred]
        media = [(tweet, number, one) for tweet in tweets for number, one in enumerate(tweet.media)]
        if media and "attachments.media_keys" in asked:
            body["media"] = [
                {"media_key": f"3_{tweet.id}{number}", "type": "photo", "url": address, "alt_text": words}
                for tweet, number, (address, words) in media
            ]
        errors = [_not_found("referenced_tweets.id", str(n)) for n in gone] if "referenced_tweets.id" in asked else []
        return ({"includes": body} if body else {}) | ({"errors": errors} if errors else {})

    # -- writing ----------------------------------------------------------------------------------------------------

    def _create(self, user: User) -> dict[str, Any]:
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise _invalid("body", "", "The body must be a JSON object.")
        for key in body:
            if key not in _BODY_KEYS:
                raise _invalid(key, body[key], f"$.{key}: is not defined in the schema")
        text, reply = body.get("text", ""), body.get("reply") or {}
        if not isinstance(text, str) or not text.strip():
            raise _invalid("text", text, "The text may not be empty.")
        if not isinstance(reply, dict) or set(reply) - _REPLY_KEYS:
            raise _invalid("reply", reply, "$.reply: is not defined in the schema")
        if weighted_length(text) > LONGEST:
            raise _invalid("text", text, f"Your post text is too long: at most {LONGEST} characters.")
        media = body.get("media") or {}
        if not isinstance(media, dict) or set(media) - _MEDIA_KEYS:
            raise _invalid("media", media, "$.media: is not defined in the schema")
        ids = [str(number) for number in media.get("media_ids", ())]
        if len(ids) > 4 or not all(number in self.uploaded for number in ids):
            raise _invalid("media.media_ids", ids, "Your media IDs are invalid.")
        if "quote_tweet_id" in body:
            raise _problem(403, "Forbidden", "Quoting through the API is not part of your access level.")
        to = str(reply.get("in_reply_to_tweet_id", ""))
        if reply:
            parent = self._tweets.get(int(to)) if to.isdigit() else None
            if parent is None or parent.deleted:
                raise _problem(
                    403, "Forbidden", "You attempted to reply to a Tweet that is deleted or not visible to you."
                )
            quoted = self._tweets.get(parent.quoted) if parent.quoted else None
            if user.username.lower() not in parent.mentioned and (quoted is None or quoted.author is not user):
                raise _problem(
                    403,
                    "Forbidden",
                    "You may only reply when its author has mentioned you or quoted one of your posts.",
                )
        pictures = tuple((f"https://pbs.twimg.com/media/{number}.jpg", self.uploaded[number][1]) for number in ids)
        tweet = self._make(user, text, None, parent=self._tweets[int(to)].id if reply else None, media=pictures)
        day_ago = snowflake(tweet.at - timedelta(days=1))
        own = self._by_author[user.id]
        for number in own[bisect_left(own, day_ago) :]:
            if self._tweets[number].parent == tweet.parent and self._tweets[number].written == text:
                raise _problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")
        self._store(tweet)
        return {"data": {"id": str(tweet.id), "text": tweet.text, "edit_history_tweet_ids": [str(tweet.id)]}}

    def _upload(self, user: User) -> dict[str, Any]:
        file = request.files.get("media")
        if file is None or request.form.get("media_category") != "tweet_image":
            raise _invalid("media", "", "A file is wanted, and a media_category.")
        body = file.read()
        if len(body) > 5_000_000:
            raise _invalid("media", len(body), "File size exceeds 5242880 bytes.")
        number = str(next(self._sequence) + 1_800_000_000_000_000_000)
        self.uploaded[number] = (body, "")
        return {"data": {"id": number, "media_key": f"3_{number}", "size": len(body), "expires_after_secs": 86400}}

    def _describe(self, user: User) -> dict[str, Any]:
        body = request.get_json(silent=True)
        number = str((body or {}).get("id"))
        try:
            words = str((body or {})["metadata"]["alt_text"]["text"])
        except (KeyError, TypeError):
            raise _invalid("metadata", body, "$.metadata: is not defined in the schema") from None
        if number not in self.uploaded or len(words) > 1000:
            raise _invalid("id", number, "There is no such media, or its text is too long.")
        self.uploaded[number] = (self.uploaded[number][0], words)
        return {"data": {"id": number, "associated_metadata": {"alt_text": {"text": words}}}}

    def pictures_of(self, post_id: str) -> list[tuple[bytes, str]]:
        """The files a post of the organisation was made with, and what they show in words."""
        ids = [address.rpartition("/")[2].removesuffix(".jpg") for address, _ in self._tweets[int(post_id)].media]
        return [self.uploaded[number] for number in ids]

    def _hide(self, user: User, tweet_id: str) -> dict[str, Any]:
        tweet = self._tweets.get(int(tweet_id)) if tweet_id.isdigit() else None
        wanted = (request.get_json(silent=True) or {}).get("hidden")
        if not isinstance(wanted, bool):
            raise _invalid("hidden", wanted, "$.hidden: is missing but it is required")
        if tweet is None or tweet.deleted:
            raise _problem(404, "Not Found Error", f"Could not find tweet with id: [{tweet_id}].", "resource-not-found")
        if self._tweets[tweet.conversation].author is not user or tweet.id == tweet.conversation:
            words = "You are not allowed to hide this reply: you did not start its conversation."
            raise _problem(403, "Forbidden", words)
        (self.hidden.add if wanted else self.hidden.discard)(tweet_id)
        return {"data": {"hidden": wanted}}

    def _delete(self, user: User, tweet_id: str) -> dict[str, Any]:
        tweet = self._tweets.get(int(tweet_id)) if tweet_id.isdigit() else None
        if tweet is None or tweet.deleted:
            return {"data": {"deleted": False}}
        if tweet.author is not user:
            raise _problem(403, "Forbidden", "You may only delete posts of your own.")
        self.delete(tweet_id)
        return {"data": {"deleted": True}}


def _time(parameter: str) -> datetime | None:
    value = request.args.get(parameter)
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _invalid(parameter, value, f"`{parameter}` is not a time like 2026-01-31T12:00:00Z.") from None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {NEWER_NAMES.get(key, key): _renamed(inner) for key, inner in value.items()}
    return [_renamed(inner) for inner in value] if isinstance(value, list) else value


class _Query:
    """X's search as far as it goes here: words, "phrases", @ # from: to: is: has:, - as not, AND before OR, ( )."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = re.findall(r'-?"[^"]*"|-?\(|\)|[^\s()"]+', query)
        self.matches = self._either()
        if self._tokens:
            raise self._error()

    def _error(self) -> Refusal:
        return _invalid("query", self._query, "There is an error in your query.")

    def _either(self) -> Callable[[Tweet], bool]:
        choices = [self._all()]
        while self._tokens and self._tokens[0] == "OR":
            self._tokens.pop(0)
            choices.append(self._all())
        return lambda tweet: any(choice(tweet) for choice in choices)

    def _all(self) -> Callable[[Tweet], bool]:
        parts = []
        while self._tokens and self._tokens[0] not in ("OR", ")"):
            parts.append(self._one(self._tokens.pop(0)))
        if not parts:
            raise self._error()
        return lambda tweet: all(part(tweet) for part in parts)

    def _one(self, term: str) -> Callable[[Tweet], bool]:
        if term.startswith("-") and len(term) > 1:
            inner = self._one(term[1:])
            return lambda tweet: not inner(tweet)
        if term == "(":
            group = self._either()
            if not self._tokens or self._tokens.pop(0) != ")":
                raise self._error()
            return group
        operator, colon, value = term.lower().partition(":")
        if colon and not term.startswith('"'):
            tests: dict[str, Callable[[Tweet], bool]] = {
                "from": lambda tweet: value.removeprefix("@") in (tweet.author.username.lower(), tweet.author.id),
                "to": lambda tweet: tweet.parent is not None and value.removeprefix("@") in tweet.mentioned,
                "is": lambda tweet: (
                    {"retweet": tweet.reposted, "reply": tweet.parent, "quote": tweet.quoted}.get(value) is not None
                ),
                "has": lambda tweet: bool(tweet.media if value in ("media", "images") else tweet.entities.get("urls")),
                "lang": lambda tweet: value == "und",
            }
            if operator not in tests:
                raise self._error()
            return tests[operator]
        if term.startswith("@"):
            return lambda tweet: term[1:].lower() in tweet.mentioned
        word = term.strip('"').lower()
        pattern = re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, word.split())) + r"(?!\w)")
        return lambda tweet: pattern.search(tweet.written.lower()) is not None
