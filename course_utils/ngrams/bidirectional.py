"""Counting from both sides: what stands in a gap, by the one or two tokens on each side of it.

Eight contexts vote, from the token on the left alone to two on each side, and the unigram, which has an
opinion everywhere. Each votes with its relative frequencies; a context that training never showed, or that a
mask covers, has no vote. The weights of those that have one come from expectation-maximisation on held-out
gaps, one set of weights for each set of voters (Jelinek & Mercer 1980).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

# Offsets from the gap. Four ids of fewer than 2**16 make one key of 64 bits.
CONTEXTS = [(-1,), (-2, -1), (1,), (1, 2), (-1, 1), (-2, -1, 1), (-1, 1, 2), (-2, -1, 1, 2)]
EDGE = 2  # tokens on a side
PRIOR = 5.0  # gaps: how strongly the weights of rare sets of voters are held near those of all


class Counts(NamedTuple):
    """The tokens that a context had in its gap: of context i they are entries starts[i] to starts[i + 1]."""

    contexts: Int[np.ndarray, " contexts"]
    starts: Int[np.ndarray, " contexts+1"]
    tokens: Int[np.ndarray, " entries"]
    shares: Float[np.ndarray, " entries"]


class BidirectionalNGram:
    """p(token in a gap | two tokens on each side). `hidden` is the id that covers a token: it tells nothing.

    Raises ValueError for a vocabulary of which four ids don't fit into 64 bits.
    """

    def __init__(self, vocab_size: int, hidden: int):
        if not 1 <= vocab_size <= 2**16:
            raise ValueError(f"vocab_size lies between 1 and 65,536; got {vocab_size}")
        self.vocab_size, self.hidden = vocab_size, hidden
        self.weights: dict[int, Float[np.ndarray, " voters"]] = {}

    def fit(self, rows: list[Int[np.ndarray, " tokens"]]) -> "BidirectionalNGram":
        """Count rows of tokens; none is hidden. Weights of earlier counts are forgotten."""
        self.weights = {}
        ids, places = _joined(rows)
        asked = ids[places]
        self.unigram = np.bincount(asked, minlength=self.vocab_size) + 1 / self.vocab_size
        self.unigram /= self.unigram.sum()  # one token more, shared out evenly: no token is impossible
        self.counts = [self._count(ids, places, offsets) for offsets in CONTEXTS]
        return self

    def _count(self, ids, places, offsets) -> Counts:
        keys, tokens = _keys(ids, places, offsets), ids[places]
        order = np.lexsort((tokens, keys))
        keys, tokens = keys[order], tokens[order]
        new_context = np.diff(keys, prepend=keys[0] ^ 1) != 0
        entries = np.flatnonzero(new_context | (np.diff(tokens, prepend=-1) != 0))
        counts = np.diff(entries, append=len(keys))
        starts = np.flatnonzero(new_context[entries])
        totals = np.add.reduceat(counts, starts)
        shares = counts / np.repeat(totals, np.diff(starts, append=len(entries)))
        ends = np.append(starts, len(entries))
        return Counts(keys[entries[starts]], ends, tokens[entries], shares.astype(np.float32))

    def fit_weights(
        self,
        rows: list[Int[np.ndarray, " tokens"]],
        chosen: list[np.ndarray],
        answers: Int[np.ndarray, " gaps"],
    ) -> "BidirectionalNGram":
        """Set the weights by EM on held-out gaps: rows as they are read, which places are asked, and the
        tokens that stood there, in order."""
        ids, places = _joined(rows, chosen)
        votes = self._votes(ids, places)
        n = len(places)
        p, present = np.zeros((n, 1 + len(CONTEXTS))), np.ones((n, 1 + len(CONTEXTS)), dtype=bool)
        p[:, 0] = self.unigram[answers]
        for j, (counts, found) in enumerate(zip(self.counts, votes, strict=True), 1):
            present[:, j] = found >= 0
            for i in np.flatnonzero(found >= 0):
                entries = slice(*counts.starts[found[i] : found[i] + 2])
                at = np.searchsorted(counts.tokens[entries], answers[i])
                if at < entries.stop - entries.start and counts.tokens[entries][at] == answers[i]:
                    p[i, j] = counts.shares[entries][at]
        everyone = _expectation_maximisation(p, present, np.zeros(p.shape[1]))
        self._everyone = everyone
        patterns = present @ (1 << np.arange(p.shape[1]))
        for pattern in np.unique(patterns):
            same = patterns == pattern
            prior = _normalised(everyone * present[same][0])
            self.weights[int(pattern)] = _expectation_maximisation(p[same], present[same], PRIOR * prior)
        return self

    def distributions(
        self, rows: list[Int[np.ndarray, " tokens"]], chosen: list[np.ndarray]
    ) -> Float[np.ndarray, "gaps vocab"]:
        """The probabilities of every token at every place that is asked. Raises ValueError before the weights
        are set."""
        if not self.weights:
            raise ValueError("the weights are not set: call fit and fit_weights first")
        ids, places = _joined(rows, chosen)
        votes = self._votes(ids, places)
        p = np.empty((len(places), self.vocab_size), dtype=np.float32)
        for i in range(len(places)):
            present = np.array([True, *(found[i] >= 0 for found in votes)])
            pattern = int(present @ (1 << np.arange(len(present))))
            weights = self.weights.get(pattern)
            if weights is None:
                weights = _normalised(self._everyone * present)
            p[i] = weights[0] * self.unigram
            for weight, counts, found in zip(weights[1:], self.counts, votes, strict=True):
                if found[i] >= 0:
                    entries = slice(*counts.starts[found[i] : found[i] + 2])
                    p[i, counts.tokens[entries]] += weight * counts.shares[entries]
        return p

    def _votes(self, ids, places) -> list[Int[np.ndarray, " gaps"]]:
        """For each context and place the number of the context, or -1 if it has no vote."""
        votes = []
        for offsets, counts in zip(CONTEXTS, self.counts, strict=True):
            keys = _keys(ids, places, offsets)
            found = np.searchsorted(counts.contexts, keys).clip(max=len(counts.contexts) - 1)
            covered = np.any([ids[places + offset] == self.hidden for offset in offsets], axis=0)
            votes.append(np.where((counts.contexts[found] == keys) & ~covered, found, -1))
        return votes


def _joined(rows, chosen=None) -> tuple[np.ndarray, np.ndarray]:
    """The rows in one array with two zeros round each, and the places that are asked (all, if None)."""
    edge = np.zeros(EDGE, dtype=np.int64)
    ids = np.concatenate([part for row in rows for part in (edge, row, edge)])
    inside = chosen if chosen is not None else [np.ones(len(row), dtype=bool) for row in rows]
    no = np.zeros(EDGE, dtype=bool)
    return ids, np.flatnonzero(np.concatenate([part for row in inside for part in (no, row, no)]))


def _keys(ids, places, offsets) -> np.ndarray:
    keys = np.zeros(len(places), dtype=np.uint64)
    for offset in offsets:
        keys = keys << np.uint64(16) | ids[places + offset].astype(np.uint64)
    return keys


def _normalised(weights):
    return weights / weights.sum()


def _expectation_maximisation(p, present, prior, rounds: int = 100) -> Float[np.ndarray, " voters"]:
    """The weights that make the answers likeliest, each gap's taken over the voters that are present."""
    weights = np.ones(p.shape[1]) / p.shape[1]
    for _ in range(rounds):
        claims = weights * p
        claims /= claims.sum(1, keepdims=True)
        chances = (present / (present @ weights)[:, None]).sum(0)
        votes = claims.sum(0) + prior
        weights = _normalised(np.divide(votes, chances, out=np.zeros_like(votes), where=chances > 0))
    return weights
