"""The three ways are equal in what they may spend, and differ in what they are asked."""

import numpy as np
import pytest
import torch

from course_utils.bert.diffusion import MaskedDiffusion
from course_utils.gpt import GPT, GPTConfig
from course_utils.training import Run
from course_utils.weights import objectives_recipe as recipe
from course_utils.weights import recording

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


def test_each_run_is_kept_in_a_file_of_its_own(tmp_path, monkeypatch):
    """Another run's checkpoint would be refused, and the second run never begin."""
    kept = []

    def never_trained(model, batches, config, loss, report, checkpoint):
        kept.append(checkpoint.name)
        return Run(tokens=1)

    monkeypatch.setattr(recipe, "TABLE", tmp_path / "objectives.csv")
    monkeypatch.setattr(recipe, "SHAPE", GPTConfig(4096, context=8, n_layers=1, n_heads=1, d_model=4))
    monkeypatch.setattr(recipe, "tokens", lambda part: np.zeros(1000, dtype=int))
    monkeypatch.setattr(recipe, "train", never_trained)
    for name in ("validation_loss", "mood", "search"):
        monkeypatch.setattr(recipe, name, lambda *model: 0.5)
    recipe.main(tmp_path / "build")
    runs = len(recipe.WAYS) * (len(recipe.RATES) + len(recipe.SEEDS))
    assert len(recording.read_table(recipe.TABLE)) == runs + len(recipe.SEEDS)  # and the control
    assert len(kept) == len(set(kept)) == runs + runs // 3  # one way has two stages
