"""What holds for every widget: one contract over the specimens of the gallery.

All stand on one page of one kernel, which makes their models once. In the evening the page is saved and its
kernel stopped; the next morning it is opened again, run, and used by all tests that follow.
"""

import functools
import json
import re
from dataclasses import dataclass, field

import pytest
from gallery import HALF, HANDS, LONG, ODD, SPECIMENS, setup, without_specimen
from hands import Learner
from harness import CONTRASTS, PATIENCE, Notebook, notebook, write_notebook
from playwright.sync_api import Locator, expect

FOLDER = "contract/my_work"  # the learner's progress is kept in a folder of this name
NAMES = list(SPECIMENS)
STAGE = len(NAMES) + 1  # the cell after those of the specimens, for others; an empty one follows
LIGHT, DARK, NARROW = ("Light", False), ("Dark", False), ("Light", True)
COMMANDS = ["d", "d", "a", "b", "x", "j", "k", "m"]  # JupyterLab's: delete, insert, cut, leave, convert
ISOLATES = re.compile("[\u2066-\u2069]")  # they keep text that runs from right to left in its place

# all that is drawn and chosen; what is typed, and a slider's place, are the hand's and don't count
LOOK = """(root) => JSON.stringify([root.innerHTML,
  [...root.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
  [...root.querySelectorAll("[type=radio], [type=checkbox], select")].map((f) => [f.checked, f.value])])"""
FIELDS = "(root) => [...root.querySelectorAll('input, select, textarea')].map((f) => [f.value, f.checked])"
NODES = "(root) => root.querySelectorAll('*').length"
OVERFLOW = "(root) => root.scrollWidth - root.clientWidth"
# A box for a tick or a choice is touched by its label. Words in a line of text are as high as the line.
SMALL_TARGETS = """(root) => [...root.querySelectorAll(
    "button, select, textarea, input, a[href], [role=option], [role=tab], [role=gridcell], [role=treeitem]")]
  .map((node) => (["checkbox", "radio"].includes(node.type) && node.closest("label")) || node)
  .filter((node) => node.getClientRects().length && getComputedStyle(node).display !== "inline")
  .map((node) => [node.outerHTML.slice(0, 150), node.getBoundingClientRect()])
  .filter(([, { width, height }]) => width < 24 || height < 24)
  .map(([html, { width, height }]) => `${width} x ${height}: ${html}`)"""
TABLES = """(root) => [...root.querySelectorAll(".cw-tables table")].map((table) => ({
  caption: table.caption.textContent, head: table.tHead.textContent, rows: table.tBodies[0].rows.length }))"""
TYPE = """(field, text) => {
  fill(field, "another");
  fill(field, JSON.parse(text)); // half a character crosses in no other way
}"""
PICTURES = """() => [...document.querySelectorAll(".jp-OutputArea figure")].map((figure) => {
  const img = figure.querySelector("img");
  return { text: figure.textContent, alt: img.alt, width: img.complete && img.naturalWidth };
})"""
SAME_CELLS = "(cells) => [...document.querySelectorAll('.jp-Cell')].every((cell, i) => cell === cells[i])"

each = pytest.mark.parametrize("name", NAMES)
# the sampling lab with nine samplers is the same widget with more to compute
WIDGETS = [name for name in NAMES if name != "sampling_lab_nine"]
each_widget = pytest.mark.parametrize("name", WIDGETS)


@dataclass
class Looks:
    """What was seen of a specimen in one of its states, with its table."""

    nodes: int
    tables: list[dict]
    hidden: int  # nodes of the table once it is hidden again
    small: list[str]
    contrasts: list[dict]
    overflow: int


