"""The masked model and the GPT differ in what they see and are asked alone, and the same bytes are scored."""

import math
import shutil
from pathlib import Path

import pytest
import torch

from course_utils.bert.diffusion import bound
from course_utils.training import checkpoints
from course_utils.training.batches import Windows
from course_utils.weights import diffusion_recipe as recipe
from course_utils.weights import gpt_recipe, recording


def test_both_begin_with_the_same_weights_and_cost_the_same():
    gpt, masked = recipe.build("next byte", 3), recipe.build("masked", 3)
    for part, weights in gpt.named_parameters():
        twin = masked.get_parameter(part.replace("decoder", "encoder"))
        assert twin[: len(weights)].equal(weights)
    extra = recipe.SHAPE.d_model  # the embedding of the mask
    assert recording.n_parameters(masked) == recording.n_parameters(gpt) + extra
    assert gpt_recipe.flops_per_token(masked) == gpt_recipe.flops_per_token(gpt) + 6 * extra


def test_each_byte_is_in_a_second_half_once():
    windows = recipe.windows("validation")
    assert windows[:-1, recipe.HALF :].equal(windows[1:, : recipe.HALF])


def test_both_score_the_second_halves():
    ids = torch.arange(200) % 7
    windows = ids.unfold(0, recipe.SHAPE.context, recipe.HALF)
    gpt, masked = recipe.build("next byte").eval(), recipe.build("masked").eval()
    with torch.no_grad():
        costs = [
            -gpt(row[None, :i])[0, -1].log_softmax(0)[row[i]] / math.log(2)
            for row in windows
            for i in range(recipe.HALF, len(row))
        ]
        assert abs(recipe.next_bytes(gpt, windows).bits - torch.stack(costs).mean()) < 1e-4
        found = recipe.masked_bytes(masked, windows)
        whole = bound(masked, windows.flatten(), recipe.HALF, draws=50)
    assert abs(found.bits - whole.bits) < 0.3 and found.error > 0


def test_a_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "RATES", (0.01,))
    monkeypatch.setattr(recipe, "FEW_RATES", (0.01,))
    monkeypatch.setattr(recipe, "SEEDS", (0,))
    runs = []
    for name in ("run", "reread"):
        monkeypatch.setattr(recipe, name, lambda *known: runs.append(known) or {"twelfth_night": "3.0"})
    for record, n_rows in ((recipe.record, 4), (recipe.record_repeats, 12)):
        runs.clear()
        table = recording.Table(tmp_path / f"{record.__name__}.csv")
        record(table)
        assert len(runs) == len(table.rows) == n_rows
        record(recording.Table(table.path))
        assert len(runs) == n_rows


def test_few_bytes_are_read_as_often_as_it_says(monkeypatch):
    read = []

    def windows(tokens, *cut):
        read.append(len(tokens))
        return Windows(tokens, *cut)

    monkeypatch.setattr(recipe, "Windows", windows)
    monkeypatch.setattr(recipe, "FEW", 4096)
    monkeypatch.setattr(recipe, "windows", lambda part: torch.zeros(1, recipe.SHAPE.context).long())
    row = recipe.reread("masked", 2, 0.01, 0)
    assert (read, row["steps"], row["bytes"]) == ([4096], 4, 2 * 4096)


def test_all_that_the_recipe_runs_is_in_its_tables(tmp_path, monkeypatch):
    for name in ("run", "reread"):
        monkeypatch.setattr(recipe, name, lambda *known: pytest.fail(f"{known} is not there"))
    for record, path, rates, amounts in (
        (recipe.record, recipe.TABLE, recipe.RATES, 1),
        (recipe.record_repeats, recipe.REPEATS, recipe.FEW_RATES, len(recipe.READINGS)),
    ):
        table = recording.Table(Path(shutil.copy(path, tmp_path)))
        record(table)
        assert len(table.rows) == len(recipe.MODELS) * amounts * (len(rates) + len(recipe.SEEDS))


def test_the_shipped_weights_are_those_of_the_table():
    _, notes = checkpoints.load(recipe.WEIGHTS)
    name, rate, seed = recipe.SHIPPED
    known = {"model": name, "learning_rate": str(rate), "seed": str(seed), "steps": str(recipe.STEPS)}
    (row,) = (row for row in recording.read_table(recipe.TABLE) if known.items() <= row.items())
    same = [name for name in row if name in notes and name != "seconds"]
    assert [str(notes[name]) for name in same] == [row[name] for name in same] and "twelfth_night" in same
    with torch.no_grad():
        part = recipe.masked_bytes(recipe.load(), recipe.windows("validation")[::16])
    assert part.bits == pytest.approx(float(row["twelfth_night"]), abs=0.02)
