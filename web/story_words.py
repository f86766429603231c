"""What a story's figures and codes are called. Codes never reach a screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import triage
from triage.influence import Reason
from triage.stories import Growth
from web.i18n import gettext as _
from web.i18n import language, ngettext, number, when
from web.story_facts import Member


def growth(of: Growth) -> str:
    """In one sentence: the last hour, the one before, and what is usual."""
    if not of.mentions and not of.before:
        return _("Nothing new in the last two hours.")
    now = ngettext("%(n)s mention in the last hour", "%(n)s mentions in the last hour", of.mentions)
    before = ngettext("%(n)s in the hour before", "%(n)s in the hour before", of.before)
    return f"{now}, {before}. {usual(of.usual)}"


def usual(mentions: float) -> str:
    if mentions < 0.5:
        return _("At this time of the week it is usually quiet.")
    return _("At this time of the week %(n)s an hour about everything are usual.", n=number(round(mentions)))


def direction(of: Growth) -> str:
    """In one or two words."""
    if not of.mentions:
        return _("Quiet")
    if of.mentions > of.before * 1.5:
        return _("Growing fast") if of.before and of.mentions >= 3 * of.before else _("Growing")
    return _("Steady") if of.mentions * 1.5 >= of.before else _("Ebbing")


def alarm(figures: Mapping[str, Any]) -> str:
    """Why it alarmed. ``figures``: as ``stories.alarm`` has them."""
    told = _(
        "%(mentions)s mentions by %(authors)s people within an hour, the first of them %(since)s.",
        mentions=number(figures["mentions"]),
        authors=number(figures["authors"]),
        since=when(datetime.fromisoformat(figures["since"]), "medium"),
    )
    return f"{told} {usual(figures['usual'])}"


def stage(name: str) -> str:
    return {
        "article": _("Blogs"),
        "comment": _("Comments"),
        "press": _("The press"),
        "social": _("Social networks"),
    }[name]


def because(member: Member) -> str:
    """Why a mention belongs to its story."""
    like = member.like.author.name if member.like and member.like.author else _("somebody else")
    match member.because:
        case "first":
            return _("It began here.")
        case "hand":
            return _("A colleague put it here.")
        case "link":
            return _("The same link as %(name)s: %(link)s", name=like, link=", ".join(member.words[:1]))
        case "quote":
            return _("It answers, quotes or passes on what %(name)s did too.", name=like)
        case "text":
            return _("Nearly the same words as %(name)s.", name=like)
        case "words":
            return _("The same event as %(name)s tells of: %(words)s", name=like, words=_telling(member.words))
    return _("Others told the same after it.")


def _telling(words: list[str]) -> str:
    """The words that decided, each once. Those with a ``¤`` are matters, which have a name in most languages."""
    names = [_matter(word[1:], language()) if word.startswith("¤") else word for word in words]
    return ", ".join(list(dict.fromkeys(names))[:4])


def _matter(concept: str, language: str) -> str:
    """Its first word in the dictionary; of one made of others, that of the thing."""
    said = _dictionary().get((concept, language))
    made = _dictionary().get((concept, "="))
    if said is None and made is not None:
        said = _dictionary().get((made.partition(" + ")[0], language))
    return said or concept.replace("_", " ")


@cache
def _dictionary() -> dict[tuple[str, str], str]:
    """(concept, language) -> the first it is called."""
    lines = (Path(triage.__file__).parent / "words" / "concepts.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {(concept, language): said.split(", ")[0].rstrip("*") for concept, language, said in rows}


def heard(reason: Reason) -> str:
    """Why it matters that an author writes."""
    values = reason.values
    match reason.code:
        case "press":
            return _("Writes for the press: %(name)s", name=values["name"])
        case "followers":
            return _(
                "%(followers)s followers, %(times)s times what is usual there",
                followers=number(values["followers"]),
                times=number(values["times"]),
            )
        case "started":
            return ngettext("Began %(n)s earlier story", "Began %(n)s earlier stories", values["stories"])
    return ngettext("Took part in %(n)s earlier story", "Took part in %(n)s earlier stories", values["stories"])
