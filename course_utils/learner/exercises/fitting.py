"""The exercises of chapter 11 on fitting a law and on how sure it is, in NumPy; more are in `scaling`."""

import numpy as np

from course_utils.learner.checks.engine import exercise


def runs_inputs(generator, case):
    """A law near Chinchilla's and 5 to 14 runs, most of which it misses by little, some by much."""
    runs = 5 + case % 10
    law = [
        round(float(x), 3) for x in generator.uniform([1.2, 200, 200, 0.2, 0.2], [2.0, 500, 900, 0.5, 0.5])
    ]
    n, d = (np.round(10 ** generator.uniform(*ends, runs)) for ends in ((6, 10), (8, 11)))
    e, a, b, alpha, beta = law
    misses = generator.normal(size=runs) * generator.choice([0.0005, 0.02], size=runs)
    misses[:3] = [0.0004, -0.03, 0.05]
    return law, n, d, np.round((e + a / n**alpha + b / d**beta) * np.exp(misses), 5), 0.001


@exercise("11.3", "how far a law misses its runs", dots=2, minutes=10, inputs=runs_inputs)
def objective(law: list[float], n: np.ndarray, d: np.ndarray, loss: np.ndarray, delta: float) -> float:
    """Return what Hoffmann et al. meant to make small to find their law: the sum of all runs' Huber losses.

    law is [E, A, B, alpha, beta] of L(N, D) = E + A / N^alpha + B / D^beta; n, d and loss are arrays, a run
    each. A run's miss r is the natural logarithm of the predicted loss minus that of the real one. It counts
    r² / 2 up to a size of delta, beyond that delta (|r| - delta / 2): a straight line, so that a run far
    off pulls at the law no more than one that misses by delta.
    """
    e, a, b, alpha, beta = law
    miss = np.abs(np.log(e + a / n**alpha + b / d**beta) - np.log(loss))
    return float(np.where(miss <= delta, miss**2 / 2, delta * (miss - delta / 2)).sum())


objective.slips("""
That is the published mistake: the mean instead of the sum. It is smaller by the number of runs, so an
optimiser that stops when a step gains too little stops too early. By Besiroglu et al. (2024) Hoffmann
et al.'s constants came about so; section 6 could not get them that way.
    .sum() → .mean()
The miss is one of logarithms: a loss of 4 may be missed by more than one of 2.
    np.log(e + a / n**alpha + b / d**beta) - np.log(loss) → e + a / n**alpha + b / d**beta - loss
That is the sum of squares: beyond delta the loss goes on as a straight line.
    np.where(miss <= delta, miss**2 / 2, delta * (miss - delta / 2)) → (miss**2 / 2)
That is a straight line everywhere: up to delta a miss counts by its square.
    np.where(miss <= delta, miss**2 / 2, delta * (miss - delta / 2)) → (delta * (miss - delta / 2))
Those are absolute misses alone: near 0 they count by their squares.
    np.where(miss <= delta, miss**2 / 2, delta * (miss - delta / 2)) → miss
A miss has a size: without |r| every run that lies above the law falls into the first branch.
    np.abs(np.log(e + a / n**alpha + b / d**beta) - np.log(loss))
    → np.log(e + a / n**alpha + b / d**beta) - np.log(loss)
The square is halved; else the two parts don't meet at delta.
    miss**2 / 2 → miss**2
The line begins at delta² / 2: subtract delta / 2.
    miss - delta / 2 → miss
The line's slope is delta.
    delta * (miss - delta / 2) → miss - delta / 2
The two parts are exchanged: squares up to delta, a line beyond.
    miss <= delta → miss > delta
The floor E is missing: what no model can know.
    np.log(e + a → np.log(a
alpha belongs to the size N, beta to the tokens D.
    n**alpha → n**beta
    d**beta → d**alpha
A belongs to the size N, B to the tokens D.
    a / n → b / n
    b / d → a / d
These are logarithms of base 10; natural ones are asked for.
    np.log(e → np.log10(e
    np.log(loss) → np.log10(loss)
""")


@objective.variant("which runs it does not believe")
def beyond(law: list[float], n: np.ndarray, d: np.ndarray, loss: np.ndarray, delta: float) -> list[int]:
    """Return which runs have a loss that is above the law's by more than delta, in natural logarithms.

    All as in 11.3; the places of the runs in the arrays, in order. A run that lies below the law by as much
    is not among them.
    """
    e, a, b, alpha, beta = law
    miss = np.log(loss) - np.log(e + a / n**alpha + b / d**beta)
    return np.flatnonzero(miss > delta).tolist()


beyond.slips("""
That answers the first version: how far all miss; here the runs are asked for.
    → objective
The run's loss is above the law's: you took those below.
    np.log(loss) - np.log(e + a / n**alpha + b / d**beta)
    → np.log(e + a / n**alpha + b / d**beta) - np.log(loss)
Those on either side: only a loss above the law's counts.
    miss > delta → np.abs(miss) > delta
Logarithms are compared, not the losses themselves.
    np.log(loss) - np.log(e + a / n**alpha + b / d**beta) → loss - (e + a / n**alpha + b / d**beta)
By more than delta, not by any amount.
    miss > delta → miss > 0
Those are the runs that it does believe.
    miss > delta → miss <= delta
alpha belongs to the size N, beta to the tokens D.
    n**alpha → n**beta
    d**beta → d**alpha
""")


