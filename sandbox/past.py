"""Two months in Storby before the demo's day, so that reports have something to tell; and some weeks a year before.

What was asked then comes in through ``triage.intake``, is worked on through ``triage.cases`` and followed up by the
reactions, each thing at its time and all in the order of time, as if Gensvar had been running: so are the midnights of
the backlog. Nothing goes to a network. All is done when the demo's day begins, but for what it still finds to be done.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session

from collectors.base import AuthorData, Batch, MentionData
from database import Database
from house import House
from models import Account, Case, CaseStatus, Mention, Notice, Promise, Reply, ReplyStatus, Source, Team, Then, User
from replies import shared
from sandbox.twitter import snowflake
from triage import answering, cases, intake, ledger, policy, reactions, samples, targets
from triage.upkeep import ACTOR as CLOCK
from triage.upkeep import CLOSE_AFTER

SEED = 1114
WEEKS = 7
A_YEAR = timedelta(weeks=52)  # the same weekdays
SINCE = timedelta(weeks=60)  # Storby has had Gensvar
YEAR_AGO = (timedelta(days=13), timedelta(days=1))  # before and after this day a year ago
ASKED = (2, 2, 2, 2, 2, 1, 0)  # on a Monday, a Tuesday …
ASKED_THEN = (1, 1, 0, 1, 1, 0, 0)
HOURS, OFTEN = range(6, 24), (1, 4, 6, 6, 5, 4, 4, 4, 4, 4, 4, 3, 4, 5, 4, 3, 2, 1)
BY_NOW = timedelta(hours=20)  # before the demo starts: what comes in from then on is told by the story of its day
TIDY = timedelta(minutes=40)  # before the demo starts: by then everything has been answered
OPENS, CLOSES = time(7, 45), time(17, 15)
NOTICED = timedelta(minutes=35)  # in which somebody who is warned may have answered
PLACES = ("x",) * 9 + ("facebook",) * 7 + ("comments",) * 3
LANGUAGES = ("sv",) * 12 + ("da", "da", "nb", "nb", "nn", "en", "en", "en")
SLOW, QUICK, SLOW_THEN = 2.2, 0.6, 2.8  # how the time to answer went: seven weeks ago, now, a year ago
WORKS = {"anna": 9, "jonas": 8, "leila": 7, "mikkel": 6, "petra": 2}  # how much each of them does
SHARED_KEY = "the leak"


def tell(house: House, now: datetime, stop: threading.Event, *, weeks: int = WEEKS) -> None:
    """All of it, up to ``now``; ends early when ``stop`` is set. Nothing else is at work meanwhile."""
    with _quick(house.database) as database:
        _Town(replace(house, database=database), now, weeks).live(stop)


@contextmanager
def _quick(database: Database) -> Iterator[Database]:
    """The same, without waiting for the disk at each step: a demo that loses its power is made anew."""
    quick = Database(database.url.render_as_string(hide_password=False))
    if quick.sqlite:
        event.listen(quick.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    try:
        yield quick
    finally:
        quick.close()


@dataclass
class _Asked:
    """Something that was said, and the case it became."""

    place: str
    language: str
    author: AuthorData
    street: str
    case: int = 0
    mention: int = 0
    external_id: str = ""
    thread: str | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


class _Town:
    def __init__(self, house: House, now: datetime, weeks: int) -> None:
        self.house, self.now = house, now
        self.chance = random.Random(SEED)
        self.words: dict[str, Any] = yaml.safe_load(files("sandbox").joinpath("past.yaml").read_text(encoding="utf-8"))
        with house.database.read() as db:
            self.zone: ZoneInfo = policy.read(db).zone
            self.users = {user.email.partition("@")[0]: user for user in db.scalars(select(User))}
            self.sources = {source.name: source for source in db.scalars(select(Source))}
            self.accounts = {each.name: house.account(each.name) for each in db.scalars(select(Account))}
        self.spam: list[Mapping[str, Any]] = list(self.words["spam"])
        self.today = now.astimezone(self.zone).date()
        self.begun = self._midnight(self.today - timedelta(weeks=weeks))
        self.numbers = iter(range(1, 1_000_000))
        self.lives: list[tuple[datetime, int, Iterator[datetime]]] = []
        self._people: dict[str, list[str]] = {tongue: list(names) for tongue, names in self.words["people"].items()}
        self._questions: dict[str, list[Mapping[str, Any]]] = {}

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    # -- the order of time ---------------------------------------------------------------------------------------------

    def live(self, stop: threading.Event) -> None:
        self._assume()
        self._plan()
        while self.lives and not stop.is_set():
            at = self.lives[0][0]
            if at > self.now - TIDY:
                break
            self._look_at_targets(at)
            at, number, life = heapq.heappop(self.lives)
            following = next(life, None)
            if following is not None:
                heapq.heappush(self.lives, (following, number, life))
        if not stop.is_set():
            self._tidy(self.now - TIDY)

    def _begin(self, life: Iterator[datetime]) -> None:
        """A life says when it goes on, and goes on when it is asked again."""
        if (first := next(life, None)) is not None:
            heapq.heappush(self.lives, (first, next(self.numbers), life))

    @contextmanager
    def _at(self, at: datetime) -> Iterator[Session]:
        """Something is done, and what follows from it."""
        with self.house.database.transaction() as db:
            yield db
            db.flush()
            reactions.react_within(db, at)

    def _look_at_targets(self, until: datetime) -> None:
        """Who is about to be late is warned, who is late is told, when it is so: the clock of the house is still."""
        while True:
            with self.house.database.read() as db:
                due = db.scalar(select(func.min(Case.next_alert_at)))
            if due is None or due > until - NOTICED:
                return
            targets.tick(self.house.database, due)
            with self._at(due):
                pass

    def _tidy(self, at: datetime) -> None:
        """What is left is done, and everybody has read what they were told."""
        alive = select(Case.id).where(Case.status.in_((CaseStatus.new, CaseStatus.open, CaseStatus.pending)))
        with self._at(at) as db:
            for number in db.scalars(alive.order_by(Case.id)).all():
                self._resolve(db, number, "jonas", at)
        with self.house.database.transaction() as db:
            db.execute(update(Notice).where(Notice.seen_at.is_(None)).values(seen_at=at, mail_at=None))
        samples.catch_up(self.house.database, most=1_000_000)

    # -- what is to come -----------------------------------------------------------------------------------------------

    def _assume(self) -> None:
        """What Petra takes for granted of calls that were not needed, as she would on the page of the report."""
        given = policy.Assumption(share=30, minutes=7, cost=420)
        by: dict[str, Any] = {"by": self._email("petra"), "at": self.begun}
        with self.house.database.transaction() as db:
            policy.put(db, policy.VALUE, given, **by)

    def _plan(self) -> None:
        then = self.now - A_YEAR
        first, last = (then - YEAR_AGO[0]).date(), (then + YEAR_AGO[1]).date()
        self._days(first, last, ASKED_THEN, lambda _: SLOW_THEN)
        self._begin(self._midnights(first, last + timedelta(days=7)))
        first, last = self.begun.astimezone(self.zone).date(), self.today
        span = max((last - first).days, 1)
        self._days(first, last, ASKED, lambda day: SLOW + (QUICK - SLOW) * (day - first).days / span)
        self._begin(self._midnights(first, last))
        self._begin(self._leak(self._weekday(span // 2, time(12, 40))))
        self._begin(self._bus(self._weekday(span // 4, time(6, 30))))

    def _days(self, first: date, last: date, asked: tuple[int, ...], pace: Callable[[date], float]) -> None:
        """Who asks on which day; ``pace``: how slow answers are."""
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
            for _ in range(max(asked[day.weekday()] + self.chance.choice((-1, 0, 0, 1)), 0)):
                hour = self.chance.choices(HOURS, OFTEN)[0]
                at = datetime.combine(day, time(hour, self.chance.randrange(60)), self.zone).astimezone(UTC)
                if at < self.now - BY_NOW:
                    self._begin(self._life(at, pace(day)))

    def _weekday(self, days: int, at: time) -> datetime:
        """So many days ago, or on the Thursday before."""
        day = self.today - timedelta(days=days)
        if day.weekday() > 4:
            day -= timedelta(days=day.weekday() - 3)
        return datetime.combine(day, at, self.zone).astimezone(UTC)

    def _midnights(self, first: date, last: date) -> Iterator[datetime]:
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
            at = self._midnight(day)
            yield at
            with self.house.database.transaction() as db:
                samples.store_backlog(db, day, at)

    # -- one case ------------------------------------------------------------------------------------------------------

    def _life(self, at: datetime, pace: float) -> Iterator[datetime]:
        how = self.chance.choices(
            ("answered", "soon", "more", "thanks", "again", "promise", "there", "elsewhere", "spam"),
            (40, 13, 12, 9, 8, 7, 4, 3, 5),
        )[0]  # fmt: skip
        if how == "spam":
            told = self.spam.pop()
            self.spam.insert(0, told)
        elif how == "elsewhere":
            told = {"lang": "sv", **self.chance.choice(self.words["blog"])}
        else:
            told = self._question(how)
        place = "grannbloggen" if how == "elsewhere" else "x" if how == "spam" else self.chance.choice(PLACES)
        one = self._somebody(place, told)
        yield at
        seen = at + timedelta(seconds=self.chance.randrange(20, 280))
        with self._at(seen) as db:
            self._say(db, one, at, seen)
        who = self._colleague()
        at = self._later(seen, pace)
        if how == "spam":
            yield at
            with self._at(at) as db:
                cases.change_status(db, one.case, target=CaseStatus.ignored, actor=self._email(who), at=at)
            return
        if self.chance.random() < 0.5:
            given = max(seen, at - timedelta(minutes=self.chance.randrange(1, 20)))
            yield given
            with self._at(given) as db:
                self._give(db, one, who, given)
        yield at
        yield from getattr(self, f"_{how}")(one, who, at, pace)

    def _answered(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        with self._at(at) as db:
            if "answer" in one.told:
                self._answer(db, one, one.told["answer"], who, Then.resolve, at)
            else:
                self._resolve(db, one.case, who, at)
        yield from self._close(one.case, at)

    def _soon(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        """A canned reply first, and the answer when somebody has looked."""
        with self._at(at) as db:
            self._answer(db, one, self.words["soon"][one.language], who, Then.keep, at)
        at = self._later(at + timedelta(hours=self.chance.randrange(3, 40)), pace)
        yield at
        yield from self._answered(one, self._colleague(), at, pace)

    def _more(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        """Who asked is asked for more."""
        words = self.words["more"][one.language]
        with self._at(at) as db:
            self._answer(db, one, words["question"], who, Then.wait, at)
        at += timedelta(minutes=self.chance.randrange(15, 900))
        yield at
        with self._at(at) as db:
            words = self.chance.choice(words["replies"]).format(street=one.street, n=self.chance.randrange(1, 90))
            self._say_more(db, one, words, at)
        at = self._later(at, pace)
        yield at
        yield from self._answered(one, who, at, pace)

    def _thanks(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        with self._at(at) as db:
            self._answer(db, one, one.told["answer"], who, Then.resolve, at)
        at += timedelta(minutes=self.chance.randrange(5, 200))
        yield at
        with self._at(at) as db:
            self._say_more(db, one, self.chance.choice(self.words["thanks"][one.language]), at)
        at = min(self._later(at, pace), at + timedelta(hours=20))
        yield at
        with self._at(at) as db:
            self._resolve(db, one.case, who, at)
        yield from self._close(one.case, at)

    def _again(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        with self._at(at) as db:
            self._answer(db, one, one.told["answer"], who, Then.resolve, at)
        at += timedelta(hours=self.chance.randrange(10, 110))
        yield at
        with self._at(at) as db:
            self._say_more(db, one, self.chance.choice(self.words["again"][one.language]), at)
        at = self._later(at, pace)
        yield at
        yield from self._answered(one, self._colleague(), at, pace)

    def _promise(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        """Kept in time by most, late by some."""
        with self._at(at) as db:
            self._answer(db, one, self.words["promise"][one.language], who, Then.keep, at)
        with self._at(at + timedelta(minutes=1)) as db:
            made = db.scalar(select(Promise).where(Promise.case_id == one.case))
            if made is not None:
                owner = db.get_one(User, self.users[who].id)
                ledger.accept(db, made.id, owner=owner, actor=owner.email, at=at + timedelta(minutes=1))
        late = self.chance.random() < 0.3
        at = self._later(at + timedelta(days=self.chance.randrange(5, 8) if late else 1), 1.0)
        if made is not None and made.back_at < at:
            yield made.back_at
            with self._at(made.back_at) as db:
                cases.follow_up_due(db, one.case, actor=CLOCK, at=made.back_at)
        yield at
        yield from self._answered(one, who, at, pace)

    def _there(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        """Answered in the network's own app, and found there."""
        with self._at(at + timedelta(minutes=2)) as db:
            self._say(db, one, at, at + timedelta(minutes=2), text=one.told["answer"], ours=True)
        at += timedelta(minutes=self.chance.randrange(10, 300))
        yield at
        with self._at(at) as db:
            self._resolve(db, one.case, who, at)
        yield from self._close(one.case, at)

    def _elsewhere(self, one: _Asked, who: str, at: datetime, pace: float) -> Iterator[datetime]:
        """A blog where we cannot write: answered by hand in its comments."""
        with self._at(at) as db:
            user = db.get_one(User, self.users["petra"].id)
            answering.answered_elsewhere(
                db, one.case, to_mention_id=one.mention, url=None, replied_at=at, user=user, at=at
            )
            self._resolve(db, one.case, "petra", at)
        yield from self._close(one.case, at)

    def _close(self, case: int, at: datetime) -> Iterator[datetime]:
        """As the clock does: what has been done long enough."""
        at += CLOSE_AFTER
        yield at
        with self._at(at) as db:
            if cases.get(db, case).status == CaseStatus.resolved:
                cases.close(db, case, actor=CLOCK, at=at)

    # -- what many told at once ----------------------------------------------------------------------------------------

    def _leak(self, at: datetime) -> Iterator[datetime]:
        """Water on Kvarngatan: one answer for all, hours before the newspaper."""
        told = self.words["leak"]
        first = 0
        for each, minutes in zip(told["asked"], (0, 9, 14, 19, 27, 33, 38, 44), strict=True):
            when = at + timedelta(minutes=minutes)
            yield when
            with self._at(when) as db:
                one = self._somebody(self.chance.choice(("x", "facebook")), each)
                self._say(db, one, when, when)
                first = first or one.case
        at += timedelta(minutes=57)
        yield at
        with self._at(at) as db:
            story = cases.get(db, first).story_id
            if story is not None:
                user, how = db.get_one(User, self.users["petra"].id), Then.resolve
                given = {"texts": told["answer"], "chosen": None, "key": SHARED_KEY, "then": how}
                shared.submit(db, self.house, story, **given, user=user, at=at)
        shared.work_off(self.house, at)
        with self.house.database.read() as db:
            held = select(Reply.id).where(Reply.status == ReplyStatus.held)
            waiting = list(db.execute(held.with_only_columns(Reply.id, Reply.not_before).order_by(Reply.not_before)))
        for number, not_before in waiting:
            turn = not_before or at
            yield turn
            with self._at(turn) as db:
                db.execute(update(Reply).where(Reply.id == number).values(status=ReplyStatus.queued))
                self._goes_out(db, number, turn)
                self._begin(self._close(db.get_one(Reply, number).case_id, turn))
        yield from self._written_of(told["article"], at + timedelta(hours=2, minutes=20))

    def _bus(self, at: datetime) -> Iterator[datetime]:
        """The newspaper was first, and people asked."""
        told = self.words["bus"]
        yield from self._written_of(told["article"], at)
        asked = []
        for each, minutes in zip(told["asked"], (35, 52, 75, 80, 111), strict=True):
            when = at + timedelta(minutes=minutes)
            yield when
            with self._at(when) as db:
                one = self._somebody(self.chance.choice(("x", "facebook")), each)
                self._say(db, one, when, when)
                asked.append(one)
        for n, one in enumerate(asked):
            when = at + timedelta(minutes=190 + 6 * n)
            yield when
            with self._at(when) as db:
                self._answer(db, one, told["answer"][one.language], "petra", Then.resolve, when)
            self._begin(self._close(one.case, when))

    def _written_of(self, article: Mapping[str, Any], at: datetime) -> Iterator[datetime]:
        """In the newspaper. It wants no answer there."""
        one = self._somebody("storbyposten", {"lang": "sv", **article})
        yield at
        with self._at(at + timedelta(minutes=4)) as db:
            self._say(db, one, at, at + timedelta(minutes=4))
        at = self._later(at + timedelta(minutes=30), 1.0)
        yield at
        with self._at(at) as db:
            self._resolve(db, one.case, "petra", at)
        self._begin(self._close(one.case, at))

    # -- who, when -----------------------------------------------------------------------------------------------------

    def _question(self, how: str) -> Mapping[str, Any]:
        """All of a language in turn, so that nobody asks the same as somebody did the day before."""
        language = self.chance.choice(LANGUAGES)
        while True:
            if not self._questions.get(language):
                all_of_it = [each for each in self.words["asked"] if each["lang"] == language]
                self._questions[language] = self.chance.sample(all_of_it, len(all_of_it))
            found = self._questions[language].pop()
            if (how == "answered" or "answer" in found) and (how != "more" or "{street}" in found["text"]):
                return found

    def _somebody(self, place: str, told: Mapping[str, Any]) -> _Asked:
        language = told["lang"]
        name = self.chance.choice(self._people.get(language, self._people["sv"]))
        number = next(self.numbers)
        handle = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalpha())[:15]
        if place == "storbyposten":
            author = AuthorData("storbyposten.example/redaktionen", "Storbyposten", url="https://storbyposten.example")
        elif place == "grannbloggen":
            author = AuthorData(f"grannbloggen.example/author/{handle}", name)
        elif place == "x":
            followers = 30 + sum(map(ord, name)) % 400
            author = AuthorData(f"41{_digits(name)}", name, handle, f"https://x.com/{handle}", followers=followers)
        else:
            author = AuthorData(f"1000{_digits(name)}" if place == "facebook" else f"by/{handle}", name)
        street = self.words["streets"][number % len(self.words["streets"])]
        return _Asked(place, language, author, street, told={**told, **_placed(told, street)})

    def _colleague(self) -> str:
        return self.chance.choices(list(WORKS), list(WORKS.values()))[0]

    def _email(self, who: str) -> str:
        return self.users[who].email

    def _later(self, at: datetime, pace: float) -> datetime:
        """When somebody gets to it: most wait for opening time, some for whoever is on duty in the evening."""
        at += timedelta(minutes=min(self.chance.lognormvariate(3.6, 0.9) * pace, 2000))
        local = at.astimezone(self.zone)
        open_now = local.weekday() < 5 and OPENS <= local.time() < CLOSES
        if open_now or (7 < local.hour < 22 and self.chance.random() < 0.8):
            return at
        day = local.date() + timedelta(days=local.time() >= CLOSES)
        while day.weekday() > 4:
            day += timedelta(days=1)
        morning = datetime.combine(day, OPENS, self.zone) + timedelta(minutes=self.chance.randrange(3, 75))
        return max(at, morning.astimezone(UTC))

    # -- through the doors ---------------------------------------------------------------------------------------------

    def _say(
        self, db: Session, one: _Asked, at: datetime, seen: datetime, *, text: str | None = None, ours: bool = False
    ) -> None:
        """It is found where it was said; the first of it opens the case."""
        source = self.sources[SOURCES[one.place]]
        data = self._data(one, at, text if text is not None else one.told["text"], ours)
        batch = Batch((data,), cursor={})
        intake.take(db, batch, channel=source.channel, account_id=source.account_id, source_id=source.id, at=seen)
        made = db.scalars(
            select(Mention).where(Mention.channel == source.channel, Mention.external_id == data.external_id)
        ).one()
        assert made.case_id is not None
        one.case = made.case_id
        if not ours:
            one.mention, one.external_id, one.thread = made.id, data.external_id, data.thread

    def _say_more(self, db: Session, one: _Asked, text: str, at: datetime) -> None:
        self._say(db, one, at, at + timedelta(seconds=40), text=text)

    def _data(self, one: _Asked, at: datetime, text: str, ours: bool) -> MentionData:
        """As the collector of the place would have handed it over."""
        number, author = next(self.numbers), one.author
        above = one.external_id or None
        common: dict[str, Any] = {"text": text, "published_at": at, "title": one.told.get("title"), "ours": ours}
        if one.place == "x":
            account: Any = self.accounts["storby-x"]
            id = str(snowflake(at, number))
            who = AuthorData(account.user_id, "Storby kommun", account.handle) if ours else author
            if not ours and "title" not in one.told:
                common["text"] = text if text.startswith("@") else f"@storby {text}"
            common |= {"can_reply": not ours, "can_reply_reason": "ours" if ours else None}
            return MentionData(
                id, who, url=f"https://x.com/{who.handle}/status/{id}", thread=one.thread or id, in_reply_to=above,
                reply_address={"tweet": id}, raw={"id": id}, **common,
            )  # fmt: skip
        if one.place == "facebook":
            account = self.accounts["storby-page"]
            post = (one.thread or f"{account.page_id}_{122_000_000_000_000 + number}").partition("_")[2]
            id = f"{post}_{122_000_000_000_000 + number}" if above else f"{account.page_id}_{post}"
            address = {"comment": id, "private_until": None} if above else {"post": id, "private_until": None}
            return MentionData(
                id, AuthorData(account.page_id, "Storby kommun") if ours else author,
                url=f"https://www.facebook.com/{account.page_id}/posts/{post}/", thread=f"{account.page_id}_{post}",
                in_reply_to=above, can_reply=True, reply_address=address, raw={"id": id}, **common,
            )  # fmt: skip
        if one.place == "comments":
            site = self.accounts["storby-blog"].site.rstrip("/")  # type: ignore[attr-defined]
            host = site.partition("://")[2]
            return MentionData(
                f"{host}/comment/{100_000 + number}", AuthorData(f"{host}/comment/{author.external_id}", author.name),
                url=f"{site}/?p={90_000 + number}#comment-{100_000 + number}",
                thread=one.thread or f"{site}/?p={90_000 + number}", in_reply_to=above, can_reply=True,
                reply_address={"post": 1, "parent": 100_000 + number}, raw={"id": 100_000 + number}, **common,
            )  # fmt: skip
        url = f"https://{one.place}.example/{number}/"
        return MentionData(url, author, url=url, can_reply=False, can_reply_reason="no_account", raw={}, **common)

    def _give(self, db: Session, one: _Asked, who: str, at: datetime) -> None:
        """Somebody takes it, or is given it; and sometimes says what it is about."""
        user = db.get_one(User, self.users[who].id)
        by = user.email if self.chance.random() < 0.8 else self._email("petra")
        if cases.get(db, one.case).team_id is None:
            team = db.scalars(select(Team).where(Team.name == "Kontaktcenter")).one()
            cases.assign_team(db, one.case, team=team, actor=by, at=at)
        cases.assign(db, one.case, assignee=user, actor=by, at=at)
        if "tag" in one.told and self.chance.random() < 0.7:
            cases.classify(db, one.case, tags=[one.told["tag"]], actor=by, at=at)

    def _answer(self, db: Session, one: _Asked, text: str, who: str, then: Then, at: datetime) -> None:
        user, source = db.get_one(User, self.users[who].id), self.sources[SOURCES[one.place]]
        said = answering.reply(
            db, one.case, body=text, to_mention_id=one.mention, user=user, then=then, private=False,
            hold=timedelta(0), idempotency_key=None, account_id=source.account_id, at=at,
        )  # fmt: skip
        if said.status == ReplyStatus.queued:
            self._goes_out(db, said.id, at)

    def _goes_out(self, db: Session, reply: int, at: datetime) -> None:
        """As if the network had taken it: nothing is sent."""
        answering.reply_called(db, reply, worker="storby", at=at)
        sent = at + timedelta(seconds=2)
        id = f"past-{reply}"
        answering.reply_sent(db, reply, external_id=id, url=None, sent_at=sent, actor="outbox", at=sent)

    def _resolve(self, db: Session, case: int, who: str, at: datetime) -> None:
        cases.change_status(db, case, target=CaseStatus.resolved, actor=self._email(who), at=at)


SOURCES: Mapping[str, str] = {  # where it was said -> what found it
    "x": "x-mentions",
    "facebook": "page",
    "comments": "our-comments",
    "grannbloggen": "grannbloggen",
    "storbyposten": "storbyposten",
}


def _digits(name: str) -> str:
    return f"{sum(ord(letter) * (place + 7) ** 3 for place, letter in enumerate(name)) % 10**8:08}"


def _placed(told: Mapping[str, Any], street: str) -> dict[str, str]:
    return {name: told[name].replace("{street}", street) for name in ("text", "answer") if name in told}
