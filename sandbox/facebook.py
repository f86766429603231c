"""A look-alike of Facebook's Graph API, version 26, with one page on it.

It is as awkward as the real thing: people without ``from``, posts without ``message``, replies that hang two levels
deep at most, a next page named with another host or without the token, times without a colon in their offset.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, request

from sandbox.base import HTML_ERROR, Clock, Fault, Faults, Post

OLDEST, NEWEST = 21, 26  # versions served; an older one is answered by the oldest
POST_FIELDS = re.findall(
    r"\w+",
    "id,message,story,created_time,updated_time,from,permalink_url,full_picture,attachments,message_tags,parent_id,"
    "status_type,is_hidden,is_published,shares,comments,reactions",
)
COMMENT_FIELDS = re.findall(
    r"\w+",
    "id,message,created_time,from,parent,object,permalink_url,comment_count,like_count,attachment,message_tags,"
    "is_hidden,is_private,can_comment,can_hide,can_remove,can_reply_privately,private_reply_conversation,user_likes",
)
LIMIT, PRIVATE_LIMIT = 8000, 2000
PRIVATE_WINDOW = timedelta(days=7)


@dataclass
class _Person:
    id: str
    name: str
    nameless: bool = False  # the network does not tell us who this is


@dataclass(eq=False)
class _Item:
    """A post (``post`` is None) or a comment; ``parent`` is the comment it answers."""

    id: str
    number: int
    author: _Person
    text: str
    at: datetime
    updated: datetime
    post: _Item | None = None
    parent: _Item | None = None
    on_page: bool = True  # False: elsewhere, tagging the page
    hidden: bool = False
    deleted: bool = False
    closed: bool = False  # nobody can comment here
    conversation: str | None = None
    answers: list[_Item] = field(default_factory=list)
    picture: tuple[bytes, str] | None = None  # the file as it came, and what it shows in words

    @property
    def top(self) -> _Item:
        return self.post or self

    @property
    def gone(self) -> bool:
        return self.deleted or any(above is not None and above.gone for above in (self.post, self.parent))

    @property
    def key(self) -> tuple[datetime, int]:
        return self.at, self.number


@dataclass
class _Message:
    id: str
    conversation: str
    to: _Item
    text: str
    at: datetime


class _Refusal(Exception):
    def __init__(self, code: int, message: str, *, subcode: int | None = None, status: int = 400) -> None:
        self.response = error(code, message, subcode=subcode, status=status)


def error(code: int, message: str = "", *, subcode: int | None = None, status: int = 400) -> Response:
    """Facebook's words for a refusal."""
    body: dict[str, Any] = {
        "message": message or f"(#{code}) An error",
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "AbCdEfGhIjKl",
    }
    if subcode is not None:
        body["error_subcode"] = subcode
    return _json({"error": body}, status)


