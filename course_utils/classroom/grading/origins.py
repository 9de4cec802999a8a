"""From whose notebook a file was made: each notebook has the seed of its student in its metadata."""

from collections.abc import Iterable

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import cells
from course_utils.classroom.grading.store import Store, Submission
from course_utils.classroom.overlay import EVERYONE, Overlay


def made_from_anothers(
    assignment: Assignment, overlay: Overlay, store: Store, files: Iterable[Submission]
) -> dict[str, str]:
    """By student whose notebook their file was made from, where that is not the one that they were given."""
    name = assignment.name
    by_seed = {overlay.shown_seed(name, whose): whose for whose in [EVERYONE, *overlay.roster(name)]}
    found = {}
    for file in files:
        whose = by_seed.get(_seed(store, file), "")
        if whose and whose != overlay.given_to(name, file.student):
            found[file.student] = whose
    return found


def _seed(store: Store, file: Submission) -> int | None:
    """The seed in a file's metadata; None where it can't be read or has none."""
    try:
        seed = cells.parse(store.content(file))[0]["metadata"]["course"]["seed"]
    except (cells.Ungradable, OSError, LookupError, TypeError):
        return None
    return seed if isinstance(seed, int) else None
