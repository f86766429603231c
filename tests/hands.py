"""A person at a keyboard: every way into the page here is a key, and every place the focus comes to is looked at."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.conftest import Desk

# What is wrong with the focus as it can be seen: no line around it, outside the window, something lying over it.
WRONG = """() => {
  const part = document.activeElement;
  if (!part || part === document.body) return "the focus is nowhere";
  const name = part.outerHTML.slice(0, 160);
  const drawn = getComputedStyle(part.matches(".row .what") ? part.closest(".row") : part);
  if (drawn.outlineStyle === "none" || parseFloat(drawn.outlineWidth) < 1) return `no line around ${name}`;
  const box = [...part.getClientRects()].find((each) => each.width && each.height);
  if (!box) return `not drawn: ${name}`;
  const [left, right] = [Math.max(0, box.left), Math.min(innerWidth, box.right)];
  const [top, bottom] = [Math.max(0, box.top), Math.min(innerHeight, box.bottom)];
  if (left >= right || top >= bottom) return `outside the window: ${name}`;
  const over = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const label = over?.closest("label");
  if (part.contains(over) || (label && (label.control === part || label.contains(part)))) return "";
  return `${over?.outerHTML.slice(0, 80)} lies over ${name}`;
}"""


class Hands:
    """On one desk. ``wrong``: what was amiss with a focus on the way."""

    def __init__(self, here: Desk) -> None:
        self.here, self.page = here, here.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def tab_to(self, goal: Locator, *, back: bool = False, most: int = 120) -> None:
        """Tab by Tab, each stop seen, until the goal has the focus."""
        expect(goal).to_be_attached()
        for _ in range(most):
            if self.on(goal):
                return
            self.press("Shift+Tab" if back else "Tab")
            if self.page.evaluate("document.activeElement === document.body"):
                continue  # out of the page and round to its beginning
            self.seen()
        raise AssertionError(f"{goal} was not reached with {most} Tabs")

    def on(self, goal: Locator) -> bool:
        return bool(goal.evaluate("part => part === document.activeElement"))

    def seen(self) -> None:
        """Where the focus is can be seen, and nothing lies over it."""
        for _ in range(20):  # what lies over it gives way in the next frame
            if not (wrong := self.page.evaluate(WRONG)):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(wrong)

    def stands_on(self, goal: Locator) -> None:
        """The focus is there, and can be seen there."""
        expect(goal).to_be_focused()
        self.seen()

    def told(self, words: str) -> None:
        """One short message says so, in one place."""
        expect(self.page.locator("#said, #status").filter(has_text=words)).to_have_count(1)
        text = self.page.locator("#said, #status").filter(has_text=words).inner_text()
        assert len(text) < 160, f"a long message: {text}"
