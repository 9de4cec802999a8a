"""What somebody tried who had read the guide and no code: files that break."""

import contextlib
import io
import json
import os
import zipfile

import nbformat
import pytest

from course_utils.classroom.assignments import find_assignment
from course_utils.classroom.grading import batch, cells, collecting, sandbox
from course_utils.commands import cli


def read(room, content):
    return cells.read(content, room.assignment.asked())


def twice(notebook):
    """A first try, wrong, above the answer, with the same ids."""
    number = next(i for i, cell in enumerate(notebook["cells"]) if cell["id"] == "witten_bell")
    wrong = notebook["cells"][number] | {"source": "def witten_bell(counts, lower):\n    return {}"}
    notebook["cells"].insert(number, wrong)
    return json.dumps(notebook).encode()


def without_metadata(notebook):
    for number, cell in enumerate(notebook["cells"]):
        cell |= {"id": f"new-{number}", "metadata": {}}
    return json.dumps(notebook).encode()


def with_odd_cells(notebook):
    odd = [None, 7, "cell", [], {}, {"cell_type": "code"}, {"source": {"a": 1}, "metadata": []}]
    notebook["cells"][3:3] = odd
    return json.dumps(notebook).encode()


def reversed_(notebook):
    notebook["cells"].reverse()
    return json.dumps(notebook).encode()


def with_outputs(notebook, characters):
    picture = {"image/png": "A" * characters}
    notebook["cells"][2]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": picture}]
    return json.dumps(notebook).encode()


def in_a_windows_encoding(notebook):
    notebook["cells"][-1]["source"] = "So groß wie „Hamlet“."
    return json.dumps(notebook, ensure_ascii=False).encode("cp1252", "replace")


def zipped(notebook):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("ngrams.ipynb", json.dumps(notebook))
    return content.getvalue()


def of_2013(notebook):
    return json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": notebook["cells"]}]}).encode()


READ = {  # the answers are all there; the notice says what was odd
    "an answer's cell twice": (twice, "is there more than once"),
    "all metadata lost, all ids new": (without_metadata, "lost its tag"),
    "cells that are none": (with_odd_cells, "Cell 4 can't be read"),
    "cells in the reverse order": (reversed_, ""),
    "UTF-16": (lambda notebook: json.dumps(notebook).encode("utf-16"), "UTF-16"),
    "a mark at the start": (lambda notebook: json.dumps(notebook).encode("utf-8-sig"), "UTF-8"),
    "10 MB of outputs": (lambda notebook: with_outputs(notebook, 10_000_000), ""),
    "a key twice": (
        lambda notebook: json.dumps(notebook).replace('"cells"', '"cells": [], "cells"', 1).encode(),
        "",
    ),
}
REFUSED = {
    "half of the file": (lambda notebook: json.dumps(notebook).encode()[:9000], "is cut off at byte 9,000"),
    "30 MB of outputs": (lambda notebook: with_outputs(notebook, 30_000_000), "Clear the outputs"),
    "an encoding of Windows": (in_a_windows_encoding, "Copy your answers into a fresh copy"),
    "a zip by the name of a notebook": (zipped, "a zip archive: hand in the notebook itself"),
    "nbformat 3": (of_2013, "the format of 2013"),
    "nothing": (lambda notebook: b"", "is empty (0 bytes)"),
    "200,000 brackets": (lambda notebook: b"[" * 200_000, "nested 200,000 deep"),
}


@pytest.fixture
def ada(room):
    return json.loads(nbformat.writes(room.notebook("ada")))


@pytest.mark.parametrize("broken, notice", READ.values(), ids=READ)
def test_a_broken_file_that_can_be_read_gives_all_answers(room, ada, broken, notice):
    whole = read(room, json.dumps(ada).encode()).sources
    answers = read(room, broken(ada))
    assert answers.sources == whole and notice in " ".join(answers.notices)


@pytest.mark.parametrize("broken, sentence", REFUSED.values(), ids=REFUSED)
def test_a_broken_file_that_can_not_be_read_says_what_to_do(room, ada, broken, sentence):
    with pytest.raises(cells.Ungradable) as caught:
        read(room, broken(ada))
    assert sentence in str(caught.value)


def test_a_file_may_be_cut_off_at_any_byte(room, ada):
    """In the middle of an escape, of a number or of `true`, too."""
    ada["cells"] = ada["cells"][:2]
    ada["metadata"] |= {"odd": [True, None, -1.5e-30, "\u00e9\ud83d\ude00\\\n"]}
    whole = json.dumps(ada).encode()
    for length in range(1, len(whole)):
        with pytest.raises(cells.Ungradable, match=f"is cut off at byte {length:,}"):
            read(room, whole[:length])


def test_a_letter_too_many_at_the_end_is_damage(room, ada):
    with pytest.raises(cells.Ungradable, match="is damaged at byte"):
        read(room, json.dumps(ada).encode() + b"x")


def test_another_assignments_notebook_is_no_zero(room, ada):
    """Its written answer has the same tag."""
    other = json.loads(find_assignment("attention").path.read_text())
    room.hand_in("ada", json.dumps(other).encode())
    standing = room.grade()["ada"]
    assert standing.status == "ungradable" and "is it another assignment's?" in standing.reason


def test_what_changes_while_it_is_graded_is_handed_in_again(room):
    """A result belongs to the bytes that were kept, and the new file is graded too."""
    room.hand_in("ada", b"")
    store = room.overlay.store()
    collecting.collect("ngrams", room.submissions, store)
    [first] = store.pending("ngrams", store.round("ngrams"))
    room.hand_in("ada", b"[]")
    assert store.record(first, 1, *batch.grade_one(room.assignment, room.overlay, store, first))
    assert "0 bytes" in store.standings("ngrams")["ada"].reason
    assert "holds a list" in room.grade()["ada"].reason


def test_odd_names_are_told_and_stop_no_command(room, capsys):
    """Names with line ends, dots, bytes that are no text; in no roster, or in another case."""
    room.release("ada")
    for name in (b"Ada", b"new\nline", b"Zo\xc3\xab \xff", b"=cmd()", b"-x", b"a'b\"<i>"):
        (room.submissions / os.fsdecode(name)).mkdir()
    with pytest.raises(SystemExit) if sandbox.problem() else contextlib.nullcontext():
        commands = ["grade", "ngrams", "--overlay", str(room.folder)]
        cli.main([*commands, "--submissions", str(room.submissions), "--workers", "1"])
        said = capsys.readouterr().out
        assert "Not in the roster, and graded by names of their own: -x, =cmd(), Ada, Zoë" in said
        assert r"new\nline" in said and r"Zoë \udcff" in said
    for form in ("csv", "moodle", "canvas", "gradescope"):
        cli.main(["export", "ngrams", "--format", form, "--overlay", str(room.folder)])
    cli.main(["feedback", "ngrams", "--overlay", str(room.folder)])
