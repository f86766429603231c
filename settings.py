"""``config.yaml`` and the environment as frozen, typed objects; everything that is wrong at once, each with its place.

Nothing here knows a network: what channels there are is passed in as ``ChannelRules``, watch queries are checked by
the function passed in. Relative paths count from the folder of the configuration file.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)

from errors import ConfigError, ConfigProblem, GensvarError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_TAGS, LONGEST_TAG = 50, 60  # on a case; characters
RESERVED = ("none", "total")  # lines of reports; no tag, team, source or category is given such a name
RESERVED_WHY = 'reports use the names "none" and "total" themselves; choose another name'
NAMED_IN_REPORTS = ("sources", "teams", "categories")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
CheckQuery = Callable[[str], object]  # raises errors.QueryError


# -- values ---------------------------------------------------------------------------------------------------------


def duration(text: object) -> timedelta:
    """``30s``, ``2m``, ``1h30m``, ``5d`` as a span of time. Raises ``ValueError``."""
    if isinstance(text, timedelta):
        return text
    if isinstance(text, str) and re.fullmatch(r"(\d+[smhdw])+", text):
        return timedelta(seconds=sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smhdw])", text)))
    raise ValueError("write a time with its unit, such as 30s, 5m, 2h or 1d")


def duration_text(span: timedelta) -> str:
    """What ``duration`` reads: 90 minutes -> ``1h30m``."""
    left, parts = int(span.total_seconds()), []
    for unit in "dhms":
        count, left = divmod(left, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


class OpeningTime(NamedTuple):
    """An amount of opening time: ``5d`` is five opening days, ``4h`` four opening hours."""

    days: int
    time: timedelta


def opening_time(text: object) -> OpeningTime:
    """``4h``, ``30m``, ``5d``, ``1d4h`` as opening time. Raises ``ValueError``."""
    if isinstance(text, OpeningTime):
        return text
    if isinstance(text, str) and (found := re.fullmatch(r"(?:(\d+)d)?((?:\d+[hm])*)", text)) and text:
        return OpeningTime(int(found[1] or 0), duration(found[2] or "0s"))
    raise ValueError("write opening time such as 30m, 4h (opening hours) or 5d (opening days)")


def opening_text(amount: OpeningTime) -> str:
    """What ``opening_time`` reads: one opening day and four hours -> ``1d4h``."""
    minutes = int(amount.time.total_seconds()) // 60
    parts = ((amount.days, "d"), (minutes // 60, "h"), (minutes % 60, "m"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0m"


class Span(NamedTuple):
    """From a time of day to a later one; ``end`` is 00:00 for midnight."""

    start: time
    end: time


def span(text: object) -> Span:
    if isinstance(text, Span):
        return text
    found = (
        re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", text) if isinstance(text, str) else None
    )
    if not found or (found[3] == "24" and found[4] != "00"):
        raise ValueError('write opening hours such as "08:00-16:30", in quotes')
    start, end = (int(found[1]), int(found[2])), (int(found[3]), int(found[4]))
    if start >= end:
        raise ValueError('it ends before it starts; split what goes over midnight: "22:00-24:00" and "00:00-06:00"')
    return Span(time(*start), time(0) if end[0] == 24 else time(*end))


def span_text(given: Span) -> str:
    """What ``span`` reads."""
    return f"{given.start:%H:%M}-" + ("24:00" if given.end == time(0) else f"{given.end:%H:%M}")


def _spans(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    for before, after in itertools.pairwise(spans):
        if before.end == time(0) or after.start < before.end:
            raise ValueError(f"the spans overlap or are out of order at {after.start:%H:%M}; write them in order")
    return spans


def _clock(text: object) -> object:
    if text is None or isinstance(text, time):
        return text
    if text == "none":
        return None
    if isinstance(text, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        return time.fromisoformat(text)
    raise ValueError('write a time such as "12:00", in quotes, or none')


def _clock_text(value: time | None) -> str:
    return "none" if value is None else f"{value:%H:%M}"


def _days(key: str) -> list[str]:
    """``mon-thu``, ``sat``, ``mon,wed`` -> the days meant. Raises ``ValueError``."""
    days: list[str] = []
    for part in key.lower().split(","):
        first, _, last = part.strip().partition("-")
        last = last or first
        if first not in DAYS or last not in DAYS or DAYS.index(first) > DAYS.index(last):
            raise ValueError(f"{key!r} is not a day or a range of days; write mon, tue … sun, or mon-thu")
        days += DAYS[DAYS.index(first) : DAYS.index(last) + 1]
    return days


def _hours(value: object) -> object:
    """One entry per day on which it opens: a day without hours is the same as a day left out."""
    if not isinstance(value, dict):
        return value
    hours: dict[str, object] = {}
    for key, spans in value.items():
        for day in _days(str(key)):
            if day in hours:
                raise ValueError(f"{day} is given twice")
            hours[day] = spans
    return {day: spans for day, spans in hours.items() if spans not in ([], ())}


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError("there is no such time zone" + _did_you_mean(name, available_timezones())) from None
    return name


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or re.search(r"\s", text):
        raise ValueError("write a whole address, such as https://www.example.org/feed")
    return text


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise ValueError("write an e-mail address")
    return text.lower()


class Sender(NamedTuple):
    """From whom mail comes; ``name`` may be empty."""

    name: str
    address: str


def _sender(text: object) -> Sender:
    if isinstance(text, Sender):
        return text
    found = re.fullmatch(r'(?:"?([^"<>@]*?)"? *<)?([^@\s<>"]+@[^@\s<>"]+)>?', text) if isinstance(text, str) else None
    if not found or (found[1] is None) == str(text).endswith(">") or not str(text).isprintable():
        raise ValueError('write whom mail comes from, such as "Storby kommun <gensvar@storby.example>"')
    return Sender(found[1] or "", found[2])


def _language(tag: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("write a language tag such as sv, da, nb, nn or en")
    return tag


def _nonempty(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; write something")
    return text.strip()


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("it is empty; give at least one")
    return values


def _listed(value: object) -> object:
    """One value where several may stand means a list of one."""
    return [value] if isinstance(value, str) else value


def _weekdays(value: object) -> object:
    """``mon-fri``, or a list of such, as single days."""
    parts = _listed(value)
    return [day for part in parts for day in _days(str(part))] if isinstance(parts, list) else parts


def is_reserved(name: str) -> bool:
    """Whether a line of that name in a report would look like what has none, or like the total."""
    return clean_tag(name) in RESERVED


def clean_tag(tag: str) -> str:
    """As cases bear them: small letters, single spaces."""
    return " ".join(tag.split()).lower()


def _tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    cleaned = tuple(clean_tag(tag) for tag in tags)
    if any(not 0 < len(tag) <= LONGEST_TAG for tag in cleaned):
        raise ValueError(f"a tag has between 1 and {LONGEST_TAG} characters")
    return cleaned


def _since(value: object) -> object:
    if value is None or value == "all":
        return None
    if isinstance(value, date | timedelta):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return date.fromisoformat(value)
    try:
        return duration(value)
    except ValueError:
        raise ValueError("write how far back: 2d, a date such as 2026-01-31, or all") from None


def _since_text(value: timedelta | date | None) -> str:
    return "all" if value is None else duration_text(value) if isinstance(value, timedelta) else value.isoformat()


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("it must be longer than nothing")
    return value


Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(duration_text)]
TimeOut = Annotated[Duration, AfterValidator(_positive)]
Opening = Annotated[OpeningTime, BeforeValidator(opening_time), PlainSerializer(opening_text)]
Since = Annotated[timedelta | date | None, BeforeValidator(_since), PlainSerializer(_since_text)]
Spans = Annotated[
    tuple[Annotated[Span, BeforeValidator(span), PlainSerializer(span_text)], ...], AfterValidator(_spans)
]
HalfDay = Annotated[time | None, BeforeValidator(_clock), PlainSerializer(_clock_text)]
Zone = Annotated[str, AfterValidator(_timezone)]
Url = Annotated[str, AfterValidator(_url)]
Email = Annotated[str, AfterValidator(_email)]
Language = Annotated[str, AfterValidator(_language)]
Name = Annotated[str, AfterValidator(_nonempty)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
KindName = Literal["question", "problem", "idea", "praise", "other"]
PriorityName = Literal["low", "normal", "high", "urgent"]
StatusName = Literal["new", "open", "pending", "resolved", "closed", "ignored"]
SentimentName = Literal["negative", "neutral", "positive"]
UrgencyName = Literal["danger", "deadline", "outage", "leak", "none"]
NoiseName = Literal["spam", "job", "campaign", "bot", "none"]
Tags = Annotated[Names, AfterValidator(_tags)]
Weekdays = Annotated[tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], BeforeValidator(_weekdays)]
TimesOfDay = Annotated[
    tuple[Annotated[Span, BeforeValidator(span), PlainSerializer(span_text)], ...], BeforeValidator(_listed)
]


# -- what the file holds --------------------------------------------------------------------------------------------


class Strict(BaseModel):
    """A part of the configuration: unknown keys are errors, nothing changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)


