"""Stored outputs: refreshed whole or not at all, without dead widgets, and counted honestly."""

import logging
import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from traitlets.config.loader import PyFileConfigLoader

from course_utils.classroom import outputs

VIEW = {outputs.WIDGET_VIEW: {"version_major": 2, "version_minor": 1, "model_id": "abc"}}
PNG = {"image/png": "iVBORw0KGgo="}
HTML_PICTURE = {
    "text/html": '<figure><img alt="2.5 bits" src="data:image/png;base64,AAAA"> Run this.</figure>'
}


def show(data):
    return new_output("display_data", data=data)


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def cell(source, *cell_outputs, **metadata):
    return new_code_cell(source, outputs=list(cell_outputs), execution_count=1, metadata=metadata)


# --- widgets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", [PNG, HTML_PICTURE, {"text/html": ["<b>", "2.5 bits</b>"]}])
def test_a_view_gives_way_to_a_picture_or_html(picture):
    nb = new_notebook(cells=[new_markdown_cell("x"), cell("w", show({"text/plain": "w", **picture, **VIEW}))])
    nb.metadata.widgets = {"state": 1}
    stripped = outputs.strip_widget_views(nb)
    assert stripped.cells[1].outputs[0].data == {"text/plain": "w", **picture}
    assert "widgets" not in stripped.metadata
    assert outputs.WIDGET_VIEW in nb.cells[1].outputs[0].data, "the notebook passed in is left alone"


def test_a_view_without_either_stays():
    nb = new_notebook(cells=[cell("w", show({"text/plain": "w", **VIEW}), printed("x"))])
    assert outputs.strip_widget_views(nb) == nb


def server_config():
    path = os.path.join(os.path.dirname(outputs.__file__), "jupyter_server_config.py")
    return PyFileConfigLoader(path).load_config()


@pytest.mark.filterwarnings("ignore:Overriding existing pre_save_hook")  # the server sets ours twice
def test_the_server_strips_views_when_it_saves(tmp_path):
    nb = new_notebook(cells=[cell("w", show({**PNG, **VIEW}))])
    manager = LargeFileManager(root_dir=str(tmp_path), config=server_config())
    manager.save({"type": "notebook", "format": "json", "content": nb}, "01.ipynb")
    assert nbformat.read(tmp_path / "01.ipynb", as_version=4).cells[0].outputs[0].data == PNG


@pytest.mark.parametrize(
    "content", [None, "text", {}, {"metadata": {}}, {"metadata": {}, "cells": [{"outputs": [None]}]}]
)
def test_a_save_never_fails_for_the_hook(content, caplog):
    manager = SimpleNamespace(log=logging.getLogger("contents"))
    for kind in ("notebook", "file", "directory"):
        model = {"type": kind, "content": content}
        outputs.pre_save_hook(model=model, path="x", contents_manager=manager)
        assert model["content"] == content
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# --- refresh ---------------------------------------------------------------------------------------------


def test_refresh_stores_outputs_and_nothing_that_changes(tmp_path):
    path = tmp_path / "01_small.ipynb"
    nb = new_notebook(
        cells=[
            new_markdown_cell("# Title", id="title"),
            new_code_cell(
                "import os\nprint(os.path.basename(os.getcwd()))\nprint(os.environ['OMP_WAIT_POLICY'])",
                id="first",
                metadata={"jupyter": {"source_hidden": True}, "tags": ["hide-input", "set-up"]},
            ),
            new_code_cell("import ipywidgets\nipywidgets.IntSlider()", id="second"),
            new_code_cell(
                "1 / 0", id="third", metadata={"tags": ["raises-exception"], "lines_to_next_cell": 2}
            ),
        ]
    )
    nb.metadata.language_info = {"name": "python", "version": "3.1.4"}
    nbformat.write(nb, path)
    assert outputs.refresh(path) == "01_small.ipynb is refreshed; 3 of its 3 cells with output are compared."
    once = path.read_bytes()
    new = nbformat.read(path, as_version=4)
    assert [c.id for c in new.cells] == ["title", "first", "second", "third"]
    assert new.cells[1].outputs[0].text == f"{tmp_path.name}\nPASSIVE\n"
    assert new.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert new.cells[3].metadata == {"tags": ["raises-exception"]}  # no note of jupytext's
    assert new.cells[1].metadata == nb.cells[1].metadata  # folded as it was, and with no time of execution
    assert list(tmp_path.iterdir()) == [path]
    assert once.endswith(b"}\n")


