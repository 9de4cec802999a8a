"""Any folder of texts becomes a stream of documents: nothing is lost or hangs, and little memory is used."""

import io
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import corpora
from course_utils.pretraining import documents
from course_utils.pretraining.documents import PIECE, Document, from_folder

FULL = os.environ.get("COURSE_FULL")


@pytest.fixture
def told():
    return []


def test_files_come_in_the_order_of_their_paths_with_line_breaks_of_one_kind(tmp_path, told):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.md").write_bytes(b"\xef\xbb\xbfTwo.\r\nLines.\rHere.\n")  # with a byte order mark
    (tmp_path / "a.txt").write_text("Één.\n", encoding="utf-8")
    (tmp_path / ".hidden").write_text("no")
    assert [*from_folder(tmp_path, told.append)] == [
        Document("Één.\n", "a.txt"),
        Document("Two.\nLines.\nHere.\n", "b/two.md"),
    ]
    assert not told


@given(st.lists(st.sampled_from(["word", "é€😀", "\n", "\n\n", " ", "x" * 3000, "\r\n\r\n"]), max_size=60))
def test_pieces_joined_are_the_file_and_each_is_short_and_whole_utf_8(parts):
    data = "".join(parts * 3).encode()
    found = [*documents.pieces(io.BytesIO(data))]
    assert b"".join(found) == data
    assert all(0 < len(piece) <= PIECE for piece in found)
    assert all(piece.decode() for piece in found)


def test_a_long_file_is_cut_at_an_empty_line_rather_than_at_a_line(tmp_path, told):
    paragraph = "A line that says little.\nAnd another.\n\n"
    (tmp_path / "long.txt").write_text(paragraph * 2000)
    (tmp_path / "short.txt").write_text(paragraph)
    *found, _ = from_folder(tmp_path, told.append)
    assert told == [
        f"longer than a document of 16 KiB: 1 of 2 files, cut into {len(found)} documents, at empty lines "
        "where there are any"
    ]
    assert "".join(document.text for document in found) == paragraph * 2000 and len(found) > 4
    assert all(document.text.endswith("\n\n") for document in found)
    assert found[0].source == "long.txt" and found[1].source.startswith("long.txt, from byte 16,")


def test_what_is_no_text_is_left_out_with_a_sentence_each(tmp_path, told):
    (tmp_path / "good.txt").write_text("Good.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00\x01")
    (tmp_path / "windows.txt").write_text("Text.", encoding="utf-16")
    (tmp_path / "latin.txt").write_text("déjà vu", encoding="latin-1")
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "late.txt").write_bytes(b"Fine.\n\n" * 3000 + b"\0")
    (tmp_path / "both.txt").write_bytes(b"Fine.\n\n" * 3000 + b"d\xe9j\xe0\n\n" * 3000 + b"\0")
    (tmp_path / "half.txt").write_bytes(b"Fine.\n\n" * 3000 + b"d\xe9j\xe0")
    found = [*from_folder(tmp_path, told.append)]
    assert {document.source.split(",")[0] for document in found} == {
        "both.txt",
        "good.txt",
        "half.txt",
        "late.txt",
    }
    assert told == [
        "blank.txt is left out: it is empty",
        "both.txt is left out from byte 32,760 on: it has a zero byte, so it is binary",
        "both.txt: 1 of its documents are left out, for they are not UTF-8 (the first byte that can't be "
        "decoded is 21,001); save the file as UTF-8",
        "half.txt: 1 of its documents are left out, for they are not UTF-8 (the first byte that can't be "
        "decoded is 21,001); save the file as UTF-8",
        "late.txt is left out from byte 16,380 on: it has a zero byte, so it is binary",
        "latin.txt: 1 of its documents are left out, for they are not UTF-8 (the first byte that can't be "
        "decoded is 1); save the file as UTF-8",
        "picture.png is left out whole: it has a zero byte, so it is binary",
        "windows.txt is left out whole: it has a zero byte, so it is binary (or UTF-16: save it as UTF-8)",
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among its files")
def test_circles_of_links_and_pipes_end(tmp_path, told):
    (tmp_path / "good.txt").write_text("Good.")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "circle").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "twin.txt").symlink_to(tmp_path / "good.txt")
    os.mkfifo(tmp_path / "pipe")
    assert [document.source for document in from_folder(tmp_path, told.append)] == ["good.txt"]
    assert told == [
        "pipe is left out: it is a device or a pipe",
        "self is left out: it is a link, and none is followed",
        "twin.txt is left out: it is a link, and none is followed",
        "inside/circle is left out: it is a link, and none is followed",
    ]


def test_a_file_that_may_not_be_read_costs_only_itself(tmp_path, told, monkeypatch):
    (tmp_path / "good.txt").write_text("Good.")
    (tmp_path / "locked.txt").write_text("Secret.")
    opened = Path.open

    def refused(path, *arguments):  # a test that runs as root may read whatever it forbids
        if path.name == "locked.txt":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refused)
    assert [document.source for document in from_folder(tmp_path, told.append)] == ["good.txt"]
    assert told == ["locked.txt is left out from where it can't be read: Permission denied"]


def test_a_folder_without_text_is_refused_with_what_was_found_in_it(tmp_path, told):
    with pytest.raises(ValueError, match=r"no text was found in .*: it holds no files; put text files there"):
        [*from_folder(tmp_path)]
    (tmp_path / "a.bin").write_bytes(b"\0")
    with pytest.raises(ValueError, match=r"of its 1 files none is text in UTF-8"):
        [*from_folder(tmp_path, told.append)]
    with pytest.raises(ValueError, match=r"a\.bin is a file: name a folder"):
        from_folder(tmp_path / "a.bin")  # at once: not only when the stream is used
    with pytest.raises(ValueError, match=r"nowhere is not there"):
        from_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "megabytes",
    [
        8,
        pytest.param(
            1000, marks=pytest.mark.skipif(not FULL, reason="a gigabyte; `course.py test --full` reads it")
        ),
    ],
)
@pytest.mark.parametrize("line", [b"A paragraph of text.\n\n", b"a line without an end "])
def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path, megabytes, line):
    with open(tmp_path / "long.txt", "wb") as file:
        for _ in range(megabytes):
            file.write(line * (1_000_000 // len(line)))
    if megabytes == 8:  # to trace memory takes ten times as long
        tracemalloc.start()
    n_bytes = sum(len(document.text) for document in from_folder(tmp_path))
    assert n_bytes == megabytes * (1_000_000 // len(line)) * len(line)
    if megabytes == 8:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 400_000


def test_the_course_reads_nothing_that_it_scores_on():
    read = [*documents.course_documents()]
    sources = {document.source.split(":")[0] for document in read}
    assert sources == {*documents.ASSETS}
    assert all(document.text.strip() for document in read)
    held_out = {document.text for document in documents.held_out()}
    assert corpora.shakespeare().test in held_out and not held_out & {document.text for document in read}
    titles = {document.source for document in read}
    assert not any("Tempest" in title or "Twelfth" in title or "Jonah" in title for title in titles)
    assert {"english-verses: Genesis 1, old", "english-verses: Genesis 1, new"} <= titles
