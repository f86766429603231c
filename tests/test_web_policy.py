"""The screens of what is laid down: who may, what is read-only, in what order, what was typed, what was before."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from house import House
from models import Absence, Case, Definition, Lesson, Mention, Team, TeamMember, User
from settings import RuleSettings
from tests import screens
from tests.conftest import FakeClock
from tests.test_forms import Form
from triage import policy

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

OFFICE = {
    "name": "Kontoret",
    "timezone": "Europe/Stockholm",
    "holidays": "SE",
    "hours": {"mon-thu": ["08:00-12:00", "13:00-16:30"], "fri": ["08:00-15:00"]},
    "exceptions": {"2026-12-28": []},
}
DECLARED: dict[str, Any] = {
    "calendars": [OFFICE],
    "teams": [{"name": "Gata", "calendar": "Kontoret", "members": ["anna@storby.example"]}],
    "sla": [{"name": "standard", "calendar": "Kontoret", "first_response": "4h", "warn_before": "30m"}],
    "rules": [{"name": "fara", "if": {"match": "elledning*"}, "then": {"priority": "urgent", "team": "Gata"}}],
    "categories": [{"name": "Vägar", "team": "Gata"}],
    "canned_replies": [{"name": "tack", "texts": {"sv": "Tack!"}}],
}
NEW: dict[str, dict[str, Any]] = {
    "calendars": {"name": "Natt", "timezone": "Europe/Oslo", "hours.mon": "22:00-24:00", "hours.tue": "00:00-06:00"},
    "teams": {"name": "Skola", "calendar": "Kontoret", "members": ["mats@storby.example", "ny@storby.example\r\n"]},
    "sla": {"name": "snabb", "clock": "business", "when.kind": ["problem"], "resolution": "5d", "first_response": "4h"},
    "rules": {"name": "halka", "when": ["mention"], "if.match": "halka*", "then.tags": "is\nsnö", "enabled": "on"},
    "categories": {"name": "Snö", "parent": "Vägar", "match": "snö*"},
    "canned-replies": {"name": "väntar", "texts.sv": "Vi tittar på det.\r\n\r\n/Storby", "texts.en": ""},
}
SLUGS = sorted(NEW)
Browser = Callable[[str], FlaskClient]


@pytest.fixture
def storby(make_house: Callable[..., House], clock: FakeClock, quick_passwords: None) -> House:
    return screens.storby(make_house, clock(), **DECLARED)


@pytest.fixture
def admin(browser: Browser) -> FlaskClient:
    return browser("admin@storby.example")


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


def entries(house: House, slug: str) -> dict[str, policy.Entry]:
    with house.database.read() as db:
        return {entry.name: entry for entry in policy.entries(db, slug.replace("-", "_"))}


def made(admin: FlaskClient, house: House, slug: str, **more: Any) -> policy.Entry:
    form = {**NEW[slug], **more}
    response = admin.post(f"/admin/{slug}/new", data=form)
    assert response.status_code == 303, text_of(response)
    return entries(house, slug)[form["name"]]


# -- who may -----------------------------------------------------------------------------------------------------------


def test_agents_see_nothing_of_it_managers_read_admins_change(browser: Browser, storby: House) -> None:
    agent, manager, admin = (browser(f"{who}@storby.example") for who in ("anna", "mats", "admin"))
    number = made(admin, storby, "rules").id
    pages = [*(f"/admin/{slug}" for slug in SLUGS), f"/admin/rules/{number}", "/admin/absences", "/admin/lessons"]
    for page in pages:
        assert agent.get(page).status_code == 403, page
        assert manager.get(page).status_code == 200, page
        main = re.search("<main.*</main>", text_of(manager.get(page)), re.DOTALL)
        assert main and '<form method="post"' not in main[0], f"{page} offers a change"
    for page in (f"/admin/rules/{number}", "/admin/rules/new", f"/admin/rules/{number}/remove", "/admin/absences"):
        assert manager.post(page, data=NEW["rules"]).status_code == 403, page
    for page in ("/admin/rules/new", f"/admin/rules/{number}/remove"):
        assert manager.get(page).status_code == 403, page
    assert "/admin/rules" in text_of(manager.get("/")), "managers are not led there"


# -- adding, changing, removing ----------------------------------------------------------------------------------------


def test_each_part_can_be_added_changed_and_removed(admin: FlaskClient, storby: House) -> None:
    for slug in SLUGS:
        entry = made(admin, storby, slug)
        assert NEW[slug]["name"] in text_of(admin.get(f"/admin/{slug}"))
        page = text_of(admin.get(f"/admin/{slug}/{entry.id}"))
        posted = Form(page.split('class="stack definition"')[1].split("</form>")[0]).posted
        posted["name"] = "Nytt namn"
        assert admin.post(f"/admin/{slug}/{entry.id}", data=posted).status_code == 303
        changed = entries(storby, slug)["Nytt namn"]
        assert changed.value == entry.value.model_copy(update={"name": "Nytt namn"}), "opening and saving changed it"
        assert "Remove Nytt namn?" in text_of(admin.get(f"/admin/{slug}/{changed.id}/remove"))
        assert admin.post(f"/admin/{slug}/{changed.id}/remove").status_code == 303
        assert "Nytt namn" not in entries(storby, slug)


def test_what_the_file_declares_is_shown_and_never_changed(admin: FlaskClient, storby: House) -> None:
    for slug in SLUGS:
        [(name, entry)] = entries(storby, slug).items()
        listed, page = text_of(admin.get(f"/admin/{slug}")), text_of(admin.get(f"/admin/{slug}/{entry.id}"))
        assert "config.yaml" in listed
        assert "Declared in config.yaml" in page
        assert 'class="stack definition"' not in page
        assert admin.post(f"/admin/{slug}/{entry.id}", data=NEW[slug]).status_code == 403
        for act in ("move", "switch", "remove"):
            assert admin.post(f"/admin/{slug}/{entry.id}/{act}", data={"by": "up"}).status_code in (400, 404), act
        taken = admin.post(f"/admin/{slug}/new", data={**NEW[slug], "name": name})
        assert taken.status_code == 422
        assert "already one of this name" in text_of(taken)
        assert entries(storby, slug) == {name: entry}


def test_names_that_reports_use_themselves_are_refused_in_words(admin: FlaskClient, storby: House) -> None:
    feed = {"feed": "https://blogg.storby.example/feed", "every": "15m"}
    refused = [
        admin.post("/admin/teams/new", data={**NEW["teams"], "name": "none"}),
        admin.post("/admin/categories/new", data={**NEW["categories"], "name": "Total"}),
        admin.post("/admin/rules/new", data={**NEW["rules"], "then.tags": "is\ntotal"}),
        admin.post("/admin/tags", data={"tag": "snö", "to": "none"}),
        admin.post("/admin/sources/add", data={**feed, "name": "total"}),
    ]
    for answer in refused:
        assert answer.status_code == 422, answer.request.path
        assert "Reports use the names “none” and “total” themselves." in text_of(answer), answer.request.path


def test_every_version_is_kept_with_who_made_it(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    first = made(admin, storby, "rules")
    clock.forward(hours=1)
    assert admin.post(f"/admin/rules/{first.id}", data={**NEW["rules"], "then.tags": "slask"}).status_code == 303
    second = entries(storby, "rules")["halka"]
    page = text_of(admin.get(f"/admin/rules/{second.id}"))
    assert "Versions" in page
    assert f"/admin/rules/{first.id}" in page
    assert "Ada Admin" in page
    old = text_of(admin.get(f"/admin/rules/{first.id}"))
    assert "Earlier version" in old
    assert "snö" in old
    assert "slask" not in old
    with storby.database.read() as db:
        rows = db.scalars(select(Definition).where(Definition.name == "halka")).all()
        assert {row.created_by for row in rows} == {"admin@storby.example"}


def test_who_comes_second_is_told_and_loses_nothing(admin: FlaskClient, storby: House) -> None:
    first = made(admin, storby, "rules")
    assert admin.post(f"/admin/rules/{first.id}", data={**NEW["rules"], "then.priority": "low"}).status_code == 303
    late = admin.post(f"/admin/rules/{first.id}", data={**NEW["rules"], "if.match": "isgata"})
    assert late.status_code == 409
    page = text_of(late)
    assert "Somebody else changed it" in page
    assert 'value="isgata"' in page
    newest = entries(storby, "rules")["halka"]
    assert f'action="/admin/rules/{newest.id}"' in page
    assert admin.post(f"/admin/rules/{newest.id}", data={**NEW["rules"], "if.match": "isgata"}).status_code == 303


def test_errors_stand_at_their_fields_and_what_was_typed_stays(admin: FlaskClient, storby: House) -> None:
    typed = {"name": "Natt", "timezone": "Europe/Olso", "hours.mon": "8-16", "exceptions": "julafton", "holidays": "NO"}
    response = admin.post("/admin/calendars/new", data=typed)
    page = text_of(response)
    assert response.status_code == 422
    for field in ("timezone", "hours.mon", "exceptions"):
        assert f'id="{field}-problem"' in page, field
        assert f'href="#{field}"' in page, field
        assert re.search(rf'id="{re.escape(field)}"[^>]*aria-invalid="true"', page), field
    posted = Form(page.split('class="stack definition"')[1].split("</form>")[0]).posted
    assert {key: posted[key] for key in typed} == typed
    assert list(entries(storby, "calendars")) == ["Kontoret"]


def test_what_others_name_is_neither_removed_nor_renamed(admin: FlaskClient, storby: House) -> None:
    calendar = made(admin, storby, "calendars")
    made(admin, storby, "sla", calendar="Natt")
    assert "snabb" in text_of(admin.get(f"/admin/calendars/{calendar.id}/remove"))
    admin.post(f"/admin/calendars/{calendar.id}/remove")
    assert "Natt" in entries(storby, "calendars")
    renamed = admin.post(f"/admin/calendars/{calendar.id}", data={**NEW["calendars"], "name": "Kväll"})
    assert renamed.status_code == 422
    assert "still use the old name" in text_of(renamed)


def test_a_team_that_has_had_cases_stays(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    team = made(admin, storby, "teams")
    with storby.database.transaction() as db:
        assert set(db.scalars(select(TeamMember.email).where(TeamMember.team_id == team.id))) == {
            "mats@storby.example",
            "ny@storby.example",
        }
    [number] = screens.collect(storby, screens.mention(1, "Hej", clock()), at=clock())
    with storby.database.transaction() as db:
        db.get_one(Case, number).team_id = team.id
    admin.post(f"/admin/teams/{team.id}/remove")
    with storby.database.read() as db:
        assert db.get(Team, team.id) is not None


# -- order, on and off -------------------------------------------------------------------------------------------------


def test_what_is_made_here_can_be_put_in_order_after_what_is_declared(admin: FlaskClient, storby: House) -> None:
    for name in "abc":
        made(admin, storby, "rules", name=name)
    by_name = entries(storby, "rules")
    assert list(by_name) == ["fara", "a", "b", "c"]
    assert admin.post(f"/admin/rules/{by_name['c'].id}/move", data={"by": "up"}).status_code == 303
    assert admin.post(f"/admin/rules/{by_name['a'].id}/move", data={"by": "up"}).status_code == 303, "the first stays"
    assert list(entries(storby, "rules")) == ["fara", "a", "c", "b"]
    admin.post(f"/admin/rules/{by_name['a'].id}/move", data={"by": "down"})
    assert list(entries(storby, "rules")) == ["fara", "c", "a", "b"]
    assert admin.post(f"/admin/rules/{by_name['a'].id}/move", data={"by": "sideways"}).status_code == 400


def test_a_rule_is_switched_off_and_keeps_its_place(admin: FlaskClient, storby: House) -> None:
    for name in "ab":
        made(admin, storby, "rules", name=name)
    admin.post(f"/admin/rules/{entries(storby, 'rules')['a'].id}/switch")
    with storby.database.read() as db:
        rules = policy.read(db).rules
    assert [(rule.name, rule.enabled) for rule in rules] == [("fara", True), ("a", False), ("b", True)]
    assert "Switch on" in text_of(admin.get("/admin/rules"))


# -- trying ------------------------------------------------------------------------------------------------------------


def test_a_calendar_shows_the_coming_days_before_anybody_relies_on_it(admin: FlaskClient, storby: House) -> None:
    typed = {**NEW["calendars"], "name": "Dag", "holidays": "SE", "timezone": "Europe/Stockholm", "do": "try"}
    week = {f"hours.{day}": "08:00-12:00 13:00-16:30" for day in ("mon", "tue", "wed", "thu", "fri")}
    page = text_of(admin.post("/admin/calendars/new", data={**typed, **week, "exceptions": "2026-12-28"}))
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>\s*<td>(.*?)</td></tr>", page, re.DOTALL)
    found = {day: (hours, re.sub(r"<[^>]+>", "", why).strip()) for day, hours, why in rows}
    assert len(found) == 60
    assert found["Tue 24 Nov 2026"] == ("08:00–12:00, 13:00–16:30", "")
    assert found["Thu 24 Dec 2026"] == ("closed", "Holiday Julafton")
    assert found["Fri 25 Dec 2026"] == ("closed", "Holiday Juldagen")
    assert found["Mon 28 Dec 2026"] == ("closed", "Exception")
    assert found["Tue 5 Jan 2027"] == ("08:00–12:00", "Half-day")
    assert "Dag" not in entries(storby, "calendars"), "trying kept it"


def test_a_target_is_calculated_step_by_step_for_a_chosen_moment(admin: FlaskClient) -> None:
    typed = {**NEW["sla"], "calendar": "Kontoret", "warn_before": "1h", "resolution": "2d"}
    page = text_of(admin.post("/admin/sla/new", data={**typed, "do": "try", "example": "2026-12-22T15:30"}))
    assert "Something comes in at Tue 22 Dec 2026 15:30" in page
    assert "Due Wed 23 Dec 2026 11:00." in page, "an hour on Tuesday, three on the 23rd"
    assert "Warning Wed 23 Dec 2026 10:00." in page
    assert "Due Tue 29 Dec 2026 15:30." in page, "the 23rd, then Christmas, a weekend and an exception, then the 29th"
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", page)
    assert ("Tue 22 Dec 2026", "08:00–12:00, 13:00–16:30", "1h") in rows
    assert ("Wed 23 Dec 2026", "08:00–12:00", "3h") in rows
    assert ("Wed 23 Dec 2026", "08:00–12:00", "day 1 of 2") in rows
    assert ("Tue 29 Dec 2026", "08:00–12:00, 13:00–16:30", "day 2 of 2") in rows
    odd = admin.post("/admin/sla/new", data={**typed, "do": "try", "example": "yesterday"})
    assert odd.status_code == 200, "a moment that cannot be read is now"


def test_a_rule_is_tried_on_the_last_days_and_changes_nothing(
    admin: FlaskClient, storby: House, clock: FakeClock
) -> None:
    [number] = screens.collect(storby, screens.mention(1, "Det är halkigt på Almgatan", clock()), at=clock())
    clock.forward(hours=1)
    page = text_of(admin.post("/admin/rules/new", data={**NEW["rules"], "if.match": "halkig*", "do": "try"}))
    trial = page.split('id="trial"')[1]
    assert "changed something 1 time." in trial
    assert f"/cases/{number}" in trial
    assert "is, snö" in trial
    nothing = text_of(admin.post("/admin/rules/new", data={**NEW["rules"], "if.match": "solsken", "do": "try"}))
    assert "It would have changed nothing." in nothing
    assert list(entries(storby, "rules")) == ["fara"]
    with storby.database.read() as db:
        assert db.get_one(Case, number).tags == []


# -- who is away -------------------------------------------------------------------------------------------------------


def test_absences_are_whole_days_of_the_organisation(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    with storby.database.read() as db:
        anna = db.scalars(select(User).where(User.email == "anna@storby.example")).one()
    form = {"person": anna.id, "first": "2026-11-24", "last": "2026-11-26"}
    assert admin.post("/admin/absences", data=form).status_code == 303
    with storby.database.read() as db:
        [absence] = db.scalars(select(Absence)).all()
    assert absence.starts_at == datetime(2026, 11, 23, 23, tzinfo=UTC)
    assert absence.ends_at == datetime(2026, 11, 26, 23, tzinfo=UTC)
    page = text_of(admin.get("/admin/absences"))
    assert "From Tue 24 Nov 2026 to Thu 26 Nov 2026." in page
    admin.post(f"/admin/absences/{absence.id}/end")
    with storby.database.read() as db:
        assert db.get_one(Absence, absence.id).ends_at == clock()
    assert "Nobody is away" in text_of(admin.get("/admin/absences"))


@pytest.mark.parametrize(
    "wrong", [{"person": ""}, {"person": "999"}, {"first": "soon"}, {"first": "2026-12-02", "last": "2026-12-01"}]
)
def test_an_absence_that_cannot_be_is_refused_with_what_was_typed(
    admin: FlaskClient, storby: House, wrong: dict[str, str]
) -> None:
    response = admin.post("/admin/absences", data={"person": "1", "first": "2026-12-01", "last": "", **wrong})
    assert response.status_code == 422
    assert 'role="alert"' in text_of(response)
    with storby.database.read() as db:
        assert db.scalar(select(func.count()).select_from(Absence)) == 0


# -- what was taught ---------------------------------------------------------------------------------------------------


def test_lessons_are_listed_newest_first_and_taken_back(admin: FlaskClient, storby: House, clock: FakeClock) -> None:
    screens.collect(storby, screens.mention(1, "Plogen kom aldrig till Almgatan", clock()), at=clock())
    with storby.database.transaction() as db:
        said, anna = db.scalars(select(Mention)).one(), db.scalars(select(User).where(User.role == "agent")).one()
        for number in range(60):
            at = clock() + timedelta(seconds=number)
            db.add(Lesson(judge="kind", mention_id=said.id, was="idea", value="problem", user_id=anna.id, at=at))
    page = text_of(admin.get("/admin/lessons"))
    assert "60 in force" in page
    assert "Plogen kom aldrig" in page
    assert "Anna Åberg" in page
    numbers = re.findall(r"/admin/lessons/(\d+)/withdraw", page)
    more = re.search(r'rel="next" href="([^"]+)"', page)
    assert more
    numbers += re.findall(r"/admin/lessons/(\d+)/withdraw", text_of(admin.get(more[1])))
    assert [int(number) for number in numbers] == list(range(60, 0, -1))
    assert admin.post("/admin/lessons/60/withdraw").status_code == 303
    again = text_of(admin.get("/admin/lessons"))
    assert "59 in force" in again
    assert "Taken back" in again
    assert admin.post("/admin/lessons/999/withdraw").status_code == 404
    assert admin.get("/admin/lessons?before=x").status_code == 400


def test_a_rule_made_here_is_the_one_the_house_uses(admin: FlaskClient, storby: House) -> None:
    made(admin, storby, "rules")
    with storby.database.read() as db:
        rule = policy.read(db).rules[-1]
    wanted = {"name": "halka", "if": {"match": "halka*"}, "then": {"tags": ["is", "snö"]}}
    assert rule == RuleSettings.model_validate(wanted)


def test_the_secret_part_of_a_webhook_is_for_admins(browser: Browser, storby: House) -> None:
    admin, manager = browser("admin@storby.example"), browser("mats@storby.example")
    rule = {"name": "ring", "when": ["mention"], "then.webhook": "https://hooks.example/s3cret", "enabled": "on"}
    assert admin.post("/admin/rules/new", data=rule).status_code == 303
    page = f"/admin/rules/{entries(storby, 'rules')['ring'].id}"
    for who, told in ((admin, True), (manager, False)):
        assert ("s3cret" in text_of(who.get(page))) == told
        assert ("s3cret" in text_of(who.get("/admin/rules"))) == told
    assert "hooks.example" in text_of(manager.get("/admin/rules"))
