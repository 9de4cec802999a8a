"""Span corruption before the pairs, or not: both at the best of the same rates, and what the table says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils.seq2seq.flops import encoder_decoder_flops
from course_utils.weights import recording, verses_recipe
from course_utils.weights import span_first_recipe as recipe

COLUMNS = "validation_nats", *recipe.NOT_SCORED
pytestmark = pytest.mark.usefixtures("one_thread")


def rows(arm):
    return [row for row in recording.read_table(recipe.TABLE) if row["arm"] == arm]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_has_its_best_rate_of_the_same_ones(arm):
    swept, final = rows(arm)[: len(recipe.RATES)], rows(arm)[len(recipe.RATES) :]
    assert {row["seed"] for row in swept} == {str(recipe.SWEEP_SEED)}
    assert [float(row["learning_rate"]) for row in swept] == [*recipe.RATES]
    assert not any(row[name] for row in swept for name in recipe.NOT_SCORED)  # chosen before it is scored
    best = min(swept, key=lambda row: float(row["validation_nats"]))["learning_rate"]
    assert float(best) not in (min(recipe.RATES), max(recipe.RATES))
    assert [(row["seed"], row["learning_rate"]) for row in final] == [(str(s), best) for s in recipe.SEEDS]
    assert all(row[name] for row in final for name in recipe.NOT_SCORED)


def test_the_recorded_costs_are_those_of_the_stages():
    """As the log has them, of which a test of its own counts some again."""
    last = {row["stage"]: row for row in recording.read_table(verses_recipe.LOG)}
    for arm, stages in {"same steps": ["same steps"], "pretrained": ["free text", "pretrained"]}.items():
        for row in rows(arm):
            assert int(row["steps"]) == sum(int(last[name]["step"]) for name in stages)
            flops = sum(float(last[name]["flops"]) for name in stages)
            assert float(row["flops"]) == pytest.approx(flops, rel=0.005)


def test_a_step_costs_what_its_pairs_cost(monkeypatch):
    """Of a stand-in's single batch, as every pair's tokens say; what is padded costs nothing."""
    pad, shape = verses_recipe.PAD, verses_recipe.SHAPE
    lengths, target = torch.tensor([3, 9]), torch.tensor([[pad, 7, 8, pad], [pad, 7, 8, 9]])
    stand_in = SimpleNamespace(next=lambda: (None, lengths, target))
    monkeypatch.setattr(verses_recipe, "read_in", lambda stage, seed: stand_in)
    tokens, flops = verses_recipe.a_step.__wrapped__("same steps")
    size = {"n_layers": 3, "d_model": 256, "d_ff": 512, "vocab_size": shape.vocab_size}
    assert tokens == 3 + 9 + 2 + 3
    assert flops == 3 * (encoder_decoder_flops(3, 2, **size) + encoder_decoder_flops(9, 3, **size))


def test_only_final_runs_are_scored(monkeypatch, tmp_path):
    trained = []

    def run(arm, seed, rate):
        trained.append((arm, seed, rate))
        done = SimpleNamespace(step=5, evaluations=[[5, 1.0, abs(rate - 0.007)]])
        return SimpleNamespace(eval=lambda: arm), {arm: done}

    monkeypatch.setattr(recipe, "TABLE", tmp_path / "span_first.csv")
    monkeypatch.setattr(verses_recipe, "run", run)
    monkeypatch.setattr(verses_recipe, "a_step", lambda stage: (2.0, 3.0))
    monkeypatch.setattr(recipe, "scores", lambda arm: dict.fromkeys(recipe.NOT_SCORED, arm))
    recipe.main(tmp_path / "build")
    assert len(trained) == 2 * (len(recipe.RATES) + len(recipe.SEEDS))
    for arm in recipe.ARMS:
        final = [row for row in rows(arm) if row["chrf_old"]]
        assert [row["learning_rate"] for row in final] == ["0.007"] * 3
        assert {(row["tokens"], row["flops"], row["test_nats"]) for row in final} == {("10", "15", arm)}


def test_what_the_chapter_says_of_the_table():
    """At low rates span corruption before the pairs helps; each at its best, it is behind by 0.2 nats, and
    level in chrF from old to new."""
    found = {
        arm: {name: [float(row[name]) for row in rows(arm) if row[name]] for name in COLUMNS}
        for arm in recipe.ARMS
    }
    plain, first = found["same steps"], found["pretrained"]
    ahead = (
        np.array(first["validation_nats"][: len(recipe.RATES)])
        < plain["validation_nats"][: len(recipe.RATES)]
    )
    assert [*ahead] == [rate <= 0.007 for rate in recipe.RATES]
    assert min(first["test_nats"]) - max(plain["test_nats"]) == pytest.approx(0.2, abs=0.005)
    assert (
        min(plain["chrf_modern"])
        < min(first["chrf_modern"])
        < max(first["chrf_modern"])
        < max(plain["chrf_modern"])
    )
