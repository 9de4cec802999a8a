"""Who is first, and who can't be told from the first: means over seeds, and a p-value for each difference.

One run decides nothing: train a recipe again with another seed and it scores otherwise. So each recipe has a
few, and two recipes differ only if their means lie further apart than such scatter explains. Whoever looks
for the largest difference among many recipes finds one by chance, so p is about the distance between the
lowest and the highest of as many equal recipes (the studentised range), and each pair has its own scatter, as
a wild recipe scatters more than a tame one.

With two recipes this is Welch's t-test. Simulated with 5 seeds, 2 to 8 equal recipes are all tied in 95 to 96
of 100 contests, whether they scatter alike or not, and 30 in 92 (10 seeds: 94). With one scatter for all, as
Tukey's test has it, unlike scatters leave 8 of them tied in 87. A permutation test would assume less, but the
least p that it can give of 5 seeds against 5 is 2/252, which a correction for many recipes lifts above .05.

Sources: Welch 1947; Tukey 1949 (the studentised range); Games & Howell 1976 (each pair its own scatter).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST_SEEDS = 3
LEVEL = 0.05  # of contests among equals, the share in which somebody is told from the first


@dataclass(frozen=True)
class Place:
    """A recipe's: mean and standard error in bits per byte; p of its difference from the first, None for the
    first itself. All that are tied with the first have rank 1."""

    rank: int
    name: str
    mean: float
    error: float
    p: float | None

    @property
    def tied(self) -> bool:
        return self.rank == 1


def ranked(scores: Mapping[str, Sequence[float]]) -> list[Place]:
    """The places of recipes, by their scores, one a seed: the lowest mean comes first.

    Raises ValueError for fewer than LEAST_SEEDS scores of one, and for a score that is no finite number.
    """
    scores = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    for name, values in scores.items():
        if len(values) < LEAST_SEEDS or not np.isfinite(values).all():
            raise ValueError(f"{name} needs {LEAST_SEEDS} scores or more, all finite; got {values.tolist()}")
    order = sorted(scores, key=lambda name: (scores[name].mean(), name))
    places = []
    for number, name in enumerate(order, start=1):
        values = scores[name]
        p = None if number == 1 else difference(scores[order[0]], values, len(scores))
        rank = 1 if p is None or p >= LEVEL else number
        places.append(Place(rank, name, values.mean(), values.std(ddof=1) / len(values) ** 0.5, p))
    return sorted(places, key=lambda place: (place.rank, place.mean, place.name))


def difference(one: Sequence[float], other: Sequence[float], recipes: int) -> float:
    """p of a difference as large as that of the two means, between any two of so many equal recipes."""
    from scipy.stats import studentized_range, ttest_ind

    if np.ptp(one) == np.ptp(other) == 0:  # no scatter, by which t would be divided
        return float(one[0] == other[0])
    found = ttest_ind(one, other, equal_var=False)
    return float(studentized_range.sf(abs(found.statistic) * 2**0.5, recipes, found.df))


def power(gain: float, noise: float, seeds: int, recipes: int) -> float:
    """The share of contests in which a recipe that is better by `gain` is told from one of the others, where
    seeds scatter with the standard deviation `noise` in both."""
    return _power(gain, noise, seeds, _needed(seeds, recipes))


def found_in(share: float, noise: float, seeds: int, recipes: int) -> float:
    """The gain that is found in this share of contests."""
    from scipy.optimize import brentq

    needed = _needed(seeds, recipes)
    return brentq(lambda gain: _power(gain, noise, seeds, needed) - share, 0, 100 * noise)


def _needed(seeds: int, recipes: int) -> float:
    """The t that a difference needs to be one."""
    from scipy.stats import studentized_range

    return studentized_range.ppf(1 - LEVEL, recipes, 2 * (seeds - 1)) / 2**0.5


def _power(gain: float, noise: float, seeds: int, needed: float) -> float:
    from scipy.stats import nct

    return float(nct.sf(needed, 2 * (seeds - 1), gain / noise * (seeds / 2) ** 0.5))
