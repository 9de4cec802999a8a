"""Notebooks that came broken, changed or hostile: each has its own sentence, and what can be read is."""

import json
import os

import pytest

from course_utils.classroom.grading import cells
from course_utils.classroom.grading.cells import Asked, Ungradable, load, read

STUB = "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError"
RIGHT = "def double(x):\n    return 2 * x"
ASKED = [Asked("double", "double", STUB), Asked("essay")]


def cell(source, id="", kind="code", **tag):
    metadata = {"nbgrader": {"grade_id": id, "schema_version": 3, **tag}} if id else {}
    return {"cell_type": kind, "metadata": metadata, "source": source} | (
        {"outputs": [], "execution_count": None} if kind == "code" else {}
    )


ESSAY = cell("Because.", "essay", "markdown")
TESTS = cell("assert double(2) == 4", "double-tests", grade=True, locked=True, points=4)


def notebook(*some, **changes):
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(some)} | changes
    return json.dumps({name: value for name, value in book.items() if value is not None}).encode()


GOOD = notebook(cell("# a title", kind="markdown"), cell(RIGHT, "double"), TESTS, ESSAY)


def test_only_the_answers_come_out():
    assert read(GOOD, ASKED) == cells.Answers({"double": RIGHT, "essay": "Because."})


def test_a_source_of_lines_is_joined():
    assert read(notebook(cell(RIGHT.splitlines(True), "double"), ESSAY), ASKED).sources["double"] == RIGHT


REFUSED = {
    "no bytes": (b"", "is empty (0 bytes)"),
    "zero bytes": (b"\0" * 4096, "4,096 bytes of nothing"),
    "blanks": (b" \n \n", "bytes of nothing"),
    "cut off in a string": (GOOD[: GOOD.index(b"return")], "is cut off at byte"),
    "cut off between strings": (GOOD[: GOOD.index(b'"source"')], "is cut off at byte"),
    "cut off at its last bracket": (GOOD[:-1], "is cut off at byte"),
    "a byte changed": (GOOD.replace(b"}, {", b"} {", 1), "is damaged at byte"),
    "two notebooks in one": (GOOD + GOOD, "is damaged at byte"),
    "a merge conflict": (b"{\n<<<<<<< HEAD\n" + GOOD[1:], "Line 2 holds the mark of a merge conflict"),
    "a number too long": (b'{"cells": [' + b"1" * 5000 + b"]}", "a number too long"),
    "a program": (RIGHT.encode(), "begins with 'def double"),
    "a list": (b"[1, 2]", "is JSON, but no notebook: it holds a list"),
    "a string": (b'"notebook"', "is JSON, but no notebook: it holds a str"),
    "no cells": (b"{}", "no cells in it"),
    "cells of a wrong type": (notebook(cells={"a": 1}), "no cells in it"),
    "an empty list of cells": (notebook(), "no cells in it"),
    "the format of 2013": (b'{"nbformat": 3, "worksheets": [{"cells": []}]}', "nbformat 3"),
    "another assignment": (notebook(cell("x = 1", "other")), "is it another assignment's?"),
    "another assignment with a text of that name": (
        notebook(cell("x = 1", "other"), cell("assert x", "other-tests"), ESSAY),
        "Its tagged cells are essay, other, other-tests: is it another assignment's?",
    ),
    "no tags at all": (notebook(cell("x = 1")), "No cell has a tag"),
    "bytes at random": (bytes(range(1, 256)) * 9, "no text in UTF-8 (at byte 127)"),
    "Latin-1": ('{"cells": "é"}'.encode("latin-1"), "no text in UTF-8"),
    "half of UTF-16": (b"\xff\xfe{", "no text in UTF-8 (at byte"),
    "a zip": (b"PK\x03\x04 and so on", "a zip archive"),
    "gzip": (b"\x1f\x8b and so on", "a gzip archive"),
    "a PDF": (b"%PDF-1.7", "a PDF"),
    "a web page": (b"\n<!doctype html><p>Log in", "a web page"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "nested 100,000 deep"),
    "nested, not closed": (b'{"a":' * 100_000, "nested 100,000 deep"),
    "a million values": (b'{"cells": [' + b"[]," * 1_000_000 + b"[]]}", "holds 1,000,000 values"),
}


@pytest.mark.parametrize("content, sentence", REFUSED.values(), ids=REFUSED)
def test_what_is_no_notebook_is_refused_in_its_own_words(content, sentence):
    with pytest.raises(Ungradable) as caught:
        read(content, ASKED)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "large.ipynb").open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(Ungradable, match=r"200 MB; 20 MB are allowed\. Clear the outputs"):
        load(tmp_path / "large.ipynb")


