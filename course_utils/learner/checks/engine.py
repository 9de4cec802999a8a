"""The check engine. The idea: a check is data.

A `Check` holds seeded inputs, a reference, and known wrong answers, each with the sentence that it earns.
`Check.run` calls an answer on the inputs and recognises a mistake by its outputs: they equal those of a known
wrong answer on all inputs. The same data serve a chapter, a grader (which observes elsewhere and calls
`Check.judge`), and the mutation tests.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np

from course_utils.learner.checks.observing import Outcome, observe
from course_utils.learner.checks.slips import Mistake, Slip, read, source_of
from course_utils.learner.checks.values import difference, plain, show, size, what
from course_utils.learner.checks.verdict import Verdict

FORGETFUL = (
    "Your function answers the same input differently the second time: something is kept between two calls, "
    "such as a global variable, or a list or dict as a default value."
)

SECONDS = 5  # of computing, after which a call is taken for one that never ends
ENDLESS = (
    f"Your function had not come to an end after {SECONDS} seconds of computing on this input: is there a "
    "loop that doesn't move on, or does it do far too much?"
)


@dataclass(eq=False)
class Check:
    """An exercise and what its answer must do. `exercise` makes one of its reference, which it stands for.

    `inputs(generator, case)` gives the tuple of arguments of one case, from a seeded NumPy generator; small
    cases come first. `reference` has the name, the parameters and the docstring that the learner's function
    shall have, and its source is the solution. `dots`, 1 to 3, say how hard it is. `variant_of` names the
    exercise that this one asks again, of those who saw its solution. Hint and worked example stand in the
    Markdown file beside the reference's module.
    """

    id: str
    title: str
    reference: Callable
    dots: int
    minutes: int
    inputs: Callable[[np.random.Generator, int], tuple]
    points: int = 1
    tolerance: float = 1e-9
    number_of_cases: int = 30
    variant_of: str | None = None
    mistakes: list[Mistake | Slip] = field(default_factory=list)

    def __call__(self, *arguments):
        return self.reference(*arguments)

    @property
    def __wrapped__(self) -> Callable:
        """Where `inspect` finds the source: a solution imports the checks that it builds on."""
        return self.reference

    def slips(self, text: str) -> None:
        """Add known wrong answers, written as module `slips` says. Raises ValueError for what is no slip."""
        try:
            self.mistakes += read(text, self.reference)
        except ValueError as error:
            raise ValueError(f"Exercise {self.id}: {error}") from None

    def variant(self, title: str, **options) -> Callable[[Callable], "Check"]:
        """Make the function below the variant of this exercise; it differs in what `options` say."""
        same = ("dots", "minutes", "inputs", "points", "tolerance", "number_of_cases")
        options = {name: getattr(self, name) for name in same} | options
        return partial(Check, f"{self.id} again", title, variant_of=self.id, **options)

    @property
    def heading(self) -> str:
        """The heading of the exercise: "Exercise 1.1 · ●○○ · 5 min"."""
        return f"Exercise {self.id} · {'●' * self.dots:○<3} · {self.minutes} min"

    @property
    def imports(self) -> str:
        """Those imports of the reference's module that the reference needs, a line each."""
        used = {node.id for node in ast.walk(ast.parse(self._source)) if isinstance(node, ast.Name)}
        lines = []
        for node in ast.parse(inspect.getsource(sys.modules[self.reference.__module__])).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [alias for alias in node.names if (alias.asname or alias.name) in used]
                lines += [ast.unparse(node)] if node.names else []
        return "\n".join(lines)

    @property
    def solution(self) -> str:
        """The source of the solution, as a cell would hold it."""
        return f"{self.imports}\n\n\n{self._source}" if self.imports else self._source

    @property
    def _source(self) -> str:
        return source_of(self.reference)

    @property
    def hint(self) -> str:
        return _help(inspect.getfile(self.reference))[self.id][0]

    @property
    def worked_example(self) -> str:
        return _help(inspect.getfile(self.reference))[self.id][1]

    def cases(self, seed: int = 0) -> list[tuple]:
        """Return the arguments of every case; equal seeds give equal cases."""
        return [self.inputs(np.random.default_rng([seed, i]), i) for i in range(self.number_of_cases)]

    def run(self, answer: Callable) -> Verdict:
        """Call `answer` on every case and judge it. Never raises, but for a KeyboardInterrupt."""
        name = self.reference.__name__
        if not callable(answer):
            got = what(plain(answer))
            sentence = (
                f"Give the function itself, without a call: check({self.id!r}, {name}). This was {got}."
            )
            return Verdict(self.id, self.title, "not yet", sentence)
        cases = self.cases()
        outcomes = []
        for case in [*cases, cases[-1]]:
            outcomes.append(observe(answer, case, SECONDS))
            if outcomes[-1].endless:
                facts = (("Input", self.call(case)), ("Where it was", outcomes[-1].line))
                return Verdict(self.id, self.title, "mistake", ENDLESS, facts)
        *outcomes, again = outcomes
        if not self.agree(outcomes[-1], again):
            facts = (
                ("Input", self.call(cases[-1])),
                ("First time", outcomes[-1].error or show(outcomes[-1].value)),
                ("Second time", again.error or show(again.value)),
            )
            return Verdict(self.id, self.title, "mistake", FORGETFUL, facts)
        return self._judge(cases, outcomes)

    def judge(self, outcomes: Sequence[Outcome], seed: int = 0) -> Verdict:
        """Reach the verdict from what an answer did on `cases(seed)`."""
        return self._judge(self.cases(seed), outcomes)

    def _judge(self, cases: list[tuple], outcomes: Sequence[Outcome]) -> Verdict:
        if all(outcome.blank for outcome in outcomes):
            sentence = "Write your answer in the cell above, run it, then run this cell again."
            # an answer that was not begun raises NotImplementedError
            if all(outcome.value is None and not outcome.error for outcome in outcomes):
                sentence = (
                    "Your function returns None, whatever it gets: end it with `return`; run both again."
                )
            return Verdict(self.id, self.title, "not yet", sentence)
        references = [observe(self.reference, case) for case in cases]
        differing = [
            i for i, pair in enumerate(zip(references, outcomes, strict=True)) if not self.agree(*pair)
        ]
        changing = [i for i, outcome in enumerate(outcomes) if outcome.changed is not None]
        if not differing and not changing:
            return Verdict(self.id, self.title, "passed", f"Right on all {len(cases)} inputs.")

        i = min(differing or changing, key=lambda i: (size(plain(cases[i])), i))
        facts = [("Smallest input", self.call(cases[i]))]
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
            if self._repeats(mistake.answer, cases, outcomes):
                return Verdict(self.id, self.title, "mistake", mistake.sentence, tuple(facts))
        if outcomes[i].error:
            return Verdict(self.id, self.title, "error", "", tuple(facts))
        facts.append(("Difference", difference(references[i].value, outcomes[i].value, self.tolerance)))
        sentence = self._changed(outcomes[changing[0]]) if changing else ""
        return Verdict(self.id, self.title, "wrong", sentence, tuple(facts))

    def _repeats(self, mistake: Callable, cases: list[tuple], outcomes: Sequence[Outcome]) -> bool:
        """Whether an answer did what a known mistake does. One that raises on every input is told by all the
        words of its errors: many other mistakes raise errors of its kind."""
        errors = []
        for case, outcome in zip(cases, outcomes, strict=True):
            known = observe(mistake, case)
            if not self.agree(known, outcome):
                return False
            errors.append(known.error)
        return not all(errors) or errors == [outcome.error for outcome in outcomes]

    def agree(self, one: Outcome, other: Outcome) -> bool:
        """Say whether two outcomes are the same error, or values that are equal within the tolerance."""
        if one.error or other.error:
            return one.error.partition(":")[0] == other.error.partition(":")[0]
        return difference(one.value, other.value, self.tolerance) is None

    def call(self, case: tuple) -> str:
        """A case as the call that it is, cut to what can be shown."""
        return f"{self.reference.__name__}({', '.join(show(plain(argument)) for argument in case)})"

    def _changed(self, outcome: Outcome) -> str:
        name = list(inspect.signature(self.reference).parameters)[outcome.changed]
        return f"Your function changes its argument `{name}`, which belongs to the caller: work on a copy."


def exercise(id: str, title: str, **options) -> Callable[[Callable], Check]:
    """Make the function below the reference of an exercise; `options` are fields of `Check`."""
    return partial(Check, id, title, **options)


@cache
def _help(module: str) -> dict[str, tuple[str, str]]:
    """The hints and worked examples beside a module, by the id of their exercise."""
    _, *sections = re.split(r"^## (.+)\n", Path(module).with_suffix(".md").read_text("utf-8"), flags=re.M)
    pairs = zip(sections[::2], sections[1::2], strict=True)
    return {id: tuple(part.strip() for part in text.split("### Worked example\n")) for id, text in pairs}
