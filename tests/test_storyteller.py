"""Stories of stored mentions: who belongs together, whoever places them, in whatever order; by hand; in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import func, select

from collectors.base import MentionData
from database import Database
from errors import InvalidInput
from models import (
    Case,
    CaseEvent,
    Fingerprint,
    Mention,
    Notice,
    PendingReaction,
    Story,
    StoryLesson,
    Team,
    TeamMember,
)
from tests.factories import MORNING, case_of, ours, said, take, user
from triage import cases, merging, reactions, story_alarm, story_memory, storycraft, storyteller, upkeep

SNOW = "Oplogat på hela Björkdalsvägen, tredje snöfallet i rad"
ICE = "Det forsar vatten ur gatan vid Sågverksgränd, hela korsningen är översvämmad"
LINK = "https://posten.example/nyheter/snokaos"
STORM = Path(__file__).parent.parent / "sandbox" / "snowstorm.yaml"


def react(database: Database, at: datetime | None = None) -> None:
    while reactions.react(database, at or MORNING + timedelta(hours=1)):
        pass
    with database.read() as db:
        assert db.scalars(select(PendingReaction.error)).all() == []


def tell(database: Database, *mentions: MentionData, at: datetime | None = None) -> None:
    with database.transaction() as db:
        take(db, *mentions, at=at)
    react(database, at)


def grouping(database: Database) -> set[frozenset[str]]:
    """The stories, as sets of external ids."""
    with database.read() as db:
        groups: dict[int, set[str]] = {}
        for story, external_id in db.execute(select(Mention.story_id, Mention.external_id)):
            if story is not None:
                groups.setdefault(story, set()).add(external_id)
        return {frozenset(group) for group in groups.values()}


def story_of(database: Database, external_id: str) -> int | None:
    with database.read() as db:
        return db.scalar(select(Mention.story_id).where(Mention.external_id == external_id))


def check(database: Database) -> None:
    """A mention's story is its case's; what the row says is what can be counted."""
    with database.read() as db:
        for mention, case in db.execute(select(Mention, Case).join(Case, Case.id == Mention.case_id)):
            if not (mention.ours or mention.context):
                assert mention.story_id == case.story_id, mention.external_id
        for story in db.scalars(select(Story)):
            size = db.scalar(select(func.count()).select_from(Mention).where(Mention.story_id == story.id))
            assert story.size == size, story.id
            assert size != 1
            assert story.merged_into_id is None or size == 0


# -- what is a story ------------------------------------------------------------------------------------------------


def test_two_who_tell_the_same_make_a_story(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW, minutes=0), said("2", "bo", text="Tack för fin hjälp på biblioteket"))
    assert grouping(database) == set()
    tell(database, said("3", "cia", text=SNOW + "!", minutes=5))
    check(database)
    assert grouping(database) == {frozenset("13")}
    with database.read() as db:
        story = db.scalars(select(Story)).one()
        assert (story.title, story.size, story.authors) == (SNOW, 2, 2)
        assert (story.opened_at, story.last_at) == (MORNING, MORNING + timedelta(minutes=5))
        joined = db.scalars(select(CaseEvent).where(CaseEvent.action == "join_story").order_by(CaseEvent.id)).all()
        assert [(event.actor, event.changes) for event in joined] == [("stories", {"story": [None, story.id]})] * 2
        third = db.scalars(select(Fingerprint).join(Mention).where(Mention.external_id == "3")).one()
        first = db.scalar(select(Mention.id).where(Mention.external_id == "1"))
        assert third.because[0][:3] == [first, 0.9, "text"]


def test_one_conversation_is_a_case_and_no_story(database: Database) -> None:
    tell(
        database,
        said("1", "anna", text=SNOW, thread="1"),
        said("2", "bo", text="Håller med", to="1", thread="1"),
        said("3", "cia", text=SNOW, to="2", thread="1"),
    )
    check(database)
    assert grouping(database) == set()


def test_one_person_in_one_place_is_no_story_but_in_two_places(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW), said("2", "anna", text=SNOW))
    assert grouping(database) == set()
    with database.transaction() as db:
        take(db, said("3", "anna", text=SNOW), channel="other")
    react(database)
    check(database)
    assert grouping(database) == {frozenset("123")}


def test_passing_on_is_telling(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW), said("2", "bo", text="", to="1", repost=True))
    check(database)
    assert grouping(database) == {frozenset("12")}


def test_what_we_say_and_what_only_stands_above_starts_no_story(database: Database) -> None:
    tell(database, ours("1", text=SNOW), said("2", "bo", text=SNOW, context=True), said("3", "cia", text=SNOW))
    tell(database, said("4", "dan", text="Var?", to="1", thread="1"), said("5", "eva", text="Här?", to="1", thread="1"))
    assert grouping(database) == set(), "below what we said people write about anything"
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Fingerprint)) == 3


def test_an_article_its_comment_and_a_post_that_links_to_it_are_one(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("a", "karin", text="Tre dagar utan plogning.", title="Vintern kom"), channel="blog")
        take(db, said("c", "bo", text="Så är det", thread="a"), channel="blog")
        take(db, said("p", "cia", text="Läs! https://net.example/a?utm_source=x"), channel="net")
    react(database)
    check(database)
    assert grouping(database) == {frozenset("acp")}


def test_a_case_is_never_in_two_stories(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW), said("2", "bo", text=SNOW))
    tell(database, said("3", "cia", text=ICE), said("4", "dan", text=ICE))
    assert grouping(database) == {frozenset("12"), frozenset("34")}
    old = story_of(database, "3")
    tell(database, said("5", "eva", text=ICE, to="1"))  # in a conversation about the snow, the words about the water
    check(database)
    assert grouping(database) == {frozenset("12345")}
    with database.read() as db:
        assert old is not None
        assert storyteller.get(db, old).id == story_of(database, "1"), "the old address leads on"


def test_cases_that_are_merged_or_split_keep_to_one_story(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW), said("2", "bo", text=SNOW), said("3", "cia", text=SNOW))
    tell(database, said("4", "dan", text=ICE), said("5", "eva", text=ICE), said("6", "eva", text="Och?", to="5"))
    with database.transaction() as db:
        one, two = case_of(db, "1"), case_of(db, "4")
        assert one is not None
        assert two is not None
        merging.merge(db, two, into=one, actor="eva@storby.example", at=MORNING + timedelta(hours=1))
    react(database)
    check(database)
    assert grouping(database) == {frozenset("1234")}, "what is left of the other is no story any more"
    with database.transaction() as db:
        four = db.scalars(select(Mention.id).where(Mention.external_id == "4")).one()
        merging.split(db, one, mention_id=four, actor="eva@storby.example", at=MORNING + timedelta(hours=2))
    react(database)
    check(database)
    assert grouping(database) == {frozenset("1234")}


# -- whoever places them ----------------------------------------------------------------------------------------------


def storm(n: int) -> list[MentionData]:
    """The beginning of the demo's snowstorm."""
    rows = yaml.safe_load(STORM.read_text(encoding="utf-8"))[:n]
    return [
        said(f"s{i}", row["author"], text=row["text"], minutes=row["minutes"], thread=f"s{i}")
        for i, row in enumerate(rows)
    ]


