"""What is scored or written is without dropout; a model in training has it back then, whatever happened."""

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from course_utils import gpt, recurrent, seq2seq, training
from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.diffusion import MaskedDiffusion, bound
from course_utils.bert.occurrences import occurrences, word_vectors
from course_utils.bert.search import embed
from course_utils.bert.texts import fill_mask
from course_utils.finetuning.log_probs import log_probs_of
from course_utils.finetuning.policy_gradient import frozen_log_probs
from course_utils.generation import generate, unbroken
from course_utils.generation.unmasking import byte_level, word_pieces
from course_utils.gpt import GPT, GPTConfig
from course_utils.recurrent import RecurrentLM
from course_utils.scaling.counting import flops
from course_utils.seq2seq import T5, GRUSeq2Seq, T5Config
from course_utils.tokenizers import WordPieceTokenizer

CONFIG = GPTConfig(vocab_size=20, context=8, n_layers=1, n_heads=2, d_model=16, dropout=0.5)
BERT = BertConfig(vocab_size=7, d_model=8, n_layers=1, n_heads=2, d_ff=16, dropout=0.5)
PIECES = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
MASKED = torch.tensor([5, 4])
TOKENS = np.arange(12)
IDS = torch.arange(8)[None]
CALLS = {
    "gpt.log2_probs": (GPT(CONFIG), lambda model: gpt.log2_probs(model, TOKENS)),
    "recurrent.log2_probs": (
        RecurrentLM(20, 5, 6, dropout=0.5),
        lambda model: recurrent.log2_probs(model, TOKENS),
    ),
    "greedy": (GRUSeq2Seq(9, 10, 6, 8, 1), lambda model: seq2seq.greedy(model, [[3, 4]], 2)),
    "cross_weights": (
        T5(T5Config(9, 8, n_layers=1, n_heads=2, d_ff=16, d_head=4, dropout=0.5)),
        lambda model: seq2seq.cross_weights(model, [3, 4], [5]),
    ),
    "bound": (MaskedDiffusion(CONFIG), lambda model: bound(model, IDS[0])),
    "fill_mask": (BertForMaskedLM(BERT), lambda model: fill_mask(model, PIECES, "a [MASK]")),
    "embed": (BertForMaskedLM(BERT).bert, lambda model: embed(model, PIECES, ["a b"])),
    "word_vectors": (
        BertForMaskedLM(BERT).bert,
        lambda model: word_vectors(model, PIECES, occurrences(["a b"], "b")),
    ),
    "attention_weights": (BertForMaskedLM(BERT).bert, lambda model: model.attention_weights(MASKED)),
    "word_pieces": (BertForMaskedLM(BERT), lambda model: word_pieces(model, PIECES).log_probs(MASKED)),
    "byte_level": (
        MaskedDiffusion(GPTConfig(256, 8, n_layers=1, n_heads=2, d_model=16, dropout=0.5)),
        lambda model: byte_level(model).log_probs(torch.tensor([5, model.mask_id])),
    ),
    "log_probs_of": (GPT(CONFIG), lambda model: log_probs_of(model, IDS, IDS > 3)),
    "frozen_log_probs": (GPT(CONFIG), lambda model: frozen_log_probs(model, IDS)),
    "flops": (GPT(CONFIG), lambda model: flops(model, IDS)),
    "generate": (GPT(CONFIG), lambda model: unbroken(generate(model, [[1, 2]], 2))),
    "training": (GPT(CONFIG), lambda model: training._evaluate(model, lambda model: model(IDS).sum())),
}


@pytest.mark.parametrize("name", CALLS)
def test_after_an_interrupt_a_model_in_training_has_its_dropout(name):
    model, call = CALLS[name]
    modes = []

    def interrupt(module, inputs):
        modes.append(module.training)
        raise KeyboardInterrupt

    hook = register_module_forward_pre_hook(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            call(model)
    finally:
        hook.remove()
    assert modes == [False] and all(module.training for module in model.modules())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_what_it_was(name, training):
    model, call = CALLS[name]
    model.train(training or name == "training")
    call(model)
    assert model.training is (training or name == "training")
    model.train()


def test_a_part_that_is_frozen_stays_so():
    model = GPT(CONFIG).train()
    model.decoder.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    gpt.log2_probs(model, TOKENS)
    assert [module.training for module in model.modules()] == modes
