"""Stories that were told in a period: how large, how far they reached, and whether we answered before the press wrote.

Press is what ``triage.influence`` knows by its address: the newspapers and broadcasters of ``triage/words/press.tsv``.
Only a mention's own address tells, not one it links to, and a comment below an article is none, the same as on the page
of a story.

A story counts in each period in which somebody told it; its figures are of the whole story as it is known now, so that
what stands here is what its page and its cases show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, func, or_, select
from sqlalchemy.orm import Session

from models import Author, Case, CaseStatus, Mention, Reply, ReplyStatus, SharedAnswerPart, Story
from reports.figures import Asked, case_conditions, midnight
from triage import influence, policy

COUNTED = tuple(status for status in CaseStatus if status is not CaseStatus.ignored)
# Neither this nor what was sent is to be found by its index: that is nearly everything there is.
COUNTS = (Case.status.concat("").in_(COUNTED), (Case.merged_into_id + 0).is_(None))


@dataclass(frozen=True)
class Moment:
    """When something was said first, in which case, and by which newspaper where it was one."""

    at: datetime
    case: int | None
    name: str | None = None


@dataclass(frozen=True)
class Told:
    """One story. ``cases``: without what was ignored; ``answered`` of those have a public answer of ours.

    ``reach``: followers, each author once. ``for_all``: one answer for all went out in it.
    """

    id: int
    title: str
    opened_at: datetime
    mentions: int
    authors: int
    reach: int
    cases: int
    answered: int
    answer: Moment | None = None
    press: Moment | None = None
    for_all: bool = False

    @property
    def head_start(self) -> timedelta | None:
        """From our first answer to the first press mention: positive where we were first. None: one is missing."""
        return self.press.at - self.answer.at if self.press and self.answer else None

    @property
    def answered_share(self) -> float | None:
        return round(self.answered / self.cases, 4) if self.cases else None


@dataclass(frozen=True)
class Stories:
    """``told``: those of the period, the largest first. What is summed up is summed over all of them."""

    asked: Asked
    told: tuple[Told, ...]

    def sum_of(self, figure: str) -> int:
        """Of ``mentions``, ``authors`` …: who tells two stories is counted in both."""
        return sum(getattr(each, figure) for each in self.told)

    def only(self, which: str) -> Stories:
        """Those that one of ``SOME`` counts."""
        return replace(self, told=tuple(filter(SOME[which], self.told)))

    def count(self, which: str) -> int:
        return sum(map(SOME[which], self.told))

    @property
    def in_the_press(self) -> int:
        return self.count("in_the_press")

    @property
    def first(self) -> int:
        return self.count("answered_before")

    @property
    def after(self) -> int:
        return self.count("press_first")

    @property
    def silent(self) -> int:
        return self.count("press_unanswered")

    @property
    def head_start(self) -> timedelta | None:
        """The median (nearest rank) of those that have both an answer and a press mention."""
        known = [each.head_start for each in self.told if each.head_start is not None]
        return median_low(known) if known else None

    @property
    def for_all(self) -> int:
        return self.count("answer_for_all")


SOME: Mapping[str, Callable[[Told], bool]] = {  # as the columns are called that count them
    "in_the_press": lambda each: each.press is not None,
    "answered_before": lambda each: each.head_start is not None and each.head_start > timedelta(0),
    "press_first": lambda each: each.head_start is not None and each.head_start <= timedelta(0),  # or at the same time
    "press_unanswered": lambda each: each.press is not None and each.answer is None,
    "answer_for_all": lambda each: each.for_all,
}


def stories(db: Session, asked: Asked) -> Stories:
    """Seven queries, however many stories there are. ``asked.by`` and the clock play no part."""
    chosen = _chosen(db, asked)
    mentions = select(Mention.story_id, func.count(), func.count(Mention.author_id.distinct()))
    counted = _by_story(db, mentions.where(Mention.story_id.in_(chosen)).group_by(Mention.story_id))
    reach = _by_story(db, _reach(chosen))
    cases = _by_story(db, _cases(chosen))
    answers = _by_story(db, _first_answers(chosen))
    press = _press(db, chosen)
    for_all = set(db.scalars(_answered_for_all(chosen)))
    found = []
    for id, title, opened_at in db.execute(select(Story.id, Story.title, Story.opened_at).where(Story.id.in_(chosen))):
        n, authors = counted.get(id, (0, 0))
        of_cases, answered = cases.get(id, (0, 0))
        first = answers.get(id)
        found.append(
            Told(
                id,
                title,
                opened_at,
                mentions=n,
                authors=authors,
                reach=int(reach.get(id, (0,))[0] or 0),
                cases=of_cases,
                answered=answered,
                answer=Moment(first[1], first[0]) if first else None,
                press=press.get(id),
                for_all=id in for_all,
            )
        )
    found.sort(key=lambda each: (-each.mentions, each.id))
    return Stories(asked, tuple(found))


def cases_of(db: Session, asked: Asked, story: int | None, *, answered: bool) -> Select[Case]:
    """The cases that ``cases`` counts of a story, or of all, or those that ``answered`` counts: in that order."""
    of_it = [*COUNTS, Case.story_id.in_(_chosen(db, asked)) if story is None else Case.story_id == story]
    if answered:
        of_it.append(Case.first_response_at.is_not(None))
    return select(Case).where(*of_it).order_by(Case.first_response_at if answered else Case.opened_at, Case.id)


def _by_story(db: Session, asking: Executable) -> Mapping[int, Sequence[Any]]:
    return {row[0]: tuple(row[1:]) for row in db.execute(asking)}


def _chosen(db: Session, asked: Asked) -> Select[int]:
    """Told within the period, in at least one case of those asked for: where all were ignored, none is left."""
    zone = policy.read(db).zone
    start, end = midnight(asked.start, zone), midnight(asked.end, zone)
    told = select(Mention.id).where(
        Mention.story_id == Story.id, Mention.published_at >= start, Mention.published_at < end
    )
    of_it = select(Case.id).where(Case.story_id == Story.id, *COUNTS, *case_conditions(asked))
    return select(Story.id).where(
        Story.merged_into_id.is_(None), Story.last_at >= start, Story.opened_at < end, told.exists(), of_it.exists()
    )


def _reach(chosen: Select[int]) -> Executable:
    pairs = select(Mention.story_id, Mention.author_id).where(Mention.story_id.in_(chosen)).distinct().subquery()
    told_by = select(pairs.c.story_id, func.sum(Author.followers)).join(Author, Author.id == pairs.c.author_id)
    return told_by.group_by(pairs.c.story_id)


def _of(chosen: Select[int]) -> tuple[ColumnElement[bool], ...]:
    return (Case.story_id.in_(chosen), *COUNTS)


def _cases(chosen: Select[int]) -> Executable:
    counted = select(Case.story_id, func.count(), func.count(Case.first_response_at))
    return counted.where(*_of(chosen)).group_by(Case.story_id)


def _first_answers(chosen: Select[int]) -> Executable:
    """The case of a story that had our first public answer, and when."""
    order = func.row_number().over(partition_by=Case.story_id, order_by=(Case.first_response_at, Case.id))
    answered = select(Case.story_id, Case.id.label("number"), Case.first_response_at, order.label("place"))
    listed = answered.where(*_of(chosen), Case.first_response_at.is_not(None)).subquery()
    return select(listed.c.story_id, listed.c.number, listed.c.first_response_at).where(listed.c.place == 1)


def _press(db: Session, chosen: Select[int]) -> dict[int, Moment]:
    """The first article of a newspaper or broadcaster in each story."""
    above = func.coalesce(Mention.in_reply_to, func.nullif(Mention.thread, Mention.external_id))
    articles = (Mention.url.is_not(None), or_(above.is_(None), above == ""))
    listed = select(Mention.story_id, Mention.published_at, Mention.case_id, Mention.url)
    of_them = listed.where(Mention.story_id.in_(chosen), *articles).order_by(Mention.published_at, Mention.id)
    found: dict[int, Moment] = {}
    for story_id, at, case_id, url in db.execute(of_them):
        if story_id is not None and story_id not in found and (name := influence.press(url)) is not None:
            found[story_id] = Moment(at, case_id, name)
    return found


def _answered_for_all(chosen: Select[int]) -> Select[Any]:
    parts = select(Case.story_id).join(SharedAnswerPart, SharedAnswerPart.case_id == Case.id)
    sent = parts.join(Reply, Reply.id == SharedAnswerPart.reply_id).where(Reply.status.concat("") == ReplyStatus.sent)
    return sent.where(Case.story_id.in_(chosen)).distinct()
