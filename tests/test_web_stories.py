"""The screens and the API of stories."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from house import House
from models import Author, Case, Mention, Story, StoryLesson
from tests import screens
from tests.conftest import FakeClock
from tests.factories import statements, user
from triage import reactions, storycraft
from web import create_app, stories
from web.api import tokens

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

SNOW = "Oplogat på hela Björkdalsvägen, tredje snöfallet i rad @storby"
ICE = "Det forsar vatten ur gatan vid Sågverksgränd, hela korsningen är översvämmad"


@pytest.fixture
def storby(make_house: Callable[..., House], clock: FakeClock, quick_passwords: None) -> House:
    """Six tell of the snow, the last just now; two of the water."""
    house = screens.storby(make_house, clock())
    told = [(n, SNOW, 10 * (6 - n)) for n in range(1, 7)] + [(n, ICE, 60 * n) for n in (8, 9)]
    said = [screens.mention(n, text, clock() - timedelta(minutes=ago)) for n, text, ago in told]
    screens.collect(house, *said, at=clock())
    while reactions.react(house.database, clock()):
        pass
    return house


@pytest.fixture
def anna(browser: Callable[[str], FlaskClient]) -> FlaskClient:
    return browser("anna@storby.example")


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.get_data(as_text=True))


def told(house: House) -> list[Story]:
    with house.database.read() as db:
        return list(db.scalars(select(Story).where(Story.size > 0).order_by(Story.size.desc())))


def mentions(house: House, story: Story) -> list[int]:
    with house.database.read() as db:
        return list(db.scalars(select(Mention.id).where(Mention.story_id == story.id).order_by(Mention.published_at)))


def test_the_list_tells_what_is_told_now_and_what_alarmed(
    anna: FlaskClient, browser: Callable[[str], FlaskClient], storby: House, clock: FakeClock
) -> None:
    snow, ice = told(storby)
    found = page(anna, "/stories")
    assert found.index(SNOW) < found.index("Det forsar")
    assert "6 mentions · 6 authors" in found
    assert "6 wait for an answer" in found
    assert "Growing: 6 mentions in the last hour" in found or "6 mentions in the last hour" in found
    alarmed = page(anna, "/stories?show=alarm")
    assert SNOW in alarmed
    assert "Det forsar" not in alarmed
    clock.forward(days=3)
    anna = browser("anna@storby.example")  # her login has ended meanwhile
    assert "No story is being told" in page(anna, "/stories")
    assert SNOW in page(anna, "/stories?show=all")
    assert snow.size + ice.size == 8


def test_the_list_goes_on_by_key(anna: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "PAGE", 1)
    first = page(anna, "/stories?show=all")
    more = re.search(r'rel="next" href="([^"]*)"', first)
    assert more
    second = page(anna, more[1].replace("&amp;", "&"))
    assert (SNOW in first, SNOW in second, "Det forsar" in second) == (True, False, True)
    assert 'rel="next"' not in second
    assert anna.get("/stories?cursor=nonsense").status_code == 422


def test_a_story_tells_how_it_went_and_why_each_belongs(anna: FlaskClient, storby: House) -> None:
    snow = told(storby)[0]
    found = page(anna, f"/stories/{snow.id}")
    assert "It began here." in found
    assert found.count("Nearly the same words as Citizen") == 5
    assert "<svg" in found
    assert found.count("<rect") == len(re.findall(r"<td>\d+</td></tr>", found)) - found.count("<td>0</td></tr>")
    assert "style=" not in found
    assert "Social networks" in found
    assert "6 mentions by" not in found
    assert re.search(r"5 mentions by 5 people within an hour", found), "the alarm says why"


def test_as_many_queries_however_long_the_story(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    def asked(path: str) -> int:
        with statements(storby.database) as sent:
            page(anna, path)
        return len(sent)

    snow = told(storby)[0]
    paths = ("/stories", f"/stories/{snow.id}")
    page(anna, paths[0])  # what is usual is asked once an hour
    before = [asked(path) for path in paths]
    screens.collect(storby, *(screens.mention(n, SNOW, clock()) for n in range(20, 26)), at=clock())
    while reactions.react(storby.database, clock()):
        pass
    assert [asked(path) for path in paths] == before


def test_taken_out_moved_joined_and_undone(anna: FlaskClient, storby: House) -> None:
    snow, ice = told(storby)
    ids = mentions(storby, snow)
    anna.post(f"/stories/{snow.id}/split", data={"mention": [str(id) for id in ids[:2]]})
    assert sorted(story.size for story in told(storby)) == [2, 2, 4]
    found = page(anna, f"/stories/{snow.id}")
    assert "Taken out. They are a story of their own now" in found
    assert "took 2 cases out" in found
    anna.post(f"/stories/{snow.id}/undo", data={"lesson": re.findall(r'name="lesson" value="(\d+)"', found)[0]})
    assert sorted(story.size for story in told(storby)) == [2, 6]
    anna.post(f"/stories/{snow.id}/move", data={"mention": str(ids[0]), "to": str(ice.id)})
    assert sorted(story.size for story in told(storby)) == [3, 5]
    anna.post(f"/stories/{snow.id}/join", data={"other": str(ice.id)})
    assert [story.size for story in told(storby)] == [8]
    moved = anna.get(f"/stories/{ice.id}")
    assert (moved.status_code, moved.headers["Location"]) == (302, f"/stories/{snow.id}")
    with storby.database.read() as db:
        assert len(db.scalars(select(StoryLesson)).all()) > 3


def test_what_makes_no_sense_changes_nothing(anna: FlaskClient, storby: House) -> None:
    snow = told(storby)[0]
    for do, form in (
        ("split", {}),
        ("split", {"mention": "999"}),
        ("move", {"mention": "1"}),
        ("join", {"other": "x"}),
        ("join", {}),
    ):
        assert anna.post(f"/stories/{snow.id}/{do}", data=form).status_code in (400, 404, 422), do
    assert [story.size for story in told(storby)] == [6, 2]


def test_an_empty_story_says_so(anna: FlaskClient, storby: House, clock: FakeClock) -> None:
    ice = told(storby)[1]
    anna.post(f"/stories/{ice.id}/split", data={"mention": str(mentions(storby, ice)[0])})
    assert "Nothing is left in this story" in page(anna, f"/stories/{ice.id}")
    assert anna.get("/stories/9999").status_code == 404
    assert anna.get(f"/stories/{2**70}").status_code == 404


def test_the_panel_tells_the_story_and_who_is_heard(storby: House, clock: FakeClock) -> None:
    app = create_app(storby, clock=clock)
    with storby.database.transaction() as db:
        db.execute(update(Author).values(followers=100))
        for n in range(20):
            db.add(Author(channel="twitter", external_id=f"x{n}", name="X", followers=90, first_seen_at=clock()))
        db.execute(update(Author).where(Author.handle == "citizen1").values(followers=9000))
    with app.test_request_context("/"), storby.database.read() as db:
        app.preprocess_request()
        first = db.scalars(select(Case).join(Author).where(Author.handle == "citizen1")).one()
        found = stories.panel(db, first)
        assert found["told_in"].story.size == 6
        assert found["belongs"].because == "first"
        assert [reason.code for reason in found["heard"]] == ["followers"]
        alone = db.get_one(Case, screens.case_of(storby, "1008").id)
        assert stories.panel(db, alone)["heard"] == []


@pytest.fixture
def api(storby: House, clock: FakeClock) -> Callable[[str], Any]:
    with storby.database.transaction() as db:
        token = tokens.create(db, user(db, "anna"), name="test", at=clock())
    client = create_app(storby, clock=clock).test_client()

    def get(path: str) -> Any:
        return client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})

    return get


def test_the_api_gives_stories(api: Callable[[str], Any], storby: House) -> None:
    snow, ice = told(storby)
    listed = api("/stories?limit=1").json
    assert [story["id"] for story in listed["stories"]] == [snow.id]
    rest = api(f"/stories?limit=1&cursor={listed['next_cursor']}").json
    assert ([story["id"] for story in rest["stories"]], rest["next_cursor"]) == ([ice.id], None)
    assert [story["id"] for story in api("/stories?alarmed=true").json["stories"]] == [snow.id]
    one = api(f"/stories/{snow.id}").json
    assert (one["title"], one["size"], one["authors"], one["cases"], one["unanswered"]) == (SNOW, 6, 6, 6, 6)
    assert one["alarm"]["mentions"] == 5
    assert one["stages"][0]["name"] == "social"
    assert sum(hour["mentions"] for hour in one["hours"]) == 6
    assert api("/stories/999").status_code == 404
    number = api(f"/cases?story={snow.id}").json["cases"][0]["number"]
    assert api(f"/cases/{number}").json["story"] == {"id": snow.id, "title": SNOW, "size": 6}
    with storby.database.transaction() as db:
        storycraft.join(db, snow.id, ice.id, user(db, "anna"), snow.last_at)
    assert api(f"/stories/{ice.id}").json["id"] == snow.id
