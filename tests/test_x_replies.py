"""Answers on X over the wire: published once, refused for certain, or not known and then looked up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import requests
from flask import Flask, Response

import outbound
from channels import twitter as x
from channels.twitter import TwitterAccount
from errors import CannotReply, ChannelError, Reason, ReplyError, ReplyUncertain, TooLong
from replies.base import Outgoing
from replies.twitter import TwitterReplier, replier
from sandbox.base import Fault, serving
from sandbox.twitter import X

HTTP = outbound.Client(allow_private_networks=True)


@pytest.fixture
def network() -> X:
    return X()


@pytest.fixture
def account(network: X) -> Iterator[TwitterAccount]:
    with serving(network.app) as base:
        yield TwitterAccount.model_validate(network.account("storby-x", base))


@pytest.fixture
def us(account: TwitterAccount) -> TwitterReplier:
    return replier(account, HTTP)


def outgoing(body: str, to: str) -> Outgoing:
    return Outgoing(body, to, address={"tweet": to}, since=datetime.now(UTC))


def ours(network: X) -> list[str]:
    return [post.text for post in network.posts() if post.ours and not post.deleted]


def test_an_answer_stands_under_the_question(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby när öppnar badet?")
    receipt = us.send(outgoing("Klockan åtta. Välkommen! 👋", asked))
    answer = network.posts()[-1]
    assert (answer.external_id, answer.in_reply_to, answer.text) == (
        receipt.external_id,
        asked,
        "Klockan åtta. Välkommen! 👋",
    )
    assert receipt.url == f"https://x.com/storby/status/{receipt.external_id}"
    assert receipt.micro_usd == 10_000


def test_a_link_in_it_costs_more(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby när öppnar badet?")
    assert us.send(outgoing("Se storby.se/bad", asked)).micro_usd == 200_000


def test_who_quoted_us_may_be_answered(network: X, us: TwitterReplier) -> None:
    quote = network.write("Bo", "Jaså", quote=network.write_as_us("Badet öppnar."))
    us.send(outgoing("Ja!", quote))
    assert ours(network) == ["Badet öppnar.", "Ja!"]


def test_what_cannot_succeed_is_refused_before_the_call(network: X, us: TwitterReplier) -> None:
    with pytest.raises(TooLong) as too_long:
        us.check(outgoing("å" * 281, "1"))
    assert (too_long.value.length, too_long.value.limit) == (281, 280)
    with pytest.raises(CannotReply) as private:
        us.check(Outgoing("Hej", "1", private=True))
    assert private.value.reason == "no_private_reply"
    us.check(outgoing("å" * 256 + " https://storby.example/" + "x" * 100, "1"))
    assert network.requests == []


def test_the_look_alike_refuses_what_is_too_long_too(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby hej")
    with pytest.raises(ReplyError) as failed:
        us.send(outgoing("…" * 141, asked))
    assert (failed.value.reason, failed.value.permanent) == (Reason.bad_request, True)


def test_a_stranger_cannot_be_answered(network: X, us: TwitterReplier) -> None:
    stranger = network.write("Cilla", "Ingen plogar i Storby")
    with pytest.raises(ReplyError) as failed:
        us.send(outgoing("Vi plogar!", stranger))
    assert (failed.value.reason, failed.value.permanent) == (Reason.forbidden, True)
    assert ours(network) == []


def test_what_was_deleted_cannot_be_answered(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby hej")
    network.delete(asked)
    with pytest.raises(ReplyError) as failed:
        us.send(outgoing("Hej!", asked))
    assert (failed.value.reason, failed.value.permanent) == (Reason.gone, True)


def test_the_same_words_in_a_first_call_are_refused_for_certain(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby hej")
    us.send(outgoing("Hej!", asked))
    with pytest.raises(ReplyError, match="nothing was published") as failed:
        us.send(outgoing("Hej!", asked))
    assert (failed.value.reason, failed.value.permanent) == (Reason.bad_request, True)


def test_the_same_words_again_are_looked_up(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby hej")
    answer = outgoing("Hej!", asked)
    first = us.send(answer)
    with pytest.raises(ReplyUncertain, match="the same text"):
        us.send(replace(answer, again=True))
    there = us.find(answer)
    assert there is not None and there.external_id == first.external_id
    assert ours(network) == ["Hej!"]


@pytest.mark.parametrize(
    "fault, reason, permanent",
    [
        (Fault.unauthorized, Reason.auth_expired, True),
        (Fault.out_of_credit, Reason.out_of_credit, False),
        (Fault.rate_limited, Reason.rate_limited, False),
        (Fault.rate_limited_silent, Reason.rate_limited, False),
    ],
)
def test_a_refusal_is_certain(network: X, us: TwitterReplier, fault: Fault, reason: Reason, permanent: bool) -> None:
    asked = network.write("Anna", "@storby hej")
    network.faults.on(fault)
    with pytest.raises(ReplyError) as failed:
        us.send(outgoing("Hej!", asked))
    assert (failed.value.reason, failed.value.permanent) == (reason, permanent)
    assert (failed.value.retry_at is not None) == (fault is Fault.rate_limited)
    assert ours(network) == []


def test_what_x_says_twice_is_told_once() -> None:
    response = requests.Response()
    response.status_code = 401
    response._content = b'{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}'
    assert str(x.failure(response)).endswith("X says: Unauthorized")


def test_a_daily_limit_names_its_own_end() -> None:
    response = requests.Response()
    response.status_code = 429
    response._content = b"{}"
    response.headers.update({
        "x-rate-limit-remaining": "80", "x-rate-limit-reset": "1800000000",
        "x-user-limit-24hour-remaining": "0", "x-user-limit-24hour-reset": "1800050000",
    })  # fmt: skip
    assert x.failure(response).retry_at == datetime.fromtimestamp(1800050000, UTC)


def test_nobody_there_is_certain_and_passing(network: X) -> None:
    with serving(network.app) as base:
        account = TwitterAccount.model_validate(network.account("storby-x", base))
    with pytest.raises(ReplyError) as failed:
        replier(account, HTTP).send(outgoing("Hej!", "1"))
    assert (failed.value.reason, failed.value.permanent) == (Reason.unavailable, False)


def test_an_ill_x_leaves_it_open(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby hej")
    network.faults.on(Fault.html_error, 1)
    answer = outgoing("Hej!", asked)
    with pytest.raises(ReplyUncertain):
        us.send(answer)
    assert us.find(answer) is None


@pytest.mark.parametrize("fault", [Fault.accept_then_cut, Fault.accept_then_hang])
@pytest.mark.parametrize(
    "body",
    ["Hej!", "Se storby.se/bad & <håll> ut\n\nSegt?  Ja.", "@Anna Läs https://storby.example/å 👋", "snö " * 60 + "…"],
)
def test_what_was_taken_without_a_word_is_found(network: X, account: TwitterAccount, fault: Fault, body: str) -> None:
    us = replier(account, outbound.Client(allow_private_networks=True, read_timeout=0.3))
    network.faults.hang_seconds = 1.0
    asked = network.write("Anna", "@storby hej")
    network.write_as_us(body, in_reply_to=network.write("Bo", "@storby hej"))  # the same words, but to another one
    network.faults.on(fault, 1)
    answer = outgoing(body, asked)
    with pytest.raises(ReplyUncertain):
        us.send(answer)
    receipt = us.find(answer)
    assert receipt is not None and receipt.published_at is not None
    (there,) = [post for post in network.posts() if post.in_reply_to == asked]
    assert receipt.external_id == there.external_id
    assert us.find(outgoing("Något annat", asked)) is None


def test_a_look_up_reads_on_over_pages_but_not_behind_the_call(network: X, us: TwitterReplier) -> None:
    asked = network.write("Anna", "@storby hej")
    network.write_as_us("Hej!", in_reply_to=asked, at=datetime.now(UTC) - timedelta(minutes=30))
    assert us.find(outgoing("Hej!", asked)) is None
    mine = network.write_as_us("Hej!", in_reply_to=asked)
    for number in range(120):
        network.write_as_us(f"Nyhet {number}")
    receipt = us.find(outgoing("Hej!", asked))
    assert receipt is not None and receipt.external_id == mine


def test_no_key_reaches_the_log(network: X, account: TwitterAccount, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = network.write("Anna", "@storby hej")
    us = replier(account, HTTP)
    answer = outgoing("Hej!", asked)
    us.send(answer)
    us.find(answer)
    network.faults.on(Fault.unauthorized)
    with pytest.raises(ReplyError) as failed:
        us.send(answer)
    told = caplog.text + str(failed.value)
    keys = ("bearer_token", "consumer_key", "consumer_secret", "access_token", "access_token_secret")
    assert [key for key in keys if getattr(account, key).get_secret_value() in told] == []


def test_a_look_up_that_fails_says_so(network: X, us: TwitterReplier) -> None:
    network.faults.on(Fault.rate_limited)
    with pytest.raises(ChannelError) as failed:
        us.find(outgoing("Hej!", "1"))
    assert failed.value.reason is Reason.rate_limited


# -- the look-alike keeps X's rules ---------------------------------------------------------------------------------


def test_the_look_alike_refuses_unknown_keys_and_other_peoples_posts(network: X, account: TwitterAccount) -> None:
    client = x.client(account, HTTP)
    theirs = network.write("Anna", "@storby hej")
    with pytest.raises(ChannelError) as refused:
        x.call(client._make_request, "POST", "/2/tweets", json={"text": "hej", "status": "hej"}, user_auth=True)
    assert refused.value.reason is Reason.bad_request
    with pytest.raises(ChannelError) as forbidden:
        x.call(client.delete_tweet, theirs)
    assert forbidden.value.reason is Reason.forbidden
    with pytest.raises(ChannelError, match="keys"):
        x.call(client.create_tweet, text="hej", user_auth=False)
    mine = x.call(client.create_tweet, text="hej")["data"]["id"]
    assert x.call(client.delete_tweet, mine)["data"] == {"deleted": True}


def test_the_look_alike_counts_its_limits_down(network: X, account: TwitterAccount) -> None:
    client = x.client(account, HTTP)
    left = []
    for _ in range(3):
        x.call(client.get_me)
        left.append(client.session.last_response.headers["x-rate-limit-remaining"])
    assert left == ["74", "73", "72"]
    for _ in range(72):
        x.call(client.get_me)
    with pytest.raises(ChannelError) as limited:
        x.call(client.get_me)
    assert limited.value.retry_at is not None


def test_the_look_alike_looks_posts_and_people_up(network: X, account: TwitterAccount) -> None:
    client = x.client(account, HTTP)
    there, gone = network.write("Anna", "hej"), network.write("Anna", "då")
    network.delete(gone)
    answer = x.call(client.get_tweets, [there, gone])
    assert [post["id"] for post in answer["data"]] == [there]
    assert [problem["resource_id"] for problem in answer["errors"]] == [gone]
    assert x.call(client.get_tweet, there)["data"]["text"] == "hej"
    assert x.call(client.get_user, username="anna")["data"]["name"] == "Anna"
    assert "data" not in x.call(client.get_user, username="nobody")


@pytest.mark.parametrize(
    "query, matching",
    [
        ("snö", {"a", "b"}),
        ('"mycket snö"', {"b"}),
        ("snö -mycket", {"a"}),
        ("regn OR mycket snö", {"b", "c"}),
        ("(regn OR mycket) -snö", {"c"}),
        ("from:cilla", {"c"}),
        ("@storby", {"b"}),
        ("snö -is:reply", {"a", "b"}),
    ],
)
def test_the_look_alike_searches(network: X, account: TwitterAccount, query: str, matching: set[str]) -> None:
    names = {
        network.write("Anna", "Snö igen"): "a",
        network.write("Bo", "Mycket snö, @storby!"): "b",
        network.write("Cilla", "Bara regn"): "c",
    }
    found = x.call(x.client(account, HTTP).search_recent_tweets, query).get("data", [])
    assert {names[post["id"]] for post in found} == matching


def test_the_look_alike_refuses_a_query_it_cannot_read(account: TwitterAccount) -> None:
    for query in ("snö OR", "(snö", "snö)", "near:storby"):
        with pytest.raises(ChannelError) as refused:
            x.call(x.client(account, HTTP).search_recent_tweets, query)
        assert refused.value.reason is Reason.bad_request, query


@pytest.mark.parametrize(
    "status, body", [(204, ""), (201, "<html>"), (201, "{}"), (201, "[]"), (201, '{"data": null}')]
)
def test_a_yes_without_an_id_leaves_it_open(status: int, body: str) -> None:
    app = Flask("a-strange-yes")
    app.add_url_rule("/2/tweets", "create", lambda: Response(body, status), methods=["POST"])
    with serving(app) as base:
        account = TwitterAccount.model_validate(X().account("storby-x", base))
        with pytest.raises(ReplyUncertain):
            replier(account, HTTP).send(outgoing("Hej!", "1"))


# -- hiding what others wrote -----------------------------------------------------------------------------------------


def test_an_answer_under_our_post_is_hidden_and_shown_again(network: X, us: TwitterReplier) -> None:
    wrote = network.write("Bo", "@storby skitprat", in_reply_to=network.write_as_us("Vi plogar"))
    for hidden in (True, True, False, False):
        us.hide(wrote, {"tweet": wrote}, hidden)
        assert (wrote in network.hidden) is hidden
    assert network.requests[-1] == f"PUT /2/tweets/{wrote}/hidden"


def test_hiding_is_refused_where_we_did_not_begin_and_where_nothing_is(network: X, us: TwitterReplier) -> None:
    theirs = network.write("Bo", "@storby skitprat", in_reply_to=network.write("Anna", "Snö!"))
    for number, reason in ((theirs, Reason.forbidden), ("12345", Reason.gone)):
        with pytest.raises(ChannelError) as caught:
            us.hide(number, {"tweet": number}, True)
        assert (caught.value.reason, caught.value.permanent) == (reason, True)
    assert network.hidden == set()
    assert x.HIDES.why_not({}, False) == "not_our_conversation"
    assert x.HIDES.why_not({}, True) is None
