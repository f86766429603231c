"""Readers open everything an agent may and change nothing but what is their own, whatever routes there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from errors import InvalidInput
from house import House
from models import Case, CaseEvent, Reply, Team, TeamMember, User
from tests import screens
from tests.conftest import FakeClock
from triage import cases, dispatch
from web import access, create_app
from web.api import tokens
from web.context import SAFE_METHODS
from web.login import new_user

pytestmark = pytest.mark.screens
RITA = "rita@storby.example"


@pytest.fixture
def rita(storby: House, browser: Callable[[str], FlaskClient], clock: FakeClock) -> FlaskClient:
    """She reads."""
    with storby.database.transaction() as db:
        db.add(new_user(RITA, "Rita", "reader", screens.PASSWORD, clock()))
    return browser(RITA)


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


def state(house: House) -> Any:
    with house.database.read() as db:
        people = db.execute(select(User.email, User.role, User.disabled_at).order_by(User.id)).all()
        versions = db.execute(select(Case.id, Case.version).order_by(Case.id)).all()
        return people, versions, db.scalars(select(CaseEvent.id)).all(), db.scalars(select(Reply.id)).all()


def changing(app: Flask) -> list[tuple[str, str, str]]:
    """Every route that may change something, with its method and an address it answers at."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<any\(([^,)]+)[^>]*>", r"\1", rule.rule).replace('"', "")
        path = re.sub(r"<int:\w+>", "1", path)
        path = re.sub(r"<[^>]+>", "x", path)
        found += [(rule.endpoint, method, path) for method in sorted((rule.methods or set()) - SAFE_METHODS)]
    return found


def test_no_route_lets_a_reader_change_anything(rita: FlaskClient, storby: House, clock: FakeClock) -> None:
    app = create_app(storby, clock=clock)
    with storby.database.transaction() as db:
        user = db.scalars(select(User).where(User.email == RITA)).one()
        key = {"Authorization": f"Bearer {tokens.create(db, user, 'test', clock())}"}
    before, asked = state(storby), 0
    for endpoint, method, path in changing(app):
        if endpoint.startswith(access.OWN):
            continue
        api = path.startswith("/api/")
        response = rita.open(path, method=method, headers=key if api else {}, data={"body": "x"})
        assert response.status_code == 403, f"{method} {path}: {response.status_code}"
        said = response.get_json()["error"]["message"] if api else text_of(response)
        assert "change nothing" in said, path
        asked += 1
    assert asked > 40
    assert state(storby) == before


def test_a_reader_opens_what_an_agent_may_and_nothing_else(
    rita: FlaskClient, browser: Callable[[str], FlaskClient]
) -> None:
    anna = browser("anna@storby.example")
    for path in ("/", "/?status=all&q=plogen", "/cases/1", "/cases/1/thread", "/stories", "/promises", "/me", "/admin"):
        assert rita.get(path).status_code == anna.get(path).status_code, path
    assert rita.get("/admin/users").status_code == 403


def test_what_a_reader_cannot_do_is_not_offered(rita: FlaskClient, browser: Callable[[str], FlaskClient]) -> None:
    anna = browser("anna@storby.example")
    own = ("/logout", "/me", "/notices/seen")
    for path in ("/", "/cases/1", "/cases/4", "/stories", "/promises?whose=all"):
        offered = []
        for form in re.findall(r'<form[^>]*method="post".*?</form>', text_of(rita.get(path)), re.DOTALL):
            action = re.search(r'action="([^"]*)"', form)
            if not (action and action[1].startswith(own)) and 'type="submit"' in form:
                offered.append(action and action[1])
        assert not offered, f"{path} offers a reader {offered}"
    assert "composer" in text_of(anna.get("/cases/1"))
    assert 'name="body"' not in text_of(rita.get("/cases/1"))


def test_what_is_their_own_readers_change(rita: FlaskClient, storby: House) -> None:
    assert rita.post("/notices/seen", data={"until": "1"}).status_code == 303
    assert rita.post("/logout").status_code == 303
    assert rita.get("/").status_code == 302


def test_a_reader_is_added_like_anybody(browser: Callable[[str], FlaskClient], storby: House) -> None:
    admin = browser("admin@storby.example")
    form = {"email": "ny@storby.example", "name": "Ny", "role": "reader"}
    assert "Reader" in text_of(admin.post("/admin/users", data=form))
    with storby.database.read() as db:
        assert db.scalar(select(User.role).where(User.email == "ny@storby.example")) == "reader"


def test_nobody_gives_a_case_to_a_reader(rita: FlaskClient, storby: House, clock: FakeClock) -> None:
    with storby.database.transaction() as db:
        user = db.scalars(select(User).where(User.email == RITA)).one()
        db.add(Team(name="Gata", members=[TeamMember(email=RITA), TeamMember(email="anna@storby.example")]))
        db.flush()
        team = db.scalars(select(Team)).one()
        assert [member.email for member in dispatch.members(db, team, clock())] == ["anna@storby.example"]
        with pytest.raises(InvalidInput, match="only reads"):
            cases.assign(db, 1, assignee=user, actor="anna@storby.example", at=clock())
