"""A file is either whole or not there."""

import os

import pytest

from course_utils import files
from course_utils.files import read_spreadsheet, write_atomic


def test_bytes_and_text_arrive_as_they_are(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n"
    write_atomic(path, "π\n")
    assert path.read_bytes() == "π\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_who_could_not_read_the_old_file_cannot_read_the_new_one(tmp_path, usual_umask):
    path = tmp_path / "file"
    write_atomic(path, "old")
    path.chmod(0o600)
    write_atomic(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600
    write_atomic(path, "open to all", mode=0o644)
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o400)
    write_atomic(path, "ours to replace")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(step, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("tries, held", [(1, 0), (4, 2), (4, 3)])
def test_a_save_waits_for_whoever_is_reading(tries, held, tmp_path, monkeypatch):
    """As on Windows, where a file that is open can't be replaced."""
    path, replace, asked = tmp_path / "file", os.replace, []

    def fails_at_first(*paths):
        asked.append(paths)
        if len(asked) <= held:
            raise PermissionError(13, "Access is denied")
        replace(*paths)

    monkeypatch.setattr(os, "replace", fails_at_first)
    monkeypatch.setattr(files, "TRIES", tries)
    write_atomic(path, "new")
    assert path.read_text() == "new" and len(asked) == held + 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_does_not_wait_for_ever(tmp_path, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(files, "TRIES", 3)
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "file", "new")
    assert not [*tmp_path.iterdir()]


def test_a_table_as_spreadsheets_write_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes('\ufeffstudent;why\r\nada;"two\r\nlines; here"\r\n\r\n; ;\r\nbob\r\n'.encode())
    columns, lines = read_spreadsheet(path)
    assert columns == ["student", "why"]
    assert lines == {2: {"student": "ada", "why": "two\r\nlines; here"}, 5: {"student": "bob", "why": ""}}
    path.write_text("\n")
    assert read_spreadsheet(path) == ([], {})


def test_what_is_no_table_is_a_sentence(tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(ValueError, match=r"there is no file .*table\.csv: name a table"):
        read_spreadsheet(path)
    path.write_bytes("caf\u00e9,1".encode("latin-1"))
    with pytest.raises(ValueError, match=r"can't be read .*: save it as CSV in UTF-8, and try again"):
        read_spreadsheet(path)


@pytest.mark.parametrize(
    "content, words",
    [
        ("who,points,why\nbob,1,\nada,1,5,well done\n", r"line 3 of .*'well done' stands in no column.*','"),
        ("who;points\n\nada;1;well done\n", r"line 3 of .*'well done' stands in no column.*';'"),
        ("who,points,,\nada,1,5,\n", r"line 2 of .*'5' stands in no column"),
        ("who,,points\nada,5,1\n", r"line 2 of .*'5' stands in no column"),
        ("a,a,b\n1,2,3\n", "two columns 'a': rename one"),
    ],
)
def test_no_cell_of_a_table_is_dropped(content, words, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        read_spreadsheet(path)
    path.write_text("a,b,,\n1,2,,, \n")  # with columns and cells that are empty
    assert read_spreadsheet(path)[1] == {2: {"a": "1", "b": "2", "": ""}}
