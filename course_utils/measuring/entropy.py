"""How uncertain is the next letter? Shannon's bounds from the number of guesses that a player needs.

A player who knows the text so far names the next letter, the likeliest first, until it is right. The numbers
of guesses hold all that the text held (the same player could undo them), so they bound F, the entropy of a
letter when as much before it is known. With q_i the share of letters that were right on guess i,

    sum_i i (q_i - q_(i+1)) log2 i  <=  F  <=  - sum_i q_i log2 q_i.

Both sides are estimates when the shares come from few guesses. Jensen's inequality pulls the right side
down, the more the fewer there were, and then it bounds nothing: `miller_madow` puts back what is lost on
average. The left side is linear in the shares, so it needs no correction.

Sources: Shannon 1951, "Prediction and Entropy of Printed English", eq. 17 and table I; Miller 1955, "Note on
the bias of information estimates"; Efron 1979 (bootstrap); Ayer et al. 1955 (pooling adjacent violators).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

ALPHABET_27 = " abcdefghijklmnopqrstuvwxyz"
RESAMPLES = 400  # games that the bootstrap draws


class Bounds(NamedTuple):
    """Bits a symbol."""

    lower: float
    upper: float


class Interval(NamedTuple):
    """Where each bound may lie, as (low, high) in bits a symbol."""

    lower: tuple[float, float]
    upper: tuple[float, float]


class Monotone(NamedTuple):
    """Counts that never rise from rank to rank, and how many of them are averages with their neighbours."""

    counts: Float[np.ndarray, " ranks"]
    pooled: int


class SelfPlay(NamedTuple):
    """A game whose player's entropy is known: bits a symbol, and the guesses that each symbol took."""

    entropy: float
    ranks: Int[np.ndarray, " symbols"]


class Column(NamedTuple):
    """A column of Shannon's table I: percent right at guess 1, 2, 3, ..., and the bounds that he prints."""

    percent: list[float]
    printed: Bounds


# fmt: off
# By N, the number of letters known with the one to be guessed. N = 4 is smoothed as Shannon says he did:
# 21 percent are spread evenly over the guesses 4 to 20.
SHANNON_1951 = {
    1: Column(
        [18.2, 10.7, 8.6, 6.7, 6.5, 5.8, 5.6, 5.2, 5.0, 4.3, 3.1, 2.8, 2.4, 2.3,
         2.1, 2.0, 1.6, 1.6, 1.6, 1.3, 1.2, 0.8, 0.3, 0.1, 0.1, 0.1, 0.1],
        Bounds(3.19, 4.03),
    ),
    2: Column(
        [29.2, 14.8, 10.0, 8.6, 7.1, 5.5, 4.5, 3.6, 3.0, 2.6, 2.2, 1.9, 1.5, 1.2,
         1.0, 0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.0],
        Bounds(2.50, 3.42),
    ),
    4: Column([47.0, 18.0, 14.0, *[21 / 17] * 17], Bounds(1.7, 2.6)),
}
# fmt: on


def letters_27(text: str) -> str:
    """Shannon's alphabet: lower case a to z; whatever stands between letters becomes one blank."""
    return re.sub("[^a-z]+", " ", text.lower()).strip()


def shannon_bounds(rank_frequencies: Float[np.ndarray, " ranks"]) -> Bounds:
    """Shannon's bounds (1951, eq. 17) in bits a symbol from how often guess 1, 2, 3, ... was right.

    Counts or shares: they are divided by their sum. Raises ValueError for frequencies that are negative,
    NaN, all zero or rise from one rank to the next, which those of an ideal player can't.
    """
    q = _checked(rank_frequencies)
    if (rises := np.flatnonzero(np.diff(q) > 0)).size:
        i = rises[0]
        raise ValueError(
            f"guess {i + 2} was right more often ({q[i + 1]:g}) than guess {i + 1} ({q[i]:g}); a player who "
            "names the likeliest first has falling frequencies: make_monotone(counts) pools such neighbours"
        )
    q = q / q.sum()
    i = np.arange(1, len(q) + 1)
    lower = (i * -np.diff(q, append=0.0) * np.log2(i)).sum()
    right = q[q > 0]
    return Bounds(float(lower), float(-(right * np.log2(right)).sum()))


def rank_counts(ranks: Int[np.ndarray, " symbols"]) -> Int[np.ndarray, " ranks"]:
    """How many symbols took 1, 2, 3, ... guesses. Raises ValueError for no symbols or a rank below 1."""
    ranks = np.asarray(ranks)
    if ranks.ndim != 1 or ranks.size == 0 or ranks.dtype.kind not in "iu" or ranks.min() < 1:
        raise ValueError(f"ranks are how many guesses each symbol took, integers from 1 on; got {ranks!r}")
    return np.bincount(ranks)[1:]


