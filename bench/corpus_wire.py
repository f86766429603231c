"""Recorded answers of the networks, served as they were and read by the real collectors.

`python -m bench.corpus_wire FOLDER` wants the folders `x`, `facebook` and `wordpress` in FOLDER. For each recording it
prints how many mentions came of it, and what was set aside with the reason. Exits 1 when a collector failed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

import house
import pulls
from collectors.base import SetAside
from database import Database
from errors import ChannelError
from sandbox.base import serving

EMPTY_X = {"meta": {"result_count": 0}}
EMPTY_GRAPH: dict[str, Any] = {"data": []}


@contextmanager
def recordings(answers: dict[str, Any], otherwise: Any) -> Iterator[str]:
    """Serve each recording under the end of its path; anything else gets ``otherwise``. Second pages are empty."""
    app = Flask("recordings")

    @app.get("/<path:path>")
    def answer(path: str) -> Response:
        asked = f"/{path}"
        paged = {"after", "pagination_token", "next_token", "__paging_token"} & set(request.args)
        paged |= {"page"} if request.args.get("page", "1") != "1" else set()
        found = next((body for end, body in answers.items() if asked.endswith(end)), otherwise)
        if paged:
            found = [] if isinstance(found, list) else otherwise
        kind = "application/rss+xml" if isinstance(found, str) else "application/json"
        return Response(found if isinstance(found, str) else json.dumps(found), content_type=kind)

    with serving(app) as base:
        yield base


def read(parts: dict[str, Any]) -> tuple[int, int, list[SetAside]]:
    """One pass with the collector the configuration names: mentions, context, what was set aside."""
    with tempfile.TemporaryDirectory() as scratch:
        unused = Database(f"sqlite:///{scratch}/unused.db")
        config = {"organisation": {"name": "x"}, "outbound": {"allow_private_networks": True}, **parts}
        built = house.build(config, unused)
    collector = pulls.collector_for(built, built.settings.sources[0])
    batches = list(collector.collect(None, since=None, now=datetime.now(UTC)))
    mentions = [mention for batch in batches for mention in batch.mentions]
    context = sum(mention.context for mention in mentions)
    return len(mentions) - context, context, [item for batch in batches for item in batch.set_aside]


def x(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], Any]]:
    keys = ("bearer_token", "consumer_key", "consumer_secret", "access_token", "access_token_secret")
    ours = {"name": "a", "channel": "twitter", "handle": "TwitterDev", "user_id": "2244994945"}
    account = ours | dict.fromkeys(keys, "k")
    mentions = {"name": "s", "account": "a", "collect": "mentions", "since": "all"}
    search = {"name": "s", "account": "a", "collect": "search", "query": "nyc", "since": "all"}
    for name, end, source in (
        ("user_mentions", "/mentions", mentions),
        ("user_tweets", "/2244994945/tweets", mentions),
        ("search_recent", "/search/recent", search),
        ("search_nyc_full_expansions", "/search/recent", search),
        ("quote_tweets", "/search/recent", search),
        ("tweets_lookup", "/search/recent", search),
    ):
        yield f"x/{name}", {"accounts": [account], "sources": [source]}, {end: _load(folder / f"{name}.json")}, EMPTY_X


def facebook(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], Any]]:
    account = {"name": "a", "channel": "facebook", "page_id": "19292868552", "page_token": "k"}
    source = {"name": "s", "account": "a", "collect": "page", "since": "all"}
    parts = {"accounts": [account], "sources": [source]}
    for name in ("posts_feeds_default_fields_p1", "posts_feeds_default_fields_p2", "posts_feed_fields_p1"):
        yield f"facebook/{name}", parts, {"/feed": _load(folder / f"{name}.json")}, EMPTY_GRAPH
    post = {
        "id": "19292868552_10158407654328553",
        "message": "post",
        "created_time": "2021-08-09T10:00:00+0000",
        "from": {"id": "19292868552", "name": "Page"},
        "comments": {"data": [], "summary": {"total_count": 25}},
    }
    for name in ("comments_comments_p1", "comments_comments_p2"):
        answers = {"/feed": {"data": [post]}, f"{post['id']}/comments": _load(folder / f"{name}.json")}
        yield f"facebook/{name} (under a post of the page)", parts, answers, EMPTY_GRAPH


def wordpress(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], Any]]:
    rest = {
        "/wp-json/": _load(folder / "rest_index.json"),
        "/v2/comments": _load(folder / "rest_comments.json"),
        "/v2/posts": _load(folder / "rest_posts.json"),
    }
    yield (
        "wordpress/rest_*",
        {"sources": [{"name": "s", "channel": "blog", "collect": "comments", "since": "all"}]},
        rest,
        {},
    )
    for name in ("posts_feed.rss", "comments_feed.rss", "post_comments_feed.rss", "post_comments_feed.atom"):
        feed = (folder / f"{name}.xml").read_text(encoding="utf-8")
        source = {"name": "s", "channel": "blog", "collect": "feed", "since": "all"}
        yield f"wordpress/{name}", {"sources": [source]}, {"/feed": feed}, {}


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(folder: Path) -> int:
    failed = False
    runs = [*x(folder / "x"), *facebook(folder / "facebook"), *wordpress(folder / "wordpress")]
    for name, parts, answers, otherwise in runs:
        with recordings(answers, otherwise) as base:
            for account in parts.get("accounts", ()):
                account["api_base"] = base
            for source in parts["sources"]:
                if source.get("channel") == "blog":
                    source["url"] = f"{base}/feed" if source["collect"] == "feed" else base
            try:
                mentions, context, aside = read(parts)
            except ChannelError as error:
                failed = True
                print(f"{name}: FAILED, {error.reason}: {error}")
                continue
        print(f"{name}: {mentions} mentions, {context} context, {len(aside)} set aside")
        for reason, count in Counter(item.reason for item in aside).most_common():
            print(f"    {count} {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.corpus_wire FOLDER")
    sys.exit(main(Path(sys.argv[1])))
