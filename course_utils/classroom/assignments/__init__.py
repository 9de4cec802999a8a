"""What the graded assignments ask: exercises of the chapters, and functions that the course does not contain.

The notebook of an assignment, without any solution, is in `notebooks/assignments`. The references of its own
functions are in a teacher's overlay (`course.py overlay new`), never here, where students could read them.
"""

import hashlib
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path

import numpy as np

from course_utils.classroom import places
from course_utils.classroom.grading.cells import Asked
from course_utils.learner.checks.engine import Check
from course_utils.learner.checks.observing import observe
from course_utils.learner.checks.slips import Mistake

NAMES = ("ngrams", "attention", "neural", "encoders", "writing", "tuning", "scaling", "making")
FOR_ANOTHER = "That is right for"  # how the sentence begins for another student's constant


@dataclass(frozen=True)
class Private:
    """A function whose reference is in the overlay, under the same name.

    The reference takes one argument more than the student's function, at the end: the student's own constant,
    one of `choices`, which stands in the released cell as `constant`. Right outputs hash to `fingerprint`.
    """

    stub: Callable
    title: str
    inputs: Callable
    constant: str
    choices: tuple[int, ...]
    fingerprint: str = ""

    @property
    def name(self) -> str:
        return self.stub.__name__

    def check(self, reference: Callable, slips: str, own: int) -> Check:
        """The check of a student's function; the constants of others are known mistakes."""

        def bound(answer, own):
            @wraps(reference)
            def function(*arguments):
                return answer(*arguments, own)

            return function

        whole = Check(self.name, self.title, reference, 2, 10, self.inputs)
        if slips.strip():
            whole.slips(slips)
        try:
            mistakes = [Mistake(each.sentence, bound(each.answer, own)) for each in whole.mistakes]
        except SyntaxError as error:
            raise ValueError(f"a slip of {self.name} is no Python ({error}): mend SLIPS") from None
        for other in self.choices:
            yours = f"yours is {own}, by the notebook that you were given"
            sentence = f"{FOR_ANOTHER} {self.constant} = {other}; {yours}."
            mistakes += [Mistake(sentence, bound(reference, other))] if other != own else []
        return Check(self.name, self.title, bound(reference, own), 2, 10, self.inputs, mistakes=mistakes)

    def hash_of(self, reference: Callable) -> str:
        """The fingerprint of a reference: its outputs on seeded inputs, to nine digits."""
        digest = hashlib.sha256()
        for own in self.choices:
            check = self.check(reference, "", own)
            for case in check.cases():
                digest.update(_canonical(observe(check.reference, case).value).encode())
        return digest.hexdigest()


def _canonical(value) -> str:
    """A plain value as text, floats to nine digits, dicts in order."""
    if isinstance(value, np.ndarray):
        return f"{value.shape}{_canonical(value.ravel().tolist())}"
    if isinstance(value, float):
        return f"{value + 0.0:.9g}"
    if isinstance(value, dict):
        return repr(sorted((repr(key), _canonical(item)) for key, item in value.items()))
    return repr([_canonical(item) for item in value]) if isinstance(value, list | tuple) else repr(value)


def private(title: str, **options) -> Callable[[Callable], Private]:
    """Make the stub below a `Private`; `options` are its fields."""
    return lambda stub: Private(stub, title, **options)


@dataclass(frozen=True)
class Assignment:
    """`asks` says by grade_id what checks an answer: the id of an exercise, or a Private."""

    name: str
    asks: dict[str, str | Private]
    prelude: str = "import math\n\nimport numpy as np"

    @property
    def path(self) -> Path:
        """The notebook as it is in the repository, for nobody in particular."""
        return places.notebooks() / "assignments" / self.name / f"{self.name}.ipynb"

    def tagged(self) -> dict[str, tuple[dict, str]]:
        """The tag of nbgrader's and the source of each cell that has one, by grade_id."""
        return _tagged(self.path)

    def asked(self) -> list[Asked]:
        """The answers that are looked for in a submission."""
        from course_utils.learner.checks import find

        stubs, found = {id: source for id, (_, source) in self.tagged().items()}, []
        for id, ask in self.asks.items():
            name = ask.name if isinstance(ask, Private) else find(ask).reference.__name__
            found.append(Asked(id, name, stubs[id]))
        return found + [Asked(id, "", stubs[id]) for id in self.written()]

    def points(self) -> dict[str, float]:
        """What each answer is worth: an answer's tests and a written answer carry the points."""
        tags = {id: tag for id, (tag, _) in self.tagged().items()}
        return {id.removesuffix("-tests"): tag["points"] for id, tag in tags.items() if tag["grade"]}

    def written(self) -> list[str]:
        """The ids of the answers that a person reads."""
        return [id for id in self.points() if id not in self.asks]

    def is_blank(self, id: str, text: str) -> bool:
        """Whether nothing is written in an answer: it is empty, or what was handed out."""
        return text.strip() in ("", self.tagged()[id][1].strip())


@cache
def _tagged(path: Path) -> dict[str, tuple[dict, str]]:
    """Read as JSON: nbformat takes seconds to import, and every process that grades would wait for it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [
        (cell["metadata"]["nbgrader"], "".join(cell["source"]))
        for cell in cells
        if "nbgrader" in cell["metadata"]
    ]
    return {tag["grade_id"]: (tag, source) for tag, source in tagged}


def find_assignment(name: str) -> Assignment:
    """The assignment of a name. Raises ValueError, naming those that exist, for another."""
    if name not in NAMES:
        raise ValueError(f"there is no assignment {name!r}; there are {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}").ASSIGNMENT
