"""The figure of masked language modelling: what is hidden, asked, and answered, and what it costs."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.generation.beams import top_indices
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Some, Text, Whole
from course_utils.widgets.words import percent, phrase, plural, quoted, shortened, signs

MAX_PIECES = 36  # of a sentence, [CLS] and [SEP] counted: more can't be taken in
MAX_CHARACTERS = 1000
DRAWS = 1000
TOP = 3
IGNORED = -100  # the label of a place at which nothing is asked
# what becomes of a chosen piece, and of which share
EXPECTED = {"masked": 0.8, "random": 0.1, "unchanged": 0.1}
RATE = 0.15
ROWS = [
    "pieces",
    f"chosen? ({100 * RATE:.0f} %)",
    "what the model sees",
    "label",
    "the model's top 3",
    "loss, nats",
]
PRINTED = 92  # characters in a line of the static picture
PRINTED_LINES = 2

Ids = Int[np.ndarray, " time"]
Places = Int[np.ndarray, " places"]


class Answer(NamedTuple):
    """The likeliest tokens with their probabilities, the probability of what stood there, and the loss."""

    top: list[tuple[str, float]]
    p: float
    nats: float


@dataclass(frozen=True)
class Sentence:
    """A text in ids, its draws as `corrupt` gives them, and what there is to notice."""

    ids: Ids
    inputs: Int[np.ndarray, "draws time"]
    labels: Int[np.ndarray, "draws time"]
    notices: list[str]


@dataclass(frozen=True)
class Corruption:
    """One corruption of a sentence, and the answers at chosen places, from both sides and from the left."""

    key: tuple
    sentence: Sentence
    inputs: Ids
    labels: Ids
    both: dict[int, Answer]
    left: dict[int, Answer]


class MaskingFigure(Widget):
    """Six aligned rows for a sentence: its pieces, which are chosen, what the model sees, the label, the
    model's three likeliest pieces, and the loss; below, what counts answer that read from the left alone.

        MaskingFigure(MaskedReader(model, tokenizer, counts), sentences)

    reader: whose methods give arrays, `course_utils.bert.reader.MaskedReader` or what can be asked like it.
    sentences: a small batch to step through; another may be typed. draw: which of the 1,000 corruptions of
    the first is shown at the start. The learner draws anew, or masks any piece by hand.

    Raises ValueError for no sentence, and for a draw that is not there.
    """

    def __init__(self, reader, sentences: list[str], draw: int = 0):
        if not sentences:
            raise ValueError("a batch needs at least one sentence; got none")
        self._reader = reader
        self._sentences = [sentences] if isinstance(sentences, str) else list(sentences)
        self._read = lru_cache(maxsize=8)(self._read_anew)

        def own(text: str, draw: int) -> Some:
            return Some(np.flatnonzero(~reader.special[self._read(text).ids]).tolist(), start=[])

        def focus(text: str, draw: int, own: list[int]) -> Whole:
            chosen = np.flatnonzero(self._corruption(text, draw, own)[1] != IGNORED)
            return Whole(0, len(self._read(text).ids) - 1, start=int(chosen[0]) if len(chosen) else 1)

        super().__init__(
            {"draw": draw},
            text=Text(MAX_CHARACTERS, kept="first", start=self._sentences[0]),
            draw=Whole(0, DRAWS - 1),
            own=After("text", "draw", own),  # places that the hand has turned over: masked, or uncovered
            focus=After("text", "draw", "own", focus),
        )

    def _read_anew(self, text: str) -> Sentence:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ids = self._reader.encode(text)
        notices = [f"{str(warning.message).removesuffix('.')}." for warning in caught]
        most = min(MAX_PIECES, self._reader.longest)
        if len(ids) > most:
            notices.append(
                f"The sentence has {len(ids)} pieces, [CLS] and [SEP] counted; the first {most} are read, "
                "which is all that can be shown."
            )
            ids = np.append(ids[: most - 1], ids[-1])
        if self._reader.special[ids].all():
            notices.append("There is nothing to mask: the sentence has no piece of a word.")
            inputs, labels = np.tile(ids, (DRAWS, 1)), np.full((DRAWS, len(ids)), IGNORED)
        else:
            inputs, labels = self._reader.corrupt(ids, DRAWS)
        return Sentence(ids, inputs, labels, notices)

    def _corruption(self, text: str, draw: int, own: list[int]) -> tuple[Ids, Ids]:
        """What is read and what is asked, after the hand has turned some places over."""
        sentence = self._read(text)
        ids, inputs, labels = sentence.ids, sentence.inputs[draw].copy(), sentence.labels[draw].copy()
        for place in own:
            was = labels[place] != IGNORED
            inputs[place], labels[place] = (ids[place], IGNORED) if was else (self._reader.mask, ids[place])
        return inputs, labels

    def compute(self, state: dict) -> Corruption:
        key = state["text"], state["draw"], tuple(state["own"])
        if self.found and self.found.key == key:
            return self.found
        inputs, labels = self._corruption(*key)
        places = np.flatnonzero(labels != IGNORED)
        both, left = (
            self._answers(fill, inputs, labels, places)
            for fill in (self._reader.fill, self._reader.fill_from_left)
        )
        return Corruption(key, self._read(state["text"]), inputs, labels, both, left)

    def _answers(self, fill: Callable, inputs: Ids, labels: Ids, places: Places) -> dict[int, Answer]:
        answers = {}
        for place, p in zip(places.tolist(), fill(inputs, places) if len(places) else [], strict=True):
            top = [(self._reader.tokens[i], float(p[i])) for i in top_indices(p, TOP)]
            truth = float(p[labels[place]])
            answers[place] = Answer(top, truth, float(-np.log(max(truth, np.finfo(np.float32).tiny))))
        return answers

    def _how(self, place: int) -> str:
        """What became of a piece: one of EXPECTED, or "" if it wasn't chosen."""
        seen, label = self.found.inputs[place], self.found.labels[place]
        return "" if label == IGNORED else str(_fates(seen, label, self._reader.mask))

    def statistics(self) -> dict[str, float]:
        """Over all draws of the sentence: the share of its pieces that were chosen, and their fates."""
        sentence = self.found.sentence
        plain = ~self._reader.special[sentence.ids]
        chosen = sentence.labels != IGNORED
        fates = _fates(sentence.inputs[chosen], sentence.labels[chosen], self._reader.mask)
        shares = {"chosen": float(chosen[:, plain].mean()) if plain.any() else 0.0}
        return shares | {fate: float((fates == fate).mean()) if len(fates) else 0.0 for fate in EXPECTED}

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "sentences": self._sentences,
            "rows": ROWS,
            "rate": RATE,
            "expected": EXPECTED,
            "draws": DRAWS,
        }

    def view(self) -> dict:
        found, tokens = self.found, self._reader.tokens
        both, left = ({place: list(one) for place, one in some.items()} for some in (found.both, found.left))
        times = (found.sentence.labels != IGNORED).sum(0)
        pieces = [
            {
                "piece": tokens[i],
                "special": bool(self._reader.special[i]),
                "how": self._how(place),
                "sees": tokens[found.inputs[place]],
                "label": int(found.labels[place]),
                "times": int(times[place]),
                "both": both.get(place),
                "left": left.get(place),
            }
            for place, i in enumerate(found.sentence.ids)
        ]
        return {"pieces": pieces, "statistics": self.statistics()}

    def notices(self) -> list[str]:
        return self.found.sentence.notices

    def describe(self) -> str:
        found, focus, tokens = self.found, self.state["focus"], self._reader.tokens
        plain = int((~self._reader.special[found.sentence.ids]).sum())
        text = phrase(shortened(self.state["text"], 80))
        nats, shares = [answer.nats for answer in found.both.values()], self.statistics()
        loss = f", their mean loss {np.mean(nats):.2f} nats" if nats else ""
        here = f"At {quoted(tokens[found.sentence.ids[focus]])}"
        if focus in found.both:
            here += (
                f", {self._how(focus)}, the model sees {quoted(tokens[found.inputs[focus]])} and answers "
                f"{_in_words(found.both[focus])}. From the left alone counts answer "
                f"{_in_words(found.left[focus])}."
            )
        else:
            here += " nothing is asked: label −100."
        fates = ", ".join(f"{percent(shares[fate])} {fate}" for fate in EXPECTED)
        return (
            f"{text}: {len(nats)} of {plural(plain, 'piece')} chosen{loss}. {here} "
            f"In {DRAWS:,} corruptions {percent(shares['chosen'])} chosen; of these {fates}."
        )

    def picture(self, figure: Figure) -> None:
        """The rows in print, in up to two lines with the place in focus, and what counts answer there."""
        columns = self._printed_columns()
        lines = [[]]
        for place in range(len(columns)):
            if sum(2 + max(map(len, columns[other])) for other in [*lines[-1], place]) > PRINTED:
                lines.append([])
            lines[-1].append(place)
        focus = self.state["focus"]
        at = next(i for i, line in enumerate(lines) if focus in line)
        first = max(0, min(at - 1, len(lines) - PRINTED_LINES))
        lines = lines[first : first + PRINTED_LINES]
        heights = [9 if any(place in self.found.both for place in line) else 5 for line in lines]
        figure.set_size_inches(8.6, 0.7 + 0.24 * sum(heights))
        rows = figure.subplots(len(lines), squeeze=False, height_ratios=heights)[:, 0]
        for axes, line in zip(rows, lines, strict=True):
            self._print_line(axes, [columns[place] for place in line], line)
        said = f"pieces {lines[0][0] + 1} to {lines[-1][-1] + 1} of {len(columns)}"
        if answer := self.found.left.get(focus):
            said += f"; from the left alone, counts answer {_in_words(answer)} where the arrows meet"
        figure.supxlabel(said, fontsize=8)

    def _printed_columns(self) -> list[list[str]]:
        """What stands in each of the rows, for each place; the answers take three."""
        columns = []
        for place, piece in enumerate(self.view()["pieces"]):
            how, answer = piece["how"], self.found.both.get(place)
            top = [f"{signs(token)[:12]} {percent(p)}" for token, p in answer.top] if answer else []
            columns.append(
                [
                    signs(piece["piece"])[:14],
                    how or ("never" if piece["special"] else "–"),
                    signs(piece["sees"])[:14],
                    signs(piece["piece"])[:14] if how else "−100",
                    *(top + [""] * TOP)[:TOP],
                    f"{answer.nats:.2f}" if answer else "",
                ]
            )
        return columns

    def _print_line(self, axes: Axes, columns: list[list[str]], places: list[int]) -> None:
        heights = [0, 1, 2, 4, 5, 6, 7, 8]  # of the rows; the arrows have room below what the model sees
        asked = any(place in self.found.both for place in places)
        axes.set(xlim=(-22, PRINTED), ylim=(8.5 if asked else 4.5, -0.5))
        axes.axis("off")
        for row, height in list(zip(ROWS, [0, 1, 2, 4, 6, 8], strict=True))[: None if asked else 4]:
            axes.text(-22, height, row, fontsize=7, color="#555555", va="center")
        x, centres = 0.0, {}
        for place, cells in zip(places, columns, strict=True):
            width = 2 + max(map(len, cells))
            centres[place] = x + width / 2
            chosen = self._how(place)
            for height, cell in zip(heights, cells, strict=True):
                box = {"boxstyle": "round,pad=0.2", "fc": "#1a1a1a" if chosen == "masked" else "white"}
                box |= {"ls": "--" if chosen == "random" else "-"}
                axes.text(
                    centres[place], height, cell, fontsize=7, ha="center", va="center", family="monospace",
                    color="white" if height == 2 and chosen == "masked" else "black",
                    bbox=box if height == 2 and chosen else None,
                )  # fmt: skip
            x += width
        focus = self.state["focus"]
        if focus not in centres or focus not in self.found.both:
            return
        for place, centre in centres.items():
            if place != focus:
                look = {"arrowstyle": "->", "lw": 0.7, "shrinkB": 5}
                look |= {"color": "#0072b2", "ls": "-"} if place < focus else {"color": "#d55e00", "ls": "--"}
                axes.annotate("", (centres[focus], 3.5), (centre, 2.5), arrowprops=look)


def _fates(seen: np.ndarray, labels: np.ndarray, mask: int) -> np.ndarray:
    """What became of chosen pieces, one of EXPECTED each."""
    return np.where(seen == mask, "masked", np.where(seen == labels, "unchanged", "random"))


def _in_words(answer: Answer) -> str:
    top = ", ".join(f"{quoted(token)} {percent(p)}" for token, p in answer.top)
    return f"{top} (loss {answer.nats:.2f} nats)"
