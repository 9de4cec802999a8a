"""Errata: what was wrong with a check, and what grading does about it from then on.

`reference`: the reference in the overlay was corrected; grading uses it anyway. `accept`: an answer that does
as another function is right too. `full marks`: all whose file could be read get the question's points.
"""

import json
import types
from collections.abc import Callable
from dataclasses import dataclass, replace

from course_utils.classroom.assignments import Assignment, Private
from course_utils.classroom.grading import verdicts
from course_utils.classroom.grading.store import Store, Submission
from course_utils.classroom.grading.verdicts import GradedFunction, Mark
from course_utils.classroom.overlay import Overlay
from course_utils.learner.checks.engine import Check


@dataclass(frozen=True)
class Erratum:
    """`source` is that of the function that is accepted too."""

    question: str
    kind: str
    source: str
    why: str
    who: str
    id: int = 0
    noted: str = ""


@dataclass(frozen=True)
class Correction:
    """What an erratum has changed in a result: the points before and after."""

    erratum: Erratum
    before: float
    after: float


def of(assignment: Assignment, store: Store) -> list[Erratum]:
    """The errata of an assignment, in their order."""
    rows = store.database.execute(
        f"SELECT {', '.join(Erratum.__annotations__)} FROM errata WHERE assignment = ? ORDER BY id",
        (assignment.name,),
    )
    return [Erratum(*row) for row in rows]


def corrections(assignment: Assignment, store: Store) -> dict[int, list[Correction]]:
    """What errata have changed in any result of a submission, by its number."""
    by_id, found = {erratum.id: erratum for erratum in of(assignment, store)}, {}
    rows = store.database.execute(
        "SELECT erratum, submission, before, after FROM corrections "
        "JOIN results ON result = results.id ORDER BY corrections.id"
    )
    for erratum, submission, *texts in rows:
        if erratum in by_id:
            points = (json.loads(text)["points"] for text in texts)
            found.setdefault(submission, []).append(Correction(by_id[erratum], *points))
    return found


def marks(
    assignment: Assignment,
    overlay: Overlay,
    submission: Submission,
    sources: dict[str, str],
    known: list[Erratum],
    **options,
) -> list[Mark]:
    """Grade answers as these errata say; `options` are those of `verdicts.grade`."""
    questions = [
        replace(question, accepted=_accepted(assignment, overlay, submission.student, question, known))
        for question in overlay.questions(assignment, submission.student, submission.sha256)
    ]
    found = verdicts.grade(sources, questions, prelude=assignment.prelude, **options)
    return [granted(mark, known) for mark in found]


def granted(mark: Mark, known: list[Erratum]) -> Mark:
    """A mark, or full marks where an erratum gives them to all."""
    for erratum in known:
        if (erratum.question, erratum.kind) == (mark.id, "full marks") and mark.points < mark.out_of:
            return replace(mark, points=mark.out_of, sentence=f"Full marks for all. {erratum.why}")
    return mark


def _accepted(
    assignment: Assignment, overlay: Overlay, student: str, question: GradedFunction, known: list[Erratum]
) -> tuple[tuple[Check, str], ...]:
    ask, whose = assignment.asks[question.id], overlay.given_to(assignment.name, student)
    found = []
    for erratum in known:
        if (erratum.question, erratum.kind) == (question.id, "accept"):
            function = load(erratum.source, question.check.reference.__name__)
            if isinstance(ask, Private):
                check = ask.check(function, "", overlay.own(assignment.name, whose, ask))
            else:
                check = replace(question.check, reference=function, mistakes=[])
            found.append((check, erratum.why))
    return tuple(found)


def load(source: str, name: str) -> Callable:
    """The function of a name in a teacher's source. Raises what the source raises, and LookupError."""
    module = types.ModuleType("accepted")
    exec(compile(source.removeprefix("\ufeff"), "<accepted>", "exec"), module.__dict__)
    return module.__dict__[name]
