"""The JSON API, over HTTP, on both databases: what it answers is also what its OpenAPI document declares."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Timer
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import TypeAdapter
from sqlalchemy import Select, event, func, select, text
from werkzeug.test import TestResponse

import house as houses
from collectors.base import AuthorData, Batch, MentionData
from database import Database
from house import House
from models import (
    Account,
    ApiToken,
    Case,
    CaseEvent,
    CaseStatus,
    Heartbeat,
    Mention,
    Role,
    Source,
    Story,
    Team,
    User,
)
from tests.conftest import FakeClock, MakeHouse
from tests.factories import statements
from triage import cases, intake, reactions
from web import create_app
from web import queries as queries_of_web
from web.access import look_as
from web.api import PREFIX, tokens
from web.api.operations import OPERATIONS, Operation
from web.api.shapes import ErrorShape
from web.operators import NOBODY
from web.queries import CaseFilter, Sort
from web.search import ask

pytestmark = pytest.mark.screens

Json = dict[str, Any]
X = {
    "name": "storby-x", "channel": "twitter", "handle": "storby", "user_id": "1", "api_base": "http://127.0.0.1:9",
    "bearer_token": "b", "consumer_key": "k", "consumer_secret": "s", "access_token": "t", "access_token_secret": "u",
}  # fmt: skip
ANNA, BO, MATS = "anna@storby.example", "bo@storby.example", "mats@storby.example"


class Api:
    """Speaks to the API as another system would, and holds every answer against the table of operations."""

    def __init__(self, app: Flask, token: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.token = token

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        more.setdefault("headers", {"Authorization": f"Bearer {self.token}"})
        response = self.client.open(
            PREFIX + path, method=method, **({"json": body} if body is not None else {}), **more
        )
        operation = _operation(method, path)
        if operation is not None:
            assert response.status_code in operation.statuses, (method, path, response.status_code, response.text)
            shape = operation.answers.get(response.status_code, ErrorShape)
            if shape is not None:
                TypeAdapter(shape).validate_json(response.data)
        return response

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        response = self.send(method, path, body)
        assert response.status_code == status, response.text
        return response.get_json() if response.data else None

    def refused(self, method: str, path: str, body: Any = None, *, status: int, code: str) -> Json:
        error: Json = self.call(method, path, body, status=status)["error"]
        assert error["code"] == code, error
        assert error["message"], error
        return error

    def mention(self, external_id: str, text: str = "Hej", **more: Any) -> Json:
        body = {"external_id": external_id, "author": {"name": "Eva", "handle": "eva"}, "text": text, **more}
        found: Json = self.call("POST", "/mentions", body, status=201)
        return found

    def case(self, number: int) -> Json:
        found: Json = self.call("GET", f"/cases/{number}")
        return found

    def numbers(self, query: str = "") -> list[int]:
        return [case["number"] for case in self.call("GET", f"/cases?{query}")["cases"]]


def _operation(method: str, path: str) -> Operation | None:
    for operation in OPERATIONS:
        pattern = re.sub(r"<int:\w+>", r"\\d+", operation.path)
        if operation.method == method and re.fullmatch(pattern, path.partition("?")[0]):
            return operation
    return None


# -- who may ask ----------------------------------------------------------------------------------------------------


def test_only_the_digest_of_a_token_is_kept(database: Database, app: Flask, clock: FakeClock) -> None:
    token = _token(database, ANNA, clock())
    assert len(token) >= 43  # 256 bits
    with database.read() as db:
        kept = db.scalars(select(ApiToken)).all()
    assert not [one for one in kept if token in json.dumps([one.token_digest, one.name])]


def test_no_token_a_wrong_a_revoked_one_and_that_of_a_disabled_user_are_refused(
    api: Api, app: Flask, database: Database, clock: FakeClock
) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {api.token}"},
        {"Cookie": f"session={api.token}"},
    ):
        response = api.send("GET", "/cases", headers=headers)
        assert response.status_code == 401, headers
        assert response.json and response.json["error"]["code"] == "unauthorized"
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    other = Api(app, _token(database, BO, clock()))
    other.call("GET", "/cases")
    with database.transaction() as db:
        db.scalars(select(User).where(User.email == BO)).one().disabled_at = clock()
        db.scalars(
            select(ApiToken).where(ApiToken.token_digest == tokens._digest(api.token))
        ).one().revoked_at = clock()
    other.refused("GET", "/cases", status=401, code="unauthorized")
    api.refused("GET", "/cases", status=401, code="unauthorized")


@pytest.mark.one_database
def test_a_token_may_call_so_often_a_minute_and_others_do_not_suffer(
    make_house: MakeHouse, database: Database, clock: FakeClock
) -> None:
    app = create_app(make_house(api={"requests_per_minute": 3}), clock=clock)
    _people(database, clock())
    busy, calm = (Api(app, _token(database, email, clock())) for email in (ANNA, BO))
    for _ in range(3):
        busy.call("GET", "/cases")
    response = busy.send("GET", "/cases")
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    calm.call("GET", "/cases")


def test_the_limit_begins_anew_after_a_minute() -> None:
    now = [0.0]
    limit = tokens.RateLimit(2, clock=lambda: now[0])
    assert [limit.take(1), limit.take(1), limit.take(1), limit.take(2)] == [None, None, 60, None]
    now[0] = 59.5
    assert limit.take(1) == 1
    now[0] = 60.0
    assert limit.take(1) is None


# -- the document ---------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_the_document_declares_every_route_and_only_those(api: Api, app: Flask) -> None:
    document = api.call("GET", "/openapi.json")
    assert document["openapi"].startswith("3.1.")
    declared = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routed = {
        (method, re.sub(r"<int:(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert declared == routed


@pytest.mark.one_database
def test_the_document_is_whole(api: Api) -> None:
    """Every reference resolves, every operation has its own id, path parameters and answers with a description."""
    document = api.call("GET", "/openapi.json")
    text = json.dumps(document)
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in document["components"]["schemas"], name
    assert "$defs" not in text
    ids = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            ids.append(operation["operationId"])
            in_path = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert all(answer["description"] for answer in operation["responses"].values())
            assert {"200", "201", "202", "204"} & set(operation["responses"]), path
    assert len(ids) == len(set(ids))
    case = document["components"]["schemas"]["Case"]
    assert set(case["required"]) == set(case["properties"])


@pytest.mark.one_database
def test_the_document_needs_no_token(app: Flask) -> None:
    assert app.test_client().get(f"{PREFIX}/openapi.json").status_code == 200


# -- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_what_is_no_json_or_too_much_says_so_in_json(api: Api) -> None:
    authorized = {"Authorization": f"Bearer {api.token}"}
    for data, kind, status, code in [
        (b"{", "application/json", 400, "bad_request"),
        (b"\xff\xfe", "application/json", 400, "bad_request"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b"", "application/json", 400, "bad_request"),
        (b"[]", "application/json", 422, "invalid"),
        (b"text=hej", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b" " * 2_000_000, "application/json", 413, "too_large"),
    ]:
        response = api.send("POST", "/mentions", headers=authorized, data=data, content_type=kind)
        assert response.status_code == status, (data[:20], response.text)
        assert response.json and response.json["error"]["code"] == code, response.text


def test_what_is_not_there_says_so_in_json(api: Api) -> None:
    api.refused("GET", "/nothing", status=404, code="not_found")
    api.refused("GET", "/cases/999", status=404, code="not_found")
    api.refused("DELETE", "/cases", status=405, code="method_not_allowed")
    for huge in (2**63, 10**30):
        api.refused("GET", f"/cases/{huge}", status=404, code="not_found")
        api.refused("PATCH", f"/cases/{huge}", {"version": 1, "status": "open"}, status=404, code="not_found")
        api.refused("DELETE", f"/replies/{huge}", status=404, code="not_found")
        for path, body in [("notes", {"body": "x"}), ("merge", {"into": 1}), ("split", {"mention": 1})]:
            api.refused("POST", f"/cases/{huge}/{path}", body, status=404, code="not_found")
    for path, body in [
        ("notes", {"body": "x"}),
        ("merge", {"into": 1}),
        ("split", {"mention": 1}),
        ("answered-elsewhere", {"to_mention": 1}),
        ("replies", {"body": "x", "then": "keep", "idempotency_key": "1"}),
    ]:
        api.refused("POST", f"/cases/999/{path}", body, status=404, code="not_found")


@pytest.mark.one_database
def test_what_nobody_foresaw_tells_nothing(api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("web.queries.find_cases", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = api.send("GET", "/cases")
    assert response.status_code == 500
    assert response.json
    assert "hunter2" not in response.text


def test_a_list_asked_wrongly_names_the_field(api: Api) -> None:
    for query, field in [
        ("status=done", "status"),
        ("kind=complaint", "kind"),
        ("sentiment=angry", "sentiment"),
        ("language=xx", "language"),
        ("urgency=asap", "urgency"),
        ("noise=loud", "noise"),
        ("wants_answer=perhaps", "wants_answer"),
        ("story=one", "story"),
        ("sort=best", "sort"),
        ("limit=201", "limit"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=WyJuZXdlc3QiLDEsMl0", "cursor"),
        ("stat=new", "stat"),
        ("q=(a", "q"),
        ("q=a%00b", "q"),
        ("tag=a%00b", "tag"),
    ]:
        error = api.refused("GET", f"/cases?{query}", status=422, code="invalid")
        assert set(error["fields"]) == {field}, query


# -- mentions -------------------------------------------------------------------------------------------------------


def test_a_mention_handed_in_becomes_a_case_once(api: Api, clock: FakeClock) -> None:
    body = {
        "external_id": "form-17", "author": {"name": "Eva Ek", "handle": "eva", "url": "https://eva.example/"},
        "text": "Snön ligger kvar på Ågatan", "url": "https://form.example/17",
        "published_at": "2026-11-24T09:30:00+02:00",
    }  # fmt: skip
    taken = api.call("POST", "/mentions", body, status=201)
    assert taken["mention"] | {"id": 0, "case": 0} == {
        "type": "mention", "id": 0, "case": 0, "external_id": "form-17", "channel": "api",
        "url": "https://form.example/17", "author": {"name": "Eva Ek", "handle": "eva", "url": "https://eva.example/"},
        "title": None, "text": "Snön ligger kvar på Ågatan", "html": None, "language": "sv",
        "judgement": taken["mention"]["judgement"],
        "published_at": "2026-11-24T07:30:00Z", "collected_at": "2026-11-24T08:00:00Z", "in_reply_to": None,
        "edited_at": None, "hidden_at": None, "deleted_at": None, "can_reply": False, "can_reply_reason": "no_network",
        "can_reply_privately": False, "attachments": [], "context": False, "repost": False, "ours": False,
    }  # fmt: skip
    clock.forward(minutes=1)
    assert api.call("POST", "/mentions", body, status=200) == taken
    assert api.call("POST", "/mentions", body | {"text": "changed"}, status=200) == taken
    case = api.case(taken["case"])
    assert (case["channel"], case["status"], case["mention_count"]) == ("api", "new", 1)
    assert case["opened_at"] == "2026-11-24T07:30:00Z"
    assert case["seen_at"] == "2026-11-24T08:00:00Z"
    assert case["url"] == f"http://127.0.0.1:8000/cases/{case['number']}"


def test_an_answer_handed_in_joins_its_case(api: Api) -> None:
    first = api.mention("a")
    second = api.mention("b", in_reply_to="a", author={"name": "Ola"})
    assert second["case"] == first["case"]
    assert api.case(first["case"])["mention_count"] == 2


def test_people_of_the_same_name_stay_apart(api: Api, database: Database) -> None:
    mentions = [api.mention(str(number), author={"name": "Eva"})["mention"]["id"] for number in range(2)]
    with database.read() as db:
        authors = set(db.scalars(select(Mention.author_id).where(Mention.id.in_(mentions))))
    assert len(authors) == 2


def test_a_mention_that_cannot_be_accepted_names_the_field(api: Api) -> None:
    refusals: list[tuple[Json, str]] = [
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "//x.example"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "http://["}, "url"),
        ({"author": {"name": "Eva", "url": "data:text/html,x"}}, "author.url"),
        ({"author": {}}, "author.name"),
        ({"text": "  \n "}, "text"),
        ({"text": "a\0b"}, "text"),
        ({"text": 7}, "text"),
        ({"external_id": ""}, "external_id"),
        ({"published_at": "2026-11-24T08:00:00"}, "published_at"),
        ({"published_at": "2026-11-25T08:00:00Z"}, "published_at"),
        ({"published_at": "0001-01-01T00:00:00+14:00"}, "published_at"),
        ({"status": "closed"}, "status"),
    ]
    for wrong, field in refusals:
        body = {"external_id": "1", "author": {"name": "Eva"}, "text": "Hej", **wrong}
        error = api.refused("POST", "/mentions", body, status=422, code="invalid")
        assert set(error["fields"]) == {field}, wrong


def test_half_a_character_is_refused(api: Api) -> None:
    body = '{"external_id": "1", "author": {"name": "Eva"}, "text": "\\ud800"}'
    headers = {"Authorization": f"Bearer {api.token}"}
    response = api.send("POST", "/mentions", headers=headers, data=body, content_type="application/json")
    assert response.status_code in (400, 422)


def test_mentions_are_listed_and_narrowed(api: Api, find: Callable[..., Mention]) -> None:
    ids = [api.mention(f"m{number}", f"text {number}")["mention"]["id"] for number in range(5)]
    other = find("x1", text="elsewhere <b>", html="<p onclick=x>bold <b>move</b><script>x</script></p>")
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.call("GET", f"/mentions?channel=api&limit=2&cursor={cursor}")
        seen += [mention["id"] for mention in page["mentions"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    for query in ("channel=twitter", "external_id=x1", "q=elsewhere", f"case={other.case_id}", "source=x-mentions"):
        listed = api.call("GET", f"/mentions?{query}")["mentions"]
        assert [(one["id"], one["case"]) for one in listed] == [(other.id, other.case_id)], query
    assert listed[0]["html"] == "<p>bold <b>move</b></p>"


def test_a_mention_handed_in_twice_at_once_is_one(api: Api, app: Flask) -> None:
    body = {"external_id": "1", "author": {"name": "Eva"}, "text": "Hej"}
    answers = _at_once(lambda: Api(app, api.token).send("POST", "/mentions", body), 6)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json["mention"]["id"] for answer in answers if answer.json}) == 1


# -- lists of cases -------------------------------------------------------------------------------------------------


def test_every_filter_narrows_and_those_that_may_repeat_do(
    api: Api, database: Database, find: Callable[..., Mention], clock: FakeClock
) -> None:
    one, two, three = (api.mention(name, f"word{name}")["case"] for name in ("1", "2", "3"))
    four = find("x1").case_id
    api.call("PATCH", f"/cases/{one}", {"version": 1, "assignee": ANNA, "kind": "problem", "tags": ["Snö", "väg"]})
    api.call("PATCH", f"/cases/{two}", {"version": 1, "status": "ignored", "kind": "idea", "tags": ["väg"]})
    api.call("PATCH", f"/cases/{three}", {"version": 1, "assignee": BO, "team": "Gata"})
    for query, expected in [
        ("", {one, two, three, four}),
        ("status=&assignee=", {one, two, three, four}),
        ("status=ignored", {two}),
        ("status=ignored&status=new", {two, four}),
        ("channel=twitter", {four}),
        ("channel=twitter&channel=api", {one, two, three, four}),
        ("kind=problem", {one}),
        ("kind=problem&kind=idea", {one, two}),
        ("tag=v%C3%A4g", {one, two}),
        ("tag=sn%C3%B6", {one}),
        ("tag=sn%C3%B6&tag=v%C3%A4g", {one, two}),
        ("team=Gata", {three}),
        ("team=Gata&team=Skola", {three}),
        ("team=Skola", set()),
        ("source=x-mentions", {four}),
        ("source=nothing", set()),
        ("assignee=me", {one}),
        ("assignee=none", {two, four}),
        (f"assignee={BO.upper()}", {three}),
        ("assignee=nobody@storby.example", set()),
        ("q=word2", {two}),
        ("q=word1+OR+word3", {one, three}),
        (f"q={four}", {four}),
        ("status=open&assignee=me&tag=v%C3%A4g&q=word1", {one}),
    ]:
        page = api.call("GET", f"/cases?{query}")
        assert {case["number"] for case in page["cases"]} == expected, query
        assert page["total"] == len(expected), query


def test_what_was_judged_narrows_too(api: Api, database: Database, clock: FakeClock) -> None:
    one, two, three = (api.mention(name, f"word{name}")["case"] for name in ("1", "2", "3"))
    plain: Json = {"version": 1, "sentiment": "neutral", "language": "sv", "wants_answer": True, "kind": "other"}
    plain |= {"urgency": None, "noise": None, "category": None}
    changes: list[tuple[int, Json]] = [
        (one, {"sentiment": "negative", "urgency": "danger", "category": "Roads"}),
        (two, {"noise": "spam", "wants_answer": False, "language": "da"}),
        (three, {"urgency": "leak", "category": "Schools", "language": "und"}),
    ]
    for number, change in changes:
        case = api.call("PATCH", f"/cases/{number}", plain | change)
        assert {field: case[field] for field in change} == change
    with database.transaction() as db:
        db.add(Story(id=7, title="Snow", opened_at=clock(), last_at=clock(), size=2))
        cases.join_story(db, one, story_id=7, actor="stories", at=clock())
    assert api.case(one)["story"] == {"id": 7, "title": "Snow", "size": 2}
    for query, expected in [
        ("sentiment=negative", {one}),
        ("sentiment=negative&sentiment=neutral", {one, two, three}),
        ("language=sv", {one}),
        ("language=da&language=und", {two, three}),
        ("urgency=danger&urgency=leak", {one, three}),
        ("urgency=none", {two}),
        ("urgency=none&urgency=leak", {two, three}),
        ("noise=spam", {two}),
        ("noise=none", {one, three}),
        ("category=Roads", {one}),
        ("category=none", {two}),
        ("wants_answer=true", {one, three}),
        ("wants_answer=false", {two}),
        ("story=7", {one}),
        ("story=8", set()),
    ]:
        assert set(api.numbers(query)) == expected, query


def test_the_most_urgent_first_is_who_is_late_or_due_and_then_by_priority(
    api: Api, database: Database, clock: FakeClock
) -> None:
    numbers = [api.mention(str(number), f"word{number}")["case"] for number in range(9)]
    late, soon, later = (clock() + timedelta(hours=hours) for hours in (-2, 1, 30))
    with database.transaction() as db:
        for number, due in [(0, later), (1, soon), (2, soon), (3, late), (4, soon)]:
            cases.set_targets(db, numbers[number], {"next_breach_at": due, "breach_kind": "first_response"})
        for number, priority in [(2, "urgent"), (4, "high"), (5, "low"), (6, "high")]:
            cases.classify(db, numbers[number], priority=priority, actor="t", at=clock())
        cases.change_status(db, numbers[7], target=CaseStatus.resolved, actor="t", at=clock())
        cases.snooze(db, numbers[8], until=clock() + timedelta(minutes=1), actor="t", at=clock())
        cases.follow_up_due(db, numbers[8], actor="t", at=clock() + timedelta(minutes=1))
    expected = [numbers[at] for at in (8, 3, 2, 4, 1, 0, 6, 5, 7)]
    assert api.numbers("sort=urgent") == expected
    for limit in (1, 2, 4):  # also where a page ends in the middle of what has the same due time
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = api.call("GET", f"/cases?sort=urgent&limit={limit}&cursor={cursor}")
            seen += [case["number"] for case in page["cases"]]
            cursor = page["next_cursor"]
        assert seen == expected, limit


def test_the_order_by_due_time_is_read_from_its_index(database: Database) -> None:
    wanted = CaseFilter(status=["new", "open"])
    flagged, due, _rest = queries_of_web._stretches(Sort.urgent, wanted)
    with database.read() as db:
        reading = queries_of_web._Reading(db, wanted, [], ask(db, Case, None, NOBODY), few=None, most=None)
        for place in (None, [datetime(2026, 11, 24, tzinfo=UTC), 3, 17]):
            plan = _plan(database, reading._read(due, place, 50))
            assert "ix_cases_next_breach_at_id" in plan, plan
        plan = _plan(database, reading._read(flagged, None, 50))
        assert "ix_cases_flag" in plan, plan


def _plan(database: Database, query: Select[Any]) -> str:
    postgresql = database.engine.dialect.name == "postgresql"
    with database.read() as db:
        if postgresql:  # an empty table is read from end to end, whatever its indexes
            db.execute(text("SET LOCAL enable_seqscan = off"))
        sql = query.compile(database.engine, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row) for row in db.execute(text(explain + str(sql).replace(":", "\\:"))))


def test_pages_follow_one_another_whatever_the_order(api: Api, clock: FakeClock) -> None:
    numbers = []
    for number in range(8):
        if number % 3 == 0:  # several share an instant
            clock.forward(minutes=1)
        numbers.append(api.mention(str(number))["case"])
    for number in numbers[4:6]:
        api.call("PATCH", f"/cases/{number}", {"version": 1, "priority": "urgent"})
    api.call("PATCH", f"/cases/{numbers[0]}", {"version": 1, "status": "resolved"})
    urgent = [*numbers[4:6], *numbers[1:4], *numbers[6:], numbers[0]]
    for sort, expected in [("newest", numbers[::-1]), ("oldest", numbers), ("urgent", urgent)]:
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = api.call("GET", f"/cases?sort={sort}&limit=2&cursor={cursor}")
            assert page["total"] == len(numbers)
            seen += [case["number"] for case in page["cases"]]
            cursor = page["next_cursor"]
        assert seen == expected, sort


def test_a_cursor_is_good_only_for_its_sort(api: Api) -> None:
    for number in range(3):
        api.mention(str(number))
    cursor = api.call("GET", "/cases?limit=1")["next_cursor"]
    api.refused("GET", f"/cases?limit=1&sort=oldest&cursor={cursor}", status=422, code="invalid")
    api.refused("GET", f"/mentions?cursor={cursor}", status=422, code="invalid")


def test_a_page_takes_the_same_few_queries_whatever_the_size(
    api: Api, database: Database, queries: Callable[[], int]
) -> None:
    def asked(path: str) -> int:
        before = queries()
        api.call("GET", path)
        return queries() - before

    case = api.mention("0")["case"]
    api.call("PATCH", f"/cases/{case}", {"version": 1, "tags": ["a"]})
    paths = ("/cases", "/cases?q=hej&sort=urgent", f"/cases/{case}", "/mentions", "/events")
    few = [asked(path) for path in paths]
    for number in range(1, 6):
        other = api.mention(str(number))["case"]
        api.call("PATCH", f"/cases/{other}", {"version": 1, "tags": ["a", "b"], "assignee": ANNA, "team": "Gata"})
        api.mention(f"under {number}", in_reply_to="0", author={"name": f"Nr {number}"})
        api.call("POST", f"/cases/{case}/notes", {"body": "x"}, status=201)
    assert [asked(path) for path in paths] == few
    assert max(few) <= 16, few  # BEGIN and the token included; words ask the index once for each place they may stand


# -- one case -------------------------------------------------------------------------------------------------------


def test_a_case_tells_its_story_in_time_order(
    api: Api, database: Database, find: Callable[..., Mention], clock: FakeClock
) -> None:
    at = clock()
    find("root", text="Our own post", ours=True, at=at - timedelta(hours=5))
    find("other", text="Somebody else's question", context=True, in_reply_to=None, at=at - timedelta(hours=4))
    asked = find("ask", text="When?", in_reply_to="other", at=at - timedelta(hours=3))
    find("answer", text="Tomorrow.", ours=True, in_reply_to="ask", at=at - timedelta(hours=2))
    find("again", text="Thanks", in_reply_to="answer", at=at - timedelta(hours=1))
    number = asked.case_id
    clock.forward(minutes=5)
    api.call("POST", f"/cases/{number}/notes", {"body": "call her"}, status=201)
    case = api.case(number or 0)
    said = [entry for entry in case["entries"] if entry["type"] != "event"]
    assert [(one["type"], one.get("text") or one["body"], one.get("context")) for one in said] == [
        ("mention", "Somebody else's question", True),
        ("mention", "When?", False),
        ("reply", "Tomorrow.", None),
        ("mention", "Thanks", False),
        ("note", "call her", None),
    ]
    reply = said[2]
    assert (reply["status"], reply["origin"], reply["external_id"]) == ("sent", "network", "answer")
    assert reply["author"] == {"name": "Nr ours", "email": None}
    assert said[4]["author"] == {"name": "Anna", "email": ANNA}
    assert case["mention_count"] == 2
    assert case["reply_count"] == 1
    assert case["source"] == "x-mentions"
    events = [entry for entry in case["entries"] if entry["type"] == "event"]
    assert (events[0]["action"], events[0]["from"], events[0]["to"]) == ("opened", None, "new")
    note = next(one for one in events if one["action"] == "note")
    assert "from" not in note
    assert "to" not in note
    assert note["actor"] == ANNA


def test_our_post_above_a_comment_is_shown_with_it(api: Api, find: Callable[..., Mention], clock: FakeClock) -> None:
    find("post", text="The road is open", ours=True, at=clock() - timedelta(hours=2))
    comment = find("comment", text="It is not", in_reply_to="post", at=clock() - timedelta(hours=1))
    entries = api.case(comment.case_id or 0)["entries"]
    assert [(one["text"], one["context"], one["ours"]) for one in entries if one["type"] == "mention"] == [
        ("The road is open", True, True),
        ("It is not", False, False),
    ]


def test_several_fields_change_at_once_or_not_at_all(api: Api, clock: FakeClock) -> None:
    number = api.mention("1")["case"]
    soon = "2026-11-30T12:00:00Z"
    change = {
        "version": 1, "status": "pending", "assignee": ANNA.upper(), "team": "Gata", "kind": "question",
        "priority": "high", "tags": ["Väg", "snö", "väg"], "follow_up_at": soon,
    }  # fmt: skip
    case = api.call("PATCH", f"/cases/{number}", change)
    assert {name: case[name] for name in change if name != "version"} == {
        "status": "pending", "assignee": ANNA, "team": "Gata", "kind": "question", "priority": "high",
        "tags": ["snö", "väg"], "follow_up_at": soon,
    }  # fmt: skip
    changes = {name: new for one in api.case(number)["entries"] for name, new in one.get("changes", {}).items()}
    assert changes["assignee"] == [None, ANNA]
    assert changes["team"] == [None, "Gata"]
    before = api.case(number)
    wrong = {"version": case["version"], "tags": [], "priority": "low", "status": "new"}
    api.refused("PATCH", f"/cases/{number}", wrong, status=409, code="invalid_transition")
    assert api.case(number) == before
    nothing = {"version": case["version"], "assignee": None, "team": None, "tags": [], "follow_up_at": None}
    case = api.call("PATCH", f"/cases/{number}", nothing)
    assert [case[name] for name in nothing if name != "version"] == [None, None, [], None]


def test_a_change_wants_the_version_it_was_made_on(api: Api) -> None:
    number = api.mention("1")["case"]
    error = api.refused("PATCH", f"/cases/{number}", {"status": "open"}, status=422, code="invalid")
    assert set(error["fields"]) == {"version"}
    case = api.call("PATCH", f"/cases/{number}", {"version": 1, "status": "open"})
    api.refused("PATCH", f"/cases/{number}", {"version": 1, "status": "pending"}, status=409, code="stale")
    assert api.call("PATCH", f"/cases/{number}", {"version": case["version"], "status": "open"}) == case
    assert api.call("PATCH", f"/cases/{number}", {"version": case["version"]}) == case


def test_a_change_that_cannot_be_names_the_field(api: Api) -> None:
    number = api.mention("1")["case"]
    refusals: list[tuple[Json, str]] = [
        ({"assignee": "nobody@storby.example"}, "assignee"),
        ({"assignee": "gone@storby.example"}, "assignee"),
        ({"team": "Nothing"}, "team"),
        ({"status": None}, "status"),
        ({"status": "done"}, "status"),
        ({"kind": None}, "kind"),
        ({"sentiment": None}, "sentiment"),
        ({"language": "swedish"}, "language"),
        ({"wants_answer": None}, "wants_answer"),
        ({"wants_answer": "yes"}, "wants_answer"),
        ({"urgency": "asap"}, "urgency"),
        ({"noise": "loud"}, "noise"),
        ({"category": "Nothing"}, "category"),
        ({"priority": "asap"}, "priority"),
        ({"tags": ["x" * 61]}, "tags"),
        ({"follow_up_at": "2026-11-24T07:00:00Z"}, "follow_up_at"),
        ({"version": "1"}, "version"),
        ({"subject": "mine"}, "subject"),
    ]
    for wrong, field in refusals:
        error = api.refused("PATCH", f"/cases/{number}", {"version": 1, **wrong}, status=422, code="invalid")
        assert set(error["fields"]) == {field}, wrong


def test_an_ignored_case_is_reopened_before_it_is_given_to_somebody(api: Api) -> None:
    number = api.mention("1")["case"]
    case = api.call("PATCH", f"/cases/{number}", {"version": 1, "status": "ignored"})
    case = api.call("PATCH", f"/cases/{number}", {"version": case["version"], "status": "open", "assignee": ANNA})
    assert (case["status"], case["assignee"]) == ("open", ANNA)


def test_a_judgement_is_given_with_its_words_and_can_be_corrected(
    api: Api, database: Database, house: House, clock: FakeClock
) -> None:
    taken = api.mention("1", "När plogas Ågatan? Det är livsfarligt halt utanför skolan!")
    number, said = taken["case"], taken["mention"]["judgement"]
    assert said["language"]["value"] == taken["mention"]["language"] == "sv"
    for verdict in said.values():
        assert 0 < verdict["confidence"] <= 1
    assert all(word in taken["mention"]["text"] for word in " ".join(said["kind"]["because"]).split())
    case = api.case(number)
    other = "idea" if case["kind"] != "idea" else "praise"
    api.call("PATCH", f"/cases/{number}", {"version": 1, "kind": other, "urgency": None, "sentiment": "positive"})
    reactions.react(database, clock())
    events = api.call("GET", "/events")["events"]
    assert events[-1]["action"] == "classify"
    assert events[-1]["changes"]["kind"] == [case["kind"], other]
    mats = Api(api.client.application, _token(database, MATS, clock()))
    lessons = mats.call("GET", "/lessons")["lessons"]
    assert ("kind", case["kind"], other, ANNA) in {
        (lesson["judge"], lesson["was"], lesson["value"], lesson["user"]) for lesson in lessons
    }
    api.refused("GET", "/lessons", status=403, code="forbidden")
    first = lessons[0]["id"]
    api.refused("DELETE", f"/lessons/{first}", status=403, code="forbidden")
    mats.call("DELETE", f"/lessons/{first}", status=204)
    mats.refused("DELETE", "/lessons/999", status=404, code="not_found")
    page = mats.call("GET", "/lessons?limit=1")
    assert page["lessons"][0]["withdrawn_at"] is not None
    rest = mats.call("GET", f"/lessons?cursor={page['next_cursor']}")["lessons"]
    assert [page["lessons"][0]["id"], *(lesson["id"] for lesson in rest)] == [lesson["id"] for lesson in lessons]


def test_merge_and_split(api: Api) -> None:
    one, two = api.mention("1")["case"], api.mention("2")["case"]
    under = api.mention("3", in_reply_to="2", author={"name": "Ola"})["mention"]
    merged = api.call("POST", f"/cases/{one}/merge", {"into": two})
    assert (merged["number"], merged["status"], merged["merged_into"]) == (one, "closed", two)
    assert api.case(two)["mention_count"] == 3
    api.refused("POST", f"/cases/{two}/merge", {"into": one}, status=409, code="invalid_transition")
    api.refused("POST", f"/cases/{two}/merge", {"into": two}, status=422, code="invalid")
    reopen = {"version": merged["version"], "status": "open"}
    api.refused("PATCH", f"/cases/{one}", reopen, status=409, code="invalid_transition")
    new = api.call("POST", f"/cases/{two}/split", {"mention": under["id"]}, status=201)
    assert new["number"] not in (one, two)
    assert (new["mention_count"], api.case(two)["mention_count"]) == (1, 2)


# -- answers --------------------------------------------------------------------------------------------------------


def test_an_answer_is_taken_once_and_can_be_undone(api: Api, find: Callable[..., Mention]) -> None:
    mention = find("x1", text="When?")
    number = mention.case_id
    body = {"body": "Tomorrow.", "then": "resolve", "idempotency_key": "k1"}
    reply = api.call("POST", f"/cases/{number}/replies", body, status=202)
    assert (reply["status"], reply["to_mention"], reply["body"]) == ("held", mention.id, "Tomorrow.")
    assert reply["author"] == {"name": "Anna", "email": ANNA}
    assert api.call("POST", f"/cases/{number}/replies", body, status=202) == reply
    assert api.case(number or 0)["status"] == "resolved"
    assert [one["id"] for one in api.case(number or 0)["entries"] if one["type"] == "reply"] == [reply["id"]]
    api.call("DELETE", f"/replies/{reply['id']}", status=204)
    assert api.case(number or 0)["status"] == "new"
    api.refused("DELETE", f"/replies/{reply['id']}", status=409, code="invalid_transition")
    api.refused("DELETE", "/replies/999", status=404, code="not_found")


def test_an_answer_sent_twice_at_once_is_one(api: Api, app: Flask, find: Callable[..., Mention]) -> None:
    body = {"body": "Tomorrow.", "then": "keep", "idempotency_key": "k"}
    path = f"/cases/{find('x1').case_id}/replies"
    answers = _at_once(lambda: Api(app, api.token).send("POST", path, body), 6)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers if answer.json}) == 1


def test_a_key_is_good_within_its_case(api: Api, find: Callable[..., Mention]) -> None:
    body = {"body": "Tomorrow.", "then": "keep", "idempotency_key": "1"}
    replies = [
        api.call("POST", f"/cases/{find(name).case_id}/replies", body, status=202)["id"] for name in ("x1", "x2")
    ]
    assert len(set(replies)) == 2


def test_an_answer_that_cannot_go_out_is_refused(api: Api, find: Callable[..., Mention], clock: FakeClock) -> None:
    here, there = find("x1").case_id, api.mention("form")["case"]

    def refused(number: int | None, status: int, code: str, **more: Any) -> Json:
        body = {"body": "Yes", "then": "keep", "idempotency_key": "k", **more}
        return api.refused("POST", f"/cases/{number}/replies", body, status=status, code=code)

    refused(there, 409, "cannot_reply")
    refused(here, 422, "too_long", body="x" * 281)
    refused(here, 422, "invalid", body=" ")
    refused(here, 422, "invalid", then="close")
    refused(here, 422, "invalid", idempotency_key=None)
    refused(here, 422, "invalid", to_mention=10**9)
    refused(here, 409, "cannot_reply", private=True)
    assert api.case(here or 0)["reply_count"] == 0
    read = api.case(here or 0)["version"]
    api.call("PATCH", f"/cases/{here}", {"version": read, "priority": "high"})
    find("x2", in_reply_to="x1", at=clock())
    refused(here, 409, "stale", version=read)


def test_somebody_says_that_he_answered_there(api: Api, clock: FakeClock) -> None:
    taken = api.mention("form")
    number, mention = taken["case"], taken["mention"]["id"]
    path = f"/cases/{number}/answered-elsewhere"
    clock.forward(minutes=30)
    refusals: list[tuple[Json, str]] = [
        ({"url": "ftp://x.example/1"}, "url"),
        ({"at": "2026-11-24T09:00:00Z"}, "at"),
        ({"at": "2026-11-24T07:00:00Z"}, "at"),
        ({"to_mention": 10**9}, "to_mention"),
    ]
    for wrong, field in refusals:
        error = api.refused("POST", path, {"to_mention": mention, **wrong}, status=422, code="invalid")
        assert set(error["fields"]) == {field}
    body: Json = {"to_mention": mention, "url": "https://form.example/answers/1", "at": "2026-11-24T08:10:00Z"}
    reply = api.call("POST", path, body, status=202)
    assert (reply["origin"], reply["sent_at"], reply["url"]) == ("elsewhere", body["at"], body["url"])
    case = api.case(number)
    assert (case["first_response_at"], case["reply_count"], case["status"]) == (body["at"], 1, "open")


# -- events ---------------------------------------------------------------------------------------------------------


def test_events_are_read_on_from_where_one_was(api: Api, database: Database) -> None:
    number = api.mention("1")["case"]
    api.call("PATCH", f"/cases/{number}", {"version": 1, "status": "open", "assignee": ANNA})
    api.call("POST", f"/cases/{number}/notes", {"body": "x"}, status=201)
    with database.read() as db:
        all_ids = list(db.scalars(select(CaseEvent.id).order_by(CaseEvent.id)))
    seen, after = [], 0
    while (page := api.call("GET", f"/events?after={after}&limit=1"))["events"]:
        seen += page["events"]
        after = page["next_after"]
    assert page["next_after"] == after
    assert [one["id"] for one in seen] == all_ids
    assert {one["case"] for one in seen} == {number}


def test_an_event_that_is_committed_late_is_not_missed(api: Api, database: Database, clock: FakeClock) -> None:
    """On PostgreSQL a transaction may commit after another one that has taken a higher number."""
    numbers = [api.mention(name)["case"] for name in ("1", "2")]
    after = api.call("GET", "/events")["next_after"]
    if database.sqlite:  # one writer at a time: there is nothing to miss
        _close_follow_ups(database, numbers, clock())
    else:
        slow = database.writing()
        slow.begin()
        cases.classify(slow, numbers[0], actor="cli", at=clock(), tags=["late"])
        _close_follow_ups(database, numbers[1:], clock())
        Timer(0.3, slow.commit).start()
    events = api.call("GET", f"/events?after={after}")["events"]
    assert {one["case"] for one in events} == set(numbers)


def test_events_left_out_for_who_asks_make_nobody_wait(api: Api, database: Database, clock: FakeClock) -> None:
    numbers = [api.mention(name)["case"] for name in ("1", "2", "3")]
    with database.transaction() as db:
        team = Team(name="Skydd", members_only=True)
        db.add(team)
        db.flush()
        cases.assign_team(db, numbers[1], team=team, actor="cli", at=clock())
        hidden = frozenset({team.id})
    _close_follow_ups(database, numbers, clock())
    asked: list[str] = []
    with database.read() as db:
        first = db.scalar(select(func.min(CaseEvent.id))) or 0
        event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        look_as(db, hidden)
        events = queries_of_web.events_after(db, first - 1)
    assert {one.case_id for one in events} == {numbers[0], numbers[2]}
    assert asked
    assert not [sql for sql in asked if "LOCK" in sql]


def _close_follow_ups(database: Database, numbers: list[int], at: datetime) -> None:
    with database.transaction() as db:
        for number in numbers:
            cases.classify(db, number, actor="cli", at=at, tags=["soon"])


# -- health ---------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_alive_says_nothing_else(app: Flask) -> None:
    assert app.test_client().get("/healthz").get_json() == {"status": "ok"}


def test_ready_names_what_is_wrong(app: Flask, database: Database, clock: FakeClock) -> None:
    client = app.test_client()

    def reasons(status: int) -> list[str]:
        response = client.get("/readyz")
        assert response.status_code == status, response.text
        assert response.json is not None
        named: list[str] = response.json["reasons"]
        return named

    assert reasons(503) == ["scheduler: has never run"]
    with database.transaction() as db:
        db.add(Heartbeat(part="scheduler", at=clock()))
    clock.forward(seconds=60)
    assert reasons(200) == []
    clock.forward(seconds=1)
    assert reasons(503) == ["scheduler: silent for 61 seconds"]
    with database.transaction() as db:
        db.get_one(Heartbeat, "scheduler").at = clock()
        source = db.scalars(select(Source)).one()
        source.failures, source.error_reason = 3, "auth_expired"
    assert reasons(503) == ["sources: nothing is collected from twitter: x-mentions (auth_expired)"]
    with database.transaction() as db:
        db.scalars(select(Source)).one().paused_at = clock()
    assert reasons(200) == []
    with database.read() as db:
        assert db.get(Heartbeat, "readyz") is None


@pytest.mark.one_database
def test_a_full_disk_is_not_ready(app: Flask, database: Database, clock: FakeClock, monkeypatch: Any) -> None:
    with database.transaction() as db:
        db.add(Heartbeat(part="scheduler", at=clock()))
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: __import__("collections").namedtuple("U", "total used free")(100, 91, 9)
    )
    response = app.test_client().get("/readyz")
    assert (response.status_code, response.json) == (503, {"status": "not ready", "reasons": ["disk: 9 % free"]})


def test_metrics_count_and_are_not_for_everybody(api: Api, app: Flask, database: Database, clock: FakeClock) -> None:
    api.mention("1")
    with database.transaction() as db:
        db.add(Heartbeat(part="scheduler", at=clock() - timedelta(seconds=7)))
    client = app.test_client()
    text = client.get("/metrics").text
    for line in (
        'gensvar_cases{status="new"} 1',
        'gensvar_cases{status="closed"} 0',
        "gensvar_mentions 1",
        'gensvar_replies{status="uncertain"} 0',
        "gensvar_sources_failing 0",
        "gensvar_scheduler_heartbeat_age_seconds 7.0",
        "# TYPE gensvar_cases gauge",
    ):
        assert line in text.splitlines(), text
    outside = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/metrics", environ_base=outside).status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 403
    token = {"Authorization": f"Bearer {api.token}"}
    assert client.get("/metrics", environ_base=outside, headers=token).status_code == 200


# -- the house the tests live in ------------------------------------------------------------------------------------


@pytest.fixture
def app(house: House, database: Database, clock: FakeClock) -> Flask:
    _people(database, clock())
    return create_app(house, clock=clock)


@pytest.fixture
def house(make_house: MakeHouse, clock: FakeClock) -> House:
    source = {"name": "x-mentions", "account": "storby-x", "collect": "mentions", "every": "2m"}
    built = make_house(
        accounts=[X],
        sources=[source],
        teams=[{"name": "Gata"}, {"name": "Skola"}],
        categories=[{"name": "Roads"}, {"name": "Schools"}],
    )
    houses.declare(built, clock())
    return built


@pytest.fixture
def api(app: Flask, database: Database, clock: FakeClock) -> Api:
    return Api(app, _token(database, ANNA, clock()))


@pytest.fixture
def find(database: Database, clock: FakeClock) -> Callable[..., Mention]:
    """Something found on a network where we can answer, taken in as the collectors' batches are."""

    def found(external_id: str, text: str = "Hello?", at: datetime | None = None, **more: Any) -> Mention:
        who = "ours" if more.get("ours") else "somebody"
        data = MentionData(
            external_id, AuthorData(who, f"Nr {who}"), text, at or clock(), can_reply=not more.get("ours"), **more
        )
        with database.transaction() as db:
            account, source = db.scalars(select(Account)).one(), db.scalars(select(Source)).one()
            batch = Batch((data,), cursor={})
            intake.take(db, batch, channel="twitter", account_id=account.id, source_id=source.id, at=clock())
            return db.scalars(select(Mention).where(Mention.external_id == external_id)).one()

    return found


@pytest.fixture
def queries(database: Database) -> Iterator[Callable[[], int]]:
    """How many statements have been sent to the database."""
    with statements(database) as sent:
        yield lambda: len(sent)


def _people(database: Database, at: datetime) -> None:
    with database.transaction() as db:
        for email, gone in ((ANNA, None), (BO, None), (MATS, None), ("gone@storby.example", at)):
            name, role = email.partition("@")[0].title(), Role.manager if email == MATS else Role.agent
            db.add(User(email=email, name=name, role=role, created_at=at, disabled_at=gone))


def _token(database: Database, email: str, at: datetime) -> str:
    with database.transaction() as db:
        user = db.scalars(select(User).where(User.email == email)).one()
        return tokens.create(db, user, "test", at)


def _at_once(ask: Callable[[], TestResponse], times: int) -> list[TestResponse]:
    with ThreadPoolExecutor(times) as pool:
        return [asked.result() for asked in [pool.submit(ask) for _ in range(times)]]