class Graph:
    """One page and everybody who writes to it.

    ``answer_once(response)`` gives the next request that answer whatever it asks; ``usage`` is the percentage told in
    the usage headers, ``regain_minutes`` the time told with it; ``levels`` is how deep comments hang.
    """

    name = "facebook"
    label = "Facebook"

    def __init__(
        self,
        *,
        page_id: str = "100064500000001",
        page_name: str = "Storby kommun",
        page_token: str = "EAASandboxPageToken",  # noqa: S107
        app_secret: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.page_id, self.page_token, self.app_secret = page_id, page_token, app_secret
        self.clock = clock or Clock()
        self.faults = Faults()
        self.usage: float | None = None
        self.regain_minutes = 0
        self.levels = 2
        self.flattens = True  # filter=stream gives every level; a lazy look-alike gives the first only
        self.content_type: str | None = "application/json; charset=UTF-8"
        self.errors_with_200 = False
        self.requests: list[str] = []  # method and path without version, as they came
        self._us = _Person(page_id, page_name)
        self._people: dict[str, _Person] = {}
        self._items: dict[str, _Item] = {}
        self._messages: list[_Message] = []
        self._photos: dict[str, tuple[bytes, str]] = {}  # handed over and not shown anywhere yet
        self._once: list[Response] = []
        self._numbers = count(122100000000001)
        self._lock = threading.RLock()
        self.app = Flask(__name__)
        self.app.add_url_rule("/", view_func=self._answer, defaults={"path": ""}, methods=["GET", "POST", "DELETE"])
        self.app.add_url_rule("/<path:path>", view_func=self._answer, methods=["GET", "POST", "DELETE"])

    # -- doors for people ---------------------------------------------------------------------------------------------

    def write(
        self,
        author: str,
        text: str,
        *,
        in_reply_to: str | None = None,
        at: datetime | None = None,
        nameless: bool = False,
    ) -> str:
        """A visitor's post on the page, or a comment. No text: a picture. ``nameless``: no ``from`` is told."""
        with self._lock:
            person = self._person(author)
            person.nameless = person.nameless or nameless
            return self._add(person, text, in_reply_to, at).id

    def write_as_us(self, text: str, *, in_reply_to: str | None = None, at: datetime | None = None) -> str:
        """The page's own post, or a comment of the page, written in Facebook's own app."""
        with self._lock:
            return self._add(self._us, text, in_reply_to, at).id

    def tag(self, author: str, text: str, *, at: datetime | None = None) -> str:
        """A post elsewhere that tags the page. Facebook does not tell whose it is."""
        with self._lock:
            return self._add(self._person(author), text, None, at, on_page=False).id

    def edit(self, external_id: str, text: str) -> None:
        self._items[external_id].text = text

    def hide(self, external_id: str, hidden: bool = True) -> None:
        self._items[external_id].hidden = hidden

    def is_hidden(self, external_id: str) -> bool:
        return self._items[external_id].hidden

    def delete(self, external_id: str) -> None:
        self._items[external_id].deleted = True

    def close(self, external_id: str) -> None:
        """Nobody can comment on it any more."""
        self._items[external_id].closed = True

    def answer_once(self, response: Response) -> None:
        self._once.append(response)

    def posts(self) -> list[Post]:
        """Everything said there, private messages included, oldest first."""
        with self._lock:
            public = [
                Post(
                    external_id=item.id,
                    author=item.author.name,
                    text=item.text,
                    at=item.at,
                    in_reply_to=(item.parent or item.post or item).id if item.post else None,
                    ours=item.author is self._us,
                    deleted=item.gone,
                )
                for item in self._items.values()
            ]
            private = [
                Post(m.id, self._us.name, m.text, m.at, in_reply_to=m.to.id, ours=True, private=True)
                for m in self._messages
            ]
        return sorted(public + private, key=lambda post: post.at)

    def _person(self, name: str) -> _Person:
        return self._people.setdefault(name, _Person(str(next(self._numbers)), name))

    def _add(
        self, author: _Person, text: str, in_reply_to: str | None, at: datetime | None, on_page: bool = True
    ) -> _Item:
        now = at or self.clock.now()
        number = next(self._numbers)
        if in_reply_to is None:
            owner = self.page_id if on_page else author.id
            item = _Item(f"{owner}_{number}", number, author, text, now, now, on_page=on_page)
        else:
            above = self._items[in_reply_to]
            parent = above if above.post is not None else None
            while parent is not None and self._depth(parent) >= self.levels:
                parent = parent.parent
            top = above.top
            item = _Item(f"{top.number}_{number}", number, author, text, now, now, post=top, parent=parent)
            top.updated = max(top.updated, now)
            if parent is not None:
                parent.answers.append(item)
        self._items[item.id] = item
        return item

    @staticmethod
    def _depth(item: _Item) -> int:
        depth, above = 1, item.parent
        while above is not None:
            depth, above = depth + 1, above.parent
        return depth

    # -- the API ------------------------------------------------------------------------------------------------------

    def _answer(self, path: str) -> Response:
        version, _, rest = path.partition("/")
        self.requests.append(f"{request.method} /{rest}")
        if self._once:
            response = self._once.pop(0)
        else:
            try:
                response = self._fault() or self._route(version, [part for part in rest.split("/") if part])
            except _Refusal as refusal:
                response = refusal.response
        if response is HTML_ERROR:
            return response
        if self.errors_with_200:
            response.status_code = 200
        if self.content_type is None:
            response.headers.pop("Content-Type", None)
            response.default_mimetype = None
        elif response.mimetype == "application/json":
            response.headers["Content-Type"] = self.content_type
        if self.usage is not None:
            self._tell_usage(response, self.usage, self.regain_minutes)
        number = re.fullmatch(r"v(\d+)\.\d", version)
        response.headers["facebook-api-version"] = f"v{max(OLDEST, int(number[1]))}.0" if number else f"v{NEWEST}.0"
        response.headers["x-fb-trace-id"] = "AbCdEfGhIjKl"
        return response

    def _tell_usage(self, response: Response, percent: float, minutes: int) -> None:
        used = {"call_count": percent, "total_cputime": percent / 2, "total_time": percent / 2}
        entry = {"type": "pages", **used, "estimated_time_to_regain_access": minutes}
        response.headers["X-Business-Use-Case-Usage"] = json.dumps({self.page_id: [entry]})
        response.headers["X-App-Usage"] = json.dumps({**used, "call_count": percent / 4})

    def _fault(self) -> Response | None:
        if self.faults.take(Fault.html_error):
            return HTML_ERROR
        if self.faults.take(Fault.rate_limited):
            response = error(32, "(#32) Page request limit reached", status=403)
            self._tell_usage(response, 100, 5)
            return response
        if self.faults.take(Fault.rate_limited_silent):
            return error(4, "(#4) Application request limit reached", status=403)
        if self.faults.take(Fault.unauthorized):
            said = "Error validating access token: Session has expired on Saturday, 21-Nov-26 08:00:00 PST."
            return error(190, said, subcode=463, status=401)
        if self.faults.take(Fault.out_of_credit):  # money is no matter here; the nearest thing is being blocked
            return error(368, "(#368) The action attempted has been deemed abusive or is otherwise disallowed")
        return None

    def _route(self, version: str, parts: list[str]) -> Response:
        number = re.fullmatch(r"v(\d{1,2})\.\d", version)
        if number is None or int(number[1]) > NEWEST:
            raise _Refusal(2500, f"Unknown path components: /{version}")
        self._check_token()
        with self._lock:
            match request.method, parts:
                case "GET", ["me"] | [self.page_id]:
                    return _json({"id": self.page_id, "name": self._us.name})
                case "GET", []:
                    wanted = request.args.get("ids", "").split(",")
                    return _json({id: self._shown(self._find(id)) for id in wanted})
                case "GET", ["me" | self.page_id, ("feed" | "posts" | "published_posts" | "visitor_posts") as which]:
                    return self._posts(which)
                case "GET", ["me" | self.page_id, "tagged"]:
                    return self._posts("tagged")
                case "GET", ["me" | self.page_id, "conversations"]:
                    return _json({"data": [{"id": id} for id in dict.fromkeys(m.conversation for m in self._messages)]})
                case "POST", ["me" | self.page_id, "messages"]:
                    answer = self._private_reply()
                case "POST", ["me" | self.page_id, "feed"]:
                    answer = {"id": self._add(self._us, self._text(LIMIT), None, None).id}
                case "POST", ["me" | self.page_id, "photos"]:
                    answer = self._photo()
                case "GET", [id, "messages"]:
                    return self._conversation(id)
                case "GET", [id, "comments"]:
                    return self._comments(self._find(id))
                case "POST", [id, "comments"]:
                    answer = self._comment(self._find(id))
                case "GET", [id]:
                    return _json(self._shown(self._find(id)))
                case "POST", [id]:
                    answer = self._change(self._find(id))
                case "DELETE", [id]:
                    self._find(id).deleted = True
                    answer = {"success": True}
                case _:
                    raise _Refusal(2500, f"Unknown path components: /{'/'.join(parts)}")
        self.faults.after_accepting()
        return _json(answer)

    def _check_token(self) -> None:
        token = request.values.get("access_token") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            raise _Refusal(104, "An access token is required to request this resource.", status=401)
        if token != self.page_token:
            raise _Refusal(190, f"Malformed access token {token}", status=401)
        if self.app_secret is None:
            return
        proof = request.values.get("appsecret_proof")
        if proof is None:
            raise _Refusal(100, "API calls from the server require an appsecret_proof argument")
        if not hmac.compare_digest(
            proof, hmac.new(self.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        ):
            raise _Refusal(100, "Invalid appsecret_proof provided in the API argument")

    def _find(self, id: str) -> _Item:
        item = self._items.get(id)
        if item is None or item.gone:
            raise _Refusal(
                100,
                f"Unsupported {request.method.lower()} request. Object with ID '{id}' does not exist, cannot be loaded "
                "due to missing permissions, or does not support this operation.",
                subcode=33,
            )
        return item

    def _posts(self, which: str) -> Response:
        chosen: dict[str, Callable[[_Item], bool]] = {
            "feed": lambda item: item.on_page,
            "posts": lambda item: item.on_page and item.author is self._us,
            "published_posts": lambda item: item.on_page and item.author is self._us,
            "visitor_posts": lambda item: item.on_page and item.author is not self._us,
            "tagged": lambda item: not item.on_page,
        }
        hidden_too = request.args.get("include_hidden") in ("1", "true")
        items = [
            item
            for item in self._items.values()
            if item.post is None and not item.gone and chosen[which](item) and (hidden_too or not item.hidden)
        ]
        return self._list(items, newest_first=True, by_time=True)

    def _comments(self, node: _Item) -> Response:
        stream = request.args.get("filter", "toplevel") == "stream" and self.flattens
        items = [
            item
            for item in self._items.values()
            if item.post is node.top
            and not item.gone
            and (self._is_under(item, node) if stream else _above(item) is node)
        ]
        extra: dict[str, Any] = {}
        if request.args.get("summary") in ("1", "true"):
            extra["summary"] = {
                "order": "chronological",
                "total_count": len(items),
                "can_comment": not node.top.closed,
            }
        newest_first = request.args.get("order") == "reverse_chronological"
        return self._list(items, newest_first=newest_first, by_time=False, extra=extra)

    @staticmethod
    def _is_under(item: _Item, node: _Item) -> bool:
        above = _above(item)
        while above is not None and above is not node:
            above = _above(above)
        return above is node

    def _list(
        self, items: list[_Item], *, newest_first: bool, by_time: bool, extra: dict[str, Any] | None = None
    ) -> Response:
        """One page. Posts page by time and a token, comments by cursors; the last page names no next."""
        newest_first = newest_first != (Fault.reversed_pages in self.faults.active())
        since = request.args.get("since")
        ordered = sorted(
            (item for item in items if not since or item.at.timestamp() >= _timestamp(since)),
            key=lambda item: item.key,
            reverse=newest_first,
        )
        limit = request.args.get("limit", 25, type=int)
        if not 0 <= limit <= 100:
            raise _Refusal(100, "(#100) limit must be between 0 and 100")
        mark = request.args.get("__paging_token" if by_time else "after")
        start = next((i for i, item in enumerate(ordered) if _passed(item, mark, newest_first)), len(ordered))
        page = ordered[start : start + limit]
        data: list[Any] = [self._shown(item) for item in page]
        if start and self.faults.take(Fault.repeated_item):
            data.insert(0, self._shown(ordered[start - 1]))
        if data and self.faults.take(Fault.malformed_item):
            data.insert(1, {"id": "damaged_1", "message": ["not", "a", "text"], "created_time": "yesterday"})
        answer: dict[str, Any] = {"data": data, **(extra or {})}
        if page:
            answer["paging"] = self._paging(page, by_time=by_time, more=start + limit < len(ordered))
        return _json(answer)

    def _paging(self, page: list[_Item], *, by_time: bool, more: bool) -> dict[str, Any]:
        before, after = _cursor(page[0]), _cursor(page[-1])
        paging: dict[str, Any] = {} if by_time else {"cursors": {"before": before, "after": after}}
        if more:
            query = request.args.to_dict()
            if by_time:
                query |= {"until": str(int(page[-1].at.timestamp())), "__paging_token": after}
            else:  # this one has lost its token, which the real one sometimes does
                query = {**query, "after": after}
                query.pop("access_token", None)
            paging["next"] = f"https://graph.facebook.com{request.path}?{urlencode(query)}"
        return paging

    def _shown(self, item: _Item) -> dict[str, Any]:
        """The item with the fields asked for."""
        is_post = item.post is None
        default = "id,created_time,message" if is_post else "id,created_time,from,message"
        fields = _split(request.values.get("fields") or default)
        known = POST_FIELDS if is_post else COMMENT_FIELDS
        whole = self._post(item) if is_post else self._comment_node(item)
        shown: dict[str, Any] = {"id": item.id}
        for asked in fields:
            name = re.split(r"[.{(]", asked, maxsplit=1)[0]
            if name not in known:
                kind = "PagePost" if is_post else "Comment"
                raise _Refusal(100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({kind})")
            if name == "comments":
                shown[name] = self._comment_summary(item, stream="filter(stream)" in asked)
            elif whole.get(name) is not None:
                shown[name] = whole[name]
        return shown

    def _common(self, item: _Item) -> dict[str, Any]:
        person = {"name": item.author.name, "id": item.author.id}
        unknown = item.author.nameless or not item.on_page
        return {
            "message": item.text or None,
            "created_time": _time(item.at),
            "from": None if unknown else person,
            "is_hidden": item.hidden,
        }

    def _post(self, item: _Item) -> dict[str, Any]:
        picture = {
            "media_type": "photo",
            "type": "photo",
            "media": {"image": {"src": _PICTURE}},
            "url": self._url(item),
        }
        return self._common(item) | {
            "updated_time": _time(item.updated),
            "permalink_url": self._url(item),
            "full_picture": None if item.text else _PICTURE,
            "attachments": None if item.text else {"data": [picture]},
            "message_tags": None if item.on_page else [{"id": self.page_id, "name": self._us.name, "type": "page"}],
            "status_type": "mobile_status_update" if item.author is self._us else "wall_post",
            "is_published": True,
            "reactions": {"data": [], "summary": {"total_count": 0}},
        }

    def _comment_node(self, item: _Item) -> dict[str, Any]:
        ours = item.author is self._us
        private = item.conversation is None and self.clock.now() - item.at < PRIVATE_WINDOW and not ours
        picture = {"type": "photo", "media": {"image": {"src": _PICTURE}}, "url": self._url(item)}
        parent = item.parent
        return self._common(item) | {
            "parent": None if parent is None else {"id": parent.id, "created_time": _time(parent.at)},
            "permalink_url": self._url(item),
            "comment_count": sum(1 for answer in item.answers if not answer.gone),
            "like_count": 0,
            "attachment": None if item.text and item.picture is None else picture,
            "is_private": False,
            "can_comment": not item.top.closed,
            "can_hide": not ours and item.top.on_page,
            "can_remove": True,
            "can_reply_privately": private,
            "private_reply_conversation": None if item.conversation is None else {"id": item.conversation},
            "user_likes": False,
        }

    def _comment_summary(self, post: _Item, *, stream: bool) -> dict[str, Any]:
        under = [item for item in self._items.values() if item.post is post and not item.gone]
        number = len(under) if stream else sum(1 for item in under if item.parent is None)
        summary = {"order": "chronological", "total_count": number, "can_comment": not post.closed}
        return {"data": [], "summary": summary}

    def _url(self, item: _Item) -> str:
        url = f"https://www.facebook.com/{item.top.id.partition('_')[0]}/posts/{item.top.number}/"
        if item.parent is not None:
            return f"{url}?comment_id={item.parent.number}&reply_comment_id={item.number}"
        return url if item.post is None else f"{url}?comment_id={item.number}"

    def _comment(self, above: _Item) -> dict[str, Any]:
        text = self._text(LIMIT)
        if above.top.closed:
            raise _Refusal(200, "(#200) Commenting has been turned off for this post", status=403)
        ours = [item for item in self._items.values() if item.author is self._us and item.post is above.top]
        if ours and ours[-1].text == text and not ours[-1].gone and _above(ours[-1]) in (above, above.parent):
            raise _Refusal(506, "(#506) Duplicate status message")
        attached = request.form.get("attachment_id")
        if attached is not None and attached not in self._photos:
            raise _Refusal(100, "(#100) Invalid parameter: attachment_id")
        item = self._add(self._us, text, above.id, None)
        item.picture = self._photos.pop(attached) if attached else None
        return self._shown(item) if "fields" in request.values else {"id": item.id}

    def _photo(self) -> dict[str, Any]:
        file = request.files.get("source")
        if file is None:
            raise _Refusal(324, "(#324) Missing or invalid image file")
        if request.form.get("published") != "false":
            raise _Refusal(100, "(#100) Only what is not published can be put into a comment")
        number = str(next(self._numbers))
        self._photos[number] = (file.read(), request.form.get("alt_text_custom", ""))
        return {"id": number}

    def picture_of(self, external_id: str) -> tuple[bytes, str] | None:
        """The file a comment was made with, and what it shows in words."""
        return self._items[external_id].picture

    def _text(self, limit: int) -> str:
        text = request.form.get("message", "")
        if not text.strip():
            raise _Refusal(100, "(#100) Missing message or attachment")
        if len(text) > limit:
            raise _Refusal(100, f"(#100) param message must be at most {limit} characters long")
        return text

    def _change(self, item: _Item) -> dict[str, Any]:
        if "is_hidden" in request.form:
            if item.post is None or item.author is self._us or not item.top.on_page:
                raise _Refusal(200, "(#200) Permissions error", status=403)
            item.hidden = request.form["is_hidden"] in ("1", "true")
        elif item.author is not self._us:
            raise _Refusal(200, "(#200) You can only edit your own comments", status=403)
        else:
            item.text = self._text(LIMIT)
        return {"success": True}

    def _private_reply(self) -> dict[str, Any]:
        try:
            recipient, message = json.loads(request.form["recipient"]), json.loads(request.form["message"])
            text, to = str(message["text"]), self._find(recipient.get("comment_id") or recipient["post_id"])
        except (KeyError, ValueError, TypeError, AttributeError):
            raise _Refusal(100, "(#100) param recipient must be a JSON object") from None
        if len(text) > PRIVATE_LIMIT:
            raise _Refusal(100, f"(#100) Length of param message[text] must be less than or equal to {PRIVATE_LIMIT}")
        if to.author is self._us:
            raise _Refusal(100, "(#100) No matching user found", subcode=2018001)
        if to.conversation is not None:
            raise _Refusal(10900, "(#10900) Activity already replied to")
        if self.clock.now() - to.at >= PRIVATE_WINDOW:
            raise _Refusal(10, "(#10) This message is sent outside of allowed window.", subcode=2018278, status=403)
        number = next(self._numbers)
        to.conversation = next((m.conversation for m in self._messages if m.to.author is to.author), f"t_{number}")
        self._messages.append(_Message(f"m_{number}", to.conversation, to, text, self.clock.now()))
        return {"recipient_id": to.author.id, "message_id": f"m_{number}"}

    def _conversation(self, id: str) -> Response:
        messages = [
            {
                "id": m.id,
                "message": m.text,
                "created_time": _time(m.at),
                "from": {"id": self.page_id, "name": self._us.name},
            }
            for m in reversed(self._messages)
            if m.conversation == id
        ]
        if not messages:
            raise _Refusal(100, f"Unsupported get request. Object with ID '{id}' does not exist.", subcode=33)
        return _json({"data": messages})


_PICTURE = "https://scontent.xx.fbcdn.net/v/t39.30808-6/picture.jpg"


def _above(item: _Item) -> _Item | None:
    return item.parent or item.post


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _timestamp(value: str) -> float:
    try:
        return float(value) if value.isdigit() else datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise _Refusal(100, "(#100) param since must be a time") from None


def _cursor(item: _Item) -> str:
    return base64.urlsafe_b64encode(f"{item.at.timestamp()!r}|{item.number}".encode()).decode()


def _passed(item: _Item, mark: str | None, newest_first: bool) -> bool:
    """Does the item come after the one the cursor stands at?"""
    if mark is None:
        return True
    at, _, number = base64.urlsafe_b64decode(mark).decode().partition("|")
    here, there = (item.at.timestamp(), item.number), (float(at), int(number))
    return here < there if newest_first else here > there


def _split(fields: str) -> list[str]:
    """At the commas that stand in no brackets."""
    return [field for field in re.split(r",(?![^{(]*[})])", fields) if field]