@dataclass
class Gallery:
    """The opened page with a cell for each specimen, and what each said when it was new."""

    opened: Notebook
    said: dict[str, str] = field(default_factory=dict)
    crossed: int = 0  # bytes from the server

    def __post_init__(self):
        self.page, self.hands = self.opened.page, Learner(self.opened)
        self.page.evaluate(f"() => {{ {HANDS} }}")
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("Network.enable")
        devtools.on("Network.webSocketFrameReceived", self._count)
        self.looks = functools.cache(self._looks)

    def _count(self, event):
        data, is_text = event["response"]["payloadData"], event["response"]["opcode"] == 1
        self.crossed += len(data) if is_text else len(data) * 3 // 4  # base64

    def cell(self, name: str) -> int:
        return NAMES.index(name) + 1

    def run(self, i: int) -> Locator:
        """Run a cell, and return its widget."""
        widget = self.hands.run(i).locator(".course-widget")
        self.settled(widget)
        return widget

    def run_specimens(self) -> None:
        for name in NAMES:
            self.said[name] = said(self.run(self.cell(name)))

    def choose(self, i: int) -> None:
        """Put the keyboard on a cell."""
        self.hands.cell(i).locator(".jp-InputPrompt").click()

    def widget(self, name: str, width: int = 1280) -> Locator:
        widget = self.hands.cell(self.cell(name)).locator(".course-widget")
        if self.page.viewport_size["width"] != width:
            self.page.set_viewport_size({"width": width, "height": 1000})
        widget.scroll_into_view_if_needed()
        self.settled(widget)
        return widget

    def stage(self, code: str) -> Locator:
        """Another widget, in a cell of its own; the one before has gone."""
        self.hands.cell(STAGE).locator(".course-widget").evaluate_all("(old) => old.map((w) => w.remove())")
        self.choose(STAGE)
        self.hands.write(STAGE, code)
        return self.run(STAGE)

    def settled(self, widget: Locator) -> None:
        self.opened.settled(widget)
        expect(widget.locator("[aria-busy=true]")).to_have_count(0, timeout=PATIENCE)

    def do(self, widget: Locator, script: str) -> None:
        widget.evaluate(script)
        self.settled(widget)

    def _looks(self, name: str, theme: str, narrow: bool) -> list[Looks]:
        """The specimen as it is, and in each of its states."""
        specimen, looks = SPECIMENS[name], []
        light = str(theme == "Light").lower()
        if self.page.locator("body").get_attribute("data-jp-theme-light") != light:
            self.opened.theme(theme)
        widget = self.widget(name, specimen.narrow if narrow else 1280)
        for state in (None, *specimen.states):
            if state:
                self.do(widget, state)
            small, overflow = widget.evaluate(SMALL_TARGETS), widget.evaluate(OVERFLOW)
            toggle(widget)
            seen = [widget.evaluate(script) for script in (NODES, TABLES, CONTRASTS)]
            toggle(widget, "Hide table")
            hidden = widget.locator(".cw-tables *").count()
            looks.append(Looks(*seen[:2], hidden, small, seen[2], overflow))
        self.opened.screenshot(f"{name}-{'narrow' if narrow else theme.lower()}", widget)
        return looks


def toggle(widget, name="Show as table"):
    widget.get_by_role("button", name=name).first.click()


def said(widget):
    return widget.locator(".cw-sentence").inner_text()


def seen(text):
    """A token as `visible` of dom.js shows it."""
    signs = {"": "∅", "\udcc3": "‹C3›", "\0": "‹00›", "\u0301": "◌\u0301", "\n": "⏎"}
    return signs.get(text, text.replace(" ", "·"))


# ---- in the evening ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evening(browser, lab):
    """All were shown and saved, and the kernel is gone; since then each was repainted and asked."""
    name = f"{FOLDER}/evening.ipynb"
    source = setup(2, SPECIMENS) + f"odd = {ODD!a}"
    write_notebook(lab.folder / name, source, *(f"{name}(0)" for name in NAMES), "", "")
    with notebook(browser, lab, name, has_touch=True) as opened:
        gallery = Gallery(opened)
        gallery.hands.run(0)
        gallery.wire = {}
        for name in NAMES:
            before = gallery.crossed
            gallery.said[name] = said(gallery.run(gallery.cell(name)))
            gallery.wire[name] = gallery.crossed - before
        opened.save()
        gallery.saved = json.loads(opened.path.read_text(encoding="utf-8"))
        lab.stop_kernels(opened.name)
        gallery.repainted = {}
        for name, specimen in SPECIMENS.items():
            widget = gallery.widget(name)
            before = widget.evaluate(LOOK)
            widget.evaluate(f"(root) => ({specimen.repaint})(root, 0)")
            gallery.repainted[name] = widget.evaluate(LOOK) != before
            if specimen.ask:
                widget.evaluate(f"(root) => ({specimen.ask})(root, 2)")
        yield gallery


@each
def test_few_bytes_cross_and_are_kept(evening, name):
    outputs = evening.saved["cells"][evening.cell(name)]["outputs"]
    assert 10_000 < evening.wire[name] < 400_000
    assert 1000 < len(json.dumps(outputs, ensure_ascii=False).encode()) < 200_000
    assert "".join(outputs[0]["data"]["text/plain"]) == evening.said[name]
    assert "widget-view" not in json.dumps(outputs)


