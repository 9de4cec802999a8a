"""Bits are a file: an arithmetic coder turns a model's probabilities into a file of just that many bits.

All texts share one interval, the likelier a text the wider its part. Each symbol narrows the interval to the
symbol's share of it; any number in the last one names the whole text and takes -log2 of its width in bits.

The file is read with the model that wrote it, on a machine that computes the same floating-point numbers.

Source: Witten, Neal & Cleary 1987, "Arithmetic coding for data compression", Communications of the ACM 30(6).
"""

from collections.abc import Callable, Iterable
from itertools import chain, repeat

import numpy as np
from jaxtyping import Float, Int

from course_utils.ngrams import NGramModel

TOTAL = 1 << 32  # probabilities are rounded to whole shares of TOTAL: floats would not narrow exactly
WHOLE = 1 << 64
HALF, QUARTER = WHOLE // 2, WHOLE // 4


def bounds(distribution: Float[np.ndarray, " vocab"]) -> Int[np.ndarray, " vocab+1"]:
    """Symbol s owns the shares from bounds[s] up to bounds[s + 1], at least one, of TOTAL.

    Raises ValueError for what is no probability distribution.
    """
    p = np.asarray(distribution, dtype=np.float64)
    if p.ndim != 1 or not (p >= 0).all() or not abs(p.sum() - 1) < 1e-6:
        raise ValueError(f"a distribution is 1-D, has no negative numbers and sums to 1; got {p!r}")
    cumulative = np.cumsum(p)
    shares = np.floor(cumulative / cumulative[-1] * (TOTAL - len(p))).astype(np.int64)
    return np.append(0, shares + np.arange(1, len(p) + 1))  # one share more for each symbol, however unlikely


def encode(symbols: Iterable[int], distributions: Iterable[Float[np.ndarray, " vocab"]]) -> bytes:
    """Write symbols down, each by its own distribution; in about -sum(log2 p) bits and at most a byte more.

    Raises ValueError for a symbol that its distribution does not have.
    """
    low, high, bits, undecided = 0, WHOLE - 1, [], 0
    for symbol, distribution in zip(symbols, distributions, strict=True):
        if not 0 <= symbol < len(distribution):
            raise ValueError(f"symbols go from 0 to {len(distribution) - 1}; got {symbol}")
        low, high = _narrow(low, high, bounds(distribution), symbol)
        low, high, offsets = _widen(low, high)
        for offset in offsets:
            if offset == QUARTER:
                undecided += 1
            else:
                bit = int(offset == HALF)
                bits += [bit, *[1 - bit] * undecided]
                undecided = 0
    # The middle of WHOLE now lies inside the interval: one more 1, and zeros for ever, names a number in it.
    return np.packbits([*bits, 1, *[0] * undecided]).tobytes()


def decode(
    code: bytes, n: int, next_distribution: Callable[[list[int]], Float[np.ndarray, " vocab"]]
) -> list[int]:
    """Read n symbols back; `next_distribution(symbols so far)` is what `encode` had for the next one.

    Raises ValueError if the code ends before n symbols do. One that is cut off need not: zeros follow it, and
    so it may be the code of other symbols, mostly of the same but for the last few. Nothing in it tells.
    """
    bits = chain(np.unpackbits(np.frombuffer(code, dtype=np.uint8)).tolist(), repeat(0))
    number = 0
    for _ in range(64):
        number = 2 * number + next(bits)
    low, high, used, symbols = 0, WHOLE - 1, 0, []
    while len(symbols) < n:
        shares = bounds(next_distribution(symbols))
        share = ((number - low + 1) * TOTAL - 1) // (high - low + 1)
        symbol = int(np.searchsorted(shares, share, side="right")) - 1
        low, high = _narrow(low, high, shares, symbol)
        low, high, offsets = _widen(low, high)
        for offset in offsets:
            number = 2 * (number - offset) + next(bits)
        used += len(offsets)
        if used > 8 * len(code):
            raise ValueError(
                f"the {len(code)} bytes end after {len(symbols)} of {n} symbols: they are cut off, damaged, "
                "or were written with another model"
            )
        symbols.append(symbol)
    return symbols


def _narrow(low: int, high: int, shares: Int[np.ndarray, " vocab+1"], symbol: int) -> tuple[int, int]:
    width = high - low + 1
    start, end = int(shares[symbol]), int(shares[symbol + 1])
    return low + width * start // TOTAL, low + width * end // TOTAL - 1


def _widen(low: int, high: int) -> tuple[int, int, list[int]]:
    """Double the interval as long as the lower, the upper or the middle half of WHOLE holds it.

    Also returns what was taken off before each doubling. It tells the next bit: 0 for a 0, HALF for a 1, and
    QUARTER for one that stays undecided until the next half is known, and will be its opposite.
    """
    offsets = []
    while True:
        if high < HALF:
            offset = 0
        elif low >= HALF:
            offset = HALF
        elif low >= QUARTER and high < HALF + QUARTER:
            offset = QUARTER
        else:
            return low, high, offsets
        low, high = 2 * (low - offset), 2 * (high - offset) + 1
        offsets.append(offset)


def compress(data: bytes, model: NGramModel) -> bytes:
    """Any bytes, coded by a byte model: their number (7 bits a byte, the lowest first), then their code.

    Raises ValueError for a model whose vocabulary is not the 256 bytes.
    """
    _check(model)
    number, rest = [], len(data)
    while rest > 127:
        number.append(128 + rest % 128)  # 128: another byte of the number follows
        rest //= 128
    tokens, reach = np.frombuffer(data, dtype=np.uint8), model.order - 1
    contexts = (tokens[max(0, i - reach) : i] for i in range(len(tokens)))
    return bytes([*number, rest]) + encode(data, map(model.distribution, contexts))


def decompress(blob: bytes, model: NGramModel) -> bytes:
    """The bytes that `compress` was given with the same model. Raises ValueError if the blob ends before they
    do; of one that is cut off the last few may be others, as in `decode`."""
    _check(model)
    end = next((i for i, byte in enumerate(blob) if byte < 128), None)
    if end is None:
        raise ValueError(f"got {len(blob)} bytes, too few to say how long the text is: they are cut off")
    n = sum((byte % 128) << (7 * i) for i, byte in enumerate(blob[: end + 1]))
    reach = model.order - 1
    return bytes(
        decode(blob[end + 1 :], n, lambda so_far: model.distribution(so_far[max(0, len(so_far) - reach) :]))
    )


def _check(model: NGramModel) -> None:
    if model.vocab_size != 256:
        raise ValueError(f"expected a model of 256 bytes; got one of {model.vocab_size} tokens")
