"""Models laid out for steps: the same weights, the same logits, and the same way back."""

import pytest
import torch
from test_gpt import SHAPES, built, ids_of

from course_utils import steps
from course_utils.attention import recorded
from course_utils.checkpoints import load_into, save_model
from course_utils.generation import generate
from course_utils.gpt import GPT
from course_utils.steps import lay_out_for_steps
from course_utils.transformer import Block

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def model(request):
    return built(request.param).float()


def test_the_weights_are_the_same_numbers(model, tmp_path):
    ids, expected = ids_of(2, 9), model(ids_of(2, 9))
    save_model(tmp_path / "before.safetensors", model, {})
    lay_out_for_steps(model)
    assert not model.decoder.blocks[0].attention.query.weight.is_contiguous()
    torch.testing.assert_close(model(ids), expected, atol=1e-4, rtol=0)
    fresh = GPT(model.config)
    load_into(tmp_path / "before.safetensors", fresh)
    save_model(tmp_path / "after.safetensors", model, {})
    load_into(tmp_path / "after.safetensors", model)
    for one, other in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


def test_single_tokens_give_the_same_logits_in_another_way(model, monkeypatch):
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    lay_out_for_steps(model)
    caches = model.new_caches()
    got = [model(ids[:, :11], caches)]
    monkeypatch.delattr(Block, "forward")  # single tokens don't need it
    got += [model(ids[:, t : t + 1], caches) for t in range(11, 20)]
    torch.testing.assert_close(torch.cat(got, dim=1), expected, atol=1e-4, rtol=0)


def test_what_is_asked_for_besides_goes_the_old_way(model):
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
    monkeypatch.setattr(steps, "multiplies_bfloat16", lambda device: pays)
    model.double()
    ids, expected = ids_of(2, 20), model(ids_of(2, 20))
    lay_out_for_steps(model)
    caches = model.new_caches()
    got = torch.cat([model(ids[:, t : t + 1], caches) for t in range(20)], dim=1)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
