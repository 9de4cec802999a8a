"""The recipes of GPT and what they ship; the runs themselves take minutes, their logs are shipped."""

import itertools
import math
import os
from dataclasses import asdict, replace

import pytest
import torch

from course_utils.data import corpora
from course_utils.gpt import GPT
from course_utils.measuring import scoreboard
from course_utils.training import Run
from course_utils.weights import gpt_recipe, recording

ON_THE_BOARD = {point.name: point for point in scoreboard.recorded()[0]}
FULL = pytest.mark.skipif(
    not os.environ.get("COURSE_FULL"), reason="minutes of computing; `course.py test --full` runs it"
)


def test_each_row_of_the_table_makes_one_change_and_the_last_is_the_live_recipe():
    """A faster learner gets fewer steps. What else must move with a change stands in the row's name."""
    schedule = {"warmup_steps", "final_share", "momentum", "precision"}  # mixed is none on that machine
    named = {"learning rate x 3": {"learning_rate"}, "rate x 2/3": {"learning_rate"}}
    named["with its schedule"] = {"learning_rate", *schedule}
    recipes = list(gpt_recipe.STEPS_TO_LIVE.items())
    assert recipes[0][1] is gpt_recipe.PLAIN and recipes[-1][1] is gpt_recipe.LIVE
    for (_, before), (name, after) in itertools.pairwise(recipes):
        one, other = (
            asdict(r.shape) | asdict(r.config) | {"rows": r.rows, "zero_start": r.zero_start}
            for r in (before, after)
        )
        changed = {key for key in one if one[key] != other[key]} - {"steps", "evaluate_every"}
        for words, keys in named.items():
            changed -= keys if words in name else set()
        assert len(changed) == 1, (name, changed)


def test_blocks_that_start_at_zero_hand_the_stream_on():
    recorded, live = gpt_recipe.build("recorded"), gpt_recipe.build("live")
    x, y = torch.randn(1, 5, 192), torch.randn(1, 5, 128)
    assert recorded.decoder.blocks[0](x).equal(x) and not live.decoder.blocks[0](y).equal(y)


def test_equal_seeds_build_equal_models_and_read_the_same_windows():
    one, other, third = (gpt_recipe.build("live", seed).embedding.weight for seed in (0, 0, 1))
    assert one.equal(other) and not one.equal(third)
    one, other, third = (gpt_recipe.windows("live", seed).next()[0] for seed in (0, 0, 1))
    assert (
        one.equal(other)
        and not one.equal(third)
        and one.shape == (gpt_recipe.LIVE.rows, gpt_recipe.LIVE.shape.context)
    )


def test_a_run_says_what_it_took():
    short = replace(gpt_recipe.LIVE, config=replace(gpt_recipe.LIVE.config, steps=2, warmup_steps=1))
    model, run = gpt_recipe.run(short, seed=1, evaluate=None)
    took = gpt_recipe.cost(model, run)
    assert took["bytes"] == 2 * short.rows * short.shape.context and took[
        "parameters"
    ] == recording.n_parameters(model)
    # 6 a weight that multiplies, and for each layer, position and number of a vector 12
    multiplying = recording.n_parameters(model) - recording.n_parameters(model.ngrams)
    assert took["flops"] == took["bytes"] * (6 * multiplying + 12 * 1 * 128 * 64)


def test_the_validation_loss_of_a_fresh_model_is_near_that_of_chance():
    model = GPT(replace(gpt_recipe.SMALL, n_layers=1))
    assert gpt_recipe.validation_bits(model) == pytest.approx(8, abs=0.1)
    assert gpt_recipe.validation_loss(model) == pytest.approx(8 * math.log(2), abs=0.1)


def test_the_shipped_weights_are_those_of_the_log_and_the_board():
    model, log, point = gpt_recipe.load(), recording.read_table(gpt_recipe.LOG), ON_THE_BOARD["GPT, recorded"]
    with torch.no_grad():
        bits = gpt_recipe.validation_bits(model)
    assert bits == pytest.approx(float(log[-1]["validation_bits"]), abs=0.002)  # they are rounded to 16 bits
    recipe = gpt_recipe.RECORDED
    assert int(log[-1]["bytes"]) == recipe.config.steps * recipe.rows * recipe.shape.context
    assert (point.parameters, point.train_bytes) == (recording.n_parameters(model), int(log[-1]["bytes"]))
    own = [p for p in ON_THE_BOARD.values() if p.has_read_test == "no"]
    assert point.bits_per_byte == min(p.bits_per_byte for p in own)


@FULL
def test_the_shipped_weights_score_what_the_board_says():
    bits = gpt_recipe.bits(gpt_recipe.load(), corpora.shakespeare().test)
    assert bits == pytest.approx(ON_THE_BOARD["GPT, recorded"].bits_per_byte, abs=0.001)


@FULL
def test_the_live_recipe_reaches_the_plain_ones_loss():
    _, run = gpt_recipe.run(gpt_recipe.LIVE, seed=3)
    plain = next(
        row for row in recording.read_table(gpt_recipe.ABLATION) if row["change"] == "the plain recipe"
    )
    assert run.evaluations[-1][2] * math.log(2) < float(plain["validation_nats"]) + 0.02


def test_the_table_of_changes_is_that_of_the_recipes():
    table = recording.read_table(gpt_recipe.ABLATION)
    assert list(dict.fromkeys(row["change"] for row in table)) == [
        *gpt_recipe.STEPS_TO_LIVE,
        *gpt_recipe.LEFT_OUT,
    ]
    recipes = gpt_recipe.STEPS_TO_LIVE | gpt_recipe.LEFT_OUT
    for row in table:
        recipe = recipes[row["change"]]
        assert int(row["steps"]) == recipe.config.steps
        assert int(row["bytes"]) == recipe.config.steps * recipe.rows * recipe.shape.context


def test_the_table_of_seeds_is_that_of_its_recipes():
    table, changes = recording.read_table(gpt_recipe.SEEDS), recording.read_table(gpt_recipe.ABLATION)
    assert [(int(row["seed"]), row["change"]) for row in table] == [
        (seed, change) for seed in range(5) for change, (_, n) in gpt_recipe.REPEATED.items() if seed < n
    ]
    for row in table:
        recipe, _ = gpt_recipe.REPEATED[row["change"]]
        assert int(row["steps"]) == recipe.config.steps
        assert int(row["bytes"]) == recipe.config.steps * recipe.rows * recipe.shape.context
    recorded = {row["change"]: float(row["validation_nats"]) for row in changes}
    first = {row["change"]: float(row["validation_nats"]) for row in table[:2]}  # the seed of the other table
    assert first["the live recipe"] == pytest.approx(recorded["one block for four"], abs=0.001)
    assert first["nothing read late"] == pytest.approx(recorded["nothing read late"], abs=0.001)


@pytest.mark.parametrize("name", ["ABLATION", "SEEDS"])
def test_ctrl_c_keeps_the_rows_that_are_done(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpt_recipe, name, tmp_path / "table.csv")
    runs = iter([Run([1.0], [[1, 0.1, 2.0]]), Run([1.0], stopped=True)])
    monkeypatch.setattr(gpt_recipe, "train", lambda *_, **__: next(runs))
    with pytest.raises(SystemExit, match="the same command goes on"):
        gpt_recipe.main(name.lower())
    (row,) = recording.read_table(tmp_path / "build" / "table.csv")
    assert row["validation_nats"] == f"{2 * math.log(2):.4f}" and not (tmp_path / "table.csv").exists()
