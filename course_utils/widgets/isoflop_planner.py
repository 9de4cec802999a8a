"""The IsoFLOP planner: which size, and how many tokens, for a budget that also has to pay for the use."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import Number, OneOf, Whole

PER_DECADE = 50  # sizes between 1 and 10 times as many parameters
LEVEL = 0.9  # of the interval of the best size


class IsoflopPlanner(Widget):
    """The loss by size at one budget, the best size with its interval, and what another size wastes.

        IsoflopPlanner([law, *resamples])

    laws: lists [E, A, B, alpha, beta] of L(N, D) = E + A / N^alpha + B / D^beta; the first is the law, the
        others its bootstrap. budgets, sizes: powers of 10 between which the budget (FLOPs) and the number of
        parameters can be chosen. budget: where it starts. price: of 10^18 FLOPs, in `currency`.

    Training costs 6 N D, use 2 N for each token that is served, and the budget pays for both; so a size N has
    D = (budget / N - 2 served) / 6 tokens to be trained on. Sources: Hoffmann et al. 2022, section 3.3
    (curves of one budget); Sardana et al. 2024 (use costs too). Raises ValueError for no law, laws that are
    not five numbers above 0, and ranges that are none.
    """

    def __init__(
        self,
        laws: Float[np.ndarray, "laws 5"],
        budgets: tuple[int, int] = (18, 26),
        sizes: tuple[int, int] = (6, 13),
        budget: float = 21.0,
        price: float = 1.1,
        currency: str = "$",
    ):
        laws = np.asarray(laws, dtype=float)
        if laws.ndim != 2 or laws.shape[1] != 5 or not len(laws) or not (laws > 0).all():
            raise ValueError(
                "laws is a list of one or more [E, A, B, alpha, beta], all above 0; got an array of shape "
                f"{laws.shape}"
            )
        for name, (low, high) in {"budgets": budgets, "sizes": sizes}.items():
            if low >= high:
                raise ValueError(f"{name} gives two powers of 10, the lower first; got {low} and {high}")
        self._laws, self._low, self._currency = laws, sizes[0], currency
        stops = [round(budgets[0] + i / 10, 1) for i in range(10 * (budgets[1] - budgets[0]) + 1)]
        last = PER_DECADE * (sizes[1] - sizes[0])
        self._sizes = 10.0 ** (sizes[0] + np.arange(last + 1) / PER_DECADE)
        super().__init__(
            budget=OneOf(stops, start=budget),
            served=OneOf([0, *range(8, 17)]),
            size=Whole(0, last, start=self._best(laws[0], budget, 0)),
            price=Number(0.001, 1000, start=price),
        )

    # ---- arithmetic, the same in JavaScript --------------------------------------------------------

    def losses(self, law: Float[np.ndarray, "5"], budget: float, served: int) -> Float[np.ndarray, " sizes"]:
        """The loss of each size; infinite where the budget doesn't even pay for its use. budget and served
        are powers of 10; served 0 is none."""
        e, a, b, alpha, beta = law
        d = (10.0**budget / self._sizes - 2 * tokens(served)) / 6
        return np.where(d > 0, e + a / self._sizes**alpha + b / np.maximum(d, 1e-9) ** beta, np.inf)

    def _best(self, law, budget: float, served: int) -> int:
        return int(np.argmin(self.losses(law, budget, served)))

    def least_price(self, law: Float[np.ndarray, "5"], loss: float, served: int) -> float:
        """The FLOPs for which some size reaches a loss, training and use together."""
        e, a, b, alpha, beta = law
        left = loss - e - a / self._sizes**alpha
        n, d = self._sizes[left > 0], (b / left[left > 0]) ** (1 / beta)
        return float((n * (6 * d + 2 * tokens(served))).min())

    def compute(self, state: dict) -> dict:
        budget, served = state["budget"], state["served"]
        losses = self.losses(self._laws[0], budget, served)
        best = int(np.argmin(losses))
        if not np.isfinite(losses[best]):
            raise ValueError(
                f"to serve 10^{served} tokens even the smallest size here, 10^{self._low} parameters, costs "
                f"more than the budget of 10^{budget:g} FLOPs: raise the budget, or serve fewer"
            )
        bests = [self._best(law, budget, served) for law in self._laws]
        low, high = np.quantile(bests, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).round().astype(int)
        return {"losses": losses, "best": best, "low": int(low), "high": int(high)}

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "laws": self._laws.astype(np.float64).tobytes(),
            "low": self._low,
            "perDecade": PER_DECADE,
            "level": LEVEL,
            "currency": self._currency,
        }

    def describe(self) -> str:
        state, found = self.state, self.found
        budget, best = state["budget"], found["best"]
        n = self._sizes[best]
        d = (10.0**budget / n - 2 * tokens(state["served"])) / 6
        money = 10.0 ** (budget - 18) * state["price"]
        use = f", {count(tokens(state['served']))} tokens to be served" if state["served"] else ""
        interval = (
            f" ({LEVEL:.0%}: {count(self._sizes[found['low']])} to {count(self._sizes[found['high']])})"
            if len(self._laws) > 1
            else ""
        ).replace("%", " %")
        said = (
            f"Budget 10^{budget:g} FLOPs, {self._currency}{grouped(money)}{use}: best are {count(n)} "
            f"parameters{interval} after {count(d)} tokens, {grouped(d / n)} a parameter, loss "
            f"{found['losses'][best]:.3f}."
        )
        yours = found["losses"][state["size"]]
        if state["size"] == best:
            return said
        size = count(self._sizes[state["size"]])
        if not np.isfinite(yours):
            return f"{said} With {size} parameters the use alone costs more than the budget."
        share = self.least_price(self._laws[0], yours, state["served"]) / 10.0**budget
        return f"{said} With {size}: {yours:.3f}, which is to be had for {100 * share:.0f} % of the budget."

    def picture(self, figure: Figure) -> None:
        budget, served, found = self.state["budget"], self.state["served"], self.found
        axes = figure.add_subplot(xlabel="parameters", ylabel="loss, nats a token", xscale="log")
        for other, look in ((budget - 1, ":"), (budget, "-"), (budget + 1, "--")):
            losses = self.losses(self._laws[0], other, served)
            best = np.min(losses)
            seen = np.where(losses < best + 0.6, losses, np.nan)
            axes.plot(self._sizes, seen, look, color="#0072b2", label=f"10^{other:g} FLOPs")
        ends = self._sizes[found["low"]], self._sizes[found["high"]]
        axes.axvspan(*ends, color="#e69f00", alpha=0.3, label=f"best size, {100 * LEVEL:.0f} %")
        axes.plot(self._sizes[found["best"]], found["losses"][found["best"]], "o", color="black")
        axes.axvline(self._sizes[self.state["size"]], color="0.5", linewidth=1)
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)


def tokens(served: int) -> float:
    """How many tokens are served, from the power of 10; 0 is none."""
    return 10.0**served if served else 0.0


def grouped(x: float) -> str:
    """A number with three digits that count: 0.0123, 4.56, 1,230,000."""
    if x < 1e-9:
        return "0"
    rounded = float(f"{x:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"


def count(x: float) -> str:
    """A count in words: 350 thousand, 1.25 billion."""
    for word, size in {"trillion": 1e12, "billion": 1e9, "million": 1e6, "thousand": 1e3}.items():
        if float(f"{x:.3g}") >= size:
            return f"{grouped(x / size)} {word}"
    return grouped(x)
