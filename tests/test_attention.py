"""Attention against torch's own: both paths, every kind of head, and what a mask must never do."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from course_utils.attention import (
    KeyValueCache,
    LearnedPositions,
    MultiHeadAttention,
    causal_mask,
    fused_attention,
    padding_mask,
    record_attention,
    rotate,
    scaled_dot_product_attention,
    sinusoidal_positions,
)

pytestmark = pytest.mark.usefixtures("one_thread")
HEADS = {"many": (4, 4), "grouped": (4, 2), "one key": (4, 1)}
EVERY_HEAD = pytest.mark.parametrize("heads", HEADS)
MASKS = {
    "none": None,
    "causal": causal_mask(7),
    "padding, one row empty": padding_mask(torch.tensor([7, 3, 0]), 7),
    "both": causal_mask(7) & padding_mask(torch.tensor([7, 3, 0]), 7),
    "one a head": torch.rand(1, 4, 7, 7, generator=torch.Generator().manual_seed(0)) < 0.5,
}
EVERY_MASK = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def close(got, expected, tolerance=1e-5):
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)


def built(heads="many", **kwargs):
    torch.manual_seed(0)
    return MultiHeadAttention(32, *HEADS[heads], **kwargs)


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@EVERY_MASK
def test_the_function_gives_what_torch_gives_and_rows_that_sum_to_one(mask):
    q, k, v = x(3, 4, 7, 8), x(3, 4, 7, 8).flip(0), x(3, 4, 7, 8).flip(2)
    output, weights = scaled_dot_product_attention(q, k, v, mask)
    open_rows = torch.ones(3, 4, 7, dtype=torch.bool)
    if mask is not None:
        open_rows = mask.any(-1).expand(3, 4, 7)
    expected = functional.scaled_dot_product_attention(q, k, v, mask)
    close(output, torch.where(open_rows[..., None], expected, 0.0))
    close(weights.sum(-1), open_rows.float())
    assert mask is None or (weights.masked_select(~mask) == 0).all()


def test_the_scale_can_be_chosen():
    q, k, v = x(5, 8), x(6, 8), x(6, 3)
    _, weights = scaled_dot_product_attention(q, k, v, scale=0.0)
    close(weights, torch.full((5, 6), 1 / 6))
    _, weights = scaled_dot_product_attention(q, k, v, scale=1.0)
    close(weights, (q @ k.T).softmax(-1))


@EVERY_MASK
@EVERY_HEAD
def test_both_paths_agree_in_outputs_and_gradients(heads, mask):
    model, found = built(heads), []
    for return_weights in (True, False):
        inputs = x(3, 7, 32).requires_grad_()
        output, weights = model(inputs, mask=mask, return_weights=return_weights)
        model.zero_grad()
        (output * x(3, 7, 32).flip(0)).sum().backward()
        found.append([output, inputs.grad, *(p.grad.clone() for p in model.parameters())])
        assert (weights is not None) == return_weights
    for written, fused in zip(*found, strict=True):
        assert written.isfinite().all()
        close(written, fused)


@pytest.mark.parametrize("return_weights", [True, False], ids=["written out", "fused"])
def test_a_row_that_may_attend_to_nothing_gathers_nothing(return_weights):
    model = built(bias=False)
    output, weights = model(x(3, 7, 32), mask=padding_mask([7, 3, 0], 7), return_weights=return_weights)
    assert (output[2] == 0).all() and (output[:2] != 0).all()
    assert weights is None or (weights[2] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_row_that_may_attend_to_nothing_has_finite_gradients(dtype):
    q, k, v = (x(1, 2, 4, 8).to(dtype).requires_grad_() for _ in range(3))
    mask = causal_mask(4)
    mask[0] = False
    fused_attention(q, k, v, mask).sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (q, k, v)) and (q.grad[:, :, 0] == 0).all()


def with_torchs_weights(ours, theirs):
    """Copy the weights of a torch.nn.MultiheadAttention into one of ours."""
    projections = [ours.query, ours.key, ours.value]
    with torch.no_grad():
        weights, biases = theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3)
        for linear, weight, bias in zip(projections, weights, biases, strict=True):
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        ours.output.load_state_dict(theirs.out_proj.state_dict())
    return ours


@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
def test_heads_equal_torchs_multihead_attention(cross):
    torch.manual_seed(2)
    theirs = nn.MultiheadAttention(32, 4, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours = with_torchs_weights(built(), theirs)
    source = x(3, 9, 32)
    inputs, memory = (x(3, 7, 32), source) if cross else (source, None)
    mask = padding_mask([9, 4, 1], 9)
    expected, shown = theirs(
        inputs, source, source, key_padding_mask=~mask[:, 0, 0], average_attn_weights=False
    )
    output, weights = ours(inputs, memory, mask, return_weights=True)
    close(output, expected)
    close(weights, shown)
    close(ours(inputs, memory, mask)[0], expected)


def test_one_width_for_all_heads_would_be_noticed():
    """The parity above must fail for the usual mistake: a scale by d_model and not by the head's width."""
    theirs = nn.MultiheadAttention(32, 4, batch_first=True)
    ours, inputs = with_torchs_weights(built(), theirs), x(3, 7, 32)
    ours.query.weight.data *= (8 / 32) ** 0.5
    difference = ours(inputs)[0] - theirs(inputs, inputs, inputs)[0]
    assert difference.abs().max() > 1e-3


