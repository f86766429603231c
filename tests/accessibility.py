"""What axe-core says of a page: WCAG 2.0 to 2.2 A and AA, EN 301 549, best practice, and rules it has switched off."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

VENDOR = Path(__file__).parent / "vendor"
AXE = VENDOR / "axe-core-4.14.1" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "EN-301-549", "best-practice"]
ALSO = ["target-size", "label-content-name-mismatch", "focus-order-semantics"]  # off unless asked for
COLOURS = ["color-contrast", "link-in-text-block"]
RUN = """async ([tags, also, only]) => {
  const rules = Object.fromEntries(also.map((rule) => [rule, { enabled: true }]));
  const runOnly = only.length ? { type: "rule", values: only } : { type: "tag", values: tags };
  const found = await axe.run(document, { runOnly, rules, resultTypes: ["violations"] });
  return found.violations.map((each) => ({ rule: each.id, help: each.help, nodes: each.nodes.map((node) =>
    [node.target.join(" "), node.html.slice(0, 200), node.failureSummary].join("\\n      ")) }));
}"""


@cache
def _source() -> str:
    return AXE.read_text()


def violations(page: Page, *, colours: bool = False) -> list[str]:
    """What is wrong with the page as it is drawn now, each with its rule, its place and why. Empty: nothing found.

    ``colours``: only what depends on them, for a page that was asked already and has changed nothing but its scheme.
    """
    if not page.evaluate("'axe' in window"):  # to read it takes as long as to ask
        page.evaluate(_source())  # through the debugger, which the content security policy does not bind
    found: list[dict[str, Any]] = page.evaluate(RUN, [TAGS, [] if colours else ALSO, COLOURS if colours else []])
    return [f"{each['rule']}: {each['help']}\n    " + "\n    ".join(each["nodes"]) for each in found]


def changed_files() -> list[str]:
    """The files of others that are not as they were published, or not listed."""
    lines = [line.split(maxsplit=1) for line in (VENDOR / "SHA384SUMS").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}
    there = {
        f"./{path.relative_to(VENDOR)}": hashlib.sha384(path.read_bytes()).hexdigest()
        for path in VENDOR.glob("*/*")
        if path.is_file()
    }
    return sorted(name for name in listed.keys() | there.keys() if listed.get(name) != there.get(name))
