"""Words ranked by the texts that they make: the same as each text scored by itself, and what is refused."""

import numpy as np
import pytest
import torch

from course_utils import pretrained
from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.by_text import REACH, evidence, fill_by_text
from course_utils.bert.masking import MASK
from course_utils.bert.texts import encode, fill_mask, padded

pytestmark = pytest.mark.usefixtures("one_thread")

TEXT = "The dog began to [MASK] when the postman came."


@pytest.fixture(scope="module")
def tokenizer():
    return pretrained.bert_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    built = BertForMaskedLM(BertConfig(tokenizer.vocab_size, 16, n_layers=2, n_heads=2, d_ff=32))
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


@torch.no_grad()
def log_p(model, tokenizer, ids, place, token):
    """One place masked, one row read."""
    hidden = ids.copy()
    hidden[place] = tokenizer.ids[MASK]
    return model(*padded([hidden], tokenizer))[0, place + 1].log_softmax(-1)[token].item()


def test_the_evidence_is_that_of_each_text_scored_by_itself(model, tokenizer):
    ids = encode(TEXT, tokenizer)
    gap = int(np.flatnonzero(ids == tokenizer.ids[MASK])[0])
    tokens, at_gap, around = evidence(model, tokenizer, ids, 4)
    usual = fill_mask(model, tokenizer, TEXT, 4)[0]
    assert [tokenizer.tokens[token] for token in tokens] == [guess.token for guess in usual]
    assert np.exp(at_gap) == pytest.approx([guess.probability for guess in usual], rel=1e-4)
    for token, value in zip(tokens, around, strict=True):
        text = ids.copy()
        text[gap] = token
        alone = [
            log_p(model, tokenizer, text, place, text[place]) for place in range(len(ids)) if place != gap
        ]
        assert value == pytest.approx(sum(alone), rel=1e-4)


def test_the_words_are_ranked_by_all_logs_together(model, tokenizer):
    tokens, at_gap, around = evidence(model, tokenizer, encode(TEXT, tokenizer), 6)
    guesses = fill_by_text(model, tokenizer, TEXT, k=6, candidates=6)
    order = np.argsort(-(at_gap + around))
    assert [guess.token for guess in guesses] == [tokenizer.tokens[tokens[i]] for i in order]
    assert [*order] not in ([*range(6)], [*np.argsort(-around)])  # neither alone would do
    assert sum(guess.probability for guess in guesses) == pytest.approx(1)


def test_of_a_long_text_what_stands_near_the_gap_is_read(model, tokenizer):
    far, near = "dog " * 50, "cat " * REACH
    one = fill_by_text(model, tokenizer, f"{near}[MASK] {near}", candidates=5)
    assert fill_by_text(model, tokenizer, f"{far}{near}[MASK] {near}{far}", candidates=5) == one


def test_a_model_that_reads_little_reads_what_it_can(tokenizer):
    torch.manual_seed(0)
    small = BertForMaskedLM(
        BertConfig(tokenizer.vocab_size, 8, n_layers=1, n_heads=1, d_ff=8, max_positions=12)
    )
    one = fill_by_text(small, tokenizer, "a b c d [MASK] e f g h", candidates=5)
    assert fill_by_text(small, tokenizer, "x y a b c d [MASK] e f g h z", candidates=5) == one


@pytest.mark.parametrize(
    "text, options, says",
    [
        ("Nothing is missing.", {}, "has 0"),
        ("[MASK] and [MASK]", {}, "has 2"),
        ("[MASK]", {}, "no text around"),
        (TEXT, {"k": 6, "candidates": 5}, "at least as many"),
        (TEXT, {"k": 0}, "at least as many"),
        (TEXT, {"candidates": 10**6}, "at least as many"),
    ],
)
def test_what_can_not_be_ranked_is_refused(model, tokenizer, text, options, says):
    with pytest.raises(ValueError, match=says):
        fill_by_text(model, tokenizer, text, **options)


def test_a_vocabulary_of_another_size_is_refused(tokenizer):
    small = BertForMaskedLM(BertConfig(100, 16, n_layers=1, n_heads=2, d_ff=32))
    with pytest.raises(ValueError, match="100 tokens"):
        fill_by_text(small, tokenizer, TEXT)
