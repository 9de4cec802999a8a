"""nbgrader's gradebook, through its API: grades go in, and what was given in its formgrader comes back.

The formgrader shows notebooks out of a course's folder. Those written here hold a student's answers and no
output; what a student wrote as text stands as text, so that nothing of it runs on the teacher's page.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from html import escape
from pathlib import Path

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import cells, marking
from course_utils.classroom.grading.gradebook import Row, rows
from course_utils.classroom.grading.store import Given, Store
from course_utils.classroom.overlay import Overlay
from course_utils.files import one_form, write_atomic

BOOK = "gradebook.db"
AS_TEXT = '<pre style="white-space: pre-wrap; font-family: inherit">{}</pre>'


@contextlib.contextmanager
def _opened(database: Path) -> Iterator:
    """nbgrader's gradebook in a file. Raises ValueError if nbgrader is not installed, and for a file that
    its database can't use."""
    try:
        from nbgrader.api import Gradebook
    except ImportError:
        raise ValueError(
            f"nbgrader is not installed here: `{sys.executable} -m pip install nbgrader`, and try again"
        ) from None
    # it starts `alembic`, which was installed with it, by its name
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings(), Gradebook(f"sqlite:///{database}") as book:
            warnings.simplefilter("ignore")  # SQLAlchemy's, on how nbgrader uses it
            yield book
    except SQLAlchemyError as error:
        raise ValueError(f"{database} can't be used as nbgrader's gradebook: {error}") from None


def _cell(assignment: Assignment, question: str) -> str:
    """The cell that carries the points of a question."""
    return question if question in assignment.written() else f"{question}-tests"


def _notebook(folder: Path, assignment: str, student: str) -> Path:
    return folder / "autograded" / student / assignment / f"{assignment}.ipynb"


def write(assignment: Assignment, overlay: Overlay, store: Store, folder: Path) -> Path:
    """Write the grades of a class, and a notebook a student; return the gradebook.

    All points go in as the autograder's: a manual score is what was given in the formgrader since. Raises
    ValueError if some of those are not noted: it overwrites none, also none that is given meanwhile.
    """
    database, name = folder / BOOK, assignment.name
    _need_noted(assignment, store, read(assignment, database) if database.exists() else [], database)
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(database) as book:
        book.update_or_create_assignment(name)
        book.update_or_create_notebook(name, name)
        for id, points in assignment.points().items():
            kind = {"max_score": points, "cell_type": "markdown" if id in assignment.written() else "code"}
            book.update_or_create_grade_cell(_cell(assignment, id), name, name, **kind)
            book.update_or_create_solution_cell(id, name, name)
        for row in rows(assignment, overlay, store):
            book.update_or_create_student(row.student)
            if row.status in ("graded", "partial"):  # a submission of which nothing is known is no zero
                _write_row(assignment, store, row, book, database)
                _write_notebook(assignment, overlay, store, row, folder)
    return database


def _need_noted(assignment: Assignment, store: Store, given: list[Given], database: Path) -> None:
    if waiting := sorted({mark.student for mark in marking.not_noted(assignment, store, given)}):
        raise ValueError(
            f"{database} holds marks of {', '.join(waiting)} that are not noted: first "
            f"`mark {assignment.name} {database}`, or empty them in the formgrader"
        )


def _write_row(assignment: Assignment, store: Store, row: Row, book, database: Path) -> None:
    received = row.standing.received.replace(tzinfo=None)  # UTC, as nbgrader keeps it
    work = book.update_or_create_submission(assignment.name, row.student, timestamp=received).notebooks[0]
    # again, since somebody may give marks while the rows before this one are written
    _need_noted(assignment, store, [*_given(assignment, work, database.parent)], database)
    grades, comments = ({each.name: each for each in many} for many in (work.grades, work.comments))
    for id, points in row.points.items():
        grade, comment = grades[_cell(assignment, id)], comments[id]
        grade.auto_score, grade.needs_manual_grade = points, points is None
        if points is not None:  # else a comment in the formgrader waits for its points
            comment.auto_comment = row.comments[id]
            grade.manual_score = grade.extra_credit = comment.manual_comment = None
    earned = sum(points or 0 for points in row.points.values())
    work.late_submission_penalty = earned - row.late.of(earned)
    book.db.commit()


def _write_notebook(assignment: Assignment, overlay: Overlay, store: Store, row: Row, folder: Path) -> None:
    name, kept = assignment.name, row.standing.submission
    released = overlay.released(name, overlay.given_to(name, row.student))
    notebook = json.loads((released if released.exists() else assignment.path).read_text("utf-8"))
    try:
        answers = cells.read(store.content(kept), assignment.asked(), assignment.prelude).sources
    except (OSError, cells.Ungradable):  # our copy is damaged: the texts were kept with the result
        answers = row.standing.details.get("written", {})
    for cell in notebook["cells"]:
        id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if id in assignment.written():
            cell["source"] = AS_TEXT.format(escape(answers.get(id, "")).replace("\n", "&#10;"))
        elif id in assignment.asks:
            cell["source"] = answers.get(id, "")
    notebook["metadata"]["course"] = {"sha256": kept.sha256}
    path = _notebook(folder, name, row.student)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(notebook))


def read(assignment: Assignment, file: Path) -> list[Given]:
    """What persons gave in the formgrader, for the files that it showed. Raises ValueError for what is no
    gradebook of this assignment, and if the notebooks beside it are not those that `write` made."""
    if not file.exists():
        raise ValueError(f"there is no {file}: `export --format nbgrader` writes one")
    with _opened(file) as book:
        from nbgrader.api import MissingEntry

        try:
            book.find_assignment(assignment.name)
            works = [work.notebooks[0] for work in book.assignment_submissions(assignment.name)]
            return [mark for work in works for mark in _given(assignment, work, file.parent)]
        except MissingEntry as error:
            raise ValueError(f"{file} is no gradebook with {assignment.name} in it: {error}") from None


def _given(assignment: Assignment, work, folder: Path) -> Iterator[Given]:
    grades, comments = ({each.name: each for each in many} for many in (work.grades, work.comments))
    student = work.student.id
    for id in assignment.points():
        grade, comment = grades[_cell(assignment, id)], comments[id]
        scored = grade.manual_score is not None or grade.extra_credit
        commented = comment.manual_comment is not None and not grade.needs_manual_grade
        if scored or commented:
            shown = _notebook(folder, assignment.name, student)
            try:
                sha256 = json.loads(shown.read_text("utf-8"))["metadata"]["course"]["sha256"]
            except (OSError, ValueError, LookupError, TypeError):
                raise ValueError(
                    f"{shown} is not as `export` wrote it, and so nobody knows which file was read: give the "
                    "gradebook in the folder in which it was written"
                ) from None
            yield Given(student, id, sha256, grade.score, one_form(comment.comment or ""))
