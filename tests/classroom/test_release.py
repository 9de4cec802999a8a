"""What a learner gets has no solutions, and what a learner saved is never lost."""

import json
import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.classroom import release

SOLUTION = """def double(x):
    ### BEGIN SOLUTION
    y = 2 * x
    return y
    ### END SOLUTION
"""


def chapter(*exercises, title="A chapter"):
    cells = [new_markdown_cell(title, id="title")]
    for exercise in exercises:
        answer = new_code_cell(
            f"# exercise {exercise}\n{SOLUTION}", id=f"answer-{exercise.replace('.', '-')}"
        )
        answer.metadata |= {"exercise": exercise, "tags": ["exercise"]}
        check = new_code_cell(f"check({exercise!r}, double)", id=f"check-{exercise.replace('.', '-')}")
        check.metadata |= {"exercise": exercise, "tags": ["check"]}
        cells += [answer, check]
    for cell in cells[1:]:
        cell.execution_count = 1
        cell.outputs = [new_output("stream", text="42\n")]
    return new_notebook(cells=cells)


class Course:
    """A repository's notebooks, a learner's folder, and what one does with them."""

    def __init__(self, folder):
        self.notebooks, self.work = folder / "notebooks", folder / "my_work"
        self.notebooks.mkdir()

    def publish(self, *exercises, **settings):
        nbformat.write(chapter(*exercises, **settings), self.notebooks / "01_ngrams.ipynb")

    def copy(self):
        return release.copy_chapters(self.notebooks, self.work)

    def learn(self, answers, name="01_ngrams.ipynb"):
        """Answer exercises as JupyterLab would save them; each save is later than the one before."""
        path = self.work / name
        nb = nbformat.read(path, as_version=4)
        for cell in nb.cells:
            if "exercise" in cell.metadata.get("tags", []) and cell.metadata.exercise in answers:
                cell.source = answers[cell.metadata.exercise]
        nbformat.write(nb, path)
        latest = max(p.stat().st_mtime for p in self.work.glob("*.ipynb"))
        os.utime(path, (latest + 10, latest + 10))
        return path.read_bytes()

    def answers(self, path):
        nb = nbformat.read(path, as_version=4)
        return {c.metadata.exercise: c.source for c in nb.cells if "exercise" in c.metadata.get("tags", [])}

    def copies(self):
        return sorted(path.name for path in self.work.glob("*.ipynb"))


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


# --- solutions -------------------------------------------------------------------------------------------


def test_solutions_become_stubs_at_their_indentation():
    nb = chapter("1.1")
    stripped = release.strip_solutions(nb)
    expected = "# exercise 1.1\ndef double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError\n"
    assert stripped.cells[1].source == expected
    assert "return y" in nb.cells[1].source, "the notebook passed in is left alone"


