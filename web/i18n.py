"""The language of the screens: gettext over .po files read as they are, dates and numbers by locale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache, wraps
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, format_timedelta, get_day_names
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit
from flask import Request, g, has_request_context

TRANSLATIONS = Path(__file__).parent / "translations"
LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "sv": "Svenska",
    "da": "Dansk",
    "nb": "Norsk bokmål",
    "nn": "Norsk nynorsk",
}
DEFAULT = "en"
ALIASES = {"no": "nb"}  # what some browsers send for bokmål
KEPT = 4096  # formatted values of a kind: the rows of a list come again and again
FORMATS = {"en": "en_GB"}  # whose dates and numbers go with the language: ours is the English of Europe


@cache
def catalogue(language: str) -> Catalog:
    """The translations into ``language``; English has none, its texts are the keys."""
    path = TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


_imported_in: Path | None = None  # where imported catalogues lie


def imported_in(folder: Path) -> None:
    """From now on a catalogue ``LANGUAGE.po`` in this folder is asked before ours (see ``web.translating``)."""
    global _imported_in
    _imported_in = folder


def imported(language: str) -> Catalog | None:
    """What was imported for a language; None: nothing. Read anew when the file is another."""
    if _imported_in is None:
        return None
    path = _imported_in / f"{language}.po"
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return _read_imported(path, language, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=len(LANGUAGES))
def _read_imported(path: Path, language: str, _changed_at: int, _size: int) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=language)


class Words(dict[str, tuple[str, ...]]):
    """A text -> its translation, with its plural if it has one. ``said``: what ``once`` has put together of them."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str], str] = {}


@lru_cache(maxsize=2 * len(LANGUAGES))
def _together(*books: Catalog | None) -> Words:
    """The first of the books is asked first."""
    words = Words()
    for book in reversed(books):
        for entry in book or ():
            forms = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string or ())
            if entry.id and forms and all(forms):
                words[entry.id if isinstance(entry.id, str) else entry.id[0]] = forms
    return words


def _words() -> Words:
    """The translations into the reader's language, looked up once a request: a page asks for a thousand of them."""
    if not has_request_context():
        return _together(imported(language()), catalogue(language()))
    here, reader = g._get_current_object(), _reader.get()
    spoken = here.get("language", DEFAULT) if reader is None else reader[0]
    known: dict[str, Words] = here.setdefault("words", {})
    if spoken not in known:
        known[spoken] = _together(imported(spoken), catalogue(spoken))
    return known[spoken]


def once(say: Callable[[str], str]) -> Callable[[str], str]:
    """For words that depend on nothing but a name and the language: put together once for each of them."""

    @wraps(say)
    def said(value: str) -> str:
        kept, key = _words().said, (say.__name__, value)
        if key not in kept:
            kept[key] = say(value)
        return kept[key]

    return said


def supported(tag: str | None) -> str | None:
    """Our name of the language behind a BCP 47 tag, or None when the screens do not speak it."""
    base = (tag or "").replace("_", "-").split("-")[0].lower()
    base = ALIASES.get(base, base)
    return base if base in LANGUAGES else None


def choose(chosen: str | None, request: Request, organisation: Sequence[str]) -> str:
    """The user's choice, else the browser's, else the organisation's first, else English."""
    wanted = [chosen, *request.accept_languages.values(), *organisation]
    return next((found for tag in wanted if (found := supported(tag))), DEFAULT)


_reader: ContextVar[tuple[str, ZoneInfo] | None] = ContextVar("reader", default=None)


@contextmanager
def speaking(language: str, zone: ZoneInfo) -> Iterator[None]:
    """While it lasts everything here speaks this language: for what is written while nobody asks (mail)."""
    before = _reader.set((language, zone))
    try:
        yield
    finally:
        _reader.reset(before)


def language() -> str:
    if (reader := _reader.get()) is not None:
        return reader[0]
    return str(g.get("language", DEFAULT)) if has_request_context() else DEFAULT


def _locale() -> str:
    return FORMATS.get(language(), language())


def _zone() -> ZoneInfo:
    if (reader := _reader.get()) is not None:
        return reader[1]
    zone = g.get("zone") if has_request_context() else None
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")


def gettext(message: str, **values: object) -> str:
    """The text in the reader's language, with ``%(name)s`` filled in."""
    forms = _words().get(message)
    text = forms[0] if forms else message
    return text % values if values else text


def ngettext(one: str, many: str, n: int, **values: object) -> str:
    """The text that goes with the number; ``%(n)s`` is the number as the language writes it."""
    forms = _words().get(one, ())
    index = 0 if n == 1 else 1  # the same rule in all our languages
    text = forms[index] if len(forms) > index else (one, many)[index]
    return text % {"n": number(n), **values}


_ = gettext


def number(value: float) -> str:
    if isinstance(value, int) and 0 <= value < 1000:
        return str(value)  # all our languages write it so
    return str(format_decimal(value, locale=_locale()))


def percent(share: float, *, exact: bool = False) -> str:
    """``exact``: with what stands behind the point, as somebody wrote it."""
    share = round(share, 12) if exact else share  # 0.7 / 100 is a little less than it looks
    return str(format_percent(share, locale=_locale(), decimal_quantization=not exact))


def money(usd: float) -> str:
    return str(format_currency(usd, "USD", locale=_locale()))


