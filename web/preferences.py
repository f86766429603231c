"""How a colleague wants their screens: kept with the user, read as values that are always whole.

``of(user)`` gives them, whatever lies in ``User.preferences``: what is missing or unknown is as for somebody who never
chose. ``change(db, user, theme="dark")`` writes the fields that are named and leaves the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from models import User

Choice = TypeVar("Choice", bound=StrEnum)


class Theme(StrEnum):
    auto = "auto"  # as the system says
    light = "light"
    dark = "dark"


class Density(StrEnum):
    """How high a row of the list is."""

    compact = "compact"  # 32 px
    normal = "normal"  # 44 px
    roomy = "roomy"  # 64 px


class Pane(StrEnum):
    """What can be folded away beside the list and the case."""

    nav = "nav"
    about = "about"


@dataclass(frozen=True)
class Preferences:
    """``keys``: action -> the key somebody gave it. ``notices``: kind of notice -> off, page, mail, daily, where
    chosen; ``silent``: the kinds that a browser which may show notices shows none of."""

    theme: Theme = Theme.auto
    density: Density = Density.normal
    folded: frozenset[Pane] = frozenset()
    shortcuts: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[str, str] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    view: int | None = None  # the saved view the inbox begins with
    skipped: frozenset[str] = frozenset()  # first steps that an administrator does not want to take now


def of(user: User | None) -> Preferences:
    """What somebody has chosen; for nobody: as for somebody who never chose."""
    kept: Mapping[str, Any] = (user.preferences if user else None) or {}
    return Preferences(
        theme=_one_of(Theme, kept.get("theme"), Theme.auto),
        density=_one_of(Density, kept.get("density"), Density.normal),
        folded=frozenset(Pane(each) for each in _texts(kept.get("folded")) if each in list(Pane)),
        shortcuts=kept.get("shortcuts") is not False,
        keys=_named(kept.get("keys")),
        notices=_named(kept.get("notices")),
        view=view if isinstance(view := kept.get("view"), int) else None,
        silent=frozenset(_texts(kept.get("silent"))),
        skipped=frozenset(_texts(kept.get("skipped"))),
    )


def change(db: Session, user: User, **values: Any) -> None:
    """Write these fields of ``Preferences``; ``user`` may be of another session."""
    unknown = set(values) - {each.name for each in fields(Preferences)}
    if unknown:
        raise TypeError(f"there is no preference {', '.join(sorted(unknown))}")
    written = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}
    found = db.get_one(User, user.id, with_for_update=True)
    found.preferences = {**(found.preferences or {}), **written}


def _one_of(values: type[Choice], kept: object, otherwise: Choice) -> Choice:
    return next((each for each in values if each == kept), otherwise)


def _texts(kept: object) -> Iterable[str]:
    return [each for each in kept if isinstance(each, str)] if isinstance(kept, list) else []


def _named(kept: object) -> dict[str, str]:
    return {name: str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}
