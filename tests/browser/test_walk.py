"""Chapters worked through by keyboard alone, from the first cell to the last, as a learner's copy has them.

Every exercise is solved, every question answered, every bet placed, and of each other widget every control is
reached, operated and left. Chapter 1 is worked through with all that it proposes.

Nothing here uses a mouse, or moves the focus by script: the hands are on the keyboard, all else only looks.
"""

import json
import os
import re

import nbformat
import pytest
from hands import Learner
from harness import PATIENCE, ROOT, notebook, running_lab, write_notebook
from playwright.sync_api import expect

from course_utils.classroom import release
from course_utils.learner.checks import CHECKS
from course_utils.learner.checks.slips import Slip
from course_utils.learner.quizzes import all_questions

expect.set_options(timeout=PATIENCE)  # the machine may be busy; only a hang may reach it
CHAPTER, *OTHERS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))  # CI walks the shortest
NGRAMS = "01_ngrams.ipynb"
LONG = pytest.mark.skipif(
    not os.environ.get("COURSE_FULL"), reason="some minutes; `course.py test --full` walks all chapters"
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The learner's folder, as `course.py lab` lays it."""
    work = tmp_path_factory.mktemp("walk") / "my_work"
    release.copy_chapters(ROOT / "notebooks", work)
    return work


@pytest.fixture(scope="module")
def lab(work):
    with running_lab(work.parent, COURSE_WORK=str(work)) as lab:
        yield lab


@pytest.fixture(scope="module")
def learner(browser, lab):
    with notebook(browser, lab, f"my_work/{CHAPTER}") as opened:
        yield Learner(opened)


def another(learner, name):
    """Another notebook in the place of this one, with a kernel of its own."""
    learner.opened.lab.stop_kernels()
    learner.opened.switch(f"my_work/{name}")


def sentence(widget):
    return widget.locator(".cw-sentence")


# ---- what is done with the cells ---------------------------------------------------------------------


def explore(learner, i):
    """What the chapter proposes: another text, the other smoothing, the longest order, another sample."""
    widget = learner.run_widget(i)
    learner.tab_to(widget.locator("textarea"))
    learner.press("Control+a")
    learner.page.keyboard.type("the king")
    learner.press("Tab", "ArrowDown")  # maximum likelihood
    learner.tab_to(widget.locator(".ng-rows"))
    learner.press("ArrowDown", "Home")
    learner.opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Order 8 looks at “he·king”, counted")
    before = sentence(widget).inner_text()
    learner.tab_to(widget.get_by_role("button", name="Another one"))
    learner.press("Enter")
    learner.opened.settled(widget)
    expect(sentence(widget)).not_to_have_text(before)
    learner.leave(i)


def bet(learner, i):
    """All chips of the first option go to the third."""
    widget = learner.run_widget(i)
    learner.tab_to(widget.get_by_role("slider").nth(0))
    learner.press("Home")
    learner.tab_to(widget.get_by_role("slider").nth(2))
    learner.press("End")
    learner.tab_to(widget.get_by_role("button", name="Place the bet"))
    learner.press("Enter")
    expect(widget.get_by_role("button", name="Bet placed, locked")).to_be_focused()
    learner.opened.settled(widget)
    learner.leave(i)


def first_slip(check):
    """The first slip that can stand in a cell, without a helper of its module: its code and its sentence."""
    for slip in check.mistakes:
        if isinstance(slip, Slip):
            code, cell = f"{check.imports}\n\n\n{slip.source}", {}
            exec(code, cell)
            if check.run(cell[check.reference.__name__]).sentence == slip.sentence:
                return code, re.sub("[`*]", "", slip.sentence)  # as it is rendered
    raise AssertionError(f"no slip of {check.id} stands alone")


def answer_exercise(learner, i, exercise):
    """Cell i holds the answer, cell i + 1 its check: first a slip, then the solution."""
    solution = CHECKS[exercise].solution
    passed = f"{exercise} {CHECKS[exercise].title}: passed."
    for code, says in (first_slip(CHECKS[exercise]), (solution, passed)):
        learner.write(i, code)
        learner.run(i)
        verdict = learner.run(i + 1).locator(".jp-OutputArea-output")
        expect(verdict).to_contain_text(says)
        learner.opened.screenshot(
            f"walk-check-{exercise}-{'passed' if code == solution else 'slip'}", verdict
        )


def smooth(learner, i):
    """Move k to 5, where it takes nearly everything."""
    widget = learner.run_widget(i)
    learner.tab_to(widget.get_by_role("slider", name="k, added to every count"))
    learner.press("End", "ArrowLeft", "ArrowLeft")
    learner.opened.settled(widget)
    expect(sentence(widget)).to_contain_text("add-k (k = 5)")
    expect(widget.locator(".sl-sum td").first).to_have_text("1.000")
    learner.leave(i)


def play(learner, i):
    """Five characters; each that three guesses don't find is shown on request."""
    widget = learner.run_widget(i)
    learner.tab_to(widget.locator(".sg-input"))
    for found in range(5):
        for key in ("e", "t", "Space"):
            if widget.locator(".sg-cell").count() == found:
                learner.press(key)
        if widget.locator(".sg-cell").count() == found:
            learner.tab_to(widget.get_by_role("button", name="Show me", exact=True))
            learner.press("Enter")
            expect(widget.locator(".sg-input")).to_be_focused()
    learner.opened.settled(widget)
    expect(sentence(widget)).to_contain_text("5 characters guessed")
    learner.leave(i)


def answer_questions(learner, i):
    """The first one wrong before it is right, the others right. Those at a chapter's start are folded."""
    widget = learner.run_widget(i)
    if (fold := widget.get_by_role("button", name="Three old questions")).count():
        learner.tab_to(fold)
        learner.press("Enter")
    asked = {q.ask.replace("`", ""): q for chapter in all_questions().values() for q in chapter}
    for number, card in enumerate(widget.locator(".qz-card").all()):
        question = asked[card.locator("legend").inner_text().partition(". ")[2]]
        learner.tab_to(card.get_by_role("radio").first)
        learner.press("Space", *["ArrowDown"] * [choice.right for choice in question.choices].index(True))
        if number == 0:
            learner.press("ArrowDown", "Tab", "Enter")
            expect(card.get_by_role("status")).to_have_text("Not this one. Read why, and try another.")
            learner.press("Shift+Tab", "ArrowUp")
        learner.press("Tab", "Enter")
        expect(card.get_by_role("status")).to_have_text("Right. Under each choice stands why.")
    learner.leave(i)


def run_and_operate(learner, i):
    """Run a cell, and use every control of what it shows."""
    cell = learner.run(i)
    expect(cell.get_by_text("Loading widget...")).to_have_count(0)
    for at, widget in enumerate(cell.locator(".course-widget").all()):
        learner.tour(i, widget)
        learner.operate(i, widget)
        learner.enter(i, widget)
        learner.leave(i, at)


ANYWHERE = {"overview(": answer_questions, "predict(": bet, "quiz(": answer_questions}
WIDGETS = ANYWHERE | {"from_models(": explore, "smoothing_lab.from": smooth, "shannon_game(": play}


# ---- the walk ----------------------------------------------------------------------------------------


def walk(learner, widgets, otherwise):
    """The chapter from its first cell to its last. Returns its outputs, among which is no error."""
    path = learner.opened.path
    cells = nbformat.read(path, as_version=4).cells
    assert not any("SOLUTION" in cell.source for cell in cells)
    learner.read(0)
    last = max(i for i, cell in enumerate(cells) if "set-up" in cell.metadata.get("tags", []))
    learner.run_folded(1, last)
    answered = set()
    for i, cell in enumerate(cells[last + 1 :], start=last + 1):
        if cell.cell_type == "markdown":
            learner.read(i)
        elif "check" in cell.metadata.get("tags", []):
            assert cell.metadata.exercise in answered  # it was run with the cell before
        elif exercise := cell.metadata.get("exercise"):
            answer_exercise(learner, i, exercise)
            answered.add(exercise)
        else:
            act = next((act for call, act in widgets.items() if call in cell.source), otherwise)
            act(learner, i)

    learner.opened.save()
    saved = nbformat.read(path, as_version=4).cells
    same = [cell.id for cell in saved[: len(cells)]] == [cell.id for cell in cells]
    assert same, "a key became a command of JupyterLab"
    assert not any("source_hidden" in cell.metadata.get("jupyter", {}) for cell in saved)  # all were opened
    outputs = [output for cell in saved for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert learner.opened.refused == []  # nothing was asked of another machine
    return outputs


def of_chapter(number, kept):
    return {id: value for id, value in kept.items() if id.startswith(f"{number}.")}


def assert_kept(work, number, bets):
    """The learner's file holds what the walk through a chapter did. Returns all that it holds."""
    kept = json.loads((work / ".course" / "progress.json").read_text(encoding="utf-8"))
    ids = [id for id, check in of_chapter(number, CHECKS).items() if not check.variant_of]
    assert of_chapter(number, kept["exercises"]) == {
        id: {"tries": 1, "passed": True, "seen": False} for id in ids
    }
    predictions = of_chapter(number, kept["predictions"])
    assert predictions.keys() == bets
    for settled in predictions.values():
        assert settled["counts"] and settled["result"] in settled["chips"]
    quiz = of_chapter(number, kept["answers"])
    assert sorted(len(answer["choices"]) for answer in quiz.values()) == [1, 1, 1, 1, 2]
    assert all(answer["right"] for answer in kept["answers"].values())
    return kept


def test_the_whole_chapter_by_keyboard_alone(learner):
    assert len(walk(learner, ANYWHERE, run_and_operate)) > 10


def test_the_progress_file_holds_what_was_done(work):
    assert_kept(work, 0, {"0.context", "0.copied"})


def test_the_next_morning_no_exercise_is_open(learner, work):
    learner.opened.lab.stop_kernels()
    learner.opened.open()
    cells = nbformat.read(work / CHAPTER, as_version=4).cells
    i = next(i for i, cell in enumerate(cells) if "overview(" in cell.source)
    learner.read(0)
    learner.run(1)  # the imports
    path = learner.run(i).locator(".jp-OutputArea")
    expect(path).to_contain_text("2 of 2 exercises done")
    expect(path).to_contain_text("Last exercise passed: 0.2")
    expect(path).not_to_contain_text("○ Exercise")
    expect(path).not_to_contain_text("Go on")
    learner.opened.screenshot("walk-core-path", path)


@LONG
def test_chapter_1_with_all_that_it_proposes(learner, work):
    another(learner, NGRAMS)
    assert len(walk(learner, WIDGETS, Learner.run)) > 30
    kept = assert_kept(work, 1, {"1.unseen", "1.absolute", "1.file", "1.reading"})
    (text,) = kept["shannon game"].values()
    (passage,) = text.values()
    assert len(passage["guesses"].split()) == 5


@LONG
@pytest.mark.parametrize("name", [name for name in OTHERS if name != NGRAMS])
def test_another_chapter_by_keyboard_alone(learner, name):
    another(learner, name)
    assert len(walk(learner, ANYWHERE, run_and_operate)) > 10


# ---- a walk that must fail ---------------------------------------------------------------------------


def test_an_error_in_a_folded_cell_ends_the_walk(learner, work):
    slow, wrong = "# Set-up 1\nimport time\ntime.sleep(2)", "# Set-up 2\n1 / 0"
    path = write_notebook(work / "broken.ipynb", slow, wrong, "# Set-up 3", "1")
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells[:3]:
        cell.metadata.jupyter = {"source_hidden": True}
    nbformat.write(nb, path)
    another(learner, path.name)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        learner.run_folded(0, 2)
