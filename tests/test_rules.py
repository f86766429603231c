"""Which rules hold and what they do: pure, so every condition and effect is tried by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import CaseStatus
from settings import Calendar, KindName, PriorityName, RuleSettings
from triage import rules
from triage.rules import Known, Situation
from triage.subject import Text

NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # a Tuesday, 12:00 in Stockholm
OFFICE = Calendar.model_validate(
    {"name": "office", "timezone": "Europe/Stockholm", "hours": {"mon-fri": ["08:00-12:00", "13:00-17:00"]}}
)
KNOWN = Known(frozenset({"Gata", "Vatten"}), frozenset({"eva@x.example", "bo@x.example"}), frozenset({"thanks"}))
CASE = Situation(
    NOON,
    "net",
    sources=frozenset({"page"}),
    kind="problem",
    priority="normal",
    language="sv",
    sentiment="negative",
    wants_answer=True,
    texts=(Text.of("Snö", "Plogen kom aldrig till Solgatan"),),
    author=frozenset({"anna_a", "anna andersson"}),
    followers=1200,
    calendar=OFFICE,
    zone=ZoneInfo("Europe/Stockholm"),
)


def rule(
    name: str = "r", *, when: Any = "mention", then: dict[str, Any] | None = None, **conditions: Any
) -> RuleSettings:
    body = {"name": name, "when": when, "if": conditions, "then": then or {"priority": "urgent"}}
    return RuleSettings.model_validate(body)


def fits(case: Situation = CASE, **conditions: Any) -> bool:
    return rules.fits(rule(**conditions).conditions, case)


def changed(**values: Any) -> Situation:
    return replace(CASE, **values)


# -- if ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "holds", "values"),
    [
        ({}, True, {}),
        ({"channel": "net"}, True, {}),
        ({"channel": ["other"]}, False, {}),
        ({"source": ["page", "x"]}, True, {}),
        ({"kind": ["question", "problem"]}, True, {}),
        ({"kind": "praise"}, False, {}),
        ({"priority": "high"}, False, {}),
        ({"team": "Gata"}, False, {}),
        ({"team": "Gata"}, True, {"team": "Gata"}),
        ({"tag": "Ny Snö"}, True, {"tags": frozenset({"ny snö"})}),
        ({"language": "sv"}, True, {}),
        ({"match": "plog*"}, True, {}),
        ({"match": "salt"}, False, {}),
        ({"match": "salt"}, True, {"texts": (Text.of("snö"), Text.of("mera salt"))}),
        ({"status": "new"}, True, {}),
        ({"status": ["open", "pending"]}, False, {}),
        ({"sentiment": "negative"}, True, {}),
        ({"urgency": "none"}, True, {}),
        ({"urgency": ["danger", "leak"]}, False, {}),
        ({"urgency": ["danger", "leak"]}, True, {"urgency": "leak"}),
        ({"noise": "none"}, True, {}),
        ({"noise": ["spam", "bot"]}, True, {"noise": "bot"}),
        ({"category": "Roads"}, True, {"category": "Roads"}),
        ({"category": "none"}, False, {"category": "Roads"}),
        ({"wants_answer": True}, True, {}),
        ({"wants_answer": False}, False, {}),
        ({"wants_answer": False}, False, {"wants_answer": None}),
        ({"assigned": False}, True, {}),
        ({"assigned": True}, True, {"assignee": "eva@x.example"}),
        ({"answered": True}, False, {}),
        ({"author": "@Anna_A"}, True, {}),
        ({"author": "Anna Andersson"}, True, {}),
        ({"author": "anna"}, False, {}),
        ({"followers_over": 1199}, True, {}),
        ({"followers_over": 1200}, False, {}),
        ({"followers_over": 0}, False, {"followers": None}),
        ({"messages_over": 1}, False, {}),
        ({"messages_over": 1}, True, {"messages": 2}),
        ({"spread_over": 9}, True, {"spread": 10}),
        ({"story_over": 4}, True, {"story": 5}),
        ({"story_over": 0}, False, {}),
        ({"unanswered_for": "4h"}, False, {}),
        ({"unanswered_for": "4h"}, True, {"waiting_since": NOON - timedelta(hours=4)}),
        ({"unanswered_for": "4h"}, False, {"waiting_since": NOON - timedelta(minutes=239)}),
        ({"opening_hours": False}, True, {}),  # lunch
        ({"opening_hours": True}, True, {"at": NOON + timedelta(hours=1)}),
        ({"opening_hours": True}, True, {"calendar": None}),
        ({"days": "mon-fri"}, True, {}),
        ({"days": ["sat", "sun"]}, False, {}),
        ({"days": "sun"}, True, {"at": datetime(2026, 11, 28, 23, 30, tzinfo=UTC)}),  # Sunday already in Stockholm
        ({"hours": "12:00-13:00"}, True, {}),
        ({"hours": "12:00-13:00"}, False, {"at": NOON + timedelta(hours=1)}),
        ({"hours": "11:00-12:00"}, True, {"zone": UTC}),
        ({"hours": ["00:00-06:00", "22:00-24:00"]}, True, {"at": NOON + timedelta(hours=11, minutes=59)}),
        ({"channel": "net", "kind": "idea"}, False, {}),
    ],
)  # fmt: skip
def test_every_condition(conditions: dict[str, Any], holds: bool, values: dict[str, Any]) -> None:
    assert fits(changed(**values), **conditions) is holds


# -- what an event is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "by_author", "found"),
    [
        (("opened", None, "new"), False, {"mention"}),
        (("author_wrote", "new", "new"), True, {"answer"}),
        (("author_wrote", "new", "new"), False, {"mention"}),
        (("author_wrote", "resolved", "open"), True, {"answer", "status"}),
        (("take", "new", "open"), False, {"status"}),
        (("take", "open", "open"), False, set()),
        (("classify", None, None), False, set()),
    ],
)
def test_what_an_event_starts(event: tuple[str, str | None, str | None], by_author: bool, found: set[str]) -> None:
    assert rules.triggers(*event, by_author=by_author) == found


def test_only_what_is_on_and_listens() -> None:
    listed = [rule("a"), rule("b", when="status"), rule("c", when=["mention", "status"])]
    listed.append(listed[0].model_copy(update={"name": "off", "enabled": False}))
    assert [each.name for each in rules.wanted(listed, frozenset({"mention"}))] == ["a", "c"]
    assert [each.name for each in rules.wanted(listed, frozenset({"status", "answer"}))] == ["b", "c"]


# -- then --------------------------------------------------------------------------------------------------------------

EVERYTHING = {
    "kind": "idea", "priority": "high", "tags": ["a", "b"], "team": "Gata", "assignee": "eva@x.example",
    "draft": "thanks", "review": True, "notify": ["bo@x.example"], "webhook": "https://x.example/h", "ignore": True,
}  # fmt: skip


def test_every_effect_in_order_and_nothing_that_is_so_already() -> None:
    fired = rules.act(rule(then=EVERYTHING), CASE, KNOWN)
    assert dict(fired.changes) == {
        "kind": ("problem", "idea"),
        "priority": ("normal", "high"),
        "tags": (frozenset(), frozenset({"a", "b"})),
        "team": (None, "Gata"),
        "assignee": (None, "eva@x.example"),
        "draft": (None, "thanks"),
        "review": (False, True),
        "notify": ((), ("bo@x.example",)),
        "webhook": (None, "https://x.example/h"),
        "status": ("open", "ignored"),
    }
    assert list(fired.changes) == [*list(fired.changes)[:-1], "status"], "ignoring comes last"
    assert not fired.refused
    again = rules.act(rule(then=EVERYTHING), fired.left, KNOWN)
    assert set(again.changes) == {"notify", "webhook"}


@pytest.mark.parametrize(
    ("then", "values", "refused"),
    [
        ({"team": "Nowhere"}, {}, {"team": "unknown"}),
        ({"assignee": "no@x.example"}, {}, {"assignee": "unknown"}),
        ({"assignee": "eva@x.example"}, {"status": "closed"}, {"assignee": "status"}),
        ({"draft": "nothing"}, {}, {"draft": "unknown"}),
        ({"notify": ["bo@x.example", "no@x.example"]}, {}, {"notify": "unknown"}),
        ({"ignore": True}, {"status": "resolved"}, {"ignore": "status"}),
        ({"ignore": True}, {"joined": True}, {"ignore": "others_wrote"}),
        ({"ignore": True}, {"status": "ignored"}, {}),
        ({"tags": ["one more"]}, {"tags": frozenset(map(str, range(50)))}, {"tags": "too_many_tags"}),
    ],
)
def test_what_is_not_allowed_is_refused_and_the_rest_goes_on(
    then: dict[str, Any], values: dict[str, Any], refused: dict[str, str]
) -> None:
    fired = rules.act(rule(then={**then, "kind": "praise"}), changed(**values), KNOWN)
    assert dict(fired.refused) == refused
    assert fired.changes["kind"] == ("problem", "praise")


def test_a_later_rule_sees_what_an_earlier_one_set() -> None:
    listed = [
        rule("one", then={"priority": "high", "team": "Gata", "tags": ["x"]}),
        rule("two", then={"kind": "idea"}, priority="high", team="Gata", tag="x"),
        rule("three", then={"kind": "praise"}, kind="problem"),
        rule("four", then={"team": "Vatten"}, priority="normal"),
    ]
    assert [fired.rule.name for fired in rules.decide(listed, CASE, KNOWN)] == ["one", "two"]
    backwards = [fired.rule.name for fired in rules.decide(reversed(listed), CASE, KNOWN)]
    assert backwards == ["four", "three", "one"]


def test_whose_case_it_is_it_is_no_longer_new() -> None:
    listed = [rule("give", then={"assignee": "eva@x.example"}), rule("new", then={"tags": ["t"]}, status="new")]
    assert [fired.rule.name for fired in rules.decide(listed, CASE, KNOWN)] == ["give"]


# -- any rules on any case ---------------------------------------------------------------------------------------------

statuses = st.sampled_from(list(CaseStatus))
some_rules = st.lists(
    st.builds(
        lambda conditions, effects: rule("r", then=effects, **conditions),
        st.fixed_dictionaries(
            {},
            optional={
                "kind": st.sampled_from(get_args(KindName)),
                "priority": st.sampled_from(get_args(PriorityName)),
                "status": statuses,
                "team": st.sampled_from(["Gata", "Vatten"]),
                "tag": st.sampled_from(["a", "b"]),
                "assigned": st.booleans(),
                "match": st.sampled_from(["snö", "NOT snö", "plog* OR salt"]),
            },
        ),
        st.fixed_dictionaries(
            {"tags": st.just(["a"])},
            optional={
                "kind": st.sampled_from(get_args(KindName)),
                "priority": st.sampled_from(get_args(PriorityName)),
                "team": st.sampled_from(["Gata", "Vatten", "Nowhere"]),
                "assignee": st.sampled_from(["eva@x.example", "no@x.example"]),
                "draft": st.sampled_from(["thanks", "none"]),
                "ignore": st.just(True),
                "review": st.just(True),
            },
        ),
    ),
    max_size=8,
)


@given(some_rules, statuses, st.booleans())
def test_any_rules_end_do_the_same_again_and_promise_nothing_they_cannot_keep(
    listed: list[RuleSettings], status: str, joined: bool
) -> None:
    case = changed(status=status, joined=joined)
    fired = list(rules.decide(listed, case, KNOWN))
    assert len(fired) <= len(listed), "each at most once"
    assert fired == list(rules.decide(listed, case, KNOWN))
    for each in fired:
        for name, (before, after) in each.changes.items():
            assert before != after, name
            if name == "team":
                assert after in KNOWN.teams
            if name == "status":
                assert before in ("new", "open", "pending")
        assert not {*each.changes} & {*each.refused} - {"notify"}
    if fired:
        assert fired[-1].left.tags == {"a"}
