"""A chapter as the pages have it: run anew, with places for its widgets, without what only a kernel does."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape
from importlib.metadata import distributions
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils.classroom import outputs
from course_utils.classroom.release import strip_solutions
from course_utils.files import write_atomic
from course_utils.learner.chapters import heading_of
from course_utils.learner.checks import find

PACKAGE = Path(__file__).parents[2]
MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
PARAGRAPH_ON_RUNNING = re.compile(r"(?:.+\n)*.*\*\*Shift \+ Enter\*\*.*(?:\n.+)*\n*")
LINK_TO_CELL = re.compile(r"(?<=href=\")([\w-]+)\.ipynb#cell-id=")
NO_BET = re.compile(r" No bet was placed, so nothing counts: uniform guessing costs [\d.]+ bits\.")
BUILT_OF = re.compile(r"^Built of your own [\d., ]+\.\n", re.MULTILINE)  # the run's, not the reader's
RECORDING = "from course_utils.classroom.book import recording"
WITHOUT_INFLUENCE = {  # on a run, though its kernel loads them
    f"course_utils.classroom.{name}" for name in ("book", "book.pages", "book.site", "release")
}
EXERCISES = "course_utils.learner.exercises"  # a page has their help alone, which is read when it is written
RUNS_KEPT = 2  # of a chapter
CELL_SECONDS = 3600  # the last cell records all widgets, on a machine that may be busy


@contextmanager
def runs(cache: Path | None) -> Iterator[Path]:
    """Where runs are kept: `cache`, or a folder that goes with the block."""
    if cache:
        yield cache
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield Path(folder)


def run(path: Path, runs: Path) -> tuple[NotebookNode, list[dict]]:
    """A notebook executed, and what its widgets do; from `runs` if it is there. What a learner would keep
    goes nowhere. Raises outputs.RefreshError if a cell fails."""
    nb = nbformat.read(path, as_version=4)
    kept = runs / path.stem / f"{_hash(nb)}.json"
    found = json.loads(kept.read_text("utf-8")) if kept.exists() else None
    if found is None or _counted(found["modules"]) != _digests(_counted(found["modules"])):
        found = _execute(path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in sorted(kept.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[: 1 - RUNS_KEPT]:
            old.unlink()
        write_atomic(kept, json.dumps(found))
    for cell, stored in zip(nb.cells, found["outputs"], strict=True):
        if stored is not None:
            cell.outputs = nbformat.from_dict(stored)
    return nb, found["widgets"]


def _execute(path: Path) -> dict:
    """What running a notebook brings: outputs by cell (None of Markdown), records of its widgets, and the
    digests of the course's modules that its kernel loaded."""
    nb = nbformat.read(path, as_version=4)
    chapter = list(nb.cells)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        recorded = Path(folder) / "recorded.json"
        before = new_code_cell(f"{RECORDING}\nrecording.start()")
        after = new_code_cell(f"{RECORDING}\nrecording.write({str(recorded)!r})")
        nb.cells = [before, *chapter, after]
        outputs.execute(nb, path, {"COURSE_WORK": str(Path(folder) / "work")}, CELL_SECONDS)
        widgets, modules = json.loads(recorded.read_text("utf-8"))
        by_cell = [cell.get("outputs") for cell in chapter]
    return {"outputs": by_cell, "widgets": widgets, "modules": _digests(modules)}


def _hash(nb: NotebookNode) -> str:
    """Of what running a notebook depends on beside the course's modules: its code, and of its text what the
    code reads (headings, minutes); the course's tables and weights; the packages."""
    packages = sorted({f"{one.name}{one.version}" for one in distributions()})
    digest = hashlib.sha256(json.dumps([[read_by_code(cell) for cell in nb.cells], packages]).encode())
    texts = PACKAGE.joinpath(*EXERCISES.split(".")[1:])
    for file in sorted({*PACKAGE.rglob("*")} - {*texts.rglob("*")}):
        if file.is_file() and file.suffix not in (".py", ".pyc", ".js", ".css"):  # scripts are read later
            digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:24]


def read_by_code(cell: NotebookNode) -> list:
    text = cell.source if cell.cell_type == "code" else heading_of(cell.source)
    return [cell.cell_type, cell.id, text, cell.metadata]


def _counted(modules: dict[str, str]) -> dict[str, str]:
    """The digests of those modules on which a run depends."""
    return {
        name: digest
        for name, digest in modules.items()
        if name not in WITHOUT_INFLUENCE and not name.startswith(f"{EXERCISES}.")
    }


def _digests(modules: Iterable[str]) -> dict[str, str]:
    """Of the files of modules, by name; "" of one that is gone, or a folder without code."""
    digests = {}
    for name in modules:
        module = PACKAGE.parent.joinpath(*name.split("."))
        file = module / "__init__.py" if module.is_dir() else module.with_name(f"{module.name}.py")
        digests[name] = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
    return digests


def page(nb: NotebookNode) -> NotebookNode:
    """A chapter for readers: an exercise has its help folded below it, in place of its check; other code is
    folded; what is said of running cells is left out; and links to a notebook's cells lead to the same place
    on its page."""
    solutions = {cell.id: cell.source for cell in nb.cells}
    outputs = {cell.id: cell.outputs for cell in nb.cells if cell.cell_type == "code"}
    nb, cells, asked = strip_solutions(nb), [], {}
    for cell in nb.cells:
        tags = cell.metadata.get("tags", [])
        exercise = cell.metadata.get("exercise")
        if cell.cell_type == "code":
            cell.outputs = [for_readers(output) for output in outputs[cell.id]]
            cell.execution_count = 1
        else:
            cell.source = PARAGRAPH_ON_RUNNING.sub("", cell.source)
            if re.match("##+ ", cell.source):
                cell.source = f'<span id="cell-{cell.id}"></span>\n\n{cell.source}'
        if "check" in tags:
            cells.append(help_for(exercise, asked.get(exercise, "")))
            continue
        if exercise and cell.source != solutions[cell.id]:
            asked[exercise], cell.outputs = solutions[cell.id], []
        elif not exercise:
            settles = ["hide-output"] if ".settle(" in cell.source else []
            cell.metadata["tags"] = [*dict.fromkeys([*tags, "hide-input", *settles])]
        cells.append(cell)
    nb.cells = cells
    return nb


def for_readers(output: NotebookNode) -> NotebookNode:
    """An output without what is said of who ran it, and with links to the places of pages."""
    if output.output_type == "stream":
        output.text = BUILT_OF.sub("", "".join(output.text))
    html = output.get("data", {}).get("text/html")
    if html:
        output.data["text/html"] = NO_BET.sub("", LINK_TO_CELL.sub(r"\1.html#cell-", "".join(html)))
    return output


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
