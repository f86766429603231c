"""config.yaml: everything it may say, and every way to get it wrong, told at once and in words."""

from __future__ import annotations

import contextlib
import time as stopwatch
from collections.abc import Mapping
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, SecretStr

import settings
from errors import ConfigError, QueryError
from settings import ChannelRules, OpeningTime, Settings, SourceSettings, Span

ROOT = Path(__file__).parent.parent


class BirdAccount(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)
    name: str
    channel: str
    user_id: str
    bearer_token: SecretStr


CHANNELS = {
    "bird": ChannelRules(lambda: BirdAccount, frozenset({"mentions", "search"})),
    "page": ChannelRules(None, frozenset({"feed"}), frozenset({"feed"})),
    "api": ChannelRules(),
}
BASE: dict[str, Any] = {"organisation": {"name": "Storby", "timezone": "Europe/Stockholm", "languages": ["sv"]}}
OFFICE: dict[str, Any] = {"name": "office", "timezone": "UTC", "hours": {"mon-fri": ["08:00-16:00"]}}
FEED: dict[str, Any] = {"name": "s", "channel": "page", "collect": "feed", "url": "https://a.example/feed"}
SLA: dict[str, Any] = {"name": "s", "resolution": "5d"}
BIRD: dict[str, Any] = {"name": "x", "channel": "bird", "user_id": 1, "bearer_token": "hemlig"}


def check_query(query: str) -> None:
    if query.count("(") != query.count(")"):
        raise QueryError("the parenthesis is not closed", query.index("("))


def parse(text: str, path: Path = Path("config.yaml"), environ: Mapping[str, str] | None = None) -> Settings:
    return settings.parse(text, path, channels=CHANNELS, check_query=check_query, environ=environ or {})


def read(**parts: Any) -> Settings:
    return parse(yaml.safe_dump({**BASE, **parts}))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).splitlines()


def problem(**parts: Any) -> str:
    """The one problem these parts have."""
    found = problems(yaml.safe_dump({**BASE, **parts}))
    assert len(found) == 1, found
    return found[0]


def test_what_is_left_out_has_a_default() -> None:
    got = read()
    assert got.base_url == "http://127.0.0.1:8000"
    assert (got.listen.host, got.listen.port) == ("127.0.0.1", 8000)
    assert got.data_dir == Path("var").resolve()
    assert got.database_url == f"sqlite:///{Path('var').resolve()}/gensvar.db"
    assert got.jobs.engine == "embedded"
    assert got.replies.hold_for("bird") == timedelta(seconds=10)
    assert got.api.requests_per_minute == 600
    assert not got.outbound.allow_private_networks


def test_the_committed_file_works_as_it_is_with_the_real_channels() -> None:
    import house

    got = house.load_settings(ROOT / "config.yaml")
    assert got.organisation.name == "Storby kommun"
    assert got.accounts == ()
    assert [source.enabled for source in got.sources] == [False]


def test_it_is_read_in_a_moment() -> None:
    text = (ROOT / "config.yaml").read_text()
    channels = CHANNELS | {"blog": CHANNELS["page"]}
    started = stopwatch.perf_counter()
    settings.parse(text, ROOT / "config.yaml", channels=channels, check_query=check_query)
    assert stopwatch.perf_counter() - started < 0.1


def test_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    got = parse(
        yaml.safe_dump({**BASE, "data_dir": "data", "database_url": "sqlite:///data/x.db"}), tmp_path / "c.yaml"
    )
    assert got.data_dir == tmp_path / "data"
    assert got.database_url == f"sqlite:///{tmp_path}/data/x.db"
    assert read(database_url=f"sqlite:///{tmp_path}/y.db").database_url == f"sqlite:///{tmp_path}/y.db"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", {"seconds": 30}),
        ("2m", {"minutes": 2}),
        ("4h", {"hours": 4}),
        ("5d", {"days": 5}),
        ("1h30m", {"minutes": 90}),
    ],
)
def test_durations_are_read_and_written_back(text: str, span: dict[str, float]) -> None:
    assert settings.duration(text) == timedelta(**span)
    assert settings.duration_text(timedelta(**span)) == text


