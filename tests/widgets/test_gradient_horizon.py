"""The gradient horizon without a browser: the sentence, what crosses, the picture, and bad input."""

import json

import numpy as np
import pytest
import torch

from course_utils.recurrent import RecurrentLM, gradient_by_distance
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.gradient_horizon import GradientHorizon, beside

CURVES = {"RNN": 3.0 * 0.5 ** np.arange(50), "LSTM, b = 1": 2.0 * 0.8 ** np.arange(50)}


@pytest.fixture
def horizon():
    return GradientHorizon(CURVES)


def answer(horizon, **request):
    horizon._answer(horizon, {"id": "me/1", **request}, [])
    return horizon.shown


def test_the_sentence_weighs_a_byte_against_the_last_and_is_the_repr_and_the_plain_text(horizon):
    answer(horizon, distance=10, bias=0.0)
    assert horizon.describe() == (
        "The weight of a byte 10 steps back, beside the last one's: RNN: 1/1,000; LSTM, b = 1: 1/9.3; "
        "a forget gate alone at bias 0 (0.500 to the power of 10): 1/1,000."
    )
    bundle = horizon._repr_mimebundle_()
    assert repr(horizon) == bundle["text/plain"] == horizon.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == horizon.model_id
    answer(horizon, distance=1, curves=["RNN"], bias=-1.0)
    assert horizon.describe() == (
        "The weight of a byte 1 step back, beside the last one's: RNN: 1/2.0; "
        "a forget gate alone at bias −1 (0.269 to the power of 1): 1/3.7."
    )


@pytest.mark.parametrize(
    "share, words",
    [
        (1.0, "1/1.0"),
        (0.5, "1/2.0"),
        (0.101, "1/9.9"),
        (1 / 9.96, "1/10"),
        (1 / 31_234, "1/31,000"),
        (1 / 999.9, "1/1,000"),
        (1e-10, "under 1/1,000,000,000"),
        (1.26, "1.3"),
        (10.04, "10.0"),
        (0.0, "0"),
    ],
)
def test_shares_in_words(share, words):
    assert beside(share) == words


def test_what_crosses_are_the_norms(horizon):
    norms = np.frombuffer(horizon.fixed["norms"], dtype=np.float32).reshape(2, -1)
    np.testing.assert_allclose(norms, list(CURVES.values()), rtol=1e-6)


def test_a_models_own_gradients_can_be_shown():
    torch.manual_seed(0)
    ids = torch.randint(0, 20, (4, 30))
    models = {f"LSTM, b = {b}": RecurrentLM(20, 4, 8, forget_bias=float(b)) for b in (-1, 3)}
    measured = {name: gradient_by_distance(model, ids, ids[:, 0]) for name, model in models.items()}
    horizon = GradientHorizon(measured, distance=20)
    short, long = (horizon.weight(name) for name in measured)
    assert short < long / 100 and horizon.png()


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"distance": 50}, "distance is a whole number from 0 to 49; got 50"),
        ({"distance": -1}, "distance is a whole number from 0 to 49; got -1"),
        ({"distance": 1.5}, "got 1.5"),
        ({"bias": 0.3}, "bias is one of -3, -2.5"),
        ({"curves": ["GRU"]}, "curves is a list of some of RNN, LSTM, b = 1; got ['GRU']"),
    ],
)
def test_what_is_not_offered_is_refused_in_a_sentence(horizon, request_, message):
    before = horizon.describe()
    assert message in answer(horizon, **request_)["problem"] and horizon.describe() == before


@pytest.mark.parametrize(
    "curves, message",
    [
        ({}, "1 to 6 curves can be told apart; got 0"),
        ({str(i): [1, 1] for i in range(7)}, "got 7"),
        ({"a": [1, 2], "b": [1, 2, 3]}, "the same number of values"),
        ({"a": [1]}, "2 or more"),
        ({"a": [[1, 2]]}, "2 or more"),
        ({"a": [1, float("nan")]}, "the curve 'a' has nan"),
        ({"a": [1, -1]}, "the curve 'a' has -1.0 to 1.0"),
        ({"a": [0, 1]}, "begins with 0.0"),
    ],
)
def test_curves_that_can_not_be_shown_are_refused(curves, message):
    with pytest.raises(ValueError, match=message):
        GradientHorizon(curves)


def test_a_gradient_of_exactly_0_and_one_that_grows_are_shown():
    horizon = GradientHorizon({"dies": [1.0, 1e-20, 0.0], "grows": [1.0, 2.0, 4.0]}, distance=2)
    assert "dies: 0; grows: 4.0; " in horizon.describe()
    assert horizon.png() and answer(horizon, curves=[])["problem"] == "" and horizon.png()


def test_the_distance_at_the_start_is_one_that_there_is():
    assert GradientHorizon({"short": [1.0, 0.5]}).state["distance"] == 1


def test_names_may_be_anything(horizon):
    names = ["</script><script>1</script>", "שלום 🦜", "$x$", ""]
    horizon = GradientHorizon({name: [1.0, 0.5] for name in names})
    bundle = horizon._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000


def test_the_picture_gives_no_warning(horizon, recwarn):
    horizon.png()
    assert not recwarn.list
