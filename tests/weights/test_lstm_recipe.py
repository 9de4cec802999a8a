"""The recipes of chapter 2 and what they ship; the runs themselves take minutes, their logs are shipped."""

import os
from dataclasses import replace

import pytest

from course_utils.data import corpora
from course_utils.measuring import scoreboard
from course_utils.training import recurrent_loss, train
from course_utils.weights import lstm_recipe, recording

ON_THE_BOARD = {point.name: point for point in scoreboard.recorded()[0]}


def test_the_live_model_is_small_enough_to_train_in_a_lesson():
    model = lstm_recipe.build("live")
    assert recording.n_parameters(model) <= 360_000


@pytest.mark.skipif(
    not os.environ.get("COURSE_FULL"), reason="half a minute of training; `course.py test --full` runs it"
)
def test_the_live_model_goes_below_the_4_gram():
    model, config = lstm_recipe.build("live"), lstm_recipe.RECIPES["live"].config
    train(model, lstm_recipe.streams("live"), config, loss=recurrent_loss)
    bits = lstm_recipe.bits(model, corpora.shakespeare().test, rows=64)
    assert bits < ON_THE_BOARD["4-gram"].bits_per_byte
    assert bits == pytest.approx(ON_THE_BOARD["LSTM, live"].bits_per_byte, abs=0.05)


@pytest.mark.usefixtures("one_thread")  # a second one only waits where a text is read byte by byte
def test_the_shipped_weights_score_what_the_board_says():
    point, model = ON_THE_BOARD["LSTM, recorded"], lstm_recipe.load()
    bits = lstm_recipe.bits(model, corpora.shakespeare().test)
    assert bits == pytest.approx(point.bits_per_byte, abs=0.001)
    assert bits < min(p.bits_per_byte for p in ON_THE_BOARD.values() if p.family == "n-gram")
    assert point.parameters == recording.n_parameters(model)


def test_other_weights_would_not_score_that():
    assert lstm_recipe.bits(lstm_recipe.build("recorded"), corpora.shakespeare().test[:2_000]) > 5


@pytest.fixture
def few_plays(monkeypatch):
    """Three plays to train on: byte-pair encoding learns from all of 36 in seconds."""
    corpus = corpora.shakespeare()
    few = replace(corpus, train=dict(list(corpus.train.items())[:3]))
    monkeypatch.setattr(corpora, "shakespeare", lambda: few)
    lstm_recipe.tokenizer.cache_clear()
    yield few
    lstm_recipe.tokenizer.cache_clear()


def test_a_run_says_what_it_took_and_what_it_scores(few_plays, monkeypatch):
    short = replace(lstm_recipe.RECIPES["bpe"], config=replace(lstm_recipe.LIVE, steps=2, warmup_steps=1))
    monkeypatch.setitem(lstm_recipe.RECIPES, "bpe", short)
    monkeypatch.setattr(lstm_recipe, "bits", lambda model, text, rows=1: len(text) / rows)
    run = lstm_recipe.train_once("bpe", seed=3)
    assert (run["name"], run["seed"], run[corpora.TEST]) == ("bpe", 3, len(few_plays.test))
    assert run[corpora.VALIDATION] == pytest.approx(len(few_plays.validation) / 64, abs=1e-4)
    assert (
        1.8 < run["bytes"] / (2 * short.rows * short.chunk) < 2.0
    )  # what a token of this vocabulary stands for


def test_the_runs_of_three_seeds_are_those_of_the_recipes():
    runs = recording.read_table(lstm_recipe.SEEDS)
    compared = [name for name in lstm_recipe.RECIPES if name != "recorded"]
    assert [(run["name"], run["seed"]) for run in runs] == [(n, s) for n in compared for s in "012"]
    for run in runs:
        model = lstm_recipe.build(run["name"])
        assert int(run["parameters"]) == recording.n_parameters(model)
        recipe = lstm_recipe.RECIPES[run["name"]]
        tokens = recipe.rows * recipe.chunk * recipe.config.steps
        assert float(run["flops"]) == lstm_recipe.train_flops(model, tokens)


def test_equal_seeds_build_equal_models():
    one, other, third = (lstm_recipe.build("live", seed).head.weight for seed in (0, 0, 1))
    assert one.equal(other) and not one.equal(third)


@pytest.mark.parametrize("name", lstm_recipe.RECIPES)
def test_a_recipe_reads_the_training_plays_in_streams(name, few_plays):
    recipe = lstm_recipe.RECIPES[name]
    inputs, targets = lstm_recipe.streams(name).next()
    assert inputs.shape == (recipe.rows, recipe.chunk) and inputs[:, 1:].equal(targets[:, :-1])
