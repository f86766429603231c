"""Samples of stored cases: taken anew whenever something has happened in a case, and compared by night.

The only door to ``samples``, ``unmeasured``, ``backlog`` and ``figure_checks``. A reaction to each event marks
its case; ``catch_up`` measures what is marked, in batches. So a case in which much happens at once is measured once.

What a sample was measured with stays with it: when a calendar or a target is changed later, neither is what was. And
what is measured late is measured with what held then: by the calendar of the team it had, as both were. Only what was
``provisional`` is measured once more: reactions may since have given the case its first team, or its target.

A case that cannot be measured stops no other: it keeps its mark, with the reason, and what was measured of it before.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Table, delete, func, insert, literal, select, union, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, SQLAlchemyError
from sqlalchemy.orm import Session

from database import Database, lock, storable
from models import (
    CONCERNS_US,
    Backlog,
    Case,
    CaseEvent,
    CaseStatus,
    Definition,
    FigureCheck,
    Mention,
    PendingReaction,
    Promise,
    PromiseState,
    Reply,
    ReplyStatus,
    Sample,
    SharedAnswerPart,
    Team,
    Unmeasured,
    User,
)
from settings import Calendar, OpeningTime, Sla
from triage import clock, policy, sla
from triage.measures import Answer, History, How, Measure, Measured, Moved, Promised, Said, Step, measure, rests
from triage.states import ALIVE

log = logging.getLogger("gensvar.samples")
T = TypeVar("T")
AT_ONCE = 200  # cases measured in one transaction
CHECKED_A_NIGHT = 20_000  # cases, going round: the work of a night does not grow with the archive
SHOWN = 200  # differences kept of one night
GROUPED_BY = ("channel", "source_id", "team_id", "assignee_id", "kind", "category", "language")
OF_THE_CASE = (*GROUPED_BY, "sentiment", "imported")


@dataclass(frozen=True)
class Target:
    """What was laid down for such a time: the policy, and the hours in which it counts (None: all)."""

    policy: Sla
    amount: OpeningTime
    hours: Calendar | None


@dataclass(frozen=True)
class Taken:
    """A sample as it is stored (``row``), and what it was made of, for those who want to follow the calculation."""

    row: Mapping[str, Any]
    measured: Measured
    calendar: Calendar | None
    target: Target | None = None


# -- keeping them ----------------------------------------------------------------------------------------------------


def mark(db: Session, case_ids: Iterable[int]) -> None:
    """Something has happened in these cases. What could not be measured before may be now.

    A mark that is there is held: nobody takes it away before all that has happened can be seen.
    """
    dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    rows = [{"case_id": case_id} for case_id in sorted(set(case_ids))]
    if rows:
        known: dict[str, Any] = {"index_elements": ["case_id"], "set_": {"error": None}}
        db.execute(dialect.insert(Unmeasured).on_conflict_do_update(**known), rows)


def mark_all(db: Session) -> None:
    """What every sample rests on has changed: the organisation's time zone."""
    known = select(Unmeasured.case_id)
    db.execute(update(Unmeasured).values(error=None))
    db.execute(insert(Unmeasured).from_select(["case_id"], select(Case.id).where(Case.id.not_in(known))))


def waiting(db: Session, most: int) -> int:
    """How many cases are still to be measured, counted no farther than ``most``."""
    marked = select(Unmeasured.case_id).limit(most).subquery()  # or all of them would be read to count a few
    reacting = _reacting().where(~_taken_early).limit(most).subquery()
    due = union(select(marked.c.case_id), select(reacting.c.case_id)).limit(most)
    return db.scalar(select(func.count()).select_from(due.subquery())) or 0


