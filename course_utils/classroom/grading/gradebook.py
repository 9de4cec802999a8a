"""A class's grades: a row a student, and what a person gave for the written answers.

A grade that is not known yet is empty and never 0: the status says why.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import lateness
from course_utils.classroom.grading.lateness import NOT_LATE, Late
from course_utils.classroom.grading.store import FAULT, Standing, Store
from course_utils.classroom.overlay import Overlay
from course_utils.files import delimiter_of, write_atomic

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
    standings, marks = store.standings(assignment.name), store.marks(assignment.name)
    out_of, policy = assignment.points(), policy_of(assignment, overlay, standings)
    for student in sorted({*standings, *overlay.roster(assignment.name)}):
        standing = standings.get(student)
        got = {mark["id"]: mark for mark in standing.details.get("marks", [])} if standing else {}
        points = {id: got[id]["points"] if id in got else None for id in out_of}
        comments = {id: got[id]["sentence"] if id in got else "" for id in out_of}
        for id in assignment.written():
            unread = OPEN if standing and standing.details else ""
            points[id], comments[id] = marks.get((student, id), (None, unread))
        late = policy.late(student, standing.received) if standing else NOT_LATE
        yield Row(student, standing, points, comments, out_of, late)


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


def to_read(assignment: Assignment, overlay: Overlay, store: Store) -> Path:
    """Write the written answers into a CSV file in which a person fills in points and comments."""
    lines = [["student", "question", "points", "comment", "answer"]]
    marks = store.marks(assignment.name)
    for student, standing in store.standings(assignment.name).items():
        for id, answer in standing.details.get("written", {}).items():
            lines.append([student, id, *marks.get((student, id), ("", "")), answer])
    path = overlay.folder / f"{assignment.name}-to-read.csv"
    write_atomic(path, as_csv(lines))
    return path


def read_marks(assignment: Assignment, store: Store, file: Path) -> int:
    """Note the points that a person has filled in; the number of them. Raises ValueError, and notes
    nothing, for points beyond what there are and for unknown students or questions."""
    try:
        text = file.read_bytes().decode("utf-8-sig")  # as it is: a comment may hold any line end
        lines = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter_of(text)))
        found = [(e["student"], e["question"], e["points"].strip(), e["comment"]) for e in lines]
    except KeyError as error:
        raise ValueError(f"{file} has no column {error}: fill in the file that `grade` wrote") from None
    except (OSError, UnicodeDecodeError, AttributeError, csv.Error) as error:
        raise ValueError(
            f"{file} can't be read ({error}): save the file that `grade` wrote as CSV in UTF-8"
        ) from None
    students, points = store.standings(assignment.name), assignment.points()
    noted, marks = store.marks(assignment.name), []
    for student, question, given, comment in found:
        student, comment = _as_it_was(student), _as_it_was(comment)
        if not given:
            continue
        given = given.replace(",", ".")  # as many countries write it
        number = float(given) if given.replace(".", "", 1).isdecimal() else -1.0
        known = student in students and question in assignment.written()
        if not known or not 0 <= number <= points[question]:
            raise ValueError(
                f"{given!r} points for {question!r} of {student!r} can't be: points go from 0 to "
                f"{points.get(question, 0):g}, students and questions are those that `grade` wrote"
            )
        if noted.get((student, question)) != (number, comment):
            marks.append((student, question, number, comment))
    for mark in marks:
        store.mark(assignment.name, *mark)
    return len(marks)


def as_csv(lines: list[list]) -> str:
    """Lines as CSV. A text that a spreadsheet would run as a formula gets an apostrophe before it."""

    def cell(value):
        if isinstance(value, str):
            return f"'{value}" if value.startswith(FORMULA) else value
        return "" if value is None else f"{value:g}"

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)  # else "\r" would end a line
    writer.writerows([cell(value) for value in line] for line in lines)
    return out.getvalue()


def _as_it_was(text: str) -> str:
    """A text of `as_csv` without the apostrophe that kept it from being run."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
