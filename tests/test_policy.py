"""What is laid down: config.yaml and the admin screens, one door; every version is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database import Database
from errors import ConfigError, InvalidInput, NotFoundError
from house import House, channel_rules, declare
from models import Definition
from settings import RuleSettings, Sla, read_part
from triage import policy, watch

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
OFFICE = {
    "name": "office",
    "timezone": "Europe/Stockholm",
    "holidays": "SE",
    "hours": {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["20:00-24:00"]},
    "exceptions": {"2026-12-23": ["08:00-12:00"], "2026-12-28": []},
}
STANDARD = {
    "name": "standard",
    "calendar": "office",
    "when": {"kind": ["question"], "priority": "high"},
    "first_response": "4h",
    "resolution": "1d2h30m",
    "warn_before": "30m",
}
SNOW = {"name": "snow", "if": {"match": "snö*", "unanswered_for": "4h"}, "then": {"priority": "high"}}
PARTS: dict[str, Any] = {"calendars": [OFFICE], "sla": [STANDARD], "rules": [SNOW]}


def rule(name: str, priority: str = "low") -> RuleSettings:
    return RuleSettings.model_validate({"name": name, "then": {"priority": priority}})


def test_what_the_file_declares_is_in_force_as_it_was_written(make_house: Callable[..., House]) -> None:
    house = make_house(**PARTS)
    declare(house, AT)
    with house.database.read() as db:
        found = policy.read(db)
    assert found.calendars == {"office": house.settings.calendars[0]}
    assert [sla for _, sla in found.sla] == list(house.settings.sla)
    assert found.rules == house.settings.rules


def test_declaring_the_same_again_makes_no_new_version(make_house: Callable[..., House]) -> None:
    house = make_house(**PARTS)
    for _ in range(2):
        declare(house, AT)
    with house.database.read() as db:
        assert db.query(Definition).count() == 4, "a calendar, a policy, a rule, and the organisation"
        assert policy.read(db).zone.key == "Europe/Stockholm"


def test_an_edit_keeps_the_version_before(database: Database) -> None:
    with database.transaction() as db:
        policy.put(db, "rules", rule("a"), by="eva@storby.example", at=AT)
        old = policy.read(db).parts["rules"][0]
        policy.put(db, "rules", rule("b", "high"), instead_of="a", by="eva@storby.example", at=AT + timedelta(days=1))
        new = policy.read(db).parts["rules"]
        assert [entry.name for entry in new] == ["b"]
        assert policy.value_of(db, old.id) == rule("a")


def test_hand_made_ones_come_after_the_declared_and_in_the_order_given(make_house: Callable[..., House]) -> None:
    house = make_house(**PARTS)
    declare(house, AT)
    with house.database.transaction() as db:
        for name in "abc":
            policy.put(db, "rules", rule(name), by="eva@storby.example", at=AT)
        policy.order(db, "rules", ["c", "a", "b"])
        assert [entry.name for entry in policy.read(db).parts["rules"]] == ["snow", "c", "a", "b"]
        policy.retire(db, "rules", "a", at=AT)
        assert [entry.name for entry in policy.read(db).parts["rules"]] == ["snow", "c", "b"]


def test_what_the_file_declares_is_changed_only_there(make_house: Callable[..., House]) -> None:
    house = make_house(**PARTS)
    declare(house, AT)
    with house.database.transaction() as db:
        with pytest.raises(InvalidInput, match=r"config\.yaml"):
            policy.retire(db, "rules", "snow", at=AT)
        with pytest.raises(InvalidInput, match=r"config\.yaml"):
            policy.put(db, "rules", rule("snow"), instead_of="snow", by="eva@storby.example", at=AT)
        with pytest.raises(InvalidInput, match="already"):
            policy.put(db, "rules", rule("snow"), by="eva@storby.example", at=AT)
        with pytest.raises(NotFoundError):
            policy.retire(db, "rules", "rain", at=AT)


def test_what_the_file_no_longer_declares_is_out_of_force(make_house: Callable[..., House], database: Database) -> None:
    declare(make_house(**PARTS), AT)
    declare(make_house(calendars=[OFFICE]), AT)
    with database.read() as db:
        found = policy.read(db)
    assert (found.rules, found.sla, list(found.calendars)) == ((), (), ["office"])


def test_a_part_made_by_hand_is_checked_as_the_file_is() -> None:
    known = {"calendars": ["office"], "teams": ["Gata"], "sla": ["standard"]}
    again: dict[str, Any] = {"known": known, "channels": channel_rules(), "check_query": watch.parse}
    assert read_part("sla", STANDARD, **again) == Sla.model_validate(STANDARD)
    with pytest.raises(ConfigError) as wrong:
        read_part("sla", {**STANDARD, "calendar": "ofice", "when": {"team": "Gatan"}, "resolution": "soon"}, **again)
    told = str(wrong.value)
    assert "resolution" in told
    with pytest.raises(ConfigError, match="did you mean office"):
        read_part("sla", {**STANDARD, "calendar": "ofice"}, **again)
