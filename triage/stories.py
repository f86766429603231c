"""Stories: the mentions that spread one matter, drawn together as they arrive. No database, no clock of its own.

What surely belongs together (the same link, the same item passed on, a near-equal text) makes an *echo*; echoes and
single mentions that tell of the same event in other words make a *story*. Where the order of arrival matters:
``docs/stories.md``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from triage.echoes import Echoes
from triage.fingerprints import APART, Fingerprint, Item, Kin, contrary, fingerprint, kinship, worth
from triage.spread import Alarm, Growth, Stage, Timeline, alarming, growth, timeline

__all__ = [
    "Alarm",
    "Fingerprint",
    "Gatherer",
    "Growth",
    "Item",
    "Kin",
    "Placing",
    "Stage",
    "Timeline",
    "alarming",
    "fingerprint",
    "growth",
    "kinship",
    "timeline",
]

SILENCE = timedelta(days=7)  # ends a story
JOINS = 0.10  # likeness of a mention and a story from which it belongs there
MERGES = 0.23  # likeness of two stories from which they are one
STRICT = 0.25  # so much more alike a story of one has to be: chance joins the small
FEW = 8  # mentions of a story that one shared word is too little for
EVEN = 0.75  # power that keeps a story's commonest word from being all of it
EVERYDAY = timedelta(days=1)
FADES = timedelta(days=2)  # in which the likeness to a silent story halves
DOUBTED = 0.5  # what a word is worth between stories a person has taken apart
LOOKED_AT = 60  # stories per word, the latest active first
TELLING = 24  # words of a mention or story that are looked up, the weightiest
PROFILE = 300  # words a story is known by; beyond, the weaker half goes
KIN = 5  # named in a placing


@dataclass(frozen=True)
class Placing:
    """Where a mention landed. ``story``: the smallest id of its mentions, None while it is alone. ``kin``: why,
    strongest first. ``joins``: the stories that thereby became part of this one; a mention alone is the story of its
    id. ``echo``: the smallest id among the same message's copies."""

    story: int | None
    kin: tuple[tuple[int, Kin], ...]
    joins: tuple[int, ...]
    echo: int


@dataclass(eq=False)
class _Story:
    id: int
    members: set[int]
    first: datetime
    last: datetime
    profile: dict[str, float] = field(default_factory=dict)
    square: float = 0.0  # of the profile's length, after EVEN
    marks: Counter[str] = field(default_factory=Counter)
    foes: set[int] = field(default_factory=set)  # mentions that must not come in
    doubts: set[str] = field(default_factory=set)  # words that joined what does not belong together


@dataclass(frozen=True)
class _Mention:
    at: datetime
    print: Fingerprint


