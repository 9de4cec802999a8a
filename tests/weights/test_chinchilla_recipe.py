"""The recorded fits of Chinchilla's runs: those that the package finds now."""

import numpy as np
import pytest

from course_utils.data import assets, chinchilla
from course_utils.scaling import HOFFMANN, fit_law, interval
from course_utils.weights import chinchilla_recipe


@pytest.fixture(scope="module")
def recorded():
    return chinchilla_recipe.laws()


def test_the_recorded_laws_are_those_of_besiroglu_et_al(recorded):
    named, resamples = recorded
    law = named["240 runs"]
    assert (pytest.approx(477.84, rel=1e-3), pytest.approx(2143.86, rel=2e-3)) == (law.A, law.B)
    assert law.exponent == pytest.approx(0.5139, abs=5e-4)
    assert len(resamples) == chinchilla_recipe.RESAMPLES
    low, high = interval([fit.exponent for fit in resamples], 0.8)
    assert (low, high) == (pytest.approx(0.494, abs=0.01), pytest.approx(0.541, abs=0.01))
    assert named["all 245 runs"].beta == pytest.approx(0.453, abs=0.01)


def assert_the_mean_stops_early_and_goes_on_to_the_law_if_told(ends, law):
    for small in ("mean", "sum"):  # from Hoffmann's law neither gets far
        stopped = ends[f"{small}, from Hoffmann's"]
        exponents = HOFFMANN.alpha, HOFFMANN.beta
        np.testing.assert_allclose([stopped.alpha, stopped.beta], exponents, atol=0.005)
        assert law.beta - stopped.beta > 0.05
    assert abs(ends["mean, from the grid's best"].point - law.point).max() > 0.1  # where, rounding decides
    there = [end for name, end in ends.items() if "made to go on" in name]
    for end in [*there, ends["sum, from the grid's best"]]:
        np.testing.assert_allclose(end.point, law.point, rtol=2e-3)
    assert len(there) == 4


def test_the_mean_stopped_early_and_came_to_the_law_when_told_to_go_on(recorded):
    named, _ = recorded
    assert_the_mean_stops_early_and_goes_on_to_the_law_if_told(named, named["240 runs"])


def test_the_recorded_law_is_the_one_that_is_fitted_now(recorded):
    try:
        kept, _ = chinchilla.runs()
    except assets.AssetError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(
        fit_law(kept.n, kept.d, kept.loss).point, recorded[0]["240 runs"].point, rtol=1e-4
    )


def test_the_optimiser_stops_now_as_was_recorded(recorded):
    try:
        kept, _ = chinchilla.runs()
    except assets.AssetError as error:
        pytest.skip(str(error))
    ends = chinchilla_recipe.stops(kept)
    assert list(recorded[0])[2:] == list(ends)
    assert_the_mean_stops_early_and_goes_on_to_the_law_if_told(ends, recorded[0]["240 runs"])
