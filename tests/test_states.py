"""The transition table against the table of the design, written out here once more by hand."""

from __future__ import annotations

import itertools

import pytest

from errors import InvalidTransition
from models import CaseStatus
from triage.states import TRANSITIONS, Action, action_to, after, replay, targets

TABLE = """
start            new>open
take             new>open open>open pending>pending resolved>resolved
reply_keep       new>open open>open pending>open resolved>open
reply_wait       new>pending open>pending pending>pending resolved>pending
reply_resolve    new>resolved open>resolved pending>resolved resolved>resolved
reply_failed     new>new open>open pending>open resolved>open closed>closed ignored>ignored
author_wrote     new>new open>open pending>open resolved>open ignored>ignored
wait             new>pending open>pending
resolve          new>resolved open>resolved pending>resolved
reopen           resolved>open closed>open ignored>open pending>open
close            resolved>closed
ignore           new>ignored open>ignored pending>ignored
merge            new>closed open>closed pending>closed resolved>closed ignored>closed
follow_up_due    new>open open>open pending>open resolved>open closed>closed ignored>ignored
imported         new>closed
"""
ROWS = {
    (CaseStatus(before), Action(line.split()[0])): CaseStatus(then)
    for line in TABLE.strip().splitlines()
    for before, then in (row.split(">") for row in line.split()[1:])
}


@pytest.mark.parametrize(("status", "action"), list(itertools.product(CaseStatus, Action)))
def test_every_row_and_every_illegal_one(status: CaseStatus, action: Action) -> None:
    if (status, action) in ROWS:
        assert after(status, action) == ROWS[status, action]
    else:
        with pytest.raises(InvalidTransition, match=status):
            after(status, action)


def test_there_is_no_other_row() -> None:
    assert dict(TRANSITIONS) == ROWS


@pytest.mark.parametrize(("status", "target"), list(itertools.permutations(CaseStatus, 2)))
def test_a_target_named_by_a_person_is_reached_by_one_row_or_refused(status: CaseStatus, target: CaseStatus) -> None:
    if target in targets(status):
        assert ROWS[status, action_to(status, target)] == target
    else:
        with pytest.raises(InvalidTransition):
            action_to(status, target)


def test_what_a_person_may_name() -> None:
    named = {status: set(targets(status)) for status in CaseStatus}
    assert named == {
        "new": {"open", "pending", "resolved", "ignored"},
        "open": {"pending", "resolved", "ignored"},
        "pending": {"open", "resolved", "ignored"},
        "resolved": {"open", "closed"},
        "closed": {"open"},
        "ignored": {"open"},
    }


def test_a_history_with_a_hole_is_noticed() -> None:
    assert replay([]) is None
    assert replay([(None, "new"), (None, None), ("new", "open")]) == "open"
    with pytest.raises(ValueError, match="begins at pending"):
        replay([(None, "new"), ("pending", "open")])
