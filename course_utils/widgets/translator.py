"""The translator: a text is written from another, token by token, with where each was looked for."""

from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import traitlets
from matplotlib.figure import Figure

from course_utils.generation.translating import Translate, Translation
from course_utils.widgets.attention_arrays import Attention, packed, strongest_in_words
from course_utils.widgets.attention_pictures import draw_map
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, List, OneOf, Text, Whole
from course_utils.widgets.words import percent, phrase, plural, quoted, shortened

MAX_CHARACTERS = 1000
MAX_TARGET = 100  # tokens that are written: each is a box on the page
PACE = 20  # tokens that a request writes at most
WHOLE = 256  # up to so many tokens every layer crosses; above, the one in view
MEAN = "mean"
SAME = 0.5  # share of two translations that is the same, or they are of different texts
PICTURED = 40  # tokens on a side of the static picture that are named


@dataclass(frozen=True, eq=False)
class Draft:
    """What is asked for, as much of it as is written, and the ids of the translation before."""

    asked: tuple
    written: Translation
    attention: Attention
    before: list[int]

    @property
    def done(self) -> bool:
        return self.written.ended or len(self.written.ids) >= MAX_TARGET

    @property
    def changed(self) -> list[int]:
        """The places of tokens that are not in the translation before, if an edit has made this one of it."""
        if not self.before:
            return []
        matcher = SequenceMatcher(None, self.before, self.written.ids, autojunk=False)
        kept = {
            place for block in matcher.get_matching_blocks() for place in range(block.b, block.b + block.size)
        }
        n = len(self.written.ids)
        return [place for place in range(n) if place not in kept] if len(kept) >= SAME * n else []


