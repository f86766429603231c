"""What reports cost when there is much behind them: time, memory and statements of each, on both databases.

    python -m bench.reports [--cases 300000] [--on sqlite postgresql] [--keep FOLDER]

Builds so many cases of three years (``bench.years``), has ``triage.samples`` measure them, and asks for every report:
a month beside the one before and the same a year ago, a year, all three; by what it can be grouped by. ``work`` is the
processor time of this process and of PostgreSQL's, which says more than the clock on a machine that others use as well.
``memory`` is how much more this process held at most. A statement that reads a large table whole is shown.

``--keep``: the databases stay in that folder, and are used again where they are there.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import func, select

import channels
import house as house_module
from bench import years
from bench.inbox import PASSWORD, statements, whole_tables
from bench.kept import Meter, opened
from collectors.base import AuthorData, Batch, MentionData
from database import Database
from models import Case, CaseEvent, FigureCheck, Mention, Sample, Unmeasured, User
from reports import figures, tables
from reports.figures import Asked, By, Clock
from triage import intake, reactions, samples
from triage.measures import Measure
from web import create_app, passwords

TIMES = 3
NEW = 300
MONTH = Asked(date(2026, 10, 1), date(2026, 11, 1))
YEAR = Asked(date(2025, 11, 1), date(2026, 11, 1))
ALL = Asked(date(2023, 11, 1), date(2026, 12, 1))


# -- building it -----------------------------------------------------------------------------------------------------


def build(database: Database, cases: int, folder: Path) -> house_module.House:
    parts = {**years.POLICY, "data_dir": str(folder / "var"), "database_url": database.url.render_as_string(False)}
    house = house_module.build(parts, database)
    with database.read() as db:
        there = db.scalar(select(func.count()).select_from(Case)) or 0
    if not there:
        house_module.declare(house, years.AT - timedelta(days=366 * years.YEARS))
        began = time.perf_counter()
        years.fill(database, cases)
        print(f"built in {time.perf_counter() - began:.0f} s", flush=True)
    with database.read() as db:
        waiting = db.scalar(select(func.count()).select_from(Unmeasured)) or 0
    if waiting:
        with Meter(database) as meter:
            samples.catch_up(database, most=waiting)
        rate = f"{waiting / meter.work:.0f} a second of work, {waiting / meter.clock:.0f} by the clock"
        print(f"{waiting} cases measured: {rate}", flush=True)
        years.settle(database)
    with database.read() as db:
        counts = {each.__tablename__: db.scalar(select(func.count()).select_from(each)) for each in
                  (Case, Mention, CaseEvent, Sample)}  # fmt: skip
    print(", ".join(f"{count} {name}" for name, count in counts.items()), flush=True)
    return house


# -- measuring -------------------------------------------------------------------------------------------------------


def _trim() -> None:
    """What was freed goes back, so that it is not taken for room that was there."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


@dataclass(frozen=True)
class Cost:
    work: float
    clock: float
    memory: float
    statements: int
    bad: Sequence[str]

    def __str__(self) -> str:
        return f"{self.work * 1000:8.0f} {self.clock * 1000:8.0f} ms {self.memory:7.1f} MB {self.statements:4}"


def cost(database: Database, ask: Callable[[], Any], times: int = TIMES) -> Cost:
    """The median of some times; PostgreSQL's work is counted in hundredths of a second, so of all of them together."""
    _trim()
    with Meter(database) as first, statements(database) as told:
        ask()
    clocks = []
    with Meter(database) as whole:
        for _ in range(times):
            began = time.perf_counter()
            ask()
            clocks.append(time.perf_counter() - began)
    asked = [each for each in told if "EXPLAIN" not in each[0]]
    return Cost(whole.work / times, statistics.median(clocks), first.memory, len(asked), whole_tables(database, asked))


def head(title: str) -> None:
    print(f"\n{title:64} {'work':>8} {'clock':>8} {'memory':>13} statements", flush=True)


def line(name: str, found: Cost, more: str = "") -> None:
    print(f"{name:64} {found} {more}", flush=True)
    for bad in found.bad:
        print(f"    not by index: {bad}")


# -- what is asked ---------------------------------------------------------------------------------------------------


def measure_tables(database: Database) -> None:
    for name in (name for name, kind in tables.REPORTS.items() if kind.lines is None):
        head(f"report {name}")

        def ask(name: str, *asked: Asked) -> Callable[[], list[tables.Table]]:
            def read() -> list[tables.Table]:
                with database.read() as db:
                    return [tables.build(db, name, each, years.AT) for each in asked]

            return read

        def beside(name: str, asked: Asked) -> Callable[[], list[tables.Table]]:
            """As a screen shows it: with the period before and the same a year ago."""
            return ask(name, asked, asked.previous(), asked.year_ago())

        line("a month, compared with two others", cost(database, beside(name, MONTH)))
        for by in By:
            grouped = beside(name, replace(MONTH, by=by))
            line(f"  by {by}", cost(database, grouped), f"{len(grouped()[0].report.rows)} rows")
        for title, period in (("a year", YEAR), ("three years", ALL)):
            for each in (None, By.assignee, By.tag, By.day, By.month):
                named = f"{title}, by {each}" if each else title
                line(named, cost(database, ask(name, replace(period, by=each)), 1))
        business = replace(ALL, clock=Clock.business, by=By.team)
        line("three years, by team, opening hours", cost(database, ask(name, business), 1))
        narrow = replace(MONTH, team=("Team 2",), kind=("problem",), tag=("snö",))
        line("a month, narrowed to team, kind and tag", cost(database, beside(name, narrow)))


