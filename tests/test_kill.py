"""Kill -9 in the middle, four times on SQLite and three on PostgreSQL.

Nothing is lost, nothing is there twice, every answer is settled or shown to a person.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import func, select

from database import Database
from house import House, build
from jobs import utcnow
from models import Case, CaseEvent, Mention, Reply
from replies.outbox import submit
from sandbox.base import serving
from sandbox.twitter import X
from tests.conftest import config
from tests.factories import user
from triage.states import replay

CLI = Path(__file__).parent.parent / "cli.py"
ROUNDS = {"sqlite": 4, "postgresql": 3}
MENTIONS = 200
ANSWERS = 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


class Kills:
    """Runs ``gensvar COMMAND`` and kills it when ``ripe`` says so."""

    def __init__(self, config_file: Path) -> None:
        self.command = [sys.executable, str(CLI), "--config", str(config_file)]

    def run(self, command: str) -> None:
        done = subprocess.run([*self.command, command], capture_output=True, text=True, timeout=120)
        assert "Unexpected" not in done.stderr, done.stderr

    def kill_in_the_middle(self, command: str, ripe: Callable[[], bool]) -> bool:
        """True when it was killed, False when it had ended by then."""
        process = subprocess.Popen([*self.command, command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if ripe():
                time.sleep(random.uniform(0, 0.1))  # anywhere between two looks, also within a transaction
                process.kill()
                process.wait()
                return process.returncode == -9
            time.sleep(0.005)
        return False


@dataclass
class Round:
    number: int
    x: X
    house: House
    kills: Kills

    @property
    def database(self) -> Database:
        return self.house.database

    def count(self, table: type, *where: Any) -> int:
        with self.database.read() as db:
            return db.scalar(select(func.count()).select_from(table).where(*where)) or 0

    def reached(self, number: int, table: type, *where: Any) -> bool:
        return self.count(table, *where) >= number


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def rounds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Round]:
    """Some times a new network and an empty database."""

    def play() -> Iterator[Round]:
        for number in range(ROUNDS[request.param]):
            with ExitStack() as stack:
                if request.param == "postgresql":
                    url = stack.enter_context(request.getfixturevalue("postgresql").fresh())
                else:
                    file = tmp_path / f"round-{number}.db"
                    shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
                    url = f"sqlite:///{file}"
                database = Database(url)
                stack.callback(database.close)
                x = X()
                base = stack.enter_context(serving(x.app))
                source = {"name": "mentions", "account": "storby-x", "collect": "mentions", "since": "all"}
                accounts = [x.account("storby-x", base)]
                given = config(tmp_path, database, accounts=accounts, sources=[source], replies={"hold": "0s"})
                config_file = tmp_path / "config.yaml"
                config_file.write_text(yaml.safe_dump(given, allow_unicode=True))
                yield Round(number, x, build(given, database), Kills(config_file))

    return play()


def test_collecting(rounds: Iterator[Round]) -> None:
    killed = []
    for round in rounds:
        asked = ""
        for number in range(MENTIONS):
            above = asked if number % 4 else None
            asked = round.x.write(f"Person {number % 40}", f"@storby fråga {number}", in_reply_to=above)
        threshold = random.Random(round.number).randrange(0, MENTIONS - 100, 20)
        killed.append(round.kills.kill_in_the_middle("collect", partial(round.reached, threshold, Mention)))
        round.kills.run("collect")
        assert (round.count(Mention), round.count(Case), round.count(CaseEvent)) == (MENTIONS, MENTIONS // 4, MENTIONS)
        with round.database.read() as db:
            assert db.scalar(select(func.sum(Case.mention_count))) == MENTIONS
    assert killed, "nothing was played"
    assert all(killed), f"only {sum(killed)} of {len(killed)} were still running when they should have been killed"


def slowly(app: Callable[..., Any]) -> Callable[..., Any]:
    def slow(environ: Any, start_response: Any) -> Any:
        time.sleep(0.03)
        return app(environ, start_response)

    return slow


def test_sending(rounds: Iterator[Round]) -> None:
    killed = []
    for round in rounds:
        for number in range(ANSWERS):
            round.x.write(f"Person {number}", f"@storby fråga {number}")
        round.kills.run("collect")
        round.x.app.wsgi_app = slowly(round.x.app.wsgi_app)  # type: ignore[method-assign]  # so that there is a middle
        with round.database.transaction() as db:
            for mention in list(db.scalars(select(Mention))):
                assert mention.case_id is not None
                body = f"Svar på {mention.external_id}"
                submit(db, round.house, mention.case_id, body=body, user=user(db), at=utcnow())
        wanted = random.Random(round.number).randrange(1, ANSWERS - 8)
        ripe = partial(round.reached, wanted, Reply, Reply.status == "sent")
        killed.append(round.kills.kill_in_the_middle("send", ripe))
        for _ in range(2):
            round.kills.run("send")
        _nothing_lost_and_nothing_twice(round)
    assert killed, "nothing was played"
    assert all(killed), f"only {sum(killed)} of {len(killed)} were still running when they should have been killed"


def _nothing_lost_and_nothing_twice(round: Round) -> None:
    outside = Counter(post.text for post in round.x.posts() if post.ours)
    with round.database.read() as db:
        replies = list(db.scalars(select(Reply)))
        assert len(replies) == ANSWERS
        for reply in replies:
            seen = outside[reply.body]
            assert seen <= 1, f"{reply.body} was published {seen} times"
            assert reply.status in ("sent", "failed", "uncertain"), reply.status
            assert (reply.status == "sent") == (seen == 1), f"{reply.status}, yet published {seen} times"
            case = db.get_one(Case, reply.case_id)
            assert (case.flag == "reply_uncertain") == (reply.status == "uncertain")
            events = db.scalars(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id))
            assert replay((event.from_status, event.to_status) for event in events) == case.status