def test_grouped_heads_are_many_heads_that_share_keys_and_values():
    grouped, many = built("grouped"), built("many")
    many.load_state_dict(grouped.state_dict() | {
        f"{name}.{part}": getattr(getattr(grouped, name), part).unflatten(0, (2, 8)).repeat_interleave(2, 0)
        .flatten(0, 1)
        for name in ("key", "value") for part in ("weight", "bias")
    })  # fmt: skip
    close(grouped(x(3, 7, 32))[0], many(x(3, 7, 32))[0])


@pytest.mark.parametrize("past", [0, 6])
@pytest.mark.parametrize("of_each_head", [False, True])
def test_grouped_heads_keep_their_masks(past, of_each_head):
    model, cache, inputs = built("grouped"), KeyValueCache(), x(3, past + 4, 32)
    mask = causal_mask(past + 4) & padding_mask([past + 4, past + 1, 2], past + 4)
    if of_each_head:
        mask = mask & (torch.rand(3, 4, past + 4, past + 4) < 0.7)
    expected, _ = model(inputs, mask=mask, return_weights=True)
    if past:
        model(inputs[:, :past], mask=mask[..., :past, :past], cache=cache)
    output, _ = model(inputs[:, past:], mask=mask[..., past:, :], cache=cache)
    close(output, expected[:, past:])


def test_grouped_heads_take_a_mask_of_the_keys_alone():
    model, mask = built("grouped"), torch.tensor([True, False, True, True])
    close(model(x(3, 4, 32), mask=mask)[0], model(x(3, 4, 32), mask=mask, return_weights=True)[0])


@pytest.mark.parametrize("time", [7, 20])  # fewer vectors than a matrix has columns, and more
@EVERY_HEAD
@pytest.mark.parametrize("bias", [True, False])
def test_training_reads_with_one_product_and_gives_the_same(heads, bias, time):
    model, inputs = built(heads, bias=bias, rotary_base=10_000.0), x(2, time, 32)
    results = []
    for training in (True, False):
        model.train(training)
        model.zero_grad()
        output, _ = model(inputs, mask=causal_mask(time))
        output.square().sum().backward()
        results.append([output, *(p.grad for p in model.parameters())])
    for one, other in zip(*results, strict=True):
        close(one, other, 1e-5)


