"""Every page opens, with everything on it and with nothing, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from house import House
from tests import screens, test_accessibility
from tests.conftest import FakeClock
from web import create_app

pytestmark = pytest.mark.screens


@pytest.mark.timeout(300)
def test_every_page_opens(make_house: Callable[..., House], clock: FakeClock, quick_passwords: None) -> None:
    house = screens.storby(make_house, clock())
    empty = statuses(house, clock)
    screens.a_morning(house, clock())
    test_accessibility.everything(house, clock())
    full = statuses(house, clock)
    fine = (200, 302, 303, 404)  # 404: what a number names need not be there
    assert {path: status for path, status in (*empty.items(), *full.items()) if status not in fine} == {}
    assert list(full.values()).count(200) > list(empty.values()).count(200) > 30


def statuses(house: House, clock: FakeClock) -> dict[str, int]:
    """What an administrator is answered, by address."""
    client = create_app(house, clock=clock).test_client()
    client.post("/login", data={"email": test_accessibility.ADMIN, "password": screens.PASSWORD})
    return {path: client.get(path).status_code for path in (*test_accessibility.pages(house), *test_accessibility.MORE)}
