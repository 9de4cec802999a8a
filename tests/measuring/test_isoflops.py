"""The picture of approach 2 shows every run, and where each parabola is lowest."""

import numpy as np
import pytest

from course_utils.measuring.isoflops import isoflop_chart
from course_utils.scaling import isoflop_minima

N = np.array([1e4, 2e4, 4e4, 4e4, 2e4, 4e4, 8e4])
BUDGETS = np.array([1e10, 1e10, 1e10, 1e10, 1e11, 1e11, 1e11])
D = BUDGETS / 6 / N
LOSS = np.array([2.4, 2.3, 2.5, 2.6, 2.0, 1.9, 1.85])


def test_all_runs_are_drawn_and_a_star_stands_at_each_lowest_point():
    chart = isoflop_chart(N, D, LOSS, "nats a byte")
    lines = chart.figure.axes[0].lines
    runs = [line for line in lines if line.get_linestyle() == "None" and line.get_marker() != "*"]
    assert np.concatenate([line.get_ydata() for line in runs]).tolist() == LOSS.tolist()
    _, best, _, least = isoflop_minima(N, D, LOSS)
    stars = [line.get_xydata()[0] for line in lines if line.get_marker() == "*"]
    np.testing.assert_allclose(stars, np.column_stack([best, least]))
    assert f"1e+10 FLOPs {least[0]:.3f} at {best[0]:,.0f}" in repr(chart)


def test_the_parabola_reaches_a_lowest_point_outside_the_runs():
    chart = isoflop_chart(N, D, LOSS, "nats a byte")
    curve = [line for line in chart.figure.axes[0].lines if line.get_linestyle() == "-"][1]
    _, best, _, least = isoflop_minima(N, D, LOSS)
    assert best[1] > N.max()
    assert curve.get_xydata()[-1] == pytest.approx([best[1], least[1]])


def test_six_budgets_are_too_many():
    n = np.tile([1e4, 2e4, 4e4], 6)
    d = np.repeat(10.0 ** np.arange(10, 16), 3) / 6 / n
    with pytest.raises(ValueError, match="at most 5 budgets"):
        isoflop_chart(n, d, np.tile([2.0, 1.0, 2.0], 6), "nats")
