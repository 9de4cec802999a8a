"""AdamW and Muon against torch's own, and which parameters each takes."""

import copy
import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from course_utils.gpt import GPT, GPTConfig
from course_utils.training.optimisers import (
    BETAS,
    REST_SHARE,
    AdamW,
    Muon,
    adamw,
    clip_gradients,
    cosine_schedule,
    orthogonalised,
    split,
)

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


@pytest.mark.parametrize("beta2", [BETAS[1], 0.9])
def test_adamw_is_torchs_bit_for_bit(beta2):
    torch.manual_seed(0)
    ours = GPT(SHAPE)
    theirs = copy.deepcopy(ours)
    matrices, rest = split(theirs)
    groups = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    peer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, beta2), weight_decay=0.3, fused=True)
    assert torch.equal(moved(ours, [adamw(ours, 0.3, beta2)]), moved(theirs, [peer]))


def test_where_torch_lacks_the_fused_operation_its_own_step_takes_over(monkeypatch):
    torch.manual_seed(0)
    ours = GPT(SHAPE)
    theirs = copy.deepcopy(ours)
    expected = moved(ours, [adamw(ours, 0.3), Muon(ours, 0.3)])
    monkeypatch.delattr(torch, "_fused_adamw_")
    peers = [adamw(theirs, 0.3), Muon(theirs, 0.3)]
    torch.testing.assert_close(moved(theirs, peers), expected)
    assert peers[1].param_groups[1]["share"] == REST_SHARE


# Clipping and the schedule


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e3, math.inf])
def test_gradients_are_clipped_as_torch_clips_them(max_norm):
    models, _ = pair()
    make_gradients(models, torch.Generator().manual_seed(2))
    before = [p.grad.clone() for p in models[0].parameters() if p.grad is not None]
    norm = clip_gradients(models[0].parameters(), max_norm)
    assert torch.equal(norm, nn.utils.clip_grad_norm_(models[1].parameters(), max_norm))
    after = [p.grad for p in models[0].parameters() if p.grad is not None]
    theirs = [p.grad for p in models[1].parameters() if p.grad is not None]
    assert 0 < len(before) < 6 and all(torch.equal(*both) for both in zip(after, theirs, strict=True))
    expected = math.sqrt(sum(g.double().square().sum() for g in before))
    assert norm.item() == pytest.approx(expected, rel=1e-3)
    short = max_norm >= expected
    assert short == all(torch.equal(*both) for both in zip(before, after, strict=True))


@pytest.mark.parametrize("max_norm", [0, -1.0, math.nan])
def test_a_gradient_of_no_length_is_refused(max_norm):
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    with pytest.raises(ValueError, match=r"max_norm must be above 0 .* got"):
        clip_gradients([weight], max_norm)
    assert weight.grad.tolist() == [1, 1]


def test_the_schedule_is_an_even_rise_and_half_a_cosine():
    rates = [cosine_schedule(step, 101, 0.5, warmup_steps=10, final_share=0.2) for step in range(140)]
    assert rates[:10] == pytest.approx([0.05 * n for n in range(1, 11)])
    falls = [0.5 * (0.2 + 0.8 * (0.5 + 0.5 * math.cos(math.pi * n / 90))) for n in range(91)]
    assert rates[10:101] == pytest.approx(falls)
    assert rates[101:] == [rates[100]] * 39 and rates[100] == pytest.approx(0.1)


def test_the_schedule_suits_torchs_schedulers_and_is_its_cosine_annealing():
    weights = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimisers = [AdamW([weight], lr=0.3) for weight in weights]
    ours = torch.optim.lr_scheduler.LambdaLR(
        optimisers[0], lambda step: cosine_schedule(step, 51, final_share=0.1)
    )
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimisers[1], 50, eta_min=0.03)
    for _ in range(50):
        rates = []
        for weight, optimiser, scheduler in zip(weights, optimisers, (ours, theirs), strict=True):
            weight.grad = torch.ones(1)
            optimiser.step()
            scheduler.step()
            rates.append(optimiser.param_groups[0]["lr"])
        assert rates[0] == pytest.approx(rates[1], abs=1e-12)


