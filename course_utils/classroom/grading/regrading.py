"""Grade again what an erratum touches, show what would change, and write it: all in one transaction."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from course_utils.classroom.assignments import Assignment, Private
from course_utils.classroom.grading import batch, cells, errata
from course_utils.classroom.grading.database import now, transaction
from course_utils.classroom.grading.errata import Erratum
from course_utils.classroom.grading.gradebook import given, last_marks
from course_utils.classroom.grading.store import Store, Submission
from course_utils.classroom.grading.verdicts import Mark
from course_utils.classroom.overlay import Overlay
from course_utils.learner.checks.observing import observe


@dataclass(frozen=True)
class Change:
    """A mark that an erratum changes, in a result; `by_hand`: the points of a person, which stay."""

    student: str
    result: int
    before: dict
    after: dict
    by_hand: float | None

    @property
    def moves(self) -> bool:
        """Whether the machine's points change, and not only the sentence."""
        return self.before["points"] != self.after["points"]

    def __str__(self) -> str:
        stay = "" if self.by_hand is None else f" (The {self.by_hand:g} points that a person gave stay.)"
        points = f"{self.before['points']:g} → {self.after['points']:g}"
        return f"{self.student}: {points}. {self.after['sentence']}{stay}"


@dataclass(frozen=True)
class Plan:
    """What an erratum would do to a store that is as `seen` says."""

    erratum: Erratum
    graded: int
    changes: list[Change]
    seen: tuple


def check(assignment: Assignment, overlay: Overlay, erratum: Erratum) -> None:
    """Raises ValueError if an erratum can't be: for a question without a check, no reason, or a function
    that does not run on the question's inputs."""
    ask = assignment.asks.get(erratum.question)
    if ask is None:
        raise ValueError(
            f"{erratum.question!r} has no check that could be wrong; {', '.join(assignment.asks)} have one, "
            "and `mark` gives points for written answers"
        )
    if not erratum.why.strip():
        raise ValueError("an erratum says why: the students read it")
    if erratum.kind == "accept":
        [question] = (q for q in overlay.questions(assignment, "") if q.id == erratum.question)
        name = question.check.reference.__name__
        try:
            function = errata.load(erratum.source, name)
        except Exception as error:
            raise ValueError(f"what is to be accepted does not load as {name}: {error!r}") from error
        own = (ask.choices[0],) if isinstance(ask, Private) else ()
        outcomes = [observe(function, (*case, *own)) for case in question.check.cases()]
        if all(outcome.error for outcome in outcomes):
            raise ValueError(f"the {name} to be accepted stops on every input: {outcomes[0].error}")


def plan(
    assignment: Assignment,
    overlay: Overlay,
    store: Store,
    erratum: Erratum,
    *,
    workers: int = 1,
    unsafe: bool = False,
    say: Callable[[str], None] = print,
) -> Plan:
    """Grade that question again for those whom it touches; write nothing.

    Raises ValueError if something of ours stops: an erratum is for all whom it touches, or for nobody.
    """
    check(assignment, overlay, erratum)
    seen, hand = _state(assignment, store), last_marks(assignment, store)
    touched = {
        standing.submission: (standing, mark)
        for standing in store.standings(assignment.name).values()
        for mark in standing.details.get("marks", [])
        if mark["id"] == erratum.question and _touches(erratum, mark)
    }
    if erratum.kind == "full marks":
        found = {each: asdict(errata.granted(Mark(**mark), [erratum])) for each, (_, mark) in touched.items()}
    else:
        found, settings = {}, (str(overlay.folder), assignment.name, unsafe)
        results = batch.results_of(list(touched), partial(_again, erratum), workers, settings)
        for submission, (status, reason, details) in results:
            if status != "graded":
                raise ValueError(f"{submission.student} could not be graded again: {reason}")
            found[submission] = details
            say(f"{len(found)} of {len(touched)} graded again.")
    changes = []
    for submission, (standing, before) in touched.items():
        after = json.loads(json.dumps(found[submission]))
        if (after["points"], after["sentence"]) != (before["points"], before["sentence"]):
            by_hand = given(hand, standing, erratum.question)
            points = by_hand.points if by_hand else None
            changes.append(Change(submission.student, standing.result, before, after, points))
    return Plan(erratum, len(touched), changes, seen)


def _touches(erratum: Erratum, mark: dict) -> bool:
    """A corrected reference may change any answer that ran; to accept more helps one that is wrong."""
    ran = mark["status"] not in ("stopped", "missing")
    return {
        "reference": ran,
        "accept": ran and mark["status"] != "passed",
        "full marks": mark["points"] < mark["out_of"],
    }[erratum.kind]


def _again(erratum: Erratum, submission: Submission) -> batch.Result:
    """Grade the question of an erratum again; in a worker."""
    assignment, overlay, store = (batch.context[name] for name in ("assignment", "overlay", "store"))
    try:
        answers = cells.read(store.content(submission), assignment.asked(), assignment.prelude)
        known = [*errata.of(assignment, store), erratum]
        options = {"only": erratum.question, "unsafe": batch.context["unsafe"]}
        [mark] = errata.marks(assignment, overlay, submission, answers.sources, known, **options)
    except Exception as error:
        return "infra_error", f"{type(error).__name__}: {error}", {}
    return "graded", "", asdict(mark)


def _state(assignment: Assignment, store: Store) -> tuple:
    """What changes whenever something is graded or corrected."""
    [results] = store.database.execute(
        "SELECT max(results.id), count(*) FROM results JOIN submissions ON submission = submissions.id "
        "WHERE assignment = ?",
        (assignment.name,),
    )
    return (*results, store.last_erratum(assignment.name))


def write(assignment: Assignment, store: Store, plan: Plan) -> int:
    """Note the erratum and all that it changes, in one transaction; return its number.

    Raises ValueError, and writes nothing, if something was graded since it was planned.
    """
    with transaction(store.database):
        if _state(assignment, store) != plan.seen:
            raise ValueError("something was graded meanwhile; nothing is written: try again")
        values = (getattr(plan.erratum, name) for name in ("question", "kind", "source", "why", "who"))
        number = store.database.execute(
            "INSERT INTO errata (assignment, question, kind, source, why, who, noted) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (assignment.name, *values, now()),
        ).lastrowid
        store.database.executemany(
            "INSERT INTO corrections (erratum, result, before, after) VALUES (?, ?, ?, ?)",
            [(number, c.result, json.dumps(c.before), json.dumps(c.after)) for c in plan.changes],
        )
    return number
