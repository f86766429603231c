"""When a case that is put off can come back, by the working hours of those who work on it. Values in, values out."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from settings import Calendar, OpeningTime
from triage import clock

DAY = timedelta(days=1)
BEGINS = time(8)  # a day, where nobody has said when it opens
LOOKS_AHEAD = 60  # days; a calendar that is not open within them offers no day


class Preset(StrEnum):
    later = "later"  # three working hours from now
    opening = "opening"  # when it next opens, after lunch or tomorrow
    tomorrow = "tomorrow"  # when it opens on the next day that is worked
    next_week = "next_week"  # when it opens on the first day of the next week that is worked


def presets(calendar: Calendar | None, zone: ZoneInfo, at: datetime) -> dict[Preset, datetime]:
    """Each with its instant (UTC), the earliest first; none twice. ``zone``: where the days begin and end."""
    today = at.astimezone(zone).date()
    offered = {
        Preset.later: _in_hours(calendar, at, 3),
        Preset.opening: _next_opening(calendar, at),
        Preset.tomorrow: _first_open(calendar, zone, datetime.combine(today + DAY, time(), zone)),
        Preset.next_week: _first_open(
            calendar, zone, datetime.combine(today + timedelta(days=7 - today.weekday()), time(), zone)
        ),
    }
    found: dict[Preset, datetime] = {}
    for preset, when in sorted(
        ((preset, when) for preset, when in offered.items() if when),
        key=lambda pair: (pair[1], list(Preset).index(pair[0])),
    ):
        if when not in found.values():
            found[preset] = when
    return found


def _in_hours(calendar: Calendar | None, at: datetime, hours: int) -> datetime:
    return clock.add(calendar, at, OpeningTime(0, timedelta(hours=hours))).replace(second=0, microsecond=0)


def _next_opening(calendar: Calendar | None, at: datetime) -> datetime | None:
    """The next moment at which it opens."""
    if calendar is None:
        return None
    days = (
        clock.day(calendar, at.astimezone(ZoneInfo(calendar.timezone)).date() + n * DAY) for n in range(LOOKS_AHEAD)
    )
    return next((opens for day in days for opens, _closes in day.openings if opens > at), None)


def _first_open(calendar: Calendar | None, zone: ZoneInfo, since: datetime) -> datetime | None:
    """When the first day from ``since`` on that is worked begins."""
    if calendar is None:
        return datetime.combine(since.date(), BEGINS, zone).astimezone(UTC)
    days = (clock.day(calendar, since.date() + n * DAY) for n in range(LOOKS_AHEAD))
    return next((day.openings[0][0] for day in days if day.openings), None)
