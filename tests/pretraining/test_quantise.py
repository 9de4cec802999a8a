"""Fewer bits a weight: how far the numbers move, what that costs, and what is refused."""

import pytest
import torch
from small_llama import TEXT, small_model
from torch.nn import functional

from course_utils.generation import Completion, generate
from course_utils.pretraining import quantise as quantising
from course_utils.pretraining.quantise import GROUP, Quantised, compare, quantise

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def weight():
    """Rows of very different sizes, and one of zeros."""
    rows = (
        torch.randn(48, 96, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 1, 48)[:, None]
    )
    rows[7] = 0
    return rows


def test_a_weight_moves_by_half_a_step_at_most(weight):
    steps = {8: weight.abs().amax(1, keepdim=True) / 127}
    groups = weight.unflatten(1, (-1, GROUP))
    steps[4] = ((groups.amax(-1) - groups.amin(-1)) / 15).repeat_interleave(GROUP, 1)
    for bits, step in steps.items():
        moved = (Quantised(weight, bits).weight - weight).abs()
        rounding = weight.abs().amax(1, keepdim=True) / 2**8  # scales and zeros have 8 bits
        assert (moved <= step / 2 + rounding).all() and moved[7].max() == 0
        assert moved.max() > step.max() / 4


def test_one_scale_for_the_whole_matrix_would_lose_the_small_rows(weight):
    lost = (Quantised(weight.reshape(1, -1), 8).weight.view_as(weight) - weight).norm(dim=1)
    assert lost[:7].max() > 100 * (Quantised(weight, 8).weight - weight)[:7].norm(dim=1).max()


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kernels", [True, False])
def test_products_are_those_of_the_rounded_weights(bits, kernels, weight, monkeypatch):
    if not kernels:
        monkeypatch.setattr(quantising, "multiplies_bfloat16", lambda _: False)
    matrix = Quantised(weight, bits)
    for shape in [(1, 1, 96), (3, 2, 96), (5, 40, 96)]:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        exact = functional.linear(x, matrix.weight)
        assert (matrix.product(x) - exact).norm() < (1e-2 if kernels else 1e-6) * exact.norm()
    assert torch.equal(matrix.rows(torch.tensor([[3, 5]])), matrix.weight[None, [3, 5]])


def test_what_it_costs(model, tokenizer):
    whole, int8, four = compare(model, tokenizer, 3 * TEXT, length=4)
    assert abs(int8.bits_per_byte - whole.bits_per_byte) < abs(four.bits_per_byte - whole.bits_per_byte) < 0.2
    assert whole.megabytes == pytest.approx(sum(p.nbytes for p in model.parameters()) / 1e6)
    assert int8.megabytes / whole.megabytes == pytest.approx(1 / 4, abs=0.03)  # + a scale a row, the norms
    assert four.megabytes / whole.megabytes == pytest.approx((4 + 2 * 16 / GROUP) / 32, abs=0.03)
    assert min(each.tokens_per_second for each in (whole, int8, four)) > 0


def test_ctrl_c_is_no_speed(monkeypatch, model, tokenizer):
    monkeypatch.setattr(quantising, "generate", lambda *_: [Completion()])
    with pytest.raises(KeyboardInterrupt):
        compare(model, tokenizer, TEXT, length=4)


def test_the_model_itself_stays_as_it_was(model):
    before = model.state_dict()["embedding.weight"].clone()
    small = quantise(model, 4)
    assert (
        torch.equal(model.embedding.weight, before)
        and type(model.decoder.blocks[0].attention.query) is torch.nn.Linear
    )
    cached = generate(small, [[1, 2, 3]], 8)[0].ids
    assert len(cached) == 8 == len(generate(small, [[1, 2, 3]], 8, use_cache=False)[0].ids)


def test_other_bits_and_widths_are_refused():
    model = small_model(300, d_model=48, n_heads=4)
    with pytest.raises(ValueError, match="bits must be 8"):
        quantise(model, 3)
    with pytest.raises(ValueError, match="must divide the width; got 48"):
        quantise(model, 4)
    assert quantise(model, 8)(torch.tensor([[1, 2]])).shape == (1, 2, 300)
