"""The recorded comparison of chapters 4 and 5: parameters, a whole log, and weights that score as it says."""

import numpy as np
import pytest

from course_utils.data import cmudict
from course_utils.training import Run
from course_utils.weights import phonemes_recipe, recording
from course_utils.weights.phonemes_recipe import MODELS, build

EACH = pytest.mark.parametrize("name", MODELS)


def test_no_model_has_more_than_three_percent_more_parameters_than_another():
    counts = [recording.n_parameters(build(name)) for name in MODELS]
    assert max(counts) <= 1.03 * min(counts)


def test_equal_seeds_build_equal_models():
    one, other, third = (build("transformer", seed).source_embedding.weight for seed in (0, 0, 1))
    assert one.equal(other) and not one.equal(third)


@EACH
def test_three_seeds_are_recorded_from_start_to_end(name):
    steps = phonemes_recipe.SETTINGS[name][0]
    for seed in range(3):
        run = phonemes_recipe.recorded()[name, seed]
        assert run["step"].tolist() == list(range(500, steps + 1, 500))
        assert (np.diff(run["cpu_seconds"]) > 0).all() and run["error"][-1] < run["error"][0]
        assert phonemes_recipe.recorded("test")[name, seed]["step"].tolist() == [steps]


@EACH
def test_the_shipped_weights_score_what_the_log_says(name):
    listing = {word: ways for word, ways in cmudict.dictionary().test.items() if len(word) >= 10}
    error, same = phonemes_recipe.errors(phonemes_recipe.load(name), listing)
    logged = phonemes_recipe.recorded("test")[name, 0]["error_long"][0]
    assert error == same == pytest.approx(logged, abs=0.002)  # the weights are kept in 16 bits
    untrained, _ = phonemes_recipe.errors(build(name), listing)
    assert untrained > 0.8


def test_between_two_evaluations_lies_a_straight_line(monkeypatch, tmp_path):
    log = tmp_path / "log.csv"
    rows = ["m,0,9,500,10.0,validation,0.50,0.70", "m,0,9,1000,30.0,validation,0.30,0.40"]
    rows += ["m,0,9,1000,30.0,test,0.31,0.41", "m,1,9,500,20.0,validation,0.40,0.60"]
    columns = "model,seed,parameters,step,cpu_seconds,split,error,error_long"
    log.write_text("\n".join([columns, *rows]))
    monkeypatch.setattr(phonemes_recipe, "LOG", log)
    halfway, beyond = phonemes_recipe.errors_at("cpu_seconds", 20.0)["m"]
    assert (halfway, beyond) == pytest.approx((0.4, 0.4))
    halfway, beyond = phonemes_recipe.errors_at("step", 750, "error_long")["m"]
    assert halfway == pytest.approx(0.55) and np.isnan(beyond)


def test_ctrl_c_leaves_no_row(monkeypatch, tmp_path):
    monkeypatch.setattr(phonemes_recipe, "LOG", tmp_path / "phonemes_log.csv")
    monkeypatch.setattr(phonemes_recipe, "errors", lambda *_: (0.5, 0.5))

    def stopped(model, batches, config, loss, evaluate, report):
        evaluate(model)
        return Run([1.0], stopped=True)

    monkeypatch.setattr(phonemes_recipe, "train", stopped)
    with pytest.raises(SystemExit, match="the same command goes on"):
        phonemes_recipe.main()
    assert not any(tmp_path.iterdir())
