"""Samples as they are stored: kept, taken anew, not rewritten by a later schedule; the backlog; what is compared."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, func, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from database import Database
from house import House, declare
from models import (
    Backlog,
    Case,
    CaseEvent,
    CaseStatus,
    Definition,
    FigureCheck,
    Mention,
    PendingReaction,
    Sample,
    Team,
    Unmeasured,
)
from reports import figures
from settings import Calendar, Sla, TeamSettings
from tests.factories import MORNING, case_of, ours, said, statements, take, user
from tests.postgres import PostgreSQL
from tests.slow_figures import wall
from triage import answering, cases, merging, policy, reactions, samples, undoing
from triage.measures import Measure

OFFICE = {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["08:00-12:00", "13:00-17:00"]}}
LONGER = {**OFFICE, "hours": {"mon-sun": ["00:00-24:00"]}}
ROUND = {**LONGER, "name": "round"}
STANDARD = {"name": "standard", "first_response": "1h", "next_response": "4h", "resolution": "3h"}
STRICT = {**STANDARD, "first_response": "10m"}
BY = "eva@storby.example"
BEGINNING = datetime(1, 1, 1, 0, 30, tzinfo=UTC)
LONG_AGO = MORNING - timedelta(days=90)
HOUR = timedelta(hours=1)
# MORNING is Tuesday 24 November 2026, 09:00 in Stockholm.


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    made = make_house(teams=[{"name": "Gata"}])
    with made.database.transaction() as db:
        user(db)
    declare(made, LONG_AGO)
    put(made, "calendars", Calendar.model_validate(OFFICE), at=LONG_AGO)
    put(made, "sla", Sla.model_validate(STANDARD), at=LONG_AGO)
    return made


def put(house: House, part: str, value: Any, instead_of: str | None = None, *, at: datetime) -> None:
    with house.database.transaction() as db:
        policy.put(db, part, value, instead_of=instead_of, by=BY, at=at)


def opened(house: House, id: str, at: datetime = MORNING, team: str | None = None) -> int:
    with house.database.transaction() as db:
        take(db, said(id, minutes=(at - MORNING) / timedelta(minutes=1)), at=at)
        number = case_of(db, id)
        assert number is not None
        if team is not None:
            found = db.scalars(select(Team).where(Team.name == team)).one()
            cases.assign_team(db, number, team=found, actor=BY, at=at)
    follow(house, at)
    return number


def answered(house: House, id: str, at: datetime) -> None:
    with house.database.transaction() as db:
        mention = db.scalars(select(Mention).where(Mention.external_id == id)).one()
        assert mention.case_id is not None
        answering.answered_elsewhere(
            db, mention.case_id, to_mention_id=mention.id, url=None, replied_at=at, user=user(db), at=at
        )


def follow(house: House, at: datetime) -> None:
    while reactions.react(house.database, at):
        pass


def measured(house: House, at: datetime) -> None:
    follow(house, at)
    samples.catch_up(house.database, most=10_000)


def sample(house: House, number: int, measure: Measure = Measure.first_response) -> Sample:
    with house.database.read() as db:
        return db.scalars(select(Sample).where(Sample.case_id == number, Sample.measure == measure.value)).one()


def all_of_it(house: House) -> Counter[tuple[Any, ...]]:
    columns = [column for column in Sample.__table__.columns if column.key != "id"]
    with house.database.read() as db:
        return Counter(tuple(row) for row in db.execute(select(*columns)))


def differences(house: House, at: datetime) -> list[Any]:
    samples.check(house.database, at)
    with house.database.read() as db:
        last = db.scalars(select(FigureCheck).order_by(FigureCheck.id.desc()).limit(1)).one()
        assert last.different == len(last.differences)
        return last.differences


# -- schedule changes do not rewrite history --------------------------------------------------------------------------


@pytest.mark.parametrize("changed", ["calendar", "calendar of the team", "policy", "policy retired"])
def test_what_was_measured_stays_as_it_was_when_the_schedule_changes(house: House, changed: str) -> None:
    before = opened(house, "a", team="Gata")
    answered(house, "a", MORNING + 6 * HOUR)  # 15:00: five opening hours and lunch
    measured(house, MORNING + 6 * HOUR)
    was = sample(house, before)
    assert (was.seconds, was.business, was.due_at, was.late) == (6 * 3600, 5 * 3600, MORNING + HOUR, True)
    then = MORNING + 7 * HOUR
    if changed == "calendar":
        put(house, "calendars", Calendar.model_validate(LONGER), "office", at=then)
    elif changed == "calendar of the team":
        put(house, "calendars", Calendar.model_validate(ROUND), at=then)
        with house.database.transaction() as db:
            found = db.scalars(select(Team).where(Team.name == "Gata")).one()
            policy.write_team(db, found, TeamSettings(name="Gata", calendar="round"), declared=True, at=then)
    elif changed == "policy":
        put(house, "sla", Sla.model_validate(STRICT), "standard", at=then)
    else:
        with house.database.transaction() as db:
            policy.retire(db, "sla", "standard", at=then)
    with house.database.transaction() as db:  # something happens in it: it is measured again
        cases.note(db, before, body="Ringde.", user=user(db), at=then)
    measured(house, then)
    now = sample(house, before)
    assert (now.business, now.calendar_id, now.due_at, now.late) == (was.business, was.calendar_id, was.due_at, True)
    assert differences(house, then) == [], "taken all anew, it is the same"

    after = opened(house, "b", at=then, team="Gata")
    answered(house, "b", then + 20 * HOUR)
    measured(house, then + 20 * HOUR)
    new = sample(house, after)
    by_new_hours = changed.startswith("calendar")
    assert (new.business == new.seconds) == by_new_hours
    assert (new.calendar_id != was.calendar_id) == by_new_hours
    wanted = {"policy": then + timedelta(minutes=10), "policy retired": None}.get(changed, then + HOUR)
    assert new.due_at == wanted


def test_what_was_measured_without_a_calendar_stays_so_when_the_first_is_made(make_house: Callable[..., House]) -> None:
    house = make_house()
    declare(house, LONG_AGO)
    number = opened(house, "a")
    answered(house, "a", MORNING + 6 * HOUR)
    measured(house, MORNING + 6 * HOUR)
    later = MORNING + 50 * HOUR
    put(house, "calendars", Calendar.model_validate(OFFICE), at=later)
    with house.database.transaction() as db:
        cases.note(db, number, body="Ringde.", user=user(db), at=later)
    measured(house, later)
    found = sample(house, number)
    assert (found.seconds, found.business, found.calendar_id) == (6 * 3600, 6 * 3600, None)
    assert differences(house, later) == []


def test_what_is_measured_late_is_measured_by_the_schedule_of_its_time(house: House) -> None:
    """The clock was down, and meanwhile somebody changed hours and targets."""
    number = opened(house, "a")
    answered(house, "a", MORNING + 6 * HOUR)
    put(house, "calendars", Calendar.model_validate({**OFFICE, "hours": {"fri": ["10:00-11:00"]}}), "office",
        at=MORNING + 7 * HOUR)  # fmt: skip
    put(house, "sla", Sla.model_validate({**STANDARD, "first_response": "90h"}), "standard", at=MORNING + 7 * HOUR)
    with house.database.transaction() as db:
        cases.note(db, number, body="Ringde.", user=user(db), at=MORNING + 7 * HOUR)
    measured(house, MORNING + 8 * HOUR)
    found = sample(house, number)
    assert (found.business, found.due_at, found.late) == (5 * 3600, MORNING + HOUR, True)


@pytest.mark.parametrize(
    "changed",
    ["its calendar", "its calendar, twice", "its name too", "the case's team", "the first calendar", "taken out"],
)
def test_a_team_that_changes_while_nothing_is_measured_keeps_the_hours_it_had(house: House, changed: str) -> None:
    """Nothing is measured for days; the team has had ``round`` when it was answered."""
    put(house, "calendars", Calendar.model_validate(ROUND), at=LONG_AGO)
    team(house, "Gata", calendar="round", at=LONG_AGO)
    with house.database.transaction() as db:
        db.add(Team(name="Park"))
    number = opened(house, "a", team=None if changed == "the first calendar" else "Gata")
    answered(house, "a", MORNING + 20 * HOUR)
    later = MORNING + 30 * HOUR
    if changed.startswith("its"):
        team(house, "Gata", calendar=None if "twice" in changed else "office", at=later)
    if changed == "its calendar, twice":
        team(house, "Gata", calendar="office", at=later + HOUR)
        with house.database.transaction() as db:
            policy.retire(db, "calendars", "round", at=later + HOUR)
    if changed in ("its name too", "the case's team", "taken out"):
        with house.database.transaction() as db:
            wanted = None if changed == "taken out" else db.scalars(select(Team).where(Team.name == "Park")).one()
            cases.assign_team(db, number, team=wanted, actor=BY, at=later)
    if changed == "its name too":
        team(house, "Gata", "Väg", calendar="office", at=later + HOUR)
        team(house, "Park", "Gata", calendar="office", at=later + HOUR)
    if changed == "the first calendar":
        with house.database.transaction() as db:
            policy.retire(db, "calendars", "office", at=later)
    measured(house, later + 2 * HOUR)
    found = sample(house, number)
    by_first = changed == "the first calendar"
    assert found.seconds == 20 * 3600
    assert found.business == (7 * 3600 if by_first else 20 * 3600), "9–17 without lunch, else around the clock"
    assert found.due_at == MORNING + HOUR
    assert differences(house, later + 2 * HOUR) == []


def team(house: House, name: str, called: str | None = None, *, calendar: str | None, at: datetime) -> None:
    with house.database.transaction() as db:
        found = db.scalars(select(Team).where(Team.name == name)).one()
        policy.write_team(db, found, TeamSettings(name=called or name, calendar=calendar), declared=True, at=at)


def test_what_was_answered_before_it_had_a_team_is_measured_by_the_first_it_was_given(house: House) -> None:
    put(house, "calendars", Calendar.model_validate(ROUND), at=LONG_AGO)
    team(house, "Gata", calendar="round", at=LONG_AGO)
    number = opened(house, "a")
    answered(house, "a", MORNING + 20 * HOUR)
    with house.database.transaction() as db:
        found = db.scalars(select(Team).where(Team.name == "Gata")).one()
        cases.assign_team(db, number, team=found, actor="rule:t", at=MORNING + 21 * HOUR)
    measured(house, MORNING + 22 * HOUR)
    assert sample(house, number).business == 20 * 3600


def test_versions_of_calendars_are_read_anew_when_an_id_is_given_out_twice(house: House) -> None:
    class Changed(Exception):
        pass

    with pytest.raises(Changed), house.database.transaction() as db:
        policy.put(db, "calendars", Calendar.model_validate(ROUND), by=BY, at=MORNING)
        assert len(policy.calendar_versions(db)) == 2
        raise Changed
    put(house, "calendars", Calendar.model_validate({**ROUND, "name": "night"}), at=MORNING + HOUR)
    with house.database.read() as db:
        assert sorted(policy.calendar_versions(db)) == ["night", "office"]


# -- history, and what is merged with it ------------------------------------------------------------------------------


def history(house: House, id: str) -> int:
    """Said forty days ago, answered by somebody in the network's own app, and found by an import."""
    long_ago = -40 * 1440
    with house.database.transaction() as db:
        take(db, said(id, minutes=long_ago), ours(f"{id}r", to=id, minutes=long_ago + 60), at=LONG_AGO, imported=True)
        number = case_of(db, id)
        assert number is not None
    follow(house, LONG_AGO)
    return number


