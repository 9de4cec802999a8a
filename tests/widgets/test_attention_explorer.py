"""The attention explorer without a browser: what crosses, the sentence, the edits, and hostile input."""

import json

import numpy as np
import pytest
import torch

from course_utils.widgets.attention_arrays import (
    FULL,
    MASKED,
    Attention,
    combined,
    edited,
    packed,
    pooled,
    row_entropy,
    without,
)
from course_utils.widgets.attention_explorer import SMALL, AttentionExplorer
from course_utils.widgets.base import WIDGET_VIEW

TOKENS = ["The", " cat", " sat", "."]
CAUSAL = np.tri(4, dtype=bool)


def attention(layers, heads, queries, keys, mask=None, seed=0):
    """Random weights as softmax gives them."""
    scores = np.random.default_rng(seed).normal(size=(layers, heads, queries, keys)) * 2
    scores = np.exp(scores if mask is None else np.where(mask, scores, -np.inf))
    return (scores / scores.sum(-1, keepdims=True)).astype(np.float32)


WEIGHTS = attention(2, 3, 4, 4, CAUSAL)


def predict(edits):
    """Each edit takes half of the first label's probability."""
    return [("mat", 0.8 * 0.5 ** len(edits)), ("</script>", 0.1)]


@pytest.fixture
def explorer():
    return AttentionExplorer(TOKENS, WEIGHTS, mask=CAUSAL, scale=64**-0.5, predict=predict)


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


def row_of(shown, n_keys=4):
    return np.frombuffer(shown["row"], "<f4").reshape(-1, n_keys)


# ---- arithmetic ------------------------------------------------------------------------------------


def test_entropy_of_a_row():
    assert row_entropy(np.full(8, 1 / 8)) == pytest.approx(3)
    assert row_entropy(np.array([0.5, 0.25, 0.25])) == pytest.approx(1.5)
    assert row_entropy(np.array([2.0, 2.0])) == pytest.approx(1)  # divided by its sum first
    assert row_entropy(np.array([0, 1.0])) == row_entropy(np.zeros(3)) == 0


def test_heads_as_one():
    assert combined(WEIGHTS[0], "mean") == pytest.approx(WEIGHTS[0].sum(0) / 3)
    assert (combined(WEIGHTS[0], "max") == np.maximum(np.maximum(*WEIGHTS[0, :2]), WEIGHTS[0, 2])).all()


def test_hidden_keys_are_0_and_the_rest_is_divided_only_on_request():
    row = np.array([0.6, 0.3, 0.1])
    assert without(row, [0], False).tolist() == [0, 0.3, 0.1]
    assert without(row, [0], True) == pytest.approx([0, 0.75, 0.25])
    assert without(row, [0, 1, 2], True).tolist() == [0, 0, 0]
    assert row.tolist() == [0.6, 0.3, 0.1]


def test_a_byte_a_weight_and_the_mask_in_it():
    codes = packed(WEIGHTS, np.broadcast_to(CAUSAL, WEIGHTS.shape))
    assert codes.dtype == np.uint8 and codes.shape == WEIGHTS.shape
    assert ((codes == MASKED) == ~np.broadcast_to(CAUSAL, WEIGHTS.shape)).all()
    back = (codes / FULL) ** 2
    assert np.abs(back - WEIGHTS)[codes != MASKED].max() < 0.005
    assert packed(np.float32([1 / 512]), None) == 11 and packed(np.float32([1.2, 1, 0]), None).tolist() == [
        254,
        254,
        0,
    ]


