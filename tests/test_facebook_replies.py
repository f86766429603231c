"""Answers on Facebook, against the look-alike: once, where they belong, or nobody is told that they arrived."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, Response
from pydantic import SecretStr

from channels import capabilities, channel, load
from channels.facebook import FacebookAccount
from collectors.base import MentionData
from collectors.facebook import page
from errors import CannotReply, ChannelError, Reason, ReplyError, ReplyUncertain, TooLong
from outbound import Client as Http
from replies.base import Outgoing
from replies.facebook import FacebookReplier, replier
from sandbox.base import Fault, Post, serving
from sandbox.facebook import Graph, error

TOKEN = "EAATokenNobodyMaySee"


class Desk:
    """A page, its visitors, and what answers them."""

    def __init__(self, graph: Graph, base: str) -> None:
        self.graph = graph
        self.http = Http(allow_private_networks=True, read_timeout=1)
        self.account = FacebookAccount(
            name="page",
            channel="facebook",
            page_id=graph.page_id,
            api_base=base,
            page_token=SecretStr(TOKEN),
            app_secret=SecretStr("secretOfTheApp"),
        )
        self.replier: FacebookReplier = replier(self.account, self.http)

    def mention(self, external_id: str) -> MentionData:
        now = datetime.now(UTC)
        batches = page(None, self.account, self.http).collect(None, since=None, now=now)
        return next(m for batch in batches for m in batch.mentions if m.external_id == external_id)

    def outgoing(self, external_id: str, body: str, *, private: bool = False) -> Outgoing:
        address = json.loads(json.dumps(self.mention(external_id).reply_address))
        return Outgoing(body, external_id, private=private, address=address, since=datetime.now(UTC))

    def ours(self) -> list[Post]:
        return [post for post in self.graph.posts() if post.ours]


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Flask, str]]:
    app = Flask(__name__)
    with serving(app) as base:
        yield app, base


@pytest.fixture
def desk(front: tuple[Flask, str]) -> Desk:
    app, base = front
    graph = Graph(page_token=TOKEN, app_secret="secretOfTheApp")
    app.wsgi_app = graph.app.wsgi_app  # type: ignore[method-assign]
    return Desk(graph, base)


# -- where it arrives -------------------------------------------------------------------------------------------------


def test_an_answer_to_a_post_is_a_comment_under_it(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hål i vägen")
    receipt = desk.replier.send(desk.outgoing(post, "Vi lagar det på torsdag, hälsar vägfolket."))
    (ours,) = desk.ours()
    assert (ours.external_id, ours.in_reply_to) == (receipt.external_id, post)
    assert ours.text == "Vi lagar det på torsdag, hälsar vägfolket."
    assert receipt.url is not None
    assert receipt.published_at is not None
    found = desk.mention(receipt.external_id)
    assert (found.ours, found.in_reply_to) == (True, post)


def test_an_answer_to_a_comment_hangs_under_it(desk: Desk) -> None:
    comment = desk.graph.write("Bo", "Når?", in_reply_to=desk.graph.write_as_us("Vi plogar"))
    receipt = desk.replier.send(desk.outgoing(comment, "Kl. 16"))
    assert [(post.external_id, post.in_reply_to) for post in desk.ours()[1:]] == [(receipt.external_id, comment)]


def test_a_private_answer_is_a_message_and_no_comment(desk: Desk) -> None:
    comment = desk.graph.write("Bo", "Mitt nummer er 123", in_reply_to=desk.graph.write("Åsa", "Hej"))
    receipt = desk.replier.send(desk.outgoing(comment, "Vi ringer deg — hilsen oss", private=True))
    (ours,) = desk.ours()
    assert ours == replace(ours, external_id=receipt.external_id, private=True, in_reply_to=comment)
    assert ours.text == "Vi ringer deg — hilsen oss"
    assert not desk.mention(comment).can_reply_privately, "one private answer is all Facebook allows"


def test_a_visitors_post_is_answered_privately_too(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej")
    desk.replier.send(desk.outgoing(post, "Hej Åsa", private=True))
    assert [(sent.private, sent.in_reply_to) for sent in desk.ours()] == [(True, post)]


# -- what is refused before the call ----------------------------------------------------------------------------------


@pytest.mark.parametrize("private, limit", [(False, 8000), (True, 2000)])
def test_length_is_refused_above_the_limit_only(private: bool, limit: int) -> None:
    desk = Desk(Graph(), "http://127.0.0.1:9")
    desk.replier.check(Outgoing("å" * limit, "1", private=private))
    with pytest.raises(TooLong) as caught:
        desk.replier.check(Outgoing("å" * (limit + 1), "1", private=private))
    assert (caught.value.length, caught.value.limit) == (limit + 1, limit)


def test_a_private_answer_is_refused_where_or_when_facebook_allows_none() -> None:
    desk = Desk(Graph(), "http://127.0.0.1:9")
    until = datetime(2026, 11, 21, 12, tzinfo=UTC)
    reply = Outgoing("Hej", "1", private=True, address={"comment": "1", "private_until": until.isoformat()})
    desk.replier.check(replace(reply, since=until - timedelta(seconds=1)))
    with pytest.raises(CannotReply) as caught:
        desk.replier.check(replace(reply, since=until))
    assert caught.value.reason == "private_window_over"
    with pytest.raises(CannotReply) as caught:
        desk.replier.check(replace(reply, address={"comment": "1", "private_until": None}))
    assert caught.value.reason == "no_private_reply"
    desk.replier.check(replace(reply, private=False, address={"comment": "1", "private_until": None}))


def test_the_registry_leads_here() -> None:
    assert load(str(channel("facebook").replier)) is replier
    known = capabilities("facebook")
    assert (known.limit, known.private_limit, known.lookup, known.count("åä")) == (8000, 2000, True, 2)


# -- certain and uncertain --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, subcode, reason, permanent",
    [
        (190, 463, Reason.auth_expired, True),
        (200, None, Reason.forbidden, True),
        (368, None, Reason.forbidden, True),
        (100, 33, Reason.gone, True),
        (100, None, Reason.bad_request, True),
        (10, 2018278, Reason.forbidden, True),
        (10900, None, Reason.bad_request, True),
        (506, None, Reason.bad_request, True),
        (32, None, Reason.rate_limited, False),
        (613, None, Reason.rate_limited, False),
    ],
)
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("status", [400, 200])
def test_a_refusal_in_facebooks_words_is_certain(
    desk: Desk, code: int, subcode: int | None, reason: Reason, permanent: bool, private: bool, status: int
) -> None:
    desk.graph.answer_once(error(code, "because", subcode=subcode, status=status))
    with pytest.raises(ReplyError, match="because") as caught:
        desk.replier.send(Outgoing("Hej", "1", private=private, address={"comment": "1_2"}))
    assert (caught.value.reason, caught.value.permanent) == (reason, permanent)


@pytest.mark.parametrize(
    "response",
    [
        error(1),
        error(2, status=500),
        error(1, status=200),
        Response("<html>502</html>", 502, content_type="text/html"),
        Response("<html>ok</html>", 200, content_type="text/html"),
        Response("", 204),
        Response('{"id": ', 200, content_type="application/json"),
        Response("{}", 200, content_type="application/json"),
        Response('{"success": true}', 200, content_type="application/json"),
        Response("{}", 503, content_type="application/json"),
    ],
    ids=lambda response: f"{response.status_code} {response.get_data()[:40]!r}",
)
@pytest.mark.parametrize("private", [False, True])
def test_anything_else_is_uncertain(desk: Desk, response: Response, private: bool) -> None:
    desk.graph.answer_once(Response(response.get_data(), response.status_code, content_type=response.content_type))
    with pytest.raises(ReplyUncertain):
        desk.replier.send(Outgoing("Hej", "1", private=private, address={"comment": "1_2"}))


def test_nobody_there_is_certain_and_passes() -> None:
    desk = Desk(Graph(), "http://127.0.0.1:9")
    with pytest.raises(ReplyError) as caught:
        desk.replier.send(Outgoing("Hej", "1", address={"comment": "1_2"}))
    assert (caught.value.reason, caught.value.permanent) == (Reason.unavailable, False)
    assert TOKEN not in str(caught.value)


def test_a_refused_answer_was_not_written(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej")
    reply = desk.outgoing(post, "Svar")
    for fault in (Fault.rate_limited, Fault.rate_limited_silent, Fault.unauthorized, Fault.out_of_credit):
        desk.graph.faults.on(fault, times=1)
        with pytest.raises(ReplyError):
            desk.replier.send(reply)
    desk.graph.close(post)
    with pytest.raises(ReplyError, match="turned off"):
        desk.replier.send(reply)
    assert desk.ours() == []


# -- looked up --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.accept_then_cut, Fault.accept_then_hang])
@pytest.mark.parametrize("private", [False, True])
def test_what_was_written_before_the_line_was_cut_is_found(desk: Desk, fault: Fault, private: bool) -> None:
    comment = desk.graph.write("Bo", "Når?", in_reply_to=desk.graph.write("Åsa", "Hej"))
    reply = desk.outgoing(comment, "Kl. 16,\n hilsen kommunen", private=private)
    desk.graph.faults.hang_seconds = 8
    desk.graph.faults.on(fault, times=1)
    with pytest.raises(ReplyUncertain):
        desk.replier.send(reply)
    desk.graph.faults.off()
    found = desk.replier.find(replace(reply, body="Kl. 16, hilsen kommunen"))
    assert found is not None
    assert [post.external_id for post in desk.ours()] == [found.external_id]


def test_what_never_arrived_is_not_found(desk: Desk) -> None:
    comment = desk.graph.write("Bo", "Når?", in_reply_to=desk.graph.write("Åsa", "Hej"))
    desk.graph.write("Cia", "Svar", in_reply_to=comment)  # the same words by somebody else
    desk.graph.write_as_us("Svar", in_reply_to=comment, at=datetime.now(UTC) - timedelta(hours=1))  # and ours, earlier
    desk.graph.write_as_us("Ett annat svar", in_reply_to=comment)
    assert desk.replier.find(desk.outgoing(comment, "Svar")) is None
    assert desk.replier.find(desk.outgoing(comment, "Svar", private=True)) is None


@pytest.mark.parametrize("private", [False, True])
def test_what_was_said_before_the_call_is_not_taken_for_it(desk: Desk, private: bool) -> None:
    comment = desk.graph.write("Bo", "Når?", in_reply_to=desk.graph.write("Åsa", "Hej"))
    reply = desk.outgoing(comment, "Svar", private=private)
    desk.replier.send(reply)
    assert desk.replier.find(replace(reply, since=datetime.now(UTC) + timedelta(minutes=1))) is None
    assert desk.replier.find(reply) is not None


def test_an_answer_to_an_answer_is_found_where_facebook_hangs_it(desk: Desk) -> None:
    top = desk.graph.write("Åsa", "Hej", in_reply_to=desk.graph.write_as_us("Nyheter"))
    below = desk.graph.write("Bo", "Och jag?", in_reply_to=top)
    reply = desk.outgoing(below, "Du också")
    sent = desk.replier.send(reply)
    assert desk.mention(sent.external_id).in_reply_to == top
    found = desk.replier.find(reply)
    assert found is not None
    assert found.external_id == sent.external_id


def test_it_is_found_on_whatever_page_it_stands(desk: Desk) -> None:
    post = desk.graph.write("Åsa", "Hej")
    reply = desk.outgoing(post, "Svar")
    for n in range(120):
        desk.graph.write("Bo", str(n), in_reply_to=post)
    sent = desk.replier.send(reply)
    found = desk.replier.find(reply)
    assert found is not None
    assert found.external_id == sent.external_id


def test_whether_a_post_was_answered_privately_is_not_guessed(desk: Desk) -> None:
    reply = desk.outgoing(desk.graph.write("Åsa", "Hej"), "Hej Åsa", private=True)
    with pytest.raises(ChannelError, match="inbox"):
        desk.replier.find(reply)


def test_a_look_up_that_fails_says_so(desk: Desk) -> None:
    reply = desk.outgoing(desk.graph.write("Åsa", "Hej"), "Svar")
    desk.graph.faults.on(Fault.html_error, times=1)
    with pytest.raises(ChannelError) as caught:
        desk.replier.find(reply)
    assert caught.value.reason is Reason.unavailable


def test_the_same_words_in_a_first_call_are_refused_for_certain(desk: Desk) -> None:
    reply = desk.outgoing(desk.graph.write("Åsa", "Hej"), "Svar")
    desk.replier.send(reply)
    with pytest.raises(ReplyError, match="nothing was published"):
        desk.replier.send(reply)


def test_the_same_words_twice_are_looked_up_and_not_called_failed(desk: Desk) -> None:
    reply = desk.outgoing(desk.graph.write("Åsa", "Hej"), "Svar")
    sent = desk.replier.send(reply)
    with pytest.raises(ReplyUncertain, match="506"):
        desk.replier.send(replace(reply, again=True))
    found = desk.replier.find(reply)
    assert found is not None
    assert found.external_id == sent.external_id


# -- hiding what others wrote -----------------------------------------------------------------------------------------


def test_a_comment_is_hidden_and_shown_again_and_asking_twice_does_no_harm(desk: Desk) -> None:
    comment = desk.graph.write("Bo", "Skitprat", in_reply_to=desk.graph.write_as_us("Vi plogar"))
    address = desk.mention(comment).reply_address
    for hidden in (True, True, False, False):
        desk.replier.hide(comment, address, hidden)
        assert desk.graph.is_hidden(comment) is hidden
        assert desk.mention(comment).hidden is hidden, "hidden, it is still told of"


def test_what_cannot_be_hidden_is_known_before_and_refused_there(desk: Desk) -> None:
    hides = capabilities("facebook").hides
    assert hides is not None
    post = desk.graph.write("Åsa", "Hej")
    elsewhere = desk.graph.write("Bo", "Skitprat", in_reply_to=desk.graph.tag("Åsa", "@Storby hej"))
    address = desk.mention(elsewhere).reply_address
    assert hides.why_not(desk.mention(post).reply_address, False) == "not_a_comment"
    assert hides.why_not(address, False) == "network_refuses"
    assert hides.why_not({"comment": "1"}, False) is None
    with pytest.raises(ChannelError) as caught:
        desk.replier.hide(elsewhere, address, True)
    assert (caught.value.reason, caught.value.permanent) == (Reason.forbidden, True)
    with pytest.raises(ChannelError) as caught:
        desk.replier.hide("1_2", {"comment": "1_2"}, True)
    assert caught.value.reason is Reason.gone
