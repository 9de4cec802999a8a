"""The recipes of the shipped weights; the runs themselves take minutes, their logs are shipped."""

import csv
import io
import math

import pytest

from course_utils.training import Run
from course_utils.weights import lstm_recipe


def test_the_live_model_is_small_enough_to_train_in_a_lesson():
    model = lstm_recipe.build("live")
    assert sum(parameter.numel() for parameter in model.parameters()) <= 360_000


def test_equal_seeds_build_equal_models():
    one, other, third = (lstm_recipe.build("live", seed).head.weight for seed in (0, 0, 1))
    assert one.equal(other) and not one.equal(third)


def test_a_log_says_how_far_the_run_was_after_so_many_bytes():
    nats = [math.log(2) * bits for bits in (4.0, 2.0, 3.0, 1.0)]
    run = Run(losses=nats, evaluations=[[2, 10.0, 2.5], [4, 20.25, 2.25]])
    rows = list(csv.DictReader(io.StringIO(lstm_recipe.log(run, 100))))
    assert rows == [
        {
            "step": "2",
            "seconds": "10.0",
            "bytes": "200",
            "train_bits": "3.0000",
            "validation_bits": "2.5000",
        },
        {
            "step": "4",
            "seconds": "20.2",
            "bytes": "400",
            "train_bits": "2.0000",
            "validation_bits": "2.2500",
        },
    ]


@pytest.mark.parametrize("name", lstm_recipe.RECIPES)
def test_a_recipe_reads_the_training_plays_in_streams(name):
    rows, chunk = lstm_recipe.RECIPES[name][1]
    inputs, targets = lstm_recipe.streams(name).next()
    assert inputs.shape == (rows, chunk) and inputs[:, 1:].equal(targets[:, :-1])
