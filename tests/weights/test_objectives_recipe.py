"""The three ways are equal in what they may spend, and differ in what they are asked."""

import pytest
import torch

from course_utils.bert.diffusion import MaskedDiffusion
from course_utils.gpt import GPT
from course_utils.weights import objectives_recipe as recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_way_spends_the_budget():
    for stages in recipe.WAYS.values():
        spent = 0.0
        for objective in stages:
            a_step = objective.flops_per_token * recipe.ROWS * recipe.SHAPE.context
            spent += objective.steps(recipe.BUDGET / len(stages)) * a_step
        assert spent == pytest.approx(recipe.BUDGET, rel=2e-3)


def test_the_head_costs_where_something_is_asked():
    assert recipe.NEXT.flops_per_token - recipe.MASKED.flops_per_token == pytest.approx(6 * 0.7 * 4096 * 192)
    body = sum(p.numel() for p in GPT(recipe.SHAPE).parameters() if p.dim() == 2) - 4096 * 192
    assert recipe.NEXT.flops_per_token == 6 * (body + 4096 * 192) + 12 * 4 * 192 * 128


def test_a_gpt_goes_on_without_its_mask():
    """A text of one token has nothing to hide, so both say the same of it; of two they don't."""
    torch.manual_seed(0)
    gpt = GPT(recipe.SHAPE).eval()
    both = recipe.without_causal_mask(gpt, MaskedDiffusion(recipe.SHAPE).eval())
    one, two = torch.tensor([[5]]), torch.tensor([[5, 9]])
    assert torch.allclose(gpt(one), both(one), atol=1e-5)
    assert not torch.allclose(gpt(two)[:, 0], both(two)[:, 0], atol=1e-5)


@pytest.mark.parametrize("kind", [GPT, MaskedDiffusion])
def test_a_vector_is_the_same_beside_any_other(kind):
    torch.manual_seed(0)
    model = kind(recipe.SHAPE).eval()
    texts = [torch.randint(4096, (n,)).numpy() for n in (3, 20, 7, 200)]
    together = recipe.vectors(model, texts)
    for text, vector in zip(texts, together, strict=True):
        assert torch.allclose(vector, recipe.vectors(model, [text])[0], atol=1e-5)


def test_the_masked_loss_is_taken_at_masked_places():
    torch.manual_seed(0)
    model = MaskedDiffusion(recipe.SHAPE).eval()
    ids = torch.randint(4096, (4, 50))
    torch.manual_seed(1)
    loss, _ = recipe.masked_places_loss(model, (ids, None), None)
    torch.manual_seed(1)
    chosen = torch.rand(ids.shape) < recipe.RATE
    log_p = model(ids.masked_fill(chosen, 4096)).log_softmax(-1)
    expected = -log_p.gather(-1, ids[..., None])[..., 0][chosen].mean()
    assert torch.allclose(loss, expected, atol=1e-5)


def test_the_probe_finds_a_line():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 8, generator=generator)
    y = (x @ torch.arange(8.0) > 1).float()
    weights = recipe._logistic(x, y, 1e-4)
    assert recipe._accuracy(weights, x, y) > 0.98
    assert recipe._accuracy(-weights, x, y) < 0.02
