"""What the inbox reads, it reads by what names little, in an archive of any size: SQLite is not told what is large."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from bench.inbox import statements
from house import House
from models import Author, Case, CaseTag, Source
from tests import screens
from web.queries import CaseFilter, find_cases

pytestmark = pytest.mark.screens

Open = Callable[..., FlaskClient]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("address", "asked", "never"),
    [
        ("/dashboard", r"SELECT .*next_breach_at <=", "ix_cases_status"),
        ("/?kind=idea&until=2026-11-01", r"SELECT .*flag IS NOT NULL.*activity_at <", "ix_cases_(status|last|channel)"),
        ("/?source=x-mentions", r"SELECT .*EXISTS \(SELECT \* FROM mention_sources", "ix_mention_sources_source_id"),
        ("/cases/{}", r"SELECT .*FROM replies .*case_id =", "ix_replies_user_id"),
        ("/cases/{}", r"SELECT authors\.followers", "TEMP B-TREE"),
    ],
)
def test_nothing_is_read_by_an_index_that_names_much(
    browser: Open, storby: House, address: str, asked: str, never: str
) -> None:
    anna = browser()
    with storby.database.transaction() as db:
        db.execute(update(Author).values(followers=7))
    with statements(storby.database) as told:
        assert anna.get(address.format(screens.case_of(storby, "1001").id)).status_code == 200
    found = [each for each in told if re.match(asked, " ".join(each[0].split()))]
    with storby.database.engine.execution_options(reading=True).connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each[0]}", each[1]).all() for each in found]
    assert plans, "nothing of the kind is asked any more"
    assert not [row for plan in plans for row in plan if re.search(never, str(row[-1]))], found


def test_few_are_read_by_their_numbers_and_many_in_order_with_the_same_answer(
    storby: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storby.database.transaction() as db:
        for case in db.scalars(select(Case).order_by(Case.id).limit(3)):
            case.tags = [CaseTag(tag="halka")]
            author = case.author_id
    with storby.database.read() as db:
        sources = db.scalars(select(Source.name)).all()
        wanted = [CaseFilter(tag=["halka"]), CaseFilter(author=author), CaseFilter(tag=["halka"], status=["new"])]
        wanted += [CaseFilter(source=name) for name in (*sources, "none such")]
        found = []
        for few in (3_000, 0):
            monkeypatch.setattr("web.queries.FEW", few)
            found.append([[case.id for case in find_cases(db, each).cases] for each in wanted])
    assert found[0] == found[1]
    assert [bool(each) for each in found[0][:2]] == [True, True]
    assert any(found[0][3:])
    assert found[0][-1] == []