@pytest.mark.parametrize("wrong", ["5", 5, "m", "5 minutes", "-5m", "", None, "1.5h", True])
def test_a_time_without_its_unit_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        settings.duration(wrong)


def test_targets_are_opening_time_not_time() -> None:
    sla = read(
        calendars=[OFFICE], sla=[{"name": "s", "first_response": "4h", "resolution": "5d", "warn_before": "1d30m"}]
    ).sla[0]
    assert sla.first_response == OpeningTime(0, timedelta(hours=4))
    assert sla.resolution == OpeningTime(5, timedelta(0))
    assert sla.warn_before == OpeningTime(1, timedelta(minutes=30))
    assert sla.next_response is None


@pytest.mark.parametrize(
    ("written", "meant"), [("2d", timedelta(days=2)), ("2026-01-31", date(2026, 1, 31)), ("all", None)]
)
def test_since_survives_being_kept_as_json(written: str, meant: object) -> None:
    source = SourceSettings.model_validate({"name": "s", "channel": "page", "collect": "feed", "since": written})
    assert source.since == meant
    assert source.model_dump(mode="json")["since"] == written
    assert SourceSettings.model_validate(source.model_dump(mode="json")) == source


def test_replies_are_held_longer_where_it_says_so() -> None:
    replies = read(replies={"hold": "10s", "bird": "30s"}).replies
    assert replies.hold_for("bird") == timedelta(seconds=30)
    assert replies.hold_for("page") == timedelta(seconds=10)
    assert "did you mean bird?" in problem(replies={"brid": "30s"})


def test_hours_are_spread_over_their_days() -> None:
    hours = {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["08:00-15:00"], "sat": ["22:00-24:00"]}
    calendar = read(
        calendars=[{**OFFICE, "holidays": "SE", "hours": hours, "exceptions": {"2026-12-28": []}}]
    ).calendars[0]
    assert calendar.hours["wed"] == (Span(time(8), time(12)), Span(time(13), time(16, 30)))
    assert calendar.hours["sat"] == (Span(time(22), time(0)),)
    assert "sun" not in calendar.hours
    assert calendar.exceptions == {date(2026, 12, 28): ()}


def test_norway_is_a_country_and_a_language() -> None:
    got = parse(
        "organisation: {name: By, languages: [no, nb, nn]}\n"
        "calendars: [{name: c, timezone: UTC, holidays: NO, hours: {mon: ['08:00-16:00']}}]"
    )
    assert got.calendars[0].holidays == "NO"
    assert got.organisation.languages == ("no", "nb", "nn")


def test_a_source_takes_its_channel_from_its_account() -> None:
    got = read(accounts=[BIRD], sources=[{"name": "m", "account": "x", "collect": "mentions", "every": "2m"}])
    assert got.sources[0].channel == "bird"
    assert got.accounts[0].user_id == "1"


def test_rules_categories_and_canned_replies() -> None:
    got = read(
        teams=[{"name": "Gata", "members": ["Anna@storby.example"]}],
        rules=[{"name": "r", "when": "mention", "if": {"match": "snö*"}, "then": {"team": "Gata", "draft": "thanks"}}],
        categories=[{"name": "Roads", "team": "Gata"}, {"name": "Snow", "parent": "Roads"}],
        canned_replies=[{"name": "thanks", "texts": {"sv": "Tack!", "en": "Thank you!"}}],
    )
    assert got.rules[0].effects.team == "Gata"
    assert got.rules[0].conditions.match == "snö*"
    assert got.categories[1].parent == "Roads"
    assert got.canned_replies[0].texts["sv"] == "Tack!"
    assert got.teams[0].members == ("anna@storby.example",)


