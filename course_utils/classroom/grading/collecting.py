"""What was handed in: whose a file is, and which of a student's notebooks counts."""

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from course_utils.classroom.assignments import find_assignment
from course_utils.classroom.grading import cells
from course_utils.classroom.grading.store import Standing, Store, Submission
from course_utils.files import one_form

MAX_NAME = 200  # bytes: a page or a folder of that name, with an ending, is still to be made
MAX_DEPTH = 20  # folders in each other: os.walk of Python 3.11 calls itself for each
Place = tuple[list[Path], list[Path]]  # the notebooks of the usual name or place; and all that are there


def collect(
    assignment: str,
    folder: Path,
    store: Store,
    names: Mapping[str, str] | None = None,
    lists: Sequence[Path] = (),
) -> tuple[dict[str, Submission], list[str]]:
    """Keep what was handed in: a file or a folder a student, the newest layouts of nbgrader among them.

    FOLDER/STUDENT.ipynb, FOLDER/STUDENT/NAME.ipynb, FOLDER/STUDENT/NAME/NAME.ipynb. Links are noted as such
    and never followed. In a student's folder the notebook of the assignment's name counts; of several other
    files the one that was changed last. One in which nothing is written displaces none in which something is,
    and none that was kept before. `names` says whose a file or folder is that has another name than its
    student; `lists` are the teacher's own files, which nobody has handed in. Returns what was kept, by
    student, and what a teacher should know; raises ValueError if there is no such folder.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(
            f"{folder} can't be read ({error.strerror}): it holds a folder or a file a student"
        ) from None
    names, left_out = names or {}, []
    places: dict[str, list[Place]] = {}
    for entry in entries:
        path = Path(entry.path)
        listed = not entry.is_symlink() and path.resolve() in lists
        if entry.name.startswith(".") or entry.name == "__MACOSX" or listed:
            continue
        is_folder, named = entry.is_dir(follow_symlinks=False), one_form(entry.name)
        is_notebook = entry.is_symlink() or path.suffix.lower() == ".ipynb" or named in names
        if not is_folder and not is_notebook:
            left_out.append(entry.name)
            continue
        student = names.get(named) or cells.storable(named if is_folder else Path(named).stem)
        place = (usual_in(path, assignment), notebooks_below(path)) if is_folder else ([path], [])
        places.setdefault(student, []).append(place)
    kept, remarks, before = {}, [], store.standings(assignment)
    if nowhere := sorted({*names} - {one_form(entry.name) for entry in entries}):
        remarks.append(f"Named as files, but not in {folder}: {', '.join(nowhere)}.")
    if left_out:
        remarks.append(
            f"Left out, since neither folders nor named .ipynb: {', '.join(left_out)}. --names can say whose "
            "they are."
        )
    for student, found in places.items():
        if len(student.encode()) > MAX_NAME:
            remarks.append(f"{student[:40]}... is too long a name, and was left out: rename it.")
            continue
        choice = choose(student, found, folder, assignment, counted(store, before, student))
        remarks += choice.remarks
        if not choice.earlier_counts:
            kept[student] = store.keep(assignment, student, choice.file)
    return kept, remarks


def counted(store: Store, before: dict[str, Standing], student: str) -> Path | None:
    """The file of a student that counts so far, by the standings `before`."""
    return store.file_of(before[student].submission.sha256) if student in before else None


class Choice(NamedTuple):
    """Which of a student's notebooks counts, and what a teacher should know of it."""

    file: Path
    remarks: list[str]
    filled: bool | None  # as `written` says of it
    earlier_counts: bool  # nothing is written in it, and something in what was kept before


def choose(
    student: str, places: Sequence[Place], folder: Path, assignment: str, earlier: Path | None = None
) -> Choice:
    """Of a student's notebooks in a folder choose the one that was changed last: of each place those of the
    usual name, or, if these are no notebooks or nothing is written in them, all in which something is; where
    there is none such in any place, the usual ones. `earlier` is what was kept of the student before."""
    state = cache(lambda path: written(path, assignment))  # each is read once
    candidates: list[Path] = []
    for usual, every in places:
        touched = [path for path in usual if state(path) is not False]
        named = any(path.suffix == ".ipynb" for path in touched)  # else a folder, or a file of another kind
        filled_in = [] if named else [path for path in every if state(path)]
        candidates += filled_in or touched
    candidates = candidates or [path for usual, _ in places for path in usual]
    *older, file = sorted(candidates, key=lambda path: (changed(path), path))
    usual, every = next(place for place in places if file in place[0] or file in place[1])

    def told(*paths: Path) -> str:
        return ", ".join(str(path.relative_to(folder)) for path in paths)

    remarks = [f"{student} has handed in {told(file)} last; {told(*older)} does not count."] if older else []
    if file not in usual:
        remarks.append(f"{student}: nothing is written in {told(*usual)}; {told(file)} counts in its place.")
    elif file.name == f"{assignment}.ipynb":
        beside = (path for path in every if path.parent == file.parent and path != file)
        newer = (path for path in beside if path.suffix == ".ipynb" and changed(path) >= changed(file))
        remarks += [
            f"{student}: {file.name} counts, by its name; {path.name}, changed no earlier, does not."
            for path in sorted(newer)
            if state(path) is not False
        ]
    filled = state(file)
    earlier_counts = bool(filled is False and earlier and state(earlier))
    if filled is False:
        counts = "; what was kept before counts." if earlier_counts else ", which counts."
        remarks.append(f"{student}: nothing is written in {file.name}{counts}")
    return Choice(file, remarks, filled, earlier_counts)


def written(path: Path, assignment: str) -> bool | None:
    """Whether something is written in any answer of a notebook, by its tags; None where nobody can tell: a
    tag is lost, or it can't be read. This runs for all files in one process, so no Python is parsed."""
    asked = find_assignment(assignment).asked()
    try:
        found = cells.texts(cells.parse(cells.load(path))[0])
    except cells.Ungradable:
        return None
    tags, functions = {id for id, _ in found}, {answer.id for answer in asked if answer.name}
    if not functions & tags:
        return None

    def plain(source: str) -> str:
        return re.sub(r"\d+", "0", source).strip()  # each student has another constant in the stub

    stubs = {answer.id: plain(answer.stub) for answer in asked}
    if any(plain(source) not in ("", stubs[id]) for id, source in found if id in stubs):
        return True
    return False if functions <= tags else None


def usual_in(folder: Path, assignment: str) -> list[Path]:
    """The notebook in a student's folder, or in nbgrader's folder in that, as `usual_at` finds it."""
    inner, named = folder / assignment, folder / f"{assignment}.ipynb"
    within = not os.path.lexists(named) and inner.is_dir() and not inner.is_symlink()
    return usual_at(inner if within else folder, assignment)


def usual_at(folder: Path, assignment: str) -> list[Path]:
    """The notebook of the assignment's name in a folder, or else all."""
    named = folder / f"{assignment}.ipynb"
    if os.path.lexists(named):
        return [named]
    try:
        others = sorted(Path(folder, name) for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        others = []
    return [path for path in others if path.suffix == ".ipynb"] or others[:1] or [named]


def notebooks_below(folder: Path) -> list[Path]:
    """The notebooks in a folder, MAX_DEPTH deep at most; x.ipynb.txt is one too."""
    found = []
    for top, folders, names in os.walk(folder):
        found += [Path(top, name) for name in sorted(names) if ".ipynb" in name.lower()]
        if len(Path(top).relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()  # os.walk goes no deeper
    return found


def changed(path: Path) -> float:
    """When a file, or a link itself, was changed; 0 if there is none."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0
