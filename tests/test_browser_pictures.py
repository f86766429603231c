"""A picture in an answer, in a real browser: chosen, described, sent; dropped words stop it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, expect
from sqlalchemy import select

from models import Picture, Reply
from tests import screens
from tests.conftest import Desk
from tests.test_pictures import exif, jpeg, png

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_a_picture_is_chosen_described_and_sent(desk: Callable[..., Desk], width: int, scheme: str) -> None:
    here = desk(width, scheme)
    number = screens.case_of(here.house, "1003").id
    here.go(f"/cases/{number}")
    page = here.page
    page.locator("#body").fill("Så här ser det ut /Anna")
    page.get_by_label("Add a picture").set_input_files(
        [
            FilePayload(name="plog.png", mimeType="image/png", buffer=png()),
            FilePayload(name="karta.png", mimeType="image/png", buffer=png(width=60)),
        ]
    )
    expect(page.get_by_label("What picture 2 shows")).to_be_focused()
    expect(page.locator("#pictures img")).to_have_count(2)
    expect(page.locator("#status")).to_contain_text("Say in words what each picture shows")
    assert page.locator("#pictures img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 40
    assert here.sideways() <= 0
    page.keyboard.type("En karta")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_label("What picture 1 shows")).to_be_focused()  # the browser asks for what is missing
    with here.house.database.read() as db:
        assert db.scalar(select(Reply)) is None
    page.get_by_role("button", name="Remove picture 1").click()
    expect(page.locator("#pictures img")).to_have_count(1)
    expect(page.get_by_label("Add a picture")).to_be_focused()
    expect(page.get_by_label("What picture 1 shows")).to_have_value("En karta")
    expect(page.locator("#body")).to_have_value("Så här ser det ut /Anna")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("article.reply img")).to_have_attribute("alt", "En karta")
    expect(page.locator("#pictures img")).to_have_count(0)
    assert [each for each in here.complaints if "409" not in each] == []  # typed before the window was known as present
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("What picture 1 shows")).to_have_value("En karta")


def test_what_is_no_picture_says_so_and_where_one_was_taken_is_left_out(desk: Callable[..., Desk]) -> None:
    here = desk()
    here.go(f"/cases/{screens.case_of(here.house, '1003').id}")
    file = here.page.get_by_label("Add a picture")
    file.set_input_files([FilePayload(name="a.jpg", mimeType="image/jpeg", buffer=b"%PDF-1.7")])
    expect(here.page.locator("#pictures .problem")).to_have_text("This is no JPEG, PNG, GIF or WebP picture.")
    here.page.get_by_label("Add a picture").set_input_files(
        [FilePayload(name="a.jpg", mimeType="image/jpeg", buffer=jpeg(exif()))]
    )
    expect(here.page.locator("#pictures .told")).to_contain_text("has been left out of it")
    with here.house.database.read() as db:
        assert db.scalars(select(Picture.media_type)).one() == "image/jpeg"
