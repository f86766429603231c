"""The words of the forms made from settings models: labels, hints, options, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from errors import QueryError
from settings import DAYS
from triage import watch
from web import i18n, labels
from web.i18n import gettext as _


class Words(NamedTuple):
    """``nothing``: what it means to choose nothing, or to tick none."""

    label: str
    hint: str = ""
    nothing: str = ""


def words(part: str, path: str) -> Words:
    """The words of a field; the same key means the same wherever a longer path does not say otherwise."""
    steps = [part, *path.split(".")]
    for first in range(len(steps)):
        found = _WORDS.get(".".join(steps[first:]))
        if found:
            return found()
    return Words(steps[-1].replace("_", " "))


_WORDS: dict[str, Callable[[], Words]] = {
    "name": lambda: Words(_("Name")),
    "calendar": lambda: Words(_("Calendar"), "", _("The first calendar")),
    "sla.calendar": lambda: Words(_("Calendar"), "", _("That of the case's team, else the first")),
    # calendars
    "timezone": lambda: Words(_("Time zone"), _("Such as Europe/Stockholm, Europe/Copenhagen, Europe/Oslo.")),
    "holidays": lambda: Words(_("Closed on the holidays of"), "", _("No country")),
    "half_days_end": lambda: Words(
        _("Half-days end at"),
        _("Such as 12:00: then it closes on the country's half-days. Empty: open as on any other day."),
    ),
    "calendars.hours": lambda: Words(
        _("Opening hours"),
        _("Such as 08:00-16:30, or 08:00-12:00 13:00-16:30 with a break. Over midnight: two spans, on two days."),
        _("closed"),
    ),
    "exceptions": lambda: Words(
        _("Exceptions"),
        _("One day a line, with its hours: 2026-12-23 08:00-12:00. A date alone: closed all day."),
    ),
    # teams
    "members": lambda: Words(_("Members")),
    "routing": lambda: Words(_("How new cases are given out"), "", _("People take them themselves")),
    "ceiling": lambda: Words(
        _("At most so many cases each"),
        _("Whoever has as many cases that are not resolved is given no more. Empty: no limit."),
    ),
    "queue_alarm": lambda: Words(
        _("Alarm when so many wait"),
        _("So many cases of the team that nobody has: then every member is told. Empty: no alarm."),
    ),
    "members_only": lambda: Words(
        _("Only for members"),
        _("Its cases are seen by its members, managers and administrators. For everybody else they are not there."),
    ),
    # SLA
    "clock": lambda: Words(_("Which time counts")),
    "sla.when": lambda: Words(
        _("For which cases"), _("A case must meet every line that is filled in. Nothing filled in: every case.")
    ),
    "first_response": lambda: Words(
        _("First answer within"), _("4h: four opening hours; 30m: half an hour; 2d: two opening days.")
    ),
    "next_response": lambda: Words(_("Every later answer within")),
    "resolution": lambda: Words(_("Resolved within")),
    "warn_before": lambda: Words(
        _("Warn so long before"), _("30m: half an hour of opening time before it is too late.")
    ),
    "escalate": lambda: Words(_("When a target is missed")),
    # conditions
    "channel": lambda: Words(_("Channel")),
    "source": lambda: Words(_("Source")),
    "kind": lambda: Words(_("Kind")),
    "priority": lambda: Words(_("Priority")),
    "team": lambda: Words(_("Team")),
    "tag": lambda: Words(_("Tag")),
    "language": lambda: Words(_("Language")),
    "match": lambda: Words(_("Watch query"), _("For example: storby AND (snow* OR road*). Empty: everything.")),
    "categories.match": lambda: Words(
        _("Sort in what matches"), _("For example: snow* OR plough*. Empty: only people sort cases in here.")
    ),
    "status": lambda: Words(_("Status")),
    "sentiment": lambda: Words(_("Sentiment")),
    "urgency": lambda: Words(_("Urgency")),
    "noise": lambda: Words(_("Noise")),
    "category": lambda: Words(_("Category")),
    "wants_answer": lambda: Words(_("Wants an answer"), "", _("either way")),
    "assigned": lambda: Words(_("Somebody has it"), "", _("either way")),
    "answered": lambda: Words(_("Has been answered"), "", _("either way")),
    "author": lambda: Words(_("Author"), _("One a line: the name, or the handle with or without @.")),
    "followers_over": lambda: Words(_("The author has more followers than")),
    "messages_over": lambda: Words(_("More messages in the case than")),
    "spread_over": lambda: Words(_("Passed on more times than")),
    "story_over": lambda: Words(_("More mentions in its story than")),
    "unanswered_for": lambda: Words(_("Unanswered for"), _("Such as 4h or 2d, by the clock on the wall.")),
    "opening_hours": lambda: Words(_("Within opening hours"), "", _("either way")),
    "days": lambda: Words(_("Day of the week")),
    "if.hours": lambda: Words(_("Time of day"), _("Such as 22:00-24:00 00:00-06:00.")),
    # rules
    "rules.when": lambda: Words(_("When")),
    "if": lambda: Words(_("If"), _("The case must meet every line that is filled in. Nothing filled in: every case.")),
    "then": lambda: Words(_("Then")),
    "enabled": lambda: Words(_("In use")),
    "ignore": lambda: Words(_("Ignore the case")),
    "then.kind": lambda: Words(_("Set the kind"), "", _("leave it as it is")),
    "then.priority": lambda: Words(_("Set the priority"), "", _("leave it as it is")),
    "escalate.priority": lambda: Words(_("Set the priority"), "", _("leave it as it is")),
    "tags": lambda: Words(_("Add the tags")),
    "then.team": lambda: Words(_("Give to the team"), "", _("leave it as it is")),
    "escalate.team": lambda: Words(_("Give to the team"), "", _("leave it as it is")),
    "assignee": lambda: Words(_("Assign to"), "", _("leave it as it is")),
    "draft": lambda: Words(_("Propose the canned reply"), "", _("none")),
    "review": lambda: Words(_("A colleague approves the answer before it goes out")),
    "notify": lambda: Words(_("Tell colleagues")),
    "webhook": lambda: Words(
        _("Call another system"), _("The address that takes it, such as https://www.example.org/hook.")
    ),
    # categories, canned replies
    "parent": lambda: Words(_("Part of"), "", _("nothing larger")),
    "categories.team": lambda: Words(_("Team that answers for it"), "", _("none")),
    "texts": lambda: Words(_("Text"), _("In the languages you answer in; one is enough.")),
}


def part(key: str) -> str:
    """What a part of config.yaml is called on the screens."""
    return {
        "rules": _("Rules"),
        "calendars": _("Calendars"),
        "sla": _("Targets for response times"),
        "categories": _("Categories"),
        "canned_replies": _("Canned replies"),
        "teams": _("Teams"),
    }[key]


def new(key: str) -> str:
    return {
        "rules": _("New rule"),
        "calendars": _("New calendar"),
        "sla": _("New target"),
        "categories": _("New category"),
        "canned_replies": _("New canned reply"),
        "teams": _("New team"),
    }[key]


def about(key: str) -> str:
    """What it is for, in a sentence or two."""
    return {
        "rules": _("When something happens and a case is as described, this follows. Tried from top to bottom."),
        "calendars": _("When people work. The first one counts wherever nothing else is named."),
        "sla": _("How soon a case is to be answered. The first one that fits a case counts."),
        "categories": _("What cases are about. The finer ones are tried before those they are part of."),
        "canned_replies": _("Texts that colleagues and rules can propose as an answer, in each language."),
        "teams": _("Who works on what, and how new cases are shared out."),
    }[key]


def day(key: str) -> str:
    return i18n.day_name(DAYS.index(key))


def language(tag: str) -> str:
    name = i18n.language_name(tag)
    return name[:1].upper() + name[1:]


def yes() -> str:
    return _("yes")


def option(field: str, text: str) -> str:
    """One of a field's fixed values."""
    if text in ("true", "false"):
        return _("yes") if text == "true" else _("no")
    if text == "none":
        return _("none")
    judged: dict[str, Callable[[str], str]] = {
        "kind": labels.kind,
        "priority": labels.priority,
        "status": labels.status,
        "sentiment": labels.sentiment,
        "urgency": labels.urgency,
        "noise": labels.noise,
        "days": day,
        "holidays": i18n.country_name,
    }
    if field in judged:
        return judged[field](text)
    return {
        "mention": _("a new mention comes in"),
        "answer": _("the author writes again"),
        "status": _("the status changes"),
        "time": _("time passes without an answer"),
        "round_robin": _("In turn"),
        "least_loaded": _("To whoever has the fewest"),
        "business": _("Opening hours only"),
        "calendar": _("All hours of the day and week"),
    }.get(text, text)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def remedy(text: str) -> str:
    """What ``settings`` says of a value, in the reader's language; what has no words here stays as it is."""
    said, _semicolon, meant = text.partition("; did you mean ")
    patterns = _remedies().items()
    found = ((match, told) for pattern, told in patterns if (match := re.fullmatch(pattern, said)))
    told = next((told % match.groupdict() if match.groupdict() else told for match, told in found), said)
    return f"{told} {_('Did you mean %(name)s?', name=meant.removesuffix('?'))}" if meant else told


