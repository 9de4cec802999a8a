"""The check engine. The idea: a check is data.

A `Check` holds seeded inputs, a reference, and known wrong answers, each a function with the sentence that
it earns. `Check.run` calls an answer on the inputs and recognises a mistake by its outputs: they equal those
of a known wrong answer on all inputs. The same data serve a chapter, a grader (which observes elsewhere and
calls `Check.judge`), and the mutation tests.
"""

import builtins
import contextlib
import copy
import inspect
import linecache
import os
import re
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from course_utils.learner.checks.values import difference, plain, show, size, what
from course_utils.learner.checks.verdict import Verdict

FORGETFUL = (
    "Your function answers the same input differently the second time: something is kept between two calls, "
    "such as a global variable, or a list or dict as a default value."
)


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer and the sentence that it earns."""

    sentence: str
    answer: Callable


@dataclass(frozen=True)
class Outcome:
    """What one call of an answer did: the value that it returned, or how it failed."""

    value: object = None  # plain data
    error: str = ""  # "ValueError: math domain error"
    line: str = ""  # "line 3: counts[gram] += 1"
    changed: int | None = None  # position of an argument that the call changed

    @property
    def blank(self) -> bool:
        nothing = not self.error and (self.value is None or self.value is ...)
        return nothing or self.error.startswith("NotImplementedError")


@dataclass(frozen=True)
class Check:
    """An exercise and what its answer must do.

    `inputs(generator, case)` gives the tuple of arguments of one case, from a seeded NumPy generator; small
    cases come first. `reference` has the name, the parameters and the docstring that the learner's function
    shall have, and its source is the solution. `without` names the modules that a graded answer may not use.
    `difficulty` counts the dots, 1 to 3; `imports` is what the solution's source needs before it.
    `variant_of` names the exercise that this one asks again, of those who saw its solution.
    """

    id: str
    title: str
    difficulty: int
    minutes: int
    reference: Callable
    inputs: Callable[[np.random.Generator, int], tuple]
    mistakes: tuple[Mistake, ...]
    hint: str
    neighbour: str
    points: int = 1
    imports: str = ""
    without: tuple[str, ...] = ()
    tolerance: float = 1e-9
    number_of_cases: int = 30
    variant_of: str | None = None

    @property
    def heading(self) -> str:
        """The heading of the exercise: "Exercise 1.1 · ●○○ · 5 min"."""
        return f"Exercise {self.id} · {'●' * self.difficulty:○<3} · {self.minutes} min"

    @property
    def solution(self) -> str:
        """The source of the solution, as a cell would hold it."""
        source = textwrap.dedent(inspect.getsource(self.reference))
        return f"{self.imports}\n\n\n{source}" if self.imports else source

    def cases(self, seed: int = 0) -> list[tuple]:
        """Return the arguments of every case; equal seeds give equal cases."""
        return [self.inputs(np.random.default_rng([seed, i]), i) for i in range(self.number_of_cases)]

    def run(self, answer: Callable) -> Verdict:
        """Call `answer` on every case and judge it. Never raises, but for a KeyboardInterrupt."""
        name = self.reference.__name__
        if not callable(answer):
            came = what(plain(answer))
            sentence = (
                f"Give the function itself, without a call: check({self.id!r}, {name}). This was {came}."
            )
            return Verdict(self.id, self.title, "not yet", sentence)
        cases = self.cases()
        outcomes = [observe(answer, case) for case in cases]
        again = observe(answer, cases[-1])
        if not self._agree(outcomes[-1], again):
            facts = (
                ("Input", self._call(cases[-1])),
                ("First time", outcomes[-1].error or show(outcomes[-1].value)),
                ("Second time", again.error or show(again.value)),
            )
            return Verdict(self.id, self.title, "mistake", FORGETFUL, facts)
        return self.judge(outcomes)

    def judge(self, outcomes: Sequence[Outcome], seed: int = 0) -> Verdict:
        """Reach the verdict from what an answer did on `cases(seed)`."""
        if all(outcome.blank for outcome in outcomes):
            sentence = "Write your answer in the cell above, run it, then run this cell again."
            return Verdict(self.id, self.title, "not yet", sentence)
        cases = self.cases(seed)
        references = [observe(self.reference, case) for case in cases]
        differing = [
            i for i, pair in enumerate(zip(references, outcomes, strict=True)) if not self._agree(*pair)
        ]
        changing = [i for i, outcome in enumerate(outcomes) if outcome.changed is not None]
        if not differing and not changing:
            return Verdict(self.id, self.title, "passed", f"Right on all {len(cases)} inputs.")

        i = min(differing or changing, key=lambda i: (size(plain(cases[i])), i))
        facts = [("Smallest input", self._call(cases[i]))]
        if not differing:
            return Verdict(self.id, self.title, "mistake", self._changed(outcomes[i]), tuple(facts))
        if outcomes[i].error:
            facts.append(("Yours raised", outcomes[i].error))
            if outcomes[i].line:
                facts.append(("Where", outcomes[i].line))
        else:
            facts.append(("Yours", show(outcomes[i].value)))
        facts.append(("Expected", show(references[i].value)))

        for mistake in self.mistakes:
            if all(map(self._agree, (observe(mistake.answer, case) for case in cases), outcomes)):
                return Verdict(self.id, self.title, "mistake", mistake.sentence, tuple(facts))
        if outcomes[i].error:
            return Verdict(self.id, self.title, "error", "", tuple(facts))
        facts.append(("Difference", difference(references[i].value, outcomes[i].value, self.tolerance)))
        sentence = self._changed(outcomes[changing[0]]) if changing else ""
        return Verdict(self.id, self.title, "wrong", sentence, tuple(facts))

    def _agree(self, one: Outcome, other: Outcome) -> bool:
        if one.error or other.error:
            return one.error.partition(":")[0] == other.error.partition(":")[0]
        return difference(one.value, other.value, self.tolerance) is None

    def _call(self, case: tuple) -> str:
        return f"{self.reference.__name__}({', '.join(show(plain(argument)) for argument in case)})"

    def _changed(self, outcome: Outcome) -> str:
        name = list(inspect.signature(self.reference).parameters)[outcome.changed]
        return f"Your function changes its argument `{name}`, which belongs to the caller: work on a copy."


def observe(answer: Callable, arguments: tuple) -> Outcome:
    """Call `answer` on copies of `arguments` and note what it did; what it prints goes nowhere."""
    copies = copy.deepcopy(arguments)
    with _quiet():
        try:
            value = plain(answer(*copies))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a check never ends the learner's kernel
            return Outcome(error=_message(error), line=_line(error))
    pairs = enumerate(zip(map(plain, arguments), map(plain, copies), strict=True))
    return Outcome(value, changed=next((i for i, pair in pairs if difference(*pair, tolerance=0.0)), None))


@contextlib.contextmanager
def _quiet():
    """Silence prints and warnings, and let `input()` and `breakpoint()` fail at once instead of waiting."""

    def refuse(*_, **__):
        raise RuntimeError("input() and breakpoint() can't be used in a check, where nobody answers them")

    waiting = builtins.input, sys.breakpointhook
    builtins.input = sys.breakpointhook = refuse
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        builtins.input, sys.breakpointhook = waiting


def _message(error: BaseException) -> str:
    """Write type and message in one line, without addresses, which differ from run to run."""
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return text if len(text) <= 400 else f"{text[:400]} …"


def _line(error: BaseException) -> str:
    """Find the last line of the answer's own file that the error passed through."""
    frames = list(traceback.walk_tb(error.__traceback__))[1:]  # the first frame is `observe`
    if not frames:  # raised by the call itself, such as for a wrong number of parameters
        return ""
    file = frames[0][0].f_code.co_filename
    number = [number for frame, number in frames if frame.f_code.co_filename == file][-1]
    source = linecache.getline(file, number).strip()
    return f"line {number}: {source}" if source else f"line {number}"
