"""A house with something in it, for the tests of the screens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from collectors.base import Attachment, AuthorData, Batch, MentionData, SetAside
from database import Database
from house import House, declare
from models import Case, Heartbeat, Mention, Role, Source, User
from triage import intake
from web.login import new_user

PASSWORD = "korrekt häst batteri"
ACCOUNTS = [
    {
        "name": "storby-x",
        "channel": "twitter",
        "handle": "storby",
        "user_id": "2244994945",
        "api_base": "http://127.0.0.1:9",
        "bearer_token": "b",
        "consumer_key": "k",
        "consumer_secret": "s",
        "access_token": "t",
        "access_token_secret": "a",
        "monthly_budget_usd": 50,
    }
]
SOURCES = [
    {"name": "x-mentions", "account": "storby-x", "collect": "mentions", "every": "2m"},
    {"name": "citizen-blog", "channel": "blog", "collect": "feed", "url": "https://medborgare.example/feed"},
]


def people(database: Database, at: datetime) -> dict[str, User]:
    """An administrator, an agent and a manager; all have the same password."""
    made = {
        "admin": new_user("admin@storby.example", "Ada Admin", Role.admin, PASSWORD, at),
        "agent": new_user("anna@storby.example", "Anna Åberg", Role.agent, PASSWORD, at),
        "manager": new_user("mats@storby.example", "Mats Øst", Role.manager, PASSWORD, at),
    }
    with database.transaction() as db:
        db.add_all(made.values())
    return made


def beat(database: Database, at: datetime) -> None:
    """The collecting side says that it is alive."""
    with database.transaction() as db:
        db.merge(Heartbeat(part="scheduler", at=at, restarts=0))


def mention(number: int, text: str, at: datetime, **more: Any) -> MentionData:
    """A post on X that can be answered, unless ``more`` says otherwise."""
    author = more.pop("author", AuthorData(f"u{number}", f"Citizen {number}", f"citizen{number}", "https://x.com/c"))
    values: dict[str, Any] = {
        "external_id": str(1000 + number),
        "author": author,
        "text": text,
        "published_at": at,
        "url": f"https://x.com/c/status/{1000 + number}",
        "can_reply": True,
        "reply_address": {"tweet": str(1000 + number)},
        "raw": {"id": number},
    }
    return MentionData(**{**values, **more})


def collect(
    house: House,
    *mentions: MentionData,
    at: datetime,
    source: str = "x-mentions",
    aside: tuple[SetAside, ...] = (),
) -> list[int]:
    """Take them in as the scheduler would; gives the numbers of their cases."""
    with house.database.transaction() as db:
        found = db.scalar(select(Source).where(Source.name == source))
        assert found is not None, f"declare the source {source} first"
        intake.take(
            db,
            Batch(tuple(mentions), cursor={}, set_aside=aside),
            channel=found.channel,
            account_id=found.account_id,
            source_id=found.id,
            at=at,
        )
        ids = [each.external_id for each in mentions]
        found_in = select(Mention.external_id, Mention.case_id).where(Mention.external_id.in_(ids))
        cases = {external_id: case_id for external_id, case_id in db.execute(found_in)}
        return [number for each in ids if (number := cases[each]) is not None]


def storby(make_house: Callable[..., House], at: datetime, **parts: Any) -> House:
    """A house with accounts, sources and people, and nothing collected yet."""
    house = make_house(accounts=ACCOUNTS, sources=SOURCES, **parts)
    begin(house, at)
    return house


def begin(house: House, at: datetime) -> None:
    """What is declared is there, people are, and the collecting side is alive."""
    declare(house, at)
    people(house.database, at)
    beat(house.database, at)


def a_morning(house: House, at: datetime) -> list[int]:
    """Some cases of every kind, the newest a minute old."""
    minutes = timedelta(minutes=1)
    snow = mention(1, "@storby Plogen har inte varit på Björkvägen på tre dagar. Min mamma kommer inte ut med rullatorn. När kommer ni?", at - 95 * minutes)  # fmt: skip  # noqa: E501
    also = mention(2, "Samma på Almgatan, det är glashalt utanför förskolan.", at - 60 * minutes, in_reply_to="1001")
    power = mention(3, "@storby er strømmen snart tilbake i Fjellveien? Har to små hjemme og det begynner å bli kaldt", at - 12 * minutes)  # fmt: skip  # noqa: E501
    praise = mention(4, "Tusen takk til bibliotekaren på filialen som hjalp meg med skattemeldinga i dag! @storby", at - 30 * minutes)  # fmt: skip  # noqa: E501
    closed = mention(
        5,
        "Någon som vet varför bygglovsformuläret hos Storby bara säger fel 500?",
        at - 3 * minutes,
        can_reply=False,
        can_reply_reason="not_summoned",
    )
    article = MentionData(
        external_id="https://medborgare.example/2026/11/sno",
        author=AuthorData("medborgare.example/karin", "Karin på kanten"),
        title="Vintern kom visst som en överraskning i år också",
        text="Tre dagar. Så länge har trottoaren utanför vårdcentralen varit oplogad. " * 30,
        html="<p>Tre dagar. Så <em>länge</em> har trottoaren varit oplogad.</p>"
        "<p><img src='https://medborgare.example/sno.jpg' alt='Snövall'></p>"
        + "<p>Jag har ringt kommunen fyra gånger.</p>"
        * 20,
        published_at=at - 26 * 60 * minutes,
        url="https://medborgare.example/2026/11/sno",
        can_reply_reason="no_account",
        attachments=(Attachment("photo", "https://medborgare.example/sno.jpg", "Snövall vid busshållplatsen"),),
    )
    numbers = collect(house, snow, also, power, praise, closed, at=at - minutes)
    return [*dict.fromkeys(numbers), *collect(house, article, source="citizen-blog", at=at - minutes)]


def case_of(house: House, external_id: str) -> Case:
    with house.database.read() as db:
        found = db.scalar(
            select(Case).join(Mention, Mention.case_id == Case.id).where(Mention.external_id == external_id)
        )
        assert found is not None
        return found