def of_query(query: str) -> str | None:
    """What is wrong with a watch query, if anything is."""
    try:
        watch.parse(query)
    except QueryError as error:
        return labels.query_problem(error)
    return None


def _remedies() -> dict[str, str]:
    """What ``settings`` says, as patterns; the names of their groups are filled in."""
    return {
        r"it is missing; add it": _("It is missing."),
        r"it is empty; write something": _("It is empty; write something."),
        r"it is empty; give at least one": _("Choose at least one."),
        r"dictionary should have at least 1 item.*": _("Write the text in at least one language."),
        r"write a time with its unit.*": _("Write a time with its unit, such as 30m, 4h or 2d."),
        r"write opening time such as.*": _("Write opening time such as 30m, 4h (opening hours) or 5d (opening days)."),
        r"it must be longer than nothing": _("It must be longer than nothing."),
        r"write opening hours such as.*": _("Write hours such as 08:00-16:30, with two digits each."),
        r"it ends before it starts.*": _(
            "It ends before it starts. Split what goes over midnight, at 24:00 and 00:00."
        ),
        r"the spans overlap or are out of order at (?P<time>\S+);.*": _(
            "The spans overlap or are out of order at %(time)s."
        ),
        r"write a time such as.*": _("Write a time such as 12:00."),
        r"there is no such time zone.*": _("There is no such time zone."),
        r"write a whole address.*": _("Write a whole address, such as https://www.example.org/hook."),
        r"write an e-mail address": _("Write an e-mail address."),
        r"write a language tag such as.*": _("Write a language tag such as sv, da, nb, nn or en."),
        r"a tag has between 1 and 60 characters": _("A tag has between 1 and 60 characters."),
        r"write a whole number|input should be a valid integer.*|unable to parse input string as an integer.*": _(
            "Write a whole number."
        ),
        r"input should be greater than or equal to (?P<least>\d+)": _("Write a number not below %(least)s."),
        r"(input should be a valid date|datetimes provided to dates).*": _(
            "Begin each line with a date such as 2026-12-23."
        ),
        r"it is never open.*": _("It is never open; give at least one day its hours."),
        r"it has no target.*": _("It has no target; fill in one of the three times."),
        r"on time it needs to know how much.*": _("When time passes, it must know how much: fill in “Unanswered for”."),
        r"opening time needs a calendar.*": _("Opening time needs a calendar; add one first."),
        r"it does nothing; say what follows": _("It does nothing; say what follows."),
        r"there is no such entry under \w+.*": _("There is none of this name (any more)."),
    }
