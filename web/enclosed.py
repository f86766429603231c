"""What the composer and the thread show of pictures, and what the form says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import g, request, url_for

import channels
import pictures
from channels import Pictures
from errors import InvalidInput
from models import Case, Picture
from web.context import as_number, house, user
from web.i18n import gettext as _
from web.i18n import number as in_digits

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Held:
    """What the composer shows: what the network takes (None: no pictures), and what the draft has."""

    takes: Pictures | None
    drafted: Sequence[Picture] = ()
    error: str | None = None
    told: str | None = None

    @property
    def room(self) -> bool:
        return self.takes is not None and len(self.drafted) < self.takes.most

    @property
    def kinds(self) -> str:
        return ", ".join(sorted(each.partition("/")[2].upper() for each in self.takes.types)) if self.takes else ""


def held(case: Case, error: str | None = None, told: str | None = None) -> Held:
    takes = channels.capabilities(case.channel).pictures
    if takes is None:
        return Held(None)
    with house().database.read() as db:
        return Held(takes, pictures.of_draft(db, case.id, user().id), error, told)


def sent_in(case: Case) -> dict[int, list[Picture]]:
    """Those of the answers in a case, by reply; asked once for a page."""
    known: dict[int, dict[int, list[Picture]]] = g.setdefault("pictures", {})
    if case.id not in known:
        with house().database.read() as db:
            known[case.id] = pictures.of_replies(db, case.id)
    return known[case.id]


def keep_words() -> None:
    """What each picture shows, as far as the form says it; what is no longer there needs none."""
    said = {name.removeprefix("alt-"): text for name, text in request.form.items() if name.startswith("alt-")}
    if not said:
        return
    with house().database.transaction() as db:
        for key, text in said.items():
            found = db.get(Picture, as_number(key) or 0)
            if found is not None and found.user_id == user().id and found.reply_id is None:
                pictures.describe(db, found.id, user_id=user().id, alt=text)


def chosen() -> list[int]:
    """The pictures that stood in the form when it was sent."""
    return [found for each in request.form.getlist("picture") if (found := as_number(each)) is not None]


def words(error: InvalidInput) -> str:
    """Why a picture was not taken, in the reader's language."""
    if not isinstance(error, pictures.Refused):
        told = {"no JPEG": _("This is no JPEG, PNG, GIF or WebP picture."), "damaged": _("The picture cannot be read.")}
        return next((text for sign, text in told.items() if sign in str(error)), str(error))
    value = error.values
    return {
        "none": _("The network takes no pictures in this kind of answer: remove them, or answer in public."),
        "too_many": _("The network takes no more than %(most)s pictures in one answer.", most=value.get("most")),
        "kind": _("The network takes %(kinds)s only.", kinds=value.get("kinds")),
        "size": _("The network takes pictures of up to %(size)s MB.", size=in_digits(value.get("size", 0) / MEGABYTE)),
        "side": _("The network takes pictures of up to %(side)s pixels a side.", side=value.get("side")),
        "gone": _("A picture is no longer there. Nothing was sent: look again."),
        "alt": _("Say in words what each picture shows, for those who cannot see it. Nothing was sent."),
        "alt_long": _("The words for a picture may have %(most)s characters.", most=value.get("most")),
    }[error.code]


def address(picture: Picture) -> str:
    return url_for("pictures.file", picture_id=picture.id)
