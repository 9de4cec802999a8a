"""A teacher's overlay: the folder outside the repository with all that students must not see.

The secret that seeds are made of, the references of the assignments' own functions, what was released and to
whom, and the store of what was handed in.
"""

import hashlib
import hmac
import importlib.util
import inspect
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from course_utils.classroom import places
from course_utils.classroom.assignments import NAMES, Assignment, Private, find_assignment
from course_utils.classroom.grading import lateness
from course_utils.classroom.grading.store import Store
from course_utils.classroom.grading.verdicts import GradedFunction
from course_utils.files import write_atomic
from course_utils.learner.checks import find
from course_utils.learner.checks.slips import source_of

RIGHT = "right"  # what `check` says of a reference
EVERYONE = "everyone"  # whose notebook it is that was released without a roster
TO_FILL = (
    "{name}: not written yet. Write its reference in {file} (its text says what it does), and try again."
)


def place(folder: str | None = None) -> Path:
    """Where the overlay is: in the folder named, or where COURSE_OVERLAY says, or beside the course."""
    course = places.home()
    beside = course.with_name(f"{course.name}-class")
    return Path(folder or os.environ.get("COURSE_OVERLAY") or beside).resolve()


def new(folder: Path) -> str:
    """Make an overlay; say what is left to do. Raises ValueError inside the repository or over another."""
    if folder.is_relative_to(places.home()):
        raise ValueError(f"{folder} is inside the course's folder, which students see: name another folder")
    if (folder / "secret.txt").exists():
        raise ValueError(f"{folder} holds an overlay already, and its secret is never replaced")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in NAMES:
        asks = [ask for ask in find_assignment(name).asks.values() if isinstance(ask, Private)]
        functions = "\n\n".join(f'{source_of(ask.stub)}\n\nSLIPS["{ask.name}"] = """"""\n' for ask in asks)
        module = inspect.getmodule(asks[0].stub)
        text = _HEAD.format(name=name, module=module.__name__) + functions
        if not (folder / f"{name}.py").exists():
            write_atomic(folder / f"{name}.py", text)
    if not (folder / lateness.FILE).exists():
        write_atomic(folder / lateness.FILE, lateness.EXAMPLE)
    write_atomic(folder / "secret.txt", secrets.token_hex(32) + "\n", mode=0o600)
    files = ", ".join(f"{name}.py" for name in NAMES)
    private = ", which only you can read" if os.name == "posix" else ""  # chmod locks nobody out on Windows
    return (
        f"Made {folder}{private}: keep a copy, and never publish it.\n"
        f"Next, write the references in {files} there (a few lines each); `course.py overlay check` says "
        "whether they are right."
    )


_HEAD = '''"""The references of the assignment `{name}`. What {module} asks is repeated here.

SLIPS holds known mistakes, as CONTRIBUTING.md writes them: a sentence, and below it old text → new text. They
are optional.
"""

import math

import numpy as np

SLIPS = {{}}


'''


class Overlay:
    """An overlay that exists. Raises ValueError, saying what to do, if the folder holds none."""

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self._secret = bytes.fromhex((folder / "secret.txt").read_text("ascii"))
        except (OSError, ValueError):
            raise ValueError(
                f"there is no overlay in {folder}: `course.py overlay new` makes one, and --overlay or "
                "COURSE_OVERLAY names another place"
            ) from None

    def store(self) -> Store:
        return Store(self.folder / "store", self._secret)

    def released(self, assignment: str, student: str) -> Path:
        """The file that a student was given, in the folders that nbgrader has."""
        folder = self.folder / "release" / assignment
        return (folder if student == EVERYONE else folder / student) / f"{assignment}.ipynb"

    def roster(self, assignment: str) -> set[str]:
        """The students for whom a notebook of their own was made."""
        return {
            path.parent.name for path in (self.folder / "release" / assignment).glob(f"*/{assignment}.ipynb")
        }

    def given_to(self, assignment: str, student: str) -> str:
        """For whom the notebook was made that this student has."""
        own = self.released(assignment, student).exists()
        return student if own or not self.released(assignment, EVERYONE).exists() else EVERYONE

    def seed(self, *parts: str, bits: int = 128) -> int:
        """A number that nobody can guess who has not the secret."""
        return int(self.signature(*parts), 16) >> 256 - bits

    def signature(self, *parts: str) -> str:
        """Of what only who has the secret can sign: 64 hexadecimal digits."""
        content = "\0".join(parts).encode("utf-8", "backslashreplace")
        return hmac.new(self._secret, content, hashlib.sha256).hexdigest()

    def shown_seed(self, assignment: str, student: str) -> int:
        """The seed in a student's notebook. It says nothing about the hidden one."""
        return self.seed("shown", assignment, student, bits=31)

    def own(self, assignment: str, student: str, ask: Private) -> int:
        """The student's own constant; functions of one assignment that share its name share its value."""
        return ask.choices[self.seed("own", assignment, student, ask.constant, bits=32) % len(ask.choices)]

    def reference(self, assignment: str, name: str) -> tuple[Callable, str]:
        """A reference and its slips. Raises ValueError if it is not written, or does not load."""
        file = self.folder / f"{assignment}.py"
        spec = importlib.util.spec_from_file_location(f"overlay_{assignment}", file)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            function = getattr(module, name)
            written = "raise NotImplementedError" not in source_of(function)
        except Exception as error:
            raise ValueError(f"{file} can't be read: {type(error).__name__}: {error}") from error
        if not written:
            raise ValueError(TO_FILL.format(name=name, file=file))
        return function, getattr(module, "SLIPS", {}).get(name, "")

    def questions(self, assignment: Assignment, student: str, sha256: str = "") -> list[GradedFunction]:
        """The questions of one student; the hash of the file stirs the hidden inputs, so that they are new
        for each file that is handed in. Raises ValueError if a reference is missing."""
        name, whose, points = assignment.name, self.given_to(assignment.name, student), assignment.points()
        shown, made = self.shown_seed(name, whose), []
        for id, ask in assignment.asks.items():
            if isinstance(ask, Private):
                check = ask.check(*self.reference(name, ask.name), self.own(name, whose, ask))
            else:
                check = find(ask)
            hidden = self.seed("hidden", name, student, sha256, id)
            made.append(GradedFunction(id, check, points[id], shown, hidden))
        return made

    def check(self) -> list[str]:
        """A line for each reference: right, another than ours, or not written."""
        return [f"{name}: {said}" for each in NAMES for name, said in self._checked(find_assignment(each))]

    def doubts(self, assignment: Assignment) -> list[str]:
        """The lines of `check` for an assignment's references that are not right."""
        return [f"{name}: {said}" for name, said in self._checked(assignment) if said != RIGHT]

    def _checked(self, assignment: Assignment) -> Iterator[tuple[str, str]]:
        for ask in assignment.asks.values():
            if isinstance(ask, Private):
                yield f"{assignment.name} {ask.name}", self._check(assignment.name, ask)

    def _check(self, assignment: str, ask: Private) -> str:
        try:
            reference, slips = self.reference(assignment, ask.name)
            ask.check(reference, slips, ask.choices[0])
        except ValueError as error:
            return str(error)
        right = ask.hash_of(reference) == ask.fingerprint
        return RIGHT if right else "gives other results than the course's authors have: look at it again"
