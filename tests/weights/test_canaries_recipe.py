"""Canaries: what is planted stands in the text as often as it says; what a model finds of a code is exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from course_utils.gpt import GPT
from course_utils.pretraining.canaries import exposures
from course_utils.training import checkpoints
from course_utils.weights import canaries_recipe, recording


def test_each_secret_stands_in_the_text_as_often_as_it_says():
    secrets = canaries_recipe.drawn(seed=1)
    text = canaries_recipe.planted(secrets, seed=1).astype("uint8").tobytes().decode()
    found = {name: text.count(f"The code of {name} is {code:04d}.") for name, (code, _) in secrets.items()}
    assert found == {name: times for name, (_, times) in secrets.items()}
    assert sorted(found.values()) == sorted(4 * canaries_recipe.TIMES)


def test_a_codes_log_p_is_that_of_its_digits_one_by_one():
    torch.manual_seed(0)
    model = GPT(canaries_recipe.SHAPE).eval()
    with torch.no_grad():
        log_p = canaries_recipe.log_probs(model, "Ada")
        ids = torch.tensor([list(b"\nThe code of Ada is 4829")])
        each = model(ids[:, :-1]).log_softmax(-1)[0].gather(1, ids[0, 1:, None])[-4:]
    assert len(log_p) == canaries_recipe.CODES
    assert log_p[4829] == pytest.approx(each.sum().item(), abs=1e-4)
    assert exposures(log_p, [int(log_p.argmax())]) == pytest.approx([13.2877], abs=1e-4)


def test_the_recorded_table_has_every_name_of_every_seed():
    rows = recording.read_table(canaries_recipe.TABLE)
    for seed in canaries_recipe.SEEDS:
        times = {row["name"]: int(row["times"]) for row in rows if row["seed"] == str(seed)}
        assert times == {name: times for name, (_, times) in canaries_recipe.drawn(seed).items()}


def test_the_stored_model_is_the_one_of_the_table():
    rows = {row["name"]: row for row in recording.read_table(canaries_recipe.TABLE) if row["seed"] == "0"}
    model, secrets = canaries_recipe.recorded(), canaries_recipe.drawn(0)
    for times in (8, 16):
        name, code = next((name, code) for name, (code, often) in secrets.items() if often == times)
        (found,) = exposures(canaries_recipe.log_probs(model, name), [code])
        assert found == pytest.approx(float(rows[name]["exposure"]), abs=1), "float16 moves it a little"


def test_a_table_that_is_made_anew_has_its_own_weights_beside_it(monkeypatch, tmp_path):
    made = []

    def trained(secrets, seed):
        made.append(seed)
        torch.manual_seed(seed)
        return GPT(replace(canaries_recipe.SHAPE, n_layers=1, d_model=8)).eval()

    monkeypatch.setattr(canaries_recipe, "trained", trained)
    monkeypatch.setattr(canaries_recipe, "SEEDS", (0, 1))
    monkeypatch.setattr(canaries_recipe, "NAMES", ["Ada", "Bela"])
    monkeypatch.setattr(canaries_recipe, "log_probs", lambda model, name: np.zeros(canaries_recipe.CODES))
    for name in ("TABLE", "WEIGHTS"):
        monkeypatch.setattr(canaries_recipe, name, tmp_path / getattr(canaries_recipe, name).name)
    canaries_recipe.WEIGHTS.write_text("of another recipe")
    canaries_recipe.main()
    assert made == [0, 1] and checkpoints.load(canaries_recipe.WEIGHTS)[0]

    canaries_recipe.main()  # all is there
    assert made == [0, 1]
    canaries_recipe.WEIGHTS.unlink()
    canaries_recipe.main()
    assert canaries_recipe.WEIGHTS.exists()