def stored(database: Database) -> list[tuple[str, int, list[object]]]:
    """Each mention with its story, numbered as they are met, and why it is there."""
    with database.read() as db:
        rows = select(Mention.external_id, Mention.story_id, Fingerprint.because).join(Fingerprint).order_by(Mention.id)
        names: dict[int | None, int] = {None: 0}
        return [(id, names.setdefault(story, len(names)), because) for id, story, because in db.execute(rows)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0), (2, 3, 0, 1)])
def test_copies_are_one_story_in_whatever_order_they_come(database: Database, order: tuple[int, ...]) -> None:
    copies = [
        said("0", "anna", text=SNOW, minutes=0),
        said("1", "bo", text=f"{SNOW} {LINK}", minutes=1),
        said("2", "cia", text=f"Läs detta {LINK}", minutes=2),
        said("3", "dan", text="", to="2", minutes=3, repost=True),
    ]
    for place in order:
        tell(database, copies[place])
    check(database)
    assert grouping(database) == {frozenset("0123")}


@pytest.mark.slow
def test_two_processes_and_one_that_is_killed_place_as_one_does(database: Database) -> None:
    with database.transaction() as db:
        take(db, *storm(18))
    other = Database(database.url.render_as_string(hide_password=False))
    mine = [database, other]
    turns = 0
    while reactions._react_to_next(mine[turns % 2], MORNING + timedelta(hours=1)):
        turns += 1
        if turns % 5 == 0:  # as after kill -9: nothing in memory
            story_memory.forget(mine[turns % 2].engine)
    other.close()
    check(database)
    together = stored(database)
    with database.transaction() as db:
        for table in (StoryLesson, Fingerprint, PendingReaction):
            db.query(table).delete()
        db.query(Mention).update({"story_id": None})
        for case in db.scalars(select(Case)):
            cases.join_story(db, case.id, story_id=None, actor="test", at=MORNING + timedelta(hours=2))
        db.query(PendingReaction).delete()
        db.query(Story).delete()
        opened = select(CaseEvent.id).where(CaseEvent.action == "opened")
        db.add_all(PendingReaction(event_id=id) for id in db.scalars(opened))
    story_memory.forget(database.engine)
    react(database)
    alone = stored(database)
    assert len({story for _, story, _ in together if story}) > 2
    assert alone == together


