"""Prepared texts: in which language somebody reads them best, and the variables in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

LONGEST_NAME = 40
VARIABLES = ("name", "first_name", "case", "agent", "organisation")
_VARIABLE = re.compile(r"\{(\w+)\}")
# Whose text a reader understands best where there is none in their own language.
_NEAREST: Mapping[str, Sequence[str]] = {
    "nn": ("nb", "da", "sv", "en"),
    "nb": ("nn", "da", "sv", "en"),
    "da": ("nb", "nn", "sv", "en"),
    "sv": ("nb", "da", "nn", "en"),
}


def nearest(wanted: str | None, there: Collection[str], *others: str) -> str:
    """The language of ``there`` for a reader of ``wanted``: their own, else the nearest, else ``others``, else any."""
    tried = (wanted or "", *_NEAREST.get(wanted or "", ()), *others, "en")
    return next((language for language in tried if language in there), next(iter(there)))


def fill(text: str, *, author: str | None, case: int, agent: str, organisation: str) -> str:
    """The text for one reader. Whose name is not known is greeted without it; an unknown variable stays as it is."""
    name = " ".join((author or "").split())[:LONGEST_NAME]
    first, _space, _rest = name.partition(" ")
    values = {"name": name, "first_name": first, "case": str(case), "agent": agent, "organisation": organisation}
    filled = _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)
    named = "{name}" in text or "{first_name}" in text
    return re.sub(r"[ \t]+(?=[!,.?])", "", filled) if named and not name else filled


def unknown(text: str) -> list[str]:
    """The variables in a text that there are not, without their braces."""
    return [name for name in dict.fromkeys(_VARIABLE.findall(text)) if name not in VARIABLES]
