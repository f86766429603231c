"""By keyboard, magnified, with wide letters: every stop is seen, nothing is cut off, and what happened is said once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests import screens
from tests.conftest import Desk, Open
from tests.test_accessibility import ADMIN, everything

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

STATIC = Path(__file__).parent.parent / "web" / "static"
SCREENS = ["/", "/cases/{case}", "/me", "/admin/rules/new", "/admin/sources"]
TITLED = [
    *SCREENS, "/dashboard", "/search", "/stories", "/stories/1", "/stories/1/answer", "/people/1", "/promises",
    "/drafts", "/views", "/me/notifications", "/admin", "/admin/users", "/admin/audit", "/admin/tags",
    "/admin/accounts",
]  # fmt: skip

# Where the focus is now: what is wrong with it, and its name. A stop may be marked by itself, its row or its label.
STOP = """() => {
  const at = document.activeElement;
  if (!at || at === document.body || (window.stopped && at.matches(".ds-skip-link"))) return null; // once around
  const name = `${at.tagName.toLowerCase()}${at.id ? "#" + at.id : ""} "${(at.getAttribute("aria-label") || at.textContent).trim().slice(0, 40)}"`;
  const wrong = [];
  const marked = [at, at.closest(".row"), at.closest("label")].filter(Boolean).some((each) => {
    const style = getComputedStyle(each);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  });
  if (!marked) wrong.push("nothing shows that the focus is here");
  const box = (at.matches(".what") ? at.closest(".row") : at).getBoundingClientRect(); // the link of a row is as large as it
  if (box.width < 1 || box.height < 1) wrong.push("it has no size");
  const seen = [];
  for (const x of [0.1, 0.5, 0.9]) for (const y of [0.15, 0.5, 0.85]) {
    const top = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
    seen.push(Boolean(top) && ((at.closest(".row:has(.what)") || at).contains(top) || top.contains(at) || Boolean(at.closest("label")?.contains(top))));
  }
  const tall = box.height > innerHeight * 0.6;
  if (tall ? !seen.some(Boolean) : seen.filter(Boolean).length < 5) wrong.push(`covered: ${seen.filter(Boolean).length} of 9 points are seen`);
  const before = window.stopped;
  window.stopped = at;
  if (before?.isConnected && !(before.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING)) wrong.push("it stands before the last one");
  const pane = (each) => each.closest(".row, .listhead, .crumbs, nav, .who, .composer, form, header, aside, section, main");
  if (before?.isConnected && pane(before) === pane(at)) {
    const old = before.getBoundingClientRect();
    if (old.height && box.bottom < old.top + 2 && box.left < old.right + 200) wrong.push("it is drawn above the last one");
    if (old.height && Math.abs(box.top + box.bottom - old.top - old.bottom) < 8 && box.right <= old.left + 2) wrong.push("it is drawn to the left of the last one");
  }
  const labelled = at.matches("input[type=checkbox], input[type=radio]") ? at.closest("label")?.getBoundingClientRect() || box : box;
  const inText = getComputedStyle(at).display === "inline";
  if (!inText && (Math.max(box.height, labelled.height) < 24 || Math.max(box.width, labelled.width) < 24)) wrong.push(`a target of ${Math.round(box.width)} x ${Math.round(box.height)}`);
  return [name, wrong];
}"""  # noqa: E501

# Text that is cut off by its box without saying so, and words that lie over each other.
CUT = """() => {
  const wrong = [];
  const shown = (each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest(".ds-sr-only, [aria-hidden=true], select, datalist, dialog:not([open])");
  const leaves = [...document.querySelectorAll("body *")].filter((each) => shown(each) && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const named = (each) => `${each.tagName.toLowerCase()}.${each.className} "${each.textContent.trim().slice(0, 40)}"`;
  for (const each of leaves) {
    for (let box = each; box && box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none" || /auto|scroll/.test(style.overflow)) break;
      if (style.overflow === "visible" || style.display === "inline" || style.clipPath !== "none") continue;
      if (box.scrollHeight > box.clientHeight + 3 || box.scrollWidth > box.clientWidth + 3) wrong.push(`cut off: ${named(each)} in ${named(box)}`);
    }
    if (each.matches("button, .ds-button, .tag, summary") && each.scrollWidth > each.clientWidth + 2 && getComputedStyle(each).display !== "inline") wrong.push(`wider than its box: ${named(each)}`);
  }
  const drawn = (each) => { // what its boxes leave of it
    const { left, right, top, bottom } = each.getBoundingClientRect();
    const part = { left, right, top, bottom };
    for (let box = each.parentElement; box; box = box.parentElement) if (getComputedStyle(box).overflow !== "visible") {
      const cut = box.getBoundingClientRect();
      part.left = Math.max(part.left, cut.left); part.right = Math.min(part.right, cut.right);
      part.top = Math.max(part.top, cut.top); part.bottom = Math.min(part.bottom, cut.bottom);
    }
    return part;
  };
  const groups = new Map();
  for (const each of leaves) {
    const group = each.closest(".row, .panehead, .entry, .top, dl, form, nav, li");
    if (group) groups.set(group, [...(groups.get(group) || []), each]);
  }
  for (const group of groups.values()) for (const [at, one] of group.entries()) for (const other of group.slice(at + 1)) {
    if (one.contains(other) || other.contains(one)) continue;
    const [a, b] = [drawn(one), drawn(other)];
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 4 && down > 6 && getComputedStyle(one).display !== "inline" && getComputedStyle(other).display !== "inline") wrong.push(`one over the other: ${named(one)} and ${named(other)}`);
  }
  return [...new Set(wrong)];
}"""  # noqa: E501
SPACED = "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; } p { margin-block-end: 2em !important; }"  # noqa: E501
SAID = """() => [...document.querySelectorAll("[role=status]:not(#trouble), [role=alert], [aria-live]")]
  .filter((each) => !each.closest("dialog:not([open])"))
  .map((each) => each.textContent.replace(/\\s+/g, " ").trim()).filter(Boolean)"""


def filled(desk: Open, **context: Any) -> tuple[Desk, list[str]]:
    """A window of the administrator on a house with something of everything, and the screens to look at."""
    here = desk(who=ADMIN, **context)
    everything(here.house, datetime.now(UTC))
    number = screens.case_of(here.house, "1003").id
    return here, [path.format(case=number) for path in SCREENS]


@pytest.mark.parametrize("size", [(1280, 800), (320, 640)])
def test_every_stop_of_the_tab_key_is_seen_and_follows_the_page(desk: Open, size: tuple[int, int]) -> None:
    here, paths = filled(desk, viewport={"width": size[0], "height": size[1]})
    wrong = []
    for path in paths:
        here.go(path)
        stops = 0
        while stops < 400:
            here.page.keyboard.press("Tab")
            stop = here.page.evaluate(STOP)
            if stop is None:
                break
            stops += 1
            wrong += [f"{path}: {stop[0]}: {each}" for each in stop[1]]
        assert 10 < stops < 400, f"{path}: {stops} stops"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("width", [1280, 320])
def test_wide_letters_and_lines_cut_nothing_off(desk: Open, width: int) -> None:
    here, paths = filled(desk, viewport={"width": width, "height": 800}, bypass_csp=True)
    wrong = []
    for path in paths:
        here.go(path)
        before = set(here.page.evaluate(CUT))
        wrong += [f"{path}, as it is: {each}" for each in before]
        here.page.add_style_tag(content=SPACED)
        wrong += [f"{path}, spaced: {each}" for each in here.page.evaluate(CUT) if each not in before]
        if here.sideways() > 0:
            wrong.append(f"{path}: {here.sideways()} pixels wider than its window")
    assert not wrong, "\n".join(wrong)


def test_each_screen_has_its_own_title_one_main_heading_and_landmarks(desk: Open) -> None:
    here, paths = filled(desk)
    titles: dict[str, str] = {}
    for path in dict.fromkeys([*paths, *(each for each in TITLED if "{" not in each)]):
        here.go(path)
        page = here.page
        assert page.title() not in titles, f"{path} and {titles[page.title()]} are both called {page.title()}"
        titles[page.title()] = path
        panes = 2 if path.startswith("/cases/") else 1  # the list and the case beside it
        assert page.get_by_role("heading", level=1).count() == panes, f"{path} has not one main heading a pane"
        levels = page.evaluate(
            "[...document.querySelectorAll('main :is(h1, h2, h3, h4, h5, h6)')]"
            ".filter((each) => each.checkVisibility()).map((each) => Number(each.tagName[1]))"
        )
        jumps = [f"h{a} h{b}" for a, b in pairwise(levels) if b > a + 1]
        assert not jumps, f"{path}: the headings jump: {jumps}"
        for landmark in ("banner", "main"):
            assert page.get_by_role(landmark).count() == 1, f"{path}: not one {landmark}"
        names = page.get_by_role("navigation").evaluate_all(
            "all => all.map((each) => each.getAttribute('aria-label') || each.getAttribute('aria-labelledby'))"
        )
        assert all(names) and len(set(names)) == len(names), f"{path}: navigations without names of their own: {names}"


def test_what_citizens_write_is_marked_with_its_language(desk: Open) -> None:
    here = desk()
    assert here.page.locator("html").get_attribute("lang") == "en"
    number = screens.case_of(here.house, "1001").id
    here.go(f"/cases/{number}?status=all")
    expect(here.page.locator(f"#case-{number} .subject")).to_have_attribute("lang", "sv")
    expect(here.page.locator("#case-name")).to_have_attribute("lang", "sv")
    expect(here.page.locator(".theirs .said").first).to_have_attribute("lang", "sv")
    expect(here.page.locator("#body")).to_have_attribute("lang", "sv")
    here.go("/search?q=plogen")
    marked = here.page.locator("main [lang=sv]")
    assert marked.count(), "what was found is not marked with its language"


def test_nothing_moves_for_who_asked_for_stillness(desk: Open) -> None:
    here, paths = filled(desk, reduced_motion="reduce")
    for path in paths[:2]:
        here.go(path)
        moving = here.page.evaluate(
            "[...document.querySelectorAll('*')].filter((each) => { const style = getComputedStyle(each);"
            " return [...style.transitionDuration.split(','), ...style.animationDuration.split(',')]"
            ".some((each) => parseFloat(each) > 0); }).map((each) => each.outerHTML.slice(0, 80))"
        )
        assert moving == [], path


def test_what_was_done_is_said_once_and_briefly(desk: Open) -> None:
    here = desk()
    page = here.page
    here.go(f"/cases/{screens.case_of(here.house, '1004').id}")

    def once(holds: str) -> None:
        expect(page.locator("[role=status]").filter(has_text=holds)).to_have_count(1)
        said = page.evaluate(SAID)
        assert len(said) == 1 and len(said[0]) < 120, f"{len(said)} messages: {said}"

    page.get_by_role("button", name="Assign to me").click()
    once("The case is yours.")
    page.locator("[data-action=tag]").fill("Bibliotek")
    page.get_by_role("button", name="Add", exact=True).click()
    once("Add tags: Bibliotek.")
    page.locator(".noting > summary").click()
    page.locator("#note").fill("Ring henne")
    page.get_by_role("button", name="Save the note").click()
    expect(page.locator("article.note")).to_be_visible()
    assert len(page.evaluate(SAID)) <= 1
    page.get_by_role("button", name="Resolve", exact=True).click()
    once("The case is now: Resolved.")


@pytest.mark.parametrize("width", [320, 1000, 1280])
def test_what_is_said_covers_nothing_that_can_be_reached(desk: Open, width: int) -> None:
    here = desk(width)
    page = here.page
    here.go(f"/cases/{screens.case_of(here.house, '1004').id}")
    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator("#said")).to_contain_text("The case is yours.")
    covered = []
    for control in page.locator("#case :is(button, a, summary, input, textarea):visible").all():
        control.focus()
        box, said = control.bounding_box(), page.locator("#said").bounding_box()
        assert box and said
        if said["x"] < box["x"] + box["width"] / 2 < said["x"] + said["width"] and (
            said["y"] < box["y"] + box["height"] / 2 < said["y"] + said["height"]
        ):
            covered.append(control.evaluate("each => each.outerHTML.slice(0, 100)"))
    assert covered == []


def test_nothing_needs_a_pointer_that_hovers() -> None:
    """A rule that lets something appear under the pointer does so for the focus too."""
    for file in [STATIC / "gensvar.css", *STATIC.glob("css/*.css")]:
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", file.read_text()):
            if ":hover" in selector and re.search(r"\b(display|visibility|opacity|clip-path|height)\s*:", body):
                assert ":focus" in selector, f"{file.name}: {selector.strip()} shows something to the pointer alone"
    scripts = "".join(file.read_text() for file in STATIC.glob("js/*.js"))
    assert not re.search(r"mouseover|mouseenter|pointerenter|dragstart", scripts), "something hangs on the pointer"


@pytest.mark.parametrize("path", ["/", "/cases/{case}", "/dashboard", "/admin/sources"])
def test_in_forced_colours_every_control_has_an_edge(desk: Open, path: str) -> None:
    here, _paths = filled(desk, forced_colors="active")
    here.go(path.format(case=screens.case_of(here.house, "1003").id))
    bare = here.page.evaluate(
        """() => [...document.querySelectorAll("button, .ds-button, input:not([type=hidden], [type=file]), select, textarea")]
        .filter((each) => each.checkVisibility()).filter((each) => { const style = getComputedStyle(each);
          return style.appearance !== "auto" && style.borderStyle === "none" && style.outlineStyle === "none" && style.textDecorationLine === "none"; })
        .map((each) => each.outerHTML.slice(0, 120))"""  # noqa: E501
    )
    assert bare == []
