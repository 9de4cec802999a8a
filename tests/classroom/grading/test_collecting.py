"""What was handed in: whose each file is, and which of a student's notebooks counts. No sandbox is needed."""

import os

import nbformat
import pytest

from course_utils.classroom import handing_out
from course_utils.classroom.grading import cells, collecting, times


def test_of_several_files_the_last_counts_and_none_is_kept_twice(room, tmp_path):
    store = room.overlay.store()
    paths = ("ada.ipynb", "ada/ngrams.ipynb", "two/a.ipynb", "two/b.ipynb", "zip/work.zip", ".x", "__MACOSX")
    for i, path in enumerate(paths):
        (room.submissions / path).parent.mkdir(exist_ok=True)
        (room.submissions / path).write_text(path)
        os.utime(room.submissions / path, (1e9 - i, 1e9 - i))
    (room.submissions / ("é" * 101 + ".ipynb")).write_text("")
    for _ in range(2):
        kept, remarks = collecting.collect("ngrams", room.submissions, store)
        assert list(kept) == ["ada", "two", "zip"]
        assert remarks == [
            "ada has handed in ada.ipynb last; ada/ngrams.ipynb does not count.",
            "two has handed in two/a.ipynb last; two/b.ipynb does not count.",
            f"{'é' * 40}... is too long a name, and was left out: rename it.",
        ]
    kept = [store.content(submission).decode() for submission in store.pending("ngrams", 1)]
    assert kept == ["ada.ipynb", "two/a.ipynb", "zip/work.zip"]


def test_a_name_for_a_file_that_is_not_there_is_told(room):
    (room.submissions / "a.ipynb").write_text("a")
    _, remarks = collecting.collect("ngrams", room.submissions, room.overlay.store(), {"b.ipynb": "bob"})
    assert remarks == [f"Named as files, but not in {room.submissions}: b.ipynb."]


def test_a_notebook_of_another_name_that_was_changed_no_earlier_is_told(room):
    room.release("ada")
    given = room.overlay.released("ngrams", "ada").read_text()
    for path, when in (
        ("ngrams.ipynb", 1e9),
        ("ngrams-Copy1.ipynb", 1e9),
        ("older.ipynb", 1e8),
        ("x.ipynb", 2e9),
    ):
        (room.submissions / "ada").mkdir(exist_ok=True)
        (room.submissions / "ada" / path).write_text(given if path == "x.ipynb" else path)
        os.utime(room.submissions / "ada" / path, (when, when))
    store = room.overlay.store()
    kept, remarks = collecting.collect("ngrams", room.submissions, store)
    assert store.content(kept["ada"]) == b"ngrams.ipynb"
    assert remarks == [
        "ada: ngrams.ipynb counts, by its name; ngrams-Copy1.ipynb, changed no earlier, does not."
    ]


UNTOUCHED = {  # where the untouched notebook lies, where the filled one, and what is said
    "beside it": ("ada/ngrams.ipynb", "ada/ngrams (1).ipynb", "ngrams (1).ipynb counts in its place"),
    "deeper": ("ada/ngrams.ipynb", "ada/ngrams/ngrams.ipynb", "ngrams/ngrams.ipynb counts in its place"),
    "elsewhere": ("ada/readme.ipynb", "ada/work/ngrams.ipynb", "work/ngrams.ipynb counts in its place"),
    "renamed": ("ada/ngrams.ipynb", "ada/ngrams.ipynb.txt", "ngrams.ipynb.txt counts in its place"),
    "above": ("ada/ngrams/ngrams.ipynb", "ada/mine.ipynb", "mine.ipynb counts in its place"),
    "two files": ("ada.ipynb", "ada/ngrams.ipynb", None),
    "two names": ("ada/b.ipynb", "ada/a.ipynb", None),
}


@pytest.mark.parametrize("empty, full, said", UNTOUCHED.values(), ids=UNTOUCHED)
def test_an_untouched_notebook_displaces_no_filled_one(room, empty, full, said):
    work = nbformat.writes(room.notebook("ada", answer="Macbeth.")).encode()
    given = room.overlay.released("ngrams", "ada").read_bytes()
    for path, content, when in ((empty, given, 2e9), (full, work, 1e9)):
        (room.submissions / path).parent.mkdir(parents=True, exist_ok=True)
        (room.submissions / path).write_bytes(content)
        os.utime(room.submissions / path, (when, when))
    store = room.overlay.store()
    kept, remarks = collecting.collect("ngrams", room.submissions, store)
    assert store.content(kept["ada"]) == work
    assert remarks == ([f"ada: nothing is written in {empty}; ada/{said}."] if said else [])


def test_a_file_hides_no_filled_notebook_in_the_folder_of_the_same_student(room):
    work = nbformat.writes(room.notebook("ada")).encode()
    given = room.overlay.released("ngrams", "ada").read_bytes()
    (room.submissions / "ada").mkdir()
    for path, content, when in (
        ("ada.ipynb", work[:-9], 1e9),
        ("ada/ngrams.ipynb", given, 1e9),
        ("ada/mine.ipynb", work, 2e9),
    ):
        (room.submissions / path).write_bytes(content)
        os.utime(room.submissions / path, (when, when))
    store = room.overlay.store()
    kept, remarks = collecting.collect("ngrams", room.submissions, store)
    assert store.content(kept["ada"]) == work
    assert remarks == [
        "ada has handed in ada/mine.ipynb last; ada.ipynb does not count.",
        "ada: nothing is written in ada/ngrams.ipynb; ada/mine.ipynb counts in its place.",
    ]