def make_monotone(counts: Float[np.ndarray, " ranks"]) -> Monotone:
    """The likeliest counts that never rise from rank to rank: neighbours that do share their mean.

    Pooling adjacent violators moves both bounds outward: it lowers the lower one and raises the upper one.
    Sorting makes counts fall too, but leaves the upper bound where few guesses put it: too low.
    """
    blocks: list[list[float]] = []  # [sum, number of ranks]
    for count in _checked(counts):
        blocks.append([count, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] < blocks[-1][0] / blocks[-1][1]:
            total, size = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += size
    return Monotone(
        np.concatenate([np.full(size, total / size) for total, size in blocks]),
        sum(size for _, size in blocks if size > 1),
    )


def miller_madow(counts: Int[np.ndarray, " ranks"]) -> float:
    """Bits that an entropy of observed shares lacks on average: (m - 1) / (2 N ln 2).

    N symbols were observed, m ranks occurred. Where it comes from: with q the true shares and q^ the
    observed ones, H(q) - mean of H(q^) is the mean of KL(q^ || q), and 2 N KL is close to chi-squared with
    m - 1 degrees of freedom. It holds for the upper bound, which is such an entropy, and not for the lower.
    """
    counts = _checked(counts)
    return float((np.count_nonzero(counts) - 1) / (2 * counts.sum() * np.log(2)))


def corrected_bounds(ranks: Int[np.ndarray, " symbols"]) -> Bounds:
    """Shannon's bounds from a game: counts made monotone, and Miller-Madow's bits added to the upper one."""
    return _corrected(rank_counts(ranks))


def _corrected(counts: Int[np.ndarray, " ranks"]) -> Bounds:
    lower, upper = shannon_bounds(make_monotone(counts).counts)
    return Bounds(lower, upper + miller_madow(counts))


def bootstrap_interval(ranks: Int[np.ndarray, " symbols"], generator: np.random.Generator) -> Interval:
    """Between which values do `corrected_bounds` fall, in 95 % of games, had chance dealt other symbols of
    the same kind?

    The percentile bootstrap: games of the same length are drawn from the game's own ranks. It assumes that
    one guess knows nothing of the next. In real text hard places come together, so that the interval holds
    the truth somewhat less often than it says. Raises ValueError as `rank_counts` does.
    """
    counts = rank_counts(ranks)
    games = generator.multinomial(counts.sum(), counts / counts.sum(), size=RESAMPLES)
    low, high = np.quantile([_corrected(game) for game in games], [0.025, 0.975], axis=0)
    return Interval((float(low[0]), float(high[0])), (float(low[1]), float(high[1])))


def guess_ranks(
    distributions: Iterable[Float[np.ndarray, " vocab"]], tokens: Int[np.ndarray, " tokens"]
) -> Int[np.ndarray, " tokens"]:
    """How many guesses each token takes a player who names tokens in the order of their probability.

    One distribution a token; of two equally likely tokens the one with the smaller id is named first.
    Raises ValueError for a token that its distribution does not have, and for NaN.
    """
    ranks = []
    for distribution, token in zip(distributions, tokens, strict=True):
        p = np.asarray(distribution)
        if not 0 <= token < len(p):
            raise ValueError(f"token ids go from 0 to {len(p) - 1} here; got {token}")
        if np.isnan(p).any():
            raise ValueError(f"the distribution for token {len(ranks)} has NaN in it: it has no order")
        ranks.append(1 + np.count_nonzero(p > p[token]) + np.count_nonzero(p[:token] == p[token]))
    return np.array(ranks, dtype=np.int64)


def self_play(model, n: int, generator: np.random.Generator) -> SelfPlay:
    """Let an n-gram model play Shannon's game on n tokens of its own.

    Nobody can know these tokens better than the model that drew them: their entropy is the mean entropy of
    the distributions they were drawn from. Raises ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n is how many tokens are guessed, at least 1; got {n}")
    tokens = model.sample(n, generator=generator)
    entropies = []

    def distributions():
        for i in range(n):
            p = model.distribution(tokens[max(0, i - model.order + 1) : i])
            entropies.append(-(p[p > 0] * np.log2(p[p > 0])).sum())
            yield p

    ranks = guess_ranks(distributions(), tokens)
    return SelfPlay(float(np.mean(entropies)), ranks)


def _checked(frequencies) -> Float[np.ndarray, " ranks"]:
    q = np.asarray(frequencies, dtype=np.float64)
    if q.ndim != 1 or q.size == 0:
        raise ValueError(
            "frequencies are one number a rank, how often guess 1, 2, 3, ... was right; "
            + (f"got an array of shape {q.shape}" if q.size else "got none")
        )
    if not np.isfinite(q).all() or (q < 0).any():
        bad = np.flatnonzero(~(np.isfinite(q) & (q >= 0)))[0]
        raise ValueError(f"frequencies must be finite and not negative; guess {bad + 1} has {q[bad]}")
    if q.sum() == 0:
        raise ValueError("all frequencies are 0: nothing was guessed, so there is nothing to bound")
    return q
