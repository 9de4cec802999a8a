"""LoRA: what a fresh adapter does, what merging keeps, what is refused; and wrong variants are caught."""

import copy
from dataclasses import replace

import pytest
import torch
from test_gpt import SMALL, built, ids_of
from torch import nn

from course_utils.bert import Bert, BertConfig
from course_utils.finetuning.lora import (
    LoRALinear,
    add_lora,
    lora_layers,
    merge,
    remove_lora,
    trainable,
    unmerge,
)
from course_utils.generation.fast_decode import optimise_for_decoding
from course_utils.training import TrainConfig, train
from course_utils.training.batches import Windows

pytestmark = pytest.mark.usefixtures("one_thread")
IDS = ids_of(2, 20)
TARGETS = ["query", "feed_forward.down"]


def randomised(model, std=0.3):
    torch.manual_seed(1)
    for _, layer in lora_layers(model):
        nn.init.normal_(layer.A, std=std), nn.init.normal_(layer.B, std=std)
    return model


@pytest.fixture
def base():
    return built(SMALL)


@pytest.fixture
def adapted():
    return randomised(add_lora(built(SMALL), 3, 7.0, TARGETS))


def check_start(model, before):
    """A fresh adapter changes no output, and has somewhere to go: not all its gradients are zero."""
    logits = model(IDS)
    torch.testing.assert_close(logits, before, atol=1e-12, rtol=0)
    logits.square().sum().backward()
    gradients = [p.grad for _, layer in lora_layers(model) for p in (layer.A, layer.B)]
    assert any(gradient.abs().max() > 1e-6 for gradient in gradients)


def test_a_fresh_adapter_changes_nothing_and_can_learn(base):
    before = base(IDS)
    check_start(add_lora(base, 3, 7.0), before)


@pytest.mark.parametrize("std", [0.0, 0.3], ids=["both factors zero", "both random"])
def test_other_starts_are_caught(base, std):
    before = base(IDS)
    with pytest.raises(AssertionError):
        check_start(randomised(add_lora(base, 3, 7.0), std), before)


def test_the_output_is_that_of_w_plus_alpha_over_rank_b_a():
    layer, x = LoRALinear(nn.Linear(6, 4).double(), rank=2, alpha=5.0), torch.randn(3, 6).double()
    nn.init.normal_(layer.B)
    expected = x @ (layer.base.weight + 5.0 / 2 * layer.B @ layer.A).T + layer.base.bias
    torch.testing.assert_close(layer(x), expected)


def test_only_the_adapters_train():
    model = add_lora(built(SMALL).float(), 3, 7.0, TARGETS)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert names == {f"{name}.{factor}" for name, _ in lora_layers(model) for factor in "AB"}
    assert trainable(model) == 3 * 3 * (48 + 48 + 80 + 48)
    before = copy.deepcopy(model.state_dict())
    batches = Windows(ids_of(1, 400)[0].numpy(), SMALL.vocab_size, 2, 20)
    run = train(model, batches, TrainConfig(30, 1e-2, warmup_steps=0))
    assert sum(run.losses[-5:]) < sum(run.losses[:5])
    changed = {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}
    assert changed == names


@pytest.mark.parametrize("fast", [False, True], ids=["as it is", "made for decoding"])
def test_merging_keeps_the_outputs(adapted, fast):
    with torch.no_grad():
        expected, cache = adapted(IDS), adapted.new_cache()
        merge(merge(adapted))  # twice does no more than once
        model = optimise_for_decoding(remove_lora(adapted)).eval() if fast else adapted
        torch.testing.assert_close(model(IDS, cache if fast else None), expected, atol=1e-9, rtol=0)


def test_fast_decoding_calls_an_adapter(adapted):
    with torch.no_grad():
        fast = optimise_for_decoding(adapted)
        torch.testing.assert_close(fast(IDS, fast.new_cache()), adapted(IDS), atol=1e-9, rtol=0)


def test_unmerging_gives_the_weights_back(base):
    before = copy.deepcopy(base.state_dict())
    model = randomised(add_lora(base, 3, 7.0))
    expected = model(IDS)
    unmerge(unmerge(merge(model)))
    torch.testing.assert_close(model(IDS), expected, atol=1e-9, rtol=0)
    after = remove_lora(model).state_dict()
    assert after.keys() == before.keys()
    for name, tensor in after.items():
        torch.testing.assert_close(tensor, before[name], atol=1e-12, rtol=0)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_targets_by_the_end_of_their_names():
    model = Bert(BertConfig(30, 12, 2, 2, 24))
    add_lora(model, 2, 3.0, "blocks.1.attention.value")
    assert [name for name, _ in lora_layers(model)] == ["encoder.blocks.1.attention.value"]
    add_lora(remove_lora(model), 2, 3.0)
    assert len(list(lora_layers(model))) == 2 * 6  # all linear layers


@pytest.mark.parametrize(
    "rank, alpha, targets, words",
    [
        (0, 1.0, None, "rank must be a whole number from 1 to .*; got 0"),
        (-1, 1.0, None, "got -1"),
        (2.0, 1.0, None, r"got 2\.0"),
        (17, 1.0, None, "from 1 to 16, the narrower side of a matrix of 16 x 48; got 17"),
        (2, 0.0, None, "alpha must be above 0"),
        (2, float("nan"), None, "alpha must be above 0"),
        (2, 1.0, [], "targets names no layer"),
        (2, 1.0, ["query", "uery"], "no linear layer of this GPT is called 'uery'.*down, gate, key"),
        (2, 1.0, ["embedding"], "no linear layer of this GPT is called 'embedding'"),
    ],
)
def test_what_suits_no_adapter_is_refused_and_nothing_changed(rank, alpha, targets, words):
    model = built(replace(SMALL, n_layers=1)).requires_grad_(True)
    before = str(model)
    with pytest.raises(ValueError, match=words) as caught:
        add_lora(model, rank, alpha, targets)
    assert "\n" not in str(caught.value)
    assert str(model) == before and all(p.requires_grad for p in model.parameters())


def test_adapters_on_adapters_are_refused(adapted):
    with pytest.raises(ValueError, match="LoRA adapters already: remove_lora"):
        add_lora(adapted, 2, 1.0)