def test_nothing_computed_is_left():
    nb = chapter("1.1", "1.2")
    nb.metadata.widgets = {"state": 1}
    stripped = release.strip_solutions(nb)
    code = [cell for cell in stripped.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * 4
    assert "widgets" not in stripped.metadata
    assert "42" not in nbformat.writes(stripped)


def test_two_solutions_in_a_cell_and_loosely_written_markers():
    nb = new_notebook(cells=[new_code_cell("a\n#BEGIN SOLUTION\nsecret\n## end solution\nb\n" + SOLUTION)])
    source = release.strip_solutions(nb).cells[0].source
    assert source.count("raise NotImplementedError") == 2
    assert "secret" not in source and "2 * x" not in source and "\nb\n" in source


@pytest.mark.parametrize(
    "source",
    [
        "### BEGIN SOLUTION\nsecret",
        "secret\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\nsecret\n### END SOLUTION",
        "### BEGIN SOLUTION\nsecret\n### END SOLUTION\n### END SOLUTION",
    ],
)
def test_unbalanced_markers_name_the_cell(source, course):
    nb = chapter("1.1")
    nb.cells[1].source = source
    with pytest.raises(ValueError, match=r"cell 2 \(exercise 1\.1\): .*SOLUTION"):
        release.strip_solutions(nb)
    nbformat.write(nb, course.notebooks / "01_ngrams.ipynb")
    with pytest.raises(ValueError, match=r"01_ngrams\.ipynb: cell 2"):
        course.copy()


# --- copying ---------------------------------------------------------------------------------------------


def test_chapters_are_copied_once(course):
    course.publish("1.1")
    assert course.copy() == ["Copied 01_ngrams.ipynb."]
    assert "raise NotImplementedError" in course.answers(course.work / "01_ngrams.ipynb")["1.1"]
    assert course.copy() == []
    assert course.copies() == ["01_ngrams.ipynb"]
    assert not [path for path in course.work.rglob("*.tmp")]


def test_a_learner_s_file_is_never_overwritten(course):
    course.publish("1.1")
    course.copy()
    mine = course.learn({"1.1": "def double(x): return x + x"})
    assert course.copy() == []
    course.publish("1.1", title="A better chapter")
    course.copy()
    assert (course.work / "01_ngrams.ipynb").read_bytes() == mine


def test_what_is_folded_stays_folded(course):
    """In a fresh copy, in a new version beside the learner's, and in a copy that is reset."""
    folded = {"jupyter": {"source_hidden": True}, "tags": ["hide-input", "set-up"]}

    def publish(title):
        nb = chapter("1.1", title=title)
        nb.cells.insert(1, new_code_cell("# Set-up", id="set-up-1", metadata=folded))
        nbformat.write(nb, course.notebooks / "01_ngrams.ipynb")

    publish("A chapter")
    course.copy()
    course.learn({"1.1": "def double(x): return x + x"})
    publish("A better chapter")
    course.copy()
    release.reset("1", course.notebooks, course.work)
    assert len(course.copies()) == 3
    for name in course.copies():
        assert nbformat.read(course.work / name, as_version=4).cells[1].metadata == folded


def test_an_untouched_copy_is_replaced(course):
    course.publish("1.1")
    course.copy()
    course.publish("1.1", title="A better chapter")
    assert course.copy() == [
        "01_ngrams.ipynb is the new version of the chapter; you had not changed the old one."
    ]
    assert course.copies() == ["01_ngrams.ipynb"]
    assert b"A better chapter" in (course.work / "01_ngrams.ipynb").read_bytes()


def test_a_changed_chapter_is_written_beside_with_the_answers(course):
    course.publish("1.1", "1.2", "1.3")
    course.copy()
    # 1.1 is answered, 1.2 begun with the raise still in it, 1.3 not looked at.
    begun = "def double(x):\n    y = 2 * x  # and now?\n    raise NotImplementedError"
    course.learn({"1.1": "def double(x): return x + x", "1.2": begun})
    course.publish("1.3", "1.1", "1.2", title="A better chapter")
    (message,) = course.copy()
    (new,) = course.work.glob("01_ngrams.new-*.ipynb")
    assert new.name in message and "1.1, 1.2" in message and "1.3" not in message
    answers = course.answers(new)
    assert answers["1.1"] == "def double(x): return x + x"
    assert answers["1.2"] == begun
    assert "# YOUR CODE HERE" in answers["1.3"]
    assert b"A better chapter" in new.read_bytes() and b"check('1.1'" in new.read_bytes()

    new.unlink()  # the learner doesn't want it: it isn't written again
    assert course.copy() == []
    assert course.copies() == ["01_ngrams.ipynb"]


def test_an_old_stub_is_no_answer(course):
    """The stub changed with the chapter: carrying the old one over would undo the change."""
    course.publish("1.1", "1.2")
    course.copy()
    course.learn({"1.2": "def double(x): return x + x"})
    nb = chapter("1.1", "1.2")
    nb.cells[1].source = nb.cells[1].source.replace("double(x)", "double(number)")
    nbformat.write(nb, course.notebooks / "01_ngrams.ipynb")
    course.copy()
    (new,) = course.work.glob("01_ngrams.new-*.ipynb")
    assert "double(number)" in course.answers(new)["1.1"]


def test_answers_come_from_the_version_saved_last(course):
    course.publish("1.1", "1.2")
    course.copy()
    course.learn({"1.1": "first"})
    course.publish("1.1", "1.2", title="Second edition")
    course.copy()
    (second,) = course.work.glob("01_ngrams.new-*.ipynb")
    course.learn({"1.2": "second"}, second.name)
    course.publish("1.1", "1.2", title="Third edition")
    (message,) = course.copy()
    (third,) = set(course.work.glob("01_ngrams.new-*.ipynb")) - {second}
    assert course.answers(third) == {"1.1": "first", "1.2": "second"}
    assert f"from {second.name}" in message


@pytest.mark.parametrize("how", ["upstream goes back and forth", "the memory is lost"])
def test_a_new_version_that_was_worked_in_is_not_overwritten(how, course):
    course.publish("1.1")
    course.copy()
    course.learn({"1.1": "first"})
    course.publish("1.1", title="Second edition")
    course.copy()
    (second,) = course.work.glob("01_ngrams.new-*.ipynb")
    mine = course.learn({"1.1": "better"}, second.name)
    if how == "the memory is lost":
        (course.work / ".course" / "release.json").unlink()
    else:
        course.publish("1.1", title="Third edition")
        course.copy()
        course.publish("1.1", title="Second edition")
    assert course.copy() == []
    assert second.read_bytes() == mine


def test_an_answer_that_is_no_longer_asked_is_named(course):
    course.publish("1.1", "1.2")
    course.copy()
    course.learn({"1.1": "first", "1.2": "second"})
    course.publish("1.2")
    (message,) = course.copy()
    assert "No longer asked: 1.1; those answers stay in 01_ngrams.ipynb." in message


def test_an_answer_split_over_cells_is_carried_whole(course):
    course.publish("1.1")
    course.copy()
    path = course.work / "01_ngrams.ipynb"
    nb = nbformat.read(path, as_version=4)
    second = new_code_cell("part two", metadata=nb.cells[1].metadata)
    nb.cells[1].source = "part one"
    nb.cells.insert(2, second)
    nbformat.write(nb, path)
    course.publish("1.1", title="A better chapter")
    course.copy()
    (new,) = course.work.glob("01_ngrams.new-*.ipynb")
    assert course.answers(new)["1.1"] == "part one\n\npart two"


@pytest.mark.parametrize(
    "content", [b'{"cells": [{"cell_type": "co', b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000]
)
@pytest.mark.parametrize("upstream_changes", [False, True])
def test_a_broken_file_is_never_touched(content, upstream_changes, course):
    course.publish("1.1")
    course.copy()
    (course.work / "01_ngrams.ipynb").write_bytes(content)
    if upstream_changes:
        course.publish("1.1", title="A better chapter")
    (message,) = course.copy()
    assert message.startswith("01_ngrams.ipynb can't be read") and "`reset 01_ngrams`" in message
    assert (course.work / "01_ngrams.ipynb").read_bytes() == content
    assert course.copies() == ["01_ngrams.ipynb"]


@pytest.mark.parametrize("state", ["", "{", "[]", '{"01_ngrams": 3}', None])
def test_without_its_memory_nothing_is_lost(state, course):
    course.publish("1.1")
    course.copy()
    mine = course.learn({"1.1": "first"})
    memory = course.work / ".course" / "release.json"
    memory.unlink() if state is None else memory.write_text(state)
    course.copy()
    assert (course.work / "01_ngrams.ipynb").read_bytes() == mine
    assert course.copy() == []
    assert "01_ngrams" in json.loads(memory.read_text())


def test_a_copy_of_the_first_version_counts_as_untouched(course):
    """It called the hash of what it had written "laid"."""
    course.publish("1.1")
    course.copy()
    memory = course.work / ".course" / "release.json"
    memory.write_text(memory.read_text().replace('"copy"', '"laid"'))
    course.publish("1.1", title="A better chapter")
    assert "is the new version of the chapter" in course.copy()[0]
    assert course.copies() == ["01_ngrams.ipynb"]


def test_a_start_that_was_cut_short_is_finished(course):
    course.publish("1.1")
    course.copy()
    (course.work / ".course" / "release.json").unlink()
    assert course.copy() == []
    course.publish("1.1", title="A better chapter")
    course.copy()
    assert course.copies() == ["01_ngrams.ipynb"]


def test_a_folder_that_can_t_be_written_is_one_sentence(course, monkeypatch):
    course.publish("1.1")
    course.work.write_text("a file where the folder should be")
    (message,) = course.copy()
    assert message.startswith("Can't write into") and "\n" not in message

    course.work.unlink()

    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(release, "write_atomic", refuse)
    (message,) = course.copy()
    assert "(Permission denied)" in message and course.copies() == []
    with pytest.raises(ValueError, match="Can't write into"):
        release.reset("1", course.notebooks, course.work)


def test_only_notebooks_are_copied(course):
    course.publish("1.1")
    (course.notebooks / "assignments").mkdir()
    (course.notebooks / "notes.txt").write_text("x")
    assert course.copy() == ["Copied 01_ngrams.ipynb."]


# --- reset and where -------------------------------------------------------------------------------------


def test_reset_keeps_the_old_files(course):
    course.publish("1.1")
    course.copy()
    fresh = (course.work / "01_ngrams.ipynb").read_bytes()
    for number in (1, 2):
        mine = course.learn({"1.1": f"answer {number}"})
        message = release.reset("1", course.notebooks, course.work)
        beside = course.work / f"01_ngrams.before-reset-{number}.ipynb"
        assert beside.read_bytes() == mine and beside.name in message
        assert (course.work / "01_ngrams.ipynb").read_bytes() == fresh
    assert course.copy() == []


def test_reset_repairs_a_broken_file_and_writes_a_missing_one(course):
    course.publish("1.1")
    assert (
        release.reset("01_ngrams", course.notebooks, course.work) == "Wrote a fresh copy of 01_ngrams.ipynb."
    )
    (course.work / "01_ngrams.ipynb").write_bytes(b"{")
    release.reset("ngrams", course.notebooks, course.work)
    assert (course.work / "01_ngrams.before-reset-1.ipynb").read_bytes() == b"{"
    assert course.copy() == []


@pytest.mark.parametrize("name", ["1", "01", "ngrams", "01_ngrams", "01_ngrams.ipynb"])
def test_a_chapter_has_a_number_and_a_name(name, course):
    course.publish("1.1")
    assert release.find_chapter(name, course.notebooks).name == "01_ngrams.ipynb"


@pytest.mark.parametrize("name", ["", "2", "gram", "../01_ngrams"])
def test_an_unknown_chapter_is_refused_by_name(name, course):
    course.publish("1.1")
    with pytest.raises(ValueError, match=f"no chapter '{name}'; there are 01_ngrams"):
        release.reset(name, course.notebooks, course.work)


def test_where_names_folders_files_and_the_way_out(course):
    assert "none yet" in release.where(course.notebooks, course.work)
    course.publish("1.1")
    course.copy()
    message = release.where(course.notebooks, course.work)
    assert all(
        word in message for word in (str(course.notebooks), str(course.work), "01_ngrams.ipynb (", "delete")
    )
