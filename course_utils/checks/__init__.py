"""What the exercises must do: `check("1.1", ngram_counts)` says at once how an answer fares."""

from collections.abc import Callable

from course_utils.checks import ngrams, smoothing, start
from course_utils.checks.engine import Check
from course_utils.checks.verdict import Verdict

CHECKS: dict[str, Check] = {
    check.id: check for module in (start, ngrams, smoothing) for check in module.CHECKS
}


def find(exercise_id: str) -> Check:
    """Return the check of an exercise. Raises ValueError, naming those that exist, for an unknown id."""
    if exercise_id not in CHECKS:
        raise ValueError(f"There is no exercise {exercise_id!r}; there are {', '.join(CHECKS)}.")
    return CHECKS[exercise_id]


def check(exercise_id: str, answer: Callable) -> Verdict:
    """Run the check of an exercise, such as "1.1", on the learner's function; the verdict shows itself."""
    return find(exercise_id).run(answer)