@EVERY_HEAD
@pytest.mark.parametrize("rotary_base", [None, 10_000.0])
def test_a_cache_gives_what_reading_at_once_gives(heads, rotary_base):
    model, inputs, cache = built(heads, rotary_base=rotary_base), x(2, 7, 32), KeyValueCache()
    expected, _ = model(inputs, mask=causal_mask(7))
    steps = [model(inputs[:, :3], mask=causal_mask(3), cache=cache)[0]]
    steps.append(model(inputs[:, 3:5], mask=causal_mask(2, past=3), cache=cache)[0])
    kept = copy.copy(cache)
    steps += [model(inputs[:, t : t + 1], cache=cache)[0] for t in (5, 6)]
    close(torch.cat(steps, dim=1), expected)
    assert len(cache) == 7 and cache.keys.shape[1] == HEADS[heads][1] and len(kept) == 5
    close(model(inputs[:, 5:6], cache=kept)[0], expected[:, 5:6])  # a copy is a place to go back to


def test_cross_attention_computes_its_keys_once():
    model, memory, cache = built(), x(2, 9, 32), KeyValueCache()
    expected, _ = model(x(2, 3, 32), memory)
    close(model(x(2, 3, 32), memory, cache=cache)[0], expected)
    first = cache.keys
    close(model(x(2, 3, 32), memory, cache=cache)[0], expected)
    assert cache.keys is first


def test_an_edit_replaces_the_weights_and_a_recording_sees_it():
    model, inputs = built(), x(2, 7, 32)
    intact, _ = model(inputs)
    model.edit = lambda weights: torch.eye(7).expand_as(weights)
    with record_attention([model]) as weights:
        output, _ = model(inputs)
    close(weights[0], torch.eye(7).expand(2, 4, 7, 7))
    close(output, model.output(model.value(inputs)))  # each position gathers its own value
    model.edit = None
    with record_attention([model]) as weights:
        close(model(inputs)[0], intact)
    close(weights[0], model(inputs, return_weights=True)[1])
    assert model.edit is None


# Positions


def test_without_positions_a_permutation_of_the_input_permutes_the_output():
    model, order = built(), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    close(model(x(2, 7, 32)[:, order])[0], model(x(2, 7, 32))[0][:, order], 1e-6)
    model.rotary_base = 10_000.0
    moved = model(x(2, 7, 32)[:, order])[0] - model(x(2, 7, 32))[0][:, order]
    assert moved.abs().max() > 1e-2


def test_sinusoids_are_those_of_the_paper():
    table = sinusoidal_positions(50, 6)
    for p, i in [(0, 0), (1, 1), (49, 2), (7, 0)]:
        angle = torch.tensor(p / 10_000 ** (2 * i / 6))
        close(table[p, 2 * i : 2 * i + 2], torch.stack([angle.sin(), angle.cos()]))
    close(sinusoidal_positions(10, 6, start=40), table[40:])


def test_rotated_dot_products_depend_on_the_distance_alone():
    q, k = x(8), x(2, 8)[1]
    scores = rotate(q.expand(20, 8)) @ rotate(k.expand(20, 8)).T
    for distance in (-5, 0, 3):
        diagonal = scores.diagonal(distance)
        close(diagonal, diagonal[:1].expand_as(diagonal))
    close(rotate(q.expand(20, 8)).norm(dim=-1), q.norm().expand(20))
    close(scores[0, 0], q @ k)
    assert (scores[0] - scores[0, 0]).abs()[1:].max() > 1e-2
    close(rotate(x(3, 8), start=4), rotate(torch.cat([torch.zeros(4, 8), x(3, 8)]))[4:])


def test_learned_positions_end_with_their_table():
    positions = LearnedPositions(10, 4)
    close(positions(3, start=7), positions.table.weight[7:])
    with pytest.raises(ValueError, match="10 rows; got 11 positions: shorten the text"):
        positions(4, start=7)


# Bad input


