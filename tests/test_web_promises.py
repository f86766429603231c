"""Promises on screen: proposed beside the case, stood by with one button, listed by their days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from house import House
from models import Mention, Promise, Then, User
from tests.conftest import FakeClock
from triage import answering, reactions

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

Browser = Callable[[str | None], FlaskClient]
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def promised(house: House, clock: FakeClock, body: str = "Vi lagar det på fredag.", who: str = "anna") -> int:
    """An answer that promises something, in a case of its own; returns the promise's number."""
    with house.database.transaction() as db:
        mention = db.scalars(select(Mention).where(Mention.case_id.is_not(None), Mention.can_reply)).first()
        assert mention is not None
        assert mention.case_id is not None
        user = db.scalars(select(User).where(User.email == f"{who}@storby.example")).one()
        answering.reply(
            db, mention.case_id, body=body, to_mention_id=mention.id, user=user, then=Then.keep, private=False,
            hold=timedelta(), idempotency_key=None, account_id=None, at=clock(),
        )  # fmt: skip
    while reactions.react(house.database, clock()):
        pass
    with house.database.read() as db:
        return db.scalars(select(Promise.id).order_by(Promise.id.desc())).first() or 0


def page(client: FlaskClient, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.text


def press(client: FlaskClient, number: int, what: str, **form: str) -> str:
    answer = client.post(f"/promises/{number}/{what}", data=form, headers=SAME_SITE)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def test_from_the_proposal_to_the_promise_kept(storby: House, browser: Browser, clock: FakeClock) -> None:
    anna = browser("anna@storby.example")
    assert "Nothing here" in page(anna, "/promises")
    number = promised(storby, clock)
    assert "Nothing here" in page(anna, "/promises"), "nobody has stood by it"
    assert "Vi lagar det på fredag." in page(anna, "/promises?list=proposed")

    case = press(anna, number, "accept")
    assert case.endswith("#promises")
    assert "Vi lagar det på fredag." in page(anna, "/promises?list=coming")
    clock.forward(days=3, hours=12)
    anna = browser("anna@storby.example")  # her login has ended meanwhile
    late = page(anna, "/promises")
    assert "Vi lagar det på fredag." in late
    assert "Late now: 1" in late
    assert "due today or late" in late, "the number beside the link"

    press(anna, number, "keep")
    assert "Nothing here" in page(anna, "/promises")
    kept = page(anna, "/promises?list=kept")
    assert "Kept late" in kept
    assert "Kept late: 1" in kept


def test_another_day_or_no_promise(storby: House, browser: Browser, clock: FakeClock) -> None:
    anna = browser("anna@storby.example")
    number = promised(storby, clock)
    wrong = anna.post(f"/promises/{number}/accept", data={"day": "soon"}, headers=SAME_SITE)
    assert wrong.status_code == 422
    assert "not a date" in wrong.text
    press(anna, number, "accept", day="2026-12-04")
    with storby.database.read() as db:
        assert db.get_one(Promise, number).due_at.date().isoformat() == "2026-12-04"
    press(anna, number, "drop")
    assert anna.post(f"/promises/{number}/keep", headers=SAME_SITE).status_code == 409
    assert anna.post("/promises/99/keep", headers=SAME_SITE).status_code == 404


def test_mine_and_everybodys(storby: House, browser: Browser, clock: FakeClock) -> None:
    anna = browser("anna@storby.example")
    promised(storby, clock, who="mats")
    assert "Nothing here" in page(anna, "/promises?list=proposed")
    assert "Vi lagar det" in page(anna, "/promises?list=proposed&whose=all")


def test_a_long_list_is_read_on(storby: House, browser: Browser, clock: FakeClock) -> None:
    anna = browser("anna@storby.example")
    first = promised(storby, clock)
    with storby.database.transaction() as db:
        pattern = db.get_one(Promise, first)
        for n in range(60):
            db.add(
                Promise(
                    case_id=pattern.case_id, reply_id=pattern.reply_id, words=f"löfte {n:02}", due_at=pattern.due_at,
                    back_at=pattern.back_at,
                    owner_id=pattern.owner_id, state="proposed", made_at=pattern.made_at,
                )
            )  # fmt: skip
    shown = page(anna, "/promises?list=proposed")
    assert ("löfte 48" in shown, "löfte 49" in shown) == (True, False)
    more = shown.split("after=")[1].split('"')[0].replace("&amp;", "&").split("&")[0]
    rest = page(anna, f"/promises?list=proposed&after={more}")
    assert ("löfte 48" in rest, "löfte 49" in rest, "löfte 59" in rest) == (False, True, True)
