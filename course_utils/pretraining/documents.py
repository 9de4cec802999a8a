"""What a language model reads: documents, as a stream. Those of the course, and those of any folder of texts.

    for document in from_folder("my_texts"):
        print(document.source, len(document.text))

A file is never read whole. A long one is cut at paragraph borders into documents of at most 16 KiB, of which
one lies in memory at a time, so that a file of a gigabyte needs no more of it than one of a page.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from course_utils.data import corpora, labelled, reviews, verses

ASSETS = "shakespeare", "english-verses", "reordered-passages", "movie-reviews"  # of course_documents
PIECE = 16 * 1024  # bytes: the longest document that is cut from a file
BORDERS = (b"\n\n", b"\r\n\r\n", b"\n", b" ")  # where a long file is cut, the best first


@dataclass(frozen=True)
class Document:
    """A text, and where it is from: the name of an asset or the path of a file, and the place there."""

    text: str
    source: str


def course_documents() -> Iterator[Document]:
    """All that the course may train on, fetched on first use: scenes of 36 plays, chapters of two Bibles,
    passages of the Web and of Wikipedia, film reviews. `assets.manifest()` has the licence of each.

    What the course scores on is never among it: see `held_out`.
    """
    for title, play in corpora.shakespeare().train.items():
        for number, scene in enumerate(corpora.scenes(play), start=1):
            yield Document(scene, f"shakespeare: {title}, part {number}")
    yield from _chapters(verses.verses().train)
    for number, passage in enumerate(labelled.reordered_passages(), start=1):
        yield Document(passage.text, f"reordered-passages: {passage.source} {number}")
    for number, review in enumerate(reviews.reviews().train, start=1):
        yield Document(review.text, f"movie-reviews: {number}")


def held_out() -> Iterator[Document]:
    """The texts that the course tunes and scores on, which no model may read: two plays, books, reviews."""
    plays = corpora.shakespeare()
    yield Document(plays.validation, f"shakespeare: {corpora.VALIDATION}")
    yield Document(plays.test, f"shakespeare: {corpora.TEST}")
    yield from _chapters(verses.verses().validation + verses.verses().test)
    for number, review in enumerate(reviews.reviews().validation + reviews.reviews().test, start=1):
        yield Document(review.text, f"movie-reviews: held out {number}")


def _chapters(part: list[verses.Verse]) -> Iterator[Document]:
    """Each chapter of the Bible as two documents, old English and new, a verse a line."""
    chapters = {}
    for verse in part:
        chapters.setdefault((verse.book, verse.chapter), []).append(verse)
    for age in ("old", "new"):
        for (book, chapter), found in chapters.items():
            text = "\n".join(getattr(verse, age) for verse in found) + "\n"
            yield Document(text, f"english-verses: {book} {chapter}, {age}")


def from_folder(folder: str | Path, tell: Callable[[str], None] = print) -> Iterator[Document]:
    """The text files of a folder by name, then likewise those of each folder in it.

    A file is text if it is UTF-8 without a zero byte; what its name ends in does not matter. What is left out
    is told in a sentence each: binary and empty files, what can't be opened, links (followed, one could lead
    round in a circle), and documents with bytes that can't be decoded. Hidden files and folders, whose names
    begin with a full stop, are passed over. Line breaks become "\\n". How many files were cut is told at the
    end.

    Raises ValueError at once if there is no such folder, and at the end if no text was found in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is {'a file' if folder.exists() else 'not there'}: name a folder that holds text files"
        )
    return _from_files(folder, tell)


def _from_files(folder: Path, tell: Callable[[str], None]) -> Iterator[Document]:
    n_files = n_documents = n_long = n_parts = 0
    for path in files_below(folder, tell):
        n_files += 1
        name, before = _name(path, folder), n_documents
        try:
            with path.open("rb") as file:
                for document in _from_file(file, name, tell):
                    n_documents += 1
                    yield document
        except OSError as error:
            tell(f"{name} is left out from where it can't be read: {error.strerror or error}")
        if (found := n_documents - before) > 1:
            n_long, n_parts = n_long + 1, n_parts + found
    if n_long:
        tell(
            f"longer than a document of {PIECE // 1024} KiB: {n_long:,} of {n_files:,} files, cut into "
            f"{n_parts:,} documents, at empty lines where there are any"
        )
    if not n_documents:
        looked = f"of its {n_files} files none is text in UTF-8" if n_files else "it holds no files"
        raise ValueError(
            f"no text was found in {folder}: {looked}; put text files there, such as .txt or .md"
        )


def files_below(folder: Path, tell: Callable[[str], None]) -> Iterator[Path]:
    """The regular files below a folder, by name; others are told, but for hidden ones."""

    def cannot_list(error: OSError) -> None:
        tell(f"the folder {Path(error.filename).name} is left out: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=cannot_list):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(folders + files):
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.is_symlink():
                tell(f"{_name(path, folder)} is left out: it is a link, and none is followed")
            elif path.is_file():
                yield path
            elif not path.is_dir():  # to open a pipe would wait for ever
                tell(f"{_name(path, folder)} is left out: it is a device or a pipe")


def _name(path: Path, folder: Path) -> str:
    """The path below the folder; bytes of it that are not UTF-8 are shown as U+FFFD."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "replace")


def _from_file(file: BinaryIO, name: str, tell: Callable[[str], None]) -> Iterator[Document]:
    """The documents of an open file; a zero byte ends it."""
    place = n_documents = 0
    undecodable = []  # places of the first such byte of a document
    for piece in pieces(file):
        if b"\0" in piece:
            utf_16 = " (or UTF-16: save it as UTF-8)" if piece.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
            part = f"from byte {place:,} on" if n_documents else "whole"
            tell(f"{name} is left out {part}: it has a zero byte, so it is binary{utf_16}")
            if not n_documents:
                return
            break
        try:
            text = piece.decode("utf-8").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}" if not place else "")
            text = re.sub("\r\n?", "\n", text)
        except UnicodeDecodeError as error:
            undecodable.append(place + error.start)
            text = ""
        if text.strip():
            n_documents += 1
            yield Document(text, f"{name}, from byte {place:,}" if place else name)
        place += len(piece)
    if undecodable:
        tell(
            f"{name}: {len(undecodable)} of its documents are left out, for they are not UTF-8 (the first "
            f"byte that can't be decoded is {undecodable[0]:,}); save the file as UTF-8"
        )
    elif not n_documents:
        tell(f"{name} is left out: it is empty")


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """A file in pieces of at most 16 KiB: joined again, they are the file, byte for byte.

    It is cut behind the last empty line in the second half of the 16 KiB; if there is none, behind a line,
    else behind a space, else between two characters.
    """
    rest = b""
    while block := file.read(PIECE):
        rest += block
        while len(rest) > PIECE:
            end = _cut(rest)
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _cut(data: bytes) -> int:
    """Where to cut data that is longer than a piece."""
    for border in BORDERS:
        at = data.rfind(border, PIECE // 2, PIECE)
        if at >= 0:
            return at + len(border)
    # The bytes of a UTF-8 character after its first are 10xxxxxx; there are at most three.
    return next((end for end in range(PIECE, PIECE - 4, -1) if data[end] & 0xC0 != 0x80), PIECE)
