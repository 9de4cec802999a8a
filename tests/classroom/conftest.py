"""A class for the tests of grading: an overlay with references that stand in for the real ones."""

import inspect
import re

import nbformat
import pytest

from course_utils.classroom import handing_out, overlay
from course_utils.classroom.assignments import Private, find_assignment
from course_utils.classroom.grading import batch, collecting, gradebook
from course_utils.learner.checks import CHECKS

# Not what the assignments ask: that is in no public file. The same inputs, other rules.
STAND_INS = '''"""References."""


def witten_bell(counts: dict[str, int], lower: dict[str, float], own: int) -> dict[str, float]:
    """Stands in."""
    return {word: counts.get(word, 0) + own * p for word, p in lower.items()}


def page_bits(page: list[str], counts: dict[str, dict[str, int]], lower: dict[str, float], own: int) -> float:
    """Stands in."""
    return own * lower[page[-1]] + len(counts)


SLIPS = {"witten_bell": """
You forgot your constant.
    own * p → p
You forgot the counts.
    counts.get(word, 0) + →
The constant is not the whole.
    own * p → own
""", "page_bits": """
You forgot your constant.
    own * lower → lower
You forgot the counts.
    + len(counts) →
That is the first word.
    page[-1] → page[0]
"""}
'''
SLIPS = """
You forgot your constant.
    (own + 0.5) * total → total
You forgot the seven.
    + 7 →
That is upside down.
    return (own → return -(own
"""
TOTAL = """


def total(value):
    if isinstance(value, dict):
        return total([*value, *value.values()])
    if isinstance(value, str):
        return len(value)
    return sum(map(total, value)) if isinstance(value, list | tuple) else float(np.sum(value))"""


def stand_ins(assignment):
    """Stand-ins for the references of any assignment: the sum of all that they are given, by the constant."""
    if assignment.name == "ngrams":
        return STAND_INS
    text, slips = "import numpy as np" + TOTAL, {}
    for ask in assignment.asks.values():
        if isinstance(ask, Private):
            names = [*inspect.signature(ask.stub).parameters]
            # no constant is .5, with which who forgets it would be right
            body = f"return (own + 0.5) * total([{', '.join(names[:-1])}]) + 7"
            text += f'\n\n\ndef {ask.name}({", ".join(names)}):\n    """Stands in."""\n    {body}'
            slips[ask.name] = SLIPS
    return f"{text}\n\n\nSLIPS = {slips!r}\n"


class Class:
    """A teacher's folder and what students hand in."""

    def __init__(self, folder, name="ngrams"):
        self.folder, self.submissions, self.name = folder / "class", folder / "submissions", name
        overlay.new(self.folder)
        self.overlay, self.assignment = overlay.Overlay(self.folder), find_assignment(name)
        (self.folder / f"{name}.py").write_text(stand_ins(self.assignment), encoding="utf-8")
        self.submissions.mkdir()

    def answers(self, student, more=0):
        """What a student with this constant, or `more`, rightly writes into each answer's cell."""
        right, text = dict.fromkeys(self.assignment.written(), "Hamlet."), stand_ins(self.assignment)
        for id, ask in self.assignment.asks.items():
            if isinstance(ask, Private):
                own = self.overlay.own(self.name, student, ask) + more
                source = re.search(rf"^def {ask.name}\(.*?(?=\n\n\n)", text, re.S | re.M)[0]
                source = re.sub(r", own\b(: int)?", "", source, count=1)
                source = re.sub(r"\bown\b", ask.constant, source)
                source = source if self.name == "ngrams" else TOTAL.strip() + "\n\n\n" + source
                right[id] = f"{ask.constant} = {own}\n\n\n{source}"
            else:
                right[id] = CHECKS[ask].solution
        return right

    def own(self, student):
        return self.overlay.own("ngrams", student, self.assignment.asks["witten_bell"])

    def release(self, *students):
        return handing_out.release(self.assignment, self.overlay, list(students))

    def notebook(self, student, more=0, **changes):
        """The right answers of a student, but for `changes`."""
        self.release(student)
        notebook = nbformat.read(self.overlay.released(self.name, student), 4)
        right = self.answers(student, more) | changes
        for cell in notebook.cells:
            id = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = right.get(id, cell.source)
        return notebook

    def hand_in(self, student, content=None, more=0, **changes):
        """Put a file where a student's is expected: the right answers, or these bytes."""
        folder = self.submissions / student
        folder.mkdir(exist_ok=True)
        if content is None:
            content = nbformat.writes(self.notebook(student, more, **changes)).encode()
        (folder / f"{self.name}.ipynb").write_bytes(content)

    def result(self, student, content="{}", answer="Hamlet.", round=None):
        """Keep a file, and note what a grader would if all its functions were right."""
        store, path = self.overlay.store(), self.submissions / f"{student}.ipynb"
        path.write_text(content)
        kept, points = store.keep("ngrams", student, path), self.assignment.points()
        marks = [{"id": id, "points": points[id], "sentence": "Right."} for id in self.assignment.asks]
        details = {"marks": marks, "written": {"answer": answer}}
        store.record(kept, round or store.round("ngrams"), "graded", details=details)
        return kept

    def rows(self):
        """The rows of the gradebook, by student."""
        return {
            row.student: row for row in gradebook.rows(self.assignment, self.overlay, self.overlay.store())
        }

    def grade(self, again=False):
        """Collect and grade in this process; standings by student."""
        store = self.overlay.store()
        collecting.collect(self.name, self.submissions, store)
        round = store.round(self.name, new=again)
        for submission in store.pending(self.name, round):
            store.record(
                submission, round, *batch.grade_one(self.assignment, self.overlay, store, submission)
            )
        return store.standings(self.name)


@pytest.fixture
def room(tmp_path):
    return Class(tmp_path)


@pytest.fixture
def room_of(tmp_path):
    """The class of another assignment, by its name."""
    return lambda name: Class(tmp_path / name, name)
