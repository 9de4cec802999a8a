"""The smoothing lab without a browser: what crosses, the sentence, the picture, and hostile input."""

import json
import re

import numpy as np
import pytest

from course_utils.ngrams import NGramModel
from course_utils.ngrams.counting import count_ngrams
from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.smoothing_lab import (
    HELD_OUT_BYTES,
    METHODS,
    ROWS,
    SEEN_ROWS,
    STOPS,
    from_tables,
    from_text,
)

TEXTS = {
    "First": "to be or not to be, that is the question\n" * 5,
    "Second": "the rest is silence — or is it?",
}
HELD_OUT = "the question is to be or to rest?"
EXAMPLES = {"rare": "t th", "common": "to b", "unseen": "xyz"}


@pytest.fixture(scope="module")
def lab():
    return from_text(TEXTS, HELD_OUT, examples=EXAMPLES, methods=tuple(METHODS))


def answer(lab, **request):
    lab._answer(lab, {"id": "me/1", **request}, [])
    return lab.shown


def model(method, order, **settings):
    tokens = [ByteTokenizer().encode(text) for text in TEXTS.values()]
    return NGramModel(order, method, **settings).fit(tokens, 256, ByteTokenizer().encode(HELD_OUT))


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("context", ["to b", "t th", "xyz", "", "o"])
def test_every_token_stands_in_exactly_one_row_seen_or_not(lab, context, order):
    shown = answer(lab, context=context, order=order)
    counts = model("mle", order).counts(ByteTokenizer().encode(context))
    assert sorted(i for row in shown["rows"] for i in row["ids"]) == list(range(256))
    assert all((counts[i] > 0) == (row["what"] == "seen") for row in shown["rows"] for i in row["ids"])
    single = [row["ids"][0] for row in shown["rows"] if not row.get("rest")]
    assert len(single) == ROWS
    seen = [i for i in single if counts[i]]
    assert [counts[i] for i in seen] == sorted(counts, reverse=True)[: len(seen)]
    assert len(seen) == min(SEEN_ROWS, np.count_nonzero(counts))
    assert shown["used"] == list(context)[max(0, len(context) - order + 1) :]


def test_levels_are_the_counts_of_each_order_and_continuation_counts_below_the_top(lab):
    levels = answer(lab, context="to b", order=3)["levels"]
    text = ["".join(chr(b) for b in t.encode()) for t in TEXTS.values()]
    for n, level in enumerate(levels, start=1):
        context = "to b"[5 - n :]
        for token, count, kneser_ney in zip(*level.values(), strict=True):
            gram = context + chr(token)
            assert count == sum(len(re.findall(f"(?={re.escape(gram)})", t)) for t in text)
            before = {t[i - 1] for t in text for i in range(1, len(t)) if t.startswith(gram, i)}
            assert kneser_ney == (len(before) if n < 3 else count)
    assert len(answer(lab, context="b", order=5)["levels"]) == 2  # the context fills no more


