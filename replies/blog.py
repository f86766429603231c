"""Comments on a WordPress site, written as our user: by REST, and by XML-RPC where there is no REST."""

from __future__ import annotations

import html
import re
import unicodedata
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from defusedxml.xmlrpc import DefusedExpatParser
from pydantic import BaseModel

from channels.blog import TIME, BlogAccount, NoRest, WordPress, comment_id, failure, instant, json_of, said
from errors import CannotReply, ChannelError, Reason, ReplyError, ReplyUncertain
from outbound import Client, Fetched, NoAnswer, NotSent
from replies.base import Outgoing, Receipt, refused

CLOCKS_APART = timedelta(minutes=5)  # between the site and us, when looking for what was sent at a given time
RPC = {  # fault codes of WordPress's XML-RPC (class-wp-xmlrpc-server.php)
    401: Reason.forbidden,
    403: Reason.auth_expired,
    404: Reason.gone,
    405: Reason.forbidden,
}


def replier(account: BaseModel, http: Client) -> Commenter:
    assert isinstance(account, BlogAccount)
    return Commenter(account, http)


class Commenter:
    """Answers comments on one site. ``Outgoing.address``: ``parent`` (comment number) and, where it is
    known, ``post`` (article number).
    """

    def __init__(self, account: BlogAccount, http: Client) -> None:
        self.account, self.http = account, http
        self.rest = WordPress(http, account.site, account)

    def check(self, reply: Outgoing) -> None:
        if reply.private:
            raise CannotReply("no_private_reply", "A blog has no private answers.")
        if not isinstance(reply.address.get("parent"), int):
            raise CannotReply("article", "Only comments on our own site can be answered there.")

    def send(self, reply: Outgoing) -> Receipt:
        self.check(reply)
        try:  # nothing is written yet: where REST is, whether it knows us, and under which article this stands
            self.rest.me()
            body = {"post": self._post(reply), "parent": reply.address["parent"], "content": reply.body}
        except NoRest:
            return self._send_by_rpc(reply)
        except ChannelError as error:
            raise refused(error) from error
        try:
            answer = self.rest.call("wp/v2/comments", post=body)
        except NotSent as error:
            raise refused(error) from error
        except NoAnswer as error:
            raise ReplyUncertain(str(error)) from error
        if answer.status in (200, 201):
            return self._receipt(json_of(answer), answer)
        if answer.status >= 500 and answer.status != 501:
            raise ReplyUncertain(f"{self.account.site} answers {answer.status} to a comment: it may have been stored")
        code, _ = said(answer)
        if code == "comment_duplicate" or answer.status == 409:
            raise self._duplicate(reply)
        refusal = failure(answer)
        if isinstance(refusal, NoRest):
            return self._send_by_rpc(reply)
        raise refused(refusal)

    def _post(self, reply: Outgoing) -> int:
        """The article's number; the comment feed does not always tell it."""
        if isinstance(post := reply.address.get("post"), int):
            return post
        found, _ = self.rest.get(f"wp/v2/comments/{reply.address['parent']}")
        if not isinstance(found, dict) or not isinstance(found.get("post"), int):
            raise ChannelError(Reason.bad_payload, f"{self.account.site} does not say what the comment stands under")
        return int(found["post"])

    def _duplicate(self, reply: Outgoing) -> ReplyError | ReplyUncertain:
        site = self.account.site
        if reply.again:
            return ReplyUncertain(f"{site} says it has these very words: an earlier call may have brought them there")
        words = f"{site} does not take the same words twice, and has them already. Nothing was published."
        return ReplyError(Reason.bad_request, words)

    def find(self, reply: Outgoing) -> Receipt | None:
        try:
            user = self.rest.me()["id"]
        except NoRest:
            return self._find_by_rpc(reply)
        query = {
            "parent": reply.address["parent"],
            "after": (reply.since - CLOCKS_APART).strftime(f"{TIME}Z") if reply.since else None,
            "order": "desc",
            "per_page": 100,
        }
        for status in ("all", None):  # all: those awaiting moderation too, for whoever may see them
            answer = self.rest.call("wp/v2/comments", {**query, "status": status})
            if answer.status == 200:
                break
            if status is None or answer.status not in (400, 401, 403):
                raise failure(answer)
        found = json_of(answer)
        if not isinstance(found, list):
            raise ChannelError(Reason.bad_payload, f"{self.account.site}: a list of comments was expected")
        for item in found:
            content = item.get("content") if isinstance(item, dict) else None
            if not isinstance(content, dict) or item.get("author") != user or item.get("status") in ("trash", "spam"):
                continue
            if _same(reply.body, _text(str(content.get("rendered") or ""))):
                return self._receipt(item, answer)
        return None

    def hide(self, to: str, address: Mapping[str, Any], hidden: bool) -> None:
        """By REST alone. WordPress answers 500 to a status a comment has already, so it is looked at first."""
        path, wanted, site = f"wp/v2/comments/{address['parent']}", "hold" if hidden else "approved", self.account.site
        item, _ = self.rest.get(path)
        status = item.get("status") if isinstance(item, dict) else None
        if status == wanted or (hidden and status in ("spam", "trash")):  # there nobody sees it either
            return
        if status not in ("approved", "hold"):
            raise ChannelError(Reason.forbidden, f"{site} has the comment as {status}: put it back there")
        answer = self.rest.call(path, post={"status": wanted})
        if answer.status != 200:
            raise failure(answer)
        changed = json_of(answer)
        if not isinstance(changed, dict) or changed.get("status") != wanted:
            raise ChannelError(Reason.bad_payload, f"{site} does not say that it did so")

    def _receipt(self, item: Any, answer: Fetched) -> Receipt:
        if not isinstance(item, dict) or not isinstance(item.get("id"), int):
            raise ReplyUncertain(f"{self.account.site} answers {answer.status} without saying what was stored")
        try:
            published = instant(str(item.get("date_gmt")))
        except ValueError:
            published = None
        return Receipt(
            external_id=comment_id(self.account.site, item["id"]),
            url=str(item.get("link") or "") or None,
            published_at=published,
            awaiting_moderation=item.get("status") != "approved",
        )

    # -- XML-RPC --------------------------------------------------------------------------------------------------

    def _rpc(self, method: str, *arguments: Any) -> Any:
        """What a method returns. Raises ``xmlrpc.client.Fault``, ``NotSent``, ``NoAnswer`` or ``ChannelError``."""
        password = self.account.application_password.get_secret_value()
        call = xmlrpc.client.dumps((1, self.account.username, password, *arguments), method, encoding="utf-8")
        answer = self.http.fetch(
            f"{self.account.site}/xmlrpc.php",
            method="POST",
            data=call.encode("utf-8", "xmlcharrefreplace"),
            headers={"Content-Type": "text/xml; charset=utf-8"},
        )
        if answer.status >= 500:
            raise NoAnswer(Reason.unavailable, f"{self.account.site} answers {answer.status}")
        if answer.status != 200:
            words = f"{self.account.site} takes comments neither by REST nor by XML-RPC ({answer.status})"
            raise ChannelError(Reason.rate_limited if answer.status == 429 else Reason.forbidden, words)
        target = xmlrpc.client.Unmarshaller()
        parser = DefusedExpatParser(target)
        try:
            parser.feed(answer.body)
            parser.close()
            (value,) = target.close()
        except xmlrpc.client.Fault:
            raise
        except Exception as error:  # expat, defusedxml and xmlrpc.client each have errors of their own
            raise NoAnswer(Reason.bad_payload, f"{self.account.site}: the answer is no XML-RPC") from error
        return value

    def _rpc_read(self, method: str, *arguments: Any) -> Any:
        """The same for what only reads: every refusal is a ``ChannelError``."""
        try:
            return self._rpc(method, *arguments)
        except xmlrpc.client.Fault as fault:
            raise ChannelError(RPC.get(fault.faultCode, Reason.bad_request), _words(fault)) from fault

    def _send_by_rpc(self, reply: Outgoing) -> Receipt:
        parent, post = reply.address["parent"], reply.address.get("post")
        try:
            if not isinstance(post, int):
                post = int(self._rpc_read("wp.getComment", parent)["post_id"])
        except (TypeError, KeyError, ValueError) as error:
            words = f"{self.account.site} does not say what the comment stands under"
            raise ReplyError(Reason.bad_payload, words) from error
        except ChannelError as error:
            raise refused(error) from error
        try:
            number = int(self._rpc("wp.newComment", post, {"comment_parent": parent, "content": reply.body}))
        except xmlrpc.client.Fault as fault:
            raise self._refused_by_rpc(reply, fault) from fault
        except NoAnswer as error:
            raise ReplyUncertain(str(error)) from error
        except ChannelError as error:
            raise refused(error) from error
        except (TypeError, ValueError) as error:
            raise ReplyUncertain(f"{self.account.site} answers without saying what was stored") from error
        return Receipt(
            external_id=comment_id(self.account.site, number), url=f"{self.account.site}/?p={post}#comment-{number}"
        )

    def _refused_by_rpc(self, reply: Outgoing, fault: xmlrpc.client.Fault) -> ReplyError | ReplyUncertain:
        """WordPress has one code, 403, for a wrong password, closed comments, and words that stand there already;
        what it says besides is in the site's language.
        """
        reason = RPC.get(fault.faultCode, Reason.bad_request)
        try:
            if fault.faultCode == 409 or (fault.faultCode == 403 and self._find_by_rpc(replace(reply, since=None))):
                return self._duplicate(reply)
            if fault.faultCode == 403:
                reason = Reason.forbidden  # it let us look, so the password is right
        except ChannelError as error:
            if error.reason is not Reason.auth_expired:
                reason = Reason.forbidden
                if reply.again:
                    return ReplyUncertain(f"{_words(fault)}; and the site cannot be asked: {error}")
        return ReplyError(reason, _words(fault))

    def _find_by_rpc(self, reply: Outgoing) -> Receipt | None:
        post = reply.address.get("post")
        found = self._rpc_read("wp.getComments", {"number": 100, **({"post_id": post} if post else {})})
        for item in found if isinstance(found, list) else []:
            at = _rpc_time(item.get("date_created_gmt"))
            recent = reply.since is None or at is None or at >= reply.since - CLOCKS_APART
            under = str(item.get("parent") or 0) == str(reply.address["parent"])
            ours = str(item.get("user_id") or "0") != "0"  # a user of the site, not a passer-by
            if recent and under and ours and _same(reply.body, _text(str(item.get("content") or ""))):
                return Receipt(
                    external_id=comment_id(self.account.site, str(item.get("comment_id"))),
                    url=str(item.get("link") or "") or None,
                    published_at=at,
                    awaiting_moderation=item.get("status") == "hold",
                )
        return None


def _words(fault: xmlrpc.client.Fault) -> str:
    return f"{html.unescape(fault.faultString)} (XML-RPC {fault.faultCode})"


def _rpc_time(value: Any) -> datetime | None:
    if not isinstance(value, xmlrpc.client.DateTime):
        return None
    return datetime.strptime(value.value, "%Y%m%dT%H:%M:%S").replace(tzinfo=UTC)


def _text(markup: str) -> str:
    """The letters of a rendered comment; markup may stand anywhere in it."""
    return html.unescape(re.sub(r"<[^>]*>", " ", markup))


def _same(one: str, other: str) -> bool:
    """The same text, whatever WordPress made of its quotation marks, dashes, dots and line breaks."""
    return _letters(_text(one)) == _letters(other)


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(sign for sign in folded if sign.isalnum())
    return kept or "".join(folded.split())
