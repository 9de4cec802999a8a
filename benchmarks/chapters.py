"""How long each chapter computes, from a fresh kernel, and which cell takes longest.

python3 course.py bench chapters                       print the table
python3 course.py bench chapters 8 10                  of these chapters
python3 course.py bench chapters --write "2 CPU cores" put the row of that device into each chapter
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from course_utils.classroom.outputs import CELL_SECONDS, QUIET_THREADS
from course_utils.files import write_atomic

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TABLE = re.compile(r"<!-- times -->\n(.*?)<!-- /times -->", re.DOTALL)
HEAD = "| device | computing, whole chapter | longest cell |\n|---|---|---|\n"


def seconds_by_cell(path: Path) -> list[tuple[float, str]]:
    """Run a copy of a chapter in memory; of each code cell its seconds and its first line."""
    nb, started, seconds = nbformat.read(path, as_version=4), {}, []  # a list: first lines repeat

    def begin(cell, cell_index):
        started[cell_index] = time.perf_counter()

    def end(cell, cell_index, execute_reply):
        if cell.cell_type == "code":
            took = time.perf_counter() - started[cell_index]
            seconds.append((took, cell.source.split("\n", 1)[0]))

    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(nb, timeout=CELL_SECONDS, resources=resources, store_widget_state=False)
    client.on_cell_start, client.on_cell_executed = begin, end
    client.execute(env=os.environ | QUIET_THREADS)
    return seconds


def write_row(path: Path, device: str, total: float, longest: float) -> None:
    """Put a device's row into the chapter's table of times, in place of the one it had."""
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        if found := TABLE.search(cell.source):
            rows = [row for row in found[1].splitlines()[2:] if not row.startswith(f"| {device} |")]
            rows.append(f"| {device} | {total:.0f} s | {longest:.0f} s |")
            table = f"<!-- times -->\n{HEAD}{chr(10).join(rows)}\n<!-- /times -->"
            cell.source = cell.source.replace(found[0], table)
            write_atomic(path, nbformat.writes(nb) + "\n")
            return
    sys.exit(
        f"{path.name} has no <!-- times --> ... <!-- /times --> in a Markdown cell: add the two comments"
    )


def main() -> None:
    notebooks = {int(path.name[:2]): path for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))}
    parser = argparse.ArgumentParser(prog="course.py bench chapters", allow_abbrev=False)
    parser.add_argument("chapters", nargs="*", type=int, help="their numbers; all of them without any")
    parser.add_argument("--write", metavar="DEVICE", help="put the row of this device into each chapter")
    options = parser.parse_args()
    if unknown := {*options.chapters} - {*notebooks}:
        parser.error(f"there is no chapter {min(unknown)}: choose from {', '.join(map(str, notebooks))}")
    print(f"{'chapter':20}{'seconds':>9}{'longest':>9}  longest cell")
    for number in options.chapters or notebooks:
        path = notebooks[number]
        seconds = seconds_by_cell(path)
        total, (longest, slowest) = sum(took for took, _ in seconds), max(seconds)
        print(f"{path.stem:20}{total:9.1f}{longest:9.1f}  {slowest[:60]}")
        if options.write:
            write_row(path, options.write, total, longest)


if __name__ == "__main__":
    main()