def test_links_folders_and_pipes_are_refused(tmp_path):
    (tmp_path / "link.ipynb").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name, sentence in {
        "link.ipynb": "a link to another file",
        "pipe.ipynb": "folder or a device",
        "": "folder or a device",
        "none.ipynb": "No such file",
    }.items():
        with pytest.raises(Ungradable, match=sentence):
            load(tmp_path / name)


def test_a_file_is_read_as_it_is(tmp_path):
    (tmp_path / "good.ipynb").write_bytes(GOOD)
    assert load(tmp_path / "good.ipynb") == GOOD


REPAIRED = {
    "no nbformat": (notebook(cell(RIGHT, "double"), ESSAY, nbformat=None), "has no nbformat"),
    "a strange nbformat": (
        notebook(cell(RIGHT, "double"), ESSAY, nbformat="four"),
        "another nbformat than 4",
    ),
    "nbformat 5": (notebook(cell(RIGHT, "double"), ESSAY, nbformat=5), "another nbformat than 4"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "UTF-16"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, "UTF-8"),
    "a copy that is empty": (notebook(cell(RIGHT, "double"), cell("", "double"), ESSAY), "more than once"),
    "a copy that is the stub": (
        notebook(cell(RIGHT, "double"), cell(STUB, "double"), ESSAY),
        "more than once",
    ),
    "an older copy": (
        notebook(cell("def double(x): return x", "double"), cell(RIGHT, "double"), ESSAY),
        "more than once",
    ),
    "metadata lost": (notebook(cell(RIGHT), ESSAY), "has lost its tag"),
    "a cell renamed": (notebook(cell(RIGHT, "dobule"), ESSAY), "has lost its tag"),
    "a text cell": (notebook(cell(RIGHT, "double", "markdown"), ESSAY), "no code cell any more"),
    "a cell of no kind": (notebook(cell(RIGHT, "double", []), ESSAY), "no code cell any more"),
    "the essay is missing": (
        notebook(cell(RIGHT, "double")),
        "essay is missing: copy your answers into a fresh",
    ),
    "cells that are none": (notebook(7, None, cell(RIGHT, "double"), ESSAY), "Cell 1 can't be read"),
    "a source that is none": (notebook(cell(7), cell([7]), cell(RIGHT, "double"), ESSAY), "Cell 2 can't"),
    "metadata of a wrong type": (
        notebook(
            cell("x") | {"metadata": 3}, {"source": "", "metadata": {"nbgrader": 1}}, cell(RIGHT, "double")
        ),
        "essay is missing",
    ),
}


@pytest.mark.parametrize("content, notice", REPAIRED.values(), ids=REPAIRED)
def test_what_is_odd_is_read_and_told(content, notice):
    answers = read(content, ASKED)
    assert answers.sources["double"] == RIGHT and notice in " ".join(answers.notices)


def test_a_text_is_found_when_all_tags_are_lost():
    book = notebook(cell("# a title", kind="markdown"), cell(RIGHT), cell("Because.", kind="markdown"))
    answers = read(book, ASKED)
    assert answers.sources == {"double": RIGHT, "essay": "Because."} and "lost its tag" in answers.notices[1]
    with pytest.raises(Ungradable, match="No cell has a tag"):
        read(notebook(cell("My homework", kind="markdown")), ASKED)


def test_notices_are_few_and_short():
    name = "x" * 5000
    use = cell(f"def double(x):\n    return {name}", "double")
    notices = read(notebook(*[None] * 10_000, cell(f"{name} = 2"), use, ESSAY), ASKED).notices
    assert len(notices) == 21 and notices[-1] == "9,981 more like these."
    assert max(map(len, read(notebook(cell(f"{name} = 2"), use, ESSAY), ASKED).notices)) == 300


def test_deleted_tests_wrong_kernels_and_more_cells_change_nothing():
    odd = notebook(cell("1 / 0"), cell(RIGHT, "double"), ESSAY, metadata={"kernelspec": {"name": "r"}})
    assert read(odd, ASKED) == read(GOOD, ASKED)


def test_points_and_tests_of_the_file_are_not_even_looked_at():
    changed = cell(RIGHT, "double", points=1000, grade=True), cell("pass", "double-tests", points=1000), ESSAY
    assert read(notebook(*changed), ASKED) == read(GOOD, ASKED)


def test_a_cell_that_was_split_is_joined():
    answers = read(notebook(cell("import math", "double"), cell(RIGHT, "double"), ESSAY), ASKED)
    assert answers.sources["double"] == f"import math\n\n{RIGHT}" and "split in 2" in answers.notices[0]


def test_a_text_that_was_split_is_read_whole():
    halves = cell("First half.", "essay", "markdown"), cell("Second half.", "essay", "markdown")
    answers = read(notebook(cell(RIGHT, "double"), *halves, halves[0]), ASKED)
    assert answers.sources["essay"] == "First half.\n\nSecond half."
    assert "all its texts are read" in answers.notices[0]


