"""Which answers are alike in structure beyond what is common in the class: evidence to look at, no verdict.

An answer is its syntax tree in preorder, without docstrings and annotations. A name that it binds itself
counts as "name", a number or string as its type, so that neither other names nor another constant hide
anything, and a student's own constant explains itself. Its parts are all runs of `RUN` nodes. Parts of the
handed-out cells, and those that more than a few students have, are what everybody shares; of the rest,
what two have in common is measured (after Schleimer, Wilkerson and Aiken, Winnowing, SIGMOD 2003, without
its sampling, as answers are short).
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

RUN = 8  # nodes of a part
FEW, SHARE = 4, 0.05  # a part that more students have than 4, and than one in twenty, is common
LEAST = 20  # parts in common; fewer are a line or two
ALIKE = 0.5  # of the smaller one's uncommon parts: see the measurement in docs/teachers_guide.md
MAX_SOURCE = 20_000  # characters of an answer that are compared
WORD = re.compile(r"[^\W\d]\w+")


@dataclass(frozen=True)
class Pair:
    """Two students; how many uncommon parts they share, and the smaller one has; uncommon words of both."""

    one: str
    other: str
    shared: int
    smaller: int
    words: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.shared / self.smaller


def tree_of(source: str) -> ast.Module | None:
    """The syntax tree, or None where there is none or the source is too long. Never raises."""
    try:
        return ast.parse(source) if len(source) <= MAX_SOURCE else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def nodes(tree: ast.AST, bound: set[str]) -> list[str]:
    """The nodes of a tree in preorder, in words that no renaming of the names in `bound` changes."""
    told, todo = [], [tree]
    while todo:  # a stack of our own: a tree may be deeper than Python's
        node = todo.pop()
        if isinstance(node, ast.Name):
            told.append("name" if node.id in bound else node.id)
        elif isinstance(node, ast.Constant):
            told.append(type(node.value).__name__)
        else:
            api = getattr(node, "attr", None) or (isinstance(node, ast.keyword) and node.arg) or ""
            told.append(f"{type(node).__name__} {api}".strip())
        children = [child for child in ast.iter_child_nodes(node) if not _silent(child, node)]
        todo += reversed(children)
    return told


def _silent(child: ast.AST, parent: ast.AST) -> bool:
    """Contexts, annotations and docstrings, which change nothing."""
    if isinstance(child, ast.expr_context):
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    return child in (getattr(parent, "annotation", None), getattr(parent, "returns", None))


def names_bound(tree: ast.AST) -> set[str]:
    """The names that a tree itself gives: of variables, parameters, functions and modules."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names


def parts(sources: list[str]) -> set[tuple[str, ...]]:
    """All runs of RUN nodes in some answers; none in what can't be parsed."""
    found = set()
    for tree in filter(None, map(tree_of, sources)):
        told = nodes(tree, names_bound(tree))
        found |= {tuple(told[i : i + RUN]) for i in range(len(told) - RUN + 1)}
    return found


def words(sources: list[str]) -> set[str]:
    """The names that answers bind, and the words of their comments."""
    found = set()
    for source in sources:
        tree = tree_of(source)
        found |= names_bound(tree) if tree else set()
        comments = re.findall(r"#(.*)", source[:MAX_SOURCE])
        found |= {word.lower() for comment in comments for word in WORD.findall(comment)}
    return {word[:40] for word in found if len(word) > 2}


def few(students: int) -> int:
    """How many students at most may have what is not common."""
    return max(FEW, round(SHARE * students))


def pairs(answers: dict[str, list[str]], handed_out: list[str]) -> list[Pair]:
    """The pairs that reach LEAST and ALIKE, by what they share; `answers` holds each student's sources.

    Time and memory grow with the square of the class: 300 students take a second.
    """
    students = list(answers)
    has = _uncommon([parts(sources) for sources in answers.values()], parts(handed_out))
    said = _uncommon([words(sources) for sources in answers.values()], words(handed_out))
    number: dict = {}
    for each in has:
        for part in each:
            number.setdefault(part, len(number))
    table = np.zeros((len(students), len(number)), np.float32)
    for row, each in zip(table, has, strict=True):
        row[[number[part] for part in each]] = 1
    shared = (table @ table.T).astype(int)
    smaller = np.minimum.outer(shared.diagonal(), shared.diagonal())
    alike = (shared >= LEAST) & (shared >= ALIKE * smaller)
    found = [
        Pair(
            students[i],
            students[j],
            int(shared[i, j]),
            int(smaller[i, j]),
            tuple(sorted(said[i] & said[j])),
        )
        for i, j in np.argwhere(np.triu(alike, 1))
    ]
    return sorted(found, key=lambda pair: (-len(pair.words), -pair.share, pair.one, pair.other))


def _uncommon(of_each: list[set], handed_out: set) -> list[set]:
    """What few students have and nobody was given, for each student."""
    count, most = Counter(item for each in of_each for item in each), few(len(of_each))
    return [{item for item in each - handed_out if count[item] <= most} for each in of_each]
