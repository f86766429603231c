"""The report screens: what is asked for, what is shown to whom, and that a click on a figure lists what it counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.datastructures import MultiDict

from house import House
from models import Sample, User
from tests.conftest import FakeClock
from tests.factories import statements
from tests.reported import BO, EVA, EVENING, MATS, a_week
from tests.screens import PASSWORD
from web import create_app, passwords, report_frame, reports

pytestmark = [pytest.mark.screens, pytest.mark.one_database]

Browser = Callable[[str], FlaskClient]
WEEK = "from=2026-11-23&to=2026-11-30"
PAGES = ("response-times", "resolution", "volume", "team", "sla", "backlog", "promises")


@pytest.fixture
def week(house: House, clock: FakeClock, quick_passwords: None) -> House:
    a_week(house)
    clock.at = EVENING
    with house.database.transaction() as db:
        db.execute(update(User).values(password_hash=passwords.hash_password(PASSWORD)))
    return house


@pytest.fixture
def browse(week: House, clock: FakeClock) -> Browser:
    """``browse(EVA)``: a browser in which she is logged in, in English."""
    app = create_app(week, clock=clock)

    def opened(who: str = MATS) -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
        assert client.post("/login", data={"email": who, "password": PASSWORD}).status_code == 303
        return client

    return opened


def page(client: FlaskClient, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, (address, answer.status_code, answer.text[-2000:])
    return answer.get_data(as_text=True)


def lines(text: str, caption: str) -> dict[str, list[tuple[str, str | None]]]:
    """Of the table of this caption: the first cell of each line -> (words, address) of the others."""
    found = {}
    start = text.index(f"<caption>{caption}")
    for row in re.findall(r"<tr.*?</tr>", text[start : text.index("</table>", start)], re.S):
        head = re.search(r'<th scope="row">(.*?)</th>', row, re.S)
        if head:
            cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)
            found[plain(head[1])] = [(plain(cell), address(cell)) for cell in cells]
    return found


def plain(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def address(cell: str) -> str | None:
    found = re.search(r'href="([^"]*)"', cell)
    return unescape(found[1]) if found else None


# -- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, start, end",
    [("last-30-days", "2026-10-26", "2026-11-25"), ("this-week", "2026-11-23", "2026-11-25"),
     ("last-week", "2026-11-16", "2026-11-23"), ("this-month", "2026-11-01", "2026-11-25"),
     ("last-month", "2026-10-01", "2026-11-01"), ("this-quarter", "2026-10-01", "2026-11-25"),
     ("this-year", "2026-01-01", "2026-11-25")],
)  # fmt: skip
def test_periods_have_names(name: str, start: str, end: str) -> None:
    found = report_frame.period(name, date(2026, 11, 24))
    assert [day.isoformat() for day in found] == [start, end]


def test_what_is_asked_for_survives_its_address(week: House, clock: FakeClock) -> None:
    app = create_app(week, clock=clock)
    address = f"{WEEK}&by=sentiment&clock=business&start=seen&imported=include&tag=sn%C3%B6&channel=net&channel=blog"
    with app.test_request_context(f"/reports?{address}"):
        app.preprocess_request()
        asked = report_frame.asked_from(MultiDict(request_args()))
        assert (asked.seen, asked.imported, asked.channel, asked.tag) == (True, True, ("net", "blog"), ("snö",))
        again = MultiDict((name, each) for name, value in report_frame.as_args(asked).items() for each in listed(value))
        assert report_frame.asked_from(again) == asked


def request_args() -> MultiDict[str, str]:
    from flask import request

    return request.args


def listed(value: object) -> list[str]:
    return value if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize(
    "query",
    ["from=soon", "from=2026-11-24&to=2026-11-24", "period=never", "by=happiness", "clock=sand", "from=0001-01-01",
     "until=9999-12-31", "rows=x"],
)  # fmt: skip
def test_what_cannot_be_shown_is_said_and_the_form_stays(browse: Browser, query: str) -> None:
    client = browse(MATS)
    if query.startswith("rows"):
        assert client.get(f"/reports/volume?{query}").status_code == 400
        return
    for path in ("/reports", "/reports/sla"):
        said = page(client, f"{path}?{query}", 422)
        assert 'role="alert"' in said
        assert '<select class="ds-input" name="period">' in said
        if query.endswith(("0001-01-01", "9999-12-31")):
            assert "Reports are of days in the years 1995 to 2199." in said, "what can be asked for is told"


def test_behind_a_figure_dates_at_the_end_of_time_are_refused_and_nobody_waits_on_a_day(browse: Browser) -> None:
    client = browse(MATS)
    for query in (
        "by=month&measure=received&key=9999-12-01",
        "by=day&measure=received&key=0001-01-01",
        "measure=backlog&night=9999-12-31",
    ):
        for path in ("cases", "cases.csv"):
            page(client, f"/reports/{path}?{WEEK}&{query}", 422)
    for query in ("by=day&measure=waiting", "by=week&measure=late_now", "by=month&measure=backlog&night=2026-11-25"):
        whole, shown = (page(client, f"/reports/cases?{WEEK}&{query}{key}") for key in ("", "&key=2026-11-24"))
        heading = re.search(r"<h1>.*: [1-9]\d*</h1>", whole)
        assert heading and heading[0] in shown, f"{query}: a key of days narrows nothing"
        page(client, f"/reports/cases.csv?{WEEK}&{query}&key=x")


def test_what_no_database_keeps_and_more_than_can_be_chosen_is_no_fault_of_ours(browse: Browser) -> None:
    client = browse(MATS)
    assert lines(page(client, f"/reports/volume?{WEEK}&tag=%00"), "Cases")["Total"][0][0] == "15"
    assert ": 2</h1>" in page(client, f"/reports/cases?{WEEK}&tag=sn%00%C3%B6")
    many = "&".join(f"tag={n}" for n in range(51))
    for path in ("", "/volume", "/cases", "/volume.csv", "/cases.csv"):
        shown = page(client, f"/reports{path}?{WEEK}&{many}", 422)
    assert "It is narrowed to too much: choose fewer." in shown


def test_names_that_there_are_not_are_told_and_not_counted_as_nothing(browse: Browser) -> None:
    client = browse(MATS)
    filters = ("channel", "source", "team", "assignee", "kind", "tag", "category", "language")
    for name in filters:
        said = page(client, f"/reports/volume?{WEEK}&{name}=Typo", 422)
        shown = plain(said[said.index('role="alert"') :].partition("</p>")[0])
        assert shown.endswith(f"{name} : {'typo' if name == 'assignee' else 'Typo'}"), shown
    several = "&".join(f"{name}=none" for name in filters)
    for path in ("", "/volume", "/cases", "/stories", "/value", "/cases.csv", "/volume.csv"):
        assert "Nothing of that name." in page(client, f"/reports{path}?{WEEK}&team=Gata&team=Typo", 422), path
        page(client, f"/reports{path}?{WEEK}&{several}&channel=facebook&kind=idea&language=fi&tag=halka")
    assert ": 10</h1>" in page(client, f"/reports/cases?{WEEK}&measure=first_response&assignee=EVA@Storby.example")
    assert page(browse(BO), f"/reports/volume?{WEEK}&assignee={BO.upper()}"), "one's own figures"


def test_a_last_day_belongs_to_its_period(browse: Browser) -> None:
    client = browse(MATS)
    day = lines(page(client, "/reports/volume?from=2026-11-24&until=2026-11-24"), "Cases")
    before = lines(page(client, "/reports/volume?from=2026-11-23&until=2026-11-23"), "Cases")
    assert (day["Total"][0][0], before["Total"][0][0]) == ("15", "0")


# -- what is shown ---------------------------------------------------------------------------------------------------


def test_the_overview_has_both_clocks_and_who_still_waits_beside_every_time(browse: Browser) -> None:
    shown = page(browse(MATS), f"/reports?{WEEK}")
    bigs = [plain(each) for each in re.findall(r"<li>\s*<h2>.*?</li>", shown, re.S)]
    first = next(each for each in bigs if each.startswith("First response 2 hrs"))
    assert "median of 12, around the clock" in first
    assert "in opening hours" in first
    assert "the period before – none" in first, "a dash to see, a word to hear"
    assert "Still waiting: 2 , the oldest since" in first
    assert sum("Still waiting: 2" in each for each in bigs) == 3, "beside every time"
    assert "Days of the time zone Europe/Stockholm." in shown
    assert "Imported history is left out." in shown
    assert "Imported history is included." in page(browse(MATS), f"/reports?{WEEK}&imported=include")
    assert "Definitions of the figures, version 1." in shown


def test_on_the_overview_what_there_is_none_of_is_a_dash(browse: Browser) -> None:
    shown = page(browse(MATS), "/reports?from=2026-11-01&to=2026-11-08&compare=off")
    bigs = re.findall(r'<p class="big">(.*?)</p>', shown, re.S)
    assert [plain(each) for each in bigs] == ["0", "– none", "– none", "– none", "– none", "0"]
    assert bigs[1] == '<span aria-hidden="true">–</span><span class="ds-sr-only">none</span>'


def test_earlier_periods_say_in_words_which_way_it_went(browse: Browser, week: House) -> None:
    client = browse(MATS)
    then = lines(page(client, "/reports/volume?from=2026-11-25&to=2026-11-26"), "Against earlier periods")
    assert [words for words, _ in then["Received"]] == ["0", "15", "15 fewer (−100%)", "0", "the same"]
    with week.database.transaction() as db:  # a day later, all was twice as slow
        for sample in db.scalars(select(Sample).where(Sample.measure == "first_response")):
            copy = {each.key: getattr(sample, each.key) for each in Sample.__table__.columns if each.key != "id"}
            db.add(Sample(**copy | {"day": sample.day + 1, "seconds": (sample.seconds or 0) * 2, "late": True}))
    times = lines(page(client, "/reports/response-times?from=2026-11-25&to=2026-11-26"), "Against earlier periods")
    assert times["First response: Median"][2][0] == "2 hrs slower (+100%)"
    assert "percentage points lower" in times["First response: Share in time"][2][0]
    assert "Against earlier periods" not in page(client, f"/reports/volume?{WEEK}&compare=off")


@pytest.mark.parametrize("name", PAGES)
def test_each_report_by_everything_and_its_numbers_lead_to_as_many_cases(browse: Browser, name: str) -> None:
    client = browse(MATS)
    followed = 0
    for by in ("channel", "assignee", "tag", "day"):
        shown = page(client, f"/reports/{name}?{WEEK}&by={by}")
        for caption in re.findall(r"<caption>([^<]*)", shown):
            for words, to in (cell for row in lines(shown, caption.strip()).values() for cell in row):
                if to and words.isdigit() and followed < 12:
                    heading = re.search(r"<h1>(.*?)</h1>", page(client, to), re.S)
                    assert heading and heading[1].endswith(f": {words}"), (name, by, caption, words, to)
                    followed += 1
    assert followed or name == "promises"


def test_a_page_of_cases_says_how_long_each_took_by_both_clocks(browse: Browser) -> None:
    client = browse(MATS)
    shown = page(client, f"/reports/cases?{WEEK}&measure=first_response&order=slowest")
    row = re.search(r'<tr><th scope="row">.*?</tr>', shown, re.S)
    assert row
    assert "#12" in row[0]
    assert "4 hrs" in row[0]
    assert "Late" in row[0]
    assert "Bo" in row[0], "who sent it"
    assert 'href="/cases/12"' in row[0]
    assert page(client, f"/reports/cases?{WEEK}&measure=waiting").count('<tr><th scope="row">') == 2
    assert "No case is behind this figure" in page(client, f"/reports/cases?{WEEK}&measure=first_response&key=x&by=tag")
    page(client, f"/reports/cases?{WEEK}&measure=nothing", 422)
    page(client, f"/reports/cases?{WEEK}&measure=received&cursor=1", 422)


def test_a_chart_has_its_words_and_its_table(browse: Browser) -> None:
    shown = page(browse(MATS), f"/reports/volume?{WEEK}")
    assert 'role="img" aria-labelledby="received-title received-desc"' in shown
    assert "Received: at most 15 (Tue 24 Nov 2026)" in shown
    assert 'data-action="table"' in shown
    assert " style=" not in shown
    figure = shown[shown.index('<figure class="chart" id="received"') : shown.index("</figure>")]
    assert [cell for cell in re.findall(r'<td class="n">(.*?)</td>', figure) if "15" in cell]


def test_hours_and_weekdays_are_a_table(browse: Browser) -> None:
    heat = lines(page(browse(MATS), f"/reports/volume?{WEEK}"), "When it came: weekday and hour")
    tuesday = [words for words, _ in heat["Tuesday"]]
    assert (tuesday[9], tuesday[24]) == ("15", "15"), "seen at half past nine in Stockholm"
    assert sum(map(int, tuesday[:24])) == 15
    assert heat["Total"][24][0] == "15"


def test_what_each_figure_means_is_one_click_from_it(browse: Browser) -> None:
    client = browse(MATS)
    said = page(client, "/reports/definitions")
    there = set(re.findall(r'<div id="([^"]*)"', said))
    for name in PAGES:
        wanted = set(re.findall(r'href="/reports/definitions#([^"]*)"', page(client, f"/reports/{name}?{WEEK}")))
        assert wanted, name
        assert wanted <= there, f"{name}: {wanted - there} are not explained"


def test_cases_that_are_not_measured_yet_are_told_of(
    browse: Browser, week: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triage import samples

    client = browse(MATS)
    assert "still being counted" not in page(client, f"/reports?{WEEK}")
    monkeypatch.setattr(report_frame, "CAUGHT_UP", 5)
    with week.database.transaction() as db:
        samples.mark(db, range(1, 13))
    monkeypatch.setattr(samples, "AT_ONCE", 5)
    assert "7 cases are still being counted" in page(client, f"/reports?{WEEK}")


def test_many_lines_are_read_on(browse: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "LINES", 2)
    client = browse(MATS)
    first = page(client, f"/reports/volume?{WEEK}&by=tag")
    assert "Lines 1–2 of 3" in first
    assert set(lines(first, "Cases")) == {"halka", "snö", "Total"}
    last = page(client, f"/reports/volume?{WEEK}&by=tag&rows=2")
    assert set(lines(last, "Cases")) == {"No tag", "Total"}
    assert set(lines(page(client, f"/reports/volume?{WEEK}&by=tag&rows=99"), "Cases")) == {"Total"}


# -- who may see what ------------------------------------------------------------------------------------------------


def test_only_who_leads_sees_the_lines_of_others(browse: Browser) -> None:
    whole = lines(page(browse(MATS), f"/reports/team?{WEEK}"), "Cases")
    assert {"Eva", "Bo"} <= set(whole)
    bo = browse(BO)
    own = page(bo, f"/reports/team?{WEEK}")
    assert set(lines(own, "Cases")) == {"Bo", "Nobody, or not known", "Total"}
    assert "Here stands your own line." in own
    assert not re.search(r">\s*Eva\b", own)
    page(bo, f"/reports/response-times?{WEEK}&assignee={EVA}", 403)
    page(bo, f"/reports/cases?{WEEK}&measure=first_response&by=assignee&key={EVA}", 403)
    assert page(bo, f"/reports/cases?{WEEK}&measure=first_response&by=assignee&key={BO}").count("#1") == 2
    assert page(bo, f"/reports/response-times?{WEEK}&assignee=me")


def test_who_leads_nobody_is_told_of_no_other_person_and_of_no_team_that_is_hidden(browse: Browser) -> None:
    for who, names, team in ((MATS, {"Eva", "Bo"}, True), (EVA, {"Eva"}, True), (BO, {"Bo"}, False)):
        client = browse(who)
        credited = set()
        for number in (1, 12):
            told = page(client, f"/reports/case/{number}").partition("<main")[2]
            credited |= set(re.findall(r"\b(Eva|Bo)\b", plain(told.partition("</main>")[0])))
        assert credited == names, f"{who}, of whose cases these are"
        assert ('<option value="Skydd">' in page(client, f"/reports/volume?{WEEK}")) is team, who


def test_of_few_answers_by_one_person_no_time_is_told(browse: Browser) -> None:
    shown = lines(page(browse(MATS), f"/reports/response-times?{WEEK}&by=assignee"), "First response")
    assert (shown["Bo"][0][0], shown["Bo"][1][0]) == ("2", "kept back")
    narrowed = page(browse(MATS), f"/reports/response-times?{WEEK}&assignee={BO}")
    assert "How long first responses took" not in narrowed
    assert lines(narrowed, "First response")["Total"][1][0] == "kept back"


def test_what_only_a_team_sees_is_in_nobody_elses_figures(browse: Browser) -> None:
    """Case 14 is Skydd's: Eva and who leads see it, Bo does not, in no report and behind no figure."""
    lay = {}
    for who, received in ((MATS, "15"), (EVA, "15"), (BO, "14")):
        client = browse(who)
        volume = lines(page(client, f"/reports/volume?{WEEK}"), "Cases")
        assert volume["Total"][0][0] == received, who
        night = lines(page(client, f"/reports/backlog?{WEEK}&by=channel"), "Cases")
        listed = page(client, f"/reports/cases?{WEEK}&measure=received")
        assert (f": {received}</h1>" in listed, "#14" in listed) == (True, who != BO), who
        unfinished, behind = night["Total"][1]
        lay[who] = int(unfinished)
        assert behind
        assert f": {unfinished}</h1>" in page(client, behind), who
    assert lay[MATS] == lay[EVA] == lay[BO] + 1


# -- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", *(f"/{name}" for name in PAGES), "/cases?measure=received"])
def test_it_costs_the_same_whatever_there_is(browse: Browser, week: House, path: str) -> None:
    client = browse(MATS)
    address = f"/reports{path}{'&' if '?' in path else '?'}{WEEK}"
    page(client, address)
    with statements(week.database) as few:
        page(client, address)
    with week.database.transaction() as db:
        for sample in db.scalars(select(Sample)):
            copy = {each.key: getattr(sample, each.key) for each in Sample.__table__.columns if each.key != "id"}
            db.add_all([Sample(**copy | {"day": sample.day + shift}) for shift in (-1, 1)])
            db.add(Sample(**copy | {"channel": "other", "user_id": 1, "kind": "idea"}))
    with statements(week.database) as many:
        page(client, address)
    assert len(many) == len(few) <= 90
