"""Bits against the context kept: how far back does a model's knowledge reach?

What is further back than k tokens is shuffled: the model still sees a context of the usual length and the
usual letters, but only the last k of them are where they belong. Where the curve goes flat, the model gets
nothing from further back. The same figure is drawn for n-grams, the LSTM and GPT.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Int


def windows(tokens: Int[np.ndarray, " tokens"], length: int) -> Int[np.ndarray, "windows length"]:
    """Every run of `length` tokens. Raises ValueError for a text shorter than that."""
    if not 1 <= length <= len(tokens):
        raise ValueError(f"a window has 1 to {len(tokens)} tokens, as many as the text has; got {length}")
    return np.lib.stride_tricks.sliding_window_view(np.asarray(tokens), length)


def shuffle_beyond(
    windows: Int[np.ndarray, "windows length"], kept: int, generator: np.random.Generator
) -> Int[np.ndarray, "windows length"]:
    """A copy in which, row by row, all but the last token and the `kept` before it are shuffled.

    Raises ValueError if `kept` is negative or more than the context that a window has.
    """
    context = windows.shape[1] - 1
    if not 0 <= kept <= context:
        raise ValueError(f"a window of {context + 1} tokens keeps 0 to {context} of context; got {kept}")
    far = context - kept
    shuffled = generator.permuted(windows[:, :far], axis=1)
    return np.concatenate([shuffled, windows[:, far:]], axis=1)


def bits_by_context_kept(
    log2_prob_of_last: Callable[[Int[np.ndarray, "windows length"]], Float[np.ndarray, " windows"]],
    tokens: Int[np.ndarray, " tokens"],
    context: int,
    kept: Iterable[int],
    every: int = 1,
) -> dict[int, float]:
    """Mean bits of a token when only the last k tokens of its context stand where they belong, by k.

    log2_prob_of_last scores the last token of each window, given the others; context is the window's length
    less one, and the same for every k, so that only the order of what is far away changes. Of all windows
    every `every`-th is scored.
    """
    rows, generator = windows(tokens, context + 1)[::every], np.random.default_rng(0)
    return {k: float(-log2_prob_of_last(shuffle_beyond(rows, k, generator)).mean()) for k in kept}
