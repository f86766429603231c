"""What the screens and the API tell of a story, read from the database. Each asks a bounded number of queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal, or_, select, tuple_
from sqlalchemy.orm import Session, joinedload

import channels
from models import Author, Case, CaseStatus, Fingerprint, Mention, Story, StoryLesson, UTCDateTime
from triage import influence, story_alarm
from triage.states import OUR_TURN
from triage.stories import Growth, Item, Timeline, growth, timeline

TOLD = 5_000  # mentions a timeline is made of, the first ones
SPREADERS = 5
SAMPLE = 201  # authors of a channel, the latest seen, that say how many followers are usual there
HOUR = timedelta(hours=1)
# Channels whose mentions are articles and comments below them.
SITES = frozenset(name for name, channel in channels.CHANNELS.items() if "feed" in (channel.collects or ()))


@dataclass(frozen=True)
class Glance:
    """A story in a list. ``unanswered``: of its cases, those being worked on where somebody waits for an answer."""

    story: Story
    growth: Growth
    channels: list[str]
    languages: list[str]
    cases: int
    unanswered: int


def glances(db: Session, found: Sequence[Story], at: datetime) -> list[Glance]:
    ids = [story.id for story in found]
    facts = (Case.story_id, Case.channel, Case.language)
    waits = func.count(Case.waiting_since).filter(Case.status.in_(OUR_TURN))
    counted = db.execute(
        select(*facts, func.count(), waits)
        .where(Case.story_id.in_(ids), Case.status != CaseStatus.ignored, Case.merged_into_id.is_(None))
        .group_by(*facts)
    ).all()
    lately = select(Mention.story_id, Mention.published_at).where(
        Mention.story_id.in_(ids), Mention.published_at > at - 2 * HOUR, Mention.published_at <= at
    )
    times: dict[int | None, list[datetime]] = defaultdict(list)
    for story_id, when in db.execute(lately):
        times[story_id].append(when)

    def usual(hour: datetime) -> float:
        return story_alarm.usual(db, hour)

    return [
        Glance(
            story,
            growth(times[story.id], at, usual),
            _most(counted, story.id, 1),
            _most(counted, story.id, 2),
            sum(row[3] for row in counted if row[0] == story.id),
            sum(row[4] for row in counted if row[0] == story.id),
        )
        for story in found
    ]


def _most(counted: Sequence[Sequence[object]], story_id: int, place: int) -> list[str]:
    """The channels, or the languages, of a story's cases, the most common first."""
    values: Counter[str] = Counter()
    for row in counted:
        if row[0] == story_id and (value := row[place]) and value != "und":
            values[str(value)] += int(str(row[3]))
    return [value for value, _ in values.most_common()]


# -- one story --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Voice:
    """Somebody who tells it. ``reasons``: why it matters that they do."""

    author: Author
    mentions: int
    reasons: list[influence.Reason]


@dataclass(frozen=True)
class Told:
    """How a story went. ``first``: the mention it began with; ``whole``: not only its beginning was looked at."""

    timeline: Timeline
    first: Mention
    starter: Voice | None
    spreaders: list[Voice]  # most mentions first, then most followers
    began: dict[int, str]  # the first mention of each stage -> who wrote it
    whole: bool


def told(db: Session, story: Story) -> Told | None:
    """None for a story that has nothing left in it."""
    columns = (Mention.id, Mention.published_at, Mention.author_id, Mention.channel, Mention.url)
    above = func.coalesce(Mention.in_reply_to, func.nullif(Mention.thread, Mention.external_id))
    of_it = select(*columns, above, Author.followers).outerjoin(Author, Author.id == Mention.author_id)
    of_it = of_it.where(Mention.story_id == story.id).order_by(Mention.published_at, Mention.id).limit(TOLD)
    items, followers = [], {}
    for id, at, author_id, channel, url, quotes, known in db.execute(of_it):
        author = str(author_id) if author_id is not None else None
        items.append(Item(id, at, "", None, None, (), (quotes,) if quotes else (), None, author, channel, url))
        if author is not None and known is not None:
            followers[author] = known
    if not items:
        return None
    line = timeline(items, followers, influence.hosts(), SITES)
    first = db.get_one(Mention, line.first, options=[joinedload(Mention.author)])
    voices = Counter(item.author for item in items)
    most = sorted(line.spreaders, key=lambda each: (-each[1], -followers.get(each[0], 0)))
    spreaders = [int(author) for author, _ in most[:SPREADERS]]
    openers = select(Mention.id, Author.name).join(Author, Author.id == Mention.author_id)
    known_by = {author.id: author for author in db.scalars(select(Author).where(Author.id.in_(spreaders)))}
    return Told(
        line,
        first,
        Voice(first.author, voices[str(first.author_id)], reasons(db, first.author, story)) if first.author else None,
        [Voice(known_by[id], voices[str(id)], reasons(db, known_by[id], story)) for id in spreaders],
        {id: name for id, name in db.execute(openers.where(Mention.id.in_([each.first for each in line.stages])))},
        len(items) < TOLD,
    )


