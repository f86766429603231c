"""X: our account, the client, what its answers mean, how it counts a text, and what it costs.

The wire is API v2 through tweepy, which fixes the host and has no time-outs: the guarded session takes its place.
X is renaming "tweet" to "post" in its answers; everything read here goes through ``either``, which takes both.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import requests
import tweepy
from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

import outbound
from channels import Capabilities, Hides, Pictures
from errors import ChannelError, Reason

JSON = Mapping[str, Any]

for _name in ("tweepy", "oauthlib", "requests_oauthlib"):
    logging.getLogger(_name).setLevel(logging.INFO)  # at DEBUG they write keys and whole answers into the log


def _handle(value: str) -> str:
    value = value.removeprefix("@")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,15}", value):
        raise ValueError("an X handle has 1 to 15 letters, digits and underscores")
    return value


def _base(value: str) -> str:
    if not re.match(r"https?://[^/]", value):
        raise ValueError("write an address such as https://api.x.com")
    return value.rstrip("/")


class TwitterAccount(BaseModel):
    """One of our logins on X. ``user_id`` is the number X knows it by: it decides what counts as ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    name: str
    channel: Literal["twitter"] = "twitter"
    handle: Annotated[str, AfterValidator(_handle)]
    user_id: Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
    api_base: Annotated[str, AfterValidator(_base)] = "https://api.x.com"
    bearer_token: SecretStr
    consumer_key: SecretStr
    consumer_secret: SecretStr
    access_token: SecretStr
    access_token_secret: SecretStr
    monthly_budget_usd: Annotated[float, Field(gt=0)] | None = None


def client(account: TwitterAccount, http: outbound.Client) -> tweepy.Client:
    """A tweepy client that talks to ``account.api_base`` through the guarded session and never sleeps."""
    made = tweepy.Client(
        bearer_token=account.bearer_token.get_secret_value(),
        consumer_key=account.consumer_key.get_secret_value(),
        consumer_secret=account.consumer_secret.get_secret_value(),
        access_token=account.access_token.get_secret_value(),
        access_token_secret=account.access_token_secret.get_secret_value(),
        return_type=dict,
        wait_on_rate_limit=False,  # it would recurse without end on a 429 that names no reset
    )
    base = account.api_base
    made.session = http.session(rewrite={"https://api.twitter.com": base, "https://api.x.com": base})
    return made


def probe(account: TwitterAccount, http: outbound.Client) -> str:
    """Log in as the account and say who X thinks we are. Raises ``ChannelError``."""
    me = call(client(account, http).get_me, user_auth=True).get("data")
    if not isinstance(me, Mapping) or not me.get("username"):
        raise ChannelError(Reason.bad_payload, "X does not say whose keys these are.")
    if str(me.get("id")) != account.user_id:
        raise ChannelError(
            Reason.auth_expired,
            f"The keys belong to @{me['username']} with user_id {me.get('id')}, not to user_id {account.user_id}.",
        )
    return f"@{me['username']}"


# -- calls and what their answers mean ------------------------------------------------------------------------------


class Duplicate(ChannelError):
    """X says the same text stands there already. It does not say where, so somebody has to look."""


def call(method: Callable[..., Any], *args: Any, **kwargs: Any) -> JSON:
    """Call a method of tweepy's client; the answer as JSON.

    Raises ``ChannelError``: ``outbound.NotSent`` and ``outbound.NoAnswer`` as they come, otherwise the reason X gave.
    """
    try:
        answer = method(*args, **kwargs)
    except tweepy.HTTPException as error:
        raise failure(error.response) from None
    except (ValueError, TypeError, AttributeError):
        # tweepy takes every body to be the JSON object it expects, also that of an error
        response = getattr(method.__self__.session, "last_response", None)  # type: ignore[attr-defined]
        if response is None:
            raise  # nothing was answered, so it is our own mistake
        raise failure(response) from None
    if not isinstance(answer, Mapping):
        raise ChannelError(Reason.bad_payload, "X answered with something that is not a JSON object.")
    return answer


