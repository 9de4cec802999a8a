"""Random inputs that several exercises share."""

import numpy as np


def rounded(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers with one digit after the point, for a person to read."""
    return np.round(generator.normal(size=shape), 1)


def different_shares(generator, *shape):
    """Rows that sum to 1, of shares that are all different."""
    vocabulary = shape[-1]
    rows = np.prod(shape[:-1], dtype=int)
    shares = [
        generator.choice(np.arange(1, 4 * vocabulary), size=vocabulary, replace=False) for _ in range(rows)
    ]
    return np.array([row / row.sum() for row in shares]).reshape(shape)
