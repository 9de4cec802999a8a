"""What the exercises must do: `check("1.1", ngram_counts)` says at once how an answer fares.

Help comes as a ladder: a wrong answer gets its mistake and the smallest input that shows it, the second one
also a hint, the third a worked neighbour. Then `help_me("1.1")` shows the solution and marks it as seen, and
`asked_again()` in a later chapter asks a variant.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace

from course_utils.learner import progress
from course_utils.learner.checks import (
    again,
    attention,
    bits,
    bpe,
    generation,
    gpt,
    heads,
    neural,
    ngrams,
    recurrent,
    sampling,
    smoothing,
    start,
    tokenizers,
    transformer,
)
from course_utils.learner.checks.engine import Check
from course_utils.learner.checks.verdict import Help, Verdict

CHECKS: dict[str, Check] = {
    check.id: check
    for module in (
        start,
        ngrams,
        smoothing,
        neural,
        recurrent,
        tokenizers,
        bpe,
        bits,
        attention,
        heads,
        transformer,
        gpt,
        sampling,
        generation,
        again,
    )
    for check in module.CHECKS
}


def find(exercise_id: str) -> Check:
    """Return the check of an exercise. Raises ValueError, naming those that exist, for an unknown id."""
    if exercise_id not in CHECKS:
        raise ValueError(f"There is no exercise {exercise_id!r}; there are {', '.join(CHECKS)}.")
    return CHECKS[exercise_id]


def check(exercise_id: str, answer: Callable) -> Verdict:
    """Run the check of an exercise, such as "1.1", on the learner's function; the verdict shows itself.

    The try is noted in the learner's progress. Raises ValueError for an unknown id, and nothing else.
    """
    exercise = find(exercise_id)
    verdict = exercise.run(answer)
    store = progress.current()
    store.record(exercise_id, verdict.status)
    if verdict.status in ("passed", "not yet"):
        return verdict
    steps = (_hint(exercise), _neighbour(exercise))
    return replace(verdict, help=steps[: max(store.attempts(exercise_id) - 1, 0)])


def help_me(exercise_id: str) -> Help:
    """Show the next step of help: the hint, then a worked neighbour, then the solution.

    Wrong answers have climbed the same ladder. Who reads the solution before an answer has passed meets a
    variant of the exercise in a later chapter. Raises ValueError for an unknown id.
    """
    exercise, store = find(exercise_id), progress.current()
    if not store.passed(exercise_id):
        store.record(exercise_id, "helped")
        if (tries := store.attempts(exercise_id)) <= 3:
            return Help(_hint(exercise) if tries == 2 else _neighbour(exercise))
    store.record(exercise_id, "seen")
    return Help(
        f"**A solution of {exercise_id}.** Others are as good. Read it, close it, and write your own.\n\n"
        f"```python\n{exercise.solution}```"
    )


def asked_again() -> Help:
    """Ask the variants of the exercises whose solutions were seen, until each has passed."""
    return Help("\n\n".join(map(_question, due())) or "Nothing is left to ask again.")


def due() -> list[Check]:
    """Find the variants that wait: their exercise's solution was seen, and they have not passed yet."""
    store = progress.current()
    variants = [check for check in CHECKS.values() if check.variant_of]
    return [check for check in variants if store.seen(check.variant_of) and not store.passed(check.id)]


def _question(variant: Check) -> str:
    name = variant.reference.__name__
    header = f"def {name}{inspect.signature(variant.reference)}:"
    return (
        f"**{variant.heading}.** {inspect.getdoc(variant.reference)} Write it in a new cell, then run "
        f'`check("{variant.id}", {name})`.\n\n```python\n{header}\n```'
    )


def _hint(exercise: Check) -> str:
    return f"**Hint.** {exercise.hint}"


def _neighbour(exercise: Check) -> str:
    return (
        f"**A neighbour, worked.** {exercise.neighbour}\n\n"
        f'If it still does not come, `help_me("{exercise.id}")` shows a solution.'
    )
