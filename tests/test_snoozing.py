"""Presets fall into working hours, with the instant they stand for; a note names whom it means and nobody else."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from settings import Calendar
from triage.naming import named
from triage.snoozing import Preset, presets

STOCKHOLM = ZoneInfo("Europe/Stockholm")
OFFICE = Calendar.model_validate(
    {
        "name": "office",
        "timezone": "Europe/Stockholm",
        "holidays": "SE",
        "hours": {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["08:00-15:00"]},
    }
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM)


def offered(calendar: Calendar | None, when: str) -> dict[str, str]:
    found = presets(calendar, STOCKHOLM, at(when))
    return {str(preset): f"{found[preset].astimezone(STOCKHOLM):%a %d %H:%M}" for preset in found}


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        # Tuesday morning: three hours lead past lunch, and it next opens after it.
        (
            "2026-11-24T09:30:20",
            {
                "opening": "Tue 24 13:00",
                "later": "Tue 24 13:30",
                "tomorrow": "Wed 25 08:00",
                "next_week": "Mon 30 08:00",
            },
        ),
        # Friday at two: an hour is left, the rest is Monday's; tomorrow is not worked.
        ("2026-11-27T14:00", {"opening": "Mon 30 08:00", "later": "Mon 30 10:00"}),
        # Saturday night counts as nothing.
        ("2026-11-28T23:00", {"opening": "Mon 30 08:00", "later": "Mon 30 11:00"}),
        # Before Christmas: half a day, then the eve, the two days and the weekend are shut.
        ("2026-12-23T11:00", {"opening": "Mon 28 08:00", "later": "Mon 28 10:00"}),
    ],
)  # fmt: skip
def test_presets_keep_to_the_hours_of_the_team(when: str, expected: dict[str, str]) -> None:
    assert offered(OFFICE, when) == expected


def test_without_a_calendar_a_day_begins_at_eight() -> None:
    expected = {"later": "Fri 27 17:00", "tomorrow": "Sat 28 08:00", "next_week": "Mon 30 08:00"}
    assert offered(None, "2026-11-27T14:00") == expected


def test_the_hour_that_summer_time_takes_is_not_counted() -> None:
    night = Calendar.model_validate(
        {"name": "night", "timezone": "Europe/Stockholm", "hours": {"sun": ["00:00-10:00"]}}
    )
    found = presets(night, STOCKHOLM, at("2026-03-29T00:30"))
    assert f"{found[Preset.later].astimezone(STOCKHOLM):%H:%M}" == "04:30"


PEOPLE = [
    ("anna@storby.example", "Anna Berg"),
    ("anna.b@storby.example", "Anna Bergström"),
    ("bo@storby.example", "Bo"),
    ("bo@lillby.example", "Bo Ek"),
]


@pytest.mark.parametrize(
    ("text", "people", "teams"),
    [
        ("@anna kan du?", {"anna@storby.example"}, set()),
        ("Fråga @Anna Berg.", {"anna@storby.example"}, set()),
        ("Fråga @anna bergström!", {"anna.b@storby.example"}, set()),
        ("@anna@storby.example, tack", {"anna@storby.example"}, set()),
        ("(@anna.b)", {"anna.b@storby.example"}, set()),
        ("@bo: två heter så", {"bo@storby.example", "bo@lillby.example"}, set()),
        ("@Gata tar det med @bo@lillby.example", {"bo@lillby.example"}, {"Gata"}),
        ("skriv till anna@storby.example", set(), set()),
        ("@annan @anna@elsewhere.example @ @@anna @Gatan", set(), set()),
        ("", set(), set()),
    ],
)  # fmt: skip
def test_a_note_names_whom_it_means_and_nobody_else(text: str, people: set[str], teams: set[str]) -> None:
    found = named(text, PEOPLE, ["Gata", "Vatten"])
    assert found.people == people
    assert found.teams == teams
