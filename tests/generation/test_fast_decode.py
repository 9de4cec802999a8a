"""Models laid out for steps: the same weights, the same logits, and the same way back."""

import pytest
import torch
from test_gpt import SHAPES, built, ids_of
from torch import nn
from torch.nn import functional

from course_utils.attention import recorded
from course_utils.generation import fast_decode, generate
from course_utils.generation.fast_decode import lay_out_for_steps
from course_utils.gpt import GPT
from course_utils.training.checkpoints import load_into, save_model
from course_utils.transformer import Decoder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def model(request):
    return built(request.param).float()


def test_the_weights_are_the_same_numbers(model, tmp_path):
    ids, expected = ids_of(2, 9), model(ids_of(2, 9))
    save_model(tmp_path / "before.safetensors", model, {})
    lay_out_for_steps(model)
    attention = model.decoder.blocks[0].attention
    after_the_query = attention.query.weight.data_ptr() + attention.query.weight.nbytes
    assert attention.key.weight.data_ptr() == after_the_query
    torch.testing.assert_close(model(ids), expected, atol=1e-4, rtol=0)
    fresh = GPT(model.config)
    load_into(tmp_path / "before.safetensors", fresh)
    save_model(tmp_path / "after.safetensors", model, {})
    load_into(tmp_path / "after.safetensors", model)
    for one, other in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("at_once", [1, 3, 9])
def test_few_tokens_give_the_same_logits_in_another_way(model, at_once, monkeypatch):
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    lay_out_for_steps(model)
    caches = model.new_caches()
    got = [model(ids[:, :2], caches)]
    monkeypatch.delattr(nn.Linear, "forward")  # nothing goes this way any more
    got += [model(ids[:, t : t + at_once], caches) for t in range(2, 20, at_once)]
    torch.testing.assert_close(torch.cat(got, dim=1), expected, atol=1e-4, rtol=0)


def test_a_single_token_goes_its_own_way_and_several_the_usual_one(monkeypatch):
    model = lay_out_for_steps(built(SHAPES["Llama's"]).float())
    ids, caches = ids_of(2, 9), model.new_caches()
    expected = model(ids)
    model(ids[:, :8], caches)
    monkeypatch.delattr(Decoder, "forward")
    torch.testing.assert_close(model(ids[:, 8:], caches), expected[:, 8:], atol=1e-4, rtol=0)
    with pytest.raises(NotImplementedError):
        model(ids)


def test_few_rows_are_multiplied_the_other_way_round_and_many_are_not(model, monkeypatch):
    lay_out_for_steps(model)
    weight, read = model.embedding.weight, []
    product = functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, w: read.append(x.shape) or product(x, w))
    for rows in (1, 2, fast_decode.FEW, fast_decode.FEW + 1):
        model.head(torch.randn(1, rows, weight.shape[1]))
    assert read == [weight.shape] * 3 + [(1, fast_decode.FEW + 1, weight.shape[1])]


def test_it_serves_padding_and_looking_at_the_weights(model):
    """Weights that are looked at, and padding that must not be."""
    prompts = [[1], [5, 9, 40, 2, 7], [3, 3]]
    expected = [one.ids for one in generate(model, prompts, 12)]
    lay_out_for_steps(model)
    assert [one.ids for one in generate(model, prompts, 12)] == expected
    caches = model.new_caches()
    model(ids_of(1, 5), caches)
    with recorded([model.decoder.blocks[0].attention]) as kept:
        model(ids_of(1, 1), caches)
    assert kept[0].shape == (1, 6, 1, 6)


def test_in_bfloat16_it_is_as_near_to_float32_as_before(model):
    """Sums may run in another order, so the two are as far from float32 as each other, not equal."""
    ids, exact = ids_of(2, 20), model(ids_of(2, 20))

    def errors():
        caches = model.new_caches()
        logits = torch.cat([model(ids[:, t : t + 1], caches) for t in range(20)], dim=1)
        assert logits.dtype == torch.bfloat16
        return (logits - exact).abs().mean()

    model.bfloat16()
    before = errors()
    lay_out_for_steps(model)
    assert errors() < 1.2 * before


@pytest.mark.parametrize("pays", [True, False])
def test_other_precisions_are_never_read_as_bfloat16(model, pays, monkeypatch):
    monkeypatch.setattr(fast_decode, "multiplies_bfloat16", lambda device: pays)
    model.double()
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    lay_out_for_steps(model)
    caches = model.new_caches()
    got = torch.cat([model(ids[:, t : t + 1], caches) for t in range(20)], dim=1)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
