"""Intervals of shares, beside scipy's."""

import pytest
from scipy.stats import binomtest

from course_utils.measuring.intervals import wilson


def test_intervals_are_wilsons():
    for k, n in ((0, 50), (3, 50), (200, 200), (41, 1000)):
        expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert wilson(0, 0) == (0, 1)  # nothing was seen
