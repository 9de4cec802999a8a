"""Chapter 1 worked through by keyboard alone, from its first cell to its last, as a learner's copy has it.

Nothing here uses a mouse, or moves the focus by script: the hands are on the keyboard, all else only looks.
"""

import json
import re

import nbformat
import pytest
from harness import PATIENCE, ROOT, notebook, running_lab
from playwright.sync_api import Locator, expect

from course_utils.checks import CHECKS
from course_utils.classroom import release
from course_utils.quizzes import all_questions

expect.set_options(timeout=PATIENCE)  # the machine may be busy; only a hang may reach it
CHAPTER = "01_ngrams.ipynb"
ACTIVE, NUMBER = re.compile("jp-mod-active"), re.compile(r"^\[\d+\]:$")

# exercise: what its solution says, what a learner may write there, and the sentence that this earns
SLIPS = {
    "1.1": ("len(text) - n + 1", "len(text) - n", "The last n-gram is missing."),
    "1.2": ("count / total", "count", "These are counts; a distribution sums to 1."),
    "1.3": ("-math.log2(p)", "-math.log(p)", "Nats need e, bits need 2."),
    "1.4": (
        "weights[:, None] * held_out_probs",
        "weights[:, None] * train_probs",
        "The highest order takes all weight on text it has counted; use held-out.",
    ),
    "1.5": ("D * len(counts) / total", "D", "The mass freed is D times the number of distinct followers."),
    "1.6": ("for _, word in", "for word, _ in", "You counted what comes after; count what comes before."),
}


class Learner:
    """Hands on the keyboard of an open notebook. Cells are known by their place in it, from 0."""

    def __init__(self, opened):
        self.opened, self.page = opened, opened.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def cell(self, i: int) -> Locator:
        return self.page.locator(f'.jp-Cell[data-windowed-list-index="{i}"]')

    def go_to(self, i: int) -> None:
        """By arrow keys, from the cell that is chosen now."""
        chosen = self.page.locator(".jp-Cell.jp-mod-active")
        while (now := int(chosen.get_attribute("data-windowed-list-index"))) != i:
            self.press("ArrowDown" if now < i else "ArrowUp")
            expect(self.cell(now)).not_to_have_class(ACTIVE)

    def read(self, i: int) -> None:
        """Go on from a cell of text as from all others, with Shift+Enter."""
        self.go_to(i)
        self.press("Shift+Enter")

    def run(self, i: int) -> Locator:
        """Run a cell with Shift+Enter, and wait for its number. Returns the cell, which shows no error."""
        prompt = self.cell(i).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.read(i)
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(NUMBER)
        expect(self.cell(i).locator('[data-mime-type="application/vnd.jupyter.error"]')).to_have_count(0)
        return self.cell(i)

    def run_widget(self, i: int) -> Locator:
        """Run a cell that shows a widget, and come back to it. Returns the widget."""
        widget = self.run(i).locator(".course-widget")
        self.opened.settled(widget)
        self.go_to(i)
        return widget

    def tab_to(self, target: Locator) -> None:
        for _ in range(60):
            self.press("Tab")
            if target.evaluate("(node) => node === document.activeElement"):
                return
        raise AssertionError(f"no way to {target} by the Tab key")

    def leave(self, i: int, name: str) -> None:
        """Take a picture of the widget of cell i, and leave it with Escape."""
        self.opened.screenshot(f"walk-{name}", self.cell(i).locator(".course-widget"))
        self.press("Escape")
        expect(self.cell(i)).to_be_focused()

    def write(self, i: int, code: str) -> None:
        """Write code in the place of what stands in a cell."""
        self.go_to(i)
        self.press("Enter", "Control+a")
        self.page.keyboard.insert_text(code)
        self.press("Escape")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The learner's folder, as `course.py lab` lays it."""
    work = tmp_path_factory.mktemp("walk") / "my_work"
    release.lay_all(ROOT / "notebooks", work)
    return work


@pytest.fixture(scope="module")
def learner(browser, work):
    with (
        running_lab(work.parent, COURSE_WORK=str(work)) as lab,
        notebook(browser, lab, f"{work.name}/{CHAPTER}") as opened,
    ):
        yield Learner(opened)


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
    learner.leave(i, "explorer")


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
    learner.leave(i, f"bet-{i}")