def test_no_python_of_a_student_is_parsed_where_all_files_are_collected(room, monkeypatch):
    """A parser takes hundreds of bytes for each: one large cell would end `grade` for a whole class."""
    room.hand_in("ada")

    def parse(*arguments, **settings):
        raise AssertionError("parsed")

    monkeypatch.setattr(cells.ast, "parse", parse)
    kept, remarks = collecting.collect("ngrams", room.submissions, room.overlay.store())
    assert [*kept] == ["ada"] and remarks == []


def test_another_students_file_is_no_copy_of_ones_own(room):
    for path, when in (("ngrams.ipynb", 1e9), ("bob.ipynb", 2e9)):
        (room.submissions / path).write_text(path)
        os.utime(room.submissions / path, (when, when))
    kept, remarks = collecting.collect("ngrams", room.submissions, room.overlay.store())
    assert ([*kept], remarks) == (["bob", "ngrams"], [])


def test_a_link_to_itself_is_noted_as_one(room, tmp_path):
    (room.submissions / "loop.ipynb").symlink_to("loop.ipynb")
    kept, _ = collecting.collect("ngrams", room.submissions, room.overlay.store(), lists=[tmp_path / "n.csv"])
    assert [*kept] == ["loop"]


def test_folders_in_folders_are_entered_to_a_depth_only(tmp_path):
    """os.walk would call itself for each: one student's would end `grade` for a whole class."""
    deepest = tmp_path.joinpath(*["d"] * collecting.MAX_DEPTH)
    (deepest / "d").mkdir(parents=True)
    for folder in (deepest, deepest / "d"):
        (folder / "a.ipynb").write_text("")
    assert collecting.notebooks_below(tmp_path) == [deepest / "a.ipynb"]


def test_what_is_no_notebook_takes_no_ones_place(room):
    room.release("ada")
    given = room.overlay.released("ngrams", "ada").read_bytes()
    (room.submissions / "ada").mkdir()
    (room.submissions / "ada" / "ngrams.ipynb").write_bytes(given)
    (room.submissions / "ada" / "broken.ipynb").write_bytes(given[:-9])
    kept, _ = collecting.collect("ngrams", room.submissions, room.overlay.store())
    assert kept["ada"].name == "ngrams.ipynb"


def test_a_platforms_names_are_those_of_students(room, tmp_path):
    store, names = room.overlay.store(), tmp_path / "names.csv"
    for path in ("Ada Lovelace_7_file/ngrams.ipynb", "turingalan_9_ngrams-1.ipynb", "bob.ipynb"):
        (room.submissions / path).parent.mkdir(exist_ok=True)
        (room.submissions / path).write_text(path)
    names.write_text("file;student\nAda Lovelace_7_file;ada\nturingalan_9_ngrams-1.ipynb;alan\nnobody;x\n")
    kept, remarks = collecting.collect("ngrams", room.submissions, store, handing_out.read_names(names))
    assert {*kept} == {"ada", "alan", "bob"}
    assert remarks == [f"Named as files, but not in {room.submissions}: nobody."]
    for text in (
        "file,name\na,b\n",
        "file,student\na,../b\n",
        "file,student\na\n",
        "file,student\na,everyone\n",
        "file,student\na,ada\na,bob\n",
    ):
        names.write_text(text)
        with pytest.raises(ValueError, match=r"names\.csv"):
            handing_out.read_names(names)


def test_what_nobody_has_handed_in_is_no_students(room):
    folder, store = room.submissions, room.overlay.store()
    for name in ("ada.IPYNB", "bob.zip", "notes.txt", "names.csv"):
        (folder / name).write_text(name)
    kept, remarks = collecting.collect("ngrams", folder, store, {"bob.zip": "bob"}, [folder / "names.csv"])
    assert [*kept] == ["ada", "bob"]
    assert remarks == [
        "Left out, since neither folders nor named .ipynb: notes.txt. --names can say whose they are."
    ]


def test_a_name_is_the_same_in_both_of_unicodes_spellings(room, tmp_path):
    """macOS writes é as e and an accent."""
    composed, apart = "ren\u00e9", "rene\u0301"
    (tmp_path / "a.csv").write_text(
        f"student,received,file\n{apart},2025-12-04T22:59Z,{apart}.ipynb\n", "utf-8"
    )
    assert handing_out.read_roster(tmp_path / "a.csv") == [composed]
    assert handing_out.read_names(tmp_path / "a.csv") == {f"{composed}.ipynb": composed}
    store, folder = room.overlay.store(), room.submissions
    (folder / apart / "ngrams").mkdir(parents=True)
    (folder / apart / "ngrams" / "ngrams.ipynb").write_text("a")
    (folder / apart / "ngrams" / times.STAMP).write_text("2025-12-04 22:58:23 UTC")
    (folder / f"a{apart}.ipynb").write_text("b")
    (folder / f"{apart}_7.ipynb").write_text("c")
    kept, remarks = collecting.collect("ngrams", folder, store, {f"{composed}_7.ipynb": "alan"})
    assert ([*kept], remarks) == ([f"a{composed}", composed, "alan"], [])
    assert times.note(store, {composed: kept[composed]}, folder, times.NBGRADER) == []
    assert times.note(store, {composed: kept[composed]}, folder, str(tmp_path / "a.csv")) == []


def test_a_missing_folder_is_one_sentence(room):
    with pytest.raises(ValueError, match="can't be read"):
        collecting.collect("ngrams", room.folder / "nowhere", room.overlay.store())