def counted(house: House, *measures: Measure) -> list[int]:
    with house.database.read() as db:
        asked = figures.Asked(date(2026, 1, 1), date(2027, 1, 1))
        found = figures.report(db, asked, measures).total
    return [*(found.count(measure) for measure in measures), found.still_waiting]


COUNTED = (Measure.received, Measure.mention, Measure.first_response, Measure.answer)


def test_what_lives_goes_on_counting_when_it_is_merged_into_history(house: House) -> None:
    old = history(house, "old")
    new = opened(house, "new")
    with house.database.transaction() as db:
        cases.change_status(db, old, target="open", actor=BY, at=MORNING)  # type: ignore[arg-type]
    measured(house, MORNING)
    assert counted(house, *COUNTED) == [1, 1, 0, 0, 1]
    with house.database.transaction() as db:
        merging.merge(db, new, into=old, actor=BY, at=MORNING + HOUR / 2)
        last = db.scalars(select(CaseEvent.id).order_by(CaseEvent.id.desc()).limit(1)).one()
    measured(house, MORNING + HOUR / 2)
    assert counted(house, *COUNTED) == [1, 1, 0, 0, 1], "it is one case, received today, and it waits"
    with house.database.transaction() as db:
        case = db.get_one(Case, old)
        assert (case.imported, case.opened_at, case.waiting_since) == (False, MORNING, MORNING)
        assert case.first_response_due_at == MORNING + HOUR, "and has a target"
        samples.store_backlog(db, MORNING.date() + timedelta(days=1), MORNING + 15 * HOUR)
    assert backlog(house) == [(MORNING.date() + timedelta(days=1), "open", 1)]
    answered(house, "new", MORNING + 2 * HOUR)
    measured(house, MORNING + 2 * HOUR)
    assert counted(house, *COUNTED) == [1, 1, 1, 1, 0], "what was answered long ago is in no figure"
    first = sample(house, old)
    assert (first.started_at, first.seconds, first.late, first.imported) == (MORNING, 2 * 3600, True, False)
    assert sample(house, old, Measure.received).at == MORNING, "the day on which the living one was seen"
    assert differences(house, MORNING + 2 * HOUR) == []

    with house.database.transaction() as db:
        undoing.undo(db, last, actor=BY, at=MORNING + 3 * HOUR)
        assert (db.get_one(Case, old).imported, db.get_one(Case, new).imported) == (True, False)
        assert db.get_one(Case, old).opened_at == MORNING - timedelta(days=40)
    measured(house, MORNING + 3 * HOUR)
    assert counted(house, *COUNTED) == [1, 1, 1, 1, 0], "the same, in the case that came"
    assert sample(house, new).seconds == 2 * 3600
    assert differences(house, MORNING + 3 * HOUR) == []


