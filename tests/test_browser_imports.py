"""Bringing in history in a real browser: asked for, followed while it is read, cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

import imports
from collectors.base import Batch
from models import Import, Source
from tests import screens
from tests.conftest import Desk

pytestmark = pytest.mark.browser

ADA = "admin@storby.example"


class Endless:
    """A network that always has one more page."""

    def page(self, cursor: Any, *, since: datetime | None, now: datetime) -> Iterator[Batch]:
        number = cursor["number"] if cursor else 0
        old = now - timedelta(days=30 + number)
        said = [screens.mention(100 * (number + 1) + n, f"Gammal fråga {n}", old) for n in range(5)]
        yield Batch(tuple(said), {"number": number + 1})


@pytest.fixture
def page_by_page(monkeypatch: pytest.MonkeyPatch) -> Callable[[Desk], Import]:
    """``page_by_page(desk)`` reads a page, as the clock would."""
    monkeypatch.setattr(imports, "_historian", lambda *_: Endless())
    monkeypatch.setattr(imports, "PACE", timedelta(0))

    def read(here: Desk) -> Import:
        with here.house.database.read() as db:
            number = db.scalars(select(Import.id)).one()
        return imports.turn(here.house, number, now=lambda: datetime.now(UTC))

    return read


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_asked_for_followed_and_cancelled(
    desk: Callable[..., Desk], page_by_page: Callable[[Desk], Import], width: int, scheme: str
) -> None:
    here = desk(width, scheme, who=ADA)
    with here.house.database.read() as db:
        number = db.scalars(select(Source.id).where(Source.name == "x-mentions")).one()
    here.go(f"/admin/sources/{number}")
    here.page.get_by_role("button", name="See what it takes").click()
    expect(here.page.get_by_text("at most 60 USD altogether")).to_be_visible()
    expect(here.page.get_by_text("Imported cases start no clocks")).to_be_visible()
    assert here.sideways() <= 0
    here.page.get_by_role("button", name="Bring it in").click()
    expect(here.page.get_by_text("Begins in a moment")).to_be_visible()
    page_by_page(here)
    expect(here.page.locator("#progress dd").first).to_have_text("5")
    expect(here.page.locator("#status")).to_have_text("Reading")
    page_by_page(here)
    expect(here.page.locator("#progress dd").first).to_have_text("10")
    assert here.sideways() <= 0
    here.page.get_by_role("button", name="Cancel").click()
    expect(here.page.get_by_text("No more is read.")).to_be_visible()
    expect(here.page.get_by_text("Cancelled")).to_be_visible()
    assert page_by_page(here).state == "cancelled"
    expect(here.page.get_by_role("button", name="Go on")).to_be_visible()
    here.go("/admin/imports")
    expect(here.page.get_by_role("link", name="x-mentions")).to_be_visible()
    here.go("/search?q=Gammal")
    expect(here.page.get_by_text(re.compile("Gammal fråga")).first).to_be_visible()
    assert here.complaints == []
