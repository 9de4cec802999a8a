"""The references, handed in as answers, never lose a point, whatever the seeds.

With COURSE_OVERLAY=FOLDER these are a teacher's true references, else stand-ins: the true ones are in no
public file.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from course_utils.classroom.assignments import NAMES, Private, find_assignment
from course_utils.classroom.grading import sandbox, verdicts
from course_utils.classroom.overlay import Overlay
from course_utils.learner.checks import find

pytestmark = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
STUDENTS = 10 if os.environ.get("COURSE_FULL") else 1
FILES = 20  # of each student, in one sandbox


def answers(assignment, overlay, student):
    """What the references say, as the student's own functions."""
    text, sources = (overlay.folder / f"{assignment.name}.py").read_text(encoding="utf-8"), {}
    for id, ask in assignment.asks.items():
        if isinstance(ask, Private):
            own = overlay.own(assignment.name, student, ask)
            call = f"def {ask.name}(*inputs):\n    return {id}_file[{ask.name!r}](*inputs, {own})"
            sources[id] = f"{id}_file = {{}}\nexec({text!r}, {id}_file)\n\n\n{call}"
        else:
            sources[id] = find(ask).solution
    return sources


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_never_loses_a_point(room, name):
    room.write_attention()
    overlay = Overlay(Path(os.environ.get("COURSE_OVERLAY", room.folder)))
    assignment = find_assignment(name)
    for student in (f"student{number}" for number in range(STUDENTS)):
        sources, questions = answers(assignment, overlay, student), []
        for file in range(FILES):
            asked = overlay.questions(assignment, student, f"sha256 of {file}")
            questions += [replace(question, id=f"{question.id}-{file}") for question in asked]
        sources = {question.id: sources[question.id.partition("-")[0]] for question in questions}
        marks = verdicts.grade(sources, questions, prelude=assignment.prelude)
        assert [mark.id for mark in marks if mark.status != "passed"] == []
        assert sum(mark.points for mark in marks) == 14 * FILES