@each
def test_a_dead_kernel_is_said_and_stops_no_hand(evening, name):
    assert evening.repainted[name]
    if SPECIMENS[name].ask:
        wait = evening.hands.cell(evening.cell(name)).locator(".cw-wait")
        expect(wait).to_contain_text("run this cell again", timeout=20_000)


# ---- the next morning --------------------------------------------------------------------------------


@dataclass
class Morning(Gallery):
    """The saved page, opened again: the pictures that it shows, and what its cells say when they are run."""

    def look(self) -> None:
        images = self.page.locator(".jp-OutputArea figure img")
        expect(images).to_have_count(len(NAMES), timeout=PATIENCE)
        self.pictures = dict(zip(NAMES, self.page.evaluate(PICTURES), strict=True))
        self.broken = self.page.get_by_text("Error displaying widget").count()


def morning(lab, evening, trusted: bool) -> str:
    """A copy of the saved notebook. One that somebody else may have changed is not trusted."""
    name = f"{FOLDER}/{'trusted' if trusted else 'untrusted'}.ipynb"
    note = {} if trusted else {"touched": "elsewhere"}  # the signature that the save left no longer fits
    saved = evening.saved | {"metadata": evening.saved["metadata"] | note}
    (lab.folder / name).write_text(json.dumps(saved), encoding="utf-8")
    cells = lab.api("GET", f"contents/{name}")["content"]["cells"]
    assert {cell["metadata"]["trusted"] for cell in cells[1:STAGE]} == {trusted}
    return name


@pytest.fixture(scope="module")
def gallery(browser, lab, evening):
    """The page that the tests below share."""
    with notebook(browser, lab, morning(lab, evening, trusted=True), has_touch=True) as opened:
        gallery = Morning(opened)
        gallery.look()
        gallery.hands.run(0)
        gallery.run_specimens()
        gallery.left = opened.page.locator(".jp-OutputArea figure").count()
        yield gallery


@pytest.fixture(scope="module")
def untrusted(browser, lab, evening, gallery):
    """The same of a file that is not trusted, with the kernel of the other page."""
    name = morning(lab, evening, trusted=False)
    [session] = [s for s in lab.api("GET", "sessions") if s["path"] == gallery.opened.name]
    lab.api("POST", "sessions", {"path": name, "name": name, "type": "notebook", "kernel": session["kernel"]})
    with notebook(browser, lab, name, has_touch=True) as opened:
        untrusted = Morning(opened)
        untrusted.look()
        untrusted.run_specimens()
        untrusted.left = opened.page.locator(".jp-OutputArea figure").count()
        yield untrusted


@pytest.mark.parametrize("page", ["gallery", "untrusted"])
@each
def test_next_morning_the_picture_shows_and_running_makes_it_live(request, evening, page, name):
    page = request.getfixturevalue(page)
    picture = page.pictures[name]
    assert "Run this cell to make it live" in picture["text"]
    assert picture["alt"] == evening.said[name] == page.said[name]
    assert picture["width"] > 400
    assert page.broken == page.left == 0


# ---- what is seen ------------------------------------------------------------------------------------


@each
def test_it_is_small_and_is_shown_as_a_table(gallery, name):
    for looks in gallery.looks(name, *LIGHT):
        assert 10 < looks.nodes < 2000
        assert looks.tables and all(table["caption"] and table["head"] for table in looks.tables)
        assert sum(table["rows"] for table in looks.tables) > 0
        assert looks.hidden == 0


@each_widget
def test_every_target_is_large_enough_for_a_finger(gallery, name):
    assert [looks.small for looks in gallery.looks(name, *LIGHT) if looks.small] == []


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@each_widget
def test_every_text_can_be_read_in_both_themes(gallery, theme, name):
    looks = gallery.looks(name, *theme)
    assert [text for look in looks for text in look.contrasts if text["ratio"] < 4.5] == []
    assert max(len(look.contrasts) for look in looks) >= SPECIMENS[name].texts


def test_the_contrast_check_finds_a_faint_text(gallery):
    gallery.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p id=f style=color:#aaa>faint</p>')"
    )
    [found] = gallery.page.evaluate(
        f"({CONTRASTS})({{ querySelectorAll: () => [document.querySelector('#f')] }})"
    )
    gallery.page.evaluate("document.querySelector('#f').remove()")
    assert found["text"] == "faint" and found["ratio"] < 4.5


