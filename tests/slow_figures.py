"""Figures the slow obvious way: somebody watches a case minute by minute and keeps a diary of what was done to it.

Written from the definitions and apart from ``triage.measures``: no event is read here. What never lasted (an answer
that did not go out, a click that was taken back) is struck out of the diary. Instants are whole minutes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
OURS, WAITING, DONE = ("new", "open"), ("pending",), ("resolved", "closed")
CITIZEN, STAFF, CLOCK, FAILURE, HISTORY = "citizen", "staff", "clock", "failure", "history"  # why a status changed


# -- opening hours, by looking at the clock on the wall ---------------------------------------------------------------

Spans = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Hours:
    """``week``: by weekday, Monday first. ``shut`` and ``noon``: the days the calendar of the country says, by hand."""

    name: str
    week: Sequence[Spans]
    holidays: str | None = None
    exceptions: Mapping[str, Spans] = field(default_factory=dict)

    def is_open(self, at: datetime) -> bool:
        found = _looked_at.get((self.name, at))
        if found is None:
            found = _looked_at[self.name, at] = self._is_open(at)
        return found

    def _is_open(self, at: datetime) -> bool:
        local = at.astimezone(STOCKHOLM)
        now, today = local.strftime("%H:%M"), local.date().isoformat()
        if today in self.exceptions:
            spans = self.exceptions[today]
        elif (self.holidays and today in SHUT) or (self.holidays and today in NOON and now >= "12:00"):
            return False
        else:
            spans = self.week[local.weekday()]
        return any(start <= now < end for start, end in spans)

    def given(self) -> dict[str, Any]:
        """As config.yaml has it."""
        days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        hours = {day: [f"{a}-{b}" for a, b in spans] for day, spans in zip(days, self.week, strict=True) if spans}
        special = {day: [f"{a}-{b}" for a, b in spans] for day, spans in self.exceptions.items()}
        calendar = {"name": self.name, "timezone": "Europe/Stockholm", "hours": hours, "exceptions": special}
        return calendar | ({"holidays": self.holidays} if self.holidays else {})


_looked_at: dict[tuple[str, datetime], bool] = {}  # nobody looks at the same minute of the same clock twice

# Sweden, from the wall calendar: shut, and closed at noon.
SHUT = {
    "2026-04-03", "2026-04-05", "2026-04-06", "2026-05-01", "2026-05-14", "2026-06-06", "2026-06-19", "2026-06-20",
    "2026-10-31", "2026-12-24", "2026-12-25", "2026-12-26", "2026-12-31", "2027-01-01", "2027-01-06",
}  # fmt: skip
NOON = {"2026-01-05", "2026-04-02", "2026-04-30", "2026-05-13", "2026-12-23", "2027-01-05"}

_LUNCH = (("08:00", "12:00"), ("13:00", "16:30"))
OFFICE = Hours("office", (*[_LUNCH] * 4, (("08:00", "15:00"),), (), ()), "SE", {"2026-10-23": (("10:00", "11:15"),)})
NIGHT = Hours("night", ((("00:00", "02:30"), ("02:45", "05:00"), ("22:00", "24:00")),) * 7)


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    at = start
    while at < end:
        yield at
        at += MINUTE


def due(hours: Hours | None, start: datetime, amount: int, counts: Iterable[datetime] | None = None) -> datetime:
    """When ``amount`` open minutes have passed, of those that count."""
    only, at = None if counts is None else set(counts), start
    while amount:
        if (hours is None or hours.is_open(at)) and (only is None or at in only):
            amount -= 1
        at += MINUTE
    return at


# -- the diary of a case ----------------------------------------------------------------------------------------------


@dataclass
class Wrote:
    at: datetime
    seen: datetime
    id: str = ""


@dataclass
class Answered:
    at: datetime
    user: int | None
    how: str
    written: datetime  # when it was decided on
    to: str = ""
    old: bool = False  # found by an import


@dataclass
class Moved:
    at: datetime
    to: str
    why: str
    by: int | None
    tag: int | None = None


@dataclass
class Promise:
    made: datetime
    due: datetime
    owner: int | None
    settled: datetime | None = None
    state: str = "open"


@dataclass
class Figure:
    """``counted``: the minutes of it, where it took time."""

    measure: str
    at: datetime
    user: int | None = None
    how: str | None = None
    started: datetime | None = None
    counted: list[datetime] | None = None

    def outside(self, hours: Hours | None) -> bool:
        """Somebody goes to the door each minute of it, and it is shut: that 0 has a mark."""
        return bool(self.counted) and hours is not None and all(not hours.is_open(at) for at in self.counted or ())

    def key(self, hours: Hours | None) -> tuple[Any, ...]:
        """What is compared: everything, and both clocks in minutes."""
        took = None if self.counted is None else len(self.counted)
        opened = None if self.counted is None else sum(1 for at in self.counted if hours is None or hours.is_open(at))
        return (self.measure, self.at, self.started, self.user, self.how, took, opened)


@dataclass
class Diary:
    seen: datetime
    said: list[Wrote] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    moves: list[Moved] = field(default_factory=list)
    away: list[list[Any]] = field(default_factory=list)  # since, until
    given: list[tuple[datetime, int]] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    merged: bool = False
    imported: bool = False
    facts: dict[str, Any] = field(default_factory=dict)  # channel, team, kind, tags, assignee: as they are in the end
    teams: list[tuple[datetime, str]] = field(default_factory=list)  # whose it was from when on

    def copy(self) -> Diary:
        return copy.deepcopy(self)

    # -- writing ---------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        return self.moves[-1].to if self.moves else "new"

    def move(self, at: datetime, to: str, why: str, by: int | None = None, tag: int | None = None) -> None:
        again = to == "open" and why in (CITIZEN, CLOCK)  # that holds whatever becomes of an answer under way
        if to != self.status or tag is not None or again:
            self.moves.append(Moved(at, to, why, by, tag))
        if to in ("closed", "ignored"):
            self.back(at)

    def strike(self, tag: int) -> None:
        """It did not last: as if it had never been."""
        self.moves = [move for move in self.moves if move.tag != tag]

    def put_away(self, at: datetime, until: datetime | None) -> None:
        self.back(at)
        if until is not None:
            self.away.append([at, until])

    def back(self, at: datetime) -> None:
        for span in self.away:
            span[1] = min(span[1], max(at, span[0]))

    # -- reading ---------------------------------------------------------------------------------------------------

    def state(self, minute: datetime) -> str:
        """What it was during this minute."""
        found = "new"
        for move in self.moves:
            if move.at <= minute:
                found = move.to
        return found

    def team(self, at: datetime) -> str | None:
        """Whose it was then: before the first had it, already theirs."""
        had = [name for since, name in self.teams if since <= at]
        return had[-1] if had else self.teams[0][1] if self.teams else None

    def our_turn(self, minute: datetime) -> bool:
        put_away = any(since <= minute < until for since, until in self.away)
        return self.state(minute) in OURS and not put_away

    def unanswered(self) -> datetime | None:
        """Since when somebody waits."""
        last = max((answer.at for answer in self.heard()), default=None)
        return min((said.at for said in self.said if last is None or said.at > last), default=None)

    def heard(self) -> list[Answered]:
        """Answers that count: what an import found from before the matter began is none to it."""
        begun = min((said.at for said in self.said), default=self.seen)
        return [answer for answer in self.answers if self.imported or not answer.old or answer.at >= begun]

    def figures(self) -> list[Figure]:
        if self.merged:
            return []
        found = [Figure("received", self.seen), *(Figure("mention", said.seen) for said in self.said)]
        found += [Figure("answer", each.at, each.user, each.how) for each in self.heard()]
        found += self._promises()
        if self.status == "ignored":
            into = [b for a, b in zip([None, *self.moves], self.moves, strict=False) if _became(a, b, ("ignored",))]
            return [*found, Figure("ignored", into[-1].at, into[-1].by)]
        return [*found, *self._responses(), *self._assigned(), *self._closings()]

    def _responses(self) -> Iterator[Figure]:
        """Minute by minute: somebody waits, or nobody does."""
        busy = {said.at for said in self.said} | {answer.at for answer in self.heard()}
        if not busy:
            return
        waiting: Wrote | None = None
        spoken = False
        for minute in minutes(min(busy), max(busy) + MINUTE):
            if minute not in busy:
                continue
            for said in self.said:
                if said.at == minute and waiting is None:
                    waiting = said
            for answer in self.heard():
                if answer.at != minute:
                    continue
                if waiting is not None:
                    name = "next_response" if spoken else "first_response"
                    spent = list(minutes(waiting.at, minute))
                    yield Figure(name, minute, answer.user, answer.how, waiting.at, spent)
                    if not spoken:
                        seen = min(waiting.seen, minute)
                        waited = list(minutes(seen, minute))
                        yield Figure("first_response_seen", minute, answer.user, answer.how, seen, waited)
                waiting, spoken = None, True

    def _assigned(self) -> Iterator[Figure]:
        if self.given:
            at, user = self.given[0]
            start = min(self.seen, at)
            yield Figure("assigned", at, user, None, start, list(minutes(start, at)))

    def _closings(self) -> Iterator[Figure]:
        ends: list[tuple[Moved, Moved | None]] = []  # a close, and what opened it again by somebody's hand
        before: Moved | None = None
        for move in self.moves:
            if _became(before, move, DONE) and move.why != HISTORY:
                ends.append((move, None))
            left = before is not None and before.to in DONE and move.to not in DONE
            if left and ends and ends[-1][1] is None and move.why in (CITIZEN, STAFF):
                ends[-1] = (ends[-1][0], move)
            before = move
        begun = min((said.at for said in self.said), default=self.seen)
        for number, (end, again) in enumerate(ends):
            following = ends[number + 1][0] if number + 1 < len(ends) else None
            yield Figure("closing", end.at, end.by, self._ended(end, again, following))
        if ends:
            first, last = ends[0][0], ends[-1][0]
            start = min(begun, first.at)
            yield Figure("first_resolution", first.at, first.by, None, start, list(minutes(start, first.at)))
            if self.status in DONE and self.moves[-1].why != HISTORY:
                start, n = min(begun, last.at), len(self.heard())
                once = n == 1 and all(again is None for _, again in ends)
                how = "zero_touch" if n == 0 else "one_touch" if once else None
                spent = list(minutes(start, last.at))
                yield Figure("resolution", last.at, last.by, how, start, spent)
                ours = [minute for minute in spent if self.our_turn(minute)]
                yield Figure("active", last.at, last.by, None, start, ours)

    def _ended(self, end: Moved, again: Moved | None, following: Moved | None) -> str | None:
        if again is None or again.at - end.at > timedelta(days=14):
            return None
        if again.why == CITIZEN and following is not None and following.at - again.at <= timedelta(hours=24):
            spoke = [
                answer
                for answer in self.heard()
                if again.at <= answer.written <= following.at or again.at <= answer.at <= following.at
            ]
            return "reopened" if spoke else "touchless"
        return "reopened"

    def _promises(self) -> Iterator[Figure]:
        for each in self.promises:
            if each.state != "proposed":
                late = each.state == "kept" and each.settled is not None and each.settled > each.due
                how = "kept_late" if late else each.state
                yield Figure("promise", each.due, each.owner, how, each.made)


def _became(before: Moved | None, move: Moved, states: Sequence[str]) -> bool:
    return move.to in states and (before is None or before.to not in states)


# -- a report, by sorting and counting --------------------------------------------------------------------------------


def local_day(at: datetime) -> date:
    return at.astimezone(STOCKHOLM).date()


def percentile(values: Sequence[int], percent: int) -> int:
    """Nearest rank, naively: the first value with so many per cent of all at or below it."""
    ordered = sorted(values)
    for value in ordered:
        if 100 * sum(1 for each in ordered if each <= value) >= percent * len(ordered):
            return value
    raise AssertionError("nothing to rank")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str, fold: int = 0) -> datetime:
    """A time on the wall in Stockholm."""
    return datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM, fold=fold).astimezone(UTC)
