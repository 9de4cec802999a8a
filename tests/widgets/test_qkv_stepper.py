"""The QKV stepper without a browser: its steps, the sentence, the learner's function, and hostile input."""

import json

import numpy as np
import pytest

from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.qkv_stepper import MADE, STEPS, QKVStepper, attention_steps, written

TOKENS = ["the", "cat", "sat", "down"]
X = np.array([[1, 0, 0.5], [0, 2, 0.5], [1, 1, -1], [-1, 0.5, 1]])
W_Q = np.array([[1, 0], [0, 1], [0.5, -1]])
W_K = np.array([[0, 1], [1, 0], [1, 0.5]])
W_V = np.array([[1, 0, 2], [0.5, 1, 0], [0, -1, 1]])


def stepper(**settings):
    return QKVStepper(TOKENS, X, W_Q, W_K, W_V, **settings)


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


@pytest.mark.parametrize("causal", [True, False])
def test_the_steps_are_those_of_the_attention_that_the_models_use(causal):
    torch = pytest.importorskip("torch")
    from course_utils.attention import scaled_dot_product_attention

    allowed = np.tri(4, dtype=bool) if causal else np.ones((4, 4), dtype=bool)
    made = attention_steps(X, W_Q, W_K, W_V, allowed)
    q, k, v = (torch.from_numpy(made[name]) for name in "qkv")
    output, weights = scaled_dot_product_attention(q, k, v, torch.from_numpy(allowed))
    assert np.allclose(made["output"], output) and np.allclose(made["weights"], weights)
    assert list(made) == MADE == [name for names in list(STEPS.values())[1:] for name in names]
    assert np.isneginf(made["masked"]).sum() == (6 if causal else 0)


def test_the_sentence_is_the_repr_and_the_plain_text():
    widget = stepper()
    answer(widget, step=3, cell=["scaled", 1, 0])
    sentence = widget.describe()
    assert sentence == (
        "Step 4 of 7, scaled: scaled[1, 0] of query “cat” and key “the” is 1.414. "
        "“cat” mixes with the weights 0.67 for “the”, 0.33 for “cat”, 0.00 for “sat”, 0.00 for “down”."
    )
    bundle = widget._repr_mimebundle_()
    assert repr(widget) == sentence == bundle["text/plain"] == widget.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == widget.model_id
    answer(widget, step=1, cell=["W_k", 2, 1])
    assert "W_k[2, 1] is 0.5. “the” mixes" in widget.describe()
    answer(widget, step=4, cell=["masked", 0, 3])
    assert "masked[0, 3] of query “the” and key “down” is −∞." in widget.describe()


def test_an_embedding_number_changes_all_that_follows_and_what_was_given_stays():
    widget, given = stepper(), X.copy()
    changed = X.copy()
    changed[0, 1] = -2
    answer(widget, x=changed.tolist(), cell=["output", 3, 2])
    expected = attention_steps(changed, W_Q, W_K, W_V, np.tri(4, dtype=bool))
    assert all(np.array_equal(widget.found.values[name], expected[name]) for name in MADE)
    assert (given == X).all() and widget.fixed["start"] == X.tolist()


# ---- the learner's own function -------------------------------------------------------------------------


def right(x, W_q, W_k, W_v, allowed):
    return attention_steps(x, W_q, W_k, W_v, allowed)


def changed(**made):
    """The right function, but for some matrices, each made from all the right ones."""

    def answer(*arguments):
        steps = right(*arguments)
        return steps | {name: make(steps) for name, make in made.items()}

    return answer


@pytest.mark.parametrize(
    "yours, at, says",
    [
        (right, None, f"it agrees in all that it gave: {', '.join(MADE)}."),
        (
            lambda *a: {"output": right(*a)["output"].astype(np.float32)},
            None,
            "it agrees in all that it gave: output.",
        ),
        (
            changed(scaled=lambda s: s["scores"] / 2, output=lambda s: s["v"]),
            ["scaled", 0, 1],
            "scaled differs first, at scaled[0, 1]: got 1.5, expected 2.121.",
        ),
        (
            changed(masked=lambda s: s["scaled"]),
            ["masked", 0, 1],
            "masked differs first, at masked[0, 1]: got 2.121, expected −∞.",
        ),
        (
            changed(weights=lambda s: s["weights"] * np.nan),
            ["weights", 0, 0],
            "weights differs first, at weights[0, 0]: got NaN, expected 1.",
        ),
        (
            changed(output=lambda s: s["output"].T),
            ["output", 0, 0],
            "output differs first, at output[0, 0]: got an array of shape (3, 4), expected one of shape "
            "(4, 3).",
        ),
        (
            changed(q=lambda s: "seven"),
            ["q", 0, 0],
            "q differs first, at q[0, 0]: got no array of numbers, expected one of shape (4, 2).",
        ),
        (lambda *a: {"score": 1}, None, f"'score' is no step. The steps are {', '.join(MADE)}."),
        (lambda *a: None, None, f"it gave no matrix. Return a dict with some of {', '.join(MADE)}."),
        (lambda *a: 1 / 0, None, "it raised ZeroDivisionError: division by zero"),
        (lambda x: x, None, "it raised TypeError: <lambda>() takes 1 positional argument but 5 were given"),
    ],
)
def test_the_first_step_that_differs_is_named(yours, at, says):
    widget = stepper(yours=yours)
    assert widget.shown["yours"]["says"] == says and widget.shown["yours"].get("at") == at
    assert widget.describe().endswith(f"Your function: {says}")
    json.dumps(widget.shown, allow_nan=False)


