"""Three questions for each student about their own answers, made by rule, with the answer for the teacher.

Nothing of a student's runs here: lines come from the syntax tree, and what a function returned was kept when
it was graded. Only the teacher's references are called.
"""

import ast
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from course_utils.classroom.assignments import Assignment, Private
from course_utils.classroom.grading import verdicts
from course_utils.classroom.overlay import Overlay
from course_utils.classroom.reporting import similarity
from course_utils.learner.checks.observing import observe
from course_utils.learner.checks.values import show

QUESTIONS = 3
MAX_SHOWN = 200  # characters of a line
MAX_LATER = 5  # lines that read a name, which are told


@dataclass(frozen=True)
class Question:
    """What to ask, and what to expect."""

    asked: str
    answer: str


@dataclass(frozen=True)
class Line:
    """A statement of an answer: where and how it is written, its shape, and the names that it reads and sets;
    `later` says which lines below read what it sets."""

    id: str
    number: int
    text: str
    shape: tuple[str, ...]
    reads: tuple[str, ...]
    sets: tuple[str, ...]
    later: tuple[int, ...]


def lines_of(id: str, source: str, handed_out: str) -> list[Line]:
    """The statements of an answer that its author wrote, but for mere returns of a name."""
    tree = similarity.tree_of(source)
    if tree is None:
        return []
    given, found = {line.strip() for line in handed_out.splitlines()}, []
    bound = similarity.names_bound(tree)
    texts = re.split(r"\r\n?|\n", source)  # as Python's parser counts lines: `splitlines` ends one at \f too
    readers: dict[str, list[int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            readers.setdefault(node.id, []).append(node.lineno)
    readers = {name: sorted(set(numbers)) for name, numbers in readers.items()}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom):
            continue
        text = texts[node.lineno - 1].strip() if node.lineno <= len(texts) else ""
        own = _without_body(node)
        shape = tuple(similarity.nodes(own, bound))
        if text in given or len(shape) < similarity.RUN // 2:
            continue
        names = [part for part in ast.walk(own) if isinstance(part, ast.Name)]
        inner = {
            name
            for part in ast.walk(own)
            if isinstance(part, ast.comprehension)
            for name in _names(part.target)
        }
        sets = sorted({name.id for name in names if isinstance(name.ctx, ast.Store)} - inner)
        reads = sorted({name.id for name in names if isinstance(name.ctx, ast.Load)} & bound - inner)
        later = {n for name in sets for n in _next(readers.get(name, []), node.end_lineno or 0)}
        found.append(Line(id, node.lineno, text, shape, tuple(reads), tuple(sets), tuple(sorted(later))))
    return found


def _next(numbers: list[int], after: int) -> list[int]:
    """Of sorted numbers the first few after one of them."""
    return numbers[(start := bisect_right(numbers, after)) : start + MAX_LATER]


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _without_body(node: ast.stmt) -> ast.AST:
    """A statement without the statements in it: of a loop, its first line."""
    compound = hasattr(node, "body") or isinstance(node, ast.Match)
    inner = {"body", "orelse", "finalbody", "handlers", "cases"} if compound else set()
    fields = {name: value for name, value in ast.iter_fields(node) if name not in inner}
    return type(node)(**fields, lineno=node.lineno)


class Examiner:
    """Makes the questions of a class; `sources` holds each student's answers by id."""

    def __init__(self, assignment: Assignment, overlay: Overlay, sources: dict[str, dict[str, str]]):
        self._assignment, self._overlay = assignment, overlay
        self._references: dict[str, Callable] = {}
        stubs = {id: source for id, (_, source) in assignment.tagged().items()}
        points = assignment.points()
        graded = [id for id in assignment.asks if points[id]]
        self._lines = {
            student: [line for id in graded for line in lines_of(id, answers.get(id, ""), stubs[id])]
            for student, answers in sources.items()
        }
        self._have = Counter(
            shape for lines in self._lines.values() for shape in {line.shape for line in lines}
        )
        self._names = {asked.id: asked.name for asked in assignment.asked()}

    def questions(self, student: str, marks: list[dict]) -> list[Question]:
        """Three questions, or fewer where there is not enough code to ask about."""
        rare = sorted(
            self._lines.get(student, []),
            key=lambda line: (self._have[line.shape], -len(line.shape), line.id, line.number),
        )
        marks = [
            mark for mark in marks if mark["out_of"] and mark.get("example") and mark["status"] != "not yet"
        ]
        made = [self._about_a_line(line) for line in rare[:1]]
        made += [_about_a_result(mark) for mark in _to_foretell(marks)]
        made += [self._what_if(student, mark) or _about_a_mistake(mark) for mark in _to_change(marks)]
        made = [question for question in made if question]
        return [*made, *map(self._about_a_line, rare[1 : 1 + QUESTIONS - len(made)])]

    def _about_a_line(self, line: Line) -> Question:
        text = line.text if len(line.text) <= MAX_SHOWN else f"{line.text[:MAX_SHOWN]} …"
        others = self._have[line.shape] - 1
        facts = ["Nobody else has" if not others else f"{others} of {len(self._lines) - 1} others have"]
        facts[0] += " a line of this shape."
        if line.reads:
            facts.append(f"It reads {', '.join(line.reads)}.")
        if line.sets:
            plural = "s" if len(line.later) > 1 else ""
            used = f", read in line{plural} {' and '.join(map(str, line.later))}" if line.later else ""
            facts.append(f"It sets {', '.join(line.sets)}{used}.")
        asked = f"In your {self._names[line.id]}, line {line.number} is\n{text}\nWhat is it for?"
        return Question(f"{asked} What would come out without it?", " ".join(facts))

    def _what_if(self, student: str, mark: dict) -> Question | None:
        """What would come out with another constant: of a right answer, the reference knows it."""
        ask, example = self._assignment.asks.get(mark["id"]), mark["example"]
        if not (isinstance(ask, Private) and mark["status"] == "passed"):
            return None
        name, whose = self._assignment.name, self._overlay.given_to(self._assignment.name, student)
        own = self._overlay.own(name, whose, ask)
        other = ask.choices[(ask.choices.index(own) + 1) % len(ask.choices)]
        if ask.name not in self._references:
            self._references[ask.name] = self._overlay.reference(name, ask.name)[0]
        check = ask.check(self._references[ask.name], "", other)
        examples = replace(check, number_of_cases=verdicts.EXAMPLES)
        case = examples.cases(self._overlay.shown_seed(name, whose))[example["number"]]
        result = show(observe(check.reference, case).value)
        return Question(
            f"What would change in\n{example['call']}\nif your {ask.constant} were {other} and not {own}? "
            "What grows, what shrinks, and why?",
            f"With {own}: {example['expected']}\nWith {other}: {result}",
        )


def _to_foretell(marks: list[dict]) -> list[dict]:
    """The answer whose result is asked for: a right one before a wrong one, and the shortest call."""
    return sorted(marks, key=lambda mark: (not mark["example"]["right"], len(mark["example"]["call"])))[:1]


def _to_change(marks: list[dict]) -> list[dict]:
    """The answer of which is asked what would change: one that is wrong first, else the shortest call."""
    return sorted(marks, key=lambda mark: (mark["example"]["right"], len(mark["example"]["call"])))[:1]


def _about_a_result(mark: dict) -> Question:
    example = mark["example"]
    beside = "" if example["right"] else f"\nExpected: {example['expected']}"
    return Question(
        f"This call is one of your examples:\n{example['call']}\nWhat does your function return, and how "
        "does it get there?",
        f"It returned: {example['returned']}{beside}",
    )


def _about_a_mistake(mark: dict) -> Question | None:
    example = mark["example"]
    if example["right"]:
        return None
    return Question(
        f"For this call the task wants the result below it:\n{example['call']}\n{example['expected']}\nWhere "
        "does your function leave that way, and which line would you change?",
        f"It returned: {example['returned']}\n{mark.get('known') or mark['sentence']}",
    )
