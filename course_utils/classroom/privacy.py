"""One student: what a class's folder has on them, in a file of their own, and gone.

Everything else of a class stays: the others' files, grades, receipts and marks are not touched.
"""

import contextlib
import csv
import glob
import html
import io
import json
import re
import shutil
import sqlite3
import tomllib
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

from course_utils.classroom import handing_out
from course_utils.classroom.grading import cells, lateness
from course_utils.classroom.grading.gradebook import as_it_was
from course_utils.classroom.overlay import Overlay
from course_utils.files import one_form, read_table, write_atomic

# what is a student's alone, below the overlay
OWN = ("release/*/{}/", "feedback/*/{}.html", "export/gradescope/*/{}/", "export/nbgrader/*/{}/")
# what is a whole class's, where a name can stand packed or escaped, and what a command makes again
MADE_AGAIN = ("reports/*.html", "gradescope/*.zip", "contests/*/runs_under_way/*")
COLUMNS = ("student", "username", "SIS Login ID", "recipe")  # that say whose row it is, beside a roster's own
NOTHING = "{folder} has nothing on a student {student!r}"


def kept(overlay: Overlay, student: str, exchange: Path | None = None) -> dict[str, list[Path]]:
    """Where a student stands: `own` files and folders, those of a whole class that a command makes `again`,
    and files that have `others` in them too. Raises ValueError for what can't be a student's name, and for an
    exchange that is not there."""
    if student in ("", "..") or Path(student).name != student:
        raise ValueError(
            f"{student!r} can't be a student's name, which names a folder: give it as `grade` does"
        )
    if exchange and not exchange.is_dir():
        raise ValueError(f"there is no exchange in {exchange}: name the folder that `release` was given")
    own = [path for form in OWN for path in overlay.folder.glob(form.format(glob.escape(student)))]
    own += _recipes(overlay.folder, student)
    if exchange and (exchange / student).is_dir():
        own.append(exchange / student)
    again = [path for form in MADE_AGAIN for path in overlay.folder.glob(form)]
    again += [path for path in overlay.folder.glob("contests/*/leaderboard.html") if _names(path, student)]
    others = [
        path
        for path in _files(overlay.folder)
        if path not in again and not _below(path, own) and _names(path, student)
    ]
    return {"own": own, "again": again, "others": others}


def told(overlay: Overlay, student: str, exchange: Path | None = None) -> list[str]:
    """A sentence for each place where something on a student is kept. Raises ValueError as `kept`."""
    found, rows = kept(overlay, student, exchange), overlay.store().about(student)
    counted = ", ".join(f"{table} {len(lines)}" for table, lines in rows.items() if lines)
    return [
        f"Rows in the store: {counted or 'none'}.",
        *_in_others_rows(overlay, student),
        *(f"{path} is {student}'s alone." for path in found["own"]),
        *(f"{path} is about a whole class, and may name {student}." for path in found["again"]),
        *(f"{path} names {student}, and others too." for path in found["others"]),
    ]


def _in_others_rows(overlay: Overlay, student: str) -> list[str]:
    """A sentence if texts on others in the store name a student, such as a comment of the teacher's."""
    found = overlay.store().naming(student, _whole(student))
    places = "; ".join(f"{place}: {number}" for place, number in found.items())
    return [f"In the store, rows on others name {student} ({places})."] * bool(found)


