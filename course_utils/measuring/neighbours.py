"""Do things of one label lie together? The label of the nearest neighbour, and what chance would give."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

SHUFFLES = 1000
SAME = 1e-6  # cosines that differ by less are equal


class Together(NamedTuple):
    """The share whose nearest neighbour has the same label, and what chance gives: the commoner label,
    labels shuffled, their mean and the range of 95 in 100 of the shuffles."""

    accuracy: float
    commonest: float
    shuffled: float
    low: float
    high: float


def cosines(vectors: Float[np.ndarray, "things width"]) -> Float[np.ndarray, "things things"]:
    """The cosine of each pair. Raises ValueError for a vector of length 0, or one that is not finite."""
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("a cosine needs finite vectors with a direction; one is 0, or has NaN or infinity")
    return (vectors / lengths) @ (vectors / lengths).T


def others(similarity: Float[np.ndarray, "things things"]) -> Int[np.ndarray, "things others"]:
    """All others of each thing, the most alike first."""
    return np.argsort(-_apart(similarity), axis=1, kind="stable")[:, :-1]


def _apart(similarity: Float[np.ndarray, "things things"]) -> Float[np.ndarray, "things things"]:
    return similarity - 4 * np.eye(len(similarity))  # no thing is its own neighbour: a cosine is at least -1


def together(similarity: Float[np.ndarray, "things things"], labels: Sequence[str]) -> Together:
    """How well a thing's label is told by its nearest neighbour's, each thing left out in turn (Cover & Hart
    1967). Where several are equally near, each counts for its part.

    Raises ValueError unless there is a label for each thing, of two kinds at least.
    """
    kinds, ids = np.unique(labels, return_inverse=True)
    n = len(similarity)
    if len(ids) != n or len(kinds) < 2:
        raise ValueError(
            f"each of {n} things has a label, of two kinds at least; got {len(ids)} of {len(kinds)}"
        )
    apart = _apart(similarity)
    near = apart >= apart.max(axis=1, keepdims=True) - SAME
    near = near / near.sum(axis=1, keepdims=True)
    shuffles = np.random.default_rng(0).permuted(np.tile(ids, (SHUFFLES, 1)), axis=1)
    drawn = np.eye(len(kinds))[np.vstack([ids, shuffles])]  # (1 + SHUFFLES, n, kinds)
    accuracy, *by_chance = (drawn * (near @ drawn)).sum((1, 2)) / n
    low, high = np.quantile(by_chance, [0.025, 0.975])
    shares = accuracy, np.bincount(ids).max() / n, np.mean(by_chance), low, high
    return Together(*map(float, shares))
