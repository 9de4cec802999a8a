"""The terminal summary lists which cells of the chapters are not compared, and why."""

import nbformat
from nbval_runner import CHAPTERS

from course_utils.classroom.outputs import compared_cells, exemptions


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("notebook cells that are compared")
    for path in CHAPTERS:
        nb = nbformat.read(path, as_version=4)
        compared, with_output, not_compared = compared_cells(nb)
        terminalreporter.line(f"{path.name}: {compared} of {with_output} cells with output")
        for sentence in not_compared:
            terminalreporter.line(f"  not compared: {sentence}")
        for sentence in exemptions(nb):
            terminalreporter.line(f"  exempted: {sentence}")
