"""The real collector of X over the wire: against the look-alike, and against single answers that go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response, request
from pydantic import ValidationError

import outbound
from channels.twitter import TwitterAccount, probe
from collectors.base import Batch, Collector, Cursor, MentionData
from collectors.twitter import mentions, search
from errors import ChannelError, CollectError, Reason
from sandbox.base import Fault, serving
from sandbox.twitter import Loaded, X, snowflake
from settings import SourceSettings

NOW = datetime.now(UTC).replace(microsecond=0)
HTTP = outbound.Client(allow_private_networks=True)
Make = Callable[[SourceSettings, TwitterAccount, outbound.Client], Collector]


def a_source(query: str | None = None) -> SourceSettings:
    return SourceSettings(name="x", account="storby-x", collect="search" if query else "mentions", query=query)


@pytest.fixture
def network() -> X:
    return X()


@pytest.fixture
def account(network: X) -> Iterator[TwitterAccount]:
    with serving(network.app) as base:
        yield TwitterAccount.model_validate(network.account("storby-x", base))


def one_pass(
    account: TwitterAccount,
    cursor: Cursor | None = None,
    *,
    make: Make = mentions,
    query: str | None = None,
    since: datetime | None = None,
    now: datetime | None = None,
) -> list[Batch]:
    collector = make(a_source(query), account, HTTP)
    return list(collector.collect(cursor, since=since, now=now or datetime.now(UTC)))


def found(batches: list[Batch]) -> list[MentionData]:
    return [mention for batch in batches for mention in batch.mentions]


def ids(batches: list[Batch]) -> list[str]:
    return [mention.external_id for mention in found(batches)]


# -- what a mention looks like --------------------------------------------------------------------------------------


def test_it_reads_a_conversation_as_people_see_it(network: X, account: TwitterAccount) -> None:
    asked = network.write(
        "Anna Åberg", "@storby är bron <stängd> & hur länge? storby.se/bro", at=NOW - timedelta(hours=2)
    )
    answered = network.write_as_us("Till midnatt.", in_reply_to=asked, at=NOW - timedelta(hours=1))
    thanked = network.write("Anna Åberg", "Tack!", in_reply_to=answered, at=NOW)

    first, second, third = found(one_pass(account))

    assert first.external_id == asked and second.external_id == answered and third.external_id == thanked
    assert first.text == "@storby är bron <stängd> & hur länge? http://storby.se/bro"
    assert first.author is not None and (first.author.name, first.author.handle) == ("Anna Åberg", "AnnaAberg")
    assert first.url == f"https://x.com/AnnaAberg/status/{asked}"
    assert first.published_at == NOW - timedelta(hours=2)
    assert (first.in_reply_to, second.in_reply_to, third.in_reply_to) == (None, asked, answered)
    assert {mention.thread for mention in (first, second, third)} == {asked}
    assert [mention.ours for mention in (first, second, third)] == [False, True, False]
    assert not any(mention.context for mention in (first, second, third))
    assert [mention.can_reply for mention in (first, second, third)] == [True, False, True]
    assert first.reply_address == {"tweet": asked}
    assert not isinstance(first.raw, str) and first.raw["id"] == asked


def test_a_search_finds_strangers_who_cannot_be_answered(network: X, account: TwitterAccount) -> None:
    stranger = network.write("Bo", "Ingen plogar i Storby kommun")
    network.write("Cilla", "Storby är fint")
    (mention,) = found(one_pass(account, make=search, query='"storby kommun" -is:retweet'))
    assert mention.external_id == stranger
    assert (mention.can_reply, mention.can_reply_reason) == (False, "not_summoned")


def test_who_locked_the_account_cannot_be_answered(network: X, account: TwitterAccount) -> None:
    network.person("Dag").protected = True
    network.write("Dag", "@storby hej")
    (mention,) = found(one_pass(account))
    assert (mention.can_reply, mention.can_reply_reason) == (False, "protected")


def test_a_quote_of_ours_can_be_answered_and_carries_it(network: X, account: TwitterAccount) -> None:
    ours = network.write_as_us("Simhallen öppnar lördag.")
    quote = network.write("Eva", "Äntligen!", quote=ours)
    batches = one_pass(account, make=search, query="äntligen")
    context, mention = found(batches)
    assert (context.external_id, context.context, context.ours) == (ours, True, True)
    assert mention.external_id == quote and mention.can_reply and mention.text == "Äntligen!"
    (attached,) = mention.attachments
    assert (attached.type, attached.text, attached.author) == ("quote", "Simhallen öppnar lördag.", "storby")


def test_a_picture_comes_with_its_words(network: X, account: TwitterAccount) -> None:
    network.write("Fia", "@storby titta", media=[("https://pbs.example/hal.jpg", "Ett hål i vägen")])
    (mention,) = found(one_pass(account))
    assert mention.text == "@storby titta"
    (attached,) = mention.attachments
    assert (attached.type, attached.url, attached.text) == ("photo", "https://pbs.example/hal.jpg", "Ett hål i vägen")


def test_a_repost_is_spread_of_its_original(network: X, account: TwitterAccount) -> None:
    original = network.write("Gun", "@storby mörkt på Ågatan")
    copy = network.repost("Hans", original)
    mention = next(mention for mention in found(one_pass(account)) if mention.external_id == copy)
    assert mention.repost and mention.in_reply_to == original and not mention.can_reply


def test_the_message_above_is_brought_along_before_it(network: X, account: TwitterAccount) -> None:
    above = network.write("Ida", "Vägen är hal")
    below = network.write("Jan", "@storby se här", in_reply_to=above)
    first, second = found(one_pass(account))
    assert (first.external_id, first.context) == (above, True)
    assert (second.external_id, second.context, second.in_reply_to) == (below, False, above)


def test_who_joins_the_conversation_is_heard_too(network: X, account: TwitterAccount) -> None:
    asked = network.write("Ida", "@storby vägen är hal")
    joined = network.write("Jan", "Här med", in_reply_to=asked)
    cursor = one_pass(account)[-1].cursor
    back = network.write("Ida", "Tack Jan", in_reply_to=joined)
    above, mention = found(one_pass(account, cursor))
    assert (above.external_id, above.context) == (joined, True)
    assert (mention.external_id, mention.text, mention.can_reply) == (back, "@Jan @storby Tack Jan", True)


def test_a_deleted_message_above_is_no_obstacle(network: X, account: TwitterAccount) -> None:
    above = network.write("Ida", "Vägen är hal")
    below = network.write("Jan", "@storby se här", in_reply_to=above)
    network.delete(above)
    assert ids(one_pass(account)) == [below]


def test_an_edited_post_knows_its_earlier_ids_and_first_time(network: X, account: TwitterAccount) -> None:
    first = network.write("Kim", "@storby hjäpl", at=NOW - timedelta(minutes=20))
    cursor = one_pass(account)[-1].cursor
    second = network.edit(first, "@storby hjälp", at=NOW)
    (mention,) = found(one_pass(account, cursor))
    assert (mention.external_id, mention.text, mention.earlier_ids) == (second, "@storby hjälp", (first,))
    assert (mention.published_at, mention.edited_at) == (NOW - timedelta(minutes=20), NOW)


def test_a_long_post_is_read_to_its_end(network: X, account: TwitterAccount) -> None:
    text = "@storby " + "snö " * 100 + "slut https://storby.example/lang"
    network.write("Lo", text)
    assert found(one_pass(account))[0].text == text


def test_it_reads_the_names_x_announced_just_as_well() -> None:
    told = []
    for newer in (False, True):
        network = X(newer_names=newer)
        above = network.write("Ida", "Vägen är hal", at=NOW)
        network.write("Jan", "@storby se här " + "x" * 300, in_reply_to=above, at=NOW + timedelta(seconds=1))
        edited = network.write("Kim", "@storby hjäpl", at=NOW + timedelta(seconds=2))
        network.edit(edited, "@storby hjälp", at=NOW + timedelta(seconds=3))
        with serving(network.app) as base:
            account = TwitterAccount.model_validate(network.account("storby-x", base))
            told.append(
                [(m.text, m.in_reply_to, m.context, len(m.earlier_ids), m.can_reply) for m in found(one_pass(account))]
            )
    assert told[0] == told[1]
    assert [row[2] for row in told[0]] == [True, False, False] and told[0][2][3] == 1


# -- passes and cursors ---------------------------------------------------------------------------------------------


def many(network: X, number: int, ago: timedelta = timedelta(hours=1)) -> list[str]:
    start = datetime.now(UTC) - ago
    posts = [
        Loaded(snowflake(start + timedelta(seconds=i)), f"p{i}", f"@storby nr {i}", start + timedelta(seconds=i))
        for i in range(number)
    ]
    network.load(posts)
    return [str(post.id) for post in posts]


def test_many_pages_come_oldest_first_and_the_second_pass_finds_nothing(network: X, account: TwitterAccount) -> None:
    everything = many(network, 250)
    batches = one_pass(account)
    assert ids(batches) == everything
    assert [len(batch.mentions) for batch in batches] == [100, 100, 50]
    network.requests.clear()
    again = one_pass(account, batches[-1].cursor)
    assert ids(again) == [] and len(again) == 1
    assert len(network.requests) == 2  # one page of mentions, one of our own


@pytest.mark.parametrize("fault", [Fault.reversed_pages, Fault.repeated_item, Fault.malformed_item])
def test_strange_lists_lose_nothing_and_repeat_nothing(network: X, account: TwitterAccount, fault: Fault) -> None:
    everything = many(network, 230)
    network.faults.on(fault)
    batches = one_pass(account)
    assert ids(batches) == everything
    set_aside = [item for batch in batches for item in batch.set_aside]
    assert bool(set_aside) == (fault is Fault.malformed_item)


def test_a_pass_cut_anywhere_goes_on_where_it_was(network: X, account: TwitterAccount) -> None:
    everything = many(network, 250)
    network.write_as_us("Vi läser allt.")
    everything.append(ids(one_pass(account))[-1])
    for stored in (0, 1, 2):
        batches = one_pass(account)[:stored]
        cursor = batches[-1].cursor if batches else None
        assert ids(batches) + ids(one_pass(account, cursor)) == everything, f"cut after {stored} batches"


def test_the_first_pass_reaches_back_as_far_as_asked(network: X, account: TwitterAccount) -> None:
    network.write("Old", "@storby gammalt", at=NOW - timedelta(days=3))
    new = network.write("New", "@storby nytt", at=NOW - timedelta(days=1))
    assert ids(one_pass(account, since=NOW - timedelta(days=2))) == [new]
    assert len(ids(one_pass(account, since=None))) == 2


def test_an_empty_first_pass_remembers_where_it_began(network: X, account: TwitterAccount) -> None:
    (empty,) = one_pass(account, since=NOW - timedelta(days=2))
    later = network.write("Max", "@storby medan vi var borta", at=NOW - timedelta(days=1))
    batches = one_pass(account, empty.cursor, since=NOW, now=NOW + timedelta(days=5))
    assert ids(batches) == [later]


def test_a_search_never_asks_for_more_than_a_week(network: X, account: TwitterAccount) -> None:
    network.write("Old", "snö", at=datetime.now(UTC) - timedelta(days=8))
    new = network.write("New", "snö", at=datetime.now(UTC) - timedelta(days=6))
    assert ids(one_pass(account, make=search, query="snö", since=NOW - timedelta(days=30))) == [new]
    stale = {"start": None, "search": str(snowflake(NOW - timedelta(days=20)))}
    assert ids(one_pass(account, stale, make=search, query="snö")) == [new]


def test_it_counts_what_was_read(network: X, account: TwitterAccount) -> None:
    asked = network.write("Nils", "@storby hej")
    network.write("Nils", "@storby hallå?")
    network.write_as_us("Hej!", in_reply_to=asked)
    spent = {charge.operation: charge for batch in one_pass(account) for charge in batch.charges}
    assert {name: charge.units for name, charge in spent.items()} == {
        "read_post": 2,
        "read_own_post": 1,
        "read_user": 2,
    }
    assert sum(charge.micro_usd for charge in spent.values()) == 2 * 5_000 + 1_000 + 2 * 10_000


def test_a_list_that_fails_takes_nothing_away_from_another(network: X, account: TwitterAccount) -> None:
    everything = many(network, 250)
    mine = network.write_as_us("Vi läser allt.")
    broken = ["/tweets", "/mentions"]
    network.app.before_request_funcs.setdefault(None, []).append(
        lambda: Response("", 403) if request.path.endswith(broken[0]) else None
    )
    stored = []
    with pytest.raises(CollectError) as failed:
        for batch in mentions(a_source(), account, HTTP).collect(None, since=None, now=NOW):
            stored.append(batch)
    assert failed.value.reason is Reason.forbidden
    assert ids(stored) == everything and sum(charge.units for batch in stored for charge in batch.charges) >= 250
    broken[0] = "/nothing"
    assert ids(one_pass(account, stored[-1].cursor)) == [mine]


def test_a_list_that_breaks_off_is_read_again_from_where_it_was(network: X, account: TwitterAccount) -> None:
    everything = many(network, 250)
    calls: list[str] = []

    def third_page() -> Response | None:
        calls.append(request.path)
        return Response("", 503) if len(calls) == 3 else None

    network.app.before_request_funcs.setdefault(None, []).append(third_page)
    collector = mentions(a_source(), account, HTTP).collect(None, since=None, now=NOW)
    stored = [next(collector)]
    with pytest.raises(CollectError):
        next(collector)
    assert ids(stored) == []
    assert ids(one_pass(account, stored[-1].cursor)) == everything


def test_what_was_read_before_a_failure_is_charged(network: X, account: TwitterAccount) -> None:
    everything = many(network, 5)
    collector = mentions(a_source(), account, HTTP)
    passing = collector.collect(None, since=None, now=NOW)
    taken = iter(passing)
    network.app.before_request_funcs.setdefault(None, []).append(
        lambda: Response("", 503) if request.path.endswith("/tweets") else None
    )
    batch = next(taken)
    assert ids([batch]) == everything and batch.charges[0].units == 5
    with pytest.raises(CollectError) as failed:
        next(taken)
    assert failed.value.reason is Reason.unavailable
    network.app.before_request_funcs.clear()
    assert ids(one_pass(account, batch.cursor)) == []


# -- what X says when it will not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault, reason, permanent",
    [
        (Fault.unauthorized, Reason.auth_expired, True),
        (Fault.out_of_credit, Reason.out_of_credit, False),
        (Fault.html_error, Reason.unavailable, False),
        (Fault.rate_limited, Reason.rate_limited, False),
        (Fault.rate_limited_silent, Reason.rate_limited, False),
    ],
)
def test_faults_are_told_apart(
    network: X, account: TwitterAccount, fault: Fault, reason: Reason, permanent: bool
) -> None:
    network.faults.on(fault)
    with pytest.raises(CollectError) as failed:
        one_pass(account)
    assert (failed.value.reason, failed.value.permanent) == (reason, permanent)
    assert len(network.requests) == 1, "nothing is retried within a pass"
    if fault is Fault.rate_limited:
        assert failed.value.retry_at is not None and failed.value.retry_at > NOW
    else:
        assert failed.value.retry_at is None


PROBLEM = "https://api.x.com/2/problems/"


@contextmanager
def answering(status: int, body: object, headers: dict[str, str] | None = None) -> Iterator[TwitterAccount]:
    """An X that gives this one answer to everything."""
    app = Flask("one-answer")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path: str) -> Response:
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        return Response(text, status, headers, content_type=kind)

    with serving(app) as base:
        yield TwitterAccount.model_validate(X().account("storby-x", base))


@pytest.mark.parametrize(
    "status, body, reason",
    [
        (400, {"errors": [{"message": "no"}], "title": "Invalid Request", "type": PROBLEM + "invalid-request"},
         Reason.bad_request),
        (400, "nonsense", Reason.bad_request),
        (401, {"title": "Unauthorized", "type": "about:blank", "status": 401}, Reason.auth_expired),
        (402, {"title": "CreditsDepleted", "type": PROBLEM + "credits"}, Reason.out_of_credit),
        (402, "", Reason.out_of_credit),
        (403, {"type": PROBLEM + "client-forbidden", "reason": "client-not-enrolled",
               "registration_url": "https://developer.example"}, Reason.forbidden),
        (403, {"type": PROBLEM + "unsupported-authentication", "detail": "app only"}, Reason.forbidden),
        (403, ["not", "an", "object"], Reason.forbidden),
        (404, {"errors": [{"detail": "no user"}], "title": "Not Found Error"}, Reason.gone),
        (409, {"title": "Conflict"}, Reason.bad_request),
        (410, "", Reason.gone),
        (429, {"type": "https://api.twitter.com/2/problems/usage-capped", "period": "Monthly", "scope": "Product"},
         Reason.out_of_credit),
        (429, {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}, Reason.rate_limited),
        (429, "", Reason.rate_limited),
        (500, "<h1>Oops</h1>", Reason.unavailable),
        (503, {"errors": [17]}, Reason.unavailable),
        (204, "", Reason.bad_payload),
        (200, "<html>log in</html>", Reason.bad_payload),
        (200, [], Reason.bad_payload),
        (200, {}, Reason.bad_payload),
        (200, {"data": {"id": "1"}, "meta": {}}, Reason.bad_payload),
        (200, {"errors": [{"type": PROBLEM + "resource-not-found", "detail": "no user"}]}, Reason.gone),
        (200, {"errors": [{"type": PROBLEM + "not-authorized-for-resource"}]}, Reason.forbidden),
        (200, {"data": [], "meta": {"result_count": 0, "next_token": "again"}}, Reason.bad_payload),  # a circle
    ],
)  # fmt: skip
def test_every_answer_has_its_reason(status: int, body: object, reason: Reason) -> None:
    with answering(status, body) as account, pytest.raises(CollectError) as failed:
        one_pass(account)
    assert failed.value.reason is reason
    assert account.bearer_token.get_secret_value() not in str(failed.value)


@pytest.mark.parametrize("value", ["soon", "", "99999999999999999999"])
def test_a_senseless_reset_is_no_reset(value: str) -> None:
    with answering(429, {}, {"x-rate-limit-reset": value}) as account, pytest.raises(CollectError) as failed:
        one_pass(account)
    assert failed.value.reason is Reason.rate_limited and failed.value.retry_at is None


def test_nobody_there_is_unavailable() -> None:
    with answering(200, {}) as account:
        pass
    with pytest.raises(CollectError) as failed:
        one_pass(account)
    assert failed.value.reason is Reason.unavailable


def a_post(number: object, **more: Any) -> dict[str, Any]:
    return {"id": number, "text": f"@storby {number}", "created_at": "2026-11-20T10:00:00.000Z", **more}


def test_odd_posts_are_read_or_set_aside_and_the_rest_goes_on() -> None:
    page = {
        "data": [
            a_post(1900000000000000105, author_id=77),  # numbers where texts should be, an unknown writer
            a_post("1900000000000000104", created_at="yesterday"),
            a_post("1900000000000000103", text=None) | {"text": None, "created_at": None},
            a_post("not-a-number"),
            "not even an object",
            a_post("1900000000000000102", referenced_tweets=[{"type": "replied_to"}]),
            a_post("1900000000000000101", surprising={"new": "field"}, entities=None, attachments=None),
        ],
        "includes": {"users": [None, {"name": "nobody"}]},
        "errors": [{"type": PROBLEM + "resource-not-found"}],
    }
    with answering(200, page) as account:
        batches = one_pass(account)
    assert ids(batches) == ["1900000000000000101", "1900000000000000105"]
    assert {item.external_id for batch in batches for item in batch.set_aside} == {
        None,
        "1900000000000000102",
        "1900000000000000103",
        "1900000000000000104",
    }
    author = found(batches)[1].author
    assert author is not None and (author.external_id, author.name, author.handle) == ("77", "77", None)
    assert found(batches)[1].url == "https://x.com/i/status/1900000000000000105"
    assert batches[-1].cursor["mentions"] == "1900000000000000105"


def test_a_page_without_posts_is_an_empty_page() -> None:
    with answering(200, {"meta": {"result_count": 0}}) as account:
        assert ids(one_pass(account)) == []


# -- the account ----------------------------------------------------------------------------------------------------


def test_probe_says_who_we_are(account: TwitterAccount) -> None:
    assert probe(account, HTTP) == "@storby"


def test_probe_notices_keys_of_somebody_else(account: TwitterAccount) -> None:
    with pytest.raises(ChannelError, match="not to user_id 42"):
        probe(account.model_copy(update={"user_id": "42"}), HTTP)


def test_wrong_keys_are_refused(network: X, account: TwitterAccount) -> None:
    other = TwitterAccount.model_validate(network.account("x", account.api_base) | {"access_token_secret": "wrong"})
    with pytest.raises(ChannelError) as failed:
        probe(other, HTTP)
    assert failed.value.reason is Reason.auth_expired


@pytest.mark.parametrize(
    "field, value", [("handle", "not a handle"), ("user_id", "storby"), ("api_base", "ftp://x"), ("unknown", 1)]
)
def test_a_wrong_account_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        TwitterAccount.model_validate(X().account("storby-x", "https://api.x.com") | {field: value})


def test_secrets_are_not_shown() -> None:
    made = X().account("storby-x", "https://api.x.com")
    assert made["bearer_token"] not in repr(TwitterAccount.model_validate(made | {"handle": "@storby", "user_id": 12}))


def test_without_the_own_timeline_a_search_finds_what_we_wrote(network: X, account: TwitterAccount) -> None:
    asked = network.write("Anna", "@storby när öppnar badet?")
    answer = network.write_as_us("Klockan åtta.", in_reply_to=asked)
    whole = network.app.wsgi_app

    def without_timeline(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].endswith("/2244994945/tweets"):
            start_response("404 Not Found", [("Content-Type", "text/html")])
            return [b"<h1>Not Found</h1>"]
        return whole(environ, start_response)

    network.app.wsgi_app = without_timeline  # type: ignore[method-assign]
    assert {mention.external_id: mention.ours for mention in found(one_pass(account))} == {asked: False, answer: True}
