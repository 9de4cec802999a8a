"""The law fitter without a browser: its fit beside the exercise's, its interval, the sentence, bad input."""

import numpy as np
import pytest

from course_utils.learner.exercises.fitting import fit_with_floor
from course_utils.widgets.law_fitter import FLOORS, LawFitter, fit

X = np.logspace(4, 6, 9)
EXACT = 1.8 + 22 / X**0.25


def test_the_fit_is_that_of_the_exercise():
    loss = EXACT * np.exp(0.01 * np.random.default_rng(0).normal(size=9))
    floors = loss.min() * np.arange(FLOORS) / FLOORS
    assert fit(np.log(X), loss, True) == pytest.approx(fit_with_floor(X, loss, floors), rel=1e-9)
    assert fit(np.log(X), loss, False) == pytest.approx(fit_with_floor(X, loss, np.zeros(1)), rel=1e-9)


def test_without_a_floor_the_residuals_bend_and_the_prediction_is_too_low():
    fitter, truth = LawFitter(X, EXACT, 1e8, truth=1.8 + 22 / 1e2), 1.8 + 22 / 1e2
    bent = fitter.residuals()
    assert bent[0] > 0 > bent[4] and bent[-1] > 0 and fitter.found["range"][1] < truth
    fitter.handle({"floor": True})
    assert np.abs(fitter.residuals()).max() < np.abs(bent).max() / 5
    assert abs(fitter.found["there"] - truth) < 0.05


def test_a_point_that_is_moved_pulls_and_one_left_out_does_not():
    fitter = LawFitter(X, EXACT, 1e8, floor=True)
    before, moved = fitter.found["there"], EXACT.tolist()
    moved[4] *= 1.2
    fitter.handle({"losses": moved})
    assert abs(fitter.found["there"] - before) > 0.01
    fitter.handle({"out": [4]})
    assert fitter.found["there"] == pytest.approx(before, abs=0.03)
    assert "Through 8 of 9 points" in fitter.describe() and "misses by 2" in fitter.describe()


def test_more_scatter_makes_a_wider_interval():
    widths = []
    for scatter in (0.001, 0.02):
        loss = EXACT * np.exp(scatter * np.random.default_rng(1).normal(size=9))
        low, high = LawFitter(X, loss, 1e8, floor=True).found["exponent"]
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_the_truth_is_told_when_it_is_asked_for():
    fitter = LawFitter(X, EXACT, 1e8, truth=2.02)
    assert "truth" not in fitter.describe()
    fitter.handle({"told": True})
    assert "The truth there is 2.020." in fitter.describe()


def test_too_few_points_left_are_refused_and_nothing_changes():
    fitter = LawFitter(X, EXACT, 1e8)
    before = fitter.describe()
    fitter._answer(fitter, {"id": "me/1", "out": [0, 1, 2, 3, 4, 5]}, [])
    assert "3 points would be left" in fitter.shown["problem"] and fitter.describe() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X[:4], EXACT[:4], 1e8), "5 to 40 points"),
        ((X, EXACT[:5], 1e8), "an x and a loss each"),
        ((X, -EXACT, 1e8), "above 0"),
        ((X, EXACT, 1e5), "beyond the largest"),
        ((np.ones(9), EXACT, 1e5), "more than one x"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        LawFitter(*given)


def test_the_picture_gives_no_warning(recwarn):
    assert LawFitter(X, EXACT, 1e8, floor=True).png() and not recwarn.list
