"""One action in many cases on the screens: what it touches, what it asks, what failed, and one way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from house import House
from models import Batch, Case, CaseEvent, CaseLink, CaseStatus, Follow, User
from tests import screens
from tests.conftest import FakeClock
from triage import cases
from web import bulk

pytestmark = pytest.mark.screens
Browser = Callable[[str | None], FlaskClient]


@pytest.fixture
def anna(browser: Browser) -> FlaskClient:
    return browser("anna@storby.example")


def numbers(house: House, *more: object) -> list[int]:
    with house.database.read() as db:
        wanted = select(Case.id).where(Case.status.in_(("new", "open")))
        return list(db.scalars(wanted.order_by(Case.id)))


def newest(house: House) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.max(CaseEvent.id))) or 0


def text_of(answer: TestResponse) -> str:
    return " ".join(answer.get_data(as_text=True).split())


def column(house: House, name: str, *ids: int) -> list[object]:
    with house.database.read() as db:
        return [getattr(db.get_one(Case, id), name) for id in ids]


def more_cases(house: House, clock: FakeClock, count: int) -> list[int]:
    return screens.collect(
        house, *(screens.mention(5000 + n, f"Fråga nummer {n} om bygglov", clock()) for n in range(count)), at=clock()
    )


def test_selected_cases_are_changed_and_one_undo_takes_all_back(anna: FlaskClient, storby: House) -> None:
    some = numbers(storby)[:3]
    before = column(storby, "assignee_id", *some), column(storby, "status", *some)
    done = anna.post("/bulk", data={"case": some, "action": "assign", "value-assign": "me"}, follow_redirects=True)
    assert "Assign to me: 3 cases." in text_of(done)
    assert len(set(column(storby, "assignee_id", *some))) == 1
    way_back = re.findall(r'action="(/batches/\d+/undo)"', text_of(done))
    assert "Undone in 3 cases." in text_of(anna.post(way_back[0], follow_redirects=True))
    assert (column(storby, "assignee_id", *some), column(storby, "status", *some)) == before


@pytest.mark.parametrize(
    ("data", "field", "expected"),
    [
        ({"action": "status", "value-status": "resolved"}, "status", "resolved"),
        ({"action": "status:ignored"}, "status", "ignored"),
        ({"action": "priority", "value-priority": "high"}, "priority", "high"),
        ({"action": "kind", "value-kind": "idea"}, "kind", "idea"),
    ],
)
def test_each_action_does_what_it_says(
    anna: FlaskClient, storby: House, data: dict[str, str], field: str, expected: str
) -> None:
    some = numbers(storby)[:2]
    anna.post("/bulk", data={"case": some, **data})
    assert column(storby, field, *some) == [expected, expected]
    anna.post("/undo")
    assert column(storby, field, *some) != [expected, expected]


def test_tags_times_links_and_following(anna: FlaskClient, storby: House) -> None:
    one, two, three = numbers(storby)[:3]
    for action, value in (("tag", "snö, is"), ("untag", "is")):
        anna.post("/bulk", data={"case": [one, two], "action": action, "value-tag": value})
    anna.post("/bulk", data={"case": [one, two], "action": "until", "value-until": "2026-11-30T08:00"})
    anna.post("/bulk", data={"case": [one, two], "action": "link", "value-other": f"#{three}"})
    anna.post("/bulk", data={"case": [one, two], "action": "follow:mute"})
    with storby.database.read() as db:
        assert [[tag.tag for tag in db.get_one(Case, n).tags if tag.tag in ("snö", "is")] for n in (one, two)] == [
            ["snö"]
        ] * 2
        assert {f"{db.get_one(Case, n).follow_up_at:%d %H:%M}" for n in (one, two)} == {"30 07:00"}
        assert {(link.case_id, link.other_id) for link in db.scalars(select(CaseLink))} == {(one, three), (two, three)}
        assert [follow.muted for follow in db.scalars(select(Follow))] == [True, True]
    for _ in range(5):
        anna.post("/undo")
    with storby.database.read() as db:
        assert db.scalars(select(CaseLink)).all() == []
        assert db.scalars(select(Follow)).all() == []
        assert db.get_one(Case, one).follow_up_at is None
        assert "snö" not in [tag.tag for tag in db.get_one(Case, one).tags]
    assert "There is nothing left to undo." in text_of(anna.post("/undo", follow_redirects=True))


def test_merging_several_into_one(anna: FlaskClient, storby: House) -> None:
    one, two, three = numbers(storby)[:3]
    done = anna.post(
        "/bulk", data={"case": [one, two, three], "action": "merge", "value-other": str(three)}, follow_redirects=True
    )
    assert f"Merge into #{three}: 2 cases." in text_of(done)
    assert column(storby, "merged_into_id", one, two, three) == [three, three, None]
    anna.post("/undo")
    assert column(storby, "merged_into_id", one, two, three) == [None, None, None]


def test_what_failed_is_listed_with_its_number_and_reason(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    good, bad = numbers(storby)[:2]
    with storby.database.transaction() as db:
        cases.change_status(db, bad, target=CaseStatus.ignored, actor="t@storby.example", at=clock())
    done = text_of(
        anna.post("/bulk", data={"case": [good, bad, 99999], "action": "status:resolved"}, follow_redirects=True)
    )
    assert "Status: Resolved: 1 case." in done
    assert f"#{bad} cannot be changed that way in its status" in done
    assert "#99999 is not there any more" in done


def test_all_in_the_view_asks_above_25_and_goes_on_a_part_at_a_time(
    anna: FlaskClient, storby: House, clock: FakeClock
) -> None:
    more_cases(storby, clock, 60)
    listed = numbers(storby)
    asked = anna.post(
        "/bulk", data={"all": "1", "view": "", "until": newest(storby), "action": "tag", "value-tag": "våg"}
    )
    page = asked.headers["Location"]
    assert f"This touches {len(listed)} cases." in text_of(anna.get(page))
    assert tagged(storby, "våg") == 0, "it was done before anybody said yes"
    first = anna.post(page, headers={"HX-Request": "true"})
    assert f"{bulk.AT_ONCE} of {len(listed)} cases done." in text_of(first)
    assert "hx-trigger" in text_of(first)
    last = anna.post(page, headers={"HX-Request": "true"})
    assert last.headers["HX-Redirect"] == "/"
    assert tagged(storby, "våg") == len(listed)
    assert f"Add tags: våg: {len(listed)} cases." in text_of(anna.get("/"))
    undone = anna.post("/undo", follow_redirects=True)
    assert tagged(storby, "våg") == 0, text_of(undone)


def tagged(house: House, tag: str) -> int:
    with house.database.read() as db:
        return sum(tag in [each.tag for each in case.tags] for case in db.scalars(select(Case)))


def test_what_came_or_changed_meanwhile_is_not_touched_unseen(
    anna: FlaskClient, storby: House, clock: FakeClock
) -> None:
    until = newest(storby)
    changed, *_rest = before = numbers(storby)
    came = more_cases(storby, clock, 2)
    with storby.database.transaction() as db:
        cases.classify(db, changed, priority="high", actor="bo@storby.example", at=clock())
    done = text_of(
        anna.post(
            "/bulk",
            data={"all": "1", "view": "", "until": until, "action": "tag", "value-tag": "våg", "sure": "1"},
            follow_redirects=True,
        )
    )
    assert f"Add tags: våg: {len(before) - 1} cases." in done
    assert f"#{changed} has changed since you looked at the list" in done
    assert not any(f"#{number} " in done for number in came)
    assert tagged(storby, "våg") == len(before) - 1


def test_all_means_the_filter(anna: FlaskClient, storby: House) -> None:
    with storby.database.read() as db:
        wanted = list(db.scalars(select(Case.id).where(Case.channel == "blog", Case.status.in_(("new", "open")))))
    assert 0 < len(wanted) < len(numbers(storby))
    data = {
        "all": "1",
        "view": "channel=blog",
        "until": newest(storby),
        "action": "priority",
        "value-priority": "urgent",
    }
    anna.post("/bulk", data=data)
    with storby.database.read() as db:
        assert set(db.scalars(select(Case.id).where(Case.priority == "urgent"))) >= set(wanted)
        assert set(db.scalars(select(CaseEvent.case_id).where(CaseEvent.actor == "anna@storby.example"))) == set(wanted)


def test_a_batch_is_its_owner_s_alone(anna: FlaskClient, browser: Browser, storby: House, clock: FakeClock) -> None:
    more_cases(storby, clock, 30)
    page = anna.post("/bulk", data={"case": numbers(storby), "action": "status:ignored"}).headers["Location"]
    other = browser("admin@storby.example")
    assert other.get(page).status_code == 404
    assert other.post(page).status_code == 404
    assert anna.post(f"{page}/stop").status_code == 303
    anna.post(page)
    assert "ignored" not in column(storby, "status", *numbers(storby))


def test_nothing_chosen_is_said(anna: FlaskClient, storby: House) -> None:
    number = numbers(storby)[0]
    for data, said in (
        ({"action": "status:ignored"}, "No case was selected."),
        ({"case": number, "action": ""}, "Choose what is to be done."),
        ({"case": number, "action": "tag", "value-tag": ""}, "Choose what is to be done."),
    ):
        assert said in text_of(anna.post("/bulk", data=data, follow_redirects=True))
    assert anna.post("/bulk", data={"case": number, "action": "erase", "value": "1"}).status_code == 400
    assert anna.post("/bulk", data={"case": number, "action": "assign", "value-assign": "x"}).status_code == 422


def test_a_reader_is_offered_no_selection_and_may_not(browser: Browser, storby: House) -> None:
    with storby.database.transaction() as db:
        db.scalars(select(User).where(User.email == "anna@storby.example")).one().role = "reader"
    reader = browser("anna@storby.example")
    assert 'id="bulk"' not in text_of(reader.get("/"))
    assert reader.post("/bulk", data={"case": 1, "action": "status:ignored"}).status_code == 403


def test_batches_leave_no_lock_behind_and_end(anna: FlaskClient, storby: House) -> None:
    anna.post("/bulk", data={"case": numbers(storby)[:2], "action": "status:resolved"})
    with storby.database.read() as db:
        batch = db.scalars(select(Batch)).one()
        assert batch.work is not None and batch.work["todo"] == []


def test_a_click_answers_with_a_way_back_and_z_finds_it(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    number = numbers(storby)[0]
    for path, data, said in (
        ("status", {"status": "resolved"}, "The case is now: Resolved."),
        ("take", {}, "The case is yours."),
        ("details", {"was_priority": "normal", "priority": "urgent"}, "Saved."),
        ("follow-up", {"until": (clock() + timedelta(days=3)).isoformat()}, "Bring back"),
        ("do", {"action": "tag", "value": "snö"}, "Add tags: snö."),
    ):
        page = text_of(anna.post(f"/cases/{number}/{path}", data=data, follow_redirects=True))
        assert said in page
        assert re.search(r'action="/batches/\d+/undo"', page), path
        assert 'data-action="undo"' in page
        assert "Undone." in text_of(anna.post("/undo", follow_redirects=True))