class Organisation(Strict):
    name: Name
    timezone: Zone = "UTC"
    languages: Annotated[tuple[Language, ...], AfterValidator(_some)] = ("en",)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Listen(Strict):
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, dict):
            return value
        found = isinstance(value, str) and re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+):(\d{1,5})", value)
        if not found:
            raise ValueError("write an address and a port, such as 127.0.0.1:8000")
        return {"host": found[1].strip("[]"), "port": int(found[2])}

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Jobs(Strict):
    engine: Literal["embedded", "procrastinate"] = "embedded"


class Outbound(Strict):
    allow_private_networks: bool = False
    allow_hosts: Names = ()
    connect_timeout: TimeOut = timedelta(seconds=5)
    read_timeout: TimeOut = timedelta(seconds=30)


class Replies(Strict):
    """``hold``: how long an answer can be undone; ``channels``: where it differs."""

    hold: Duration = timedelta(seconds=10)
    channels: dict[str, Duration] = {}

    def hold_for(self, channel: str) -> timedelta:
        return self.channels.get(channel, self.hold)


class Api(Strict):
    requests_per_minute: Annotated[int, Field(ge=1)] = 600


class Mail(Strict):
    """The server that takes our mail. ``smtp``: where it listens; ``tls`` is encrypted from the first byte."""

    smtp: Listen
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Name | None = None
    password: SecretStr | None = None
    sender: Annotated[Sender, BeforeValidator(_sender)] = Field(alias="from")

    @model_validator(mode="after")
    def _login(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; give both or neither")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent in the clear; set security to starttls or tls")
        return self


