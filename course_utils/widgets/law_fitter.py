"""The law fitter: a power law through points that a hand may move, with its residuals and its interval."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import Flag, List, Number, Some, Whole
from course_utils.widgets.words import plural

LEVEL = 0.9  # of the intervals
RESAMPLES = 200
FLOORS = 60  # that are tried, from 0 to just under the least loss
LEAST = 4  # points that a law with three numbers needs, to miss some


class LawFitter(Widget):
    """Points on log-log axes, the law loss = floor + factor / x^exponent through them, and how sure it is.

        LawFitter(tokens, losses, at=1e9, x_name="tokens")

    x, loss: the points. at: where the law is asked what comes. truth: the loss there, shown when asked for;
        None if it isn't known. The fit is that of exercise 11.4, over a fixed grid of floors; the interval
        refits to points drawn with replacement (Efron & Tibshirani 1993, chapter 13).

    Raises ValueError for fewer than 5 points or more than 40, values that aren't above 0, and an `at` within
    the points.
    """

    def __init__(
        self,
        x: Float[np.ndarray, " points"],
        loss: Float[np.ndarray, " points"],
        at: float,
        x_name: str = "x",
        truth: float | None = None,
        floor: bool = False,
    ):
        x, loss = (np.asarray(values, dtype=float) for values in (x, loss))
        if x.shape != loss.shape or x.ndim != 1 or not LEAST < len(x) <= 40:
            raise ValueError(
                f"a law is fitted here to 5 to 40 points, an x and a loss each; got {x.shape}, {loss.shape}"
            )
        if not (np.isfinite(x).all() and np.isfinite(loss).all() and x.min() > 0 and loss.min() > 0):
            raise ValueError("x and losses are finite numbers above 0: there is no logarithm of others")
        if not at > x.max() > x.min():
            raise ValueError(
                f"the points need more than one x, and at lies beyond the largest, {x.max():g}; got {at}"
            )
        order = np.argsort(x, kind="stable")
        self._x, self._loss, self._at, self._name, self._truth = x[order], loss[order], at, x_name, truth
        # which points a resample draws, as shares of however many are left in
        self._draws = np.random.default_rng(0).random((RESAMPLES, len(x)), dtype=np.float32).astype(float)
        low, high = float(loss.min() / 2), float(loss.max() * 2)
        super().__init__(
            losses=List(Number(low, high), len(x), start=self._loss.tolist(), exactly=True),
            out=Some(range(len(x)), start=[]),
            point=Whole(0, len(x) - 1),
            floor=Flag(floor),
            told=Flag(),
        )

    # ---- arithmetic, the same in JavaScript --------------------------------------------------------

    def compute(self, state: dict) -> dict:
        left = [i for i in range(len(self._x)) if i not in state["out"]]
        if len(left) < LEAST or len(set(self._x[left])) < 3:
            raise ValueError(
                f"{plural(len(left), 'point')} would be left: a law with a floor has three numbers, and "
                f"needs {LEAST} points at three places or more"
            )
        x, loss = np.log(self._x[left]), np.array(state["losses"])[left]
        laws = [fit(x, loss, state["floor"])]
        for draw in (self._draws[:, : len(left)] * len(left)).astype(int):
            if len(set(x[draw])) >= 3:
                laws.append(fit(x[draw], loss[draw], state["floor"]))
        floor, factor, exponent = np.array(laws).T
        there = floor + factor * self._at**-exponent
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        intervals = {
            name: tuple(np.quantile(values[1:], ends).tolist())
            for name, values in {"floor": floor, "exponent": exponent, "range": there}.items()
        }
        return {"law": laws[0], "there": float(there[0]), **intervals}

    def residuals(self) -> Float[np.ndarray, " points"]:
        """Of each point, also of those left out: by which share it lies above the law."""
        floor, factor, exponent = self.found["law"]
        return np.array(self.state["losses"]) / (floor + factor * self._x**-exponent) - 1

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "x": self._x.tolist(),
            "first": self._loss.tolist(),
            "at": self._at,
            "name": self._name,
            "truth": self._truth,
            "level": LEVEL,
            "floors": FLOORS,
            "draws": self._draws.astype(np.float32).tobytes(),
        }

    def describe(self) -> str:
        state, found = self.state, self.found
        floor, factor, exponent = found["law"]
        used = len(self._x) - len(state["out"])
        low, high = found["exponent"]
        law = f"{factor:.3g} / x^{exponent:.3f}"
        floors = ""
        if state["floor"]:
            law = f"{floor:.2f} + {law}"
            floors = "; floor {:.2f} to {:.2f}".format(*found["floor"])
        worst = 100 * float(np.abs(self.residuals()).max())
        told = f" The truth there is {self._truth:.3f}." if state["told"] and self._truth else ""
        return (
            f"Through {used} of {plural(len(self._x), 'point')}: loss = {law} ({100 * LEVEL:.0f} %: exponent "
            f"{low:.3f} to {high:.3f}{floors}). At {self._at:.3g} it says {found['there']:.3f} "
            f"({found['range'][0]:.3f} to {found['range'][1]:.3f}); the point that lies furthest off misses "
            f"by {worst:.1f} %.{told}"
        )

    def picture(self, figure: Figure) -> None:
        floor, factor, exponent = self.found["law"]
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        x = np.geomspace(self._x[0], self._at, 100)
        above.plot(x, floor + factor * x**-exponent, color="#0072b2")
        above.errorbar(
            [self._at],
            [self.found["there"]],
            yerr=np.abs(np.array(self.found["range"]) - self.found["there"])[:, None],
            color="#0072b2",
            marker="D",
        )
        used = ~np.isin(np.arange(len(self._x)), self.state["out"])
        losses = np.array(self.state["losses"])
        above.plot(self._x[used], losses[used], "ko")
        above.plot(self._x[~used], losses[~used], "kx")
        above.set(xscale="log", yscale="log", ylabel="loss")
        below.plot(self._x, 100 * self.residuals(), "ko")
        below.axhline(0, color="0.5", linewidth=1)
        below.set(xlabel=self._name, ylabel="% off")
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)


def fit(x: Float[np.ndarray, " points"], loss: Float[np.ndarray, " points"], floor: bool):
    """(floor, factor, exponent) of the best law through points, x as logarithms: of FLOORS floors, evenly
    spaced from 0 to just under the least loss, the one whose line misses least in the logarithms."""
    tried = loss.min() * np.arange(FLOORS) / FLOORS if floor else np.zeros(1)
    y = np.log(loss - tried[:, None])  # (floors, points)
    apart = x - x.mean()
    slopes = (y @ apart) / (apart @ apart)
    heights = y.mean(axis=1) - slopes * x.mean()
    misses = ((y - heights[:, None] - slopes[:, None] * x) ** 2).sum(axis=1)
    best = int(np.argmin(misses))
    return float(tried[best]), float(np.exp(heights[best])), float(-slopes[best])