def test_curves_are_the_models_bits_at_every_stop(lab):
    held_out = answer(lab, order=4)["held_out"]
    test = ByteTokenizer().encode(HELD_OUT)
    for method, (_, setting) in METHODS.items():
        assert len(held_out[method]) == (len(STOPS[setting]) if setting else 1)
        for at in (0, len(held_out[method]) // 2, -1):
            settings = {setting: STOPS[setting][at]} if setting else {}
            assert held_out[method][at] == pytest.approx(model(method, 4, **settings).bits_per_byte(test))


def test_the_sentence_says_what_is_moved_and_is_the_repr_and_the_plain_text(lab):
    answer(lab, context="to b", order=3, k=1.0, discount=0.5, methods=["add_k", "absolute", "interpolated"])
    counts = model("mle", 3).counts(ByteTokenizer().encode(" b"))
    total, seen = counts.sum(), np.count_nonzero(counts)
    assert (total, seen) == (10, 1)
    sentence = lab.describe()
    assert "Order 3 after “·b”, counted 10 times, with 1 different byte next" in sentence
    assert "maximum likelihood gives “e” 100.0 %" in sentence
    moved = 1 - (10 + 1) / (10 + 256)
    assert f"add-k (k = 1): {moved:.3f} taken from 1 seen byte and given to 255 unseen ones" in sentence
    bits = model("add_k", 3, k=1.0).bits_per_byte(ByteTokenizer().encode(HELD_OUT))
    assert f"held-out text costs {bits:.3f} bits per byte, perplexity {2**bits:.2f}" in sentence
    bundle = lab._repr_mimebundle_()
    assert repr(lab) == sentence == bundle["text/plain"] == lab.shown["sentence"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("context", ["to b", "t th", "s", ""])
def test_what_is_taken_is_given(lab, method, context):
    answer(lab, context=context, order=4, methods=[method])
    sentence = lab.moved(method)
    change = lab.probabilities(method) - lab.counts / lab.counts.sum()
    taken = np.maximum(-change, 0).sum()
    if taken < 5e-4:
        assert re.match(r"nothing moved|under 0\.001 moved", sentence)
        return
    first, *parts = (float(n) for n in re.findall(r"\b[01]\.\d{3}\b", sentence))
    assert first == pytest.approx(taken, abs=6e-4)
    assert not parts or first == pytest.approx(sum(parts), abs=1.1e-3)


def test_a_context_that_was_never_counted_has_nothing_to_take_from(lab):
    answer(lab, context="xyz", order=3, methods=list(METHODS))
    assert "never counted: maximum likelihood has no answer (0 / 0)" in lab.describe()
    assert "taken" not in lab.describe() and lab.png()


@pytest.mark.parametrize(
    "context",
    ["", "never", "x" * 10_000, "\U0001f600", "to \ud83d", "</script><script>1</script>", "שלום", "\0", "é"],
)
def test_hostile_contexts_give_numbers_or_a_message(lab, context):
    for order in (2, 5):
        shown = answer(lab, context=context, order=order, methods=list(METHODS))
        assert shown["problem"] == ""
        json.dumps(shown).encode("utf-8")
        assert f"Order {order} after" in shown["sentence"]
    assert "<script" not in lab._repr_mimebundle_()["text/html"]
    assert ("Got 10,000 characters" in shown["notice"]) == (len(context) == 10_000)
    assert ("lone surrogate" in shown["notice"]) == ("\ud83d" in context)


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"order": 6}, "order is one of 2, 3, 4, 5; got 6"),
        ({"k": 0}, "k is one of 0.001, 0.0015"),
        ({"discount": "much"}, "discount is one of 0.05"),
        ({"methods": ["katz"]}, "methods is a list of some of add_k"),
    ],
)
def test_a_request_that_is_not_offered_is_refused_in_a_sentence(lab, request_, message):
    before = answer(lab, order=3)["order"]
    shown = answer(lab, **request_)
    assert message in shown["problem"] and shown["order"] == before


def test_no_method_at_all_is_no_error(lab):
    assert answer(lab, methods=[], context="to b")["problem"] == ""
    assert lab.png() and lab.describe().endswith("%.")


def test_what_is_kept_in_the_notebook_and_what_crosses_stay_small(lab):
    answer(lab, context="to b", methods=list(METHODS), order=5)
    bundle = lab._repr_mimebundle_()
    assert bundle[WIDGET_VIEW]["model_id"] == lab.model_id
    assert "Run this cell to make it live" in bundle["text/html"]
    assert len(json.dumps(bundle)) < 200_000
    assert len(json.dumps(lab.shown)) < 20_000


def test_the_picture_gives_no_warning(lab, recwarn):
    lab.png()
    assert not recwarn.list


def test_tables_that_do_not_do_and_an_empty_text_are_refused():
    tables = count_ngrams([ByteTokenizer().encode("to be")], 2, 256)
    assert from_tables(tables, "be", examples=EXAMPLES).fixed["specs"]["order"]["options"] == [2]
    of_8 = count_ngrams([ByteTokenizer().encode("to be or not to be")], 8, 256)
    assert from_tables(of_8, "be", examples=EXAMPLES).fixed["specs"]["order"]["options"] == [2, 3, 4, 5]
    for bad in [(tables[:1], "be"), (tables, "")]:
        with pytest.raises(ValueError, match="needs tables of order 1 and 2 at least, and a held-out text"):
            from_tables(*bad)


def test_of_a_long_text_a_stated_part_is_scored():
    tables = count_ngrams([ByteTokenizer().encode(TEXTS["First"])], 2, 256)
    lab = from_tables(tables, "a" * HELD_OUT_BYTES + "z" * 1000, "Some Play")
    assert lab.fixed["held_out_name"] == "the first 50,000 bytes of Some Play"
    short = from_tables(tables, "a" * HELD_OUT_BYTES)
    assert lab.shown["held_out"] == short.shown["held_out"]
