"""What a learner sees first of each chapter, in JupyterLab as `course.py lab` opens it; and folded cells."""

import os
import shutil

import nbformat
import pytest
from hands import Learner
from harness import ROOT, notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect

CHAPTERS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
FOLDER, SMALL = "first/my_work", "small.ipynb"
FOLDED = {"jupyter": {"source_hidden": True}}
FOLD, OUTPUT = ".jp-InputPlaceholder", ".jp-OutputArea-output"
# px from the notebook's top to the widget: title, promise, the call, and some 37 for each folded cell
HIGHEST = 400
LEAST = 480  # px of the widget that are seen at least, if it isn't seen whole
# What stands above the widget is the same then: the strict run compares it with what is stored.
LONG = pytest.mark.skipif(
    not os.environ.get("COURSE_FULL"), reason="ten seconds each; `course.py test --full` runs all chapters"
)


@pytest.fixture(scope="module")
def kernel(lab):
    """One for all chapters, for what they import takes the most of their set-up.

    It runs in their folder: the chapters with the outputs that are stored in them.
    """
    (lab.folder / FOLDER).mkdir(parents=True)
    for name in CHAPTERS:
        shutil.copy(ROOT / "notebooks" / name, lab.folder / FOLDER)
    kernel = lab.start_kernel(FOLDER)
    yield kernel
    lab.api("DELETE", f"kernels/{kernel}")


def assert_first(learner, play, shown):
    """What the cell `play` shows is on the first screen, and above it are title, promise and folded cells."""
    opened = learner.opened
    opened.page.locator(".jp-WindowedPanel-outer").evaluate("(panel) => panel.scrollTo(0, 0)")
    for i in range(1, play):
        expect(learner.cell(i).locator(FOLD)).to_be_visible()
        expect(learner.cell(i).locator(".cm-editor")).to_have_count(0)
        expect(learner.cell(i).locator(OUTPUT)).to_have_count(0)
    panel, box = opened.page.locator(".jp-Notebook").bounding_box(), shown.bounding_box()
    seen = panel["y"] + panel["height"] - box["y"]
    assert 0 < box["y"] - panel["y"] <= HIGHEST, f"the widget begins {box['y'] - panel['y']:.0f} px down"
    assert seen >= min(box["height"], LEAST), f"{seen:.0f} px of {box['height']:.0f} are seen"


def take_pictures(opened, name):
    """For people to look at; in the dark too where there is time."""
    opened.screenshot(f"{name}-light")
    if os.environ.get("COURSE_FULL"):
        opened.theme("Dark")
        opened.screenshot(f"{name}-dark")
        opened.theme("Light")


@pytest.fixture(scope="module")
def screen(browser, lab, kernel):
    """JupyterLab with its list of files, in which one notebook after the other is opened."""
    folded = [new_code_cell(source, metadata=FOLDED) for source in ("# Set-up: more\n1 / 0", "x = 1")]
    cells = [new_markdown_cell("# Title"), *folded, new_code_cell("x"), new_markdown_cell("The end")]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), lab.folder / SMALL)
    lab.share(kernel, SMALL)
    with notebook(browser, lab, SMALL, view="lab") as opened:
        yield opened


@pytest.fixture
def begun(lab, kernel, screen, name):
    """The chapter of this name, opened, and the place of the cell that shows its widget."""
    path = f"{FOLDER}/{name}"
    cells = nbformat.read(lab.folder / path, as_version=4).cells
    lab.share(kernel, path)
    screen.switch(path)
    return Learner(screen), next(
        i for i, cell in enumerate(cells) if i and "set-up" not in cell.metadata.get("tags", ())
    )


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_opens_with_its_widget(screen, begun, name):
    learner, play = begun
    assert_first(learner, play, learner.cell(play).locator(OUTPUT))  # as it is stored
    take_pictures(screen, f"first-{name[:2]}-stored")
    learner.cell(0).click()
    # from the title to the first folded cell, and into it
    learner.press("Escape", "Shift+Enter", "Enter")
    expect(learner.cell(1).locator(".cm-content")).to_be_focused()


@pytest.mark.parametrize("name", [*CHAPTERS[:2], *(pytest.param(name, marks=LONG) for name in CHAPTERS[2:])])
def test_its_widget_is_there_when_it_has_run(screen, begun, name):
    learner, play = begun
    learner.cell(0).click()
    learner.press("Escape", *["Shift+Enter"] * (play + 1))
    widget = learner.ran(play).locator(".course-widget")
    screen.settled(widget)
    assert_first(learner, play, widget)
    take_pictures(screen, f"first-{name[:2]}-live")


@pytest.fixture(scope="module")
def small(screen):
    screen.switch(SMALL)
    return Learner(screen)


def test_an_error_in_a_folded_cell_is_seen(small):
    small.cell(0).click()
    small.press("Escape", "Shift+Enter", "Shift+Enter")
    expect(small.cell(1).locator(OUTPUT)).to_contain_text("ZeroDivisionError")
    expect(small.cell(1).locator(FOLD)).to_contain_text("# Set-up: more")


def test_a_folded_cell_opens_by_keys_from_below_too(small):
    small.cell(3).click()
    small.press("Escape", "Shift+ArrowUp", "Enter")
    expect(small.cell(2).locator(".cm-content")).to_be_focused()


def test_a_folded_cell_opens_by_a_click_and_stays_open_in_the_file(small):
    small.cell(1).locator(FOLD).click()
    expect(small.cell(1).locator(".cm-content")).to_contain_text("1 / 0")
    small.opened.save()
    saved = nbformat.read(small.opened.path, as_version=4).cells
    assert not any("source_hidden" in cell.metadata.get("jupyter", {}) for cell in saved)
