"""What is changed in the administration is written down: by whom, what, from what to what; never a secret."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

import audit
from database import Database
from house import House
from models import AuditEntry, Lesson, Mention, Source, User
from tests.conftest import FakeClock
from tests.factories import MORNING
from web import STATIC, audit_log, create_app

ROOT = STATIC.parent.parent
ANNA = "user:anna@storby.example"
Browser = Callable[[str], FlaskClient]


@pytest.fixture
def admin(browser: Browser) -> FlaskClient:
    return browser("admin@storby.example")


def written(house: House) -> list[tuple[str, str, str]]:
    with house.database.read() as db:
        rows = db.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.actor.partition("@")[0], row.action, row.subject) for row in rows]


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


# -- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"])
def test_nobody_changes_what_is_written(database: Database, change: str) -> None:
    with database.transaction() as db:
        audit.record(db, actor="a@b.c", action="add", subject="user:x", at=MORNING)
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as db:
        db.execute(text(change))
    with database.read() as db:
        assert db.scalar(select(AuditEntry.actor)) == "a@b.c"


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("url", "https://u:p@feed.example:8443/x?key=s3cret", "https://feed.example:8443/…"),
        ("then.webhook", "https://hooks.example/s3cret", "https://hooks.example/…"),
        ("url", "https://feed.example", "https://feed.example"),
        ("url", "https://feed.example:port/x", "…"),
        ("bearer_token", "s3cret", "…"),
        ("password", None, None),
        ("a", [{"b": "https://h.example/s3cret", "secret": "s"}], [{"b": "https://h.example/…", "secret": "…"}]),
        ("texts.sv", "Läs https://storby.example/ny och svara.", "Läs https://storby.example/ny och svara."),
        ("ceiling", 5, 5),
        ("texts.sv", "x" * 600, "x" * 499 + "…"),
    ],
)  # fmt: skip
def test_secrets_are_cut_out(database: Database, field: str, value: Any, kept: Any) -> None:
    with database.transaction() as db:
        audit.record(db, actor="a", action="add", subject="x:y", changes={field: [None, value]}, at=MORNING)
    with database.read() as db:
        assert db.scalars(select(AuditEntry.changes)).one() == {field: [None, kept]}


plain = st.none() | st.integers() | st.text(max_size=3)
values = st.recursive(plain, lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6)


@given(st.dictionaries(st.sampled_from("abc"), values), st.dictionaries(st.sampled_from("abc"), values))
def test_a_difference_names_what_differs_and_nothing_else(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = audit.difference(old, new)
    assert audit.difference(old, old) == {}
    assert all(before != after for before, after in found.values())
    assert {field: pair[::-1] for field, pair in audit.difference(new, old).items()} == found


def test_every_action_and_every_kind_has_words(storby: House, clock: FakeClock) -> None:
    actions, kinds = set(), set()
    for path in [ROOT / "cli.py", *(ROOT / "web").rglob("*.py")]:
        source = path.read_text()
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in (
                "record",
                "_written",
            ):
                said = ast.unparse(call)
                actions |= set(re.findall(r"action='(\w+)'", said))
                kinds |= set(re.findall(r"f?'(\w+):\{?", said))
    assert {"add", "disable", "hand_over"} <= actions
    assert {"user", "source", "lesson"} <= kinds
    with create_app(storby, clock=clock).test_request_context("/"):
        assert actions <= audit_log.actions().keys()
        assert kinds <= audit_log.kinds().keys()


# -- who writes -------------------------------------------------------------------------------------------------------


@pytest.mark.screens
def test_every_change_in_the_administration_is_written_down(
    admin: FlaskClient, storby: House, clock: FakeClock
) -> None:
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        source = db.scalars(select(Source)).first()
        said = db.scalars(select(Mention)).first()
        assert source is not None
        assert said is not None
        db.add(Lesson(judge="kind", mention_id=said.id, was="idea", value="problem", user_id=anna.id, at=clock()))
    rule = {"name": "halka", "when": ["mention"], "if.match": "halka*", "then.tags": "is", "enabled": "on"}
    steps: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
        ("/admin/users", {"email": "ny@x.example", "name": "Ny", "role": "reader"}, [("add", "user:ny@x.example")]),
        (f"/admin/users/{anna.id}", {"do": "save", "role": "manager"}, [("change", ANNA)]),
        (f"/admin/users/{anna.id}", {"do": "save", "role": "manager"}, []),
        (f"/admin/users/{anna.id}", {"do": "link"}, [("invite", ANNA)]),
        (f"/admin/users/{anna.id}", {"do": "log_out"}, [("log_out", ANNA)]),
        (f"/admin/users/{anna.id}", {"do": "disable", "cases": "nobody"}, [("disable", ANNA), ("hand_over", ANNA)]),
        (f"/admin/users/{anna.id}", {"do": "enable"}, [("enable", ANNA)]),
        (f"/admin/sources/{source.id}/pause", {}, [("pause", f"source:{source.name}")]),
        (f"/admin/sources/{source.id}/pause", {}, []),
        (f"/admin/sources/{source.id}/resume", {}, [("resume", f"source:{source.name}")]),
        ("/admin/rules/new", rule, [("add", "rules:halka")]),
        ("/admin/rules/NEWEST/switch", {}, [("disable", "rules:halka")]),
        ("/admin/rules/NEWEST/remove", {}, [("remove", "rules:halka")]),
        ("/admin/teams/new", {"name": "Gata"}, [("add", "teams:Gata")]),
        (f"/admin/users/{anna.id}", {"do": "save", "teams": ["", "Gata"]}, [("change", "teams:Gata")]),
        ("/admin/absences", {"person": str(anna.id), "first": "2026-12-01"}, [("add", "absence:anna@storby.example")]),
        ("/admin/absences/1/end", {}, [("remove", "absence:anna@storby.example")]),
        ("/admin/lessons/1/withdraw", {}, [("remove", "lesson:1")]),
    ]  # fmt: skip
    known = len(written(storby))
    for path, form, expected in steps:
        with storby.database.read() as db:
            newest = db.execute(text("SELECT max(id) FROM definitions")).scalar()
        response = admin.post(path.replace("NEWEST", str(newest)), data=form)
        assert response.status_code in (200, 303), f"{path}: {response.status_code}"
        now = written(storby)
        assert [(actor, *rest) for actor, *rest in now[known:]] == [("admin", *each) for each in expected], path
        known = len(now)


@pytest.mark.screens
def test_too_many_failed_logins_are_written_down_once_and_no_password_is(browser: Any, storby: House) -> None:
    client = browser(None)
    for _ in range(12):
        client.post("/login", data={"email": "anna@storby.example", "password": "h3mligt"})
        client.post("/login", data={"email": "h3mligt", "password": "x"})
    assert written(storby) == [("login", "block", ANNA)]


# -- the screen -------------------------------------------------------------------------------------------------------


def fill(house: House, clock: FakeClock, count: int) -> None:
    with house.database.transaction() as db:
        for number in range(count):
            audit.record(
                db,
                actor="admin@storby.example" if number % 2 else "cli",
                action="add" if number % 3 else "remove",
                subject=f"source:s{number}",
                changes={"every": ["2m", "=1+1"]},
                at=clock() - timedelta(days=count - number),
            )


@pytest.mark.screens
def test_the_log_is_paged_by_key_and_narrowed(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    fill(storby, clock, 60)
    page = text_of(admin.get("/admin/audit"))
    assert "Ada Admin" in page
    assert "Command line" in page
    seen = re.findall(r"<strong>s(\d+)</strong>", page)
    more = re.search(r'rel="next" href="([^"]+)"', page)
    assert more
    seen += re.findall(r"<strong>s(\d+)</strong>", text_of(admin.get(more[1].replace("&amp;", "&"))))
    assert [int(number) for number in seen] == list(range(59, -1, -1))
    for asked, wanted in (
        ("actor=cli", {"even"}),
        ("actor=admin@storby.example", {"odd"}),
    ):
        numbers = [
            int(each) for each in re.findall(r"<strong>s(\d+)</strong>", text_of(admin.get(f"/admin/audit?{asked}")))
        ]
        assert {"odd" if number % 2 else "even" for number in numbers} == wanted
    day = (clock() - timedelta(days=3)).date().isoformat()
    assert re.findall(r"<strong>s(\d+)</strong>", text_of(admin.get(f"/admin/audit?from={day}&to={day}"))) == ["57"]
    assert re.findall(r"<strong>s(\d+)</strong>", text_of(admin.get("/admin/audit?q=s41&kind=source"))) == ["41"]
    assert "Nothing fits this filter" in text_of(admin.get("/admin/audit?kind=tag"))
    assert admin.get("/admin/audit?from=soon&before=9").status_code == 200


@pytest.mark.screens
def test_the_log_as_a_file_holds_no_formula(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    fill(storby, clock, 3)
    with storby.database.transaction() as db:
        audit.record(db, actor="=cmd()", action="add", subject="tag:x", at=clock())
    response = admin.get("/admin/audit?format=csv")
    rows = text_of(response).splitlines()
    assert response.mimetype == "text/csv"
    assert len(rows) == 5
    assert ",'=cmd()," in rows[1]


@pytest.mark.screens
def test_only_administrators_see_it(browser: Browser) -> None:
    for who in ("anna", "mats"):
        assert browser(f"{who}@storby.example").get("/admin/audit").status_code == 403
