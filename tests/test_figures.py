"""Reports of what was really done, through the real doors, against diaries of it: every measure, clock and grouping."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from errors import InvalidInput, InvalidTransition, NotFoundError
from house import House, declare
from models import (
    Case,
    CaseEvent,
    FigureCheck,
    Mention,
    Sample,
    SharedAnswer,
    SharedAnswerPart,
    Story,
    Team,
    Then,
    User,
)
from reports import figures
from reports.figures import Asked, By, Clock, report
from tests.factories import MORNING, case_of, ours, said, source, take, user
from tests.slow_figures import (
    CITIZEN,
    CLOCK,
    FAILURE,
    HISTORY,
    MINUTE,
    NIGHT,
    OFFICE,
    STAFF,
    STOCKHOLM,
    Answered,
    Diary,
    Figure,
    Hours,
    Moved,
    Wrote,
    due,
    local_day,
    percentile,
    wall,
)
from triage import answering, cases, merging, reactions, samples, undoing
from triage.measures import Measure

HOURS = {"first_response": 4, "next_response": 8, "resolution": 30}
STANDARD = {"name": "standard", **{name: f"{hours}h" for name, hours in HOURS.items()}}
TEAMS: dict[str | None, Hours] = {None: OFFICE, "Gata": NIGHT, "Park": OFFICE}
ALIVE = ("new", "open", "pending")


class Play:
    """Does things to cases, at random but the same each time, and keeps a diary of each."""

    def __init__(self, house: House, begins: str, chance: Random) -> None:
        self.house, self.chance = house, chance
        self.now = self.begun = wall(begins)
        self.diaries: dict[int, Diary] = {}
        self.ids = iter(range(1, 100_000))
        self.waiting: dict[int, dict[str, Any]] = {}  # answers under way, by their number
        self.mentions: dict[str, int] = {}
        self.undo: tuple[int, dict[int, Diary]] | None = None  # an event, and the diaries as they were before
        declare(house, self.now - timedelta(days=300))
        with house.database.transaction() as db:
            self.people = {user(db, name).email: user(db, name).id for name in ("eva", "ola")}
            self.sources = {name: source(db, name).id for name in ("one", "two")}
            self.teams: dict[str, int] = {name: id for name, id in db.execute(select(Team.name, Team.id))}

    # -- one thing after another -----------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        doings: list[tuple[Callable[[Session], None], int]] = [
            (self.opens, 3), (self.writes, 6), (self.assigns, 3), (self.turns, 6), (self.snoozes, 2),
            (self.answers, 8), (self.is_out, 6), (self.goes_wrong, 3), (self.cancels, 2), (self.on_the_network, 2),
            (self.elsewhere, 2), (self.merges, 1), (self.splits, 1), (self.history, 1), (self.remarks, 2),
            (self.takes_back, 4), (self.day_comes, 2), (self.moves_on, 4),
        ]  # fmt: skip
        names, weights = zip(*doings, strict=True)
        for number in range(steps):
            self.now += self.chance.choice([0, 1, 3, 20, 90, 400, 1000]) * MINUTE
            do = self.opens if number < 4 else self.chance.choices(names, weights)[0]
            keep = {one: diary.copy() for one, diary in self.diaries.items()}
            held = {one: dict(reply) for one, reply in self.waiting.items()}
            try:
                with self.house.database.transaction() as db:
                    do(db)
            except (InvalidTransition, InvalidInput, NotFoundError):
                self.diaries, self.waiting, self.undo = keep, held, None
            if self.chance.random() < 0.3:
                self.react()
            if self.chance.random() < 0.2:
                samples.catch_up(self.house.database)

    def react(self) -> None:
        while reactions.react(self.house.database, self.now):
            pass

    def settle(self) -> None:
        self.react()
        samples.catch_up(self.house.database, most=10_000)

    # -- choosing --------------------------------------------------------------------------------------------------

    def some(self, db: Session, *, alive: bool = False) -> tuple[int, Diary, Case]:
        there = [
            number
            for number, diary in self.diaries.items()
            if not diary.merged and (not alive or db.get_one(Case, number).status in ALIVE)
        ]
        if not there:
            raise InvalidInput("none", {})
        number = self.chance.choice(there)
        return number, self.diaries[number], db.get_one(Case, number)

    def who(self, db: Session) -> User:
        email = self.chance.choice(sorted(self.people))
        return db.scalars(select(User).where(User.email == email)).one()

    def ago(self) -> datetime:
        return self.now - self.chance.choice([0, 0, 1, 30, 300, 2000]) * MINUTE

    def mention(self, *, to: str | None = None, at: datetime, own: bool = False) -> Any:
        id = f"m{next(self.ids)}"
        make = ours if own else said
        return make(id, to=to, minutes=(at - MORNING) / MINUTE)

    def remember(self, event: CaseEvent | int | None, before: dict[int, Diary]) -> None:
        self.undo = None if event is None else (event if isinstance(event, int) else event.id, before)

    def _last_event(self, db: Session, number: int) -> int:
        ids = select(CaseEvent.id).where(CaseEvent.case_id == number).order_by(CaseEvent.version.desc())
        return db.scalars(ids.limit(1)).one()

    # -- what is done ----------------------------------------------------------------------------------------------

    def opens(self, db: Session) -> None:
        at, (name, source_id) = self.ago(), self.chance.choice(sorted(self.sources.items()))
        channel = self.chance.choice(["net", "press"])
        written = self.mention(at=at)
        take(db, written, at=self.now, channel=channel, source_id=source_id)
        self._opened(db, written, at, {"channel": channel, "source": name})

    def _opened(self, db: Session, written: Any, at: datetime, facts: dict[str, Any]) -> int:
        number = case_of(db, written.external_id)
        assert number is not None and number not in self.diaries
        kind = self.chance.choice(["question", "problem"])
        tags = self.chance.sample(["snö", "is", "väg"], self.chance.choice([0, 1, 2]))
        cases.classify(db, number, kind=kind, tags=tags, actor="rule:t", at=self.now)
        team = self.chance.choice([None, "Gata", "Park"])
        if team is not None:
            cases.assign_team(db, number, team=db.get_one(Team, self.teams[team]), actor="rule:t", at=self.now)
        self.diaries[number] = Diary(self.now, [Wrote(at, self.now, written.external_id)])
        self.diaries[number].facts = {"kind": kind, "tags": tags, "team": team, "assignee": None, **facts}
        self.diaries[number].teams = [] if team is None else [(self.now, team)]
        self.mentions[written.external_id] = db.scalars(
            select(Mention.id).where(Mention.external_id == written.external_id)
        ).one()
        self.undo = None
        return number

    def writes(self, db: Session) -> None:
        number, diary, case = self.some(db)
        if case.status == "closed" or diary.imported:
            return
        at, to = self.ago(), self.chance.choice(diary.said).id
        written = self.mention(to=to, at=at)
        take(db, written, at=self.now, channel=case.channel)
        assert case_of(db, written.external_id) == number
        self.mentions[written.external_id] = db.scalars(
            select(Mention.id).where(Mention.external_id == written.external_id)
        ).one()
        diary.said.append(Wrote(at, self.now, written.external_id))
        diary.back(self.now)
        if (status := db.get_one(Case, number, populate_existing=True).status) != "new":
            diary.move(self.now, status, CITIZEN)
        self.undo = None

    def assigns(self, db: Session) -> None:
        number, diary, _ = self.some(db)
        before, by = self.diaries, self.who(db)
        whom = self.who(db) if self.chance.random() < 0.8 else None
        before = {number: diary.copy()}
        event = cases.assign(db, number, assignee=whom, actor=by.email, at=self.now)
        if event is None:
            return
        diary.facts["assignee"] = None if whom is None else whom.email
        if whom is not None:
            diary.given.append((self.now, whom.id))
            if event.from_status == "new":
                diary.move(self.now, "open", STAFF, by.id)
        self.remember(event, before)

    def moves_on(self, db: Session) -> None:
        """From one team to another, which has other hours: what was done until then keeps those of then."""
        number, diary, _ = self.some(db)
        team = {"Gata": "Park", "Park": "Gata"}.get(diary.facts["team"])
        if team is not None:
            to, by = db.get_one(Team, self.teams[team]), self.who(db).email
            cases.assign_team(db, number, team=to, actor=by, at=self.now)
            diary.facts["team"] = team
            diary.teams.append((self.now, team))
            self.undo = None

    def turns(self, db: Session) -> None:
        number, diary, _ = self.some(db)
        by, before = self.who(db), {number: diary.copy()}
        target = self.chance.choice(["open", "pending", "resolved", "resolved", "resolved", "closed", "ignored"])
        event = cases.change_status(db, number, target=target, actor=by.email, at=self.now)  # type: ignore[arg-type]
        if event is not None:
            diary.move(self.now, target, STAFF, by.id)
            self.remember(event, before)

    def snoozes(self, db: Session) -> None:
        number, diary, _ = self.some(db, alive=True)
        before = {number: diary.copy()}
        until = self.chance.choice([None, *[self.now + ahead * MINUTE for ahead in (30, 500, 3000)]])
        event = cases.snooze(db, number, until=until, actor=self.who(db).email, at=self.now)
        if event is not None:
            diary.put_away(self.now, until)
            self.remember(event, before)

    def day_comes(self, db: Session) -> None:
        for number, diary in self.diaries.items():
            case = db.get_one(Case, number)
            if case.follow_up_at is not None and case.follow_up_at <= self.now:
                event = cases.follow_up_due(db, number, actor="scheduler", at=self.now)
                diary.back(self.now)
                diary.move(self.now, str(event.to_status), CLOCK)
                self.undo = None

    def remarks(self, db: Session) -> None:
        number, diary, _ = self.some(db)
        before = {number: diary.copy()}
        if self.chance.random() < 0.5:
            cases.note(db, number, body="Jag ringer.", user=self.who(db), at=self.now)
            self.undo = None
        else:
            tags = self.chance.sample(["snö", "is", "väg"], self.chance.choice([0, 1, 2]))
            event = cases.classify(db, number, tags=tags, actor=self.who(db).email, at=self.now)
            if event is not None:
                diary.facts["tags"] = tags
                self.remember(event, before)

    # -- answers ---------------------------------------------------------------------------------------------------

    def answers(self, db: Session) -> None:
        number, diary, _ = self.some(db)
        by, to = self.who(db), self.chance.choice(diary.said).id
        then = self.chance.choice([Then.keep, Then.wait, Then.resolve, Then.resolve])
        held = self.chance.random() < 0.3
        review = self.chance.random() < 0.1
        if review != db.get_one(Case, number).review_wanted:
            cases.want_review(db, number, wanted=review, actor=by.email, at=self.now)
        hold = timedelta(minutes=30) if held else timedelta()
        private = self.chance.random() < 0.15
        reply = answering.reply(
            db, number, body=f"Svar {next(self.ids)}", to_mention_id=self.mentions[to], user=by, then=then,
            private=private, hold=hold, idempotency_key=None, account_id=None, at=self.now,
        )  # fmt: skip
        decides, at = by, self.now
        if review:
            decides = next(each for each in db.scalars(select(User).order_by(User.id)) if each.id != by.id)
            answering.approve_reply(db, reply.id, hold=hold, user=decides, at=self.now)
        event = db.scalars(
            select(CaseEvent).where(CaseEvent.reply_id == reply.id, CaseEvent.to_status.is_not(None))
        ).one()
        diary.move(at, str(event.to_status), STAFF, decides.id, reply.id)
        shared = not private and self.chance.random() < 0.2
        if shared:
            self._share(db, number, reply.id, by)
        self.waiting[reply.id] = {
            "case": number, "by": by.id, "at": at, "to": to, "held": held, "private": private,
            "how": "shared" if shared else "gensvar", "state": "queued",
        }  # fmt: skip
        self.undo = None

    def _share(self, db: Session, number: int, reply_id: int, by: User) -> None:
        story = Story(title="t", opened_at=self.now, last_at=self.now)
        db.add(story)
        db.flush()
        key = f"k{next(self.ids)}"
        answer = SharedAnswer(story_id=story.id, user_id=by.id, key=key, texts={}, created_at=self.now)
        db.add(answer)
        db.flush()
        db.add(SharedAnswerPart(shared_answer_id=answer.id, case_id=number, body="b", version=1, reply_id=reply_id))
        db.flush()

    def _under_way(self, *states: str, held: bool = False) -> int:
        found = [id for id, each in self.waiting.items() if each["state"] in states and each["held"] == held]
        if not found:
            raise InvalidInput("none", {})
        return found[0]

    def is_out(self, db: Session) -> None:
        id = self._under_way("queued", "uncertain")
        each = self.waiting[id]
        if each["state"] == "queued":
            assert answering.reply_called(db, id, worker="w", at=self.now)
        answering.reply_sent(db, id, external_id=f"r{id}", url=None, sent_at=self.now, actor="outbox", at=self.now)
        each["state"] = "sent"
        if not each["private"]:
            diary = self.diaries[each["case"]]
            diary.answers.append(Answered(self.now, each["by"], each["how"], each["at"], each["to"]))
        self.undo = None

    def goes_wrong(self, db: Session) -> None:
        id = self._under_way("queued")
        each = self.waiting[id]
        diary = self.diaries[each["case"]]
        assert answering.reply_called(db, id, worker="w", at=self.now)
        if self.chance.random() < 0.5:
            event: CaseEvent | None = answering.reply_failed(db, id, reason="r", error="e", actor="outbox", at=self.now)
            each["state"] = "failed"
        else:
            answering.reply_uncertain(db, id, error="e", lookup_at=None, actor="outbox", at=self.now)
            event = answering.reply_in_doubt(db, id, actor="outbox", at=self.now)
            each["state"] = "uncertain"
        if event is not None:
            diary.strike(id)
            diary.move(self.now, str(event.to_status), FAILURE)
        self.undo = None

    def cancels(self, db: Session) -> None:
        id = self._under_way("queued", held=True)
        answering.cancel_reply(db, id, actor=self.who(db).email, at=self.now)
        self.waiting[id]["state"] = "cancelled"
        self.diaries[self.waiting[id]["case"]].strike(id)
        self.undo = None

    def on_the_network(self, db: Session) -> None:
        _, diary, case = self.some(db)
        to = self.chance.choice(diary.said)
        at = max(to.at, self.ago())
        take(db, self.mention(to=to.id, at=at, own=True), at=self.now, channel=case.channel)
        diary.answers.append(Answered(at, None, "network", at, to.id))
        if case.status == "new":
            diary.move(self.now, "open", STAFF)
        self.undo = None

    def elsewhere(self, db: Session) -> None:
        number, diary, case = self.some(db)
        by, to, was = self.who(db), self.chance.choice(diary.said), case.status
        at = max(to.at, self.ago())
        answering.answered_elsewhere(
            db, number, to_mention_id=self.mentions[to.id], url=f"https://there.example/{next(self.ids)}",
            replied_at=at, user=by, at=self.now,
        )  # fmt: skip
        diary.answers.append(Answered(at, by.id, "elsewhere", at, to.id))
        if was == "new":
            diary.move(self.now, "open", STAFF, by.id)
        self.undo = None

    # -- joined, parted, taken back, from long ago -------------------------------------------------------------------

    def merges(self, db: Session) -> None:
        one, gone, case = self.some(db, alive=True)
        other, diary, target = self.some(db)
        if one == other or case.channel != target.channel or gone.imported or diary.imported:
            return
        before = {one: gone.copy(), other: diary.copy()}
        unanswered = case.status in ("new", "open")
        merging.merge(db, one, into=other, actor=self.who(db).email, at=self.now)
        gone.merged = True
        diary.said += gone.said
        diary.answers += gone.answers
        diary.seen = min(diary.seen, gone.seen)
        diary.facts["tags"] = sorted({*diary.facts["tags"], *gone.facts["tags"]})
        if diary.facts["assignee"] is None and gone.facts["assignee"] is not None:
            diary.facts["assignee"] = gone.facts["assignee"]
            diary.given.append((self.now, self.people[gone.facts["assignee"]]))
        for each in self.waiting.values():
            if each["case"] == one:
                each["case"] = other
        status = db.get_one(Case, other, populate_existing=True).status
        if unanswered and status != "new":
            diary.move(self.now, status, STAFF)
        under_way = any(each["state"] in ("queued", "uncertain") for each in self.waiting.values())
        self.remember(None if under_way else self._last_event(db, other), before)

    def splits(self, db: Session) -> None:
        number, diary, case = self.some(db)
        if case.status == "closed" or len(diary.said) < 2 or diary.imported:
            return
        to = self.chance.choice(diary.said)
        above = select(Mention.external_id).where(Mention.in_reply_to == to.id)
        if db.scalars(above).all() or any(reply["to"] == to.id for reply in self.waiting.values()):
            return
        made = merging.split(db, number, mention_id=self.mentions[to.id], actor=self.who(db).email, at=self.now)
        diary.said.remove(to)
        answers = [each for each in diary.answers if each.to == to.id]
        diary.answers = [each for each in diary.answers if each.to != to.id]
        cases.classify(db, made.id, kind="question", actor="rule:t", at=self.now)
        facts: dict[str, Any] = {"kind": "question", "tags": [], "team": None, "assignee": None}
        self.diaries[made.id] = Diary(to.seen, [to], answers, facts={**diary.facts, **facts})
        self.undo = None

    def takes_back(self, db: Session) -> None:
        if self.undo is None:
            return
        event, before = self.undo
        done = undoing.undo(db, event, actor=self.who(db).email, at=self.now)
        assert done.events and not done.kept, done
        self.diaries |= before
        self.undo = None

    def history(self, db: Session) -> None:
        """An import finds a case of its own, or what was said and answered long ago in one that lives."""
        long_ago = self.now - self.chance.choice([3, 8, 20]) * 1440 * MINUTE
        if self.chance.random() < 0.5 or len(self.diaries) < 3:
            written = self.mention(at=long_ago)
            answer = self.mention(to=written.external_id, at=long_ago + 50 * MINUTE, own=True)
            channel = self.chance.choice(["net", "press"])
            take(db, written, answer, at=self.now, channel=channel, imported=True)
            number = self._opened(db, written, long_ago, {"channel": channel, "source": "none"})
            self.diaries[number].imported = True
            self.diaries[number].moves.append(_history(self.now))
            at = long_ago + 50 * MINUTE
            self.diaries[number].answers.append(Answered(at, None, "network", at, written.external_id))
            return
        number, diary, case = self.some(db)
        if diary.imported:
            return
        to = self.chance.choice(diary.said).id
        at = long_ago
        written = self.mention(to=to, at=at)
        answer = self.mention(to=written.external_id, at=at + 5 * MINUTE, own=True)
        take(db, written, answer, at=self.now, channel=case.channel, imported=True)
        assert case_of(db, written.external_id) == number
        diary.answers.append(Answered(at + 5 * MINUTE, None, "network", at, written.external_id, old=True))
        self.undo = None


def _history(at: datetime) -> Any:
    return Moved(at, "closed", HISTORY, None)


# -- what is stored ---------------------------------------------------------------------------------------------------

TARGETED = tuple(HOURS)


def expected(diary: Diary) -> Counter[tuple[Any, ...]]:
    """The samples of a case as rows: day, hour, both clocks, target."""
    found: Counter[tuple[Any, ...]] = Counter()
    for figure in diary.figures():
        hours = TEAMS[diary.team(figure.at)]
        local = figure.at.astimezone(STOCKHOLM)
        took = opened = late = None
        if figure.counted is not None:
            took = 60 * len(figure.counted)
            opened = 60 * sum(1 for at in figure.counted if hours.is_open(at))
            late = _late(diary, figure, hours)
        at = None if figure.measure == "mention" else figure.at
        row = (figure.measure, local.date().toordinal(), local.hour, at, figure.started, figure.user, figure.how)
        found[(*row, took, opened, late)] += 1
    return found


def _late(diary: Diary, figure: Figure, hours: Hours) -> bool | None:
    if figure.measure not in TARGETED or diary.imported:
        return None
    assert figure.started is not None
    counts = None
    if figure.measure == "resolution":
        counts = [each for each in figure.counted or () if diary.our_turn(each)]
        if sum(1 for each in counts if hours.is_open(each)) < 60 * HOURS[figure.measure]:
            return False
    return figure.at > due(hours, figure.started, 60 * HOURS[figure.measure], counts)


def stored(db: Session, number: int) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for each in db.scalars(select(Sample).where(Sample.case_id == number)):
        at = None if each.measure == "mention" else each.at
        row = (each.measure, each.day, each.hour, at, each.started_at, each.user_id, each.how)
        found[(*row, each.seconds, each.business, each.late)] += each.n
    return found


# -- what is reported -------------------------------------------------------------------------------------------------

TIMED = tuple(each.value for each in figures.TIMED)
BY = [None, By.channel, By.source, By.team, By.assignee, By.kind, By.tag, By.day, By.week, By.month]


NARROWED = (By.channel, By.source, By.team, By.assignee, By.kind, By.tag)
NARROWED_TO: list[dict[str, Any]] = [
    {"channel": ("press",), "by": By.tag},
    {"source": ("one", "none"), "by": By.kind},
    {"team": ("Gata",), "by": By.assignee},
    {"team": ("Park", "none"), "clock": Clock.business},
    {"kind": ("question", "none"), "by": By.week},
    {"tag": ("snö",), "by": By.tag},
    {"tag": ("none",), "by": By.team},
    {"assignee": ("eva@storby.example",), "by": By.day},
    {"assignee": ("ola@storby.example", "none"), "by": By.assignee},
    {"channel": ("net",), "team": ("Gata", "Park"), "assignee": ("ola@storby.example",)},
]
Spent = tuple[Figure, int, int, bool]  # seconds around the clock, those in opening hours, wholly outside them


class Slow:
    """A report from diaries: filter, group, sort, count."""

    def __init__(self, play: Play) -> None:
        self.names = {id: email for email, id in play.people.items()}
        self.rows = [
            (diary, self._spent(diary, figure)) for diary in play.diaries.values() for figure in diary.figures()
        ]
        self.diaries = play.diaries

    @staticmethod
    def _spent(diary: Diary, figure: Figure) -> Spent:
        hours = TEAMS[diary.team(figure.at)]
        counted = figure.counted or []
        return figure, 60 * len(counted), 60 * sum(1 for at in counted if hours.is_open(at)), figure.outside(hours)

    def keys(self, by: By | None, diary: Diary, figure: Figure) -> list[str | None]:
        day = local_day(figure.at)
        if by is None:
            return [None]
        if by is By.day:
            return [day.isoformat()]
        if by is By.week:
            return [(day - timedelta(days=day.weekday())).isoformat()]
        if by is By.month:
            return [day.replace(day=1).isoformat()]
        if by is By.tag:
            return list(diary.facts["tags"]) or ["none"]
        if by is By.assignee and figure.measure not in ("received", "mention"):
            return [self.names.get(figure.user or 0, "none")]
        return [diary.facts[by.value] or "none"]

    def wanted(self, by: By, names: Sequence[str], diary: Diary, figure: Figure) -> bool:
        """Somebody looks at each figure whether it is one of these."""
        return not names or any(key in names for key in self.keys(by, diary, figure))

    def report(self, asked: Asked) -> tuple[dict[str | None, dict[str, Any]], dict[str, Any]]:
        lines: dict[str | None, list[Spent]] = defaultdict(list)
        total: list[Spent] = []
        for diary, spent in self.rows:
            figure = spent[0]
            if not asked.start <= local_day(figure.at) < asked.end or (diary.imported and not asked.imported):
                continue
            if not all(self.wanted(by, getattr(asked, by.value), diary, figure) for by in NARROWED):
                continue
            total.append(spent)
            for key in self.keys(asked.by, diary, figure):
                lines[key].append(spent)
        return {key: self.line(asked, rows, key) for key, rows in lines.items()}, self.line(asked, total, None)

    @staticmethod
    def line(asked: Asked, rows: list[Spent], key: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for measure in Measure:
            mine = [row for row in rows if row[0].measure == measure.value]
            counts = Counter(figure.how for figure, *_ in mine)
            found[measure.value] = (len(mine), {how: n for how, n in counts.items() if how})
            if measure.value in TIMED:
                values = [opened if asked.clock is Clock.business else took for _, took, opened, _ in mine]
                of_one = key not in (None, "none") if asked.by is By.assignee else False
                narrowed = any(each != "none" for each in asked.assignee) and not (
                    asked.by is By.assignee and key == "none"
                )
                few = (of_one or narrowed) and len(values) < 3
                found[f"{measure.value} took"] = (
                    (None, None, None) if few or not values else
                    (percentile(values, 50), percentile(values, 90) if len(values) >= 10 else None,
                     round(sum(values) / len(values)))
                )  # fmt: skip
                found[f"{measure.value} outside hours"] = None if few and values else sum(row[3] for row in mine)
        return found


def told(row: figures.Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure in Measure:
        hows = {name.partition(":")[2]: n for name, n in row.counts.items() if name.startswith(f"{measure.value}:")}
        found[measure.value] = (row.count(measure), hows)
        if measure.value in TIMED:
            timing = row.timing(measure)
            assert timing.n == row.count(measure)
            found[f"{measure.value} took"] = (timing.median_s, timing.p90_s, timing.mean_s)
            found[f"{measure.value} outside hours"] = None if timing.hidden else timing.outside_hours
    return found


BEGINNINGS = {"spring forward": "2026-03-26T13:00", "fall back": "2026-10-22T09:00", "Christmas": "2026-12-20T22:00"}


def play(make_house: Callable[..., House], begins: str, seed: int, steps: int) -> Play:
    teams = [{"name": "Gata", "calendar": "night"}, {"name": "Park"}]
    house = make_house(calendars=[OFFICE.given(), NIGHT.given()], teams=teams, sla=[STANDARD])
    made = Play(house, begins, Random(seed))
    made.run(steps)
    made.settle()
    return made


@pytest.mark.parametrize("when", sorted(BEGINNINGS))
def test_reports_say_what_the_diaries_say(make_house: Callable[..., House], when: str) -> None:
    made = play(make_house, BEGINNINGS[when], sum(map(ord, when)), 55)
    with made.house.database.read() as db:
        for number, diary in made.diaries.items():
            has, wanted = stored(db, number), expected(diary)
            assert (has - wanted, wanted - has) == (Counter(), Counter()), (number, told_of(db, number), diary)
        slow = Slow(made)
        since, until = local_day(made.begun) - timedelta(days=30), local_day(made.now) + timedelta(days=1)
        middle = since + (until - since) * 3 // 4
        asked = [Asked(since, until, by=by, clock=clock) for by in BY for clock in Clock]
        asked += [Asked(since, until, imported=True, by=By.day), Asked(middle, middle + timedelta(days=2), by=By.team)]
        asked += [Asked(since, until, **narrowed) for narrowed in NARROWED_TO]
        for each in asked:
            _compare(report(db, each, Measure), *slow.report(each))
        _compare_waiting(db, Asked(since, until, by=By.team), made)
    assert samples.check(made.house.database, made.now) >= len(made.diaries)
    with made.house.database.read() as db:
        check = db.scalars(select(FigureCheck)).one()
        assert check.differences == [], "what is stored is what the events say"


def told_of(db: Session, number: int) -> list[tuple[Any, ...]]:
    events = select(CaseEvent).where(CaseEvent.case_id == number).order_by(CaseEvent.version)
    return [
        (each.id, str(each.at), each.action, each.from_status, each.to_status, each.reply_id, each.undoes_id)
        for each in db.scalars(events)
    ]


def _compare(made: figures.Report, lines: dict[str | None, dict[str, Any]], total: dict[str, Any]) -> None:
    nothing = Slow.line(made.asked, [], None)
    assert _differ(told(made.total), total) == ({}, {}), (made.asked, "total")
    rows = {row.key: told(row) for row in made.rows}
    assert len(rows) == len(made.rows), "no key twice"
    for key in rows.keys() | (lines.keys() if made.asked.by else set()):
        has, wanted = rows.get(key, nothing), lines.get(key, nothing)
        assert _differ(has, wanted) == ({}, {}), (made.asked, key)


def _differ(has: dict[str, Any], wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs."""
    names = [name for name in has.keys() | wanted.keys() if has.get(name) != wanted.get(name)]
    return {name: has.get(name) for name in names}, {name: wanted.get(name) for name in names}


