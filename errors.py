"""What can go wrong, as types: every expected failure is one of these, and becomes text or HTTP in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GensvarError(Exception):
    """A failure that was foreseen. ``str(error)`` is one line a person can act on."""


@dataclass(frozen=True)
class ConfigProblem:
    """One thing wrong in the configuration: where it stands, what stands there, what to write instead."""

    path: str
    value: str
    remedy: str

    def __str__(self) -> str:
        value = f" (is {self.value})" if self.value else ""
        return f"{self.path}{value}: {self.remedy}"


class ConfigError(GensvarError):
    """The configuration cannot be used. Holds every problem, not just the first."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class DatabaseError(GensvarError):
    """The database cannot be reached, is of another version, or is damaged."""


class NotFoundError(GensvarError):
    """What was asked for does not exist."""


class InvalidTransition(GensvarError):
    """The action is not in the transition table for the status the case has."""


class StaleCase(GensvarError):
    """Somebody else changed the case first; nothing was written."""


class InvalidInput(GensvarError):
    """A value from a person or another system cannot be accepted. ``fields`` maps field to remedy."""

    def __init__(self, message: str, fields: dict[str, str] | None = None) -> None:
        self.fields = fields or {}
        super().__init__(message)


class QueryError(InvalidInput):
    """A watch query that cannot be read; ``position`` is the 0-based character it points at.

    ``text`` and ``values`` are what the message is made of, for those who read another language.
    """

    def __init__(self, text: str, position: int, **values: object) -> None:
        self.text, self.position, self.values = text, position, values
        super().__init__(text % values if values else text)


class Reason(StrEnum):
    """Why a network did not do as asked."""

    auth_expired = "auth_expired"  # token revoked, expired, wrong: somebody must log in again
    forbidden = "forbidden"  # a permission, tier or policy stands in the way
    out_of_credit = "out_of_credit"  # the network wants money, or our own budget is spent
    rate_limited = "rate_limited"  # come back at ``retry_at``
    gone = "gone"  # what was asked for is no longer there
    bad_request = "bad_request"  # the network refuses what we sent
    bad_payload = "bad_payload"  # the network's answer cannot be understood
    refused_address = "refused_address"  # our own guard refuses to connect there
    too_large = "too_large"  # over the byte cap
    unavailable = "unavailable"  # not reachable, or ill; it may pass


# What does not mend itself: trying again on the clock is pointless until a person has acted.
PERMANENT = frozenset({Reason.auth_expired, Reason.forbidden, Reason.gone, Reason.bad_request, Reason.refused_address})


class ChannelError(GensvarError):
    """A network call failed, and for certain did not do what was asked.

    ``retry_at`` is the UTC instant the network itself named, or None where it named none.
    ``permanent`` is true when the same call cannot succeed until somebody has changed something.
    """

    def __init__(
        self, reason: Reason, message: str, *, retry_at: datetime | None = None, permanent: bool | None = None
    ) -> None:
        self.reason = reason
        self.retry_at = retry_at
        self.permanent = reason in PERMANENT if permanent is None else permanent
        super().__init__(message)


class CollectError(ChannelError):
    """A pass over a source had to stop. What was handed over before it stays."""


class ReplyError(ChannelError):
    """A reply was not published, and that is certain."""


class ReplyUncertain(GensvarError):
    """Nobody knows whether the reply was published: the line was cut after it may have been accepted."""


class TooLong(InvalidInput):
    """A reply longer than the network takes, counted as the network counts."""

    def __init__(self, length: int, limit: int) -> None:
        self.length, self.limit = length, limit
        super().__init__(f"The reply is {length} characters as the network counts, and it takes {limit}.")


class CannotReply(GensvarError):
    """The mention cannot be answered through the network's API; ``reason`` says why (a code)."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)
