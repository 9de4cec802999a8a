"""The recorded copying of chapter 4: equal parameters, a whole log, and runs that it could have come from."""

import numpy as np

from course_utils.weights import copying_recipe, recording
from course_utils.weights.copying_recipe import LENGTHS, MODELS, STEPS


def test_neither_model_has_one_percent_more_parameters_than_the_other():
    counts = [recording.n_parameters(build()) for build in MODELS.values()]
    assert max(counts) <= 1.01 * min(counts)


def test_three_seeds_of_each_are_recorded_and_more_steps_copy_more():
    shares = copying_recipe.recorded()
    assert set(shares) == {(name, steps) for name in MODELS for steps in STEPS}
    for name in MODELS:
        few, many = (shares[name, steps] for steps in STEPS)
        assert few.shape == many.shape == (3, len(LENGTHS))
        assert (many.mean(1) > few.mean(1)).all()


def test_a_row_is_a_training_and_its_shares_by_length(monkeypatch):
    monkeypatch.setattr(copying_recipe, "greedy", lambda model, sources, batch_size: [*sources[:-1], [3]])
    row = copying_recipe.train_one("GRU", steps=1, seed=0, n_strings=100)
    shares = np.array([float(row[str(length)]) for length in LENGTHS])
    assert (row["model"], row["steps"], row["seed"]) == ("GRU", 1, 0)
    assert (shares == 1).sum() == len(LENGTHS) - 1 and 0.9 < shares.min() < 1  # one string was not copied


def test_a_log_that_lacks_a_run_goes_on_with_it(tmp_path, monkeypatch):
    rows = recording.read_table(copying_recipe.LOG)
    monkeypatch.setattr(copying_recipe, "LOG", tmp_path / "log.csv")
    recording.write_table(copying_recipe.LOG, rows[:-1])
    trained = []

    def train_one(*run):
        trained.append(run)
        return rows[-1]

    monkeypatch.setattr(copying_recipe, "train_one", train_one)
    copying_recipe.main()
    assert len(trained) == 1 and recording.read_table(copying_recipe.LOG) == rows