@pytest.mark.parametrize("shape", [(3, 5, 5), (2, 48, 48), (2, 49, 7), (1, 100, 301)])
def test_a_small_map_keeps_the_largest_of_each_block(shape):
    codes = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    codes[..., :2, :2] = MASKED
    small = pooled(codes, 48)
    high, wide = -(-shape[1] // 48), -(-shape[2] // 48)
    for map_, row, column in np.ndindex(small.shape):
        block = codes[map_, row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        assert small[map_, row, column] == max((c for c in block.flat if c != MASKED), default=MASKED)


def test_edits_of_a_head_follow_the_mask():
    weights = WEIGHTS[0]
    before = weights.copy()
    assert (edited(weights, [{"head": 1, "how": "ablate"}], CAUSAL)[1] == 0).all()
    uniform = edited(weights, [{"head": 0, "how": "uniform"}], CAUSAL)
    assert uniform[0] == pytest.approx(CAUSAL / CAUSAL.sum(-1, keepdims=True))
    assert (uniform[1:] == weights[1:]).all()
    assert (edited(weights, [{"head": 2, "how": "diagonal"}], CAUSAL)[2] == np.eye(4)).all()
    previous = np.eye(4, k=-1)
    previous[0, 0] = 1  # the first token has no previous one
    assert (edited(weights, [{"head": 2, "how": "previous"}], CAUSAL)[2] == previous).all()
    swapped = edited(weights, [{"head": 0, "how": "swap", "with": 2}], CAUSAL)
    assert (swapped == weights[[2, 1, 0]]).all()
    assert (weights == before).all()
    with pytest.raises(ValueError, match=r"how is one of ablate, uniform.*got 'sharpen'"):
        edited(weights, [{"head": 0, "how": "sharpen"}])


def test_without_a_mask_weights_above_0_are_allowed_and_batches_pass():
    batch = np.stack([WEIGHTS[0], WEIGHTS[1]])
    for how in ("uniform", "diagonal", "previous"):
        edits = [{"head": 1, "how": how}]
        assert (edited(batch, edits)[1] == edited(WEIGHTS[1], edits, CAUSAL)).all()


def test_the_diagonal_of_unequal_sides_is_a_straight_line_and_keeps_off_the_mask():
    cross = np.full((1, 3, 5), 0.2)
    line = edited(cross, [{"head": 0, "how": "diagonal"}])[0]
    assert line.argmax(-1).tolist() == [0, 2, 4] and (line.sum(-1) == 1).all()
    padded = np.array([True, True, True, False, False])
    assert edited(cross, [{"head": 0, "how": "diagonal"}], padded)[0].argmax(-1).tolist() == [0, 2, 2]
    nothing = edited(cross, [{"head": 0, "how": "uniform"}], np.zeros(5, dtype=bool))
    assert (nothing == 0).all()


# ---- what is asked and shown -----------------------------------------------------------------------


def test_the_row_in_view_crosses_exactly_and_masked_keys_as_nan(explorer):
    row = row_of(answer(explorer, layer=1, query=2))
    assert (row[:, :3] == WEIGHTS[1, :, 2, :3]).all() and np.isnan(row[:, 3]).all()


def test_every_weight_crosses_once_as_a_byte(explorer):
    layers = explorer.fixed["attentions"][""]["layers"]
    assert [np.frombuffer(layer, np.uint8).tolist() for layer in layers] == [
        packed(weights, np.broadcast_to(CAUSAL, weights.shape)).ravel().tolist() for weights in WEIGHTS
    ]
    before = explorer.fixed
    answer(explorer, layer=1, query=0)
    assert explorer.fixed is before and explorer.fresh["layers"] == {}


@pytest.mark.parametrize("T, layers", [(32, 12), (256, 2)])
def test_at_most_1_05_bytes_a_weight(T, layers):
    mask = np.tri(T, dtype=bool)
    weights = attention(layers, 12, T, T, mask)
    widget = AttentionExplorer(["token"] * T, weights, mask=mask)
    sent = [widget.fixed, widget.fresh, widget.shown]
    assert sum(map(size, sent)) <= 1.05 * weights.size


def size(sent):
    """The bytes of a trait: its buffers, and the rest as JSON."""
    if isinstance(sent, bytes):
        return len(sent)
    if isinstance(sent, dict):
        return sum(size(value) + len(key) + 4 for key, value in sent.items())
    return sum(size(value) + 2 for value in sent) if isinstance(sent, list | tuple) else len(json.dumps(sent))


def test_above_256_only_the_layer_in_view_crosses():
    weights = attention(3, 2, 300, 300)
    widget = AttentionExplorer(["t"] * 300, weights)
    assert widget.fixed["attentions"][""]["layers"] == [None] * 3
    assert {len(small) for small in widget.fixed["attentions"][""]["small"]} == {
        2 * 43 * 43
    }  # blocks of 7, at most 48 wide
    assert SMALL >= 43
    assert list(widget.fresh["layers"]) == ["0"]
    answer(widget, layer=2)
    assert list(widget.fresh["layers"]) == ["2"] and len(widget.fresh["layers"]["2"]) == 2 * 300 * 300


def test_the_sentence_has_the_numbers_and_is_the_repr_and_the_plain_text(explorer):
    row = WEIGHTS[0, 0, 3]
    first = int(row.argmax())
    sentence = explorer.describe()
    assert sentence.startswith(
        "Layer 0, head 0 (causal mask: a token sees itself and what stands before it; "
        "scores × 0.125 = 1/√64): "
        f"query “.” (3) attends to “{TOKENS[first].replace(' ', '·')}” ({first}) {100 * row[first]:.1f} %, "
    )
    assert f"row entropy {row_entropy(row):.2f} of at most 2.00 bits." in sentence
    assert sentence.endswith("Prediction: “mat” 80.0 %.")
    bundle = explorer._repr_mimebundle_()
    assert repr(explorer) == sentence == bundle["text/plain"] == explorer.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == explorer.model_id
    assert len(json.dumps(bundle)) < 200_000


def test_heads_combined_and_keys_hidden_are_said(explorer):
    shown = answer(explorer, combine="mean", chosen=[0, 2], hide=["first key “The”"], renormalise=True)
    assert "Layer 0, mean of heads 0, 2 (" in shown["sentence"]
    share = WEIGHTS[0, [0, 2], 3, 0].mean()
    assert (
        f"Hidden: first key “The”, with {100 * share:.1f} % of this row; the others are divided"
        in shown["sentence"]
    )
    assert explorer.row().sum() == pytest.approx(1) and explorer.row()[0] == 0
    assert "the others are as they were" in answer(explorer, renormalise=False)["sentence"]
    assert explorer.row().sum() == pytest.approx(1 - share, abs=1e-6)


def test_an_edit_changes_the_prediction_the_row_and_the_layer_that_crosses(explorer):
    edit = {"layer": 1, "head": 2, "how": "uniform"}
    shown = answer(explorer, edits=[edit], layer=1)
    assert shown["prediction"][0] == ("mat", 0.4) and shown["intact"][0] == ("mat", 0.8)
    assert row_of(shown)[2].tolist() == [0.25] * 4
    assert list(explorer.fresh["layers"]) == ["1"]
    bytes_ = np.frombuffer(explorer.fresh["layers"]["1"], np.uint8).reshape(3, 4, 4)
    assert bytes_[2, 3].tolist() == [127] * 4
    assert shown["edits_in_words"] == {"layer 1, head 2: forced to uniform": [0]}
    assert "With layer 1, head 2: forced to uniform: “mat” 40.0 %; intact “mat” 80.0 %." in shown["sentence"]
    assert answer(explorer, edits=[])["prediction"][0] == ("mat", 0.8) and explorer.fresh["layers"] == {}


def test_heads_of_a_layer_that_got_the_same_are_one_in_words(explorer):
    edits = [{"layer": 0, "head": head, "how": "ablate"} for head in (0, 2)]
    edits.insert(1, {"layer": 0, "head": 1, "how": "uniform"})
    words = answer(explorer, edits=edits)["edits_in_words"]
    assert words == {
        "layer 0, heads 0, 2: ablated (all weights 0)": [0, 2],
        "layer 0, head 1: forced to uniform": [1],
    }


def test_predict_is_called_once_for_each_set_of_edits():
    calls = []
    widget = AttentionExplorer(TOKENS, WEIGHTS, predict=lambda edits: calls.append(edits) or [("a", 1.0)])
    edit = {"layer": 0, "head": 0, "how": "ablate"}
    for request in ({"query": 1}, {"edits": [edit]}, {"query": 2}, {"edits": []}):
        answer(widget, **request)
    assert calls == [[], [edit]]


def test_several_attentions_of_one_model():
    cross = attention(2, 3, 4, 2)
    seen = []
    widget = AttentionExplorer(
        {
            "decoder": Attention(TOKENS, WEIGHTS, mask=CAUSAL),
            "cross": Attention(TOKENS, cross, keys=["un", " chat"]),
        },
        predict=lambda edits: seen.append(edits) or [("a", 0.5)],
    )
    assert "Decoder attention, layer 0, head 0 (causal mask" in widget.describe()
    shown = answer(
        widget, attention="cross", edits=[{"attention": "cross", "layer": 0, "head": 1, "how": "diagonal"}]
    )
    assert shown["sentence"].startswith("Cross attention, layer 0, head 0 (no mask; scale not given)")
    assert row_of(shown, 2)[1].tolist() == [0, 1] and seen[-1][0]["attention"] == "cross"
    assert widget.fresh["attention"] == "cross" and list(widget.fresh["layers"]) == ["0"]
    assert answer(widget, attention="decoder")["problem"] == "" and widget.fresh["layers"] == {}


# ---- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mask, words",
    [
        (None, "no mask"),
        (np.ones(4, dtype=bool), "the mask allows every key"),
        (CAUSAL, "causal mask: "),
        (np.array([True, True, True, False]), "padding mask: 1 of 4 keys are hidden from every query"),
        (CAUSAL & (np.arange(4) > 0), "mask: 62.5 % of the query-key pairs may not attend"),
        (torch.tril(torch.ones(1, 1, 4, 4, dtype=torch.bool)), "causal mask: "),
    ],
)
def test_the_mask_in_words(mask, words):
    weights = attention(1, 1, 4, 4) * (1 if mask is None else np.asarray(mask))
    made = Attention(TOKENS, weights / np.maximum(weights.sum(-1, keepdims=True), 1e-9), mask=mask)
    assert made.mask_in_words.startswith(words) and made.warnings == []


@pytest.mark.parametrize(
    "scale, words",
    [(0.125, "scores × 0.125 = 1/√64"), (1.0, "scores × 1"), (0.3, "scores × 0.3"), ("1/√d", "scale 1/√d")],
)
def test_the_scale_in_words(scale, words):
    assert Attention(TOKENS, WEIGHTS, scale=scale).scale_in_words == words


def test_sinks_are_the_first_key_and_delimiters_unless_they_are_given():
    tokens = ["[CLS]", "a", "Ġ.", "[SEP]"]
    assert Attention(tokens, WEIGHTS).sinks == {"first key “[CLS]”": [0], "delimiters “Ġ.” “[SEP]”": [2, 3]}
    assert Attention(tokens, WEIGHTS, sinks={"a": [1]}).sinks == {"a": [1]}
    with pytest.raises(ValueError, match=r"sinks\['a'\] are positions from 0 to 3; got \[4\]"):
        Attention(tokens, WEIGHTS, sinks={"a": [4]})


# ---- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokens, weights, settings, message",
    [
        (
            TOKENS[:3],
            WEIGHTS,
            {},
            r"3 tokens and 3 keys need .* \(layers, heads, 3, 3\); got \(2, 3, 4, 4\)",
        ),
        (
            TOKENS,
            WEIGHTS,
            {"keys": ["a"]},
            r"4 tokens and 1 keys need weights of shape \(layers, heads, 4, 1\)",
        ),
        (TOKENS, None, {}, "output_attentions came back None: .*eager"),
        (TOKENS, (WEIGHTS[0], None), {}, "output_attentions came back None"),
        (TOKENS, WEIGHTS[0, 0], {}, r"got \(4, 4\): write weights\[None, None\]"),
        (TOKENS, WEIGHTS[0], {}, r"got \(3, 4, 4\): write weights\[None\]"),
        (TOKENS, WEIGHTS[:, None], {}, r"got \(2, 1, 3, 4, 4\): take one text out of the batch"),
        (TOKENS, [WEIGHTS[0], WEIGHTS[1, :2]], {}, r"got \(3, 4, 4\), \(2, 4, 4\)"),
        (TOKENS, WEIGHTS[:0], {}, "at least one layer and one head"),
        ([], WEIGHTS[:, :, :0, :0], {}, "tokens are 1 to 512; got 0"),
        (["a"] * 513, WEIGHTS, {}, "tokens are 1 to 512; got 513: show a window"),
        ([1, 2, 3, 4], WEIGHTS, {}, "tokens are strings, one a position; got a int: decode ids first"),
        (TOKENS, np.log(WEIGHTS.clip(1e-9)), {}, "at least 0; got .*: give what softmax returned"),
        (TOKENS, WEIGHTS, {"mask": CAUSAL.astype(float)}, "a mask is bool, True = may attend; got float64"),
        (TOKENS, WEIGHTS, {"mask": np.ones((3, 3), dtype=bool)}, r"the mask must broadcast .* got \(3, 3\)"),
    ],
)
def test_what_can_not_be_shown_is_refused_in_a_sentence(tokens, weights, settings, message):
    with pytest.raises(ValueError, match=message):
        AttentionExplorer(tokens, weights, **settings)


