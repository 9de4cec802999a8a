"""The references, handed in as answers, never lose a point, whatever the seeds; their known mistakes do.

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
from course_utils.learner.checks import find, slips

pytestmark = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
STUDENTS = 10 if os.environ.get("COURSE_FULL") else 1
FILES = 20 if os.environ.get("COURSE_FULL") else 6  # of each student, in one sandbox


def answers(assignment, overlay, student, number="", **changes):
    """What the references say, as the student's own functions; `changes` are put below a reference.
    With a number, functions and their ids have names that end in it."""
    text, sources = (overlay.folder / f"{assignment.name}.py").read_text(encoding="utf-8"), {}
    for id, ask in assignment.asks.items():
        if isinstance(ask, Private):
            own = overlay.own(assignment.name, student, ask)
            file, source = f"{id}_file{number}", f"{text}\n\n\n{changes.get(id, '')}"
            call = f"def {ask.name}{number}(*inputs):\n    return {file}[{ask.name!r}](*inputs, {own})"
            sources[f"{id}{number}"] = f"{file} = {{}}\nexec({source!r}, {file})\n\n\n{call}"
        else:
            sources[f"{id}{number}"] = find(ask).solution
    return sources


def questions(assignment, overlay, student, number):
    """The questions on such answers. Several files, each with a number, are graded in one sandbox."""
    made = overlay.questions(assignment, student, f"sha256 of {number}")
    for question in made:
        if isinstance(assignment.asks[question.id], Private):
            question.check.reference.__name__ += f"{number}"
    return [replace(question, id=f"{question.id}{number}") for question in made]


@pytest.fixture
def teacher(room_of):
    """The overlay of a teacher, or one of stand-ins."""

    def teacher(name):
        folder = os.environ.get("COURSE_OVERLAY")
        return Overlay(Path(folder)) if folder else room_of(name).overlay

    return teacher


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_never_loses_a_point(teacher, name):
    overlay, assignment = teacher(name), find_assignment(name)
    for student in (f"student{number}" for number in range(STUDENTS)):
        sources, asked = {}, []
        for file in range(FILES):
            sources |= answers(assignment, overlay, student, file)
            asked += questions(assignment, overlay, student, file)
        marks = verdicts.grade(sources, asked, prelude=assignment.prelude)
        assert [mark.id for mark in marks if mark.status != "passed"] == []
        assert sum(mark.points for mark in marks) == 14 * FILES


@pytest.mark.parametrize("name", NAMES)
def test_a_known_mistake_has_its_sentence_and_costs_its_own_question(teacher, name):
    overlay, assignment = teacher(name), find_assignment(name)
    points, sources, asked, expected = assignment.points(), {}, [], []
    for id, ask in assignment.asks.items():
        if isinstance(ask, Private):
            reference, text = overlay.reference(name, ask.name)
            mistakes = slips.read(text, reference)
            assert len({mistake.sentence for mistake in mistakes}) >= 3
            for mistake in mistakes:
                number = len(expected)
                sources |= answers(assignment, overlay, "ada", number, **{id: mistake.source})
                asked += questions(assignment, overlay, "ada", number)
                expected.append((f"{id}{number}", mistake.sentence, 14 - points[id]))
    marks = verdicts.grade(sources, asked, prelude=assignment.prelude)
    each = len(marks) // len(expected)
    for i, (id, sentence, left) in enumerate(expected):
        file = marks[i * each : (i + 1) * each]
        [wrong] = [mark for mark in file if mark.status != "passed"]
        assert wrong.id == id and wrong.sentence.startswith(sentence)
        assert sum(mark.points for mark in file) == left
