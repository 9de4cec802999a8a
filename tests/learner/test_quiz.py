"""Quizzes: complete data, no key before an answer, and three old questions from where they should come."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from course_utils.learner import chapters, progress, quizzes
from course_utils.learner import quiz as widget
from course_utils.learner.overview import overview
from course_utils.learner.quiz import quiz
from course_utils.learner.quizzes import Choice, Question, all_questions, questions

pytestmark = pytest.mark.usefixtures("in_memory")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EVERY = [question for chapter in all_questions().values() for question in chapter]


@pytest.fixture
def twelve_chapters(monkeypatch):
    """Two questions a chapter, of chapters 0 to 11."""

    def question(chapter, word):
        return Question(
            f"{chapter}.{word}", word, f"{word}?", (Choice("no", "No."), Choice("yes", "Yes.", True))
        )

    stand_in = {str(n): (question(n, "a"), question(n, "b")) for n in range(12)}
    for module in (quizzes, widget):
        monkeypatch.setattr(module, "all_questions", lambda: stand_in)


def right(question):
    return [choice.right for choice in question.choices].index(True)


def wrong(question):
    return [choice.right for choice in question.choices].index(False)


# ---- the data -------------------------------------------------------------------------------------------


def test_each_chapter_has_five_questions():
    assert all_questions().keys() >= {"0", "1", "2", "3"}
    assert {len(asked) for asked in all_questions().values()} == {5}
    assert len({question.id for question in EVERY}) == len(EVERY)


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.id)
def test_every_choice_is_explained_and_one_is_right(question):
    assert question in questions(question.chapter)
    texts = [choice.text for choice in question.choices]
    assert sum(choice.right for choice in question.choices) == 1 and len(set(texts)) == len(texts) >= 3
    for shown in (question.ask, *texts, *(choice.why for choice in question.choices)):
        assert "*" not in re.sub("`[^`]*`", "", shown)  # of Markdown only code is drawn
    for choice in question.choices:
        assert len(choice.why.split()) >= 15 and choice.why.startswith("Right. ") == choice.right
    assert question.right == texts[right(question)]


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.id)
def test_its_section_is_in_the_chapter(question, monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    assert chapters.section(question.chapter, question.section)


def test_a_comment_in_code_is_no_heading():
    assert chapters.heading_of("Look:\n```python\n# {1: 2}\n```\n\n### The *end* ##\n") == "The end"


def test_the_place_of_the_right_choice_gives_nothing_away():
    assert {right(question) for question in EVERY} == {0, 1, 2, 3}


def test_an_unknown_chapter_is_named():
    with pytest.raises(ValueError, match="no quiz of chapter '77'; there is one of 0, 1"):
        quiz("77")


# ---- answering ------------------------------------------------------------------------------------------


def test_no_key_before_an_answer():
    asked = quiz("1")
    everything = json.dumps(asked.shown) + json.dumps(asked._repr_mimebundle_())
    assert not any(choice.why in everything for question in questions("1") for choice in question.choices)
    assert "true" not in json.dumps(asked.shown) and repr(asked) == (
        "Quiz of chapter 1: 5 questions, 0 answered, 0 right at the first try."
    )


def test_a_wrong_answer_gets_its_own_explanation_only():
    asked, question = quiz("1"), questions("1")[0]
    asked.answer(0, wrong(question))
    seen = asked.shown["questions"][0]
    assert not seen["solved"] and seen["marks"][wrong(question)] == "wrong"
    assert [why for why in seen["whys"] if why] == [question.choices[wrong(question)].why]
    assert seen["again"]["text"] == "chapter 1, “Zeros, and what a text costs”"


def test_the_right_answer_gets_all_explanations_and_ends_the_question():
    asked, question = quiz("1"), questions("1")[0]
    asked.answer(0, right(question))
    asked.answer(0, wrong(question))
    seen = asked.shown["questions"][0]
    assert seen["solved"] and seen["whys"] == [choice.why for choice in question.choices]
    assert seen["marks"].count("right") == 1 and "wrong" not in seen["marks"] and seen["again"] is None
    assert repr(asked) == "Quiz of chapter 1: 5 questions, 1 answered, 1 right at the first try."


def test_a_second_try_is_not_the_first():
    asked, question = quiz("1"), questions("1")[0]
    asked.answer(0, wrong(question))
    asked.answer(0, right(question))
    assert asked.shown["questions"][0]["solved"] and "1 answered, 0 right" in repr(asked)


def test_answers_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    before = quiz("0")
    before.answer(2, right(questions("0")[2]))
    progress._opened.clear()
    assert quiz("0").shown["questions"] == before.shown["questions"]


def test_an_answer_whose_choice_was_reworded_since_counts_as_none():
    with progress.current().change() as change:
        change.record_answer("0.bits", "3 whole bits", True)
    asked = quiz("0")
    number = [question.id for question in questions("0")].index("0.bits")
    seen = asked.shown["questions"][number]
    assert not seen["solved"] and not any(seen["marks"]) and seen["again"] is None
    asked.answer(number, right(questions("0")[number]))
    assert asked.shown["questions"][number]["solved"]


@pytest.mark.parametrize(("number", "choice"), [(5, 0), (-1, 0), (0, 4), (0, -1)])
def test_what_is_not_there_is_refused(number, choice):
    with pytest.raises(ValueError, match=r"(question|choice) is a whole number from 0 to [34]; got "):
        quiz("0").answer(number, choice)


def test_what_the_progress_file_says_reaches_the_learner(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    asked = quiz("0")
    (tmp_path / "my_work" / ".course" / "progress.json").mkdir(parents=True)
    asked._answer(asked, {"id": "v/0", "question": 0, "choice": 0}, [])
    assert "kept only until this kernel stops" in asked.shown["problem"]
    assert any(asked.shown["questions"][0]["marks"])


def test_a_miss_links_to_the_cell_of_the_section():
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("## 2 · *Zeros*, and what a text costs")]
    )
    nbformat.write(nb, "01_ngrams.ipynb")
    asked = quiz("1")
    asked.answer(0, wrong(questions("1")[0]))
    assert asked.shown["questions"][0]["again"] == {
        "text": "chapter 1, 2 · Zeros, and what a text costs",
        "file": "01_ngrams.ipynb",
        "cell": nb.cells[0].id,
    }


# ---- old questions --------------------------------------------------------------------------------------


def chapters_of(asked):
    return [question.chapter for question in asked.asked.values()]


def test_chapter_1_has_only_chapter_0_behind_it():
    asked = overview("1")
    assert chapters_of(asked) == ["0", "0", "0"] and len(set(asked.asked.values())) == 3
    assert repr(asked).startswith("Three old questions before chapter 1: 3 questions, 0 answered")


@pytest.mark.parametrize(
    ("chapter", "behind"), [("2", ["1", "0", "1"]), ("5", ["4", "3", "0"]), ("9", ["8", "7", "4"])]
)
def test_later_chapters_look_one_two_and_five_back(twelve_chapters, chapter, behind):
    assert chapters_of(overview(chapter)) == behind


def test_missed_questions_come_first_then_those_never_answered():
    asked = quiz("0")
    for number in (0, 1, 2, 4):
        question = questions("0")[number]
        asked.answer(number, wrong(question) if number == 4 else right(question))
    assert [question.id for question in overview("1").asked.values()] == ["0.bits", "0.context", "0.model"]


def test_recalling_answers_anew_and_leaves_the_quiz_alone():
    question = questions("0")[0]
    overview("1").answer(0, right(question))
    assert "1 answered, 1 right" in repr(overview("1")) and "0 answered" in repr(quiz("0"))


def test_before_chapter_0_lies_nothing():
    assert overview("0").asked == {} and repr(overview("0")).startswith("Core path of chapter 0: ")


def test_an_exercise_whose_solution_was_seen_waits():
    assert "asked_again" not in repr(overview("1"))
    with progress.current().change() as change:
        change.record("1.1", "seen")
    assert "Exercise 1.1 waits for you in a variant: asked_again()." in repr(overview("1"))


def test_the_picture_is_drawn():
    assert quiz("1").png() != overview("1").png()


def test_what_stays_in_the_notebook_is_small():
    assert len(json.dumps(quiz("1")._repr_mimebundle_())) < 200_000
