"""Texts in rows: what a long one becomes, batches that a run can go on from, and gaps that are filled."""

import math
import warnings

import numpy as np
import pytest
import torch

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.batches import LabelledTexts, MaskedTexts
from course_utils.bert.brackets import bracketed_tokens
from course_utils.bert.masking import IGNORED
from course_utils.bert.occurrences import occurrences, word_vectors
from course_utils.bert.scores import gaps, score
from course_utils.bert.search import embed
from course_utils.bert.texts import encode, encode_all, fill_mask, padded, padded_pairs
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENIZER = WordPieceTokenizer(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!", "?", *"abcdefgh", "##b"]
)
CONFIG = BertConfig(TOKENIZER.vocab_size, 16, 2, 2, 32, max_positions=12)


def model():
    torch.manual_seed(0)
    built = BertForMaskedLM(CONFIG)
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


def ids(text):
    return [TOKENIZER.ids[token] for token in text.split()]


def test_rows_are_padded_to_the_longest():
    found, lengths = padded([np.array(ids(text)) for text in ("a b .", "c")], TOKENIZER)
    assert found.tolist() == [ids("[CLS] a b . [SEP]"), ids("[CLS] c [SEP] [PAD] [PAD]")]
    assert lengths.tolist() == [5, 3]


def test_masks_and_unknown_words():
    assert encode("a [MASK]b", TOKENIZER).tolist() == ids("a [MASK] b")
    assert encode("[MASK][MASK]", TOKENIZER).tolist() == ids("[MASK] [MASK]")
    assert encode("", TOKENIZER).tolist() == []
    with pytest.warns(UserWarning, match=r"1 of the words of 'a 🙂'.*reads \[UNK\] there"):
        assert encode("a 🙂", TOKENIZER).tolist() == ids("a [UNK]")


def test_gaps_are_filled_with_the_likeliest():
    net = model()
    guesses = fill_mask(net, TOKENIZER, "a [MASK] b [MASK].", k=3)
    row = torch.tensor([ids("[CLS] a [MASK] b [MASK] . [SEP]")])
    probabilities = net(row)[0].softmax(-1)
    for place, found in zip((2, 4), guesses, strict=True):
        best = probabilities[place].topk(3)
        assert [guess.token for guess in found] == [TOKENIZER.tokens[i] for i in best.indices]
        assert np.allclose([guess.probability for guess in found], best.values.tolist(), atol=1e-6)
    assert len(fill_mask(net, TOKENIZER, "[MASK]", k=1000)[0]) == TOKENIZER.vocab_size


