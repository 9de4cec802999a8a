"""The law of Hoffmann et al.: what a model of N parameters will lose after D tokens, and how sure that is.

    L(N, D) = E + A / N^alpha + B / D^beta

E is what no model can know of the text, the second term what this size can't learn, the third what so few
tokens don't teach. `fit_law` is their approach 3, `isoflop_minima` their approach 2.

Sources: Hoffmann et al. 2022, sections 3.2 and 3.3; Besiroglu et al. 2024 (what went wrong there); Efron &
Tibshirani 1993, chapters 13 and 25 (bootstrap, its prediction intervals).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, " runs"]
SAME_BUDGET = 0.1  # of the logarithm: tokens come in whole steps, so what was meant to be equal is nearly so
DELTA = 1e-3  # of the Huber loss: a miss of more than 0.1 % counts by its size, no longer by its square
# ln A, ln B, ln E, alpha, beta: the 4,500 starts of Hoffmann et al., appendix D.3
GRID = [np.arange(0, 26, 5), np.arange(0, 26, 5), np.arange(-1, 1.1, 0.5), *[np.arange(0, 2.1, 0.5)] * 2]


@dataclass(frozen=True)
class Law:
    """A fitted law. Losses are in nats a token, if those were to which it was fitted."""

    A: float
    B: float
    E: float
    alpha: float
    beta: float

    def loss(self, n, d):
        """The loss of n parameters after d tokens, numbers or arrays."""
        return self.E + self.A / n**self.alpha + self.B / d**self.beta

    @property
    def exponent(self) -> float:
        """a in N_opt ~ C^a: by how much the best size grows with the budget."""
        return self.beta / (self.alpha + self.beta)

    def optimum(self, flops: float) -> tuple[float, float]:
        """The compute-optimal N and D for a budget, where training costs 6ND (their equation 4)."""
        g = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        return g * (flops / 6) ** self.exponent, (flops / 6) ** (1 - self.exponent) / g

    @property
    def point(self) -> Float[np.ndarray, "5"]:
        """As the fit moves it: ln A, ln B, ln E, alpha, beta."""
        return np.array([*np.log([self.A, self.B, self.E]), self.alpha, self.beta])


# Hoffmann et al. 2022: as printed, and unrounded, as Besiroglu et al. have it
HOFFMANN_PRINTED = Law(A=406.4, B=410.7, E=1.69, alpha=0.34, beta=0.28)
HOFFMANN = Law(*np.exp([6.0073404, 6.0179186, 0.5267228]), alpha=0.33917084, beta=0.2849083)


def six_nd(n, d):
    """FLOPs of training n parameters on d tokens, numbers or arrays, by the rule that `counting` explains."""
    return 6.0 * n * d


def _terms(point, n: Values, d: Values) -> Float[np.ndarray, "3 runs"]:
    """The logarithms of the law's three terms."""
    log_a, log_b, log_e, alpha, beta = point
    return np.stack([log_a - alpha * np.log(n), log_b - beta * np.log(d), np.full(len(n), log_e)])


def _misses(point, n: Values, d: Values, loss: Values) -> Values:
    """The logarithm of the predicted loss, by log-sum-exp, minus that of the real one."""
    return np.logaddexp.reduce(_terms(point, n, d)) - np.log(loss)


def _slopes(point, n: Values, d: Values, loss: Values) -> Float[np.ndarray, "runs 5"]:
    """By how much each miss grows with each number of the point."""
    terms = _terms(point, n, d)
    a, b, e = np.exp(terms - np.logaddexp.reduce(terms))  # the terms' shares of the loss
    return np.stack([a, b, e, -a * np.log(n), -b * np.log(d)], axis=1)


def huber(law: Law, n: Values, d: Values, loss: Values) -> float:
    """What `fit_law` makes small: the sum of the Huber losses of the misses.

    The sum, not the mean. With the mean it is hundreds of times smaller, and an optimiser that stops when a
    step gains less than some 1e-9 stops too early: so, Besiroglu et al. report, the constants of Hoffmann et
    al. came about.
    """
    miss = np.abs(_misses(law.point, n, d, loss))
    return float(np.where(miss <= DELTA, miss**2 / 2, DELTA * (miss - DELTA / 2)).sum())


