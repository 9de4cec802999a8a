"""The IsoFLOP planner without a browser: its optimum beside the law's, use, the sentence, and bad input."""

import numpy as np
import pytest

from course_utils.scaling import Law
from course_utils.widgets.isoflop_planner import PER_DECADE, IsoflopPlanner

LAW = Law(A=477.8, B=2143.4, E=1.8172, alpha=0.3473, beta=0.3672)
ROW = [LAW.E, LAW.A, LAW.B, LAW.alpha, LAW.beta]


def test_the_star_stands_at_the_laws_optimum():
    for budget in (19.0, 21.5, 24.0):
        planner = IsoflopPlanner([ROW], budget=budget)
        n, d = LAW.optimum(10**budget)
        assert planner._sizes[planner.found["best"]] == pytest.approx(n, rel=10 ** (1 / PER_DECADE) - 1)
        assert planner.found["losses"].min() == pytest.approx(LAW.loss(n, d), rel=1e-4)
        assert "With" not in planner.describe()


def test_whom_one_serves_makes_the_best_model_smaller_and_its_loss_higher():
    planner, sizes, losses = IsoflopPlanner([ROW]), [], []
    for served in (0, 10, 12, 13):
        planner.handle({"served": served})
        sizes.append(planner.found["best"])
        losses.append(planner.found["losses"].min())
    assert sizes == sorted(sizes, reverse=True) and losses == sorted(losses) and sizes[0] > sizes[2]


def test_another_size_says_for_which_part_of_the_budget_its_loss_is_to_be_had():
    planner = IsoflopPlanner([ROW])
    planner.handle({"size": 100})
    loss = planner.found["losses"][100]
    share = planner.least_price(np.array(ROW), loss, 0) / 10**21
    assert f"{100 * share:.0f} % of the budget" in planner.describe() and 0 < share < 0.8
    assert LAW.loss(*LAW.optimum(share * 10**21)) == pytest.approx(loss, rel=1e-4)


def test_the_interval_is_that_of_the_laws():
    rows = [ROW, *[[1.8, a, 2100, 0.35, 0.37] for a in np.linspace(300, 700, 21)]]
    planner = IsoflopPlanner(rows)
    assert planner.found["low"] < planner.found["best"] < planner.found["high"]
    assert "90 %" in planner.describe() and "90 %" not in IsoflopPlanner([ROW]).describe()


def test_what_no_size_can_serve_is_refused_in_a_sentence_and_changes_nothing():
    planner = IsoflopPlanner([ROW])
    before = planner.describe()
    planner._answer(planner, {"id": "me/1", "served": 16, "budget": 18.0}, [])
    assert "raise the budget, or serve fewer" in planner.shown["problem"] and planner.describe() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"laws": []}, "one or more"),
        ({"laws": [[1, 2, 3]]}, "one or more"),
        ({"laws": [[1.8, -1, 2, 0.3, 0.3]]}, "above 0"),
        ({"laws": [ROW], "sizes": (9, 9)}, "sizes gives two powers of 10"),
        ({"laws": [ROW], "budget": 21.05}, "budget is one of"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        IsoflopPlanner(**given)


def test_the_picture_gives_no_warning(recwarn):
    assert IsoflopPlanner([ROW]).png() and not recwarn.list
