"""Pictures in the composer, as a browser sees them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from house import House
from models import Draft, Picture, Reply
from tests import screens
from tests.test_pictures import HERE, exif, gif, jpeg, png

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def anna(browser: Callable[[str | None], FlaskClient]) -> FlaskClient:
    return browser("anna@storby.example")


def number(house: House) -> int:
    return screens.case_of(house, "1003").id


def hand_over(client: FlaskClient, case: int, data: bytes, *, script: bool = True, **form: str) -> tuple[int, str]:
    """Returns the status and the page."""
    given = {**form, "file": (io.BytesIO(data), "IMG_0001.jpg")}
    answer = client.post(f"/cases/{case}/pictures", data=given, headers=SCRIPT if script else {})
    return answer.status_code, answer.get_data(as_text=True)


def kept(house: House) -> list[Picture]:
    with house.database.read() as db:
        return list(db.scalars(select(Picture).order_by(Picture.id)))


def test_a_picture_is_added_described_shown_and_removed(anna: FlaskClient, storby: House) -> None:
    case = number(storby)
    status, part = hand_over(anna, case, jpeg(exif()))
    (made,) = kept(storby)
    assert status == 200 and f'src="/pictures/{made.id}"' in part and "<html" not in part
    assert "has been left out of it" in part and "What picture 1 shows" in part and "required" in part
    answer = anna.get(f"/pictures/{made.id}")
    assert (answer.data, answer.content_type) == (jpeg(), "image/jpeg") and HERE not in answer.data
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert anna.post(f"/cases/{case}/pictures/{made.id}", data={f"alt-{made.id}": "En plogbil"}).status_code == 204
    assert 'alt="En plogbil"' in anna.get(f"/cases/{case}").get_data(as_text=True)
    part = anna.post(f"/cases/{case}/pictures/{made.id}/remove", headers=SCRIPT).get_data(as_text=True)
    assert "The picture is removed." in part and kept(storby) == []


def test_without_a_script_the_draft_is_kept_along_with_it(anna: FlaskClient, storby: House) -> None:
    case = number(storby)
    status, _ = hand_over(anna, case, png(), script=False, body="Så här ser det ut", kind="reply", draft="0")
    assert status == 303 and len(kept(storby)) == 1
    with storby.database.read() as db:
        assert db.scalars(select(Draft.body)).one() == "Så här ser det ut"
    page = anna.get(f"/cases/{case}").get_data(as_text=True)
    assert "Så här ser det ut" in page and "What picture 1 shows" in page
    status, _ = hand_over(anna, case, b"", script=False, body="Så här ser det ut", kind="reply", draft="0")
    assert "Choose a picture first." in anna.get(f"/cases/{case}").get_data(as_text=True)


def test_it_goes_with_the_answer_and_stands_in_the_thread(anna: FlaskClient, storby: House) -> None:
    case = number(storby)
    hand_over(anna, case, jpeg())
    (made,) = kept(storby)
    form = {"body": "Så här:", "then": "keep", "key": "k1", "picture": str(made.id)}
    answer = anna.post(f"/cases/{case}/reply", data=form | {f"alt-{made.id}": " "})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and "Say in words what each picture shows" in page and "Så här:" in page
    answer = anna.post(f"/cases/{case}/reply", data=form | {f"alt-{made.id}": "En plogbil"})
    assert answer.status_code == 303
    page = anna.get(f"/cases/{case}").get_data(as_text=True)
    assert page.count(f'src="/pictures/{made.id}"') == 1 and 'alt="En plogbil"' in page
    assert "What picture 1 shows" not in page, "the composer is empty again"
    with storby.database.read() as db:
        reply = db.scalars(select(Reply)).one()
    anna.post(f"/cases/{case}/replies/{reply.id}/cancel")
    page = anna.get(f"/cases/{case}").get_data(as_text=True)
    assert "What picture 1 shows" in page, "undone, it is in the composer again"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gif(), "The network takes JPEG, PNG, WEBP only."),
        (b"%PDF-1.7", "This is no JPEG, PNG, GIF or WebP picture."),
        (jpeg()[:60], "The picture cannot be read."),
        (jpeg(width=9000), "up to 8192 pixels a side"),
    ],
    ids=["kind", "no picture", "damaged", "side"],
)
def test_what_is_not_taken_says_why(anna: FlaskClient, storby: House, data: bytes, words: str) -> None:
    status, part = hand_over(anna, number(storby), data)
    assert status == 422 and words in part and kept(storby) == []


def test_more_bytes_than_any_network_takes_are_not_even_read(anna: FlaskClient, storby: House) -> None:
    assert hand_over(anna, number(storby), b"\xff\xd8\xff" + b"\0" * 11_500_000)[0] == 413
    status, part = hand_over(anna, number(storby), png() + b"\0" * 2_000_000)
    assert status == 200 and "left out" in part


def test_nobody_elses(anna: FlaskClient, storby: House, browser: Callable[[str | None], FlaskClient]) -> None:
    case = number(storby)
    hand_over(anna, case, jpeg())
    (made,) = kept(storby)
    mats = browser("mats@storby.example")
    assert mats.get(f"/pictures/{made.id}").status_code == 404
    assert mats.post(f"/cases/{case}/pictures/{made.id}/remove").status_code == 404
    mats.post(f"/cases/{case}/pictures/{made.id}", data={f"alt-{made.id}": "Mitt"})
    assert [each.alt for each in kept(storby)] == [""]
    assert browser(None).get(f"/pictures/{made.id}").status_code in (302, 303, 401)


def test_where_the_network_takes_none_the_composer_says_so(anna: FlaskClient, storby: House) -> None:
    with storby.database.transaction() as db:
        from models import Mention

        found = db.scalars(select(Mention).where(Mention.channel == "blog")).one()
        found.can_reply, found.can_reply_reason = True, None
        case = found.case_id
    page = anna.get(f"/cases/{case}").get_data(as_text=True)
    assert "The network takes no pictures in answers." in page and 'type="file"' not in page
    assert hand_over(anna, case or 0, jpeg())[0] == 422


def test_an_answer_without_pictures_is_as_before(anna: FlaskClient, storby: House) -> None:
    case = number(storby)
    hand_over(anna, case, jpeg())
    assert anna.post(f"/cases/{case}/reply", data={"body": "Hej", "key": "k2", "then": "keep"}).status_code == 303
    assert [each.reply_id for each in kept(storby)] == [None], "what did not stand in the form stays with the draft"


def test_thrown_away_with_its_draft(anna: FlaskClient, storby: House) -> None:
    case = number(storby)
    hand_over(anna, case, png(), script=False, body="Så här ser det ut", kind="reply", draft="0")
    with storby.database.read() as db:
        version = db.scalars(select(Draft.version)).one()
    anna.post(f"/cases/{case}/draft/discard", data={"kind": "reply", "draft": str(version)})
    assert kept(storby) == []
