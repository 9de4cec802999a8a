"""A class for the tests of grading: an overlay with references that stand in for the real ones."""

import re

import nbformat
import pytest

from course_utils.classroom import handing_out, overlay
from course_utils.classroom.assignments import find_assignment
from course_utils.classroom.grading import batch
from course_utils.learner.checks import CHECKS

# Not what the assignment asks: that is in no public file. The same inputs, other rules.
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
"""}
'''
ATTENTION = {
    "slopes": "def alibi_slopes(heads{0}):\n    return own * np.arange(heads)",
    "alibi": "def alibi(q, k, v{0}):\n    return alibi_slopes(len(q){0})[:, None, None] * v + q[..., :1]",
}


def answer(name, own):
    """The stand-in as a student writes it."""
    source = re.search(rf"^def {name}\(.*?(?=\n\n\n)", STAND_INS, re.S | re.M)[0]
    return f"K = {own}\n\n\n" + source.replace(", own: int", "").replace("own", "K")


class Class:
    """A teacher's folder and what students hand in."""

    def __init__(self, folder):
        self.folder, self.submissions = folder / "class", folder / "submissions"
        overlay.new(self.folder)
        (self.folder / "ngrams.py").write_text(STAND_INS, encoding="utf-8")
        self.submissions.mkdir()
        self.overlay, self.assignment = overlay.Overlay(self.folder), find_assignment("ngrams")

    def write_attention(self):
        """The stand-ins of the other assignment, into the folder; return them as students write them."""
        functions = [
            text.replace("{0}", ", own").replace(":\n", ':\n    """."""\n') for text in ATTENTION.values()
        ]
        (self.folder / "attention.py").write_text("\n\n\n".join(["import numpy as np", *functions]) + "\n")
        return {id: text.replace("{0}", "") for id, text in ATTENTION.items()}

    def own(self, student):
        return self.overlay.own("ngrams", student, self.assignment.asks["witten_bell"])

    def release(self, *students):
        return handing_out.release(self.assignment, self.overlay, list(students))

    def notebook(self, student, **changes):
        """The right answers of a student, but for `changes`."""
        self.release(student)
        notebook, own = nbformat.read(self.overlay.released("ngrams", student), 4), self.own(student)
        right = {"count": CHECKS["1.1"].solution, "perplexity": CHECKS["1.3"].solution, "answer": "Hamlet."}
        right |= {name: answer(name, own) for name in ("witten_bell", "page_bits")} | changes
        for cell in notebook.cells:
            id = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = right.get(id, cell.source)
        return notebook

    def hand_in(self, student, content=None, **changes):
        """Put a file where a student's is expected: the right answers, or these bytes."""
        folder = self.submissions / student
        folder.mkdir(exist_ok=True)
        if content is None:
            content = nbformat.writes(self.notebook(student, **changes)).encode()
        (folder / "ngrams.ipynb").write_bytes(content)

    def grade(self, again=False):
        """Collect and grade in this process; standings by student."""
        store = self.overlay.store()
        batch.collect("ngrams", self.submissions, store)
        round = store.round("ngrams", new=again)
        for submission in store.pending("ngrams", round):
            store.record(
                submission, round, *batch.grade_one(self.assignment, self.overlay, store, submission)
            )
        return store.standings("ngrams")


@pytest.fixture
def room(tmp_path):
    return Class(tmp_path)
