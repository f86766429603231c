"""Dates in feeds, as people and their programs really write them."""

from __future__ import annotations

import calendar
import re
import time
from datetime import UTC, datetime, timedelta

# feedparser takes any zone it does not know for UTC. Hours east of Greenwich; summer time goes by its own name.
_ZONES = {
    "WET": 0, "WEST": 1, "BST": 1, "IST": 1, "CET": 1, "MEZ": 1, "MET": 1, "CEST": 2, "MEST": 2, "MESZ": 2, "EET": 2,
    "EEST": 3, "MSK": 3, "TRT": 3,
}  # fmt: skip

# The first letters of month names in Swedish, Danish, Norwegian, English, German and Finnish.
_MONTHS = {
    "jan": 1, "jän": 1, "tam": 1, "feb": 2, "hel": 2, "mar": 3, "mär": 3, "maa": 3, "apr": 4, "huh": 4, "may": 5,
    "maj": 5, "mai": 5, "tou": 5, "jun": 6, "kes": 6, "jul": 7, "hei": 7, "aug": 8, "elo": 8, "sep": 9, "syy": 9,
    "oct": 10, "okt": 10, "lok": 10, "nov": 11, "dec": 12, "des": 12, "dez": 12, "jou": 12,
}  # fmt: skip

_DATE = re.compile(
    r"""^\s*(?:[^\W\d]+\.?,?\s+)?(?:den\s+)?
    (?P<day>\d{1,2})\.?(?:\s+|-|/)(?:de\s+)?(?P<month>[^\W\d]{3,}\.?)(?:\s+|-|/)(?:de\s+)?(?P<year>\d{4}|\d{2}),?
    (?:\s+(?:kl\.?\s*|klo\s+)?(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?
       (?:\s*(?P<zone>[A-Za-z]{1,5}|(?:GMT|UTC)?[+-]\d{1,2}:?\d{2})(?:\s*\(.*\))?)?)?\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
_ISO_WITH_ZONE_NAME = re.compile(
    r"^\s*(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)\s*(" + "|".join(_ZONES) + r")\s*$", re.IGNORECASE
)


def _offset(zone: str | None) -> timedelta | None:
    """East of Greenwich; no zone is taken for UTC, an unknown name is None."""
    if not zone:
        return timedelta()
    if found := re.fullmatch(r"(?:GMT|UTC)?([+-])(\d{1,2}):?(\d{2})", zone, re.IGNORECASE):
        sign, hours, minutes = found.groups()
        return timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    if zone.upper() in ("Z", "UT", "UTC", "GMT"):
        return timedelta()
    hours_east = _ZONES.get(zone.upper())
    return None if hours_east is None else timedelta(hours=hours_east)


def parse_date(text: str) -> datetime | None:
    """What feedparser gets wrong or cannot read: zones by name, month names in six languages. None: ask feedparser."""
    if iso := _ISO_WITH_ZONE_NAME.match(text):
        day, clock, zone = iso.groups()
        return (datetime.fromisoformat(f"{day}T{clock}") - (_offset(zone) or timedelta())).replace(tzinfo=UTC)
    found = _DATE.match(text)
    if found is None:
        return None
    month, offset = _MONTHS.get(found["month"][:3].lower()), _offset(found["zone"])
    if month is None or offset is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 2000 if year < 70 else 1900
    try:
        hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
        return datetime(year, month, int(found["day"]), hour, minute, second, tzinfo=UTC) - offset
    except (ValueError, OverflowError):
        return None


def date_handler(text: str) -> time.struct_time | None:
    """``parse_date`` in the form ``feedparser.registerDateHandler`` wants."""
    found = parse_date(text)
    return found.utctimetuple() if found else None


def from_parsed(value: time.struct_time | None) -> datetime | None:
    """feedparser's ``*_parsed``: UTC."""
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None