def test_a_function_that_changes_its_input_changes_nothing_here():
    def spoil(x, *others):
        x[:] = 0
        return {"q": x @ others[0]}

    widget = stepper(yours=spoil)
    assert (widget.found.values["x"] == X).all() and widget.shown["yours"]["at"] == ["q", 0, 0]


# ---- bad and hostile input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tokens": ["a", "b"]}, "the stepper shows 3 to 6 tokens; got 2"),
        ({"tokens": list("abcdefg")}, "the stepper shows 3 to 6 tokens; got 7"),
        ({"x": X[:3]}, r"a row for each of the 4 tokens and 1 to 6 columns; got \(3, 3\)"),
        ({"x": np.zeros((4, 7))}, r"1 to 6 columns; got \(4, 7\)"),
        ({"x": np.zeros(4)}, r"1 to 6 columns; got \(4,\)"),
        (
            {"W_v": np.zeros((2, 2))},
            r"W_v has 3 rows, one for each column of x, and 1 to 4 columns; got \(2, 2\)",
        ),
        ({"W_k": np.zeros((3, 5))}, r"1 to 4 columns; got \(3, 5\)"),
        ({"W_k": np.zeros((3, 3))}, r"W_q and W_k have the same shape.*; got \(3, 2\) and \(3, 3\)"),
        ({"W_q": np.full((3, 2), np.nan)}, "W_q has a number that is not finite"),
        ({"x": np.full((4, 3), np.inf)}, "x has a number that is not finite"),
        ({"x": X + 100}, r"x\[0\]\[0\] is a number from -10 to 10; got 101"),
    ],
)
def test_what_can_not_be_shown_is_refused(change, message):
    given = {"tokens": TOKENS, "x": X, "W_q": W_Q, "W_k": W_K, "W_v": W_V} | change
    with pytest.raises(ValueError, match=message):
        QKVStepper(*given.values())


@pytest.mark.parametrize(
    "request_, says",
    [
        ({"x": [[0, 0, 11]] * 4}, "x[0][2] is a number from -10 to 10; got 11"),
        ({"x": [[0, 0, None]] * 4}, "x[0][2] is a number from -10 to 10; got None"),
        ({"x": [[0]]}, "x is a list of 4, each a list of 3, each a number from -10 to 10; got [[0]]"),
        ({"step": 7}, "step is a whole number from 0 to 6; got 7"),
        ({"step": "all"}, "step is a whole number from 0 to 6; got 'all'"),
        ({"cell": ["scores", 0, 4]}, "scores has the shape (4, 4); got the cell [0, 4]"),
        ({"cell": ["s", 0, 0]}, "cell[0] is one of x, W_q, W_k, W_v, q, k, v, scores"),
        ({"cell": ["q", -1, 0]}, "cell[1] is a whole number from 0 to 5; got -1"),
    ],
)
def test_a_request_that_can_not_be_met_is_refused_and_nothing_changes(request_, says):
    widget = stepper()
    before = widget.describe()
    shown = answer(widget, **request_)
    assert says in shown["problem"] and shown["sentence"] == before


@pytest.mark.parametrize(
    "tokens", [["", " ", "\n", "\0"], ["</script>", "$a$", '"', "🦜"], ["שלום", "\ud83d", "x" * 999, "x"]]
)
def test_hostile_tokens(tokens, recwarn):
    widget = QKVStepper(tokens, X, W_Q, W_K, W_V)
    json.dumps(widget.shown, allow_nan=False).encode()
    bundle = widget._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and "</script" not in bundle["text/html"]
    assert len(json.dumps(bundle)) < 200_000 and not recwarn.list


def test_numbers_are_written_for_a_reader():
    numbers = [0.5, -0.25, 0.0625, -0.00001, 12.0, 100, float("-inf"), float("nan"), 1e-20, -6.2e27]
    said = ["0.5", "−0.25", "0.063", "0", "12", "100", "−∞", "NaN", "0", "−6.2e+27"]
    assert [written(number) for number in numbers] == said
