"""The gradient horizon: how much a byte that was read k steps ago can still teach."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import OneOf, Some, Whole
from course_utils.widgets.words import plural

# a colour, a mark and the same mark in matplotlib for each curve: told apart without the colour too
LOOKS = [
    ("#0072b2", "●", "o"),
    ("#d55e00", "■", "s"),
    ("#009e73", "▲", "^"),
    ("#cc79a7", "◆", "D"),
    ("#7a7a00", "★", "*"),
    ("#56b4e9", "▼", "v"),
]
BIASES = [b / 2 for b in range(-6, 13)]  # where the slider of the bare product can stand
DECADES = 12  # less than 10 to the power of -12 leaves the picture


class GradientHorizon(Widget):
    """Curves of gradient by distance on a log scale, beside the bare product of one forget gate.

        GradientHorizon({"RNN": gradient_by_distance(rnn, ids, targets), ...})

    curves: {name: norms}, each the length of the loss's gradient by the input k steps back, for k from 0 to
        T - 1: what `recurrent.gradient_by_distance` measures. Where the norm fades to nothing, nothing can be
        learnt from so far back (Hochreiter 1991; Bengio, Simard & Frasconi 1994).
    distance: k at the start. bias: the forget bias b of the product sigmoid(b)^k at the start: along the cell
        alone the gradient shrinks by the forget gate at each step (Gers, Schmidhuber & Cummins 2000).

    Raises ValueError for no curve, more than six, curves of unequal length or of one value, values that are
    negative or no number, a first value of 0, and for a distance or bias that is not offered.
    """

    def __init__(self, curves: dict[str, Float[np.ndarray, " time"]], distance: int = 10, bias: float = 1.0):
        curves = {name: np.asarray(values).astype(np.float64) for name, values in curves.items()}
        if not 1 <= len(curves) <= len(LOOKS):
            raise ValueError(f"1 to {len(LOOKS)} curves can be told apart; got {len(curves)}")
        shapes = {values.shape for values in curves.values()}
        if len(shapes) > 1 or len(min(shapes)) != 1 or min(shapes)[0] < 2:
            raise ValueError(f"each curve has the same number of values, 2 or more; got the shapes {shapes}")
        for name, values in curves.items():
            if not (np.isfinite(values).all() and (values >= 0).all() and values[0] > 0):
                raise ValueError(
                    f"norms are finite numbers from 0 on, the first above 0; the curve {name!r} has "
                    f"{values.min()} to {values.max()} and begins with {values[0]}"
                )
        self._curves, self._length = curves, min(shapes)[0]
        furthest = self._length - 1
        super().__init__(
            distance=Whole(0, furthest, start=min(distance, furthest)),
            curves=Some(curves),
            bias=OneOf(BIASES, start=bias),
        )

    def constants(self) -> dict:
        return {
            "norms": np.array(list(self._curves.values())).astype(np.float32).tobytes(),  # (curves, T)
            "looks": [look[:2] for look in LOOKS],
            "decades": DECADES,
        }

    def weight(self, name: str) -> float:
        """The gradient at the distance over that at the last byte."""
        values = self._curves[name]
        return float(values[self.state["distance"]] / values[0])

    # ---- what is seen ------------------------------------------------------------------------------

    def describe(self) -> str:
        k, b = self.state["distance"], self.state["bias"]
        weights = [f"{name}: {beside(self.weight(name))}" for name in self.state["curves"]]
        kept = sigmoid(b)
        alone = f"a forget gate alone at bias {short(b)} ({kept:.3f} to the power of {k}): {beside(kept**k)}"
        return (
            f"The weight of a byte {plural(k, 'step')} back, beside the last one's: "
            f"{'; '.join([*weights, alone])}."
        )

    def picture(self, figure: Figure) -> None:
        k, b, steps = self.state["distance"], self.state["bias"], np.arange(self._length)
        axes = figure.add_subplot(xlabel="steps back", ylabel="gradient beside the last byte's")

        def draw(shares, label, **look):
            seen = np.where(
                shares >= 10.0**-DECADES, shares, np.nan
            )  # the line ends where it leaves the picture
            axes.semilogy(steps, seen, label=f"{label}: {beside(shares[k])}", **look)

        for (name, values), (colour, _, mark) in zip(self._curves.items(), LOOKS, strict=False):
            if name in self.state["curves"]:
                draw(values / values[0], name, color=colour, marker=mark, markevery=[k])
        draw(sigmoid(b) ** steps, f"forget gate alone, bias {short(b)}", color="black", linestyle="--")
        axes.axvline(k, color="0.6", linewidth=1)
        axes.legend(
            frameon=False, fontsize=8, title=f"{k} steps back", loc="upper left", bbox_to_anchor=(1, 1)
        )
        axes.spines[["top", "right"]].set_visible(False)


def sigmoid(z: float) -> float:
    return 1 / (1 + np.exp(-z))


def beside(share: float) -> str:
    """A share as a fraction that can be taken in: 1/31,000."""
    if share == 0:
        return "0"
    if share > 1:
        return f"{share:.1f}"
    if share < 1e-9:
        return "under 1/1,000,000,000"
    inverse = 1 / share
    return f"1/{inverse:.1f}" if inverse < 9.95 else f"1/{float(f'{inverse:.2g}'):,.0f}"


def short(bias: float) -> str:
    """A bias as its slider says it: −2.5, 1."""
    return f"{bias:g}".replace("-", "−")
