"""A text in runs of words, each a number: what near-duplicates, contamination and repetition are told by."""

import re
import zlib
from functools import lru_cache

import numpy as np
from jaxtyping import UInt64

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, with ones and zeros well mixed (2^64 over the golden ratio)


@lru_cache(maxsize=1)  # several filters in turn ask for those of one document
def words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case: runs of letters, digits and underscores, of any script."""
    return tuple(re.findall(r"\w+", text.lower()))


@lru_cache(maxsize=1)
def _codes(text: str) -> UInt64[np.ndarray, " words"]:
    codes = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words(text)]
    return np.array(codes, dtype=np.uint64)


def runs(text: str, length: int) -> UInt64[np.ndarray, " runs"]:
    """Each run of `length` words as a 64-bit number, the same on every machine, in the order of the text.

    A text of fewer words is one run; one without a word has none. Two different runs get the same number by
    chance once in 10^19, unless two of their words do at the same place: of words one pair in 4 * 10^9 does.
    """
    codes = _codes(text)
    return hashed(codes, min(length, len(codes))) if len(codes) else codes


def hashed(codes: UInt64[np.ndarray, " codes"], length: int) -> UInt64[np.ndarray, " runs"]:
    """Each `length` codes in a row as one number."""
    codes = codes + np.uint64(1)  # all of it modulo 2^64
    numbers = codes[: len(codes) - length + 1] * MULTIPLIER
    for k in range(1, length):
        numbers += codes[k : k + len(numbers)]
        numbers *= MULTIPLIER
    return numbers
