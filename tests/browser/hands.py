"""Hands on the keyboard of an open notebook: no mouse, and no focus moved by script."""

import re

from harness import LIGHT, PATIENCE
from playwright.sync_api import Locator, Page, expect

# JupyterLab gives an error the type of what is written to stderr
ERROR = '[data-mime-type="application/vnd.jupyter.stderr"]'
NUMBER = re.compile(r"^\[\d+\]:$")
NUMBERED = r"""(i) => {
  const prompt = document.querySelector(`.jp-Cell[data-windowed-list-index="${i}"] .jp-InputPrompt`);
  return prompt && /^\[\d+\]:$/.test(prompt.textContent);
}"""

# what a learner does with a control, by its role or kind; what is none of these has arrow keys of its own
KEYS = {
    "button": ["Enter"],
    "checkbox": ["Space"],
    "radio": ["ArrowDown"],
    "text": ["End", "x"],
    "link": [],
    "other": ["ArrowDown", "ArrowRight", "End"],
}
# how many stops the Tab key has in a widget: one a control, and one for all radio buttons of a name
STOPS = """(widget) => {
  const names = new Set();
  return [...widget.querySelectorAll('a[href], button, input, select, textarea, [tabindex]')].filter((node) =>
    node.tabIndex >= 0 && !node.disabled && node.getClientRects().length &&
    !(node.type === 'radio' && names.size === names.add(node.name).size)).length;
}"""
# A node of the page answers this in a tenth of the time that a locator takes, which looks for it first.
INSIDE = "(place) => place.contains(document.activeElement)"
IDLE = "(widget) => widget.dataset.state === 'idle'"
# the kind of the control that the keyboard is on: null the second time, and 'outside' where it is on none
KIND = """(place) => {
  const at = document.activeElement;
  if (!place.contains(at)) return 'outside';
  window.operated ??= new WeakSet();
  if (operated.has(at)) return null;
  operated.add(at);
  const kinds = { A: 'link', BUTTON: 'button', TEXTAREA: 'text' };
  return kinds[at.tagName] ?? (['checkbox', 'radio', 'text'].includes(at.type) ? at.type : 'other');
}"""


def scroll_from(page: Page, node: Locator, across: float) -> None:
    """Put a finger on a node, at this share of its width, and have the browser take it for scrolling."""
    box, devtools = node.bounding_box(), page.context.new_cdp_session(page)
    finger = {"x": box["x"] + across * box["width"], "y": box["y"] + box["height"] / 2}
    for kind, fingers in (("touchStart", [finger]), ("touchCancel", [])):
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


