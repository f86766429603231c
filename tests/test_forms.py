"""Forms made from settings models: what a definition says survives the way through the browser and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from flask import Flask, render_template_string
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import BaseModel
from werkzeug.datastructures import MultiDict

import settings
from errors import ConfigError
from house import House, channel_rules
from triage import watch
from web import create_app, form_words, forms
from web.forms import Choice, Choices, Posted

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

NAMES = ["Gata", "Bibliotek & kultur", 'Namn med "citat" <b>']
PEOPLE = ["anna@storby.example", "mats@storby.example"]
CHOICES: Choices = {
    **{part: [Choice(name, name) for name in NAMES] for part in settings.PARTS},
    "people": [Choice(email, email) for email in PEOPLE],
    "channels": [Choice(name, name) for name in channel_rules()],
    "sources": [Choice(name, name) for name in ("x-mentions", "citizen-blog")],
    "tags": [Choice(tag, tag) for tag in ("snö", "halka")],
    "languages": [Choice(tag, tag) for tag in ("sv", "en")],
}
PAGE = '{% from "_controls.html" import field with context %}{% for each in controls %}{{ field(each) }}{% endfor %}'


class Form(HTMLParser):
    """The controls of a page as a browser posts them, nothing touched by hand."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.posted: Posted = MultiDict()
        self.select: str | None = None
        self.options: list[tuple[str, bool]] = []
        self.area: str | None = None
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "input" and has.get("type") == "checkbox":
            if "checked" in has:
                self.posted.add(str(has["name"]), has.get("value") or "on")
        elif tag == "input":
            self.posted.add(str(has["name"]), has.get("value") or "")
        elif tag == "select":
            self.select, self.options = str(has["name"]), []
        elif tag == "option":
            self.options.append((has.get("value") or "", "selected" in has))
        elif tag == "textarea":
            self.area, self.text = str(has["name"]), ""

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self.select:
            chosen = [value for value, selected in self.options if selected] or [self.options[0][0]]
            self.posted.add(self.select, chosen[-1])
        if tag == "textarea" and self.area:
            self.posted.add(self.area, self.text.removeprefix("\n").replace("\n", "\r\n"))
            self.area = None


@pytest.fixture
def app(make_house: Callable[..., House]) -> Iterator[Flask]:
    made = create_app(make_house())
    with made.test_request_context("/", headers={"Accept-Language": "en"}):
        made.preprocess_request()
        yield made


def through_the_browser(part: str, value: BaseModel) -> dict[str, Any]:
    posted = forms.as_posted(type(value), value.model_dump(mode="json", by_alias=True))
    controls = forms.controls(type(value), part, posted, CHOICES)
    html = render_template_string(PAGE, controls=controls)
    return forms.read(type(value), Form(html).posted)


# -- any valid definition ----------------------------------------------------------------------------------------------

line = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=30).map(
    lambda text: " ".join(text.split()) or "x"
)
tag = line.map(str.lower).map(lambda text: text[:40].strip() or "x")
text = st.lists(line, min_size=1, max_size=4).map("\n\n".join)
known = st.sampled_from(NAMES)
person = st.sampled_from([*PEOPLE, "new@storby.example"])
minutes = st.integers(1, 5000).map(lambda count: f"{count}m")
amount = st.builds("{}d{}h{}m".format, st.integers(0, 30), st.integers(0, 50), st.integers(1, 59))
query = st.sampled_from(["snö*", '"risk för liv" OR elledning*', "plog NEAR/5 gata"])


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, max_size=3, unique=True)


def of(model: type[BaseModel], field: str) -> st.SearchStrategy[list[str]]:
    """Some of the fixed values of a list."""
    [values] = [each for each in forms._fields(model) if each.key == field]
    return some(st.sampled_from(get_args(forms._item(values.bare))))


@st.composite
def spans(draw: st.DrawFn) -> list[str]:
    edges = sorted(draw(st.sets(st.integers(0, 96), min_size=2, max_size=6)))
    clock = [f"{edge // 4:02}:{edge % 4 * 15:02}" for edge in edges]
    return [f"{start}-{end}" for start, end in zip(clock[::2], clock[1::2], strict=False)]


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def conditions(model: type[BaseModel]) -> dict[str, st.SearchStrategy[Any]]:
    return {
        "channel": some(st.sampled_from(list(channel_rules()))),
        "source": some(st.sampled_from(["x-mentions", "gone"])),
        "kind": of(model, "kind"),
        "priority": of(model, "priority"),
        "team": some(known),
        "tag": some(tag),
        "language": some(st.sampled_from(["sv", "en", "nb-NO"])),
    }


