"""What people taught the judges by correcting them: kept, in force at once, and taken back when it was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from database import Remembered
from errors import NotFoundError
from models import CONCERNS_US, Author, CaseEvent, Lesson, Mention, Source, User
from triage import judges, learning, noise
from triage.judges import Judgement

JUDGES = ("language", "kind", "wants_answer", "sentiment", "urgency", "noise")
TRUSTED = 20  # mentions of an author or a source after which their languages count as known


def lessons(db: Session) -> learning.Lessons:
    """Every lesson in force. Read anew only when one was added or taken back: otherwise one small query."""
    withdrawn = (func.count(Lesson.withdrawn_at), func.max(Lesson.withdrawn_at))
    return _in_mind.get(db, select(func.count(), func.max(Lesson.id), func.max(Lesson.at), *withdrawn))


def _read(db: Session) -> learning.Lessons:
    said = (Mention.title, Mention.text, Mention.language)  # without its HTML, which may be long
    in_force = select(Lesson.id, Lesson.judge, Lesson.value, *said).join(Mention, Mention.id == Lesson.mention_id)
    return learning.Lessons.of(_as_taught(*row) for row in db.execute(in_force.where(Lesson.withdrawn_at.is_(None))))


_in_mind = Remembered(_read)


def _as_taught(id: int, judge: str, value: str, title: str | None, text: str, language: str | None) -> learning.Lesson:
    whole = f"{title}\n{text}" if title else text
    return learning.Lesson(id, judge, value, whole, language or "und")


def judge(db: Session, mention: Mention, source: Source | None) -> None:
    """Let every judge speak of a mention, and keep what they said and why on it."""
    author = mention.author
    said = judges.judge(
        mention.text,
        title=mention.title,
        expected=expected(author.languages if author else {}, source.languages if source else {}),
        author=noise.Author(author.handle or "", author.name, author.followers) if author else noise.NOBODY,
        lessons=lessons(db),
    )
    mention.judgement = _kept(said)
    mention.language = said.language.value
    if said.language.value != "und":
        for one in (author, source):
            if one is not None:
                one.languages = {**one.languages, mention.language: one.languages.get(mention.language, 0) + 1}


def language(db: Session, title: str | None, text: str, author: Author | None, source: Source | None) -> str:
    """What ``judge`` will say of the language, before there is a mention to keep it on."""
    whole = f"{title}\n{text}" if title else text
    before = expected(author.languages if author else {}, source.languages if source else {})
    return judges.detect(whole, expected=before, lessons=lessons(db)).value


def _kept(said: Judgement) -> dict[str, Any]:
    verdicts = ((judge, getattr(said, judge)) for judge in JUDGES)
    return {
        judge: [verdict.value, round(verdict.confidence, 3), list(verdict.because)]
        for judge, verdict in verdicts
        if verdict is not None
    }


def expected(author: Mapping[str, int], source: Mapping[str, int]) -> dict[str, float]:
    """Language -> share in what the author and the source wrote earlier; little when little is known."""
    known = {language: 2 * author.get(language, 0) + source.get(language, 0) for language in {*author, *source}}
    total = max(sum(known.values()), TRUSTED)
    return {language: count / total for language, count in known.items()}


def learn(db: Session, event: CaseEvent, at: datetime) -> None:
    """A person has set what a judge had said otherwise: a lesson on the mention it was said of."""
    user = db.scalar(select(User).where(User.email == event.actor))
    if user is None:
        return
    for judge in JUDGES:
        if judge in event.changes:
            mention = _judged(db, event.case_id, judge)
            if mention is not None:
                _teach(db, mention, judge, event.changes[judge][1], user, at)


def _judged(db: Session, case_id: int, judge: str) -> Mention | None:
    """The mention a case has it from: its kind from the first thing said, the rest from the last."""
    first = (Mention.published_at, Mention.id)
    order = first if judge == "kind" else tuple(each.desc() for each in first)
    said = (Mention.case_id == case_id, CONCERNS_US)
    return db.scalar(select(Mention).where(*said, Mention.judgement.is_not(None)).order_by(*order).limit(1))


def _teach(db: Session, mention: Mention, judge: str, given: Any, user: User, at: datetime) -> None:
    value = {True: "yes", False: "no", None: "none"}.get(given, given)
    earlier = (Lesson.mention_id == mention.id, Lesson.judge == judge, Lesson.withdrawn_at.is_(None))
    for lesson in db.scalars(select(Lesson).where(*earlier)):
        lesson.withdrawn_at = at
    was = (mention.judgement or {}).get(judge, ["none"])[0]
    if was != value and value in learning.VALUES[judge]:
        db.add(Lesson(judge=judge, mention_id=mention.id, was=was, value=value, user_id=user.id, at=at))
    db.flush()


def withdraw(db: Session, lesson_id: int, *, at: datetime) -> None:
    """It was wrong: from now on it is as if it had never been. Raises ``NotFoundError``."""
    lesson = db.get(Lesson, lesson_id)
    if lesson is None:
        raise NotFoundError(f"There is no lesson {lesson_id}.")
    lesson.withdrawn_at = lesson.withdrawn_at or at
