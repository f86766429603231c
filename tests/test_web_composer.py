"""The composer through the door a browser uses: what is kept, what is sent, and what is said about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

import pulls
from errors import Reason
from house import House, declare
from models import CaseEvent, Draft, Mention, Reply, ReplyStatus, Role, Source, User
from replies.outbox import Outbox
from sandbox.base import serving
from sandbox.facebook import Graph
from settings import CannedReply
from tests import screens
from tests.conftest import FakeClock
from triage import merging, policy
from web import create_app, labels

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

Browser = Callable[[str | None], FlaskClient]
SCRIPT = {"HX-Request": "true"}


@dataclass
class Anna:
    """Her browser, one case she writes in, and what the database makes of it."""

    client: FlaskClient
    house: House
    number: int

    def page(self, address: str = "") -> str:
        answer = self.client.get(address or f"/cases/{self.number}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def field(self, name: str, page: str | None = None, form: str = "reply-form") -> str:
        text = (page or self.page()).partition(f'id="{form}"')[2]
        found = re.search(rf'name="{name}" value="([^"]*)"', text)
        assert found, f"the form has no field {name}"
        return found[1]

    def keep(self, body: str, draft: int = 0, **more: str) -> Any:
        form = {"kind": "reply", "body": body, "draft": str(draft), **more}
        return self.client.post(f"/cases/{self.number}/draft", data=form, headers=SCRIPT)

    def send(self, body: str, **more: str) -> Any:
        page = self.page()
        form = {name: self.field(name, page) for name in ("key", "version", "draft")}
        return self.client.post(f"/cases/{self.number}/reply", data={**form, "body": body, "then": "keep", **more})

    def drafts(self) -> list[str]:
        with self.house.database.read() as db:
            return list(db.scalars(select(Draft.body).order_by(Draft.id)))

    def replies(self) -> list[str]:
        with self.house.database.read() as db:
            unsent = (ReplyStatus.cancelled, ReplyStatus.draft)
            return list(db.scalars(select(Reply.body).where(Reply.status.not_in(unsent)).order_by(Reply.id)))

    def becomes(self, **values: Any) -> None:
        with self.house.database.transaction() as db:
            db.execute(update(User).where(User.email == "anna@storby.example").values(**values))


@pytest.fixture
def anna(storby: House, browser: Browser) -> Anna:
    return Anna(browser("anna@storby.example"), storby, screens.case_of(storby, "1003").id)


def area(page: str, id: str = "body") -> str:
    found = re.search(rf'<textarea[^>]*id="{id}"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    assert found, "there is no such field"
    return found[1]


# -- drafts -----------------------------------------------------------------------------------------------------------


def test_a_draft_is_kept_shown_and_found_in_the_list(anna: Anna) -> None:
    first = anna.keep("Strømmen er")
    assert (first.status_code, first.json["said"][:5]) == (200, "Saved")
    second = anna.keep("Strømmen er tilbake", first.json["version"])
    assert area(anna.page()) == "Strømmen er tilbake"
    assert "Strømmen er tilbake" in anna.page("/drafts")
    other = anna.keep("Fra et annet vindu", first.json["version"])
    assert other.status_code == 409
    assert (other.json["body"], other.json["version"]) == ("Strømmen er tilbake", second.json["version"])
    assert anna.keep("", second.json["version"]).json["version"] == 0
    assert anna.drafts() == []
    assert "No drafts" in anna.page("/drafts")


def test_it_is_kept_without_scripts_and_nothing_is_overwritten(anna: Anna) -> None:
    form = {"kind": "reply", "body": "For hånd", "draft": "0"}
    assert anna.client.post(f"/cases/{anna.number}/draft", data=form).status_code == 303
    refused = anna.client.post(f"/cases/{anna.number}/draft", data=form | {"body": "Noe annet"})
    assert refused.status_code == 409
    assert "Noe annet" in refused.text
    assert "For hånd" in refused.text
    assert anna.drafts() == ["For hånd"]


def test_whose_login_has_ended_is_told_so(anna: Anna, browser: Browser) -> None:
    nobody = browser(None)
    data = {"kind": "reply", "body": "x", "draft": "0"}
    assert nobody.post(f"/cases/{anna.number}/draft", data=data, headers=SCRIPT).status_code == 401


def test_it_goes_when_it_is_sent_and_stays_when_it_could_not_be(anna: Anna) -> None:
    anna.keep("For langt")
    refused = anna.send("Altfor langt " * 40)
    assert refused.status_code == 422
    assert anna.drafts() == [("Altfor langt " * 40)]
    assert area(refused.text) == "Altfor langt " * 40
    assert anna.send("Strømmen er tilbake.").status_code == 303
    assert (anna.drafts(), anna.replies()) == ([], ["Strømmen er tilbake."])


def test_the_text_of_another_window_stays_when_one_is_sent(anna: Anna) -> None:
    page = anna.page()
    form = {name: anna.field(name, page) for name in ("key", "version", "draft")}
    anna.keep("Fra det andre vinduet")
    sent = anna.client.post(f"/cases/{anna.number}/reply", data={**form, "body": "Fra det ene", "then": "keep"})
    assert sent.status_code == 303
    assert (anna.drafts(), anna.replies()) == (["Fra det andre vinduet"], ["Fra det ene"])


def test_a_form_sent_again_with_another_text_never_sends_the_old_one(anna: Anna) -> None:
    page = anna.page()
    form = {name: anna.field(name, page) for name in ("key", "version", "draft")} | {"then": "keep"}
    address = f"/cases/{anna.number}/reply"
    assert anna.client.post(address, data={**form, "body": "Gammel tekst"}).status_code == 303
    refused = anna.client.post(address, data={**form, "version": "", "body": "Ny tekst"})
    assert refused.status_code == 422
    assert area(refused.text) == "Ny tekst"
    assert anna.replies() == ["Gammel tekst"]
    fresh = {name: anna.field(name, refused.text) for name in ("key", "version", "draft")}
    assert anna.client.post(address, data={**form, **fresh, "body": "Ny tekst"}).status_code == 303
    assert (anna.replies(), anna.drafts()) == (["Gammel tekst", "Ny tekst"], [])


def test_what_was_under_way_when_it_was_sent_does_not_come_back(anna: Anna) -> None:
    key = anna.field("key")
    anna.send("Strømmen er tilbake.", key=key)
    late = anna.keep("Strømmen er til", key=key)
    assert (late.status_code, late.json["version"], anna.drafts()) == (200, 0, [])
    assert anna.keep("Noe helt nytt", key=key).json["version"] > 0, "a new text was taken for the old one"


def test_a_note_has_a_draft_of_its_own(anna: Anna) -> None:
    anna.keep("Svaret")
    kept = anna.keep("Ring Gata", kind="note")
    assert area(anna.page(), "note") == "Ring Gata"
    data = {"body": "Ring Gata i morgen", "draft": str(kept.json["version"])}
    assert anna.client.post(f"/cases/{anna.number}/note", data=data).status_code == 303
    assert anna.drafts() == ["Svaret"]


def test_what_is_typed_after_a_merge_lands_where_work_goes_on(anna: Anna, clock: FakeClock) -> None:
    other = screens.case_of(anna.house, "1004").id
    version = anna.keep("Om strømmen").json["version"]
    with anna.house.database.transaction() as db:
        merging.merge(db, anna.number, into=other, actor="mats@storby.example", at=clock())
    later = anna.keep("Om strømmen igjen", version)
    assert (later.status_code, later.json["case"]) == (200, other)
    assert area(anna.page(f"/cases/{other}")) == "Om strømmen igjen"


def test_undone_and_begun_anew_both_texts_are_there(anna: Anna) -> None:
    anna.send("Det første svaret")
    with anna.house.database.read() as db:
        reply = db.scalars(select(Reply.id)).one()
    anna.keep("Det neste")
    anna.client.post(f"/cases/{anna.number}/replies/{reply}/cancel")
    assert area(anna.page()) == "Det neste\n\nDet første svaret"


def test_a_draft_is_thrown_away_only_when_asked_twice(anna: Anna) -> None:
    version = anna.keep("Ikke dette").json["version"]
    with anna.house.database.read() as db:
        draft = db.scalars(select(Draft.id)).one()
    assert "Throw this text away?" in anna.page(f"/drafts?throw={draft}")
    address = f"/cases/{anna.number}/draft/discard"
    anna.client.post(address, data={"kind": "reply", "draft": str(version + 1)})
    assert anna.drafts() == ["Ikke dette"], "it has changed since it was shown"
    anna.client.post(address, data={"kind": "reply", "draft": str(version)})
    assert anna.drafts() == []


def test_a_colleague_sees_whose_it_is_and_a_copy_is_told(anna: Anna, browser: Browser) -> None:
    anna.keep("Annas tekst")
    mats = browser("mats@storby.example")
    page = mats.get(f"/cases/{anna.number}").text
    assert "Anna Åberg has begun an answer" in page
    assert "Annas tekst" not in page
    found = re.search(r"/drafts/(\d+)/take", page)
    assert found
    assert mats.post(f"/cases/{anna.number}/drafts/{found[1]}/take").status_code == 303
    assert area(mats.get(f"/cases/{anna.number}").text) == "Annas tekst"
    assert anna.drafts() == ["Annas tekst", "Annas tekst"]
    with anna.house.database.read() as db:
        told = db.scalars(select(CaseEvent).where(CaseEvent.action == "draft_taken")).one()
    assert (told.actor, told.changes) == ("mats@storby.example", {"draft_of": [None, "anna@storby.example"]})
    assert anna.client.post(f"/cases/{anna.number}/drafts/{found[1]}/take").status_code == 400, "one's own"


# -- what is said about a text ----------------------------------------------------------------------------------------


def test_who_wrote_what_since_is_shown_with_the_stopped_answer(anna: Anna, browser: Browser) -> None:
    form = {name: anna.field(name) for name in ("key", "version", "draft")}
    browser("mats@storby.example").post(f"/cases/{anna.number}/note", data={"body": "Vent med svaret"})
    stopped = anna.client.post(f"/cases/{anna.number}/reply", data={**form, "body": "Nå", "then": "keep"})
    assert stopped.status_code == 409
    since = stopped.text.partition('id="since"')[2].partition("</ul>")[0]
    assert "Mats Øst wrote a note" in since
    assert "Vent med svaret" in since
    assert area(stopped.text) == "Nå"
    assert (anna.replies(), anna.drafts()) == ([], ["Nå"])
    assert "Something has come in since you began writing" in anna.page(), "the draft is older than the note"


@pytest.mark.parametrize(
    ("text", "said", "unsaid"),
    [
        ("Strømmen er tilbake", "Costs US$0.01.", "link"),
        ("Se https://storby.example", "Costs US$0.20 because of the link; US$0.01 without it.", "language"),
        ("The power will be back in the evening today", "seems to be in English; they write", "means nothing"),
        ("Hei {navn}", "{navn} means nothing here", "seems to be"),
        ("Hei {first_name}, sak {case}", "Costs", "means nothing"),
        ("> The power will be back in the evening today\nI kveld", "Costs", "seems to be"),
        ("", "0 / 280", "Costs"),
    ],
)
def test_what_a_text_costs_and_what_is_odd_about_it(anna: Anna, text: str, said: str, unsaid: str) -> None:
    told = anna.client.post(f"/cases/{anna.number}/count", data={"body": text}).text
    assert said in told
    assert unsaid not in told


def test_variables_are_filled_when_it_is_sent_and_unknown_ones_stop_it(anna: Anna) -> None:
    assert anna.send("Hei {navn}!").status_code == 422
    assert anna.replies() == []
    assert anna.send("Hei {first_name}! Sak {case}. /{agent}").status_code == 303
    assert anna.replies() == [f"Hei Citizen! Sak {anna.number}. /Anna Åberg"]


def test_canned_replies_are_offered_in_the_language_of_who_wrote(anna: Anna, clock: FakeClock) -> None:
    with anna.house.database.transaction() as db:
        given = {"name": "Snø", "texts": {"sv": "Hej {first_name}!", "nb": "Hei {first_name}!"}}
        policy.put(db, "canned_replies", CannedReply.model_validate(given), by="t", at=clock())
    offered = anna.client.get(f"/cases/{anna.number}/canned", headers=SCRIPT).json
    assert offered == {"canned": [{"name": "Snø", "text": "Hei Citizen!", "language": "Norwegian Bokmål"}]}
    anna.becomes(signature="/Anna")
    page = anna.client.post(f"/cases/{anna.number}/canned", data={"canned": "Snø", "body": "Takk.\n\n/Anna"}).text
    assert area(page) == "Takk.\n\nHei Citizen!\n\n/Anna"


def test_a_message_is_chosen_and_quoted_without_scripts(anna: Anna) -> None:
    number = screens.case_of(anna.house, "1001").id
    with anna.house.database.read() as db:
        first = db.scalars(select(Mention).where(Mention.external_id == "1001")).one()
    page = anna.page(f"/cases/{number}?to={first.id}&quote=1")
    assert f'<option value="{first.id}" selected>' in page
    assert area(page).startswith("&gt; @storby Plogen")


def test_the_signature_stands_there_until_it_is_taken_away(anna: Anna) -> None:
    anna.becomes(signature="/Anna")
    assert area(anna.page()) == "\n\n/Anna"
    assert anna.send("\n\n/Anna").status_code == 422, "a signature alone is no answer"
    assert anna.keep("\n\n/Anna").json["version"] == 0
    anna.keep("Uten")
    assert area(anna.page()) == "Uten"


# -- a second pair of eyes --------------------------------------------------------------------------------------------


def test_whose_answers_are_looked_at(anna: Anna, browser: Browser) -> None:
    anna.becomes(needs_review=True)
    assert "Propose to a colleague" in anna.page()
    assert anna.send("Strømmen er tilbake.").status_code == 303
    mats = browser("mats@storby.example")
    listed = mats.get("/approvals").text
    assert "Strømmen er tilbake." in listed
    assert "er strømmen snart tilbake" in listed, "what it answers"
    assert "/approve" in listed
    assert re.search(r'href="/approvals"[^>]*>To be approved\s*<span class="count">1<', mats.get("/").text)
    assert "/approve" not in anna.page("/approvals"), "not one's own"
    with anna.house.database.transaction() as db:
        reply = db.scalars(select(Reply)).one()
        db.execute(update(User).where(User.email == "mats@storby.example").values(needs_review=True))
    assert "/approve" not in mats.get("/approvals").text, "whose own are looked at approves none"
    mats.post(f"/cases/{anna.number}/replies/{reply.id}/approve", data={"from": "approvals"})
    with anna.house.database.transaction() as db:
        assert db.get_one(Reply, reply.id).status == "in_review"
        db.execute(update(User).where(User.role == Role.manager).values(needs_review=False))
    done = mats.post(f"/cases/{anna.number}/replies/{reply.id}/approve", data={"from": "approvals"})
    assert done.headers["Location"] == "/approvals"
    assert "Nothing waits for approval" in mats.get("/approvals").text


# -- what became of it ------------------------------------------------------------------------------------------------


def test_every_reason_says_what_happened_and_what_can_be_done(anna: Anna) -> None:
    app = create_app(anna.house)
    for words in (labels.reason, labels.remedy_reply):
        with app.test_request_context(headers={"Accept-Language": "en"}):
            unknown = words("never heard of")
            assert unknown not in [words(reason) for reason in Reason], words.__name__


def test_the_text_of_a_failed_answer_can_be_changed(anna: Anna) -> None:
    anna.send("Svaret")
    with anna.house.database.transaction() as db:
        reply = db.scalars(select(Reply)).one()
        db.execute(update(Reply).values(status=ReplyStatus.failed, error_reason="bad_request", error="No"))
    page = anna.page()
    assert "The network refuses the request" in page
    assert "Nothing was published" in page
    assert f"draft={reply.id}" in page
    assert area(anna.page(f"/cases/{anna.number}?draft={reply.id}")) == "Svaret"


# -- privately --------------------------------------------------------------------------------------------------------


@pytest.fixture
def page_of_ours(make_house: Any) -> Iterator[tuple[Graph, House]]:
    network = Graph()
    with serving(network.app) as base:
        source = {"name": "page", "account": "storby-page", "collect": "page", "every": "2m"}
        keys = {"page_id": network.page_id, "page_token": network.page_token, "api_base": base}
        account = {"name": "storby-page", "channel": "facebook", **keys}
        house = make_house(accounts=[account], sources=[source], replies={"hold": "0s"})
        declare(house, datetime.now(UTC))
        screens.people(house.database, datetime.now(UTC))
        yield network, house


def test_a_private_answer_from_the_composer_to_the_network(page_of_ours: tuple[Graph, House]) -> None:
    network, house = page_of_ours
    ours = network.write_as_us("Vi stänger badet i morgon.")
    asked = network.write("Åsa", "Får jag pengarna tillbaka?", in_reply_to=ours)
    with house.database.read() as db:
        source = db.scalars(select(Source.id)).one()
    pulls.pull(house, source, now=lambda: datetime.now(UTC), by_hand=True)
    client = create_app(house).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    client.post("/login", data={"email": "anna@storby.example", "password": screens.PASSWORD})
    number = screens.case_of(house, asked).id
    here = Anna(client, house, number)
    assert "As a private message" in here.page()
    count = client.post(f"/cases/{number}/count", data={"body": "Hej", "private": "1"}).text
    assert "3 / 2,000" in count, "a private answer is shorter"
    assert here.send("Ja, vi ringer dig i eftermiddag.", private="1").status_code == 303
    with Outbox(house, lambda: datetime.now(UTC)) as outbox:
        (sent,) = outbox.run()
    assert sent.status == "sent", sent.error
    (told,) = [post for post in network.posts() if post.ours and post.private]
    assert told.text == "Ja, vi ringer dig i eftermiddag."
    page = here.page()
    assert "Private" in page.partition('class="entry reply')[2]
