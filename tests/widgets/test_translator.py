"""The translator without a browser: what is written and when, what crosses, the sentence, and bad input."""

import json

import numpy as np
import pytest
import torch

from course_utils.generation.translating import Candidate, Translation, translator
from course_utils.seq2seq import T5, Marks, T5Config
from course_utils.tokenizers import BPETokenizer
from course_utils.widgets.attention_arrays import packed
from course_utils.widgets.attention_explorer import AttentionExplorer
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.translator import MAX_TARGET, PACE, WHOLE, Translator

pytestmark = pytest.mark.usefixtures("one_thread")

TASKS = {"modern: ": "old to modern", "old: ": "modern to old"}
EXAMPLES = {"a verse": ("modern: ", "thou art here"), "another": ("old: ", "you are here")}
VOCAB = 1000


def mock(calls=None, layers=2, heads=3):
    """Writes each word in capitals, and looks at it with 0.6 + head / 10."""

    def translate(task, text, forced, more):
        if calls is not None:
            calls.append((text, list(forced), more))
        words = text.split()
        if not words:
            raise ValueError("the source is empty: type a verse")
        if any(i >= VOCAB for i in forced):
            raise ValueError(f"expected token ids between 0 and {VOCAB - 1}")
        source = [task, *words, "</s>"]
        wanted = [sum(map(ord, word)) % 900 for word in words] + [999]
        ids = [*forced, *wanted[len(forced) : len(forced) + more]]
        weights = np.full((layers, heads, len(ids), len(source)), 0.1)
        for head in range(heads):
            own = 0.6 + head / 10
            weights[:, head] = (1 - own) / (len(source) - 1)
            for t in range(len(ids)):
                weights[:, head, t, min(t + 1, len(source) - 1)] = own
        names = dict(zip(wanted, [*map(str.upper, words), "</s>"], strict=True))
        best = [
            [Candidate(i, names[i], 0.75), Candidate(901, "THEE", 0.125), Candidate(902, "YE", 0.0625)]
            for i in wanted
        ]
        at = [dict((i, p) for i, _, p in best[min(t, len(best) - 1)]).get(i, 0.01) for t, i in enumerate(ids)]
        target = [names.get(i, f"T{i}") for i in ids]
        rows = [best[min(t, len(best) - 1)] for t in range(len(ids))]
        return Translation(source, target, ids, at, rows, weights, ids[-1] == 999, [])

    return translate


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


def t5_widget(**config):
    tokenizer = BPETokenizer.train("modern: old: thou art here, you are there", 256 + 20, ["<pad>", "</s>"])
    pad, end = tokenizer.special_tokens.values()
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 3, "d_ff": 32, "d_head": 8} | config
    model = T5(T5Config(tokenizer.vocab_size, **sizes, marks=Marks(pad, pad, end))).eval()
    return Translator(translator(model, tokenizer, TASKS), EXAMPLES, TASKS)


def test_the_first_example_is_written_at_the_start():
    widget = Translator(mock(), EXAMPLES, TASKS, place=1)
    assert widget.shown["target"] == ["THOU", "ART", "HERE", "</s>"]
    assert widget.shown["text_now"] == "THOUARTHERE" and widget.shown["n_steps"] == 4
    sentence = (
        "old to modern: “thou art here” becomes “THOUARTHERE”, 4 of 4 tokens. Token 2, “ART”, has 75.0 %; "
        "“THEE” 12.5 %, “YE” 6.3 %. For it layer 1, the mean of 3 heads, looks at “art” (3) 70.0 %, "
        "“modern:·” (1) 7.5 %, “thou” (2) 7.5 %, 2 other keys 15.0 %."
    )
    bundle = widget._repr_mimebundle_()
    assert widget.describe() == repr(widget) == bundle["text/plain"] == widget.shown["sentence"] == sentence
    assert bundle[WIDGET_VIEW]["model_id"] == widget.model_id


def test_a_request_writes_few_tokens_and_going_back_writes_none():
    calls, verse = [], " ".join(f"w{i}" for i in range(50))
    widget = Translator(mock(calls), EXAMPLES, TASKS)
    shown = answer(widget, text=verse)
    assert calls[-1] == (verse, [], PACE) and shown["step"] == shown["written"] == PACE
    assert shown["n_steps"] == 2 * PACE
    shown = answer(widget, step=shown["n_steps"])
    assert calls[-1][2] == PACE and calls[-1][1] == shown["ids"][:PACE] and shown["written"] == 2 * PACE
    shown = answer(widget, step=60)
    assert shown["written"] == shown["n_steps"] == shown["step"] == 51
    n = len(calls)
    for step in (0, 3, 51, 60):
        assert answer(widget, step=step, place=2)["step"] == min(step, 51)
    assert len(calls) == n
    assert "nothing is written yet." in answer(widget, step=0)["sentence"]
    assert answer(widget, step=2, place=9)["place"] == 1


def test_a_token_put_in_begins_the_rest_anew_and_is_taken_back():
    widget = Translator(mock(), EXAMPLES, TASKS)
    ids = widget.shown["ids"]
    shown = answer(widget, forced=[ids[0], 901], place=1)
    assert shown["target"] == ["THOU", "T901", "HERE", "</s>"] and shown["by_hand"] == [1]
    assert shown["p"][1] == 0.125 and shown["changed"] == [1]
    assert shown["sentence"].endswith(" Put in by hand: “T901”. Not in the translation before: 1 token.")
    assert answer(widget, forced=ids[:3])["by_hand"] == []  # the model would have written them by itself
    assert answer(widget, forced=[])["ids"] == ids
    answer(widget, forced=[901])
    assert answer(widget, text="thou art there")["forced"] == []  # it was a place in another text