@pytest.mark.parametrize(
    "sizes, sentence",
    [
        ((32, 5), "n_heads must divide d_model; got d_model = 32 and n_heads = 5"),
        ((32, 0), "got d_model = 32 and n_heads = 0"),
        ((32, 4, 3), "n_kv_heads must divide n_heads; got n_kv_heads = 3 and n_heads = 4"),
        ((32, 4, 8), "n_kv_heads must divide n_heads; got n_kv_heads = 8 and"),
        ((32, 4, 0), "n_kv_heads must divide n_heads; got n_kv_heads = 0 and"),
    ],
)
def test_heads_that_do_not_divide_are_refused(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        MultiHeadAttention(*sizes)


def test_an_unknown_norm_of_queries_and_keys_is_refused():
    with pytest.raises(ValueError, match="qk_norm must be None or one of rms, layer; got True"):
        MultiHeadAttention(32, 4, qk_norm=True)


@pytest.mark.parametrize("return_weights", [True, False], ids=["written out", "fused"])
@pytest.mark.parametrize(
    "mask, sentence",
    [
        (torch.zeros(7, 7), r"boolean.*got torch.float32; mask == 0 converts one of 0 and -inf"),
        (torch.ones(7, 7, dtype=torch.int64), r"expected a boolean mask.*attend; got torch.int64$"),
        (causal_mask(6), r"\(3, 4, 7, 7\); got \(6, 6\)"),
        (torch.ones(3, 7, dtype=torch.bool), r"\(3, 4, 7, 7\); got \(3, 7\)"),
        (torch.ones(2, 3, 4, 7, 7, dtype=torch.bool), r"got \(2, 3, 4, 7, 7\)"),
        (torch.ones(5, 1, 7, 7, dtype=torch.bool), r"got \(5, 1, 7, 7\)"),
    ],
    ids=["float", "integer", "size", "no head axis", "an axis too many", "batch"],
)
def test_a_mask_of_another_kind_or_shape_is_refused_by_both_paths(mask, sentence, return_weights):
    with pytest.raises(ValueError, match=sentence):
        built()(x(3, 7, 32), mask=mask, return_weights=return_weights)


@pytest.mark.parametrize("return_weights", [True, False], ids=["written out", "fused"])
def test_an_empty_sequence_is_refused(return_weights):
    for inputs, memory in ((x(3, 0, 32), None), (x(3, 2, 32), x(3, 0, 32))):
        with pytest.raises(ValueError, match="at least one position; got an empty one"):
            built()(inputs, memory, return_weights=return_weights)
    with pytest.raises(ValueError, match="got an empty one"):
        causal_mask(0)


@pytest.mark.parametrize("shape", [(7, 32), (3, 7, 31), (1, 3, 7, 32)])
def test_an_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected x of shape \(batch, time, 32\); got"):
        built()(x(*shape))


def test_queries_keys_and_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"the same width.*k \(6, 7\)"):
        scaled_dot_product_attention(x(5, 8), x(6, 7), x(6, 3))
    with pytest.raises(ValueError, match=r"as many values as keys.*v \(5, 3\)"):
        scaled_dot_product_attention(x(5, 8), x(6, 8), x(5, 3))


def test_lengths_outside_the_batch_are_refused():
    for lengths in ([3, 8], [-1, 7]):
        with pytest.raises(ValueError, match="expected lengths between 0 and t = 7"):
            padding_mask(torch.tensor(lengths), 7)


@pytest.mark.parametrize("width", [7, 1])
def test_positions_of_an_odd_width_are_refused(width):
    for make in (lambda: sinusoidal_positions(5, width), lambda: rotate(x(5, width))):
        with pytest.raises(ValueError, match=f"the width must be even; got {width}"):
            make()


@EVERY_MASK
@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)], ids=str)
def test_half_precision_stays_half_and_close_to_single(dtype, tolerance, mask):
    model, inputs = built("grouped", rotary_base=10_000.0), x(3, 7, 32)
    expected, _ = model(inputs, mask=mask)
    model = model.to(dtype)
    for return_weights in (True, False):
        output, _ = model(inputs.to(dtype), mask=mask, return_weights=return_weights)
        assert output.dtype == dtype
        close(output.float(), expected, tolerance)