class SourceSettings(Strict):
    """Something to collect regularly. ``since`` None means all there is; ``channel`` follows from the account."""

    name: Name
    account: str | None = None
    channel: str = ""
    collect: str
    url: Url | None = None
    query: Name | None = None
    match: Name | None = None
    every: Annotated[Duration, AfterValidator(_positive)] = timedelta(minutes=5)
    since: Since = timedelta(days=2)
    enabled: bool = True


class Calendar(Strict):
    """When a team works. ``hours``: day (mon … sun) -> spans; ``exceptions``: what differs on a date."""

    name: Name
    timezone: Zone
    holidays: Literal["DK", "NO", "SE"] | None = None
    half_days_end: HalfDay = time(12)  # on the country's half-days it is closed from then on; none: open as usual
    hours: Annotated[dict[str, Spans], BeforeValidator(_hours)]
    exceptions: dict[date, Spans] = {}

    @model_validator(mode="after")
    def _ever_open(self) -> Self:
        if not any(self.hours.values()):
            raise ValueError("it is never open; give at least one day its hours")
        return self

    def __hash__(self) -> int:  # of a part that tells most of them apart: two that are equal have it in common
        return hash((self.name, self.timezone, self.holidays))


class TeamSettings(Strict):
    """``routing`` gives new cases to members: in turn, or to whoever has the fewest open; at most ``ceiling``."""

    name: Name
    calendar: str | None = None
    members: tuple[Email, ...] = ()
    routing: Literal["round_robin", "least_loaded"] | None = None
    ceiling: Annotated[int, Field(ge=1)] | None = None
    queue_alarm: Annotated[int, Field(ge=1)] | None = None  # this many cases without an assignee alarm the members
    members_only: bool = False  # its cases are seen by members, managers and administrators alone


class Conditions(Strict):
    """What a case must be for a policy or a rule to hold; each given field must match one of its values."""

    channel: Names = ()
    source: Names = ()
    kind: Annotated[tuple[KindName, ...], BeforeValidator(_listed)] = ()
    priority: Annotated[tuple[PriorityName, ...], BeforeValidator(_listed)] = ()
    team: Names = ()
    tag: Tags = ()
    language: Annotated[tuple[Language, ...], BeforeValidator(_listed)] = ()


class Escalation(Strict):
    """What follows when a target is missed."""

    notify: Annotated[tuple[Email, ...], BeforeValidator(_listed)] = ()
    team: str | None = None
    priority: PriorityName | None = None


class Sla(Strict):
    """Targets for the cases that meet ``when``; the first policy that fits counts."""

    name: Name
    calendar: str | None = None
    clock: Literal["business", "calendar"] = "business"
    when: Conditions = Conditions()
    first_response: Opening | None = None
    next_response: Opening | None = None
    resolution: Opening | None = None
    warn_before: Opening | None = None
    escalate: Escalation = Escalation()

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if not (self.first_response or self.next_response or self.resolution):
            raise ValueError("it has no target; give first_response, next_response or resolution")
        return self


class RuleConditions(Conditions):
    """Besides: a watch query, and what else is known of the mention, its author, the thread, the case and the hour.

    ``none`` under ``urgency``, ``noise`` and ``category`` means that there is none.
    """

    match: Name | None = None
    status: Annotated[tuple[StatusName, ...], BeforeValidator(_listed)] = ()
    sentiment: Annotated[tuple[SentimentName, ...], BeforeValidator(_listed)] = ()
    urgency: Annotated[tuple[UrgencyName, ...], BeforeValidator(_listed)] = ()
    noise: Annotated[tuple[NoiseName, ...], BeforeValidator(_listed)] = ()
    category: Names = ()
    wants_answer: bool | None = None
    assigned: bool | None = None  # to a person
    answered: bool | None = None  # in public, at least once
    author: Names = ()  # by handle, with or without @, or by name
    followers_over: Annotated[int, Field(ge=0)] | None = None
    messages_over: Annotated[int, Field(ge=0)] | None = None  # in the case, by others than us
    spread_over: Annotated[int, Field(ge=0)] | None = None  # times it was passed on
    story_over: Annotated[int, Field(ge=0)] | None = None  # mentions in the story it belongs to
    unanswered_for: Annotated[Duration, AfterValidator(_positive)] | None = None
    opening_hours: bool | None = None
    days: Weekdays = ()
    hours: TimesOfDay = ()