class Translator(Widget):
    """Type a verse, and watch what is written of it: where each token was looked for in the source, how sure
    the model was, and what it writes after a token that you choose.

        tasks = {"modern: ": "old English to modern", "old: ": "modern English to old"}
        Translator(translator(model, tokenizer, tasks), {"John 15:1": ("modern: ", "I am the ...")}, tasks)

    translate: `translate(task, text, forced, more)`, as `generation.translating.translator` makes it.
    examples: what buttons put in, {what it is: (task, text)}; the first is written at the start.
    tasks: the prefixes that the model was trained on, {prefix: what it asks for, in words}.
    place: the token of the target that is in focus at the start.

    Raises ValueError for no example, for one of another task, and as `translate` does.
    """

    scripts = ("attention_arrays", "attention_parts", "kit/steps")
    weights = traitlets.Dict().tag(sync=True)  # bytes by layer: all, or above WHOLE tokens the one in view

    def __init__(
        self,
        translate: Translate,
        examples: dict[str, tuple[str, str]],
        tasks: dict[str, str],
        *,
        place: int = 0,
    ):
        if not examples:
            raise ValueError(
                'there is an example at least, such as {"a verse": ("modern: ", "..."); got none'
            )
        if strange := [task for task, _ in examples.values() if task not in tasks]:
            raise ValueError(
                f"the task of an example is one of {', '.join(map(repr, tasks))}; got {strange[0]!r}"
            )
        self._translate, self._examples, self._tasks = translate, examples, tasks
        task, text = next(iter(examples.values()))
        verse, forced = Text(MAX_CHARACTERS, kept="first", start=text), List(Whole(0, 2**31 - 1), MAX_TARGET)
        self._shape = None
        self._first = self._write((task, verse.read("text", text), ()), MAX_TARGET)
        self._shape = n_layers, n_heads = self._first.attention.weights.shape[:2]
        super().__init__(
            {"place": min(place, len(self._first.written.ids) - 1)},
            task=OneOf(tasks, start=task),
            text=verse,
            forced=After("task", "text", lambda *_: forced),  # the ids with which the target begins
            step=After("task", "text", "forced", lambda *_: Whole(0, MAX_TARGET, start=MAX_TARGET)),
            place=Whole(0, MAX_TARGET - 1),
            layer=OneOf(range(n_layers), start=n_layers - 1),
            head=OneOf([MEAN, *range(n_heads)]),
        )

    def compute(self, state: dict) -> Draft:
        asked, found = (state["task"], state["text"], tuple(state["forced"])), self.found or self._first
        if found.asked != asked:
            before = found.written.ids if found.asked[0] == asked[0] else []
            found = self._write(asked, PACE, before)
        elif state["step"] > len(found.written.ids) and not found.done:
            found = self._write(asked, PACE, found.before, found.written.ids)
        state["step"] = min(state["step"], len(found.written.ids))
        state["place"] = min(state["place"], max(state["step"] - 1, 0))
        return found

    def _write(self, asked: tuple, more: int, before: list[int] = (), ids: list[int] | None = None) -> Draft:
        """What is asked for, `more` tokens after those of `ids`, which are written already."""
        task, text, forced = asked
        begun = list(forced) if ids is None else ids
        written = self._translate(task, text, begun, min(more, MAX_TARGET - len(begun)))
        attention = Attention(written.target, written.weights, written.source)
        if self._shape not in (None, attention.weights.shape[:2]):
            raise ValueError(
                f"translate gave the weights of {self._shape} layers and heads before, and now of "
                f"{attention.weights.shape[:2]}: they are of one model"
            )
        if not all(0 <= p <= 1 for p in written.p):  # also NaN
            raise ValueError(f"translate gives probabilities from 0 to 1; got {written.p[:5]}")
        return Draft(asked, written, attention, list(before))

    # ---- the weights in view -------------------------------------------------------------------------

    def _map(self) -> np.ndarray:
        """The weights (target, source) of the head in view, or the mean of all."""
        layer = self.found.attention.weights[self.state["layer"]]
        return layer.mean(0) if self.state["head"] == MEAN else layer[self.state["head"]]

    def _packed(self) -> dict:
        weights = self.found.attention.weights
        large = max(weights.shape[2:]) > WHOLE
        layers = [self.state["layer"]] if large else range(len(weights))
        return {str(layer): packed(weights[layer], None).tobytes() for layer in layers}

    def _in_view(self) -> tuple:
        return self.found, self.state["layer"] if max(self._map().shape) > WHOLE else None

    @traitlets.default("weights")
    def _first_weights(self) -> dict:
        self._weights_of = self._in_view()
        return self._packed()

    def show(self, request_id: str = "", problem: str = "") -> None:
        with self.hold_sync():
            if self._weights_of != self._in_view():
                self.weights = self._first_weights()
            super().show(request_id, problem)

    # ---- what is seen --------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "examples": {name: list(example) for name, example in self._examples.items()},
            "tasks": self._tasks,
            "n_heads": self._shape[1],
        }

    def notices(self) -> list[str]:
        written = self.found.written
        stopped = not written.ended and len(written.ids) >= MAX_TARGET
        stop = [f"No end came in {MAX_TARGET} tokens, where writing stops."] * stopped
        return [*written.notices, *stop, *self.found.attention.warnings]

    def _forced(self) -> list[int]:
        """The places of tokens that the model would not have written by itself."""
        written = self.found.written
        n = min(len(self.state["forced"]), len(written.ids))
        return [place for place in range(n) if written.p[place] < written.candidates[place][0].p - 1e-6]

    def view(self) -> dict:
        written, place, n = self.found.written, self.state["place"], len(self.found.written.ids)
        return {
            "n_steps": n if self.found.done else min(n + PACE, MAX_TARGET),
            "written": n,
            "source": [shortened(token) for token in written.source],
            "target": [shortened(token) for token in written.target],
            "ids": written.ids,
            "p": written.p,
            "candidates": [[i, shortened(token), p] for i, token, p in written.candidates[place]],
            "by_hand": self._forced(),
            "changed": self.found.changed,
            "text_now": written.text(self.state["step"]),
            "row": self._map()[place].astype("<f4").tobytes(),  # (source,): exact, the bytes are not
        }

    def _head_in_words(self) -> str:
        head = self.state["head"]
        which = f"the mean of {plural(self._shape[1], 'head')}" if head == MEAN else f"head {head}"
        return f"layer {self.state['layer']}, {which}"

    def describe(self) -> str:
        written, step, place = self.found.written, self.state["step"], self.state["place"]
        source = f"{self._tasks[self.state['task']]}: {phrase(shortened(self.state['text'], 160))}"
        if not step:
            return f"{source}: nothing is written yet."
        n = len(written.ids)
        said = (
            f"{source} becomes {phrase(shortened(written.text(step), 160))}, {step} of {plural(n, 'token')}. "
        )
        said += f"Token {place + 1}, {quoted(written.target[place])}, has {percent(written.p[place])}"
        others = [each for each in written.candidates[place] if each.id != written.ids[place]][:2]
        if others:
            said += f"; {', '.join(f'{quoted(token)} {percent(p)}' for _, token, p in others)}"
        looks = strongest_in_words(self._map()[place], written.source, len(written.source), first=1)
        said += f". For it {self._head_in_words()}, looks at {looks}."
        if forced := self._forced():
            said += f" Put in by hand: {', '.join(quoted(written.target[i]) for i in forced)}."
        if changed := self.found.changed:
            said += f" Not in the translation before: {plural(len(changed), 'token')}."
        return said

    def picture(self, figure: Figure) -> None:
        written, step = self.found.written, max(self.state["step"], 1)
        axes = figure.add_subplot()
        draw_map(axes, packed(self._map()[:step], None), written.target[:step], written.source, PICTURED)
        axes.set(xlabel="source", ylabel="written")
        title = f"Where {self._head_in_words()}, looks in the source for each token"
        axes.set_title(title, loc="left", fontsize=9)
        figure.set_size_inches(7.6, min(3 + 0.14 * step, 8))