def test_a_long_text_is_read_around_its_mask():
    net = model()
    text = " ".join("abcdefgh" * 3) + " [MASK] " + " ".join("hgfedcba" * 3)
    with pytest.warns(UserWarning, match="49 tokens and the model reads 10 at once: those around"):
        found = fill_mask(net, TOKENIZER, text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found == fill_mask(net, TOKENIZER, "d e f g h [MASK] h g f e")
    with pytest.raises(ValueError, match="further apart than the 10 tokens"):
        fill_mask(net, TOKENIZER, f"[MASK] {text} [MASK]")


def test_what_cannot_be_filled():
    with pytest.raises(ValueError, match=r"write \[MASK\] where a word is missing; 'a b' has none"):
        fill_mask(model(), TOKENIZER, "a b")


@pytest.mark.parametrize("tokens, size", [(TOKENIZER.tokens[:-1], 16), ([*TOKENIZER.tokens, "z"], 18)])
@pytest.mark.parametrize(
    "call",
    [
        lambda net, other: fill_mask(net, other, "a [MASK]"),
        lambda net, other: embed(net.bert, other, ["a b"]),
        lambda net, other: word_vectors(net.bert, other, occurrences(["a b"], "b")),
        lambda net, other: bracketed_tokens(net.bert, [other.encode("a b")], other),
    ],
    ids=["fill_mask", "embed", "word_vectors", "bracketed_tokens"],
)
def test_the_tokenizer_of_another_model_is_refused(call, tokens, size):
    with pytest.raises(ValueError, match=f"the model has 17 tokens and this tokenizer {size}: take the one"):
        call(model(), WordPieceTokenizer(tokens))


TEXTS = [np.array(ids(text)) for text in ("a b c . d e f g h !" * 3).split("!") for _ in range(40)]
TEXTS = [text for text in TEXTS if len(text)]


def batches(**options):
    return MaskedTexts(TEXTS, TOKENIZER, tokens=40, longest=12, rate=0.3, **options)


def test_an_epoch_has_every_token_once():
    drawn = batches()
    seen, total = [], sum(map(len, TEXTS))
    while sum(map(len, seen)) < total:
        inputs, lengths, labels = drawn.next()
        assert inputs.numel() <= 40 and lengths.max() == inputs.shape[1]
        whole = torch.where(labels == IGNORED, inputs, labels)
        seen += [row[1 : length - 1].tolist() for row, length in zip(whole, lengths, strict=True)]
    counts = [np.bincount(np.concatenate(rows), minlength=17) for rows in (seen, TEXTS)]
    changed = counts[0] != counts[1]
    assert not changed.any()
    ends = sum(row[-1] in ids(". ! ?") or row[-1] == ids("h")[0] for row in seen)
    assert ends > 0.6 * len(seen)  # most rows end where a sentence does


def test_each_epoch_asks_anew_and_a_run_goes_on_where_it_stopped():
    drawn = batches()
    for _ in range(len(TEXTS)):  # into the second epoch
        drawn.next()
    state = {name: tensor.clone() for name, tensor in drawn.state().items()}
    assert state["place"][0] >= 1
    expected = [drawn.next() for _ in range(5)]
    again = batches()
    again.restore(state)
    for got, wanted in zip([again.next() for _ in range(5)], expected, strict=True):
        assert all((x == y).all() for x, y in zip(got, wanted, strict=True))
    with pytest.raises(ValueError, match="the run to resume had"):
        batches(seed=1).restore(state)
    backwards = MaskedTexts([text[::-1] for text in TEXTS], TOKENIZER, tokens=40, longest=12, rate=0.3)
    for texts in (state, state | {"texts_sha256": torch.zeros(32)}):
        with pytest.raises(ValueError, match="other texts of as many tokens"):
            backwards.restore(texts)
    with pytest.raises(ValueError, match="other masks"):
        batches(to_mask=0.5).restore(state)


def test_labelled_texts_keep_their_classes():
    texts = [np.full(n, TOKENIZER.ids["abcdefgh"[n % 8]]) for n in range(1, 15)]
    drawn = LabelledTexts(texts, [len(text) for text in texts], TOKENIZER, tokens=30, longest=12)
    seen = []
    while len(seen) < len(texts):
        ids, lengths, classes = drawn.next()
        seen += classes.tolist()
        for row, length, n in zip(ids, lengths.tolist(), classes.tolist(), strict=True):
            assert length == min(n, 10) + 2 and (row[1 : length - 1] == texts[n - 1][0]).all()
    assert sorted(seen) == list(range(1, 15))
    flipped = LabelledTexts(texts, [0, *range(2, 15)], TOKENIZER, tokens=30, longest=12)
    with pytest.raises(ValueError, match="other masks or classes"):
        flipped.restore(drawn.state())
    with pytest.raises(ValueError, match="got 14 texts, 1 classes and longest=128"):
        LabelledTexts(texts, [0], TOKENIZER)
    with pytest.raises(ValueError, match="no text to train on"):
        LabelledTexts([], [], TOKENIZER)


def test_scores_of_known_answers():
    asked = gaps(TEXTS, TOKENIZER, rate=0.3, longest=8, seed=2)
    again = gaps(TEXTS, TOKENIZER, rate=0.3, longest=8, seed=2)
    assert all((x[0] == y[0]).all() for x, y in zip(asked, again, strict=True))
    for inputs, _, labels in asked:  # only [MASK]: nothing stays, nothing is swapped
        assert (inputs[labels != IGNORED] == TOKENIZER.ids["[MASK]"]).all()
    every = torch.cat([labels[labels != IGNORED] for _, _, labels in asked])

    def always_a(inputs, lengths, chosen):
        return torch.eye(17)[TOKENIZER.ids["a"]].expand(int(chosen.sum()), -1) * 100

    def even(inputs, lengths, chosen):
        return torch.zeros(int(chosen.sum()), 17)

    found = score(always_a, asked)
    assert found.first == pytest.approx((every == TOKENIZER.ids["a"]).double().mean().item())
    assert found.tokens == len(every)
    assert math.isclose(score(even, asked).perplexity, 17, rel_tol=1e-5)
    assert len(gaps(TEXTS, TOKENIZER, rows=5)[0][0]) == 5


def test_two_texts_in_a_row():
    firsts, seconds = ([np.array(ids(text)) for text in texts] for texts in (("a b", "c"), ("d e", "f")))
    found, lengths, segments = padded_pairs(firsts, seconds, TOKENIZER)
    assert found.tolist() == [
        ids("[CLS] a b [SEP] d e [SEP]"),
        ids("[CLS] c [SEP] f [SEP] [PAD] [PAD]"),
    ]
    assert lengths.tolist() == [7, 5]
    assert segments.tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]


@pytest.mark.parametrize("texts, longest", [(TEXTS, 9), ([np.array([], dtype=int)], 128)])
def test_rows_too_short_and_texts_without_a_token(texts, longest):
    with pytest.raises(ValueError, match=f"at least 10 tokens.*; got longest={longest} and"):
        MaskedTexts(texts, TOKENIZER, longest=longest)


def test_rows_that_leave_no_token_of_a_labelled_text():
    with pytest.raises(
        ValueError, match=r"a token and \[SEP\] at least; got 2 texts, 2 classes and longest=2"
    ):
        LabelledTexts([np.array([8]), np.array([9])], [0, 1], TOKENIZER, longest=2)


def test_a_special_token_that_a_text_names_is_text_for_both_encoders():
    tokenizer = WordPieceTokenizer([*TOKENIZER.tokens, *"[]upadksme", "##e", "##p", "##a", "##d"])
    for text in ("a [SEP] b", "[PAD] a", "a b"):
        assert encode_all([text], tokenizer)[0].tolist() == encode(text, tokenizer).tolist()
    assert tokenizer.ids["[SEP]"] not in encode_all(["a [SEP] b"], tokenizer)[0]


@pytest.mark.parametrize(
    "shares, read", [({"to_mask": 1, "to_random": 0}, "[MASK]"), ({"to_mask": 0, "to_random": 0}, None)]
)
def test_batches_are_masked_by_another_rule(shares, read):
    inputs, _, labels = MaskedTexts([np.array(ids("a b c d e f"))] * 20, TOKENIZER, rate=0.4, **shares).next()
    chosen = labels != IGNORED
    expected = TOKENIZER.ids[read] if read else labels[chosen]
    assert chosen.any() and (inputs[chosen] == expected).all()


def test_no_text_is_refused_in_words():
    for read in lambda: padded([], TOKENIZER), lambda: padded_pairs([], [], TOKENIZER):
        with pytest.raises(ValueError, match="no text to read: give one at least"):
            read()
