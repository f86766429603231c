"""Who of a team gets a case. Pure: members in, one of them out, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Method = Literal["round_robin", "least_loaded"]


@dataclass(frozen=True)
class Member:
    """``load``: cases of theirs that are new, open or pending. ``last_given_at``: by routing."""

    email: str
    load: int
    last_given_at: datetime | None
    absent: bool = False


def pick(members: Sequence[Member], method: Method, ceiling: int | None) -> Member | None:
    """Whose turn it is; None when everybody is away or has their hands full.

    In turn: whoever has waited longest since they were given one. Least loaded: whoever has the fewest, and among
    equals in turn. Neither depends on the order in which the members are listed.
    """
    free = [one for one in members if not one.absent and (ceiling is None or one.load < ceiling)]
    if method == "least_loaded":
        fewest = min((one.load for one in free), default=0)
        free = [one for one in free if one.load == fewest]
    return min(free, key=_turn, default=None)


def _turn(member: Member) -> tuple[float, str]:
    return (member.last_given_at.timestamp() if member.last_given_at else float("-inf"), member.email)