def test_an_edit_of_the_source_marks_what_changed_and_another_text_marks_nothing():
    widget = Translator(mock(), EXAMPLES, TASKS)
    assert widget.shown["changed"] == []
    shown = answer(widget, text="thou art not here")
    assert [shown["target"][i] for i in shown["changed"]] == ["NOT"]
    assert answer(widget, text="thou art not here", step=2)["changed"] == [2]
    assert answer(widget, text="another thing altogether is said")["changed"] == []
    assert answer(widget, text="another thing altogether was said", task="old: ")["changed"] == []


def test_each_weight_crosses_as_a_byte_when_the_text_changes_and_then_no_more():
    widget = t5_widget()
    layers = widget.found.attention.weights
    for layer, data in widget.weights.items():
        assert data == packed(layers[int(layer)], None).tobytes()
    assert sum(map(len, widget.weights.values())) <= 1.05 * layers.size
    before = widget.weights
    for request in ({"place": 3}, {"layer": 0, "head": 2}, {"step": 1}, {"text": ""}):
        answer(widget, **request)
        assert widget.weights is before
    answer(widget, text="you are")
    assert widget.weights is not before and len(widget.weights) == 2
    row = np.frombuffer(answer(widget, layer=0, head=2, step=9, place=3)["row"], "<f4")
    assert row == pytest.approx(widget.found.attention.weights[0, 2, 3])


def test_above_256_tokens_the_layer_in_view_crosses():
    widget = Translator(mock(), {"long": ("old: ", "w " * WHOLE)}, TASKS)
    assert list(widget.weights) == ["1"]
    answer(widget, layer=0)
    assert list(widget.weights) == ["0"]


def test_a_model_without_end_stops_and_a_long_source_is_cut_with_a_notice():
    widget = t5_widget()
    assert len(widget.shown["ids"]) <= MAX_TARGET
    shown = answer(widget, text="x " * 600, forced=[5])
    assert "Got 1,200 characters; the first 1,000 are read." in shown["notice"]
    assert "tokens; the first 256 are read." in shown["notice"] and len(shown["source"]) == 256
    for _ in range(MAX_TARGET // PACE):
        shown = answer(widget, step=MAX_TARGET)
    if not widget.found.written.ended:
        assert shown["n_steps"] == shown["written"] == MAX_TARGET
        assert f"No end came in {MAX_TARGET} tokens" in shown["notice"]


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"text": " "}, "the source is empty"),
        ({"task": "german: "}, "task is one of modern: , old: ; got 'german: '"),
        ({"forced": [VOCAB]}, f"expected token ids between 0 and {VOCAB - 1}"),
        ({"forced": [-1]}, "forced[0] is a whole number from 0 to"),
        ({"forced": [1] * (MAX_TARGET + 1)}, "forced is a list of at most 100"),
        ({"layer": 2}, "layer is one of 0, 1; got 2"),
        ({"head": 3}, "head is one of mean, 0, 1, 2; got 3"),
        ({"place": MAX_TARGET}, "place is a whole number from 0 to 99; got 100"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(request_, message):
    widget = Translator(mock(), EXAMPLES, TASKS)
    answer(widget, step=2, place=1)
    before = widget.shown | {"answers": "", "problem": ""}
    shown = answer(widget, **request_)
    assert message in shown["problem"] and shown | {"answers": "", "problem": ""} == before


def test_what_can_not_begin():
    with pytest.raises(ValueError, match="an example at least"):
        Translator(mock(), {}, TASKS)
    with pytest.raises(ValueError, match="the task of an example is one of 'modern: ', 'old: '; got 'german"):
        Translator(mock(), {"a": ("german: ", "thou")}, TASKS)
    with pytest.raises(ValueError, match="the source is empty"):
        Translator(mock(), {"a": ("old: ", "")}, TASKS)


def test_a_function_that_gives_something_else_is_told_so():
    translate = mock()
    found = translate("old: ", "thou art", [], 9)
    broken = {
        "need weights of shape": found._replace(weights=found.weights[:, :, 1:]),
        "weights are numbers; got nan": found._replace(weights=found.weights * np.nan),
        "probabilities from 0 to 1": found._replace(p=[float("nan")] * 3),
        "they are of one model": mock(heads=2)("old: ", "thou art", [], 9),
    }
    for message, other in broken.items():
        widget = Translator(
            lambda task, text, forced, more, other=other: (
                other if text == "x" else translate(task, text, forced, more)
            ),
            EXAMPLES,
            TASKS,
        )
        assert message in answer(widget, text="x")["problem"] and widget.state["text"] == "thou art here"
    halved = found._replace(weights=found.weights / 2)
    widget = Translator(lambda *asked: halved, EXAMPLES, TASKS)
    assert "rows don't sum to 1" in widget.shown["notice"]


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "🦜" * 500, "to \ud83d", "</script><script>1</script>", "שלום", "\0\n\t", "$a$"]
)
def test_hostile_texts_are_read(text):
    widget = t5_widget()
    shown = answer(widget, text=text)
    assert shown["problem"] == "" and ("lone surrogate" in shown["notice"]) == ("\ud83d" in text)
    bundle = widget._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    assert len(json.dumps({k: v for k, v in shown.items() if k != "row"})) < 30_000


def test_the_attention_explorer_shows_the_same_weights():
    widget = t5_widget()
    written = widget.found.written
    explorer = AttentionExplorer(written.target, written.weights, keys=written.source, scale=1.0, layer=1)
    assert explorer.fixed["attentions"][""]["cross"] and "scores × 1" in explorer.describe()
    assert explorer.fixed["attentions"][""]["layers"] == list(widget.weights.values())


def test_the_picture_follows_the_head(recwarn):
    widget = t5_widget()
    before = widget.png()
    answer(widget, layer=0, head=1)
    assert widget.png() != before and not recwarn.list
