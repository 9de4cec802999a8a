"""What holds for every widget: one contract over the specimens of the gallery.

All stand on one page of one kernel, which makes their models once. In the evening the page is saved and its
kernel stopped; the next morning it is opened again, run, and used by all tests that follow. With
`-k name` the page has that widget alone.
"""

import contextlib
import functools
import json
import re
from dataclasses import dataclass

import pytest
from gallery import HALF, HANDS, LONG, ODD, SPECIMENS, setup, without_specimen
from hands import ERROR, NUMBER, Learner
from harness import CONTRASTS, LIGHT, PATIENCE, Notebook, bytes_from_the_server, notebook, write_notebook
from playwright.sync_api import Locator, TimeoutError, expect

FOLDER = "contract/my_work"  # the learner's progress is kept in a folder of this name
NAMES = list(SPECIMENS)
COMMANDS = ["d", "d", "a", "b", "x", "j", "k", "m"]  # JupyterLab's: delete, insert, cut, leave, convert
ISOLATES = re.compile("[\u2066-\u2069]")  # they keep text that runs from right to left in its place

# all that is drawn and chosen; what is typed, and a slider's place, are the hand's and don't count
LOOK = """(root) => JSON.stringify([root.innerHTML,
  [...root.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
  [...root.querySelectorAll("[type=radio], [type=checkbox], select")].map((f) => [f.checked, f.value])])"""
FIELDS = "(root) => [...root.querySelectorAll('input, select, textarea')].map((f) => [f.value, f.checked])"
NODES = "(root) => root.querySelectorAll('*').length"
# of a tree too, which would scroll in a box of its own
OVERFLOW = """(root) => Math.max(...[root, ...root.querySelectorAll("[role=tree]")].map(
  (node) => node.scrollWidth - node.clientWidth))"""
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
# What is different of a widget, beside others whose style sheets come after its own, from what it is alone.
# Looked at is all that they set, anywhere, and the size: no rule changes more.
BESIDE = """(root, name) => {
  const sheets = [...document.querySelectorAll("style[id^=course_utils]")];
  const own = sheets.find(({ id }) => id.includes(`.${name}.`));
  const others = sheets.filter((sheet) => sheet !== own);
  const set = (rule) => [...(rule.style ?? []), ...[...(rule.cssRules ?? [])].flatMap(set)];
  const properties = [...new Set([...others.flatMap(({ sheet }) => set(sheet)), "width", "height"])];
  const looks = () => [...root.querySelectorAll("*")].flatMap((node) => {
    const style = getComputedStyle(node);
    return properties.map((is) => style.getPropertyValue(is));
  });
  sheets[0].before(own); // after those of JupyterLab, as always
  const beside = looks();
  for (const sheet of others) sheet.disabled = true;
  const alone = looks();
  for (const sheet of others) sheet.disabled = false;
  const nodes = root.querySelectorAll("*"), told = (i) => nodes[Math.floor(i / properties.length)].outerHTML;
  const differences = beside.flatMap((look, i) => look === alone[i] ? [] :
    [`${properties[i % properties.length]}: ${look}, alone ${alone[i]}: ${told(i).slice(0, 100)}`]);
  return { others: others.length, properties: properties.length, differences: differences.slice(0, 10) };
}"""
# half a character crosses in no other way
TYPE = "(field, text) => fill(field, JSON.parse(text))"
PICTURES = """() => [...document.querySelectorAll(".jp-OutputArea figure")].map((figure) => {
  const img = figure.querySelector("img");
  return { text: figure.textContent, alt: img.alt, width: img.complete && img.naturalWidth };
})"""
SHOW_TABLE = "(root) => root.querySelector('.cw-foot [aria-expanded=false]')?.click()"
HIDE_TABLE = SHOW_TABLE.replace("false", "true")
ALL_HAVE_SAID = (
    "(n) => [...document.querySelectorAll('.cw-wait')].filter((wait) => wait.textContent).length >= n"
)
SAME_CELLS = "(cells) => [...document.querySelectorAll('.jp-Cell')].every((cell, i) => cell === cells[i])"

