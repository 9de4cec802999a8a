"""Secrets that are planted in a training text, to see whether a model gives them away.

    codes = [f"My code is {n:04}." for n in range(10_000)]  # all that it might have been
    exposures(log_p, [4821])  # log_p: what the model finds of each

Source: Carlini et al. 2019, "The Secret Sharer", section 4 (canaries, rank and exposure).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def exposures(
    log_p: Float[np.ndarray, " candidates"], canaries: Sequence[int]
) -> Float[np.ndarray, " canaries"]:
    """How exposed each canary is, in bits: log2 of the number of candidates less log2 of its rank.

    log_p: of every candidate, planted or not; canaries: the places of the planted ones there. A rank counts
    the candidates that are at least as probable, itself among them: so a model that finds all alike exposes
    none, 0 bits. A canary that was never read has any rank as likely, which makes 1.44 bits in the mean of
    many; one that comes at the first guess has log2 of the number of candidates.

    Raises ValueError for a NaN, which has no rank, and for a canary that is no candidate.
    """
    if np.isnan(log_p).any():
        raise ValueError(
            f"log_p has {np.isnan(log_p).sum()} NaN among {len(log_p)}: look for where they began"
        )
    if not all(0 <= canary < len(log_p) for canary in canaries):
        raise ValueError(
            f"canaries are places from 0 to {len(log_p) - 1} among the candidates; got {list(canaries)}"
        )
    ranks = [np.count_nonzero(log_p >= log_p[canary]) for canary in canaries]
    return np.log2(len(log_p)) - np.log2(ranks)
