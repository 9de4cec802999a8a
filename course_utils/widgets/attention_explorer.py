"""The attention explorer: which tokens a head looks at, and what changes when a head is taken away."""

import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import traitlets
from matplotlib.figure import Figure

from course_utils.widgets.attention_arrays import (
    HOWS,
    Attention,
    combined,
    edited,
    packed,
    pooled,
    row_entropy,
    strongest_in_words,
    without,
)
from course_utils.widgets.attention_pictures import draw_map
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Flag, List, OneOf, Record, Some, Spec, Whole
from course_utils.widgets.words import percent, quoted, shortened, signs, visible

WHOLE = 256  # up to so many tokens every layer crosses at the start; above, the layer in view
SMALL = 48  # width of a small map that crosses in place of a layer
PICTURED = 128  # queries and keys in the still picture: it stays small in the notebook
COMBINED = ("one", "mean", "max")

Edits = list[dict]
Prediction = list[tuple[str, float]]


class Predicted(NamedTuple):
    """What the model predicts with the edits, and without any; both empty where no model was given."""

    edited: Prediction
    intact: Prediction


class Edit(Spec):
    """What is done to one head, {"layer": 0, "head": 3, "how": "uniform"}; of which attention, if several."""

    says = f"an edit of a head, by its layer, head and how: {', '.join(HOWS)}"

    def __init__(self, attentions: dict[str, Attention]):
        self.attentions = attentions

    def read(self, name, value):
        if not isinstance(value, dict):
            self.refuse(name, value)
        first = next(iter(self.attentions))
        whose = OneOf(self.attentions)
        attention = self.attentions[whose.read(f"{name}.attention", value.get("attention", first))]
        n_layers, n_heads, *_ = attention.weights.shape
        head = Whole(0, n_heads - 1)
        items = {
            "attention": whose,
            "layer": Whole(0, n_layers - 1),
            "head": head,
            "how": OneOf(HOWS),
            "with": head,
        }
        optional = {"attention"} if value.get("how") == "swap" else {"attention", "with"}
        edit = Record(items, optional).read(name, value)
        if edit["how"] == "previous" and attention.cross:
            raise ValueError("“previous token” needs queries and keys of the same text")
        return edit