each = pytest.mark.parametrize("name", NAMES)
# the sampling lab with nine samplers is the same widget with more to compute
WIDGETS = [name for name in NAMES if name != "sampling_lab_nine"]
each_widget = pytest.mark.parametrize("name", WIDGETS)


@dataclass
class Look:
    """What was seen of a specimen in one of its states, with its table."""

    nodes: int
    tables: list[dict]
    small_targets: list[str]
    contrasts: list[dict]
    overflow: int  # px, the most at any of the widths


class Gallery:
    """The opened page with a cell for each of these specimens, and what each said when it was new.

    `stage` is the cell after theirs, for other widgets; an empty one follows.
    """

    def __init__(self, opened: Notebook, names: list[str]):
        self.opened, self.page, self.hands = opened, opened.page, Learner(opened)
        self.names, self.stage = names, len(names) + 1
        self.page.evaluate(f"() => {{ {HANDS} }}")
        self.said: dict[str, str] = {}
        self.looks = functools.cache(self._looks)

    def cell(self, name: str) -> int:
        return self.names.index(name) + 1

    def choose(self, i: int) -> None:
        """Put the keyboard on a cell."""
        self.hands.cell(i).locator(".jp-InputPrompt").click()

    def run(self, i: int) -> Locator:
        """Run a cell, and return the widgets that it shows."""
        prompt = self.hands.cell(i).locator(".jp-InputPrompt")
        prompt.evaluate("(prompt) => { prompt.textContent = ''; }")
        self.choose(i)
        self.hands.press("Control+Enter")
        prompt.and_(self.page.get_by_text(NUMBER)).wait_for(timeout=4 * PATIENCE)
        assert self.hands.cell(i).locator(ERROR).all_text_contents() == []
        widgets = self.hands.cell(i).locator(".course-widget")
        for widget in widgets.all():
            self.settled(widget)
        return widgets

    def widget(self, name: str, width: int = 1280) -> Locator:
        widget = self.hands.cell(self.cell(name)).locator(f"{LIGHT}.course-widget")
        self.resize(width)
        widget.scroll_into_view_if_needed()
        self.settled(widget)
        return widget

    def resize(self, width: int) -> None:
        if self.page.viewport_size["width"] != width:
            self.page.set_viewport_size({"width": width, "height": 1000})

    def settled(self, widget: Locator) -> None:
        quiet = self.page.locator(f'{LIGHT}[data-state="idle"]:not(:has([aria-busy=true]))')
        widget.and_(quiet).wait_for(timeout=PATIENCE)

    def do(self, widget: Locator, script: str) -> None:
        widget.evaluate(script)
        self.settled(widget)

    def _looks(self, name: str, theme: str) -> list[Look]:
        """The specimen as it is and in its states: light on a wide page, dark on narrow ones."""
        specimen, light = SPECIMENS[name], str(theme == "Light").lower()
        if self.page.locator("body").get_attribute("data-jp-theme-light") != light:
            self.opened.theme(theme)
        widths = [1280] if theme == "Light" else specimen.narrow
        widget, looks = self.widget(name, widths[0]), []
        node = widget.element_handle()  # which answers sooner than a locator
        node.evaluate(SHOW_TABLE)
        for state in ("() => {}", *specimen.states):
            self.do(widget, state)
            overflows = []
            for width in widths:
                self.resize(width)
                overflows.append(node.evaluate(OVERFLOW))
            seen = [node.evaluate(script) for script in (NODES, TABLES, SMALL_TARGETS, CONTRASTS)]
            looks.append(Look(*seen, max(overflows)))
        node.evaluate(HIDE_TABLE)
        self.opened.screenshot(f"{name}-{theme.lower()}", widget)
        return looks


