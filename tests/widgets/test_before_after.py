"""Before and after without a browser: what is written and when, who finds what likely, and bad input."""

import numpy as np
import pytest
from mocks import Mock

from course_utils.finetuning.answering import byte_level
from course_utils.tokenizers import BPETokenizer
from course_utils.widgets.before_after import BeforeAfter

pytestmark = pytest.mark.usefixtures("one_thread")
END = 10


class Counting(Mock):
    """Bytes; it notes how many ids each call read, and may fail."""

    broken = False

    def __init__(self, seed):
        super().__init__(256, seed=seed)
        self.read = []

    def __call__(self, ids, *args, **kwargs):
        self.read.append(ids.shape[1])
        logits = super().__call__(ids, *args, **kwargs)
        return 1 / 0 if self.broken else logits


@pytest.fixture
def models():
    return [Counting(seed) for seed in (0, 1)]


@pytest.fixture
def widget(models):
    before, after = (byte_level(model, end_ids=[END]) for model in models)
    return BeforeAfter({"before": before, "after": after}, {"a play": "to be", "another": "or not"}, length=6)


def ask(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


def test_a_request_writes_one_token_of_each_and_the_other_is_read_where_writing_rests(widget, models):
    assert "have not answered “to be”" in repr(widget)
    for step in range(1, 6):
        shown = ask(widget, step=6)
        assert shown["step"] == shown["written"] == step and shown["likely"] == []
        assert shown["sentence"] == "“before” and “after” are answering “to be”."
    assert models[0].read == models[1].read == [5, 1, 1, 1, 1]
    ask(widget, step=6)
    assert models[0].read == models[1].read == [5, 1, 1, 1, 1, 1, 10]
    assert ask(widget, step=2)["written"] == 6 and models[0].read[-1] == 6  # two tokens of the other's
    assert ask(widget, seed=1)["written"] == 0


def test_the_table_has_what_each_model_finds_of_both_answers(widget, models):
    shown = widget.write().shown
    texts = [answer.ids for answer in widget.found.answers]
    for row, model in enumerate(models):
        for k, ids in enumerate(texts):
            bits = [-float(model.next_probs([*b"to be", *ids[:n]])[i].log2()) for n, i in enumerate(ids)]
            assert shown["likely"][row][k] == pytest.approx([sum(bits), 6], abs=1e-3)
            place = 1 if row == k else 2
            assert [token[place] for token in shown["both"][k]["tokens"]] == pytest.approx(bits, abs=1e-4)
            assert f"{np.mean(bits):.2f}" in repr(widget)
    assert [answer["ended"] for answer in shown["both"]] == ["the length asked for"] * 2


def test_one_that_has_ended_waits_for_the_other():
    models = [Mock(256), Mock(256, seed=1)]
    models[0].table[:, END] = 99.0
    both = {name: byte_level(model, end_ids=[END]) for name, model in zip("ab", models, strict=True)}
    widget = BeforeAfter(both, {"a play": "to be"}, length=5)
    shown = ask(widget, step=1)
    assert [answer["ended"] for answer in shown["both"]] == ["an end token", ""]
    shown = widget.write().shown
    assert [len(answer["tokens"]) for answer in shown["both"]] == [1, 5]
    assert shown["both"][0]["tokens"][0][0] == "∎" and shown["n_steps"] == 5
    models[1].table[:, END] = 999.0
    ask(widget, temperature=1.0)
    assert ask(widget, step=5)["n_steps"] == 1  # both have ended


def test_a_model_of_other_tokens_reads_the_text():
    bpe = BPETokenizer.train("to be or not to be " * 9, 262)
    both = {"bytes": byte_level(Mock(256)), "pieces": byte_level(Mock(262, seed=1), bpe)}
    widget = BeforeAfter(both, {"a play": "to be"}, length=6)
    shown = widget.write().shown
    assert all(other is None for answer in shown["both"] for _, _, other in answer["tokens"])
    text = bpe.decode(widget.found.answers[1].ids, errors="ignore").encode()
    assert shown["likely"][0][1][1] == len(text)
    widget._answerers["bytes"].model.context = 2  # too short for what the other wrote
    shown = ask(widget, step=5)
    assert shown["likely"][0][1] is None and "has from 1 to 1 tokens; got" in shown["notice"]
    assert "finds its own answer" in shown["sentence"] and "the other's –" in shown["sentence"]


def test_a_model_that_fails_says_so_and_the_next_try_goes_on(widget, models):
    ask(widget, step=1)
    models[1].broken = True
    before = widget.shown | {"answers": [], "problem": ""}
    shown = ask(widget, step=2)
    assert "ZeroDivisionError" in shown["problem"] and shown["written"] == 1
    assert shown["step"] == before["step"]
    models[1].broken = False
    whole = [answer["tokens"] for answer in widget.write().shown["both"]]
    ask(widget, seed=1)
    ask(widget, seed=0)
    assert [answer["tokens"] for answer in widget.write().shown["both"]] == whole


def test_a_lecture_shows_no_step_that_is_not_written(widget):
    refused = (
        r"step 1 of the lecture: step is at most 1 of what is written so far; got 3: let the widget write"
    )
    with pytest.raises(ValueError, match=refused):
        widget.for_lecture({"step": 3})
    assert widget.write().for_lecture({"step": 3}).lecture[1]["state"]["step"] == 3


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"prompt": ""}, "a prompt must have at least one token"),
        ({"temperature": 2.1}, "temperature is a number from 0 to 2; got 2.1"),
        ({"length": 0}, "length is a whole number from 1 to 63; got 0"),
        ({"step": -1}, "step is a whole number from 0 to 63; got -1"),
    ],
)
def test_what_can_not_be_asked_changes_nothing(widget, request_, message):
    ask(widget, step=1)
    before = widget.shown | {"answers": "", "problem": ""}
    shown = ask(widget, **request_)
    assert message in shown["problem"]
    assert {**shown, "answers": "", "problem": ""} == before


def test_a_stop_string_a_long_prompt_and_the_picture(widget, recwarn):
    first = widget.write().png()
    stop = widget.found.answers[0].text()[1:3]
    shown = ask(widget, stop=stop)
    shown = widget.write().shown
    assert shown["both"][0]["ended"] == "the stop string" and widget.png() != first
    shown = ask(widget, prompt="$a$ </script>\n" * 60)
    assert "before: the prompt has 840 tokens and there is room for 58" in shown["notice"]
    assert "<script" not in widget.write()._repr_mimebundle_()["text/html"] and not recwarn.list


@pytest.mark.parametrize("names, examples", [("a", {"a": "b"}), ("abc", {"a": "b"}), ("ab", {})])
def test_two_models_and_a_prompt_are_needed(names, examples):
    with pytest.raises(ValueError, match="expected two models, by name, and a prompt at least"):
        BeforeAfter({name: byte_level(Mock(256)) for name in names}, examples)
