"""Writing a target to a source: what greedy decoding writes, with weights and probabilities, from any
beginning; and bad input."""

import re

import numpy as np
import pytest
import torch

from course_utils.generation.translating import CANDIDATES, ENDING, translator, unknown_characters, write
from course_utils.seq2seq import BART, T5, BARTConfig, Marks, T5Config, cross_weights, greedy
from course_utils.tokenizers import BPETokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TASKS = ["modern: ", "old: "]
VERSE = "thou shalt not steal, nor shalt thou lie"
TOKENIZER = BPETokenizer.train(f"modern: old: {VERSE}", 256 + 12, ["<pad>", "</s>"])
PAD, END = TOKENIZER.special_tokens.values()
MARKS = Marks(PAD, PAD, END)
SIZE = TOKENIZER.vocab_size + 2  # a model may have more rows than there are tokens


def t5(std=2.0):
    torch.manual_seed(0)
    model = T5(T5Config(SIZE, 16, 2, 3, 32, 8, marks=MARKS)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(std)  # so that each token matters
    return model


def bart():
    torch.manual_seed(0)
    return BART(BARTConfig(SIZE, 16, 2, 4, 32, marks=Marks(PAD, END, END))).eval()


def ids(task, text):
    return [*TOKENIZER.encode(task + text).tolist(), END]


@pytest.mark.parametrize("make", [t5, bart])
def test_it_writes_what_greedy_writes_and_each_row_is_what_a_token_was_written_by(make):
    model = make()
    source = ids("modern: ", VERSE)
    written = translator(model, TOKENIZER, TASKS)("modern: ", VERSE, [], 20)
    expected = greedy(model, [source], 20)[0]
    assert written.ids[: len(expected)] == expected and len(written.ids) == len(expected) + written.ended
    assert written.weights == pytest.approx(cross_weights(model, source, written.ids).numpy(), abs=1e-6)
    assert written.weights.shape == (2, model.config.n_heads, len(written.ids), len(source))
    target = torch.tensor([[model.marks.start, *written.ids[:-1]]])
    with torch.no_grad():
        p = model(torch.tensor([source]), torch.tensor([len(source)]), target)[0].softmax(-1).numpy()
    assert written.p == pytest.approx(p[range(len(written.ids)), written.ids], abs=1e-6)
    for row, candidates in zip(p, written.candidates, strict=True):
        assert [each.id for each in candidates] == np.argsort(-row, kind="stable")[:CANDIDATES].tolist()
        assert [each.p for each in candidates] == pytest.approx(-np.sort(-row)[:CANDIDATES], abs=1e-6)


def test_it_goes_on_from_what_is_written_and_from_a_token_put_in():
    translate = translator(t5(), TOKENIZER, TASKS)
    whole = translate("old: ", VERSE, [], 12)
    part = translate("old: ", VERSE, whole.ids[:5], 7)
    assert part.ids == whole.ids and part.weights == pytest.approx(whole.weights, abs=1e-6)
    other = whole.candidates[4][3]
    forced = translate("old: ", VERSE, [*whole.ids[:4], other.id], 7)
    assert forced.ids[:5] == [*whole.ids[:4], other.id] and forced.ids != whole.ids
    assert forced.p[4] == pytest.approx(other.p) and forced.candidates[4] == whole.candidates[4]
    # a row is what the decoder looked at before it knew the token: the same, whatever is put in there
    assert forced.weights[:, :, :5] == pytest.approx(whole.weights[:, :, :5], abs=1e-6)
    assert forced.weights[:, :, 5:] != pytest.approx(whole.weights[:, :, 5 : len(forced.ids)], abs=1e-3)


def test_the_end_ends_it_and_more_may_be_none():
    translate = translator(t5(), TOKENIZER, TASKS)
    ended = translate("old: ", VERSE, [5, END, 7], 9)
    assert ended.ids == [5, END] and ended.ended and ended.target[-1] == ENDING
    assert translate("old: ", VERSE, [5], 0).ids == [5]
    with pytest.raises(ValueError, match="at least one token is to be written; got more = 0"):
        translate("old: ", VERSE, [], 0)


def test_tokens_are_texts_and_are_put_together():
    model = t5()
    verse = "thou 🦜"
    written = translator(model, TOKENIZER, TASKS)("old: ", verse, [*TOKENIZER.encode(" 🦜 thou"), END], 0)
    assert "".join(written.source[:-1]).encode("utf-8", "surrogateescape").decode() == f"old: {verse}"
    assert written.text() == "🦜 thou" and written.text(2) == "\ufffd"  # a part of a character
    assert written.notices == ["No token stands for 🦜, only bytes: what is written for that is a guess."]
    assert translator(model, TOKENIZER, TASKS)("old: ", "thou").notices == []
    named = translator(model, TOKENIZER, TASKS)("old: ", verse, [PAD, SIZE - 1], 0).target
    assert named == ["<pad>", f"<{SIZE - 1}>"]


@pytest.mark.parametrize(
    "unread, words",
    [
        ("耶穌", "for 耶, 穌, only"),
        ("ἀβγδεζη", "for ἀ, β, γ, δ, ε and 2 more, only"),
        ("\u200b", r"for '\\u200b', only"),
        ("’", """for ’, only .* Type ' and " for curved quotes"""),
    ],
)
def test_the_notice_about_unknown_characters(unread, words):
    assert re.search(words, unknown_characters([*unread]))


def test_only_what_is_read_gets_a_notice():
    translate = translator(t5(), TOKENIZER, TASKS, window=20)
    assert [notice[:10] for notice in translate("old: ", VERSE * 9 + "耶", [], 2).notices] == ["The source"]


def test_a_source_over_the_window_is_cut_with_a_notice():
    translate = translator(t5(), TOKENIZER, TASKS, window=20)
    long = translate("old: ", VERSE * 9, [], 2)
    assert len(long.source) == 20 == long.weights.shape[3] and long.source[-1] == ENDING
    assert long.source[:-1] == translate("old: ", VERSE, [], 2).source[:19]
    n = len(ids("old: ", VERSE * 9))
    assert long.notices == [f"The source has {n} tokens; the first 20 are read."]
    assert translator(t5(), TOKENIZER, TASKS, end_source=False)("old: ", VERSE).source[-1] != ENDING


@pytest.mark.parametrize(
    "asked, message",
    [
        (("old: ", ""), "the source is empty: type a verse, or take an example"),
        (("old: ", " \n"), "the source is empty"),
        (("german: ", VERSE), r"was trained on the prefixes 'modern: ', 'old: '; got 'german: '"),
        (("old: ", VERSE, [3, SIZE]), f"token ids between 0 and {SIZE - 1}; got 3 to {SIZE}"),
        (("old: ", VERSE, [3, SIZE], 0), f"token ids between 0 and {SIZE - 1}; got {SIZE}"),
        (("old: ", VERSE, [-1]), f"token ids between 0 and {SIZE - 1}; got -1 to"),
    ],
)
def test_what_can_not_be_written_is_refused_in_a_sentence(asked, message):
    with pytest.raises(ValueError, match=message):
        translator(t5(), TOKENIZER, TASKS)(*asked)


def test_a_model_in_training_stays_in_training_and_is_read_without_dropout():
    torch.manual_seed(0)
    model = T5(T5Config(SIZE, 16, 2, 3, 32, 8, dropout=0.5, marks=MARKS)).train()
    first, second = (write(model, ids("old: ", VERSE), more=5) for _ in range(2))
    assert model.training and torch.equal(first[1], second[1])