def floor_inputs(generator, case):
    """4 to 9 losses over some decades, near a power law with a floor, and floors to try, all below."""
    points = 4 + case % 6
    floor, factor, exponent = (float(x) for x in generator.uniform([0.8, 2, 0.15], [2.2, 9, 0.6]))
    x = np.round(10.0 ** np.sort(generator.choice(np.arange(30, 90), points, replace=False) / 10), 1)
    curve = factor / (x / x[0]) ** exponent
    loss = np.round(floor + curve * np.exp(generator.normal(size=points) * 0.01), 4)
    below = floor + np.array([-0.4, -0.25, -0.1, -0.02, 0.01]) * curve.min()
    return x, loss, np.round(generator.permutation(below), 4)


@exercise("11.4", "a power law with a floor", dots=2, minutes=10, inputs=floor_inputs)
def fit_with_floor(x: np.ndarray, loss: np.ndarray, floors: np.ndarray) -> tuple[float, float, float]:
    """Return (floor, factor, exponent) of the law loss = floor + factor / x^exponent that fits best.

    For each of the floors to try, all of them below every loss: take the floor off, and lay a straight line
    by least squares through the natural logarithms of what is left, over those of x. The best floor is the
    one whose line has the least sum of squared misses, in these logarithms.
    """
    found = []
    for floor in floors:
        y = np.log(loss - floor)
        slope, height = np.polyfit(np.log(x), y, 1)
        misses = y - (height + slope * np.log(x))
        found.append(((misses**2).sum(), floor, np.exp(height), -slope))
    return tuple(float(value) for value in min(found)[1:])


def by_the_losses(x, loss, floors):
    found = []
    for floor in floors:
        slope, height = np.polyfit(np.log(x), np.log(loss - floor), 1)
        misses = loss - floor - np.exp(height + slope * np.log(x))
        found.append(((misses**2).sum(), float(floor), float(np.exp(height)), float(-slope)))
    return min(found)[1:]


fit_with_floor.slips("""
The floor stays in: without taking it off there is no straight line to find.
    np.log(loss - floor) → np.log(loss)
The law divides by x^exponent: turn the slope's sign.
    np.exp(height), -slope) → np.exp(height), slope)
The line's height is a logarithm: the factor is e to its power.
    np.exp(height), -slope → height, -slope
The floor with the largest misses is the worst.
    min(found) → max(found)
The first floor that was tried need not be the best: compare their misses.
    min(found) → found[0]
The best floor is not the highest one, but the one whose line misses least.
    min(found) → max(found, key=lambda one: one[1])
Misses above and below the line cancel: square them before you add.
    (misses**2).sum() → abs(misses.sum())
The misses are those of the logarithms; you compared the losses themselves, where the first few weigh most.
    → by_the_losses
The line is laid over the logarithm of x: over x itself it is an exponential.
    np.polyfit(np.log(x), y, 1) → np.polyfit(x / x.max(), y, 1)
These are logarithms of base 10; natural ones give the factor by exp.
    np.log(loss - floor) → np.log10(loss - floor)
    np.polyfit(np.log(x), y → np.polyfit(np.log10(x), y
    height + slope * np.log(x) → height + slope * np.log10(x)
x is explained by the loss in yours: lay the line through the loss, over x.
    np.polyfit(np.log(x), y, 1) → np.polyfit(y, np.log(x), 1)
""")


@fit_with_floor.variant("ten times further")
def ten_times_further(x: np.ndarray, loss: np.ndarray, floors: np.ndarray) -> float:
    """Return the loss that the best law of 11.4 predicts at ten times the largest x.

    The law is loss = floor + factor / x^exponent: for each floor a straight line through the natural
    logarithms, and of these laws the one with the least sum of squared misses in the logarithms.
    """
    found = []
    for floor in floors:
        y = np.log(loss - floor)
        slope, height = np.polyfit(np.log(x), y, 1)
        misses = y - (height + slope * np.log(x))
        found.append(((misses**2).sum(), floor + np.exp(height + slope * np.log(10 * x.max()))))
    return float(min(found)[1])


ten_times_further.slips("""
That answers the first version: three numbers of a law; here it is to predict.
    → fit_with_floor
The floor comes back in the end: the line predicts what is above it.
    floor + np.exp(height → np.exp(height
That is at the largest x; ten times further is asked for.
    10 * x.max() → x.max()
Ten times the largest x, not 10 more.
    10 * x.max() → 10 + x.max()
A line through the logarithms predicts a logarithm.
    np.exp(height + slope * np.log(10 * x.max())) → height + slope * np.log(10 * x.max())
The floor stays in: without taking it off there is no straight line to find.
    np.log(loss - floor) → np.log(loss)
That is the pure power law, a floor of 0.
    np.log(loss - floor) → np.log(loss)
    floor + np.exp(height → np.exp(height
The floor with the largest misses is the worst.
    min(found) → max(found)
""")


