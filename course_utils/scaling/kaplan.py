"""Kaplan's 0.73 out of Chinchilla's 0.5: the same law, seen without embeddings and on small models.

Kaplan et al. counted parameters and FLOPs without embeddings, and their models had 768 to 1.5 billion of such
parameters. In a small model the embedding is most of it. So where only the rest is counted, a size that has
grown tenfold has grown less in full, and the best size seems to grow faster with the budget than it does.

Source: Pearce & Song 2024 (arXiv 2406.12907), whose settings stand below. Porian et al. 2024 (2406.19146)
have another account: the last layer's FLOPs, too long a warm-up, and settings that were not tuned for each
size.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from course_utils.scaling.laws import Law, power

SIZES = np.logspace(2.9, 9.2, 20)  # parameters without embeddings
BUDGETS = np.logspace(12.95, 20.7, 100)  # 6 N D, with N without embeddings


def embedding_of(non_embedding):
    """Parameters of Chinchilla's embeddings, of 32,000 tokens, beside so many others: both grow with the
    width, the latter with its cube."""
    return 47_491 * non_embedding ** (1 / 3)


def best_sizes(
    law: Law,
    budgets: Float[np.ndarray, " budgets"],
    counted: Float[np.ndarray, " sizes"],
    total: Float[np.ndarray, " sizes"],
) -> Float[np.ndarray, " budgets"]:
    """Of models with `total` parameters, of which `counted` enter the budget 6 N D, the counted size of the
    one that has the least loss at each budget."""
    d = budgets[:, None] / (6 * counted)
    return counted[law.loss(total, d).argmin(axis=1)]


def seen_exponent(
    law: Law,
    with_embeddings: bool,
    sizes: Float[np.ndarray, " sizes"] = SIZES,
    budgets: Float[np.ndarray, " budgets"] = BUDGETS,
    embedding: Callable = embedding_of,
) -> float:
    """a in N_opt ~ C^a, as a study finds it that trains `sizes` (parameters without embeddings) at `budgets`
    and counts both with or without embeddings; the law holds for all parameters."""
    total = sizes + embedding(sizes)
    return power(budgets, best_sizes(law, budgets, total if with_embeddings else sizes, total))[0]
