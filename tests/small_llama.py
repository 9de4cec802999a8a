"""For tests: a small model with random weights and a tokenizer of 300 tokens, as `make` makes them."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from course_utils.gpt import GPT
from course_utils.pretraining.model import llama_config
from course_utils.tokenizers.chat import SPECIAL

TEXT = "The quality of mercy is not strained. It droppeth as the gentle rain from heaven, 1596. Né 🦜!\n"


def small_tokenizer(size=300):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def small_model(vocab_size, **changes):
    """All parameters random: fresh gains of 1 would hide errors."""
    sizes = dict(context=64, n_layers=2, n_heads=4, n_kv_heads=2, d_model=64, d_ff=96, rotary_base=500.0)
    torch.manual_seed(0)
    model = GPT(llama_config(vocab_size=vocab_size, **sizes | changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1 if "norm" in name else 0, 0.2)
    return model.eval()
