"""The recurrent models against torch's own, and what their state must carry."""

import math

import numpy as np
import pytest
import torch
from mocks import DoubleOnlyOnCPU
from torch import nn
from torch.nn import functional

from course_utils.recurrent import (
    FeedForwardLM,
    LSTMCell,
    RecurrentLM,
    RNNCell,
    bits_per_byte,
    gradient_by_distance,
    log2_probs,
    trace,
    unroll,
)

MODELS = {
    "feed-forward": lambda: FeedForwardLM(20, context=4, d_embedding=5, d_hidden=6),
    "rnn": lambda: RecurrentLM(20, 5, 6, n_layers=2, cell="rnn"),
    "lstm": lambda: RecurrentLM(20, 5, 6, n_layers=2),
}
EVERY = pytest.mark.parametrize("name", MODELS)
TEXT = np.random.default_rng(0).integers(0, 20, size=150)


pytestmark = pytest.mark.usefixtures("one_thread")


def built(name):
    torch.manual_seed(0)
    return MODELS[name]().double()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_written_out_cells_equal_torchs_in_outputs_and_gradients(cell, dtype, tolerance):
    torch.manual_seed(1)
    model = RecurrentLM(20, 7, 9, cell=cell).to(dtype)
    ours, theirs = model.as_cell(), model.layers
    parts = 2 if cell == "lstm" else 1
    x, weights = torch.randn(3, 256, 7, dtype=dtype), torch.randn(3, 256, 9, dtype=dtype)
    start = torch.randn(parts, 1, 3, 9, dtype=dtype)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    starts = [start.clone().requires_grad_() for _ in range(2)]

    got, last = unroll(ours, inputs[0], starts[0][:, 0])
    expected, theirs_last = theirs(inputs[1], tuple(starts[1]) if cell == "lstm" else starts[1][0])
    theirs_last = torch.stack(theirs_last) if cell == "lstm" else theirs_last[None]
    for output, state in ((got, last), (expected, theirs_last)):
        ((output * weights).mean(1).sum() + state.sum()).backward()

    torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(last, theirs_last[:, 0], atol=tolerance, rtol=0)
    for one, other in (
        (inputs[0].grad, inputs[1].grad),
        (starts[0].grad, starts[1].grad),
        (ours.from_input.grad, theirs.weight_ih_l0.grad),
        (ours.from_hidden.grad, theirs.weight_hh_l0.grad),
        (ours.bias.grad, theirs.bias_ih_l0.grad),
        (ours.bias.grad, theirs.bias_hh_l0.grad),
    ):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_a_trace_is_what_the_cell_does_step_by_step():
    torch.manual_seed(0)
    model = RecurrentLM(20, 5, 6).double()
    cell, state = model.as_cell(), torch.zeros(2, 1, 6, dtype=torch.float64)
    got = trace(model, TEXT[:40])
    assert got.gates.shape == (40, 6, 4) and got.probabilities.shape == (40, 20)
    for t, x in enumerate(model.embedding(torch.from_numpy(TEXT[:40])).detach()):
        gates = torch.stack(cell.gates(x[None], state[0]), dim=-1)[0]
        state = cell(x[None], state)
        expected = torch.softmax(model.head(state[0, 0]), dim=-1)
        for one, other in [
            (got.gates[t], gates),
            (got.hidden_state[t], state[0, 0]),
            (got.cell_state[t], state[1, 0]),
            (got.probabilities[t], expected),
        ]:
            np.testing.assert_allclose(one, other.detach(), atol=1e-12)


def test_what_can_not_be_traced_is_refused():
    with pytest.raises(ValueError, match="got cell 'rnn' and 1 layers"):
        trace(RecurrentLM(20, 5, 6, cell="rnn"), TEXT)
    with pytest.raises(ValueError, match="got cell 'lstm' and 2 layers"):
        trace(RecurrentLM(20, 5, 6, n_layers=2), TEXT)
    with pytest.raises(ValueError, match="got none"):
        trace(RecurrentLM(20, 5, 6), [])


def test_the_comparison_would_notice_swapped_gates():
    model = RecurrentLM(20, 7, 9).double()
    cell, x = model.as_cell(), torch.randn(3, 5, 7, dtype=torch.float64)
    with torch.no_grad():
        cell.bias.copy_(torch.cat([cell.bias[9:18], cell.bias[:9], cell.bias[18:]]))
    got, _ = unroll(cell, x, torch.zeros(2, 3, 9, dtype=torch.float64))
    assert (got - model.layers(x)[0]).abs().max() > 1e-3


