"""The simplex of preferences without a browser: the sentence, the paths, the picture, and bad input."""

import json
import re

import numpy as np
import pytest

from course_utils.finetuning.simplex import expected_wins, optimum
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.preference_simplex import PAIRS, STEPS, PreferenceSimplex

NAMES = ["helpful", "short", "rude"]
REFERENCE = [0.2, 0.3, 0.5]


@pytest.fixture
def triangle():
    return PreferenceSimplex(NAMES)


def answer(triangle, **request):
    triangle._answer(triangle, {"id": "me/1", **request}, [])
    return triangle.shown


def test_the_sentence_has_the_optimum_and_where_the_methods_are(triangle):
    answer(triangle, methods=["DPO", "GRPO"], beta=1, first=1.5, third=-0.5)
    sentence = triangle.describe()
    best = optimum(np.array(REFERENCE), np.array([1.5, 0, -0.5]), 1)
    said = [float(n) for n in re.findall(r"([\d.]+) %", sentence)]
    np.testing.assert_allclose(said[:3], 100 * best, atol=0.051)
    np.testing.assert_allclose(said[3:6], 100 * best, atol=0.051)  # DPO on endless pairs ends there
    assert np.abs(np.array(said[6:]) - said[:3]).max() > 3 and len(said) == 9  # and GRPO elsewhere
    assert sentence.startswith(
        "With rewards “helpful” 1.5, “short” 0.0, “rude” −0.5 and beta 1 the optimum is "
    )
    assert "; after 400 steps DPO on endless pairs at" in sentence
    bundle = triangle._repr_mimebundle_()
    assert repr(triangle) == bundle["text/plain"] == triangle.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == triangle.model_id
    answer(triangle, methods=[])
    assert triangle.describe().endswith("%.")


def test_a_hyphen_in_a_name_is_no_minus_sign():
    assert "“well-meant” 1.0" in PreferenceSimplex(["well-meant", "short", "rude"]).describe()


def test_all_methods_start_at_the_reference(triangle):
    for path in triangle.found.paths.values():
        np.testing.assert_allclose(path[0], REFERENCE)
        assert path.shape == (STEPS + 1, 3) and np.allclose(path.sum(1), 1)
    answer(triangle, step=0)
    assert triangle.describe().count("20.0 % / 30.0 % / 50.0 %") == 4


def test_what_is_ticked_at_first_is_said():
    sentence = PreferenceSimplex(NAMES, methods=["DPO"]).describe()
    assert "DPO on endless pairs at" in sentence and "GRPO" not in sentence


def test_few_pairs_take_dpo_elsewhere_and_more_of_them_nearer(triangle):
    best, off = triangle.found.optimum, {}
    for n in PAIRS:
        answer(triangle, pairs=n)
        off[n] = np.abs(triangle.found.paths["DPO"][-1] - best).max()
    assert off["endless"] < 0.01 < 0.1 < off[1] and off[300] < 0.1


def test_the_same_pairs_are_asked_whatever_the_rewards(triangle):
    asked = np.array(triangle.fixed["asked"])
    assert asked.shape == (300, 2) and (asked[:, 0] != asked[:, 1]).all()
    shares = [
        ((asked == pair).all(1) | (asked[:, ::-1] == pair).all(1)).mean() for pair in ([0, 1], [0, 2], [1, 2])
    ]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.06)
    assert expected_wins([0, 0, 0]).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"first": 3.1}, "first is a number from -3.0 to 3.0; got 3.1"),
        ({"beta": 0}, "beta is one of 0.1, 0.2"),
        ({"pairs": 2}, "pairs is one of 1, 3, 10, 30, 100, 300, endless; got 2"),
        ({"methods": ["PPO"]}, "methods is a list of some of DPO, GRPO"),
        ({"step": 401}, "step is a whole number from 0 to 400; got 401"),
    ],
)
def test_what_is_not_offered_is_refused_in_a_sentence(triangle, request_, message):
    before = triangle.describe()
    assert message in answer(triangle, **request_)["problem"] and triangle.describe() == before


@pytest.mark.parametrize(
    "given, message",
    [
        ({"names": ["a", "b"]}, "expected three names"),
        ({"names": NAMES, "rewards": [1, 2]}, "expected three names"),
        ({"names": NAMES, "rewards": [1, 2, 9]}, "third is a number from -3.0 to 3.0; got 9"),
        ({"names": NAMES, "reference": [0.5, 0.5, 0.0]}, "never found"),
        ({"names": NAMES, "reference": [0.5, 0.5, 0.5]}, "add up to 1"),
        ({"names": NAMES, "methods": ["PPO"]}, "methods is a list of some of DPO, GRPO"),
    ],
)
def test_a_world_that_can_not_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        PreferenceSimplex(**given)


def test_names_may_be_anything(recwarn):
    triangle = PreferenceSimplex(["</script><script>1</script>", "שלום 🦜", "$x$"])
    bundle = triangle._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    assert not recwarn.list
