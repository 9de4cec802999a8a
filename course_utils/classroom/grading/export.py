"""The files that other systems import. Nothing that a submission printed or returned is in them."""

import json
from pathlib import Path

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import formgrader
from course_utils.classroom.grading.gradebook import Row, as_csv, rows, told
from course_utils.classroom.grading.store import Store
from course_utils.classroom.overlay import Overlay
from course_utils.files import write_atomic


def table(assignment: Assignment, all_rows: list[Row]) -> str:
    """One line a student, a column a question: for a person, and for whoever imports by column."""
    ids = list(assignment.points())
    head = ["student", "status", "score", "out of", "before lateness", "% off", "lateness", *ids]
    head += [*(f"{id}: why" for id in ids), "reason", "file", "sha256", "received", "by", "receipt"]
    lines = [head]
    for row in all_rows:
        kept = row.standing.submission if row.standing else None
        late = [row.earned, row.late.percent, row.late.sentence]
        line = [row.student, row.status, row.score, sum(row.out_of.values()), *late]
        line += [row.points[id] for id in ids] + [row.comments[id] for id in ids] + [row.reason]
        received = [row.standing.received.isoformat(), row.standing.source] if kept else []
        lines.append(line + ([kept.name, kept.sha256, *received, kept.receipt] if kept else [""] * 5))
    return as_csv(lines)


def moodle(assignment: Assignment, all_rows: list[Row]) -> str:
    """Moodle, Grades, Import, CSV: map `username` to the user, and both other columns to the grade item (its
    manual: where only one of grade and feedback is mapped, the other is lost)."""
    head = ["username", assignment.name, f"{assignment.name} feedback"]
    return as_csv([head, *([row.student, row.score, told(row)] for row in all_rows)])


def canvas(assignment: Assignment, all_rows: list[Row]) -> str:
    """Canvas, Grades, Import: who is who by `SIS Login ID`; the sections are left to Canvas. Only the grade
    itself, for any other column would become an assignment there."""
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.name]
    possible = ["    Points Possible", "", "", "", "", sum(assignment.points().values())]
    return as_csv([head, possible, *([row.student, "", "", row.student, "", row.score] for row in all_rows)])


def gradescope(assignment: Assignment, row: Row) -> str:
    """Gradescope's results.json of one student: a test a question. Without a score while it is not known."""
    tests = [
        {
            "name": id,
            "score": row.points[id],
            "max_score": row.out_of[id],
            "output": row.comments[id],
            "visibility": "visible",
        }
        for id in row.out_of
        if row.points[id] is not None
    ]
    results = {"output": told(row), "visibility": "visible", "stdout_visibility": "hidden", "tests": tests}
    return json.dumps(results | ({"score": row.score} if row.score is not None else {}), indent=1)


def export(form: str, assignment: Assignment, overlay: Overlay, store: Store) -> Path:
    """Write the files of a format into the overlay; return where they are."""
    all_rows, folder = list(rows(assignment, overlay, store)), overlay.folder / "export"
    folder.mkdir(exist_ok=True)
    if form == "gradescope":
        for row in all_rows:
            place = folder / "gradescope" / assignment.name / row.student
            place.mkdir(parents=True, exist_ok=True)
            write_atomic(place / "results.json", gradescope(assignment, row))
        return folder / "gradescope" / assignment.name
    if form == "nbgrader":
        return formgrader.write(assignment, overlay, store, folder / "nbgrader")
    text = {"csv": table, "moodle": moodle, "canvas": canvas}[form](assignment, all_rows)
    write_atomic(folder / f"{assignment.name}-{form}.csv", text)
    return folder / f"{assignment.name}-{form}.csv"
