"""The administration: people and what becomes of their cases, tags, the first steps, what networks cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

import money
from house import House
from models import Account, ApiToken, Case, CaseEvent, CaseTag, Source, TeamMember, User
from tests.conftest import FakeClock
from triage import cases
from triage.states import ALIVE
from web import tags, users
from web.api import tokens
from web.login import new_user

pytestmark = [pytest.mark.screens, pytest.mark.one_database]
Browser = Callable[[str], FlaskClient]


@pytest.fixture
def admin(browser: Browser) -> FlaskClient:
    return browser("admin@storby.example")


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


def number_of(house: House, who: str) -> int:
    with house.database.read() as db:
        return db.scalars(select(User.id).where(User.email == f"{who}@storby.example")).one()


def give_all(house: House, who: str, clock: FakeClock) -> list[int]:
    """All open cases are theirs."""
    with house.database.transaction() as db:
        person = db.get_one(User, number_of(house, who))
        numbers = list(db.scalars(select(Case.id).where(Case.status.in_(ALIVE))))
        for number in numbers:
            cases.assign(db, number, assignee=person, actor="admin@storby.example", at=clock())
        return numbers


# -- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("to", "heir"), [("keep", "anna"), ("nobody", None), ("mats", "mats")])
def test_who_is_disabled_leaves_the_open_cases_where_it_is_said(
    admin: FlaskClient, storby: House, clock: FakeClock, to: str, heir: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "AT_ONCE", 2)
    theirs, anna = give_all(storby, "anna", clock), number_of(storby, "anna")
    with storby.database.transaction() as db:
        tokens.create(db, db.get_one(User, anna), "skript", clock())
    form = {"do": "disable", "cases": str(number_of(storby, to)) if to == "mats" else to}
    assert admin.post(f"/admin/users/{anna}", data=form).status_code == 303
    with storby.database.read() as db:
        owners = set(db.scalars(select(Case.assignee_id).where(Case.id.in_(theirs))))
        assert db.scalars(select(ApiToken.revoked_at)).all() == [clock()]
    assert owners == {number_of(storby, heir) if heir else None}


def test_cases_that_stayed_with_somebody_disabled_can_be_handed_over_later(
    admin: FlaskClient, storby: House, clock: FakeClock
) -> None:
    give_all(storby, "anna", clock)
    anna = number_of(storby, "anna")
    admin.post(f"/admin/users/{anna}", data={"do": "disable", "cases": "keep"})
    assert "Hand over" in text_of(admin.get(f"/admin/users/{anna}"))
    with storby.database.transaction() as db:
        db.add(new_user("eva@storby.example", "Eva", "reader", None, clock()))
    for nobody in (999, anna, number_of(storby, "eva")):  # not there, who leaves, who only reads
        assert admin.post(f"/admin/users/{anna}", data={"do": "hand_over", "cases": nobody}).status_code == 422
    admin.post(f"/admin/users/{anna}", data={"do": "hand_over", "cases": "nobody"})
    with storby.database.read() as db:
        assert db.scalar(select(func.count()).select_from(Case).where(Case.assignee_id == anna)) == 0


def test_a_person_is_changed_on_one_page(admin: FlaskClient, storby: House) -> None:
    anna = number_of(storby, "anna")
    admin.post("/admin/teams/new", data={"name": "Gata"})
    form = {"do": "save", "name": "Anna Å", "role": "manager", "needs_review": "on", "teams": ["", "Gata"]}
    assert admin.post(f"/admin/users/{anna}", data=form).status_code == 303
    page = text_of(admin.get("/admin/users"))
    assert "Anna Å" in page
    assert "Answers are approved first" in page
    assert "Gata" in page
    with storby.database.read() as db:
        found = db.get_one(User, anna)
        assert (found.name, found.role, found.needs_review) == ("Anna Å", "manager", True)
        assert db.scalars(select(TeamMember.email)).all() == ["anna@storby.example"]
    admin.post(f"/admin/users/{anna}", data={"do": "save", "role": "agent", "teams": ""})
    with storby.database.read() as db:
        assert db.scalars(select(TeamMember.email)).all() == []
        assert not db.get_one(User, anna).needs_review


def test_many_people_are_paged_and_found(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        for number in range(60):
            db.add(new_user(f"p{number}@x.example", f"Åke {number:02}", "agent", None, clock()))
    names, path = [], "/admin/users"
    while path:
        page = text_of(admin.get(path))
        names += re.findall(r'<h2><a href="[^"]*">([^<]+)</a>', page)
        more = re.search(r'rel="next" href="([^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert len(names) == len(set(names)) == 63
    assert re.findall(r">(Åke \d+)</a>", text_of(admin.get("/admin/users?q=åke 07"))) == ["Åke 07"]
    assert "Nobody fits this filter" in text_of(admin.get("/admin/users?q=nobody"))
    assert "Nobody fits this filter" in text_of(admin.get("/admin/users?show=disabled"))


def test_when_somebody_was_last_seen_outlives_the_login(
    admin: FlaskClient, browser: Browser, storby: House, clock: FakeClock
) -> None:
    anna = browser("anna@storby.example")
    clock.forward(minutes=5)
    anna.get("/")
    anna.post("/logout")
    with storby.database.read() as db:
        assert db.get_one(User, number_of(storby, "anna")).last_seen_at == clock()


def test_a_token_is_revoked(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    anna = number_of(storby, "anna")
    with storby.database.transaction() as db:
        key = tokens.create(db, db.get_one(User, anna), "skript", clock())
    assert "skript" in text_of(admin.get(f"/admin/users/{anna}"))
    assert admin.post(f"/admin/users/{anna}", data={"do": "revoke", "token": "1"}).status_code == 303
    with storby.database.read() as db:
        assert tokens.find(db, key) is None
    mats = number_of(storby, "mats")
    assert admin.post(f"/admin/users/{mats}", data={"do": "revoke", "token": "1"}).status_code == 404


# -- tags -------------------------------------------------------------------------------------------------------------


def tagged(house: House) -> dict[int, list[str]]:
    with house.database.read() as db:
        found: dict[int, list[str]] = {}
        for number, tag in db.execute(select(CaseTag.case_id, CaseTag.tag).order_by(CaseTag.tag)):
            found.setdefault(number, []).append(tag)
        return found


def test_tags_are_renamed_merged_and_taken_off(
    admin: FlaskClient, storby: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "AT_ONCE", 1)
    with storby.database.transaction() as db:
        for number, given in ((1, ["snö", "väg"]), (2, ["vinter"]), (3, ["snö", "vinter"])):
            cases.classify(db, number, tags=given, actor="anna@storby.example", at=clock())
        events = db.scalar(select(func.count()).select_from(CaseEvent)) or 0
    rule = {"name": "halka", "when": ["mention"], "if.match": "halka*", "then.tags": "snö", "enabled": "on"}
    assert admin.post("/admin/rules/new", data=rule).status_code == 303
    page = text_of(admin.get("/admin/tags?q=sn"))
    assert "2 cases" in page
    assert "given by the rule halka" in page
    assert admin.post("/admin/tags", data={"tag": "snö", "to": " Vinter "}).status_code == 303
    assert tagged(storby) == {1: ["vinter", "väg"], 2: ["vinter"], 3: ["vinter"]}
    assert admin.post("/admin/tags", data={"tag": "vinter", "to": "x", "remove": "1"}).status_code == 303
    assert tagged(storby) == {1: ["väg"]}
    with storby.database.read() as db:
        assert db.scalar(select(func.count()).select_from(CaseEvent)) == events + 2 + 3
    assert admin.post("/admin/tags", data={"tag": "väg", "to": " "}).status_code == 422
    assert admin.post("/admin/tags", data={"tag": "väg", "to": "x" * 61}).status_code == 422
    assert "No case bears" in text_of(admin.post("/admin/tags", data={"tag": "nej", "to": "x"}, follow_redirects=True))


def test_of_many_cases_it_is_told_how_many_are_left_to_do(
    admin: FlaskClient, storby: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "AT_ONCE", 1)
    monkeypatch.setattr(tags, "MOST", 2)
    with storby.database.transaction() as db:
        for number in (1, 2, 3):
            cases.classify(db, number, tags=["snö"], actor="anna@storby.example", at=clock())
    assert "2 cases are changed at a time" in text_of(admin.get("/admin/tags"))
    first = text_of(admin.post("/admin/tags", data={"tag": "snö", "to": "is"}, follow_redirects=True))
    assert "1 case still bears snö" in first
    assert "<h2>snö</h2>" in first, "it stands there, to go on"
    second = text_of(admin.post("/admin/tags", data={"tag": "snö", "to": "is"}, follow_redirects=True))
    assert "still bear" not in second
    assert tagged(storby) == {1: ["is"], 2: ["is"], 3: ["is"]}


# -- first steps ------------------------------------------------------------------------------------------------------


def open_steps(admin: FlaskClient) -> set[str]:
    page = text_of(admin.get("/admin"))
    return set(re.findall(r"/setup/steps#step-(\w+)", page.split("<main")[1]))


def test_steps_are_taken_skipped_and_taken_up_again(admin: FlaskClient, storby: House) -> None:
    assert open_steps(admin) == {"organisation", "calendar", "examples"}, "sources and colleagues are there already"
    assert admin.post("/setup/steps/skip", data={"step": "calendar"}).status_code == 303
    assert admin.post("/setup/steps/skip", data={"step": "organisation"}).status_code == 303
    assert open_steps(admin) == {"examples"}
    assert "Skipped" in text_of(admin.get("/setup/steps"))
    admin.post("/setup/steps/skip", data={"step": "calendar", "back": "1"})
    admin.post("/admin/calendars/new", data={"name": "Dag", "timezone": "Europe/Stockholm", "hours.mon": "08:00-16:00"})
    assert open_steps(admin) == {"examples"}
    assert admin.post("/setup/steps/skip", data={"step": "nothing"}).status_code == 400
    with storby.database.transaction() as db:
        db.execute(update(Source).values(enabled=False))
    assert "source" in open_steps(admin), "a source that is switched off in config.yaml is not read"


def test_examples_come_and_go_at_a_click(admin: FlaskClient, browser: Browser, storby: House) -> None:
    with storby.database.read() as db:
        before = set(db.scalars(select(Case.id)))
    assert admin.post("/setup/steps/examples").status_code == 303
    assert "Karin Exempel" in text_of(admin.get("/"))
    assert "Invented" in text_of(admin.get("/admin/sources"))
    assert admin.post("/setup/steps/examples").status_code == 303, "twice is once"
    assert admin.post("/setup/steps/examples/remove").status_code == 303
    assert "Karin Exempel" not in text_of(admin.get("/?status=all"))
    with storby.database.read() as db:
        assert set(db.scalars(select(Case.id))) == before
        assert db.scalar(select(func.count()).select_from(Source).where(Source.example)) == 0
    for who in ("anna", "mats"):
        assert browser(f"{who}@storby.example").get("/setup/steps").status_code == 403
    assert browser("anna@storby.example").get("/setup").status_code == 404


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_accounts_and_sources_show_what_they_cost(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        account, source = db.scalars(select(Account)).one(), db.scalars(select(Source).order_by(Source.id)).first()
        assert source is not None
        for days, source_id, usd in ((0, source.id, 2), (0, None, 1), (30, source.id, 5), (90, source.id, 7)):
            money.spend(
                db, account.id, source_id, operation="read", units=1, micro_usd=usd * money.MICRO,
                at=clock() - timedelta(days=days),
            )  # fmt: skip
    page = text_of(admin.get("/admin/accounts"))
    assert "US$3.00 of US$50.00" in page
    assert "Last month: US$5.00" in page
    assert "Cost this month: US$2.00, last month: US$5.00" in text_of(admin.get("/admin/sources"))