def catch_up(database: Database, *, most: int = AT_ONCE) -> int:
    """Measure up to ``most`` of the cases in which something has happened. Returns how many had to be."""
    done = 0
    while done < most:
        with database.read() as db:
            if db.scalar(select(Unmeasured.case_id).where(Unmeasured.error.is_(None)).limit(1)) is None:
                return done + _measure_early(database, most - done)
        with database.transaction() as db:
            lock(db, "samples")  # whoever comes second finds nothing left to do
            marked = select(Unmeasured.case_id).where(Unmeasured.error.is_(None)).order_by(Unmeasured.case_id)
            free = marked.limit(min(AT_ONCE, most - done)).with_for_update(skip_locked=True)
            numbers = list(db.scalars(free))  # the others are being marked once more, and come when that is done
            db.execute(delete(Unmeasured).where(Unmeasured.case_id.in_(numbers)))
            _where_possible(db, numbers, _retake)
        if not numbers:
            return done + _measure_early(database, most - done)
        done += len(numbers)
    return done


def _measure_early(database: Database, most: int) -> int:
    """Cases with events whose reactions are still to come: measured now, and once more when they have.

    Nothing is written, and nobody kept waiting, where that was done before. First come those not measured at all.
    """
    newest = func.max(CaseEvent.id).desc()
    impossible = select(Unmeasured.case_id).where(Unmeasured.error.is_not(None))
    asked = _reacting().where(CaseEvent.case_id.not_in(impossible)).group_by(CaseEvent.case_id)
    asked = asked.order_by(_taken_early, newest).limit(min(most, 2**31))
    with database.read() as db:
        numbers = list(db.scalars(asked))
    done = 0
    for start in range(0, len(numbers), AT_ONCE):
        different = numbers[start : start + AT_ONCE]
        with database.read() as db:
            try:
                different = [each.case_id for each in _changes(db, different)]
            except Exception as error:  # noqa: BLE001  # which of them, and why, is found out when it is written
                _is_of_a_case(error)
        if different:
            with database.transaction() as db:
                lock(db, "samples")
                _where_possible(db, different, _retake)
            done += len(different)
    return done


def _where_possible(db: Session, case_ids: Sequence[int], work: Callable[[Session, Sequence[int]], list[T]]) -> list[T]:
    """What ``work`` gives for these cases, without those with which it fails: they are marked with the reason."""
    try:
        with db.begin_nested():
            return work(db, case_ids)
    except Exception as error:
        _is_of_a_case(error)
        if len(case_ids) == 1:
            reason = storable(f"{type(error).__name__}: {error}")
            log.exception("case %s cannot be measured and is missing in the figures: %s", case_ids[0], reason)
            mark(db, case_ids)
            db.execute(update(Unmeasured).where(Unmeasured.case_id.in_(case_ids)).values(error=reason))
            return []
    half = len(case_ids) // 2  # so a few that fail among many cost little
    return [*_where_possible(db, case_ids[:half], work), *_where_possible(db, case_ids[half:], work)]


def _is_of_a_case(error: Exception) -> None:
    """Raised again where it is none that one case could bring about: the database is gone, or another in the way."""
    if isinstance(error, SQLAlchemyError) and not isinstance(error, DataError):
        raise error


def _reacting() -> Any:
    """What cannot be reacted to is measured when that is found out, by ``mark``."""
    pending = select(PendingReaction.event_id).where(PendingReaction.error.is_(None))  # joined, SQLite reads all events
    return select(CaseEvent.case_id).where(CaseEvent.id.in_(pending)).group_by(CaseEvent.case_id)


_taken_early = select(Sample.id).where(Sample.case_id == CaseEvent.case_id, Sample.provisional).exists()


