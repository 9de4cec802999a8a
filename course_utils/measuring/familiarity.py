"""What a text of bytes has in common with the texts that a model has read: contexts, and names."""

import re

import numpy as np
from jaxtyping import Bool, Int

IN_CAPITALS = re.compile(rb"\b[A-Z]{2,}\b")


def times_seen(
    text: Int[np.ndarray, " bytes"], read: Int[np.ndarray, " others"], n: int = 5
) -> Int[np.ndarray, " predicted"]:
    """For each byte of a text from number n on: how often the n bytes before it stand in what was read.

    Raises ValueError for n outside 1 to 7, and for texts shorter than n.
    """
    if not 1 <= n <= 7:  # eight bytes may not fit a signed integer of 64 bits
        raise ValueError(f"1 to 7 bytes can be looked up; got {n}")
    if min(len(text), len(read)) < n:
        raise ValueError(f"both texts need {n} bytes; they have {len(text)} and {len(read)}")
    ours, theirs = (
        np.lib.stride_tricks.sliding_window_view(np.asarray(ids, dtype=np.int64), n) @ 256 ** np.arange(n)
        for ids in (text, read)
    )  # each run of n bytes as one number
    known, times = np.unique(theirs, return_counts=True)
    place = np.searchsorted(known, ours[:-1]).clip(max=len(known) - 1)
    return np.where(known[place] == ours[:-1], times[place], 0)


def in_new_names(text: str, read: str) -> Bool[np.ndarray, " bytes"]:
    """Whether each byte of a text stands in a word in capitals, such as PROSPERO, that was never read."""
    known = set(IN_CAPITALS.findall(read.encode()))
    marked = np.zeros(len(text.encode()), dtype=bool)
    for name in IN_CAPITALS.finditer(text.encode()):
        marked[name.start() : name.end()] = name.group() not in known
    return marked
