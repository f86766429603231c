"""X: an answer is a post in reply to a post whose writer named us or quoted one of ours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import tweepy

import outbound
from channels import twitter as x
from errors import CannotReply, ChannelError, Reason, ReplyError, ReplyUncertain, TooLong
from replies.base import Outgoing, Receipt, refused

TWICE = "X refuses the same words twice, so nothing was published: say it in other words."
CLOCKS_DIFFER = timedelta(minutes=5)  # at most, ours and X's: a look-up starts that much before the call


def replier(account: x.TwitterAccount, http: outbound.Client) -> TwitterReplier:
    return TwitterReplier(account, http)


class TwitterReplier:
    """Writes as one account. See ``replies.base.Replier`` for what the methods promise."""

    def __init__(self, account: x.TwitterAccount, http: outbound.Client) -> None:
        self._account = account
        self._http = http

    def check(self, reply: Outgoing) -> None:
        if reply.private:
            raise CannotReply("no_private_reply", "X has no private answers here: answer in public.")
        length = x.length(reply.body)
        if length > x.LIMIT:
            raise TooLong(length, x.LIMIT)

    def send(self, reply: Outgoing) -> Receipt:
        client = x.client(self._account, self._http)
        media = {"media_ids": ids} if (ids := self._uploaded(client, reply)) else {}
        try:
            answer = x.call(
                client.create_tweet, text=reply.body, in_reply_to_tweet_id=_parent(reply), user_auth=True, **media
            )
        except outbound.NoAnswer as error:
            raise ReplyUncertain(f"X did not say whether it took the answer: {error}") from error
        except x.Duplicate as error:
            if reply.again:
                raise ReplyUncertain(f"{error} It may be this very answer.") from error
            raise ReplyError(Reason.bad_request, f"{TWICE} {error}", permanent=True) from error
        except ChannelError as error:
            if error.reason in (Reason.unavailable, Reason.bad_payload) and not isinstance(error, outbound.NotSent):
                raise ReplyUncertain(f"X did not say whether it took the answer: {error}") from error
            raise refused(error) from error
        data = answer.get("data")
        number = data.get("id") if isinstance(data, dict) else None
        if not number:
            raise ReplyUncertain("X took the answer, it seems, but gave no id for it.")
        return Receipt(str(number), x.post_url(str(number), self._account.handle), micro_usd=_price(reply))

    def _uploaded(self, client: tweepy.Client, reply: Outgoing) -> list[str]:
        """The ids of its pictures. Whatever goes wrong here, no post has been made."""
        try:
            return [x.upload(client, each.body, each.media_type, each.alt) for each in reply.pictures]
        except ChannelError as error:
            raise refused(error, f"X did not take the picture: {error}") from error

    def find(self, reply: Outgoing) -> Receipt | None:
        """Looks through our own posts since it was written for one under the same post with the same words."""
        try:
            return self._find(reply, x.client(self._account, self._http).get_users_tweets, self._account.user_id)
        except ChannelError as error:
            if error.reason is not Reason.gone:
                raise
        search = x.client(self._account, self._http).search_recent_tweets
        return self._find(reply, search, f"from:{self._account.handle}", next_as="next_token")

    def hide(self, to: str, address: Mapping[str, Any], hidden: bool) -> None:
        client = x.client(self._account, self._http)
        method = client.hide_reply if hidden else client.unhide_reply
        data = x.call(method, str(address.get("tweet") or to), user_auth=True).get("data")
        if not isinstance(data, Mapping) or data.get("hidden") is not hidden:
            raise ChannelError(Reason.bad_payload, "X does not say that it did so.")

    def _find(self, reply: Outgoing, own: Callable[..., Any], whose: str, **paging: str) -> Receipt | None:
        bounds: dict[str, Any] = {"start_time": reply.since - CLOCKS_DIFFER} if reply.since else {}
        fields = ["created_at", "referenced_tweets", "entities", "note_tweet"]
        wanted = _normal(reply.body)
        for page in x.pages(own, whose, max_results=100, tweet_fields=fields, **bounds, **paging):
            for post in page.get("data") or ():
                if _is_it(post, _parent(reply), wanted):
                    number = str(post["id"])
                    made = datetime.fromisoformat(post["created_at"]) if post.get("created_at") else None
                    return Receipt(number, x.post_url(number, self._account.handle), made, micro_usd=_price(reply))
        return None


def _parent(reply: Outgoing) -> str:
    return str(reply.address.get("tweet") or reply.to)


def _price(reply: Outgoing) -> int:
    return x.price(reply.body)


def _is_it(post: Any, parent: str, wanted: str) -> bool:
    try:
        return x.references(post).get("replied_to") == parent and _normal(x.readable(post)) == wanted
    except (KeyError, TypeError, AttributeError):
        return False  # not a post that can be read, so not ours either


def _normal(text: str) -> str:
    """A text without what X changes in it: names put in front, how links are written, white space."""
    text = unicodedata.normalize("NFC", text).strip()
    text = re.sub(r"^(@\w+\s+)+", "", text)
    text = re.sub(r"https?://", "", text, flags=re.IGNORECASE)
    return re.sub(r"\s+", " ", text)