def draws_inputs(generator, case):
    """Best sizes of 5 to 10 budgets over some decades, and 20 to 60 resamples with two budgets or more."""
    points, resamples = 5 + case % 6, 20 + 10 * (case % 5)
    budgets = 10.0 ** np.sort(generator.choice(np.arange(120, 180), points, replace=False) / 10)
    exponent = generator.uniform(0.4, 0.7)
    sizes = np.round((budgets / 6) ** exponent * np.exp(generator.normal(size=points) * 0.15))
    draws = generator.integers(points, size=(resamples, points))
    draws[:, 0], draws[:, -1] = generator.integers(points - 1, size=resamples), points - 1
    return np.round(budgets), sizes, draws, [0.9, 0.8, 0.95][case % 3]


@exercise("11.5", "how sure an exponent is", dots=2, minutes=10, inputs=draws_inputs)
def exponent_interval(
    budgets: np.ndarray, sizes: np.ndarray, draws: np.ndarray, level: float
) -> tuple[float, float]:
    """Return a bootstrap interval (low, high) of the exponent a in size ~ budget^a.

    Each row of draws, (resamples, points), is a resample: the places of as many points as there are, drawn
    with replacement, so that some stand in it twice and some not at all. Refit the line through the
    logarithms to each resample; the interval is the middle `level` of the exponents, by np.quantile: with
    0.9 between the quantiles 0.05 and 0.95.
    """
    exponents = [np.polyfit(np.log(budgets[draw]), np.log(sizes[draw]), 1)[0] for draw in draws]
    low, high = np.quantile(exponents, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def half_as_wide(budgets, sizes, draws, level):
    low, high = exponent_interval(budgets, sizes, draws, level)
    return (3 * low + high) / 4, (low + 3 * high) / 4


exponent_interval.slips("""
Half of what is left out lies below, half above: with 0.9 the quantiles are 0.05 and 0.95.
    [(1 - level) / 2, (1 + level) / 2] → [1 - level, level]
That begins at the least exponent: leave out as many below as above.
    [(1 - level) / 2, (1 + level) / 2] → [0, level]
From the least to the largest, the interval grows with every resample: take the middle `level`.
    [(1 - level) / 2, (1 + level) / 2] → [0, 1]
Your interval is half as wide as that between the quantiles: so the exponent looks more certain than it is.
    → half_as_wide
Drawn with replacement means that a point may count twice: you dropped its second time.
    budgets[draw]), np.log(sizes[draw]) → budgets[np.unique(draw)]), np.log(sizes[np.unique(draw)])
Every resample is a fit of its own: you fitted all points each time.
    budgets[draw]), np.log(sizes[draw]) → budgets), np.log(sizes)
A resample draws points, a budget with its size: you drew the sizes alone.
    np.log(budgets[draw]) → np.log(budgets)
A power law is a line in the logarithms of both.
    np.polyfit(np.log(budgets[draw]), np.log(sizes[draw]), 1) → np.polyfit(budgets[draw], sizes[draw], 1)
The size is explained by the budget: you turned the two round.
    np.log(budgets[draw]), np.log(sizes[draw]) → np.log(sizes[draw]), np.log(budgets[draw])
The exponent is the slope; polyfit gives it first, and the line's height after it.
    1)[0] → 1)[1]
Low first, then high.
    return float(low), float(high) → return float(high), float(low)
""")


@exponent_interval.variant("an interval for a larger budget")
def size_interval(
    budgets: np.ndarray, sizes: np.ndarray, draws: np.ndarray, level: float
) -> tuple[float, float]:
    """Return a bootstrap interval (low, high) of the best size at ten times the largest budget.

    All as in 11.5, but of each resample's line the size that it predicts there is kept, not its exponent.
    """
    found = []
    for draw in draws:
        slope, height = np.polyfit(np.log(budgets[draw]), np.log(sizes[draw]), 1)
        found.append(np.exp(height + slope * np.log(10 * budgets.max())))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


size_interval.slips("""
That answers the first version: the interval of an exponent; here it is of a size.
    → exponent_interval
Half of what is left out lies below, half above.
    [(1 - level) / 2, (1 + level) / 2] → [1 - level, level]
Ten times the largest budget of all, not of those that the resample drew.
    budgets.max() → budgets[draw][:-1].max()
That is at the largest budget; ten times more is asked for.
    10 * budgets.max() → budgets.max()
The line predicts a logarithm: the size is e to its power.
    np.exp(height + slope * np.log(10 * budgets.max())) → height + slope * np.log(10 * budgets.max())
The line's height is part of the prediction.
    np.exp(height + slope → np.exp(slope
A resample draws points, a budget with its size: you drew the sizes alone.
    np.log(budgets[draw]) → np.log(budgets)
""")
