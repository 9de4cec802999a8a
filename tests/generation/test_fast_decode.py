"""Models optimised for decoding: the same weights, the same logits, and the usual way where they must."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from test_attention import LowRank
from test_gpt import SHAPES, built, ids_of
from torch import nn
from torch.nn import functional

from course_utils.attention import KeyValueCache, MultiHeadAttention, record_attention
from course_utils.generation import generate, layouts
from course_utils.generation.fast_decode import fast_norm, gathered_by_one, optimise_for_decoding, turned_at
from course_utils.gpt import GPT
from course_utils.training.checkpoints import load_into, save_model
from course_utils.transformer import Decoder

pytestmark = pytest.mark.usefixtures("one_thread", "empty_cache", "clock")


def choose(name, monkeypatch):
    """Of all layouts, `name` alone is to be had."""
    monkeypatch.setattr(layouts, "LAYOUTS", {name: layouts.LAYOUTS[name]})


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def model(request):
    return built(request.param).float()


def in_steps(model, ids, sizes):
    cache = model.new_cache()
    return torch.cat([model(piece, cache) for piece in ids.split(sizes, dim=1)], dim=1)


def test_the_weights_are_the_same_numbers(model, tmp_path):
    ids, expected = ids_of(2, 9), model(ids_of(2, 9))
    save_model(tmp_path / "before.safetensors", model, {})
    fast = optimise_for_decoding(model)
    attention = model.decoder.blocks[0].attention
    read = [attention.query, attention.key, attention.value, attention.output]
    for one, following in itertools.pairwise(module.weight for module in read):
        assert following.data_ptr() == one.data_ptr() + one.nbytes
    for either in (fast, model):
        torch.testing.assert_close(either(ids), expected, atol=1e-4, rtol=0)
        fresh = GPT(model.config)
        load_into(tmp_path / "before.safetensors", fresh)
        save_model(tmp_path / "after.safetensors", either, {})
        load_into(tmp_path / "after.safetensors", either)
        for one, other in zip(either.parameters(), fresh.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_one_token_gives_the_same_logits_in_another_way(model, layout, monkeypatch):
    choose(layout, monkeypatch)
    ids, expected = ids_of(1, 20), model(ids_of(1, 20))
    fast = optimise_for_decoding(model)
    monkeypatch.delattr(nn.Linear, "forward")  # nothing goes this way any more
    torch.testing.assert_close(in_steps(fast, ids, [2, *[1] * 18]), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("at_once", [1, 3, 9])
@pytest.mark.parametrize("few", layouts.LAYOUTS_OF_FEW)
def test_few_tokens_give_the_same_logits_in_another_way(model, few, at_once, monkeypatch):
    monkeypatch.setattr(layouts, "LAYOUTS_OF_FEW", {few: layouts.LAYOUTS_OF_FEW[few]})
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    fast = optimise_for_decoding(model)
    monkeypatch.delattr(nn.Linear, "forward")
    got = in_steps(fast, ids, [2, *[at_once] * (18 // at_once)])
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 6])
@pytest.mark.parametrize("qk_norm", [None, "rms", "layer"])
@pytest.mark.parametrize("rotary_base", [None, 100.0])
def test_one_position_gathers_what_attention_has_for_it(n_kv_heads, qk_norm, rotary_base):
    """From an empty cache too; the attention's width of heads and scale are not the usual ones."""
    torch.manual_seed(0)
    more = {"rotary_base": rotary_base, "qk_norm": qk_norm, "d_head": 10, "scale": 0.7}
    attention = MultiHeadAttention(48, 6, n_kv_heads, bias=False, **more).double().requires_grad_(False)
    x, kept, cache = 3 * torch.randn(2, 5, 48).double(), KeyValueCache(), KeyValueCache()
    for one in x.split(1, dim=1):
        expected, _ = attention(one, cache=kept)
        turn = turned_at(attention, len(cache), one)
        got = attention.output(gathered_by_one(attention, attention.qkv(one), cache, turn))
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(cache.keys, kept.keys)
    torch.testing.assert_close(cache.values, kept.values)


def test_a_single_token_goes_the_shorter_way_and_two_do_not(model, monkeypatch):
    fast, cache = optimise_for_decoding(model), model.new_cache()
    fast(ids_of(2, 5), cache)
    monkeypatch.delattr(MultiHeadAttention, "attend")
    fast(ids_of(2, 1), cache)
    with pytest.raises(AttributeError, match="attend"):
        fast(ids_of(2, 2), cache)


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_one_text_gives_the_same_logits_in_every_layout(model, layout, monkeypatch):
    choose(layout, monkeypatch)
    ids, expected = ids_of(1, 12), model(ids_of(1, 12))
    torch.testing.assert_close(in_steps(optimise_for_decoding(model), ids, 1), expected, atol=1e-4, rtol=0)


