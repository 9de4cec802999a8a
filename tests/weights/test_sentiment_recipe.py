"""Sentiment: what each way trains and reads, and that the test is scored with the chosen setting alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.data.reviews import Review
from course_utils.weights import bert_recipe, recording
from course_utils.weights import sentiment_recipe as recipe

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = BertConfig(d_model=8, n_layers=3, n_heads=2, d_ff=16, max_positions=16)
GOOD, BAD = 2204, 2919  # a token of each mood


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """A tiny BERT, and reviews of 3 to 20 tokens whose mood is a token somewhere among others."""
    draws = np.random.default_rng(0)
    moods = {part: draws.random(40) < 0.5 for part in recipe.REVIEWS}
    texts = {}
    for part, positive in moods.items():
        texts[part] = [draws.integers(1000, 1020, size=draws.integers(3, 21)) for _ in positive]
        for text, good in zip(texts[part], positive, strict=True):
            text[draws.integers(min(len(text), 8))] = GOOD if good else BAD
    rows = {part: [Review("", bool(good), "") for good in positive] for part, positive in moods.items()}
    monkeypatch.setattr(recipe, "reviews", lambda: SimpleNamespace(**rows))
    monkeypatch.setattr(bert_recipe, "encoded", texts.__getitem__)
    monkeypatch.setattr(bert_recipe, "MINILM", SHAPE)
    monkeypatch.setattr(bert_recipe, "load", lambda: BertForMaskedLM(SHAPE).eval())
    monkeypatch.setattr(recipe, "REVIEWS", {"train": 30, "validation": 40, "test": 40})
    monkeypatch.setattr(recipe, "READS", 12)
    monkeypatch.setattr(recipe, "BATCH", 64)
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "sentiment.csv")
    for kept in (recipe.sample, recipe._held_out_vectors):
        kept.cache_clear()
    yield
    for kept in (recipe.sample, recipe._held_out_vectors):
        kept.cache_clear()


def test_what_each_way_trains():
    trained = {
        way: {name for name, p in recipe.reader(way, 0).named_parameters() if p.requires_grad}
        for way in recipe.TUNED
    }
    every = {name for name, _ in recipe.reader("whole body", 0).named_parameters()}
    assert trained["whole body"] == every
    upper = ("bert.encoder.blocks.1.", "bert.encoder.blocks.2.", "classifier.")
    assert trained["last two layers"] == {name for name in every if name.startswith(upper)}


def test_the_frozen_layers_stay_and_the_others_move(monkeypatch):
    models, build = [], recipe.reader
    monkeypatch.setattr(recipe, "reader", lambda *run: models.append(build(*run)) or models[-1])
    before = None
    torch.manual_seed(0)
    body = BertForMaskedLM(SHAPE)
    monkeypatch.setattr(bert_recipe, "load", lambda: body)
    before = {name: p.clone() for name, p in body.bert.named_parameters()}
    recipe.tuned("last two layers", 1e-2, 0)
    moved = {name for name, p in models[0].bert.named_parameters() if not p.equal(before[name])}
    assert {name.split(".")[2] for name in moved} == {"1", "2"}


def test_a_seed_draws_the_reviews_and_all_ways_read_the_same():
    one, again, other = (recipe.sample("train", seed)[0] for seed in (0, 0, 1))
    assert len(one) == 30 and all(map(np.array_equal, one, again))
    assert not all(map(np.array_equal, one, other))
    assert max(map(len, recipe.read("train"))) == recipe.READS - 2 < max(map(len, one))


def test_a_bag_of_words_finds_the_mood_that_stands_in_a_word():
    row = recipe.bag_of_words("bag of words", 0)
    assert float(row["validation"]) > 0.95 and float(row["test"]) > 0.95
    texts = recipe.read("train")
    counts = np.bincount(np.concatenate([np.unique(text) for text in texts]))
    assert row["trained"] == (counts > 1).sum() + 1


def test_three_seeds_of_each_way_and_no_look_at_the_test_before_the_choice(monkeypatch):
    scored, share_right = [], recipe.share_right
    monkeypatch.setattr(
        recipe, "share_right", lambda model, part: scored.append(part) or share_right(model, part)
    )
    recipe.main(recipe.TABLE.parent / "build")
    table = recording.read_table(recipe.TABLE)
    final = [row for row in table if row["test"]]
    ways = [*recipe.BAGS, *recipe.BODIES, *recipe.TUNED]
    assert [(row["way"], row["seed"]) for row in final] == [(way, seed) for way in ways for seed in "012"]
    for way in recipe.TUNED:
        swept = [row for row in table if row["way"] == way and not row["test"]]
        assert [float(row["learning_rate"]) for row in swept] == [*recipe.RATES]
        best = max(swept, key=lambda row: float(row["validation"]))["learning_rate"]
        assert {row["learning_rate"] for row in final if row["way"] == way} == {best}
    assert scored == 2 * (3 * ["validation"] + 3 * ["validation", "test"])
    recipe.main(recipe.TABLE.parent / "build")
    assert len(scored) == 18 and recording.read_table(recipe.TABLE) == table


def test_ctrl_c_leaves_no_row(monkeypatch):
    monkeypatch.setattr(recipe, "train", lambda *run, loss: SimpleNamespace(stopped=True))
    with pytest.raises(SystemExit, match="the same command goes on"):
        recipe.main(recipe.TABLE.parent / "build")
    kept = recording.read_table(recipe.TABLE.parent / "build" / recipe.TABLE.name)
    assert {row["way"] for row in kept} == {*recipe.BAGS, *recipe.BODIES} and not recipe.TABLE.exists()