def fit_law(n: Values, d: Values, loss: Values, starts: int = 20) -> Law:
    """Fit the law to runs: n parameters, d tokens, the loss.

    Of the grid's starts the `starts` best are followed, and the best end is taken. scipy's least squares has
    the same Huber loss; it uses the slopes of every miss, and so needs few steps and ends where it is flat.
    Raises ValueError for fewer runs than numbers to fit, losses that aren't positive or no numbers, sizes or
    budgets that are all one.
    """
    n, d, loss = _of_several_budgets(*_checked(n, d, loss))
    grid = np.array(list(itertools.product(*GRID)))
    with np.errstate(over="ignore"):
        worth = [np.minimum(np.abs(_misses(point, n, d, loss)), 1).sum() for point in grid]
    return _best(grid[np.argsort(worth, kind="stable")[:starts]], n, d, loss)


def _best(starts, n: Values, d: Values, loss: Values) -> Law:
    from scipy.optimize import least_squares

    ends = [
        least_squares(
            _misses,
            start,
            _slopes,
            args=(n, d, loss),
            loss="huber",
            f_scale=DELTA,
            x_scale="jac",
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-10,
        )
        for start in starts
    ]
    point = min(ends, key=lambda end: end.cost).x
    return Law(*map(float, [*np.exp(point[:3]), *point[3:]]))


def _checked(n, d, loss) -> tuple[Values, Values, Values]:
    n, d, loss = (np.asarray(values, dtype=float) for values in (n, d, loss))
    if not len(n) == len(d) == len(loss):
        raise ValueError(f"each run has n, d and a loss; got {len(n)}, {len(d)} and {len(loss)}")
    if (points := len(set(zip(n, d, strict=True)))) < 5:  # another seed is no other point
        raise ValueError(
            "the law has 5 numbers to fit, so it needs 5 runs or more that differ in n or d, and far more to "
            f"be sure; got {points}"
        )
    if bad := np.flatnonzero(~np.isfinite(loss)).tolist():
        raise ValueError(
            f"the runs {bad} have no finite loss: they diverged; leave them out (`read_runs` in `plans` does "
            "it on request) and say so"
        )
    for name, values in {"loss": loss, "n": n, "d": d}.items():
        if bad := np.flatnonzero(~(values > 0)).tolist():
            raise ValueError(f"{name} must be above 0; runs {bad} have {values[bad].tolist()}")
    for name, values in {"sizes": n, "numbers of tokens": d}.items():
        if np.ptp(np.log(values)) < 1e-9:
            raise ValueError(
                f"all runs have one of the {name}, {values[0]:g}, so nothing tells what more would do"
            )
    return n, d, loss


def _of_several_budgets(n: Values, d: Values, loss: Values) -> tuple[Values, Values, Values]:
    if np.ptp(np.log(n * d)) < SAME_BUDGET:
        raise ValueError(
            f"all runs have one budget, 6ND = {six_nd(n[0], d[0]):.3g}: a law over budgets needs several"
        )
    return n, d, loss


def bootstrap(law: Law, n: Values, d: Values, loss: Values, resamples: int = 200, seed: int = 0) -> list[Law]:
    """The law refitted to runs drawn with replacement, again and again: how it scatters is how unsure it is.

    Runs of one n and d, which differ by their seed, are drawn together: where the law's form is off, they
    miss it together. Each refit starts from the law of all runs.
    """
    n, d, loss = _checked(n, d, loss)
    alike: dict[tuple, list[int]] = {}
    for i, pair in enumerate(zip(n, d, strict=True)):
        alike.setdefault(pair, []).append(i)
    seeds, start, generator, fits = list(alike.values()), law.point, np.random.default_rng(seed), []
    while len(fits) < resamples:
        drawn = generator.integers(len(seeds), size=len(seeds))
        if len(set(drawn)) >= 5:  # fewer would leave the law's 5 numbers open
            runs = [i for one in drawn for i in seeds[one]]
            fits.append(_best([start], n[runs], d[runs], loss[runs]))
    return fits