class AttentionExplorer(Widget):
    """See every head of an attention, and change one.

    tokens, weights, keys, mask, scale, sinks: what `Attention` takes, for one attention. Or `tokens` is
        {name: Attention(...)}, such as the encoder, decoder and cross attention of one model: the learner
        chooses one.
    predict(edits): what the model predicts with these edits of its heads, as (label, probability) pairs.
        An edit is {"layer": 0, "head": 3, "how": "uniform"}; `how` is "ablate", "uniform", "diagonal",
        "previous", or "swap" with the other head under "with". If there are several attentions, "attention"
        has the name of one. `attention_arrays.edited` applies edits to the weights of a layer.
    layer, head, query: where the learner begins; by default the last query of a causal mask, else the middle.

    Layers, heads and positions count from 0, as in weights[layer, head]. Raises ValueError for what
    `Attention` refuses, and for a place that there is not.
    """

    scripts = ("attention_arrays", "attention_parts")
    fresh = traitlets.Dict().tag(sync=True)  # layers that edits changed, or above WHOLE the one in view

    def __init__(
        self,
        tokens: list[str] | dict[str, Attention],
        weights: np.ndarray | None = None,
        keys: list[str] | None = None,
        mask: np.ndarray | None = None,
        *,
        scale: float | str = "not given",
        sinks: dict[str, list[int]] | None = None,
        predict: Callable[[Edits], Prediction] | None = None,
        layer: int = 0,
        head: int = 0,
        query: int | None = None,
    ):
        if isinstance(tokens, dict):
            self._attentions = dict(tokens)
        else:
            self._attentions = {"": Attention(tokens, weights, keys, mask, scale, sinks)}
        self._predict, self._predictions = predict, {}
        self._edited = None, None  # the layer that was edited last, and its weights
        heads = sum(np.prod(attention.weights.shape[:2]) for attention in self._attentions.values())

        def of_attention(make: Callable[[str], Spec]) -> After:
            return After("attention", make, stays=True)

        super().__init__(
            {"layer": layer, "head": head, "chosen": [head]} | ({} if query is None else {"query": query}),
            attention=OneOf(self._attentions),
            layer=of_attention(lambda name: Whole(0, self._shape(name)[0] - 1)),
            head=of_attention(lambda name: Whole(0, self._shape(name)[1] - 1)),
            query=of_attention(lambda name: Whole(0, self._shape(name)[2] - 1, start=self._middle(name))),
            chosen=of_attention(lambda name: Some(range(self._shape(name)[1]), start=[0])),
            combine=OneOf(COMBINED),
            hide=of_attention(lambda name: Some(self._attentions[name].sinks, start=[])),
            renormalise=Flag(),
            edits=List(Edit(self._attentions), int(heads)),
        )

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._attentions[name].weights.shape

    def _middle(self, name: str) -> int:
        """The query that is in view at first: a causal mask leaves most to the last."""
        attention = self._attentions[name]
        last = len(attention.tokens) - 1
        return last if "causal" in attention.mask_in_words else last // 2

    def compute(self, state: dict) -> Predicted:
        if not state["chosen"]:
            raise ValueError("choose at least one head")
        return Predicted(self._predicted(state["edits"]), self._predicted([]))

    def _of(self, edit: dict) -> Attention:
        return self._attentions[edit.get("attention", next(iter(self._attentions)))]

    def _predicted(self, edits: Edits) -> Prediction:
        if self._predict is None:
            return []
        known = json.dumps(edits, sort_keys=True)
        if known not in self._predictions:
            pairs = [(visible(str(label)), float(p)) for label, p in self._predict([dict(e) for e in edits])]
            if strange := [p for _, p in pairs if not 0 <= p <= 1]:  # also NaN
                raise ValueError(f"predict returns probabilities from 0 to 1; got {strange[0]}")
            self._predictions[known] = pairs
        return self._predictions[known]

    # ---- the weights as they are now ---------------------------------------------------------------

    def _edits_of(self, name: str, layer: int) -> Edits:
        return [
            e for e in self.state["edits"] if e["layer"] == layer and self._of(e) is self._attentions[name]
        ]

    def layer_weights(self, name: str, layer: int) -> np.ndarray:
        """The weights (heads, queries, keys) of a layer, with the edits of its own heads."""
        attention, edits = self._attentions[name], self._edits_of(name, layer)
        if not edits:
            return attention.weights[layer]
        if self._edited[0] != (name, layer, edits):  # kept: an answer asks for it several times
            may = None if attention.may is None else attention.may[layer]
            self._edited = (name, layer, edits), edited(attention.weights[layer], edits, may)
        return self._edited[1]

    def row(self, whole: bool = False) -> np.ndarray:
        """The row in view (keys,): one head or several combined; hidden keys are in it only if `whole`."""
        state = self.state
        rows = self.layer_weights(state["attention"], state["layer"])[:, state["query"]]
        row = combined(rows[self._heads()], state["combine"])
        return row if whole else without(row, self._hidden(), state["renormalise"])

    def _hidden(self) -> list[int]:
        sinks = self._attentions[self.state["attention"]].sinks
        return sorted({place for name in self.state["hide"] for place in sinks[name]})

    def _allowed(self) -> np.ndarray:
        """The keys (keys,) that the row in view may attend to, without those that are hidden."""
        attention, state = self._attentions[self.state["attention"]], self.state
        if attention.may is None:
            allowed = np.ones(len(attention.keys), dtype=bool)
        else:
            allowed = attention.may[state["layer"], self._heads(), state["query"]].any(0)
        allowed[self._hidden()] = False
        return allowed

    def _heads(self) -> list[int]:
        return [self.state["head"]] if self.state["combine"] == "one" else sorted(self.state["chosen"])

    # ---- what crosses ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"attentions": {name: self._packed_attention(name) for name in self._attentions}}

    def _packed_attention(self, name: str) -> dict:
        attention = self._attentions[name]
        whole = max(attention.weights.shape[2:]) <= WHOLE
        layers = range(attention.weights.shape[0])
        return {
            "tokens": [shortened(token) for token in attention.tokens],
            "keys": [shortened(key) for key in attention.keys],
            "cross": attention.cross,
            "n_heads": attention.weights.shape[1],
            "caption": f"{attention.mask_in_words}; {attention.scale_in_words}",
            "masked": attention.may is not None and not bool(attention.may.all()),
            "warnings": attention.warnings,
            "sinks": attention.sinks,
            "layers": [self._packed(name, layer).tobytes() if whole else None for layer in layers],
            "small": [
                None if whole else pooled(self._packed(name, layer), SMALL).tobytes() for layer in layers
            ],
        }

    def _packed(self, name: str, layer: int) -> np.ndarray:
        may = self._attentions[name].may
        return packed(self.layer_weights(name, layer), None if may is None else may[layer])

    def _fresh(self) -> dict:
        """Layers as they are now, by number: those with edits, and above WHOLE tokens the one in view."""
        name = self.state["attention"]
        large = max(self._attentions[name].weights.shape[2:]) > WHOLE
        changed = {edit["layer"] for edit in self.state["edits"] if self._of(edit) is self._attentions[name]}
        wanted = {self.state["layer"]} if large else changed
        codes = {layer: self._packed(name, layer) for layer in sorted(changed | wanted)}
        return {
            "attention": name,
            "layers": {str(layer): codes[layer].tobytes() for layer in wanted},
            "small": {str(layer): pooled(codes[layer], SMALL).tobytes() for layer in changed if large},
        }

    @traitlets.default("fresh")
    def _first_fresh(self) -> dict:
        self._fresh_for = self._weights_in_view()
        return self._fresh()

    def _weights_in_view(self) -> tuple:
        return self.state["attention"], self.state["layer"], self.state["edits"]

    def show(self, request_id: str = "", problem: str = "") -> None:
        with self.hold_sync():
            if self._fresh_for != self._weights_in_view():
                self.fresh = self._first_fresh()
            super().show(request_id, problem)

    def view(self) -> dict:
        state = self.state
        attention = self._attentions[state["attention"]]
        rows = self.layer_weights(state["attention"], state["layer"])[:, state["query"]]
        if attention.may is not None:
            rows = np.where(attention.may[state["layer"], :, state["query"]], rows, np.float32("nan"))
        return {
            "row": rows.astype("<f4").tobytes(),  # (heads, keys), NaN where masked: exact, the maps are not
            "predicts": self._predict is not None,
            "prediction": self.found.edited,
            "intact": self.found.intact,
            "edits_in_words": self._edits_in_words(),
        }

    # ---- words -------------------------------------------------------------------------------------

    def _edits_in_words(self) -> dict[str, list[int]]:
        """The edits in words, and which they are: heads of a layer that got the same are one."""
        alike = {}
        for i, edit in enumerate(self.state["edits"]):
            other = f" {edit['with']}" if edit["how"] == "swap" else ""
            key = (edit.get("attention", ""), edit["layer"], HOWS[edit["how"]] + other)
            alike.setdefault(key, []).append(i)
        words = {}
        for (name, layer, how), places in alike.items():
            heads = _numbered("head", [self.state["edits"][i]["head"] for i in places])
            words[f"{name + ', ' if name else ''}layer {layer}, {heads}: {how}"] = places
        return words

    def describe(self) -> str:
        state, attention = self.state, self._attentions[self.state["attention"]]
        row, allowed = self.row(), self._allowed()
        heads = _numbered("head", self._heads())
        if state["combine"] != "one":
            heads = f"{state['combine']} of {heads}"
        name = f"{visible(state['attention'])} attention, " if state["attention"] else ""
        where = f"{name}layer {state['layer']}, {heads}"
        looks = strongest_in_words(row, attention.keys, int(allowed.sum()))
        query = f"{quoted(shortened(attention.tokens[state['query']]))} ({state['query']})"
        sentence = (
            f"{where[0].upper()}{where[1:]} ({attention.mask_in_words}; {attention.scale_in_words}): "
            f"query {query} attends to {looks}; row entropy {row_entropy(row):.2f} of at most "
            f"{np.log2(max(int(allowed.sum()), 1)):.2f} bits."
        )
        for said in (self._hidden_in_words(), *self._predicted_in_words(), *attention.warnings):
            sentence += f" {said}" if said else ""
        return sentence

    def _hidden_in_words(self) -> str:
        hidden = self._hidden()
        if not hidden:
            return ""
        share = self.row(whole=True)[hidden].sum()
        rest = "divided by what is left" if self.state["renormalise"] else "as they were"
        names = ", ".join(map(visible, self.state["hide"]))
        return f"Hidden: {names}, with {percent(share)} of this row; the others are {rest}."

    def _predicted_in_words(self) -> list[str]:
        if not self.found.edited:
            return []
        label, p = max(self.found.edited, key=lambda pair: pair[1])
        if not self.state["edits"]:
            return [f"Prediction: {quoted(label)} {percent(p)}."]
        intact, before = max(self.found.intact, key=lambda pair: pair[1])
        edits = "; ".join(self._edits_in_words())
        return [f"With {edits}: {quoted(label)} {percent(p)}; intact {quoted(intact)} {percent(before)}."]

    def picture(self, figure: Figure) -> None:
        state, attention = self.state, self._attentions[self.state["attention"]]
        heads, layer = self._heads(), state["layer"]
        chosen = combined(self.layer_weights(state["attention"], layer)[heads], state["combine"])
        may = None if attention.may is None else attention.may[layer, heads].any(0)
        codes = pooled(packed(without(chosen, self._hidden(), state["renormalise"]), may), PICTURED)
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        draw_map(left, codes, attention.tokens, attention.keys)
        left.set(xlabel="keys (white: masked)" if attention.may is not None else "keys", ylabel="queries")
        left.set_title(f"Layer {layer}, {_numbered('head', heads)}", loc="left", fontsize=9)
        row = self.row()
        top = np.argsort(-row, kind="stable")[:12][::-1]
        right.barh(range(len(top)), row[top], color="#0072b2")
        labels = [f"{signs(shortened(attention.keys[i], 16))}  {i}" for i in top]
        right.set_yticks(range(len(top)), labels, fontsize=8)
        right.set_xlim(0, 1)
        query = quoted(shortened(attention.tokens[state["query"]], 16))
        right.set_title(f"What query {query} ({state['query']}) attends to", loc="left", fontsize=9)
        right.spines[["top", "right"]].set_visible(False)


def _numbered(noun: str, numbers: list[int]) -> str:
    return f"{noun}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