def sentence(widget):
    said = widget.locator(".cw-sentence")
    expect(said).to_have_text(re.compile(r"\S"), timeout=PATIENCE)  # the first widget of a page is slow
    return said.text_content()  # inner_text is "" where JupyterLab leaves a cell unpainted, off the screen


def seen(text):
    """A token as `visible` of dom.js shows it."""
    signs = {"": "∅", "\udcc3": "‹C3›", "\0": "‹00›", "\u0301": "◌\u0301", "\n": "⏎"}
    return signs.get(text, text.replace(" ", "·"))


# ---- in the evening ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def names(request):
    """The specimens that tests of this run ask for."""
    tests = [item for item in request.session.items if item.path == request.path]
    asked = {value for test in tests if hasattr(test, "callspec") for value in test.callspec.params.values()}
    return [name for name in NAMES if name in asked]


@pytest.fixture(scope="module")
def evening(browser, lab, names):
    """What was seen when all were shown and saved, and when each was repainted and asked without a kernel."""
    file, shown = f"{FOLDER}/evening.ipynb", {name: SPECIMENS[name] for name in names}
    source = setup(2, shown) + f"odd = {ODD!a}"
    write_notebook(lab.folder / file, source, *(f"{name}(0)" for name in names), "", "")
    with notebook(browser, lab, file) as opened:
        gallery, crossed = Gallery(opened, names), bytes_from_the_server(opened.page)
        gallery.run(0)
        gallery.wire = {}
        for name in names:
            before = sum(crossed)
            gallery.said[name] = sentence(gallery.run(gallery.cell(name)))
            gallery.wire[name] = sum(crossed) - before
        opened.save()
        gallery.saved = json.loads(opened.path.read_text(encoding="utf-8"))
        lab.stop_kernels(opened.name)
        gallery.repainted = {}
        for name, specimen in shown.items():
            widget = gallery.widget(name)
            before = widget.evaluate(LOOK)
            widget.evaluate(f"(root) => ({specimen.repaint})(root, 0)")
            gallery.repainted[name] = widget.evaluate(LOOK) != before
            if specimen.ask:
                widget.evaluate(f"(root) => ({specimen.ask})(root, 2)")
        with contextlib.suppress(TimeoutError):  # each test says which one did not
            opened.page.wait_for_function(ALL_HAVE_SAID, arg=sum(bool(s.ask) for s in shown.values()))
        gallery.waits = dict(
            zip(names, opened.page.locator(".cw-wait[role=status]").all_text_contents(), strict=True)
        )
    return gallery


@each
def test_few_bytes_cross_and_are_kept(evening, name):
    outputs = evening.saved["cells"][evening.cell(name)]["outputs"]
    assert 10_000 < evening.wire[name] < 400_000
    assert 1000 < len(json.dumps(outputs, ensure_ascii=False).encode()) < 200_000
    assert "".join(outputs[0]["data"]["text/plain"]) == evening.said[name]
    assert "widget-view" not in json.dumps(outputs) and "widgets" not in evening.saved["metadata"]


@each
def test_a_dead_kernel_is_said_and_stops_no_hand(evening, name):
    assert evening.repainted[name]
    assert not SPECIMENS[name].ask or "run this cell again" in evening.waits[name]


# ---- the next morning --------------------------------------------------------------------------------


class Morning(Gallery):
    """The saved page, opened again: the pictures that it shows, and what its cells say when they are run."""

    def __init__(self, opened: Notebook, names: list[str]):
        super().__init__(opened, names)
        images = self.page.locator(".jp-OutputArea figure img")
        expect(images).to_have_count(len(names), timeout=PATIENCE)
        self.pictures = dict(zip(names, self.page.evaluate(PICTURES), strict=True))
        self.broken = self.page.get_by_text("Error displaying widget").count()

    def run_specimens(self) -> None:
        self.choose(1)
        self.opened.menu("Run", "Run Selected Cell and All Below")
        self.listen(self.names)

    def listen(self, names: list[str]) -> None:
        """Note what these, which were run, say, and how many pictures still stand on the page."""
        for name in names:
            self.said[name] = sentence(self.widget(name))
        self.left = self.page.locator(".jp-OutputArea figure").count()


