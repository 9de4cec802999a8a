"""Vectors, the contrastive loss, BM25 and the reciprocal rank, each beside the formula written out."""

import math
import warnings

import numpy as np
import pytest
import torch

from course_utils.bert import Bert, BertConfig
from course_utils.bert.search import BM25, contrastive_loss, embed, mean_pooled, reciprocal_rank
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"])


def test_padding_is_no_part_of_the_mean():
    states = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    found = mean_pooled(states, torch.tensor([4, 2]))
    for row, length in zip((0, 1), (4, 2), strict=True):
        mean = states[row, :length].mean(0)
        assert torch.allclose(found[row], mean / mean.norm(), atol=1e-6)


def test_a_text_has_the_same_vector_in_any_company():
    torch.manual_seed(0)
    model = Bert(BertConfig(13, 16, 2, 2, 32, max_positions=12)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    texts = ["a b c", "d", "e f g h a b", "", "a b c"]
    together = embed(model, TOKENIZER, texts, longest=12, tokens=16)
    for text, vector in zip(texts, together, strict=True):
        assert torch.allclose(vector, embed(model, TOKENIZER, [text], longest=12)[0], atol=1e-6)
    assert torch.allclose(together.norm(dim=1), torch.ones(5)) and torch.equal(together[0], together[4])
    cut = embed(model, TOKENIZER, ["a b c d e"], longest=5)
    assert torch.allclose(cut, together[:1], atol=1e-6)  # the first three tokens
    with pytest.raises(ValueError, match=r"a list of texts to embed, one at least; got \[\]"):
        embed(model, TOKENIZER, [])


def test_long_texts_are_cut_with_one_notice_unless_the_caller_says_where():
    model = Bert(BertConfig(13, 16, 2, 2, 32, max_positions=5)).eval()
    fitting, texts = ["a b c", "a b c", "d", "a b c"], ["a b c d", "a b c", "d", "a b c d e"]
    with pytest.warns(UserWarning, match="2 of 4 texts with .* exceed the 5 tokens .*left out") as notices:
        cut = embed(model, TOKENIZER, texts)
    assert len(notices) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(cut, embed(model, TOKENIZER, fitting))
        assert torch.equal(cut, embed(model, TOKENIZER, texts, longest=5))
    for longest in (2, 6):
        with pytest.raises(ValueError, match=f"a token and .SEP., to 5; got {longest}"):
            embed(model, TOKENIZER, texts, longest=longest)


def test_the_contrastive_loss():
    draw = torch.Generator().manual_seed(0)
    questions, passages = torch.randn(2, 3, 8, generator=draw)
    nats = 0.0
    for i in range(3):
        cosines = [
            (questions[i] @ passage / questions[i].norm() / passage.norm()).item() / 0.05
            for passage in passages
        ]
        nats -= cosines[i] - math.log(sum(math.exp(c) for c in cosines))
    assert contrastive_loss(questions, passages).item() == pytest.approx(nats / 3, rel=1e-4)
    assert contrastive_loss(7 * questions, passages).item() == pytest.approx(nats / 3, rel=1e-4)
    for wrong in (passages[:2], passages[:, :4]):
        with pytest.raises(ValueError, match="as many passages as questions"):
            contrastive_loss(questions, wrong)
    with pytest.raises(ValueError, match="two at least"):
        contrastive_loss(questions[:1], passages[:1])


def test_a_string_is_no_list_of_texts():
    model = Bert(BertConfig(13, 16, 2, 2, 32, max_positions=5)).eval()
    with pytest.raises(ValueError, match="a list of texts to embed, one at least; got 'a b'"):
        embed(model, TOKENIZER, "a b")
    with pytest.raises(ValueError, match=r"each as its words; got \['the cat'\]"):
        BM25(["the cat", "the dog"])


def test_bm25():
    texts = ["the king is dead", "long live the king", "the storm", ""]
    search = BM25([text.split() for text in texts])
    mean = (4 + 4 + 2 + 0) / 4

    def expected(word, count, length, holders):
        rarity = math.log(1 + (4 - holders + 0.5) / (holders + 0.5))
        return rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean))

    found = search.scores(["the", "storm", "storm", "zebra"])
    assert found[2] == pytest.approx(expected("the", 1, 2, 3) + expected("storm", 1, 2, 1))
    assert found[0] == pytest.approx(expected("the", 1, 4, 3)) and found[3] == 0
    assert search.scores([]).tolist() == [0, 0, 0, 0]
    with pytest.raises(
        ValueError, match=r"expected texts to search, one at least, each as its words; got \[\]"
    ):
        BM25([])


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ([2], 1),
        ([0], 1 / 2),
        ([0, 2], 1),
        ([1], 1 / 4),
        ([3], 1 / 4),
        ([1, 3], 1 / 3),
        ([4], 1 / 5),
        ([5], 0),
    ],
)
def test_reciprocal_ranks(right, expected):
    scores = np.array([5.0, 3.0, 9.0, 3.0, 1.0, 0.5])
    assert reciprocal_rank(scores, right, depth=5) == pytest.approx(expected)


def test_equal_scores_are_no_luck():
    assert reciprocal_rank(np.zeros(100), [0]) == 0
