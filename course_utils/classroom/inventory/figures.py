"""What a class's answers say: gain, difficulty and discrimination of each question, reliability.

Right answers count 1, all others and open ones 0. Intervals are percentiles of a bootstrap over students
(Efron and Tibshirani 1993, section 13.3), with a fixed seed.
"""

from collections.abc import Callable

import numpy as np

RESAMPLES, LEVEL = 2000, 0.95


def gain(before: np.ndarray, after: np.ndarray) -> float:
    """The class's normalised gain, (after - before) / (1 - before) of mean shares of right answers (Hake,
    American Journal of Physics 66, 1998, equation 1). NaN if all was right before."""
    room = 1 - before.mean()
    return float((after.mean() - before.mean()) / room) if room > 0 else float("nan")


def kr20(right: np.ndarray) -> float:
    """The reliability of a form, from 0/1 answers (students, questions): k/(k-1) (1 - Σ p(1-p) / variance of
    the sums) (Kuder and Richardson, Psychometrika 2, 1937, formula 20). NaN where all sums are equal."""
    k, variance = right.shape[1], right.sum(axis=1).var()
    p = right.mean(axis=0)
    return float(k / (k - 1) * (1 - (p * (1 - p)).sum() / variance)) if variance > 0 else float("nan")


def discrimination(right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The correlation of each question with the sum of the others, (questions,), from 0/1 answers (sheets,
    questions). Both are centred within `groups` (sheets,), so that learning between them does not count. NaN
    for a question that each group answers alike."""
    rest = right.sum(axis=1, keepdims=True) - right
    one, other = _centred(right, groups), _centred(rest, groups)
    spread = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, (one * other).sum(axis=0) / spread, np.nan)


def _centred(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    out = values.astype(float)
    for group in np.unique(groups):
        out[groups == group] -= out[groups == group].mean(axis=0)
    return out


def interval(
    statistic: Callable[..., float], *samples: np.ndarray, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The bootstrap interval of a statistic of samples whose rows belong to the same students. NaN for fewer
    than two students, or where it can't be computed."""
    n = len(samples[0])
    if n < 2:
        return float("nan"), float("nan")
    generator = np.random.default_rng(0)
    values = [
        statistic(*(sample[rows] for sample in samples))
        for rows in generator.integers(n, size=(resamples, n))
    ]
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
