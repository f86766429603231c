"""The documentation keeps up: every setting, command, channel and dependency is in it, and no link leads nowhere."""

from __future__ import annotations

import argparse
import configparser
import re
from datetime import date
from pathlib import Path

import pytest

import channels
import cli
import settings
from reports.figures import Asked
from reports.tables import REPORTS
from triage.measures import Measure
from web import report_meanings, report_words

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(there), link


def anchors(page: Path) -> set[str]:
    """Of its headings, as those who show Markdown make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_every_figure_is_explained() -> None:
    """Under one anchor on the page of definitions, where the heads of the tables lead, and in the documentation."""
    told = {meaning.anchor for meaning in report_meanings.meanings()}
    published = anchors(ROOT / "docs" / "figures.md")
    asked = Asked(date(2026, 11, 2), date(2026, 11, 9))
    columns = [column for kind in REPORTS.values() for column in kind.columns(asked)]
    heads = {report_words.anchor(column.name, column.block) for column in columns}
    assert heads <= told, f"a head of a table leads nowhere: {heads - told}"
    assert told <= published, f"docs/figures.md says nothing of {told - published}"
    measures = {measure.value.replace("_", "-") for measure in Measure}
    assert measures <= published, f"docs/figures.md says nothing of {measures - published}"
    assert measures <= told, f"the page of definitions says nothing of {measures - told}"


def test_every_setting_is_explained() -> None:
    page = (ROOT / "docs" / "configure.md").read_text()
    example = (ROOT / "config.yaml").read_text()
    for key in settings.KEYS:
        assert re.search(rf"\b{key}\b", page), f"docs/configure.md says nothing of {key}"
        assert re.search(rf"^{key}:", example, flags=re.MULTILINE), f"config.yaml does not show {key}"
    rule = [*settings.RuleConditions.model_fields, *settings.RuleEffects.model_fields]
    for key in [*settings.SourceSettings.model_fields, *settings.Outbound.model_fields, *rule]:
        assert f"`{key}`" in page, f"docs/configure.md says nothing of {key}"


def test_every_command_is_in_the_documentation() -> None:
    everything = "\n".join(page.read_text() for page in PAGES)
    parser = cli._parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for name in commands.choices:
        assert re.search(rf"(gensvar|make) .*\b{name}\b|`{name}`", everything), f"no page mentions gensvar {name}"


def test_every_channel_has_its_page() -> None:
    """Under the name people know the network by, or the registry's."""
    for channel in channels.CHANNELS.values():
        if channel.collects:
            names = {channel.name, channel.label.lower()}
            assert any((ROOT / "docs" / "channels" / f"{name}.md").exists() for name in names), channel.name


def test_every_dependency_is_explained() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    page = (ROOT / "docs" / "dependencies.md").read_text().lower()
    wanted = setup["options"]["install_requires"] + "".join(setup["options.extras_require"].values())
    for line in wanted.split():
        name = re.split(r"[=\[]", line)[0].lower()
        assert re.search(rf"[| ,]{re.escape(name)}[ ,]", page), f"docs/dependencies.md says nothing of {name}"