def test_answers_stand_in_the_order_of_the_notebook():
    asked = [Asked("a", "a"), Asked("b", "b")]
    book = notebook(cell("def b(): 0", "b"), cell("def a(): 0", "a"))
    assert list(read(book, asked).sources) == ["b", "a"]


def test_commands_of_jupyter_do_nothing():
    answers = read(notebook(cell(f"%%time\n!ls\n{RIGHT}", "double"), ESSAY), ASKED)
    assert answers.sources["double"] == f"pass\npass\n{RIGHT}" and "commands of Jupyter" in answers.notices[0]


def test_a_line_of_a_text_that_begins_with_percent_stays():
    source = 'def double(x):\n    """\n    % of x\n    """\n    return 2 * x'
    assert read(notebook(cell(source, "double"), ESSAY), ASKED).sources["double"] == source


@pytest.mark.parametrize(
    "rest",
    [
        'def double(x):\n    """\n!hello\n% of x\n    """\n    return 2 * x',
        "def double(x):\n    return (2 * x\n            % 1_000_000)",
    ],
)
def test_beside_a_command_a_line_that_is_none_stays(rest):
    answers = read(notebook(cell(f"%matplotlib inline\n{rest}\nif True:\n    !ls", "double"), ESSAY), ASKED)
    assert answers.sources["double"] == f"pass\n{rest}\nif True:\n    pass"


def test_a_mistake_beside_a_command_is_left():
    source = "%%time\ndef double(x):\n    return 2 *"
    assert read(notebook(cell(source, "double"), ESSAY), ASKED).sources["double"] == source


def test_a_module_that_is_not_there_is_told():
    uses = "import math, torch.nn\nfrom numpy import pi\nimport matplotlib.pyplot as plt\n"
    notices = read(notebook(cell(uses + RIGHT, "double"), ESSAY), ASKED).notices
    assert [notice.split(" is ")[0] for notice in notices] == ["The module matplotlib", "The module torch"]


def test_a_helper_in_another_cell_is_told():
    use = "def double(x):\n    return helper(x)"
    answers = read(notebook(cell("def helper(x): return 2 * x"), cell(use, "double"), ESSAY), ASKED)
    assert "uses `helper`, which stands in a cell that is no answer" in answers.notices[0]
    imports = cell("import numpy as np\nfrom collections import Counter, deque")
    use = cell("def double(x):\n    return np.array(Counter(x)) * 2", "double")
    assert [notice.split("`")[1] for notice in read(notebook(imports, use, ESSAY), ASKED).notices] == [
        "Counter",
        "np",
    ]
    assert len(read(notebook(imports, use, ESSAY), ASKED, "import numpy as np").notices) == 1
    own = "def double(x):\n    import numpy as np\n    y = 2\n    return np.array(y * x)"
    assert (
        read(notebook(cell("import numpy as np\ny = x = 1"), cell(own, "double"), ESSAY), ASKED).notices == ()
    )


def test_an_answer_of_a_megabyte_counts_as_missing():
    answers = read(notebook(cell("#" * 1_000_000, "double"), ESSAY), ASKED)
    assert "double" not in answers.sources and "1,000,000 characters" in answers.notices[0]


DEEP = ["-" * 99_000 + "1", "1+" * 49_000 + "1", "a." * 49_000 + "a", "f(" * 40_000, "not " * 24_000 + "1"]
DEEP += ["lambda:" * 14_000 + "1", "[" * 99_000, "a if b else " * 8_000 + "c", "\0", "\ud800", "é" * 90_000]


def test_more_code_than_anybody_writes_is_refused():
    many = [cell("x = 1\n" * 10_000 + "%a\n" * 99) for _ in range(cells.MAX_CODE // 60_000 + 1)]
    with pytest.raises(Ungradable, match=r"500,000 are read\. Hand in the notebook that was handed out"):
        read(notebook(*many), ASKED)


@pytest.mark.parametrize("source", DEEP, ids=lambda source: f"{source[:8]!a}...")
def test_no_program_breaks_the_reader(source):
    book = notebook(cell(source, "double"), cell(source), ESSAY)
    expected = "\\ud800" if source == "\ud800" else source
    assert read(book, ASKED).sources["double"] == expected


def test_half_a_character_becomes_visible():
    answers = read(notebook(cell(RIGHT, "double"), cell("\ud83d", "essay"), nbformat="\ud83d"), ASKED)
    assert answers.sources["essay"] == r"\ud83d" and r"\ud83d" in answers.notices[0]
    with pytest.raises(Ungradable, match=r"tagged cells are \\ud83d:"):
        read(notebook(cell("x = 1", "\ud83d")), ASKED)


def test_what_is_printed_holds_nothing_that_a_terminal_obeys():
    assert cells.printable("é “x” 文") == "é “x” 文"
    assert cells.printable("\x1b[2J\r\n\x9b\u202e\ud83d") == r"\x1b[2J\r\n\x9b\u202e\ud83d"
