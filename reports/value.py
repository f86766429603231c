"""Whether it was worth it: answers that were used again, whom one answer helped, and calls that were not needed.

Everything but the calls is counted. Those rest on an assumption that a manager sets (``triage.policy``, ``VALUE``): it
stands beside the result with the whole calculation, and without one there is no result.

An answer is from a canned reply when all words of that text stand in it, in order, and are at least ``MOST_OF_IT`` of
what it says: what came out tells, not what was clicked. One in which words were changed counts as written anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from sqlalchemy import and_, case, select
from sqlalchemy.orm import Session

from models import Author, Definition, Mention, Reply, Sample, SharedAnswer, SharedAnswerPart, Story, User
from reports.figures import Asked, conditions, report
from triage import policy
from triage.measures import How, Measure
from triage.policy import Assumption

MOST_OF_IT = 0.5
_VARIABLE = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Sent:
    """An answer that went out, in which case and when."""

    case: int
    at: datetime


@dataclass(frozen=True)
class Prepared:
    """A canned reply: the answers that were made of it, the latest first, and how many people they reached."""

    name: str
    sent: tuple[Sent, ...]
    people: int

    @property
    def answers(self) -> int:
        return len(self.sent)


@dataclass(frozen=True)
class ForAll:
    """One answer for all: its answers that went out in the period, and how many people they reached."""

    id: int
    story_id: int
    title: str
    at: datetime
    by: str
    sent: tuple[Sent, ...]
    people: int

    @property
    def answers(self) -> int:
        return len(self.sent)


@dataclass(frozen=True)
class Assumed:
    """A version of what a manager assumes. ``current``: it is in force."""

    id: int
    value: Assumption
    since: datetime
    by: str
    until: datetime | None = None

    @property
    def current(self) -> bool:
        return self.until is None


@dataclass(frozen=True)
class Saved:
    """The calculation, each step from the one before as it is shown: whole calls, whole minutes."""

    cases: int
    assumed: Assumption

    @cached_property
    def calls(self) -> int:
        return round(self.cases * self.assumed.share / 100)

    @cached_property
    def minutes(self) -> int:
        return round(self.calls * self.assumed.minutes)

    @cached_property
    def money(self) -> int | None:
        return round(self.minutes / 60 * self.assumed.cost) if self.assumed.cost else None


@dataclass(frozen=True)
class Value:
    """``answers``: public ones that went out in the period; ``for_all`` and ``prepared`` say which were used again.

    ``people``: who wrote in the cases before they were answered, each once, the same human over several authors too.
    """

    asked: Asked
    answers: int
    people: int
    for_all: tuple[ForAll, ...]
    prepared: tuple[Prepared, ...]
    people_for_all: int
    resolved: int
    unanswered: int  # of the resolved: without a public answer

    @property
    def from_all(self) -> int:
        return sum(each.answers for each in self.for_all)

    @property
    def from_prepared(self) -> int:
        return sum(each.answers for each in self.prepared)

    @property
    def reused(self) -> int:
        return self.from_all + self.from_prepared

    @property
    def reused_share(self) -> float | None:
        return round(self.reused / self.answers, 4) if self.answers else None

    @property
    def people_for_one(self) -> float | None:
        """People that one answer for all reached, on average: what is written once is read by so many."""
        return round(self.people_for_all / len(self.for_all), 1) if self.for_all else None

    @property
    def settled(self) -> int:
        """Resolved with an answer: what might else have been a call."""
        return self.resolved - self.unanswered

    def saved(self, assumed: Assumption) -> Saved:
        return Saved(self.settled, assumed)


def value(db: Session, asked: Asked) -> Value:
    """Of the answers that went out in the period and the cases resolved in it."""
    answers = _answers(db, asked)
    people = _People(db, asked)
    shared: dict[int, list[_Answer]] = defaultdict(list)
    prepared: dict[str, list[_Answer]] = defaultdict(list)
    texts = _texts(db)
    known: dict[str, str | None] = {}
    for each in answers:
        if each.shared_id is not None:
            shared[each.shared_id].append(each)
        elif each.origin == How.gensvar:
            if each.body not in known:
                known[each.body] = texts.made_of(each.body)
            if (name := known[each.body]) is not None:
                prepared[name].append(each)
    for_all = _for_all(db, shared, people)
    resolution = report(db, asked, [Measure.resolution]).total
    return Value(
        asked,
        answers=len(answers),
        people=people.reached_by(answers),
        for_all=tuple(for_all),
        prepared=tuple(
            sorted(
                (Prepared(name, _sent(found), people.reached_by(found)) for name, found in prepared.items()),
                key=lambda each: (-each.answers, each.name.casefold()),
            )
        ),
        people_for_all=people.reached_by(one for found in shared.values() for one in found),
        resolved=resolution.count(Measure.resolution),
        unanswered=resolution.count(Measure.resolution, How.zero_touch),
    )


# -- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    id: int
    case_id: int
    at: datetime
    body: str
    origin: str
    shared_id: int | None


def _answers(db: Session, asked: Asked) -> list[_Answer]:
    """The replies behind the samples of answers: as many as any other report counts."""
    same = and_(Sample.case_id == Reply.case_id, Sample.at == Reply.sent_at)
    listed = (
        select(Reply.id, Reply.case_id, Reply.sent_at, Reply.body, Reply.origin, SharedAnswerPart.shared_answer_id)
        .join(Sample, same)
        .outerjoin(SharedAnswerPart, SharedAnswerPart.reply_id == Reply.id)
        .where(*conditions(db, asked, Measure.answer), ~Reply.private)
    )
    found = {  # by its id: two at one instant have two samples each
        id: _Answer(id, case_id, cast(datetime, at), body, origin, shared_id)
        for id, case_id, at, body, origin, shared_id in db.execute(listed)
    }
    return list(found.values())


class _People:
    """Who has written in the answered cases, and since when."""

    def __init__(self, db: Session, asked: Asked) -> None:
        self._by_case: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
        human = case((Author.person_id.is_not(None), -Author.person_id), else_=Author.id)
        answered = select(Sample.case_id).where(*conditions(db, asked, Measure.answer))
        concerning = (Mention.case_id.in_(answered), ~Mention.ours, ~Mention.context, ~Mention.repost)
        wrote = select(Mention.case_id, human, Mention.published_at).join(Author, Author.id == Mention.author_id)
        for case_id, who, at in db.execute(wrote.where(*concerning)):
            self._by_case[cast(int, case_id)].append((at, who))

    def reached_by(self, answers: Iterable[_Answer]) -> int:
        return len({who for each in answers for at, who in self._by_case.get(each.case_id, ()) if at <= each.at})


def _sent(answers: Iterable[_Answer]) -> tuple[Sent, ...]:
    latest = sorted(answers, key=lambda each: (each.at, each.id), reverse=True)
    return tuple(Sent(each.case_id, each.at) for each in latest)


def _for_all(db: Session, shared: dict[int, list[_Answer]], people: _People) -> list[ForAll]:
    if not shared:
        return []
    listed = (
        select(SharedAnswer.id, SharedAnswer.story_id, Story.title, SharedAnswer.created_at, User.name)
        .join(Story, Story.id == SharedAnswer.story_id)
        .join(User, User.id == SharedAnswer.user_id)
        .where(SharedAnswer.id.in_(shared))
    )
    named = {row[0]: row for row in db.execute(listed)}
    found = [
        ForAll(*named[id], sent=_sent(each), people=people.reached_by(each))
        for id, each in shared.items()
        if id in named
    ]
    return sorted(found, key=lambda each: (-each.people, each.id))


# -- canned replies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Text:
    """What stands in a canned reply between its variables, without spaces; ``length``: all of it."""

    length: int
    name: str
    parts: tuple[str, ...]


class _Texts:
    """Every version of a canned reply there has been, in every language, each with its longest part."""

    def __init__(self, versions: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        found = set()
        for name, body in versions:
            for text in body.get("texts", {}).values():
                parts = tuple(filter(None, (_closed_up(part) for part in _VARIABLE.split(text))))
                if parts:
                    found.add(_Text(sum(map(len, parts)), name, parts))
        self._texts = [(max(one.parts, key=len), one) for one in sorted(found, key=lambda one: (one.length, one.name))]

    def made_of(self, body: str) -> str | None:
        """The name of the longest canned reply an answer is made of."""
        said = _closed_up(body)
        likely = [one for longest, one in self._texts if longest in said]
        fit = [one for one in likely if one.length >= len(said) * MOST_OF_IT and _holds(said, one.parts)]
        return fit[-1].name if fit else None


def _texts(db: Session) -> _Texts:
    versions = select(Definition.name, Definition.body).where(Definition.part == "canned_replies")
    return _Texts((name, body) for name, body in db.execute(versions))


def _holds(said: str, parts: Sequence[str]) -> bool:
    at = 0
    for part in parts:
        at = said.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def _closed_up(text: str) -> str:
    """Without spaces: what filling in a name does to those around it changes nothing."""
    return "".join(text.split())


# -- what is assumed -------------------------------------------------------------------------------------------------


def assumptions(db: Session) -> list[Assumed]:
    """Every version there has been, the newest first."""
    return [
        Assumed(row.id, Assumption.model_validate(row.body), row.created_at, row.created_by, row.retired_at)
        for row in policy.history(db, policy.VALUE, policy.VALUE)
    ]
