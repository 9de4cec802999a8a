"""The recorded sums of chapter 3: arms that differ in the cut alone, and trainings like those in there."""

import numpy as np
import pytest
import torch

from course_utils.weights import digits_recipe as recipe
from course_utils.weights import recording


def test_the_same_sums_are_cut_in_three_ways():
    numbers = np.array([[123, 7]])
    cuts = {name: arm.cut(numbers).tolist() for name, arm in recipe.ARMS.items()}
    assert cuts["split"] == [[1, 2, 3, 0, 0, 7]] and cuts["glued"] == [[123, 7]]
    assert cuts["pairs"] == [[10 + 12, 3, 10 + 0, 7]]
    assert recipe.digits_of_sums(numbers).tolist() == [[0, 1, 3, 0]]
    first = {name: recipe.Batches(arm, seed=5).next()[1] for name, arm in recipe.ARMS.items()}
    assert all(torch.equal(answers, first["split"]) for answers in first.values())


@pytest.mark.parametrize("name", recipe.ARMS)
def test_a_cut_keeps_every_number_apart_and_its_ids_in_the_vocabulary(name):
    arm, numbers = recipe.ARMS[name], np.stack([np.arange(1000), np.arange(1000)[::-1]], -1)
    ids = arm.cut(numbers)
    assert ids.shape == (1000, arm.n_tokens) and len(np.unique(ids, axis=0)) == 1000
    assert ids.min() == 0 and ids.max() < arm.vocab_size


def test_only_the_table_of_embeddings_differs_in_size():
    sizes = {
        name: recording.n_parameters(recipe.Adder(arm.n_tokens, arm.vocab_size))
        - arm.vocab_size * recipe.WIDTH // arm.n_tokens
        for name, arm in recipe.ARMS.items()
    }
    assert len(set(sizes.values())) == 1


def test_no_sum_is_in_two_parts():
    seen = [set(map(tuple, recipe.sums(part).tolist())) for part in ("train", "validation", "test")]
    assert [len(part) for part in seen] == [recipe.N_SEEN, recipe.N_HELD_OUT, recipe.N_HELD_OUT]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_every_arm_has_its_rates_and_its_three_seeds():
    rows = recording.read_table(recipe.TABLE)
    for name in recipe.ARMS:
        swept = {float(row["learning_rate"]): row for row in rows if row["cut"] == name and not row["sums"]}
        final = [row for row in rows if row["cut"] == name and row["sums"]]
        assert {*swept} == {*recipe.RATES} and [int(row["seed"]) for row in final] == [*recipe.SEEDS]
        best = min(swept, key=lambda rate: float(swept[rate]["validation_nats"]))
        assert {float(row["learning_rate"]) for row in final} == {best}


def test_a_training_ends_where_the_table_says():
    rates = {name: rows[0]["learning_rate"] for name, rows in recipe.recorded().items()}
    for name in ("split", "glued"):
        model, _ = recipe.trained(name, rates[name], seed=0)
        found, said = recipe.shares_right(name, model, "test"), recipe.recorded()[name][0]
        assert all(found[column] == pytest.approx(said[column], abs=0.05) for column in found)


def test_the_rate_of_each_arm_is_the_best_of_those_tried():
    for name, seeds in recipe.recorded().items():
        by_rate = recipe.nats_by_rate(name)
        assert len(by_rate) == len(recipe.RATES)
        assert {seed["learning_rate"] for seed in seeds} == {min(by_rate, key=by_rate.get)}
