"""What others wrote is hidden on its network, and shown again: asked for once, done until the network has answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from collectors.base import Batch, Snapshot
from database import Database
from errors import InvalidInput, InvalidTransition
from house import House
from models import CaseEvent, Hiding, Mention, Notice, Role, Team, User
from replies import hiding
from sandbox.base import Fault
from tests import screens
from tests.conftest import FakeClock
from tests.factories import MORNING, said, take, user
from tests.town import Town, town
from triage import cases, intake, reactions, undoing
from triage import hiding as settle
from web.api import tokens
from web.login import new_user

WHY = "Personuppgifter om en granne"


@pytest.fixture
def storby_x(make_house: Any) -> Iterator[Town]:
    with town(make_house) as made:
        yield made


@pytest.fixture
def insult(storby_x: Town) -> str:
    """The id of what somebody wrote under a post of ours."""
    post = storby_x.network.write_as_us("Badet öppnar klockan åtta.")
    wrote = storby_x.network.write("Bo", "@storby ring Åsa på 070-123", in_reply_to=post)
    storby_x.collect()
    return wrote


def ask(here: Town, external_id: str, *, hide: bool = True, reason: str | None = WHY) -> int:
    with here.house.database.transaction() as db:
        mention = db.scalars(select(Mention).where(Mention.external_id == external_id)).one()
        hiding.submit(db, mention.id, hide=hide, reason=reason if hide else None, user=user(db), at=here.at)
        return mention.id


def mention_of(here: Town, external_id: str) -> Mention:
    with here.house.database.read() as db:
        return db.scalars(select(Mention).where(Mention.external_id == external_id)).one()


def wish(here: Town) -> Hiding:
    with here.house.database.read() as db:
        return db.scalars(select(Hiding)).one()


def told(here: Town, external_id: str) -> list[tuple[str, str]]:
    """What happened in the case, and by whom."""
    with here.house.database.read() as db:
        wanted = select(CaseEvent).where(CaseEvent.case_id == mention_of(here, external_id).case_id)
        return [(each.action, each.actor) for each in db.scalars(wanted.order_by(CaseEvent.id))][1:]


def test_hidden_there_kept_here_and_shown_again(storby_x: Town, insult: str) -> None:
    status = storby_x.case(insult).status
    ask(storby_x, insult)
    assert storby_x.network.hidden == set(), "nothing is asked of the network before it is written down"
    assert mention_of(storby_x, insult).hidden_at is None
    storby_x.send()
    assert storby_x.network.hidden == {insult}
    kept = mention_of(storby_x, insult)
    assert (kept.hidden_at, kept.text) == (storby_x.at, "@storby ring Åsa på 070-123")
    assert told(storby_x, insult) == [("hide", "eva@storby.example"), ("mention_hidden", "outbox")]
    assert storby_x.case(insult).status == status
    with storby_x.house.database.read() as db:
        first = db.scalars(select(CaseEvent).where(CaseEvent.action == "hide")).one()
        assert (first.changes["reason"], first.mention_id) == ([None, WHY], kept.id)
    storby_x.collect()
    assert mention_of(storby_x, insult).hidden_at is not None, "X does not tell what is hidden"
    ask(storby_x, insult, hide=False)
    storby_x.send()
    assert storby_x.network.hidden == set()
    assert mention_of(storby_x, insult).hidden_at is None
    assert [action for action, _ in told(storby_x, insult)][2:] == ["show_again", "mention_shown"]


def test_a_call_without_an_answer_is_made_again(storby_x: Town, insult: str) -> None:
    ask(storby_x, insult)
    storby_x.network.faults.on(Fault.accept_then_cut, 1)
    storby_x.send()
    assert storby_x.network.hidden == {insult}
    assert mention_of(storby_x, insult).hidden_at is None, "nobody has said so"
    assert wish(storby_x).error_reason == "unavailable"
    storby_x.send()
    assert mention_of(storby_x, insult).hidden_at is None, "not before its time"
    storby_x.forward(seconds=31)
    storby_x.send()
    assert mention_of(storby_x, insult).hidden_at == storby_x.at
    assert (wish(storby_x).due_at, wish(storby_x).error) == (None, None)
    assert [action for action, _ in told(storby_x, insult)] == ["hide", "mention_hidden"]


def test_a_network_that_is_ill_for_a_day_is_given_up(storby_x: Town, insult: str) -> None:
    ask(storby_x, insult)
    storby_x.network.faults.on(Fault.html_error)
    for hours in (0, 12, 11):
        storby_x.forward(hours=hours)
        storby_x.send()
        assert wish(storby_x).due_at is not None
    storby_x.forward(hours=1)
    storby_x.send()
    assert wish(storby_x).due_at is None
    assert told(storby_x, insult)[-1] == ("hide_failed", "outbox")


def test_an_account_that_gets_no_answer_asks_for_nothing_else_in_that_pass(storby_x: Town, insult: str) -> None:
    """Each call may hang for half a minute."""
    more = storby_x.network.write("Bo", "@storby och på 070-124", in_reply_to=insult)
    storby_x.collect()
    ask(storby_x, insult)
    ask(storby_x, more)
    storby_x.network.faults.on(Fault.html_error, 1)
    storby_x.send()
    assert storby_x.network.hidden == set()
    storby_x.forward(seconds=31)
    storby_x.send()
    assert storby_x.network.hidden == {insult, more}


def test_refused_it_says_so_and_can_be_wanted_again(storby_x: Town, insult: str) -> None:
    ask(storby_x, insult)
    storby_x.network.faults.on(Fault.unauthorized, 1)
    storby_x.send()
    assert (wish(storby_x).due_at, wish(storby_x).error_reason) == (None, "auth_expired")
    assert mention_of(storby_x, insult).hidden_at is None
    assert told(storby_x, insult)[-1] == ("hide_failed", "outbox")
    reactions.react(storby_x.house.database, storby_x.at)
    with storby_x.house.database.read() as db:
        notice = db.scalars(select(Notice)).one()
        assert (notice.kind, notice.user_id) == ("hide_failed", user(db).id)
    storby_x.send()
    assert storby_x.network.hidden == set(), "a definite no is not asked again by itself"
    ask(storby_x, insult)
    storby_x.send()
    assert storby_x.network.hidden == {insult}


def test_the_last_wish_is_what_is_done(storby_x: Town, insult: str) -> None:
    ask(storby_x, insult)
    ask(storby_x, insult)  # a second click
    ask(storby_x, insult, hide=False)
    storby_x.send()
    assert storby_x.network.hidden == set()
    assert [action for action, _ in told(storby_x, insult)] == ["hide", "show_again", "mention_shown"]


def test_a_wish_that_came_during_the_call_is_next(storby_x: Town, insult: str) -> None:
    """The network hides it while somebody already wants it shown again."""
    number = ask(storby_x, insult)
    ask(storby_x, insult, hide=False)
    with storby_x.house.database.transaction() as db:
        settle.done(db, number, hide=True, actor="outbox", at=storby_x.at)
    assert mention_of(storby_x, insult).hidden_at is not None
    assert wish(storby_x).due_at is not None
    storby_x.send()
    assert mention_of(storby_x, insult).hidden_at is None


def test_undo_is_show_again(storby_x: Town, insult: str) -> None:
    number = ask(storby_x, insult)
    eva: dict[str, Any] = {"actor": "eva@storby.example", "at": storby_x.at}
    storby_x.send()
    with storby_x.house.database.transaction() as db:
        event = db.scalars(select(CaseEvent).where(CaseEvent.action == "hide")).one()
        (written,) = undoing.undo(db, event.id, **eva).events
        assert (written.action, written.undoes_id, written.mention_id) == ("undo", event.id, number)
        assert undoing.undo(db, event.id, **eva).events == (), "once"
    storby_x.send()
    assert storby_x.network.hidden == set()
    with storby_x.house.database.transaction() as db:
        shown = hiding.submit(db, number, hide=True, reason=WHY, user=user(db), at=storby_x.at)
        settle.done(db, number, hide=True, actor="outbox", at=storby_x.at)
        db.get_one(Mention, number).hidden_at = None  # somebody has shown it again on the network
        assert shown is not None
        assert undoing.undo(db, shown.id, **eva).kept == ("hidden",)


def test_what_the_network_would_not_hide_is_refused_at_once(storby_x: Town, insult: str) -> None:
    theirs = storby_x.network.write("Anna", "@storby när plogas Solgatan?")
    storby_x.collect()
    with pytest.raises(InvalidTransition, match="not_our_conversation"):
        ask(storby_x, theirs)
    with pytest.raises(InvalidInput, match="why"):
        ask(storby_x, insult, reason="  ")
    with storby_x.house.database.transaction() as db:
        take(db, said("f1"), channel="api")
        found = db.scalars(select(Mention).where(Mention.external_id == "f1")).one()
        assert hiding.why_not(db, [found]) == {found.id: "no_network"}
        found.hidden_at = storby_x.at
        with pytest.raises(InvalidTransition, match="no_network"):
            hiding.submit(db, found.id, hide=False, user=user(db), at=storby_x.at)
        assert db.scalars(select(Hiding)).all() == []


def test_what_is_hidden_and_no_longer_listed_is_not_deleted(database: Database) -> None:
    """WordPress lists no comment that waits for a moderator; Facebook lists what is hidden, too."""
    at = MORNING + timedelta(hours=1)
    for channel, hidden_too, deleted in (("net", False, False), ("web", True, True)):
        with database.transaction() as db:
            take(db, said("c1", thread="a1"), said("c2", thread="a1"), channel=channel)
            hidden = db.scalars(select(Mention).where(Mention.external_id == "c1", Mention.channel == channel)).one()
            hidden.hidden_at = at
            seen = Batch((), {}, snapshots=(Snapshot("a1", frozenset({"c2"}), hidden_too=hidden_too),))
            intake.take(db, seen, channel=channel, account_id=None, source_id=None, at=at)
            assert (hidden.deleted_at is not None) == deleted


def test_what_was_read_before_it_was_hidden_does_not_show_it_again(database: Database) -> None:
    with database.transaction() as db:
        take(db, said("c1", minutes=0, hidden=False))
        mention = db.scalars(select(Mention)).one()
        mention.hidden_at = MORNING + timedelta(hours=2)
        take(db, said("c1", minutes=0, hidden=False), at=MORNING + timedelta(hours=2, minutes=1))
        assert mention.hidden_at is not None
        take(db, said("c1", minutes=0), at=MORNING + timedelta(hours=3))
        assert mention.hidden_at is not None, "a network that does not tell has said nothing"
        take(db, said("c1", minutes=0, hidden=False), at=MORNING + timedelta(hours=3))
        assert mention.hidden_at is None


# -- the screen and the API -------------------------------------------------------------------------------------------


@pytest.fixture
def comment(storby: House, clock: FakeClock) -> Mention:
    """Somebody's answer to a post of ours."""
    post = screens.mention(80, "Vi plogar i natt.", clock(), ours=True, thread="1080")
    answer = screens.mention(81, "Ring Åsa på 070-123!", clock(), in_reply_to="1080", thread="1080")
    screens.collect(storby, post, answer, at=clock())
    with storby.database.read() as db:
        return db.scalars(select(Mention).where(Mention.external_id == "1081")).one()