def test_it_goes_the_usual_way_in_training_without_a_cache_and_with_padding(model, monkeypatch):
    fast, ids, cache = optimise_for_decoding(model), ids_of(2, 9), model.new_cache()
    expected, mask = model(ids), torch.ones(2, 1, 1, 9, dtype=torch.bool)

    def usual(*arguments, **settings):
        raise NotImplementedError

    monkeypatch.setattr(Decoder, "forward", usual)
    fast(ids[:, :8], cache)
    torch.testing.assert_close(fast(ids[:, 8:], cache), expected[:, 8:], atol=1e-4, rtol=0)
    for call in (lambda: fast(ids), lambda: fast(ids, model.new_cache(), mask), lambda: fast.train()(ids)):
        with pytest.raises(NotImplementedError):
            call()


def test_in_training_it_has_the_gradients_of_the_model(model):
    fast, ids = optimise_for_decoding(model.requires_grad_(True)), ids_of(2, 9)
    gradients = []
    for either in (model, fast):
        either.train().zero_grad()
        functional.cross_entropy(either(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()
        gradients.append([parameter.grad.clone() for parameter in either.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other) and one.abs().max() > 0


def test_the_norm_is_rms_norm_with_its_gain_and_epsilon():
    for dtype, shape in ((torch.float64, (2, 3, 6)), (torch.float32, (1, 1, 6)), (torch.float32, (2, 1, 6))):
        norm, x = nn.RMSNorm(6, eps=0.5, dtype=dtype), torch.randn(shape, dtype=dtype)
        nn.init.normal_(norm.weight)
        torch.testing.assert_close(fast_norm(norm)(x), norm(x))


def test_few_rows_are_multiplied_the_other_way_round_and_many_are_not(model, monkeypatch):
    choose("W x^T, 2 rows", monkeypatch)
    monkeypatch.setattr(layouts, "LAYOUTS_OF_FEW", {"W x^T": layouts.turned})
    fast = optimise_for_decoding(model)
    weight, read = model.embedding.weight, []
    product = functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, w: read.append(x.shape) or product(x, w))
    for rows in (1, 2, layouts.MAX_FEW, layouts.MAX_FEW + 1):
        fast.head(torch.randn(1, rows, weight.shape[1]))
    assert read == [weight.shape] * 3 + [(1, layouts.MAX_FEW + 1, weight.shape[1])]


def test_it_serves_padding_and_looking_at_the_weights(model):
    """Weights that are looked at, and padding that must not be."""
    prompts = [[1], [5, 9, 40, 2, 7], [3, 3]]
    expected = [one.ids for one in generate(model, prompts, 12)]
    fast = optimise_for_decoding(model)
    assert [one.ids for one in generate(fast, prompts, 12)] == expected
    cache = fast.new_cache()
    fast(ids_of(1, 5), cache)
    with record_attention([model.decoder.blocks[0].attention]) as weights:
        fast(ids_of(1, 1), cache)
    assert weights[0].shape == (1, 6, 1, 6)


def test_a_module_in_the_place_of_a_linear_layer_is_called(model):
    attention, feed_forward = model.decoder.blocks[1].attention, model.decoder.blocks[2].feed_forward
    torch.manual_seed(0)
    for module, name in ((attention, "query"), (attention, "output"), (feed_forward, "down")):
        setattr(module, name, LowRank(getattr(module, name)))
    model.double()
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    got = in_steps(optimise_for_decoding(model), ids, 1)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)


def missing():
    return SimpleNamespace()


def another():
    """Operations of these names that take other arguments."""
    return SimpleNamespace(_reorder_linear_weight=lambda weight: weight, _linear_pointwise=lambda x: x)


def refusing():
    def refuse(*arguments):
        raise RuntimeError("oneDNN is not built in")

    return SimpleNamespace(_reorder_linear_weight=refuse, _linear_pointwise=refuse)


@pytest.mark.parametrize("operations", [missing, another, refusing])
def test_without_the_private_operations_of_torch_it_takes_another_layout(model, operations, monkeypatch):
    monkeypatch.setattr(layouts, "multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(torch.ops, "mkldnn", operations())
    assert layouts.in_blocks(torch.zeros(8, 8, dtype=torch.bfloat16)) is None
    ids, exact = ids_of(2, 20), model(ids_of(2, 20))
    before = (in_steps(model.bfloat16(), ids, 1) - exact).abs().mean()
    got = in_steps(optimise_for_decoding(model), ids, 1)
    assert got.dtype == torch.bfloat16 and (got - exact).abs().mean() < 1.2 * before


def test_in_bfloat16_it_is_as_near_to_float32_as_before(model):
    """Sums may run in another order, so the two are as far from float32 as each other, not equal."""
    ids, exact = ids_of(2, 20), model(ids_of(2, 20))

    def errors(model):
        logits = in_steps(model, ids, 1)
        assert logits.dtype == torch.bfloat16
        return (logits - exact).abs().mean()

    model.bfloat16()
    before = errors(model)
    assert errors(optimise_for_decoding(model)) < 1.2 * before


@pytest.mark.parametrize("pays", [True, False])
def test_other_precisions_are_never_read_as_bfloat16(model, pays, monkeypatch):
    monkeypatch.setattr(layouts, "multiplies_bfloat16", lambda device: pays)
    model.double()
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    got = in_steps(optimise_for_decoding(model), ids, 1)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
