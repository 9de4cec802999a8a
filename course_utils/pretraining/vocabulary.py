"""Training tokenizers, and choosing one by what it is for: bits per byte at equal compute.

Fewer, longer tokens let a model read more text for a FLOP; but each token of the vocabulary has a row in the
embedding, which is multiplied for every token, and rare ones are hardly learnt. Losses a token can't be
compared between tokenizers. Bits per byte can.

Sources: Radford et al. 2019, section 2.2 (bytes, the pre-tokenizer); Hoffmann et al. 2022 (equal compute).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from course_utils.gpt import GPT, GPTConfig, log2_probs
from course_utils.pretraining.plans import Plan, flops_per_token, rows_that_fit, shape, size
from course_utils.pretraining.pretrain import build, finished
from course_utils.tokenizers import BPETokenizer, bpe
from course_utils.tokenizers.chat import END_OF_TEXT, SPECIAL
from course_utils.training import TrainConfig, train
from course_utils.training.batches import Epochs

TRIAL_WIDTH = 64
SMALLEST = 256 + len(SPECIAL)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE behind GPT-2's pre-tokenizer, with the special tokens of the chat template first.

    Raises ValueError for a vocabulary that has no room for the 256 bytes, and for texts with too little in
    them to fill it.
    """
    if vocab_size < SMALLEST:
        raise ValueError(
            f"a vocabulary has 256 bytes and {len(SPECIAL)} special tokens; got a size of {vocab_size}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if (got := tokenizer.get_vocab_size()) < vocab_size:
        raise ValueError(
            f"the text has words for {got} tokens only, not for {vocab_size}: take more text, or a smaller "
            "vocabulary"
        )
    tokenizer.encode_special_tokens = True  # their names in a text are text
    return tokenizer


def from_merges(merges: Sequence[tuple[int, int]]) -> Tokenizer:
    """The same kind of tokenizer out of merges that were learnt elsewhere: pairs of ids, 0 to 255 for the
    bytes, 256 + k for what merge k makes, as `tokenizers.BPETokenizer.merges` has them.

    It cuts a text where GPT-2 does; a tokenizer that cut it elsewhere has other tokens at such places. Raises
    ValueError for merges that join what there isn't yet.
    """
    spelled = ["".join(bpe.VISIBLE[byte] for byte in token) for token in BPETokenizer(merges).tokens]
    ids = {token: i for i, token in enumerate(dict.fromkeys([*SPECIAL, *spelled]))}
    tokenizer = Tokenizer(models.BPE(ids, [(spelled[first], spelled[second]) for first, second in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([*SPECIAL])
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Int[np.ndarray, " tokens"]:
    """All texts in one row, each followed by END_OF_TEXT."""
    end = [tokenizer.token_to_id(END_OF_TEXT)]
    found = [encoding.ids + end for encoding in tokenizer.encode_batch_fast([*texts])]
    return np.array([i for ids in found for i in ids], dtype="<u2")


def bits(model: GPT, tokenizer: Tokenizer, text: str) -> float:
    """Bits per byte of a text after END_OF_TEXT: an upper bound, as it has other segmentations too."""
    ids = encode(tokenizer, [text])[:-1]
    scores = log2_probs(model, ids, start=tokenizer.token_to_id(END_OF_TEXT))
    return float(-scores.sum() / len(text.encode()))


def bytes_a_token(tokenizer: Tokenizer, text: str) -> float:
    return len(text.encode()) / (len(encode(tokenizer, [text])) - 1)


def trial_shape(plan: Plan, vocab_size: int) -> GPTConfig:
    return shape(TRIAL_WIDTH, vocab_size, min(plan.context, 256))


def compare(
    tokenizer: Tokenizer,
    plan: Plan,
    texts: Sequence[str],
    validation: str,
    device: torch.device,
) -> dict[str, float]:
    """What a small model does with a tokenizer: bits per byte of the validation text after the plan's
    `trial_flops`, however many tokens those pay for.

    The body is the same for all tokenizers; only embedding and head grow with the vocabulary.
    """
    vocab_size = tokenizer.get_vocab_size()
    config = trial_shape(plan, vocab_size)
    steps = max(round(plan.trial_flops / (flops_per_token(config) * plan.batch * config.context)), 1)
    model = build(config, plan.seed).to(device)
    batches = Epochs(encode(tokenizer, texts), vocab_size, plan.batch, config.context, plan.seed)
    settings = TrainConfig(
        steps,
        plan.learning_rate,
        warmup_steps=min(20, steps // 10),
        final_share=0.02,
        evaluate_every=steps,
        precision="mixed",
        optimiser=plan.optimiser,
    )
    done = finished(train(model, batches, settings, micro_batch=rows_that_fit(plan, config, device)))
    return {
        "vocab_size": vocab_size,
        "parameters": size(config),
        "tokens": done.tokens,
        "bytes_a_token": bytes_a_token(tokenizer, validation),
        "bits_per_byte": bits(model, tokenizer, validation),
        "flops": flops_per_token(config) * done.tokens,
    }


def best(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The row with the fewest bits per byte; of equal ones, the smaller vocabulary."""
    return min(rows, key=lambda row: (row["bits_per_byte"], row["vocab_size"]))
