"""Drafts: nothing anybody has written is lost, overwritten unseen, or sent in place of something else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from database import Database
from models import Case, CaseStatus, Draft, Mention
from tests.factories import MORNING, case_of, said, take, user
from triage import cases, drafts, merging


def opened(db: Session, id: str = "a") -> Case:
    take(db, said(id))
    number = case_of(db, id)
    assert number is not None
    return db.get_one(Case, number)


def keep(db: Session, case: Case, body: str, version: int = 0, who: str = "eva", **more: Any) -> int:
    kept = drafts.keep(db, case, "reply", body=body, user=user(db, who), version=version, at=MORNING, **more)
    return kept.version if kept else 0


def text(db: Session, case: Case, who: str = "eva", kind: str = "reply") -> str | None:
    there = drafts.of(db, case.id, user(db, who).id, kind)
    return there.body if there else None


def test_a_text_is_kept_and_gone_when_it_is_emptied(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        version = keep(db, case, "Vi ")
        version = keep(db, case, "Vi kommer", version)
        drafts.keep(db, case, "note", body="Ring henne", user=user(db), version=0, at=MORNING)
        assert text(db, case) == "Vi kommer"
        assert keep(db, case, "  \n", version) == 0
        assert text(db, case) is None
        assert text(db, case, kind="note") == "Ring henne", "a note went with the answer"


def test_two_windows_of_one_person_do_not_overwrite_each_other(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        first = keep(db, case, "Fönster ett")
        with pytest.raises(drafts.Overtaken) as refused:
            keep(db, case, "Fönster två", 0)
        assert refused.value.there is not None
        assert refused.value.there.body == "Fönster ett"
        second = keep(db, case, "Fönster två", refused.value.there.version)  # having seen it
        with pytest.raises(drafts.Overtaken):
            keep(db, case, "", first)
        assert keep(db, case, "Fönster två", first) == second + 1, "the same text is no quarrel"
        assert text(db, case) == "Fönster två"


def test_a_window_that_knows_a_draft_that_is_gone_does_not_touch_the_next(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        old = keep(db, case, "Gammalt")
        drafts.sent(db, case, "reply", body="Gammalt", user=user(db), version=0)
        with pytest.raises(drafts.Overtaken) as refused:
            keep(db, case, "Gammalt, rättat", old)
        assert refused.value.there is None
        keep(db, case, "Nytt")
        with pytest.raises(drafts.Overtaken):
            keep(db, case, "Gammalt, rättat", old)
        assert text(db, case) == "Nytt"


def test_what_is_sent_takes_only_its_own_draft_along(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        version = keep(db, case, "Vi kom")
        drafts.sent(db, case, "reply", body="Vi kommer kl. 18.", user=user(db), version=version)
        assert text(db, case) is None, "the text it grew from stayed behind"
        version = keep(db, case, "Ett annat svar")
        keep(db, case, "Ett annat svar, i ett annat fönster", version)
        drafts.sent(db, case, "reply", body="Vi kommer kl. 18.", user=user(db), version=version)
        assert text(db, case) == "Ett annat svar, i ett annat fönster"
        keep(db, case, "Bos text", who="bo")
        drafts.sent(db, case, "reply", body="Bos text", user=user(db), version=0)
        assert text(db, case, "bo") == "Bos text"


def test_a_signature_alone_is_no_text_and_stands_once(database: Database) -> None:
    with database.transaction() as db:
        case, eva = opened(db), user(db)
        eva.signature = "/Eva"
        assert keep(db, case, "\n\n/Eva") == 0
        assert text(db, case) is None
        keep(db, case, "Vi kommer.\n\n/Eva")
        drafts.add(db, case, "reply", body="I kväll.\n\n/Eva", user=eva, at=MORNING)
        assert text(db, case) == "Vi kommer.\n\nI kväll.\n\n/Eva"
        drafts.add(db, case, "reply", body="I kväll.\n\n/Eva", user=eva, at=MORNING)
        assert text(db, case) == "Vi kommer.\n\nI kväll.\n\n/Eva", "the same text stands there twice"


def test_it_outlives_whatever_is_done_with_the_case(database: Database) -> None:
    with database.transaction() as db:
        case = opened(db)
        keep(db, case, "Halvskrivet")
        done: dict[str, Any] = {"actor": "bo@storby.example", "at": MORNING + timedelta(hours=2)}
        cases.assign(db, case.id, assignee=user(db, "bo"), **done)
        cases.snooze(db, case.id, until=MORNING + timedelta(days=1), **done)
        cases.classify(db, case.id, kind="problem", tags=["snö"], **done)
        cases.note(db, case.id, body="Min", user=user(db, "bo"), at=done["at"])
        for status in (CaseStatus.pending, CaseStatus.resolved, CaseStatus.closed, CaseStatus.open, CaseStatus.ignored):
            cases.change_status(db, case.id, target=status, **done)
            assert text(db, case) == "Halvskrivet", status


def test_merging_moves_drafts_along_and_joins_two_of_one_person(database: Database) -> None:
    with database.transaction() as db:
        one, other = opened(db), opened(db, "b")
        keep(db, one, "Om snön")
        version = keep(db, other, "Om isen")
        keep(db, one, "Bos", who="bo")
        merging.merge(db, one.id, into=other.id, actor="bo@storby.example", at=MORNING + timedelta(hours=2))
        assert text(db, other) == "Om isen\n\nOm snön"
        assert text(db, other, "bo") == "Bos"
        assert db.scalars(select(Draft).where(Draft.case_id == one.id)).all() == []
        with pytest.raises(drafts.Overtaken):
            keep(db, other, "Om isen igen", version)


def test_splitting_moves_what_was_being_written_to_the_message(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a"), said("b", "bosse", to="a"))
        case = db.get_one(Case, case_of(db, "a"))
        inner = db.scalars(select(Mention.id).where(Mention.external_id == "b")).one()
        keep(db, case, "Till Bosse", to_mention_id=inner)
        keep(db, case, "Till Anna", who="bo")
        made = merging.split(db, case.id, mention_id=inner, actor="x", at=MORNING + timedelta(hours=2))
        assert (text(db, made), text(db, case)) == ("Till Bosse", None)
        assert text(db, case, "bo") == "Till Anna"


WINDOWS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["type", "save", "send", "reload", "give in"])), max_size=40
)


@given(steps=WINDOWS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_windows_do_no_kept_text_goes_unseen(database: Database, steps: list[tuple[int, str]]) -> None:
    """Each window types words of its own. A word that was kept is there, was sent, or was seen by whom it made way."""
    known = [(0, "")] * 3  # per window: the version it knows, the text it shows
    sent: set[str] = set()
    given_up: set[str] = set()
    kept: set[str] = set()
    with database.transaction() as db:
        case = opened(db, f"case-{db.scalar(select(Case.id).order_by(Case.id.desc())) or 0}")
        for number, (window, what) in enumerate(steps):
            version, shown = known[window]
            there = drafts.of(db, case.id, user(db).id, "reply")
            try:
                if what == "type":
                    shown = f"{shown} word{number}".strip()
                elif what == "save":
                    version = keep(db, case, shown, version)
                    kept |= set(shown.split())
                elif what == "send" and shown:
                    drafts.sent(db, case, "reply", body=shown, user=user(db), version=version)
                    sent |= set(shown.split())
                    version, shown = 0, ""
                elif what == "reload":
                    version, shown = (there.version, there.body) if there else (0, "")
            except drafts.Overtaken as refused:
                other = refused.there.body if refused.there else ""
                given_up |= set(other.split())  # it is shown beside; the writer decides
                version = refused.there.version if refused.there else 0
            known[window] = (version, shown)
            now = text(db, case) or ""
            lost = kept - set(now.split()) - sent - given_up
            assert not lost, f"{lost} went unseen at step {number}"
