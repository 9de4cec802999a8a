"""Neighbours and their labels, on points that lie where one can see it; and what chance gives."""

import numpy as np
import pytest

from course_utils.measuring.neighbours import cosines, others, together

TWO_HEAPS = np.array([[1, 0.1], [1, 0.12], [1, 0.15], [0.1, 1], [0.12, 1], [0.15, 1], [0.2, 1]])
SENSES = ["river"] * 3 + ["money"] * 4


def test_heaps_are_told_apart_and_chance_is_what_can_be_counted():
    found = together(cosines(TWO_HEAPS), SENSES)
    assert found.accuracy == 1 and found.commonest == 4 / 7
    exact = (3 * 2 + 4 * 3) / (7 * 6)  # two that are drawn have the same label
    assert abs(found.shuffled - exact) < 0.03 and found.low < exact < found.high


def test_a_thing_is_not_its_own_neighbour():
    alternating = together(cosines(TWO_HEAPS), ["a", "b", "a", "b", "a", "b", "a"])
    itself = (np.array(SENSES)[cosines(TWO_HEAPS).argmax(1)] == SENSES).mean()
    assert itself == 1 and alternating.accuracy < 0.5
    near = others(cosines(TWO_HEAPS))
    assert near.shape == (7, 6) and not (near == np.arange(7)[:, None]).any()
    assert near[:, 0].tolist() == [1, 0, 1, 4, 3, 4, 5]


def test_where_all_are_equally_near_each_counts_for_its_part():
    """The first of those that are equal would have another label, or the same, by the order of the file."""
    labels = ["a", "a", "b", "b", "b"]
    found = together(cosines(np.ones((5, 3))), labels)
    assert found.accuracy == pytest.approx((2 * 1 + 3 * 2) / (5 * 4))
    assert found.low == pytest.approx(found.high) == pytest.approx(found.accuracy)


def test_labels_that_mean_nothing_are_told_as_by_chance():
    draws = np.random.default_rng(0)
    inside = 0
    for _ in range(40):
        found = together(
            cosines(draws.normal(size=(40, 8))), draws.permuted(["a"] * 20 + ["b"] * 20).tolist()
        )
        inside += found.low <= found.accuracy <= found.high
    assert inside >= 35


@pytest.mark.parametrize("vectors", [[[0, 0], [1, 1]], [[1, np.nan], [1, 1]], [[np.inf, 1], [1, 1]]])
def test_vectors_without_a_direction(vectors):
    with pytest.raises(ValueError, match="finite vectors with a direction"):
        cosines(vectors)


def test_labels_that_can_not_be_told():
    with pytest.raises(ValueError, match=r"each of 7 things has a label.*got 2 of 2"):
        together(cosines(TWO_HEAPS), ["a", "b"])
    with pytest.raises(ValueError, match="two kinds at least; got 7 of 1"):
        together(cosines(TWO_HEAPS), ["a"] * 7)