def test_nan_is_refused_with_its_place():
    weights = WEIGHTS.copy()
    weights[1, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match="got nan in layer 1, head 2, query 3, key 0: softmax of a row"):
        AttentionExplorer(TOKENS, weights)


def test_rows_that_do_not_sum_to_1_are_shown_with_a_warning():
    weights = WEIGHTS.copy()
    weights[1, 0, 2] *= 1.5
    widget = AttentionExplorer(TOKENS, weights, mask=CAUSAL)
    warning = "1 of 24 rows don't sum to 1: the first is layer 1, head 0, query 2, with 1.500."
    assert warning in widget.describe() and warning in widget.fixed["attentions"][""]["warnings"][0]
    assert widget.png()


def test_a_row_that_may_attend_to_nothing_is_no_warning_and_a_wrong_mask_is_one():
    weights, mask = WEIGHTS.copy(), np.broadcast_to(CAUSAL, WEIGHTS.shape).copy()
    weights[:, :, 0], mask[:, :, 0] = 0, False
    widget = AttentionExplorer(TOKENS, weights, mask=mask, query=0)
    assert widget.fixed["attentions"][""]["warnings"] == []
    assert "attends to nothing; row entropy 0.00 of at most 0.00 bits" in widget.describe() and widget.png()
    assert "3 masked weights are above 0" not in str(widget.fixed)
    wrong = AttentionExplorer(TOKENS, attention(1, 1, 4, 4), mask=CAUSAL)
    assert "6 masked weights are above 0: the mask given is not the mask that was used" in wrong.describe()


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"layer": 2}, "layer is a whole number from 0 to 1; got 2"),
        ({"head": -1}, "head is a whole number from 0 to 2; got -1"),
        ({"query": 4}, "query is a whole number from 0 to 3; got 4"),
        ({"combine": "sum"}, "combine is one of one, mean, max; got 'sum'"),
        ({"hide": ["?"]}, "hide is a list of some of first key “The”, "),
        ({"chosen": []}, "choose at least one head"),
        (
            {"edits": [{"layer": 0, "head": 0, "how": "swap", "with": 3}]},
            "edits[0].with is a whole number from 0 to 2; got 3",
        ),
        ({"edits": [{"layer": 0, "head": 0, "how": "x"}]}, "edits[0].how is one of ablate, uniform"),
        ({"attention": "cross"}, "attention is one of ; got 'cross'"),
    ],
)
def test_a_request_that_is_not_offered_is_refused_and_nothing_changes(explorer, request_, message):
    before = explorer.describe()
    shown = answer(explorer, **request_)
    assert message in shown["problem"] and shown["sentence"] == before