def page_of(client: FlaskClient, number: int | None) -> str:
    return str(client.get(f"/cases/{number}").get_data(as_text=True))


@pytest.mark.screens
@pytest.mark.one_database
def test_a_click_a_reason_and_the_words_that_stay(
    browser: Callable[[str], FlaskClient], storby: House, clock: FakeClock, comment: Mention
) -> None:
    anna, address = browser("anna@storby.example"), f"/cases/{comment.case_id}/mentions/{comment.id}"
    assert "Everybody can still read it there, with one click more." in page_of(anna, comment.case_id)
    other = screens.case_of(storby, "1003")
    assert "answers in conversations that we began" in page_of(anna, other.id)
    assert anna.post(f"{address}/hide", data={"reason": " "}).status_code == 422
    assert anna.post(f"/cases/{other.id}/mentions/{comment.id}/hide", data={"reason": WHY}).status_code == 404
    assert anna.post(f"{address}/hide", data={"reason": WHY}).status_code == 303
    assert "It is being hidden on X." in page_of(anna, comment.case_id)
    with storby.database.transaction() as db:
        settle.done(db, comment.id, hide=True, actor="outbox", at=clock())
    page = page_of(anna, comment.case_id)
    for words in ("Hidden on X by Anna Åberg", WHY, "Ring Åsa på 070-123!", "Show again on the network"):
        assert words in page
    anna.post("/undo")
    assert "It is being shown again on X." in page_of(anna, comment.case_id)
    with storby.database.transaction() as db:
        refused = "X does not accept our keys any more"
        settle.failed(db, comment.id, hide=False, reason="auth_expired", error=refused, actor="outbox", at=clock())
    page = page_of(anna, comment.case_id)
    assert "It was not shown again on X." in page
    assert refused in page


