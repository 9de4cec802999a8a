"""Unmasking: a text appears out of masks, step by step, and can be taken back."""

import warnings
from dataclasses import dataclass, replace

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.generation.unmasking import MASK, ORDERS, Masked, Step, expected, fill
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Number, OneOf, Text, Whole
from course_utils.widgets.words import percent, phrase, plural, quoted, shortened, signs

MAX_PLACES = 128  # of a text: each is a box on the page
MAX_CHARACTERS = 600
TOP = 3  # tokens that are named for an open place
OPEN = "▁"
PICTURED = 92  # characters in a line of the static picture

Guesses = list[tuple[int, float]]  # the likeliest tokens of a place, with their probabilities


@dataclass(frozen=True)
class Trajectory:
    """A text as far as it has been written: its steps, what was expected at each open place before each of
    them and now, and with what the next one begins."""

    settings: tuple
    ids: Tensor  # before the first step
    n_steps: int
    notices: list[str]
    steps: tuple[Step, ...]
    guesses: tuple[dict[int, Guesses], ...]  # one more than steps
    log_p: Tensor
    random: Tensor  # the state of the generator

    def at(self, step: int) -> Tensor:
        return self.steps[step - 1].ids if step else self.ids


class Unmasking(Widget):
    """Give a beginning, or a text with gaps, and watch a model of masks write.

        Unmasking(byte_level(model), {"a beginning": ("To be, or", 40), "a gap": ("The [MASK] barks.", 0)})

    masked: what `generation.unmasking` makes of a model.
    examples: texts on buttons, {what it is: (text, masks after it)}; the first is there at the start.

    A request takes one step at most, so that none is long; the page asks until it has what it wants.
    Raises ValueError for no example, and a first one in which there is nothing to write.
    """

    scripts = ("kit/steps",)

    def __init__(self, masked: Masked, examples: dict[str, tuple[str, int]]):
        if not examples:
            raise ValueError('there is an example at least, such as {"a beginning": ("To be", 20)}; got none')
        self._masked, self._examples = masked, examples
        self._most = min(MAX_PLACES, masked.context)
        text, more = next(iter(examples.values()))
        settings = {
            "text": Text(MAX_CHARACTERS, start=text),
            "more": Whole(0, self._most, start=more),
            "order": OneOf(ORDERS),
            "temperature": Number(0, 2, start=1),
            "at_once": Whole(1, 16),
            "seed": Whole(0, 9999),
        }
        step = After(*settings, lambda *_: Whole(0, self._most))
        place = Whole(0, self._most - 1, start=self._most - 1)  # the last
        super().__init__(**settings, step=step, place=place)

    def compute(self, state: dict) -> Trajectory:
        settings = tuple(state[name] for name in ("text", "more", "order", "temperature", "at_once", "seed"))
        writing = self.found
        if writing is None or writing.settings != settings:
            writing = self._begin(settings)
        if len(writing.steps) < min(state["step"], writing.n_steps):
            writing = self._advance(writing)
        state["step"] = min(state["step"], len(writing.steps))
        state["place"] = min(state["place"], len(writing.ids) - 1)
        return writing

    def _begin(self, settings: tuple) -> Trajectory:
        text, more, _, _, at_once, seed = settings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ids = np.append(self._masked.encode(text), [self._masked.mask_id] * more).astype(np.int64)
        notices = [f"{str(warning.message)[:1].upper()}{str(warning.message)[1:]}." for warning in caught]
        if len(ids) > self._most:
            notices.append(f"The text has {plural(len(ids), 'token')}; the last {self._most} are read.")
        ids = torch.from_numpy(ids[-self._most :])
        n_masks = int((ids == self._masked.mask_id).sum())
        if not n_masks:
            raise ValueError(
                f"there is nothing to write: put {MASK} where a token is missing, or add masks after the text"
            )
        log_p, random = expected(self._masked, ids), torch.Generator().manual_seed(seed).get_state()
        first = (self._guesses(ids, log_p),)
        return Trajectory(settings, ids, -(-n_masks // at_once), notices, (), first, log_p, random)

    def _advance(self, writing: Trajectory) -> Trajectory:
        """The same with one step more."""
        _, _, order, temperature, at_once, _ = writing.settings
        before, generator = writing.at(len(writing.steps)), torch.Generator()
        generator.set_state(writing.random)
        step = fill(before, self._masked.mask_id, writing.log_p, at_once, order, temperature, generator)
        is_last = len(writing.steps) + 1 == writing.n_steps
        log_p = writing.log_p[:0] if is_last else expected(self._masked, step.ids)
        return replace(
            writing,
            steps=(*writing.steps, step),
            guesses=(*writing.guesses, self._guesses(step.ids, log_p)),
            log_p=log_p,
            random=generator.get_state(),
        )

    def _guesses(self, ids: Tensor, log_p: Tensor) -> dict[int, Guesses]:
        top = log_p.topk(min(TOP, log_p.shape[1]))
        places = torch.nonzero(ids == self._masked.mask_id)[:, 0].tolist()
        rows = zip(top.indices.tolist(), top.values.exp().tolist(), strict=True)
        return dict(zip(places, (list(zip(*row, strict=True)) for row in rows), strict=True))

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"mask": MASK, "examples": {name: list(example) for name, example in self._examples.items()}}

    def notices(self) -> list[str]:
        return self.found.notices

    def _filled(self) -> dict[int, tuple[int, float]]:
        """In which step each place was filled, and with what probability, as far as has been written."""
        return {
            place: (i, p)
            for i, step in enumerate(self.found.steps, 1)
            for place, p in zip(step.places.tolist(), step.probabilities.tolist(), strict=True)
        }

    def _named(self, guesses: Guesses) -> list[list]:
        return [[self._token(i), p] for i, p in guesses]

    def _token(self, i: int) -> str:
        return OPEN if i == self._masked.mask_id else str(self._masked.tokens[i])

    def _text(self) -> str:
        return self._masked.join([self._token(i) for i in self.found.at(self.state["step"]).tolist()])

    def view(self) -> dict:
        found, filled, step, place = self.found, self._filled(), self.state["step"], self.state["place"]
        asked_at = filled[place][0] - 1 if place in filled and filled[place][0] <= step else step
        return {
            "n_steps": found.n_steps,
            "written": len(found.steps),
            "text_now": self._text(),
            # each place's token, its step (0: given; none yet: null) and probability
            "places": [
                [
                    self._token(i),
                    *(filled.get(k) or ([None, None] if i == self._masked.mask_id else [0, None])),
                ]
                for k, i in enumerate(found.at(len(found.steps)).tolist())
            ],
            "guesses": [[k, *self._named(some)[0]] for k, some in found.guesses[step].items()],
            "expected": self._named(found.guesses[asked_at].get(place, [])),
        }

    def describe(self) -> str:
        found, step = self.found, self.state["step"]
        p = [float(p) for each in found.steps[:step] for p in each.probabilities]
        n_masks = int((found.ids == self._masked.mask_id).sum())
        order = "the surest first" if self.state["order"] == ORDERS[0] else "in random order"
        said = f"Step {step} of {found.n_steps}, {order}, temperature {self.state['temperature']:g}: "
        said += f"{len(p)} of {plural(n_masks, 'mask')} filled"
        if p:
            bits = -np.log2(np.maximum(p, 1e-45)).mean()
            last = found.steps[step - 1]
            named = self._token(int(last.ids[last.places[0]]))
            others = len(last.places) - 1
            said += f", {bits:.2f} bits a token so far. The last: {quoted(named)} at place "
            said += f"{int(last.places[0]) + 1}, {percent(float(last.probabilities[0]))}"
            said += f", and {plural(others, 'other')}" if others else ""
        return f"{said}. The text: {phrase(shortened(self._text(), 160))}."

    def picture(self, figure: Figure) -> None:
        found, filled, step = self.found, self._filled(), self.state["step"]
        axes, x, row = figure.add_subplot(), 0.0, 0
        for k, i in enumerate(found.at(step).tolist()):
            token, when = signs(self._token(i))[:24], filled.get(k, (0, 0))[0]
            colour = matplotlib.colormaps["cividis"](when / found.n_steps) if 0 < when <= step else "white"
            ink = "white" if 0 < when <= step and when < 0.55 * found.n_steps else "black"
            if x + len(token) > PICTURED:
                x, row = 0.0, row + 1
            box = {"facecolor": colour, "edgecolor": "0.6", "pad": 2.5}
            axes.text(x, -row, token, color=ink, bbox=box, family="monospace", fontsize=9)
            if 0 < when <= step:
                axes.text(x, -row - 0.5, str(when), fontsize=6, color="0.3")
            x += len(token) + 1.2
        axes.set(xlim=(0, PICTURED + 1), ylim=(-row - 0.8, 0.6))
        axes.set_axis_off()
        axes.set_title(
            "White: given or still open. Dark to yellow: the order of writing.", loc="left", fontsize=9
        )
        figure.set_size_inches(7.6, 0.9 + 0.36 * (row + 1))