def test_history_that_is_merged_into_what_lives_moves_none_of_its_figures(house: House) -> None:
    new, old = opened(house, "new"), history(house, "old")
    answered(house, "new", MORNING + HOUR)
    measured(house, MORNING + HOUR)
    before, when = counted(house, *COUNTED), sample(house, new, Measure.received).at
    assert before == [1, 1, 1, 1, 0]
    with house.database.transaction() as db:
        cases.change_status(db, old, target="open", actor=BY, at=MORNING + HOUR)  # type: ignore[arg-type]
        merging.merge(db, old, into=new, actor=BY, at=MORNING + 2 * HOUR)
    measured(house, MORNING + 2 * HOUR)
    assert counted(house, *COUNTED) == before
    assert sample(house, new, Measure.received).at == when
    assert differences(house, MORNING + 2 * HOUR) == []


# -- compared by night ------------------------------------------------------------------------------------------------


def test_what_was_tampered_with_is_reported_and_mended(house: House) -> None:
    number = opened(house, "a")
    answered(house, "a", MORNING + HOUR)
    measured(house, MORNING + HOUR)
    right = all_of_it(house)
    assert differences(house, MORNING + HOUR) == []
    for change in ({"business": 1}, {"seconds": 1}, {"day": 1}, {"user_id": None}, {"how": "network"}, {"late": True},
                   {"channel": "other"}, {"n": 2}):  # fmt: skip
        with house.database.transaction() as db:
            db.execute(update(Sample).where(Sample.measure == "first_response").values(change))
        assert all_of_it(house) != right
        assert [each["case"] for each in differences(house, MORNING + HOUR)] == [number], change
        assert all_of_it(house) == right
        assert differences(house, MORNING + HOUR) == []
    with house.database.transaction() as db:
        db.execute(delete(Sample).where(Sample.measure == "received"))
    (lost,) = differences(house, MORNING + HOUR)
    assert (lost["case"], lost["what"], lost["stored"]) == (number, "received", [])
    assert all_of_it(house) == right


