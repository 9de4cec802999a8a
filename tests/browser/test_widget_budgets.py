"""The budgets of a widget that are no matter of speed, on a specimen of each."""

import pytest
from exhibits import exhibits
from gallery import SPECIMENS, without_specimen


@pytest.fixture(scope="module")
def shown(browser, lab):
    return dict(exhibits(browser, lab, plays=2, n=1))


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_widget_keeps_to_its_budgets(shown, name):
    assert shown[name].refused == []
    assert 10 < shown[name].nodes < 2000
    assert 1000 < shown[name].bytes_kept < 200_000
    assert 10_000 < shown[name].bytes_over_the_wire < 400_000


def test_every_widget_has_a_specimen():
    assert without_specimen() == []
