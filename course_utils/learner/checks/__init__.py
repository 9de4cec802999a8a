"""What the exercises must do: `check("1.1", ngram_counts)` says at once how an answer fares.

Help comes as a ladder: a wrong answer gets its mistake and the smallest input that shows it, the second one
also a hint, the third a worked example. Then `help_me("1.1")` shows the solution and marks it as seen, and
`asked_again()` in a later chapter asks a variant.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import replace

from course_utils.learner import exercises, progress
from course_utils.learner.checks.engine import Check
from course_utils.learner.checks.verdict import Help, Verdict
from course_utils.learner.progress import Snapshot


def discover() -> dict[str, Check]:
    """The checks of all modules in `exercises`: originals before variants, in the order of their numbers.

    Raises ValueError if two have one id.
    """
    found = {}
    for file in pkgutil.iter_modules(exercises.__path__, f"{exercises.__name__}."):
        for check in vars(importlib.import_module(file.name)).values():
            if isinstance(check, Check) and check.reference.__module__ == file.name:
                if check.id in found:
                    raise ValueError(f"Two exercises have the id {check.id!r}; the second is in {file.name}.")
                found[check.id] = check

    def place(check):
        return check.variant_of is not None, [int(number) for number in re.findall(r"\d+", check.id)]

    return {check.id: check for check in sorted(found.values(), key=place)}


CHECKS = discover()


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
    with progress.current().change() as change:
        change.record(exercise_id, verdict.status)
    verdict = replace(verdict, sentence=f"{verdict.sentence} {change.problem}".strip())
    if verdict.status in ("passed", "not yet"):
        return verdict
    steps = (_hint(exercise), _worked_example(exercise))
    return replace(verdict, help=steps[: max(change.attempts(exercise_id) - 1, 0)])


def yours(answers: dict[str, Callable]) -> list[Callable]:
    """The learner's functions, by the id of their exercise, for a cell that builds on them. The course's
    stands in for one that does not pass yet, and it is said. Raises ValueError for an unknown id."""
    passed = {id: find(id).run(answer).passed for id, answer in answers.items()}
    own, others = [id for id in answers if passed[id]], [id for id in answers if not passed[id]]
    said = [f"Built of your own {', '.join(own)}."] if own else []
    said += [f"Ours stand in for {', '.join(others)}: solve, then run this cell again."] if others else []
    print(*said)
    return [answer if passed[id] else find(id).reference for id, answer in answers.items()]


def help_me(exercise_id: str) -> Help:
    """Show the next step of help: the hint, then a worked example, then the solution.

    Wrong answers have climbed the same ladder. Who reads the solution before an answer has passed meets a
    variant of the exercise in a later chapter. Raises ValueError for an unknown id.
    """
    exercise = find(exercise_id)
    with progress.current().change() as change:
        if not change.passed(exercise_id):
            change.record(exercise_id, "helped")
        tries = change.attempts(exercise_id)
        if change.passed(exercise_id) or tries > 3:
            change.record(exercise_id, "seen")
            step = (
                f"**A solution of {exercise_id}.** Others are as good. Read it, close it, and write your own."
                f"\n\n```python\n{exercise.solution}```"
            )
        else:
            step = _hint(exercise) if tries == 2 else _worked_example(exercise)
    return Help(f"{step}\n\n{change.problem}".strip())


def asked_again() -> Help:
    """Ask the variants of the exercises whose solutions were seen, until each has passed."""
    snapshot = progress.current().read()
    questions = "\n\n".join(map(_question, due(snapshot))) or "Nothing is left to ask again."
    return Help(f"{questions}\n\n{snapshot.problem}".strip())


def due(snapshot: Snapshot) -> list[Check]:
    """Find the variants that wait: their exercise's solution was seen, and they have not passed yet."""
    variants = [check for check in CHECKS.values() if check.variant_of]
    return [check for check in variants if snapshot.seen(check.variant_of) and not snapshot.passed(check.id)]


def _question(variant: Check) -> str:
    name = variant.reference.__name__
    header = f"def {name}{inspect.signature(variant.reference)}:"
    return (
        f"**{variant.heading}.** {inspect.getdoc(variant.reference)} Write it in a new cell, then run "
        f'`check("{variant.id}", {name})`.\n\n```python\n{header}\n```'
    )


def _hint(exercise: Check) -> str:
    return f"**Hint.** {exercise.hint}"


def _worked_example(exercise: Check) -> str:
    return (
        f"**A worked example.** {exercise.worked_example}\n\n"
        f'If you are still stuck, `help_me("{exercise.id}")` shows a solution.'
    )