def _below(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def export(overlay: Overlay, student: str, file: Path, exchange: Path | None = None) -> int:
    """Write all of a student into a ZIP file that only you can read (on Windows: who can read its folder):
    every row of the store as JSON, but for the hidden inputs that a mark was made with, the student's part of
    each list, every file as it is. Return how many files it holds.

    Raises ValueError as `kept`, if there is nothing, and for a file that is there already.
    """
    if file.exists():
        raise ValueError(f"{file} is there already: name a new file")
    store, found = overlay.store(), kept(overlay, student, exchange)
    rows = store.about(student)
    if not (any(rows.values()) or found["own"] or found["others"]):
        raise ValueError(NOTHING.format(folder=overlay.folder, student=student))
    lists = {path.relative_to(overlay.folder).as_posix(): _part(path, student) for path in found["others"]}
    content = {
        "store": {table: [_without_hidden(row) for row in lines] for table, lines in rows.items()},
        "lists": {name: part for name, part in lists.items() if part},
    }
    written = io.BytesIO()
    # a file may be older than 1980, where the times of a ZIP file begin
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
        archive.writestr("store.json", cells.storable(text))  # where half a character is JSON's escape
        for sha256 in sorted({row["sha256"] for row in rows["submissions"] if row["sha256"]}):
            archive.write(store.file_of(sha256), f"submissions/{sha256}.ipynb")
        for path in found["own"]:
            for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if each.is_file() and not each.is_symlink():
                    top = exchange.parent if exchange and each.is_relative_to(exchange) else overlay.folder
                    archive.write(each, cells.storable(each.relative_to(top).as_posix()))
        number = len(archive.namelist())
    write_atomic(file, written.getvalue(), mode=0o600)
    return number


def _without_hidden(row: dict) -> dict:
    """A row whose JSON is read, without the `detail` of each mark: it is the teacher's, and has hidden inputs
    and what a reference returns."""

    def shown(read: dict) -> dict:
        return {name: value for name, value in read.items() if name != "detail"}

    texts = row.keys() & {"details", "before", "after"}
    return row | {name: json.loads(row[name], object_hook=shown) for name in texts}


def delete(overlay: Overlay, student: str, exchange: Path | None = None) -> list[str]:
    """Remove a student from the store and from every file of the overlay; return what happened, a sentence
    each. What can't be done by rule, or failed, is named and left to the teacher.

    Raises ValueError as `kept`, if there is nothing on the student, and if another command has the store
    open; the same command then goes on.
    """
    found = kept(overlay, student, exchange)
    rows = overlay.store().forget(student)
    if not (rows or found["own"] or found["others"]):
        raise ValueError(NOTHING.format(folder=overlay.folder, student=student))
    said = [f"Removed {rows} rows of the store and the files that only {student} handed in."]
    failed = {}
    for path in [*found["own"], *found["again"], *found["others"]]:
        try:
            if path in found["others"]:
                _take_out(path, student)
                continue
            _remove(path)
            makes_it = ": the command that wrote it makes it again, for the others" * (path in found["again"])
            said.append(f"Removed {path}{makes_it}.")
        except Exception as error:  # of whatever kind: the other places come next, and this one is named
            failed[path] = f" ({error})"
    left = kept(overlay, student, exchange)
    for path in dict.fromkeys([*left["own"], *left["others"], *failed]):
        said.append(f"{path} still names {student}{failed.get(path, '')}: look at it yourself.")
    for sentence in _in_others_rows(overlay, student):
        said.append(f"{sentence} They stay: a comment goes from pages when you `mark` its answer anew.")
    return said


def _remove(path: Path) -> None:
    """Raises OSError if something of it stays."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # all that can be removed
        if path.exists():
            shutil.rmtree(path)  # which says why not
    else:
        path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    """Every file of an overlay but what the store keeps, which has rows in place of names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_relative_to(folder / "store") and "__pycache__" not in path.parts:
            yield path


def _names(path: Path, student: str) -> bool:
    """Whether a file names a student: as a whole name, not as a part of another. A full stop ends a name, so
    that `ada` is found in `ada.lovelace` too: who looks at it sees that."""
    return bool(_whole(student).search(path.read_bytes()))


def _whole(student: str) -> re.Pattern[bytes]:
    spelt = (student, unicodedata.normalize("NFD", student))  # a list of the teacher's may have either
    forms = [form for name in spelt for form in (name, html.escape(name), json.dumps(name)[1:-1])]
    either = b"|".join(re.escape(form.encode()) for form in forms)
    return re.compile(rb"(?<![\w@+-])(?:" + either + rb")(?![\w@+-])")


def _part(path: Path, student: str) -> list[dict]:
    """A student's part of a list: rows of a table, runs of a contest, extensions with their reasons."""
    if path.suffix == ".csv":
        [head, *rows], _ = read_table(path)
        return [dict(zip(head, row, strict=False)) for row in rows if _is_of(row, head, student)]
    if path.suffix == ".jsonl":
        runs = map(_run, path.read_bytes().splitlines())
        return [run for run in runs if run.get("size") == student]
    if path.name == lateness.FILE:
        term = _term(path).items()
        extensions = {name: table.get("extensions", {}).get(student) for name, table in term}
        return [{name: extension} for name, extension in extensions.items() if extension]
    return []


def _take_out(path: Path, student: str) -> None:
    if path.name == "gradebook.db":
        _out_of_gradebook(path, student)
    elif path.suffix == ".csv":
        _out_of_table(path, student)
    elif path.suffix == ".jsonl":
        lines = path.read_bytes().splitlines(keepends=True)
        write_atomic(path, b"".join(line for line in lines if _run(line).get("size") != student))
    elif path.name == lateness.FILE:
        _out_of_term(path, student)


def _is_of(row: list[str], head: list[str], student: str) -> bool:
    head = [name.strip() for name in head]
    whose = {*COLUMNS, handing_out.column_of_names(head)}
    named = [cell for name, cell in zip(head, row, strict=False) if name in whose]
    return any(as_it_was(one_form(cell.strip())) == student for cell in named)


def _out_of_table(path: Path, student: str) -> None:
    table, delimiter = read_table(path)
    others = [row for row in table if not _is_of(row, table[0], student)]
    if len(others) < len(table):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows(others)
        write_atomic(path, text.getvalue())


def _run(line: bytes) -> dict:
    """A line of a contest's log; empty for one that is damaged."""
    try:
        run = json.loads(line)
    except ValueError:
        return {}
    return run if isinstance(run, dict) else {}


def _recipes(folder: Path, student: str) -> Iterator[Path]:
    """The recipes, by their sha256, that this student's runs name and no other's."""
    for log in folder.glob("contests/*/runs.jsonl"):
        runs = [_run(line) for line in log.read_bytes().splitlines()]
        others = {run.get("recipe") for run in runs if run.get("size") != student}
        for sha256 in {run.get("recipe") for run in runs if run.get("size") == student} - others:
            path = log.parent / "recipes" / f"{sha256}.toml"
            if path.is_file():
                yield path


def _term(path: Path) -> dict[str, dict]:
    try:
        return tomllib.loads(one_form(path.read_text("utf-8-sig")))
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from None


def _out_of_term(path: Path, student: str) -> None:
    """Take out the lines that name a student, if the file then says the same of all others."""
    expected, lines = _term(path), path.read_bytes().splitlines(keepends=True)
    after = b"".join(line for line in lines if not _whole(student).search(line))
    for table in expected.values():
        table.get("extensions", {}).pop(student, None)
    with contextlib.suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(one_form(after.decode("utf-8-sig"))) == expected:
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
