"""The blocks that lack a part: exactly that part is gone, and the table holds what the chapter says of it."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from course_utils.attention import record_attention
from course_utils.finetuning.lora import trainable
from course_utils.training import Diverged
from course_utils.transformer import Decoder
from course_utils.weights import blocks_recipe as recipe
from course_utils.weights import recording
from course_utils.weights.norms_recipe import ByteLM

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"parameters", "steps", "tokens", "flops"}


def ids(*rows):
    return torch.tensor([[*row.encode()] for row in rows])


def shaken(arm):
    """The arm with all its weights at random: fresh gains and biases hide what they do."""
    model = arm.build()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@torch.no_grad()
def test_the_whole_stack_is_the_course_s_decoder():
    model = shaken(recipe.Arm(2))
    theirs = ByteLM(Decoder(recipe.CONFIG, 2, cross=False), 64)
    theirs.load_state_dict(model.state_dict())
    assert torch.allclose(model(ids("To be, or")), theirs(ids("To be, or")), atol=1e-5)


def test_all_arms_begin_from_the_same_weights():
    whole = recipe.Arm(2).build(seed=1).state_dict()
    for part in recipe.PARTS:
        for name, weight in recipe.Arm(2, part).build(seed=1).state_dict().items():
            if part != "positions" or not name.startswith("positions"):
                assert weight.equal(whole[name]), (part, name)


@torch.no_grad()
def test_without_attention_nothing_before_a_byte_matters():
    for part in ("", *recipe.PARTS):
        one, other = shaken(recipe.Arm(2, part))(ids("abc", "bbc"))[:, -1]
        assert torch.allclose(one, other) == (part == "attention"), part


@torch.no_grad()
def test_without_positions_equal_bytes_get_equal_logits():
    for part in ("", *recipe.PARTS):
        logits = shaken(recipe.Arm(2, part))(ids("aaaa"))[0]
        assert torch.allclose(logits[0], logits[3], atol=1e-5) == (part == "positions"), part


@torch.no_grad()
def test_without_residual_nothing_passes_a_branch_that_says_nothing():
    for part in ("", "residual", "norm", "positions"):
        model = shaken(recipe.Arm(2, part))
        down = model.body.blocks[0].feed_forward.down
        down.weight.zero_(), down.bias.zero_()
        one, other = model(ids("ab", "ba"))[:, -1]
        assert torch.allclose(one, other, atol=1e-6) == (part == "residual"), part


@torch.no_grad()
def test_without_norms_the_size_of_the_stream_goes_through():
    """With norms, all vectors of the first stream may be ten times as long for a stack of no branches."""
    for part in ("", "norm"):
        model = shaken(recipe.Arm(1, part))
        block = model.body.blocks[0]
        for layer in (block.attention.output, block.feed_forward.down):
            layer.weight.zero_(), layer.bias.zero_()
        x = torch.randn(1, 3, 64, generator=torch.Generator().manual_seed(0))
        same = torch.allclose(model.body(10 * x), model.body(x), atol=1e-3)
        assert same == (part == "") and torch.allclose(model.body(x), x) == (part == "norm")


@pytest.mark.parametrize("name", ["whole, 2 blocks", "no attention, 2 blocks", "no feed-forward, 2 blocks"])
def test_the_flops_are_those_that_torch_counts(name):
    arm = recipe.ARMS[name]
    model = arm.build()
    windows = torch.zeros(recipe.BATCH, recipe.CONTEXT, dtype=torch.long)
    kept = [block.attention for block in model.body.blocks if arm.without != "attention"]
    with record_attention(kept), FlopCounterMode(display=False) as counter:
        model(windows)
    assert arm.flops == 3 * recipe.STEPS * counter.get_total_flops()


def test_the_rate_is_chosen_on_one_half_and_the_other_is_scored():
    first, second = recipe.halves()
    text = recipe.read("validation")
    assert torch.cat([first, second]).flatten().tolist() == text[: 33 * (len(text) // 33)].tolist()
    assert abs(len(first) - len(second)) <= 1


def test_a_run_is_scored_if_it_is_final_and_one_that_diverges_is_endlessly_bad(monkeypatch):
    monkeypatch.setattr(recipe, "STEPS", 2)
    name = "no attention, 2 blocks"
    swept, final = (recipe.run(name, 0.01, 0, last) for last in (False, True))
    assert swept.pop("nats") == "" and float(final.pop("nats")) > 3 and swept == final

    def diverge(*_):
        raise Diverged

    monkeypatch.setattr(recipe, "trained", diverge)
    lost = recipe.run(name, 0.01, 0, True)
    assert (lost["validation_nats"], lost["nats"]) == ("inf", "inf") and {*lost} > SIZES


# ---- the record ------------------------------------------------------------------------------------------


def test_the_table_holds_each_arm_at_all_rates_and_three_seeds_at_the_best():
    table = recording.read_table(recipe.TABLE)
    assert [*dict.fromkeys(row["arm"] for row in table)] == [*recipe.ARMS]
    for name, arm in recipe.ARMS.items():
        rows = [row for row in table if row["arm"] == name]
        swept, final = [row for row in rows if not row["nats"]], [row for row in rows if row["nats"]]
        tried = {float(row["learning_rate"]): float(row["validation_nats"]) for row in swept}
        assert sorted(tried) == [*recipe.RATES] and {row["seed"] for row in swept} == {"10"}
        best = min(tried, key=tried.get)
        assert [(float(row["learning_rate"]), row["seed"]) for row in final] == [(best, s) for s in "012"]
        assert recipe.recorded()[name] == (best, [float(row["nats"]) for row in final])
        for row in rows:
            assert int(row["parameters"]) == trainable(arm.build())
            assert float(row["flops"]) == pytest.approx(arm.flops, rel=1e-3)
            assert int(row["tokens"]) == recipe.STEPS * recipe.BATCH * recipe.CONTEXT


def test_what_is_frozen_is_not_counted():
    arms = (recipe.ARMS[name] for name in ("whole, 2 blocks", "no positions, 2 blocks"))
    whole, without = (trainable(arm.build()) for arm in arms)
    assert whole - without == recipe.CONTEXT * recipe.CONFIG.d_model


def test_six_blocks_of_attention_have_the_weights_of_two_whole_ones():
    whole, alone = (recipe.ARMS[name].build() for name in ("whole, 2 blocks", "no feed-forward, 6 blocks"))
    assert recording.n_parameters(alone) == pytest.approx(recording.n_parameters(whole), rel=0.01)


def test_a_training_ends_where_the_table_says():
    name = "no attention, 2 blocks"
    rate, losses = recipe.recorded()[name]
    loss = recipe.loss(recipe.trained(recipe.ARMS[name], rate, seed=0), recipe.halves()[1])
    assert loss == pytest.approx(losses[0], abs=0.02) and math.isfinite(loss)


def test_the_table_shows_what_the_chapter_says_of_it():
    """No attention costs most, no residual nearly as much; without norms two blocks do better."""
    recorded = recipe.recorded()
    large = {name.partition(",")[0]: recorded.pop(name)[1] for name in recipe.LARGE}
    losses = {name.removesuffix(", 2 blocks"): seeds for name, (_, seeds) in recorded.items()}
    means = {name: sum(seeds) / len(seeds) for name, seeds in losses.items()}
    lost = {name: mean - means["whole"] for name, mean in means.items()}
    assert max(means, key=means.get) == "no attention"
    assert min(losses["no attention"]) > max(losses["no residual"])
    assert 0.8 * lost["no attention"] < lost["no residual"]
    assert max(losses["no norm"]) < min(losses["whole"])
    assert max(losses["whole"]) < min(losses["no feed-forward"])
    assert 0.5 * lost["no attention"] < lost["no positions"] < lost["no residual"]
    assert 0 < lost["no feed-forward"] < 0.3 * lost["no attention"]
    assert means["no feed-forward, 6 blocks"] > means["no feed-forward"]
    rates = {name: rate for name, (rate, _) in recorded.items()}
    assert rates.pop("no norm, 2 blocks") > max(rates.values())
    assert max(large["whole"]) < min(losses["no norm"])
    assert max(large["no norm"]) < min(large["whole"])
