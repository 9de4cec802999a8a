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


def test_the_mean_stops_where_hoffmann_et_al_did(recorded):
    stopped = recorded[0]["mean for sum"]
    np.testing.assert_allclose([stopped.alpha, stopped.beta], [HOFFMANN.alpha, HOFFMANN.beta], atol=0.005)
    assert recorded[0]["240 runs"].beta - stopped.beta > 0.05


def test_the_recorded_law_is_the_one_that_is_fitted_now(recorded):
    try:
        kept, _ = chinchilla.runs()
    except assets.AssetError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(
        fit_law(kept.n, kept.d, kept.loss).point, recorded[0]["240 runs"].point, rtol=1e-4
    )
