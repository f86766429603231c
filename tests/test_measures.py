"""What is measured of a case, against a diary kept minute by minute by somebody who reads no events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import InvalidTransition
from models import CaseStatus
from reports import figures as reported
from settings import Calendar
from tests.slow_figures import (
    CITIZEN,
    CLOCK,
    FAILURE,
    HISTORY,
    MINUTE,
    NIGHT,
    OFFICE,
    STAFF,
    Answered,
    Diary,
    Hours,
    Promise,
    Wrote,
    percentile,
    utc,
    wall,
)
from triage import clock
from triage.measures import Answer, History, How, Measure, Measured, Promised, Said, Step, measure, rests, waits
from triage.states import TRANSITIONS, Action, action_to

pytestmark = pytest.mark.one_database

PEOPLE = {"eva@storby.example": 1, "ola@storby.example": 2}
BEGINNINGS = [
    "2026-03-27T15:00", "2026-04-01T09:00", "2026-10-22T12:00", "2026-10-24T20:00", "2026-12-22T13:00",
    "2026-06-18T08:00",
]  # fmt: skip
CALENDARS: list[Hours | None] = [OFFICE, NIGHT, None]


# -- a case to which things are done, as its door would write them down ------------------------------------------------


@dataclass
class Desk:
    """Does each thing twice: as events, answers and mentions for ``measure``, and into the diary."""

    now: datetime
    status: str = "new"
    steps: list[Step] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    promises: list[Promised] = field(default_factory=list)
    follow_up: datetime | None = None
    assignee: str | None = None
    replies: dict[int, dict[str, Any]] = field(default_factory=dict)
    before: tuple[Any, ...] | None = None  # as all was before the last thing that can be taken back
    diary: Diary = field(init=False)

    def __post_init__(self) -> None:
        self.diary = Diary(self.now)

    def step(self, action: str, actor: str = "intake", to: str | None = None, **more: Any) -> Step:
        before = None if to is None or not self.steps else self.status
        made = Step(len(self.steps) + 1, self.now, str(action), actor, before, to, **more)
        self.steps.append(made)
        self.status = to or self.status
        if to in ("closed", "ignored"):
            self.follow_up = None
        return made

    def can(self, action: Action) -> str | None:
        to = TRANSITIONS.get((CaseStatus(self.status), action))
        return None if to is None else str(to.value)

    def history(self) -> History:
        seen = self.diary.seen
        return History(self.status, seen, False, self.said, self.answers, self.steps, self.promises, PEOPLE)

    # -- what is done ------------------------------------------------------------------------------------------------

    def writes(self, earlier: int) -> None:
        to = self.can(Action.author_wrote)
        if to is None:
            return
        at = self.now - earlier * MINUTE
        self.said.append(Said(at, self.now))
        self.diary.said.append(Wrote(at, self.now))
        self.step("author_wrote" if self.steps else "opened", to=to)
        self.diary.back(self.now)
        self.diary.move(self.now, to, CITIZEN)

    def turns(self, target: str, who: str) -> None:
        if target == self.status:
            return
        try:
            action = action_to(CaseStatus(self.status), CaseStatus(target))
        except InvalidTransition:
            return
        self._remember()
        self.step(action, who, target)
        self.diary.move(self.now, target, STAFF, PEOPLE[who])

    def takes(self, who: str, by: str) -> None:
        to = self.can(Action.take)
        if to is None or self.assignee == who:
            return
        self._remember()
        self.step(Action.take, by, to, assignee=who, assigns=True)
        self.assignee = who
        self.diary.move(self.now, to, STAFF, PEOPLE[by])
        self.diary.given.append((self.now, PEOPLE[who]))

    def lets_go(self, by: str) -> None:
        if self.assignee is not None:
            self.before = None
            self.step("unassign", by, assigns=True)
            self.assignee = None

    def remarks(self, what: str, by: str) -> None:
        self.step(what, by)

    def snoozes(self, ahead: int | None, by: str) -> None:
        until = None if ahead is None else self.now + ahead * MINUTE
        if until == self.follow_up:
            return
        self._remember()
        self.step("snooze", by, until=until)
        self.follow_up = until
        self.diary.put_away(self.now, until)

    def day_comes(self) -> None:
        if self.follow_up is None or self.follow_up > self.now:
            return
        to = self.can(Action.follow_up_due)
        assert to is not None
        self.step(Action.follow_up_due, "scheduler", to)
        self.follow_up = None
        self.diary.back(self.now)
        self.diary.move(self.now, to, CLOCK)

    def replies_with(self, then: str, private: bool, who: str) -> None:
        action = Action(f"reply_{then}")
        to = self.can(action)
        if to is None:
            return
        number, was = len(self.replies) + 1, self.status
        tag = number
        made = self.step(action, who, to, reply_id=number)
        self.diary.move(self.now, to, STAFF, PEOPLE[who], tag)
        self.replies[number] = {
            "state": "held", "at": self.now, "who": who, "private": private, "tag": tag, "was": was, "step": made
        }  # fmt: skip

    def _held(self, *states: str) -> int | None:
        return next((number for number, each in self.replies.items() if each["state"] in states), None)

    def is_out(self) -> None:
        number = self._held("held", "uncertain")
        if number is None:
            return
        each = self.replies[number]
        each["state"] = "sent"
        self.step("reply_sent", "outbox", reply_id=number)
        if not each["private"]:
            self.answers.append(Answer(self.now, PEOPLE[each["who"]], How.gensvar, number))
            self.diary.answers.append(Answered(self.now, PEOPLE[each["who"]], "gensvar", each["at"]))

    def fails(self, *, doubt: bool) -> None:
        """It did not go out, or (``doubt``) nobody knows."""
        number = self._held("held")
        if number is None:
            return
        each = self.replies[number]
        each["state"] = "uncertain" if doubt else "failed"
        to = self.can(Action.reply_failed)
        assert to is not None
        if doubt:
            self.step("reply_uncertain", "outbox", reply_id=number)
            if to == self.status:
                return
        self.step("reply_in_doubt" if doubt else Action.reply_failed, "outbox", to, reply_id=number)
        self.diary.strike(each["tag"])
        self.diary.move(self.now, to, FAILURE)

    def withdraws(self, by: str) -> None:
        number = self._held("held")
        if number is None:
            return
        each = self.replies[number]
        each["state"] = "cancelled"
        queued: Step = each["step"]
        since = any(step.id > queued.id and self._moves(step, each["was"]) for step in self.steps)
        if since:  # somebody has changed the status since: it stays
            self.step("reply_cancelled", by, reply_id=number)
        else:
            self.step("reply_cancelled", by, each["was"], reply_id=number, undoes_id=queued.id)
        self.diary.strike(each["tag"])

    @staticmethod
    def _moves(step: Step, before: str) -> bool:
        """Did it change the status, or would it have, had the answer not been there?"""
        if step.after is None or step.undoes_id is not None:
            return False
        would = TRANSITIONS.get((CaseStatus(before), cast(Action, step.action)), before)
        return step.before != step.after or would != before

    def answered_there(self, earlier: int, who: str | None) -> None:
        """On the network itself, found by collecting (nobody known), or told by a person."""
        at = self.now - earlier * MINUTE
        to = "open" if self.status == "new" else None
        user = None if who is None else PEOPLE[who]
        how = How.network if who is None else How.elsewhere
        self.step("reply_seen" if who is None else "answered_elsewhere", who or "intake", to, reply_id=900)
        self.answers.append(Answer(at, user, how))
        self.diary.answers.append(Answered(at, user, how.value, at))
        if to is not None:
            self.diary.move(self.now, to, STAFF, user)

    def absorbs(self, earlier: int, answered: int | None) -> None:
        """Another case is merged into this one, with what was said and perhaps answered there."""
        status = self.can(Action.author_wrote)
        if status is None or self.status == "closed":
            return
        at = self.now - earlier * MINUTE
        self.said.append(Said(at, at))
        self.diary.said.append(Wrote(at, at))
        self.diary.seen = min(self.diary.seen, at)
        if answered is not None:
            then = min(at + answered * MINUTE, self.now)
            self.answers.append(Answer(then, 1, How.gensvar, 800))
            self.diary.answers.append(Answered(then, 1, "gensvar", then))
        to = None if answered is not None else status
        self.step("absorb", "eva@storby.example", to)
        if to is not None:
            self.diary.move(self.now, to, STAFF)

    def promises_it(self, ahead: int, state: str, settled: int) -> None:
        self.step("promise", "ola@storby.example")
        due, done = self.now + ahead * MINUTE, self.now + settled * MINUTE
        at = done if state in ("kept", "dropped") else None
        self.promises.append(Promised(self.now, due, at, state, 2))
        self.diary.promises.append(Promise(self.now, due, 2, at, state))

    def _remember(self) -> None:
        self.before = (len(self.steps), self.status, self.follow_up, self.assignee, self.diary.copy())

    def takes_back(self, by: str) -> None:
        """The last click, when nothing has happened since."""
        if self.before is None or self.before[0] != len(self.steps) - 1:
            return
        _, status, self.follow_up, self.assignee, self.diary = self.before
        last, self.before = self.steps[-1], None
        to = status if status != self.status else None
        assigns = last.assigns
        self.step("undo", by, to, undoes_id=last.id, assigns=assigns, assignee=self.assignee if assigns else None)


WHO = st.sampled_from(sorted(PEOPLE))
AGO = st.sampled_from([0, 0, 1, 5, 90, 600])
DEEDS = st.one_of(
    st.tuples(st.just("writes"), AGO),
    st.tuples(st.just("turns"), st.sampled_from(["open", "pending", "resolved", "resolved", "closed", "ignored"]), WHO),
    st.tuples(st.just("takes"), WHO, WHO),
    st.tuples(st.just("lets_go"), WHO),
    st.tuples(st.just("remarks"), st.sampled_from(["note", "classify", "assign_team", "repost", "sla_breached"]), WHO),
    st.tuples(st.just("snoozes"), st.sampled_from([None, 30, 700]), WHO),
    st.tuples(st.just("day_comes")),
    st.tuples(st.just("replies_with"), st.sampled_from(["keep", "wait", "resolve", "resolve"]), st.booleans(), WHO),
    st.tuples(st.just("is_out")),
    st.tuples(st.just("is_out")),
    st.tuples(st.just("fails"), st.booleans()),
    st.tuples(st.just("withdraws"), WHO),
    st.tuples(st.just("answered_there"), AGO, st.none() | WHO),
    st.tuples(st.just("absorbs"), AGO, st.none() | st.integers(0, 100)),
    st.tuples(st.just("promises_it"), st.integers(1, 500), st.sampled_from(["proposed", "open", "kept", "dropped"]),
              st.integers(1, 900)),
    st.tuples(st.just("takes_back"), WHO),
)  # fmt: skip
LATER = st.sampled_from([0, 1, 1, 7, 45, 200, 800, 1500])


def lived(begins: str, first: int, deeds: list[tuple[int, tuple[Any, ...]]], history: bool = False) -> Desk:
    desk = Desk(wall(begins))
    desk.writes(first)
    if history:
        desk.diary.imported = True
        desk.step(Action.imported, to="closed")
        desk.diary.move(desk.now, "closed", HISTORY)
    for later, (deed, *how) in deeds:
        desk.now += later * MINUTE
        if deed == "fails":
            desk.fails(doubt=how[0])
        else:
            getattr(desk, deed)(*how)
    return desk


LIVES = st.builds(lived, st.sampled_from(BEGINNINGS), AGO, st.lists(st.tuples(LATER, DEEDS), max_size=18),
                  st.sampled_from([False] * 5 + [True]))  # fmt: skip


def as_calendar(hours: Hours | None) -> Calendar | None:
    return None if hours is None else Calendar.model_validate(hours.given())


def keyed(each: Measured, calendar: Calendar | None) -> tuple[Any, ...]:
    took = opened = None
    timed = each.started_at is not None and each.measure is not Measure.promise
    if timed:
        took = sum((end - start) // MINUTE for start, end in each.counted)
        opened = sum(clock.between(calendar, start, end) // MINUTE for start, end in each.counted)
    how = None if each.how is None else each.how.value
    return (each.measure.value, each.at, each.started_at, each.user_id, how, took, opened)


@settings(max_examples=200)
@given(LIVES, st.sampled_from(CALENDARS))
def test_every_measure_on_both_clocks_is_what_the_diary_says(desk: Desk, hours: Hours | None) -> None:
    calendar = as_calendar(hours)
    measured = Counter(keyed(each, calendar) for each in measure(desk.history()))
    wanted = Counter(figure.key(hours) for figure in desk.diary.figures())
    assert (measured - wanted, wanted - measured) == (Counter(), Counter()), desk.steps


# -- what was wrong once, or easily is --------------------------------------------------------------------------------

EVA, OLA = sorted(PEOPLE)
EVA_ID, OLA_ID = PEOPLE[EVA], PEOPLE[OLA]
START = "2026-11-24T09:00"


def case(*deeds: Any) -> Desk:
    """Opened at nine; each deed is (minutes later, what, how…)."""
    return lived(START, 0, [(later, (deed, *how)) for later, deed, *how in deeds])


def found(desk: Desk, wanted: Measure) -> list[Measured]:
    return [each for each in measure(desk.history()) if each.measure is wanted]


def minute(n: int) -> datetime:
    return wall(START) + n * MINUTE


def test_who_put_it_aside_is_named_and_not_who_wrote_in_it_afterwards() -> None:
    desk = case((10, "turns", "ignored", OLA), (20, "writes", 0), (1, "remarks", "note", EVA))
    (ignored,) = found(desk, Measure.ignored)
    assert (ignored.at, ignored.user_id) == (minute(10), OLA_ID)
    assert not found(desk, Measure.first_response)


def test_putting_a_case_aside_hides_no_promise_and_no_answer() -> None:
    desk = case((5, "replies_with", "keep", False, EVA), (1, "is_out"), (1, "promises_it", 60, "open", 0),
                (1, "turns", "ignored", EVA))  # fmt: skip
    assert [each.how for each in found(desk, Measure.promise)] == [How.open]
    assert [each.how for each in found(desk, Measure.answer)] == [How.gensvar]
    assert not found(desk, Measure.first_response), "but it takes part in no response time"


def test_an_answer_that_failed_opens_what_was_done_before_it_and_the_last_close_is_the_last() -> None:
    desk = case((10, "turns", "resolved", EVA), (5, "replies_with", "resolve", False, EVA), (1, "fails", False),
                (30, "turns", "resolved", OLA))  # fmt: skip
    assert [each.at for each in found(desk, Measure.closing)] == [minute(10), minute(46)]
    (done,) = found(desk, Measure.resolution)
    assert (done.at, done.user_id, done.how) == (minute(46), OLA_ID, How.zero_touch)
    assert [each.how for each in found(desk, Measure.closing)] == [None, None], "nobody opened it again"
    (active,) = found(desk, Measure.active)
    assert active.counted == ((minute(0), minute(10)), (minute(16), minute(46)))


def test_what_an_answer_that_was_cancelled_did_to_the_status_counts_for_nothing() -> None:
    desk = case((10, "replies_with", "resolve", False, EVA), (1, "writes", 0), (1, "withdraws", EVA),
                (10, "turns", "resolved", EVA))  # fmt: skip
    (closing,) = found(desk, Measure.closing)
    assert (closing.at, closing.how) == (minute(22), None)


def test_taking_a_case_while_its_answer_is_under_way_does_not_make_it_done() -> None:
    desk = case((10, "replies_with", "resolve", False, EVA), (1, "takes", OLA, OLA), (1, "fails", False))
    assert not found(desk, Measure.closing)
    assert not found(desk, Measure.first_resolution)


@pytest.mark.parametrize("then", ["keep", "wait"])
def test_an_answer_that_takes_a_case_up_again_is_a_reopen(then: str) -> None:
    desk = case((10, "turns", "resolved", EVA), (60, "replies_with", then, False, EVA), (1, "is_out"))
    assert [each.how for each in found(desk, Measure.closing)] == [How.reopened]


def test_the_day_of_a_follow_up_is_no_reopen() -> None:
    desk = case((1, "snoozes", 30, EVA), (9, "turns", "resolved", EVA), (30, "day_comes"))
    assert [each.how for each in found(desk, Measure.closing)] == [None]
    assert not found(desk, Measure.resolution), "but it is not done"


def test_closed_again_by_an_answer_is_no_thank_you() -> None:
    """The answer is out only after the case was closed by it."""
    written_again = ((10, "turns", "resolved", EVA), (60, "writes", 0))
    desk = case(*written_again, (5, "replies_with", "resolve", False, EVA), (1, "is_out"))
    assert found(desk, Measure.closing)[0].how is How.reopened
    desk = case(*written_again, (5, "turns", "resolved", EVA))
    assert found(desk, Measure.closing)[0].how is How.touchless


def test_who_had_a_case_by_mistake_was_never_given_it() -> None:
    desk = case((5, "turns", "open", EVA), (5, "takes", EVA, EVA), (1, "takes_back", EVA), (9, "takes", OLA, EVA))
    (given_to,) = found(desk, Measure.assigned)
    assert (given_to.at, given_to.user_id) == (minute(20), OLA_ID)


def test_a_snooze_that_was_taken_back_is_our_turn() -> None:
    desk = case((5, "snoozes", 700, EVA), (1, "takes_back", EVA), (54, "turns", "resolved", EVA))
    (active,) = found(desk, Measure.active)
    assert active.counted == ((minute(0), minute(60)),)
    assert rests(desk.steps) == ()


def test_the_first_response_is_not_spoilt_by_a_reopen() -> None:
    """Chatwoot PR 12058: five days shown in place of ten minutes."""
    five_days = 5 * 1440
    desk = case((10, "answered_there", 0, EVA), (1, "turns", "resolved", EVA), (five_days, "writes", 0),
                (20, "answered_there", 0, EVA))  # fmt: skip
    (first,) = found(desk, Measure.first_response)
    assert (first.started_at, first.at) == (minute(0), minute(10))
    (following,) = found(desk, Measure.next_response)
    assert following.at - (following.started_at or following.at) == 20 * MINUTE


def test_holding_an_answer_is_not_added_to_the_day_it_was_asked() -> None:
    """frappe/helpdesk PR 2449: time on hold was added to the creation. Here it only is no time of ours."""
    desk = case((0, "turns", "pending", EVA), (600, "writes", 0), (30, "answered_there", 0, EVA),
                (0, "turns", "resolved", EVA))  # fmt: skip
    assert found(desk, Measure.first_response)[0].started_at == minute(0)
    assert found(desk, Measure.resolution)[0].started_at == minute(0)
    assert found(desk, Measure.active)[0].counted == ((minute(600), minute(630)),)


def test_staff_spoke_first() -> None:
    desk = case((10, "answered_there", 40, None), (20, "answered_there", 0, EVA))
    assert not found(desk, Measure.first_response)
    assert [each.started_at for each in found(desk, Measure.next_response)] == [minute(0)]


def test_what_was_merged_away_has_no_figures() -> None:
    desk = case((10, "answered_there", 0, EVA), (1, "turns", "resolved", EVA))
    assert list(measure(replace(desk.history(), merged=True))) == []


def test_who_waits_is_the_turn_that_has_no_answer() -> None:
    desk = case((10, "answered_there", 0, EVA), (5, "writes", 0), (5, "writes", 0))
    assert waits(desk.history()) == (Said(minute(15), minute(15)), None, False, None)
    desk = case((10, "answered_there", 0, EVA))
    assert waits(desk.history()) is None


# -- what changes nothing ---------------------------------------------------------------------------------------------

RESPONSES = (Measure.first_response, Measure.first_response_seen, Measure.next_response, Measure.answer)


@settings(max_examples=60)
@given(LIVES, st.integers(0, 20), st.sampled_from(["note", "classify", "assign_team", "take"]))
def test_assigning_tagging_and_noting_change_no_response_time(desk: Desk, where: int, what: str) -> None:
    before = desk.history()
    index = min(where, len(desk.steps))
    at = desk.steps[index - 1].at if index else desk.steps[0].at
    status = next((step.after for step in reversed(desk.steps[:index]) if step.after), None)
    to = status if what == "take" and status in ("open", "pending", "resolved") else None
    more = Step(500, at, what, EVA, to, to, assignee=EVA if what == "take" else None, assigns=what == "take")
    after = replace(before, steps=[*desk.steps[:index], more, *desk.steps[index:]])
    assert _only(after, *RESPONSES) == _only(before, *RESPONSES)
    without = (Measure.assigned,) if what == "take" else ()
    every = [each for each in Measure if each not in without]
    assert _only(after, *every) == _only(before, *every)


def _only(case: History, *measures: Measure) -> Counter[Measured]:
    return Counter(each for each in measure(case) if each.measure in measures)


@settings(max_examples=60)
@given(LIVES, st.integers(0, 2000))
def test_a_merge_only_lets_the_first_response_start_earlier(desk: Desk, earlier: int) -> None:
    """An unanswered case from before is merged into this one, which was answered."""
    before = desk.history()
    first = [each for each in measure(before) if each.measure is Measure.first_response]
    at = min(each.at for each in before.said) - earlier * MINUTE
    after = replace(before, said=sorted([*before.said, Said(at, at)], key=lambda said: said.at))
    now = [each for each in measure(after) if each.measure is Measure.first_response]
    for was, is_now in zip(first, now, strict=False):
        assert is_now.at <= was.at
        assert is_now.started_at is not None and was.started_at is not None
        assert is_now.started_at <= was.started_at


@settings(max_examples=60)
@given(LIVES, st.randoms())
def test_the_order_in_which_simultaneous_things_are_stored_does_not_matter(desk: Desk, chance: Any) -> None:
    one = desk.history()
    said, answers = list(one.said), list(one.answers)
    chance.shuffle(said)
    chance.shuffle(answers)
    two = replace(one, said=sorted(said, key=lambda each: each.at), answers=sorted(answers, key=lambda each: each.at))

    def spans(case: History) -> list[tuple[Any, ...]]:
        return sorted((each.measure.value, each.at, str(each.started_at)) for each in measure(case))

    assert spans(two) == spans(one)


# -- ranks ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.sampled_from([1, 10, 50, 75, 90, 99, 100]))
def test_the_nearest_rank_is_the_one_of_a_naive_sort(values: list[int], percent: int) -> None:
    assert reported.rank(sorted(values), percent) == percentile(values, percent)


@given(st.lists(st.integers(0, 10_000), max_size=40), st.sampled_from([0, reported.FEW_OF_A_PERSON]))
def test_what_is_hidden_of_few(values: list[int], few: int) -> None:
    timing = reported._timing(sorted(values), 0, len(values), 0, few)
    assert timing.n == len(values), "how many is always said"
    assert timing.hidden == (few > len(values) > 0)
    if not values or timing.hidden:
        assert (timing.median_s, timing.p90_s, timing.mean_s, timing.within_target) == (None, None, None, None)
    else:
        assert timing.median_s == percentile(values, 50)
        assert timing.p90_s == (percentile(values, 90) if len(values) >= 10 else None)


def test_a_day_that_is_no_instant_is_not_confused_with_one() -> None:
    assert utc("2026-10-25T00:30") == wall("2026-10-25T02:30"), "the doubled hour comes first in summer time"
    assert wall("2026-10-25T02:30", fold=1) - wall("2026-10-25T02:30") == timedelta(hours=1)