class RuleEffects(Strict):
    ignore: Literal[True] | None = None
    kind: KindName | None = None
    priority: PriorityName | None = None
    tags: Tags = ()  # added to those it has
    team: str | None = None
    assignee: Email | None = None
    draft: str | None = None  # the name of a canned reply
    review: Literal[True] | None = None  # a second pair of eyes before an answer goes out
    notify: Annotated[tuple[Email, ...], BeforeValidator(_listed)] = ()
    webhook: Url | None = None


class RuleSettings(Strict):
    """When something happens, if the conditions hold, then the effects follow; in the order of the file."""

    name: Name
    when: Annotated[
        tuple[Literal["mention", "answer", "status", "time"], ...], BeforeValidator(_listed), AfterValidator(_some)
    ] = ("mention",)
    conditions: RuleConditions = Field(default=RuleConditions(), alias="if")
    effects: RuleEffects = Field(alias="then")
    enabled: bool = True

    @model_validator(mode="after")
    def _when_time_has_passed(self) -> Self:
        if "time" in self.when and self.conditions.unanswered_for is None:
            raise ValueError("on time it needs to know how much; give unanswered_for under if, such as 4h")
        return self


class Category(Strict):
    """A matter that cases are sorted under; ``match`` proposes it, ``team`` answers for it."""

    name: Name
    parent: str | None = None
    match: Name | None = None
    team: str | None = None


class CannedReply(Strict):
    """A prepared text per language."""

    name: Name
    texts: Annotated[dict[Language, Name], Field(min_length=1)]