@pytest.mark.parametrize(
    "source, reason",
    [
        ("# the title\nint('four')", "ValueError: invalid literal"),
        ("# the title\nimport os; os.kill(os.getpid(), 9)", "the kernel died"),
        ("# the title\nimport time; time.sleep(600)", "not done after 2 s"),
    ],
)
def test_a_failing_cell_is_named_and_the_file_is_as_it_was(source, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "CELL_SECONDS", 2)
    path = tmp_path / "01_small.ipynb"
    nb = new_notebook(cells=[new_markdown_cell("x"), cell("y = 1"), cell(source), cell("print(3)")])
    nbformat.write(nb, path)
    before = path.read_bytes()
    with pytest.raises(outputs.RefreshError, match=rf"^01_small\.ipynb, cell 1 \(# the title\): {reason}"):
        outputs.refresh(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- what is compared ------------------------------------------------------------------------------------

COMPARED = [
    cell("print(6 * 7)", printed("42\n")),
    cell("len(text)", new_output("execute_result", data={"text/plain": "1115394"}, execution_count=1)),
    cell("print('same:', a == b)", printed("same: True\n")),
    cell("for n in range(3): print('order', n + 5)", printed("order 5\norder 6\norder 7\n")),
    cell("measured('loss', x, 1, 2)", printed("loss: 1.5 (usual range 1 to 2)\n")),
    cell("explorer(text)", show({"text/plain": "After “to be” come 3 letters.", **HTML_PICTURE, **VIEW})),
    cell(
        "table()",
        show({"text/plain": "<Table object>", "text/html": "<table><tr><td>2.31</td></tr></table>"}),
    ),
    cell(
        "1 / 0",
        new_output("error", ename="ZeroDivisionError", evalue="division by zero"),
        tags=["raises-exception"],
    ),
]
NOT_COMPARED = [
    cell("print('done')", printed("done\n")),
    cell("name = 'Hamlet'\nprint(f'{name} is read.')", printed("Hamlet is read.\n")),
    cell("print('=' * 40)", printed("=" * 40 + "\n")),
    cell("plt.plot(x)", show({"text/plain": "<Figure size 640x480 with 1 Axes>", **PNG})),
    cell("picture()", show({"text/plain": "<picture object>", **HTML_PICTURE})),
    cell("widget", show(VIEW)),
    cell("warn()", printed("42 things\n", name="stderr")),
    cell("print(time())", printed("1234\n"), tags=["nbval-ignore-output"], exempt_reason="a clock"),
    cell("train()", printed("1234\n"), tags=["nbval-skip"], exempt_reason="an hour"),
]


@pytest.mark.parametrize("one", COMPARED, ids=lambda one: one.source)
def test_what_is_computed_counts(one):
    assert outputs.compared_cells(new_notebook(cells=[one])) == (1, 1, [])


@pytest.mark.parametrize("one", NOT_COMPARED, ids=lambda one: one.source)
def test_what_is_constant_or_a_picture_doesn_t_count(one):
    compared, with_output, why = outputs.compared_cells(new_notebook(cells=[one]))
    assert (compared, with_output) == (0, 1)
    assert why[0].startswith(f"cell 0 ({one.source.partition(chr(10))[0]}): ")


def test_a_blanked_value_alone_doesn_t_count():
    """Write the range into the source, and a measured line has nothing left that is compared."""
    one = cell("print('loss: usual range 1 to 2')", printed("loss: 1.5 (usual range 1 to 2)\n"))
    assert outputs.compared_cells(new_notebook(cells=[one]))[0] == 0


def test_cells_are_numbered_as_nbval_does_and_silent_ones_left_out():
    nb = new_notebook(cells=[new_markdown_cell("x"), cell("y = 1"), *COMPARED[:2], NOT_COMPARED[0]])
    assert outputs.compared_cells(nb) == (2, 3, ["cell 3 (print('done')): only a constant or a picture"])


# --- strictness ------------------------------------------------------------------------------------------


def test_good_cells_have_no_problems():
    good = [*COMPARED, *NOT_COMPARED[:6], *NOT_COMPARED[7:], new_markdown_cell("# NBVAL_SKIP"), cell("x = 1")]
    assert outputs.problems(new_notebook(cells=good)) == []


@pytest.mark.parametrize(
    "one, problem",
    [
        (cell("x", tags=["nbval-skip"]), "without a reason"),
        (cell("x", tags=["nbval-ignore-output"], exempt_reason=" "), "without a reason"),
        (cell("x\n  # NBVAL_SKIP", exempt_reason="slow"), "by a comment"),
        (cell("#NBVAL_IGNORE_OUTPUT\nx"), "by a comment"),
        (new_code_cell("print(42)"), "never run"),
        (cell("warn()", printed("careful", name="stderr")), "writes to stderr"),
        (cell("1 / 0", new_output("error", ename="E", evalue="e")), "ended in an error"),
        (cell("f", show({"text/plain": "<function f at 0x7f00aa>"})), "address"),
    ],
)
def test_a_loose_cell_is_a_problem(one, problem):
    (sentence,) = outputs.problems(new_notebook(cells=[cell("fine = 1"), one]))
    assert sentence.startswith("cell 1 (") and problem in sentence


def test_exemptions_are_listed_with_their_reasons():
    nb = new_notebook(cells=[*NOT_COMPARED[-2:], cell("y", tags=["nbval-skip"]), cell("x")])
    assert outputs.exemptions(nb) == [
        "cell 0 (print(time())): nbval-ignore-output: a clock",
        "cell 1 (train()): nbval-skip: an hour",
        "cell 2 (y): nbval-skip: NO REASON",
    ]


def test_kernels_wait_for_threads_as_the_launcher_says():
    launcher = runpy.run_path(str(Path(__file__).parents[2] / "course.py"))
    assert launcher["THREADS"] == outputs.QUIET_THREADS