def upload(client: tweepy.Client, body: bytes, media_type: str, alt: str) -> str:
    """Hand X a picture with what it shows in words; its id, to be named by a post within a day. Raises as ``call``."""
    told = {"media_category": "tweet_image", "media_type": media_type}
    answer = _post(client, "/2/media/upload", data=told, files={"media": ("picture", body, media_type)})
    data = answer.get("data")
    if not isinstance(data, Mapping) or not data.get("id"):
        raise ChannelError(Reason.bad_payload, "X gave no id for a picture.")
    number = str(data["id"])
    _post(client, "/2/media/metadata", json={"id": number, "metadata": {"alt_text": {"text": alt}}})
    return number


def _post(client: tweepy.Client, path: str, **how: Any) -> JSON:
    """What tweepy has no method for, signed as it does."""
    keys = (client.consumer_key, client.consumer_secret, client.access_token, client.access_token_secret)
    signed = tweepy.OAuth1UserHandler(*keys).apply_auth()
    response = client.session.post(f"https://api.twitter.com{path}", auth=signed, **how)
    if response.status_code >= 400:
        raise failure(response)
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, Mapping):
        raise failure(response)
    return answer


def failure(response: requests.Response) -> ChannelError:
    """What an answer that is not the one hoped for means."""
    status = response.status_code
    problem = _problem(response)
    kind = str(problem.get("type") or "").rstrip("/").rpartition("/")[2]  # the prefix differs between X's own texts
    words = [str(problem[key]).strip() for key in ("title", "detail", "message") if problem.get(key)]
    said = ". ".join(dict.fromkeys(word.rstrip(".") for word in words))[:300]  # title and detail are often the same
    quoted = f" X says: {said}" if said else ""
    detail = said.lower()
    if status == 401:
        return ChannelError(Reason.auth_expired, f"X does not accept our keys any more: make new ones.{quoted}")
    if status == 402 or kind == "credits":
        return ChannelError(Reason.out_of_credit, f"The X account has no credit left, or reached its limit.{quoted}")
    if status == 403 and "duplicate" in detail:
        return Duplicate(Reason.forbidden, f"X says we have posted the same text already.{quoted}")
    if status == 403 and "deleted or not visible" in detail:
        return ChannelError(Reason.gone, f"The post to answer is gone or hidden from us.{quoted}")
    if kind == "client-forbidden":
        where = problem.get("registration_url")
        help_ = f" Enrol it at {where}." if isinstance(where, str) else " Enrol it in X's developer portal."
        return ChannelError(
            Reason.forbidden, f"X does not let our app do this ({problem.get('reason')}).{help_}{quoted}"
        )
    if kind == "unsupported-authentication":
        return ChannelError(Reason.forbidden, f"X wants other keys for this: those of the user, not the app.{quoted}")
    if status == 403 or kind in {"not-authorized-for-resource", "not-authorized-for-field"}:
        return ChannelError(Reason.forbidden, f"X does not allow this.{quoted}")
    if status in (404, 410) or kind == "resource-not-found":
        return ChannelError(Reason.gone, f"X does not have it (any more).{quoted}")
    if kind == "usage-capped":
        cap = f"{problem.get('period') or ''} {problem.get('scope') or ''}".strip().lower()
        return ChannelError(Reason.out_of_credit, f"The {cap or 'usage'} cap of the X account is used up.{quoted}")
    if status == 429:
        retry_at = _reset(response.headers)
        until = f" until {retry_at:%H:%M:%S} UTC" if retry_at else ""
        return ChannelError(Reason.rate_limited, f"X asks us to wait{until}.", retry_at=retry_at)
    if status >= 500:
        return ChannelError(Reason.unavailable, f"X is not well (status {status}).")
    if status >= 400:
        return ChannelError(Reason.bad_request, f"X refuses what we asked (status {status}).{quoted}")
    return ChannelError(Reason.bad_payload, f"X answered {status} with something that is not JSON.")