def morning(lab, evening, trusted: bool) -> str:
    """A copy of the saved notebook. One that somebody else may have changed is not trusted."""
    name = f"{FOLDER}/{'trusted' if trusted else 'untrusted'}.ipynb"
    note = {} if trusted else {"touched": "elsewhere"}  # the signature that the save left no longer fits
    saved = evening.saved | {"metadata": evening.saved["metadata"] | note}
    (lab.folder / name).write_text(json.dumps(saved), encoding="utf-8")
    cells = lab.api("GET", f"contents/{name}")["content"]["cells"]
    assert {cell["metadata"]["trusted"] for cell in cells[1 : evening.stage]} == {trusted}
    return name


@pytest.fixture(scope="module")
def gallery(browser, lab, evening):
    """The page that the tests below share."""
    name, kernel = morning(lab, evening, trusted=True), lab.start_kernel(FOLDER)
    lab.share(kernel, name)
    with notebook(browser, lab, name, has_touch=True) as opened:
        gallery = Morning(opened, evening.names)
        gallery.kernel = kernel
        gallery.run(0)
        gallery.run_specimens()
        yield gallery


@pytest.fixture(scope="module")
def untrusted(browser, lab, evening, gallery):
    """The same of a file that is not trusted, with the kernel of the other page. Two of its cells are run:
    trust is about what a cell has stored, whatever widget that was."""
    file = morning(lab, evening, trusted=False)
    lab.share(gallery.kernel, file)
    with notebook(browser, lab, file) as opened:
        untrusted = Morning(opened, evening.names)
        two = untrusted.names[:2]
        for name in two:
            untrusted.run(untrusted.cell(name))
        untrusted.listen(two)
    return untrusted


@pytest.mark.parametrize("page", ["gallery", "untrusted"])
@each
def test_next_morning_the_picture_shows_and_running_makes_it_live(request, evening, page, name):
    page = request.getfixturevalue(page)
    picture = page.pictures[name]
    assert "Run this cell to make it live" in picture["text"]
    assert picture["alt"] == evening.said[name] == page.said.get(name, picture["alt"])
    assert picture["width"] > 400
    assert page.broken == 0 and page.left == len(page.names) - len(page.said) and page.said


# ---- what is seen ------------------------------------------------------------------------------------


@each
def test_it_is_small_and_is_shown_as_a_table(gallery, name):
    for look in gallery.looks(name, "Light"):
        assert 10 < look.nodes < 2000
        assert look.tables and all(table["caption"] and table["head"] for table in look.tables)
        assert sum(table["rows"] for table in look.tables) > 0


@each_widget
def test_no_value_beside_a_control_is_an_output(gallery, name):
    """It would be what the label names, what clicks go to, and spoken after the control that says it."""
    cell = gallery.hands.cell(gallery.cell(name))
    expect(cell.locator(".course-widget label output")).to_have_count(0)


@each_widget
def test_every_target_is_large_enough_for_a_finger(gallery, name):
    looks = gallery.looks(name, "Light") + gallery.looks(name, "Dark")
    assert [look.small_targets for look in looks if look.small_targets] == []


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@each_widget
def test_every_text_can_be_read_in_both_themes(gallery, theme, name):
    looks = gallery.looks(name, theme)
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
    assert max(look.overflow for look in gallery.looks(name, "Dark")) <= 0


@each_widget
def test_it_looks_beside_others_as_it_does_alone(gallery, name):
    others = {*gallery.names} & {*WIDGETS} - {name}
    if not others:
        pytest.skip("`-k name` shows it alone")
    found = gallery.widget(name).evaluate(BESIDE, name)
    assert found["differences"] == []
    assert found["others"] == len(others) and found["properties"] > 50


