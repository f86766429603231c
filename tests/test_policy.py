"""What is laid down: config.yaml and the admin screens, one door; every version is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database import Database
from errors import ConfigError, InvalidInput, NotFoundError
from house import House, channel_rules, declare
from models import CaseTag, Definition, Team, TeamMember
from settings import Calendar, Category, RuleSettings, Sla, TeamSettings, read_part
from tests.factories import case_of, said, take
from triage import cases, policy, watch

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
OFFICE: dict[str, Any] = {
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


# -- teams, and who names whom ---------------------------------------------------------------------------------------


def team(name: str, *members: str, **more: Any) -> TeamSettings:
    return TeamSettings.model_validate({"name": name, "members": list(members), **more})


def test_what_reports_call_so_themselves_is_no_name_but_what_had_it_keeps_it(database: Database) -> None:
    given: dict[str, Any] = {"by": "eva@storby.example", "at": AT}
    gives = RuleSettings.model_validate({"name": "r", "then": {"tags": ["total"]}})
    with database.transaction() as db:
        take(db, said("a", "b", text="Hej"), at=AT)
        number = case_of(db, "a") or 0
        for part, value in (("teams", team("none")), ("categories", Category(name="Total")), ("rules", gives)):
            with pytest.raises(InvalidInput, match="reports use the names"):
                policy.put(db, part, value, **given)
        with pytest.raises(InvalidInput, match="reports use the names"):
            cases.classify(db, number, tags=["snö", " NONE"], actor="t", at=AT)
        db.add_all([Team(name="none"), CaseTag(case_id=number, tag="none")])  # from before
        db.flush()
        db.expire_all()
        policy.put(db, "teams", team("none", "eva@storby.example"), instead_of="none", **given)
        cases.classify(db, number, tags=["none", "snö"], actor="t", at=AT)
        assert [each.tag for each in cases.get(db, number).tags] == ["none", "snö"]
        with pytest.raises(InvalidInput, match="reports use the names"):
            policy.put(db, "teams", team("total"), instead_of="none", **given)


def test_a_team_goes_in_and_comes_out_the_same(database: Database) -> None:
    given = team("Gata", "anna@storby.example", "eva@storby.example", routing="least_loaded", ceiling=9, queue_alarm=30)
    with database.transaction() as db:
        policy.put(db, "teams", given, by="eva@storby.example", at=AT)
        [entry] = policy.entries(db, "teams")
        assert (entry.value, entry.declared) == (given, False)
        with pytest.raises(InvalidInput, match="already"):
            policy.put(db, "teams", team("Gata"), by="eva@storby.example", at=AT)
        policy.retire(db, "teams", "Gata", at=AT)
        assert policy.entries(db, "teams") == ()


def test_whose_turn_it_is_stays_with_who_stays(database: Database) -> None:
    with database.transaction() as db:
        policy.put(db, "teams", team("Gata", "a@b.example", "c@b.example"), by="eva@storby.example", at=AT)
        number = policy.entries(db, "teams")[0].id
        db.get_one(TeamMember, (number, "a@b.example")).last_given_at = AT
        changed = team("Väg", "a@b.example", "d@b.example")
        policy.put(db, "teams", changed, instead_of="Gata", by="eva@storby.example", at=AT)
        assert db.get_one(TeamMember, (number, "a@b.example")).last_given_at == AT
        assert [entry.value for entry in policy.entries(db, "teams")] == [changed]


def test_a_declared_team_is_changed_only_in_the_file(make_house: Callable[..., House]) -> None:
    house = make_house(teams=[{"name": "Gata", "members": ["anna@storby.example"]}])
    declare(house, AT)
    declare(house, AT)
    with house.database.transaction() as db:
        with pytest.raises(InvalidInput, match=r"config\.yaml"):
            policy.put(db, "teams", team("Gata"), instead_of="Gata", by="eva@storby.example", at=AT)
        with pytest.raises(InvalidInput, match=r"config\.yaml"):
            policy.retire(db, "teams", "Gata", at=AT)
        assert db.query(Team).one().members[0].email == "anna@storby.example"


def test_what_is_named_elsewhere_is_neither_removed_nor_renamed(database: Database) -> None:
    calendar = Calendar.model_validate(OFFICE)
    with database.transaction() as db:
        put: Any = {"by": "eva@storby.example", "at": AT}
        policy.put(db, "calendars", calendar, **put)
        policy.put(db, "teams", team("Gata", calendar="office"), **put)
        told = RuleSettings.model_validate({"name": "a", "if": {"team": ["Gata"]}, "then": {"priority": "low"}})
        policy.put(db, "rules", told, **put)
        assert policy.uses(db, "calendars", "office") == [("teams", "Gata")]
        assert policy.uses(db, "teams", "Gata") == [("rules", "a")]
        for part, name in (("calendars", "office"), ("teams", "Gata")):
            with pytest.raises(InvalidInput, match="is used by"):
                policy.retire(db, part, name, at=AT)
        renamed = calendar.model_copy(update={"name": "kontor"})
        with pytest.raises(InvalidInput, match="is used by"):
            policy.put(db, "calendars", renamed, instead_of="office", **put)
        policy.retire(db, "rules", "a", at=AT)
        policy.retire(db, "teams", "Gata", at=AT)
        policy.retire(db, "calendars", "office", at=AT)
        assert policy.read(db).calendars == {}


def test_a_day_without_hours_is_a_day_left_out() -> None:
    assert Calendar.model_validate({**OFFICE, "hours": {**OFFICE["hours"], "sun": []}}) == Calendar.model_validate(
        OFFICE
    )


def test_what_is_in_force_is_read_once_for_readers_and_writers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it is cheap only while nothing has changed: five thousand queries take a second to prepare."""
    reads: list[object] = []
    really = policy._in_mind._read

    def counted(db: Any) -> policy.Policy:
        reads.append(db)
        return really(db)

    monkeypatch.setattr(policy._in_mind, "_read", counted)
    for _ in range(3):
        with database.read() as db:
            policy.read(db)
        with database.transaction() as db:
            policy.read(db)
    assert len(reads) == 1


def test_what_was_rolled_back_is_forgotten_though_its_numbers_are_given_out_again(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as db:
        policy.put(db, "rules", rule("a"), by="eva@storby.example", at=AT)
        assert [entry.name for entry in policy.read(db).parts["rules"]] == ["a"]
        raise ZeroDivisionError
    with database.transaction() as db:
        policy.put(db, "rules", rule("b"), by="eva@storby.example", at=AT + timedelta(seconds=1))
    with database.read() as db:
        assert [entry.name for entry in policy.read(db).parts["rules"]] == ["b"]
