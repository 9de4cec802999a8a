"""A word wherever it stands: found whole, and its vectors those that the model has at its place."""

import warnings

import pytest
import torch

from course_utils.bert import Bert, BertConfig
from course_utils.bert.occurrences import Occurrence, occurrences, word_vectors
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *"abcdefgh", "##b", "##c"])


def model():
    torch.manual_seed(0)
    built = Bert(BertConfig(TOKENIZER.vocab_size, 16, 3, 2, 32, max_positions=12))
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


def test_a_word_is_found_whole_with_and_without_capitals():
    found = occurrences(["The bank, the banks.", "Bank to bank", "a riverbank"], "bank")
    assert [(each.sentence[each.start : each.end], each.start) for each in found] == [
        ("bank", 4),
        ("Bank", 0),
        ("bank", 8),
    ]
    assert occurrences(["is it (so?)", "so"], "(so?)") == [Occurrence("is it (so?)", 6, 11)]
    for word in ("money", ""):
        with pytest.raises(ValueError, match="in none of the sentences, as a word of its own"):
            occurrences(["a bank"], word)


def test_vectors_are_those_of_the_place_in_its_own_sentence():
    net, sentences = model(), ["a b c.", "b", "d e f g h b."]
    found = word_vectors(net, TOKENIZER, occurrences(sentences, "b"))
    assert found.shape == (4, 3, 16)
    for i, (sentence, place) in enumerate(zip(sentences, (2, 1, 6), strict=True)):
        ids = torch.tensor([[2, *TOKENIZER.encode(sentence), 3]])
        assert TOKENIZER.tokens[ids[0, place]] == "b"
        alone = torch.stack(net.hidden_states(ids))[:, 0, place]
        assert torch.allclose(found[:, i], alone, atol=1e-5)
        others = torch.stack(net.hidden_states(ids))[:, 0, place - 1]
        assert not torch.allclose(found[:, i], others, atol=1e-2)


def test_a_word_of_several_pieces_has_their_mean():
    net = model()
    found = word_vectors(net, TOKENIZER, occurrences(["a bbc d"], "bbc"))[:, 0]
    ids = torch.tensor([[2, *TOKENIZER.encode("a bbc d"), 3]])
    assert [TOKENIZER.tokens[i] for i in ids[0, 2:5]] == ["b", "##b", "##c"]
    assert torch.allclose(found, torch.stack(net.hidden_states(ids))[:, 0, 2:5].mean(1), atol=1e-5)


def test_a_long_sentence_is_read_around_the_word():
    net = model()
    long = " ".join("acdefgh" * 3) + " b " + " ".join("hgfedca" * 3)
    with pytest.warns(UserWarning, match="43 tokens and the model reads 10 at once: those around"):
        found = word_vectors(net, TOKENIZER, occurrences([long], "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = word_vectors(net, TOKENIZER, occurrences(["d e f g h b h g f e"], "b"))
    assert torch.allclose(found, expected, atol=1e-5)
