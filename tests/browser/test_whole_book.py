"""Every page of the book as it is read from disk: by touch on a phone, by keyboard alone, by a screen reader.

COURSE_BOOK names a folder that `course.py book` has written. With --full and without it the book is written
first, which takes half an hour.
"""

import os
import re
from pathlib import Path

import pytest
from accessibility import violations
from hands import KEYS
from harness import PATIENCE, ROOT
from playwright.sync_api import expect

from course_utils.classroom.book import make
from course_utils.data import assets

WRITTEN = os.environ.get("COURSE_BOOK")
pytestmark = pytest.mark.skipif(
    not (WRITTEN or os.environ.get("COURSE_FULL")),
    reason="some minutes a chapter; `course.py test --full` writes and reads all of it",
)
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
each_chapter = pytest.mark.parametrize("name", CHAPTERS)
UNDO = {"text": ["Backspace"]}  # or all that follows is asked of a text that nobody has tried
ASK_FOR_A_RUN = {"sealed_prediction"}  # the bet is laid on the page; what would settle it is Python's
ONLY_PICTURES = {"completion_bench"}  # a learner's own function writes
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
MOST_BYTES = 3_000_000  # of a page without its data

# The lines, controls and pictures that can't be brought into sight whole: they reach out of the screen, or of
# a box that hides what is outside and doesn't say so by an ellipsis, and nothing scrolls between.
# A label below the only line of its box was left out, since it has no room there.
CUT_OFF = """() => {
  const rectsOf = (node) => {
    if (node.matches("img, svg, canvas, input, select, textarea, button")) return [...node.getClientRects()];
    const texts = [...node.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE && one.data.trim());
    const range = document.createRange();
    return texts.flatMap((text) => (range.selectNodeContents(text), [...range.getClientRects()]));
  };
  const isCut = (rect, edge) => (rect.right > edge.right + 1 || rect.left < edge.left - 1) &&
    rect.top < edge.bottom && rect.bottom > edge.top;
  const screen = { left: 0, right: innerWidth, top: -Infinity, bottom: Infinity };
  const isCutOff = (node) => {
    const rects = rectsOf(node);
    for (let box = node; box && rects.length; box = box.parentElement) {
      const { overflowX, textOverflow } = getComputedStyle(box), edge = box.getBoundingClientRect();
      if (["auto", "scroll"].includes(overflowX) || textOverflow === "ellipsis") return false;
      if (edge.width <= 1) return false; // it is only read aloud
      if (overflowX !== "visible" && rects.some((rect) => isCut(rect, edge))) return true;
    }
    return rects.some((rect) => isCut(rect, screen));
  };
  return [...document.querySelectorAll("article *")]
    .filter((node) => node.checkVisibility({ visibilityProperty: true }) && isCutOff(node))
    .map((node) => node.outerHTML.slice(0, 120));
}"""
# A page scrolls what is wide, and yet not a whole widget.
TOO_WIDE = """(widgets) => widgets.filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.dataset.widget}: ${one.scrollWidth} of ${one.clientWidth} px`)"""
# The widget that the keyboard is in, counted on its page, and the kind of control; null where it was before.
STOP = """() => {
  const at = document.activeElement;
  if (at === document.body || (window.visited ??= new WeakSet()).has(at)) return null;
  visited.add(at);
  const kinds = { A: "link", BUTTON: "button", TEXTAREA: "text" };
  const kind = kinds[at.tagName] ?? (["checkbox", "radio", "text"].includes(at.type) ? at.type : "other");
  return [[...document.querySelectorAll(".course-widget")].indexOf(at.closest(".course-widget")), kind];
}"""
# what waits for a bet too; and wait until the page has heard of its new size
OPEN_ALL = """() => {
  document.querySelectorAll(".course-held").forEach((one) => one.dispatchEvent(new Event("beforematch")));
  document.querySelectorAll("article details").forEach((one) => (one.open = true));
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)));
}"""
LOOK = """(root) => root.innerHTML +
  [...root.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()) +
  [...root.querySelectorAll("input, select, textarea")].map((field) => [field.value, field.checked])"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    if WRITTEN:
        return Path(WRITTEN).resolve()
    folder, chapters = tmp_path_factory.mktemp("book"), sorted((ROOT / "notebooks").glob("*.ipynb"))
    make(chapters, ROOT / "README.md", folder, cache=assets.cache() / "book")
    return folder


@pytest.fixture
def visit(book, browser):
    """Open a page of the book, with these settings of the browser's. It asks for nothing outside."""
    contexts, asked, errors = [], [], []

    def visit(name, **settings):
        contexts.append(browser.new_context(offline=True, **settings))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.goto((book / f"{name}.html").as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors
    assert asked and all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def lives(page, book, name):
    """The records of the widgets that stand on a page, in their order there."""
    places = re.findall(r'data-live="(\d+)"', (book / f"{name}.html").read_text("utf-8"))
    records = page.evaluate("courseBook.records.map(({ kind, life }) => ({ kind, life }))")
    shown = [records[int(place)] for place in places]
    return [record for record in shown if record["life"] != "picture only"]


def settled(page):
    page.wait_for_function(
        "![...document.querySelectorAll('.course-widget')].some((one) => one.dataset.state !== 'idle')",
        timeout=PATIENCE,
    )


@each_chapter
def test_each_widget_lives_on_a_page_of_moderate_size(visit, book, name):
    page = visit(name)
    assert (book / f"{name}.html").stat().st_size < MOST_BYTES
    records = lives(page, book, name)
    kinds = page.locator(".course-widget").evaluate_all("all => all.map((one) => one.dataset.widget)")
    assert kinds == [record["kind"] for record in records]
    left = page.locator("[data-live]").evaluate_all(
        "all => all.map((one) => courseBook.records[one.dataset.live].kind)"
    )
    assert {*left} <= ONLY_PICTURES


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "search", *CHAPTERS])
def test_axe_finds_nothing_serious(visit, name, scheme):
    page = visit(name, color_scheme=scheme)
    page.evaluate(OPEN_ALL)
    assert violations(page) == []


