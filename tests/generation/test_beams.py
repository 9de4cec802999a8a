"""Beam search step by step, against the definition, on a table of log-probabilities."""

import math
from itertools import product

import numpy as np
import pytest
from mocks import Mock

from course_utils.generation import beam_search
from course_utils.generation.beams import Beam, beam_steps, top_indices


def reader(model, prompt=(1,)):
    """Log-probabilities after the prompt and each text."""

    def next_log_p(texts):
        sums = [sum(token + 1 for token in (*prompt, *text)) % model.vocab_size for text in texts]
        return model.table[sums].double().log_softmax(-1).numpy()

    return next_log_p


def tied(model):
    """The same model with logits that are whole numbers: many texts are equally likely."""
    model.table = model.table.round()
    return model


def by_definition(next_log_p, active, penalty):
    """All continuations of a beam in order: by score, of equals from the better beam, then the smaller id."""
    log_p = next_log_p([beam.ids for beam in active])
    candidates = [
        beam.extended(token, log_p[i, token], penalty)
        for (i, beam), token in product(enumerate(active), range(log_p.shape[1]))
    ]
    return sorted(candidates, key=lambda beam: -beam.log_p)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beams", [1, 3, 8])
@pytest.mark.parametrize("end_ids", [(), (0,), (0, 4)])
def test_a_step_keeps_the_best_and_names_the_best_it_pruned(seed, beams, end_ids):
    next_log_p = reader(tied(Mock(6, seed=seed)))
    active, finished = [Beam([], 0.0, 0.0)], []
    for step in beam_steps(next_log_p, 6, beams, length_penalty=0.7, end_ids=end_ids):
        considered = beams * (1 + len(end_ids))
        candidates = by_definition(next_log_p, active, 0.7)
        active = [beam for beam in candidates if beam.ids[-1] not in end_ids][:beams]
        ended = [beam for beam in candidates[:considered] if beam.ids[-1] in end_ids]
        finished = sorted(finished + ended, key=lambda beam: -beam.score)[:beams]
        assert step.active == active and step.finished == finished
        others = [beam for beam in candidates[: considered + beams] if beam not in active + ended]
        assert step.pruned == others[:beams]
    assert step.last and step.best(beams)[0] == max(finished + active, key=lambda beam: beam.score)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_the_last_step_is_what_beam_search_finds(seed, penalty):
    model = tied(Mock(6, seed=seed))
    *_, last = beam_steps(reader(model), 8, 4, length_penalty=penalty, end_ids=[2])
    assert last.best(4) == beam_search(model, [1], 8, 4, length_penalty=penalty, end_ids=[2])


def test_of_equals_the_first_are_the_largest():
    assert top_indices(np.array([1.0, 3, 2, 3, 2, 2]), 4).tolist() == [1, 3, 2, 4]
    assert top_indices(np.zeros(5), 3).tolist() == [0, 1, 2]
    assert top_indices(np.array([-math.inf, 0.0]), 5).tolist() == [1, 0]


def test_what_cannot_come_is_no_candidate():
    impossible = np.log(np.array([[0.5, 0.5, 1e-300]]))
    impossible[0, 2] = -math.inf
    steps = list(beam_steps(lambda texts: np.repeat(impossible, len(texts), 0), 2, 8))
    assert [len(step.active) for step in steps] == [2, 4] and steps[0].pruned == []
    ended = list(beam_steps(lambda texts: impossible, 5, 8, end_ids=[0, 1]))
    assert len(ended) == 1 and ended[0].last and not ended[0].active


def test_numbers_that_are_none_are_refused():
    steps = beam_steps(lambda texts: np.array([[math.nan, 0.0]]), 3, 2)
    with pytest.raises(ValueError, match="log-probabilities must be numbers up to 0; got NaN"):
        next(steps)
