"""The runner catches what it is there for: forged outputs, dead kernels, exemptions without a reason."""

import sys

import nbformat
import nbval.plugin
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbval_runner import SANITISE
from nbval_runner import nbval as run_nbval

from course_utils.classroom.outputs import BLANKED, refresh

FAKE_WIDGET = """class Widget:
    def __init__(self, bits):
        self.bits, self.png = bits, base64.b64encode(b"a picture that is longer than a line" * 9).decode()

    def _repr_mimebundle_(self, **_):
        view = {"version_major": 2, "version_minor": 1, "model_id": str(id(self))}
        return {
            "text/plain": f"The next letter costs {self.bits} bits.",
            "text/html": f'<img src="data:image/png;base64,{self.png}">',
            "image/png": self.png,
            "application/vnd.jupyter.widget-view+json": view,
        }
"""
MEASURED = "measured('validation loss', 1.5, 1, 2, 'nats')"
TABLE = "measured_table({'greedy': {'bits': (1.5, 1, 2)}, 'drawn': {'bits': (2.5, 1, 2)}})"
CELLS = {
    "define": "import base64, os\nfrom course_utils.measuring.report import measured, measured_table\n"
    + FAKE_WIDGET,
    "number": "print(6 * 7)",
    "value": MEASURED,
    "verdict": MEASURED,
    "range": MEASURED,
    "html_value": TABLE,
    "html_verdict": TABLE,
    "html_range": TABLE,
    "picture": "Widget(1.25 * 2)",
    "sentence": "Widget(1.25 * 2)",
    "ignored": "os.getpid()",
    "error": "1 / 0",
    "emptied": "print(2**10)",
}
NUMBER = {name: number for number, name in enumerate(CELLS)}


def results(run):
    """Outcome by cell name, from pytest's short summary."""
    lines = [line.split(maxsplit=1) for line in run.stdout.splitlines() if "::Cell " in line]
    outcomes = {}
    for outcome, rest in lines:
        for name, number in NUMBER.items():
            if outcome in ("PASSED", "FAILED") and rest.split(" - ")[0].endswith(f"::Cell {number}"):
                outcomes[name] = outcome
    return outcomes


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A small chapter with its outputs as `refresh` stores them."""
    path = tmp_path_factory.mktemp("notebooks") / "01_small.ipynb"
    nb = new_notebook(cells=[new_code_cell(source, id=name) for name, source in CELLS.items()])
    nb.cells[NUMBER["ignored"]].metadata |= {"tags": ["nbval-ignore-output"], "exempt_reason": "a process id"}
    nb.cells[NUMBER["error"]].metadata.tags = ["raises-exception"]
    nbformat.write(nb, path)
    refresh(path)
    return nbformat.read(path, as_version=4)


def run(nb, folder):
    nbformat.write(nb, folder / "01_small.ipynb")
    return run_nbval(folder / "01_small.ipynb")


def test_what_refresh_stored_is_computed_again(stored, tmp_path):
    done = run(stored, tmp_path)
    assert done.returncode == 0, done.stdout
    assert results(done) == dict.fromkeys(CELLS, "PASSED")


def test_each_forgery_is_caught_and_only_a_measured_value_or_a_picture_may_differ(stored, tmp_path):
    nb = nbformat.from_dict(stored)
    first = {name: cell.outputs[0] for name, cell in zip(CELLS, nb.cells, strict=True) if cell.outputs}
    first["number"].text = "43\n"
    first["value"].data["text/plain"] = "validation loss: 1.9 nats (usual range 1 to 2)"
    first["verdict"].data["text/plain"] = "validation loss: 1.5 nats (OUTSIDE the usual range 1 to 2)"
    first["range"].data["text/plain"] = "validation loss: 1.5 nats (usual range 1 to 3)"
    html = first["html_value"].data["text/html"]
    first["html_value"].data["text/html"] = html.replace("1.5", "1.9")
    first["html_verdict"].data["text/html"] = html.replace("OUTSIDE the usual range", "")
    first["html_range"].data["text/html"] = html.replace("1 to 2", "1 to 3")
    first["picture"].data |= {"image/png": "AAAA", "text/html": '<img src="data:image/png;base64,AAAA">'}
    first["sentence"].data["text/plain"] = "The next letter costs 2.4 bits."
    first["error"].evalue = "division by one"
    nb.cells[NUMBER["emptied"]].outputs = []
    done = run(nb, tmp_path)
    failed = ["number", "verdict", "range", "html_verdict", "html_range", "sentence", "error", "emptied"]
    assert done.returncode == 1
    assert results(done) == dict.fromkeys(CELLS, "PASSED") | dict.fromkeys(failed, "FAILED")


def test_a_killed_kernel_is_named_with_its_cell_and_signal(tmp_path):
    sources = ["print(1)", "import os\nos.kill(os.getpid(), 9)", "print(3)"]
    nb = new_notebook(cells=[new_code_cell(source, execution_count=1) for source in sources])
    done = run(nb, tmp_path)
    how = "exit status 9" if sys.platform == "win32" else "signal 9, SIGKILL"
    sentence = f"the kernel died ({how}) in cell 1 (import os)"
    assert done.returncode == 1
    assert sentence in done.stdout
    assert f"not run: {sentence}" in done.stdout
    assert "Timeout" not in done.stdout


def test_a_kernel_that_dies_after_its_answer_is_named_too(tmp_path):
    """The answer gets through; the process ends a moment later, while nothing runs."""
    leave = "import os, threading\n_ = threading.Timer(0.3, os._exit, [7]).start()"
    sources = [leave, "import time; time.sleep(60)"]
    nb = new_notebook(cells=[new_code_cell(source, execution_count=1) for source in sources])
    assert (
        "the kernel died (exit status 7) in cell 1 (import time; time.sleep(60))" in run(nb, tmp_path).stdout
    )


def test_nbval_blanks_what_the_count_leaves_out():
    patterns = nbval.plugin.get_sanitize_patterns(SANITISE.read_text(encoding="utf-8"))
    assert [regex for regex, _ in patterns] == [blanked.pattern for blanked in BLANKED]
