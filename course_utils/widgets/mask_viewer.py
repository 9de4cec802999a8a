"""The mask viewer: a question and its answer as one row of tokens, and which of them carry loss."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import OneOf, Text
from course_utils.widgets.words import phrase, plural, signs

MAX_CHARACTERS = 120  # of a question, and of an answer
PICTURED = 88  # characters in a line of the static picture


class Labelling(NamedTuple):
    """Which kinds of tokens get a label, which the template forgets, and what follows from it."""

    learnt: tuple[str, ...]
    follows: str
    forgotten: tuple[str, ...] = ()


KINDS = "template", "question", "answer", "end"
LABELLINGS = {
    "as it should be": Labelling(("answer", "end"), "the model is taught to answer, and to stop"),
    "the prompt has labels too": Labelling(KINDS, "it is taught to write questions as well"),
    "the end has no label": Labelling(("answer",), "nothing teaches it to stop"),
    "the template has no end": Labelling(
        ("answer",), "nothing teaches it to stop, and a question runs on into the answer", ("end",)
    ),
    "all labels are −100": Labelling((), "the loss is a mean over nothing, 0 / 0, and nothing is taught"),
}


class MaskViewer(Widget):
    """Type a question and an answer, and see each token with its label; then choose what is done wrong.

        MaskViewer(lay_out, "Where does the sun set?", "In the west.")

    lay_out: the tokens of a question with its answer as a chat template lays them out, each a text and its
        kind: "template", "question", "answer" or "end", the end of the answer.

    Raises ValueError for a token of another kind.
    """

    def __init__(self, lay_out: Callable[[str, str], list[tuple[str, str]]], question: str, answer: str):
        self._lay_out = lay_out
        super().__init__(
            question=Text(MAX_CHARACTERS, start=question),
            answer=Text(MAX_CHARACTERS, start=answer),
            labels=OneOf(LABELLINGS),
        )

    def compute(self, state: dict) -> list[tuple[str, str]]:
        tokens = self._lay_out(state["question"], state["answer"])
        if unknown := {kind for _, kind in tokens} - {*KINDS}:
            raise ValueError(f"a token is of one of the kinds {', '.join(KINDS)}; got {min(unknown)!r}")
        return tokens

    def _shown(self) -> list[tuple[str, bool]]:
        """The tokens that are there, and whether each has a label."""
        labelling = LABELLINGS[self.state["labels"]]
        there = [token for token in self.found if token[1] not in labelling.forgotten]
        return [(text, kind in labelling.learnt) for text, kind in there]

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"labellings": {name: some._asdict() for name, some in LABELLINGS.items()}}

    def view(self) -> dict:
        return {"tokens": [list(token) for token in self.found]}

    def describe(self) -> str:
        shown, chosen = self._shown(), self.state["labels"]
        learnt = [text for text, has_label in shown if has_label]
        which = f", {phrase(''.join(learnt)[:120])}" if learnt else ""
        return (
            f"{plural(len(shown), 'token')}, of which {len(learnt)} carry loss{which}. "
            f"{chosen[0].upper()}{chosen[1:]}: {LABELLINGS[chosen].follows}."
        )

    def picture(self, figure: Figure) -> None:
        axes = figure.add_subplot()
        row, column = 0, 0
        for text, has_label in self._shown():
            text = signs(text)[:PICTURED] or "∅"
            if column + len(text) > PICTURED:
                row, column = row + 1, 0
            look = {"facecolor": "#0072b2" if has_label else "0.92", "edgecolor": "none", "pad": 1.5}
            axes.text(
                column / PICTURED, -row, text, family="monospace", fontsize=8, bbox=look,
                color="white" if has_label else "black", fontweight="bold" if has_label else "normal",
            )  # fmt: skip
            column += len(text) + 1
        axes.set(xlim=(0, 1.02), ylim=(-row - 0.5, 0.8))
        axes.axis("off")
        axes.set_title("Blue: the tokens that carry loss", loc="left", fontsize=9)
        figure.set_size_inches(7.6, 1.0 + 0.3 * row)
