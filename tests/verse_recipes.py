"""A few short verses in the place of the Bibles, a tiny shape, and what every table of a sweep holds."""

from types import SimpleNamespace

import numpy as np

from course_utils.data.verses import Verse
from course_utils.seq2seq import T5Config
from course_utils.weights import architectures_recipe as recipe

WORDS = ["thou", "art", "the", "light", "of", "a", "great", "city", "and", "he", "spake", "unto", "them"]
SHAPE = T5Config(recipe.SHAPE.vocab_size, 16, 2, 2, 24, 8, marks=recipe.MARKS)


def some_verses(n, seed):
    draws = np.random.default_rng(seed)
    texts = [" ".join(draws.choice(WORDS, size)) for size in draws.integers(3, 12, n)]
    return [Verse("Book", 1, i, text.upper(), text) for i, text in enumerate(texts)]


def make_small(monkeypatch):
    """Forty verses to train on, one of them too long, and few to be scored."""
    parts = {"train": some_verses(40, 0), "validation": some_verses(9, 1), "test": some_verses(11, 2)}
    parts["train"][5] = parts["train"][5]._replace(old=" ".join(WORDS * 6).upper())
    monkeypatch.setattr(recipe, "verses", lambda: SimpleNamespace(**parts))
    monkeypatch.setattr(recipe, "SHAPE", SHAPE)
    monkeypatch.setattr(recipe, "CONFIG", recipe.replace(recipe.CONFIG, warmup_steps=1))
    forget()


def forget():
    for kept in (recipe.encoded, recipe.tokenizer):
        kept.cache_clear()


def holds_what_was_asked(table, ways, rates, column):
    """Three seeds a way at its best rate by validation; equal FLOPs; no test score before that choice."""
    flops = [float(row["flops"]) for row in table]
    assert max(flops) < 1.02 * min(flops)
    for way in ways:
        rows = [row for row in table if row[column] == way]
        swept, final = [row for row in rows if row["seed"] == "10"], [r for r in rows if r["seed"] != "10"]
        assert sorted(float(row["learning_rate"]) for row in swept) == [*rates]
        assert not any(row["test_bits"] for row in swept) and all(row["test_bits"] for row in final)
        best = min(swept, key=lambda row: float(row["validation_bits"]))["learning_rate"]
        assert [(row["seed"], row["learning_rate"]) for row in final] == [(seed, best) for seed in "012"]
