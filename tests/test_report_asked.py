"""What a report was asked for: said on its page and on paper, kept by its form."""

from __future__ import annotations

import html
import re

import pytest

from tests.reported import EVA
from tests.test_web_reports import WEEK, Browser, browse, page, plain, week

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
