"""Requests for another look at a grade, and what came of each: who asked what, who answered what, and why.

Nothing of it is ever changed: who answers a request a second time adds to it.
"""

from dataclasses import dataclass
from pathlib import Path

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import cells, errata
from course_utils.classroom.grading.database import now, transaction
from course_utils.classroom.grading.gradebook import as_it_was, given, last_marks
from course_utils.classroom.grading.store import Given, Standing, Store
from course_utils.files import by_heading, one_form, read_spreadsheet

COLUMNS = ("student", "question", "why")


@dataclass(frozen=True)
class Reply:
    """An answer. Without points and an erratum's number it says that the grade stays."""

    why: str
    who: str
    replied: str
    points: float | None = None
    erratum: int | None = None

    @property
    def said(self) -> str:
        if self.points is not None:
            return f"{self.points:g} points"
        return "no change" if self.erratum is None else f"erratum {self.erratum}"


@dataclass(frozen=True)
class Request:
    """What a student asks; open until somebody has replied."""

    id: int
    student: str
    question: str
    why: str
    asked: str
    replies: tuple[Reply, ...] = ()


def requests(assignment: Assignment, store: Store) -> list[Request]:
    """All requests, in their order, with the replies in theirs."""
    replies: dict[int, list[Reply]] = {}
    for request, *values in store.database.execute(
        "SELECT request, why, replies.who, replied, points, erratum FROM replies "
        "LEFT JOIN marks ON mark = marks.id ORDER BY replies.id"
    ):
        replies.setdefault(request, []).append(Reply(*values))
    rows = store.database.execute(
        "SELECT id, student, question, why, asked FROM requests WHERE assignment = ? ORDER BY id",
        (assignment.name,),
    )
    return [Request(*row, tuple(replies.get(row[0], ()))) for row in rows]


def note(assignment: Assignment, store: Store, file: Path) -> int:
    """Note the requests in a CSV file, a line each; return how many are new. Raises ValueError, naming
    the line, and notes nothing, for one that names nobody, no question or no reason."""
    columns, lines = read_spreadsheet(file)
    headings = by_heading(columns)
    if missing := [name for name in COLUMNS if name not in headings]:
        raise ValueError(f"{file} has no column {missing[0]!r}; a request has {', '.join(COLUMNS)}")
    found = {
        n: tuple(as_it_was(line[headings[name]].strip()) for name in COLUMNS) for n, line in lines.items()
    }
    handed_in, questions = store.standings(assignment.name), assignment.points()
    for n, (student, question, why) in found.items():
        where = f"line {n} of {file}"
        if student not in handed_in:
            raise ValueError(f"{where}: {student!r} has handed nothing in for {assignment.name}")
        if question not in questions:
            raise ValueError(f"{where}: there is no question {question!r}; there are {', '.join(questions)}")
        if not why:
            raise ValueError(f"{where}: {student} does not say why {question} needs another look")
    with transaction(store.database):
        known = {(request.student, request.question, request.why) for request in requests(assignment, store)}
        rows = dict.fromkeys(tuple(map(cells.storable, row)) for row in found.values())
        new = [row for row in rows if row not in known]
        store.database.executemany(
            "INSERT INTO requests (assignment, student, question, why, asked) VALUES (?, ?, ?, ?, ?)",
            [(assignment.name, *row, now()) for row in new],
        )
    return len(new)


def reply(assignment: Assignment, store: Store, ids: list[int], answer: Reply) -> None:
    """Answer requests, all or none, in one transaction: by another mark, an erratum's number, or no change.

    Raises ValueError for a number that no request has, points that can't be, an empty reason, and an erratum
    that points of a person hide.
    """
    with transaction(store.database):
        by_id = {request.id: request for request in requests(assignment, store)}
        standings, out_of = store.standings(assignment.name), assignment.points()
        marks = last_marks(assignment, store)
        if unknown := [id for id in ids if id not in by_id]:
            raise ValueError(f"there is no request {unknown[0]} for {assignment.name}; `requests` lists them")
        if not answer.why.strip():
            raise ValueError("a reply says why: the student reads it")
        for request in (by_id[id] for id in dict.fromkeys(ids)):
            mark = None
            if answer.erratum is not None:
                about = [e.question for e in errata.of(assignment, store) if e.id == answer.erratum]
                if request.question not in about:
                    raise ValueError(f"there is no erratum {answer.erratum} about {request.question}")
                by_hand = given(marks, standings[request.student], request.question)
                if by_hand and by_hand.points != (
                    machine := _by_machine(standings[request.student], request.question)
                ):
                    raise ValueError(
                        f"request {request.id}: {request.student} has {by_hand.points:g} points by hand, "
                        f"which count before the {machine:g} that the erratum leads to: reply by --points "
                        f"{machine:g}, or by --no-change if the {by_hand.points:g} are right"
                    )
            if answer.points is not None:
                if not standings[request.student].details:
                    raise ValueError(f"{request.student} has no graded file, to which points could belong")
                if not 0 <= answer.points <= out_of[request.question]:
                    raise ValueError(
                        f"{answer.points:g} points for {request.question} can't be: they go from 0 to "
                        f"{out_of[request.question]:g}"
                    )
                kept = standings[request.student].submission
                mark = store.insert_mark(
                    assignment.name,
                    Given(
                        request.student,
                        request.question,
                        kept.sha256,
                        answer.points,
                        one_form(answer.why),
                        answer.who,
                    ),
                )
            store.database.execute(
                "INSERT INTO replies (request, mark, erratum, why, who, replied) VALUES (?, ?, ?, ?, ?, ?)",
                (request.id, mark, answer.erratum, cells.storable(answer.why), answer.who, now()),
            )


def _by_machine(standing: Standing, question: str) -> float:
    """The points of a question without those that a person gave."""
    return next(mark["points"] for mark in standing.details["marks"] if mark["id"] == question)
