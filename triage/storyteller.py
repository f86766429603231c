"""Stories of stored mentions: each mention on its way through the reactions is placed, and a story is told of in time.

A story is a set of cases: what is said in one case is one matter, so a mention's story is always its case's. It begins
when a second conversation, or somebody passing it on, tells of the same, by another author or in another channel.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, distinct, func, select, update
from sqlalchemy.orm import Session

from database import Database
from errors import NotFoundError
from models import Author, Case, CaseEvent, Fingerprint, Mention, Reply, Story
from triage import cases, intake, stories, story_alarm, story_memory

ACTOR = "stories"
AT_ONCE = 500
KEPT = timedelta(days=90)  # a fingerprint; the stories stay
_HREF = re.compile(r"""href\s*=\s*["'](https?://[^"'\s]+)""", re.IGNORECASE)


def tell(db: Session, event: CaseEvent, at: datetime) -> None:
    """A reaction to whatever brings a mention into a case: place it. Ours, context and history are part of no story."""
    mention = db.get(Mention, event.mention_id)
    if mention is None or mention.ours or mention.context or mention.imported or mention.case_id is None:
        return
    if db.get(Fingerprint, mention.id) is not None:  # taken out of its case into one of its own
        follow_case(db, event, at)
        return
    memory = story_memory.current(db)
    print = stories.fingerprint(item(db, mention))
    placing, members = memory.add(mention, print)
    because = [[other, kin.strength, kin.reason, list(kin.words)] for other, kin in placing.kin]
    placed_at = story_memory.next_place(memory, at)
    db.add(Fingerprint(mention_id=mention.id, at=placed_at, body=print.to_json(), because=because))
    found = db.get_one(Case, mention.case_id).story_id
    told = {memory.story[id] for id in members if id in memory.story} | ({found} if found else set())
    loose = sorted(members - memory.story.keys())[-AT_ONCE:]
    numbers = _cases(db, loose)
    if not told and not is_story(db, numbers):
        return
    hold(db, numbers, told)
    numbers = _cases(db, loose)  # whom we waited for may have merged some
    story = _one_of(db, told, at, memory) if told else begin(db, mention.published_at)
    assign(db, numbers, story.id, actor=ACTOR, at=at)
    memory.keep(members, story.id)
    memory.event = db.scalar(select(func.max(CaseEvent.id))) or 0
    count(db, story)
    story_alarm.look(db, story, at)


def follow_case(db: Session, event: CaseEvent, at: datetime) -> None:
    """A reaction to cases that were merged or split: everything in a case belongs to the story of that case."""
    number = event.case_id
    there = select(Mention.story_id).where(*_members(number)).distinct()
    found = {id for id in db.scalars(there) if id is not None}
    hold(db, {number}, found)  # if one of them is no story any more, its other cases are told so
    case = cases.get(db, number)
    if case.merged_into_id is not None:
        cases.join_story(db, number, story_id=None, actor=ACTOR, at=at)
    elif found:
        story = case.story_id if case.story_id is not None else min(found)
        assign(db, {number}, story, actor=ACTOR, at=at)
        found.add(story)
    for id in sorted(found):
        count(db, db.get_one(Story, id))
        dissolve(db, db.get_one(Story, id), actor=ACTOR, at=at)


def unmerged(db: Session, event: CaseEvent, at: datetime) -> None:
    """A reaction to a merge that was undone: the case belongs to the story it did when ``event`` merged it."""
    case = cases.get(db, event.case_id)
    joined = (CaseEvent.case_id == event.case_id, CaseEvent.id > event.id, CaseEvent.action == "join_story")
    first = db.scalar(select(CaseEvent).where(*joined).order_by(CaseEvent.id).limit(1))
    before = first.changes["story"][0] if first is not None and first.actor == ACTOR else case.story_id
    concerned = {id for id in (before, case.story_id) if id is not None}
    hold(db, {case.id}, concerned)
    assign(db, {case.id}, before, actor=ACTOR, at=at)
    for id in sorted(concerned):
        count(db, db.get_one(Story, id))


def item(db: Session, mention: Mention) -> stories.Item:
    """The mention as it is compared."""
    links = dict.fromkeys(_HREF.findall(mention.html or ""))
    links |= dict.fromkeys(one["url"] for one in mention.attachments if one["type"] == "link" and one.get("url"))
    above = dict.fromkeys(id for id in (mention.in_reply_to, mention.thread) if id and id != mention.external_id)
    quotes = tuple(id for id in above if not _ours(db, mention.channel, id))
    return stories.Item(
        id=mention.id,
        at=story_memory.when(mention.published_at, mention.collected_at),
        text=mention.text,
        title=mention.title,
        language=mention.language,
        links=tuple(links),
        quotes=quotes,
        thread=None if above else mention.external_id,
        author=str(mention.author_id) if mention.author_id else None,
        channel=mention.channel,
        url=mention.url if "#" not in (mention.url or "") else None,  # without its fragment it is the article above
    )


def _ours(db: Session, channel: str, external_id: str) -> bool:
    """Below what we said ourselves people write about anything."""
    found = intake.find(db, channel, external_id)
    if found is not None:
        return found.ours
    sent = select(Reply.id).where(Reply.channel == channel, Reply.external_id == external_id)
    return db.scalar(sent.limit(1)) is not None


# -- what a story is -------------------------------------------------------------------------------------------------


def get(db: Session, story_id: int) -> Story:
    """The story, or the one it was merged into. Raises ``NotFoundError``."""
    story = db.get(Story, story_id)
    seen: set[int] = set()
    while story is not None and story.merged_into_id is not None and story.id not in seen:
        seen.add(story.id)
        story = db.get(Story, story.merged_into_id)
    if story is None:
        raise NotFoundError(f"There is no story {story_id}.")
    return story


def _cases(db: Session, mention_ids: Collection[int]) -> set[int]:
    found = select(Mention.case_id).where(Mention.id.in_(mention_ids)).distinct()
    return {number for number in db.scalars(found) if number is not None}


def _members(number: int) -> tuple[ColumnElement[bool], ...]:
    return (Mention.case_id == number, ~Mention.ours, ~Mention.context)


def is_story(db: Session, numbers: Collection[int]) -> bool:
    """Told in two conversations, or passed on; by two authors, or in two channels."""
    conversation = case((~Mention.repost, Mention.case_id))
    told = select(
        func.count(distinct(conversation)) + func.count(case((Mention.repost, 1))),
        func.count(distinct(Mention.author_id)),
        func.count(distinct(Mention.channel)),
    ).where(Mention.case_id.in_(numbers), ~Mention.ours, ~Mention.context)
    voices, authors, channels = db.execute(told).one()
    return voices >= 2 and (authors >= 2 or channels >= 2)


def begin(db: Session, at: datetime) -> Story:
    story = Story(title="", opened_at=at, last_at=at)
    db.add(story)
    db.flush()
    return story


def hold(db: Session, numbers: Collection[int], stories_: Collection[int]) -> None:
    """Before many cases are changed: these, and those of the stories."""
    cases.wait_for_intake(db, Case.id.in_(numbers) | Case.story_id.in_(stories_))


def assign(db: Session, numbers: Iterable[int], story_id: int | None, *, actor: str, at: datetime) -> None:
    """These cases, with everything said in them, belong to that story, or to none."""
    for number in sorted(numbers):
        cases.join_story(db, number, story_id=story_id, actor=actor, at=at)
        elsewhere = Mention.story_id.is_distinct_from(story_id)  # mostly one, of the many that are there
        db.execute(update(Mention).where(*_members(number), elsewhere).values(story_id=story_id))


def cases_of(db: Session, story_id: int) -> list[int]:
    return list(db.scalars(select(Case.id).where(Case.story_id == story_id).order_by(Case.id)))


def _one_of(db: Session, ids: set[int], at: datetime, memory: story_memory.Memory) -> Story:
    """The largest takes up the others."""
    found = [db.get_one(Story, id) for id in sorted(ids)]
    story = max(found, key=lambda each: (each.size, -each.id))
    for other in found:
        if other is not story:
            merge(db, other, story, actor=ACTOR, at=at)
            memory.merged(other.id, story.id)
    return story


def merge(db: Session, other: Story, into: Story, *, actor: str, at: datetime) -> None:
    assign(db, cases_of(db, other.id), into.id, actor=actor, at=at)
    other.merged_into_id, other.size, other.authors, other.reach = into.id, 0, 0, 0
    if into.alarmed_at is None:
        into.alarmed_at, into.alarm = other.alarmed_at, other.alarm


def dissolve(db: Session, story: Story, *, actor: str, at: datetime) -> None:
    """What is left is no story any more: its row stays, empty, for who has its address."""
    numbers = cases_of(db, story.id)
    if numbers and not is_story(db, numbers):
        assign(db, numbers, None, actor=actor, at=at)
        count(db, story)


def count(db: Session, story: Story) -> None:
    """Size, authors, reach, first and last, and its title: the beginning of what was passed on most, or came first."""
    db.flush()
    members = Mention.story_id == story.id
    size, first, last = db.execute(
        select(func.count(), func.min(Mention.published_at), func.max(Mention.published_at)).where(members)
    ).one()
    who = select(func.count(), func.coalesce(func.sum(Author.followers), 0))
    who = who.where(Author.id.in_(select(Mention.author_id).where(members)))
    story.size = size
    authors, reach = db.execute(who).one()
    story.authors, story.reach = authors, int(reach or 0)
    if size:
        story.opened_at, story.last_at = first, last
    titled = select(Case.subject).where(Case.story_id == story.id, Case.subject != "")
    story.title = db.scalar(titled.order_by(Case.spread.desc(), Case.opened_at, Case.id).limit(1)) or story.title
    db.flush()


def tick(database: Database, at: datetime) -> None:
    """Forget how mentions of long ago were compared, some at a time."""
    old = select(Fingerprint.mention_id).where(Fingerprint.at <= at - KEPT).order_by(Fingerprint.at).limit(AT_ONCE)
    with database.read() as db:
        some = list(db.scalars(old))
    if some:
        with database.transaction() as db:
            db.execute(delete(Fingerprint).where(Fingerprint.mention_id.in_(some)))