def test_a_cached_column_that_is_not_what_the_events_say_is_reported(house: House) -> None:
    number = opened(house, "a")
    answered(house, "a", MORNING + HOUR)
    measured(house, MORNING + HOUR)
    for column in ("first_response_at", "waiting_since", "opened_at", "mention_count", "status"):
        wrong: Any = {"mention_count": 7, "status": "pending"}.get(column, MORNING - HOUR)
        with house.database.transaction() as db:
            was = getattr(db.get_one(Case, number), column)
            db.execute(update(Case).where(Case.id == number).values({column: wrong}))
        found = differences(house, MORNING + HOUR)
        assert (number, column) in [(each["case"], each["what"]) for each in found], found
        with house.database.transaction() as db:
            db.execute(update(Case).where(Case.id == number).values({column: was}))
    samples.catch_up(house.database)
    assert differences(house, MORNING + HOUR) == []


def test_the_night_goes_round_and_looks_at_every_case(house: House) -> None:
    numbers = [opened(house, id) for id in "abcde"]
    measured(house, MORNING)
    for _ in numbers:
        samples.check(house.database, MORNING, most=2)
    with house.database.read() as db:
        looked = list(db.scalars(select(FigureCheck.last_case).order_by(FigureCheck.id)))
    assert looked == [numbers[index] for index in (1, 3, 0, 2, 4)]