def test_values_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from: a # file\n")
    got = parse(
        yaml.safe_dump(
            {
                **BASE,
                "accounts": [{**BIRD, "bearer_token": "${file:token}"}],
                "database_url": "postgresql+psycopg://u:${PW}@h/d",
            }
        ),
        tmp_path / "config.yaml",
        {"PW": "p: w"},
    )
    assert got.accounts[0].bearer_token.get_secret_value() == "from: a # file"
    assert got.database_url == "postgresql+psycopg://u:p: w@h/d"
    assert "from: a" not in repr(got)
    assert "p: w" not in repr(got)


def test_a_reference_needs_no_quotes_inside_braces() -> None:
    line = "accounts:\n  - {name: x, channel: bird, user_id: 1, bearer_token: ${X_TOKEN}}  # ${X_TOKEN}\n"
    got = parse(yaml.safe_dump(BASE) + line, environ={"X_TOKEN": "{a, b}: ${c}"})
    assert got.accounts[0].bearer_token.get_secret_value() == "{a, b}: ${c}"
    [told] = problems(yaml.safe_dump(BASE) + line)
    assert "the environment variable X_TOKEN is not set" in told


def test_what_fills_nothing_in_is_told_once() -> None:
    text = yaml.safe_dump({**BASE, "accounts": [{**BIRD, "bearer_token": "${TOKEN}"}]})
    [told] = problems(text)
    assert told.startswith("accounts[x].bearer_token (line ")
    assert "environment variable TOKEN is not set" in told
    [told] = problems(text.replace("${TOKEN}", "${file:/nowhere/token}"))
    assert "/nowhere/token cannot be read" in told


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"databse_url": "x"}, "did you mean database_url?"),
        ({"listen": "8000"}, "such as 127.0.0.1:8000"),
        ({"outbound": {"allow_private_networks": "maybe"}}, "write true or false"),
        ({"listen": "127.0.0.1:99999"}, "less than or equal to 65535"),
        ({"base_url": "storby.example"}, "write a whole address"),
        ({"database_url": "mysql://root:hemlig@h/d"}, "write sqlite:///"),
        ({"jobs": {"engine": "procrastinate"}}, "needs PostgreSQL"),
        ({"jobs": {"engine": "celery"}}, "embedded, procrastinate"),
        ({"outbound": {"read_timeout": 30}}, "with its unit"),
        ({"outbound": {"alow_hosts": []}}, "did you mean allow_hosts?"),
        ({"organisation": {"name": "S", "timezone": "Europe/Stokholm"}}, "did you mean Europe/Stockholm?"),
        ({"organisation": {"timezone": "UTC"}}, "organisation.name"),
        ({"organisation": {"name": "S", "languages": ["Swedish"]}}, "language tag"),
        ({"accounts": {"name": "x"}}, "write a list here"),
        ({"accounts": [{**BIRD, "channel": "brid"}]}, "did you mean bird?"),
        ({"accounts": [{**BIRD, "channel": "page"}]}, "no account can be had there"),
        ({"accounts": [BIRD, BIRD]}, "names must differ"),
        ({"accounts": [{**BIRD, "bearer_tokn": "hemlig"}]}, "did you mean bearer_token?"),
        ({"sources": [{"name": "s", "account": "y", "collect": "mentions"}]}, "there is no such account"),
        (
            {"accounts": [BIRD], "sources": [{"name": "s", "account": "x", "collect": "mention"}]},
            "did you mean mentions?",
        ),
        ({"accounts": [BIRD], "sources": [{"name": "s", "account": "x", "collect": "search"}]}, "needs a query"),
        (
            {"accounts": [BIRD], "sources": [{"name": "s", "account": "x", "channel": "page", "collect": "feed"}]},
            "leave channel out",
        ),
        ({"sources": [{"name": "s", "channel": "bird", "collect": "mentions"}]}, "needs an account"),
        (
            {"sources": [{**FEED, "channel": "pag"}]},
            "did you mean page?",
        ),
        ({"sources": [{"name": "s", "channel": "page", "collect": "feed"}]}, "add url"),
        (
            {"sources": [{**FEED, "url": "file:///etc/passwd"}]},
            "whole address",
        ),
        (
            {"sources": [{"name": "s", "collect": "feed", "url": "https://a.example/"}]},
            "name an account, or give channel",
        ),
        (
            {
                "sources": [
                    {"name": "s", "channel": "page", "collect": "feed", "url": "https://a.example/", "match": "(a"}
                ]
            },
            "the parenthesis is not closed",
        ),
        (
            {
                "sources": [
                    {"name": "s", "channel": "page", "collect": "feed", "url": "https://a.example/", "since": "long"}
                ]
            },
            "write how far back",
        ),
        ({"calendars": [{**OFFICE, "timezone": "Mars/Base"}]}, "no such time zone"),
        ({"calendars": [{**OFFICE, "holidays": "XX"}]}, "DK, NO, SE"),
        ({"calendars": [{**OFFICE, "hours": {"mon": ["08:00-12:00", "11:00-16:00"]}}]}, "overlap"),
        ({"calendars": [{**OFFICE, "hours": {"mon-fri": ["13:00-16:00", "08:00-12:00"]}}]}, "hours.mon-fri"),
        ({"calendars": [{**OFFICE, "hours": {"mon": ["22:00-06:00"]}}]}, "split what goes over midnight"),
        ({"calendars": [{**OFFICE, "hours": {"mon": ["8-16"]}}]}, "in quotes"),
        ({"calendars": [{**OFFICE, "hours": {"måndag": ["08:00-16:00"]}}]}, "is not a day"),
        ({"calendars": [{**OFFICE, "hours": {"mon-wed": ["08:00-16:00"], "tue": []}}]}, "tue is given twice"),
        ({"calendars": [{**OFFICE, "hours": {"mon": []}}]}, "never open"),
        ({"calendars": [OFFICE], "teams": [{"name": "G", "calendar": "ofice"}]}, "did you mean office?"),
        ({"teams": [{"name": "G", "members": ["anna"]}]}, "e-mail address"),
        ({"calendars": [OFFICE], "sla": [{"name": "s", "calendar": "x", "resolution": "5d"}]}, "under calendars"),
        ({"sla": [{"name": "s", "resolution": "5d"}]}, "needs a calendar"),
        ({"calendars": [OFFICE], "sla": [{"name": "s"}]}, "no target"),
        ({"calendars": [OFFICE], "sla": [{"name": "s", "resolution": "5w"}]}, "write opening time"),
        (
            {"calendars": [OFFICE], "sla": [{**SLA, "when": {"kind": "praize"}}]},
            "mean praise?",
        ),
        ({"calendars": [OFFICE], "sla": [{**SLA, "when": {"channel": "brd"}}]}, "mean bird?"),
        ({"rules": [{"name": "r", "then": {}}]}, "it does nothing"),
        ({"rules": [{"name": "r", "then": {"team": "Gata"}}]}, "no such entry under teams"),
        ({"rules": [{"name": "r", "if": {"match": "(a"}, "then": {"ignore": True}}]}, "the parenthesis"),
        ({"categories": [{"name": "a", "parent": "b"}]}, "under categories"),
        ({"canned_replies": [{"name": "a", "texts": {}}]}, "canned_replies[a].texts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_mistake_is_told_with_its_place_and_remedy(parts: dict[str, Any], told: str) -> None:
    found = problem(**parts)
    assert told in found
    assert "(line " in found
    assert "hemlig" not in found, "a secret was shown"


def test_all_mistakes_are_told_at_once_with_line_and_value() -> None:
    found = problems(
        "organisation: {name: Storby, timezone: Europe/Oslu}\n"
        "listn: 127.0.0.1:8000\n"
        "sources:\n"
        "  - name: feed\n"
        "    channel: page\n"
        "    collect: feeds\n"
        "    every: often\n"
    )
    assert found == [
        "listn (line 2) (is '127.0.0.1:8000'): there is no such setting; did you mean listen?",
        "organisation.timezone (line 1) (is 'Europe/Oslu'): there is no such time zone; did you mean Europe/Oslo?",
        "sources[feed].collect (line 6) (is 'feeds'): page offers feed; did you mean feed?",
        "sources[feed].every (line 7) (is 'often'): write a time with its unit, such as 30s, 5m, 2h or 1d",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "): this is not YAML"),
        ("a: b\n  c: d", "(line 2): this is not YAML"),
        ("", "organisation: it is missing"),
        ("- a", "write keys and values"),
        ("organisation: {name: a}\napi: {}\napi: {}", "api (line 3): given twice, first in line 2"),
        ("organisation: &a {name: *a}", "this is not YAML"),
        ("organisation: !!python/object/apply:os.system [ls]", "this is not YAML"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, told: str) -> None:
    assert told in "\n".join(problems(text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        settings.load(tmp_path / "config.yaml", channels=CHANNELS, check_query=check_query)


def test_a_source_made_by_hand_is_checked_alike() -> None:
    source = {"name": "s", "channel": "page", "collect": "feed", "url": "https://a.example/feed"}
    made = settings.read_source(source, accounts={}, channels=CHANNELS, check_query=check_query)
    assert made.url == "https://a.example/feed"
    with pytest.raises(ConfigError, match="add url"):
        settings.read_source({**source, "url": None}, accounts={}, channels=CHANNELS, check_query=check_query)
    followed = settings.read_source(
        {"name": "m", "account": "x", "collect": "mentions"},
        accounts={"x": "bird"},
        channels=CHANNELS,
        check_query=check_query,
    )
    assert followed.channel == "bird"


WHOLE: dict[str, Any] = {
    **BASE,
    "base_url": "https://svar.storby.example",
    "listen": "127.0.0.1:8000",
    "data_dir": "var",
    "database_url": "sqlite:///var/x.db",
    "jobs": {"engine": "embedded"},
    "outbound": {"allow_private_networks": False, "allow_hosts": ["a"], "connect_timeout": "5s"},
    "replies": {"hold": "10s", "bird": "30s"},
    "api": {"requests_per_minute": 600},
    "accounts": [BIRD],
    "sources": [{"name": "m", "account": "x", "collect": "mentions", "since": "2d"}, FEED],
    "calendars": [{**OFFICE, "exceptions": {"2026-12-28": []}}],
    "teams": [{"name": "Gata", "calendar": "office", "members": ["a@b.example"]}],
    "sla": [{**SLA, "when": {"kind": ["question"], "team": "Gata"}}],
    "rules": [{"name": "r", "if": {"match": "x", "kind": "idea"}, "then": {"team": "Gata", "tags": ["t"]}}],
    "categories": [{"name": "c", "match": "x"}],
    "canned_replies": [{"name": "t", "texts": {"sv": "Tack"}}],
}


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(below for key, item in inside for below in places(item, (*place, key)))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "odd",
    [None, True, 1, "", "x", [None], {"a": 1}, {1: []}, date(2026, 1, 1), "${X}"],
    ids=repr,
)
def test_no_odd_value_anywhere_is_more_than_a_problem(odd: object) -> None:
    """Wherever it stands it is accepted or told, never a crash."""
    text = yaml.safe_dump(WHOLE)
    parse(text)
    for place in places(WHOLE):
        changed: Any = yaml.safe_load(text)
        if place:
            above = changed
            for step in place[:-1]:
                above = above[step]
            above[place[-1]] = odd
        else:
            changed = odd
        with contextlib.suppress(ConfigError):
            assert parse(yaml.safe_dump(changed)).organisation.name, place


@pytest.mark.parametrize(
    "part, entry",
    [("teams", {"name": "none"}), ("categories", {"name": "Total"}), ("rules", {"name": "r", "then": {"tags": "none"}}),
     ("sources", {**FEED, "name": "total"})],
)  # fmt: skip
def test_no_name_is_one_that_reports_use_themselves(part: str, entry: dict[str, Any]) -> None:
    assert 'reports use the names "none" and "total" themselves' in problem(**{part: [entry]})