class Learner:
    """Hands on the keyboard of an open notebook. Cells are known by their place in it, from 0."""

    def __init__(self, opened):
        self.opened, self.page = opened, opened.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def cell(self, i: int) -> Locator:
        return self.page.locator(f'{LIGHT}.jp-Cell[data-windowed-list-index="{i}"]')

    def go_to(self, i: int) -> None:
        """By arrow keys, from the cell that is chosen now. These skip a cell whose code is folded."""
        chosen = self.page.locator(".jp-Cell.jp-mod-active")
        for _ in range(200):
            if not (distance := i - int(chosen.get_attribute("data-windowed-list-index"))):
                return
            self.press("ArrowDown" if distance > 0 else "ArrowUp")
        raise AssertionError(f"no way to cell {i} by arrow keys")

    def read(self, i: int) -> None:
        """Go on from a cell of text as from all others, with Shift+Enter."""
        self.go_to(i)
        self.press("Shift+Enter")

    def run(self, i: int) -> Locator:
        """Run a cell with Shift+Enter, and wait for its number. Returns the cell, which shows no error."""
        prompt = self.cell(i).locator(".jp-InputPrompt")
        before = prompt.text_content()  # not inner_text, which is "" of a cell off the screen
        self.read(i)
        expect(prompt).not_to_have_text(before)
        return self.ran(i)

    def ran(self, i: int) -> Locator:
        """Wait for the number of a cell. Returns the cell, which shows no error."""
        # `expect` looks once a second at last, and would sleep half a second after most cells
        self.page.wait_for_function(NUMBERED, arg=i, polling=50, timeout=5 * PATIENCE)
        failed = "\n".join(self.cell(i).locator(ERROR).all_text_contents()).splitlines()
        assert not failed, "\n".join(failed[-30:])  # the error stands at the end of its traceback
        return self.cell(i)

    def run_folded(self, first: int, last: int) -> None:
        """Run the cells from `first` to `last` folded as they are, then open each: only so it has a number.

        Shift and an arrow key go to a folded cell; the arrow key alone goes past it.
        """
        self.go_to(first)
        self.press(*["Shift+Enter"] * (last + 1 - first))
        for i in range(last, first - 1, -1):
            self.press("Shift+ArrowUp", "Enter")
            expect(self.cell(i).locator(".cm-content")).to_be_focused()
            self.press("Escape")
        for i in range(first, last + 1):
            self.ran(i)

    def run_widget(self, i: int) -> Locator:
        """Run a cell that shows a widget, see it whole, and come back to the cell. Returns the widget."""
        widget = self.run(i).locator(".course-widget")
        self.tour(i, widget)
        return widget

    def enter(self, i: int, widget: Locator) -> None:
        """From a cell into a widget of its output."""
        self.go_to(i)
        node = widget.element_handle()
        for _ in range(60):
            self.press("Tab")
            if node.evaluate(INSIDE):
                return
        raise AssertionError("no way into the widget by the Tab key")

    def come_back(self, i: int, widget: Locator) -> None:
        """After a Tab too many: back into the widget, and out of it to its cell.

        What follows may be a link many cells below. Its cell is then chosen, and is a stop of its own on the
        way back, as are its heading's button and those of its toolbar.
        """
        node = widget.element_handle()
        for _ in range(12):
            self.press("Shift+Tab")
            if node.evaluate(INSIDE):
                break
        self.press("Escape")
        expect(self.cell(i)).to_be_focused()

    def tour(self, i: int, widget: Locator) -> None:
        """By Tab to every control of a widget, once each, and on to what follows it."""
        self.opened.settled(widget)
        node = widget.element_handle()
        stops = node.evaluate(STOPS)
        self.enter(i, widget)
        self.press(*["Tab"] * (stops - 1))
        assert node.evaluate(INSIDE), f"fewer than {stops} controls are reached"
        self.press("Tab")
        assert not node.evaluate(INSIDE), f"after {stops} controls the keyboard is trapped"
        self.come_back(i, widget)

    def operate(self, i: int, widget: Locator, commands: list[str] | None = None) -> None:
        """Use every control of a widget. None takes the keyboard away from under the hand.

        commands: keys that are pressed too, on the first control of each kind.
        """
        more, node = dict.fromkeys(KEYS, commands or []), widget.element_handle()
        self.enter(i, widget)
        for _ in range(3 * node.evaluate(STOPS) + 1):
            kind = node.evaluate(KIND)
            if kind == "outside":
                return self.come_back(i, widget)
            if keys := [*more.pop(kind, []), *KEYS.get(kind, [])]:
                self.press(*keys)
                if not node.evaluate(IDLE):
                    # a wide beam search to its end asks a real model 160 times
                    self.opened.settled(widget, timeout=5 * PATIENCE)
                assert node.evaluate(INSIDE), f"the keyboard has left the widget after {keys} on a {kind}"
            self.press("Tab")
        raise AssertionError("no way out of the widget by the Tab key")

    def tab_to(self, target: Locator) -> None:
        for _ in range(60):
            self.press("Tab")
            if target.evaluate("(node) => node === document.activeElement"):
                return
        raise AssertionError(f"no way to {target} by the Tab key")

    def leave(self, i: int, at: int = 0) -> None:
        """Take a picture of a widget of cell i, all of it, and leave it with Escape."""
        widget = self.cell(i).locator(".course-widget").nth(at)
        self.opened.screenshot(f"walk-{self.opened.path.stem}-{i}-{at}", widget)
        self.press("Escape")
        expect(self.cell(i)).to_be_focused()

    def write(self, i: int, code: str) -> None:
        """Write code in the place of what stands in a cell."""
        self.go_to(i)
        self.press("Enter", "Control+a")
        self.page.keyboard.insert_text(code)
        self.press("Escape")