def test_dot_products_beyond_the_range_of_half_precision_are_scaled_in_time():
    q = torch.full((1, 64), 40.0, dtype=torch.float16)
    _, weights = scaled_dot_product_attention(q, torch.cat([q, q / 2]), torch.cat([q, q]))
    close(weights.float(), torch.tensor([[1.0, 0.0]]))


def test_tensors_that_do_not_lie_in_order_give_the_same():
    model = built()
    scattered = x(3, 7, 32).transpose(0, 1).contiguous().transpose(0, 1)
    strided = x(3, 7, 64)[..., ::2]
    for inputs in (scattered, strided):
        assert not inputs.is_contiguous()
        for return_weights in (True, False):
            got, _ = model(inputs, mask=MASKS["both"], return_weights=return_weights)
            expected, _ = model(inputs.contiguous(), mask=MASKS["both"], return_weights=return_weights)
            close(got, expected, 1e-6)


# Modules in the place of a projection


class LowRank(nn.Module):
    """A linear layer with a LoRA adapter (Hu et al. 2021): W x + B A x."""

    def __init__(self, linear, rank=2):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, linear.in_features))
        self.b = nn.Parameter(torch.randn(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.a.T @ self.b.T


@EVERY_HEAD
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("names", [["query"], ["key", "value"], ["query", "value", "output"]], ids=str)
def test_a_module_in_the_place_of_a_projection_is_used_and_trained(heads, training, names):
    adapted, merged = (built(heads, rotary_base=10_000.0).train(training) for _ in range(2))
    for name in names:
        setattr(adapted, name, LowRank(getattr(adapted, name)))
        adapter = getattr(adapted, name)
        getattr(merged, name).weight.data += (adapter.b @ adapter.a).detach()
    output, _ = adapted(x(3, 7, 32), mask=causal_mask(7))
    close(output, merged(x(3, 7, 32), mask=causal_mask(7))[0], 1e-4)
    output.square().sum().backward()
    for name in names:
        adapter = getattr(adapted, name)
        assert (adapter.a.grad != 0).any() and (adapter.b.grad != 0).any()
        assert adapter.linear.weight.grad is None


# What a cache holds is never written over


def filled(n):
    """A cache to which n keys were added, one by one, and these keys (1, 2, n, 3)."""
    cache, keys = KeyValueCache(), x(1, 2, n, 3)
    for key in keys.split(1, dim=2):
        cache.extend(key, -key)
    return cache, keys


def test_a_cache_grows_by_what_comes_and_seldom_copies_what_it_holds():
    cache, keys = filled(3)
    places = set()
    for t in range(3, 60):
        new = x(1, 2, 1, 3)
        cache.extend(new, -new)
        keys = torch.cat([keys, new], dim=2)
        places.add(cache.keys.data_ptr())
        assert torch.equal(cache.keys, keys) and torch.equal(cache.values, -keys) and len(cache) == t + 1
    assert len(places) < 7


def test_a_cache_that_could_not_grow_goes_on_when_it_can(monkeypatch):
    cache, keys = filled(1)
    new_empty, asked = torch.Tensor.new_empty, []

    def once(*arguments):
        asked.append(arguments)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return new_empty(*arguments)

    monkeypatch.setattr(torch.Tensor, "new_empty", once)
    new = x(1, 2, 1, 3)
    with pytest.raises(KeyboardInterrupt):
        cache.extend(new, -new)
    cache.extend(new, -new)
    assert torch.equal(cache.keys, torch.cat([keys, new], dim=2)) and torch.equal(cache.values, -cache.keys)


def test_a_copy_and_the_original_go_on_each_for_itself():
    cache, keys = filled(5)
    twin, (one, other) = copy.copy(cache), x(2, 1, 2, 1, 3)
    cache.extend(one, one)
    twin.extend(other, other)
    assert torch.equal(cache.keys, torch.cat([keys, one], dim=2))
    assert torch.equal(twin.keys, torch.cat([keys, other], dim=2))


def test_a_cache_that_was_cropped_or_rearranged_goes_on_and_leaves_others_alone():
    cache, keys = filled(5)
    before, new = copy.copy(cache), x(1, 2, 1, 3)
    cache.crop(2)
    cache.extend(new, new)
    assert torch.equal(cache.keys, torch.cat([keys[:, :, :2], new], dim=2))
    assert torch.equal(before.keys, keys)
    cache.select([0, 0])
    cache.extend(new.expand(2, -1, -1, -1), new.expand(2, -1, -1, -1))
    assert cache.keys.shape == (2, 2, 4, 3) and torch.equal(before.keys, keys)


def test_what_a_copy_of_a_copy_reads_is_protected_after_a_crop():
    cache, keys = filled(5)
    twin, new = copy.copy(cache), x(1, 2, 1, 3)
    twin.crop(2)
    third = copy.copy(twin)
    third.extend(new, new)
    third.extend(new, new)
    assert torch.equal(cache.keys, keys) and torch.equal(twin.keys, keys[:, :, :2])
    assert torch.equal(third.keys, torch.cat([keys[:, :, :2], new, new], dim=2))


def test_the_copy_that_goes_on_copies_nothing():
    """As in `EncoderDecoder.decode`, which leaves each state alone."""
    cache, keys = filled(5)
    place = cache.keys.data_ptr()
    for _ in range(3):
        cache, new = copy.copy(cache), x(1, 2, 1, 3)
        cache.extend(new, new)
        keys = torch.cat([keys, new], dim=2)
        assert cache.keys.data_ptr() == place and torch.equal(cache.keys, keys)


@pytest.mark.parametrize("copied", [False, True])
def test_after_a_crop_the_room_is_used_again_unless_a_copy_has_it_too(copied):
    cache, keys = filled(5)
    others, place = [copy.copy(cache)] if copied else [], cache.keys.data_ptr()
    cache.crop(2)
    new = x(1, 2, 1, 3)
    cache.extend(new, new)
    assert torch.equal(cache.keys, torch.cat([keys[:, :, :2], new], dim=2))
    assert (cache.keys.data_ptr() == place) != copied
    assert all(torch.equal(other.keys, keys) for other in others)


def test_a_cache_goes_on_in_and_out_of_inference_mode_and_with_gradients():
    with torch.inference_mode():
        cache, keys = filled(3)
    new = x(1, 2, 1, 3)
    cache.extend(new, new)
    with torch.inference_mode():
        cache.extend(new, new)
    assert torch.equal(cache.keys, torch.cat([keys, new, new], dim=2))
    cache, keys = filled(3)
    first, second = (x(1, 2, 1, 3).requires_grad_() for _ in range(2))
    cache.extend(first, first)
    total = cache.keys.square().sum()
    cache.extend(second, second)
    (total + cache.keys.sum()).backward()
    torch.testing.assert_close(first.grad, 2 * first + 1)
    assert torch.equal(second.grad, torch.ones(1, 2, 1, 3))


@pytest.mark.parametrize("return_weights", [True, False], ids=["written out", "fused"])
def test_a_nan_is_handed_on_and_stays_in_its_sequence(return_weights):
    model, inputs = built(), x(3, 7, 32)
    inputs[1, 4] = torch.nan
    output, _ = model(inputs, mask=causal_mask(7), return_weights=return_weights)
    poisoned = output.isnan().any(-1)
    assert poisoned[1, 4:].all() and not poisoned[0].any() and not poisoned[2].any()


def test_fused_attention_alone_refuses_what_the_other_refuses():
    with pytest.raises(ValueError, match="boolean"):
        fused_attention(x(1, 4, 8), x(1, 4, 8), x(1, 4, 8), torch.zeros(4, 4))