@pytest.mark.parametrize(
    "arguments", [(-1, 10), (0, 0), (0, 9, 1.0, -1), (0, 9, 1.0, 0, 1.5), (0, 9, 1.0, 0, math.nan)], ids=str
)
def test_no_schedule_without_steps(arguments):
    with pytest.raises(ValueError, match="a schedule needs a step and warmup_steps of at least 0"):
        cosine_schedule(*arguments)


# What an engineer expects of a torch optimiser


SETTINGS = {
    "defaults": {},
    "betas, eps and decay": {"lr": 0.02, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.4},
}


def pair(**settings):
    """The same small model twice, under our AdamW and under torch's; in groups that differ."""
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3))]
    models[0][2].bfloat16()  # one group holds numbers of two types
    models.append(copy.deepcopy(models[0]))
    optimisers = []
    for model, kind, more in zip(models, (AdamW, torch.optim.AdamW), ({}, {"fused": True}), strict=True):
        groups = [
            {"params": [*model[0].parameters(), *model[2].parameters()]},
            {"params": model[1].parameters(), "lr": 0.1, "weight_decay": 0.0, "betas": (0.5, 0.6)},
        ]
        optimisers.append(kind(groups, **settings, **more))
    return models, optimisers


def make_gradients(models, generator):
    """Equal random gradients for both models; every third is missing."""
    for parameters in zip(*(model.parameters() for model in models), strict=True):
        gradient = torch.randn(parameters[0].shape, generator=generator)
        missing = torch.rand((), generator=generator) < 1 / 3
        for parameter in parameters:
            parameter.grad = None if missing else gradient.to(parameter.dtype, copy=True)


def equal(models):
    return all(torch.equal(*both) for both in zip(*(model.parameters() for model in models), strict=True))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_step_by_step_it_is_torchs_with_groups_and_missing_gradients(settings):
    models, optimisers = pair(**settings)
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        make_gradients(models, generator)
        for optimiser in optimisers:
            optimiser.step()
        assert equal(models)


@pytest.mark.parametrize(
    "setting", [{"lr": 0.011}, {"betas": (0.9, 0.99)}, {"eps": 1e-6}, {"weight_decay": 0.1}], ids=str
)
def test_another_setting_would_be_noticed(setting):
    models, optimisers = pair(lr=0.01)
    for group, (name, value) in zip(optimisers[0].param_groups, [*setting.items()] * 2, strict=True):
        group[name] = value
    make_gradients(models, torch.Generator().manual_seed(1))
    for _ in range(2):
        for optimiser in optimisers:
            optimiser.step()
    assert not equal(models)


def test_it_takes_parameters_and_a_new_group_and_refuses_what_torch_refuses():
    model = nn.Linear(2, 2)
    optimiser = AdamW(model.parameters(), lr=0.3)
    assert isinstance(optimiser, torch.optim.Optimizer)
    optimiser.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 0.5})
    theirs = torch.optim.AdamW(nn.Linear(2, 2).parameters(), lr=0.3, fused=True).param_groups[0]
    group = optimiser.param_groups[0]
    assert {name: group[name] for name in theirs if name != "params"} == {
        name: value for name, value in theirs.items() if name != "params"
    }
    assert [group["lr"] for group in optimiser.param_groups] == [0.3, 0.5]
    for wrong in ({"lr": -1.0}, {"betas": (1.0, 0.9)}, {"eps": -1.0}, {"weight_decay": -1.0}):
        with pytest.raises(ValueError, match="Invalid"):
            AdamW(model.parameters(), **wrong)
    with pytest.raises(ValueError, match="empty parameter list"):
        AdamW([])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimiser.add_param_group({"params": model.parameters()})


