"""Distillation: the arms differ in what they learn alone, and what the table says of them."""

import pytest
import torch

from course_utils.gpt import GPT, GPTConfig
from course_utils.weights import distilling_recipe as recipe
from course_utils.weights import recording

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"STEPS": 4, "EVERY": 2, "ROWS": 2, "WINDOWS": 4, "HELD_OUT": {"validation": 2, "test": 2}}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Everything in little, and a teacher that has read nothing."""
    config = GPTConfig(vocab_size=20, context=12, n_layers=1, n_heads=2, d_model=8)
    teacher = GPT(GPTConfig(49152, 12, 1, 2, 4))
    sizes = SIZES | {"CONFIG": config, "OTHER": 19, "SEEDS": range(1), "RATES": (1e-3, 3e-3)}
    for name, value in (sizes | {"TABLE": tmp_path / recipe.TABLE.name}).items():
        monkeypatch.setattr(recipe, name, value)
    monkeypatch.setattr(recipe.pretrained, "load", lambda name: teacher)
    cached = recipe.windows, recipe.kept, recipe.taught
    for function in cached:
        function.cache_clear()
    yield teacher
    for function in cached:
        function.cache_clear()


def test_what_is_not_kept_is_one_token_with_the_rest_of_the_teachers_probability(small):
    ids = recipe.windows()["play"]
    own, p = recipe.small(ids), small(ids[:, :-1]).softmax(-1)
    assert own.max() == recipe.OTHER and len(recipe.kept()) == recipe.OTHER
    kept = torch.tensor(recipe.kept())
    assert kept[own[own < recipe.OTHER]].equal(ids[own < recipe.OTHER])
    taught = recipe.taught("play")
    assert torch.allclose(taught.sum(-1), torch.ones(4, 12), atol=1e-3)
    assert torch.allclose(taught[..., :-1], p[..., kept], atol=1e-4)


def test_a_window_begins_where_the_one_before_ended_and_parts_share_no_target(small):
    parts = recipe.windows()
    held_out = torch.cat([parts["validation"], parts["test"]])
    assert held_out[1:, 0].equal(held_out[:-1, -1])
    assert len(parts["play"]) == recipe.WINDOWS and not torch.isin(held_out[0], parts["play"][0]).all()


def test_arms_read_the_same_windows_and_differ_in_what_they_learn(small, monkeypatch):
    seen = {}

    class Watched(recipe.Batches):
        def __init__(self, inputs, targets, seed):
            super().__init__(inputs, targets, seed)
            seen[now] = inputs, targets

    monkeypatch.setattr(recipe, "Batches", Watched)
    rows = {}
    for now in recipe.ARMS:
        rows[now] = recipe.run(now, 3e-2, 0, False)
    hard, smooth, soft = seen.values()
    assert hard[0].equal(smooth[0]) and hard[0].equal(soft[0])
    assert hard[1].equal(smooth[1]) and soft[1].equal(recipe.taught("play"))
    assert {row["flops"] for row in rows.values()} == {rows["hard labels"]["flops"]}
    assert len({row["validation_bits"] for row in rows.values()}) == 3
    assert not any(row["test_bits"] for row in rows.values())


def test_a_distribution_that_is_certain_is_a_hard_label():
    logits = torch.randn(2, 3, 5)
    targets = torch.randint(5, (2, 3))
    certain = torch.nn.functional.one_hot(targets, 5).float()
    losses = [recipe.loss_of()(lambda _: logits, (None, t), None)[0] for t in (targets, certain)]
    assert torch.allclose(*losses)


def test_a_run_that_was_broken_off_goes_on(small, tmp_path, monkeypatch):
    recipe.main(tmp_path)
    whole = recipe.TABLE.read_bytes()
    monkeypatch.setattr(recipe, "run", lambda *_: pytest.fail("it ran again"))
    recipe.main(tmp_path)
    assert recipe.TABLE.read_bytes() == whole


def test_each_arm_ran_at_its_best_rate_and_the_table_says_what_the_chapter_says():
    rows = recording.read_table(recipe.TABLE)
    test = {}
    for arm in recipe.ARMS:
        own = [row for row in rows if row["arm"] == arm]
        swept, final = own[: len(recipe.RATES)], own[len(recipe.RATES) :]
        assert [float(row["learning_rate"]) for row in swept] == [*recipe.RATES]
        best = min(swept, key=lambda row: float(row["validation_bits"]))
        assert {row["learning_rate"] for row in final} == {best["learning_rate"]}
        assert [row["seed"] for row in final] == [*map(str, recipe.SEEDS)]
        test[arm] = [float(row["test_bits"]) for row in final]
    hard, smooth, soft = test.values()
    assert max(soft) < min(hard) - 0.05 and min(smooth) > min(hard)
    assert len({row["flops"] for row in rows[1:]}) == 1
    assert float(rows[0]["flops"]) > 10 * float(rows[1]["flops"])