either = st.booleans()
number = st.integers(0, 10_000)
rule_conditions = maybe(
    **conditions(settings.RuleConditions),
    match=query,
    status=of(settings.RuleConditions, "status"),
    sentiment=of(settings.RuleConditions, "sentiment"),
    urgency=of(settings.RuleConditions, "urgency"),
    noise=of(settings.RuleConditions, "noise"),
    category=some(st.sampled_from([*NAMES, "none"])),
    wants_answer=either,
    assigned=either,
    answered=either,
    author=some(line),
    followers_over=number,
    messages_over=number,
    spread_over=number,
    story_over=number,
    unanswered_for=minutes,
    opening_hours=either,
    days=of(settings.RuleConditions, "days"),
    hours=spans(),
)
effects = maybe(
    ignore=st.just(True),
    kind=st.sampled_from(["idea", "praise"]),
    priority=st.sampled_from(["low", "urgent"]),
    tags=some(tag),
    team=known,
    assignee=person,
    draft=known,
    review=st.just(True),
    notify=some(person),
    webhook=st.just("https://www.example.org/hook?a=1&b=2"),
)


@st.composite
def calendars(draw: st.DrawFn) -> dict[str, Any]:
    week = draw(st.dictionaries(st.sampled_from(settings.DAYS), spans(), min_size=1))
    dates = st.dates(date(2024, 1, 1), date(2030, 1, 1)).map(date.isoformat)
    more = draw(
        maybe(
            holidays=st.sampled_from(["DK", "NO", "SE"]),
            half_days_end=st.sampled_from(["none", "11:30"]),
            exceptions=st.dictionaries(dates, spans() | st.just([]), max_size=4),
        )
    )
    return {"name": draw(line), "timezone": draw(st.sampled_from(["Europe/Oslo", "UTC"])), "hours": week, **more}


MADE: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "calendars": calendars(),
    "teams": st.fixed_dictionaries(
        {"name": line},
        optional={
            "calendar": known,
            "members": some(person),
            "routing": st.sampled_from(["round_robin", "least_loaded"]),
            "ceiling": st.integers(1, 99),
            "queue_alarm": st.integers(1, 99),
            "members_only": st.booleans(),
        },
    ),
    "sla": st.fixed_dictionaries(
        {"name": line, "first_response": amount},
        optional={
            "calendar": known,
            "clock": st.sampled_from(["business", "calendar"]),
            "when": maybe(**conditions(settings.Conditions)),
            "next_response": amount,
            "resolution": amount,
            "warn_before": amount,
            "escalate": maybe(notify=some(person), team=known, priority=st.sampled_from(["low", "urgent"])),
        },
    ),
    "rules": st.fixed_dictionaries(
        {"name": line, "if": rule_conditions, "then": effects},
        optional={
            "when": st.lists(st.sampled_from(["mention", "answer", "status"]), min_size=1, unique=True),
            "enabled": either,
        },
    ),
    "categories": st.fixed_dictionaries({"name": line}, optional={"parent": known, "match": query, "team": known}),
    "canned_replies": st.fixed_dictionaries(
        {"name": line, "texts": st.dictionaries(st.sampled_from(["sv", "en", "nb-NO", "fi"]), text, min_size=1)}
    ),
}


def meant(value: BaseModel) -> Any:
    """What a definition says; what is ticked has no order."""

    def plain(each: Any, key: str = "") -> Any:
        if isinstance(each, dict):
            return {inner: plain(value, inner) for inner, value in each.items()}
        ordered = key in (*settings.DAYS, "hours") or key[:2] == "20"
        return sorted(each) if isinstance(each, list) and not ordered else each

    return plain(value.model_dump(mode="json", by_alias=True))


