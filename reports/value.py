"""Whether it was worth it: answers that were used again, whom one answer helped, and calls that were not needed.

Everything but the calls is counted. Those rest on an assumption that a manager sets (``triage.policy``, ``VALUE``): it
stands beside the result with the whole calculation, and without one there is no result.

An answer is from a canned reply when all words of that text stand in it, in order, and are at least ``MOST_OF_IT`` of
what it says: what came out tells, not what was clicked. One in which words were changed counts as written anew.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Any

from sqlalchemy import JSON, BigInteger, Subquery, Text, and_, case, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from models import (
    CONCERNS_US,
    Author,
    Definition,
    Mention,
    Reply,
    ReplyOrigin,
    Sample,
    SharedAnswer,
    SharedAnswerPart,
    Story,
    User,
)
from reports.figures import Asked, conditions, report
from triage import policy
from triage.measures import How, Measure
from triage.policy import Assumption

MOST_OF_IT = 0.5
Asking = Any  # a ``Select``, of whatever columns
_VARIABLE = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Sent:
    """An answer that went out, in which case and when."""

    case: int
    at: datetime


@dataclass(frozen=True)
class Written:
    """One answer for all, as it was written."""

    id: int
    story_id: int
    at: datetime
    by: str


@dataclass(frozen=True)
class Used:
    """What was written once and used again: how many answers of the period are made of it, and whom they reached.

    A canned reply, called by its name, or one answer for all, called as its story: ``shared``.
    """

    title: str
    answers: int
    people: int
    shared: Written | None = None


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
    """``answers``: public ones that went out in the period; ``used``: what some of them were made of.

    ``people``: whom answers that were used again reached: who had written in their cases before, each once, the same
    human over several authors too.
    """

    asked: Asked
    answers: int
    people: int
    used: tuple[Used, ...]
    people_for_all: int
    resolved: int
    unanswered: int  # of the resolved: without a public answer

    @property
    def for_all(self) -> tuple[Used, ...]:
        return tuple(each for each in self.used if each.shared is not None)

    @property
    def prepared(self) -> tuple[Used, ...]:
        """The canned replies."""
        return tuple(each for each in self.used if each.shared is None)

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
    """Of the answers that went out in the period and the cases resolved in it.

    The database counts; of the answers themselves only those are read that may be made of a canned reply.
    """
    counted = report(db, replace(asked, by=None), [Measure.answer, Measure.resolution]).total
    shared = select(cast(SharedAnswerPart.shared_answer_id, Text()), Reply.case_id, func.max(Reply.sent_at))
    of_each = _of_replies(db, asked, shared, How.shared).group_by(SharedAnswerPart.shared_answer_id, Reply.case_id)
    for_all = _in_cases(db, asked, "for all", How.shared)
    made = _made_of_canned(db, asked)
    by_name = _reached(db, _latest(db, made)) if made else {}
    again = [_again(db, asked, made)] if made else []  # who had both an answer for all and a canned reply is one
    reached = _reached(db, *again, for_all, of_each)
    return Value(
        asked,
        answers=counted.count(Measure.answer),
        people=reached.get("again" if made else "for all", 0),
        used=(
            *_for_all(db, asked, reached),
            *sorted(
                (Used(name, len(ids), by_name.get(name, 0)) for name, ids in made.items()),
                key=lambda each: (-each.answers, each.title.casefold()),
            ),
        ),
        people_for_all=reached.get("for all", 0),
        resolved=counted.count(Measure.resolution),
        unanswered=counted.count(Measure.resolution, How.zero_touch),
    )


class Kind(StrEnum):
    """What was used again."""

    canned = "canned"
    shared = "shared"


@dataclass(frozen=True)
class Texts:
    """Which of the answers that were used again: of this canned reply, of this answer for all, of a kind, or all."""

    canned: str | None = None
    shared: int | None = None
    kind: Kind | None = None

    @property
    def of_canned(self) -> bool:
        return self.shared is None and self.kind is not Kind.shared

    @property
    def of_shared(self) -> bool:
        return self.canned is None and self.kind is not Kind.canned


@dataclass(frozen=True)
class Made:
    """The answers that were made of some texts, the latest first: ``sent`` are some of the ``total``."""

    total: int
    sent: tuple[Sent, ...]


def made_of(db: Session, asked: Asked, texts: Texts, *, begins: int = 0, most: int = 50) -> Made:
    made = _replies(db, asked, texts).subquery()
    total = db.scalar(select(func.count()).select_from(made)) or 0
    listed = select(Reply.case_id, Reply.sent_at).join(made, made.c.reply == Reply.id)
    latest = listed.order_by(Reply.sent_at.desc(), Reply.id.desc()).offset(begins).limit(most)
    found = db.execute(latest) if begins < total else ()
    return Made(total, tuple(Sent(number, at) for number, at in found if at is not None))


@dataclass(frozen=True)
class Helped:
    """Somebody whom an answer that was used again reached: under one of their names, in the latest such case."""

    name: str
    case: int


def people_of(
    db: Session, asked: Asked, texts: Texts, *, begins: int = 0, most: int = 50
) -> tuple[int, tuple[Helped, ...]]:
    """How many ``Value.people`` counts of these answers, and some of them."""
    made = _replies(db, asked, texts).subquery()
    answers = select(literal("", Text()), Reply.case_id, func.max(Reply.sent_at))
    reached = answers.join(made, made.c.reply == Reply.id).group_by(Reply.case_id)
    wrote = _who_wrote(reached.subquery(), _HUMAN, func.min(Author.name), func.max(Mention.case_id))
    latest = wrote.group_by(_HUMAN).order_by(func.max(Mention.case_id).desc(), _HUMAN).offset(begins).limit(most)
    total = _reached(db, reached).get("", 0)
    found = db.execute(latest) if begins < total else ()
    return total, tuple(Helped(name or "", number) for _, name, number in found)


def _replies(db: Session, asked: Asked, texts: Texts) -> Asking:
    """``reply``: the answers of the period that were made of these texts, each once."""
    parts: list[Asking] = []
    if texts.of_canned:
        made = _made_of_canned(db, asked)
        names = made if texts.canned is None else made.keys() & {texts.canned}
        parts.append(select(_pairs(db, {"": [id for name in names for id in made[name]]}).subquery().c.reply))
    if texts.of_shared:
        shared = _of_replies(db, asked, select(Reply.id.label("reply")), How.shared).distinct()
        only = shared if texts.shared is None else shared.where(SharedAnswerPart.shared_answer_id == texts.shared)
        parts.append(select(only.subquery().c.reply))
    return union_all(*parts)


# -- answers ---------------------------------------------------------------------------------------------------------


def _of_replies(db: Session, asked: Asked, what: Asking, how: How) -> Asking:
    """The replies behind the samples of answers, those of one answer for all with their part of it.

    Two at one instant have two samples each.
    """
    there = what.join_from(Sample, Reply, and_(Sample.case_id == Reply.case_id, Sample.at == Reply.sent_at))
    parts = there.join(SharedAnswerPart, SharedAnswerPart.reply_id == Reply.id, isouter=how is not How.shared)
    return parts.where(*conditions(db, asked, Measure.answer), Sample.how == how.value, ~Reply.private)


def _in_cases(db: Session, asked: Asked, used: str, how: How) -> Asking:
    """When each case got its last such answer in the period."""
    answers = select(literal(used, Text()), Sample.case_id, func.max(Sample.at))
    return answers.where(*conditions(db, asked, Measure.answer), Sample.how == how.value).group_by(Sample.case_id)


def _again(db: Session, asked: Asked, made: Mapping[str, Sequence[int]]) -> Asking:
    """When each case got its last answer that was used again."""
    ids = [id for ids in made.values() for id in ids]
    return union_all(_in_cases(db, asked, "again", How.shared), _latest(db, {"again": ids}))


def _reached(db: Session, *answers: Asking) -> dict[str, int]:
    """How many people were reached by what: who had written in a case until its answer. ``answers``: what, case, at."""
    counted = []
    for part in (each.subquery() for each in answers):
        used = next(iter(part.c))
        counted.append(_who_wrote(part, used, func.count(_HUMAN.distinct())).group_by(used))
    return {used: n for used, n in db.execute(union_all(*counted))}


_HUMAN = case((Author.person_id.is_not(None), -Author.person_id), else_=Author.id)  # one over several authors


def _who_wrote(answers: Subquery, *what: Any) -> Asking:
    """Of those who had written in a case until its answer."""
    _, number, at = answers.c
    before = and_(Mention.case_id == number, Mention.published_at <= at)
    wrote = select(*what).join_from(answers, Mention, before).join(Author, Author.id == Mention.author_id)
    return wrote.where(CONCERNS_US)


def _for_all(db: Session, asked: Asked, reached: Mapping[str, int]) -> list[Used]:
    told = (SharedAnswer.id, SharedAnswer.story_id, SharedAnswer.created_at, User.name, Story.title)
    listed = _of_replies(db, asked, select(*told, func.count(Reply.id.distinct())), How.shared)
    named = (
        listed.join(SharedAnswer, SharedAnswer.id == SharedAnswerPart.shared_answer_id)
        .join(Story, Story.id == SharedAnswer.story_id)
        .join(User, User.id == SharedAnswer.user_id)
    )
    found = [
        Used(title, n, reached.get(str(id), 0), Written(id, story, at, by))
        for id, story, at, by, title, n in db.execute(named.group_by(*told))
    ]
    return sorted(found, key=lambda each: (-each.people, each.shared.id if each.shared else 0))


def _made_of_canned(db: Session, asked: Asked) -> dict[str, list[int]]:
    """The name of a canned reply -> the replies that were made of it."""
    texts = _texts(db)
    if not texts:
        return {}
    listed = _of_replies(db, asked, select(Reply.id, Reply.body), How.gensvar)
    written = listed.where(Reply.origin == ReplyOrigin.gensvar, SharedAnswerPart.reply_id.is_(None))
    bodies = {id: body for id, body in db.execute(written)}
    known = {body: texts.made_of(body) for body in set(bodies.values())}
    found: dict[str, list[int]] = defaultdict(list)
    for id, body in bodies.items():
        if (name := known[body]) is not None:
            found[name].append(id)
    return found


def _latest(db: Session, made: Mapping[str, Sequence[int]]) -> Asking:
    """When each case got the last answer that was made of what."""
    pairs = _pairs(db, made).subquery()
    answers = select(pairs.c.used, Reply.case_id, func.max(Reply.sent_at)).join_from(
        pairs, Reply, Reply.id == pairs.c.reply
    )
    return answers.group_by(pairs.c.used, Reply.case_id)


def _pairs(db: Session, made: Mapping[str, Sequence[int]]) -> Asking:
    """``used`` and ``reply``, as rows: any number of them in one parameter."""
    listed = literal(json.dumps([[name, id] for name, ids in made.items() for id in ids]), Text())
    if db.get_bind().dialect.name == "postgresql":
        each = func.json_array_elements(cast(listed, JSON())).column_valued("pair")
        return select(each.op("->>")(0).label("used"), cast(each.op("->>")(1), BigInteger()).label("reply"))
    pair = func.json_each(listed).table_valued("value").c.value
    return select(func.json_extract(pair, "$[0]").label("used"), func.json_extract(pair, "$[1]").label("reply"))


# -- canned replies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Text:
    """What stands in a canned reply between its variables, without spaces; ``length``: all of it."""

    length: int
    name: str
    parts: tuple[str, ...]


class _Texts:
    """Every version of a canned reply there has been, in every language, the longest first."""

    def __init__(self, versions: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        found = set()
        for name, body in versions:
            for text in body.get("texts", {}).values():
                parts = tuple(filter(None, (_closed_up(part) for part in _VARIABLE.split(text))))
                if parts:
                    found.add(_Text(sum(map(len, parts)), name, parts))
        longest_first = sorted(found, key=lambda one: (one.length, one.name), reverse=True)
        self._texts = [(one, max(one.parts, key=len)) for one in longest_first]

    def __bool__(self) -> bool:
        return bool(self._texts)

    def made_of(self, body: str) -> str | None:
        """The name of the longest canned reply an answer is made of."""
        said = _closed_up(body)
        most, least = len(said), len(said) * MOST_OF_IT
        first = bisect_left(self._texts, -most, key=lambda one: -one[0].length)
        for one, part in islice(self._texts, first, None):
            if one.length < least:
                return None
            if part in said and _holds(said, one.parts):
                return one.name
        return None


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
