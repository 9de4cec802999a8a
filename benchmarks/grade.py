"""Seconds a submission: `course.py grade` beside `nbgrader autograde`, on the same files in one run.

python3 course.py bench grade [SUBMISSIONS]

nbgrader runs every cell of a notebook, we run the answers only. So that this alone does not decide, the
notebooks here hold nothing but answers and their tests. The answers are stand-ins: the true ones are in no
public file.
"""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from course_utils.classroom import handing_out, overlay
from course_utils.classroom.assignments import find_assignment
from course_utils.classroom.grading import batch, caps, collecting, sandbox
from course_utils.learner.checks import CHECKS

REFERENCES = '''
def witten_bell(counts: dict[str, int], lower: dict[str, float], own: int) -> dict[str, float]:
    """Stands in."""
    return {word: counts.get(word, 0) + own * p for word, p in lower.items()}


def page_bits(page: list[str], counts: dict[str, dict[str, int]], lower: dict[str, float], own: int) -> float:
    """Stands in."""
    return own * lower[page[-1]] + len(counts)
'''


def answers(own):
    as_written = REFERENCES.replace(", own: int", "").replace("own", str(own))
    functions = re.findall(r"^def .*?(?=\n\n\n|\Z)", as_written, re.S | re.M)
    return dict(
        zip(("count", "perplexity", "witten_bell", "page_bits"), [*_warm_ups(), *functions], strict=True)
    )


def _warm_ups():
    return [CHECKS["1.1"].solution, CHECKS["1.3"].solution]


def prepare(folder, number):
    """A class whose students have all written the right answers: the same files for both graders."""
    teacher_folder, assignment = folder / "class", find_assignment("ngrams")
    overlay.new(teacher_folder)
    (teacher_folder / "ngrams.py").write_text(REFERENCES, encoding="utf-8")
    teacher = overlay.Overlay(teacher_folder)
    handing_out.release(assignment, teacher, [overlay.EVERYONE])
    notebook = nbformat.read(teacher.released("ngrams", overlay.EVERYONE), as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import math\n\nimport numpy as np"))
    source = folder / "course" / "source" / "ngrams" / "ngrams.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(notebook, source)
    own = teacher.own("ngrams", overlay.EVERYONE, assignment.asks["witten_bell"])
    for cell in notebook.cells:
        cell.source = answers(own).get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    for i in range(number):
        path = folder / "course" / "submitted" / f"s{i:03}" / "ngrams" / "ngrams.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    return teacher, assignment


def grade_ours(folder, teacher, assignment, workers):
    start, store = time.perf_counter(), teacher.store()
    collecting.collect("ngrams", folder / "course" / "submitted", store)
    store.round("ngrams", new=True)
    batch.grade_all(assignment, teacher, store, workers=workers, say=lambda line: None)
    seconds = time.perf_counter() - start
    scores = [standing.details["score"] for standing in store.standings("ngrams").values()]
    assert scores == [14] * len(scores), "every answer is right"
    return seconds


def grade_theirs(folder):
    run = [sys.executable, "-m", "nbgrader"]
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # it starts alembic by name
    )
    quiet = {
        "cwd": folder / "course",
        "check": True,
        "capture_output": True,
        "env": os.environ | {"PATH": path},
    }
    subprocess.run([*run, "generate_assignment", "ngrams", "--create"], **quiet)
    start = time.perf_counter()
    subprocess.run([*run, "autograde", "ngrams", "--create"], **quiet)
    return time.perf_counter() - start


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    if problem := sandbox.problem():
        sys.exit(problem)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        teacher, assignment = prepare(folder, number)
        print(f"{number} submissions of right answers; capped by {caps.kind()}; seconds a submission")
        one = grade_ours(folder, teacher, assignment, 1) / number
        two = grade_ours(folder, teacher, assignment, 2) / number
        print(f"{'ours, one at a time':24}{one:8.2f}\n{'ours, two at a time':24}{two:8.2f}")
        if importlib.util.find_spec("nbgrader") is None:
            sys.exit("nbgrader is not installed here: `pip install nbgrader`, and both are measured")
        theirs = grade_theirs(folder) / number
        print(f"{'nbgrader autograde':24}{theirs:8.2f}")
        print(f"nbgrader takes {theirs / one:.1f} times as long, {theirs / two:.1f} times with two of ours")


if __name__ == "__main__":
    main()
