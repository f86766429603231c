"""Look-alikes of blogs: a WordPress 6 site with comments, and a plain blog with nothing but feeds.

A site's address is the one it is asked under. Ids here are the site's own, ``post/N`` and ``comment/N``; the world sees
them behind the site's name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import threading
import xmlrpc.client
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from flask import Flask, Response, abort, redirect, request

from sandbox.base import HTML_ERROR, Clock, Fault, Faults, Post

USER_ID = 2  # ours
USERNAME = "gensvar"
PASSWORD = "abcd efgh ijkl mnop qrst uvwx"  # noqa: S105 - invented, as WordPress shows application passwords; blanks do not count
TIME = "%Y-%m-%dT%H:%M:%S"


@dataclass
class _Article:
    number: int
    title: str
    text: str
    author: str
    at: datetime
    open: bool = True

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "post"

    @property
    def path(self) -> str:
        return f"/{self.at:%Y/%m}/{self.number}-{self.slug}/"


@dataclass
class _Comment:
    number: int
    article: _Article
    parent: int
    author: str
    user: int
    text: str
    at: datetime
    status: str = "approved"  # approved, hold, spam, trash


@dataclass
class _Site:
    """What both kinds of blog share: articles, faults, a clock."""

    title: str
    faults: Faults = field(default_factory=Faults)
    clock: Clock = field(default_factory=Clock)
    articles: list[_Article] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


def _paragraphs(text: str) -> str:
    """As WordPress renders a text: paragraphs, line breaks, typographic signs for typewriter ones."""
    for plain, better in (("...", "…"), (" - ", " – "), ("'", "’")):
        text = text.replace(plain, better)
    text = re.sub(r'"([^"]*)"', "“\\1”", text)
    parts = [escape(part).replace("\n", "<br />\n") for part in re.split(r"\n\s*\n", text.strip())]
    return "".join(f"<p>{part}</p>\n" for part in parts)


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _base() -> str:
    return request.host_url.rstrip("/")


def _conditional(body: str, content_type: str) -> Response:
    """With an ETag; 304 to who has it already."""
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'
    if request.headers.get("If-None-Match") == tag:
        return Response(status=304, headers={"ETag": tag})
    return Response(body, content_type=content_type, headers={"ETag": tag})


def _rate_limited(faults: Faults) -> Response | None:
    """What stands in front of many sites, in its own words."""
    if faults.take(Fault.rate_limited):
        return Response("Too many requests.", 429, {"Retry-After": "60"}, content_type="text/plain")
    if faults.take(Fault.rate_limited_silent):
        return Response("Too many requests.", 429, content_type="text/plain")
    if faults.take(Fault.html_error):
        return Response(HTML_ERROR.get_data(), 502, content_type="text/html")
    return None


def _rss(title: str, items: Iterable[str]) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"\n'
        '\txmlns:content="http://purl.org/rss/1.0/modules/content/"\n'
        '\txmlns:wfw="http://wellformedweb.org/CommentAPI/"\n'
        '\txmlns:dc="http://purl.org/dc/elements/1.1/"\n'
        '\txmlns:atom="http://www.w3.org/2005/Atom"\n\t>\n'
        f"<channel>\n\t<title>{escape(title)}</title>\n\t<link>{_base()}</link>\n"
        f'\t<atom:link href="{escape(request.url)}" rel="self" type="application/rss+xml" />\n'
        "\t<description></description>\n" + "".join(items) + "</channel>\n</rss>\n"
    )


def _rss_item(title: str, link: str, guid: str, author: str, at: datetime, content: str, more: str = "") -> str:
    return (
        f"\t<item>\n\t\t<title>{escape(title)}</title>\n\t\t<link>{escape(link)}</link>\n"
        f"\t\t<dc:creator>{_cdata(author)}</dc:creator>\n\t\t<pubDate>{format_datetime(at)}</pubDate>\n"
        f'\t\t<guid isPermaLink="false">{escape(guid)}</guid>\n'
        f"\t\t<description>{_cdata(re.sub('<[^>]+>', '', content).strip())}</description>\n"
        f"\t\t<content:encoded>{_cdata(content)}</content:encoded>\n{more}\t</item>\n"
    )


def _page(title: str, head: str, body: str) -> Response:
    return Response(
        f'<!doctype html>\n<html lang="sv">\n<head>\n<meta charset="UTF-8" />\n<title>{escape(title)}</title>\n'
        f"{head}</head>\n<body>\n{body}</body>\n</html>\n",
        content_type="text/html; charset=UTF-8",
    )


class WordPress:
    """A WordPress site, with us as one of its users. ``moderation``: comments of strangers wait to be approved;
    ``our_moderation``: ours do too. ``we_moderate``: our user may hold and approve those of
    others. ``rest``, ``xmlrpc``: whether those doors are open.
    """

    name = "blog"
    label = "WordPress"

    def __init__(
        self,
        site_title: str = "Storbybloggen",
        articles: Iterable[tuple[str, str]] = (),
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._site = _Site(site_title, clock=Clock(now))
        self.faults = self._site.faults
        self.clock = self._site.clock
        self.username, self.password = USERNAME, PASSWORD
        self.moderation = self.our_moderation = False
        self.we_moderate = True
        self.rest = self.xmlrpc = True
        self._comments: list[_Comment] = []
        self.app = self._routes()
        for title, text in articles:
            self.publish(title, text)

    # -- people ---------------------------------------------------------------------------------------------------

    def publish(self, title: str, text: str, *, at: datetime | None = None) -> str:
        """An article of ours. Returns its id, ``post/N``."""
        with self._site.lock:
            number = len(self._site.articles) + 1
            self._site.articles.append(_Article(number, title, text, self._site.title, self._at(at)))
            return f"post/{number}"

    def write(self, author: str, text: str, *, in_reply_to: str | None = None, at: datetime | None = None) -> str:
        """A comment under the article or comment of that id, else under the newest article."""
        article, parent = self._target(in_reply_to)
        status = "hold" if self.moderation else "approved"
        return f"comment/{self._add(article, parent, author, 0, text, at, status).number}"

    def write_as_us(self, text: str, *, in_reply_to: str | None = None, at: datetime | None = None) -> str:
        """The same, by us, in WordPress itself."""
        article, parent = self._target(in_reply_to)
        return f"comment/{self._add(article, parent, self._site.title, USER_ID, text, at, 'approved').number}"

    def set_status(self, comment: str, status: str) -> None:
        """What a moderator does: approved, hold, spam, trash."""
        self._comment(_number(comment)).status = status

    def edit(self, comment: str, text: str) -> None:
        self._comment(_number(comment)).text = text

    def close(self, article: str) -> None:
        """No more comments there."""
        self._site.articles[_number(article) - 1].open = False

    def posts(self) -> list[Post]:
        with self._site.lock:
            said = [
                Post(f"post/{one.number}", one.author, one.text, one.at, None, ours=True, title=one.title)
                for one in self._site.articles
            ] + [
                Post(
                    f"comment/{one.number}",
                    one.author,
                    one.text,
                    one.at,
                    f"comment/{one.parent}" if one.parent else f"post/{one.article.number}",
                    ours=one.user == USER_ID,
                    deleted=one.status in ("trash", "spam"),
                )
                for one in self._comments
            ]
        return sorted(said, key=lambda one: one.at)

    def _at(self, at: datetime | None) -> datetime:
        return (at or self.clock.now()).astimezone(UTC).replace(microsecond=0)

    def _target(self, id: str | None) -> tuple[_Article, int]:
        with self._site.lock:
            if id is None:
                return self._site.articles[-1], 0
            if "comment" in id:
                return self._comment(_number(id)).article, _number(id)
            return self._site.articles[_number(id) - 1], 0

    def _comment(self, number: int) -> _Comment:
        return next(one for one in self._comments if one.number == number)

    def _add(
        self, article: _Article, parent: int, author: str, user: int, text: str, at: datetime | None, status: str
    ) -> _Comment:
        with self._site.lock:
            made = _Comment(len(self._comments) + 1, article, parent, author, user, text, self._at(at), status)
            self._comments.append(made)
            return made

    # -- the site -------------------------------------------------------------------------------------------------

    def _routes(self) -> Flask:
        app = Flask("sandbox.wordpress")
        app.before_request(self._before)
        app.add_url_rule("/", view_func=self._home)
        app.add_url_rule("/feed/", view_func=self._feed)
        app.add_url_rule("/comments/feed/", view_func=self._comment_feed)
        app.add_url_rule("/xmlrpc.php", view_func=self._xmlrpc, methods=["POST"])
        app.add_url_rule("/wp-json/", view_func=lambda: self._rest(""), endpoint="index")
        app.add_url_rule("/wp-json/<path:path>", view_func=self._rest, methods=["GET", "POST", "DELETE"])
        app.add_url_rule("/<int:year>/<int:month>/<slug>/", view_func=self._article_page)
        app.add_url_rule("/<int:year>/<int:month>/<slug>/feed/", view_func=self._article_feed)
        return app

    def _before(self) -> Response | None:
        return _rate_limited(self.faults)

    def _link(self, one: _Comment) -> str:
        return f"{_base()}{one.article.path}#comment-{one.number}"

    def _visible(self) -> list[_Comment]:
        with self._site.lock:
            return sorted(
                (one for one in self._comments if one.status == "approved"), key=lambda one: (one.at, one.number)
            )

    def _home(self) -> Response:
        if "rest_route" in request.args:
            return self._rest(request.args["rest_route"].strip("/"))
        if request.args.get("p", "").isdigit():
            return redirect(self._site.articles[int(request.args["p"]) - 1].path, 301)  # type: ignore[return-value]
        listed = "".join(
            f'<article><h2><a href="{one.path}">{escape(one.title)}</a></h2></article>\n'
            for one in reversed(self._site.articles)
        )
        return self._with_links(_page(self._site.title, self._head(), f"<h1>{escape(self._site.title)}</h1>\n{listed}"))

    def _head(self, article: _Article | None = None) -> str:
        feeds = [(f"{self._site.title} &raquo; Feed", "/feed/")]
        feeds.append((f"{self._site.title} &raquo; Comments Feed", "/comments/feed/"))
        if article:
            feeds.append((f"{escape(article.title)} Comments Feed", f"{article.path}feed/"))
        return "".join(
            f'<link rel="alternate" type="application/rss+xml" title="{title}" href="{_base()}{path}" />\n'
            for title, path in feeds
        )

    def _with_links(self, page: Response) -> Response:
        if self.rest:
            page.headers["Link"] = f'<{_base()}/wp-json/>; rel="https://api.w.org/"'
        page.headers["X-Pingback"] = f"{_base()}/xmlrpc.php"
        return page

    def _article_at(self, slug: str) -> _Article:
        number = int(slug.partition("-")[0]) if slug.partition("-")[0].isdigit() else 0
        if not 1 <= number <= len(self._site.articles):
            abort(404)
        return self._site.articles[number - 1]

    def _article_page(self, year: int, month: int, slug: str) -> Response:
        article = self._article_at(slug)
        said = "".join(
            f'<li id="comment-{one.number}"><cite>{escape(one.author)}</cite> {_paragraphs(one.text)}</li>\n'
            for one in self._visible()
            if one.article is article
        )
        body = f"<article><h1>{escape(article.title)}</h1>\n{_paragraphs(article.text)}</article>\n<ol>\n{said}</ol>\n"
        return self._with_links(_page(f"{article.title} – {self._site.title}", self._head(article), body))

    def _feed(self) -> Response:
        page = max(1, request.args.get("paged", 1, int))
        newest = sorted(self._site.articles, key=lambda one: one.at, reverse=True)[10 * (page - 1) : 10 * page]
        if page > 1 and not newest:
            abort(404)
        items = [
            _rss_item(
                one.title,
                f"{_base()}{one.path}",
                f"{_base()}/?p={one.number}",
                one.author,
                one.at,
                _paragraphs(one.text),
                f"\t\t<wfw:commentRss>{_base()}{one.path}feed/</wfw:commentRss>\n",
            )
            for one in newest
        ]
        return _conditional(_rss(self._site.title, items), "application/rss+xml; charset=UTF-8")

    def _comment_items(self, comments: list[_Comment], title: str) -> list[str]:
        page = max(1, request.args.get("paged", 1, int))
        shown = list(reversed(comments))[10 * (page - 1) : 10 * page]
        if page > 1 and not shown:
            abort(404)
        items = []
        for one in shown:
            content = _paragraphs(one.text)
            if one.parent:
                parent = self._comment(one.parent)
                link = f'<a href="{self._link(parent)}">{escape(parent.author)}</a>'
                content = f"<p>In reply to {link}.</p>\n{content}"
            words = title.format(article=one.article.title, author=one.author)
            guid = f"{_base()}/?p={one.article.number}#comment-{one.number}"
            items.append(_rss_item(words, self._link(one), guid, one.author, one.at, content))
        return items

    def _comment_feed(self) -> Response:
        items = self._comment_items(self._visible(), "Comment on {article} by {author}")
        return _conditional(_rss(f"Comments for {self._site.title}", items), "application/rss+xml; charset=UTF-8")

    def _article_feed(self, year: int, month: int, slug: str) -> Response:
        article = self._article_at(slug)
        items = self._comment_items([one for one in self._visible() if one.article is article], "By: {author}")
        return _conditional(_rss(f"Comments on: {article.title}", items), "application/rss+xml; charset=UTF-8")

    # -- REST -----------------------------------------------------------------------------------------------------

    def _rest(self, path: str) -> Response:
        if not self.rest:
            return Response("<html><body><h1>Not Found</h1></body></html>", 404, content_type="text/html")
        if self.faults.take(Fault.unauthorized):
            return _error(401, "rest_not_logged_in", "You are not currently logged in.")
        us = self._is_us()
        found = re.fullmatch(r"wp/v2/comments(?:/(\d+))?", path)
        if path == "":
            return self._index()
        if path == "wp/v2/users/me":
            if not us:
                return _error(401, "rest_not_logged_in", "You are not currently logged in.")
            return _json({"id": USER_ID, "name": self._site.title, "slug": self.username, "link": f"{_base()}/"})
        if path == "wp/v2/posts":
            return self._rest_posts()
        if found and request.method == "GET" and not found[1]:
            return self._rest_comments(us)
        if found and request.method == "POST" and not found[1]:
            return self._rest_create(us)
        if found and found[1]:
            return self._rest_comment(int(found[1]), us)
        return _error(404, "rest_no_route", "No route was found matching the URL and request method.")

    def _is_us(self) -> bool:
        given = request.authorization
        if given is None or given.type != "basic":
            return False
        raw = request.headers["Authorization"].partition(" ")[2]
        user, _, password = base64.b64decode(raw).decode("utf-8", "replace").partition(":")
        return user == self.username and password.replace(" ", "") == self.password.replace(" ", "")

    def _index(self) -> Response:
        authorize = f"{_base()}/wp-admin/authorize-application.php"
        return _json(
            {
                "name": self._site.title,
                "description": "",
                "url": _base(),
                "home": _base(),
                "gmt_offset": "0",
                "timezone_string": "",
                "namespaces": ["oembed/1.0", "wp/v2"],
                "authentication": {"application-passwords": {"endpoints": {"authorization": authorize}}},
            }
        )

    def _rest_posts(self) -> Response:
        wanted = request.args.get("include", "")
        numbers = {int(part) for part in wanted.split(",") if part.isdigit()}
        shown = [one for one in self._site.articles if not wanted or one.number in numbers]
        return _json(
            [
                {
                    "id": one.number,
                    "date": f"{one.at:{TIME}}",
                    "date_gmt": f"{one.at:{TIME}}",
                    "guid": {"rendered": f"{_base()}/?p={one.number}"},
                    "link": f"{_base()}{one.path}",
                    "title": {"rendered": escape(one.title)},
                    "content": {"rendered": _paragraphs(one.text), "protected": False},
                    "author": 1,
                    "comment_status": "open" if one.open else "closed",
                }
                for one in shown
            ],
            {"X-WP-Total": str(len(shown)), "X-WP-TotalPages": "1"},
        )

    def _object(self, one: _Comment) -> dict[str, Any]:
        api = f"{_base()}/wp-json/wp/v2"
        links: dict[str, Any] = {
            "self": [{"href": f"{api}/comments/{one.number}"}],
            "collection": [{"href": f"{api}/comments"}],
            "up": [{"embeddable": True, "post_type": "post", "href": f"{api}/posts/{one.article.number}"}],
        }
        if one.parent:
            links["in-reply-to"] = [{"embeddable": True, "href": f"{api}/comments/{one.parent}"}]
        return {
            "id": one.number,
            "post": one.article.number,
            "parent": one.parent,
            "author": one.user,
            "author_name": one.author,
            "author_url": "",
            "date": f"{one.at:{TIME}}",
            "date_gmt": f"{one.at:{TIME}}",
            "content": {"rendered": _paragraphs(one.text)},
            "link": self._link(one),
            "status": one.status,
            "type": "comment",
            "author_avatar_urls": {},
            "meta": [],
            "_links": links,
        }

    def _rest_comments(self, us: bool) -> Response:
        query = request.args
        status = query.get("status", "approve")
        if status != "approve" and not us:
            return _error(401, "rest_forbidden_param", "Query parameter not permitted: status")
        per_page, page = query.get("per_page", 10, int), query.get("page", 1, int)
        if not 1 <= per_page <= 100 or page < 1:
            return _error(400, "rest_invalid_param", "Invalid parameter(s): per_page")
        with self._site.lock:
            shown = [one for one in self._comments if one.status not in ("trash", "spam")]
        if status == "approve":
            shown = [one for one in shown if one.status == "approved"]
        elif status == "hold":
            shown = [one for one in shown if one.status == "hold"]
        for name, value in (("post", "article"), ("parent", "parent"), ("include", "number")):
            if query.get(name):
                numbers = {int(part) for part in query[name].split(",") if part.isdigit()}
                shown = [
                    one for one in shown if (one.article.number if name == "post" else getattr(one, value)) in numbers
                ]
        if after := query.get("after"):
            shown = [one for one in shown if one.at > _instant(after)]
        if before := query.get("before"):
            shown = [one for one in shown if one.at < _instant(before)]
        descending = query.get("order", "desc") == "desc"
        if self.faults.take(Fault.reversed_pages):
            descending = not descending
        shown.sort(key=lambda one: (one.at, one.number), reverse=descending)
        start = (page - 1) * per_page
        objects = [self._object(one) for one in shown[start : start + per_page]]
        if objects and start and self.faults.take(Fault.repeated_item):
            objects = [self._object(shown[start - 1]), *objects]
        if objects and self.faults.take(Fault.malformed_item):
            broken = objects[len(objects) // 2]
            objects[len(objects) // 2] = {"id": broken["id"], "post": None, "content": "?", "date_gmt": "never"}
        pages = -(-len(shown) // per_page)
        return _json(objects, {"X-WP-Total": str(len(shown)), "X-WP-TotalPages": str(pages)})

    def _rest_comment(self, number: int, us: bool) -> Response:
        one = next((one for one in self._comments if one.number == number), None)
        if one is None or one.status == "trash":
            return _error(404, "rest_comment_invalid_id", "Invalid comment ID.")
        if request.method == "POST":
            return self._rest_change(one, us)
        if request.method == "DELETE":
            if not us:
                return _error(401, "rest_cannot_delete", "Sorry, you are not allowed to delete this comment.")
            one.status = "trash"
        return _json(self._object(one))

    def _rest_change(self, one: _Comment, us: bool) -> Response:
        """Only its status. Like the real one it takes "the same again" for a failure."""
        if not us or not self.we_moderate:
            words = "Sorry, you are not allowed to edit this comment."
            return _error(403 if us else 401, "rest_cannot_edit", words)
        wanted = str((request.get_json(silent=True) or {}).get("status"))
        status = {"approve": "approved", "approved": "approved", "hold": "hold", "spam": "spam"}.get(wanted)
        if status is None or status == one.status:
            return _error(500, "rest_comment_failed_edit", "Updating comment status failed.")
        one.status = status
        self.faults.after_accepting()
        return _json(self._object(one))

    def _rest_create(self, us: bool) -> Response:
        if not us:
            return _error(401, "rest_comment_login_required", "Sorry, you must be logged in to comment.")
        given = request.get_json(silent=True) or {}
        made = self._create(given.get("post"), given.get("parent") or 0, str(given.get("content") or ""))
        if isinstance(made, tuple):
            return _error(*made)
        self.faults.after_accepting()
        answer = _json(self._object(made), {"Location": f"{_base()}/wp-json/wp/v2/comments/{made.number}"})
        answer.status_code = 201
        return answer

    def _create(self, post: Any, parent: Any, text: str) -> _Comment | tuple[int, str, str]:
        with self._site.lock:
            if not isinstance(post, int) or not 1 <= post <= len(self._site.articles):
                return (
                    403,
                    "rest_comment_invalid_post_id",
                    "Sorry, you are not allowed to create this comment without a post.",
                )
            article = self._site.articles[post - 1]
            if not article.open:
                return 403, "rest_comment_closed", "Sorry, comments are closed for this item."
            if not text.strip():
                return 400, "rest_comment_content_invalid", "Invalid comment content."
            for one in self._comments:
                same = (one.article, one.parent, one.text, one.user) == (article, parent, text, USER_ID)
                if same and one.status != "trash":
                    words = "Duplicate comment detected; it looks as though you&#8217;ve already said that!"
                    return 409, "comment_duplicate", words
            status = "hold" if self.our_moderation else "approved"
            return self._add(article, parent, self._site.title, USER_ID, text, None, status)

    # -- XML-RPC --------------------------------------------------------------------------------------------------

    def _xmlrpc(self) -> Response:
        if not self.xmlrpc:
            return Response("XML-RPC services are disabled on this site.", 405, content_type="text/plain")
        arguments, method = xmlrpc.client.loads(request.get_data())
        answer = self._call(method or "", arguments)
        body = xmlrpc.client.dumps(
            answer if isinstance(answer, xmlrpc.client.Fault) else (answer,), methodresponse=True, encoding="UTF-8"
        )
        return Response(body, content_type="text/xml; charset=UTF-8")

    def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if method not in ("wp.newComment", "wp.getComments") or len(arguments) < 4:
            return xmlrpc.client.Fault(-32601, f"server error. requested method {method} does not exist.")
        _, user, password = arguments[:3]
        if user != self.username or password.replace(" ", "") != self.password.replace(" ", ""):
            return xmlrpc.client.Fault(403, "Incorrect username or password.")
        if method == "wp.newComment":
            made = self._create(int(arguments[3]), int(arguments[4].get("comment_parent", 0)), arguments[4]["content"])
            if isinstance(made, tuple):
                return xmlrpc.client.Fault(
                    {409: 409, 403: 404 if "post_id" in made[1] else 403}.get(made[0], made[0]), made[2]
                )
            self.faults.after_accepting()
            return made.number
        asked = arguments[3]
        with self._site.lock:
            shown = [
                one for one in self._comments if one.article.number == int(asked.get("post_id") or one.article.number)
            ]
        return [
            {
                "date_created_gmt": xmlrpc.client.DateTime(one.at.strftime("%Y%m%dT%H:%M:%S")),
                "user_id": str(one.user),
                "comment_id": str(one.number),
                "parent": str(one.parent),
                "status": {"approved": "approve"}.get(one.status, one.status),
                "content": one.text,
                "link": self._link(one),
                "post_id": str(one.article.number),
                "post_title": one.article.title,
                "author": one.author,
                "type": "",
            }
            for one in reversed(shown)
            if one.status != "trash"
        ][: int(asked.get("number") or 10)]


class Blog:
    """Somebody's blog without any way in: RSS at /feed/, Atom at /feed/atom/, JSON Feed at /feed.json.

    ``paged``: each page of a feed leads to the one with what came before (RFC 5005); else there is one page only.
    """

    name = "blog"
    label = "Blog"

    def __init__(self, title: str = "Grannbloggen", *, now: Callable[[], datetime] | None = None) -> None:
        self._site = _Site(title, clock=Clock(now))
        self.paged = False
        self.faults = self._site.faults
        self.clock = self._site.clock
        app = self.app = Flask("sandbox.blog")
        app.before_request(lambda: _rate_limited(self.faults))
        app.add_url_rule("/", view_func=self._home)
        app.add_url_rule("/feed/", view_func=self._rss, strict_slashes=False)
        app.add_url_rule("/feed/atom/", view_func=self._atom)
        app.add_url_rule("/feed.json", view_func=self._json)
        app.add_url_rule("/<int:number>-<slug>/", view_func=self._article)

    def write(
        self,
        author: str,
        text: str,
        *,
        in_reply_to: str | None = None,
        at: datetime | None = None,
        title: str | None = None,
    ) -> str:
        """An article; without a title its first words are one. There is nothing to answer here."""
        with self._site.lock:
            number = len(self._site.articles) + 1
            at = (at or self.clock.now()).astimezone(UTC).replace(microsecond=0)
            heading = title or text.strip().split("\n")[0][:60]
            self._site.articles.append(_Article(number, heading, text, author, at))
            return f"post/{number}"

    def posts(self) -> list[Post]:
        with self._site.lock:
            return sorted(
                (
                    Post(f"post/{one.number}", one.author, one.text, one.at, None, ours=False, title=one.title)
                    for one in self._site.articles
                ),
                key=lambda one: one.at,
            )

    def _newest(self) -> list[_Article]:
        page = self._page_asked_for()
        with self._site.lock:
            newest_first = sorted(self._site.articles, key=lambda one: (one.at, one.number), reverse=True)
        return newest_first[20 * (page - 1) : 20 * page]

    def _page_asked_for(self) -> int:
        return max(1, request.args.get("page", 1, int)) if self.paged else 1

    def _earlier(self) -> str | None:
        page = self._page_asked_for()
        more = self.paged and len(self._site.articles) > 20 * page
        return f"{request.base_url}?page={page + 1}" if more else None

    @staticmethod
    def _url(one: _Article) -> str:
        return f"{_base()}/{one.number}-{one.slug}/"

    def _head(self) -> str:
        kinds = (("rss+xml", "/feed/"), ("atom+xml", "/feed/atom/"), ("feed+json", "/feed.json"))
        return "".join(
            f'<link rel="alternate" type="application/{kind}" title="{escape(self._site.title)}" href="{path}">\n'
            for kind, path in kinds
        )

    def _home(self) -> Response:
        listed = "".join(f'<h2><a href="{self._url(one)}">{escape(one.title)}</a></h2>\n' for one in self._newest())
        return _page(self._site.title, self._head(), f"<h1>{escape(self._site.title)}</h1>\n{listed}")

    def _article(self, number: int, slug: str) -> Response:
        if not 1 <= number <= len(self._site.articles):
            abort(404)
        one = self._site.articles[number - 1]
        return _page(
            one.title, self._head(), f"<article><h1>{escape(one.title)}</h1>\n{_paragraphs(one.text)}</article>\n"
        )

    def _rss(self) -> Response:
        items = [
            _rss_item(one.title, self._url(one), self._url(one), one.author, one.at, _paragraphs(one.text))
            for one in self._newest()
        ]
        if self.faults.take(Fault.malformed_item):
            items.insert(0, "\t<item></item>\n")
        if items and self.faults.take(Fault.repeated_item):
            items.append(items[0])
        if self.faults.take(Fault.reversed_pages):
            items.reverse()
        if earlier := self._earlier():
            items.insert(0, f'\t<atom:link rel="next" href="{escape(earlier)}" />\n')
        return _conditional(_rss(self._site.title, items), "application/rss+xml; charset=UTF-8")

    def _atom(self) -> Response:
        entries = "".join(
            f"<entry><id>{self._url(one)}</id><title>{escape(one.title)}</title>"
            f'<link rel="alternate" href="{self._url(one)}"/><author><name>{escape(one.author)}</name></author>'
            f"<published>{one.at:{TIME}}Z</published><updated>{one.at:{TIME}}Z</updated>"
            f'<content type="html">{escape(_paragraphs(one.text))}</content></entry>\n'
            for one in self._newest()
        )
        if earlier := self._earlier():
            entries = f'<link rel="next" href="{escape(earlier)}"/>{entries}'
        body = (
            '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
            f"<id>{_base()}/</id><title>{escape(self._site.title)}</title><updated>2026-01-01T00:00:00Z</updated>\n"
            f"{entries}</feed>\n"
        )
        return _conditional(body, "application/atom+xml; charset=UTF-8")

    def _json(self) -> Response:
        items = [
            {
                "id": self._url(one),
                "url": self._url(one),
                "title": one.title,
                "content_html": _paragraphs(one.text),
                "date_published": f"{one.at:{TIME}}Z",
                "authors": [{"name": one.author}],
            }
            for one in self._newest()
        ]
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": self._site.title,
            "home_page_url": f"{_base()}/",
            **({"next_url": earlier} if (earlier := self._earlier()) else {}),
            "items": items,
        }
        return _conditional(json.dumps(feed, ensure_ascii=False), "application/feed+json; charset=UTF-8")


def _number(id: str) -> int:
    return int(re.split(r"[/=]", id)[-1])


def _instant(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    """As PHP writes JSON: slashes escaped, everything in ASCII."""
    body = json.dumps(value, separators=(",", ":")).replace("/", "\\/")
    return Response(body, 200, headers, content_type="application/json; charset=UTF-8")


def _error(status: int, code: str, message: str) -> Response:
    answer = _json({"code": code, "message": html.unescape(message), "data": {"status": status}})
    answer.status_code = status
    return answer
