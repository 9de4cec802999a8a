"""The recorded norms of chapter 5: a whole log, and trainings that it could have come from."""

import itertools

import pytest

from course_utils.weights import norms_recipe
from course_utils.weights.norms_recipe import LAYERS, NORMS, RATES, SEEDS, WARMUPS


def test_three_seeds_of_every_setting_are_recorded():
    losses = norms_recipe.recorded()
    assert set(losses) == set(itertools.product(NORMS, LAYERS, RATES, WARMUPS))
    assert all(len(seeds) == len(SEEDS) for seeds in losses.values())


def test_both_norms_begin_from_the_same_weights():
    before, after = (norms_recipe.stack(pre_norm, 2).state_dict() for pre_norm in NORMS.values())
    assert {*before} - {*after} == {"body.norm.weight", "body.norm.bias"}
    assert all(weight.equal(before[name]) for name, weight in after.items() if "head" not in name)


def test_a_training_ends_where_the_log_says():
    loss = norms_recipe.final_loss(norms_recipe.stack(True, 4), rate=3e-3, warmup=0)
    assert loss == pytest.approx(norms_recipe.recorded()["pre-norm", 4, 3e-3, 0][0], abs=0.05)