def refresh(db: Session, case_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Take the samples of these cases anew; returns what is different now, as ``FigureCheck.differences`` has it."""
    return [each for case in _retake(db, case_ids) for each in _differences(case.case_id, case.stored, case.wanted)]


@dataclass(frozen=True)
class _Change:
    """A case whose samples are different now: those it has and should have, and what is to be done about it."""

    case_id: int
    stored: Sequence[Mapping[str, Any]]
    wanted: Sequence[Mapping[str, Any]]
    gone: Sequence[int]
    come: Sequence[Mapping[str, Any]]


def _changes(db: Session, case_ids: Sequence[int]) -> list[_Change]:
    there = _stored(db, case_ids)
    early = frozenset(db.scalars(_reacting().where(CaseEvent.case_id.in_(case_ids))))
    found: list[_Change] = []
    for case_id, taken in _take(db, case_ids, there).items():
        stored = there.get(case_id, [])
        wanted = [{**each.row, "provisional": case_id in early} for each in taken]
        had, has = [tuple(sample)[1:] for sample in stored], [tuple(row.values()) for row in wanted]
        gone, come = Counter(had) - Counter(has), Counter(has) - Counter(had)
        if not gone and not come:
            continue
        old = [sample.id for sample, values in zip(stored, had, strict=True) if _take_one(gone, values)]
        new = [row for row, values in zip(wanted, has, strict=True) if _take_one(come, values)]
        found.append(_Change(case_id, [sample._mapping for sample in stored], wanted, old, new))
    return found


def _retake(db: Session, case_ids: Sequence[int]) -> list[_Change]:
    """Only what is different is written."""
    changes = _changes(db, case_ids)
    if old := [id for each in changes for id in each.gone]:
        db.execute(delete(Sample).where(Sample.id.in_(old)))
    if new := [row for each in changes for row in each.come]:
        db.execute(insert(_SAMPLES), new)  # the table: the class would make a statement for each set of nulls
    return changes


def _take_one(left: Counter[tuple[Any, ...]], values: tuple[Any, ...]) -> bool:
    """Whether there was one of these left."""
    found = left[values] > 0
    left[values] -= found
    return found


def _differences(
    case_id: int, stored: Sequence[Mapping[str, Any]], computed: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    def told(rows: Sequence[Mapping[str, Any]], measure: str) -> list[Any]:
        shown = ("day", "seconds", "business", "how", "n")
        return sorted(str([row[name] for name in shown]) for row in rows if row["measure"] == measure)

    names = sorted({str(row["measure"]) for row in (*stored, *computed)})
    return [
        {"case": case_id, "what": name, "stored": old, "computed": new}
        for name in names
        if (old := told(stored, name)) != (new := told(computed, name))
    ] or [{"case": case_id, "what": "details", "stored": len(stored), "computed": len(computed)}]


def of_case(db: Session, case_id: int) -> list[Taken]:
    """The samples of one case with their calculation, as they would be taken now."""
    return _take(db, [case_id], _stored(db, [case_id])).get(case_id, [])


# -- taking them -----------------------------------------------------------------------------------------------------

_SAMPLES = cast(Table, Sample.__table__)
_COLUMNS = tuple(column.key for column in _SAMPLES.columns if column.key != "id")


def _stored(db: Session, case_ids: Sequence[int]) -> dict[int, list[Any]]:
    """Rows of ``id`` and ``_COLUMNS``."""
    found: dict[int, list[Any]] = defaultdict(list)
    columns = [_SAMPLES.columns[name] for name in _COLUMNS]
    for sample in db.execute(select(Sample.id, *columns).where(Sample.case_id.in_(case_ids))):
        found[sample.case_id].append(sample)
    return found


def _take(db: Session, case_ids: Sequence[int], there: Mapping[int, Sequence[Any]]) -> dict[int, list[Taken]]:
    books = _Books(db)
    found: dict[int, list[Taken]] = {}
    histories = histories_of(db, case_ids, books.people)
    columns = [getattr(Case, name) for name in OF_THE_CASE]
    asked = select(Case.id, Case.sla_id, *columns)
    for case in db.execute(asked.where(Case.id.in_(case_ids)).order_by(Case.id)):
        found[case.id] = list(_taken(case, histories[case.id], books, there.get(case.id, ())))
    return found


def _taken(case: Any, history: History, books: _Books, there: Sequence[Any]) -> Iterable[Taken]:
    settled = [each for each in there if each.seconds is not None and not each.provisional]
    pinned = {(each.measure, each.started_at, each.at): each for each in settled}
    counted: Counter[tuple[int, int]] = Counter()
    common = {"case_id": case.id, **{name: getattr(case, name) for name in OF_THE_CASE}}
    blank = dict.fromkeys(_COLUMNS)
    for each in measure(history):
        local = each.at.astimezone(books.zone)
        day, hour = local.date().toordinal(), local.hour
        if each.measure is Measure.mention:
            counted[day, hour] += 1
            continue
        row = blank | common | {
            "measure": each.measure.value, "day": day, "hour": hour, "at": each.at, "started_at": each.started_at,
            "user_id": each.user_id, "how": each.how.value if each.how else None, "n": 1, "provisional": False,
        }  # fmt: skip
        used: Calendar | None = None
        target: Target | None = None
        if each.started_at is not None and each.measure is not Measure.promise:
            old = pinned.get((each.measure, each.started_at, each.at))
            of_team = books.calendar_of_team(case.team_id, history.moves, each.at)
            calendar_id, used = books.then(each.at, of_team) if old is None else books.kept(of_team, each.at, old)
            target = books.target(case, each, of_team)
            due = old.due_at if old is not None else _due_at(target, history, each)
            row |= {
                "seconds": sum(int((end - start).total_seconds()) for start, end in each.counted),
                "business": sum(int(clock.between(used, start, end).total_seconds()) for start, end in each.counted),
                "calendar_id": calendar_id,
                "due_at": due,
                "late": None if due is None else each.at > due,
            }  # fmt: skip
        yield Taken(row, each, used, target)
    for (day, hour), n in counted.items():
        at = datetime.combine(date.fromordinal(day), time(hour), books.zone).astimezone(UTC)
        row = blank | common | {"measure": Measure.mention.value, "day": day, "hour": hour, "at": at, "n": n}
        row["provisional"] = False
        yield Taken(row, Measured(Measure.mention, at), None)


def _due_at(target: Target | None, history: History, each: Measured) -> datetime | None:
    if target is None or each.started_at is None:
        return None
    if each.measure is Measure.resolution:
        done = [step for step in history.steps if step.at <= each.at]
        pauses = [(since, until or each.at) for since, until in rests(done)]
        return sla.resolution_due(target.amount, target.hours, each.started_at, pauses)[0]
    return clock.add(target.hours, each.started_at, target.amount)


class _Books:
    """What the organisation has laid down, as of now and as it was."""

    def __init__(self, db: Session) -> None:
        self._db = db
        self.policy = policy.read(db)
        self.zone: ZoneInfo = self.policy.zone
        self.versions = policy.calendar_versions(db)
        self.people = {email: id for id, email in db.execute(select(User.id, User.email))}
        self._teams = {  # until when each was called what, and had which calendar; None: that is so now
            id: [*((datetime.fromisoformat(each["until"]), each["name"], each["calendar"]) for each in was),
                 (None, name, calendar)]
            for id, name, calendar, was in db.execute(select(Team.id, Team.name, Team.calendar, Team.was))
        }  # fmt: skip
        self._policies: dict[int, Sequence[tuple[datetime, Sla]]] = {}  # by definition: its versions, newest first

    def kept(self, of_team: str | None, at: datetime, old: Any) -> tuple[int | None, Calendar | None]:
        """The version of a calendar that ``old`` was measured with; none where there was none."""
        if old.calendar_id is None:
            return None, None
        versions = (version for versions in self.versions.values() for version in versions)
        found = next((version for version in versions if version.id == old.calendar_id), None)
        return (found.id, found.calendar) if found is not None else self.then(at, of_team)

    def calendar_of_team(self, team_id: int | None, moves: Sequence[Moved], at: datetime) -> str | None:
        """Of the team that the case had then the calendar of then; before any team, of the first it was given."""
        place = next((place for place, moved in enumerate(moves) if moved.at > at), None)
        if place is not None:
            moved = moves[place]
            name = moved.after if place == 0 and moved.before is None else moved.before
            if name is None:
                return None
            named = (id for id in self._teams if self._team_then(id, moved.at)[0] == name)
            team_id = next(named, team_id)  # a team that is gone cannot say any more
        return None if team_id is None else self._team_then(team_id, at)[1]

    def _team_then(self, team_id: int, at: datetime) -> tuple[str, str | None]:
        return next((name, hours) for until, name, hours in self._teams[team_id] if until is None or at < until)

    def then(self, at: datetime, *names: str | None) -> tuple[int | None, Calendar | None]:
        """The first calendar of these names, as it was then; else the one that came first then, or comes first now."""
        named = next((name for name in names if name in self.versions), None)
        if named is None:
            held = [each for versions in self.versions.values() for each in versions if each.held(at)]
            first = min(held, key=lambda each: (each.position, each.id), default=None)
            default = first.calendar if first is not None else self.policy.calendar()
            if default is None:
                return None, None
            named = default.name
        found = None
        for version in self.versions[named]:
            if found is None or version.since <= at:  # before the first of them, the first
                found = version
        return (found.id, found.calendar) if found else (None, None)

    def target(self, case: Any, each: Measured, of_team: str | None) -> Target | None:
        """By the policy that holds for the case, as it was then."""
        if case.sla_id is None or each.started_at is None:
            return None
        given = self._sla(case.sla_id, each.at)
        amount = {
            Measure.first_response: given.first_response,
            Measure.next_response: given.next_response,
            Measure.resolution: given.resolution,
        }.get(each.measure)
        if amount is None:
            return None
        hours = None if given.clock == "calendar" else self.then(each.at, given.calendar, of_team)[1]
        return Target(given, amount, hours)

    def _sla(self, definition_id: int, at: datetime) -> Sla:
        """The policy of a case as it was laid down then: before the first version of it, that one."""
        if definition_id not in self._policies:
            name = self._db.get_one(Definition, definition_id).name
            older = [each for each in policy.history(self._db, "sla", name) if each.id <= definition_id]
            found = [(each.created_at, cast(Sla, policy.value_of(self._db, each.id))) for each in older]
            self._policies[definition_id] = found
        versions = self._policies[definition_id]
        return next((given for since, given in versions if since <= at), versions[-1][1])


def histories_of(db: Session, case_ids: Sequence[int], people: Mapping[str, int]) -> dict[int, History]:
    """Everything that is measured of these cases, in a bounded number of queries."""
    said: dict[int, list[Said]] = defaultdict(list)
    added: set[int] = set()  # to which an import has added, or a merge with what one brought
    history = {number: old for number, old in db.execute(select(Case.id, Case.imported).where(Case.id.in_(case_ids)))}
    concerning = (Mention.case_id.in_(case_ids), CONCERNS_US)
    mentions = select(Mention.case_id, Mention.published_at, Mention.collected_at, Mention.imported).where(*concerning)
    for number, at, seen_at, imported in db.execute(mentions.order_by(Mention.published_at, Mention.id)):
        case_id = cast(int, number)
        if not imported or history[case_id]:  # what an import adds to a living case starts no clock
            said[case_id].append(Said(at, seen_at))
        else:
            added.add(case_id)
    answers: dict[int, list[Answer]] = defaultdict(list)
    sent = Reply.status.concat("") == ReplyStatus.sent  # by its index, SQLite would read every answer ever sent
    out = (Reply.case_id.in_(case_ids), sent, ~Reply.private, Reply.sent_at.is_not(None))
    part = SharedAnswerPart.reply_id
    old = func.coalesce(Mention.imported, False)
    replies = select(Reply.id, Reply.case_id, Reply.sent_at, Reply.user_id, Reply.origin, part, old)
    replies = replies.outerjoin(SharedAnswerPart, part == Reply.id).outerjoin(Mention, Mention.id == Reply.mention_id)
    for id, case_id, out_at, user_id, origin, shared, imported in db.execute(
        replies.where(*out).order_by(Reply.sent_at, Reply.id)
    ):
        sent_at = cast(datetime, out_at)
        begun = next((each.at for each in said[case_id]), sent_at)
        if imported and not history[case_id] and sent_at < begun:
            continue  # what was answered in history is no answer to what has been said since
        how = How.shared if shared is not None else How(origin)
        answers[case_id].append(Answer(sent_at, user_id, how, id))
    steps: dict[int, list[Step]] = defaultdict(list)
    events = select(
        CaseEvent.case_id, CaseEvent.id, CaseEvent.at, CaseEvent.action, CaseEvent.actor, CaseEvent.from_status,
        CaseEvent.to_status, CaseEvent.reply_id, CaseEvent.undoes_id, CaseEvent.changes,
    )  # fmt: skip
    moves: dict[int, list[Moved]] = defaultdict(list)
    for event in db.execute(events.where(CaseEvent.case_id.in_(case_ids)).order_by(CaseEvent.version)):
        steps[event.case_id].append(Step.of(event))
        if "team" in event.changes:
            moves[event.case_id].append(Moved(event.at, *event.changes["team"]))
    promises: dict[int, list[Promised]] = defaultdict(list)
    stood_by = (Promise.case_id.in_(case_ids), Promise.state != PromiseState.proposed)
    for each in db.scalars(select(Promise).where(*stood_by).order_by(Promise.id)):
        made = Promised(each.made_at, each.due_at, each.settled_at, each.state, each.owner_id)
        promises[each.case_id].append(made)
    first_seen = {case_id: min(each.seen_at for each in said[case_id]) for case_id in added if said[case_id]}
    return {
        case_id: History(
            status, first_seen.get(case_id, seen_at), merged is not None, said[case_id], answers[case_id],
            steps[case_id], promises[case_id], people, moves[case_id],
        )
        for case_id, status, seen_at, merged in db.execute(
            select(Case.id, Case.status, Case.seen_at, Case.merged_into_id).where(Case.id.in_(case_ids))
        )
    }  # fmt: skip


# -- by night --------------------------------------------------------------------------------------------------------


def tick(database: Database, at: datetime) -> int:
    """The first time after midnight: store the backlog, and compare. Returns how many cases were compared."""
    with database.read() as db:
        zone = policy.read(db).zone
        today = at.astimezone(zone).date()
        stored = db.scalar(select(func.max(Backlog.day)))
    if stored is None or stored < today.toordinal():
        with database.transaction() as db:
            lock(db, "samples")
            store_backlog(db, today, at)
    if _checked(database, zone, today):
        return 0
    with database.holding("figure check") as alone:  # another clock may be at it, or just have done it
        return check(database, at) if alone and not _checked(database, zone, today) else 0


def _checked(database: Database, zone: ZoneInfo, day: date) -> bool:
    with database.read() as db:
        last = db.scalar(select(func.max(FigureCheck.at)))
    return last is not None and last.astimezone(zone).date() >= day


def store_backlog(db: Session, day: date, at: datetime) -> None:
    """What is unfinished, once a day; a day without anything has a row that says so."""
    if db.scalar(select(Backlog.id).where(Backlog.day == day.toordinal()).limit(1)) is not None:
        return
    columns = [getattr(Case, name) for name in GROUPED_BY]
    living = select(Case.id, Case.status, Case.follow_up_at, Case.opened_at, *columns)
    groups: dict[tuple[Any, ...], list[tuple[int, datetime]]] = defaultdict(list)
    rows = db.execute(living.where(Case.status.in_(ALIVE), ~Case.imported).order_by(Case.id))
    for number, status, follow_up_at, opened_at, *keys in rows:
        put_away = follow_up_at is not None and follow_up_at > at
        state = "snoozed" if put_away else "waiting" if status == CaseStatus.pending else "open"
        groups[(state, *keys)].append((number, opened_at))
    made: list[dict[str, Any]] = [
        {"day": day.toordinal(), "state": state, "n": len(cases), "oldest_at": min(opened for _, opened in cases),
         "cases": [number for number, _ in cases], **dict(zip(GROUPED_BY, keys, strict=True))}
        for (state, *keys), cases in groups.items()
    ]  # fmt: skip
    nothing = {"day": day.toordinal(), "state": "open", "n": 0, "oldest_at": at, "cases": [], "channel": ""}
    db.execute(insert(Backlog), made or [dict.fromkeys(GROUPED_BY) | nothing])


def check(database: Database, at: datetime, *, most: int = CHECKED_A_NIGHT) -> int:
    """Compare what is stored with what the events say, for the next ``most`` cases, going round; mend samples.

    What is cached on the cases is compared too, and only shown: a difference there is a fault of ours.
    """
    with database.read() as db:
        last = db.scalar(select(FigureCheck.last_case).order_by(FigureCheck.id.desc()).limit(1)) or 0
        numbers = list(db.scalars(select(Case.id).where(Case.id > last).order_by(Case.id).limit(most)))
        if len(numbers) < most and last:
            again = select(Case.id).where(Case.id <= last).order_by(Case.id)
            numbers += db.scalars(again.limit(most - len(numbers))).all()
    differences: list[dict[str, Any]] = []
    for start in range(0, len(numbers), AT_ONCE):
        part = numbers[start : start + AT_ONCE]
        with database.transaction() as db:
            lock(db, "samples")
            impossible = (Unmeasured.case_id.in_(part), Unmeasured.error.is_not(None))
            again_now = frozenset(db.scalars(delete(Unmeasured).where(*impossible).returning(Unmeasured.case_id)))
            differences += _where_possible(db, part, partial(_compare, known=again_now))
    with database.transaction() as db:
        db.add(
            FigureCheck(
                at=at,
                last_case=numbers[-1] if numbers else 0,
                cases=len(numbers),
                different=len(differences),
                differences=differences[:SHOWN],
            )
        )
    return len(numbers)


def _compare(db: Session, case_ids: Sequence[int], known: Collection[int]) -> list[dict[str, Any]]:
    """``known``: to be unmeasured. So are those marked: asked afterwards, since no mark goes while the lock is held."""
    changed = refresh(db, case_ids)
    marked = select(Unmeasured.case_id).where(Unmeasured.case_id.in_(case_ids))
    due = db.scalars(union(marked, _reacting().where(CaseEvent.case_id.in_(case_ids))))
    fresh = frozenset((*known, *due))
    return [*(each for each in changed if each["case"] not in fresh), *compare_columns(db, case_ids)]


def compare_columns(db: Session, case_ids: Collection[int]) -> list[dict[str, Any]]:
    """Where what is cached on these cases is not what their mentions, answers and events say."""
    histories = histories_of(db, list(case_ids), {})
    found: list[dict[str, Any]] = []
    for case in db.scalars(select(Case).where(Case.id.in_(case_ids), Case.merged_into_id.is_(None))):
        history = histories[case.id]
        opened = min((each.at for each in history.said), default=None)
        if opened is None:
            continue
        answered = [each.at for each in history.answers]
        unanswered = [each.at for each in history.said if each.at > max(answered, default=each.at - timedelta(1))]
        computed: dict[str, Any] = {
            "opened_at": opened,
            "first_response_at": min((at for at in answered if at >= opened), default=None),
            "waiting_since": min(unanswered, default=None),
            "mention_count": len(history.said),
            "status": next((step.after for step in reversed(history.steps) if step.after is not None), case.status),
        }
        if computed["mention_count"] != case.mention_count and _has_history(db, case.id):
            del computed["mention_count"]
        found += [
            {"case": case.id, "what": name, "stored": _plain(getattr(case, name)), "computed": _plain(value)}
            for name, value in computed.items()
            if getattr(case, name) != value
        ]
    return found


def _has_history(db: Session, case_id: int) -> bool:
    """An import has added to it: what it found counts in the case, but starts no clock."""
    return db.scalar(select(literal(1)).where(Mention.case_id == case_id, Mention.imported).limit(1)) is not None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
