"""What a person says about stories: taken apart, put together, moved. Kept as lessons, and taken back when wrong.

Only what was named moves, and whole cases with it; what comes later is placed with the lesson in mind.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from database import lock
from errors import InvalidInput, NotFoundError
from models import Case, CaseEvent, Mention, Story, StoryLesson, User
from triage import storyteller
from triage.storyteller import assign, begin, cases_of, count, dissolve, is_story, merge

SHOWN = 50  # acts


@dataclass(frozen=True)
class Act:
    """What a person did at one instant. ``lesson``: the first of its lessons, withdrawn by it. ``apart``: took so
    many cases out of the story asked about; else put so many together with it."""

    lesson: int
    user: User | None
    at: datetime
    apart: bool
    cases: int


def split_out(db: Session, story_id: int, mention_ids: Collection[int], user: User, at: datetime) -> Story | None:
    """These are another matter. Returns the story they make by themselves, None when they make none."""
    story, going, at = _taken(db, story_id, mention_ids, at)
    rest = _stays(db, story, going)
    voices = [_voice(db, number) for number in sorted(going)]
    for voice in voices:
        _teach(db, voice, rest, False, user, at)
        if voice != voices[0]:
            _teach(db, voices[0], voice, True, user, at)
    new = begin(db, at) if is_story(db, going) else None
    assign(db, going, new.id if new else None, actor=user.email, at=at)
    _settle(db, [story, *([new] if new else [])], user, at)
    return new


def move(db: Session, story_id: int, mention_ids: Collection[int], to: int, user: User, at: datetime) -> Story:
    """These belong to another story. Returns that."""
    story, going, at = _taken(db, story_id, mention_ids, at)
    target = storyteller.get(db, to)
    if target is story:
        raise InvalidInput("They are in that story already.", {"to": "name another story"})
    rest, there = _stays(db, story, going), _representative(db, cases_of(db, target.id))
    if there is None:
        raise InvalidInput("That story is empty.", {"to": "name another story"})
    for number in sorted(going):
        voice = _voice(db, number)
        _teach(db, voice, rest, False, user, at)
        _teach(db, voice, there, True, user, at)
    assign(db, going, target.id, actor=user.email, at=at)
    _settle(db, [story, target], user, at)
    return target


def join(db: Session, story_id: int, other_id: int, user: User, at: datetime) -> Story:
    """Both are one matter. Returns the first, which has taken up the other."""
    _hold(db, story_id, other_id)
    story, other = storyteller.get(db, story_id), storyteller.get(db, other_id)
    if story is other:
        raise InvalidInput("A story cannot be joined with itself.", {"other": "name another story"})
    mine, theirs = cases_of(db, story.id), cases_of(db, other.id)
    one, another = _representative(db, mine), _representative(db, theirs)
    if one is None or another is None:
        raise InvalidInput("There is nothing left in that story.", {"other": "name another story"})
    at = _not_before(db, [*mine, *theirs], at)
    _teach(db, one, another, True, user, at)
    merge(db, other, story, actor=user.email, at=at)
    _settle(db, [story], user, at)
    return story


def acts(db: Session, story_id: int) -> list[Act]:
    """What people have done to this story and not taken back, the latest first."""
    mine = select(Mention.id).where(Mention.story_id == story_id)
    about = (StoryLesson.withdrawn_at.is_(None), or_(StoryLesson.one_id.in_(mine), StoryLesson.other_id.in_(mine)))
    latest = select(StoryLesson.at).where(*about).group_by(StoryLesson.user_id, StoryLesson.at)
    instants = db.scalars(latest.order_by(func.max(StoryLesson.id).desc()).limit(SHOWN)).all()
    told = select(StoryLesson, User).outerjoin(User, User.id == StoryLesson.user_id)
    told = told.where(*about, StoryLesson.at.in_(instants))
    found: dict[tuple[int | None, datetime], tuple[list[StoryLesson], User | None]] = {}
    for lesson, teacher in db.execute(told.order_by(StoryLesson.id.desc())):  # all of an act, or its number is wrong
        found.setdefault((lesson.user_id, lesson.at), ([], teacher))[0].append(lesson)
    members = {id for lessons, _ in found.values() for lesson in lessons for id in (lesson.one_id, lesson.other_id)}
    here = set(db.scalars(select(Mention.id).where(Mention.id.in_(members), Mention.story_id == story_id)))
    done = []
    for (_, at), (lessons, by) in found.items():
        out = [lesson for lesson in lessons if not lesson.together and lesson.other_id in here]
        number = len(out) or len({lesson.one_id for lesson in lessons})
        done.append(Act(min(lesson.id for lesson in lessons), by, at, bool(out), number))
    return done[:SHOWN]


def withdraw(db: Session, lesson_id: int, user: User, at: datetime) -> None:
    """Take back everything done in that act: what still is where it was put goes back. Raises ``NotFoundError``."""
    lock(db, "reactions")
    lesson = db.get(StoryLesson, lesson_id)
    if lesson is None:
        raise NotFoundError(f"There is no lesson {lesson_id}.")
    same = (StoryLesson.user_id == lesson.user_id, StoryLesson.at == lesson.at, StoryLesson.withdrawn_at.is_(None))
    act = db.scalars(select(StoryLesson).where(*same)).all()
    for each in act:
        each.withdrawn_at = at
    if not act:
        return
    teacher = db.get(User, lesson.user_id) if lesson.user_id is not None else None
    actor = teacher.email if teacher else ""
    moved = select(CaseEvent.case_id, CaseEvent.changes).where(
        CaseEvent.at == lesson.at, CaseEvent.action == "join_story", CaseEvent.actor == actor
    )
    back: dict[int, tuple[int | None, int | None]] = {}
    for number, changes in db.execute(moved.order_by(CaseEvent.id)):
        before, after = changes["story"]
        back[number] = (back[number][0] if number in back else before, after)
    storyteller.hold(db, back, [])
    at = _not_before(db, back, at)
    touched: set[int] = set()
    for number, (before, after) in back.items():
        now = db.get_one(Case, number).story_id
        then = storyteller.get(db, after).id if after is not None else None
        if now == then:
            was = db.get(Story, before) if before is not None else None
            if was is not None and was.merged_into_id is not None:
                was.merged_into_id = None  # it had been taken up by this act, or by what this act made
            assign(db, [number], before, actor=user.email, at=at)
            touched |= {id for id in (before, then) if id is not None}
    _settle(db, [db.get_one(Story, id) for id in sorted(touched)], user, at)


# -- what these need -------------------------------------------------------------------------------------------------


def _hold(db: Session, *story_ids: int) -> None:
    lock(db, "reactions")  # as whoever places mentions does
    storyteller.hold(db, [], story_ids)


def _taken(db: Session, story_id: int, ids: Collection[int], at: datetime) -> tuple[Story, set[int], datetime]:
    """The story, and the cases of those mentions."""
    _hold(db, story_id)
    story = storyteller.get(db, story_id)
    named = select(Mention.case_id).where(Mention.id.in_(list(ids)), Mention.story_id == story.id)
    going = {number for number in db.scalars(named) if number is not None}
    if not going:
        raise InvalidInput("None of these is in the story.", {"mentions": "choose some of its mentions"})
    return story, going, _not_before(db, cases_of(db, story.id), at)


def _stays(db: Session, story: Story, going: set[int]) -> int:
    rest = _representative(db, [number for number in cases_of(db, story.id) if number not in going])
    if rest is None:
        raise InvalidInput("Nothing would be left in the story.", {"mentions": "choose fewer"})
    return rest


def _not_before(db: Session, numbers: Collection[int], at: datetime) -> datetime:
    """Events of a case keep the order of time; all of one act bear the same instant, by which it is found again."""
    last = db.scalar(select(func.max(CaseEvent.at)).where(CaseEvent.case_id.in_(numbers)))
    return max(at, last + timedelta(microseconds=1)) if last else at


def _representative(db: Session, numbers: Collection[int]) -> int | None:
    """The latest of their mentions: it is remembered longest."""
    said = select(Mention.id).where(Mention.case_id.in_(numbers), ~Mention.ours, ~Mention.context)
    return db.scalar(said.order_by(Mention.published_at.desc(), Mention.id.desc()).limit(1))


def _voice(db: Session, number: int) -> int:
    latest = _representative(db, [number])
    assert latest is not None, "a case in a story has a mention in it"
    return latest


def _teach(db: Session, one: int, other: int, together: bool, user: User, at: datetime) -> None:
    db.add(StoryLesson(one_id=one, other_id=other, together=together, user_id=user.id, at=at))


def _settle(db: Session, changed: list[Story], user: User, at: datetime) -> None:
    for story in changed:
        count(db, story)
        dissolve(db, story, actor=user.email, at=at)
