"""Unmasking without a browser: steps that are recorded, the sentence, what crosses, and bad input."""

import json

import numpy as np
import pytest
import torch
from mocks import network

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.texts import with_masks
from course_utils.generation.unmasking import Masked, byte_level, unmask, word_pieces
from course_utils.tokenizers import WordPieceTokenizer
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.unmasking import MAX_PLACES, Unmasking
from course_utils.widgets.words import visible

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLES = {"a beginning": ("to be", 6), "a gap": ("to [MASK] or n[MASK]t", 0)}


def counting(calls, context=40):
    """Writes a, b or c; the surest place is the first one that is open."""

    def log_probs(ids):
        calls.append(ids.tolist())
        masks = int((ids == 3).sum())
        sure = torch.linspace(0.9, 0.5, masks)[:, None]
        return torch.cat([sure, (1 - sure) * 0.75, (1 - sure) * 0.25], 1).log()

    def encode(text):
        return with_masks(text, lambda piece: np.frombuffer(piece.encode(), np.uint8) % 3, 3)

    return Masked(log_probs, 3, encode, ["a", "b", "c"], "".join, context)


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


def written(widget, **settings):
    """Ask, as the page does, until it is written."""
    answer(widget, **settings)
    while widget.state["step"] < widget.found.n_steps:
        before = widget.state["step"]
        answer(widget, step=widget.found.n_steps)
        assert widget.state["step"] == before + 1 and not widget.shown["problem"]
    return widget.shown


def test_a_request_takes_one_step_and_going_back_takes_none():
    calls = []
    widget = Unmasking(counting(calls), EXAMPLES)
    assert len(calls) == 1
    for step, asked in ((1, 6), (2, 6), (3, 3)):
        assert answer(widget, step=asked)["step"] == step
    n = len(calls)
    for step in (0, 3, 1, 2):
        assert answer(widget, step=step, place=9)["step"] == step
    assert len(calls) == n and widget.shown["written"] == 3
    assert answer(widget, seed=1)["step"] == 0 and widget.shown["written"] == 0


def test_the_sentence_and_the_boxes_say_order_and_probability():
    widget = Unmasking(counting([]), EXAMPLES)
    shown = written(widget, temperature=0)
    assert [filled for _, filled, _ in shown["places"]] == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert [p for _, filled, p in shown["places"] if filled] == pytest.approx([0.9] * 6)
    answer(widget, step=2)
    assert widget.describe() == (
        "Step 2 of 6, the surest first, temperature 0: 2 of 6 masks filled, 0.15 bits a token so far. "
        "The last: “a” at place 7, 90.0 %. The text: “cacccaa▁▁▁▁”."
    )
    bundle = widget._repr_mimebundle_()
    assert widget.describe() == repr(widget) == bundle["text/plain"] == widget.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == widget.model_id
    assert [guess[:2] for guess in widget.shown["guesses"]] == [[k, "a"] for k in (7, 8, 9, 10)]


def test_what_was_expected_at_a_place_is_told_as_it_was_then():
    widget = Unmasking(counting([]), EXAMPLES)
    written(widget, temperature=0)
    for place, step, p in ((10, 6, 0.9), (10, 5, 0.9), (10, 4, 0.5), (10, 0, 0.5), (5, 6, 0.9)):
        shown = answer(widget, place=place, step=step)
        assert [token for token, _ in shown["expected"]] == ["a", "b", "c"]
        assert shown["expected"][0][1] == pytest.approx(p)
    assert answer(widget, place=0)["expected"] == []


@pytest.mark.parametrize("order", ["confidence", "random"])
def test_it_writes_what_unmask_writes(order):
    masked = byte_level(network(vocab=256, length=24))
    widget = Unmasking(masked, EXAMPLES)
    written(widget, order=order, seed=5, temperature=1.0)
    ids = torch.tensor([*b"to be", *[256] * 6])
    steps = list(unmask(masked, ids, 6, order=order, generator=torch.Generator().manual_seed(5)))
    assert [step.ids.tolist() for step in widget.found.steps] == [step.ids.tolist() for step in steps]
    text = masked.join([masked.tokens[i] for i in steps[-1].ids])
    assert widget.shown["text_now"] == visible(text) != text


