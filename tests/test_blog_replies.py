"""Answers on a WordPress site: sent once, looked up when nobody knows, refused with the right reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import outbound
from channels.blog import BlogAccount, comment_id
from errors import CannotReply, ChannelError, Reason, ReplyError, ReplyUncertain
from replies.base import Outgoing
from replies.blog import Commenter, replier
from sandbox.base import Fault, serving
from sandbox.blog import PASSWORD, USERNAME, WordPress

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BODY = 'Vi är där före kl. 18 - "lovar" vi...\n\nHälsningar /Gata & park'


@pytest.fixture
def site() -> WordPress:
    made = WordPress("Storbybloggen", now=lambda: NOW)
    made.publish("Så plogar vi", "Stora gatorna först.", at=NOW - timedelta(hours=5))
    made.write("Gunnel", "Hur länge dröjer det?", at=NOW - timedelta(hours=3))
    return made


@pytest.fixture
def base(site: WordPress) -> Iterator[str]:
    site.faults.hang_seconds = 2.0
    with serving(site.app) as url:
        yield url


def commenter(base: str, password: str = PASSWORD) -> Commenter:
    account = BlogAccount.model_validate(
        {"name": "b", "site": base, "username": USERNAME, "application_password": password}
    )
    http = outbound.Client(allow_private_networks=True, connect_timeout=2, read_timeout=1)
    return replier(account, http)


@pytest.fixture
def reply(base: str) -> Outgoing:
    return Outgoing(body=BODY, to=comment_id(base, 1), address={"post": 1, "parent": 1}, since=NOW)


def ours(site: WordPress) -> list[str]:
    return [post.text for post in site.posts() if post.ours and post.in_reply_to]


@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
def test_an_answer_stands_in_its_thread(site: WordPress, base: str, reply: Outgoing, rest: bool) -> None:
    site.rest = rest
    receipt = commenter(base).send(reply)
    assert receipt.external_id == comment_id(base, 2)
    assert receipt.url is not None
    assert receipt.url.endswith("#comment-2")
    assert not receipt.awaiting_moderation
    (answer,) = [post for post in site.posts() if post.external_id == "comment/2"]
    assert (answer.text, answer.in_reply_to, answer.ours) == (BODY, "comment/1", True)


def test_an_answer_may_wait_for_a_moderator(site: WordPress, base: str, reply: Outgoing) -> None:
    site.our_moderation = True
    assert commenter(base).send(reply).awaiting_moderation
    found = commenter(base).find(reply)
    assert found is not None
    assert found.awaiting_moderation


@pytest.mark.slow
@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
@pytest.mark.parametrize("fault", [Fault.accept_then_hang, Fault.accept_then_cut])
def test_a_line_cut_after_the_comment_was_taken(
    site: WordPress, base: str, reply: Outgoing, fault: Fault, rest: bool
) -> None:
    site.rest = rest
    site.faults.on(fault, 1)
    with pytest.raises(ReplyUncertain):
        commenter(base).send(reply)
    assert ours(site) == [BODY]
    found = commenter(base).find(reply)
    assert found is not None
    assert found.external_id == comment_id(base, 2)


@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
def test_what_is_not_there_is_not_found(site: WordPress, base: str, reply: Outgoing, rest: bool) -> None:
    site.rest = rest
    site.write("Någon annan", BODY, in_reply_to="comment/1")  # the same words, not by us
    site.write_as_us(BODY, in_reply_to="post/1")  # by us, somewhere else
    site.write_as_us("Annat", in_reply_to="comment/1")  # by us, other words
    site.write_as_us(BODY, in_reply_to="comment/1", at=NOW - timedelta(days=1))  # long before it was sent
    assert commenter(base).find(reply) is None


@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
def test_sent_again_it_is_looked_for_not_doubled(site: WordPress, base: str, reply: Outgoing, rest: bool) -> None:
    site.rest = rest
    first = commenter(base).send(reply)
    with pytest.raises(ReplyUncertain):
        commenter(base).send(replace(reply, again=True))
    found = commenter(base).find(reply)
    assert found is not None
    assert found.external_id == first.external_id
    assert ours(site) == [BODY]


@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
def test_the_same_words_twice_are_refused(site: WordPress, base: str, reply: Outgoing, rest: bool) -> None:
    site.rest = rest
    site.write_as_us(BODY, in_reply_to="comment/1", at=NOW - timedelta(days=7))
    with pytest.raises(ReplyError, match="Nothing was published") as caught:
        commenter(base).send(reply)
    assert (caught.value.reason, caught.value.permanent) == (Reason.bad_request, True)


@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
def test_a_wrong_password(site: WordPress, base: str, reply: Outgoing, rest: bool) -> None:
    site.rest = rest
    with pytest.raises(ReplyError) as caught:
        commenter(base, "wrong").send(reply)
    assert (caught.value.reason, caught.value.permanent) == (Reason.auth_expired, True)
    assert "wrong" not in str(caught.value).replace("wrong password", "")
    with pytest.raises(ChannelError):
        commenter(base, "wrong").find(reply)


def test_closed_comments(site: WordPress, base: str, reply: Outgoing) -> None:
    site.close("post/1")
    with pytest.raises(ReplyError, match="closed") as caught:
        commenter(base).send(reply)
    assert (caught.value.reason, caught.value.permanent) == (Reason.forbidden, True)


@pytest.mark.parametrize("rest", [True, False], ids=["REST", "XML-RPC"])
def test_an_article_that_is_gone(site: WordPress, base: str, reply: Outgoing, rest: bool) -> None:
    site.rest = rest
    with pytest.raises(ReplyError) as caught:
        commenter(base).send(replace(reply, address={"post": 99, "parent": 1}))
    assert (caught.value.reason, caught.value.permanent) == (Reason.gone, True)


@pytest.mark.parametrize(("fault", "dated"), [(Fault.rate_limited, True), (Fault.rate_limited_silent, False)])
def test_a_rate_limit_passes(site: WordPress, base: str, reply: Outgoing, fault: Fault, dated: bool) -> None:
    site.faults.on(fault)
    with pytest.raises(ReplyError) as caught:
        commenter(base).send(reply)
    assert (caught.value.reason, caught.value.permanent) == (Reason.rate_limited, False)
    assert (caught.value.retry_at is not None) is dated
    assert ours(site) == []


def test_an_ill_server_is_sent_nothing(site: WordPress, base: str, reply: Outgoing) -> None:
    site.faults.on(Fault.html_error)
    with pytest.raises(ReplyError) as caught:
        commenter(base).send(reply)
    assert (caught.value.reason, caught.value.permanent) == (Reason.unavailable, False)
    assert ours(site) == []
    with pytest.raises(ChannelError):
        commenter(base).find(reply)


def test_nobody_there_means_nothing_sent(reply: Outgoing) -> None:
    with pytest.raises(ReplyError) as caught:
        commenter("http://127.0.0.1:1").send(reply)
    assert (caught.value.reason, caught.value.permanent) == (Reason.unavailable, False)


def test_neither_rest_nor_xmlrpc(site: WordPress, base: str, reply: Outgoing) -> None:
    site.rest = site.xmlrpc = False
    with pytest.raises(ReplyError, match="neither by REST nor by XML-RPC"):
        commenter(base).send(reply)


def test_what_cannot_succeed_is_refused_before_the_call(base: str, reply: Outgoing) -> None:
    for wrong, code in (
        (replace(reply, private=True), "no_private_reply"),
        (replace(reply, address={}), "article"),
    ):
        with pytest.raises(CannotReply) as caught:
            commenter(base).check(wrong)
        assert caught.value.reason == code
    commenter(base).check(reply)


# -- hiding what others wrote -----------------------------------------------------------------------------------------


def shown(site: WordPress) -> bool:
    return "Hur länge" in site.app.test_client().get("/comments/feed/").get_data(as_text=True)


def test_a_comment_waits_for_a_moderator_again_and_is_approved_again(site: WordPress, base: str) -> None:
    us, which = commenter(base), (comment_id(base, 1), {"post": 1, "parent": 1})
    for hidden in (True, True, False, False):  # the same again is a failure to WordPress
        us.hide(*which, hidden)
        assert shown(site) is not hidden
    site.set_status("comment/1", "spam")
    us.hide(*which, True)
    with pytest.raises(ChannelError, match="spam"):
        us.hide(*which, False)


def test_hiding_a_comment_wants_a_moderator_and_a_comment(site: WordPress, base: str) -> None:
    site.we_moderate = False
    with pytest.raises(ChannelError, match="not allowed") as caught:
        commenter(base).hide(comment_id(base, 1), {"parent": 1}, True)
    assert (caught.value.reason, caught.value.permanent) == (Reason.forbidden, True)
    with pytest.raises(ChannelError) as caught:
        commenter(base).hide(comment_id(base, 9), {"parent": 9}, True)
    assert caught.value.reason is Reason.gone
    site.rest = False
    with pytest.raises(ChannelError) as caught:
        commenter(base).hide(comment_id(base, 1), {"parent": 1}, True)
    assert caught.value.permanent
    assert shown(site)
