"""A chapter as the pages have it: run anew, with places for its widgets, without what only a kernel does."""

import re
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils.classroom import outputs
from course_utils.classroom.release import strip_solutions
from course_utils.learner.checks import find

MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
RECORDING = "from course_utils.classroom.book import recording"


def run(path: Path, folder: Path) -> NotebookNode:
    """Execute a notebook; what its widgets do is written into `folder`, and what a learner would keep into
    `work` there. Raises outputs.RefreshError if a cell fails."""
    folder.mkdir(parents=True, exist_ok=True)
    nb = nbformat.read(path, as_version=4)
    chapter = list(nb.cells)
    before = new_code_cell(f"{RECORDING}\nrecording.start()")
    after = new_code_cell(f"{RECORDING}\nrecording.write({str(folder)!r})")
    nb.cells = [before, *chapter, after]
    outputs.execute(nb, path, {"COURSE_WORK": str(folder / "work")})
    nb.cells = chapter
    return nb


def page(nb: NotebookNode) -> NotebookNode:
    """A chapter for readers: an exercise has its help folded below it, in place of its check."""
    solutions = {cell.id: cell.source for cell in nb.cells}
    outputs = {cell.id: cell.outputs for cell in nb.cells if cell.cell_type == "code"}
    nb, cells, asked = strip_solutions(nb), [], {}
    for cell in nb.cells:
        tags = cell.metadata.get("tags", [])
        exercise = cell.metadata.get("exercise")
        if cell.cell_type == "code":
            cell.outputs = outputs[cell.id]
            cell.execution_count = 1
        if "check" in tags:
            cells.append(help_for(exercise, asked.get(exercise, "")))
            continue
        if exercise and cell.source != solutions[cell.id]:
            asked[exercise], cell.outputs = solutions[cell.id], []
        cells.append(cell)
    nb.cells = cells
    return nb


def help_for(exercise: str, solution: str) -> NotebookNode:
    check = find(exercise)
    steps = {
        "A hint": check.hint,
        "A worked example": check.worked_example,
        "The solution": f"```python\n{MARKERS.sub('', solution)}\n```",
    }
    return new_markdown_cell("\n\n".join(folded(*step) for step in steps.items()))


def folded(summary: str, markdown: str) -> str:
    return f'<details class="course"><summary>{escape(summary)}</summary>\n\n{markdown}\n\n</details>'
