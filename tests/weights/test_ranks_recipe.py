"""Rank against learning rate: what trains in each arm, that a run goes on, and what the table says."""

import pytest

from course_utils.finetuning.lora import lora_layers
from course_utils.weights import ranks_recipe as recipe
from course_utils.weights import recording

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def small(monkeypatch, tmp_path):
    sizes = {"STEPS": 2, "SHORT": 1, "PROBLEMS": {"train": 20, "validation": 4}, "ROWS": 4}
    sizes |= {"SEEDS": range(1), "RATES": (1e-3,), "TABLE": tmp_path / "ranks.csv"}
    for name, value in sizes.items():
        monkeypatch.setattr(recipe, name, value)


def test_each_arm_trains_what_it_says_and_a_second_start_runs_nothing_again(small, monkeypatch, tmp_path):
    models, train = {}, recipe.train

    def seen(model, *rest, **options):
        layers = dict(lora_layers(model))
        models[len(models)] = {(layer.rank, layer.alpha) for layer in layers.values()}, len(layers)
        return train(model, *rest, **options)

    monkeypatch.setattr(recipe, "train", seen)
    recipe.main(tmp_path)
    first = recipe.TABLE.read_bytes()
    n = recipe.rlvr_recipe.CONFIG.n_layers
    assert [*models.values()] == [
        (set(), 0),
        ({(1, recipe.ALPHA)}, 7 * n),
        ({(16, recipe.ALPHA)}, 7 * n),
        ({(16, recipe.ALPHA)}, 4 * n),
    ]
    recipe.main(tmp_path)
    assert len(models) == len(recipe.ARMS) and recipe.TABLE.read_bytes() == first


def test_no_held_out_problem_is_trained_on():
    prompts = [{p.prompt for p in recipe.TASK.problems(part, n)} for part, n in recipe.PROBLEMS.items()]
    assert not prompts[0] & prompts[1] and len(prompts[1]) > 190


def test_the_table_has_every_run_and_what_the_chapter_says():
    rows = recording.read_table(recipe.TABLE)
    keys = [(row["arm"], float(row["learning_rate"]), int(row["seed"])) for row in rows]
    assert keys == [
        (arm, rate, seed) for arm in recipe.ARMS for rate in recipe.RATES for seed in recipe.SEEDS
    ]
    for column in ("bits_short", "bits"):
        means = {arm: {} for arm in recipe.ARMS}
        for row in rows:
            means[row["arm"]].setdefault(float(row["learning_rate"]), []).append(float(row[column]))
        means = {arm: {rate: sum(b) / len(b) for rate, b in at.items()} for arm, at in means.items()}
        best = {arm: min(at, key=at.get) for arm, at in means.items()}
        assert best == dict.fromkeys(recipe.ARMS, 3e-3) | {"all weights": 1e-3}
        low = {arm: means[arm][best[arm]] for arm in recipe.ARMS}
        assert abs(low["rank 16"] - low["all weights"]) < 0.02 < low["rank 1"] - low["rank 16"]
        assert low["rank 16"] < low["rank 16, attention alone"] - 0.02
