"""For the modules that are not yet written as slips; goes with the last of them."""

from dataclasses import dataclass, field

from course_utils.learner.checks import engine
from course_utils.learner.checks.slips import Mistake

__all__ = ["Check", "Mistake"]


@dataclass(eq=False)
class _Old(engine.Check):
    hint: str = field(default="")
    worked_example: str = field(default="")
    imports: str = field(default="")


def Check(difficulty, neighbour, mistakes, without=(), **fields):
    return _Old(
        dots=difficulty,
        worked_example=neighbour,
        mistakes=list(mistakes),
        forbidden_modules=without,
        **fields,
    )
