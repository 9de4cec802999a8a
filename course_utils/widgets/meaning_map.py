"""The meaning map: one word's vectors in many sentences, drawn in two dimensions, layer by layer."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.measuring.neighbours import cosines, others, together
from course_utils.widgets.base import Widget
from course_utils.widgets.gradient_horizon import LOOKS
from course_utils.widgets.state import OneOf, Whole
from course_utils.widgets.words import percent, phrase, quoted, shortened, signs

MAX_OCCURRENCES = 120  # points that can be told apart, each with a line of the list
MAX_CHARACTERS = 300  # of a sentence, around its word
NEAREST = 3  # neighbours that are named
SCALES = "one for all layers", "this layer's own"

Place = tuple[str, int, int]  # a sentence, and where the word begins and ends in it


class MeaningMap(Widget):
    """Pick a point to read its sentence; choose a layer and see where the senses of a word part.

        MeaningMap(word_vectors(model, tokenizer, places), places, ["river", "money", ...])

    vectors: what each layer has for each occurrence; layer 0 is what goes into the first block.
    places: each occurrence as (sentence, start, end), the word being sentence[start:end].
    labels: the sense of each, up to six; without, all points look alike and no accuracy is told.
    layer: at the start; the last if None.

    The map is a principal component analysis (Pearson 1901) by numpy's SVD, of the vectors of a layer at
    length 1, so that points are near where cosines are high: two axes for all of its dimensions, so it
    shows a part. Neighbours, and the accuracy by them, are found in all dimensions.

    Raises ValueError for vectors that are no such array, not finite or 0, fewer than three occurrences or
    more than 120, places or labels of another number, a place out of its sentence, and more than six labels.
    """

    def __init__(
        self,
        vectors: Float[np.ndarray, "layers occurrences width"],
        places: Iterable[Place],
        labels: Sequence[str] | None = None,
        layer: int | None = None,
    ):
        vectors, places = np.asarray(vectors, dtype=np.float64), list(places)
        if vectors.ndim != 3 or not 3 <= vectors.shape[1] <= MAX_OCCURRENCES or not vectors.size:
            raise ValueError(
                f"vectors have the shape (layers, occurrences, width), with 3 to {MAX_OCCURRENCES} "
                f"occurrences; got {vectors.shape}"
            )
        n = vectors.shape[1]
        self._labels = [""] * n if labels is None else list(map(str, labels))
        self._kinds = list(dict.fromkeys(self._labels))
        if len(places) != n or len(self._labels) != n:
            raise ValueError(
                f"each of the {n} vectors of a layer has its place and its label; got {len(places)} places "
                f"and {len(self._labels)} labels"
            )
        if len(self._kinds) > len(LOOKS):
            raise ValueError(f"up to {len(LOOKS)} labels can be told apart; got {len(self._kinds)}")
        self._sentences = [_in_three(*place) for place in places]
        alike = [cosines(layer) for layer in vectors]
        self._others = np.stack([others(each)[:, :NEAREST] for each in alike])  # (layers, n, NEAREST)
        self._alike = np.stack(
            [np.take_along_axis(*pair, 1) for pair in zip(alike, self._others, strict=True)]
        )
        told = labels is not None and len(self._kinds) > 1
        self._together = [together(each, self._labels) for each in alike] if told else []
        self._map, self._shares = _maps(vectors)
        last = len(vectors) - 1
        super().__init__(
            layer=Whole(0, last, start=Whole(0, last).read("layer", last if layer is None else layer)),
            chosen=Whole(0, n - 1),
            scale=OneOf(SCALES),
        )

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "looks": [look[:2] for look in LOOKS],
            "kinds": self._kinds,
            "labels": [self._kinds.index(label) for label in self._labels],
            "sentences": self._sentences,
            "map": self._map.astype(np.float32).tobytes(),  # (layers, n, 2)
            "shares": self._shares.tolist(),  # (layers, 2)
            "others": self._others.tolist(),
            "alike": self._alike.round(4).tolist(),
            "together": [list(one) for one in self._together],
        }

    def describe(self) -> str:
        layer, i = self.state["layer"], self.state["chosen"]
        said = [f"Layer {layer} of {len(self._map) - 1}: {self._accuracy(layer)}"]
        said.append(f"the two axes hold {percent(self._shares[layer].sum())} of the variance.")
        first = self._others[layer, i, 0]
        said.append(
            f"Chosen: {self._named(i)}; its nearest is {self._named(first)} "
            f"(cosine {self._alike[layer, i, 0]:.2f})."
        )
        return " ".join(said)

    def _accuracy(self, layer: int) -> str:
        if not self._together:
            return f"{len(self._labels)} occurrences;"
        found = self._together[layer]
        return (
            f"for {percent(found.accuracy)} of {len(self._labels)} occurrences the nearest neighbour has "
            f"the same label (chance: {percent(found.commonest)} by the commoner label, "
            f"{percent(found.shuffled)} with labels shuffled, {percent(found.low)} to {percent(found.high)} "
            "in 95 of 100 shuffles);"
        )

    def _named(self, i: int) -> str:
        before, word, after = self._sentences[i]
        text = f"{shortened(before, 30, end=True)}{word}{shortened(after, 30)}"
        label = self._labels[i]
        return phrase(text) + (f", {quoted(label)}" if label else "")

    def picture(self, figure: Figure) -> None:
        layer, i = self.state["layer"], self.state["chosen"]
        points, (first, second) = self._map[layer], self._shares[layer]
        if self._together:
            axes, under = figure.subplots(1, 2, width_ratios=[1.5, 1])
            shares = np.array(self._together)
            under.fill_between(
                range(len(shares)), shares[:, 3], shares[:, 4], color="0.9", label="95 % of shuffles"
            )
            under.axhline(shares[0, 1], color="black", linestyle="--", label="the commoner label")
            under.plot(shares[:, 0], color="#0072b2", marker="o", label="nearest neighbour")
            under.axvline(layer, color="0.6", linewidth=1)
            under.set(xlabel="layer", ylabel="same label", ylim=(0, 1.02))
            under.legend(frameon=False, fontsize=8, loc="lower right")
            under.spines[["top", "right"]].set_visible(False)
        else:
            axes = figure.add_subplot()
        for kind, (colour, _, mark) in zip(self._kinds, LOOKS, strict=False):
            x, y = points[[label == kind for label in self._labels]].T
            axes.scatter(x, y, color=colour, marker=mark, label=signs(kind)[:30] or None)
        axes.scatter(*points[i], s=160, facecolor="none", edgecolor="black", linewidth=2)
        low, high = self._map.min(1), self._map.max(1)  # (layers, 2)
        halves = np.maximum((high - low).max(1) / 2, 1e-3)
        half = 1.08 * (halves.max() if self.state["scale"] == SCALES[0] else halves[layer])
        x, y = (low + high)[layer] / 2
        axes.set(
            xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal",
            title=f"Layer {layer} of {len(self._map) - 1}",
            xlabel=f"axis 1: {percent(first)} of the variance", ylabel=f"axis 2: {percent(second)}",
        )  # fmt: skip
        if any(self._kinds):
            axes.legend(frameon=False, fontsize=8)


def _in_three(sentence: str, start: int, end: int) -> list[str]:
    """What stands before the word, the word, and what stands after; of a long sentence a part."""
    if not 0 <= start < end <= len(sentence):
        raise ValueError(
            f"a word stands from start to before end in its sentence of {len(sentence)} characters; got "
            f"{start} and {end}"
        )
    half = MAX_CHARACTERS // 2
    word = shortened(sentence[start:end], half)
    return [shortened(sentence[:start], half, end=True), word, shortened(sentence[end:], half)]


def _maps(vectors: np.ndarray) -> tuple[Float[np.ndarray, "layers n 2"], Float[np.ndarray, "layers 2"]]:
    """Where each occurrence lies on the two axes of the largest variance, and their shares of it.

    An axis has no direction of its own: it gets the one in which points move least from layer to layer.
    """
    points, shares = [], []
    for layer in vectors:
        layer = layer / np.linalg.norm(layer, axis=1, keepdims=True)
        scores, lengths, _ = np.linalg.svd(layer - layer.mean(0), full_matrices=False)
        variance = np.zeros(2)
        variance[: len(lengths)] = lengths[:2] ** 2
        xy = np.zeros((len(layer), 2))
        xy[:, : len(lengths)] = scores[:, :2] * lengths[:2]
        if points:
            xy *= np.where((xy * points[-1]).sum(0) < 0, -1, 1)
        total = (lengths**2).sum()
        points.append(xy)
        shares.append(variance / total if total > 1e-12 else variance)
    return np.stack(points), np.stack(shares)
