"""What every entry point holds: the settings, the database and the way out, opened together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

import channels
import settings
from database import Database
from errors import ConfigError, ConfigProblem, GensvarError, NotFoundError
from models import Account, Source, Team
from outbound import Client
from settings import ChannelRules, Settings, SourceSettings
from triage import policy, samples, watch

RUNNING = "running"  # the lock that whoever is at work shares


@dataclass(frozen=True)
class House:
    """One organisation's Gensvar."""

    settings: Settings
    database: Database
    http: Client

    def account(self, name: str) -> BaseModel:
        """The settings of one of our logins. Raises ``NotFoundError``."""
        for account in self.settings.accounts:
            if account.name == name:
                found: BaseModel = account
                return found
        raise NotFoundError(f"There is no account named {name!r} in {self.settings.path}.")

    def budget(self, name: str) -> float | None:
        """What one of our logins may cost in a month, in US dollars; None: nobody has said. ``NotFoundError``."""
        budget: float | None = getattr(self.account(name), "monthly_budget_usd", None)
        return budget

    def source(self, definition: Mapping[str, Any]) -> SourceSettings:
        """A source as the database keeps it, or as a person gives it, checked. Raises ``ConfigError``."""
        accounts = {account.name: account.channel for account in self.settings.accounts}
        return settings.read_source(definition, accounts=accounts, channels=channel_rules(), check_query=watch.parse)

    def close(self) -> None:
        self.database.close()


def channel_rules() -> dict[str, ChannelRules]:
    """The registry, in the words the settings understand."""
    return {
        name: ChannelRules(
            account=partial(channels.load, channel.account) if channel.account else None,
            collects=frozenset(channel.collects or ()),
            accountless=channel.accountless,
        )
        for name, channel in channels.CHANNELS.items()
    }


def load_settings(path: Path) -> Settings:
    """Raises ``ConfigError`` with everything that is wrong."""
    return settings.load(path, channels=channel_rules(), check_query=watch.parse)


def open_house(path: Path) -> House:
    """Read the configuration and open what it names. The database is opened, not yet brought to this version.

    Raises ``ConfigError`` and ``DatabaseError``.
    """
    read = load_settings(path)
    return _house(read, Database(read.database_url))


def build(config: Mapping[str, Any], database: Database) -> House:
    """A house from the parts of a configuration and a database that is open already."""
    text = yaml.safe_dump(dict(config), allow_unicode=True)
    read = settings.parse(text, Path("config.yaml").absolute(), channels=channel_rules(), check_query=watch.parse)
    return _house(read, database)


def _house(read: Settings, database: Database) -> House:
    out = read.outbound
    http = Client(
        allow_private_networks=out.allow_private_networks,
        allow_hosts=out.allow_hosts,
        connect_timeout=out.connect_timeout.total_seconds(),
        read_timeout=out.read_timeout.total_seconds(),
    )
    return House(read, database, http)


@contextmanager
def at_work(database: Database) -> Iterator[None]:
    """Held by whatever collects, sends or serves, so that a restore can tell that somebody is at work."""
    with database.holding(RUNNING, shared=True) as free:
        if not free:
            raise GensvarError("A restore is under way. Nothing was started: wait until it is done.")
        yield


def declare(house: House, at: datetime) -> None:
    """Bring what config.yaml declares into the database: accounts, sources, teams and policy, by name.

    What it no longer declares stays with its history: an account is marked, a source is switched off.
    """
    with house.database.transaction() as db:
        accounts = _declare_accounts(db, house)
        _declare_sources(db, house, accounts, at)
        _declare_teams(db, house, at)
        zone = policy.read(db).zone
        policy.declare(db, house.settings, at)
        if policy.read(db).zone != zone:  # what was measured counts on other days now
            samples.mark_all(db)


def begin_anew(house: House) -> None:
    """A start of the clock is a new chance for what had failed: what has been mended meanwhile is tried at once."""
    with house.database.transaction() as db:
        for source in db.scalars(select(Source).where(Source.failures > 0, Source.reset_at.is_(None))):
            source.failures, source.due_at = 0, None


def _declare_accounts(db: Session, house: House) -> dict[str, Account]:
    known = {account.name: account for account in db.scalars(select(Account))}
    declared = {account.name: account for account in house.settings.accounts}
    for name, account in known.items():
        account.declared = name in declared
    for name, given in declared.items():
        if name not in known:
            known[name] = Account(name=name, channel=given.channel)
            db.add(known[name])
        elif known[name].channel != given.channel:
            remedy = f"it was {known[name].channel} before, and an account keeps its channel: give it another name"
            raise ConfigError([ConfigProblem(f"accounts[{name}].channel", given.channel, remedy)])
    db.flush()
    return known


def _declare_sources(db: Session, house: House, accounts: Mapping[str, Account], at: datetime) -> None:
    known = {source.name: source for source in db.scalars(select(Source))}
    declared = {source.name: source for source in house.settings.sources}
    for name, source in known.items():
        if source.declared and name not in declared:
            source.enabled = False
    for name, given in declared.items():
        account = accounts[given.account] if given.account else None
        definition = given.model_dump(mode="json")
        if name not in known:
            db.add(
                Source(
                    name=name,
                    channel=given.channel,
                    account_id=account.id if account else None,
                    definition=definition,
                    declared=True,
                    enabled=given.enabled,
                    created_at=at,
                )
            )
            continue
        source = known[name]
        if _reads_something_else(source.definition, definition):
            source.cursor = None  # where the old thing was left off says nothing about the new
            source.due_at = None
        source.channel, source.account_id = given.channel, account.id if account else None
        source.definition, source.declared, source.enabled = definition, True, given.enabled


def _reads_something_else(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(old.get(field) != new.get(field) for field in ("account", "channel", "collect", "url", "query"))


def _declare_teams(db: Session, house: House, at: datetime) -> None:
    known = {team.name: team for team in db.scalars(select(Team))}
    for team in known.values():
        team.declared = False
    for given in house.settings.teams:
        policy.write_team(db, known.get(given.name) or Team(), given, declared=True, at=at)
