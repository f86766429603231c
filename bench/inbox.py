"""What the inbox costs when there is much in it: server time, bytes and queries of each screen, on both databases.

    python -m bench.inbox [--cases 300000] [--on sqlite postgresql] [--keep FOLDER]

Builds a seeded house of so many cases (100,000) with ten mentions for every three and a tenth of them unfinished,
PostgreSQL with the server the tests use, then asks every screen some times. ``work`` is the processor time of this
process and of PostgreSQL's, which says more than the clock on a machine that others use as well. A statement whose plan
reads a large table whole is shown under it.

``--keep``: the databases stay in that folder, and are used again where they are there.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, insert, select, text
from werkzeug.test import TestResponse

import house as house_module
from bench.kept import Meter, opened
from database import Database
from house import House
from models import (  # fmt: skip
    Author,
    Case,
    CaseEvent,
    CaseStatus,
    CaseTag,
    Kind,
    Mention,
    MentionSource,
    Note,
    Reply,
    SearchText,
    Source,
    Team,
    User,
)
from triage import index
from web import create_app, passwords

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
SEED = 4
TIMES = 9
AT_ONCE = 5_000
LONG, LONG_ONE = 200, 11  # messages in one case, so many before the last
PASSWORD = "inbox-bench-password"  # noqa: S105
LARGE = (
    "cases", "mentions", "search_texts", "case_events", "authors", "replies", "case_tags", "samples", "backlog",
)  # fmt: skip
SYLLABLES = (
    "snö", "is", "väg", "gat", "plog", "sand", "skol", "buss", "park", "lek", "bro", "torg", "vatten", "avlopp", "sop",
    "kärl", "lyse", "häck", "å", "ål", "ök", "mar",
)  # fmt: skip
ENDS = ["", "en", "ar", "ning", "ningen", "ade", "erna", "s"]


def vocabulary(chance: random.Random) -> list[str]:
    """Common words first: they are drawn as words are, the n-th a n-th as often."""
    made = ["och", "att", "det", "som", "inte", "snö", "vägen", "när", "kommer", "ni"]
    while len(made) < 20_000:
        made.append("".join(chance.choices(SYLLABLES, k=chance.choice((2, 2, 3)))) + chance.choice(ENDS))
    return made


def build(database: Database, cases: int) -> None:
    chance = random.Random(SEED)
    words = vocabulary(chance)
    weights = [1 / (place + 3) for place in range(len(words))]
    drawn = chance.choices(words, weights, k=500_000)

    def said(length: int) -> str:
        start = chance.randrange(len(drawn) - length)
        return " ".join(drawn[start : start + length])

    with database.engine.begin() as connection, _indexed_afterwards(connection):
        if database.sqlite:
            connection.exec_driver_sql("PRAGMA cache_size=-400000")
        users: list[dict[str, Any]] = [
            {"id": n, "email": f"agent{n}@storby.example", "name": f"Agent {n}", "role": "admin" if n == 1 else "agent",
             "password_hash": passwords.hash_password(PASSWORD) if n == 1 else None, "created_at": AT,
             "preferences": {}}
            for n in range(1, 51)
        ]  # fmt: skip
        connection.execute(insert(User), users)
        connection.execute(insert(Team), [{"id": n, "name": f"Team {n}"} for n in range(1, 9)])
        source = {"channel": "api", "definition": {}, "enabled": True, "created_at": AT}
        connection.execute(insert(Source), [{"id": n, "name": f"source-{n}", **source} for n in range(1, 21)])
        many = cases // 2
        for some in _some(1, many):
            rows = [
                {"id": n, "channel": "api", "external_id": str(n), "name": f"{said(1).title()} {n}", "handle": f"h{n}",
                 "followers": n % 5000, "first_seen_at": AT}
                for n in some
            ]  # fmt: skip
            _insert(connection, Author, rows, ("name", "handle"))
        for some in _some(1, cases):
            _cases(connection, some, cases, chance, said)
    _settle(database)


@contextmanager
def _indexed_afterwards(connection: Connection) -> Iterator[None]:
    """The index of search is built at once when everything is there: far quicker than row by row."""
    if connection.dialect.name == "sqlite":
        sql = text("SELECT sql FROM sqlite_master WHERE name = 'search_texts_insert'")
        gone, again = "DROP TRIGGER search_texts_insert", ["INSERT INTO search_index(search_index) VALUES ('rebuild')"]
    else:
        sql = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'search_index'")
        gone, again = "DROP INDEX search_index", ["SET LOCAL maintenance_work_mem = '512MB'"]
    made = connection.scalars(sql).one()
    connection.exec_driver_sql(gone)
    yield
    for statement in (*again, made):
        connection.exec_driver_sql(statement)


def _cases(connection: Connection, some: range, cases: int, chance: random.Random, said: Any) -> None:
    rows, mentions, found, replies, notes, tags = [], [], [], [], [], []
    events: list[dict[str, Any]] = []
    every = dict.fromkeys(("from_status", "to_status", "mention_id", "reply_id", "note_id"))
    for n in some:
        active = AT - timedelta(minutes=(cases - n) * 5 + chance.randrange(2_000))
        parts = LONG if n == cases - LONG_ONE else 4 if n % 3 == 0 else 3
        unfinished = n > cases * 0.95 or chance.random() < 0.05
        status = chance.choice(["new", "open", "pending"]) if unfinished else chance.choice(["resolved", "closed"])
        subject = said(8)
        steps: list[dict[str, Any]] = []
        rows.append(
            {"id": n, "channel": "api", "source_id": n % 20 + 1, "author_id": n // 2 or 1, "subject": subject,
             "status": status, "closed_at": active if status == CaseStatus.closed else None, "priority": "normal",
             "kind": chance.choice(list(Kind)), "sentiment": "neutral", "language": "sv", "settled": [],
             "assignee_id": chance.choice([None, *range(1, 51)]), "team_id": chance.choice([None, 1, 2, 3, 4]),
             "opened_at": active, "seen_at": active, "last_activity_at": active, "version": 1,
             "next_breach_at": AT + timedelta(minutes=chance.randrange(-500, 5000)) if unfinished else None,
             "flag": "reply_failed" if unfinished and chance.random() < 0.001 else None,
             "mention_count": parts, "reply_count": 0 if unfinished else 1}
        )  # fmt: skip
        for part in range(parts):
            id = 4 * n + part if part < 4 else 4 * cases + LONG + part
            steps.append({"action": "author_wrote" if part else "opened", "mention_id": id})
            found.append({"mention_id": id, "source_id": n % 20 + 1, "found_at": active})
            mentions.append(
                {"id": id, "channel": "api", "external_id": str(id), "case_id": n, "author_id": n // 2 or 1,
                 "text": subject + " " + said(20) if part == 0 else said(25), "language": "sv", "title": None,
                 "html": None, "url": None, "published_at": active, "collected_at": active, "reply_address": {},
                 "attachments": []}
            )  # fmt: skip
        if not unfinished:
            replies.append(
                {"id": n, "case_id": n, "channel": "api", "to_mention_id": 4 * n, "user_id": 1, "body": said(20),
                 "status": "sent", "created_at": active, "sent_at": active}
            )  # fmt: skip
            steps.append({"action": "reply_sent", "reply_id": n, "from_status": "new", "to_status": status})
        if n % 10 == 0:
            notes.append({"id": n, "case_id": n, "user_id": 1, "body": said(12), "created_at": active})
            steps.append({"action": "note", "note_id": n})
            tags.append(
                {"case_id": n, "tag": chance.choice(["snö", "väg", "sällan"] if n % 1000 == 0 else ["snö", "väg"])}
            )
        events += [
            {"case_id": n, "version": version, "actor": "system", "changes": {}, "at": active, **every, **step}
            for version, step in enumerate(steps, 1)
        ]
    connection.execute(insert(Case), rows)
    _insert(connection, Mention, mentions, index.PARTS[Mention])
    for table, made in ((Reply, replies), (Note, notes)):
        if made:
            _insert(connection, table, made, ("body",))
    for plain, made in ((CaseTag, tags), (MentionSource, found), (CaseEvent, events)):
        connection.execute(insert(plain), made)


def _insert(connection: Connection, table: Any, rows: list[dict[str, Any]], parts: Sequence[str]) -> None:
    connection.execute(insert(table), rows)
    entries = [
        {index.KEYS[table]: row["id"], "text": index.folded(table, [row[each] for each in parts])} for row in rows
    ]
    connection.execute(insert(SearchText), entries)


def _some(first: int, last: int) -> Iterator[range]:
    for start in range(first, last + 1, AT_ONCE):
        yield range(start, min(start + AT_ONCE, last + 1))


def _settle(database: Database) -> None:
    """As it is after a while: PostgreSQL looks by itself how much there is, SQLite is never told."""
    if not database.sqlite:
        with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


# -- asking ------------------------------------------------------------------------------------------------------------


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    told: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            told.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def whole_tables(database: Database, told: Sequence[tuple[str, Any]]) -> list[str]:
    """Statements that read a large table from end to end, or sort what they found without an index."""
    bad = []
    with database.engine.execution_options(reading=True).connect() as connection:
        for statement, parameters in told:
            prefix = "EXPLAIN QUERY PLAN " if database.sqlite else "EXPLAIN "
            plan = [str(row[-1]) for row in connection.exec_driver_sql(prefix + statement, parameters)]
            ends = "LIMIT" in statement and not any("TEMP B-TREE" in line for line in plan)  # in the order of the key
            found = [line.strip() for line in plan if _reads_all(line) and not ends]
            if found:
                bad.append(f"{'; '.join(found)}  <- {' '.join(statement.split())[:150]}")
    return bad


def _reads_all(line: str) -> bool:
    words = line.replace("Parallel ", "").split()
    if words[:1] == ["SCAN"] and words[1] in LARGE:
        return "USING" not in words
    return "Seq Scan on" in " ".join(words) and any(f" {table} " in f"{line} " for table in LARGE)


def screens(cases: int, word: str) -> dict[str, str]:
    number = cases - 10
    return {
        "list": "/",
        "list, all": "/?status=all",
        "list, oldest first": "/?sort=oldest",
        "list, most urgent first": "/?sort=urgent",
        "mine": "/?assignee=me",
        "resolved": "/?status=resolved",
        "filter: team and kind": "/?team=Team+2&kind=idea",
        "filter: tag": "/?status=all&tag=snö",
        "filter: a rare tag": "/?status=all&tag=sällan",
        "filter: source": "/?status=all&source=source-3",
        "filter: unread, due": "/?is=unread&due=late",
        "filter: language, before a day": "/?status=all&language=sv&until=2026-06-01",
        "search: a common word": "/search?q=inte",
        "search: a word in others": "/search?q=snö",
        "search: a rare word": f"/search?q={word}",
        "search: common, to do, mine": "/search?q=inte+status:new+assignee:me",
        "search: two words": f"/search?q=inte+{word[:6]}*",
        "search: a phrase": '/search?q="inte+snö"',
        "search: forms of a word": "/search?q=~väg",
        "search: two letters": "/search?q=is",
        "search: not there": "/search?q=xylofonkonsert",
        "search: author": "/search?q=author:h4711",
        "search: a number": f"/search?q={number}",
        "search: operators only": "/search?q=status:new+is:unread+-tag:snö",
        "dashboard": "/dashboard",
        "views": "/views",
        "case": f"/cases/{number}",
        "case, pane alone": f"/cases/{number}?pane",
        f"case of {LONG} messages": f"/cases/{cases - LONG_ONE}",
        f"case of {LONG} messages, pane alone": f"/cases/{cases - LONG_ONE}?pane",
    }


def measure(house: House, cases: int) -> None:
    app = create_app(house, clock=lambda: AT)
    client = app.test_client()
    client.post("/login", data={"email": "agent1@storby.example", "password": PASSWORD})
    word = next(w for w in reversed(vocabulary(random.Random(SEED))) if len(w) > 12)
    gc.collect()
    gc.freeze()  # as the server does
    print(f"{'':36} {'work':>16} {'clock':>18}")
    print(f"{'screen':36} {'median':>7} {'p95':>8} {'median':>9} {'p95':>8} {'bytes':>9} {'packed':>7} {'queries':>7}")
    for name, address in screens(cases, word).items():
        headers = {"HX-Target": "case"} if address.endswith("?pane") else {}

        def ask(address: str = address.removesuffix("?pane"), headers: dict[str, str] = headers) -> TestResponse:
            return client.get(address, headers=headers)

        with statements(house.database) as told:
            answer = ask()
        assert answer.status_code == 200, (name, answer.status)
        took, worked = [], []
        with Meter(house.database) as meter:
            for _ in range(TIMES):
                began, busy = time.perf_counter(), time.process_time()
                ask()
                took.append((time.perf_counter() - began) * 1000)
                worked.append((time.process_time() - busy) * 1000)
        server = (meter.work * 1000 - sum(worked)) / TIMES  # counted in hundredths of a second: of all together
        worked = [each + server for each in worked]
        sizes = f"{len(answer.data):9} {len(gzip.compress(answer.data, 5)):7}"
        print(f"{name:36} {_times(worked)} {_times(took)}  {sizes} {len(told):7}", flush=True)
        for bad in whole_tables(house.database, told):
            print(f"    not by index: {bad}")


def _times(measured: Sequence[float]) -> str:
    p95 = sorted(measured)[int(len(measured) * 0.95)]
    return f"{statistics.median(measured):7.1f} {p95:7.1f} ms"


def on(name: str, cases: int, keep: Path | None) -> None:
    with opened(name, keep) as (database, folder):
        with database.read() as db:
            there = db.scalar(select(func.count()).select_from(Case)) or 0
        if not there:
            began = time.perf_counter()
            build(database, cases)
            print(f"built in {time.perf_counter() - began:.0f} s", flush=True)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"{name}, {there or cases} cases, {os.cpu_count()} processors, load {load}", flush=True)
        if database.sqlite and database.url.database:
            print(f"{Path(database.url.database).stat().st_size / 1e6:.0f} MB on disk")
        parts = {
            "organisation": {"name": "Storby kommun", "timezone": "Europe/Stockholm", "languages": ["sv"]},
            "base_url": "http://127.0.0.1:8000", "listen": "127.0.0.1:8000", "data_dir": str(folder / "var"),
            "database_url": database.url.render_as_string(False),
        }  # fmt: skip
        measure(house_module.build(parts, database), there or cases)


def main() -> None:
    wanted = argparse.ArgumentParser(description="What the inbox costs when there is much in it.")
    wanted.add_argument("--cases", type=int, default=100_000)
    wanted.add_argument("--on", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    wanted.add_argument("--keep", type=Path)
    asked = wanted.parse_args()
    for name in asked.on:
        on(name, asked.cases, asked.keep)


if __name__ == "__main__":
    main()
