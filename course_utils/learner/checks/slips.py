"""Known wrong answers, written as slips: what a learner would have written in the place of the right text.

    You predict the past.
        logits[:, :-1], ids[:, 1:] → logits[:, 1:], ids[:, :-1]

is the sentence that a mistake earns, and the edit of the reference that makes it: old text → new text. The
old text stands once below the reference's docstring. Several edits, a line each, are made one after the
other; one too long for a line goes on, from its arrow, in the next. Where no edit can say it, nothing stands
before the arrow, and after it a function of the reference's module, which is the whole wrong answer.
"""

import ast
import inspect
import linecache
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce

ENTRY = re.compile(r"((?:\S.*\n)+)((?: +\S.*\n)+)")


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer and the sentence that it earns."""

    sentence: str
    answer: Callable


@dataclass(frozen=True)
class Slip:
    """A mistake that edits make of the reference: `source`, compiled when it is first asked for."""

    sentence: str
    reference: Callable
    source: str

    @cached_property
    def answer(self) -> Callable:
        file = f"<{self.reference.__name__}: {self.sentence}>"
        linecache.cache[file] = (len(self.source), None, self.source.splitlines(keepends=True), file)
        namespace = dict(self.reference.__globals__)
        exec(compile(self.source, file, "exec"), namespace)
        return namespace[self.reference.__name__]


def source_of(function: Callable) -> str:
    """The source of a function without its decorators. Raises ValueError if no `def` can be read."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # of a cell under %%time, or of no function
        source = ""
    if not (start := re.search(r"^def ", source, re.MULTILINE)):
        raise ValueError("its def can't be read: write it with def, in a cell without %%")
    return source[start.start() :]


def read(text: str, reference: Callable) -> list[Mistake | Slip]:
    """Read slips, as the module's docstring has them. Raises ValueError, quoting the text that is wrong."""
    text = re.sub(r"\n\s*\n", "\n", f"{text.strip()}\n")
    if rest := ENTRY.sub("", text):
        raise ValueError(f"A slip is a sentence and, indented below it, one edit or more; got {rest!r}.")
    if not reference.__doc__:
        raise ValueError(f"{reference.__name__} has no docstring, which says to a learner what to write.")
    source = source_of(reference)
    docstring = ast.get_source_segment(source, ast.parse(source).body[0].body[0])
    head, _, body = source.partition(docstring)
    mistakes = []
    for sentence, edits in ENTRY.findall(text):
        sentence = " ".join(sentence.split())
        lines = [line.strip() for line in re.sub(r"(?<=\S)\n +→", " →", edits).splitlines()]
        if lines[0].startswith("→"):
            mistakes.append(Mistake(sentence, _whole_answer(" ".join(lines), reference)))
        else:
            mistakes.append(Slip(sentence, reference, head + docstring + reduce(_edited, lines, body)))
    return mistakes


def _edited(body: str, edit: str) -> str:
    old, _, new = map(str.strip, edit.partition("→"))
    if edit.count("→") != 1:
        raise ValueError(f"An edit is 'old text → new text', with one arrow; got {edit!r}.")
    if (found := body.count(old)) != 1:
        raise ValueError(
            f"The text {old!r} must stand once below the docstring; it stands there {found} times in\n{body}"
        )
    return body.replace(old, new)


def _whole_answer(text: str, reference: Callable) -> Callable:
    answer = reference.__globals__.get(text.removeprefix("→").strip())
    if not callable(answer):
        raise ValueError(f"After the arrow of {text!r} must stand a function of {reference.__module__}.")
    return getattr(answer, "reference", answer)  # of an exercise, its function
