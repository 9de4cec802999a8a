"""What runs in Gradescope's container for each submission: it always leaves a results.json.

The container starts as root and is the submission's own; a sandbox inside it needs rights that it lacks. So
the answers run as another user, who can read neither the references nor write results, with rlimits; all
that user's processes are killed at the end.
"""

import json
import sys
import tempfile
import traceback
from pathlib import Path

from course_utils.classroom.assignments import Assignment, Private, find_assignment
from course_utils.classroom.grading import batch, cells, collecting, export, gradebook
from course_utils.classroom.grading.store import Store
from course_utils.classroom.overlay import EVERYONE, Overlay
from course_utils.files import write_atomic

USER = 61234  # of no account
SHOWN = {"visibility": "visible", "stdout_visibility": "hidden"}  # a traceback of ours is for the teacher
STRANGER = (
    "Nobody called {who} is in the roster of this assignment, whose numbers differ from student to student. "
    "Ask your teacher to correct the roster, or the address that you have at Gradescope."
)


class Shipped(Overlay):
    """What of an overlay is in the zip: the references, and each student's seed and constants."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._students = json.loads((folder / "students.json").read_text("utf-8"))

    def student(self, metadata: dict) -> str:
        """The student who has handed in, by the address in Gradescope's submission_metadata.json, or by what
        stands before its @. Raises Ungradable for a stranger where each has a notebook of their own."""
        users = metadata.get("users") or [{}]
        address = str(users[0].get("email", ""))
        known = {student.lower(): student for student in self._students}
        for who in (address, address.partition("@")[0]):
            if who.lower() in known:
                return known[who.lower()]
        if EVERYONE in self._students:
            return EVERYONE
        raise cells.Ungradable(STRANGER.format(who=address or "of no address"))

    def given_to(self, assignment: str, student: str) -> str:
        return student

    def shown_seed(self, assignment: str, student: str) -> int:
        return self._students[student]["seed"]

    def own(self, assignment: str, student: str, ask: Private) -> int:
        return self._students[student]["own"][ask.name]


def graded(place: Path, assignment: Assignment) -> str:
    """The results of the submission in a folder that is laid out as /autograder is."""
    overlay = Shipped(place / "source" / "class")
    try:
        student = overlay.student(json.loads((place / "submission_metadata.json").read_text("utf-8")))
    except cells.Ungradable as error:
        return refused(assignment, str(error))
    with tempfile.TemporaryDirectory() as kept_in:
        store = Store(Path(kept_in))
        folder = place / "submission"
        found = collecting.usual_in(folder, assignment.name), collecting.notebooks_below(folder)
        choice = collecting.choose(student, [found], folder, assignment.name)
        kept = store.keep(assignment.name, student, choice.file)
        result = batch.grade_one(assignment, overlay, store, kept, user=USER)
        store.record(kept, store.round(assignment.name), *result)
        [row] = gradebook.rows(assignment, overlay, store)
        store.close()
    print(row.status, row.reason, *choice.remarks, sep="\n")  # hidden from the student, see SHOWN
    if row.status == "infra_error":
        return fault(assignment)
    if not row.standing.details:
        return refused(assignment, row.reason)
    return export.gradescope(assignment, row)


def refused(assignment: Assignment, why: str) -> str:
    """Results of what could not be graded. Gradescope takes none without a number: the 0 says why."""
    most = sum(points for id, points in assignment.points().items() if id in assignment.asks)
    test = {"name": "this file can be graded", "score": 0, "max_score": most, "output": why}
    told = f"Not graded, which is no mark. {why}"
    return json.dumps(SHOWN | {"output": told, "tests": [test | {"visibility": "visible"}]})


def fault(assignment: Assignment) -> str:
    """Results where the grader itself has failed. Nothing grades again there by itself."""
    return refused(
        assignment,
        "Something of ours went wrong: tell your teacher, who can have the autograder run again.",
    )


def main(place: Path, name: str) -> None:
    """Grade what lies in `place`/submission, and write `place`/results/results.json, whatever happens."""
    assignment = find_assignment(name)
    try:
        results = graded(place, assignment)
    except Exception:
        traceback.print_exc()
        results = fault(assignment)
    write_atomic(place / "results" / "results.json", results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