@pytest.mark.parametrize("writer, reader", [(0, 0), (0, 1), (1, 0)], ids=["ours", "to torch", "from torch"])
def test_a_state_goes_on_where_it_was_saved(writer, reader):
    models, optimisers = pair(**SETTINGS["betas, eps and decay"])
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        make_gradients(models, generator)
        for optimiser in optimisers:
            optimiser.step()
    saved = copy.deepcopy(optimisers[writer].state_dict())
    others, fresh = pair()
    for other, model in zip(others, models, strict=True):
        other.load_state_dict(model.state_dict())
    fresh[reader].load_state_dict(saved)
    for _ in range(4):
        make_gradients([*models, *others], generator)
        for optimiser in (*optimisers, fresh[reader]):
            optimiser.step()
        assert equal([models[writer], others[reader]])


def test_a_loaded_state_may_ask_for_more_than_the_fused_operation():
    models, _ = pair()
    peer = torch.optim.AdamW(models[1].parameters(), amsgrad=True, maximize=True)
    ours = AdamW(models[0].parameters())
    ours.load_state_dict(peer.state_dict())
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        make_gradients(models, generator)
        peer.step()
        ours.step()
        assert equal(models)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_are_dropped_or_made_zero(set_to_none):
    models, optimisers = pair()
    for parameter in models[0].parameters():
        parameter.grad = torch.ones_like(parameter)
    optimisers[0].zero_grad(set_to_none=set_to_none)
    for parameter in models[0].parameters():
        assert parameter.grad is None if set_to_none else not parameter.grad.any()


def test_a_scheduler_of_torchs_sets_the_rate():
    models, optimisers = pair(lr=0.01)
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10) for optimiser in optimisers]
    generator = torch.Generator().manual_seed(1)
    rates = []
    for _ in range(10):
        make_gradients(models, generator)
        for optimiser, scheduler in zip(optimisers, schedulers, strict=True):
            optimiser.step()
            scheduler.step()
        assert equal(models)
        rates.append(optimisers[0].param_groups[0]["lr"])
    assert rates == sorted(rates, reverse=True) and rates[0] < 0.01 and rates[-1] < 1e-9


def test_a_closure_computes_the_gradients_and_its_loss_comes_back():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimiser = AdamW([weight], lr=0.1)

    def closure():
        optimiser.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimiser.step(closure) == 1 and weight.item() == pytest.approx(0.899)  # 1 - 0.1 - 0.1 * 0.01


def test_a_scaled_loss_moves_as_far_and_an_overflow_not_at_all():
    weight, plain = (nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    optimiser, peer = AdamW([weight], lr=0.1), torch.optim.AdamW([plain], lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for factor in (1.0, float("inf"), 3.0):
        optimiser.zero_grad()
        scaler.scale(factor * weight.square().sum()).backward()
        scaler.step(optimiser)
        scaler.update()
        if factor < float("inf"):
            peer.zero_grad()
            (factor * plain.square().sum()).backward()
            peer.step()
        torch.testing.assert_close(weight, plain, atol=1e-6, rtol=0)


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
from course_utils.training.optimisers import AdamW
model = GPT(GPTConfig(11, context=8, n_layers=1, n_heads=2, d_model=16))
for optimiser in ("adamw", "muon"):
    train(model, Windows(torch.arange(99).numpy() % 11, 11, 2, 8), TrainConfig(2, 0.01, optimiser=optimiser))
rates = AdamW(model.parameters())
rates.load_state_dict(rates.state_dict())
rates.add_param_group({"params": torch.nn.Parameter(torch.ones(1))})
rates.zero_grad()
from course_utils.measuring.probing import linear_probe
rows = [[0.0], [1.0]], [False, True]
linear_probe(rows, rows, rows)
from course_utils.finetuning.costs import costs
costs(model, lambda: model(torch.zeros(1, 4, dtype=int)).sum())
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""


def test_neither_training_nor_its_costs_nor_a_probe_import_torchs_compiler():
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