def answer_exercise(learner, i, exercise):
    """Cell i holds the answer, cell i + 1 its check: first the slip, then the solution."""
    solution = CHECKS[exercise].solution
    old, new, earned = SLIPS[exercise]
    slip = solution.replace(old, new)
    for code, says in [(slip, earned), (solution, f"{exercise} {CHECKS[exercise].title}: passed.")]:
        learner.write(i, code)
        learner.run(i)
        verdict = learner.run(i + 1).locator(".jp-OutputArea-output")
        expect(verdict).to_contain_text(says)
        learner.opened.screenshot(f"walk-check-{exercise}-{'slip' if code == slip else 'passed'}", verdict)


def smooth(learner, i):
    """Move k to 5, where it takes nearly everything."""
    widget = learner.run_widget(i)
    learner.tab_to(widget.get_by_role("slider", name="k, added to every count"))
    learner.press("End", "ArrowLeft", "ArrowLeft")
    learner.opened.settled(widget)
    expect(sentence(widget)).to_contain_text("add-k (k = 5)")
    expect(widget.locator(".sl-sum td").first).to_have_text("1.000")
    learner.leave(i, "smoothing")


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
    learner.leave(i, "shannon")


def answer_questions(learner, i):
    """The first one wrong before it is right, the others right."""
    widget = learner.run_widget(i)
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
    learner.leave(i, f"questions-{i}")


WIDGETS = {
    "recall(": answer_questions,
    "from_models(": explore,
    "predict(": bet,
    "smoothing_lab.from": smooth,
    "shannon_game(": play,
    "quiz(": answer_questions,
}


# ---- the walk ----------------------------------------------------------------------------------------


def test_the_whole_chapter_by_keyboard_alone(learner, work):
    cells = nbformat.read(work / CHAPTER, as_version=4).cells
    assert not any("SOLUTION" in cell.source for cell in cells)
    answered = set()
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            learner.read(i)
        elif "check" in cell.metadata.get("tags", []):
            assert cell.metadata.exercise in answered  # it was run with the cell before
        elif exercise := cell.metadata.get("exercise"):
            answer_exercise(learner, i, exercise)
            answered.add(exercise)
        else:
            act = next((act for call, act in WIDGETS.items() if call in cell.source), Learner.run)
            act(learner, i)
    assert answered == SLIPS.keys()

    learner.opened.save()
    outputs = [
        output
        for cell in nbformat.read(work / CHAPTER, as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    assert len(outputs) > 30
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert learner.opened.refused == []  # nothing was asked of another machine


def test_the_progress_file_holds_what_was_done(work):
    kept = json.loads((work / ".course" / "progress.json").read_text(encoding="utf-8"))
    assert kept["exercises"] == {id: {"tries": 1, "passed": True, "seen": False} for id in SLIPS}
    assert kept["predictions"].keys() == {"1.unseen", "1.absolute", "1.file"}
    for settled in kept["predictions"].values():
        assert settled["counts"] and settled["result"] in settled["chips"]
    quiz = {id: answer for id, answer in kept["answers"].items() if id.startswith("1.")}
    assert len(quiz) == 5 and len(kept["answers"]) == 8
    assert all(answer["right"] for answer in kept["answers"].values())
    assert sorted(len(answer["choices"]) for answer in quiz.values()) == [1, 1, 1, 1, 2]
    (text,) = kept["shannon game"].values()
    (passage,) = text.values()
    assert len(passage["guesses"].split()) == 5


def test_the_next_morning_no_exercise_is_open(learner, work):
    learner.opened.lab.stop_kernels()
    learner.opened.open()
    cells = nbformat.read(work / CHAPTER, as_version=4).cells
    i = next(i for i, cell in enumerate(cells) if "core_path(" in cell.source)
    path = learner.run(i).locator(".jp-OutputArea")
    expect(path).to_contain_text("3 of 3 exercises done")
    expect(path).to_contain_text("Last exercise passed: 1.6")
    expect(path).not_to_contain_text("○ Exercise")
    expect(path).not_to_contain_text("Go on")
    learner.opened.screenshot("walk-core-path", path)
