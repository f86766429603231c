"""Every screen, light and dark, narrow and wide, full, empty and wrong: axe finds nothing, and nothing is cut off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import report_mails
from house import House
from models import (
    Case,
    Draft,
    Import,
    ImportState,
    PersonNote,
    Reply,
    ReplyStatus,
    Source,
    Story,
    Then,
    User,
    View,
)
from replies import shared
from settings import Calendar, CannedReply, Category, RuleSettings, Sla, TeamSettings
from tests import accessibility, screens
from tests.conftest import Desk, Open
from triage import answering, cases, policy, reactions
from web import create_app

pytestmark = pytest.mark.browser

ADMIN = "admin@storby.example"
LONG = "Å" * 120
# What an address is filled with: what ``everything`` makes.
EXAMPLES = {
    "number": ["1"],
    "source_id": ["1"],
    "user_id": ["1"],
    "author_id": ["1"],
    "entry_id": ["1"],
    "batch_id": ["1"],
    "mail_id": ["1"],
    "slug": ["rules", "calendars", "sla", "categories", "canned-replies", "teams"],
}
# Answers that are no page of their own: data, files, pictures, parts of a page; and the door for somebody invited.
NO_PAGE = {
    "static", "cases.thread", "cases.canned", "languages.export", "login.welcome", "login.setup", "media.picture",
    "shared.progress", "me.login_ends", "pictures.file", "cases.colleagues", "cases.tags", "dashboard.numbers",
    "report_pdf.download", "report_wall.numbers",
}  # fmt: skip
NO_PAGES = ("live.", "api.", "health.", "report_files.")
# Addresses that say something more: a filter, a search, an order, a question.
MORE = [
    "/?status=all", "/?status=closed", "/?status=all&sort=urgent&kind=problem&channel=api", "/search?q=sno",
    "/search?q=nothingofthekind", "/cases/1?status=all", "/cases/2?why=kind", "/cases/5", "/cases/4",
]  # fmt: skip
WRONG = ["/cases/999", "/search?q=(", "/stories/999", "/nowhere", "/?cursor=wrong", "/admin/sources/999"]
WIDTHS = [1280, 320]


def pages(house: House) -> list[str]:
    """Every address a browser can show."""
    found = set()
    for rule in create_app(house).url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint in NO_PAGE or rule.endpoint.startswith(NO_PAGES):
            continue
        missing = rule.arguments - EXAMPLES.keys()
        assert not missing, f"say in EXAMPLES what {missing} of {rule.rule} may be, or in NO_PAGE that it is none"
        fillings: list[dict[str, str]] = [{}]
        for name in rule.arguments:
            fillings = [{**filled, name: value} for filled in fillings for value in EXAMPLES[name]]
        for filled in fillings:
            built = rule.build(filled)
            assert built is not None
            found.add(built[1])
    return sorted(found)


def everything(house: House, at: datetime) -> None:
    """Something of every kind there is: long words, a story, an answer of each fate, an import, a rule …"""
    screens.collect(house, screens.mention(90, f"{LONG} https://storby.example/{'x' * 300}", at), at=at)
    with house.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        put = {
            "calendars": Calendar.model_validate({"name": "Kontoret", "timezone": "Europe/Stockholm", "holidays": "SE",
                "hours": {"mon-fri": ["08:00-12:00", "13:00-16:30"]}}),
            "sla": Sla.model_validate({"name": "standard", "calendar": "Kontoret", "first_response": "1h"}),
            "categories": Category.model_validate({"name": "Vinter", "match": "snö*"}),
            "canned_replies": CannedReply(name="plogning", texts={"sv": "Hej {name}! Vi plogar nu."}),
            "rules": RuleSettings.model_validate({"name": "Snö", "if": {"match": "snö*"}, "then": {"tags": ["snö"]}}),
            "teams": TeamSettings.model_validate({"name": "Gata", "members": [anna.email]}),
        }  # fmt: skip
        for part, value in put.items():
            policy.put(db, part, value, by="test", at=at)
        cases.assign(db, 1, assignee=anna, actor=anna.email, at=at)
        cases.classify(db, 1, tags=["snö", "trottoar", LONG[:50]], priority="urgent", actor="test", at=at)
        cases.note(db, 1, body=f"Jag ringer henne. {LONG}", user=anna, at=at)
        cases.snooze(db, 2, until=at + timedelta(days=1), actor=anna.email, at=at)
        for number, status in ((1, ReplyStatus.uncertain), (2, ReplyStatus.failed), (3, ReplyStatus.held)):
            answered(db, db.get_one(Case, number), anna, status, at)
        db.add(PersonNote(author_id=1, user_id=anna.id, body="Ring hellre.", created_at=at))
        db.add(Draft(case_id=1, user_id=anna.id, kind="reply", body="Hej, vi", case_version=1, updated_at=at))
        lead = db.scalars(select(User).where(User.email == ADMIN)).one()
        report_mails.subscribe(db, lead, title=LONG, query=f"/reports?tag={LONG}", every="week", at=at)
        db.add(View(name=f"Vinter {LONG[:60]}", query="tag=snö", created_by=ADMIN, created_at=at))
        source = db.scalars(select(Source)).first()
        assert source is not None
        source.error, source.error_reason, source.error_at = "Expected a feed", "not_a_feed", at
        db.add(
            Import(
                source_id=source.id, state=ImportState.paused, read=1200, new=900, known=290, set_aside=10,
                oldest_at=at - timedelta(days=300), resumes_at=at + timedelta(minutes=9), created_at=at,
            )
        )  # fmt: skip
    reactions.react(house.database, at)
    with house.database.transaction() as db:
        story = db.scalars(select(Story.id)).first()
        assert story == 1, "the cases about the snow should have become a story"
        texts = {"sv": "Hej {name}! Plogen är på väg, ärende {case}."}
        admin = db.scalars(select(User).where(User.email == ADMIN)).one()
        shared.submit(db, house, story, texts=texts, chosen=None, key="k", then=Then.keep, user=admin, at=at)


def answered(db: Session, case: Case, user: User, status: ReplyStatus, at: datetime) -> None:
    """An answer of the case, come as far as that."""
    written = Reply(
        case_id=case.id, channel=case.channel, user_id=user.id, body="Ä" * 150, created_at=at,
        status=ReplyStatus.held if status == ReplyStatus.held else ReplyStatus.calling,
        not_before=at + timedelta(hours=1), attempts=1,
    )  # fmt: skip
    db.add(written)
    db.flush()
    if status == ReplyStatus.uncertain:
        answering.reply_uncertain(db, written.id, error="cut", lookup_at=None, actor="outbox", at=at)
    elif status == ReplyStatus.failed:
        answering.reply_failed(db, written.id, reason="forbidden", error="403", actor="outbox", at=at)


def check(here: Desk, name: str) -> list[str]:
    """What is wrong with the page as it stands, in light and dark."""
    wrong = []
    for scheme in ("light", "dark"):
        here.page.emulate_media(color_scheme=scheme)
        found = accessibility.violations(here.page, colours=scheme == "dark")
        wrong += [f"{name}, {scheme}: {each}" for each in found]
    if (over := here.sideways()) > 0:
        wrong.append(f"{name}: {over} pixels wider than its window")
    return wrong


def visit(here: Desk, paths: list[str]) -> list[str]:
    found: list[str] = []
    for path in paths:
        here.go(path)
        found += check(here, path)
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_screen_with_everything_on_it(desk: Open, width: int) -> None:
    here = desk(width, who=ADMIN)
    everything(here.house, datetime.now(UTC))
    found = visit(here, [*pages(here.house), *MORE])
    assert not found, "\n".join(found)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_screen_with_nothing_on_it_and_what_cannot_be_found(empty_desk: Open, width: int) -> None:
    here = empty_desk(width, who=ADMIN)
    nothing_there = [path for path in pages(here.house) if not path.rpartition("/")[2].isdigit()]
    found = visit(here, [*nothing_there, *WRONG])
    assert not found, "\n".join(found)


def test_the_library_that_asks_is_as_published() -> None:
    assert accessibility.changed_files() == []
