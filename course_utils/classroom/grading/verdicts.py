"""Verdicts on the answers of one submission: they run in the sandbox, the verdict is reached out here.

A question is one of the course's checks, run with hidden inputs that come from a secret, the student and the
file. What a student may read of a verdict comes from us alone: the sentence of a known mistake, our examples,
the kind of a built-in error, and the number of a line. Whatever else an answer returns or raises might carry
the hidden inputs out, and is for the teacher.
"""

import builtins
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from course_utils.classroom.grading import sandbox, wire
from course_utils.classroom.grading.caps import Limits
from course_utils.learner.checks.engine import FORGETFUL, Check
from course_utils.learner.checks.observing import Outcome, observe
from course_utils.learner.checks.values import difference, plain, show, what
from course_utils.learner.checks.verdict import Verdict

SCRIPT = Path(__file__).with_name("answering.py")
PARTS = (
    "course_utils.classroom.grading.wire",
    "course_utils.learner.checks.observing",
    "course_utils.learner.checks.values",
)
PACKAGES = ("numpy", "tqdm")  # a progress bar is no reason to lose points
EXAMPLES = 4  # as many as a student has seen
GLANCE = 200  # characters of a call
ALONE = "The other questions are not touched by that."
ALIKE = "So did all your answers: perhaps one of the cells changes what they all run on."


@dataclass(frozen=True)
class GradedFunction:
    """A function that is asked for, and what it is worth. The seeds say on which inputs it is called."""

    id: str
    check: Check
    points: float
    shown_seed: int  # of the examples that the student has
    hidden_seed: int
    accepted: tuple[tuple[Check, str], ...] = ()  # an answer that does as one of these is right too, and why

    @property
    def examples(self) -> Check:
        return replace(self.check, number_of_cases=EXAMPLES)

    def cases(self) -> list[tuple]:
        hidden = self.check.cases(self.hidden_seed)
        return [*self.examples.cases(self.shown_seed), *hidden, hidden[-1]]


@dataclass(frozen=True)
class Mark:
    """What a question got. `sentence` is for the student; the teacher also gets `detail`, the sentence of a
    `known` mistake, and an `example`: a call that stands in the student's notebook, and what came of it."""

    id: str
    title: str
    points: float
    out_of: float
    status: str  # of a verdict, or "stopped" or "missing"
    sentence: str
    detail: str = ""
    known: str = ""
    example: dict | None = None  # its number, and "call", "returned", "expected" as texts

    @property
    def ran(self) -> bool:
        return self.status not in ("stopped", "missing")


def grade(
    sources: dict[str, str],
    questions: list[GradedFunction],
    *,
    prelude: str = "",
    packages: tuple[str, ...] = PACKAGES,
    parts: tuple[str, ...] = (),
    limits: Limits | None = None,
    unsafe: bool = False,
    user: int | None = None,
    only: str | None = None,
) -> list[Mark]:
    """Give each question its mark; with `only`, that question alone, though all answers are defined. Raises
    SandboxError if the sandbox could not start: that is our fault."""
    ids = {question.id for question in questions}
    questions = [question for question in questions if only in (None, question.id)]
    todo = [question for question in questions if question.id in sources]
    code = [(id, source) for id, source in sources.items() if id in ids]  # in the order of the notebook
    run = _Run(code, todo)

    def once() -> str:
        return sandbox.run(
            SCRIPT,
            run.job(prelude),
            run.accept,
            packages=packages,
            parts=(*PARTS, *parts),
            limits=limits or Limits(),
            unsafe=unsafe,
            user=user,
        )

    run.finish(once)
    return [_mark(question, run, question.id in sources) for question in questions]


class _Run:
    """What is still to be run, and what came out: as often as something stops, the rest runs afresh."""

    def __init__(self, cells: list[tuple[str, str]], questions: list[GradedFunction]):
        self._cells, self._questions = cells, questions
        self._cases = {question.id: question.cases() for question in questions}
        self._expected: list[tuple[str, int | None]] = []  # id, and number of a case or None for a cell
        self.cell_outcomes: dict[str, Outcome] = {}
        self.outcomes: dict[str, list[Outcome]] = {question.id: [] for question in questions}
        self.stopped: dict[str, str] = {}  # why, by id
        self._left_out: set[str] = set()  # the cells that stop already when they are run

    def job(self, prelude: str) -> dict:
        """The job of the next run; what it must send is expected in this order."""
        cells = [cell for cell in self._cells if cell[0] not in self._left_out]
        questions = self._open()
        self._expected = [(id, None) for id, _ in cells]
        for question in questions:
            self.outcomes[question.id] = []
            self._expected += [(question.id, number) for number in range(len(self._cases[question.id]))]
        calls = [
            [q.id, q.check.reference.__name__, [wire.encode(plain(case)) for case in self._cases[q.id]]]
            for q in questions
        ]
        return {"prelude": prelude, "cells": cells, "questions": calls}

    def _open(self) -> list[GradedFunction]:
        return [
            question
            for question in self._questions
            if question.id not in self.stopped
            and len(self.outcomes[question.id]) < len(self._cases[question.id])
        ]

    @property
    def alike(self) -> bool:
        """Whether all answers, of several, were stopped by the same."""
        return len(self.outcomes) == len(self.stopped) > 1 == len({*self.stopped.values()})

    def accept(self, message: dict) -> bool:
        """Take the message that is expected next; the clock starts again with a cell or a question."""
        if not self._expected:
            return False
        id, number = self._expected[0]
        if message.get("id") != id or message.get("case") != number:
            return False
        self._expected.pop(0)
        if number is None:
            self.cell_outcomes[id] = wire.decode_outcome(message.get("cell"), 0)
            return True
        cases = self._cases[id]
        self.outcomes[id].append(wire.decode_outcome(message.get("outcome"), len(cases[number])))
        return number == len(cases) - 1

    def finish(self, once: Callable[[], str]) -> None:
        while before := self._open():
            reason = once() or "ended before it had answered"
            if not self._expected:
                return
            id, number = self._expected[0]
            if number is None:
                self._left_out.add(id)  # a cell that stopped later defines what others use, and runs again
            if number is None or id == before[0].id:
                self.stopped[id] = reason
            # else it may have died of what an earlier question left behind: it gets a process of its own