def _problem(response: requests.Response) -> JSON:
    """The problem in an answer, whatever its shape; empty when it has none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    if not isinstance(body, Mapping):
        return {}
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    return {**first, **{key: value for key, value in body.items() if value}}


def _reset(headers: Mapping[str, str]) -> datetime | None:
    """When we may come back: the end of the latest window that is used up; None when X names none."""
    windows = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")
    spent = [window for window in windows if headers.get(f"{window}-remaining") == "0"]
    ends = []
    for window in spent or windows[:1]:
        try:
            ends.append(datetime.fromtimestamp(int(headers[f"{window}-reset"]), UTC))
        except (KeyError, ValueError, OverflowError, OSError):
            continue
    return max(ends, default=None)


def pages(method: Callable[..., Any], *args: Any, next_as: str = "pagination_token", **params: Any) -> Iterator[JSON]:
    """Every page of a list, as X sends them; ``next_as`` is how the next page is asked for. Raises ``ChannelError``."""
    seen: set[str] = set()
    while True:
        page = call(method, *args, **params)
        posts, errors, meta = page.get("data"), page.get("errors"), page.get("meta")
        if posts is None and meta is None:
            problem = errors[0] if isinstance(errors, list) and errors else None
            raise _instead(problem if isinstance(problem, Mapping) else {})
        if posts is not None and not isinstance(posts, list):
            raise ChannelError(Reason.bad_payload, "X answered with something that is not a list of posts.")
        yield page
        following = meta.get("next_token") if isinstance(meta, Mapping) else None
        if not following:
            return
        if following in seen:
            raise ChannelError(Reason.bad_payload, "X leads from one page back to an earlier one, without end.")
        seen.add(following)
        params[next_as] = following


def _instead(problem: JSON) -> ChannelError:
    """X gives a 200 with nothing but errors where a user or post is gone, suspended or private."""
    kind = str(problem.get("type") or "").rpartition("/")[2]
    reason = {
        "resource-not-found": Reason.gone,
        "not-authorized-for-resource": Reason.forbidden,
    }.get(kind, Reason.bad_payload)
    return ChannelError(reason, f"X gives no posts. It says: {str(problem.get('detail') or 'nothing')[:300]}")


# -- reading a post -------------------------------------------------------------------------------------------------


def either(item: JSON, tweet_name: str) -> Any:
    """A field under its name of today or the one X announced: ``referenced_tweets`` or ``referenced_posts``."""
    if tweet_name in item:
        return item[tweet_name]
    return item.get(tweet_name.replace("retweet", "repost").replace("tweet", "post"))


def references(post: JSON) -> dict[str, str]:
    """What a post refers to: type (``replied_to``, ``quoted``, ``retweeted``) -> id."""
    found: dict[str, str] = {}
    for reference in either(post, "referenced_tweets") or ():
        kind = "retweeted" if reference["type"] == "reposted" else str(reference["type"])
        found.setdefault(kind, str(reference["id"]))
    return found


def entities(post: JSON, kind: str) -> list[JSON]:
    """The entities of that kind (``urls``, ``mentions``), also those beyond the first 280 characters."""
    long = either(post, "note_tweet") or {}
    found: list[JSON] = []
    for holder in (post, long):
        found += ((holder.get("entities") or {}).get(kind)) or []
    return found


def names(post: JSON, handle: str, user_id: str) -> bool:
    """Whether the post mentions that user with @."""
    if not post.get("entities"):
        return re.search(rf"(?<![A-Za-z0-9_@])@{handle}(?![A-Za-z0-9_])", str(post["text"]), re.IGNORECASE) is not None
    return any(
        str(mention.get("username")).lower() == handle.lower() or str(mention.get("id")) == user_id
        for mention in entities(post, "mentions")
    )


def readable(post: JSON) -> str:
    """The whole text as a person reads it: links as they lead, without the links to its own pictures and quote."""
    text = str((either(post, "note_tweet") or {}).get("text") or post["text"])
    quoted = references(post).get("quoted")
    for link in entities(post, "urls"):
        shown, target = link.get("url"), link.get("unwound_url") or link.get("expanded_url")
        if not shown or not target:
            continue
        hanging = re.search(rf"/status/({quoted}$|\d+/(photo|video)/\d+$)", str(target)) or "media_key" in link
        text = text.replace(str(shown), "" if hanging else str(target))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def post_url(post_id: str, handle: str | None) -> str:
    """Where people see a post; X finds it without knowing its writer too."""
    return f"https://x.com/{handle or 'i'}/status/{post_id}"


# -- money: millionths of a US dollar, pay per use since February 2026; a resource is billed once per UTC day --------

PRICES: Mapping[str, int] = {
    "read_post": 5_000,
    "read_own_post": 1_000,
    "read_user": 10_000,
    "create_post": 15_000,
    "create_post_with_link": 200_000,
    "summoned_reply": 10_000,
    "delete_post": 10_000,
}


# -- length, as twitter-text's configuration v3 counts it -----------------------------------------------------------

LIMIT = 280
_LINK_LENGTH = 23
_LINKS = LinkifyIt().tlds(TLDS)
_SIGN = (  # one emoji: a pair of flag letters, a key, a symbol with its variation or skin colour
    "(?:[\U0001f1e6-\U0001f1ff]{2}"
    "|[0-9#*]\ufe0f?\u20e3"
    "|\U0001f3f4[\U000e0061-\U000e007a]+\U000e007f"
    "|[\u00a9\u00ae]\ufe0f"
    "|[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]\ufe0f?[\U0001f3fb-\U0001f3ff]?)"
)
_EMOJI = re.compile(f"{_SIGN}(?:\u200d{_SIGN})*")


def links(text: str) -> list[tuple[int, int]]:
    """Where the text holds what X makes a link of, bare domains included: (start, end) pairs."""
    found = _LINKS.match(text) or []
    return [(link.index, link.last_index) for link in found if link.schema in ("", "http:", "https:")]


def length(text: str) -> int:
    """How long X finds a text: a link is 23, an emoji 2, a character of the Latin and nearby scripts 1, others 2."""
    text = unicodedata.normalize("NFC", text)
    total = position = 0
    for start, end in links(text):
        total += _plain_length(text[position:start]) + _LINK_LENGTH
        position = end
    return total + _plain_length(text[position:])


def _plain_length(text: str) -> int:
    rest, emoji = _EMOJI.subn("", text)
    return 2 * emoji + sum(1 if _light(ord(character)) else 2 for character in rest)


def _light(code: int) -> bool:
    return code <= 0x10FF or 0x2000 <= code <= 0x200D or 0x2010 <= code <= 0x201F or 0x2032 <= code <= 0x2037


def warn(text: str) -> str | None:
    """A link makes a post many times as dear: say so before it is sent."""
    return "X charges 0.20 USD for an answer with a link in it, and 0.01 USD without." if links(text) else None


def price(text: str) -> int:
    """What an answer with this text costs, in millionths of a US dollar."""
    return PRICES["create_post_with_link" if links(text) else "summoned_reply"]


# X takes 100 posts of an account within 15 minutes (POST /2/tweets): some are left for people who answer one by one.
PACE = timedelta(minutes=15) / 80
PICTURES = Pictures(
    most=4, types=frozenset({"image/jpeg", "image/png", "image/webp"}), size=5_000_000, side=8192, alt=1000
)
# Only who began a conversation may hide what others say in it, and only behind "View hidden replies".
HIDES = Hides("a_click_away", lambda address, began: None if began else "not_our_conversation")
CAPABILITIES = Capabilities(
    limit=LIMIT, count=length, warn=warn, price=price, pace=PACE, once=True, pictures=PICTURES, hides=HIDES
)