class Settings(Strict):
    """The whole configuration. ``path`` is the file it came from; ``accounts`` are models of their channels."""

    path: Path
    organisation: Organisation
    base_url: Url
    listen: Listen
    data_dir: Path
    database_url: str = Field(repr=False)  # may hold a password
    jobs: Jobs = Jobs()
    outbound: Outbound = Outbound()
    replies: Replies = Replies()
    api: Api = Api()
    mail: Mail | None = None
    accounts: tuple[Any, ...] = Field(default=(), repr=False)
    sources: tuple[SourceSettings, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    teams: tuple[TeamSettings, ...] = ()
    sla: tuple[Sla, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    categories: tuple[Category, ...] = ()
    canned_replies: tuple[CannedReply, ...] = ()


@dataclass(frozen=True)
class ChannelRules:
    """What the configuration may say about a channel. ``account`` gives the model of a login, imported at first use."""

    account: Callable[[], type[BaseModel]] | None = None
    collects: frozenset[str] = frozenset()
    accountless: frozenset[str] = frozenset()  # of ``collects``: those that need no account, and then a url


# -- reading --------------------------------------------------------------------------------------------------------

PARTS: dict[str, type[Strict]] = {  # the lists that are also made in the admin screens
    "calendars": Calendar,
    "teams": TeamSettings,
    "sla": Sla,
    "rules": RuleSettings,
    "categories": Category,
    "canned_replies": CannedReply,
}
_SECTIONS: dict[str, type[Strict]] = {
    "organisation": Organisation,
    "listen": Listen,
    "jobs": Jobs,
    "outbound": Outbound,
    "api": Api,
    "mail": Mail,
}
_PLAIN = ("base_url", "data_dir", "database_url")
KEYS = (*_PLAIN, *_SECTIONS, "replies", "accounts", "sources", *PARTS)
_REMEDIES = {  # of pydantic's kinds of error that say it less plainly
    "string_type": "write a text here, a number in quotes",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
}
_SECRET = re.compile(r"secret|token|password|key|credential", re.IGNORECASE)
Place = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


def load(
    path: Path,
    *,
    channels: Mapping[str, ChannelRules],
    check_query: CheckQuery,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read and check a configuration file. Raises ``ConfigError`` with every problem there is."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([ConfigProblem(str(path), "", "there is no such file; name one with --config")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([ConfigProblem(str(path), "", f"cannot be read: {error}")]) from None
    return parse(text, path, channels=channels, check_query=check_query, environ=environ)


def parse(
    text: str,
    path: Path,
    *,
    channels: Mapping[str, ChannelRules],
    check_query: CheckQuery,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The same for a text that would stand at ``path``."""
    reader = _Reader(path, channels, check_query, environ)
    settings = reader.settings(text)
    if reader.problems or settings is None:
        raise ConfigError(reader.problems)
    return settings


def read_source(
    definition: Mapping[str, Any],
    *,
    accounts: Mapping[str, str],
    channels: Mapping[str, ChannelRules],
    check_query: CheckQuery,
) -> SourceSettings:
    """A source made by hand or kept in the database; ``accounts``: name -> channel. Raises ``ConfigError``."""
    reader = _Reader(Path(), channels, check_query, {})
    reader.raw = dict(definition)
    source = reader.source((), dict(definition), accounts)
    if reader.problems or source is None:
        raise ConfigError(reader.problems)
    return source


def read_part(
    key: str,
    definition: Mapping[str, Any],
    *,
    known: Mapping[str, Iterable[str]],
    channels: Mapping[str, ChannelRules],
    check_query: CheckQuery,
) -> Strict:
    """One entry of ``PARTS`` made by hand; ``known``: part -> the names there are. Raises ``ConfigError``."""
    reader = _Reader(Path(), channels, check_query, {})
    reader.raw = {part: [{"name": name} for name in names] for part, names in known.items() if part != key}
    others = [{"name": name} for name in known.get(key, ()) if name != definition.get("name")]
    reader.raw[key] = [dict(definition), *others]
    read = reader.part(PARTS[key], (key, 0), dict(definition))
    reader._cross_check(reader.raw, {part: [((key, 0), read)] if part == key else [] for part in PARTS})
    if reader.problems or read is None:
        raise ConfigError(reader.problems)
    return read


class _Reader:
    """One reading of one file: collects problems instead of stopping at the first."""

    def __init__(
        self, path: Path, channels: Mapping[str, ChannelRules], check_query: CheckQuery, environ: Mapping[str, str]
    ) -> None:
        self.path, self.channels, self.check_query, self.environ = path, channels, check_query, environ
        self.problems: list[ConfigProblem] = []
        self.lines: dict[Place, int] = {}
        self.raw: Any = {}  # as written, before ${…} is filled in: what problems may show

    # Where and what -----------------------------------------------------------------------------------------------

    def problem(self, place: Place, remedy: str, *, show: bool = True) -> None:
        value = self._written(place) if show else None
        found = ConfigProblem(self._where(place), "" if value is None else _shown(place, value), remedy)
        if found not in self.problems:
            self.problems.append(found)

    def _written(self, place: Place) -> Any:
        value = self.raw
        for step in place:
            if isinstance(value, str):  # one value where a list may stand
                return value
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _where(self, place: Place) -> str:
        """``sources[citizen-blog].every (line 12)``."""
        words = ""
        for depth, step in enumerate(place):
            if isinstance(step, int):
                item = self._written(place[: depth + 1])
                name = item.get("name") if isinstance(item, dict) else None
                words += f"[{name if isinstance(name, str) else step}]"
            else:
                words += f".{step}" if words else str(step)
        line = next((self.lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self.lines), None)
        return f"{words} (line {line})" if line else words or str(self.path)

    # From text to values ------------------------------------------------------------------------------------------

    def settings(self, text: str) -> Settings | None:
        loader = _Loader(_REFERENCE.sub(f"{_OPEN}\\1{_CLOSE}", text))
        try:
            node = loader.get_single_node()
            if node is not None:
                self._look_through(node, ())
                self.raw = loader.construct_document(node)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            where = f"{self.path} (line {mark.line + 1})" if mark else str(self.path)
            what = getattr(error, "problem", None) or str(error).splitlines()[0]
            self.problems.append(ConfigProblem(where, "", f"this is not YAML: {what}"))
            return None
        finally:
            loader.dispose()
        if not isinstance(self.raw, dict):
            self.problem((), "write keys and values, such as organisation: {name: Storby kommun}", show=False)
            return None
        data = self._filled(self.raw, ())
        for key in data.keys() - set(KEYS):
            self.problem((key,), "there is no such setting" + _did_you_mean(str(key), KEYS))
        return self._assemble(data)

    def _look_through(self, node: yaml.Node, place: Place, above: tuple[yaml.Node, ...] = ()) -> None:
        """Remember lines, and find keys given twice, which YAML itself would let the last one win."""
        self.lines[place] = node.start_mark.line + 1
        if node in above:
            raise yaml.YAMLError("an alias refers to what it stands in")
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if name in seen:
                    self.problems.append(
                        ConfigProblem(
                            ".".join(map(str, (*place, name))) + f" (line {line})",
                            "",
                            f"given twice, first in line {seen[name]}; keep one",
                        )
                    )
                seen[name] = line
                self._look_through(value, (*place, name), (*above, node))
                self.lines[(*place, name)] = line
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._look_through(value, (*place, index), (*above, node))

    def _filled(self, value: Any, place: Place) -> Any:
        """``${NAME}`` from the environment, ``${file:PATH}`` from a file; in values, not in keys."""
        if isinstance(value, dict):
            return {key: self._filled(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, (*place, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("file:"):
                file = self.path.parent / name.removeprefix("file:")
                try:
                    return file.read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                    self.problem(
                        place, f"the file {file} cannot be read ({why}); create it or name another", show=False
                    )
            elif name in self.environ:
                return self.environ[name]
            else:
                self.problem(place, f"the environment variable {name} is not set; set it before starting", show=False)
            return _MISSING

        return _REFERENCE.sub(fill, value)

    # From values to objects ---------------------------------------------------------------------------------------

    def part(self, model: type[M], place: Place, value: Any) -> M | None:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                at = self._as_written((*place, *(step for step in detail["loc"] if step != "[key]")))
                if isinstance(given := self._at(value, detail["loc"]), str) and _MISSING in given:
                    continue  # already told: what fills it in is missing
                self._tell(model, at, detail["loc"], detail)
            return None

    def _at(self, value: Any, steps: Iterable[str | int]) -> Any:
        for step in steps:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _as_written(self, place: Place) -> Place:
        """A day of a calendar back to the range it was given in."""
        for depth, step in enumerate(place):
            written = self._written(place[:depth])
            if step in DAYS and isinstance(written, dict) and step not in written:
                ranges = [key for key in written if step in _days(str(key))]
                return (*place[:depth], *ranges[:1], *place[depth + 1 :])
        return place

    def _tell(self, model: type[BaseModel], place: Place, loc: Place, detail: Any) -> None:
        kind, context = detail["type"], detail.get("ctx", {})
        if kind == "missing":
            self.problem(place, "it is missing; add it", show=False)
        elif kind == "extra_forbidden":
            remedy = "there is no such setting here" + _did_you_mean(str(place[-1]), _keys(model, loc[:-1]))
            self.problem(place, remedy, show=place[0] not in ("accounts", "mail"))  # a secret under a wrong name
        elif kind == "literal_error":
            choices = [str(choice) for choice in _literals(context.get("expected", ""))]
            self.problem(
                place, "write one of " + ", ".join(choices) + _did_you_mean(str(self._written(place)), choices, "")
            )
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            self.problem(place, "write keys and values here")
        elif kind in ("tuple_type", "list_type"):
            self.problem(place, "write a list here: [ … ]")
        elif kind in _REMEDIES:
            self.problem(place, _REMEDIES[kind])
        elif kind == "value_error":
            self.problem(place, str(context["error"]))
        else:
            self.problem(place, detail["msg"][:1].lower() + detail["msg"][1:])

    def _list(self, data: Mapping[str, Any], key: str) -> list[tuple[Place, dict[str, Any]]]:
        """The entries of a list, those that are no mappings told and left out; a name given twice is told."""
        value = data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem((key,), "write a list here: one entry per line, each beginning with -")
            return []
        entries: list[tuple[Place, dict[str, Any]]] = []
        seen: set[str] = set()
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                self.problem((key, index), "write keys and values here")
                continue
            name = item.get("name")
            if isinstance(name, str) and name in seen:
                self.problem((key, index, "name"), "another entry has this name; names must differ")
            seen.add(str(name))
            entries.append(((key, index), item))
        return entries

    def _assemble(self, data: dict[Any, Any]) -> Settings | None:
        parts: dict[str, Any] = {
            key: self.part(model, (key,), data[key])
            for key, model in _SECTIONS.items()
            if key in data and not (key == "mail" and data[key] is None)  # there is none
        }
        if "organisation" not in data:
            self.problem(
                ("organisation",), "it is missing; write organisation: {name: …, timezone: …, languages: [sv]}"
            )
        parts.setdefault("listen", Listen(host="127.0.0.1", port=8000))
        parts["replies"] = self._replies(data.get("replies", {}))
        accounts = {place: self._account(place, item) for place, item in self._list(data, "accounts")}
        parts["accounts"] = tuple(account for account in accounts.values() if account is not None)
        known = {
            str(item.get("name")): str(item.get("channel"))
            for item in (data.get("accounts") if isinstance(data.get("accounts"), list) else None) or ()
            if isinstance(item, dict)
        }
        listed = {key: self._list(data, key) for key in ("sources", *PARTS)}
        sources = [self.source(place, item, known) for place, item in listed["sources"]]
        parts["sources"] = tuple(source for source in sources if source is not None)
        entries: dict[str, list[tuple[Place, Any]]] = {}
        for key, model in PARTS.items():
            entries[key] = [(place, self.part(model, place, item)) for place, item in listed[key]]
            parts[key] = tuple(item for _, item in entries[key] if item is not None)
        for place, item in (each for key in NAMED_IN_REPORTS for each in listed[key]):
            if is_reserved(str(item.get("name"))):
                self.problem((*place, "name"), RESERVED_WHY)
        for place, rule in entries["rules"]:
            if rule is not None and any(map(is_reserved, rule.effects.tags)):
                self.problem((*place, "then", "tags"), RESERVED_WHY)
        self._cross_check(data, entries)
        self._places(data, parts)
        if self.problems:
            return None
        return self.part(Settings, (), {"path": self.path.resolve(), **parts})

    def _places(self, data: Mapping[Any, Any], parts: dict[str, Any]) -> None:
        """base_url, data_dir, database_url: with their defaults, made absolute from where the file lies."""
        for key in _PLAIN:
            if key in data and not (isinstance(data[key], str) and data[key].strip()):
                self.problem((key,), "write a text here")
                return
        folder = self.path.resolve().parent
        base = str(data.get("base_url", f"http://{parts['listen']}"))
        try:
            parts["base_url"] = _url(base).rstrip("/")
        except ValueError as error:
            self.problem(("base_url",), str(error))
        parts["data_dir"] = folder / str(data.get("data_dir", "var"))
        url = str(data.get("database_url", f"sqlite:///{parts['data_dir']}/gensvar.db"))
        if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
            parts["database_url"] = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
        elif url.startswith("postgresql+psycopg://"):
            parts["database_url"] = url
        else:
            self.problem(("database_url",), "write sqlite:///var/gensvar.db or postgresql+psycopg://USER@HOST/NAME")
        jobs = parts.get("jobs")
        if isinstance(jobs, Jobs) and jobs.engine == "procrastinate" and url.startswith("sqlite"):
            self.problem(("jobs", "engine"), "procrastinate needs PostgreSQL; set database_url, or use embedded")

    def _replies(self, value: Any) -> Replies | None:
        if not isinstance(value, dict):
            return self.part(Replies, ("replies",), value)
        wrong = {key for key in value if key != "hold" and key not in self.channels}
        for key in wrong:
            known = ["hold", *self.channels]
            self.problem(("replies", key), "there is no such setting here" + _did_you_mean(str(key), known))
        for key in value.keys() - wrong:
            try:
                duration(value[key])
            except ValueError as error:
                self.problem(("replies", key), str(error))
                wrong.add(key)
        held = {key: duration(each) for key, each in value.items() if key not in wrong}
        own = held.pop("hold", Replies().hold)
        return Replies(hold=own, channels=held)

    def _account(self, place: Place, item: dict[str, Any]) -> BaseModel | None:
        names = [name for name, rules in self.channels.items() if rules.account is not None]
        channel = item.get("channel")
        rules = self.channels.get(channel) if isinstance(channel, str) else None
        if rules is None or rules.account is None:
            if "name" not in item:
                self.problem((*place, "name"), "it is missing; add it", show=False)
            what = "it is missing" if channel is None else "no account can be had there"
            self.problem(
                (*place, "channel"),
                f"{what}; write one of " + ", ".join(names) + _did_you_mean(str(channel), names, ""),
            )
            return None
        model = rules.account()
        for key in item.keys() - set(_keys(model, ())):  # here, in case the model itself lets them pass
            remedy = "there is no such setting here" + _did_you_mean(str(key), _keys(model, ()))
            self.problem((*place, key), remedy, show=False)  # it may be a secret under a wrong name
        return self.part(model, place, item)

    def source(self, place: Place, item: dict[str, Any], accounts: Mapping[str, str]) -> SourceSettings | None:
        """One source; ``accounts``: name -> channel."""
        name = item.get("account")
        owner = accounts.get(name) if isinstance(name, str) else None
        if name is not None and owner is None:
            self.problem((*place, "account"), "there is no such account" + _did_you_mean(str(name), accounts))
        channel = item.get("channel") or owner
        if owner is not None and channel != owner:
            self.problem((*place, "channel"), f"the account is one of {owner}; leave channel out")
        elif channel is None and name is None:
            self.problem((*place, "account"), "name an account, or give channel and url")
        elif isinstance(channel, str) and (name is None or owner):
            self._collect(place, item, channel, has_account=name is not None)
        if isinstance(query := item.get("match"), str):
            self._query((*place, "match"), query)
        if isinstance(channel, str):
            item = {**item, "channel": channel}
        return self.part(SourceSettings, place, item)

    def _collect(self, place: Place, item: Mapping[str, Any], channel: str, *, has_account: bool) -> None:
        rules, collect = self.channels.get(channel), item.get("collect")
        if not isinstance(collect, str):
            return  # told by the model
        if rules is None or not rules.collects:
            names = [name for name, each in self.channels.items() if each.collects]
            self.problem((*place, "channel"), "nothing is collected there" + _did_you_mean(channel, names))
        elif collect not in rules.collects:
            kinds = sorted(rules.collects)
            remedy = f"{channel} offers {', '.join(kinds)}" + _did_you_mean(collect, kinds, "")
            self.problem((*place, "collect"), remedy)
        elif not has_account and collect not in rules.accountless:
            self.problem((*place, "account"), f"collecting {collect} needs an account; name one")
        elif not has_account and item.get("url") is None:
            self.problem((*place, "url"), "without an account it must say where: add url")
        elif collect == "search" and item.get("query") is None:
            self.problem((*place, "query"), "a search needs a query; add it")

    def _query(self, place: Place, query: str) -> None:
        try:
            self.check_query(query)
        except GensvarError as error:
            self.problem(place, str(error))

    def _cross_check(self, data: Mapping[Any, Any], entries: Mapping[str, list[tuple[Place, Any]]]) -> None:
        """What one part says about another. Names count as known even where their entry has a fault of its own."""
        names = {key: _names(data.get(key)) for key in KEYS}

        def refer(place: Place, key: str, *given: str | None) -> None:
            for name in given:
                if name is not None and name not in names[key]:
                    remedy = f"there is no such entry under {key}" + _did_you_mean(name, names[key])
                    self.problem(place, remedy, show=self._written(place) == name)
                    if self._written(place) != name:  # one of several
                        self.problems[-1] = ConfigProblem(self._where(place), name, remedy)

        def conditions(place: Place, when: Conditions) -> None:
            refer((*place, "team"), "teams", *when.team)
            for name in when.channel:
                if name not in self.channels:
                    self.problem(
                        (*place, "channel"), f"there is no channel {name}" + _did_you_mean(name, self.channels)
                    )

        for place, team in entries["teams"]:
            if team is not None:
                refer((*place, "calendar"), "calendars", team.calendar)
        for place, sla in entries["sla"]:
            if sla is not None:
                refer((*place, "calendar"), "calendars", sla.calendar)
                conditions((*place, "when"), sla.when)
                refer((*place, "escalate", "team"), "teams", sla.escalate.team)
                if sla.calendar is None and sla.clock == "business" and not names["calendars"]:
                    self.problem((*place, "calendar"), "opening time needs a calendar; declare one under calendars")
        for place, rule in entries["rules"]:
            if rule is not None:
                conditions((*place, "if"), rule.conditions)
                refer((*place, "then", "team"), "teams", rule.effects.team)
                refer((*place, "then", "draft"), "canned_replies", rule.effects.draft)
                named = [name for name in rule.conditions.category if name != "none"]
                refer((*place, "if", "category"), "categories", *named)
                if rule.conditions.match is not None:
                    self._query((*place, "if", "match"), rule.conditions.match)
                if rule.effects == RuleEffects():
                    self.problem((*place, "then"), "it does nothing; say what follows", show=False)
        for place, category in entries["categories"]:
            if category is not None:
                refer((*place, "parent"), "categories", category.parent)
                refer((*place, "team"), "teams", category.team)
                if category.match is not None:
                    self._query((*place, "match"), category.match)


# ${NAME} may stand without quotes inside { … } too, where YAML itself would take its braces for its own.
_REFERENCE = re.compile(r"\$\{([^{}\n]*)\}")
_OPEN, _CLOSE = "\ue000", "\ue001"

# Stands where a ${…} could not be filled in, so that the value is not complained about a second time.
_MISSING = "\ufdd0missing\ufdd0"


class _Loader(yaml.CSafeLoader):
    """YAML 1.2's plain words: ``no`` is Norway or Norwegian, not false, and ``22:30`` is not 1350."""

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        return value.replace(_OPEN, "${").replace(_CLOSE, "}") if isinstance(value, str) else value

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":bool", ":int", ":float"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9]\d*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+\.\d+$"), list("-+0123456789"))


def _shown(place: Place, value: Any) -> str:
    """A value as a problem may show it: short, and never a secret."""
    if any(isinstance(step, str) and _SECRET.search(step) for step in place):
        return ""
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    text = re.sub(r"://[^/@\s]*@", "://…@", str(value))
    return repr(text if len(text) <= 80 else text[:79] + "…") if isinstance(value, str) else text


def _did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str:
    known = list(known)
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    if otherwise is not None:
        return otherwise
    return "; known are " + ", ".join(known) if 0 < len(known) <= 25 else ""


def _names(value: Any) -> list[str]:
    return (
        [str(item["name"]) for item in value if isinstance(item, dict) and "name" in item]
        if isinstance(value, list)
        else []
    )


def _literals(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected) or [expected]


def _keys(model: type[BaseModel], loc: Place) -> list[str]:
    """The keys that may stand at ``loc`` below ``model``."""
    inner: Any = model
    for step in loc:
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            fields = {field.alias or name: field for name, field in inner.model_fields.items()}
            inner = _model_in(fields[str(step)].annotation) if step in fields else None
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        return []
    return [field.alias or name for name, field in inner.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """The model inside ``X | None``, ``list[X]``, ``Annotated[X, …]``."""
    if get_origin(annotation) in (Union, types.UnionType, Annotated, tuple, list, dict):
        return next((found for each in get_args(annotation) if (found := _model_in(each))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


__all__ = ["ChannelRules", "SecretStr", "Settings", "SourceSettings", "load", "parse", "read_source"]
