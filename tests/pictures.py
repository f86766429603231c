"""Draws the pictures of the documentation: the main screens of a town on a snowy day, into docs/pictures.

    make pictures

The town and everybody in it are invented.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import threading
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import select

import audit
import house as house_module
from collectors.base import AuthorData
from database import Database
from house import House
from models import Case, Import, ImportState, Mention, PersonNote, Sample, Source, Story, Then, User
from replies import shared
from sandbox import demo, past, storm, story
from sandbox.base import serving
from sandbox.town import Town
from settings import Calendar, CannedReply, RuleSettings, Sla, TeamSettings
from tests import screens
from tests.chromium import launch
from tests.conftest import config
from triage import cases, policy, reactions
from triage.measures import Measure
from web import create_app

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
TALL = {"width": 1280, "height": 1100}  # the numbers and the charts of a report
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
ANNA, PETRA, ADMIN = "anna@storby.example", "petra@storby.example", "admin@storby.example"
CANNED = {
    "Plogning": {"sv": "Hej {first_name}! Vi plogar hela natten, skolvägar och gångbanor först.",
        "nb": "Hei {first_name}! Vi brøyter hele natten, skoleveier og gangveier først."},
    "Buss": {"sv": "Hej {first_name}! Bussarna går igen från kl. 10, med förseningar."},
    "Halka": {"sv": "Hej {first_name}! Tack, vi sandar där i dag."},
}  # fmt: skip


def town(folder: Path) -> House:
    """Three hours of snow: some seventy messages, of which some are answered."""
    now = datetime.now(UTC)
    database = Database(f"sqlite:///{folder / 'gensvar.db'}")
    database.migrate()
    made = screens.storby(lambda **parts: house_module.build(config(folder, database, **parts), database), now)
    asked = "@storby Plogen har inte varit på Björkvägen på tre dagar. Min mamma kommer inte ut med rullatorn."
    author = AuthorData("maria_l", "Maria Lind", "maria_l", "https://x.com/maria_l", followers=214)
    at = now - timedelta(hours=4, minutes=35)
    screens.collect(made, screens.mention(1, asked, at, author=author), at=at)
    other = AuthorData("jonte.b", "Jonte Berg", "jonte.b", "https://x.com/jonte.b", followers=89)
    also = "Samma på Almgatan, det är glashalt utanför förskolan."
    screens.collect(made, screens.mention(2, also, at, author=other, in_reply_to="1001"), at=at)
    again = "Tack för svaret om återvinningen i fredags, nu fungerar kortet igen! @storby"
    screens.collect(made, screens.mention(3, again, at - timedelta(days=3), author=author), at=at)
    told = storm.load({})
    for number, each in enumerate(told.messages[:64]):
        who = told.people[each.by]
        author = AuthorData(who.handle, who.name, who.handle, f"https://x.com/{who.handle}", followers=40 + number * 37)
        at = now - timedelta(minutes=3 * (64 - number))
        screens.collect(made, screens.mention(100 + number, each.text, at, author=author), at=at)
    people_and_policy(made, now)
    reactions.react(database, now)
    what_was_done(made, now)
    return made


def people_and_policy(made: House, now: datetime) -> None:
    with made.database.transaction() as db:
        hours = {"mon-fri": ["00:00-24:00"], "sat": ["00:00-24:00"], "sun": ["00:00-24:00"]}
        calendar = {"name": "Dygnet runt", "timezone": "Europe/Stockholm", "hours": hours}
        policy.put(db, "calendars", Calendar.model_validate(calendar), by=ADMIN, at=now)
        sla = Sla.model_validate({"name": "Svar", "calendar": "Dygnet runt", "first_response": "4h"})
        policy.put(db, "sla", sla, by=ADMIN, at=now)
        for name, texts in CANNED.items():
            policy.put(db, "canned_replies", CannedReply(name=name, texts=texts), by=ADMIN, at=now)
        rule = {"name": "Snö", "if": {"match": "snö* OR plog*"}, "then": {"tags": ["vinter"]}}
        policy.put(db, "rules", RuleSettings.model_validate(rule), by=ADMIN, at=now)
        policy.put(db, "teams", TeamSettings(name="Gata och park", members=(ANNA,)), by=ADMIN, at=now)


def what_was_done(made: House, now: datetime) -> None:
    with made.database.transaction() as db:
        people = {each.email.partition("@")[0]: each for each in db.scalars(select(User))}
        anna, mats = people["anna"], people["mats"]
        numbers = list(db.scalars(select(Case.id).order_by(Case.last_activity_at.desc())))
        for place, number in enumerate(numbers):
            if place % 4 == 1:
                cases.assign(db, number, assignee=(anna, mats)[place % 3 == 0], actor=mats.email, at=now)
            if place % 5 == 2:
                cases.classify(db, number, tags=["vinter", "gångbana"], actor=anna.email, at=now)
        snow = db.scalars(
            select(Case.id).join(Mention, Mention.case_id == Case.id).where(Mention.external_id == "1001")
        ).one()
        cases.assign(db, snow, assignee=anna, actor=mats.email, at=now)
        cases.note(
            db, snow, body="Plogen är på väg dit nu, säger driften. Jag svarar när de har varit där.", user=mats, at=now
        )
        db.add(PersonNote(author_id=1, user_id=anna.id, body="Ring hellre än att skriva.", created_at=now))
        for name, new in (("x-mentions", 6), ("citizen-blog", 0)):
            source = db.scalars(select(Source).where(Source.name == name)).one()
            source.last_attempt_at = source.last_success_at = now - timedelta(seconds=40)
            source.last_new, source.last_known = new, 14
        for minutes, action, subject in (
            (90, "add", "user:anna@storby.example"), (70, "add", "rules:Snö"), (65, "change", "sla:Svar"),
            (40, "add", "canned_replies:Plogning"), (12, "add", "teams:Gata och park"),
        ):  # fmt: skip
            audit.record(
                db, actor=ADMIN, action=action, subject=subject, changes={}, at=now - timedelta(minutes=minutes)
            )
        feed = db.scalars(select(Source).where(Source.name == "citizen-blog")).one()
        db.add(
            Import(
                source_id=feed.id, state=ImportState.running, read=1240, new=932, known=290, set_aside=18,
                oldest_at=now - timedelta(days=310), created_at=now - timedelta(minutes=4),
            )
        )  # fmt: skip
    with made.database.transaction() as db:
        story = db.scalars(select(Story.id).order_by(Story.size.desc())).first()
        assert story is not None, "the snow should have become a story"
        texts = {"sv": "Hej {first_name}! Plogarna är ute sedan kl. 4, gångbanor och skolvägar först. Ärende {case}."}
        admin = db.scalars(select(User).where(User.email == ADMIN)).one()
        shared.submit(db, made, story, texts=texts, chosen=None, key="k", then=Then.keep, user=admin, at=now)


def months(folder: Path) -> House:
    """The demo's town before its day: what reports are made of."""
    town = Town(story.load())
    addresses = {name: f"http://127.0.0.1:{9000 + number}" for number, name in enumerate(town.networks)}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(demo.config(town, addresses, 8000), allow_unicode=True), "utf-8")
    made = house_module.open_house(file)
    demo.prepare(made, screens.PASSWORD)
    past.tell(made, datetime.now(UTC), threading.Event())
    return made


