"""Stored outputs: made by `refresh`, kept free of dead widgets, and counted where the tests compare them.

Cells are numbered as nbval numbers them: code cells only, from 0.
"""

import copy
import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course_utils.files import write_atomic
from course_utils.measuring.report import VALUE_IN_HTML, VALUE_IN_TEXT

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# As course.py sets them, for kernels that start without it.
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
CELL_SECONDS = 300  # the limit is for a cell that hangs; a chapter's own budget is far smaller
# What tests/notebooks/sanitise.cfg has nbval blank on both sides: it differs from machine to machine.
EMBEDDED_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
LOWEST_OF_CURVES = re.compile(r'(?<=the lowest of each curve, measured here: )[^"<\n]+')
BLANKED = [VALUE_IN_TEXT, VALUE_IN_HTML, EMBEDDED_PICTURE, LOWEST_OF_CURVES]
EXEMPTING_TAGS = ("nbval-ignore-output", "nbval-skip")


# ---- widgets ---------------------------------------------------------------------------------------------


def strip_widget_views(nb: NotebookNode) -> NotebookNode:
    """A copy of `nb` without widget state, and without the view where an output carries a picture or HTML.

    Without a kernel, JupyterLab shows an error in place of a stored view; what stands beside it is better.
    """
    nb = copy.deepcopy(nb)
    nb["metadata"].pop("widgets", None)
    for cell in nb["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data or _has_picture(data):
                data.pop(WIDGET_VIEW, None)
    return nb


def _has_picture(data: dict) -> bool:
    html = "".join(data.get("text/html", ""))  # a string, or a list of lines as in the file
    return any(kind.startswith("image/") for kind in data) or "<img" in html or "<svg" in html


def pre_save_hook(model: dict, contents_manager, **_) -> None:
    """For jupyter_server: strip widget views whenever a notebook is saved. A save never fails for this."""
    if model["type"] != "notebook":
        return
    try:
        model["content"] = strip_widget_views(model["content"])
    except Exception as error:
        contents_manager.log.warning("Saved with its widget views: %s", error)


# ---- refresh ---------------------------------------------------------------------------------------------


class RefreshError(ValueError):
    """A cell failed; the message names it, and the file is unchanged."""


def refresh(path: Path) -> str:
    """Execute a notebook in its own folder, store its outputs, and say in a sentence how many are compared.

    Cell ids stay, and the metadata holds no version that would change from machine to machine.
    Raises RefreshError if a cell fails, hangs or kills its kernel; then the file is as it was.
    """
    nb = nbformat.read(path, as_version=4)
    execute(nb, path)
    nb = strip_widget_views(nb)
    for cell in nb.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's note to itself, left by its --update
    nb.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nb.metadata.language_info = {"name": "python"}
    write_atomic(path, nbformat.writes(nb) + "\n")
    compared, with_output, _ = compared_cells(nb)
    return f"{path.name} is refreshed; {compared} of its {with_output} cells with output are compared."


def execute(
    nb: NotebookNode, path: Path, variables: dict[str, str] | None = None, seconds: int | None = None
) -> None:
    """Run the notebook of this path in its folder, each output in its cell. `variables` are added to the
    kernel's environment. Raises RefreshError if a cell fails, kills its kernel or isn't done after `seconds`,
    without them CELL_SECONDS."""
    running, seconds = {}, seconds or CELL_SECONDS
    client = NotebookClient(
        nb,
        kernel_name="python3",
        timeout=seconds,
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        on_cell_start=lambda cell, cell_index: running.update(index=cell_index),
    )
    try:
        client.execute(env=os.environ | QUIET_THREADS | (variables or {}))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        index = running["index"]
        number = sum(cell.cell_type == "code" for cell in nb.cells[:index])
        reason = {
            CellTimeoutError: f"not done after {seconds} s",
            DeadKernelError: "the kernel died",
        }.get(type(error)) or f"{error.ename}: {error.evalue}"
        raise RefreshError(f"{path.name}, {cell_name(number, nb.cells[index])}: {reason}") from error


# ---- what the tests compare ------------------------------------------------------------------------------


def compared_cells(nb: NotebookNode) -> tuple[int, int, list[str]]:
    """How many code cells with output the notebook tests really compare, of how many, and why not the others.

    A cell counts if what nbval compares of it holds a word or number, outside what is blanked, that doesn't
    stand in the cell's own source: a constant such as print("done") tests nothing. Pictures, widget views,
    stderr and the bare name of an object such as <Figure size 640x480 with 1 Axes> don't count either.
    """
    with_output, not_compared = 0, []
    for number, cell in _code_cells(nb):
        if not cell.outputs:
            continue
        with_output += 1
        if tags := _exempting(cell):
            not_compared.append(f"{cell_name(number, cell)}: {', '.join(tags)}")
        elif not _words(" ".join(_texts(cell.outputs))) - _words(cell.source):
            not_compared.append(f"{cell_name(number, cell)}: only a constant or a picture")
    return with_output - len(not_compared), with_output, not_compared


def _texts(outputs: list[NotebookNode]) -> Iterator[str]:
    """What nbval compares of a cell's outputs and a reader could check."""
    for output in outputs:
        if output.output_type == "stream":
            texts = [output.text] * (output.name == "stdout")
        elif output.output_type == "error":
            texts = [output.evalue]
        else:
            texts = [
                text
                for kind, text in output.data.items()
                if kind.startswith("text/") and not _has_picture({kind: text})
            ]
        for text in texts:
            for blanked in BLANKED:
                text = blanked.sub("", text)
            yield re.sub(r"<[^<>]*>", " ", text)  # HTML tags, and the bare names of objects


def _words(text: str) -> set[str]:
    return {word.strip(".") for word in re.findall(r"[\w.]*\w", text)}


def exemptions(nb: NotebookNode) -> list[str]:
    """Every cell that isn't compared because it is tagged so, with its tag and reason."""
    return [
        f"{cell_name(number, cell)}: {', '.join(tags)}: {cell.metadata.get('exempt_reason', 'NO REASON')}"
        for number, cell in _code_cells(nb)
        if (tags := _exempting(cell))
    ]


def problems(nb: NotebookNode) -> list[str]:
    """What makes a run of nbval less strict than it looks, or fail on another machine; a sentence each."""
    found = []
    for number, cell in _code_cells(nb):
        tags = _exempting(cell)
        reason = cell.metadata.get("exempt_reason")
        wrong = {
            "exempted without a reason in metadata.exempt_reason": tags and not str(reason or "").strip(),
            "exempted by a comment; use a tag and a reason": re.search(
                r"^\s*#+\s*(NBVAL|PYTEST_VALIDATE)_\w+\s*$", cell.source, re.MULTILINE
            ),
            "never run, so nothing of it would be compared; refresh the chapter": cell.execution_count is None
            and "nbval-skip" not in tags,
            "writes to stderr": any(output.get("name") == "stderr" for output in cell.outputs),
            "ended in an error": any(output.output_type == "error" for output in cell.outputs)
            and "raises-exception" not in cell.metadata.get("tags", []),
            "shows an object's address, which changes from run to run": not tags
            and re.search(r"\bat 0x[0-9a-f]+", str(cell.outputs)),
        }
        found += [
            f"{cell_name(number, cell)}: {sentence}" for sentence, is_wrong in wrong.items() if is_wrong
        ]
    return found


def cell_name(number: int, cell: NotebookNode) -> str:
    """A cell as every message names it: its number and its first line."""
    first_line = cell.source.strip().partition("\n")[0]
    return f"cell {number} ({first_line})"


def _code_cells(nb: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    return enumerate(cell for cell in nb.cells if cell.cell_type == "code")


def _exempting(cell: NotebookNode) -> list[str]:
    return [tag for tag in cell.metadata.get("tags", []) if tag in EXEMPTING_TAGS]
