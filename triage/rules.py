"""Which rules hold when something happens, and what they do. Pure: a situation in, effects out.

Rules are tried in order, and a later one sees what an earlier one set. What is not allowed (an unknown team, ignoring
what is resolved) is refused with its reason, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from errors import InvalidTransition
from models import CaseStatus
from settings import DAYS, MOST_TAGS, Calendar, RuleConditions, RuleSettings
from triage import clock, sla, watch
from triage.states import Action, after
from triage.subject import Text

Trigger = Literal["mention", "answer", "status", "time"]
UNKNOWN, STATUS, OTHERS, TOO_MANY = "unknown", "status", "others_wrote", "too_many_tags"  # why an effect is refused
NONE = "none"


@dataclass(frozen=True)
class Situation:
    """What is known when something has happened ``at`` an instant.

    ``texts``: the mention that came in; where none did, what the case began with and the last thing said. ``joined``:
    somebody wrote in the case of somebody else. ``author``: the names who wrote is known by, in small letters.
    ``calendar``: whose opening hours count, None: always open; ``zone``: what the clock on the wall shows.
    """

    at: datetime
    channel: str
    status: str = CaseStatus.new
    sources: frozenset[str] = frozenset()
    kind: str | None = None
    priority: str | None = None
    team: str | None = None
    language: str | None = None
    tags: frozenset[str] = frozenset()
    sentiment: str | None = None
    urgency: str | None = None
    noise: str | None = None
    category: str | None = None
    wants_answer: bool | None = None
    assignee: str | None = None
    answered: bool = False
    review: bool = False
    draft: str | None = None
    texts: tuple[Text, ...] = ()
    joined: bool = False
    author: frozenset[str] = frozenset()
    followers: int | None = None
    messages: int = 1
    spread: int = 0
    story: int = 0
    waiting_since: datetime | None = None
    calendar: Calendar | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True)
class Known:
    """The names there are: teams, colleagues who can log in, canned replies."""

    teams: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    drafts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fired:
    """What a rule does, in this order: ``changes`` is field -> (before, after), for ``notify`` and ``webhook`` with
    nothing before; ``refused`` is effect -> reason; ``left``: the situation a later rule sees."""

    rule: RuleSettings
    left: Situation
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def triggers(action: str, before: str | None, after: str | None, *, by_author: bool) -> frozenset[Trigger]:
    """What an event is to rules. ``before``, ``after``: statuses; ``by_author``: of the case, not somebody else."""
    found: set[Trigger] = set()
    if action == "opened":
        found.add("mention")
    elif action == Action.author_wrote:
        found.add("answer" if by_author else "mention")
    if before is not None and before != after:
        found.add("status")
    return frozenset(found)


def wanted(rules: Iterable[RuleSettings], happened: frozenset[Trigger]) -> list[RuleSettings]:
    """The rules, in order, that are switched on and listen to what happened."""
    return [rule for rule in rules if rule.enabled and not happened.isdisjoint(rule.when)]


def decide(rules: Iterable[RuleSettings], case: Situation, known: Known) -> Iterator[Fired]:
    """Try each rule once, in order."""
    for rule in rules:
        if fits(rule.conditions, case):
            fired = act(rule, case, known)
            case = fired.left
            yield fired


# -- if ----------------------------------------------------------------------------------------------------------------


def fits(when: RuleConditions, case: Situation) -> bool:
    """Does everything hold that the rule asks for?"""
    return (
        sla.fits(when, case)
        and _among(when.status, case.status)
        and _among(when.sentiment, case.sentiment)
        and _among(when.urgency, case.urgency or NONE)
        and _among(when.noise, case.noise or NONE)
        and _among(when.category, case.category or NONE)
        and _is(when.wants_answer, case.wants_answer)
        and _is(when.assigned, case.assignee is not None)
        and _is(when.answered, case.answered)
        and (not when.author or not case.author.isdisjoint(name.lstrip("@").lower() for name in when.author))
        and _over(when.followers_over, case.followers)
        and _over(when.messages_over, case.messages)
        and _over(when.spread_over, case.spread)
        and _over(when.story_over, case.story)
        and _waited(when, case)
        and (when.opening_hours is None or when.opening_hours == clock.is_open(case.calendar, case.at))
        and _on_the_wall(when, case)
        and (when.match is None or any(watch.parse(when.match).matches(text) for text in case.texts))
    )


def _among(wanted: tuple[str, ...], value: str | None) -> bool:
    return not wanted or value in wanted


def _is(wanted: bool | None, value: bool | None) -> bool:
    return wanted is None or wanted == value


def _over(limit: int | None, value: int | None) -> bool:
    return limit is None or (value is not None and value > limit)


def _waited(when: RuleConditions, case: Situation) -> bool:
    if when.unanswered_for is None:
        return True
    return case.waiting_since is not None and case.at - case.waiting_since >= when.unanswered_for


def _on_the_wall(when: RuleConditions, case: Situation) -> bool:
    if not when.days and not when.hours:
        return True
    here = case.at.astimezone(case.zone)
    if when.days and DAYS[here.weekday()] not in when.days:
        return False
    time = here.time()
    return not when.hours or any(
        span.start <= time and (time < span.end or span.end == clock.MIDNIGHT) for span in when.hours
    )


# -- then --------------------------------------------------------------------------------------------------------------


def act(rule: RuleSettings, case: Situation, known: Known) -> Fired:
    """The rule's effects on a case it fits. What is so already is left out."""
    then = rule.effects
    values: dict[str, Any] = {
        "kind": then.kind,
        "priority": then.priority,
        "tags": case.tags.union(then.tags) if then.tags else None,
        "team": then.team,
        "assignee": then.assignee,
        "draft": then.draft,
        "review": then.review,
    }
    changes: dict[str, tuple[Any, Any]] = {}
    refused: dict[str, str] = {}
    for name, value in values.items():
        if value is None or value == getattr(case, name):
            continue
        if (why := _refusal(name, value, case, known)) is not None:
            refused[name] = why
            continue
        changes[name] = (getattr(case, name), value)
        case = replace(case, **{name: value})
        if name == "assignee":  # what a person has is no longer new
            case = replace(case, status=after(CaseStatus(case.status), Action.take))
    if then.notify:
        if told := tuple(email for email in then.notify if email in known.people):
            changes["notify"] = ((), told)
        if len(told) < len(then.notify):
            refused["notify"] = UNKNOWN
    if then.webhook is not None:
        changes["webhook"] = (None, then.webhook)
    if then.ignore and case.status != CaseStatus.ignored:
        if (why := _refusal("ignore", True, case, known)) is not None:
            refused["ignore"] = why
        else:
            changes["status"] = (case.status, CaseStatus.ignored)
            case = replace(case, status=CaseStatus.ignored)
    return Fired(rule, case, changes, refused)


def _refusal(effect: str, value: Any, case: Situation, known: Known) -> str | None:
    """Why it cannot be done; None: it can."""
    names = {"team": known.teams, "assignee": known.people, "draft": known.drafts}
    if effect in names and value not in names[effect]:
        return UNKNOWN
    if effect == "tags" and len(value) > MOST_TAGS:
        return TOO_MANY
    if effect == "ignore" and case.joined:
        return OTHERS  # one spammer below a citizen's question must not make it disappear
    action = {"assignee": Action.take, "ignore": Action.ignore}.get(effect)
    if action is not None:
        try:
            after(CaseStatus(case.status), action)
        except InvalidTransition:
            return STATUS
    return None