@each_chapter
def test_nothing_is_cut_off_on_a_phone_and_fingers_move_things(visit, name):
    page = visit(name, **PHONE)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["viewport"]["width"]
    assert page.evaluate(CUT_OFF) == []
    assert page.locator(".course-widget").evaluate_all(TOO_WIDE) == []
    for widget in page.locator(".course-widget").all():
        kind = widget.get_attribute("data-widget")
        for option in widget.locator("[role=option][aria-selected=false]:visible").all()[:1]:
            before = widget.evaluate(LOOK)
            option.tap()
            settled(page)
            assert widget.evaluate(LOOK) != before, f"{kind}: a tap on an option"
        for slider in widget.locator("input[type=range]:enabled:visible").all():
            before = widget.evaluate(LOOK)
            drag(page, slider)
            settled(page)
            assert widget.evaluate(LOOK) != before, f"{kind}: {slider.get_attribute('aria-label')}"


def drag(page, slider):
    """By a finger, from the thumb to the left end, for a bet's chips may all be laid; else to the right."""
    slider.evaluate("(one) => one.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = slider.bounding_box()
    share = slider.evaluate("(one) => (one.value - one.min) / (one.max - one.min)")
    y, left, right = box["y"] + box["height"] / 2, box["x"] + 8, box["x"] + box["width"] - 8
    start, end = left + share * (right - left), left if share > 0.1 else right
    devtools = page.context.new_cdp_session(page)
    for kind, xs in {"touchStart": [start], "touchMove": [end], "touchEnd": []}.items():
        points = [{"x": x, "y": y} for x in xs]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@each_chapter
def test_every_control_is_reached_by_tab_and_each_widget_answers(visit, book, name):
    """One that is alive answers to all that the keyboard does; one on examples to some."""
    page = visit(name)
    page.evaluate(OPEN_ALL)
    records, widgets = lives(page, book, name), page.locator(".course-widget").all()
    answered, refused, used = ([0] * len(widgets) for _ in range(3))
    page.keyboard.press("Tab")
    while stop := page.evaluate(STOP):
        at, kind = stop
        if at >= 0:
            widget = widgets[at]
            for key in [*KEYS[kind], *UNDO.get(kind, [])]:
                before = widget.evaluate(LOOK)
                page.keyboard.press(key)
                settled(page)
                is_refused = widget.locator(":scope > .cw-problem").is_visible()
                refused[at] += is_refused
                answered[at] += not is_refused and widget.evaluate(LOOK) != before
                used[at] += 1
            where = widget.evaluate("(root) => root.contains(document.activeElement)")
            assert where, f"{records[at]['kind']} lost the keyboard after {KEYS[kind]} on a {kind}"
        page.keyboard.press("Tab")
    told = [
        f"{one['kind']}, {one['life']}: {a} of {u} keys answered, {r} refused"
        for one, a, u, r in zip(records, answered, used, refused, strict=True)
    ]
    print(name, *told, sep="\n  ")
    assert all(answered), told
    alive = [one["life"] == "alive" and one["kind"] not in ASK_FOR_A_RUN for one in records]
    assert not any(r for r, is_alive in zip(refused, alive, strict=True) if is_alive), told


def test_the_search_finds_on_disk(visit):
    page = visit("search")
    page.locator("input[name=q]").first.fill("perplexity")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results li a").first).to_be_visible()