def test_two_clocks_compare_once_a_night(house: House) -> None:
    opened(house, "a")
    measured(house, MORNING)
    others: list[int] = []

    def another(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "figure_checks.last_case" in statement and not others:  # the first has just begun
            others.append(0)
            others.append(samples.tick(house.database, MORNING))

    event.listen(house.database.engine, "before_cursor_execute", another)
    done = samples.tick(house.database, MORNING)
    event.remove(house.database.engine, "before_cursor_execute", another)
    assert (done, others) == (1, [0, 0])
    with house.database.read() as db:
        assert db.scalar(select(func.count()).select_from(FigureCheck)) == 1


def test_the_night_reads_no_marks_but_those_of_the_cases_it_looks_at(house: House) -> None:
    """Thousands may be marked, and each of its hundred parts holds the lock."""
    numbers = [opened(house, id) for id in "abcde"]
    with house.database.transaction() as db:
        samples.mark(db, numbers)
    with statements(house.database) as asked:
        samples.check(house.database, MORNING, most=1)
    reading = [each for each in asked if "FROM unmeasured" in each and not each.startswith("DELETE")]
    assert reading and all("unmeasured.case_id IN" in each for each in reading), reading


def test_what_is_still_to_be_measured_is_no_difference(house: House) -> None:
    opened(house, "a")
    answered(house, "a", MORNING + HOUR)  # nobody has reacted to it, nobody has measured it
    assert differences(house, MORNING + HOUR) == []


# -- what cannot be measured ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holidays", ["SE", None])
def test_what_is_dated_before_any_table_of_holidays_is_measured(house: House, holidays: str | None) -> None:
    put(house, "calendars", Calendar.model_validate({**OFFICE, "holidays": holidays}), "office", at=LONG_AGO)
    long_ago = datetime(1950, 1, 2, 8, tzinfo=UTC)
    with house.database.transaction() as db:
        take(db, said("a"), at=MORNING)
        db.execute(update(Mention).values(published_at=long_ago))  # as it was taken in before such dates were doubted
        db.execute(update(Case).values(opened_at=long_ago))
        number = case_of(db, "a")
    assert number is not None
    answered(house, "a", MORNING + HOUR)
    measured(house, MORNING + HOUR)
    found = sample(house, number)
    assert found.seconds == (MORNING + HOUR - long_ago).total_seconds() > 2**31
    assert found.business is not None and found.seconds > found.business > 70 * 250 * 8 * 3600
    assert differences(house, MORNING + HOUR) == []


@pytest.fixture
def broken(house: House) -> tuple[int, int, int]:
    """Three cases that are answered after an hour; no calendar reaches back to the day of the second."""
    first, second, third = (opened(house, id) for id in "abc")
    measured(house, MORNING)
    for id in "abc":
        answered(house, id, MORNING + HOUR)
    return first, second, third


def published(house: House, at: datetime) -> None:
    with house.database.transaction() as db:
        db.execute(update(Mention).where(Mention.external_id == "b").values(published_at=at))


def first_responses(house: House) -> list[int]:
    with house.database.read() as db:
        return sorted(db.scalars(select(Sample.case_id).where(Sample.measure == "first_response")))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [each.getMessage() for each in caplog.records if each.name == "gensvar.samples"]
    caplog.clear()
    return found


@pytest.mark.parametrize("reacted", [True, False])
def test_a_case_that_cannot_be_measured_stops_no_other_and_is_told_once(
    house: House, broken: tuple[int, int, int], caplog: pytest.LogCaptureFixture, *, reacted: bool
) -> None:
    first, second, third = broken
    if reacted:
        follow(house, MORNING + HOUR)
    published(house, BEGINNING)
    assert samples.catch_up(house.database) == 3
    assert first_responses(house) == [first, third]
    (line,) = told(caplog)
    assert f"case {second} " in line and "OverflowError" in line
    with statements(house.database) as asked:
        assert samples.catch_up(house.database) == 0, "it is not tried at every look"
    assert told(caplog) == []
    assert not [each for each in asked if each.startswith(("INSERT", "DELETE", "BEGIN IMMEDIATE"))]
    with house.database.read() as db:
        assert samples.waiting(db, 10) == 1, "the reader is told that one is not counted"


@pytest.mark.parametrize("again", ["by night", "when something happens in it"])
def test_a_case_that_could_not_be_measured_is_tried_again(
    house: House, broken: tuple[int, int, int], caplog: pytest.LogCaptureFixture, again: str
) -> None:
    follow(house, MORNING + HOUR)
    published(house, BEGINNING)
    samples.catch_up(house.database)
    told(caplog)
    assert differences(house, MORNING + 2 * HOUR) == [], "the night goes on with the others"
    (line,) = told(caplog)
    assert f"case {broken[1]} " in line
    published(house, MORNING)
    if again == "by night":
        assert differences(house, MORNING + 3 * HOUR) == [], "what was known to be unmeasured is no difference"
    else:
        with house.database.transaction() as db:
            cases.note(db, broken[1], body="Ringde.", user=user(db), at=MORNING + 3 * HOUR)
        measured(house, MORNING + 3 * HOUR)
    assert first_responses(house) == list(broken)
    with house.database.read() as db:
        assert samples.waiting(db, 10) == 0
    assert told(caplog) == []


# -- the backlog at midnight ------------------------------------------------------------------------------------------


def backlog(house: House) -> list[tuple[date, str, int]]:
    with house.database.read() as db:
        rows = db.execute(select(Backlog.day, Backlog.state, Backlog.n).order_by(Backlog.day, Backlog.state))
        return [(date.fromordinal(day), state, n) for day, state, n in rows]


@pytest.mark.parametrize("begins", ["2026-03-28T12:00", "2026-10-24T12:00"])
def test_the_backlog_is_stored_once_a_local_day_also_when_the_clock_is_changed(house: House, begins: str) -> None:
    at = wall(begins)
    opened(house, "a", at=at)
    stored = []
    for minute in range(0, 3 * 1440, 60):
        now = at + timedelta(minutes=minute)
        samples.tick(house.database, now)
        stored.append((now, len(backlog(house))))
    days = [at.date() + timedelta(days=n) for n in range(4)]
    assert backlog(house) == [(day, "open", 1) for day in days]
    came = [now for (_, before), (now, after) in pairwise(stored) if after > before]
    assert came == [wall(f"{day}T00:00") for day in days[1:]], "when the day begins on the wall"


def test_the_backlog_of_a_day_is_stored_when_the_clock_is_back_and_never_made_up(house: House) -> None:
    number = opened(house, "a")
    other = opened(house, "b")
    samples.tick(house.database, wall("2026-11-25T00:00"))
    with house.database.transaction() as db:
        cases.snooze(db, other, until=wall("2026-12-24T08:00"), actor=BY, at=wall("2026-11-27T10:00"))
        cases.change_status(db, number, target=CaseStatus.pending, actor=BY, at=wall("2026-11-27T10:00"))
    samples.tick(house.database, wall("2026-11-28T05:30"))  # down for two midnights, and until the morning
    samples.tick(house.database, wall("2026-11-28T23:59"))
    assert backlog(house) == [
        (date(2026, 11, 25), "open", 2), (date(2026, 11, 28), "snoozed", 1), (date(2026, 11, 28), "waiting", 1),
    ]  # fmt: skip


def test_a_day_without_anything_says_so(house: House) -> None:
    samples.tick(house.database, MORNING)
    assert backlog(house) == [(date(2026, 11, 24), "open", 0)]


def test_two_workers_store_one_backlog(house: House) -> None:
    opened(house, "a")
    at_once(lambda: samples.tick(house.database, MORNING), 4)
    assert backlog(house) == [(date(2026, 11, 24), "open", 1)]


def at_once(do: Callable[[], object], n: int = 2) -> None:
    wrong: list[Exception] = []
    start = threading.Barrier(n)

    def run() -> None:
        try:
            start.wait(10)
            do()
        except Exception as error:  # noqa: BLE001  # whatever it is, the test says so
            wrong.append(error)

    threads = [threading.Thread(target=run) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


# -- many at once, and at the wrong moment ----------------------------------------------------------------------------


def test_two_that_catch_up_while_things_happen_lose_nothing(house: House) -> None:
    numbers = [opened(house, f"m{n}") for n in range(6)]
    happened = iter(range(len(numbers)))
    turn = threading.Lock()

    def work() -> None:
        while True:
            with turn:
                n = next(happened, None)
            if n is None:
                return
            answered(house, f"m{n}", MORNING + HOUR)
            follow(house, MORNING + HOUR)
            samples.catch_up(house.database)

    at_once(work, 3)
    measured(house, MORNING + HOUR)
    with house.database.read() as db:
        first = db.scalars(select(Sample.case_id).where(Sample.measure == "first_response")).all()
        assert sorted(first) == numbers
        assert db.scalar(select(func.count()).select_from(Unmeasured)) == 0
    assert differences(house, MORNING + HOUR) == []


def test_what_dies_between_taking_the_mark_and_writing_leaves_the_mark(house: House) -> None:
    number = opened(house, "a")
    answered(house, "a", MORNING + HOUR)
    follow(house, MORNING + HOUR)

    def dies(_connection: Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("INSERT INTO samples"):
            raise OperationalError(statement, {}, Exception("killed"))

    event.listen(house.database.engine, "before_cursor_execute", dies)
    with pytest.raises(OperationalError):
        samples.catch_up(house.database)
    event.remove(house.database.engine, "before_cursor_execute", dies)
    with house.database.read() as db:
        assert list(db.scalars(select(Unmeasured.case_id))) == [number]
        assert db.scalars(select(Sample)).all() == []
    assert samples.catch_up(house.database) == 1
    assert sample(house, number).seconds == 3600


def test_what_is_marked_again_while_its_mark_is_taken_is_measured_again(house: House) -> None:
    """A reaction is still at work in the case, and has seen that it is marked already."""
    number = opened(house, "a")
    reader = threading.Thread(target=samples.catch_up, args=(house.database,))
    with house.database.transaction() as db:
        samples.mark(db, [number])
        db.execute(update(Case).where(Case.id == number).values(kind="praise"))
        reader.start()
        reader.join(0.1 if house.database.sqlite else 30)  # SQLite has one writer at a time: it waits for this one
        assert house.database.sqlite or not reader.is_alive(), "nobody who reads waits for a reaction"
    reader.join(30)
    samples.catch_up(house.database)
    assert sample(house, number, Measure.received).kind == "praise"


def test_a_flood_in_one_case_is_measured_once_and_not_message_by_message(house: House) -> None:
    number = opened(house, "a")
    measured(house, MORNING)
    written: dict[str, Any] = {column.key: None for column in Mention.__table__.columns if column.key != "id"}
    written |= {
        "channel": "net", "case_id": number, "ours": False, "context": False, "repost": False, "text": "t",
        "can_reply": False, "can_reply_privately": False, "reply_address": {}, "attachments": [], "imported": False,
    }  # fmt: skip
    with house.database.transaction() as db:
        rows = [
            {**written, "external_id": f"f{n}", "published_at": MORNING + n * timedelta(seconds=1),
             "collected_at": MORNING + n * timedelta(seconds=1)}
            for n in range(5000)
        ]  # fmt: skip
        db.execute(insert(Mention), rows)
        for _ in rows[::500]:
            samples.mark(db, [number])
    with statements(house.database) as asked:
        assert samples.catch_up(house.database) == 1
    assert len(asked) < 30, asked
    with house.database.read() as db:
        rows_of_it = db.scalars(select(Sample).where(Sample.measure == "mention")).all()
    assert sum(each.n for each in rows_of_it) == 5001
    assert len(rows_of_it) == 2, "one an hour"


def test_an_event_that_cannot_be_reacted_to_is_measured_and_not_looked_at_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = opened(house, "a")
    measured(house, MORNING)
    answered(house, "a", MORNING + HOUR)

    def breaks(db: Session, event: CaseEvent, at: datetime) -> None:
        raise ValueError("no")

    monkeypatch.setattr(reactions, "ALWAYS", (breaks,))
    follow(house, MORNING + HOUR)
    monkeypatch.undo()
    assert samples.catch_up(house.database) == 1
    assert sample(house, number).seconds == 3600
    with statements(house.database) as asked:
        assert samples.catch_up(house.database) == 0
        with house.database.read() as db:
            assert samples.waiting(db, 10) == 0
    assert not [each for each in asked if each.startswith(("INSERT", "DELETE", "BEGIN IMMEDIATE"))]


def test_where_nobody_reacts_every_case_is_measured_all_the_same_and_once(house: House) -> None:
    """`gensvar collect` and `gensvar report` on a machine without a clock."""
    with house.database.transaction() as db:
        at = {"opened_at": MORNING, "seen_at": MORNING, "last_activity_at": MORNING}
        made = [Case(channel="net", subject="s", status="new", version=1, **at) for _ in range(230)]
        db.add_all(made)
        db.flush()
        events = [
            CaseEvent(case_id=case.id, version=1, action="opened", actor="intake", to_status="new", at=MORNING)
            for case in made
        ]
        db.add_all(events)
        db.flush()
        db.add_all(PendingReaction(event_id=event.id) for event in events)
    rounds = []
    while done := samples.catch_up(house.database, most=150):
        rounds.append(done)
        assert len(rounds) < 10, "it never ends"
    assert sum(rounds) == 230
    with house.database.read() as db:
        assert db.scalar(select(func.count()).where(Sample.measure == "received")) == 230
        assert samples.waiting(db, 1000) == 0


def test_what_was_measured_before_the_reactions_gets_its_target_when_they_have_come(house: House) -> None:
    with house.database.transaction() as db:
        take(db, said("a", minutes=0), ours("b", to="a", minutes=40), at=MORNING + HOUR)
        number = case_of(db, "a")
    assert number is not None
    samples.catch_up(house.database)
    assert sample(house, number).due_at is None
    measured(house, MORNING + HOUR)
    assert (sample(house, number).due_at, sample(house, number).late) == (MORNING + HOUR, False)


def test_what_an_import_finds_in_a_living_case_answers_nothing_in_it(house: House) -> None:
    number = opened(house, "a")
    with house.database.transaction() as db:
        old = said("old", to="a", minutes=-90 * 1440)
        take(db, old, ours("was", to="old", minutes=-89 * 1440), at=MORNING, imported=True)
        assert case_of(db, "old") == number
    answered(house, "a", MORNING + HOUR)
    measured(house, MORNING + HOUR)
    assert sample(house, number).seconds == 3600, "still the first response"
    assert sample(house, number, Measure.answer).at == MORNING + HOUR
    assert differences(house, MORNING + HOUR) == []


def test_what_was_read_in_history_is_marked_as_history(house: House) -> None:
    with house.database.transaction() as db:
        take(db, said("old", minutes=-90 * 1440), at=MORNING, imported=True)
    measured(house, MORNING)
    with house.database.read() as db:
        found = db.scalars(select(Sample)).all()
    assert {each.measure for each in found} == {"received", "mention"}
    assert all(each.imported and each.due_at is None for each in found)


def test_the_zone_of_the_organisation_moves_days_and_no_duration(house: House) -> None:
    number = opened(house, "a")
    answered(house, "a", MORNING + 15 * HOUR)  # midnight in Stockholm
    measured(house, MORNING + 15 * HOUR)
    was = sample(house, number)
    assert date.fromordinal(was.day) == date(2026, 11, 25)
    with house.database.transaction() as db:
        row = db.scalars(select(Definition).where(Definition.part == policy.ORGANISATION)).one()
        body = {**row.body, "timezone": "America/New_York"}
        row.retired_at = MORNING + 15 * HOUR
        db.flush()
        more = {"part": row.part, "name": row.name, "position": row.position, "declared": True, "created_by": "t"}
        db.add(Definition(**more, body=body, created_at=MORNING + 15 * HOUR))
        samples.mark_all(db)
    samples.catch_up(house.database)
    now = sample(house, number)
    assert date.fromordinal(now.day) == date(2026, 11, 24)
    assert (now.seconds, now.business, now.due_at) == (was.seconds, was.business, was.due_at)


# -- coming from an earlier version -----------------------------------------------------------------------------------


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_cases_of_an_earlier_version_are_measured_after_the_upgrade(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        found = _upgraded(f"sqlite:///{tmp_path}/old.db", empty=True)
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        with server.fresh() as url:
            found = _upgraded(url, empty=False)
    assert {(2, "first_response", 3600), (1, "received", None), (2, "answer", None)} <= found


def _upgraded(url: str, *, empty: bool) -> set[tuple[int, str, int | None]]:
    """The samples (case, measure, seconds) after the upgrade of a database that had two cases."""
    database = Database(url)
    if not empty:
        with database.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    database.migrate("0004")
    at = {"at": "2026-11-24 08:00:00.000000", "later": "2026-11-24 09:00:00.000000"}
    with database.engine.begin() as connection:
        for statement in FROM_0004:
            connection.execute(text(statement), at)
    assert database.migrate() == "0004"
    assert samples.catch_up(database) == 2
    with database.read() as db:
        found = {(each.case_id, each.measure, each.seconds) for each in db.scalars(select(Sample))}
        assert db.scalar(select(func.count()).select_from(Unmeasured)) == 0
    database.close()
    return found


FROM_0004 = [
    "INSERT INTO authors (id, channel, external_id, name, first_seen_at, languages) "
    "VALUES (1, 'net', 'a', 'Anna', :at, '{}')",
    *(
        "INSERT INTO cases (id, channel, subject, status, settled, review_wanted, opened_at, seen_at, "
        "last_activity_at, mention_count, reply_count, spread, imported, version) "
        f"VALUES ({n}, 'net', 's', 'new', '[]', false, :at, :at, :at, 1, 0, 0, false, 1)"
        for n in (1, 2)
    ),
    *(
        "INSERT INTO mentions (id, channel, external_id, case_id, author_id, ours, context, repost, text, "
        "published_at, collected_at, can_reply, can_reply_privately, reply_address, attachments, imported) VALUES "
        f"({n}, 'net', 'm{n}', {n}, 1, false, false, false, 't', :at, :at, true, false, '{{}}', '[]', false)"
        for n in (1, 2)
    ),
    "INSERT INTO replies (id, case_id, channel, to_mention_id, origin, body, private, status, then_case, created_at, "
    "attempts, sent_at, awaiting_moderation, lookups) VALUES (1, 2, 'net', 2, 'gensvar', 'b', false, 'sent', 'keep', "
    ":later, 1, :later, false, 0)",
    "INSERT INTO case_events (id, case_id, version, action, actor, to_status, changes, mention_id, at) "
    "VALUES (900, 1, 1, 'opened', 'intake', 'new', '{}', 1, :at)",
]