def test_several_places_a_step():
    widget = Unmasking(counting([]), EXAMPLES)
    shown = written(widget, at_once=4, order="random")
    assert (
        shown["n_steps"] == 2
        and sorted(filled for _, filled, _ in shown["places"]) == [0] * 5 + [1] * 4 + [2] * 2
    )
    assert ", and 1 other. The text: “" in shown["sentence"]


def test_gaps_of_word_pieces_are_filled():
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *"abcd", "##b"])
    torch.manual_seed(0)
    masked = word_pieces(BertForMaskedLM(BertConfig(11, 16, 2, 2, 32, max_positions=12)).eval(), tokenizer)
    widget = Unmasking(masked, {"a gap": ("a [MASK] b.", 0)})
    assert [token for token, *_ in widget.shown["places"]] == ["a", "▁", "b", "."]
    shown = written(widget)
    assert shown["places"][1][0] in tokenizer.tokens[5:] and "1 of 1 mask filled" in shown["sentence"]
    shown = answer(widget, text="z" + " a" * 20 + " [MASK]")
    assert shown["notice"].startswith("1 of the words of 'z a a a") and len(shown["places"]) == 10
    assert "the model reads [UNK] there. The text has 22 tokens; the last 10 are read." in shown["notice"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 10_000, "🦜" * 500, "to \ud83d", "</script><script>1</script>", "שלום", "\0\n\t", "$a$"],
)
def test_hostile_texts_are_written_after(text):
    widget = Unmasking(byte_level(network(vocab=256, length=200)), {"a": ("a", 4)})
    shown = answer(widget, text=text)
    assert shown["problem"] == "" and len(shown["places"]) <= MAX_PLACES
    assert ("the last 128 are read" in shown["notice"]) == (len(text) > 400)
    assert ("lone surrogate" in shown["notice"]) == ("\ud83d" in text)
    answer(widget, step=2)
    bundle = widget._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    assert len(json.dumps(widget.shown)) < 30_000


@pytest.mark.parametrize(
    "request_, message",
    [
        (
            {"text": "no gap", "more": 0},
            "nothing to write: put [MASK] where a token is missing, or add masks",
        ),
        ({"more": 41}, "more is a whole number from 0 to 40; got 41"),
        ({"order": "left"}, "order is one of confidence, random; got 'left'"),
        ({"temperature": -0.1}, "temperature is a number from 0 to 2; got -0.1"),
        ({"at_once": 0}, "at_once is a whole number from 1 to 16; got 0"),
        ({"step": -1}, "step is a whole number from 0 to 40; got -1"),
    ],
)
def test_what_can_not_be_written_is_refused_and_changes_nothing(request_, message):
    widget = Unmasking(counting([]), EXAMPLES)
    answer(widget, step=1)
    before = widget.shown | {"answers": "", "problem": ""}
    shown = answer(widget, **request_)
    assert message in shown["problem"] and shown | {"answers": "", "problem": ""} == before


def test_a_model_that_fails_says_so_and_the_next_try_goes_on():
    calls, broken = [], []
    masked = counting(calls)

    def log_probs(ids):
        return 1 / 0 if broken else masked.log_probs(ids)

    widget = Unmasking(masked._replace(log_probs=log_probs), EXAMPLES)
    whole = [step.ids.tolist() for step in _record(Unmasking(masked, EXAMPLES))]
    answer(widget, step=1)
    broken.append(True)
    shown = answer(widget, step=2)
    assert "ZeroDivisionError" in shown["problem"] and shown["step"] == shown["written"] == 1
    broken.clear()
    assert [step.ids.tolist() for step in _record(widget)] == whole
    widget = Unmasking(masked, EXAMPLES)
    widget._masked = masked._replace(log_probs=lambda ids: torch.zeros(1, 3))
    assert "exponentials sum to 1; got the shape (1, 3)" in answer(widget, seed=2)["problem"]


def _record(widget):
    written(widget)
    return widget.found.steps


def test_examples_that_can_not_begin():
    with pytest.raises(ValueError, match="an example at least"):
        Unmasking(counting([]), {})
    with pytest.raises(ValueError, match="nothing to write"):
        Unmasking(counting([]), {"no gap": ("to be", 0)})


def test_the_picture_follows_the_step(recwarn):
    widget = Unmasking(byte_level(network(vocab=256, length=128)), {"most": ("", 128)})
    before = widget.png()
    answer(widget, step=1)
    assert widget.png() != before and not recwarn.list
