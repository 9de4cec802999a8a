"""What a person gives: marks for written answers, and for any other where a person knows better.

A mark belongs to the file that was read: it stays when that is graded again, and is asked anew for another.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading.gradebook import as_csv, as_it_was, given, last_marks
from course_utils.classroom.grading.store import Given, Store
from course_utils.classroom.overlay import Overlay
from course_utils.files import read_spreadsheet, write_atomic

COLUMNS = ("student", "question", "points", "comment", "file")


def to_read(assignment: Assignment, overlay: Overlay, store: Store) -> Path:
    """Write the written answers into a CSV file in which a person fills in points and comments. A file that
    holds some which are not noted stays as it is, and another is written beside it."""
    lines = [[*COLUMNS, "answer"]]
    marks = last_marks(assignment, store)
    for student, standing in store.standings(assignment.name).items():
        for id, answer in standing.details.get("written", {}).items():
            mark = given(marks, standing, id)
            filled = (mark.points, mark.comment) if mark else ("", "")
            written = "" if assignment.is_blank(id, answer) else answer
            lines.append([student, id, *filled, standing.submission.sha256, written])
    names = (f"{assignment.name}-to-read{f'-{n}' if n > 1 else ''}.csv" for n in count(1))
    path = next(path for name in names if not _holds_marks(path := overlay.folder / name, assignment, store))
    write_atomic(path, as_csv(lines))
    return path


def _holds_marks(file: Path, assignment: Assignment, store: Store) -> bool:
    """Whether a person is at work on the file."""
    try:
        return file.exists() and bool(not_noted(assignment, store, _filled(file)))
    except ValueError:
        return True


def not_noted(assignment: Assignment, store: Store, marks: list[Given]) -> list[Given]:
    """Those marks that differ from the last one noted for their place. One that another has replaced is
    among them: nobody knows whether it was given before that or after."""
    noted = last_marks(assignment, store)

    def same(mark: Given) -> bool:
        last = noted.get(mark.place) or noted.get((mark.student, mark.question, ""))
        return last is not None and (last.points, last.comment) == (mark.points, mark.comment)

    return [mark for mark in marks if not same(mark)]


def read(file: Path) -> list[Given]:
    """The marks that a person has filled in; of a comment that waits for its points these are None. Raises
    ValueError for a file that `to_read` has not written."""
    return [mark for mark in _filled(file) if mark.points is not None or mark.question]


def _filled(file: Path) -> list[Given]:
    """As `read`, and a person's notes, which are lines without question and file."""
    columns, lines = read_spreadsheet(file)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise ValueError(f"{file} has no column {missing[0]!r}: fill in the file that `grade` wrote")
    if cut := [n for n, line in lines.items() if line["question"] and not line["file"]]:
        raise ValueError(f"line {cut[0]} of {file} is not whole: fill in the file that `grade` wrote")
    return [
        Given(
            as_it_was(line["student"]),
            line["question"],
            line["file"],
            _number(line["points"], line["student"]),
            as_it_was(line["comment"]),
        )
        for line in lines.values()
        if line["points"].strip() or line["comment"].strip() or not line["file"]
    ]


def _number(text: str, student: str) -> float | None:
    plain = text.strip().replace(",", ".")  # as many countries write it
    if not plain:
        return None
    if not plain.replace(".", "", 1).isdecimal():
        raise ValueError(f"{text!r} points for {student!r} are no number")
    return float(plain)


def note(assignment: Assignment, store: Store, marks: Iterable[Given], who: str) -> list[str]:
    """Note those marks that differ from what counts, all at once. Return a line for each that replaces
    another, that is for a file which no longer counts, or that is left out: what was noted before the mark
    that counts, as a list still has it that is read on, is no news, and a comment waits for its points.

    Raises ValueError, and notes nothing, for points beyond what there are, and for unknown students,
    questions or files.
    """
    files, points, noted = store.files(assignment.name), assignment.points(), last_marks(assignment, store)
    earlier = {(mark.place, mark.points, mark.comment) for mark in store.marks(assignment.name)}
    standings, new, lines = store.standings(assignment.name), [], []
    for mark in marks:
        place = f"{mark.student}, {mark.question}"
        if mark.points is None:
            lines.append(f"{place}: a comment, and no points yet; it is not noted.")
            continue
        known = (mark.student, mark.sha256) in files and mark.question in points
        if not known or not 0 <= mark.points <= points[mark.question]:
            raise ValueError(
                f"{mark.points:g} points for {mark.question!r} of {mark.student!r} can't be: points go from "
                f"0 to {points.get(mark.question, 0):g}; students, questions and files are those of `grade`"
            )
        before = noted.get(mark.place, replace(mark, points=None))
        if (before.points, before.comment) == (mark.points, mark.comment):
            continue
        says = f"{mark.points:g} ({mark.comment})"
        if (mark.place, mark.points, mark.comment) in earlier:
            lines.append(
                f"{place}: {before.points:g} ({before.comment}) counts, given since; {says}, noted before "
                "it, is left out. With another comment it counts again."
            )
            continue
        new.append(replace(mark, who=who))
        if before.points is not None:
            lines.append(f"{place}: {before.points:g} ({before.comment}) → {says}")
        if standings[mark.student].submission.sha256 != mark.sha256:
            lines.append(f"{place}: another file counts by now; this mark is for the one that was read.")
    store.mark(assignment.name, new)
    return [f"Marks noted: {len(new)}, by {who}.", *lines]
