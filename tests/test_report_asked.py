"""What a report was asked for: said on its page and on paper, kept by its form."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from house import House
from models import Sample
from reports.export import _shown
from reports.figures import Row
from reports.tables import Column, Unit, Value
from tests.reported import EVA
from tests.test_web_reports import WEEK, Browser, browse, lines, page, plain, week
from web import report_words

__all__ = ["browse", "week"]  # fixtures
pytestmark = [pytest.mark.screens, pytest.mark.one_database]


def test_a_report_says_that_it_is_filtered(browse: Browser) -> None:
    client = browse("mats@storby.example")
    asked = f"{WEEK}&team=Gata&team=Skydd&kind=problem&assignee={EVA}&clock=business&start=seen"
    said = (
        "Team: Gata, Skydd; Person: Eva; Kind: Problem; "
        "Time is counted: In opening hours; First response is counted from: when we saw it"
    )
    for name in ("", "/response-times", "/value", "/stories"):
        found = re.search(r'<p class="unusual">(.*?)</p>', page(client, f"/reports{name}?{asked}"), re.S)
        assert found and plain(found[1]).replace(" ;", ";") == said, name
    assert 'class="unusual"' not in page(client, f"/reports?{WEEK}")
    cases = page(client, f"/reports/cases?{asked}&measure=first_response")
    assert cases.count("Gata, Skydd") == 1, "the facts of a figure say it already"


@pytest.mark.parametrize(
    "query, days, chosen",
    [
        ("from=2026-10-01&until=2026-10-31", "Thu 1 Oct 2026 – Sat 31 Oct 2026", ""),
        ("from=2026-10-01&until=2026-10-31&period=last-week", "Mon 16 Nov 2026 – Sun 22 Nov 2026", "last-week"),
        ("from=2026-10-01&until=2026-10-31&period=", "Thu 1 Oct 2026 – Sat 31 Oct 2026", ""),
        ("from=2026-10-01&until=2026-10-31&period=last-week&was=last-week", "Thu 1 Oct 2026 – Sat 31 Oct 2026", ""),
        ("from=&until=&period=last-week&was=last-week", "Mon 16 Nov 2026 – Sun 22 Nov 2026", "last-week"),
    ],
    ids=["days", "a name chosen over days", "the days below", "days typed, the name left as it was", "a name"],
)
def test_what_was_chosen_last_is_the_period(browse: Browser, query: str, days: str, chosen: str) -> None:
    shown = page(browse("mats@storby.example"), f"/reports/volume?{query}")
    assert f'<p class="period"><strong>{days}</strong>' in shown
    assert re.findall(r'<option value="([^"]*)" selected>(?=Last|The days)', shown) == [chosen]
    tab = re.search(r'href="/reports/team\?([^"]*)"', shown)
    assert tab and tab[1] == (f"period={chosen}" if chosen else "from=2026-10-01&amp;until=2026-10-31")


def test_the_form_keeps_all_that_its_address_says(browse: Browser) -> None:
    given = f"{WEEK}&team=Gata&team=Skydd&tag=halka&tag=sn%C3%B6&category=Old&kind=problem"
    shown = browse("mats@storby.example").get(f"/reports/volume?{given}").get_data(as_text=True)
    form = shown.partition('class="asked"')[2]
    form = form.partition("</form>")[0]
    kept = {
        name: re.findall(r'<option value="([^"]+)" selected>', options)
        for name, options in re.findall(r'<select class="ds-input" name="(\w+)"[^>]*>(.*?)</select>', form, re.S)
    }
    assert (kept["team"], kept["kind"]) == (["Gata", "Skydd"], ["problem"])
    assert kept["category"] == ["Old"], "also where none is laid down any more"
    assert re.findall(r'name="tag"[^>]*value="([^"]*)"', form) == ["halka", "snö"]
    assert re.findall(r'name="(\w+)" multiple', form) == ["team"], "one of each is the usual"


@pytest.mark.parametrize(
    "name, unit, given, screen, terminal",
    [
        ("assumed_share", Unit.share, 0.125, "12.5%", "12.5 %"),
        ("assumed_share", Unit.share, 0.7 / 100, "0.7%", "0.7 %"),
        ("kept_share", Unit.share, 2 / 3, "67%", "67 %"),
        ("kept_share", Unit.share, 0.125, "12%", "12 %"),
        ("kept_share", Unit.share, 0.575, "58%", "58 %"),
        ("time_spared_s", Unit.seconds, 0, "0 mins", "0 min"),
        ("time_spared_s", Unit.seconds, 59, "59 secs", "59 s"),
        ("time_spared_s", Unit.seconds, 3631, "1 hr", "1 h"),
        ("time_spared_s", Unit.seconds, 3660, "1 hr 1 min", "1 h 1 min"),
        ("time_spared_s", Unit.seconds, 359_999, "99 hrs 59 mins", "99 h 59 min"),
        ("time_spared_s", Unit.seconds, 361_900, "101 hrs", "101 h"),
        ("time_spared_s", Unit.seconds, -3631, "−1 hr", "-1 h"),
    ],
)
def test_a_number_is_rounded_alike_on_screen_on_paper_and_in_a_terminal(
    name: str, unit: Unit, given: Value, screen: str, terminal: str
) -> None:
    column = Column(name, unit, lambda _row: given)
    assert report_words.figure_of(column, given, datetime(2026, 11, 24, tzinfo=UTC)) == screen
    assert _shown(column, Row(None), ZoneInfo("Europe/Stockholm")) == terminal


def test_a_median_of_nothing_in_opening_hours_opens_its_cases_and_so_does_the_other(
    browse: Browser, week: House
) -> None:
    with week.database.transaction() as db:
        db.execute(update(Sample).where(Sample.measure == "first_response").values(business=0))
    for clock in ("", "&clock=business"):
        shown = page(browse("mats@storby.example"), f"/reports/response-times?{WEEK}&by=team{clock}")
        around, opening = lines(shown, "First response")["Gata"][1:3]
        assert (around[0], opening[0]) == ("2 hrs", "0 mins")
        assert around[1] and around[1] == opening[1]


def test_what_shades_mean_is_true_on_a_dark_screen_too(browse: Browser) -> None:
    shown = page(browse("mats@storby.example"), f"/reports/volume?{WEEK}")
    assert "The stronger the colour, the more." in shown and "darker" not in shown