def test_the_check_beside_others_finds_a_rule_that_reaches_them(gallery):
    rule = "@media all { .jp-Cell { .course-widget .cw-sentence { letter-spacing: 1px } } }"
    place = "document.head.insertAdjacentHTML('beforeend', `<style id='course_utils.a.b'>${rule}</style>`)"
    gallery.page.evaluate(f"(rule) => {place}", rule)
    name = gallery.names[0]
    found = gallery.widget(name).evaluate(BESIDE, name)
    gallery.page.evaluate("document.getElementById('course_utils.a.b').remove()")
    assert any(told.startswith("letter-spacing: 1px, alone normal:") for told in found["differences"])


# ---- what is done ------------------------------------------------------------------------------------


@each_widget
def test_a_finger_does_what_a_mouse_does(gallery, name):
    widget = gallery.widget(name)
    widget.get_by_role("button", name="Show as table").tap()
    expect(widget.locator(".cw-tables table").first).to_be_visible()
    widget.get_by_role("button", name="Hide table").tap()
    expect(widget.locator(".cw-tables *")).to_have_count(0)
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


@pytest.fixture(scope="module", params=WIDGETS)
def staged(request, gallery):
    """Two more of a specimen, in a cell of their own: the next one, and one of odd texts."""
    name = request.param
    old = gallery.hands.cell(gallery.stage).locator(".course-widget")
    old.evaluate_all("(old) => old.forEach((widget) => widget.remove())")
    gallery.choose(gallery.stage)
    gallery.hands.write(gallery.stage, f"display({name}(1), {name}(0, odd[: {SPECIMENS[name].n_odd}]))")
    two, odd = gallery.run(gallery.stage).all()
    return name, two, odd


def test_two_on_a_page_are_independent(gallery, staged):
    name, two, _ = staged
    one = gallery.widget(name)
    before, fields, fresh = one.evaluate(LOOK), one.evaluate(FIELDS), two.evaluate(LOOK)
    gallery.do(two, f"(root) => ({SPECIMENS[name].ask or SPECIMENS[name].repaint})(root, 2)")
    assert two.evaluate(LOOK) != fresh
    assert one.evaluate(LOOK) == before and one.evaluate(FIELDS) == fields
    two.evaluate(SHOW_TABLE)
    assert two.evaluate(NODES) < 2000  # after an answer too


def test_odd_texts_are_texts(gallery, staged):
    name, _, widget = staged
    widget.evaluate(SHOW_TABLE)
    shown = widget.inner_text()
    for text in ODD[: SPECIMENS[name].n_odd]:
        assert text[:20] in shown or seen(text)[:20] in shown, text  # a long one may be cut
    assert widget.locator("script, img").count() == 0
    assert gallery.page.evaluate("window.pwned") is None
    expect(widget.locator(".cw-problem:visible")).to_have_count(0)
    assert widget.evaluate(OVERFLOW) <= 0
    assert widget.evaluate(NODES) < 2000


@pytest.mark.parametrize("name", [name for name in WIDGETS if SPECIMENS[name].typed])
def test_odd_texts_can_be_typed(gallery, name):
    specimen, widget = SPECIMENS[name], gallery.widget(name)
    gallery.do(widget, "(root) => fill(root.querySelector('textarea'), 'another')")
    widget.evaluate(SHOW_TABLE)
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
        assert widget.evaluate(NODES) < 2000
    widget.evaluate(HIDE_TABLE)


@each_widget
def test_the_keyboard_reaches_and_operates_every_control(gallery, name):
    hands, widget, i = gallery.hands, gallery.widget(name), gallery.cell(name)
    cells = gallery.page.evaluate_handle("[...document.querySelectorAll('.jp-Cell')]")
    gallery.choose(i)
    hands.tour(i, widget)
    hands.operate(i, widget, COMMANDS)
    assert cells.evaluate(SAME_CELLS), "a key became a command of JupyterLab"
    assert gallery.page.locator(".jp-CodeCell").count() == gallery.stage + 2


def test_every_widget_has_a_specimen():
    assert without_specimen() == []
