"""The recorded detector of chapter 9: whose texts are in it, what is summed, and lists read again."""

import numpy as np
import pytest
import torch

from course_utils import pretrained
from course_utils.weights import detector_recipe
from course_utils.weights.detector_recipe import LENGTH, LISTS, START, TEXTS, WAYS


def test_fifty_texts_of_each_kind_and_every_list_are_recorded():
    found = detector_recipe.recorded()
    assert {kind: len(rows) for kind, rows in found.items()} == {
        kind: TEXTS for kind in ("Twelfth Night", "Luke, 1769", "film reviews", *WAYS)
    } | {"lists": len(LISTS.splitlines())}
    assert all((rows > 0).all() for rows in found.values())
    assert all((rows[:, 0] == LENGTH).all() for kind, rows in found.items() if kind != "lists")


def test_draws_of_the_model_are_as_dear_as_it_expects():
    found = detector_recipe.recorded()
    rows = np.concatenate([rows for kind, rows in found.items() if kind.startswith("drawn")])
    score = (rows[:, 1] - rows[:, 2]) / np.sqrt(rows[:, 3])
    assert len(rows) == 3 * TEXTS and abs(score.mean()) < 3 / len(rows) ** 0.5  # its variance is 1


def test_surprise_entropy_and_variance_are_those_of_the_distributions():
    logits = torch.randn(1, 5, 7, generator=torch.Generator().manual_seed(0))
    ids = [3, 1, 4, 1, 5]
    p = logits[0].double().softmax(-1).numpy()[1:4]  # before the tokens at 2, 3 and 4
    bits = -np.log2(p)
    expected = {
        "surprise": bits[range(3), ids[2:]].sum(),
        "entropy": (p * bits).sum(),
        "variance": (p * (bits - (p * bits).sum(1, keepdims=True)) ** 2).sum(),
    }
    found = detector_recipe.sums(lambda ids, last: logits[:, -last:], ids, start=2)
    assert found.pop("tokens") == 3
    assert {name: float(x) for name, x in found.items()} == pytest.approx(expected, abs=0.006)


def test_lists_and_a_review_cost_what_is_recorded():
    model, tokenizer = pretrained.load("smollm2-135m"), pretrained.smollm2_tokenizer()
    recorded = detector_recipe.recorded()
    texts = [(tokenizer.encode("\n" + line).ids, 1) for line in LISTS.splitlines()[:3]]
    texts.append((detector_recipe.film_reviews(lambda text: tokenizer.encode(text).ids)[0], START))
    rows = [*recorded["lists"][:3], recorded["film reviews"][0]]
    for (ids, start), row in zip(texts, rows, strict=True):
        sums = detector_recipe.sums(model, ids, start)
        assert [float(x) for x in sums.values()] == pytest.approx(row.tolist(), rel=0.01)