def reasons(db: Session, author: Author, story: Story | None) -> list[influence.Reason]:
    """Why it matters that this author writes; ``story``: the one at hand, which does not count as an earlier one."""
    earlier = [Mention.author_id == author.id, Story.size > 0]
    if story is not None:
        earlier += [Story.id != story.id, Story.opened_at < story.opened_at]
    of_theirs = select(func.count(Story.id.distinct())).join(Mention, Mention.story_id == Story.id).where(*earlier)
    addresses = select(Mention.url).where(Mention.author_id == author.id, Mention.url.is_not(None))
    # From the latest author back: by an index of the channel SQLite would sort all authors of it first.
    channel = Author.channel + "" if db.get_bind().dialect.name == "sqlite" else Author.channel
    sample = select(Author.followers).where(channel == author.channel, Author.followers.is_not(None))
    usual = db.scalars(sample.order_by(Author.id.desc()).limit(SAMPLE)).all() if author.followers is not None else ()
    return influence.reasons(
        influence.Facts(
            followers=author.followers,
            usual=[n for n in usual if n is not None],
            started=db.scalar(of_theirs.where(Mention.published_at == Story.opened_at)) or 0,
            joined=db.scalar(of_theirs) or 0,
            urls=[url for url in (author.url, *db.scalars(addresses.limit(3))) if url],
        )
    )


@dataclass(frozen=True)
class Bar:
    """``at``: when the hour or day begins; ``place``: from the left."""

    at: datetime
    place: int
    mentions: int


def bars(line: Timeline, zone: object, most: int = 48) -> tuple[list[Bar], bool]:
    """Mentions per hour, without gaps; per day of the organisation when that would be more than ``most``. And which."""
    first, last = line.hours[0][0], line.hours[-1][0]
    span = int((last - first) / HOUR) + 1
    if span <= most:
        counted = dict(line.hours)
        hours = [first + n * HOUR for n in range(span)]
        return [Bar(hour, place, counted.get(hour, 0)) for place, hour in enumerate(hours)], True
    days: Counter[datetime] = Counter()
    for hour, n in line.hours:
        local = hour.astimezone(zone)  # type: ignore[arg-type]
        days[local.replace(hour=0)] += n
    latest = sorted(days.items())[-most:]
    return [Bar(day, place, n) for place, (day, n) in enumerate(latest)], False


@dataclass(frozen=True)
class Member:
    """``because``: first, link, quote, text, words, hand or others; ``words`` and another mention it is like."""

    mention: Mention
    because: str
    words: list[str]
    like: Mention | None


def members(db: Session, story: Story, first: int, after: int | None, limit: int) -> tuple[list[Member], int | None]:
    """The mentions of a story in order of time, a page at a time: after the mention ``after``. And where to go on."""
    query = select(Mention).where(Mention.story_id == story.id)
    last = db.get(Mention, after) if after is not None else None
    if last is not None:
        here = tuple_(Mention.published_at, Mention.id)
        query = query.where(here > tuple_(literal(last.published_at, UTCDateTime()), literal(last.id)))
    query = query.options(joinedload(Mention.author), joinedload(Mention.case))
    found = list(db.scalars(query.order_by(Mention.published_at, Mention.id).limit(limit + 1)))
    shown = found[:limit]
    return _why(db, shown, first), shown[-1].id if len(found) > limit else None


def why(db: Session, mention: Mention, first: int) -> Member:
    return _why(db, [mention], first)[0]


def _why(db: Session, shown: Sequence[Mention], first: int) -> list[Member]:
    ids = [mention.id for mention in shown]
    kept = select(Fingerprint.mention_id, Fingerprint.because).where(Fingerprint.mention_id.in_(ids))
    kin = {id: because[0] for id, because in db.execute(kept) if because}
    taught = select(StoryLesson.one_id, StoryLesson.other_id).where(
        StoryLesson.together, StoryLesson.withdrawn_at.is_(None), or_(*(each.in_(ids) for each in _ENDS))
    )
    by_hand = {id for pair in db.execute(taught) for id in pair}
    named = select(Mention).where(Mention.id.in_({each[0] for each in kin.values()}))
    others = {other.id: other for other in db.scalars(named.options(joinedload(Mention.author)))}
    listed = []
    for mention in shown:
        other, _, reason, words = kin.get(mention.id, (None, 0, "others", []))
        if mention.id == first:
            listed.append(Member(mention, "first", [], None))
        elif mention.id in by_hand:
            listed.append(Member(mention, "hand", [], None))
        else:
            listed.append(Member(mention, reason, words, others.get(other)))
    return listed


_ENDS = (StoryLesson.one_id, StoryLesson.other_id)
