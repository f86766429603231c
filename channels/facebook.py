"""Facebook pages, through the Graph API with facebook-sdk.

The SDK is of 2018 and leaves much to its caller: it refuses to be made with a version that still exists, looks at
neither the HTTP status nor the headers, falls over an answer without a Content-Type, knows no app secret proof, and
puts the token into the query string. ``Graph`` sees to all of that, so that a call gives a dictionary or raises.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import requests
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from channels import Capabilities, Hides, Pictures
from errors import ChannelError, Reason
from outbound import Client

with warnings.catch_warnings():  # its source holds "\d" in a plain string, which Python tells whoever compiles it
    warnings.filterwarnings("ignore", message=r"(invalid escape sequence|\"\\d\" is an invalid escape sequence)")
    import facebook

# Its debug lines hold whole addresses, and so the token that the SDK puts into the query.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

# The Graph API counts calls over the hour and tells how much is left; there is no published figure for comments.
# A comment holds one picture. Facebook names no limit for its words.
PICTURES = Pictures(
    most=1, types=frozenset({"image/jpeg", "image/png", "image/gif"}), size=10_000_000, side=10_000, alt=1000
)


def _why_not_hidden(address: Mapping[str, Any], began: bool) -> str | None:
    if "comment" not in address:
        return "not_a_comment"
    return "network_refuses" if address.get("can_hide") is False else None


HIDES = Hides("author_and_friends", _why_not_hidden)
CAPABILITIES = Capabilities(
    limit=8000, private_limit=2000, count=len, pace=timedelta(seconds=6), once=True, pictures=PICTURES, hides=HIDES
)

# https://developers.facebook.com/docs/graph-api/guides/error-handling, and error codes of the Pages API
_REASONS: Mapping[int, Reason] = {
    1: Reason.unavailable,
    2: Reason.unavailable,
    3: Reason.forbidden,
    4: Reason.rate_limited,  # of the app
    10: Reason.forbidden,
    17: Reason.rate_limited,  # of the user
    32: Reason.rate_limited,  # of the page
    100: Reason.bad_request,
    102: Reason.auth_expired,
    190: Reason.auth_expired,
    341: Reason.rate_limited,
    368: Reason.forbidden,  # blocked for a while because of Facebook's rules: a person decides
    506: Reason.bad_request,  # the same text twice in a row
    613: Reason.rate_limited,
    803: Reason.gone,
    80001: Reason.rate_limited,  # of the page, by business use case
}
UNKNOWN_ERRORS = frozenset({1, 2})  # Facebook itself does not know what happened
DUPLICATE = 506
_NOT_THERE = (100, 33)
_OUTSIDE_WINDOW = (10, 2018278)
_WHY: Mapping[tuple[int, int | None], str] = {
    (190, 458): "the app was removed from the account",
    (190, 459): "the person behind the token must log in to Facebook and pass a check",
    (190, 460): "the password was changed",
    (190, 463): "the token has expired",
    (190, 464): "the person behind the token is not confirmed",
    (190, 467): "the token is no longer valid",
    _OUTSIDE_WINDOW: "the time within which Facebook allows a private answer is over",
}


class FacebookAccount(BaseModel):
    """One of our pages. ``page_token`` is the page's own access token, not a person's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    channel: Literal["facebook"]
    page_id: str = Field(pattern=r"^\w+$")
    api_base: str = Field(default="https://graph.facebook.com", pattern=r"^https?://[^/?#]+(/[^?#]*)?$")
    api_version: str = Field(default="v26.0", pattern=r"^v\d{1,2}\.\d{1,2}$")
    page_token: SecretStr = Field(min_length=1)
    app_secret: SecretStr | None = None


