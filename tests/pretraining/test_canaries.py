"""What the exposure of a planted secret is, and of one that was never read."""

import numpy as np
import pytest

from course_utils.pretraining.canaries import exposures


def test_the_first_guess_tells_all_and_a_model_that_knows_nothing_tells_none():
    log_p = np.array([-3.0, -1.0, -2.0, -7.0, -9.0, -9.5, -10.0, -11.0])
    np.testing.assert_allclose(exposures(log_p, [1, 0, 7]), [3, np.log2(8 / 3), 0])
    assert not exposures(np.full(1000, -4.0), [3, 500]).any()


def test_what_was_never_read_has_1_44_bits_in_the_mean():
    log_p = np.random.default_rng(0).normal(size=10_000)
    assert exposures(log_p, range(10_000)).mean() == pytest.approx(1 / np.log(2), abs=0.01)


@pytest.mark.parametrize("canaries", [[-1], [0, 3]])
def test_a_canary_is_a_candidate(canaries):
    with pytest.raises(ValueError, match="places from 0 to 2 among the candidates; got"):
        exposures(np.zeros(3), canaries)


def test_what_is_not_a_number_has_no_rank():
    with pytest.raises(ValueError, match="log_p has 1 NaN among 2"):
        exposures(np.array([0.0, np.nan]), [0])
