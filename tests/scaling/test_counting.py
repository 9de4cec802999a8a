"""Parameters and FLOPs of the course's models, beside torch's counter and the published formulas."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.gpt import GPT, GPTConfig
from course_utils.recurrent import FeedForwardLM, RecurrentLM
from course_utils.scaling.counting import Flops, Parameters, flops, parameters
from course_utils.scaling.laws import six_nd
from course_utils.seq2seq import T5, GRUSeq2Seq, T5Config, encoder_decoder_flops

IDS = torch.arange(24).view(2, 12) % 20


def plain(model):
    """Attention by plain products: torch counts no other on a CPU."""
    for module in model.modules():
        if hasattr(module, "edit"):
            module.edit = lambda weights: weights
    return model


@pytest.mark.parametrize(
    "model, inputs",
    [
        (GPT(GPTConfig(50, 16, 3, 4, 32, n_kv_heads=2, ngrams=3, ngram_rows=97)), (IDS,)),
        (BertForMaskedLM(BertConfig(50, n_layers=2, n_heads=2, d_model=16)), (IDS,)),
        (FeedForwardLM(50, context=4, d_embedding=6, d_hidden=10), (IDS,)),
    ],
    ids=["gpt", "bert", "feed-forward"],
)
def test_torch_counts_the_same(model, inputs):
    expected = flops(model, *inputs)
    with FlopCounterMode(display=False) as counter:
        plain(model.eval())(*inputs)
    assert counter.get_total_flops() == expected.forward
    assert flops(model, *inputs) == expected  # whichever way attention goes


def test_a_gru_that_reads_a_packed_sequence_has_its_weights_counted():
    model = GRUSeq2Seq(9, 9, 6, 8)
    found = flops(model, torch.ones(1, 7, dtype=int), torch.tensor([7]), torch.ones(1, 5, dtype=int))
    encoder, decoder = 2 * 3 * 4 * (6 + 4), 3 * 8 * (6 + 8)  # two directions of 4, one of 8; three gates
    assert found.forward >= 2 * (7 * encoder + 5 * decoder)
    assert found.forward - 2 * (7 * encoder + 5 * decoder) == 2 * 5 * 9 * 8  # the head


def of_a_gpt(vocabulary, time, layers, width, d_ff):
    """FLOPs of one text, by the formula."""
    weights = layers * (4 * width**2 + 3 * width * d_ff)
    return Flops(2 * weights * time, 2 * vocabulary * width * time, 4 * layers * width * time**2)


def test_a_gpt_by_the_formula():
    model, layers, width = GPT(GPTConfig(50, 16, 3, 4, 32, d_ff=40)), 3, 32
    weights = layers * (4 * width**2 + 3 * width * 40)
    norms = (2 * layers + 1) * width
    assert parameters(model) == Parameters(embedding=50 * width, head=0, body=weights + norms)
    assert flops(model, IDS[:1]) == of_a_gpt(50, 12, layers, width, 40)
    # GPT-2 small in nanoGPT's transformer_sizing.ipynb; three matrices of 2,048 weigh what two of 3,072 do
    assert of_a_gpt(50_257, 1024, 12, 768, 2048).forward == 291_648_307_200


def test_an_encoder_decoder_by_chapter_7s_formula():
    sizes = {"n_layers": 3, "d_model": 32, "d_ff": 48, "vocab_size": 30}
    model = T5(T5Config(**sizes, n_heads=4, d_head=8))
    found = flops(model, torch.ones(1, 7, dtype=int), torch.tensor([7]), torch.ones(1, 5, dtype=int))
    assert found.forward == encoder_decoder_flops(7, 5, **sizes)
    assert found.head == 2 * 5 * 30 * 32


def test_a_recurrent_model_multiplies_every_matrix_but_the_embedding():
    model = RecurrentLM(50, 8, 16)
    counted, cost = parameters(model), flops(model, IDS)
    recurrent = 4 * 16 * (8 + 16)
    assert counted == Parameters(embedding=50 * 8, head=50 * 16, body=recurrent + 2 * 4 * 16 + 50)
    assert cost == Flops(body=2 * IDS.numel() * recurrent, head=2 * IDS.numel() * 50 * 16, attention=0)


def test_where_the_rule_and_the_truth_part():
    small, wide = GPT(GPTConfig(50_000, 64, 2, 2, 32)), GPT(GPTConfig(50, 512, 2, 2, 32))
    for model, time in ((small, 64), (wide, 512)):
        ids = torch.zeros(1, time, dtype=int)
        share = six_nd(parameters(model).total, time) / flops(model, ids).training
        assert share == pytest.approx(1, abs=0.01) if model is small else share < 0.5
        body = six_nd(parameters(model).body, time) / flops(model, ids).training
        assert body < (0.03 if model is small else 0.5)


def test_a_wide_matrix_is_no_head():
    """256 wide, and 256 bytes: only what stands behind the blocks is the head."""
    model = GPT(GPTConfig(256, 16, 2, 2, 256, d_ff=256))
    assert parameters(model).head == 0 and flops(model, IDS).head == 2 * IDS.numel() * 256**2
    bert = parameters(BertForMaskedLM(BertConfig(50, n_layers=2, n_heads=2, d_model=16, max_positions=60)))
    assert bert.embedding == (50 + 60 + 2) * 16 and bert.head == 0


def test_a_model_without_words_is_refused():
    with pytest.raises(ValueError, match="Linear has no embedding"):
        parameters(nn.Linear(2, 3))
