"""What every test may ask for: a database of each kind, a house, a clock."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine

import database as database_module
from database import Database
from tests.postgres import PostgreSQL

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from playwright.sync_api import Browser, ConsoleMessage, Page

    from house import House

# Where this run's PostgreSQL lives: named by the first process, inherited by pytest-xdist's workers.
SERVER = "GENSVAR_TEST_POSTGRESQL"


# How long a machine that does other things takes says nothing about what is asked here. What judges a change (CI) draws
# the same examples each time, so that red is about the change; everywhere else they are drawn anew.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[SERVER] = tempfile.mkdtemp(prefix="gensvar-pg-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("browser"):  # on a busy machine a click is lost now and then: tried twice, and told
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=_patience, reverse=True)  # what may take long goes first, or one worker does it at the end alone


def pytest_collection_finish() -> None:
    """What stays until the end need not be looked through again and again, which takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(20_000)


def _patience(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and (folder := os.environ.pop(SERVER, None)):
        PostgreSQL(Path(folder)).stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> PostgreSQL:
    """The run's own PostgreSQL server, started at first use."""
    server = PostgreSQL(Path(os.environ[SERVER]))
    server.start()
    compile_once(server.url("postgres"))
    return server


ENGINES: dict[str, Engine] = {}  # the one of each kind that has compiled for all others


def compile_once(url: str) -> None:
    engine = create_engine(url, query_cache_size=3000)
    engine.connect().close()
    ENGINES[engine.dialect.name] = engine


@pytest.fixture(autouse=True, scope="session")
def compiled_statements() -> Iterator[None]:
    """Every test has a database of its own; its SQL is compiled once for all of them, as in a process that lives on."""
    compile_once("sqlite://")

    def shared(url: Any, **options: Any) -> Engine:
        made = create_engine(url, **options)
        if first := ENGINES.get(made.dialect.name):
            made.dialect = made.pool._dialect = first.dialect
            made._compiled_cache = first._compiled_cache
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "create_engine", shared)
        yield


@pytest.fixture(autouse=True, scope="session")
def nothing_outlives_the_run() -> Iterator[None]:
    """No test cuts the power: nothing waits for the disk (PostgreSQL likewise, see postgres.py)."""
    prepare = database_module._prepare_sqlite

    def prepared(connection: Any, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "_prepare_sqlite", prepared)
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "gensvar.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks for a database is asked on SQLite and on PostgreSQL, unless it says that one is enough."""
    if "database_url" in metafunc.fixturenames:
        kinds: list[Any] = ["sqlite"]
        if metafunc.definition.get_closest_marker("one_database") is None:
            kinds.append(pytest.param("postgresql", marks=pytest.mark.postgresql))
        metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database of each kind, as a URL: for what opens it itself."""
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        with server.emptied() as url:
            yield url
    else:
        path = tmp_path / "gensvar.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database; the test runs once on SQLite and once on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.close()


class FakeClock:
    """A clock that stands still until told otherwise. Call it for the time; it is passed where a ``now`` is wanted."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **delta: float) -> datetime:
        """``forward(minutes=5)``; returns the new time."""
        self.at += timedelta(**delta)
        return self.at


@pytest.fixture
def clock() -> FakeClock:
    """Starts on a Tuesday morning in Stockholm."""
    return FakeClock(datetime(2026, 11, 24, 8, 0, tzinfo=UTC))


MakeHouse = Callable[..., "House"]


@pytest.fixture
def make_house(database: Database, tmp_path: Path) -> MakeHouse:
    """``make_house(accounts=[…], sources=[…], …)``: a house with these parts of a config.yaml and loopback allowed."""
    import house as house_module

    def make(**parts: Any) -> House:
        return house_module.build(config(tmp_path, database, **parts), database)

    return make


def config(tmp_path: Path, database: Database, **parts: Any) -> dict[str, Any]:
    """The least a config.yaml can be, for tests, plus ``parts``."""
    return {
        "organisation": {"name": "Storby kommun", "timezone": "Europe/Stockholm", "languages": ["sv", "en"]},
        "base_url": "http://127.0.0.1:8000",
        "listen": "127.0.0.1:8000",
        "data_dir": str(tmp_path / "var"),
        "database_url": database.url.render_as_string(hide_password=False),
        "outbound": {"allow_private_networks": True},
        **parts,
    }


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house without accounts; ``make_house`` takes them."""
    return make_house()


# -- the screens ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="session")
def compiled_templates() -> None:
    """Every test makes an app of its own; the templates are compiled once for all of them."""
    from flask import Flask
    from jinja2 import BytecodeCache
    from jinja2.bccache import Bucket

    class InMemory(BytecodeCache):
        def __init__(self) -> None:
            self.kept: dict[str, bytes] = {}

        def load_bytecode(self, bucket: Bucket) -> None:
            if bucket.key in self.kept:
                bucket.bytecode_from_string(self.kept[bucket.key])

        def dump_bytecode(self, bucket: Bucket) -> None:
            self.kept[bucket.key] = bucket.bytecode_to_string()

    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": InMemory()}


@pytest.fixture(autouse=True, scope="session")
def compiled_addresses() -> Iterator[None]:
    """Likewise what an app knows of its addresses, which costs more than anything else in making one."""
    from werkzeug.routing import Rule

    compile_it = Rule.compile
    kept: dict[Any, Any] = {}

    def compiled(rule: Rule) -> None:
        asked = (rule.rule, rule.subdomain, repr(rule.defaults))
        if asked in kept:
            rule._parts, rule._trace, rule._converters, rule.arguments, build, build_unknown = kept[asked]
            rule._build, rule._build_unknown = build.__get__(rule), build_unknown.__get__(rule)
        else:
            compile_it(rule)
            builders: list[Any] = [rule._build, rule._build_unknown]
            known = (rule._parts, rule._trace, rule._converters, rule.arguments)
            kept[asked] = (*known, *(each.__func__ for each in builders))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "compile", compiled)
        yield


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed slowly on purpose; here only that they are."""
    from argon2 import PasswordHasher

    from web import passwords

    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobody.cache_clear()