def _compare_waiting(db: Session, asked: Asked, made: Play) -> None:
    """Beside every response time: who still waits, since when."""
    waiting: dict[str, list[datetime]] = defaultdict(list)
    for diary in made.diaries.values():
        since = diary.unanswered()
        if not diary.merged and not diary.imported and diary.status in ALIVE and since is not None:
            waiting[diary.facts["team"] or "none"].append(since)
    found = {row.key: (row.still_waiting, row.oldest) for row in report(db, asked).rows if row.still_waiting}
    assert found == {team: (len(many), min(many)) for team, many in waiting.items()}


# -- periods and what is kept back ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "previous", "year_ago"),
    [
        ("2026-11-01/2026-12-01", "2026-10-01/2026-11-01", "2025-11-01/2025-12-01"),
        ("2026-03-01/2026-04-01", "2026-02-01/2026-03-01", "2025-03-01/2025-04-01"),
        ("2026-01-01/2027-01-01", "2025-01-01/2026-01-01", "2025-01-01/2026-01-01"),
        ("2026-10-01/2027-01-01", "2026-07-01/2026-10-01", "2025-10-01/2026-01-01"),
        ("2026-03-23/2026-03-30", "2026-03-16/2026-03-23", "2025-03-23/2025-03-30"),
        ("2028-02-29/2028-03-01", "2028-02-28/2028-02-29", "2027-02-28/2027-03-01"),
        ("2028-02-28/2028-02-29", "2028-02-27/2028-02-28", "2027-02-28/2027-03-01"),
        ("2028-02-01/2028-03-01", "2028-01-01/2028-02-01", "2027-02-01/2027-03-01"),
        ("2029-02-01/2029-03-01", "2029-01-01/2029-02-01", "2028-02-01/2028-03-01"),
        ("2026-11-01/2026-11-25", "2026-10-01/2026-10-25", "2025-11-01/2025-11-25"),  # this month, so far
        ("2026-03-01/2026-03-31", "2026-02-01/2026-03-01", "2025-03-01/2025-03-31"),
        ("2026-10-01/2026-11-25", "2026-07-01/2026-08-25", "2025-10-01/2025-11-25"),  # this quarter
        ("2028-01-01/2028-11-25", "2027-01-01/2027-11-25", "2027-01-01/2027-11-25"),  # this year
        ("2026-11-23/2026-11-25", "2026-11-16/2026-11-18", "2025-11-23/2025-11-25"),  # this week
        ("2026-11-24/2026-11-27", "2026-11-21/2026-11-24", "2025-11-24/2025-11-27"),
    ],
)
@pytest.mark.one_database
def test_the_period_before_and_the_same_a_year_ago(period: str, previous: str, year_ago: str) -> None:
    start, end = map(date.fromisoformat, period.split("/"))
    asked = Asked(start, end, team=("Gata",))
    for found, wanted in ((asked.previous(), previous), (asked.year_ago(), year_ago)):
        assert f"{found.start}/{found.end}" == wanted
        assert found.team == ("Gata",), "narrowed to the same"


