"""The keys of the screens: one table, from which the help is drawn, which the script obeys and each person may change.

After the conventions of shared inboxes: single keys that every Nordic layout types without Alt or AltGr, told by what
they write and never by where they lie (WCAG 2.1.4: they can be switched off, and each can be another).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from flask import url_for

from errors import InvalidInput
from models import User
from web import preferences
from web.access import may_write
from web.i18n import gettext as _

KEY = re.compile(r"[^\s\w]|\w|g [^\s]")  # one character, or one after g


@dataclass(frozen=True)
class Shortcut:
    """``does``: what the script knows it by; ``keys``: any of these, as the browser names them, two with a blank
    follow one another. ``judge``: the key the server knows the correction by; ``goes``: an address.
    ``fixed``: nobody needs another key for it, since it is none of a single character.
    ``changes``: nothing for readers, who change nothing."""

    does: str
    keys: tuple[str, ...]
    words: str
    judge: str | None = None
    goes: str | None = None
    fixed: bool = False
    changes: bool = False


Groups = list[tuple[str, list[Shortcut]]]


def table(user: User | None) -> Groups:
    """Every key, under headings, as this person has them."""
    chosen = preferences.of(user).keys
    theirs = [(heading, [each for each in group if may_write(user) or not each.changes]) for heading, group in _usual()]
    return [(heading, [_as_chosen(each, chosen) for each in group]) for heading, group in theirs if group]


def _as_chosen(shortcut: Shortcut, chosen: Mapping[str, str]) -> Shortcut:
    if shortcut.fixed or shortcut.does not in chosen:
        return shortcut
    key = chosen[shortcut.does]
    return replace(shortcut, keys=(key,) if key else ())


def _usual() -> Groups:
    case, judged = partial(Shortcut, changes=True), partial(Shortcut, changes=True)
    return [
        (
            _("In the list"),
            [
                Shortcut("next", ("j",), _("next case")),
                Shortcut("previous", ("k",), _("previous case")),
                Shortcut("step", ("↑", "↓"), _("next and previous case, when the list has the focus"), fixed=True),
                Shortcut("open", ("o",), _("open the case")),
                Shortcut("back", ("u",), _("back to the list")),
                Shortcut("leave", ("Esc",), _("back to the list, out of a field"), fixed=True),
                case("select", ("x",), _("select the case, or not")),
                case("extend", ("J",), _("select to the next case")),
                case("extend-back", ("K",), _("select to the previous case")),
                case("select-all", ("Ctrl+A",), _("select all that are shown"), fixed=True),
                Shortcut("search", ("/",), _("search")),
            ],
        ),
        (
            _("With the case, or the cases selected"),
            [
                case("reply", ("r",), _("write an answer")),
                case("note", ("n",), _("write a note")),
                case("assign", ("a",), _("assign …")),
                case("take", ("i",), _("assign to me")),
                case("resolve", ("e",), _("done: resolve")),
                case("resolve-next", ("E",), _("done, and the next case")),
                case("snooze", ("s",), _("put off …")),
                case("tag", ("t",), _("tag …")),
                case("priority", ("p",), _("priority …")),
                case("mute", ("m",), _("hear nothing more of it")),
                case("ignore", ("!",), _("ignore: spam, or not about us")),
                case("hide", ("#",), _("hide the message on its network …")),
                Shortcut("newer-message", ("]", ">"), _("next message of the thread")),
                Shortcut("older-message", ("[", "<"), _("previous message of the thread")),
                case("proposed", ("y",), _("take the proposed answer")),
                case("promise", ("f",), _("stand by the promise just made")),
                Shortcut("table", ("d",), _("the chart as a table")),
                case("send", ("Ctrl+Enter",), _("send"), fixed=True),
            ],
        ),
        (
            _("What Gensvar makes of it"),
            [
                judged("kind-question", ("1",), _("it is a question"), judge="1"),
                judged("kind-problem", ("2",), _("it is a problem"), judge="2"),
                judged("kind-idea", ("3",), _("it is an idea"), judge="3"),
                judged("kind-praise", ("4",), _("it is praise"), judge="4"),
                judged("kind-other", ("5",), _("it is something else"), judge="5"),
                judged("danger", ("6",), _("urgent: danger; once more: not urgent"), judge="6"),
                judged("deadline", ("7",), _("urgent: a deadline"), judge="7"),
                judged("outage", ("8",), _("urgent: an outage"), judge="8"),
                judged("leak", ("9",), _("urgent: a leak of data"), judge="9"),
                judged("negative", ("-",), _("the tone is negative"), judge="-"),
                judged("neutral", ("0",), _("the tone is neutral"), judge="0"),
                judged("positive", ("+",), _("the tone is positive"), judge="+"),
                judged("wants-answer", ("w",), _("it wants an answer, or none"), judge="w"),
                judged("noise", ("h",), _("it is spam; or no noise at all"), judge="!"),
                judged("language", ("l",), _("it is in our next language"), judge="l"),
                judged("category", ("c",), _("choose the category")),
            ],
        ),
        (
            _("Everywhere"),
            [
                case("undo", ("z",), _("undo what you did last")),
                Shortcut("more", (".",), _("everything that can be done")),
                Shortcut("palette", ("Ctrl+K",), _("everything that can be done, also while typing"), fixed=True),
                Shortcut("help", ("?",), _("this help")),
                Shortcut("go-inbox", ("g i",), _("go to the inbox"), goes=url_for("inbox.inbox")),
                Shortcut("go-mine", ("g m",), _("go to my cases"), goes=url_for("inbox.inbox", assignee="me")),
                Shortcut(
                    "go-nobody", ("g u",), _("go to nobody's cases"), goes=url_for("inbox.inbox", assignee="none")
                ),
                case("go-drafts", ("g d",), _("go to my drafts"), goes=url_for("drafts.mine")),
                Shortcut(
                    "go-sent",
                    ("g s",),
                    _("go to what was answered"),
                    goes=url_for("inbox.inbox", status="all", has="reply"),
                ),
                Shortcut("go-overview", ("g o",), _("go to the overview"), goes=url_for("dashboard.show")),
                Shortcut("go-reports", ("g r",), _("go to the reports"), goes=url_for("reports.overview")),
                Shortcut("go-settings", ("g ,",), _("go to your settings"), goes=url_for("me.page")),
            ],
        ),
    ]


def read(form: Mapping[str, str]) -> dict[str, str]:
    """The keys somebody chose: ``key-ACTION`` -> the key, empty for none; only what is not the usual one.

    Raises ``InvalidInput`` with the actions whose key is none, or another's.
    """
    chosen: dict[str, str] = {}
    taken: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for _heading, group in _usual():
        for each in group:
            usual = " ".join(each.keys)
            given = usual if each.fixed else " ".join(form.get(f"key-{each.does}", usual).split())
            keys = each.keys if given == usual else (given,) if given else ()
            for key in keys:
                if given != usual and not KEY.fullmatch(key):
                    wrong[each.does] = _("One character, or g and one more.")
                elif key in taken:
                    wrong[each.does] = _("%(key)s is taken: %(words)s", key=key, words=taken[key])
                taken.setdefault(key, each.words)
            if given != usual:
                chosen[each.does] = given
    if "g" in taken:
        owner = next(each.does for _heading, group in _usual() for each in group if chosen.get(each.does) == "g")
        wrong[owner] = _("g begins other keys.")
    if wrong:
        raise InvalidInput(_("Nothing was changed: some keys cannot be as you want them."), wrong)
    return chosen