@pytest.fixture(scope="session")
def mornings() -> dict[Any, Any]:
    """What ``storby`` has made, by kind of database and time: it is made once and copied for each test."""
    return {}


@pytest.fixture
def storby(make_house: MakeHouse, clock: FakeClock, quick_passwords: None, mornings: dict[Any, Any]) -> House:
    """A house with people and a morning's cases."""
    from tests import copies, screens

    made = make_house(accounts=screens.ACCOUNTS, sources=screens.SOURCES)
    kept = (made.database.sqlite, clock())
    if kept in mornings:
        copies.put(made.database, mornings[kept])
    else:
        screens.begin(made, clock())
        screens.a_morning(made, clock())
        mornings[kept] = copies.take(made.database)
    return made


@pytest.fixture
def browser(storby: House, clock: FakeClock) -> Callable[[str | None], FlaskClient]:
    """``browser("anna@storby.example")``: a browser in which she is logged in; None: nobody is. It speaks English."""
    from tests.screens import PASSWORD
    from web import create_app

    app = create_app(storby, clock=clock)

    def open_browser(who: str | None = "anna@storby.example") -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
        if who:
            assert client.post("/login", data={"email": who, "password": PASSWORD}).status_code == 303
        return client

    return open_browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser a worker: two at once cannot be driven from the same process."""
    from playwright.sync_api import expect, sync_playwright

    from tests.chromium import launch

    expect.set_options(timeout=30_000)  # a machine that does other things is slow; how soon it shows: bench/windows.py
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@dataclass
class Desk:
    """A browser window of a person who is logged in, and everything it complained about."""

    house: House
    base: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


Open = Callable[..., Desk]


@pytest.fixture
def desk(tmp_path: Path, sqlite_template: Path, chromium: Browser, quick_passwords: None) -> Iterator[Open]:
    """``desk(width, scheme, who)`` opens a browser window on one house with a morning's cases.

    What a browser shows does not hang on the kind of database: SQLite is enough here.
    """
    yield from _desks(tmp_path, sqlite_template, chromium, filled=True)


@pytest.fixture
def empty_desk(tmp_path: Path, sqlite_template: Path, chromium: Browser, quick_passwords: None) -> Iterator[Open]:
    """The same where nothing has been collected yet."""
    yield from _desks(tmp_path, sqlite_template, chromium, filled=False)


def _desks(tmp_path: Path, sqlite_template: Path, chromium: Browser, *, filled: bool) -> Iterator[Open]:
    import house as house_module
    from sandbox.base import serving
    from tests import screens
    from web import create_app

    path = tmp_path / "gensvar.db"
    shutil.copyfile(sqlite_template, path)
    database, now = Database(f"sqlite:///{path}"), datetime.now(UTC)
    made = screens.storby(lambda **parts: house_module.build(config(tmp_path, database, **parts), database), now)
    if filled:
        screens.a_morning(made, now)
    opened: list[Desk] = []
    with serving(create_app(made)) as base:

        def open_desk(
            width: int = 1280, scheme: str = "light", who: str = "anna@storby.example", **context: Any
        ) -> Desk:
            screens.beat(database, datetime.now(UTC))
            window = chromium.new_context(
                **{
                    "viewport": {"width": width, "height": 800},
                    "color_scheme": "dark" if scheme == "dark" else "light",
                    "locale": "en-GB",
                    **context,
                }
            )
            here = Desk(made, base, window.new_page())

            def said(message: ConsoleMessage) -> None:
                where = message.location["url"]
                if message.type == "error" and "/media?" not in where:  # no other host's picture can be had here
                    here.complaints.append(f"{message.text} ({where})")

            here.page.on("console", said)
            here.page.on("pageerror", lambda error: here.complaints.append(str(error)))
            login: dict[str, str | float | bool] = {"email": who, "password": screens.PASSWORD}
            assert window.request.post(base + "/login", form=login, max_redirects=0).status == 303
            here.go("/")
            opened.append(here)
            return here

        yield open_desk
        for each in opened:
            each.page.context.close()
    database.close()
