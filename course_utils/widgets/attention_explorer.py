"""The attention explorer: which tokens a head looks at, and what changes when a head is taken away."""

import json
from collections.abc import Callable

import matplotlib
import numpy as np
import traitlets
from matplotlib.figure import Figure

from course_utils.widgets.attention_arrays import (
    FULL,
    HOWS,
    MASKED,
    Attention,
    combined,
    edited,
    packed,
    pooled,
    row_entropy,
    without,
)
from course_utils.widgets.base import Widget
from course_utils.widgets.words import SIGNS, plural, quoted, visible

WHOLE = 256  # up to so many tokens every layer crosses at the start; above, the layer in view
SMALL = 48  # width of a small map that crosses in place of a layer
PICTURED = 128  # queries and keys in the still picture: it stays small in the notebook
COMBINED = ("one", "mean", "max")
LONGEST_TOKEN = 60  # characters shown

Edits = list[dict]
Prediction = list[tuple[str, float]]


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
    given = traitlets.Dict().tag(sync=True)  # what never changes, and the packed weights; crosses once
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
        self._edited, self._fresh_for = (None, None), None  # what was last computed, and for what
        first = next(iter(self._attentions))
        self.asked = {
            "attention": first,
            "layer": layer,
            "head": head,
            "chosen": [head],
            "combine": "one",
            "query": self._first_query(first) if query is None else query,
            "hide": [],
            "renormalise": False,
            "edits": [],
        }
        self.handle({})
        # all that is large crosses in the message that opens the widget
        super().__init__(given={name: self._given(name) for name in self._attentions})
        self.show()

    def _first_query(self, name: str) -> int:
        attention = self._attentions[name]
        last = len(attention.tokens) - 1
        return last if "causal" in attention.mask_in_words else last // 2

    # ---- asking ----------------------------------------------------------------------------------

    def handle(self, request: dict) -> None:
        """What the learner chose: the places in view, the keys to hide, and all edits so far."""
        asked = self.asked | {name: request[name] for name in self.asked if name in request}
        _one_of("attention", asked["attention"], self._attentions)
        n_layers, n_heads, n_queries, _ = self._attentions[asked["attention"]].weights.shape
        _one_of("layer", asked["layer"], range(n_layers))
        for head in [asked["head"], *asked["chosen"]]:
            _one_of("head", head, range(n_heads))
        _one_of("query", asked["query"], range(n_queries))
        _one_of("combine", asked["combine"], COMBINED)
        for name in asked["hide"]:
            _one_of("hide", name, self._attentions[asked["attention"]].sinks)
        if not asked["chosen"]:
            raise ValueError("choose at least one head")
        for edit in asked["edits"]:
            self._check(edit)
        self.prediction, self.intact = self._predicted(asked["edits"]), self._predicted([])
        self.asked = asked

    def _check(self, edit: dict) -> None:
        n_layers, n_heads, *_ = self._of(edit).weights.shape
        _one_of("how", edit["how"], HOWS)
        _one_of("layer", edit["layer"], range(n_layers))
        for head in ("head", "with") if edit["how"] == "swap" else ("head",):
            _one_of(head, edit[head], range(n_heads))
        if edit["how"] == "previous" and self._of(edit).cross:
            raise ValueError("“previous token” needs queries and keys of the same text")

    def _of(self, edit: dict) -> Attention:
        name = edit.get("attention", next(iter(self._attentions)))
        _one_of("attention", name, self._attentions)
        return self._attentions[name]

    def _predicted(self, edits: Edits) -> Prediction:
        if self._predict is None:
            return []
        known = json.dumps(edits, sort_keys=True)
        if known not in self._predictions:
            pairs = [(visible(str(label)), float(p)) for label, p in self._predict([dict(e) for e in edits])]
            if strange := [p for _, p in pairs if not 0 <= p <= 1]:  # also NaN
                raise ValueError(f"predict returns probabilities from 0 to 1; {strange[0]} came")
            self._predictions[known] = pairs
        return self._predictions[known]

    # ---- the weights as they are now ---------------------------------------------------------------

    def _edits_of(self, name: str, layer: int) -> Edits:
        return [
            e for e in self.asked["edits"] if e["layer"] == layer and self._of(e) is self._attentions[name]
        ]

    def layer_weights(self, name: str, layer: int) -> np.ndarray:
        """The weights (heads, queries, keys) of a layer, with the edits of its own heads."""
        attention, edits = self._attentions[name], self._edits_of(name, layer)
        if not edits:
            return attention.weights[layer]
        if self._edited[0] != (
            name,
            layer,
            edits,
        ):  # the last one is kept: an answer asks for it several times
            may = None if attention.may is None else attention.may[layer]
            self._edited = (name, layer, edits), edited(attention.weights[layer], edits, may)
        return self._edited[1]

    def row(self, whole: bool = False) -> np.ndarray:
        """The row in view (keys,): one head or several combined; hidden keys are in it only if `whole`."""
        asked = self.asked
        rows = self.layer_weights(asked["attention"], asked["layer"])[:, asked["query"]]
        row = combined(rows[self._heads()], asked["combine"])
        return row if whole else without(row, self._hidden(), asked["renormalise"])

    def _hidden(self) -> list[int]:
        sinks = self._attentions[self.asked["attention"]].sinks
        return sorted({place for name in self.asked["hide"] for place in sinks[name]})

    def _allowed(self) -> np.ndarray:
        """The keys (keys,) that the row in view may attend to, without those that are hidden."""
        attention, asked = self._attentions[self.asked["attention"]], self.asked
        if attention.may is None:
            allowed = np.ones(len(attention.keys), dtype=bool)
        else:
            allowed = attention.may[asked["layer"], self._heads(), asked["query"]].any(0)
        allowed[self._hidden()] = False
        return allowed

    def _heads(self) -> list[int]:
        return [self.asked["head"]] if self.asked["combine"] == "one" else sorted(self.asked["chosen"])

    # ---- what crosses ------------------------------------------------------------------------------

    def _given(self, name: str) -> dict:
        attention = self._attentions[name]
        whole = max(attention.weights.shape[2:]) <= WHOLE
        layers = range(attention.weights.shape[0])
        return {
            "tokens": [_short(token) for token in attention.tokens],
            "keys": [_short(key) for key in attention.keys],
            "cross": attention.cross,
            "n_heads": attention.weights.shape[1],
            "caption": f"{attention.mask_in_words}; {attention.scale_in_words}",
            "masked": attention.may is not None and not bool(attention.may.all()),
            "warnings": attention.warnings,
            "sinks": {visible(sink): places for sink, places in attention.sinks.items()},
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
        name = self.asked["attention"]
        large = max(self._attentions[name].weights.shape[2:]) > WHOLE
        changed = {edit["layer"] for edit in self.asked["edits"] if self._of(edit) is self._attentions[name]}
        wanted = {self.asked["layer"]} if large else changed
        codes = {layer: self._packed(name, layer) for layer in sorted(changed | wanted)}
        return {
            "attention": name,
            "layers": {str(layer): codes[layer].tobytes() for layer in wanted},
            "small": {str(layer): pooled(codes[layer], SMALL).tobytes() for layer in changed if large},
        }

    def show(self, request_id: str = "", problem: str = "") -> None:
        fresh_for = (self.asked["attention"], self.asked["layer"], self.asked["edits"])
        with self.hold_sync():
            if fresh_for != self._fresh_for:
                self._fresh_for, self.fresh = fresh_for, self._fresh()
            super().show(request_id, problem)

    def view(self) -> dict:
        asked = self.asked
        attention = self._attentions[asked["attention"]]
        rows = self.layer_weights(asked["attention"], asked["layer"])[:, asked["query"]]
        if attention.may is not None:
            rows = np.where(attention.may[asked["layer"], :, asked["query"]], rows, np.float32("nan"))
        return asked | {
            "row": rows.astype("<f4").tobytes(),  # (heads, keys), NaN where masked: exact, the maps are not
            "predicts": self._predict is not None,
            "prediction": self.prediction,
            "intact": self.intact,
            "edits_in_words": self._edits_in_words(),
        }

    # ---- words -------------------------------------------------------------------------------------

    def _edits_in_words(self) -> dict[str, list[int]]:
        """The edits in words, and which they are: heads of a layer that got the same are one."""
        alike = {}
        for i, edit in enumerate(self.asked["edits"]):
            other = f" {edit['with']}" if edit["how"] == "swap" else ""
            key = (edit.get("attention", ""), edit["layer"], HOWS[edit["how"]] + other)
            alike.setdefault(key, []).append(i)
        words = {}
        for (name, layer, how), places in alike.items():
            heads = _plural("head", [self.asked["edits"][i]["head"] for i in places])
            words[f"{name + ', ' if name else ''}layer {layer}, {heads}: {how}"] = places
        return words

    def describe(self) -> str:
        asked, attention = self.asked, self._attentions[self.asked["attention"]]
        row, allowed = self.row(), self._allowed()
        heads = _plural("head", self._heads())
        if asked["combine"] != "one":
            heads = f"{asked['combine']} of {heads}"
        name = f"{visible(asked['attention'])} attention, " if asked["attention"] else ""
        where = f"{name}layer {asked['layer']}, {heads}"
        best = [int(i) for i in np.lexsort((np.arange(len(row)), -row))[:3] if row[i] > 0]
        looks = (
            ", ".join(f"{quoted(_cut(attention.keys[i]))} ({i}) {_percent(row[i])}" for i in best)
            or "nothing"
        )
        rest = int(allowed.sum()) - len(best)
        if best and rest > 0:
            looks += f", {plural(rest, 'other key')} {_percent(max(0.0, row.sum() - row[best].sum()))}"
        query = f"{quoted(_cut(attention.tokens[asked['query']]))} ({asked['query']})"
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
        rest = "divided by what is left" if self.asked["renormalise"] else "as they were"
        names = ", ".join(map(visible, self.asked["hide"]))
        return f"Hidden: {names}, with {_percent(share)} of this row; the others are {rest}."

    def _predicted_in_words(self) -> list[str]:
        if not self.prediction:
            return []
        label, p = max(self.prediction, key=lambda pair: pair[1])
        if not self.asked["edits"]:
            return [f"Prediction: {quoted(label)} {_percent(p)}."]
        intact, before = max(self.intact, key=lambda pair: pair[1])
        edits = "; ".join(self._edits_in_words())
        return [f"With {edits}: {quoted(label)} {_percent(p)}; intact {quoted(intact)} {_percent(before)}."]

    def picture(self, figure: Figure) -> None:
        asked, attention = self.asked, self._attentions[self.asked["attention"]]
        heads, layer = self._heads(), asked["layer"]
        chosen = combined(self.layer_weights(asked["attention"], layer)[heads], asked["combine"])
        may = None if attention.may is None else attention.may[layer, heads].any(0)
        codes = pooled(packed(without(chosen, self._hidden(), asked["renormalise"]), may), PICTURED)
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        n_queries, n_keys = chosen.shape
        image = left.imshow(
            np.ma.masked_equal(codes, MASKED),
            cmap=matplotlib.colormaps["cividis"].with_extremes(bad="white"),
            vmin=0,
            vmax=FULL,
            extent=(-0.5, n_keys - 0.5, n_queries - 0.5, -0.5),
            aspect="auto",
            interpolation="nearest",  # smoothed, a noisy head takes more than twice the bytes
        )
        for side, names in (("x", attention.keys), ("y", attention.tokens)):
            if len(names) <= 24:
                labels = [_short(name, 12).translate(SIGNS) for name in names]
                getattr(left, f"set_{side}ticks")(range(len(names)), labels, fontsize=7)
        left.tick_params(axis="x", rotation=90)
        left.set(xlabel="keys (white: masked)" if attention.may is not None else "keys", ylabel="queries")
        left.set_title(f"Layer {layer}, {_plural('head', heads)}", loc="left", fontsize=9)
        bar = figure.colorbar(image, ax=left, ticks=FULL * np.sqrt([0, 0.01, 0.05, 0.25, 0.5, 1]))
        bar.ax.set_yticklabels(["0", "1 %", "5 %", "25 %", "50 %", "100 %"], fontsize=7)
        row = self.row()
        top = np.argsort(-row, kind="stable")[:12][::-1]
        right.barh(range(len(top)), row[top], color="#0072b2")
        labels = [f"{_short(attention.keys[i], 16).translate(SIGNS)}  {i}" for i in top]
        right.set_yticks(range(len(top)), labels, fontsize=8)
        right.set_xlim(0, 1)
        query = quoted(_cut(attention.tokens[asked["query"]], 16))
        right.set_title(f"What query {query} ({asked['query']}) attends to", loc="left", fontsize=9)
        right.spines[["top", "right"]].set_visible(False)


def _one_of(name: str, value, allowed) -> None:
    if value not in allowed:
        few = f"0 to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(repr, allowed))
        raise ValueError(f"{name} is one of {few}; {value!r} came")


def _plural(noun: str, numbers: list[int]) -> str:
    return f"{noun}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _percent(p: float) -> str:
    return f"{100 * p:.1f} %"


def _cut(text: str, longest: int = LONGEST_TOKEN) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _short(text: str, longest: int = LONGEST_TOKEN) -> str:
    """A token as a page or a picture can hold it."""
    return visible(_cut(text, longest))
