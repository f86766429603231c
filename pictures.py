"""Pictures for answers: kept with the draft of whoever writes, then with the reply they go out with.

A picture without words is not sent: who cannot see it must get what it says too (EN 301 549, 11.8).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, undefer

import images
from channels import Pictures
from database import storable
from errors import InvalidInput, NotFoundError
from models import Picture, Reply


class Refused(InvalidInput):
    """A picture, or what goes with it, that the network does not take. ``code`` and ``values`` say it to people."""

    def __init__(self, code: str, message: str, **values: Any) -> None:
        self.code, self.values = code, values
        super().__init__(message, {"pictures": code})


def add(
    db: Session, *, case_id: int, user_id: int, data: bytes, takes: Pictures | None, at: datetime
) -> tuple[Picture, bool]:
    """Keep a file with the draft of a case; also whether something besides the picture was left out of it.

    Raises ``Refused``, and ``InvalidInput`` for what is no picture.
    """
    takes = _some(takes)
    if len(of_draft(db, case_id, user_id)) >= takes.most:
        raise Refused("too_many", f"The network takes {takes.most} pictures in one answer.", most=takes.most)
    found = images.read(data)
    check(found.media_type, found.width, found.height, len(found.body), takes)
    made = Picture(
        case_id=case_id,
        user_id=user_id,
        alt="",
        media_type=found.media_type,
        width=found.width,
        height=found.height,
        body=found.body,
        created_at=at,
    )
    db.add(made)
    db.flush()
    return made, found.stripped


def check(media_type: str, width: int, height: int, size: int, takes: Pictures) -> None:
    """Raises ``Refused``."""
    if media_type not in takes.types:
        kinds = ", ".join(sorted(each.partition("/")[2].upper() for each in takes.types))
        raise Refused("kind", f"The network takes {kinds}.", kinds=kinds)
    if size > takes.size:
        raise Refused("size", f"The network takes pictures of up to {takes.size} bytes.", size=takes.size)
    if max(width, height) > takes.side:
        raise Refused("side", f"The network takes pictures of up to {takes.side} pixels a side.", side=takes.side)


def describe(db: Session, picture_id: int, *, user_id: int, alt: str) -> None:
    """What it shows, in words. Raises ``NotFoundError``."""
    _own(db, picture_id, user_id).alt = storable(alt).strip()


def remove(db: Session, picture_id: int, *, user_id: int) -> None:
    """Raises ``NotFoundError``, also for one that has been sent."""
    db.delete(_own(db, picture_id, user_id))
    db.flush()


def throw_away(db: Session, case_id: int, user_id: int) -> None:
    """Those of a draft that is thrown away."""
    for each in of_draft(db, case_id, user_id):
        db.delete(each)
    db.flush()


def of_draft(db: Session, case_id: int, user_id: int) -> Sequence[Picture]:
    return db.scalars(_drafted(case_id, user_id).order_by(Picture.id)).all()


def of_replies(db: Session, case_id: int) -> dict[int, list[Picture]]:
    """Those of the answers in a case, by the number of the reply; without their files."""
    found: dict[int, list[Picture]] = {}
    sent = select(Picture).where(Picture.case_id == case_id, Picture.reply_id.is_not(None)).order_by(Picture.id)
    for each in db.scalars(sent):
        found.setdefault(each.reply_id or 0, []).append(each)
    return found


def of_reply(db: Session, reply_id: int) -> Sequence[Picture]:
    """Those that go out with a reply, with their files."""
    wanted = select(Picture).where(Picture.reply_id == reply_id).order_by(Picture.id)
    return db.scalars(wanted.options(undefer(Picture.body))).all()


def chosen(db: Session, case_id: int, user_id: int, ids: Collection[int], takes: Pictures | None) -> Sequence[Picture]:
    """Those of the draft that are to go out, looked at once more. Raises ``Refused``."""
    if not ids:
        return ()
    takes = _some(takes)
    found = [each for each in of_draft(db, case_id, user_id) if each.id in ids]
    if len(found) != len(set(ids)):
        raise Refused("gone", "A picture is no longer there.")
    if len(found) > takes.most:
        raise Refused("too_many", f"The network takes {takes.most} pictures in one answer.", most=takes.most)
    if any(not each.alt for each in found):
        raise Refused("alt", "Say in words what each picture shows.")
    if any(len(each.alt) > takes.alt for each in found):
        raise Refused("alt_long", f"The network takes {takes.alt} characters of words.", most=takes.alt)
    return found


def go_with(db: Session, found: Sequence[Picture], reply: Reply) -> None:
    """From now on they belong to the reply, wherever that goes."""
    for each in found:
        each.reply_id, each.case_id = reply.id, reply.case_id
    db.flush()


def _drafted(case_id: int, user_id: int) -> Select[Picture]:
    return select(Picture).where(Picture.case_id == case_id, Picture.user_id == user_id, Picture.reply_id.is_(None))


def _own(db: Session, picture_id: int, user_id: int) -> Picture:
    found = db.get(Picture, picture_id)
    if found is None or found.user_id != user_id or found.reply_id is not None:
        raise NotFoundError("There is no such picture in a draft of yours.")
    return found


def _some(takes: Pictures | None) -> Pictures:
    if takes is None:
        raise Refused("none", "The network takes no pictures in answers.")
    return takes