def test_what_was_rolled_back_is_not_remembered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(database, said("1", "anna", text=SNOW))
    with database.transaction() as db:
        take(db, said("2", "bo", text=SNOW))

    def fail(*_: object) -> None:
        raise ValueError("no")

    with monkeypatch.context() as broken:
        broken.setattr(reactions, "ALWAYS", (fail,))
        assert reactions.react(database, MORNING) == 1
    with database.transaction() as db:
        assert db.scalar(select(func.count()).select_from(Fingerprint)) == 1
        for pending in db.scalars(select(PendingReaction)):
            pending.error = None
    react(database)
    check(database)
    assert grouping(database) == {frozenset("12")}


def test_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_memory, "MOST", 3)
    for n in range(9):
        tell(database, said(f"{n}", f"a{n}", text=f"{SNOW} {LINK if n % 2 else ''}"))
        assert len(story_memory._memories[database.engine].gatherer) <= 7
    check(database)
    assert len(grouping(database)) == 1


def test_a_date_in_the_future_does_not_make_everything_else_past(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW), said("2", "bo", text="Framtiden är här", minutes=60 * 24 * 400))
    tell(database, said("3", "cia", text=SNOW))
    assert grouping(database) == {frozenset("13")}


# -- by hand ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def four(database: Database) -> Database:
    """Four who tell the same, and two who tell something else."""
    tell(database, *(said(f"{n}", f"a{n}", text=SNOW, minutes=n) for n in range(1, 5)))
    tell(database, *(said(f"{n}", f"a{n}", text=ICE, minutes=n) for n in range(5, 7)))
    assert grouping(database) == {frozenset("1234"), frozenset("56")}
    return database


LATER = MORNING + timedelta(hours=2)


def by_hand(database: Database, do: str, of: str, ids: str = "", to: str = "") -> None:
    with database.transaction() as db:
        eva = user(db)
        number = {m.external_id: m for m in db.scalars(select(Mention))}
        story, members = number[of].story_id, [number[id].id for id in ids]
        other = number[to].story_id if to else None
        assert story is not None
        if do == "split":
            storycraft.split_out(db, story, members, eva, LATER)
        elif do == "move":
            assert other is not None
            storycraft.move(db, story, members, other, eva, LATER)
        else:
            assert other is not None
            storycraft.join(db, story, other, eva, LATER)
    react(database, LATER)
    check(database)


def undo(database: Database) -> None:
    with database.transaction() as db:
        last = db.scalars(select(StoryLesson).order_by(StoryLesson.id.desc()).limit(1)).one()
        storycraft.withdraw(db, last.id, user(db, "mats"), LATER + timedelta(minutes=5))
    react(database, LATER + timedelta(minutes=6))
    check(database)


def test_what_a_person_takes_out_stays_out(four: Database) -> None:
    by_hand(four, "split", "1", "34")
    assert grouping(four) == {frozenset("12"), frozenset("34"), frozenset("56")}
    tell(four, said("7", "a7", text="Nej!", to="3"), at=LATER)
    assert story_of(four, "7") == story_of(four, "3") != story_of(four, "1")
    tell(four, said("8", "a8", text=SNOW), at=LATER)
    check(four)
    assert story_of(four, "3") != story_of(four, "1"), "what came between did not bring them together again"
    with four.read() as db:
        acts = storycraft.acts(db, story_of(four, "1") or 0)
        assert [(act.apart, act.cases, act.user and act.user.name) for act in acts] == [(True, 2, "Eva")]


def test_a_large_act_is_told_whole(four: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storycraft, "SHOWN", 1)
    tell(four, *(said(f"1{n}", f"b{n}", text=SNOW, minutes=10 + n) for n in range(5)))
    with four.transaction() as db:
        story = db.scalar(select(Mention.story_id).where(Mention.external_id == "1")) or 0
        going = db.scalars(select(Mention.id).where(Mention.external_id.in_(("2", *(f"1{n}" for n in range(5))))))
        storycraft.split_out(db, story, list(going), user(db), LATER)
        assert [act.cases for act in storycraft.acts(db, story)] == [6]


def test_taking_out_is_taken_back(four: Database) -> None:
    by_hand(four, "split", "1", "34")
    undo(four)
    assert grouping(four) == {frozenset("1234"), frozenset("56")}
    with four.read() as db:
        assert storycraft.acts(db, story_of(four, "1") or 0) == []


def test_a_story_that_falls_apart_comes_back_whole(four: Database) -> None:
    story = story_of(four, "5")
    by_hand(four, "split", "5", "6")
    assert grouping(four) == {frozenset("1234")}
    undo(four)
    assert grouping(four) == {frozenset("1234"), frozenset("56")}
    assert story_of(four, "6") == story


