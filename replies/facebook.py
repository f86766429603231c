"""Answers on Facebook: a comment under a post or a comment, or one private message to who wrote it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.facebook import CAPABILITIES, DUPLICATE, FacebookAccount, Graph, GraphError
from errors import CannotReply, ChannelError, Reason, ReplyError, ReplyUncertain, TooLong
from outbound import Client, NoAnswer
from replies.base import Outgoing, Receipt, refused

TWICE = "Facebook refuses the same words twice, so nothing was published: say it in other words."
# By how much Facebook's clock may be behind ours. Short: the same words may have gone to somebody else just before.
CLOCKS_DIFFER = timedelta(seconds=5)


def replier(account: FacebookAccount, http: Client) -> FacebookReplier:
    return FacebookReplier(account, http)


class FacebookReplier:
    def __init__(self, account: FacebookAccount, http: Client) -> None:
        self._account, self._http = account, http

    def check(self, reply: Outgoing) -> None:
        limit = CAPABILITIES.private_limit if reply.private else CAPABILITIES.limit
        length = CAPABILITIES.count(reply.body)
        if limit is not None and length > limit:
            raise TooLong(length, limit)
        if not reply.private or "private_until" not in reply.address:
            return
        until = reply.address["private_until"]
        if until is None:
            raise CannotReply("no_private_reply", "Facebook allows no private answer to this message.")
        if (reply.since or datetime.now(UTC)) >= datetime.fromisoformat(until):
            raise CannotReply("private_window_over", "Facebook allows a private answer within seven days only.")

    def send(self, reply: Outgoing) -> Receipt:
        graph = Graph(self._account, self._http)
        picture = self._uploaded(graph, reply)
        try:
            answer = self._write_privately(graph, reply) if reply.private else self._write(graph, reply, picture)
        except NoAnswer as error:
            raise ReplyUncertain(str(error)) from error
        except GraphError as error:
            # Without a refusal in Facebook's own words nothing is certain. A duplicate may be our own earlier try.
            if error.reason in (Reason.unavailable, Reason.bad_payload) or (error.code == DUPLICATE and reply.again):
                raise ReplyUncertain(str(error)) from error
            if error.code == DUPLICATE:
                raise ReplyError(Reason.bad_request, f"{TWICE} {error}", permanent=True) from error
            raise refused(error) from error
        except ChannelError as error:
            raise refused(error) from error
        id = answer.get("message_id" if reply.private else "id")
        if not id:
            raise ReplyUncertain("Facebook took the answer but named no id for it.")
        return _receipt(str(id), answer)

    def find(self, reply: Outgoing) -> Receipt | None:
        graph = Graph(self._account, self._http)
        return self._find_privately(graph, reply) if reply.private else self._find(graph, reply)

    def hide(self, to: str, address: Mapping[str, Any], hidden: bool) -> None:
        answer = Graph(self._account, self._http).post(address["comment"], is_hidden="true" if hidden else "false")
        if answer.get("success") is not True:
            raise ChannelError(Reason.bad_payload, "Facebook does not say that it did so.")

    def _uploaded(self, graph: Graph, reply: Outgoing) -> str | None:
        """The id of its picture, which nobody sees until a comment names it. If that fails, no comment is made."""
        if not reply.pictures:
            return None
        (picture,) = reply.pictures
        told = {"published": "false", "temporary": "true", "alt_text_custom": picture.alt}
        try:
            return str(graph.upload(f"{self._account.page_id}/photos", picture.body, picture.media_type, **told)["id"])
        except KeyError:
            raise ReplyError(Reason.bad_payload, "Facebook took the picture but named no id for it.") from None
        except ChannelError as error:
            raise refused(error, f"Facebook did not take the picture: {error}") from error

    def _write(self, graph: Graph, reply: Outgoing, picture: str | None) -> dict[str, Any]:
        named = {"attachment_id": picture} if picture else {}
        path = f"{_target(reply)}/comments"
        return graph.post(path, message=reply.body, fields="id,permalink_url,created_time", **named)

    def _write_privately(self, graph: Graph, reply: Outgoing) -> dict[str, Any]:
        kind = "comment_id" if "comment" in reply.address else "post_id"
        return graph.post(
            f"{self._account.page_id}/messages",
            recipient=json.dumps({kind: _target(reply)}),  # the API takes forms, and in them JSON
            message=json.dumps({"text": reply.body}),
            messaging_type="RESPONSE",
        )

    def _find(self, graph: Graph, reply: Outgoing) -> Receipt | None:
        # An answer to an answer is hung by Facebook under the comment that both answer.
        nodes = [_target(reply), *filter(None, [reply.address.get("parent")])]
        for node in nodes:
            args = {"fields": "id,message,created_time,from,permalink_url", "limit": "100"}
            if reply.since is not None:
                args["since"] = str(int((reply.since - CLOCKS_DIFFER).timestamp()))
            found = self._ours(graph, f"{node}/comments", args, reply)
            if found is not None:
                return found
        return None

    def _find_privately(self, graph: Graph, reply: Outgoing) -> Receipt | None:
        if "comment" not in reply.address:
            # Messages do not tell which post they answer, and the same text may have gone to many.
            raise ChannelError(
                Reason.bad_request,
                "Facebook does not tell whether a post was answered privately: look in the page's inbox.",
            )
        comment = graph.get(_target(reply), fields="private_reply_conversation")
        conversation = comment.get("private_reply_conversation")
        if not isinstance(conversation, dict) or not conversation.get("id"):
            return None
        args = {"fields": "id,message,created_time,from", "limit": "100"}
        return self._ours(graph, f"{conversation['id']}/messages", args, reply)

    def _ours(self, graph: Graph, path: str, args: dict[str, str], reply: Outgoing) -> Receipt | None:
        """The first item of the list that we wrote with this text since the call was made."""
        for items in graph.pages(path, **args):
            for item in items:
                if not isinstance(item, dict) or not isinstance(item.get("from"), dict):
                    continue
                published_at = _instant(item.get("created_time"))
                late_enough = reply.since is None or published_at is None or published_at >= reply.since - CLOCKS_DIFFER
                ours = str(item["from"].get("id")) == self._account.page_id
                if ours and late_enough and _normal(str(item.get("message"))) == _normal(reply.body):
                    return _receipt(str(item["id"]), item)
        return None


def _target(reply: Outgoing) -> str:
    return str(reply.address.get("comment") or reply.address.get("post") or reply.to)


def _receipt(id: str, answer: dict[str, Any]) -> Receipt:
    link = answer.get("permalink_url")
    return Receipt(id, url=link if isinstance(link, str) else None, published_at=_instant(answer.get("created_time")))


def _instant(value: Any) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return None if instant.tzinfo is None else instant.astimezone(UTC)


def _normal(text: str) -> str:
    """Facebook trims, and may compose letters and join blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())