def when(at: datetime, style: Literal["full", "medium"] = "full") -> str:
    """The whole instant, in the organisation's time zone; ``full`` names weekday and zone too."""
    return _instant(at, style, _zone(), _locale())


@lru_cache(maxsize=KEPT)
def _instant(at: datetime, style: Literal["full", "medium"], zone: ZoneInfo, locale: str) -> str:
    return str(format_datetime(at.astimezone(zone), style, locale=locale))


def clock(at: datetime, now: datetime) -> str:
    """As short as is still clear: the time today, else date and time."""
    at, now = at.astimezone(_zone()), now.astimezone(_zone())
    at_time = _time(at.hour, at.minute, _locale())
    if at.date() == now.date():
        return at_time
    return f"{_date(at.date(), 'd MMM' if at.year == now.year else 'd MMM y', _locale())} {at_time}"


def time_of_day(at: datetime) -> str:
    local = at.astimezone(_zone())
    return _time(local.hour, local.minute, _locale())


@lru_cache(maxsize=KEPT)
def _time(hour: int, minute: int, locale: str) -> str:
    return str(format_time(time(hour, minute), "short", locale=locale))


@lru_cache(maxsize=KEPT)
def _date(on: date, pattern: str, locale: str) -> str:
    return str(format_date(on, pattern, locale=locale))


def weekday(at: datetime, now: datetime | None = None) -> str:
    """When, on which day of the week: "Mon 23 Nov 12:00". ``now``: what was in another year bears it."""
    local = at.astimezone(_zone())
    return f"{short_day(local.date(), now)} {time_of_day(at)}"


def short_day(on: date, now: datetime | None = None) -> str:
    this_year = now is None or on.year == now.astimezone(_zone()).year
    return _date(on, "EEE d MMM" if this_year else "EEE d MMM y", _locale())


def duration(amount: timedelta) -> str:
    """To the minute: "4 h 30 min"."""
    return _duration(int(amount.total_seconds()) // 60, _locale())


@lru_cache(maxsize=KEPT)
def _duration(minutes: int, locale: str) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [(hours, "hour"), (rest, "minute")]
    shown = [format_unit(count, f"duration-{unit}", "short", locale=locale) for count, unit in parts if count]
    return " ".join(shown) or str(format_unit(0, "duration-minute", "short", locale=locale))


def seconds(count: int) -> str:
    return str(format_unit(count, "duration-second", "short", locale=_locale()))


def length(distance: timedelta) -> str:
    """In one unit: "3 min", "2 h", "5 d"."""
    return _length(max(round(abs(distance).total_seconds() / 60), 1), _locale())


@lru_cache(maxsize=KEPT)
def _length(minutes: int, locale: str) -> str:
    return str(
        format_timedelta(timedelta(minutes=minutes), granularity="minute", threshold=1, format="short", locale=locale)
    )


def age(at: datetime, now: datetime) -> str:
    """How long ago (or until), in one unit: "3 min", "2 h", "5 d"; over four weeks the date."""
    distance = now - at
    if abs(distance) >= timedelta(weeks=4):
        local = at.astimezone(_zone())
        pattern = "d MMM" if local.year == now.astimezone(_zone()).year else "d MMM y"
        return _date(local.date(), pattern, _locale())
    if abs(distance) < timedelta(minutes=1):
        return _("now")
    return length(distance)


def ago(at: datetime, now: datetime) -> str:
    """In a sentence: "3 minutes ago", "in 2 hours"."""
    if abs(now - at) < timedelta(seconds=5):
        return _("now") if at > now else _("just now")
    return str(format_timedelta(at - now, threshold=1, add_direction=True, format="long", locale=_locale()))


def day(on: date) -> str:
    """A date with its weekday, as short as is still clear."""
    return _date(on, "EEE d MMM y", _locale())


def day_of_month(on: date) -> str:
    """As short as can be: "24 Oct"."""
    return _date(on, "d MMM", _locale())


def month(on: date) -> str:
    """A month of a year: "November 2026"."""
    return _date(on, "LLLL y", _locale())


def day_name(number: int) -> str:
    """A day of the week, Monday being 0."""
    name = str(get_day_names("wide", "stand-alone", locale=_locale())[number])
    return name[:1].upper() + name[1:]


def country_name(code: str) -> str:
    return str(Locale.parse(language()).territories[code])


def language_name(tag: str) -> str:
    """What the language behind the tag is called in the reader's."""
    return _language_name(tag, language())


@lru_cache(maxsize=KEPT)
def _language_name(tag: str, spoken: str) -> str:
    try:
        return Locale.parse(tag, sep="-").get_language_name(spoken) or tag
    except (ValueError, LookupError, UnknownLocaleError):
        return tag


def install(jinja: Any) -> None:
    """Make ``_``, ``ngettext`` and the formatters known to the templates."""
    jinja.add_extension("jinja2.ext.i18n")
    jinja.install_gettext_callables(gettext, ngettext, newstyle=False)
    jinja.globals.update(
        _=gettext,
        ngettext=ngettext,
        age=age,
        ago=ago,
        when=when,
        clock=clock,
        day=day,
        number=number,
        percent=percent,
        duration=duration,
        time_of_day=time_of_day,
        weekday=weekday,
        short_day=short_day,
        money=money,
        language_name=language_name,
    )
