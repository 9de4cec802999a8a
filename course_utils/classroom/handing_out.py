"""The notebooks that students get: no solution, no hidden input; seed, constants, examples of their own."""

import copy
import re
from collections import Counter
from pathlib import Path

import nbformat
import numpy as np
from nbformat import NotebookNode

from course_utils.classroom.assignments import Assignment, Private
from course_utils.classroom.grading.verdicts import GradedFunction
from course_utils.classroom.overlay import EVERYONE, Overlay
from course_utils.files import by_heading, read_spreadsheet, write_atomic
from course_utils.learner.checks.values import plain

NAME = re.compile(r"[\w.@+-]+")
COLUMNS = ("student", "id", "username", "login")
COMPARE = """import copy

import numpy as np

import course_utils.learner.checks.values as comparing

"""


def read_roster(file: Path) -> list[str]:
    """The students in a CSV file, in one of its `COLUMNS`. Raises ValueError for a file without, for names
    that are no names of folders, and for two of the same."""
    columns, lines = read_spreadsheet(file)
    column = column_of_names(columns)
    if columns and column is None:
        raise ValueError(
            f"{file} has no column {' or '.join(COLUMNS)}; its first line is {', '.join(columns)}: write "
            "`student` above the students' names"
        )
    students = [line[column].strip() for line in lines.values()]
    times = Counter(student.lower() for student in students)  # on some systems Ada's folder is ada's
    for student in students:
        _check_name(student, file)
        if times[student.lower()] > 1:
            raise ValueError(
                f"{student} stands more than once in {file}: each student has a name of their own, whatever "
                "its capitals"
            )
    if not students:
        raise ValueError(f"there are no students in {file}: it has one a line, below a line `student`")
    return students


def column_of_names(columns: list[str]) -> str | None:
    """The column of a roster in which its students' names stand: the first of `COLUMNS` that it has."""
    names = by_heading(columns)
    return next((names[name] for name in COLUMNS if name in names), None)


def read_names(file: Path) -> dict[str, str]:
    """Whose each file or folder is, by its name, in a CSV file with the columns `file` and `student`. Raises
    ValueError for a file without these, for students who are no names of folders, and for a file of two."""
    columns, lines = read_spreadsheet(file)
    headings, names = by_heading(columns), {}
    if missing := {"file", "student"} - {*headings}:
        raise ValueError(f"{file} has no column {min(missing)!r}: it has `file` and `student`")
    for line in lines.values():
        name, student = (line[headings[heading]].strip() for heading in ("file", "student"))
        _check_name(student, file)
        if names.setdefault(name, student) != student:
            raise ValueError(
                f"{file} gives {name} to {names[name]} and to {student}: leave one of these lines"
            )
    return names


def _check_name(student: str, file: Path) -> None:
    if not NAME.fullmatch(student) or student.startswith(".") or student == EVERYONE:
        raise ValueError(
            f"{student!r} in {file} can't name a folder: a name has letters, digits and . @ + - _ only"
        )


def release(assignment: Assignment, overlay: Overlay, students: list[str]) -> list[Path]:
    """Write the notebook of each student; one that is there stays as it was given out.

    Raises ValueError if a reference is missing, for the examples come from it; and for students, when there
    is a notebook for everyone, whose constants are others, and the reverse.
    """
    everyone = overlay.released(assignment.name, EVERYONE)
    if everyone.exists() and students != [EVERYONE]:
        raise ValueError(
            f"{everyone} was made for everyone, and who has begun it has other constants than a notebook of "
            "their own would: leave it at one for all, or, if nobody has it yet, delete it"
        )
    if students == [EVERYONE] and not everyone.exists() and (own := overlay.roster(assignment.name)):
        raise ValueError(
            f"{len(own)} students have a notebook of their own, whose constants are others than everyone's: "
            "name the roster by --students"
        )
    written = []
    for student in students:
        path = overlay.released(assignment.name, student)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, nbformat.writes(notebook_for(assignment, overlay, student)) + "\n")
            written.append(path)
    return written


def notebook_for(assignment: Assignment, overlay: Overlay, student: str) -> NotebookNode:
    """The assignment as one student gets it; `released` says for whom that is."""
    notebook = nbformat.read(assignment.path, as_version=4)
    seed = overlay.shown_seed(assignment.name, student)
    questions = {question.id: question for question in overlay.questions(assignment, student)}
    notebook.metadata.course = {"assignment": assignment.name, "seed": seed}
    for cell in notebook.cells:
        if "nbgrader" not in cell.metadata:
            continue
        id = cell.metadata.nbgrader.grade_id
        if id == "seed":
            cell.source = re.sub(r"^SEED = \d+", f"SEED = {seed}", cell.source)
        if isinstance(ask := assignment.asks.get(id), Private):
            own = overlay.own(assignment.name, student, ask)
            cell.source = re.sub(
                rf"^{ask.constant} = \d+", f"{ask.constant} = {own}", cell.source, flags=re.M
            )
        if question := questions.get(id.removesuffix("-tests") if id.endswith("-tests") else ""):
            cell.source = _examples(question)
    return notebook


def _examples(question: GradedFunction) -> str:
    """Tests of a function on its author's own examples, which nbgrader and anybody can run. They refuse what
    is refused when it is graded."""
    check, name = question.examples, question.check.reference.__name__
    cases = check.cases(question.shown_seed)
    pairs = [(case, plain(check.reference(*copy.deepcopy(case)))) for case in cases]
    examples = "".join(f"    ({_literal(case)}, {_literal(result)}),\n" for case, result in pairs)
    return (
        f"# Examples of yours ({question.points:g} points); other inputs are graded.\n{COMPARE}"
        f"EXAMPLES = [\n{examples}]\nfor arguments, expected in EXAMPLES:\n"
        "    given = copy.deepcopy(arguments)\n"
        f"    got = {name}(*given)\n"
        f"    wrong = comparing.difference(expected, comparing.plain(got), {check.tolerance})\n"
        f'    assert not wrong, f"{{wrong}}, for {name}{{arguments}}: expected {{expected!r}}, "'
        ' f"got {got!r}"\n'
        "    changed = comparing.difference(comparing.plain(arguments), comparing.plain(given), 0.0)\n"
        f'    assert not changed, "{name} changes its arguments, which belong to the caller: work on a copy"'
    )


def _literal(value) -> str:
    """A value as Python writes it in a cell that has imported np."""
    if isinstance(value, np.ndarray):
        return f"np.array({_literal(value.tolist())}, dtype={value.dtype.name!r})"
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return f"[{', '.join(map(_literal, value))}]" if isinstance(value, list) else repr(value)
