"""A text read byte by byte, with strips below it: what such widgets share beside kit/strip.js."""

from collections.abc import Callable

from matplotlib.axes import Axes

from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Spec, Text, Whole
from course_utils.widgets.words import one_sign

PICTURED = 60  # bytes in a line of the static picture


class TextStrips(Widget):
    """A text of at most `max_bytes`, with one of its `places(text)` in focus: the last at first if `at_end`.

    examples: texts on buttons, {what it is: text}; the first is read at the start.
    """

    scripts = ("kit/strip",)

    def __init__(
        self,
        examples: dict[str, str],
        max_bytes: int,
        places: Callable[[str], int],
        at_end: bool = False,
        **specs: Spec,
    ):
        self._examples = examples

        def focus(text: str) -> Whole:
            last = max(places(text) - 1, 0)
            return Whole(0, last, start=last if at_end else 0)

        start, why = next(iter(examples.values())), ", as if nothing stood before them"
        super().__init__(
            text=Text(max_bytes, "byte", start=start, why=why), focus=After("text", focus), **specs
        )

    def constants(self) -> dict:
        return {"examples": self._examples}


def pieces(text: str) -> list[list]:
    """The characters of a text, each with its number of bytes."""
    return [[c, len(c.encode())] for c in text]


def label_bytes(axes: Axes, characters: list[str], names: list[str]) -> None:
    """Characters above the columns of a picture, names beside its rows."""
    signs = [one_sign(c) if c else "" for c in characters]
    axes.set_xticks(range(len(signs)), signs, family="monospace", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.tick_params(length=0)