# -- the pictures -----------------------------------------------------------------------------------------------------


def window(chromium: Browser, base: str, size: dict[str, int], scheme: str, who: str = ADMIN) -> Page:
    same = {"locale": "en-GB", "timezone_id": "Europe/Stockholm", "reduced_motion": "reduce"}
    options: dict[str, Any] = {"viewport": size, "color_scheme": scheme, **same}
    context = chromium.new_context(**options)
    page = context.new_page()
    page.goto(base + "/login")
    page.get_by_label("E-mail").fill(who)
    page.get_by_label("Password").fill(screens.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(base + "/")
    return page


def draw(made: House, page: Page, address: str, name: str, *, canned: bool = False) -> None:
    screens.beat(made.database, datetime.now(UTC))
    page.goto(address)
    if canned:
        page.locator("#body").press_sequentially("/")
        page.locator(".canned-list").wait_for()
    page.wait_for_timeout(400)
    (FOLDER / f"{name}.png").write_bytes(smaller(page.screenshot()))


def draw_reports(folder: Path, chromium: Browser) -> None:
    folder.mkdir()
    made = months(folder)
    with made.database.read() as db:
        in_part = (Sample.measure == Measure.first_response.value, Sample.business > 900)
        longer = select(Sample.case_id).where(*in_part, Sample.seconds > Sample.business + 3600)
        number = db.scalars(longer.order_by(Sample.seconds, Sample.id)).first()
    assert number is not None, "somebody should have been answered after it had been closed for a while"
    with serving(create_app(made)) as base:
        draw(made, window(chromium, base, TALL, "light", PETRA), base + "/reports?clock=business", "reports")
        draw(made, window(chromium, base, WIDE, "light", PETRA), f"{base}/reports/case/{number}", "reports-case")
    made.close()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made = town(Path(folder))
        chromium = launch(playwright)
        with serving(create_app(made)) as base:
            number = screens.case_of(made, "1001").id
            with made.database.read() as db:
                story = db.scalars(select(Story.id).order_by(Story.size.desc())).first()
            wide = window(chromium, base, WIDE, "light")
            for name, address in {
                "inbox": "/", "case": f"/cases/{number}", "search": "/search?q=sn%C3%B6", "dashboard": "/dashboard",
                "person": "/people/1", "story": f"/stories/{story}", "one-answer": "/stories/answers/1",
                "sources": "/admin/sources", "import": "/admin/imports/1",
                "audit": "/admin/audit", "stories": "/stories",
            }.items():  # fmt: skip
                draw(made, wide, base + address, name)
            draw(made, wide, f"{base}/cases/{number}", "composer", canned=True)
            for suffix, size, scheme in (("dark", WIDE, "dark"), ("320", NARROW, "light")):
                page = window(chromium, base, size, scheme)
                draw(made, page, base + "/", f"inbox-{suffix}")
                draw(made, page, f"{base}/cases/{number}", f"case-{suffix}")
        made.database.close()
        draw_reports(Path(folder) / "months", chromium)
        chromium.close()
    for picture in sorted(FOLDER.glob("*.png")):
        sys.stdout.write(f"{picture.name}: {picture.stat().st_size // 1024} KB\n")


# -- smaller files ----------------------------------------------------------------------------------------------------


def smaller(png: bytes) -> bytes:
    """The same picture in the 256 colours it uses most: an indexed PNG. Takes 8-bit RGB or RGBA, not interlaced."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8 and kind in (2, 6), (depth, kind)
    size, data, at = 3 if kind == 2 else 4, b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    rows = _unfiltered(zlib.decompress(data), width * size, height, size)
    pixels = [[bytes(row[x : x + 3]) for x in range(0, len(row), size)] for row in rows]
    palette = [colour for colour, _n in Counter(each for row in pixels for each in row).most_common(256)]
    index = {colour: place for place, colour in enumerate(palette)}

    def nearest(colour: bytes) -> int:
        if colour not in index:
            index[colour] = min(
                range(len(palette)),
                key=lambda place: sum((a - b) ** 2 for a, b in zip(palette[place], colour, strict=True)),
            )
        return index[colour]

    packed = b"".join(b"\0" + bytes(map(nearest, row)) for row in pixels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(packed, 9)),
        (b"IEND", b""),
    ]
    chunks = (struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _unfiltered(data: bytes, length: int, height: int, size: int) -> list[bytearray]:
    """The rows as they are: each came as a difference from its neighbours (PNG, chapter 9)."""
    rows, above = [], bytearray(length)
    for y in range(height):
        start = y * (length + 1)
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        for x in range(length) if kind else ():
            left, up = row[x - size] if x >= size else 0, above[x]
            corner = above[x - size] if x >= size else 0
            row[x] = (row[x] + (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]) & 255
        rows.append(row)
        above = row
    return rows


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))


if __name__ == "__main__":
    main()
