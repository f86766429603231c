"""A form for what config.yaml can hold: each field of a settings model is a control, the posted form a definition.

A form is always drawn from posted texts: those a definition would post (``as_posted``), or what a person typed, just as
it was typed. ``read`` makes of them the dict that config.yaml would hold; ``settings.read_part`` checks it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from werkzeug.datastructures import MultiDict

from errors import ConfigProblem
from settings import DAYS, Span
from web import form_words
from web.form_words import Words

# What a field may name -> where the names come from.
VOCABULARY = {
    "channel": "channels",
    "source": "sources",
    "team": "teams",
    "calendar": "calendars",
    "category": "categories",
    "parent": "categories",
    "draft": "canned_replies",
    "tag": "tags",
    "tags": "tags",
    "language": "languages",
    "members": "people",
    "notify": "people",
    "assignee": "people",
}
OPEN = ("tags", "people")  # what is not there yet may be named too
# Conditions that few rules have: folded away while nothing stands in them.
RARE = ("noise", "days", "hours", "author", "answered", "assigned", "messages_over", "spread_over", "story_over")
FIRST = ("name", "match")
YES_NO = {"true": True, "false": False}

Posted = MultiDict[str, str]
Widget = Literal["text", "area", "lines", "spans", "dates", "days", "texts", "tick", "choice", "ticks", "group"]


class Choice(NamedTuple):
    value: str
    label: str


Choices = Mapping[str, Sequence[Choice]]  # of each vocabulary


@dataclass(frozen=True)
class Control:
    """``path`` as in config.yaml, such as ``if.match``; ``typed``: what stands in it; ``parts``: of a group."""

    path: str
    widget: Widget
    words: Words
    typed: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    parts: tuple[Control, ...] = ()
    problems: tuple[str, ...] = ()
    required: bool = False
    open: bool = False  # more than the choices may be written

    @property
    def text(self) -> str:
        """What stands in a control that can be written in; of ``ticks`` what is not among the choices."""
        known = {choice.value for choice in self.choices}
        return "\n".join(each for each in self.typed if each not in known)

    @property
    def shown(self) -> list[str]:
        """Its values as people read them; nothing where nothing is said."""
        if self.widget == "tick":
            return [form_words.yes()] if self.typed else []
        labels = {choice.value: choice.label for choice in self.choices}
        return [labels.get(each, each) for each in self.typed if each]

    @property
    def rare(self) -> bool:
        return self.path.startswith("if.") and self.path.removeprefix("if.") in RARE and not self.filled

    @property
    def filled(self) -> bool:
        return bool(self.shown or self.problems) or any(part.filled for part in self.parts)


class _Field(NamedTuple):
    key: str
    path: str
    info: FieldInfo
    bare: Any  # the type without Annotated and None
    widget: Widget

    @property
    def vocabulary(self) -> str | None:
        return VOCABULARY.get(self.key)


# -- from a definition to what is posted, and back ---------------------------------------------------------------------


def as_posted(model: type[BaseModel], definition: Mapping[str, Any], prefix: str = "") -> Posted:
    """What a browser would post for a definition, as ``model_dump(mode="json", by_alias=True)`` gives it."""
    posted: Posted = MultiDict()
    for field in _fields(model, prefix):
        value = definition.get(field.key)
        match field.widget:
            case "group":
                posted.update(as_posted(field.bare, value or {}, f"{field.path}."))
            case "tick" if value:
                posted[field.path] = "on"
            case "ticks" | "lines" if value:
                posted.setlist(field.path, list(value))
            case "tick" | "ticks" | "lines":
                pass  # a browser posts nothing
            case "spans":
                posted[field.path] = " ".join(value or ())
            case "days" | "texts":
                for key, each in (value or {}).items():
                    posted[f"{field.path}.{key}"] = each if isinstance(each, str) else " ".join(each)
            case "dates":
                posted[field.path] = "\n".join(" ".join((on, *spans)) for on, spans in sorted((value or {}).items()))
            case _:
                posted[field.path] = _as_text(field, value)
    return posted


def _as_text(field: _Field, value: Any) -> str:
    if value is None or (value == "none" and _default(field)):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(model: type[BaseModel], posted: Posted, prefix: str = "") -> dict[str, Any]:
    """The definition a form says. What is left empty is left out, or says so where leaving it out means something."""
    found: dict[str, Any] = {}
    for field in _fields(model, prefix):
        value = _read(field, posted)
        if value not in (None, "", [], {}) or field.info.is_required():
            found[field.key] = value
        elif _default(field) and (field.widget == "ticks" or field.path in posted):
            found[field.key] = [] if value == [] else "none"
    return found


def _read(field: _Field, posted: Posted) -> Any:
    match field.widget:
        case "group":
            return read(field.bare, posted, f"{field.path}.")
        case "tick":
            return field.path in posted or (None if field.bare is not bool else False)
        case "ticks" | "lines":
            return [line for each in posted.getlist(field.path) for line in _lines(each)]
        case "spans":
            return _spans(posted.get(field.path, ""))
        case "days":
            return {day: spans for day in DAYS if (spans := _spans(posted.get(f"{field.path}.{day}", "")))}
        case "texts":
            start = f"{field.path}."
            texts = {key.removeprefix(start): value for key, value in posted.items() if key.startswith(start)}
            return {tag: text for tag, value in texts.items() if (text := "\n".join(_rows(value)).strip())}
        case "dates":
            dated: dict[str, list[str]] = {}
            for line in _lines(posted.get(field.path, "")):
                on, _space, rest = line.partition(" ")
                dated.setdefault(on, []).extend(_spans(rest))
            return dated
        case _:
            text = posted.get(field.path, "").strip()
            return YES_NO.get(text, text) if field.bare is bool else text


def _rows(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in _rows(text) if line.strip()]


def _spans(text: str) -> list[str]:
    """``08:00 – 12:00, 13:00-16:30`` as its spans."""
    return re.sub(r"\s*[-–]\s*", "-", text).replace(",", " ").split()


# -- controls ----------------------------------------------------------------------------------------------------------


def controls(
    model: type[BaseModel],
    part: str,
    posted: Posted,
    choices: Choices,
    problems: Sequence[ConfigProblem] = (),
    prefix: str = "",
) -> list[Control]:
    """The controls of a form with what stands in them, and what is wrong at each."""
    fields = sorted(_fields(model, prefix), key=lambda field: field.key not in FIRST)
    found = [_control(part, field, posted, choices) for field in fields]
    return [_with_problems(control, problems) for control in found]


def wrong(found: Sequence[Control]) -> list[Control]:
    """Those with something wrong, in the order they stand on the page."""
    return [one for control in found for one in ([control] if control.problems else []) + wrong(control.parts)]


def unplaced(found: Sequence[Control], problems: Sequence[ConfigProblem]) -> list[str]:
    """What is wrong with the whole of it."""
    return [form_words.remedy(each.remedy) for each in problems if not any(_about(each, one.path) for one in found)]


def relative(problems: Sequence[ConfigProblem], part: str, name: str) -> list[ConfigProblem]:
    """Problems of one entry, their paths beginning in it: ``rules[snow].if.match`` -> ``if.match``."""
    return [replace(each, path=each.path.removeprefix(f"{part}[{name}]").removeprefix(".")) for each in problems]


def _about(problem: ConfigProblem, path: str) -> bool:
    return problem.path == path or problem.path.startswith((f"{path}.", f"{path}["))


def _with_problems(control: Control, problems: Sequence[ConfigProblem]) -> Control:
    parts = tuple(_with_problems(part, problems) for part in control.parts)
    own = [each for each in problems if _about(each, control.path)]
    own = [each for each in own if not any(_about(each, part.path) for part in parts)]
    query = control.text if control.path.split(".")[-1] == "match" else ""
    told = ((query and form_words.of_query(query)) or form_words.remedy(each.remedy) for each in own)
    return replace(control, parts=parts, problems=tuple(told))


def _control(part: str, field: _Field, posted: Posted, choices: Choices) -> Control:
    words = form_words.words(part, field.path)
    made = Control(field.path, field.widget, words, required=field.info.is_required())
    match field.widget:
        case "group":
            return replace(made, parts=tuple(controls(field.bare, part, posted, choices, prefix=f"{field.path}.")))
        case "days":
            return replace(made, parts=tuple(_part(made, "text", day, form_words.day(day), posted) for day in DAYS))
        case "texts":
            tags = dict.fromkeys(choice.value for choice in choices.get("languages", ()))
            tags |= dict.fromkeys(key.removeprefix(f"{field.path}.") for key in posted if _is_below(key, field.path))
            names = {tag: form_words.language(tag) for tag in tags}
            return replace(made, parts=tuple(_part(made, "area", tag, names[tag], posted) for tag in tags))
        case "tick":
            return replace(made, typed=tuple(posted.getlist(field.path)))
        case "ticks":
            typed = tuple(line for each in posted.getlist(field.path) for line in _lines(each))
            return _choosing(part, field, replace(made, typed=typed), choices)
        case "choice":
            return _choosing(part, field, replace(made, typed=tuple(posted.getlist(field.path)[:1])), choices)
        case _:
            return replace(made, typed=tuple(posted.getlist(field.path)))


def _is_below(key: str, path: str) -> bool:
    return key.startswith(f"{path}.")


def _part(whole: Control, widget: Widget, key: str, label: str, posted: Posted) -> Control:
    path = f"{whole.path}.{key}"
    return Control(path, widget, Words(label), tuple(posted.getlist(path)))


def _choosing(part: str, field: _Field, made: Control, choices: Choices) -> Control:
    """With what there is to choose from; what is chosen stays a choice even where it is no longer there."""
    if field.vocabulary is None:
        values = list(YES_NO) if field.bare is bool else get_args(_item(field.bare))
        known = [Choice(value, form_words.option(field.key, value)) for value in values]
    else:
        known = list(choices.get(field.vocabulary, ()))
        if field.path == "if.category":
            known.insert(0, Choice("none", form_words.option(field.key, "none")))
    open = field.widget == "ticks" and field.vocabulary in OPEN
    if not open:
        there = {choice.value for choice in known}
        known += [Choice(each, each) for each in dict.fromkeys(made.typed) if each and each not in there]
    return replace(made, choices=tuple(known), open=open)


# -- what a field is ---------------------------------------------------------------------------------------------------


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[_Field]:
    for name, info in model.model_fields.items():
        key = info.alias or name
        bare, optional = _bare(info.annotation)
        yield _Field(key, f"{prefix}{key}", info, bare, _widget(key, bare, optional))


def _bare(annotation: Any) -> tuple[Any, bool]:
    """The type inside ``Annotated[…]`` and ``… | None``, and whether it may be None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        [inner] = [each for each in get_args(annotation) if each is not types.NoneType]
        return _bare(inner)[0], True
    return annotation, False


def _item(bare: Any) -> Any:
    """The type of the entries of a list; of anything else, itself."""
    return _bare(get_args(bare)[0])[0] if get_origin(bare) is tuple else bare


def _widget(key: str, bare: Any, optional: bool) -> Widget:
    origin, item = get_origin(bare), _item(bare)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return "group"
    if origin is dict:
        of, given = (_bare(each)[0] for each in get_args(bare))
        return "dates" if of is date else "texts" if given is str else "days"
    if origin is tuple and item is Span:
        return "spans"
    if origin is tuple:
        return "ticks" if get_origin(item) is Literal or key in VOCABULARY else "lines"
    if bare is bool or get_args(bare) == (True,):
        return "choice" if optional and bare is bool else "tick"
    return "choice" if origin is Literal or key in VOCABULARY else "text"


def _default(field: _Field) -> bool:
    """Does leaving it out mean something else than leaving it empty?"""
    return not field.info.is_required() and bool(field.info.get_default()) and field.widget in ("text", "ticks")