@EVERY
def test_the_state_stands_for_the_text_before(name):
    model, ids = built(name), torch.from_numpy(TEXT[:60].reshape(2, 30))
    whole, end = model(ids)
    state, parts = None, []
    for chunk in ids.split([1, 2, 10, 17], dim=1):
        logits, state = model(chunk, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(state, end)
    assert state.shape[-2] == 2  # where the training loop looks for the batch


@EVERY
def test_no_token_sees_a_later_one(name):
    model, ids = built(name), torch.from_numpy(TEXT[:30].reshape(1, 30))
    changed = ids.clone()
    changed[0, 20] = (ids[0, 20] + 1) % 20
    one, other = model(ids)[0], model(changed)[0]
    assert torch.equal(one[:, :20], other[:, :20]) and not torch.equal(one[:, 20], other[:, 20])


def test_the_feed_forward_model_is_bengios_formula_and_forgets_what_is_too_old():
    model = built("feed-forward")
    x = torch.cat([model.embedding.weight[i] for i in (3, 1, 4, 15)])
    expected = (
        model.from_hidden.bias
        + model.direct.weight @ x
        + model.from_hidden.weight @ torch.tanh(model.hidden.bias + model.hidden.weight @ x)
    )
    for before in ([9, 2], [6, 5]):
        logits, _ = model(torch.tensor([[*before, 3, 1, 4, 15]]))
        torch.testing.assert_close(logits[0, -1], expected)


def test_forget_bias():
    for bias in (-1.0, 1.0, 3.0):
        model = RecurrentLM(20, 5, 6, n_layers=2, forget_bias=bias)
        for layer in range(2):
            total = getattr(model.layers, f"bias_ih_l{layer}") + getattr(model.layers, f"bias_hh_l{layer}")
            assert torch.equal(total[6:12], torch.full((6,), bias))
        assert torch.equal(LSTMCell(5, 6, forget_bias=bias).bias[6:12], torch.full((6,), bias))


def test_the_gradient_lasts_longer_with_a_higher_forget_bias():
    ids, reach = torch.from_numpy(TEXT[:120].reshape(4, 30)), []
    for bias in (-1.0, 0.0, 1.0, 3.0):
        torch.manual_seed(0)
        model = RecurrentLM(20, 16, 32, forget_bias=bias)
        norms = gradient_by_distance(model, ids, torch.tensor([1, 2, 3, 4]))
        assert norms.shape == (30,)
        reach.append((norms[25] / norms[0]).item())
    assert reach == sorted(reach) and reach[-1] > 1e6 * reach[0]


def test_gradient_by_distance_is_the_derivative():
    model, ids, target = built("lstm"), torch.from_numpy(TEXT[None, :8]), torch.tensor([7])
    norms = gradient_by_distance(model, ids, target)
    place, squares = 5, 0.0  # two tokens before the last

    def loss(change, axis):
        hook = model.embedding.register_forward_hook(
            lambda module, inputs, output: output + change * functional.one_hot(
                torch.tensor(place * 5 + axis), 40
            ).reshape(1, 8, 5)
        )  # fmt: skip
        with torch.no_grad():
            value = functional.cross_entropy(model(ids)[0][:, -1], target)
        hook.remove()
        return value.item()

    for axis in range(5):
        squares += ((loss(1e-5, axis) - loss(-1e-5, axis)) / 2e-5) ** 2
    assert norms[2].item() == pytest.approx(math.sqrt(squares), rel=1e-5)


@EVERY
def test_every_token_is_scored_once_and_given_all_before_it(name):
    model = built(name)
    scores = log2_probs(model, TEXT, start=3)
    assert scores.shape == TEXT.shape
    for place in (0, 1, 77, len(TEXT) - 1):
        ids = torch.from_numpy(np.concatenate([[3], TEXT[:place]]))[None]
        expected = functional.log_softmax(model(ids)[0][0, -1], dim=-1)[TEXT[place]] / math.log(2)
        assert scores[place] == pytest.approx(expected.item(), abs=1e-9)


def test_nothing_becomes_float64_where_a_model_computes():
    """An Apple GPU has no float64."""
    model = MODELS["lstm"]()
    with DoubleOnlyOnCPU() as seen:
        log2_probs(model, TEXT, rows=3)
        trace(RecurrentLM(20, 5, 6), TEXT[:9])
    assert seen.doubled == 2


def test_bits_per_byte():
    model = built("lstm")
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert bits_per_byte(model, TEXT) == pytest.approx(math.log2(20))
    assert bits_per_byte(model, TEXT, n_bytes=300) == pytest.approx(math.log2(20) / 2)
    assert bits_per_byte(model, TEXT, n_bytes=0) == bits_per_byte(model, TEXT)
    small = RecurrentLM(8, 5, 6)  # which has no line break to begin with
    assert bits_per_byte(small, TEXT % 8, start=0) == -log2_probs(small, TEXT % 8, start=0).mean()


def test_rows_score_every_token_too():
    model = built("rnn")
    whole, rows = log2_probs(model, TEXT), log2_probs(model, TEXT, rows=4)  # 38 tokens a row, the last has 36
    assert rows.shape == TEXT.shape
    np.testing.assert_allclose(rows[:38], whole[:38], atol=1e-12)
    np.testing.assert_allclose(rows[38:76], log2_probs(model, TEXT[38:76], start=TEXT[37]), atol=1e-12)


def test_scoring_leaves_the_mode_as_it_was_and_uses_no_dropout():
    model = RecurrentLM(20, 5, 6, dropout=0.5)
    assert np.array_equal(log2_probs(model, TEXT), log2_probs(model, TEXT))
    assert model.training


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: RecurrentLM(20, 5, 6, cell="gru"), "cell must be one of lstm, rnn; got 'gru'"),
        (lambda: RecurrentLM(20, 5, 0), "d_hidden must be a whole number of at least 1; got 0"),
        (lambda: FeedForwardLM(20, 0, 5, 6), "context must be a whole number of at least 1; got 0"),
        (lambda: RNNCell(2.0, 3), r"d_input must be a whole number of at least 1; got 2\.0"),
        (lambda: log2_probs(built("lstm"), TEXT + 1), "expected tokens between 0 and 19; got 1 to 20"),
        (lambda: log2_probs(RecurrentLM(8, 5, 6), TEXT % 8), "start, .* is a token below 8; got 10"),
        (lambda: log2_probs(built("lstm"), TEXT, start=-1), "start, .* is a token below 20; got -1"),
        (lambda: log2_probs(built("lstm"), TEXT[:0]), "rows must be from 1 to the 0 tokens"),
        (
            lambda: log2_probs(built("lstm"), TEXT, rows=151),
            "rows must be from 1 to the 150 tokens of the text; got 151",
        ),
    ],
)
def test_bad_input(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
