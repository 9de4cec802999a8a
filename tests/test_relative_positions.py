"""Buckets of distances beside transformers', and what a bias for each does to attention."""

import pytest
import torch
from test_attention import EVERY_HEAD, EVERY_MASK, built, close, x

from course_utils import attention
from course_utils.attention import RelativePositions, relative_buckets

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "farthest"), [(32, 128), (8, 20), (64, 300), (4, 128), (7, 9)])
def test_buckets_equal_transformers(buckets, farthest, both_ways):
    transformers = pytest.importorskip("transformers.models.t5.modeling_t5")
    distances = torch.arange(-400, 401)
    expected = transformers.T5Attention._relative_position_bucket(distances, both_ways, buckets, farthest)
    got = relative_buckets(distances, buckets, farthest, both_ways)
    assert got.equal(expected) and got.min() >= 0 and got.max() < buckets


def test_near_distances_have_a_bucket_each_and_far_ones_share():
    both = relative_buckets(torch.tensor([0, -1, -7, -8, -9, -127, -500, 1, 7, 500]))
    assert both.tolist() == [0, 1, 7, 8, 8, 15, 15, 17, 23, 31]
    back = relative_buckets(torch.tensor([3, 0, -1, -15, -16, -500]), both_ways=False)
    assert back.tolist() == [0, 0, 1, 15, 16, 31]


@pytest.mark.parametrize(
    ("buckets", "farthest", "both_ways"), [(3, 128, True), (1, 128, False), (32, 8, True), (32, 16, False)]
)
def test_too_few_buckets_are_refused(buckets, farthest, both_ways):
    with pytest.raises(ValueError, match=rf"buckets, and farthest beyond .*; got {buckets} and {farthest}"):
        relative_buckets(torch.arange(3), buckets, farthest, both_ways)


def test_a_later_part_has_the_last_rows_of_the_whole():
    torch.manual_seed(0)
    positions = RelativePositions(3, buckets=8, both_ways=False)
    whole = positions(9)
    assert whole.shape == (1, 3, 9, 9)
    close(positions(2, past=7), whole[:, :, 7:], 0)
    close(whole[0, :, 1:, 1:], whole[0, :, :-1, :-1], 0)  # only the distance counts


@EVERY_MASK
@EVERY_HEAD
def test_both_paths_add_the_bias_and_scale_alike(heads, mask):
    model, found = built(heads, scale=0.7), []
    for written_out in (True, False):
        inputs, bias = x(3, 7, 32).requires_grad_(), x(1, 4, 7, 7).requires_grad_()
        output, _ = model(inputs, mask=mask, return_weights=written_out, bias=bias)
        model.zero_grad()
        (output * x(3, 7, 32).flip(0)).sum().backward()
        found.append([output, inputs.grad, bias.grad, *(p.grad.clone() for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        close(one, other, 1e-4)
    for changed in ({"bias": None}, {"bias": x(1, 4, 7, 7).flip(1)}):
        other = model(x(3, 7, 32), mask=mask, **changed)[0]
        assert (other - output).abs().max() > 1e-2
    model.scale = None
    assert (model(x(3, 7, 32), mask=mask, bias=x(1, 4, 7, 7))[0] - output).abs().max() > 1e-2


def test_training_in_bfloat16_adds_them_too(monkeypatch):
    monkeypatch.setattr(attention, "multiplies_bfloat16", lambda device: True)
    q, k, v = (x(2, 4, 7, 8).roll(n).bfloat16().requires_grad_() for n in range(3))
    mask, bias = attention.causal_mask(7), x(1, 4, 7, 7)
    got = attention.fused_attention(q, k, v, mask, 0.5, bias)
    expected, _ = attention.scaled_dot_product_attention(*(each.float() for each in (q, k, v)), mask)
    weights = attention.attention_weights(q.float(), k.float(), mask, 0.5, bias)
    assert (got.float() - weights @ v.float()).abs().max() < 0.05 < (got.float() - expected).abs().max()


def test_heads_of_a_width_of_their_own():
    torch.manual_seed(0)
    model = attention.MultiHeadAttention(10, 3, d_head=4)
    assert model.query.weight.shape == (12, 10) and model.output.weight.shape == (10, 12)
    one, other = (model(x(2, 5, 10), return_weights=written_out)[0] for written_out in (True, False))
    assert one.shape == (2, 5, 10)
    close(one, other)
