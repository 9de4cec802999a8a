"""What a step costs: counted by hand, and changed by what should change it."""

import copy

import pytest
import torch
from test_gpt import SMALL, built, ids_of
from torch import nn
from torch.nn import functional

from course_utils.finetuning.costs import costs
from course_utils.finetuning.lora import add_lora, trainable

pytestmark = pytest.mark.usefixtures("one_thread")


def test_one_matrix_by_hand():
    layer, x = nn.Linear(100, 50, bias=False), torch.randn(1000, 100)
    took = costs(layer, lambda: layer(x).sum())
    matrix, outputs = 100 * 50 * 4, 1000 * 50 * 4
    assert took.trainable == 5000 and took.weights == matrix
    assert took.optimiser == 2 * matrix + 4  # and the number of its step
    # matrix, averages, outputs and their sum; the gradient of the sum is spread without a copy, or with one
    assert 3 * matrix + outputs <= took.peak <= 4 * matrix + 2 * outputs + 100


def test_what_was_freed_no_longer_counts():
    layer = nn.Linear(4, 4)

    def wasteful(n):
        for _ in range(n):
            torch.zeros(10_000).add_(1)
        return layer(torch.ones(1, 4)).sum()

    once = costs(layer, lambda: wasteful(1))
    assert once.peak > 40_000 and costs(layer, lambda: wasteful(5)) == once


def test_the_step_changes_nothing():
    model, ids = built(SMALL).requires_grad_(True), ids_of(2, 20)
    before = copy.deepcopy(model.state_dict())
    costs(model, lambda: model(ids).square().mean())
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_lora_saves_the_optimiser_and_more_rows_cost_activations():
    def measured(model, rows):
        ids = ids_of(rows, 20)
        return costs(model, lambda: functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()))

    whole, more = (measured(built(SMALL).requires_grad_(True), rows) for rows in (2, 8))
    thin = measured(model := add_lora(built(SMALL), 1, 2.0), 2)
    assert thin.trainable == trainable(model) and thin.optimiser < 0.2 * whole.optimiser
    assert thin.peak < whole.peak < more.peak and (whole.optimiser, whole.weights) == (
        more.optimiser,
        more.weights,
    )


def test_a_frozen_model_is_refused():
    with pytest.raises(ValueError, match="nothing of this model trains"):
        costs(built(SMALL).requires_grad_(False), lambda: torch.tensor(0.0))
