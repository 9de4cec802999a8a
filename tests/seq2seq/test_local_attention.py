"""A window that goes with the place where the decoder last looked."""

import pytest
import torch

from course_utils.seq2seq import T5, T5Config, greedy
from course_utils.seq2seq.local_attention import Window, local_greedy


def weights(*rows):
    """(batch, 1 head, 1 query, source)"""
    return torch.tensor(rows)[:, None, None]


def test_what_is_far_from_the_place_gets_nothing():
    window = Window(1, n_layers=2, start=1)
    even = weights([0.2] * 5, [0.2] * 5)
    third = pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0])
    assert window(even)[0, 0, 0].tolist() == third
    shifted = window(weights([0.1, 0.1, 0.2, 0.6, 0.0], [0.5, 0.1, 0.1, 0.1, 0.2]))  # the last layer
    assert shifted[0, 0, 0].tolist() == pytest.approx([0.25, 0.25, 0.5, 0, 0])
    assert window.places.tolist() == [2, 0]
    assert window(even)[0, 0, 0].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0])
    assert window.places.tolist() == [2, 0]  # a first layer says nothing of the place
    with pytest.raises(ValueError, match="at least one position to each side; got 0"):
        Window(0, 1)


def test_a_wide_window_changes_nothing():
    torch.manual_seed(0)
    model = T5(T5Config(40, d_model=32, n_layers=2, n_heads=2, d_ff=64, d_head=16))
    sources = [[5, 6, 7], [8, 9], [*range(10, 30)], [4] * 9]
    assert local_greedy(model, sources, 99, 12, batch_size=2) == greedy(model, sources, 12)
    assert local_greedy(model, [], 1) == []