@pytest.mark.one_database
def test_an_empty_period_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Asked(date(2026, 3, 1), date(2026, 3, 1))


FILTERS: list[dict[str, Any]] = [
    {}, {"channel": ("net",)}, {"team": ("none",)}, {"team": ("Gata", "none")}, {"kind": ("question", "none")},
    {"tag": ("none",)}, {"language": ("none", "sv", "und")}, {"source": ("none",)},
]  # fmt: skip


def test_of_few_answers_of_one_person_nothing_is_told_however_it_is_asked(house: House) -> None:
    """Two of Eva, three of Ola, ten of Mia: under ten no 90th percentile, under three nothing of a person."""
    many = {"eva": 2, "ola": 3, "mia": 10}
    with house.database.transaction() as db:
        for name, n in many.items():
            for number in range(n):
                id = f"{name}{number}"
                take(db, said(id, minutes=0), at=MORNING)
                mention = db.scalars(select(Mention).where(Mention.external_id == id)).one()
                assert mention.case_id is not None
                answering.answered_elsewhere(
                    db, mention.case_id, to_mention_id=mention.id, url=None, user=user(db, name),
                    replied_at=MORNING + (number + 1) * MINUTE, at=MORNING + timedelta(hours=1),
                )  # fmt: skip
    while reactions.react(house.database, MORNING):
        pass
    samples.catch_up(house.database, most=1000)
    first = Measure.first_response
    with house.database.read() as db:
        asked_for = [(filters, clock, by) for filters in FILTERS for clock in Clock for by in (None, *By)]
        for filters, clock, by in asked_for:
            common: dict[str, Any] = {"by": by, "clock": clock, "seen": clock is Clock.business, **filters}
            asked = Asked(MORNING.date(), MORNING.date() + timedelta(days=1), **common)
            for name, n in many.items():
                email = f"{name}@storby.example"
                one = report(db, replace(asked, assignee=(email,)), [first])
                lines = [one.total, *one.rows]
                if by is By.assignee:
                    lines += [row for row in report(db, asked, [first]).rows if row.key == email]
                for timing in (line.timing(asked.first) for line in lines):
                    assert timing.n in (0, n), asked
                    shown = (timing.median_s, timing.mean_s, timing.within_target, timing.targeted)
                    if timing.n < 3:
                        assert shown == (None, None, None, 0), asked
                    assert (timing.median_s is not None) == (timing.n >= 3), asked
                    assert (timing.p90_s is not None) == (timing.n >= 10), asked


def test_a_line_of_a_person_is_kept_back_and_the_total_is_that_of_all(house: House) -> None:
    with house.database.transaction() as db:
        for id in ("a", "b"):
            take(db, said(id, minutes=0), at=MORNING)
            mention = db.scalars(select(Mention).where(Mention.external_id == id)).one()
            assert mention.case_id is not None
            answering.answered_elsewhere(
                db, mention.case_id, to_mention_id=mention.id, url=None, user=user(db), replied_at=MORNING + MINUTE,
                at=MORNING + MINUTE,
            )  # fmt: skip
    while reactions.react(house.database, MORNING):
        pass
    samples.catch_up(house.database)
    with house.database.read() as db:
        asked = Asked(MORNING.date(), MORNING.date() + timedelta(days=1), By.assignee)
        made, plain = report(db, asked), report(db, replace(asked, by=None))
    first = [line.timing(Measure.first_response) for line in made.rows if line.timing(Measure.first_response).n]
    assert [(each.n, each.hidden) for each in first] == [(2, True)]
    assert made.total.timings == plain.total.timings