class GraphError(ChannelError):
    """A call failed. ``code`` and ``subcode`` are Facebook's own; ``code`` is None where it gave no error it understood
    itself: a page for people, an empty answer, half an answer."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        code: int | None = None,
        subcode: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        self.code, self.subcode = code, subcode
        super().__init__(reason, message, retry_at=retry_at)


class Graph:
    """Calls to the Graph API as one page. Not shared between threads: it remembers the last answer's headers."""

    def __init__(self, account: FacebookAccount, http: Client) -> None:
        self.account = account
        self._session = _Session(account, http)
        self._api = facebook.GraphAPI(account.page_token.get_secret_value(), session=self._session)
        self._api.version = account.api_version  # its constructor knows no version that is still served

    def get(self, path: str, **args: str) -> dict[str, Any]:
        """Read ``/{path}``. Raises ``GraphError``, ``outbound.NotSent``, ``outbound.NoAnswer``."""
        return self._call(path, args=args)

    def post(self, path: str, **data: str) -> dict[str, Any]:
        """Write to ``/{path}``. Raises as ``get``; what it means for the outcome is the caller's to say."""
        return self._call(path, post_args=data)

    def upload(self, path: str, body: bytes, media_type: str, **data: str) -> dict[str, Any]:
        """Write a file to ``/{path}``. Raises as ``get``."""
        return self._call(path, post_args=data, files={"source": ("picture", body, media_type)}, method="POST")

    def page(self, path: str, **args: str) -> tuple[list[Any], dict[str, str] | None]:
        """One page of a list, and what to ask for to get the next one (None: there is none). Raises as ``get``.

        Facebook names the next page as a URL. Only its query is followed: neither its host nor the token in it.
        """
        answer = self.get(path, **args)
        items = answer.get("data")
        if not isinstance(items, list):
            raise GraphError(Reason.bad_payload, f"Facebook answered /{path} with something that is not a list.")
        full = len(items) >= int(args.get("limit", len(items) + 1))
        return items, _next_page(answer.get("paging"), full=full)

    def pages(self, path: str, **args: str) -> Iterator[list[Any]]:
        """The items of a list, page by page. Raises as ``get``, and where the list never ends."""
        seen: list[dict[str, str]] = []
        while args not in seen:
            seen.append(args)
            items, following = self.page(path, **args)
            yield items
            if following is None:
                return
            args = {**args, **following}
        raise GraphError(Reason.bad_payload, f"Facebook's pages of /{path} lead in a circle.")

    def without_secrets(self, text: str) -> str:
        """The text without our token, which Facebook repeats in error messages and in links to the next page."""
        for secret in self._session.secrets:
            text = text.replace(secret, "…")
        return re.sub(r"(access_token|appsecret_proof)=[^&\s\"]+", r"\1=…", text)

    def _call(self, path: str, **how: Any) -> dict[str, Any]:
        self._refuse_when_used_up()
        try:
            answer = self._api.request(f"{self._api.version}/{path}", **how)
        except facebook.GraphAPIError as error:
            raise self._understood(error.result) from None
        if not isinstance(answer, dict) or self._session.last.status_code >= 400:
            raise self._understood(answer)
        return answer

    def _refuse_when_used_up(self) -> None:
        """Stop before Facebook stops us: going on at 100 % makes the ban longer. Said once, then tried again."""
        usage, self._session.usage = self._session.usage, None
        if usage is not None and usage.percent >= 100:
            raise GraphError(
                Reason.rate_limited, f"Facebook's allowance is used up ({usage.percent:.0f} %).", retry_at=usage.ends_at
            )

    def _understood(self, answer: Any) -> GraphError:
        error = answer.get("error") if isinstance(answer, dict) else None
        status = self._session.last.status_code
        if not isinstance(error, dict):
            if status == 401:
                return GraphError(Reason.auth_expired, "Facebook refused the token (HTTP 401).")
            if status == 429:
                return GraphError(Reason.rate_limited, "Facebook wants fewer calls.", retry_at=self._session.ends_at)
            if status >= 500:
                return GraphError(Reason.unavailable, f"Facebook is not well (HTTP {status}).")
            return GraphError(Reason.bad_payload, f"Facebook's answer cannot be understood (HTTP {status}).")
        code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
        reason = _reason(code, subcode, status, transient=error.get("is_transient") is True)
        said = self.without_secrets(str(error.get("message") or "it gave no reason"))[:500]
        number = "/".join(str(part) for part in (code, subcode) if part is not None)
        why = _WHY.get((code or 0, subcode))
        message = f"Facebook says no{f' ({number})' if number else ''}: {f'{why}. ' if why else ''}{said}"
        retry_at = self._session.ends_at if reason is Reason.rate_limited else None
        return GraphError(reason, message, code=code, subcode=subcode, retry_at=retry_at)


