"""The budgets of design that are no matter of speed, on a specimen of each widget."""

import pytest
from gallery import SPECIMENS, exhibit


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_widget_keeps_to_its_budgets(browser, lab, name):
    shown = exhibit(browser, lab, name, plays=2, n=1)
    assert shown.refused == []
    assert 0 < shown.nodes < 2000
    assert 0 < shown.bytes_kept < 200_000
    assert 0 < shown.bytes_over_the_wire < 400_000