def _mark(question: GradedFunction, run: _Run, there: bool) -> Mark:
    mark = _judged(question, run, there)
    for check, why in question.accepted if mark.ran and mark.status != "passed" else ():
        other = _judged(replace(question, check=check), run, there)
        if other.status == "passed":
            return replace(other, sentence=f"Right. {why}")
    return mark


def _judged(question: GradedFunction, run: _Run, there: bool) -> Mark:
    check = question.check
    if not there:
        return _failed(question, "missing", "The answer's cell is missing.")
    if reason := run.stopped.get(question.id):
        others = ALIKE if run.alike else ALONE
        return _failed(question, "stopped", f"Your answer {reason}. {others}")
    outcomes = run.outcomes[question.id]
    shown, hidden, again = outcomes[:EXAMPLES], outcomes[EXAMPLES:-1], outcomes[-1]
    verdict = check.judge(hidden, question.hidden_seed)
    example = question.examples.judge(shown, question.shown_seed)
    if verdict.passed and not example.passed:
        verdict = example
    if verdict.passed and not check.agree(hidden[-1], again):
        verdict = Verdict(check.id, check.title, "mistake", FORGETFUL)
    points = question.points if verdict.passed else 0
    cell = run.cell_outcomes[question.id]
    sentence = _sentence(verdict, example, cell)
    if verdict.status == example.status == "wrong":
        sentence += _looks_alike(question, shown, dict(example.facts)["Smallest input"])
    detail = "\n".join(filter(None, [repr(verdict), cell.error]))[:4000]
    return Mark(
        question.id,
        check.title,
        points,
        question.points,
        verdict.status,
        sentence,
        detail,
        known=verdict.sentence if verdict.status == "mistake" else "",
        example=_example(question, shown),
    )


def _example(question: GradedFunction, outcomes: list[Outcome]) -> dict:
    """Of the examples that a student has, one to talk about: a wrong one if there is any, and the longest
    that is read at a glance."""
    check, found = question.check, []
    cases = question.examples.cases(question.shown_seed)
    for number, (case, outcome) in enumerate(zip(cases, outcomes, strict=True)):
        expected = observe(check.reference, case)
        call, right = check.call(case), check.agree(expected, outcome)
        texts = [outcome.error or show(outcome.value), show(expected.value)]
        example = dict(zip(("returned", "expected"), texts, strict=True))
        example |= {"number": number, "call": call, "right": right}
        found.append(((right, len(call) > GLANCE, abs(len(call) - GLANCE)), number, example))
    return min(found)[2]


def _failed(question: GradedFunction, status: str, sentence: str) -> Mark:
    return Mark(question.id, question.check.title, 0, question.points, status, sentence)


def _sentence(verdict: Verdict, example: Verdict, cell: Outcome) -> str:
    """What the student may read."""
    if verdict.passed:
        return "Right."
    if cell.error and verdict.status == "not yet":
        return f"The answer's cell stopped with {_error(cell.error, cell.line)}."
    if verdict.status == "not yet":
        return "Nothing is written here yet."
    facts = dict(example.facts)
    if example.status == "not yet":
        sentence = f"{verdict.sentence} Your function gives nothing for the examples that you have.".strip()
    elif example.passed:
        sentence = verdict.sentence or "The examples that you have come out right, other inputs don't."
    elif "Expected" in facts:
        sentence = (
            f"{verdict.sentence} For {facts['Smallest input']}, {facts['Expected']} is expected.".strip()
        )
    else:  # the example's value is right, and its argument changed
        said = filter(None, dict.fromkeys([verdict.sentence, example.sentence]))
        sentence = f"{' '.join(said)} It does so for {facts['Smallest input']}."
    facts = dict(verdict.facts)
    if "Yours raised" in facts:
        sentence += f" It stopped with {_error(facts['Yours raised'], facts.get('Where', ''))}."
    return sentence


def _looks_alike(question: GradedFunction, outcomes: list[Outcome], call: str) -> str:
    """What the value of a call, which may look like the expected one, lacks, in words of our own."""
    for case, outcome in zip(question.examples.cases(question.shown_seed), outcomes, strict=True):
        expected, got = observe(question.check.reference, case).value, outcome.value
        found = None if outcome.error else difference(expected, got, question.check.tolerance)
        if found is None or question.examples.call(case) != call:
            continue
        if found == f"{what(got)} where {what(expected)} is expected":
            return f" That is {what(expected)}, and yours is another kind of value."
        if found.startswith("an array of dtype"):
            return f" That is an array of dtype {expected.dtype}, and yours has another dtype."
        if show(got) == show(expected):
            return " Yours looks the same, and differs in later digits, which count too."
    return ""


def _error(error: str, line: str) -> str:
    """A built-in error's name and the number of a line; never a text, which may be anything."""
    name = error.partition(":")[0]
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        name = "an error of its own kind"
    number = re.match(r"line (\d{1,4})\b", line)
    return f"{name} in line {number[1]}" if number else name


def summary(marks: list[Mark]) -> dict:
    """Marks as the store keeps them: score, what it is out of, and each mark."""
    return {
        "score": math.fsum(mark.points for mark in marks),
        "out_of": math.fsum(mark.out_of for mark in marks),
        "marks": [asdict(mark) for mark in marks],
    }
