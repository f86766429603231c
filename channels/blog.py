"""Blogs: our login on a WordPress site, and how its REST API answers (observed on 6.1.9)."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from channels import Capabilities, Hides
from errors import ChannelError, Reason
from outbound import Client, Fetched

# A comment that waits for a moderator again: who writes for the site sees it in its administration, and nobody else.
HIDES = Hides("moderators", lambda address, began: None if isinstance(address.get("parent"), int) else "not_a_comment")
CAPABILITIES = Capabilities(limit=None, count=len, hides=HIDES)

PER_PAGE = 100  # the most WordPress gives
LONGEST_WAIT = 24 * 3600.0  # seconds
TIME = "%Y-%m-%dT%H:%M:%S"
_WRONG_LOGIN = (
    "application_passwords_disabled",
    "application_passwords_disabled_for_user",
    "incorrect_password",
    "invalid_email",
    "invalid_username",
    "rest_comment_login_required",
    "rest_not_logged_in",  # also where the web server does not hand the password on
)
_REFUSED_BY_CORE = ("rest_comment_", "rest_cannot_read", "rest_cannot_create", "rest_post_", "rest_user_")


class BlogAccount(BaseModel):
    """A user of ours on a WordPress site, with an application password (Users, Profile, Application Passwords)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    channel: Literal["blog"] = "blog"
    site: str
    username: str
    application_password: SecretStr

    @field_validator("site")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("write the site's address, such as https://blogg.storby.example")
        return value.rstrip("/")


def site_key(address: str) -> str:
    """``HOST[:PORT][/PATH]`` of a site: what its comments' external ids begin with."""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    port = "" if parts.port in (None, 80 if parts.scheme == "http" else 443) else f":{parts.port}"
    return f"{host}{port}{parts.path.rstrip('/')}"


def comment_id(site: str, number: int | str) -> str:
    """A comment's external id, the same whether it came by REST or by feed."""
    return f"{site_key(site)}/comment/{number}"


def instant(value: str) -> datetime:
    """A ``date_gmt``: UTC without saying so. Raises ``ValueError``."""
    found = datetime.fromisoformat(value)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class NoRest(ChannelError):
    """The site has no REST API, or not for us. Nothing was read or written."""


class WordPress:
    """One site's REST API, as our user or as anybody. Errors come as ``ChannelError``."""

    def __init__(self, http: Client, site: str, account: BlogAccount | None = None) -> None:
        self.http = http
        self.site = site.rstrip("/")
        self.auth = (account.username, account.application_password.get_secret_value()) if account else None
        self._plain_permalinks = False  # then there is no /wp-json/, only ?rest_route=

    def call(self, path: str, params: Mapping[str, Any] | None = None, *, post: Any = None) -> Fetched:
        """The answer, whatever it is; ``path`` such as ``wp/v2/comments``."""
        answer = self._call(path, params, post)
        # Without /wp-json/ some sites say 404, others show their front page whatever is asked.
        no_rest = answer.status == 404 or (answer.status == 200 and post is None)
        if no_rest and not self._plain_permalinks and json_of(answer) is None:
            self._plain_permalinks = True
            second = self._call(path, params, post)
            self._plain_permalinks = json_of(second) is not None
            if self._plain_permalinks or second.status >= 500:
                return second
        return answer

    def _call(self, path: str, params: Mapping[str, Any] | None, post: Any) -> Fetched:
        query = {key: value for key, value in (params or {}).items() if value is not None}
        if self._plain_permalinks:
            url = f"{self.site}/?{urlencode({'rest_route': f'/{path}', **query})}"
        else:
            url = f"{self.site}/wp-json/{path}" + (f"?{urlencode(query)}" if query else "")
        return self.http.fetch(url, method="GET" if post is None else "POST", auth=self.auth, json=post)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[Any, Fetched]:
        """The JSON of a good answer, and the answer."""
        answer = self.call(path, params)
        if answer.status != 200:
            raise failure(answer, login=self.auth is not None)
        found = json_of(answer)
        if found is None:
            raise NoRest(Reason.bad_payload, f"{self.site}: the REST API answers with something that is not JSON")
        return found, answer

    def me(self) -> dict[str, Any]:
        """Our user. Raises ``ChannelError`` with ``auth_expired`` when the site does not know us."""
        found, _ = self.get("wp/v2/users/me")
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            raise ChannelError(Reason.bad_payload, f"{self.site}: does not say who we are")
        return found


def json_of(answer: Fetched) -> Any:
    """What the body says, or None. Some sites put warnings of PHP before it."""
    text = answer.body.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    start = re.search(r"^[\[{]", text, re.MULTILINE)
    try:
        return json.loads(text[start.start() :]) if start else None
    except ValueError:
        return None


def said(answer: Fetched) -> tuple[str, str]:
    """An error's code and words, each empty where the site did not give one."""
    found = json_of(answer)
    if not isinstance(found, dict):
        return "", ""
    return str(found.get("code") or ""), html.unescape(str(found.get("message") or ""))


def retry_at(answer: Fetched) -> datetime | None:
    """When the site says to come back, in seconds or as a date, but no later than in a day; None when it does not."""
    after, now = answer.headers.get("retry-after", "").strip(), datetime.now(UTC)
    try:
        seconds = float(after) if after.isdecimal() else (parsedate_to_datetime(after) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return None
    return now + timedelta(seconds=min(max(seconds, 0), LONGEST_WAIT))


def failure(answer: Fetched, *, login: bool = True) -> ChannelError:
    """What an answer that is not 2xx means (codes: WordPress core). ``login``: we said who we are.

    Plugins that switch REST off answer 401 or 403 with a code of their own or none.
    """
    code, words = said(answer)
    site = urlsplit(answer.url).netloc.rpartition("@")[2]
    told = f"{site} answers {answer.status}" + (f": {words} ({code})" if code else "")
    if answer.status == 429 or code == "comment_flood":
        return ChannelError(Reason.rate_limited, told, retry_at=retry_at(answer))
    if answer.status == 401:
        if not login or code not in _WRONG_LOGIN:
            return NoRest(Reason.forbidden, told)
        return ChannelError(Reason.auth_expired, f"{told}. Is the application password right?")
    if code in ("rest_comment_invalid_post_id", "rest_comment_invalid_id", "rest_post_invalid_id"):
        return ChannelError(Reason.gone, told)
    if answer.status == 403:
        return (ChannelError if code.startswith(_REFUSED_BY_CORE) else NoRest)(Reason.forbidden, told)
    if answer.status in (404, 405, 501) and code in ("", "rest_no_route", "rest_disabled"):
        return NoRest(Reason.gone, f"{site} has no REST API")
    if answer.status in (404, 410):
        return ChannelError(Reason.gone, told)
    if 300 <= answer.status < 400:
        target = answer.headers.get("location", "").partition("?")[0]
        return ChannelError(Reason.bad_request, f"{site} has moved to {target}: write the new address in the account")
    if 400 <= answer.status < 500:
        return ChannelError(Reason.bad_request, told)
    return ChannelError(Reason.unavailable, told)


def probe(account: BaseModel, http: Client) -> str:
    """Log in and say as whom."""
    assert isinstance(account, BlogAccount)
    me = WordPress(http, account.site, account).me()
    return f"{me.get('name') or account.username} (user {me['id']}) on {site_key(account.site)}"
