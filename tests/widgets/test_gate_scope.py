"""The gate scope without a browser: what crosses, the sentence, the picture, and hostile input."""

import json
import re
from functools import partial

import numpy as np
import pytest
import torch

from course_utils.recurrent import RecurrentLM, trace
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.gate_scope import MAX_BYTES, TOP, GateScope

CELLS = {3: ("place in the line", 0.81), 11: ("vowel", -0.4), 0: ("place in the word", 0.5)}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RecurrentLM(256, 8, 16)


@pytest.fixture
def scope(model):
    return GateScope(partial(trace, model), CELLS, {"a question": "to be"})


def answer(scope, **request):
    scope._answer(scope, {"id": "me/1", **request}, [])
    return scope.shown


def array(shown, name, *shape, dtype=np.float32):
    return np.frombuffer(shown[name], dtype=dtype).reshape(-1, *shape)


@pytest.mark.parametrize("text", ["to be", "", "é🦜\n", "x" * 200])
def test_what_crosses_is_the_trace_of_the_watched_cells(scope, model, text):
    shown = answer(scope, text=text)
    ids = list(b"\n" + text.encode())
    gates, cells, hidden, probabilities = trace(model, ids)
    watched = list(CELLS)
    assert shown["ids"] == ids and sum(width for _, width in shown["pieces"]) == len(ids)
    np.testing.assert_allclose(array(shown, "gates", 3, 4), gates[:, watched])
    np.testing.assert_allclose(array(shown, "cell_state", 3), cells[:, watched])
    np.testing.assert_allclose(array(shown, "hidden_state", 3), hidden[:, watched])
    likeliest = array(shown, "likeliest", TOP, dtype=np.uint8)
    top = np.sort(probabilities, axis=1)[:, ::-1][:, :TOP]
    np.testing.assert_allclose(np.take_along_axis(probabilities, likeliest.astype(int), axis=1), top)
    np.testing.assert_allclose(array(shown, "top", TOP), top, rtol=1e-6)
    assert shown["focus"] == len(ids) - 1


def test_the_sentence_says_the_numbers_and_is_the_repr_and_the_plain_text(scope, model):
    answer(scope, text="to be", cell=11, focus=4)
    gates, cells, hidden, probabilities = trace(model, list(b"\nto be"))
    i, f, g, o = gates[4, 11]
    best = np.argsort(-probabilities[4])[:3]
    sentence = scope.describe()
    said = [float(n.replace("−", "-")) for n in re.findall(r"−?\d\.\d\d\b", sentence)]
    np.testing.assert_allclose(said, [i, f, g, o, cells[4, 11], hidden[4, 11]], atol=0.00501)
    assert sentence.startswith("After byte 4 of 5, “b”: cell 11 (vowel) has input gate ")
    rest = 100 * (1 - probabilities[4, best].sum())
    assert sentence.endswith(f"the other 253 bytes {rest:.1f} %.")
    bundle = scope._repr_mimebundle_()
    assert repr(scope) == sentence == bundle["text/plain"] == scope.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == scope.model_id
    answer(scope, focus=0)
    assert scope.describe().startswith("Before the first of 5 bytes: cell 11")


def test_a_text_is_read_once_however_the_focus_moves(model):
    read = []

    def counting(ids):
        read.append(len(ids))
        return trace(model, ids)

    scope = GateScope(counting, CELLS, {"a question": "to be"})
    for focus in range(6):
        answer(scope, text="to be", focus=focus, cell=0)
    answer(scope, text="to be,")
    assert read == [6, 7] and scope.state == {"text": "to be,", "focus": 6, "cell": 0}


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 10_000, "🦜" * 5000, "to \ud83d", "</script><script>1</script>", "שלום", "\0\n\t", "$a$"],
)
def test_hostile_texts_give_numbers_or_a_message(scope, text):
    shown = answer(scope, text=text)
    assert shown["problem"] == "" and len(shown["ids"]) <= MAX_BYTES + 1
    plain = {name: value for name, value in shown.items() if not isinstance(value, bytes)}
    size = len(json.dumps(plain).encode("utf-8")) + sum(
        len(value) for value in shown.values() if isinstance(value, bytes)
    )
    assert size < 100_000
    assert ("characters; the last 300 are read" in shown["notice"]) == (text == "x" * 10_000)
    assert ("Got 5,000 characters; the last 75 are read" in shown["notice"]) == (text == "🦜" * 5000)
    assert ("lone surrogate" in shown["notice"]) == ("\ud83d" in text)
    bundle = scope._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000


def test_characters_that_did_not_come_along_are_counted(scope):
    assert "Got 1,000,300 characters" in answer(scope, text="x" * 300, cut=1_000_000)["notice"]


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"cell": 4}, "cell is one of 3, 11, 0; got 4"),
        ({"focus": 6}, "focus is a whole number from 0 to 5; got 6"),
        ({"focus": -1}, "focus is a whole number from 0 to 5; got -1"),
        ({"focus": "end"}, "focus is a whole number from 0 to 5; got 'end'"),
    ],
)
def test_what_is_not_offered_is_refused_in_a_sentence(scope, request_, message):
    before = answer(scope, text="to be", focus=2, cell=0)
    shown = answer(scope, **request_)
    assert message in shown["problem"] and shown["focus"] == 2 and shown["ids"] == before["ids"]


def test_a_reader_that_fails_says_so_and_the_scope_goes_on(scope):
    scope._read, read = (lambda ids: 1 / 0), scope._read
    assert "ZeroDivisionError" in answer(scope, text="new")["problem"]
    scope._read = read
    assert answer(scope, text="new")["problem"] == ""


def test_cells_that_can_not_be_watched_are_refused(model):
    read, examples = partial(trace, model), {"a": "b"}
    for cells, message in [
        ({}, "1 to 8 cells; got 0"),
        (dict.fromkeys(range(9), ("x", 0.0)), "1 to 8 cells; got 9"),
        ({16: ("x", 0.0)}, "numbered from 0 to 15; got 16"),
    ]:
        with pytest.raises(ValueError, match=message):
            GateScope(read, cells, examples)


def test_the_picture_gives_no_warning(scope, recwarn):
    for text in ("", "to be 🦜é\0", "x" * 300):
        answer(scope, text=text)
        scope.png()
    assert not recwarn.list