def interval(values, level: float = 0.9) -> tuple[float, float]:
    """The middle `level` of the values: between its quantiles."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def prediction_interval(
    law: Law,
    fits: list[Law],
    n: Values,
    d: Values,
    loss: Values,
    new_n: float,
    new_d: float,
    level: float = 0.9,
) -> tuple[float, float]:
    """Between which losses a new run lies, with a chance of about `level`; `fits` are the law's bootstrap.

    Two things are unsure: the law, which its refits show, and the run, which misses the law as others did. So
    each refit is given a miss of each run. The misses are made larger by the root of n / (n - 5): a law with
    5 numbers comes nearer to the runs that it was fitted to than to new ones.
    """
    n, d, loss = _checked(n, d, loss)
    misses = -_misses(law.point, n, d, loss) * (len(n) / max(len(n) - 5, 1)) ** 0.5
    logs = np.log([fit.loss(new_n, new_d) for fit in fits])
    return interval(np.exp(logs[:, None] + misses), level)


def rivals(n: Values, d: Values, loss: Values, new_n: float, new_d: float) -> dict[str, float]:
    """Two simple guesses of a new run's loss: the least so far; and a power law of the budget without a
    floor, through the least loss of each budget."""
    n, d, loss = _of_several_budgets(*_checked(n, d, loss))
    minima = _least(six_nd(n, d), loss)
    exponent, factor = power([*minima], loss[[*minima.values()]])
    without_floor = factor * six_nd(new_n, new_d) ** exponent
    return {"the least loss so far": float(loss.min()), "power law without a floor": float(without_floor)}


def _least(budget: Values, loss: Values) -> dict[float, int]:
    """Which run has the least loss of each budget; budgets within a tenth are one."""
    least = {}
    for i in np.argsort(budget):
        same = (other for other in least if abs(np.log(budget[i] / other)) < SAME_BUDGET)
        near = next(same, float(budget[i]))
        if near not in least or loss[i] < loss[least[near]]:
            least[near] = int(i)
    return least


def isoflop_parabolas(n: Values, d: Values, loss: Values, flops: Values | None = None):
    """Approach 2: a parabola through the losses of each budget over log N.

    flops: what each run cost, 6ND if None; runs within a tenth have one budget. Returns pairs, a budget each
    from the least on: which runs have it, booleans (runs,); and the parabola, a numpy Polynomial of log N.
    Raises ValueError for a budget with fewer than 3 sizes and one whose curve has no lowest point.
    """
    n, d, loss = _checked(n, d, loss)
    flops = six_nd(n, d) if flops is None else np.asarray(flops, dtype=float)
    found = []
    for budget in _least(flops, loss):
        chosen = np.abs(np.log(flops / budget)) < SAME_BUDGET
        if len(set(n[chosen])) < 3:
            raise ValueError(
                f"the budget {budget:.3g} has {len(set(n[chosen]))} sizes; a parabola needs 3 or more: run "
                "more sizes, or leave this budget out"
            )
        curve = np.polynomial.Polynomial.fit(np.log(n[chosen]), loss[chosen], 2)
        if curve.convert().coef[2] <= 0:
            raise ValueError(f"the losses of the budget {budget:.3g} have no lowest point: run more sizes")
        found.append((chosen, curve))
    return found


def isoflop_minima(n: Values, d: Values, loss: Values, flops: Values | None = None):
    """Approach 2: the best size of each budget, at the vertex of its parabola.

    Takes and raises what `isoflop_parabolas` does. Returns arrays (budget, N, D, loss), D = budget / 6N.
    """
    costs = six_nd(n, d) if flops is None else np.asarray(flops, dtype=float)
    found = []
    for chosen, curve in isoflop_parabolas(n, d, loss, flops):
        vertex = curve.deriv().roots()[0]
        budget = float(np.exp(np.log(costs[chosen]).mean()))
        found.append([budget, np.exp(vertex), budget / 6 / np.exp(vertex), curve(vertex)])
    return tuple(np.array(found).T)


def power(x: Values, y: Values) -> tuple[float, float]:
    """The exponent and the factor of y = factor x^exponent: a line through the logarithms."""
    exponent, log_factor = np.polyfit(np.log(x), np.log(y), 1)
    return float(exponent), float(np.exp(log_factor))
