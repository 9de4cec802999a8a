"""A BERT and counts as the masking figure asks them: in numbers, one place after another."""

import numpy as np
import pytest
import torch

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.masking import IGNORED
from course_utils.bert.reader import MaskedReader
from course_utils.bert.texts import fill_mask
from course_utils.ngrams.bidirectional import BidirectionalNGram
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENIZER = WordPieceTokenizer([*SPECIAL, *"abcdefgh", "##b"])


def counted(tokenizer=TOKENIZER):
    """Counts in which the left says something, and the right something else."""
    rows = [tokenizer.encode(text) for text in ("a b c d", "a b e f", "g b c h", "a c b d", "e f a b")]
    counts = BidirectionalNGram(tokenizer.vocab_size, tokenizer.ids["[MASK]"]).fit(rows)
    return counts.fit_weights(rows, [row > 0 for row in rows], np.concatenate(rows))


def model(vocab_size=TOKENIZER.vocab_size):
    torch.manual_seed(0)
    built = BertForMaskedLM(BertConfig(vocab_size, 16, 2, 2, 32, max_positions=12))
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


@pytest.fixture(scope="module")
def reader():
    return MaskedReader(model(), TOKENIZER, counted())


def test_the_model_is_asked_as_fill_mask_asks_it(reader):
    ids = reader.encode("a b [MASK] d [MASK]")
    assert [reader.tokens[i] for i in ids] == ["[CLS]", "a", "b", "[MASK]", "d", "[MASK]", "[SEP]"]
    found = reader.fill(ids, np.array([3, 5]))
    assert found.shape == (2, len(reader.tokens)) and np.allclose(found.sum(1), 1, atol=1e-5)
    for p, guesses in zip(found, fill_mask(model(), TOKENIZER, "a b [MASK] d [MASK]", k=3), strict=True):
        assert [reader.tokens[i] for i in np.argsort(-p)[:3]] == [guess.token for guess in guesses]
        assert np.allclose(sorted(p)[:-4:-1], [guess.probability for guess in guesses])


def test_the_counts_see_nothing_on_the_right_and_what_is_on_the_left(reader):
    places = np.array([1, 3])
    one, other = (reader.encode(text) for text in ("a b c d", "a b c h"))
    left = reader.fill_from_left(one, places)
    assert left.shape == (2, len(reader.tokens)) and np.allclose(left.sum(1), 1)
    assert np.array_equal(left, reader.fill_from_left(other, places))
    assert not np.allclose(left[1], reader.fill_from_left(reader.encode("a g c d"), places)[1])
    # with both eyes open the same counts say something else
    both = counted().distributions([one[1:-1]] * 2, [np.arange(4) == place - 1 for place in places])
    assert not np.allclose(left, both)


def test_the_draws_are_the_same_each_time_and_leave_special_tokens_alone(reader):
    ids = reader.encode("a b c d e f")
    inputs, labels = reader.corrupt(ids, 500)
    again = reader.corrupt(ids, 500)
    assert np.array_equal(inputs, again[0]) and np.array_equal(labels, again[1])
    assert inputs.shape == labels.shape == (500, 8) and len(np.unique(labels, axis=0)) > 20
    assert (labels[:, [0, -1]] == IGNORED).all() and (inputs[:, [0, -1]] == ids[[0, -1]]).all()


def test_what_does_not_fit_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="the model has 9 tokens and this tokenizer 14: take the one"):
        MaskedReader(model(9), TOKENIZER, counted())
    smaller = WordPieceTokenizer([*SPECIAL, *"abcdefgh"])
    with pytest.raises(ValueError, match="the counts have 13 tokens and this tokenizer 14: count the texts"):
        MaskedReader(model(), TOKENIZER, counted(smaller))
    no_mask = WordPieceTokenizer(
        [f"[unused{i}]" if token == "[MASK]" else token for i, token in enumerate(TOKENIZER.tokens)]
    )
    with pytest.raises(ValueError, match=r"the tokenizer has no \[MASK\]"):
        MaskedReader(model(), no_mask, counted())
