"""Beam search over anything that says how likely each next token is.

A step continues every text of the beam by every token of the vocabulary and keeps the best few of all. The
steps come one by one, so that a reader can watch what each keeps and what it leaves out.
`course_utils.generation.beam_search` takes them all with a model.

Sources: Graves 2012; Wu et al. 2016, section 7 (the length penalty).
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Beam(NamedTuple):
    """A continuation: its ids, the sum of their log-probabilities (nats), and the score it was ranked by."""

    ids: list[int]
    log_p: float
    score: float


class Step(NamedTuple):
    """What a step keeps and what not, the best first: the texts that go on, those that ended at this step or
    before, and the best of those left out; `over` says that no step comes after it."""

    going: list[Beam]
    finished: list[Beam]
    left_out: list[Beam]
    over: bool

    def best(self, beams: int) -> list[Beam]:
        """The best of all that end or go on; of equals those that end come first."""
        return sorted(self.finished + self.going, key=lambda beam: -beam.score)[:beams]


def extended(beam: Beam, token: int, log_p: float, length_penalty: float) -> Beam:
    """A text and one token more, of this log-probability; its score is log p / length^length_penalty."""
    ids, total = [*beam.ids, token], beam.log_p + log_p
    return Beam(ids, total, total / len(ids) ** length_penalty)


def largest(values: Float[np.ndarray, " n"], k: int) -> Int[np.ndarray, " k"]:
    """The places of the k largest values, the largest first; of equals the first come first."""
    k = min(k, len(values))
    edge = np.partition(values, len(values) - k)[len(values) - k] if k else np.inf
    places = np.flatnonzero(values >= edge)
    return places[np.argsort(-values[places], kind="stable")][:k]


def beam_steps(
    next_log_p: Callable[[list[list[int]]], Float[np.ndarray, "texts vocab"]],
    max_new: int,
    beams: int,
    *,
    length_penalty: float = 1.0,
    end_ids: Collection[int] = (),
) -> Iterator[Step]:
    """Search for the best continuations of at most `max_new` tokens, `beams` of them at a time.

    `next_log_p` gives the log-probabilities (nats) of the token after each of the texts; each is one of the
    texts that were asked for last, and a token. The first is the empty one. The search ends when no text can
    overtake the best `beams` that reached a token of `end_ids`. Of equal scores the one from the better beam
    is kept, then the smaller id. Raises ValueError for log-probabilities that are NaN.
    """
    going, finished = [Beam([], 0.0, 0.0)], []
    for length in range(1, max_new + 1):
        log_p = next_log_p([beam.ids for beam in going])
        totals = (np.array([[beam.log_p] for beam in going]) + log_p).ravel()
        if np.isnan(totals).any():
            raise ValueError("log-probabilities are numbers up to 0; the search was given NaN")
        # Each beam has len(end_ids) ways to end, so among so many there are enough that go on.
        considered = beams * (1 + len(end_ids))
        parents, going, ended, left_out = going, [], [], []
        for rank, place in enumerate(largest(totals, considered + beams)):
            parent, token = divmod(int(place), log_p.shape[1])
            if totals[place] == -np.inf:
                break  # what can't come is no candidate
            beam = extended(parents[parent], token, float(log_p[parent, token]), length_penalty)
            if token in end_ids and rank < considered:
                ended.append(beam)
            elif token not in end_ids and len(going) < beams:
                going.append(beam)
            else:
                left_out.append(beam)
        finished = sorted(finished + ended, key=lambda beam: -beam.score)[:beams]
        # Where the score of a text whose sum only falls can be best: at its longest, or as it is.
        longest = max_new if length_penalty > 0 else length
        over = length == max_new or not going
        if going and len(finished) == beams:
            over |= finished[-1].score >= going[0].log_p / longest**length_penalty
        yield Step(going, finished, left_out[:beams], over)
        if over:
            return
