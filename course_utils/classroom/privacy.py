"""One student: what a class's folder has on them, in a file of their own, and gone.

Everything else of a class stays: the others' files, grades, receipts and marks are not touched.
"""

import contextlib
import csv
import glob
import io
import json
import re
import shutil
import sqlite3
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from course_utils.classroom.grading import lateness
from course_utils.classroom.overlay import Overlay
from course_utils.files import delimiter_of, write_atomic

# what is a student's alone, below the overlay; and pages of a whole class, which a command makes again
OWN = ("release/*/{}", "feedback/*/{}.html", "export/**/{}")
PAGES = ("reports/*.html", "contests/*/leaderboard.html")


def kept(overlay: Overlay, student: str, exchange: Path | None = None) -> dict[str, list[Path]]:
    """Where a student stands: `own` files and folders, and files that have `others` in them too."""
    own = [path for form in OWN for path in overlay.folder.glob(form.format(glob.escape(student)))]
    if exchange and (exchange / student).is_dir():
        own.append(exchange / student)
    return {"own": own, "others": [path for path in _files(overlay.folder) if _names(path, student)]}


def told(overlay: Overlay, student: str, exchange: Path | None = None) -> list[str]:
    """A sentence for each place where something on a student is kept."""
    found, rows = kept(overlay, student, exchange), overlay.store().about(student)
    counted = ", ".join(f"{len(lines)} of {table}" for table, lines in rows.items() if lines)
    return [
        f"The store has {counted or 'nothing'}.",
        *(f"{path} is {student}'s alone." for path in found["own"]),
        *(
            f"{path} names {student}, and others too."
            for path in found["others"]
            if not _below(path, found["own"])
        ),
    ]


def _below(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def export(overlay: Overlay, student: str, file: Path, exchange: Path | None = None) -> int:
    """Write all of a student into a ZIP file: every row of the store as JSON, every file as it is. Return how
    many files it holds. Raises ValueError if there is nothing, and for a file that is there already."""
    if file.exists():
        raise ValueError(f"{file} is there already: name a new file")
    store, found = overlay.store(), kept(overlay, student, exchange)
    rows = store.about(student)
    if not any(rows.values()) and not found["own"]:
        raise ValueError(f"{overlay.folder} has nothing on a student {student!r}")
    lists = {
        path.relative_to(overlay.folder).as_posix(): _rows(path, student)
        for path in found["others"]
        if path.suffix == ".csv"
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "store.json", json.dumps({"store": rows, "lists": lists}, indent=1, ensure_ascii=False)
        )
        for sha256 in sorted({row["sha256"] for row in rows["submissions"] if row["sha256"]}):
            archive.write(store.file_of(sha256), f"submissions/{sha256}.ipynb")
        for path in found["own"]:
            for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if each.is_file() and not each.is_symlink():
                    top = exchange.parent if exchange and each.is_relative_to(exchange) else overlay.folder
                    archive.write(each, each.relative_to(top).as_posix())
        number = len(archive.namelist())
    write_atomic(file, content.getvalue())
    return number


def delete(overlay: Overlay, student: str, exchange: Path | None = None) -> list[str]:
    """Remove a student from the store and from every file of the overlay; return what happened, a sentence
    each. What can't be done by rule is named and left to the teacher.

    Raises ValueError if another command has the store open, or nbgrader's gradebook needs nbgrader; the same
    command then goes on.
    """
    found, store = kept(overlay, student, exchange), overlay.store()
    said = [f"Removed {store.forget(student)} rows of the store and the files that only {student} handed in."]
    for path in found["own"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        said.append(f"Removed {path}.")
    for path in found["others"]:
        if _below(path, found["own"]):
            continue
        inside = path.relative_to(overlay.folder)
        if path.name == "gradebook.db":
            _out_of_gradebook(path, student)
        elif any(inside.match(form) for form in PAGES):
            path.unlink()
            said.append(
                f"Removed {path}, which names {student}: the same command makes it again for the others."
            )
        elif path.suffix == ".csv":
            _out_of_list(path, student)
        elif path.suffix == ".jsonl" or path.name == lateness.FILE:
            _out_of_lines(path, student)
    left = kept(overlay, student, exchange)["others"]
    said += [f"{path} still names {student}: look at it yourself." for path in left]
    return said


def _files(folder: Path) -> Iterator[Path]:
    """Every file of an overlay but what the store keeps, which has rows in place of names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_relative_to(folder / "store") and "__pycache__" not in path.parts:
            yield path


def _names(path: Path, student: str) -> bool:
    """Whether a file names a student: as a whole name, not as a part of another."""
    return bool(_whole(student).search(path.read_bytes()))


def _whole(student: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![\w@+-])" + re.escape(student.encode()) + rb"(?![\w@+-])")


def _table(path: Path) -> tuple[list[list[str]], str]:
    text = path.read_bytes().decode("utf-8-sig")
    delimiter = delimiter_of(text)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)), delimiter


def _is_of(row: list[str], student: str) -> bool:
    return any(cell.strip().removeprefix("'") == student for cell in row)


def _rows(path: Path, student: str) -> list[dict[str, str]]:
    table, _ = _table(path)
    return [dict(zip(table[0], row, strict=False)) for row in table[1:] if _is_of(row, student)]


def _out_of_list(path: Path, student: str) -> None:
    table, delimiter = _table(path)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        row for row in table if not _is_of(row, student)
    )
    write_atomic(path, text.getvalue())


def _out_of_lines(path: Path, student: str) -> None:
    """Take out the lines that name a student; of term.toml only if it then says the same of all others."""
    before = path.read_text("utf-8")
    after = "".join(
        line for line in before.splitlines(keepends=True) if not _whole(student).search(line.encode())
    )
    if path.name == lateness.FILE:
        expected = tomllib.loads(before)
        for table in expected.values():
            table.get("extensions", {}).pop(student, None)
        try:
            if tomllib.loads(after) != expected:
                return
        except tomllib.TOMLDecodeError:
            return
    write_atomic(path, after)


def _out_of_gradebook(path: Path, student: str) -> None:
    try:
        from nbgrader.api import Gradebook, MissingEntry
    except ImportError:
        raise ValueError(
            f"{path} names {student}, and takes nbgrader to change it, which is not installed here: install "
            "it, or remove the file, and try again"
        ) from None
    with Gradebook(f"sqlite:///{path}") as book, contextlib.suppress(MissingEntry):
        book.remove_student(student)
    database = sqlite3.connect(path)
    database.execute("VACUUM")  # what was deleted stays in the file until then
    database.close()
