"""The core path follows the notebook, and the progress page what was done."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils.learner import progress
from course_utils.learner.checks import CHECKS
from course_utils.learner.core_path import core_path
from course_utils.learner.overview import overview
from course_utils.learner.predict import predict
from course_utils.learner.progress_page import progress_page
from course_utils.learner.quiz import questions, quiz

pytestmark = pytest.mark.usefixtures("in_memory")


def path_now(chapter):
    return core_path(chapter, progress.current().read())


@pytest.fixture
def chapter():
    """Two core sections of 10 minutes, three core exercises of 5, 6 and 6, and what is not on the path."""

    def section(heading, minutes=None):
        return new_markdown_cell(
            f"intro\n\n## {heading}", metadata={"tags": ["core"], "minutes": minutes} if minutes else {}
        )

    def exercise(id, tags=("exercise", "core")):
        answer = new_code_cell("...", metadata={"exercise": id, "tags": list(tags)})
        check = new_code_cell("...", metadata={"exercise": id, "tags": ["check"]})
        return [new_markdown_cell(f"### {CHECKS[id].heading} <b>"), answer, check]

    nb = new_notebook(
        cells=[
            new_markdown_cell("# N-grams"),
            section("Counting", 10),
            *exercise("1.1"),
            section("Probabilities", 10),
            *exercise("1.2"),
            *exercise("1.3"),
            *exercise("1.4", ["exercise"]),
            section("Deeper"),
        ]
    )
    nbformat.write(nb, "01_ngrams.ipynb")
    return nb


def test_a_fresh_core_path(chapter):
    path = path_now("1")
    assert repr(path) == (
        "Core path of chapter 1: 0 of 3 exercises done, about 37 of 37 minutes left. "
        "Go on: Exercise 1.1 · ●○○ · 5 min <b>."
    )
    heading = chapter.cells[2]
    assert f'<a href="01_ngrams.ipynb#cell-id={heading.id}">Exercise 1.1 · ●○○ · 5 min &lt;b&gt;</a>' in (
        path._repr_html_()
    )


@pytest.mark.parametrize(
    ("done", "left", "next_one"),
    [
        (["1.1"], 22, "1.2"),
        (["1.2"], 11, "1.1"),
        (["1.1", "1.2"], 6, "1.3"),
        (["1.1", "1.2", "1.3"], 0, None),
    ],
)
def test_minutes_left_and_where_to_go_on(chapter, done, left, next_one):
    with progress.current().change() as change:
        for exercise in done:
            change.record(exercise, "passed")
    path = path_now("1")
    assert path.minutes_left == left and (path.next and path.next.exercise) == next_one
    assert f"{len(done)} of 3 exercises done, about {left} of 37" in repr(path)
    assert path._repr_html_().count("✓") == len(done) and ("Go on" in repr(path)) == (next_one is not None)


def test_a_seen_solution_counts_as_done(chapter):
    with progress.current().change() as change:
        change.record("1.1", "seen")
    assert path_now("1").next.exercise == "1.2"


def test_what_was_found_last(chapter):
    bet = predict("1.a", "How many <b>?", ["few", "many"])
    bet.place([75, 25])
    bet.settle("many")
    with progress.current().change() as change:
        change.record("1.1", "passed")
    assert repr(path_now("1")).endswith(
        "Last prediction: How many <b>? “many”, for 2.00 bits. Last exercise passed: 1.1, n-gram counts."
    )
    assert "<b>" not in path_now("1")._repr_html_()


def test_a_strange_progress_file_breaks_nothing(chapter, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    (tmp_path / ".course").mkdir()
    (tmp_path / ".course" / "progress.json").write_text(
        json.dumps({"version": 1, "exercises": {}, "last passed": "77.7"}), encoding="utf-8"
    )
    assert "77.7" not in repr(path_now("1")) and repr(progress_page())


def test_only_the_learners_own_file_is_read(chapter):
    nbformat.write(new_notebook(), "01_ngrams.before-reset-1.ipynb")
    nbformat.write(new_notebook(), "01_ngrams.new-12345678.ipynb")
    nbformat.write(new_notebook(), "01_ngrams-Copy1.ipynb")
    nbformat.write(new_notebook(), "01_ngrams (1).ipynb")
    assert "37 minutes" in repr(path_now("1"))


def test_a_split_answer_counts_once_and_an_exercise_that_is_gone_not_at_all(chapter):
    gone = new_code_cell("...", metadata={"exercise": "1.77", "tags": ["core"]})
    second_half = new_code_cell("...", metadata=chapter.cells[3].metadata)
    chapter.cells += [second_half, gone]
    nbformat.write(chapter, "01_ngrams.ipynb")
    assert "of 3 exercises done, about 37 of 37" in repr(path_now("1"))


CELL = {"cell_type": "code", "id": "a", "source": [], "metadata": {}}
DAMAGED = [3, {}, CELL | {"source": 3}, CELL | {"metadata": 3}, CELL | {"metadata": {"tags": [[]]}}]


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[" * 100_000,
        "[3]",
        *(json.dumps({"cells": cells}) for cells in (3, *([c] for c in DAMAGED))),
    ],
    ids=lambda content: str(content)[:60],
)
def test_no_chapter_that_can_be_read(content, tmp_path):
    if content:
        (tmp_path / "01_ngrams.ipynb").write_text(content, encoding="utf-8")
    assert repr(path_now("1")) == "Core path of chapter 1: not marked in this folder's notebooks."
    assert "not marked" in path_now("1")._repr_html_()


@pytest.mark.parametrize(
    ("number", "exercises"),
    [
        ("0", ["0.1", "0.2"]),
        ("1", ["1.1", "1.5", "1.6", "1.7"]),
        ("2", ["2.2", "2.3", "2.4"]),
        ("3", ["3.2", "3.3", "3.4", "3.5"]),
        ("4", ["4.1", "4.2", "4.3", "4.4"]),
        ("5", ["5.3", "5.1", "5.4"]),
        ("6", ["6.2", "6.3", "6.4"]),
        ("7", ["7.1", "7.2", "7.4"]),
        ("8", ["8.1", "8.4"]),
        ("9", ["9.1", "9.2", "9.6"]),
        ("10", ["10.1", "10.3", "10.6"]),
        ("11", ["11.4", "11.6"]),
        ("12", ["12.1", "12.9", "12.8"]),
    ],
)
def test_the_chapters_mark_their_core_path(number, exercises, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2] / "notebooks")
    stops = path_now(number).stops
    assert [stop.exercise for stop in stops if stop.exercise] == exercises
    assert all(stop.minutes > 0 and stop.place.heading for stop in stops)
    assert 25 <= sum(stop.minutes for stop in stops) <= 60  # the README's promise; 45 is the aim


# ---- overview --------------------------------------------------------------------------------------------


def test_the_overview_has_the_path_beside_the_questions(chapter):
    with progress.current().change() as change:
        change.record("1.1", "passed")
    strip = overview("1")
    headings = [chapter.cells[i] for i in (2, 6, 9)]
    first, second, third = (
        {"text": cell.source.removeprefix("### "), "file": "01_ngrams.ipynb", "cell": cell.id}
        for cell in headings
    )
    assert strip.constants()["path"] == {
        "label": "Core path of chapter 1",
        "state": "1 of 3 exercises, about 22 minutes left.",
        "exercises": [first | {"done": True}, second | {"done": False}, third | {"done": False}],
        "next": second,
        "found_last": ["Last exercise passed: 1.1, n-gram counts."],
    }
    assert repr(strip).startswith("Three old questions before chapter 1: 3 questions, 0 answered, ")
    assert repr(strip).endswith(repr(path_now("1")))


def test_what_stays_of_the_overview_is_html_that_folds_out(chapter):
    html = overview("1")._repr_mimebundle_()["text/html"]
    assert html.count("<details") == 2 and html.count("<summary>") == 2
    assert path_now("1")._repr_html_() in html and "<img" in html


def test_the_overview_of_chapter_0_or_of_no_chapter_is_its_path_alone():
    for number in ("0", "1"):
        path = overview(number).constants()["path"]
        assert path["exercises"] == [] and path["next"] is None
        assert path["state"] == "not marked in this folder's notebooks."
    assert overview("0").constants()["questions"] == []
    assert overview("0")._repr_mimebundle_()["text/html"] == path_now("0")._repr_html_()


# ---- progress page --------------------------------------------------------------------------------------


@pytest.fixture
def both_chapters(chapter):
    nbformat.write(new_notebook(), "00_start_here.ipynb")


def test_a_fresh_progress_page(both_chapters):
    page = progress_page()
    assert repr(page).startswith(
        "Exercises: 0 of 9 passed, 0 seen. Quizzes: 0 of 10 questions right at the first try. "
        "Predictions: none is settled yet. Scoreboard: "
    )
    assert repr(page).endswith(
        "is still empty. You will make its tokenizer in chapter 3, block in chapter 5, GPT in chapter 8, "
        "sampler in chapter 9, tuning in chapter 10, law in chapter 11."
    )
    assert page._repr_html_().count("<table") == 2  # no prediction, no curve
    unread = [point.bits_per_byte for point in page.points if point.has_read_test == "no"]
    assert f"{min(unread):.3f} bits per byte" in repr(page)


def test_only_chapters_that_are_there_are_on_the_page(chapter):
    assert list(progress_page().quizzes) == ["1"]
    assert {id.partition(".")[0] for id in progress_page().exercises} == {"1"}


def test_a_page_without_chapters():
    assert repr(progress_page()).startswith("Exercises: 0 of 0 passed")
    assert "Exercises and quizzes" not in progress_page()._repr_html_()


def test_what_was_done_is_on_the_page(both_chapters, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    with progress.current().change() as change:
        change.record("1.1", "passed")
        change.record("1.2", "seen")
    quiz("0").answer(0, [choice.right for choice in questions("0")[0].choices].index(True))
    for id, chips, result in [("1.a", [50, 50], "a"), ("1.b", [25, 75], "a")]:
        bet = predict(id, f"Question <{id}>?", ["a", "b"])
        bet.place(chips)
        bet.settle(result)
    (tmp_path / "my_work" / "my_llm").mkdir()
    (tmp_path / "my_work" / "my_llm" / "tokenizer.json").write_text("{}")
    page = progress_page()
    assert "1 of 10 passed, 1 seen. Quizzes: 1 of 10 questions" in repr(page)  # 10: the variant of 1.2 waits
    assert "average over 2 predictions: 1.50 bits; uniform guessing: 1.00 bits." in repr(page)
    assert repr(page).endswith("in my_work/my_llm: tokenizer.json.")
    html = page._repr_html_()
    assert "✓ 1.1 n-gram counts: passed" in html and "◐ 1.2 maximum likelihood: seen" in html
    assert html.index("Question &lt;1.a&gt;?") < html.index("Question &lt;1.b&gt;?")
    assert "width:140px" in html and "width:70px" in html  # 2 bits are the longest bar, 1 bit is half of it
