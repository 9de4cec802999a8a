"""Beam search over anything that says how likely each next token is.

A step extends every text of the beam by every token of the vocabulary and keeps the best few of all. The
steps are yielded one by one, so that a reader can watch what each of them keeps and prunes.
`course_utils.generation.beam_search` runs them all with a model.

Sources: Graves 2012; Wu et al. 2016, section 7 (the length penalty).
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Beam(NamedTuple):
    """A continuation: its ids, the sum of their log-probabilities (nats), and the score it is ranked by."""

    ids: list[int]
    log_p: float
    score: float

    def extended(self, token: int, log_p: float, length_penalty: float) -> "Beam":
        """With one token more, of this log-probability; its score is log p / length^length_penalty."""
        ids, total = [*self.ids, token], self.log_p + log_p
        return Beam(ids, total, total / len(ids) ** length_penalty)


class BeamStep(NamedTuple):
    """What a step leaves, each list the best first: the active beams, those that finished at this step or
    before, and the best of those it pruned; `last` says whether the search ends here."""

    active: list[Beam]
    finished: list[Beam]
    pruned: list[Beam]
    last: bool

    def best(self, beams: int) -> list[Beam]:
        """The best of all finished and active ones; where scores are equal, finished ones come first."""
        return sorted(self.finished + self.active, key=lambda beam: -beam.score)[:beams]


BEGINNING = BeamStep([Beam([], 0.0, 0.0)], [], [], False)


def top_indices(values: Float[np.ndarray, " n"], k: int) -> Int[np.ndarray, " k"]:
    """The indices of the k largest values, the largest first; of equal values the first come first."""
    k = min(k, len(values))
    edge = np.partition(values, len(values) - k)[len(values) - k] if k else np.inf
    indices = np.flatnonzero(values >= edge)
    return indices[np.argsort(-values[indices], kind="stable")][:k]


def beam_steps(
    next_log_p: Callable[[list[list[int]]], Float[np.ndarray, "texts vocab"]],
    max_new: int,
    beams: int,
    *,
    length_penalty: float = 1.0,
    end_ids: Collection[int] = (),
) -> Iterator[BeamStep]:
    """Search for the best continuations of at most `max_new` tokens, with `beams` beams.

    `next_log_p` gives the log-probabilities (nats) of the token after each of some texts: first of the empty
    text, then each time of texts that it was last given, with one token more. The search ends when no active
    beam can overtake the best `beams` that reached a token of `end_ids`. Of equal scores the one from the
    better beam is kept, then the smaller id. Raises ValueError for log-probabilities that are NaN.
    """
    step = BEGINNING
    for _ in range(max_new):
        log_p = next_log_p([beam.ids for beam in step.active])
        step = next_step(step, log_p, max_new, beams, length_penalty=length_penalty, end_ids=end_ids)
        yield step
        if step.last:
            return


def next_step(
    step: BeamStep,
    log_p: Float[np.ndarray, "texts vocab"],
    max_new: int,
    beams: int,
    *,
    length_penalty: float = 1.0,
    end_ids: Collection[int] = (),
) -> BeamStep:
    """The step after this one, by the log-probabilities of the token after each active beam. For the rest see
    `beam_steps`."""
    parents, finished = step.active, step.finished
    totals = (np.array([[beam.log_p] for beam in parents]) + log_p).ravel()
    if np.isnan(totals).any():
        raise ValueError("log-probabilities must be numbers up to 0; got NaN")
    # Each beam has len(end_ids) ways to end, so among this many there are enough that don't.
    considered = beams * (1 + len(end_ids))
    active, ended, pruned = [], [], []
    for rank, index in enumerate(top_indices(totals, considered + beams)):
        parent, token = divmod(int(index), log_p.shape[1])
        if totals[index] == -np.inf:
            break  # what is impossible is no candidate
        beam = parents[parent].extended(token, float(log_p[parent, token]), length_penalty)
        if token in end_ids and rank < considered:
            ended.append(beam)
        elif token not in end_ids and len(active) < beams:
            active.append(beam)
        else:
            pruned.append(beam)
    finished = sorted(finished + ended, key=lambda beam: -beam.score)[:beams]
    # A sum of log-probabilities only falls: the best score it can still reach is at this length.
    length = len(parents[0].ids) + 1
    longest = max_new if length_penalty > 0 else length
    last = length == max_new or not active
    if active and len(finished) == beams:
        last |= finished[-1].score >= active[0].log_p / longest**length_penalty
    return BeamStep(active, finished, pruned[:beams], last)
