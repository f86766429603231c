"""What an open window hears: the stream and the asking, who is where, what ends it, and what it costs."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update
from werkzeug.test import TestResponse

from house import House
from models import Case, CaseEvent, LoginSession, Presence, Team, TeamMember, User
from supervisor import WebServer
from tests import screens
from tests.conftest import FakeClock
from web import create_app, hub, live, presence

pytestmark = pytest.mark.screens

Open = Callable[..., FlaskClient]
NAME = "0123456789ab"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "POLLED", 2.0)
    monkeypatch.setattr(hub, "PACE", 0.02)
    monkeypatch.setattr(hub, "COUNT", 0.02)
    monkeypatch.setattr(live, "HEARTBEAT", 0.3)


class Stream:
    """A window that listens."""

    def __init__(self, client: FlaskClient, query: str = "", name: str = NAME, **headers: str) -> None:
        self.response: TestResponse = client.get(f"/live/stream?window={name}&{query}", headers=headers)
        self._parts: Iterator[bytes] = iter(self.response.iter_encoded())

    def parts(self) -> Iterator[str]:
        for part in self._parts:
            yield part.decode()

    def hint(self) -> dict[str, Any]:
        """The next one; fails when the stream ends or half a minute passes."""
        until = time.monotonic() + 30
        for part in self.parts():
            if part.startswith("id: "):
                number, _, data = part.partition("\n")
                told: dict[str, Any] = json.loads(data.removeprefix("data: "))
                assert number == f"id: {told['last']}", "the browser would come back with another number"
                return told
            assert time.monotonic() < until, "nothing was said for half a minute"
        raise AssertionError("the stream has ended")

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return next(told for told in iter(self.hint, None) if wanted(told))

    def ends(self) -> bool:
        """Whether it ends within half a minute."""
        until = time.monotonic() + 30
        return all(time.monotonic() < until for _ in self.parts())

    def close(self) -> None:
        self.response.close()


@pytest.fixture
def listen() -> Iterator[Callable[..., Stream]]:
    opened: list[Stream] = []

    def open_stream(client: FlaskClient, query: str = "", name: str = NAME, **headers: str) -> Stream:
        opened.append(Stream(client, query, name, **headers))
        return opened[-1]

    yield open_stream
    for each in opened:
        each.close()


Listen = Callable[..., Stream]


def newest(house: House) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.max(CaseEvent.id))) or 0


def comes_true(what: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


# -- the stream -------------------------------------------------------------------------------------------------------


def test_a_mention_is_told_to_the_lists_that_would_hold_it(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    last = newest(storby)
    here, there = (
        listen(browser(), f"after={last}&list=1"),
        listen(browser(), f"after={last}&list=1&channel=blog", "b" * 12),
    )
    for each in (here, there):
        first = each.hint()
        assert first["whole"], "the window does not know anybody yet"
        assert (first["collecting"], first["last"]) == ("ok", last)
    number = screens.collect(storby, screens.mention(50, "Var är bussen?", clock()), at=clock())[0]
    told = here.until(lambda hint: bool(hint.get("cases")))
    assert (told["cases"], told["in"]) == ([number], [number])
    assert told["last"] == newest(storby)
    told = there.until(lambda hint: bool(hint.get("cases")))
    assert (told["cases"], told["in"]) == ([number], []), "a list of blogs holds no post on X"


def test_the_stream_is_one_no_proxy_keeps_back_and_no_browser_stores(browser: Open, listen: Listen) -> None:
    headers = listen(browser()).response.headers
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Accel-Buffering"] == "no"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_silent_stream_says_from_time_to_time_that_it_is_there(browser: Open, listen: Listen, storby: House) -> None:
    stream = listen(browser(), f"after={newest(storby)}")
    stream.hint()
    assert next(stream.parts()) == live.STILL


def test_who_comes_back_hears_what_was_missed_and_nothing_twice(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    last = newest(storby)
    missed = screens.collect(storby, screens.mention(51, "Halt på Storgatan", clock()), at=clock())[0]
    stream = listen(browser(), f"after={last - 3}&list=1", **{"Last-Event-ID": str(last)})
    assert stream.hint()["cases"] == [missed], "what the browser says it had last is newer than the address"
    stream.close()
    again = listen(browser(), f"after={newest(storby)}&list=1")
    assert "cases" not in again.hint()


def test_after_a_long_sleep_the_whole_list_is_asked_for(
    browser: Open, listen: Listen, storby: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST", 2)
    told = listen(browser(), "after=0&list=1").hint()
    assert (told["cases"], told["many"], told["last"]) == ([], True, newest(storby))


def test_a_window_that_knows_no_event_hears_from_now_on(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    stream = listen(browser())
    assert stream.hint()["cases"] == []
    number = screens.collect(storby, screens.mention(52, "Soporna?", clock()), at=clock())[0]
    assert stream.until(lambda hint: bool(hint.get("cases")))["cases"] == [number]


@pytest.mark.parametrize("query", ["window=x", "window=", "window=ABCDEFGHIJ", f"window={NAME}&after=x"])
def test_nonsense_is_refused(browser: Open, query: str) -> None:
    assert browser().get(f"/live/stream?{query}").status_code == 400


def test_a_list_that_cannot_be_read_has_no_news_and_its_window_lives(
    browser: Open, storby: House, clock: FakeClock
) -> None:
    told = browser().get(f"/live?window={NAME}&list=1&q=%22&after=0")
    assert told.status_code == 200
    screens.collect(storby, screens.mention(52, "Soporna?", clock()), at=clock())
    later = browser().get(f"/live?window={NAME}&list=1&q=%22&after=0").get_json()
    assert "views" in later or "last" in later, later


# -- what ends it -----------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_its_login_and_keeps_none_alive(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    anna = browser()
    stream = listen(anna)
    stream.hint()
    clock.forward(minutes=61)
    assert stream.ends()
    assert anna.get("/live").status_code == 401


@pytest.mark.parametrize("how", ["logout", "disabled", "elsewhere"])
def test_a_stream_ends_when_the_login_is_taken_away(
    browser: Open, listen: Listen, storby: House, clock: FakeClock, how: str
) -> None:
    anna = browser()
    stream = listen(anna)
    stream.hint()
    if how == "logout":
        anna.post("/logout")
    else:
        with storby.database.transaction() as db:
            who = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
            if how == "disabled":
                who.disabled_at = clock()
            else:
                db.execute(update(LoginSession).where(LoginSession.user_id == who.id).values(created_at=clock() - timedelta(days=1)))  # fmt: skip  # noqa: E501
    clock.forward(seconds=6)
    assert stream.ends()


def test_nobody_hears_without_a_login(browser: Open) -> None:
    for path in ("/live", f"/live/stream?window={NAME}", "/live/rows?case=1", "/live/notices"):
        assert browser(None).get(path).status_code == 401, path


def test_a_window_too_many_asks_instead(
    browser: Open, listen: Listen, storby: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "STREAMS", 1)
    anna = browser()
    listen(anna).hint()
    assert anna.get("/live/stream?window=cccccccccc").status_code == 503
    assert anna.get("/live?window=cccccccccc&after=0").status_code == 200
    listen(anna).hint()  # the same window, come back before its old connection was seen to be gone


def test_a_server_with_open_streams_stops_at_once(
    make_house: Callable[..., House], quick_passwords: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    house = screens.storby(make_house, datetime.now(UTC), listen=f"{address[0]}:{address[1]}")
    server = WebServer(house)
    logged_in = create_app(house).test_client()
    logged_in.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    cookie = logged_in.get_cookie("session")
    assert cookie is not None
    streams = [socket.create_connection(address) for _ in range(20)]
    for number, each in enumerate(streams):
        ask = f"GET /live/stream?window=window{number:04} HTTP/1.1\r\nHost: x\r\nCookie: session={cookie.value}\r\n\r\n"
        each.sendall(ask.encode())
    heard = [each.makefile("rb") for each in streams]
    assert [each.readline() for each in heard] == [b"HTTP/1.1 200 OK\r\n"] * 20
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    assert [each.read()[-5:] for each in heard] == [b"0\r\n\r\n"] * 20, "an end, not a cut"
    for connection in streams:
        connection.close()


# -- visibility -------------------------------------------------------------------------------------------------------


def test_a_case_that_somebody_may_not_see_is_not_named_to_them(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    number, other = screens.collect(
        storby, screens.mention(60, "Om mitt barn", clock()), screens.mention(61, "Gropar", clock()), at=clock()
    )
    with storby.database.transaction() as db:
        team = Team(name="Social", members_only=True)
        db.add(team)
        db.flush()
        db.add(TeamMember(team_id=team.id, email="admin@storby.example"))
        db.execute(update(Case).where(Case.id == number).values(team_id=team.id))
    last = newest(storby) - 2
    boss = listen(browser("mats@storby.example"), f"after={last}&list=1&case={number}", "mats00000000")
    assert boss.until(lambda hint: str(number) in hint.get("there", {}))
    anna = listen(browser(), f"after={last}&list=1")
    told = anna.hint()
    assert (told["cases"], told["in"], told["there"]) == ([other], [other], {})
    asked = browser().get(f"/live?after={last}&list=1").get_json()
    assert (asked["cases"], asked["there"]) == ([other], {})
    assert browser().get(f"/live/rows?case={number}").get_json()["rows"] == []


# -- who is where -----------------------------------------------------------------------------------------------------


def test_who_looks_and_who_writes_is_told_to_everybody(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    number = screens.case_of(storby, "1003").id
    anna, mats = browser(), browser("mats@storby.example")
    looking_on = listen(mats, name="mats00000000")
    looking_on.hint()
    stream = listen(anna, f"case={number}")
    [[_, name, writing]] = looking_on.until(lambda hint: "there" in hint)["there"][str(number)]
    assert (name, writing) == ("Anna Åberg", False)
    body = {"window": NAME, "case": number, "writing": "1"}
    assert anna.post("/live/writing", data=body).status_code == 204
    assert looking_on.until(lambda hint: "there" in hint)["there"][str(number)][0][2] is True
    assert mats.post("/live/writing", data=body).status_code == 202, "of another person's window"
    stream.close()
    assert looking_on.until(lambda hint: "there" in hint)["there"] == {str(number): []}


def test_another_case_in_the_same_window_is_another_place_and_nothing_is_written_there(
    browser: Open, listen: Listen, storby: House
) -> None:
    one, two = (screens.case_of(storby, external_id).id for external_id in ("1003", "1004"))
    anna = browser()
    stream = listen(anna, f"case={one}")
    stream.until(lambda hint: str(one) in hint.get("there", {}))
    anna.post("/live/writing", data={"window": NAME, "case": one, "writing": "1"})
    stream = listen(anna, f"case={two}")
    told = stream.until(lambda hint: str(two) in hint.get("there", {}))["there"]
    assert told[str(two)][0][2] is False
    with storby.database.read() as db:
        assert db.execute(select(Presence.case_id, Presence.writing)).all() == [(two, False)]


def test_processes_tell_each_other_through_the_table(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    number = screens.case_of(storby, "1003").id
    elsewhere = create_app(storby, clock=clock).test_client()
    elsewhere.post("/login", data={"email": "mats@storby.example", "password": screens.PASSWORD})
    looking_on = listen(elsewhere, name="mats00000000")
    looking_on.hint()
    stream = listen(browser(), f"case={number}")
    assert looking_on.until(lambda hint: "there" in hint)["there"][str(number)][0][1] == "Anna Åberg"
    stream.close()
    assert looking_on.until(lambda hint: "there" in hint)["there"] == {str(number): []}


def test_of_a_process_that_was_killed_nobody_stays(storby: House, clock: FakeClock, browser: Open) -> None:
    number = screens.case_of(storby, "1003").id
    with storby.database.transaction() as db:
        presence.keep(db, {"1.gone": (1, number)}, clock())
        assert presence.everywhere(db, clock()).keys() == {number}
    clock.forward(seconds=25)
    with storby.database.transaction() as db:
        assert presence.everywhere(db, clock()) == {}
        clock.forward(seconds=60)
        presence.keep(db, {"1.new": (1, number)}, clock())
        assert db.scalars(select(Presence.window)).all() == ["1.new"], "what was left behind stays in the table"


def test_two_windows_of_one_person_are_one_person(storby: House, clock: FakeClock, browser: Open) -> None:
    number = screens.case_of(storby, "1003").id
    with storby.database.transaction() as db:
        presence.keep(db, {"1.one": (1, number), "1.two": (1, number)}, clock())
        assert presence.write(db, "1.one", 1, number, True)
        assert not presence.write(db, "1.one", 2, number, True)
        [(who,)] = presence.everywhere(db, clock()).values()
        assert (who.user_id, who.writing) == (1, True)
        presence.leave(db, {"1.two": clock() - timedelta(seconds=1)})
        assert len(db.scalars(select(Presence)).all()) == 2, "another process has heard of it since"


def test_presence_is_written_when_it_changes_and_refreshed_now_and_then(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    number = screens.case_of(storby, "1003").id
    stream = listen(browser(), f"case={number}")
    stream.until(lambda hint: str(number) in hint.get("there", {}))
    writes: list[str] = []
    engine = storby.database.engine

    def count(_c: Any, _cu: Any, statement: str, *_: Any) -> None:
        if "presence" in statement and not statement.lstrip().startswith("SELECT"):
            writes.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        next(stream.parts())  # a dozen looks
        assert writes == []
        clock.forward(seconds=11)
        assert comes_true(lambda: any("INSERT" in each for each in writes))
        next(stream.parts())
        assert sum("INSERT" in each for each in writes) == 1
    finally:
        event.remove(engine, "before_cursor_execute", count)


# -- asking -----------------------------------------------------------------------------------------------------------


def test_a_window_without_a_stream_asks_and_hears_the_same(browser: Open, storby: House, clock: FakeClock) -> None:
    anna, last = browser(), newest(storby)
    first = anna.get(f"/live?after={last}&list=1").get_json()
    assert (first["last"], first["collecting"], first["whole"]) == (last, "ok", True)
    same = f"&list=1&state={first['state']}"
    assert anna.get(f"/live?after={last}{same}").status_code == 204
    number = screens.collect(storby, screens.mention(50, "Var är bussen?", clock()), at=clock())[0]
    told = anna.get(f"/live?after={last}{same}").get_json()
    assert (told["cases"], told["in"]) == ([number], [number])
    assert anna.get(f"/live?after={told['last']}{same}").status_code == 204
    assert anna.get(f"/live?after={last}&list=1&channel=blog").get_json()["in"] == []
    clock.forward(seconds=16)
    assert anna.get(f"/live?after={told['last']}{same}").get_json()["collecting"] == "down"
    for nonsense in ("x", "-1", "1" * 30):
        assert anna.get(f"/live?after={nonsense}").status_code == 400


def test_a_window_that_asks_is_somewhere_until_it_stops_asking(
    browser: Open, listen: Listen, storby: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "POLLED", 1.0)
    number = screens.case_of(storby, "1003").id
    mats = listen(browser("mats@storby.example"), name="mats00000000")
    mats.hint()
    browser().get(f"/live?window={NAME}&case={number}")
    assert mats.until(lambda hint: "there" in hint)["there"][str(number)][0][1] == "Anna Åberg"
    assert mats.until(lambda hint: "there" in hint)["there"] == {str(number): []}


def test_rows_come_as_they_are_now(browser: Open, storby: House) -> None:
    number = screens.case_of(storby, "1003").id
    told = browser().get(f"/live/rows?case={number}&case=999&channel=blog").get_json()
    [row] = told["rows"]
    assert (row["case"], row["in"], told["last"]) == (number, False, newest(storby))
    assert "er strømmen snart tilbake" in row["html"]
    assert f'href="/cases/{number}?channel=blog"' in row["html"], "the row leads to the case in this list"


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_many_windows_ask_the_database_no_more_than_one(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    browser()
    last = newest(storby)
    watching = create_app(storby, clock=clock).extensions["gensvar.hub"]
    with storby.database.read() as db:
        who = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        login = db.scalars(select(LoginSession.id)).one()
    screens.collect(storby, screens.mention(70, "Var är plogen?", clock()), at=clock())
    asked: list[str] = []
    event.listen(storby.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def looked(windows: int) -> int:
        watching._windows = {str(at): hub.Window(str(at), who, login, last=last) for at in range(windows)}
        asked.clear()
        watching.look()
        assert all(each.mailbox.qsize() == 1 for each in watching._windows.values())
        return len(asked)

    looked(1)  # asks about the login too
    assert looked(1) == looked(100) <= 9


def test_a_stream_holds_no_connection_and_without_windows_nobody_looks(
    browser: Open, listen: Listen, storby: House
) -> None:
    stream = listen(browser())
    stream.hint()
    next(stream.parts())
    assert comes_true(lambda: storby.database.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    stream.close()
    watching = browser(None).application.extensions["gensvar.hub"]
    assert comes_true(lambda: watching._thread is None)


AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("numbers", "age", "told"),
    [
        ([5, 6, 7], 0, 7),
        ([5, 7, 8], 1, 5),  # 6 may still be committed
        ([6, 7], 1, 4),
        ([5, 7, 8], 6, 8),  # it was taken back
        ([], 0, 4),
    ],
)
def test_a_number_that_is_missing_is_waited_for_a_while(numbers: list[int], age: int, told: int) -> None:
    since = [(number, 1, AT - timedelta(seconds=age)) for number in numbers]
    assert hub.settled(4, since, AT) == told


# -- the navigation ---------------------------------------------------------------------------------------------------


def test_the_views_are_counted_anew_when_something_has_happened(
    browser: Open, listen: Listen, storby: House, clock: FakeClock
) -> None:
    stream = listen(browser(), f"after={newest(storby)}&list=1")
    before = stream.until(lambda hint: "counts" in hint)["counts"]
    number = screens.collect(storby, screens.mention(50, "Var är bussen?", clock()), at=clock())[0]
    after = stream.until(lambda hint: "counts" in hint)["counts"]
    assert {view: (before[view], count) for view, count in after.items() if count != before[view]} == {
        "/": ("5", "6"),
        "/?assignee=none": ("5", "6"),
    }
    with storby.database.transaction() as db:
        db.execute(update(Case).where(Case.id == number).values(next_breach_at=clock() + timedelta(minutes=30)))
    clock.forward(minutes=31)
    screens.collect(storby, screens.mention(51, "Hallå?", clock()), at=clock())
    assert stream.until(lambda hint: "counts" in hint)["counts"]["/?due=late"] == "1", "as of now, not of then"
