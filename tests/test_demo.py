"""The demo as a newcomer meets it: started as a command, seen through the login, the inbox, the API, the outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import psutil
import pytest
import requests
from sqlalchemy import func, select

from database import Database
from models import Backlog, Case, CaseEvent, CaseStatus, FigureCheck, Notice, SharedAnswerPart
from triage import samples

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
T = TypeVar("T")


def until(what: Callable[[], T], failing: str, seconds: float = 60) -> T:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{failing} within {seconds:.0f} s")


@dataclass
class Demo:
    process: subprocess.Popen[str]
    said: str
    inbox: str
    outside: str
    email: str
    password: str
    data: Path

    def family(self) -> list[psutil.Process]:
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]


def start(data: Path, weeks: int | None = None) -> Demo:
    """With so many weeks of past, or (None) as ``gensvar demo`` starts it."""
    command = [sys.executable, str(ROOT / "cli.py"), "demo", "--port", "0", "--outside-port", "0", "--data", str(data)]
    if weeks is not None:
        main = (
            f"from pathlib import Path; from sandbox import demo; demo.main(0, 0, Path({str(data)!r}), weeks={weeks})"
        )
        command = [sys.executable, "-c", main]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    said = ""
    while "Ctrl-C ends it" not in said:
        line = process.stdout.readline()
        assert line, f"the demo ended: {process.wait(60)}\n{said}"
        said += line
    addresses = re.findall(r"http://127\.0\.0\.1:\d+", said)
    login = re.search(r"log in as (\S+), password (\S+)", said)
    assert len(addresses) == 2 and login, said
    inbox, outside = addresses
    return Demo(process, said, inbox, outside, login[1], login[2], data)


def end(demo: Demo) -> None:
    for process in demo.family() if demo.process.poll() is None else []:
        process.kill()
    demo.process.wait(60)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    found = start(tmp_path_factory.mktemp("demo") / "data", weeks=1)
    yield found
    end(found)


@pytest.fixture(scope="module")
def browser(demo: Demo) -> requests.Session:
    """Somebody who has logged in through the form."""
    session = requests.Session()
    session.trust_env = False
    assert session.get(f"{demo.inbox}/", timeout=60).url.startswith(f"{demo.inbox}/login"), "not asked to log in"
    form = {"email": demo.email, "password": demo.password}
    answer = session.post(f"{demo.inbox}/login", data=form, timeout=60)
    assert answer.status_code == 200 and answer.url == f"{demo.inbox}/", answer.url
    return session


@pytest.fixture(scope="module")
def api(demo: Demo) -> Callable[..., Any]:
    command = [sys.executable, str(ROOT / "cli.py"), "--config", str(demo.data / "config.yaml")]
    made = subprocess.run(
        [*command, "token", "create", demo.email, "--name", "test"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}

    def get(path: str, **query: str) -> Any:
        answer = requests.get(f"{demo.inbox}/api/v1{path}", params=query, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


class _Forms(HTMLParser):
    """The fields of the form with an id, as a browser would send them."""

    def __init__(self, id: str) -> None:
        super().__init__()
        self.id, self.inside, self.action, self.select = id, False, "", ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = given.get("id") == self.id
            self.action = given["action"] if self.inside else self.action
        elif self.inside and tag == "input" and given.get("type") != "checkbox":
            self.fields[given["name"]] = given.get("value", "")
        elif self.inside and tag == "select":
            self.select = given["name"]
        elif self.inside and tag == "option" and ("selected" in given or self.select not in self.fields):
            self.fields[self.select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "form"


def answer_in_the_inbox(demo: Demo, browser: requests.Session, number: int, body: str, then: str) -> None:
    page = browser.get(f"{demo.inbox}/cases/{number}", timeout=60)
    assert page.status_code == 200
    form = _Forms("reply-form")
    form.feed(page.text)
    assert form.action, "the case has no composer"
    sent = browser.post(f"{demo.inbox}{form.action}", data=form.fields | {"body": body, "then": then}, timeout=60)
    assert sent.status_code == 200, sent.text


def column(demo: Demo, key: str) -> str:
    answer = requests.get(f"{demo.outside}/columns/{key}", timeout=60)
    assert answer.status_code == 200
    return unescape(answer.text)


def write(demo: Demo, place: str, text: str, to: str = "") -> None:
    form = {"place": place, "to": to, "name": "Testa Testlund", "text": text}
    answer = requests.post(f"{demo.outside}/write", data=form, timeout=60)
    assert answer.status_code == 200, answer.text


def test_the_inbox_fills_within_seconds(demo: Demo, browser: requests.Session, api: Callable[..., Any]) -> None:
    until(lambda: browser.get(demo.inbox, timeout=60).text.count("/cases/") >= 10, "ten cases are not in the inbox")
    until(lambda: api("/cases", status="new")["total"] >= 40, "fewer than 40 cases from the story's past")
    for channel in ("twitter", "facebook", "blog"):
        assert until(partial(any_case, api, channel), f"nothing of {channel} is there")


def test_the_reports_have_a_past_that_disturbs_nobody(demo: Demo, api: Callable[..., Any]) -> None:
    """A week, and some days a year before: asked, answered and done with through the doors of the house."""
    until(lambda: api("/cases", status="new")["total"], "nothing came in after it")
    today = datetime.now(ZoneInfo("Europe/Stockholm")).date()
    week = {"from": f"{today - timedelta(days=8)}", "to": f"{today}"}

    def week_told() -> Any:
        found = api("/reports/response-times", by="team", **week)
        return found if found["total"]["received"] >= 20 and found["total"]["first_response"]["n"] >= 15 else None

    told = until(week_told, "the week is not told as a whole")
    assert {"Gata och park", "Kontaktcenter"} <= {row["key"] for row in told["rows"]}
    year_ago = {"from": f"{today - timedelta(days=380)}", "to": f"{today - timedelta(days=360)}"}
    assert api("/reports/response-times", **year_ago)["total"]["first_response"]["n"]

    database = Database(f"sqlite:///{demo.data / 'gensvar.db'}")
    with database.read() as db:
        nights = {date.fromordinal(day) for day in db.scalars(select(Backlog.day))}
        assert {today - timedelta(days=n) for n in range(8)} <= nights, "the midnights of the backlog"
        first_new = db.scalar(select(func.min(Case.id)).where(Case.status == CaseStatus.new)) or 0
        alive = (CaseStatus.new, CaseStatus.open, CaseStatus.pending)
        assert db.scalar(select(Case.id).where(Case.id < first_new, Case.status.in_(alive))) is None, (
            "what is old is done"
        )
        old = Notice.event_id.in_(select(CaseEvent.id).where(CaseEvent.case_id < first_new))
        assert db.scalar(select(Notice.id).where(old, Notice.seen_at.is_(None))) is None, (
            "nobody is told of it any more"
        )
        assert db.scalar(select(func.count()).select_from(SharedAnswerPart)) or 0 >= 5, "one answer for all went out"
        assert not db.scalar(select(Case.id).where(Case.imported)), "it was lived, not imported"
    assert samples.check(database, datetime.now(UTC), most=100_000) and not differences(database)
    database.close()


def differences(database: Database) -> list[Any]:
    with database.read() as db:
        return [each for check in db.scalars(select(FigureCheck)) for each in check.differences]


def any_case(api: Callable[..., Any], channel: str) -> bool:
    return bool(api("/cases", channel=channel)["total"])


@pytest.mark.parametrize(
    ("key", "place", "text", "under"),
    [
        ("x", "x", "@storby hallå, vem sandar Provgatan?", None),
        ("facebook", "facebook", "Provgatan är spegelblank, sandar ni i dag?", "Nu snöar det på allvar"),
        ("blog", "storbybloggen", "Kommer det någon sand till Provgatan?", "Snöoväder på väg in"),
    ],
)
def test_what_is_written_outside_is_answered_inside_and_answered_back(
    demo: Demo, browser: requests.Session, api: Callable[..., Any], key: str, place: str, text: str, under: str | None
) -> None:
    """A tweet, a Facebook comment, a blog comment: in the inbox, answered, seen outside, and open again."""

    def outside_post(words: str) -> str:
        posts = re.findall(r'<li class="post [^"]*" data-post="([^"]*)">(.*?)</li>', column(demo, key), re.S)
        return next((id for id, inner in posts if words in inner), "")

    def cases() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api("/cases", q="Provgatan", channel=channel_of(key))["cases"]
        return found

    answer = f"Vi sandar Provgatan i kväll ({key})."
    write(demo, place, text, until(lambda: outside_post(under), f"{under} is not outside") if under else "")
    (case,) = until(cases, "it is not in the inbox")
    number = case["number"]
    assert case["status"] == "new" and case["author"]["name"] == "Testa Testlund"

    answer_in_the_inbox(demo, browser, number, answer, "resolve")
    assert api(f"/cases/{number}")["status"] == "resolved"
    ours = until(lambda: outside_post(answer), "the answer is not outside")
    thread = next(part for part in column(demo, key).split("<article") if text in part)
    assert answer in thread and "Official answer" in thread

    write(demo, place, "Det är fortfarande inte sandat!", ours)
    until(lambda: api(f"/cases/{number}")["status"] == "open", "the case is not open again")
    entries = api(f"/cases/{number}")["entries"]
    said = [entry["text"] for entry in entries if (entry.get("author") or {}).get("name") == "Testa Testlund"]
    assert len(said) == 2 and "fortfarande inte sandat" in said[1]
    replies = [entry for entry in entries if entry["type"] == "reply"]
    assert [(reply["body"], reply["status"]) for reply in replies] == [(answer, "sent")], "sent once, seen once"


def channel_of(key: str) -> str:
    return {"x": "twitter"}.get(key, key)


def test_a_port_that_is_taken_is_replaced_and_a_second_demo_is_refused(demo: Demo) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), "demo", "--data", str(demo.data)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT)
    assert second.returncode == 1
    assert "already running" in second.stderr and "Traceback" not in second.stderr


@pytest.mark.parametrize(("ending", "weeks"), [(signal.SIGTERM, None), (signal.SIGINT, 0), (signal.SIGKILL, 0)])
def test_however_it_ends_nothing_is_left_running(tmp_path: Path, ending: signal.Signals, weeks: int | None) -> None:
    """While it collects, and while its past is told, before that."""
    demo = start(tmp_path / "data", weeks)
    try:
        begun = 1 if weeks is None else 2
        family = until(lambda: found if len(found := demo.family()) >= begun else [], "nothing collects")
        os.kill(demo.process.pid, ending)
        code = demo.process.wait(60)
        assert code == (-ending if ending == signal.SIGKILL else 0)
        _, left = psutil.wait_procs(family, timeout=60)
        assert left == []
    finally:
        end(demo)
