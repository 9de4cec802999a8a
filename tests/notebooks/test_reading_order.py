"""A learner may do the core path first, and come back for what is off it: every name is what it was."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbval_runner import CHAPTERS
from reading_order import taken_from_elsewhere


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_each_cell_finds_its_names(chapter):
    assert taken_from_elsewhere(nbformat.read(chapter, as_version=4)) == []


@pytest.mark.parametrize(
    "off, later, told",
    [
        ("print(rows)", "rows = 2", ["cell 1: rows of cell 0 is that of 2"]),
        (
            "def show():\n    return rows",
            "for rows in (2,):\n    pass",
            ["cell 1: rows of cell 0 is that of 2"],
        ),
        ("one = 1", "print(one)", ["cell 2: one of cell 1 is that of None"]),
        ("rows = 2\nprint(rows)", "rows = 3", []),
        ("print([rows for rows in (1, 2)])", "rows = 2", []),
        ("def show(rows):\n    return rows", "rows = 2", []),
        ("print(rows)", "print([rows for rows in (1, 2)], lambda rows: rows)", []),
        ("import math", "import math\nprint(math.pi)", []),
    ],
)
def test_what_is_taken_from_elsewhere_is_told(off, later, told):
    nb = new_notebook(
        cells=[
            new_markdown_cell("## 1", metadata={"tags": ["core"]}),
            new_code_cell("rows = 1"),
            new_markdown_cell("### Deeper: more"),
            new_code_cell(off),
            new_markdown_cell("## 2", metadata={"tags": ["core"]}),
            new_code_cell(later),
        ]
    )
    assert taken_from_elsewhere(nb) == told


def test_an_exercise_of_the_path_is_on_it_wherever_it_stands():
    cells = [
        new_markdown_cell("*(Off the core path.)*"),
        new_code_cell("rows = 1", metadata={"tags": ["core"]}),
    ]
    cells += [new_markdown_cell("## 2", metadata={"tags": ["core"]}), new_code_cell("print(rows)")]
    assert taken_from_elsewhere(new_notebook(cells=cells)) == []