@pytest.mark.screens
@pytest.mark.one_database
def test_a_reader_sees_what_is_hidden_and_hides_nothing(
    browser: Callable[[str], FlaskClient], storby: House, clock: FakeClock, comment: Mention
) -> None:
    with storby.database.transaction() as db:
        db.add(new_user("rita@storby.example", "Rita", Role.reader, screens.PASSWORD, clock()))
    rita, address = browser("rita@storby.example"), f"/cases/{comment.case_id}/mentions/{comment.id}"
    assert "Hide on the network" not in page_of(rita, comment.case_id)
    for what in ("hide", "show"):
        assert rita.post(f"{address}/{what}", data={"reason": WHY}).status_code == 403
    with storby.database.read() as db:
        assert db.scalars(select(Hiding)).all() == []


@pytest.mark.screens
@pytest.mark.one_database
def test_over_the_api(
    browser: Callable[[None], FlaskClient], storby: House, clock: FakeClock, comment: Mention
) -> None:
    with storby.database.transaction() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
        token = tokens.create(db, anna, "test", clock())
        other = db.scalars(select(Mention.id).where(Mention.external_id == "1003")).one()
    client, who = browser(None), {"Authorization": f"Bearer {token}"}

    def post(number: int, what: str, **body: Any) -> Any:
        return client.post(f"/api/v1/mentions/{number}/{what}", json=body or None, headers=who)

    assert post(comment.id, "hide", reason="").status_code == 422
    answer = post(comment.id, "hide", reason=WHY)
    assert (answer.status_code, answer.get_json()["hidden_at"]) == (202, None)
    assert post(other, "hide", reason=WHY).status_code == 409
    assert post(9999, "hide", reason=WHY).status_code == 404
    assert post(comment.id, "show").status_code == 202
    events = client.get("/api/v1/events", headers=who).get_json()["events"]
    assert [each["action"] for each in events if each.get("mention") == comment.id][-2:] == ["hide", "show_again"]
    with storby.database.transaction() as db:
        team = Team(name="Skydd", members_only=True)
        db.add(team)
        db.flush()
        cases.assign_team(db, comment.case_id or 0, team=team, actor="admin@storby.example", at=clock())
    for what in ("show", "hide"):
        refused = post(comment.id, what, **({"reason": WHY} if what == "hide" else {}))
        assert refused.status_code == 404, "the message of a case that Anna does not see"
