"""A class's grades: a row a student, of what the machine and persons gave.

A grade that is not known yet is empty and never 0: the status says why.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import lateness
from course_utils.classroom.grading.lateness import NOT_LATE, Late
from course_utils.classroom.grading.store import FAULT, Given, Standing, Store
from course_utils.classroom.overlay import Overlay

OPEN = "not read yet"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a text begins that a spreadsheet would run


@dataclass(frozen=True)
class Row:
    """A student's grade. `standing` is None for one who has handed nothing in."""

    student: str
    standing: Standing | None
    points: dict[str, float | None]  # by question; None: not known yet
    comments: dict[str, str]  # by question
    out_of: dict[str, float]
    late: Late = NOT_LATE

    @property
    def status(self) -> str:
        return self.standing.status if self.standing else "missing"

    @property
    def reason(self) -> str:
        return self.standing.reason if self.standing else "nothing was handed in"

    @property
    def earned(self) -> float | None:
        """The sum, once it is known: of a submission that was graded and whose written answers were read."""
        known = [points for points in self.points.values() if points is not None]
        return sum(known) if len(known) == len(self.points) else None

    @property
    def score(self) -> float | None:
        """The grade: what was earned, less what lateness takes off."""
        return None if self.earned is None else self.late.of(self.earned)


def rows(assignment: Assignment, overlay: Overlay, store: Store) -> Iterator[Row]:
    """A row for each student who was given a notebook or has handed one in, by name. Raises ValueError if
    `term.toml` can't be read."""
    standings, marks = store.standings(assignment.name), last_marks(assignment, store)
    out_of, policy = assignment.points(), policy_of(assignment, overlay, standings)
    for student in sorted({*standings, *overlay.roster(assignment.name)}):
        standing = standings.get(student)
        details = standing.details if standing else {}
        got = {mark["id"]: (mark["points"], mark["sentence"]) for mark in details.get("marks", [])}
        got |= {id: (None, OPEN) for id in assignment.written() if details}
        got |= {id: (mark.points, mark.comment) for id in out_of if (mark := given(marks, standing, id))}
        points, comments = ({id: got.get(id, (None, ""))[i] for id in out_of} for i in (0, 1))
        late = policy.late(student, standing.received) if standing else NOT_LATE
        yield Row(student, standing, points, comments, out_of, late)


Marks = dict[tuple[str, str, str], Given]  # by student, question and file


def last_marks(assignment: Assignment, store: Store) -> Marks:
    """What persons gave, the last mark of each place."""
    return {mark.place: mark for mark in store.marks(assignment.name)}


def given(marks: Marks, standing: Standing | None, question: str) -> Given | None:
    """What a person gave for a question of the file that counts."""
    if not (standing and standing.details):
        return None
    kept = standing.submission
    return marks.get((kept.student, question, kept.sha256)) or marks.get((kept.student, question, ""))


def policy_of(assignment: Assignment, overlay: Overlay, handed_in: Iterable[str]) -> lateness.Policy:
    """The late policy. With a roster only its students, and who has handed in, can have an extension."""
    roster = overlay.roster(assignment.name)
    return lateness.read(overlay.folder, assignment.name, {*roster, *handed_in} if roster else set())


def lateness_of(assignment: Assignment, overlay: Overlay, store: Store) -> str:
    """How many are late, said before an hour of grading. Raises ValueError if `term.toml` can't be read."""
    standings = store.standings(assignment.name)
    policy = policy_of(assignment, overlay, standings)
    if not policy.deadline:
        return f"{lateness.FILE} has no deadline for {assignment.name}: nothing is late."
    late = sum(policy.late(name, standing.received).percent > 0 for name, standing in standings.items())
    return f"By {lateness.FILE}, lateness costs {late} of {len(standings)} students points."


def told(row: Row) -> str:
    """A student's grade in a few lines of text."""
    lines = [f"{id}: {shown(row, id)}. {row.comments[id]}" for id in row.out_of]
    reason = FAULT if row.status == "infra_error" else row.reason
    return "\n".join(filter(None, [reason, *lines, summed(row)]))


def summed(row: Row) -> str:
    """The sum of what is known, before and after what lateness takes off. Empty while there is no grade."""
    known = [points for points in row.points.values() if points is not None]
    if not known:
        return row.late.sentence
    out_of = f"of {sum(row.out_of.values()):g} points"
    parts = [f"{row.late.of(sum(known)):g} {out_of}"]
    if row.late.percent:
        parts[0] += f" ({sum(known):g} before {row.late.percent:g} % less)"
    parts += [f"and what is {OPEN}"] if row.score is None else []
    return ". ".join(filter(None, [", ".join(parts), row.late.sentence]))


def shown(row: Row, id: str) -> str:
    """The points of a question, in words."""
    if not row.out_of[id]:
        return "no points"
    given = "?" if row.points[id] is None else f"{row.points[id]:g}"
    return f"{given} of {row.out_of[id]:g}"


def as_csv(lines: list[list]) -> str:
    """Lines as CSV. A text that a spreadsheet would run as a formula gets an apostrophe before it."""

    def cell(value):
        if isinstance(value, str):
            return f"'{value}" if value.startswith(FORMULA) else value
        return "" if value is None else f"{value:.15g}"  # all digits that a person can have written

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)  # else "\r" would end a line
    writer.writerows([cell(value) for value in line] for line in lines)
    return out.getvalue()


def as_it_was(text: str) -> str:
    """A text of `as_csv` without the apostrophe that kept it from being run."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