def probe(account: FacebookAccount, http: Client) -> str:
    """Log in and give the page's name. Raises ``ChannelError``, also when the token is of another page."""
    me = Graph(account, http).get("me", fields="id,name")
    if str(me.get("id")) != account.page_id:
        raise ChannelError(
            Reason.forbidden,
            f"The token belongs to {me.get('name')} ({me.get('id')}), not to page {account.page_id}: "
            "page_token must be the token of that page.",
        )
    return str(me.get("name") or account.page_id)


class _Usage:
    """How much of the allowance is used, in percent, and when it is there again where Facebook tells it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.percent, minutes = 0.0, 0.0
        for name in ("X-App-Usage", "X-Page-Usage", "X-Business-Use-Case-Usage"):
            for entry in _usage_entries(headers.get(name)):
                for key, value in entry.items():
                    if not isinstance(value, int | float):
                        continue
                    if key == "estimated_time_to_regain_access":
                        minutes = max(minutes, value)
                    else:
                        self.percent = max(self.percent, value)
        self.ends_at = datetime.now(UTC) + timedelta(minutes=min(minutes, 7 * 24 * 60)) if minutes else None


class _Session:
    """What the SDK is given for a ``requests.Session``: the guarded one, plus what the SDK does not do."""

    def __init__(self, account: FacebookAccount, http: Client) -> None:
        base = facebook.FACEBOOK_GRAPH_URL.rstrip("/")
        self._session = http.session({base: account.api_base.rstrip("/")})
        token = account.page_token.get_secret_value()
        self.secrets = [token]
        self._proof: str | None = None
        if account.app_secret is not None:
            secret = account.app_secret.get_secret_value()
            self._proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            self.secrets += [secret, self._proof]
        self.last = requests.Response()
        self.usage: _Usage | None = None
        self.ends_at: datetime | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str],
        data: Mapping[str, str] | None,
        files: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> requests.Response:
        # What else the SDK passes is None (time-out, proxies), and must not undo what the session sees to.
        if self._proof is not None and data:
            data = {**data, "appsecret_proof": self._proof}
        elif self._proof is not None:
            params = {**params, "appsecret_proof": self._proof}
        # The API never redirects, and a token in a query must not travel on.
        response = self._session.request(method, url, params=params, data=data, files=files, allow_redirects=False)
        # The SDK believes the Content-Type, which may be missing or wrong; the body tells.
        response.headers["content-type"] = "application/json" if _is_json(response) else "text/html"
        self.last = response
        self.usage = _Usage(response.headers)
        self.ends_at = self.usage.ends_at
        return response


def _is_json(response: requests.Response) -> bool:
    try:
        response.json()
    except (ValueError, RecursionError):
        return False
    return True


def _usage_entries(header: str | None) -> Iterator[Mapping[str, Any]]:
    """``{"call_count": 28, …}``, or by business ``{"<id>": [{"type": "pages", "call_count": …}]}``."""
    try:
        usage = json.loads(header or "{}")
    except ValueError:
        return
    if not isinstance(usage, dict):
        return
    yield usage
    for entries in usage.values():
        yield from (entry for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()


def _next_page(paging: Any, *, full: bool) -> dict[str, str] | None:
    """What to ask for to get the next page, None at the end: Facebook leaves out ``next`` there.

    After a ``full`` page a cursor alone will do: better one empty page more than one that nobody read.
    """
    if not isinstance(paging, dict):
        return None
    cursors = paging.get("cursors")
    if not isinstance(paging.get("next"), str):
        after = cursors.get("after") if full and isinstance(cursors, dict) else None
        return {"after": after} if isinstance(after, str) and after else None
    query = dict(parse_qsl(urlsplit(paging["next"]).query))
    following = {key: value for key, value in query.items() if key not in ("access_token", "appsecret_proof")}
    if not following.keys() & {"after", "until", "offset", "__paging_token"} and isinstance(cursors, dict):
        following["after"] = str(cursors.get("after"))
    return following


def _reason(code: int | None, subcode: int | None, status: int, *, transient: bool) -> Reason:
    if (code, subcode) == _NOT_THERE:
        return Reason.gone
    if code is not None and 200 <= code <= 299:
        return Reason.forbidden
    if code is not None and code in _REASONS:
        return _REASONS[code]
    if transient or status >= 500:
        return Reason.unavailable
    return Reason.auth_expired if status == 401 else Reason.bad_request


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
