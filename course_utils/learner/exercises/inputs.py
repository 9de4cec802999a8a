"""Random inputs that several exercises share."""

import numpy as np


def rounded(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers with one digit after the point, for a person to read."""
    return np.round(generator.normal(size=shape), 1)
