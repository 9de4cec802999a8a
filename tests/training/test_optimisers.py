"""AdamW and Muon against torch's own, and which parameters each takes."""

import copy
import subprocess
import sys

import pytest
import torch

from course_utils.gpt import GPT, GPTConfig
from course_utils.training.optimisers import BETAS, REST_SHARE, AdamW, Muon, adamw, orthogonalised, split

pytestmark = pytest.mark.usefixtures("one_thread")
SHAPE = GPTConfig(vocab_size=11, context=8, n_layers=2, n_heads=2, d_model=16, d_ff=24)


def moved(model, optimisers, steps=5):
    """The parameters after some steps with gradients that don't depend on them."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for optimiser in optimisers:
            optimiser.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_it_moves_as_torchs_muon_and_adamw_do(weight_decay):
    torch.manual_seed(0)
    ours = GPT(SHAPE)
    theirs = copy.deepcopy(ours)
    optimiser = Muon(ours, weight_decay, momentum=0.8)
    for group in optimiser.param_groups:
        group["lr"] = 0.02 * group.get("share", 1)
    matrices, rest = split(theirs)
    peers = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=weight_decay, momentum=0.8),
        torch.optim.AdamW(rest, lr=0.02 * REST_SHARE, betas=BETAS, weight_decay=0.0),
    ]
    # both orthogonalise in bfloat16, whose sums depend on how matrices are stacked
    torch.testing.assert_close(moved(ours, [optimiser]), moved(theirs, peers), atol=2e-3, rtol=0)


def test_adamw_is_torchs_bit_for_bit():
    torch.manual_seed(0)
    ours = GPT(SHAPE)
    theirs = copy.deepcopy(ours)
    matrices, rest = split(theirs)
    groups = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    peer = torch.optim.AdamW(groups, lr=1e-3, betas=BETAS, weight_decay=0.3, fused=True)
    assert torch.equal(moved(ours, [adamw(ours, 0.3)]), moved(theirs, [peer]))


def test_where_torch_lacks_the_fused_operation_its_own_class_takes_over(monkeypatch):
    torch.manual_seed(0)
    ours = GPT(SHAPE)
    theirs = copy.deepcopy(ours)
    expected = moved(ours, [adamw(ours, 0.3), Muon(ours, 0.3)])
    monkeypatch.delattr(torch, "_fused_adamw_")
    peers = [adamw(theirs, 0.3), Muon(theirs, 0.3)]
    assert not any(isinstance(peer, AdamW) for peer in (peers[0], peers[1].adamw))
    torch.testing.assert_close(moved(theirs, peers), expected)
    assert peers[1].param_groups[1]["share"] == REST_SHARE


def test_a_parameter_without_a_gradient_stays():
    model = GPT(SHAPE)
    before = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    optimiser = adamw(model, 0.3)
    optimiser.step()
    assert torch.equal(before, torch.cat([parameter.flatten() for parameter in model.parameters()]))
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    optimiser.step()
    after = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    size = next(model.parameters()).numel()
    assert (after != before)[:size].all() and torch.equal(after[size:], before[size:])
    optimiser.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


COMPILES = """
import sys, torch
from course_utils.training.batches import Windows
from course_utils.gpt import GPT, GPTConfig
from course_utils.training import TrainConfig, train
model = GPT(GPTConfig(11, context=8, n_layers=1, n_heads=2, d_model=16))
for optimiser in ("adamw", "muon"):
    train(model, Windows(torch.arange(99).numpy() % 11, 11, 2, 8), TrainConfig(2, 0.01, optimiser=optimiser))
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""


def test_training_does_not_import_torchs_compiler():
    done = subprocess.run([sys.executable, "-c", COMPILES], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_comparison_notices_another_momentum():
    torch.manual_seed(0)
    one = GPT(SHAPE)
    other = copy.deepcopy(one)
    ends = [moved(model, [Muon(model, 0.0, momentum)]) for model, momentum in [(one, 0.8), (other, 0.7)]]
    assert (ends[0] - ends[1]).abs().max() > 4e-3


@pytest.mark.parametrize("rows, columns", [(16, 16), (16, 48), (48, 16)])
def test_singular_values_come_near_one_and_directions_stay(rows, columns):
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(3, rows, columns, generator=generator)
    u, s, v = torch.linalg.svd(gradients, full_matrices=False)
    result = orthogonalised(gradients).float()
    assert result.shape == gradients.shape and s.max() / s.min() > 2
    kept = u.mT @ result @ v.mT  # diagonal, if the directions are kept
    values = kept.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.6 and values.max() < 1.3
    assert (kept - torch.diag_embed(values)).abs().max() < 0.1


def test_embeddings_and_gains_are_left_to_adamw():
    model = GPT(SHAPE)
    optimiser = Muon(model, 0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    taken = {names[id(parameter)] for parameter in optimiser.matrices["params"]}
    rest = {names[id(parameter)] for group in optimiser.adamw.param_groups for parameter in group["params"]}
    assert taken | rest == set(names.values()) and not taken & rest
    assert rest == {name for name in names.values() if "norm" in name or "embedding" in name}
