"""What a replier is given, what it gives back, and what it may raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from errors import ChannelError, ReplyError


@dataclass(frozen=True)
class Enclosed:
    """A picture that goes out with a reply. ``alt``: what it shows, in words."""

    media_type: str
    body: bytes = field(repr=False)
    alt: str


@dataclass(frozen=True)
class Outgoing:
    """One reply about to leave. ``address`` is ``MentionData.reply_address`` of the mention that is answered."""

    body: str
    to: str  # external id of the mention that is answered
    private: bool = False
    address: Mapping[str, Any] = field(default_factory=dict)
    since: datetime | None = None  # when it was written: no call was made before, so a look-up starts here
    again: bool = False  # an earlier call for this very reply may have gone out
    pictures: tuple[Enclosed, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """The network's word that the reply stands there."""

    external_id: str
    url: str | None = None
    published_at: datetime | None = None  # the network's time where it tells it
    awaiting_moderation: bool = False  # accepted, but not yet visible to others
    micro_usd: int = 0  # what it cost, in millionths of a US dollar


def refused(error: ChannelError, words: str | None = None) -> ReplyError:
    """The same error, of what certainly published nothing; in these ``words``, where its own do not say enough."""
    return ReplyError(error.reason, words or str(error), retry_at=error.retry_at, permanent=error.permanent)


class Replier(Protocol):
    def check(self, reply: Outgoing) -> None:
        """Refuse, without any call, what cannot succeed: raises ``TooLong`` or ``CannotReply``."""
        ...

    def send(self, reply: Outgoing) -> Receipt:
        """Publish it, with one call. Its pictures are handed over before that: if one is refused, nothing is published.

        Raises ``ReplyError`` when it is certain that nothing was published (``permanent`` tells whether trying again
        can help, ``retry_at`` when), and ``ReplyUncertain`` when it is not.
        """
        ...

    def find(self, reply: Outgoing) -> Receipt | None:
        """Look on the network for a reply whose outcome is unknown; None when it is not there now.

        Raises ``ChannelError`` when the look-up itself failed. A network that has none says so in
        ``Capabilities.lookup`` and is not asked.
        """
        ...

    def hide(self, to: str, address: Mapping[str, Any], hidden: bool) -> None:
        """See to it that somebody else's message is hidden there, or is not; done already, it is done.

        ``to``, ``address``: as in ``Outgoing``. Raises ``ChannelError``; without a clear answer it may have been done.
        A network that hides nothing says so in ``Capabilities.hides`` and is not asked.
        """
        ...