def test_stories_are_joined_and_parted_again(four: Database) -> None:
    first, second = story_of(four, "1"), story_of(four, "5")
    by_hand(four, "join", "1", to="5")
    assert grouping(four) == {frozenset("123456")}
    tell(four, said("7", "a7", text=ICE), at=LATER)
    assert story_of(four, "7") == first
    with four.read() as db:
        assert second is not None
        assert storyteller.get(db, second).id == first
    undo(four)
    assert {frozenset("1234"), frozenset("56")} <= {each - {"7"} for each in grouping(four)}
    assert story_of(four, "5") == second


def test_some_are_moved_and_moved_back(four: Database) -> None:
    by_hand(four, "move", "1", "4", to="5")
    assert grouping(four) == {frozenset("123"), frozenset("456")}
    tell(four, said("7", "a7", text="Och jag", to="4"), at=LATER)
    assert story_of(four, "7") == story_of(four, "5")
    undo(four)
    assert grouping(four) == {frozenset("12347"), frozenset("56")} or story_of(four, "4") == story_of(four, "1")


def test_what_makes_no_sense_is_refused(four: Database) -> None:
    for do, of, ids, to in (("split", "1", "1234", ""), ("split", "1", "5", ""), ("join", "1", "", "2")):
        with pytest.raises(InvalidInput):
            by_hand(four, do, of, ids, to)
    assert grouping(four) == {frozenset("1234"), frozenset("56")}


# -- in time ----------------------------------------------------------------------------------------------------------


def notices(database: Database) -> list[tuple[str, int]]:
    with database.read() as db:
        told = select(Notice).where(Notice.kind == story_alarm.STORY_ALARM).order_by(Notice.id)
        return [(notice.detail["story"], notice.detail["size"]) for notice in db.scalars(told)]


def test_an_alarm_goes_to_managers_and_to_the_teams_once_and_again_when_it_has_trebled(database: Database) -> None:
    with database.transaction() as db:
        user(db, "mats", "manager")
        user(db, "eva")
        user(db, "dag")
        db.add(Team(name="Gata", members=[TeamMember(email="eva@storby.example")]))
    tell(database, said("0", "a0", text=SNOW, minutes=0))
    with database.transaction() as db:
        team = db.scalars(select(Team)).one()
        cases.assign_team(db, case_of(db, "0") or 0, team=team, actor="eva@storby.example", at=MORNING)
    people = 1
    for more, told in ((3, 0), (1, 2), (9, 2), (2, 4)):
        some = range(people, people := people + more)
        tell(database, *(said(f"{n}", f"a{n}", text=SNOW, minutes=n) for n in some))
        assert len(notices(database)) == told, f"when {people} have told"
    assert notices(database) == [(SNOW, 5)] * 2 + [(SNOW, 15)] * 2
    with database.read() as db:
        story = db.scalars(select(Story)).one()
        assert story.alarm is not None
        assert (story.alarm["mentions"], story.alarm["authors"], story.alarm["usual"]) == (15, 15, 0.0)


def test_what_is_usual_at_this_hour_of_the_week_alarms_nobody(database: Database) -> None:
    with database.transaction() as db:
        user(db, "mats", "manager")
        for week in range(1, 5):
            for hour in (0, 1):
                at = MORNING - timedelta(weeks=week, hours=hour)
                same = {"channel": "net", "text": "", "published_at": at, "collected_at": at}
                db.add_all(Mention(external_id=f"{week}-{hour}-{n}", **same) for n in range(8))
    tell(database, *(said(f"{n}", f"a{n}", text=SNOW, minutes=n) for n in range(6)))
    assert notices(database) == []
    with database.read() as db:
        assert story_alarm.usual(db, MORNING) == 8
        story = db.get_one(Story, story_of(database, "1"))
        growth = story_alarm.growth(db, story, MORNING + timedelta(minutes=6))
        assert (growth.mentions, growth.before) == (6, 0)


def test_what_is_collected_long_after_is_no_news(database: Database) -> None:
    with database.transaction() as db:
        user(db, "mats", "manager")
    tell(database, *(said(f"{n}", f"a{n}", text=SNOW, minutes=n) for n in range(9)), at=MORNING + timedelta(days=1))
    assert len(grouping(database)) == 1
    assert notices(database) == []


def test_old_fingerprints_are_not_kept(database: Database) -> None:
    tell(database, said("1", "anna", text=SNOW), said("2", "bo", text=SNOW))
    upkeep.tick(database, MORNING + timedelta(days=89))
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Fingerprint)) == 2
    upkeep.tick(database, MORNING + timedelta(days=91))
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Fingerprint)) == 0
    assert len(grouping(database)) == 1
