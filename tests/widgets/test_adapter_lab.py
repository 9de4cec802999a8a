"""The adapter lab: what a rank holds of a change, what alpha does, and that merging changes no output."""

import numpy as np
import pytest

from course_utils.widgets.adapter_lab import AdapterLab, agreement


@pytest.fixture
def lab():
    draws = np.random.default_rng(0)
    before, inputs = draws.normal(size=(6, 8)), draws.normal(size=(20, 8))
    left, right = (np.linalg.qr(draws.normal(size=(n, n)))[0] for n in (6, 8))
    change = left[:, :3] * [3.0, 2.0, 1.0] @ right[:3]  # of rank 3
    return AdapterLab("queries", before, before + change, inputs, rank=1)


def test_a_rank_holds_the_squares_of_its_singular_values(lab):
    for rank, share in [(1, "64.3 %"), (2, "92.9 %"), (3, "100.0 %")]:
        lab.handle({"rank": rank})
        assert f"holds {share} of the squared length" in lab.describe()
    assert "has 42 numbers for 48 (87.5 %)" in lab.describe()
    assert "costs 90 multiplications with the adapter beside the matrix and 48 once it is merged" in repr(lab)


def test_at_its_own_alpha_a_full_rank_is_the_change_itself_and_twice_alpha_moves_twice_as_far(lab):
    lab.handle({"rank": 3})
    change = lab._left * lab._spectrum @ lab._right
    moved = np.linalg.norm(lab._inputs @ change.T) / np.linalg.norm(lab._inputs @ lab._before.T)
    assert lab.found.moved == pytest.approx(moved, rel=1e-5)
    lab.handle({"alpha": 32.0})
    assert lab.found.moved == pytest.approx(2 * moved, rel=1e-5)


def test_merging_keeps_the_outputs_and_what_does_not_is_said(lab):
    for rank in range(1, 7):
        lab.handle({"rank": rank})
        assert "the outputs are the same to 5 digits." in lab.describe()
    assert agreement(0.01) == "differ by 1e-02 of the largest"
    lab.png()


@pytest.mark.parametrize(
    "before, after, inputs, words",
    [
        (np.eye(3), np.eye(4), np.eye(3), r"one shape.*\(3, 3\), \(4, 4\) and \(3, 3\)"),
        (np.eye(3), 2 * np.eye(3), np.ones((2, 4)), "as many columns"),
        (np.eye(3), np.eye(3), np.eye(3), "these matrices are equal"),
        (np.eye(3), np.full((3, 3), np.nan), np.eye(3), "all numbers are finite"),
    ],
)
def test_what_is_no_change_of_a_matrix_is_refused(before, after, inputs, words):
    with pytest.raises(ValueError, match=words):
        AdapterLab("queries", before, after, inputs)
