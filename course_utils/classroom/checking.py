"""What a student hears before the deadline: can the file be graded, do its examples come out right?"""

import re
from dataclasses import replace
from pathlib import Path

from course_utils.classroom.assignments import NAMES, Assignment, find_assignment
from course_utils.classroom.grading import cells, sandbox, verdicts, wire
from course_utils.classroom.grading.caps import Limits

NOBODYS = (
    "this is the course's own copy, with constants that are nobody's: copy your answers into the notebook "
    "that your teacher has given you, and leave its constants as they are."
)


def assignment_of(notebook: dict) -> Assignment:
    """Which assignment a notebook is: the one that its metadata names, or else the one of which it has the
    most answers. Never raises."""
    try:
        name = notebook["metadata"]["course"]["assignment"]
    except (KeyError, TypeError):
        name = None
    if name in NAMES:
        return find_assignment(name)
    return max(map(find_assignment, NAMES), key=lambda each: _answered(notebook, each))


def _answered(notebook: dict, assignment: Assignment) -> int:
    """How many answers of an assignment are in a notebook."""
    try:
        return len(cells.answers(notebook, [], assignment.asked(), assignment.prelude).sources)
    except cells.Ungradable:
        return 0


def without_points(assignment: Assignment, answers: cells.Answers) -> list[str]:
    """The functions that give points, if none of them is there."""
    worth = [id for id in assignment.asks if assignment.points()[id]]
    return [] if any(id in answers.sources for id in worth) else worth


def unwritten(assignment: Assignment, answers: cells.Answers) -> list[str]:
    """The answers for a person in which nothing is written."""
    return [id for id in assignment.written() if assignment.is_blank(id, answers.sources.get(id, ""))]


def look(file: Path) -> tuple[Assignment, cells.Answers, dict[str, str]]:
    """Read a file without running it: what it answers, the answers, and the tests that stand in it by
    grade_id. Raises Ungradable, as the grader would."""
    notebook, notices = cells.parse(cells.load(file))
    assignment = assignment_of(notebook)
    answers = cells.answers(notebook, notices, assignment.asked(), assignment.prelude)
    tagged = {id: cell["source"] for id, cell in cells.tagged(notebook).items()}
    if tagged.get("seed") == assignment.tagged()["seed"][1]:
        answers = replace(answers, notices=(NOBODYS, *answers.notices))
    return assignment, answers, tagged


def run_examples(
    assignment: Assignment, answers: cells.Answers, tests: dict[str, str], unsafe: bool = False
) -> dict[str, str]:
    """Run the answers and the examples of a file in the sandbox; what came out, in words, by grade_id.

    Raises SandboxError if the sandbox could not start.
    """
    ids = [id for id in assignment.asks if id in answers.sources]
    code = [(id, answers.sources[id]) for id in answers.sources if id in ids]
    code += [(f"{id}-tests", tests.get(f"{id}-tests", "")) for id in ids]
    outcomes: dict[str, str] = {}

    def accept(message: dict) -> bool:
        if len(outcomes) == len(code) or message.get("id") != code[len(outcomes)][0]:
            return False
        outcome = wire.decode_outcome(message.get("cell"), 0)
        outcomes[message["id"]] = " ".join(filter(None, [outcome.error, outcome.line]))
        return True

    stopped = sandbox.run(
        verdicts.SCRIPT,
        {"prelude": assignment.prelude, "cells": code, "questions": []},
        accept,
        packages=verdicts.PACKAGES,
        parts=verdicts.PARTS,
        limits=Limits(),
        unsafe=unsafe,
    )
    found = {}
    for id in ids:
        if id not in outcomes or f"{id}-tests" not in outcomes:
            found[id] = f"not run: a cell before it, or this one, {stopped or 'ended the program'}"
        elif assignment.is_blank(f"{id}-tests", tests.get(f"{id}-tests", "")):
            found[id] = "its examples are missing in this file"
        else:
            failed = outcomes[f"{id}-tests"]
            found[id] = _in_words(failed and (outcomes[id] or failed))
    return found


def _in_words(error: str) -> str:
    """What came of an answer's cell, or of the examples below it."""
    if error.startswith("NotImplementedError"):
        return "nothing is written here yet"
    failed = re.match(r"AssertionError: (.*) line \d+: assert", error)  # the message says all
    return failed[1] if failed else error or "your examples come out right"
