"""The examples in notebooks that were given out: are they still what the references give?"""

from collections.abc import Iterable

from course_utils.classroom import handing_out
from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import cells
from course_utils.classroom.overlay import Overlay


def outdated(assignment: Assignment, overlay: Overlay, students: Iterable[str]) -> list[str]:
    """Those students in whose notebook other results are expected than the references now give."""
    found = []
    for student in students:
        now = handing_out.notebook_for(assignment, overlay, student)
        try:
            given = cells.parse(overlay.released(assignment.name, student).read_bytes())[0]
            before = _examples(cells.tagged(given), assignment)
        except (OSError, cells.Ungradable):  # it is not there, or somebody has changed it
            continue
        if before != _examples(cells.tagged(now), assignment):
            found.append(student)
    return found


def _examples(tagged: dict[str, dict], assignment: Assignment) -> list[str]:
    """The lists of examples alone: how they are compared is another matter."""
    tests = [tagged.get(f"{id}-tests", {}).get("source", "") for id in assignment.asks]
    return [test.partition("EXAMPLES = [")[2].partition("]\nfor arguments")[0] for test in tests]