def test_previous_token_needs_one_text():
    widget = AttentionExplorer(TOKENS, attention(1, 1, 4, 2), keys=["a", "b"])
    problem = answer(widget, edits=[{"layer": 0, "head": 0, "how": "previous"}])["problem"]
    assert "needs queries and keys of the same text" in problem


@pytest.mark.parametrize("p", [float("nan"), 1.5, -0.1])
def test_a_prediction_that_is_no_probability_is_named(p):
    with pytest.raises(ValueError, match="predict returns probabilities from 0 to 1"):
        AttentionExplorer(TOKENS, WEIGHTS, predict=lambda edits: [("a", p)])


def test_a_predict_that_fails_says_so_and_the_explorer_goes_on(explorer):
    explorer._predict = lambda edits: 1 / 0
    shown = answer(explorer, edits=[{"layer": 0, "head": 0, "how": "ablate"}])
    assert "ZeroDivisionError" in shown["problem"] and shown["edits"] == []
    assert answer(explorer, query=0)["problem"] == ""


def test_hostile_tokens_reach_the_browser_whole_and_the_html_escaped(recwarn):
    tokens = ["</script>", "🦜", "שלום", "a", "a", "", "\udcc3", "\u0301", "$x^2$", "\0", "x" * 10_000, "\n"]
    widget = AttentionExplorer(tokens, attention(1, 2, 12, 12), predict=lambda edits: [("\udcc3<b>", 1.0)])
    json.dumps(widget.shown | {"row": ""}).encode("utf-8")  # no lone surrogate is left
    assert (
        widget.fixed["attentions"][""]["tokens"][:3] == tokens[:3]
        and len(widget.fixed["attentions"][""]["tokens"][10]) == 60
    )
    for query in range(12):
        answer(widget, query=query)
        html = widget._repr_mimebundle_()["text/html"]
        assert "<script" not in html and "<b>" not in html
    assert not recwarn.list


def test_torch_tensors_of_any_precision_pass():
    weights = torch.tensor(WEIGHTS, requires_grad=True)
    widget = AttentionExplorer(TOKENS, weights.bfloat16())
    assert widget.fixed["attentions"][""]["warnings"] == []
    assert AttentionExplorer(TOKENS, tuple(weights)).fixed == AttentionExplorer(TOKENS, WEIGHTS).fixed
    assert AttentionExplorer(["one"], np.ones((1, 1, 1, 1))).describe().count("100.0 %") == 1


def test_the_picture_gives_no_warning(explorer, recwarn):
    answer(explorer, combine="max", chosen=[0, 1], hide=["first key “The”"])
    assert explorer.png().startswith(b"\x89PNG")
    assert not recwarn.list
