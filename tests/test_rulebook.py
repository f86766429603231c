"""Rules at work on stored cases: what they do, once, under their own name, and that they come to an end."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from database import Database
from errors import InvalidTransition
from house import House, build, declare
from models import Case, CaseEvent, CaseStatus, Mention, Notice, PendingReaction, Then, Webhook
from settings import RuleSettings
from tests.conftest import config
from tests.factories import MORNING, case_of, said, take, user
from triage import answering, cases, reactions, rehearsal, upkeep

OFFICE = {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["08:00-17:00"]}}
TEAMS = [{"name": "Gata", "members": ["eva@storby.example"], "routing": "round_robin"}, {"name": "Vatten"}]
CANNED = [{"name": "thanks", "texts": {"sv": "Tack!"}}]

Laid = Callable[..., House]


@pytest.fixture
def laid_down(make_house: Callable[..., House]) -> Laid:
    """A house with these rules."""

    def make(*rules: dict[str, Any]) -> House:
        listed = [{"name": f"rule {n}", **rule} for n, rule in enumerate(rules)]
        house = make_house(calendars=[OFFICE], teams=TEAMS, canned_replies=CANNED, rules=listed)
        declare(house, MORNING)
        with house.database.transaction() as db:
            user(db), user(db, "bo")
        return house

    return make


def follow(database: Database, at: datetime = MORNING) -> None:
    while reactions.react(database, at):
        pass


def came(house: House, id: str = "a", *, at: datetime = MORNING, **more: Any) -> int:
    """A mention comes in, and what follows from it follows; the number of its case."""
    with house.database.transaction() as db:
        minutes = (at - MORNING).total_seconds() / 60
        take(db, said(id, **({"minutes": minutes} | more)), at=at)
        number = case_of(db, id)
        assert number is not None
    follow(house.database, at)
    return number


def case_(house: House, number: int) -> Case:
    with house.database.read() as db:
        case = db.get_one(Case, number)
        assert (case.team, case.assignee, case.tags) is not None
        return case


def done(house: House, number: int) -> list[tuple[str, str, dict[str, Any]]]:
    """What rules did: (rule, action, changes)."""
    with house.database.read() as db:
        events = select(CaseEvent).where(CaseEvent.case_id == number, CaseEvent.actor.like("rule:%"))
        return [
            (event.actor.removeprefix("rule:"), event.action, event.changes)
            for event in db.scalars(events.order_by(CaseEvent.version))
        ]


def test_every_effect_bears_the_name_of_its_rule(laid_down: Laid) -> None:
    house = laid_down(
        {
            "if": {"match": "plog*"},
            "then": {
                "kind": "idea", "priority": "urgent", "tags": ["Snö"], "team": "Vatten", "draft": "thanks",
                "assignee": "eva@storby.example", "review": True, "notify": ["bo@storby.example"],
                "webhook": "https://hooks.example/secret/token",
            },
        }
    )  # fmt: skip
    number = came(house, text="När plogas gatan?")
    assert came(house, "b", text="Badet är öppet") and not done(house, number + 1)
    case = case_(house, number)
    assert (case.kind, case.priority, [tag.tag for tag in case.tags]) == ("idea", "urgent", ["snö"])
    assert case.team and case.team.name == "Vatten"
    assert case.assignee and (case.assignee.email, case.status) == ("eva@storby.example", "open")
    assert (case.canned_reply, case.review_wanted) == ("thanks", True)
    did = done(house, number)
    assert {rule for rule, _, _ in did} == {"rule 0"}
    assert [action for _, action, _ in did] == [
        "classify", "assign_team", "take", "propose_reply", "want_review", "notified", "webhook",
    ]  # fmt: skip
    assert did[-1][2] == {"webhook": [None, "hooks.example"]}, "the secret part of the address stays out of the history"
    with house.database.read() as db:
        bo = user(db, "bo").id
        notice = db.scalars(select(Notice).where(Notice.user_id == bo)).one()
        assert (notice.kind, notice.detail) == ("notified", {"rule": "rule 0"})
        hook = db.scalars(select(Webhook)).one()
        assert (hook.url, hook.rule, hook.due_at) == ("https://hooks.example/secret/token", "rule 0", MORNING)
        assert db.get_one(CaseEvent, hook.event_id).action == "opened"


def test_tags_are_added(laid_down: Laid) -> None:
    house = laid_down({"when": "answer", "then": {"tags": ["again"]}})
    number = came(house)
    with house.database.transaction() as db:
        cases.classify(db, number, tags=["first"], actor="eva@storby.example", at=MORNING)
    came(house, "b", to="a")
    assert [tag.tag for tag in case_(house, number).tags] == ["again", "first"]


def test_in_order_and_a_later_rule_sees_what_an_earlier_one_set(laid_down: Laid) -> None:
    house = laid_down(
        {"then": {"priority": "high"}},
        {"if": {"priority": "high"}, "then": {"tags": ["seen"]}},
        {"if": {"priority": "normal"}, "then": {"tags": ["not seen"]}},
    )
    number = came(house)
    assert [tag.tag for tag in case_(house, number).tags] == ["seen"]


def test_what_is_not_allowed_is_recorded_and_the_rest_goes_on(laid_down: Laid) -> None:
    house = laid_down(
        {"when": "answer", "then": {"assignee": "nobody@storby.example", "priority": "high", "notify": ["x@y.example"]}}
    )
    number = came(house)
    came(house, "b", to="a")
    assert case_(house, number).priority == "high"
    refused = [changes for _, action, changes in done(house, number) if action == "rule_refused"]
    assert refused == [
        {"effect": [None, "assignee"], "why": [None, "unknown"]},
        {"effect": [None, "notify"], "why": [None, "unknown"]},
    ]


def test_a_spammer_does_not_make_somebody_elses_question_disappear(laid_down: Laid) -> None:
    house = laid_down({"if": {"match": "viagra"}, "then": {"ignore": True}})
    assert case_(house, came(house, "spam", author="bot", text="viagra!")).status == "ignored"
    number = came(house, "a")
    came(house, "b", author="bot", to="a", text="viagra!")
    assert case_(house, number).status == "new"
    assert [action for _, action, _ in done(house, number)] == ["rule_refused"]


def test_the_author_answers_or_somebody_else_writes(laid_down: Laid) -> None:
    house = laid_down(
        {"when": "mention", "then": {"tags": ["mention"]}}, {"when": "answer", "then": {"tags": ["answer"]}}
    )
    number = came(house)
    came(house, "b", to="a")
    with house.database.transaction() as db:
        cases.classify(db, number, tags=[], actor="eva@storby.example", at=MORNING)
    came(house, "c", to="a")
    assert [tag.tag for tag in case_(house, number).tags] == ["answer"]
    came(house, "d", author="bo", to="a")
    assert [tag.tag for tag in case_(house, number).tags] == ["answer", "mention"]


def test_what_has_become_part_of_another_case_is_found_there(laid_down: Laid) -> None:
    house = laid_down({"if": {"match": "läcka"}, "then": {"priority": "urgent", "ignore": True}})
    with house.database.transaction() as db:
        for mention in (
            said("one", "anna", to="top", minutes=1),
            said("two", "bo", to="top", minutes=2, text="en läcka"),
            said("top", "anna", minutes=0),  # what both answer: they are one case after all
        ):
            take(db, mention, at=MORNING)
        number = case_of(db, "two") or 0
        assert number == case_of(db, "one")
    follow(house.database)
    case = case_(house, number)
    assert (case.priority, case.status) == ("urgent", "new")


def test_who_is_not_known_can_be_ignored_too(laid_down: Laid) -> None:
    house = laid_down({"then": {"ignore": True}})
    assert case_(house, came(house, author=None)).status == "ignored"


def test_a_change_of_status(laid_down: Laid) -> None:
    house = laid_down({"when": "status", "if": {"status": "resolved"}, "then": {"tags": ["done"]}})
    number = came(house)
    for target in (CaseStatus.open, CaseStatus.resolved):
        assert not case_(house, number).tags
        with house.database.transaction() as db:
            cases.change_status(db, number, target=target, actor="eva@storby.example", at=MORNING)
        follow(house.database)
    assert [tag.tag for tag in case_(house, number).tags] == ["done"]


def test_what_a_rule_does_starts_no_rule(laid_down: Laid) -> None:
    """The first makes a change of status; the second would answer to it, and the third would undo it for ever."""
    house = laid_down(
        {"then": {"assignee": "eva@storby.example"}},
        {"when": "status", "then": {"tags": ["loop"], "assignee": "bo@storby.example"}},
        {"when": "status", "then": {"assignee": "eva@storby.example"}},
    )
    number = came(house)
    case = case_(house, number)
    assert (case.status, case.assignee and case.assignee.email, case.tags) == ("open", "eva@storby.example", [])
    with house.database.transaction() as db:
        cases.change_status(db, number, target=CaseStatus.pending, actor="bo@storby.example", at=MORNING)
    follow(house.database)
    assert [(rule, action) for rule, action, _ in done(house, number)][1:] == [
        ("rule 1", "classify"),
        ("rule 1", "take"),
        ("rule 2", "take"),
    ]


def test_rules_come_after_the_category_and_before_routing(make_house: Callable[..., House]) -> None:
    house = make_house(
        teams=TEAMS,
        categories=[{"name": "Roads", "match": "gata", "team": "Vatten"}],
        rules=[{"name": "r", "if": {"category": "Roads", "team": "Vatten"}, "then": {"team": "Gata"}}],
    )
    declare(house, MORNING)
    with house.database.transaction() as db:
        user(db)
    case = case_(house, came(house, text="min gata"))
    assert case.team and case.team.name == "Gata"
    assert case.assignee and case.assignee.email == "eva@storby.example", "the team's way of sharing its work"


def test_what_was_imported_and_what_is_switched_off(laid_down: Laid) -> None:
    house = laid_down({"then": {"tags": ["t"]}}, {"enabled": False, "then": {"priority": "high"}})
    with house.database.transaction() as db:
        take(db, said("a", minutes=0))
        number = case_of(db, "a")
        db.execute(update(Case).values(imported=True))
    follow(house.database)
    assert done(house, number or 0) == []
    assert [action for _, action, _ in done(house, came(house, "b"))] == ["classify"]


# -- time --------------------------------------------------------------------------------------------------------------

LATE = {"when": "time", "if": {"unanswered_for": "4h"}, "then": {"priority": "high", "notify": ["bo@storby.example"]}}


def tick(house: House, hours: float) -> None:
    at = MORNING + timedelta(hours=hours)
    upkeep.tick(house.database, at)
    follow(house.database, at)


def answer(house: House, number: int, hours: float) -> None:
    at = MORNING + timedelta(hours=hours)
    with house.database.transaction() as db:
        mention = db.scalars(select(Mention.id).where(Mention.case_id == number).limit(1)).one()
        reply = answering.reply(
            db, number, body="Ja", to_mention_id=mention, user=user(db), then=Then.keep, private=False,
            hold=timedelta(), idempotency_key=None, account_id=None, at=at,
        )  # fmt: skip
        answering.reply_called(db, reply.id, worker="w", at=at)
        answering.reply_sent(db, reply.id, external_id=f"r{hours}", url=None, sent_at=at, actor="outbox", at=at)
    follow(house.database, at)


def waited(house: House, number: int) -> list[str]:
    return [changes["waiting_since"][1] for _, action, changes in done(house, number) if action == "unanswered"]


def test_time_passes_once_for_each_wait(laid_down: Laid) -> None:
    house = laid_down(LATE)
    number = came(house)
    tick(house, 3.9)
    assert waited(house, number) == []
    for hours in (4, 4.1, 30):
        tick(house, hours)
        assert waited(house, number) == ["2026-11-24T08:00:00Z"]
    assert [action for _, action, _ in done(house, number)] == ["unanswered", "classify", "notified"]
    answer(house, number, 31)
    tick(house, 40)
    came(house, "b", to="a", at=MORNING + timedelta(hours=41))
    tick(house, 44)
    assert len(waited(house, number)) == 1
    tick(house, 45)
    tick(house, 46)
    assert waited(house, number) == ["2026-11-24T08:00:00Z", "2026-11-26T01:00:00Z"]


def test_time_asks_everything_else_too_and_asks_again(laid_down: Laid) -> None:
    house = laid_down({**LATE, "if": {"unanswered_for": "1h", "kind": "idea", "match": "plog*", "noise": "none"}})
    number = came(house, text="Plogen!")
    tick(house, 2)
    assert waited(house, number) == []
    with house.database.transaction() as db:
        cases.classify(db, number, kind="idea", actor="eva@storby.example", at=MORNING + timedelta(hours=2))
    tick(house, 3)
    assert len(waited(house, number)) == 1


def test_what_has_waited_for_long_is_left_alone(laid_down: Laid) -> None:
    house = laid_down(LATE)
    number = came(house)
    tick(house, 4.1 + 7 * 24)
    assert waited(house, number) == []
    tick(house, 3.9 + 7 * 24)
    assert len(waited(house, number)) == 1


@pytest.mark.parametrize("status", [CaseStatus.resolved, CaseStatus.ignored])
def test_who_has_been_put_away_does_not_wait(laid_down: Laid, status: CaseStatus) -> None:
    house = laid_down(LATE)
    number = came(house)
    with house.database.transaction() as db:
        cases.change_status(db, number, target=status, actor="eva@storby.example", at=MORNING)
    tick(house, 5)
    assert waited(house, number) == []


def test_many_wait_and_none_is_forgotten(laid_down: Laid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.rulebook.AT_ONCE", 3)
    house = laid_down(LATE)
    with house.database.transaction() as db:
        take(db, *(said(f"m{n}", f"author{n}", minutes=0) for n in range(8)), at=MORNING)
    tick(house, 4)
    with house.database.read() as db:
        acted = select(CaseEvent.case_id).where(CaseEvent.action == "unanswered")
        assert sorted(db.scalars(acted)) == sorted(db.scalars(select(Case.id)))


# -- rehearsal ---------------------------------------------------------------------------------------------------------


def rehearsed(house: House, body: dict[str, Any], **more: Any) -> rehearsal.Rehearsal:
    given: dict[str, Any] = {"since": MORNING - timedelta(days=1), "until": MORNING + timedelta(days=30)} | more
    with house.database.read() as db:
        before = snapshot(db)
        rule = RuleSettings.model_validate({"name": "new"} | body)
        found = rehearsal.rehearsal(db, rule, **given)
        assert snapshot(db) == before
        return found


def snapshot(db: Session) -> list[Any]:
    return [db.scalar(select(func.count()).select_from(table)) for table in (CaseEvent, Notice, Webhook)] + [
        [(case.id, case.version) for case in db.scalars(select(Case).order_by(Case.id))]
    ]


def test_rehearsed_on_what_happened(laid_down: Laid) -> None:
    house = laid_down({"then": {"tags": ["first"]}})
    snow, bath = came(house, text="Snö på gatan"), came(house, "b", text="Badet", at=MORNING + timedelta(hours=1))
    with house.database.transaction() as db:  # what is done later must not change what would have happened then
        cases.classify(db, snow, priority="low", kind="praise", tags=["late"], actor="eva@storby.example", at=MORNING)
        cases.change_status(db, snow, target=CaseStatus.resolved, actor="eva@storby.example", at=MORNING)
    body = {"if": {"match": "snö", "status": "new", "tag": "first"}, "then": {"priority": "urgent", "tags": ["s"]}}
    found = rehearsed(house, body)
    (difference,) = found.found
    assert (difference.case_id, difference.subject, difference.at) == (snow, "Snö på gatan", MORNING)
    assert dict(difference.changes) == {
        "priority": ("normal", "urgent"),
        "tags": (frozenset({"first"}), frozenset({"first", "s"})),
    }
    assert (found.whole, found.looked_at) == (True, 2)
    both = rehearsed(house, {"then": {"team": "Gata"}})
    assert [each.case_id for each in both.found] == [bath, snow], "latest first"
    assert rehearsed(house, {"then": {"team": "Gata"}}, until=MORNING + timedelta(minutes=1)).looked_at == 1


def test_the_rehearsal_says_where_it_stopped(laid_down: Laid) -> None:
    house = laid_down()
    for n in range(5):
        came(house, f"m{n}", author=f"a{n}", at=MORNING + timedelta(minutes=n))
    body = {"then": {"priority": "high"}}
    for limits, shown, looked_at, whole in (
        ({"shown": 5}, 5, 5, True),
        ({"shown": 4}, 4, 4, False),
        ({"looked_at": 3}, 3, 3, False),
        ({"looked_at": 5}, 5, 5, True),
    ):
        found = rehearsed(house, body, **limits)
        assert (len(found.found), found.looked_at, found.whole) == (shown, looked_at, whole), limits


def test_of_an_edit_only_the_difference(laid_down: Laid) -> None:
    house = laid_down({"if": {"match": "snö"}, "then": {"priority": "high", "tags": ["a"]}})
    snow, ice = came(house, text="snö"), came(house, "b", text="is", at=MORNING + timedelta(hours=1))
    edit: dict[str, Any] = {"instead_of": "rule 0"}
    same = {"name": "rule 0", "if": {"match": "snö"}, "then": {"priority": "high", "tags": ["a"]}}
    assert rehearsed(house, same, **edit).found == []
    found = rehearsed(house, {**same, "then": {"priority": "urgent", "tags": ["a"]}}, **edit).found
    assert [(each.case_id, dict(each.changes)) for each in found] == [(snow, {"priority": ("high", "urgent")})]
    found = rehearsed(house, {**same, "if": {"match": "is"}}, **edit).found
    assert [(each.case_id, dict(each.changes)["priority"]) for each in found] == [
        (ice, ("normal", "high")),
        (snow, ("high", "normal")),
    ]


def test_an_effect_that_would_be_refused_is_told(laid_down: Laid) -> None:
    house = laid_down()
    came(house)
    (difference,) = rehearsed(house, {"then": {"assignee": "no@y.example", "webhook": "https://x.example/h"}}).found
    assert dict(difference.refused) == {"assignee": "unknown"}
    assert dict(difference.changes) == {"webhook": (None, "https://x.example/h")}


def test_time_rehearsed(laid_down: Laid) -> None:
    house = laid_down()
    number, quick = came(house), came(house, "b")
    answer(house, quick, 1)
    answer(house, number, 10)
    came(house, "c", to="a", at=MORNING + timedelta(hours=20))
    found = rehearsed(house, LATE).found
    assert [(each.case_id, each.at) for each in found] == [
        (number, MORNING + timedelta(hours=24)),
        (number, MORNING + timedelta(hours=4)),
    ]
    assert dict(found[1].changes) == {"priority": ("normal", "high"), "notify": ((), ("bo@storby.example",))}


def test_what_is_rehearsed_is_what_then_happens(laid_down: Laid) -> None:
    listed: list[dict[str, Any]] = [
        {"if": {"match": "snö"}, "then": {"priority": "high", "team": "Vatten"}},
        {"when": ["mention", "answer"], "if": {"messages_over": 1}, "then": {"tags": ["more"]}},
        {"when": "status", "if": {"status": "pending"}, "then": {"kind": "idea"}},
    ]

    def live(house: House, prefix: str) -> int:
        number = came(house, f"{prefix}1", author=prefix, text="snö")
        came(house, f"{prefix}2", author=prefix, to=f"{prefix}1", at=MORNING + timedelta(hours=1))
        at = MORNING + timedelta(hours=2)
        with house.database.transaction() as db:
            cases.change_status(db, number, target=CaseStatus.pending, actor="eva@storby.example", at=at)
        follow(house.database, at)
        return number

    house = laid_down()
    live(house, "without")
    foretold: dict[str, Any] = {}
    for body in listed:
        (difference,) = rehearsed(house, body).found
        foretold |= difference.changes
    house = laid_down(*listed)
    happened: dict[str, Any] = {}
    for _, _, changes in done(house, live(house, "with")):
        happened |= {name: tuple(change) for name, change in changes.items()}
    del happened["settled"]  # which fields no judge may touch any more: kept for undo, told to nobody
    happened["tags"] = tuple(map(frozenset, happened["tags"]))
    assert foretold == happened


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", []),
        ("s1", [(1, None)]),
        ("s1 s2 a3 a4", [(1, 3)]),
        ("a1 s2 a3 s5", [(2, 3), (5, None)]),
        ("s1 a1 s2", [(1, 1), (2, None)]),
    ],
)
def test_who_waited_when(said: str, found: list[tuple[int, int | None]]) -> None:
    def hour(n: int) -> datetime:
        return MORNING + timedelta(hours=n)

    given = [(hour(int(each[1:])), each[0] == "a") for each in said.split()]
    wanted = [(hour(start), None if end is None else hour(end)) for start, end in found]
    assert rehearsal.waits(given) == wanted


# -- any rules, whatever happens ---------------------------------------------------------------------------------------

EFFECTS: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from(["idea", "problem"]),
    "priority": st.sampled_from(["high", "low"]),
    "tags": st.lists(st.sampled_from(["a", "b"]), min_size=1),
    "team": st.sampled_from(["Gata", "Vatten"]),
    "assignee": st.sampled_from(["eva@storby.example", "bo@storby.example", "nobody@storby.example"]),
    "ignore": st.just(True),
    "review": st.just(True),
    "draft": st.just("thanks"),
    "notify": st.just(["bo@storby.example"]),
    "webhook": st.just("https://x.example/h"),
}
asked = st.fixed_dictionaries(
    {}, optional={"status": st.sampled_from(["new", "open", "pending", "resolved"]), "assigned": st.booleans()}
)
effects = st.fixed_dictionaries({}, optional=EFFECTS).filter(bool)
listening = st.lists(st.sampled_from(["mention", "answer", "status"]), min_size=1, unique=True)
some_rules = st.lists(
    st.fixed_dictionaries({"when": listening, "if": asked, "then": effects})
    | st.fixed_dictionaries(
        {"when": st.just("time"), "if": asked.map(lambda when: {**when, "unanswered_for": "1h"}), "then": effects}
    ),
    min_size=1,
    max_size=4,
)
some_doings = st.lists(
    st.sampled_from(["new", "answer", "other", "open", "pending", "resolved", "unassign", "hours"]), max_size=8
)


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(some_rules, some_doings)
def test_any_rules_on_whatever_happens_end_and_do_the_same_again(
    sqlite_template: Path, tmp_path: Path, listed: list[dict[str, Any]], doings: list[str]
) -> None:
    first, second = (_lived(sqlite_template, tmp_path, listed, ["new", *doings]) for _ in range(2))
    assert first == second
    for (actor, _action), times in Counter(step[:2] for step in first).items():
        if actor.startswith("rule:"):
            assert times <= 2 * (len(doings) + 1) * len(EFFECTS), "no rule goes on by itself"


lives = count()


def _lived(template: Path, folder: Path, listed: list[dict[str, Any]], doings: list[str]) -> list[tuple[Any, ...]]:
    path = folder / f"{next(lives)}.db"
    shutil.copyfile(template, path)
    database = Database(f"sqlite:///{path}")
    named = [{"name": f"rule {n}", **rule} for n, rule in enumerate(listed)]
    house = build(config(folder, database, teams=TEAMS, canned_replies=CANNED, rules=named), database)
    declare(house, MORNING)
    with database.transaction() as db:
        user(db), user(db, "bo")
    for n, doing in enumerate(doings):
        at = MORNING + timedelta(minutes=10 * n)
        with database.transaction() as db:
            _do(db, doing, n, at)
        for _ in range(100):
            if not reactions.react(database, at):
                break
        else:
            raise AssertionError("the reactions do not come to an end")
        upkeep.tick(database, at + (timedelta(hours=2) if doing == "hours" else timedelta()))
    with database.read() as db:
        stuck = select(PendingReaction.error).where(PendingReaction.error.is_not(None))
        assert list(db.scalars(stuck)) == []
        events = db.scalars(select(CaseEvent).order_by(CaseEvent.id))
        lived = [
            (event.actor, event.action, event.case_id, event.from_status, event.to_status, str(event.changes))
            for event in events
        ]
    database.close()
    return lived


def _do(db: Session, doing: str, n: int, at: datetime) -> None:
    number = db.scalar(select(func.min(Case.id))) or 0
    minutes = (at - MORNING).total_seconds() / 60
    if doing == "new":
        take(db, said(f"m{n}", f"author{n}", minutes=minutes), at=at)
    elif doing in ("answer", "other"):
        take(db, said(f"m{n}", "author0" if doing == "answer" else "bo", to="m0", minutes=minutes), at=at)
    elif doing == "unassign":
        cases.assign(db, number, assignee=None, actor="eva@storby.example", at=at)
    elif doing != "hours":
        try:
            cases.change_status(db, number, target=CaseStatus(doing), actor="eva@storby.example", at=at)
        except InvalidTransition:
            return
