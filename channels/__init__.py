"""The registry of channels: what each can do, and where its parts lie, as dotted paths imported at first use.

This file and the channel's own files are the only places that know a channel's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any

from errors import NotFoundError


@dataclass(frozen=True)
class Pictures:
    """What pictures a network takes with an answer: how ``most`` of which ``types``, of how many bytes (``size``) and
    pixels on the longer ``side``, and how many characters of words for each (``alt``)."""

    most: int
    types: frozenset[str]
    size: int
    side: int
    alt: int


@dataclass(frozen=True)
class Hides:
    """How a network hides what others wrote there. Asking twice for the same does no harm.

    ``seen_by``: who sees it all the same, a code. ``why_not``: why a message cannot be hidden, a code or None, by its
    ``MentionData.reply_address`` and whether we began the conversation it stands in. (web/labels.py has the words.)
    """

    seen_by: str
    why_not: Callable[[Mapping[str, Any], bool], str | None]


@dataclass(frozen=True)
class Capabilities:
    """What can be done on a network, so that nobody needs to ask which network it is.

    ``count`` gives a text's length as the network counts it, ``limit`` the longest it takes (None: no limit known).
    ``warn`` gives a sentence to show beside the composer for a text, or None (a link that costs money); ``price`` what
    an answer with that text costs, in millionths of a US dollar. ``pace``: how far apart answers of one account go out
    when many are sent at once. ``once``: the network refuses a text it has had from the account before. ``pictures``:
    what a public answer may hold of them (None: none). ``hides``: what others wrote can be hidden (None: nothing).
    """

    limit: int | None
    count: Callable[[str], int]
    lookup: bool = True
    private_limit: int | None = None
    warn: Callable[[str], str | None] | None = None
    price: Callable[[str], int] | None = None
    pace: timedelta = timedelta(seconds=1)
    once: bool = False
    pictures: Pictures | None = None
    hides: Hides | None = None


@dataclass(frozen=True)
class History:
    """What a network tells of the time before a source was made.

    ``reader``: a factory as in ``Channel.collects``, of a ``collectors.base.Historian``. ``reach``: how far back it
    goes, a code (web/labels.py has the words). ``price``: what an item costs at most, in millionths of a US dollar,
    and ``most``: how many there can be (None: nobody knows).
    """

    reader: str
    reach: str
    price: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Channel:
    """One kind of network.

    ``account``: a pydantic model of one of our logins. ``collects``: what can be collected -> a factory
    ``(settings.SourceSettings, account: BaseModel | None, outbound.Client) -> collectors.base.Collector``.
    ``replier``: a factory ``(account: BaseModel, outbound.Client) -> replies.base.Replier``; None: open in browser.
    ``probe``: ``(account: BaseModel, http: outbound.Client) -> str`` logs in and says as whom, for ``gensvar check``.
    ``accountless``: the kinds of ``collects`` that need no account (and then a ``url``). ``history``: those whose past
    can be read. ``sign``: which drawing stands beside its name, of those in web/static/icons/signs.
    """

    name: str
    label: str
    sign: str = "post"
    capabilities: str | None = None
    account: str | None = None
    collects: Mapping[str, str] | None = None
    accountless: frozenset[str] = frozenset()
    history: Mapping[str, History] = field(default_factory=dict)
    replier: str | None = None
    probe: str | None = None


CHANNELS: Mapping[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel(
            "twitter",
            "X",
            capabilities="channels.twitter:CAPABILITIES",
            account="channels.twitter:TwitterAccount",
            collects={"mentions": "collectors.twitter:mentions", "search": "collectors.twitter:search"},
            history={
                # 800 mentions, each a post and its writer, and 3,200 posts of ours
                "mentions": History("collectors.twitter_history:mentions", "newest_800", price=15_000, most=4000),
                "search": History("collectors.twitter_history:search", "week", price=15_000),
            },
            replier="replies.twitter:replier",
            probe="channels.twitter:probe",
        ),
        Channel(
            "facebook",
            "Facebook",
            sign="page",
            capabilities="channels.facebook:CAPABILITIES",
            account="channels.facebook:FacebookAccount",
            collects={"page": "collectors.facebook:page"},
            history={"page": History("collectors.facebook_history:page", "everything")},
            replier="replies.facebook:replier",
            probe="channels.facebook:probe",
        ),
        Channel(
            "blog",
            "Blog",
            sign="article",
            capabilities="channels.blog:CAPABILITIES",
            account="channels.blog:BlogAccount",
            collects={"feed": "collectors.blog:feed", "comments": "collectors.blog:comments"},
            accountless=frozenset({"feed", "comments"}),
            history={
                "feed": History("collectors.blog_history:feed", "as_offered"),
                "comments": History("collectors.blog_history:comments", "everything"),
            },
            replier="replies.blog:replier",
            probe="channels.blog:probe",
        ),
        Channel("api", "API", sign="system"),
    )
}


def channel(name: str) -> Channel:
    """The channel of that name. Raises ``NotFoundError``."""
    try:
        return CHANNELS[name]
    except KeyError:
        raise NotFoundError(f"There is no channel named {name!r}.") from None


def load(path: str) -> Any:
    """The object behind ``module:name``; its libraries are imported now and not before."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


NO_NETWORK = Capabilities(limit=None, count=len, lookup=False)


def capabilities(name: str) -> Capabilities:
    """What can be done on the channel of that name."""
    path = channel(name).capabilities
    found: Capabilities = load(path) if path else NO_NETWORK
    return found
