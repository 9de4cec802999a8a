"""The meaning map without a browser: the map, the sentence, what crosses, the picture, and bad input."""

import json

import numpy as np
import pytest

from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.meaning_map import MAX_OCCURRENCES, SCALES, MeaningMap

RIVER, MONEY = "by the bank we swam", "a bank lends"
PLACES = [(RIVER, 7, 11)] * 4 + [(MONEY, 2, 6)] * 3
LABELS = ["river"] * 4 + ["money"] * 3


def two_layers(n=7, width=5):
    """In the first layer nothing tells the senses apart, in the second the first number does."""
    vectors = np.random.default_rng(0).normal(size=(2, n, width))
    vectors[:, :, 1] += 6
    vectors[1, :, 0] += np.where(np.arange(n) < 4, 6, -6)
    return vectors


@pytest.fixture
def meanings():
    return MeaningMap(two_layers(), PLACES, LABELS)


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


def points(widget):
    return np.frombuffer(widget.fixed["map"], dtype=np.float32).reshape(2, -1, 2)


def test_the_sentence_says_accuracy_and_chance_and_is_the_repr_and_the_plain_text(meanings):
    answer(meanings, chosen=5)
    assert meanings.describe().startswith(
        "Layer 1 of 1: for 100.0 % of 7 occurrences the nearest neighbour has the same label (chance: 57.1 % "
        "by the commoner label, 4"
    )
    assert "Chosen: “a bank lends”, “money”; its nearest is “a bank lends”, “money” (cosine 0." in repr(
        meanings
    )
    bundle = meanings._repr_mimebundle_()
    assert repr(meanings) == bundle["text/plain"] == meanings.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == meanings.model_id
    answer(meanings, layer=0)
    assert "for 100.0 %" not in meanings.describe()


def test_the_map_is_the_plane_of_the_largest_variance(meanings):
    for layer, vectors in enumerate(two_layers()):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        values, axes = np.linalg.eigh(np.cov(unit.T, bias=True))
        expected = (unit - unit.mean(0)) @ axes[:, [-1, -2]]
        np.testing.assert_allclose(np.abs(points(meanings)[layer]), np.abs(expected), atol=1e-6)
        np.testing.assert_allclose(meanings.fixed["shares"][layer], values[[-1, -2]] / values.sum())


def test_an_axis_keeps_its_direction_from_layer_to_layer():
    vectors = two_layers()
    turned = MeaningMap(np.stack([vectors[1], vectors[1] * [-1, 1, 1, 1, 1]]), PLACES)
    first, second = points(turned)
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_neighbours_are_those_of_all_dimensions(meanings):
    for layer, vectors in enumerate(two_layers()):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        distances = np.linalg.norm(unit[:, None] - unit, axis=2) + 9 * np.eye(7)
        assert [row[0] for row in meanings.fixed["others"][layer]] == distances.argmin(1).tolist()


def test_without_labels_no_accuracy_is_told():
    bare = MeaningMap(two_layers(), PLACES)
    assert bare.describe().startswith("Layer 1 of 1: 7 occurrences; the two axes hold") and bare.png()
    assert bare.fixed["together"] == [] and "“”" not in bare.describe()


def test_vectors_that_coincide_are_one_point():
    same = MeaningMap(np.ones((1, 4, 1)), PLACES[:4], ["a", "b", "a", "b"])
    assert "hold 0.0 % of the variance" in same.describe() and same.png()
    assert (np.frombuffer(same.fixed["map"], dtype=np.float32) == 0).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"vectors": np.ones((7, 5))}, r"shape \(layers, occurrences, width\).*got \(7, 5\)"),
        ({"vectors": np.ones((2, 2, 5))}, r"3 to 120 occurrences; got \(2, 2, 5\)"),
        ({"vectors": np.ones((2, MAX_OCCURRENCES + 1, 5))}, "3 to 120 occurrences"),
        ({"vectors": np.ones((0, 7, 5))}, r"got \(0, 7, 5\)"),
        ({"vectors": np.zeros((2, 7, 5))}, "finite vectors with a direction"),
        ({"vectors": np.full((2, 7, 5), np.nan)}, "finite vectors with a direction"),
        ({"places": PLACES[:6]}, "its place and its label; got 6 places and 7 labels"),
        ({"labels": LABELS[:3]}, "got 7 places and 3 labels"),
        ({"labels": list("abcdefg")}, "up to 6 labels can be told apart; got 7"),
        ({"places": [*PLACES[:6], (MONEY, 2, 99)]}, "sentence of 12 characters; got 2 and 99"),
        ({"places": [*PLACES[:6], (MONEY, 3, 3)]}, "got 3 and 3"),
        ({"layer": 2}, "layer is a whole number from 0 to 1; got 2"),
    ],
)
def test_input_that_can_not_be_shown(change, message):
    with pytest.raises(ValueError, match=message):
        MeaningMap(**{"vectors": two_layers(), "places": PLACES, "labels": LABELS} | change)


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"layer": 2}, "layer is a whole number from 0 to 1; got 2"),
        ({"chosen": 7}, "chosen is a whole number from 0 to 6; got 7"),
        ({"scale": "mine"}, "scale is one of one for all layers, this layer's own; got 'mine'"),
    ],
)
def test_what_is_not_offered_is_refused_in_a_sentence(meanings, request_, message):
    before = meanings.describe()
    assert message in answer(meanings, **request_)["problem"] and meanings.describe() == before


def test_the_picture_follows_layer_point_and_scale(meanings):
    pictures = [meanings.png()]
    for change in ({"layer": 0}, {"chosen": 3}, {"scale": SCALES[1]}):
        answer(meanings, **change)
        pictures.append(meanings.png())
    assert len(set(pictures)) == 4


def test_the_most_that_can_be_shown_is_small():
    draws = np.random.default_rng(0)
    sentence = "🦜 " * 400 + "bank" + " </script>" * 400
    most = MeaningMap(
        draws.normal(size=(13, MAX_OCCURRENCES, 20)), [(sentence, 800, 804)] * MAX_OCCURRENCES,
        [f"$sense {i % 6}$" for i in range(MAX_OCCURRENCES)],
    )  # fmt: skip
    bundle = most._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    crosses = json.dumps(most.fixed, default=lambda data: "x" * len(data), ensure_ascii=False)
    assert len(crosses.encode()) < 200_000
    assert [len(part) for part in most.fixed["sentences"][0]] == [150, 4, 150]
