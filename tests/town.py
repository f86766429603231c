"""A small town for tests: one network on loopback, the house that listens to it, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

import pulls
from house import House, declare
from models import Account, Case, Mention, Reply, Source, User
from replies.outbox import Delivered, Outbox, submit
from sandbox.base import serving
from sandbox.twitter import X
from tests.factories import user


@dataclass
class Town:
    """``now`` is real time at first, since the look-alike dates what is written there; ``forward`` moves ours."""

    network: X
    house: House
    at: datetime

    def now(self) -> datetime:
        return self.at

    def forward(self, **delta: float) -> None:
        self.at += timedelta(**delta)

    def collect(self, name: str = "mentions", *, by_hand: bool = True) -> pulls.Pulled:
        with self.house.database.read() as db:
            number = db.scalars(select(Source.id).where(Source.name == name)).one()
        return pulls.pull(self.house, number, now=self.now, by_hand=by_hand)

    def source(self, name: str = "mentions") -> Source:
        with self.house.database.read() as db:
            return db.scalars(select(Source).where(Source.name == name)).one()

    def account(self) -> Account:
        with self.house.database.read() as db:
            return db.scalars(select(Account)).one()

    def answer(self, external_id: str, body: str, **more: Any) -> int:
        """Write an answer to a mention; returns the reply's id."""
        with self.house.database.transaction() as db:
            mention = db.scalars(select(Mention).where(Mention.external_id == external_id)).one()
            assert mention.case_id is not None
            reply = submit(
                db,
                self.house,
                mention.case_id,
                body=body,
                user=self._eva(db),
                at=self.at,
                to_mention_id=mention.id,
                **more,
            )
            return reply.id

    def _eva(self, db: Session) -> User:
        return user(db)

    def send(self) -> list[Delivered]:
        with Outbox(self.house, self.now) as outbox:
            return outbox.run()

    def reply(self, reply_id: int) -> Reply:
        with self.house.database.read() as db:
            return db.get_one(Reply, reply_id)

    def case(self, external_id: str) -> Case:
        with self.house.database.read() as db:
            return db.scalars(
                select(Case).join(Mention, Mention.case_id == Case.id).where(Mention.external_id == external_id)
            ).one()

    def seen_outside(self) -> list[str]:
        """What the organisation has said on the network, oldest first."""
        return [post.text for post in self.network.posts() if post.ours and not post.deleted]


@contextmanager
def town(make_house: Any, **parts: Any) -> Iterator[Town]:
    network = X()
    with serving(network.app) as base:
        given: dict[str, Any] = {
            "accounts": [network.account("storby-x", base)],
            "sources": [
                {"name": "mentions", "account": "storby-x", "collect": "mentions", "every": "2m"},
                {"name": "search", "account": "storby-x", "collect": "search", "query": "snö", "every": "5m"},
            ],
            "outbound": {"allow_private_networks": True, "connect_timeout": "2s", "read_timeout": "1s"},
        }
        house = make_house(**(given | parts))
        at = datetime.now(UTC)
        declare(house, at)
        yield Town(network, house, at)
