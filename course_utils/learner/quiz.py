"""Questions with an explanation for every choice: a chapter's quiz, and three old ones for its start.

The key stays in the kernel: the page, and so the notebook file, gets an explanation only with an answer.
"""

import textwrap

from matplotlib.figure import Figure

from course_utils.learner import chapters, progress
from course_utils.learner.progress import Snapshot
from course_utils.learner.quizzes import Question, all_questions, questions
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Whole, complete

CHAPTERS_BACK = (1, 2, 5)  # spaced out: what is recalled after a longer time is remembered longer


def quiz(chapter: str) -> "Quiz":
    """The five questions of a chapter, such as "1". Raises ValueError for a chapter without a quiz."""
    asked = {question.id: question for question in questions(chapter)}
    return Quiz(f"Quiz of chapter {chapter}", asked, progress.current().read())


def recalled(chapter: str, snapshot: Snapshot) -> dict[str, Question]:
    """Three old questions by their key: from the last chapter, two back and five back; none before chapter 1.

    Of each chapter, first come the questions that were missed in its quiz, then those never answered.
    """
    behind = [
        str(int(chapter) - back) for back in CHAPTERS_BACK if str(int(chapter) - back) in all_questions()
    ]
    asked = {}
    for i in range(3 if behind else 0):
        needed = _most_needed(behind[i % len(behind)], snapshot)
        question = next(q for q in needed if q not in asked.values())
        asked[f"{question.id}, asked in {chapter}"] = question
    return asked


def _most_needed(chapter: str, snapshot: Snapshot) -> list[Question]:
    """A chapter's questions: the missed ones, then those never answered, then the others."""

    def need(question: Question) -> int:
        tried = snapshot.answer(question.id)["choices"]
        return 1 if not tried else 2 if tried[0] == question.right else 0

    return sorted(questions(chapter), key=need)


class Quiz(Widget):
    """Some questions, each kept in the learner's progress under its key."""

    def __init__(self, title: str, asked: dict[str, Question], snapshot: Snapshot, note: str = ""):
        self.title, self.asked, self._snapshot, self.note = title, asked, snapshot, note
        super().__init__()

    def answer(self, number: int, choice: int) -> None:
        """Answer question `number` with one of its choices, both counted from 0.

        Raises ValueError for a question or a choice that isn't there.
        """
        self.handle({"question": number, "choice": choice})
        self.show()

    # ---- what base.Widget asks for -------------------------------------------------------------

    def handle(self, request: dict) -> None:
        asked = list(self.asked.items())
        last_choice = After("question", lambda number: Whole(0, len(asked[number][1].choices) - 1))
        answer, _ = complete({"question": Whole(0, len(asked) - 1), "choice": last_choice}, request)
        key, question = asked[answer["question"]]
        chosen = question.choices[answer["choice"]]
        with progress.current().change() as change:
            if question.right not in change.answer(key)["choices"]:
                change.record_answer(key, chosen.text, chosen.right)
        self._snapshot = change

    def problem(self) -> str:
        return self._snapshot.problem

    def constants(self) -> dict:
        questions = [
            {"ask": question.ask, "choices": [choice.text for choice in question.choices]}
            for question in self.asked.values()
        ]
        return {"title": self.title, "note": self.note, "questions": questions}

    def view(self) -> dict:
        return {"questions": [self._seen(q, self._snapshot.answer(key)) for key, q in self.asked.items()]}

    def _seen(self, question: Question, answer: dict) -> dict:
        """What the page may know of a question: of the key no more than was answered."""
        tried = answer["choices"]
        solved = question.right in tried
        marks = ["" if c.text not in tried else "right" if c.right else "wrong" for c in question.choices]
        missed = any(marks) and tried[0] != question.right
        return {
            "marks": marks,
            "whys": [c.why if c.text in tried or solved else "" for c in question.choices],
            "solved": solved,
            "again": self._where(question) if missed else None,
        }

    def _where(self, question: Question) -> dict:
        place = chapters.section(question.chapter, question.section)
        return {
            "text": f"chapter {question.chapter}, {place.heading if place else f'“{question.section}”'}",
            "file": place.file if place else "",
            "cell": place.cell_id if place else "",
        }

    def describe(self) -> str:
        tried = [(self._snapshot.answer(key)["choices"], question) for key, question in self.asked.items()]
        answered = sum(bool(choices) for choices, _ in tried)
        at_once = sum(choices[:1] == [question.right] for choices, question in tried)
        return (
            f"{self.title}: {len(tried)} questions, {answered} answered, {at_once} right at the first try."
            f"{f' {self.note}' if self.note else ''}"
        )

    def picture(self, figure: Figure) -> None:
        questions = [f"{i}. {question.ask}" for i, question in enumerate(self.asked.values(), 1)]
        text = "\n\n".join(textwrap.fill(line, 95) for line in [self.title, *questions])
        figure.set_size_inches(7.6, 0.19 * (text.count("\n") + 2))
        figure.text(0.01, 0.98, text, va="top", fontsize=9)