@pytest.mark.parametrize("part", sorted(settings.PARTS))
@effort(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_definition_survives_the_form(app: Flask, part: str, data: st.DataObject) -> None:
    model = settings.PARTS[part]
    value = model.model_validate(data.draw(MADE[part]))
    posted = through_the_browser(part, value)
    assert meant(model.model_validate(posted)) == meant(value)


def test_every_part_has_its_strategy_with_every_field() -> None:
    """So that a new field of a model is tried too."""
    assert MADE.keys() == settings.PARTS.keys()
    source = Path(__file__).read_text()
    inner: list[type[BaseModel]] = [settings.RuleConditions, settings.RuleEffects, settings.Escalation]
    for model in [*settings.PARTS.values(), *inner]:
        for field in forms._fields(model):
            assert f'"{field.key}"' in source or f"{field.key}=" in source, f"{model.__name__}.{field.key} is not tried"


# -- what is typed -----------------------------------------------------------------------------------------------------


def test_hours_and_exceptions_may_be_typed_as_people_write_them() -> None:
    posted: Posted = MultiDict(
        {
            "name": " Kontoret ",
            "timezone": "Europe/Stockholm",
            "hours.mon": "08:00 – 12:00, 13:00-16:30",
            "hours.sat": "  ",
            "half_days_end": "",
            "exceptions": "2026-12-28\r\n\r\n2026-12-23   08:00-12:00\r\n2026-12-23 13:00-14:00",
        }
    )
    assert forms.read(settings.Calendar, posted) == {
        "name": "Kontoret",
        "timezone": "Europe/Stockholm",
        "hours": {"mon": ["08:00-12:00", "13:00-16:30"]},
        "half_days_end": "none",
        "exceptions": {"2026-12-28": [], "2026-12-23": ["08:00-12:00", "13:00-14:00"]},
    }


def test_a_form_left_empty_says_what_is_missing() -> None:
    assert forms.read(settings.RuleSettings, MultiDict()) == {"name": "", "when": [], "then": {}, "enabled": False}
    assert forms.read(settings.CannedReply, MultiDict()) == {"name": "", "texts": {}}


@pytest.mark.parametrize(
    ("part", "typed", "path", "told"),
    [
        ("calendars", {"hours.mon": "8-16"}, "hours.mon", "08:00-16:30"),
        ("calendars", {"hours.tue": "16:00-08:00"}, "hours.tue", "ends before it starts"),
        ("calendars", {"hours.wed": "08:00-12:00 11:00-13:00"}, "hours.wed", "at 11:00"),
        ("calendars", {"exceptions": "23 december"}, "exceptions", "begin each line with a date"),
        ("calendars", {"exceptions": "2026-12-23 8-12"}, "exceptions", "08:00-16:30"),
        ("calendars", {"timezone": "Europe/Stokholm"}, "timezone", "did you mean europe/stockholm"),
        ("calendars", {"half_days_end": "noon"}, "half_days_end", "such as 12:00"),
        ("teams", {"members": "anna"}, "members", "e-mail"),
        ("teams", {"ceiling": "many"}, "ceiling", "whole number"),
        ("teams", {"ceiling": "0"}, "ceiling", "not below 1"),
        ("teams", {"calendar": "gone"}, "calendar", "none of this name"),
        ("sla", {"first_response": "soon"}, "first_response", "4h (opening hours)"),
        ("sla", {"first_response": "4h", "escalate.team": "gone"}, "escalate.team", "none of this name"),
        ("sla", {}, None, "one of the three times"),
        ("rules", {"then.priority": "high", "when": "time"}, None, "fill in"),
        ("rules", {"when": "mention"}, "then", "does nothing"),
        ("rules", {"when": "mention", "then.webhook": "example.org"}, "then.webhook", "whole address"),
        ("rules", {"when": "mention", "then.ignore": "on", "if.match": '"snö'}, "if.match", "phrase"),
        ("rules", {"then.ignore": "on"}, "when", "at least one"),
        ("categories", {"name": ""}, "name", "it is empty"),
        ("canned_replies", {}, "texts", "at least one language"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, part: str, typed: dict[str, str], path: str | None, told: str
) -> None:
    usual = {"name": "ny [1].x", "timezone": "Europe/Oslo", "hours.fri": "08:00-15:00"}
    posted: Posted = MultiDict({**usual, **typed})
    definition = forms.read(settings.PARTS[part], posted)
    known_names = {each: NAMES for each in settings.PARTS}
    with pytest.raises(ConfigError) as wrong:
        settings.read_part(part, definition, known=known_names, channels=channel_rules(), check_query=watch.parse)
    problems = forms.relative(wrong.value.problems, part, definition["name"])
    controls = forms.controls(settings.PARTS[part], part, posted, CHOICES, problems)
    at_fields = {one.path: " ".join(one.problems) for one in forms.wrong(controls)}
    here = at_fields.get(path, "") if path else " ".join(forms.unplaced(controls, problems))
    assert told in here.lower(), (at_fields, problems)
    html = render_template_string(PAGE, controls=controls)
    again = Form(html).posted
    for key, value in typed.items():
        assert value in again.getlist(key) or value == "on", "what was typed is gone"
    if path:
        assert f'id="{path}-problem"' in html


@pytest.mark.parametrize("language", ["sv", "da", "nb", "nn"])
def test_every_field_and_every_error_has_words(app: Flask, language: str) -> None:
    with app.test_request_context("/", headers={"Accept-Language": language}):
        app.preprocess_request()
        for part, model in settings.PARTS.items():
            for control in walk(forms.controls(model, part, MultiDict(), CHOICES)):
                if not control.path.startswith("texts."):
                    assert "_" not in control.words.label and control.words.label[0].isupper(), control.path
                    last = control.path.split(".")[-1]
                    assert control.words != form_words.Words(last.replace("_", " ")), f"{control.path} has no words"
        assert form_words.remedy("it is empty; write something") != "it is empty; write something"


def walk(controls: Any) -> Iterator[forms.Control]:
    for control in controls:
        yield control
        yield from walk(control.parts)


def test_durations_read_back_as_they_are_meant() -> None:
    value = settings.RuleSettings.model_validate(
        {"name": "r", "if": {"unanswered_for": "90m"}, "then": {"review": True}}
    )
    posted = forms.as_posted(settings.RuleSettings, value.model_dump(mode="json", by_alias=True))
    assert posted["if.unanswered_for"] == "1h30m"
    again = settings.RuleSettings.model_validate(forms.read(settings.RuleSettings, posted))
    assert again.conditions.unanswered_for == timedelta(minutes=90)