def measure_pictures(database: Database) -> None:
    head("pictures")

    def read(what: Callable[..., Any], asked: Asked, measure: Measure) -> Callable[[], Any]:
        def ask() -> Any:
            with database.read() as db:
                return what(db, asked, measure)

        return ask

    for title, period in (("a month", MONTH), ("a year", YEAR), ("three years", ALL)):
        line(f"hours and weekdays of mentions, {title}", cost(database, read(figures.heat, period, Measure.mention)))


SCREENS = (
    "/reports", "/reports/response-times", "/reports/response-times?by=assignee", "/reports/response-times?by=tag",
    "/reports/response-times?by=day", "/reports/resolution?by=team", "/reports/volume?by=channel",
    "/reports/team?by=assignee", "/reports/sla?by=team", "/reports/backlog?by=team", "/reports/promises",
    "/reports/stories", "/reports/value", "/reports/cases?measure=first_response",
    "/reports/cases?measure=first_response&order=slowest", "/reports/cases?measure=mention", "/reports/checks",
)  # fmt: skip


def logged_in(house: house_module.House) -> FlaskClient:
    """An administrator's browser: they see everything."""
    with house.database.transaction() as db:
        db.get_one(User, 1).password_hash = passwords.hash_password(PASSWORD)
    client = create_app(house, clock=lambda: years.AT).test_client()
    client.post("/login", data={"email": years.EMAILS[0], "password": PASSWORD})
    return client


def measure_screens(house: house_module.House) -> None:
    client = logged_in(house)

    def get(address: str) -> Callable[[], Any]:
        def ask() -> Any:
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.status)
            return answer

        return ask

    for title, period in (("a month, with those it is compared with", MONTH), ("three years", ALL)):
        head(f"screens of {title}")
        for screen in SCREENS:
            joined = "&" if "?" in screen else "?"
            address = f"{screen}{joined}from={period.start}&to={period.end}"
            line(screen, cost(house.database, get(address), 3 if period is MONTH else 1))


def measure_exports(house: house_module.House) -> None:
    client = logged_in(house)
    head("exports: one row for each case")
    for ending in ("csv", "xlsx"):
        for title, period in (("a month", MONTH), ("three years", ALL)):
            _trim()
            with Meter(house.database) as meter:
                answer = client.get(f"/reports/cases.{ending}?from={period.start}&to={period.end}", buffered=False)
                size = sum(len(part) for part in answer.iter_encoded())
                answer.close()
            found = Cost(meter.work, meter.clock, meter.memory, 0, ())
            line(f"{ending}, {title}", found, f"{size / 1e6:.1f} MB {answer.status}")


def measure_keeping(house: house_module.House) -> None:
    """What it costs that everything is measured: when something is said, and by night."""
    database = house.database
    run = f"{time.time():.0f}"
    batch = Batch(
        tuple(
            MentionData(
                external_id=f"{run}-{n}", author=AuthorData(f"a{n}", f"Author {n}"), text="När plogas gatan?",
                published_at=years.AT, can_reply=True, reply_address={},
            )
            for n in range(NEW)
        ),
        cursor={},
    )  # fmt: skip
    source: dict[str, Any] = {
        "channel": next(iter(channels.CHANNELS)),
        "account_id": None,
        "source_id": None,
        "at": years.AT,
    }
    with Meter(database) as taken, database.transaction() as db:
        intake.take(db, batch, **source)
    with Meter(database) as reacted:
        while reactions.react(database, years.AT):
            pass
    with Meter(database) as measured:
        samples.catch_up(database, most=NEW)
    print(f"\n{NEW} mentions, each a case: ", end="")
    parts = {"taken in": taken, "reacted to": reacted, "measured": measured}
    print(", ".join(f"{name} {each.work * 1000 / NEW:.2f} ms each" for name, each in parts.items()), flush=True)
    with Meter(database) as night:
        checked = samples.check(database, years.AT)
    print(f"a night's comparison of {checked} cases: {night.work:.1f} s of work, {night.clock:.1f} by the clock")
    with database.read() as db:
        different = db.scalars(select(FigureCheck).order_by(FigureCheck.id.desc()).limit(1)).one()
    print(f"differences: {different.different} {different.differences[:3]}", flush=True)


def on(name: str, cases: int, keep: Path | None) -> None:
    with opened(name, keep) as (database, folder):
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"\n{name}, {os.cpu_count()} processors, load {load}", flush=True)
        house = build(database, cases, folder)
        measure_pictures(database)
        measure_tables(database)
        measure_screens(house)
        measure_exports(house)
        measure_keeping(house)
        measure_keeping(house)


def main() -> None:
    wanted = argparse.ArgumentParser(description="What reports cost when there is much behind them.")
    wanted.add_argument("--cases", type=int, default=300_000)
    wanted.add_argument("--on", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    wanted.add_argument("--keep", type=Path)
    asked = wanted.parse_args()
    for name in asked.on:
        on(name, asked.cases, asked.keep)


if __name__ == "__main__":
    main()