@each_widget
def test_it_fits_a_narrow_page(gallery, name):
    assert max(looks.overflow for looks in gallery.looks(name, *NARROW)) <= 0


# ---- what is done ------------------------------------------------------------------------------------


@each_widget
def test_a_finger_does_what_a_mouse_does(gallery, name):
    widget = gallery.widget(name)
    widget.get_by_role("button", name="Show as table").tap()
    expect(widget.locator(".cw-tables table").first).to_be_visible()
    widget.get_by_role("button", name="Hide table").tap()
    expect(widget.locator(".cw-tables table")).to_have_count(0)
    for role in ("option", "tab", "gridcell", "treeitem"):
        item = widget.locator(f"[role={role}]:visible").nth(1)
        if item.count():
            item.tap()
            gallery.settled(widget)
            expect(item).to_have_attribute("aria-selected", "true")
    for kind in ("checkbox", "radio"):
        labels = widget.locator(f"label:has([type={kind}]:enabled:not(:checked)):visible")
        for label in labels.element_handles()[:1]:
            label.tap()
            gallery.settled(widget)
            assert label.query_selector("input").is_checked()


@each_widget
def test_two_on_a_page_are_independent(gallery, name):
    one, two = gallery.widget(name), gallery.stage(f"{name}(1)")
    before, fields, fresh = one.evaluate(LOOK), one.evaluate(FIELDS), two.evaluate(LOOK)
    gallery.do(two, f"(root) => ({SPECIMENS[name].ask or SPECIMENS[name].repaint})(root, 2)")
    assert two.evaluate(LOOK) != fresh
    assert one.evaluate(LOOK) == before and one.evaluate(FIELDS) == fields


@pytest.mark.parametrize("name", [name for name in WIDGETS if SPECIMENS[name].hostile])
def test_odd_texts_are_texts(gallery, name):
    odd = ODD[: SPECIMENS[name].n_odd]
    widget = gallery.stage(f"{name}(0, odd[:{len(odd)}])")
    toggle(widget)
    shown = widget.inner_text()
    for text in odd:
        assert text[:20] in shown or seen(text)[:20] in shown, text  # a long one may be cut
    assert widget.locator("script, img").count() == 0
    assert gallery.page.evaluate("window.pwned") is None
    expect(widget.locator(".cw-problem:visible")).to_have_count(0)
    assert widget.evaluate(OVERFLOW) <= 0
    assert widget.evaluate(NODES) < 2000


@pytest.mark.parametrize("name", [name for name in WIDGETS if SPECIMENS[name].typed])
def test_odd_texts_can_be_typed(gallery, name):
    specimen, widget = SPECIMENS[name], gallery.widget(name)
    for text, says in (specimen.typed | {HALF: "lone surrogate"}).items():
        widget.locator("textarea").evaluate(TYPE, json.dumps(text))
        if specimen.enter:
            widget.evaluate(specimen.enter)
        gallery.settled(widget)
        shown = ISOLATES.sub("", widget.inner_text())
        assert says in shown
        assert text != LONG or "10,000 characters" in shown
        assert gallery.page.evaluate("window.pwned") is None
        if text or not specimen.enter:  # it may refuse to go on from nothing
            expect(widget.locator(".cw-problem:visible")).to_have_count(0)
        toggle(widget)
        assert widget.evaluate(NODES) < 2000
        toggle(widget, "Hide table")


@each_widget
def test_the_keyboard_reaches_and_operates_every_control(gallery, name):
    hands, widget, i = gallery.hands, gallery.widget(name), gallery.cell(name)
    cells = gallery.page.evaluate_handle("[...document.querySelectorAll('.jp-Cell')]")
    gallery.choose(i)
    hands.tour(i, widget)
    hands.operate(i, widget, COMMANDS)
    assert cells.evaluate(SAME_CELLS), "a key became a command of JupyterLab"
    assert gallery.page.locator(".jp-CodeCell").count() == STAGE + 2


# ---- all of it ---------------------------------------------------------------------------------------


def test_nothing_is_asked_of_another_machine(evening, gallery, untrusted):
    for page in (evening, gallery, untrusted):
        assert page.opened.refused == []


def test_every_widget_has_a_specimen():
    assert without_specimen() == []