class Gatherer:
    """The mentions of the last two silences, and which belong together. Give it the lessons and the stored mentions
    first, these in order of time."""

    def __init__(self, silence: timedelta = SILENCE) -> None:
        self.silence = silence
        self._mentions: dict[int, _Mention] = {}
        self._order: list[tuple[datetime, int]] = []
        self._story: dict[int, _Story] = {}
        self._echoes = Echoes(silence)
        self._told: dict[str, dict[_Story, None]] = defaultdict(dict)  # word -> stories, the latest active last
        self._seen: Counter[str] = Counter()
        self._everyday: Counter[str] = Counter()  # the same, in the first `_aged` mentions: those older than a day
        self._aged = 0
        self._together: dict[int, set[int]] = defaultdict(set)
        self._apart: dict[int, set[int]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._mentions)

    def __contains__(self, id: int) -> bool:
        return id in self._mentions

    def rarity(self, feature: str) -> float:
        """What an hour is full of still tells, what every day is full of does not: concepts as they were a day ago."""
        if feature.startswith("¤"):
            return worth(feature, self._everyday[feature], self._aged)
        return worth(feature, self._seen[feature], len(self._mentions))

    def story(self, id: int) -> int | None:
        """None for a mention that is alone, or no longer remembered."""
        story = self._story.get(id)
        return story.id if story and (len(story.members) > 1 or story.id != id) else None

    def members(self, story: int) -> frozenset[int]:
        """The remembered mentions of a story."""
        found = self._story.get(story) or next((each for each in self._story.values() if each.id == story), None)
        return frozenset(found.members) if found and found.id == story else frozenset()

    def beside(self, id: int) -> frozenset[int]:
        """All that are in one story with it, itself included."""
        return frozenset(self._story[id].members if id in self._story else (id,))

    def echo(self, id: int) -> frozenset[int]:
        """The mentions that surely pass on the same message; does not depend on the order of arrival."""
        return self._echoes.of(id)

    def add(self, id: int, at: datetime, print: Fingerprint) -> Placing:
        """Costs what LOOKED_AT and the echoes allow, whatever has been stored. The same id again changes nothing."""
        return self._place(id, at, print, judge=True)

    def restore(self, id: int, at: datetime, print: Fingerprint, beside: int | None) -> None:
        """A mention placed earlier, and one it stood with: what is sure joins as ever, words decide nothing."""
        self._place(id, at, print, judge=False)
        if beside is not None:
            self.unite(id, beside)

    def unite(self, a: int, b: int) -> None:
        """They are together, as was found elsewhere; no lesson, and nothing where a lesson says otherwise."""
        if a in self._story and b in self._story:
            self._unite(self._story[a], self._story[b])

    def _place(self, id: int, at: datetime, print: Fingerprint, judge: bool) -> Placing:
        if id in self._mentions:
            return Placing(self.story(id), (), (), min(self._echoes.of(id)))
        self._mentions[id] = _Mention(at, print)
        self._note(at, id)
        others = self._echoes.add(id, at, print)
        related = ((other, kinship(print, self._mentions[other].print, self.rarity)) for other in others)
        sure = sorted(
            ((other, kin) for other, kin in related if kin), key=lambda found: (-found[1].strength, -found[0])
        )
        self._alone(id)
        before = {id}
        kin = sure[:KIN]
        for other in sorted((self._said_one(id) - {id}) & self._mentions.keys()):
            before.add(self._story[other].id)
            self._force(id, other)
        for other, _ in sure:
            there = self._story[other].id
            if self._unite(self._story[id], self._story[other]):
                before.add(there)
        if judge:
            kin += self._by_words(id, before)
            self._settle(self._story[id], before)
        story = self._story[id]
        alone = len(story.members) == 1 and story.id == id
        placing = Placing(
            story=None if alone else story.id,
            kin=tuple((other, why) for other, why in kin if self._story[other] is story),  # not where a person said no
            joins=tuple(sorted(before - {story.id, id})),
            echo=min(self._echoes.of(id)),
        )
        self._forget(self._order[-1][0] - 2 * self.silence)
        return placing

    # -- what a person says: always wins, the latest word over earlier ones

    def together(self, a: int, b: int) -> None:
        """These two are one matter. Lifts earlier ``apart`` between those that were said to belong with either."""
        mine, yours = self._said_one(a), self._said_one(b)
        for one in mine & self._apart.keys():
            for other in self._apart[one] & yours:
                self._apart[other].discard(one)
            self._apart[one] -= yours
        for story in {self._story[each] for each in mine | yours if each in self._story}:
            story.foes = set().union(*(self._apart.get(each, ()) for each in story.members))
        self._together[a].add(b)
        self._together[b].add(a)
        if a in self._mentions and b in self._mentions:
            self._force(a, b)

    def apart(self, a: int, b: int) -> None:
        """These two are not. What joined them counts less between their stories from now on."""
        for other in list(self._together[a]):
            self._together[a].discard(other)
            self._together[other].discard(a)
            if b not in self._said_one(other):
                self._together[a].add(other)
                self._together[other].add(a)
        self._apart[a].add(b)
        self._apart[b].add(a)
        if a in self._story and self._story[a] is self._story.get(b):
            self._regather(self._story[a].members)
        for one, other in ((a, b), (b, a)):
            if one in self._story:
                self._story[one].foes.add(other)
        self._doubt(a, b)

    # -- the same event in other words

    def _alone(self, id: int) -> _Story:
        mention = self._mentions[id]
        weights = {feature: factor * self.rarity(feature) for feature, factor in mention.print.features()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        story = _Story(id, {id}, mention.at, mention.at, foes=set(self._apart.get(id, ())))
        story.profile = {feature: weight / length for feature, weight in weights.items()}
        story.square = sum(weight ** (2 * EVEN) for weight in story.profile.values())
        story.marks.update(mention.print.told_apart())
        self._story[id] = story
        for foe in story.foes:
            self._doubt(id, foe)
        for feature in story.profile:
            self._told[feature][story] = None
        return story

    def _doubt(self, a: int, b: int) -> None:
        if a in self._story and b in self._story:
            shared = self._shared(a, b)
            self._story[a].doubts |= shared
            self._story[b].doubts |= shared

    def _shared(self, a: int, b: int) -> set[str]:
        mine, yours = ({feature for feature, _ in self._mentions[each].print.features()} for each in (a, b))
        return mine & yours

    def _by_words(self, id: int, before: set[int]) -> list[tuple[int, Kin]]:
        """Joins the most alike story, if it is like enough."""
        here = self._story[id]
        if len(here.members) > 1:
            return []
        best, likeness = self._most_alike(here, here.profile, 1.0, JOINS)
        if best is None:
            return []
        shared = sorted(
            here.profile.keys() & best.profile.keys(), key=lambda each: -here.profile[each] * best.profile[each]
        )
        near = (
            max(best.members, key=lambda other: (len(self._shared(id, other)), -other))
            if len(best.members) < FEW
            else best.id
        )
        before.add(best.id)
        self._unite(here, best)
        return [(near, Kin(round(min(likeness, 0.85), 4), "words", tuple(shared[:5])))]

    def _settle(self, story: _Story, before: set[int]) -> None:
        """Now and then as it grows, a story looks for another that tells the same."""
        size = len(story.members)
        while size > 1 and (size & (size - 1) == 0 or size % 16 == 0):
            even = {feature: weight**EVEN for feature, weight in story.profile.items()}
            other, _ = self._most_alike(story, even, story.square, MERGES)
            if other is None:
                return
            before.update((story.id, other.id))
            story = self._unite(story, other) or story

    def _most_alike(
        self, to: _Story, weights: dict[str, float], square: float, least: float
    ) -> tuple[_Story | None, float]:
        scores: dict[_Story, float] = {}
        shared: Counter[_Story] = Counter()
        for feature, weight in sorted(weights.items(), key=lambda each: -each[1])[:TELLING]:
            counts = 2 if feature.startswith("¤") else 1
            for story in islice(reversed(self._told[feature]), LOOKED_AT):
                if story is not to:
                    part = weight * story.profile.get(feature, 0.0) ** EVEN
                    if feature in to.doubts or feature in story.doubts:
                        part *= DOUBTED
                    scores[story] = scores.get(story, 0.0) + part
                    shared[story] += counts
        best, likeness = None, least
        for story, score in scores.items():
            score /= math.sqrt(story.square * square)
            if score < likeness or (shared[story] < 2 and len(story.members) < FEW) or self._foes(to, story):
                continue
            gap = max(to.first - story.last, story.first - to.last, timedelta(0))
            if gap > self.silence:
                continue
            score *= 0.5 ** (gap / FADES) * self._agree(to, story) / (1 + STRICT / len(story.members))
            if score > likeness or (score == likeness and (best is None or story.id < best.id)):
                best, likeness = story, score
        return best, likeness

    @staticmethod
    def _agree(a: _Story, b: _Story) -> float:
        """Another street, line, day or matter speaks against, the more the more of each story is about one."""
        sides = contrary(a.marks, b.marks)
        against = max((min(x / len(a.members), y / len(b.members), 1.0) for x, y in sides), default=0.0)
        return 1 - (1 - APART) * against

    # -- keeping the books

    def _note(self, at: datetime, id: int) -> None:
        place = bisect_left(self._order, (at, id))
        self._order.insert(place, (at, id))
        features = [feature for feature, _ in self._mentions[id].print.features()]
        self._seen.update(features)
        if place < self._aged:
            self._aged += 1
            self._everyday.update(features)
        while self._order[self._aged][0] < self._order[-1][0] - EVERYDAY:
            aged = self._mentions[self._order[self._aged][1]]
            self._everyday.update(feature for feature, _ in aged.print.features())
            self._aged += 1

    @staticmethod
    def _foes(a: _Story, b: _Story) -> bool:
        return not a.foes.isdisjoint(b.members)

    def _unite(self, a: _Story, b: _Story) -> _Story | None:
        """One story of two; None where a person has said that they are apart."""
        if a is b or self._foes(a, b):
            return None
        few, many = (a, b) if len(a.members) < len(b.members) else (b, a)
        for feature, weight in few.profile.items():
            told = self._told[feature]
            told.pop(few, None)
            told.pop(many, None)
            told[many] = None
            old = many.profile.get(feature, 0.0)
            many.profile[feature] = new = old + weight
            many.square += new ** (2 * EVEN) - old ** (2 * EVEN)
        if len(many.profile) > PROFILE:
            for feature in sorted(many.profile, key=lambda each: many.profile[each])[: PROFILE // 2]:
                many.square -= many.profile.pop(feature) ** (2 * EVEN)
                self._untell(feature, many)
        many.id = min(a.id, b.id)
        many.members |= few.members
        many.first, many.last = min(a.first, b.first), max(a.last, b.last)
        many.marks.update(few.marks)
        many.foes |= few.foes
        many.doubts |= few.doubts
        for each in few.members:
            self._story[each] = many
        return many

    def _force(self, a: int, b: int) -> None:
        mine, yours = self._story[a], self._story[b]
        if mine is not yours and not self._unite(mine, yours):
            self._regather(mine.members | yours.members)

    def _said_one(self, id: int) -> set[int]:
        """All that persons have said to belong with it, and itself."""
        found, ahead = {id}, [id]
        while ahead:
            new = self._together.get(ahead.pop(), set()) - found
            found |= new
            ahead += new
        return found

    def _regather(self, ids: set[int]) -> None:
        """Takes these apart and places them anew: first what persons have said, then what is sure, then the words."""
        for story in {self._story[id] for id in ids}:
            for feature in story.profile:
                self._untell(feature, story)
        order = sorted(ids, key=lambda id: (self._mentions[id].at, id))
        for id in order:
            self._alone(id)
        for id in order:
            for other in sorted(self._together.get(id, set()) & self._mentions.keys()):
                self._unite(self._story[id], self._story[other])
        for id in order:
            for other in sorted(self._echoes.of(id) & ids, reverse=True):
                self._unite(self._story[id], self._story[other])
            self._by_words(id, set())

    def _untell(self, feature: str, story: _Story) -> None:
        self._told[feature].pop(story, None)
        if not self._told[feature]:
            del self._told[feature]

    def _forget(self, until: datetime) -> None:
        gone = self._order[: bisect_left(self._order, (until, 0))]
        del self._order[: len(gone)]
        self._aged -= len(gone)
        for at, id in gone:
            print = self._mentions.pop(id).print
            self._echoes.forget(id, at, print)
            story = self._story.pop(id)
            story.members.discard(id)
            for feature, _ in print.features():
                for counts in (self._seen, self._everyday):  # what is forgotten is older than a day
                    counts[feature] -= 1
                    if not counts[feature]:
                        del counts[feature]
            if not story.members:
                for feature in story.profile:
                    self._untell(feature, story)
